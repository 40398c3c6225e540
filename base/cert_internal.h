#ifndef YM_BASE_CERT_INTERNAL_H
#define YM_BASE_CERT_INTERNAL_H

#include <openssl/x509v3.h>

#include "base/cert.h"
#include "base/key_internal.h"

/* Between cert.c (issues), cert_check.c (reads and verifies) and recipient.c. */
#define YM_PEM_BYTES 65536

enum ym_code ym_cert_read(struct ym_bytes pem, X509 **out, struct ym_status *st);         /* first certificate */
enum ym_code ym_pkey_read(struct ym_bytes key_pem, EVP_PKEY **out, struct ym_status *st); /* unencrypted PEM */
bool ym_party_valid(const struct ym_party *who);
enum ym_code ym_cert_holder(const X509 *cert, struct ym_party *out, struct ym_status *st);
bool ym_pkey_p256(EVP_PKEY *key);
/* A certificate over that key, without issuer, extensions and signature; NULL: libcrypto failed. */
X509 *ym_cert_start(EVP_PKEY *subject, const char *cn, int64_t not_before, int64_t not_after);
/* value is a constant of ours: OpenSSL's extension language is never fed foreign text. */
bool ym_cert_extend(X509 *cert, X509 *issuer, int nid, const char *value);
enum ym_code ym_cert_write(X509 *cert, struct ym_buf *out, struct ym_status *st); /* PEM */
/* Who it is for, and DNS names or addresses; hosts NULL: none. */
bool ym_cert_names(X509 *cert, const struct ym_party *who, const char *const *hosts);

#endif

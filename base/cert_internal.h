#ifndef YM_BASE_CERT_INTERNAL_H
#define YM_BASE_CERT_INTERNAL_H

#include <openssl/x509v3.h>

#include "base/cert.h"
#include "base/key_internal.h"

/* Between cert.c (issues) and cert_check.c (reads and verifies). */
#define YM_PEM_BYTES 65536

enum ym_code ym_cert_read(struct ym_bytes pem, X509 **out, struct ym_status *st);         /* first certificate */
enum ym_code ym_pkey_read(struct ym_bytes key_pem, EVP_PKEY **out, struct ym_status *st); /* unencrypted PEM */
bool ym_party_valid(const struct ym_party *who);

#endif

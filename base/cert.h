#ifndef YM_BASE_CERT_H
#define YM_BASE_CERT_H

#include <stdint.h>

#include "base/crypto.h"

/* X.509 for the federation's own CA: P-256 CA and TLS keys, Ed25519 subject for
 * the hub's identity certificate. Every certificate names its holder by one URI
 * SAN yumen://<federation>/<role>/<name>; role is hub, hospital, sponsor or
 * auditor. PEM throughout. Private keys at rest as in crypto.h. */

enum ym_role { YM_ROLE_HUB = 1, YM_ROLE_HOSPITAL, YM_ROLE_SPONSOR, YM_ROLE_AUDITOR };
const char *ym_role_name(enum ym_role role);
enum ym_code ym_role_parse(const char *text, enum ym_role *out); /* YM_INVALID */

struct ym_party { /* who a certificate says it is */
    char federation[64], name[64];
    enum ym_role role;
};

/* Key pair as PEM; the caller wipes key_pem. */
enum ym_code ym_tls_key_generate(struct ym_buf *key_pem, struct ym_status *st);
/* Encrypt/decrypt a PEM private key for rest. */
enum ym_code ym_pem_save(const char *path, struct ym_bytes key_pem, struct ym_bytes secret, struct ym_status *st);
enum ym_code ym_pem_load(const char *path, struct ym_bytes secret, struct ym_buf *key_pem, struct ym_status *st);

enum ym_code ym_ca_create(const char *federation, struct ym_bytes key_pem, int64_t now, int days,
                          struct ym_buf *cert_pem, struct ym_status *st);
/* Self-signed, for the enrolment handshake only (proves possession of the key). */
enum ym_code ym_cert_self(struct ym_bytes key_pem, int64_t now, struct ym_buf *cert_pem, struct ym_status *st);
/* Issue a TLS certificate over the public key that subject_cert_pem holds.
 * dns_names: NULL-terminated extra SANs (names or IP addresses) or NULL. */
enum ym_code ym_cert_issue(struct ym_bytes ca_key, struct ym_bytes ca_cert, struct ym_bytes subject_cert_pem,
                           const struct ym_party *who, const char *const *dns_names, int64_t now, int64_t not_after,
                           struct ym_buf *cert_pem, struct ym_status *st);
/* Certificate over an Ed25519 identity key (the hub's, checked by hospitals). */
enum ym_code ym_cert_identity(struct ym_bytes ca_key, struct ym_bytes ca_cert, const uint8_t pub[YM_PUBKEY_BYTES],
                              const struct ym_party *who, int64_t now, int64_t not_after, struct ym_buf *cert_pem,
                              struct ym_status *st);
/* Verify an identity certificate against the CA at time now; out the key. */
enum ym_code ym_cert_identity_verify(struct ym_bytes ca_cert, struct ym_bytes cert, int64_t now, struct ym_party *who,
                                     uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st);

enum ym_code ym_cert_party(struct ym_bytes cert_pem, struct ym_party *out, struct ym_status *st);
enum ym_code ym_cert_fingerprint(struct ym_bytes cert_pem, uint8_t out[32], struct ym_status *st); /* SHA-256 of DER */
enum ym_code ym_cert_spki_hash(struct ym_bytes cert_pem, uint8_t out[32], struct ym_status *st);
enum ym_code ym_cert_validity(struct ym_bytes cert_pem, int64_t *not_before, int64_t *not_after, struct ym_status *st);
/* YM_OK when key and certificate belong together, chain to ca and are in date. */
enum ym_code ym_cert_check(struct ym_bytes key_pem, struct ym_bytes cert_pem, struct ym_bytes ca_pem, int64_t now,
                           struct ym_status *st);

/* Enrolment token: "YJ1.<pin>.<id>.<secret>": pin = base32 (RFC 4648, lower
 * case, no padding) of the first 20 bytes of SHA-256(CA SPKI); id 8 and secret
 * 16 random bytes in lower-case hex. */
struct ym_token {
    uint8_t pin[20], id[8], secret[16];
};
enum ym_code ym_token_format(const struct ym_token *t, struct ym_buf *out);
enum ym_code ym_token_parse(const char *text, struct ym_token *out, struct ym_status *st);

#endif

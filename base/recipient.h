#ifndef YM_BASE_RECIPIENT_H
#define YM_BASE_RECIPIENT_H

#include "base/cert.h"

/* Files that certain hospitals can open and nobody else.
 *
 * A hospital's receiving key is P-256, made for this alone (an identity key signs
 * and cannot receive; a TLS key lives in the gateway, and days). Its certificate,
 * DER throughout, is signed by the hospital's own identity key (Ed25519), so that
 * whoever knows that key knows whose the other is; it allows key agreement and
 * nothing else, and does not run out. What is signed begins with an ASN.1
 * SEQUENCE (0x30), as no leaf or checkpoint does.
 *
 * The file is CMS AuthEnvelopedData (RFC 5083, 5084): AES-256-GCM under a fresh
 * key, which stands in the file once for each recipient, wrapped (AES-256 key wrap)
 * under an ECDH agreement with an ephemeral key (RFC 5753, KDF with SHA-256).
 * `openssl cms -decrypt` reads it. It hides neither how long the content is nor
 * for whom it is. */

#define YM_RECIPIENT_DER_MAX 1024
#define YM_RECIPIENTS_MAX 100

/* who: a hospital; key_pem: of ym_tls_key_generate. der is appended to. */
enum ym_code ym_recipient_make(const struct ym_key *identity, struct ym_bytes key_pem, const struct ym_party *who,
                               int64_t now, struct ym_buf *der, struct ym_status *st);
/* Foreign bytes: a certificate as ym_recipient_make makes them, whole and nothing behind it. Whether its hospital
 * signed it is not looked at. YM_INVALID. */
enum ym_code ym_recipient_read(struct ym_bytes der, struct ym_party *who, struct ym_status *st);
/* YM_DENIED unless the holder of that identity key signed it. */
enum ym_code ym_recipient_vouched(struct ym_bytes der, const uint8_t identity[YM_PUBKEY_BYTES], struct ym_status *st);

/* A certificate as the text that `openssl` reads, and back (checked by ym_recipient_read). Both append. */
enum ym_code ym_recipient_to_pem(struct ym_bytes der, struct ym_buf *pem, struct ym_status *st);
enum ym_code ym_recipient_from_pem(struct ym_bytes pem, struct ym_buf *der, struct ym_status *st);

/* Writes the file (temp, fsync, rename; 0600); content is not copied. der [count]: certificates, count 1 to
 * YM_RECIPIENTS_MAX. */
enum ym_code ym_envelope_seal(struct ym_bytes content, const struct ym_bytes *der, size_t count, const char *path,
                              struct ym_status *st);
/* How many can open it; 0: foreign bytes that are no such file. */
size_t ym_envelope_recipients(struct ym_bytes file);
/* Foreign bytes. YM_DENIED: it is not for this key, or was changed; YM_CORRUPT: no such file. The caller wipes content,
 * which is empty but on success. */
enum ym_code ym_envelope_open(struct ym_bytes file, struct ym_bytes key_pem, struct ym_bytes der,
                              struct ym_buf *content, struct ym_status *st);

#endif

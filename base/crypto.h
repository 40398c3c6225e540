#ifndef YM_BASE_CRYPTO_H
#define YM_BASE_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define YM_HASH_BYTES 32
#define YM_SIG_BYTES 64
#define YM_PUBKEY_BYTES 32

void ym_sha256(const void *data, size_t len, uint8_t out[YM_HASH_BYTES]);

struct ym_sha256; /* streaming; new never returns NULL, it aborts without memory */
struct ym_sha256 *ym_sha256_new(void);
void ym_sha256_update(struct ym_sha256 *h, const void *data, size_t len);
void ym_sha256_final(struct ym_sha256 **h, uint8_t out[YM_HASH_BYTES]); /* frees */
void ym_sha256_free(struct ym_sha256 *h);

void ym_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[YM_HASH_BYTES]);
bool ym_equal_const(const void *a, const void *b, size_t len); /* constant time */
void ym_wipe(void *p, size_t len);

/* An Ed25519 identity key (RFC 8032). */
struct ym_key;
enum ym_code ym_key_generate(struct ym_key **out, struct ym_status *st);
void ym_key_free(struct ym_key *key);
void ym_key_public(const struct ym_key *key, uint8_t out[YM_PUBKEY_BYTES]);
void ym_key_sign(const struct ym_key *key, const void *data, size_t len, uint8_t out[YM_SIG_BYTES]);
/* Another Ed25519 key for another purpose, a function of key and label alone: its
 * seed is HMAC-SHA-256(seed of key, label). One context cannot be made to sign for
 * another, who has the derived key cannot find key, and there is nothing more to
 * keep or to lose. */
enum ym_code ym_key_derive(const struct ym_key *key, const char *label, struct ym_key **out, struct ym_status *st);
bool ym_sig_verify(const uint8_t pub[YM_PUBKEY_BYTES], const void *data, size_t len, const uint8_t sig[YM_SIG_BYTES]);

/* At rest: PKCS#8 PEM, AES-256-CBC under scrypt of the secret (bytes of a file
 * that the host protects: $CREDENTIALS_DIRECTORY/yumen.secret when systemd
 * gives one, else <dir>/secret, 0600, made by init). Written by temp, fsync,
 * rename. Wrong secret or damaged file: YM_DENIED, YM_CORRUPT. */
enum ym_code ym_key_save(const struct ym_key *key, const char *path, struct ym_bytes secret, struct ym_status *st);
enum ym_code ym_key_load(const char *path, struct ym_bytes secret, struct ym_key **out, struct ym_status *st);
/* Find the secret of a state folder as above; create = make it when absent. */
enum ym_code ym_secret_load(const char *dir, bool create, struct ym_buf *out, struct ym_status *st);

/* Signature types of C2SP signed-note. */
enum ym_note_type { YM_NOTE_LOG = 0x01, YM_NOTE_COSIGNER = 0x04 };
/* First four bytes of SHA-256(name 0x0A type pk). */
void ym_note_key_id(const char *name, enum ym_note_type type, const uint8_t pub[YM_PUBKEY_BYTES], uint8_t out[4]);
/* "name+hex keyid+base64(type pk)", the note verifier key; parse takes this type alone. */
enum ym_code ym_vkey_format(const char *name, enum ym_note_type type, const uint8_t pub[YM_PUBKEY_BYTES],
                            struct ym_buf *out);
enum ym_code ym_vkey_parse(const char *text, enum ym_note_type type, char name[256], uint8_t pub[YM_PUBKEY_BYTES],
                           struct ym_status *st);

#endif

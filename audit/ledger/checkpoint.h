#ifndef YM_AUDIT_CHECKPOINT_H
#define YM_AUDIT_CHECKPOINT_H

#include <stdbool.h>

#include "base/crypto.h"

/* C2SP tlog-checkpoint in a signed note: origin, size, base64 root, blank line,
 * one Ed25519 signature line whose key name is the origin. At most 4 KiB. */
#define YM_CHECKPOINT_MAX 4096

/* The next whole line of a note, without its newline; false at the end. */
bool ym_note_line(struct ym_bytes *rest, struct ym_bytes *line);
/* One to nineteen digits, none of them a zero in front; else false and *out as it was. */
bool ym_note_number(struct ym_bytes line, uint64_t *out);

/* What is signed: the three lines. Appends to out. */
enum ym_code ym_checkpoint_text(const char *origin, uint64_t size, const uint8_t root[YM_HASH_BYTES],
                                struct ym_buf *out);
enum ym_code ym_checkpoint_format(const char *origin, uint64_t size, const uint8_t root[YM_HASH_BYTES],
                                  const struct ym_key *key, struct ym_buf *out);
/* The signature under pub in the note, checked: what a third party can check again.
 * YM_CORRUPT as open. */
enum ym_code ym_checkpoint_signature(struct ym_bytes note, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                                     uint8_t sig[YM_SIG_BYTES], struct ym_status *st);
/* Form, origin and the signature under pub; YM_CORRUPT says what is wrong. */
enum ym_code ym_checkpoint_open(struct ym_bytes note, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                                uint64_t *size, uint8_t root[YM_HASH_BYTES], struct ym_status *st);

#endif

#ifndef YM_AUDIT_COSIGN_H
#define YM_AUDIT_COSIGN_H

#include <stdbool.h>

#include "base/crypto.h"

/* C2SP tlog-cosignature, Ed25519: "cosignature/v1", "time N" and a checkpoint's
 * text, signed by somebody who has seen that the log only grew. A line of it is
 * "— name base64(key id, u64 big-endian time, signature)", its key id and
 * verifier key of type YM_NOTE_COSIGNER. A cosigning key signs nothing else: a
 * hospital's is ym_key_derive(identity key, YM_COSIGN_LABEL). */
#define YM_COSIGN_LABEL "yumen/cosign/v1"
#define YM_COSIGNED_MAX (64 * 1024) /* a checkpoint with the lines of all its cosigners */

/* The text that signatures cover: up to and with the newline before the blank line.
 * False when note is no signed note. */
bool ym_cosign_text(struct ym_bytes note, struct ym_bytes *text);

/* The signature alone; time is unix seconds, above 0. */
void ym_cosign_sign(struct ym_bytes text, const struct ym_key *key, uint64_t time, uint8_t sig[YM_SIG_BYTES]);
bool ym_cosign_verify(struct ym_bytes text, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t time,
                      const uint8_t sig[YM_SIG_BYTES]);

/* Append the line of a signature to out. YM_EXHAUSTED leaves out as it was. */
enum ym_code ym_cosign_line(const char *name, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t time,
                            const uint8_t sig[YM_SIG_BYTES], struct ym_buf *out);
/* Sign and append the line. */
enum ym_code ym_cosign_append(struct ym_bytes text, const char *name, const struct ym_key *key, uint64_t time,
                              struct ym_buf *out);
/* The newest good line of this cosigner in a signed note: YM_NOT_FOUND when it has
 * none, YM_CORRUPT when one of its lines does not fit the text. Other lines are
 * passed over, as signed-note asks. */
enum ym_code ym_cosign_open(struct ym_bytes note, const char *name, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t *time,
                            struct ym_status *st);

#endif

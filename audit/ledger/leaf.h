#ifndef YM_AUDIT_LEAF_H
#define YM_AUDIT_LEAF_H

#include <jansson.h>

#include "base/crypto.h"

/* A signed leaf: canonical restricted JSON on one line with members "type",
 * "v" (1), "time" (unix s), "by" (signer's name), "key" (hex SHA-256 of the
 * signer's public key, first 16 digits) and, last, "sig": base64 Ed25519 over
 * "yumen/leaf/v1" 0x00 type 0x00 line-without-sig. The same envelope signs
 * everything a party says on the wire; what is only said and not logged has a
 * type beginning with "say_". docs/leaves.md has a section per type. */

/* Adds type, v, time, by, key, sig. members: an object of the type's own keys
 * (borrowed). Appends the line, without newline, to out. */
enum ym_code ym_leaf_sign(const char *type, const json_t *members, const char *by, int64_t time,
                          const struct ym_key *key, struct ym_buf *out, struct ym_status *st);
/* Parse and check form (canonical, bounded by YM_LEAF_MAX). *out new. No signature check. */
enum ym_code ym_leaf_parse(struct ym_bytes line, json_t **out, struct ym_status *st);
/* Parse and check form, signature under pub and, when type is not NULL, the type. */
enum ym_code ym_leaf_open(struct ym_bytes line, const uint8_t pub[YM_PUBKEY_BYTES], const char *type, json_t **out,
                          struct ym_status *st);

#endif

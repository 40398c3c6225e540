#ifndef YM_BASE_JSON_H
#define YM_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* Restricted JSON (docs/formats.md, "Restricted JSON"): objects, arrays, strings,
 * 64-bit signed integers, true, false, null; no reals, no duplicate keys, depth
 * at most YM_JSON_DEPTH. Strings are UTF-8 without NUL. */
#define YM_JSON_DEPTH 16

/* Parse bytes of another party. limit bounds len before anything is read.
 * *out is new (json_decref). YM_INVALID names the byte offset. */
enum ym_code ym_json_parse(const void *data, size_t len, size_t limit, json_t **out, struct ym_status *st);

/* Append the canonical form: one line, keys sorted by byte, no spaces, no final
 * newline. In strings \" \\ \b \f \n \r \t stand for themselves, other bytes
 * below 0x20 and all characters above 0x7F are \uXXXX in upper-case hex (pairs
 * above U+FFFF), the rest is as it is. The value must be restricted JSON. */
enum ym_code ym_json_canonical(const json_t *value, struct ym_buf *out, struct ym_status *st);

/* Typed members of an object. YM_INVALID names key and expectation. */
enum ym_code ym_json_get_int(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *out,
                             struct ym_status *st);
enum ym_code ym_json_get_str(const json_t *object, const char *key, const char **out,
                             struct ym_status *st); /* borrowed */
enum ym_code ym_json_get_hash(const json_t *object, const char *key, uint8_t out[32],
                              struct ym_status *st); /* 64 hex digits */
void ym_json_set_hash(json_t *object, const char *key, const uint8_t hash[32]);

#endif

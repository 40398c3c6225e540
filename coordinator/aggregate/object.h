#ifndef YM_COORDINATOR_OBJECT_H
#define YM_COORDINATOR_OBJECT_H

#include "base/buf.h"
#include "base/crypto.h"

/* Files named by the SHA-256 of their content, <dir>/<64 hex digits>: plans,
 * states, sums. Written once, by temp, fsync and rename; never changed. */

#define YM_OBJECT_PATH 4096

enum ym_code ym_object_path(const char *dir, const uint8_t hash[YM_HASH_BYTES], char path[YM_OBJECT_PATH]);
/* Durable on return; an object that is there already is left alone. */
enum ym_code ym_object_put(const char *dir, struct ym_bytes data, uint8_t hash[YM_HASH_BYTES], struct ym_status *st);
/* Give the finished, synced file at `from` (same file system) its name. */
enum ym_code ym_object_adopt(const char *dir, const char *from, const uint8_t hash[YM_HASH_BYTES],
                             struct ym_status *st);
/* YM_NOT_FOUND; YM_CORRUPT when the content is not what the name says. */
enum ym_code ym_object_get(const char *dir, const uint8_t hash[YM_HASH_BYTES], size_t limit, struct ym_buf *out,
                           struct ym_status *st);

#endif

#ifndef YM_COORDINATOR_BLOCK_H
#define YM_COORDINATOR_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Files of little-endian int64, read in blocks of fixed memory. */

#define YM_BLOCK_VALUES 16384 /* 128 KiB */

/* Call fn on every block of exactly count values. YM_CORRUPT when the file is
 * shorter or longer, YM_NOT_FOUND when it is not there. */
enum ym_code ym_block_read(const char *path, size_t count,
                           void (*fn)(void *ctx, const int64_t *v, size_t first, size_t n), void *ctx,
                           struct ym_status *st);

/* True when every value is in [-2^(bits-1), 2^(bits-1)); bits 2..64. */
bool ym_block_in_range(const int64_t *v, size_t n, uint32_t bits);

#endif

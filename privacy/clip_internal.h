#ifndef YM_PRIVACY_CLIP_INTERNAL_H
#define YM_PRIVACY_CLIP_INTERNAL_H

#include <stdbool.h>

#include "privacy/clip.h"

/* The two loops of the clip, plain and by vectors of 512 bits: the same bits. */

/* Sums of squares side by side: coordinate i in sum[i % YM_CLIP_SUMS]; count a multiple. */
#define YM_CLIP_SUMS 32
void ym_clip_square(const float *g, size_t count, double sum[YM_CLIP_SUMS]);
void ym_clip_square_avx512(const float *g, size_t count, double sum[YM_CLIP_SUMS]);

/* q[i] = g[i] * factor, cut to +-2^24 and truncated toward zero; returns the sum of
 * their squares. At most YM_CLIP_BLOCK of them, a multiple of 8. */
#define YM_CLIP_BLOCK 1024 /* squares are at most 2^48, so a block stays within 2^58 */
uint64_t ym_clip_truncate(const float *g, size_t count, double factor, int32_t *q);
uint64_t ym_clip_truncate_avx512(const float *g, size_t count, double factor, int32_t *q);

bool ym_clip_has_avx512(void);

#endif

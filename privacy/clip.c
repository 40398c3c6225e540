#include "privacy/clip_internal.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/lanes.h"
#include "base/status.h"

#define SHRINK (1.0 - 0x1p-20)

void ym_clip_square(const float *g, size_t count, double sum[YM_CLIP_SUMS])
{
    for (size_t i = 0; i < count; i += YM_CLIP_SUMS)
        for (size_t k = 0; k < YM_CLIP_SUMS; k++)
            sum[k] += (double)g[i + k] * g[i + k];
}

uint64_t ym_clip_truncate(const float *g, size_t count, double factor, int32_t *q)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        double v = g[i] * factor;

        /* The factor bounds |v| by about 2^24; the clamp makes the cast defined without that argument. */
        v = v < 0x1p24 ? v : 0x1p24;
        v = v > -0x1p24 ? v : -0x1p24;
        q[i] = (int32_t)v;
        sum += (uint64_t)((int64_t)q[i] * q[i]);
    }
    return sum;
}

/* Squares of floats are exact in double; so many sums side by side, for one would wait
 * for itself at every step. */
static double norm(const float *g, size_t dim)
{
    double part[YM_CLIP_SUMS] = {0}, sum = 0;
    size_t even = dim / YM_CLIP_SUMS * YM_CLIP_SUMS;

    (ym_clip_has_avx512() ? ym_clip_square_avx512 : ym_clip_square)(g, even, part);
    for (size_t i = even; i < dim; i++)
        sum += (double)g[i] * g[i];
    for (size_t k = 0; k < YM_CLIP_SUMS; k++)
        sum += part[k];
    return sqrt(sum);
}

/* Is the whole within the ball, with rest, the squares that are there already? */
static bool truncate_scaled(const float *g, size_t dim, double factor, uint64_t rest, int32_t *q)
{
    const uint64_t bound = (uint64_t)1 << (2 * YM_CLIP_BITS);
    uint64_t (*truncate)(const float *, size_t, double, int32_t *) =
        ym_clip_has_avx512() ? ym_clip_truncate_avx512 : ym_clip_truncate;
    uint64_t sum = rest;

    for (size_t start = 0; start < dim && sum <= bound; start += YM_CLIP_BLOCK) {
        size_t count = dim - start < YM_CLIP_BLOCK ? dim - start : YM_CLIP_BLOCK, even = count / 8 * 8;

        sum += truncate(g + start, even, factor, q + start);
        sum += ym_clip_truncate(g + start + even, count - even, factor, q + start + even);
    }
    return sum <= bound;
}

/* q[0 .. dim) from g, at most radius long; rest: squares of what shares the ball with it. */
static void into_ball(const float *g, size_t dim, double length, double clip_norm, uint32_t radius, uint64_t rest,
                      int32_t *q)
{
    double factor = radius / (length > clip_norm ? length : clip_norm);

    if (!isfinite(length) || !isfinite(factor)) {
        memset(q, 0, dim * sizeof *q);
        return;
    }
    while (!truncate_scaled(g, dim, factor, rest, q))
        factor *= SHRINK;
}

void ym_clip_patient(const float *g, size_t dim, double clip_norm, int32_t *q)
{
    YM_ASSERT(clip_norm > 0);
    into_ball(g, dim, norm(g, dim), clip_norm, YM_CLIP_UNITS, 0, q);
}

uint32_t ym_clip_radius(uint32_t bit_units)
{
    uint64_t square = ((uint64_t)1 << (2 * YM_CLIP_BITS)) - (uint64_t)bit_units * bit_units, root;

    YM_ASSERT(bit_units < YM_CLIP_UNITS);
    root = (uint64_t)sqrt((double)square);
    while (root * root > square)
        root--;
    return (uint32_t)root; /* never one too small: square < 2^53, and sqrt rounds correctly */
}

void ym_clip_patient_bit(const float *g, size_t dim, double clip_norm, uint32_t bit_units, int32_t *q)
{
    double length = norm(g, dim);
    bool above = isfinite(length) && length > clip_norm;

    YM_ASSERT(clip_norm > 0 && bit_units > 0);
    q[dim] = above ? -(int32_t)bit_units : (int32_t)bit_units;
    into_ball(g, dim, length, clip_norm, ym_clip_radius(bit_units), (uint64_t)bit_units * bit_units, q);
}

YM_LANES void ym_clip_add(int64_t *restrict sum, const int32_t *restrict q, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        sum[i] += q[i];
}

YM_LANES void ym_clip_hold(int32_t *restrict held, const int32_t *restrict q, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        held[i] += q[i];
}

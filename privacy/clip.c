#include "privacy/clip.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/lanes.h"
#include "base/status.h"

#define SHRINK (1.0 - 0x1p-20)
#define BLOCK 1024 /* squares are at most 2^48, so a block stays within 2^58 */

/* Squares of floats are exact in double; so many sums side by side, whatever the
 * machine's vectors, for one would wait for itself. */
#define SUMS 4

typedef double lanes __attribute__((vector_size(64)));
typedef float narrow __attribute__((vector_size(32)));

YM_LANES static double norm(const float *g, size_t dim)
{
    lanes sums[SUMS] = {0};
    double sum = 0;
    size_t i = 0;

    for (; i + 8 * SUMS <= dim; i += 8 * SUMS) {
        for (size_t k = 0; k < SUMS; k++) {
            narrow v;

            memcpy(&v, g + i + 8 * k, sizeof v);
            lanes wide = __builtin_convertvector(v, lanes);

            sums[k] += wide * wide;
        }
    }
    for (; i < dim; i++)
        sum += (double)g[i] * g[i];
    for (size_t k = 0; k < 8 * SUMS; k++)
        sum += sums[k / 8][k % 8];
    return sqrt(sum);
}

YM_LANES static void truncate_block(const float *restrict g, size_t count, double factor, int32_t *restrict q)
{
    for (size_t i = 0; i < count; i++) {
        double v = g[i] * factor;

        /* The factor bounds |v| by about 2^24; the clamp makes the cast defined without that argument. */
        v = v < 0x1p24 ? v : 0x1p24;
        v = v > -0x1p24 ? v : -0x1p24;
        q[i] = (int32_t)v;
    }
}

YM_LANES static uint64_t squares(const int32_t *q, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t size = (uint32_t)(q[i] < 0 ? -q[i] : q[i]);

        sum += (uint64_t)size * size;
    }
    return sum;
}

/* Is the whole within the ball, with rest, the squares that are there already? */
static bool truncate_scaled(const float *g, size_t dim, double factor, uint64_t rest, int32_t *q)
{
    const uint64_t bound = (uint64_t)1 << (2 * YM_CLIP_BITS);
    uint64_t sum = rest;

    for (size_t start = 0; start < dim && sum <= bound; start += BLOCK) {
        size_t count = dim - start < BLOCK ? dim - start : BLOCK;

        truncate_block(g + start, count, factor, q + start);
        sum += squares(q + start, count);
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

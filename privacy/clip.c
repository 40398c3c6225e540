#include "privacy/clip.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/status.h"

#define SHRINK (1.0 - 0x1p-20)
#define NORM_BLOCK 4096 /* squares are below 2^50, so a block stays below 2^62 */

static double norm(const float *g, size_t dim)
{
    double sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += (double)g[i] * g[i];
    return sqrt(sum);
}

static void truncate_scaled(const float *g, size_t dim, double factor, int32_t *q)
{
    for (size_t i = 0; i < dim; i++) {
        double v = g[i] * factor;

        /* The factor bounds |v| by about 2^24; the clamp makes the cast defined without that argument. */
        v = v > 0x1p24 ? 0x1p24 : v < -0x1p24 ? -0x1p24 : v;
        q[i] = (int32_t)v;
    }
}

static bool within_ball(const int32_t *q, size_t dim)
{
    const uint64_t bound = (uint64_t)1 << (2 * YM_CLIP_BITS);
    uint64_t sum = 0;

    for (size_t start = 0; start < dim; start += NORM_BLOCK) {
        size_t end = dim - start < NORM_BLOCK ? dim : start + NORM_BLOCK;

        for (size_t i = start; i < end; i++)
            sum += (uint64_t)((int64_t)q[i] * q[i]);
        if (sum > bound)
            return false;
    }
    return true;
}

/* q[0 .. dim) from g, at most radius long; whole: how many coordinates of q must
 * share the ball, those behind dim being there already. */
static void into_ball(const float *g, size_t dim, double length, double clip_norm, uint32_t radius, size_t whole,
                      int32_t *q)
{
    double factor = radius / (length > clip_norm ? length : clip_norm);

    if (!isfinite(length) || !isfinite(factor)) {
        memset(q, 0, dim * sizeof *q);
        return;
    }
    truncate_scaled(g, dim, factor, q);
    while (!within_ball(q, whole)) {
        factor *= SHRINK;
        truncate_scaled(g, dim, factor, q);
    }
}

void ym_clip_patient(const float *g, size_t dim, double clip_norm, int32_t *q)
{
    YM_ASSERT(clip_norm > 0);
    into_ball(g, dim, norm(g, dim), clip_norm, YM_CLIP_UNITS, dim, q);
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
    into_ball(g, dim, length, clip_norm, ym_clip_radius(bit_units), dim + 1, q);
}

void ym_clip_add(int64_t *sum, const int32_t *q, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        sum[i] += q[i];
}

#include "privacy/bounded.h"

#include <math.h>

#include "base/status.h"

#define FINE (1LL << YM_BOUNDED_FINE_BITS)
#define NORM_SLACK 0x1p-30 /* of C: the error of the norm, 2^-32, and the roundings of factor and scale */

double ym_bounded_cost_units(size_t dim)
{
    YM_ASSERT(dim <= UINT64_C(1) << 32);
    return ceil(sqrt((double)dim)) + YM_CLIP_UNITS * NORM_SLACK;
}

double ym_bounded_radius(uint32_t clip_units, size_t dim)
{
    return fmax(clip_units - ym_bounded_cost_units(dim), 0) * FINE;
}

int ym_bounded_suits(const struct ym_ghost *g, double radius)
{
    if (!isfinite(g->norm))
        return 1;
    return g->spill <= radius / 16 && g->reach * ym_bounded_factor(g, radius) <= YM_BOUNDED_REACH_MAX;
}

double ym_bounded_factor(const struct ym_ghost *g, double radius)
{
    if (!isfinite(g->norm))
        return 0;
    return g->norm + g->spill <= radius ? 1 : (radius - g->spill) / g->norm;
}

void ym_bounded_carry(int64_t *fine, int64_t *sum, size_t dim)
{
    for (size_t i = 0; i < dim; i++) {
        sum[i] += fine[i] >> YM_BOUNDED_FINE_BITS;
        fine[i] &= FINE - 1;
    }
}

void ym_bounded_close(int64_t *fine, int64_t *sum, size_t dim)
{
    for (size_t i = 0; i < dim; i++) {
        sum[i] += (fine[i] + FINE / 2) >> YM_BOUNDED_FINE_BITS;
        fine[i] = 0;
    }
}

#include "privacy/bounded.h"

#include <math.h>

#include "base/status.h"

#define GAMMA (YM_BOUNDED_ROUNDINGS * 0x1p-24 * (1 + 0x1p-12))
#define REACH_SLACK 0x1p-23 /* scaled deltas are rounded to float */
#define NORM_SLACK 1.0      /* units: the error of the norm, 2^-30 of 2^24, and the roundings of factor and scale */

double ym_bounded_cost_units(size_t dim, size_t rows)
{
    double weight = ym_bounded_weight(rows), added = 2 * YM_BOUNDED_LEAF + weight;

    YM_ASSERT(dim <= UINT64_C(1) << 32 && rows >= 1 && rows <= YM_BOUNDED_PATIENT);
    return GAMMA * added * YM_CLIP_UNITS + (weight + 2) / 2 * ceil(sqrt((double)dim)) + NORM_SLACK;
}

double ym_bounded_radius(uint32_t clip_units, size_t dim, size_t rows)
{
    return fmax(clip_units - ym_bounded_cost_units(dim, rows), 0);
}

double ym_bounded_factor(const struct ym_ghost *g, double unit, double radius)
{
    double length = unit * (g->norm + REACH_SLACK * g->reach);
    double share = g->rows > 1 ? unit * g->reach / ym_bounded_weight(g->rows) : 0; /* one row's is its length */

    if (!isfinite(length) || !isfinite(unit) || !(g->inputs <= YM_BOUNDED_INPUTS))
        return 0;
    length = length > share ? length : share;
    return length <= radius ? unit : unit * (radius / length);
}

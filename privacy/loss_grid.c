#include "privacy/loss_grid.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Places are y = u / sqrt(2), multiples of a power of two so small that y, y - c and 2 y - c are all exact. */

#define U 0x1p-53
#define LOSS_MAX 600.0 /* e^loss and e^loss / q stay normal */
#define ERFC (16 * U)  /* relative error of erfc, 8 units in the last place; glibc states 5 */

struct shape {
    double c, q, keep; /* 1 / (sqrt(2) sigma) and q, both rounded up; keep = 1 - q exactly where q >= 1/2 */
    double grain, low, high, bound; /* places: unit, ends wanted, how far they may be */
};

struct tail { /* of a normal law beyond a place, on the side away from its mean */
    double value, doubt;
    bool upper;
};

struct edge {
    double growth;              /* g: e^v, the likelihood ratio there, or less than 0 below every loss */
    struct tail without, with_; /* the patient */
};

static double grain_of(double largest)
{
    int exponent;

    frexp(largest, &exponent);
    return ldexp(1, exponent - 52);
}

static struct shape shape_of(const struct ym_loss *l, struct ym_reach reach)
{
    struct shape h = {.q = fmin(1, l->q * (1 + 4 * U))};
    double c = M_SQRT1_2 / l->sigma * (1 + 8 * U);

    h.low = -reach.outer;
    h.high = fmax(reach.outer, c + reach.inner);
    h.bound = h.high + 1;
    h.grain = grain_of(2 * h.bound + c + 1);
    h.c = ceil(c / h.grain) * h.grain;
    h.keep = 1 - h.q;
    return h;
}

static struct tail tail_at(double y)
{
    double value = erfc(fabs(y)) / 2;

    return (struct tail){value, ERFC * value, y > 0};
}

static struct tail tail_none(bool upper)
{
    return (struct tail){0, 0, upper};
}

static struct tail tail_below(double y, bool upper) /* somewhere beyond y */
{
    double value = erfc(y) / 2 * (1 + ERFC);

    return (struct tail){value, value, upper};
}

static struct edge edge_at(const struct shape *h, double loss)
{
    double z = h->q >= 0.5 ? (exp(loss) - h->keep) / h->q : 1 + expm1(loss) / h->q, y, v, width;

    if (!(z > 0))
        return (struct edge){z, tail_none(false), tail_none(false)};
    y = rint((log(z) / h->c + h->c) / 2 / h->grain) * h->grain;
    if (y < -h->bound)
        return (struct edge){z, tail_below(h->bound, false), tail_below(h->bound, false)};
    if (y > h->bound)
        return (struct edge){z, tail_below(h->bound, true), tail_below(h->bound - h->c, true)};
    width = 2 * y - h->c;
    v = h->c * width;
    return (struct edge){exp(v) * (1 + fma(h->c, width, -v)), tail_at(y), tail_at(y - h->c)};
}

struct bounded {
    double value, error;
};

static struct bounded between(const struct tail *a, const struct tail *b)
{
    bool same = a->upper == b->upper;
    double value = same ? fabs(a->value - b->value) : 1 - a->value - b->value;

    return (struct bounded){fmax(value, 0), a->doubt + b->doubt + (same ? 4 * U * value : 4 * U)};
}

/* The two ends' masses of the cell from a to b, before the factor q / (1 - e^-step). */
static void split(const struct edge *a, const struct edge *b, double *at_a, double *at_b)
{
    struct bounded m = between(&a->without, &b->without), p = between(&a->with_, &b->with_);
    double upper = p.value - a->growth * m.value, lower = b->growth * m.value - p.value;

    *at_b = fmax(upper, 0) + p.error + fabs(a->growth) * (m.error + 8 * U * m.value) + 4 * U * p.value;
    *at_a = fmax(lower, 0) + p.error + fabs(b->growth) * (m.error + 8 * U * m.value) + 4 * U * p.value;
}

/* How far the loss at an edge's place may be from the grid's: y is off by half a grain and the rounding of log(z) / c.
 */
static double slip_of(const struct shape *h)
{
    return 2 * h->c * (h->grain + 8 * U * (h->bound + h->c)) + 64 * U;
}

static void ends_of(const struct ym_loss *l, const struct shape *h, double step, double ends[2])
{
    ends[0] = floor(ym_loss_at(l, h->low * M_SQRT2) / step);
    ends[1] = ceil(ym_loss_at(l, h->high * M_SQRT2) / step);
}

double ym_loss_grid_size(const struct ym_loss *l, double step, struct ym_reach reach)
{
    struct shape h = shape_of(l, reach);
    double ends[2];

    ends_of(l, &h, step, ends);
    return ends[1] - ends[0] + 1;
}

static void fill(struct ym_loss_grid *g, const struct shape *h, double step)
{
    double whole = -expm1(-step), raise = 1 + 4 * g->slip / step + 4 * g->slip + 32 * U;
    double right = h->q / whole * raise, left = right * exp(-step);
    struct edge a = edge_at(h, (double)g->low * step), first = a;

    for (size_t i = 0; i + 1 < g->count; i++) {
        struct edge b = edge_at(h, (double)(g->low + (int64_t)i + 1) * step);
        double at_a, at_b;

        split(&a, &b, &at_a, &at_b);
        g->mass[i] += left * at_a;
        g->mass[i + 1] += right * at_b;
        a = b;
    }
    g->lost_add = first.without.value * (1 + 2 * ERFC);
    g->below = g->lost_add;
    g->above = a.without.value * (1 + 2 * ERFC);
    g->lost_remove = (h->keep * a.without.value + h->q * a.with_.value) * (1 + 2 * ERFC);
}

enum ym_code ym_loss_grid_make(const struct ym_loss *l, double step, struct ym_reach reach, struct ym_loss_grid *out,
                               struct ym_status *st)
{
    struct shape h = shape_of(l, reach);
    struct ym_loss_grid g = {.slip = slip_of(&h)};
    double ends[2];

    ends_of(l, &h, step, ends);
    if (!(step > 0 && step <= 1 && ends[1] - ends[0] < (double)YM_LOSS_ATOMS_MAX && fabs(ends[0]) < 0x1p28 &&
          ends[1] < 0x1p28 && ends[0] * step > -LOSS_MAX && ends[1] * step < LOSS_MAX && g.slip < 1e-6 * step))
        return ym_status_set(st, YM_EXHAUSTED, "the privacy loss of one charge needs too fine a grid");
    g.low = (int64_t)ends[0];
    g.count = (size_t)(ends[1] - ends[0]) + 1;
    g.mass = calloc(g.count, sizeof *g.mass);
    if (!g.mass)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu atoms", g.count);
    fill(&g, &h, step);
    *out = g;
    return YM_OK;
}

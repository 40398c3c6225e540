#include <math.h>
#include <stdbool.h>

#include "privacy/accountant.h"
#include "privacy/clip.h"
#include "privacy/rdp_moment.h"

/* The proved allowance for every rounding in here and in libm, relative to the
 * figure it is added to (docs/privacy.md, "Numerical allowance"). */
#define ALLOWANCE 1e-9
#define CONVERSION_ALLOWANCE 1e-11 /* absolute, in epsilon */

#define TENTHS 99 /* 1.1 .. 10.9 */
#define WHOLE 53  /* 11 .. 63 */

static double grid[YM_RDP_ORDERS];

__attribute__((constructor)) static void fill_grid(void)
{
    static const double high[] = {128, 256, 512, 1024};
    size_t n = 0;

    for (int i = 1; i <= TENTHS; i++)
        grid[n++] = (10 + i) / 10.0;
    for (int i = 0; i < WHOLE; i++)
        grid[n++] = 11 + i;
    for (size_t i = 0; i < sizeof high / sizeof *high; i++)
        grid[n++] = high[i];
}

size_t ym_rdp_orders(const double **orders)
{
    *orders = grid;
    return TENTHS + WHOLE + 4;
}

void ym_rdp_clear(struct ym_rdp *r)
{
    *r = (struct ym_rdp){{0}};
}

enum ym_code ym_rdp_add(struct ym_rdp *r, const struct ym_event *e, struct ym_status *st)
{
    const double *order;
    size_t count = ym_rdp_orders(&order);
    struct ym_moments *m;

    if (e->sigma_units == 0 || e->sampling_k == 0)
        return ym_status_set(st, YM_INVALID, "event without noise or without sampling probability");
    if (e->steps == 0)
        return YM_OK;
    m = ym_moments_new((double)e->sigma_units / YM_CLIP_UNITS, (double)e->sampling_k * 0x1p-64);
    if (!m)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the accountant");
    for (size_t i = 0; i < count; i++) {
        double one = ym_moments_rdp(m, order[i]);

        r->at[i] += one * (double)e->steps * (1 + ALLOWANCE);
    }
    ym_moments_free(m);
    return YM_OK;
}

/* What the conversion adds to rdp: Canonne, Kamath, Steinke 2020, Proposition 12. */
static double overhead(double order, double delta)
{
    return log1p(-1 / order) - log(delta * order) / (order - 1) + CONVERSION_ALLOWANCE;
}

/* Bretagnolle-Huber: TV <= sqrt(1 - exp(-KL)), and KL is at most any RDP above
 * order 1; a total variation of at most delta is (0, delta)-privacy. */
static bool is_nothing(double rdp, double delta)
{
    return -expm1(-rdp) * (1 + ALLOWANCE) < delta * delta;
}

static double convert(double rdp, double order, double delta)
{
    double e = is_nothing(rdp, delta) ? 0 : rdp + overhead(order, delta);

    return e < 0 ? 0 : e;
}

double ym_rdp_epsilon(const struct ym_rdp *r, double delta, double *order)
{
    const double *grid_order;
    size_t count = ym_rdp_orders(&grid_order);
    double best = INFINITY, best_order = 0;

    for (size_t i = 0; i < count; i++) {
        double e = convert(r->at[i], grid_order[i], delta);

        if (e < best) {
            best = e;
            best_order = grid_order[i];
        }
    }
    if (!(delta > 0 && delta < 1))
        best = INFINITY;
    if (order)
        *order = best_order;
    return best;
}

double ym_rdp_epsilon_at(const struct ym_rdp *r, double delta, double order)
{
    const double *grid_order;
    size_t count = ym_rdp_orders(&grid_order);

    if (delta > 0 && delta < 1)
        for (size_t i = 0; i < count; i++)
            if (grid_order[i] == order)
                return convert(r->at[i], order, delta);
    return INFINITY;
}

double ym_rdp_filter_order(double epsilon_cap, double delta)
{
    const double *order;
    size_t count = ym_rdp_orders(&order);
    double best = 0, most = -INFINITY;

    for (size_t i = 0; delta > 0 && delta < 1 && i < count; i++) {
        double each = (epsilon_cap - overhead(order[i], delta)) / order[i];

        if (each > most) {
            most = each;
            best = order[i];
        }
    }
    return best;
}

int64_t ym_epsilon_micro(double epsilon)
{
    double micro = ceil(epsilon * 1e6 * (1 + 0x1p-52));

    if (!(micro < 0x1p62))
        return INT64_MAX;
    return micro < 0 ? 0 : (int64_t)micro;
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/contour.h"

#define SQRT_2PI 2.50662827463100050242
#define WORK_MAX 1e7   /* nodes of u times nodes of t */
#define NODES_MAX 4e6  /* of u */
#define LENGTH_MAX 1e5 /* nodes of t */
#define CUT 50.0       /* radians of t L at which a node of u has faded by half */

void ym_contour_release(struct ym_contour *c)
{
    free(c->t);
    free(c->log_m);
    free(c->arg);
    free(c->size);
    free(c->used);
    *c = (struct ym_contour){.work = c->work};
}

typedef double lanes __attribute__((vector_size(32)));
typedef int64_t whole_lanes __attribute__((vector_size(32)));
#define LANES 4

/* cos and sin of |x| < 10^5, to a few units of 2^-53: x = n pi / 2 + r; the two polynomials in z = r^2 were fitted at
 * Chebyshev's points of |r| <= pi / 4, to 2 10^-17. */
static void turn(const lanes *x, lanes *cosine, lanes *sine)
{
    static const double even[] = {-1.1382408754153254e-11, 2.087614315990944e-09,  -2.755731725679604e-07,
                                  2.4801587298736863e-05,  -0.0013888888888887378, 0.041666666666666664};
    static const double odd[] = {1.5917771759341917e-10,  -2.5051126876085338e-08, 2.755731607868067e-06,
                                 -0.00019841269836712495, 0.008333333333330918,    -0.16666666666666666};
    lanes n = *x * M_2_PI + 0x1.8p52, r, z, c, s;
    whole_lanes quadrant = (whole_lanes)n, swap = -(quadrant & 1);

    n -= 0x1.8p52;
    r = *x - n * 0x1.921fb544p0 - n * 0x1.0b4611a626331p-34;
    z = r * r;
    c = z * even[0] + even[1];
    s = z * odd[0] + odd[1];
    for (size_t k = 2; k < sizeof even / sizeof *even; k++) {
        c = z * c + even[k];
        s = z * s + odd[k];
    }
    c = 1 - (0.5 * z - z * z * c);
    s = r + r * (z * s);
    *cosine = (lanes)((((whole_lanes)s & swap) | ((whole_lanes)c & ~swap)) ^ ((quadrant + 1) & 2) << 62);
    *sine = (lanes)((((whole_lanes)c & swap) | ((whole_lanes)s & ~swap)) ^ (quadrant & 2) << 62);
}

struct nodes { /* of u, for one event and a stretch of t */
    size_t blocks;
    lanes *loss, *weight; /* L, e^(a L - u^2 / 2 - top) */
    double top, log_zero; /* log of their sum at t = 0 */
    bool cut;
};

static double u_of_loss(const struct ym_loss *l, double loss)
{
    return l->sigma * log1p(expm1(loss) / l->q) + 0.5 / l->sigma;
}

/* Where t L passes 2 CUT the integrand turns so fast that what is left out cancels, if it is left out smoothly. */
static double fade_of(double phase)
{
    return phase > 0.3 * CUT ? erfc((phase - CUT) / (CUT / 5)) / 2 : 1;
}

static enum ym_code nodes_make(struct nodes *n, const struct ym_loss *l, double a, double t_low, double t_high,
                               struct ym_status *st)
{
    struct ym_loss_range r = ym_loss_range(l, a);
    double far = t_low > 0 ? u_of_loss(l, 2 * CUT / t_low) : INFINITY, spacing, wanted, sum = 0;

    *n = (struct nodes){.cut = far < r.high, .top = -INFINITY};
    r.high = fmin(r.high, far);
    spacing = ym_loss_spacing(l, n->cut ? 1.4 * t_high : t_high, &r);
    wanted = (r.high - r.low) / spacing + 2;
    if (!(wanted < NODES_MAX))
        return ym_status_set(st, YM_EXHAUSTED, "the contour integral needs more than %g nodes", NODES_MAX);
    n->blocks = ((size_t)wanted + LANES - 1) / LANES;
    n->loss = aligned_alloc(sizeof(lanes), n->blocks * sizeof(lanes));
    n->weight = aligned_alloc(sizeof(lanes), n->blocks * sizeof(lanes));
    if (!n->loss || !n->weight)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %g nodes", wanted);
    for (size_t i = 0; i < n->blocks * LANES; i++) {
        double u = r.low + (double)i * spacing, loss = ym_loss_at(l, u), log_weight = a * loss - u * u / 2;

        n->loss[i / LANES][i % LANES] = loss;
        n->weight[i / LANES][i % LANES] = log_weight;
        n->top = fmax(n->top, log_weight);
    }
    for (size_t i = 0; i < n->blocks * LANES; i++) {
        double weight = exp(n->weight[i / LANES][i % LANES] - n->top);

        sum += weight;
        n->weight[i / LANES][i % LANES] = n->cut ? weight * fade_of(t_low * n->loss[i / LANES][i % LANES]) : weight;
    }
    n->top += log(spacing / SQRT_2PI);
    n->log_zero = log(sum);
    return YM_OK;
}

static void nodes_release(struct nodes *n)
{
    free(n->loss);
    free(n->weight);
}

static double total(const lanes *x)
{
    return ((*x)[0] + (*x)[1]) + ((*x)[2] + (*x)[3]);
}

/* Adds one event's moments at every step-th place of from .. to. zero: log of its moment at t = 0. */
static void add_moments(struct ym_contour *c, const struct nodes *n, const struct ym_loss *l, bool adding, double zero,
                        size_t from, size_t to, size_t step)
{
    for (size_t i = from; i < to; i += step) {
        lanes re = {0}, im = {0}, phase, cosine, sine;
        double x, y;

        for (size_t j = 0; j < n->blocks; j++) {
            phase = c->t[i] * n->loss[j];
            turn(&phase, &cosine, &sine);
            re += n->weight[j] * cosine;
            im += n->weight[j] * sine;
        }
        x = total(&re);
        y = adding ? -total(&im) : total(&im);
        /* the same nodes at 0 cancel their own error, which many steps would multiply */
        c->log_m[i] += l->steps * (log(x * x + y * y) / 2 - (n->cut ? zero - n->top : n->log_zero));
        c->arg[i] += l->steps * atan2(y, x);
    }
}

/* Nodes of t that share nodes of u: all of them, unless some of u can be left out. */
static size_t group_end(const struct ym_contour *c, const struct ym_loss *l, double a, size_t from)
{
    struct ym_loss_range r = ym_loss_range(l, a);
    size_t to = c->count;

    if (c->t[to - 1] * ym_loss_at(l, r.high) < 8 * CUT)
        return to;
    for (to = from + 1; to < c->count && c->t[to] < 1.5 * fmax(c->t[from], c->c);)
        to++;
    return to;
}

static enum ym_code moments_of(struct ym_contour *c, const struct ym_curve *v, const struct ym_loss *l, size_t from,
                               size_t step, struct ym_status *st)
{
    double a = v->adding ? -c->s : 1 + c->s, zero = ym_losses_cumulant(l, 1, v->adding, c->s).k / l->steps;
    enum ym_code code = YM_OK;

    if (from == 0)
        c->k += zero * l->steps;
    while (code == YM_OK && from < c->count) {
        size_t to = group_end(c, l, a, from);
        struct nodes n;

        to += (to - from) % step;
        code = nodes_make(&n, l, a, c->t[from], c->t[to - 1], st);
        c->work += (double)(n.blocks * LANES) * (double)((to - from) / step + 20);
        if (code == YM_OK && c->work > WORK_MAX)
            code = ym_status_set(st, YM_EXHAUSTED, "the contour integral needs more than %g nodes", WORK_MAX);
        if (code == YM_OK)
            add_moments(c, &n, l, v->adding, zero, from, to, step);
        nodes_release(&n);
        from = to;
    }
    return code;
}

static bool grow(double **array, size_t from, size_t to)
{
    double *more = realloc(*array, to * sizeof *more);

    if (!more)
        return false;
    memset(more + from, 0, (to - from) * sizeof *more);
    *array = more;
    return true;
}

static enum ym_code contour_room(struct ym_contour *c, size_t to, struct ym_status *st)
{
    size_t from = c->count;

    if (to > LENGTH_MAX)
        return ym_status_set(st, YM_EXHAUSTED, "the contour integral does not converge");
    if (!grow(&c->t, from, to) || !grow(&c->log_m, from, to) || !grow(&c->arg, from, to) || !grow(&c->size, from, to) ||
        !grow(&c->used, from, to))
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu nodes", to);
    c->count = to;
    return YM_OK;
}

static enum ym_code contour_fill(struct ym_contour *c, const struct ym_curve *v, size_t from, size_t step,
                                 struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = from; i < c->count; i += step)
        c->t[i] = c->c * sinh(c->dx * (double)i);
    for (size_t i = 0; code == YM_OK && i < v->losses; i++)
        code = moments_of(c, v, &v->loss[i], from, step, st);
    for (size_t i = 0; i < c->count; i++)
        c->size[i] = (i ? 2 : 1) * c->dx * hypot(c->c, c->t[i]) * exp(c->log_m[i]);
    return code;
}

enum ym_code ym_contour_reach(struct ym_contour *c, const struct ym_curve *v, double length, struct ym_status *st)
{
    double nodes = ceil(asinh(length / c->c) / c->dx) + 2;
    size_t had = c->count;
    enum ym_code code = YM_OK;

    c->in_use = nodes < LENGTH_MAX ? (size_t)nodes | 1 : SIZE_MAX; /* odd: every other one ends there too */
    if (c->in_use > had)
        code = contour_room(c, c->in_use, st);
    return code == YM_OK && c->in_use > had ? contour_fill(c, v, had, 1, st) : code;
}

enum ym_code ym_contour_refine(struct ym_contour *c, const struct ym_curve *v, struct ym_status *st)
{
    size_t had = c->count = c->in_use;
    enum ym_code code = contour_room(c, 2 * had - 1, st);

    if (code != YM_OK)
        return code;
    for (size_t i = had; i-- > 0;) {
        double t = c->t[i], log_m = c->log_m[i], arg = c->arg[i];

        c->t[2 * i] = t;
        c->log_m[2 * i] = log_m;
        c->arg[2 * i] = arg;
    }
    for (size_t i = 1; i < c->count; i += 2)
        c->log_m[i] = c->arg[i] = 0;
    c->dx /= 2;
    c->in_use = c->count;
    return contour_fill(c, v, 1, 2, st);
}

void ym_contour_use(struct ym_contour *c, double part)
{
    double middle = c->t[c->in_use - 1] * part / 2;

    for (size_t i = 0; i < c->in_use; i++)
        c->used[i] = part > 0 && i > 0 ? c->size[i] * erfc((c->t[i] - middle) / (middle / 5)) / 2 : c->size[i];
}

struct ym_contour_value ym_contour_at(const struct ym_contour *c, double epsilon, size_t stride)
{
    double sum = 0, slope = 0, last = 0, gross = 0, s = c->s;

    for (size_t i = 0; i < c->in_use; i += stride) {
        double t = c->t[i], size = c->used[i], phase = c->arg[i] - epsilon * t;
        double over_s = 1 / (s * s + t * t), over_1 = 1 / ((1 + s) * (1 + s) + t * t), re, im, x, y;

        re = size * cos(phase);
        im = size * sin(phase);
        x = re * (1 + s) * over_1 + im * t * over_1; /* over 1 + s + it: what the slope sums */
        y = im * (1 + s) * over_1 - re * t * over_1;
        slope += x;
        sum += x * s * over_s + y * t * over_s;
        size *= sqrt(over_s * over_1);
        gross += size;
        last = i + 3 >= c->in_use ? fmax(last, size) : 0;
    }
    return (struct ym_contour_value){c->k - epsilon * c->s + log((double)stride / (2 * M_PI) * sum),
                                     slope / sum,
                                     last / fabs(sum),
                                     gross / fabs(sum),
                                     sum,
                                     gross};
}

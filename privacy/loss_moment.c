#include "privacy/loss_moment.h"

#include <math.h>
#include <stdlib.h>

#include "privacy/clip.h"

#define SIGMA_MIN (YM_CLIP_UNITS / 20)
#define STEPS_MAX UINT64_C(1000000000)
#define NODES_MAX 1e4 /* of a cumulant */
#define SQRT_2PI 2.50662827463100050242
#define FALL 42.0 /* log of what is left out */
#define REACH 9.6 /* a standard normal falls by FALL and more within it */

static int by_kind(const void *a, const void *b)
{
    const struct ym_event *x = a, *y = b;

    if (x->sigma_units != y->sigma_units)
        return x->sigma_units < y->sigma_units ? -1 : 1;
    return (x->sampling_k > y->sampling_k) - (x->sampling_k < y->sampling_k);
}

static size_t merge(const struct ym_event *e, size_t count, struct ym_loss *out)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (i && by_kind(&e[i], &e[i - 1]) == 0) {
            out[n - 1].steps += (double)e[i].steps;
            continue;
        }
        out[n].sigma = (double)e[i].sigma_units / YM_CLIP_UNITS;
        out[n].q = ldexp((double)e[i].sampling_k, -64);
        out[n].keep = ldexp((double)(0 - e[i].sampling_k), -64);
        out[n++].steps = (double)e[i].steps;
    }
    return n;
}

enum ym_code ym_losses_collect(const struct ym_event *e, size_t count, struct ym_loss **out, size_t *losses,
                               struct ym_status *st)
{
    struct ym_event *sorted = calloc(count + 1, sizeof *sorted);
    struct ym_loss *l = calloc(count + 1, sizeof *l);
    enum ym_code code = YM_OK;
    size_t kept = 0;

    if (!sorted || !l)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for %zu charges", count);
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        if (e[i].sigma_units == 0 || e[i].sampling_k == 0)
            code = ym_status_set(st, YM_INVALID, "charge %zu has no noise or no sampling", i);
        else if (e[i].steps > 0 && (e[i].sigma_units < SIGMA_MIN || e[i].steps > STEPS_MAX))
            code = ym_status_set(st, YM_EXHAUSTED,
                                 "charge %zu is beyond what is integrated: little noise or many steps", i);
        else if (e[i].steps > 0)
            sorted[kept++] = e[i];
    }
    if (code == YM_OK) {
        qsort(sorted, kept, sizeof *sorted, by_kind);
        *losses = merge(sorted, kept, l);
        *out = l;
        l = NULL;
    }
    free(l);
    free(sorted);
    return code;
}

double ym_loss_at(const struct ym_loss *l, double u)
{
    double v = (u - 0.5 / l->sigma) / l->sigma;

    if (v > 30)
        return v + log(l->q) + log1p(l->keep / l->q * exp(-v));
    return l->q < 0.5 ? log1p(l->q * expm1(v)) : log(l->keep + l->q * exp(v));
}

double ym_loss_slope(const struct ym_loss *l, double u)
{
    double v = (u - 0.5 / l->sigma) / l->sigma;

    return 1 / (l->sigma * (1 + l->keep / l->q * exp(-v)));
}

static double log_weight(const struct ym_loss *l, double a, double u)
{
    return a * ym_loss_at(l, u) - u * u / 2;
}

/* Where log_weight crosses level between u = inside (above it) and u = outside (below). */
static double crossing(const struct ym_loss *l, double a, double level, double inside, double outside)
{
    for (int i = 0; i < 40 && fabs(outside - inside) > 0.02; i++) {
        double middle = (inside + outside) / 2;

        if (log_weight(l, a, middle) > level)
            inside = middle;
        else
            outside = middle;
    }
    return outside;
}

/* u = a L'(u), climbed from one side: L' rises, so the steps do not overtake the first stationary point. */
static double climb(const struct ym_loss *l, double a, double u)
{
    for (int i = 0; i < 100; i++) {
        double next = a * ym_loss_slope(l, u);

        if (fabs(next - u) < 1e-3)
            return next;
        u = next;
    }
    return u;
}

/* a < 0: log_weight is concave, its peak between a / sigma and 0. */
static struct ym_loss_range range_of_falling(const struct ym_loss *l, double a)
{
    double low = a / l->sigma, high = 0, level;

    for (int i = 0; i < 60 && high - low > 1e-3; i++) {
        double middle = (low + high) / 2;

        if (a * ym_loss_slope(l, middle) > middle)
            low = middle;
        else
            high = middle;
    }
    level = log_weight(l, a, high) - FALL;
    return (struct ym_loss_range){crossing(l, a, level, high, low - REACH), crossing(l, a, level, high, high + REACH)};
}

/* a > 0: up to two peaks, the lower one where no patient shows, the upper one where the patient does. */
static struct ym_loss_range range_of_rising(const struct ym_loss *l, double a)
{
    double lower = climb(l, a, 0), upper = climb(l, a, a / l->sigma), at_lower = log_weight(l, a, lower);
    double at_upper = log_weight(l, a, upper), level = fmax(at_lower, at_upper) - FALL;
    struct ym_loss_range r;

    r.low = at_lower > level ? crossing(l, a, level, lower, -REACH) : crossing(l, a, level, upper, lower);
    r.high =
        at_upper > level ? crossing(l, a, level, upper, a / l->sigma + REACH) : crossing(l, a, level, lower, upper);
    return r;
}

struct ym_loss_range ym_loss_range(const struct ym_loss *l, double a)
{
    return a < 0 ? range_of_falling(l, a) : range_of_rising(l, a);
}

/* The integrand is analytic for |Im u| < pi sigma, where |W^(a + it)| grows by at most e^(t L' |Im u|) and phi by
 * e^(Im u^2 / 2): with y = min(3 sigma, 9) the rule errs by e^(-2 pi y / spacing + t L' y + y^2 / 2). */
double ym_loss_spacing(const struct ym_loss *l, double frequency, const struct ym_loss_range *range)
{
    return 2 * M_PI / (9 + 14 / l->sigma + frequency * ym_loss_slope(l, range->high));
}

static struct ym_cumulant cumulant(const struct ym_loss *l, double a)
{
    struct ym_loss_range r = ym_loss_range(l, a);
    double spacing = ym_loss_spacing(l, 0, &r), sum = 0, mean = 0, square = 0, top = 0, shift;
    size_t nodes;

    if (!(r.high > r.low && (r.high - r.low) / spacing < NODES_MAX))
        return (struct ym_cumulant){INFINITY, INFINITY, INFINITY};
    nodes = (size_t)((r.high - r.low) / spacing) + 2;
    shift = ym_loss_at(l, (r.low + r.high) / 2);
    for (size_t i = 0; i < nodes; i++) {
        double u = r.low + (double)i * spacing, loss = ym_loss_at(l, u), w = a * loss - u * u / 2, x;

        if (i == 0 || w > top) {
            double fade = i ? exp(top - w) : 0;

            sum *= fade;
            mean *= fade;
            square *= fade;
            top = w;
        }
        x = exp(w - top);
        sum += x;
        mean += x * (loss - shift);
        square += x * (loss - shift) * (loss - shift);
    }
    mean /= sum;
    return (struct ym_cumulant){top + log(sum * spacing / SQRT_2PI), mean + shift, square / sum - mean * mean};
}

struct ym_cumulant ym_losses_cumulant(const struct ym_loss *l, size_t losses, bool adding, double s)
{
    struct ym_cumulant all = {0, 0, 0};

    for (size_t i = 0; i < losses; i++) {
        struct ym_cumulant one = cumulant(&l[i], adding ? -s : 1 + s);

        all.k += l[i].steps * one.k;
        all.first += l[i].steps * (adding ? -one.first : one.first);
        all.second += l[i].steps * one.second;
    }
    return all;
}

/* log of the saddle-point approximation of delta at the epsilon whose saddle is s. */
static double log_delta(const struct ym_cumulant *c, double s, double *epsilon)
{
    double curve = c->second + 1 / (s * s) + 1 / ((1 + s) * (1 + s));

    *epsilon = c->first - 1 / s - 1 / (1 + s);
    return c->k - s * *epsilon - log(s) - log1p(s) - log(2 * M_PI * curve) / 2;
}

struct ym_saddle ym_losses_saddle(const struct ym_loss *l, size_t losses, bool adding, double delta)
{
    struct ym_cumulant c = ym_losses_cumulant(l, losses, adding, 0);
    double low = -60, high = 60, x = log(sqrt(-2 * log(delta) / c.second)), step = 1, epsilon = 0;

    x = fmin(fmax(x, -40), 40);
    for (int i = 0; i < 60 && high - low > 0.01; i++) {
        double s = exp(x), off, slope;

        c = ym_losses_cumulant(l, losses, adding, s);
        if (!isfinite(c.k)) {
            high = x;
            x = (low + high) / 2;
            continue;
        }
        off = log_delta(&c, s, &epsilon) - log(delta);
        if (fabs(off) < 0.05)
            break;
        if (off > 0)
            low = x;
        else
            high = x;
        slope = s * s * c.second + 2; /* of -off against log s, nearly */
        step = fmin(fmax(off / slope, -1), 1);
        x = x + step > low && x + step < high ? x + step : (low + high) / 2;
    }
    /* in a corner of K the derivative jumps and says little: Chernoff's bound does not */
    return (struct ym_saddle){exp(x), fmin(epsilon, (c.k - log(delta) - log1p(exp(x)) - 0.9) / exp(x))};
}

double ym_losses_saddle_at(const struct ym_loss *l, size_t losses, bool adding, double epsilon, double start)
{
    double low = -60, high = 60, x = fmin(fmax(log(start), -40), 40);

    for (int i = 0; i < 60 && high - low > 0.01; i++) {
        double s = exp(x), fall, step;
        struct ym_cumulant c = ym_losses_cumulant(l, losses, adding, s);

        if (!isfinite(c.k)) {
            high = x;
            x = (low + high) / 2;
            continue;
        }
        fall = epsilon + 1 / s + 1 / (1 + s) - c.first;
        if (fall > 0)
            low = x;
        else
            high = x;
        step = fall / (s * (c.second + 1 / (s * s) + 1 / ((1 + s) * (1 + s))));
        if (fabs(step) < 0.01)
            break;
        step = fmin(fmax(step, -1), 1);
        x = x + step > low && x + step < high ? x + step : (low + high) / 2;
    }
    return exp(x);
}

#include <math.h>
#include <stdlib.h>

#include "privacy/accountant.h"
#include "privacy/fft.h"
#include "privacy/loss_grid.h"
#include "privacy/loss_tilt.h"

/* The composed loss on a grid, weighted by e^(s loss) so that rounding is relative to the delta asked for. Every number
 * called a bound is one, rounding included: docs/privacy.md, "Certified", whose steps the comments name. */

#define U 0x1p-53
#define NEGLIGIBLE 12.0 /* log: what is cut off or wraps around is below e^-12 of delta */
#define BIAS 2e-4       /* of epsilon, from the grid */
#define BIAS_FLOOR 2e-6
#define STEP_MIN 0x1p-24 /* finer, rounding would show */
#define BITS_MAX 19
#define WORK_MAX 1e9 /* of one question, all tries; nearly nanoseconds */
#define STEPS_TOTAL_MAX 1e11
#define LOG_DELTA_MIN (-138.0) /* 1e-60 */
#define TINY 1e-290
#define FLUSH 1e-120 /* squares of magnitudes below it become 0 */
#define FLUSHED 1e-50
#define TRIES 5

struct query {
    struct ym_loss *loss;
    size_t losses;
    struct ym_tilt tilt;
    struct ym_reach *reach;    /* [losses] */
    double steps, slope;       /* -d log delta / d epsilon where it was last seen, or 0 */
    double log_delta, epsilon; /* one is asked for, the other a guess */
    double delta;              /* asked for */
    bool wants_delta;
    double work; /* so far */
};

struct frame { /* the grid of composed losses: [base, base + n) step, plus slip */
    double s, step;
    unsigned bits;
    size_t n;
    int64_t base;
};

struct bin {                /* one frequency; the mirrored one is its conjugate */
    double re[2], im[2];    /* removing, adding: products of powers */
    double size[2], off[2]; /* an upper bound of the true product's size, and of its relative error */
};

struct curve {
    double log_scale, lost, slip; /* composed mass at each loss is e^(log_scale - s loss) times tilted; at infinity */
    double *tilted;               /* [n] upper bounds */
};

struct composed {
    struct frame f;
    struct ym_fft *fft;
    double *re, *im; /* [n] */
    struct bin *bin; /* [n / 2 + 1] */
    struct curve way[2];
};

static double trimmed(double x) /* down to 20 bits, so that multiples are exact */
{
    int exponent;
    double m = frexp(x, &exponent);

    return ldexp(floor(ldexp(m, 20)), exponent - 20);
}

/* The line and the window. What wraps around from below comes with a factor e^(-s window); what wraps from above to a
 * loss above epsilon lies beyond epsilon + window, Chernoff's bound with a larger s; and so for what is not wrapped
 * but simply above the window (with s itself, as that one is certified). Where K has a corner a smaller s needs less.
 */
static double window_at(const struct query *q, bool adding, double s, double *top)
{
    static const double further[] = {1, 0.5, 0.25, 2};
    double floor = NEGLIGIBLE - q->log_delta, right = INFINITY;

    *top = (ym_tilt_cumulant(&q->tilt, adding, s).k + floor) / s;
    for (size_t i = 0; i < sizeof further / sizeof *further && right > floor / s; i++) {
        double more = s * further[i];

        right = fmin(right, (ym_tilt_cumulant(&q->tilt, adding, s + more).k - (s + more) * q->epsilon + floor) / more);
    }
    return fmax(fmax(floor / s, right), *top - q->epsilon) + 4 / s;
}

static double choose_window(const struct query *q, bool adding, double *s, double *top)
{
    double best = INFINITY, start = *s;

    for (double part = 1; part > 0.01; part *= 0.75) {
        double above, width = window_at(q, adding, start * part, &above);

        if (width < best) {
            best = width;
            *s = start * part;
            *top = above;
        }
        if (best < 1.5 * (NEGLIGIBLE - q->log_delta) / (start * part))
            break; /* copies from the left rule, and grow from here on */
    }
    return best;
}

static enum ym_code choose_frame(const struct query *q, bool adding, double s, struct frame *f, struct ym_status *st)
{
    double saddle = fmax(s, q->slope), top = 0, width = choose_window(q, adding, &s, &top), bias;

    bias = q->wants_delta ? BIAS / saddle : BIAS * q->epsilon + BIAS_FLOOR;
    f->s = s;
    f->step = trimmed(fmax(fmin(sqrt(12 * bias / (q->steps * (1 + saddle))), fmin(0.5 / saddle, 1)), STEP_MIN));
    for (f->bits = 6; ldexp(f->step, (int)f->bits) < width; f->bits++)
        if (f->bits == BITS_MAX)
            return ym_status_set(st, YM_EXHAUSTED, "the composed privacy loss needs more than 2^%d points", BITS_MAX);
    f->n = (size_t)1 << f->bits;
    if (!(top / f->step < 0x1p40))
        return ym_status_set(st, YM_EXHAUSTED, "the composed privacy loss is too large for a grid this fine");
    f->base = (int64_t)floor((q->epsilon + top) / 2 / f->step) - (int64_t)(f->n / 2);
    return YM_OK;
}

struct summed { /* Kahan: off by 4 U of itself at most */
    double sum, lost;
};

static void add(struct summed *k, double x)
{
    double y = x - k->lost, next = k->sum + y;

    k->lost = next - k->sum - y;
    k->sum = next;
}

/* The atoms' weights e^(s loss) mass, folded into out [n], their sum brought to 1 or a little less. Returns an upper
 * bound of the log of what they were divided by. */
static double fold(const struct ym_loss_grid *g, const struct frame *f, bool adding, double *out)
{
    double rate = adding ? -(1 + f->s) : f->s, top = -INFINITY, largest, folds, low, high, slack, x;
    size_t mask = f->n - 1;
    struct summed all = {0, 0};

    low = (double)g->low * f->step;
    high = low + (double)(g->count - 1) * f->step;
    for (size_t i = 0; i < g->count; i++)
        if (g->mass[i] > 0)
            top = fmax(top, log(g->mass[i]) + rate * (low + (double)i * f->step));
    for (size_t i = 0; i < f->n; i++)
        out[i] = 0;
    for (size_t i = 0; i < g->count; i++) {
        int64_t place = g->low + (int64_t)i;

        x = g->mass[i] * exp(rate * ((double)place * f->step) - top) + TINY;
        out[(size_t)(adding ? -place : place) & mask] += x;
        add(&all, x);
    }
    x = (adding ? g->above : g->below) * exp(f->s * (adding ? -high : low) - top);
    out[(size_t)(adding ? -(g->low + (int64_t)g->count - 1) : g->low) & mask] += x;
    add(&all, x);
    largest = fabs(rate) * fmax(-low, high) + fabs(top) + fabs(log(all.sum));
    folds = (double)g->count / (double)f->n + 2;
    slack = (folds + 32 + 8 * largest) * U;
    x = all.sum * (1 + (folds + 16) * U);
    for (size_t i = 0; i < f->n; i++)
        out[i] /= x;
    return top + log(x) + slack + (adding ? g->slip : 0);
}

/* *re + i *im times z^steps by squaring: relative error sqrt(5) U a multiplication, steps of them. */
static void multiply_power(double *re, double *im, double z_re, double z_im, uint64_t steps)
{
    for (;; steps >>= 1) {
        double size = z_re * z_re + z_im * z_im, a = *re, b = *im;

        if (size < FLUSH)
            z_re = z_im = 0;
        if (steps & 1) {
            *re = a * z_re - b * z_im;
            *im = a * z_im + b * z_re;
        }
        if (steps <= 1)
            break;
        a = z_re;
        z_re = a * a - z_im * z_im;
        z_im = 2 * a * z_im;
    }
    if (*re * *re + *im * *im < FLUSH)
        *re = *im = 0;
}

static double power(double x, uint64_t steps)
{
    double p = 1;

    for (; steps; steps >>= 1) {
        x = x < 1e-60 ? 0 : x;
        p = steps & 1 ? p * x : p;
        x *= x;
    }
    return p < 1e-60 ? 0 : p;
}

/* |product of computed powers - product of true ones| <= size min(1, off): with |X| off by e, both lie within
 * (|X| + e)^T, and a power's relative change is at most T e / |X|. */
static void bin_take(struct bin *b, int way, double re, double im, double error, double steps)
{
    double size = sqrt(re * re + im * im);

    multiply_power(&b->re[way], &b->im[way], re, im, (uint64_t)steps);
    b->size[way] *= power((size + error) * (1 + 4 * U), (uint64_t)steps);
    b->off[way] += steps * error / (size + 1e-200) + 8 * U * (steps + 1);
}

/* Bins stand for the places p of the bit-reversed order whose mirror is not before them. */
static size_t place_of(size_t bin, size_t n)
{
    size_t top = 1;

    if (bin == 0 || bin == n / 2)
        return bin ? 1 : 0;
    while (top <= bin / 2)
        top *= 2;
    return bin + top;
}

/* Two real vectors went through one transform, as real and imaginary part: Z = X + i Y. */
static void take_charge(struct composed *c, double steps)
{
    double error = 2 * ym_fft_error(c->fft) + 8 * U;

    ym_fft_forward(c->fft, c->re, c->im);
    for (size_t i = 0; i <= c->f.n / 2; i++) {
        size_t p = place_of(i, c->f.n), m = ym_fft_mirror(p);

        bin_take(&c->bin[i], 0, (c->re[p] + c->re[m]) / 2, (c->im[p] - c->im[m]) / 2, error, steps);
        bin_take(&c->bin[i], 1, (c->im[p] + c->im[m]) / 2, (c->re[m] - c->re[p]) / 2, error, steps);
    }
}

/* Back to losses; every coefficient raised by what all errors together can take from it. */
static void settle(struct composed *c)
{
    double off[2] = {0, 0}, sizes = 0, n = (double)c->f.n;

    for (size_t i = 0; i <= c->f.n / 2; i++) {
        struct bin *b = &c->bin[i];
        size_t p = place_of(i, c->f.n), m = ym_fft_mirror(p);

        for (int way = 0; way < 2; way++)
            off[way] += 2.01 * b->size[way] * fmin(1, b->off[way]);
        sizes += 2.01 * (b->size[0] + b->size[1]);
        c->re[m] = b->re[0] + b->im[1];
        c->im[m] = b->re[1] - b->im[0];
        c->re[p] = b->re[0] - b->im[1];
        c->im[p] = b->im[0] + b->re[1];
    }
    ym_fft_inverse(c->fft, c->re, c->im);
    for (int way = 0; way < 2; way++) {
        double *from = way ? c->im : c->re;
        double raise = (off[way] + sizes * (ym_fft_error(c->fft) + 8 * U)) / n * 1.01 + FLUSHED;

        for (size_t i = 0; i < c->f.n; i++) {
            size_t at = (size_t)(c->f.base + (int64_t)i) & (c->f.n - 1);

            c->way[way].tilted[i] = fmax(from[at] / n, 0) + raise;
        }
    }
}

static void composed_release(struct composed *c)
{
    ym_fft_free(c->fft);
    free(c->re);
    free(c->im);
    free(c->bin);
    free(c->way[0].tilted);
    free(c->way[1].tilted);
}

static enum ym_code composed_init(struct composed *c, struct ym_status *st)
{
    size_t n = c->f.n;
    enum ym_code code = ym_fft_new(c->f.bits, &c->fft, st);

    c->re = malloc(n * sizeof *c->re);
    c->im = malloc(n * sizeof *c->im);
    c->bin = calloc(n / 2 + 1, sizeof *c->bin);
    c->way[0].tilted = malloc(n * sizeof(double));
    c->way[1].tilted = malloc(n * sizeof(double));
    if (code == YM_OK && !(c->re && c->im && c->bin && c->way[0].tilted && c->way[1].tilted))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for %zu points", n);
    for (size_t i = 0; code == YM_OK && i <= n / 2; i++)
        for (int way = 0; way < 2; way++)
            c->bin[i].re[way] = c->bin[i].size[way] = 1;
    return code;
}

static void charge(struct curve *v, double log_scale)
{
    v->log_scale += log_scale;
    v->log_scale += 8 * U * (fabs(v->log_scale) + fabs(log_scale));
}

static double work_of(const struct query *q, const struct frame *f)
{
    double work = 0;

    for (size_t i = 0; i < q->losses; i++)
        work += 150 * ym_loss_grid_size(&q->loss[i], f->step, q->reach[i]) +
                (double)f->n * (2 * f->bits + 30 + 8 * log2(q->loss[i].steps));
    return work;
}

static enum ym_code compose(const struct query *q, struct composed *c, struct ym_status *st)
{
    enum ym_code code = composed_init(c, st);

    for (size_t i = 0; code == YM_OK && i < q->losses; i++) {
        const struct ym_loss *l = &q->loss[i];
        struct ym_loss_grid g = {.mass = NULL};

        code = ym_loss_grid_make(l, c->f.step, q->reach[i], &g, st);
        if (code != YM_OK)
            break;
        for (int way = 0; way < 2; way++) {
            charge(&c->way[way], l->steps * fold(&g, &c->f, way, way ? c->im : c->re));
            c->way[way].slip += l->steps * g.slip;
            c->way[way].lost += l->steps * (way ? g.lost_add : g.lost_remove);
        }
        free(g.mass);
        take_charge(c, l->steps);
    }
    if (code == YM_OK)
        settle(c);
    return code;
}

/* delta at the grid's points from above: over the tilted masses above i, weighed by e^(-s distance), G is their sum
 * and D the sum of their 1 - e^-distance. All terms are positive, so rounding is relative. */
struct walk {
    const struct frame *f;
    const struct curve *v;
    double fade, keep, share, raise, gone; /* gone: at infinity, or above the window (Chernoff) */
    double sum, shortfall;
    int64_t at; /* loss at * step */
};

static double log_scale_up(const struct curve *v, double s, double loss)
{
    double x = v->log_scale - s * loss;

    return x + 8 * U * (fabs(v->log_scale) + fabs(s * loss) + 1);
}

static struct walk walk_start(const struct frame *f, const struct curve *v)
{
    struct walk w = {.f = f, .v = v, .fade = exp(-f->s * f->step) * (1 + 8 * U), .keep = exp(-f->step)};
    int64_t end = f->base + (int64_t)f->n;

    w.share = -expm1(-f->step) * (1 + 8 * U);
    w.raise = 1 + 32 * U * (double)f->n;
    w.gone = v->lost * (1 + 1e-9) + exp(log_scale_up(v, f->s, (double)end * f->step)) * (1 + 8 * U);
    w.at = end - 1;
    w.sum = v->tilted[f->n - 1];
    return w;
}

static double walk_delta(const struct walk *w)
{
    double weight = exp(log_scale_up(w->v, w->f->s, (double)w->at * w->f->step));

    return fmin(1, w->shortfall > 0 ? weight * w->shortfall * w->raise + w->gone : w->gone);
}

static bool walk_down(struct walk *w)
{
    if (w->at == w->f->base)
        return false;
    w->at--;
    w->shortfall = w->fade * (w->keep * w->shortfall + w->share * w->sum);
    w->sum = w->v->tilted[w->at - w->f->base] + w->fade * w->sum;
    return true;
}

struct found {
    double answer[2]; /* removing, adding */
    double slope, step;
    bool adding, edge; /* the direction that decided; whether the window's end did */
};

/* INFINITY where the window does not reach. */
static double curve_epsilon(const struct frame *f, const struct curve *v, double delta, struct found *out)
{
    struct walk w = walk_start(f, v);
    double above = walk_delta(&w), here = above, part, epsilon;

    if (!(above <= delta))
        return INFINITY;
    while (here <= delta && w.at >= 0) {
        above = here;
        if (!walk_down(&w)) {
            out->edge = true;
            return (double)w.at * f->step + v->slip * (1 + 1e-9);
        }
        here = walk_delta(&w);
    }
    if (here <= delta)
        return 0;
    out->slope = log(here / above) / f->step;
    part = fmin(1, (here - delta) / (here - above) * (1 + 16 * U)); /* of the way up in e^epsilon */
    epsilon = (double)w.at * f->step + log1p(part * expm1(f->step)) * (1 + 16 * U) + v->slip * (1 + 1e-9);
    return fmax(0, epsilon + 8 * U * fabs(epsilon));
}

static double curve_delta(const struct frame *f, const struct curve *v, double epsilon, struct found *out)
{
    struct walk w = walk_start(f, v);
    double from = epsilon - v->slip * (1 + 1e-9) - 4 * U * epsilon, above = walk_delta(&w), here = above, part;

    while ((double)w.at * f->step > from) {
        above = here;
        if (!walk_down(&w)) {
            out->edge = true;
            return 1;
        }
        here = walk_delta(&w);
    }
    out->slope = log(here / above) / f->step;
    part = fmax(0, expm1(from - (double)w.at * f->step) / expm1(f->step) * (1 - 16 * U));
    return fmin(1, here - fmin(1, part) * (here - above) * (1 - 16 * U) + 4 * U * here);
}

/* Beyond it a law has so little mass that the given number of them has less than e^-NEGLIGIBLE of delta. */
static double reach_of(double times, double log_delta)
{
    return sqrt(fmax(log(times) - log_delta + NEGLIGIBLE - 2, 1));
}

static enum ym_code look(struct query *q, double log_delta, struct ym_status *st)
{
    q->log_delta = log_delta;
    for (size_t i = 0; i < q->losses; i++)
        q->reach[i] = (struct ym_reach){reach_of(q->steps, log_delta), reach_of(q->steps * q->loss[i].q, log_delta)};
    ym_tilt_release(&q->tilt);
    return ym_tilt_make(q->loss, q->losses, q->reach, &q->tilt, st);
}

static enum ym_code query_init(struct query *q, const struct ym_event *e, size_t count, double log_delta,
                               struct ym_status *st)
{
    enum ym_code code = ym_losses_collect(e, count, &q->loss, &q->losses, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; i < q->losses; i++)
        q->steps += q->loss[i].steps;
    if (!(q->steps < STEPS_TOTAL_MAX))
        return ym_status_set(st, YM_EXHAUSTED, "more than %g steps are not composed", STEPS_TOTAL_MAX);
    q->reach = calloc(q->losses + 1, sizeof *q->reach);
    if (!q->reach)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu charges", q->losses);
    return look(q, log_delta, st);
}

static void query_release(struct query *q)
{
    ym_tilt_release(&q->tilt);
    free(q->reach);
    free(q->loss);
}

/* One frame around the guess: bounds, whatever the guess. */
static enum ym_code attempt(struct query *q, bool adding, double s, struct found *out, struct ym_status *st)
{
    struct composed c = {.bin = NULL};
    enum ym_code code = choose_frame(q, adding, s, &c.f, st);
    double answer[2];

    if (code == YM_OK) {
        q->work += work_of(q, &c.f);
        if (!(q->work < WORK_MAX))
            code = ym_status_set(st, YM_EXHAUSTED, "too many different charges to compose on a grid this fine");
    }
    if (code == YM_OK)
        code = compose(q, &c, st);
    for (int way = 0; code == YM_OK && way < 2; way++) {
        struct found f = {.adding = way, .step = c.f.step};

        answer[way] = q->wants_delta ? curve_delta(&c.f, &c.way[way], q->epsilon, &f)
                                     : curve_epsilon(&c.f, &c.way[way], q->delta, &f);
        if (way == 0 || answer[way] > answer[0])
            *out = f;
    }
    composed_release(&c);
    if (code == YM_OK) {
        out->answer[0] = answer[0];
        out->answer[1] = answer[1];
    }
    return code;
}

/* The grid's share of the answer, in epsilon. */
static double bias_of(const struct query *q, const struct found *f)
{
    return q->steps * (1 + f->slope) * f->step * f->step / 12;
}

static enum ym_code find_epsilon(struct query *q, double epsilon[2], struct ym_status *st)
{
    struct ym_saddle at[2] = {ym_tilt_saddle(&q->tilt, false, q->log_delta),
                              ym_tilt_saddle(&q->tilt, true, q->log_delta)};
    bool adding = at[1].epsilon > at[0].epsilon;
    double guess = at[adding].epsilon, s = guess > 0 ? at[adding].s : ym_tilt_saddle_at(&q->tilt, adding, 0);
    enum ym_code code = YM_OK;

    epsilon[0] = epsilon[1] = INFINITY;
    for (int tries = 0; tries < TRIES; tries++) {
        struct found f;
        double most;

        q->epsilon = fmax(guess, 0);
        code = attempt(q, adding, s, &f, tries ? NULL : st);
        if (code != YM_OK)
            break;
        epsilon[0] = fmin(epsilon[0], f.answer[0]);
        epsilon[1] = fmin(epsilon[1], f.answer[1]);
        most = f.answer[f.adding];
        if (!f.edge && fabs(most - q->epsilon) * s < 4 && bias_of(q, &f) < 2 * (BIAS * most + BIAS_FLOOR))
            break;
        if (isfinite(most))
            guess = most;
        else if (f.adding == adding)
            guess = 2 * q->epsilon + 8 / s;
        adding = f.adding;
        q->slope = f.slope;
        s = ym_tilt_saddle_at(&q->tilt, adding, guess);
    }
    if (isfinite(epsilon[0]) && isfinite(epsilon[1]))
        return YM_OK;
    if (code != YM_OK)
        return code;
    return ym_status_set(st, YM_EXHAUSTED, "no bound of epsilon was found for delta %g", q->delta);
}

enum ym_code ym_pld_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                             struct ym_status *st)
{
    struct query q = {.wants_delta = false, .delta = delta};
    double found[2] = {0, 0};
    enum ym_code code;

    if (!(delta > 0 && delta < 1))
        return ym_status_set(st, YM_INVALID, "delta %g is not between 0 and 1", delta);
    if (log(delta) < LOG_DELTA_MIN)
        return ym_status_set(st, YM_EXHAUSTED, "delta %g is too small to be accounted", delta);
    code = query_init(&q, e, count, log(delta), st);
    if (code == YM_OK && q.losses > 0)
        code = find_epsilon(&q, found, st);
    if (code == YM_OK) {
        epsilon[0] = found[0];
        epsilon[1] = found[1];
    }
    query_release(&q);
    return code;
}

enum ym_code ym_pld_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon, struct ym_status *st)
{
    double both[2];
    enum ym_code code = ym_pld_epsilons(e, count, delta, both, st);

    if (code == YM_OK)
        *epsilon = fmax(both[0], both[1]);
    return code;
}

static enum ym_code find_delta(struct query *q, double *delta, struct ym_status *st)
{
    double hint[2], ignored;
    enum ym_code code = YM_OK;
    bool adding;

    for (int way = 0; way < 2; way++)
        hint[way] = ym_tilt_delta(&q->tilt, way, ym_tilt_saddle_at(&q->tilt, way, q->epsilon), &ignored);
    adding = hint[1] > hint[0];
    *delta = 1;
    for (int tries = 0; code == YM_OK && tries < TRIES; tries++) {
        struct found f;
        double most, guess = tries ? log(*delta) : hint[adding];

        code = look(q, fmin(fmax(guess, LOG_DELTA_MIN), -0.01), tries ? NULL : st);
        if (code == YM_OK)
            code = attempt(q, adding, ym_tilt_saddle_at(&q->tilt, adding, q->epsilon), &f, tries ? NULL : st);
        if (code != YM_OK)
            break;
        most = f.answer[f.adding];
        *delta = fmin(*delta, most);
        if (fabs(fmax(log(most), LOG_DELTA_MIN) - q->log_delta) < 3 && bias_of(q, &f) * f.slope < 3 * BIAS)
            break;
        adding = f.adding;
        q->slope = f.slope;
    }
    return code != YM_OK && *delta < 1 ? YM_OK : code;
}

enum ym_code ym_pld_delta(const struct ym_event *e, size_t count, double epsilon, double *delta, struct ym_status *st)
{
    struct query q = {.wants_delta = true, .epsilon = epsilon};
    double found = 0;
    enum ym_code code;

    if (!(epsilon >= 0 && epsilon < 1e9))
        return ym_status_set(st, YM_INVALID, "epsilon %g is negative or absurd", epsilon);
    code = query_init(&q, e, count, LOG_DELTA_MIN, st);
    if (code == YM_OK && q.losses > 0)
        code = find_delta(&q, &found, st);
    if (code == YM_OK)
        *delta = found;
    query_release(&q);
    return code;
}

#include "privacy/loss_compose.h"

#include <math.h>
#include <stdlib.h>

#define U 0x1p-53
#define TINY 1e-290
#define FLUSH 1e-120 /* squares of magnitudes below it become 0 */
#define FLUSHED 1e-50

struct ym_composed_bin {    /* one frequency; the mirrored one is its conjugate */
    double re[2], im[2];    /* removing, adding: products of powers */
    double size[2], off[2]; /* an upper bound of the true product's size, and of its relative error */
};

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
static double fold(const struct ym_loss_grid *g, const struct ym_loss_frame *f, bool adding, double *out)
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
static void bin_take(struct ym_composed_bin *b, int way, double re, double im, double error, double steps)
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
static void take_charge(struct ym_composed *c, double steps)
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
static void settle(struct ym_composed *c)
{
    double off[2] = {0, 0}, sizes = 0, n = (double)c->f.n;

    for (size_t i = 0; i <= c->f.n / 2; i++) {
        struct ym_composed_bin *b = &c->bin[i];
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

void ym_composed_release(struct ym_composed *c)
{
    ym_fft_free(c->fft);
    free(c->re);
    free(c->im);
    free(c->bin);
    free(c->way[0].tilted);
    free(c->way[1].tilted);
}

static enum ym_code composed_init(struct ym_composed *c, struct ym_status *st)
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

static void charge(struct ym_composed_curve *v, double log_scale)
{
    v->log_scale += log_scale;
    v->log_scale += 8 * U * (fabs(v->log_scale) + fabs(log_scale));
}

enum ym_code ym_losses_compose(const struct ym_loss *l, size_t losses, const struct ym_reach *reach,
                               struct ym_composed *c, struct ym_status *st)
{
    enum ym_code code = composed_init(c, st);

    for (size_t i = 0; code == YM_OK && i < losses; i++) {
        struct ym_loss_grid g = {.mass = NULL};

        code = ym_loss_grid_make(&l[i], c->f.step, reach[i], &g, st);
        if (code != YM_OK)
            break;
        for (int way = 0; way < 2; way++) {
            charge(&c->way[way], l[i].steps * fold(&g, &c->f, way, way ? c->im : c->re));
            c->way[way].slip += l[i].steps * g.slip;
            c->way[way].lost += l[i].steps * (way ? g.lost_add : g.lost_remove);
        }
        free(g.mass);
        take_charge(c, l[i].steps);
    }
    if (code == YM_OK)
        settle(c);
    return code;
}

/* delta at the grid's points from above: over the tilted masses above i, weighed by e^(-s distance), G is their sum
 * and D the sum of their 1 - e^-distance. All terms are positive, so rounding is relative. */
struct walk {
    const struct ym_loss_frame *f;
    const struct ym_composed_curve *v;
    double fade, keep, share, raise, gone; /* gone: at infinity, or above the window (Chernoff) */
    double sum, shortfall;
    int64_t at; /* loss at * step */
};

static double log_scale_up(const struct ym_composed_curve *v, double s, double loss)
{
    double x = v->log_scale - s * loss;

    return x + 8 * U * (fabs(v->log_scale) + fabs(s * loss) + 1);
}

static struct walk walk_start(const struct ym_loss_frame *f, const struct ym_composed_curve *v)
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

double ym_composed_epsilon(const struct ym_composed *c, bool adding, double delta, struct ym_composed_at *at)
{
    const struct ym_loss_frame *f = &c->f;
    const struct ym_composed_curve *v = &c->way[adding];
    struct walk w = walk_start(f, v);
    double above = walk_delta(&w), here = above, part, epsilon;

    if (!(above <= delta))
        return INFINITY;
    while (here <= delta && w.at >= 0) {
        above = here;
        if (!walk_down(&w)) {
            at->edge = true;
            return ((double)w.at * f->step + v->slip * (1 + 1e-9)) * (1 + 8 * U);
        }
        here = walk_delta(&w);
    }
    if (here <= delta)
        return 0;
    at->slope = log(here / above) / f->step;
    part = fmin(1, (here - delta) / (here - above) * (1 + 16 * U)); /* of the way up in e^epsilon */
    epsilon = (double)w.at * f->step + log1p(part * expm1(f->step)) * (1 + 16 * U) + v->slip * (1 + 1e-9);
    return fmax(0, epsilon + 8 * U * fabs(epsilon));
}

double ym_composed_delta(const struct ym_composed *c, bool adding, double epsilon, struct ym_composed_at *at)
{
    const struct ym_loss_frame *f = &c->f;
    const struct ym_composed_curve *v = &c->way[adding];
    struct walk w = walk_start(f, v);
    double from = epsilon - v->slip * (1 + 1e-9) - 4 * U * epsilon, above = walk_delta(&w), here = above, part;

    while ((double)w.at * f->step > from) {
        above = here;
        if (!walk_down(&w)) {
            at->edge = true;
            return 1;
        }
        here = walk_delta(&w);
    }
    at->slope = log(here / above) / f->step;
    part = fmax(0, expm1(from - (double)w.at * f->step) / expm1(f->step) * (1 - 16 * U));
    return fmin(1, here - fmin(1, part) * (here - above) * (1 - 16 * U) + 4 * U * here);
}

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/mechanisms.h"

#define LOG_BEYOND 705.0 /* the tails that are left out: below 2 e^-705, for at most 2^16 parties below 1e-300 */
#define PARTIES_MAX 65536
#define LEFT_OUT 1e-300
#define ALLOWANCE 1e-10 /* of delta: the probabilities' relative error, generously */

static enum ym_code noise_make(double reach, struct ym_integer_noise *out, struct ym_status *st)
{
    if (!(reach <= YM_INTEGER_REACH))
        return ym_status_set(st, YM_EXHAUSTED, "integer noise reaches beyond %d units", YM_INTEGER_REACH);
    out->reach = (size_t)reach;
    out->p = calloc(2 * out->reach + 1, sizeof *out->p);
    return out->p ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for %zu probabilities", 2 * out->reach + 1);
}

void ym_integer_noise_release(struct ym_integer_noise *n)
{
    free(n->p);
    *n = (struct ym_integer_noise){0};
}

/* A discrete Gaussian is sub-Gaussian with its own sigma (Canonne, Kamath, Steinke 2020, Cor. 17), and so is a sum:
 * P[|x| > r] <= 2 e^(-r^2 / 2 n sigma^2). */
static double gaussian_reach(double sigma, size_t parties)
{
    return ceil(sqrt(2 * LOG_BEYOND * (double)parties) * sigma) + 1;
}

static enum ym_code one_gaussian(double sigma, struct ym_integer_noise *out, struct ym_status *st)
{
    enum ym_code code = noise_make(gaussian_reach(sigma, 1), out, st);
    double sum = 0;

    if (code != YM_OK)
        return code;
    for (size_t i = 0; i <= 2 * out->reach; i++) {
        double x = (double)i - (double)out->reach;

        out->p[i] = exp(-x * x / (2 * sigma * sigma));
        sum += out->p[i];
    }
    for (size_t i = 0; i <= 2 * out->reach; i++)
        out->p[i] /= sum;
    return YM_OK;
}

/* Sum of independent a and b, cut at reach. All terms are positive: every digit of the tails holds, which a Fourier
 * transform would lose. */
static enum ym_code convolve(const struct ym_integer_noise *a, const struct ym_integer_noise *b, double reach,
                             struct ym_integer_noise *out, struct ym_status *st)
{
    enum ym_code code = noise_make(fmin(reach, (double)(a->reach + b->reach)), out, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; i <= 2 * a->reach; i++) {
        for (size_t j = 0; j <= 2 * b->reach; j++) {
            size_t at = i + j + out->reach; /* + a.reach + b.reach too far right */

            if (at >= a->reach + b->reach && at - a->reach - b->reach <= 2 * out->reach)
                out->p[at - a->reach - b->reach] += a->p[i] * b->p[j];
        }
    }
    return YM_OK;
}

static enum ym_code add_into(struct ym_integer_noise *sum, const struct ym_integer_noise *n, double reach,
                             struct ym_status *st)
{
    struct ym_integer_noise both = {0};
    enum ym_code code = convolve(sum, n, reach, &both, st);

    if (code == YM_OK) {
        ym_integer_noise_release(sum);
        *sum = both;
    }
    return code;
}

enum ym_code ym_integer_noise_gaussian(double sigma, size_t parties, struct ym_integer_noise *out, struct ym_status *st)
{
    struct ym_integer_noise sum = {0}, power = {0};
    enum ym_code code;

    if (!(sigma > 0 && isfinite(sigma)) || parties == 0 || parties > PARTIES_MAX)
        return ym_status_set(st, YM_INVALID, "sigma must be positive, and parties between 1 and %d", PARTIES_MAX);
    if (!(gaussian_reach(sigma, parties) <= YM_INTEGER_REACH))
        return ym_status_set(st, YM_EXHAUSTED, "integer noise reaches beyond %d units", YM_INTEGER_REACH);
    code = noise_make(0, &sum, st);
    if (code == YM_OK) {
        sum.p[0] = 1;
        code = one_gaussian(sigma, &power, st);
    }
    for (size_t left = parties, each = 1; code == YM_OK; each *= 2) {
        if (left & 1)
            code = add_into(&sum, &power, gaussian_reach(sigma, parties), st);
        left /= 2;
        if (left == 0 || code != YM_OK)
            break;
        code = add_into(&power, &power, gaussian_reach(sigma, 2 * each), st);
    }
    ym_integer_noise_release(&power);
    if (code == YM_OK)
        *out = sum;
    else
        ym_integer_noise_release(&sum);
    return code;
}

/* Chernoff: log P[x >= r] <= sqrt(v^2 + r^2) - v - r asinh(r / v). */
static double skellam_reach(double variance)
{
    double r = 1;

    while (r <= YM_INTEGER_REACH &&
           sqrt(variance * variance + r * r) - variance - r * asinh(r / variance) > -LOG_BEYOND)
        r++;
    return r;
}

/* P[k] = e^-v I_k(v). Downwards I_(k-1) = I_(k+1) + 2k/v I_k is stable and has positive terms only (Miller); the sum
 * over all k is 1. */
enum ym_code ym_integer_noise_skellam(double variance, struct ym_integer_noise *out, struct ym_status *st)
{
    struct ym_integer_noise n = {0};
    double above = 0, here = 1e-300, sum;
    enum ym_code code;
    size_t start;

    if (!(variance > 0 && isfinite(variance)))
        return ym_status_set(st, YM_INVALID, "the variance must be positive");
    code = noise_make(skellam_reach(variance), &n, st);
    if (code != YM_OK)
        return code;
    start = 2 * n.reach;
    for (size_t k = start; k > 0; k--) {
        double below = above + 2 * (double)k / variance * here;

        above = here;
        here = below;
        if (k - 1 <= n.reach)
            n.p[n.reach + k - 1] = here;
        if (here > 1e200) { /* one factor for all that is kept */
            for (size_t i = k - 1; i <= n.reach; i++)
                n.p[n.reach + i] *= 1e-200;
            above *= 1e-200;
            here *= 1e-200;
        }
    }
    sum = n.p[n.reach];
    for (size_t k = n.reach; k > 0; k--)
        sum += 2 * n.p[n.reach + k];
    for (size_t k = 0; k <= n.reach; k++)
        n.p[n.reach - k] = n.p[n.reach + k] /= sum;
    *out = n;
    return YM_OK;
}

double ym_integer_noise_delta(const struct ym_integer_noise *n, size_t shift, double epsilon)
{
    double sum = 0, factor = exp(epsilon);

    if (!(epsilon >= 0))
        return INFINITY;
    for (size_t i = 0; i <= 2 * n->reach; i++) {
        double other = i >= shift ? n->p[i - shift] : 0;
        double more = n->p[i] - (other > 0 ? factor * other : 0);

        sum += more > 0 ? more : 0;
    }
    return fmin(1, sum * (1 + ALLOWANCE) + LEFT_OUT);
}

double ym_integer_noise_epsilon(const struct ym_integer_noise *n, size_t shift, double delta)
{
    double low = 0, high = 1;

    if (!(delta > 0 && delta < 1) || shift == 0)
        return INFINITY;
    if (ym_integer_noise_delta(n, shift, 0) <= delta)
        return 0;
    for (; ym_integer_noise_delta(n, shift, high) > delta; high *= 2)
        if (high > 1e9)
            return INFINITY;
    for (double middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2)
        *(ym_integer_noise_delta(n, shift, middle) <= delta ? &high : &low) = middle;
    return high;
}

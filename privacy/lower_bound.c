#include "privacy/lower_bound.h"

#include <float.h>
#include <math.h>

enum { HALVINGS = 60, MU_MOST = 16 };

static double normal_below(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* Newton from the tail's asymptote, kept inside a bracket. */
static double normal_quantile(double p)
{
    double low = -40, high = 40, z = 0;

    for (int i = 0; i < 100 && high - low > 1e-14 * (1 + fabs(z)); i++) {
        double over = normal_below(z) - p, slope = exp(-z * z / 2) / sqrt(2 * M_PI), next;

        if (over > 0)
            high = z;
        else
            low = z;
        next = slope > 0 ? z - over / slope : low;
        z = next > low && next < high ? next : (low + high) / 2;
    }
    return z;
}

static double log_of_pmf(double n, double k, double rate)
{
    int sign;

    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign) + k * log(rate) +
           (n - k) * log1p(-rate);
}

/* P[Bin(n, rate) >= k], 0 < rate < 1, summed away from the peak of the smaller side. */
static double binomial_from(double n, double k, double rate)
{
    double odds = rate / (1 - rate), sum = 0, term;

    if (k <= 0)
        return 1;
    if (k > n)
        return 0;
    if (k < n * rate) { /* 1 - P[< k] */
        term = exp(log_of_pmf(n, k - 1, rate));
        for (double i = k - 1; i >= 0 && term > sum * DBL_EPSILON * 1e-3; i--) {
            sum += term;
            term *= i / (n - i + 1) / odds;
        }
        return fmax(0, 1 - sum);
    }
    term = exp(log_of_pmf(n, k, rate));
    for (double i = k; i <= n && term > sum * DBL_EPSILON * 1e-3; i++) {
        sum += term;
        term *= (n - i) / (i + 1) * odds;
    }
    return fmin(1, sum);
}

/* max over i of P[correct - i <= Bin < correct] / i */
static double worst_mean(double n, double correct, double rate)
{
    double sum = 0, worst = 0;
    double term = correct > 0 ? exp(log_of_pmf(n, correct - 1, rate)) : 0;

    for (double k = correct - 1, i = 1; k >= 0; k--, i++) {
        sum += term;
        worst = fmax(worst, sum / i);
        term *= k / (n - k + 1) * (1 - rate) / rate;
    }
    return worst;
}

double ym_one_run_p_value(const struct ym_guesses *g, double epsilon, double delta)
{
    double rate = 1 / (1 + exp(-epsilon)), n = (double)g->guesses, v = (double)g->correct, m = (double)g->canaries;

    if (rate >= 1)
        return 1;
    return fmin(1, binomial_from(n, v, rate) + 2 * m * delta * worst_mean(n, v, rate));
}

double ym_one_run_epsilon(const struct ym_guesses *g, double delta, double p)
{
    double low = 0, high = 64;

    if (g->correct == 0 || ym_one_run_p_value(g, 0, delta) >= p)
        return 0;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;

        if (ym_one_run_p_value(g, middle, delta) < p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Right and wrong are the masses of "i guesses right" split by one guess; they may
 * add up to the share of guessed canaries at most. */
static int gaussian_possible(const struct ym_guesses *g, double mu, double p)
{
    double m = (double)g->canaries, n = (double)g->guesses, v = (double)g->correct;
    double right = p * v / m, wrong = p * (n - v) / m;

    for (double i = v - 1; i >= 0; i--) {
        double next = right < 1 ? fmax(wrong, normal_below(normal_quantile(right) - mu)) : 1;

        right += i / (n - i) * (next - wrong);
        wrong = next;
        if (right + wrong > n / m)
            return 0;
    }
    return 1;
}

double ym_one_run_mu(const struct ym_guesses *g, double p)
{
    double low = 0, high = MU_MOST;

    if (g->correct == 0 || gaussian_possible(g, 0, p))
        return 0;
    for (int i = 0; i < 44; i++) {
        double middle = (low + high) / 2;

        if (gaussian_possible(g, middle, p))
            high = middle;
        else
            low = middle;
    }
    return low;
}

double ym_rate_upper(uint64_t hits, uint64_t trials, double p)
{
    double low = 0, high = 1;

    if (hits >= trials)
        return 1;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;

        /* P[Bin <= hits] = P[trials - Bin >= trials - hits] */
        if (binomial_from((double)trials, (double)(trials - hits), 1 - middle) > p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double ym_two_world_epsilon(const struct ym_worlds *w, double delta, double p)
{
    double alarm = ym_rate_upper(w->false_alarms, w->without, p / 2);
    double miss = ym_rate_upper(w->misses, w->with, p / 2);
    double best = 0;

    if (1 - delta - alarm > 0)
        best = fmax(best, log((1 - delta - alarm) / miss));
    if (1 - delta - miss > 0)
        best = fmax(best, log((1 - delta - miss) / alarm));
    return best;
}

double ym_two_world_mu(const struct ym_worlds *w, double p)
{
    double alarm = ym_rate_upper(w->false_alarms, w->without, p / 2);
    double miss = ym_rate_upper(w->misses, w->with, p / 2);

    if (alarm >= 1 || miss >= 1)
        return 0;
    return fmax(0, -normal_quantile(alarm) - normal_quantile(miss));
}

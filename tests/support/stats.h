#ifndef YM_TESTS_SUPPORT_STATS_H
#define YM_TESTS_SUPPORT_STATS_H

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Tail probabilities for statistical tests. A test program states how many checks
 * it makes and fails one at FALSE_ALARM / checks, so that a correct program turns
 * it red less than once in a million runs. */
#define FALSE_ALARM 1e-6

/* P(X > x) for a Gamma(a, 1), by series or continued fraction (Lentz). */
static inline double stats_gamma_above(double a, double x)
{
    double front = exp(a * log(x) - x - lgamma(a));

    if (x <= 0)
        return 1;
    if (x < a + 1) {
        double term = 1 / a, sum = term;

        for (double n = 1; term > sum * DBL_EPSILON; n++)
            sum += term *= x / (a + n);
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;

    for (double n = 1; n < 1e7; n++) {
        double an = -n * (n - a), step;

        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        step = c * d;
        h *= step;
        if (fabs(step - 1) < 4 * DBL_EPSILON)
            break;
    }
    return front * h;
}

static inline double stats_chi2_above(double x, double df)
{
    return stats_gamma_above(df / 2, x / 2);
}

/* Both tails: too much spread and too little. */
static inline double stats_chi2_two_sided(double x, double df)
{
    double above = stats_chi2_above(x, df);

    return 2 * (above < 0.5 ? above : 1 - above);
}

static inline double stats_normal_two_sided(double z)
{
    return erfc(fabs(z) / M_SQRT2);
}

/* Kolmogorov's limit for n deviates that should be uniform; sorts u. Its error at
 * n >= 1e4 is small beside any threshold used here (Marsaglia, Tsang, Wang 2003). */
static inline int stats_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double stats_uniform_ks(double *u, size_t n)
{
    double d = 0, p = 0;

    qsort(u, n, sizeof *u, stats_by_value);
    for (size_t i = 0; i < n; i++) {
        d = fmax(d, (double)(i + 1) / (double)n - u[i]);
        d = fmax(d, u[i] - (double)i / (double)n);
    }
    double t = d * (sqrt((double)n) + 0.12 + 0.11 / sqrt((double)n));

    for (int k = 1; k <= 100; k++)
        p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * t * t);
    return t < 0.2 ? 1 : p;
}

/* Pearson's statistic, merging neighbours until each cell expects at least 10. */
static inline double stats_pearson(const double *expected, const double *seen, size_t cells, double *df)
{
    double total = 0, e = 0, o = 0, kept_e = 0, kept_o = 0;
    size_t kept = 0;

    for (size_t i = 0; i < cells; i++) {
        e += expected[i];
        o += seen[i];
        if (e < 10)
            continue;
        if (kept++ > 0)
            total += (kept_o - kept_e) * (kept_o - kept_e) / kept_e;
        kept_e = e;
        kept_o = o;
        e = o = 0;
    }
    kept_e += e; /* what is left joins the last cell */
    kept_o += o;
    total += (kept_o - kept_e) * (kept_o - kept_e) / kept_e;
    *df = (double)kept - 1;
    return total;
}

#endif

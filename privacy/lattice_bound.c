#include <math.h>
#include <stdbool.h>

#include "privacy/mechanisms.h"

#define ORDER_MAX 1024
#define ORDER_MAX_SAMPLED 512 /* each costs as many terms */
#define ALLOWANCE 1e-10

struct bound {
    const struct ym_lattice_release *release;
    double deviation, tau; /* of the whole noise; tau is of the discrete Gaussian only */
    bool skellam;
};

/* Theorem 22 there, with the conditional bound's square; l1 <= l2^2 as coordinates are whole. */
void ym_lattice_norms(double clip, double beta, struct ym_lattice_release *r)
{
    double root = sqrt(r->dim), likely = clip * clip + r->dim / 4 + sqrt(-2 * log(beta)) * (clip + root / 2);

    r->l2 = sqrt(fmin(likely, (clip + root) * (clip + root)));
    r->l1 = fmin(root * r->l2, r->l2 * r->l2);
}

double ym_distributed_gaussian_tau(double sigma, size_t parties)
{
    double sum = 0;

    for (size_t k = 1; k < parties; k++)
        sum += exp(-2 * M_PI * M_PI * sigma * sigma * (double)k / (double)(k + 1));
    return 10 * sum;
}

static double gaussian_rdp(const struct bound *b, double order)
{
    double l2 = b->release->l2 / b->deviation, l1 = b->release->l1 / b->deviation, dim = b->release->dim;
    double apart = l2 + b->tau * sqrt(dim);
    double first = order / 2 * l2 * l2 + b->tau * dim;
    double second = order / 2 * (l2 * l2 + 2 * b->tau * l1 + b->tau * b->tau * dim);

    return fmin(fmin(first, second), order / 2 * apart * apart);
}

static double skellam_rdp(const struct bound *b, double order)
{
    double v = b->deviation * b->deviation, l2 = b->release->l2 * b->release->l2, l1 = b->release->l1;

    return order * l2 / (2 * v) + fmin(((2 * order - 1) * l2 + 6 * l1) / (4 * v * v), 3 * l1 / (2 * v));
}

static double rdp(const struct bound *b, int order)
{
    return b->skellam ? skellam_rdp(b, order) : gaussian_rdp(b, order);
}

static double log_choose(int n, int k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

static double log_add(double a, double b)
{
    return fmax(a, b) + log1p(exp(-fabs(a - b)));
}

/* Zhu, Wang 2019, theorem 5: at a whole order, from the divergences at all lower ones. plain[l] = rdp(l). */
static double sampled_rdp(const double *plain, double q, int order)
{
    double keep = log1p(-q), log_q = log(q);
    double sum = (order - 1) * keep + log1p((order - 1) * q);

    for (int l = 2; l <= order; l++)
        sum = log_add(sum, log_choose(order, l) + l * log_q + (order - l) * keep + (l - 1) * plain[l] +
                               (l == 2 ? 0 : log(3)));
    return sum / (order - 1);
}

/* Canonne, Kamath, Steinke 2020, Proposition 12. */
static double epsilon_of(const struct bound *b, double delta)
{
    const struct ym_lattice_release *r = b->release;
    int most = r->q < 1 ? ORDER_MAX_SAMPLED : ORDER_MAX;
    double plain[ORDER_MAX + 1], best = INFINITY;

    if (!(delta > 0 && delta < 1 && r->q > 0 && r->q <= 1 && r->l1 >= 0 && r->l2 >= 0 && r->dim >= 1 &&
          b->deviation > 0))
        return INFINITY;
    for (int order = 2; order <= most; order++) {
        double each, epsilon;

        plain[order] = rdp(b, order);
        each = r->q < 1 ? sampled_rdp(plain, r->q, order) : plain[order];
        epsilon = (double)r->steps * each * (1 + ALLOWANCE) + log1p(-1.0 / order) - log(delta * order) / (order - 1);
        best = fmin(best, epsilon);
    }
    return fmax(0, best) * (1 + ALLOWANCE);
}

double ym_distributed_gaussian_epsilon(const struct ym_lattice_release *r, double sigma, size_t parties, double delta)
{
    struct bound b = {r, sigma * sqrt((double)parties), ym_distributed_gaussian_tau(sigma, parties), false};

    return epsilon_of(&b, delta);
}

double ym_skellam_epsilon(const struct ym_lattice_release *r, double variance, double delta)
{
    struct bound b = {r, sqrt(variance), 0, true};

    return epsilon_of(&b, delta);
}

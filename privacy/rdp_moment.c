#include "privacy/rdp_moment.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define SIGMA_LOW 0.1
#define TAIL 14.0     /* standard deviations kept on either side */
#define ORDER_HIGH 16 /* the nodes reach far enough for orders up to this */

struct ym_moments {
    double sigma, q;
    bool plain; /* the unsubsampled bound */
    double step;
    size_t count;
    struct node {
        double u, x, log1p_x;
    } node[];
};

/* Nodes in u = z / sigma. The integrand is analytic within |Im u| < pi sigma, so a
 * step of min(1, sigma) / 4 leaves e^-75 of it (Trefethen, Weideman 2014). */
static void place_nodes(struct ym_moments *m, double low)
{
    double s = m->sigma;

    for (size_t i = 0; i < m->count; i++) {
        double u = low + m->step * (double)i, loss = u / s - 0.5 / (s * s);

        m->node[i].u = u;
        if (loss < 500) {
            m->node[i].x = m->q * expm1(loss);
            m->node[i].log1p_x = log1p(m->node[i].x);
        } else {
            m->node[i].x = INFINITY;
            m->node[i].log1p_x = log(m->q) + loss;
        }
    }
}

struct ym_moments *ym_moments_new(double sigma, double q)
{
    bool plain = q >= 1 || sigma < SIGMA_LOW;
    double step = (sigma < 1 ? sigma : 1) / 4;
    size_t count = plain ? 0 : (size_t)((ORDER_HIGH / sigma + 2 * TAIL) / step) + 2;
    struct ym_moments *m;

    m = malloc(sizeof *m + count * sizeof m->node[0]);
    if (!m)
        return NULL;
    m->sigma = sigma;
    m->q = q;
    m->plain = plain;
    m->step = step;
    m->count = count;
    place_nodes(m, -TAIL);
    return m;
}

void ym_moments_free(struct ym_moments *m)
{
    free(m);
}

/* log((1+x)^a - 1 - a x) from x and log1p(x); the binomial series where the
 * difference would cancel. */
static double log_excess(double a, const struct node *n)
{
    double x = n->x, power = a * n->log1p_x;

    if (fabs(a * x) < 0.1) {
        double term = a * (a - 1) / 2, sum = 0;

        for (int k = 2; k < 16; k++) {
            sum += term;
            term *= (a - k) / (k + 1) * x;
        }
        return 2 * log(fabs(x)) + log(sum);
    }
    if (power < 40)
        return log(expm1(power) - a * x);
    return power + log1p(-exp((isinf(x) ? log(a) + n->log1p_x : log1p(a * x)) - power));
}

static double log_add(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;

    return isinf(high) ? high : high + log1p(exp(low - high));
}

/* log(1 + e^t) / (order - 1) */
static double divergence(double log_excess_total, double order)
{
    return log_add(0, log_excess_total) / (order - 1);
}

double ym_moments_rdp_by_quadrature(const struct ym_moments *m, double order)
{
    double top = -INFINITY, sum = 0, reach = order / m->sigma + TAIL;

    if (m->plain)
        return order / (2 * m->sigma * m->sigma);
    for (size_t i = 0; i < m->count && m->node[i].u <= reach; i++) {
        double u = m->node[i].u;
        double t = log_excess(order, &m->node[i]) - u * u / 2;

        if (t > top) {
            sum = sum * exp(top - t) + 1;
            top = t;
        } else {
            sum += exp(t - top);
        }
    }
    return divergence(top + log(sum * m->step) - 0.5 * log(2 * M_PI), order);
}

/* sum over k >= 2 of C(a,k) q^k (1-q)^(a-k) (e^((k^2-k)/(2 s^2)) - 1) */
static double rdp_whole(const struct ym_moments *m, unsigned a)
{
    long double variance = (long double)m->sigma * m->sigma;
    long double log_q = logl(m->q), log_rest = log1pl(-(long double)m->q);
    long double choose = logl(a), top = -INFINITY, sum = 0;

    for (unsigned k = 2; k <= a; k++) {
        long double e = (long double)k * (k - 1) / (2 * variance), t;

        choose += logl((long double)(a - k + 1) / k);
        t = choose + k * log_q + (a - k) * log_rest + (e > 60 ? e : logl(expm1l(e)));
        if (t > top) {
            sum = sum * expl(top - t) + 1;
            top = t;
        } else {
            sum += expl(t - top);
        }
    }
    return divergence((double)(top + logl(sum)), a);
}

double ym_moments_rdp(const struct ym_moments *m, double order)
{
    if (!m->plain && order == floor(order))
        return rdp_whole(m, (unsigned)order);
    return ym_moments_rdp_by_quadrature(m, order);
}

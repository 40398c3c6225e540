#include <math.h>
#include <string.h>

#include "sim/newton_internal.h"

/* One row at linear predictor z: log-likelihood, its derivative, minus the second. */
struct row {
    double loglik, slope, weight;
};

static struct row logistic(double z, double y)
{
    double e = exp(-fabs(z)), p = z >= 0 ? 1 / (1 + e) : e / (1 + e);

    return (struct row){y * z - (z > 0 ? z : 0) - log1p(e), y - p, e / ((1 + e) * (1 + e))};
}

static struct row poisson(double z, double y)
{
    double mu = exp(z);

    return (struct row){y * z - mu - lgamma(y + 1), y - mu, mu};
}

static struct row squared(double z, double y)
{
    return (struct row){-0.5 * (y - z) * (y - z), y - z, 1};
}

void ym_glm_add(enum ym_newton_kind kind, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum)
{
    for (size_t i = 0; i < p->rows; i++) {
        const double *x = p->x + i * p->columns;
        double z = p->offset[i];
        struct row r;

        for (size_t j = 0; j < p->columns; j++)
            z += x[j] * beta[j];
        r = kind == YM_NEWTON_LOGISTIC  ? logistic(z, p->y[i])
            : kind == YM_NEWTON_POISSON ? poisson(z, p->y[i])
                                        : squared(z, p->y[i]);
        sum->loglik += r.loglik;
        for (size_t j = 0; j < p->columns; j++)
            sum->score[j] += r.slope * x[j];
        p->h[i] = r.weight;
    }
    ym_newton_gram(p->x, p->rows, p->columns, p->h, 1, p, sum->information);
}

/* p [outputs] out; returns the log-likelihood. */
static double odds(const struct ym_prepared *p, size_t row, size_t outputs, const double *beta, double *probability)
{
    double top = 0, total, at = 0;

    for (size_t k = 0; k < outputs; k++) {
        double z = 0;

        for (size_t j = 0; j < p->columns; j++)
            z += p->x[row * p->columns + j] * beta[k * p->columns + j];
        probability[k] = z;
        top = z > top ? z : top;
        at = p->y[row] == (double)(k + 1) ? z : at;
    }
    total = exp(-top);
    for (size_t k = 0; k < outputs; k++)
        total += probability[k] = exp(probability[k] - top);
    for (size_t k = 0; k < outputs; k++)
        probability[k] /= total;
    return at - top - log(total);
}

/* -d2 / d beta_a d beta_b = sum over rows of p_a ([a = b] - p_b) x x'. */
static void add_block(size_t outputs, size_t a, size_t b, struct ym_prepared *p, struct ym_likelihood *sum)
{
    size_t w = p->columns, n = sum->count;

    for (size_t i = 0; i < p->rows; i++) {
        const double *q = p->eta + i * outputs;

        p->h[i] = q[a] * ((a == b) - q[b]);
    }
    memset(p->block, 0, w * w * sizeof *p->block);
    ym_newton_gram(p->x, p->rows, w, p->h, 1, p, p->block);
    for (size_t i = 0; i < w; i++)
        for (size_t j = 0; j < w; j++) {
            sum->information[(a * w + i) * n + b * w + j] += p->block[i * w + j];
            if (a != b)
                sum->information[(b * w + j) * n + a * w + i] += p->block[i * w + j];
        }
}

void ym_multinomial_add(size_t outputs, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum)
{
    for (size_t i = 0; i < p->rows; i++) {
        double *q = p->eta + i * outputs;

        sum->loglik += odds(p, i, outputs, beta, q);
        for (size_t k = 0; k < outputs; k++)
            for (size_t j = 0; j < p->columns; j++)
                sum->score[k * p->columns + j] += ((p->y[i] == (double)(k + 1)) - q[k]) * p->x[i * p->columns + j];
    }
    for (size_t a = 0; a < outputs; a++)
        for (size_t b = a; b < outputs; b++)
            add_block(outputs, a, b, p, sum);
}

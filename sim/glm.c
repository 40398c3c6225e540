#include <math.h>

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

#ifndef YM_SIM_NEWTON_INTERNAL_H
#define YM_SIM_NEWTON_INTERNAL_H

#include "sim/newton.h"

/* Sums over parts at given coefficients; kernels add to them. */
struct ym_likelihood {
    size_t count;
    double loglik;
    double *score;       /* [count] */
    double *information; /* [count][count] */
};

/* One part prepared: columns standardised, Cox rows sorted once. */
struct ym_prepared {
    size_t rows, columns; /* columns: of x, intercept included */
    double *x;            /* [rows][columns] */
    double *y, *offset;   /* [rows]; offset zero where there is none */
    uint8_t *event;       /* [rows] */
    uint32_t *stratum;    /* [rows] rows of a stratum stand together, latest time first */
    double *eta, *h;      /* [rows][outputs], [rows] scratch */
    double *weighted;     /* [rows][columns] scratch */
    double *mean;         /* [events][columns] Cox: weighted mean of a risk set, one row a death */
    double *product;      /* [columns][columns] scratch, */
    double *block;        /* and another */
    size_t events;
};

/* information += sum over rows of weight·x·x', with scratch of p. sign is 1 or -1. */
void ym_newton_gram(const double *x, size_t rows, size_t columns, const double *weight, double sign,
                    struct ym_prepared *p, double *information);

void ym_glm_add(enum ym_newton_kind kind, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum);

/* One block of coefficients an output, each against level 0. */
void ym_multinomial_add(size_t outputs, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum);

/* Cox 1972, with the ties of Breslow 1974 or Efron 1977. With r_i = exp(x_i'beta), D(t) the
 * deaths at t and R(t) those at risk, each death l = 0 … d-1 of a time has the denominator
 *   s0 = sum_R r - f sum_D r,  f = l/d (Efron) or 0 (Breslow),
 * and mean m = (sum_R r x - f sum_D r x) / s0. Then, with
 *   h_i = r_i (sum over deaths while i is at risk of 1/s0 - [i in D] f/s0),
 *   score = sum (event_i - h_i) x_i,   information = sum h_i x_i x_i' - sum over deaths m m':
 * one product of matrices each instead of an outer product at each time. */
void ym_cox_add(enum ym_ties ties, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum);
/* Puts rows into the order above; all arrays of p but scratch. YM_EXHAUSTED. */
enum ym_code ym_cox_sort(struct ym_prepared *p, struct ym_status *st);

#endif

#ifndef YM_SIM_NEWTON_H
#define YM_SIM_NEWTON_H

#include <stdint.h>

#include "base/status.h"

/* Maximum likelihood by Newton's method, in double and without noise: what a
 * statistician's own program gives for the rows at hand. Linked into `yumen` and
 * the tests, never into a hospital's programs (docs/simulate.md, "Newton").
 *
 * Hospitals are parts: each adds its log-likelihood, score (first derivatives) and
 * information (minus the second) at common coefficients, and only these sums are
 * put together, so the answer is that of all rows in one table. For the Cox partial
 * likelihood each part has a baseline hazard of its own (strata = hospitals) as
 * has each stratum in it; one part without strata is the pooled model. */

enum ym_newton_kind {
    YM_NEWTON_LINEAR = 1,
    YM_NEWTON_LOGISTIC,
    YM_NEWTON_POISSON,
    YM_NEWTON_COX,
    YM_NEWTON_MULTINOMIAL /* log odds of each level against level 0 */
};
enum ym_ties { YM_TIES_BRESLOW = 1, YM_TIES_EFRON };

/* Rows of one hospital, one row a patient; all borrowed. */
struct ym_newton_part {
    size_t rows;
    const double *x;         /* [rows][columns], in the units in which coefficients are told */
    const double *y;         /* [rows] number, 0 or 1, count, time at risk, or level */
    const double *offset;    /* [rows] added to the linear predictor; NULL: none. Not for Cox */
    const uint8_t *event;    /* [rows] Cox: 1 when the event came at that time, 0 when watching ended */
    const uint32_t *stratum; /* [rows] Cox: rows of different strata share no risk set; NULL: one */
};

struct ym_newton_problem {
    enum ym_newton_kind kind;
    enum ym_ties ties; /* Cox */
    size_t columns;    /* 1 or more for Cox, 0 is fine otherwise; at most YM_NEWTON_MAX_COLUMNS */
    size_t outputs;    /* multinomial: levels but the first; else 1, or 0 for it */
    const struct ym_newton_part *part;
    size_t part_count;
    /* [count][count] symmetric, positive semidefinite, or NULL: what is maximised is the log-likelihood less
     * beta' penalty beta / 2, beta as told. For linear the likelihood is of variance 1. */
    const double *penalty;
    char (*name)[256]; /* [columns] for messages; NULL: columns are told by number, from 0 */
};

#define YM_NEWTON_MAX_COLUMNS 2048
#define YM_NEWTON_MAX_STEPS 60

/* Coefficients in the order of columns, of a multinomial level after level; all but Cox begin with the intercept. */
struct ym_newton_fit {
    size_t rows, events; /* events: Cox */
    size_t count;        /* coefficients */
    double *beta, *se;   /* [count] */
    double *covariance;  /* [count][count] inverse of information and penalty; linear: times dispersion */
    double loglik;       /* without the penalty; linear: with the variance at its maximum, as logLik() of R */
    double loglik_null;  /* Cox: at zero; others: of the intercept alone, offset kept, is not computed and NaN */
    double dispersion;   /* linear: residual sum of squares / (rows - count); else 1 */
    unsigned steps;
};

/* YM_INVALID, naming the column, when a column is constant or a combination
 * of others, and when the likelihood has no maximum (levels that separate the
 * outcome, a column without events). Values that are not finite are misuse, as is
 * an outcome out of its range: YM_INVALID. YM_EXHAUSTED. */
enum ym_code ym_newton(const struct ym_newton_problem *problem, struct ym_newton_fit *out, struct ym_status *st);
void ym_newton_release(struct ym_newton_fit *fit);

#endif

#ifndef YM_SIM_SCORE_H
#define YM_SIM_SCORE_H

#include <stddef.h>

#include "base/buf.h"
#include "gate/plan.h"
#include "models/model.h"
#include "worker/data/frozen.h"

/* How well parameters fit a table whose rows the caller may look at: the
 * simulator's own sites, or a sponsor's own test file. Never a hospital's. */
struct ym_score {
    size_t rows;
    double loss;             /* mean over rows */
    double accuracy;         /* NaN for a number as outcome */
    double auc;              /* NaN unless the outcome has two levels, both present; for survival NaN, as accuracy is */
    double brier;            /* models/score.h; NaN for a number as outcome and for survival */
    double intercept, slope; /* of calibration, where there is an AUC */
    /* Survival, else NaN. Rows are then time bins, and loss is the mean over patients. */
    double concordance;        /* Harrell's C of first-bin risks, models/concordance.h */
    double expected, observed; /* events: as the model has it for the time each patient was watched, and seen */
};

/* params [m->dim]. YM_EXHAUSTED when memory runs out. */
enum ym_code ym_score_table(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *t, struct ym_score *out, struct ym_status *st);
/* The same for several tables as one. */
enum ym_code ym_score_tables(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             const struct ym_table *const *t, size_t count, struct ym_score *out, struct ym_status *st);
/* Mean over those of n scores that have rows, each counting once, however many
 * rows it has ("mean of centres"); rows: their sum. A figure that one of them
 * lacks is NaN; no rows at all: all NaN. */
struct ym_score ym_score_mean(const struct ym_score *score, size_t n);
/* Parameters out of a state of the plan, for rows of a table as they are (noised
 * scaling folded in): *params is new (free), [m->dim]. */
enum ym_code ym_score_params(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes state,
                             uint32_t *round, float **params, struct ym_status *st);

#endif

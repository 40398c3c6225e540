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
    double auc, auc_se;      /* NaN unless the outcome has two levels, both present; for survival NaN, as accuracy is */
    double brier;            /* models/score.h; NaN for a number as outcome and for survival */
    double intercept, slope; /* of calibration, where there is an AUC */
    double rmse;             /* root mean square error of a number, in its own unit; else NaN */
    /* Survival, else NaN. Rows are then time bins, and loss is the mean over patients. */
    double concordance, concordance_se; /* Harrell's C of first-bin risks, models/concordance.h */
    double expected, observed; /* events: as the model has it for the time each patient was watched, and seen; of counts
                                  (poisson) their sums */
};

/* What a model says of every row, beside what came: one pass over the tables. Zero-initialised is empty. */
struct ym_scores {
    const struct ym_plan *plan; /* borrowed */
    size_t rows, outputs;
    float *score, *label; /* [rows][outputs] with the offset in them, [rows] */
    double loss;          /* sum */
    /* survival: by patient */
    size_t patients;
    double *risk, *time, *expected; /* hazard of the first bin; as declared; events for the time watched */
    uint8_t *event;
};

/* params [m->dim]; the tables as one. YM_EXHAUSTED when memory runs out. */
enum ym_code ym_scores_open(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *const *t, size_t count, struct ym_scores *out, struct ym_status *st);
void ym_scores_release(struct ym_scores *s);
struct ym_score ym_scores_sum(const struct ym_scores *s);

/* Reliability. Two levels: scores of each tenth of [0, 1]; the mean score and the share of positives. Survival: tenths
 * of the patients by risk; events. Bins without anybody are left out; 0 for other outcomes, or when memory runs out. */
#define YM_SCORE_BINS 10
struct ym_score_bin {
    double from, to; /* of scores, or of the first bin's hazard */
    size_t count;
    double expected, observed;
};
size_t ym_scores_bins(const struct ym_scores *s, struct ym_score_bin bin[YM_SCORE_BINS]);
/* How often a level was taken for another: count [levels][levels] by outcome and likeliest level (of two: at one half).
 */
void ym_scores_confusion(const struct ym_scores *s, size_t *count);

/* The sum alone, of one table or several. */
enum ym_code ym_score_table(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *t, struct ym_score *out, struct ym_status *st);
enum ym_code ym_score_tables(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             const struct ym_table *const *t, size_t count, struct ym_score *out, struct ym_status *st);
/* Mean over those of n scores that have rows, each counting once, however many
 * rows it has ("mean of centres"); rows: their sum. A figure that one of them
 * lacks is NaN, and so are standard errors; no rows at all: all NaN. */
struct ym_score ym_score_mean(const struct ym_score *score, size_t n);

#endif

#ifndef YM_MODELS_METRIC_H
#define YM_MODELS_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/plan.h"
#include "models/model.h"

/* Released metrics: counts of patients by public cells, noised at the hospital
 * (worker/trainer/metric.h), added up by the hub, read by whoever has the sum.
 * Two levels: cell = label * bins + bin of the score, bins of equal width over
 * [0, 1]. More levels: cell = label * levels + predicted class. Survival: cell = exit
 * * bins + bin of the score, the score being the probability of the event before the
 * end of the time, exits: k the event in time bin k, K + k last seen in it without, 2K
 * seen to the end (K = ym_plan_bins). One patient is one
 * count, however many rows it has. docs/privacy.md, "Metrics". Pure. */

#define YM_METRIC_SCALE_BITS 4 /* released in sixteenths of a patient */

/* The cell of a patient of n >= 1 rows. score [n][outputs] of ym_model_predict, y [n]. The score is the mean over its
 * rows, the label the most frequent one, on a tie the lower; of equal classes the lower is predicted. A score that is
 * no number falls into bin or class 0. Always below ym_plan_metric_dim. */
size_t ym_metric_cell(const struct ym_plan *plan, const float *score, const float *y, size_t n);

/* Survival: a patient's rows of all time bins, out [ym_plan_bins][columns], from its first one; and its cell from what
 * the model says of them, hazard [ym_plan_bins]. time: as declared. A time that is no number counts in the last bin. */
void ym_metric_bin_rows(const struct ym_plan *plan, const float *first, float *out);
size_t ym_metric_exit_cell(const struct ym_plan *plan, const float *hazard, float time, bool event);

/* A figure and how far the noise alone may have moved it: its standard deviation to first order in the noise, for the
 * AUC with the second-order part of the pairs. NAN where the noise leaves nothing to divide by. */
struct ym_metric_figure {
    double value, sd;
};

struct ym_metric {
    size_t bins, classes;                       /* bins 0: more than two levels; survival: classes are exits */
    double count_sd;                            /* of each cell, patients */
    const int64_t *cell;                        /* borrowed, sixteenths of a patient */
    struct ym_metric_figure patients, accuracy; /* accuracy at one half, or of the likeliest class */
    struct ym_metric_figure auc, brier, expected, observed; /* two levels only; expected: mean score, observed: mean
                                                               label, both of bins' middles */
    /* Survival, where there is no accuracy, AUC or Brier score: Harrell's C of pairs in different time bins; expected
     * is the mean probability of the event before the end, observed what the life table says of it (Cutler and Ederer
     * 1958: who is last seen inside of a bin is at risk in half of it). */
    struct ym_metric_figure concordance;
};
/* From a sum of `sites` hospitals' metric coordinates [ym_plan_metric_dim]. The plan must ask for metrics. */
void ym_metric_read(const struct ym_plan *plan, const int64_t *cell, size_t sites, struct ym_metric *out);
/* Patients of one cell. */
double ym_metric_count(const struct ym_metric *m, size_t label, size_t column);

#endif

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
 * [0, 1]. More levels: cell = label * levels + predicted class. One patient is one
 * count, however many rows it has. docs/privacy.md, "Metrics". Pure. */

#define YM_METRIC_SCALE_BITS 4 /* released in sixteenths of a patient */

/* The cell of a patient of n >= 1 rows. score [n][outputs] of ym_model_predict, y [n]. The score is the mean over its
 * rows, the label the most frequent one, on a tie the lower; of equal classes the lower is predicted. A score that is
 * no number falls into bin or class 0. Always below ym_plan_metric_dim. */
size_t ym_metric_cell(const struct ym_plan *plan, const float *score, const float *y, size_t n);

/* A figure and how far the noise alone may have moved it: its standard deviation to first order in the noise, for the
 * AUC with the second-order part of the pairs. NAN where the noise leaves nothing to divide by. */
struct ym_metric_figure {
    double value, sd;
};

struct ym_metric {
    size_t bins, classes;                                   /* bins 0: more than two levels */
    double count_sd;                                        /* of each cell, patients */
    const int64_t *cell;                                    /* borrowed, sixteenths of a patient */
    struct ym_metric_figure patients, accuracy;             /* accuracy at one half, or of the likeliest class */
    struct ym_metric_figure auc, brier, expected, observed; /* two levels only; expected: mean score, observed: mean
                                                               label, both of bins' middles */
};
/* From a sum of `sites` hospitals' metric coordinates [ym_plan_metric_dim]. The plan must ask for metrics. */
void ym_metric_read(const struct ym_plan *plan, const int64_t *cell, size_t sites, struct ym_metric *out);
/* Patients of one cell. */
double ym_metric_count(const struct ym_metric *m, size_t label, size_t column);

#endif

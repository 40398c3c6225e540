#ifndef YM_WORKER_TRAINER_METRIC_H
#define YM_WORKER_TRAINER_METRIC_H

#include "worker/trainer/local.h"

/* How good the state is that a round starts from, at one hospital: every patient
 * of the data set, or, where the plan holds some out, each of these alone, is counted in one cell (models/metric.h),
 * one count being 2^24 units, so that a patient more or less moves one coordinate by exactly 2^24; the noise of the
 * plan's metric_sigma_units is added by a fresh generator. This sum is the release; rounding to sixteenths of a patient
 * (half up) and clamping to w bits are functions of it. It is the only way by which an evaluation leaves. params [dim],
 * extra [state_extra] (may be NULL where that is 0): the state before the round out     [ym_plan_metric_dim] zero in
 * rounds that are not due YM_EXHAUSTED, or the generator's failure; out is zero then. */
enum ym_code ym_local_metrics(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                              const float *params, const double *extra, uint32_t round, ym_open_rng_fn open_rng,
                              void *ctx, int64_t *out, struct ym_status *st);

#endif

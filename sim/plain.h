#ifndef YM_SIM_PLAIN_H
#define YM_SIM_PLAIN_H

#include "gate/plan.h"
#include "models/model.h"
#include "worker/data/frozen.h"

/* One hospital's part of a round without privacy, for `yumen simulate
 * --no-privacy` alone: the plan's number of steps, each over every patient, no
 * sampling, no clip, no noise.
 * The plan's optimiser (models/optimizer.h) is given sum of patients' gradients / nominal_patients,
 * which is what a private step is on average when nothing reaches the clip: the
 * batch holds q of the patients and is divided by q * nominal_patients.
 * In a scaling round (ym_plan_scales) the sums of models/scaling.h, without noise.
 *   params, extra, correction  as in worker/trainer/local.h; round from 1
 *   update [update dim] out, zero behind the parameters: the difference, rounded half-even to the plan's update
 *   lattice and clamped to its width, as a hospital's would be. */
enum ym_code ym_plain_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, const double *extra, const double *correction, uint32_t round,
                            int64_t *update, struct ym_status *st);

#endif

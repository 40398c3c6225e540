#ifndef YM_MODELS_SCALING_H
#define YM_MODELS_SCALING_H

#include <stdint.h>

#include "gate/plan.h"
#include "models/model.h"

/* Standardisation by a noised mean and spread (plan key privacy.scaling; docs/privacy.md,
 * lemma 4). The columns of the design matrix that hold numbers, C of them in the
 * plan's order, become (x - mean) / scale; dummies and indicators stay. The
 * arithmetic is the state's (IEEE double, sqrt), so an auditor recomputes it.
 * All of it is nothing where the plan does not ask for it (C = 0 here).
 *   extra  [state_extra] of a state (models/state.h): mean [C], scale [C] are its first 2 C behind the clip's
 *   sums   [1 + 2 C]: patients, sum of u, sum of u^2 by column, u in [-1, 1] */

/* Lattice units of a 1 in a patient's vector: the largest U with (1 + 2 C) U^2 <= 2^48. */
int32_t ym_scaling_units(const struct ym_plan *plan);

/* extra of the state before any round: no clip's move, mean 0, scale 1. */
void ym_scaling_initial(const struct ym_plan *plan, double *extra);
/* mean and scale out of noised sums, in any common unit: mean cut to [-1, 1], scale
 * to [least_scale, 1]; as before any round when the patients are not positive. */
void ym_scaling_estimate(const struct ym_plan *plan, const int64_t *sums, double *extra);
bool ym_scaling_valid(const struct ym_plan *plan, const double *extra);

/* x [rows][columns] in place. */
void ym_scaling_apply(const struct ym_plan *plan, const double *extra, size_t rows, float *x);
/* Parameters of a model of standardised rows to those of the same model of rows as
 * they are: what is scored, exported and shown. params [dim] in place. */
void ym_scaling_fold(const struct ym_plan *plan, const struct ym_model *m, const double *extra, float *params);
/* Adds one patient's vector of the statistics: the mean over its rows of u and u^2,
 * truncated to the lattice; a value that is not finite counts as 0.
 * x [rows][columns], rows >= 1; sums [1 + 2 C], lattice units */
void ym_scaling_add_patient(const struct ym_plan *plan, const float *x, size_t rows, int64_t *sums);

#endif

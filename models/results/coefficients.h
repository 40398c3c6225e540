#ifndef YM_MODELS_RESULTS_COEFFICIENTS_H
#define YM_MODELS_RESULTS_COEFFICIENTS_H

#include "gate/design.h"
#include "models/model.h"

/* A generalised linear model as statisticians report it: the intercept, then one
 * row a column of the design matrix. Holds inside the declared ranges, for values
 * are cut to them. No intervals: noise was added to every step, and a standard
 * error needs an information matrix, which no plan releases. */
struct ym_coefficient {
    char name[YM_DESIGN_NAME_BYTES]; /* "intercept", "age", "sex=f" */
    size_t level;  /* multinomial: of this level of the outcome against the first; else 1 or, for a number, 0 */
    double scaled; /* of the columns as trained: numbers in [-1, 1], a number as outcome likewise */
    double study;  /* of the columns in study units (log where the formula says log), outcome in its own; NAN where
                      the plan has interactions, whose scaled columns are no sums of unscaled ones */
};

/* params [m->dim]; *out is new (free). YM_INVALID: the model is not linear in its columns. */
enum ym_code ym_coefficients(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             struct ym_coefficient **out, size_t *count, struct ym_status *st);

#endif

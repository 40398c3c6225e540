#ifndef YM_GATE_DESIGN_H
#define YM_GATE_DESIGN_H

#include "gate/plan.h"

/* From a row's values to its columns of the design matrix: the plan's terms in order
 * (docs/plan.md, "Formula"; without one each input is a term), then one column a
 * time bin but the first. Pure, and the only place that knows. */

enum ym_units {
    YM_UNITS_SCALED = 0, /* numbers and their logarithms to [-1, 1] by declared range: what is trained */
    YM_UNITS_STUDY,      /* as declared, natural logarithms: what statisticians report */
};

/* Columns of the terms, bins' not counted. */
size_t ym_design_columns(const struct ym_plan *plan);

/* value [input_count]: a number inside its range, a level's index, or NaN where missing
 * (its columns are 0, its indicator 1). x [ym_design_columns] out; an image's columns are
 * left as they are. */
void ym_design_row(const struct ym_plan *plan, const double *value, enum ym_units units, double *x);

/* Name of column i of the design matrix, bins' included: "age", "log(bili)", "sex=f",
 * "age:sex=f", "age missing", "days > 365". Cut at its bound. */
#define YM_DESIGN_NAME_BYTES 256
void ym_design_name(const struct ym_plan *plan, size_t i, char out[YM_DESIGN_NAME_BYTES]);

/* One factor's value in those units: as it is, log, log1p. */
double ym_design_transform(const struct ym_plan *plan, struct ym_factor f, double value, enum ym_units units);

#endif

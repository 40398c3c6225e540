#ifndef YM_MODELS_RESULTS_ONNX_H
#define YM_MODELS_RESULTS_ONNX_H

#include "base/buf.h"
#include "gate/plan.h"
#include "models/model.h"

/* A trained model as ONNX (opset 13, IR 7), for readers that know nothing of us.
 * The graph takes raw columns: clamping, scaling, logarithms, categories, missing
 * values and the formula's products are part of it, as worker/data/table.c and
 * gate/design.c do them, so that a stranger feeds what is written in a patient's file:
 *   x      [N][raw columns] float32; ym_onnx_column names them. A number in the
 *          plan's unit; a category as the index of its level in the plan, from 0;
 *          and, behind a variable whose `missing` is `indicator`, a column that is
 *          1 where the value is missing (which may then be any finite number) and
 *          else 0. Where `missing` is `constant`, feed the constant. NaN spoils its
 *          row. A network: [N][channels][height][width], bytes of 0 to 255.
 *   score  [N][scores] what ym_model_predict says; a number as outcome in its own
 *          unit, not in [-1, 1]; a count with the offset in it. Survival: a hazard for
 *          each time bin, whose probabilities (discrete_hazard) or rates per unit of
 *          the plan's time (piecewise_exponential) they are.
 * Columns use Gemm and Relu alone: one of [-1, 1] is relu(2 - relu(1 - u)) - 1; that of
 * level k relu(1 - relu(v - k) - relu(k - v)); a logarithm's u is of
 * log((relu(v - low) + low) / sqrt(low high)); a product is one of three picks by Gemm.
 * Networks: Conv (dense layers too: a window as large as the image), Tanh, Relu, MaxPool,
 * AveragePool, Add, and a group norm as InstanceNormalization between two Reshapes.
 * float32: the inputs are centred before they are scaled, so that a score differs
 * from ours by rounding alone. Schema: onnx.proto3 of ONNX 1.8. */

struct ym_onnx_note { /* one entry of the file's metadata */
    const char *key, *value;
};

#define YM_ONNX_MAX_COLUMNS 2048 /* raw, and of the design matrix; wider models have no ONNX form */

/* Is the variable a part of x? The time of a survival outcome is none. */
bool ym_onnx_fed(const struct ym_variable *v);
/* How many raw columns a plan has (an image is one), and the name of one: "age", or "age.missing". */
size_t ym_onnx_columns(const struct ym_plan *plan);
void ym_onnx_column(const struct ym_plan *plan, size_t i, char name[80]);
/* How many scores a row gets, and what one tells of: a level (of two, the second), the outcome's name, or a time bin,
 * "365-730". */
size_t ym_onnx_scores(const struct ym_plan *plan);
void ym_onnx_score(const struct ym_plan *plan, size_t i, char name[80]);

/* params [m->dim], for rows as they are (noised scaling folded in). YM_INVALID for a model that is too wide,
 * and for cox; the message says so. out is appended to. */
enum ym_code ym_onnx_write(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                           const struct ym_onnx_note *note, size_t notes, struct ym_buf *out, struct ym_status *st);

#endif

#ifndef YM_MODELS_RESULTS_ONNX_H
#define YM_MODELS_RESULTS_ONNX_H

#include "base/buf.h"
#include "gate/plan.h"
#include "models/model.h"

/* A trained model as ONNX (opset 13, IR 7), for readers that know nothing of us.
 * The graph takes raw columns: clamping, scaling, categories and missing values
 * are part of it, as worker/data/table.c does them, so that a stranger feeds what
 * is written in a patient's file:
 *   x      [N][raw columns] float32; ym_onnx_column names them. A number in the
 *          plan's unit; a category as the index of its level in the plan, from 0;
 *          and, behind a variable whose `missing` is `indicator`, a column that is
 *          1 where the value is missing (which may then be any finite number) and
 *          else 0. Where `missing` is `constant`, feed the constant. NaN spoils its
 *          row.
 *   score  [N][outputs] what ym_model_predict says; a number as outcome in its own
 *          unit, not in [-1, 1].
 * Only Gemm, Relu, Tanh, Sigmoid and Softmax are used. A column of [-1, 1] is
 * relu(2 - relu(1 - u)) - 1; that of level k is relu(1 - relu(v - k) - relu(k - v)).
 * float32: the inputs are centred before they are scaled, so that a score differs
 * from ours by rounding alone. Schema: onnx.proto3 of ONNX 1.8. */

struct ym_onnx_note { /* one entry of the file's metadata */
    const char *key, *value;
};

#define YM_ONNX_MAX_COLUMNS 2048 /* raw, and of the design matrix; wider models have no ONNX form */

/* How many raw columns a plan has, and the name of one: "age", or "age.missing". */
size_t ym_onnx_columns(const struct ym_plan *plan);
void ym_onnx_column(const struct ym_plan *plan, size_t i, char name[80]);

/* params [m->dim], for rows as they are (noised scaling folded in). YM_INVALID for a model that is too wide or
 * of a kind that has no form here, and the message says so; out is appended to. */
enum ym_code ym_onnx_write(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                           const struct ym_onnx_note *note, size_t notes, struct ym_buf *out, struct ym_status *st);

#endif

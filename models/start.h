#ifndef YM_MODELS_START_H
#define YM_MODELS_START_H

#include "base/buf.h"
#include "gate/plan.h"
#include "models/model.h"

/* Parameters that a study starts from, out of a safetensors file of anybody's (plan
 * key model.start; docs/plan.md, "Starting from a model"). The file is foreign: its
 * header is bounded, and every length is checked before it is used. */

#define YM_START_HEADER_MAX (1u << 20)
#define YM_START_MAX_BYTES (((size_t)YM_PLAN_MAX_PARAMS + (1u << 20)) * 4)

/* params [dim]: from the seed on entry; those of all layers but the plan's exceptions
 * are replaced. Each of their tensors must be there by name ("layer0.weight"), F32,
 * of the model's shape, all numbers finite; other tensors are not looked at.
 * YM_INVALID names what is wrong; params may then be half replaced. */
enum ym_code ym_start_params(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes file, float *params,
                             struct ym_status *st);
/* The same for any model: layer i of those with parameters stays as it is where bit i of except is 1. */
enum ym_code ym_start_tensors(const struct ym_model *m, uint64_t except, struct ym_bytes file, float *params,
                              struct ym_status *st);

#endif

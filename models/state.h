#ifndef YM_MODELS_STATE_H
#define YM_MODELS_STATE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "gate/plan.h"
#include "models/model.h"

/* The state of a study after round r: one safetensors file with fixed header
 * order, named by its SHA-256 (docs/formats.md, "State"). Parameters F32, then
 * "server.m" and "server.v" F64 when the server optimizer has them, "server.c" F64
 * when hospitals' steps are corrected, then
 * "privacy.log_clip" F64 when the clip is adaptive, then "scaling.mean" and
 * "scaling.scale" F64 when scaling is noised. Metadata: study, round, plan,
 * previous, sum, survivors, weights.
 * ym_state_next is the function f of DESIGN 3: IEEE double, no contraction, no
 * libm beyond sqrt, so that anyone with the sums recomputes it to the bit. */

enum ym_code ym_state_initial(const struct ym_plan *plan, struct ym_buf *state, struct ym_status *st);
/* The same where the plan starts from a file (models/start.h): its bytes, else none.
 * YM_INVALID says what is wrong with them. */
enum ym_code ym_state_initial_from(const struct ym_plan *plan, struct ym_bytes start, struct ym_buf *state,
                                   struct ym_status *st);

struct ym_round_sum {
    uint32_t round;
    const int64_t *sum;          /* [update dim] sum over survivors of weight * update, update lattice units; behind it
                                    [survivor_count][ym_plan_site_dim] what each counted */
    const char *const *survivor; /* names, plan order */
    size_t survivor_count;
};
/* Whole-buffer form; the hub's streaming form is ym_state_next_file. */
enum ym_code ym_state_next(const struct ym_plan *plan, struct ym_bytes state, const struct ym_round_sum *sum,
                           struct ym_buf *next, struct ym_status *st);
/* Same bytes, block by block from file to file; memory O(1) beyond sum. Writes
 * durably (temp, fsync, rename). hash: of the new state. */
enum ym_code ym_state_next_file(const struct ym_plan *plan, const char *state_path, const struct ym_round_sum *sum,
                                const char *next_path, uint8_t hash[YM_HASH_BYTES], struct ym_status *st);

/* Check header against the plan and give the parameter block (borrowed, may be
 * unaligned: copy out). round out. */
enum ym_code ym_state_params(const struct ym_plan *plan, struct ym_bytes state, uint32_t *round, const uint8_t **params,
                             struct ym_status *st);

/* Parameters out of a state of the plan, for rows of a table as they are (noised
 * scaling folded in): *params is new (free), [m->dim]. */
enum ym_code ym_state_released(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes state,
                               uint32_t *round, float **params, struct ym_status *st);

/* The numbers beside the parameters, extra [model's state_extra] out:
 * [0] log_clip, when the clip is adaptive: the clip is clip_norm * exp(log_clip),
 * |log_clip| <= YM_STATE_LOG_CLIP_MAX; then mean [C] and scale [C] where scaling is
 * noised (models/scaling.h); then best figure and rounds since where the study may
 * stop early (models/stop.h). Anything out of range is YM_CORRUPT. */
#define YM_STATE_LOG_CLIP_MAX 11.0 /* e^11 = 2^15.9 */
double ym_state_log_clip_clamp(double log_clip);
enum ym_code ym_state_extra(const struct ym_plan *plan, struct ym_bytes state, double *extra, struct ym_status *st);

/* Does the study end with a state of these numbers, whatever its round? */
bool ym_state_stops(const struct ym_plan *plan, const struct ym_model *m, double *extra);
enum ym_code ym_state_stops_file(const struct ym_plan *plan, const char *path, bool *stops, struct ym_status *st);

/* Of a plan with scaffold: the control variate, c [dim] out, gradient units (models/control.h). */
enum ym_code ym_state_control(const struct ym_plan *plan, struct ym_bytes state, double *c, struct ym_status *st);

#endif

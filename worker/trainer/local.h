#ifndef YM_WORKER_TRAINER_LOCAL_H
#define YM_WORKER_TRAINER_LOCAL_H

#include "gate/plan.h"
#include "models/model.h"
#include "worker/data/frozen.h"

/* One hospital's part of one round: steps_per_round noisy steps from params,
 * then the difference on the update lattice. Pure but for the generator.
 *   open_rng   gives a fresh generator for each sampling pass and noise vector
 *              (trainer: the kernel's; simulator: seeded)
 *   update     [dim] out, int64, within w bits
 * There is no argument that turns the noise off. */
typedef enum ym_code (*ym_open_rng_fn)(void *ctx, struct ym_rng **out, struct ym_status *st);

enum ym_code ym_local_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, ym_open_rng_fn open_rng, void *ctx, int64_t *update,
                            struct ym_status *st);

#endif

#ifndef YM_WORKER_TRAINER_LOCAL_H
#define YM_WORKER_TRAINER_LOCAL_H

#include "base/rng.h"
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

/* The parts of a round, for whoever must watch the steps (tests, simulator). */

struct ym_local_work; /* scratch of one thread; wiped by free, for it held gradients */
struct ym_local_work *ym_local_work_new(const struct ym_model *m, const struct ym_table *data); /* NULL: no memory */
void ym_local_work_free(struct ym_local_work *w);

/* One step's release: sample patients, clip each one's gradient at params, sum,
 * add the noise. An empty sample takes the same way.
 *   sum  [dim] out, gradient lattice units, noise included */
enum ym_code ym_local_noisy_sum(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                                const float *params, ym_open_rng_fn open_rng, void *ctx, struct ym_local_work *w,
                                int64_t *sum, struct ym_status *st);

/* theta [dim] -= learning_rate * (sum * clip_norm / 2^24 / (q * nominal_patients)
 * + l2 * theta), l2 on weights, not on biases. Public arithmetic on a released sum. */
void ym_local_apply(const struct ym_plan *plan, const struct ym_model *m, const int64_t *sum, double *theta);

/* update[i] = (theta[i] - start[i]) * 2^s, rounded half-even, clamped to w bits
 * (two's complement); a value that is not a number becomes 0. */
void ym_local_quantize(const struct ym_plan *plan, size_t dim, const double *theta, const float *start,
                       int64_t *update);

#endif

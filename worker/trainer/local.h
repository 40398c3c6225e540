#ifndef YM_WORKER_TRAINER_LOCAL_H
#define YM_WORKER_TRAINER_LOCAL_H

#include "base/rng.h"
#include "gate/plan.h"
#include "models/model.h"
#include "models/optimizer.h"
#include "worker/data/frozen.h"

/* One hospital's part of one round: steps_per_round noisy steps from params,
 * then the difference on the update lattice. Pure but for the generator.
 *   params     [dim], extra [state_extra] (may be NULL where that is 0): the state
 *   correction [dim], of a plan with scaffold (models/control.h); NULL: none
 *   round      from 1, the plan's; one that trains
 *   open_rng   gives a fresh generator for each sampling pass and noise vector
 *              (trainer: the kernel's; simulator: seeded)
 *   update     [update dim] out, int64, within w bits; its metrics are left to
 *              worker/trainer/metric.h
 * There is no argument that turns the noise off. */
typedef enum ym_code (*ym_open_rng_fn)(void *ctx, struct ym_rng **out, struct ym_status *st);

enum ym_code ym_local_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, const double *extra, const double *correction, uint32_t round,
                            ym_open_rng_fn open_rng, void *ctx, int64_t *update, struct ym_status *st);

/* The round in which a plan with noised scaling learns mean and spread of its number
 * columns (ym_plan_scales): sums over all patients, once, noised (models/scaling.h),
 * in units of nominal_patients. Nothing is trained. Arguments as above. */
enum ym_code ym_local_scaling_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                                    ym_open_rng_fn open_rng, void *ctx, int64_t *update, struct ym_status *st);

/* The update out of such sums, lattice units; public arithmetic on released sums. */
enum ym_code ym_local_scaling_update(const struct ym_plan *plan, const struct ym_model *m, const int64_t *sums,
                                     int64_t *update, struct ym_status *st);

/* data as the state's scaling sees it: data itself, or a copy of its rows.
 * Release wipes the copy; t zeroed or filled. */
enum ym_code ym_local_standardised(const struct ym_plan *plan, const double *extra, const struct ym_table *data,
                                   struct ym_table *t, struct ym_status *st);
void ym_local_standardised_release(const struct ym_table *data, struct ym_table *t);

/* The parts of a round, for whoever must watch the steps (tests, simulator). */

struct ym_local_work; /* scratch of one thread; wiped by free, for it held gradients */
struct ym_local_work *ym_local_work_new(const struct ym_plan *plan, const struct ym_model *m,
                                        const struct ym_table *data); /* NULL: no memory */
void ym_local_work_free(struct ym_local_work *w);
/* Bytes that a round on that table takes beside it, at most, with the threads that it may have now
 * (base/pool.h): vectors, scratch, the threads themselves and what OpenBLAS touches for each. */
uint64_t ym_local_bytes(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data);

/* Coordinates of one step's release: the parameters, and the quantile's bits when
 * the clip is adaptive. */
size_t ym_local_step_dim(const struct ym_plan *plan, const struct ym_model *m);
/* The clip in gradient units: clip_norm, or clip_norm * exp(log_clip). */
double ym_local_clip_norm(const struct ym_plan *plan, const double *extra);

/* One step's release: sample patients, clip each one's gradient at params, sum,
 * add the noise. An empty sample takes the same way. The plan's route decides how the
 * clipped gradients are formed and added; w was made for it.
 *   sum  [step dim] out, gradient lattice units, noise included */
enum ym_code ym_local_noisy_sum(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                                const float *params, const double *extra, ym_open_rng_fn open_rng, void *ctx,
                                struct ym_local_work *w, int64_t *sum, struct ym_status *st);

/* One step of the plan's optimiser (models/optimizer.h) on theta [dim], its gradient
 * sum * clip / radius / (q * nominal_patients); radius: 2^24, or what the bit leaves
 * of it. Then, when the clip is adaptive (Andrew et al. 2021, section 2.2):
 * fraction = 1/2 + sum[dim] / (2 bit_units q nominal_patients), log_clip -=
 * clip_lr * (fraction - quantile), clamped. Public arithmetic on a released sum. */
void ym_local_apply(const struct ym_plan *plan, const struct ym_model *m, struct ym_optimizer *o, const int64_t *sum,
                    double *theta, double *extra);

/* update[i] = (theta[i] - start[i]) * 2^s, rounded half-even, clamped to w bits
 * (two's complement); a value that is not a number becomes 0. start NULL: zeros. */
void ym_local_quantize(const struct ym_plan *plan, size_t dim, const double *theta, const float *start,
                       int64_t *update);
/* What a walk from start to theta releases, in the same units: the way, or with scaffold the optimizer's own steps. */
void ym_local_difference(const struct ym_plan *plan, const struct ym_model *m, const struct ym_optimizer *o,
                         const double *theta, const float *start, int64_t *update);

#endif

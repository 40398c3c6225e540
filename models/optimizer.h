#ifndef YM_MODELS_OPTIMIZER_H
#define YM_MODELS_OPTIMIZER_H

#include <stdint.h>

#include "gate/plan.h"
#include "models/model.h"

/* The optimiser of a hospital's local steps, as the plan's training section declares
 * it. What it is given as a gradient is a noised sum, already released: all that it
 * keeps and adds (momentum, moments, l2, the pull back to the round's start, the
 * learning rate) is arithmetic on released numbers and public ones (docs/privacy.md,
 * "What is done with released sums"). It never sees a patient's gradient.
 * Frozen parameters (model.freeze) do not move.
 *
 * With g = gradient + l2 theta (weights alone) + prox (theta - start), at a step
 * whose learning rate is r:
 *   sgd       theta -= r g
 *   momentum  v = momentum v + g;  theta -= r v      (Polyak 1964, as PyTorch's SGD)
 *   nesterov  v = momentum v + g;  theta -= r (g + momentum v)     (Sutskever 2013)
 *   adam      m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
 *             theta -= r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + tau), t from 1
 *                                        (Kingma and Ba 2015, Algorithm 1)
 *   scaffold  theta -= r (g + correction); own -= r g            (models/control.h)
 * prox is FedProx's mu (Li et al. 2020, equation 2). v and m begin at 0 in each round:
 * nothing lives longer at a hospital. */

struct ym_optimizer;

/* For one round, from 1, that begins at start [dim], borrowed. NULL: no memory. */
struct ym_optimizer *ym_optimizer_new(const struct ym_plan *plan, const struct ym_model *m, const float *start,
                                      uint32_t round);
void ym_optimizer_free(struct ym_optimizer *o);

/* What every step of a plan with scaffold adds to its gradient: [dim], borrowed; 0 until then. */
void ym_optimizer_correct(struct ym_optimizer *o, const double *correction);
/* Of such a plan: the sum of the round's own steps so far, without the correction, [dim]; NULL otherwise. */
const double *ym_optimizer_own(const struct ym_optimizer *o);

/* Begins the round's next step; then each coordinate goes once through
 * ym_optimizer_move: coordinates first .. first + count of theta [dim], by gradient
 * [count]. */
void ym_optimizer_step(struct ym_optimizer *o);
void ym_optimizer_move(struct ym_optimizer *o, size_t first, size_t count, const double *gradient, double *theta);

/* Learning rate of step `step`, counted from 0 over all rounds that train. Public. */
double ym_optimizer_rate(const struct ym_plan *plan, uint64_t step);

#endif

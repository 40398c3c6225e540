#ifndef YM_MODELS_CONTROL_H
#define YM_MODELS_CONTROL_H

#include <stdint.h>

#include "gate/plan.h"
#include "models/model.h"

/* SCAFFOLD (Karimireddy et al. 2020, Algorithm 1, option II) over noised releases: plan key training.correction. With K
 * local steps of rate r, a hospital walks y -= r (g + c - c_i) and releases its own steps alone, U = -r sum of g. Then
 *   c_i = -U / (K r)   its mean gradient along the walk, out of its own last release (none: c_i = c)
 *   c  += (W_S / W) (mean over survivors of -U / (K r) - c)      the state's server.c (models/state.h)
 * and the parameters move by the mean of U, through the server's optimizer. The paper's hospitals send y - x = U - K r
 * (c - c_i) and keep c_i themselves. Where all take part in every round both are one algorithm, for then the mean of
 * c_i is c. Where some do not, the paper's mean still holds c, which evens out who takes part; ours is of those there.
 * What is bought with it: a hospital that lost its c_i takes c, and only its drift comes back, for a round, where the
 * paper's sums of c and c_i would disagree for good and move the fixed point; and the noise of c and c_i is not in what
 * is released. docs/privacy.md, "SCAFFOLD": all of it is arithmetic on released sums. */

/* c - c_i: what each step adds to its gradient.
 *   c     [dim] of the state that the round starts from
 *   last  [dim or more] the hospital's own last release, update lattice units; NULL: none
 *   out   [dim]; may be c */
void ym_control_correction(const struct ym_plan *plan, const struct ym_model *m, const double *c, const int64_t *last,
                           double *out);

#endif

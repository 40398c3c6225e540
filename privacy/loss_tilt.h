#ifndef YM_PRIVACY_LOSS_TILT_H
#define YM_PRIVACY_LOSS_TILT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "privacy/loss_grid.h"

/* Where the certified accountant should look: saddle points of the composed loss, cut off at a fixed reach so that any
 * charge, however odd, takes bounded time. Coarse quadrature; hints only, nothing certified rests on them. */
struct ym_tilt {
    size_t losses;
    struct ym_loss_nodes {
        size_t count;
        double steps, *loss, *weight; /* [count] L, -u^2 / 2 */
        double log_scale;
    } * nodes;
};

/* reach [losses], as in privacy/loss_grid.h. YM_EXHAUSTED for more than 2^16 nodes in all. */
enum ym_code ym_tilt_make(const struct ym_loss *l, size_t losses, const struct ym_reach *reach, struct ym_tilt *out,
                          struct ym_status *st);
void ym_tilt_release(struct ym_tilt *t);
struct ym_cumulant ym_tilt_cumulant(const struct ym_tilt *t, bool adding, double s);
/* log of the saddle-point approximation of delta at the epsilon whose saddle is s. */
double ym_tilt_delta(const struct ym_tilt *t, bool adding, double s, double *epsilon);
struct ym_saddle ym_tilt_saddle(const struct ym_tilt *t, bool adding, double log_delta);
/* The s whose saddle is at epsilon. */
double ym_tilt_saddle_at(const struct ym_tilt *t, bool adding, double epsilon);

#endif

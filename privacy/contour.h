#ifndef YM_PRIVACY_CONTOUR_H
#define YM_PRIVACY_CONTOUR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "privacy/loss_moment.h"

/* What the contour estimate sums (accountant_contour.c; docs/privacy.md): M(s + it) on one line, at t = c sinh x,
 * x = 0, dx, 2 dx ... Near 0 the spacing c dx counts: the trapezoid rule in x is exact but for copies of e^(s y)
 * delta(y) shifted by 2 pi / (c dx). Further out M is the transform of losses within a few 1/t of the bulk, smooth on
 * the scale of t, and nodes stand ever wider. The moments do not depend on epsilon: they are computed once, and each
 * trial of epsilon costs one pass over t. */

#define YM_CONTOUR_ROUNDING 1e-13 /* of a moment's size, generously */

struct ym_curve {
    const struct ym_loss *loss;
    size_t losses;
    bool adding;
    double delta;
};

struct ym_contour {
    double s, k, c, dx;   /* real part, log M(s), the map: the first and the last two are the caller's to set */
    double apart;         /* of the copies */
    bool lost;            /* the terms cancel: epsilon wants another line, if there is a better one */
    double work;          /* done so far, nodes of u times nodes of t */
    size_t count, in_use; /* nodes, and those that are summed, an odd number */
    double *t, *log_m;    /* [count] place, log |M / M(s)| of all steps */
    double *arg, *size;   /* [count] arg M, dt |M / M(s)| */
    double *used;         /* [count] size, faded out */
};

void ym_contour_release(struct ym_contour *c); /* all but the work done is forgotten */
/* As many nodes as reach the length; those at hand are kept. YM_EXHAUSTED where that is too much work. */
enum ym_code ym_contour_reach(struct ym_contour *c, const struct ym_curve *v, double length, struct ym_status *st);
/* A node between each two in use. */
enum ym_code ym_contour_refine(struct ym_contour *c, const struct ym_curve *v, struct ym_status *st);

/* What is summed: the nodes as they are (part 0), or faded out by erfc about the middle of that part of the length,
 * which only smooths the curve over a distance of a few / length. */
void ym_contour_use(struct ym_contour *c, double part);

struct ym_contour_value {
    double log_delta, slope; /* slope: -d log delta / d epsilon; NAN where delta came out negative */
    double last, gross;      /* the largest of the last terms, and the sum of all sizes, against delta */
    double sum, sizes;
};
/* Delta at epsilon, by every stride-th node: 1 or 2. */
struct ym_contour_value ym_contour_at(const struct ym_contour *c, double epsilon, size_t stride);

#endif

#ifndef YM_PRIVACY_LOSS_MOMENT_H
#define YM_PRIVACY_LOSS_MOMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "privacy/accountant.h"

/* The privacy loss of one step, in the coordinate u ~ N(0, 1) of the patient-free
 * side: W = 1 - q + q exp(u / sigma - 1 / (2 sigma^2)), L = log W. Removing a patient
 * has moments E[e^(s loss)] = E[W^(1 + s)], adding one E[W^(-s)]: both are F(a) =
 * E[W^a] at another power. Shared by the two tight accountants; pure. */

struct ym_loss {
    double sigma, q, keep; /* noise multiplier, k / 2^64, 1 - q without cancellation */
    double steps;
};

struct ym_loss_range {
    double low, high; /* of u; outside, W^a phi(u) is below e^-42 of its maximum */
};

/* Events with equal sigma and k become one; those of no steps vanish. *out is the caller's, free(); NULL when none is
 * left. YM_INVALID for sigma_units or sampling_k 0. */
enum ym_code ym_losses_collect(const struct ym_event *e, size_t count, struct ym_loss **out, size_t *losses,
                               struct ym_status *st);
double ym_loss_at(const struct ym_loss *l, double u);    /* L */
double ym_loss_slope(const struct ym_loss *l, double u); /* dL / du, rising, at most 1 / sigma */
struct ym_loss_range ym_loss_range(const struct ym_loss *l, double a);
/* Spacing at which the trapezoid rule errs by less than e^-40 for W^(a + it), |t| <= frequency. */
double ym_loss_spacing(const struct ym_loss *l, double frequency, const struct ym_loss_range *range);

struct ym_cumulant {
    double k, first, second; /* log E[e^(s loss)] of all steps together, and its derivatives in s; infinite where s is
                                so large that the sum would be too long */
};
struct ym_cumulant ym_losses_cumulant(const struct ym_loss *l, size_t losses, bool adding, double s);

/* Where to integrate: s > 0 so that the saddle-point approximation of delta is the one
 * asked for, and its epsilon (may be negative). A hint: nothing that is certified rests on it. */
struct ym_saddle {
    double s, epsilon;
};
struct ym_saddle ym_losses_saddle(const struct ym_loss *l, size_t losses, bool adding, double delta);
/* The s > 0 that minimises K(s) - epsilon s - log s - log(1 + s). */
double ym_losses_saddle_at(const struct ym_loss *l, size_t losses, bool adding, double epsilon, double start);

#endif

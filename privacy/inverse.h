#ifndef YM_PRIVACY_INVERSE_H
#define YM_PRIVACY_INVERSE_H

#include "privacy/accountant.h"

/* The accountants by name, and the questions asked backwards: noise for an epsilon, steps for a budget. An answer is a
 * charge whose epsilon, by that accountant, was computed and is at most the one asked for; where it cannot be computed
 * (a charge too extreme) the charge counts as too dear. The certified accountant starts at the estimate's answer. Pure;
 * any thread. */

enum ym_accountant {
    YM_ACCOUNTANT_RDP,     /* upper bound; what the cap is held by uses the same divergences at one order */
    YM_ACCOUNTANT_CONTOUR, /* estimate, charges fixed beforehand */
    YM_ACCOUNTANT_PLD,     /* certified bound, charges fixed beforehand */
};

enum ym_code ym_accountant_epsilon(enum ym_accountant a, const struct ym_event *e, size_t count, double delta,
                                   double *epsilon, struct ym_status *st);
/* The question is about e[0]; the other events are charged beside it as they stand. count >= 1, epsilon > 0,
 * 0 < delta < 1. A failure leaves e alone.
 * noise: e[0].sigma_units becomes the smallest so that all stays within epsilon; what it held is not read. YM_INVALID
 * for misuse, and where 2^40 units are not noise enough.
 * steps: e[0].steps becomes the most, YM_STEPS_MAX when more, 0 when not even one is within epsilon. */
enum ym_code ym_accountant_noise(enum ym_accountant a, double epsilon, double delta, struct ym_event *e, size_t count,
                                 struct ym_status *st);
enum ym_code ym_accountant_steps(enum ym_accountant a, double epsilon, double delta, struct ym_event *e, size_t count,
                                 struct ym_status *st);
#define YM_STEPS_MAX 1000000000ull

#endif

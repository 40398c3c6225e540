#ifndef YM_AUDIT_LIMITS_H
#define YM_AUDIT_LIMITS_H

#include <stdint.h>

/* Bounds that hospital and auditor share (docs/privacy.md, "Refusals"). Pure. */

/* Above this, e^epsilon is past 4 x 10^8 and promises next to nothing: a policy's
 * cap or a plan's epsilon needs an override leaf that says why. */
#define YM_EPSILON_PLAIN_MICRO 20000000

/* How many patients a data set of a card's public size class counts as: the
 * upper end, of the open class its lower end. 0: no such class. */
int64_t ym_size_class_patients(const char *size_class);
/* The largest delta for it, 1 / (10 x that), units of 1e-18, rounded down; 0: no such class. */
int64_t ym_size_class_delta_e18(const char *size_class);

#endif

#ifndef YM_GATE_ADVICE_H
#define YM_GATE_ADVICE_H

#include "gate/plan.h"

/* How much noise a plan needs. Pure. What is advised has passed ym_plan_read:
 * there is no second opinion here on what fits. */

/* Reads a document as if it asked for the most noise that a plan may have and,
 * unless epsilon is NULL, for that epsilon (a decimal): what it says of noise,
 * nothing at all included, is no obstacle, and every other problem is found
 * with its line. Changes the document. The plan is for ym_advice_find, not to
 * be offered. passes: out, whether the noise as written is enough. */
enum ym_code ym_advice_read(struct ym_doc *doc, const char *epsilon, struct ym_plan **out, bool *passes,
                            struct ym_problems *p, struct ym_status *st);

/* The smallest noise_multiplier of six decimals with which the plan, at so many
 * rounds and this sampling probability (a decimal; NULL: the plan's), fits its
 * epsilon. checked: out, the plan so changed. YM_NOT_FOUND when no noise fits,
 * YM_INVALID for rounds or a probability that a plan may not have. */
enum ym_code ym_advice_find(const struct ym_plan *plan, uint32_t rounds, const char *sampling, struct ym_decimal *noise,
                            struct ym_plan **checked, struct ym_status *st);

#endif

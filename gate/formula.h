#ifndef YM_GATE_FORMULA_H
#define YM_GATE_FORMULA_H

#include "gate/plan.h"

/* The formula of a plan, a small part of R's language (docs/plan.md, "Formula"):
 *   formula = left "~" term { "+" term }
 *   left    = outcome | "Surv(" time "," outcome ")" for survival families
 *   term    = factor { ":" factor } | "offset(" factor ")" for Poisson, once
 *   factor  = input | "log(" number ")" | "log1p(" number ")"
 * No term stands twice, every input declared is used, at most three factors a
 * term. Pure. */
#define YM_FORMULA_MAX_BYTES 4096
#define YM_FORMULA_MAX_TERMS 256
#define YM_FORMULA_FACTOR_BYTES 80

struct ym_formula {
    struct ym_term term[YM_FORMULA_MAX_TERMS]; /* main effects first, then by number of factors, else as written */
    size_t term_count;
    bool has_offset;
    struct ym_factor offset;
    /* where and why it is refused: byte of the text, from 1; a word of it, or ""; a text of base/text.h */
    size_t at;
    char word[64];
    const char *why;
};

/* plan: family, inputs, outcome and time are read already. False: out says where and why. */
bool ym_formula_parse(const struct ym_plan *plan, const char *text, struct ym_formula *out);

/* Its one spelling: factors of a term in the order of the inputs, single spaces. */
void ym_formula_format(const struct ym_plan *plan, const struct ym_formula *f, struct ym_buf *out);
/* "age", "log(bili)". */
void ym_factor_format(const struct ym_plan *plan, struct ym_factor f, char out[YM_FORMULA_FACTOR_BYTES]);

#endif

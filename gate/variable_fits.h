#ifndef YM_GATE_VARIABLE_FITS_H
#define YM_GATE_VARIABLE_FITS_H

#include "gate/plan.h"

/* What a card or a frozen data set says of one variable. */
struct ym_offer {
    bool category;
    const char *unit;
    double low, high;
    const char *const *level; /* [level_count], borrowed */
    size_t level_count;
    uint32_t channels, height, width; /* of an image; 0 0 0: none */
};

/* One of "variables" of a card's public part; borrows from it. level is scratch
 * that out points into. False when it is malformed. */
bool ym_offer_read(const json_t *variable, const char *level[YM_PLAN_MAX_LEVELS], struct ym_offer *out);

/* Whether a plan's variable can be given: same kind, same unit, ranges that
 * meet, every level of the plan known, an image of the same shape. Appends a line for each reason to why. */
bool ym_variable_fits(const struct ym_variable *wanted, const struct ym_offer *offer, struct ym_buf *why);

#endif

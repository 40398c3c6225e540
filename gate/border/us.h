#ifndef YM_GATE_BORDER_US_H
#define YM_GATE_BORDER_US_H

#include "base/crypto.h"
#include "gate/border/facts.h"

/* Bulk data of US persons (28 CFR 202.205): one transfer as that rule sees it, from a US party to
 * a recipient, and the facts us_*_n that its people make. Pure; docs/border.md, "US persons". */

enum ym_us_category { /* in the order of the facts us_genome_n .. us_identifiers_n */
                      YM_US_GENOME,
                      YM_US_OMIC,
                      YM_US_BIOMETRIC,
                      YM_US_HEALTH,
                      YM_US_IDENTIFIERS,
                      YM_US_CATEGORIES
};
const char *ym_us_word(enum ym_us_category c); /* "genome" "omic" "biometric" "health" "identifiers" */

struct ym_us_transfer {
    uint8_t party[YM_HASH_BYTES];     /* who exports (declare.h); of no name: any */
    uint8_t recipient[YM_HASH_BYTES]; /* the plan's, folded like an exporter; all zero: none was named, any */
    unsigned categories;              /* bit c: the card does not say that there are 0 people of it */
};
struct ym_plan;
struct ym_card;
/* False: the card does not say that the patients are US persons, or says 0 for every category. */
bool ym_us_transfer_of(const struct ym_plan *plan, const struct ym_card *card, struct ym_us_transfer *out);

/* people were counted with these categories among them; below 0: unknown. Whoever counts in one
 * category counts in each that is there: combined data take the lowest number that applies. What
 * the card declares counts where it is larger; what it leaves unknown stays unknown. */
void ym_us_facts(int64_t people, unsigned categories, struct ym_facts *f);

#endif

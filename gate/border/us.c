#include "gate/border/us.h"

#include <string.h>

#include "gate/card.h"
#include "gate/plan.h"

_Static_assert(YM_PEOPLE_US_GENOME + YM_US_IDENTIFIERS == YM_PEOPLE_US_IDENTIFIERS, "facts follow the categories");

const char *ym_us_word(enum ym_us_category c)
{
    static const char *const words[] = {"genome", "omic", "biometric", "health", "identifiers"};
    return words[c];
}

bool ym_us_transfer_of(const struct ym_plan *plan, const struct ym_card *card, struct ym_us_transfer *out)
{
    const struct ym_facts *f = &card->border.declared;
    if (f->choice[YM_CHOICE_US_PERSONS] != ym_choice_value_find(YM_CHOICE_US_PERSONS, "yes"))
        return false;
    memset(out, 0, sizeof *out);
    ym_exporter_of(card, out->party);
    if (plan->border.recipient[0])
        ym_recipient_of(plan, out->recipient);
    for (unsigned c = 0; c < YM_US_CATEGORIES; c++)
        if (f->people[YM_PEOPLE_US_GENOME + c] != 0)
            out->categories |= 1u << c;
    return out->categories != 0;
}

void ym_us_facts(int64_t people, unsigned categories, struct ym_facts *f)
{
    for (unsigned c = 0; c < YM_US_CATEGORIES; c++) {
        int64_t *n = &f->people[YM_PEOPLE_US_GENOME + c];
        if (*n < 0 || !(categories >> c & 1))
            continue;
        *n = people < 0 ? YM_PEOPLE_UNKNOWN : people > *n ? people : *n;
    }
}

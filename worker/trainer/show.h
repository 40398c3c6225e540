#ifndef YM_TRAINER_SHOW_H
#define YM_TRAINER_SHOW_H

#include <jansson.h>

#include "audit/ledger/budget.h"
#include "worker/trainer/site.h"

/* What the ledger says, as JSON for people and programs: by the trainer, or by
 * yumen-site on a folder at rest. NULL when the ledger cannot be read. */
json_t *ym_show_budget(struct ym_ledger *l, const struct ym_budget *b);
/* The first count releases from a leaf on, oldest first: when, study, round, bytes, hash, to whom, clip, noise,
 * epsilon, people of each year (rounded up, and exactly where people/exact tells), what the rule sets decided, on which
 * documents. */
json_t *ym_show_egress(const struct ym_site *site, struct ym_ledger *l, const char *federation, uint64_t from,
                       size_t count);
#define YM_SHOW_EGRESS_PAGE 500

#endif

#ifndef YM_TRAINER_SHOW_H
#define YM_TRAINER_SHOW_H

#include <jansson.h>

#include "audit/ledger/budget.h"

/* What the ledger says, as JSON for people and programs: by the trainer, or by
 * yumen-site on a folder at rest. NULL when the ledger cannot be read. */
json_t *ym_show_budget(struct ym_ledger *l, const struct ym_budget *b);
json_t *ym_show_egress(struct ym_ledger *l);

#endif

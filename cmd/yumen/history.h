#ifndef YM_CMD_YUMEN_HISTORY_H
#define YM_CMD_YUMEN_HISTORY_H

#include <jansson.h>

#include "cmd/yumen/party.h"

/* What the hub's log tells of a study: for each hospital that said yes, its data set's public card and what its
 * charges come to. Read from the hub as it stands, signatures unchecked: `yumen-audit verify` checks them.
 * out: new, {hospitals: [{name, dataset, card, charges, rounds, left_out, epsilon_study_micro,
 * epsilon_certified_micro, certified_by, epsilon_spent_micro, epsilon_cap_micro, delta_e18, identified}], rounds_run,
 * content_id}: the entry that the state (its SHA-256) came from, the study's own before any round. *result: that entry
 * where it is a round_result, new, else NULL. */
enum ym_code ym_history_read(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t state[YM_HASH_BYTES],
                             json_t **out, json_t **result, struct ym_status *st);

#endif

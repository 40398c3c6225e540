#ifndef YM_CMD_YUMEN_METRIC_H
#define YM_CMD_YUMEN_METRIC_H

#include <jansson.h>

#include "cmd/yumen/party.h"
#include "models/metric.h"

/* Released metrics as the sponsor's commands show them. The sum of round r tells
 * of the state that the round started from: `of` is r - 1. */

/* "__metadata__" of a state: round, previous, sum, survivors. New reference, NULL when it has none. */
json_t *ym_state_metadata(struct ym_bytes state);
/* The metrics that came with the round that made this state, out of the hub's sum of it. cells: new, behind
 * metric->cell. of: the round of the state they describe. YM_NOT_FOUND when that round released none. */
enum ym_code ym_metric_fetch(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state,
                             int64_t **cells, struct ym_metric *metric, uint32_t *of, struct ym_status *st);
/* One line; each figure with the interval that holds 95 % of the noise. */
void ym_print_metric(struct ym_buf *out, const struct ym_metric *m, uint32_t of);
/* {of, count_sd, cells [label][bin or class], and {value, sd} of each figure}; null where undefined. New reference. */
json_t *ym_json_metric(const struct ym_metric *m, uint32_t of);

#endif

#ifndef YM_CMD_YUMEN_METRIC_H
#define YM_CMD_YUMEN_METRIC_H

#include <jansson.h>

#include "cmd/yumen/party.h"
#include "models/metric.h"

/* Released metrics as the sponsor's commands show them. The sum of round r tells
 * of the state that the round started from: `of` is r - 1. */

/* What came with the round that made a state, out of the hub's sum of it. Zero-initialised is empty. */
struct ym_metric_report {
    uint32_t of;   /* round of the state that is described */
    int64_t *cell; /* behind all of them */
    struct ym_metric pooled;
    size_t site_count; /* of those whose own counts the plan has the hub keep, else 0 */
    struct ym_metric_site {
        char name[64];
        struct ym_metric metric;
    } site[YM_PLAN_MAX_SITES];
};
/* The same of a plan that keeps its model with the hospitals: from the log's round_result, and the counts alone that
 * end its sum, which is all the hub gives. They are its word: their hash is that of the whole sum. */
enum ym_code ym_metric_fetch_kept(struct ym_party_home *h, const struct ym_plan *plan, const json_t *round_result,
                                  struct ym_metric_report *out, struct ym_status *st);
/* YM_NOT_FOUND when that round released none. */
enum ym_code ym_metric_fetch(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state,
                             struct ym_metric_report *out, struct ym_status *st);
void ym_metric_release(struct ym_metric_report *r);
/* A line for all, and one for each hospital. */
void ym_print_report(struct ym_buf *out, const struct ym_metric_report *r);
/* ym_json_metric, and sites: {name: the same}. New reference. */
json_t *ym_json_report(const struct ym_metric_report *r);
/* One line; each figure with the interval that holds 95 % of the noise. */
void ym_print_metric(struct ym_buf *out, const struct ym_metric *m, uint32_t of);
/* {of, count_sd, cells [label][bin or class], and {value, sd} of each figure}; null where undefined. New reference. */
json_t *ym_json_metric(const struct ym_metric *m, uint32_t of);

#endif

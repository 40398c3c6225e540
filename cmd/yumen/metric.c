#include "cmd/yumen/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "models/results/notice.h"
#include "models/state.h"

#define WITHIN 1.959963984540054 /* standard deviations that hold 95 % */

static int64_t *decode_cells(const struct ym_buf *sum, size_t at, size_t count)
{
    int64_t *cells = calloc(count + 1, sizeof *cells);

    for (size_t i = 0; cells && i < count; i++) {
        uint64_t v = 0;

        for (int b = 7; b >= 0; b--)
            v = v << 8 | sum->data[8 * (at + i) + (size_t)b];
        cells[i] = (int64_t)v;
    }
    return cells;
}

/* "h1,h2" into the report's sites, plan order as the state's header has them. */
static size_t read_names(const char *list, struct ym_metric_report *r)
{
    size_t n = 0;

    while (list && *list && n < YM_PLAN_MAX_SITES) {
        size_t len = strcspn(list, ",");

        snprintf(r->site[n++].name, sizeof r->site[0].name, "%.*s", (int)(len < 63 ? len : 63), list);
        list += len + (list[len] == ',');
    }
    return n;
}

/* The metrics end the sum, whose first `before` coordinates the bytes lack; what is kept of each site stands behind. */
static enum ym_code read_sum(const struct ym_plan *plan, const struct ym_model *m, const struct ym_buf *sum,
                             size_t before, size_t sites, size_t kept, struct ym_metric_report *r, struct ym_status *st)
{
    size_t dim = ym_model_update_dim(m) - before;

    if (sum->len != 8 * (dim + sites * kept))
        return ym_status_set(st, YM_CORRUPT, "a sum of %zu bytes is not one of this plan", sum->len);
    r->cell = decode_cells(sum, ym_model_metric_at(m) - before, m->metric_dim + sites * kept);
    if (!r->cell)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for metrics");
    ym_metric_read(plan, r->cell, sites, &r->pooled);
    r->site_count = kept > 0 ? sites : 0;
    for (size_t i = 0; i < r->site_count; i++)
        ym_metric_read(plan, r->cell + m->metric_dim + i * kept, 1, &r->site[i].metric);
    return YM_OK;
}

enum ym_code ym_metric_fetch(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state,
                             struct ym_metric_report *out, struct ym_status *st)
{
    struct ym_buf sum = {0};
    struct ym_model m;
    uint8_t hash[YM_HASH_BYTES];
    const uint8_t *params;
    uint32_t round = 0;
    json_t *meta = ym_notice_tensors(state);
    size_t sites = read_names(json_string_value(json_object_get(meta, "survivors")), out), kept = 0;
    enum ym_code code = ym_state_params(plan, state, &round, &params, st);

    if (code == YM_OK && (round == 0 || !ym_plan_metric_due(plan, round)))
        code = ym_status_set(st, YM_NOT_FOUND, "round %u released no metrics", round);
    if (code == YM_OK)
        code = ym_model_from_plan(plan, &m, st);
    if (code == YM_OK)
        code = ym_json_get_hash(meta, "sum", hash, st);
    if (code == YM_OK) {
        kept = ym_plan_site_dim(plan, round);
        code = ym_home_fetch(h, hash, 8 * (ym_model_update_dim(&m) + sites * kept), &sum, st);
    }
    if (code == YM_OK)
        code = read_sum(plan, &m, &sum, 0, sites, kept, out, st);
    if (code == YM_OK)
        out->of = round - 1;
    ym_buf_release(&sum);
    json_decref(meta);
    return code;
}

/* Survivors stand in plan order, each once. */
static enum ym_code take_survivors(const struct ym_plan *plan, const json_t *names, struct ym_metric_report *r,
                                   size_t *sites, struct ym_status *st)
{
    const json_t *name;
    size_t k, at = 0, n = 0;

    json_array_foreach(names, k, name)
    {
        while (at < plan->site_count && (!json_is_string(name) || strcmp(plan->site[at].name, json_string_value(name))))
            at++;
        if (at == plan->site_count)
            return ym_status_set(st, YM_CORRUPT, "the hub's log names survivors that are not the plan's");
        memcpy(r->site[n++].name, plan->site[at++].name, sizeof r->site[0].name);
    }
    *sites = n;
    return n > 0 ? YM_OK : ym_status_set(st, YM_CORRUPT, "the hub's log names no survivors");
}

enum ym_code ym_metric_fetch_kept(struct ym_party_home *h, const struct ym_plan *plan, const json_t *round_result,
                                  struct ym_metric_report *out, struct ym_status *st)
{
    json_int_t round = json_integer_value(json_object_get(round_result, "round"));
    struct ym_buf tail = {0};
    struct ym_model m;
    uint8_t sum[YM_HASH_BYTES];
    struct ym_object_ask ask = {.sha256 = sum, .part = YUMEN__V1__OBJECT_PART__OBJECT_PART_METRICS};
    size_t sites = 0, kept = 0;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK && (round < 1 || round > plan->rounds || !ym_plan_metric_due(plan, (uint32_t)round)))
        code = ym_status_set(st, YM_NOT_FOUND, "that round released no metrics");
    if (code == YM_OK)
        code = take_survivors(plan, json_object_get(round_result, "survivors"), out, &sites, st);
    if (code == YM_OK)
        code = ym_json_get_hash(round_result, "sum", sum, st);
    if (code == YM_OK) {
        kept = ym_plan_site_dim(plan, (uint32_t)round);
        ask.limit = 8 * (m.metric_dim + sites * kept);
        code = ym_home_fetch_part(h, &ask, &tail, st);
    }
    if (code == YM_OK)
        code = read_sum(plan, &m, &tail, ym_model_metric_at(&m), sites, kept, out, st);
    if (code == YM_OK)
        out->of = (uint32_t)round - 1;
    ym_buf_release(&tail);
    return code;
}

void ym_metric_release(struct ym_metric_report *r)
{
    free(r->cell);
    r->cell = NULL;
}

/* ---- for people ---- */

/* Noise may carry a share beyond 0 or 1, where no share is: people are told the nearest that could be. */
static double within(double v, double most)
{
    return fmin(fmax(v, 0), most);
}

static void put(struct ym_buf *out, const char *name, struct ym_metric_figure f, double most, int places)
{
    if (isfinite(f.value))
        ym_buf_printf(out, T(SPONSOR_METRIC_FIGURE), name, places, within(f.value, most), places,
                      within(f.value - WITHIN * f.sd, most), places, within(f.value + WITHIN * f.sd, most));
}

static void print_figures(struct ym_buf *out, const struct ym_metric *m)
{
    put(out, "AUC", m->auc, 1, 4);
    put(out, "C", m->concordance, 1, 4);
    put(out, T(SPONSOR_METRIC_ACCURACY), m->accuracy, 1, 4);
    put(out, "Brier", m->brier, 1, 4);
    put(out, T(SPONSOR_METRIC_EXPECTED), m->expected, 1, 4);
    put(out, T(SPONSOR_METRIC_OBSERVED), m->observed, 1, 4);
    put(out, T(SPONSOR_METRIC_PATIENTS), m->patients, INFINITY, 0);
}

void ym_print_metric(struct ym_buf *out, const struct ym_metric *m, uint32_t of)
{
    ym_buf_printf(out, T(SPONSOR_METRIC_OF), of);
    print_figures(out, m);
}

void ym_print_report(struct ym_buf *out, const struct ym_metric_report *r)
{
    ym_print_metric(out, &r->pooled, r->of);
    for (size_t i = 0; i < r->site_count; i++) {
        ym_buf_printf(out, "\n    %s", r->site[i].name);
        print_figures(out, &r->site[i].metric);
    }
}

/* ---- for programs ---- */

static json_t *figure_json(struct ym_metric_figure f)
{
    if (!isfinite(f.value) || !isfinite(f.sd))
        return json_null();
    return json_pack("{s:f,s:f}", "value", f.value, "sd", f.sd);
}

json_t *ym_json_metric(const struct ym_metric *m, uint32_t of)
{
    json_t *cells = json_array();

    for (size_t label = 0; label < m->classes; label++) {
        json_t *row = json_array();

        for (size_t k = 0; k < (m->bins ? m->bins : m->classes); k++)
            json_array_append_new(row, json_real(ym_metric_count(m, label, k)));
        json_array_append_new(cells, row);
    }
    return json_pack("{s:I,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "of", (json_int_t)of, "count_sd", m->count_sd,
                     "cells", cells, "patients", figure_json(m->patients), "accuracy", figure_json(m->accuracy), "auc",
                     figure_json(m->auc), "brier", figure_json(m->brier), "expected", figure_json(m->expected),
                     "observed", figure_json(m->observed), "concordance", figure_json(m->concordance));
}

json_t *ym_json_report(const struct ym_metric_report *r)
{
    json_t *o = ym_json_metric(&r->pooled, r->of), *sites = json_object();

    for (size_t i = 0; i < r->site_count; i++)
        json_object_set_new(sites, r->site[i].name, ym_json_metric(&r->site[i].metric, r->of));
    if (r->site_count > 0)
        json_object_set(o, "sites", sites);
    json_decref(sites);
    return o;
}

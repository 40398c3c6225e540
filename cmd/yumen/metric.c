#include "cmd/yumen/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "models/state.h"

#define HEADER_MAX (256 * 1024)
#define WITHIN 1.959963984540054 /* standard deviations that hold 95 % */

json_t *ym_state_metadata(struct ym_bytes state)
{
    uint64_t len = 0;
    json_t *header = NULL, *meta;

    for (int i = 0; i < 8 && state.len >= 8; i++)
        len |= (uint64_t)state.data[i] << (8 * i);
    if (state.len < 8 || len > HEADER_MAX || len > state.len - 8)
        return NULL;
    while (len > 0 && state.data[8 + len - 1] == ' ')
        len--;
    if (ym_json_parse(state.data + 8, len, HEADER_MAX, &header, NULL) != YM_OK)
        return NULL;
    meta = json_incref(json_object_get(header, "__metadata__"));
    json_decref(header);
    return meta;
}

static size_t count_names(const char *list)
{
    size_t n = list && *list ? 1 : 0;

    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

static int64_t *decode_cells(const struct ym_buf *sum, size_t at, size_t count)
{
    int64_t *cells = calloc(count, sizeof *cells);

    for (size_t i = 0; cells && i < count; i++) {
        uint64_t v = 0;

        for (int b = 7; b >= 0; b--)
            v = v << 8 | sum->data[8 * (at + i) + (size_t)b];
        cells[i] = (int64_t)v;
    }
    return cells;
}

static enum ym_code read_sum(const struct ym_plan *plan, const struct ym_model *m, const struct ym_buf *sum,
                             size_t sites, int64_t **cells, struct ym_metric *metric, struct ym_status *st)
{
    int64_t *got;

    if (sum->len != 8 * ym_model_update_dim(m))
        return ym_status_set(st, YM_CORRUPT, "a sum of %zu bytes is not one of this plan", sum->len);
    got = decode_cells(sum, ym_model_metric_at(m), m->metric_dim);
    if (!got)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for metrics");
    ym_metric_read(plan, got, sites, metric);
    *cells = got;
    return YM_OK;
}

enum ym_code ym_metric_fetch(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state,
                             int64_t **cells, struct ym_metric *metric, uint32_t *of, struct ym_status *st)
{
    struct ym_buf sum = {0};
    struct ym_model m;
    uint8_t hash[YM_HASH_BYTES];
    const uint8_t *params;
    uint32_t round = 0;
    json_t *meta = ym_state_metadata(state);
    size_t sites = count_names(json_string_value(json_object_get(meta, "survivors")));
    enum ym_code code = ym_state_params(plan, state, &round, &params, st);

    if (code == YM_OK && (round == 0 || !ym_plan_metric_due(plan, round)))
        code = ym_status_set(st, YM_NOT_FOUND, "round %u released no metrics", round);
    if (code == YM_OK)
        code = ym_model_from_plan(plan, &m, st);
    if (code == YM_OK)
        code = ym_json_get_hash(meta, "sum", hash, st);
    if (code == YM_OK)
        code = ym_home_fetch(h, hash, 8 * ym_model_update_dim(&m), &sum, st);
    if (code == YM_OK)
        code = read_sum(plan, &m, &sum, sites, cells, metric, st);
    if (code == YM_OK)
        *of = round - 1;
    ym_buf_release(&sum);
    json_decref(meta);
    return code;
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

void ym_print_metric(struct ym_buf *out, const struct ym_metric *m, uint32_t of)
{
    ym_buf_printf(out, T(SPONSOR_METRIC_OF), of);
    put(out, "AUC", m->auc, 1, 4);
    put(out, "C", m->concordance, 1, 4);
    put(out, T(SPONSOR_METRIC_ACCURACY), m->accuracy, 1, 4);
    put(out, "Brier", m->brier, 1, 4);
    put(out, T(SPONSOR_METRIC_EXPECTED), m->expected, 1, 4);
    put(out, T(SPONSOR_METRIC_OBSERVED), m->observed, 1, 4);
    put(out, T(SPONSOR_METRIC_PATIENTS), m->patients, INFINITY, 0);
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

#include "models/state_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define FORMAT "yumen-state/1"

void ym_state_meta_release(struct ym_state_meta *meta)
{
    ym_buf_release(&meta->survivors);
    ym_buf_release(&meta->weights);
}

size_t ym_state_slots(const struct ym_plan *plan, const char *name[YM_STATE_SLOTS])
{
    size_t count = 0;

    if (plan->server != YM_SERVER_FEDAVG)
        name[count++] = "server.m";
    if (plan->server != YM_SERVER_FEDAVG && plan->server != YM_SERVER_FEDAVGM)
        name[count++] = "server.v";
    if (plan->scaffold)
        name[count++] = "server.c"; /* always the last */
    return count;
}

uint64_t ym_state_extra_at(const struct ym_plan *plan, const struct ym_model *m)
{
    const char *name[YM_STATE_SLOTS];

    return (uint64_t)m->dim * (4 + 8 * ym_state_slots(plan, name));
}

uint64_t ym_state_data_bytes(const struct ym_plan *plan, const struct ym_model *m)
{
    return ym_state_extra_at(plan, m) + 8 * m->state_extra;
}

enum ym_code ym_state_meta_survivors(const struct ym_plan *plan, const char *const *name, size_t count,
                                     struct ym_state_meta *meta, struct ym_status *st)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++, at++) {
        while (at < plan->site_count && strcmp(plan->site[at].name, name[i]) != 0)
            at++;
        if (at == plan->site_count)
            return ym_status_set(st, YM_INVALID, "survivor %zu is not a site of the plan, or out of its order", i);
        if (ym_buf_printf(&meta->survivors, "%s%s", i ? "," : "", name[i]) != YM_OK ||
            ym_buf_printf(&meta->weights, "%s%" PRIu32, i ? "," : "", plan->site[at].weight) != YM_OK)
            return ym_status_set(st, YM_EXHAUSTED, "no memory for the state header");
        meta->total_weight += plan->site[at].weight;
    }
    return count > 0 ? YM_OK : ym_status_set(st, YM_INVALID, "a sum without survivors");
}

/* ---- encode ---- */

static enum ym_code put_tensor(struct ym_buf *out, const char *name, const char *dtype, const size_t *extent,
                               size_t rank, uint64_t begin, uint64_t end)
{
    char shape[128];
    size_t len = 0;

    for (size_t i = 0; i < rank; i++)
        len += (size_t)snprintf(shape + len, sizeof shape - len, "%s%zu", i ? "," : "", extent[i]);
    return ym_buf_printf(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                         name, dtype, shape, begin, end);
}

static enum ym_code put_extra(const struct ym_plan *plan, const struct ym_model *m, struct ym_buf *out)
{
    uint64_t at = ym_state_extra_at(plan, m);
    size_t scaled = ym_plan_scaled_columns(plan), one = 1;
    enum ym_code code = YM_OK;

    if (plan->clip_bit_units > 0) {
        code = put_tensor(out, "privacy.log_clip", "F64", &one, 1, at, at + 8);
        at += 8;
    }
    if (scaled > 0 && code == YM_OK)
        code = put_tensor(out, "scaling.mean", "F64", &scaled, 1, at, at + 8 * scaled);
    if (scaled > 0 && code == YM_OK)
        code = put_tensor(out, "scaling.scale", "F64", &scaled, 1, at + 8 * scaled, at + 16 * scaled);
    at += 16 * scaled;
    if (plan->stop_figure != YM_STOP_NEVER && code == YM_OK)
        code = put_tensor(out, "stop.best", "F64", &one, 1, at, at + 8);
    if (plan->stop_figure != YM_STOP_NEVER && code == YM_OK)
        code = put_tensor(out, "stop.since", "F64", &one, 1, at + 8, at + 16);
    return code;
}

static enum ym_code put_tensors(const struct ym_plan *plan, const struct ym_model *m, struct ym_buf *out)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(plan, name);
    uint64_t dim = m->dim;
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < ym_model_tensors(m) && code == YM_OK; i++) {
        struct ym_tensor_info t = ym_model_tensor(m, i);
        uint64_t count = (uint64_t)t.rows * (t.cols ? t.cols : 1);

        code = put_tensor(out, t.name, "F32", t.shape, t.rank, 4 * t.offset, 4 * (t.offset + count));
    }
    for (size_t i = 0; i < slots && code == YM_OK; i++)
        code = put_tensor(out, name[i], "F64", &m->dim, 1, (4 + 8 * i) * dim, (12 + 8 * i) * dim);
    return code == YM_OK ? put_extra(plan, m, out) : code;
}

static enum ym_code put_metadata(const struct ym_plan *plan, const struct ym_state_meta *meta, struct ym_buf *out)
{
    struct ym_buf plan_hex = {0};
    enum ym_code code = ym_hex_encode(plan->hash, sizeof plan->hash, &plan_hex);

    if (code == YM_OK)
        code = ym_buf_printf(out,
                             "{\"__metadata__\":{\"format\":\"" FORMAT "\",\"plan\":\"%s\",\"previous\":\"%s\","
                             "\"round\":\"%" PRIu32 "\",\"study\":\"%s\",\"sum\":\"%s\",\"survivors\":\"%s\","
                             "\"weights\":\"%s\"}",
                             ym_buf_str(&plan_hex), meta->previous, meta->round, plan->study, meta->sum,
                             ym_buf_str(&meta->survivors), ym_buf_str(&meta->weights));
    ym_buf_release(&plan_hex);
    return code;
}

static void store_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

enum ym_code ym_state_header_encode(const struct ym_plan *plan, const struct ym_model *m,
                                    const struct ym_state_meta *meta, struct ym_buf *out, struct ym_status *st)
{
    size_t start = out->len;
    enum ym_code code = ym_buf_append(out, "\0\0\0\0\0\0\0", 8);

    if (code == YM_OK)
        code = put_metadata(plan, meta, out);
    if (code == YM_OK)
        code = put_tensors(plan, m, out);
    if (code == YM_OK)
        code = ym_buf_puts(out, "}");
    while (code == YM_OK && (out->len - start) % 8 != 0)
        code = ym_buf_puts(out, " ");
    if (code != YM_OK)
        return ym_status_set(st, code, "no memory for the state header");
    YM_ASSERT(out->len - start - 8 <= YM_STATE_HEADER_MAX);
    store_u64(out->data + start, out->len - start - 8);
    return YM_OK;
}

/* ---- decode ---- */

static enum ym_code corrupt(struct ym_status *st, const char *what)
{
    return ym_status_set(st, YM_CORRUPT, "state file: %s", what);
}

static bool hex_hash_or_empty(const char *text, bool empty)
{
    uint8_t hash[YM_HASH_BYTES];

    return empty ? *text == 0 : ym_hex_decode(text, strlen(text), hash, sizeof hash) == YM_OK;
}

/* Cuts a copy of "a,b" into the names it holds. */
static enum ym_code read_survivors(const struct ym_plan *plan, const char *text, struct ym_state_meta *meta,
                                   struct ym_status *st)
{
    const char *name[YM_PLAN_MAX_SITES];
    char *copy = strdup(text), *rest = copy;
    size_t count = 0;
    enum ym_code code;

    if (!copy)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the state header");
    while (rest && count < YM_PLAN_MAX_SITES)
        name[count++] = strsep(&rest, ",");
    code = rest ? YM_INVALID : ym_state_meta_survivors(plan, name, count, meta, NULL);
    free(copy);
    if (code == YM_EXHAUSTED)
        return ym_status_set(st, code, "no memory for the state header");
    return code == YM_OK ? YM_OK : corrupt(st, "survivors are not sites of the plan in its order");
}

static enum ym_code read_metadata(const struct ym_plan *plan, const json_t *metadata, struct ym_state_meta *meta,
                                  struct ym_status *st)
{
    const char *round, *previous, *sum, *survivors;
    unsigned long value;
    char *end;

    if (ym_json_get_str(metadata, "round", &round, NULL) != YM_OK ||
        ym_json_get_str(metadata, "previous", &previous, NULL) != YM_OK ||
        ym_json_get_str(metadata, "sum", &sum, NULL) != YM_OK ||
        ym_json_get_str(metadata, "survivors", &survivors, NULL) != YM_OK)
        return corrupt(st, "metadata is incomplete");
    value = strtoul(round, &end, 10);
    if (end == round || *end || value > plan->rounds)
        return corrupt(st, "round is not one of the plan's");
    if (!hex_hash_or_empty(previous, value == 0) || !hex_hash_or_empty(sum, value == 0))
        return corrupt(st, "previous or sum is not a hash");
    meta->round = (uint32_t)value;
    snprintf(meta->previous, sizeof meta->previous, "%s", previous);
    snprintf(meta->sum, sizeof meta->sum, "%s", sum);
    return value == 0 ? YM_OK : read_survivors(plan, survivors, meta, st);
}

static enum ym_code check_size(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes head,
                               uint64_t file_bytes, uint64_t *header_bytes, struct ym_status *st)
{
    if (head.len < 8)
        return corrupt(st, "shorter than its length field");
    *header_bytes = load_u64(head.data);
    if (*header_bytes > YM_STATE_HEADER_MAX || *header_bytes > head.len - 8)
        return corrupt(st, "header is cut short or too long");
    if (file_bytes != 8 + *header_bytes + ym_state_data_bytes(plan, m))
        return corrupt(st, "size does not fit the plan's model");
    return YM_OK;
}

enum ym_code ym_state_header_decode(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes head,
                                    uint64_t file_bytes, uint32_t *round, size_t *data_at, struct ym_status *st)
{
    struct ym_state_meta meta = {0};
    struct ym_buf again = {0};
    json_t *root = NULL;
    uint64_t header_bytes = 0;
    enum ym_code code = check_size(plan, m, head, file_bytes, &header_bytes, st);

    if (code != YM_OK)
        return code;
    if (ym_json_parse(head.data + 8, header_bytes, YM_STATE_HEADER_MAX, &root, NULL) != YM_OK) {
        code = corrupt(st, "header is not JSON");
        goto out;
    }
    code = read_metadata(plan, json_object_get(root, "__metadata__"), &meta, st);
    if (code == YM_OK)
        code = ym_state_header_encode(plan, m, &meta, &again, st);
    if (code != YM_OK)
        goto out;
    if (again.len != 8 + header_bytes || memcmp(again.data, head.data, again.len) != 0) {
        code = corrupt(st, "header is not the one this plan and round give");
        goto out;
    }
    *round = meta.round;
    *data_at = again.len;
out:
    json_decref(root);
    ym_buf_release(&again);
    ym_state_meta_release(&meta);
    return code;
}

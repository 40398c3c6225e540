#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/study.h"
#include "sim/score.h"

#define MODEL_FORMAT "yumen-model/1"
#define HEADER_MAX (256 * 1024)
#define MODEL_MAX_BYTES ((size_t)YM_PLAN_MAX_PARAMS * 4 + HEADER_MAX)

/* ---- the file: parameters alone, as safetensors ---- */

static json_t *tensor_json(const struct ym_tensor_info *t)
{
    size_t count = t->rows * (t->cols == 0 ? 1 : t->cols);
    json_t *shape = json_array();

    for (size_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)(4 * t->offset),
                     (json_int_t)(4 * (t->offset + count)));
}

static void set_hex(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    ym_json_set_hash(o, key, hash);
}

static enum ym_code model_header(const struct ym_plan *plan, const struct ym_model *m, uint32_t round,
                                 const uint8_t state[32], struct ym_buf *out, struct ym_status *st)
{
    json_t *header = json_object(), *meta = json_pack("{s:s,s:s}", "format", MODEL_FORMAT, "study", plan->study);
    char number[16], *text;
    enum ym_code code = YM_OK;

    snprintf(number, sizeof number, "%" PRIu32, round);
    json_object_set_new(meta, "round", json_string(number));
    set_hex(meta, "plan", plan->hash);
    set_hex(meta, "state", state);
    json_object_set_new(header, "__metadata__", meta);
    for (size_t i = 0; i < ym_model_tensors(m); i++) {
        struct ym_tensor_info t = ym_model_tensor(m, i);

        json_object_set_new(header, t.name, tensor_json(&t));
    }
    text = json_dumps(header, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text == NULL || ym_buf_puts(out, text) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model's header");
    while (code == YM_OK && out->len % 8 != 0)
        code = ym_buf_puts(out, " ");
    free(text);
    json_decref(header);
    return code;
}

static enum ym_code model_file(const struct ym_plan *plan, const struct ym_model *m, uint32_t round,
                               const uint8_t state[32], const float *params, struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf header = {0};
    uint8_t len[8];
    enum ym_code code = model_header(plan, m, round, state, &header, st);

    for (int i = 0; i < 8; i++)
        len[i] = (uint8_t)((uint64_t)header.len >> (8 * i));
    if (code == YM_OK &&
        (ym_buf_append(out, len, sizeof len) != YM_OK || ym_buf_append(out, header.data, header.len) != YM_OK ||
         ym_buf_append(out, params, m->dim * sizeof *params) != YM_OK))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model");
    ym_buf_release(&header);
    return code;
}

/* ---- the card: how to use the parameters, and what they cost ---- */

static json_t *variable_json(const struct ym_variable *v)
{
    static const char *const missing[] = {"", "drop", "constant", "indicator"};
    json_t *o = json_pack("{s:s}", "name", v->name), *levels;

    if (v->kind == YM_VAR_NUMBER) {
        json_object_set_new(o, "unit", json_string(v->unit));
        json_object_set_new(o, "low", json_real(v->low));
        json_object_set_new(o, "high", json_real(v->high));
    } else {
        levels = json_array();
        for (size_t i = 0; i < v->level_count; i++)
            json_array_append_new(levels, json_string(v->level[i]));
        json_object_set_new(o, "levels", levels);
    }
    if (v->missing >= YM_MISSING_DROP && v->missing <= YM_MISSING_INDICATOR)
        json_object_set_new(o, "missing", json_string(missing[v->missing]));
    if (v->missing == YM_MISSING_CONSTANT)
        json_object_set_new(o, "constant", json_real(v->constant));
    return o;
}

static json_t *privacy_json(const struct ym_plan *plan, uint32_t round, struct ym_status *st)
{
    struct ym_buf delta = {0};
    json_t *o;
    int64_t micro = 0;

    if (round > 0 && ym_plan_epsilon(plan, 1, round, &micro, st) != YM_OK)
        return NULL;
    ym_decimal_format(plan->delta, &delta);
    o = json_pack(
        "{s:I,s:s,s:s,s:s,s:s,s:s,s:s}", "epsilon_micro", (json_int_t)micro, "delta", ym_buf_str(&delta), "unit",
        "patient", "relation", "add-or-remove-one", "mechanism", "poisson-sampled rounded gaussian", "accountant",
        "rdp/1", "note",
        "for each hospital counted in every round; failed attempts cost more and stand in the hospitals' ledgers; a "
        "patient treated at two hospitals composes across them");
    ym_buf_release(&delta);
    return o;
}

static json_t *model_card(const struct ym_plan *plan, uint32_t round, const uint8_t state[32], const uint8_t file[32],
                          struct ym_status *st)
{
    static const char *const family[] = {"", "linear", "logistic", "multinomial", "mlp", "network"};
    json_t *inputs = json_array(), *hidden = json_array(), *privacy = privacy_json(plan, round, st), *o;

    for (size_t i = 0; i < plan->input_count; i++)
        json_array_append_new(inputs, variable_json(&plan->input[i]));
    for (size_t i = 0; i < plan->hidden_count; i++)
        json_array_append_new(hidden, json_integer(plan->hidden[i]));
    o = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:o,s:s,s:o,s:o,s:s,s:o}", "format", "yumen-model-card/1", "study", plan->study,
        "title", plan->title, "purpose", plan->purpose, "family", family[plan->family], "round", (int)round, "rounds",
        (int)plan->rounds, "hidden", hidden, "activation", plan->activation == YM_ACT_RELU ? "relu" : "tanh", "inputs",
        inputs, "outcome", variable_json(&plan->outcome), "scaling",
        "numbers clamped to [low, high] and mapped to [-1, 1]; categories one column per level after the first; an "
        "indicator column follows where missing is indicator",
        "privacy", privacy == NULL ? json_null() : privacy);
    if (o != NULL) {
        set_hex(o, "plan", plan->hash);
        set_hex(o, "state", state);
        set_hex(o, "file", file);
    }
    return o;
}

/* "model.safetensors" -> "model.json", any other name gets ".json" behind it. */
static enum ym_code card_path(const char *path, char out[1100], struct ym_status *st)
{
    static const char ending[] = ".safetensors";
    size_t len = strlen(path), stem = len;

    if (len > sizeof ending - 1 && strcmp(path + len - (sizeof ending - 1), ending) == 0)
        stem = len - (sizeof ending - 1);
    if (stem > 1024)
        return ym_status_set(st, YM_INVALID, "the path of the file is too long");
    snprintf(out, 1100, "%.*s.json", (int)stem, path);
    return YM_OK;
}

static enum ym_code write_card(const char *path, json_t *card, struct ym_status *st)
{
    char name[1100];
    char *text = json_dumps(card, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    enum ym_code code = card_path(path, name, st);

    if (text == NULL)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card");
    if (code == YM_OK)
        code = ym_fs_write(name, (struct ym_bytes){(const uint8_t *)text, strlen(text)}, 0644, st);
    free(text);
    return code;
}

/* ---- model get ---- */

/* What the hospitals released with this state's round, about the one before; null where there is nothing. */
static json_t *metrics_json(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state)
{
    struct ym_metric metric;
    int64_t *cells = NULL;
    uint32_t of;
    json_t *o = ym_metric_fetch(h, plan, state, &cells, &metric, &of, NULL) == YM_OK ? ym_json_metric(&metric, of)
                                                                                     : json_null();

    free(cells);
    return o;
}

/* metrics is taken. */
static enum ym_code write_model(const struct ym_plan *plan, struct ym_bytes state, const uint8_t state_hash[32],
                                const char *path, json_t *metrics, bool json, struct ym_status *st)
{
    struct ym_model m;
    struct ym_buf file = {0};
    uint8_t hash[YM_HASH_BYTES];
    float *params = NULL;
    uint32_t round = 0;
    json_t *card = NULL;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_score_params(plan, &m, state, &round, &params, st);
    if (code == YM_OK)
        code = model_file(plan, &m, round, state_hash, params, &file, st);
    if (code == YM_OK) {
        ym_sha256(file.data, file.len, hash);
        card = model_card(plan, round, state_hash, hash, st);
        code = card == NULL ? ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card")
                            : ym_fs_write(path, (struct ym_bytes){file.data, file.len}, 0644, st);
    }
    if (card != NULL)
        json_object_set(card, "metrics", metrics);
    if (code == YM_OK)
        code = write_card(path, card, st);
    if (code == YM_OK && json)
        ym_print_json(card);
    else if (code == YM_OK)
        printf(T(SPONSOR_MODEL_WRITTEN), path, file.len, m.dim, round, plan->rounds);
    json_decref(card);
    json_decref(metrics);
    ym_buf_release(&file);
    free(params);
    return code;
}

static enum ym_code get_model(struct ym_party_home *h, const Yumen__V1__Study *s, const char *path, bool json,
                              struct ym_status *st)
{
    struct ym_plan *plan = NULL;
    struct ym_buf state = {0};
    enum ym_code code;

    if (s->state_sha256.len != YM_HASH_BYTES || s->plan_sha256.len != YM_HASH_BYTES)
        return ym_status_set(st, YM_NOT_FOUND, T(SPONSOR_MODEL_NONE), s->study);
    code = ym_home_fetch_plan(h, s->plan_sha256.data, &plan, st);
    if (code == YM_OK)
        code = ym_home_fetch_state(h, plan, s->state_sha256.data, &state, st);
    if (code == YM_OK)
        code = write_model(plan, ym_buf_bytes(&state), s->state_sha256.data, path,
                           metrics_json(h, plan, ym_buf_bytes(&state)), json, st);
    ym_buf_release(&state);
    ym_plan_free(plan);
    return code;
}

int ym_cmd_model_get(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    Yumen__V1__ListStudiesReply *reply = NULL;
    const Yumen__V1__Study *study = NULL;
    const char *out = ym_cli_get(a, "out");
    enum ym_code code = YM_OK;

    if (out == NULL)
        code = ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_MODEL_OUT));
    if (code == YM_OK)
        code = ym_home_open(ym_home_dir(a), &home, &st);
    if (code == YM_OK)
        code = ym_study_list(&home, &reply, &st);
    if (code == YM_OK)
        code = ym_study_find(reply, a->positional[0], &study, &st);
    if (code == YM_OK)
        code = get_model(&home, study, out, ym_cli_has(a, "json"), &st);
    ym_message_free(reply);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

/* ---- model show ---- */

static enum ym_code parse_header(const struct ym_buf *file, json_t **header, size_t *data, struct ym_status *st)
{
    uint64_t len = 0;

    for (int i = 0; i < 8 && file->len >= 8; i++)
        len |= (uint64_t)file->data[i] << (8 * i);
    if (file->len < 8 || len > HEADER_MAX || len > file->len - 8)
        return ym_status_set(st, YM_CORRUPT, "%s", T(SPONSOR_MODEL_NOT));
    *data = 8 + (size_t)len;
    while (len > 0 && file->data[8 + len - 1] == ' ')
        len--;
    if (ym_json_parse(file->data + 8, (size_t)len, HEADER_MAX, header, st) != YM_OK)
        return ym_status_set(st, YM_CORRUPT, "%s", T(SPONSOR_MODEL_NOT));
    return YM_OK;
}

static void show_tensor(const char *name, const json_t *t, const struct ym_buf *file, size_t data)
{
    const json_t *shape = json_object_get(t, "shape"), *at = json_object_get(t, "data_offsets");
    json_int_t from = json_integer_value(json_array_get(at, 0)), to = json_integer_value(json_array_get(at, 1));
    double sum = 0;

    if (from < 0 || to < from || (size_t)to > file->len - data)
        return;
    for (size_t i = (size_t)from; i + 4 <= (size_t)to; i += 4) {
        float v;

        memcpy(&v, file->data + data + i, sizeof v);
        sum += (double)v * (double)v;
    }
    printf("  %-16s [", name);
    for (size_t i = 0; i < json_array_size(shape); i++)
        printf("%s%" JSON_INTEGER_FORMAT, i == 0 ? "" : " x ", json_integer_value(json_array_get(shape, i)));
    printf(T(SPONSOR_MODEL_NORM), sqrt(sum));
}

static void show_model(json_t *header, const struct ym_buf *file, size_t data)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(header, "__metadata__"), key, value)
        printf("%-10s %s\n", key, json_is_string(value) ? json_string_value(value) : "");
    json_object_foreach(header, key, value) if (strcmp(key, "__metadata__") != 0) show_tensor(key, value, file, data);
}

int ym_cmd_model_show(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf file = {0};
    json_t *header = NULL;
    size_t data = 0;
    enum ym_code code = ym_fs_read(a->positional[0], MODEL_MAX_BYTES, &file, &st);

    if (code == YM_OK)
        code = parse_header(&file, &header, &data, &st);
    if (code != YM_OK)
        ym_status_wrap(&st, code, "%s", a->positional[0]);
    else if (ym_cli_has(a, "json"))
        ym_print_json(header);
    else
        show_model(header, &file, data);
    json_decref(header);
    ym_buf_release(&file);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

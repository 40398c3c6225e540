#include "cmd/yumen/result.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "cmd/yumen/card.h"
#include "models/results/coefficients.h"
#include "models/results/notice.h"
#include "models/results/onnx.h"
#include "models/results/tensors.h"
#include "models/state.h"

#define PATH_BYTES 1100

enum ym_code ym_result_open(const struct ym_plan *plan, struct ym_bytes state, struct ym_result *out,
                            struct ym_status *st)
{
    struct ym_result r = {.plan = plan};
    enum ym_code code = ym_model_from_plan(plan, &r.model, st);

    if (code == YM_OK)
        code = ym_state_released(plan, &r.model, state, &r.round, &r.params, st);
    if (code != YM_OK)
        return code;
    ym_sha256(state.data, state.len, r.state);
    *out = r;
    return YM_OK;
}

void ym_result_release(struct ym_result *r)
{
    free(r->params);
    *r = (struct ym_result){0};
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
    } else if (v->kind == YM_VAR_IMAGE) {
        json_object_set_new(o, "channels", json_integer(v->channels));
        json_object_set_new(o, "height", json_integer(v->height));
        json_object_set_new(o, "width", json_integer(v->width));
        json_object_set_new(o, "mean", json_real(v->mean));
        json_object_set_new(o, "scale", json_real(v->scale));
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

static json_t *inputs_json(const struct ym_plan *plan)
{
    json_t *inputs = json_array();

    for (size_t i = 0; i < plan->input_count; i++)
        json_array_append_new(inputs, variable_json(&plan->input[i]));
    return inputs;
}

static json_t *card_new(const struct ym_result *r, const json_t *notice, const uint8_t file[YM_HASH_BYTES],
                        struct ym_status *st)
{
    const struct ym_plan *plan = r->plan;
    json_t *hidden = json_array(), *privacy = privacy_json(plan, r->round, st), *o;

    for (size_t i = 0; i < plan->hidden_count; i++)
        json_array_append_new(hidden, json_integer(plan->hidden[i]));
    o = json_pack(
        "{s:s,s:O,s:O,s:O,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:o,s:s,s:o,s:o,s:s,s:o}", "format", YM_RESULT_CARD, "notice",
        json_object_get(notice, "notice"), "notice_zh", json_object_get(notice, "notice_zh"), "content_id",
        json_object_get(notice, "content_id"), "study", plan->study, "sponsor", plan->sponsor, "title", plan->title,
        "purpose", plan->purpose, "family", ym_plan_family_word(plan->family), "round", (int)r->round, "rounds",
        (int)plan->rounds, "hidden", hidden, "activation", plan->activation == YM_ACT_RELU ? "relu" : "tanh", "inputs",
        inputs_json(plan), "outcome", variable_json(&plan->outcome), "scaling",
        "numbers clamped to [low, high] and mapped to [-1, 1]; categories one column per level after the first; an "
        "indicator column follows where missing is indicator",
        "privacy", privacy == NULL ? json_null() : privacy);
    if (o == NULL) {
        ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card");
        return NULL;
    }
    ym_json_set_hash(o, "plan", plan->hash);
    ym_json_set_hash(o, "state", r->state);
    ym_json_set_hash(o, "file", file);
    return o;
}

/* ---- files ---- */

/* "model.safetensors" and "model.cms" -> "model" ending, any other name gets the ending behind it. */
static enum ym_code path_beside(const char *path, const char *ending, char out[PATH_BYTES], struct ym_status *st)
{
    static const char *const own[] = {".safetensors", ".cms"};
    size_t len = strlen(path), stem = len;

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (len > strlen(own[i]) && strcmp(path + len - strlen(own[i]), own[i]) == 0)
            stem = len - strlen(own[i]);
    if (stem > 1024)
        return ym_status_set(st, YM_INVALID, "the path of the file is too long");
    snprintf(out, PATH_BYTES, "%.*s%s", (int)stem, path, ending);
    return YM_OK;
}

static enum ym_code write_beside(const char *path, const char *ending, struct ym_bytes bytes, struct ym_status *st)
{
    char name[PATH_BYTES];
    enum ym_code code = path_beside(path, ending, name, st);

    return code == YM_OK ? ym_fs_write(name, bytes, 0644, st) : code;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* The names of what is fed and of what comes out belong to the file: without them nobody can use it. */
static json_t *names_json(const struct ym_plan *plan, size_t count,
                          void (*name_of_one)(const struct ym_plan *, size_t, char[80]))
{
    json_t *list = json_array();
    char name[80];

    for (size_t i = 0; i < count; i++) {
        name_of_one(plan, i, name);
        json_array_append_new(list, json_string(name));
    }
    return list;
}

/* A model without an ONNX form is no failure: the card says why there is none. */
static enum ym_code write_onnx(const struct ym_result *r, json_t *notice, const char *path, json_t *card,
                               struct ym_status *st)
{
    struct ym_onnx_note note[YM_NOTICE_KEYS + 2];
    struct ym_status why = YM_STATUS_INIT;
    struct ym_buf bytes = {0};
    uint8_t hash[YM_HASH_BYTES];
    char name[PATH_BYTES];
    json_t *columns = names_json(r->plan, ym_onnx_columns(r->plan), ym_onnx_column), *o = NULL;
    json_t *scores = names_json(r->plan, ym_onnx_scores(r->plan), ym_onnx_score);
    char *fed = json_dumps(columns, JSON_COMPACT), *told = json_dumps(scores, JSON_COMPACT);
    enum ym_code code = !fed || !told ? YM_EXHAUSTED : path_beside(path, ".onnx", name, st);

    for (size_t i = 0; i < YM_NOTICE_KEYS; i++)
        note[i] = (struct ym_onnx_note){ym_notice_key[i], json_string_value(json_object_get(notice, ym_notice_key[i]))};
    note[YM_NOTICE_KEYS] = (struct ym_onnx_note){"columns", fed};
    note[YM_NOTICE_KEYS + 1] = (struct ym_onnx_note){"scores", told};
    if (code == YM_OK)
        code = ym_onnx_write(r->plan, &r->model, r->params, note, YM_NOTICE_KEYS + 2, &bytes, &why);
    if (code == YM_INVALID) {
        o = json_pack("{s:n,s:s}", "name", "why", why.message);
        code = YM_OK;
    } else if (code == YM_OK) {
        ym_sha256(bytes.data, bytes.len, hash);
        o = json_pack("{s:s,s:O,s:O}", "name", name_of(name), "columns", columns, "scores", scores);
        ym_json_set_hash(o, "file", hash);
        code = ym_fs_write(name, ym_buf_bytes(&bytes), 0644, st);
    } else {
        ym_status_set(st, code, "no memory for the ONNX file");
    }
    json_object_set_new(card, "onnx", o == NULL ? json_null() : o);
    ym_buf_release(&bytes);
    json_decref(columns);
    json_decref(scores);
    free(fed);
    free(told);
    return code;
}

static json_t *coefficient_json(const struct ym_plan *plan, const struct ym_coefficient *c)
{
    json_t *level = plan->outcome.kind == YM_VAR_CATEGORY ? json_string(plan->outcome.level[c->level]) : json_null();

    return json_pack("{s:s,s:o,s:f,s:o}", "term", c->name, "level", level, "scaled", c->scaled, "study",
                     isfinite(c->study) ? json_real(c->study) : json_null());
}

static void coefficient_line(const struct ym_plan *plan, const struct ym_coefficient *c, const json_t *notice,
                             struct ym_buf *out)
{
    ym_buf_csv(out, plan->outcome.kind == YM_VAR_CATEGORY ? plan->outcome.level[c->level] : "");
    ym_buf_puts(out, ",");
    ym_buf_csv(out, c->name);
    ym_buf_printf(out, isfinite(c->study) ? ",%.17g,%.17g," : ",%.17g,,", c->scaled, c->study);
    ym_buf_csv(out, json_string_value(json_object_get(notice, "content_id")));
    ym_buf_puts(out, ",");
    ym_buf_csv(out, json_string_value(json_object_get(notice, "notice")));
    ym_buf_puts(out, "\n");
}

static enum ym_code write_coefficients(const struct ym_result *r, const json_t *notice, const char *path, json_t *card,
                                       struct ym_status *st)
{
    struct ym_coefficient *c = NULL;
    size_t count = 0;
    struct ym_buf csv = {0};
    json_t *rows = json_array();
    enum ym_code code = ym_coefficients(r->plan, &r->model, r->params, &c, &count, st);

    if (code == YM_OK)
        ym_buf_puts(&csv, "level,term,scaled,study,content_id,notice\n");
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(rows, coefficient_json(r->plan, &c[i]));
        coefficient_line(r->plan, &c[i], notice, &csv);
    }
    if (code == YM_OK)
        code = write_beside(path, ".csv", ym_buf_bytes(&csv), st);
    json_object_set_new(
        card, "coefficients",
        json_pack("{s:O,s:n,s:s}", "rows", rows, "intervals", "why",
                  "no information matrix was released, and the noise in every step would have to be accounted for"));
    json_decref(rows);
    ym_buf_release(&csv);
    free(c);
    return code;
}

static enum ym_code write_markdown(const char *path, const json_t *card, struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_card_markdown(card, &text, st);

    if (code == YM_OK)
        code = write_beside(path, ".md", ym_buf_bytes(&text), st);
    ym_buf_release(&text);
    return code;
}

static enum ym_code write_card(const char *path, const json_t *card, struct ym_status *st)
{
    char *text = json_dumps(card, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    enum ym_code code = text == NULL
                            ? ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card")
                            : write_beside(path, ".json", (struct ym_bytes){(uint8_t *)text, strlen(text)}, st);

    free(text);
    return code;
}

/* facts is taken. */
static enum ym_code write_clear(const struct ym_result *r, json_t *notice, const char *path, json_t **card,
                                struct ym_status *st)
{
    struct ym_buf file = {0};
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_tensors_write(&r->model, r->params, notice, NULL, &file, st);

    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&file), 0644, st);
    ym_sha256(file.data, file.len, hash);
    ym_buf_release(&file);
    if (code == YM_OK && (*card = card_new(r, notice, hash, st)) == NULL)
        code = YM_EXHAUSTED;
    if (code == YM_OK)
        code = write_onnx(r, notice, path, *card, st);
    if (code == YM_OK && r->model.layer_count == 1)
        code = write_coefficients(r, notice, path, *card, st);
    return code;
}

/* ---- sealed to recipients ---- */

static json_t *names_of(const struct ym_plan_recipients *r)
{
    json_t *names = json_array();

    for (size_t i = 0; i < r->count; i++)
        json_array_append_new(names, json_string(r->item[i].name));
    return names;
}

static enum ym_code write_sealed(const struct ym_result *r, struct ym_bytes sealed, json_t *notice, const char *path,
                                 json_t *facts, json_t **card, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_fs_write(path, sealed, 0644, st);

    ym_sha256(sealed.data, sealed.len, hash);
    if (code == YM_OK && (*card = card_new(r, notice, hash, st)) == NULL)
        code = YM_EXHAUSTED;
    if (code == YM_OK && json_object_set_new(facts, "sealed_to", names_of(&r->plan->border.recipients)) != 0)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card");
    return code;
}

/* ---- both ---- */

static enum ym_code write_cards(const char *path, json_t *card, json_t *facts, struct ym_status *st)
{
    enum ym_code code = json_object_update(card, facts) == 0
                            ? write_card(path, card, st)
                            : ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card");

    return code == YM_OK ? write_markdown(path, card, st) : code;
}

/* sealed: NULL for a model in the clear. */
static enum ym_code write_result(const struct ym_result *r, const struct ym_bytes *sealed, const char *path,
                                 json_t *facts, json_t **card, struct ym_status *st)
{
    json_t *made = NULL;
    json_t *notice =
        ym_notice_new(r->plan, r->round, r->state, json_string_value(json_object_get(facts, "content_id")));
    enum ym_code code = YM_OK;

    if (!notice)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model's notices");
    else if (sealed)
        code = write_sealed(r, *sealed, notice, path, facts, &made, st);
    else
        code = write_clear(r, notice, path, &made, st);
    if (code == YM_OK)
        code = write_cards(path, made, facts, st);
    json_decref(facts);
    json_decref(notice);
    if (code == YM_OK)
        *card = made;
    else
        json_decref(made);
    return code;
}

enum ym_code ym_result_write(const struct ym_result *r, const char *path, json_t *facts, json_t **card,
                             struct ym_status *st)
{
    return write_result(r, NULL, path, facts, card, st);
}

enum ym_code ym_result_write_sealed(const struct ym_result *r, struct ym_bytes sealed, const char *path, json_t *facts,
                                    json_t **card, struct ym_status *st)
{
    return write_result(r, &sealed, path, facts, card, st);
}

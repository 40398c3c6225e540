#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/recipient.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/history.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/result.h"
#include "cmd/yumen/study.h"
#include "models/results/notice.h"
#include "models/start.h"

#define HEADER_MAX (256 * 1024)
#define MODEL_MAX_BYTES ((size_t)YM_PLAN_MAX_PARAMS * 4 + HEADER_MAX)
#define TENSORS_SUFFIX ".safetensors"
#define SEALED_MAX_BYTES (MODEL_MAX_BYTES + MODEL_MAX_BYTES / 256 + (1u << 20)) /* pieces' headers, recipients */

/* ---- model get ---- */

/* What the hospitals released with the round of this state, about the one before; null where there is nothing. The
 * state's bytes are not at hand where the plan keeps its model with hospitals. */
static json_t *metrics_json(struct ym_party_home *h, const struct ym_plan *plan, struct ym_bytes state,
                            const json_t *round_result)
{
    struct ym_metric_report metric = {0};
    enum ym_code code = plan->border.domestic_only ? ym_metric_fetch_kept(h, plan, round_result, &metric, NULL)
                                                   : ym_metric_fetch(h, plan, state, &metric, NULL);
    json_t *o = code == YM_OK ? ym_json_report(&metric) : json_null();

    ym_metric_release(&metric);
    return o;
}

/* The members of the card that only the hub knows. *result: the round_result that the state came from, or NULL. */
static enum ym_code read_facts(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t hash[YM_HASH_BYTES],
                               struct ym_bytes state, json_t **out, json_t **result, struct ym_status *st)
{
    enum ym_code code = ym_history_read(h, plan, hash, out, result, st);

    if (code == YM_OK)
        json_object_set_new(*out, "metrics", metrics_json(h, plan, state, *result));
    return code;
}

/* facts is taken. */
static enum ym_code write_model(const struct ym_plan *plan, struct ym_bytes state, const char *path, json_t *facts,
                                bool json, struct ym_status *st)
{
    struct ym_result r = {0};
    json_t *card = NULL;
    enum ym_code code = ym_result_open(plan, state, &r, st);

    if (code == YM_OK)
        code = ym_result_write(&r, path, facts, &card, st);
    else
        json_decref(facts);
    if (code == YM_OK && json)
        ym_print_json(card);
    else if (code == YM_OK)
        printf(T(SPONSOR_MODEL_WRITTEN), path, r.model.dim, r.round, plan->rounds);
    json_decref(card);
    ym_result_release(&r);
    return code;
}

static enum ym_code get_open(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t hash[YM_HASH_BYTES],
                             const char *path, bool json, struct ym_status *st)
{
    struct ym_buf state = {0};
    json_t *facts = NULL, *result = NULL;
    enum ym_code code = ym_home_fetch_state(h, plan, hash, &state, st);

    if (code == YM_OK)
        code = read_facts(h, plan, hash, ym_buf_bytes(&state), &facts, &result, st);
    if (code == YM_OK)
        code = write_model(plan, ym_buf_bytes(&state), path, facts, json, st);
    ym_buf_release(&state);
    json_decref(result);
    return code;
}

/* ---- a model that stays with hospitals: sealed, and its card ---- */

static enum ym_code fetch_sealed(struct ym_party_home *h, const uint8_t hash[YM_HASH_BYTES], const json_t *facts,
                                 struct ym_buf *out, struct ym_status *st)
{
    struct ym_object_ask ask = {
        .sha256 = hash, .part = YUMEN__V1__OBJECT_PART__OBJECT_PART_SEALED, .limit = SEALED_MAX_BYTES};
    struct ym_content_id id;
    enum ym_code code = ym_content_id_parse(json_string_value(json_object_get(facts, "content_id")), &id)
                            ? YM_OK
                            : ym_status_set(st, YM_CORRUPT, "the hub's log does not say where the model came from");

    ask.entry = id.index;
    if (code == YM_OK)
        code = ym_home_fetch_part(h, &ask, out, st);
    if (code == YM_OK && ym_envelope_recipients(ym_buf_bytes(out)) == 0)
        code = ym_status_set(st, YM_CORRUPT, "the hub sent a file that is not sealed to anybody");
    return code;
}

static enum ym_code write_sealed(const struct ym_plan *plan, const uint8_t hash[YM_HASH_BYTES], uint32_t round,
                                 struct ym_bytes sealed, const char *path, json_t *facts, bool json,
                                 struct ym_status *st)
{
    struct ym_result r = {.plan = plan, .round = round};
    json_t *card = NULL;
    enum ym_code code;

    memcpy(r.state, hash, sizeof r.state);
    code = ym_result_write_sealed(&r, sealed, path, facts, &card, st);
    if (code == YM_OK && json)
        ym_print_json(card);
    else if (code == YM_OK)
        printf(T(SPONSOR_MODEL_SEALED), path, round, plan->rounds, ym_envelope_recipients(sealed));
    json_decref(card);
    return code;
}

static enum ym_code get_sealed(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t hash[YM_HASH_BYTES],
                               const char *path, bool json, struct ym_status *st)
{
    struct ym_buf sealed = {0};
    json_t *facts = NULL, *result = NULL;
    json_int_t round = 0;
    size_t len = strlen(path), suffix = strlen(TENSORS_SUFFIX);
    enum ym_code code = len >= suffix && strcmp(path + len - suffix, TENSORS_SUFFIX) == 0
                            ? ym_status_set(st, YM_INVALID, T(SPONSOR_MODEL_NOT_TENSORS), path)
                            : YM_OK;

    if (code == YM_OK)
        code = read_facts(h, plan, hash, (struct ym_bytes){0}, &facts, &result, st);

    if (code == YM_OK) {
        round = json_integer_value(json_object_get(result, "round"));
        code = round >= 1 && round <= plan->rounds
                   ? fetch_sealed(h, hash, facts, &sealed, st)
                   : ym_status_set(st, YM_NOT_FOUND, T(SPONSOR_MODEL_NONE), plan->study);
    }
    if (code == YM_OK)
        code = write_sealed(plan, hash, (uint32_t)round, ym_buf_bytes(&sealed), path, json_incref(facts), json, st);
    json_decref(facts);
    json_decref(result);
    ym_buf_release(&sealed);
    return code;
}

static enum ym_code get_model(struct ym_party_home *h, const Yumen__V1__Study *s, const char *path, bool json,
                              struct ym_status *st)
{
    struct ym_plan *plan = NULL;
    const uint8_t *hash = s->state_sha256.data;
    enum ym_code code;

    if (s->state_sha256.len != YM_HASH_BYTES || s->plan_sha256.len != YM_HASH_BYTES)
        return ym_status_set(st, YM_NOT_FOUND, T(SPONSOR_MODEL_NONE), s->study);
    code = ym_home_fetch_plan(h, s->plan_sha256.data, &plan, st);
    if (code == YM_OK)
        code = plan->border.domestic_only ? get_sealed(h, plan, hash, path, json, st)
                                          : get_open(h, plan, hash, path, json, st);
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
        return ym_status_set(st, YM_CORRUPT, "%s", T(MODEL_NOT));
    *data = 8 + (size_t)len;
    while (len > 0 && file->data[8 + len - 1] == ' ')
        len--;
    if (ym_json_parse(file->data + 8, (size_t)len, HEADER_MAX, header, st) != YM_OK)
        return ym_status_set(st, YM_CORRUPT, "%s", T(MODEL_NOT));
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

    if (code == YM_OK && ym_envelope_recipients(ym_buf_bytes(&file)) > 0)
        code = ym_status_set(&st, YM_INVALID, "%s", T(MODEL_SEALED));
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

/* ---- model check ---- */

static int print_lacks(const char *path, const json_t *notice)
{
    const char *lacks[YM_NOTICE_KEYS], *id = json_string_value(json_object_get(notice, "content_id"));
    size_t count = ym_notice_lacks(notice, lacks);
    struct ym_content_id at;

    for (size_t i = 0; i < count; i++)
        printf(T(SPONSOR_MODEL_LACKS), path, lacks[i]);
    if (count > 0)
        return YM_EXIT_NO;
    printf(T(SPONSOR_MODEL_LABELLED), path, json_string_value(json_object_get(notice, "study")),
           json_string_value(json_object_get(notice, "round")), json_string_value(json_object_get(notice, "producer")));
    printf(ym_content_id_parse(id, &at) ? T(SPONSOR_MODEL_RESOLVE) : T(SPONSOR_MODEL_SIMULATED), id);
    return YM_EXIT_DONE;
}

int ym_cmd_model_check(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf file = {0};
    json_t *notice = NULL;
    const char *path = a->positional[0];
    size_t sealed = 0;
    enum ym_code code = ym_fs_read(path, YM_START_MAX_BYTES, &file, &st);
    int rc;

    if (code == YM_OK && (sealed = ym_envelope_recipients(ym_buf_bytes(&file))) > 0)
        printf(T(SPONSOR_MODEL_IS_SEALED), path, sealed);
    else if (code == YM_OK && (notice = ym_notice_read(ym_buf_bytes(&file))) == NULL)
        code = ym_status_set(&st, YM_INVALID, "'%s' %s", path, T(MODEL_NOT));
    rc = code != YM_OK ? ym_cli_fail("yumen", &st) : sealed ? YM_EXIT_NO : print_lacks(path, notice);
    json_decref(notice);
    ym_buf_release(&file);
    return rc;
}

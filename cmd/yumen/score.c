#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/result.h"
#include "models/start.h"

/* `yumen model score`: a model file, the plan it was trained by, and rows of the caller's own. */
struct scoring {
    const char *model_path, *data_path;
    struct ym_plan *plan;
    struct ym_buf file;
    json_t *meta; /* of the file */
    struct ym_model model;
    float *params;
    struct ym_table *data;
    struct ym_scores scores;
};

/* A model of another plan has other columns, or other ranges for the same ones: its scores would be of something else.
 */
static enum ym_code check_plan(struct scoring *s, struct ym_status *st)
{
    const char *format = json_string_value(json_object_get(s->meta, "format"));
    const char *named = json_string_value(json_object_get(s->meta, "plan"));
    struct ym_buf own = {0};
    enum ym_code code = YM_OK;

    if (!format || !named || strcmp(format, YM_RESULT_FORMAT) != 0)
        return ym_status_set(st, YM_INVALID, "'%s' %s", s->model_path, T(SPONSOR_MODEL_NOT));
    ym_hex_encode(s->plan->hash, YM_HASH_BYTES, &own);
    if (strcmp(ym_buf_str(&own), named) != 0) {
        char text[512];

        snprintf(text, sizeof text, T(SPONSOR_MODEL_PLAN_OTHER), ym_buf_str(&own), named);
        code = ym_status_set(st, YM_INVALID, "'%s' %s", s->model_path, text);
    }
    ym_buf_release(&own);
    return code;
}

static enum ym_code load_model(struct scoring *s, struct ym_status *st)
{
    enum ym_code code = ym_fs_read(s->model_path, YM_START_MAX_BYTES, &s->file, st);

    if (code != YM_OK)
        return code;
    s->meta = ym_state_metadata(ym_buf_bytes(&s->file));
    code = check_plan(s, st);
    if (code == YM_OK)
        code = ym_model_from_plan(s->plan, &s->model, st);
    if (code != YM_OK)
        return code;
    s->params = calloc(s->model.dim + 1, sizeof *s->params);
    if (!s->params)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", s->model.dim);
    code = ym_start_tensors(&s->model, 0, ym_buf_bytes(&s->file), s->params, st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "%s", s->model_path);
}

static void print(const struct scoring *s)
{
    const char *round = json_string_value(json_object_get(s->meta, "round"));
    struct ym_buf text = {0};

    printf(T(SPONSOR_MODEL_SCORE_OF), s->plan->study, round ? round : "-", s->data_path, s->scores.rows);
    ym_print_scores(&text, &s->scores);
    fputs(ym_buf_str(&text), stdout);
    ym_buf_release(&text);
}

static void print_json(const struct scoring *s)
{
    struct ym_score sum = ym_scores_sum(&s->scores);
    json_t *o = ym_json_score(&sum), *detail = ym_json_scores(&s->scores);

    json_object_set_new(o, "study", json_string(s->plan->study));
    json_object_set(o, "round", json_object_get(s->meta, "round"));
    json_object_set(o, "plan", json_object_get(s->meta, "plan"));
    json_object_set(o, "state", json_object_get(s->meta, "state"));
    json_object_update(o, detail);
    ym_print_json(o);
    json_decref(detail);
    json_decref(o);
}

static void release(struct scoring *s)
{
    ym_scores_release(&s->scores);
    ym_table_free(s->data);
    ym_plan_free(s->plan);
    ym_buf_release(&s->file);
    json_decref(s->meta);
    free(s->params);
}

int ym_cmd_model_score(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct scoring s = {.model_path = a->positional[0], .data_path = a->positional[1]};
    const char *plan = ym_cli_get(a, "plan");
    enum ym_code code =
        plan ? ym_plan_load(plan, &s.plan, &st) : ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_MODEL_PLAN));

    if (code == YM_OK)
        code = load_model(&s, &st);
    if (code == YM_OK)
        code = ym_test_load(s.plan, s.data_path, &s.data, &st);
    if (code == YM_OK)
        code = ym_scores_open(s.plan, &s.model, s.params, (const struct ym_table *const *)&s.data, 1, &s.scores, &st);
    if (code == YM_OK && ym_cli_has(a, "json"))
        print_json(&s);
    else if (code == YM_OK)
        print(&s);
    release(&s);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

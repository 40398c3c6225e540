#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "models/results/notice.h"

/* `yumen model score`: a model file, the plan it was trained by, and rows of the caller's own. */
struct scoring {
    const char *model_path, *data_path;
    struct ym_plan *plan;
    struct ym_released model;
    struct ym_table *data;
    struct ym_scores scores;
};

static void print(const struct scoring *s)
{
    const char *round = json_string_value(json_object_get(s->model.notice, "round"));
    struct ym_buf text = {0};

    printf(T(SPONSOR_MODEL_SCORE_OF), s->plan->study, round ? round : "-", s->data_path, s->scores.rows);
    ym_print_scores(&text, &s->scores);
    ym_buf_printf(&text, "\n%s\n", T(MODEL_NOTICE));
    fputs(ym_buf_str(&text), stdout);
    ym_buf_release(&text);
}

static void print_json(const struct scoring *s)
{
    struct ym_score sum = ym_scores_sum(&s->scores);
    json_t *o = ym_json_score(&sum), *detail = ym_json_scores(&s->scores);

    for (size_t i = 0; i < YM_NOTICE_KEYS; i++)
        if (strcmp(ym_notice_key[i], "format") != 0)
            json_object_set(o, ym_notice_key[i], json_object_get(s->model.notice, ym_notice_key[i]));
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
    ym_released_release(&s->model);
}

int ym_cmd_model_score(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct scoring s = {.model_path = a->positional[0], .data_path = a->positional[1]};
    const char *plan = ym_cli_get(a, "plan");
    enum ym_code code =
        plan ? ym_plan_load(plan, &s.plan, &st) : ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_MODEL_PLAN));

    if (code == YM_OK)
        code = ym_released_load(s.model_path, s.plan, &s.model, &st);
    if (code == YM_OK)
        code = ym_test_load(s.plan, s.data_path, &s.data, &st);
    if (code == YM_OK)
        code = ym_scores_open(s.plan, &s.model.model, s.model.params, (const struct ym_table *const *)&s.data, 1,
                              &s.scores, &st);
    if (code == YM_OK && ym_cli_has(a, "json"))
        print_json(&s);
    else if (code == YM_OK)
        print(&s);
    release(&s);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

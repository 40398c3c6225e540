#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* Whom the hospital serves: its newest policy leaf's terms, held against plans. */

void ym_trainer_policy_take(struct ym_trainer *t, const json_t *leaf)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *type = json_string_value(json_object_get(leaf, "type"));
    json_t *terms = json_object_get(leaf, "terms");

    if (!type || strcmp(type, "policy") != 0)
        return;
    ym_policy_free(t->policy);
    t->policy = NULL;
    if (terms && ym_policy_decode(terms, &t->policy, &st) != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.policy_unusable", "why=\"%s\"", st.message);
}

static int64_t site_delta(const struct ym_trainer *t)
{
    struct ym_budget_policy p;

    return ym_budget_policy(t->budget, &p) ? p.delta_e18 : 0;
}

enum ym_code ym_trainer_policy_allows(const struct ym_trainer *t, const struct ym_plan *plan, struct ym_status *st)
{
    int64_t delta = site_delta(t);

    return ym_policy_allows(delta > 0 ? t->policy : NULL, plan, delta, st);
}

/* Attempts that were charged and failed count too, so this may say no to what was approved. */
static enum ym_code study_fits(const struct ym_trainer *t, const struct ym_plan *plan, uint32_t round,
                               struct ym_status *st)
{
    struct ym_events e;
    int64_t micro;
    enum ym_code code;

    ym_plan_events(plan, round, round, &e);
    code = ym_budget_study(t->budget, plan->study, &e, site_delta(t), &micro, st);
    if (code == YM_OK && micro > t->policy->epsilon_study_micro)
        code = ym_status_set(st, YM_EXHAUSTED, T(REFUSE_STUDY), plan->study, (double)micro / 1e6,
                             (double)t->policy->epsilon_study_micro / 1e6);
    return code;
}

enum ym_code ym_trainer_policy_runs(const struct ym_trainer *t, const struct ym_plan *plan, uint32_t round,
                                    struct ym_status *st)
{
    enum ym_code code = ym_trainer_policy_allows(t, plan, st);

    if (code == YM_OK)
        code = study_fits(t, plan, round, st);
    return code == YM_OK ? ym_policy_open(t->policy, ym_clock_unix(), st) : code;
}

enum ym_code ym_trainer_policy_open(const struct ym_trainer *t, int64_t now, struct ym_status *st)
{
    return ym_policy_open(t->policy, now, st);
}

struct ym_limits ym_trainer_policy_limits(const struct ym_trainer *t)
{
    if (!t->policy)
        return (struct ym_limits){0};
    return (struct ym_limits){(size_t)t->policy->cpu_threads, (uint64_t)t->policy->memory_mib << 20};
}

static json_t *view_json(const struct ym_policy_view *v)
{
    json_t *list = json_array();

    for (int i = 0; i < YM_POLICY_TERM_COUNT; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:s, s:s}", "term",
                                              ym_policy_term_word((enum ym_policy_term)i), "title",
                                              ym_policy_term_title((enum ym_policy_term)i), "fits", v->line[i].fits,
                                              "asks", ym_buf_str(&v->line[i].asks), "says",
                                              ym_buf_str(&v->line[i].says), "why", ym_buf_str(&v->line[i].why)));
    return list;
}

json_t *ym_trainer_policy_view(const struct ym_trainer *t, const struct ym_plan *plan)
{
    struct ym_policy_view v = {0};
    json_t *list = NULL;

    if (t->policy && ym_policy_compare(t->policy, plan, site_delta(t), &v, NULL) == YM_OK)
        list = view_json(&v);
    ym_policy_view_release(&v);
    return list ? list : json_array();
}

void ym_trainer_policy_terms(const struct ym_trainer *t, json_t *o)
{
    struct ym_buf hours = {0};

    if (t->policy)
        ym_policy_hours(t->policy, &hours);
    json_object_set_new(o, "terms", t->policy ? json_incref(t->policy->terms) : json_null());
    json_object_set_new(o, "hours", json_string(ym_buf_str(&hours)));
    ym_buf_release(&hours);
}

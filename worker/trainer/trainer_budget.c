#include <string.h>

#include "audit/limits.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* The desk's questions about what may be spent: policy, overrides, what a plan costs. */

enum { MIN_PATIENTS_MOST = 1000000000, CAP_LEAST_MICRO = 1000, CAP_MOST_MICRO = 1000000000 };
#define DELTA_LEAST_E18 1000
#define DELTA_MOST_E18 100000000000000000

/* ---- policy and overrides ---- */

json_t *ym_trainer_policy_json(struct ym_trainer *t)
{
    struct ym_budget_policy p;

    json_t *o;

    if (!ym_budget_policy(t->budget, &p))
        return NULL;
    o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "ok", 1, "epsilon_cap_micro", (json_int_t)p.cap_micro,
                  "delta_e18", (json_int_t)p.delta_e18, "order_milli", (json_int_t)p.order_milli, "epsilon_month_micro",
                  (json_int_t)p.month_micro, "min_patients", (json_int_t)ym_core_min_patients(t->core), "unit",
                  "patient", "relation", "add-or-remove-one");
    if (o)
        ym_trainer_policy_terms(t, o);
    return o;
}

enum ym_code ym_trainer_override(struct ym_trainer *t, const char *subject, int64_t epsilon_micro, const char *reason,
                                 json_t **reply, struct ym_status *st)
{
    if (ym_budget_explained(t->budget, subject, epsilon_micro))
        return YM_OK;
    if (!ym_site_reason_valid(reason))
        return ym_status_set(st, YM_INVALID, "%s", T(REFUSE_REASON));
    return ym_trainer_propose(t, "override", ym_site_override_members(subject, epsilon_micro, reason), reply, st);
}

enum ym_code ym_trainer_policy_sign(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    struct ym_site_policy_leaf p = {.order_milli = ym_budget_order_milli(t->budget),
                                    .terms = json_object_get(request, "terms")};
    struct ym_policy *policy = NULL;
    const char *reason = "";
    enum ym_code code =
        ym_json_get_int(request, "epsilon_cap_micro", CAP_LEAST_MICRO, CAP_MOST_MICRO, &p.cap_micro, st);

    if (code == YM_OK)
        code = ym_json_get_int(request, "epsilon_month_micro", CAP_LEAST_MICRO, CAP_MOST_MICRO, &p.month_micro, st);
    if (code == YM_OK)
        code = ym_json_get_int(request, "delta_e18", DELTA_LEAST_E18, DELTA_MOST_E18, &p.delta_e18, st);
    if (code == YM_OK)
        code = ym_json_get_int(request, "min_patients", 1, MIN_PATIENTS_MOST, &p.min_patients, st);
    if (code == YM_OK)
        code = ym_json_get_str(request, "override", &reason, st);
    if (code == YM_OK && p.terms)
        code = ym_policy_decode(p.terms, &policy, st);
    else if (t->policy)
        p.terms = t->policy->terms;
    if (code == YM_OK && p.order_milli == 0)
        code = ym_status_set(st, YM_DENIED, "the ledger holds no policy");
    if (code == YM_OK && reason[0] == '\0' && !ym_budget_explained(t->budget, "policy", p.cap_micro))
        code = ym_status_set(st, YM_DENIED, T(REFUSE_CAP_LARGE), (double)p.cap_micro / 1e6,
                             YM_EPSILON_PLAIN_MICRO / 1000000);
    if (code == YM_OK)
        code = ym_trainer_override(t, "policy", p.cap_micro, reason, reply, st);
    if (code == YM_OK && !*reply) {
        code = ym_trainer_propose(t, "policy", ym_site_policy_members(&p), reply, st);
        if (code == YM_OK && !*reply)
            *reply = ym_trainer_policy_json(t);
    }
    ym_policy_free(policy);
    return code;
}

/* ---- what a plan costs ---- */

int64_t ym_trainer_plan_cost(const struct ym_plan *p, uint32_t rounds)
{
    int64_t micro;

    return ym_plan_epsilon(p, 1, rounds, &micro, NULL) == YM_OK ? micro : INT64_MAX;
}

uint32_t ym_trainer_next_round(const struct ym_core_study *s)
{
    return s->charged_round < s->plan->rounds ? s->charged_round + 1 : 1;
}

static void rounds_from_next(const void *ctx, uint32_t rounds, struct ym_events *out)
{
    const struct ym_core_study *s = ctx;
    uint32_t next = ym_trainer_next_round(s);

    ym_plan_events(s->plan, next, next + rounds - 1, out);
}

json_t *ym_trainer_room_json(struct ym_trainer *t, const struct ym_core_study *s, const char *dataset)
{
    uint32_t left_rounds = s->plan->rounds - ym_trainer_next_round(s) + 1;
    struct ym_events left;
    const struct ym_budget_card *card = ym_budget_card(t->budget, dataset);
    struct ym_budget_policy policy = {0};
    int64_t spent = 0, cap = 0, delta = 0, after = 0, month = 0, now = ym_clock_unix();
    uint64_t under_cap = 0, this_month = 0;
    struct ym_tight tight, tight_after;

    rounds_from_next(s, left_rounds, &left);
    if (!card || !ym_budget_policy(t->budget, &policy) ||
        ym_budget_spent(t->budget, dataset, &spent, &cap, &delta, NULL) != YM_OK ||
        ym_budget_tight(t->budget, dataset, NULL, &tight, NULL) != YM_OK ||
        ym_budget_tight(t->budget, dataset, &left, &tight_after, NULL) != YM_OK ||
        ym_budget_after(t->budget, dataset, &left, &after, NULL) != YM_OK ||
        ym_budget_month(t->budget, dataset, NULL, now, &month, NULL) != YM_OK ||
        ym_budget_rounds(t->budget, dataset, rounds_from_next, s, now, &under_cap, &this_month, NULL) != YM_OK)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dataset",
                     dataset, "size_class", card->size_class, "identified", card->identified, "spent_micro",
                     (json_int_t)spent, "tight_micro", (json_int_t)tight.micro, "tight_accountant",
                     ym_tight_name(&tight), "tight_after_micro", (json_int_t)tight_after.micro,
                     "tight_after_accountant", ym_tight_name(&tight_after), "cap_micro", (json_int_t)cap, "delta_e18",
                     (json_int_t)delta, "rounds_left", (json_int_t)left_rounds, "after_micro", (json_int_t)after,
                     "left_micro", (json_int_t)(after < cap ? cap - after : 0), "rounds_fit", (json_int_t)under_cap,
                     "month_micro", (json_int_t)month, "month_limit_micro", (json_int_t)policy.month_micro,
                     "rounds_fit_month", (json_int_t)this_month);
}

json_t *ym_trainer_rooms_json(struct ym_trainer *t, const struct ym_core_study *s)
{
    json_t *list = json_array(), *room;

    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++)
        if ((room = ym_trainer_room_json(t, s, ym_core_dataset_at(t->core, i)->name)) != NULL)
            json_array_append_new(list, room);
    return list;
}

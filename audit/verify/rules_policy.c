#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/terms.h"
#include "gate/plan.h"

/* Whom the hospital served: approvals and charges against the terms of the policy
 * in force there. What a plan asks is known from the plan itself where it is among
 * the objects; without it the sponsor alone, from the plan's entry. */

struct study {
    char name[64], plan[65], sponsor[64]; /* sponsor "": the log has no entry of the plan */
    size_t judged;                        /* 1 + the policy's entry that `why` was said of; 0: none */
    char why[192];                        /* "": it fits */
};

enum { HOUR_S = 3600, CLASS = 100 };

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    size_t policy; /* 1 + its entry; 0: none */
    int64_t delta;
    struct ym_vterms terms;
    int64_t hour, scored; /* the newest clock hour of a score, and rows put to models in it */
    int64_t returned;     /* so many of the next entries come back from a ledger whose policies are lost */
    struct study *study;
    size_t study_count;
    struct ym_spend *spent; /* by studies' names: another plan under the name is no new budget */
    size_t spent_count;
    struct ym_vmap places;
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)

static void *place(struct pass *p, void **list, size_t *count, size_t each, const char *key)
{
    uint64_t at;
    char *grown;

    if (ym_vmap_get(&p->places, &at, "%s", key))
        return (char *)*list + at * each;
    grown = realloc(*list, (*count + 1) * each);
    if (!grown) {
        p->c->no_memory = true;
        return NULL;
    }
    *list = grown;
    ym_check_keep(p->c, &p->places, *count, "%s", key);
    return memset(grown + (*count)++ * each, 0, each);
}

static struct study *study_of(struct pass *p)
{
    const char *name = ym_entry_text(p->e, "study"), *plan = ym_entry_text(p->e, "plan");
    void *list = p->study;
    struct study *s;
    char key[160];

    snprintf(key, sizeof key, "%s|%s", name, plan);
    s = place(p, &list, &p->study_count, sizeof *s, key);
    p->study = list;
    if (s && !s->name[0]) {
        snprintf(s->name, sizeof s->name, "%s", name);
        snprintf(s->plan, sizeof s->plan, "%s", plan);
    }
    return s;
}

static struct ym_spend *spend_of(struct pass *p)
{
    void *list = p->spent;
    struct ym_spend *s = place(p, &list, &p->spent_count, sizeof *s, ym_entry_text(p->e, "study"));

    p->spent = list;
    return s;
}

/* The first term that a plan does not fit; "" when it fits all. */
static void judge_plan(const struct pass *p, const struct ym_plan *plan, char *why, size_t cap)
{
    const struct ym_vterms *t = &p->terms;
    const char *family = ym_plan_family_word(plan->family);
    int64_t micro = INT64_MAX;

    if (!ym_vterms_name(t, "sponsors", plan->sponsor))
        snprintf(why, cap, "sponsor '%s'", plan->sponsor);
    else if (!ym_vterms_name(t, "purposes", plan->purpose))
        snprintf(why, cap, "the purpose '%.120s'", plan->purpose);
    else if (!ym_vterms_name(t, "models", family))
        snprintf(why, cap, "models of family '%s'", family);
    else if (!ym_vterms_name(t, "recipients", plan->border.recipient))
        snprintf(why, cap, "the recipient '%.120s'", plan->border.recipient);
    else if (!ym_vterms_column(t, "outcomes", plan->outcome.name))
        snprintf(why, cap, "outcome '%s'", plan->outcome.name);
    for (size_t k = 0; k < plan->input_count && !why[0]; k++)
        if (!ym_vterms_column(t, "inputs", plan->input[k].name))
            snprintf(why, cap, "column '%s'", plan->input[k].name);
    if (why[0])
        return;
    if (ym_plan_epsilon_at(plan, 1, plan->rounds, (struct ym_decimal){p->delta}, &micro, NULL) != YM_OK ||
        micro > t->study_micro)
        snprintf(why, cap, "a study of %" PRId64 " millionths, %" PRId64 " at most", micro, t->study_micro);
}

/* Once for each plan and policy. */
static void judge(struct pass *p, struct study *s)
{
    struct ym_plan *plan;

    if (s->judged == p->policy)
        return;
    s->judged = p->policy;
    s->why[0] = '\0';
    plan = ym_check_plan(p->c, s->plan);
    if (plan)
        judge_plan(p, plan, s->why, sizeof s->why);
    else if (s->sponsor[0] && !ym_vterms_name(&p->terms, "sponsors", s->sponsor))
        snprintf(s->why, sizeof s->why, "sponsor '%s'", s->sponsor);
    ym_plan_free(plan);
}

static bool check_terms(struct pass *p)
{
    struct study *s;

    if (!p->policy)
        return false; /* said by the budget's pass */
    if (!p->terms.good) {
        FIND(p, POLICY_TERMS, "the policy, entry %zu, has no terms that can be read: it serves nobody", p->policy - 1);
        return false;
    }
    s = study_of(p);
    if (!s)
        return false;
    judge(p, s);
    if (s->why[0])
        FIND(p, POLICY_TERMS, "the policy, entry %zu, does not allow %s", p->policy - 1, s->why);
    return true;
}

/* All charges of the study, what came back included, at the policy's delta. */
static void check_study(struct pass *p, bool returned)
{
    struct ym_spend *spend = spend_of(p);
    struct ym_events events;
    int64_t micro;

    if (!spend || !ym_check_events(p->e, &events)) /* said by the budget's pass */
        return;
    if (ym_spend_add_all(spend, &events, NULL) != YM_OK || returned || !p->terms.good)
        return;
    if (ym_spend_micro(spend, NULL, p->delta, p->c->cache, &micro, NULL) != YM_OK)
        FIND(p, EPSILON_SPENT, "the charges of '%s' cannot be composed", ym_entry_text(p->e, "study"));
    else if (micro > p->terms.study_micro)
        FIND(p, STUDY_EXCEEDED, "study '%s': %" PRId64 " millionths spent, the policy allows %" PRId64 " for one study",
             ym_entry_text(p->e, "study"), micro, p->terms.study_micro);
}

static void take_charge(struct pass *p, bool returned)
{
    if (!returned && check_terms(p) && !ym_vterms_open(&p->terms, ym_entry_int(p->e, "time")))
        FIND(p, POLICY_HOURS, "the policy, entry %zu, lets no round run at that hour", p->policy - 1);
    check_study(p, returned);
}

/* An entry of an hour that is over, after a clock that went back, counts in the newest one. */
static void take_inference(struct pass *p)
{
    int64_t hour = ym_entry_int(p->e, "time") / HOUR_S, rows = ym_entry_int(p->e, "rows");
    const char *basis = p->policy && p->terms.good ? p->terms.score_basis : "";

    if (hour > p->hour)
        p->scored = 0;
    p->hour = hour > p->hour ? hour : p->hour;
    p->scored = rows > INT64_MAX - p->scored ? INT64_MAX : p->scored + rows;
    if (rows % CLASS != 0 || ym_entry_int(p->e, "left_out") % CLASS != 0)
        FIND(p, INFERENCE_POLICY, "patients who are not counted in hundreds");
    if (strcmp(basis, ym_entry_text(p->e, "basis")) != 0)
        FIND(p, INFERENCE_POLICY, "a model scored on the basis '%s', and the policy allows %s%s%s",
             ym_entry_text(p->e, "basis"), basis[0] ? "'" : "none", basis, basis[0] ? "'" : "");
    else if (p->scored > p->terms.score_rows_hour)
        FIND(p, INFERENCE_POLICY, "%" PRId64 " rows put to models in one hour, the policy allows %" PRId64, p->scored,
             p->terms.score_rows_hour);
}

static void take_policy(struct pass *p)
{
    ym_vterms_release(&p->terms);
    p->c->no_memory |= !ym_vterms_read(p->e, &p->terms);
    p->policy = p->i + 1;
    p->delta = ym_entry_int(p->e, "delta_e18");
}

static void take_plan(struct pass *p)
{
    struct study *s = study_of(p);

    if (s && !s->sponsor[0]) {
        snprintf(s->sponsor, sizeof s->sponsor, "%s", ym_entry_text(p->e, "sponsor"));
        s->judged = 0;
    }
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;
    bool returned = p->returned > 0;

    p->i = i;
    p->e = e;
    p->returned -= returned;
    if (e->type == YM_ENTRY_POLICY)
        take_policy(p);
    else if (e->type == YM_ENTRY_RECOVER)
        p->returned = ym_entry_int(e, "count");
    else if (e->type == YM_ENTRY_PLAN)
        take_plan(p);
    else if (e->type == YM_ENTRY_INFERENCE)
        take_inference(p);
    else if (e->type == YM_ENTRY_APPROVAL && !returned)
        check_terms(p);
    else if (e->type == YM_ENTRY_CHARGE)
        take_charge(p, returned);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct pass){.c = c, .log = log};
    return p;
}

static void end(void *pass)
{
    struct pass *p = pass;

    for (size_t i = 0; i < p->spent_count; i++)
        ym_spend_release(&p->spent[i]);
    free(p->spent);
    free(p->study);
    ym_vmap_release(&p->places);
    ym_vterms_release(&p->terms);
    free(p);
}

const struct ym_rule ym_rule_policy = {begin, take, end};

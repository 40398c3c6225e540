#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/limits.h"
#include "audit/verify/check.h"
#include "base/calendar.h"

struct dataset {
    char name[64], data[65];             /* data: hash of the newest frozen set, "" when only named in a group */
    char size_class[16], identified[16]; /* what its card says; "" where it does not */
    size_t group;                        /* index of the data set that holds the group's spend */
    struct ym_spend spend, month;        /* month: what of it was charged in the newest one */
};

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    struct ym_vmap *seen;
    bool have_policy;
    int64_t cap, delta, order, month_limit, min_patients;
    int64_t month; /* newest in which the owner signed anything */
    char owner[17];
    struct dataset *dataset;
    size_t dataset_count;
    struct ym_vreturn back;
    bool returning; /* this entry is one of those */
    bool sealed;    /* it has the seals that it needs */
    struct ym_seal_state seals;
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)
#define NOT_FOUND SIZE_MAX

static void release_dataset(struct dataset *d)
{
    ym_spend_release(&d->spend);
    ym_spend_release(&d->month);
}

static size_t find_dataset(const struct pass *p, const char *name)
{
    uint64_t d;

    return ym_vmap_get(p->seen, &d, "e|%s", name) ? (size_t)d : NOT_FOUND;
}

static size_t add_dataset(struct pass *p, const char *name)
{
    size_t d = find_dataset(p, name);
    struct dataset *grown;

    if (d != NOT_FOUND)
        return d;
    grown = realloc(p->dataset, (p->dataset_count + 1) * sizeof(*grown));
    if (!grown) {
        p->c->no_memory = true;
        return NOT_FOUND;
    }
    p->dataset = grown;
    d = p->dataset_count++;
    memset(&grown[d], 0, sizeof(grown[d]));
    memcpy(grown[d].name, name, strlen(name) + 1);
    grown[d].group = d;
    ym_check_keep(p->c, p->seen, d, "e|%s", name);
    return d;
}

/* All of the group of b move to the group of a. */
static void join(struct pass *p, size_t a, size_t b)
{
    size_t into = p->dataset[a].group, from = p->dataset[b].group;

    if (into == from)
        return;
    p->c->no_memory |= ym_spend_merge(&p->dataset[into].spend, &p->dataset[from].spend, NULL) != YM_OK ||
                       ym_spend_merge(&p->dataset[into].month, &p->dataset[from].month, NULL) != YM_OK;
    for (size_t d = 0; d < p->dataset_count; d++)
        if (p->dataset[d].group == from)
            p->dataset[d].group = into;
}

static void take_card(struct pass *p)
{
    size_t own = add_dataset(p, ym_entry_text(p->e, "dataset"));
    const char *name;

    if (own == NOT_FOUND)
        return;
    memcpy(p->dataset[own].data, ym_entry_text(p->e, "data"), 65);
    snprintf(p->dataset[own].size_class, sizeof p->dataset[own].size_class, "%s",
             ym_entry_inner(p->e, "public", "size_class"));
    snprintf(p->dataset[own].identified, sizeof p->dataset[own].identified, "%s",
             ym_entry_inner(p->e, "public", "patient_identifier"));
    for (size_t k = 0; (name = ym_entry_nth(p->e, "group", k)); k++) {
        size_t other = add_dataset(p, name);

        if (other == NOT_FOUND)
            return;
        join(p, own, other);
    }
}

/* One order for the ledger's life, the first policy's. */
static void take_order(struct pass *p)
{
    int64_t order = ym_entry_int(p->e, "order_milli");

    if (!ym_spend_order_valid(order))
        FIND(p, POLICY_ORDER, "%" PRId64 " thousandths is no order of the accountant", order);
    else if (p->have_policy && order != p->order)
        FIND(p, POLICY_ORDER, "the first policy fixed %" PRId64 " thousandths, this one says %" PRId64, p->order,
             order);
    if (!p->have_policy)
        p->order = order;
}

/* The approval's own index + 1, so that a charge can be held against it; 0: vetoed. */
static void take_decision(struct pass *p, bool approved)
{
    uint64_t before = 1;

    if (p->returning && approved &&
        ym_vmap_get(p->seen, &before, "a|%s|%s", ym_entry_text(p->e, "study"), ym_entry_text(p->e, "plan")) &&
        before == 0)
        return; /* what comes back undoes no veto */
    ym_check_keep(p->c, p->seen, approved ? p->i + 1 : 0, "a|%s|%s", ym_entry_text(p->e, "study"),
                  ym_entry_text(p->e, "plan"));
}

/* The largest epsilon that earlier overrides allow for a subject, + 1. */
static bool explained(const struct pass *p, const char *subject, int64_t epsilon)
{
    uint64_t allowed = 0;

    ym_vmap_get(p->seen, &allowed, "o|%s", subject);
    return epsilon <= YM_EPSILON_PLAIN_MICRO || (uint64_t)epsilon < allowed;
}

static void keep_override(struct pass *p, const char *subject, int64_t epsilon)
{
    struct ym_verification *v = p->c->v;
    struct ym_override_line *line = realloc(v->override, (v->override_count + 1) * sizeof *line);

    if (!line) {
        p->c->no_memory = true;
        return;
    }
    v->override = line;
    line += v->override_count++;
    *line = (struct ym_override_line){.log = p->log, .entry = p->i, .epsilon_micro = epsilon};
    snprintf(line->subject, sizeof line->subject, "%s", subject);
    snprintf(line->reason, sizeof line->reason, "%s", ym_entry_text(p->e, "reason"));
}

static void take_override(struct pass *p)
{
    const char *subject = ym_entry_text(p->e, "subject");
    int64_t epsilon = ym_entry_int(p->e, "epsilon_micro");

    if (!explained(p, subject, epsilon))
        ym_check_keep(p->c, p->seen, (uint64_t)epsilon + 1, "o|%s", subject);
    keep_override(p, subject, epsilon);
}

/* The keys that sealed it may be lost with the leaves that named them: it explains what was charged and comes back with
 * it, and allows nothing else. */
static bool comes_back_unsealed(struct pass *p)
{
    if (!p->returning || p->sealed)
        return false;
    ym_check_keep(p->c, p->seen, 1, "B|%s|%s|%s|%s", ym_entry_text(p->e, "study"), ym_entry_text(p->e, "plan"),
                  ym_entry_text(p->e, "dataset"), ym_entry_text(p->e, "data"));
    return true;
}

static bool came_back_with_it(const struct pass *p, const char *study, const char *plan)
{
    return p->returning && ym_vmap_get(p->seen, NULL, "B|%s|%s|%s|%s", study, plan, ym_entry_text(p->e, "dataset"),
                                       ym_entry_text(p->e, "data"));
}

/* Its override may be lost, for nobody else holds it: what follows needs a new one. */
static bool owes_override(struct pass *p, int64_t epsilon)
{
    if (p->returning)
        ym_check_keep(p->c, p->seen, (uint64_t)epsilon, "O|%s|%s", ym_entry_text(p->e, "study"),
                      ym_entry_text(p->e, "plan"));
    return p->returning;
}

static void take_approval(struct pass *p)
{
    int64_t epsilon = ym_entry_int(p->e, "epsilon_micro");

    ym_check_once(p->c, p->log, p->i, p->e);
    if (!explained(p, ym_entry_text(p->e, "plan"), epsilon) && !owes_override(p, epsilon))
        FIND(p, OVERRIDE_MISSING, "the plan of '%s' may spend %" PRId64 " millionths", ym_entry_text(p->e, "study"),
             epsilon);
    if (comes_back_unsealed(p))
        return;
    ym_check_keep(p->c, p->seen, p->i + 1, "A|%s|%s|%s|%s", ym_entry_text(p->e, "study"), ym_entry_text(p->e, "plan"),
                  ym_entry_text(p->e, "dataset"), ym_entry_text(p->e, "data"));
    take_decision(p, true);
}

static void take_policy(struct pass *p)
{
    take_order(p);
    if (!explained(p, "policy", ym_entry_int(p->e, "epsilon_cap_micro")))
        FIND(p, OVERRIDE_MISSING, "the policy's cap is %" PRId64 " millionths",
             ym_entry_int(p->e, "epsilon_cap_micro"));
    p->month_limit = ym_entry_int(p->e, "epsilon_month_micro");
    p->min_patients = ym_entry_int(p->e, "min_patients");
    p->have_policy = true;
    p->cap = ym_entry_int(p->e, "epsilon_cap_micro");
    p->delta = ym_entry_int(p->e, "delta_e18");
}

static void take_pause(struct pass *p)
{
    ym_check_keep(p->c, p->seen, ym_entry_bool(p->e, "paused"), "p|%s", ym_entry_text(p->e, "study"));
}

static void check_approval(struct pass *p)
{
    const char *study = ym_entry_text(p->e, "study"), *plan = ym_entry_text(p->e, "plan");
    uint64_t at = 0, of = 0, paused = 0, owed = 0;
    bool known;

    ym_vmap_get(p->seen, &paused, "p|%s", study);
    if (paused)
        FIND(p, CHARGE_PAUSED, "the hospital had paused '%s'", study);
    if (ym_vmap_get(p->seen, &owed, "O|%s|%s", study, plan) && !explained(p, plan, (int64_t)owed))
        FIND(p, OVERRIDE_MISSING, "the plan of '%s' may spend %" PRIu64 " millionths", study, owed);
    known = ym_vmap_get(p->seen, &at, "a|%s|%s", study, plan);
    if (!(known && at == 0) && came_back_with_it(p, study, plan))
        return;
    if (!known || at == 0)
        FIND(p, CHARGE_NOT_APPROVED, "the plan of '%s' is not approved, or vetoed", study);
    else if (!ym_vmap_get(p->seen, &of, "A|%s|%s|%s|%s", study, plan, ym_entry_text(p->e, "dataset"),
                          ym_entry_text(p->e, "data")) ||
             of != at)
        FIND(p, CHARGE_NOT_APPROVED, "the plan of '%s' is approved for other data", study);
}

static void check_policy(struct pass *p)
{
    if (p->returning && p->have_policy)
        return; /* it may have been charged under a policy that is lost */
    if (!p->have_policy)
        FIND(p, CHARGE_BEFORE_POLICY, "no policy had set a cap");
    else if (ym_entry_int(p->e, "epsilon_cap_micro") != p->cap || ym_entry_int(p->e, "delta_e18") != p->delta)
        FIND(p, CHARGE_POLICY, "cap %" PRId64 " or delta %" PRId64 " is not the policy's (%" PRId64 ", %" PRId64 ")",
             ym_entry_int(p->e, "epsilon_cap_micro"), ym_entry_int(p->e, "delta_e18"), p->cap, p->delta);
}

/* The same text always at the same place: a ledger names few studies and data sets very often. */
static const char *intern(struct ym_check *c, const char *text)
{
    struct ym_verification *v = c->v;
    uint64_t at;
    char **grown;

    if (ym_vmap_get(&c->names, &at, "%s", text))
        return v->name[at];
    grown = realloc(v->name, (v->name_count + 1) * sizeof(*grown));
    if (grown) {
        v->name = grown;
        grown[v->name_count] = strdup(text);
        if (grown[v->name_count] && ym_vmap_put(&c->names, v->name_count, "%s", text))
            return grown[v->name_count++];
        free(grown[v->name_count]);
    }
    c->no_memory = true;
    return "";
}

static struct ym_charge_line *new_line(struct ym_check *c)
{
    struct ym_verification *v = c->v;
    size_t cap = v->charge_cap ? v->charge_cap + v->charge_cap / 2 : 64;
    struct ym_charge_line *grown;

    if (v->charge_count == v->charge_cap) {
        grown = realloc(v->charge, cap * sizeof(*grown));
        if (!grown) {
            c->no_memory = true;
            return NULL;
        }
        v->charge = grown;
        v->charge_cap = cap;
    }
    return &v->charge[v->charge_count++];
}

static void keep_line(struct pass *p, int64_t round_micro, int64_t spent_micro, int64_t tight_micro,
                      int64_t month_micro)
{
    struct ym_charge_line *line = new_line(p->c);

    if (!line)
        return;
    *line = (struct ym_charge_line){.log = p->log,
                                    .entry = p->i,
                                    .dataset = intern(p->c, ym_entry_text(p->e, "dataset")),
                                    .study = intern(p->c, ym_entry_text(p->e, "study")),
                                    .identified = intern(p->c, ym_entry_text(p->e, "identified")),
                                    .round = (uint32_t)ym_entry_int(p->e, "round"),
                                    .attempt = (uint32_t)ym_entry_int(p->e, "attempt"),
                                    .round_micro = round_micro,
                                    .spent_micro = spent_micro,
                                    .tight_micro = tight_micro,
                                    .cap_micro = p->cap,
                                    .order_milli = p->order,
                                    .month_micro = month_micro,
                                    .month_limit_micro = p->month_limit,
                                    .delta_e18 = ym_entry_int(p->e, "delta_e18")};
}

/* The group's spend with this charge in it, at the policy's delta and order. */
static void check_spent(struct pass *p, struct dataset *d, const struct ym_events *events, int64_t round_micro)
{
    struct ym_spend *spend = &p->dataset[d->group].spend, *of_month = &p->dataset[d->group].month;
    int64_t said = ym_entry_int(p->e, "epsilon_spent_micro"), delta = ym_entry_int(p->e, "delta_e18"), spent, tight;
    int64_t month, cap = p->cap;

    if (p->returning && ym_entry_int(p->e, "epsilon_cap_micro") > cap)
        cap = ym_entry_int(p->e, "epsilon_cap_micro"); /* of a policy that is lost */
    if (ym_spend_add_all(spend, events, NULL) != YM_OK || ym_spend_add_all(of_month, events, NULL) != YM_OK ||
        ym_spend_added_micro(of_month, NULL, p->order, p->c->cache, &month, NULL) != YM_OK ||
        ym_spend_micro_at(spend, NULL, delta, p->order, p->c->cache, &spent, NULL) != YM_OK ||
        ym_spend_micro(spend, NULL, delta, p->c->cache, &tight, NULL) != YM_OK) {
        FIND(p, EPSILON_SPENT, "the charges of '%s' cannot be composed", d->name);
        return;
    }
    if (said != spent && !(p->returning && said < spent))
        FIND(p, EPSILON_SPENT, "it says %" PRId64 " millionths spent, recomputed %" PRId64, said, spent);
    if (p->have_policy && spent > cap)
        FIND(p, CAP_EXCEEDED, "%" PRId64 " millionths spent of a cap of %" PRId64, spent, cap);
    if (!p->returning && p->have_policy && month > p->month_limit)
        FIND(p, MONTH_EXCEEDED, "%" PRId64 " millionths in this month, of %" PRId64, month, p->month_limit);
    keep_line(p, round_micro, spent, tight, month);
}

/* What the card says of the data set that is charged. */
static void check_card(struct pass *p, const struct dataset *d)
{
    int64_t most = ym_size_class_delta_e18(d->size_class), delta = ym_entry_int(p->e, "delta_e18");

    if (strcmp(d->data, ym_entry_text(p->e, "data")) != 0)
        FIND(p, CHARGE_DATASET, "no card describes this data of '%s'", d->name);
    if (delta > most)
        FIND(p, DELTA_TOO_LARGE, "delta %" PRId64 " of '%s', at most %" PRId64 " for its size class", delta, d->name,
             most);
    if (!p->returning && most > 0 && ym_size_class_patients(d->size_class) < p->min_patients)
        FIND(p, COHORT_TOO_SMALL, "'%s' has size class %s, the policy asks for %" PRId64 " patients", d->name,
             d->size_class, p->min_patients);
    if (strcmp(d->identified, ym_entry_text(p->e, "identified")) != 0)
        FIND(p, IDENTIFIED_DIFFERS, "'%s' by %s, its card says %s", d->name, ym_entry_text(p->e, "identified"),
             d->identified[0] ? d->identified : "nothing");
}

static void take_charge(struct pass *p)
{
    const char *study = ym_entry_text(p->e, "study");
    int64_t round = ym_entry_int(p->e, "round"), attempt = ym_entry_int(p->e, "attempt"), micro = 0;
    size_t d = find_dataset(p, ym_entry_text(p->e, "dataset"));
    struct ym_events events;

    if (!p->returning && ym_vmap_get(p->seen, NULL, "c|%s|%" PRId64 "|%" PRId64, study, round, attempt))
        FIND(p, CHARGE_REPEATED, "round %" PRId64 " attempt %" PRId64 " of '%s' is charged twice", round, attempt,
             study);
    check_policy(p);
    if (!p->returning)
        check_approval(p);
    if (d == NOT_FOUND)
        FIND(p, CHARGE_DATASET, "no card describes '%s'", ym_entry_text(p->e, "dataset"));
    else
        check_card(p, &p->dataset[d]);
    if (ym_check_round_epsilon(p->c, p->log, p->i, p->e, &events, &micro) && d != NOT_FOUND)
        check_spent(p, &p->dataset[d], &events, micro);
    ym_check_keep(p->c, p->seen, p->i, "c|%s|%" PRId64 "|%" PRId64, study, round, attempt);
    ym_check_keep(p->c, p->seen, YM_SEEN_CHARGE(p->i), "h|%s", p->e->hash);
    p->c->v->log[p->log].charges++;
    ym_check_program(p->c, p->log, p->e);
}

static void mark_released(struct pass *p, size_t charge)
{
    struct ym_verification *v = p->c->v;

    for (size_t k = v->charge_count; k-- > 0 && v->charge[k].log == p->log && v->charge[k].entry >= charge;)
        if (v->charge[k].entry == charge)
            v->charge[k].released = true;
}

static void take_release(struct pass *p)
{
    size_t at;

    if (p->c->has_hub) {
        ym_check_keep(p->c, p->seen, p->i, "l|%s", p->e->hash);
    }
    if (ym_check_release(p->c, p->log, p->i, p->e, &at))
        mark_released(p, at);
}

/* What nobody holds any more, as an event that spends as much. */
static void take_recover(struct pass *p)
{
    struct ym_entry_event said;
    struct ym_event e;

    for (size_t k = 0; ym_entry_event_at(p->e, "lost", k, &said); k++) {
        size_t d = strlen(said.use) < 64 ? add_dataset(p, said.use) : NOT_FOUND;
        struct dataset *group = d == NOT_FOUND ? NULL : &p->dataset[p->dataset[d].group];

        if (!group || !ym_spend_event(said.noise_variance, said.sampling_k, said.steps, &e) ||
            ym_spend_add(&group->spend, &e, NULL) != YM_OK || ym_spend_add(&group->month, &e, NULL) != YM_OK)
            FIND(p, RECOVER_DIFFERS, "lost charges of '%.63s' cannot be composed", said.use);
    }
    ym_return_begin(p->c, p->log, p->i, p->e, &p->back);
}

/* Only the owner's own clock moves the month, and never back. */
static void take_time(struct pass *p)
{
    int64_t month = ym_month_of(ym_entry_int(p->e, "time"));

    if (month <= p->month || strcmp(p->e->key, p->owner) != 0)
        return;
    p->month = month;
    for (size_t d = 0; d < p->dataset_count; d++)
        ym_spend_release(&p->dataset[d].month);
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;

    p->i = i;
    p->e = e;
    take_time(p);
    p->returning = ym_return_take(p->c, p->log, e, &p->back);
    p->sealed = ym_check_seals(p->c, p->log, i, e, p->returning, &p->seals);
    switch (p->e->type) {
    case YM_ENTRY_POLICY:
        take_policy(p);
        break;
    case YM_ENTRY_CARD:
        take_card(p);
        break;
    case YM_ENTRY_OVERRIDE:
        take_override(p);
        break;
    case YM_ENTRY_APPROVAL:
        take_approval(p);
        break;
    case YM_ENTRY_VETO:
        take_decision(p, false);
        break;
    case YM_ENTRY_PAUSE:
        take_pause(p);
        break;
    case YM_ENTRY_CHARGE:
        take_charge(p);
        break;
    case YM_ENTRY_RELEASE:
        take_release(p);
        break;
    case YM_ENTRY_RECOVER:
        take_recover(p);
        break;
    default:
        break;
    }
}

/* All accountants on what a data set's group was charged in all, beside its newest charge. */
static void keep_certified(struct pass *p, const struct dataset *d)
{
    struct ym_verification *v = p->c->v;
    const struct ym_spend *spend = &p->dataset[d->group].spend;
    struct ym_figures f;

    for (size_t k = v->charge_count; k-- > 0 && v->charge[k].log == p->log;) {
        struct ym_charge_line *line = &v->charge[k];

        if (strcmp(line->dataset, d->name) != 0)
            continue;
        if (ym_check_figures(p->c, p->log, line->entry, spend->item, spend->count, line->delta_e18, &f)) {
            line->certified_micro = ym_epsilon_micro(f.certified);
            line->estimate_micro = ym_epsilon_micro(f.estimate);
        }
        return;
    }
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct pass){.c = c, .log = log, .seen = &c->log[log].seen};
    ym_entry_key_id(c->log[log].owner, p->owner);
    return p;
}

static void end(void *pass)
{
    struct pass *p = pass;

    ym_return_end(p->c, p->log, &p->back);
    for (size_t d = 0; p->c->certified && d < p->dataset_count; d++)
        keep_certified(p, &p->dataset[d]);
    for (size_t d = 0; d < p->dataset_count; d++)
        release_dataset(&p->dataset[d]);
    free(p->dataset);
    free(p);
}

const struct ym_rule ym_rule_hospital = {begin, take, end};

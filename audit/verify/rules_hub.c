#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

struct study {
    char name[64], plan[65], state[65]; /* state: newest published, "" before the first result */
    char sponsor[64];
    bool ended;
    int64_t done;                   /* rounds with a result */
    int64_t opened, opened_attempt; /* newest round_open */
    bool open;                      /* that attempt has no result or abort yet */
    size_t open_entry;
};

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    struct ym_vmap *seen;
    char owner[17];
    struct study *study;
    size_t study_count;
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)

static struct study *find_study(struct pass *p)
{
    uint64_t at;

    return ym_vmap_get(p->seen, &at, "s|%s", ym_entry_text(p->e, "study")) ? &p->study[at] : NULL;
}

static void take_revoke(struct pass *p)
{
    ym_check_keep(p->c, p->seen, p->i, "x|%s|%s", ym_entry_text(p->e, "role"), ym_entry_text(p->e, "name"));
}

static bool is_revoked(const struct pass *p, const char *role, const char *name)
{
    return ym_vmap_get(p->seen, NULL, "x|%s|%s", role, name);
}

static void take_plan(struct pass *p)
{
    const char *name = ym_entry_text(p->e, "study");
    struct study *s;

    if (strcmp(ym_entry_text(p->e, "sponsor"), p->e->by) != 0)
        FIND(p, LEAF_SIGNER, "the plan of '%s' is signed by '%s', not by its sponsor '%s'", name, p->e->by,
             ym_entry_text(p->e, "sponsor"));
    if (is_revoked(p, "sponsor", p->e->by))
        FIND(p, PARTY_REVOKED, "the plan of '%s' is by '%s', which was shut out before", name, p->e->by);
    if (find_study(p)) {
        FIND(p, ROUND_ORDER, "study '%s' has a second plan", name);
        return;
    }
    s = realloc(p->study, (p->study_count + 1) * sizeof(*s));
    if (!s) {
        p->c->no_memory = true;
        return;
    }
    p->study = s;
    s += p->study_count;
    memset(s, 0, sizeof(*s));
    memcpy(s->name, name, strlen(name) + 1);
    memcpy(s->plan, ym_entry_text(p->e, "plan"), 65);
    memcpy(s->sponsor, p->e->by, strlen(p->e->by) + 1);
    ym_check_keep(p->c, p->seen, p->study_count, "s|%s", name);
    p->study_count++;
}

/* Approvals are remembered for good, a veto with its time. The hub writes a charge
 * down with the round's result, perhaps after a veto that came after the charge;
 * the hospital's own clock tells which was first, its own ledger proves it. */
static void take_decision(struct pass *p, bool approved)
{
    const char *study = ym_entry_text(p->e, "study"), *plan = ym_entry_text(p->e, "plan");

    if (approved) {
        ym_check_once(p->c, p->log, p->i, p->e);
        ym_check_keep(p->c, p->seen, p->i, "a|%s|%s|%s", p->e->by, study, plan);
    }
    ym_check_keep(p->c, p->seen, approved ? 0 : (size_t)ym_entry_int(p->e, "time") + 1, "v|%s|%s|%s", p->e->by, study,
                  plan);
}

static bool is_approved(const struct pass *p)
{
    const char *study = ym_entry_text(p->e, "study"), *plan = ym_entry_text(p->e, "plan");
    uint64_t vetoed = 0;

    if (!ym_vmap_get(p->seen, NULL, "a|%s|%s|%s", p->e->by, study, plan))
        return false;
    ym_vmap_get(p->seen, &vetoed, "v|%s|%s|%s", p->e->by, study, plan);
    return vetoed == 0 || (size_t)ym_entry_int(p->e, "time") < vetoed;
}

static void check_roster(struct pass *p)
{
    const char *name;

    for (size_t k = 0; (name = ym_entry_nth(p->e, "roster", k)); k++)
        if (is_revoked(p, "hospital", name))
            FIND(p, PARTY_REVOKED, "round %" PRId64 " of '%s' asks '%s', which was shut out before",
                 ym_entry_int(p->e, "round"), ym_entry_text(p->e, "study"), name);
}

static void take_open(struct pass *p)
{
    int64_t round = ym_entry_int(p->e, "round"), attempt = ym_entry_int(p->e, "attempt");
    struct study *s = find_study(p);

    if (!s || strcmp(s->plan, ym_entry_text(p->e, "plan")) != 0) {
        FIND(p, ROUND_WITHOUT_PLAN, "round %" PRId64 " of '%s' has no such plan in the log", round,
             ym_entry_text(p->e, "study"));
        return;
    }
    if (s->ended)
        FIND(p, STUDY_ENDED, "round %" PRId64 " of '%s' after its end", round, s->name);
    else if (round != s->done + 1 || (round == s->opened && attempt <= s->opened_attempt))
        FIND(p, ROUND_ORDER, "round %" PRId64 " attempt %" PRId64 " of '%s' after round %" PRId64 " attempt %" PRId64,
             round, attempt, s->name, s->opened, s->opened_attempt);
    else if (s->state[0] && strcmp(s->state, ym_entry_text(p->e, "state")) != 0)
        FIND(p, STATE_CHAIN, "round %" PRId64 " of '%s' does not start from the published state", round, s->name);
    check_roster(p);
    s->opened = round;
    s->opened_attempt = attempt;
    s->open = true;
    s->open_entry = p->i;
}

static void take_charge(struct pass *p)
{
    const char *study = ym_entry_text(p->e, "study");
    int64_t round = ym_entry_int(p->e, "round"), attempt = ym_entry_int(p->e, "attempt"), micro;
    struct ym_events events;

    if (ym_vmap_get(p->seen, NULL, "c|%s|%s|%" PRId64 "|%" PRId64, p->e->by, study, round, attempt)) {
        FIND(p, CHARGE_REPEATED, "'%s' charged round %" PRId64 " attempt %" PRId64 " of '%s' twice", p->e->by, round,
             attempt, study);
        return;
    }
    ym_check_round_epsilon(p->c, p->log, p->i, p->e, &events, &micro);
    if (ym_entry_int(p->e, "epsilon_spent_micro") > ym_entry_int(p->e, "epsilon_cap_micro"))
        FIND(p, CAP_EXCEEDED, "'%s' spent more than its cap", p->e->by);
    if (!is_approved(p))
        FIND(p, CHARGE_NOT_APPROVED, "'%s' had not approved this plan of '%s'", p->e->by, study);
    ym_check_keep(p->c, p->seen, p->i, "c|%s|%s|%" PRId64 "|%" PRId64, p->e->by, study, round, attempt);
    ym_check_keep(p->c, p->seen, YM_SEEN_CHARGE(p->i), "h|%s", p->e->hash);
    p->c->v->log[p->log].charges++;
}

static void take_release(struct pass *p)
{
    size_t at;

    ym_check_release(p->c, p->log, p->i, p->e, &at);
    ym_check_keep(p->c, p->seen, p->i, "r|%s|%s|%" PRId64 "|%" PRId64, p->e->by, ym_entry_text(p->e, "study"),
                  ym_entry_int(p->e, "round"), ym_entry_int(p->e, "attempt"));
}

/* A charge for another plan or state of the same round pays for nothing here. Where
 * open and result disagree about the state, that is what is told. */
static bool charged_for(struct pass *p, const struct ym_entry *open, size_t at)
{
    struct ym_lookup charge;
    bool same = ym_check_entry(p->c, p->log, at, &charge) &&
                strcmp(ym_entry_text(charge.e, "plan"), ym_entry_text(open, "plan")) == 0 &&
                (strcmp(ym_entry_text(charge.e, "state"), ym_entry_text(open, "state")) == 0 ||
                 strcmp(ym_entry_text(open, "state"), ym_entry_text(p->e, "state_before")) != 0);

    ym_check_entry_end(&charge);
    return same;
}

static void check_survivor(struct pass *p, const struct ym_entry *open, const char *name)
{
    const char *study = ym_entry_text(p->e, "study");
    int64_t round = ym_entry_int(p->e, "round"), attempt = ym_entry_int(p->e, "attempt");
    uint64_t at = 0;

    if (!ym_entry_lists(open, "roster", name) || ym_entry_lists(p->e, "left_out", name))
        FIND(p, SURVIVOR_NOT_IN_ROSTER, "'%s' is counted in round %" PRId64 " of '%s' but was not asked or left out",
             name, round, study);
    else if (!ym_vmap_get(p->seen, &at, "c|%s|%s|%" PRId64 "|%" PRId64, name, study, round, attempt))
        FIND(p, SURVIVOR_WITHOUT_CHARGE, "'%s' is counted in round %" PRId64 " of '%s' without a charge", name, round,
             study);
    else if (!charged_for(p, open, at))
        FIND(p, CHARGE_PLAN, "'%s' is counted in round %" PRId64 " of '%s' for a charge of another plan or state", name,
             round, study);
    else if (!ym_vmap_get(p->seen, NULL, "r|%s|%s|%" PRId64 "|%" PRId64, name, study, round, attempt))
        FIND(p, SURVIVOR_WITHOUT_RELEASE, "'%s' is counted in round %" PRId64 " of '%s' without a release", name, round,
             study);
}

/* Whoever was asked is counted or left out, and nobody else is left out. */
static void check_whole(struct pass *p, const struct ym_entry *open)
{
    const char *name;

    for (size_t k = 0; (name = ym_entry_nth(open, "roster", k)); k++)
        if (!ym_entry_lists(p->e, "survivors", name) && !ym_entry_lists(p->e, "left_out", name))
            FIND(p, SURVIVORS_INCOMPLETE, "'%s' was asked in round %" PRId64 " of '%s'; the result does not name it",
                 name, ym_entry_int(p->e, "round"), ym_entry_text(p->e, "study"));
    for (size_t k = 0; (name = ym_entry_nth(p->e, "left_out", k)); k++)
        if (!ym_entry_lists(open, "roster", name))
            FIND(p, SURVIVOR_NOT_IN_ROSTER, "'%s' is left out of round %" PRId64 " of '%s' but was not asked", name,
                 ym_entry_int(p->e, "round"), ym_entry_text(p->e, "study"));
}

static void check_survivors(struct pass *p, const struct study *s)
{
    struct ym_lookup open;
    const char *name;

    if (ym_check_entry(p->c, p->log, s->open_entry, &open)) {
        if (strcmp(ym_entry_text(open.e, "state"), ym_entry_text(p->e, "state_before")) != 0)
            FIND(p, STATE_CHAIN, "round %" PRId64 " of '%s' was opened on another state", s->opened, s->name);
        for (size_t k = 0; (name = ym_entry_nth(p->e, "survivors", k)); k++)
            check_survivor(p, open.e, name);
        check_whole(p, open.e);
    }
    ym_check_entry_end(&open);
}

static void remember_result(struct pass *p, const struct study *s)
{
    struct ym_check *c = p->c;
    struct ym_vresult *r;

    if (!c->objects)
        return;
    r = realloc(c->result, (c->result_count + 1) * sizeof(*r));
    if (!r) {
        c->no_memory = true;
        return;
    }
    c->result = r;
    r += c->result_count++;
    r->log = p->log;
    r->entry = p->i;
    memcpy(r->plan, s->plan, sizeof(r->plan));
}

static void take_result(struct pass *p)
{
    int64_t round = ym_entry_int(p->e, "round"), attempt = ym_entry_int(p->e, "attempt");
    struct study *s = find_study(p);

    p->c->v->log[p->log].results++;
    ym_check_program(p->c, p->log, p->e);
    if (s && round <= s->done) {
        FIND(p, RESULT_REPEATED, "round %" PRId64 " of '%s' has a second result", round, s->name);
        return;
    }
    if (!s || !s->open || round != s->opened || attempt != s->opened_attempt) {
        FIND(p, RESULT_WITHOUT_OPEN, "round %" PRId64 " attempt %" PRId64 " of '%s' is not open", round, attempt,
             ym_entry_text(p->e, "study"));
        return;
    }
    check_survivors(p, s);
    remember_result(p, s);
    s->open = false;
    s->done = round;
    s->ended = ym_entry_bool(p->e, "last");
    memcpy(s->state, ym_entry_text(p->e, "state_after"), sizeof(s->state));
}

static void take_abort(struct pass *p)
{
    struct study *s = find_study(p);

    if (!s)
        return;
    if (strcmp(p->e->key, p->owner) != 0 && strcmp(p->e->by, s->sponsor) != 0)
        FIND(p, LEAF_SIGNER, "'%s' cannot end '%s': it is the study of '%s'", p->e->by, s->name, s->sponsor);
    if (ym_entry_bool(p->e, "final"))
        s->ended = true;
    s->open = false;
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;

    p->i = i;
    p->e = e;
    switch (p->e->type) {
    case YM_ENTRY_PLAN:
        take_plan(p);
        break;
    case YM_ENTRY_REVOKE:
        take_revoke(p);
        break;
    case YM_ENTRY_APPROVAL:
        take_decision(p, true);
        break;
    case YM_ENTRY_VETO:
        take_decision(p, false);
        break;
    case YM_ENTRY_ROUND_OPEN:
        take_open(p);
        break;
    case YM_ENTRY_CHARGE:
        take_charge(p);
        break;
    case YM_ENTRY_RELEASE:
        take_release(p);
        break;
    case YM_ENTRY_ROUND_RESULT:
        take_result(p);
        break;
    case YM_ENTRY_ABORT:
        take_abort(p);
        break;
    default:
        break;
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

    free(p->study);
    free(p);
}

const struct ym_rule ym_rule_hub = {begin, take, end};

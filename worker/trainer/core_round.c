#include "worker/trainer/core_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"

/* ---- rounds ---- */

static enum ym_code read_attempt(const json_t *o, struct ym_attempt *at, struct ym_status *st)
{
    int64_t round, attempt;
    enum ym_code code = ym_core_get_name(o, "study", at->study, st);

    if (code == YM_OK)
        code = ym_json_get_int(o, "round", 1, 1000000, &round, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "attempt", 1, YM_CORE_MAX_ATTEMPT, &attempt, st);
    if (code != YM_OK)
        return code;
    at->round = (uint32_t)round;
    at->attempt = (uint32_t)attempt;
    return YM_OK;
}

/* A task of the hub, or nothing: what carries another signature is declined by
 * its own words as far as they can be read. */
static enum ym_code open_task(struct ym_core *c, struct ym_bytes line, const char *type, json_t **out,
                              struct ym_attempt *at, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    enum ym_code code;

    if (!c->trusted)
        return ym_status_set(st, YM_DENIED, "this hospital is not enrolled");
    code = ym_leaf_open(line, c->hub_key, type, out, st);
    if (code == YM_OK) {
        code = read_attempt(*out, at, st);
        if (code != YM_OK) {
            json_decref(*out);
            *out = NULL;
        }
        return code;
    }
    if (ym_leaf_parse(line, &o, NULL) == YM_OK && read_attempt(o, at, NULL) == YM_OK)
        ym_core_decline(a, NULL, at, "bad_signature");
    json_decref(o);
    return code;
}

static bool in_roster(const struct ym_core *c, const json_t *o)
{
    const json_t *roster = json_object_get(o, "roster"), *item;
    size_t i;

    json_array_foreach(roster, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), c->name) == 0)
            return true;
    }
    return false;
}

static int compare_attempts(uint32_t round, uint32_t attempt, uint32_t other_round, uint32_t other_attempt)
{
    if (round != other_round)
        return round < other_round ? -1 : 1;
    return attempt == other_attempt ? 0 : attempt < other_attempt ? -1 : 1;
}

/* What the hospital has decided about the study. NULL: go on. */
static const char *decided_no(const struct ym_core *c, const struct ym_core_study *s)
{
    const struct ym_core_dataset *d;

    if (!s || !s->plan || s->decision == YM_UNDECIDED || c->min_patients < 0)
        return "not_approved";
    if (s->decision == YM_VETOED)
        return "vetoed";
    if (s->paused)
        return "paused";
    if (s->closed)
        return "stale";
    d = ym_core_dataset_find(c, s->dataset);
    if (!d || memcmp(d->data, s->data, sizeof d->data) != 0)
        return "no_data";
    return NULL;
}

static const char *policy_no(enum ym_code code)
{
    return code == YM_OK ? NULL : code == YM_EXHAUSTED ? "budget" : code == YM_UNAVAILABLE ? "hours" : "policy";
}

const char *ym_core_border_no(enum ym_code code)
{
    return code == YM_OK ? NULL : code == YM_DENIED ? "border" : "no_data";
}

/* Everything that must hold before a charge. NULL: go on. */
static const char *refusal(struct ym_core *c, struct ym_core_study *s, uint32_t round,
                           const uint8_t state[YM_HASH_BYTES], struct ym_status *st)
{
    const struct ym_core_world *w = &c->world;
    const char *no = decided_no(c, s);

    if (no)
        return no;
    if (!w->sandboxed(w->ctx))
        return "sandbox";
    if (w->log(w->ctx, s->study, round, 0) == YM_CORE_LOG_HALTED)
        return "recover";
    if (!w->data(w->ctx, s->dataset))
        return "no_data";
    if (!w->state(w->ctx, state))
        return "state_mismatch";
    if (round == s->charged_round && s->round_charges >= s->plan->max_attempts) /* all that was approved */
        return "budget";
    if (w->budget(w->ctx, s->plan, s->dataset, round, st) != YM_OK)
        return "budget";
    no = ym_core_border_no(w->border(w->ctx, s->plan, s->dataset, st));
    if (no)
        return no;
    no = policy_no(w->policy(w->ctx, s->plan, round, st));
    if (no)
        return no;
    return w->disk(w->ctx, s->plan) ? NULL : "disk";
}

void ym_core_drop_release(struct ym_actions *a, struct ym_core_study *s)
{
    if (s->release_line.len == 0 || s->release_over)
        return;
    s->release_over = true;
    ym_action_push(a, YM_ACTION_DROP, s);
}

void ym_core_resend(struct ym_actions *a, struct ym_core_study *s)
{
    if (s->release_line.len != 0 && !s->release_over)
        ym_action_push(a, YM_ACTION_RESEND, s);
}

static bool training(const struct ym_core_study *s, const struct ym_attempt *at)
{
    return s->phase == YM_STUDY_TRAINING && s->round == at->round && s->attempt == at->attempt;
}

/* An attempt that was charged already: re-send what is finished, never again. */
static void charged_again(struct ym_actions *a, struct ym_core_study *s, const struct ym_attempt *at,
                          const uint8_t state[YM_HASH_BYTES])
{
    if (training(s, at))
        return;
    if (state && memcmp(state, s->charged_state, YM_HASH_BYTES) != 0)
        ym_core_decline(a, s, at, "state_mismatch");
    else if (s->release_line.len == 0)
        ym_core_decline(a, s, at, "crashed");
    else if (s->release_over)
        ym_core_decline(a, s, at, s->decision == YM_VETOED ? "vetoed" : "stale");
    else
        ym_core_resend(a, s);
}

static void open_attempt(struct ym_actions *a, struct ym_core_study *s, const struct ym_attempt *at,
                         const uint8_t state[YM_HASH_BYTES])
{
    ym_core_drop_release(a, s); /* a newer attempt is open: the older one is over */
    s->round = at->round;
    s->attempt = at->attempt;
    memcpy(s->state, state, YM_HASH_BYTES);
    s->phase = YM_STUDY_PREPARING;
    s->collect_wanted = s->prepared = false;
    s->last_reason[0] = 0;
    ym_action_push(a, YM_ACTION_PREPARE, s);
}

static void follow_round(struct ym_core *c, struct ym_core_study *s, const struct ym_attempt *at,
                         const uint8_t state[YM_HASH_BYTES], struct ym_actions *a, struct ym_status *st)
{
    const char *no = decided_no(c, s);
    int to_charged, to_open;

    if (no) {
        ym_core_decline(a, s, at, no);
        return;
    }
    to_charged = compare_attempts(at->round, at->attempt, s->charged_round, s->charged_attempt);
    to_open = compare_attempts(at->round, at->attempt, s->round, s->attempt);
    if (to_charged == 0) {
        charged_again(a, s, at, state);
    } else if (to_charged < 0 || to_open < 0 || at->round > s->plan->rounds) {
        ym_core_decline(a, s, at, "stale");
    } else if (to_open == 0 && s->phase != YM_STUDY_IDLE) {
        if (memcmp(state, s->state, YM_HASH_BYTES) != 0)
            ym_core_decline(a, s, at, "state_mismatch");
        else if (s->phase == YM_STUDY_READY)
            ym_core_say_ready(a, s);
    } else {
        no = refusal(c, s, at->round, state, st);
        if (no)
            ym_core_decline(a, s, at, no);
        else
            open_attempt(a, s, at, state);
    }
}

enum ym_code ym_core_round(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct ym_attempt at;
    uint8_t plan[YM_HASH_BYTES], state[YM_HASH_BYTES];
    struct ym_core_study *s;
    enum ym_code code = open_task(c, line, "round_open", &o, &at, a, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "plan", plan, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", state, st);
    if (code == YM_OK && in_roster(c, o)) {
        s = ym_core_by_hash(c, plan);
        if (s && strcmp(s->study, at.study) != 0)
            s = NULL;
        follow_round(c, s, &at, state, a, st);
    }
    json_decref(o);
    return code;
}

static bool may_charge(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st)
{
    const char *no = refusal(c, s, s->round, s->state, st);

    if (!no && c->world.log(c->world.ctx, s->study, s->round, s->attempt) != YM_CORE_LOG_SEEN)
        no = "recover";
    if (!no && c->world.now(c->world.ctx) > s->collect_by + YM_CORE_CLOCK_SKEW_S)
        no = "stale";
    if (no) {
        s->phase = YM_STUDY_IDLE;
        ym_core_decline_current(a, s, s->round, s->attempt, no);
    }
    return !no;
}

static void begin_charge(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st)
{
    if (!may_charge(c, s, a, st))
        return;
    s->phase = YM_STUDY_TRAINING;
    ym_action_push(a, YM_ACTION_CHARGE, s);
}

/* A trainer that restarted after saying ready hears only the collect task: the
 * hub's signature on it covers the state, so it opens the attempt as well. */
static void open_by_collect(struct ym_core *c, struct ym_core_study *s, const struct ym_attempt *at,
                            const uint8_t state[YM_HASH_BYTES], struct ym_actions *a, struct ym_status *st)
{
    const char *no = refusal(c, s, at->round, state, st);

    if (no) {
        ym_core_decline(a, s, at, no);
        return;
    }
    open_attempt(a, s, at, state);
    s->collect_wanted = true;
}

static void follow_collect(struct ym_core *c, struct ym_core_study *s, const struct ym_attempt *at,
                           const uint8_t state[YM_HASH_BYTES], int64_t collect_by, struct ym_actions *a,
                           struct ym_status *st)
{
    int to_charged = compare_attempts(at->round, at->attempt, s->charged_round, s->charged_attempt);
    int to_open = compare_attempts(at->round, at->attempt, s->round, s->attempt);

    if (to_charged == 0) {
        charged_again(a, s, at, state);
    } else if (to_charged < 0 || to_open < 0 || at->round > s->plan->rounds ||
               (to_open == 0 && s->phase == YM_STUDY_IDLE)) {
        ym_core_decline(a, s, at, "stale");
    } else if (to_open > 0) {
        s->collect_by = collect_by;
        open_by_collect(c, s, at, state, a, st);
    } else if (memcmp(state, s->state, YM_HASH_BYTES) != 0) {
        ym_core_decline(a, s, at, "state_mismatch");
    } else if (s->phase == YM_STUDY_PREPARING) {
        s->collect_by = collect_by;
        s->collect_wanted = true;
    } else if (s->phase == YM_STUDY_READY) {
        s->collect_by = collect_by;
        begin_charge(c, s, a, st);
    }
}

enum ym_code ym_core_collect(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct ym_attempt at;
    uint8_t state[YM_HASH_BYTES];
    int64_t collect_by;
    struct ym_core_study *s;
    enum ym_code code = open_task(c, line, "say_collect", &o, &at, a, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", state, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "collect_by", 0, INT64_MAX / 2, &collect_by, st);
    if (code == YM_OK && in_roster(c, o)) {
        s = ym_core_open_named(c, at.study);
        if (s && s->plan)
            follow_collect(c, s, &at, state, collect_by, a, st);
        else
            ym_core_decline(a, NULL, &at, "not_approved");
    }
    json_decref(o);
    return code;
}

/* ---- endings ---- */

static enum ym_code open_closing(struct ym_core *c, struct ym_bytes line, json_t **out, struct ym_core_study **study,
                                 struct ym_status *st)
{
    json_t *o = NULL;
    const char *type = "", *name = "";
    enum ym_code code = ym_leaf_parse(line, &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "type", &type, st);
    if (code == YM_OK && strcmp(type, "round_result") != 0 && strcmp(type, "abort") != 0)
        code = ym_status_set(st, YM_INVALID, "a leaf of type \"%s\" ends nothing", type);
    if (code == YM_OK)
        code = ym_json_get_str(o, "study", &name, st);
    if (code == YM_OK && !(*study = ym_core_open_named(c, name)))
        code = ym_status_set(st, YM_NOT_FOUND, "no open study \"%s\"", name);
    if (code == YM_OK) {
        code = ym_leaf_open(line, c->hub_key, type, out, st);
        if (code != YM_OK && strcmp(type, "abort") == 0 && (*study)->plan) /* the sponsor cancels */
            code = ym_leaf_open(line, (*study)->sponsor_key, "abort", out, st);
    }
    json_decref(o);
    return code;
}

static void end_attempt(struct ym_actions *a, struct ym_core_study *s, uint32_t round, uint32_t attempt)
{
    if (compare_attempts(s->charged_round, s->charged_attempt, round, attempt) <= 0)
        ym_core_drop_release(a, s);
    if (s->phase == YM_STUDY_IDLE || compare_attempts(s->round, s->attempt, round, attempt) > 0)
        return;
    s->phase = YM_STUDY_IDLE; /* what still trains for it is discarded when it ends */
}

enum ym_code ym_core_closed(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct ym_core_study *s = NULL;
    struct ym_action *close;
    uint32_t round = 0, attempt = 0;
    enum ym_code code =
        c->trusted ? open_closing(c, line, &o, &s, st) : ym_status_set(st, YM_DENIED, "this hospital is not enrolled");
    bool final;

    if (code == YM_OK)
        code = ym_core_get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = ym_core_get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK) {
        final = json_is_true(json_object_get(o, "last")) || json_is_true(json_object_get(o, "final"));
        if (final)
            round = attempt = UINT32_MAX;
        end_attempt(a, s, round, attempt);
        if (final) {
            s->closed = true;
            close = ym_action_push(a, YM_ACTION_CLOSE, s);
            if (!close || ym_buf_append(&close->line, line.data, line.len) != YM_OK)
                a->failed = true;
        }
    }
    json_decref(o);
    return code;
}

/* ---- how actions went ---- */

static bool current(const struct ym_core_study *s, enum ym_study_phase phase, uint32_t round, uint32_t attempt)
{
    return s->phase == phase && s->round == round && s->attempt == attempt;
}

/* Ready means compared: the hub's log up to the round_open of this very attempt, so
 * that it tells of every charge that the hub heard of before it asked again. */
static void prepared(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a)
{
    enum ym_core_log log = c->world.log(c->world.ctx, s->study, s->round, s->attempt);

    if (log == YM_CORE_LOG_WAIT)
        return;
    if (log == YM_CORE_LOG_HALTED) {
        s->phase = YM_STUDY_IDLE;
        ym_core_decline_current(a, s, s->round, s->attempt, "recover");
        return;
    }
    s->phase = YM_STUDY_READY;
    if (s->collect_wanted)
        begin_charge(c, s, a, NULL);
    else
        ym_core_say_ready(a, s);
}

void ym_core_log_seen(struct ym_core *c, struct ym_actions *a)
{
    for (size_t i = 0; i < c->study_count; i++)
        if (c->study[i]->phase == YM_STUDY_PREPARING && c->study[i]->prepared)
            prepared(c, c->study[i], a);
}

void ym_core_prepared(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                      struct ym_actions *a)
{
    if (!current(s, YM_STUDY_PREPARING, round, attempt))
        return;
    if (!reason)
        reason = decided_no(c, s);
    if (reason) {
        s->phase = YM_STUDY_IDLE;
        ym_core_decline_current(a, s, round, attempt, reason);
        return;
    }
    s->prepared = true;
    prepared(c, s, a);
}

bool ym_core_still_charges(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt,
                           struct ym_actions *a)
{
    return current(s, YM_STUDY_TRAINING, round, attempt) && may_charge(c, s, a, NULL);
}

void ym_core_charge_refused(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a)
{
    (void)c;
    s->phase = YM_STUDY_IDLE;
    ym_core_decline_current(a, s, s->round, s->attempt, reason);
}

static void push_at(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s, uint32_t round,
                    uint32_t attempt)
{
    struct ym_action *item = ym_action_push(a, kind, s);

    if (!item)
        return;
    item->round = round;
    item->attempt = attempt;
}

void ym_core_trained(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                     struct ym_actions *a)
{
    bool wanted = current(s, YM_STUDY_TRAINING, round, attempt);

    if (!reason)
        reason = decided_no(c, s);
    if (wanted && !reason) {
        push_at(a, YM_ACTION_RELEASE, s, round, attempt);
        return;
    }
    push_at(a, YM_ACTION_DISCARD, s, round, attempt);
    if (!wanted)
        return; /* the hub has gone on */
    s->phase = YM_STUDY_IDLE;
    ym_core_decline_current(a, s, round, attempt, reason);
}

void ym_core_released(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a)
{
    (void)c;
    s->phase = YM_STUDY_IDLE;
    if (reason)
        ym_core_decline_current(a, s, s->round, s->attempt, reason);
}

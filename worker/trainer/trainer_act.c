#include "worker/trainer/trainer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "models/model.h"

enum { ACTION_ROUNDS = 64 };

void ym_trainer_fatal(struct ym_trainer *t, enum ym_code code, const struct ym_status *st)
{
    if (t->fatal != YM_OK)
        return;
    t->fatal = code;
    t->fatal_st = *st;
    t->stop = true;
}

/* ---- the ledger ---- */

enum ym_code ym_trainer_sign(struct ym_trainer *t, const char *type, const json_t *members, struct ym_buf *line,
                             struct ym_status *st)
{
    return ym_leaf_sign(type, members, t->site.name, ym_clock_unix(), t->key, line, st);
}

/* Doubt about what is on the disk ends the process: it starts again from there. */
static enum ym_code note_append(struct ym_trainer *t, enum ym_code code, struct ym_status *st)
{
    if (code == YM_UNCERTAIN || code == YM_CORRUPT)
        ym_trainer_fatal(t, code, st);
    return code;
}

enum ym_code ym_trainer_take(struct ym_trainer *t, uint64_t index, struct ym_bytes line, struct ym_status *st)
{
    json_t *o = NULL;
    enum ym_code code = ym_core_take(t->core, index, line, st);

    if (code == YM_OK)
        code = ym_leaf_parse(line, &o, st);
    if (code == YM_OK)
        code = ym_border_take(t->border, o, line, st);
    if (code == YM_OK)
        ym_trainer_policy_take(t, o);
    if (code == YM_OK)
        ym_trainer_infer_take(t, o);
    if (code == YM_OK)
        code = ym_offices_take(&t->offices, o, st);
    if (code == YM_OK)
        code = ym_withdrawn_take(t->withdrawn, o, st);
    if (code == YM_OK)
        code = ym_us_take(t->us, o, st);
    json_decref(o);
    return code;
}

enum ym_code ym_trainer_record(struct ym_trainer *t, struct ym_bytes line, bool post, struct ym_status *st)
{
    uint64_t index;
    enum ym_code code = note_append(t, ym_door_append(t->door, line, &index, st), st);

    if (code == YM_OK)
        code = note_append(t, ym_trainer_take(t, index, line, st), st);
    if (code == YM_OK && post && ym_door_control(t->door, line, st) != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.post", "why=\"%s\"", st->message); /* recorded; given again at the next pair */
    return code;
}

static enum ym_code data_path(const struct ym_trainer *t, const char *dataset, const char *suffix,
                              char out[YM_SITE_PATH])
{
    char name[80];

    snprintf(name, sizeof name, "%s%s", dataset, suffix);
    return ym_site_path(&t->site, "data", name, out);
}

enum ym_code ym_trainer_data_path(const struct ym_trainer *t, const char *dataset, char out[YM_SITE_PATH])
{
    return data_path(t, dataset, ".frozen", out);
}

enum ym_code ym_trainer_people_path(const struct ym_trainer *t, const char *dataset, char out[YM_SITE_PATH])
{
    return data_path(t, dataset, ".people", out);
}

/* ---- actions ---- */

struct stored {
    struct ym_trainer *t;
    struct ym_status *st;
    enum ym_code code;
};

static bool post_first(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct stored *s = ctx;

    (void)index;
    s->code = ym_door_control(s->t->door, leaf, s->st);
    return false;
}

static enum ym_code post_stored(struct ym_trainer *t, uint64_t index, struct ym_status *st)
{
    struct stored s = {t, st, YM_OK};
    enum ym_code code = ym_ledger_each(t->ledger, index, post_first, &s, st);

    return code == YM_OK ? s.code : code;
}

static enum ym_code act_say(struct ym_trainer *t, const struct ym_action *a, struct ym_status *st)
{
    struct ym_buf line = {0};
    enum ym_code code = ym_trainer_sign(t, a->type, a->members, &line, st);

    if (code == YM_OK)
        code = a->kind == YM_ACTION_RECORD ? ym_trainer_record(t, ym_buf_bytes(&line), true, st)
                                           : ym_door_control(t->door, ym_buf_bytes(&line), st);
    if (code == YM_OK)
        ym_log(YM_LOG_INFO, "trainer.say", "type=%s study=%s round=%u attempt=%u", a->type,
               a->study ? a->study->study : "-", a->round, a->attempt);
    ym_buf_release(&line);
    return code;
}

static enum ym_code act_log(struct ym_trainer *t, const struct ym_action *a, struct ym_status *st)
{
    uint64_t index;

    if (ym_ledger_find(t->ledger, ym_buf_bytes(&a->line), &index) == YM_OK)
        return YM_OK;
    return ym_trainer_record(t, ym_buf_bytes(&a->line), false, st);
}

bool ym_trainer_needs_last(const struct ym_core_study *s)
{
    return s->plan && s->plan->scaffold && !s->closed && s->decision != YM_VETOED && s->last_charge.len > 0;
}

/* A release that is over stays where the next round of its own study begins from it. */
static void act_drop(struct ym_trainer *t, const struct ym_core_study *s)
{
    struct ym_bytes charge = ym_buf_bytes(&s->charge_line), last = ym_buf_bytes(&s->last_charge);

    ym_door_drop(t->door, charge,
                 ym_trainer_needs_last(s) && charge.len == last.len && memcmp(charge.data, last.data, last.len) == 0);
}

static enum ym_code last_release(const struct ym_trainer *t, const struct ym_core_study *s, struct ym_job *j)
{
    if (!ym_trainer_needs_last(s))
        return YM_OK;
    memcpy(j->last, s->last_update, sizeof j->last);
    return ym_door_path(t->door, ym_buf_bytes(&s->last_charge), j->last_path);
}

static struct ym_job *job_for(struct ym_trainer *t, const struct ym_action *a, enum ym_job_kind kind)
{
    struct ym_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    j->kind = kind;
    j->plan = a->study->plan;
    j->study = a->study;
    j->round = a->round;
    j->attempt = a->attempt;
    memcpy(j->salt, t->salt, sizeof j->salt);
    memcpy(j->data, a->study->data, sizeof j->data);
    memcpy(j->state, a->study->state, sizeof j->state);
    j->min_patients = ym_core_min_patients(t->core);
    j->limits = ym_trainer_policy_limits(t);
    if (last_release(t, a->study, j) != YM_OK || ym_trainer_data_path(t, a->study->dataset, j->data_path) != YM_OK ||
        ym_trainer_consent(t, j->plan, a->study->dataset, &j->need, NULL) != YM_OK ||
        ym_cohort_union(ym_withdrawn_of(t->withdrawn, a->study->dataset), &(struct ym_cohort){0}, &j->gone, NULL) !=
            YM_OK ||
        ym_trainer_people_path(t, a->study->dataset, j->people_path) != YM_OK ||
        ym_site_hash_path(&t->site, "objects", j->state, ".state", j->state_path) != YM_OK)
        ym_job_free(&j);
    return j;
}

static void act_prepare(struct ym_trainer *t, const struct ym_action *a, struct ym_actions *more)
{
    struct ym_job *j = job_for(t, a, YM_JOB_PREPARE);

    ym_trainer_sweep_objects(t);
    if (!j || ym_work_push(t->work, &j, NULL) != YM_OK)
        ym_core_prepared(t->core, a->study, a->round, a->attempt, "busy", more);
    ym_job_free(&j);
}

/* Asked before the charge, so that what fails in it is the disk, and nothing after it. */
static enum ym_code can_charge(struct ym_trainer *t, const struct ym_door_request *r, const char **reason,
                               struct ym_status *st)
{
    int64_t alone, after;
    enum ym_code code = ym_door_may_charge(t->door, r->plan, r->dataset, r->round, r->now, &alone, &after, st);

    if (code != YM_OK) {
        *reason = "budget";
        return code;
    }
    code = ym_trainer_policy_open(t, r->now, st); /* the time that the charge will say */
    if (code != YM_OK) {
        *reason = "hours";
        return YM_UNAVAILABLE;
    }
    if (ym_work_full(t->work)) {
        *reason = "busy";
        return ym_status_set(st, YM_EXHAUSTED, "%d jobs wait already", YM_WORK_QUEUE);
    }
    *reason = "disk";
    if (!ym_trainer_disk_ok(t, 8 * (uint64_t)r->dim))
        return ym_status_set(st, YM_EXHAUSTED, "the disk is too full for a release; free some space");
    return YM_OK;
}

/* US persons, on disk before the charge. */
static enum ym_code keep_us(struct ym_trainer *t, const struct ym_core_study *s, const struct ym_card *card,
                            const struct ym_door_request *r, json_t **us, struct ym_status *st)
{
    struct ym_us_transfer transfer;
    const struct ym_us_charge c = {.transfer = &transfer,
                                   .study = s->study,
                                   .round = r->round,
                                   .attempt = r->attempt,
                                   .until = r->until,
                                   .cohort = r->cohort};

    if (!r->cohort || !ym_us_transfer_of(s->plan, card, &transfer))
        return YM_OK;
    return ym_us_keep(t->us, &c, us, st);
}

/* The exporter, from the card as it is now, and whom the round uses. *us: new, or NULL. */
static enum ym_code whose_data(struct ym_trainer *t, struct ym_core_study *s, struct ym_door_request *r,
                               uint8_t exporter[YM_HASH_BYTES], json_t **us, struct ym_status *st)
{
    struct ym_card *card = NULL;
    enum ym_code code = ym_site_card(&t->site, s->dataset, &card, st);

    r->cohort = ym_trainer_cohort(t, s->plan, s->dataset);
    r->decision = ym_border_decision(t->border, s->plan, s->dataset);
    if (code == YM_OK)
        code = keep_us(t, s, card, r, us, st);
    if (code == YM_OK)
        ym_exporter_of(card, exporter);
    ym_card_free(card);
    r->exporter = exporter;
    r->us = *us;
    return code;
}

/* The charge that was just written, into all that follows the ledger. */
static enum ym_code take_charge(struct ym_trainer *t, struct ym_bytes line, int64_t now, struct ym_status *st)
{
    json_t *o = NULL;
    enum ym_code code = ym_core_take(t->core, ym_ledger_size(t->ledger) - 1, line, st);

    if (code == YM_OK)
        code = ym_leaf_parse(line, &o, st);
    if (code == YM_OK)
        code = ym_us_take(t->us, o, st);
    if (code == YM_OK)
        ym_us_sweep(t->us, now);
    json_decref(o);
    return code;
}

static enum ym_code charge(struct ym_trainer *t, const struct ym_action *a, const char **reason, struct ym_status *st)
{
    struct ym_core_study *s = a->study;
    uint8_t exporter[YM_HASH_BYTES];
    struct ym_model m;
    struct ym_buf line = {0};
    json_t *us = NULL;
    struct ym_door_request r = {.plan = s->plan,
                                .dataset = s->dataset,
                                .data = s->data,
                                .state = s->state,
                                .round = a->round,
                                .attempt = a->attempt,
                                .now = ym_clock_unix()};
    enum ym_code code = ym_model_from_plan(s->plan, &m, st);

    r.until = r.now + s->plan->collect_ms / 1000 + 1 + YM_CORE_CLOCK_SKEW_S;

    if (code == YM_OK) {
        r.dim = ym_model_update_dim(&m);
        code = can_charge(t, &r, reason, st);
    }
    if (code == YM_OK)
        code = note_append(t, ym_trainer_decide(t, s->plan, s->dataset, st), st);
    if (code == YM_DENIED)
        *reason = "border";
    else if (code == YM_INVALID || code == YM_NOT_FOUND) /* the card */
        *reason = "no_data";
    if (code == YM_OK)
        code = whose_data(t, s, &r, exporter, &us, st);
    if (code == YM_OK)
        code = note_append(t, ym_door_charge(t->door, &r, &t->charged, &line, st), st);
    if (code == YM_CONFLICT)
        *reason = "stale";
    if (code == YM_OK)
        code = note_append(t, take_charge(t, ym_buf_bytes(&line), r.now, st), st);
    json_decref(us);
    ym_buf_release(&line);
    return code;
}

/* One update is in the making at a time; other studies' charges wait their turn. */
static void act_charge(struct ym_trainer *t, struct ym_action *a, struct ym_actions *more)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *reason = "crashed";
    struct ym_job *j = job_for(t, a, YM_JOB_TRAIN);
    enum ym_code code = j ? charge(t, a, &reason, &st) : ym_status_set(&st, YM_EXHAUSTED, "no memory");

    if (code == YM_OK) {
        j->update = ym_charged_update(t->charged);
        code = ym_work_push(t->work, &j, &st);
        if (code != YM_OK)
            ym_charged_free(&t->charged);
    }
    if (code != YM_OK) {
        ym_log(YM_LOG_WARN, "trainer.no_charge", "study=%s round=%u attempt=%u why=\"%s\"", a->study->study, a->round,
               a->attempt, st.message);
        if (t->fatal == YM_OK)
            ym_core_charge_refused(t->core, a->study, reason, more);
    }
    ym_job_free(&j);
}

static void wait_for_thread(struct ym_trainer *t, const struct ym_action *a, struct ym_actions *more)
{
    struct ym_actions *p = &t->pending;
    struct ym_action *grown = reallocarray(p->item, p->count + 1, sizeof *p->item);

    if (!grown) {
        more->failed = true;
        return;
    }
    p->item = grown;
    p->item[p->count++] = *a;
}

static enum ym_code release(struct ym_trainer *t, struct ym_release **out, struct ym_status *st)
{
    struct ym_buf line = {0};
    enum ym_code code = ym_door_store(t->door, t->charged, st);

    if (code == YM_OK)
        code = note_append(t, ym_door_seal(t->door, &t->charged, ym_clock_unix(), out, &line, st), st);
    if (code == YM_OK)
        code = note_append(t, ym_core_take(t->core, ym_ledger_size(t->ledger) - 1, ym_buf_bytes(&line), st), st);
    ym_buf_release(&line);
    return code;
}

/* The release before the one that was just made: scaffold kept it. */
static void forget(struct ym_trainer *t, struct ym_buf *charge)
{
    if (charge->len > 0)
        ym_door_drop(t->door, ym_buf_bytes(charge), false);
    ym_buf_release(charge);
}

static void act_release(struct ym_trainer *t, const struct ym_action *a, struct ym_actions *more)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_release *r = NULL;
    struct ym_buf before = a->study->last_charge;
    enum ym_code code;

    memset(&a->study->last_charge, 0, sizeof before);
    code = release(t, &r, &st);
    if (a->study->last_charge.len == 0)
        a->study->last_charge = before; /* nothing was released */
    else
        forget(t, &before);
    if (code == YM_OK)
        code = ym_door_send(t->door, &r, &st);
    ym_release_free(&r);
    ym_charged_free(&t->charged);
    if (t->fatal != YM_OK)
        return;
    if (code != YM_OK)
        ym_log(YM_LOG_ERROR, "trainer.no_release", "study=%s round=%u why=\"%s\"", a->study->study, a->round,
               st.message);
    else
        ym_log(YM_LOG_INFO, "trainer.release", "study=%s round=%u attempt=%u", a->study->study, a->round, a->attempt);
    ym_core_released(t->core, a->study, code == YM_OK ? NULL : code == YM_EXHAUSTED ? "disk" : "crashed", more);
}

static void act_resend(struct ym_trainer *t, const struct ym_action *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_release *r = NULL;
    struct ym_core_study *s = a->study;
    enum ym_code code =
        ym_door_recover(t->door, ym_buf_bytes(&s->charge_line), ym_buf_bytes(&s->release_line), &r, &st);

    if (code == YM_OK)
        code = ym_door_send(t->door, &r, &st);
    ym_release_free(&r);
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.no_resend", "study=%s round=%u why=\"%s\"", s->study, s->charged_round,
               st.message);
}

static void act_close(struct ym_trainer *t, const struct ym_action *a, struct ym_status *st)
{
    struct ym_job *job = calloc(1, sizeof *job);

    if (ym_trainer_close_plan(t, a->study, ym_buf_bytes(&a->line), st) != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.close", "study=%s why=\"%s\"", a->study->study, st->message);
    ym_trainer_sweep_objects(t);
    forget(t, &a->study->last_charge);
    if (job) {
        job->kind = YM_JOB_FORGET;
        ym_work_push(t->work, &job, NULL);
        ym_job_free(&job);
    }
}

static void act_one(struct ym_trainer *t, struct ym_action *a, struct ym_actions *more)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = YM_OK;

    switch (a->kind) {
    case YM_ACTION_KEEP_PLAN:
        code = ym_trainer_keep_plan(t, a->study, ym_buf_bytes(&a->line), &st);
        break;
    case YM_ACTION_LOG:
        code = act_log(t, a, &st);
        break;
    case YM_ACTION_RECORD:
    case YM_ACTION_SAY:
        code = act_say(t, a, &st);
        break;
    case YM_ACTION_REPOST:
        code = post_stored(t, a->index, &st);
        break;
    case YM_ACTION_PREPARE:
        act_prepare(t, a, more);
        break;
    case YM_ACTION_CHARGE:
        if (t->charged)
            wait_for_thread(t, a, more);
        else
            act_charge(t, a, more);
        break;
    case YM_ACTION_RELEASE:
        act_release(t, a, more);
        break;
    case YM_ACTION_DISCARD:
        ym_charged_free(&t->charged);
        break;
    case YM_ACTION_RESEND:
        act_resend(t, a);
        break;
    case YM_ACTION_DROP:
        act_drop(t, a->study);
        break;
    case YM_ACTION_CLOSE:
        act_close(t, a, &st);
        break;
    }
    if (code != YM_OK)
        ym_log(YM_LOG_ERROR, "trainer.action", "kind=%d study=%s why=\"%s\"", (int)a->kind,
               a->study ? a->study->study : "-", st.message);
}

static void act_batch(struct ym_trainer *t, struct ym_actions *a, struct ym_actions *more)
{
    struct ym_status st = YM_STATUS_INIT;

    if (a->failed) {
        ym_status_set(&st, YM_EXHAUSTED, "memory is exhausted");
        ym_trainer_fatal(t, YM_EXHAUSTED, &st);
    }
    for (size_t i = 0; i < a->count && t->fatal == YM_OK; i++)
        act_one(t, &a->item[i], more);
    ym_actions_release(a);
}

void ym_trainer_act(struct ym_trainer *t, struct ym_actions *a)
{
    struct ym_actions batch = *a, more = {0};

    memset(a, 0, sizeof *a);
    for (int i = 0; (batch.count > 0 || batch.failed) && i < ACTION_ROUNDS; i++) {
        act_batch(t, &batch, &more);
        batch = more;
        memset(&more, 0, sizeof more);
    }
    ym_actions_release(&batch);
}

/* ---- jobs ---- */

static void start_waiting_charge(struct ym_trainer *t, struct ym_actions *a)
{
    while (!t->charged && t->pending.count > 0) {
        struct ym_action next = t->pending.item[0];

        memmove(t->pending.item, t->pending.item + 1, --t->pending.count * sizeof next);
        if (ym_core_still_charges(t->core, next.study, next.round, next.attempt, a))
            act_charge(t, &next, a);
    }
}

/* What a charge counts is whom the table used; a table that uses others by the time of the training does not train. */
static void trust_cohort(struct ym_trainer *t, struct ym_job *j)
{
    const struct ym_cohort *charged;
    struct ym_status st = YM_STATUS_INIT;

    if (j->reason || !j->plan)
        return;
    if (j->kind != YM_JOB_TRAIN) {
        ym_trainer_know_cohort(t, j);
        if (j->kind == YM_JOB_PREPARE)
            j->reason = ym_core_border_no(ym_trainer_may_cross(t, j->plan, j->study->dataset, &st));
        return;
    }
    charged = ym_trainer_cohort(t, j->plan, j->study->dataset);
    if (!charged || !ym_cohort_within(&j->cohort, charged))
        j->reason = "crashed";
}

void ym_trainer_finish(struct ym_trainer *t, struct ym_job *j)
{
    struct ym_actions a = {0};

    if (j->reason && j->kind != YM_JOB_CHECK)
        ym_log(YM_LOG_WARN, "trainer.job", "study=%s round=%u reason=%s why=\"%s\"", j->study->study, j->round,
               j->reason, j->st.message);
    trust_cohort(t, j);
    if (j->kind == YM_JOB_PREPARE)
        ym_core_prepared(t->core, j->study, j->round, j->attempt, j->reason, &a);
    else if (j->kind == YM_JOB_TRAIN)
        ym_core_trained(t->core, j->study, j->round, j->attempt, j->reason, &a);
    else if (j->kind == YM_JOB_CHECK)
        ym_trainer_checked(t, j);
    ym_trainer_act(t, &a);
    start_waiting_charge(t, &a);
    ym_trainer_act(t, &a);
}

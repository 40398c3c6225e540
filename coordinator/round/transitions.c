#include "coordinator/round/round_internal.h"

#include <stdio.h>
#include <string.h>

#define FIRST_RETRY_MS 1000
#define LONGEST_RETRY_MS 30000

/* ---- small setters; every change passes one of them ---- */

void ym_step_keep_reason(char *to, const char *reason)
{
    snprintf(to, YM_ROUND_REASON, "%s", reason);
}

void ym_step_set_phase(struct step *s, enum ym_round_phase phase, const char *reason)
{
    s->r->phase = phase;
    s->r->changed_s = s->now.wall_s;
    s->r->wake_ms = 0;
    ym_step_keep_reason(s->r->reason, reason);
    s->out->durable = s->out->changed = true;
}

void ym_step_set_part(struct step *s, size_t i, enum ym_round_part part, const char *reason)
{
    struct ym_round_site *site = &s->r->site[i];

    site->part = part;
    site->since_s = s->now.wall_s;
    ym_step_keep_reason(site->reason, reason);
    s->out->durable = s->out->changed = true;
}

void ym_step_wake_after(struct step *s, int64_t ms)
{
    s->r->wake_ms = s->now.mono_ms + ms;
}

struct ym_round_action *ym_step_act(struct step *s, enum ym_round_action_kind kind)
{
    struct ym_round_action *a = &s->out->action[s->out->count];

    YM_ASSERT(s->out->count < YM_ROUND_MAX_ACTIONS);
    s->out->count++;
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->round = s->r->round;
    a->attempt = s->r->attempt;
    return a;
}

void ym_step_send(struct step *s, size_t site, enum ym_round_task task)
{
    struct ym_round_action *a = ym_step_act(s, YM_ROUND_DO_SEND);

    a->site = site;
    a->task = task;
}

static void log_abort(struct step *s, bool final, const char *reason)
{
    struct ym_round_action *a = ym_step_act(s, YM_ROUND_DO_LOG_ABORT);

    a->final = final;
    ym_step_keep_reason(a->reason, reason);
}

void ym_step_refuse(struct step *s, enum ym_code code, const char *reason)
{
    s->out->code = code;
    s->out->reason = reason;
}

void ym_step_repeated(struct step *s)
{
    s->out->reason = "repeated";
}

static size_t count_part(const struct ym_round *r, unsigned parts)
{
    size_t n = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        n += (parts >> r->site[i].part) & 1;
    return n;
}

static size_t count_willing(const struct ym_round *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        n += ym_round_willing(&r->site[i]);
    return n;
}

/* ---- transitions ---- */

void ym_step_close_all(struct step *s)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++)
        ym_step_send(s, i, YM_ROUND_TASK_CLOSED);
}

/* Why a site was not in a failed attempt stays to be read until the next attempt asks it. */
static void clear_parts(struct step *s, bool failed)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++) {
        struct ym_round_site *site = &s->r->site[i];
        char why[YM_ROUND_REASON];

        ym_step_keep_reason(why, failed || site->dry_run_failed ? site->reason : "");
        if (site->part != YM_ROUND_ABSENT || strcmp(site->reason, why) != 0)
            ym_step_set_part(s, i, YM_ROUND_ABSENT, why);
        memset(site->release, 0, YM_HASH_BYTES);
    }
}

static bool attempt_runs(const struct ym_round *r)
{
    return r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY || r->phase == YM_ROUND_COLLECT ||
           r->phase == YM_ROUND_FOLD || (r->phase == YM_ROUND_PAUSED && r->paused_from == YM_ROUND_FOLD);
}

void ym_step_abort_study(struct step *s, const char *reason)
{
    bool spooled = attempt_runs(s->r);

    log_abort(s, true, reason);
    ym_step_set_phase(s, YM_ROUND_ABORTED, reason);
    ym_step_close_all(s);
    if (spooled)
        ym_step_act(s, YM_ROUND_DO_DROP_SPOOLS);
}

void ym_step_pause_study(struct step *s, enum ym_round_phase from, const char *reason)
{
    ym_step_set_phase(s, YM_ROUND_PAUSED, reason);
    s->r->paused_from = from;
    if (strcmp(reason, "disk") == 0)
        ym_step_wake_after(s, YM_DISK_RETRY_MS);
}

int64_t ym_step_retry_ms(const struct ym_round *r)
{
    int64_t ms = FIRST_RETRY_MS;

    for (uint32_t i = 1; i < r->tries && ms < LONGEST_RETRY_MS; i++)
        ms *= 2;
    ms = ms < LONGEST_RETRY_MS ? ms : LONGEST_RETRY_MS;
    return ms < r->plan->ready_ms ? ms : (int64_t)r->plan->ready_ms;
}

void ym_step_fail_attempt(struct step *s, const char *reason)
{
    struct ym_round *r = s->r;

    log_abort(s, false, reason);
    ym_step_close_all(s);
    ym_step_act(s, YM_ROUND_DO_DROP_SPOOLS);
    clear_parts(s, true);
    if (r->tries >= r->plan->max_attempts) {
        ym_step_pause_study(s, YM_ROUND_OPEN, "attempts_exhausted");
        return;
    }
    ym_step_set_phase(s, YM_ROUND_OPEN, reason);
    ym_step_wake_after(s, ym_step_retry_ms(r));
}

static void begin_fold(struct step *s)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++)
        if (s->r->site[i].part == YM_ROUND_SAID_READY || s->r->site[i].part == YM_ROUND_UPLOADING)
            ym_step_set_part(s, i, YM_ROUND_LEFT_OUT, "late");
    ym_step_set_phase(s, YM_ROUND_FOLD, "");
    ym_step_act(s, YM_ROUND_DO_FOLD);
}

static void begin_collect(struct step *s)
{
    struct ym_round *r = s->r;

    for (size_t i = 0; i < r->plan->site_count; i++)
        if (r->site[i].part == YM_ROUND_AWAITED)
            ym_step_set_part(s, i, YM_ROUND_LEFT_OUT, "late");
    ym_step_set_phase(s, YM_ROUND_COLLECT, "");
    r->deadline_s = s->now.wall_s + (r->plan->collect_ms + 999) / 1000;
    ym_step_wake_after(s, r->plan->collect_ms);
    ym_step_act(s, YM_ROUND_DO_SAY_COLLECT);
    for (size_t i = 0; i < r->plan->site_count; i++)
        if (r->site[i].part == YM_ROUND_SAID_READY)
            ym_step_send(s, i, YM_ROUND_TASK_COLLECT);
}

/* Move on when the waiting phase has what it waits for, or can no longer get it. */
void ym_step_settle_attempt(struct step *s, bool over)
{
    struct ym_round *r = s->r;
    size_t quorum = r->plan->quorum;

    if (r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY) {
        size_t ready = count_part(r, YM_PART(SAID_READY)), awaited = count_part(r, YM_PART(AWAITED));

        if (ready + (over ? 0 : awaited) < quorum)
            ym_step_fail_attempt(s, "quorum_not_ready");
        else if (over || awaited == 0)
            begin_collect(s);
    } else if (r->phase == YM_ROUND_COLLECT) {
        size_t in = count_part(r, YM_PART(COUNTED)), coming = count_part(r, YM_PART(SAID_READY) | YM_PART(UPLOADING));

        if (in + (over ? 0 : coming) < quorum)
            ym_step_fail_attempt(s, "quorum_not_collected");
        else if (over || coming == 0)
            begin_fold(s);
    }
}

void ym_step_try_open(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->disk_low) {
        ym_step_pause_study(s, YM_ROUND_OPEN, "disk");
        return;
    }
    if (count_willing(r) < r->plan->quorum) {
        r->wake_ms = 0; /* a decision, an unpause or a cancel comes as an event */
        if (strcmp(r->reason, "waiting_for_sites") != 0)
            ym_step_set_phase(s, YM_ROUND_OPEN, "waiting_for_sites");
        return;
    }
    r->attempt++;
    r->tries++;
    r->opened_s = s->now.wall_s;
    ym_step_set_phase(s, YM_ROUND_DELIVER, "");
    r->deadline_s = s->now.wall_s + (r->plan->ready_ms + 999) / 1000;
    ym_step_wake_after(s, r->plan->ready_ms);
    ym_step_act(s, YM_ROUND_DO_LOG_OPEN);
    for (size_t i = 0; i < r->plan->site_count; i++) {
        if (!ym_round_willing(&r->site[i]))
            continue; /* ABSENT since the last attempt was cleared */
        ym_step_set_part(s, i, YM_ROUND_AWAITED, "");
        ym_step_send(s, i, YM_ROUND_TASK_ROUND);
    }
}

static void begin_round(struct step *s, uint32_t round)
{
    clear_parts(s, false);
    s->r->round = round;
    s->r->attempt = 0;
    s->r->tries = 0;
    ym_step_set_phase(s, YM_ROUND_OPEN, "");
    ym_step_wake_after(s, 0);
}

/* One transaction for the end of a round and the beginning of the next. */
void ym_step_next_round(struct step *s)
{
    begin_round(s, s->r->round + 1);
    ym_step_try_open(s);
}

void ym_step_settle_offer(struct step *s, bool over)
{
    const struct ym_round *r = s->r;
    size_t undecided = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        undecided += r->site[i].decision == YM_ROUND_UNDECIDED && !r->site[i].revoked;
    if ((undecided == 0 || over) && count_willing(r) >= r->plan->quorum)
        begin_round(s, 1);
}

bool ym_step_quorum_impossible(const struct ym_round *r)
{
    size_t possible = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        possible += r->site[i].decision != YM_ROUND_VETOED && !r->site[i].revoked;
    return possible < r->plan->quorum;
}

static bool offer_is_over(const struct step *s)
{
    return s->r->plan->start_ms && s->r->wake_ms == 0;
}

/* A site's will changed: the study, the offer, the attempt or the wait may turn on it. */
void ym_step_settle_will(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_FOLD && r->phase != YM_ROUND_PUBLISH && ym_step_quorum_impossible(r)) {
        ym_step_abort_study(s, "quorum_impossible");
        return;
    }
    if (r->phase == YM_ROUND_OFFERED)
        ym_step_settle_offer(s, offer_is_over(s));
    else if (r->phase == YM_ROUND_OPEN && r->wake_ms == 0)
        ym_step_wake_after(s, 0);
    else
        ym_step_settle_attempt(s, false);
}

void ym_step_leave_attempt(struct step *s, size_t i, const char *reason)
{
    enum ym_round_phase phase = s->r->phase;

    if (phase != YM_ROUND_DELIVER && phase != YM_ROUND_READY && phase != YM_ROUND_COLLECT)
        return;
    if (s->r->site[i].part != YM_ROUND_ABSENT && s->r->site[i].part != YM_ROUND_LEFT_OUT)
        ym_step_set_part(s, i, YM_ROUND_DECLINED, reason);
}

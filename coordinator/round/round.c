#include "coordinator/round/round_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const phase_names[] = {"none", "offered", "open", "deliver", "ready", "collect",
                                          "fold", "publish", "done", "aborted", "paused"};

const char *ym_round_phase_name(enum ym_round_phase phase)
{
    return (size_t)phase < sizeof phase_names / sizeof *phase_names ? phase_names[phase] : "unknown";
}

void ym_round_init(struct ym_round *r, const struct ym_plan *plan)
{
    YM_ASSERT(plan->site_count >= 1 && plan->site_count <= YM_PLAN_MAX_SITES);
    memset(r, 0, sizeof *r);
    r->plan = plan;
}

bool ym_round_is_last(const struct ym_round *r)
{
    return r->stops || r->round == r->plan->rounds;
}

bool ym_round_ended(const struct ym_round *r)
{
    return r->phase == YM_ROUND_DONE || r->phase == YM_ROUND_ABORTED;
}

size_t ym_round_site_find(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

bool ym_round_willing(const struct ym_round_site *s)
{
    return s->decision == YM_ROUND_APPROVED && !s->paused && !s->revoked && !s->dry_run_failed;
}

/* ---- events: the hub itself ---- */

static void on_folded(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_FOLD || s->e->round != r->round || s->e->attempt != r->attempt) {
        ym_step_refuse(s, YM_DEADLINE, "late");
        return;
    }
    memcpy(r->before, r->state, YM_HASH_BYTES);
    memcpy(r->state, s->e->state, YM_HASH_BYTES);
    memcpy(r->sum, s->e->sum, YM_HASH_BYTES);
    r->stops = s->e->yes;
    for (size_t i = 0; i < r->plan->site_count; i++)
        r->site[i].left_out += r->site[i].part == YM_ROUND_LEFT_OUT || r->site[i].part == YM_ROUND_DECLINED;
    ym_step_set_phase(s, YM_ROUND_PUBLISH, "");
    ym_step_wake_after(s, 0);
    ym_step_act(s, YM_ROUND_DO_LOG_RESULT);
    ym_step_close_all(s);
    ym_step_act(s, YM_ROUND_DO_DROP_SPOOLS);
}

static void on_fold_trouble(struct step *s, bool lost)
{
    if (s->r->phase != YM_ROUND_FOLD)
        ym_step_refuse(s, YM_DEADLINE, "late");
    else if (lost)
        ym_step_fail_attempt(s, "spool_lost");
    else
        ym_step_pause_study(s, YM_ROUND_FOLD, "disk");
}

static void resume_study(struct step *s)
{
    if (s->r->paused_from == YM_ROUND_FOLD) {
        ym_step_set_phase(s, YM_ROUND_FOLD, "");
        ym_step_act(s, YM_ROUND_DO_FOLD);
        return;
    }
    s->r->tries = 0;
    ym_step_set_phase(s, YM_ROUND_OPEN, "");
    ym_step_wake_after(s, 0);
}

static bool paused_for_disk(const struct ym_round *r)
{
    return r->phase == YM_ROUND_PAUSED && strcmp(r->reason, "disk") == 0;
}

static void on_disk(struct step *s)
{
    s->r->disk_low = s->e->yes;
    if (!s->e->yes && paused_for_disk(s->r))
        resume_study(s);
}

static void on_tick(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->wake_ms == 0 || s->now.mono_ms < r->wake_ms)
        return;
    switch (r->phase) {
    case YM_ROUND_OFFERED:
        r->wake_ms = 0; /* the quorum may come later, by an approval */
        ym_step_settle_offer(s, true);
        break;
    case YM_ROUND_OPEN:
        ym_step_try_open(s);
        break;
    case YM_ROUND_DELIVER:
    case YM_ROUND_READY:
    case YM_ROUND_COLLECT:
        ym_step_settle_attempt(s, true);
        break;
    case YM_ROUND_PUBLISH:
        if (ym_round_is_last(r))
            ym_step_set_phase(s, YM_ROUND_DONE, "");
        else if (ym_step_quorum_impossible(r)) /* vetoed while the round was folded */
            ym_step_abort_study(s, "quorum_impossible");
        else
            ym_step_next_round(s);
        break;
    case YM_ROUND_PAUSED:
        if (paused_for_disk(r) && !r->disk_low)
            resume_study(s);
        else
            ym_step_wake_after(s, YM_DISK_RETRY_MS);
        break;
    default:
        r->wake_ms = 0;
    }
}

static void on_restart(struct step *s)
{
    struct ym_round *r = s->r;

    for (size_t i = 0; i < r->plan->site_count; i++)
        r->site[i].connected = false;
    r->disk_low = false;
    r->wake_ms = 0;
    if (r->phase == YM_ROUND_OFFERED && r->plan->start_ms)
        ym_step_wake_after(s, r->plan->start_ms);
    else if (r->phase == YM_ROUND_OPEN)
        ym_step_wake_after(s, r->attempt ? ym_step_retry_ms(r) : 0);
    else if (r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY)
        ym_step_wake_after(s, r->plan->ready_ms);
    else if (r->phase == YM_ROUND_COLLECT)
        ym_step_wake_after(s, r->plan->collect_ms);
    else if (r->phase == YM_ROUND_PUBLISH || paused_for_disk(r))
        ym_step_wake_after(s, 0);
    else if (r->phase == YM_ROUND_FOLD)
        ym_step_act(s, YM_ROUND_DO_FOLD);
}

static void on_offer(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_NONE) {
        ym_step_repeated(s);
        return;
    }
    memcpy(r->state, s->e->state, YM_HASH_BYTES);
    r->opened_s = s->now.wall_s;
    ym_step_set_phase(s, YM_ROUND_OFFERED, "");
    ym_step_act(s, YM_ROUND_DO_LOG_GIVEN);
    for (size_t i = 0; i < r->plan->site_count; i++) {
        r->site[i].since_s = s->now.wall_s;
        ym_step_send(s, i, YM_ROUND_TASK_PLAN);
    }
    if (r->plan->start_ms)
        ym_step_wake_after(s, r->plan->start_ms);
}

static void on_cancel(struct step *s)
{
    ym_step_act(s, YM_ROUND_DO_LOG_GIVEN);
    ym_step_abort_study(s, "cancelled");
}

static void on_resume(struct step *s)
{
    if (s->r->phase == YM_ROUND_PAUSED)
        resume_study(s);
    else
        ym_step_refuse(s, YM_CONFLICT, "not_paused");
}

static void on_connection(struct step *s, struct ym_round_site *site)
{
    bool now = s->e->kind == YM_ROUND_EV_CONNECTED;

    s->out->changed = site->connected != now;
    site->connected = now;
}

static void step_hub(struct step *s)
{
    switch (s->e->kind) {
    case YM_ROUND_EV_OFFER:
        on_offer(s);
        break;
    case YM_ROUND_EV_TICK:
        on_tick(s);
        break;
    case YM_ROUND_EV_RESTART:
        on_restart(s);
        break;
    case YM_ROUND_EV_FOLDED:
        on_folded(s);
        break;
    case YM_ROUND_EV_STORE_FAILED:
    case YM_ROUND_EV_SPOOL_LOST:
        on_fold_trouble(s, s->e->kind == YM_ROUND_EV_SPOOL_LOST);
        break;
    case YM_ROUND_EV_DISK:
        on_disk(s);
        break;
    case YM_ROUND_EV_CANCEL:
        on_cancel(s);
        break;
    default:
        on_resume(s);
    }
}

static bool of_hub(enum ym_round_event_kind k)
{
    return k == YM_ROUND_EV_OFFER || k == YM_ROUND_EV_TICK || k == YM_ROUND_EV_RESTART || k >= YM_ROUND_EV_FOLDED;
}

/* An ended study answers everybody alike; the hub's own late news is dropped quietly. */
static bool answer_ended(struct step *s)
{
    enum ym_round_event_kind k = s->e->kind;

    if (!ym_round_ended(s->r) || k == YM_ROUND_EV_CONNECTED || k == YM_ROUND_EV_DISCONNECTED ||
        k == YM_ROUND_EV_OFFER || k == YM_ROUND_EV_TICK || k == YM_ROUND_EV_RESTART || k == YM_ROUND_EV_DISK ||
        k == YM_ROUND_EV_REVOKED)
        return false;
    ym_step_refuse(s, YM_CONFLICT, "ended");
    return true;
}

void ym_round_step(struct ym_round *r, const struct ym_round_event *e, struct ym_round_time now,
                   struct ym_round_actions *out)
{
    struct step s = {r, e, now, out};
    enum ym_round_event_kind k = e->kind;

    out->code = YM_OK;
    out->reason = "";
    out->durable = out->changed = false;
    out->count = 0;
    if (answer_ended(&s))
        return;
    if (of_hub(k)) {
        step_hub(&s);
        return;
    }
    if (e->site >= r->plan->site_count) {
        ym_step_refuse(&s, YM_NOT_FOUND, "unknown_site");
        return;
    }
    if (k == YM_ROUND_EV_CONNECTED || k == YM_ROUND_EV_DISCONNECTED) {
        on_connection(&s, &r->site[e->site]);
        return;
    }
    if (k == YM_ROUND_EV_REVOKED) {
        if (ym_round_ended(r))
            return;
        ym_step_site(&s);
        return;
    }
    if (r->site[e->site].revoked) {
        ym_step_refuse(&s, YM_DENIED, "revoked");
        return;
    }
    ym_step_site(&s);
}

bool ym_round_open_task(const struct ym_round *r, size_t site, enum ym_round_task *task)
{
    const struct ym_round_site *s = &r->site[site];

    if ((r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY) && s->part == YM_ROUND_AWAITED)
        *task = YM_ROUND_TASK_ROUND;
    else if (r->phase == YM_ROUND_COLLECT && (s->part == YM_ROUND_SAID_READY || s->part == YM_ROUND_UPLOADING))
        *task = YM_ROUND_TASK_COLLECT;
    else
        return false;
    return true;
}

#include "coordinator/round/round.h"

#include <stdio.h>
#include <string.h>

#define FIRST_RETRY_MS 1000
#define LONGEST_RETRY_MS 30000
#define DISK_RETRY_MS 30000

struct step { /* one call of ym_round_step */
    struct ym_round *r;
    const struct ym_round_event *e;
    struct ym_round_time now;
    struct ym_round_actions *out;
};

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

/* ---- small setters; every change passes one of them ---- */

static void keep_reason(char *to, const char *reason)
{
    snprintf(to, YM_ROUND_REASON, "%s", reason);
}

static void set_phase(struct step *s, enum ym_round_phase phase, const char *reason)
{
    s->r->phase = phase;
    s->r->changed_s = s->now.wall_s;
    s->r->wake_ms = 0;
    keep_reason(s->r->reason, reason);
    s->out->durable = s->out->changed = true;
}

static void set_part(struct step *s, size_t i, enum ym_round_part part, const char *reason)
{
    struct ym_round_site *site = &s->r->site[i];

    site->part = part;
    site->since_s = s->now.wall_s;
    keep_reason(site->reason, reason);
    s->out->durable = s->out->changed = true;
}

static void wake_after(struct step *s, int64_t ms)
{
    s->r->wake_ms = s->now.mono_ms + ms;
}

static struct ym_round_action *act(struct step *s, enum ym_round_action_kind kind)
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

static void send(struct step *s, size_t site, enum ym_round_task task)
{
    struct ym_round_action *a = act(s, YM_ROUND_DO_SEND);

    a->site = site;
    a->task = task;
}

static void log_abort(struct step *s, bool final, const char *reason)
{
    struct ym_round_action *a = act(s, YM_ROUND_DO_LOG_ABORT);

    a->final = final;
    keep_reason(a->reason, reason);
}

static void refuse(struct step *s, enum ym_code code, const char *reason)
{
    s->out->code = code;
    s->out->reason = reason;
}

static void repeated(struct step *s)
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
#define PART(x) (1u << YM_ROUND_##x)

static size_t count_willing(const struct ym_round *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        n += ym_round_willing(&r->site[i]);
    return n;
}

/* ---- transitions ---- */

static void close_all(struct step *s)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++)
        send(s, i, YM_ROUND_TASK_CLOSED);
}

static void clear_parts(struct step *s)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++) {
        if (s->r->site[i].part != YM_ROUND_ABSENT)
            set_part(s, i, YM_ROUND_ABSENT, "");
        memset(s->r->site[i].release, 0, YM_HASH_BYTES);
    }
}

static bool attempt_runs(const struct ym_round *r)
{
    return r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY || r->phase == YM_ROUND_COLLECT ||
           r->phase == YM_ROUND_FOLD || (r->phase == YM_ROUND_PAUSED && r->paused_from == YM_ROUND_FOLD);
}

static void abort_study(struct step *s, const char *reason)
{
    bool spooled = attempt_runs(s->r);

    log_abort(s, true, reason);
    set_phase(s, YM_ROUND_ABORTED, reason);
    close_all(s);
    if (spooled)
        act(s, YM_ROUND_DO_DROP_SPOOLS);
}

static void pause_study(struct step *s, enum ym_round_phase from, const char *reason)
{
    set_phase(s, YM_ROUND_PAUSED, reason);
    s->r->paused_from = from;
    if (strcmp(reason, "disk") == 0)
        wake_after(s, DISK_RETRY_MS);
}

static int64_t retry_ms(const struct ym_round *r)
{
    int64_t ms = FIRST_RETRY_MS;

    for (uint32_t i = 1; i < r->tries && ms < LONGEST_RETRY_MS; i++)
        ms *= 2;
    ms = ms < LONGEST_RETRY_MS ? ms : LONGEST_RETRY_MS;
    return ms < r->plan->ready_ms ? ms : (int64_t)r->plan->ready_ms;
}

static void fail_attempt(struct step *s, const char *reason)
{
    struct ym_round *r = s->r;

    log_abort(s, false, reason);
    close_all(s);
    act(s, YM_ROUND_DO_DROP_SPOOLS);
    clear_parts(s);
    if (r->tries >= r->plan->max_attempts) {
        pause_study(s, YM_ROUND_OPEN, "attempts_exhausted");
        return;
    }
    set_phase(s, YM_ROUND_OPEN, reason);
    wake_after(s, retry_ms(r));
}

static void begin_fold(struct step *s)
{
    for (size_t i = 0; i < s->r->plan->site_count; i++)
        if (s->r->site[i].part == YM_ROUND_SAID_READY || s->r->site[i].part == YM_ROUND_UPLOADING)
            set_part(s, i, YM_ROUND_LEFT_OUT, "late");
    set_phase(s, YM_ROUND_FOLD, "");
    act(s, YM_ROUND_DO_FOLD);
}

static void begin_collect(struct step *s)
{
    struct ym_round *r = s->r;

    for (size_t i = 0; i < r->plan->site_count; i++)
        if (r->site[i].part == YM_ROUND_AWAITED)
            set_part(s, i, YM_ROUND_LEFT_OUT, "late");
    set_phase(s, YM_ROUND_COLLECT, "");
    r->deadline_s = s->now.wall_s + (r->plan->collect_ms + 999) / 1000;
    wake_after(s, r->plan->collect_ms);
    act(s, YM_ROUND_DO_SAY_COLLECT);
    for (size_t i = 0; i < r->plan->site_count; i++)
        if (r->site[i].part == YM_ROUND_SAID_READY)
            send(s, i, YM_ROUND_TASK_COLLECT);
}

/* Move on when the waiting phase has what it waits for, or can no longer get it. */
static void settle_attempt(struct step *s, bool over)
{
    struct ym_round *r = s->r;
    size_t quorum = r->plan->quorum;

    if (r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY) {
        size_t ready = count_part(r, PART(SAID_READY)), awaited = count_part(r, PART(AWAITED));

        if (ready + (over ? 0 : awaited) < quorum)
            fail_attempt(s, "quorum_not_ready");
        else if (over || awaited == 0)
            begin_collect(s);
    } else if (r->phase == YM_ROUND_COLLECT) {
        size_t in = count_part(r, PART(COUNTED)), coming = count_part(r, PART(SAID_READY) | PART(UPLOADING));

        if (in + (over ? 0 : coming) < quorum)
            fail_attempt(s, "quorum_not_collected");
        else if (over || coming == 0)
            begin_fold(s);
    }
}

static void try_open(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->disk_low) {
        pause_study(s, YM_ROUND_OPEN, "disk");
        return;
    }
    if (count_willing(r) < r->plan->quorum) {
        r->wake_ms = 0; /* a decision, an unpause or a cancel comes as an event */
        if (strcmp(r->reason, "waiting_for_sites") != 0)
            set_phase(s, YM_ROUND_OPEN, "waiting_for_sites");
        return;
    }
    r->attempt++;
    r->tries++;
    r->opened_s = s->now.wall_s;
    set_phase(s, YM_ROUND_DELIVER, "");
    r->deadline_s = s->now.wall_s + (r->plan->ready_ms + 999) / 1000;
    wake_after(s, r->plan->ready_ms);
    act(s, YM_ROUND_DO_LOG_OPEN);
    for (size_t i = 0; i < r->plan->site_count; i++) {
        if (!ym_round_willing(&r->site[i]))
            continue; /* ABSENT since the last attempt was cleared */
        set_part(s, i, YM_ROUND_AWAITED, "");
        send(s, i, YM_ROUND_TASK_ROUND);
    }
}

static void begin_round(struct step *s, uint32_t round)
{
    clear_parts(s);
    s->r->round = round;
    s->r->attempt = 0;
    s->r->tries = 0;
    set_phase(s, YM_ROUND_OPEN, "");
    wake_after(s, 0);
}

/* One transaction for the end of a round and the beginning of the next. */
static void next_round(struct step *s)
{
    begin_round(s, s->r->round + 1);
    try_open(s);
}

static void settle_offer(struct step *s, bool over)
{
    const struct ym_round *r = s->r;
    size_t undecided = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        undecided += r->site[i].decision == YM_ROUND_UNDECIDED && !r->site[i].revoked;
    if ((undecided == 0 || over) && count_willing(r) >= r->plan->quorum)
        begin_round(s, 1);
}

static bool quorum_impossible(const struct ym_round *r)
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
static void settle_will(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_FOLD && r->phase != YM_ROUND_PUBLISH && quorum_impossible(r)) {
        abort_study(s, "quorum_impossible");
        return;
    }
    if (r->phase == YM_ROUND_OFFERED)
        settle_offer(s, offer_is_over(s));
    else if (r->phase == YM_ROUND_OPEN && r->wake_ms == 0)
        wake_after(s, 0);
    else
        settle_attempt(s, false);
}

static void leave_attempt(struct step *s, size_t i, const char *reason)
{
    enum ym_round_phase phase = s->r->phase;

    if (phase != YM_ROUND_DELIVER && phase != YM_ROUND_READY && phase != YM_ROUND_COLLECT)
        return;
    if (s->r->site[i].part != YM_ROUND_ABSENT && s->r->site[i].part != YM_ROUND_LEFT_OUT)
        set_part(s, i, YM_ROUND_DECLINED, reason);
}

/* ---- events: will of a site ---- */

static bool plan_fits(struct step *s)
{
    if (memcmp(s->e->plan, s->r->plan->hash, YM_HASH_BYTES) == 0)
        return true;
    refuse(s, YM_INVALID, "wrong_plan");
    return false;
}

static void touch(struct step *s, size_t i)
{
    s->r->site[i].since_s = s->now.wall_s;
    s->out->durable = s->out->changed = true;
}

static void on_approve(struct step *s, struct ym_round_site *site)
{
    if (!plan_fits(s))
        return;
    if (site->decision == YM_ROUND_APPROVED && !site->dry_run_failed) {
        repeated(s);
        return;
    }
    site->decision = YM_ROUND_APPROVED;
    site->dry_run_failed = false;
    keep_reason(site->reason, "");
    touch(s, s->e->site);
    act(s, YM_ROUND_DO_LOG_GIVEN);
    settle_will(s);
}

static void on_veto(struct step *s, struct ym_round_site *site)
{
    if (!plan_fits(s))
        return;
    if (site->decision == YM_ROUND_VETOED) {
        repeated(s);
        return;
    }
    site->decision = YM_ROUND_VETOED;
    touch(s, s->e->site);
    act(s, YM_ROUND_DO_LOG_GIVEN);
    leave_attempt(s, s->e->site, "vetoed");
    settle_will(s);
}

static void on_pause(struct step *s, struct ym_round_site *site)
{
    if (site->paused == s->e->yes) {
        repeated(s);
        return;
    }
    site->paused = s->e->yes;
    touch(s, s->e->site);
    act(s, YM_ROUND_DO_LOG_GIVEN);
    if (s->e->yes)
        leave_attempt(s, s->e->site, "paused");
    settle_will(s);
}

/* A dry run that failed takes the approval's force away; a good one gives it back. */
static void on_checked(struct step *s, struct ym_round_site *site)
{
    if (!plan_fits(s))
        return;
    if (site->dry_run_failed == !s->e->yes) {
        repeated(s);
        return;
    }
    site->dry_run_failed = !s->e->yes;
    keep_reason(site->reason, s->e->yes ? "" : s->e->reason);
    touch(s, s->e->site);
    if (!s->e->yes)
        leave_attempt(s, s->e->site, "dry_run_failed");
    settle_will(s);
}

static void on_revoked(struct step *s, struct ym_round_site *site)
{
    if (site->revoked) {
        repeated(s);
        return;
    }
    site->revoked = true;
    site->connected = false;
    touch(s, s->e->site);
    leave_attempt(s, s->e->site, "revoked");
    settle_will(s);
}

/* ---- events: the attempt ---- */

/* True when the event speaks of the attempt under way; answers otherwise. */
static bool attempt_fits(struct step *s)
{
    const struct ym_round *r = s->r;
    const struct ym_round_event *e = s->e;

    if (e->round < r->round || (e->round == r->round && e->attempt < r->attempt))
        refuse(s, YM_DEADLINE, "late");
    else if (e->round != r->round)
        refuse(s, YM_INVALID, "wrong_round");
    else if (e->attempt != r->attempt || e->attempt == 0)
        refuse(s, YM_INVALID, "wrong_attempt");
    else if (r->phase == YM_ROUND_OPEN || r->phase == YM_ROUND_PUBLISH ||
             (r->phase == YM_ROUND_PAUSED && r->paused_from != YM_ROUND_FOLD))
        refuse(s, YM_DEADLINE, "late");
    else
        return true;
    return false;
}

static bool site_in_roster(struct step *s, const struct ym_round_site *site)
{
    if (site->revoked)
        refuse(s, YM_DENIED, "revoked");
    else if (site->decision == YM_ROUND_VETOED)
        refuse(s, YM_DENIED, "vetoed");
    else if (site->part == YM_ROUND_ABSENT)
        refuse(s, YM_DENIED, "not_in_roster");
    else if (site->part == YM_ROUND_LEFT_OUT)
        refuse(s, YM_DEADLINE, "late");
    else if (site->part == YM_ROUND_DECLINED)
        refuse(s, YM_CONFLICT, "declined");
    else
        return true;
    return false;
}

static bool state_fits(struct step *s)
{
    if (memcmp(s->e->state, s->r->state, YM_HASH_BYTES) == 0)
        return true;
    refuse(s, YM_INVALID, "wrong_state");
    return false;
}

static void on_ready(struct step *s, const struct ym_round_site *site)
{
    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s) || !site_in_roster(s, site))
        return;
    if (site->part != YM_ROUND_AWAITED) {
        repeated(s);
        return;
    }
    set_part(s, s->e->site, YM_ROUND_SAID_READY, "");
    if (s->r->phase == YM_ROUND_DELIVER) {
        s->r->phase = YM_ROUND_READY;
        s->r->changed_s = s->now.wall_s;
    }
    settle_attempt(s, false);
}

static void on_declined(struct step *s, const struct ym_round_site *site)
{
    if (!attempt_fits(s))
        return;
    if (site->part == YM_ROUND_DECLINED) {
        repeated(s);
        return;
    }
    if (!site_in_roster(s, site))
        return;
    if (site->part == YM_ROUND_COUNTED) { /* its update is released and here: too late to say no */
        refuse(s, YM_DEADLINE, "late");
        return;
    }
    set_part(s, s->e->site, YM_ROUND_DECLINED, s->e->reason);
    if (s->r->phase == YM_ROUND_DELIVER) {
        s->r->phase = YM_ROUND_READY;
        s->r->changed_s = s->now.wall_s;
    }
    settle_attempt(s, false);
}

/* The charge goes before the release; the shell keeps it. */
static void on_charged(struct step *s, const struct ym_round_site *site)
{
    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s) || !site_in_roster(s, site))
        return;
    if (site->part == YM_ROUND_AWAITED)
        refuse(s, YM_CONFLICT, "not_ready");
}

static bool release_fits(struct step *s, const struct ym_round_site *site)
{
    const struct ym_round_event *e = s->e;

    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s))
        return false;
    if (site->part == YM_ROUND_COUNTED || site->part == YM_ROUND_UPLOADING) {
        if (memcmp(site->release, e->release, YM_HASH_BYTES) == 0)
            return true;
        refuse(s, YM_CONFLICT, "other_bytes");
        return false;
    }
    if (!site_in_roster(s, site))
        return false;
    if (site->part != YM_ROUND_SAID_READY || s->r->phase != YM_ROUND_COLLECT)
        refuse(s, YM_CONFLICT, "not_ready");
    else if (e->bytes != 8 * e->dim)
        refuse(s, YM_INVALID, "wrong_length");
    else if (e->scale_bits != s->r->plan->update_scale_bits || e->width_bits != s->r->plan->update_width_bits)
        refuse(s, YM_INVALID, "wrong_lattice");
    else
        return true;
    return false;
}

static void on_upload(struct step *s, struct ym_round_site *site)
{
    if (!release_fits(s, site))
        return;
    if (site->part != YM_ROUND_SAID_READY) {
        repeated(s);
        return;
    }
    memcpy(site->release, s->e->release, YM_HASH_BYTES);
    set_part(s, s->e->site, YM_ROUND_UPLOADING, "");
}

static void on_uploaded(struct step *s, struct ym_round_site *site)
{
    if (!release_fits(s, site))
        return;
    if (site->part == YM_ROUND_COUNTED) {
        repeated(s);
        return;
    }
    if (site->part != YM_ROUND_UPLOADING || s->r->phase != YM_ROUND_COLLECT) {
        refuse(s, YM_CONFLICT, "not_ready");
        return;
    }
    set_part(s, s->e->site, YM_ROUND_COUNTED, "");
    settle_attempt(s, false);
}

/* ---- events: the hub itself ---- */

static void on_folded(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_FOLD || s->e->round != r->round || s->e->attempt != r->attempt) {
        refuse(s, YM_DEADLINE, "late");
        return;
    }
    memcpy(r->before, r->state, YM_HASH_BYTES);
    memcpy(r->state, s->e->state, YM_HASH_BYTES);
    memcpy(r->sum, s->e->sum, YM_HASH_BYTES);
    for (size_t i = 0; i < r->plan->site_count; i++)
        r->site[i].left_out += r->site[i].part == YM_ROUND_LEFT_OUT || r->site[i].part == YM_ROUND_DECLINED;
    set_phase(s, YM_ROUND_PUBLISH, "");
    wake_after(s, 0);
    act(s, YM_ROUND_DO_LOG_RESULT);
    close_all(s);
    act(s, YM_ROUND_DO_DROP_SPOOLS);
}

static void on_fold_trouble(struct step *s, bool lost)
{
    if (s->r->phase != YM_ROUND_FOLD)
        refuse(s, YM_DEADLINE, "late");
    else if (lost)
        fail_attempt(s, "spool_lost");
    else
        pause_study(s, YM_ROUND_FOLD, "disk");
}

static void resume_study(struct step *s)
{
    if (s->r->paused_from == YM_ROUND_FOLD) {
        set_phase(s, YM_ROUND_FOLD, "");
        act(s, YM_ROUND_DO_FOLD);
        return;
    }
    s->r->tries = 0;
    set_phase(s, YM_ROUND_OPEN, "");
    wake_after(s, 0);
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
        settle_offer(s, true);
        break;
    case YM_ROUND_OPEN:
        try_open(s);
        break;
    case YM_ROUND_DELIVER:
    case YM_ROUND_READY:
    case YM_ROUND_COLLECT:
        settle_attempt(s, true);
        break;
    case YM_ROUND_PUBLISH:
        if (r->round == r->plan->rounds)
            set_phase(s, YM_ROUND_DONE, "");
        else if (quorum_impossible(r)) /* vetoed while the round was folded */
            abort_study(s, "quorum_impossible");
        else
            next_round(s);
        break;
    case YM_ROUND_PAUSED:
        if (paused_for_disk(r) && !r->disk_low)
            resume_study(s);
        else
            wake_after(s, DISK_RETRY_MS);
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
        wake_after(s, r->plan->start_ms);
    else if (r->phase == YM_ROUND_OPEN)
        wake_after(s, r->attempt ? retry_ms(r) : 0);
    else if (r->phase == YM_ROUND_DELIVER || r->phase == YM_ROUND_READY)
        wake_after(s, r->plan->ready_ms);
    else if (r->phase == YM_ROUND_COLLECT)
        wake_after(s, r->plan->collect_ms);
    else if (r->phase == YM_ROUND_PUBLISH || paused_for_disk(r))
        wake_after(s, 0);
    else if (r->phase == YM_ROUND_FOLD)
        act(s, YM_ROUND_DO_FOLD);
}

static void on_offer(struct step *s)
{
    struct ym_round *r = s->r;

    if (r->phase != YM_ROUND_NONE) {
        repeated(s);
        return;
    }
    memcpy(r->state, s->e->state, YM_HASH_BYTES);
    r->opened_s = s->now.wall_s;
    set_phase(s, YM_ROUND_OFFERED, "");
    act(s, YM_ROUND_DO_LOG_GIVEN);
    for (size_t i = 0; i < r->plan->site_count; i++) {
        r->site[i].since_s = s->now.wall_s;
        send(s, i, YM_ROUND_TASK_PLAN);
    }
    if (r->plan->start_ms)
        wake_after(s, r->plan->start_ms);
}

static void on_cancel(struct step *s)
{
    act(s, YM_ROUND_DO_LOG_GIVEN);
    abort_study(s, "cancelled");
}

static void on_resume(struct step *s)
{
    if (s->r->phase == YM_ROUND_PAUSED)
        resume_study(s);
    else
        refuse(s, YM_CONFLICT, "not_paused");
}

static void on_connection(struct step *s, struct ym_round_site *site)
{
    bool now = s->e->kind == YM_ROUND_EV_CONNECTED;

    s->out->changed = site->connected != now;
    site->connected = now;
}

static void step_site(struct step *s)
{
    struct ym_round_site *site = &s->r->site[s->e->site];

    switch (s->e->kind) {
    case YM_ROUND_EV_APPROVE:
        on_approve(s, site);
        break;
    case YM_ROUND_EV_VETO:
        on_veto(s, site);
        break;
    case YM_ROUND_EV_PAUSE:
        on_pause(s, site);
        break;
    case YM_ROUND_EV_CHECKED:
        on_checked(s, site);
        break;
    case YM_ROUND_EV_READY:
        on_ready(s, site);
        break;
    case YM_ROUND_EV_DECLINED:
        on_declined(s, site);
        break;
    case YM_ROUND_EV_CHARGED:
        on_charged(s, site);
        break;
    case YM_ROUND_EV_UPLOAD:
        on_upload(s, site);
        break;
    default:
        on_uploaded(s, site);
    }
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
    refuse(s, YM_CONFLICT, "ended");
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
        refuse(&s, YM_NOT_FOUND, "unknown_site");
        return;
    }
    if (k == YM_ROUND_EV_CONNECTED || k == YM_ROUND_EV_DISCONNECTED) {
        on_connection(&s, &r->site[e->site]);
        return;
    }
    if (k == YM_ROUND_EV_REVOKED) {
        if (ym_round_ended(r))
            return;
        on_revoked(&s, &r->site[e->site]);
        return;
    }
    if (r->site[e->site].revoked) {
        refuse(&s, YM_DENIED, "revoked");
        return;
    }
    step_site(&s);
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

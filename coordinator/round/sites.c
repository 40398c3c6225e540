#include "coordinator/round/round_internal.h"

#include <string.h>

/* ---- events: will of a site ---- */

static bool plan_fits(struct step *s)
{
    if (memcmp(s->e->plan, s->r->plan->hash, YM_HASH_BYTES) == 0)
        return true;
    ym_step_refuse(s, YM_INVALID, "wrong_plan");
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
        ym_step_repeated(s);
        return;
    }
    site->decision = YM_ROUND_APPROVED;
    site->dry_run_failed = false;
    ym_step_keep_reason(site->reason, "");
    touch(s, s->e->site);
    ym_step_act(s, YM_ROUND_DO_LOG_GIVEN);
    ym_step_settle_will(s);
}

static void on_veto(struct step *s, struct ym_round_site *site)
{
    if (!plan_fits(s))
        return;
    if (site->decision == YM_ROUND_VETOED) {
        ym_step_repeated(s);
        return;
    }
    site->decision = YM_ROUND_VETOED;
    touch(s, s->e->site);
    ym_step_act(s, YM_ROUND_DO_LOG_GIVEN);
    ym_step_leave_attempt(s, s->e->site, "vetoed");
    ym_step_settle_will(s);
}

static void on_pause(struct step *s, struct ym_round_site *site)
{
    if (site->paused == s->e->yes) {
        ym_step_repeated(s);
        return;
    }
    site->paused = s->e->yes;
    touch(s, s->e->site);
    ym_step_act(s, YM_ROUND_DO_LOG_GIVEN);
    if (s->e->yes)
        ym_step_leave_attempt(s, s->e->site, "paused");
    ym_step_settle_will(s);
}

/* A dry run that failed takes the approval's force away; a good one gives it back. */
static void on_checked(struct step *s, struct ym_round_site *site)
{
    if (!plan_fits(s))
        return;
    if (site->dry_run_failed == !s->e->yes) {
        ym_step_repeated(s);
        return;
    }
    site->dry_run_failed = !s->e->yes;
    ym_step_keep_reason(site->reason, s->e->yes ? "" : s->e->reason);
    touch(s, s->e->site);
    if (!s->e->yes)
        ym_step_leave_attempt(s, s->e->site, "dry_run_failed");
    ym_step_settle_will(s);
}

static void on_revoked(struct step *s, struct ym_round_site *site)
{
    if (site->revoked) {
        ym_step_repeated(s);
        return;
    }
    site->revoked = true;
    site->connected = false;
    touch(s, s->e->site);
    ym_step_leave_attempt(s, s->e->site, "revoked");
    ym_step_settle_will(s);
}

/* ---- events: the attempt ---- */

/* True when the event speaks of the attempt under way; answers otherwise. */
static bool attempt_fits(struct step *s)
{
    const struct ym_round *r = s->r;
    const struct ym_round_event *e = s->e;

    if (e->round < r->round || (e->round == r->round && e->attempt < r->attempt))
        ym_step_refuse(s, YM_DEADLINE, "late");
    else if (e->round != r->round)
        ym_step_refuse(s, YM_INVALID, "wrong_round");
    else if (e->attempt != r->attempt || e->attempt == 0)
        ym_step_refuse(s, YM_INVALID, "wrong_attempt");
    else if (r->phase == YM_ROUND_OPEN || r->phase == YM_ROUND_PUBLISH ||
             (r->phase == YM_ROUND_PAUSED && r->paused_from != YM_ROUND_FOLD))
        ym_step_refuse(s, YM_DEADLINE, "late");
    else
        return true;
    return false;
}

static bool site_in_roster(struct step *s, const struct ym_round_site *site)
{
    if (site->revoked)
        ym_step_refuse(s, YM_DENIED, "revoked");
    else if (site->decision == YM_ROUND_VETOED)
        ym_step_refuse(s, YM_DENIED, "vetoed");
    else if (site->part == YM_ROUND_ABSENT)
        ym_step_refuse(s, YM_DENIED, "not_in_roster");
    else if (site->part == YM_ROUND_LEFT_OUT)
        ym_step_refuse(s, YM_DEADLINE, "late");
    else if (site->part == YM_ROUND_DECLINED)
        ym_step_refuse(s, YM_CONFLICT, "declined");
    else
        return true;
    return false;
}

static bool state_fits(struct step *s)
{
    if (memcmp(s->e->state, s->r->state, YM_HASH_BYTES) == 0)
        return true;
    ym_step_refuse(s, YM_INVALID, "wrong_state");
    return false;
}

static void on_ready(struct step *s, const struct ym_round_site *site)
{
    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s) || !site_in_roster(s, site))
        return;
    if (site->part != YM_ROUND_AWAITED) {
        ym_step_repeated(s);
        return;
    }
    ym_step_set_part(s, s->e->site, YM_ROUND_SAID_READY, "");
    if (s->r->phase == YM_ROUND_DELIVER) {
        s->r->phase = YM_ROUND_READY;
        s->r->changed_s = s->now.wall_s;
    }
    ym_step_settle_attempt(s, false);
}

static void on_declined(struct step *s, const struct ym_round_site *site)
{
    if (!attempt_fits(s))
        return;
    if (site->part == YM_ROUND_DECLINED) {
        ym_step_repeated(s);
        return;
    }
    if (!site_in_roster(s, site))
        return;
    if (site->part == YM_ROUND_COUNTED) { /* its update is released and here: too late to say no */
        ym_step_refuse(s, YM_DEADLINE, "late");
        return;
    }
    ym_step_set_part(s, s->e->site, YM_ROUND_DECLINED, s->e->reason);
    if (s->r->phase == YM_ROUND_DELIVER) {
        s->r->phase = YM_ROUND_READY;
        s->r->changed_s = s->now.wall_s;
    }
    ym_step_settle_attempt(s, false);
}

/* The charge goes before the release; the shell keeps it. */
static void on_charged(struct step *s, const struct ym_round_site *site)
{
    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s) || !site_in_roster(s, site))
        return;
    if (site->part == YM_ROUND_AWAITED)
        ym_step_refuse(s, YM_CONFLICT, "not_ready");
}

static bool release_fits(struct step *s, const struct ym_round_site *site)
{
    const struct ym_round_event *e = s->e;

    if (!plan_fits(s) || !attempt_fits(s) || !state_fits(s))
        return false;
    if (site->part == YM_ROUND_COUNTED || site->part == YM_ROUND_UPLOADING) {
        if (memcmp(site->release, e->release, YM_HASH_BYTES) == 0)
            return true;
        ym_step_refuse(s, YM_CONFLICT, "other_bytes");
        return false;
    }
    if (!site_in_roster(s, site))
        return false;
    if (site->part != YM_ROUND_SAID_READY || s->r->phase != YM_ROUND_COLLECT)
        ym_step_refuse(s, YM_CONFLICT, "not_ready");
    else if (e->bytes != 8 * e->dim)
        ym_step_refuse(s, YM_INVALID, "wrong_length");
    else if (e->scale_bits != s->r->plan->update_scale_bits || e->width_bits != s->r->plan->update_width_bits)
        ym_step_refuse(s, YM_INVALID, "wrong_lattice");
    else
        return true;
    return false;
}

static void on_upload(struct step *s, struct ym_round_site *site)
{
    if (!release_fits(s, site))
        return;
    if (site->part != YM_ROUND_SAID_READY) {
        ym_step_repeated(s);
        return;
    }
    memcpy(site->release, s->e->release, YM_HASH_BYTES);
    ym_step_set_part(s, s->e->site, YM_ROUND_UPLOADING, "");
}

static void on_uploaded(struct step *s, struct ym_round_site *site)
{
    if (!release_fits(s, site))
        return;
    if (site->part == YM_ROUND_COUNTED) {
        ym_step_repeated(s);
        return;
    }
    if (site->part != YM_ROUND_UPLOADING || s->r->phase != YM_ROUND_COLLECT) {
        ym_step_refuse(s, YM_CONFLICT, "not_ready");
        return;
    }
    ym_step_set_part(s, s->e->site, YM_ROUND_COUNTED, "");
    ym_step_settle_attempt(s, false);
}

void ym_step_site(struct step *s)
{
    struct ym_round_site *site = &s->r->site[s->e->site];

    switch (s->e->kind) {
    case YM_ROUND_EV_REVOKED:
        on_revoked(s, site);
        break;
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

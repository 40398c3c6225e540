#include "tests/unit/round_kit.h"

/* ---- the way through ---- */

static void a_study_goes_its_whole_way(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_offer(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OFFERED);
    assert_int_equal(kit_count(&k, YM_ROUND_DO_LOG_GIVEN), 1);
    for (size_t i = 0; i < 3; i++)
        assert_true(kit_sent(&k, i, YM_ROUND_TASK_PLAN));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(k.r.phase, YM_ROUND_OFFERED);
        kit_say(&k, YM_ROUND_EV_APPROVE, i);
        assert_int_equal(kit_count(&k, YM_ROUND_DO_LOG_GIVEN), 1);
    }
    for (uint32_t round = 1; round <= 2; round++) {
        if (round == 1) {
            assert_int_equal(k.r.phase, YM_ROUND_OPEN);
            kit_tick(&k);
        }
        assert_int_equal(k.r.round, round);
        assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
        assert_int_equal(k.r.attempt, 1);
        assert_int_equal(k.out.action[0].kind, YM_ROUND_DO_LOG_OPEN); /* logged before anything is sent */
        assert_true(kit_sent(&k, 2, YM_ROUND_TASK_ROUND));
        kit_say(&k, YM_ROUND_EV_READY, 1);
        assert_int_equal(k.r.phase, YM_ROUND_READY);
        kit_say(&k, YM_ROUND_EV_READY, 0);
        kit_say(&k, YM_ROUND_EV_READY, 2);
        assert_int_equal(k.r.phase, YM_ROUND_COLLECT);
        assert_int_equal(k.out.action[0].kind, YM_ROUND_DO_SAY_COLLECT);
        assert_true(kit_sent(&k, 0, YM_ROUND_TASK_COLLECT));
        for (size_t i = 0; i < 3; i++) {
            kit_say(&k, YM_ROUND_EV_UPLOAD, i);
            kit_say(&k, YM_ROUND_EV_UPLOADED, i);
        }
        assert_int_equal(k.r.phase, YM_ROUND_FOLD);
        assert_int_equal(kit_count(&k, YM_ROUND_DO_FOLD), 1);
        kit_folded(&k, (int)round + 1);
        assert_int_equal(k.r.phase, YM_ROUND_PUBLISH);
        assert_int_equal(k.out.action[0].kind, YM_ROUND_DO_LOG_RESULT);
        assert_int_equal(kit_count(&k, YM_ROUND_DO_DROP_SPOOLS), 1);
        assert_true(kit_sent(&k, 0, YM_ROUND_TASK_CLOSED));
        kit_tick(&k);
    }
    assert_int_equal(k.r.phase, YM_ROUND_DONE);
    assert_int_equal(k.r.state[0], 3);
    assert_int_equal(k.r.before[0], 2);
}

/* The state says so (models/stop.h); a hub that is killed between the result and the end knows it still. */
static void a_study_stops_with_the_state_that_says_so(void **state)
{
    struct kit k;
    struct ym_round back;
    struct ym_buf kept = {0};
    struct ym_round_event e;

    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_FOLD);
    assert_false(ym_round_is_last(&k.r));
    e = kit_event(&k, YM_ROUND_EV_FOLDED, 0);
    e.yes = true;
    assert_int_equal(kit_send(&k, e), YM_OK);
    assert_int_equal(k.r.phase, YM_ROUND_PUBLISH);
    assert_true(k.r.round < k.plan.rounds && ym_round_is_last(&k.r));
    assert_int_equal(ym_round_save(&k.r, &kept, NULL), YM_OK);
    assert_int_equal(ym_round_load(&k.plan, (struct ym_bytes){kept.data, kept.len}, &back, NULL), YM_OK);
    assert_true(back.stops);
    k.r = back;
    kit_say(&k, YM_ROUND_EV_RESTART, 0);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_DONE);
    ym_buf_release(&kept);
}

static void phases_have_names(void **state)
{
    (void)state;
    assert_string_equal(ym_round_phase_name(YM_ROUND_OFFERED), "offered");
    assert_string_equal(ym_round_phase_name(YM_ROUND_DONE), "done");
    assert_string_equal(ym_round_phase_name(YM_ROUND_PAUSED), "paused");
    assert_string_equal(ym_round_phase_name((enum ym_round_phase)99), "unknown");
}

/* ---- starting ---- */

static void a_study_waits_for_the_last_decision(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_offer(&k);
    kit_say(&k, YM_ROUND_EV_APPROVE, 0);
    kit_say(&k, YM_ROUND_EV_APPROVE, 1);
    kit_sleep(&k, 1000000000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OFFERED);
    kit_say(&k, YM_ROUND_EV_VETO, 2);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    kit_tick(&k);
    assert_false(kit_sent(&k, 2, YM_ROUND_TASK_ROUND));
    assert_true(kit_sent(&k, 1, YM_ROUND_TASK_ROUND));
}

static void a_start_time_starts_with_a_quorum(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    k.plan.start_ms = 10000;
    kit_offer(&k);
    kit_say(&k, YM_ROUND_EV_APPROVE, 0);
    kit_sleep(&k, 10000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OFFERED); /* one is no quorum */
    kit_say(&k, YM_ROUND_EV_APPROVE, 2);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
}

static void a_start_time_does_not_start_early(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    k.plan.start_ms = 10000;
    kit_offer(&k);
    kit_say(&k, YM_ROUND_EV_APPROVE, 0);
    kit_say(&k, YM_ROUND_EV_APPROVE, 1);
    kit_sleep(&k, 9999);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OFFERED);
    kit_sleep(&k, 1);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
}

static void vetoes_that_break_the_quorum_abort(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_offer(&k);
    kit_say(&k, YM_ROUND_EV_VETO, 0);
    assert_int_equal(k.r.phase, YM_ROUND_OFFERED);
    kit_say(&k, YM_ROUND_EV_VETO, 1);
    assert_int_equal(k.r.phase, YM_ROUND_ABORTED);
    assert_string_equal(k.r.reason, "quorum_impossible");
    assert_int_equal(kit_count(&k, YM_ROUND_DO_LOG_ABORT), 1);
    assert_true(kit_sent(&k, 2, YM_ROUND_TASK_CLOSED));
}

static void a_failed_dry_run_keeps_a_site_out(void **state)
{
    struct kit k;
    struct ym_round_event e;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_OPEN);
    e = kit_event(&k, YM_ROUND_EV_CHECKED, 1);
    e.reason = "no_data";
    kit_send(&k, e);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
    assert_false(kit_sent(&k, 1, YM_ROUND_TASK_ROUND));
    assert_string_equal(k.r.site[1].reason, "no_data");
}

static void a_later_approval_joins_at_the_next_round(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    k.plan.start_ms = 1;
    kit_offer(&k);
    kit_say(&k, YM_ROUND_EV_APPROVE, 0);
    kit_say(&k, YM_ROUND_EV_APPROVE, 1);
    kit_sleep(&k, 1);
    kit_tick(&k);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
    kit_say(&k, YM_ROUND_EV_APPROVE, 2);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_READY, 2), YM_DENIED, "not_in_roster");
    for (size_t i = 0; i < 2; i++)
        kit_say(&k, YM_ROUND_EV_READY, i);
    for (size_t i = 0; i < 2; i++) {
        kit_say(&k, YM_ROUND_EV_UPLOAD, i);
        kit_say(&k, YM_ROUND_EV_UPLOADED, i);
    }
    kit_folded(&k, 2);
    kit_tick(&k);
    assert_int_equal(k.r.round, 2);
    assert_true(kit_sent(&k, 2, YM_ROUND_TASK_ROUND));
}

/* ---- quorum and deadlines ---- */

static void the_ready_deadline_goes_on_with_a_quorum(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_DELIVER);
    kit_say(&k, YM_ROUND_EV_READY, 0);
    kit_say(&k, YM_ROUND_EV_READY, 2);
    kit_sleep(&k, 59999);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_READY);
    kit_sleep(&k, 1);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_COLLECT);
    assert_int_equal(k.r.site[1].part, YM_ROUND_LEFT_OUT);
    assert_false(kit_sent(&k, 1, YM_ROUND_TASK_COLLECT));
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_READY, 1), YM_DEADLINE, "late");
}

static void the_ready_deadline_without_a_quorum_fails_the_attempt(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_READY);
    kit_sleep(&k, 60000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    assert_int_equal(k.out.action[0].kind, YM_ROUND_DO_LOG_ABORT);
    assert_false(k.out.action[0].final);
    assert_string_equal(k.out.action[0].reason, "quorum_not_ready");
    assert_int_equal(k.r.round, 1);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN); /* backs off first */
    kit_sleep(&k, 1000);
    kit_tick(&k);
    assert_int_equal(k.r.attempt, 2);
}

static void refusals_fail_the_attempt_at_once(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_DELIVER);
    kit_say(&k, YM_ROUND_EV_DECLINED, 0);
    assert_int_equal(k.r.phase, YM_ROUND_READY);
    assert_string_equal(k.r.site[0].reason, "busy");
    kit_say(&k, YM_ROUND_EV_DECLINED, 1);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
}

static void attempts_run_out_into_a_pause_and_a_resume(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_DELIVER);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        assert_int_equal(k.r.attempt, attempt);
        kit_say(&k, YM_ROUND_EV_DECLINED, 0);
        kit_say(&k, YM_ROUND_EV_DECLINED, 1);
        kit_sleep(&k, 30000);
        kit_tick(&k);
    }
    assert_int_equal(k.r.phase, YM_ROUND_PAUSED);
    assert_string_equal(k.r.reason, "attempts_exhausted");
    assert_string_equal(k.r.site[0].reason, "busy"); /* who said no, and why, is there to be read */
    assert_string_equal(k.r.site[1].reason, "busy");
    assert_string_equal(k.r.site[2].reason, "");
    kit_sleep(&k, 1000000000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_PAUSED);
    kit_say(&k, YM_ROUND_EV_RESUME, 0);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    kit_tick(&k);
    assert_string_equal(k.r.site[0].reason, "");
    assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
    assert_int_equal(k.r.attempt, 4); /* an attempt's number is never used twice */
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_RESUME, 0), YM_CONFLICT, "not_paused");
}

static void the_collect_deadline_folds_what_is_in(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    for (size_t i = 0; i < 2; i++) {
        kit_say(&k, YM_ROUND_EV_UPLOAD, i);
        kit_say(&k, YM_ROUND_EV_UPLOADED, i);
    }
    kit_say(&k, YM_ROUND_EV_UPLOAD, 2);
    kit_sleep(&k, 600000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_FOLD);
    assert_int_equal(k.r.site[2].part, YM_ROUND_LEFT_OUT);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOADED, 2), YM_DEADLINE, "late");
    kit_folded(&k, 2);
    assert_int_equal(k.r.site[2].left_out, 1);
    assert_int_equal(k.r.site[0].left_out, 0);
}

static void the_collect_deadline_without_a_quorum_fails_and_drops_the_spools(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    kit_say(&k, YM_ROUND_EV_UPLOAD, 0);
    kit_say(&k, YM_ROUND_EV_UPLOADED, 0);
    kit_sleep(&k, 600000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    assert_string_equal(k.r.reason, "quorum_not_collected");
    assert_int_equal(kit_count(&k, YM_ROUND_DO_DROP_SPOOLS), 1);
    assert_int_equal(kit_count(&k, YM_ROUND_DO_FOLD), 0);
}

static void a_veto_takes_back_an_update_that_is_not_folded_yet(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    for (size_t i = 0; i < 2; i++) {
        kit_say(&k, YM_ROUND_EV_UPLOAD, i);
        kit_say(&k, YM_ROUND_EV_UPLOADED, i);
    }
    kit_say(&k, YM_ROUND_EV_VETO, 0);
    assert_int_equal(k.r.site[0].part, YM_ROUND_DECLINED);
    assert_int_equal(k.r.phase, YM_ROUND_COLLECT); /* 1 in, 1 coming: still a quorum */
    kit_say(&k, YM_ROUND_EV_UPLOAD, 2);
    kit_say(&k, YM_ROUND_EV_UPLOADED, 2);
    assert_int_equal(k.r.phase, YM_ROUND_FOLD);
    assert_int_equal(k.r.site[1].part, YM_ROUND_COUNTED);
    assert_int_equal(k.r.site[0].part, YM_ROUND_DECLINED);
    kit_say(&k, YM_ROUND_EV_VETO, 1); /* the fold has begun: it counts, and the next round has too few */
    kit_folded(&k, 2);
    assert_int_equal(k.r.phase, YM_ROUND_PUBLISH);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_ABORTED);
    assert_string_equal(k.r.reason, "quorum_impossible");
}

static void pausing_sites_hold_the_next_round_back(void **state)
{
    struct kit k;
    struct ym_round_event e;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_OPEN);
    for (size_t i = 0; i < 2; i++) {
        e = kit_event(&k, YM_ROUND_EV_PAUSE, i);
        e.yes = true;
        kit_send(&k, e);
    }
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    assert_string_equal(k.r.reason, "waiting_for_sites");
    assert_int_equal(k.r.wake_ms, 0);
    e = kit_event(&k, YM_ROUND_EV_PAUSE, 0);
    kit_send(&k, e);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
}

static void a_revoked_site_leaves_at_once_and_is_refused(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    kit_say(&k, YM_ROUND_EV_REVOKED, 1);
    assert_int_equal(k.r.site[1].part, YM_ROUND_DECLINED);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 1), YM_DENIED, "revoked");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_APPROVE, 1), YM_DENIED, "revoked");
    kit_say(&k, YM_ROUND_EV_REVOKED, 0);
    assert_int_equal(k.r.phase, YM_ROUND_ABORTED);
}

/* ---- disk ---- */

static void a_full_disk_opens_no_round(void **state)
{
    struct kit k;
    struct ym_round_event e;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_OPEN);
    e = kit_event(&k, YM_ROUND_EV_DISK, 0);
    e.yes = true;
    kit_send(&k, e);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_PAUSED);
    assert_string_equal(k.r.reason, "disk");
    assert_int_equal(kit_count(&k, YM_ROUND_DO_LOG_OPEN), 0);
    e.yes = false;
    kit_send(&k, e);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_DELIVER);
}

static void a_fold_that_cannot_be_written_is_done_again(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_FOLD);
    kit_say(&k, YM_ROUND_EV_STORE_FAILED, 0);
    assert_int_equal(k.r.phase, YM_ROUND_PAUSED);
    assert_string_equal(k.r.reason, "disk");
    kit_sleep(&k, 30000);
    kit_tick(&k);
    assert_int_equal(k.r.phase, YM_ROUND_FOLD);
    assert_int_equal(kit_count(&k, YM_ROUND_DO_FOLD), 1);
    assert_int_equal(k.r.attempt, 1);
    kit_folded(&k, 2);
    assert_int_equal(k.r.phase, YM_ROUND_PUBLISH);
}

static void a_lost_spool_fails_the_attempt(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_FOLD);
    kit_say(&k, YM_ROUND_EV_SPOOL_LOST, 0);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    assert_string_equal(k.r.reason, "spool_lost");
}

/* ---- what is refused, phase by phase ---- */

enum twist { OLD_ROUND, NEW_ROUND, OLD_ATTEMPT, NEW_ATTEMPT, WRONG_PLAN, WRONG_STATE, WRONG_SITE, NONE };

static struct ym_round_event twisted(const struct kit *k, enum ym_round_event_kind kind, enum twist t)
{
    struct ym_round_event e = kit_event(k, kind, 0);

    switch (t) {
    case OLD_ROUND:
        e.round--;
        e.attempt += 9;
        break;
    case NEW_ROUND:
        e.round++;
        break;
    case OLD_ATTEMPT:
        e.attempt--;
        break;
    case NEW_ATTEMPT:
        e.attempt++;
        break;
    case WRONG_PLAN:
        e.plan[31] ^= 1;
        break;
    case WRONG_STATE:
        e.state[0] ^= 1;
        break;
    case WRONG_SITE:
        e.site = 3;
        break;
    default:
        break;
    }
    return e;
}

struct expectation {
    enum twist twist;
    enum ym_code code;
    const char *reason;
};

static void refuse_all(struct kit *k, enum ym_round_event_kind kind, const struct expectation *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kit_refused(k, twisted(k, kind, x[i].twist), x[i].code, x[i].reason);
}
#define REFUSE_ALL(k, kind, x) refuse_all(k, kind, x, sizeof(x) / sizeof *(x))

static const struct expectation always[] = {
    {OLD_ROUND, YM_DEADLINE, "late"},           {OLD_ATTEMPT, YM_DEADLINE, "late"},
    {NEW_ROUND, YM_INVALID, "wrong_round"},     {NEW_ATTEMPT, YM_INVALID, "wrong_attempt"},
    {WRONG_PLAN, YM_INVALID, "wrong_plan"},     {WRONG_STATE, YM_INVALID, "wrong_state"},
    {WRONG_SITE, YM_NOT_FOUND, "unknown_site"},
};

static void messages_of_another_attempt_are_refused_in_every_phase(void **state)
{
    static const enum ym_round_phase phase[] = {YM_ROUND_DELIVER, YM_ROUND_READY, YM_ROUND_COLLECT, YM_ROUND_FOLD};
    static const enum ym_round_event_kind kind[] = {YM_ROUND_EV_READY, YM_ROUND_EV_CHARGED, YM_ROUND_EV_UPLOAD,
                                                    YM_ROUND_EV_UPLOADED};
    (void)state;
    for (size_t p = 0; p < 4; p++)
        for (size_t i = 0; i < 4; i++) {
            struct kit k;

            kit_init(&k, 3, 2);
            kit_walk(&k, phase[p]);
            REFUSE_ALL(&k, kind[i], always);
        }
}

static void nothing_is_taken_between_attempts(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_DELIVER);
    kit_say(&k, YM_ROUND_EV_DECLINED, 0);
    kit_say(&k, YM_ROUND_EV_DECLINED, 1);
    assert_int_equal(k.r.phase, YM_ROUND_OPEN);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_READY, 2), YM_DEADLINE, "late");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_DECLINED, 2), YM_DEADLINE, "late");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 2), YM_DEADLINE, "late");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_FOLDED, 2), YM_DEADLINE, "late");
}

static void nothing_is_taken_before_the_first_attempt(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_OFFERED);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_READY, 0), YM_INVALID, "wrong_attempt");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 0), YM_INVALID, "wrong_attempt");
}

static void an_upload_before_its_time_is_refused(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_READY); /* a said ready; b and c have not */
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 0), YM_CONFLICT, "not_ready");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 1), YM_CONFLICT, "not_ready");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_CHARGED, 1), YM_CONFLICT, "not_ready");
    kit_say(&k, YM_ROUND_EV_READY, 1);
    kit_say(&k, YM_ROUND_EV_READY, 2);
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOADED, 0), YM_CONFLICT, "not_ready"); /* never began */
}

static void the_shape_of_a_release_is_checked(void **state)
{
    struct kit k;
    struct ym_round_event e;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    e = kit_event(&k, YM_ROUND_EV_UPLOAD, 0);
    e.bytes += 8;
    kit_refused(&k, e, YM_INVALID, "wrong_length");
    e.bytes = 0;
    kit_refused(&k, e, YM_INVALID, "wrong_length");
    e = kit_event(&k, YM_ROUND_EV_UPLOAD, 0);
    e.width_bits--;
    kit_refused(&k, e, YM_INVALID, "wrong_lattice");
    e = kit_event(&k, YM_ROUND_EV_UPLOAD, 0);
    e.scale_bits++;
    kit_refused(&k, e, YM_INVALID, "wrong_lattice");
}

static void one_release_binds_for_the_attempt(void **state)
{
    struct kit k;
    struct ym_round_event other;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    kit_say(&k, YM_ROUND_EV_UPLOAD, 0);
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 0));
    other = kit_event(&k, YM_ROUND_EV_UPLOAD, 0);
    other.release[5] ^= 1;
    kit_refused(&k, other, YM_CONFLICT, "other_bytes");
    other.kind = YM_ROUND_EV_UPLOADED;
    kit_refused(&k, other, YM_CONFLICT, "other_bytes");
    kit_say(&k, YM_ROUND_EV_UPLOADED, 0);
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_UPLOADED, 0));
    other.kind = YM_ROUND_EV_UPLOAD;
    kit_refused(&k, other, YM_CONFLICT, "other_bytes");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_DECLINED, 0), YM_DEADLINE, "late"); /* it is released and here */
}

static void a_counted_update_is_counted_once_whatever_is_sent_again(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_FOLD);
    for (size_t i = 0; i < 3; i++) {
        kit_repeated(&k, kit_event(&k, YM_ROUND_EV_UPLOADED, i));
        kit_repeated(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, i));
    }
}

static void a_decline_is_final_for_the_attempt(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_DELIVER);
    kit_say(&k, YM_ROUND_EV_DECLINED, 0);
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_DECLINED, 0));
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_READY, 0), YM_CONFLICT, "declined");
    kit_refused(&k, kit_event(&k, YM_ROUND_EV_UPLOAD, 0), YM_CONFLICT, "declined");
}

static void repeated_words_are_answered_and_change_nothing(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_READY);
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_READY, 0));
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_APPROVE, 0));
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_PAUSE, 0)); /* was not paused */
    kit_repeated(&k, kit_event(&k, YM_ROUND_EV_OFFER, 0));
}

static void another_plan_is_not_decided_upon(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_offer(&k);
    kit_refused(&k, twisted(&k, YM_ROUND_EV_APPROVE, WRONG_PLAN), YM_INVALID, "wrong_plan");
    kit_refused(&k, twisted(&k, YM_ROUND_EV_VETO, WRONG_PLAN), YM_INVALID, "wrong_plan");
    kit_refused(&k, twisted(&k, YM_ROUND_EV_CHECKED, WRONG_PLAN), YM_INVALID, "wrong_plan");
}

static void an_ended_study_answers_ended(void **state)
{
    static const enum ym_round_event_kind kind[] = {
        YM_ROUND_EV_APPROVE, YM_ROUND_EV_VETO,   YM_ROUND_EV_PAUSE,    YM_ROUND_EV_READY,  YM_ROUND_EV_DECLINED,
        YM_ROUND_EV_UPLOAD,  YM_ROUND_EV_FOLDED, YM_ROUND_EV_UPLOADED, YM_ROUND_EV_CANCEL, YM_ROUND_EV_RESUME};
    struct kit k;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_FOLD);
    kit_say(&k, YM_ROUND_EV_CANCEL, 0);
    assert_int_equal(k.r.phase, YM_ROUND_ABORTED);
    assert_string_equal(k.r.reason, "cancelled");
    assert_int_equal(kit_count(&k, YM_ROUND_DO_LOG_GIVEN), 1);
    assert_int_equal(kit_count(&k, YM_ROUND_DO_DROP_SPOOLS), 1);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        kit_refused(&k, kit_event(&k, kind[i], 0), YM_CONFLICT, "ended");
}

/* ---- restart ---- */

static void a_restart_in_each_phase_goes_on_with_the_same_attempt(void **state)
{
    static const enum ym_round_phase phase[] = {YM_ROUND_OFFERED, YM_ROUND_OPEN,    YM_ROUND_DELIVER,
                                                YM_ROUND_READY,   YM_ROUND_COLLECT, YM_ROUND_FOLD};
    (void)state;
    for (size_t i = 0; i < sizeof phase / sizeof *phase; i++) {
        struct kit k;
        struct ym_round back;
        struct ym_buf kept = {0};

        kit_init(&k, 3, 2);
        kit_walk(&k, phase[i]);
        assert_int_equal(ym_round_save(&k.r, &kept, NULL), YM_OK);
        assert_int_equal(ym_round_load(&k.plan, (struct ym_bytes){kept.data, kept.len}, &back, NULL), YM_OK);
        k.r.wake_ms = 0;
        assert_memory_equal(&back, &k.r, sizeof back);
        kit_sleep(&k, 100000000);
        kit_say(&k, YM_ROUND_EV_RESTART, 0);
        assert_int_equal(k.r.phase, phase[i]);
        assert_false(k.out.durable);
        assert_int_equal(kit_count(&k, YM_ROUND_DO_FOLD), phase[i] == YM_ROUND_FOLD);
        if (phase[i] == YM_ROUND_DELIVER || phase[i] == YM_ROUND_READY)
            assert_int_equal(k.r.wake_ms, k.now.mono_ms + 60000); /* armed afresh */
        if (phase[i] == YM_ROUND_COLLECT)
            assert_int_equal(k.r.wake_ms, k.now.mono_ms + 600000);
        ym_buf_release(&kept);
    }
}

static void open_tasks_are_what_a_site_has_not_answered(void **state)
{
    struct kit k;
    enum ym_round_task task;
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_READY);
    assert_false(ym_round_open_task(&k.r, 0, &task));
    assert_true(ym_round_open_task(&k.r, 1, &task));
    assert_int_equal(task, YM_ROUND_TASK_ROUND);
    kit_say(&k, YM_ROUND_EV_READY, 1);
    kit_say(&k, YM_ROUND_EV_DECLINED, 2);
    assert_int_equal(k.r.phase, YM_ROUND_COLLECT);
    assert_true(ym_round_open_task(&k.r, 0, &task));
    assert_int_equal(task, YM_ROUND_TASK_COLLECT);
    assert_false(ym_round_open_task(&k.r, 2, &task));
    kit_say(&k, YM_ROUND_EV_UPLOAD, 0);
    assert_true(ym_round_open_task(&k.r, 0, &task)); /* bytes may still be missing */
    kit_say(&k, YM_ROUND_EV_UPLOADED, 0);
    assert_false(ym_round_open_task(&k.r, 0, &task));
}

static void damaged_kept_states_are_corrupt(void **state)
{
    static const char *const bad[] = {"", "{", "{}", "[]", "{\"v\":2}", "null"};
    struct kit k;
    struct ym_round untouched;
    struct ym_buf kept = {0};
    (void)state;
    kit_init(&k, 3, 2);
    kit_walk(&k, YM_ROUND_COLLECT);
    untouched = k.r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ym_round_load(&k.plan, (struct ym_bytes){(const uint8_t *)bad[i], strlen(bad[i])}, &k.r, NULL),
                         YM_CORRUPT);
    assert_int_equal(ym_round_save(&k.r, &kept, NULL), YM_OK);
    k.plan.site_count = 2;
    assert_int_equal(ym_round_load(&k.plan, (struct ym_bytes){kept.data, kept.len}, &k.r, NULL), YM_CORRUPT);
    k.plan.site_count = 3;
    k.site[1].name[0] = 'x';
    assert_int_equal(ym_round_load(&k.plan, (struct ym_bytes){kept.data, kept.len}, &k.r, NULL), YM_CORRUPT);
    assert_memory_equal(&untouched, &k.r, sizeof untouched);
    ym_buf_release(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_goes_its_whole_way),
        cmocka_unit_test(a_study_stops_with_the_state_that_says_so),
        cmocka_unit_test(phases_have_names),
        cmocka_unit_test(a_study_waits_for_the_last_decision),
        cmocka_unit_test(a_start_time_starts_with_a_quorum),
        cmocka_unit_test(a_start_time_does_not_start_early),
        cmocka_unit_test(vetoes_that_break_the_quorum_abort),
        cmocka_unit_test(a_failed_dry_run_keeps_a_site_out),
        cmocka_unit_test(a_later_approval_joins_at_the_next_round),
        cmocka_unit_test(the_ready_deadline_goes_on_with_a_quorum),
        cmocka_unit_test(the_ready_deadline_without_a_quorum_fails_the_attempt),
        cmocka_unit_test(refusals_fail_the_attempt_at_once),
        cmocka_unit_test(attempts_run_out_into_a_pause_and_a_resume),
        cmocka_unit_test(the_collect_deadline_folds_what_is_in),
        cmocka_unit_test(the_collect_deadline_without_a_quorum_fails_and_drops_the_spools),
        cmocka_unit_test(a_veto_takes_back_an_update_that_is_not_folded_yet),
        cmocka_unit_test(pausing_sites_hold_the_next_round_back),
        cmocka_unit_test(a_revoked_site_leaves_at_once_and_is_refused),
        cmocka_unit_test(a_full_disk_opens_no_round),
        cmocka_unit_test(a_fold_that_cannot_be_written_is_done_again),
        cmocka_unit_test(a_lost_spool_fails_the_attempt),
        cmocka_unit_test(messages_of_another_attempt_are_refused_in_every_phase),
        cmocka_unit_test(nothing_is_taken_between_attempts),
        cmocka_unit_test(nothing_is_taken_before_the_first_attempt),
        cmocka_unit_test(an_upload_before_its_time_is_refused),
        cmocka_unit_test(the_shape_of_a_release_is_checked),
        cmocka_unit_test(one_release_binds_for_the_attempt),
        cmocka_unit_test(a_counted_update_is_counted_once_whatever_is_sent_again),
        cmocka_unit_test(a_decline_is_final_for_the_attempt),
        cmocka_unit_test(repeated_words_are_answered_and_change_nothing),
        cmocka_unit_test(another_plan_is_not_decided_upon),
        cmocka_unit_test(an_ended_study_answers_ended),
        cmocka_unit_test(a_restart_in_each_phase_goes_on_with_the_same_attempt),
        cmocka_unit_test(open_tasks_are_what_a_site_has_not_answered),
        cmocka_unit_test(damaged_kept_states_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

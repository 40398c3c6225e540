#ifndef YM_TESTS_ROUND_KIT_H
#define YM_TESTS_ROUND_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "coordinator/round/round.h"

/* A study of three hospitals a b c, quorum 2, two rounds, on a clock of its own. */

#define KIT_DIM 5

struct kit {
    struct ym_plan plan;
    struct ym_plan_site site[8];
    struct ym_round r;
    struct ym_round_actions out;
    struct ym_round_time now;
};

static inline void kit_init(struct kit *k, size_t sites, uint32_t quorum)
{
    memset(k, 0, sizeof *k);
    strcpy(k->plan.study, "s1");
    strcpy(k->plan.sponsor, "acme");
    k->plan.site = k->site;
    k->plan.site_count = sites;
    for (size_t i = 0; i < sites; i++) {
        k->site[i].name[0] = (char)('a' + i);
        k->site[i].weight = (uint32_t)i + 1;
    }
    k->plan.quorum = quorum;
    k->plan.rounds = 2;
    k->plan.max_attempts = 3;
    k->plan.ready_ms = 60000;
    k->plan.collect_ms = 600000;
    k->plan.update_scale_bits = 20;
    k->plan.update_width_bits = 40;
    memset(k->plan.hash, 7, YM_HASH_BYTES);
    k->now = (struct ym_round_time){1700000000, 5000};
    ym_round_init(&k->r, &k->plan);
}

static inline void kit_sleep(struct kit *k, int64_t ms)
{
    k->now.mono_ms += ms;
    k->now.wall_s = 1700000000 + k->now.mono_ms / 1000;
}

/* An event that fits the present in all it names. */
static inline struct ym_round_event kit_event(const struct kit *k, enum ym_round_event_kind kind, size_t site)
{
    struct ym_round_event e = {.kind = kind, .site = site, .round = k->r.round, .attempt = k->r.attempt};

    e.reason = "busy";
    e.bytes = 8 * KIT_DIM;
    e.dim = KIT_DIM;
    e.scale_bits = k->plan.update_scale_bits;
    e.width_bits = k->plan.update_width_bits;
    memcpy(e.plan, k->plan.hash, YM_HASH_BYTES);
    memcpy(e.state, k->r.state, YM_HASH_BYTES);
    memset(e.release, (int)(16 + site), YM_HASH_BYTES);
    return e;
}

static inline enum ym_code kit_send(struct kit *k, struct ym_round_event e)
{
    ym_round_step(&k->r, &e, k->now, &k->out);
    return k->out.code;
}

static inline enum ym_code kit_say(struct kit *k, enum ym_round_event_kind kind, size_t site)
{
    return kit_send(k, kit_event(k, kind, site));
}

static inline void kit_tick(struct kit *k)
{
    kit_say(k, YM_ROUND_EV_TICK, 0);
}

/* Refused by this code and word, and nothing changed. */
static inline void kit_refused(struct kit *k, struct ym_round_event e, enum ym_code code, const char *reason)
{
    struct ym_round before = k->r;

    kit_send(k, e);
    if (k->out.code != code || strcmp(k->out.reason, reason) != 0)
        fail_msg("event %d: got %s '%s', wanted %s '%s'", e.kind, ym_code_name(k->out.code), k->out.reason,
                 ym_code_name(code), reason);
    assert_memory_equal(&before, &k->r, sizeof before);
    assert_int_equal(k->out.count, 0);
    assert_false(k->out.durable);
}

/* Taken as said before: YM_OK, "repeated", nothing changed. */
static inline void kit_repeated(struct kit *k, struct ym_round_event e)
{
    kit_refused(k, e, YM_OK, "repeated");
}

static inline size_t kit_count(const struct kit *k, enum ym_round_action_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < k->out.count; i++)
        n += k->out.action[i].kind == kind;
    return n;
}

static inline bool kit_sent(const struct kit *k, size_t site, enum ym_round_task task)
{
    for (size_t i = 0; i < k->out.count; i++)
        if (k->out.action[i].kind == YM_ROUND_DO_SEND && k->out.action[i].site == site && k->out.action[i].task == task)
            return true;
    return false;
}

static inline void kit_offer(struct kit *k)
{
    struct ym_round_event e = kit_event(k, YM_ROUND_EV_OFFER, 0);

    memset(e.state, 1, YM_HASH_BYTES);
    assert_int_equal(kit_send(k, e), YM_OK);
}

/* Walk to a phase of round 1, attempt 1, everybody willing and answering. */
static inline void kit_walk(struct kit *k, enum ym_round_phase to)
{
    kit_offer(k);
    if (to == YM_ROUND_OFFERED)
        return;
    for (size_t i = 0; i < k->plan.site_count; i++)
        assert_int_equal(kit_say(k, YM_ROUND_EV_APPROVE, i), YM_OK);
    assert_int_equal(k->r.phase, YM_ROUND_OPEN);
    if (to == YM_ROUND_OPEN)
        return;
    kit_tick(k);
    assert_int_equal(k->r.phase, YM_ROUND_DELIVER);
    if (to == YM_ROUND_DELIVER)
        return;
    for (size_t i = 0; i < k->plan.site_count; i++) {
        assert_int_equal(kit_say(k, YM_ROUND_EV_READY, i), YM_OK);
        if (to == YM_ROUND_READY)
            return;
    }
    assert_int_equal(k->r.phase, YM_ROUND_COLLECT);
    if (to == YM_ROUND_COLLECT)
        return;
    for (size_t i = 0; i < k->plan.site_count; i++) {
        assert_int_equal(kit_say(k, YM_ROUND_EV_UPLOAD, i), YM_OK);
        assert_int_equal(kit_say(k, YM_ROUND_EV_UPLOADED, i), YM_OK);
    }
    assert_int_equal(k->r.phase, YM_ROUND_FOLD);
}

static inline void kit_folded(struct kit *k, int state)
{
    struct ym_round_event e = kit_event(k, YM_ROUND_EV_FOLDED, 0);

    memset(e.state, state, YM_HASH_BYTES);
    memset(e.sum, state + 1, YM_HASH_BYTES);
    assert_int_equal(kit_send(k, e), YM_OK);
}

#endif

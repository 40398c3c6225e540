#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/round/round.h"
#include "coordinator/store/store.h"

/* Thousands of studies on a seeded clock. Hospitals say what they like, in any
 * order, late, twice, wrongly; commits fail; the hub dies between any two
 * moments and comes back from the real store. A failure prints its seed: run
 * again with YM_SEED=<seed>. */

#define SEEDS 4000
#define STEPS 160
#define SITES_MAX 6
#define DIM 3

struct world {
    uint64_t seed, rng;
    struct ym_store *store;
    struct ym_plan plan;
    struct ym_plan_site site[SITES_MAX];
    struct ym_round r;
    struct ym_round_actions out;
    struct ym_round_time now;
    bool fresh;
    /* the disk */
    uint32_t opened_round, opened_attempt; /* newest round_open that was kept */
    uint32_t results;                      /* round_results kept */
    uint32_t counted[SITES_MAX];           /* results that counted the site */
    bool final_abort;
    /* the works thread */
    bool folding;
    uint32_t fold_round, fold_attempt;
};

static uint64_t next(struct world *w)
{
    uint64_t z = w->rng += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t below(struct world *w, uint32_t n)
{
    return (uint32_t)(next(w) % n);
}

static bool chance(struct world *w, uint32_t one_in)
{
    return below(w, one_in) == 0;
}

#define HOLD(w, x)                                                                                                     \
    do {                                                                                                               \
        if (!(x))                                                                                                      \
            fail_msg("seed %" PRIu64 ": %s (phase %s round %u attempt %u)", (w)->seed, #x,                             \
                     ym_round_phase_name((w)->r.phase), (w)->r.round, (w)->r.attempt);                                 \
    } while (0)

/* ---- the shell ---- */

static void check_result(struct world *w, const struct ym_round *r)
{
    uint32_t in = 0;

    HOLD(w, r->round == w->results + 1); /* one result a round, in order */
    HOLD(w, r->round == w->opened_round && r->attempt == w->opened_attempt);
    w->results++;
    for (size_t i = 0; i < w->plan.site_count; i++)
        if (r->site[i].part == YM_ROUND_COUNTED) {
            w->counted[i]++;
            in++;
            HOLD(w, w->counted[i] <= w->results);
        }
    HOLD(w, in >= w->plan.quorum);
}

static size_t count_parts(const struct ym_round *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->plan->site_count; i++)
        n += r->site[i].part == YM_ROUND_UPLOADING || r->site[i].part == YM_ROUND_COUNTED;
    return r->phase == YM_ROUND_PUBLISH ? 0 : n;
}

static bool has(const struct world *w, enum ym_round_action_kind kind)
{
    for (size_t i = 0; i < w->out.count; i++)
        if (w->out.action[i].kind == kind)
            return true;
    return false;
}

static void check_durable(struct world *w, const struct ym_round *r)
{
    for (size_t i = 0; i < w->out.count; i++) {
        const struct ym_round_action *a = &w->out.action[i];

        if (a->kind == YM_ROUND_DO_LOG_OPEN) {
            /* an attempt's number is never used twice */
            HOLD(w, r->round > w->opened_round || (r->round == w->opened_round && r->attempt > w->opened_attempt));
            w->opened_round = r->round;
            w->opened_attempt = r->attempt;
        } else if (a->kind == YM_ROUND_DO_LOG_RESULT) {
            check_result(w, r);
        } else if (a->kind == YM_ROUND_DO_LOG_ABORT) {
            HOLD(w, !w->final_abort);
            w->final_abort = a->final;
            if (w->opened_attempt && r->attempt && count_parts(&w->r)) /* nothing of it stays on the disk */
                HOLD(w, has(w, YM_ROUND_DO_DROP_SPOOLS));
        }
    }
}

static bool keep(struct world *w, const struct ym_round *r)
{
    struct ym_store_study y = {.phase = r->phase, .round = r->round, .attempt = r->attempt};
    struct ym_buf kept = {0};
    struct ym_bytes bytes;

    strcpy(y.study, w->plan.study);
    strcpy(y.sponsor, "acme");
    assert_int_equal(ym_round_save(r, &kept, NULL), YM_OK);
    bytes = (struct ym_bytes){kept.data, kept.len};
    assert_int_equal(w->store->ops->begin(w->store, NULL), YM_OK);
    if (w->fresh)
        assert_int_equal(w->store->ops->put_study(w->store, &y, bytes, bytes, NULL), YM_OK);
    else
        assert_int_equal(w->store->ops->set_study(w->store, &y, bytes, NULL), YM_OK);
    ym_buf_release(&kept);
    if (chance(w, 25)) { /* the disk said no */
        w->store->ops->abort(w->store);
        return false;
    }
    assert_int_equal(w->store->ops->commit(w->store, NULL), YM_OK);
    w->fresh = false;
    return true;
}

static void carry_out(struct world *w)
{
    for (size_t i = 0; i < w->out.count; i++) {
        const struct ym_round_action *a = &w->out.action[i];

        if (a->kind == YM_ROUND_DO_SEND && a->task == YM_ROUND_TASK_ROUND)
            HOLD(w, a->round == w->opened_round && a->attempt == w->opened_attempt); /* never before its leaf */
        if (a->kind == YM_ROUND_DO_SEND && a->task == YM_ROUND_TASK_COLLECT)
            HOLD(w, w->r.site[a->site].part == YM_ROUND_SAID_READY);
        if (a->kind == YM_ROUND_DO_FOLD) {
            w->folding = true;
            w->fold_round = a->round;
            w->fold_attempt = a->attempt;
        }
    }
}

static void apply(struct world *w, const struct ym_round_event *e)
{
    struct ym_round copy = w->r;

    ym_round_step(&copy, e, w->now, &w->out);
    if (w->out.code != YM_OK || (!w->out.durable && !w->out.changed && e->kind != YM_ROUND_EV_TICK &&
                                 e->kind != YM_ROUND_EV_RESTART && e->kind != YM_ROUND_EV_DISK)) {
        HOLD(w, memcmp(&copy, &w->r, sizeof copy) == 0);
        HOLD(w, w->out.count == 0 || e->kind == YM_ROUND_EV_RESTART);
        return;
    }
    if (w->out.durable && !keep(w, &copy))
        return;
    if (w->out.durable)
        check_durable(w, &copy);
    else
        for (size_t i = 0; i < w->out.count; i++) /* only what may be done again */
            HOLD(w, w->out.action[i].kind == YM_ROUND_DO_FOLD);
    w->r = copy;
    if (!chance(w, 30)) /* else it dies before the effects */
        carry_out(w);
    else
        w->folding = false;
}

/* Die and come back: what was kept is what was, clocks and wires aside. */
static void restart(struct world *w)
{
    struct ym_round_event e = {.kind = YM_ROUND_EV_RESTART};
    struct ym_store_study y;
    struct ym_buf leaf = {0}, kept = {0}, again = {0};
    struct ym_round back;

    if (w->fresh)
        return;
    assert_int_equal(w->store->ops->get_study(w->store, w->plan.study, &y, &leaf, &kept, NULL), YM_OK);
    assert_int_equal(ym_round_save(&w->r, &again, NULL), YM_OK);
    HOLD(w, again.len == kept.len && memcmp(again.data, kept.data, kept.len) == 0);
    assert_int_equal(ym_round_load(&w->plan, (struct ym_bytes){kept.data, kept.len}, &back, NULL), YM_OK);
    w->r = back;
    w->folding = false;
    w->now.mono_ms = below(w, 1000000); /* another boot */
    ym_buf_release(&leaf);
    ym_buf_release(&kept);
    ym_buf_release(&again);
    apply(w, &e);
    HOLD(w, w->r.phase == back.phase && w->r.round == back.round && w->r.attempt == back.attempt);
    if (w->r.phase == YM_ROUND_FOLD)
        carry_out(w); /* apply may have "died" again; the next start asks again */
}

/* ---- what happens ---- */

static struct ym_round_event event(struct world *w, enum ym_round_event_kind kind, size_t site)
{
    struct ym_round_event e = {.kind = kind, .site = site, .round = w->r.round, .attempt = w->r.attempt};

    e.reason = "busy";
    e.bytes = 8 * DIM;
    e.dim = DIM;
    e.scale_bits = w->plan.update_scale_bits;
    e.width_bits = w->plan.update_width_bits;
    memcpy(e.plan, w->plan.hash, YM_HASH_BYTES);
    memcpy(e.state, w->r.state, YM_HASH_BYTES);
    memset(e.release, (int)(16 + site), YM_HASH_BYTES);
    return e;
}

static void say(struct world *w, enum ym_round_event_kind kind, size_t site, bool yes)
{
    struct ym_round_event e = event(w, kind, site);

    e.yes = yes;
    apply(w, &e);
}

static void twist(struct world *w, struct ym_round_event *e)
{
    switch (below(w, 8)) {
    case 0:
        e->round += below(w, 3) - 1;
        break;
    case 1:
        e->attempt += below(w, 3) - 1;
        break;
    case 2:
        e->plan[below(w, 32)] ^= 1;
        break;
    case 3:
        e->state[below(w, 32)] ^= 1;
        break;
    case 4:
        e->release[below(w, 32)] ^= 1;
        break;
    case 5:
        e->bytes += 8;
        break;
    case 6:
        e->site = below(w, SITES_MAX + 2);
        break;
    default:
        e->width_bits++;
    }
}

static void finish_fold(struct world *w)
{
    struct ym_round_event e = {.kind = YM_ROUND_EV_FOLDED, .round = w->fold_round, .attempt = w->fold_attempt};

    if (!w->folding)
        return;
    w->folding = false;
    if (chance(w, 10))
        e.kind = chance(w, 2) ? YM_ROUND_EV_STORE_FAILED : YM_ROUND_EV_SPOOL_LOST;
    if (e.kind == YM_ROUND_EV_FOLDED && chance(w, 8)) { /* one of an attempt long over comes first */
        struct ym_round_event old = e;

        old.attempt--;
        memset(old.state, 77, YM_HASH_BYTES);
        apply(w, &old);
        HOLD(w, w->out.code == YM_DEADLINE || w->out.code == YM_CONFLICT);
    }
    memset(e.state, (int)(w->fold_round + 1), YM_HASH_BYTES);
    memset(e.sum, (int)(w->fold_round + 100), YM_HASH_BYTES);
    apply(w, &e);
    if (e.kind == YM_ROUND_EV_FOLDED && w->r.phase == YM_ROUND_FOLD)
        w->folding = true; /* not kept: the shell tries again */
}

static void sleep_some(struct world *w)
{
    int64_t ms = chance(w, 4) ? below(w, 200000) : below(w, 3000);

    w->now.mono_ms += ms;
    w->now.wall_s += chance(w, 20) ? (int64_t)below(w, 7200) - 3600 : ms / 1000; /* wall clocks jump */
    if (w->now.wall_s < 0)
        w->now.wall_s = 0;
    say(w, YM_ROUND_EV_TICK, 0, false);
}

static void site_moves(struct world *w)
{
    static const enum ym_round_event_kind usual[] = {
        YM_ROUND_EV_APPROVE, YM_ROUND_EV_READY,     YM_ROUND_EV_READY,        YM_ROUND_EV_UPLOAD,
        YM_ROUND_EV_UPLOAD,  YM_ROUND_EV_UPLOADED,  YM_ROUND_EV_UPLOADED,     YM_ROUND_EV_CHARGED,
        YM_ROUND_EV_CHECKED, YM_ROUND_EV_CONNECTED, YM_ROUND_EV_DISCONNECTED, YM_ROUND_EV_DECLINED};
    struct ym_round_event e =
        event(w, usual[below(w, sizeof usual / sizeof *usual)], below(w, (uint32_t)w->plan.site_count));

    e.yes = !chance(w, 10);
    if (chance(w, 60))
        e.kind = YM_ROUND_EV_VETO;
    else if (chance(w, 60))
        e.kind = YM_ROUND_EV_PAUSE;
    else if (chance(w, 300))
        e.kind = YM_ROUND_EV_REVOKED;
    if (e.kind == YM_ROUND_EV_PAUSE)
        e.yes = chance(w, 2);
    if (chance(w, 6))
        twist(w, &e);
    apply(w, &e);
}

static void move(struct world *w)
{
    switch (below(w, 16)) {
    case 0:
    case 1:
        sleep_some(w);
        break;
    case 2:
        finish_fold(w);
        break;
    case 3:
        if (chance(w, 4))
            restart(w);
        break;
    case 4:
        if (chance(w, 8))
            say(w, YM_ROUND_EV_DISK, 0, chance(w, 2));
        break;
    case 5:
        if (chance(w, 5))
            say(w, YM_ROUND_EV_RESUME, 0, false);
        else if (chance(w, 60))
            say(w, YM_ROUND_EV_CANCEL, 0, false);
        break;
    default:
        site_moves(w);
    }
}

/* ---- the calm after: everybody who is willing answers ---- */

static void calm_site(struct world *w, size_t i)
{
    const struct ym_round_site *s = &w->r.site[i];

    if (s->paused)
        say(w, YM_ROUND_EV_PAUSE, i, false);
    if (s->decision == YM_ROUND_UNDECIDED || s->dry_run_failed)
        say(w, YM_ROUND_EV_APPROVE, i, true);
    if (s->part == YM_ROUND_AWAITED)
        say(w, YM_ROUND_EV_READY, i, true);
    if (w->r.phase == YM_ROUND_COLLECT && s->part == YM_ROUND_SAID_READY)
        say(w, YM_ROUND_EV_UPLOAD, i, true);
    if (w->r.phase == YM_ROUND_COLLECT && s->part == YM_ROUND_UPLOADING) {
        struct ym_round_event e = event(w, YM_ROUND_EV_UPLOADED, i);

        memcpy(e.release, s->release, YM_HASH_BYTES);
        apply(w, &e);
    }
}

static void calm_down(struct world *w)
{
    for (int i = 0; i < 3000 && !ym_round_ended(&w->r); i++) {
        if (w->r.disk_low)
            say(w, YM_ROUND_EV_DISK, 0, false);
        for (size_t s = 0; s < w->plan.site_count; s++)
            calm_site(w, s);
        finish_fold(w);
        if (w->r.phase == YM_ROUND_FOLD && !w->folding)
            restart(w); /* its work was lost in a death */
        say(w, YM_ROUND_EV_RESUME, 0, false);
        w->now.mono_ms += 5000;
        say(w, YM_ROUND_EV_TICK, 0, false);
    }
    HOLD(w, ym_round_ended(&w->r));
    HOLD(w, (w->r.phase == YM_ROUND_DONE) == (w->results == w->plan.rounds));
    HOLD(w, (w->r.phase == YM_ROUND_ABORTED) == w->final_abort);
}

static void make_world(struct world *w, uint64_t seed, struct ym_store *store)
{
    memset(w, 0, sizeof *w);
    w->seed = w->rng = seed;
    w->store = store;
    w->fresh = true;
    snprintf(w->plan.study, sizeof w->plan.study, "s%" PRIu64, seed);
    w->plan.site = w->site;
    w->plan.site_count = 1 + below(w, SITES_MAX);
    for (size_t i = 0; i < w->plan.site_count; i++)
        snprintf(w->site[i].name, sizeof w->site[i].name, "h%zu", i);
    w->plan.quorum = 1 + below(w, (uint32_t)w->plan.site_count);
    w->plan.rounds = 1 + below(w, 4);
    w->plan.max_attempts = 1 + below(w, 3);
    w->plan.ready_ms = 1000 + below(w, 60000);
    w->plan.collect_ms = 1000 + below(w, 60000);
    w->plan.start_ms = chance(w, 2) ? 0 : 1000 + below(w, 60000);
    w->plan.update_scale_bits = 20;
    w->plan.update_width_bits = 40;
    memset(w->plan.hash, 9, YM_HASH_BYTES);
    w->now = (struct ym_round_time){1700000000, 1000};
    ym_round_init(&w->r, &w->plan);
    while (w->fresh) { /* the first commit may fail too */
        struct ym_round_event e = event(w, YM_ROUND_EV_OFFER, 0);

        memset(e.state, 1, YM_HASH_BYTES);
        apply(w, &e);
    }
}

static enum ym_round_phase run_seed(uint64_t seed, struct ym_store *store)
{
    struct world *w = malloc(sizeof *w);
    enum ym_round_phase phase;

    assert_non_null(w);
    make_world(w, seed, store);
    for (int i = 0; i < STEPS && !ym_round_ended(&w->r); i++)
        move(w);
    calm_down(w);
    phase = w->r.phase;
    free(w);
    return phase;
}

static void studies_survive_whatever_happens(void **state)
{
    char dir[] = "/dev/shm/yumen-sim-XXXXXX", command[64];
    const char *one = getenv("YM_SEED");
    struct ym_store *store = NULL;
    size_t done = 0, aborted = 0;
    (void)state;
    if (!mkdtemp(dir)) {
        strcpy(dir, "/tmp/yumen-sim-XXXXXX");
        assert_non_null(mkdtemp(dir));
    }
    assert_int_equal(ym_store_open_sqlite(dir, true, &store, NULL), YM_OK);
    if (one)
        run_seed(strtoull(one, NULL, 10), store);
    for (uint64_t seed = 1; !one && seed <= SEEDS; seed++) {
        enum ym_round_phase phase = run_seed(seed, store);

        done += phase == YM_ROUND_DONE;
        aborted += phase == YM_ROUND_ABORTED;
    }
    ym_store_close(&store);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    printf("%zu done, %zu aborted of %d seeds\n", done, aborted, SEEDS);
    if (!one) { /* the storm must be neither harmless nor always deadly */
        assert_true(done > SEEDS / 10);
        assert_true(aborted > SEEDS / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(studies_survive_whatever_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

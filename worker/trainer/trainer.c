#include "worker/trainer/trainer.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "models/model.h"
#include "worker/trainer/trainer_internal.h"

enum { POLL_MS = 200, QUIET_MS = 1000 };

/* ---- facts for the core ---- */

static int64_t world_now(void *ctx)
{
    (void)ctx;
    return ym_clock_unix();
}

static bool world_sandboxed(void *ctx)
{
    const struct ym_trainer *t = ctx;

    return t->sandbox.seccomp && (t->sandbox.landlock_abi > 0 || !t->site.require_landlock);
}

static bool world_state(void *ctx, const uint8_t hash[YM_HASH_BYTES])
{
    return ym_trainer_have_state(ctx, hash);
}

static bool world_data(void *ctx, const char *dataset)
{
    char path[YM_SITE_PATH];

    return ym_trainer_data_path(ctx, dataset, path) == YM_OK && ym_fs_exists(path);
}

static bool world_disk(void *ctx, const struct ym_plan *plan)
{
    struct ym_model m;

    return ym_model_from_plan(plan, &m, NULL) == YM_OK &&
           ym_trainer_disk_ok(ctx, 8 * (uint64_t)ym_model_update_dim(&m));
}

static enum ym_core_log world_log(void *ctx, const char *study, uint32_t round, uint32_t attempt)
{
    const struct ym_trainer *t = ctx;

    if (ym_watch_halted(t->watch))
        return YM_CORE_LOG_HALTED;
    return ym_watch_opened(t->watch, study, round, attempt) ? YM_CORE_LOG_SEEN : YM_CORE_LOG_WAIT;
}

static enum ym_code world_budget(void *ctx, const struct ym_plan *plan, const char *dataset, uint32_t round,
                                 struct ym_status *st)
{
    const struct ym_trainer *t = ctx;
    int64_t alone, after;

    return ym_door_may_charge(t->door, plan, dataset, round, ym_clock_unix(), &alone, &after, st);
}

static enum ym_code world_border(void *ctx, const struct ym_plan *plan, const char *dataset, struct ym_status *st)
{
    return ym_trainer_may_cross(ctx, plan, dataset, st);
}

static enum ym_code world_policy(void *ctx, const struct ym_plan *plan, uint32_t round, struct ym_status *st)
{
    return ym_trainer_policy_runs(ctx, plan, round, st);
}

/* ---- start ---- */

/* A walk over the ledger and how it went. */
struct stored {
    struct ym_trainer *t;
    struct ym_status *st;
    enum ym_code code;
};

static bool fold_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct stored *s = ctx;

    s->code = ym_trainer_take(s->t, index, leaf, s->st);
    return s->code == YM_OK;
}

static enum ym_code open_ledger(struct ym_trainer *t, struct ym_status *st)
{
    enum ym_code code = ym_site_ledger(&t->site, t->key, &t->ledger, st);

    if (code == YM_OK && ym_ledger_size(t->ledger) == 0)
        code = ym_status_set(st, YM_CORRUPT, "the ledger is empty: bring its newest copy back");
    if (code == YM_OK)
        code = ym_budget_fold(t->ledger, &t->budget, st);
    if (code == YM_OK && !(t->us = ym_us_new(&t->site, t->salt)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    return code == YM_OK ? ym_meter_fold(&t->site, t->salt, t->ledger, &t->meter, st) : code;
}

static enum ym_code fold_core(struct ym_trainer *t, struct ym_status *st)
{
    struct stored s = {t, st, YM_OK};
    enum ym_code code = ym_trainer_load_plans(t, st); /* first: pauses go to studies by name */

    if (code == YM_OK)
        code = ym_ledger_each(t->ledger, 0, fold_leaf, &s, st);
    return code == YM_OK ? s.code : code;
}

/* Outbox files of releases that still count stay; all others go. */
static enum ym_code sweep_outbox(struct ym_trainer *t, struct ym_status *st)
{
    size_t count = 0, n = ym_core_study_count(t->core);
    struct ym_bytes *keep = calloc(2 * n + 1, sizeof *keep);
    enum ym_code code;

    if (!keep)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    for (size_t i = 0; i < n; i++) {
        struct ym_core_study *s = ym_core_study_at(t->core, i);

        if (!s->closed && s->decision != YM_VETOED && s->release_line.len > 0)
            keep[count++] = ym_buf_bytes(&s->charge_line);
        else
            s->release_over = true;
        if (ym_trainer_needs_last(s))
            keep[count++] = ym_buf_bytes(&s->last_charge);
    }
    code = ym_door_sweep(t->door, keep, count, st);
    free(keep);
    return code;
}

static enum ym_code load_trust(struct ym_trainer *t, struct ym_status *st)
{
    enum ym_code code = ym_trust_load(&t->site, &t->trust, st);

    t->enrolled = code == YM_OK;
    if (code == YM_OK)
        ym_core_trust(t->core, &t->trust);
    if (code == YM_OK)
        ym_watch_trust(t->watch, &t->trust);
    return code == YM_NOT_FOUND ? YM_OK : code;
}

static enum ym_code open_state(struct ym_trainer *t, struct ym_status *st)
{
    const struct ym_core_world world = {.ctx = t,
                                        .now = world_now,
                                        .sandboxed = world_sandboxed,
                                        .sealed = ym_trainer_sealed,
                                        .state = world_state,
                                        .data = world_data,
                                        .disk = world_disk,
                                        .log = world_log,
                                        .budget = world_budget,
                                        .border = world_border,
                                        .policy = world_policy};
    enum ym_code code = open_ledger(t, st);

    if (code == YM_OK && !(t->core = ym_core_new(t->site.name, &world)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK && !(t->border = ym_border_new(&t->site)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK && !(t->withdrawn = ym_withdrawn_new(&t->site)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK)
        code = ym_trainer_watch_open(t, st);
    if (code == YM_OK)
        code = load_trust(t, st);
    if (code == YM_OK)
        code = fold_core(t, st);
    if (code == YM_OK)
        code = ym_withdrawn_load(t->withdrawn, st);
    if (code == YM_OK) {
        t->door = ym_door_new(&(struct ym_door_options){.site = &t->site,
                                                        .key = t->key,
                                                        .ledger = t->ledger,
                                                        .budget = t->budget,
                                                        .meter = t->meter,
                                                        .clock = ym_clock_unix,
                                                        .sandbox = t->sandbox.text,
                                                        .program = &t->program});
        code = t->door ? sweep_outbox(t, st) : ym_status_set(st, YM_EXHAUSTED, "no memory");
    }
    return code;
}

static enum ym_code open_sockets(struct ym_trainer *t, struct ym_status *st)
{
    const struct ym_link_events events = {.ctx = t, .up = ym_trainer_link_up, .frame = ym_trainer_frame};
    char gateway[128], admin[128], path[YM_SITE_PATH];
    enum ym_code code = ym_site_endpoint(&t->site, YM_SITE_GATEWAY_SOCKET, gateway, st);

    if (code == YM_OK)
        code = ym_site_endpoint(&t->site, YM_SITE_ADMIN_SOCKET, admin, st);
    if (code == YM_OK)
        code = ym_site_path(&t->site, "admin", NULL, path);
    if (code == YM_OK)
        code = ym_fs_mkdirs(path, 0700, st);
    if (code == YM_OK && !(t->zmq = zmq_ctx_new()))
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot start ZeroMQ: %s", strerror(errno));
    if (code == YM_OK) {
        zmq_ctx_set(t->zmq, ZMQ_MAX_SOCKETS, 8);
        umask(0007); /* the group of run/ may be the gateway's */
        code = ym_link_open(t->zmq, gateway, true, &events, &t->link, st);
    }
    if (code == YM_OK)
        code = ym_admin_open(t->zmq, admin, ym_trainer_admin, t, &t->admin, st); /* admin/ may be the offices' */
    umask(0077);
    if (code == YM_OK)
        ym_door_attach(t->door, t->link);
    return code == YM_OK ? ym_work_start(&t->work, st) : code;
}

/* ---- serving ---- */

static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write that fails says so, as on a full disk */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_jobs(struct ym_trainer *t)
{
    struct ym_job *j;

    while ((j = ym_work_take(t->work)) != NULL) {
        ym_trainer_finish(t, j);
        ym_job_free(&j);
    }
}

static long poll_ms(struct ym_trainer *t)
{
    int64_t left = ym_work_due_ms(t->work) - ym_clock_mono_ms();

    return left >= POLL_MS ? POLL_MS : left > 0 ? (long)left : 0;
}

static void serve(struct ym_trainer *t, int signals)
{
    zmq_pollitem_t item[] = {{.socket = ym_link_socket(t->link), .events = ZMQ_POLLIN},
                             {.socket = ym_admin_socket(t->admin), .events = ZMQ_POLLIN},
                             {.fd = ym_work_fd(t->work), .events = ZMQ_POLLIN},
                             {.fd = signals, .events = ZMQ_POLLIN}};

    int64_t busy = ym_clock_mono_ms();

    while (!t->stop) {
        int64_t now;

        if (zmq_poll(item, sizeof item / sizeof *item, poll_ms(t)) != 0)
            busy = ym_clock_mono_ms();
        if (item[3].revents) {
            ym_trainer_cosign_due(t, true); /* hub.seen goes on behind it */
            return;
        }
        ym_admin_step(t->admin); /* a veto comes before what it may stop */
        now = ym_clock_mono_ms();
        ym_link_step(t->link, now);
        take_jobs(t);
        ym_door_pump(t->door, now);
        ym_trainer_cosign_due(t, now - busy >= QUIET_MS);
    }
}

static void stop(struct ym_trainer *t)
{
    ym_work_stop(&t->work);
    ym_charged_free(&t->charged);
    ym_door_free(t->door);
    ym_link_free(t->link);
    ym_admin_close(&t->admin);
    if (t->zmq)
        zmq_ctx_term(t->zmq);
    free(t->pending.item);
    ym_core_free(t->core);
    ym_border_free(t->border);
    ym_policy_free(t->policy);
    ym_offices_release(&t->offices);
    ym_withdrawn_free(t->withdrawn);
    ym_watch_free(t->watch);
    ym_budget_free(t->budget);
    ym_meter_free(t->meter);
    ym_us_free(t->us);
    for (size_t i = 0; i < YM_TRAINER_COHORTS; i++)
        ym_cohort_release(&t->eligible[i].who);
    ym_ledger_close(&t->ledger);
    ym_trust_release(&t->trust);
    ym_key_free(t->key);
    ym_wipe(t->salt, sizeof t->salt);
    if (t->in.fd >= 0)
        close(t->in.fd);
    ym_sha256_free(t->in.sha);
    if (t->lock >= 0)
        ym_fs_unlock(&t->lock);
}

/* The secret may lie outside the folder, so keys come before the sandbox;
 * whatever others wrote is read inside it. */
static enum ym_code start(struct ym_trainer *t, const char *dir, bool check_only, struct ym_problems *p,
                          struct ym_status *st)
{
    enum ym_code code = ym_site_load(dir, &t->site, p, st);

    if (code == YM_OK)
        code = ym_program_read(&t->program, st);
    if (code == YM_OK)
        code = ym_fs_lock(t->site.dir, &t->lock, st);
    if (code == YM_OK)
        code = ym_site_key(&t->site, &t->key, st);
    if (code != YM_OK)
        return code;
    ym_key_public(t->key, t->pub);
    code = ym_site_salt(&t->site, t->salt, st);
    if (code != YM_OK)
        return code;
    if (!check_only)
        code = ym_sandbox_enter(t->site.dir, &t->sandbox, st);
    if (code == YM_OK)
        code = open_state(t, st);
    return code;
}

enum ym_code ym_trainer_run(const char *dir, bool check_only, struct ym_problems *p, struct ym_status *st)
{
    struct ym_trainer *t = calloc(1, sizeof *t);
    int signals = -1;
    enum ym_code code;

    if (!t)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    t->lock = t->in.fd = -1;
    code = start(t, dir, check_only, p, st);
    if (code == YM_OK && !check_only) {
        ym_trainer_sweep_objects(t); /* they are not fsynced: after a power cut only the name may be right */
        signals = open_signals();
        code = open_sockets(t, st);
    }
    if (code == YM_OK && !check_only) {
        printf("ready name=%s leaves=%" PRIu64 " enrolled=%s sandbox=\"%s\"\n", t->site.name, ym_ledger_size(t->ledger),
               t->enrolled ? "yes" : "no", t->sandbox.text);
        fflush(stdout);
        serve(t, signals);
        code = t->fatal;
        if (st && code != YM_OK)
            *st = t->fatal_st;
    }
    stop(t);
    free(t);
    if (signals >= 0)
        close(signals);
    return code;
}

#include "worker/gateway/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "rpc/rpc.h"
#include "worker/gateway/courier.h"
#include "worker/gateway/tasks.h"

enum { POLL_MS = 200, ANSWERS = 8192, RELAYED = 16 };

struct spool { /* the release that arrives from the trainer */
    int fd;    /* -1: none */
    struct ym_buf charge, release;
    uint8_t hash[YM_HASH_BYTES]; /* of the update */
    uint64_t total, done;
    struct ym_sha256 *sha;
    char path[YM_HOME_PATH];
};

struct gateway {
    struct ym_home home;
    int lock;
    struct ym_courier *courier;
    struct ym_tasks *tasks;
    char objects[YM_HOME_PATH];
    void *zmq;
    struct ym_link *link;
    struct spool in;
    uint64_t spool_next;
    bool say_state, say_enrolled;
    struct ym_buf enrolled;                 /* payload that waits */
    struct ym_courier_event relay[RELAYED]; /* of the hub's log, and notices */
    size_t relay_first, relay_count;
    struct ym_buf answer[ANSWERS];
    size_t answer_first, answer_count;
};

/* ---- from the trainer ---- */

static void take_line(struct gateway *g, struct ym_bytes line)
{
    struct ym_status st = YM_STATUS_INIT;
    json_t *o = NULL;
    const char *type = "";
    enum ym_code code = ym_leaf_parse(line, &o, &st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "type", &type, &st);
    if (code != YM_OK)
        ;
    else if (strcmp(type, "say_session") == 0)
        code = ym_courier_session(g->courier, line, &st);
    else
        code = strcmp(type, "say_enrol") == 0 ? ym_courier_enrol(g->courier, line, &st)
                                              : ym_courier_post(g->courier, line, &st);
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "gateway.line", "code=%s why=\"%s\"", ym_code_name(code), st.message);
    json_decref(o);
}

static void drop_spool(struct gateway *g)
{
    if (g->in.fd >= 0) {
        close(g->in.fd);
        unlink(g->in.path);
    }
    g->in.fd = -1;
    ym_sha256_free(g->in.sha);
    g->in.sha = NULL;
    ym_buf_release(&g->in.charge);
    ym_buf_release(&g->in.release);
}

static enum ym_code read_release(struct gateway *g, struct ym_bytes payload, struct ym_status *st)
{
    struct ym_bytes part[2];
    json_t *o = NULL;
    int64_t bytes = 0;
    enum ym_code code = ym_parts_split(payload, part, 2, st);

    if (code == YM_OK)
        code = ym_leaf_parse(part[1], &o, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "update", g->in.hash, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "bytes", 1, (int64_t)YM_FRAME_MAX_TOTAL, &bytes, st);
    if (code == YM_OK)
        code = ym_buf_append(&g->in.charge, part[0].data, part[0].len);
    if (code == YM_OK)
        code = ym_buf_append(&g->in.release, part[1].data, part[1].len);
    g->in.total = (uint64_t)bytes;
    json_decref(o);
    return code;
}

static void begin_spool(struct gateway *g, struct ym_bytes payload)
{
    struct ym_status st = YM_STATUS_INIT;
    char name[64];
    enum ym_code code;

    drop_spool(g);
    snprintf(name, sizeof name, "release-%llu", (unsigned long long)g->spool_next++);
    code = read_release(g, payload, &st);
    if (code == YM_OK)
        code = ym_fs_join(g->in.path, sizeof g->in.path, g->objects, name);
    if (code == YM_OK) {
        g->in.fd = open(g->in.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (g->in.fd < 0)
            code = ym_status_set(&st, YM_UNAVAILABLE, "cannot spool a release: %s", strerror(errno));
    }
    if (code != YM_OK) {
        ym_log(YM_LOG_ERROR, "gateway.release", "why=\"%s\"", st.message);
        drop_spool(g);
        return;
    }
    g->in.done = 0;
    g->in.sha = ym_sha256_new();
}

static void end_spool(struct gateway *g)
{
    struct ym_status st = YM_STATUS_INIT;
    uint8_t got[YM_HASH_BYTES];
    enum ym_code code;

    ym_sha256_final(&g->in.sha, got);
    code =
        memcmp(got, g->in.hash, sizeof got) == 0
            ? ym_courier_upload(g->courier, ym_buf_bytes(&g->in.charge), ym_buf_bytes(&g->in.release), g->in.path, &st)
            : ym_status_set(&st, YM_CORRUPT, "a release's bytes are not those of its leaf");
    if (code == YM_OK) { /* the file is the courier's now */
        close(g->in.fd);
        g->in.fd = -1;
    } else {
        ym_log(YM_LOG_ERROR, "gateway.release", "why=\"%s\"", st.message);
    }
    drop_spool(g);
}

static void take_data(struct gateway *g, const struct ym_frame *f)
{
    if (g->in.fd < 0 || f->offset != g->in.done || f->total != g->in.total ||
        f->payload.len > g->in.total - g->in.done) {
        ym_log(YM_LOG_WARN, "gateway.release", "why=\"bytes of no release\"");
        return;
    }
    if (pwrite(g->in.fd, f->payload.data, f->payload.len, (off_t)f->offset) != (ssize_t)f->payload.len) {
        ym_log(YM_LOG_ERROR, "gateway.release", "why=\"%s\"", strerror(errno));
        drop_spool(g);
        return;
    }
    ym_sha256_update(g->in.sha, f->payload.data, f->payload.len);
    g->in.done += f->payload.len;
    if (g->in.done == g->in.total)
        end_spool(g);
}

static void on_frame(void *ctx, const struct ym_frame *f)
{
    struct gateway *g = ctx;

    switch (f->kind) {
    case YM_FRAME_CONTROL:
    case YM_FRAME_CARD:
        take_line(g, f->payload);
        break;
    case YM_FRAME_RELEASE:
        begin_spool(g, f->payload);
        break;
    case YM_FRAME_RELEASE_DATA:
        take_data(g, f);
        break;
    default:
        ym_log(YM_LOG_WARN, "gateway.frame", "kind=%d is not for a gateway", (int)f->kind);
    }
}

static void clear_answers(struct gateway *g)
{
    while (g->answer_count > 0) {
        ym_buf_release(&g->answer[g->answer_first]);
        g->answer_first = (g->answer_first + 1) % ANSWERS;
        g->answer_count--;
    }
}

static void clear_relay(struct gateway *g)
{
    while (g->relay_count > 0) {
        ym_courier_event_release(&g->relay[g->relay_first]);
        g->relay_first = (g->relay_first + 1) % RELAYED;
        g->relay_count--;
    }
}

/* A trainer that has just started knows nothing: all over again. */
static void on_up(void *ctx)
{
    struct gateway *g = ctx;

    ym_log(YM_LOG_INFO, "gateway.link", "trainer=up");
    drop_spool(g);
    clear_answers(g);
    clear_relay(g);
    ym_courier_trainer_gone(g->courier); /* it says from where it wants the log */
    ym_tasks_again(g->tasks);
    g->say_state = true;
    ym_buf_release(&g->enrolled);
    g->say_enrolled = ym_courier_enrolment(g->courier, &g->enrolled) == YM_OK && g->enrolled.len > 0;
}

/* ---- to the trainer ---- */

static bool send_payload(struct gateway *g, enum ym_frame_kind kind, const struct ym_buf *payload, int64_t now_ms)
{
    struct ym_frame f = {.kind = kind, .payload = ym_buf_bytes(payload)};

    return ym_link_send(g->link, &f, now_ms, NULL) == YM_OK;
}

static bool send_state(struct gateway *g, int64_t now_ms)
{
    struct ym_buf text = {0};
    bool sent = ym_courier_describe(g->courier, &text) == YM_OK && send_payload(g, YM_FRAME_GATEWAY, &text, now_ms);

    ym_buf_release(&text);
    g->say_state = !sent;
    return sent;
}

static bool send_answer(struct gateway *g, int64_t now_ms)
{
    struct ym_buf *b = &g->answer[g->answer_first];

    if (!send_payload(g, YM_FRAME_ANSWER, b, now_ms))
        return false;
    ym_buf_release(b);
    g->answer_first = (g->answer_first + 1) % ANSWERS;
    g->answer_count--;
    return true;
}

static bool send_relay(struct gateway *g, int64_t now_ms)
{
    struct ym_courier_event *e = &g->relay[g->relay_first];
    struct ym_frame f = {.kind = e->kind == YM_EVENT_LOG          ? YM_FRAME_LOG
                                 : e->kind == YM_EVENT_CHECKPOINT ? YM_FRAME_CHECKPOINT
                                                                  : YM_FRAME_NOTICE,
                         .payload = ym_buf_bytes(e->kind == YM_EVENT_NOTICE ? &e->leaf : &e->payload)};

    if (e->kind == YM_EVENT_LOG) {
        f.offset = e->first;
        f.total = e->end;
    }
    if (ym_link_send(g->link, &f, now_ms, NULL) != YM_OK)
        return false;
    if (e->kind == YM_EVENT_LOG)
        ym_courier_log_done(g->courier);
    ym_courier_event_release(e);
    g->relay_first = (g->relay_first + 1) % RELAYED;
    g->relay_count--;
    return true;
}

static void pump(struct gateway *g, int64_t now_ms)
{
    bool went = true;

    while (went && ym_link_room(g->link) > 0) {
        if (g->say_state) {
            went = send_state(g, now_ms);
        } else if (g->say_enrolled) {
            went = send_payload(g, YM_FRAME_ENROLLED, &g->enrolled, now_ms);
            g->say_enrolled = !went;
        } else if (g->answer_count > 0) {
            went = send_answer(g, now_ms);
        } else if (g->relay_count > 0) {
            went = send_relay(g, now_ms);
        } else {
            went = ym_tasks_feed(g->tasks, g->link, now_ms);
        }
    }
}

/* ---- from the courier ---- */

static void queue_answer(struct gateway *g, const struct ym_frame_answer *a)
{
    if (g->answer_count == ANSWERS) /* it will be asked again at the next pair */
        return;
    if (ym_frame_answer_encode(a, &g->answer[(g->answer_first + g->answer_count) % ANSWERS]) == YM_OK)
        g->answer_count++;
}

/* What does not fit is asked for again: the trainer misses its checkpoint. */
static void queue_relay(struct gateway *g, struct ym_courier_event *e)
{
    if (g->relay_count == RELAYED) {
        ym_log(YM_LOG_WARN, "gateway.log", "why=\"%d parts wait for the trainer\"", RELAYED);
        if (e->kind == YM_EVENT_LOG)
            ym_courier_log_done(g->courier);
        return;
    }
    g->relay[(g->relay_first + g->relay_count++) % RELAYED] = *e;
    memset(e, 0, sizeof *e);
}

static void take_event(struct gateway *g, struct ym_courier_event *e)
{
    struct ym_status st = YM_STATUS_INIT;

    switch (e->kind) {
    case YM_EVENT_TASK:
        if (ym_tasks_add(g->tasks, e, &st) != YM_OK)
            ym_log(YM_LOG_WARN, "gateway.task", "why=\"%s\"", st.message);
        break;
    case YM_EVENT_ANSWER:
        queue_answer(g, &e->answer);
        break;
    case YM_EVENT_ENROLLED:
        ym_buf_release(&g->enrolled);
        g->enrolled = e->payload;
        memset(&e->payload, 0, sizeof e->payload);
        g->say_enrolled = g->enrolled.len > 0;
        break;
    case YM_EVENT_STATE:
        g->say_state = true;
        break;
    case YM_EVENT_LOG:
    case YM_EVENT_CHECKPOINT:
    case YM_EVENT_NOTICE:
        queue_relay(g, e);
        break;
    }
}

static void take_events(struct gateway *g)
{
    struct ym_courier_event e;

    for (int i = 0; i < YM_COURIER_EVENTS && ym_courier_take(g->courier, &e); i++) {
        if (!ym_courier_event_stale(g->courier, &e))
            take_event(g, &e);
        ym_courier_event_release(&e);
    }
}

/* ---- life ---- */

static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What an earlier run left whole: the trainer sends its releases again, the hub its
 * objects. A half fetched object stays, to go on from there. */
static void sweep_spool(struct gateway *g)
{
    char **name = NULL;
    size_t count = 0;
    char path[YM_HOME_PATH];

    if (ym_fs_list(g->objects, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if ((strncmp(name[i], "release-", 8) == 0 || strlen(name[i]) == 2 * YM_HASH_BYTES) &&
            ym_fs_join(path, sizeof path, g->objects, name[i]) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, count);
}

static enum ym_code open_link(struct gateway *g, struct ym_status *st)
{
    const struct ym_link_events events = {.ctx = g, .up = on_up, .frame = on_frame};
    char endpoint[YM_HOME_PATH + 8];
    enum ym_code code = ym_home_path(&g->home, "objects", NULL, g->objects);

    if (code == YM_OK && !(g->tasks = ym_tasks_new(g->objects)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK && !(g->zmq = zmq_ctx_new()))
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot start ZeroMQ: %s", strerror(errno));
    if (code != YM_OK)
        return code;
    sweep_spool(g);
    if (g->home.trainer[0] == '/')
        snprintf(endpoint, sizeof endpoint, "ipc://%s", g->home.trainer);
    else
        snprintf(endpoint, sizeof endpoint, "ipc://%.2000s/%.2000s", g->home.dir, g->home.trainer);
    if (strlen(endpoint) > 6 + 107)
        return ym_status_set(st, YM_INVALID, "the path of the trainer's socket is too long: \"%s\"", endpoint + 6);
    return ym_link_open(g->zmq, endpoint, false, &events, &g->link, st);
}

static void serve(struct gateway *g, int signals)
{
    zmq_pollitem_t item[] = {{.socket = ym_link_socket(g->link), .events = ZMQ_POLLIN},
                             {.fd = ym_courier_fd(g->courier), .events = ZMQ_POLLIN},
                             {.fd = signals, .events = ZMQ_POLLIN}};

    for (;;) {
        int64_t now;

        zmq_poll(item, sizeof item / sizeof *item, POLL_MS);
        if (item[2].revents)
            return;
        now = ym_clock_mono_ms();
        ym_link_step(g->link, now);
        take_events(g);
        pump(g, now);
    }
}

static void stop(struct gateway *g)
{
    ym_courier_stop(&g->courier);
    drop_spool(g);
    clear_answers(g);
    clear_relay(g);
    ym_buf_release(&g->enrolled);
    ym_tasks_free(g->tasks);
    ym_link_free(g->link);
    if (g->zmq)
        zmq_ctx_term(g->zmq);
    ym_home_release(&g->home);
    if (g->lock >= 0)
        ym_fs_unlock(&g->lock);
}

static enum ym_code start(struct gateway *g, const char *dir, bool check_only, struct ym_problems *p,
                          struct ym_status *st)
{
    enum ym_code code = ym_home_load(dir, check_only, &g->home, p, st);

    if (code != YM_OK || check_only)
        return code;
    code = ym_fs_lock(g->home.dir, &g->lock, st);
    if (code == YM_OK)
        code = open_link(g, st);
    if (code == YM_OK) {
        ym_rpc_init();
        code = ym_courier_start(&g->home, &g->courier, st);
    }
    return code;
}

enum ym_code ym_gateway_run(const char *dir, bool check_only, struct ym_problems *p, struct ym_status *st)
{
    struct gateway *g = calloc(1, sizeof *g);
    int signals;
    enum ym_code code;

    if (!g)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    g->lock = g->in.fd = -1;
    signals = open_signals();
    code = start(g, dir, check_only, p, st);
    if (code == YM_OK && !check_only) {
        printf("ready name=%s enrolled=%s hub=%s\n", g->home.name, g->home.enrolled ? "yes" : "no",
               g->home.enrolled ? g->home.hub : "-");
        fflush(stdout);
        serve(g, signals);
    }
    stop(g);
    free(g);
    if (signals >= 0)
        close(signals);
    return code;
}

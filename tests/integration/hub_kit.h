#ifndef YM_TESTS_HUB_KIT_H
#define YM_TESTS_HUB_KIT_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/cert.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/fs.h"
#include "base/json.h"
#include "gate/plan.h"
#include "models/model.h"
#include "models/state.h"
#include "proto/message.h"
#include "rpc/rpc.h"

/* A real hub process, and parties that answer it by hand: what a gateway and a
 * trainer would say, signed with keys of their own. Everything dies loudly. */

extern char **environ;

#define KIT_PATIENCE_MS 60000

#define MUST(x)                                                                                                        \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define MUST_OK(x)                                                                                                     \
    do {                                                                                                               \
        struct ym_status kit_st = YM_STATUS_INIT;                                                                      \
        struct ym_status *ks = &kit_st;                                                                                \
        if ((x) != YM_OK) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, ks->message);                                   \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline struct ym_bytes kit_view(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

/* ---- the process ---- */

struct kit_hub {
    char dir[256], program[4096], listen[64], enrol[64], log[300];
    int port, enrol_port;
    pid_t pid;
    int out;
};

static inline int kit_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
         getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

static inline pid_t kit_spawn(char *const argv[], const char *log, int *out)
{
    posix_spawn_file_actions_t fa;
    int pipe_fd[2];
    pid_t pid;

    MUST(pipe2(pipe_fd, O_CLOEXEC) == 0);
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, pipe_fd[1], 1);
    posix_spawn_file_actions_addopen(&fa, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    MUST(posix_spawn(&pid, argv[0], &fa, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&fa);
    close(pipe_fd[1]);
    *out = pipe_fd[0];
    return pid;
}

/* Run the hub's program to its end: exit code, and what it printed. */
static inline int kit_run(struct kit_hub *h, const char *const *args, char *text, size_t cap)
{
    char *argv[24] = {h->program};
    int n = 1, out, status = 0;
    size_t got = 0;
    ssize_t r;
    pid_t pid;

    for (; args[n - 1]; n++)
        argv[n] = (char *)(uintptr_t)args[n - 1];
    pid = kit_spawn(argv, h->log, &out);
    while (got + 1 < cap && (r = read(out, text + got, cap - 1 - got)) > 0)
        got += (size_t)r;
    text[got] = 0;
    close(out);
    MUST(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Serve until killed. False when it ended before it was ready. */
static inline bool kit_serve(struct kit_hub *h)
{
    char *argv[] = {h->program, (char *)(uintptr_t) "serve", (char *)(uintptr_t) "--dir", h->dir, NULL};
    char line[256];
    size_t got = 0;

    h->pid = kit_spawn(argv, h->log, &h->out);
    while (got + 1 < sizeof line) {
        struct pollfd p = {h->out, POLLIN, 0};
        ssize_t r;

        MUST(poll(&p, 1, KIT_PATIENCE_MS) == 1);
        r = read(h->out, line + got, 1);
        if (r <= 0)
            break;
        if (line[got++] == '\n')
            break;
    }
    line[got] = 0;
    if (strncmp(line, "ready ", 6) != 0) {
        MUST(waitpid(h->pid, NULL, 0) == h->pid);
        close(h->out);
        h->pid = 0;
        return false;
    }
    MUST(sscanf(line, "ready listen=127.0.0.1:%d enrol=127.0.0.1:%d", &h->port, &h->enrol_port) == 2);
    return true;
}

static inline int kit_stop(struct kit_hub *h, int signal)
{
    int status = 0;

    if (!h->pid)
        return 0;
    kill(h->pid, signal);
    MUST(waitpid(h->pid, &status, 0) == h->pid);
    close(h->out);
    h->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void kit_restart(struct kit_hub *h)
{
    kit_stop(h, SIGKILL);
    MUST(kit_serve(h));
}

static inline void kit_hub_make(struct kit_hub *h)
{
    const char *root = getenv("YM_BUILD_ROOT");
    char text[1024];

    memset(h, 0, sizeof *h);
    snprintf(h->dir, sizeof h->dir, "/tmp/yumen-hub-XXXXXX");
    MUST(root && mkdtemp(h->dir));
    snprintf(h->program, sizeof h->program, "%s/cmd/yumen-coordinator", root);
    snprintf(h->log, sizeof h->log, "%s.log", h->dir);
    snprintf(h->listen, sizeof h->listen, "127.0.0.1:%d", kit_free_port());
    snprintf(h->enrol, sizeof h->enrol, "127.0.0.1:%d", kit_free_port());
    const char *args[] = {"init",     "--dir",   h->dir,           "--federation", "fed",
                          "--listen", h->listen, "--enrol-listen", h->enrol,       NULL};
    MUST(kit_run(h, args, text, sizeof text) == 0);
    MUST(strncmp(text, "log yumen/fed/hub+", 18) == 0);
}

static inline void kit_hub_remove(struct kit_hub *h)
{
    char command[600];

    kit_stop(h, SIGTERM);
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", h->dir, h->log);
    MUST(system(command) == 0);
}

static inline void kit_token(struct kit_hub *h, const char *role, const char *name, char token[256])
{
    const char *args[] = {"token", "--dir", h->dir, "--role", role, "--name", name, NULL};

    MUST(kit_run(h, args, token, 256) == 0);
    token[strcspn(token, "\n")] = 0;
}

/* ---- parties ---- */

struct kit_task {
    struct kit_task *next;
    int kind;
    struct ym_buf leaf;
    uint8_t object[YM_HASH_BYTES];
};

struct kit_party {
    char name[64];
    enum ym_role role;
    struct ym_key *identity;
    struct ym_buf key, cert, ca, leaf;
    struct ym_rpc_client *client;
    /* hospitals: a thread subscribes for ever */
    pthread_t thread;
    bool subscribed;
    _Atomic bool stop;
    struct ym_rpc_client *stream;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct kit_task *tasks, **last;
    struct ym_buf session; /* a SubscribeRequest; under the lock, set once at most */
};

static inline struct ym_rpc_client *kit_client(const char *target, const struct kit_party *p)
{
    struct ym_rpc_client_options o = {
        .target = target,
        .tls = {.ca = kit_view(&p->ca), .cert = kit_view(&p->cert), .key = kit_view(&p->key)},
        .connect_ms = 300,
    };
    struct ym_rpc_client *c = NULL;

    MUST_OK(ym_rpc_client_open(&o, &c, ks));
    return c;
}

/* The enrolment call with any name and proof; code of the answer, text in st. */
static inline enum ym_code kit_enrol_try(struct kit_hub *h, struct kit_party *p, const char *token, const char *name,
                                         bool good_proof, struct ym_status *st)
{
    Yumen__V1__EnrolRequest m = YUMEN__V1__ENROL_REQUEST__INIT;
    Yumen__V1__EnrolReply *reply = NULL;
    struct ym_token t;
    struct ym_buf self = {0}, text = {0}, wire = {0}, answer = {0};
    uint8_t spki[YM_HASH_BYTES], hash[YM_HASH_BYTES], proof[YM_HASH_BYTES], pub[YM_PUBKEY_BYTES], sig[YM_SIG_BYTES];
    struct ym_rpc_client *c;
    struct kit_party with;
    enum ym_code code;

    MUST_OK(ym_token_parse(token, &t, ks));
    ym_buf_clear(&p->ca);
    MUST_OK(ym_rpc_fetch_ca(h->enrol, t.pin, &p->ca, ks));
    MUST_OK(ym_cert_self(kit_view(&p->key), ym_clock_unix(), &self, ks));
    MUST_OK(ym_cert_spki_hash(kit_view(&self), spki, ks));
    ym_key_public(p->identity, pub);
    ym_buf_append(&text, "yumen/enrol/v1", 15);
    ym_buf_append(&text, t.id, 8);
    ym_buf_append(&text, spki, 32);
    ym_buf_append(&text, pub, 32);
    ym_buf_puts(&text, name);
    ym_sha256(t.secret, 16, hash);
    if (!good_proof)
        hash[0] ^= 1;
    ym_hmac_sha256(hash, 32, text.data, text.len, proof);
    ym_key_sign(p->identity, text.data, text.len, sig);
    m.token_id = ym_message_bytes(t.id, 8);
    m.proof = ym_message_bytes(proof, 32);
    m.identity_key = ym_message_bytes(pub, 32);
    m.signature = ym_message_bytes(sig, 64);
    m.name = (char *)(uintptr_t)name;
    MUST_OK(ym_message_pack(&m, &wire, ks));
    with = *p;
    with.cert = self;
    c = kit_client(h->enrol, &with);
    code = ym_rpc_unary(c, "/yumen.v1.Enrolment/Enrol", kit_view(&wire), KIT_PATIENCE_MS, true, &answer, st);
    ym_rpc_client_close(&c);
    if (code == YM_OK) {
        MUST_OK(ym_message_unpack(&yumen__v1__enrol_reply__descriptor, kit_view(&answer), &reply, ks));
        ym_buf_clear(&p->cert);
        ym_buf_puts(&p->cert, reply->certificate);
        ym_buf_clear(&p->leaf);
        ym_buf_append(&p->leaf, reply->enrol_leaf.data, reply->enrol_leaf.len);
        ym_message_free(reply);
    }
    ym_buf_release(&self);
    ym_buf_release(&text);
    ym_buf_release(&wire);
    ym_buf_release(&answer);
    return code;
}

static inline void kit_party_make(struct kit_party *p, enum ym_role role, const char *name)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->role = role;
    p->last = &p->tasks;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    MUST_OK(ym_key_generate(&p->identity, ks));
    MUST_OK(ym_tls_key_generate(&p->key, ks));
}

static inline void kit_join(struct kit_hub *h, struct kit_party *p, enum ym_role role, const char *name)
{
    char token[256];

    kit_party_make(p, role, name);
    kit_token(h, ym_role_name(role), name, token);
    MUST_OK(kit_enrol_try(h, p, token, name, true, ks));
    p->client = kit_client(h->listen, p);
}

static inline enum ym_code kit_call(struct kit_party *p, const char *path, const void *request,
                                    const ProtobufCMessageDescriptor *type, void *reply, struct ym_status *st)
{
    struct ym_buf wire = {0}, answer = {0};
    enum ym_code code;

    MUST_OK(ym_message_pack(request, &wire, ks));
    code = ym_rpc_unary(p->client, path, kit_view(&wire), KIT_PATIENCE_MS, true, &answer, st);
    if (code == YM_OK)
        MUST_OK(ym_message_unpack(type, kit_view(&answer), reply, ks));
    ym_buf_release(&wire);
    ym_buf_release(&answer);
    return code;
}

/* ---- tasks ---- */

static inline bool kit_take_task(void *ctx, struct ym_bytes message)
{
    struct kit_party *p = ctx;
    Yumen__V1__Task *m = NULL;
    struct kit_task *t = calloc(1, sizeof *t);

    MUST(t);
    MUST_OK(ym_message_unpack(&yumen__v1__task__descriptor, message, &m, ks));
    t->kind = (int)m->kind;
    ym_buf_append(&t->leaf, m->leaf.data, m->leaf.len);
    if (m->object_sha256.len == YM_HASH_BYTES)
        memcpy(t->object, m->object_sha256.data, YM_HASH_BYTES);
    ym_message_free(m);
    pthread_mutex_lock(&p->lock);
    *p->last = t;
    p->last = &t->next;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return true;
}

static inline void *kit_subscribe_main(void *arg)
{
    struct kit_party *p = arg;
    struct ym_bytes session;

    while (!p->stop) {
        if (ym_rpc_client_wait(p->stream, 1000, NULL) != YM_OK)
            continue;
        pthread_mutex_lock(&p->lock);
        session = kit_view(&p->session);
        pthread_mutex_unlock(&p->lock);
        ym_rpc_read_stream(p->stream, "/yumen.v1.Worker/Subscribe", session, 0, kit_take_task, p, NULL);
    }
    return NULL;
}

static inline void kit_subscribe(struct kit_hub *h, struct kit_party *p)
{
    p->stream = kit_client(h->listen, p);
    MUST(pthread_create(&p->thread, NULL, kit_subscribe_main, p) == 0);
    p->subscribed = true;
}

/* The next task of that kind; others before it are dropped. NULL after wait_ms. */
static inline struct kit_task *kit_task_within(struct kit_party *p, int kind, int64_t wait_ms)
{
    struct timespec until;
    struct kit_task *t = NULL;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->tasks && error == 0)
            error = pthread_cond_timedwait(&p->changed, &p->lock, &until);
        t = p->tasks;
        if (!t)
            break;
        p->tasks = t->next;
        if (!p->tasks)
            p->last = &p->tasks;
        if (t->kind == kind)
            break;
        ym_buf_release(&t->leaf);
        free(t);
    }
    pthread_mutex_unlock(&p->lock);
    return t;
}

static inline struct kit_task *kit_task(struct kit_party *p, int kind)
{
    struct kit_task *t = kit_task_within(p, kind, KIT_PATIENCE_MS);

    if (!t) {
        fprintf(stderr, "'%s' waited in vain for task %d\n", p->name, kind);
        abort();
    }
    return t;
}

static inline void kit_task_free(struct kit_task *t)
{
    if (t)
        ym_buf_release(&t->leaf);
    free(t);
}

static inline void kit_party_end(struct kit_party *p)
{
    struct kit_task *t;

    p->stop = true;
    if (p->subscribed) {
        ym_rpc_client_cancel(p->stream);
        pthread_join(p->thread, NULL);
        ym_rpc_client_close(&p->stream);
    }
    ym_rpc_client_close(&p->client);
    while ((t = p->tasks)) {
        p->tasks = t->next;
        kit_task_free(t);
    }
    ym_key_free(p->identity);
    ym_buf_release(&p->session);
    ym_buf_wipe(&p->key);
    ym_buf_release(&p->cert);
    ym_buf_release(&p->ca);
    ym_buf_release(&p->leaf);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
}

/* ---- words ---- */

struct kit_answer {
    int code;
    char reason[64];
    uint64_t offset;
    bool complete;
};

static inline void kit_sign(const struct kit_party *p, const char *type, json_t *members, struct ym_buf *leaf)
{
    ym_buf_clear(leaf);
    MUST_OK(ym_leaf_sign(type, members, p->name, ym_clock_unix(), p->identity, leaf, ks));
    json_decref(members);
}

/* From the next stream on: this run of the trainer. */
static inline void kit_session(struct kit_party *p, const char *instance)
{
    Yumen__V1__SubscribeRequest m = YUMEN__V1__SUBSCRIBE_REQUEST__INIT;
    json_t *o = json_pack("{s:s, s:i, s:i, s:s}", "instance", instance, "size", 0, "log_from", 0, "hub_note", "");
    struct ym_buf leaf = {0}, wire = {0};
    uint8_t root[YM_HASH_BYTES] = {0};

    ym_json_set_hash(o, "root", root);
    kit_sign(p, "say_session", o, &leaf);
    m.session = ym_message_bytes(leaf.data, leaf.len);
    MUST_OK(ym_message_pack(&m, &wire, ks));
    ym_buf_release(&leaf);
    pthread_mutex_lock(&p->lock);
    MUST(p->session.len == 0);
    p->session = wire;
    pthread_mutex_unlock(&p->lock);
}

static inline struct kit_answer kit_post_leaf(struct kit_party *p, struct ym_bytes leaf)
{
    Yumen__V1__PostRequest m = YUMEN__V1__POST_REQUEST__INIT;
    Yumen__V1__PostReply *reply = NULL;
    struct kit_answer a = {0};

    m.leaf = ym_message_bytes(leaf.data, leaf.len);
    MUST_OK(kit_call(p, "/yumen.v1.Worker/Post", &m, &yumen__v1__post_reply__descriptor, &reply, ks));
    a.code = (int)reply->answer;
    snprintf(a.reason, sizeof a.reason, "%s", reply->reason);
    ym_message_free(reply);
    return a;
}

static inline struct kit_answer kit_post(struct kit_party *p, const char *type, json_t *members)
{
    struct ym_buf leaf = {0};
    struct kit_answer a;

    kit_sign(p, type, members, &leaf);
    a = kit_post_leaf(p, kit_view(&leaf));
    ym_buf_release(&leaf);
    return a;
}

static inline json_t *kit_leaf_json(const struct kit_task *t)
{
    json_t *o = NULL;

    MUST_OK(ym_leaf_parse(kit_view(&t->leaf), &o, ks));
    return o;
}

/* Members study, plan, and round, attempt, state of the task's leaf where it has them. */
static inline json_t *kit_members(const struct ym_plan *plan, const struct kit_task *t)
{
    json_t *o = json_object(), *leaf = t ? kit_leaf_json(t) : NULL;
    static const char *const keys[] = {"round", "attempt", "state"};

    json_object_set_new(o, "study", json_string(plan->study));
    ym_json_set_hash(o, "plan", plan->hash);
    for (size_t i = 0; leaf && i < 3; i++)
        if (json_object_get(leaf, keys[i]))
            json_object_set(o, keys[i], json_object_get(leaf, keys[i]));
    json_decref(leaf);
    return o;
}

/* A charge with all its members; what they say is for auditors to judge. */
static inline json_t *kit_charge_members(const struct ym_plan *plan, const struct kit_task *collect)
{
    json_t *o = kit_members(plan, collect);
    uint8_t data[YM_HASH_BYTES] = {3};

    json_object_update_new(
        o, json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:[], s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:s}",
                     "dataset", "d1", "mechanism", "poisson-sampled rounded gaussian", "route", "integer", "clip_units",
                     1 << 24, "noise_variance", "1", "sampling_k", "1", "steps", 1, "also", "unit", "patient",
                     "relation", "add-or-remove-one", "accountant", "rdp/1", "epsilon_round_micro", 1,
                     "epsilon_spent_micro", 1, "epsilon_cap_micro", 1, "delta_e18", 1, "identified", "row", "sandbox",
                     "none", "build", "0123456789abcdef0123456789abcdef01234567"));
    ym_json_set_hash(o, "data", data);
    ym_json_set_hash(o, "binary", data);
    ym_json_set_hash(o, "exporter", data);
    ym_json_set_hash(o, "decision", data);
    json_object_set_new(o, "people",
                        json_pack("[{s:i, s:i, s:s}]", "year", 2026, "people", 500, "set",
                                  json_string_value(json_object_get(o, "binary"))));
    return o;
}

static inline struct kit_answer kit_approve(struct kit_party *p, const struct ym_plan *plan)
{
    json_t *o = kit_members(plan, NULL);
    uint8_t data[YM_HASH_BYTES] = {3};

    json_object_set_new(o, "dataset", json_string("d1"));
    json_object_set_new(o, "epsilon_micro", json_integer(ym_plan_epsilon_micro(plan)));
    json_object_set_new(o, "seals", json_array());
    ym_json_set_hash(o, "data", data);
    return kit_post(p, "approval", o);
}

/* ---- a release ---- */

struct kit_release {
    struct ym_buf charge, leaf;
    int64_t *update;
    size_t dim;
};

/* Fixed bytes for a site: what matters is that sums add up. */
static inline void kit_release_make(struct kit_party *p, const struct ym_plan *plan, const struct kit_task *collect,
                                    size_t dim, int64_t salt, struct kit_release *r)
{
    json_t *charge = kit_charge_members(plan, collect), *release = kit_members(plan, collect);
    uint8_t hash[YM_HASH_BYTES];

    memset(r, 0, sizeof *r);
    r->dim = dim;
    r->update = malloc(dim * sizeof *r->update);
    MUST(r->update);
    for (size_t i = 0; i < dim; i++)
        r->update[i] = salt * 1000 + (int64_t)(i % 977) - 400;
    kit_sign(p, "charge", charge, &r->charge);
    ym_sha256(r->charge.data, r->charge.len, hash);
    ym_json_set_hash(release, "charge", hash);
    ym_sha256(r->update, dim * 8, hash);
    ym_json_set_hash(release, "update", hash);
    json_object_set_new(release, "bytes", json_integer((json_int_t)dim * 8));
    json_object_set_new(release, "scale_bits", json_integer(plan->update_scale_bits));
    json_object_set_new(release, "width_bits", json_integer(plan->update_width_bits));
    kit_sign(p, "release", release, &r->leaf);
}

static inline void kit_release_end(struct kit_release *r)
{
    ym_buf_release(&r->charge);
    ym_buf_release(&r->leaf);
    free(r->update);
}

static inline struct kit_answer kit_upload_status(struct kit_party *p, struct ym_bytes leaf)
{
    Yumen__V1__UploadStatusRequest m = YUMEN__V1__UPLOAD_STATUS_REQUEST__INIT;
    Yumen__V1__UploadStatusReply *reply = NULL;
    struct kit_answer a = {0};

    m.release_leaf = ym_message_bytes(leaf.data, leaf.len);
    MUST_OK(kit_call(p, "/yumen.v1.Worker/UploadStatus", &m, &yumen__v1__upload_status_reply__descriptor, &reply, ks));
    a = (struct kit_answer){.code = (int)reply->answer, .offset = reply->offset, .complete = reply->complete};
    snprintf(a.reason, sizeof a.reason, "%s", reply->reason);
    ym_message_free(reply);
    return a;
}

struct kit_upload {
    struct ym_bytes leaf, data;
    uint64_t offset, until;
    bool first, commit, done;
};

static inline bool kit_next_chunk(void *ctx, struct ym_buf *message)
{
    struct kit_upload *u = ctx;
    Yumen__V1__UploadChunk m = YUMEN__V1__UPLOAD_CHUNK__INIT;

    if (u->done)
        return false;
    if (u->first) {
        m.release_leaf = ym_message_bytes(u->leaf.data, u->leaf.len);
        m.offset = u->offset;
        u->first = false;
    } else if (u->offset < u->until) {
        size_t n = u->until - u->offset < 256 * 1024 ? u->until - u->offset : 256 * 1024;

        m.data = ym_message_bytes(u->data.data + u->offset, n);
        m.offset = u->offset;
        u->offset += n;
    } else if (u->commit) {
        m.commit = true;
        u->done = true;
    } else {
        return false;
    }
    ym_buf_clear(message);
    MUST_OK(ym_message_pack(&m, message, ks));
    return true;
}

/* Send data from offset up to until; commit or half-close. A call that ends
 * without an answer gives code UNAVAILABLE. */
static inline struct kit_answer kit_upload(struct kit_party *p, struct ym_bytes leaf, struct ym_bytes data,
                                           uint64_t offset, uint64_t until, bool commit)
{
    struct kit_upload u = {leaf, data, offset, until, true, commit, false};
    struct ym_buf answer = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct kit_answer a = {0};
    Yumen__V1__UploadReply *reply = NULL;

    a.code = (int)ym_rpc_write_stream(p->client, "/yumen.v1.Worker/Upload", KIT_PATIENCE_MS, kit_next_chunk, &u,
                                      &answer, &st);
    if (a.code == YM_OK) {
        MUST_OK(ym_message_unpack(&yumen__v1__upload_reply__descriptor, kit_view(&answer), &reply, ks));
        a.code = (int)reply->answer;
        a.offset = reply->offset;
        snprintf(a.reason, sizeof a.reason, "%s", reply->reason);
        ym_message_free(reply);
    } else {
        snprintf(a.reason, sizeof a.reason, "%.60s", st.message);
    }
    ym_buf_release(&answer);
    return a;
}

static inline struct kit_answer kit_send_release(struct kit_party *p, const struct kit_release *r)
{
    struct kit_answer a = kit_post_leaf(p, kit_view(&r->charge));
    struct ym_bytes data = {(const uint8_t *)r->update, r->dim * 8};

    if (a.code == YM_OK)
        a = kit_upload_status(p, kit_view(&r->leaf));
    if (a.code == YM_OK && !a.complete)
        a = kit_upload(p, kit_view(&r->leaf), data, a.offset, data.len, true);
    return a;
}

/* ---- sponsors ---- */

static inline struct ym_plan *kit_plan(const char *study, const char *sponsor, const char *const *site, size_t sites,
                                       size_t inputs, unsigned rounds, unsigned quorum)
{
    struct ym_buf y = {0};
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;

    ym_buf_printf(
        &y, "yumen: plan/1\nstudy: %s\nsponsor: %s\ntitle: t\npurpose: p\nmodel:\n  family: logistic\n  inputs:\n",
        study, sponsor);
    for (size_t i = 0; i < inputs; i++)
        ym_buf_printf(&y, "    - {name: x%zu, unit: mm, low: 0, high: 1}\n", i);
    ym_buf_printf(
        &y,
        "  outcome: {name: y, levels: [a, b]}\ntraining: {rounds: %u, local_steps: 1, sampling_probability: 0.1, "
        "nominal_patients: 100, learning_rate: 0.5}\n"
        "privacy: {noise_multiplier: 40, delta: 1e-5, epsilon: 50}\nfederation:\n  quorum: %u\n  "
        "ready_timeout_s: 60\n  collect_timeout_s: 60\n  hospitals:\n",
        rounds, quorum);
    for (size_t i = 0; i < sites; i++)
        ym_buf_printf(&y, "    - {name: %s, weight: %zu}\n", site[i], i + 1);
    MUST_OK(ym_doc_parse("plan", y.data, y.len, &doc, &problems, ks));
    if (ym_plan_read(doc, &plan, &problems, NULL) != YM_OK) {
        struct ym_buf text = {0};

        ym_problems_format(&problems, &text);
        fprintf(stderr, "%s", ym_buf_str(&text));
        abort();
    }
    ym_doc_free(doc);
    ym_buf_release(&y);
    ym_problems_release(&problems);
    return plan;
}

static inline enum ym_code kit_submit(struct kit_party *p, const struct ym_plan *plan, struct ym_status *st)
{
    Yumen__V1__SubmitStudyRequest m = YUMEN__V1__SUBMIT_STUDY_REQUEST__INIT;
    Yumen__V1__SubmitStudyReply *reply = NULL;
    struct ym_buf leaf = {0};
    json_t *o = kit_members(plan, NULL);
    enum ym_code code;

    json_object_set_new(o, "sponsor", json_string(p->name));
    kit_sign(p, "plan", o, &leaf);
    m.plan = ym_message_bytes(plan->canonical.data, plan->canonical.len);
    m.plan_leaf = ym_message_bytes(leaf.data, leaf.len);
    code = kit_call(p, "/yumen.v1.Sponsor/SubmitStudy", &m, &yumen__v1__submit_study_reply__descriptor, &reply, st);
    ym_message_free(reply);
    ym_buf_release(&leaf);
    return code;
}

/* The study as the hub tells it; NULL when it is not among the sponsor's. */
static inline Yumen__V1__ListStudiesReply *kit_list(struct kit_party *p)
{
    Yumen__V1__ListStudiesRequest m = YUMEN__V1__LIST_STUDIES_REQUEST__INIT;
    Yumen__V1__ListStudiesReply *reply = NULL;

    MUST_OK(kit_call(p, "/yumen.v1.Sponsor/ListStudies", &m, &yumen__v1__list_studies_reply__descriptor, &reply, ks));
    return reply;
}

struct kit_study {
    int phase;
    unsigned round, attempt;
    char reason[64];
    uint8_t state[YM_HASH_BYTES];
};

static inline struct kit_study kit_study(struct kit_party *p, const char *study)
{
    Yumen__V1__ListStudiesReply *l = kit_list(p);
    struct kit_study y = {0};

    for (size_t i = 0; i < l->n_study; i++) {
        const Yumen__V1__Study *s = l->study[i];

        if (strcmp(s->study, study) != 0)
            continue;
        y.phase = (int)s->phase;
        y.round = s->round;
        y.attempt = s->attempt;
        snprintf(y.reason, sizeof y.reason, "%s", s->reason);
        if (s->state_sha256.len == YM_HASH_BYTES)
            memcpy(y.state, s->state_sha256.data, YM_HASH_BYTES);
    }
    ym_message_free(l);
    return y;
}

struct kit_watch {
    int until;
    struct ym_buf phases; /* one byte each */
};

static inline bool kit_watch_event(void *ctx, struct ym_bytes message)
{
    struct kit_watch *w = ctx;
    Yumen__V1__StudyEvent *m = NULL;
    uint8_t phase;

    MUST_OK(ym_message_unpack(&yumen__v1__study_event__descriptor, message, &m, ks));
    phase = (uint8_t)m->study->phase;
    ym_message_free(m);
    ym_buf_append(&w->phases, &phase, 1);
    return phase != w->until;
}

/* Watch until the study is in that phase. */
static inline void kit_await(struct kit_party *p, const char *study, int phase)
{
    Yumen__V1__WatchStudyRequest m = YUMEN__V1__WATCH_STUDY_REQUEST__INIT;
    struct ym_buf wire = {0};
    struct kit_watch w = {phase, {0}};
    enum ym_code code = YM_UNAVAILABLE;
    int64_t until = ym_clock_mono_ms() + KIT_PATIENCE_MS;

    m.study = (char *)(uintptr_t)study;
    MUST_OK(ym_message_pack(&m, &wire, ks));
    while (code != YM_OK) {
        MUST(ym_clock_mono_ms() < until);
        MUST_OK(ym_rpc_client_wait(p->client, KIT_PATIENCE_MS, ks));
        code = ym_rpc_read_stream(p->client, "/yumen.v1.Sponsor/WatchStudy", kit_view(&wire), KIT_PATIENCE_MS,
                                  kit_watch_event, &w, NULL);
    }
    MUST(w.phases.len && w.phases.data[w.phases.len - 1] == phase);
    ym_buf_release(&w.phases);
    ym_buf_release(&wire);
}

/* ---- reading ---- */

struct kit_fetch {
    struct ym_buf data;
};

static inline bool kit_take_chunk(void *ctx, struct ym_bytes message)
{
    struct kit_fetch *f = ctx;
    Yumen__V1__Chunk *m = NULL;

    MUST_OK(ym_message_unpack(&yumen__v1__chunk__descriptor, message, &m, ks));
    ym_buf_append(&f->data, m->data.data, m->data.len);
    ym_message_free(m);
    return true;
}

static inline enum ym_code kit_fetch(struct kit_party *p, const uint8_t hash[YM_HASH_BYTES], uint64_t offset,
                                     struct ym_buf *out, struct ym_status *st)
{
    Yumen__V1__FetchRequest m = YUMEN__V1__FETCH_REQUEST__INIT;
    struct ym_buf wire = {0};
    struct kit_fetch f = {{0}};
    enum ym_code code;

    m.sha256 = ym_message_bytes(hash, YM_HASH_BYTES);
    m.offset = offset;
    MUST_OK(ym_message_pack(&m, &wire, ks));
    MUST_OK(ym_rpc_client_wait(p->client, KIT_PATIENCE_MS, ks));
    code = ym_rpc_read_stream(p->client, "/yumen.v1.Federation/FetchObject", kit_view(&wire), KIT_PATIENCE_MS,
                              kit_take_chunk, &f, st);
    ym_buf_release(&wire);
    *out = f.data;
    return code;
}

/* How many leaves of the hub's log have that type (and study, when not NULL). */
struct kit_count {
    const char *type, *study;
    size_t count;
};

static inline bool kit_count_leaf(void *ctx, struct ym_bytes message)
{
    struct kit_count *c = ctx;
    Yumen__V1__LogEntry *m = NULL;
    json_t *o = NULL;
    const char *study;

    MUST_OK(ym_message_unpack(&yumen__v1__log_entry__descriptor, message, &m, ks));
    MUST_OK(ym_leaf_parse((struct ym_bytes){m->leaf.data, m->leaf.len}, &o, ks));
    study = json_string_value(json_object_get(o, "study"));
    if (strcmp(json_string_value(json_object_get(o, "type")), c->type) == 0 &&
        (!c->study || (study && strcmp(study, c->study) == 0)))
        c->count++;
    json_decref(o);
    ym_message_free(m);
    return true;
}

static inline size_t kit_leaves(struct kit_party *p, const char *type, const char *study)
{
    Yumen__V1__ReadLogRequest m = YUMEN__V1__READ_LOG_REQUEST__INIT;
    struct ym_buf wire = {0};
    struct kit_count c = {type, study, 0};

    MUST_OK(ym_message_pack(&m, &wire, ks));
    MUST_OK(ym_rpc_client_wait(p->client, KIT_PATIENCE_MS, ks));
    MUST_OK(ym_rpc_read_stream(p->client, "/yumen.v1.Federation/ReadLog", kit_view(&wire), KIT_PATIENCE_MS,
                               kit_count_leaf, &c, ks));
    ym_buf_release(&wire);
    return c.count;
}

#endif

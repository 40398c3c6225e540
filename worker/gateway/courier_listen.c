#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "gate/plan.h"
#include "worker/gateway/courier_internal.h"

enum { WAIT_MS = 60000, FETCH_MS = 600000, FETCH_TRIES = 8 };

/* ---- listening ---- */

static void set_connected(struct ym_courier *c, bool connected)
{
    bool changed;

    pthread_mutex_lock(&c->lock);
    changed = c->connected != connected;
    c->connected = connected;
    pthread_mutex_unlock(&c->lock);
    if (!changed)
        return;
    ym_log(YM_LOG_INFO, "gateway.hub", "connected=%s", connected ? "yes" : "no");
    ym_courier_tell_state(c);
}

static void set_other_worker(struct ym_courier *c, bool other)
{
    bool changed;

    pthread_mutex_lock(&c->lock);
    changed = c->other_worker != other;
    c->other_worker = other;
    pthread_mutex_unlock(&c->lock);
    if (changed)
        ym_courier_tell_state(c);
}

static struct ym_parcel *parcel_of(const Yumen__V1__Task *t)
{
    struct ym_parcel *p = calloc(1, sizeof *p);

    if (!p || ym_buf_append(&p->a, t->leaf.data, t->leaf.len) != YM_OK ||
        (t->sponsor_enrol_leaf.len &&
         ym_buf_append(&p->b, t->sponsor_enrol_leaf.data, t->sponsor_enrol_leaf.len) != YM_OK)) {
        ym_parcel_free(&p);
        return NULL;
    }
    p->task = t->kind;
    p->bytes = t->object_sha256.len == YM_HASH_BYTES ? t->object_bytes : 0;
    if (p->bytes)
        memcpy(p->hash, t->object_sha256.data, YM_HASH_BYTES);
    return p;
}

static void tell_notice(struct ym_courier *c, const Yumen__V1__Task *t)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);

    if (!e || ym_buf_append(&e->leaf, t->leaf.data, t->leaf.len) != YM_OK) {
        free(e);
        return;
    }
    e->kind = YM_EVENT_NOTICE;
    ym_courier_tell(c, &e);
}

/* A full queue ends the stream: the hub gives everything again. */
static bool on_task(void *ctx, struct ym_bytes message)
{
    struct ym_courier *c = ctx;
    Yumen__V1__Task *t = NULL;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_parcel *p = NULL;
    bool stop;

    if (ym_message_unpack(&yumen__v1__task__descriptor, message, &t, &st) != YM_OK) {
        ym_log(YM_LOG_WARN, "gateway.task", "why=\"%s\"", st.message);
        return true;
    }
    if (t->kind == YUMEN__V1__TASK_KIND__TASK_KIND_NOTICE && t->leaf.len > 0)
        tell_notice(c, t);
    else if (t->leaf.len > 0)
        p = parcel_of(t);
    if (t->kind == YUMEN__V1__TASK_KIND__TASK_KIND_ROUND || t->kind == YUMEN__V1__TASK_KIND__TASK_KIND_CLOSED)
        ym_courier_want_log(c); /* a collect follows a round: its log was compared before ready */
    ym_message_free(t);
    if (p && ym_queue_put(c, &c->fetch, &p, &st) != YM_OK) {
        ym_log(YM_LOG_WARN, "gateway.task", "why=\"%s\"", st.message);
        ym_parcel_free(&p);
        return false;
    }
    pthread_mutex_lock(&c->lock);
    stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return !stop;
}

/* Nobody is let in without having said who it is: waits for the trainer. */
static enum ym_code pack_session(struct ym_courier *c, struct ym_buf *wire, struct ym_status *st)
{
    Yumen__V1__SubscribeRequest m = YUMEN__V1__SUBSCRIBE_REQUEST__INIT;
    enum ym_code code = YM_UNAVAILABLE;

    pthread_mutex_lock(&c->lock);
    while (!c->stop && c->session.len == 0)
        pthread_cond_wait(&c->wake, &c->lock);
    if (!c->stop) {
        m.session = ym_message_bytes(c->session.data, c->session.len);
        code = ym_message_pack(&m, wire, st);
    }
    pthread_mutex_unlock(&c->lock);
    return code;
}

static enum ym_code subscribe(struct ym_courier *c, struct ym_wire *w, struct ym_status *st)
{
    struct ym_buf wire = {0};
    enum ym_code code = pack_session(c, &wire, st);

    if (code == YM_OK)
        code = ym_rpc_client_wait(w->client, WAIT_MS, st);
    if (code == YM_OK) {
        set_connected(c, true);
        code = ym_rpc_read_stream(w->client, "/yumen.v1.Worker/Subscribe", ym_buf_bytes(&wire), 0, on_task, c, st);
        set_connected(c, false);
    }
    ym_buf_release(&wire);
    return code;
}

void *ym_listen_main(void *arg)
{
    struct ym_courier *c = arg;
    struct ym_wire *w;
    int64_t backoff = 0;

    while ((w = ym_wire_get(c)) != NULL) {
        struct ym_status st = YM_STATUS_INIT;
        enum ym_code code = subscribe(c, w, &st);

        ym_wire_put(c, w);
        set_other_worker(c, code == YM_CONFLICT && strstr(st.message, "another_worker") != NULL);
        if (code == YM_DENIED || code == YM_CONFLICT)
            ym_log(YM_LOG_ERROR, "gateway.refused", "why=\"%s\"", st.message);
        else if (code != YM_OK)
            ym_log(YM_LOG_TRACE, "gateway.listen", "code=%s why=\"%s\"", ym_code_name(code), st.message);
        backoff = code == YM_DENIED || code == YM_CONFLICT ? backoff : 0; /* the client backs off dials itself */
        if (!ym_backoff_wait(c, &backoff))
            break;
    }
    return NULL;
}

/* ---- fetching ---- */

struct fetch {
    struct ym_courier *c;
    const struct ym_parcel *p;
    int fd;
    uint64_t at; /* bytes in the part file */
    bool broken;
};

static bool on_chunk(void *ctx, struct ym_bytes message)
{
    struct fetch *f = ctx;
    Yumen__V1__Chunk *chunk = NULL;

    if (ym_message_unpack(&yumen__v1__chunk__descriptor, message, &chunk, NULL) != YM_OK) {
        f->broken = true;
        return false;
    }
    if (chunk->offset != f->at || chunk->total != f->p->bytes || chunk->data.len > f->p->bytes - f->at ||
        pwrite(f->fd, chunk->data.data, chunk->data.len, (off_t)f->at) != (ssize_t)chunk->data.len)
        f->broken = true;
    else
        f->at += chunk->data.len;
    ym_message_free(chunk);
    return !f->broken && f->at < f->p->bytes;
}

static enum ym_code fetch_rest(struct fetch *f, struct ym_status *st)
{
    Yumen__V1__FetchRequest m = YUMEN__V1__FETCH_REQUEST__INIT;
    struct ym_buf wire = {0};
    struct ym_wire *w;
    enum ym_code code;

    m.sha256 = ym_message_bytes(f->p->hash, YM_HASH_BYTES);
    m.offset = f->at;
    code = ym_message_pack(&m, &wire, st);
    if (code == YM_OK && (w = ym_wire_get(f->c)) != NULL) {
        code = ym_rpc_client_wait(w->client, WAIT_MS, st);
        if (code == YM_OK)
            code = ym_rpc_read_stream(w->client, "/yumen.v1.Federation/FetchObject", ym_buf_bytes(&wire), FETCH_MS,
                                      on_chunk, f, st);
        ym_wire_put(f->c, w);
    }
    ym_buf_release(&wire);
    if (f->broken)
        code = ym_status_set(st, YM_CORRUPT, "the hub's chunks do not fit the object, or the disk is full");
    return code;
}

static enum ym_code hash_file(int fd, uint64_t bytes, uint8_t out[YM_HASH_BYTES])
{
    struct ym_sha256 *h = ym_sha256_new();
    uint8_t *block = malloc(1 << 16);
    uint64_t at = 0;
    ssize_t n = 0;

    while (block && at < bytes && (n = pread(fd, block, 1 << 16, (off_t)at)) > 0) {
        ym_sha256_update(h, block, (size_t)n);
        at += (uint64_t)n;
    }
    free(block);
    ym_sha256_final(&h, out);
    return at == bytes ? YM_OK : YM_CORRUPT;
}

static void object_paths(struct ym_courier *c, const uint8_t hash[YM_HASH_BYTES], char part[YM_HOME_PATH],
                         char whole[YM_HOME_PATH])
{
    struct ym_buf hex = {0};
    char name[96];

    ym_hex_encode(hash, YM_HASH_BYTES, &hex);
    if (ym_home_path(c->home, "objects", ym_buf_str(&hex), whole) != YM_OK)
        whole[0] = 0;
    snprintf(name, sizeof name, "%s.part", ym_buf_str(&hex));
    if (ym_home_path(c->home, "objects", name, part) != YM_OK)
        part[0] = 0;
    ym_buf_release(&hex);
}

/* Asked for until it is whole, from where it broke off; a hub that says no, or
 * bytes that keep being wrong, end it. */
static enum ym_code fetch_file(struct fetch *f, struct ym_status *st)
{
    uint8_t got[YM_HASH_BYTES];
    int64_t backoff = 0;
    int wrong = 0;
    enum ym_code code = YM_OK;

    for (;;) {
        if (f->at < f->p->bytes)
            code = fetch_rest(f, st);
        if (f->at == f->p->bytes) {
            if (hash_file(f->fd, f->p->bytes, got) == YM_OK && memcmp(got, f->p->hash, sizeof got) == 0)
                return YM_OK;
            code = ym_status_set(st, YM_CORRUPT, "the object's hash differs");
        }
        if (code != YM_OK && code != YM_UNAVAILABLE && code != YM_DEADLINE && code != YM_CORRUPT)
            return code;
        if (code == YM_CORRUPT) {
            if (++wrong == FETCH_TRIES)
                return code;
            f->at = 0;
            f->broken = false;
        }
        if (!ym_backoff_wait(f->c, &backoff))
            return YM_UNAVAILABLE;
    }
}

static enum ym_code fetch_object(struct ym_courier *c, const struct ym_parcel *p, struct ym_status *st)
{
    char part[YM_HOME_PATH], whole[YM_HOME_PATH];
    struct fetch f = {.c = c, .p = p};
    struct stat info;
    enum ym_code code;

    if (p->bytes > YM_FRAME_MAX_TOTAL)
        return ym_status_set(st, YM_INVALID, "an object of that size is not accepted");
    object_paths(c, p->hash, part, whole);
    if (ym_fs_exists(whole))
        return YM_OK;
    f.fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f.fd < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot write to objects/: %s", strerror(errno));
    if (fstat(f.fd, &info) == 0 && (uint64_t)info.st_size <= p->bytes)
        f.at = (uint64_t)info.st_size;
    code = fetch_file(&f, st);
    if (code == YM_OK && (ftruncate(f.fd, (off_t)p->bytes) != 0 || rename(part, whole) != 0))
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot keep an object: %s", strerror(errno));
    close(f.fd);
    if (code == YM_CORRUPT)
        unlink(part);
    return code;
}

/* Plans travel to the trainer in one frame: read them here. */
static enum ym_code load_plan(struct ym_courier *c, const struct ym_parcel *p, struct ym_courier_event *e,
                              struct ym_status *st)
{
    char part[YM_HOME_PATH], whole[YM_HOME_PATH];
    enum ym_code code;

    object_paths(c, p->hash, part, whole);
    code = ym_fs_read(whole, YM_PLAN_MAX_BYTES, &e->object, st);
    unlink(whole);
    return code;
}

static void deliver(struct ym_courier *c, struct ym_parcel *p)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = e ? YM_OK : YM_EXHAUSTED;

    if (code == YM_OK && p->bytes > 0) {
        code = fetch_object(c, p, &st);
        if (code == YM_OK && p->task == YUMEN__V1__TASK_KIND__TASK_KIND_PLAN)
            code = load_plan(c, p, e, &st);
    }
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "gateway.object", "code=%s why=\"%s\"", ym_code_name(code), st.message);
    if (!e)
        return;
    e->kind = YM_EVENT_TASK;
    e->task = p->task;
    e->leaf = p->a;
    e->enrol_leaf = p->b;
    memset(&p->a, 0, sizeof p->a);
    memset(&p->b, 0, sizeof p->b);
    memcpy(e->object_hash, p->hash, sizeof e->object_hash);
    e->object_bytes = code == YM_OK ? p->bytes : 0;
    ym_courier_tell(c, &e);
}

void *ym_fetch_main(void *arg)
{
    struct ym_courier *c = arg;
    struct ym_parcel *p;

    while ((p = ym_queue_wait(c, &c->fetch)) != NULL) {
        deliver(c, p);
        ym_parcel_free(&p);
    }
    return NULL;
}

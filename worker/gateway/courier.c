#include "worker/gateway/courier_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"

enum { BACKOFF_MIN_MS = 200, BACKOFF_MAX_MS = 30000 };

/* ---- parcels ---- */

void ym_parcel_free(struct ym_parcel **p)
{
    if (*p) {
        ym_buf_release(&(*p)->a);
        ym_buf_release(&(*p)->b);
    }
    free(*p);
    *p = NULL;
}

enum ym_code ym_queue_put(struct ym_courier *c, struct ym_queue *q, struct ym_parcel **p, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    pthread_mutex_lock(&c->lock);
    if (!q->item)
        q->item = calloc(q->cap, sizeof *q->item);
    if (!q->item || q->count == q->cap) {
        code = ym_status_set(st, YM_EXHAUSTED, "%zu parcels wait for the hub", q->count);
    } else {
        q->item[(q->first + q->count++) % q->cap] = *p;
        *p = NULL;
        pthread_cond_broadcast(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return code;
}

struct ym_parcel *ym_queue_wait(struct ym_courier *c, struct ym_queue *q)
{
    struct ym_parcel *p = NULL;

    pthread_mutex_lock(&c->lock);
    while (!c->stop && q->count == 0)
        pthread_cond_wait(&c->wake, &c->lock);
    if (!c->stop) {
        p = q->item[q->first];
        q->first = (q->first + 1) % q->cap;
        q->count--;
        pthread_cond_broadcast(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return p;
}

static void queue_release(struct ym_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        ym_parcel_free(&q->item[(q->first + i) % q->cap]);
    free(q->item);
}

/* ---- events ---- */

void ym_courier_event_release(struct ym_courier_event *e)
{
    ym_buf_release(&e->leaf);
    ym_buf_release(&e->enrol_leaf);
    ym_buf_release(&e->object);
    ym_buf_release(&e->payload);
}

void ym_courier_tell(struct ym_courier *c, struct ym_courier_event **e)
{
    uint64_t one = 1;

    pthread_mutex_lock(&c->lock);
    while (!c->stop && c->event_count == YM_COURIER_EVENTS)
        pthread_cond_wait(&c->wake, &c->lock);
    if (c->stop) {
        ym_courier_event_release(*e);
        free(*e);
    } else {
        c->event[(c->event_first + c->event_count++) % YM_COURIER_EVENTS] = *e;
    }
    *e = NULL;
    pthread_mutex_unlock(&c->lock);
    if (write(c->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable anyway */
}

bool ym_courier_take(struct ym_courier *c, struct ym_courier_event *out)
{
    struct ym_courier_event *e = NULL;
    uint64_t n;

    if (read(c->fd, &n, sizeof n) < 0)
        n = 0;
    pthread_mutex_lock(&c->lock);
    if (c->event_count > 0) {
        e = c->event[c->event_first];
        c->event_first = (c->event_first + 1) % YM_COURIER_EVENTS;
        c->event_count--;
        pthread_cond_broadcast(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    if (!e)
        return false;
    *out = *e;
    free(e);
    return true;
}

void ym_courier_tell_state(struct ym_courier *c)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);

    if (!e)
        return;
    e->kind = YM_EVENT_STATE;
    ym_courier_tell(c, &e);
}

void ym_courier_answer(struct ym_courier *c, struct ym_bytes line, enum ym_code answer, const char *reason)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);
    size_t n = 0;

    if (!e)
        return;
    e->kind = YM_EVENT_ANSWER;
    ym_sha256(line.data, line.len, e->answer.leaf);
    e->answer.answer = (uint8_t)answer;
    for (const char *p = reason; *p && n + 1 < sizeof e->answer.reason; p++)
        if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_')
            e->answer.reason[n++] = *p;
    ym_courier_tell(c, &e);
}

bool ym_answer_passing(enum ym_code code)
{
    return code == YM_UNAVAILABLE || code == YM_UNCERTAIN || code == YM_INTERNAL || code == YM_EXHAUSTED;
}

/* ---- waiting ---- */

bool ym_courier_pause(struct ym_courier *c, int64_t ms)
{
    struct timespec until;
    bool stop;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&c->lock);
    while (!c->stop && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return !stop;
}

int64_t ym_backoff_next(int64_t ms)
{
    ms = ms ? 2 * ms : BACKOFF_MIN_MS;
    return ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms;
}

bool ym_backoff_wait(struct ym_courier *c, int64_t *ms)
{
    uint32_t r;

    *ms = ym_backoff_next(*ms);
    ym_random(&r, sizeof r);
    return ym_courier_pause(c, *ms / 2 + (int64_t)(r % (uint32_t)(*ms / 2 + 1)));
}

/* ---- connection ---- */

struct ym_wire *ym_wire_get(struct ym_courier *c)
{
    struct ym_wire *w;

    pthread_mutex_lock(&c->lock);
    while (!c->stop && !c->wire)
        pthread_cond_wait(&c->wake, &c->lock);
    w = c->stop ? NULL : c->wire;
    if (w)
        w->refs++;
    pthread_mutex_unlock(&c->lock);
    return w;
}

void ym_wire_put(struct ym_courier *c, struct ym_wire *w)
{
    bool last;

    if (!w)
        return;
    pthread_mutex_lock(&c->lock);
    last = --w->refs == 0;
    pthread_mutex_unlock(&c->lock);
    if (!last)
        return;
    ym_rpc_client_close(&w->client);
    free(w);
}

static enum ym_code wire_new(struct ym_courier *c, struct ym_wire **out, struct ym_status *st)
{
    struct ym_wire *w = calloc(1, sizeof *w);
    struct ym_home *h = c->home;
    enum ym_code code;

    if (!w)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a connection");
    w->refs = 1;
    pthread_mutex_lock(&c->lock);
    code = ym_rpc_client_open(
        &(struct ym_rpc_client_options){
            .target = h->hub,
            .tls = {.ca = ym_buf_bytes(&h->ca), .cert = ym_buf_bytes(&h->cert), .key = ym_buf_bytes(&h->key)}},
        &w->client, st);
    pthread_mutex_unlock(&c->lock);
    if (code != YM_OK)
        free(w);
    else
        *out = w;
    return code;
}

enum ym_code ym_wire_renew(struct ym_courier *c, struct ym_status *st)
{
    struct ym_wire *next = NULL, *old;
    enum ym_code code = wire_new(c, &next, st);

    if (code != YM_OK)
        return code;
    pthread_mutex_lock(&c->lock);
    old = c->wire;
    c->wire = next;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (old)
        ym_rpc_client_cancel(old->client);
    ym_wire_put(c, old);
    return YM_OK;
}

/* ---- start and stop ---- */

static enum ym_code spawn(struct ym_courier *c, void *(*fn)(void *), struct ym_status *st)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&c->thread[c->thread_count], NULL, fn, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot start a thread: %s", strerror(rc));
    c->thread_count++;
    return YM_OK;
}

static enum ym_code start_threads(struct ym_courier *c, struct ym_status *st)
{
    static void *(*const mains[])(void *) = {ym_listen_main, ym_fetch_main, ym_post_main, ym_upload_main,
                                             ym_enrol_main,  ym_renew_main, ym_log_main};
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < sizeof mains / sizeof *mains; i++)
        code = spawn(c, mains[i], st);
    return code;
}

static void init_sync(struct ym_courier *c)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
}

enum ym_code ym_courier_start(struct ym_home *home, struct ym_courier **out, struct ym_status *st)
{
    struct ym_courier *c = calloc(1, sizeof *c);
    enum ym_code code = YM_OK;

    if (!c)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    init_sync(c);
    c->home = home;
    c->post.cap = YM_COURIER_QUEUE;
    c->upload.cap = c->fetch.cap = 256;
    c->enrol.cap = 4;
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot make an event descriptor: %s", strerror(errno));
    if (code == YM_OK && home->enrolled)
        code = ym_wire_renew(c, st);
    if (code == YM_OK)
        code = start_threads(c, st);
    if (code != YM_OK) {
        ym_courier_stop(&c);
        return code;
    }
    *out = c;
    return YM_OK;
}

void ym_courier_stop(struct ym_courier **courier)
{
    struct ym_courier *c = *courier;
    struct ym_courier_event e;

    *courier = NULL;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    if (c->wire)
        ym_rpc_client_cancel(c->wire->client);
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->thread_count; i++)
        pthread_join(c->thread[i], NULL);
    ym_wire_put(c, c->wire);
    while (ym_courier_take(c, &e))
        ym_courier_event_release(&e);
    ym_buf_release(&c->session);
    queue_release(&c->post);
    queue_release(&c->upload);
    queue_release(&c->fetch);
    queue_release(&c->enrol);
    if (c->fd >= 0)
        close(c->fd);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int ym_courier_fd(const struct ym_courier *c)
{
    return c->fd;
}

/* ---- requests ---- */

static enum ym_code put_lines(struct ym_courier *c, struct ym_queue *q, struct ym_bytes a, struct ym_bytes b,
                              const char *path, struct ym_status *st)
{
    struct ym_parcel *p = calloc(1, sizeof *p);
    enum ym_code code = p ? ym_buf_append(&p->a, a.data, a.len) : YM_EXHAUSTED;

    if (code == YM_OK && b.len)
        code = ym_buf_append(&p->b, b.data, b.len);
    if (code == YM_OK && strlen(path) >= sizeof p->path)
        code = YM_INVALID;
    if (code != YM_OK) {
        ym_parcel_free(&p);
        return ym_status_set(st, code, "cannot keep a parcel for the hub");
    }
    strcpy(p->path, path);
    code = ym_queue_put(c, q, &p, st);
    ym_parcel_free(&p);
    return code;
}

enum ym_code ym_courier_post(struct ym_courier *c, struct ym_bytes line, struct ym_status *st)
{
    return put_lines(c, &c->post, line, (struct ym_bytes){0}, "", st);
}

enum ym_code ym_courier_upload(struct ym_courier *c, struct ym_bytes charge, struct ym_bytes release, const char *path,
                               struct ym_status *st)
{
    return put_lines(c, &c->upload, charge, release, path, st);
}

enum ym_code ym_courier_enrol(struct ym_courier *c, struct ym_bytes line, struct ym_status *st)
{
    return put_lines(c, &c->enrol, line, (struct ym_bytes){0}, "", st);
}

enum ym_code ym_courier_describe(struct ym_courier *c, struct ym_buf *out)
{
    json_t *o;
    enum ym_code code = YM_EXHAUSTED;

    pthread_mutex_lock(&c->lock);
    o = json_pack("{s:b, s:b, s:b, s:s, s:I}", "connected", c->connected, "other_worker", c->other_worker, "enrolled",
                  c->home->enrolled, "hub", c->home->hub, "not_after", (json_int_t)c->home->not_after);
    if (o) {
        ym_json_set_hash(o, "spki", c->home->spki);
        code = ym_json_canonical(o, out, NULL);
    }
    pthread_mutex_unlock(&c->lock);
    json_decref(o);
    return code;
}

enum ym_code ym_courier_enrolment(struct ym_courier *c, struct ym_buf *out)
{
    enum ym_code code = YM_OK;

    pthread_mutex_lock(&c->lock);
    if (c->home->enrolled)
        code = ym_buf_append(out, c->home->answer.data, c->home->answer.len);
    pthread_mutex_unlock(&c->lock);
    return code;
}

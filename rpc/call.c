#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rpc/internal.h"

/* One incoming call is one heap struct whose tags are its addresses in the
 * core. Each batch that is out counts in `pending`; the call ends, on the thread
 * of its queue, when the core said it is closed and every batch is back. What
 * other threads touch is under `lock`, which is never held in a callback. */

struct ym_rpc_call {
    struct ym_rpc_queue *queue;
    struct ym_rpc_entry *entry; /* NULL: a method that the server lacks */
    _Atomic unsigned refs;
    struct ym_rpc_call *next_known, **at_known; /* the server's list, under its lock; at_known NULL: not in it */

    /* filled by the core when the call arrives */
    grpc_call_details details; /* entry NULL only */
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *payload;
    struct ym_rpc_tag arrived, closed, received, sent, ended, woken;

    /* own thread only */
    struct ym_party who;
    struct ym_buf peer; /* PEM */
    struct ym_buf message;
    int cancelled;
    bool started; /* the handler knows of the call */
    void *user;

    pthread_mutex_t lock;
    grpc_call *grpc;
    unsigned pending; /* batches out */
    bool over;        /* closed: nothing may be started any more */
    bool ending;      /* answered, failed or finished: second endings are ignored */
    bool status_sent;
    bool headers_sent;
    /* sending */
    grpc_byte_buffer *sending; /* in flight */
    grpc_byte_buffer *wait[YM_RPC_QUEUE];
    size_t wait_first, wait_count, wait_bytes;
    bool drain_due;
    void (*drain)(struct ym_rpc_call *call, void *ctx);
    void *drain_ctx;
    /* receiving */
    grpc_byte_buffer *incoming, *held;
    bool receiving, paused, half_closed;
    bool wake_out;
};

/* ---- birth and death ---- */

static void call_arrived(struct ym_rpc_call *c, bool ok);
static void call_closed(struct ym_rpc_call *c, bool ok);
static void call_received(struct ym_rpc_call *c, bool ok);
static void call_sent(struct ym_rpc_call *c, bool ok);
static void call_ended(struct ym_rpc_call *c, bool ok);
static void call_woken(struct ym_rpc_call *c, bool ok);

static struct ym_rpc_call *call_new(struct ym_rpc_queue *q, struct ym_rpc_entry *entry)
{
    struct ym_rpc_call *c = calloc(1, sizeof *c);
    YM_ASSERT(c);
    c->queue = q;
    c->entry = entry;
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->metadata);
    c->arrived = (struct ym_rpc_tag){call_arrived, c};
    c->closed = (struct ym_rpc_tag){call_closed, c};
    c->received = (struct ym_rpc_tag){call_received, c};
    c->sent = (struct ym_rpc_tag){call_sent, c};
    c->ended = (struct ym_rpc_tag){call_ended, c};
    c->woken = (struct ym_rpc_tag){call_woken, c};
    return c;
}

static void bytes_drop(grpc_byte_buffer **bb)
{
    if (*bb)
        grpc_byte_buffer_destroy(*bb);
    *bb = NULL;
}

static void drop_waiting(struct ym_rpc_call *c)
{
    while (c->wait_count) {
        bytes_drop(&c->wait[c->wait_first]);
        c->wait_first = (c->wait_first + 1) % YM_RPC_QUEUE;
        c->wait_count--;
    }
    c->wait_bytes = 0;
}

/* What the core gave; the struct itself may live on in refs. */
static void call_strip(struct ym_rpc_call *c)
{
    grpc_metadata_array_destroy(&c->metadata);
    grpc_call_details_destroy(&c->details);
    drop_waiting(c);
    bytes_drop(&c->payload);
    bytes_drop(&c->incoming);
    bytes_drop(&c->held);
    ym_buf_release(&c->message);
    if (c->grpc)
        grpc_call_unref(c->grpc);
    c->grpc = NULL;
}

void ym_rpc_call_ref(struct ym_rpc_call *c)
{
    atomic_fetch_add(&c->refs, 1);
}

void ym_rpc_call_unref(struct ym_rpc_call *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    ym_buf_release(&c->peer);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void ym_rpc_call_arm(struct ym_rpc_queue *q, struct ym_rpc_entry *entry)
{
    struct ym_rpc_call *c = call_new(q, entry);
    bool first = entry && entry->method.kind != YM_RPC_CLIENT_STREAM;
    grpc_call_error error;

    if (entry)
        error =
            grpc_server_request_registered_call(q->server->grpc, entry->handle, &c->grpc, &c->deadline, &c->metadata,
                                                first ? &c->payload : NULL, q->cq, q->cq, &c->arrived);
    else
        error =
            grpc_server_request_call(q->server->grpc, &c->grpc, &c->details, &c->metadata, q->cq, q->cq, &c->arrived);
    YM_ASSERT(error == GRPC_CALL_OK);
}

/* Lock held. */
static void batch_start(struct ym_rpc_call *c, const grpc_op *ops, size_t n, struct ym_rpc_tag *tag)
{
    c->pending++;
    YM_ASSERT(grpc_call_start_batch(c->grpc, ops, n, tag, NULL) == GRPC_CALL_OK);
}

/* ---- who is here (server's lock held) ---- */

static void enter_known(struct ym_rpc_call *c)
{
    struct ym_rpc_server *s = c->queue->server;

    c->next_known = s->known;
    if (s->known)
        s->known->at_known = &c->next_known;
    s->known = c;
    c->at_known = &s->known;
}

static void leave_known(struct ym_rpc_call *c)
{
    if (!c->at_known)
        return;
    *c->at_known = c->next_known;
    if (c->next_known)
        c->next_known->at_known = c->at_known;
    c->at_known = NULL;
}

static size_t count_known(const struct ym_rpc_server *s, const struct ym_party *who)
{
    size_t n = 0;

    for (const struct ym_rpc_call *c = s->known; c; c = c->next_known)
        n += strcmp(c->who.name, who->name) == 0;
    return n;
}

static void call_end(struct ym_rpc_call *c)
{
    struct ym_rpc_server *s = c->queue->server;

    if (c->started && c->entry->method.on_end)
        c->entry->method.on_end(c, c->cancelled != 0, c->entry->ctx);
    call_strip(c);
    pthread_mutex_lock(&s->lock);
    leave_known(c);
    pthread_mutex_unlock(&s->lock);
    ym_rpc_call_unref(c);
    pthread_mutex_lock(&s->lock);
    s->live--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Last in every completion: one batch is back. */
static void batch_done(struct ym_rpc_call *c)
{
    bool last;
    pthread_mutex_lock(&c->lock);
    last = --c->pending == 0 && c->over;
    pthread_mutex_unlock(&c->lock);
    if (last)
        call_end(c);
}

/* ---- sending (lock held) ---- */

static grpc_op op_headers(void)
{
    return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
}

static void send_status(struct ym_rpc_call *c, grpc_status_code status, enum ym_code code, const char *message)
{
    grpc_slice details = grpc_slice_from_copied_string(message);
    grpc_metadata word = {.key = grpc_slice_from_static_string(YM_RPC_CODE_KEY),
                          .value = grpc_slice_from_static_string(ym_code_name(code))};
    grpc_op ops[2];
    size_t n = 0;

    if (!c->headers_sent)
        ops[n++] = op_headers();
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    ops[n].data.send_status_from_server.status = status;
    ops[n].data.send_status_from_server.status_details = &details;
    ops[n].data.send_status_from_server.trailing_metadata = &word;
    ops[n].data.send_status_from_server.trailing_metadata_count = status == GRPC_STATUS_OK ? 0 : 1;
    n++;
    c->headers_sent = c->status_sent = true;
    batch_start(c, ops, n, &c->ended);
    grpc_slice_unref(details);
}

static void send_next(struct ym_rpc_call *c)
{
    grpc_op ops[2];
    size_t n = 0;

    if (c->over || c->sending || c->status_sent)
        return;
    if (c->wait_count == 0) {
        if (c->ending)
            send_status(c, GRPC_STATUS_OK, YM_OK, "");
        return;
    }
    c->sending = c->wait[c->wait_first];
    c->wait[c->wait_first] = NULL;
    c->wait_first = (c->wait_first + 1) % YM_RPC_QUEUE;
    c->wait_count--;
    c->wait_bytes -= grpc_byte_buffer_length(c->sending);
    if (!c->headers_sent)
        ops[n++] = op_headers();
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[n].data.send_message.send_message = c->sending;
    n++;
    c->headers_sent = true;
    batch_start(c, ops, n, &c->sent);
}

static void wake(struct ym_rpc_call *c)
{
    if (c->wake_out || c->over)
        return;
    c->wake_out = true;
    batch_start(c, NULL, 0, &c->woken);
}

/* End with a status that is not OK. With a message in flight that a slow peer
 * does not take, the core's cancel carries the status past it. */
static void fail_locked(struct ym_rpc_call *c, grpc_status_code status, enum ym_code code, const char *message)
{
    char text[YM_RPC_REASON_BYTES];

    if (c->over || c->ending)
        return;
    snprintf(text, sizeof text, "%s", message ? message : ym_code_name(code));
    c->ending = true;
    drop_waiting(c);
    if (c->sending) {
        c->status_sent = true;
        grpc_call_cancel_with_status(c->grpc, status, text, NULL);
    } else {
        send_status(c, status, code, text);
    }
}

static void fail_grpc(struct ym_rpc_call *c, grpc_status_code status, enum ym_code code, const char *message)
{
    pthread_mutex_lock(&c->lock);
    fail_locked(c, status, code, message);
    pthread_mutex_unlock(&c->lock);
}

/* ---- receiving ---- */

static void receive_next(struct ym_rpc_call *c)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

    if (c->entry->method.kind != YM_RPC_CLIENT_STREAM || c->receiving || c->held || c->paused || c->over || c->ending ||
        c->half_closed)
        return;
    c->receiving = true;
    op.data.recv_message.recv_message = &c->incoming;
    batch_start(c, &op, 1, &c->received);
}

/* Takes bb. No lock. */
static void deliver(struct ym_rpc_call *c, grpc_byte_buffer *bb)
{
    bool ok = ym_rpc_bytes_read(bb, &c->message);

    grpc_byte_buffer_destroy(bb);
    if (!ok) {
        fail_grpc(c, GRPC_STATUS_INVALID_ARGUMENT, YM_INVALID, "compressed messages are not accepted");
        return;
    }
    c->entry->method.on_message(c, (struct ym_bytes){c->message.data, c->message.len}, c->entry->ctx);
    pthread_mutex_lock(&c->lock);
    receive_next(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- completions, on the queue's thread ---- */

static void call_received(struct ym_rpc_call *c, bool ok)
{
    grpc_byte_buffer *bb;
    bool half_close = false;

    pthread_mutex_lock(&c->lock);
    c->receiving = false;
    bb = c->incoming;
    c->incoming = NULL;
    if (!bb) {
        /* Success and no message is also what a dead peer looks like. */
        c->half_closed = true;
        half_close = ok && !c->over && !c->ending && !grpc_call_failed_before_recv_message(c->grpc);
    } else if (c->over || c->ending) {
        bytes_drop(&bb);
    } else if (c->paused) {
        c->held = bb;
        bb = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    if (bb)
        deliver(c, bb);
    else if (half_close && c->entry->method.on_half_close)
        c->entry->method.on_half_close(c, c->entry->ctx);
    batch_done(c);
}

static void call_sent(struct ym_rpc_call *c, bool ok)
{
    void (*drain)(struct ym_rpc_call * call, void *ctx) = NULL;
    void *ctx = NULL;

    pthread_mutex_lock(&c->lock);
    bytes_drop(&c->sending);
    if (ok) {
        send_next(c);
        if (c->wait_count == 0 && !c->ending && !c->over) {
            drain = c->drain;
            ctx = c->drain_ctx;
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (drain)
        drain(c, ctx);
    batch_done(c);
}

static void call_woken(struct ym_rpc_call *c, bool ok)
{
    grpc_byte_buffer *bb = NULL;
    void (*drain)(struct ym_rpc_call * call, void *ctx) = NULL;
    void *ctx = NULL;

    (void)ok;
    pthread_mutex_lock(&c->lock);
    c->wake_out = false;
    if (!c->paused && !c->over && !c->ending) {
        bb = c->held;
        c->held = NULL;
    }
    if (c->drain_due && c->wait_count == 0 && !c->over && !c->ending) {
        drain = c->drain;
        ctx = c->drain_ctx;
    }
    c->drain_due = false;
    pthread_mutex_unlock(&c->lock);
    if (bb)
        deliver(c, bb);
    if (drain)
        drain(c, ctx);
    batch_done(c);
}

static void call_ended(struct ym_rpc_call *c, bool ok)
{
    (void)ok;
    pthread_mutex_lock(&c->lock);
    bytes_drop(&c->sending); /* of a reply, sent in the same batch */
    pthread_mutex_unlock(&c->lock);
    batch_done(c);
}

static void call_closed(struct ym_rpc_call *c, bool ok)
{
    (void)ok;
    pthread_mutex_lock(&c->lock);
    c->over = true;
    drop_waiting(c);
    bytes_drop(&c->held);
    pthread_mutex_unlock(&c->lock);
    batch_done(c);
}

/* ---- arrival ---- */

static bool peer_read(struct ym_rpc_call *c)
{
    grpc_auth_context *auth = grpc_call_auth_context(c->grpc);
    grpc_auth_property_iterator it;
    const grpc_auth_property *p;
    bool ok = false;

    if (!auth)
        return false;
    /* The leaf alone: the core's chain property does not hold it. */
    it = grpc_auth_context_find_properties_by_name(auth, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    p = grpc_auth_property_iterator_next(&it);
    if (p && p->value_length)
        ok = ym_buf_append(&c->peer, p->value, p->value_length) == YM_OK;
    grpc_auth_context_release(auth);
    return ok;
}

static enum ym_code call_authenticate(struct ym_rpc_call *c, struct ym_status *st)
{
    struct ym_rpc_server *s = c->queue->server;
    struct ym_bytes pem;

    if (!peer_read(c))
        return ym_status_set(st, YM_DENIED, "no client certificate");
    pem = (struct ym_bytes){c->peer.data, c->peer.len};
    if (c->entry->health && ym_rpc_probe_is(s, pem))
        return ym_cert_party(pem, &c->who, st);
    if (!s->authenticate)
        return s->enrolment ? YM_OK : ym_status_set(st, YM_DENIED, "nobody is known here");
    return s->authenticate(s->ctx, c->entry->method.path, pem, &c->who, st);
}

static bool admit(struct ym_rpc_call *c)
{
    struct ym_rpc_server *s = c->queue->server;
    bool stopping, full;

    pthread_mutex_lock(&s->lock);
    s->live++;
    stopping = s->stopping;
    full = s->live > YM_RPC_MAX_CALLS;
    pthread_mutex_unlock(&s->lock);
    if (stopping)
        fail_grpc(c, GRPC_STATUS_UNAVAILABLE, YM_UNAVAILABLE, "the server is stopping");
    else if (full)
        fail_grpc(c, GRPC_STATUS_RESOURCE_EXHAUSTED, YM_EXHAUSTED, "too many calls");
    else if (!c->entry)
        fail_grpc(c, GRPC_STATUS_UNIMPLEMENTED, YM_INVALID, "no such method here");
    else
        return true;
    return false;
}

/* One party may not take the calls of all. */
static enum ym_code admit_one_more(struct ym_rpc_call *c, struct ym_status *st)
{
    struct ym_rpc_server *s = c->queue->server;
    enum ym_code code = YM_OK;

    if (!s->authenticate)
        return YM_OK;
    pthread_mutex_lock(&s->lock);
    if (count_known(s, &c->who) >= YM_RPC_MAX_CALLS_OF_ONE)
        code = ym_status_set(st, YM_EXHAUSTED, "too many calls of one party");
    else
        enter_known(c);
    pthread_mutex_unlock(&s->lock);
    return code;
}

static bool admit_peer(struct ym_rpc_call *c)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = call_authenticate(c, &st);

    if (code == YM_OK)
        code = admit_one_more(c, &st);
    if (code == YM_OK)
        return true;
    ym_log(YM_LOG_INFO, "rpc.refused", "method=%s code=%s reason=\"%s\"", c->entry->method.path, ym_code_name(code),
           st.message);
    fail_grpc(c, (grpc_status_code)ym_rpc_code_to_grpc(code), code, st.message);
    return false;
}

static void call_dispatch(struct ym_rpc_call *c)
{
    struct ym_rpc_entry *e = c->entry;

    if (e->method.kind == YM_RPC_CLIENT_STREAM) {
        c->started = true;
        e->method.on_start(c, (struct ym_bytes){NULL, 0}, e->ctx);
        pthread_mutex_lock(&c->lock);
        receive_next(c);
        pthread_mutex_unlock(&c->lock);
        return;
    }
    if (!ym_rpc_bytes_read(c->payload, &c->message)) {
        fail_grpc(c, GRPC_STATUS_INVALID_ARGUMENT, YM_INVALID, "one request message is expected, not compressed");
        return;
    }
    bytes_drop(&c->payload);
    c->started = true;
    e->method.on_start(c, (struct ym_bytes){c->message.data, c->message.len}, e->ctx);
    ym_buf_release(&c->message);
}

static void call_arrived(struct ym_rpc_call *c, bool ok)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

    if (!ok) { /* the server shuts down */
        call_strip(c);
        ym_rpc_call_unref(c);
        return;
    }
    ym_rpc_call_arm(c->queue, c->entry);
    op.data.recv_close_on_server.cancelled = &c->cancelled;
    pthread_mutex_lock(&c->lock);
    batch_start(c, &op, 1, &c->closed);
    pthread_mutex_unlock(&c->lock);
    if (admit(c) && admit_peer(c))
        call_dispatch(c);
}

/* ---- standing calls ---- */

static void recheck_one(struct ym_rpc_server *s, struct ym_rpc_call *c)
{
    struct ym_party who;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = s->authenticate(s->ctx, c->entry->method.path, ym_rpc_call_peer_cert(c), &who, &st);

    if (code != YM_OK)
        ym_rpc_call_fail(c, code, st.message);
}

void ym_rpc_server_recheck(struct ym_rpc_server *s)
{
    struct ym_rpc_call **standing = NULL;
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    for (struct ym_rpc_call *c = s->known; c; c = c->next_known)
        n++;
    standing = n ? calloc(n, sizeof *standing) : NULL;
    n = 0;
    for (struct ym_rpc_call *c = standing ? s->known : NULL; c; c = c->next_known)
        if (c->entry->method.kind != YM_RPC_UNARY &&
            !(c->entry->health && ym_rpc_probe_is(s, ym_rpc_call_peer_cert(c)))) {
            ym_rpc_call_ref(c);
            standing[n++] = c;
        }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        recheck_one(s, standing[i]);
        ym_rpc_call_unref(standing[i]);
    }
    free(standing);
}

/* ---- for handlers ---- */

const struct ym_party *ym_rpc_call_who(const struct ym_rpc_call *c)
{
    return &c->who;
}

struct ym_bytes ym_rpc_call_peer_cert(const struct ym_rpc_call *c)
{
    return (struct ym_bytes){c->peer.data, c->peer.len};
}

void ym_rpc_call_set_user(struct ym_rpc_call *c, void *user)
{
    c->user = user;
}

void *ym_rpc_call_user(const struct ym_rpc_call *c)
{
    return c->user;
}

static void reply_locked(struct ym_rpc_call *c, struct ym_bytes message)
{
    grpc_slice empty = grpc_empty_slice();
    grpc_op ops[3] = {op_headers(), {.op = GRPC_OP_SEND_MESSAGE}, {.op = GRPC_OP_SEND_STATUS_FROM_SERVER}};

    c->ending = c->headers_sent = c->status_sent = true;
    c->sending = ym_rpc_bytes_make(message);
    ops[1].data.send_message.send_message = c->sending;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[2].data.send_status_from_server.status_details = &empty;
    batch_start(c, ops, 3, &c->ended);
}

void ym_rpc_call_reply(struct ym_rpc_call *c, struct ym_bytes message)
{
    YM_ASSERT(c->entry->method.kind != YM_RPC_SERVER_STREAM);
    pthread_mutex_lock(&c->lock);
    if (message.len > YM_RPC_MAX_MESSAGE)
        fail_locked(c, GRPC_STATUS_RESOURCE_EXHAUSTED, YM_EXHAUSTED, "the answer is larger than a message may be");
    else if (!c->over && !c->ending)
        reply_locked(c, message);
    pthread_mutex_unlock(&c->lock);
}

void ym_rpc_call_fail(struct ym_rpc_call *c, enum ym_code code, const char *message)
{
    YM_ASSERT(code != YM_OK);
    fail_grpc(c, (grpc_status_code)ym_rpc_code_to_grpc(code), code, message);
}

enum ym_code ym_rpc_call_send(struct ym_rpc_call *c, struct ym_bytes message)
{
    enum ym_code code = YM_OK;

    YM_ASSERT(c->entry->method.kind == YM_RPC_SERVER_STREAM);
    if (message.len > YM_RPC_MAX_MESSAGE)
        return YM_INVALID;
    pthread_mutex_lock(&c->lock);
    if (c->over || c->ending) {
        code = YM_UNAVAILABLE;
    } else if (c->wait_count == YM_RPC_QUEUE || (c->wait_count && c->wait_bytes + message.len > YM_RPC_QUEUE_BYTES)) {
        code = YM_EXHAUSTED;
    } else {
        c->wait[(c->wait_first + c->wait_count) % YM_RPC_QUEUE] = ym_rpc_bytes_make(message);
        c->wait_count++;
        c->wait_bytes += message.len;
        send_next(c);
    }
    pthread_mutex_unlock(&c->lock);
    return code;
}

void ym_rpc_call_on_drain(struct ym_rpc_call *c, void (*fn)(struct ym_rpc_call *call, void *ctx), void *ctx)
{
    pthread_mutex_lock(&c->lock);
    c->drain = fn;
    c->drain_ctx = ctx;
    if (fn && c->wait_count == 0) {
        c->drain_due = true;
        wake(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void ym_rpc_call_finish(struct ym_rpc_call *c)
{
    YM_ASSERT(c->entry->method.kind == YM_RPC_SERVER_STREAM);
    pthread_mutex_lock(&c->lock);
    if (!c->over && !c->ending) {
        c->ending = true;
        send_next(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void ym_rpc_call_pause(struct ym_rpc_call *c, bool paused)
{
    pthread_mutex_lock(&c->lock);
    c->paused = paused;
    if (!paused && c->held)
        wake(c);
    else if (!paused)
        receive_next(c);
    pthread_mutex_unlock(&c->lock);
}

#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"

#define BACKOFF_FIRST_MS 200
#define BACKOFF_LONGEST_MS 30000
#define DIAL_MS 10000     /* one attempt to connect, TLS included */
#define WAIT_SLICE_MS 200 /* a wait for the connection looks for cancel this often */

/* One blocking call: it has a queue of its own, plucked by the caller. */
struct out_call {
    grpc_call *grpc;
    struct out_call *next; /* of the client's running calls */
    grpc_completion_queue *cq;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
    const char *error;
    grpc_byte_buffer *incoming;
    bool stopped; /* by the caller's own on_message */
};

struct ym_rpc_client {
    grpc_channel *channel;
    char *target;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct out_call *running;
    size_t busy; /* calls and waits */
    bool cancelled;
};

/* ---- opening and closing ---- */

static grpc_arg arg_int(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static bool is_loopback(const char *target)
{
    return strncmp(target, "127.", 4) == 0 || strncmp(target, "localhost:", 10) == 0 ||
           strncmp(target, "[::1]", 5) == 0;
}

static grpc_channel *channel_create(const struct ym_rpc_client_options *o, grpc_channel_credentials *creds)
{
    int64_t longest = o->connect_ms > 0 && o->connect_ms < BACKOFF_LONGEST_MS ? o->connect_ms : BACKOFF_LONGEST_MS;
    grpc_arg args[16];
    grpc_channel_args all = {.args = args};
    size_t n = 0;

    args[n++] = arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, YM_RPC_MAX_MESSAGE);
    args[n++] = arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, YM_RPC_MAX_MESSAGE);
    args[n++] = arg_int(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    args[n++] = arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, YM_RPC_KEEPALIVE_MS);
    args[n++] = arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, YM_RPC_KEEPALIVE_TIMEOUT_MS);
    args[n++] = arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    args[n++] = arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    args[n++] =
        arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, longest < BACKOFF_FIRST_MS ? (int)longest : BACKOFF_FIRST_MS);
    args[n++] = arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, (int)longest);
    args[n++] = arg_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, DIAL_MS); /* its meaning: least time of one attempt */
    args[n++] = arg_int(GRPC_ARG_ENABLE_RETRIES, 0);                 /* the application retries, idempotently */
    /* A reopened client has its own connection, with the new certificate. */
    args[n++] = arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (is_loopback(o->target))
        args[n++] = arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    if (o->server_name)
        args[n++] = (grpc_arg){.type = GRPC_ARG_STRING,
                               .key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
                               .value.string = (char *)(uintptr_t)o->server_name};
    all.num_args = n;
    return grpc_channel_create(o->target, creds, &all);
}

enum ym_code ym_rpc_client_open(const struct ym_rpc_client_options *o, struct ym_rpc_client **out, struct ym_status *st)
{
    struct ym_rpc_client *c;
    grpc_channel_credentials *creds;

    ym_rpc_init();
    if (!o->target || !strrchr(o->target, ':'))
        return ym_status_set(st, YM_INVALID, "address \"%s\" is not HOST:PORT", o->target ? o->target : "");
    creds = ym_rpc_tls_channel(&o->tls, st);
    if (!creds)
        return YM_INVALID;
    c = calloc(1, sizeof *c);
    if (c)
        c->target = strdup(o->target);
    if (!c || !c->target) {
        free(c);
        grpc_channel_credentials_release(creds);
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a client");
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->channel = channel_create(o, creds);
    grpc_channel_credentials_release(creds);
    *out = c;
    return YM_OK;
}

void ym_rpc_client_cancel(struct ym_rpc_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->cancelled = true;
    for (struct out_call *k = c->running; k; k = k->next)
        grpc_call_cancel(k->grpc, NULL);
    pthread_mutex_unlock(&c->lock);
}

void ym_rpc_client_close(struct ym_rpc_client **client)
{
    struct ym_rpc_client *c = *client;

    if (!c)
        return;
    *client = NULL;
    ym_rpc_client_cancel(c);
    pthread_mutex_lock(&c->lock);
    while (c->busy)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
    grpc_channel_destroy(c->channel);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->target);
    free(c);
}

static bool client_enter(struct ym_rpc_client *c)
{
    bool go;
    pthread_mutex_lock(&c->lock);
    go = !c->cancelled;
    if (go)
        c->busy++;
    pthread_mutex_unlock(&c->lock);
    return go;
}

static void client_leave(struct ym_rpc_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->busy--;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static bool client_cancelled(struct ym_rpc_client *c)
{
    bool cancelled;
    pthread_mutex_lock(&c->lock);
    cancelled = c->cancelled;
    pthread_mutex_unlock(&c->lock);
    return cancelled;
}

/* ---- a call's frame ---- */

static gpr_timespec after_ms(int64_t ms)
{
    if (ms <= 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static void cq_destroy(grpc_completion_queue *cq)
{
    grpc_completion_queue_shutdown(cq);
    grpc_completion_queue_destroy(cq);
}

static enum ym_code call_open(struct ym_rpc_client *c, const char *path, int64_t deadline_ms, struct out_call *k,
                              struct ym_status *st)
{
    grpc_slice method = grpc_slice_from_copied_string(path);
    bool go;

    *k = (struct out_call){.details = grpc_empty_slice()};
    if (!client_enter(c)) {
        grpc_slice_unref(method);
        return ym_status_set(st, YM_UNAVAILABLE, "call %s: cancelled", path);
    }
    grpc_metadata_array_init(&k->initial);
    grpc_metadata_array_init(&k->trailing);
    k->cq = grpc_completion_queue_create_for_pluck(NULL);
    k->grpc = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, k->cq, method, NULL,
                                       after_ms(deadline_ms), NULL);
    grpc_slice_unref(method);
    pthread_mutex_lock(&c->lock);
    k->next = c->running;
    c->running = k;
    go = !c->cancelled;
    pthread_mutex_unlock(&c->lock);
    if (!go) /* cancelled in between: the call then ends by itself */
        grpc_call_cancel(k->grpc, NULL);
    return YM_OK;
}

static void call_close(struct ym_rpc_client *c, struct out_call *k)
{
    pthread_mutex_lock(&c->lock);
    for (struct out_call **at = &c->running; *at; at = &(*at)->next) {
        if (*at == k) {
            *at = k->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    grpc_call_unref(k->grpc);
    cq_destroy(k->cq);
    if (k->incoming)
        grpc_byte_buffer_destroy(k->incoming);
    grpc_metadata_array_destroy(&k->initial);
    grpc_metadata_array_destroy(&k->trailing);
    grpc_slice_unref(k->details);
    gpr_free((void *)(uintptr_t)k->error);
    client_leave(c);
}

static void batch(struct out_call *k, const grpc_op *ops, size_t n, void *tag)
{
    YM_ASSERT(grpc_call_start_batch(k->grpc, ops, n, tag, NULL) == GRPC_CALL_OK);
}

static bool pluck(struct out_call *k, void *tag)
{
    return grpc_completion_queue_pluck(k->cq, tag, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).success != 0;
}

static grpc_op op_headers(bool wait)
{
    return (grpc_op){
        .op = GRPC_OP_SEND_INITIAL_METADATA,
        .flags = wait ? GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET : 0};
}

static grpc_op op_send(grpc_byte_buffer *bb)
{
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = bb;
    return op;
}

static grpc_op op_close(void)
{
    return (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
}

/* A receive completes only when this was started too. */
static grpc_op op_recv_headers(struct out_call *k)
{
    grpc_op op = {.op = GRPC_OP_RECV_INITIAL_METADATA};
    op.data.recv_initial_metadata.recv_initial_metadata = &k->initial;
    return op;
}

static grpc_op op_recv(struct out_call *k)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &k->incoming;
    return op;
}

static grpc_op op_status(struct out_call *k)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.status = &k->status;
    op.data.recv_status_on_client.status_details = &k->details;
    op.data.recv_status_on_client.trailing_metadata = &k->trailing;
    op.data.recv_status_on_client.error_string = &k->error;
    return op;
}

/* ---- the end of a call ---- */

static enum ym_code status_code(const struct out_call *k)
{
    enum ym_code code;
    for (size_t i = 0; i < k->trailing.count; i++) {
        if (grpc_slice_str_cmp(k->trailing.metadata[i].key, YM_RPC_CODE_KEY) == 0 &&
            ym_rpc_code_parse(k->trailing.metadata[i].value, &code))
            return code;
    }
    return ym_rpc_code_from_grpc((int)k->status);
}

/* The server's words are foreign: bounded, and UTF-8 or nothing. */
static void status_text(const struct out_call *k, char out[YM_RPC_REASON_BYTES])
{
    size_t len = GRPC_SLICE_LENGTH(k->details);
    const char *text = (const char *)GRPC_SLICE_START_PTR(k->details);

    out[0] = 0;
    if (len < YM_RPC_REASON_BYTES && ym_utf8_valid(text, len))
        snprintf(out, YM_RPC_REASON_BYTES, "%.*s", (int)len, text);
}

static enum ym_code call_status(struct ym_rpc_client *c, const char *path, const struct out_call *k,
                                struct ym_status *st)
{
    char text[YM_RPC_REASON_BYTES];
    enum ym_code code;

    if (k->status == GRPC_STATUS_OK || k->stopped)
        return YM_OK;
    code = status_code(k);
    status_text(k, text);
    if (k->error)
        ym_log(YM_LOG_TRACE, "rpc.call", "target=%s method=%s status=%d error=\"%s\"", c->target, path, (int)k->status,
               k->error);
    if (k->status == GRPC_STATUS_CANCELLED && client_cancelled(c))
        return ym_status_set(st, YM_UNAVAILABLE, "call %s: cancelled", path);
    if (text[0]) /* the method is in the trace; a person needs who said what */
        return ym_status_set(st, code, "hub %s: %s", c->target, text);
    return ym_status_set(st, code, "call %s at %s: %s", path, c->target, ym_code_name(code));
}

/* The one message of a reply, on success only. */
static enum ym_code call_reply(struct ym_rpc_client *c, const char *path, struct out_call *k, struct ym_buf *reply,
                               struct ym_status *st)
{
    enum ym_code code = call_status(c, path, k, st);

    if (code != YM_OK)
        return code;
    if (!ym_rpc_bytes_read(k->incoming, reply))
        return ym_status_set(st, YM_CORRUPT, "call %s at %s: no usable answer", path, c->target);
    return YM_OK;
}

/* ---- the three kinds ---- */

enum ym_code ym_rpc_unary(struct ym_rpc_client *c, const char *path, struct ym_bytes request, int64_t deadline_ms,
                          bool wait, struct ym_buf *reply, struct ym_status *st)
{
    struct out_call k;
    grpc_byte_buffer *bb;
    enum ym_code code = call_open(c, path, deadline_ms, &k, st);

    if (code != YM_OK)
        return code;
    bb = ym_rpc_bytes_make(request);
    grpc_op ops[] = {op_headers(wait), op_send(bb), op_close(), op_recv_headers(&k), op_recv(&k), op_status(&k)};
    batch(&k, ops, 6, &k);
    pluck(&k, &k);
    grpc_byte_buffer_destroy(bb);
    code = call_reply(c, path, &k, reply, st);
    call_close(c, &k);
    return code;
}

/* False at the end of the stream. */
static bool read_message(struct out_call *k, struct ym_buf *message)
{
    grpc_op op = op_recv(k);
    bool ok;

    batch(k, &op, 1, &k->incoming);
    if (!pluck(k, &k->incoming) || !k->incoming)
        return false;
    ok = ym_rpc_bytes_read(k->incoming, message);
    grpc_byte_buffer_destroy(k->incoming);
    k->incoming = NULL;
    if (!ok)
        grpc_call_cancel_with_status(k->grpc, GRPC_STATUS_DATA_LOSS, "unusable message in the stream", NULL);
    return ok;
}

enum ym_code ym_rpc_read_stream(struct ym_rpc_client *c, const char *path, struct ym_bytes request, int64_t deadline_ms,
                                bool (*on_message)(void *ctx, struct ym_bytes message), void *ctx, struct ym_status *st)
{
    struct out_call k;
    struct ym_buf message = {0};
    grpc_byte_buffer *bb;
    enum ym_code code = call_open(c, path, deadline_ms, &k, st);

    if (code != YM_OK)
        return code;
    bb = ym_rpc_bytes_make(request);
    grpc_op status = op_status(&k), ops[] = {op_headers(false), op_send(bb), op_close(), op_recv_headers(&k)};
    batch(&k, &status, 1, &k.status);
    batch(&k, ops, 4, &k);
    while (read_message(&k, &message)) {
        if (!on_message(ctx, (struct ym_bytes){message.data, message.len})) {
            k.stopped = true;
            grpc_call_cancel(k.grpc, NULL);
            break;
        }
    }
    pluck(&k, &k);
    pluck(&k, &k.status);
    grpc_byte_buffer_destroy(bb);
    code = call_status(c, path, &k, st);
    call_close(c, &k);
    ym_buf_release(&message);
    return code;
}

/* Headers first, so that a server that refuses is heard before next is asked
 * for much; false when the stream is over. */
static bool write_message(struct out_call *k, const struct ym_buf *message)
{
    grpc_byte_buffer *bb = ym_rpc_bytes_make((struct ym_bytes){message->data, message->len});
    grpc_op op = op_send(bb);
    bool ok;

    batch(k, &op, 1, &k->incoming);
    ok = pluck(k, &k->incoming);
    grpc_byte_buffer_destroy(bb);
    return ok;
}

static void write_all(struct out_call *k, bool (*next)(void *ctx, struct ym_buf *message), void *ctx)
{
    struct ym_buf message = {0};
    grpc_op headers = op_headers(false), half_close = op_close();
    bool ok;

    batch(k, &headers, 1, &k->incoming);
    ok = pluck(k, &k->incoming);
    while (ok) {
        ym_buf_clear(&message);
        if (!next(ctx, &message))
            break;
        ok = write_message(k, &message);
    }
    if (ok) {
        batch(k, &half_close, 1, &k->incoming);
        pluck(k, &k->incoming);
    }
    ym_buf_release(&message);
}

enum ym_code ym_rpc_write_stream(struct ym_rpc_client *c, const char *path, int64_t deadline_ms,
                                 bool (*next)(void *ctx, struct ym_buf *message), void *ctx, struct ym_buf *reply,
                                 struct ym_status *st)
{
    struct out_call k;
    enum ym_code code = call_open(c, path, deadline_ms, &k, st);

    if (code != YM_OK)
        return code;
    grpc_op status = op_status(&k), receive[] = {op_recv_headers(&k), op_recv(&k)};
    batch(&k, &status, 1, &k.status);
    batch(&k, receive, 2, &k);
    write_all(&k, next, ctx);
    pluck(&k, &k);
    pluck(&k, &k.status);
    code = call_reply(c, path, &k, reply, st);
    call_close(c, &k);
    return code;
}

/* ---- waiting for the connection ---- */

static bool wait_slice(struct ym_rpc_client *c, grpc_completion_queue *cq, grpc_connectivity_state state, int64_t ms)
{
    grpc_channel_watch_connectivity_state(c->channel, state, after_ms(ms), cq, c);
    grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    return !client_cancelled(c);
}

static enum ym_code wait_ready(struct ym_rpc_client *c, grpc_completion_queue *cq, int64_t wait_ms,
                               struct ym_status *st)
{
    int64_t end = ym_clock_mono_ms() + wait_ms;

    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(c->channel, 1);
        int64_t left = wait_ms > 0 ? end - ym_clock_mono_ms() : WAIT_SLICE_MS;
        if (state == GRPC_CHANNEL_READY)
            return YM_OK;
        if (left <= 0)
            return ym_status_set(st, YM_DEADLINE, "no connection to %s after %lld ms", c->target, (long long)wait_ms);
        if (!wait_slice(c, cq, state, left < WAIT_SLICE_MS ? left : WAIT_SLICE_MS))
            return ym_status_set(st, YM_UNAVAILABLE, "connection to %s: cancelled", c->target);
    }
}

enum ym_code ym_rpc_client_wait(struct ym_rpc_client *c, int64_t wait_ms, struct ym_status *st)
{
    grpc_completion_queue *cq;
    enum ym_code code;

    if (!client_enter(c))
        return ym_status_set(st, YM_UNAVAILABLE, "connection to %s: cancelled", c->target);
    cq = grpc_completion_queue_create_for_next(NULL);
    code = wait_ready(c, cq, wait_ms, st);
    cq_destroy(cq);
    client_leave(c);
    return code;
}

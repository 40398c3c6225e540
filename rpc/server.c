#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "rpc/internal.h"

/* ---- building ---- */

static grpc_arg arg_int(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static grpc_server *core_create(void)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("yumen-server");
    grpc_arg args[] = {
        arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, YM_RPC_MAX_MESSAGE),
        arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, YM_RPC_MAX_MESSAGE),
        arg_int(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0), /* refused in bytes.c, never expanded */
        arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, YM_RPC_KEEPALIVE_MS),
        arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, YM_RPC_KEEPALIVE_TIMEOUT_MS),
        arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, YM_RPC_KEEPALIVE_MS / 3),
        arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        arg_int(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64),
        arg_int(GRPC_ARG_MAX_CONNECTION_AGE_MS, YM_RPC_CONNECTION_AGE_MS),
        arg_int(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, YM_RPC_CONNECTION_GRACE_MS),
        arg_int(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, YM_RPC_HANDSHAKE_MS),
        arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0), /* two servers on one port is an error */
        {.type = GRPC_ARG_POINTER,
         .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {.p = quota, .vtable = grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args all = {.num_args = sizeof args / sizeof args[0], .args = args};
    grpc_server *core;

    grpc_resource_quota_resize(quota, YM_RPC_QUOTA_BYTES);
    core = grpc_server_create(&all, NULL);
    grpc_resource_quota_unref(quota);
    return core;
}

static enum ym_code add_methods(struct ym_rpc_server *s, const struct ym_rpc_method *methods, void *ctx, bool health)
{
    for (; methods->path; methods++) {
        struct ym_rpc_entry *grown = realloc(s->entry, (s->entry_count + 1) * sizeof *grown);
        if (!grown)
            return YM_EXHAUSTED;
        s->entry = grown;
        grown[s->entry_count] = (struct ym_rpc_entry){.method = *methods, .ctx = ctx, .health = health};
        grown[s->entry_count].method.path = strdup(methods->path);
        if (!grown[s->entry_count++].method.path)
            return YM_EXHAUSTED;
    }
    return YM_OK;
}

static void register_method(struct ym_rpc_server *s, struct ym_rpc_entry *e)
{
    e->handle = grpc_server_register_method(
        s->grpc, e->method.path, NULL,
        e->method.kind == YM_RPC_CLIENT_STREAM ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    YM_ASSERT(e->handle); /* NULL: registered twice */
}

static enum ym_code add_queues(struct ym_rpc_server *s, size_t threads)
{
    s->queue = calloc(threads, sizeof *s->queue);
    if (!s->queue)
        return YM_EXHAUSTED;
    for (; s->queue_count < threads; s->queue_count++) {
        struct ym_rpc_queue *q = &s->queue[s->queue_count];
        q->server = s;
        q->cq = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(s->grpc, q->cq, NULL);
    }
    return YM_OK;
}

static enum ym_code add_port(struct ym_rpc_server *s, const char *listen, struct ym_status *st)
{
    grpc_server_credentials *creds = ym_rpc_tls_server(&s->identity, s->enrolment);
    const char *colon = strrchr(listen, ':');

    if (!creds)
        return ym_status_set(st, YM_INTERNAL, "cannot make server credentials");
    if (!colon || colon == listen || (size_t)(colon - listen) >= sizeof s->host) {
        grpc_server_credentials_release(creds);
        return ym_status_set(st, YM_INVALID, "address \"%s\" is not HOST:PORT", listen);
    }
    snprintf(s->host, sizeof s->host, "%.*s", (int)(colon - listen), listen);
    s->port = grpc_server_add_http2_port(s->grpc, listen, creds);
    grpc_server_credentials_release(creds);
    if (s->port == 0)
        return ym_status_set(st, YM_CONFLICT, "cannot listen on \"%s\": taken by another process, or not ours", listen);
    return YM_OK;
}

/* ---- the loops ---- */

static void core_stopped(struct ym_rpc_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->core_stopped = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void *queue_run(void *arg)
{
    struct ym_rpc_queue *q = arg;
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(q->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (ev.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (ev.tag == q->server) {
            core_stopped(q->server);
        } else {
            struct ym_rpc_tag *tag = ev.tag;
            tag->fn(tag->call, ev.success != 0);
        }
    }
}

static enum ym_code start_queues(struct ym_rpc_server *s, struct ym_status *st)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        struct ym_rpc_queue *q = &s->queue[i];
        for (size_t k = 0; k < s->entry_count; k++)
            ym_rpc_call_arm(q, &s->entry[k]);
        ym_rpc_call_arm(q, NULL);
    }
    for (size_t i = 0; i < s->queue_count; i++) {
        struct ym_rpc_queue *q = &s->queue[i];
        if (pthread_create(&q->thread, NULL, queue_run, q) != 0)
            return ym_status_set(st, YM_EXHAUSTED, "cannot start a thread: %s", strerror(errno));
        q->running = true;
    }
    return YM_OK;
}

/* ---- ending ---- */

static void wait_until(struct ym_rpc_server *s, int grace_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += (long)(grace_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while ((s->live || !s->core_stopped) && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&s->lock);
}

static void wait_drained(struct ym_rpc_server *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->live || !s->core_stopped)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* Requests still armed come back with failure before the queue says shutdown;
 * when a thread could not be started its queue is emptied here. */
static void stop_queues(struct ym_rpc_server *s)
{
    for (size_t i = 0; i < s->queue_count; i++)
        grpc_completion_queue_shutdown(s->queue[i].cq);
    for (size_t i = 0; i < s->queue_count; i++) {
        if (s->queue[i].running)
            pthread_join(s->queue[i].thread, NULL);
        else
            queue_run(&s->queue[i]);
    }
}

static void server_free(struct ym_rpc_server *s)
{
    if (s->grpc)
        grpc_server_destroy(s->grpc);
    for (size_t i = 0; i < s->queue_count; i++)
        grpc_completion_queue_destroy(s->queue[i].cq);
    for (size_t i = 0; i < s->entry_count; i++)
        free((char *)(uintptr_t)s->entry[i].method.path);
    free(s->entry);
    free(s->queue);
    ym_rpc_probe_free(s->probe);
    ym_rpc_identity_release(&s->identity);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void ym_rpc_server_stop(struct ym_rpc_server **server, int grace_ms)
{
    struct ym_rpc_server *s = *server;

    if (!s)
        return;
    *server = NULL;
    ym_rpc_probe_stop(s);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    ym_rpc_health_stop(s);
    grpc_server_shutdown_and_notify(s->grpc, s->queue[0].cq, s);
    wait_until(s, grace_ms);
    grpc_server_cancel_all_calls(s->grpc);
    wait_drained(s);
    stop_queues(s);
    server_free(s);
}

/* ---- starting ---- */

static struct ym_rpc_server *server_new(const struct ym_rpc_server_options *o)
{
    struct ym_rpc_server *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;

    if (!s)
        return NULL;
    s->enrolment = o->enrolment;
    s->authenticate = o->authenticate;
    s->ctx = o->ctx;
    s->serving = true;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static enum ym_code server_build(struct ym_rpc_server *s, const struct ym_rpc_server_options *o, struct ym_status *st)
{
    enum ym_code code = ym_rpc_identity_init(&s->identity, o->fetch_tls, o->ctx, st);

    if (code != YM_OK)
        return code;
    code = add_methods(s, o->methods, o->ctx, false);
    if (code == YM_OK && !o->enrolment)
        code = add_methods(s, ym_rpc_health_methods, s, true);
    if (code != YM_OK)
        return ym_status_set(st, code, "no memory for the method table");
    s->grpc = core_create();
    for (size_t i = 0; i < s->entry_count; i++)
        register_method(s, &s->entry[i]);
    code = add_queues(s, o->threads > 0 ? (size_t)o->threads : 2);
    if (code != YM_OK)
        return ym_status_set(st, code, "no memory for the completion queues");
    code = ym_rpc_probe_create(s, o, st);
    return code == YM_OK ? add_port(s, o->listen, st) : code;
}

/* The core wants a shutdown even from a server that never started. */
static void server_discard(struct ym_rpc_server *s)
{
    if (s->grpc && s->queue_count) {
        grpc_server_shutdown_and_notify(s->grpc, s->queue[0].cq, s);
        grpc_server_cancel_all_calls(s->grpc);
        stop_queues(s);
    }
    server_free(s);
}

enum ym_code ym_rpc_server_start(const struct ym_rpc_server_options *o, struct ym_rpc_server **out,
                                 struct ym_status *st)
{
    struct ym_rpc_server *s;
    enum ym_code code;

    ym_rpc_init();
    if (!o->listen || !o->fetch_tls || !o->methods || (!o->enrolment && !o->authenticate))
        return ym_status_set(st, YM_INVALID, "a server needs listen, fetch_tls, methods and authenticate");
    s = server_new(o);
    if (!s)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a server");
    code = server_build(s, o, st);
    if (code != YM_OK) {
        server_discard(s);
        return code;
    }
    grpc_server_start(s->grpc);
    code = start_queues(s, st);
    if (code == YM_OK)
        code = ym_rpc_probe_start(s, st);
    if (code != YM_OK) {
        server_discard(s);
        return code;
    }
    *out = s;
    return YM_OK;
}

int ym_rpc_server_port(const struct ym_rpc_server *s)
{
    return s->port;
}

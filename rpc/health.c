#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

/* grpc.health.v1, the public protocol of two one-field messages. It is written
 * by hand because rpc/ and proto/ are on one floor; a test compares it with the
 * generated code. */

enum health { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

#define HEALTH_REQUEST_BYTES 256

struct ym_rpc_watcher {
    struct ym_rpc_call *call;
    bool known; /* the service exists */
    struct ym_rpc_watcher *next;
};

/* The request's service: field 1, a string of at most 127 bytes here; nothing
 * else is expected. An empty request asks about the whole server. */
static bool request_parse(struct ym_bytes request, char service[128])
{
    service[0] = 0;
    if (request.len == 0)
        return true;
    if (request.len > HEALTH_REQUEST_BYTES || request.len < 2 || request.data[0] != 0x0a ||
        request.data[1] != request.len - 2 || request.data[1] > 127)
        return false;
    if (!ym_utf8_valid((const char *)request.data + 2, request.len - 2))
        return false;
    memcpy(service, request.data + 2, request.len - 2);
    service[request.len - 2] = 0;
    return true;
}

/* "/yumen.v1.Worker/Post" belongs to "yumen.v1.Worker". */
static bool service_known(const struct ym_rpc_server *s, const char *service)
{
    size_t len = strlen(service);
    if (len == 0)
        return true;
    for (size_t i = 0; i < s->entry_count; i++) {
        const char *path = s->entry[i].method.path + 1;
        if (strncmp(path, service, len) == 0 && path[len] == '/')
            return true;
    }
    return false;
}

static struct ym_bytes answer(enum health status)
{
    static const uint8_t wire[4][2] = {{0x08, 0}, {0x08, 1}, {0x08, 2}, {0x08, 3}};
    return (struct ym_bytes){wire[status], 2};
}

static void check_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_rpc_server *s = ctx;
    char service[128];
    bool serving;

    if (!request_parse(request, service)) {
        ym_rpc_call_fail(call, YM_INVALID, "not a health check request");
        return;
    }
    if (!service_known(s, service)) {
        ym_rpc_call_fail(call, YM_NOT_FOUND, "no such service here");
        return;
    }
    pthread_mutex_lock(&s->lock);
    serving = s->serving;
    pthread_mutex_unlock(&s->lock);
    ym_rpc_call_reply(call, answer(serving ? HEALTH_SERVING : HEALTH_NOT_SERVING));
}

/* Server lock held. A watcher that does not read is dropped. */
static void watcher_tell(const struct ym_rpc_server *s, struct ym_rpc_watcher *w)
{
    enum health status = !w->known ? HEALTH_SERVICE_UNKNOWN : s->serving ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    if (ym_rpc_call_send(w->call, answer(status)) == YM_EXHAUSTED)
        ym_rpc_call_fail(w->call, YM_EXHAUSTED, "too many unread answers");
}

static void watch_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_rpc_server *s = ctx;
    struct ym_rpc_watcher *w;
    char service[128];

    if (!request_parse(request, service)) {
        ym_rpc_call_fail(call, YM_INVALID, "not a health check request");
        return;
    }
    w = calloc(1, sizeof *w);
    if (!w) {
        ym_rpc_call_fail(call, YM_EXHAUSTED, "no memory");
        return;
    }
    *w = (struct ym_rpc_watcher){.call = call, .known = service_known(s, service)};
    pthread_mutex_lock(&s->lock);
    w->next = s->watchers;
    s->watchers = w;
    watcher_tell(s, w);
    if (s->stopping)
        ym_rpc_call_finish(call);
    pthread_mutex_unlock(&s->lock);
}

static void watch_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct ym_rpc_server *s = ctx;

    (void)cancelled;
    pthread_mutex_lock(&s->lock);
    for (struct ym_rpc_watcher **at = &s->watchers; *at; at = &(*at)->next) {
        struct ym_rpc_watcher *w = *at;
        if (w->call == call) {
            *at = w->next;
            free(w);
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

const struct ym_rpc_method ym_rpc_health_methods[] = {
    {.path = "/grpc.health.v1.Health/Check", .kind = YM_RPC_UNARY, .on_start = check_start},
    {.path = "/grpc.health.v1.Health/Watch",
     .kind = YM_RPC_SERVER_STREAM,
     .on_start = watch_start,
     .on_end = watch_end},
    {0},
};

void ym_rpc_server_set_serving(struct ym_rpc_server *s, bool serving)
{
    pthread_mutex_lock(&s->lock);
    if (s->serving != serving) {
        s->serving = serving;
        for (struct ym_rpc_watcher *w = s->watchers; w; w = w->next)
            watcher_tell(s, w);
    }
    pthread_mutex_unlock(&s->lock);
}

void ym_rpc_health_stop(struct ym_rpc_server *s)
{
    ym_rpc_server_set_serving(s, false);
    pthread_mutex_lock(&s->lock);
    for (struct ym_rpc_watcher *w = s->watchers; w; w = w->next)
        ym_rpc_call_finish(w->call);
    pthread_mutex_unlock(&s->lock);
}

#include "web/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define HEADER_BYTES 16384

struct visit { /* a connection */
    struct visit *next, **link;
    int fd;
    int64_t until_ms;
};

struct ym_web_server {
    struct MHD_Daemon *daemon;
    struct ym_web_handler handler;
    int port;
    pthread_t reaper;
    bool reaping;
    pthread_mutex_t lock;
    pthread_cond_t stop_asked;
    bool stopping;
    struct visit *visits;
};

void ym_web_say(struct ym_web_answer *out, unsigned status, const char *text)
{
    out->status = status;
    out->content_type = "text/plain; charset=utf-8";
    out->cache_control = NULL;
    ym_buf_clear(&out->body);
    ym_buf_printf(&out->body, "%s\n", text);
}

/* ---- answering ---- */

struct upload { /* a request's body as it comes */
    struct ym_buf body;
    bool too_large;
};

static enum MHD_Result answer(struct MHD_Connection *c, struct ym_web_answer *a)
{
    struct MHD_Response *r;
    enum MHD_Result result;

    if (a->from_file)
        r = MHD_create_response_from_fd64(a->file_bytes, a->fd);
    else
        r = MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_COPY);
    ym_buf_release(&a->body);
    if (!r && a->from_file)
        close(a->fd);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                            a->content_type ? a->content_type : "text/plain; charset=utf-8");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, a->cache_control ? a->cache_control : "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(c, a->status ? a->status : MHD_HTTP_INTERNAL_SERVER_ERROR, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
    struct ym_web_answer a = {0};

    ym_web_say(&a, status, text);
    return answer(c, &a);
}

static enum MHD_Result take_post(struct ym_web_server *s, struct MHD_Connection *c, const char *path, struct upload *u,
                                 const char *data, size_t *len)
{
    struct ym_web_answer a = {0};

    if (*len > 0) {
        u->too_large |= *len > s->handler.body_max - u->body.len || ym_buf_append(&u->body, data, *len) != YM_OK;
        *len = 0;
        return MHD_YES;
    }
    if (u->too_large)
        return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
    s->handler.post(s->handler.ctx, path, ym_buf_bytes(&u->body), &a);
    return answer(c, &a);
}

static enum MHD_Result take_get(struct ym_web_server *s, struct MHD_Connection *c, const char *path, size_t body)
{
    struct ym_web_answer a = {0};

    if (body > 0)
        return MHD_NO; /* a GET with a body: cut */
    s->handler.get(s->handler.ctx, path, &a);
    return answer(c, &a);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *data, size_t *len, void **state)
{
    struct ym_web_server *s = ctx;
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool post = s->handler.post && strcmp(method, "POST") == 0;

    (void)version;
    if (!get && !post)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "this method is not served");
    if (!*state) { /* headers only; the body, or its end, comes with the next call */
        *state = calloc(1, sizeof(struct upload));
        return *state ? MHD_YES : MHD_NO;
    }
    return get ? take_get(s, c, path, *len) : take_post(s, c, path, *state, data, len);
}

/* Names that are served have no escapes: decoding could only make two spellings of one. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *c, char *text)
{
    (void)ctx, (void)c;
    return strlen(text);
}

static void on_done(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct upload *u = *state;

    (void)ctx, (void)c, (void)why;
    if (u)
        ym_buf_release(&u->body);
    free(u);
    *state = NULL;
}

/* ---- the life of connections ---- */

static void begin_visit(struct ym_web_server *s, struct MHD_Connection *c, void **slot)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct visit *v = calloc(1, sizeof *v);

    if (!v)
        return; /* the idle limit still holds */
    v->fd = info ? info->connect_fd : -1;
    v->until_ms = ym_clock_mono_ms() + YM_WEB_LIFE_S * 1000;
    pthread_mutex_lock(&s->lock);
    v->next = s->visits;
    v->link = &s->visits;
    if (v->next)
        v->next->link = &v->next;
    s->visits = v;
    pthread_mutex_unlock(&s->lock);
    *slot = v;
}

static void end_visit(struct ym_web_server *s, void **slot)
{
    struct visit *v = *slot;

    *slot = NULL;
    if (!v)
        return;
    pthread_mutex_lock(&s->lock);
    *v->link = v->next;
    if (v->next)
        v->next->link = v->link;
    pthread_mutex_unlock(&s->lock);
    free(v);
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **slot, enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        begin_visit(ctx, c, slot);
    else
        end_visit(ctx, slot); /* the socket is closed after this */
}

static void cut_old_visits(struct ym_web_server *s)
{
    int64_t now = ym_clock_mono_ms();

    for (struct visit *v = s->visits; v; v = v->next)
        if (now >= v->until_ms && v->fd >= 0) {
            shutdown(v->fd, SHUT_RDWR);
            v->fd = -1;
        }
}

/* The library counts silence only: who sends a byte now and then would stay. */
static void *reap(void *arg)
{
    struct ym_web_server *s = arg;
    struct timespec next;

    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        cut_old_visits(s);
        clock_gettime(CLOCK_REALTIME, &next);
        next.tv_sec++;
        pthread_cond_timedwait(&s->stop_asked, &s->lock, &next);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- listening ---- */

static enum ym_code split_address(const char *listen, char host[128], char port[8], struct ym_status *st)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;

    if (!colon || len == 0 || len >= 128 || strlen(colon + 1) < 1 || strlen(colon + 1) > 5)
        return ym_status_set(st, YM_INVALID, "'%.100s' is not host:port", listen);
    if (listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    memcpy(host, listen, len);
    host[len] = 0;
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return YM_OK;
}

static enum ym_code bind_address(const char *listen_on, int *fd, struct ym_status *st)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char host[128], port[8];
    int on = 1, error;
    enum ym_code code = split_address(listen_on, host, port, st);

    if (code != YM_OK)
        return code;
    error = getaddrinfo(host, port, &hints, &found);
    if (error)
        return ym_status_set(st, YM_INVALID, "'%.100s': %s", listen_on, gai_strerror(error));
    *fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(*fd, found->ai_addr, found->ai_addrlen) != 0 || listen(*fd, YM_WEB_CONNECTIONS) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot listen on '%.100s': %s", listen_on, strerror(errno));
    freeaddrinfo(found);
    return code;
}

static int bound_port(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;

    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static struct MHD_Daemon *start_daemon(struct ym_web_server *s, int fd)
{
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, on_request, s,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)YM_WEB_CONNECTIONS,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)YM_WEB_PER_ADDRESS,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)YM_WEB_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)HEADER_BYTES, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_done, s,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
}

enum ym_code ym_web_server_start(const char *listen, const struct ym_web_handler *handler, struct ym_web_server **out,
                                 struct ym_status *st)
{
    struct ym_web_server *s = calloc(1, sizeof *s);
    int fd = -1;
    enum ym_code code;

    if (!s)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    s->handler = *handler;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->stop_asked, NULL);
    code = bind_address(listen, &fd, st);
    if (code == YM_OK) {
        s->port = bound_port(fd);
        s->daemon = start_daemon(s, fd);
        s->reaping = s->daemon && pthread_create(&s->reaper, NULL, reap, s) == 0;
        if (!s->reaping)
            code = ym_status_set(st, YM_EXHAUSTED, "cannot start the HTTP server");
    }
    if (!s->daemon && fd >= 0)
        close(fd);
    if (code != YM_OK) {
        ym_web_server_stop(&s);
        return code;
    }
    *out = s;
    return YM_OK;
}

int ym_web_server_port(const struct ym_web_server *s)
{
    return s->port;
}

void ym_web_server_stop(struct ym_web_server **server)
{
    struct ym_web_server *s = *server;

    if (!s)
        return;
    *server = NULL;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->stop_asked);
    pthread_mutex_unlock(&s->lock);
    if (s->reaping)
        pthread_join(s->reaper, NULL);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    pthread_cond_destroy(&s->stop_asked);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

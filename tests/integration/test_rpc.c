#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/rpc_kit.h"

extern char **environ;

/* Real TLS on loopback. One hub with every kind of method; tests wait for its
 * counters, not for time. */

#define PATIENCE_MS 60000 /* far beyond anything but a hang, sanitizers included */

enum counter { STARTED, HELD, ENDED, CANCELLED, MESSAGES, HALF_CLOSED, COMMITTED, SENT, FULL, DENIED, DEAF, COUNTERS };

struct hub {
    struct ym_rpc_server *server;
    int port;
    struct kit_id id;
    struct kit_ca *ca;
    bool (*fetch)(struct hub *hub, uint64_t *generation, struct ym_rpc_tls *tls); /* NULL: id */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    long count[COUNTERS];
    struct ym_rpc_call *call; /* the last one that HOLD or SUM keeps, a ref */
    uint8_t revoked[32];
    bool pause_after_first;
    long pump_total; /* messages that PUMP sends */
    uint64_t generation;
    struct kit_id next; /* shown from the next generation on */
};

static struct kit_ca ca, foreign_ca;
static struct kit_id hub_id, site, foreign_site;

/* ---- counters ---- */

static void count(struct hub *h, enum counter c)
{
    pthread_mutex_lock(&h->lock);
    h->count[c]++;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static long counted(struct hub *h, enum counter c)
{
    pthread_mutex_lock(&h->lock);
    long n = h->count[c];
    pthread_mutex_unlock(&h->lock);
    return n;
}

static void await(struct hub *h, enum counter c, long least)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&h->lock);
    while (h->count[c] < least && error == 0)
        error = pthread_cond_timedwait(&h->changed, &h->lock, &until);
    pthread_mutex_unlock(&h->lock);
    assert_int_equal(error, 0);
}

static void keep_call(struct hub *h, struct ym_rpc_call *call)
{
    ym_rpc_call_ref(call);
    pthread_mutex_lock(&h->lock);
    struct ym_rpc_call *old = h->call;
    h->call = call;
    pthread_mutex_unlock(&h->lock);
    if (old)
        ym_rpc_call_unref(old);
}

/* ---- methods ---- */

static void echo_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    count(ctx, STARTED);
    ym_rpc_call_reply(call, request);
}

static void any_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    (void)call;
    if (cancelled)
        count(ctx, CANCELLED);
    count(ctx, ENDED);
}

static void who_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    const char *name = ym_rpc_call_who(call)->name;
    (void)request;
    (void)ctx;
    ym_rpc_call_reply(call, (struct ym_bytes){(const uint8_t *)name, strlen(name)});
}

static void peer_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    (void)ctx;
    ym_rpc_call_reply(call, ym_rpc_call_peer_cert(call));
}

/* Fails with the code that the request's one byte names. */
static void fail_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)ctx;
    ym_rpc_call_fail(call, (enum ym_code)request.data[0], "因为 reasons");
    ym_rpc_call_fail(call, YM_INTERNAL, "second endings are ignored");
    ym_rpc_call_reply(call, request);
}

static void hold_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    keep_call(ctx, call);
    count(ctx, HELD);
}

struct pump {
    long next;
};

static void pump_more(struct ym_rpc_call *call, void *ctx)
{
    struct hub *h = ctx;
    struct pump *p = ym_rpc_call_user(call);
    static uint8_t block[65536];

    while (p->next < h->pump_total) {
        uint8_t message[sizeof block];
        memset(message, 0, sizeof message);
        memcpy(message, &p->next, sizeof p->next);
        enum ym_code code = ym_rpc_call_send(call, (struct ym_bytes){message, sizeof message});
        if (code != YM_OK) {
            if (code == YM_EXHAUSTED)
                count(h, FULL);
            return;
        }
        p->next++;
        count(h, SENT);
    }
    ym_rpc_call_finish(call);
}

static void pump_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    keep_call(ctx, call);
    count(ctx, STARTED);
    ym_rpc_call_set_user(call, calloc(1, sizeof(struct pump)));
    ym_rpc_call_on_drain(call, pump_more, ctx);
}

static void pump_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    free(ym_rpc_call_user(call));
    any_end(call, cancelled, ctx);
}

/* Commits on the explicit word only. */
static void sum_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    assert_null(request.data);
    keep_call(ctx, call);
    count(ctx, STARTED);
}

static void sum_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx)
{
    struct hub *h = ctx;
    if (message.len == 6 && memcmp(message.data, "commit", 6) == 0) {
        count(h, COMMITTED);
        ym_rpc_call_reply(call, message);
        return;
    }
    if (h->pause_after_first && counted(h, MESSAGES) == 0)
        ym_rpc_call_pause(call, true);
    count(h, MESSAGES);
}

static void sum_half_close(struct ym_rpc_call *call, void *ctx)
{
    count(ctx, HALF_CLOSED);
    ym_rpc_call_fail(call, YM_INVALID, "closed without commit");
}

static const struct ym_rpc_method methods[] = {
    {.path = "/t.T/Echo", .kind = YM_RPC_UNARY, .on_start = echo_start, .on_end = any_end},
    {.path = "/t.T/Who", .kind = YM_RPC_UNARY, .on_start = who_start},
    {.path = "/t.T/Peer", .kind = YM_RPC_UNARY, .on_start = peer_start},
    {.path = "/t.T/Fail", .kind = YM_RPC_UNARY, .on_start = fail_start, .on_end = any_end},
    {.path = "/t.T/Hold", .kind = YM_RPC_UNARY, .on_start = hold_start, .on_end = any_end},
    {.path = "/t.T/Pump", .kind = YM_RPC_SERVER_STREAM, .on_start = pump_start, .on_end = pump_end},
    {.path = "/t.T/Sum",
     .kind = YM_RPC_CLIENT_STREAM,
     .on_start = sum_start,
     .on_message = sum_message,
     .on_half_close = sum_half_close,
     .on_end = any_end},
    {0},
};

/* ---- the hub ---- */

static bool hub_fetch(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls)
{
    struct hub *h = ctx;
    bool fresh;

    pthread_mutex_lock(&h->lock);
    fresh = *generation != h->generation;
    *generation = h->generation;
    *tls = kit_tls(h->ca, h->next.cert.len ? &h->next : &h->id);
    pthread_mutex_unlock(&h->lock);
    return fresh;
}

static enum ym_code hub_authenticate(void *ctx, const char *method, struct ym_bytes pem, struct ym_party *who,
                                     struct ym_status *st)
{
    struct hub *h = ctx;
    uint8_t print[32];

    assert_non_null(method);
    KIT_OK(ym_cert_fingerprint(pem, print, st));
    if (memcmp(print, h->revoked, 32) == 0) {
        count(h, DENIED);
        return ym_status_set(st, YM_DENIED, "revoked");
    }
    return ym_cert_party(pem, who, st);
}

static void hub_deaf(void *ctx)
{
    count(ctx, DEAF);
}

static enum ym_code hub_listen(struct hub *h, const char *listen, bool enrolment, int threads, int64_t probe_ms,
                               struct ym_status *st)
{
    struct ym_rpc_server_options o = {
        .listen = listen,
        .enrolment = enrolment,
        .threads = threads,
        .fetch_tls = hub_fetch,
        .authenticate = enrolment ? NULL : hub_authenticate,
        .methods = methods,
        .ctx = h,
        .probe_ms = probe_ms,
        .on_deaf = hub_deaf,
    };
    enum ym_code code = ym_rpc_server_start(&o, &h->server, st);
    if (code == YM_OK)
        h->port = ym_rpc_server_port(h->server);
    return code;
}

static void hub_init(struct hub *h, const struct kit_id *id)
{
    *h = (struct hub){.ca = &ca, .id = *id, .generation = 1, .pump_total = 1000};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
}

static void hub_start(struct hub *h)
{
    hub_init(h, &hub_id);
    KIT_OK(hub_listen(h, "127.0.0.1:0", false, 1, 0, NULL));
}

static void hub_stop(struct hub *h)
{
    ym_rpc_server_stop(&h->server, 1000);
    if (h->call)
        ym_rpc_call_unref(h->call);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
}

static struct ym_rpc_client *client_to(struct hub *h)
{
    struct ym_rpc_tls tls = kit_tls(&ca, &site);
    return kit_client(h->port, &tls);
}

static struct ym_bytes text(const char *s)
{
    return (struct ym_bytes){(const uint8_t *)s, strlen(s)};
}

static enum ym_code echo(struct ym_rpc_client *c, bool wait, struct ym_status *st)
{
    struct ym_buf reply = {0};
    enum ym_code code = ym_rpc_unary(c, "/t.T/Echo", text("hello"), PATIENCE_MS, wait, &reply, st);

    if (code == YM_OK)
        assert_string_equal(ym_buf_str(&reply), "hello");
    else
        assert_int_equal(reply.len, 0);
    ym_buf_release(&reply);
    return code;
}

/* ---- unary ---- */

static void unary_call_gives_the_answer(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};

    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_int_equal(ym_rpc_unary(c, "/t.T/Who", text(""), 0, false, &reply, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&reply), "h1");
    await(&h, ENDED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], 1);
    ym_buf_release(&reply);
}

static void message_of_the_greatest_size_passes(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};
    uint8_t *big = calloc(1, YM_RPC_MAX_MESSAGE + 1);

    big[YM_RPC_MAX_MESSAGE - 1] = 7;
    assert_int_equal(
        ym_rpc_unary(c, "/t.T/Echo", (struct ym_bytes){big, YM_RPC_MAX_MESSAGE}, PATIENCE_MS, false, &reply, NULL),
        YM_OK);
    assert_int_equal(reply.len, YM_RPC_MAX_MESSAGE);
    assert_int_equal(reply.data[YM_RPC_MAX_MESSAGE - 1], 7);
    assert_int_equal(
        ym_rpc_unary(c, "/t.T/Echo", (struct ym_bytes){big, YM_RPC_MAX_MESSAGE + 1}, PATIENCE_MS, false, &reply, NULL),
        YM_EXHAUSTED);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_int_equal(counted(&h, STARTED), 2);
    free(big);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void every_code_crosses_the_wire(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    for (int code = YM_INVALID; code <= YM_INTERNAL; code++) {
        struct ym_status st = YM_STATUS_INIT;
        uint8_t byte = (uint8_t)code;
        struct ym_buf reply = {0};
        assert_int_equal(ym_rpc_unary(c, "/t.T/Fail", (struct ym_bytes){&byte, 1}, PATIENCE_MS, false, &reply, &st),
                         code);
        assert_int_equal(ym_rpc_code_from_grpc(ym_rpc_code_to_grpc((enum ym_code)code)), code);
        assert_non_null(strstr(st.message, "因为 reasons"));
    }
    await(&h, ENDED, YM_INTERNAL);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], YM_INTERNAL);
}

static void method_outside_the_table_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_unary(c, "/t.T/Other", text(""), PATIENCE_MS, false, &reply, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "no such method"));
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void deadline_ends_the_call_with_its_code(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};
    int64_t before;

    /* Connected first, so that the call itself arrives well within its deadline. */
    assert_int_equal(ym_rpc_client_wait(c, PATIENCE_MS, NULL), YM_OK);
    before = ym_clock_mono_ms();

    assert_int_equal(ym_rpc_unary(c, "/t.T/Hold", text(""), 2000, true, &reply, NULL), YM_DEADLINE);
    assert_true(ym_clock_mono_ms() - before >= 1990);
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, CANCELLED), 1);
    /* An answer that comes too late falls on the floor. */
    ym_rpc_call_reply(h.call, text("late"));
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct background {
    pthread_t thread;
    struct ym_rpc_client *client;
    const char *path;
    bool wait;
    enum ym_code code;
    struct ym_buf reply;
};

static void *background_unary(void *arg)
{
    struct background *b = arg;
    b->code = ym_rpc_unary(b->client, b->path, text("x"), 0, b->wait, &b->reply, NULL);
    return NULL;
}

static void background_start(struct background *b, struct ym_rpc_client *c, const char *path, bool wait)
{
    *b = (struct background){.client = c, .path = path, .wait = wait};
    assert_int_equal(pthread_create(&b->thread, NULL, background_unary, b), 0);
}

static void cancel_from_another_thread_ends_calls(void **state)
{
    struct hub h;
    struct background b;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    ym_rpc_client_cancel(c);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_UNAVAILABLE);
    await(&h, CANCELLED, 1);
    assert_int_equal(echo(c, false, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_client_wait(c, 0, NULL), YM_UNAVAILABLE);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void answer_may_come_from_another_thread(void **state)
{
    struct hub h;
    struct background b;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    ym_rpc_call_reply(h.call, text("later"));
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_string_equal(ym_buf_str(&b.reply), "later");
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, CANCELLED), 0);
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

/* ---- streams ---- */

struct reader {
    struct hub *hub;
    long seen, stop_at;
    bool stall; /* at the first message */
    long sent_while_stalled;
};

/* The window of the core grows with traffic: a sender may be a few MiB ahead.
 * There is no event for "nothing moves any more", hence 300 ms of silence. */
static long wait_for_silence(struct hub *h)
{
    for (;;) {
        long before = counted(h, SENT);
        usleep(300000);
        if (counted(h, SENT) == before)
            return before;
    }
}

static bool read_one(void *ctx, struct ym_bytes message)
{
    struct reader *r = ctx;
    long number;

    memcpy(&number, message.data, sizeof number);
    assert_int_equal(message.len, 65536);
    assert_int_equal(number, r->seen);
    if (r->stall && r->seen == 0) {
        await(r->hub, FULL, 1);
        r->sent_while_stalled = wait_for_silence(r->hub);
    }
    return ++r->seen != r->stop_at;
}

static void stream_waits_for_a_slow_reader_and_loses_nothing(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct reader r = {.hub = &h, .stall = true};

    assert_int_equal(ym_rpc_read_stream(c, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
    assert_int_equal(r.seen, 1000);
    assert_true(r.sent_while_stalled >= 16 && r.sent_while_stalled < 500);
    await(&h, ENDED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void reader_that_stops_ends_the_stream(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct reader r = {.hub = &h, .stop_at = 3};

    h.pump_total = 1000000;
    assert_int_equal(ym_rpc_read_stream(c, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
    assert_int_equal(r.seen, 3);
    await(&h, CANCELLED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct writer {
    struct hub *hub;
    long sent, total;
    bool commit, committed;
    bool pause_first; /* pause the call, from this foreign thread, before the second message */
};

static bool write_one(void *ctx, struct ym_buf *message)
{
    struct writer *w = ctx;

    if (w->pause_first && w->sent == 1) {
        await(w->hub, MESSAGES, 1);
        ym_rpc_call_pause(w->hub->call, true);
    }
    if (w->sent < w->total) {
        w->sent++;
        KIT_OK(ym_buf_puts(message, "data"));
        count(w->hub, SENT);
        return true;
    }
    if (w->commit && !w->committed) {
        w->committed = true;
        KIT_OK(ym_buf_puts(message, "commit"));
        return true;
    }
    return false;
}

static void upload_with_commit_is_answered(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct writer w = {.hub = &h, .total = 50, .commit = true};
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_write_stream(c, "/t.T/Sum", PATIENCE_MS, write_one, &w, &reply, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&reply), "commit");
    assert_int_equal(counted(&h, MESSAGES), 50);
    assert_int_equal(counted(&h, COMMITTED), 1);
    await(&h, ENDED, 1);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void upload_without_commit_is_a_drop(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct writer w = {.hub = &h, .total = 3};
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_write_stream(c, "/t.T/Sum", PATIENCE_MS, write_one, &w, &reply, NULL), YM_INVALID);
    assert_int_equal(counted(&h, HALF_CLOSED), 1);
    assert_int_equal(counted(&h, COMMITTED), 0);
    assert_int_equal(reply.len, 0);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct upload {
    pthread_t thread;
    struct ym_rpc_client *client;
    struct writer w;
    enum ym_code code;
    struct ym_buf reply;
};

static void *background_upload(void *arg)
{
    struct upload *u = arg;
    u->code = ym_rpc_write_stream(u->client, "/t.T/Sum", 0, write_one, &u->w, &u->reply, NULL);
    return NULL;
}

static void paused_upload_delivers_nothing_until_resumed(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    h.pause_after_first = true;
    struct upload u = {.client = client_to(&h), .w = {.hub = &h, .total = 100, .commit = true}};

    assert_int_equal(pthread_create(&u.thread, NULL, background_upload, &u), 0);
    await(&h, SENT, 100);
    await(&h, MESSAGES, 1);
    assert_int_equal(echo(u.client, false, NULL), YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 1);
    ym_rpc_call_pause(h.call, false);
    pthread_join(u.thread, NULL);
    assert_int_equal(u.code, YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 100);
    ym_buf_release(&u.reply);
    ym_rpc_client_close(&u.client);
    hub_stop(&h);
}

static void message_that_meets_a_pause_is_kept(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h); /* one thread: what the echo below passes has been seen */
    struct upload u = {.client = client_to(&h), .w = {.hub = &h, .total = 2, .commit = true, .pause_first = true}};

    assert_int_equal(pthread_create(&u.thread, NULL, background_upload, &u), 0);
    await(&h, SENT, 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(echo(u.client, false, NULL), YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 1);
    ym_rpc_call_pause(h.call, false);
    pthread_join(u.thread, NULL);
    assert_int_equal(u.code, YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 2);
    ym_buf_release(&u.reply);
    ym_rpc_client_close(&u.client);
    hub_stop(&h);
}

/* ---- who may come in ---- */

static SSL *tls_open(int port, const struct kit_id *id, int version, SSL_CTX **ctx)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(*ctx, version);
    SSL_CTX_set_max_proto_version(*ctx, version);
    SSL_CTX_set_alpn_protos(*ctx, (const unsigned char *)"\x02h2", 3);
    if (id) {
        BIO *c = BIO_new_mem_buf(id->cert.data, (int)id->cert.len),
            *k = BIO_new_mem_buf(id->key.data, (int)id->key.len);
        X509 *cert = PEM_read_bio_X509(c, NULL, NULL, NULL);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
        assert_int_equal(SSL_CTX_use_certificate(*ctx, cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(*ctx, key), 1);
        X509_free(cert);
        EVP_PKEY_free(key);
        BIO_free(c);
        BIO_free(k);
    }
    SSL *ssl = SSL_new(*ctx);
    SSL_set_fd(ssl, fd);
    return ssl;
}

static void tls_close(SSL *ssl, SSL_CTX *ctx)
{
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
}

/* True when the server took the handshake and speaks HTTP/2. */
static bool tls_served(int port, const struct kit_id *id, int version, char serial[128])
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    SSL_CTX *ctx;
    SSL *ssl = tls_open(port, id, version, &ctx);
    uint8_t frame[9];
    bool served = SSL_connect(ssl) == 1 && SSL_write(ssl, preface, sizeof preface) > 0 &&
                  SSL_read(ssl, frame, sizeof frame) == sizeof frame && frame[3] == 4;

    if (served && serial) {
        BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(SSL_get0_peer_certificate(ssl)), NULL);
        char *hex = BN_bn2hex(number);
        snprintf(serial, 128, "%s", hex);
        BN_free(number);
        OPENSSL_free(hex);
    }
    tls_close(ssl, ctx);
    return served;
}

static void only_tls_1_3_is_spoken(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, NULL));
    assert_false(tls_served(h.port, &site, TLS1_2_VERSION, NULL));
    hub_stop(&h);
}

static void caller_without_certificate_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_false(tls_served(h.port, NULL, TLS1_3_VERSION, NULL));
    hub_stop(&h);
}

static enum ym_code echo_as(struct hub *h, const struct kit_ca *trusted, const struct kit_id *id)
{
    struct ym_rpc_tls tls = kit_tls(trusted, id);
    struct ym_rpc_client *c = kit_client(h->port, &tls);
    enum ym_code code = echo(c, false, NULL);
    ym_rpc_client_close(&c);
    return code;
}

static void certificate_of_another_ca_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_int_equal(echo_as(&h, &ca, &foreign_site), YM_UNAVAILABLE);
    assert_int_equal(echo_as(&h, &foreign_ca, &site), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    hub_stop(&h);
}

static void expired_certificate_is_refused(void **state)
{
    struct hub h;
    struct kit_id old;
    (void)state;
    hub_start(&h);
    kit_id_dated(&old, &ca, YM_ROLE_HOSPITAL, "h1", ym_clock_unix() - 60, ym_clock_unix() - 1);
    assert_int_equal(echo_as(&h, &ca, &old), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    kit_id_release(&old);
    hub_stop(&h);
}

/* A hospital with a certificate for the hub's very address. */
static void only_the_hub_may_pose_as_the_hub(void **state)
{
    struct hub h;
    struct kit_id impostor;
    (void)state;
    kit_id_init(&impostor, &ca, YM_ROLE_HOSPITAL, "impostor");
    hub_init(&h, &impostor);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 1, 0, NULL));
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, NULL));
    assert_int_equal(echo_as(&h, &ca, &site), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    hub_stop(&h);
    kit_id_release(&impostor);
}

static void wrong_server_name_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    char target[64];
    snprintf(target, sizeof target, "127.0.0.1:%d", h.port);
    for (int i = 0; i < 2; i++) {
        struct ym_rpc_client *c = NULL;
        struct ym_rpc_client_options o = {
            .target = target, .server_name = i ? "hub.example.org" : "localhost", .tls = kit_tls(&ca, &site)};
        KIT_OK(ym_rpc_client_open(&o, &c, NULL));
        assert_int_equal(echo(c, false, NULL), i ? YM_UNAVAILABLE : YM_OK);
        ym_rpc_client_close(&c);
    }
    hub_stop(&h);
}

static void revoked_caller_is_denied_on_the_same_connection(void **state)
{
    struct hub h;
    struct ym_status st = YM_STATUS_INIT;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    assert_int_equal(echo(c, false, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&site.cert), h.revoked, NULL));
    assert_int_equal(echo(c, false, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "revoked"));
    assert_int_equal(counted(&h, STARTED), 1);
    assert_int_equal(counted(&h, DENIED), 1);
    memset(h.revoked, 0, 32);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void enrolment_sees_the_self_signed_certificate(void **state)
{
    struct hub h;
    struct kit_id self = {0};
    struct ym_buf reply = {0};
    uint8_t want[32], got[32];
    (void)state;
    hub_init(&h, &hub_id);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", true, 1, 0, NULL));
    KIT_OK(ym_tls_key_generate(&self.key, NULL));
    KIT_OK(ym_cert_self(kit_bytes(&self.key), ym_clock_unix(), &self.cert, NULL));
    struct ym_rpc_tls tls = kit_tls(&ca, &self);
    struct ym_rpc_client *c = kit_client(h.port, &tls);

    assert_int_equal(ym_rpc_unary(c, "/t.T/Peer", text(""), PATIENCE_MS, false, &reply, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&self.cert), want, NULL));
    KIT_OK(ym_cert_fingerprint(kit_bytes(&reply), got, NULL));
    assert_memory_equal(want, got, 32);
    assert_int_equal(ym_rpc_unary(c, "/grpc.health.v1.Health/Check", text(""), PATIENCE_MS, false, &reply, NULL),
                     YM_INVALID);
    assert_false(tls_served(h.port, NULL, TLS1_3_VERSION, NULL));
    ym_rpc_client_close(&c);
    hub_stop(&h);
    ym_buf_release(&reply);
    kit_id_release(&self);
}

static void new_connections_see_the_rotated_certificate(void **state)
{
    struct hub h;
    struct kit_id second;
    char before[128], after[128];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    kit_id_init(&second, &ca, YM_ROLE_HUB, "hub");

    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, before));
    pthread_mutex_lock(&h.lock);
    h.next = second;
    h.generation++;
    pthread_mutex_unlock(&h.lock);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, after));
    assert_string_not_equal(before, after);
    assert_int_equal(echo(c, false, NULL), YM_OK); /* the old connection goes on */
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);

    /* A pair that does not fit: the good one stays. */
    pthread_mutex_lock(&h.lock);
    h.next.key = site.key;
    h.generation++;
    pthread_mutex_unlock(&h.lock);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, before));
    assert_string_equal(before, after);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    kit_id_release(&second);
}

/* ---- enrolment's first contact ---- */

static void ca_is_fetched_by_its_pin(void **state)
{
    struct hub h;
    uint8_t hash[32], want[32], got[32];
    struct ym_buf pem = {0};
    char target[64];
    (void)state;
    hub_start(&h);
    snprintf(target, sizeof target, "localhost:%d", h.port);
    KIT_OK(ym_cert_spki_hash(kit_bytes(&ca.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&ca.cert), want, NULL));
    KIT_OK(ym_cert_fingerprint(kit_bytes(&pem), got, NULL));
    assert_memory_equal(want, got, 32);

    ym_buf_clear(&pem);
    hash[19] ^= 1;
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    /* The leaf's own key is no CA. */
    KIT_OK(ym_cert_spki_hash(kit_bytes(&hub_id.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    assert_int_equal(pem.len, 0);
    hub_stop(&h);
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_fetch_ca("nonsense", hash, &pem, NULL), YM_INVALID);
    ym_buf_release(&pem);
}

static void ca_is_not_fetched_from_one_who_is_not_the_hub(void **state)
{
    struct hub h;
    struct kit_id impostor;
    uint8_t hash[32];
    struct ym_buf pem = {0};
    char target[64];
    (void)state;
    kit_id_init(&impostor, &ca, YM_ROLE_HOSPITAL, "impostor");
    hub_init(&h, &impostor);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 1, 0, NULL));
    snprintf(target, sizeof target, "127.0.0.1:%d", h.port);
    KIT_OK(ym_cert_spki_hash(kit_bytes(&ca.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    assert_int_equal(pem.len, 0);
    hub_stop(&h);
    kit_id_release(&impostor);
}

/* ---- endings ---- */

static bool read_stuck(void *ctx, struct ym_bytes message)
{
    struct hub *h = ctx;
    (void)message;
    count(h, HELD);
    await(h, DEAF, 1); /* released by the test when the server is gone */
    return true;
}

static void *background_stuck(void *arg)
{
    struct background *b = arg;
    b->code = ym_rpc_read_stream(b->client, "/t.T/Pump", text(""), 0, read_stuck, b->reply.data, NULL);
    return NULL;
}

static void stop_ends_a_stream_that_nobody_reads(void **state)
{
    struct hub h;
    struct background b = {0};
    (void)state;
    hub_start(&h);
    h.pump_total = 1000000;
    b.client = client_to(&h);
    b.reply.data = (uint8_t *)&h;
    assert_int_equal(pthread_create(&b.thread, NULL, background_stuck, &b), 0);
    await(&h, HELD, 1);
    await(&h, FULL, 1);
    int64_t before = ym_clock_mono_ms();
    ym_rpc_server_stop(&h.server, 200);
    assert_true(ym_clock_mono_ms() - before < 10000);
    assert_int_equal(counted(&h, ENDED), 1);
    assert_int_equal(counted(&h, CANCELLED), 1);
    count(&h, DEAF);
    pthread_join(b.thread, NULL);
    assert_int_not_equal(b.code, YM_OK);
    ym_rpc_client_close(&b.client);
    hub_stop(&h);
}

/* Core's cancel carries the status past the messages that the peer does not take. */
static void failing_a_stalled_stream_reaches_the_client(void **state)
{
    struct hub h;
    struct background b = {0};
    (void)state;
    hub_start(&h);
    h.pump_total = 1000000;
    b.client = client_to(&h);
    b.reply.data = (uint8_t *)&h;
    assert_int_equal(pthread_create(&b.thread, NULL, background_stuck, &b), 0);
    await(&h, HELD, 1);
    await(&h, FULL, 1);
    ym_rpc_call_fail(h.call, YM_DENIED, "revoked");
    await(&h, ENDED, 1);
    count(&h, DEAF);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_DENIED);
    ym_rpc_client_close(&b.client);
    hub_stop(&h);
}

struct stopper {
    pthread_t thread;
    struct hub *hub;
};

static void *background_stop(void *arg)
{
    struct stopper *s = arg;
    ym_rpc_server_stop(&s->hub->server, PATIENCE_MS);
    return NULL;
}

static void stop_lets_running_calls_finish(void **state)
{
    struct hub h;
    struct background b;
    struct stopper s = {.hub = &h};
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    assert_int_equal(pthread_create(&s.thread, NULL, background_stop, &s), 0);
    while (echo(c, false, NULL) == YM_OK)
        ; /* until new calls are refused */
    ym_rpc_call_reply(h.call, text("in time"));
    pthread_join(b.thread, NULL);
    pthread_join(s.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_string_equal(ym_buf_str(&b.reply), "in time");
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void second_server_on_a_port_is_refused(void **state)
{
    struct hub h, second;
    struct ym_status st = YM_STATUS_INIT;
    char listen[64];
    (void)state;
    hub_start(&h);
    hub_init(&second, &hub_id);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", h.port);
    assert_int_equal(hub_listen(&second, listen, false, 1, 0, &st), YM_CONFLICT);
    assert_non_null(strstr(st.message, listen));
    assert_int_equal(hub_listen(&second, "nonsense", false, 1, 0, &st), YM_INVALID);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    hub_stop(&second);
    hub_stop(&h);
}

static void waiting_call_survives_a_restart_of_the_server(void **state)
{
    struct hub h, again;
    struct background b;
    char listen[64];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    assert_int_equal(echo(c, false, NULL), YM_OK);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", h.port);
    hub_stop(&h);
    assert_int_equal(echo(c, false, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_client_wait(c, 300, NULL), YM_DEADLINE);
    background_start(&b, c, "/t.T/Echo", true);
    hub_init(&again, &hub_id);
    KIT_OK(hub_listen(&again, listen, false, 1, 0, NULL));
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(ym_rpc_client_wait(c, 0, NULL), YM_OK);
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&again);
}

static void garbage_costs_its_own_connection_only(void **state)
{
    struct hub h;
    SSL_CTX *ctx;
    char junk[4096];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    SSL *ssl = tls_open(h.port, &site, TLS1_3_VERSION, &ctx);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(SSL_connect(ssl), 1);
    SSL_write(ssl, junk, sizeof junk);
    while (SSL_read(ssl, junk, sizeof junk) > 0)
        ; /* until the server hangs up */
    assert_int_equal(echo(c, false, NULL), YM_OK);
    tls_close(ssl, ctx);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

/* ---- health ---- */

static void health_check_tells_whether_the_hub_serves(void **state)
{
    struct hub h;
    struct ym_buf reply = {0};
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    static const uint8_t service[] = {0x0a, 3, 't', '.', 'T'}, other[] = {0x0a, 3, 't', '.', 'U'},
                         bad[] = {0x0a, 9, 't'};
    static const char path[] = "/grpc.health.v1.Health/Check";

    assert_int_equal(ym_rpc_unary(c, path, text(""), PATIENCE_MS, false, &reply, NULL), YM_OK);
    assert_int_equal(reply.len, 2);
    assert_memory_equal(reply.data, "\x08\x01", 2);
    ym_rpc_server_set_serving(h.server, false);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){service, 5}, PATIENCE_MS, false, &reply, NULL), YM_OK);
    assert_memory_equal(reply.data, "\x08\x02", 2);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){other, 5}, PATIENCE_MS, false, &reply, NULL),
                     YM_NOT_FOUND);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){bad, 3}, PATIENCE_MS, false, &reply, NULL), YM_INVALID);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct watch {
    struct hub *hub;
    struct ym_rpc_client *client;
    pthread_t thread;
    uint8_t seen[8];
    size_t count;
    enum ym_code code;
};

static bool watch_one(void *ctx, struct ym_bytes message)
{
    struct watch *w = ctx;
    assert_int_equal(message.len, 2);
    assert_true(w->count < sizeof w->seen);
    w->seen[w->count++] = message.data[1];
    count(w->hub, MESSAGES);
    return true;
}

static void *background_watch(void *arg)
{
    struct watch *w = arg;
    w->code = ym_rpc_read_stream(w->client, "/grpc.health.v1.Health/Watch", text(""), 0, watch_one, w, NULL);
    return NULL;
}

static void health_watch_sees_every_change_and_the_end(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct watch w = {.hub = &h, .client = client_to(&h)};

    assert_int_equal(pthread_create(&w.thread, NULL, background_watch, &w), 0);
    await(&h, MESSAGES, 1);
    ym_rpc_server_set_serving(h.server, false);
    await(&h, MESSAGES, 2);
    ym_rpc_server_set_serving(h.server, true);
    await(&h, MESSAGES, 3);
    ym_rpc_server_stop(&h.server, PATIENCE_MS);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.code, YM_OK);
    assert_int_equal(w.count, 4);
    assert_memory_equal(w.seen, "\x01\x02\x01\x02", 4);
    ym_rpc_client_close(&w.client);
    hub_stop(&h);
}

/* ---- other processes ---- */

static void ids_save(const char *dir)
{
    kit_save(dir, "ca.pem", &ca.cert);
    kit_save(dir, "hub.pem", &hub_id.cert);
    kit_save(dir, "hub.key", &hub_id.key);
    kit_save(dir, "site.pem", &site.cert);
    kit_save(dir, "site.key", &site.key);
}

static void ids_load(const char *dir)
{
    kit_load(dir, "ca.pem", &ca.cert);
    kit_load(dir, "hub.pem", &hub_id.cert);
    kit_load(dir, "hub.key", &hub_id.key);
    kit_load(dir, "site.pem", &site.cert);
    kit_load(dir, "site.key", &site.key);
}

static char scratch[] = "/tmp/ym-test-rpc-XXXXXX";

/* This program again, in another role. */
static pid_t spawn(const char *role, const char *argument, int *out)
{
    char *argv[] = {(char *)"/proc/self/exe", (char *)(uintptr_t)role, scratch, (char *)(uintptr_t)argument, NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    posix_spawn_file_actions_addclose(&actions, pipes[1]);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    *out = pipes[0];
    return pid;
}

static bool write_for_ever(void *ctx, struct ym_buf *message)
{
    (void)ctx;
    KIT_OK(ym_buf_puts(message, "data"));
    return true;
}

static int role_upload(const char *dir, const char *port)
{
    struct ym_buf reply = {0};

    ids_load(dir);
    struct ym_rpc_tls tls = kit_tls(&ca, &site);
    struct ym_rpc_client *c = kit_client(atoi(port), &tls);
    ym_rpc_write_stream(c, "/t.T/Sum", 0, write_for_ever, NULL, &reply, NULL);
    return 1;
}

static void uploader_killed_midway_commits_nothing(void **state)
{
    struct hub h;
    char port[16];
    int out, status;
    (void)state;
    hub_start(&h);
    snprintf(port, sizeof port, "%d", h.port);
    pid_t pid = spawn("--upload", port, &out);
    await(&h, MESSAGES, 5);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, COMMITTED), 0);
    assert_int_equal(counted(&h, CANCELLED), 1);
    assert_int_equal(counted(&h, HALF_CLOSED), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    close(out);
    hub_stop(&h);
}

#define DEAF_PROBE_MS 1500 /* also a probe's deadline: three in a row mean more than a slow machine */
#define DEAF_FILES 60

static void exit_deaf(void *ctx)
{
    (void)ctx;
    _exit(42);
}

static int role_deaf(const char *dir, const char *argument)
{
    struct rlimit limit = {DEAF_FILES, DEAF_FILES};
    struct hub h;

    (void)argument;
    ids_load(dir);
    hub_init(&h, &hub_id);
    YM_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct ym_rpc_server_options o = {.listen = "127.0.0.1:0",
                                      .threads = 1,
                                      .fetch_tls = hub_fetch,
                                      .authenticate = hub_authenticate,
                                      .methods = methods,
                                      .ctx = &h,
                                      .probe_ms = DEAF_PROBE_MS,
                                      .on_deaf = exit_deaf};
    KIT_OK(ym_rpc_server_start(&o, &h.server, NULL));
    printf("%d\n", ym_rpc_server_port(h.server));
    fflush(stdout);
    sleep(120);
    return 1;
}

static int tcp_open(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(fd, (struct sockaddr *)&a, sizeof a);
    return fd;
}

static void deaf_listener_is_noticed(void **state)
{
    int out, status = 0, fd[120];
    char line[32] = {0};
    struct hub h;
    (void)state;
    hub_init(&h, &hub_id);
    pid_t pid = spawn("--deaf", "", &out);
    assert_true(read(out, line, sizeof line - 1) > 0);
    h.port = atoi(line);
    /* Four probes pass while the listener is well. */
    usleep(4 * DEAF_PROBE_MS * 1000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);

    for (int i = 0; i < 120; i++)
        fd[i] = tcp_open(h.port);
    usleep(500000); /* the backlog must reach accept() before it is taken away */
    for (int i = 0; i < 120; i++)
        close(fd[i]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    close(out);
}

/* ---- everything at once, for the thread sanitizer ---- */

struct crowd {
    pthread_t thread;
    struct hub *hub;
    struct ym_rpc_client *client;
    int number;
};

static void *crowd_run(void *arg)
{
    struct crowd *m = arg;
    for (int i = 0; i < 40; i++) {
        struct reader r = {.hub = m->hub, .stop_at = 1 + (i + m->number) % 5};
        struct ym_buf reply = {0};
        assert_int_equal(echo(m->client, true, NULL), YM_OK);
        assert_int_equal(ym_rpc_read_stream(m->client, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
        assert_int_equal(ym_rpc_unary(m->client, "/t.T/Hold", text(""), 1 + i % 3, true, &reply, NULL), YM_DEADLINE);
    }
    return NULL;
}

static void many_callers_at_once_are_served(void **state)
{
    struct hub h;
    struct crowd m[6];
    (void)state;
    hub_init(&h, &hub_id);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 3, 3000, NULL));
    struct ym_rpc_client *shared = client_to(&h);
    for (int i = 0; i < 6; i++) {
        m[i] = (struct crowd){.hub = &h, .client = shared, .number = i};
        assert_int_equal(pthread_create(&m[i].thread, NULL, crowd_run, &m[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(m[i].thread, NULL);
    ym_rpc_client_close(&shared);
    assert_int_equal(counted(&h, DEAF), 0);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], h.count[STARTED] + h.count[HELD]);
}

/* ---- */

static int identities(void **state)
{
    (void)state;
    ym_rpc_init();
    if (!mkdtemp(scratch))
        return -1;
    kit_ca_init(&ca, "demo");
    kit_ca_init(&foreign_ca, "demo");
    kit_id_init(&hub_id, &ca, YM_ROLE_HUB, "hub");
    kit_id_init(&site, &ca, YM_ROLE_HOSPITAL, "h1");
    kit_id_init(&foreign_site, &foreign_ca, YM_ROLE_HOSPITAL, "h1");
    ids_save(scratch);
    return 0;
}

static int identities_release(void **state)
{
    char **names;
    size_t n;
    (void)state;
    KIT_OK(ym_fs_list(scratch, &names, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        char path[512];
        KIT_OK(ym_fs_join(path, sizeof path, scratch, names[i]));
        unlink(path);
    }
    ym_fs_names_free(names, n);
    rmdir(scratch);
    kit_ca_release(&ca);
    kit_ca_release(&foreign_ca);
    kit_id_release(&hub_id);
    kit_id_release(&site);
    kit_id_release(&foreign_site);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_call_gives_the_answer),
        cmocka_unit_test(message_of_the_greatest_size_passes),
        cmocka_unit_test(every_code_crosses_the_wire),
        cmocka_unit_test(method_outside_the_table_is_refused),
        cmocka_unit_test(deadline_ends_the_call_with_its_code),
        cmocka_unit_test(cancel_from_another_thread_ends_calls),
        cmocka_unit_test(answer_may_come_from_another_thread),
        cmocka_unit_test(stream_waits_for_a_slow_reader_and_loses_nothing),
        cmocka_unit_test(reader_that_stops_ends_the_stream),
        cmocka_unit_test(upload_with_commit_is_answered),
        cmocka_unit_test(upload_without_commit_is_a_drop),
        cmocka_unit_test(paused_upload_delivers_nothing_until_resumed),
        cmocka_unit_test(message_that_meets_a_pause_is_kept),
        cmocka_unit_test(only_tls_1_3_is_spoken),
        cmocka_unit_test(caller_without_certificate_is_refused),
        cmocka_unit_test(certificate_of_another_ca_is_refused),
        cmocka_unit_test(expired_certificate_is_refused),
        cmocka_unit_test(only_the_hub_may_pose_as_the_hub),
        cmocka_unit_test(wrong_server_name_is_refused),
        cmocka_unit_test(revoked_caller_is_denied_on_the_same_connection),
        cmocka_unit_test(enrolment_sees_the_self_signed_certificate),
        cmocka_unit_test(new_connections_see_the_rotated_certificate),
        cmocka_unit_test(ca_is_fetched_by_its_pin),
        cmocka_unit_test(ca_is_not_fetched_from_one_who_is_not_the_hub),
        cmocka_unit_test(stop_ends_a_stream_that_nobody_reads),
        cmocka_unit_test(failing_a_stalled_stream_reaches_the_client),
        cmocka_unit_test(stop_lets_running_calls_finish),
        cmocka_unit_test(second_server_on_a_port_is_refused),
        cmocka_unit_test(waiting_call_survives_a_restart_of_the_server),
        cmocka_unit_test(garbage_costs_its_own_connection_only),
        cmocka_unit_test(health_check_tells_whether_the_hub_serves),
        cmocka_unit_test(health_watch_sees_every_change_and_the_end),
        cmocka_unit_test(uploader_killed_midway_commits_nothing),
        cmocka_unit_test(deaf_listener_is_noticed),
        cmocka_unit_test(many_callers_at_once_are_served),
    };
    if (argc == 4 && strcmp(argv[1], "--upload") == 0)
        return role_upload(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--deaf") == 0)
        return role_deaf(argv[2], argv[3]);
    cmocka_set_test_filter(getenv("YM_TEST_FILTER"));
    return cmocka_run_group_tests(tests, identities, identities_release);
}

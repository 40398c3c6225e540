#ifndef YM_TEST_RPC_HUB_H
#define YM_TEST_RPC_HUB_H

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
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/rpc_kit.h"

/* Real TLS on loopback. One hub with every kind of method; tests wait for its
 * counters, not for time. */

#define PATIENCE_MS 60000 /* far beyond anything but a hang, sanitizers included */

enum counter { STARTED, HELD, ENDED, CANCELLED, MESSAGES, HALF_CLOSED, COMMITTED, SENT, FULL, DENIED, DEAF, COUNTERS };

struct hub {
    struct ym_rpc_server *server;
    int port;
    struct kit_id id;
    struct kit_ca *ca;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    long count[COUNTERS];
    struct ym_rpc_call *call; /* the last one that HOLD or SUM keeps, a ref */
    uint8_t revoked[32];
    bool pause_after_first;
    long pump_total; /* messages that PUMP sends */
    long first_full; /* messages it had queued when the queue was first full */
    uint64_t generation;
    struct kit_id next; /* shown from the next generation on */
};

static struct kit_ca ca, foreign_ca;
static struct kit_id hub_id, site, foreign_site;

/* ---- counters ---- */

static inline void count(struct hub *h, enum counter c)
{
    pthread_mutex_lock(&h->lock);
    h->count[c]++;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static inline long counted(struct hub *h, enum counter c)
{
    pthread_mutex_lock(&h->lock);
    long n = h->count[c];
    pthread_mutex_unlock(&h->lock);
    return n;
}

static inline void await(struct hub *h, enum counter c, long least)
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

static inline void keep_call(struct hub *h, struct ym_rpc_call *call)
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

static inline void echo_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    count(ctx, STARTED);
    ym_rpc_call_reply(call, request);
}

static inline void any_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    (void)call;
    if (cancelled)
        count(ctx, CANCELLED);
    count(ctx, ENDED);
}

static inline void who_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    const char *name = ym_rpc_call_who(call)->name;
    (void)request;
    (void)ctx;
    ym_rpc_call_reply(call, (struct ym_bytes){(const uint8_t *)name, strlen(name)});
}

static inline void peer_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    (void)ctx;
    ym_rpc_call_reply(call, ym_rpc_call_peer_cert(call));
}

/* Fails with the code that the request's one byte names. */
static inline void fail_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)ctx;
    ym_rpc_call_fail(call, (enum ym_code)request.data[0], "因为 reasons");
    ym_rpc_call_fail(call, YM_INTERNAL, "second endings are ignored");
    ym_rpc_call_reply(call, request);
}

static inline void hold_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    keep_call(ctx, call);
    count(ctx, HELD);
}

struct pump {
    long next;
};

static inline void pump_more(struct ym_rpc_call *call, void *ctx)
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
            if (code == YM_EXHAUSTED && counted(h, FULL) == 0)
                h->first_full = p->next;
            if (code == YM_EXHAUSTED)
                count(h, FULL);
            return;
        }
        p->next++;
        count(h, SENT);
    }
    ym_rpc_call_finish(call);
}

static inline void pump_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    keep_call(ctx, call);
    count(ctx, STARTED);
    ym_rpc_call_set_user(call, calloc(1, sizeof(struct pump)));
    ym_rpc_call_on_drain(call, pump_more, ctx);
}

static inline void pump_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    free(ym_rpc_call_user(call));
    any_end(call, cancelled, ctx);
}

/* Commits on the explicit word only. */
static inline void sum_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    assert_null(request.data);
    keep_call(ctx, call);
    count(ctx, STARTED);
}

static inline void sum_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx)
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

static inline void sum_half_close(struct ym_rpc_call *call, void *ctx)
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

static inline bool hub_fetch(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls)
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

static inline enum ym_code hub_authenticate(void *ctx, const char *method, struct ym_bytes pem, struct ym_party *who,
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

static inline void hub_deaf(void *ctx)
{
    count(ctx, DEAF);
}

static inline enum ym_code hub_listen(struct hub *h, const char *listen, bool enrolment, int threads, int64_t probe_ms,
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

static inline void hub_init(struct hub *h, const struct kit_id *id)
{
    *h = (struct hub){.ca = &ca, .id = *id, .generation = 1, .pump_total = 1000};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
}

static inline void hub_start(struct hub *h)
{
    hub_init(h, &hub_id);
    KIT_OK(hub_listen(h, "127.0.0.1:0", false, 1, 0, NULL));
}

static inline void hub_stop(struct hub *h)
{
    ym_rpc_server_stop(&h->server, 1000);
    if (h->call)
        ym_rpc_call_unref(h->call);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
}

static inline struct ym_rpc_client *client_to(struct hub *h)
{
    struct ym_rpc_tls tls = kit_tls(&ca, &site);
    return kit_client(h->port, &tls);
}

static inline struct ym_bytes text(const char *s)
{
    return (struct ym_bytes){(const uint8_t *)s, strlen(s)};
}

static inline enum ym_code echo(struct ym_rpc_client *c, bool wait, struct ym_status *st)
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

/* ---- callers ---- */

struct background {
    pthread_t thread;
    struct ym_rpc_client *client;
    const char *path;
    bool wait;
    enum ym_code code;
    struct ym_buf reply;
};

static inline void *background_unary(void *arg)
{
    struct background *b = arg;
    b->code = ym_rpc_unary(b->client, b->path, text("x"), 0, b->wait, &b->reply, NULL);
    return NULL;
}

static inline void background_start(struct background *b, struct ym_rpc_client *c, const char *path, bool wait)
{
    *b = (struct background){.client = c, .path = path, .wait = wait};
    assert_int_equal(pthread_create(&b->thread, NULL, background_unary, b), 0);
}

struct reader {
    struct hub *hub;
    long seen, stop_at;
    bool stall; /* at the first message */
    long sent_while_stalled;
};

/* The window of the core grows with traffic: a sender may be a few MiB ahead.
 * There is no event for "nothing moves any more", hence 300 ms of silence. */
static inline long wait_for_silence(struct hub *h)
{
    for (;;) {
        long before = counted(h, SENT);
        usleep(300000);
        if (counted(h, SENT) == before)
            return before;
    }
}

static inline bool read_one(void *ctx, struct ym_bytes message)
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

static inline enum ym_code echo_as(struct hub *h, const struct kit_ca *trusted, const struct kit_id *id)
{
    struct ym_rpc_tls tls = kit_tls(trusted, id);
    struct ym_rpc_client *c = kit_client(h->port, &tls);
    enum ym_code code = echo(c, false, NULL);
    ym_rpc_client_close(&c);
    return code;
}

/* ---- a caller that is no gRPC client ---- */

static inline SSL *tls_open(int port, const struct kit_id *id, int version, SSL_CTX **ctx)
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

static inline void tls_close(SSL *ssl, SSL_CTX *ctx)
{
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
}

/* True when the server took the handshake and speaks HTTP/2. */
static inline bool tls_served(int port, const struct kit_id *id, int version, char serial[128])
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

/* ---- the identities of all tests ---- */

static inline void ids_save(const char *dir)
{
    kit_save(dir, "ca.pem", &ca.cert);
    kit_save(dir, "hub.pem", &hub_id.cert);
    kit_save(dir, "hub.key", &hub_id.key);
    kit_save(dir, "site.pem", &site.cert);
    kit_save(dir, "site.key", &site.key);
}

static inline void ids_load(const char *dir)
{
    kit_load(dir, "ca.pem", &ca.cert);
    kit_load(dir, "hub.pem", &hub_id.cert);
    kit_load(dir, "hub.key", &hub_id.key);
    kit_load(dir, "site.pem", &site.cert);
    kit_load(dir, "site.key", &site.key);
}

static char scratch[] = "/tmp/ym-test-rpc-XXXXXX";

static inline int identities(void **state)
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

static inline int identities_release(void **state)
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

#endif

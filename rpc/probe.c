#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "rpc/internal.h"

/* The watchdog against CVE-2023-4785: once accept() failed for want of a
 * descriptor, this core's listener never accepts again, silently. */

#define PROBE_FAILURES 3
#define PROBE_DEADLINE_MS 5000

struct ym_rpc_probe {
    struct ym_rpc_server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, running;
    struct ym_rpc_client *client; /* of the probe under way */
    int64_t interval_ms;
    struct ym_buf cert, key; /* empty: the server's own */
    void (*on_deaf)(void *ctx);
    void *ctx;
};

static void probe_target(const struct ym_rpc_server *s, char out[300])
{
    const char *host = s->host;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "[::]") == 0)
        host = "[::1]";
    snprintf(out, 300, "%s:%d", host, s->port);
}

/* False when the thread is to stop; then client is not known to it. */
static bool probe_enter(struct ym_rpc_probe *p, struct ym_rpc_client *client)
{
    bool go;
    pthread_mutex_lock(&p->lock);
    go = !p->stop;
    p->client = go ? client : NULL;
    pthread_mutex_unlock(&p->lock);
    return go;
}

/* Any answer will do, a refusal too: it shows that the listener accepts. */
static bool probe_call(struct ym_rpc_probe *p, const struct ym_rpc_client_options *o, struct ym_status *st)
{
    struct ym_rpc_client *client = NULL;
    struct ym_buf reply = {0};
    int64_t deadline_ms = p->interval_ms < PROBE_DEADLINE_MS ? p->interval_ms : PROBE_DEADLINE_MS;
    enum ym_code code = ym_rpc_client_open(o, &client, st);

    if (code != YM_OK)
        return false;
    if (probe_enter(p, client))
        code = ym_rpc_unary(client, "/grpc.health.v1.Health/Check", (struct ym_bytes){NULL, 0}, deadline_ms, true,
                            &reply, st);
    probe_enter(p, NULL);
    ym_rpc_client_close(&client);
    ym_buf_release(&reply);
    return code != YM_UNAVAILABLE && code != YM_DEADLINE;
}

/* A new connection each time: the question is whether accept works. */
static bool probe_once(struct ym_rpc_probe *p)
{
    struct ym_buf ca = {0}, cert = {0}, key = {0};
    struct ym_status st = YM_STATUS_INIT;
    char target[300], name[256];
    bool alive = false;

    if (ym_rpc_identity_copy(&p->server->identity, &ca, &cert, &key) == YM_OK) {
        struct ym_rpc_client_options o = {
            .target = target,
            .tls = {ym_buf_bytes(&ca), p->cert.len ? ym_buf_bytes(&p->cert) : ym_buf_bytes(&cert),
                    p->cert.len ? ym_buf_bytes(&p->key) : ym_buf_bytes(&key)},
        };
        probe_target(p->server, target);
        ym_rpc_tls_name(ym_buf_bytes(&cert), name);
        o.server_name = name[0] ? name : NULL;
        alive = probe_call(p, &o, &st);
    }
    if (!alive)
        ym_log(YM_LOG_WARN, "rpc.probe", "port=%d reason=\"%s\"", p->server->port, st.message);
    ym_buf_release(&ca);
    ym_buf_release(&cert);
    ym_buf_wipe(&key);
    return alive;
}

/* False when the thread is to stop. */
static bool probe_sleep(struct ym_rpc_probe *p)
{
    struct timespec until;
    bool stop;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += p->interval_ms / 1000;
    until.tv_nsec += (long)(p->interval_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&p->lock);
    while (!p->stop && pthread_cond_timedwait(&p->changed, &p->lock, &until) == 0)
        ;
    stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return !stop;
}

static void *probe_run(void *arg)
{
    struct ym_rpc_probe *p = arg;
    int failures = 0;

    while (probe_sleep(p)) {
        failures = probe_once(p) ? 0 : failures + 1;
        if (failures == PROBE_FAILURES) {
            ym_log(YM_LOG_ERROR, "rpc.deaf", "port=%d failures=%d", p->server->port, failures);
            if (p->on_deaf)
                p->on_deaf(p->ctx);
            return NULL;
        }
    }
    return NULL;
}

void ym_rpc_probe_free(struct ym_rpc_probe *p)
{
    if (!p)
        return;
    ym_buf_release(&p->cert);
    ym_buf_wipe(&p->key);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static struct ym_rpc_probe *probe_new(struct ym_rpc_server *s, const struct ym_rpc_server_options *o)
{
    struct ym_rpc_probe *p = calloc(1, sizeof *p);
    pthread_condattr_t monotonic;

    if (!p)
        return NULL;
    p->server = s;
    p->interval_ms = o->probe_ms;
    p->on_deaf = o->on_deaf;
    p->ctx = o->ctx;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (ym_buf_append(&p->cert, o->probe.cert.data, o->probe.cert.len) != YM_OK ||
        ym_buf_append(&p->key, o->probe.key.data, o->probe.key.len) != YM_OK) {
        ym_rpc_probe_free(p);
        return NULL;
    }
    return p;
}

enum ym_code ym_rpc_probe_create(struct ym_rpc_server *s, const struct ym_rpc_server_options *o, struct ym_status *st)
{
    if (o->probe_ms <= 0)
        return YM_OK;
    s->probe = probe_new(s, o);
    return s->probe ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the watchdog");
}

enum ym_code ym_rpc_probe_start(struct ym_rpc_server *s, struct ym_status *st)
{
    struct ym_rpc_probe *p = s->probe;

    if (!p)
        return YM_OK;
    if (pthread_create(&p->thread, NULL, probe_run, p) != 0)
        return ym_status_set(st, YM_EXHAUSTED, "cannot start the watchdog's thread");
    p->running = true;
    return YM_OK;
}

void ym_rpc_probe_stop(struct ym_rpc_server *s)
{
    struct ym_rpc_probe *p = s->probe;

    if (!p || !p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    if (p->client)
        ym_rpc_client_cancel(p->client);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

bool ym_rpc_probe_is(struct ym_rpc_server *s, struct ym_bytes pem)
{
    uint8_t want[32], got[32];

    if (!s->probe)
        return false;
    if (s->probe->cert.len == 0)
        return ym_rpc_identity_is(&s->identity, pem);
    return ym_cert_fingerprint(ym_buf_bytes(&s->probe->cert), want, NULL) == YM_OK &&
           ym_cert_fingerprint(pem, got, NULL) == YM_OK && memcmp(want, got, sizeof want) == 0;
}

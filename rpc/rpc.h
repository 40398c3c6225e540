#ifndef YM_RPC_H
#define YM_RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cert.h"
#include "base/status.h"

/* gRPC on the C core, as much as Yumen needs. The only room that includes
 * grpc headers. Messages are bytes here; proto/ packs and checks them.
 *
 * Server: one completion queue per thread; a call lives on the queue it arrived
 * on, so its callbacks never overlap. Handlers run on those threads and must
 * not block for long; the coordinator hands them to its own single-threaded
 * core and answers later from any thread. */

#define YM_RPC_MAX_MESSAGE (1024 * 1024)

/* status codes of gRPC, as far as used */
enum ym_code ym_rpc_code_from_grpc(int grpc_status);
int ym_rpc_code_to_grpc(enum ym_code code);

/* ---- server ---- */
struct ym_rpc_server;
struct ym_rpc_call; /* one incoming call; reference-counted by the server */

enum ym_rpc_kind { YM_RPC_UNARY = 1, YM_RPC_SERVER_STREAM, YM_RPC_CLIENT_STREAM };

struct ym_rpc_method {
    const char *path; /* "/yumen.v1.Worker/Post" */
    enum ym_rpc_kind kind;
    /* Unary, server stream: once, with the request. Client stream: start with
     * request NULL, then on_message per message. All on the call's thread. */
    void (*on_start)(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
    void (*on_message)(struct ym_rpc_call *call, struct ym_bytes message, void *ctx); /* client stream */
    void (*on_half_close)(struct ym_rpc_call *call, void *ctx); /* client stream: no more messages */
    /* The call is over (answered, cancelled, peer gone): free what user data
     * holds; no call function may be used after. Always comes exactly once. */
    void (*on_end)(struct ym_rpc_call *call, bool cancelled, void *ctx);
};

struct ym_rpc_tls { /* PEM bytes, current generation; copied by the callee */
    struct ym_bytes ca, cert, key;
};

struct ym_rpc_server_options {
    const char *listen; /* "127.0.0.1:0" gives a free port */
    bool enrolment;     /* client certificate required but not verified (Enrolment only) */
    int threads;        /* completion queues; 0 = 2 */
    /* Called at each handshake; fills tls and returns true when a newer
     * generation than the last is there (*generation holds the last one seen, 0
     * at first; set it). First call must fill. What tls borrows stays valid until
     * the next call; calls never overlap. A pair that does not fit, or is out of
     * date, is refused and the last good one stays. */
    bool (*fetch_tls)(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls);
    /* Called before every handler with the caller's certificate (PEM of the leaf
     * alone); fills who or refuses (code, reason to the client). Unknown
     * fingerprint: YM_DENIED. Several threads at once. May be NULL in enrolment
     * mode only. The watchdog's own calls to health do not come here. */
    enum ym_code (*authenticate)(void *ctx, const char *method, struct ym_bytes peer_cert_pem, struct ym_party *who,
                                 struct ym_status *st);
    const struct ym_rpc_method *methods; /* ends with path NULL; copied */
    void *ctx;                           /* for all callbacks */
    /* Watchdog: after descriptor exhaustion the C core's listener stays deaf
     * (CVE-2023-4785). Every probe_ms (0 = no watchdog) a thread makes a real
     * health Check over a new connection to the own port, with the server's own
     * current certificate unless probe names another; after three failures in a
     * row it calls on_deaf once, and the daemon ends so that it is restarted. */
    int64_t probe_ms;
    struct ym_rpc_tls probe; /* cert and key; empty: the server's own */
    void (*on_deaf)(void *ctx);
};

enum ym_code ym_rpc_server_start(const struct ym_rpc_server_options *o, struct ym_rpc_server **out,
                                 struct ym_status *st);
int ym_rpc_server_port(const struct ym_rpc_server *s);
/* Refuse new calls, wait up to grace_ms, cancel the rest, drain, destroy. */
void ym_rpc_server_stop(struct ym_rpc_server **s, int grace_ms);
void ym_rpc_server_set_serving(struct ym_rpc_server *s, bool serving); /* grpc.health.v1, built in */
/* Ask authenticate again about every stream that stands, and fail those whose
 * caller it refuses by now: a certificate runs out, a party is revoked. Any
 * thread; not in a callback. */
void ym_rpc_server_recheck(struct ym_rpc_server *s);

const struct ym_party *ym_rpc_call_who(const struct ym_rpc_call *c);
struct ym_bytes ym_rpc_call_peer_cert(const struct ym_rpc_call *c);
void ym_rpc_call_set_user(struct ym_rpc_call *c, void *user);
void *ym_rpc_call_user(const struct ym_rpc_call *c);
/* Keep the call valid past the handler, to answer later; every ref needs its unref. */
void ym_rpc_call_ref(struct ym_rpc_call *c);
void ym_rpc_call_unref(struct ym_rpc_call *c);
/* Any thread. Reply ends a unary or client-stream call with OK and one message.
 * Fail ends any call at once (what is queued is dropped); the client also gets
 * the exact code as trailing metadata "yumen-code". Second endings are ignored. */
void ym_rpc_call_reply(struct ym_rpc_call *c, struct ym_bytes message);
void ym_rpc_call_fail(struct ym_rpc_call *c, enum ym_code code, const char *message);
/* Server stream: queue a message (copied). At most YM_RPC_QUEUE messages or
 * YM_RPC_QUEUE_BYTES wait (a lone message always may); YM_EXHAUSTED when full,
 * YM_UNAVAILABLE when the call is over, YM_INVALID when it is over the size of a
 * message. on_drain (may be NULL) comes on the call's thread whenever no message
 * waits any more, and once after it was set when none does: send from there. */
#define YM_RPC_QUEUE 64
#define YM_RPC_QUEUE_BYTES (1024 * 1024)
enum ym_code ym_rpc_call_send(struct ym_rpc_call *c, struct ym_bytes message);
void ym_rpc_call_on_drain(struct ym_rpc_call *c, void (*fn)(struct ym_rpc_call *c, void *ctx), void *ctx);
void ym_rpc_call_finish(struct ym_rpc_call *c); /* server stream: OK after what is queued */
/* Client stream: messages stop coming until resume (back-pressure). Any thread;
 * called on the call's own thread it takes effect before the next message. */
void ym_rpc_call_pause(struct ym_rpc_call *c, bool paused);

/* ---- client ---- blocking calls, any number of threads */
struct ym_rpc_client;

struct ym_rpc_client_options {
    const char *target; /* host:port */
    /* expected DNS name or address in the hub's certificate; NULL: host of
     * target. The certificate must chain to tls.ca and have the role hub. */
    const char *server_name;
    struct ym_rpc_tls tls;
    int64_t connect_ms; /* longest back-off between dials, from 200 ms up with jitter; 0 = 30 s */
};
enum ym_code ym_rpc_client_open(const struct ym_rpc_client_options *o, struct ym_rpc_client **out,
                                struct ym_status *st);
/* Cancels what runs and refuses what comes (YM_UNAVAILABLE, "cancelled"), from
 * any thread; for good. Close cancels, waits for the calls to return, frees. */
void ym_rpc_client_cancel(struct ym_rpc_client *c);
void ym_rpc_client_close(struct ym_rpc_client **c);

/* deadline_ms: from now; 0 = none. wait: wait for the connection instead of
 * failing at once with YM_UNAVAILABLE. */
enum ym_code ym_rpc_unary(struct ym_rpc_client *c, const char *path, struct ym_bytes request, int64_t deadline_ms,
                          bool wait, struct ym_buf *reply, struct ym_status *st);
/* Wait until a connection stands. wait_ms 0 = for ever; YM_DEADLINE after that.
 * Streams below fail at once with YM_UNAVAILABLE when there is no connection, so
 * one that redials for ever calls this in between. */
enum ym_code ym_rpc_client_wait(struct ym_rpc_client *c, int64_t wait_ms, struct ym_status *st);
/* Server stream: on_message returns false to cancel, which gives YM_OK; else the
 * call's own status. */
enum ym_code ym_rpc_read_stream(struct ym_rpc_client *c, const char *path, struct ym_bytes request, int64_t deadline_ms,
                                bool (*on_message)(void *ctx, struct ym_bytes message), void *ctx,
                                struct ym_status *st);
/* Client stream: next fills a message and returns true, false = no more. */
enum ym_code ym_rpc_write_stream(struct ym_rpc_client *c, const char *path, int64_t deadline_ms,
                                 bool (*next)(void *ctx, struct ym_buf *message), void *ctx, struct ym_buf *reply,
                                 struct ym_status *st);

/* Fetch the hub's CA by its pin, before anything is sent: plain TLS 1.3 to
 * host:port (the server always sends its CA along), compare SHA-256(SPKI)[0:20]
 * of the CA in the chain, verify that the chain ends in it and that its leaf is
 * a hub's. YM_DENIED when no certificate fits the pin, YM_UNAVAILABLE, YM_DEADLINE (10 s). */
enum ym_code ym_rpc_fetch_ca(const char *target, const uint8_t pin[20], struct ym_buf *ca_pem, struct ym_status *st);

/* Once per process, before any of the above: TLS 1.3 only, logging hook. */
void ym_rpc_init(void);

#endif

#ifndef YM_RPC_INTERNAL_H
#define YM_RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rpc/rpc.h"

/* Within rpc/ only: what its files owe each other. */

#define YM_RPC_MAX_CALLS 8192             /* live calls of one server; more are refused */
#define YM_RPC_MAX_CALLS_OF_ONE 64        /* of one party */
#define YM_RPC_QUOTA_BYTES (64u << 20)    /* buffered by the core for one server */
#define YM_RPC_KEEPALIVE_MS 30000         /* both ends ping this often ... */
#define YM_RPC_KEEPALIVE_TIMEOUT_MS 10000 /* ... and give the peer up after this */
#define YM_RPC_HANDSHAKE_MS 5000
#define YM_RPC_CONNECTION_AGE_MS 43200000 /* 12 h: a new handshake sees new certificates */
#define YM_RPC_CONNECTION_GRACE_MS 600000
#define YM_RPC_REASON_BYTES 512      /* of a status message on the wire */
#define YM_RPC_CODE_KEY "yumen-code" /* trailing metadata: ym_code_name of a failed call */

/* ---- bytes.c ---- */

/* Byte buffer to contiguous memory; false when it is compressed (refused: no
 * archive of another party is ever expanded) or NULL. out is replaced. */
bool ym_rpc_bytes_read(grpc_byte_buffer *bb, struct ym_buf *out);
grpc_byte_buffer *ym_rpc_bytes_make(struct ym_bytes b); /* copies */

/* ---- code.c ---- */

/* The word of trailing metadata back to a code; false when it is none. */
bool ym_rpc_code_parse(grpc_slice word, enum ym_code *out);

/* ---- tls.c ---- */

/* The certificate a server shows now. */
struct ym_rpc_identity {
    pthread_mutex_t lock;
    bool (*fetch)(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls);
    void *ctx;
    uint64_t generation;         /* last one that fetch gave */
    uint64_t accepted;           /* counts the ones that were good */
    uint64_t shown;              /* of accepted, handed to the core */
    struct ym_buf ca, cert, key; /* the accepted one; strings */
};

enum ym_code ym_rpc_identity_init(struct ym_rpc_identity *id,
                                  bool (*fetch)(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls), void *ctx,
                                  struct ym_status *st);
void ym_rpc_identity_release(struct ym_rpc_identity *id);
/* Copies of the present one; the caller releases (wipes key). */
enum ym_code ym_rpc_identity_copy(struct ym_rpc_identity *id, struct ym_buf *ca, struct ym_buf *cert,
                                  struct ym_buf *key);
/* True when pem is the certificate of id. */
bool ym_rpc_identity_is(struct ym_rpc_identity *id, struct ym_bytes pem);
grpc_server_credentials *ym_rpc_tls_server(struct ym_rpc_identity *id, bool enrolment);
/* Channel credentials; the server must chain to ca and have the role hub. */
grpc_channel_credentials *ym_rpc_tls_channel(const struct ym_rpc_tls *tls, struct ym_status *st);
/* First DNS name or address among the certificate's SANs, "" when none. */
void ym_rpc_tls_name(struct ym_bytes cert_pem, char out[256]);

/* ---- server.c, call.c ---- */

struct ym_rpc_tag { /* what a completion queue gives back */
    void (*fn)(struct ym_rpc_call *call, bool ok);
    struct ym_rpc_call *call;
};

struct ym_rpc_entry { /* a method with its context and its handle in the core */
    struct ym_rpc_method method;
    void *ctx;
    bool health;
    void *handle;
};

struct ym_rpc_watcher; /* health.c */

struct ym_rpc_queue {
    struct ym_rpc_server *server;
    grpc_completion_queue *cq;
    pthread_t thread;
    bool running;
};

struct ym_rpc_server {
    grpc_server *grpc;
    int port;
    char host[256]; /* of the listening address */
    bool enrolment;
    enum ym_code (*authenticate)(void *ctx, const char *method, struct ym_bytes peer_cert_pem, struct ym_party *who,
                                 struct ym_status *st);
    void *ctx;
    struct ym_rpc_identity identity;
    struct ym_rpc_entry *entry;
    size_t entry_count;
    struct ym_rpc_queue *queue;
    size_t queue_count;

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t changed;
    size_t live;               /* calls that arrived and have not ended */
    struct ym_rpc_call *known; /* those of them that were authenticated */
    bool stopping;             /* new calls are refused */
    bool core_stopped;         /* the core's shutdown tag came back */
    bool serving;
    struct ym_rpc_watcher *watchers;

    struct ym_rpc_probe *probe;
};

/* call.c: arm one request for entry (NULL: any unregistered method). */
void ym_rpc_call_arm(struct ym_rpc_queue *q, struct ym_rpc_entry *entry);

/* health.c */
extern const struct ym_rpc_method ym_rpc_health_methods[]; /* ctx: the server */
void ym_rpc_health_stop(struct ym_rpc_server *s);          /* not serving; ends every Watch */

/* probe.c: created before the queues run and freed after, since they read it. */
enum ym_code ym_rpc_probe_create(struct ym_rpc_server *s, const struct ym_rpc_server_options *o, struct ym_status *st);
enum ym_code ym_rpc_probe_start(struct ym_rpc_server *s, struct ym_status *st);
void ym_rpc_probe_stop(struct ym_rpc_server *s); /* joins */
void ym_rpc_probe_free(struct ym_rpc_probe *p);
bool ym_rpc_probe_is(struct ym_rpc_server *s, struct ym_bytes pem);

#endif

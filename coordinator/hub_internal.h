#ifndef YM_COORDINATOR_HUB_INTERNAL_H
#define YM_COORDINATOR_HUB_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "coordinator/aggregate/fold.h"
#include "coordinator/aggregate/object.h"
#include "coordinator/aggregate/spool.h"
#include "coordinator/hub.h"
#include "coordinator/round/round.h"
#include "coordinator/store/store.h"
#include "proto/message.h"
#include "rpc/rpc.h"

/* Within coordinator/ only. One core thread owns everything of struct ym_hub
 * that has no lock beside it; rpc threads hand it jobs. A works thread reads and
 * writes big files (checks, folds) and hands its results back as jobs. */

#define HUB_QUEUE_MAX 4096 /* requests waiting for the core; more are refused */
#define HUB_STUDIES_MAX 4096
#define HUB_CARDS_PER_SITE 64
#define HUB_TOKEN_FAILURES 5
#define HUB_LINES_A_DAY 500             /* of one party in the log */
#define HUB_CLOSED_REPLAY_S (7 * 86400) /* a site that was away hears of an ended study this long */
#define HUB_CHUNK_BYTES (128 * 1024)
#define HUB_PROBE_MS 10000
#define HUB_STATE_BYTES ((uint64_t)24 * YM_PLAN_MAX_PARAMS + (4u << 20)) /* a state file with moments */

struct hub_job {
    struct hub_job *next;
    void (*run)(struct ym_hub *h, struct hub_job *job); /* on the core */
};

struct hub_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hub_job *first, **last;
    size_t count;
    bool closed;
};

/* ---- work off the core ---- */
struct hub_work {
    struct hub_job job; /* posted when work is done */
    struct hub_work *next;
    void (*work)(struct ym_hub *h, struct hub_work *work); /* on the works thread */
};

struct hub_works {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hub_work *first, **last;
    bool closed, running;
};

/* ---- who may call ---- */
struct hub_auth_entry {
    uint8_t fingerprint[YM_HASH_BYTES];
    struct ym_party who;
    int64_t not_after_s;
    bool revoked;
};

struct hub_auth {
    pthread_rwlock_t lock;
    struct hub_auth_entry *entry; /* sorted by fingerprint */
    size_t count, cap;
};

/* ---- the hub's own certificate ---- */
struct hub_tls {
    pthread_mutex_t lock;
    uint64_t generation;
    int64_t not_before_s, not_after_s;
    struct ym_buf key, cert, old_cert; /* old: the rpc servers may still borrow it */
};

struct hub_upload; /* upload.c */

struct hub_study {
    struct hub_study *next;
    struct ym_plan *plan;
    struct ym_round round;
    size_t dim;
    int64_t created_s;
    int64_t hold_ms; /* the store failed: no timer before this */
    bool folding;    /* the works thread is at it */
    bool fold_due;   /* its result waits to be kept */
    struct ym_round_event fold_event;
    struct ym_buf plan_leaf, sponsor_leaf, open_leaf, collect_leaf, closed_leaf;
    struct hub_upload *upload[YM_PLAN_MAX_SITES];  /* the one that writes the spool */
    struct hub_upload *waiting[YM_PLAN_MAX_SITES]; /* its successor */
};

struct hub_subscriber; /* stream.c */
struct hub_watcher;
struct hub_meter;     /* meter.c */
struct hub_publisher; /* publish.c */
struct hub_witnesses; /* witness.c */

struct ym_hub {
    char dir[3072], spool_dir[3200], object_dir[3200];
    struct ym_hub_config config;
    void (*failed)(void *ctx);
    void *failed_ctx;
    atomic_bool has_failed;
    int lock_fd;

    struct ym_program program;
    struct ym_key *identity;
    struct ym_buf ca_key, ca_cert, identity_cert, vkey;

    struct ym_store *store;
    struct ym_ledger *ledger;
    char ledger_dir[3200];
    uint64_t logged;       /* leaves in the ledger */
    uint64_t sealed;       /* size of the newest checkpoint that was given to be cosigned; 0: none */
    struct hub_seen *seen; /* of hospitals' own ledgers: the newest checkpoint in the log */
    bool log_due;          /* the store may hold more */
    int64_t log_flush_ms;  /* and goes in at this time at the latest */
    uint64_t store_generation;

    pthread_t core;
    bool core_running;
    atomic_bool stopping;
    struct hub_queue queue;
    struct hub_works works;
    struct hub_auth auth;
    struct hub_tls tls;

    struct hub_study *studies; /* oldest first */
    size_t study_count;
    struct hub_subscriber *subscribers;
    struct hub_watcher *watchers;
    struct hub_meter *meters;
    bool disk_low;
    int64_t next_chores_ms;
    struct ym_round_actions *actions; /* scratch of hub_apply */
    struct ym_round *step;

    pthread_mutex_t server_lock; /* server: begun and stopped by one thread, rechecked by the core */
    struct ym_rpc_server *server, *enrol_server;
    struct hub_publisher *publisher; /* NULL: no log over HTTP */
    struct hub_witnesses *witnesses; /* NULL: none */
};

/* ---- queue.c ---- */
void hub_queue_init(struct hub_queue *q);
void hub_queue_close(struct hub_queue *q); /* no more requests; what is there is still taken */
void hub_queue_release(struct hub_queue *q);
bool hub_post(struct ym_hub *h, struct hub_job *job);        /* false: full or closing; the job stays the caller's */
void hub_post_always(struct ym_hub *h, struct hub_job *job); /* ends and results: bounded by what began them */
/* All jobs, in order; waits until there is one or until_ms. */
struct hub_job *hub_queue_take(struct hub_queue *q, int64_t until_ms);
enum ym_code hub_works_start(struct ym_hub *h, struct ym_status *st);
void hub_works_post(struct ym_hub *h, struct hub_work *w);
void hub_works_stop(struct ym_hub *h);

/* ---- auth.c ---- */
void hub_auth_init(struct hub_auth *a);
void hub_auth_release(struct hub_auth *a);
enum ym_code hub_auth_reload(struct ym_hub *h, struct ym_status *st); /* core: from the store */
enum ym_code hub_authenticate(void *ctx, const char *method, struct ym_bytes peer_cert_pem, struct ym_party *who,
                              struct ym_status *st);

/* ---- tls.c ---- */
void hub_tls_init(struct ym_hub *h);
enum ym_code hub_tls_open(struct ym_hub *h, struct ym_bytes secret, struct ym_status *st);
void hub_tls_renew_when_due(struct ym_hub *h);
bool hub_fetch_tls(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls);
void hub_tls_release(struct ym_hub *h);

/* ---- leaves.c: the hub's own signed lines; appended to out ---- */
enum ym_code hub_leaf_open(struct ym_hub *h, const struct ym_round *r, uint64_t state_bytes, struct ym_buf *out,
                           struct ym_status *st);
enum ym_code hub_leaf_collect(struct ym_hub *h, const struct ym_round *r, struct ym_buf *out, struct ym_status *st);
enum ym_code hub_leaf_result(struct ym_hub *h, const struct ym_round *r, struct ym_buf *out, struct ym_status *st);
enum ym_code hub_leaf_abort(struct ym_hub *h, const struct ym_round *r, const char *reason, bool final,
                            struct ym_buf *out, struct ym_status *st);
enum ym_code hub_leaf_enrol(struct ym_hub *h, const struct ym_store_party *p, const uint8_t spki[YM_HASH_BYTES],
                            int64_t not_after_s, struct ym_buf *out, struct ym_status *st);
enum ym_code hub_leaf_revoke(struct ym_hub *h, const struct ym_store_party *p, const char *reason, struct ym_buf *out,
                             struct ym_status *st);
/* incident: two workers of one hospital, told apart by the first 8 digits of their runs */
enum ym_code hub_leaf_twin(struct ym_hub *h, const char *site, const char *first, const char *second,
                           struct ym_buf *out, struct ym_status *st);
/* New rows wait a little, so that the files of the log are written once for
 * many; who reads the log flushes first. */
#define HUB_LOG_WAIT_MS 200
#define HUB_LOG_RETRY_MS 1000
void hub_log_later(struct ym_hub *h);
/* Store rows past the ledger go into it, in order. YM_UNCERTAIN: the hub has failed. */
enum ym_code hub_log_flush(struct ym_hub *h, struct ym_status *st);
/* At start: the ledger's last leaf is the store's of that number. */
enum ym_code hub_log_check(struct ym_hub *h, struct ym_status *st);

enum ym_code hub_leaf_seen(struct ym_hub *h, const struct hub_seen *seen, const char *signature, struct ym_buf *out,
                           struct ym_status *st);

/* ---- seal.c: checkpoints that hospitals cosign, and theirs in our log ---- */
struct hub_seen {
    struct hub_seen *next;
    char log[256]; /* origin */
    uint64_t size;
    uint64_t beside; /* the sealed size that it came with: one line a seal and hospital */
    uint8_t root[YM_HASH_BYTES];
};
bool hub_seals(struct ym_bytes leaf); /* a checkpoint is cut behind this leaf */
/* The ledger's checkpoint as it now is becomes the one to cosign. */
enum ym_code hub_seal(struct ym_hub *h, struct ym_status *st);
/* At start, before anything is appended: what was sealed and seen, and a seal that a crash left out. */
enum ym_code hub_seal_load(struct ym_hub *h, struct ym_status *st);
void hub_seen_free(struct ym_hub *h);
/* A hospital's say_cosigned. Its code; *reason a stable word. */
enum ym_code hub_seal_take(struct ym_hub *h, const char *site, const json_t *o, const char **reason);

/* ---- study.c ---- */
struct hub_apply {
    struct hub_study *study;
    struct ym_round_event event;
    struct ym_bytes given;                /* the leaf that the event carried */
    const struct ym_store_upload *upload; /* written in the same transaction, with: */
    struct ym_bytes charge, release;
    bool fresh;         /* OFFER: the study's first row */
    enum ym_code code;  /* out */
    const char *reason; /* out, stable word */
};
struct ym_round_time hub_now(void);
/* Step, keep, then act. Answers in a->code, a->reason; returns a->code. */
enum ym_code hub_apply(struct ym_hub *h, struct hub_apply *a);
struct hub_study *hub_study_find(struct ym_hub *h, const char *study);
enum ym_code hub_studies_load(struct ym_hub *h, struct ym_status *st); /* RESTART each */
void hub_studies_free(struct ym_hub *h);
struct hub_study *hub_study_new(struct ym_hub *h, struct ym_plan **plan, struct ym_status *st);
void hub_study_free(struct hub_study *y);
void hub_study_add(struct ym_hub *h, struct hub_study *y);
void hub_studies_tick(struct ym_hub *h);
int64_t hub_studies_wake(const struct ym_hub *h); /* earliest timer, INT64_MAX */
void hub_studies_disk(struct ym_hub *h, bool low);
void hub_studies_connection(struct ym_hub *h, const char *site, bool connected);
void hub_studies_revoked(struct ym_hub *h, const char *site);
uint64_t hub_object_bytes(struct ym_hub *h, const uint8_t hash[YM_HASH_BYTES]);

/* ---- stream.c: tasks to hospitals, events to sponsors ---- */
void hub_on_subscribe(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_subscribe_end(struct ym_rpc_call *call, bool cancelled, void *ctx);
void hub_on_watch(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_watch_end(struct ym_rpc_call *call, bool cancelled, void *ctx);
void hub_send_task(struct ym_hub *h, struct hub_study *y, size_t site, enum ym_round_task task);
/* Another run of the hospital's trainer than this one has the stream. */
bool hub_other_at_work(const struct ym_hub *h, const char *site, const char *instance);
void hub_seat_sites(struct ym_hub *h, struct hub_study *y); /* a new study: who is connected already */
void hub_notify(struct ym_hub *h, struct hub_study *y);
/* Fill a Study message; items[] of site_count are the caller's. */
void hub_study_message(const struct hub_study *y, Yumen__V1__Study *m, Yumen__V1__SiteStatus *items,
                       Yumen__V1__SiteStatus **list);

/* ---- call.c: unary requests to the core ---- */
struct hub_request {
    struct hub_job job;
    struct ym_hub *hub;
    struct ym_rpc_call *call; /* ref */
    void *message;            /* unpacked; freed with the request */
    void (*handle)(struct ym_hub *h, struct hub_request *q);
};
void hub_request_post(struct ym_hub *h, struct ym_rpc_call *call, struct ym_bytes wire,
                      const ProtobufCMessageDescriptor *type, void (*handle)(struct ym_hub *h, struct hub_request *q));
void hub_reply(struct ym_rpc_call *call, const void *message);
void hub_fail(struct ym_rpc_call *call, const struct ym_status *st);
/* shape.c: false when a leaf of a type that goes into the log lacks a member,
 * has one more, or one that is malformed. */
bool hub_leaf_shaped(const json_t *leaf);
/* Open a leaf signed by an enrolled party with its identity key; by = its name,
 * in shape. YM_DENIED "bad_signature" style codes in *reason. */
enum ym_code hub_open_leaf(struct ym_hub *h, const char *party, struct ym_bytes line, const char *type, json_t **out,
                           const char **reason, struct ym_status *st);

/* ---- the methods ---- */
extern const struct ym_rpc_method hub_methods[], hub_enrol_methods[];
void hub_on_enrol(struct ym_rpc_call *call, struct ym_bytes request, void *ctx); /* enrol.c */
void hub_on_renew(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_checkpoint(struct ym_rpc_call *call, struct ym_bytes request, void *ctx); /* read.c */
void hub_on_read_log(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_read_log_end(struct ym_rpc_call *call, bool cancelled, void *ctx);
void hub_on_fetch(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
/* hub_release_begin has ended: the file at path, or what st says, goes to the call if it still stands. */
void hub_fetch_sealed(struct ym_hub *h, struct ym_rpc_call *call, const char *path, const struct ym_status *st);
/* release.c: seal the model of that state to the plan's recipients, off the core, unless it was before. entry: see
 * FetchRequest. */
enum ym_code hub_release_begin(struct ym_hub *h, struct ym_rpc_call *call, const struct hub_study *y,
                               const uint8_t state[YM_HASH_BYTES], uint64_t entry, struct ym_status *st);
void hub_on_fetch_end(struct ym_rpc_call *call, bool cancelled, void *ctx);
void hub_on_put_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx); /* start.c */
/* The file that waits for the sponsor's next plan: YM_NOT_FOUND without one. Drop: missing is fine. */
enum ym_code hub_start_read(struct ym_hub *h, const char *sponsor, struct ym_buf *out, struct ym_status *st);
void hub_start_drop(struct ym_hub *h, const char *sponsor);
void hub_on_submit(struct ym_rpc_call *call, struct ym_bytes request, void *ctx); /* sponsor.c */
void hub_on_list_studies(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_cancel(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_list_data(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_post(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);          /* worker.c */
void hub_on_upload_status(struct ym_rpc_call *call, struct ym_bytes request, void *ctx); /* upload.c */
void hub_on_upload(struct ym_rpc_call *call, struct ym_bytes request, void *ctx);
void hub_on_upload_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx);
void hub_on_upload_half_close(struct ym_rpc_call *call, void *ctx);
void hub_on_upload_end(struct ym_rpc_call *call, bool cancelled, void *ctx);
void hub_uploads_stop(struct ym_hub *h, struct hub_study *y); /* the attempt is over: answer late */

/* ---- publish.c: the log over HTTP, where hub.yaml says so ---- */
enum ym_code hub_publish_start(struct ym_hub *h, struct ym_status *st);
void hub_publish_stop(struct ym_hub *h);
/* A cosignature of the checkpoint of this size, for those who ask for it. Any thread. */
void hub_publish_line(struct ym_hub *h, uint64_t size, struct ym_bytes line);

/* ---- witness.c: cosignatures of the witnesses in hub.yaml ---- */
enum ym_code hub_witness_start(struct ym_hub *h, struct ym_status *st); /* before the core runs */
void hub_witness_stop(struct ym_hub *h);                                /* joins; while the core still runs */
void hub_witness_free(struct ym_hub *h);
/* Core: the log's new checkpoint. Returns at once. */
void hub_witness_offer(struct ym_hub *h, uint64_t size, struct ym_bytes note, bool sealed);

/* ---- meter.c: one more line of that party in the log; false: enough for today ---- */
bool hub_may_log(struct ym_hub *h, const char *name);
void hub_meters_free(struct ym_hub *h);

/* ---- chores.c: once a second ---- */
void hub_chores(struct ym_hub *h);
bool hub_disk_low(const struct ym_hub *h, uint64_t more_bytes);
void hub_has_failed(struct ym_hub *h, const char *why);

#endif

#ifndef YM_GATEWAY_COURIER_INTERNAL_H
#define YM_GATEWAY_COURIER_INTERNAL_H

#include <pthread.h>

#include "rpc/rpc.h"
#include "worker/gateway/courier.h"

/* A connection that several threads use; a renewed certificate brings a new one,
 * and the old is closed by its last user. */
struct ym_wire {
    struct ym_rpc_client *client;
    int refs;
};

struct ym_parcel { /* what waits in a queue */
    struct ym_buf a, b;
    char path[YM_HOME_PATH];
    Yumen__V1__TaskKind task;
    uint8_t hash[YM_HASH_BYTES];
    uint64_t bytes;
};

struct ym_queue {
    struct ym_parcel **item;
    size_t first, count, cap;
};

struct ym_courier {
    struct ym_home *home;
    pthread_mutex_t lock; /* guards all below, and home */
    pthread_cond_t wake;
    bool stop, connected;
    bool other_worker; /* the hub refused the last session for another's sake */
    bool had_session;
    struct ym_buf session; /* empty: no trainer has said who it is */
    bool log_due;
    uint64_t log_next;    /* entry that the trainer wants */
    uint64_t log_turn;    /* a new session begins a new one */
    unsigned log_flying;  /* LOG events not passed on yet */
    struct ym_wire *wire; /* NULL: not enrolled */
    struct ym_queue post, upload, fetch, enrol;
    struct ym_courier_event *event[YM_COURIER_EVENTS];
    size_t event_first, event_count;
    int fd;
    pthread_t thread[7];
    size_t thread_count;
};

/* courier.c */
struct ym_wire *ym_wire_get(struct ym_courier *c); /* waits until there is one; NULL when stopping */
void ym_wire_put(struct ym_courier *c, struct ym_wire *w);
enum ym_code ym_wire_renew(struct ym_courier *c, struct ym_status *st); /* from home; lock not held */
bool ym_courier_pause(struct ym_courier *c, int64_t ms);                /* false when stopping */
/* The next back-off after ms: doubled to 30 s; the wait itself is jittered. */
int64_t ym_backoff_next(int64_t ms);
bool ym_backoff_wait(struct ym_courier *c, int64_t *ms);
struct ym_parcel *ym_queue_wait(struct ym_courier *c, struct ym_queue *q); /* NULL when stopping */
enum ym_code ym_queue_put(struct ym_courier *c, struct ym_queue *q, struct ym_parcel **p, struct ym_status *st);
void ym_parcel_free(struct ym_parcel **p);
/* Takes *e; waits while the event queue is full. */
void ym_courier_tell(struct ym_courier *c, struct ym_courier_event **e);
void ym_courier_tell_state(struct ym_courier *c);
void ym_courier_answer(struct ym_courier *c, struct ym_bytes line, enum ym_code answer, const char *reason);
/* True for answers that may change when asked again. */
bool ym_answer_passing(enum ym_code code);

/* threads */
void *ym_listen_main(void *courier); /* courier_listen.c */
void *ym_fetch_main(void *courier);
void *ym_log_main(void *courier); /* courier_log.c */
void ym_courier_want_log(struct ym_courier *c);
void *ym_post_main(void *courier); /* courier_post.c */
void *ym_upload_main(void *courier);
void *ym_enrol_main(void *courier); /* courier_enrol.c */
void *ym_renew_main(void *courier);

/* One line posted, asked until the hub answers. YM_OK: answer and reason hold
 * its word; else stopping. */
enum ym_code ym_post_line(struct ym_courier *c, struct ym_bytes line, enum ym_code *answer, char reason[64]);

#endif

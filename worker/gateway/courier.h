#ifndef YM_GATEWAY_COURIER_H
#define YM_GATEWAY_COURIER_H

#include "proto/message.h"
#include "worker/gateway/home.h"
#include "worker/trainer/frame.h"

/* The gateway's way to the hub: threads that block on calls, so that the socket
 * to the trainer never waits for a network. They redial for ever with jitter and
 * give what they got as events. Everything carried is signed by somebody else.
 *   listen  Subscribe, once the trainer has said who it is; tasks in order
 *   log     the hub's log and its checkpoint, at every round, its end, and half minute
 *   fetch   objects of tasks, from the offset reached, checked by SHA-256
 *   post    signed lines, in order
 *   upload  releases: charge, then bytes from the offset the hub has
 *   enrol   on request; keep  renews the certificate at two thirds of its life */

#define YM_COURIER_QUEUE 4096
#define YM_COURIER_EVENTS 1024

enum ym_event_kind {
    YM_EVENT_TASK,       /* a task whose object, if any, is in objects/ or in `object` */
    YM_EVENT_ANSWER,     /* to a line or a release */
    YM_EVENT_ENROLLED,   /* payload of ENROLLED */
    YM_EVENT_STATE,      /* connected or certificate changed */
    YM_EVENT_LOG,        /* payload: entries first .. end - 1 of the hub's log, as a bundle */
    YM_EVENT_CHECKPOINT, /* payload: the hub's note over what was given */
    YM_EVENT_NOTICE,     /* leaf: the hub's incident */
};

struct ym_courier_event {
    enum ym_event_kind kind;
    Yumen__V1__TaskKind task;
    struct ym_buf leaf, enrol_leaf;
    struct ym_buf object; /* a plan's bytes */
    uint8_t object_hash[YM_HASH_BYTES];
    uint64_t object_bytes; /* 0: the task has none, or it could not be had */
    struct ym_frame_answer answer;
    struct ym_buf payload;
    uint64_t turn, first, end; /* LOG, CHECKPOINT */
};
void ym_courier_event_release(struct ym_courier_event *e);

struct ym_courier;
/* Starts the threads; home is theirs until stop, but for what courier_home gives. */
enum ym_code ym_courier_start(struct ym_home *home, struct ym_courier **out, struct ym_status *st);
void ym_courier_stop(struct ym_courier **c);
int ym_courier_fd(const struct ym_courier *c); /* readable when an event waits */
bool ym_courier_take(struct ym_courier *c, struct ym_courier_event *out);

/* Queue; bytes are copied. YM_EXHAUSTED: full. */
enum ym_code ym_courier_post(struct ym_courier *c, struct ym_bytes line, struct ym_status *st);
/* path: the spooled update, removed when the hub has answered. */
enum ym_code ym_courier_upload(struct ym_courier *c, struct ym_bytes charge, struct ym_bytes release, const char *path,
                               struct ym_status *st);
/* Ask the hub to enrol: say_enrol line of the trainer. */
enum ym_code ym_courier_enrol(struct ym_courier *c, struct ym_bytes line, struct ym_status *st);
/* say_session of the trainer that is connected now: a new one subscribes anew and
 * gets the log from the entry that it names. */
enum ym_code ym_courier_session(struct ym_courier *c, struct ym_bytes line, struct ym_status *st);
/* The trainer restarted: nothing is relayed before it says who it is. */
void ym_courier_trainer_gone(struct ym_courier *c);
/* Part of the log that an earlier session wanted. */
bool ym_courier_event_stale(struct ym_courier *c, const struct ym_courier_event *e);
/* One LOG event was passed on: at most YM_COURIER_LOG are under way. */
#define YM_COURIER_LOG 4
void ym_courier_log_done(struct ym_courier *c);
/* Canonical JSON of the GATEWAY frame. */
enum ym_code ym_courier_describe(struct ym_courier *c, struct ym_buf *out);
/* Canonical JSON of ENROLLED as stored; empty when not enrolled. */
enum ym_code ym_courier_enrolment(struct ym_courier *c, struct ym_buf *out);

#endif

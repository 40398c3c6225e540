#ifndef YM_COORDINATOR_ROUND_H
#define YM_COORDINATOR_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "gate/plan.h"

/* The life of one study at the hub, as one pure function over values: no
 * clock, socket, disk or store inside. The shell (coordinator/hub.c, and the
 * simulated one of the tests) does, for every event:
 *
 *     copy the state, step the copy;
 *     if it changed: write state, leaves and rows in ONE store transaction;
 *     commit, adopt the copy, and only then carry out the actions.
 *
 * A failed commit drops the copy: the event never happened.
 *
 *   phase      leaves it by                                             to
 *   (none)     OFFER                                                    OFFERED
 *   OFFERED    every site decided and >= quorum willing; or start_ms    OPEN
 *              after the offer and >= quorum willing
 *   OPEN       TICK: >= quorum sites willing, disk has room             DELIVER (leaf round_open, tasks ROUND)
 *              TICK: disk low                                           PAUSED(disk)
 *   DELIVER    first answer of a site of the roster                     READY
 *   READY      all of the roster answered, or ready_ms is over:
 *              >= quorum ready                                          COLLECT (tasks COLLECT)
 *              fewer, or so many said no that quorum is out of reach    attempt fails
 *   COLLECT    all ready ones are in or gone, or collect_ms is over:
 *              >= quorum in                                             FOLD
 *              fewer, or quorum out of reach                            attempt fails
 *   FOLD       FOLDED                                                   PUBLISH (leaf round_result, tasks CLOSED)
 *              STORE_FAILED                                             PAUSED(disk)
 *              SPOOL_LOST                                               attempt fails
 *   PUBLISH    TICK: more rounds (and on to DELIVER) / last round,       OPEN / DONE
 *              or FOLDED said that the study stops
 *   PAUSED     RESUME; when for the disk: DISK ok, or 30 s              OPEN, or FOLD when it was folding
 *   any        quorum impossible (vetoes, revocations), CANCEL          ABORTED(reason)
 *
 * "Attempt fails": leaf abort (not final), tasks CLOSED, spools dropped; then
 * OPEN with attempt + 1 after a back-off, or PAUSED(attempts_exhausted) once
 * max_attempts of this round failed. Attempts of a round are numbered on, and
 * never used twice. DELIVER to READY is only what people see; both wait alike.
 *
 * A site is willing when it approved, its dry run did not fail, and it neither
 * vetoed nor paused nor was revoked. A site that stops being willing leaves the
 * attempt at once, even with its update in the spool: the hospital decides
 * last, until the fold has begun.
 *
 * Time: wall_s is for what is published, mono_ms for waiting. On RESTART all
 * deadlines are armed afresh, since nobody could answer while the hub was away. */

struct ym_round_time {
    int64_t wall_s, mono_ms;
};

/* Numbers are those of proto StudyPhase. */
enum ym_round_phase {
    YM_ROUND_NONE = 0,
    YM_ROUND_OFFERED = 1,
    YM_ROUND_OPEN = 2,
    YM_ROUND_DELIVER = 3,
    YM_ROUND_READY = 4,
    YM_ROUND_COLLECT = 5,
    YM_ROUND_FOLD = 6,
    YM_ROUND_PUBLISH = 7,
    YM_ROUND_DONE = 8,
    YM_ROUND_ABORTED = 9,
    YM_ROUND_PAUSED = 10,
};
const char *ym_round_phase_name(enum ym_round_phase phase); /* "offered" ... */

enum ym_round_decision { YM_ROUND_UNDECIDED = 0, YM_ROUND_APPROVED = 1, YM_ROUND_VETOED = 2 };

/* What a site is to the attempt under way. */
enum ym_round_part {
    YM_ROUND_ABSENT = 0,  /* not in the roster */
    YM_ROUND_AWAITED = 1, /* in the roster, no answer yet */
    YM_ROUND_SAID_READY = 2,
    YM_ROUND_UPLOADING = 3, /* its release leaf is known and binding */
    YM_ROUND_COUNTED = 4,   /* whole and checked in the spool; in FOLD and after: in the sum */
    YM_ROUND_DECLINED = 5,  /* said no, or stopped being willing */
    YM_ROUND_LEFT_OUT = 6,  /* did not answer in time */
};

/* Reasons are stable words of at most 31 bytes, from the other side only out of
 * the closed list of docs/protocol.md; anything else is kept as "other". */
#define YM_ROUND_REASON 32

struct ym_round_site {
    enum ym_round_decision decision;
    enum ym_round_part part;
    bool paused, revoked, dry_run_failed;
    bool connected;                 /* not kept over a restart */
    int64_t since_s;                /* of the last change of decision or part */
    uint32_t left_out;              /* closed rounds that ran without it though it had joined */
    char reason[YM_ROUND_REASON];   /* of part; after a failed attempt why it was not in it, until the next asks */
    uint8_t release[YM_HASH_BYTES]; /* SHA-256 of its release leaf, from UPLOADING on */
};

struct ym_round {
    const struct ym_plan *plan; /* borrowed */
    enum ym_round_phase phase;
    enum ym_round_phase paused_from; /* PAUSED: OPEN or FOLD */
    uint32_t round;                  /* under way, 1-based; 0 before the first */
    uint32_t attempt;                /* numbered through within a round, 1-based */
    uint32_t tries;                  /* of this round since the last resume */
    bool stops;                      /* the newest result is the last, whatever its round */
    bool disk_low;                   /* not kept over a restart */
    int64_t wake_ms;                 /* send TICK at this monotonic time; 0: nothing to wait for. Not kept */
    int64_t deadline_s;              /* published: ready_by or collect_by */
    int64_t opened_s, changed_s;
    uint8_t state[YM_HASH_BYTES];                      /* newest published */
    uint8_t before[YM_HASH_BYTES], sum[YM_HASH_BYTES]; /* of the newest round_result; zero before the first */
    char reason[YM_ROUND_REASON];                      /* why aborted, paused or waiting */
    struct ym_round_site site[YM_PLAN_MAX_SITES];      /* in plan order */
};

enum ym_round_event_kind {
    YM_ROUND_EV_OFFER = 1,    /* the plan is accepted; state: round 0's */
    YM_ROUND_EV_TICK,         /* time passed */
    YM_ROUND_EV_RESTART,      /* the hub came back; before any other event */
    YM_ROUND_EV_CONNECTED,    /* site */
    YM_ROUND_EV_DISCONNECTED, /* site */
    YM_ROUND_EV_APPROVE,      /* site, plan */
    YM_ROUND_EV_VETO,         /* site, plan */
    YM_ROUND_EV_PAUSE,        /* site; yes: paused, no: back */
    YM_ROUND_EV_CHECKED,      /* site, plan, yes, reason */
    YM_ROUND_EV_REVOKED,      /* site */
    YM_ROUND_EV_READY,        /* site, round, attempt, plan, state */
    YM_ROUND_EV_DECLINED,     /* site, round, attempt, reason */
    YM_ROUND_EV_CHARGED,      /* site, round, attempt, plan, state: its charge leaf comes in; changes nothing here */
    YM_ROUND_EV_UPLOAD,   /* site, round, attempt, plan, state, release, bytes, scale/width: an upload wants to begin or
                             go on */
    YM_ROUND_EV_UPLOADED, /* the same, after the shell checked length, hash and range */
    YM_ROUND_EV_FOLDED,   /* round, attempt, state, sum; yes: the study stops with this state (models/stop.h) */
    YM_ROUND_EV_STORE_FAILED, /* the fold could not be written */
    YM_ROUND_EV_SPOOL_LOST,   /* the fold found a spool missing or short */
    YM_ROUND_EV_DISK,         /* yes: low */
    YM_ROUND_EV_CANCEL,
    YM_ROUND_EV_RESUME,
};

struct ym_round_event {
    enum ym_round_event_kind kind;
    size_t site; /* index in the plan */
    uint32_t round, attempt;
    bool yes;
    uint8_t plan[YM_HASH_BYTES], state[YM_HASH_BYTES], sum[YM_HASH_BYTES], release[YM_HASH_BYTES];
    uint64_t bytes, dim; /* UPLOAD: bytes the leaf announces; dim of the model */
    uint32_t scale_bits, width_bits;
    const char *reason;
};

/* Numbers are those of proto TaskKind. */
enum ym_round_task {
    YM_ROUND_TASK_PLAN = 1,
    YM_ROUND_TASK_ROUND = 2,
    YM_ROUND_TASK_COLLECT = 3,
    YM_ROUND_TASK_CLOSED = 4
};

enum ym_round_action_kind {
    /* durable, inside the transaction */
    YM_ROUND_DO_LOG_GIVEN = 1, /* the leaf that the event carried */
    YM_ROUND_DO_LOG_OPEN,      /* round_open; keep it as the task of the attempt */
    YM_ROUND_DO_SAY_COLLECT,   /* sign and keep say_collect; not logged */
    YM_ROUND_DO_LOG_RESULT,    /* charge and release of the counted, round_result */
    YM_ROUND_DO_LOG_ABORT,     /* abort{reason, final} */
    /* effects, after the commit */
    YM_ROUND_DO_SEND,        /* task to site, when connected; who is not gets it on Subscribe */
    YM_ROUND_DO_DROP_SPOOLS, /* all of round, attempt */
    YM_ROUND_DO_FOLD,        /* the COUNTED sites of round, attempt; answer by FOLDED */
};

struct ym_round_action {
    enum ym_round_action_kind kind;
    size_t site;
    enum ym_round_task task;
    uint32_t round, attempt;
    bool final;
    char reason[YM_ROUND_REASON];
};

#define YM_ROUND_MAX_ACTIONS (2 * YM_PLAN_MAX_SITES + 16)

/* The answer to whoever sent the event, and what is to be done. */
struct ym_round_actions {
    enum ym_code code;  /* not YM_OK: the state is untouched */
    const char *reason; /* stable word; "" when done, "repeated" with YM_OK when it had been done before */
    bool durable;       /* the state changed in what must be kept */
    bool changed;       /* something a watcher sees changed */
    size_t count;
    struct ym_round_action action[YM_ROUND_MAX_ACTIONS];
};

/* plan is borrowed for the life of r. */
void ym_round_init(struct ym_round *r, const struct ym_plan *plan);

/* Step r by one event. Answers besides YM_OK:
 *   DEADLINE late           an earlier round or attempt, or its window is over
 *   INVALID  wrong_round wrong_attempt wrong_plan wrong_state wrong_length wrong_lattice
 *   CONFLICT ended          the study is done or aborted
 *   CONFLICT other_bytes    another release of this site is binding for the attempt
 *   CONFLICT not_ready      an upload of a site that never said ready, or before COLLECT
 *   CONFLICT declined       the site has said no to this attempt
 *   DENIED   not_in_roster  not among the sites of the attempt
 *   DENIED   revoked vetoed paused
 *   CONFLICT not_paused     RESUME of a study that runs
 *   NOT_FOUND unknown_site */
void ym_round_step(struct ym_round *r, const struct ym_round_event *e, struct ym_round_time now,
                   struct ym_round_actions *out);

/* The task that is open for a site now, to be sent when it subscribes: false
 * when there is none. CLOSED tasks are kept by the shell. */
bool ym_round_open_task(const struct ym_round *r, size_t site, enum ym_round_task *task);
bool ym_round_ended(const struct ym_round *r);
bool ym_round_is_last(const struct ym_round *r); /* no round follows the one under way or published */
size_t ym_round_site_find(const struct ym_plan *plan, const char *name); /* SIZE_MAX when absent */
bool ym_round_willing(const struct ym_round_site *s);

/* Kept form (restricted JSON, version 1) and back. Load: YM_CORRUPT. */
enum ym_code ym_round_save(const struct ym_round *r, struct ym_buf *out, struct ym_status *st);
enum ym_code ym_round_load(const struct ym_plan *plan, struct ym_bytes data, struct ym_round *r, struct ym_status *st);

#endif

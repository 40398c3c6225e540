#ifndef YM_TRAINER_CORE_H
#define YM_TRAINER_CORE_H

#include <jansson.h>

#include "gate/plan.h"
#include "worker/trainer/frame.h"
#include "worker/trainer/site.h"

/* What the trainer decides, without sockets, disks or threads: tasks and the
 * hospital's own decisions in, actions out. What it knows is a fold over the
 * ledger, the plans it keeps, and the hub's key. Everything that the hub or a
 * sponsor says is checked here against their signatures. One thread. */

#define YM_CORE_OPEN_PLANS 256   /* plans kept that are neither closed nor vetoed */
#define YM_CORE_PLANS 4096       /* plans kept in all */
#define YM_CORE_CLOCK_SKEW_S 300 /* how far the hub's clock may be off */
#define YM_CORE_MAX_ATTEMPT 1000000

enum ym_decision { YM_UNDECIDED, YM_APPROVED, YM_VETOED };

enum ym_study_phase {
    YM_STUDY_IDLE,
    YM_STUDY_PREPARING, /* data and state are being loaded and checked; nothing charged */
    YM_STUDY_READY,     /* said ready; nothing charged */
    YM_STUDY_TRAINING,  /* charged; nothing released */
};

struct ym_core_study {
    char study[64];
    uint8_t hash[YM_HASH_BYTES]; /* of the plan */
    struct ym_plan *plan;        /* NULL: known from the ledger only */
    struct ym_buf plan_leaf;     /* the sponsor's */
    uint8_t sponsor_key[YM_PUBKEY_BYTES];
    enum ym_decision decision;
    char dataset[64];
    uint8_t data[YM_HASH_BYTES];
    uint64_t decision_index; /* in the ledger */
    uint8_t decision_hash[YM_HASH_BYTES];
    bool decision_delivered;
    bool paused, pause_logged, pause_delivered;
    uint64_t pause_index;
    uint8_t pause_hash[YM_HASH_BYTES];
    bool closed;
    /* the last charge, and its release if there is one */
    uint32_t charged_round, charged_attempt; /* 0, 0: none */
    uint32_t round_charges;                  /* how often charged_round was charged */
    uint8_t charged_state[YM_HASH_BYTES];
    struct ym_buf charge_line, release_line; /* release_line empty: not released */
    uint8_t release_hash[YM_HASH_BYTES];
    bool release_over; /* dropped, refused or closed: not to be sent again */
    /* the last release of all, which a plan with scaffold still needs when it is over (models/control.h) */
    struct ym_buf last_charge; /* its charge line; empty: none */
    uint8_t last_update[YM_HASH_BYTES];
    /* the attempt under way */
    enum ym_study_phase phase;
    uint32_t round, attempt; /* 0, 0: none */
    uint8_t state[YM_HASH_BYTES];
    int64_t collect_by;
    bool collect_wanted;
    bool prepared;        /* all but the hub's log was checked */
    char last_reason[32]; /* why it last declined */
};

struct ym_core_dataset {
    char name[64];
    uint8_t data[YM_HASH_BYTES], card[YM_HASH_BYTES];
    uint64_t index; /* of its leaf */
    uint8_t leaf_hash[YM_HASH_BYTES];
    bool delivered;
};

/* How an attempt stands in the hub's log, as far as it was compared with the own ledger (watch.h). */
enum ym_core_log {
    YM_CORE_LOG_SEEN,   /* its round_open is in it, and the ledger lacks nothing */
    YM_CORE_LOG_WAIT,   /* not yet */
    YM_CORE_LOG_HALTED, /* ledger and log disagree: nothing is charged */
};

/* Facts that only the shell can find out. */
struct ym_core_world {
    void *ctx;
    int64_t (*now)(void *ctx);
    bool (*sandboxed)(void *ctx);                                /* as the site asks */
    bool (*state)(void *ctx, const uint8_t hash[YM_HASH_BYTES]); /* received whole */
    bool (*data)(void *ctx, const char *dataset);                /* frozen file is there */
    bool (*disk)(void *ctx, const struct ym_plan *plan);         /* room for a release */
    enum ym_core_log (*log)(void *ctx, const char *study, uint32_t round, uint32_t attempt);
    enum ym_code (*budget)(void *ctx, const struct ym_plan *plan, const char *dataset, uint32_t round,
                           struct ym_status *st);
    /* The site's policy: YM_OK; YM_DENIED with its reasons; YM_EXHAUSTED: not for a study's epsilon; YM_UNAVAILABLE:
     * not at this hour. */
    enum ym_code (*policy)(void *ctx, const struct ym_plan *plan, uint32_t round, struct ym_status *st);
    /* Has an approval of the own ledger the seals that it needs, by the keys in force so far? Asked of what came back.
     */
    bool (*sealed)(void *ctx, const json_t *leaf);
    /* The site's gate (border.h): YM_OK, or YM_DENIED with its reasons. */
    enum ym_code (*border)(void *ctx, const struct ym_plan *plan, const char *dataset, struct ym_status *st);
};

enum ym_action_kind {
    YM_ACTION_KEEP_PLAN, /* write plans/<hash>.plan */
    YM_ACTION_LOG,       /* append another party's line to the ledger unless it is there */
    YM_ACTION_RECORD,    /* sign, append, take, post */
    YM_ACTION_SAY,       /* sign, post */
    YM_ACTION_REPOST,    /* post the ledger's line at index */
    YM_ACTION_PREPARE,   /* check state and data rows: ym_core_prepared */
    YM_ACTION_CHARGE,    /* charge and train: ym_core_charged, ym_core_trained */
    YM_ACTION_RELEASE,   /* store, seal, send what was trained */
    YM_ACTION_DISCARD,   /* wipe what was trained */
    YM_ACTION_RESEND,    /* the finished release, identically */
    YM_ACTION_DROP,      /* the finished release is of no more use */
    YM_ACTION_CLOSE,     /* write plans/<hash>.closed */
};

struct ym_action {
    enum ym_action_kind kind;
    struct ym_core_study *study; /* borrowed; lives as long as the core */
    uint32_t round, attempt;
    const char *type;   /* RECORD, SAY */
    json_t *members;    /* RECORD, SAY; owned */
    struct ym_buf line; /* LOG, KEEP_PLAN (parts), CLOSE; owned */
    uint64_t index;     /* REPOST */
};

struct ym_actions {
    struct ym_action *item;
    size_t count, cap;
    bool failed; /* out of memory: the process must exit */
};
void ym_actions_release(struct ym_actions *a);

struct ym_core;
struct ym_core *ym_core_new(const char *name, const struct ym_core_world *world);
void ym_core_free(struct ym_core *c);
void ym_core_trust(struct ym_core *c, const struct ym_trust *trust); /* copied; NULL: not enrolled */

/* Fold one line of the own ledger. YM_CORRUPT: a line that cannot be. */
enum ym_code ym_core_take(struct ym_core *c, uint64_t index, struct ym_bytes line, struct ym_status *st);
/* A plan with its proofs: from the hub, or (stored) from plans/. */
enum ym_code ym_core_plan(struct ym_core *c, struct ym_bytes parts, bool stored, struct ym_actions *a,
                          struct ym_status *st);
void ym_core_mark_closed(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES]);

/* Tasks. A task that cannot be followed is answered by say_declined with its
 * reason; st tells the log more. */
enum ym_code ym_core_round(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st);
enum ym_code ym_core_collect(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st);
enum ym_code ym_core_closed(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st);
void ym_core_answer(struct ym_core *c, const struct ym_frame_answer *answer, struct ym_actions *a);
void ym_core_link_up(struct ym_core *c, struct ym_actions *a);

/* How actions went. reason: one of say_declined's words, NULL when well. */
void ym_core_prepared(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                      struct ym_actions *a);
/* More of the hub's log was compared: who waits for it goes on, or declines. */
void ym_core_log_seen(struct ym_core *c, struct ym_actions *a);
/* A CHARGE that had to wait: does everything still hold? If not it is declined, or
 * nobody waits for it any more. */
bool ym_core_still_charges(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt,
                           struct ym_actions *a);
/* What the border's answer is called where it is no. Another code than YM_DENIED: rule sets were not asked, for the
 * data set's card cannot be read. NULL: go on. */
const char *ym_core_border_no(enum ym_code code);
void ym_core_charge_refused(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a);
void ym_core_trained(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                     struct ym_actions *a);
void ym_core_released(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a);

/* Decisions of the hospital. approve: the caller has dry-run the plan. */
/* What an approval of it would say, new, without its seals; YM_CONFLICT, YM_NOT_FOUND, YM_DENIED: there can be none. */
enum ym_code ym_core_approval(struct ym_core *c, const struct ym_core_study *s, const char *dataset, json_t **members,
                              struct ym_status *st);
/* seals: an array, shared with the leaf; the caller has checked that they are enough. */
enum ym_code ym_core_approve(struct ym_core *c, struct ym_core_study *s, const char *dataset, json_t *seals,
                             struct ym_actions *a, struct ym_status *st);
enum ym_code ym_core_veto(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st);
enum ym_code ym_core_pause(struct ym_core *c, const char *study, bool paused, struct ym_actions *a,
                           struct ym_status *st);

/* By study name or by 8 or more hex digits of the plan's hash. YM_NOT_FOUND;
 * YM_INVALID: too short or fits several. Open studies go before closed ones. */
enum ym_code ym_core_find(struct ym_core *c, const char *name_or_hash, struct ym_core_study **out,
                          struct ym_status *st);
size_t ym_core_study_count(const struct ym_core *c);
struct ym_core_study *ym_core_study_at(struct ym_core *c, size_t i);
const struct ym_core_dataset *ym_core_dataset_find(const struct ym_core *c, const char *name);
size_t ym_core_dataset_count(const struct ym_core *c);
const struct ym_core_dataset *ym_core_dataset_at(const struct ym_core *c, size_t i);
int64_t ym_core_min_patients(const struct ym_core *c); /* -1: no policy leaf */

/* The closed list of reasons; false for any other word. */
bool ym_decline_reason_known(const char *reason);

#endif

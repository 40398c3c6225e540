#ifndef YM_TRAINER_INTERNAL_H
#define YM_TRAINER_INTERNAL_H

#include "gate/border/seal.h"
#include "gate/policy.h"
#include "worker/trainer/admin.h"
#include "worker/trainer/border.h"
#include "worker/trainer/core.h"
#include "worker/trainer/door.h"
#include "worker/trainer/sandbox.h"
#include "worker/trainer/show.h"
#include "worker/trainer/us.h"
#include "worker/trainer/watch.h"
#include "worker/trainer/withdraw.h"
#include "worker/trainer/work.h"

struct ym_gateway_info { /* what the gateway last said of itself */
    bool known, connected, enrolled;
    bool other_worker; /* the hub refuses this one: another with the same identity is at work */
    uint8_t spki[YM_HASH_BYTES];
    char hub[256];
    int64_t not_after;
};

struct ym_incoming { /* the object that arrives */
    int fd;          /* -1: none */
    uint8_t hash[YM_HASH_BYTES];
    uint64_t total, done;
    struct ym_sha256 *sha;
};

struct ym_seal_due { /* a checkpoint of the hub's log to cosign; size 0: none */
    uint64_t size;
    uint8_t root[YM_HASH_BYTES], signature[YM_SIG_BYTES];
    int64_t since_ms;
};

#define YM_TRAINER_COHORTS 16 /* plans whose eligible patients are known at a time */

struct ym_eligible { /* whom the plan uses of a data set, as the worker thread found */
    bool known;
    uint8_t plan[YM_HASH_BYTES], data[YM_HASH_BYTES];
    struct ym_cohort who;
};

#define YM_TRAINER_RECENT 16 /* objects that came and whose task may still come */

struct ym_trainer {
    struct ym_site site;
    int lock;
    struct ym_key *key;
    uint8_t pub[YM_PUBKEY_BYTES];
    uint8_t salt[YM_SITE_SALT];
    struct ym_trust trust;
    bool enrolled;
    struct ym_sandbox_level sandbox;
    struct ym_program program;
    struct ym_ledger *ledger;
    struct ym_budget *budget;
    struct ym_core *core;
    struct ym_border *border;
    struct ym_withdrawn *withdrawn;
    struct ym_meter *meter;
    struct ym_us *us;
    struct ym_eligible eligible[YM_TRAINER_COHORTS]; /* in a ring */
    size_t eligible_next;
    struct ym_policy *policy; /* NULL: nothing is signed that can be read, so nobody is served */
    struct ym_scored {
        int64_t hour, rows; /* put to models in the newest clock hour that any was */
    } scored;
    struct ym_offices offices;
    struct ym_door *door;
    struct ym_watch *watch;
    char instance[33]; /* of this run */
    char noticed[256]; /* the incident that the hub told of in this run */
    struct ym_seal_due due;
    bool again;       /* what was cosigned last is to be said once more */
    bool cosigned;    /* said on this link */
    int64_t asked_ms; /* when the hub's log was asked for last */
    struct ym_work *work;
    void *zmq;
    struct ym_link *link;
    struct ym_admin *admin;
    struct ym_gateway_info gateway;
    struct ym_incoming in;
    uint8_t recent[YM_TRAINER_RECENT][YM_HASH_BYTES]; /* the last objects, in a ring */
    size_t recent_next;
    struct ym_charged *charged; /* what the worker thread trains */
    struct ym_actions pending;  /* CHARGE actions that wait for it */
    struct ym_ticket enrol_ticket;
    int64_t asker; /* account of who asks now at the desk; -1: not known */
    bool stop;
    enum ym_code fatal; /* not YM_OK: leave, st says why */
    struct ym_status fatal_st;
};

void ym_trainer_fatal(struct ym_trainer *t, enum ym_code code, const struct ym_status *st);
/* Carry out and release. */
void ym_trainer_act(struct ym_trainer *t, struct ym_actions *a);
/* A text member of a request or leaf; "" when it is absent or no text. Borrowed. */
const char *ym_trainer_text(const json_t *o, const char *key);
/* Sign a leaf of ours; members is borrowed. */
enum ym_code ym_trainer_sign(struct ym_trainer *t, const char *type, const json_t *members, struct ym_buf *line,
                             struct ym_status *st);
/* Fold a line of the own ledger into core and gate. */
enum ym_code ym_trainer_take(struct ym_trainer *t, uint64_t index, struct ym_bytes line, struct ym_status *st);
/* Append, fold into budget and core, queue for the gateway when post. */
enum ym_code ym_trainer_record(struct ym_trainer *t, struct ym_bytes line, bool post, struct ym_status *st);

/* trainer_act.c: jobs that came back */
void ym_trainer_finish(struct ym_trainer *t, struct ym_job *job);
/* data/<dataset>.frozen */
enum ym_code ym_trainer_data_path(const struct ym_trainer *t, const char *dataset, char out[YM_SITE_PATH]);
/* data/<dataset>.people */
enum ym_code ym_trainer_people_path(const struct ym_trainer *t, const char *dataset, char out[YM_SITE_PATH]);

/* The study's next round begins from its last release, whose outbox file must stay. */
bool ym_trainer_needs_last(const struct ym_core_study *s);

/* trainer_frames.c: events of the link; ctx is the trainer */
void ym_trainer_frame(void *ctx, const struct ym_frame *f);
void ym_trainer_link_up(void *ctx);

/* trainer_admin.c */
void ym_trainer_admin(void *ctx, const struct ym_ticket *ticket, const json_t *request);
void ym_trainer_checked(struct ym_trainer *t, struct ym_job *job); /* a dry run came back */

/* trainer_enrol.c */
enum ym_code ym_trainer_enrol(struct ym_trainer *t, const json_t *request, struct ym_status *st);
void ym_trainer_enrolled(struct ym_trainer *t, struct ym_bytes payload);
/* "yumen/enrol/v1" 0x00 id spki identity_key name */
enum ym_code ym_enrol_text(const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES], const uint8_t key[YM_PUBKEY_BYTES],
                           const char *name, struct ym_buf *out);

/* trainer_watch.c: what the gateway relays of the hub's log */
enum ym_code ym_trainer_watch_open(struct ym_trainer *t, struct ym_status *st);
/* say_session: who this run is, how long its ledger is, and from where it wants the hub's log. */
void ym_trainer_session(struct ym_trainer *t);
void ym_trainer_log(struct ym_trainer *t, const struct ym_frame *f, struct ym_actions *a);
void ym_trainer_checkpoint(struct ym_trainer *t, struct ym_bytes note, struct ym_actions *a);
void ym_trainer_notice(struct ym_trainer *t, struct ym_bytes line);
/* YM_OK; YM_DENIED with what to do while ledger and log disagree. */
enum ym_code ym_trainer_not_halted(const struct ym_trainer *t, struct ym_status *st);

/* trainer_cosign.c: the checkpoint that the watch found good becomes due, when it ends a round; it is
 * cosigned when nothing has happened for a while (quiet), or it has waited 5 s */
void ym_trainer_cosign(struct ym_trainer *t);
void ym_trainer_cosign_due(struct ym_trainer *t, bool quiet);

/* trainer_recover.c: a ledger that was set back */
json_t *ym_trainer_recover_json(struct ym_trainer *t); /* new */
/* Take back what the hub's log holds of ours, on people's word. YM_DENIED, YM_INVALID say why not. */
enum ym_code ym_trainer_recover(struct ym_trainer *t, const char *reason, struct ym_status *st);

/* trainer_status.c: what yumen-site status tells, but for the studies */
json_t *ym_trainer_status_json(struct ym_trainer *t);
/* trainer_border.c: what an open, approved study waits for at the gate, a line a track that holds or refuses:
 * [{study, dataset, track, outcome, role, why}]; nothing where rule sets are not asked. */
json_t *ym_trainer_waits(struct ym_trainer *t);

/* trainer_border.c. may_cross: YM_OK, or YM_DENIED with the reasons. decide: what
 * is decided now goes into the ledger, unless the newest decision says the same. */
enum ym_code ym_trainer_may_cross(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                                  struct ym_status *st);
enum ym_code ym_trainer_decide(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                               struct ym_status *st);
/* What the plan needs of the patients of a data set, by its card and the dossier. */
enum ym_code ym_trainer_consent(const struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                                struct ym_consent_need *out, struct ym_status *st);

/* trainer_people.c: the people meter's questions */
void ym_trainer_know_cohort(struct ym_trainer *t, struct ym_job *job); /* takes job's cohort */
/* NULL: the worker thread has not looked since the start. */
const struct ym_cohort *ym_trainer_cohort(const struct ym_trainer *t, const struct ym_plan *plan, const char *dataset);
enum ym_people_bound { YM_PEOPLE_LEAST, YM_PEOPLE_MOST, YM_PEOPLE_EXACT };
/* People of this year with the plan's cohort on top, and the data set's rows. Where the cohort is not
 * known yet: the least or the most that it can be; below 0: unknown. */
struct ym_border_people ym_trainer_count(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                                         enum ym_people_bound bound);
/* trainer_us.c. Each pair of party and recipient with its names and limits; limits that so many people of these
 * categories stand before: {fact, from, ruleset, left, warn} */
json_t *ym_trainer_us_json(struct ym_trainer *t);
json_t *ym_trainer_us_limits(const struct ym_trainer *t, unsigned categories, int64_t people);
/* The meters, and with "plan" what a round of it would make of them. */
enum ym_code ym_trainer_people(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
/* trainer_withdraw.c: as above, the desk's */
enum ym_code ym_trainer_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
json_t *ym_trainer_withdraw_list(struct ym_trainer *t);
/* "people" of a request: up to 500 pseudonyms in hex, in their order; *id is the caller's to free. */
enum ym_code ym_trainer_pseudonyms(const json_t *request, uint8_t (**id)[YM_HASH_BYTES], size_t *count,
                                   struct ym_status *st);
/* trainer_infer.c: a released model is to score patients here. infer says whether it may, and with what;
 * infer_who which pseudonyms withdrew; infer_record asks again and puts it into the ledger. take: fold a leaf. */
void ym_trainer_infer_take(struct ym_trainer *t, const json_t *leaf);
enum ym_code ym_trainer_infer(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_infer_who(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_infer_record(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
/* Sign a leaf of ours and record it, unposted; takes members, NULL is out of memory. */
enum ym_code ym_trainer_record_new(struct ym_trainer *t, const char *type, json_t *members, struct ym_status *st);
/* trainer_offices.c. Record a leaf of ours that offices may have to seal; takes members, without "seals".
 * Where seals are needed it waits in pending/ and *reply says what the desk must seal; else *reply stays NULL. */
enum ym_code ym_trainer_propose(struct ym_trainer *t, const char *type, json_t *members, json_t **reply,
                                struct ym_status *st);
/* ctx is the trainer: has a leaf of the own ledger the seals that it needs, by the keys in force before it? */
bool ym_trainer_sealed(void *ctx, const json_t *leaf);
enum ym_code ym_trainer_seal(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_rotate(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
json_t *ym_trainer_offices_json(struct ym_trainer *t);
json_t *ym_trainer_pending_json(struct ym_trainer *t);
/* The desk's; *reply is new. */
enum ym_code ym_trainer_border_show(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_border_switch(struct ym_trainer *t, const json_t *request, json_t **reply,
                                      struct ym_status *st);
/* Every decision in the ledger, asked again of the sets in force today. */
enum ym_code ym_trainer_border_again(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
json_t *ym_trainer_rules_list(struct ym_trainer *t);
enum ym_code ym_trainer_rules_sign(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_rules_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply,
                                       struct ym_status *st);
json_t *ym_trainer_dossier_list(struct ym_trainer *t);
enum ym_code ym_trainer_dossier_add(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
enum ym_code ym_trainer_dossier_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply,
                                         struct ym_status *st);

/* trainer_policy.c. take: fold a leaf. allows: YM_OK, or YM_DENIED with every reason.
 * runs: and may the round be charged now? YM_EXHAUSTED: the study's epsilon; YM_UNAVAILABLE: not at this hour. */
void ym_trainer_policy_take(struct ym_trainer *t, const json_t *leaf);
enum ym_code ym_trainer_policy_allows(const struct ym_trainer *t, const struct ym_plan *plan, struct ym_status *st);
enum ym_code ym_trainer_policy_runs(const struct ym_trainer *t, const struct ym_plan *plan, uint32_t round,
                                    struct ym_status *st);
/* The hours alone, at the time that a charge will say. */
enum ym_code ym_trainer_policy_open(const struct ym_trainer *t, int64_t now, struct ym_status *st);
/* What it grants a job: nothing signed grants nobody a job, and no limit is told then. */
struct ym_limits ym_trainer_policy_limits(const struct ym_trainer *t);
/* Term by term, what the plan asks and what the policy says: new; an empty list when nothing is signed. */
json_t *ym_trainer_policy_view(const struct ym_trainer *t, const struct ym_plan *plan);
/* Adds "terms" (null: none) and "hours" in words. */
void ym_trainer_policy_terms(const struct ym_trainer *t, json_t *o);

/* trainer_plans.c: plans/ */
enum ym_code ym_trainer_keep_plan(struct ym_trainer *t, const struct ym_core_study *s, struct ym_bytes parts,
                                  struct ym_status *st);
enum ym_code ym_trainer_close_plan(struct ym_trainer *t, const struct ym_core_study *s, struct ym_bytes line,
                                   struct ym_status *st);
enum ym_code ym_trainer_load_plans(struct ym_trainer *t, struct ym_status *st);

/* trainer_object.c: objects/ */
void ym_trainer_object(struct ym_trainer *t, const struct ym_frame *f);
bool ym_trainer_have_state(struct ym_trainer *t, const uint8_t hash[YM_HASH_BYTES]);
void ym_trainer_sweep_objects(struct ym_trainer *t);
bool ym_trainer_disk_ok(const struct ym_trainer *t, uint64_t bytes);

/* ---- trainer_budget.c: new JSON values, NULL when there is nothing to say ---- */
json_t *ym_trainer_policy_json(struct ym_trainer *t);
enum ym_code ym_trainer_policy_sign(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
/* Record why an epsilon above what needs no explanation is right; nothing when it was
 * explained before. YM_INVALID: no reason that people can read. *reply as of ym_trainer_propose. */
enum ym_code ym_trainer_override(struct ym_trainer *t, const char *subject, int64_t epsilon_micro, const char *reason,
                                 json_t **reply, struct ym_status *st);
int64_t ym_trainer_plan_cost(const struct ym_plan *p, uint32_t rounds); /* at the plan's delta, over all orders */
uint32_t ym_trainer_next_round(const struct ym_core_study *s); /* 1 again when all were charged: the study is over */
/* What the study's rounds would do to a data set's budget, and how many more fit. */
json_t *ym_trainer_room_json(struct ym_trainer *t, const struct ym_core_study *s, const char *dataset);
json_t *ym_trainer_rooms_json(struct ym_trainer *t, const struct ym_core_study *s); /* of every data set */

#endif

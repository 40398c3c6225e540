#ifndef YM_TRAINER_DOOR_H
#define YM_TRAINER_DOOR_H

#include "audit/ledger/budget.h"
#include "base/program.h"
#include "gate/plan.h"
#include "worker/link.h"
#include "worker/trainer/meter.h"
#include "worker/trainer/site.h"

/* The one door. Every frame from trainer to gateway leaves through door.c; no
 * other file of the trainer calls ym_link_send (a test reads the symbols).
 *
 * Two things pass. Control: a signed leaf of a closed list of types with a
 * closed list of members, in frames of one size, nothing of which comes from
 * patients' rows. Release: check, charge leaf fsynced, train, outbox file
 * fsynced, release leaf fsynced, send. The order is in the types: room for an
 * update is given by ym_door_charge alone, as a struct ym_charged; a struct
 * ym_release, the only thing that ym_door_send takes, is made from a charged
 * one by ym_door_seal, or from the ledger and the outbox by ym_door_recover. */

#define YM_DOOR_QUEUE 4096   /* control lines that wait for the gateway */
#define YM_DOOR_RELEASES 256 /* releases that wait or are under way */

struct ym_door;
struct ym_charged; /* paid for; holds room for the update; nothing left yet */
struct ym_release; /* in the outbox and in the ledger; may leave any number of times */

struct ym_door_options {
    const struct ym_site *site;
    const struct ym_key *key;
    struct ym_ledger *ledger;
    struct ym_budget *budget;         /* folded over ledger; the door keeps it up to date */
    struct ym_meter *meter;           /* likewise */
    int64_t (*clock)(void);           /* unix seconds */
    const char *sandbox;              /* level reached, for charge leaves */
    const struct ym_program *program; /* which trainer this is, likewise */
};
/* Borrows everything; nothing is sent before ym_door_attach. */
struct ym_door *ym_door_new(const struct ym_door_options *o);
void ym_door_free(struct ym_door *d);
void ym_door_attach(struct ym_door *d, struct ym_link *link);

/* Append a line to the ledger. YM_UNCERTAIN: the process must exit. */
enum ym_code ym_door_append(struct ym_door *d, struct ym_bytes line, uint64_t *index, struct ym_status *st);

/* ---- control ---- */
/* Queue a line signed by this hospital. YM_DENIED: type or members are not on
 * the list; YM_INVALID: not ours or too long. */
enum ym_code ym_door_control(struct ym_door *d, struct ym_bytes line, struct ym_status *st);

/* ---- release ---- */
struct ym_door_request {
    const struct ym_plan *plan;
    const char *dataset;
    const uint8_t *data, *state; /* hashes */
    uint32_t round, attempt;
    size_t dim;
    int64_t now;
    int64_t until;                  /* after it nobody takes the update; a year that begins before counts too */
    const uint8_t *exporter;        /* hash of who exports */
    const struct ym_cohort *cohort; /* who is eligible */
    const uint8_t *decision;        /* hash of the decision leaf's line; NULL: rule sets are not asked */
    json_t *us;                     /* the charge's member "us" (us.h); NULL: none. Borrowed for the call */
};
/* Would rounds first..last of the plan fit the data set's budget and the plan's
 * own epsilon_max on top of all charges so far? Nothing changes. YM_EXHAUSTED: no.
 * YM_DENIED: the plan's epsilon lacks its override, or a delta is too large for the
 * data set. */
enum ym_code ym_door_fits(const struct ym_door *d, const struct ym_plan *plan, const char *dataset, uint32_t first,
                          uint32_t last, int64_t *alone_micro, int64_t *after_micro, struct ym_status *st);
/* One round now: as above, and within the policy's limit for a month. */
enum ym_code ym_door_may_charge(const struct ym_door *d, const struct ym_plan *plan, const char *dataset,
                                uint32_t round, int64_t now, int64_t *alone_micro, int64_t *after_micro,
                                struct ym_status *st);
/* Reserve the outbox file, check again, write who is counted, append the charge. On failure nothing
 * was charged, but for YM_UNCERTAIN. line: out, the charge leaf. */
enum ym_code ym_door_charge(struct ym_door *d, const struct ym_door_request *r, struct ym_charged **out,
                            struct ym_buf *line, struct ym_status *st);
int64_t *ym_charged_update(struct ym_charged *c); /* [dim], zero at first; the worker thread fills it */
void ym_charged_free(struct ym_charged **c);      /* wipes; the reserved file is removed */
/* Write and fsync the outbox file. */
enum ym_code ym_door_store(struct ym_door *d, struct ym_charged *c, struct ym_status *st);
/* Append the release leaf of a stored update; takes *c on success. YM_DENIED: a year has begun that the charge did not
 * count for. */
enum ym_code ym_door_seal(struct ym_door *d, struct ym_charged **c, int64_t now, struct ym_release **out,
                          struct ym_buf *line, struct ym_status *st);
/* After a restart: the outbox file that the two leaves of our ledger name, its
 * hash checked. YM_NOT_FOUND: gone; YM_CORRUPT: other bytes. */
enum ym_code ym_door_recover(struct ym_door *d, struct ym_bytes charge_line, struct ym_bytes release_line,
                             struct ym_release **out, struct ym_status *st);
/* Queue for sending; takes *r. In a year that its charge does not count for it does not leave. A release of the same
 * leaf that waits already is not queued twice. */
enum ym_code ym_door_send(struct ym_door *d, struct ym_release **r, struct ym_status *st);
/* Forget a release and remove its outbox file, or keep that; what is being sent stops. */
void ym_door_drop(struct ym_door *d, struct ym_bytes charge_line, bool keep);
/* Path of the outbox file of a charge. */
enum ym_code ym_door_path(const struct ym_door *d, struct ym_bytes charge_line, char out[YM_SITE_PATH]);
/* Remove outbox files that no leaf in keep names (a crash before the release
 * leaf). keep: charge lines. YM_CORRUPT: an update whose charge the ledger does
 * not know; it stays. */
enum ym_code ym_door_sweep(struct ym_door *d, const struct ym_bytes *keep, size_t count, struct ym_status *st);
void ym_release_free(struct ym_release **r);

/* ---- the socket ---- */
void ym_door_reset(struct ym_door *d);                /* a new pair: the owner queues again */
void ym_door_pump(struct ym_door *d, int64_t now_ms); /* send what the window takes */
bool ym_door_idle(const struct ym_door *d);           /* nothing waits */

#endif

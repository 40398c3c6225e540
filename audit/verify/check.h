#ifndef YM_VERIFY_CHECK_H
#define YM_VERIFY_CHECK_H

#include <time.h>

#include "audit/spend.h"
#include "audit/verify/entry.h"
#include "audit/verify/folder.h"
#include "audit/verify/map.h"
#include "audit/verify/trust.h"
#include "audit/verify/verify.h"

/* What one run of the verifier knows; the rules are functions over it. */
struct ym_vparty { /* a key and whose it is */
    char name[64], id[17];
    unsigned role; /* one of YM_BY_HUB, _HOSPITAL, _SPONSOR; 0: others */
    uint8_t pub[32];
    size_t log;    /* where it was learnt: index of the log */
    size_t entry;  /* and of the enrol leaf; 0: genesis or trust file */
    uint64_t next; /* 1 + the next one with this id; 0: none */
};

#define YM_NO_LOG SIZE_MAX

struct ym_vsettled { /* by a recover entry: what the hub's log said of this ledger before hub_size */
    uint64_t hub_size, known;
    size_t entry;
};

struct ym_vlog {
    struct ym_folder folder;
    bool hub;    /* else a hospital's */
    bool usable; /* entries fit the checkpoint; leaf 0 is the owner's genesis */
    bool have_owner;
    uint8_t owner[32];
    struct ym_vmap seen;         /* what the rules remember, by texts of their own */
    struct ym_vsettled *settled; /* [settled_count], hub_size not falling */
    size_t settled_count;
};

struct ym_vresult { /* a round_result, for recomputing */
    size_t log, entry;
    char plan[65];
};

struct ym_vcost { /* of the last charge alone: the next one is mostly the same */
    struct ym_events events;
    int64_t delta, micro; /* micro < 0: none */
    bool fresh;           /* not yet told to the other accountants */
};

struct ym_walk;

struct ym_check {
    struct ym_verification *v;
    struct ym_vlog *log; /* [v->log_count] */
    struct ym_trust trust;
    bool have_trust, certified, has_hub; /* a hub's log is among them and usable */
    const char *objects, *updates;       /* NULL: none */
    struct ym_vparty *party;
    size_t party_count;
    struct ym_vmap ids;        /* of keys: 1 + the newest party with it */
    struct ym_vresult *result; /* only with objects */
    size_t result_count;
    struct ym_vmap names; /* of v->name */
    struct ym_spend_cache *cache;
    struct ym_vcost last;
    struct ym_vmap costs; /* that all accountants were asked for */
    struct ym_pool *pool;
    const struct ym_walk *walk; /* the one under way */
    bool no_memory;
    size_t changed; /* 1 + the log whose files were changed while they were read; 0: none */
};

/* One walk through a log shows each rule every good entry, in the log's order, and then
 * the end. Hospitals' logs are walked before hubs'. begin NULL from lack of memory says so
 * in no_memory. */
struct ym_rule {
    void *(*begin)(struct ym_check *c, size_t log);
    void (*take)(void *pass, size_t i, const struct ym_entry *e);
    void (*end)(void *pass);
};
extern const struct ym_rule ym_rule_hub, ym_rule_hospital;
/* For a hub's log: held against the hospitals' own. */
extern const struct ym_rule ym_rule_between;
/* What a log says of another: its signature, and the other's tree where it is among the logs. */
extern const struct ym_rule ym_rule_seen;
/* For a hub's log: what hospitals' decisions must have counted of one another. */
extern const struct ym_rule ym_rule_exporter;
/* For a hub's log, with a trust file: the checkpoints in cosigned/ and the policy's quorum. */
extern const struct ym_rule ym_rule_cosigned;
/* For a hospital's: charges against what its rule sets decided. */
extern const struct ym_rule ym_rule_border;
/* Approvals and charges whose plan is among the objects. */
extern const struct ym_rule ym_rule_plan;
/* For a hospital's: approvals and charges against the terms of the policy in force. */
extern const struct ym_rule ym_rule_policy;
/* For a hospital's: people that charges count, and who withdrew. */
extern const struct ym_rule ym_rule_people;
/* Form, place and signature of every leaf, and these rules (NULL ends the list). Entries are
 * parsed and signatures checked by several threads; findings come in the log's order. */
void ym_check_walk(struct ym_check *c, size_t log, const struct ym_rule *const *rule);

/* Behind a recover entry: the lines that it took back. */
struct ym_vreturn {
    bool active;
    size_t entry, wanted, count;
    uint64_t hub_size;
    uint8_t digest[32], (*hash)[32];
};
bool ym_return_begin(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, struct ym_vreturn *r);
/* Entry e is one of those that come back. */
bool ym_return_take(struct ym_check *c, size_t log, const struct ym_entry *e, struct ym_vreturn *r);
void ym_return_end(struct ym_check *c, size_t log, struct ym_vreturn *r);
/* The recover that settled what the hub's log said of this hospital's ledger in that entry; NULL: none. */
const struct ym_vsettled *ym_return_settled(const struct ym_check *c, size_t log, uint64_t hub_entry);
/* A hospital's line in the hub's log: true, once, when a recover below whose hub_size it lies took it back. */
bool ym_return_found(struct ym_check *c, size_t log, size_t hub_entry, const struct ym_entry *e);

double ym_check_now_s(clockid_t clock); /* for telling how long it took */
void ym_check_find(struct ym_check *c, size_t log, int64_t entry, enum ym_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Remember in a log's map; out of memory ends the run. */
#define ym_check_keep(c, map, value, ...) ((c)->no_memory |= !ym_vmap_put((map), (value), __VA_ARGS__))
/* Entry i of a log, parsed: e, until the end or the end of the rule's take. False when it cannot be (said once, by
 * the walk). End it in either case. */
struct ym_lookup {
    const struct ym_entry *e;
    struct ym_entry own; /* e, where the walk does not hold it just now */
};
bool ym_check_entry(struct ym_check *c, size_t log, size_t i, struct ym_lookup *out);
void ym_check_entry_end(struct ym_lookup *l);
/* What the walk holds of a log just now; NULL where it does not, or where the entry is bad. */
const struct ym_entry *ym_walk_entry(const struct ym_check *c, size_t log, size_t i);
/* An approval's line stands once in a log: a second one could undo a veto that the hospital did not take back. */
void ym_check_once(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e);
/* Epsilon of one charge alone at its own delta against what it says. */
bool ym_check_round_epsilon(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e,
                            struct ym_events *events, int64_t *micro);
bool ym_check_same_events(const struct ym_events *a, const struct ym_events *b);
/* Which program made a charge or result: a change is counted. */
void ym_check_program(struct ym_check *c, size_t log, const struct ym_entry *e);
/* What a charge consists of; false when its noise is no square or a count is out of range. */
bool ym_check_events(const struct ym_entry *e, struct ym_events *events);
/* `seen` maps "h|<hash of a charge's line>" to this: where the charge is, whether it was released, and whether the hub
 * has it. */
#define YM_SEEN_CHARGE(i) (4 * (uint64_t)(i))
#define YM_SEEN_AT(value) ((size_t)((value) / 4))
#define YM_SEEN_RELEASED 1
#define YM_SEEN_POSTED 2 /* the hub's log has it too */
/* What a release owes its charge. *at: the charge's entry; false when there is none. */
bool ym_check_release(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, size_t *at);

/* A hospital's own log, by its name; YM_NO_LOG: not among them. */
size_t ym_check_hospital(const struct ym_check *c, const char *name);
/* Learn keys from trust file, genesis and enrol leaves; sets usable and owner. */
void ym_check_keys(struct ym_check *c);
/* A checkpoint of the log is signed by this key; says so when not. */
bool ym_check_note(struct ym_check *c, size_t log, const struct ym_vnote *note, const uint8_t pub[32]);
/* Older checkpoints, and second copies of a log, against the logs' trees. YM_INVALID: not a checkpoint of theirs. */
enum ym_code ym_check_older(struct ym_check *c, const char *const *path, size_t count, struct ym_status *st);
/* Whether the leaf's signer is who its type asks for, and the signature fits. Any thread. */
enum ym_signing { YM_SIGNED, YM_SIGNED_WRONG, YM_SIGNED_BY_STRANGER, YM_SIGNED_UNCHECKED };
enum ym_signing ym_check_signing(const struct ym_check *c, size_t log, size_t i, const struct ym_entry *e);

/* Offices of one hospital, as far as its log was read: rules_seals.c. */
struct ym_seal_state {
    unsigned open; /* bits of the offices that have a key */
    uint8_t key[4][32];
    bool policy;
    int64_t cap, month, delta, min_patients;
    bool terms;
    uint8_t terms_hash[32];
};
/* Whether the entry has the seals that it needs. Of one that came back (returning) no finding says so: its keys may be
 * lost; it counts for what came back alone. */
bool ym_check_seals(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, bool returning,
                    struct ym_seal_state *s);

struct ym_plan;
/* A plan of the objects folder, by its hash; NULL where it is not there, or no plan. The caller frees it. */
struct ym_plan *ym_check_plan(const struct ym_check *c, const char *hash);
void ym_check_states(struct ym_check *c);
/* A result's sum, decoded, against the updates of its survivors, as far as they were given. */
struct ym_model;
void ym_check_updates(struct ym_check *c, const struct ym_vresult *r, const struct ym_entry *e,
                      const struct ym_plan *plan, const struct ym_model *model, const int64_t *sum);
/* Three accountants on these charges: false and a finding when they contradict one another. f: NAN without figures. */
bool ym_check_figures(struct ym_check *c, size_t log, size_t i, const struct ym_event *e, size_t count, int64_t delta,
                      struct ym_figures *f);

#endif

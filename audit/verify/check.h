#ifndef YM_VERIFY_CHECK_H
#define YM_VERIFY_CHECK_H

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
    size_t log;   /* where it was learnt: index of the log */
    size_t entry; /* and of the enrol leaf; 0: genesis or trust file */
};

#define YM_NO_LOG SIZE_MAX

struct ym_vlog {
    struct ym_folder folder;
    bool hub;    /* else a hospital's */
    bool usable; /* entries fit the checkpoint; leaf 0 is the owner's genesis */
    bool have_owner;
    uint8_t owner[32];
    struct ym_vmap seen; /* what the rules remember, by texts of their own */
};

struct ym_vresult { /* a round_result, for recomputing */
    size_t log, entry;
    char plan[65];
};

struct ym_check {
    struct ym_verification *v;
    struct ym_vlog *log; /* [v->log_count] */
    struct ym_trust trust;
    bool have_trust, certified;
    struct ym_vparty *party;
    size_t party_count;
    struct ym_vresult *result;
    size_t result_count;
    struct ym_spend_cache *cache;
    bool no_memory;
};

void ym_check_find(struct ym_check *c, size_t log, int64_t entry, enum ym_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Remember in a log's map; out of memory ends the run. */
#define ym_check_keep(c, map, value, ...) ((c)->no_memory |= !ym_vmap_put((map), (value), __VA_ARGS__))
/* Parse entry i of a log; false when it cannot be (said once, by the rules' pass). */
bool ym_check_entry(const struct ym_check *c, size_t log, size_t i, struct ym_entry *e);
/* visit(ctx, i, e) for every entry of a log that can be read, in its order; ends early when memory does. */
void ym_check_entries(const struct ym_check *c, size_t log,
                      void (*visit)(void *ctx, size_t i, const struct ym_entry *e), void *ctx);
/* Hex of the SHA-256 of an entry's line: how other leaves name it. */
void ym_check_line_hash(const struct ym_entry *e, char out[65]);
/* Epsilon of one charge alone at its own delta against what it says. */
bool ym_check_round_epsilon(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e,
                            struct ym_events *events, int64_t *micro);
/* What a charge consists of; false when its noise is no square or a count is out of range. */
bool ym_check_events(const struct ym_entry *e, struct ym_events *events);
/* What a release owes its charge; the charge's key in `seen` is "h|<hash>". */
void ym_check_release(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e);

/* Learn keys from trust file, genesis and enrol leaves; sets usable and owner. */
void ym_check_keys(struct ym_check *c);
/* The leaf's signer is who its type asks for, and the signature fits. */
void ym_check_signer(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e);

void ym_rules_hub(struct ym_check *c, size_t log);
void ym_rules_hospital(struct ym_check *c, size_t log);
void ym_rules_between(struct ym_check *c);
/* Approvals and charges whose plan is among the objects. */
void ym_rules_plan(struct ym_check *c, const char *objects);
enum ym_code ym_rules_recompute(struct ym_check *c, const char *objects, struct ym_status *st);

#endif

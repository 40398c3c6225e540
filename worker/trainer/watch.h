#ifndef YM_TRAINER_WATCH_H
#define YM_TRAINER_WATCH_H

#include "audit/ledger/ledger.h"
#include "worker/trainer/site.h"

/* What this hospital has seen of the hub's log, and whether its own ledger still
 * holds all that others know of it. The gateway relays every entry of that log
 * and the hub's signed checkpoint; both are foreign here. All entries are put
 * into a tree whose root must be the checkpoint's: so the log can neither leave
 * out nor forge a charge of this hospital (they are its own signed lines) without
 * showing another tree than it showed to others.
 *
 * A ledger restored from an older copy, and a second worker with a copy of the
 * folder, lack entries that the hub's log holds: then nothing is charged until
 * people have looked (yumen-site recover). What the ledger holds beyond the hub's
 * log is normal: a crash before sending. Pure but for its cache file; one thread. */

enum ym_watch_state {
    YM_WATCH_BLIND,         /* nothing was compared since the start */
    YM_WATCH_GOOD,          /* up to the newest checkpoint that came */
    YM_WATCH_HUB_BEHIND,    /* the hub's log is shorter than it was */
    YM_WATCH_HUB_DIFFERS,   /* it does not continue what was seen, or holds a forged line of ours */
    YM_WATCH_LEDGER_BEHIND, /* others hold entries of ours that the own ledger lacks */
    YM_WATCH_LEDGER_FORKED, /* the own ledger is another one than others saw */
};
const char *ym_watch_word(enum ym_watch_state s); /* "blind", "good", "hub_behind" ... */

#define YM_WATCH_MISSING 4096 /* lines kept of those that are missing: one append takes them back */
#define YM_WATCH_OPENED 4096  /* studies with an open round that asks this hospital */

struct ym_watch;
/* ledger, site and trust (NULL: not enrolled) are borrowed for life. Reads the
 * cache site/hub.seen; what is not there or does not fit is read again from the hub. */
struct ym_watch *ym_watch_new(const struct ym_site *site, const struct ym_key *key, struct ym_ledger *ledger);
void ym_watch_free(struct ym_watch *w); /* writes the cache when all is good */
void ym_watch_trust(struct ym_watch *w, const struct ym_trust *trust);

uint64_t ym_watch_next(const struct ym_watch *w); /* index of the hub's entry that is wanted next */
/* count entries from index first, as in an entry bundle. Entries that were seen
 * are skipped; YM_INVALID for a gap. */
enum ym_code ym_watch_entries(struct ym_watch *w, uint64_t first, uint64_t count, struct ym_bytes bundle,
                              struct ym_status *st);
/* The hub's checkpoint over all entries given. YM_OK: compared, the state is GOOD or
 * one of LEDGER_*. YM_CORRUPT, YM_CONFLICT: HUB_*, and what was given since the last
 * good one is forgotten. */
enum ym_code ym_watch_checkpoint(struct ym_watch *w, struct ym_bytes note, struct ym_status *st);

enum ym_watch_state ym_watch_state(const struct ym_watch *w);
bool ym_watch_halted(const struct ym_watch *w); /* neither blind nor good */
/* This attempt's round_open, or a later one of the study, is under a checkpoint that was compared. */
bool ym_watch_opened(const struct ym_watch *w, const char *study, uint32_t round, uint32_t attempt);
struct ym_bytes ym_watch_note(const struct ym_watch *w); /* the newest good checkpoint; empty: none */
/* Its size and root; 0 and the empty tree's before the first. */
uint64_t ym_watch_size(const struct ym_watch *w);
void ym_watch_root(const struct ym_watch *w, uint8_t root[YM_HASH_BYTES]);

/* The last entry under it is a round_result: the checkpoint that all hospitals cosign. */
bool ym_watch_ends_round(const struct ym_watch *w);

/* People whom other hospitals counted: what the charges under that checkpoint say, the most a
 * hospital said for an exporter and year. Their signatures are the hub's and the auditor's to
 * check; a line made up by the hub can add people here, and take none away. */
#define YM_WATCH_EXPORTED 4096 /* hospital, exporter and year */
struct ym_exported {
    char by[64]; /* the hospital */
    uint8_t exporter[YM_HASH_BYTES];
    int64_t year, people; /* in hundreds, rounded up */
};
/* False: not all are known: a charge that cannot be read, more than can be kept, or a log that is
 * not to be believed. */
bool ym_watch_others(const struct ym_watch *w, void (*visit)(void *ctx, const struct ym_exported *e), void *ctx);
/* What the own ledger says of this hub's log: its newest checkpoint_seen, written before it
 * was cosigned; size 0: none. A log that holds another tree there is HUB_DIFFERS, a
 * checkpoint that is smaller HUB_BEHIND, whatever the cache says. */
struct ym_watch_memory {
    uint64_t size;
    uint8_t root[YM_HASH_BYTES];
    int64_t time; /* of the entry */
};
const struct ym_watch_memory *ym_watch_memory(const struct ym_watch *w);
void ym_watch_remember(struct ym_watch *w, struct ym_bytes line); /* an entry that was just written */
const char *ym_watch_hub_origin(const struct ym_watch *w);

/* What is missing: own lines in the order of the hub's log, each with our signature
 * checked. more: how many were not kept. known: the largest size of the own ledger
 * that anybody claims. */
size_t ym_watch_missing(const struct ym_watch *w);
struct ym_bytes ym_watch_missing_at(const struct ym_watch *w, size_t i);
struct ym_watch_claim {
    uint64_t more, known;
};
void ym_watch_claim(const struct ym_watch *w, struct ym_watch_claim *out);
/* People decided: the ledger as it now is, with its recover leaf, is what counts. */
void ym_watch_recovered(struct ym_watch *w);

#endif

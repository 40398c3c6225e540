#ifndef YM_TRAINER_WATCH_INTERNAL_H
#define YM_TRAINER_WATCH_INTERNAL_H

#include "audit/ledger/tree.h"
#include "worker/trainer/watch.h"

#define YM_WATCH_KEEP_EVERY 256 /* entries between two writings of the cache */

struct ym_opened { /* the newest round_open of a study that asks this hospital */
    char study[64];
    uint32_t round, attempt;
};

struct ym_view { /* what a prefix of the hub's log says */
    struct ym_tree tree;
    struct ym_opened *opened;
    size_t opened_count;
    struct ym_buf *missing;
    size_t missing_count;
    uint64_t more, known; /* missing lines that were not kept; largest size of our ledger that is claimed */
    struct ym_exported *exported;
    size_t exported_count;
    bool people_unknown;
    bool forked, forged;
    bool ends_round; /* the last entry is a round_result */
};

struct ym_watch {
    struct ym_ledger *ledger;
    uint8_t pub[YM_PUBKEY_BYTES];
    char name[64], key_member[32], own_origin[128], path[YM_SITE_PATH];
    bool trusted;
    uint8_t hub_key[YM_PUBKEY_BYTES];
    char hub_origin[128];
    struct ym_watch_memory memory;
    struct ym_view checked, next; /* under a compared checkpoint; with what came since */
    struct ym_buf note;
    struct ym_tree own;  /* of the own ledger, at some size */
    uint64_t settled;    /* size of the hub's log that people have compared (recover) */
    uint64_t remembered; /* size of the own ledger as the cache has it */
    uint64_t kept_size;  /* of the hub's log, in the cache */
    uint64_t ended;      /* newest round's end that was compared */
    enum ym_watch_state state;
};

void ym_view_release(struct ym_view *v);
enum ym_code ym_view_open(struct ym_view *v, const struct ym_opened *o);

/* watch_exported.c */
enum ym_code ym_view_export(struct ym_view *v, const struct ym_exported *e); /* the larger counts */
/* A charge of the hub's log that is not this hospital's own. YM_EXHAUSTED: no memory. */
enum ym_code ym_view_charge(struct ym_view *v, const json_t *charge);

/* watch_file.c: site/hub.seen. A file of another hub, another version or with a
 * changed byte is as none; one that knows a longer or another own ledger tells of a
 * ledger that was set back. */
void ym_watch_keep(struct ym_watch *w); /* a failure only costs reading again */
void ym_watch_load(struct ym_watch *w);

#endif

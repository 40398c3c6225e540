#ifndef YM_AUDIT_LEDGER_INTERNAL_H
#define YM_AUDIT_LEDGER_INTERNAL_H

#include "audit/ledger/bundle.h"
#include "audit/ledger/checkpoint.h"
#include "audit/ledger/journal.h"
#include "audit/ledger/ledger.h"
#include "audit/ledger/stage.h"
#include "audit/ledger/tree.h"

#define YM_BUNDLE_MAX (YM_BUNDLE_LEAVES * (2 + YM_LEAF_MAX))
#define YM_APPEND_MAX 4096                                       /* leaves in one append */
#define YM_APPEND_BUNDLES (YM_APPEND_MAX / YM_BUNDLE_LEAVES + 1) /* bundles it can touch */

struct ym_ledger {
    char dir[4096], origin[256];
    int root;                 /* the folder */
    int lock;                 /* -1: a mirror */
    const struct ym_key *key; /* NULL: a mirror */
    uint8_t pub[YM_PUBKEY_BYTES];
    bool broken; /* an outcome is unknown: no more appends */
    bool loaded;
    struct ym_journal journal;
    struct ym_tree *tree;
    struct ym_buf bundle; /* the partial bundle's bytes */
    struct ym_buf note;   /* the checkpoint as stored */
    /* leaf hashes by index, and an open-addressing table of index + 1 */
    uint8_t (*leaf_hash)[YM_HASH_BYTES];
    size_t leaf_cap;
    uint64_t *slot;
    size_t slot_count; /* a power of two */
};

/* One file of an append: a bundle or a tile, bytes owned. */
struct ym_pending {
    char path[YM_TILE_PATH];
    struct ym_buf bytes;
};

struct ym_pending_list {
    struct ym_pending *item;
    size_t count, cap;
    bool failed; /* out of memory */
};

void ym_pending_add(struct ym_pending_list *p, const char *path, const void *data, size_t len);
void ym_pending_release(struct ym_pending_list *p);
/* Adds the partial tile of every level that changed since old_size. */
void ym_pending_tiles(struct ym_pending_list *p, const struct ym_tree *t, uint64_t old_size);
/* ym_tile_fn over a ym_pending_list. */
void ym_pending_full_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[YM_HASH_BYTES]);

enum ym_code ym_ledger_reserve(struct ym_ledger *l, uint64_t size, struct ym_status *st);
void ym_ledger_remember(struct ym_ledger *l, uint64_t index, const uint8_t hash[YM_HASH_BYTES]);
/* A file below the ledger folder. */
enum ym_code ym_ledger_read(const struct ym_ledger *l, const char *path, size_t limit, struct ym_buf *out,
                            struct ym_status *st);
/* Remove what a crash left: replaced partial files, and bundles past the end. */
enum ym_code ym_ledger_sweep(struct ym_ledger *l, struct ym_status *st);
/* Make the partial files and the checkpoint durable by themselves. */
enum ym_code ym_ledger_settle(struct ym_ledger *l, struct ym_status *st);
/* Read and check everything, finish what a crash interrupted. */
enum ym_code ym_ledger_load(struct ym_ledger *l, struct ym_status *st);

/* A new object with its folder opened and locked; close it on failure too. */
enum ym_code ym_ledger_prepare(const char *dir, const char *origin, struct ym_ledger **out, struct ym_status *st);

struct ym_promise { /* another party's checkpoint */
    uint64_t size;
    uint8_t root[YM_HASH_BYTES];
    struct ym_bytes note; /* empty: there is more to come, leave the checkpoint as it is */
};
/* Write leaves, tiles and checkpoint: our own, or, for a mirror, the promised one if it fits. */
enum ym_code ym_ledger_extend(struct ym_ledger *l, const struct ym_bytes *leaf, size_t count,
                              const struct ym_promise *promise, struct ym_status *st);

#endif

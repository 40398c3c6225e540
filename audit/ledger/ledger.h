#ifndef YM_AUDIT_LEDGER_H
#define YM_AUDIT_LEDGER_H

#include <jansson.h>
#include <stdint.h>

#include "base/crypto.h"

/* A transparency log on disk (C2SP tlog-tiles, docs/formats.md "Ledger") and,
 * at a hospital, its journal: a leaf is durable when append returns.
 *   <dir>/tile/entries/...   entry bundles, u16 big-endian length prefixed
 *   <dir>/tile/0/... 1/...   hash tiles
 *   <dir>/checkpoint         signed note: origin, size, root, signature
 *   <dir>/journal           the entries of the last bundle, until it is full or closed
 * Durable by one fdatasync of the journal; the files follow in the order bundle,
 * tiles, checkpoint, synced when a bundle is full and at close;
 * temporaries live in <dir>/tmp. At most 4096 leaves an append.
 * At open: entries past the checkpoint are taken in (a crash between), fewer
 * entries than the checkpoint says, a root that differs or a leaf that does not
 * parse is YM_CORRUPT: full stop, nothing is changed. Not thread-safe. */
struct ym_ledger;

#define YM_LEAF_MAX 65535

/* origin: checkpoint line 1 and key name. key is borrowed for life. */
enum ym_code ym_ledger_open(const char *dir, const char *origin, const struct ym_key *key, struct ym_ledger **out,
                            struct ym_status *st);
void ym_ledger_close(struct ym_ledger **l);

/* Append ready-made leaf lines (another party's, verified by the caller). All
 * or none, across a crash too; durable and under a signed checkpoint on return.
 * YM_EXHAUSTED: disk full, nothing changed. YM_UNCERTAIN when
 * the disk failed in a way that leaves the outcome open: the process must exit. */
enum ym_code ym_ledger_append(struct ym_ledger *l, const struct ym_bytes *leaf, size_t count, uint64_t *first_index,
                              struct ym_status *st);
uint64_t ym_ledger_size(const struct ym_ledger *l);
void ym_ledger_root(const struct ym_ledger *l, uint8_t root[32]);
void ym_ledger_leaf_hash(const struct ym_ledger *l, uint64_t index, uint8_t out[32]); /* index < size */
/* Visit leaves from index on; fn returns false to stop. Bytes are borrowed. */
enum ym_code ym_ledger_each(struct ym_ledger *l, uint64_t from,
                            bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                            struct ym_status *st);
/* Index of the leaf with these exact bytes (by SHA-256): idempotent appends. YM_NOT_FOUND. */
enum ym_code ym_ledger_find(struct ym_ledger *l, struct ym_bytes leaf, uint64_t *index);
/* The checkpoint text as stored. */
enum ym_code ym_ledger_checkpoint(const struct ym_ledger *l, struct ym_buf *out, struct ym_status *st);

/* Keep a copy of another party's log: all its leaves and its checkpoint, which
 * must be signed by pub and cover exactly these leaves. Extends what dir holds.
 * YM_CONFLICT when the log shrank or differs from the copy (a split view);
 * YM_CORRUPT when checkpoint and leaves do not fit. */
enum ym_code ym_ledger_mirror(const char *dir, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                              const struct ym_bytes *leaf, size_t count, struct ym_bytes checkpoint,
                              struct ym_status *st);

#endif

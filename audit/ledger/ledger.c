#include "audit/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger_internal.h"
#include "base/fs.h"

static uint64_t slot_of(const struct ym_ledger *l, const uint8_t hash[YM_HASH_BYTES])
{
    uint64_t key;

    memcpy(&key, hash, sizeof(key));
    return key & (l->slot_count - 1);
}

static void insert(struct ym_ledger *l, uint64_t index)
{
    uint64_t s = slot_of(l, l->leaf_hash[index]);

    while (l->slot[s] != 0)
        s = (s + 1) & (l->slot_count - 1);
    l->slot[s] = index + 1;
}

static bool grow_slots(struct ym_ledger *l, size_t leaves)
{
    size_t count = l->slot_count ? l->slot_count : 1024;
    uint64_t *slot;

    while (count < 2 * leaves)
        count *= 2;
    if (count == l->slot_count)
        return true;
    slot = calloc(count, sizeof(*slot));
    if (!slot)
        return false;
    free(l->slot);
    l->slot = slot;
    l->slot_count = count;
    for (uint64_t i = 0; i < l->tree->size; i++)
        insert(l, i);
    return true;
}

enum ym_code ym_ledger_reserve(struct ym_ledger *l, uint64_t size, struct ym_status *st)
{
    if (size > l->leaf_cap) {
        size_t cap = l->leaf_cap ? l->leaf_cap : 1024;
        void *hash;

        while (cap < size)
            cap *= 2;
        hash = realloc(l->leaf_hash, cap * sizeof(*l->leaf_hash));
        if (!hash)
            return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
        l->leaf_hash = hash;
        l->leaf_cap = cap;
    }
    if (!grow_slots(l, l->leaf_cap))
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    return YM_OK;
}

void ym_ledger_remember(struct ym_ledger *l, uint64_t index, const uint8_t hash[YM_HASH_BYTES])
{
    memcpy(l->leaf_hash[index], hash, YM_HASH_BYTES);
    insert(l, index);
}

enum ym_code ym_ledger_prepare(const char *dir, const char *origin, struct ym_ledger **out, struct ym_status *st)
{
    struct ym_ledger *l = calloc(1, sizeof(*l));
    enum ym_code code;

    if (!l || !(l->tree = calloc(1, sizeof(*l->tree)))) {
        free(l);
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    }
    l->root = l->lock = l->journal.fd = -1;
    *out = l;
    if (strlen(dir) >= sizeof(l->dir) || strlen(origin) >= sizeof(l->origin) || origin[0] == '\0' ||
        strpbrk(origin, "\n +"))
        return ym_status_set(st, YM_INVALID, "ledger '%.200s': the folder or the origin '%.200s' cannot be used", dir,
                             origin);
    snprintf(l->dir, sizeof(l->dir), "%s", dir);
    snprintf(l->origin, sizeof(l->origin), "%s", origin);
    code = ym_fs_mkdirs(dir, 0755, st);
    if (code != YM_OK)
        return code;
    l->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open ledger '%s': %s", dir, strerror(errno));
    l->journal.root = l->root;
    return ym_fs_lock(dir, &l->lock, st);
}

enum ym_code ym_ledger_open(const char *dir, const char *origin, const struct ym_key *key, struct ym_ledger **out,
                            struct ym_status *st)
{
    struct ym_ledger *l = NULL;
    enum ym_code code = ym_ledger_prepare(dir, origin, &l, st);

    if (code == YM_OK) {
        l->key = key;
        ym_key_public(key, l->pub);
        code = ym_ledger_load(l, st);
        l->loaded = code == YM_OK;
    }
    if (code != YM_OK) {
        ym_ledger_close(&l);
        return ym_status_wrap(st, code, "ledger '%s'", dir);
    }
    *out = l;
    return YM_OK;
}

/* Partial files as they stand in memory: on disk they may be younger than the last fsync. */
enum ym_code ym_ledger_settle(struct ym_ledger *l, struct ym_status *st)
{
    struct ym_stage stage = {.root = l->root};
    size_t width = ym_tree_width(l->tree, 0);
    char path[YM_TILE_PATH];
    enum ym_code code = YM_OK;

    if (width > 0) {
        ym_tile_path(path, -1, ym_tree_tile(l->tree, 0), width);
        code = ym_stage_put(&stage, path, ym_buf_bytes(&l->bundle), st);
        ym_tile_path(path, 0, ym_tree_tile(l->tree, 0), width);
        if (code == YM_OK)
            code = ym_stage_put(&stage, path, (struct ym_bytes){l->tree->edge[0][0], width * YM_HASH_BYTES}, st);
    }
    if (code == YM_OK)
        code = ym_stage_put(&stage, "checkpoint", ym_buf_bytes(&l->note), st);
    if (code == YM_OK)
        code = ym_stage_commit(&stage, 0, st);
    ym_stage_release(&stage);
    return code;
}

/* A ledger that was closed needs no journal, and all its files are checked at the next open. */
static void end_journal(struct ym_ledger *l)
{
    bool written = l->journal.fd >= 0;

    if (l->root < 0 || !l->key || !l->loaded || l->broken)
        goto out;
    if (!written || ym_ledger_settle(l, NULL) == YM_OK)
        ym_journal_remove(&l->journal);
out:
    if (l->journal.fd >= 0)
        close(l->journal.fd);
}

void ym_ledger_close(struct ym_ledger **ledger)
{
    struct ym_ledger *l = *ledger;

    if (!l)
        return;
    *ledger = NULL;
    end_journal(l);
    if (l->root >= 0)
        close(l->root);
    if (l->lock >= 0)
        ym_fs_unlock(&l->lock);
    ym_buf_release(&l->bundle);
    ym_buf_release(&l->note);
    free(l->leaf_hash);
    free(l->slot);
    free(l->tree);
    free(l);
}

/* What an append makes before anything on disk changes. */
struct build {
    struct ym_tree *tree;
    struct ym_buf bundle, note;
    struct ym_pending_list bundles, tiles;
};

static void build_release(struct build *b)
{
    free(b->tree);
    ym_buf_release(&b->bundle);
    ym_buf_release(&b->note);
    ym_pending_release(&b->bundles);
    ym_pending_release(&b->tiles);
}

static void close_bundle(struct build *b, uint64_t index, size_t width)
{
    char path[YM_TILE_PATH];

    ym_tile_path(path, -1, index, width);
    ym_pending_add(&b->bundles, path, b->bundle.data, b->bundle.len);
}

static bool build_leaf(struct ym_ledger *l, struct build *b, struct ym_bytes leaf)
{
    uint8_t head[2] = {(uint8_t)(leaf.len >> 8), (uint8_t)leaf.len};
    uint8_t *hash = l->leaf_hash[b->tree->size];

    if (ym_buf_append(&b->bundle, head, 2) != YM_OK || ym_buf_append(&b->bundle, leaf.data, leaf.len) != YM_OK)
        return false;
    ym_tree_leaf_hash(leaf, hash);
    ym_tree_push(b->tree, hash, ym_pending_full_tile, &b->tiles);
    if (b->tree->size % YM_BUNDLE_LEAVES == 0) {
        close_bundle(b, b->tree->size / YM_BUNDLE_LEAVES - 1, YM_TILE_HASHES);
        ym_buf_clear(&b->bundle);
    }
    return true;
}

static enum ym_code build(struct ym_ledger *l, const struct ym_bytes *leaf, size_t count, struct build *b,
                          struct ym_status *st)
{
    bool good = ym_buf_append(&b->bundle, l->bundle.data, l->bundle.len) == YM_OK;

    b->tree = malloc(sizeof(*b->tree));
    good = good && b->tree;
    if (good)
        *b->tree = *l->tree;
    for (size_t i = 0; good && i < count; i++)
        good = build_leaf(l, b, leaf[i]);
    if (good && b->bundle.len > 0)
        close_bundle(b, b->tree->size / YM_BUNDLE_LEAVES, b->tree->size % YM_BUNDLE_LEAVES);
    if (good)
        ym_pending_tiles(&b->tiles, b->tree, l->tree->size);
    if (!good || b->bundles.failed || b->tiles.failed)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    return YM_OK;
}

static enum ym_code put(struct ym_stage *s, const struct ym_pending *p, struct ym_status *st)
{
    return ym_stage_put(s, p->path, (struct ym_bytes){p->bytes.data, p->bytes.len}, st);
}

static enum ym_code journal_build(struct ym_ledger *l, const struct build *b, struct ym_status *st)
{
    size_t from = l->journal.at > 0 ? l->bundle.len : 0; /* a first record holds all of the bundle */
    uint64_t first = from > 0 ? l->tree->size : l->tree->size / YM_BUNDLE_LEAVES * YM_BUNDLE_LEAVES;
    struct ym_journal_record r = {first,
                                  (uint32_t)(b->tree->size - first),
                                  {b->note.data, b->note.len},
                                  {b->bundle.data + from, b->bundle.len - from}};

    return ym_journal_append(&l->journal, &r, st);
}

/* Later bundles come first, so that the rename of the bundle that continues the
 * present one decides whether all of the append is there or none of it. A mirror
 * is rewritten whole after a failure instead. */
static enum ym_code write_build(struct ym_ledger *l, struct build *b, bool lazy, struct ym_status *st)
{
    struct ym_stage stage = {.root = l->root, .lazy = lazy};
    size_t n = b->bundles.count;
    enum ym_code code = lazy ? ym_journal_begin(&l->journal, st) : YM_OK;

    for (size_t i = 0; code == YM_OK && i < n; i++)
        code = put(&stage, &b->bundles.item[l->key ? n - 1 - i : i], st);
    for (size_t i = 0; code == YM_OK && i < b->tiles.count; i++)
        code = put(&stage, &b->tiles.item[i], st);
    if (code == YM_OK && b->note.len > 0)
        code = ym_stage_put(&stage, "checkpoint", (struct ym_bytes){b->note.data, b->note.len}, st);
    if (code == YM_OK && lazy)
        code = journal_build(l, b, st);
    if (code == YM_OK)
        code = ym_stage_commit(&stage, l->key ? n - 1 : 0, st);
    if (code == YM_OK && !lazy)
        ym_journal_restart(&l->journal);
    ym_stage_release(&stage);
    return code;
}

/* The partial files that the append replaced; spare, so no error matters. */
static void remove_replaced(const struct ym_ledger *l, const struct ym_tree *old, const struct ym_tree *now)
{
    char path[YM_TILE_PATH];

    for (int level = -1; level < YM_TILE_LEVELS - 1; level++) {
        unsigned height = level < 0 ? 0 : (unsigned)level;
        uint64_t index = ym_tree_tile(old, height);
        size_t width = ym_tree_width(old, height);

        if (width == 0 || old->size >> (8 * height) == now->size >> (8 * height))
            continue;
        ym_tile_path(path, level, index, width);
        unlinkat(l->root, path, 0);
        if (index == ym_tree_tile(now, height))
            continue;
        ym_tile_path(path, level, index, 0);
        unlinkat(l->root, path, AT_REMOVEDIR);
    }
}

static void adopt(struct ym_ledger *l, struct build *b)
{
    struct ym_tree *old = l->tree;
    struct ym_buf swap = l->bundle;

    remove_replaced(l, old, b->tree);
    for (uint64_t i = old->size; i < b->tree->size; i++)
        insert(l, i);
    l->tree = b->tree;
    b->tree = old;
    l->bundle = b->bundle;
    b->bundle = swap;
    swap = l->note;
    l->note = b->note;
    b->note = swap;
}

static enum ym_code check_leaves(const struct ym_bytes *leaf, size_t count, struct ym_status *st)
{
    for (size_t i = 0; i < count; i++) {
        json_t *parsed = NULL;
        enum ym_code code = ym_leaf_parse(leaf[i], &parsed, st);

        if (code != YM_OK)
            return ym_status_wrap(st, code, "leaf %zu of %zu", i + 1, count);
        json_decref(parsed);
    }
    return YM_OK;
}

static enum ym_code check_promise(const struct ym_tree *tree, const struct ym_promise *p, struct ym_status *st)
{
    uint8_t root[YM_HASH_BYTES];

    ym_tree_root(tree, root);
    if (tree->size != p->size || memcmp(root, p->root, sizeof(root)) != 0)
        return ym_status_set(st, YM_CORRUPT, "the entries do not give the size and root of the checkpoint");
    return YM_OK;
}

static enum ym_code make_note(const struct ym_ledger *l, struct build *b, struct ym_status *st)
{
    uint8_t root[YM_HASH_BYTES];

    ym_tree_root(b->tree, root);
    if (ym_checkpoint_format(l->origin, b->tree->size, root, l->key, &b->note) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    return YM_OK;
}

enum ym_code ym_ledger_extend(struct ym_ledger *l, const struct ym_bytes *leaf, size_t count,
                              const struct ym_promise *promise, struct ym_status *st)
{
    struct build b = {0};
    enum ym_code code = ym_ledger_reserve(l, l->tree->size + count, st);

    if (code == YM_OK)
        code = build(l, leaf, count, &b, st);
    if (code == YM_OK && promise && promise->note.len > 0)
        code = check_promise(b.tree, promise, st);
    if (code == YM_OK)
        code = promise ? ym_buf_append(&b.note, promise->note.data, promise->note.len) : make_note(l, &b, st);
    if (code == YM_OK)
        code = write_build(l, &b, l->key && l->tree->size / YM_BUNDLE_LEAVES == b.tree->size / YM_BUNDLE_LEAVES, st);
    if (code == YM_OK)
        adopt(l, &b);
    build_release(&b);
    l->broken = code == YM_UNCERTAIN;
    return code;
}

enum ym_code ym_ledger_append(struct ym_ledger *l, const struct ym_bytes *leaf, size_t count, uint64_t *first_index,
                              struct ym_status *st)
{
    uint64_t first = l->tree->size;
    enum ym_code code = YM_OK;

    if (l->broken)
        return ym_status_set(st, YM_UNCERTAIN, "ledger '%s': an earlier write has an unknown outcome; start again",
                             l->dir);
    if (!l->key || count > YM_APPEND_MAX)
        return ym_status_set(st, YM_INVALID, "ledger '%s': cannot append %zu leaves at once", l->dir, count);
    if (count > 0)
        code = check_leaves(leaf, count, st);
    if (code == YM_OK && count > 0)
        code = ym_ledger_extend(l, leaf, count, NULL, st);
    if (code != YM_OK)
        return ym_status_wrap(st, code, "ledger '%s'", l->dir);
    if (first_index)
        *first_index = first;
    return YM_OK;
}

uint64_t ym_ledger_size(const struct ym_ledger *l)
{
    return l->tree->size;
}

void ym_ledger_root(const struct ym_ledger *l, uint8_t root[32])
{
    ym_tree_root(l->tree, root);
}

void ym_ledger_leaf_hash(const struct ym_ledger *l, uint64_t index, uint8_t out[32])
{
    YM_ASSERT(index < l->tree->size);
    memcpy(out, l->leaf_hash[index], YM_HASH_BYTES);
}

struct visit {
    uint64_t base, from;
    bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf);
    void *ctx;
    bool stopped;
};

static enum ym_code visit_leaf(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    struct visit *v = ctx;

    (void)st;
    if (!v->stopped && v->base + i >= v->from)
        v->stopped = !v->fn(v->ctx, v->base + i, leaf);
    return YM_OK;
}

static enum ym_code visit_bundle(struct ym_ledger *l, struct visit *v, struct ym_status *st)
{
    uint64_t b = v->base / YM_BUNDLE_LEAVES;
    struct ym_buf bytes = {0};
    char path[YM_TILE_PATH];
    enum ym_code code;

    if (b == l->tree->size / YM_BUNDLE_LEAVES)
        return ym_bundle_each((struct ym_bytes){l->bundle.data, l->bundle.len}, l->tree->size % YM_BUNDLE_LEAVES,
                              visit_leaf, v, st);
    ym_tile_path(path, -1, b, YM_TILE_HASHES);
    code = ym_ledger_read(l, path, YM_BUNDLE_MAX, &bytes, st);
    if (code == YM_OK)
        code = ym_bundle_each((struct ym_bytes){bytes.data, bytes.len}, YM_BUNDLE_LEAVES, visit_leaf, v, st);
    ym_buf_release(&bytes);
    return code;
}

enum ym_code ym_ledger_each(struct ym_ledger *l, uint64_t from,
                            bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                            struct ym_status *st)
{
    struct visit v = {.from = from, .fn = fn, .ctx = ctx};

    for (uint64_t b = from / YM_BUNDLE_LEAVES; b * YM_BUNDLE_LEAVES < l->tree->size && !v.stopped; b++) {
        enum ym_code code;

        v.base = b * YM_BUNDLE_LEAVES;
        code = visit_bundle(l, &v, st);
        if (code != YM_OK)
            return ym_status_wrap(st, code, "ledger '%s', bundle %" PRIu64, l->dir, b);
    }
    return YM_OK;
}

static enum ym_code find_hash(const struct ym_ledger *l, const uint8_t hash[YM_HASH_BYTES], uint64_t *index)
{
    if (l->slot_count == 0)
        return YM_NOT_FOUND;
    for (uint64_t s = slot_of(l, hash); l->slot[s] != 0; s = (s + 1) & (l->slot_count - 1)) {
        uint64_t i = l->slot[s] - 1;

        if (memcmp(l->leaf_hash[i], hash, YM_HASH_BYTES) != 0)
            continue;
        *index = i;
        return YM_OK;
    }
    return YM_NOT_FOUND;
}

enum ym_code ym_ledger_find(struct ym_ledger *l, struct ym_bytes leaf, uint64_t *index)
{
    uint8_t hash[YM_HASH_BYTES];

    ym_tree_leaf_hash(leaf, hash);
    return find_hash(l, hash, index);
}

enum ym_code ym_ledger_checkpoint(const struct ym_ledger *l, struct ym_buf *out, struct ym_status *st)
{
    if (ym_buf_append(out, l->note.data, l->note.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    return YM_OK;
}

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger_internal.h"
#include "base/fs.h"

enum ym_code ym_ledger_read(const struct ym_ledger *l, const char *path, size_t limit, struct ym_buf *out,
                            struct ym_status *st)
{
    char full[4352];

    if (ym_fs_join(full, sizeof(full), l->dir, path) != YM_OK)
        return ym_status_set(st, YM_INVALID, "the path of ledger '%s' is too long", l->dir);
    return ym_fs_read(full, limit, out, st);
}

/* Numbers 1..255 named in a folder of partial files, called for each. */
static void each_width(const struct ym_ledger *l, const char *folder, void (*fn)(void *ctx, size_t width), void *ctx)
{
    int fd = openat(l->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char canonical[8];
        unsigned width = 0;

        if (sscanf(entry->d_name, "%3u", &width) != 1 || width < 1 || width > 255)
            continue;
        snprintf(canonical, sizeof(canonical), "%u", width);
        if (strcmp(canonical, entry->d_name) == 0)
            fn(ctx, width);
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
}

static void keep_widest(void *ctx, size_t width)
{
    size_t *widest = ctx;

    if (width > *widest)
        *widest = width;
}

struct removal {
    const struct ym_ledger *l;
    int level;
    uint64_t index;
    size_t keep;
};

static void remove_width(void *ctx, size_t width)
{
    struct removal *r = ctx;
    char path[YM_TILE_PATH];

    if (width == r->keep)
        return;
    ym_tile_path(path, r->level, r->index, width);
    unlinkat(r->l->root, path, 0);
}

/* Remove the partial files of one tile or bundle except `keep` (0: all). */
static void remove_partials(const struct ym_ledger *l, int level, uint64_t index, size_t keep)
{
    struct removal r = {l, level, index, keep};
    char folder[YM_TILE_PATH];

    ym_tile_path(folder, level, index, 0);
    each_width(l, folder, remove_width, &r);
    if (keep == 0)
        unlinkat(l->root, folder, AT_REMOVEDIR);
}

/* A crash before the commit point leaves later bundles behind (they are written
 * first); they must be durably gone before the log can grow into their names. */
static enum ym_code remove_past_end(struct ym_ledger *l, uint64_t end, struct ym_status *st)
{
    char path[YM_TILE_PATH], folder[YM_TILE_PATH];
    enum ym_code code;

    for (uint64_t b = end + 1; b <= end + YM_APPEND_BUNDLES; b++) {
        bool removed;
        size_t widest = 0;

        ym_tile_path(folder, -1, b, 0);
        each_width(l, folder, keep_widest, &widest);
        ym_tile_path(path, -1, b, YM_TILE_HASHES);
        removed = unlinkat(l->root, path, 0) == 0 || widest > 0;
        if (!removed)
            continue;
        remove_partials(l, -1, b, 0);
        *strrchr(path, '/') = '\0';
        code = ym_disk_sync_dir(l->root, path, st);
        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

enum ym_code ym_ledger_sweep(struct ym_ledger *l, struct ym_status *st)
{
    uint64_t size = l->tree->size, from = size > YM_APPEND_MAX ? size - YM_APPEND_MAX : 0;

    for (int level = -1; level < YM_TILE_LEVELS - 1; level++) {
        unsigned height = level < 0 ? 0 : (unsigned)level;
        uint64_t end = ym_tree_tile(l->tree, height);

        for (uint64_t b = from >> (8 * (height + 1)); b <= end; b++)
            remove_partials(l, level, b, b == end ? ym_tree_width(l->tree, height) : 0);
    }
    return l->key ? remove_past_end(l, size / YM_BUNDLE_LEAVES, st) : YM_OK;
}

struct promise { /* a checkpoint of ours; size 0: none, or of an empty log */
    uint64_t size;
    uint8_t root[YM_HASH_BYTES];
};

struct load {
    struct ym_ledger *l;
    struct promise file, journal;  /* in 'checkpoint', and in the journal's newest record */
    struct ym_journal_record tail; /* what the journal holds; count 0: nothing */
    struct ym_buf journal_bytes, tail_bytes;
    bool tailed;                   /* the last bundle came from the journal: its files are to be written again */
    struct ym_pending_list repair; /* tiles that are not there */
    struct ym_status *st;
    enum ym_code tile_code;
};

static void check_tile(struct load *o, const char *path, const void *data, size_t len)
{
    struct ym_buf bytes = {0};
    enum ym_code code;

    if (o->tile_code != YM_OK)
        return;
    code = ym_ledger_read(o->l, path, YM_TILE_HASHES * YM_HASH_BYTES, &bytes, NULL);
    if (code == YM_NOT_FOUND)
        ym_pending_add(&o->repair, path, data, len);
    else if (code == YM_EXHAUSTED || (code == YM_OK && (bytes.len != len || memcmp(bytes.data, data, len) != 0)))
        o->tile_code = ym_status_set(o->st, YM_CORRUPT, "'%s' does not hold the hashes of its entries", path);
    else if (code != YM_OK)
        o->tile_code = ym_status_set(o->st, code, "cannot read '%s'", path);
    ym_buf_release(&bytes);
}

static void check_full_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[YM_HASH_BYTES])
{
    char path[YM_TILE_PATH];

    ym_tile_path(path, (int)level, index, YM_TILE_HASHES);
    check_tile(ctx, path, hash, YM_TILE_HASHES * YM_HASH_BYTES);
}

static void check_partial_tiles(struct load *o)
{
    struct ym_pending_list tiles = {0};

    ym_pending_tiles(&tiles, o->l->tree, 0);
    for (size_t i = o->tailed; i < tiles.count; i++) /* the first is written again */
        check_tile(o, tiles.item[i].path, tiles.item[i].bytes.data, tiles.item[i].bytes.len);
    o->repair.failed |= tiles.failed;
    ym_pending_release(&tiles);
}

static enum ym_code check_promise(const struct load *o, const struct promise *p, struct ym_status *st)
{
    uint8_t root[YM_HASH_BYTES];

    if (o->l->tree->size != p->size)
        return YM_OK;
    ym_tree_root(o->l->tree, root);
    if (memcmp(root, p->root, sizeof(root)) != 0)
        return ym_status_set(st, YM_CORRUPT, "the first %" PRIu64 " entries do not give the root of the checkpoint",
                             p->size);
    return YM_OK;
}

static enum ym_code check_root(const struct load *o, struct ym_status *st)
{
    enum ym_code code = check_promise(o, &o->file, st);

    return code == YM_OK && o->journal.size > 0 ? check_promise(o, &o->journal, st) : code;
}

static enum ym_code take_leaf(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    struct load *o = ctx;
    struct ym_ledger *l = o->l;
    uint8_t head[2] = {(uint8_t)(leaf.len >> 8), (uint8_t)leaf.len}, hash[YM_HASH_BYTES];
    json_t *parsed = NULL;
    enum ym_code code;

    (void)i;
    if (!l->key && l->tree->size == o->file.size)
        return YM_OK; /* a mirror takes nothing that its checkpoint does not cover */
    code = l->key ? ym_leaf_parse(leaf, &parsed, st) : YM_OK; /* what a mirror holds is the verifier's to judge */
    if (code != YM_OK)
        return ym_status_wrap(st, code == YM_EXHAUSTED ? code : YM_CORRUPT, "entry %" PRIu64, l->tree->size);
    json_decref(parsed);
    code = ym_ledger_reserve(l, l->tree->size + 1, st);
    if (code != YM_OK)
        return code;
    if (ym_buf_append(&l->bundle, head, 2) != YM_OK || ym_buf_append(&l->bundle, leaf.data, leaf.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    ym_tree_leaf_hash(leaf, hash);
    ym_ledger_remember(l, l->tree->size, hash);
    ym_tree_push(l->tree, hash, check_full_tile, o);
    if (l->tree->size % YM_BUNDLE_LEAVES == 0)
        ym_buf_clear(&l->bundle);
    return check_root(o, st);
}

/* The bytes of bundle b and how many entries its name promises; 0: not there. */
static enum ym_code read_bundle(const struct ym_ledger *l, uint64_t b, struct ym_buf *bytes, size_t *count,
                                struct ym_status *st)
{
    char path[YM_TILE_PATH];
    enum ym_code code;

    *count = YM_BUNDLE_LEAVES;
    ym_tile_path(path, -1, b, YM_TILE_HASHES);
    code = ym_ledger_read(l, path, YM_BUNDLE_MAX, bytes, NULL);
    if (code == YM_NOT_FOUND) {
        *count = 0;
        ym_tile_path(path, -1, b, 0);
        each_width(l, path, keep_widest, count);
        if (*count == 0)
            return YM_OK;
        ym_tile_path(path, -1, b, *count);
        code = ym_ledger_read(l, path, YM_BUNDLE_MAX, bytes, NULL);
    }
    if (code != YM_OK)
        return ym_status_set(st, code == YM_EXHAUSTED ? YM_CORRUPT : code, "cannot read '%s'", path);
    return YM_OK;
}

/* No file names more entries than were in the journal before it was written. */
static enum ym_code take_tail(struct load *o, uint64_t b, size_t *count, struct ym_status *st)
{
    char path[YM_TILE_PATH];
    size_t widest = 0;

    ym_tile_path(path, -1, b, 0);
    each_width(o->l, path, keep_widest, &widest);
    if (widest > o->tail.count)
        return ym_status_set(st, YM_CORRUPT, "the journal holds only %" PRIu32 " of the %zu entries of '%s/%zu'",
                             o->tail.count, widest, path, widest);
    o->tailed = true;
    *count = o->tail.count;
    return YM_OK;
}

/* The entries of bundle b: from the journal, where the bundle is not full yet. */
static enum ym_code find_bundle(struct load *o, uint64_t b, struct ym_buf *bytes, struct ym_bytes *view, size_t *count,
                                struct ym_status *st)
{
    char path[YM_TILE_PATH];
    enum ym_code code;

    ym_tile_path(path, -1, b, YM_TILE_HASHES);
    if (o->tail.count > 0 && o->tail.first == b * YM_BUNDLE_LEAVES && faccessat(o->l->root, path, F_OK, 0) != 0) {
        *view = o->tail.entries;
        return take_tail(o, b, count, st);
    }
    ym_buf_clear(bytes);
    code = read_bundle(o->l, b, bytes, count, st);
    *view = ym_buf_bytes(bytes);
    return code;
}

static enum ym_code load_entries(struct load *o, struct ym_status *st)
{
    uint64_t promised = o->file.size > o->journal.size ? o->file.size : o->journal.size;
    struct ym_buf bytes = {0};
    size_t count = YM_BUNDLE_LEAVES;
    enum ym_code code = check_root(o, st);

    for (uint64_t b = 0; code == YM_OK && count == YM_BUNDLE_LEAVES; b++) {
        struct ym_bytes view;

        code = find_bundle(o, b, &bytes, &view, &count, st);
        if (code != YM_OK)
            break;
        code = ym_bundle_each(view, count, take_leaf, o, st);
        if (code != YM_OK)
            ym_status_wrap(st, code, "bundle %" PRIu64, b);
        if (code == YM_OK)
            code = o->tile_code;
    }
    ym_buf_release(&bytes);
    if (code == YM_OK && o->l->tree->size < promised)
        return ym_status_set(st, YM_CORRUPT, "only %" PRIu64 " of the %" PRIu64 " entries of the checkpoint are there",
                             o->l->tree->size, promised);
    return code;
}

/* The checkpoint of what is there, after a crash between bundle and checkpoint. */
static enum ym_code renew_note(struct load *o, struct ym_status *st)
{
    struct ym_ledger *l = o->l;
    uint8_t root[YM_HASH_BYTES];

    if (l->tree->size == o->file.size)
        return YM_OK;
    ym_tree_root(l->tree, root);
    ym_buf_clear(&l->note);
    if (ym_checkpoint_format(l->origin, l->tree->size, root, l->key, &l->note) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    return YM_OK;
}

/* Write the tiles that are missing, then what an ended process left unsynced. */
static enum ym_code repair(struct load *o, struct ym_status *st)
{
    struct ym_ledger *l = o->l;
    struct ym_stage stage = {.root = l->root};
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < o->repair.count; i++)
        code = ym_stage_put(&stage, o->repair.item[i].path, ym_buf_bytes(&o->repair.item[i].bytes), st);
    if (code == YM_OK)
        code = ym_stage_commit(&stage, 0, st);
    ym_stage_release(&stage);
    if (code == YM_OK && l->key)
        code = renew_note(o, st);
    if (code == YM_OK && l->key && (o->tailed || l->tree->size != o->file.size))
        code = ym_ledger_settle(l, st);
    return code;
}

static enum ym_code create(struct ym_ledger *l, struct ym_status *st)
{
    struct ym_stage stage = {.root = l->root};
    uint8_t root[YM_HASH_BYTES];
    enum ym_code code;

    if (faccessat(l->root, "tile", F_OK, 0) == 0)
        return ym_status_set(st, YM_CORRUPT, "entries are there but no checkpoint");
    ym_tree_root(l->tree, root);
    code = ym_checkpoint_format(l->origin, 0, root, l->key, &l->note);
    if (code == YM_OK)
        code = ym_stage_put(&stage, "checkpoint", (struct ym_bytes){l->note.data, l->note.len}, st);
    if (code == YM_OK)
        code = ym_stage_commit(&stage, 0, st);
    ym_stage_release(&stage);
    return code;
}

/* The newest whole record's checkpoint must be ours; the rest of the file is of no account. */
static enum ym_code read_journal(struct load *o, struct ym_status *st)
{
    struct ym_ledger *l = o->l;
    enum ym_code code = ym_ledger_read(l, YM_JOURNAL_NAME, YM_JOURNAL_MAX, &o->journal_bytes, st);

    if (code == YM_NOT_FOUND)
        return YM_OK;
    if (code == YM_OK)
        code = ym_journal_read(ym_buf_bytes(&o->journal_bytes), &o->tail, &o->tail_bytes, st);
    if (code == YM_OK && o->tail.count > 0)
        code = ym_checkpoint_open(o->tail.note, l->origin, l->pub, &o->journal.size, o->journal.root, st);
    if (code == YM_OK && o->journal.size != o->tail.first + o->tail.count && o->tail.count > 0)
        code = ym_status_set(st, YM_CORRUPT, "its checkpoint does not fit its entries");
    return code == YM_OK ? code : ym_status_wrap(st, code, "journal");
}

/* With a journal, a power cut may have torn the file that it stands for. */
static enum ym_code read_note(struct load *o, struct ym_status *st)
{
    struct ym_ledger *l = o->l;
    enum ym_code code = ym_ledger_read(l, "checkpoint", YM_CHECKPOINT_MAX, &l->note, st);

    if (code == YM_OK)
        code = ym_checkpoint_open(ym_buf_bytes(&l->note), l->origin, l->pub, &o->file.size, o->file.root, st);
    else if (code == YM_EXHAUSTED)
        code = YM_CORRUPT;
    if (o->journal.size == 0 || (code != YM_CORRUPT && code != YM_NOT_FOUND))
        return code;
    o->file.size = 0;
    return YM_OK;
}

static enum ym_code load_all(struct load *o, struct ym_status *st)
{
    enum ym_code code = load_entries(o, st);

    if (code == YM_OK) {
        check_partial_tiles(o);
        code = o->repair.failed ? ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory") : o->tile_code;
    }
    if (code == YM_OK)
        code = repair(o, st);
    return code == YM_OK ? ym_ledger_sweep(o->l, st) : code;
}

enum ym_code ym_ledger_load(struct ym_ledger *l, struct ym_status *st)
{
    struct load o = {.l = l, .st = st};
    enum ym_code code = YM_OK;

    if (mkdirat(l->root, "tmp", 0755) != 0 && errno != EEXIST)
        return ym_status_set(st, ym_disk_code(errno, false), "cannot make 'tmp': %s", strerror(errno));
    ym_tree_root(l->tree, o.file.root);
    if (l->key)
        code = read_journal(&o, st);
    if (code == YM_OK)
        code = read_note(&o, st);
    if (code == YM_NOT_FOUND)
        code = l->key ? create(l, st) : YM_OK;
    else if (code == YM_OK)
        code = load_all(&o, st);
    ym_buf_release(&o.journal_bytes);
    ym_buf_release(&o.tail_bytes);
    ym_pending_release(&o.repair);
    return code;
}

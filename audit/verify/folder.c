#include "audit/verify/folder.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/verify/crypto.h"
#include "base/fs.h"

#define WIDTH YM_VTILE_WIDTH
#define BATCH 16
#define TRIES 5

__attribute__((format(printf, 3, 4))) static void fault(struct ym_folder *f, enum ym_reason reason, const char *fmt,
                                                        ...)
{
    va_list args;

    if (f->faulty)
        return;
    f->faulty = true;
    f->fault = reason;
    va_start(args, fmt);
    vsnprintf(f->detail, sizeof(f->detail), fmt, args);
    va_end(args);
}

static enum ym_code read_file(const char *dir, const char *name, size_t limit, struct ym_buf *out, struct ym_status *st)
{
    char path[4096];

    ym_buf_clear(out);
    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK)
        return YM_INVALID;
    return ym_fs_read(path, limit, out, st);
}

/* ---- entries, a batch of bundles at a time, hashed by several threads ---- */

struct slot {
    struct ym_vbundle bundle;
    enum ym_code code;
    uint8_t hash[WIDTH][YM_VHASH];
};

struct batch {
    const char *dir;
    uint64_t first;
    size_t count, width;
    struct slot slot[BATCH];
};

static void read_share(void *ctx, size_t thread)
{
    struct batch *b = ctx;

    for (size_t k = thread; k < b->count; k += b->width) {
        struct slot *s = &b->slot[k];

        s->code = ym_vbundle_read(b->dir, b->first + k, &s->bundle);
        for (size_t i = 0; s->code == YM_OK && i < s->bundle.count; i++)
            ym_vleaf_hash(s->bundle.entry[i], s->hash[i]);
    }
}

static bool reserve(struct ym_folder *f, size_t more)
{
    size_t cap = f->cap ? f->cap : WIDTH;
    void *grown;

    while (cap < f->count + more)
        cap += cap / 2;
    if (cap == f->cap)
        return true;
    grown = realloc(f->hash, cap * sizeof(*f->hash));
    if (grown) {
        f->hash = grown;
        f->cap = cap;
    }
    return grown != NULL;
}

/* Every enrol leaf in canonical form holds this text; so may others. */
static bool may_enrol(struct ym_bytes entry)
{
    static const char text[] = "\"type\":\"enrol\"";

    return memmem(entry.data, entry.len, text, sizeof(text) - 1) != NULL;
}

static bool note_enrol(struct ym_folder *f, const struct ym_vbundle *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t *grown;

        if (!may_enrol(b->entry[i]))
            continue;
        grown = realloc(f->enrol, (f->enrol_count + 1) * sizeof(*grown));
        if (!grown)
            return false;
        f->enrol = grown;
        f->enrol[f->enrol_count++] = f->count + i;
    }
    return true;
}

static bool keep_tail(struct ym_folder *f, struct ym_vbundle *b)
{
    f->tail = malloc(sizeof(*f->tail));
    if (!f->tail)
        return false;
    *f->tail = *b;
    *b = (struct ym_vbundle){0};
    return true;
}

/* Entries beyond the checkpoint's size are counted by their bundle's name, not kept. */
static enum ym_code take_slot(struct ym_folder *f, uint64_t index, struct slot *s)
{
    struct ym_vbundle *b = &s->bundle;
    size_t room = f->count < f->note.size ? (size_t)(f->note.size - f->count) : 0, count = b->count;

    if (b->torn)
        fault(f, YM_REASON_BUNDLE_TORN, "bundle %" PRIu64 " ends inside an entry", index);
    else if (b->extra)
        fault(f, YM_REASON_ENTRY_EXTRA, "bundle %" PRIu64 " holds more than the %zu entries of its name", index,
              b->promised);
    else if (b->count < b->promised)
        fault(f, YM_REASON_ENTRIES_MISSING, "bundle %" PRIu64 " holds %zu of the %zu entries of its name", index,
              b->count, b->promised);
    if (f->faulty)
        return YM_OK;
    f->widest = b->bytes.len > f->widest ? b->bytes.len : f->widest;
    count = count < room ? count : room;
    if (!reserve(f, count) || !note_enrol(f, b, count))
        return YM_EXHAUSTED;
    memcpy(f->hash + f->count, s->hash, count * sizeof(*s->hash));
    f->count += count;
    return b->promised == WIDTH || keep_tail(f, b) ? YM_OK : YM_EXHAUSTED;
}

/* *in_files: entries that the names of the bundles promise. */
static enum ym_code load_batches(struct ym_folder *f, struct ym_pool *pool, struct batch *b, uint64_t *in_files)
{
    bool more = true;

    for (b->first = 0; more; b->first += b->count) {
        uint64_t left = f->note.size / WIDTH + 2 - (b->first < f->note.size / WIDTH ? b->first : f->note.size / WIDTH);

        b->count = left < BATCH ? (size_t)left : BATCH;
        ym_pool_run(pool, read_share, b);
        for (size_t k = 0; more && k < b->count; k++) {
            struct slot *s = &b->slot[k];
            size_t promised = s->bundle.promised;
            enum ym_code code = s->code;

            *in_files += code == YM_OK ? promised : 0;
            if (code == YM_OK && promised > 0)
                code = take_slot(f, b->first + k, s);
            if (code != YM_OK)
                return code;
            more = promised == WIDTH && !f->faulty;
        }
    }
    return YM_OK;
}

static enum ym_code load_entries(struct ym_folder *f, struct ym_pool *pool)
{
    struct batch *b = calloc(1, sizeof(*b));
    uint64_t in_files = 0;
    enum ym_code code;

    if (!b)
        return YM_EXHAUSTED;
    b->dir = f->dir;
    b->width = ym_pool_width(pool);
    code = load_batches(f, pool, b, &in_files);
    for (size_t k = 0; k < BATCH; k++)
        ym_vbundle_release(&b->slot[k].bundle);
    free(b);
    if (code != YM_OK || f->faulty)
        return code;
    if (in_files < f->note.size)
        fault(f, YM_REASON_ENTRIES_MISSING, "%" PRIu64 " of the %" PRIu64 " entries of the checkpoint are there",
              in_files, f->note.size);
    else if (in_files > f->note.size)
        fault(f, YM_REASON_CHECKPOINT_BEHIND, "%" PRIu64 " entries are there, the checkpoint covers %" PRIu64, in_files,
              f->note.size);
    return YM_OK;
}

static bool exists(const char *dir, const char *name)
{
    char path[4096];

    return ym_fs_join(path, sizeof(path), dir, name) == YM_OK && access(path, F_OK) == 0;
}

static enum ym_code load_once(struct ym_folder *f, struct ym_pool *pool, struct ym_status *st)
{
    enum ym_code code = read_file(f->dir, "checkpoint", YM_VNOTE_MAX, &f->note_bytes, st);

    if (code == YM_NOT_FOUND) {
        if (!exists(f->dir, "tile"))
            return ym_status_set(st, YM_NOT_FOUND, "'%s' is no ledger folder: it has no 'checkpoint'", f->dir);
        fault(f, YM_REASON_CHECKPOINT_MISSING, "there are entries but no checkpoint");
        return YM_OK;
    }
    if (code != YM_OK && code != YM_EXHAUSTED)
        return code;
    if (code != YM_OK || !ym_vnote_parse(ym_buf_bytes(&f->note_bytes), &f->note)) {
        f->note = (struct ym_vnote){0};
        fault(f, YM_REASON_CHECKPOINT_MALFORMED, "the checkpoint is not origin, size, root and signatures");
        return YM_OK;
    }
    code = load_entries(f, pool);
    if (code == YM_OK)
        return YM_OK;
    return ym_status_set(st, code == YM_EXHAUSTED ? YM_EXHAUSTED : YM_UNAVAILABLE, "cannot read the entries of '%s'",
                         f->dir);
}

static bool checkpoint_moved(const struct ym_folder *f)
{
    struct ym_buf now = {0};
    enum ym_code code = read_file(f->dir, "checkpoint", YM_VNOTE_MAX, &now, NULL);
    bool moved = code == YM_OK && f->note_bytes.len > 0 &&
                 (now.len != f->note_bytes.len || memcmp(now.data, f->note_bytes.data, now.len) != 0);

    ym_buf_release(&now);
    return moved;
}

static enum ym_code load_in(const char *dir, struct ym_pool *pool, struct ym_folder *out, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (int i = 0; i < TRIES; i++) {
        *out = (struct ym_folder){.dir = strdup(dir)};
        code = out->dir ? load_once(out, pool, st) : ym_status_set(st, YM_EXHAUSTED, "out of memory");
        if ((code == YM_OK && !out->faulty) || !out->dir || !checkpoint_moved(out))
            break;
        if (i + 1 < TRIES)
            ym_folder_release(out);
    }
    if (code != YM_OK)
        ym_folder_release(out);
    return code;
}

enum ym_code ym_folder_load(const char *dir, struct ym_pool *pool, struct ym_folder *out, struct ym_status *st)
{
    struct ym_pool *own = pool ? NULL : ym_pool_new(1);
    enum ym_code code;

    if (!pool && !own)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    code = load_in(dir, pool ? pool : own, out, st);
    ym_pool_free(own);
    return code;
}

void ym_folder_release(struct ym_folder *f)
{
    for (size_t i = 0; i < YM_FOLDER_HELD; i++) {
        if (f->held[i])
            ym_vbundle_release(f->held[i]);
        free(f->held[i]);
    }
    if (f->tail)
        ym_vbundle_release(f->tail);
    free(f->tail);
    for (size_t i = 1; i < YM_FOLDER_LEVELS; i++)
        free(f->node[i]);
    free(f->hash);
    free(f->enrol);
    free(f->dir);
    ym_buf_release(&f->note_bytes);
    *f = (struct ym_folder){0};
}

/* ---- entries again ---- */

static bool same_entries(const struct ym_folder *f, uint64_t index, const struct ym_vbundle *b, size_t count)
{
    bool same = b->count >= count;

    for (size_t i = 0; same && i < count; i++) {
        uint8_t hash[YM_VHASH];

        ym_vleaf_hash(b->entry[i], hash);
        same = memcmp(hash, f->hash[index * WIDTH + i], sizeof(hash)) == 0;
    }
    return same;
}

static enum ym_code copy_tail(const struct ym_folder *f, size_t count, struct ym_vbundle *b)
{
    ym_buf_clear(&b->bytes);
    if (ym_buf_append(&b->bytes, f->tail->bytes.data, f->tail->bytes.len) != YM_OK)
        return YM_EXHAUSTED;
    b->count = count;
    for (size_t i = 0; i < b->count; i++) {
        b->entry[i] = f->tail->entry[i];
        b->entry[i].data = b->bytes.data + (f->tail->entry[i].data - f->tail->bytes.data);
    }
    return YM_OK;
}

enum ym_code ym_folder_bundle(const struct ym_folder *f, uint64_t index, struct ym_vbundle *b)
{
    size_t count = f->count - index * WIDTH < WIDTH ? f->count - index * WIDTH : WIDTH;
    enum ym_code code;

    if (f->tail && index == (f->count - 1) / WIDTH)
        return copy_tail(f, count, b);
    code = ym_vbundle_read(f->dir, index, b);
    if (code == YM_OK && !same_entries(f, index, b, count))
        code = YM_UNAVAILABLE;
    if (code == YM_OK)
        b->count = count;
    return code;
}

static struct ym_vbundle *held(struct ym_folder *f, uint64_t index)
{
    size_t at = f->held_next;

    for (size_t i = 0; i < YM_FOLDER_HELD; i++)
        if (f->held[i] && f->held_index[i] == index)
            return f->held[i];
    if (!f->held[at])
        f->held[at] = calloc(1, sizeof(*f->held[at]));
    if (!f->held[at])
        return NULL;
    f->held_next = (at + 1) % YM_FOLDER_HELD;
    f->held_index[at] = ym_folder_bundle(f, index, f->held[at]) == YM_OK ? index : UINT64_MAX;
    return f->held_index[at] == index ? f->held[at] : NULL;
}

bool ym_folder_entry(struct ym_folder *f, size_t i, struct ym_bytes *out)
{
    struct ym_vbundle *b = held(f, i / WIDTH);

    if (b)
        *out = b->entry[i % WIDTH];
    return b != NULL;
}

/* ---- the tree ---- */

/* A log that is being written drops a tile that is not full when it has a wider one. */
static bool outgrown(const struct ym_folder *f, size_t width)
{
    return width < WIDTH && checkpoint_moved(f);
}

static void check_tile(struct ym_folder *f, int level, uint64_t index, const void *hash, size_t width)
{
    char name[160], text[16];
    struct ym_buf bytes = {0};
    enum ym_code code;

    snprintf(text, sizeof(text), "%d", level);
    ym_vtile_name(name, text, index, width);
    code = read_file(f->dir, name, 2 * WIDTH * YM_VHASH, &bytes, NULL);
    if (code == YM_NOT_FOUND) {
        if (!outgrown(f, width))
            fault(f, YM_REASON_TILE_MISSING, "'%s' is not there", name);
    } else if (code != YM_OK || bytes.len != width * YM_VHASH) {
        fault(f, YM_REASON_TILE_TORN, "'%s' does not hold %zu hashes", name, width);
    } else if (memcmp(bytes.data, hash, bytes.len) != 0) {
        fault(f, YM_REASON_TILE_MISMATCH, "'%s' does not fit the entries", name);
    }
    ym_buf_release(&bytes);
}

static void check_level(struct ym_folder *f, int level, const uint8_t (*hash)[YM_VHASH], size_t count)
{
    for (size_t i = 0; i * WIDTH < count && !f->faulty; i++)
        check_tile(f, level, i, hash + i * WIDTH, count - i * WIDTH < WIDTH ? count - i * WIDTH : WIDTH);
}

static const uint8_t (*level_of(const struct ym_folder *f, unsigned level))[YM_VHASH]
{
    return (const uint8_t(*)[YM_VHASH])(level ? f->node[level] : f->hash);
}

/* Root of every full tile, level by level. */
static bool make_nodes(struct ym_folder *f)
{
    size_t count = f->count / WIDTH;

    for (unsigned level = 1; count > 0 && level < YM_FOLDER_LEVELS; level++, count /= WIDTH) {
        f->node[level] = malloc(count * sizeof(**f->node));
        if (!f->node[level])
            return false;
        for (size_t i = 0; i < count; i++)
            ym_vroot(level_of(f, level - 1) + i * WIDTH, WIDTH, f->node[level][i]);
    }
    return true;
}

/* RFC 6962 2.1 of entries start .. start + n - 1, where start is a multiple of the largest power of two below n. */
static void subtree(const struct ym_folder *f, uint64_t start, uint64_t n, uint8_t out[YM_VHASH])
{
    uint8_t pair[2][YM_VHASH];
    uint64_t split = 1;
    unsigned level = 0;

    if ((n & (n - 1)) == 0) {
        for (; n >= WIDTH; n /= WIDTH, start /= WIDTH)
            level++;
        ym_vroot(level_of(f, level) + start, n, out);
        return;
    }
    while (split < n - split)
        split *= 2;
    subtree(f, start, split, pair[0]);
    subtree(f, start + split, n - split, pair[1]);
    ym_vnode_hash(pair[0], pair[1], out);
}

bool ym_folder_root_at(const struct ym_folder *f, uint64_t size, uint8_t root[YM_VHASH])
{
    if (size > f->count)
        return false;
    if (size == 0)
        ym_vroot(NULL, 0, root);
    else
        subtree(f, 0, size, root);
    return true;
}

void ym_folder_check_tree(struct ym_folder *f)
{
    uint8_t root[YM_VHASH];
    size_t count = f->count;

    if (!make_nodes(f)) {
        fault(f, YM_REASON_TILE_MISSING, "not enough memory to check the tiles");
        return;
    }
    ym_folder_root_at(f, f->count, root);
    if (memcmp(root, f->note.root, sizeof(root)) != 0)
        fault(f, YM_REASON_ROOT_MISMATCH, "the %zu entries give another root than the checkpoint", f->count);
    for (int level = 0; count > 0 && !f->faulty; level++, count /= WIDTH)
        check_level(f, level, level_of(f, (unsigned)level), count);
}

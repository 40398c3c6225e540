#include "audit/verify/folder.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/verify/crypto.h"
#include "base/fs.h"

#define WIDTH 256
#define BUNDLE_MAX (WIDTH * (2 + 65535))
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

/* tlog-tiles: tile/<level>/x001/x234/067[.p/<width>]; level NULL: entries. */
static void tile_name(char out[160], const char *level, uint64_t index, size_t width)
{
    char number[64];
    int n = snprintf(number, sizeof(number), "%03u", (unsigned)(index % 1000));

    for (index /= 1000; index > 0; index /= 1000) {
        char longer[64];

        n = snprintf(longer, sizeof(longer), "x%03u/%.*s", (unsigned)(index % 1000), n, number);
        memcpy(number, longer, (size_t)n + 1);
    }
    if (width == WIDTH)
        snprintf(out, 160, "tile/%s/%s", level, number);
    else
        snprintf(out, 160, "tile/%s/%s.p/%zu", level, number, width);
}

static enum ym_code read_file(const char *dir, const char *name, size_t limit, struct ym_buf *out, struct ym_status *st)
{
    char path[4096];

    ym_buf_clear(out);
    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK)
        return YM_INVALID;
    return ym_fs_read(path, limit, out, st);
}

bool ym_bundle_read(struct ym_bytes bytes, bool (*fn)(void *ctx, struct ym_bytes entry), void *ctx)
{
    while (bytes.len > 0) {
        struct ym_bytes entry;

        if (bytes.len < 2)
            return false;
        entry.len = (size_t)(bytes.data[0] << 8 | bytes.data[1]);
        entry.data = bytes.data + 2;
        if (entry.len > bytes.len - 2)
            return false;
        if (!fn(ctx, entry))
            return true;
        bytes.data += 2 + entry.len;
        bytes.len -= 2 + entry.len;
    }
    return true;
}

struct take {
    struct ym_folder *f;
    size_t seen, promised;
    bool no_memory;
};

static bool take_entry(void *ctx, struct ym_bytes entry)
{
    struct take *t = ctx;
    struct ym_folder *f = t->f;

    t->seen++;
    if (t->seen > t->promised || f->count >= f->note.size)
        return t->seen <= t->promised;
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 256;
        void *entries = realloc(f->entry, cap * sizeof(*f->entry)), *hashes;

        if (entries)
            f->entry = entries;
        hashes = realloc(f->hash, cap * sizeof(*f->hash));
        if (hashes)
            f->hash = hashes;
        t->no_memory = !entries || !hashes;
        if (t->no_memory)
            return false;
        f->cap = cap;
    }
    ym_vleaf_hash(entry, f->hash[f->count]);
    f->entry[f->count++] = entry;
    return true;
}

/* The widest partial bundle of index, 0 when there is none. */
static size_t widest_partial(const char *dir, uint64_t index)
{
    char name[160], path[4096], **names = NULL;
    size_t count = 0, widest = 0;

    tile_name(name, "entries", index, 1);
    *strrchr(name, '/') = '\0';
    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK || ym_fs_list(path, &names, &count, NULL) != YM_OK)
        return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = 0;
        char again[8];

        if (strlen(names[i]) > 3 || sscanf(names[i], "%3u", &width) != 1 || width >= WIDTH)
            continue;
        snprintf(again, sizeof(again), "%u", width);
        if (strcmp(again, names[i]) == 0 && width > widest)
            widest = width;
    }
    ym_fs_names_free(names, count);
    return widest;
}

/* Bytes of bundle index and how many entries its name promises (0: not there). */
static enum ym_code find_bundle(const char *dir, uint64_t index, struct ym_buf *bytes, size_t *promised)
{
    char name[160];
    enum ym_code code;

    *promised = WIDTH;
    tile_name(name, "entries", index, WIDTH);
    code = read_file(dir, name, BUNDLE_MAX, bytes, NULL);
    if (code != YM_NOT_FOUND)
        return code;
    *promised = widest_partial(dir, index);
    if (*promised == 0)
        return YM_OK;
    tile_name(name, "entries", index, *promised);
    return read_file(dir, name, BUNDLE_MAX, bytes, NULL);
}

static bool keep_bundle(struct ym_folder *f, struct ym_buf *bytes)
{
    struct ym_buf *grown = realloc(f->bundle, (f->bundle_count + 1) * sizeof(*grown));

    if (!grown)
        return false;
    f->bundle = grown;
    f->bundle[f->bundle_count++] = *bytes;
    *bytes = (struct ym_buf){0};
    return true;
}

static enum ym_code take_bundle(struct ym_folder *f, uint64_t index, struct ym_buf *bytes, size_t promised)
{
    struct ym_bytes view = {bytes->data, bytes->len};
    struct take t = {.f = f, .promised = promised};
    bool whole;

    if (!keep_bundle(f, bytes))
        return YM_EXHAUSTED;
    whole = ym_bundle_read(view, take_entry, &t);
    if (t.no_memory)
        return YM_EXHAUSTED;
    if (!whole)
        fault(f, YM_REASON_BUNDLE_TORN, "bundle %" PRIu64 " ends inside an entry", index);
    else if (t.seen > promised)
        fault(f, YM_REASON_ENTRY_EXTRA, "bundle %" PRIu64 " holds more than the %zu entries of its name", index,
              promised);
    else if (t.seen < promised)
        fault(f, YM_REASON_ENTRIES_MISSING, "bundle %" PRIu64 " holds %zu of the %zu entries of its name", index,
              t.seen, promised);
    return YM_OK;
}

static enum ym_code load_entries(const char *dir, struct ym_folder *f)
{
    struct ym_buf bytes = {0};
    size_t promised = WIDTH, in_files = 0;
    enum ym_code code = YM_OK;

    for (uint64_t index = 0; code == YM_OK && !f->faulty && promised == WIDTH; index++) {
        code = find_bundle(dir, index, &bytes, &promised);
        in_files += code == YM_OK ? promised : 0;
        if (code == YM_OK && promised > 0)
            code = take_bundle(f, index, &bytes, promised);
    }
    ym_buf_release(&bytes);
    if (code != YM_OK || f->faulty)
        return code;
    if (in_files < f->note.size)
        fault(f, YM_REASON_ENTRIES_MISSING, "%zu of the %" PRIu64 " entries of the checkpoint are there", in_files,
              f->note.size);
    else if (in_files > f->note.size)
        fault(f, YM_REASON_CHECKPOINT_BEHIND, "%zu entries are there, the checkpoint covers %" PRIu64, in_files,
              f->note.size);
    return YM_OK;
}

static bool exists(const char *dir, const char *name)
{
    char path[4096];

    return ym_fs_join(path, sizeof(path), dir, name) == YM_OK && access(path, F_OK) == 0;
}

static enum ym_code load_once(const char *dir, struct ym_folder *f, struct ym_status *st)
{
    enum ym_code code = read_file(dir, "checkpoint", YM_VNOTE_MAX, &f->note_bytes, st);

    if (code == YM_NOT_FOUND) {
        if (!exists(dir, "tile"))
            return ym_status_set(st, YM_NOT_FOUND, "'%s' is no ledger folder: it has no 'checkpoint'", dir);
        fault(f, YM_REASON_CHECKPOINT_MISSING, "there are entries but no checkpoint");
        return YM_OK;
    }
    if (code != YM_OK && code != YM_EXHAUSTED)
        return code;
    if (code != YM_OK || !ym_vnote_parse((struct ym_bytes){f->note_bytes.data, f->note_bytes.len}, &f->note)) {
        fault(f, YM_REASON_CHECKPOINT_MALFORMED, "the checkpoint is not origin, size, root and signatures");
        return YM_OK;
    }
    code = load_entries(dir, f);
    if (code == YM_OK)
        return YM_OK;
    return ym_status_set(st, code == YM_EXHAUSTED ? YM_EXHAUSTED : YM_UNAVAILABLE, "cannot read the entries of '%s'",
                         dir);
}

static bool checkpoint_moved(const char *dir, const struct ym_folder *f)
{
    struct ym_buf now = {0};
    enum ym_code code = read_file(dir, "checkpoint", YM_VNOTE_MAX, &now, NULL);
    bool moved = code == YM_OK && f->note_bytes.len > 0 &&
                 (now.len != f->note_bytes.len || memcmp(now.data, f->note_bytes.data, now.len) != 0);

    ym_buf_release(&now);
    return moved;
}

enum ym_code ym_folder_load(const char *dir, struct ym_folder *out, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (int i = 0; i < TRIES; i++) {
        *out = (struct ym_folder){0};
        code = load_once(dir, out, st);
        if ((code == YM_OK && !out->faulty) || !checkpoint_moved(dir, out))
            break;
        if (i + 1 < TRIES)
            ym_folder_release(out);
    }
    if (code != YM_OK)
        ym_folder_release(out);
    return code;
}

void ym_folder_release(struct ym_folder *f)
{
    for (size_t i = 0; i < f->bundle_count; i++)
        ym_buf_release(&f->bundle[i]);
    free(f->bundle);
    free(f->entry);
    free(f->hash);
    ym_buf_release(&f->note_bytes);
    *f = (struct ym_folder){0};
}

static void check_tile(const char *dir, struct ym_folder *f, int level, uint64_t index, const void *hash, size_t width)
{
    char name[160], text[16];
    struct ym_buf bytes = {0};
    enum ym_code code;

    snprintf(text, sizeof(text), "%d", level);
    tile_name(name, text, index, width);
    code = read_file(dir, name, 2 * WIDTH * YM_VHASH, &bytes, NULL);
    if (code == YM_NOT_FOUND)
        fault(f, YM_REASON_TILE_MISSING, "'%s' is not there", name);
    else if (code != YM_OK || bytes.len != width * YM_VHASH)
        fault(f, YM_REASON_TILE_TORN, "'%s' does not hold %zu hashes", name, width);
    else if (memcmp(bytes.data, hash, bytes.len) != 0)
        fault(f, YM_REASON_TILE_MISMATCH, "'%s' does not fit the entries", name);
    ym_buf_release(&bytes);
}

/* Check the tiles of a level and leave the roots of its full tiles in hash. */
static size_t check_level(const char *dir, struct ym_folder *f, int level, uint8_t (*hash)[YM_VHASH], size_t count)
{
    size_t full = count / WIDTH;

    for (size_t i = 0; i * WIDTH < count && !f->faulty; i++) {
        size_t width = count - i * WIDTH < WIDTH ? count - i * WIDTH : WIDTH;

        check_tile(dir, f, level, i, hash + i * WIDTH, width);
        if (width == WIDTH)
            ym_vroot((const uint8_t(*)[YM_VHASH])hash + i * WIDTH, WIDTH, hash[i]);
    }
    return full;
}

void ym_folder_check_tree(const char *dir, struct ym_folder *f)
{
    uint8_t root[YM_VHASH], (*row)[YM_VHASH];
    size_t count = f->count;

    ym_vroot((const uint8_t(*)[YM_VHASH])f->hash, f->count, root);
    if (memcmp(root, f->note.root, sizeof(root)) != 0) {
        fault(f, YM_REASON_ROOT_MISMATCH, "the %zu entries give another root than the checkpoint", f->count);
        return;
    }
    row = malloc((count + 1) * sizeof(*row));
    if (!row) {
        fault(f, YM_REASON_TILE_MISSING, "not enough memory to check the tiles");
        return;
    }
    if (count)
        memcpy(row, f->hash, count * sizeof(*row));
    for (int level = 0; count > 0 && !f->faulty; level++)
        count = check_level(dir, f, level, row, count);
    free(row);
}

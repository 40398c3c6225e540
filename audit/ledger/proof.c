#include "audit/ledger/proof.h"

#include <inttypes.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tree.h"
#include "base/fs.h"

#define BUNDLE_MAX (YM_TILE_HASHES * (2 + 65535))

/* The tile that was read last: neighbours of a path lie in the same few. */
struct reader {
    const char *dir;
    uint64_t size; /* leaves of the tree asked for */
    unsigned level;
    uint64_t tile;
    struct ym_buf bytes;
    bool have;
};

static enum ym_code read_file(const char *dir, int level, uint64_t index, size_t width, size_t limit,
                              struct ym_buf *out, struct ym_status *st)
{
    char name[YM_TILE_PATH], path[4096];
    enum ym_code code;

    ym_tile_path(name, level, index, width);
    code = ym_fs_join(path, sizeof(path), dir, name);
    if (code != YM_OK)
        return ym_status_set(st, code, "'%.200s' is too long a path", dir);
    ym_buf_clear(out);
    return ym_fs_read(path, limit, out, st);
}

/* What this tree has in part may have grown since: most often full, else wider. */
static enum ym_code find_file(const char *dir, int level, uint64_t index, size_t width, size_t limit,
                              struct ym_buf *out, struct ym_status *st)
{
    enum ym_code code = read_file(dir, level, index, width, limit, out, NULL);

    if (code == YM_NOT_FOUND && width < YM_TILE_HASHES)
        code = read_file(dir, level, index, YM_TILE_HASHES, limit, out, NULL);
    for (size_t w = width + 1; code == YM_NOT_FOUND && w < YM_TILE_HASHES; w++)
        code = read_file(dir, level, index, w, limit, out, NULL);
    if (code == YM_OK)
        return YM_OK;
    return ym_status_set(st, code, "'%.200s': file %" PRIu64 " of level %d is missing or cannot be read", dir, index,
                         level);
}

static enum ym_code find_tile(struct reader *r, uint64_t index, size_t width, struct ym_status *st)
{
    enum ym_code code = find_file(r->dir, (int)r->level, index, width, YM_TILE_HASHES * YM_HASH_BYTES, &r->bytes, st);

    if (code == YM_OK && r->bytes.len < width * YM_HASH_BYTES)
        return ym_status_set(st, YM_CORRUPT, "'%.200s': hash tile %" PRIu64 " of level %u is too short", r->dir, index,
                             r->level);
    return code;
}

/* Hash i of the row of tile level `level`: the root of 256^level leaves. */
static enum ym_code tile_hash(struct reader *r, unsigned level, uint64_t i, uint8_t out[YM_HASH_BYTES],
                              struct ym_status *st)
{
    uint64_t row = r->size >> (8 * level), tile = i / YM_TILE_HASHES;
    size_t width =
        row - tile * YM_TILE_HASHES < YM_TILE_HASHES ? (size_t)(row - tile * YM_TILE_HASHES) : YM_TILE_HASHES;

    if (!r->have || r->level != level || r->tile != tile) {
        enum ym_code code;

        r->have = false;
        r->level = level;
        r->tile = tile;
        code = find_tile(r, tile, width, st);
        if (code != YM_OK)
            return code;
        r->have = true;
    }
    memcpy(out, r->bytes.data + (i % YM_TILE_HASHES) * YM_HASH_BYTES, YM_HASH_BYTES);
    return YM_OK;
}

/* Root of leaves [from, from + count): the split of RFC 6962, down to what a tile holds. */
static enum ym_code range_root(struct reader *r, uint64_t from, uint64_t count, uint8_t out[YM_HASH_BYTES],
                               struct ym_status *st)
{
    uint8_t left[YM_HASH_BYTES], right[YM_HASH_BYTES];
    uint64_t half = 1;
    enum ym_code code;

    for (unsigned level = 0; level < YM_TILE_LEVELS; level++)
        if (count == UINT64_C(1) << (8 * level))
            return tile_hash(r, level, from >> (8 * level), out, st);
    while (half < count - half)
        half *= 2;
    code = range_root(r, from, half, left, st);
    if (code == YM_OK)
        code = range_root(r, from + half, count - half, right, st);
    if (code == YM_OK)
        ym_tree_node_hash(left, right, out);
    return code;
}

static enum ym_code add(struct reader *r, uint64_t from, uint64_t count, struct ym_proof *p, struct ym_status *st)
{
    YM_ASSERT(p->count < YM_PROOF_MAX);
    return range_root(r, from, count, p->hash[p->count++], st);
}

/* Largest power of two below count, which is above 1. */
static uint64_t split(uint64_t count)
{
    uint64_t half = 1;

    while (half < count - half)
        half *= 2;
    return half;
}

/* RFC 6962, 2.1.1, from the leaf up: the recursion's hashes come out root first. */
static enum ym_code path(struct reader *r, uint64_t index, uint64_t from, uint64_t count, struct ym_proof *p,
                         struct ym_status *st)
{
    uint64_t half;
    enum ym_code code;

    if (count == 1)
        return YM_OK;
    half = split(count);
    if (index < half) {
        code = path(r, index, from, half, p, st);
        return code == YM_OK ? add(r, from + half, count - half, p, st) : code;
    }
    code = path(r, index - half, from + half, count - half, p, st);
    return code == YM_OK ? add(r, from, half, p, st) : code;
}

/* SUBPROOF of RFC 6962, 2.1.2; whole: the old tree's root is known to the asker. */
static enum ym_code subproof(struct reader *r, uint64_t old, uint64_t from, uint64_t count, bool whole,
                             struct ym_proof *p, struct ym_status *st)
{
    uint64_t half;
    enum ym_code code;

    if (old == count)
        return whole ? YM_OK : add(r, from, count, p, st);
    half = split(count);
    if (old <= half) {
        code = subproof(r, old, from, half, whole, p, st);
        return code == YM_OK ? add(r, from + half, count - half, p, st) : code;
    }
    code = subproof(r, old - half, from + half, count - half, false, p, st);
    return code == YM_OK ? add(r, from, half, p, st) : code;
}

enum ym_code ym_proof_inclusion(const char *dir, uint64_t index, uint64_t size, struct ym_proof *out,
                                struct ym_status *st)
{
    struct reader r = {.dir = dir, .size = size};
    enum ym_code code;

    if (index >= size)
        return ym_status_set(st, YM_INVALID, "no entry %" PRIu64 ": the log has %" PRIu64, index, size);
    out->count = 0;
    code = path(&r, index, 0, size, out, st);
    ym_buf_release(&r.bytes);
    return code;
}

enum ym_code ym_proof_consistency(const char *dir, uint64_t old_size, uint64_t size, struct ym_proof *out,
                                  struct ym_status *st)
{
    struct reader r = {.dir = dir, .size = size};
    enum ym_code code = YM_OK;

    if (old_size > size)
        return ym_status_set(st, YM_INVALID, "the log has %" PRIu64 " entries, %" PRIu64 " were asked for", size,
                             old_size);
    out->count = 0;
    if (old_size > 0 && old_size < size)
        code = subproof(&r, old_size, 0, size, true, out, st);
    ym_buf_release(&r.bytes);
    return code;
}

enum ym_code ym_proof_root(const char *dir, uint64_t size, uint8_t root[YM_HASH_BYTES], struct ym_status *st)
{
    struct reader r = {.dir = dir, .size = size};
    enum ym_code code = YM_OK;

    if (size == 0)
        ym_sha256("", 0, root);
    else
        code = range_root(&r, 0, size, root, st);
    ym_buf_release(&r.bytes);
    return code;
}

enum ym_code ym_proof_entry(const char *dir, uint64_t index, uint64_t size, struct ym_buf *out, struct ym_status *st)
{
    uint64_t bundle = index / YM_TILE_HASHES, left = size - bundle * YM_TILE_HASHES;
    size_t at = 0, len = 0;
    struct ym_buf bytes = {0};
    enum ym_code code;

    if (index >= size)
        return ym_status_set(st, YM_INVALID, "no entry %" PRIu64 ": the log has %" PRIu64, index, size);
    code = find_file(dir, -1, bundle, left < YM_TILE_HASHES ? (size_t)left : YM_TILE_HASHES, BUNDLE_MAX, &bytes, st);
    for (uint64_t i = 0; code == YM_OK && i <= index % YM_TILE_HASHES; i++) {
        at += len;
        len = bytes.len - at < 2 ? SIZE_MAX : (size_t)(bytes.data[at] << 8 | bytes.data[at + 1]);
        at += 2;
        if (len == SIZE_MAX || len > bytes.len - at)
            code =
                ym_status_set(st, YM_CORRUPT, "'%.200s': entry bundle %" PRIu64 " ends inside an entry", dir, bundle);
    }
    if (code == YM_OK && ym_buf_append(out, bytes.data + at, len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_buf_release(&bytes);
    return code;
}

static bool consistent(uint64_t old_size, const uint8_t *old_root, uint64_t size, const uint8_t *root,
                       const uint8_t (*hash)[YM_HASH_BYTES], size_t count)
{
    uint8_t fr[YM_HASH_BYTES], sr[YM_HASH_BYTES];
    uint64_t fn = old_size - 1, sn = size - 1;
    size_t i = 0;

    for (; fn & 1; fn >>= 1)
        sn >>= 1;
    if (fn == 0)
        memcpy(fr, old_root, sizeof(fr)); /* the old tree is a subtree of the new one */
    else if (count == 0)
        return false;
    else
        memcpy(fr, hash[i++], sizeof(fr));
    memcpy(sr, fr, sizeof(sr));
    for (; i < count; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            ym_tree_node_hash(hash[i], fr, fr);
            ym_tree_node_hash(hash[i], sr, sr);
            for (; fn != 0 && !(fn & 1); fn >>= 1)
                sn >>= 1;
        } else {
            ym_tree_node_hash(sr, hash[i], sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, old_root, sizeof(fr)) == 0 && memcmp(sr, root, sizeof(sr)) == 0;
}

enum ym_code ym_proof_check_consistency(uint64_t old_size, const uint8_t old_root[YM_HASH_BYTES], uint64_t size,
                                        const uint8_t root[YM_HASH_BYTES], const uint8_t (*hash)[YM_HASH_BYTES],
                                        size_t count, struct ym_status *st)
{
    if (size < old_size)
        return ym_status_set(st, YM_CONFLICT, "the log shrank: it has %" PRIu64 " entries and had %" PRIu64, size,
                             old_size);
    if (old_size == 0 && count == 0)
        return YM_OK;
    if (old_size == size && count == 0 && memcmp(old_root, root, YM_HASH_BYTES) == 0)
        return YM_OK;
    if (old_size == 0 || old_size == size || !consistent(old_size, old_root, size, root, hash, count))
        return ym_status_set(st, YM_CONFLICT,
                             "the log's tree of %" PRIu64 " entries does not begin with that of %" PRIu64, size,
                             old_size);
    return YM_OK;
}

/* Line 2 of a checkpoint. */
static enum ym_code note_size(struct ym_bytes note, uint64_t *size, struct ym_status *st)
{
    struct ym_bytes line;

    if (ym_note_line(&note, &line) && ym_note_line(&note, &line) && ym_note_number(line, size))
        return YM_OK;
    return ym_status_set(st, YM_CORRUPT, "the checkpoint names no size");
}

static enum ym_code put_receipt(struct ym_bytes entry, uint64_t index, const struct ym_proof *p, struct ym_bytes note,
                                struct ym_buf *out)
{
    enum ym_code code = ym_buf_puts(out, "c2sp.org/tlog-proof@v1\nextra ");

    if (code == YM_OK)
        code = ym_base64_encode(entry.data, entry.len, out);
    if (code == YM_OK)
        code = ym_buf_printf(out, "\nindex %" PRIu64 "\n", index);
    for (size_t i = 0; code == YM_OK && i < p->count; i++) {
        code = ym_base64_encode(p->hash[i], YM_HASH_BYTES, out);
        if (code == YM_OK)
            code = ym_buf_puts(out, "\n");
    }
    if (code == YM_OK)
        code = ym_buf_puts(out, "\n");
    return code == YM_OK ? ym_buf_append(out, note.data, note.len) : code;
}

enum ym_code ym_proof_receipt(const char *dir, uint64_t index, struct ym_bytes note, struct ym_buf *out,
                              struct ym_status *st)
{
    struct ym_buf entry = {0};
    struct ym_proof p;
    uint64_t size = 0;
    size_t before = out->len;
    enum ym_code code = note_size(note, &size, st);

    if (code == YM_OK)
        code = ym_proof_entry(dir, index, size, &entry, st);
    if (code == YM_OK)
        code = ym_proof_inclusion(dir, index, size, &p, st);
    if (code == YM_OK && put_receipt(ym_buf_bytes(&entry), index, &p, note, out) != YM_OK) {
        out->len = before;
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    ym_buf_release(&entry);
    return code;
}

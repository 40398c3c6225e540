#include "audit/ledger/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/cosign.h"
#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger_internal.h"
#include "audit/ledger/proof.h"
#include "audit/ledger/seal.h"
#include "base/fs.h"
#include "base/json.h"

#define PULL_ATTEMPTS 5             /* a log that grows may outrun a server that drops partial tiles */
#define PULL_BATCH_BYTES (8u << 20) /* written in one go */
#define STAGED_NAME "tmp/bundle-%" PRIu64

struct pull {
    struct ym_ledger *l; /* the copy */
    const struct ym_pull_source *source;
    const char *dir;
    struct ym_promise promise; /* what the source's checkpoint says; the note is borrowed from: */
    struct ym_buf note;
    uint8_t (*bundle_root)[YM_HASH_BYTES]; /* of full bundles, under the promise */
    uint64_t bundles;
    struct ym_buf last; /* the partial bundle, cut to what the promise covers */
    struct ym_status *st;
};

/* ---- what the source gives ---- */

struct cut {
    size_t want, seen, bytes;
};

static enum ym_code count_entry(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    struct cut *c = ctx;

    (void)i, (void)st;
    if (c->seen < c->want) {
        c->seen++;
        c->bytes += 2 + leaf.len;
    }
    return YM_OK;
}

/* The first `width` entries, or hashes, of a tile that may hold all 256. */
static enum ym_code cut_tile(int level, size_t width, struct ym_buf *tile, struct ym_status *st)
{
    struct cut c = {.want = width};

    if (level >= 0)
        c.bytes = tile->len == YM_TILE_HASHES * YM_HASH_BYTES ? width * YM_HASH_BYTES : 0;
    else if (ym_bundle_each(ym_buf_bytes(tile), YM_BUNDLE_LEAVES, count_entry, &c, st) != YM_OK)
        return YM_CORRUPT;
    if (c.bytes == 0)
        return ym_status_set(st, YM_CORRUPT, "a full tile has %zu bytes", tile->len);
    tile->len = c.bytes;
    return YM_OK;
}

static enum ym_code get_tile(const struct ym_pull_source *s, int level, uint64_t index, size_t width,
                             struct ym_buf *out, struct ym_status *st)
{
    size_t limit = level < 0 ? YM_BUNDLE_MAX : YM_TILE_HASHES * YM_HASH_BYTES;
    char path[YM_TILE_PATH];
    enum ym_code code;

    ym_tile_path(path, level, index, width);
    code = s->get(s->ctx, path, limit, out, st);
    if (code != YM_NOT_FOUND || width == YM_TILE_HASHES)
        return code;
    ym_tile_path(path, level, index, YM_TILE_HASHES); /* it has grown full since */
    code = s->get(s->ctx, path, limit, out, st);
    return code == YM_OK ? cut_tile(level, width, out, st) : code;
}

static bool worth_keeping(const struct pull *p, struct ym_bytes text, struct ym_bytes line)
{
    static const char dash[] = "\xe2\x80\x94 ";
    size_t name = strlen(p->l->origin);

    if (line.len > 4 + name && memcmp(line.data, dash, 4) == 0 && memcmp(line.data + 4, p->l->origin, name) == 0 &&
        line.data[4 + name] == ' ')
        return true; /* the log's own, judged by ym_checkpoint_open */
    return p->source->keep_line(p->source->ctx, text, line);
}

/* Takes lines out that nobody wants: whoever stands between could add false ones. */
static void judge_lines(const struct pull *p, struct ym_buf *note)
{
    struct ym_bytes text;
    size_t at, kept, len;

    if (!p->source->keep_line || !ym_cosign_text(ym_buf_bytes(note), &text))
        return;
    for (at = kept = text.len + 1; at < note->len; at += len) {
        const uint8_t *end = memchr(note->data + at, '\n', note->len - at);
        bool keep;

        len = end ? (size_t)(end - note->data) + 1 - at : note->len - at;
        keep = end && worth_keeping(p, text, (struct ym_bytes){note->data + at, len});
        if (keep)
            memmove(note->data + kept, note->data + at, len);
        kept += keep ? len : 0;
    }
    note->len = kept;
    note->data[kept] = 0;
}

static enum ym_code get_checkpoint(struct pull *p)
{
    struct ym_ledger *l = p->l;
    enum ym_code code;

    ym_buf_clear(&p->note);
    code = p->source->get(p->source->ctx, "checkpoint", YM_CHECKPOINT_MAX, &p->note, p->st);
    if (code == YM_OK)
        judge_lines(p, &p->note);
    if (code == YM_OK)
        code = ym_checkpoint_open(ym_buf_bytes(&p->note), l->origin, l->pub, &p->promise.size, p->promise.root, p->st);
    p->promise.note = ym_buf_bytes(&p->note);
    if (code == YM_OK && p->promise.size > YM_PULL_LEAVES_MAX)
        code =
            ym_status_set(p->st, YM_EXHAUSTED, "the log has %" PRIu64 " entries; this program mirrors at most %" PRIu64,
                          p->promise.size, YM_PULL_LEAVES_MAX);
    return code;
}

/* ---- what the copy says to it ---- */

static void root_at(const struct ym_ledger *l, uint64_t size, uint8_t root[YM_HASH_BYTES], struct ym_tree *scratch)
{
    memset(scratch, 0, sizeof *scratch);
    for (uint64_t i = 0; i < size; i++)
        ym_tree_push(scratch, l->leaf_hash[i], NULL, NULL);
    ym_tree_root(scratch, root);
}

/* Both checkpoints are signed by the log's own key: together they prove what it did. */
static enum ym_code contradiction(struct pull *p, const char *what, uint64_t at)
{
    char folder[4400], name[64], path[4500];
    struct ym_buf hex = {0};
    enum ym_code kept = ym_hex_encode(p->promise.root, 8, &hex);

    snprintf(folder, sizeof folder, "%s/contradiction", p->dir);
    snprintf(name, sizeof name, "%" PRIu64 "-%s", p->promise.size, ym_buf_str(&hex));
    ym_buf_release(&hex);
    if (kept == YM_OK)
        kept = ym_fs_mkdirs(folder, 0755, p->st);
    if (kept == YM_OK)
        kept = ym_fs_join(path, sizeof path, folder, name);
    if (kept == YM_OK)
        kept = ym_fs_write(path, p->promise.note, 0644, p->st);
    return ym_status_set(p->st, YM_CONFLICT,
                         "%s %" PRIu64 ": the log's key has signed two histories; this copy was left as it is, and the "
                         "other checkpoint is kept in '%s/contradiction'%s",
                         what, at, p->dir, kept == YM_OK ? "" : " (but could not be written)");
}

/* The source's checkpoint covers no more than the copy. */
static enum ym_code compare_shorter(struct pull *p)
{
    struct ym_tree *scratch = malloc(sizeof *scratch);
    uint8_t root[YM_HASH_BYTES];

    if (!scratch)
        return ym_status_set(p->st, YM_EXHAUSTED, "out of memory");
    root_at(p->l, p->promise.size, root, scratch);
    free(scratch);
    if (memcmp(root, p->promise.root, sizeof root) != 0)
        return contradiction(p, "another root at size", p->promise.size);
    if (p->promise.size < p->l->tree->size)
        return ym_status_set(p->st, YM_CONFLICT,
                             "the log that is served ends at %" PRIu64 " entries; this copy already holds %" PRIu64
                             " and stays",
                             p->promise.size, p->l->tree->size);
    return YM_OK;
}

/* Signature lines (cosignatures) that the copy's checkpoint lacks are added to it. */
static enum ym_code add_lines(struct pull *p)
{
    struct ym_stage stage = {.root = p->l->root};
    struct ym_buf note = {0};
    const char *line = ym_buf_str(&p->note), *end = strstr(line, "\n\n");
    enum ym_code code = ym_buf_append(&note, p->l->note.data, p->l->note.len);

    for (line = end ? end + 2 : ""; code == YM_OK && *line; line = end) {
        end = strchrnul(line, '\n');
        end += *end != 0;
        if (!memmem(note.data, note.len, line, (size_t)(end - line)) &&
            note.len + (size_t)(end - line) <= YM_CHECKPOINT_MAX)
            code = ym_buf_append(&note, line, (size_t)(end - line));
    }
    if (code == YM_OK && note.len != p->l->note.len)
        code = ym_stage_put(&stage, "checkpoint", ym_buf_bytes(&note), p->st);
    if (code == YM_OK && note.len != p->l->note.len)
        code = ym_stage_commit(&stage, 0, p->st);
    ym_stage_release(&stage);
    ym_buf_release(&note);
    return code;
}

/* ---- the roots of bundles ---- */

static enum ym_code get_bundle_roots(struct pull *p)
{
    struct ym_buf tile = {0};
    enum ym_code code = YM_OK;

    p->bundles = p->promise.size / YM_BUNDLE_LEAVES;
    free(p->bundle_root);
    p->bundle_root = calloc(p->bundles + 1, sizeof *p->bundle_root);
    if (!p->bundle_root)
        return ym_status_set(p->st, YM_EXHAUSTED, "out of memory");
    for (uint64_t done = 0; code == YM_OK && done < p->bundles; done += YM_TILE_HASHES) {
        size_t width = p->bundles - done < YM_TILE_HASHES ? (size_t)(p->bundles - done) : YM_TILE_HASHES;

        ym_buf_clear(&tile);
        code = get_tile(p->source, 1, done / YM_TILE_HASHES, width, &tile, p->st);
        if (code == YM_OK && tile.len != width * YM_HASH_BYTES)
            code = ym_status_set(p->st, YM_CORRUPT, "a tile of %zu hashes has %zu bytes", width, tile.len);
        if (code == YM_OK)
            memcpy(p->bundle_root[done], tile.data, tile.len);
    }
    ym_buf_release(&tile);
    return code;
}

static enum ym_code push_entry(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];

    (void)i, (void)st;
    ym_tree_leaf_hash(leaf, hash);
    ym_tree_push(ctx, hash, NULL, NULL);
    return YM_OK;
}

static enum ym_code get_last_bundle(struct pull *p)
{
    size_t width = p->promise.size % YM_BUNDLE_LEAVES;

    ym_buf_clear(&p->last);
    return width ? get_tile(p->source, -1, p->bundles, width, &p->last, p->st) : YM_OK;
}

/* Roots of the full bundles and the entries of the last one must give the signed root. */
static enum ym_code check_roots(struct pull *p)
{
    struct ym_tree *tree = calloc(1, sizeof *tree);
    uint8_t root[YM_HASH_BYTES];
    enum ym_code code;

    if (!tree)
        return ym_status_set(p->st, YM_EXHAUSTED, "out of memory");
    for (uint64_t b = 0; b < p->bundles; b++)
        ym_tree_push_tile(tree, p->bundle_root[b], NULL, NULL);
    code = ym_bundle_each(ym_buf_bytes(&p->last), p->promise.size % YM_BUNDLE_LEAVES, push_entry, tree, p->st);
    ym_tree_root(tree, root);
    free(tree);
    if (code == YM_OK && memcmp(root, p->promise.root, sizeof root) != 0)
        code = ym_status_set(p->st, YM_CORRUPT, "what is served does not give the root of the checkpoint");
    return code;
}

/* ---- bundles ---- */

struct leaves {
    uint8_t hash[YM_BUNDLE_LEAVES][YM_HASH_BYTES];
};

static enum ym_code hash_entry(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    struct leaves *o = ctx;

    (void)st;
    ym_tree_leaf_hash(leaf, o->hash[i]);
    return YM_OK;
}

/* Entries of bundle b that the copy holds already must be the same. */
static enum ym_code check_continues(struct pull *p, uint64_t b, const struct leaves *o)
{
    uint64_t first = b * YM_BUNDLE_LEAVES;

    for (uint64_t i = first; i < p->l->tree->size && i < first + YM_BUNDLE_LEAVES; i++)
        if (memcmp(o->hash[i - first], p->l->leaf_hash[i], YM_HASH_BYTES) != 0)
            return contradiction(p, "another entry", i);
    return YM_OK;
}

static enum ym_code check_bundle(struct pull *p, uint64_t b, struct ym_bytes bytes)
{
    bool full = b < p->bundles;
    struct leaves o;
    uint8_t root[YM_HASH_BYTES];
    enum ym_code code =
        ym_bundle_each(bytes, full ? YM_BUNDLE_LEAVES : p->promise.size % YM_BUNDLE_LEAVES, hash_entry, &o, p->st);

    if (code == YM_OK && full) {
        ym_tree_tile_root((const uint8_t(*)[YM_HASH_BYTES])o.hash, root);
        if (memcmp(root, p->bundle_root[b], sizeof root) != 0)
            code = ym_status_set(p->st, YM_CORRUPT, "entries %" PRIu64 " and after are not those of the checkpoint",
                                 b * YM_BUNDLE_LEAVES);
    }
    return code == YM_OK ? check_continues(p, b, &o) : code;
}

/* Full bundles of the copy against the roots, before anything is fetched. */
static enum ym_code check_prefix(struct pull *p)
{
    uint64_t have = p->l->tree->size;
    uint8_t root[YM_HASH_BYTES];

    for (uint64_t b = 0; b < have / YM_BUNDLE_LEAVES; b++) {
        ym_tree_tile_root((const uint8_t(*)[YM_HASH_BYTES])p->l->leaf_hash[b * YM_BUNDLE_LEAVES], root);
        if (memcmp(root, p->bundle_root[b], sizeof root) != 0)
            return contradiction(p, "other entries from", b * YM_BUNDLE_LEAVES);
    }
    return YM_OK;
}

static void staged_path(const struct pull *p, uint64_t b, char out[4200])
{
    snprintf(out, 4200, "%s/" STAGED_NAME, p->dir, b);
}

/* One that an earlier pull left, if it is right. */
static bool staged_good(struct pull *p, uint64_t b)
{
    struct ym_status *st = p->st;
    struct ym_buf bytes = {0};
    char path[4200];
    bool good;

    staged_path(p, b, path);
    p->st = NULL;
    good = ym_fs_read(path, YM_BUNDLE_MAX, &bytes, NULL) == YM_OK && check_bundle(p, b, ym_buf_bytes(&bytes)) == YM_OK;
    p->st = st;
    ym_buf_release(&bytes);
    return good;
}

static enum ym_code fetch_bundle(struct pull *p, uint64_t b)
{
    struct ym_buf bytes = {0};
    char path[4200];
    enum ym_code code = get_tile(p->source, -1, b, YM_TILE_HASHES, &bytes, p->st);

    if (code == YM_OK)
        code = check_bundle(p, b, ym_buf_bytes(&bytes));
    staged_path(p, b, path);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&bytes), 0644, p->st);
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code fetch_bundles(struct pull *p)
{
    uint64_t first = p->l->tree->size / YM_BUNDLE_LEAVES;
    enum ym_code code = check_prefix(p);

    if (code == YM_OK && p->last.len > 0)
        code = check_bundle(p, p->bundles, ym_buf_bytes(&p->last));
    for (uint64_t b = first; code == YM_OK && b < p->bundles; b++) {
        if (!staged_good(p, b))
            code = fetch_bundle(p, b);
        if (code == YM_OK && p->source->progress)
            p->source->progress(p->source->ctx, (b + 1) * YM_BUNDLE_LEAVES, p->promise.size);
    }
    return code;
}

/* ---- into place ---- */

struct batch {
    struct ym_buf bytes;
    struct ym_bytes leaf[YM_APPEND_MAX];
    size_t count, skip;
};

static enum ym_code take_entry(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    struct batch *a = ctx;

    (void)i, (void)st;
    if (a->skip > 0)
        a->skip--;
    else
        a->leaf[a->count++] = leaf;
    return YM_OK;
}

static enum ym_code read_batch(struct pull *p, struct batch *a, uint64_t *next)
{
    uint64_t first = *next;
    enum ym_code code = YM_OK;
    char path[4200];

    ym_buf_clear(&a->bytes);
    for (; code == YM_OK && *next < p->bundles && *next - first < YM_APPEND_MAX / YM_BUNDLE_LEAVES &&
           a->bytes.len < PULL_BATCH_BYTES;
         ++*next) {
        staged_path(p, *next, path);
        code = ym_fs_read(path, YM_BUNDLE_MAX, &a->bytes, p->st);
    }
    if (code == YM_OK && *next == first) { /* the partial one, alone */
        code = ym_buf_append(&a->bytes, p->last.data, p->last.len);
        ++*next;
    }
    return code;
}

/* Signed only with the last batch: before it, the copy's checkpoint is the old one. */
static enum ym_code install(struct pull *p)
{
    struct batch *a = calloc(1, sizeof *a);
    uint64_t next = p->l->tree->size / YM_BUNDLE_LEAVES;
    struct ym_promise none = {0};
    enum ym_code code = a ? YM_OK : ym_status_set(p->st, YM_EXHAUSTED, "out of memory");

    while (code == YM_OK && p->l->tree->size < p->promise.size) {
        uint64_t first = next, have = p->l->tree->size, end;

        code = read_batch(p, a, &next);
        end = next > p->bundles ? p->promise.size : next * YM_BUNDLE_LEAVES;
        a->count = 0;
        a->skip = (size_t)(have - first * YM_BUNDLE_LEAVES);
        if (code == YM_OK)
            code =
                ym_bundle_each(ym_buf_bytes(&a->bytes), (size_t)(end - first * YM_BUNDLE_LEAVES), take_entry, a, p->st);
        if (code == YM_OK)
            code = ym_ledger_extend(p->l, a->leaf, a->count, end == p->promise.size ? &p->promise : &none, p->st);
    }
    if (a)
        ym_buf_release(&a->bytes);
    free(a);
    return code;
}

static void remove_staged(struct pull *p, uint64_t from)
{
    char path[4200];

    for (uint64_t b = from; b < p->bundles; b++) {
        staged_path(p, b, path);
        unlink(path);
    }
}

/* ---- sealed checkpoints: of sizes whose last entry is a round_result (audit/ledger/seal.h) ---- */

#define SEALED_AGAIN 16 /* cosignatures come late: the newest ones are asked for each time */
#define SEALED_MISSES 3 /* so many missing in a row: this server has none */

struct seals {
    uint64_t *size;
    size_t count, cap;
    bool failed;
};

static bool note_seal(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    static const char mark[] = "\"type\":\"round_result\"";
    struct seals *s = ctx;

    if (!memmem(leaf.data, leaf.len, mark, sizeof mark - 1))
        return true;
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        uint64_t *grown = realloc(s->size, cap * sizeof *grown);

        s->failed = !grown;
        if (!grown)
            return false;
        s->size = grown;
        s->cap = cap;
    }
    s->size[s->count++] = index + 1;
    return true;
}

/* The text and as many lines as a checkpoint may have; the log's own is the first. */
static struct ym_bytes head_of(const struct ym_buf *note)
{
    size_t len = note->len < YM_CHECKPOINT_MAX ? note->len : YM_CHECKPOINT_MAX;

    while (len > 0 && note->data[len - 1] != '\n')
        len--;
    return (struct ym_bytes){note->data, len};
}

static enum ym_code keep_seal(struct pull *p, uint64_t size, const struct ym_buf *note)
{
    const char *line, *end = strstr(ym_buf_str(note), "\n\n");
    struct ym_promise said = {.note = head_of(note)};
    uint8_t root[YM_HASH_BYTES];
    enum ym_code code = ym_checkpoint_open(said.note, p->l->origin, p->l->pub, &said.size, said.root, p->st);

    if (code == YM_OK && said.size != size)
        code = ym_status_set(p->st, YM_CORRUPT, "the sealed checkpoint of %" PRIu64 " is of another size", size);
    if (code == YM_OK)
        code = ym_proof_root(p->dir, size, root, p->st);
    if (code == YM_OK && memcmp(root, said.root, sizeof root) != 0) {
        p->promise = said;
        return contradiction(p, "another root at size", size);
    }
    if (code == YM_OK)
        code = ym_seal_write(p->dir, size, said.note, p->st);
    for (line = end ? end + 2 : ""; code == YM_OK && *line; line = end) {
        end = strchrnul(line, '\n');
        end += *end != 0;
        code = ym_seal_add(p->dir, size, (struct ym_bytes){(const uint8_t *)line, (size_t)(end - line)}, p->st);
    }
    return code;
}

static enum ym_code get_seal(struct pull *p, uint64_t size)
{
    struct ym_buf note = {0};
    char name[64];
    enum ym_code code;

    snprintf(name, sizeof name, "cosigned/%020" PRIu64, size);
    code = p->source->get(p->source->ctx, name, YM_COSIGNED_MAX, &note, p->st);
    if (code == YM_OK)
        judge_lines(p, &note);
    if (code == YM_OK)
        code = keep_seal(p, size, &note);
    ym_buf_release(&note);
    return code;
}

static enum ym_code pull_seals(struct pull *p)
{
    struct seals s = {0};
    struct ym_buf have = {0};
    int missing = 0;
    enum ym_code code = ym_ledger_each(p->l, 0, note_seal, &s, p->st);

    if (s.failed)
        code = ym_status_set(p->st, YM_EXHAUSTED, "out of memory");
    for (size_t i = s.count; code == YM_OK && i > 0 && missing < SEALED_MISSES; i--) {
        ym_buf_clear(&have);
        if (i + SEALED_AGAIN <= s.count && ym_seal_read(p->dir, s.size[i - 1], &have, NULL) == YM_OK)
            continue;
        code = get_seal(p, s.size[i - 1]);
        missing = code == YM_NOT_FOUND ? missing + 1 : 0;
        code = code == YM_NOT_FOUND ? YM_OK : code;
    }
    ym_buf_release(&have);
    free(s.size);
    return code;
}

static enum ym_code pull_once(struct pull *p)
{
    uint64_t first = p->l->tree->size / YM_BUNDLE_LEAVES;
    enum ym_code code = get_checkpoint(p);

    if (code != YM_OK)
        return code;
    if (p->promise.size <= p->l->tree->size && p->l->note.len > 0) {
        code = compare_shorter(p);
        return code == YM_OK ? add_lines(p) : code;
    }
    code = get_bundle_roots(p);
    if (code == YM_OK)
        code = get_last_bundle(p);
    if (code == YM_OK)
        code = check_roots(p);
    if (code == YM_OK)
        code = fetch_bundles(p);
    if (code == YM_OK && p->promise.size == 0)
        return ym_ledger_extend(p->l, NULL, 0, &p->promise, p->st);
    if (code == YM_OK)
        code = install(p);
    if (code == YM_OK)
        remove_staged(p, first);
    return code;
}

enum ym_code ym_ledger_pull(const char *dir, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                            const struct ym_pull_source *source, struct ym_pulled *out, struct ym_status *st)
{
    struct pull p = {.source = source, .dir = dir, .st = st};
    enum ym_code code = ym_ledger_prepare(dir, origin, &p.l, st);

    if (code == YM_OK) {
        memcpy(p.l->pub, pub, YM_PUBKEY_BYTES);
        code = ym_ledger_load(p.l, st);
    }
    if (code == YM_OK)
        out->before = p.l->tree->size;
    if (code == YM_OK)
        code = pull_once(&p);
    for (int i = 1; code == YM_NOT_FOUND && i < PULL_ATTEMPTS; i++)
        code = pull_once(&p);
    if (code == YM_OK) {
        out->size = p.promise.size;
        memcpy(out->root, p.promise.root, sizeof out->root);
        code = pull_seals(&p);
    }
    ym_ledger_close(&p.l);
    ym_buf_release(&p.note);
    ym_buf_release(&p.last);
    free(p.bundle_root);
    return code == YM_OK ? YM_OK : ym_status_wrap(st, code, "mirror '%s'", dir);
}

/* ---- who says it is ---- */

enum ym_code ym_pull_origin(const struct ym_pull_source *source, char origin[256], struct ym_status *st)
{
    struct ym_buf note = {0};
    enum ym_code code = source->get(source->ctx, "checkpoint", YM_CHECKPOINT_MAX, &note, st);
    size_t len = code == YM_OK ? strcspn(ym_buf_str(&note), "\n") : 0;

    if (code == YM_OK && (len == 0 || len >= 256 || !ym_utf8_valid(ym_buf_str(&note), len)))
        code = ym_status_set(st, YM_CORRUPT, "the checkpoint that is served is not a signed note");
    if (code == YM_OK) {
        memcpy(origin, note.data, len);
        origin[len] = 0;
    }
    ym_buf_release(&note);
    return code;
}

static enum ym_code owner_of_leaf(struct ym_bytes line, uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st)
{
    struct ym_buf key = {0};
    json_t *leaf = NULL;
    const char *text = NULL;
    enum ym_code code = ym_leaf_parse(line, &leaf, st);

    if (code == YM_OK)
        code = ym_json_get_str(leaf, "identity_key", &text, st);
    if (code == YM_OK && (ym_base64_decode(text, strlen(text), &key) != YM_OK || key.len != YM_PUBKEY_BYTES))
        code = ym_status_set(st, YM_CORRUPT, "entry 0 names no key");
    if (code == YM_OK)
        memcpy(pub, key.data, YM_PUBKEY_BYTES);
    ym_buf_release(&key);
    json_decref(leaf);
    return code;
}

/* Line 2 of a note. */
static uint64_t note_size(const struct ym_buf *note)
{
    const char *line = strchr(ym_buf_str(note), '\n');

    return line ? strtoull(line + 1, NULL, 10) : 0;
}

enum ym_code ym_pull_owner(const struct ym_pull_source *source, uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st)
{
    struct ym_buf note = {0}, bundle = {0};
    enum ym_code code = source->get(source->ctx, "checkpoint", YM_CHECKPOINT_MAX, &note, st);
    uint64_t size = note_size(&note);

    if (code == YM_OK && size == 0)
        code = ym_status_set(st, YM_CORRUPT, "the log that is served is empty: nothing tells its key");
    if (code == YM_OK)
        code = get_tile(source, -1, 0, size < YM_BUNDLE_LEAVES ? (size_t)size : YM_BUNDLE_LEAVES, &bundle, st);
    if (code == YM_OK) {
        size_t len = bundle.len < 2 ? 0 : (size_t)(bundle.data[0] << 8 | bundle.data[1]);

        code = len == 0 || len > bundle.len - 2 ? ym_status_set(st, YM_CORRUPT, "the first bundle ends inside entry 0")
                                                : owner_of_leaf((struct ym_bytes){bundle.data + 2, len}, pub, st);
    }
    ym_buf_release(&note);
    ym_buf_release(&bundle);
    return code;
}

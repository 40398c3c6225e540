#include <stdlib.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "base/fs.h"
#include "base/log.h"
#include "worker/trainer/watch_internal.h"

/* site/hub.seen, little-endian: "YMSEEN2\n", the hub's key, size and root of the own
 * ledger, number of opened rounds and each {name[64] round attempt}, whether all other
 * people are known, number of their counts and each {name[64] exporter year people}, note length and
 * note, size of the hub's log and the edges of its tree, SHA-256 of all before. */

#define MAGIC "YMSEEN2\n"
#define FILE_MAX (1 << 20)

static void put(struct ym_buf *b, const void *data, size_t len)
{
    ym_buf_append(b, data, len);
}

static void put_u64(struct ym_buf *b, uint64_t v)
{
    uint8_t raw[8];

    for (int i = 0; i < 8; i++)
        raw[i] = (uint8_t)(v >> (8 * i));
    put(b, raw, sizeof raw);
}

static bool get(struct ym_bytes *from, void *to, size_t len)
{
    if (from->len < len)
        return false;
    memcpy(to, from->data, len);
    from->data += len;
    from->len -= len;
    return true;
}

static bool get_u64(struct ym_bytes *from, uint64_t *v)
{
    uint8_t raw[8];

    if (!get(from, raw, sizeof raw))
        return false;
    *v = 0;
    for (int i = 8; i-- > 0;)
        *v = *v << 8 | raw[i];
    return true;
}

static void put_own(const struct ym_watch *w, struct ym_buf *b)
{
    uint8_t root[YM_HASH_BYTES];

    ym_ledger_root(w->ledger, root);
    put_u64(b, ym_ledger_size(w->ledger));
    put(b, root, sizeof root);
}

static void put_tree(const struct ym_tree *t, struct ym_buf *b)
{
    put_u64(b, t->size);
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++)
        put(b, t->edge[level], ym_tree_width(t, level) * YM_HASH_BYTES);
}

static void put_exported(const struct ym_view *v, struct ym_buf *b)
{
    put_u64(b, !v->people_unknown);
    put_u64(b, v->exported_count);
    for (size_t i = 0; i < v->exported_count; i++) {
        const struct ym_exported *e = &v->exported[i];

        put(b, e->by, sizeof e->by);
        put(b, e->exporter, sizeof e->exporter);
        put_u64(b, (uint64_t)e->year);
        put_u64(b, (uint64_t)e->people);
    }
}

void ym_watch_keep(struct ym_watch *w)
{
    struct ym_buf b = {0};
    struct ym_status st = YM_STATUS_INIT;
    uint8_t hash[YM_HASH_BYTES];

    put(&b, MAGIC, 8);
    put(&b, w->hub_key, sizeof w->hub_key);
    put_own(w, &b);
    put_u64(&b, w->checked.opened_count);
    for (size_t i = 0; i < w->checked.opened_count; i++) {
        put(&b, w->checked.opened[i].study, 64);
        put_u64(&b, w->checked.opened[i].round);
        put_u64(&b, w->checked.opened[i].attempt);
    }
    put_exported(&w->checked, &b);
    put_u64(&b, w->note.len);
    put(&b, w->note.data, w->note.len);
    put_tree(&w->checked.tree, &b);
    ym_sha256(b.data, b.len, hash);
    put(&b, hash, sizeof hash);
    if (ym_fs_write(w->path, ym_buf_bytes(&b), 0600, &st) == YM_OK)
        w->kept_size = w->checked.tree.size;
    else
        ym_log(YM_LOG_WARN, "trainer.seen", "why=\"%s\"", st.message);
    ym_buf_release(&b);
}

static bool get_opened(struct ym_bytes *from, struct ym_view *v)
{
    uint64_t count, round, attempt;

    if (!get_u64(from, &count) || count > YM_WATCH_OPENED)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct ym_opened o;

        if (!get(from, o.study, sizeof o.study) || !get_u64(from, &round) || !get_u64(from, &attempt))
            return false;
        o.study[63] = 0;
        o.round = (uint32_t)round;
        o.attempt = (uint32_t)attempt;
        if (ym_view_open(v, &o) != YM_OK)
            return false;
    }
    return true;
}

static bool get_exported(struct ym_bytes *from, struct ym_view *v)
{
    uint64_t known, count, year, people;

    if (!get_u64(from, &known) || !get_u64(from, &count) || count > YM_WATCH_EXPORTED)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct ym_exported e;

        if (!get(from, e.by, sizeof e.by) || !get(from, e.exporter, sizeof e.exporter) || !get_u64(from, &year) ||
            !get_u64(from, &people) || people > INT32_MAX)
            return false;
        e.by[63] = 0;
        e.year = (int64_t)year;
        e.people = (int64_t)people;
        if (ym_view_export(v, &e) != YM_OK)
            return false;
    }
    v->people_unknown |= !known;
    return true;
}

static bool get_tree(struct ym_bytes *from, struct ym_tree *t)
{
    if (!get_u64(from, &t->size) || t->size >> 62)
        return false;
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++)
        if (!get(from, t->edge[level], ym_tree_width(t, level) * YM_HASH_BYTES))
            return false;
    return from->len == 0;
}

static bool get_note(struct ym_bytes *from, struct ym_buf *note)
{
    uint64_t len;

    if (!get_u64(from, &len) || len > YM_CHECKPOINT_MAX || len > from->len)
        return false;
    ym_buf_clear(note);
    put(note, from->data, (size_t)len);
    from->data += len;
    from->len -= (size_t)len;
    return true;
}

/* The note is the hub's own and says what the tree says: a cache cannot talk us into less. */
static bool fits_note(const struct ym_watch *w, const struct ym_view *v, struct ym_bytes note)
{
    uint64_t size = 0;
    uint8_t root[YM_HASH_BYTES], tree[YM_HASH_BYTES];

    ym_tree_root(&v->tree, tree);
    return ym_checkpoint_open(note, w->hub_origin, w->hub_key, &size, root, NULL) == YM_OK && size == v->tree.size &&
           memcmp(root, tree, sizeof tree) == 0;
}

static void check_own(struct ym_watch *w, uint64_t size, const uint8_t root[YM_HASH_BYTES])
{
    uint8_t hash[YM_HASH_BYTES], got[YM_HASH_BYTES];

    w->remembered = size;
    if (size > ym_ledger_size(w->ledger)) {
        w->state = YM_WATCH_LEDGER_BEHIND;
        return;
    }
    memset(&w->own, 0, sizeof w->own);
    while (w->own.size < size) {
        ym_ledger_leaf_hash(w->ledger, w->own.size, hash);
        ym_tree_push(&w->own, hash, NULL, NULL);
    }
    ym_tree_root(&w->own, got);
    if (memcmp(got, root, sizeof got) == 0)
        return;
    w->state = YM_WATCH_LEDGER_FORKED;
    w->checked.forked = w->next.forked = true;
}

static bool read_all(struct ym_watch *w, struct ym_bytes b, uint64_t *own_size, uint8_t own_root[YM_HASH_BYTES])
{
    uint8_t magic[8], key[YM_PUBKEY_BYTES], hash[YM_HASH_BYTES];
    struct ym_bytes rest = {b.data, b.len < YM_HASH_BYTES ? 0 : b.len - YM_HASH_BYTES};

    ym_sha256(rest.data, rest.len, hash);
    return rest.len > 0 && memcmp(hash, rest.data + rest.len, sizeof hash) == 0 && get(&rest, magic, sizeof magic) &&
           memcmp(magic, MAGIC, sizeof magic) == 0 && get(&rest, key, sizeof key) &&
           memcmp(key, w->hub_key, sizeof key) == 0 && get_u64(&rest, own_size) &&
           get(&rest, own_root, YM_HASH_BYTES) && get_opened(&rest, &w->checked) && get_exported(&rest, &w->checked) &&
           get_note(&rest, &w->note) && get_tree(&rest, &w->checked.tree) &&
           fits_note(w, &w->checked, ym_buf_bytes(&w->note));
}

/* A ledger that was set back has seen less than the cache: what it lacks is asked for from the beginning. */
void ym_watch_load(struct ym_watch *w)
{
    struct ym_buf b = {0};
    uint64_t own_size = 0;
    uint8_t own_root[YM_HASH_BYTES];

    ym_view_release(&w->checked);
    ym_view_release(&w->next);
    if (ym_fs_read(w->path, FILE_MAX, &b, NULL) != YM_OK || !read_all(w, ym_buf_bytes(&b), &own_size, own_root)) {
        ym_view_release(&w->checked);
        ym_buf_clear(&w->note);
        ym_buf_release(&b);
        return;
    }
    ym_buf_release(&b);
    check_own(w, own_size, own_root);
    if (w->state >= YM_WATCH_LEDGER_BEHIND) {
        bool forked = w->checked.forked;

        ym_view_release(&w->checked);
        w->checked.forked = w->next.forked = forked;
        ym_buf_clear(&w->note);
        return;
    }
    w->kept_size = w->checked.tree.size;
    w->next.tree = w->checked.tree;
    for (size_t i = 0; i < w->checked.opened_count; i++)
        ym_view_open(&w->next, &w->checked.opened[i]);
    w->next.people_unknown = w->checked.people_unknown;
    for (size_t i = 0; i < w->checked.exported_count; i++)
        ym_view_export(&w->next, &w->checked.exported[i]);
}

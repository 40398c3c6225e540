#include <stdlib.h>
#include <string.h>

#include "audit/ledger/ledger_internal.h"

static bool grow(struct ym_pending_list *p)
{
    size_t cap = p->cap ? 2 * p->cap : 8;
    struct ym_pending *item;

    if (p->count < p->cap)
        return true;
    item = realloc(p->item, cap * sizeof(*item));
    if (!item)
        return false;
    p->item = item;
    p->cap = cap;
    return true;
}

void ym_pending_add(struct ym_pending_list *p, const char *path, const void *data, size_t len)
{
    struct ym_pending *item;

    if (p->failed || !grow(p)) {
        p->failed = true;
        return;
    }
    item = &p->item[p->count];
    memset(item, 0, sizeof(*item));
    memcpy(item->path, path, strlen(path) + 1);
    if (ym_buf_append(&item->bytes, data, len) != YM_OK)
        p->failed = true;
    else
        p->count++;
}

void ym_pending_release(struct ym_pending_list *p)
{
    for (size_t i = 0; i < p->count; i++)
        ym_buf_release(&p->item[i].bytes);
    free(p->item);
    *p = (struct ym_pending_list){0};
}

void ym_pending_full_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[YM_HASH_BYTES])
{
    char path[YM_TILE_PATH];

    ym_tile_path(path, (int)level, index, YM_TILE_HASHES);
    ym_pending_add(ctx, path, hash, YM_TILE_HASHES * YM_HASH_BYTES);
}

void ym_pending_tiles(struct ym_pending_list *p, const struct ym_tree *t, uint64_t old_size)
{
    char path[YM_TILE_PATH];

    for (unsigned level = 0; level < YM_TILE_LEVELS; level++) {
        size_t width = ym_tree_width(t, level);

        if (t->size >> (8 * level) == old_size >> (8 * level))
            break;
        if (width == 0)
            continue;
        ym_tile_path(path, (int)level, ym_tree_tile(t, level), width);
        ym_pending_add(p, path, t->edge[level], width * YM_HASH_BYTES);
    }
}

enum ym_code ym_bundle_each(struct ym_bytes bundle, size_t count,
                            enum ym_code (*fn)(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st),
                            void *ctx, struct ym_status *st)
{
    size_t at = 0, seen = 0;

    for (; at < bundle.len; seen++) {
        struct ym_bytes leaf;
        enum ym_code code;

        if (bundle.len - at < 2)
            return ym_status_set(st, YM_CORRUPT, "the bundle ends inside a length");
        leaf.len = (size_t)bundle.data[at] << 8 | bundle.data[at + 1];
        leaf.data = bundle.data + at + 2;
        if (leaf.len > bundle.len - at - 2)
            return ym_status_set(st, YM_CORRUPT, "the bundle ends inside entry %zu", seen);
        if (seen == count)
            return ym_status_set(st, YM_CORRUPT, "the bundle holds more than %zu entries", count);
        code = fn(ctx, seen, leaf, st);
        if (code != YM_OK)
            return code;
        at += 2 + leaf.len;
    }
    if (seen != count)
        return ym_status_set(st, YM_CORRUPT, "the bundle holds %zu of %zu entries", seen, count);
    return YM_OK;
}

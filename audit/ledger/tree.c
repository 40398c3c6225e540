#include "audit/ledger/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* RFC 6962, section 2.1: leaves are hashed behind 0x00, nodes behind 0x01. */
void ym_tree_leaf_hash(struct ym_bytes leaf, uint8_t out[YM_HASH_BYTES])
{
    static const uint8_t prefix = 0;
    struct ym_sha256 *h = ym_sha256_new();

    ym_sha256_update(h, &prefix, 1);
    ym_sha256_update(h, leaf.data, leaf.len);
    ym_sha256_final(&h, out);
}

void ym_tree_node_hash(const uint8_t left[YM_HASH_BYTES], const uint8_t right[YM_HASH_BYTES],
                       uint8_t out[YM_HASH_BYTES])
{
    uint8_t text[1 + 2 * YM_HASH_BYTES];

    text[0] = 1;
    memcpy(text + 1, left, YM_HASH_BYTES);
    memcpy(text + 1 + YM_HASH_BYTES, right, YM_HASH_BYTES);
    ym_sha256(text, sizeof(text), out);
}

/* count is a power of two, at most 256. */
static void subtree_root(const uint8_t (*hash)[YM_HASH_BYTES], size_t count, uint8_t out[YM_HASH_BYTES])
{
    uint8_t row[YM_TILE_HASHES][YM_HASH_BYTES];

    memcpy(row, hash, count * YM_HASH_BYTES);
    for (; count > 1; count /= 2)
        for (size_t i = 0; i < count / 2; i++)
            ym_tree_node_hash(row[2 * i], row[2 * i + 1], row[i]);
    memcpy(out, row[0], YM_HASH_BYTES);
}

size_t ym_tree_width(const struct ym_tree *t, unsigned level)
{
    return (t->size >> (8 * level)) & (YM_TILE_HASHES - 1);
}

uint64_t ym_tree_tile(const struct ym_tree *t, unsigned level)
{
    return level + 1 < YM_TILE_LEVELS ? t->size >> (8 * (level + 1)) : 0;
}

static void push_at(struct ym_tree *t, unsigned level, const uint8_t given[YM_HASH_BYTES], ym_tile_fn full, void *ctx)
{
    uint8_t hash[YM_HASH_BYTES];

    memcpy(hash, given, sizeof(hash));
    for (; level < YM_TILE_LEVELS; level++) {
        size_t width = ym_tree_width(t, level);

        memcpy(t->edge[level][width], hash, sizeof(hash));
        if (width + 1 < YM_TILE_HASHES)
            break;
        if (full)
            full(ctx, level, ym_tree_tile(t, level), (const uint8_t(*)[YM_HASH_BYTES])t->edge[level]);
        subtree_root((const uint8_t(*)[YM_HASH_BYTES])t->edge[level], YM_TILE_HASHES, hash);
    }
}

void ym_tree_push(struct ym_tree *t, const uint8_t leaf_hash[YM_HASH_BYTES], ym_tile_fn full, void *ctx)
{
    push_at(t, 0, leaf_hash, full, ctx);
    t->size++;
}

void ym_tree_push_tile(struct ym_tree *t, const uint8_t tile_root[YM_HASH_BYTES], ym_tile_fn full, void *ctx)
{
    push_at(t, 1, tile_root, full, ctx);
    t->size += YM_TILE_HASHES;
}

void ym_tree_tile_root(const uint8_t (*leaf_hash)[YM_HASH_BYTES], uint8_t out[YM_HASH_BYTES])
{
    subtree_root(leaf_hash, YM_TILE_HASHES, out);
}

void ym_tree_root(const struct ym_tree *t, uint8_t out[YM_HASH_BYTES])
{
    uint8_t acc[YM_HASH_BYTES], sub[YM_HASH_BYTES];
    bool have = false;

    /* Perfect subtrees from the smallest (right) to the largest (left). */
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++) {
        size_t width = ym_tree_width(t, level);

        for (unsigned bit = 0; bit < 8; bit++) {
            if (!(width >> bit & 1))
                continue;
            subtree_root((const uint8_t(*)[YM_HASH_BYTES]) & t->edge[level][width >> (bit + 1) << (bit + 1)],
                         (size_t)1 << bit, sub);
            if (have)
                ym_tree_node_hash(sub, acc, acc);
            else
                memcpy(acc, sub, sizeof(acc));
            have = true;
        }
    }
    if (have)
        memcpy(out, acc, YM_HASH_BYTES);
    else
        ym_sha256("", 0, out);
}

void ym_tile_path(char out[YM_TILE_PATH], int level, uint64_t index, size_t width)
{
    unsigned group[7];
    int count = 0, n;

    do {
        group[count++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    n = level < 0 ? snprintf(out, YM_TILE_PATH, "tile/entries") : snprintf(out, YM_TILE_PATH, "tile/%d", level);
    while (count-- > 0)
        n += snprintf(out + n, YM_TILE_PATH - (size_t)n, count > 0 ? "/x%03u" : "/%03u", group[count]);
    if (width < YM_TILE_HASHES)
        n += snprintf(out + n, YM_TILE_PATH - (size_t)n, ".p");
    if (width > 0 && width < YM_TILE_HASHES)
        snprintf(out + n, YM_TILE_PATH - (size_t)n, "/%zu", width);
}

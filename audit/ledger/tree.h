#ifndef YM_AUDIT_TREE_H
#define YM_AUDIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"

/* The growing side of an RFC 6962 tree: only the right edge of every tile level
 * is held, so an append costs a handful of hashes and a root at most 255 a
 * level. Pure; a plain value of about 64 KiB. */
#define YM_TILE_HASHES 256
#define YM_TILE_LEVELS 8

struct ym_tree {
    uint64_t size;
    uint8_t edge[YM_TILE_LEVELS][YM_TILE_HASHES][YM_HASH_BYTES];
};

/* A level's tile became full: 256 hashes, borrowed. */
typedef void (*ym_tile_fn)(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[YM_HASH_BYTES]);

void ym_tree_leaf_hash(struct ym_bytes leaf, uint8_t out[YM_HASH_BYTES]); /* SHA-256(0x00 leaf) */
void ym_tree_node_hash(const uint8_t left[YM_HASH_BYTES], const uint8_t right[YM_HASH_BYTES],
                       uint8_t out[YM_HASH_BYTES]); /* SHA-256(0x01 left right); out may be either */
void ym_tree_push(struct ym_tree *t, const uint8_t leaf_hash[YM_HASH_BYTES], ym_tile_fn full, void *ctx);
void ym_tree_root(const struct ym_tree *t, uint8_t out[YM_HASH_BYTES]);
/* The same for 256 leaves at once, by the root of their full tile; size must be a multiple of 256. */
void ym_tree_push_tile(struct ym_tree *t, const uint8_t tile_root[YM_HASH_BYTES], ym_tile_fn full, void *ctx);
/* Root of 256 leaf hashes. */
void ym_tree_tile_root(const uint8_t (*leaf_hash)[YM_HASH_BYTES], uint8_t out[YM_HASH_BYTES]);
/* Hashes in the partial tile of a level, and that tile's index. */
size_t ym_tree_width(const struct ym_tree *t, unsigned level);
uint64_t ym_tree_tile(const struct ym_tree *t, unsigned level);

/* "tile/<level>/x001/x234/067.p/<width>"; level -1 is "entries"; width 256 is a
 * full tile, 0 the folder of partial ones. The result fits 96 bytes. */
#define YM_TILE_PATH 96
void ym_tile_path(char out[YM_TILE_PATH], int level, uint64_t index, size_t width);

#endif

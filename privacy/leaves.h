#ifndef YM_PRIVACY_LEAVES_H
#define YM_PRIVACY_LEAVES_H

#include <stddef.h>
#include <stdint.h>

/* Who is summed with whom on the bounded route: each patient has a label, 64 random bits
 * of its own. The tree of their prefixes is cut where a node weighs at most `most`; such
 * nodes are the leaves, their members in the order in which they came. Where the others
 * stand, a patient's arrival or departure changes only the leaf that holds its label, which
 * it may break up: into no more leaves than its weight and one.
 *   m, scratch  [count]; m is put in the leaves' order
 *   leaf        is called for every leaf that is not empty: the next n of m
 * Aborts where 64 bits are too few: that many patients have equal labels with
 * probability below 2^-200. */
struct ym_leaf_member {
    uint64_t label;
    uint32_t patient, weight; /* weight 1 .. most */
};

typedef void (*ym_leaf_fn)(void *ctx, const struct ym_leaf_member *m, size_t n);

void ym_leaves(struct ym_leaf_member *m, struct ym_leaf_member *scratch, size_t count, size_t most, ym_leaf_fn leaf,
               void *ctx);

#endif

#include "privacy/leaves.h"

#include <string.h>

#include "base/status.h"

struct tree {
    struct ym_leaf_member *m, *scratch;
    size_t most;
    ym_leaf_fn leaf;
    void *ctx;
};

static uint64_t weight_of(const struct ym_leaf_member *m, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += m[i].weight;
    return sum;
}

/* Those whose label has no such bit come first; nobody overtakes one of the same side, or an
 * arrival would change the order of sums that it has no part in. Returns where the others begin. */
static size_t part(struct ym_leaf_member *m, struct ym_leaf_member *scratch, size_t n, uint64_t bit)
{
    size_t zeros = 0, ones = 0;

    for (size_t i = 0; i < n; i++) {
        if (m[i].label & bit)
            scratch[ones++] = m[i];
        else
            m[zeros++] = m[i];
    }
    memcpy(m + zeros, scratch, ones * sizeof *m);
    return zeros;
}

static void walk(const struct tree *t, size_t first, size_t end, uint64_t bit)
{
    size_t middle;

    if (first == end)
        return;
    if (weight_of(t->m + first, end - first) <= t->most) {
        t->leaf(t->ctx, t->m + first, end - first);
        return;
    }
    YM_ASSERT(bit != 0);
    middle = first + part(t->m + first, t->scratch, end - first, bit);
    walk(t, first, middle, bit >> 1);
    walk(t, middle, end, bit >> 1);
}

void ym_leaves(struct ym_leaf_member *m, struct ym_leaf_member *scratch, size_t count, size_t most, ym_leaf_fn leaf,
               void *ctx)
{
    struct tree t = {m, scratch, most, leaf, ctx};

    walk(&t, 0, count, UINT64_C(1) << 63);
}

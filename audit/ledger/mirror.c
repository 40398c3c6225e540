#include <inttypes.h>
#include <string.h>

#include "audit/ledger/ledger_internal.h"

/* What the mirror holds must be the beginning of what it is given. */
static enum ym_code check_prefix(const struct ym_ledger *l, const struct ym_bytes *leaf, size_t count,
                                 struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];

    if (count < l->tree->size)
        return ym_status_set(st, YM_CONFLICT, "the log offers %zu entries; this mirror already holds %" PRIu64, count,
                             l->tree->size);
    for (uint64_t i = 0; i < l->tree->size; i++) {
        ym_tree_leaf_hash(leaf[i], hash);
        if (memcmp(hash, l->leaf_hash[i], sizeof(hash)) != 0)
            return ym_status_set(st, YM_CONFLICT, "entry %" PRIu64 " of the log is not the one this mirror holds", i);
    }
    return YM_OK;
}

enum ym_code ym_ledger_mirror(const char *dir, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                              const struct ym_bytes *leaf, size_t count, struct ym_bytes checkpoint,
                              struct ym_status *st)
{
    struct ym_promise promise = {.note = checkpoint};
    struct ym_ledger *l = NULL;
    enum ym_code code = ym_checkpoint_open(checkpoint, origin, pub, &promise.size, promise.root, st);

    if (code == YM_OK)
        code = ym_ledger_prepare(dir, origin, &l, st);
    if (code == YM_OK) {
        memcpy(l->pub, pub, sizeof(l->pub));
        code = ym_ledger_load(l, st);
    }
    if (code == YM_OK)
        code = check_prefix(l, leaf, count, st);
    if (code == YM_OK)
        code = ym_ledger_extend(l, leaf + l->tree->size, count - l->tree->size, &promise, st);
    ym_ledger_close(&l);
    return code == YM_OK ? YM_OK : ym_status_wrap(st, code, "mirror '%s'", dir);
}

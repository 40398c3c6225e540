#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"

/* Entries that a hospital took back after a loss: as many as its recover entry counts
 * stand behind it, and their hashes give its digest. */

static void finish(struct ym_check *c, size_t log, struct ym_vreturn *r)
{
    uint8_t got[YM_VHASH];

    ym_vhash(r->hash, r->count * YM_VHASH, got);
    if (r->count != r->wanted || memcmp(got, r->digest, sizeof(got)) != 0)
        ym_check_find(c, log, (int64_t)r->entry, YM_REASON_RECOVER_DIFFERS,
                      "the %zu entries behind it are not the %zu that it names", r->count, r->wanted);
    free(r->hash);
    *r = (struct ym_vreturn){0};
}

/* It says how far the hub's log was compared: that log must have been so. */
static void check_hub(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e)
{
    const char *text = ym_entry_text(e, "hub_root");
    uint8_t said[YM_VHASH], root[YM_VHASH];

    ym_vhex(text, strlen(text), said, sizeof(said));
    for (size_t k = 0; k < c->v->log_count; k++)
        if (c->log[k].usable && c->log[k].hub &&
            (!ym_folder_root_at(&c->log[k].folder, (uint64_t)ym_entry_int(e, "hub_size"), root) ||
             memcmp(root, said, sizeof(root)) != 0))
            ym_check_find(c, log, (int64_t)i, YM_REASON_RECOVER_DIFFERS,
                          "the hub's log never had %" PRId64 " entries of this root", ym_entry_int(e, "hub_size"));
}

bool ym_return_begin(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, struct ym_vreturn *r)
{
    const char *digest = ym_entry_text(e, "digest");
    uint64_t settled = 0;

    if (r->active)
        finish(c, log, r);
    check_hub(c, log, i, e);
    *r = (struct ym_vreturn){.active = true, .entry = i, .wanted = (size_t)ym_entry_int(e, "count")};
    ym_vhex(digest, strlen(digest), r->digest, sizeof(r->digest));
    r->hash = calloc(r->wanted + 1, sizeof(*r->hash));
    c->no_memory |= !r->hash;
    if (!ym_vmap_get(&c->log[log].seen, &settled, "settled") || settled < (uint64_t)ym_entry_int(e, "hub_size"))
        ym_check_keep(c, &c->log[log].seen, (uint64_t)ym_entry_int(e, "hub_size"), "settled");
    c->v->log[log].recovers++;
    return r->hash != NULL;
}

bool ym_return_take(struct ym_check *c, size_t log, const struct ym_entry *e, struct ym_vreturn *r)
{
    if (!r->active || !r->hash)
        return false;
    if (r->count == r->wanted) {
        finish(c, log, r);
        return false;
    }
    ym_vhash(e->line.data, e->line.len, r->hash[r->count++]);
    c->v->log[log].returned++;
    return true;
}

void ym_return_end(struct ym_check *c, size_t log, struct ym_vreturn *r)
{
    if (r->active && r->hash)
        finish(c, log, r);
}

bool ym_return_settled(const struct ym_check *c, size_t log, uint64_t hub_entry)
{
    uint64_t settled = 0;

    return log != YM_NO_LOG && ym_vmap_get(&c->log[log].seen, &settled, "settled") && hub_entry < settled;
}

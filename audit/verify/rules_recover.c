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

static void settle(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e)
{
    struct ym_vlog *l = &c->log[log];
    struct ym_vsettled s = {(uint64_t)ym_entry_int(e, "hub_size"), (uint64_t)ym_entry_int(e, "known_size"), i}, *grown;

    if (l->settled_count > 0 && s.hub_size < l->settled[l->settled_count - 1].hub_size) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_RECOVER_DIFFERS,
                      "it was compared with %" PRIu64 " entries of the hub's log, an earlier recover with more",
                      s.hub_size);
        return;
    }
    grown = realloc(l->settled, (l->settled_count + 1) * sizeof(*grown));
    c->no_memory |= !grown;
    if (!grown)
        return;
    l->settled = grown;
    l->settled[l->settled_count++] = s;
}

bool ym_return_begin(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, struct ym_vreturn *r)
{
    const char *digest = ym_entry_text(e, "digest");
    if (r->active)
        finish(c, log, r);
    check_hub(c, log, i, e);
    *r = (struct ym_vreturn){.active = true,
                             .entry = i,
                             .wanted = (size_t)ym_entry_int(e, "count"),
                             .hub_size = (uint64_t)ym_entry_int(e, "hub_size")};
    ym_vhex(digest, strlen(digest), r->digest, sizeof(r->digest));
    r->hash = calloc(r->wanted + 1, sizeof(*r->hash));
    c->no_memory |= !r->hash;
    settle(c, log, i, e);
    c->v->log[log].recovers++;
    return r->hash != NULL;
}

bool ym_return_take(struct ym_check *c, size_t log, const struct ym_entry *e, struct ym_vreturn *r)
{
    char text[2 * YM_VHASH + 1];

    if (!r->active || !r->hash)
        return false;
    if (r->count == r->wanted) {
        finish(c, log, r);
        return false;
    }
    ym_vhash(e->line.data, e->line.len, r->hash[r->count]);
    ym_vhex_text(r->hash[r->count++], YM_VHASH, text);
    ym_check_keep(c, &c->log[log].seen, r->hub_size, "b|%s", text);
    c->v->log[log].returned++;
    return true;
}

void ym_return_end(struct ym_check *c, size_t log, struct ym_vreturn *r)
{
    if (r->active && r->hash)
        finish(c, log, r);
}

const struct ym_vsettled *ym_return_settled(const struct ym_check *c, size_t log, uint64_t hub_entry)
{
    size_t low = 0, high = log == YM_NO_LOG ? 0 : c->log[log].settled_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (c->log[log].settled[middle].hub_size > hub_entry)
            high = middle;
        else
            low = middle + 1;
    }
    return log != YM_NO_LOG && low < c->log[log].settled_count ? &c->log[log].settled[low] : NULL;
}

bool ym_return_found(struct ym_check *c, size_t log, size_t hub_entry, const struct ym_entry *e)
{
    struct ym_vmap *seen = &c->log[log].seen;
    uint8_t hash[YM_VHASH];
    char text[2 * YM_VHASH + 1];
    uint64_t hub_size = 0;

    if (c->log[log].settled_count == 0)
        return false;
    ym_vhash(e->line.data, e->line.len, hash);
    ym_vhex_text(hash, sizeof(hash), text);
    if (!ym_vmap_get(seen, &hub_size, "b|%s", text) || hub_entry >= hub_size)
        return false;
    ym_check_keep(c, seen, 0, "b|%s", text);
    return true;
}

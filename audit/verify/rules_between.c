#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

/* The hub's log and a hospital's, held against each other. */

static size_t log_of_hospital(const struct ym_check *c, const char *name)
{
    for (size_t k = 0; k < c->v->log_count; k++)
        if (c->log[k].usable && !c->log[k].hub && strcmp(c->v->log[k].name, name) == 0)
            return k;
    return YM_NO_LOG;
}

static void check_charge(struct ym_check *c, size_t hub, size_t i, const struct ym_entry *e)
{
    size_t site = log_of_hospital(c, e->by);
    const char *study = ym_entry_text(e, "study");
    int64_t round = ym_entry_int(e, "round"), attempt = ym_entry_int(e, "attempt");

    if (site == YM_NO_LOG) {
        c->v->log[hub].alone++;
        return;
    }
    if (ym_vmap_get(&c->log[site].seen, NULL, "h|%s", e->hash))
        return;
    if (ym_vmap_get(&c->log[site].seen, NULL, "c|%s|%" PRId64 "|%" PRId64, study, round, attempt))
        ym_check_find(c, hub, (int64_t)i, YM_REASON_CHARGE_DIFFERS,
                      "round %" PRId64 " of '%s': '%s' holds another charge than the hub", round, study, e->by);
    else
        ym_check_find(c, site, -1, YM_REASON_CHARGE_ABSENT,
                      "the hub's entry %zu is a charge of '%s' that is not in the hospital's own ledger", i, e->by);
}

/* One charge pays for one release: what the hub took must be the one that the hospital wrote down. */
static void check_release(struct ym_check *c, size_t hub, size_t i, const struct ym_entry *e)
{
    size_t site = log_of_hospital(c, e->by);
    const char *study = ym_entry_text(e, "study");
    int64_t round = ym_entry_int(e, "round");
    uint64_t charge = 0;

    if (site == YM_NO_LOG)
        return;
    if (ym_vmap_get(&c->log[site].seen, NULL, "l|%s", e->hash))
        return;
    if (ym_vmap_get(&c->log[site].seen, &charge, "h|%s", ym_entry_text(e, "charge")) && charge & YM_SEEN_RELEASED)
        ym_check_find(c, hub, (int64_t)i, YM_REASON_RELEASE_DIFFERS,
                      "round %" PRId64 " of '%s': '%s' holds another release of the same charge than the hub", round,
                      study, e->by);
    else
        ym_check_find(c, site, -1, YM_REASON_RELEASE_ABSENT,
                      "the hub's entry %zu is a release of '%s' that is not in the hospital's own ledger", i, e->by);
}

/* A hospital that the hub enrolled must be enrolled with the key of its ledger. */
static void check_identity(struct ym_check *c, size_t hub, size_t site)
{
    bool enrolled = false;

    for (size_t k = 0; k < c->party_count; k++) {
        const struct ym_vparty *p = &c->party[k];

        if (p->log != hub || p->entry == 0 || p->role != YM_BY_HOSPITAL || strcmp(p->name, c->v->log[site].name) != 0)
            continue;
        enrolled = true;
        if (memcmp(p->pub, c->log[site].owner, 32) == 0)
            return;
    }
    if (enrolled)
        ym_check_find(c, site, 0, YM_REASON_IDENTITY_DIFFERS, "the hub enrolled '%s' with another key",
                      c->v->log[site].name);
}

struct pass {
    struct ym_check *c;
    size_t hub;
};

static void *begin(struct ym_check *c, size_t hub)
{
    struct pass *p = malloc(sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct pass){c, hub};
    for (size_t k = 0; k < c->v->log_count; k++)
        if (c->log[k].usable && !c->log[k].hub)
            check_identity(c, hub, k);
    return p;
}

static void take(void *pass, size_t i, const struct ym_entry *e)
{
    const struct pass *p = pass;

    if (e->type == YM_ENTRY_CHARGE)
        check_charge(p->c, p->hub, i, e);
    else if (e->type == YM_ENTRY_RELEASE)
        check_release(p->c, p->hub, i, e);
}

const struct ym_rule ym_rule_between = {begin, take, free};

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

/* The hub's log and a hospital's, held against each other. */

#define POSTED UINT64_MAX /* a release that was found at the hub */

size_t ym_check_hospital(const struct ym_check *c, const char *name)
{
    for (size_t k = 0; k < c->v->log_count; k++)
        if (c->log[k].usable && !c->log[k].hub && strcmp(c->v->log[k].name, name) == 0)
            return k;
    return YM_NO_LOG;
}

static void check_charge(struct ym_check *c, size_t hub, size_t i, const struct ym_entry *e)
{
    size_t site = ym_check_hospital(c, e->by);
    const char *study = ym_entry_text(e, "study");
    int64_t round = ym_entry_int(e, "round"), attempt = ym_entry_int(e, "attempt");
    uint64_t at = 0;

    if (site == YM_NO_LOG) {
        c->v->log[hub].alone++;
        return;
    }
    if (ym_vmap_get(&c->log[site].seen, &at, "h|%s", e->hash)) {
        c->v->log[site].posted += !(at & YM_SEEN_POSTED);
        ym_check_keep(c, &c->log[site].seen, at | YM_SEEN_POSTED, "h|%s", e->hash);
        return;
    }
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
    size_t site = ym_check_hospital(c, e->by);
    const char *study = ym_entry_text(e, "study");
    int64_t round = ym_entry_int(e, "round");
    uint64_t charge = 0, at = 0;

    if (site == YM_NO_LOG)
        return;
    if (ym_vmap_get(&c->log[site].seen, &at, "l|%s", e->hash)) {
        c->v->log[site].received += at != POSTED;
        ym_check_keep(c, &c->log[site].seen, POSTED, "l|%s", e->hash);
        return;
    }
    if (ym_vmap_get(&c->log[site].seen, &charge, "h|%s", ym_entry_text(e, "charge")) && charge & YM_SEEN_RELEASED)
        ym_check_find(c, hub, (int64_t)i, YM_REASON_RELEASE_DIFFERS,
                      "round %" PRId64 " of '%s': '%s' holds another release of the same charge than the hub", round,
                      study, e->by);
    else
        ym_check_find(c, site, -1, YM_REASON_RELEASE_ABSENT,
                      "the hub's entry %zu is a release of '%s' that is not in the hospital's own ledger", i, e->by);
}

/* Every key that the hub enrolled for a hospital is the one of its own ledger, or of the trust file, where either is
 * there: under a second one the hub could sign approvals and charges in its name. */
static void check_identity(struct ym_check *c, size_t hub, const struct ym_vparty *enrolled)
{
    bool known = false;

    for (size_t k = 0; k < c->party_count; k++) {
        const struct ym_vparty *p = &c->party[k];

        if (p->entry != 0 || p->role != YM_BY_HOSPITAL || strcmp(p->name, enrolled->name) != 0)
            continue;
        known = true;
        if (memcmp(p->pub, enrolled->pub, sizeof(p->pub)) == 0)
            return;
    }
    if (known)
        ym_check_find(c, hub, (int64_t)enrolled->entry, YM_REASON_IDENTITY_DIFFERS,
                      "'%s' is enrolled with another key than its own", enrolled->name);
}

struct pass {
    struct ym_check *c;
    size_t hub;
    uint64_t *found; /* [log_count]: lines that a hospital took back, as they came by */
};

static void *begin(struct ym_check *c, size_t hub)
{
    struct pass *p = malloc(sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct pass){c, hub, calloc(c->v->log_count, sizeof(*p->found))};
    c->no_memory |= !p->found;
    for (size_t k = 0; k < c->v->log_count; k++)
        c->v->log[k].compared = !c->log[k].hub;
    for (size_t k = 0; k < c->party_count; k++)
        if (c->party[k].log == hub && c->party[k].entry > 0 && c->party[k].role == YM_BY_HOSPITAL)
            check_identity(c, hub, &c->party[k]);
    return p;
}

static void take(void *pass, size_t i, const struct ym_entry *e)
{
    const struct pass *p = pass;
    size_t site = ym_entry_signers(e->type) & YM_BY_HOSPITAL && p->found ? ym_check_hospital(p->c, e->by) : YM_NO_LOG;

    if (site != YM_NO_LOG)
        p->found[site] += ym_return_found(p->c, site, i, e);
    if (e->type == YM_ENTRY_CHARGE)
        check_charge(p->c, p->hub, i, e);
    else if (e->type == YM_ENTRY_RELEASE)
        check_release(p->c, p->hub, i, e);
}

/* What a hospital took back came from here, all of it and each line once. */
static void end(void *pass)
{
    struct pass *p = pass;

    for (size_t k = 0; p->found && k < p->c->v->log_count; k++)
        if (p->c->v->log[k].returned != p->found[k])
            ym_check_find(p->c, k, -1, YM_REASON_RECOVER_DIFFERS,
                          "%" PRIu64 " of the %" PRIu64
                          " entries that it took back are not in the hub's log as far as it was compared",
                          p->c->v->log[k].returned - p->found[k], p->c->v->log[k].returned);
    free(p->found);
    free(p);
}

const struct ym_rule ym_rule_between = {begin, take, end};

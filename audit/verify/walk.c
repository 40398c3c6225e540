#include <stdlib.h>

#include "audit/verify/check.h"

/* A log's entries in order, some bundles at a time: threads parse them, then check their signatures; the rules see
 * them one by one. */

#define BUNDLES 8
#define TURN_BYTES ((size_t)8 << 20) /* unless one bundle alone is longer: leaves take sixteen times that, parsed */
#define RULES_MOST 8

struct item {
    struct ym_entry e;
    enum ym_entry_fault fault;
    const char *why;
    bool belongs; /* a good leaf of a type for this log */
    enum ym_signing signing;
};

struct ym_walk {
    struct ym_check *c;
    size_t log, width, count; /* bundles of this turn */
    uint64_t first;
    struct ym_vbundle bundle[BUNDLES];
    enum ym_code code[BUNDLES];
    struct item item[BUNDLES * YM_VTILE_WIDTH];
};

const struct ym_entry *ym_walk_entry(const struct ym_check *c, size_t log, size_t i)
{
    const struct ym_walk *w = c->walk;
    size_t first = w ? (size_t)w->first * YM_VTILE_WIDTH : 0;

    if (!w || w->log != log || i < first || i >= first + w->count * YM_VTILE_WIDTH ||
        w->item[i - first].fault != YM_ENTRY_GOOD)
        return NULL;
    return &w->item[i - first].e;
}

static bool belongs_here(const struct ym_walk *w, size_t i, const struct ym_entry *e)
{
    bool hub = w->c->log[w->log].hub;

    return ym_entry_logs(e->type) & (hub ? YM_IN_HUB : YM_IN_HOSPITAL) && (e->type == YM_ENTRY_GENESIS) == (i == 0);
}

/* Types whose hash the rules ask for. */
static bool is_named(enum ym_entry_type type)
{
    return type == YM_ENTRY_CHARGE || type == YM_ENTRY_RELEASE || type == YM_ENTRY_APPROVAL ||
           type == YM_ENTRY_DECISION;
}

static void parse_share(void *ctx, size_t thread)
{
    struct ym_walk *w = ctx;

    for (size_t k = thread; k < w->count; k += w->width) {
        struct ym_vbundle *b = &w->bundle[k];

        w->code[k] = ym_folder_bundle(&w->c->log[w->log].folder, w->first + k, b);
        for (size_t i = 0; w->code[k] == YM_OK && i < b->count; i++) {
            struct item *item = &w->item[k * YM_VTILE_WIDTH + i];

            item->fault = ym_entry_parse(b->entry[i], &item->e, &item->why);
            item->belongs =
                item->fault == YM_ENTRY_GOOD && belongs_here(w, (size_t)(w->first + k) * YM_VTILE_WIDTH + i, &item->e);
            if (item->belongs && is_named(item->e.type))
                ym_entry_hash(&item->e);
        }
    }
}

static void sign_share(void *ctx, size_t thread)
{
    struct ym_walk *w = ctx;

    for (size_t k = 0; k < w->count; k++)
        for (size_t i = thread; i < w->bundle[k].count; i += w->width) {
            struct item *item = &w->item[k * YM_VTILE_WIDTH + i];

            if (item->belongs)
                item->signing = ym_check_signing(w->c, w->log, (size_t)(w->first + k) * YM_VTILE_WIDTH + i, &item->e);
        }
}

static void tell_signing(struct ym_check *c, size_t log, size_t i, const struct item *item)
{
    const struct ym_entry *e = &item->e;

    switch (item->signing) {
    case YM_SIGNED:
        c->v->log[log].signatures++;
        break;
    case YM_SIGNED_UNCHECKED:
        c->v->log[log].unchecked++;
        break;
    case YM_SIGNED_WRONG:
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_SIGNATURE, "'%s' by '%s': the signature does not fit",
                      e->type_name, e->by);
        break;
    default:
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_SIGNER,
                      "'%s' by '%s' (key %s): not a key that may sign this here", e->type_name, e->by, e->key);
    }
}

/* What holds for all types. */
static void tell(struct ym_check *c, size_t log, size_t i, const struct item *item)
{
    static const enum ym_reason reason[] = {[YM_ENTRY_MALFORMED] = YM_REASON_LEAF_MALFORMED,
                                            [YM_ENTRY_BAD_TYPE] = YM_REASON_LEAF_TYPE,
                                            [YM_ENTRY_BAD_FIELDS] = YM_REASON_LEAF_FIELDS};
    const char *type = item->e.type_name;

    if (item->fault != YM_ENTRY_GOOD)
        ym_check_find(c, log, (int64_t)i, reason[item->fault], "%s%s%.40s", item->why, type ? ": " : "",
                      type ? type : "");
    else if (!item->belongs)
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_TYPE, "'%s' does not belong here", type);
    else
        tell_signing(c, log, i, item);
}

static void consume(struct ym_walk *w, const struct ym_rule *const *rule, void **pass)
{
    for (size_t k = 0; k < w->count; k++)
        for (size_t n = 0; n < w->bundle[k].count; n++) {
            struct item *item = &w->item[k * YM_VTILE_WIDTH + n];
            size_t i = (size_t)(w->first + k) * YM_VTILE_WIDTH + n;

            tell(w->c, w->log, i, item);
            for (size_t r = 0; item->fault == YM_ENTRY_GOOD && rule[r] && !w->c->no_memory; r++)
                rule[r]->take(pass[r], i, &item->e);
        }
}

static bool all_read(const struct ym_walk *w)
{
    bool good = true;

    for (size_t k = 0; k < w->count; k++)
        good = good && w->code[k] == YM_OK;
    return good;
}

static void drop_items(struct ym_walk *w)
{
    for (size_t k = 0; k < w->count; k++)
        for (size_t i = 0; w->code[k] == YM_OK && i < w->bundle[k].count; i++)
            ym_entry_release(&w->item[k * YM_VTILE_WIDTH + i].e);
}

/* Returns the CPU time that they took, which is told apart. */
static double check_signatures(struct ym_walk *w)
{
    double at = ym_check_now_s(CLOCK_MONOTONIC), cpu = ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID);

    ym_pool_run(w->c->pool, sign_share, w);
    w->c->v->signatures_s += ym_check_now_s(CLOCK_MONOTONIC) - at;
    return ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

static size_t bundles_of_turn(const struct ym_folder *f)
{
    size_t fit = f->widest > 0 ? TURN_BYTES / f->widest : BUNDLES;

    return fit < 1 ? 1 : fit < BUNDLES ? fit : BUNDLES;
}

static void walk_all(struct ym_walk *w, const struct ym_rule *const *rule, void **pass)
{
    struct ym_verification *v = w->c->v;
    const struct ym_folder *f = &w->c->log[w->log].folder;
    uint64_t bundles = (f->count + YM_VTILE_WIDTH - 1) / YM_VTILE_WIDTH;
    size_t most = bundles_of_turn(f);

    for (w->first = 0; w->first < bundles && !w->c->no_memory && !w->c->changed; w->first += w->count) {
        double at = ym_check_now_s(CLOCK_MONOTONIC), cpu = ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID);

        w->count = bundles - w->first < most ? (size_t)(bundles - w->first) : most;
        ym_pool_run(w->c->pool, parse_share, w);
        if (all_read(w)) {
            cpu += check_signatures(w);
            consume(w, rule, pass);
        } else {
            w->c->changed = w->log + 1;
        }
        drop_items(w);
        v->rules_s += ym_check_now_s(CLOCK_MONOTONIC) - at;
        v->cpu_s += ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    }
}

void ym_check_walk(struct ym_check *c, size_t log, const struct ym_rule *const *rule)
{
    struct ym_walk *w = calloc(1, sizeof(*w));
    void *pass[RULES_MOST] = {NULL};
    double signing = c->v->signatures_s;

    if (!w) {
        c->no_memory = true;
        return;
    }
    w->c = c;
    w->log = log;
    w->width = ym_pool_width(c->pool);
    for (size_t r = 0; rule[r]; r++) {
        YM_ASSERT(r < RULES_MOST);
        pass[r] = rule[r]->begin(c, log);
        c->no_memory |= !pass[r];
    }
    c->walk = w;
    walk_all(w, rule, pass);
    for (size_t r = 0; rule[r]; r++)
        if (pass[r])
            rule[r]->end(pass[r]);
    c->v->rules_s -= c->v->signatures_s - signing;
    for (size_t k = 0; k < BUNDLES; k++)
        ym_vbundle_release(&w->bundle[k]);
    c->walk = NULL;
    free(w);
}

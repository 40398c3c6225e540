#include "audit/verify/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"

static const struct {
    const char *name;
    enum ym_verdict verdict;
} reasons[YM_REASON_COUNT] = {
#define X(id, name, verdict) {#name, YM_VERDICT_##verdict},
    YM_REASONS(X)
#undef X
};

const char *ym_reason_name(enum ym_reason r)
{
    return reasons[r].name;
}

enum ym_verdict ym_reason_verdict(enum ym_reason r)
{
    return reasons[r].verdict;
}

void ym_check_find(struct ym_check *c, size_t log, int64_t entry, enum ym_reason reason, const char *fmt, ...)
{
    struct ym_verification *v = c->v;
    struct ym_finding *f;
    va_list args;

    v->finding_total++;
    if (v->finding_count == YM_FINDINGS_MAX)
        return;
    f = &v->finding[v->finding_count++];
    f->reason = reason;
    f->log = log;
    f->entry = entry;
    va_start(args, fmt);
    vsnprintf(f->detail, sizeof(f->detail), fmt, args);
    va_end(args);
}

bool ym_check_entry(const struct ym_check *c, size_t log, size_t i, struct ym_entry *e)
{
    const char *why;

    return ym_entry_parse(c->log[log].folder.entry[i], e, &why) == YM_ENTRY_GOOD;
}

void ym_check_entries(const struct ym_check *c, size_t log,
                      void (*visit)(void *ctx, size_t i, const struct ym_entry *e), void *ctx)
{
    for (size_t i = 0; i < c->log[log].folder.count && !c->no_memory; i++) {
        struct ym_entry e;

        if (ym_check_entry(c, log, i, &e))
            visit(ctx, i, &e);
        ym_entry_release(&e);
    }
}

void ym_check_line_hash(const struct ym_entry *e, char out[65])
{
    uint8_t hash[YM_VHASH];

    ym_vhash(e->line.data, e->line.len, hash);
    ym_vhex_text(hash, sizeof(hash), out);
}

bool ym_check_events(const struct ym_entry *e, struct ym_events *events)
{
    struct ym_entry_event also;
    struct ym_event one;

    *events = (struct ym_events){.count = 1, .use = {YM_USE_TRAINING}};
    if (!ym_spend_event(ym_entry_text(e, "noise_variance"), ym_entry_text(e, "sampling_k"), ym_entry_int(e, "steps"),
                        &events->event[0]))
        return false;
    for (size_t i = 0; ym_entry_event_at(e, "also", i, &also); i++)
        if (!ym_spend_event(also.noise_variance, also.sampling_k, also.steps, &one) ||
            !ym_spend_also(events, also.use, &one))
            return false;
    return true;
}

bool ym_check_round_epsilon(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e,
                            struct ym_events *events, int64_t *micro)
{
    static const struct ym_spend nothing;
    int64_t said = ym_entry_int(e, "epsilon_round_micro");

    if (!ym_check_events(e, events)) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_FIELDS,
                      "noise_variance is no square, or sampling_k or steps is out of range");
        return false;
    }
    if (ym_spend_micro(&nothing, events, ym_entry_int(e, "delta_e18"), c->cache, micro, NULL) != YM_OK) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_EPSILON_ROUND, "the accountant cannot compute this charge");
        return false;
    }
    if (said != *micro)
        ym_check_find(c, log, (int64_t)i, YM_REASON_EPSILON_ROUND,
                      "it says %" PRId64 " millionths for the round, recomputed %" PRId64, said, *micro);
    return true;
}

static bool same_text(const struct ym_entry *a, const struct ym_entry *b, const char *member)
{
    return strcmp(ym_entry_text(a, member), ym_entry_text(b, member)) == 0;
}

static bool fits_charge(const struct ym_entry *release, const struct ym_entry *charge)
{
    return strcmp(release->by, charge->by) == 0 && same_text(release, charge, "study") &&
           same_text(release, charge, "plan") && same_text(release, charge, "state") &&
           ym_entry_int(release, "round") == ym_entry_int(charge, "round") &&
           ym_entry_int(release, "attempt") == ym_entry_int(charge, "attempt");
}

void ym_check_release(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e)
{
    struct ym_vmap *seen = &c->log[log].seen;
    const char *hash = ym_entry_text(e, "charge");
    struct ym_entry charge;
    size_t at;

    c->v->log[log].releases++;
    if (!ym_vmap_get(seen, &at, "h|%s", hash)) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_WITHOUT_CHARGE,
                      "no earlier charge %.16s... for round %" PRId64 " of '%s'", hash, ym_entry_int(e, "round"),
                      ym_entry_text(e, "study"));
        return;
    }
    if (ym_check_entry(c, log, at, &charge) && !fits_charge(e, &charge))
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_DIFFERS,
                      "it is not of the attempt, plan or state of its charge, entry %zu", at);
    ym_entry_release(&charge);
    if (ym_vmap_get(seen, NULL, "R|%s", hash))
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_REPEATED, "the charge, entry %zu, was released before", at);
    ym_check_keep(c, seen, i, "R|%s", hash);
}

/* Form, place and signature of every leaf: what holds for all types. */
static void check_leaves(struct ym_check *c, size_t log)
{
    static const enum ym_reason reason[] = {[YM_ENTRY_MALFORMED] = YM_REASON_LEAF_MALFORMED,
                                            [YM_ENTRY_BAD_TYPE] = YM_REASON_LEAF_TYPE,
                                            [YM_ENTRY_BAD_FIELDS] = YM_REASON_LEAF_FIELDS};
    const struct ym_vlog *l = &c->log[log];

    for (size_t i = 0; i < l->folder.count; i++) {
        struct ym_entry e;
        const char *why;
        enum ym_entry_fault fault = ym_entry_parse(l->folder.entry[i], &e, &why);

        if (fault != YM_ENTRY_GOOD)
            ym_check_find(c, log, (int64_t)i, reason[fault], "%s%s%.40s", why, e.type_name ? ": " : "",
                          e.type_name ? e.type_name : "");
        else if (!(ym_entry_logs(e.type) & (l->hub ? YM_IN_HUB : YM_IN_HOSPITAL)) ||
                 (e.type == YM_ENTRY_GENESIS) != (i == 0))
            ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_TYPE, "'%s' does not belong here", e.type_name);
        else
            ym_check_signer(c, log, i, &e);
        ym_entry_release(&e);
    }
}

static void check_log(struct ym_check *c, size_t log)
{
    struct ym_vlog *l = &c->log[log];

    if (!l->usable)
        return;
    check_leaves(c, log);
    if (l->hub)
        ym_rules_hub(c, log);
    else
        ym_rules_hospital(c, log);
}

static void report_faults(struct ym_check *c)
{
    for (size_t i = 0; i < c->v->log_count; i++)
        if (c->log[i].folder.faulty)
            ym_check_find(c, i, -1, c->log[i].folder.fault, "%s", c->log[i].folder.detail);
}

static void summarise(struct ym_check *c)
{
    for (size_t i = 0; i < c->v->log_count; i++) {
        const struct ym_vnote *n = &c->log[i].folder.note;

        memcpy(c->v->log[i].origin, n->origin, sizeof(n->origin));
        memcpy(c->v->log[i].root, n->root, sizeof(n->root));
        c->v->log[i].size = n->size;
    }
}

static enum ym_code load(struct ym_check *c, const char *const *dir, const struct ym_verify_options *o,
                         struct ym_status *st)
{
    enum ym_code code = YM_OK;

    c->have_trust = o->trust != NULL;
    c->certified = o->certified;
    if (o->trust)
        code = ym_trust_load(o->trust, &c->trust, st);
    for (size_t i = 0; code == YM_OK && i < c->v->log_count; i++) {
        c->v->log[i].dir = dir[i];
        code = ym_folder_load(dir[i], &c->log[i].folder, st);
    }
    return code;
}

static enum ym_code run(struct ym_check *c, const char *const *dir, const struct ym_verify_options *o,
                        struct ym_status *st)
{
    enum ym_code code = load(c, dir, o, st);

    if (code != YM_OK)
        return code;
    summarise(c);
    ym_check_keys(c);
    report_faults(c);
    for (size_t i = 0; i < c->v->log_count; i++)
        check_log(c, i);
    ym_rules_between(c);
    if (o->objects)
        code = ym_rules_recompute(c, o->objects, st);
    if (code == YM_OK && c->no_memory)
        code = ym_status_set(st, YM_EXHAUSTED, "not enough memory for these ledgers");
    return code;
}

static void check_release_all(struct ym_check *c)
{
    for (size_t i = 0; c->log && i < c->v->log_count; i++) {
        ym_folder_release(&c->log[i].folder);
        ym_vmap_release(&c->log[i].seen);
    }
    free(c->log);
    free(c->party);
    free(c->result);
    ym_trust_release(&c->trust);
    ym_spend_cache_free(c->cache);
}

enum ym_code ym_verify(const char *const *dir, size_t count, const struct ym_verify_options *o,
                       struct ym_verification **out, struct ym_status *st)
{
    struct ym_check c = {.v = calloc(1, sizeof(*c.v))};
    enum ym_code code;

    if (!c.v)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    c.v->log_count = count;
    c.v->log = calloc(count, sizeof(*c.v->log));
    c.v->finding = calloc(YM_FINDINGS_MAX, sizeof(*c.v->finding));
    c.log = calloc(count, sizeof(*c.log));
    c.cache = ym_spend_cache_new();
    if (!c.v->log || !c.v->finding || !c.log || !c.cache)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    else
        code = run(&c, dir, o, st);
    check_release_all(&c);
    if (code != YM_OK) {
        ym_verification_free(c.v);
        return code;
    }
    *out = c.v;
    return YM_OK;
}

void ym_verification_free(struct ym_verification *v)
{
    if (!v)
        return;
    free(v->log);
    free(v->finding);
    free(v->charge);
    free(v->override);
    free(v);
}

const struct ym_finding *ym_verification_worst(const struct ym_verification *v)
{
    const struct ym_finding *worst = NULL;

    for (size_t i = 0; i < v->finding_count; i++)
        if (!worst || ym_reason_verdict(v->finding[i].reason) < ym_reason_verdict(worst->reason))
            worst = &v->finding[i];
    return worst;
}

enum ym_verdict ym_verification_verdict(const struct ym_verification *v)
{
    const struct ym_finding *worst = ym_verification_worst(v);

    if (worst)
        return ym_reason_verdict(worst->reason);
    for (size_t i = 0; i < v->log_count; i++)
        if (!v->log[i].anchored)
            return YM_VERDICT_UNANCHORED;
    return YM_VERDICT_GOOD;
}

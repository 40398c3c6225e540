#include "audit/verify/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/fs.h"
#include "base/text.h"

#define COSTS_MOST 64

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

double ym_check_now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Full of lesser findings, it gives up the last of them: whoever fills the list cannot hide what decides. */
static struct ym_finding *room(struct ym_verification *v, enum ym_reason reason)
{
    const struct ym_finding *worst = ym_verification_worst(v);

    if (v->finding_count < YM_FINDINGS_MAX)
        return &v->finding[v->finding_count++];
    return ym_reason_verdict(reason) < ym_reason_verdict(worst->reason) ? &v->finding[YM_FINDINGS_MAX - 1] : NULL;
}

void ym_check_find(struct ym_check *c, size_t log, int64_t entry, enum ym_reason reason, const char *fmt, ...)
{
    struct ym_verification *v = c->v;
    struct ym_finding *f;
    va_list args;

    v->finding_total++;
    f = room(v, reason);
    if (!f)
        return;
    f->reason = reason;
    f->log = log;
    f->entry = entry;
    va_start(args, fmt);
    vsnprintf(f->detail, sizeof(f->detail), fmt, args);
    va_end(args);
    ym_text_plain(f->detail);
}

static bool read_entry(struct ym_check *c, size_t log, size_t i, struct ym_entry *e)
{
    struct ym_bytes line;
    struct ym_buf copy = {0};
    const char *why;
    bool good;

    if (!ym_folder_entry(&c->log[log].folder, i, &line)) {
        c->changed = log + 1;
        return false;
    }
    if (ym_buf_append(&copy, line.data, line.len) != YM_OK) {
        c->no_memory = true;
        return false;
    }
    good = ym_entry_parse(ym_buf_bytes(&copy), e, &why) == YM_ENTRY_GOOD;
    e->copy = copy;
    return good;
}

bool ym_check_entry(struct ym_check *c, size_t log, size_t i, struct ym_lookup *out)
{
    out->e = ym_walk_entry(c, log, i);
    out->own = (struct ym_entry){0};
    if (!out->e && read_entry(c, log, i, &out->own))
        out->e = &out->own;
    return out->e;
}

void ym_check_entry_end(struct ym_lookup *l)
{
    ym_entry_release(&l->own);
}

void ym_check_once(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e)
{
    struct ym_vmap *seen = &c->log[log].seen;
    uint64_t first;

    if (ym_vmap_get(seen, &first, "y|%s", e->hash))
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_REPEATED, "the same approval as entry %" PRIu64, first);
    else
        ym_check_keep(c, seen, i, "y|%s", e->hash);
}

static bool same_event(const struct ym_event *a, const struct ym_event *b)
{
    return a->sigma_units == b->sigma_units && a->sampling_k == b->sampling_k && a->steps == b->steps;
}

bool ym_check_same_events(const struct ym_events *a, const struct ym_events *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = (i == 0 || a->use[i] == b->use[i]) && /* the leaf does not say what the first is for */
               same_event(&a->event[i], &b->event[i]);
    return same;
}

void ym_check_program(struct ym_check *c, size_t log, const struct ym_entry *e)
{
    struct ym_log_summary *s = &c->v->log[log];
    const char *binary = ym_entry_text(e, "binary");

    s->programs += strcmp(s->binary, binary) != 0;
    memcpy(s->binary, binary, sizeof(s->binary));
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

bool ym_check_figures(struct ym_check *c, size_t log, size_t i, const struct ym_event *e, size_t count, int64_t delta,
                      struct ym_figures *f)
{
    struct ym_status st = YM_STATUS_INIT;
    double d = (double)delta / 1e18, one;
    enum ym_code code = ym_accountants_agree(e, count, d, f, &st);

    if (code == YM_OK)
        return true;
    if (code == YM_INTERNAL && ym_contour_epsilon(e, count, d, &one, NULL) == YM_OK &&
        ym_pld_epsilon(e, count, d, &one, NULL) == YM_OK) /* else one has no figure, which is no contradiction */
        ym_check_find(c, log, (int64_t)i, YM_REASON_ACCOUNTANTS_DISAGREE, "%.200s", st.message);
    return false;
}

/* Once for every distinct charge, which are few; beyond the bound the Renyi accountant stands alone. */
static void cross_check(struct ym_check *c, size_t log, size_t i, const struct ym_events *events, int64_t delta)
{
    struct ym_figures f;
    struct ym_buf key = {0};
    char text[80];
    bool good = c->costs.count < COSTS_MOST;

    for (size_t k = 0; good && k < events->count; k++) {
        const struct ym_event *e = &events->event[k];

        snprintf(text, sizeof(text), "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ";", e->sigma_units, e->sampling_k, e->steps);
        good = ym_buf_puts(&key, text) == YM_OK;
    }
    if (good && !ym_vmap_get(&c->costs, NULL, "%" PRId64 "|%s", delta, ym_buf_str(&key))) {
        ym_check_keep(c, &c->costs, i, "%" PRId64 "|%s", delta, ym_buf_str(&key));
        c->v->costs += ym_check_figures(c, log, i, events->event, events->count, delta, &f);
    }
    ym_buf_release(&key);
}

bool ym_check_round_epsilon(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e,
                            struct ym_events *events, int64_t *micro)
{
    static const struct ym_spend nothing;
    int64_t said = ym_entry_int(e, "epsilon_round_micro"), delta = ym_entry_int(e, "delta_e18");

    if (!ym_check_events(e, events)) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_LEAF_FIELDS,
                      "noise_variance is no square, or sampling_k or steps is out of range");
        return false;
    }
    if (c->last.micro < 0 || c->last.delta != delta || !ym_check_same_events(events, &c->last.events)) {
        c->last = (struct ym_vcost){*events, delta, -1, true};
        if (ym_spend_micro(&nothing, events, delta, c->cache, &c->last.micro, NULL) != YM_OK) {
            ym_check_find(c, log, (int64_t)i, YM_REASON_EPSILON_ROUND, "the accountant cannot compute this charge");
            return false;
        }
    }
    if (c->certified && c->last.fresh)
        cross_check(c, log, i, events, delta);
    c->last.fresh = false;
    *micro = c->last.micro;
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

bool ym_check_release(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, size_t *at)
{
    struct ym_vmap *seen = &c->log[log].seen;
    const char *hash = ym_entry_text(e, "charge");
    struct ym_lookup charge;
    uint64_t value;

    c->v->log[log].releases++;
    if (!ym_vmap_get(seen, &value, "h|%s", hash)) {
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_WITHOUT_CHARGE,
                      "no earlier charge %.16s... for round %" PRId64 " of '%s'", hash, ym_entry_int(e, "round"),
                      ym_entry_text(e, "study"));
        return false;
    }
    *at = YM_SEEN_AT(value);
    if (ym_check_entry(c, log, *at, &charge) && !fits_charge(e, charge.e))
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_DIFFERS,
                      "it is not of the attempt, plan or state of its charge, entry %zu", *at);
    ym_check_entry_end(&charge);
    if (value & YM_SEEN_RELEASED)
        ym_check_find(c, log, (int64_t)i, YM_REASON_RELEASE_REPEATED, "the charge, entry %zu, was released before",
                      *at);
    ym_check_keep(c, seen, value | YM_SEEN_RELEASED, "h|%s", hash);
    return true;
}

static void check_log(struct ym_check *c, size_t log)
{
    const struct ym_rule *plan = c->objects ? &ym_rule_plan : NULL;
    const struct ym_rule *hub[] = {
        &ym_rule_hub, &ym_rule_between, &ym_rule_exporter, &ym_rule_seen, &ym_rule_cosigned, plan, NULL};
    const struct ym_rule *hospital[] = {
        &ym_rule_hospital, &ym_rule_policy, &ym_rule_border, &ym_rule_people, &ym_rule_seen, plan, NULL};

    ym_check_walk(c, log, c->log[log].hub ? hub : hospital);
}

static void check_logs(struct ym_check *c, bool hubs)
{
    for (size_t i = 0; i < c->v->log_count; i++)
        if (c->log[i].usable && c->log[i].hub == hubs)
            check_log(c, i);
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
        ym_text_plain(c->v->log[i].origin);
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
    c->objects = o->objects;
    c->updates = o->updates;
    if (o->updates && !o->objects)
        return ym_status_set(st, YM_INVALID, "updates are held against the sums: give the objects too");
    if (o->updates && !ym_fs_exists(o->updates))
        return ym_status_set(st, YM_NOT_FOUND, "there is no folder '%s'", o->updates);
    if (o->objects && !ym_fs_exists(o->objects))
        return ym_status_set(st, YM_NOT_FOUND, "there is no folder '%s'", o->objects);
    if (o->trust)
        code = ym_trust_load(o->trust, &c->trust, st);
    for (size_t i = 0; code == YM_OK && i < c->v->log_count; i++) {
        c->v->log[i].dir = dir[i];
        code = ym_folder_load(dir[i], c->pool, &c->log[i].folder, st);
    }
    return code;
}

static enum ym_code check_all(struct ym_check *c, struct ym_status *st)
{
    for (size_t i = 0; i < c->v->log_count; i++)
        c->has_hub |= c->log[i].usable && c->log[i].hub;
    check_logs(c, false);
    check_logs(c, true);
    if (c->objects)
        ym_check_states(c);
    if (c->no_memory)
        return ym_status_set(st, YM_EXHAUSTED, "not enough memory for these ledgers");
    if (c->changed)
        return ym_status_set(st, YM_UNAVAILABLE, "the entries of '%s' changed while they were read; try again",
                             c->v->log[c->changed - 1].dir);
    return YM_OK;
}

static enum ym_code run(struct ym_check *c, const char *const *dir, const struct ym_verify_options *o,
                        struct ym_status *st)
{
    double start = ym_check_now_s(CLOCK_MONOTONIC), cpu = ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID);
    enum ym_code code = load(c, dir, o, st);

    if (code != YM_OK)
        return code;
    summarise(c);
    ym_check_keys(c);
    c->v->tree_s = ym_check_now_s(CLOCK_MONOTONIC) - start;
    c->v->cpu_s = ym_check_now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report_faults(c);
    code = ym_check_older(c, o->checkpoint, o->checkpoint_count, st);
    return code == YM_OK ? check_all(c, st) : code;
}

static void check_release_all(struct ym_check *c)
{
    for (size_t i = 0; c->log && i < c->v->log_count; i++) {
        ym_folder_release(&c->log[i].folder);
        ym_vmap_release(&c->log[i].seen);
        free(c->log[i].settled);
    }
    free(c->log);
    free(c->party);
    free(c->result);
    ym_vmap_release(&c->names);
    ym_vmap_release(&c->ids);
    ym_vmap_release(&c->costs);
    ym_trust_release(&c->trust);
    ym_spend_cache_free(c->cache);
    ym_pool_free(c->pool);
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
    c.last.micro = -1;
    c.cache = ym_spend_cache_new();
    c.pool = ym_pool_new(ym_pool_cores());
    if (!c.v->log || !c.v->finding || !c.log || !c.cache || !c.pool)
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
    for (size_t i = 0; i < v->name_count; i++)
        free(v->name[i]);
    free(v->name);
    free(v->override);
    free(v->people);
    free(v);
}

static bool same_exporter(const struct ym_people_line *a, const struct ym_people_line *b)
{
    return a->year == b->year && strcmp(a->exporter, b->exporter) == 0;
}

/* The largest of its hospital: two folders may hold one ledger. */
static bool leads(const struct ym_verification *v, size_t i)
{
    const struct ym_people_line *l = &v->people[i];

    for (size_t k = 0; k < v->people_count; k++)
        if (k != i && same_exporter(&v->people[k], l) &&
            strcmp(v->log[v->people[k].log].name, v->log[l->log].name) == 0 &&
            (v->people[k].people > l->people || (v->people[k].people == l->people && k < i)))
            return false;
    return true;
}

bool ym_verification_exporter(const struct ym_verification *v, size_t i, struct ym_exporter_sum *out)
{
    const struct ym_people_line *l = &v->people[i];

    for (size_t k = 0; k < i; k++)
        if (same_exporter(&v->people[k], l))
            return false;
    *out = (struct ym_exporter_sum){.exporter = l->exporter, .year = l->year};
    for (size_t k = i; k < v->people_count; k++)
        if (same_exporter(&v->people[k], l) && leads(v, k)) {
            out->people += v->people[k].people;
            out->hospitals++;
        }
    return true;
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

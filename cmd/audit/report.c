#include "cmd/audit/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

#include "audit/verify/crypto.h"
#include "base/text.h"

static const enum ym_text_id why[YM_REASON_COUNT] = {
#define X(id, name, verdict) YM_TEXT_AUDIT_WHY_##id,
    YM_REASONS(X)
#undef X
};

enum ym_text_id audit_report_why(enum ym_reason r)
{
    return why[r];
}

__attribute__((format(printf, 2, 3))) static void say(FILE *out, const char *fmt, ...)
{
    char text[2048];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ym_text_plain(text);
    fprintf(out, "%s\n", text);
}

void audit_report_worst(const struct ym_verification *v, FILE *out)
{
    const struct ym_finding *f = ym_verification_worst(v);
    const char *dir = v->log[f->log].dir;

    say(out, T(AUDIT_RESULT_BAD), ym_reason_name(f->reason), (int)ym_reason_verdict(f->reason));
    say(out, "%s", ym_text(why[f->reason]));
    if (f->entry >= 0)
        say(out, T(AUDIT_WHERE_ENTRY), dir, f->entry, f->detail);
    else
        say(out, T(AUDIT_WHERE_LOG), dir, f->detail);
    if (v->finding_total > 1)
        say(out, T(AUDIT_MORE), v->finding_total - 1, YM_FINDINGS_MAX);
}

static void print_log(const struct ym_log_summary *s)
{
    say(stdout, T(AUDIT_LOG_LINE), s->origin[0] ? s->origin : s->dir, s->size, s->signatures, s->charges, s->releases,
        s->results, s->anchored ? T(AUDIT_ANCHORED) : T(AUDIT_NOT_ANCHORED));
    if (s->unchecked)
        say(stdout, T(AUDIT_UNCHECKED), s->origin, s->unchecked);
    if (s->cosigned)
        say(stdout, T(AUDIT_COSIGNED), s->origin, s->cosigned - 1, s->cosigners);
    if (s->recovers)
        say(stdout, T(AUDIT_RECOVERED), s->origin, s->recovers, s->returned);
    if (s->compared && (s->posted < s->charges || s->received < s->releases))
        say(stdout, T(AUDIT_UNPOSTED), s->origin, s->charges - s->posted, s->releases - s->received);
    if (s->programs > 1)
        say(stdout, T(AUDIT_PROGRAMS), s->origin, s->programs, s->binary);
}

struct totals {
    uint64_t states, results, charges, updates, sums, planless, alone, checkpoints, seen;
};

static struct totals add_up(const struct ym_verification *v)
{
    struct totals t = {0};

    for (size_t i = 0; i < v->log_count; i++) {
        const struct ym_log_summary *s = &v->log[i];

        t.states += s->states;
        t.results += s->results;
        t.charges += s->charges;
        t.updates += s->updates;
        t.sums += s->sums;
        t.planless += s->planless;
        t.alone += s->alone;
        t.checkpoints += s->checkpoints;
        t.seen += s->seen;
    }
    return t;
}

/* How deep it went: the ledgers alone, and the sums, and the updates. */
static void print_level(const struct totals *t, int with_objects, int with_updates)
{
    if (t->results == 0)
        return;
    if (!with_objects)
        say(stdout, "%s", T(AUDIT_LEVEL_LEDGER));
    else if (!with_updates)
        say(stdout, T(AUDIT_LEVEL_SUMS), t->states, t->results);
    else
        say(stdout, T(AUDIT_LEVEL_UPDATES), t->states, t->results, t->updates, t->sums, t->results);
}

static void print_gaps(const struct totals *t)
{
    if (t->seen)
        say(stdout, T(AUDIT_SEEN_ALL), t->seen);
    if (t->checkpoints)
        say(stdout, T(AUDIT_OLDER), t->checkpoints);
    if (t->planless)
        say(stdout, T(AUDIT_PLANLESS), t->planless);
    if (t->alone)
        say(stdout, T(AUDIT_ALONE), t->alone);
}

/* Where one organisation exports for several hospitals. */
static void print_exporters(const struct ym_verification *v)
{
    struct ym_exporter_sum sum;

    for (size_t i = 0; i < v->people_count; i++)
        if (ym_verification_exporter(v, i, &sum) && sum.hospitals > 1)
            say(stdout, T(AUDIT_EXPORTER), sum.exporter, sum.year, sum.people, sum.hospitals);
}

static json_t *exporters_json(const struct ym_verification *v)
{
    struct ym_exporter_sum sum;
    json_t *list = json_array();

    for (size_t i = 0; i < v->people_count; i++)
        if (ym_verification_exporter(v, i, &sum))
            json_array_append_new(list,
                                  json_pack("{s:s,s:i,s:I,s:I}", "exporter", sum.exporter, "year", sum.year, "people",
                                            (json_int_t)sum.people, "hospitals", (json_int_t)sum.hospitals));
    return list;
}

static const struct ym_charge_line *newest_of(const struct ym_verification *v, size_t i)
{
    for (size_t k = i + 1; k < v->charge_count; k++)
        if (v->charge[k].log == v->charge[i].log && v->charge[k].dataset == v->charge[i].dataset)
            return NULL;
    return &v->charge[i];
}

#define SPENT_MOST 8
#define NEWEST_MOST 1024 /* one a hospital, mostly */
#define NAMES 512

static bool same_figures(const struct ym_charge_line *a, const struct ym_charge_line *b)
{
    return a->dataset == b->dataset && a->spent_micro == b->spent_micro && a->cap_micro == b->cap_micro &&
           a->delta_e18 == b->delta_e18 && a->certified_micro == b->certified_micro &&
           a->estimate_micro == b->estimate_micro;
}

/* Hospitals whose newest charges give the same figures, "h1, h2"; false: they were named with an earlier one. */
static bool name_all(const struct ym_verification *v, const struct ym_charge_line *const *newest, size_t count,
                     size_t at, char out[NAMES])
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (!same_figures(newest[i], newest[at]))
            continue;
        if (i < at)
            return false;
        len += (size_t)snprintf(out + len, NAMES - len, "%s%s", len ? ", " : "", v->log[newest[i]->log].name);
        if (len >= NAMES)
            return true;
    }
    return true;
}

static void print_spent(const char *names, const struct ym_charge_line *l)
{
    char spent[AUDIT_CELL], cap[AUDIT_CELL], certified[AUDIT_CELL], estimate[AUDIT_CELL];

    audit_micro(l->spent_micro, spent);
    audit_micro(l->cap_micro, cap);
    audit_micro(l->certified_micro, certified);
    audit_micro(l->estimate_micro, estimate);
    if (l->certified_micro)
        say(stdout, T(AUDIT_SPENT), names, l->dataset, spent, (double)l->delta_e18 / 1e18, cap, certified, estimate);
    else
        say(stdout, T(AUDIT_SPENT_ALONE), names, l->dataset, spent, (double)l->delta_e18 / 1e18, cap);
}

void audit_report_sum(const struct ym_verification *v)
{
    int64_t sum = 0;
    size_t hospitals = 0;
    char text[AUDIT_CELL];

    for (size_t log = 0; log < v->log_count; log++) {
        int64_t most = 0;

        for (size_t k = 0; k < v->charge_count; k++)
            if (v->charge[k].log == log && v->charge[k].spent_micro > most)
                most = v->charge[k].spent_micro;
        hospitals += most > 0;
        sum = most > INT64_MAX - sum ? INT64_MAX : sum + most;
    }
    if (hospitals < 2)
        return;
    audit_micro(sum, text);
    say(stdout, T(AUDIT_SUM), hospitals, text);
}

static void print_epsilons(const struct ym_verification *v)
{
    const struct ym_charge_line *newest[NEWEST_MOST];
    char names[NAMES];
    size_t count = 0, left = 0, shown = 0;

    if (v->charge_count == 0)
        return;
    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = newest_of(v, i);

        left += l && count == NEWEST_MOST;
        if (l && count < NEWEST_MOST)
            newest[count++] = l;
    }
    for (size_t i = 0; i < count; i++) {
        if (!name_all(v, newest, count, i, names))
            continue;
        if (shown++ < SPENT_MOST)
            print_spent(names, newest[i]);
        else
            left++;
    }
    if (left > 0)
        say(stdout, T(AUDIT_SPENT_MORE), left);
    audit_report_sum(v);
}

void audit_report_text(const struct ym_verification *v, int with_objects, int with_updates)
{
    struct totals t = add_up(v);

    for (size_t i = 0; i < v->log_count; i++)
        print_log(&v->log[i]);
    print_level(&t, with_objects, with_updates);
    print_gaps(&t);
    print_exporters(v);
    if (ym_verification_worst(v)) {
        audit_report_worst(v, stdout);
        return;
    }
    print_epsilons(v);
    puts(ym_verification_verdict(v) == YM_VERDICT_GOOD ? T(AUDIT_RESULT_GOOD) : T(AUDIT_RESULT_UNANCHORED));
    puts(T(AUDIT_MEANS));
    puts(T(AUDIT_NOT_PROVED));
}

static json_t *log_json(const struct ym_log_summary *s)
{
    char root[65];

    ym_vhex_text(s->root, sizeof(s->root), root);
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,"
                     "s:b,s:I,s:I,s:s}",
                     "dir", s->dir, "origin", s->origin, "role", s->role, "name", s->name, "size", (json_int_t)s->size,
                     "root", root, "anchored", s->anchored, "signatures", (json_int_t)s->signatures, "unchecked",
                     (json_int_t)s->unchecked, "charges", (json_int_t)s->charges, "releases", (json_int_t)s->releases,
                     "results", (json_int_t)s->results, "states", (json_int_t)s->states, "cosigned",
                     (json_int_t)s->cosigned, "cosigners", (json_int_t)s->cosigners, "seen", (json_int_t)s->seen,
                     "recovers", (json_int_t)s->recovers, "returned", (json_int_t)s->returned, "updates",
                     (json_int_t)s->updates, "sums", (json_int_t)s->sums, "planless", (json_int_t)s->planless, "alone",
                     (json_int_t)s->alone, "checkpoints", (json_int_t)s->checkpoints, "programs",
                     (json_int_t)s->programs, "compared", s->compared, "posted", (json_int_t)s->posted, "received",
                     (json_int_t)s->received, "binary", s->binary);
}

/* Of each data set its newest charge: what was spent in all. */
static json_t *spent_json(const struct ym_verification *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = newest_of(v, i);

        if (l)
            json_array_append_new(list,
                                  json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "hospital", v->log[l->log].name, "dataset",
                                            l->dataset, "epsilon_spent_micro", (json_int_t)l->spent_micro,
                                            "epsilon_cap_micro", (json_int_t)l->cap_micro, "epsilon_certified_micro",
                                            (json_int_t)l->certified_micro, "epsilon_estimate_micro",
                                            (json_int_t)l->estimate_micro, "delta_e18", (json_int_t)l->delta_e18));
    }
    return list;
}

static json_t *finding_json(const struct ym_verification *v, const struct ym_finding *f)
{
    return json_pack("{s:s,s:i,s:s,s:I,s:s}", "reason", ym_reason_name(f->reason), "code",
                     (int)ym_reason_verdict(f->reason), "dir", v->log[f->log].dir, "entry", (json_int_t)f->entry,
                     "detail", f->detail);
}

static int print_json(json_t *o)
{
    int failed = !o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0;

    putchar('\n');
    json_decref(o);
    return failed;
}

int audit_report_json(const struct ym_verification *v)
{
    const struct ym_finding *worst = ym_verification_worst(v);
    json_t *logs = json_array(), *findings = json_array();

    for (size_t i = 0; i < v->log_count; i++)
        json_array_append_new(logs, log_json(&v->log[i]));
    for (size_t i = 0; i < v->finding_count; i++)
        json_array_append_new(findings, finding_json(v, &v->finding[i]));
    return print_json(json_pack("{s:i,s:s?,s:o,s:o,s:I,s:o,s:o,s:I,s:{s:f,s:f,s:f,s:f}}", "code",
                                (int)ym_verification_verdict(v), "reason", worst ? ym_reason_name(worst->reason) : NULL,
                                "logs", logs, "findings", findings, "finding_total", (json_int_t)v->finding_total,
                                "spent", spent_json(v), "exporters", exporters_json(v), "charges_cross_checked",
                                (json_int_t)v->costs, "seconds", "tree", v->tree_s, "rules", v->rules_s, "signatures",
                                v->signatures_s, "cpu", v->cpu_s));
}

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
    if (s->seen)
        say(stdout, T(AUDIT_SEEN), s->origin, s->seen);
}

static void print_states(const struct ym_verification *v, int with_objects)
{
    uint64_t states = 0, results = 0;

    for (size_t i = 0; i < v->log_count; i++) {
        states += v->log[i].states;
        results += v->log[i].results;
    }
    if (with_objects)
        say(stdout, T(AUDIT_STATES), states, results);
    else if (results)
        say(stdout, "%s", T(AUDIT_STATES_NOT));
}

void audit_report_text(const struct ym_verification *v, int with_objects)
{
    for (size_t i = 0; i < v->log_count; i++)
        print_log(&v->log[i]);
    print_states(v, with_objects);
    if (ym_verification_worst(v)) {
        audit_report_worst(v, stdout);
        return;
    }
    puts(ym_verification_verdict(v) == YM_VERDICT_GOOD ? T(AUDIT_RESULT_GOOD) : T(AUDIT_RESULT_UNANCHORED));
    puts(T(AUDIT_MEANS));
    puts(T(AUDIT_NOT_PROVED));
}

static json_t *log_json(const struct ym_log_summary *s)
{
    char root[65];

    ym_vhex_text(s->root, sizeof(s->root), root);
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "dir", s->dir, "origin",
                     s->origin, "role", s->role, "name", s->name, "size", (json_int_t)s->size, "root", root, "anchored",
                     s->anchored, "signatures", (json_int_t)s->signatures, "unchecked", (json_int_t)s->unchecked,
                     "charges", (json_int_t)s->charges, "releases", (json_int_t)s->releases, "results",
                     (json_int_t)s->results, "states", (json_int_t)s->states, "cosigned", (json_int_t)s->cosigned,
                     "cosigners", (json_int_t)s->cosigners, "seen", (json_int_t)s->seen);
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
    return print_json(json_pack("{s:i,s:s?,s:o,s:o,s:I,s:{s:f,s:f,s:f}}", "code", (int)ym_verification_verdict(v),
                                "reason", worst ? ym_reason_name(worst->reason) : NULL, "logs", logs, "findings",
                                findings, "finding_total", (json_int_t)v->finding_total, "seconds", "tree", v->tree_s,
                                "rules", v->rules_s, "signatures", v->signatures_s));
}

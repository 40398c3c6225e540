#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify/json.h"
#include "base/calendar.h"
#include "base/decimal.h"
#include "cmd/audit/chart.h"
#include "cmd/audit/document.h"

/* Each hospital's own gate, as its ledger tells it. */

#define SAY(d, tag, id, ...) html_element_say(&(d)->h, tag, YM_TEXT_DOC_##id, ##__VA_ARGS__)
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ITEMS_MOST 40
#define HASH_SHOWN 16

/* Titles of a table, 0 behind the last. */
#define HEAD(...)                                                                                                      \
    (const enum ym_text_id[])                                                                                          \
    {                                                                                                                  \
        __VA_ARGS__, 0                                                                                                 \
    }

static void begin_table(struct document *d, enum ym_text_id caption, const enum ym_text_id *head)
{
    html_raw(&d->h, "<p>");
    html_element_say(&d->h, "b", caption);
    html_raw(&d->h, "</p>\n<table><thead><tr>");
    for (; *head; head++)
        html_element_say(&d->h, "th", *head);
    html_raw(&d->h, "</tr></thead><tbody>\n");
}

static void end_table(struct document *d)
{
    html_raw(&d->h, "</tbody></table>\n");
}

static const char *day_of(int64_t unix_s, char out[YM_DATE_BYTES])
{
    ym_date_of(unix_s, out);
    return out;
}

static void cell_number(struct document *d, int64_t n)
{
    html_raw(&d->h, "<td>%" PRId64 "</td>", n);
}

static void cell_hash(struct document *d, const char *before, const char *hash)
{
    char head[HASH_SHOWN + 1];

    snprintf(head, sizeof head, "%.16s", hash);
    html_raw(&d->h, "<td>");
    html_text(&d->h, before);
    html_raw(&d->h, before[0] ? " <span class=\"soft\">" : "<span>");
    html_element(&d->h, "code", head);
    html_raw(&d->h, "</span></td>");
}

/* ---- policies ---- */

static const struct {
    const char *key;
    enum ym_text_id id;
} term_name[] = {{"sponsors", YM_TEXT_DOC_TERM_SPONSORS},
                 {"purposes", YM_TEXT_DOC_TERM_PURPOSES},
                 {"models", YM_TEXT_DOC_TERM_MODELS},
                 {"columns", YM_TEXT_DOC_TERM_COLUMNS},
                 {"hours", YM_TEXT_DOC_TERM_HOURS},
                 {"recipients", YM_TEXT_DOC_TERM_RECIPIENTS},
                 {"cpu_threads", YM_TEXT_DOC_TERM_CPU_THREADS},
                 {"memory_mib", YM_TEXT_DOC_TERM_MEMORY_MIB},
                 {"inference", YM_TEXT_DOC_TERM_INFERENCE}};

static void term_key(struct document *d, const char *key)
{
    for (size_t i = 0; i < COUNT_OF(term_name); i++)
        if (strcmp(term_name[i].key, key) == 0) {
            html_say(&d->h, term_name[i].id);
            return;
        }
    html_text(&d->h, key);
}

/* Any value, in the order of the ledger: what a later program adds is shown too. */
static void term_value(struct document *d, const struct ym_vjson *j, const struct ym_vnode *n)
{
    size_t shown = 0;

    if (n->kind == YM_V_TEXT && strcmp(n->text, "any") == 0)
        html_say(&d->h, YM_TEXT_DOC_TERM_ANY);
    else if (n->kind == YM_V_TEXT)
        html_text(&d->h, n->text);
    else if (n->kind == YM_V_INT)
        html_raw(&d->h, "%" PRId64, n->integer);
    if (n->kind != YM_V_ARRAY && n->kind != YM_V_OBJECT)
        return;
    for (const struct ym_vnode *m = ym_vjson_first(j, n); m && shown < ITEMS_MOST; m = ym_vjson_next(j, m), shown++) {
        html_raw(&d->h, "%s", shown == 0 ? "" : n->kind == YM_V_OBJECT ? "; " : ", ");
        if (m->key) {
            html_text(&d->h, m->key);
            html_raw(&d->h, " ");
        }
        term_value(d, j, m);
    }
    if (n->count > shown)
        html_raw(&d->h, " \xe2\x80\xa6 (%zu)", n->count);
}

static void terms(struct document *d, const struct fact_policy *p)
{
    struct ym_vjson j = {0};
    const char *why;
    size_t shown = 0;

    if (!ym_vjson_parse((struct ym_bytes){(const uint8_t *)p->terms, strlen(p->terms)}, &j, &why)) {
        SAY(d, "span", GATE_NO_TERMS);
        ym_vjson_release(&j);
        return;
    }
    for (const struct ym_vnode *n = ym_vjson_first(&j, ym_vjson_root(&j)); n; n = ym_vjson_next(&j, n)) {
        if (strcmp(n->key, "epsilon_study_micro") == 0)
            continue;
        html_raw(&d->h, "%s<span class=\"soft\">", shown++ ? "<br>" : "");
        term_key(d, n->key);
        html_raw(&d->h, ":</span> ");
        term_value(d, &j, n);
    }
    ym_vjson_release(&j);
}

static int64_t study_micro(const struct fact_policy *p)
{
    struct ym_vjson j = {0};
    const struct ym_vnode *n = NULL;
    const char *why;
    int64_t micro = 0;

    if (ym_vjson_parse((struct ym_bytes){(const uint8_t *)p->terms, strlen(p->terms)}, &j, &why))
        n = ym_vjson_get(&j, ym_vjson_root(&j), "epsilon_study_micro");
    if (n && n->kind == YM_V_INT)
        micro = n->integer;
    ym_vjson_release(&j);
    return micro;
}

static void policy_row(struct document *d, const struct fact_policy *p, const struct fact_policy *before)
{
    char when[32], all[40], study[40], month[40];
    struct ym_buf delta = {0};

    chart_micro(p->cap_micro, all);
    chart_micro(study_micro(p), study);
    chart_micro(p->month_micro, month);
    html_raw(&d->h, "<tr>");
    html_raw(&d->h, "<td class=\"t\">%s<br><span class=\"soft\">#%" PRIu64 "</span></td>", document_time(p->time, when),
             p->entry);
    html_raw(&d->h, "<td>%s<br>%s<br>%s</td>", all, study, month);
    html_element(&d->h, "td",
                 ym_decimal_format((struct ym_decimal){p->delta_e18}, &delta) == YM_OK ? ym_buf_str(&delta) : "?");
    cell_number(d, p->min_patients);
    html_raw(&d->h, "<td>");
    if (before && p->terms[0] && strcmp(before->terms, p->terms) == 0)
        html_say(&d->h, YM_TEXT_DOC_GATE_AS_BEFORE);
    else
        terms(d, p);
    html_raw(&d->h, "</td></tr>\n");
    ym_buf_release(&delta);
}

static void policies(struct document *d, size_t log)
{
    const struct fact_policy *before = NULL;

    begin_table(d, YM_TEXT_DOC_GATE_POLICIES,
                HEAD(YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_GATE_COL_EPSILON, YM_TEXT_DOC_COL_DELTA,
                     YM_TEXT_DOC_GATE_COL_LEAST, YM_TEXT_DOC_GATE_COL_TERMS));
    for (size_t i = 0; i < d->f.policy_count; i++)
        if (d->f.policy[i].log == log) {
            policy_row(d, &d->f.policy[i], before);
            before = &d->f.policy[i];
        }
    end_table(d);
}

/* ---- rule sets, what they decided, and on what ---- */

static void asked(struct document *d, size_t log)
{
    char day[YM_DATE_BYTES];

    for (size_t i = 0; i < d->f.asked_count; i++)
        if (d->f.asked[i].log == log && !d->f.asked[i].asked) {
            SAY(d, "p", GATE_UNASKED, day_of(d->f.asked[i].time, day), d->f.asked[i].reason);
            return;
        }
    SAY(d, "p", GATE_ASKED);
}

static void ruleset_row(struct document *d, const struct fact_ruleset *s)
{
    char day[YM_DATE_BYTES], today[YM_DATE_BYTES], when[32], name[100];

    snprintf(name, sizeof name, "%s/%" PRId64, s->name, s->version);
    html_raw(&d->h, "<tr>");
    cell_hash(d, name, s->file);
    html_element(&d->h, "td class=\"t\"", document_time(s->time, when));
    html_element(&d->h, "td", s->from);
    if (s->gone)
        html_element_say(&d->h, "td", s->replaced ? YM_TEXT_DOC_GATE_REPLACED : YM_TEXT_DOC_GATE_GONE,
                         day_of(s->gone, day));
    else if (s->draft)
        SAY(d, "td", GATE_DRAFT);
    else
        html_element_say(&d->h, "td",
                         strcmp(s->from, day_of(d->f.newest, today)) > 0 ? YM_TEXT_DOC_GATE_LATER
                                                                         : YM_TEXT_DOC_GATE_IN_FORCE);
    html_raw(&d->h, "</tr>\n");
}

static void record_state(struct document *d, const struct fact_record *x)
{
    char day[YM_DATE_BYTES], today[YM_DATE_BYTES];

    day_of(d->f.newest, today);
    if (x->gone)
        SAY(d, "td", GATE_GONE, day_of(x->gone, day));
    else
        html_element_say(&d->h, "td",
                         strcmp(x->until, today) < 0  ? YM_TEXT_DOC_GATE_EXPIRED
                         : strcmp(x->from, today) > 0 ? YM_TEXT_DOC_GATE_LATER
                                                      : YM_TEXT_DOC_GATE_LIVE);
}

static void record_row(struct document *d, const struct fact_record *x)
{
    char hash[HASH_SHOWN + 1];

    snprintf(hash, sizeof hash, "%.16s", x->document);
    html_raw(&d->h, "<tr><td>");
    html_text(&d->h, x->record);
    html_raw(&d->h, "<br><span class=\"soft\">");
    html_text(&d->h, x->issuer);
    html_raw(&d->h, " ");
    html_text(&d->h, x->number);
    html_raw(&d->h, " ");
    html_element(&d->h, "code", hash);
    html_raw(&d->h, "</span></td><td>");
    html_text(&d->h, x->study);
    html_raw(&d->h, ", ");
    html_text(&d->h, x->dataset);
    html_raw(&d->h, "</td><td class=\"t\">");
    html_text(&d->h, x->from);
    html_raw(&d->h, "<br>");
    html_text(&d->h, x->until);
    html_raw(&d->h, "</td>");
    record_state(d, x);
    html_raw(&d->h, "</tr>\n");
}

static void outcome_row(struct document *d, const struct fact_outcome *o)
{
    char when[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td class=\"t\"", document_time(o->time, when));
    html_element(&d->h, "td", o->study);
    html_element(&d->h, "td", o->dataset);
    SAY(d, "td", GATE_NEWEST, o->decisions, o->outcome, o->label);
    if (o->people < 0)
        html_element(&d->h, "td", "\xe2\x80\x93");
    else
        cell_number(d, o->people);
    html_raw(&d->h, "</tr>\n");
}

/* ---- people ---- */

static void people_row(struct document *d, const struct ym_people_line *l)
{
    html_raw(&d->h, "<tr>");
    cell_hash(d, "", l->exporter);
    html_raw(&d->h, "<td>%d</td>", l->year);
    cell_number(d, l->people);
    html_raw(&d->h, "</tr>\n");
}

/* One exporter and year over all ledgers given, told at its first line. */
static void exporter_row(struct document *d, size_t at)
{
    struct ym_exporter_sum sum;

    if (!ym_verification_exporter(d->v, at, &sum))
        return;
    html_raw(&d->h, "<tr>");
    cell_hash(d, "", sum.exporter);
    html_raw(&d->h, "<td>%d</td><td>%zu</td>", sum.year, sum.hospitals);
    cell_number(d, sum.people);
    html_raw(&d->h, "</tr>\n");
}

static void exporters(struct document *d)
{
    if (d->v->people_count == 0)
        return;
    SAY(d, "h3", GATE_TOGETHER);
    begin_table(d, YM_TEXT_DOC_GATE_PEOPLE,
                HEAD(YM_TEXT_DOC_GATE_COL_EXPORTER, YM_TEXT_DOC_GATE_COL_YEAR, YM_TEXT_DOC_GATE_COL_HOSPITALS,
                     YM_TEXT_DOC_GATE_COL_PEOPLE));
    for (size_t i = 0; i < d->v->people_count; i++)
        exporter_row(d, i);
    end_table(d);
    html_element_say(&d->h, "p class=\"note\"", YM_TEXT_DOC_GATE_TOGETHER_NOTE);
}

static void us_row(struct document *d, const struct fact_us *u)
{
    char day[YM_DATE_BYTES];

    html_raw(&d->h, "<tr>");
    cell_hash(d, "", u->recipient);
    html_element(&d->h, "td", u->categories);
    html_raw(&d->h, "<td>%" PRIu64 "</td>", u->charges);
    cell_number(d, u->people);
    html_element(&d->h, "td class=\"t\"", day_of(u->until, day));
    html_raw(&d->h, "</tr>\n");
}

static void inference_row(struct document *d, const struct fact_inference *s)
{
    char when[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td class=\"t\"", document_time(s->time, when));
    html_element(&d->h, "td", s->content_id);
    html_element(&d->h, "td", s->dataset);
    html_element(&d->h, "td", s->basis);
    html_raw(&d->h, "<td>%" PRIu64 "</td>", s->entries);
    cell_number(d, s->rows);
    cell_number(d, s->left_out);
    html_raw(&d->h, "</tr>\n");
}

static void warning_row(struct document *d, const struct fact_warning *w)
{
    char when[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td class=\"t\"", document_time(w->time, when));
    html_raw(&d->h, "<td>%" PRId64 "</td>", w->year);
    SAY(d, "td", GATE_WARNING, w->percent, w->from, w->fact, w->ruleset);
    cell_number(d, w->people);
    html_raw(&d->h, "</tr>\n");
}

static void withdrawals(struct document *d, size_t log)
{
    size_t shown = 0;

    for (size_t i = 0; i < d->f.withdrawal_count; i++) {
        const struct fact_withdrawal *w = &d->f.withdrawal[i];
        char day[YM_DATE_BYTES];

        if (w->log != log)
            continue;
        if (shown++ == 0) {
            html_raw(&d->h, "<p>");
            SAY(d, "b", GATE_WITHDRAWN);
            html_raw(&d->h, "</p>\n<ul>\n");
        }
        SAY(d, "li", GATE_WITHDRAWN_LINE, w->dataset, w->people, day_of(w->time, day));
    }
    if (shown)
        html_raw(&d->h, "</ul>\n");
}

static void office_row(struct document *d, const struct fact_office *o)
{
    char when[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td", o->office);
    if (o->key[0])
        cell_hash(d, document_time(o->since, when), o->key);
    else
        SAY(d, "td", GATE_NO_KEY);
    html_raw(&d->h, "<td>%" PRIu64 "</td></tr>\n", o->seals);
}

/* ---- one hospital ---- */

/* A table of this log's rows of a kind; nothing where there are none. */
#define TABLE(d, of, kind, what, row, caption, head)                                                                   \
    do {                                                                                                               \
        size_t shown_ = 0;                                                                                             \
        for (size_t i_ = 0; i_ < (of)->what##_count; i_++) {                                                           \
            if ((of)->what[i_].log != (kind))                                                                          \
                continue;                                                                                              \
            if (shown_++ == 0)                                                                                         \
                begin_table(d, YM_TEXT_DOC_##caption, head);                                                           \
            row(d, &(of)->what[i_]);                                                                                   \
        }                                                                                                              \
        if (shown_)                                                                                                    \
            end_table(d);                                                                                              \
    } while (0)

static void crossing(struct document *d, size_t log)
{
    asked(d, log);
    TABLE(d, &d->f, log, ruleset, ruleset_row, GATE_RULESETS,
          HEAD(YM_TEXT_DOC_GATE_COL_RULESET, YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_GATE_COL_DAYS,
               YM_TEXT_DOC_GATE_COL_STATE));
    TABLE(d, &d->f, log, outcome, outcome_row, GATE_DECISIONS,
          HEAD(YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_COL_STUDY, YM_TEXT_DOC_COL_DATASET, YM_TEXT_DOC_GATE_COL_DECIDED,
               YM_TEXT_DOC_GATE_COL_PEOPLE));
    TABLE(d, &d->f, log, record, record_row, GATE_RECORDS,
          HEAD(YM_TEXT_DOC_GATE_COL_DOCUMENT, YM_TEXT_DOC_GATE_COL_FOR, YM_TEXT_DOC_GATE_COL_UNTIL,
               YM_TEXT_DOC_GATE_COL_STATE));
}

static void hospital(struct document *d, size_t log)
{
    html_element(&d->h, "h3", d->v->log[log].name);
    policies(d, log);
    crossing(d, log);
    TABLE(d, d->v, log, people, people_row, GATE_PEOPLE,
          HEAD(YM_TEXT_DOC_GATE_COL_EXPORTER, YM_TEXT_DOC_GATE_COL_YEAR, YM_TEXT_DOC_GATE_COL_PEOPLE));
    TABLE(d, &d->f, log, us, us_row, GATE_US,
          HEAD(YM_TEXT_DOC_GATE_COL_RECIPIENT, YM_TEXT_DOC_GATE_COL_CATEGORIES, YM_TEXT_DOC_GATE_COL_CHARGES,
               YM_TEXT_DOC_GATE_COL_PEOPLE, YM_TEXT_DOC_GATE_COL_LEAVES));
    TABLE(d, &d->f, log, warning, warning_row, GATE_WARNINGS,
          HEAD(YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_GATE_COL_YEAR, YM_TEXT_DOC_GATE_COL_WARNING,
               YM_TEXT_DOC_GATE_COL_PEOPLE));
    TABLE(d, &d->f, log, inference, inference_row, GATE_INFERENCES,
          HEAD(YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_GATE_COL_MODEL, YM_TEXT_DOC_COL_DATASET, YM_TEXT_DOC_GATE_COL_BASIS,
               YM_TEXT_DOC_GATE_COL_ENTRIES, YM_TEXT_DOC_GATE_COL_SCORED, YM_TEXT_DOC_GATE_COL_LEFT_OUT));
    withdrawals(d, log);
    TABLE(d, &d->f, log, office, office_row, GATE_OFFICES,
          HEAD(YM_TEXT_DOC_GATE_COL_OFFICE, YM_TEXT_DOC_GATE_COL_KEY, YM_TEXT_DOC_GATE_COL_SEALS));
}

void document_gate(struct document *d)
{
    size_t shown = 0;

    for (size_t i = 0; i < d->v->log_count; i++) {
        if (strcmp(d->v->log[i].role, "hospital") != 0)
            continue;
        if (shown++ == 0) {
            SAY(d, "h2", GATE);
            SAY(d, "p", GATE_INTRO);
        }
        hospital(d, i);
    }
    exporters(d);
    if (d->f.gate_left)
        SAY(d, "p", MORE, d->f.gate_left);
    if (shown)
        html_element_say(&d->h, "p class=\"note\"", YM_TEXT_BORDER_NOT_ADVICE);
}

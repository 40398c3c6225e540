#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "cmd/audit/chart.h"
#include "cmd/audit/document.h"
#include "cmd/audit/report.h"

#define SAY(d, tag, id, ...) html_element_say(&(d)->h, tag, YM_TEXT_DOC_##id, ##__VA_ARGS__)

static void begin_pairs(struct document *d)
{
    html_raw(&d->h, "<table class=\"pairs\"><tbody>\n");
}

static void end_table(struct document *d)
{
    html_raw(&d->h, "</tbody></table>\n");
}

static void pair(struct document *d, enum ym_text_id name, const char *tag, const char *value)
{
    html_raw(&d->h, "<tr>");
    html_element_say(&d->h, "th scope=\"row\"", name);
    html_raw(&d->h, "<td>");
    if (tag)
        html_element(&d->h, tag, value);
    else
        html_text(&d->h, value);
    html_raw(&d->h, "</td></tr>\n");
}

static void begin_table(struct document *d, const char *const *tag, const enum ym_text_id *head, size_t count)
{
    html_raw(&d->h, "<table><thead><tr>");
    for (size_t i = 0; i < count; i++)
        html_element_say(&d->h, tag[i], head[i]);
    html_raw(&d->h, "</tr></thead><tbody>\n");
}

static void cell_micro(struct document *d, int64_t micro)
{
    char figure[40];

    chart_micro(micro, figure);
    html_element(&d->h, "td class=\"n\"", figure);
}

/* ---- head ---- */

static void bad_verdict(struct document *d)
{
    const struct ym_finding *f = ym_verification_worst(d->v);

    html_raw(&d->h, "<div class=\"verdict bad\">");
    html_element_say(&d->h, "strong", YM_TEXT_AUDIT_RESULT_BAD, ym_reason_name(f->reason),
                     (int)ym_reason_verdict(f->reason));
    html_element_say(&d->h, "p", audit_report_why(f->reason));
    SAY(d, "p", BAD_FIGURES);
}

static void level(struct document *d)
{
    uint64_t states = 0, results = 0, updates = 0, sums = 0;

    for (size_t i = 0; i < d->v->log_count; i++) {
        states += d->v->log[i].states;
        results += d->v->log[i].results;
        updates += d->v->log[i].updates;
        sums += d->v->log[i].sums;
    }
    if (!d->in->objects)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_LEVEL_LEDGER);
    else if (!d->in->updates)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_LEVEL_SUMS, states, results);
    else
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_LEVEL_UPDATES, states, results, updates, sums, results);
    if (d->in->trust_inside)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_TRUST_INSIDE);
    html_raw(&d->h, "</div>\n");
}

void document_head(struct document *d)
{
    char upto[32];
    enum ym_verdict verdict = ym_verification_verdict(d->v);

    SAY(d, "h1", TITLE);
    html_raw(&d->h, "<p class=\"soft\">");
    if (d->f.federation[0]) {
        html_say(&d->h, YM_TEXT_DOC_FEDERATION, d->f.federation);
        html_raw(&d->h, "<br>");
    }
    html_say(&d->h, YM_TEXT_DOC_UPTO, document_time(d->f.newest, upto));
    html_raw(&d->h, "</p>\n");
    if (ym_verification_worst(d->v)) {
        bad_verdict(d);
    } else if (verdict == YM_VERDICT_GOOD) {
        html_raw(&d->h, "<div class=\"verdict\">");
        SAY(d, "strong", VERIFIED);
        SAY(d, "p", VERIFIED_MEANS);
    } else {
        html_raw(&d->h, "<div class=\"verdict open\">");
        SAY(d, "strong", UNANCHORED);
        SAY(d, "p", UNANCHORED_MEANS);
    }
    level(d);
}

/* ---- at a glance ---- */

static size_t logs_of(const struct document *d, const char *role)
{
    size_t n = 0;

    for (size_t i = 0; i < d->v->log_count; i++)
        n += strcmp(d->v->log[i].role, role) == 0;
    return n;
}

static size_t enrolled_hospitals(const struct document *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->f.party_count; i++) {
        bool again = strcmp(d->f.party[i].role, "hospital") != 0;

        for (size_t k = 0; k < i && !again; k++)
            again = strcmp(d->f.party[k].role, "hospital") == 0 && strcmp(d->f.party[k].name, d->f.party[i].name) == 0;
        n += !again;
    }
    return n;
}

static const struct fact_point *newest(const struct fact_budget *b)
{
    return &b->point[b->count - 1];
}

static int64_t add_micro(int64_t a, int64_t b)
{
    return a == INT64_MAX || b == INT64_MAX || a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* The most that a group of one hospital spent. */
static int64_t highest_of(const struct document *d, size_t log)
{
    int64_t most = 0;

    for (size_t i = 0; i < d->f.budget_count; i++)
        if (d->f.budget[i].log == log && newest(&d->f.budget[i])->spent_micro > most)
            most = newest(&d->f.budget[i])->spent_micro;
    return most;
}

static void pair_say(struct document *d, enum ym_text_id name, enum ym_text_id value, const char *a, const char *b)
{
    html_raw(&d->h, "<tr>");
    html_element_say(&d->h, "th scope=\"row\"", name);
    html_element_say(&d->h, "td", value, a, b);
    html_raw(&d->h, "</tr>\n");
}

static void glance_epsilon(struct document *d)
{
    const struct fact_budget *top = NULL;
    int64_t sum = 0;
    char a[40], b[40];

    for (size_t i = 0; i < d->f.budget_count; i++)
        if (!top || newest(&d->f.budget[i])->spent_micro > newest(top)->spent_micro)
            top = &d->f.budget[i];
    if (!top)
        return;
    for (size_t i = 0; i < d->v->log_count; i++)
        sum = add_micro(sum, highest_of(d, i));
    chart_micro(newest(top)->spent_micro, a);
    chart_micro(newest(top)->cap_micro, b);
    pair_say(d, YM_TEXT_DOC_GLANCE_HIGHEST, YM_TEXT_DOC_GLANCE_OF_CAP, a, b);
    chart_micro(sum, a);
    pair_say(d, YM_TEXT_DOC_GLANCE_SUM, YM_TEXT_DOC_GLANCE_SUM_VALUE, a, "");
}

void document_glance(struct document *d)
{
    char a[40], b[40];
    int64_t rounds = 0;

    SAY(d, "h2", GLANCE);
    begin_pairs(d);
    snprintf(a, sizeof(a), "%zu", logs_of(d, "hospital"));
    snprintf(b, sizeof(b), "%zu", enrolled_hospitals(d));
    pair_say(d, YM_TEXT_DOC_GLANCE_LEDGERS,
             logs_of(d, "hub") ? YM_TEXT_DOC_GLANCE_WITH_HUB : YM_TEXT_DOC_GLANCE_WITHOUT_HUB, a, b);
    for (size_t i = 0; i < d->f.study_count; i++)
        rounds += d->f.study[i].rounds;
    snprintf(a, sizeof(a), "%zu", d->f.study_count);
    snprintf(b, sizeof(b), "%" PRId64, rounds);
    pair_say(d, YM_TEXT_DOC_GLANCE_STUDIES, YM_TEXT_DOC_GLANCE_STUDIES_VALUE, a, b);
    glance_epsilon(d);
    snprintf(a, sizeof(a), "%" PRIu64, d->f.event_total + d->v->finding_total);
    pair_say(d, YM_TEXT_DOC_GLANCE_EVENTS, YM_TEXT_DOC_GLANCE_EVENTS_VALUE, a, "");
    end_table(d);
}

/* ---- studies ---- */

static void inputs_of(struct document *d, const struct ym_plan *p)
{
    struct ym_buf text = {0};

    for (size_t i = 0; i < p->input_count && i < 40; i++)
        d->h.failed |=
            ym_buf_printf(&text, "%s%s%s%s%s", i ? ", " : "", p->input[i].name, p->input[i].unit[0] ? " (" : "",
                          p->input[i].unit, p->input[i].unit[0] ? ")" : "") != YM_OK;
    if (p->input_count > 40)
        d->h.failed |= ym_buf_printf(&text, ", ... (%zu)", p->input_count) != YM_OK;
    pair(d, YM_TEXT_DOC_INPUTS, NULL, ym_buf_str(&text));
    ym_buf_release(&text);
}

static void decimal_text(struct ym_decimal v, char out[40])
{
    struct ym_buf text = {0};

    snprintf(out, 40, "%s", ym_decimal_format(v, &text) == YM_OK ? ym_buf_str(&text) : "?");
    ym_buf_release(&text);
}

/* To whom the model goes, as the sponsor declared in the plan that hospitals approved. */
static void border_pairs(struct document *d, const struct ym_plan_border *b)
{
    struct ym_buf names = {0};

    if (!b->given) {
        pair_say(d, YM_TEXT_DOC_RECIPIENT, YM_TEXT_DOC_RECIPIENT_NONE, "", "");
        return;
    }
    pair(d, YM_TEXT_DOC_RECIPIENT, NULL, b->recipient);
    pair(d, YM_TEXT_DOC_STORAGE, NULL, b->storage);
    for (size_t i = 0; i < b->recipients.count; i++)
        d->h.failed |= ym_buf_printf(&names, "%s%s", i ? ", " : "", b->recipients.item[i].name) != YM_OK;
    if (b->domestic_only)
        pair_say(d, YM_TEXT_DOC_RELEASE, YM_TEXT_DOC_RELEASE_KEPT, ym_buf_str(&names), "");
    else
        pair_say(d, YM_TEXT_DOC_RELEASE, YM_TEXT_DOC_RELEASE_OPEN, "", "");
    ym_buf_release(&names);
}

static void plan_pairs(struct document *d, const struct ym_plan *p)
{
    char line[512], delta[40], epsilon[40];

    if (p->title[0])
        pair(d, YM_TEXT_DOC_PLAN_TITLE, NULL, p->title);
    if (p->purpose[0])
        pair(d, YM_TEXT_DOC_PURPOSE, NULL, p->purpose);
    pair(d, YM_TEXT_DOC_MODEL, NULL, ym_plan_family_word(p->family));
    inputs_of(d, p);
    pair(d, YM_TEXT_DOC_OUTCOME, NULL, p->outcome.name);
    decimal_text(p->delta, delta);
    decimal_text(p->epsilon_max, epsilon);
    html_raw(&d->h, "<tr>");
    SAY(d, "th scope=\"row\"", TRAINING);
    snprintf(line, sizeof(line), "%.6g", (double)p->sampling_k / 18446744073709551616.0);
    SAY(d, "td", TRAINING_VALUE, p->rounds, p->steps_per_round, line);
    html_raw(&d->h, "</tr>\n<tr>");
    SAY(d, "th scope=\"row\"", PRIVACY);
    snprintf(line, sizeof(line), "%.6g", (double)p->sigma_units / 16777216.0);
    SAY(d, "td", PRIVACY_VALUE, line, epsilon, delta);
    html_raw(&d->h, "</tr>\n");
    border_pairs(d, &p->border);
}

static void state_of(struct document *d, const struct fact_study *s)
{
    char begun[32], ended[32];
    enum ym_text_id id = s->done      ? YM_TEXT_DOC_STATE_DONE
                         : s->aborted ? YM_TEXT_DOC_STATE_ABORTED
                         : s->begun   ? YM_TEXT_DOC_STATE_RUNNING
                                      : YM_TEXT_DOC_STATE_OFFERED;

    html_raw(&d->h, "<tr>");
    SAY(d, "th scope=\"row\"", STATE);
    html_raw(&d->h, "<td>");
    html_say(&d->h, id);
    html_raw(&d->h, " ");
    html_say(&d->h, YM_TEXT_DOC_STATE_ROUNDS, s->rounds, document_time(s->begun, begun),
             document_time(s->ended, ended));
    html_raw(&d->h, "</td></tr>\n");
}

static const struct fact_card *card_of(const struct document *d, const struct fact_decision *x)
{
    for (size_t i = d->f.card_count; i-- > 0;)
        if (strcmp(d->f.card[i].hospital, x->hospital) == 0 && strcmp(d->f.card[i].dataset, x->dataset) == 0)
            return &d->f.card[i];
    return NULL;
}

static void decision_row(struct document *d, const struct fact_decision *x)
{
    const struct fact_card *c = card_of(d, x);
    char when[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td", x->hospital);
    html_element(&d->h, "td class=\"t\"", document_time(x->time, when));
    if (x->kind == FACT_VETO) {
        SAY(d, "td colspan=\"3\"", VETO);
    } else {
        html_raw(&d->h, "<td>");
        html_text(&d->h, x->dataset);
        if (c && c->title[0]) {
            html_raw(&d->h, "<br><span class=\"soft\">");
            html_text(&d->h, c->title);
            html_raw(&d->h, "</span>");
        }
        html_raw(&d->h, "</td>");
        html_element(&d->h, "td", c ? c->size_class : "");
        cell_micro(d, x->epsilon_micro);
    }
    html_raw(&d->h, "</tr>\n");
}

static void decisions(struct document *d, size_t study)
{
    static const char *const tag[] = {"th", "th", "th", "th", "th class=\"n\""};
    static const enum ym_text_id head[] = {YM_TEXT_DOC_COL_HOSPITAL, YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_COL_DATASET,
                                           YM_TEXT_DOC_COL_SIZE, YM_TEXT_DOC_COL_ALLOWED};
    size_t count = 0;

    for (size_t i = 0; i < d->f.decision_count; i++)
        count += d->f.decision[i].study == study;
    if (count == 0) {
        SAY(d, "p", NO_APPROVAL);
        return;
    }
    begin_table(d, tag, head, 5);
    for (size_t i = 0; i < d->f.decision_count; i++)
        if (d->f.decision[i].study == study)
            decision_row(d, &d->f.decision[i]);
    end_table(d);
}

static void members(struct document *d, const struct fact_study *s)
{
    if (s->member_count == 0)
        return;
    html_raw(&d->h, "<figure><figcaption>");
    html_say(&d->h, YM_TEXT_DOC_ROUNDS_CAPTION);
    html_raw(&d->h, "</figcaption>");
    if (s->rounds <= FACT_ROUNDS_SHOWN) {
        chart_rounds(&d->h, s);
    } else {
        html_raw(&d->h, "<ul>");
        for (size_t i = 0; i < s->member_count; i++)
            SAY(d, "li", ROUNDS_LINE, s->member[i].hospital, s->member[i].counted, s->member[i].left_out);
        html_raw(&d->h, "</ul>");
    }
    html_raw(&d->h, "</figure>\n");
}

static void study(struct document *d, size_t i)
{
    const struct fact_study *s = &d->f.study[i];

    html_element(&d->h, "h3", s->name);
    begin_pairs(d);
    pair(d, YM_TEXT_DOC_SPONSOR, NULL, s->sponsor);
    if (s->plan)
        plan_pairs(d, s->plan);
    state_of(d, s);
    pair(d, YM_TEXT_DOC_PLAN_HASH, "code", s->plan_hash);
    if (s->last_state[0])
        pair(d, YM_TEXT_DOC_MODEL_HASH, "code", s->last_state);
    if (s->content[0])
        pair(d, YM_TEXT_DOC_CONTENT, "code", s->content);
    end_table(d);
    if (s->content[0])
        html_element_say(&d->h, "p class=\"note\"", YM_TEXT_MODEL_NOTICE);
    if (!s->plan)
        html_element_say(&d->h, "p class=\"note\"", YM_TEXT_DOC_NO_PLAN);
    decisions(d, i);
    members(d, s);
}

void document_studies(struct document *d)
{
    SAY(d, "h2", STUDIES);
    if (d->f.study_count == 0)
        SAY(d, "p", NONE);
    for (size_t i = 0; i < d->f.study_count; i++)
        study(d, i);
}

/* ---- budget ---- */

static void budget_name(struct document *d, const struct fact_budget *b)
{
    html_text(&d->h, b->dataset);
    if (b->more)
        html_say(&d->h, YM_TEXT_DOC_AND_MORE, (uint64_t)b->more);
}

static void budget_row(struct document *d, const struct fact_budget *b)
{
    const struct fact_point *p = newest(b);
    char delta[40], order[40];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td", d->v->log[b->log].name);
    html_raw(&d->h, "<td>");
    budget_name(d, b);
    html_raw(&d->h, "</td><td class=\"n\">%zu</td>", b->count);
    cell_micro(d, p->spent_micro);
    cell_micro(d, p->cap_micro);
    cell_micro(d, p->spent_micro == INT64_MAX ? 0 : p->cap_micro - p->spent_micro);
    if (b->certified)
        cell_micro(d, p->certified_micro);
    else
        html_element(&d->h, "td class=\"n\"", "\xe2\x80\x93");
    decimal_text((struct ym_decimal){b->delta_e18}, delta);
    html_element(&d->h, "td class=\"n\"", delta);
    snprintf(order, sizeof(order), "%g", (double)b->order_milli / 1000);
    html_element(&d->h, "td class=\"n\"", order);
    html_raw(&d->h, "</tr>\n");
}

static void budget_table(struct document *d)
{
    static const char *const tag[] = {"th",
                                      "th",
                                      "th class=\"n\"",
                                      "th class=\"n\"",
                                      "th class=\"n\"",
                                      "th class=\"n\"",
                                      "th class=\"n\"",
                                      "th class=\"n\"",
                                      "th class=\"n\""};
    static const enum ym_text_id head[] = {YM_TEXT_DOC_COL_HOSPITAL,  YM_TEXT_DOC_COL_DATASET, YM_TEXT_DOC_COL_CHARGES,
                                           YM_TEXT_DOC_COL_SPENT,     YM_TEXT_DOC_COL_CAP,     YM_TEXT_DOC_COL_LEFT,
                                           YM_TEXT_DOC_COL_CERTIFIED, YM_TEXT_DOC_COL_DELTA,   YM_TEXT_DOC_COL_ORDER};

    begin_table(d, tag, head, 9);
    for (size_t i = 0; i < d->f.budget_count; i++)
        budget_row(d, &d->f.budget[i]);
    end_table(d);
}

static void study_costs(struct document *d)
{
    static const char *const tag[] = {"th", "th", "th class=\"n\"", "th class=\"n\"", "th class=\"n\""};
    static const enum ym_text_id head[] = {YM_TEXT_DOC_COL_HOSPITAL, YM_TEXT_DOC_COL_STUDY, YM_TEXT_DOC_COL_CHARGES,
                                           YM_TEXT_DOC_COL_ROUND, YM_TEXT_DOC_COL_AFTER};

    begin_table(d, tag, head, 5);
    for (size_t i = 0; i < d->f.budget_count; i++) {
        const struct fact_budget *b = &d->f.budget[i];

        for (size_t k = 0, from = 0; k < b->count; k++) {
            if (k + 1 < b->count && b->point[k + 1].study == b->point[k].study)
                continue;
            html_raw(&d->h, "<tr>");
            html_element(&d->h, "td", d->v->log[b->log].name);
            html_element(&d->h, "td", b->point[k].study == SIZE_MAX ? "?" : d->f.study[b->point[k].study].name);
            html_raw(&d->h, "<td class=\"n\">%zu</td><td class=\"n\">%" PRId64 "\xe2\x80\x93%" PRId64 "</td>",
                     k + 1 - from, b->point[from].round, b->point[k].round);
            cell_micro(d, b->point[k].spent_micro);
            html_raw(&d->h, "</tr>\n");
            from = k + 1;
        }
    }
    end_table(d);
}

void document_budget(struct document *d)
{
    SAY(d, "h2", BUDGET);
    if (d->f.budget_count == 0) {
        SAY(d, "p", BUDGET_NONE);
        return;
    }
    html_raw(&d->h, "<p>");
    html_say(&d->h, YM_TEXT_DOC_BUDGET_INTRO);
    if (!ym_verification_worst(d->v)) {
        html_raw(&d->h, " ");
        html_say(&d->h, YM_TEXT_DOC_BUDGET_EQUAL);
    }
    html_raw(&d->h, "</p>\n");
    budget_table(d);
    html_raw(&d->h, "<div class=\"charts\">\n");
    for (size_t i = 0; i < d->f.budget_count; i++) {
        const struct fact_budget *b = &d->f.budget[i];

        html_raw(&d->h, "<figure><figcaption><b>");
        html_text(&d->h, d->v->log[b->log].name);
        html_raw(&d->h, "</b> \xc2\xb7 ");
        budget_name(d, b);
        html_raw(&d->h, "</figcaption>");
        chart_budget(&d->h, b);
        html_raw(&d->h, "</figure>\n");
    }
    html_raw(&d->h, "</div>\n");
    html_element_say(&d->h, "p class=\"note\"", YM_TEXT_DOC_CHART_NOTE);
    study_costs(d);
    html_element_say(&d->h, "p class=\"note\"", YM_TEXT_DOC_UNIT);
}

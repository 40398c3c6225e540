#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/html.h"
#include "cmd/site/site.h"
#include "gate/border/declare.h"
#include "gate/border/words.h"

/* A plan as a page of paper for people who are no engineers. */

static const char style[] =
    "\nbody{margin:0 auto;padding:2rem 1.5rem 3rem;max-width:50rem;color:#1d1d1b;background:#fff;"
    "font:16px/1.5 Charter,Georgia,'Noto Serif','DejaVu Serif',serif}\n"
    "[lang|=zh]{font-family:'Noto Serif CJK SC','Source Han Serif SC','Songti SC',SimSun,'Noto Sans CJK SC',serif}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem}\n"
    "h2{font-size:1.1rem;margin:1.6rem 0 .4rem;padding-top:.4rem;border-top:1px solid #1d1d1b}\n"
    "p,ul{margin:.4rem 0}table{border-collapse:collapse;width:100%;margin:.4rem 0;font-size:.92em}\n"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px solid #d9d6cd;"
    "overflow-wrap:anywhere}\n"
    "table.pairs th{font-weight:400;color:#5f5e58;width:16rem}\n"
    "tr.no td{background:#f7e8e4}td.short,thead th{white-space:nowrap}\n"
    ".advice{margin-top:1.6rem;font-size:.88rem;color:#5f5e58}\n"
    ".sign{box-sizing:border-box;width:99%;border:1px solid #1d1d1b;padding:.8rem 1rem 3.4rem;margin:.6rem "
    "0;break-inside:avoid}\n"
    "@page{size:A4;margin:17mm}\n"
    "@media print{html{font-size:13px}body{padding:0;max-width:none;font-size:12px;line-height:1.4}\n"
    "h2{break-after:avoid}tr,li{break-inside:avoid}}\n";

static void row(struct html *h, enum ym_text_id title, const char *value)
{
    html_raw(h, "<tr>");
    html_element_say(h, "th", title);
    html_element(h, "td", value);
    html_raw(h, "</tr>\n");
}

static void cells(struct html *h, const char *first, const char *second, const char *third)
{
    html_raw(h, "<tr>");
    html_element(h, "td", first);
    html_element(h, "td", second);
    html_element(h, "td", third);
    html_raw(h, "</tr>\n");
}

static void heads(struct html *h, const enum ym_text_id *title, size_t count)
{
    html_raw(h, "<table><thead><tr>");
    for (size_t i = 0; i < count; i++)
        html_element_say(h, "th", title[i]);
    html_raw(h, "</tr></thead>\n");
}

static void put_head(struct html *h, const json_t *shown)
{
    html_element_say(h, "h1", YM_TEXT_SITE_PAGE_HEAD);
    html_element(h, "p", ym_get_text(shown, "title"));
    html_raw(h, "<table class=\"pairs\">");
    row(h, YM_TEXT_SITE_PAGE_HOSPITAL, ym_get_text(shown, "hospital"));
    row(h, YM_TEXT_SITE_PAGE_STUDY, ym_get_text(shown, "study"));
    row(h, YM_TEXT_SITE_PAGE_SPONSOR, ym_get_text(shown, "sponsor"));
    row(h, YM_TEXT_SITE_PAGE_PLAN, ym_get_text(shown, "plan"));
    html_raw(h, "</table>\n");
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_PURPOSE);
    html_element(h, "p", ym_get_text(json_object_get(shown, "content"), "purpose"));
}

static void put_patients(struct html *h, const json_t *room)
{
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_PATIENTS);
    if (!room) {
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_NO_DATASET);
        return;
    }
    html_raw(h, "<table class=\"pairs\">");
    row(h, YM_TEXT_SITE_PAGE_DATASET, ym_get_text(room, "dataset"));
    row(h, YM_TEXT_SITE_PAGE_SIZE, ym_get_text(room, "size_class"));
    row(h, YM_TEXT_SITE_PAGE_JOINED, ym_get_text(room, "identified"));
    html_raw(h, "</table>\n");
}

/* What a plan says of a column's values: levels, or a range with its unit. */
static void values_text(const json_t *column, struct ym_buf *out)
{
    const json_t *level, *levels = json_object_get(column, "levels");
    const char *low = ym_get_text(column, "low"), *high = ym_get_text(column, "high");
    size_t i;

    json_array_foreach(levels, i, level)
        ym_buf_printf(out, "%s%s", i ? ", " : "", json_is_string(level) ? json_string_value(level) : "");
    if (high[0])
        ym_buf_printf(out, "%s – %s %s", low[0] ? low : "0", high, ym_get_text(column, "unit"));
}

static void put_column(struct html *h, const json_t *column, enum ym_text_id use)
{
    struct ym_buf values = {0};

    if (json_is_object(column)) {
        values_text(column, &values);
        cells(h, ym_get_text(column, "name"), ym_buf_str(&values), ym_text_in(use, h->lang));
    }
    ym_buf_release(&values);
}

static void put_columns(struct html *h, const json_t *model)
{
    static const enum ym_text_id title[] = {YM_TEXT_SITE_PAGE_COLUMN, YM_TEXT_SITE_PAGE_VALUES, YM_TEXT_SITE_PAGE_USE};
    const json_t *column;
    size_t i;

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_COLUMNS);
    heads(h, title, 3);
    json_array_foreach(json_object_get(model, "inputs"), i, column) put_column(h, column, YM_TEXT_SITE_PAGE_READ);
    put_column(h, json_object_get(model, "time"), YM_TEXT_SITE_PAGE_READ);
    put_column(h, json_object_get(model, "outcome"), YM_TEXT_SITE_PAGE_PREDICTED);
    html_raw(h, "</table>\n");
}

/* To whom the model goes; a list of those who can open it where it stays with hospitals. */
static void put_model(struct html *h, const json_t *border)
{
    const json_t *recipients = json_object_get(border, "recipients"), *r;
    struct ym_buf text = {0};
    size_t i;

    ym_buf_puts(&text, T(SITE_PAGE_MODEL_KEPT));
    json_array_foreach(recipients, i, r) ym_buf_printf(&text, "%s%s", i ? ", " : "", ym_get_text(r, "name"));
    row(h, YM_TEXT_SITE_PAGE_MODEL, recipients ? ym_buf_str(&text) : T(SITE_PAGE_MODEL_OPEN));
    ym_buf_release(&text);
}

/* What the notice to patients says of it. */
static void put_topics(struct html *h, const json_t *border)
{
    static const struct {
        const char *word;
        enum ym_text_id title;
    } topic[] = {
#define TOPIC(id, word) {word, YM_TEXT_NOTICE_##id},
        YM_NOTICE_TOPICS(TOPIC)
#undef TOPIC
    };

    for (size_t i = 0; i < sizeof topic / sizeof *topic; i++) {
        const char *text = ym_get_text(border, topic[i].word);

        row(h, topic[i].title, text[0] ? text : T(NOTICE_NOT_ADDRESSED));
    }
}

static void put_leaves(struct html *h, const json_t *shown, const json_t *content)
{
    const json_t *border = json_object_get(content, "border");

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_LEAVES);
    html_element_say(h, "p", YM_TEXT_SITE_PAGE_LEAVES_TEXT, ym_get_int(shown, "rounds"),
                     ym_get_text(json_object_get(content, "model"), "family"));
    html_raw(h, "<table class=\"pairs\">");
    put_model(h, border);
    row(h, YM_TEXT_SITE_PAGE_RECIPIENT, border ? ym_get_text(border, "recipient") : T(POLICY_NOT_NAMED));
    row(h, YM_TEXT_SITE_PAGE_STORAGE, border ? ym_get_text(border, "storage") : T(POLICY_NOT_NAMED));
    put_topics(h, border);
    html_raw(h, "</table>\n");
}

static void put_epsilon(struct html *h, const json_t *shown, const json_t *room)
{
    long long micro = ym_get_int(shown, "epsilon_study_micro");
    const char *delta = ym_delta_text(ym_get_int(shown, "delta_e18"));
    double factor = exp((double)micro / 1e6);
    char odds[512];

    if (factor < 10)
        snprintf(odds, sizeof odds, "%.2f", ceil(100 * factor) / 100);
    else
        snprintf(odds, sizeof odds, "%.0f", ceil(factor));
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_EPSILON);
    html_element_say(h, "p", YM_TEXT_SITE_PAGE_EPSILON_TEXT, odds, delta, ym_epsilon_text(micro), delta,
                     ym_get_int(shown, "rounds"));
    if (!room)
        return;
    html_element_say(h, "p", YM_TEXT_SITE_PAGE_BUDGET);
    html_raw(h, "<table class=\"pairs\">");
    row(h, YM_TEXT_SITE_PAGE_BEFORE, ym_epsilon_text(ym_get_int(room, "spent_micro")));
    row(h, YM_TEXT_SITE_PAGE_AFTER, ym_epsilon_text(ym_get_int(room, "after_micro")));
    row(h, YM_TEXT_SITE_PAGE_CAP, ym_epsilon_text(ym_get_int(room, "cap_micro")));
    html_raw(h, "</table>\n");
}

static void put_limits(struct html *h)
{
    static const enum ym_text_id not [] = {YM_TEXT_SITE_PAGE_NOT_1, YM_TEXT_SITE_PAGE_NOT_2, YM_TEXT_SITE_PAGE_NOT_3,
                                           YM_TEXT_SITE_PAGE_NOT_4, YM_TEXT_SITE_PAGE_NOT_5};

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_WITHDRAWAL);
    html_element_say(h, "p", YM_TEXT_SITE_PAGE_WITHDRAWAL_TEXT);
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_NOT);
    html_raw(h, "<ul>");
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        html_element_say(h, "li", not [i]);
    html_raw(h, "</ul>\n");
}

static void put_policy(struct html *h, const json_t *list)
{
    static const enum ym_text_id title[] = {YM_TEXT_SITE_COL_TERM, YM_TEXT_SITE_COL_ASKS, YM_TEXT_SITE_COL_SAYS,
                                            YM_TEXT_SITE_COL_FITS};
    const json_t *line;
    size_t i;

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_POLICY);
    if (json_array_size(list) == 0) {
        html_element_say(h, "p", YM_TEXT_POLICY_NONE_SIGNED);
        return;
    }
    heads(h, title, 4);
    json_array_foreach(list, i, line)
    {
        bool fits = json_is_true(json_object_get(line, "fits"));

        html_raw(h, fits ? "<tr>" : "<tr class=\"no\">");
        html_element(h, "td", ym_get_text(line, "title"));
        html_element(h, "td", ym_get_text(line, "asks"));
        html_element(h, "td", ym_get_text(line, "says"));
        html_element_say(h, "td class=\"short\"", fits ? YM_TEXT_SITE_FITS : YM_TEXT_SITE_FITS_NOT);
        html_raw(h, "</tr>\n");
    }
    html_raw(h, "</table>\n");
}

static void put_filing(struct html *h, const json_t *f)
{
    html_raw(h, "<tr>");
    html_element(h, "td", ym_word_text(YM_WORD_RECORD, ym_get_text(f, "record")));
    html_element(h, "td", ym_get_text(f, "issuer"));
    html_element(h, "td", ym_get_text(f, "until"));
    html_element(h, "td", ym_site_word(ym_get_text(f, "state")));
    html_raw(h, "</tr>\n");
}

static void put_records(struct html *h, const json_t *filings, const char *study)
{
    static const enum ym_text_id title[] = {YM_TEXT_SITE_PAGE_RECORD, YM_TEXT_SITE_PAGE_ISSUER, YM_TEXT_SITE_PAGE_UNTIL,
                                            YM_TEXT_SITE_PAGE_STATE};
    const json_t *f;
    size_t i, count = 0;

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_RECORDS);
    json_array_foreach(filings, i, f)
    {
        if (strcmp(ym_get_text(f, "study"), study) != 0 || json_is_true(json_object_get(f, "withdrawn")))
            continue;
        if (count++ == 0)
            heads(h, title, 4);
        put_filing(h, f);
    }
    if (count)
        html_raw(h, "</table>\n");
    else
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_NO_RECORDS);
}

/* A track, an outcome of gate/border/facts.h, for people. */
static const char *border_word(const char *word)
{
    static const struct {
        const char *word;
        enum ym_text_id id;
    } known[] = {
        {"artefact", YM_TEXT_SITE_TRACK_ARTEFACT},
        {"cac", YM_TEXT_SITE_TRACK_CAC},
        {"hgr", YM_TEXT_SITE_TRACK_HGR},
        {"ethics", YM_TEXT_SITE_TRACK_ETHICS},
        {"consent", YM_TEXT_SITE_TRACK_CONSENT},
        {"ai", YM_TEXT_SITE_TRACK_AI},
        {"us", YM_TEXT_SITE_TRACK_US},
        {"proceed", YM_TEXT_SITE_OUTCOME_PROCEED},
        {"hold", YM_TEXT_SITE_OUTCOME_HOLD},
        {"refuse", YM_TEXT_SITE_OUTCOME_REFUSE},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, word) == 0)
            return ym_text(known[i].id);
    return word;
}

static void put_outcomes(struct html *h, const json_t *border)
{
    static const enum ym_text_id title[] = {YM_TEXT_SITE_PAGE_TRACK, YM_TEXT_SITE_PAGE_OUTCOME, YM_TEXT_SITE_PAGE_WHY,
                                            YM_TEXT_SITE_PAGE_WHO, YM_TEXT_SITE_PAGE_RULE};
    const json_t *line;
    size_t i;

    heads(h, title, 5);
    json_array_foreach(json_object_get(border, "reasons"), i, line)
    {
        html_raw(h, strcmp(ym_get_text(line, "outcome"), "proceed") == 0 ? "<tr>" : "<tr class=\"no\">");
        html_element(h, "td", border_word(ym_get_text(line, "track")));
        html_element(h, "td class=\"short\"", border_word(ym_get_text(line, "outcome")));
        html_element(h, "td", ym_get_text(line, "why"));
        html_element(h, "td", ym_site_word(ym_get_text(line, "role")));
        html_element(h, "td", ym_get_text(line, "rule"));
        html_raw(h, "</tr>\n");
    }
    html_raw(h, "</table>\n");
}

static void put_rules(struct html *h, const json_t *border)
{
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_RULES);
    if (!border)
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_NO_DATASET);
    else if (!json_is_true(json_object_get(border, "asked")))
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_RULES_OFF, ym_get_text(border, "why_not"));
    else
        put_outcomes(h, border);
}

/* Offices that have sealed this approval, and who else can. */
static void put_seal(struct html *h, const json_t *item)
{
    struct ym_buf who = {0}, from = {0};
    const json_t *office;
    size_t i;

    json_array_foreach(json_object_get(item, "sealed"), i, office)
        ym_buf_printf(&who, "%s%s", i ? ", " : "", ym_site_word(json_string_value(office)));
    json_array_foreach(json_object_get(item, "from"), i, office)
        ym_buf_printf(&from, "%s%s", i ? ", " : "", ym_site_word(json_string_value(office)));
    html_element_say(h, "p", YM_TEXT_SITE_PAGE_SEALED, who.len ? ym_buf_str(&who) : "-", ym_get_int(item, "left"),
                     ym_buf_str(&from));
    ym_buf_release(&who);
    ym_buf_release(&from);
}

static void put_seals(struct html *h, const json_t *shown, const json_t *pending)
{
    const json_t *item;
    size_t i, count = 0;

    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_SEALS);
    json_array_foreach(pending, i, item)
    {
        if (strcmp(ym_get_text(item, "type"), "approval") == 0 &&
            strcmp(ym_get_text(json_object_get(item, "members"), "plan"), ym_get_text(shown, "plan")) == 0 && ++count)
            put_seal(h, item);
    }
    if (count == 0)
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_NO_SEALS, ym_site_word(ym_get_text(shown, "decision")));
}

static void put_signature(struct html *h)
{
    html_element_say(h, "h2", YM_TEXT_SITE_PAGE_DECISION);
    for (int i = 0; i < 2; i++) {
        html_raw(h, "<div class=\"sign\">");
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_YES_NO);
        html_element_say(h, "p", YM_TEXT_SITE_PAGE_SIGN);
        html_raw(h, "</div>\n");
    }
    html_element_say(h, "p class=\"advice\"", YM_TEXT_BORDER_NOT_ADVICE);
}

/* The room of the data set that the gate was asked about. */
static const json_t *room_of(const json_t *shown, const json_t *border)
{
    const json_t *room;
    size_t i;

    json_array_foreach(json_object_get(shown, "datasets"), i, room)
    {
        if (border && strcmp(ym_get_text(room, "dataset"), ym_get_text(border, "dataset")) == 0)
            return room;
    }
    return NULL;
}

bool ym_site_page(const json_t *shown, const json_t *border, const json_t *filings, const json_t *pending,
                  struct ym_buf *out)
{
    struct html h = {.lang = ym_text_lang()};
    const json_t *content = json_object_get(shown, "content"), *room = room_of(shown, border);

    html_raw(&h, "<!doctype html>\n<html lang=\"%s\">\n<meta charset=\"utf-8\">\n", h.lang == YM_LANG_ZH ? "zh" : "en");
    html_element(&h, "title", ym_get_text(shown, "study"));
    html_raw(&h, "\n<style>%s</style>\n<body>\n", style);
    put_head(&h, shown);
    put_patients(&h, room);
    put_columns(&h, json_object_get(content, "model"));
    put_leaves(&h, shown, content);
    put_epsilon(&h, shown, room);
    put_limits(&h);
    put_policy(&h, json_object_get(shown, "policy"));
    put_records(&h, json_object_get(filings, "filings"), ym_get_text(shown, "study"));
    put_rules(&h, border);
    put_seals(&h, shown, json_object_get(pending, "pending"));
    put_signature(&h);
    html_raw(&h, "</body>\n</html>\n");
    if (h.failed) {
        ym_buf_release(&h.out);
        return false;
    }
    *out = h.out;
    return true;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/site/site.h"
#include "gate/border/rules.h"
#include "gate/border/words.h"

/* The site's gate at the desk: rule sets, the dossier of outside documents, and what is decided. */

enum { DOCUMENT_MAX = 1 << 30, TEXT_MAX = 48 * 1024 };

static const char *given(const struct ym_cli_args *a, const char *option)
{
    const char *text = ym_cli_get(a, option);

    return text ? text : "";
}

static void show_switch(const json_t *o)
{
    if (json_is_true(json_object_get(o, "asked")))
        fputs(T(SITE_BORDER_ON), stdout);
    else
        printf(T(SITE_BORDER_OFF), ym_get_text(o, "why_not"));
}

/* ---- rule sets ---- */

static void show_rules(const json_t *o)
{
    const json_t *r, *c;
    size_t i, k;

    show_switch(o);
    json_array_foreach(json_object_get(o, "rules"), i, r)
    {
        printf("%s/%lld  %s  %.8s  %s\n ", ym_get_text(r, "name"), ym_get_int(r, "version"),
               ym_get_text(r, "effective_from"), ym_get_text(r, "file"),
               ym_get_text(r, ym_text_lang() == YM_LANG_ZH ? "title_zh" : "title_en"));
        json_array_foreach(json_object_get(r, "covers"), k, c)
            printf(" %s", ym_word_text(YM_WORD_TRACK, json_string_value(c)));
        puts(json_is_true(json_object_get(r, "draft")) ? T(SITE_RULES_DRAFT) : "");
    }
    if (!json_array_size(json_object_get(o, "rules")))
        fputs(T(SITE_NONE), stdout);
    puts(T(BORDER_NOT_ADVICE));
}

int ym_site_cmd_rules_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "rules_list"), show_rules);
}

int ym_site_cmd_rules_check(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_rules *r = NULL;
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(a->positional[0], &doc, &problems, &st);

    if (code == YM_OK)
        code = ym_rules_read(doc, &r, &problems, &st);
    if (code == YM_OK)
        printf(T(SITE_RULES_GOOD), r->name, (long long)r->version, r->effective_from, T(BORDER_NOT_ADVICE));
    else if (ym_problems_format(&problems, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    ym_rules_free(r);
    ym_doc_free(doc);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code == YM_OK ? YM_EXIT_DONE : code == YM_INVALID ? YM_EXIT_USAGE : ym_site_fail(NULL, &st);
}

/* What this file says, read here: only that may be sealed. *want new. */
static enum ym_code expect_rules(const char *path, json_t **want, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_rules *r = NULL;
    struct ym_doc *doc = NULL;
    struct ym_buf text = {0};
    enum ym_code code = ym_doc_load(path, &doc, &problems, st);

    if (code == YM_OK)
        code = ym_rules_read(doc, &r, &problems, st);
    if (code == YM_OK) {
        *want = json_pack("{s:{s:s, s:I, s:b}}", "ruleset", "name", r->name, "version", (json_int_t)r->version,
                          "withdrawn", 0);
        ym_json_set_hash(json_object_get(*want, "ruleset"), "file", r->hash);
    } else if (ym_problems_format(&problems, &text) == YM_OK && text.len) {
        ym_status_set(st, code, "%s", ym_buf_str(&text));
    }
    ym_buf_release(&text);
    ym_rules_free(r);
    ym_doc_free(doc);
    ym_problems_release(&problems);
    return code;
}

int ym_site_cmd_rules_sign(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf text = {0};
    json_t *request, *want = NULL;

    if (ym_fs_read(a->positional[0], TEXT_MAX, &text, &st) != YM_OK ||
        expect_rules(a->positional[0], &want, &st) != YM_OK) {
        ym_buf_release(&text);
        return ym_site_fail(NULL, &st);
    }
    request = json_pack("{s:s, s:s, s:s}", "do", "rules_sign", "file", a->positional[0], "text", ym_buf_str(&text));
    ym_buf_release(&text);
    return ym_site_run_sealed(a, request, want, "rules_list", show_rules);
}

int ym_site_cmd_rules_withdraw(const struct ym_cli_args *a)
{
    return ym_site_run_sealed(a, json_pack("{s:s, s:s}", "do", "rules_withdraw", "name", a->positional[0]),
                              json_pack("{s:{s:s, s:b}}", "ruleset", "name", a->positional[0], "withdrawn", 1),
                              "rules_list", show_rules);
}

/* ---- the dossier ---- */

/* " (45 days left)" once a warning is due; static. */
static const char *days_text(const json_t *f)
{
    static char text[64];

    text[0] = 0;
    if (ym_get_int(f, "warn"))
        snprintf(text, sizeof text, T(SITE_FILING_LEFT), ym_get_int(f, "days_left"));
    return text;
}

static void show_due(const json_t *f)
{
    const json_t *d;
    size_t i;

    json_array_foreach(json_object_get(f, "due"), i, d) printf(
        T(SITE_FILING_DUE), ym_get_text(f, "document"), ym_get_text(f, "filed"),
        ym_get_text(d, ym_text_lang() == YM_LANG_ZH ? "zh" : "en"), ym_get_text(d, "day"), ym_get_text(d, "ruleset"));
}

static void show_dossier(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_RECORD,   YM_TEXT_SITE_COL_STUDY, YM_TEXT_SITE_COL_DATASET,
                                           YM_TEXT_SITE_COL_DOCUMENT, YM_TEXT_SITE_COL_UNTIL, YM_TEXT_SITE_COL_STATE,
                                           YM_TEXT_SITE_COL_ISSUER};
    struct ym_listing t = {.columns = sizeof head / sizeof *head};
    const json_t *f;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(json_object_get(o, "filings"), i, f)
    {
        char record[YM_WORD_BYTES];
        bool lacks = strcmp(ym_get_text(f, "state"), "incomplete") == 0;
        const char *why = ym_get_text(f, lacks ? "lacks" : "changed");

        ym_listing_add(&t, "%s", ym_word_named(YM_WORD_RECORD, ym_get_text(f, "record"), record));
        ym_listing_add(&t, "%s", ym_get_text(f, "study"));
        ym_listing_add(&t, "%s", ym_get_text(f, "dataset"));
        ym_listing_add(&t, "%.8s", ym_get_text(f, "document"));
        ym_listing_add(&t, "%s", ym_get_text(f, "until"));
        ym_listing_add(&t, "%s%s%s%s", ym_word_text(YM_WORD_STATE, ym_get_text(f, "state")),
                       !why[0] ? ""
                       : lacks ? ": --"
                               : ": ",
                       strcmp(why, "topics") ? why : "topic", days_text(f));
        ym_listing_add(&t, "%s %s", ym_get_text(f, "issuer"), ym_get_text(f, "number"));
    }
    ym_listing_print(&t);
    json_array_foreach(json_object_get(o, "filings"), i, f) show_due(f);
    if (!json_array_size(json_object_get(o, "filings")))
        fputs(T(SITE_NONE), stdout);
    puts(T(BORDER_NOT_ADVICE));
}

int ym_site_cmd_dossier_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "dossier_list"), show_dossier);
}

/* The document stays where it is; its hash alone is recorded. */
static enum ym_code hash_file(const char *path, uint8_t out[YM_HASH_BYTES], struct ym_status *st)
{
    struct ym_buf bytes = {0};
    enum ym_code code = ym_fs_read(path, DOCUMENT_MAX, &bytes, st);

    if (code == YM_OK)
        ym_sha256(bytes.data, bytes.len, out);
    ym_buf_release(&bytes);
    return code;
}

/* --topic WORD=WHERE, each once. NULL: one is written otherwise, which is said. */
static json_t *read_topics(const struct ym_cli_args *a)
{
    json_t *o = json_object();
    const char *one;

    for (size_t n = 0; (one = ym_cli_nth(a, "topic", n)) != NULL; n++) {
        const char *is = strchr(one, '=');
        char word[64];

        if (!is || is - one >= (long)sizeof word) {
            fprintf(stderr, T(SITE_FILING_TOPIC_BAD), one);
            json_decref(o);
            return NULL;
        }
        snprintf(word, sizeof word, "%.*s", (int)(is - one), one);
        json_object_set_new(o, word, json_string(is + 1));
    }
    return o;
}

/* The members that are said at the desk, all but dates and what the trainer finds. */
static json_t *said(const struct ym_cli_args *a, const uint8_t document[YM_HASH_BYTES], json_t *topics)
{
    static const char *const options[] = {"issuer",     "number",     "filed",    "province",
                                          "recipients", "categories", "committee"};
    json_t *o = json_pack("{s:s, s:o, s:b}", "record", a->positional[0], "topics", topics, "withdrawn", 0);

    for (size_t i = 0; o && i < sizeof options / sizeof *options; i++)
        json_object_set_new(o, options[i], json_string(given(a, options[i])));
    if (o)
        ym_json_set_hash(o, "document", document);
    return o;
}

int ym_site_cmd_dossier_add(const struct ym_cli_args *a)
{
    static const char *const needed[] = {"study", "document", "issuer"};
    struct ym_status st = YM_STATUS_INIT;
    uint8_t hash[YM_HASH_BYTES];
    json_t *filing, *want, *topics;

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!ym_cli_get(a, needed[i]))
            return ym_site_need(needed[i]);
    if ((topics = read_topics(a)) == NULL)
        return YM_EXIT_USAGE;
    if (hash_file(ym_cli_get(a, "document"), hash, &st) != YM_OK) {
        json_decref(topics);
        return ym_site_fail(NULL, &st);
    }
    want = said(a, hash, topics);
    filing = json_copy(want);
    json_object_set_new(filing, "valid_from", json_string(given(a, "from")));
    json_object_set_new(filing, "valid_until", json_string(given(a, "until")));
    json_object_set_new(filing, "renews", json_string(given(a, "renews")));
    return ym_site_run_sealed(a,
                              json_pack("{s:s, s:s, s:s, s:o}", "do", "dossier_add", "plan", given(a, "study"),
                                        "dataset", given(a, "dataset"), "filing", filing),
                              json_pack("{s:o}", "dossier", want), "dossier_list", show_dossier);
}

int ym_site_cmd_dossier_withdraw(const struct ym_cli_args *a)
{
    return ym_site_run_sealed(a,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "do", "dossier_withdraw", "document",
                                        a->positional[0], "record", given(a, "record"), "study", given(a, "study"),
                                        "dataset", given(a, "dataset")),
                              json_pack("{s:{s:b}}", "dossier", "withdrawn", 1), "dossier_list", show_dossier);
}

/* ---- what is decided ---- */

static void show_decision(const json_t *o)
{
    if (!json_is_true(json_object_get(o, "asked")))
        show_switch(o);
    printf(T(SITE_BORDER_OF), ym_get_text(o, "study"), ym_get_text(o, "dataset"));
    fputs(ym_get_text(o, "text"), stdout);
    if (ym_get_text(o, "zone")[0])
        puts(ym_get_text(o, "zone"));
}

int ym_site_cmd_border_show(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site site;
    json_t *reply = NULL;
    const char *outcome;
    int rc;
    enum ym_code code = ym_site_open(a, &site, &st);

    if (code == YM_OK)
        code = ym_site_ask(&site,
                           json_pack("{s:s, s:s, s:s, s:b}", "do", "border", "plan", a->positional[0], "dataset",
                                     given(a, "dataset"), "forecast", ym_cli_has(a, "forecast")),
                           &reply, &st);
    if (code != YM_OK)
        return ym_site_fail(&site, &st);
    if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show_decision(reply);
    outcome = ym_get_text(json_object_get(reply, "decision"), "outcome");
    rc = strcmp(outcome, "proceed") == 0 || !json_is_true(json_object_get(reply, "asked")) ? YM_EXIT_DONE : YM_EXIT_NO;
    json_decref(reply);
    return rc;
}

static void show_again(const json_t *o)
{
    const json_t *d, *c;
    size_t i, k;

    json_array_foreach(json_object_get(o, "decisions"), i, d)
    {
        printf("%s  %s  %s  %s -> %s\n", ym_time_text(ym_get_int(d, "time")), ym_get_text(d, "study"),
               ym_get_text(d, "dataset"), ym_word_text(YM_WORD_OUTCOME, ym_get_text(d, "was")),
               ym_word_text(YM_WORD_OUTCOME, ym_get_text(d, "now")));
        json_array_foreach(json_object_get(d, "changes"), k, c)
            printf("  %s: %s (%s) -> %s (%s) [%s]\n", ym_word_text(YM_WORD_TRACK, ym_get_text(c, "track")),
                   ym_word_text(YM_WORD_OUTCOME, ym_get_text(c, "was")),
                   ym_word_text(YM_WORD_LABEL, ym_get_text(c, "was_label")),
                   ym_word_text(YM_WORD_OUTCOME, ym_get_text(c, "now")),
                   ym_word_text(YM_WORD_LABEL, ym_get_text(c, "now_label")), ym_get_text(c, "rule"));
    }
    fputs(T(SITE_BORDER_AGAIN), stdout);
    puts(T(BORDER_NOT_ADVICE));
}

int ym_site_cmd_border_again(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "border_again"), show_again);
}

int ym_site_cmd_border_off(const struct ym_cli_args *a)
{
    if (!ym_cli_get(a, "reason"))
        return ym_site_need("reason");
    return ym_site_run_sealed(
        a, json_pack("{s:s, s:b, s:s}", "do", "border_switch", "asked", 0, "reason", given(a, "reason")),
        json_pack("{s:{s:b, s:s}}", "border", "asked", 0, "reason", given(a, "reason")), "rules_list", show_switch);
}

int ym_site_cmd_border_on(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s, s:b, s:s}", "do", "border_switch", "asked", 1, "reason", ""), show_switch);
}

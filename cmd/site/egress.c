#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/site/site.h"
#include "gate/border/words.h"

/* What left, to whom and on what ground, and how many people that makes. */

/* ---- egress list ---- */

static void show_list(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_WHEN,    YM_TEXT_SITE_COL_STUDY, YM_TEXT_SITE_COL_ROUND,
                                           YM_TEXT_SITE_COL_ATTEMPT, YM_TEXT_SITE_COL_BYTES, YM_TEXT_SITE_COL_PEOPLE,
                                           YM_TEXT_SITE_COL_SHA};
    struct ym_listing t = {.columns = sizeof head / sizeof *head, .right = 0x3c};
    const json_t *list = json_object_get(o, "releases"), *r, *people;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(list, i, r)
    {
        ym_listing_add(&t, "%s", ym_time_text(ym_get_int(r, "time")));
        ym_listing_add(&t, "%s", ym_get_text(r, "study"));
        ym_listing_add(&t, "%lld", ym_get_int(r, "round"));
        ym_listing_add(&t, "%lld", ym_get_int(r, "attempt"));
        ym_listing_add(&t, "%lld", ym_get_int(r, "bytes"));
        people = json_array_get(json_object_get(r, "people"), 0);
        ym_listing_add(&t, "%lld", ym_get_int(people, json_object_get(people, "exact") ? "exact" : "people"));
        ym_listing_add(&t, "%s", ym_get_text(r, "update"));
    }
    ym_listing_print(&t);
    if (json_array_size(list) == 0)
        fputs(T(SITE_NONE), stdout);
}

static int fetch(const struct ym_cli_args *a, json_t **reply)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    enum ym_code code = ym_site_open(a, &s, &st);

    if (code != YM_OK)
        return ym_site_fail(&s, &st);
    code = ym_site_ask_record(&s, true, reply, &st);
    return code == YM_OK ? YM_EXIT_DONE : ym_site_fail_record(&s, code, &st);
}

int ym_site_cmd_egress(const struct ym_cli_args *a)
{
    json_t *reply = NULL;
    int rc = fetch(a, &reply);

    if (rc != YM_EXIT_DONE)
        return rc;
    if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show_list(reply);
    json_decref(reply);
    return rc;
}

/* ---- egress show ---- */

static void show_people(const json_t *release)
{
    const json_t *year;
    size_t i;

    json_array_foreach(json_object_get(release, "people"), i, year)
    {
        char text[160];

        if (json_object_get(year, "exact"))
            snprintf(text, sizeof text, T(SITE_EGRESS_PEOPLE_EXACT), ym_get_int(year, "exact"),
                     ym_get_int(year, "people"));
        else
            snprintf(text, sizeof text, T(SITE_EGRESS_PEOPLE_CLASS), ym_get_int(year, "people"));
        printf(T(SITE_EGRESS_PEOPLE), ym_get_int(year, "year"), text);
    }
}

static void show_decision(const json_t *release)
{
    const json_t *row;
    size_t i;

    if (!json_is_true(json_object_get(release, "asked"))) {
        fputs(T(SITE_EGRESS_UNASKED), stdout);
        return;
    }
    printf("  %s: %s, %s\n", T(BORDER_OVERALL), ym_word_text(YM_WORD_LABEL, ym_get_text(release, "label")),
           ym_word_text(YM_WORD_OUTCOME, ym_get_text(release, "outcome")));
    json_array_foreach(json_object_get(release, "tracks"), i, row)
    {
        printf("  %s: %s, %s", ym_word_text(YM_WORD_TRACK, ym_get_text(row, "track")),
               ym_word_text(YM_WORD_LABEL, ym_get_text(row, "label")),
               ym_word_text(YM_WORD_OUTCOME, ym_get_text(row, "outcome")));
        if (*ym_get_text(row, "rule"))
            printf(" [%s, %s/%lld]", ym_get_text(row, "rule"), ym_get_text(row, "ruleset"), ym_get_int(row, "version"));
        puts("");
    }
    json_array_foreach(json_object_get(release, "approvals"), i, row) printf(
        T(SITE_EGRESS_APPROVAL), ym_word_text(YM_WORD_RECORD, ym_get_text(row, "record")), ym_get_text(row, "issuer"),
        ym_get_text(row, "number")[0] ? ym_get_text(row, "number") : "-", ym_get_text(row, "document"));
    printf("%s\n", T(BORDER_NOT_ADVICE));
}

static void show_one(const json_t *r)
{
    printf(T(SITE_EGRESS_ABOUT), ym_get_int(r, "leaf"), ym_get_int(r, "bytes"), ym_get_text(r, "update"));
    printf(T(SITE_EGRESS_TO), ym_time_text(ym_get_int(r, "time")), ym_get_text(r, "study"), ym_get_int(r, "round"),
           ym_get_int(r, "attempt"), ym_get_text(r, "dataset"), ym_get_text(r, "federation"),
           ym_get_text(r, "sponsor"));
    printf(T(SITE_EGRESS_CLIP), ym_get_int(r, "clip_units"),
           sqrt(atof(ym_get_text(r, "noise_variance"))) / (double)ym_get_int(r, "clip_units"),
           ym_get_text(r, "noise_variance"), ym_get_int(r, "steps"), ldexp(atof(ym_get_text(r, "sampling_k")), -64));
    printf(T(SITE_EGRESS_EPSILON), ym_epsilon_text(ym_get_int(r, "epsilon_round_micro")),
           ym_epsilon_text(ym_get_int(r, "epsilon_spent_micro")), ym_delta_text(ym_get_int(r, "delta_e18")));
    show_people(r);
    show_decision(r);
}

/* By the entry's number in the ledger, or the first 8 or more digits of the update's or the charge's hash. */
static bool is_asked(const json_t *r, const char *what)
{
    char *end;
    long long leaf = strtoll(what, &end, 10);
    size_t len = strlen(what);

    if (len < 8)
        return len > 0 && *end == 0 && leaf == ym_get_int(r, "leaf");
    return strncmp(ym_get_text(r, "update"), what, len) == 0 || strncmp(ym_get_text(r, "charge"), what, len) == 0;
}

int ym_site_cmd_egress_show(const struct ym_cli_args *a)
{
    json_t *reply = NULL;
    const json_t *r, *found = NULL;
    size_t i;
    int rc = fetch(a, &reply);

    if (rc != YM_EXIT_DONE)
        return rc;
    json_array_foreach(json_object_get(reply, "releases"), i, r)
    {
        if (is_asked(r, a->positional[0]))
            found = r;
    }
    if (!found) {
        fprintf(stderr, "yumen-site: %s\n", T(SITE_EGRESS_NONE));
        rc = YM_EXIT_NO;
    } else if (ym_cli_has(a, "json")) {
        ym_site_print_json(found);
    } else {
        show_one(found);
    }
    json_decref(reply);
    return rc;
}

/* ---- egress export ---- */

static const struct {
    const char *key;
    bool number;
} columns[] = {{"leaf", true},
               {"time", true},
               {"federation", false},
               {"sponsor", false},
               {"study", false},
               {"round", true},
               {"attempt", true},
               {"dataset", false},
               {"bytes", true},
               {"update", false},
               {"charge", false},
               {"clip_units", true},
               {"noise_variance", false},
               {"sampling_k", false},
               {"steps", true},
               {"epsilon_round_micro", true},
               {"epsilon_spent_micro", true},
               {"delta_e18", true},
               {"exporter", false},
               {"decision", false},
               {"label", false},
               {"outcome", false}};

static void put_row(struct ym_buf *out, const json_t *r)
{
    const json_t *item;
    struct ym_buf people = {0}, approvals = {0};
    size_t i;

    for (i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (columns[i].number)
            ym_buf_printf(out, "%lld", ym_get_int(r, columns[i].key));
        else
            ym_buf_csv(out, ym_get_text(r, columns[i].key));
        ym_buf_puts(out, ",");
    }
    json_array_foreach(json_object_get(r, "people"), i, item)
    {
        ym_buf_printf(&people, "%s%lld: %lld", i ? "; " : "", ym_get_int(item, "year"), ym_get_int(item, "people"));
        if (json_object_get(item, "exact"))
            ym_buf_printf(&people, " (%lld)", ym_get_int(item, "exact"));
    }
    json_array_foreach(json_object_get(r, "approvals"), i, item)
        ym_buf_printf(&approvals, "%s%s %s", i ? "; " : "", ym_get_text(item, "record"), ym_get_text(item, "document"));
    ym_buf_csv(out, ym_buf_str(&people));
    ym_buf_puts(out, ",");
    ym_buf_csv(out, ym_buf_str(&approvals));
    ym_buf_puts(out, "\r\n");
    ym_buf_release(&people);
    ym_buf_release(&approvals);
}

static void put_csv(struct ym_buf *out, const json_t *list)
{
    const json_t *r;
    size_t i;

    for (i = 0; i < sizeof columns / sizeof *columns; i++)
        ym_buf_printf(out, "%s,", columns[i].key);
    ym_buf_puts(out, "people,approvals\r\n");
    json_array_foreach(list, i, r) put_row(out, r);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

int ym_site_cmd_egress_export(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *path = a->positional[0];
    struct ym_buf out = {0};
    json_t *reply = NULL;
    char *text = NULL;
    int rc;

    if (!ends_with(path, ".csv") && !ends_with(path, ".json")) {
        fprintf(stderr, "yumen-site: %s\n", T(SITE_EGRESS_FORMAT));
        return YM_EXIT_NO;
    }
    rc = fetch(a, &reply);
    if (rc != YM_EXIT_DONE)
        return rc;
    if (ends_with(path, ".csv"))
        put_csv(&out, json_object_get(reply, "releases"));
    else if ((text = json_dumps(json_object_get(reply, "releases"), JSON_INDENT(1) | JSON_SORT_KEYS)) != NULL)
        ym_buf_puts(&out, text);
    if (ym_fs_write(path, ym_buf_bytes(&out), 0600, &st) != YM_OK) {
        fprintf(stderr, "yumen-site: %s\n", st.message);
        rc = YM_EXIT_NO;
    } else {
        printf(T(SITE_EGRESS_EXPORTED), json_array_size(json_object_get(reply, "releases")), path);
    }
    free(text);
    ym_buf_release(&out);
    json_decref(reply);
    return rc;
}

/* ---- people ---- */

static void show_limits(const json_t *limits)
{
    const json_t *l;
    size_t i;

    json_array_foreach(limits, i, l)
    {
        char warn[96] = "";

        if (ym_get_int(l, "warn") > 0)
            snprintf(warn, sizeof warn, T(SITE_PEOPLE_WARN), ym_get_int(l, "warn"));
        printf(T(SITE_PEOPLE_LIMIT), ym_get_text(l, "fact"), ym_get_text(l, "ruleset"), ym_get_int(l, "from"),
               ym_get_int(l, "left"), warn);
    }
}

static const char *name_of(const json_t *o)
{
    return *ym_get_text(o, "name") ? ym_get_text(o, "name") : T(SITE_PEOPLE_NOBODY);
}

static void show_forecast(const json_t *f)
{
    if (json_is_true(json_object_get(f, "exact")))
        printf(T(SITE_PEOPLE_EXACT), ym_get_text(f, "study"), ym_get_text(f, "dataset"), ym_get_int(f, "cohort"),
               ym_get_int(f, "before"), ym_get_int(f, "people"));
    else
        printf(T(SITE_PEOPLE_MOST), ym_get_text(f, "study"), ym_get_text(f, "dataset"), ym_get_int(f, "people"));
    show_limits(json_object_get(f, "limits"));
    if (json_object_get(f, "us")) {
        printf(T(SITE_PEOPLE_US_WITH), ym_get_int(f, "us"));
        show_limits(json_object_get(f, "us_limits"));
    }
}

/* Who else counts for this exporter, and what it makes in all. */
static void show_others(const json_t *row)
{
    const json_t *list = json_object_get(row, "hospitals"), *h;
    size_t i;

    printf(T(SITE_PEOPLE_HASH), ym_get_text(row, "exporter"));
    json_array_foreach(list, i, h) printf(T(SITE_PEOPLE_HOSPITAL), ym_get_text(h, "name"), ym_get_int(h, "people"));
    if (ym_get_int(row, "elsewhere") > 0)
        printf(T(SITE_PEOPLE_ELSEWHERE), ym_get_int(row, "elsewhere"));
    if (ym_get_int(row, "sum") < 0)
        fputs(T(SITE_PEOPLE_UNKNOWN), stdout);
    else if (ym_get_int(row, "sum") != ym_get_int(row, "people"))
        printf(T(SITE_PEOPLE_SUM), ym_get_int(row, "sum"));
}

static const char *or_hash(const json_t *row, const char *name, const char *hash)
{
    return *ym_get_text(row, name) ? ym_get_text(row, name) : ym_get_text(row, hash);
}

static void show_us(const json_t *list)
{
    const json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        printf(T(SITE_PEOPLE_US), or_hash(row, "party_name", "party"), or_hash(row, "recipient_name", "recipient"),
               ym_get_int(row, "people"), ym_get_text(row, "categories"));
        if (ym_get_int(row, "lost") > 0)
            printf(T(SITE_PEOPLE_LOST), ym_get_int(row, "lost"));
        show_limits(json_object_get(row, "limits"));
    }
}

static void show_meters(const json_t *o)
{
    const json_t *list = json_object_get(o, "exporters"), *row;
    size_t i;

    if (json_array_size(list) == 0)
        fputs(T(SITE_NONE), stdout);
    json_array_foreach(list, i, row)
    {
        printf("%lld  %s  %lld\n", ym_get_int(row, "year"), name_of(row), ym_get_int(row, "people"));
        if (ym_get_int(row, "lost") > 0)
            printf(T(SITE_PEOPLE_LOST), ym_get_int(row, "lost"));
        show_others(row);
        show_limits(json_object_get(row, "limits"));
    }
    show_us(json_object_get(o, "us"));
    if (json_is_object(json_object_get(o, "forecast")))
        show_forecast(json_object_get(o, "forecast"));
    printf("%s\n", T(BORDER_NOT_ADVICE));
}

int ym_site_cmd_people(const struct ym_cli_args *a)
{
    const char *study = ym_cli_get(a, "study"), *dataset = ym_cli_get(a, "dataset");

    return ym_site_run(
        a, json_pack("{s:s, s:s, s:s}", "do", "people", "plan", study ? study : "", "dataset", dataset ? dataset : ""),
        show_meters);
}

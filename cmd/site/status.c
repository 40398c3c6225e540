#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/screen.h"
#include "cmd/site/site.h"
#include "gate/border/words.h"

/* One screen about the site, for whoever opens the desk in the morning. */

enum { LINES = 23, COLUMNS = 80, NAME_DIGITS = 16, DAY_S = 86400, CERTIFICATE_DAYS = 1 };

static bool is(const json_t *o, const char *key, const char *word)
{
    return strcmp(ym_get_text(o, key), word) == 0;
}

static bool truth(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static const char *yes_no(const json_t *o, const char *key)
{
    return truth(o, key) ? T(SITE_YES) : T(SITE_NO);
}

const char *ym_site_log_text(const char *word)
{
    static const struct {
        const char *word;
        enum ym_text_id id;
    } text[] = {{"blind", YM_TEXT_SITE_LOG_BLIND},
                {"good", YM_TEXT_SITE_LOG_GOOD},
                {"hub_behind", YM_TEXT_SITE_LOG_HUB_BEHIND},
                {"hub_differs", YM_TEXT_SITE_LOG_HUB_DIFFERS},
                {"ledger_behind", YM_TEXT_SITE_LOG_LEDGER_BEHIND},
                {"ledger_forked", YM_TEXT_SITE_LOG_LEDGER_FORKED}};

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (strcmp(text[i].word, word) == 0)
            return ym_text(text[i].id);
    return word;
}

static const char *date_of(long long unix_s)
{
    static char text[2][YM_DATE_BYTES];
    static int next;
    char *out = text[next++ % 2];

    if (unix_s <= 0)
        return "-";
    ym_date_of(unix_s, out);
    return out;
}

/* Thousandths of epsilon say enough here, rounded up. */
static const char *short_epsilon(long long micro)
{
    static char text[4][32];
    static int next;
    char *out = text[next++ % 4];
    long long milli = (micro + 999) / 1000;

    snprintf(out, sizeof text[0], "%lld.%03lld", milli / 1000, milli % 1000);
    return out;
}

static void add_table(struct ym_screen *s, struct ym_listing *t)
{
    struct ym_buf text = {0};

    t->indent = "  ";
    ym_listing_format(t, &text);
    ym_screen_add(s, ym_buf_str(&text));
    ym_buf_release(&text);
}

/* ---- sections ---- */

static void put_head(struct ym_screen *s, const json_t *o)
{
    ym_screen_section(s, "");
    ym_screen_addf(s, T(SITE_STATUS_HEAD), ym_get_text(o, "name"),
                   truth(o, "enrolled") ? ym_get_text(o, "federation") : "-", yes_no(o, "gateway"), yes_no(o, "hub"));
    ym_screen_addf(s, T(SITE_STATUS_LOG), ym_site_log_text(ym_get_text(o, "log")), ym_get_int(o, "leaves"));
}

static bool log_disagrees(const json_t *o)
{
    return !is(o, "log", "good") && !is(o, "log", "blind");
}

/* What is out of order, and what to do. */
static void put_trouble(struct ym_screen *s, const json_t *o)
{
    long long until = ym_get_int(o, "certificate_until");

    ym_screen_section(s, T(SITE_STATUS_TROUBLE));
    if (log_disagrees(o))
        ym_screen_add(s,
                      strncmp(ym_get_text(o, "log"), "hub", 3) == 0 ? T(SITE_STATUS_HUB_WRONG) : T(SITE_STATUS_BACK));
    if (truth(o, "other_worker"))
        ym_screen_add(s, T(SITE_STATUS_OTHER));
    if (!truth(o, "enrolled"))
        ym_screen_add(s, T(SITE_STATUS_ALONE));
    if (!truth(o, "gateway"))
        ym_screen_add(s, T(SITE_STATUS_NO_GATEWAY));
    else if (truth(o, "enrolled") && !truth(o, "hub") && !truth(o, "other_worker"))
        ym_screen_add(s, T(SITE_STATUS_NO_HUB));
    if (until > 0 && until < ym_clock_unix() + (long long)CERTIFICATE_DAYS * DAY_S)
        ym_screen_addf(s, T(SITE_STATUS_CERTIFICATE), date_of(until));
    if (!truth(o, "policy_signed"))
        ym_screen_add(s, T(SITE_STATUS_NO_POLICY));
    if (!truth(o, "border_asked"))
        ym_screen_addf(s, T(SITE_STATUS_BORDER_OFF), ym_get_text(o, "border_why_not"));
    else if (ym_get_int(o, "rulesets") == 0)
        ym_screen_add(s, T(SITE_STATUS_NO_RULES));
}

static bool open_study(const json_t *study)
{
    return !is(study, "phase", "closed") && !is(study, "decision", "vetoed");
}

static void put_asked(struct ym_screen *s, const json_t *studies)
{
    struct ym_listing t = {.columns = 4};
    const json_t *study;
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_ASKED));
    json_array_foreach(studies, i, study)
    {
        if (!open_study(study) || !is(study, "decision", "undecided"))
            continue;
        ym_listing_add(&t, "%s", ym_get_text(study, "study"));
        ym_listing_add(&t, "%s", ym_get_text(study, "sponsor"));
        ym_listing_add(&t, "epsilon %s", short_epsilon(ym_get_int(study, "epsilon_study_micro")));
        ym_listing_add(&t, "%s", ym_get_text(study, "title"));
    }
    add_table(s, &t);
}

const char *ym_site_leaf_text(const char *type)
{
    static const struct {
        const char *type;
        enum ym_text_id id;
    } known[] = {
        {"approval", YM_TEXT_SITE_SEAL_APPROVAL}, {"policy", YM_TEXT_SITE_SEAL_POLICY},
        {"override", YM_TEXT_SITE_SEAL_OVERRIDE}, {"ruleset", YM_TEXT_SITE_SEAL_RULESET},
        {"rotate", YM_TEXT_SITE_SEAL_ROTATE},     {"dossier", YM_TEXT_SITE_SEAL_DOSSIER},
        {"border", YM_TEXT_SITE_SEAL_BORDER},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].type, type) == 0)
            return ym_text(known[i].id);
    return type;
}

/* A word about what the item is about. */
static const char *subject_of(const json_t *members)
{
    static const char *const key[] = {"study", "name", "office", "reason"};

    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (ym_get_text(members, key[i])[0])
            return ym_get_text(members, key[i]);
    return "";
}

static void offices_text(const json_t *from, long long left, struct ym_buf *out)
{
    const json_t *office;
    size_t i;

    ym_buf_printf(out, T(SITE_STATUS_MISSING), left);
    json_array_foreach(from, i, office)
        ym_buf_printf(out, "%s%s", i ? ", " : " ", ym_word_text(YM_WORD_OFFICE, json_string_value(office)));
}

static void put_pending(struct ym_screen *s, const json_t *list)
{
    struct ym_listing t = {.columns = 4};
    const json_t *item;
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_SEALS));
    json_array_foreach(list, i, item)
    {
        struct ym_buf who = {0};

        offices_text(json_object_get(item, "from"), ym_get_int(item, "left"), &who);
        ym_listing_add(&t, "%.*s", (int)NAME_DIGITS, ym_get_text(item, "hash"));
        ym_listing_add(&t, "%s", date_of(ym_get_int(item, "lapses")));
        ym_listing_add(&t, "%s %.16s", ym_site_leaf_text(ym_get_text(item, "type")),
                       subject_of(json_object_get(item, "members")));
        ym_listing_add(&t, "%s", ym_buf_str(&who));
        ym_buf_release(&who);
    }
    add_table(s, &t);
}

static bool same_wait(const json_t *a, const json_t *b)
{
    return is(a, "study", ym_get_text(b, "study")) && is(a, "role", ym_get_text(b, "role"));
}

/* All tracks of one study that wait for the same office; why, where it is one. */
static void held_text(const json_t *list, size_t first, struct ym_buf *out)
{
    const json_t *one = json_array_get(list, first), *w;
    size_t i, count = 0;

    json_array_foreach(list, i, w)
    {
        if (same_wait(one, w))
            ym_buf_printf(out, "%s%s", count++ ? ", " : "", ym_word_text(YM_WORD_TRACK, ym_get_text(w, "track")));
    }
    if (count == 1)
        ym_buf_printf(out, ": %s", ym_get_text(one, "why"));
}

static bool told_before(const json_t *list, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (same_wait(json_array_get(list, i), json_array_get(list, at)))
            return true;
    return false;
}

static void put_held(struct ym_screen *s, const json_t *list)
{
    struct ym_listing t = {.columns = 3};
    const json_t *w;
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_WAITS));
    json_array_foreach(list, i, w)
    {
        struct ym_buf text = {0};

        if (told_before(list, i))
            continue;
        held_text(list, i, &text);
        ym_listing_add(&t, "%s", ym_get_text(w, "study"));
        ym_listing_add(&t, "%s", ym_site_word(ym_get_text(w, "role")));
        ym_listing_add(&t, "%s", ym_buf_str(&text));
        ym_buf_release(&text);
    }
    add_table(s, &t);
    ym_screen_section(s, "");
    if (json_array_size(list) > 0)
        ym_screen_wrap(s, T(BORDER_NOT_ADVICE), COLUMNS);
}

/* What each refusal of worker/trainer/core.h asks of people. */
static const char *remedy(const char *reason)
{
    static const struct {
        const char *reason;
        enum ym_text_id id;
    } known[] = {
        {"budget", YM_TEXT_SITE_REMEDY_BUDGET},     {"no_data", YM_TEXT_SITE_REMEDY_NO_DATA},
        {"policy", YM_TEXT_SITE_REMEDY_POLICY},     {"hours", YM_TEXT_SITE_REMEDY_HOURS},
        {"border", YM_TEXT_SITE_REMEDY_BORDER},     {"recover", YM_TEXT_SITE_REMEDY_RECOVER},
        {"sandbox", YM_TEXT_SITE_REMEDY_SANDBOX},   {"disk", YM_TEXT_SITE_REMEDY_DISK},
        {"paused", YM_TEXT_SITE_REMEDY_PAUSED},     {"not_approved", YM_TEXT_SITE_REMEDY_NOT_APPROVED},
        {"vetoed", YM_TEXT_SITE_REMEDY_NOTHING},    {"stale", YM_TEXT_SITE_REMEDY_NOTHING},
        {"crashed", YM_TEXT_SITE_REMEDY_NOTHING},   {"busy", YM_TEXT_SITE_REMEDY_NOTHING},
        {"memory", YM_TEXT_SITE_REMEDY_MEMORY},     {"state_mismatch", YM_TEXT_SITE_REMEDY_HUB},
        {"bad_signature", YM_TEXT_SITE_REMEDY_HUB},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].reason, reason) == 0)
            return ym_text(known[i].id);
    return reason;
}

static void put_running(struct ym_screen *s, const json_t *studies)
{
    struct ym_listing t = {.columns = 4};
    const json_t *study;
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_RUNNING));
    json_array_foreach(studies, i, study)
    {
        bool paused = truth(study, "paused");

        if (!open_study(study) || !is(study, "decision", "approved"))
            continue;
        ym_listing_add(&t, "%s", ym_get_text(study, "study"));
        ym_listing_add(&t, T(SITE_STATUS_ROUND), ym_get_int(study, "round"), ym_get_int(study, "rounds"));
        ym_listing_add(&t, "%s", ym_site_word(paused ? "paused" : ym_get_text(study, "phase")));
        if (ym_get_text(study, "reason")[0])
            ym_listing_add(&t, T(SITE_STATUS_REFUSED), ym_site_word(ym_get_text(study, "reason")),
                           remedy(ym_get_text(study, "reason")));
        else
            ym_listing_add(&t, "%s", "");
    }
    add_table(s, &t);
}

/* The limit that is reached first; NULL: no rule set in force names one. */
static const json_t *nearest(const json_t *limits)
{
    const json_t *limit, *best = NULL;
    size_t i;

    json_array_foreach(limits, i, limit) if (!best || ym_get_int(limit, "left") < ym_get_int(best, "left")) best =
        limit;
    return best;
}

static const char *exporter_of(const json_t *e)
{
    return ym_get_text(e, "name")[0] ? ym_get_text(e, "name") : T(SITE_STATUS_NO_EXPORTER);
}

/* What the limits are of, where it is more than this hospital's own; static. */
static const char *with_others(const json_t *e)
{
    static char text[64];

    text[0] = 0;
    if (ym_get_int(e, "sum") > ym_get_int(e, "people"))
        snprintf(text, sizeof text, T(SITE_STATUS_PEOPLE_SUM), ym_get_int(e, "sum"));
    return text;
}

static void put_people(struct ym_screen *s, const json_t *exporters, long long year)
{
    const json_t *e;
    size_t i;

    json_array_foreach(exporters, i, e)
    {
        const json_t *limit = nearest(json_object_get(e, "limits"));

        if (ym_get_int(e, "year") != year)
            continue;
        if (limit)
            ym_screen_addf(s, T(SITE_STATUS_PEOPLE), ym_get_int(e, "people"), with_others(e), year, exporter_of(e),
                           ym_get_int(limit, "left"), ym_get_int(limit, "from"), ym_get_text(limit, "ruleset"));
        else
            ym_screen_addf(s, T(SITE_STATUS_PEOPLE_FREE), ym_get_int(e, "people"), year, exporter_of(e));
    }
}

static void put_left(struct ym_screen *s, const json_t *o)
{
    const json_t *d, *week = json_object_get(o, "week");
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_LEFT));
    json_array_foreach(json_object_get(o, "budgets"), i, d)
    {
        long long cap = ym_get_int(d, "cap_micro"), spent = ym_get_int(d, "spent_micro");

        ym_screen_addf(s, T(SITE_STATUS_BUDGET), ym_get_text(d, "dataset"), short_epsilon(spent), short_epsilon(cap),
                       short_epsilon(spent < cap ? (cap - spent) / 1000 * 1000 : 0));
    }
    put_people(s, json_object_get(o, "people"), ym_get_int(o, "year"));
    ym_screen_section(s, "");
    ym_screen_addf(s, T(SITE_STATUS_WEEK), ym_get_int(week, "releases"), ym_get_int(week, "bytes"),
                   ym_get_int(week, "studies"));
}

static void put_expires(struct ym_screen *s, const json_t *list)
{
    struct ym_listing t = {.columns = 5};
    const json_t *f;
    size_t i;

    ym_screen_section(s, T(SITE_STATUS_EXPIRES));
    json_array_foreach(list, i, f)
    {
        ym_listing_add(&t, "%s", ym_get_text(f, "until"));
        ym_listing_add(&t, "%s", ym_site_word(ym_get_text(f, "state")));
        ym_listing_add(&t, "%s", ym_word_text(YM_WORD_RECORD, ym_get_text(f, "record")));
        ym_listing_add(&t, "%s", ym_get_text(f, "study"));
        ym_listing_add(&t, "%s", ym_get_text(f, "issuer"));
    }
    add_table(s, &t);
}

static void show_status(const json_t *o)
{
    struct ym_screen s = {0};
    struct ym_buf text = {0};

    put_head(&s, o);
    put_trouble(&s, o);
    put_asked(&s, json_object_get(o, "studies"));
    put_pending(&s, json_object_get(o, "pending"));
    put_held(&s, json_object_get(o, "waits"));
    put_running(&s, json_object_get(o, "studies"));
    put_left(&s, o);
    put_expires(&s, json_object_get(o, "expires"));
    ym_screen_format(&s, LINES, COLUMNS, &text);
    fputs(ym_buf_str(&text), stdout);
    ym_buf_release(&text);
}

/* Why no trainer answers, as far as the folder tells; in the order in which it looks. */
static void look_at_folder(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    struct ym_key *key = NULL;
    struct ym_ledger *ledger = NULL;
    int lock = -1;

    if (ym_site_open(a, &s, &st) != YM_OK || ym_fs_lock(s.dir, &lock, NULL) != YM_OK)
        return;
    if (ym_site_key(&s, &key, &st) != YM_OK)
        fprintf(stderr, T(SITE_STATUS_KEY), st.message);
    else if (ym_site_ledger(&s, key, &ledger, &st) != YM_OK)
        fprintf(stderr, "%s\n%s\n", st.message, T(SITE_LEDGER_STOP));
    ym_ledger_close(&ledger);
    ym_key_free(key);
    ym_fs_unlock(&lock);
}

int ym_site_cmd_status(const struct ym_cli_args *a)
{
    int rc = ym_site_run(a, json_pack("{s:s}", "do", "status"), show_status);

    if (rc == YM_EXIT_UNREACHED)
        look_at_folder(a);
    return rc;
}

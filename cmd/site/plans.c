#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/spend.h"
#include "base/fs.h"
#include "cmd/site/site.h"

/* Plans: shown whole, tried on the hospital's rows, decided by hash. */

/* After a restart the trainer knows of a study that rests what its ledger says. */
static long long newest_round(const json_t *p)
{
    long long asked = ym_get_int(p, "round"), charged = ym_get_int(p, "charged_round");

    return asked > charged ? asked : charged;
}

static void show_list(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_PLAN,     YM_TEXT_SITE_COL_STUDY, YM_TEXT_SITE_COL_SPONSOR,
                                           YM_TEXT_SITE_COL_DECISION, YM_TEXT_SITE_COL_PHASE, YM_TEXT_SITE_COL_ROUND,
                                           YM_TEXT_SITE_COL_COST};
    struct ym_listing t = {.columns = sizeof head / sizeof *head, .right = 0x40};
    const json_t *list = json_object_get(o, "plans"), *p;
    bool asks = false;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(list, i, p)
    {
        bool paused = json_is_true(json_object_get(p, "paused"));

        ym_listing_add(&t, "%.8s", ym_get_text(p, "plan"));
        ym_listing_add(&t, "%s", ym_get_text(p, "study"));
        ym_listing_add(&t, "%s", ym_get_text(p, "sponsor"));
        ym_listing_add(&t, "%s", ym_site_word(ym_get_text(p, "decision")));
        ym_listing_add(&t, "%s", ym_site_word(paused ? "paused" : ym_get_text(p, "phase")));
        ym_listing_add(&t, "%lld/%lld", newest_round(p), ym_get_int(p, "rounds"));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(p, "epsilon_study_micro")));
        asks |= strcmp(ym_get_text(p, "decision"), "undecided") == 0 && strcmp(ym_get_text(p, "phase"), "closed") != 0;
    }
    ym_listing_print(&t);
    fputs(json_array_size(list) == 0 ? T(SITE_NONE) : T(SITE_PLANS_UNIT), stdout);
    if (asks)
        fputs(T(SITE_PLAN_ASK), stdout);
}

int ym_site_cmd_plans_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "plans_list"), show_list);
}

static void show_room(const json_t *d)
{
    long long cap = ym_get_int(d, "cap_micro"), month = ym_get_int(d, "month_limit_micro");

    printf(T(SITE_PLAN_ROOM), ym_get_text(d, "dataset"), ym_get_text(d, "identified"),
           ym_epsilon_text(ym_get_int(d, "spent_micro")), ym_epsilon_text(cap), ym_get_int(d, "rounds_left"),
           ym_epsilon_text(ym_get_int(d, "after_micro")), ym_epsilon_text(ym_get_int(d, "left_micro")),
           ym_get_int(d, "rounds_fit"));
    printf(T(SITE_PLAN_TIGHT), ym_epsilon_text(ym_get_int(d, "tight_micro")),
           ym_tight_words(ym_get_text(d, "tight_accountant")), ym_epsilon_text(ym_get_int(d, "tight_after_micro")),
           ym_tight_words(ym_get_text(d, "tight_after_accountant")));
    if (month < cap)
        printf(T(SITE_PLAN_MONTH), ym_epsilon_text(ym_get_int(d, "month_micro")), ym_epsilon_text(month),
               ym_get_int(d, "rounds_fit_month"));
}

enum { CELL = 44 }; /* two of them, and the terms' names, beside each other on a page */

/* What the plan asks beside what the policy says. */
static void show_view(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_FITS, YM_TEXT_SITE_COL_TERM, YM_TEXT_SITE_COL_ASKS,
                                           YM_TEXT_SITE_COL_SAYS};
    struct ym_listing t = {.columns = sizeof head / sizeof *head, .most = CELL};
    const json_t *list = json_object_get(o, "policy"), *line;
    size_t i;

    if (json_array_size(list) == 0) {
        printf("%s\n", T(POLICY_NONE_SIGNED));
        return;
    }
    ym_listing_head(&t, head);
    json_array_foreach(list, i, line)
    {
        ym_listing_add(&t, "%s", json_is_true(json_object_get(line, "fits")) ? T(SITE_FITS) : T(SITE_FITS_NOT));
        ym_listing_add(&t, "%s", ym_get_text(line, "title"));
        ym_listing_add(&t, "%s", ym_get_text(line, "asks"));
        ym_listing_add(&t, "%s", ym_get_text(line, "says"));
    }
    ym_listing_print(&t);
    printf(T(SITE_POLICY_HOURS), ym_get_text(o, "hours"));
}

static void show_plan(const json_t *o)
{
    const json_t *d;
    size_t i;

    char *content = json_dumps(json_object_get(o, "content"), JSON_INDENT(2) | JSON_SORT_KEYS);

    if (content)
        puts(content); /* the long part first: what is asked of people stays on the screen */
    printf(T(SITE_PLAN_TITLE), ym_get_text(o, "plan"), ym_get_text(o, "study"), ym_get_text(o, "sponsor"),
           ym_get_text(o, "title"));
    printf(T(SITE_PLAN_COST), ym_epsilon_text(ym_get_int(o, "epsilon_study_micro")),
           ym_epsilon_text(ym_get_int(o, "epsilon_round_micro")), ym_get_int(o, "rounds"),
           ym_delta_text(ym_get_int(o, "delta_e18")));
    show_view(o);
    json_array_foreach(json_object_get(o, "datasets"), i, d) show_room(d);
    printf(T(SITE_PLAN_DECISION), ym_site_word(ym_get_text(o, "decision")));
    free(content);
}

/* A registered data set: the one named, else the first. */
static const char *page_dataset(const struct ym_cli_args *a, const json_t *shown)
{
    const char *named = ym_cli_get(a, "dataset");

    return named ? named : ym_get_text(json_array_get(json_object_get(shown, "datasets"), 0), "dataset");
}

/* The gate's answer is left out where no data set is registered. */
static enum ym_code gather(const struct ym_cli_args *a, const struct ym_site *s, json_t **shown, json_t **border,
                           json_t **filings, json_t **pending, struct ym_status *st)
{
    enum ym_code code = ym_site_ask(s, json_pack("{s:s, s:s}", "do", "plan_show", "plan", a->positional[0]), shown, st);
    const char *dataset = code == YM_OK ? page_dataset(a, *shown) : "";

    if (code == YM_OK)
        code = ym_site_ask(s, json_pack("{s:s}", "do", "dossier_list"), filings, st);
    if (code == YM_OK)
        code = ym_site_ask(s, json_pack("{s:s}", "do", "pending"), pending, st);
    if (code == YM_OK && dataset[0])
        code = ym_site_ask(s,
                           json_pack("{s:s, s:s, s:s, s:b}", "do", "border", "plan", a->positional[0], "dataset",
                                     dataset, "forecast", 0),
                           border, st);
    return code;
}

static int write_page(const struct ym_cli_args *a, const char *path)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf page = {0};
    struct ym_site s;
    json_t *shown = NULL, *border = NULL, *filings = NULL, *pending = NULL;
    enum ym_code code = ym_site_open(a, &s, &st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = gather(a, &s, &shown, &border, &filings, &pending, &st);
    if (code == YM_OK && !ym_site_page(shown, border, filings, pending, &page))
        code = ym_status_set(&st, YM_EXHAUSTED, "out of memory for the page");
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&page), 0600, &st);
    if (code != YM_OK)
        rc = ym_site_fail(&s, &st);
    else
        printf(T(SITE_PAGE_WRITTEN), path);
    json_decref(shown);
    json_decref(border);
    json_decref(filings);
    json_decref(pending);
    ym_buf_release(&page);
    return rc;
}

int ym_site_cmd_plans_show(const struct ym_cli_args *a)
{
    if (ym_cli_get(a, "html"))
        return write_page(a, ym_cli_get(a, "html"));
    return ym_site_run(a, json_pack("{s:s, s:s}", "do", "plan_show", "plan", a->positional[0]), show_plan);
}

/* The trial's report, and whether the hospital may go on. */
static bool show_checked(const json_t *o)
{
    bool runs = json_is_true(json_object_get(o, "runs"));
    bool fits = json_is_true(json_object_get(o, "budget_fits"));
    bool allowed = json_is_true(json_object_get(o, "policy_fits"));

    fputs(ym_get_text(o, "report"), stderr);
    if (!runs) {
        printf(T(SITE_CHECK_FAILS), ym_get_text(o, "dataset"), ym_get_text(o, "why"));
        return false;
    }
    printf(T(SITE_CHECK_RUNS), ym_get_text(o, "dataset"), ym_get_int(o, "parameters"), ym_get_int(o, "step_ms"),
           ym_get_int(o, "release_bytes"));
    printf(T(SITE_CHECK_BUDGET), ym_epsilon_text(ym_get_int(o, "epsilon_study_micro")),
           ym_epsilon_text(ym_get_int(o, "epsilon_round_micro")));
    show_room(o);
    if (!fits)
        printf(T(SITE_CHECK_NO_BUDGET), ym_get_text(o, "budget_why"));
    if (!allowed)
        printf(T(SITE_CHECK_NO_POLICY), ym_get_text(o, "policy_why"));
    return fits && allowed;
}

/* What may be sealed here: of this plan, as it is shown to people, and this data set. *want new. */
static enum ym_code expect_plan(const struct ym_site *s, const char *named, const char *dataset, const char *why,
                                json_t **want, struct ym_status *st)
{
    json_t *o = NULL;
    enum ym_code code = ym_site_ask(s, json_pack("{s:s, s:s}", "do", "plan_show", "plan", named), &o, st);

    if (code == YM_OK)
        *want = json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "approval", "study", ym_get_text(o, "study"), "plan",
                          ym_get_text(o, "plan"), "dataset", dataset, "override", "subject", ym_get_text(o, "plan"),
                          "reason", why ? why : "");
    json_decref(o);
    return code;
}

static int try_plan(const struct ym_cli_args *a, const char *what)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    const char *dataset = ym_cli_get(a, "dataset"), *override = ym_cli_get(a, "override");
    struct ym_sealing sealing = {0};
    json_t *want = NULL, *reply;
    bool good, approve = strcmp(what, "plan_approve") == 0;
    int rc;
    enum ym_code code;

    if (!dataset)
        return ym_site_need("dataset");
    code = ym_site_open(a, &s, &st);
    if (code == YM_OK)
        code = expect_plan(&s, a->positional[0], dataset, override, &want, &st);
    if (code == YM_OK)
        code = ym_site_ask_sealed(a, &s,
                                  json_pack("{s:s, s:s, s:s, s:s}", "do", what, "plan", a->positional[0], "dataset",
                                            dataset, "override", override ? override : ""),
                                  want, &sealing, &st);
    json_decref(want);
    reply = sealing.reply;
    if (code != YM_OK) {
        ym_sealing_release(&sealing);
        return ym_site_fail(&s, &st);
    }
    if (sealing.sealed)
        json_object_set_new(reply, "approved", json_true());
    good = json_is_true(json_object_get(reply, "runs")) && json_is_true(json_object_get(reply, "budget_fits")) &&
           json_is_true(json_object_get(reply, "policy_fits"));
    if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show_checked(reply);
    if (approve) {
        good = json_is_true(json_object_get(reply, "approved"));
        if (good && !ym_cli_has(a, "json"))
            printf(T(SITE_APPROVED), ym_get_text(reply, "dataset"), ym_get_text(reply, "plan"),
                   ym_get_text(reply, "study"), ym_get_text(reply, "study"));
    }
    rc = sealing.waits ? ym_sealing_waits(a, &sealing) : good ? YM_EXIT_DONE : YM_EXIT_NO;
    ym_sealing_release(&sealing);
    return rc;
}

int ym_site_cmd_plans_check(const struct ym_cli_args *a)
{
    return try_plan(a, "plan_check");
}

int ym_site_cmd_plans_approve(const struct ym_cli_args *a)
{
    return try_plan(a, "plan_approve");
}

static void show_vetoed(const json_t *o)
{
    printf(T(SITE_VETOED), ym_get_text(o, "plan"), ym_get_text(o, "study"));
}

int ym_site_cmd_plans_veto(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s, s:s}", "do", "plan_veto", "plan", a->positional[0]), show_vetoed);
}

static void show_paused(const json_t *o)
{
    if (json_is_true(json_object_get(o, "paused")))
        printf(T(SITE_PAUSED), ym_get_text(o, "study"), ym_get_text(o, "study"));
    else
        printf(T(SITE_RESUMED), ym_get_text(o, "study"));
}

int ym_site_cmd_plans_pause(const struct ym_cli_args *a)
{
    return ym_site_run(
        a, json_pack("{s:s, s:s, s:b}", "do", "pause", "study", a->positional[0], "paused", !ym_cli_has(a, "off")),
        show_paused);
}

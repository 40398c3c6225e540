#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/budget.h"
#include "audit/spend.h"
#include "base/clock.h"
#include "base/fs.h"
#include "cmd/site/site.h"
#include "worker/trainer/show.h"

/* Commands about the site itself: init, enrol, recover, budget, egress. */

enum { ENROL_TRIES = 50, ENROL_PAUSE_US = 200000 };

static int bad_address(const char *option, const char *value)
{
    fprintf(stderr, "yumen-site: ");
    fprintf(stderr, T(SITE_BAD_ADDRESS), option, value);
    fprintf(stderr, "\n");
    return YM_EXIT_USAGE;
}

/* ---- init ---- */

static void witness_of(const char *dir, const char *name, struct ym_buf *out)
{
    struct ym_site s = {0};
    struct ym_key *key = NULL;

    snprintf(s.dir, sizeof s.dir, "%s", dir);
    if (ym_site_key(&s, &key, NULL) == YM_OK)
        ym_site_witness(name, key, out, NULL);
    ym_key_free(key);
}

int ym_site_cmd_init(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site_policy file, policy = {0};
    struct ym_policy *terms = NULL;
    struct ym_buf vkey = {0}, witness = {0};
    const char *dir = ym_site_dir(a), *name = ym_cli_get(a, "name"), *from = ym_cli_get(a, "policy");
    char path[PATH_MAX];
    int rc = !name ? ym_site_need("name") : from ? ym_site_load_policy(from, &file, &terms) : YM_EXIT_DONE;
    enum ym_code code;

    if (rc == YM_EXIT_DONE)
        rc = ym_site_read_policy(a, from ? &file : NULL, &policy);
    if (rc != YM_EXIT_DONE) {
        ym_policy_free(terms);
        return rc;
    }
    policy.border_off = ym_cli_get(a, "border-off");
    if (policy.border_off && !ym_site_reason_valid(policy.border_off)) {
        fprintf(stderr, "yumen-site: %s\n", T(REFUSE_REASON));
        ym_policy_free(terms);
        return YM_EXIT_USAGE;
    }
    code = ym_site_init(dir, name, &policy, ym_cli_get(a, "gateway"), ym_clock_unix(), &vkey, &st);
    ym_policy_free(terms);
    if (code != YM_OK) {
        ym_buf_release(&vkey);
        return ym_site_fail(NULL, &st);
    }
    witness_of(dir, name, &witness);
    printf(T(SITE_INIT_DONE), name, dir, ym_buf_str(&vkey), ym_buf_str(&witness));
    fputs(T(SITE_INIT_KEEP), stdout);
    fputs(policy.border_off ? "" : T(SITE_INIT_BORDER), stdout);
    fputs(from ? "" : T(SITE_INIT_POLICY), stdout);
    if (!ym_cli_get(a, "gateway") && realpath(dir, path))
        printf(T(SITE_INIT_NO_GATEWAY), name, path);
    ym_buf_release(&vkey);
    ym_buf_release(&witness);
    return YM_EXIT_DONE;
}

/* ---- enrol ---- */

static bool next_port(const char *hub, char *out, size_t cap)
{
    const char *colon = strrchr(hub, ':');
    char *end;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;

    if (!colon || *end || port < 1 || port > 65534 || (size_t)(colon - hub) + 8 > cap)
        return false;
    snprintf(out, cap, "%.*s:%ld", (int)(colon - hub), hub, port + 1);
    return true;
}

/* The gateway may have been started a moment ago: give it time to connect. */
static enum ym_code ask_to_join(const struct ym_site *s, const char *token, const char *hub, const char *enrol,
                                json_t **reply, struct ym_status *st)
{
    enum ym_code code = YM_UNAVAILABLE;

    for (int i = 0; i < ENROL_TRIES && code == YM_UNAVAILABLE; i++) {
        if (i > 0)
            usleep(ENROL_PAUSE_US);
        code = ym_site_ask(
            s, json_pack("{s:s, s:s, s:s, s:s}", "do", "enrol", "token", token, "hub", hub, "enrol", enrol), reply, st);
        if (code == YM_UNAVAILABLE && !strstr(st->message, "gateway"))
            return code;
    }
    return code;
}

int ym_site_cmd_enrol(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    const char *token = ym_cli_get(a, "token"), *hub = ym_cli_get(a, "hub"), *enrol = ym_cli_get(a, "enrol");
    char enrol_default[300];
    json_t *reply = NULL;
    enum ym_code code;

    if (!token || !hub)
        return ym_site_need(token ? "hub" : "token");
    if (!enrol) {
        if (!next_port(hub, enrol_default, sizeof enrol_default))
            return bad_address("hub", hub);
        enrol = enrol_default;
    }
    code = ym_site_open(a, &s, &st);
    if (code == YM_OK)
        code = ask_to_join(&s, token, hub, enrol, &reply, &st);
    if (code != YM_OK)
        return ym_site_fail(&s, &st);
    printf(T(SITE_ENROLLED), ym_get_text(reply, "federation"), ym_get_text(reply, "log"));
    json_decref(reply);
    return YM_EXIT_DONE;
}

/* ---- recover ---- */

static void show_missing(const json_t *list)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_TYPE, YM_TEXT_SITE_COL_WHEN, YM_TEXT_SITE_COL_STUDY,
                                           YM_TEXT_SITE_COL_ROUND, YM_TEXT_SITE_COL_SPENT};
    struct ym_listing t = {.columns = sizeof head / sizeof *head};
    const json_t *row;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(list, i, row)
    {
        ym_listing_add(&t, "%s", ym_get_text(row, "type"));
        ym_listing_add(&t, "%s", ym_time_text(ym_get_int(row, "time")));
        ym_listing_add(&t, "%s", ym_get_text(row, "study"));
        ym_listing_add(&t, "%lld.%lld", ym_get_int(row, "round"), ym_get_int(row, "attempt"));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(row, "epsilon_spent_micro")));
    }
    ym_listing_print(&t);
}

static bool disagrees(const json_t *o)
{
    return strcmp(ym_get_text(o, "state"), "good") != 0 && strcmp(ym_get_text(o, "state"), "blind") != 0;
}

static void show_recover(const json_t *o)
{
    printf(T(SITE_RECOVER_STATE), ym_get_text(o, "name"), ym_get_int(o, "leaves"), ym_get_int(o, "known"),
           ym_get_int(o, "hub_size"), ym_site_log_text(ym_get_text(o, "state")));
    if (ym_get_int(o, "missing_count") > 0) {
        printf(T(SITE_RECOVER_LOST), ym_get_int(o, "missing_count"));
        show_missing(json_object_get(o, "missing"));
    }
    if (!disagrees(o))
        return;
    if (strncmp(ym_get_text(o, "state"), "hub", 3) == 0)
        printf("%s\n", T(SITE_RECOVER_HUB));
    else
        fputs(T(SITE_RECOVER_HOW), stdout);
}

static void show_recovered(const json_t *o)
{
    fputs(T(SITE_RECOVER_DONE), stdout);
    show_recover(o);
}

int ym_site_cmd_recover(const struct ym_cli_args *a)
{
    const char *reason = ym_cli_get(a, "reason");

    return ym_site_run(a, json_pack("{s:s, s:s}", "do", "recover", "reason", reason ? reason : ""),
                       reason ? show_recovered : show_recover);
}

/* ---- budget and egress: from the trainer, or from the folder at rest ---- */

static json_t *releases_of(const struct ym_site *s, struct ym_ledger *l)
{
    struct ym_trust trust = {0};
    json_t *list;

    ym_trust_load(s, &trust, NULL); /* a site may be of no federation */
    list = ym_show_egress(s, l, trust.federation, 0, SIZE_MAX);
    ym_trust_release(&trust);
    return json_pack("{s:b, s:s, s:o}", "ok", 1, "name", s->name, "releases", list);
}

static enum ym_code from_folder(const struct ym_site *s, bool egress, json_t **out, struct ym_status *st)
{
    struct ym_key *key = NULL;
    struct ym_ledger *l = NULL;
    struct ym_budget *b = NULL;
    int lock = -1;
    enum ym_code code = ym_fs_lock(s->dir, &lock, st);

    if (code == YM_OK)
        code = ym_site_key(s, &key, st);
    if (code == YM_OK)
        code = ym_site_ledger(s, key, &l, st);
    if (code == YM_OK)
        code = ym_budget_fold(l, &b, st);
    if (code == YM_OK) {
        *out = egress ? releases_of(s, l) : ym_show_budget(l, b);
        code = *out ? YM_OK : ym_status_set(st, YM_CORRUPT, "the ledger cannot be read");
    }
    if (code == YM_OK)
        json_object_set_new(*out, "name", json_string(s->name));
    ym_budget_free(b);
    ym_ledger_close(&l);
    ym_key_free(key);
    if (lock >= 0)
        ym_fs_unlock(&lock);
    return code;
}

static enum ym_code releases_by_page(const struct ym_site *s, json_t **out, struct ym_status *st)
{
    json_t *all = json_array(), *page = NULL, *reply = NULL;
    json_int_t from = 0;
    enum ym_code code = YM_OK;

    do {
        json_decref(reply);
        code = ym_site_ask(s, json_pack("{s:s, s:I}", "do", "egress", "from", from), &reply, st);
        page = code == YM_OK ? json_object_get(reply, "releases") : NULL;
        json_array_extend(all, page);
        from = ym_get_int(json_array_get(all, json_array_size(all) - 1), "leaf") + 1;
    } while (json_array_size(page) == YM_SHOW_EGRESS_PAGE);
    if (code == YM_OK) {
        json_object_set(reply, "releases", all);
        *out = reply;
    }
    json_decref(all);
    return code;
}

enum ym_code ym_site_ask_record(const struct ym_site *s, bool egress, json_t **reply, struct ym_status *st)
{
    enum ym_code code =
        egress ? releases_by_page(s, reply, st) : ym_site_ask(s, json_pack("{s:s}", "do", "budget"), reply, st);

    return code == YM_UNAVAILABLE ? from_folder(s, egress, reply, st) : code;
}

int ym_site_fail_record(const struct ym_site *s, enum ym_code code, const struct ym_status *st)
{
    int rc = ym_site_fail(s, st);

    return code == YM_CORRUPT ? YM_EXIT_UNREACHED : rc;
}

static void show_charges(const json_t *charges, const char *dataset)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_STUDY, YM_TEXT_SITE_COL_ROUND, YM_TEXT_SITE_COL_ATTEMPT,
                                           YM_TEXT_SITE_COL_ALONE, YM_TEXT_SITE_COL_AFTER};
    struct ym_listing t = {.columns = sizeof head / sizeof *head, .right = 0x1e, .indent = "  "};
    const json_t *c;
    size_t i;

    json_array_foreach(charges, i, c)
    {
        if (strcmp(ym_get_text(c, "dataset"), dataset) != 0)
            continue;
        if (t.count == 0)
            ym_listing_head(&t, head);
        ym_listing_add(&t, "%s", ym_get_text(c, "study"));
        ym_listing_add(&t, "%lld", ym_get_int(c, "round"));
        ym_listing_add(&t, "%lld", ym_get_int(c, "attempt"));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(c, "epsilon_round_micro")));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(c, "epsilon_spent_micro")));
    }
    ym_listing_print(&t);
}

static void show_budget(const json_t *o)
{
    const json_t *list = json_object_get(o, "datasets"), *d;
    size_t i;

    printf(T(SITE_BUDGET_HEAD), ym_order_text(ym_get_int(o, "order_milli")));
    if (json_array_size(list) == 0)
        fputs(T(SITE_NONE), stdout);
    json_array_foreach(list, i, d)
    {
        long long spent = ym_get_int(d, "spent_micro"), cap = ym_get_int(d, "cap_micro");

        printf(T(SITE_BUDGET_SET), ym_get_text(d, "dataset"), ym_get_text(d, "identified"), ym_epsilon_text(spent),
               ym_epsilon_text(cap), ym_delta_text(ym_get_int(d, "delta_e18")),
               ym_epsilon_text(spent < cap ? cap - spent : 0), ym_epsilon_text(ym_get_int(d, "tight_micro")),
               ym_tight_words(ym_get_text(d, "tight_accountant")));
        if (ym_get_int(d, "month_limit_micro") < cap)
            printf(T(SITE_BUDGET_MONTH), ym_epsilon_text(ym_get_int(d, "month_micro")),
                   ym_epsilon_text(ym_get_int(d, "month_limit_micro")));
        show_charges(json_object_get(o, "charges"), ym_get_text(d, "dataset"));
    }
}

int ym_site_cmd_budget(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    json_t *reply = NULL;
    enum ym_code code = ym_site_open(a, &s, &st);

    if (code != YM_OK)
        return ym_site_fail(&s, &st);
    code = ym_site_ask_record(&s, false, &reply, &st);
    if (code != YM_OK)
        return ym_site_fail_record(&s, code, &st);
    if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show_budget(reply);
    json_decref(reply);
    return YM_EXIT_DONE;
}

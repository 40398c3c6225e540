#include <stdio.h>
#include <stdlib.h>

#include "cmd/site/site.h"

/* The site's policy: what init and "policy sign" read, and how it is shown. */

static int bad_number(const char *option, const char *value, const char *low, const char *high)
{
    fprintf(stderr, "yumen-site: ");
    fprintf(stderr, T(SITE_BAD_NUMBER), option, value, low, high);
    fprintf(stderr, "\n");
    return YM_EXIT_USAGE;
}

static bool decimal_between(const char *text, const char *low, const char *high, struct ym_decimal *out)
{
    struct ym_decimal a, b;

    return ym_decimal_parse(text, out, NULL) == YM_OK && ym_decimal_parse(low, &a, NULL) == YM_OK &&
           ym_decimal_parse(high, &b, NULL) == YM_OK && out->scaled >= a.scaled && out->scaled <= b.scaled;
}

static int read_decimal(const struct ym_cli_args *a, const char *option, const char *low, const char *high,
                        struct ym_decimal *out)
{
    const char *text = ym_cli_get(a, option);

    return !text || decimal_between(text, low, high, out) ? YM_EXIT_DONE : bad_number(option, text, low, high);
}

static int read_min(const struct ym_cli_args *a, int64_t *out)
{
    const char *text = ym_cli_get(a, "min-patients");
    char *end;

    if (!text)
        return YM_EXIT_DONE;
    *out = strtoll(text, &end, 10);
    return *end || end == text || *out < 1 || *out > 1000000000 ? bad_number("min-patients", text, "1", "1000000000")
                                                                : YM_EXIT_DONE;
}

static const struct ym_site_policy *usual(void)
{
    static struct ym_site_policy p = {.min_patients = 20};

    ym_decimal_parse("10", &p.epsilon_cap, NULL);
    ym_decimal_parse("10", &p.epsilon_month, NULL);
    ym_decimal_parse("1e-5", &p.delta, NULL);
    return &p;
}

/* A month that allowed all of the old cap allows all of the new one. */
static void follow_cap(const struct ym_site_policy *before, struct ym_site_policy *p)
{
    if (before->epsilon_month.scaled >= before->epsilon_cap.scaled || p->epsilon_month.scaled > p->epsilon_cap.scaled)
        p->epsilon_month = p->epsilon_cap;
}

int ym_site_read_policy(const struct ym_cli_args *a, const struct ym_site_policy *before, struct ym_site_policy *p)
{
    int rc;

    before = before ? before : usual();
    *p = *before;
    p->override = ym_cli_get(a, "override");
    rc = read_decimal(a, "epsilon-cap", "0.001", "1000", &p->epsilon_cap);
    if (rc == YM_EXIT_DONE) {
        follow_cap(before, p);
        rc = read_decimal(a, "epsilon-month", "0.001", "1000", &p->epsilon_month);
    }
    if (rc == YM_EXIT_DONE)
        rc = read_decimal(a, "delta", "1e-15", "0.1", &p->delta);
    return rc == YM_EXIT_DONE ? read_min(a, &p->min_patients) : rc;
}

static void show_policy(const json_t *o)
{
    long long cap = ym_get_int(o, "epsilon_cap_micro"), month = ym_get_int(o, "epsilon_month_micro");

    printf(T(SITE_POLICY), ym_epsilon_text(cap), ym_delta_text(ym_get_int(o, "delta_e18")),
           ym_order_text(ym_get_int(o, "order_milli")), ym_get_int(o, "min_patients"));
    if (month < cap)
        printf(T(SITE_POLICY_MONTH), ym_epsilon_text(month));
    else
        fputs(T(SITE_POLICY_NO_MONTH), stdout);
}

int ym_site_cmd_policy_show(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "policy"), show_policy);
}

static struct ym_decimal from_micro(long long micro)
{
    return (struct ym_decimal){(__int128)micro * 1000000000000};
}

static long long to_micro(struct ym_decimal d)
{
    return (long long)(d.scaled / 1000000000000); /* a limit is rounded down */
}

static void show_signed(const json_t *o)
{
    fputs(T(SITE_POLICY_SIGNED), stdout);
    show_policy(o);
}

int ym_site_cmd_policy_sign(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site site;
    struct ym_site_policy before = {0}, p;
    json_t *reply = NULL, *request;
    int rc;
    enum ym_code code = ym_site_open(a, &site, &st);

    if (code == YM_OK)
        code = ym_site_ask(&site, json_pack("{s:s}", "do", "policy"), &reply, &st);
    if (code != YM_OK)
        return ym_site_fail(&site, &st);
    before = (struct ym_site_policy){.epsilon_cap = from_micro(ym_get_int(reply, "epsilon_cap_micro")),
                                     .epsilon_month = from_micro(ym_get_int(reply, "epsilon_month_micro")),
                                     .delta = {ym_get_int(reply, "delta_e18")},
                                     .min_patients = ym_get_int(reply, "min_patients")};
    json_decref(reply);
    rc = ym_site_read_policy(a, &before, &p);
    if (rc != YM_EXIT_DONE)
        return rc;
    request = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "do", "policy_sign", "epsilon_cap_micro",
                        (json_int_t)to_micro(p.epsilon_cap), "epsilon_month_micro",
                        (json_int_t)to_micro(p.epsilon_month), "delta_e18", (json_int_t)p.delta.scaled, "min_patients",
                        (json_int_t)p.min_patients, "override", p.override ? p.override : "");
    return ym_site_run(a, request, show_signed);
}

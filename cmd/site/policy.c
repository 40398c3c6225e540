#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* All that is wrong with a file, a line each; the exit code. */
static int say_problems(const struct ym_problems *problems, const struct ym_status *st)
{
    struct ym_buf text = {0};

    if (problems->count && ym_problems_format(problems, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    else
        fprintf(stderr, "yumen-site: %s\n", st->message);
    ym_buf_release(&text);
    return st->code == YM_NOT_FOUND || st->code == YM_UNAVAILABLE ? YM_EXIT_UNREACHED : YM_EXIT_NO;
}

static int load_file(const char *path, struct ym_policy_figures *f, struct ym_policy **out)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    int rc = YM_EXIT_DONE;

    st.code = ym_doc_load(path, &doc, &problems, &st);
    if (st.code == YM_OK)
        st.code = ym_policy_read(doc, f, out, &problems, &st);
    if (st.code != YM_OK)
        rc = say_problems(&problems, &st);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return rc;
}

int ym_site_load_policy(const char *path, struct ym_site_policy *p, struct ym_policy **keep)
{
    struct ym_policy_figures f;
    int rc = load_file(path, &f, keep);

    if (rc == YM_EXIT_DONE)
        *p = (struct ym_site_policy){.epsilon_cap = f.epsilon_lifetime,
                                     .epsilon_month = f.epsilon_month,
                                     .delta = f.delta,
                                     .min_patients = f.min_patients,
                                     .terms = (*keep)->terms};
    return rc;
}

int ym_site_cmd_policy_check(const struct ym_cli_args *a)
{
    struct ym_policy_figures f;
    struct ym_policy *policy = NULL;
    int rc = load_file(a->positional[0], &f, &policy);

    if (rc == YM_EXIT_DONE)
        printf(T(SITE_POLICY_READS), a->positional[0]);
    ym_policy_free(policy);
    return rc;
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

static void show_list(const char *title, const json_t *term)
{
    const json_t *item;
    size_t i;

    printf(T(SITE_POLICY_LINE), title, json_is_string(term) ? T(POLICY_ANY) : "");
    json_array_foreach(term, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
    putchar('\n');
}

static void show_most(const char *title, const json_t *term, enum ym_text_id words)
{
    printf(T(SITE_POLICY_LINE), title, "");
    if (json_is_integer(term))
        printf(ym_text(words), (long long)json_integer_value(term));
    puts(json_is_integer(term) ? "" : T(POLICY_NO_LIMIT));
}

static void show_terms(const json_t *o)
{
    const json_t *terms = json_object_get(o, "terms"), *columns = json_object_get(terms, "columns");
    const json_t *inference = json_object_get(terms, "inference");

    if (!json_is_object(terms)) {
        printf("%s\n", T(POLICY_NONE_SIGNED));
        return;
    }
    printf(T(SITE_POLICY_STUDY), ym_epsilon_text(ym_get_int(terms, "epsilon_study_micro")));
    show_list(T(POLICY_TERM_SPONSOR), json_object_get(terms, "sponsors"));
    show_list(T(POLICY_TERM_PURPOSE), json_object_get(terms, "purposes"));
    show_list(T(POLICY_TERM_MODEL), json_object_get(terms, "models"));
    show_list(T(POLICY_TERM_INPUTS), json_object_get(columns, "inputs"));
    show_list(T(POLICY_TERM_OUTCOME), json_object_get(columns, "outcomes"));
    if (json_object_get(columns, "never"))
        show_list(T(SITE_POLICY_NEVER), json_object_get(columns, "never"));
    show_list(T(POLICY_TERM_RECIPIENT), json_object_get(terms, "recipients"));
    show_most(T(POLICY_TERM_THREADS), json_object_get(terms, "cpu_threads"), YM_TEXT_POLICY_AT_MOST);
    show_most(T(POLICY_TERM_MEMORY), json_object_get(terms, "memory_mib"), YM_TEXT_POLICY_MIB_MOST);
    if (inference)
        printf(strcmp(ym_get_text(inference, "basis"), "consent") == 0 ? T(SITE_POLICY_INFER_CONSENT)
                                                                       : T(SITE_POLICY_INFER_TREATMENT),
               ym_get_int(inference, "rows_per_hour"));
    else
        fputs(T(SITE_POLICY_INFER_NONE), stdout);
    printf(T(SITE_POLICY_HOURS), ym_get_text(o, "hours"));
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
    show_terms(o);
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
    struct ym_policy *file = NULL;
    json_t *reply = NULL, *request, *want;
    int rc = YM_EXIT_DONE;
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
    if (a->positional_count)
        rc = ym_site_load_policy(a->positional[0], &before, &file);
    if (rc == YM_EXIT_DONE)
        rc = ym_site_read_policy(a, &before, &p);
    if (rc != YM_EXIT_DONE) {
        ym_policy_free(file);
        return rc;
    }
    request = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:O*}", "do", "policy_sign", "epsilon_cap_micro",
                        (json_int_t)to_micro(p.epsilon_cap), "epsilon_month_micro",
                        (json_int_t)to_micro(p.epsilon_month), "delta_e18", (json_int_t)p.delta.scaled, "min_patients",
                        (json_int_t)p.min_patients, "override", p.override ? p.override : "", "terms", p.terms);
    ym_policy_free(file);
    want = json_deep_copy(request);
    json_object_del(want, "do");
    json_object_del(want, "override");
    want = json_pack("{s:o, s:{s:s, s:s}}", "policy", want, "override", "subject", "policy", "reason",
                     p.override ? p.override : "");
    return ym_site_run_sealed(a, request, want, "policy", show_signed);
}

#include "base/text.h"
#include "tests/support/policy.h"

static struct ym_plan *plan;

static int open_plan(void **state)
{
    (void)state;
    plan = plan_must(good_plan);
    return 0;
}

static int close_plan(void **state)
{
    (void)state;
    ym_plan_free(plan);
    return 0;
}

static void a_policy_reads_its_figures_and_allows_the_plan(void **state)
{
    struct ym_policy_figures f;
    struct ym_policy *p = NULL;
    struct ym_problems problems = {0};
    struct ym_policy_view v = {0};

    (void)state;
    assert_int_equal(policy_parse(good_policy, &f, &p, &problems), YM_OK);
    assert_true(ym_decimal_double(f.epsilon_lifetime) == 3 && ym_decimal_double(f.epsilon_month) == 2);
    assert_true(ym_decimal_double(f.delta) == 1e-5);
    assert_int_equal(f.min_patients, 20);
    assert_int_equal(p->epsilon_study_micro, 2500000);
    assert_int_equal(ym_policy_allows(p, plan, POLICY_DELTA, NULL), YM_OK);
    assert_int_equal(ym_policy_compare(p, plan, POLICY_DELTA, &v, NULL), YM_OK);
    assert_true(v.fits);
    assert_string_equal(ym_buf_str(&v.line[YM_POLICY_INPUTS].asks), "radius, sex");
    assert_string_equal(ym_buf_str(&v.line[YM_POLICY_INPUTS].says), "radius, sex; never: hiv");
    assert_string_equal(ym_buf_str(&v.line[YM_POLICY_RECIPIENT].asks), "not named");
    ym_policy_view_release(&v);
    ym_policy_free(p);
}

static void expect_no(const char *find, const char *replace, enum ym_policy_term term, const char *why)
{
    struct ym_policy *p = policy_with(find, replace);
    struct ym_policy_view v = {0};
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_policy_compare(p, plan, POLICY_DELTA, &v, NULL), YM_OK);
    for (int i = 0; i < YM_POLICY_TERM_COUNT; i++)
        assert_int_equal(v.line[i].fits, i != (int)term);
    assert_false(v.fits);
    assert_int_equal(ym_policy_allows(p, plan, POLICY_DELTA, &st), YM_DENIED);
    if (!strstr(st.message, why))
        fail_msg("\"%s\" is not in \"%s\"", why, st.message);
    ym_policy_view_release(&v);
    ym_policy_free(p);
}

static void each_term_refuses_with_its_sentence(void **state)
{
    (void)state;
    expect_no("[acme, other]", "[other]", YM_POLICY_SPONSOR,
              "the sponsor is acme; this hospital's policy serves: other");
    expect_no("[test]", "[Test, tests]", YM_POLICY_PURPOSE, "purpose is \"test\"");
    expect_no("[linear, logistic]", "[linear]", YM_POLICY_MODEL, "of the kind logistic");
    expect_no("inputs: [radius, sex]", "inputs: [radius]", YM_POLICY_INPUTS, "reads the column(s) sex,");
    expect_no("inputs: [radius, sex], outcomes: any, never: [hiv]", "inputs: any, outcomes: any, never: [sex]",
              YM_POLICY_INPUTS, "reads the column(s) sex,");
    expect_no("outcomes: any", "outcomes: [died]", YM_POLICY_OUTCOME, "predicts the column malignant");
    expect_no("never: [hiv]", "never: [malignant]", YM_POLICY_OUTCOME, "predicts the column malignant");
    expect_no("recipients: any", "recipients: [Peking Example University]", YM_POLICY_RECIPIENT, "not named");
    expect_no("study: 2.5", "study: 0.1", YM_POLICY_EPSILON, "allows one study epsilon 0.100000 at delta 0.00001");
}

/* 64 MiB for the program, and 44 bytes for each of 4,206,594 parameters. */
static void a_model_that_cannot_fit_the_memory_is_refused(void **state)
{
    char *text = text_edit(good_plan, "family: logistic\n", "family: mlp\n  hidden: [2048, 2048]\n");
    struct ym_plan *large = plan_must(text);
    struct ym_policy *p = policy_with("[linear, logistic]", "[mlp]"),
                     *any = policy_with("memory_mib: 256", "memory_mib: any");
    struct ym_policy_view v = {0};

    (void)state;
    assert_int_equal(ym_policy_memory_least(plan), 65);
    assert_int_equal(ym_policy_memory_least(large), 64 + 177);
    assert_int_equal(ym_policy_allows(p, large, POLICY_DELTA, NULL), YM_OK);
    p->memory_mib = 240;
    assert_int_equal(ym_policy_compare(p, large, POLICY_DELTA, &v, NULL), YM_OK);
    assert_false(v.fits || v.line[YM_POLICY_MEMORY].fits);
    assert_string_equal(ym_buf_str(&v.line[YM_POLICY_MEMORY].why),
                        "training needs memory: at least 241 MiB beside the rows; this "
                        "hospital's policy grants: at most 240 MiB");
    assert_string_equal(ym_buf_str(&v.line[YM_POLICY_THREADS].says), "at most 2");
    ym_policy_view_release(&v);
    assert_int_equal(any->memory_mib, 0);
    assert_int_equal(ym_policy_compare(any, large, POLICY_DELTA, &v, NULL), YM_OK);
    assert_true(v.line[YM_POLICY_MEMORY].fits);
    ym_policy_view_release(&v);
    ym_policy_free(p);
    ym_policy_free(any);
    ym_plan_free(large);
    free(text);
}

static void all_reasons_are_given_at_once_in_both_languages(void **state)
{
    struct ym_policy *p = policy_with("[acme, other]\npurposes: [test]", "[other]\npurposes: [else]");
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_policy_allows(p, plan, POLICY_DELTA, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "serves: other\nthe plan's purpose"));
    ym_text_init("zh");
    assert_int_equal(ym_policy_allows(p, plan, POLICY_DELTA, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "申办方为 acme；本院策略仅服务于：other\n"));
    ym_text_init("en");
    ym_policy_free(p);
}

static void nothing_signed_serves_nobody(void **state)
{
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_policy_allows(NULL, plan, POLICY_DELTA, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "policy sign FILE"));
    assert_int_equal(ym_policy_open(NULL, 0, NULL), YM_DENIED);
}

static void every_mistake_is_named_with_its_line(void **state)
{
    static const struct {
        const char *find, *replace, *key, *words;
        int line;
    } table[] = {
        {"sponsors: [acme, other]\n", "", "sponsors", "missing", 0},
        {"hours: any\n", "", "hours", "missing", 0},
        {"[acme, other]", "everybody", "sponsors", "\"any\"", 5},
        {"[acme, other]", "[\"A B\"]", "sponsors[0]", "", 5},
        {"[acme, other]", "[]", "sponsors", "", 5},
        {"[linear, logistic]", "[linear, gpt]", "models[1]", "no model family", 7},
        {"month: 2", "month: 4", "epsilon.month", "lifetime", 2},
        {"study: 2.5", "study: 3.5", "epsilon.study", "lifetime", 2},
        {"delta: 1e-5", "delta: 0", "delta", "", 3},
        {"recipients: any", "recipents: any", "recipents", "recipients", 9},
        {"hours: any", "hours: [{days: [mon], from: \"8:00\", to: \"17:00\"}]", "hours[0].from", "quotes", 10},
        {"hours: any", "hours: [{days: [mon], from: \"08:00\", to: \"24:01\"}]", "hours[0].to", "quotes", 10},
        {"hours: any", "hours: [{days: [mond], from: \"08:00\", to: \"17:00\"}]", "hours[0].days[0]", "mond", 10},
        {"hours: any", "hours: [{days: any, from: \"08:00\", to: \"08:00\"}]", "hours[0].from", "same time", 10},
        {"cpu_threads: 2\n", "", "cpu_threads", "missing", 0},
        {"memory_mib: 256\n", "", "memory_mib", "missing", 0},
        {"cpu_threads: 2", "cpu_threads: 0", "cpu_threads", "1", 11},
        {"cpu_threads: 2", "cpu_threads: 65", "cpu_threads", "64", 11},
        {"cpu_threads: 2", "cpu_threads: many", "cpu_threads", "\"any\"", 11},
        {"memory_mib: 256", "memory_mib: 127", "memory_mib", "128", 12},
        {"memory_mib: 256", "memory_mib: [any]", "memory_mib", "", 12},
        {"yumen: policy/1", "yumen: policy/2", "yumen", "policy/1", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct ym_policy_figures f;
        struct ym_policy *p = NULL;
        struct ym_problems problems = {0};
        char *text = text_edit(good_policy, table[i].find, table[i].replace);
        bool found = false;

        assert_int_equal(policy_parse(text, &f, &p, &problems), YM_INVALID);
        for (size_t k = 0; k < problems.count; k++)
            found |= strcmp(problems.item[k].key, table[i].key) == 0 &&
                     strstr(problems.item[k].message, table[i].words) &&
                     (table[i].line == 0 || problems.item[k].line == table[i].line);
        if (!found)
            fail_msg("case %zu: %s:%d %s: %s", i, problems.item[0].key, problems.item[0].line, table[i].key,
                     problems.item[0].message);
        ym_problems_release(&problems);
        free(text);
    }
}

static void a_leafs_terms_read_back_and_those_of_another_program_do_not(void **state)
{
    struct ym_policy *p = policy_with("hours: any", "hours: [{days: [fri], from: \"22:00\", to: \"06:00\"}]"),
                     *again = NULL;
    json_t *other;

    (void)state;
    assert_int_equal(ym_policy_decode(p->terms, &again, NULL), YM_OK);
    assert_int_equal(again->window_count, 1);
    assert_int_equal(again->window[0].to, 360);
    assert_int_equal(again->epsilon_study_micro, 2500000);
    ym_policy_free(again);
    other = json_deep_copy(p->terms);
    json_object_set_new(other, "weather", json_string("fine"));
    assert_int_equal(ym_policy_decode(other, &again, NULL), YM_INVALID);
    json_object_del(other, "weather");
    json_object_del(other, "recipients");
    assert_int_equal(ym_policy_decode(other, &again, NULL), YM_INVALID);
    json_decref(other);
    other = json_object();
    assert_int_equal(ym_policy_decode(other, &again, NULL), YM_INVALID);
    json_decref(other);
    ym_policy_free(p);
}

/* 2026-11-20 was a Friday; 22:00 in China is 14:00 UTC. */
#define FRIDAY_22 1795183200

static void rounds_run_in_the_hours_alone_and_past_midnight(void **state)
{
    struct ym_policy *p = policy_with("hours: any", "hours: [{days: [fri], from: \"22:00\", to: \"06:00\"}, "
                                                    "{days: [sun], from: \"00:00\", to: \"24:00\"}]");
    static const struct {
        int64_t after;
        bool open;
    } table[] = {{-1, false},
                 {0, true},
                 {8 * 3600 - 1, true},
                 {8 * 3600, false},
                 {26 * 3600 - 1, false},
                 {26 * 3600, true},
                 {50 * 3600 - 1, true},
                 {50 * 3600, false},
                 {-7 * 86400, true},
                 {7 * 86400, true},
                 {-86400, false}};
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(ym_policy_open(p, FRIDAY_22 + table[i].after, &st), table[i].open ? YM_OK : YM_UNAVAILABLE);
    assert_non_null(strstr(st.message, "fri 22:00-06:00; sun 00:00-24:00"));
    ym_policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_reads_its_figures_and_allows_the_plan),
        cmocka_unit_test(each_term_refuses_with_its_sentence),
        cmocka_unit_test(a_model_that_cannot_fit_the_memory_is_refused),
        cmocka_unit_test(all_reasons_are_given_at_once_in_both_languages),
        cmocka_unit_test(nothing_signed_serves_nobody),
        cmocka_unit_test(every_mistake_is_named_with_its_line),
        cmocka_unit_test(a_leafs_terms_read_back_and_those_of_another_program_do_not),
        cmocka_unit_test(rounds_run_in_the_hours_alone_and_past_midnight),
    };

    ym_text_init("en");
    return cmocka_run_group_tests(tests, open_plan, close_plan);
}

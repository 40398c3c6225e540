#include <math.h>

#include "gate/design.h"
#include "gate_help.h"

/* A plan's model section around a formula. */
static char *plan_text(const char *family, const char *inputs, const char *outcome, const char *more)
{
    struct ym_buf text = {0};
    ym_buf_printf(
        &text,
        "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: %s\n  inputs: [%s]\n"
        "  outcome: {%s}\n%s"
        "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 40, learning_rate: 1}\n"
        "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3}\nfederation: {hospitals: [{name: h1}]}\n",
        family, inputs, outcome, more);
    return (char *)text.data;
}

#define INPUTS                                                                                                         \
    "{name: age, low: 0, high: 100}, {name: sex, levels: [f, m]}, {name: bili, low: 1, high: 100}, "                   \
    "{name: stage, levels: [i, ii, iii]}"
#define DEAD "name: dead, levels: [no, yes]"
#define FORMULA_LINE 10

static struct ym_plan *plan_of(const char *formula)
{
    struct ym_buf line = {0};
    ym_buf_printf(&line, "  formula: \"%s\"\n", formula);
    char *text = plan_text("logistic", INPUTS, DEAD, ym_buf_str(&line));
    struct ym_plan *plan = plan_must(text);
    free(text);
    ym_buf_release(&line);
    return plan;
}

static void assert_row(const struct ym_plan *plan, const double *value, enum ym_units units, const double *want,
                       size_t n)
{
    double x[32];
    assert_int_equal(ym_plan_columns(plan), n);
    ym_design_row(plan, value, units, x);
    for (size_t i = 0; i < n; i++)
        if (fabs(x[i] - want[i]) > 1e-14)
            fail_msg("column %zu is %.17g, not %.17g", i, x[i], want[i]);
}

static void terms_become_columns_in_the_order_of_r(void **state)
{
    struct ym_plan *plan = plan_of("dead ~ age:sex + log(bili) + age + sex + sex:stage + stage");
    /* log(bili), age, sex, stage ii and iii; then age:sex, sex:stage ii and iii */
    static const double value[] = {75, 1, 10, 2}, scaled[] = {0, 0.5, 1, 0, 1, 0.5, 0, 1};
    const double study[] = {log(10), 75, 1, 0, 1, 75, 0, 1};
    char name[YM_DESIGN_NAME_BYTES];
    (void)state;
    assert_row(plan, value, YM_UNITS_SCALED, scaled, 8);
    assert_row(plan, value, YM_UNITS_STUDY, study, 8);
    ym_design_name(plan, 0, name);
    assert_string_equal(name, "log(bili)");
    ym_design_name(plan, 5, name);
    assert_string_equal(name, "age:sex=m");
    ym_design_name(plan, 7, name);
    assert_string_equal(name, "sex=m:stage=iii");
    ym_plan_free(plan);
}

/* First factor fastest: (i-level a, b) of two categories of three levels. */
static void products_of_categories_turn_the_first_factor_fastest(void **state)
{
    char *text = plan_text("logistic", "{name: a, levels: [p, q, r]}, {name: b, levels: [u, v, w]}", DEAD,
                           "  formula: \"dead ~ a:b\"\n");
    struct ym_plan *plan = plan_must(text);
    static const double value[] = {1, 2}, want[] = {0, 0, 1, 0};
    (void)state;
    assert_row(plan, value, YM_UNITS_SCALED, want, 4);
    ym_plan_free(plan);
    free(text);
}

static void one_model_has_one_spelling_and_one_hash(void **state)
{
    static const char *const spelled[] = {"dead ~ age + sex + log(bili) + stage + sex:age",
                                          "dead~age+sex+log( bili )+stage + age : sex",
                                          "dead ~ age:sex + age + sex + log(bili) + stage"};
    struct ym_plan *first = plan_of(spelled[0]), *again = NULL;
    (void)state;
    assert_non_null(strstr(ym_buf_str(&first->canonical), "\"dead ~ age + sex + log(bili) + stage + age:sex\""));
    for (size_t i = 1; i < 3; i++) {
        struct ym_plan *plan = plan_of(spelled[i]);
        assert_memory_equal(plan->hash, first->hash, sizeof plan->hash);
        ym_plan_free(plan);
    }
    assert_int_equal(ym_plan_decode(first->canonical.data, first->canonical.len, &again, NULL), YM_OK);
    assert_memory_equal(again->hash, first->hash, sizeof again->hash);
    ym_plan_free(again);
    ym_plan_free(first);
}

static void mistakes_point_into_the_formula(void **state)
{
    static const struct {
        const char *formula, *part;
    } wrong[] = {
        {"death ~ age", "at character 1, \"death\""},
        {"dead age", "at character 6, \"~\""},
        {"dead ~ age + heigth", "at character 14, \"heigth\": is not among the inputs"},
        {"dead ~ log(age) + sex + bili + stage", "at character 12, \"age\": its low must be above 0"},
        {"dead ~ log(sex)", "at character 12, \"sex\": a logarithm is of a number"},
        {"dead ~ age + sex + bili + stage + sex + age", "at character 35, \"sex\": this term stands twice"},
        {"dead ~ age:age", "at character 12, \"age\": a term has each variable once"},
        {"dead ~ age:sex:bili:stage", "a term has at most three factors"},
        {"dead ~ age + sex + bili", "\"stage\": is declared but not in the formula"},
        {"dead ~ age - sex", "at character 12, \"\": the formula ends before this"},
        {"dead ~ age + sex + stage + offset(bili)", "an offset is for the family poisson"},
        {"dead ~ ", "the name of a variable belongs here"},
        {"dead ~ age + ", "the name of a variable belongs here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ym_buf line = {0};
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        ym_buf_printf(&line, "  formula: \"%s\"\n", wrong[i].formula);
        char *text = plan_text("logistic", INPUTS, DEAD, ym_buf_str(&line));
        assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
        assert_problem(&p, FORMULA_LINE, "model.formula", wrong[i].part);
        ym_problems_release(&p);
        ym_buf_release(&line);
        free(text);
    }
}

static void indicators_need_a_term_of_their_own(void **state)
{
    char *good = plan_text("logistic", "{name: age, low: 0, high: 10, missing: indicator}, {name: sex, levels: [f, m]}",
                           DEAD, "  formula: \"dead ~ age + sex + age:sex\"\n");
    char *bad = text_edit(good, "age + sex + age:sex", "sex + age:sex");
    struct ym_plan *plan = plan_must(good), *none = NULL;
    static const double value[] = {NAN, 1}, want[] = {0, 1, 1, 0};
    struct ym_problems p = {0};
    (void)state;
    assert_row(plan, value, YM_UNITS_SCALED, want, 4);
    assert_int_equal(plan_parse(bad, &none, &p), YM_INVALID);
    assert_problem(&p, FORMULA_LINE, "model.formula", "must also stand as a term of its own");
    ym_problems_release(&p);
    ym_plan_free(plan);
    free(good);
    free(bad);
}

static void survival_plans_have_a_time_and_cuts(void **state)
{
    char *text = plan_text("piecewise_exponential", "{name: age, low: 0, high: 100}", DEAD,
                           "  time: {name: days, unit: d, high: 1000}\n  cuts: [180, 365]\n"
                           "  formula: \"Surv(days, dead) ~ age\"\n");
    struct ym_plan *plan = plan_must(text);
    char name[YM_DESIGN_NAME_BYTES];
    (void)state;
    assert_int_equal(ym_plan_columns(plan), 3);
    assert_int_equal(ym_plan_bins(plan), 3);
    assert_int_equal(ym_plan_targets(plan), 2);
    assert_int_equal(plan->input_count, 2);
    assert_int_equal(plan->input[plan->time_input].role, YM_AS_TIME);
    ym_design_name(plan, 2, name);
    assert_string_equal(name, "days > 365");
    ym_plan_free(plan);
    free(text);
}

static void survival_keys_are_checked(void **state)
{
    static const struct {
        const char *find, *replace;
        int line;
        const char *key, *part;
    } wrong[] = {
        {"family: discrete_hazard", "family: logistic", 10, "model.time", "only for survival families"},
        {"[180, 365]", "[365, 180]", 11, "model.cuts", "increase"},
        {"[180, 365]", "[180, 1000]", 11, "model.cuts", "below the time's high"},
        {"low: 0, high: 100}", "low: 100, high: 0}", 8, "model.inputs[0].low", "less than high"},
        {"name: days,", "name: age,", 10, "model.time.name", "appears twice"},
        {"levels: [no, yes]", "levels: [no, yes, gone]", 9, "model.outcome", "exactly two levels"},
        {"learning_rate: 1}", "learning_rate: 1, max_records_per_patient: 2}", 12, "training.max_records_per_patient",
         "must be 1"},
        {"cuts: [180, 365]", "cuts: [180, 365]\n  ties: efron", 12, "model.ties", "only for the family cox"},
    };
    char *good = plan_text("discrete_hazard", "{name: age, low: 0, high: 100}", DEAD,
                           "  time: {name: days, unit: d, high: 1000}\n  cuts: [180, 365]\n");
    (void)state;
    ym_plan_free(plan_must(good));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *bad = text_edit(good, wrong[i].find, wrong[i].replace);
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        if (plan_parse(bad, &plan, &p) != YM_INVALID)
            fail_msg("'%s' is taken", wrong[i].replace);
        if (strcmp(wrong[i].find, "family: discrete_hazard")) /* there cuts are a second problem */
            assert_problem(&p, wrong[i].line, wrong[i].key, wrong[i].part);
        ym_problems_release(&p);
        free(bad);
    }
    free(good);
}

static void cox_is_for_maximum_likelihood_alone(void **state)
{
    char *text = plan_text("cox", "{name: age, low: 0, high: 100}, {name: unit, levels: [a, b]}", DEAD,
                           "  time: {name: days, high: 1000}\n  strata: unit\n");
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;
    (void)state;
    assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
    assert_problem(&p, 7, "model.family", "--newton");
    ym_problems_release(&p);
    assert_int_equal(ym_doc_parse("p.yaml", text, strlen(text), &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_plan_read_exact(doc, &plan, &p, NULL), YM_OK);
    assert_int_equal(ym_plan_columns(plan), 1);
    assert_true(plan->efron);
    assert_int_equal(plan->baseline, YM_BASELINE_COLUMN);
    assert_int_equal(plan->strata_input, 1);
    ym_plan_free(plan);
    ym_doc_free(doc);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_become_columns_in_the_order_of_r),
        cmocka_unit_test(products_of_categories_turn_the_first_factor_fastest),
        cmocka_unit_test(one_model_has_one_spelling_and_one_hash),
        cmocka_unit_test(mistakes_point_into_the_formula),
        cmocka_unit_test(indicators_need_a_term_of_their_own),
        cmocka_unit_test(survival_plans_have_a_time_and_cuts),
        cmocka_unit_test(survival_keys_are_checked),
        cmocka_unit_test(cox_is_for_maximum_likelihood_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

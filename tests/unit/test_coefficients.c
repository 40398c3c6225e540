#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/results/coefficients.h"
#include "tests/support/plan.h"

/* A number with indicator, a category of three, a plain number. */
static struct ym_plan *mixed(enum ym_family family, size_t outputs)
{
    struct ym_plan *p = plan_make(family, 3, outputs);

    p->input[0].low = 40;
    p->input[0].high = 90;
    p->input[0].missing = YM_MISSING_INDICATOR;
    p->input[1].kind = YM_VAR_CATEGORY;
    p->input[1].level_count = 3;
    p->input[1].level = calloc(3, sizeof *p->input[1].level);
    for (size_t i = 0; i < 3; i++)
        snprintf(p->input[1].level[i], sizeof p->input[1].level[i], "l%zu", i);
    p->input[2].low = 1;
    p->input[2].high = 10;
    return p;
}

static void drop(struct ym_plan *p)
{
    free(p->input[1].level);
    free(p->term);
    plan_drop(p);
}

static double predictor(const struct ym_plan *p, const struct ym_coefficient *c, const double *value,
                        enum ym_units units)
{
    double x[8], sum = units == YM_UNITS_STUDY ? c[0].study : c[0].scaled;

    ym_design_row(p, value, units, x);
    for (size_t i = 0; i < ym_design_columns(p); i++)
        sum += x[i] * (units == YM_UNITS_STUDY ? c[i + 1].study : c[i + 1].scaled);
    return sum;
}

static struct ym_coefficient *table(const struct ym_plan *p, size_t *count)
{
    struct ym_coefficient *c = NULL;
    struct ym_model m;
    float params[64];

    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    for (size_t i = 0; i < m.dim; i++)
        params[i] = (float)((double)(i * 37 % 19) / 10 - 0.9);
    assert_int_equal(ym_coefficients(p, &m, params, &c, count, NULL), YM_OK);
    return c;
}

static const double values[][3] = {{40, 0, 1}, {90, 1, 10}, {61.5, 2, 3.25}, {NAN, 1, 7}, {NAN, 0, 1}};

/* Both scales tell the same of every row, a missing value among them. */
static void study_units_give_the_same_predictor(void **state)
{
    struct ym_plan *p = mixed(YM_FAMILY_LOGISTIC, 1);
    struct ym_coefficient *c;
    size_t count;

    (void)state;
    for (int logs = 0; logs < 2; logs++) {
        if (logs) { /* x0 + x1 + log(x2) */
            p->term = calloc(3, sizeof *p->term);
            p->term_count = 3;
            for (uint16_t i = 0; i < 3; i++)
                p->term[i] = (struct ym_term){{{i, i == 2 ? YM_LOG : YM_AS_IS}}, 1};
        }
        c = table(p, &count);
        assert_int_equal(count, 6);
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            assert_true(fabs(predictor(p, c, values[i], YM_UNITS_STUDY) - predictor(p, c, values[i], YM_UNITS_SCALED)) <
                        1e-12);
        free(c);
    }
    drop(p);
}

static void a_number_as_outcome_is_told_in_its_own_unit(void **state)
{
    struct ym_plan *p = mixed(YM_FAMILY_LINEAR, 1);
    struct ym_coefficient *c;
    size_t count;

    (void)state;
    p->outcome.low = 100;
    p->outcome.high = 180;
    c = table(p, &count);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(fabs(predictor(p, c, values[i], YM_UNITS_STUDY) -
                         (100 + 40 * (1 + predictor(p, c, values[i], YM_UNITS_SCALED)))) < 1e-10);
    free(c);
    drop(p);
}

static void levels_are_told_against_the_first(void **state)
{
    struct ym_plan *p = mixed(YM_FAMILY_MULTINOMIAL, 3);
    struct ym_coefficient *c;
    struct ym_model m;
    size_t count;

    (void)state;
    c = table(p, &count);
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(count, 12);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(c[i].level, 1 + i / 6);
    assert_string_equal(c[0].name, "intercept");
    assert_string_equal(c[7].name, "x0");
    /* weights are i * 37 % 19 / 10 - 0.9 in model order: of level 2, column 0 is the 10th, of level 0 the 0th */
    assert_true(fabs(c[7].scaled - (370 % 19) / 10.0) < 1e-6);
    free(c);
    drop(p);
}

static void interactions_have_no_study_scale(void **state)
{
    struct ym_plan *p = mixed(YM_FAMILY_LOGISTIC, 1);
    struct ym_coefficient *c;
    size_t count;

    (void)state;
    p->term = calloc(1, sizeof *p->term);
    p->term_count = 1;
    p->term[0] = (struct ym_term){{{0, YM_AS_IS}, {2, YM_AS_IS}}, 2};
    c = table(p, &count);
    assert_int_equal(count, 2);
    assert_string_equal(c[1].name, "x0:x2");
    assert_true(isnan(c[0].study) && isnan(c[1].study) && isfinite(c[1].scaled));
    free(c);
    drop(p);
}

static void hidden_layers_have_no_coefficients(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 2, 1);
    struct ym_coefficient *c = NULL;
    struct ym_model m;
    float params[64] = {0};
    size_t count;

    (void)state;
    p->hidden_count = 1;
    p->hidden[0] = 3;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(ym_coefficients(p, &m, params, &c, &count, NULL), YM_INVALID);
    assert_null(c);
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(study_units_give_the_same_predictor),
        cmocka_unit_test(a_number_as_outcome_is_told_in_its_own_unit),
        cmocka_unit_test(levels_are_told_against_the_first),
        cmocka_unit_test(interactions_have_no_study_scale),
        cmocka_unit_test(hidden_layers_have_no_coefficients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

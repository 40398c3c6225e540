#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"
#include "models/score.h"
#include "tests/support/plan.h"

static void layers_follow_the_plan(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 4, 3);
    struct ym_model m;
    struct ym_tensor_info t;

    (void)state;
    p->hidden_count = 1;
    p->hidden[0] = 5;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(m.layer_count, 2);
    assert_int_equal(m.dim, 5 * 4 + 5 + 3 * 5 + 3);
    t = ym_model_tensor(&m, 2);
    assert_string_equal(t.name, "layer1.weight");
    assert_int_equal(t.rows, 3);
    assert_int_equal(t.cols, 5);
    assert_int_equal(t.offset, 25);
    t = ym_model_tensor(&m, 3);
    assert_string_equal(t.name, "layer1.bias");
    assert_int_equal(t.cols, 0);
    assert_int_equal(t.offset, 40);
    plan_drop(p);
}

static void too_large_a_model_is_refused(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 1000, 3);
    struct ym_model m = {.dim = 77};

    (void)state;
    p->hidden_count = 8;
    for (size_t i = 0; i < 8; i++)
        p->hidden[i] = 60000;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_INVALID);
    p->hidden_count = 9;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_INVALID);
    p->hidden_count = 1;
    p->hidden[0] = 0;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_INVALID);
    assert_int_equal(m.dim, 77);
    plan_drop(p);
}

static void start_is_zero_or_glorot_from_the_seed(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 30, 1);
    struct ym_model m;
    float a[2000], b[2000], bound = sqrtf(6.0f / (30 + 40)), top = 0;

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    ym_model_init_params(&m, 5, a);
    for (size_t i = 0; i < m.dim; i++)
        assert_true(a[i] == 0);
    p->hidden_count = 1;
    p->hidden[0] = 40;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    ym_model_init_params(&m, 5, a);
    ym_model_init_params(&m, 5, b);
    assert_memory_equal(a, b, m.dim * sizeof *a);
    ym_model_init_params(&m, 6, b);
    assert_memory_not_equal(a, b, m.dim * sizeof *a);
    for (size_t i = 0; i < 1200; i++)
        top = fmaxf(top, fabsf(a[i]));
    assert_true(top <= bound && top > 0.99f * bound);
    for (size_t i = 1200; i < 1240; i++)
        assert_true(a[i] == 0);
    plan_drop(p);
}

static void scores_by_hand(void **state)
{
    float score[] = {0.1f, 0.4f, 0.35f, 0.8f}, label[] = {0, 0, 1, 1}, tied[] = {0.5f, 0.5f, 0.5f, 0.5f};
    float bad[] = {0.1f, NAN, 0.2f, 0.3f}, three[] = {0.2f, 0.5f, 0.3f, 0.6f, 0.3f, 0.1f}, classes[] = {1, 2};

    (void)state;
    assert_true(ym_score_auc(score, label, 4, NULL) == 0.75);
    assert_true(ym_score_auc(tied, label, 4, NULL) == 0.5);
    assert_true(isnan(ym_score_auc(score, label, 2, NULL))); /* one class only */
    assert_true(isnan(ym_score_auc(score, label, 0, NULL)));
    assert_true(isnan(ym_score_auc(bad, label, 4, NULL)));
    assert_true(ym_score_accuracy(score, 1, label, 4) == 0.75);
    assert_true(ym_score_accuracy(three, 3, classes, 2) == 0.5);
    assert_true(isnan(ym_score_accuracy(score, 1, label, 0)));
}

static void brier_scores_by_hand(void **state)
{
    const float one[] = {0.9f, 0.2f}, label[] = {1, 0}, three[] = {0.5f, 0.25f, 0.25f};

    (void)state;
    assert_true(fabs(ym_score_brier(one, 1, label, 2) - 0.025) < 1e-7);
    assert_true(fabs(ym_score_brier(three, 3, label, 1) - (0.25 + 0.5625 + 0.0625)) < 1e-7);
    assert_true(isnan(ym_score_brier(one, 1, label, 0)));
}

/* A quarter of those with 1/4 and three quarters of those with 3/4 is right; 1/10 and 9/10 for the same people is logit
 * log 9 instead of log 3: twice too extreme. */
static void calibration_by_hand(void **state)
{
    const float right[] = {0.25f, 0.25f, 0.25f, 0.25f, 0.75f, 0.75f, 0.75f, 0.75f};
    const float extreme[] = {0.1f, 0.1f, 0.1f, 0.1f, 0.9f, 0.9f, 0.9f, 0.9f};
    const float label[] = {1, 0, 0, 0, 1, 1, 1, 0}, apart[] = {0, 0, 0, 0, 1, 1, 1, 1};
    double a, b;

    (void)state;
    ym_score_calibration(right, label, 8, &a, &b);
    assert_true(fabs(a) < 1e-9 && fabs(b - 1) < 1e-9);
    ym_score_calibration(extreme, label, 8, &a, &b);
    assert_true(fabs(a) < 1e-6 && fabs(b - 0.5) < 1e-6);
    ym_score_calibration(right, apart, 8, &a, &b); /* no maximum */
    assert_true(isnan(a) && isnan(b));
    ym_score_calibration(right, label, 4, &a, &b); /* equal scores */
    assert_true(isnan(a) && isnan(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_follow_the_plan),
        cmocka_unit_test(too_large_a_model_is_refused),
        cmocka_unit_test(start_is_zero_or_glorot_from_the_seed),
        cmocka_unit_test(scores_by_hand),
        cmocka_unit_test(brier_scores_by_hand),
        cmocka_unit_test(calibration_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

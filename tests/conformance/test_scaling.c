/* Noised scaling: what a patient puts into the sums, what leaves, what the state
 * makes of it, and that the model of standardised rows is the model of rows.
 * Kernel generator; CHECKS tests at FALSE_ALARM / CHECKS each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/scaling.h"
#include "models/state.h"
#include "privacy/clip.h"
#include "sim/federation.h"
#include "tests/support/plan.h"
#include "tests/support/stats.h"
#include "worker/trainer/local.h"

#define CHECKS 2

static void passes(const char *what, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s: p = %.3g", what, p);
}

static struct ym_plan *scaling_plan(enum ym_family family, size_t columns)
{
    struct ym_plan *p = plan_make(family, columns, 1);

    p->scaling_sigma_units = YM_CLIP_UNITS;
    p->scaling_least = 0.1;
    return p;
}

/* number, three levels with indicator, number with indicator: columns 0 | 1 2 3 | 4 5 */
static struct ym_plan *mixed_plan(void)
{
    struct ym_plan *p = scaling_plan(YM_FAMILY_MLP, 3);

    p->hidden_count = 1;
    p->hidden[0] = 4;
    p->input[1].kind = YM_VAR_CATEGORY;
    p->input[1].level_count = 3;
    p->input[1].missing = p->input[2].missing = YM_MISSING_INDICATOR;
    assert_int_equal(ym_plan_columns(p), 6);
    assert_int_equal(ym_plan_scaled_columns(p), 2);
    return p;
}

/* ---- one patient ---- */

static void one_patient_stays_in_the_ball(void **state)
{
    static const float hostile[] = {1, -1, 0.5f, NAN, INFINITY, -INFINITY, 3e38f, -7, FLT_MIN, 0};
    static const size_t columns[] = {1, 2, 30, 1024};
    uint64_t turn = 0;

    (void)state;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, columns[c]);
        size_t count = 1 + 2 * columns[c];
        uint64_t units = (uint64_t)ym_scaling_units(p), ball = (uint64_t)1 << 48;
        float *x = calloc(3 * columns[c], sizeof *x);

        assert_true(count * units * units <= ball && count * (units + 1) * (units + 1) > ball);
        for (int kind = 0; kind < 40; kind++) {
            size_t rows = 1 + (size_t)kind % 3;
            int64_t *q = calloc(count, sizeof *q);
            uint64_t norm = 0;

            for (size_t i = 0; i < rows * columns[c]; i++)
                x[i] = kind < 10 ? hostile[kind] : hostile[(turn += 7919) % 10];
            ym_scaling_add_patient(p, x, rows, q);
            assert_int_equal(q[0], units);
            for (size_t i = 0; i < count; i++)
                norm += (uint64_t)(q[i] * q[i]);
            assert_true(norm <= ball);
            free(q);
        }
        free(x);
        plan_drop(p);
    }
}

static void rows_of_a_patient_are_averaged(void **state)
{
    struct ym_plan *p = mixed_plan();
    const float x[] = {0.5f, 1, 0, 0, -0.25f, 0, /**/ -1, 0, 1, 0, 0, 1};
    int64_t q[5] = {0}, units = ym_scaling_units(p);

    (void)state;
    ym_scaling_add_patient(p, x, 2, q);
    assert_int_equal(q[0], units);
    assert_true(llabs(q[1] + units / 4) <= 1 && llabs(q[2] + units / 8) <= 1);
    assert_true(llabs(q[3] - units * 5 / 8) <= 1 && llabs(q[4] - units / 32) <= 1);
    plan_drop(p);
}

/* ---- what leaves ---- */

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

/* Nobody there: every coordinate of the sums is noise, nothing else moves. */
static void every_sum_is_noised(void **state)
{
    enum { COLUMNS = 400, ROUNDS = 50, DIM = COLUMNS + 1, COUNT = 1 + 2 * COLUMNS };
    struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, COLUMNS);
    uint64_t none = 0;
    struct ym_table empty = {.columns = COLUMNS, .first_row = &none};
    struct ym_model m;
    static int64_t update[DIM + COUNT];
    double x = 0, patients = 0, sigma;

    (void)state;
    p->update_scale_bits = 30; /* a patient is a hundredth of a unit; noise far above the lattice */
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(ym_model_update_dim(&m), DIM + COUNT);
    assert_int_equal(m.averaged, DIM);
    sigma = (double)YM_CLIP_UNITS / ym_scaling_units(p) / p->nominal_patients * 0x1p30;
    for (int r = 0; r < ROUNDS; r++) {
        assert_int_equal(ym_local_scaling_round(p, &m, &empty, open_kernel, NULL, update, NULL), YM_OK);
        for (size_t i = 0; i < DIM; i++)
            assert_int_equal(update[i], 0);
        for (size_t i = 0; i < COUNT; i++)
            x += (double)update[DIM + i] / sigma * ((double)update[DIM + i] / sigma);
        patients += (double)update[DIM] / sigma * ((double)update[DIM] / sigma);
    }
    passes("noise of the sums", stats_normal_two_sided((x - ROUNDS * COUNT) / sqrt(2.0 * ROUNDS * COUNT)));
    passes("noise of the count", stats_chi2_two_sided(patients, ROUNDS));
    plan_drop(p);
}

static enum ym_code open_nothing(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    (void)out;
    return ym_status_set(st, YM_INTERNAL, "no generator");
}

static void no_generator_means_no_sums(void **state)
{
    struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, 1);
    float x[] = {1};
    uint64_t first_row[] = {0, 1};
    struct ym_table one = {.columns = 1, .rows = 1, .patients = 1, .x = x, .first_row = first_row};
    struct ym_model m;
    int64_t update[5] = {7, 7, 7, 7, 7};

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(ym_local_scaling_round(p, &m, &one, open_nothing, NULL, update, NULL), YM_INTERNAL);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(update[i], 7);
    plan_drop(p);
}

/* ---- what it costs ---- */

static void first_round_costs_the_statistics_alone(void **state)
{
    struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, 1);
    struct ym_events e;

    (void)state;
    p->steps_per_round = 4;
    ym_plan_events(p, 1, 1, &e);
    assert_int_equal(e.count, 1);
    assert_true(e.use[0] == YM_USE_SCALING && e.event[0].sigma_units == YM_CLIP_UNITS);
    assert_true(e.event[0].sampling_k == UINT64_MAX && e.event[0].steps == 1); /* everybody, once */
    ym_plan_events(p, 1, 10, &e);
    assert_int_equal(e.count, 2);
    assert_true(e.use[0] == YM_USE_TRAINING && e.event[0].steps == 36 && e.use[1] == YM_USE_SCALING);
    ym_plan_events(p, 2, 10, &e);
    assert_int_equal(e.count, 1);
    assert_true(e.use[0] == YM_USE_TRAINING && e.event[0].steps == 36);
    plan_drop(p);
}

/* ---- what becomes of it ---- */

static void estimate_is_mean_and_spread_within_limits(void **state)
{
    struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, 4);
    /* 100 patients: mean 0.25 and mean square 0.31; no spread; negative variance; mean past 1 */
    const int64_t sums[] = {100, 25, 50, 50, 300, 31, 25, 0, 10000};
    const int64_t nobody[] = {0, 1, 1, 1, 1, 1, 1, 1, 1}, fewer[] = {-5, 1, 1, 1, 1, 1, 1, 1, 1};
    double extra[8];

    (void)state;
    ym_scaling_estimate(p, sums, extra);
    assert_true(extra[0] == 0.25 && extra[1] == 0.5 && extra[2] == 0.5 && extra[3] == 1);
    assert_true(fabs(extra[4] - sqrt(0.31 - 0.0625)) < 1e-12);
    assert_true(extra[5] == 0.1 && extra[6] == 0.1 && extra[7] == 1);
    assert_true(ym_scaling_valid(p, extra));
    ym_scaling_estimate(p, nobody, extra);
    assert_true(extra[0] == 0 && extra[4] == 1);
    ym_scaling_estimate(p, fewer, extra);
    assert_true(extra[3] == 0 && extra[7] == 1);
    plan_drop(p);
}

static void folded_model_says_of_rows_what_it_learned_of_standardised_ones(void **state)
{
    struct ym_plan *p = mixed_plan();
    struct ym_model m;
    struct ym_model_work *w;
    const double extra[] = {0.3, -0.6, 0.2, 0.15};
    float x[18], y[18], params[64], folded[64], a[3], b[3];

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    w = ym_model_work_new(&m, 3);
    ym_model_init_params(&m, 9, params);
    for (size_t i = 0; i < 18; i++)
        x[i] = y[i] = (float)((double)(i * 7 % 19) / 9.5 - 1);
    memcpy(folded, params, sizeof folded);
    ym_scaling_fold(p, &m, extra, folded);
    ym_scaling_apply(p, extra, 3, x);
    assert_true(fabs(x[0] - (y[0] - 0.3) / 0.2) < 1e-6 && fabs(x[16] - (y[16] + 0.6) / 0.15) < 1e-5);
    assert_true(x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[5] == y[5]);
    ym_model_predict(&m, params, x, 3, w, a);
    ym_model_predict(&m, folded, y, 3, w, b);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs((double)a[i] - b[i]) < 1e-5);
    assert_true(fabs((double)a[0] - a[1]) > 1e-3); /* the case is no constant */
    ym_model_work_free(w);
    plan_drop(p);
}

/* Hospitals of 400 and 100 patients, weights 1 and 3: the sums are pooled as they
 * are, not by weight. Noise far below the tolerance: 0.01 sqrt(3) / 500. */
static void federation_learns_the_pooled_mean_and_spread(void **state)
{
    static const uint32_t weight[] = {1, 3};
    static uint64_t first_row[401];
    static float x[500], y[500];
    struct ym_table h1 = {.columns = 1, .patients = 400, .rows = 400, .x = x, .y = y, .first_row = first_row};
    struct ym_table h2 = {.columns = 1, .patients = 100, .rows = 100, .x = x + 400, .y = y, .first_row = first_row};
    struct ym_sim_site sites[] = {{.name = "h1", .data = &h1}, {.name = "h2", .data = &h2}};
    struct ym_plan *p = scaling_plan(YM_FAMILY_LINEAR, 1);
    struct ym_sim_options noised = {0}, plain = {.no_privacy = true};
    double sum = 0, square = 0;

    (void)state;
    plan_add_sites(p, 2, weight);
    p->rounds = 3;
    p->scaling_sigma_units = YM_CLIP_UNITS / 100;
    for (size_t i = 0; i < 500; i++) {
        first_row[i % 400 + 1] = i % 400 + 1;
        x[i] = i < 400 ? -0.5f + (float)(i % 11) / 50 : 0.5f;
        sum += (double)x[i];
        square += (double)x[i] * (double)x[i];
    }
    for (int k = 0; k < 2; k++) {
        struct ym_buf end = {0};
        double extra[2], mean = sum / 500, spread = sqrt(square / 500 - mean * mean);

        assert_int_equal(ym_sim_run(p, sites, 2, k ? &plain : &noised, &end, NULL), YM_OK);
        assert_int_equal(ym_state_extra(p, (struct ym_bytes){end.data, end.len}, extra, NULL), YM_OK);
        assert_true(fabs(extra[0] - mean) < 1e-3 && fabs(extra[1] - spread) < 1e-3);
        ym_buf_release(&end);
    }
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_patient_stays_in_the_ball),
        cmocka_unit_test(rows_of_a_patient_are_averaged),
        cmocka_unit_test(every_sum_is_noised),
        cmocka_unit_test(no_generator_means_no_sums),
        cmocka_unit_test(first_round_costs_the_statistics_alone),
        cmocka_unit_test(estimate_is_mean_and_spread_within_limits),
        cmocka_unit_test(folded_model_says_of_rows_what_it_learned_of_standardised_ones),
        cmocka_unit_test(federation_learns_the_pooled_mean_and_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

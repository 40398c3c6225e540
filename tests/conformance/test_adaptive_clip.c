/* The adaptive clip seen from outside: what a patient puts into the released
 * vector, the bit beside it, and where the clip goes. Leaving the bit out of the
 * ball or out of the noise, or counting the true batch, turns a case red. Kernel
 * generator; CHECKS tests at FALSE_ALARM / CHECKS each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "models/state.h"
#include "privacy/bounded.h"
#include "sim/federation.h"
#include "tests/support/plan.h"
#include "tests/support/stats.h"
#include "worker/trainer/local.h"

#define CHECKS 16
#define CANARIES 200
#define IDLE 800
#define COLUMNS (CANARIES + IDLE)
#define DIM (COLUMNS + 1)  /* and the bias */
#define STEP_DIM (DIM + 1) /* and the bits */
#define STEPS 200
#define LENGTH 1e4f
#define BIT (1u << 23)         /* half the ball: the gradient has 0.866 of it */
#define UNIT (1.0 / (1 << 20)) /* of the update lattice */

static enum ym_route route; /* every case runs on both */

static void passes(const char *what, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s: p = %.3g", what, p);
}

/* Patient i: one row x = LENGTH e_i, so at parameters 0 a gradient of norm
 * |y| LENGTH along e_i. Even patients have |y| = 4, odd ones 1. */
struct cohort {
    struct ym_table table;
    struct ym_plan *plan;
    struct ym_model m;
};

static float outcome_of(size_t patient)
{
    return (patient % 2 ? 1.0f : 4.0f) * (patient % 4 < 2 ? 1.0f : -1.0f);
}

static void build_cohort(struct cohort *c, size_t patients)
{
    c->plan = plan_make(YM_FAMILY_LINEAR, COLUMNS, 1);
    c->plan->route = route;
    c->plan->clip_bit_units = BIT;
    c->plan->clip_quantile = 0.5;
    c->plan->clip_lr = 0.2;
    c->plan->clip_norm = 2 * (double)LENGTH;
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    assert_int_equal(ym_local_step_dim(c->plan, &c->m), STEP_DIM);
    c->table = (struct ym_table){.columns = COLUMNS, .patients = patients, .rows = patients};
    c->table.first_row = calloc(patients + 1, sizeof(uint64_t));
    c->table.x = calloc(patients * COLUMNS + 1, sizeof(float));
    c->table.y = calloc(patients + 1, sizeof(float));
    for (size_t i = 0; i < patients; i++) {
        c->table.first_row[i + 1] = i + 1;
        c->table.x[i * COLUMNS + i] = LENGTH;
        c->table.y[i] = -outcome_of(i); /* gradient: z - y */
    }
}

static void drop_cohort(struct cohort *c)
{
    plan_drop(c->plan);
    free(c->table.first_row);
    free(c->table.x);
    free(c->table.y);
}

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

static void step(struct cohort *c, double log_clip, int64_t *sum)
{
    float *params = calloc(DIM, sizeof *params);
    struct ym_local_work *w = ym_local_work_new(c->plan, &c->m, &c->table);

    assert_int_equal(ym_local_noisy_sum(c->plan, &c->m, &c->table, params, &log_clip, open_kernel, NULL, w, sum, NULL),
                     YM_OK);
    ym_local_work_free(w);
    free(params);
}

/* ---- the released vector ---- */

struct tally {
    double cut, whole, idle, bits, bits_square; /* sums of standardised excesses and squares */
    size_t cut_count, whole_count, idle_count;
};

/* With sigma = 2^17 the smallest amplitude is 50 sigma: half of it decides who took part. */
static void tally_step(const int64_t *sum, double sigma, struct tally *t)
{
    const double radius = ym_clip_radius(BIT),
                 kept = route == YM_ROUTE_BOUNDED ? ym_bounded_radius(ym_clip_radius(BIT), DIM, 1) : radius;
    const double along = kept / radius * LENGTH / sqrt((double)LENGTH * LENGTH + 1);
    double bits = (double)sum[DIM];

    for (size_t i = 0; i < CANARIES; i++) {
        bool cut = i % 2 == 0;
        double want = radius * (cut ? along : 0.5), got = (double)sum[i] * (outcome_of(i) > 0 ? 1 : -1);

        if (got < want / 2)
            continue;
        bits -= cut ? -(double)BIT : (double)BIT;
        *(cut ? &t->cut : &t->whole) += (got - want) / sigma;
        ++*(cut ? &t->cut_count : &t->whole_count);
    }
    for (size_t i = CANARIES; i < COLUMNS; i++, t->idle_count++)
        t->idle += (double)sum[i] / sigma * ((double)sum[i] / sigma);
    t->bits += bits / sigma;
    t->bits_square += bits / sigma * (bits / sigma);
}

static void bit_shares_the_ball_and_the_noise(void **state)
{
    struct cohort c;
    struct tally t = {0};
    int64_t sum[STEP_DIM];

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sigma_units = 1 << 17;
    for (int i = 0; i < STEPS; i++) {
        step(&c, 0, sum);
        tally_step(sum, 1 << 17, &t);
    }
    assert_true(t.cut_count > 5000 && t.whole_count > 5000);
    passes("amplitude of clipped patients", stats_normal_two_sided(t.cut / sqrt((double)t.cut_count)));
    passes("amplitude of others", stats_normal_two_sided(t.whole / sqrt((double)t.whole_count)));
    passes("variance of idle coordinates",
           stats_normal_two_sided((t.idle - (double)t.idle_count) / sqrt(2 * (double)t.idle_count)));
    passes("bits are +-w a patient", stats_normal_two_sided(t.bits / sqrt(STEPS)));
    passes("noise of the bits", stats_chi2_two_sided(t.bits_square, STEPS));
    drop_cohort(&c);
}

static void the_clip_is_the_state_s(void **state)
{
    struct cohort c;
    int64_t sum[STEP_DIM];

    (void)state;
    build_cohort(&c, 2); /* norms 4 and 1 LENGTH */
    c.plan->sampling_k = UINT64_MAX;
    c.plan->sigma_units = 1;
    step(&c, log(2.001), sum); /* now 4.002 LENGTH: nobody is cut */
    assert_true(llabs(sum[DIM] - 2 * (int64_t)BIT) < 20);
    assert_true(fabs((double)sum[1] - ym_clip_radius(BIT) / 4.002) < 30);
    step(&c, -1, sum);
    assert_true(llabs(sum[DIM] + 2 * (int64_t)BIT) < 20);
    drop_cohort(&c);
}

static void patient_without_a_gradient_counts_as_zero(void **state)
{
    struct cohort c;
    int64_t sum[STEP_DIM];

    (void)state;
    build_cohort(&c, 1);
    c.plan->sampling_k = UINT64_MAX;
    c.plan->sigma_units = 1;
    c.table.x[3] = NAN;
    step(&c, 0, sum);
    for (size_t i = 0; i < DIM; i++)
        assert_true(llabs(sum[i]) < 20); /* twenty sigma */
    assert_true(llabs(sum[DIM] - (int64_t)BIT) < 20);
    drop_cohort(&c);
}

/* ---- where the clip goes ---- */

static int64_t round_from(struct cohort *c, double log_clip)
{
    float *params = calloc(DIM, sizeof *params);
    int64_t update[STEP_DIM];

    assert_int_equal(
        ym_local_round(c->plan, &c->m, &c->table, params, &log_clip, NULL, 1, open_kernel, NULL, update, NULL), YM_OK);
    free(params);
    return update[DIM];
}

/* All 200 above the clip, nominal batch 1000: fraction 1/2 - 200 / 2000, whatever
 * the true batch. By hand: +-0.2 * 0.1 = +-0.02 in log C. */
static void fraction_is_over_the_nominal_batch(void **state)
{
    struct cohort c;

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sampling_k = UINT64_MAX;
    c.plan->nominal_patients = 1000;
    c.plan->sigma_units = 1;
    assert_int_equal(round_from(&c, -5), llround(0.02 / UNIT));
    assert_int_equal(round_from(&c, 5), -llround(0.02 / UNIT));
    c.plan->clip_quantile = 0.9;
    assert_int_equal(round_from(&c, -5), llround(0.2 * (0.9 - 0.4) / UNIT));
    drop_cohort(&c);
}

static void clip_stays_in_its_range(void **state)
{
    struct cohort c;

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sampling_k = UINT64_MAX;
    c.plan->nominal_patients = CANARIES;
    c.plan->sigma_units = 1;
    for (size_t i = 0; i < CANARIES; i++)
        c.table.y[i] = 1e30f;
    assert_int_equal(round_from(&c, YM_STATE_LOG_CLIP_MAX), 0);
    assert_int_equal(round_from(&c, YM_STATE_LOG_CLIP_MAX - 0.01), llround(0.01 / UNIT));
    for (size_t i = 0; i < CANARIES; i++)
        c.table.y[i] = 0;
    assert_int_equal(round_from(&c, -YM_STATE_LOG_CLIP_MAX), 0);
    drop_cohort(&c);
}

/* Two hospitals of 1000 patients whose gradients stay as they are, norms uniform
 * on (0, 1): the clip that lets a share g through is g. Stationary standard
 * deviation of C: a step moves log C by eta (C - g + xi), xi of deviation 0.034
 * (noise 1 / (2 0.1 250) = 0.02, sampling 0.027), so 0.2 0.034 / sqrt(1 - 0.9^2)
 * = 0.016 in log C at g = 1/2, 0.018 at 0.9; less after averaging. Tolerance 0.06. */
static void clip_finds_the_quantile(void **state)
{
    enum { PATIENTS = 1000 };
    static const double quantile[] = {0.5, 0.9};
    static const uint32_t weight[] = {1, 2};
    static uint64_t first_row[PATIENTS + 1];
    static float x[PATIENTS], y[PATIENTS];
    struct ym_table table = {
        .columns = 1, .patients = PATIENTS, .rows = PATIENTS, .x = x, .y = y, .first_row = first_row};
    struct ym_sim_site sites[] = {{"h1", &table}, {"h2", &table}};
    struct ym_sim_options o = {0};

    (void)state;
    for (size_t i = 0; i < PATIENTS; i++) {
        first_row[i + 1] = i + 1;
        y[i] = ((float)i + 0.5f) / PATIENTS * (i % 2 ? 1 : -1);
    }
    for (size_t i = 0; i < 2; i++) {
        struct ym_plan *plan = plan_make(YM_FAMILY_LINEAR, 1, 1);
        struct ym_buf end = {0};
        double log_clip;

        plan_add_sites(plan, 2, weight);
        plan->route = route;
        plan->rounds = 60;
        plan->steps_per_round = 5;
        plan->sampling_k = UINT64_C(1) << 62;
        plan->nominal_patients = PATIENTS;
        plan->learning_rate = 1e-12;
        plan->clip_norm = 0.01;
        plan->clip_bit_units = YM_CLIP_UNITS / 10;
        plan->clip_quantile = quantile[i];
        plan->clip_lr = 0.2;
        assert_int_equal(ym_sim_run(plan, sites, 2, &o, &end, NULL), YM_OK);
        assert_int_equal(ym_state_extra(plan, (struct ym_bytes){end.data, end.len}, &log_clip, NULL), YM_OK);
        if (!(fabs(0.01 * exp(log_clip) - quantile[i]) < 0.06))
            fail_msg("clip %.4f for quantile %.2f", 0.01 * exp(log_clip), quantile[i]);
        ym_buf_release(&end);
        plan_drop(plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_shares_the_ball_and_the_noise),
        cmocka_unit_test(the_clip_is_the_state_s),
        cmocka_unit_test(patient_without_a_gradient_counts_as_zero),
        cmocka_unit_test(fraction_is_over_the_nominal_batch),
        cmocka_unit_test(clip_stays_in_its_range),
        cmocka_unit_test(clip_finds_the_quantile),
    };

    int failed = cmocka_run_group_tests_name("integer", tests, NULL, NULL);

    route = YM_ROUTE_BOUNDED;
    return failed + cmocka_run_group_tests_name("bounded", tests, NULL, NULL);
}

/* What leaves a hospital in one step, seen from outside: canary patients whose
 * clipped gradient is +-C in a coordinate of their own, and idle coordinates that
 * no patient touches. Turning off the clip, the noise or the sampling in the
 * source turns a case red. Kernel generator: every run is a new sample. CHECKS
 * tests at FALSE_ALARM / CHECKS each; 0.7 % of sigma, 0.3 % of the amplitude and
 * 3 % of q are seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/bounded.h"
#include "tests/support/plan.h"
#include "tests/support/stats.h"
#include "worker/trainer/local.h"

#define CHECKS 48
#define CANARIES 400
#define IDLE 1600
#define COLUMNS (CANARIES + IDLE)
#define DIM (COLUMNS + 1) /* and the bias */
#define STEPS 250
#define LENGTH 1e4f /* of a canary's row: the gradient before the clip, and its bias part is 1e-4 of it */
#define C ((double)YM_CLIP_UNITS)

static enum ym_route route; /* every case runs on both */

static void passes(const char *what, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s: p = %.3g", what, p);
}

/* Patient i has one row, every third patient three, all with x = LENGTH e_i and
 * y = -1 or +1: at parameters 0 the squared loss has gradient -y (x, 1). The first
 * of three rows pulls the other way, and is outvoted where all rows count. */
struct cohort {
    struct ym_table table;
    struct ym_plan *plan;
    struct ym_model m;
};

static float sign_of(size_t patient)
{
    return patient % 2 ? 1.0f : -1.0f;
}

static void build_cohort(struct cohort *c, size_t patients)
{
    size_t row = 0;

    c->plan = plan_make(YM_FAMILY_LINEAR, COLUMNS, 1);
    c->plan->sampling_k = (uint64_t)ldexp(0.1, 64);
    c->plan->nominal_patients = CANARIES;
    c->plan->route = route;
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    assert_int_equal(c->m.dim, DIM);
    c->table = (struct ym_table){.columns = COLUMNS, .patients = patients};
    c->table.first_row = calloc(patients + 1, sizeof(uint64_t));
    for (size_t i = 0; i < patients; i++)
        c->table.first_row[i + 1] = c->table.first_row[i] + (i % 3 ? 1 : 3);
    c->table.rows = c->table.first_row[patients];
    c->table.x = calloc(c->table.rows * COLUMNS + 1, sizeof(float));
    c->table.y = calloc(c->table.rows + 1, sizeof(float));
    for (size_t i = 0; i < patients; i++) {
        for (; row < c->table.first_row[i + 1]; row++) {
            c->table.x[row * COLUMNS + i] = LENGTH;
            bool against = i % 3 == 0 && row == c->table.first_row[i];

            c->table.y[row] = against ? sign_of(i) : -sign_of(i); /* gradient: z - y */
        }
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
    ++*(int *)ctx;
    return ym_rng_open(out, st);
}

/* sums [STEPS][DIM] */
static int64_t *run_steps(struct cohort *c)
{
    int64_t *sums = calloc(STEPS * DIM, sizeof *sums);
    float *params = calloc(DIM, sizeof *params);
    struct ym_local_work *w = ym_local_work_new(c->plan, &c->m, &c->table);
    int opened = 0;

    for (size_t t = 0; t < STEPS; t++)
        assert_int_equal(
            ym_local_noisy_sum(c->plan, &c->m, &c->table, params, NULL, open_kernel, &opened, w, sums + t * DIM, NULL),
            YM_OK);
    assert_int_equal(opened, 2 * STEPS); /* a generator of its own for each sampling and each noise */
    ym_local_work_free(w);
    free(params);
    return sums;
}

/* ---- noise ---- */

static double spread(const int64_t *sums, size_t from, size_t to, double sigma)
{
    double x = 0, n = (double)(STEPS * (to - from));

    for (size_t t = 0; t < STEPS; t++)
        for (size_t i = from; i < to; i++)
            x += ((double)sums[t * DIM + i] / sigma) * ((double)sums[t * DIM + i] / sigma);
    return stats_normal_two_sided((x - n) / sqrt(2 * n)); /* chi-square with n = 400,000: normal enough at 1e-8 */
}

static double correlation(const int64_t *sums, size_t step_lag, size_t lag, double sigma)
{
    double x = 0, n = 0;

    for (size_t t = 0; t + step_lag < STEPS; t++) {
        for (size_t i = CANARIES; i + lag < COLUMNS; i++, n++)
            x += (double)sums[t * DIM + i] / sigma * ((double)sums[(t + step_lag) * DIM + i + lag] / sigma);
    }
    return stats_normal_two_sided(x / sqrt(n));
}

static void idle_coordinates_carry_the_noise(void **state)
{
    struct cohort c;
    int64_t *sums;

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sigma_units = 3 * YM_CLIP_UNITS / 2;
    sums = run_steps(&c);
    passes("variance of idle coordinates", spread(sums, CANARIES, COLUMNS, (double)c.plan->sigma_units));
    passes("step to step", correlation(sums, 1, 0, (double)c.plan->sigma_units));
    passes("coordinate to coordinate", correlation(sums, 0, 1, (double)c.plan->sigma_units));
    free(sums);
    drop_cohort(&c);
}

/* q so small that every sample is empty: same noise, on every coordinate. */
static void empty_samples_are_noised_like_any_other(void **state)
{
    struct cohort c;
    int64_t *sums;

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sampling_k = 1;
    sums = run_steps(&c);
    passes("variance, empty samples", spread(sums, 0, DIM, (double)c.plan->sigma_units));
    free(sums);
    drop_cohort(&c);
    build_cohort(&c, 0); /* nobody at all */
    sums = run_steps(&c);
    passes("variance, empty cohort", spread(sums, 0, DIM, (double)c.plan->sigma_units));
    free(sums);
    drop_cohort(&c);
}

/* ---- clip and sampling ---- */

/* With sigma = C/16 a coordinate above C/2 is a patient who took part: wrong with
 * probability 1e-15 a cell, 1e-10 in all. */
static bool took_part(const int64_t *sums, size_t t, size_t i)
{
    return sign_of(i) * (double)sums[t * DIM + i] > C / 2;
}

/* The bounded route takes off what its rounding may add. */
static double clipped(size_t rows)
{
    return route == YM_ROUTE_BOUNDED ? ym_bounded_radius(YM_CLIP_UNITS, DIM, rows) : C;
}

static void check_amplitude(const int64_t *sums, double sigma, size_t rows)
{
    double sum = 0, n = 0, want = clipped(rows) * LENGTH / sqrt((double)LENGTH * LENGTH + 1);

    for (size_t t = 0; t < STEPS; t++) {
        for (size_t i = 0; i < CANARIES; i++) {
            if ((i % 3 == 0) != (rows == 3) || !took_part(sums, t, i))
                continue;
            sum += sign_of(i) * (double)sums[t * DIM + i] - want;
            n++;
        }
    }
    assert_true(n > 1000);
    passes(rows == 3 ? "amplitude of patients with three rows" : "amplitude of patients with one row",
           stats_normal_two_sided(sum / (sigma * sqrt(n))));
}

/* Counts about their mean: too little spread over steps is a fixed batch, over
 * patients a shuffle. */
static double count_spread(const int64_t *sums, double q, bool over_steps)
{
    size_t outer = over_steps ? STEPS : CANARIES, inner = over_steps ? CANARIES : STEPS;
    double x = 0;

    for (size_t i = 0; i < outer; i++) {
        double n = 0;

        for (size_t j = 0; j < inner; j++)
            n += over_steps ? took_part(sums, i, j) : took_part(sums, j, i);
        x += (n - (double)inner * q) * (n - (double)inner * q) / ((double)inner * q * (1 - q));
    }
    return stats_chi2_two_sided(x, (double)outer);
}

static void canaries_show_the_clip_and_the_coin(void **state)
{
    struct cohort c;
    int64_t *sums;
    double total = 0, q = 0.5, cells = STEPS * CANARIES;

    (void)state;
    build_cohort(&c, CANARIES);
    c.plan->sigma_units = YM_CLIP_UNITS / 16;
    c.plan->sampling_k = UINT64_C(1) << 63;
    sums = run_steps(&c);
    check_amplitude(sums, C / 16, 1);
    check_amplitude(sums, C / 16, 3);
    for (size_t t = 0; t < STEPS; t++)
        for (size_t i = 0; i < CANARIES; i++)
            total += took_part(sums, t, i);
    passes("participation", stats_normal_two_sided((total - cells * q) / sqrt(cells * q * (1 - q))));
    passes("participation over steps", count_spread(sums, q, true));
    passes("participation over patients", count_spread(sums, q, false));
    passes("variance of idle coordinates", spread(sums, CANARIES, COLUMNS, C / 16));
    free(sums);
    drop_cohort(&c);
}

/* ---- what is released: the update of a whole round ---- */

enum { LOCAL_STEPS = 5 };

/* Root of the sum of squared weights with which LOCAL_STEPS noises enter an update. */
static double weight_of_noises(double momentum)
{
    double sum = 0;

    for (int from = 0; from < LOCAL_STEPS; from++) {
        double weight = 0;

        for (int step = from; step < LOCAL_STEPS; step++)
            weight += pow(momentum, step - from);
        sum += weight * weight;
    }
    return sqrt(sum);
}

static void check_released_noise(double momentum)
{
    enum { ROUNDS = 60 };
    struct cohort c;
    float *params = calloc(DIM, sizeof *params);
    int64_t *update = calloc(DIM, sizeof *update);
    double x = 0, n = 0, sigma;
    int opened = 0;

    build_cohort(&c, CANARIES);
    c.plan->steps_per_round = LOCAL_STEPS;
    c.plan->momentum = momentum;
    c.plan->clip_norm = 0.25;
    sigma = c.plan->learning_rate * c.plan->clip_norm * ((double)c.plan->sigma_units / C) /
            (0.1 * c.plan->nominal_patients) * weight_of_noises(momentum) * ldexp(1, (int)c.plan->update_scale_bits);
    for (int r = 0; r < ROUNDS; r++) {
        assert_int_equal(
            ym_local_round(c.plan, &c.m, &c.table, params, NULL, NULL, 1, open_kernel, &opened, update, NULL), YM_OK);
        for (size_t i = CANARIES; i < COLUMNS; i++, n++)
            x += (double)update[i] / sigma * ((double)update[i] / sigma);
    }
    assert_int_equal(opened, 2 * ROUNDS * LOCAL_STEPS);
    passes("variance of released idle coordinates", stats_normal_two_sided((x - n) / sqrt(2 * n)));
    free(update);
    free(params);
    drop_cohort(&c);
}

static void released_update_carries_the_noise_of_every_step(void **state)
{
    (void)state;
    check_released_noise(0);
}

/* Momentum is taken from noised sums: it gathers noise as it gathers gradients. */
static void momentum_gathers_the_noise_too(void **state)
{
    (void)state;
    check_released_noise(0.9);
}

/* ---- failure and arithmetic ---- */

static enum ym_code open_fails_at(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    if (--*(int *)ctx < 0)
        return ym_status_set(st, YM_INTERNAL, "no generator");
    return ym_rng_open(out, st);
}

static void no_generator_means_no_release(void **state)
{
    struct cohort c;
    float *params = calloc(DIM, sizeof *params);
    int64_t *update = calloc(DIM, sizeof *update);

    (void)state;
    build_cohort(&c, 10);
    c.plan->steps_per_round = 2;
    for (int good = 0; good < 4; good++) {
        int left = good;

        memset(update, 0x5a, DIM * sizeof *update);
        assert_int_equal(
            ym_local_round(c.plan, &c.m, &c.table, params, NULL, NULL, 1, open_fails_at, &left, update, NULL),
            YM_INTERNAL);
        for (size_t i = 0; i < DIM; i++)
            assert_true(update[i] == 0x5a5a5a5a5a5a5a5a);
    }
    free(update);
    free(params);
    drop_cohort(&c);
}

static void step_is_scaled_by_public_numbers(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LINEAR, 1, 1);
    struct ym_model m;
    int64_t sum[2] = {YM_CLIP_UNITS, -2 * YM_CLIP_UNITS};
    const float start[2] = {1, 1};
    double theta[2] = {1, 1};
    struct ym_optimizer *o;

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    p->clip_norm = 3;
    p->l2 = 0.125;
    o = ym_optimizer_new(p, &m, start, 1);
    assert_non_null(o);
    ym_local_apply(p, &m, o, sum, theta, NULL);                           /* lr 0.5, nominal batch 50 */
    assert_true(fabs(theta[0] - (1 - 0.5 * (3.0 / 50 + 0.125))) < 1e-15); /* a weight shrinks */
    assert_true(fabs(theta[1] - (1 + 0.5 * 6.0 / 50)) < 1e-15);           /* a bias does not */
    ym_optimizer_free(o);
    plan_drop(p);
}

static void update_is_rounded_half_even_and_clamped(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LINEAR, 1, 1);
    const double theta[] = {0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127, 1e300, -128, -129, -1e300, NAN, INFINITY, -INFINITY};
    const int64_t want[] = {0, 2, 2, 0, -2, 126, 127, 127, -128, -128, -128, 0, 127, -128};
    float start[14] = {0};
    int64_t got[14];

    (void)state;
    p->update_scale_bits = 0;
    p->update_width_bits = 8;
    ym_local_quantize(p, 14, theta, start, got);
    assert_memory_equal(got, want, sizeof want);
    p->update_width_bits = 60;
    ym_local_quantize(p, 14, theta, start, got);
    assert_true(got[7] == (INT64_C(1) << 59) - 1 && got[10] == -(INT64_C(1) << 59));
    start[0] = 0.25f;
    p->update_scale_bits = 2;
    ym_local_quantize(p, 1, theta, start, got);
    assert_int_equal(got[0], 1);
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_coordinates_carry_the_noise),
        cmocka_unit_test(empty_samples_are_noised_like_any_other),
        cmocka_unit_test(canaries_show_the_clip_and_the_coin),
        cmocka_unit_test(released_update_carries_the_noise_of_every_step),
        cmocka_unit_test(momentum_gathers_the_noise_too),
        cmocka_unit_test(no_generator_means_no_release),
        cmocka_unit_test(step_is_scaled_by_public_numbers),
        cmocka_unit_test(update_is_rounded_half_even_and_clamped),
    };

    int failed = cmocka_run_group_tests_name("integer", tests, NULL, NULL);

    route = YM_ROUTE_BOUNDED;
    return failed + cmocka_run_group_tests_name("bounded", tests, NULL, NULL);
}

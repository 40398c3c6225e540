/* Local optimisers and learning rates against closed forms: sums over all past
 * gradients instead of recurrences. And the whole private round, its noise and clip
 * out of reach, against the simulator's plain one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/optimizer.h"
#include "sim/plain.h"
#include "tests/support/plan.h"
#include "worker/trainer/local.h"

#define STEPS 12
#define COLUMNS 3
#define DIM (COLUMNS + 1)

static struct ym_plan *steps_plan(void)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LINEAR, COLUMNS, 1);

    p->rounds = 4;
    p->steps_per_round = STEPS;
    p->learning_rate = 0.3;
    return p;
}

static struct ym_model model_of(const struct ym_plan *p)
{
    struct ym_model m;

    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    return m;
}

static double gradient_at(size_t step, size_t i)
{
    return sin(1.7 * (double)step + (double)i * (double)i) + 0.1 * (double)i;
}

static double decayed(double share, size_t step, size_t i, int power)
{
    double sum = 0;

    for (size_t s = 0; s <= step; s++)
        sum += pow(share, (double)(step - s)) * pow(gradient_at(s, i), power);
    return sum;
}

static double direction(const struct ym_plan *p, size_t step, size_t i)
{
    double t = (double)step + 1, v = decayed(p->momentum, step, i, 1);

    switch (p->local_opt) {
    case YM_LOCAL_SGD:
        return v;
    case YM_LOCAL_NESTEROV:
        return gradient_at(step, i) + p->momentum * v;
    default:
        return (1 - p->local_beta1) * decayed(p->local_beta1, step, i, 1) / (1 - pow(p->local_beta1, t)) /
               (sqrt((1 - p->local_beta2) * decayed(p->local_beta2, step, i, 2) / (1 - pow(p->local_beta2, t))) +
                p->local_tau);
    }
}

static void check_directions(const struct ym_plan *p)
{
    struct ym_model m = model_of(p);
    const float start[DIM] = {0.5f, -1, 2, 0};
    double theta[DIM], want[DIM], g[DIM];
    struct ym_optimizer *o = ym_optimizer_new(p, &m, start, 2);

    assert_non_null(o);
    for (size_t i = 0; i < DIM; i++)
        theta[i] = want[i] = start[i];
    for (size_t step = 0; step < STEPS; step++) {
        ym_optimizer_step(o);
        for (size_t i = 0; i < DIM; i++) {
            g[i] = gradient_at(step, i);
            want[i] -= p->learning_rate * direction(p, step, i);
        }
        ym_optimizer_move(o, 0, 1, g, theta); /* in runs that no tensor ends with */
        ym_optimizer_move(o, 1, DIM - 1, g + 1, theta);
        for (size_t i = 0; i < DIM; i++)
            assert_true(fabs(theta[i] - want[i]) < 1e-12);
    }
    ym_optimizer_free(o);
}

static void optimisers_equal_their_sums_over_past_gradients(void **state)
{
    struct ym_plan *p = steps_plan();

    (void)state;
    check_directions(p);
    p->momentum = 0.9;
    check_directions(p);
    p->local_opt = YM_LOCAL_NESTEROV;
    check_directions(p);
    p->local_opt = YM_LOCAL_ADAM;
    p->momentum = 0;
    p->local_beta1 = 0.9;
    p->local_beta2 = 0.99;
    p->local_tau = 0.01;
    check_directions(p);
    plan_drop(p);
}

/* With gradient 0: theta - start shrinks by l2 and prox alone, (theta - c) by 1 - r (l2 + prox) a step. */
static void penalty_and_pull_meet_between_zero_and_the_start(void **state)
{
    struct ym_plan *p = steps_plan();
    struct ym_model m = model_of(p);
    const float start[DIM] = {1, 1, 1, 1};
    const double zero[DIM] = {0};
    double theta[DIM] = {2, 2, 2, 2};
    struct ym_optimizer *o;

    (void)state;
    p->l2 = 0.25;
    p->prox = 0.75;
    o = ym_optimizer_new(p, &m, start, 1);
    for (int step = 0; step < STEPS; step++) {
        ym_optimizer_step(o);
        ym_optimizer_move(o, 0, DIM, zero, theta);
    }
    assert_true(fabs(theta[0] - (0.75 + 1.25 * pow(1 - 0.3, STEPS))) < 1e-12);
    assert_true(fabs(theta[DIM - 1] - (1 + pow(1 - 0.3 * 0.75, STEPS))) < 1e-12); /* a bias is only pulled */
    ym_optimizer_free(o);
    plan_drop(p);
}

static void near(double got, double want)
{
    assert_true(fabs(got - want) < 1e-15 + 1e-12 * fabs(want));
}

static void rates_follow_the_schedule(void **state)
{
    struct ym_plan *p = steps_plan(); /* 48 steps */

    (void)state;
    near(ym_optimizer_rate(p, 47), 0.3);
    p->warm_up_steps = 8;
    near(ym_optimizer_rate(p, 0), 0.3 / 8);
    near(ym_optimizer_rate(p, 7), 0.3);
    near(ym_optimizer_rate(p, 8), 0.3);
    p->schedule = YM_SCHEDULE_LINEAR;
    p->schedule_final = 0.2;
    near(ym_optimizer_rate(p, 28), 0.3 * 0.6);
    p->schedule = YM_SCHEDULE_COSINE;
    near(ym_optimizer_rate(p, 28), 0.3 * 0.6);
    near(ym_optimizer_rate(p, 18), 0.3 * (0.2 + 0.8 * (1 + sqrt(0.5)) / 2));
    p->schedule = YM_SCHEDULE_STEP;
    p->schedule_every = 10;
    p->schedule_factor = 0.5;
    near(ym_optimizer_rate(p, 17), 0.3);
    near(ym_optimizer_rate(p, 18), 0.15);
    near(ym_optimizer_rate(p, 47), 0.3 / 8);
    plan_drop(p);
}

/* The rate goes on where the round before stopped; a scaling round does not count. */
static void rounds_continue_the_schedule(void **state)
{
    struct ym_plan *p = steps_plan();
    struct ym_model m = model_of(p);
    const float start[DIM] = {0};
    const double one[DIM] = {1, 1, 1, 1};

    (void)state;
    p->schedule = YM_SCHEDULE_LINEAR;
    for (int scaling = 0; scaling < 2; scaling++) {
        double theta[DIM] = {0}, steps = STEPS * (4 - scaling), first = STEPS * (2 - scaling);
        struct ym_optimizer *o;

        p->scaling_sigma_units = (uint64_t)scaling;
        o = ym_optimizer_new(p, &m, start, 3);
        ym_optimizer_step(o);
        ym_optimizer_move(o, 0, DIM, one, theta);
        near(theta[0], -0.3 * (1 - first / steps));
        ym_optimizer_free(o);
    }
    plan_drop(p);
}

/* ---- a whole round ---- */

#define PATIENTS 64

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

static struct ym_table make_table(void)
{
    struct ym_table t = {.columns = COLUMNS, .patients = PATIENTS, .rows = PATIENTS};

    t.first_row = calloc(PATIENTS + 1, sizeof *t.first_row);
    t.x = calloc(PATIENTS * COLUMNS, sizeof *t.x);
    t.y = calloc(PATIENTS, sizeof *t.y);
    for (size_t i = 0; i < PATIENTS; i++) {
        t.first_row[i + 1] = i + 1;
        for (size_t k = 0; k < COLUMNS; k++)
            t.x[i * COLUMNS + k] = (float)sin((double)(3 * i + 7 * k));
        t.y[i] = 0.5f + t.x[i * COLUMNS] - 0.25f * t.x[i * COLUMNS + 1];
    }
    return t;
}

/* Everybody sampled, no gradient near the clip, noise of 2^-24 of the clip: what is
 * left between the two is rounding to the lattice. tolerance: 2^-24 x clip 64, some
 * ten of them a step, amplified by the optimiser; wrong optimisers differ by 1e-2. */
static void check_round(struct ym_plan *p, double tolerance)
{
    struct ym_model m = model_of(p);
    struct ym_table t = make_table();
    const float start[DIM] = {0.1f, -0.2f, 0.3f, 0};
    int64_t private[DIM], plain[DIM];

    for (uint32_t round = 1; round <= 2; round++) {
        assert_int_equal(ym_local_round(p, &m, &t, start, NULL, NULL, round, open_kernel, NULL, private, NULL), YM_OK);
        assert_int_equal(ym_plain_round(p, &m, &t, start, NULL, NULL, round, plain, NULL), YM_OK);
        for (size_t i = 0; i < DIM; i++) {
            double off = ldexp((double)(private[i] - plain[i]), -(int)p->update_scale_bits);

            if (!(fabs(off) < tolerance))
                fail_msg("optimizer %d, coordinate %zu: %.3g away from the plain round", p->local_opt, i, off);
        }
    }
    free(t.first_row);
    free(t.x);
    free(t.y);
}

static void round_without_noise_is_the_plain_round(void **state)
{
    struct ym_plan *p = steps_plan();

    (void)state;
    p->sampling_k = UINT64_MAX;
    p->nominal_patients = PATIENTS;
    p->clip_norm = 64;
    p->sigma_units = 1;
    p->update_scale_bits = 30;
    p->update_width_bits = 50;
    p->l2 = 0.01;
    p->prox = 0.1;
    p->schedule = YM_SCHEDULE_COSINE;
    p->warm_up_steps = 5;
    check_round(p, 1e-5);
    p->momentum = 0.9;
    check_round(p, 1e-4);
    p->local_opt = YM_LOCAL_NESTEROV;
    check_round(p, 1e-4);
    p->local_opt = YM_LOCAL_ADAM;
    p->momentum = 0;
    p->local_beta1 = 0.9;
    p->local_beta2 = 0.99;
    p->local_tau = 0.01;
    check_round(p, 1e-4);
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimisers_equal_their_sums_over_past_gradients),
        cmocka_unit_test(penalty_and_pull_meet_between_zero_and_the_start),
        cmocka_unit_test(rates_follow_the_schedule),
        cmocka_unit_test(rounds_continue_the_schedule),
        cmocka_unit_test(round_without_noise_is_the_plain_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Control variates (models/control.h) over the simulator and the hospital's own round: hospitals of different data
 * reach the optimum that plain local steps miss; with all taking part it is the paper's algorithm; what a hospital
 * releases carries the noise of every step and nothing of the correction, which is behind the clip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/control.h"
#include "models/state.h"
#include "privacy/clip.h"
#include "sim/federation.h"
#include "tests/support/plan.h"
#include "tests/support/stats.h"
#include "worker/trainer/local.h"

#define COLUMNS 2
#define DIM (COLUMNS + 1)
#define PATIENTS 40
#define STEPS 20
#define RATE 0.1

struct ward {
    struct ym_table table;
    float x[PATIENTS][COLUMNS], y[PATIENTS];
    uint64_t first_row[PATIENTS + 1];
};

/* Ward k: inputs spread otherwise, and another law of the outcome: each has an optimum of its own. */
static void fill(struct ward *w, int k)
{
    for (size_t i = 0; i < PATIENTS; i++) {
        float u = (float)i / (PATIENTS - 1) * 2 - 1, v = (float)(i * 7 % PATIENTS) / (PATIENTS - 1) * 2 - 1;

        w->x[i][0] = k == 0 ? u : 0.2f * u + 0.7f;
        w->x[i][1] = k == 0 ? 0.3f * v : v;
        w->y[i] = k == 0 ? 0.9f * w->x[i][0] - 0.5f * w->x[i][1] : -0.8f * w->x[i][0] + 0.6f * w->x[i][1] + 0.3f;
        w->first_row[i] = i;
    }
    w->first_row[PATIENTS] = PATIENTS;
    w->table = (struct ym_table){.columns = COLUMNS,
                                 .rows = PATIENTS,
                                 .patients = PATIENTS,
                                 .x = &w->x[0][0],
                                 .y = w->y,
                                 .first_row = w->first_row};
}

static struct ym_plan *plan_of(uint32_t rounds, uint32_t steps, bool scaffold)
{
    static const uint32_t weight[] = {1, 2};
    struct ym_plan *p = plan_make(YM_FAMILY_LINEAR, COLUMNS, 1);

    plan_add_sites(p, 2, weight);
    p->rounds = rounds;
    p->steps_per_round = steps;
    p->nominal_patients = PATIENTS;
    p->learning_rate = RATE;
    p->scaffold = scaffold;
    p->quorum = 2;
    p->update_scale_bits = 36;
    p->update_width_bits = 50;
    return p;
}

static void run(const struct ym_plan *p, const struct ym_sim_options *o, float params[DIM], struct ym_buf *state)
{
    static struct ward ward[2];
    struct ym_sim_site site[2] = {{.name = "h1", .data = &ward[0].table}, {.name = "h2", .data = &ward[1].table}};
    struct ym_status st = YM_STATUS_INIT;
    const uint8_t *at;
    uint32_t round;

    fill(&ward[0], 0);
    fill(&ward[1], 1);
    if (ym_sim_run(p, site, 2, o, state, &st) != YM_OK)
        fail_msg("%s", st.message);
    assert_int_equal(ym_state_params(p, ym_buf_bytes(state), &round, &at, NULL), YM_OK);
    memcpy(params, at, DIM * sizeof *params);
}

static double trained(uint32_t rounds, uint32_t steps, bool scaffold, const float *target, float params[DIM])
{
    const struct ym_sim_options o = {.no_privacy = true};
    struct ym_plan *p = plan_of(rounds, steps, scaffold);
    struct ym_buf state = {0};
    double square = 0;

    run(p, &o, params, &state);
    for (size_t i = 0; i < DIM && target; i++)
        square += pow((double)params[i] - (double)target[i], 2);
    ym_buf_release(&state);
    plan_drop(p);
    return sqrt(square);
}

static void walks_reach_the_optimum_that_fedavg_misses(void **state)
{
    float optimum[DIM], found[DIM];
    double missed, left;

    (void)state;
    trained(9000, 1, false, NULL, optimum); /* one step a round is gradient descent on all patients */
    missed = trained(600, STEPS, false, optimum, found);
    left = trained(600, STEPS, true, optimum, found);
    print_message("distance to the optimum: fedavg %.3g, scaffold %.3g\n", missed, left);
    assert_true(missed > 0.05); /* the fixed point of 20 steps a round is another one */
    assert_true(left < 1e-5);   /* parameters are float32 */
}

/* Karimireddy et al. 2020, Algorithm 1 with option II and global rate 1, in its own words, on the same two losses;
 * weights 1 and 2 as a hospital that is there twice. */
static void gradient(const struct ward *w, const double *at, double *g)
{
    memset(g, 0, DIM * sizeof *g);
    for (size_t i = 0; i < PATIENTS; i++) {
        double e = at[0] * (double)w->x[i][0] + at[1] * (double)w->x[i][1] + at[2] - (double)w->y[i];

        g[0] += e * (double)w->x[i][0] / PATIENTS;
        g[1] += e * (double)w->x[i][1] / PATIENTS;
        g[2] += e / PATIENTS;
    }
}

static void round_of_the_paper(const struct ward *w, double *x, double *c, double own[2][DIM])
{
    static const double share[] = {1.0 / 3, 2.0 / 3};
    double move[DIM] = {0}, turn[DIM] = {0};

    for (int k = 0; k < 2; k++) {
        double y[DIM], g[DIM];

        memcpy(y, x, sizeof y);
        for (int step = 0; step < STEPS; step++) {
            gradient(&w[k], y, g);
            for (size_t i = 0; i < DIM; i++)
                y[i] -= RATE * (g[i] - own[k][i] + c[i]);
        }
        for (size_t i = 0; i < DIM; i++) {
            double fresh = own[k][i] - c[i] + (x[i] - y[i]) / (STEPS * RATE);

            move[i] += share[k] * (y[i] - x[i]);
            turn[i] += share[k] * (fresh - own[k][i]);
            own[k][i] = fresh;
        }
    }
    for (size_t i = 0; i < DIM; i++) {
        x[i] += move[i];
        c[i] += turn[i];
    }
}

static void all_taking_part_it_is_the_papers_algorithm(void **state)
{
    struct ward w[2];
    double x[DIM] = {0}, c[DIM] = {0}, own[2][DIM] = {{0}};
    float found[DIM];

    (void)state;
    fill(&w[0], 0);
    fill(&w[1], 1);
    for (uint32_t round = 1; round <= 8; round++) {
        round_of_the_paper(w, x, c, own);
        trained(round, STEPS, true, NULL, found);
        for (size_t i = 0; i < DIM; i++)
            if (!(fabs(x[i] - (double)found[i]) < 2e-6))
                fail_msg("round %u, parameter %zu: %.9g, the paper's %.9g", round, i, (double)found[i], x[i]);
    }
}

static void private_runs_repeat_to_the_bit(void **state)
{
    const struct ym_sim_options o = {.seeded = true, .seed = 5};
    struct ym_plan *p = plan_of(5, 3, true), *plain = plan_of(5, 3, false);
    struct ym_buf a = {0}, b = {0}, other = {0};
    float first[DIM], again[DIM], without[DIM];
    double c[DIM];

    (void)state;
    run(p, &o, first, &a);
    run(p, &o, again, &b);
    run(plain, &o, without, &other);
    assert_true(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    assert_memory_not_equal(first, without, sizeof first);
    assert_int_equal(ym_state_control(p, ym_buf_bytes(&a), c, NULL), YM_OK);
    assert_true(c[0] != 0 && c[1] != 0 && c[2] != 0);
    ym_buf_release(&a);
    ym_buf_release(&b);
    ym_buf_release(&other);
    plan_drop(p);
    plan_drop(plain);
}

/* One of two hospitals, weight 2 of 3: c goes two thirds of the way; all of it in the order that docs/formats.md has.
 */
static void control_moves_as_far_as_survivors_are_all(void **state)
{
    static const char *const second[] = {"h2"};
    struct ym_plan *p = plan_of(3, 4, true);
    int64_t sum[DIM] = {-1000000, 3, 77777777};
    struct ym_buf now = {0}, after = {0};
    double c[DIM] = {0}, got[DIM], pace = 4 * RATE, divisor = ldexp(2, 36);

    (void)state;
    assert_int_equal(ym_state_initial(p, &now, NULL), YM_OK);
    for (uint32_t round = 1; round <= 2; round++) {
        assert_int_equal(
            ym_state_next(p, ym_buf_bytes(&now), &(struct ym_round_sum){round, sum, second, 1}, &after, NULL), YM_OK);
        assert_int_equal(ym_state_control(p, ym_buf_bytes(&after), got, NULL), YM_OK);
        for (size_t i = 0; i < DIM; i++)
            c[i] = c[i] + 2.0 / 3.0 * (-((double)sum[i] / divisor) / pace - c[i]);
        assert_memory_equal(got, c, sizeof c);
        ym_buf_release(&now);
        now = after;
        after = (struct ym_buf){0};
    }
    ym_buf_release(&now);
    plan_drop(p);
}

static void own_variate_is_the_last_releases_mean_gradient(void **state)
{
    const int64_t last[] = {INT64_C(1) << 36, 0, -(INT64_C(1) << 35), 99};
    const double c[] = {1, 2, 3};
    struct ym_plan *p = plan_of(3, 5, true);
    struct ym_model m;
    double out[DIM];

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    ym_control_correction(p, &m, c, last, out); /* c_i = -1 / 0.5, 0, 0.5 / 0.5 */
    assert_true(fabs(out[0] - 3) < 1e-12 && out[1] == 2 && fabs(out[2] - 2) < 1e-12);
    ym_control_correction(p, &m, c, NULL, out);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    plan_drop(p);
}

static void correction_stands_behind_the_clip(void **state)
{
    struct ym_plan *p = plan_of(3, 5, true);
    const float start[DIM] = {0};
    const double far[DIM] = {1000, -1000, 0};
    const int64_t sum[DIM] = {0, YM_CLIP_UNITS, 0};
    double theta[DIM] = {0}, step = RATE / (0.5 * PATIENTS);
    struct ym_model m;
    struct ym_optimizer *o;

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    o = ym_optimizer_new(p, &m, start, 1);
    ym_optimizer_correct(o, far);
    for (int i = 0; i < 2; i++)
        ym_local_apply(p, &m, o, sum, theta, NULL);
    assert_true(fabs(theta[0] + 2000 * RATE) < 1e-9 && fabs(theta[1] - 2000 * RATE + 2 * step) < 1e-9);
    assert_true(ym_optimizer_own(o)[0] == 0 && fabs(ym_optimizer_own(o)[1] + 2 * step) < 1e-15);
    assert_true(theta[2] == 0 && ym_optimizer_own(o)[2] == 0);
    ym_optimizer_free(o);
    plan_drop(p);
}

#define IDLE 4000

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

/* Inputs that no patient has: of their coordinates a release holds the noise of each of the round's steps, and a
 * correction of a thousand clips is not in it. Two-sided chi-square of IDLE values, false alarm 1e-6. */
static void release_is_the_noised_steps_alone(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LINEAR, IDLE, 1);
    struct ward w;
    float *x = calloc(IDLE * PATIENTS, sizeof *x), *start = calloc(IDLE + 1, sizeof *start);
    double *correction = malloc((IDLE + 1) * sizeof *correction), square = 0, deviation;
    int64_t *update = calloc(IDLE + 1, sizeof *update);
    struct ym_model m;

    (void)state;
    fill(&w, 0);
    w.table.columns = IDLE;
    w.table.x = x;
    p->steps_per_round = 4;
    p->scaffold = true;
    for (size_t i = 0; i <= IDLE; i++)
        correction[i] = i % 2 ? 1000 : -1000;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(ym_local_round(p, &m, &w.table, start, NULL, correction, 1, open_kernel, NULL, update, NULL),
                     YM_OK);
    deviation = p->learning_rate / (0.5 * p->nominal_patients) * sqrt(4) * ldexp(1, (int)p->update_scale_bits);
    for (size_t i = 0; i < IDLE; i++)
        square += pow((double)update[i] / deviation, 2);
    if (!(stats_chi2_two_sided(square, IDLE) >= FALSE_ALARM))
        fail_msg("variance over the noise of four steps: %.4g", square / IDLE);
    free(x);
    free(start);
    free(correction);
    free(update);
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_reach_the_optimum_that_fedavg_misses),
        cmocka_unit_test(all_taking_part_it_is_the_papers_algorithm),
        cmocka_unit_test(private_runs_repeat_to_the_bit),
        cmocka_unit_test(control_moves_as_far_as_survivors_are_all),
        cmocka_unit_test(own_variate_is_the_last_releases_mean_gradient),
        cmocka_unit_test(correction_stands_behind_the_clip),
        cmocka_unit_test(release_is_the_noised_steps_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

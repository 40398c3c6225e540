/* Questions asked backwards: every row of inverse_queries.csv is asked for its noise and for its steps. The reference
 * prints ten digits; our noise is a whole number of lattice units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "privacy/inverse.h"
#include "tests/support/vectors.h"

struct row {
    const char *id;
    double sigma, epsilon, delta;
    struct ym_event event;
};

static struct row read_row(const struct vectors *t)
{
    bool asks_delta = strcmp(vectors_text(t, "query"), "delta_at_eps") == 0;
    double answer = vectors_number(t, "answer");
    struct row r = {.id = vectors_text(t, "id"), .epsilon = vectors_number(t, "eps")};

    r.sigma = asks_delta ? vectors_number(t, "sigma") : answer;
    r.delta = asks_delta ? answer : vectors_number(t, "delta");
    r.event = vectors_event(r.sigma, vectors_number(t, "q"), vectors_number(t, "T"));
    return r;
}

static void check_noise(const struct row *r)
{
    const struct ym_event *e = &r->event;
    struct ym_event found = *e;
    double got, before;

    found.sigma_units = 0;
    assert_int_equal(ym_accountant_noise(YM_ACCOUNTANT_CONTOUR, r->epsilon, r->delta, &found, 1, NULL), YM_OK);
    if (!(fabs((double)found.sigma_units / YM_CLIP_UNITS - r->sigma) <= 2e-8 * r->sigma + 2.0 / YM_CLIP_UNITS))
        fail_msg("%s: noise %.12g, reference %.12g", r->id, (double)found.sigma_units / YM_CLIP_UNITS, r->sigma);
    assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_CONTOUR, &found, 1, r->delta, &got, NULL), YM_OK);
    found.sigma_units--;
    assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_CONTOUR, &found, 1, r->delta, &before, NULL), YM_OK);
    assert_true(got <= r->epsilon && before > r->epsilon);
}

static void noise_for_an_epsilon(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "inverse_queries.csv"); vectors_next(&t); rows++) {
        struct row r = read_row(&t);

        check_noise(&r);
    }
    assert_int_equal(rows, 16);
}

/* A millionth more than the row's epsilon, a step costs far more: its own steps and not one more. */
static void steps_for_a_budget(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "inverse_queries.csv"); vectors_next(&t); rows++) {
        struct row r = read_row(&t);
        struct ym_event got = {r.event.sigma_units, r.event.sampling_k, 0};

        assert_int_equal(ym_accountant_steps(YM_ACCOUNTANT_CONTOUR, r.epsilon * (1 + 1e-6), r.delta, &got, 1, NULL),
                         YM_OK);
        if (got.steps != r.event.steps)
            fail_msg("%s: %llu steps, not %llu", r.id, (unsigned long long)got.steps,
                     (unsigned long long)r.event.steps);
    }
    assert_int_equal(rows, 16);
}

/* The certified figure is above the truth, by at most 1e-3: so much more noise, so many fewer steps, never less noise
 * or more steps. Small counts of steps cannot be had in thousandths. */
static void certified_answers_are_on_the_safe_side(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "inverse_queries.csv"); vectors_next(&t); rows++) {
        struct row r = read_row(&t);
        struct ym_event noise = r.event, steps = r.event;
        double sigma, got, least = (double)r.event.steps * (1 - 3e-3) - 1;

        assert_int_equal(ym_accountant_noise(YM_ACCOUNTANT_PLD, r.epsilon, r.delta, &noise, 1, NULL), YM_OK);
        sigma = (double)noise.sigma_units / YM_CLIP_UNITS;
        assert_true(sigma >= r.sigma * (1 - 2e-8) && sigma <= r.sigma * (1 + 1e-3));
        assert_int_equal(ym_pld_epsilon(&noise, 1, r.delta, &got, NULL), YM_OK);
        assert_true(got <= r.epsilon);
        assert_int_equal(ym_accountant_steps(YM_ACCOUNTANT_PLD, r.epsilon * (1 + 1e-6), r.delta, &steps, 1, NULL),
                         YM_OK);
        assert_true(steps.steps <= r.event.steps && (double)steps.steps >= least);
        assert_int_equal(ym_pld_epsilon(&steps, 1, r.delta, &got, NULL), YM_OK);
        assert_true(got <= r.epsilon * (1 + 1e-6));
    }
    assert_int_equal(rows, 16);
}

/* Whoever asks the looser accountant gets more noise and fewer steps, and the answer holds by its own figure. */
static void the_looser_accountant_gives_less(void **state)
{
    enum ym_accountant a[] = {YM_ACCOUNTANT_CONTOUR, YM_ACCOUNTANT_RDP};
    struct ym_event noise[2], steps[2];
    double got;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        noise[i] = steps[i] = vectors_event(1.3, 0.02, 800);
        assert_int_equal(ym_accountant_noise(a[i], 2, 1e-5, &noise[i], 1, NULL), YM_OK);
        assert_int_equal(ym_accountant_steps(a[i], 2, 1e-5, &steps[i], 1, NULL), YM_OK);
    }
    assert_true(noise[0].sigma_units < noise[1].sigma_units && steps[0].steps > steps[1].steps && steps[1].steps > 0);
    assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_RDP, &steps[1], 1, 1e-5, &got, NULL), YM_OK);
    assert_true(got <= 2);
    steps[1].steps++;
    assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_RDP, &steps[1], 1, 1e-5, &got, NULL), YM_OK);
    assert_true(got > 2);
}

static void other_charges_are_paid_first(void **state)
{
    enum ym_accountant a[] = {YM_ACCOUNTANT_CONTOUR, YM_ACCOUNTANT_RDP, YM_ACCOUNTANT_PLD};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct ym_event e[2] = {vectors_event(1.3, 0.02, 400), vectors_event(9, 0.5, 7)}, alone = e[0];
        uint64_t other = e[1].sigma_units;

        assert_int_equal(ym_accountant_noise(a[i], 2, 1e-5, e, 2, NULL), YM_OK);
        assert_int_equal(ym_accountant_noise(a[i], 2, 1e-5, &alone, 1, NULL), YM_OK);
        assert_true(e[0].sigma_units > alone.sigma_units && e[1].sigma_units == other);
        assert_int_equal(ym_accountant_steps(a[i], 2, 1e-5, e, 2, NULL), YM_OK);
        assert_int_equal(e[0].steps, 400);
        e[1] = vectors_event(0.2, 1, 1); /* more than all there is */
        assert_int_equal(ym_accountant_steps(a[i], 2, 1e-5, e, 2, NULL), YM_OK);
        assert_int_equal(e[0].steps, 0);
    }
}

static void no_step_and_no_end(void **state)
{
    struct ym_event dear = {1 << 24, UINT64_MAX, 5}, cheap = {(uint64_t)1 << 40, (uint64_t)1 << 40, 5};

    (void)state;
    assert_int_equal(ym_accountant_steps(YM_ACCOUNTANT_RDP, 0.1, 1e-9, &dear, 1, NULL), YM_OK);
    assert_int_equal(dear.steps, 0);
    assert_int_equal(ym_accountant_steps(YM_ACCOUNTANT_RDP, 9, 1e-5, &cheap, 1, NULL), YM_OK);
    assert_int_equal(cheap.steps, YM_STEPS_MAX);
}

static void misuse_is_refused(void **state)
{
    enum ym_accountant a = YM_ACCOUNTANT_RDP;
    struct ym_event e = {5, 5, 1}, no_sampling = {5, 0, 1}, no_steps = {5, 5, 0}, no_noise = {0, 5, 1};
    struct ym_event never = {77, UINT64_MAX, 1000000};
    double epsilon = 77;

    (void)state;
    assert_int_equal(ym_accountant_noise(a, 0, 1e-5, &e, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, NAN, 1e-5, &e, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1, 0, &e, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1, 1, &e, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1, 1e-5, &e, 0, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1, 1e-5, &no_sampling, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1, 1e-5, &no_steps, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_noise(a, 1e-9, 1e-12, &never, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_steps(a, 1, 1e-5, &no_noise, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_steps(a, 1, 1e-5, &no_sampling, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_steps(a, -1, 1e-5, &e, 1, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_steps(a, 1, 1e-5, NULL, 0, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_epsilon(a, &e, 1, 0, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_accountant_epsilon(a, &no_noise, 1, 1e-5, &epsilon, NULL), YM_INVALID);
    assert_true(e.sigma_units == 5 && e.steps == 1 && never.sigma_units == 77 && epsilon == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_for_an_epsilon),
        cmocka_unit_test(steps_for_a_budget),
        cmocka_unit_test(certified_answers_are_on_the_safe_side),
        cmocka_unit_test(the_looser_accountant_gives_less),
        cmocka_unit_test(other_charges_are_paid_first),
        cmocka_unit_test(no_step_and_no_end),
        cmocka_unit_test(misuse_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

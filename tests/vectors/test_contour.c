/* The contour integral against references that are independent of it (tests/vectors/privacy, README there): epsilon
 * within max(1e-6 epsilon, 3 exact_tol, 1e-9); 1e-8 where the row's sigma is a whole number of our lattice's units.
 * One limit a row, both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/vectors.h"

static void within(const char *id, const char *what, double got, double exact, double limit)
{
    if (!(fabs(got - exact) <= limit))
        fail_msg("%s, %s: %.15g, exact %.15g, apart by %.3g, limit %.3g", id, what, got, exact, fabs(got - exact),
                 limit);
}

static double limit_of(double exact, double relative, double exact_tol)
{
    return fmax(fmax(relative * exact, 3 * exact_tol), 1e-9);
}

static void every_row_both_ways(void **state)
{
    struct vectors t;
    int rows = 0, sharp = 0, exactly_zero = 0;

    (void)state;
    for (vectors_open(&t, "subsampled_gaussian.csv"); vectors_next(&t); rows++) {
        struct ym_event e =
            vectors_event(vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"));
        double tol = vectors_number(&t, "exact_tol"), remove = vectors_number(&t, "eps_exact_remove"),
               add = vectors_number(&t, "eps_exact_add");
        double relative = vectors_on_lattice(vectors_number(&t, "sigma")) ? 1e-8 : 1e-6, got[2] = {-1, -1}, most = -1;

        assert_int_equal(ym_contour_epsilons(&e, 1, vectors_number(&t, "delta"), got, NULL), YM_OK);
        within(vectors_text(&t, "id"), "remove", got[0], remove, limit_of(remove, relative, tol));
        within(vectors_text(&t, "id"), "add", got[1], add, limit_of(add, relative, tol));
        if (vectors_number(&t, "eps_exact") == 0) {
            assert_int_equal(ym_contour_epsilon(&e, 1, vectors_number(&t, "delta"), &most, NULL), YM_OK);
            assert_true(most == 0);
            exactly_zero++;
        }
        sharp += relative < 1e-7;
    }
    assert_int_equal(rows, 109);
    assert_int_equal(sharp, 81);
    assert_int_equal(exactly_zero, 1);
}

static void tiny_deltas_keep_their_digits(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "small_delta_stress.csv"); vectors_next(&t); rows++) {
        struct ym_event e =
            vectors_event(vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"));
        double exact = vectors_number(&t, "eps_exact"), got = -1;

        assert_int_equal(ym_contour_epsilon(&e, 1, vectors_number(&t, "delta"), &got, NULL), YM_OK);
        within(vectors_text(&t, "id"), "epsilon", got, exact,
               limit_of(exact, vectors_on_lattice(vectors_number(&t, "sigma")) ? 1e-8 : 1e-6, 1e-9));
    }
    assert_int_equal(rows, 18);
}

static void different_rounds_compose_in_any_order(void **state)
{
    json_t *all = json_load_file(VECTORS_FOLDER "heterogeneous.json", 0, NULL), *one, *round;
    size_t i, j;

    (void)state;
    assert_int_equal(json_array_size(all), 15);
    json_array_foreach(all, i, one)
    {
        json_t *rounds = json_object_get(one, "rounds");
        size_t count = json_array_size(rounds);
        struct ym_event *e = calloc(2 * count, sizeof *e);
        double delta = json_number_value(json_object_get(one, "delta")), got[2], again[2], half[2];
        double remove = json_number_value(json_object_get(one, "eps_exact_remove"));
        double add = json_number_value(json_object_get(one, "eps_exact_add"));
        const char *id = json_string_value(json_object_get(one, "id"));

        assert_non_null(e);
        json_array_foreach(rounds, j, round) e[count - 1 - j] =
            vectors_event(json_number_value(json_array_get(round, 0)), json_number_value(json_array_get(round, 1)),
                          json_number_value(json_array_get(round, 2)));
        assert_int_equal(ym_contour_epsilons(e, count, delta, got, NULL), YM_OK);
        within(id, "remove", got[0], remove, 1e-5 * remove);
        within(id, "add", got[1], add, 1e-5 * add);
        for (j = 0; j < count; j++) { /* the same charges, cut in two and turned round */
            e[2 * count - 1 - j] = e[j];
            e[2 * count - 1 - j].steps -= e[j].steps / 2;
            e[j].steps /= 2;
        }
        assert_int_equal(ym_contour_epsilons(e, 2 * count, delta, again, NULL), YM_OK);
        assert_true(again[0] == got[0] && again[1] == got[1]);
        assert_int_equal(ym_contour_epsilons(e, count, delta, half, NULL), YM_OK);
        assert_true(half[0] < got[0] && half[1] < got[1]);
        free(e);
    }
    json_decref(all);
}

static void questions_asked_backwards(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "inverse_queries.csv"); vectors_next(&t); rows++) {
        bool asks_delta = strcmp(vectors_text(&t, "query"), "delta_at_eps") == 0;
        double answer = vectors_number(&t, "answer"), epsilon = vectors_number(&t, "eps"), got = -1;
        struct ym_event e = vectors_event(asks_delta ? vectors_number(&t, "sigma") : answer, vectors_number(&t, "q"),
                                          vectors_number(&t, "T"));

        if (asks_delta) {
            assert_int_equal(ym_contour_delta(&e, 1, epsilon, &got, NULL), YM_OK);
            within(vectors_text(&t, "id"), "delta", got, answer, 2e-9 * answer); /* ten digits are printed */
        } else {
            assert_int_equal(ym_contour_epsilon(&e, 1, vectors_number(&t, "delta"), &got, NULL), YM_OK);
            within(vectors_text(&t, "id"), "epsilon", got, epsilon, 1e-6 * epsilon);
        }
    }
    assert_int_equal(rows, 16);
}

/* RDP is an upper bound by theorem; the estimate may not lie above it, nor fall when steps are added. */
static void stays_below_renyi_and_grows_with_steps(void **state)
{
    static const double sigma[] = {0.6, 1, 3, 20}, q[] = {1e-3, 0.05, 0.5, 1};

    (void)state;
    for (size_t s = 0; s < 4; s++) {
        for (size_t i = 0; i < 4; i++) {
            double before = 0;

            for (uint64_t steps = 100; steps <= 1600; steps *= 4) {
                struct ym_event e = vectors_event(sigma[s], q[i], (double)steps);
                struct ym_rdp r;
                double got = -1;

                ym_rdp_clear(&r);
                assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
                assert_int_equal(ym_contour_epsilon(&e, 1, 1e-6, &got, NULL), YM_OK);
                assert_true(got >= before && got <= ym_rdp_epsilon(&r, 1e-6, NULL));
                before = got;
            }
        }
    }
}

static void misuse_and_nothing(void **state)
{
    struct ym_event no_noise = {0, 5, 1}, no_sampling = {5, 0, 1}, no_steps = {5, 5, 0},
                    fine = {1 << 24, 1ull << 60, 9};
    struct ym_event hardly_any = {1, 1, UINT64_MAX};
    double epsilon = 77, delta = 77;

    (void)state;
    assert_int_equal(ym_contour_epsilon(&no_noise, 1, 1e-5, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_contour_epsilon(&no_sampling, 1, 1e-5, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_contour_epsilon(&fine, 1, 0, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_contour_epsilon(&fine, 1, 1, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_contour_epsilon(&fine, 1, NAN, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_contour_delta(&fine, 1, -1, &delta, NULL), YM_INVALID);
    assert_int_equal(ym_contour_delta(&fine, 1, NAN, &delta, NULL), YM_INVALID);
    assert_int_equal(ym_contour_epsilon(&hardly_any, 1, 1e-5, &epsilon, NULL), YM_EXHAUSTED);
    assert_true(epsilon == 77 && delta == 77);
    assert_int_equal(ym_contour_epsilon(&no_steps, 1, 1e-5, &epsilon, NULL), YM_OK);
    assert_int_equal(ym_contour_delta(NULL, 0, 1, &delta, NULL), YM_OK);
    assert_true(epsilon == 0 && delta == 0);
}

/* Charges that no plan holds, but a stranger's ledger may. */
static void answers_or_refuses_whatever_is_asked(void **state)
{
    static const struct ym_event odd[] = {
        {1 << 24, 1, 2},
        {1 << 24, 1, 1000000},
        {1 << 24, 1 << 20, 2},
        {(1 << 24) / 20, 1, 2},
        {UINT64_C(1) << 40, 1, 1000000000},
        {1 << 24, UINT64_MAX, 1000000000},
        {UINT64_C(1) << 40, UINT64_MAX, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        double epsilon = -1;
        enum ym_code code = ym_contour_epsilon(&odd[i], 1, 1e-5, &epsilon, NULL);

        assert_true(code == YM_OK ? epsilon >= 0 : code == YM_EXHAUSTED || code == YM_INTERNAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_both_ways),
        cmocka_unit_test(tiny_deltas_keep_their_digits),
        cmocka_unit_test(different_rounds_compose_in_any_order),
        cmocka_unit_test(questions_asked_backwards),
        cmocka_unit_test(stays_below_renyi_and_grows_with_steps),
        cmocka_unit_test(misuse_and_nothing),
        cmocka_unit_test(answers_or_refuses_whatever_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

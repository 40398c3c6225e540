/* The Renyi accountant against figures that other people's software computed
 * (tests/vectors/privacy, README there). The rule: the same as Google's RDP with
 * the same orders to 1e-6 relative, or smaller; never below the exact epsilon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/inverse.h"
#include "privacy/rdp_moment.h"
#include "tests/support/vectors.h"

/* Our noise is a whole number of lattice units and q a fraction of 2^64; both are
 * rounded so that epsilon can only grow, by less than 1e-6 relative (asserted by
 * the comparison itself). */
static uint64_t sigma_units(double sigma)
{
    return (uint64_t)floor(sigma * YM_CLIP_UNITS);
}

static uint64_t sampling_k(double q)
{
    return q >= 1 ? UINT64_MAX : (uint64_t)ceil(ldexp(q, 64));
}

static void add(struct ym_rdp *r, double sigma, double q, double steps)
{
    struct ym_event e = {sigma_units(sigma), sampling_k(q), (uint64_t)steps};

    assert_int_equal(ym_rdp_add(r, &e, NULL), YM_OK);
}

static void check(const char *id, double epsilon, double exact, double exact_tol, double google)
{
    if (!(epsilon >= exact - exact_tol))
        fail_msg("%s: %.12g is below the exact %.12g", id, epsilon, exact);
    if (!isnan(google) && !(epsilon <= google * (1 + 1e-6) + 1e-10))
        fail_msg("%s: %.12g is above Google's RDP %.12g", id, epsilon, google);
}

static void subsampled_gaussian_matches_or_beats_google(void **state)
{
    struct vectors t;
    int rows = 0, matched = 0;

    (void)state;
    vectors_open(&t, "subsampled_gaussian.csv");
    while (vectors_next(&t)) {
        double google = vectors_number(&t, "eps_rdp_google"), epsilon;
        struct ym_rdp r;

        ym_rdp_clear(&r);
        add(&r, vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"));
        epsilon = ym_rdp_epsilon(&r, vectors_number(&t, "delta"), NULL);
        check(vectors_text(&t, "id"), epsilon, vectors_number(&t, "eps_exact"), vectors_number(&t, "exact_tol"),
              google);
        matched += fabs(epsilon - google) <= 1e-6 * google;
        rows++;
    }
    assert_int_equal(rows, 109);
    assert_true(matched >= 80); /* the others are smaller: Google drops orders that do not converge */
}

static void tiny_deltas_are_never_understated(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    vectors_open(&t, "small_delta_stress.csv");
    for (; vectors_next(&t); rows++) {
        struct ym_rdp r;

        ym_rdp_clear(&r);
        add(&r, vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"));
        check(vectors_text(&t, "id"), ym_rdp_epsilon(&r, vectors_number(&t, "delta"), NULL),
              vectors_number(&t, "eps_exact"), 1e-8, NAN);
    }
    assert_int_equal(rows, 18);
}

static void different_rounds_compose(void **state)
{
    json_t *all = json_load_file(VECTORS_FOLDER "heterogeneous.json", 0, NULL), *one, *round;
    size_t i, j;

    (void)state;
    assert_int_equal(json_array_size(all), 15);
    json_array_foreach(all, i, one)
    {
        struct ym_rdp r;

        ym_rdp_clear(&r);
        json_array_foreach(json_object_get(one, "rounds"), j, round)
            add(&r, json_number_value(json_array_get(round, 0)), json_number_value(json_array_get(round, 1)),
                json_number_value(json_array_get(round, 2)));
        check(json_string_value(json_object_get(one, "id")),
              ym_rdp_epsilon(&r, json_number_value(json_object_get(one, "delta")), NULL),
              json_number_value(json_object_get(one, "eps_exact")), 1e-6,
              json_number_value(json_object_get(one, "eps_rdp_google")));
    }
    json_decref(all);
}

/* Without sampling the curve is alpha rho: the conversion alone is on trial. */
static void conversion_agrees_with_the_published_one(void **state)
{
    const double *order;
    size_t count = ym_rdp_orders(&order);
    struct vectors t;

    (void)state;
    vectors_open(&t, "zcdp_conversion.csv");
    while (vectors_next(&t)) {
        double rho = vectors_number(&t, "rho"), best = vectors_number(&t, "eps_cks_optimal_order"), epsilon;
        double alpha = vectors_number(&t, "alpha_opt");
        struct ym_rdp r;

        ym_rdp_clear(&r);
        for (size_t i = 0; i < count; i++)
            r.at[i] = rho * order[i];
        epsilon = ym_rdp_epsilon(&r, vectors_number(&t, "delta"), NULL);
        assert_true(epsilon >= best * (1 - 1e-9) || epsilon == 0);
        if (alpha > 2 && alpha < 60) /* where the grid is fine */
            assert_true(epsilon <= best * 1.01 + 1e-4);
    }
}

static void calibrated_noise_is_enough_and_no_more(void **state)
{
    struct vectors t;

    (void)state;
    vectors_open(&t, "inverse_queries.csv");
    while (vectors_next(&t)) {
        double epsilon = vectors_number(&t, "eps"), delta = vectors_number(&t, "delta"), q = vectors_number(&t, "q"),
               steps = vectors_number(&t, "T");
        struct ym_event e = {.sampling_k = sampling_k(q), .steps = (uint64_t)steps};
        struct ym_rdp r;

        if (strcmp(vectors_text(&t, "query"), "sigma_for_eps_delta") != 0)
            continue;
        assert_int_equal(ym_accountant_noise(YM_ACCOUNTANT_RDP, epsilon, delta, &e, 1, NULL), YM_OK);
        assert_true((double)e.sigma_units / YM_CLIP_UNITS >= vectors_number(&t, "answer"));
        assert_true((double)e.sigma_units / YM_CLIP_UNITS <= vectors_number(&t, "answer") * 1.25);
        ym_rdp_clear(&r);
        assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
        assert_true(ym_rdp_epsilon(&r, delta, NULL) <= epsilon);
        e.sigma_units--;
        ym_rdp_clear(&r);
        assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
        assert_true(ym_rdp_epsilon(&r, delta, NULL) > epsilon);
    }
}

/* Two roads to one figure; each order between neighbours, as Renyi divergence grows. */
static void quadrature_meets_the_binomial_sum(void **state)
{
    static const double sigma[] = {0.11, 0.3, 0.5, 1, 2.18, 10, 300}, q[] = {1e-7, 1e-3, 0.02, 0.3, 0.9, 0.999999};

    (void)state;
    for (size_t s = 0; s < sizeof sigma / sizeof *sigma; s++) {
        for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
            struct ym_moments *m = ym_moments_new(sigma[s], q[i]);
            double before = 0;

            assert_non_null(m);
            for (double order = 2; order <= 16; order++) {
                double a = ym_moments_rdp(m, order), b = ym_moments_rdp_by_quadrature(m, order);

                if (!(fabs(a - b) <= 2e-12 * a))
                    fail_msg("sigma %g q %g order %g: %.17g and %.17g", sigma[s], q[i], order, a, b);
                assert_true(a >= ym_moments_rdp(m, order - 0.1) && ym_moments_rdp(m, order - 0.1) >= before);
                before = a;
            }
            ym_moments_free(m);
        }
    }
}

static void certain_inclusion_is_the_plain_gaussian(void **state)
{
    struct ym_event e = {.sigma_units = 3 << 24, .sampling_k = UINT64_MAX, .steps = 7};
    const double *order;
    size_t count = ym_rdp_orders(&order);
    struct ym_rdp r;

    (void)state;
    ym_rdp_clear(&r);
    assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
    for (size_t i = 0; i < count; i++)
        assert_true(fabs(r.at[i] - 7 * order[i] / 18) <= 2e-9 * r.at[i] && r.at[i] >= 7 * order[i] / 18);
}

static void grid_is_the_one_of_the_vectors(void **state)
{
    const double *order;
    size_t count = ym_rdp_orders(&order);

    (void)state;
    assert_int_equal(count, 156);
    assert_true(count <= YM_RDP_ORDERS);
    assert_true(order[0] == 1.1 && order[9] == 2 && order[98] == 10.9 && order[99] == 11 && order[151] == 63);
    assert_true(order[152] == 128 && order[155] == 1024);
    for (size_t i = 1; i < count; i++)
        assert_true(order[i] > order[i - 1]);
}

/* What a filter holds against its cap: never below the best order, equal to it there, monotone, 0 for nothing. */
static void one_order_is_never_below_the_best_and_meets_it(void **state)
{
    const double *order;
    size_t count = ym_rdp_orders(&order);
    struct ym_rdp r, nothing;
    double best_order, best;

    (void)state;
    ym_rdp_clear(&nothing);
    ym_rdp_clear(&r);
    add(&r, 1.3, 0.02, 4000);
    best = ym_rdp_epsilon(&r, 1e-6, &best_order);
    assert_true(best > 0 && ym_rdp_epsilon_at(&r, 1e-6, best_order) == best);
    for (size_t i = 0; i < count; i++) {
        double e = ym_rdp_epsilon_at(&r, 1e-6, order[i]);
        double published = r.at[i] + log1p(-1 / order[i]) - log(1e-6 * order[i]) / (order[i] - 1);

        assert_true(e >= best && e >= published && e <= published * (1 + 1e-9) + 1e-9);
        assert_true(ym_rdp_epsilon_at(&nothing, 1e-18, order[i]) == 0);
    }
    assert_true(isinf(ym_rdp_epsilon_at(&r, 1e-6, 11.5)) && isinf(ym_rdp_epsilon_at(&r, 1e-6, 1)));
    assert_true(isinf(ym_rdp_epsilon_at(&r, 1e-6, 0)) && isinf(ym_rdp_epsilon_at(&r, 1e-6, NAN)));
    assert_true(isinf(ym_rdp_epsilon_at(&r, 0, 2)) && isinf(ym_rdp_epsilon_at(&r, 1, 2)));
    for (size_t i = 0; i < count; i++)
        nothing.at[i] = 0.01; /* not nothing any more, at a delta where the conversion falls below zero */
    assert_true(ym_rdp_epsilon_at(&nothing, 0.5, 4) == 0);
}

/* By definition: of all orders, the one at which the plain Gaussian (rdp = a * order) fits most often. */
static void filter_order_lets_a_gaussian_go_on_longest(void **state)
{
    static const double cap[] = {0.5, 1, 3, 10, 60}, delta[] = {1e-4, 1e-5, 1e-9};
    const double *order;
    size_t count = ym_rdp_orders(&order);

    (void)state;
    for (size_t c = 0; c < 5; c++) {
        for (size_t d = 0; d < 3; d++) {
            double chosen = ym_rdp_filter_order(cap[c], delta[d]), longest = 0, at_chosen = 0;

            for (size_t i = 0; i < count; i++) {
                double low = 0, high = 1e3;

                for (int step = 0; step < 60; step++) { /* the largest a within the cap at this order */
                    struct ym_rdp r = {{0}};
                    double middle = (low + high) / 2;

                    r.at[i] = middle * order[i];
                    if (ym_rdp_epsilon_at(&r, delta[d], order[i]) <= cap[c])
                        low = middle;
                    else
                        high = middle;
                }
                longest = low > longest ? low : longest;
                at_chosen = order[i] == chosen ? low : at_chosen;
            }
            assert_true(longest > 0 && at_chosen >= longest * (1 - 1e-9));
        }
    }
    assert_true(ym_rdp_filter_order(3, 1e-5) == 7.5);
    assert_true(ym_rdp_filter_order(3, 0) == 0 && ym_rdp_filter_order(3, 1) == 0);
    assert_true(ym_rdp_filter_order(0, 1e-5) > 1); /* no order leaves room; still one of the grid */
}

static void misuse_is_refused_and_changes_nothing(void **state)
{
    struct ym_event no_noise = {0, 5, 1}, no_sampling = {5, 0, 1}, nothing = {5, 5, 0};
    struct ym_rdp r;

    (void)state;
    ym_rdp_clear(&r);
    assert_int_equal(ym_rdp_add(&r, &no_noise, NULL), YM_INVALID);
    assert_int_equal(ym_rdp_add(&r, &no_sampling, NULL), YM_INVALID);
    assert_int_equal(ym_rdp_add(&r, &nothing, NULL), YM_OK);
    for (size_t i = 0; i < YM_RDP_ORDERS; i++)
        assert_true(r.at[i] == 0);
    assert_true(isinf(ym_rdp_epsilon(&r, 0, NULL)) && isinf(ym_rdp_epsilon(&r, 1, NULL)));
    assert_true(ym_rdp_epsilon(&r, 1e-9, NULL) == 0);
}

/* One lattice unit of noise is as good as none: absurd, but finite or infinite, never small. */
static void hardly_any_noise_is_hardly_any_privacy(void **state)
{
    struct ym_event e = {.sigma_units = 1, .sampling_k = 1, .steps = UINT64_MAX};
    struct ym_rdp r;

    (void)state;
    ym_rdp_clear(&r);
    assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
    assert_true(ym_rdp_epsilon(&r, 1e-5, NULL) > 1e12);
    assert_true(ym_epsilon_micro(ym_rdp_epsilon(&r, 1e-5, NULL)) == INT64_MAX);
}

static void millionths_round_up(void **state)
{
    (void)state;
    assert_int_equal(ym_epsilon_micro(0), 0);
    assert_int_equal(ym_epsilon_micro(-1), 0);
    assert_int_equal(ym_epsilon_micro(1e-12), 1);
    assert_int_equal(ym_epsilon_micro(1.0000001), 1000001);
    assert_int_equal(ym_epsilon_micro(NAN), INT64_MAX);
    assert_int_equal(ym_epsilon_micro(INFINITY), INT64_MAX);
    assert_int_equal(ym_epsilon_micro(1e13), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subsampled_gaussian_matches_or_beats_google),
        cmocka_unit_test(tiny_deltas_are_never_understated),
        cmocka_unit_test(different_rounds_compose),
        cmocka_unit_test(conversion_agrees_with_the_published_one),
        cmocka_unit_test(calibrated_noise_is_enough_and_no_more),
        cmocka_unit_test(quadrature_meets_the_binomial_sum),
        cmocka_unit_test(certain_inclusion_is_the_plain_gaussian),
        cmocka_unit_test(grid_is_the_one_of_the_vectors),
        cmocka_unit_test(one_order_is_never_below_the_best_and_meets_it),
        cmocka_unit_test(filter_order_lets_a_gaussian_go_on_longest),
        cmocka_unit_test(misuse_is_refused_and_changes_nothing),
        cmocka_unit_test(hardly_any_noise_is_hardly_any_privacy),
        cmocka_unit_test(millionths_round_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

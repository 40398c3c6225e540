/* The accountants with a formula against tests/vectors/privacy (README there). Each figure is a bound: it may lie above
 * the reference by rounding only, and never below it by more than the digits that the reference prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "privacy/inverse.h"
#include "privacy/mechanisms.h"
#include "tests/support/vectors.h"

#define TWELVE_DIGITS 6e-12 /* what most columns print */

/* At most `digits` below the reference (its last digit), at most `above` above it, both relative. */
static void bound(const char *id, const char *what, double got, double exact, double digits, double above)
{
    if (!(got >= exact * (1 - digits) && got <= exact * (1 + above)))
        fail_msg("%s, %s: %.17g, reference %.17g, %.3g of it", id, what, got, exact, got / exact - 1);
}

static void check_analytic(const struct vectors *t)
{
    const char *query = vectors_text(t, "query"), *id = vectors_text(t, "id");
    double a = vectors_number(t, "arg1"), b = vectors_number(t, "arg2"), exact = vectors_number(t, "exact");

    if (strcmp(query, "sigma_delta_to_eps") == 0)
        bound(id, "epsilon", ym_gaussian_epsilon(1 / a, b), exact, 0, 1e-11);
    else if (strcmp(query, "eps_delta_to_sigma") == 0)
        bound(id, "sigma", 1 / ym_gaussian_mu(a, b), exact, 0, 1e-11);
    else
        bound(id, "delta", ym_gaussian_delta(1 / a, b), exact, 0, 1e-11);
}

static void analytic_gaussian_to_sixty_digits(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "analytic_gaussian.csv"); vectors_next(&t); rows++)
        check_analytic(&t);
    assert_int_equal(rows, 63);
}

/* There and back at the edge of a double: what is asked for is met, and nearly missed. */
static void gaussian_holds_to_the_smallest_deltas(void **state)
{
    static const double delta[] = {0.3, 1e-5, 1e-14, 1e-100, 1e-300}, mu[] = {1e-6, 0.01, 0.499, 0.501, 3, 40, 1e4};

    (void)state;
    for (size_t d = 0; d < 5; d++) {
        for (size_t m = 0; m < 7; m++) {
            double epsilon = ym_gaussian_epsilon(mu[m], delta[d]), back;

            if (epsilon == 0) {
                assert_true(ym_gaussian_delta(mu[m], 0) <= delta[d] * (1 + 1e-11));
                continue;
            }
            back = ym_gaussian_delta(mu[m], epsilon);
            assert_true(fabs(back / delta[d] - 1) < 1e-11 + 4e-15 * epsilon * epsilon / (mu[m] * mu[m]));
            assert_true(fabs(ym_gaussian_mu(epsilon, delta[d]) / mu[m] - 1) < 1e-10);
        }
    }
    assert_true(ym_gaussian_epsilon(0, 1e-300) == 0 && ym_gaussian_delta(0, 0) == 0);
    assert_true(isinf(ym_gaussian_epsilon(1, 0)) && isinf(ym_gaussian_epsilon(1, 1)));
    assert_true(isinf(ym_gaussian_epsilon(-1, 0.1)) && isinf(ym_gaussian_epsilon(1, NAN)));
    assert_true(isinf(ym_gaussian_delta(1, -1)) && ym_gaussian_mu(-1, 1e-5) == 0 && ym_gaussian_mu(1, 0) == 0);
}

static void zcdp_converts_by_all_three_roads(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "zcdp_conversion.csv"); vectors_next(&t); rows++) {
        double rho = vectors_number(&t, "rho"), delta = vectors_number(&t, "delta");
        double exact = vectors_number(&t, "eps_exact_if_gaussian"), best = ym_zcdp_epsilon(rho, delta);
        const char *id = vectors_text(&t, "id");

        bound(id, "best order", best, vectors_number(&t, "eps_cks_optimal_order"), 1e-14, 1e-11);
        bound(id, "Bun, Steinke", ym_zcdp_epsilon_bun_steinke(rho, delta),
              vectors_number(&t, "eps_standard_bun_steinke"), 1e-14, 1e-14);
        bound(id, "exact", ym_gaussian_epsilon(sqrt(2 * rho), delta), exact, 1e-14, 1e-11);
        assert_true(best > exact && best < ym_zcdp_epsilon_bun_steinke(rho, delta));
    }
    assert_int_equal(rows, 32);
    assert_true(ym_zcdp_epsilon(0, 1e-9) == 0 && ym_zcdp_epsilon_bun_steinke(0, 1e-9) == 0);
    assert_true(isinf(ym_zcdp_epsilon(-1, 1e-9)) && isinf(ym_zcdp_epsilon(1, 0)) && isinf(ym_zcdp_epsilon(NAN, 0.1)));
    assert_true(isinf(ym_zcdp_epsilon_bun_steinke(1, 1)) && isinf(ym_zcdp_epsilon_bun_steinke(-1, 0.1)));
}

static void one_release_of_a_discrete_gaussian(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "discrete_gaussian_eps.csv"); vectors_next(&t); rows++) {
        double sigma = vectors_number(&t, "sigma"), shift = vectors_number(&t, "l_sens"), mu = shift / sigma;
        double delta = vectors_number(&t, "delta");
        const char *id = vectors_text(&t, "id");
        struct ym_integer_noise n;

        assert_int_equal(ym_integer_noise_gaussian(sigma, 1, &n, NULL), YM_OK);
        bound(id, "discrete", ym_integer_noise_epsilon(&n, (size_t)shift, delta),
              vectors_number(&t, "eps_exact_discrete"), 1e-13, 1e-9);
        bound(id, "continuous", ym_gaussian_epsilon(mu, delta), vectors_number(&t, "eps_exact_continuous"), 1e-14,
              1e-11);
        bound(id, "zCDP", ym_zcdp_epsilon(mu * mu / 2, delta), vectors_number(&t, "eps_via_zcdp"), 1e-13, 1e-11);
        ym_integer_noise_release(&n);
    }
    assert_int_equal(rows, 67);
}

/* The reference tries a grid of orders; ours are all whole ones, so ours may be smaller, never below the truth. */
static void at_most_the_published(const char *id, double got, double published, double exact)
{
    bound(id, "published bound", fmax(got, published), published, 0, 1e-6);
    assert_true(got >= exact * (1 - TWELVE_DIGITS));
}

static void distributed_discrete_gaussian_in_one_dimension(void **state)
{
    struct vectors t;
    int rows = 0, same = 0;

    (void)state;
    for (vectors_open(&t, "ddg_exact_1d.csv"); vectors_next(&t); rows++) {
        double sigma = vectors_number(&t, "local_sigma"), shift = vectors_number(&t, "sens"), published;
        double delta = vectors_number(&t, "delta"), exact = vectors_number(&t, "eps_exact_sum"), got;
        size_t parties = (size_t)vectors_number(&t, "n_clients");
        struct ym_lattice_release r = {.l1 = shift, .l2 = shift, .dim = 1, .q = 1, .steps = 1};
        const char *id = vectors_text(&t, "id");
        struct ym_integer_noise n;

        published = vectors_number(&t, "eps_rdp_bound_kls21");
        assert_int_equal(ym_integer_noise_gaussian(sigma, parties, &n, NULL), YM_OK);
        bound(id, "tau", ym_distributed_gaussian_tau(sigma, parties), vectors_number(&t, "tau"), TWELVE_DIGITS,
              TWELVE_DIGITS);
        bound(id, "exact", ym_integer_noise_epsilon(&n, (size_t)shift, delta), exact, TWELVE_DIGITS, 1e-9);
        bound(id, "continuous", ym_gaussian_epsilon(shift / sigma / sqrt((double)parties), delta),
              vectors_number(&t, "eps_continuous_same_variance"), TWELVE_DIGITS, 1e-11);
        got = ym_distributed_gaussian_epsilon(&r, sigma, parties, delta);
        at_most_the_published(id, got, published, exact);
        same += fabs(got / published - 1) < 1e-6;
        ym_integer_noise_release(&n);
    }
    assert_int_equal(rows, 54);
    assert_int_equal(same, 54);
}

static void skellam_in_one_dimension(void **state)
{
    struct vectors t;
    int rows = 0, same = 0;

    (void)state;
    for (vectors_open(&t, "skellam_exact_1d.csv"); vectors_next(&t); rows++) {
        double variance = vectors_number(&t, "variance"), shift = vectors_number(&t, "sens"), got;
        double delta = vectors_number(&t, "delta"), exact = vectors_number(&t, "eps_exact"), continuous;
        struct ym_lattice_release r = {.l1 = shift, .l2 = shift, .dim = 1, .q = 1, .steps = 1};
        double published = vectors_number(&t, "eps_rdp_bound_akl21");
        const char *id = vectors_text(&t, "id");
        struct ym_integer_noise n;

        assert_int_equal(ym_integer_noise_skellam(variance, &n, NULL), YM_OK);
        bound(id, "exact", ym_integer_noise_epsilon(&n, (size_t)shift, delta), exact, TWELVE_DIGITS, 1e-9);
        continuous = ym_gaussian_epsilon(shift / sqrt(variance), delta);
        bound(id, "continuous", continuous, vectors_number(&t, "eps_continuous_same_variance"), TWELVE_DIGITS, 1e-11);
        assert_true(exact < continuous);
        got = ym_skellam_epsilon(&r, variance, delta);
        at_most_the_published(id, got, published, exact);
        same += fabs(got / published - 1) < 1e-6;
        ym_integer_noise_release(&n);
    }
    assert_int_equal(rows, 37);
    assert_int_equal(same, 31); /* below that ours are smaller: it skips orders above 63 */
}

/* gamma is the lattice's width: norms and noise become lattice units. */
static struct ym_lattice_release release_of(const struct vectors *t, double gamma)
{
    struct ym_lattice_release r = {.dim = vectors_number(t, "dim"), .q = vectors_number(t, "q")};

    r.steps = (uint64_t)vectors_number(t, "T");
    ym_lattice_norms(vectors_number(t, "l2_clip") / gamma, vectors_number(t, "beta"), &r);
    bound(vectors_text(t, "id"), "l2", r.l2 * gamma, vectors_number(t, "l2_after_round"), TWELVE_DIGITS, TWELVE_DIGITS);
    bound(vectors_text(t, "id"), "l1", r.l1 * gamma, vectors_number(t, "l1_after_round"), TWELVE_DIGITS, TWELVE_DIGITS);
    return r;
}

static void published_bound_of_the_distributed_gaussian(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "ddg_bound.csv"); vectors_next(&t); rows++) {
        double gamma = vectors_number(&t, "gamma"), sigma = vectors_number(&t, "local_stddev") / gamma;
        size_t parties = (size_t)vectors_number(&t, "n_clients");
        struct ym_lattice_release r = release_of(&t, gamma);
        double got = ym_distributed_gaussian_epsilon(&r, sigma, parties, vectors_number(&t, "delta"));
        const char *id = vectors_text(&t, "id");

        bound(id, "tau", ym_distributed_gaussian_tau(sigma, parties), vectors_number(&t, "tau"), TWELVE_DIGITS,
              TWELVE_DIGITS);
        bound(id, "Google", got, vectors_number(&t, "eps_google"), TWELVE_DIGITS, 1e-9);
        bound(id, "re-derived", got, vectors_number(&t, "eps_ours"), TWELVE_DIGITS, 1e-9);
    }
    assert_int_equal(rows, 25);
}

static void published_bound_of_skellam(void **state)
{
    struct vectors t;
    int rows = 0;

    (void)state;
    for (vectors_open(&t, "skellam_bound.csv"); vectors_next(&t); rows++) {
        double scale = vectors_number(&t, "scale"), deviation = vectors_number(&t, "central_stddev") * scale;
        struct ym_lattice_release r = release_of(&t, 1 / scale);
        double got = ym_skellam_epsilon(&r, deviation * deviation, vectors_number(&t, "delta"));

        bound(vectors_text(&t, "id"), "Google", got, vectors_number(&t, "eps_google"), TWELVE_DIGITS, 1e-9);
        bound(vectors_text(&t, "id"), "re-derived", got, vectors_number(&t, "eps_ours"), TWELVE_DIGITS, 1e-9);
    }
    assert_int_equal(rows, 15);
}

static double mass(const struct ym_integer_noise *n)
{
    double sum = 0;

    for (size_t i = 0; i <= 2 * n->reach; i++)
        sum += n->p[i];
    return sum;
}

static double variance_of(const struct ym_integer_noise *n)
{
    double sum = 0;

    for (size_t i = 0; i <= 2 * n->reach; i++)
        sum += ((double)i - (double)n->reach) * ((double)i - (double)n->reach) * n->p[i];
    return sum;
}

static void integer_noise_is_a_law_with_its_variance(void **state)
{
    static const double variance[] = {0.01, 1, 333, 20000};
    struct ym_integer_noise n;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ym_integer_noise_skellam(variance[i], &n, NULL), YM_OK);
        assert_true(fabs(mass(&n) - 1) < 1e-13 && fabs(variance_of(&n) / variance[i] - 1) < 1e-12);
        assert_true(ym_integer_noise_delta(&n, 1, 0) < 1 && isinf(ym_integer_noise_delta(&n, 1, -1)));
        ym_integer_noise_release(&n);
    }
    for (size_t parties = 1; parties < 40; parties += 6) {
        assert_int_equal(ym_integer_noise_gaussian(3, parties, &n, NULL), YM_OK);
        assert_true(fabs(mass(&n) - 1) < 1e-13 && fabs(variance_of(&n) / (9 * (double)parties) - 1) < 1e-12);
        ym_integer_noise_release(&n);
    }
}

static void integer_noise_refuses(void **state)
{
    struct ym_integer_noise n = {0};
    struct ym_lattice_release r = {.l1 = 1, .l2 = 1, .dim = 1, .q = 1, .steps = 1};

    (void)state;
    assert_int_equal(ym_integer_noise_gaussian(0, 1, &n, NULL), YM_INVALID);
    assert_int_equal(ym_integer_noise_gaussian(NAN, 1, &n, NULL), YM_INVALID);
    assert_int_equal(ym_integer_noise_gaussian(1, 0, &n, NULL), YM_INVALID);
    assert_int_equal(ym_integer_noise_gaussian(1e4, 1, &n, NULL), YM_EXHAUSTED);
    assert_int_equal(ym_integer_noise_skellam(-1, &n, NULL), YM_INVALID);
    assert_int_equal(ym_integer_noise_skellam(1e8, &n, NULL), YM_EXHAUSTED);
    assert_null(n.p);
    assert_int_equal(ym_integer_noise_gaussian(1, 1, &n, NULL), YM_OK);
    assert_true(isinf(ym_integer_noise_epsilon(&n, 1, 0)) && isinf(ym_integer_noise_epsilon(&n, 1, 1)));
    assert_true(isinf(ym_integer_noise_epsilon(&n, 0, 1e-5)) && ym_integer_noise_epsilon(&n, 1, 0.9) == 0);
    assert_true(isinf(ym_integer_noise_epsilon(&n, 100, 1e-5))); /* nothing overlaps */
    ym_integer_noise_release(&n);
    assert_true(isinf(ym_skellam_epsilon(&r, 1, 0)) && isinf(ym_skellam_epsilon(&r, 0, 1e-5)));
    r.q = 1.5;
    assert_true(isinf(ym_skellam_epsilon(&r, 1, 1e-5)) && isinf(ym_distributed_gaussian_epsilon(&r, 1, 1, 1e-5)));
}

/* Without sampling any number of charges is one Gaussian: an exact figure for the three general accountants, from
 * outside, at deltas and mixtures that no vector has. */
static void unsampled_charges_are_one_gaussian(void **state)
{
    static const double delta[] = {1e-2, 1e-5, 1e-9, 1e-14, 1e-30};
    static const double noise[][2] = {{1, 1}, {3, 0.9}, {20, 4}, {250, 60}};
    static const double steps[][2] = {{1, 0}, {9, 4}, {30, 1}, {4000, 3000}};

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        const double *z = noise[i / 5], *n = steps[i / 5];
        struct ym_event e[2] = {vectors_event(z[0], 1, n[0]), vectors_event(z[1], 1, n[1])};
        double s[2] = {(double)e[0].sigma_units / YM_CLIP_UNITS, (double)e[1].sigma_units / YM_CLIP_UNITS};
        double exact = ym_gaussian_epsilon(sqrt(n[0] / s[0] / s[0] + n[1] / s[1] / s[1]), delta[i % 5]), got;

        assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_CONTOUR, e, 2, delta[i % 5], &got, NULL), YM_OK);
        if (!(fabs(got - exact) <= fmax(1e-8 * exact, 1e-9)))
            fail_msg("contour %zu: %.15g, exact %.15g", i, got, exact);
        assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_PLD, e, 2, delta[i % 5], &got, NULL), YM_OK);
        if (!(got >= exact * (1 - 1e-11) && got <= exact * (1 + 1e-3) + 1e-5))
            fail_msg("pld %zu: %.15g, exact %.15g", i, got, exact);
        assert_int_equal(ym_accountant_epsilon(YM_ACCOUNTANT_RDP, e, 2, delta[i % 5], &got, NULL), YM_OK);
        assert_true(got >= exact * (1 - 1e-11));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(analytic_gaussian_to_sixty_digits),
        cmocka_unit_test(gaussian_holds_to_the_smallest_deltas),
        cmocka_unit_test(zcdp_converts_by_all_three_roads),
        cmocka_unit_test(one_release_of_a_discrete_gaussian),
        cmocka_unit_test(distributed_discrete_gaussian_in_one_dimension),
        cmocka_unit_test(skellam_in_one_dimension),
        cmocka_unit_test(published_bound_of_the_distributed_gaussian),
        cmocka_unit_test(published_bound_of_skellam),
        cmocka_unit_test(integer_noise_is_a_law_with_its_variance),
        cmocka_unit_test(integer_noise_refuses),
        cmocka_unit_test(unsampled_charges_are_one_gaussian),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

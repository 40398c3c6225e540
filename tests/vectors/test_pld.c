/* The certified bound against references that are independent of it (tests/vectors/privacy, README there): never below
 * exact - exact_tol, never above exact (1 + 1e-3) + 1e-5. The grid under it against the closed form of a single step in
 * long double. The three accountants against one another on random charges (kernel's generator; false alarm below
 * 1e-6: more than six refusals of the estimate in sixty). */
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

#include "base/rng.h"
#include "privacy/loss_grid.h"
#include "tests/support/vectors.h"

static void from_above(const char *id, double got, double exact, double tol, double floor)
{
    if (!(got >= exact - tol && got <= exact * (1 + 1e-3) + floor))
        fail_msg("%s: %.15g for exactly %.15g, apart by %.3g", id, got, exact, got - exact);
}

static void rows_of(const char *path, bool has_tol, int wanted)
{
    struct vectors t;
    int rows = 0;

    for (vectors_open_path(&t, path); vectors_next(&t); rows++) {
        struct ym_event e =
            vectors_event(vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"));
        double got = -1, both[2] = {-1, -1};

        assert_int_equal(ym_pld_epsilon(&e, 1, vectors_number(&t, "delta"), &got, NULL), YM_OK);
        from_above(vectors_text(&t, "id"), got, vectors_number(&t, "eps_exact"),
                   has_tol ? vectors_number(&t, "exact_tol") : 1e-9, 1e-5);
        assert_int_equal(ym_pld_epsilons(&e, 1, vectors_number(&t, "delta"), both, NULL), YM_OK);
        assert_true(got == fmax(both[0], both[1]));
        if (has_tol) /* adding decides none of the rows: hold its own curve to the reference */
            assert_true(both[1] >= vectors_number(&t, "eps_exact_add") - vectors_number(&t, "exact_tol"));
    }
    assert_int_equal(rows, wanted);
}

static void never_below_and_close_above(void **state)
{
    (void)state;
    rows_of(VECTORS_FOLDER "subsampled_gaussian.csv", true, 109);
    rows_of(VECTORS_FOLDER "small_delta_stress.csv", false, 18);
}

static void different_rounds_compose(void **state)
{
    json_t *all = json_load_file(VECTORS_FOLDER "heterogeneous.json", 0, NULL), *one, *round;
    size_t i, j;

    (void)state;
    assert_int_equal(json_array_size(all), 15);
    json_array_foreach(all, i, one)
    {
        json_t *rounds = json_object_get(one, "rounds");
        struct ym_event *e = calloc(json_array_size(rounds), sizeof *e);
        double got = -1;

        assert_non_null(e);
        json_array_foreach(rounds, j, round) e[j] =
            vectors_event(json_number_value(json_array_get(round, 0)), json_number_value(json_array_get(round, 1)),
                          json_number_value(json_array_get(round, 2)));
        assert_int_equal(
            ym_pld_epsilon(e, json_array_size(rounds), json_number_value(json_object_get(one, "delta")), &got, NULL),
            YM_OK);
        from_above(json_string_value(json_object_get(one, "id")), got,
                   json_number_value(json_object_get(one, "eps_exact")), 1e-9, 1e-5);
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
        double answer = vectors_number(&t, "answer"), got = -1, back = -1;
        struct ym_event e = vectors_event(asks_delta ? vectors_number(&t, "sigma") : answer, vectors_number(&t, "q"),
                                          vectors_number(&t, "T"));

        if (asks_delta) {
            assert_int_equal(ym_pld_delta(&e, 1, vectors_number(&t, "eps"), &got, NULL), YM_OK);
            from_above(vectors_text(&t, "id"), got, answer, 1e-9 * answer, 0);
            assert_int_equal(ym_pld_epsilon(&e, 1, got, &back, NULL), YM_OK);
            assert_true(fabs(back - vectors_number(&t, "eps")) < 1e-3 * back);
        } else {
            assert_int_equal(ym_pld_epsilon(&e, 1, vectors_number(&t, "delta"), &got, NULL), YM_OK);
            from_above(vectors_text(&t, "id"), got, vectors_number(&t, "eps"), 1e-6 * got, 1e-5);
            assert_int_equal(ym_pld_delta(&e, 1, got, &back, NULL), YM_OK);
            assert_true(back < 1.003 * vectors_number(&t, "delta") && back > 0.97 * vectors_number(&t, "delta"));
        }
    }
    assert_int_equal(rows, 16);
}

static long double beyond(long double u)
{
    return erfcl(u * M_SQRT1_2l) / 2;
}

/* Closed form: the loss passes epsilon at one u. */
static long double true_delta(long double sigma, long double q, bool adding, long double epsilon)
{
    long double gap = expm1l(adding ? -epsilon : epsilon), u, shift = 1 / sigma;

    if (gap <= -q)
        return adding ? 0 : -gap;
    u = sigma * log1pl(gap / q) + shift / 2;
    if (adding)
        return expl(epsilon) * (q * (beyond(-u) - beyond(shift - u)) + gap * beyond(-u));
    return u > 0 ? q * (beyond(u - shift) - beyond(u)) - gap * beyond(u)
                 : q * (beyond(-u) - beyond(shift - u)) + gap * beyond(-u) - gap;
}

static long double grid_delta(const struct ym_loss_grid *g, long double step, bool adding, long double epsilon)
{
    long double sum = adding ? g->lost_add : g->lost_remove;

    for (size_t i = 0; i < g->count; i++) {
        long double at = (long double)(g->low + (int64_t)i) * step, loss = (adding ? -at : at) + g->slip;
        long double mass = adding ? g->mass[i] * expl(loss) : g->mass[i];

        mass += adding ? (i == g->count - 1 ? g->above : 0) : (i == 0 ? g->below : 0);
        if (loss > epsilon)
            sum -= mass * expm1l(epsilon - loss);
    }
    return sum;
}

/* On the grid's points the two curves meet but for the allowances, between them the grid's is above. With the grid cut
 * short the masses beyond it must stand in. */
static void step_is_never_below(double sigma, double q, double step, struct ym_reach reach)
{
    struct ym_loss l = {sigma, q, 1 - q, 1};
    struct ym_loss_grid g = {.mass = NULL};
    bool whole = reach.outer > 4;

    assert_int_equal(ym_loss_grid_make(&l, step, reach, &g, NULL), YM_OK);
    assert_true(ym_loss_grid_size(&l, step, reach) == (double)g.count);
    for (int64_t i = 4 * (g.low - 2); i < 4 * (g.low + (int64_t)g.count + 2); i += 1 + (int64_t)g.count / 200) {
        for (int way = 0; way < 2; way++) {
            double epsilon = (way ? -1 : 1) * (double)i * step / 4;
            long double is = true_delta(sigma, q, way, epsilon), got = grid_delta(&g, step, way, epsilon);

            if (!(got >= is && (!whole || got <= is + 0.3L * step + 1e-9L)))
                fail_msg("sigma %g, q %g, way %d, loss %.17g: %.17Lg for %.17Lg", sigma, q, way, epsilon, got, is);
            if (whole && i % 4 == 0 && !(got <= is + 1e-9L))
                fail_msg("sigma %g, q %g, way %d, grid point %.17g: %.17Lg for %.17Lg", sigma, q, way, epsilon, got,
                         is);
        }
    }
    free(g.mass);
}

static void a_step_on_the_grid_is_never_below(void **state)
{
    static const struct {
        double sigma, q, step;
    } kind[] = {{1, 0.01, 0x1p-6},    {0.5, 0.2, 0x1p-4}, {20, 0.1, 0x1p-13},    {3, 1, 0x1p-5},
                {1, 0x1p-20, 0x1p-7}, {2, 0.75, 0x1p-6},  {0.1, 0x1p-7, 0x1p-1}, {8, 0x1p-4, 0x1p-3}};

    (void)state;
    for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
        step_is_never_below(kind[k].sigma, kind[k].q, kind[k].step, (struct ym_reach){5, 5});
        step_is_never_below(kind[k].sigma, kind[k].q, kind[k].step, (struct ym_reach){1, 1});
        step_is_never_below(kind[k].sigma, kind[k].q, kind[k].step, (struct ym_reach){1, 5});
    }
}

static struct ym_rng *rng;

static double between(double low, double high) /* log-uniform */
{
    return low * pow(high / low, ldexp((double)(ym_rng_u64(rng) >> 11), -53));
}

static void accountants_agree_on_random_charges(void **state)
{
    int refused = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        struct ym_event e[3];
        struct ym_status st = YM_STATUS_INIT;
        struct ym_figures f = {-1, -1, -1};
        size_t count = 1 + ym_rng_u64(rng) % 3;
        double delta = between(1e-12, 1e-3), estimate;

        for (size_t j = 0; j < count; j++)
            e[j] = vectors_event(between(0.6, 20), between(0.01, 1), between(1, 3000));
        if (ym_contour_epsilon(e, count, delta, &estimate, NULL) != YM_OK) {
            refused++; /* the estimate may refuse, rarely: that contradicts nothing */
            continue;
        }
        if (ym_accountants_agree(e, count, delta, &f, &st) != YM_OK)
            fail_msg("%s (first of %zu: sigma %ju, k %ju, steps %ju; delta %.17g)", st.message, count,
                     (uintmax_t)e[0].sigma_units, (uintmax_t)e[0].sampling_k, (uintmax_t)e[0].steps, delta);
        assert_true(f.certified >= f.estimate * (1 - 1e-6) - 1e-9 && f.rdp >= f.estimate * (1 - 1e-6) - 1e-9);
    }
    assert_true(refused <= 6); /* about one in 3000 at worst */
}

/* One rare step beside many usual ones: adding looks the dearer at first, and its window is too short for removing. */
static void a_wrong_first_guess_is_mended(void **state)
{
    struct ym_event e[] = {vectors_event(8.323064506053925, 0.10246291657713358, 1357),
                           vectors_event(0.9843961596488953, 0.013333857524367403, 1)};
    struct ym_figures f;

    (void)state;
    assert_int_equal(ym_accountants_agree(e, 2, 7.411097112868653e-07, &f, NULL), YM_OK);
}

static void a_figure_that_contradicts_is_refused(void **state)
{
    static const struct ym_figures wrong[] = {{2, 1.9999, 2.5},
                                              {2, 2.003, 2.5},
                                              {2, 2.0005, 1.9},
                                              {0, 3e-5, 1},
                                              {0, -1, 1},
                                              {NAN, 2, 2},
                                              {2, NAN, 2.5},
                                              {2, INFINITY, 3},
                                              {2, 2.0005, NAN},
                                              {-1, 0, 1},
                                              {INFINITY, INFINITY, INFINITY}};
    struct ym_figures fine = {2, 2.0005, 2.5}, nothing = {0, 0, 0};
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_figures_agree(&fine, NULL), YM_OK);
    assert_int_equal(ym_figures_agree(&nothing, NULL), YM_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ym_figures_agree(&wrong[i], &st), YM_INTERNAL);
    assert_int_equal(ym_figures_agree(&wrong[0], &st), YM_INTERNAL);
    assert_non_null(strstr(st.message, "1.9999"));
    assert_non_null(strstr(st.message, "2.5"));
}

static void misuse_nothing_and_the_absurd(void **state)
{
    struct ym_event no_noise = {0, 5, 1}, no_sampling = {5, 0, 1}, no_steps = {5, 5, 0},
                    fine = {1 << 24, 1ull << 60, 9}, hardly_any = {1, 1, UINT64_MAX},
                    forever = {1 << 24, UINT64_MAX, 1000000000};
    double epsilon = 77, delta = 77;

    (void)state;
    assert_int_equal(ym_pld_epsilon(&no_noise, 1, 1e-5, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&no_sampling, 1, 1e-5, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&fine, 1, 0, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&fine, 1, 1, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&fine, 1, NAN, &epsilon, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&fine, 1, 1e-61, &epsilon, NULL), YM_EXHAUSTED);
    assert_int_equal(ym_pld_delta(&fine, 1, -1, &delta, NULL), YM_INVALID);
    assert_int_equal(ym_pld_delta(&fine, 1, NAN, &delta, NULL), YM_INVALID);
    assert_int_equal(ym_pld_epsilon(&hardly_any, 1, 1e-5, &epsilon, NULL), YM_EXHAUSTED);
    assert_int_equal(ym_pld_epsilon(&forever, 1, 1e-5, &epsilon, NULL), YM_EXHAUSTED);
    assert_true(epsilon == 77 && delta == 77);
    assert_int_equal(ym_pld_epsilon(&no_steps, 1, 1e-5, &epsilon, NULL), YM_OK);
    assert_int_equal(ym_pld_delta(NULL, 0, 1, &delta, NULL), YM_OK);
    assert_true(epsilon == 0 && delta == 0);
}

static int open_rng(void **state)
{
    (void)state;
    return ym_rng_open(&rng, NULL) == YM_OK ? 0 : -1;
}

static int close_rng(void **state)
{
    (void)state;
    ym_rng_close(&rng);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_below_and_close_above),
        cmocka_unit_test(different_rounds_compose),
        cmocka_unit_test(questions_asked_backwards),
        cmocka_unit_test(a_step_on_the_grid_is_never_below),
        cmocka_unit_test(accountants_agree_on_random_charges),
        cmocka_unit_test(a_wrong_first_guess_is_mended),
        cmocka_unit_test(a_figure_that_contradicts_is_refused),
        cmocka_unit_test(misuse_nothing_and_the_absurd),
    };

    return cmocka_run_group_tests(tests, open_rng, close_rng);
}

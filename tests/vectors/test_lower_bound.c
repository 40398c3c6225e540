/* Bounds on epsilon from below against audit_formulas.csv (every row; the reference prints eight digits of p
 * values and epsilons, six of the Gaussian figures) and the guesses of audit_bug_detection.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "privacy/lower_bound.h"
#include "privacy/mechanisms.h"
#include "tests/support/vectors.h"

#define SIX_DIGITS 6e-6

static void near(const char *id, const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %s is %.10g, not %.10g", id, what, got, want);
}

static void check_one_run(const struct vectors *t)
{
    struct ym_guesses g = {(uint64_t)vectors_number(t, "m_or_n0"), (uint64_t)vectors_number(t, "r_or_n1"),
                           (uint64_t)vectors_number(t, "v")};
    double delta = vectors_number(t, "delta"), p = vectors_number(t, "p"), mu = ym_one_run_mu(&g, p);
    double of_mu = ym_gaussian_epsilon(mu, delta);
    double tail = vectors_number(t, "p_value_at_eps1");
    const char *id = vectors_text(t, "id");

    near(id, "the p value at 1", ym_one_run_p_value(&g, 1, delta), tail, 1e-9 * tail);
    near(id, "epsilon", ym_one_run_epsilon(&g, delta, p), vectors_number(t, "eps_lower"), 1e-7);
    near(id, "mu", mu, vectors_number(t, "mu_lower"), SIX_DIGITS * mu);
    near(id, "epsilon of mu", of_mu, vectors_number(t, "eps_lower_gaussian_f"), SIX_DIGITS * of_mu);
}

static void check_two_world(const struct vectors *t)
{
    struct ym_worlds w = {(uint64_t)vectors_number(t, "m_or_n0"), (uint64_t)vectors_number(t, "r_or_n1"),
                          (uint64_t)vectors_number(t, "fp"), (uint64_t)vectors_number(t, "fn")};
    double delta = vectors_number(t, "delta"), p = vectors_number(t, "p"), mu = ym_two_world_mu(&w, p);
    double of_mu = ym_gaussian_epsilon(mu, delta);
    const char *id = vectors_text(t, "id");

    near(id, "epsilon", ym_two_world_epsilon(&w, delta, p), vectors_number(t, "eps_lower"), 1e-6);
    near(id, "mu", mu, vectors_number(t, "mu_lower"), SIX_DIGITS * mu);
    near(id, "epsilon of mu", of_mu, vectors_number(t, "eps_lower_gaussian_f"), SIX_DIGITS * of_mu);
}

static void every_row_of_the_formulas_is_met(void **state)
{
    struct vectors t;
    size_t one = 0, two = 0;

    (void)state;
    for (vectors_open(&t, "audit_formulas.csv"); vectors_next(&t);) {
        if (strcmp(vectors_text(&t, "kind"), "one_run") == 0) {
            check_one_run(&t);
            one++;
        } else {
            assert_string_equal(vectors_text(&t, "kind"), "two_world");
            check_two_world(&t);
            two++;
        }
    }
    assert_true(one >= 9 && two >= 4);
}

/* 5,000 canaries, 500 guesses, claimed epsilon 7.047 at 1e-5: printed to three digits. */
static void guesses_of_broken_trainers_give_the_printed_bounds(void **state)
{
    json_t *list = json_load_file(VECTORS_FOLDER "audit_bug_detection.json", 0, NULL), *row;
    size_t i;

    (void)state;
    assert_true(json_array_size(list) >= 8);
    json_array_foreach(list, i, row)
    {
        struct ym_guesses g = {5000, (uint64_t)json_integer_value(json_object_get(row, "guesses")),
                               (uint64_t)json_integer_value(json_object_get(row, "correct"))};
        const char *bug = json_string_value(json_object_get(row, "bug"));

        near(bug, "epsilon", ym_one_run_epsilon(&g, 1e-5, 0.05),
             json_number_value(json_object_get(row, "eps_lb_one_run")), 2e-3);
        near(bug, "epsilon of mu", ym_gaussian_epsilon(ym_one_run_mu(&g, 0.05), 1e-5),
             json_number_value(json_object_get(row, "eps_lb_fdp")), 2e-3);
    }
    json_decref(list);
}

/* By hand: all of 3 guesses right at epsilon 0 has probability 1/8; none of 10 missed is at most 1 - 0.05^(1/10). */
static void tiny_cases_are_what_a_pencil_says(void **state)
{
    struct ym_guesses three = {3, 3, 3}, none = {10, 0, 0}, wrong = {10, 10, 2}, ten = {10, 10, 10};

    (void)state;
    near("3 of 3", "the p value", ym_one_run_p_value(&three, 0, 0), 0.125, 1e-15);
    near("3 of 3", "epsilon", ym_one_run_epsilon(&three, 0, 0.05), 0, 0);
    near("10 of 10", "epsilon", ym_one_run_epsilon(&ten, 0, 0.05), -log(pow(0.05, -0.1) - 1), 1e-12);
    near("none guessed", "epsilon", ym_one_run_epsilon(&none, 1e-5, 0.05), 0, 0);
    near("none guessed", "mu", ym_one_run_mu(&none, 0.05), 0, 0);
    near("2 of 10", "epsilon", ym_one_run_epsilon(&wrong, 1e-5, 0.05), 0, 0);
    near("2 of 10", "mu", ym_one_run_mu(&wrong, 0.05), 0, 0);
    near("0 of 10", "the upper limit", ym_rate_upper(0, 10, 0.05), 1 - pow(0.05, 0.1), 1e-14);
    near("10 of 10", "the upper limit", ym_rate_upper(10, 10, 0.05), 1, 0);
    near("no mu", "epsilon", ym_gaussian_epsilon(0, 1e-5), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_formulas_is_met),
        cmocka_unit_test(guesses_of_broken_trainers_give_the_printed_bounds),
        cmocka_unit_test(tiny_cases_are_what_a_pencil_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

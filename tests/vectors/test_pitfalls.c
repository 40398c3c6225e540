/* accounting_pitfalls.json: what a wrong account said and what was true, both from our own accountant, each scenario
 * with the charge it should have been. truncated_poisson.csv: what a batch that is cut off would cost. Figures are
 * printed with six and eight places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "privacy/accountant.h"
#include "tests/support/vectors.h"

#define SIX_PLACES 1.5e-6
#define OFF_LATTICE 3e-7 /* a sigma that is no whole number of lattice units */
#define EIGHT_PLACES 1e-8

static double member(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);

    if (!json_is_number(v))
        fail_msg("%s has no number '%s'", json_string_value(json_object_get(o, "id")), name);
    return json_number_value(v);
}

static double epsilon(double sigma, double q, double steps, double delta)
{
    struct ym_event e = vectors_event(sigma, q, steps);
    double got;

    assert_int_equal(ym_contour_epsilon(&e, 1, delta, &got, NULL), YM_OK);
    return got;
}

static void same(const json_t *o, const char *name, double got)
{
    if (!(fabs(got - member(o, name)) <= SIX_PLACES + OFF_LATTICE * got))
        fail_msg("%s, %s: %.9g, reference %.9g", json_string_value(json_object_get(o, "id")), name, got,
                 member(o, name));
}

static double delta_of(const struct ym_event *round, double e)
{
    double got;

    assert_int_equal(ym_contour_delta(round, 1, e, &got, NULL), YM_OK);
    return got;
}

/* One coin with probability r decides for a whole round. Removing: H(rP + (1-r)Q | Q) at e^eps is r H(P | Q) at
 * 1 + (e^eps - 1) / r; adding: H(Q | rP + (1-r)Q) is c H(Q | P) at r e^eps / c, c = 1 - (1-r) e^eps, 0 for c <= 0.
 * high: what the round costs without the coin. */
static double one_coin_epsilon(const struct ym_event *round, double r, double delta, double high)
{
    double low = 0, c;

    while (high - low > 1e-8) {
        double middle = (low + high) / 2;

        *(r * delta_of(round, log1p(expm1(middle) / r)) > delta ? &low : &high) = middle;
    }
    c = 1 - (1 - r) * exp(high);
    assert_true(c <= 0 || c * delta_of(round, log(r * exp(high) / c)) <= delta);
    return high;
}

static void shared_coin(const json_t *o)
{
    double sigma = member(o, "sigma"), client = member(o, "client_rate"), batch = member(o, "batch_rate");
    double steps = member(o, "local_steps"), delta = member(o, "delta");
    double without = epsilon(sigma, batch, steps, delta);
    struct ym_event round = vectors_event(sigma, batch, steps);

    same(o, "eps_flawed", epsilon(sigma, client * batch, steps, delta));
    same(o, "eps_correct", one_coin_epsilon(&round, client, delta, without));
    same(o, "eps_no_client_amplification", without);
}

static void only_adding(const json_t *o)
{
    struct ym_event e = vectors_event(member(o, "sigma"), member(o, "q"), member(o, "T"));
    double both[2];

    assert_int_equal(ym_contour_epsilons(&e, 1, member(o, "delta"), both, NULL), YM_OK);
    same(o, "eps_flawed", both[1]);
    same(o, "eps_correct", fmax(both[0], both[1]));
}

struct charge {
    double sigma, q, steps;
};

/* Those that are one wrong number in one charge. */
static bool wrong_number(const json_t *o, struct charge *flawed, struct charge *correct)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    double sigma = member(o, "sigma");

    *flawed =
        (struct charge){sigma, json_number_value(json_object_get(o, "q")), json_number_value(json_object_get(o, "T"))};
    *correct = *flawed;
    if (strstr(name, "steps accounted from epochs")) {
        flawed->steps = member(o, "T_accounted");
        correct->steps = member(o, "T_actual");
    } else if (strstr(name, "clipping per record")) {
        correct->sigma = sigma / member(o, "k");
    } else if (strstr(name, "Poisson sampling per record")) {
        correct->sigma = sigma / member(o, "k");
        correct->q = 1 - pow(1 - flawed->q, member(o, "k"));
    } else if (strstr(name, "noise shares arrive")) {
        correct->sigma = sigma * sqrt(member(o, "t") / member(o, "n"));
    } else if (strstr(name, "full runs")) {
        correct->steps *= member(o, "runs");
    } else if (strstr(name, "q = floor(batch)/n")) {
        flawed->q = member(o, "q_recorded");
        correct->q = member(o, "q_actual");
    } else if (strstr(name, "B=4 expected")) {
        correct->sigma = sigma / 4;
    } else {
        return false;
    }
    return true;
}

static void every_pitfall_is_told_from_the_truth(void **state)
{
    json_t *all = json_load_file(VECTORS_FOLDER "accounting_pitfalls.json", 0, NULL), *o;
    size_t i, checked = 0;

    (void)state;
    json_array_foreach(all, i, o)
    {
        struct charge flawed, correct;
        double delta = member(o, "delta");

        if (json_object_get(o, "client_rate")) {
            shared_coin(o);
        } else if (strstr(json_string_value(json_object_get(o, "name")), "only the ADD direction")) {
            only_adding(o);
        } else {
            assert_true(wrong_number(o, &flawed, &correct));
            same(o, "eps_flawed", epsilon(flawed.sigma, flawed.q, flawed.steps, delta));
            same(o, "eps_correct", epsilon(correct.sigma, correct.q, correct.steps, delta));
        }
        assert_true(member(o, "eps_correct") > member(o, "eps_flawed"));
        checked++;
    }
    assert_int_equal(checked, 12); /* none is skipped */
    json_decref(all);
}

/* Yumen cuts no batch (a large one goes in micro-batches), so its charge is the untruncated one; a cut one would cost
 * more, a tight cap more than twice as much. */
static void a_batch_that_is_cut_off_costs_more(void **state)
{
    struct vectors t;
    int rows = 0, dear = 0;

    (void)state;
    for (vectors_open(&t, "truncated_poisson.csv"); vectors_next(&t); rows++) {
        double got = epsilon(vectors_number(&t, "sigma"), vectors_number(&t, "q"), vectors_number(&t, "T"),
                             vectors_number(&t, "delta"));
        double cut = vectors_number(&t, "eps_pld_add_remove"), whole = vectors_number(&t, "eps_exact_untruncated");

        /* where sigma is off our lattice, half a unit of it shows */
        if (!(fabs(got - whole) <= (vectors_on_lattice(vectors_number(&t, "sigma")) ? 1 : 20) * EIGHT_PLACES))
            fail_msg("%s: %.12g, reference %.12g", vectors_text(&t, "id"), got, whole);
        assert_true(cut > got);
        dear += cut > 2 * got;
    }
    assert_int_equal(rows, 9);
    assert_int_equal(dear, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pitfall_is_told_from_the_truth),
        cmocka_unit_test(a_batch_that_is_cut_off_costs_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

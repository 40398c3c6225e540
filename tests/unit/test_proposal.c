#include "gate/proposal.h"

#include <math.h>

#include "gate/advice.h"
#include "gate_help.h"

/* The proposal decides the sampling; here it is small, so that a tiny epsilon can be read at all. */
static struct ym_plan *base_plan(const char *epsilon)
{
    char *text = text_edit(good_plan, "sampling_probability: 0.25\n", "sampling_probability: 0.001\n");
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;
    bool passes;

    assert_int_equal(ym_doc_parse("p.yaml", text, strlen(text), &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_advice_read(doc, epsilon, &plan, &passes, &p, NULL), YM_OK);
    ym_problems_release(&p);
    ym_doc_free(doc);
    free(text);
    return plan;
}

static struct ym_proposal propose(const char *epsilon, uint32_t low, uint32_t high, size_t dim)
{
    struct ym_plan *base = base_plan(epsilon);
    struct ym_cohort cohort[] = {{low, high}, {low, high}};
    struct ym_proposal p = {0};

    assert_int_equal(ym_proposal_find(base, dim, cohort, 2, &p, NULL), YM_OK);
    ym_plan_free(base);
    return p;
}

static const struct ym_proposal_row *chosen(const struct ym_proposal *p)
{
    return &p->row[p->length][p->best[p->length]];
}

static void what_is_proposed_is_what_the_check_passed(void **state)
{
    struct ym_proposal p = propose("1", 50, 200, 31);
    struct ym_plan *again = NULL;
    int64_t micro;

    (void)state;
    assert_int_equal(ym_plan_decode(p.plan->canonical.data, p.plan->canonical.len, &again, NULL), YM_OK);
    assert_int_equal(again->rounds, chosen(&p)->rounds);
    assert_int_equal(again->steps_per_round, chosen(&p)->local_steps);
    assert_int_equal(again->nominal_patients, 100);
    assert_int_equal(ym_plan_epsilon(again, 1, again->rounds, &micro, NULL), YM_OK);
    assert_int_equal(micro, chosen(&p)->epsilon_micro);
    assert_true(micro <= 1000000 && micro > 999900);
    ym_plan_free(again);
    ym_plan_free(p.plan);
}

/* By hand: the mean of two hospitals' noise of z C / (q n), over 31 coordinates. */
static void figures_are_the_noise_of_the_averaged_gradient(void **state)
{
    struct ym_proposal p = propose("1", 50, 200, 31);

    (void)state;
    for (size_t i = 0; i < YM_PROPOSAL_LENGTHS; i++)
        for (size_t k = 0; k < YM_PROPOSAL_SAMPLINGS; k++) {
            const struct ym_proposal_row *r = &p.row[i][k];
            double q = strtod(r->sampling, NULL);
            double noise = ym_decimal_double(r->noise) * p.clip_norm / (q * 100) / sqrt(2);

            assert_true(r->fits);
            assert_true(fabs(r->noise_per_coordinate / noise - 1) < 1e-9);
            assert_true(fabs(r->step_signal * noise * sqrt(31) / p.clip_norm - 1) < 1e-9);
            assert_true(fabs(r->run_signal / r->step_signal - sqrt((double)r->rounds * r->local_steps)) < 1e-9);
            assert_true(k == 0 || r->noise_per_coordinate < p.row[i][k - 1].noise_per_coordinate);
        }
    for (size_t i = 0; i < YM_PROPOSAL_LENGTHS; i++) {
        double least = p.row[i][YM_PROPOSAL_SAMPLINGS - 1].noise_per_coordinate;

        assert_true(p.row[i][p.best[i]].noise_per_coordinate <= 1.05 * least);
        assert_true(p.best[i] == 0 || p.row[i][p.best[i] - 1].noise_per_coordinate > 1.05 * least);
    }
    ym_plan_free(p.plan);
}

static void small_cohorts_get_few_steps_and_large_samples(void **state)
{
    struct ym_proposal small = propose("1", 50, 200, 31), large = propose("1", 5000, 9999, 31);
    uint32_t steps_small = chosen(&small)->rounds * chosen(&small)->local_steps;
    uint32_t steps_large = chosen(&large)->rounds * chosen(&large)->local_steps;

    (void)state;
    assert_int_equal(steps_small, 30); /* the least that is proposed */
    assert_true(chosen(&small)->step_signal < 3);
    assert_int_equal(steps_large, 300);
    assert_true(chosen(&large)->step_signal >= 3);
    assert_true(strtod(chosen(&small)->sampling, NULL) > strtod(chosen(&large)->sampling, NULL));
    ym_plan_free(small.plan);
    ym_plan_free(large.plan);
}

static void samplings_that_no_noise_makes_fit_are_not_proposed(void **state)
{
    struct ym_proposal p = propose("0.001", 50, 200, 31);

    (void)state;
    assert_false(p.row[p.length][YM_PROPOSAL_SAMPLINGS - 1].fits);
    assert_true(chosen(&p)->fits);
    assert_true(chosen(&p)->epsilon_micro <= 1000);
    ym_plan_free(p.plan);
}

static void what_the_plan_forbids_is_told_by_key(void **state)
{
    struct ym_plan *base = base_plan("1");
    struct ym_cohort cohort = {1000000, 1000000}; /* the plan's delta is 1e-5 */
    struct ym_proposal p = {.clip_norm = 77};
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_proposal_find(base, 31, &cohort, 1, &p, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "privacy.delta"));
    assert_true(p.clip_norm == 77);
    ym_plan_free(base);
}

static void delta_is_a_power_of_ten_that_the_largest_class_allows(void **state)
{
    static const struct {
        uint32_t high;
        double delta;
    } rows[] = {{1, 0.1}, {2, 0.01}, {10, 0.01}, {199, 1e-4}, {1000, 1e-4}, {1001, 1e-5}, {999999999, 1e-10}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ym_cohort cohort[] = {{1, 1}, {1, rows[i].high}};

        assert_true(fabs(ym_proposal_delta(cohort, 2) / rows[i].delta - 1) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proposed_is_what_the_check_passed),
        cmocka_unit_test(figures_are_the_noise_of_the_averaged_gradient),
        cmocka_unit_test(small_cohorts_get_few_steps_and_large_samples),
        cmocka_unit_test(samplings_that_no_noise_makes_fit_are_not_proposed),
        cmocka_unit_test(what_the_plan_forbids_is_told_by_key),
        cmocka_unit_test(delta_is_a_power_of_ten_that_the_largest_class_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

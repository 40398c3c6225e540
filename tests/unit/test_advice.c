#include "gate/advice.h"

#include "gate_help.h"

static enum ym_code read_advice(const char *text, const char *epsilon, struct ym_plan **plan, bool *passes,
                                struct ym_problems *p)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_parse("p.yaml", text, strlen(text), &doc, p, NULL);
    if (code == YM_OK)
        code = ym_advice_read(doc, epsilon, plan, passes, p, NULL);
    ym_doc_free(doc);
    return code;
}

static struct ym_plan *read_must(const char *text, const char *epsilon, bool *passes)
{
    struct ym_plan *plan = NULL;
    struct ym_problems p = {0};
    assert_int_equal(read_advice(text, epsilon, &plan, passes, &p), YM_OK);
    assert_int_equal(p.count, 0);
    ym_problems_release(&p);
    return plan;
}

/* The plan as people would write it with these three values; NULL when it is refused for its epsilon or noise only. */
static struct ym_plan *written(const char *sampling, uint32_t rounds, struct ym_decimal noise)
{
    struct ym_buf q = {0}, r = {0}, z = {0};
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    ym_buf_printf(&q, "sampling_probability: %s\n", sampling);
    ym_buf_printf(&r, "rounds: %u\n", rounds);
    ym_buf_puts(&z, "noise_multiplier: ");
    assert_int_equal(ym_decimal_format(noise, &z), YM_OK);
    ym_buf_puts(&z, "\n");
    char *a = text_edit(good_plan, "sampling_probability: 0.25\n", ym_buf_str(&q));
    char *b = text_edit(a, "rounds: 15\n", ym_buf_str(&r));
    char *c = text_edit(b, "noise_multiplier: 4.0\n", ym_buf_str(&z));
    if (plan_parse(c, &plan, &p) != YM_OK) {
        assert_int_equal(p.count, 1);
        assert_int_equal(strncmp(p.item[0].key, "privacy.", 8), 0);
    }
    free(a);
    free(b);
    free(c);
    ym_buf_release(&q);
    ym_buf_release(&r);
    ym_buf_release(&z);
    ym_problems_release(&p);
    return plan;
}

static void advised_noise_fits_and_a_millionth_less_does_not(void **state)
{
    static const struct {
        const char *sampling;
        uint32_t rounds;
    } cases[] = {{"0.25", 15},
                 {"0.05", 15},
                 {"1", 15},
                 {"0.25", 1},
                 {"0.001", 1},
                 {"1", 10000},
                 /* a millionth less than the units needed, rounded up, is as many units here */
                 {"0.25", 6},
                 {"0.1", 12},
                 {"0.1", 21},
                 {"0.5", 9}};
    const __int128 micro = (__int128)1000000000000;
    bool passes;
    struct ym_plan *base = read_must(good_plan, NULL, &passes);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ym_decimal noise = {0};
        struct ym_plan *checked = NULL, *same;
        assert_int_equal(ym_advice_find(base, cases[i].rounds, cases[i].sampling, &noise, &checked, NULL), YM_OK);
        assert_true(noise.scaled % micro == 0);
        same = written(cases[i].sampling, cases[i].rounds, noise);
        assert_non_null(same);
        assert_memory_equal(same->hash, checked->hash, YM_HASH_BYTES);
        noise.scaled -= micro;
        assert_null(written(cases[i].sampling, cases[i].rounds, noise));
        ym_plan_free(same);
        ym_plan_free(checked);
    }
    ym_plan_free(base);
}

static void the_plans_own_sampling_is_taken_when_none_is_given(void **state)
{
    bool passes;
    struct ym_plan *base = read_must(good_plan, NULL, &passes), *a = NULL, *b = NULL;
    struct ym_decimal own = {0}, named = {0};
    (void)state;
    assert_int_equal(ym_advice_find(base, 15, NULL, &own, &a, NULL), YM_OK);
    assert_int_equal(ym_advice_find(base, 15, "0.25", &named, &b, NULL), YM_OK);
    assert_true(own.scaled == named.scaled);
    assert_memory_equal(a->hash, b->hash, YM_HASH_BYTES);
    ym_plan_free(a);
    ym_plan_free(b);
    ym_plan_free(base);
}

static void noise_as_written_is_no_obstacle(void **state)
{
    static const char *const lines[] = {"  noise_multiplier: 0.5\n", "  noise_multiplier: plenty\n",
                                        "  noise_multiplier: 0\n", ""};
    bool passes = false;
    struct ym_plan *right = read_must(good_plan, NULL, &passes);
    (void)state;
    assert_true(passes);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *text = text_edit(good_plan, "  noise_multiplier: 4.0\n", lines[i]);
        bool still = true;
        struct ym_plan *plan = read_must(text, NULL, &still);
        assert_false(still);
        assert_memory_equal(plan->hash, right->hash, YM_HASH_BYTES);
        ym_plan_free(plan);
        free(text);
    }
    ym_plan_free(right);
}

static void other_problems_are_told_with_their_lines(void **state)
{
    char *a = text_edit(good_plan, "noise_multiplier: 4.0", "noise_multiplier: 0.5");
    char *b = text_edit(a, "rounds: 15", "rounds: 0");
    char *c = text_edit(good_plan, "privacy:\n", "privacy: none\nx:\n");
    char *d = text_edit(good_plan, "epsilon: 3", "epsilon: 0.0001");
    const struct {
        const char *text, *key;
        int line;
    } cases[] = {{b, "training.rounds", 13}, {d, "privacy.epsilon", 21}};
    struct ym_plan *plan = NULL;
    struct ym_problems p = {0};
    bool passes;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_advice(cases[i].text, NULL, &plan, &passes, &p), YM_INVALID);
        assert_problem(&p, cases[i].line, cases[i].key, "");
        ym_problems_release(&p);
    }
    assert_int_equal(read_advice(c, "2", &plan, &passes, &p), YM_INVALID);
    assert_null(plan);
    ym_problems_release(&p);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void an_epsilon_below_a_millionth_is_met_by_a_cost_of_nothing(void **state)
{
    char *text = text_edit(good_plan, "rounds: 15\n  local_steps: 4", "rounds: 1\n  local_steps: 1");
    bool passes;
    struct ym_plan *base = read_must(text, "0.0000001", &passes), *checked = NULL;
    struct ym_decimal noise = {0};
    (void)state;
    assert_int_equal(ym_advice_find(base, 1, NULL, &noise, &checked, NULL), YM_OK);
    assert_true(noise.scaled > 0);
    ym_plan_free(checked);
    ym_plan_free(base);
    free(text);
}

static void another_epsilon_takes_the_place_of_the_plans(void **state)
{
    bool passes = true;
    struct ym_plan *three = read_must(good_plan, NULL, &passes), *one = read_must(good_plan, "1", &passes), *a, *b;
    struct ym_decimal less = {0}, more = {0};
    (void)state;
    assert_false(passes);
    assert_true(one->epsilon_max.scaled == (__int128)1000000000000000000);
    assert_int_equal(ym_advice_find(three, 15, NULL, &less, &a, NULL), YM_OK);
    assert_int_equal(ym_advice_find(one, 15, NULL, &more, &b, NULL), YM_OK);
    assert_true(more.scaled > less.scaled);
    ym_plan_free(a);
    ym_plan_free(b);
    ym_plan_free(three);
    ym_plan_free(one);
}

static void what_no_noise_can_mend_and_what_no_plan_may_have_are_refused(void **state)
{
    bool passes;
    struct ym_plan *base = read_must(good_plan, "0.005", &passes), *checked = NULL;
    struct ym_decimal noise = {.scaled = 7};
    (void)state;
    assert_int_equal(ym_advice_find(base, 10000, "1", &noise, &checked, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_advice_find(base, 0, NULL, &noise, &checked, NULL), YM_INVALID);
    assert_int_equal(ym_advice_find(base, YM_PLAN_MAX_ROUNDS + 1, "0.000001", &noise, &checked, NULL), YM_INVALID);
    assert_int_equal(ym_advice_find(base, 15, "0", &noise, &checked, NULL), YM_INVALID);
    assert_int_equal(ym_advice_find(base, 15, "1.5", &noise, &checked, NULL), YM_INVALID);
    assert_int_equal(ym_advice_find(base, 15, "half", &noise, &checked, NULL), YM_INVALID);
    assert_null(checked);
    assert_true(noise.scaled == 7);
    ym_plan_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advised_noise_fits_and_a_millionth_less_does_not),
        cmocka_unit_test(the_plans_own_sampling_is_taken_when_none_is_given),
        cmocka_unit_test(noise_as_written_is_no_obstacle),
        cmocka_unit_test(other_problems_are_told_with_their_lines),
        cmocka_unit_test(an_epsilon_below_a_millionth_is_met_by_a_cost_of_nothing),
        cmocka_unit_test(another_epsilon_takes_the_place_of_the_plans),
        cmocka_unit_test(what_no_noise_can_mend_and_what_no_plan_may_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

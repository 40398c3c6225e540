/* Tightening a policy never allows more: of random policies and plans. A list loses items, "any" becomes a list,
 * "never" gains one, the study's epsilon or the memory falls, a window is cut; the figures are the budget's, which
 * test_budget covers. */
#include "base/text.h"
#include "tests/support/policy.h"

enum { CASES = 4000 }; /* two epsilons each, about a millisecond */

static uint64_t seed = 20261122;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % below);
}

static const char *const sponsors[] = {"acme", "other", "third"};
static const char *const purposes[] = {"test", "teaching", "audit"};
static const char *const models[] = {"linear", "logistic", "mlp"};
static const char *const columns[] = {"radius", "sex", "malignant"};

/* any, or some of the words, at least one */
static json_t *random_term(const char *const words[3])
{
    json_t *list;

    if (draw(3) == 0)
        return json_string("any");
    list = json_array();
    while (json_array_size(list) == 0)
        for (int i = 0; i < 3; i++)
            if (draw(4))
                json_array_append_new(list, json_string(words[i]));
    return list;
}

static json_t *random_hours(void)
{
    char from[8], to[8];
    uint32_t a = draw(24), b = (a + 1 + draw(23)) % 24;

    if (draw(2))
        return json_string("any");
    snprintf(from, sizeof from, "%02u:00", a);
    snprintf(to, sizeof to, "%02u:00", b);
    return json_pack("[{s:s, s:s, s:s}]", "days", "any", "from", from, "to", to);
}

static json_t *random_terms(void)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:{s:o, s:o}, s:s, s:o, s:o, s:o}", "epsilon_study_micro",
                     (json_int_t)(300000 + draw(2500000)), "sponsors", random_term(sponsors), "purposes",
                     random_term(purposes), "models", random_term(models), "columns", "inputs", random_term(columns),
                     "outcomes", random_term(columns), "recipients", "any", "hours", random_hours(), "cpu_threads",
                     draw(3) ? json_integer(1 + draw(64)) : json_string("any"), "memory_mib",
                     draw(3) ? json_integer(128 + draw(1 << 20)) : json_string("any"));
}

/* One word less, or a list where everything was allowed. */
static void tighten_list(json_t *at, const char *key, const char *const words[3])
{
    json_t *list = json_object_get(at, key);

    if (json_is_string(list))
        json_object_set_new(at, key, json_pack("[s]", words[draw(3)]));
    else if (json_array_size(list) > 1)
        json_array_remove(list, draw((uint32_t)json_array_size(list)));
}

static void tighten(json_t *terms)
{
    json_t *c = json_object_get(terms, "columns"), *hours = json_object_get(terms, "hours");

    switch (draw(9)) {
    case 0:
        tighten_list(terms, "sponsors", sponsors);
        break;
    case 1:
        tighten_list(terms, "purposes", purposes);
        break;
    case 2:
        tighten_list(terms, "models", models);
        break;
    case 3:
        tighten_list(c, "inputs", columns);
        break;
    case 4:
        tighten_list(c, "outcomes", columns);
        break;
    case 5:
        json_object_set_new(c, "never", json_pack("[s]", columns[draw(3)]));
        break;
    case 6:
        json_object_set_new(terms, "memory_mib", json_integer(128));
        break;
    case 7:
        json_object_set_new(
            terms, "epsilon_study_micro",
            json_integer(json_integer_value(json_object_get(terms, "epsilon_study_micro")) / (1 + draw(3))));
        break;
    default:
        if (json_is_string(hours))
            json_object_set_new(terms, "hours", random_hours());
        else
            json_object_set_new(json_array_get(hours, 0), "days", json_pack("[s]", "tue"));
    }
}

static struct ym_policy *decode(json_t *terms)
{
    struct ym_policy *p = NULL;

    assert_int_equal(ym_policy_decode(terms, &p, NULL), YM_OK);
    return p;
}

static void a_tightened_policy_never_allows_more(void **state)
{
    struct ym_plan *plan = plan_must(good_plan);
    size_t allowed = 0, refused = 0;

    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        json_t *terms = random_terms();
        struct ym_policy *before = decode(terms), *after;
        bool plan_before = ym_policy_allows(before, plan, POLICY_DELTA, NULL) == YM_OK;
        int64_t now = (int64_t)draw(1u << 31);
        bool open_before = ym_policy_open(before, now, NULL) == YM_OK, plan_after;

        ym_policy_free(before);
        tighten(terms);
        after = decode(terms);
        plan_after = ym_policy_allows(after, plan, POLICY_DELTA, NULL) == YM_OK;
        if ((plan_after && !plan_before) || (ym_policy_open(after, now, NULL) == YM_OK && !open_before))
            fail_msg("case %zu opens what was shut", i);
        allowed += plan_before;
        refused += plan_before && !plan_after;
        ym_policy_free(after);
        json_decref(terms);
    }
    assert_true(allowed > CASES / 50 && refused > CASES / 400); /* both sides were reached */
    ym_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_tightened_policy_never_allows_more)};

    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

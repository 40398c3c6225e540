/* What must hold of every decision, asked of random facts; the shipped sets are those a site would sign. */
#include "base/text.h"
#include "tests/support/border.h"

enum { CASES = 200000 };

static const int64_t counts[] = {0, 1, 100, 101, 500, 501, 999, 3000, 9999, 10000, 10001, 99999, 100000, 1000000};
static uint64_t seed = 20284879;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % below);
}

static unsigned values_of(enum ym_choice c)
{
    unsigned n = 1;
    while (n < YM_CHOICE_MOST_VALUES && ym_choice_value(c, n))
        n++;
    return n;
}

/* Mostly near a case that proceeds, so that what would wrongly open is reached. */
static struct ym_facts random_facts(void)
{
    struct ym_facts f = facts_v1();
    uint32_t wild = 1 + draw(12);
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++)
        if (!draw(wild))
            f.choice[i] = (uint8_t)draw(values_of((enum ym_choice)i));
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        if (!draw(wild))
            f.people[i] = draw(12) ? counts[draw(sizeof counts / sizeof *counts)] : YM_PEOPLE_UNKNOWN;
    for (size_t i = 0; i < YM_RECORD_COUNT; i++)
        f.record[i] = draw(3) ? YM_RECORD_LIVE : (uint8_t)draw(YM_RECORD_STATES);
    if (draw(4))
        choose(&f, YM_CHOICE_ARTEFACT, "update"), choose(&f, YM_CHOICE_PROTECTION, "complete");
    return f;
}

/* The same with every unknown fact made known, somehow. */
static struct ym_facts completed(struct ym_facts f)
{
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++)
        if (!f.choice[i])
            f.choice[i] = (uint8_t)(1 + draw(values_of((enum ym_choice)i) - 1));
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        if (f.people[i] < 0)
            f.people[i] = counts[draw(sizeof counts / sizeof *counts)];
    return f;
}

static struct ym_crossing decide(const struct ym_facts *f)
{
    struct ym_crossing d;
    ym_border_decide(sets, 2, f, "2026-11-22", false, &d);
    return d;
}

/* Prints both cases when the second opens what the first kept shut. */
static void must_not_open(const struct ym_facts *shut, const struct ym_facts *other)
{
    struct ym_crossing a = decide(shut), b = decide(other);
    if (b.outcome >= a.outcome)
        return;
    struct ym_buf text = {0};
    ym_crossing_print(&a, &text);
    ym_crossing_print(&b, &text);
    fprintf(stderr, "%s%s\n", ym_buf_str(&text), json_dumps(ym_facts_json(other), JSON_COMPACT));
    fail();
}

static void every_combination_has_an_answer_that_prints(void **state)
{
    struct ym_buf text = {0};
    size_t seen[3] = {0};
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts f = random_facts();
        struct ym_crossing d = decide(&f);
        assert_in_range(d.outcome, YM_PROCEED, YM_REFUSE);
        assert_true(d.outcome >= d.artefact.outcome);
        for (size_t t = 0; t < YM_TRACK_COUNT; t++)
            assert_true(d.outcome >= d.track[t].outcome && ym_label_rank(d.label) >= ym_label_rank(d.track[t].label));
        seen[d.outcome]++;
        if (n % 97)
            continue;
        ym_buf_clear(&text);
        assert_int_equal(ym_crossing_print(&d, &text), YM_OK);
        assert_non_null(strstr(ym_buf_str(&text), ym_text(YM_TEXT_BORDER_NOT_ADVICE)));
        json_t *json = ym_crossing_json(&d);
        assert_int_equal(json_array_size(json_object_get(json, "tracks")), YM_TRACK_COUNT + 1);
        json_decref(json);
    }
    assert_true(seen[YM_PROCEED] > 1000 && seen[YM_HOLD] > 1000 && seen[YM_REFUSE] > 1000);
    ym_buf_release(&text);
}

/* What proceeds without knowing something would have proceeded whatever that is. */
static void an_unknown_fact_opens_no_gate(void **state)
{
    size_t proceeded = 0;
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts f = random_facts();
        if (draw(2))
            f.choice[draw(YM_CHOICE_COUNT)] = 0;
        else
            f.people[draw(YM_PEOPLE_COUNT)] = YM_PEOPLE_UNKNOWN;
        if (decide(&f).outcome != YM_PROCEED)
            continue;
        struct ym_facts known = completed(f);
        must_not_open(&known, &f);
        proceeded++;
    }
    assert_true(proceeded > 1000);
}

static void a_higher_tier_opens_no_gate(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts low = completed(random_facts()), high = low;
        choose(&low, YM_CHOICE_TIER, draw(2) ? "general" : "important");
        choose(&high, YM_CHOICE_TIER, low.choice[YM_CHOICE_TIER] == 1 && draw(2) ? "important" : "core");
        must_not_open(&low, &high);
    }
}

static void more_people_open_no_gate(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts few = completed(random_facts()), many = few;
        many.people[draw(YM_PEOPLE_COUNT)] += draw(20000);
        must_not_open(&few, &many);
    }
}

static void a_record_that_goes_opens_no_gate(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts with = random_facts(), without = with;
        without.record[draw(YM_RECORD_COUNT)] = (uint8_t)draw(YM_RECORD_LIVE);
        must_not_open(&with, &without);
    }
}

static void tracks_do_not_see_each_other(void **state)
{
    static const enum ym_choice hgr_only[] = {YM_CHOICE_IMPORTANT_FAMILY, YM_CHOICE_SPECIFIED_REGION,
                                              YM_CHOICE_HGR_SALE,         YM_CHOICE_HGR_ROUTE,
                                              YM_CHOICE_FOREIGN_UNIT,     YM_CHOICE_CHINESE_PARTNER};
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct ym_facts a = random_facts(), b = a;
        enum ym_choice c = hgr_only[draw(sizeof hgr_only / sizeof *hgr_only)];
        b.choice[c] = (uint8_t)draw(values_of(c));
        b.record[YM_RECORD_HGR_APPROVAL] = (uint8_t)draw(YM_RECORD_STATES);
        struct ym_crossing x = decide(&a), y = decide(&b);
        for (size_t t = 0; t < YM_TRACK_COUNT; t++)
            if (t != YM_TRACK_HGR)
                assert_true(x.track[t].outcome == y.track[t].outcome && x.track[t].label == y.track[t].label);
    }
}

static void facts_come_back_as_they_were_said(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    (void)state;
    for (size_t n = 0; n < 2000; n++) {
        struct ym_facts f = random_facts(), back;
        json_t *json = ym_facts_json(&f);
        assert_int_equal(ym_facts_read(json, &back, &st), YM_OK);
        assert_memory_equal(&f, &back, sizeof f);
        json_decref(json);
    }
}

static void what_nobody_signed_decides_nothing(void **state)
{
    struct ym_facts f = facts_v1();
    struct ym_crossing d;
    struct ym_rules_in in[2] = {{sets[0].rules, false}, sets[1]};
    (void)state;
    ym_border_decide(in, 2, &f, "2026-11-22", false, &d);
    assert_int_equal(d.outcome, YM_HOLD);
    assert_int_equal(d.track[YM_TRACK_CAC].ground, YM_GROUND_NO_SET);
    ym_border_decide(sets, 2, &f, "2025-12-31", false, &d); /* before it is in force */
    assert_int_equal(d.track[YM_TRACK_CAC].ground, YM_GROUND_NO_SET);
    struct ym_rules_in twice[3] = {sets[0], sets[1], sets[0]};
    ym_border_decide(twice, 3, &f, "2026-11-22", false, &d);
    assert_int_equal(d.track[YM_TRACK_CAC].ground, YM_GROUND_TWO_SETS);
    assert_int_equal(d.outcome, YM_HOLD);
}

static void a_draft_only_forecasts(void **state)
{
    struct ym_facts f = facts_v1();
    struct ym_crossing d;
    struct ym_rules draft = *sets[0].rules;
    (void)state;
    draft.draft = true;
    struct ym_rules_in in[2] = {{&draft, true}, sets[1]};
    ym_border_decide(in, 2, &f, "2026-11-22", false, &d);
    assert_int_equal(d.outcome, YM_HOLD);
    assert_false(d.forecast);
    ym_border_decide(in, 2, &f, "2026-11-22", true, &d);
    assert_int_equal(d.outcome, YM_PROCEED);
    assert_true(d.forecast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_has_an_answer_that_prints),
        cmocka_unit_test(an_unknown_fact_opens_no_gate),
        cmocka_unit_test(a_higher_tier_opens_no_gate),
        cmocka_unit_test(more_people_open_no_gate),
        cmocka_unit_test(a_record_that_goes_opens_no_gate),
        cmocka_unit_test(tracks_do_not_see_each_other),
        cmocka_unit_test(facts_come_back_as_they_were_said),
        cmocka_unit_test(what_nobody_signed_decides_nothing),
        cmocka_unit_test(a_draft_only_forecasts),
    };
    return cmocka_run_group_tests(tests, sets_open, sets_close);
}

/* What must hold of every decision, asked of random facts; the shipped sets are those a site would sign. */
#include "base/text.h"
#include "gate/card.h"
#include "gate/plan.h"
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

/* ---- a zone's list, at random ---- */

enum { ITEMS = 6, VARIABLES = 5 };
struct zoned {
    struct ym_zone_row row[3 * ITEMS];
    char area[1][64];
    struct ym_zone_list list;
    struct ym_rules rules;
    struct ym_zone_item item[VARIABLES];
    struct ym_variable input[VARIABLES - 1];
    struct ym_card card;
    struct ym_plan plan;
};

/* Mildest first; a row with more people is never milder. */
static uint8_t place(uint32_t rank)
{
    static const char *const words[] = {"off_list", "on_list_contract", "on_list_assessment"};
    return (uint8_t)ym_choice_value_find(YM_CHOICE_ZONE, words[rank]);
}

static void random_rows(struct zoned *z)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        uint32_t rank = draw(3), more = draw(3);
        int64_t from = 0;
        for (uint32_t k = 0; k <= more; k++) {
            struct ym_zone_row *row = &z->row[z->list.row_count++];
            snprintf(row->item, sizeof row->item, "i%u", i);
            row->from = from;
            row->zone = place(rank);
            rank += draw(3 - rank);
            from += 1 + draw(20000);
        }
    }
}

static void random_zoned(struct zoned *z)
{
    memset(z, 0, sizeof *z);
    z->list.row = z->row;
    z->list.area = z->area;
    z->list.area_count = 1;
    z->rules.zone = &z->list;
    z->rules.version = z->card.border.zone.version = 1 + draw(2);
    snprintf(z->rules.name, sizeof z->rules.name, "list");
    snprintf(z->card.border.zone.list, sizeof z->card.border.zone.list, "list");
    snprintf(z->rules.effective_from, sizeof z->rules.effective_from, "2026-04-01");
    snprintf(z->area[0], sizeof z->area[0], "shanghai");
    snprintf(z->card.border.province, sizeof z->card.border.province, "shanghai");
    random_rows(z);
    z->plan.input = z->input;
    z->plan.input_count = VARIABLES - 1;
    z->card.border.zone.item = z->item;
    z->card.border.zone.count = VARIABLES;
    for (unsigned i = 0; i < VARIABLES; i++) {
        char *name = i < VARIABLES - 1 ? z->input[i].name : z->plan.outcome.name;
        snprintf(name, 64, "v%u", i);
        snprintf(z->item[i].variable, sizeof z->item[i].variable, "v%u", i);
        snprintf(z->item[i].item, sizeof z->item[i].item, "i%u", draw(ITEMS));
    }
}

static uint8_t zone_at(const struct zoned *z, int64_t people)
{
    struct ym_rules_in in = {&z->rules, true};
    return ym_zone_of(&in, 1, &z->plan, &z->card, people, "2026-11-22", false, NULL);
}

static void zone_must_not_open(struct ym_facts f, uint8_t shut, uint8_t other)
{
    struct ym_facts g = f;
    f.choice[YM_CHOICE_ZONE] = shut;
    g.choice[YM_CHOICE_ZONE] = other;
    if (shut != other)
        must_not_open(&f, &g);
}

/* What one item is taken for, alone. */
static uint8_t alone(struct zoned *z, unsigned variable, int64_t people)
{
    struct ym_zone_item keep[VARIABLES];
    memcpy(keep, z->item, sizeof keep);
    for (unsigned i = 0; i < VARIABLES; i++)
        memcpy(z->item[i].item, keep[variable].item, sizeof keep[i].item);
    uint8_t zone = zone_at(z, people);
    memcpy(z->item, keep, sizeof keep);
    return zone;
}

static void a_zones_list_opens_only_what_is_mapped_and_no_more_for_more_people(void **state)
{
    static const char *const wrong[] = {"no_such_item", ""};
    struct zoned z;
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        random_zoned(&z);
        struct ym_facts f = completed(random_facts());
        int64_t people = counts[draw(sizeof counts / sizeof *counts)];
        uint8_t zone = zone_at(&z, people);
        assert_true(zone >= place(0));
        zone_must_not_open(f, zone, zone_at(&z, people + draw(20000)));
        unsigned which = draw(VARIABLES); /* one variable less is never stricter */
        zone_must_not_open(f, alone(&z, which, people), zone);
        zone_must_not_open(f, zone, zone_at(&z, YM_PEOPLE_UNKNOWN));
        switch (draw(4)) {
        case 0:
            snprintf(z.item[which].item, sizeof z.item[which].item, "%s", wrong[draw(2)]);
            break;
        case 1:
            z.item[which].variable[0] = 'w';
            break;
        case 2:
            z.card.border.zone.version++;
            break;
        default:
            z.area[0][0] = 'S';
        }
        assert_int_equal(zone_at(&z, people), 0);
        zone_must_not_open(f, zone, 0);
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
        cmocka_unit_test(a_zones_list_opens_only_what_is_mapped_and_no_more_for_more_people),
        cmocka_unit_test(facts_come_back_as_they_were_said),
        cmocka_unit_test(what_nobody_signed_decides_nothing),
        cmocka_unit_test(a_draft_only_forecasts),
    };
    return cmocka_run_group_tests(tests, sets_open, sets_close);
}

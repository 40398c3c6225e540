/* Zones' negative lists: what a signed list and a card's mapping make of the fact "zone" (FZ-01 to FZ-09). */
#include "gate_help.h"
#include "tests/support/border.h"

static const char list_text[] =
    "yumen: ruleset/1\nname: cn-shanghai\nversion: 3\neffective_from: 2026-04-01\n"
    "title: {en: t, zh: t}\n"
    "zone:\n"
    "  area: [shanghai]\n"
    "  until: 2027-12-31\n"
    "  rows:\n"
    "    - {item: laboratory, list: off_list, en: t, zh: t, source: s}\n"
    "    - {item: diagnosis, list: off_list, en: t, zh: t, source: s}\n"
    "    - {item: diagnosis, from: 50000, list: on_list_contract, en: t, zh: t, source: s}\n"
    "    - {item: diagnosis, from: 100000, list: on_list_assessment, en: t, zh: t, source: s}\n"
    "    - {item: devices, list: on_list_contract, en: t, zh: t, source: s}\n";

/* The variables of good_plan. */
static const char card_text[] =
    "yumen: card/1\nname: breast\ntitle: t\nfile: d.csv\npatient_column: p\n"
    "size_class: \"100-499\"\ntier: general\nvariables:\n"
    "  - {name: radius, column: r, unit: mm, low: 6, high: 30}\n"
    "border: {exporter: E, province: shanghai, zone: {list: cn-shanghai, version: 3, registered: zone no. 7, "
    "items: {radius: laboratory, sex: laboratory, malignant: diagnosis}}}\n";

static struct ym_rules *list_must(const char *find, const char *replace)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_rules *r = NULL;
    char *text = text_edit(list_text, find, replace);
    assert_int_equal(ym_doc_parse("list.yaml", text, strlen(text), &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_rules_read(doc, &r, &p, NULL), YM_OK);
    ym_problems_release(&p);
    ym_doc_free(doc);
    free(text);
    return r;
}

struct question {
    const char *list, *list_by, *card, *card_by, *plan, *plan_by; /* edits */
    int64_t people;
    const char *today;
    bool is_unsigned, forecast;
};
#define ASK(...) ask((struct question){__VA_ARGS__})

static const char *ask(struct question q)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_rules *r = list_must(q.list, q.list_by);
    char *card_yaml = text_edit(card_text, q.card, q.card_by), *plan_yaml = text_edit(good_plan, q.plan, q.plan_by);
    struct ym_card *card = card_must(card_yaml);
    struct ym_plan *plan = plan_must(plan_yaml);
    struct ym_rules_in in = {r, !q.is_unsigned};
    uint8_t zone = ym_zone_of(&in, 1, plan, card, q.people, q.today, q.forecast, &st);
    assert_true(zone ? !st.message[0] : strstr(st.message, "zone:") == st.message);
    ym_plan_free(plan);
    ym_card_free(card);
    ym_rules_free(r);
    free(card_yaml);
    free(plan_yaml);
    return ym_choice_value(YM_CHOICE_ZONE, zone);
}

static const char *on_list(const char *find, const char *replace)
{
    return ASK(find, replace, "", "", "", "", 100, "2026-11-22", false, false);
}

static const char *on_card(const char *find, const char *replace)
{
    return ASK("", "", find, replace, "", "", 100, "2026-11-22", false, false);
}

static const char *at(int64_t people, const char *today)
{
    return ASK("", "", "", "", "", "", people, today, false, false);
}

static void the_worst_variable_decides(void **state)
{
    (void)state;
    assert_string_equal(on_card("", ""), "off_list");
    assert_string_equal(on_card("sex: laboratory", "sex: devices"), "on_list_contract");
    assert_string_equal(on_card("radius: laboratory", "radius: devices"), "on_list_contract");
    assert_string_equal(on_list("{item: laboratory, list: off_list", "{item: laboratory, list: on_list_assessment"),
                        "on_list_assessment");
}

static void a_row_holds_from_its_number_of_people_on(void **state)
{
    (void)state;
    assert_string_equal(at(49999, "2026-11-22"), "off_list");
    assert_string_equal(at(50000, "2026-11-22"), "on_list_contract");
    assert_string_equal(at(99999, "2026-11-22"), "on_list_contract");
    assert_string_equal(at(100000, "2026-11-22"), "on_list_assessment");
    assert_string_equal(at(YM_PEOPLE_UNKNOWN, "2026-11-22"), "unknown");
    assert_string_equal(ASK("", "", "malignant: diagnosis", "malignant: laboratory", "", "", YM_PEOPLE_UNKNOWN,
                            "2026-11-22", false, false),
                        "off_list"); /* one row for any number */
}

static void what_is_not_mapped_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(on_card("sex: laboratory, ", ""), "unknown");
    assert_string_equal(on_card(", malignant: diagnosis", ""), "unknown");
    assert_string_equal(on_card("sex: laboratory", "sex: no_such_row"), "unknown");
    assert_string_equal(ASK("", "", "", "", "name: radius", "name: area", 100, "2026-11-22", false, false), "unknown");
}

static void a_list_is_signed_in_force_of_the_cards_version_and_province(void **state)
{
    (void)state;
    assert_string_equal(ASK("", "", "", "", "", "", 100, "2026-11-22", true, false), "unknown");
    assert_string_equal(at(100, "2026-03-31"), "unknown"); /* FZ-05: the day before */
    assert_string_equal(at(100, "2026-04-01"), "off_list");
    assert_string_equal(at(100, "2027-12-31"), "off_list");
    assert_string_equal(at(100, "2028-01-01"), "unknown");
    assert_string_equal(on_card("list: cn-shanghai", "list: cn-beijing"), "unknown");
    assert_string_equal(on_card("version: 3", "version: 2"), "unknown");
    assert_string_equal(on_list("version: 3", "version: 4"), "unknown"); /* a new list: map again */
    assert_string_equal(on_card("province: shanghai", "province: beijing"), "unknown");
    assert_string_equal(on_card("province: shanghai, ", ""), "unknown");
    assert_string_equal(on_list("area: [shanghai]", "area: [tianjin, shanghai]"), "off_list");
    assert_string_equal(on_list("title:", "draft: \"yes\"\ntitle:"), "unknown");
    assert_string_equal(ASK("title:", "draft: \"yes\"\ntitle:", "", "", "", "", 100, "2026-11-22", false, true),
                        "off_list");
}

static void a_card_without_a_mapping_says_none_or_nothing(void **state)
{
    static const char section[] = "zone: {list: cn-shanghai, version: 3, registered: zone no. 7, "
                                  "items: {radius: laboratory, sex: laboratory, malignant: diagnosis}}";
    struct ym_problems p = {0};
    struct ym_card *card = NULL;
    (void)state;
    assert_string_equal(on_card(section, "declares: {zone: none}"), "none");
    char *text = text_edit(card_text, section, "declares: {zone: off_list}"); /* nobody declares it */
    assert_int_equal(card_parse(text, &card, &p), YM_INVALID);
    free(text);
    text = text_edit(card_text, "province: shanghai", "declares: {zone: none}"); /* both */
    assert_int_equal(card_parse(text, &card, &p), YM_INVALID);
    free(text);
    ym_problems_release(&p);
}

static void a_mapping_that_changes_makes_records_stale(void **state)
{
    static const char *const change[][2] = {{"radius: laboratory", "radius: devices"},
                                            {"malignant: diagnosis", "malignant: laboratory"},
                                            {"version: 3", "version: 4"},
                                            {"list: cn-shanghai", "list: cn-beijing"},
                                            {"zone no. 7", "zone no. 8"},
                                            {"province: shanghai", "province: beijing"}};
    uint8_t before[YM_MATERIAL_COUNT][YM_HASH_BYTES], after[YM_MATERIAL_COUNT][YM_HASH_BYTES];
    struct ym_plan *plan = plan_must(good_plan);
    struct ym_card *card = card_must(card_text);
    (void)state;
    ym_material_of(plan, card, before);
    ym_card_free(card);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        char *text = text_edit(card_text, change[i][0], change[i][1]);
        card = card_must(text);
        ym_material_of(plan, card, after);
        assert_memory_not_equal(before[YM_MATERIAL_SCOPE], after[YM_MATERIAL_SCOPE], YM_HASH_BYTES);
        assert_memory_equal(before[YM_MATERIAL_PURPOSE], after[YM_MATERIAL_PURPOSE], YM_HASH_BYTES);
        ym_card_free(card);
        free(text);
    }
    ym_plan_free(plan);
}

static void assert_refused(const char *find, const char *replace, const char *key)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_rules *r = NULL;
    char *text = text_edit(list_text, find, replace);
    assert_int_equal(ym_doc_parse("list.yaml", text, strlen(text), &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_rules_read(doc, &r, &p, NULL), YM_INVALID);
    assert_non_null(strstr(p.item[0].key, key));
    ym_problems_release(&p);
    ym_doc_free(doc);
    free(text);
}

static void a_list_that_gets_milder_or_begins_late_is_refused(void **state)
{
    (void)state;
    assert_refused("from: 50000, list: on_list_contract", "from: 100000, list: on_list_contract", "from");
    assert_refused("from: 100000, list: on_list_assessment", "from: 100000, list: off_list", "list");
    assert_refused("{item: devices, ", "{item: devices, from: 1, ", "from");
    assert_refused("list: on_list_contract, en: t, zh: t, source: s}\n    - {item: diagnosis, from: 100000",
                   "list: none, en: t, zh: t, source: s}\n    - {item: diagnosis, from: 100000", "list");
    assert_refused("until: 2027-12-31", "until: 2027-02-30", "until");
    assert_refused("area: [shanghai]", "area: []", "area");
    assert_refused("area: [shanghai]", "area: [\"Shang Hai\"]", "area");
    assert_refused("zone:", "zones:", "");
}

static void the_shipped_template_is_a_draft_of_the_right_form(void **state)
{
    struct ym_rules *r = rules_must(BORDER_FOLDER "cn-zone.yaml");
    (void)state;
    assert_true(r->draft && r->zone && r->zone->row_count == 3);
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        assert_false(r->covers[t]);
    ym_rules_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_variable_decides),
        cmocka_unit_test(a_row_holds_from_its_number_of_people_on),
        cmocka_unit_test(what_is_not_mapped_is_unknown),
        cmocka_unit_test(a_list_is_signed_in_force_of_the_cards_version_and_province),
        cmocka_unit_test(a_card_without_a_mapping_says_none_or_nothing),
        cmocka_unit_test(a_mapping_that_changes_makes_records_stale),
        cmocka_unit_test(a_list_that_gets_milder_or_begins_late_is_refused),
        cmocka_unit_test(the_shipped_template_is_a_draft_of_the_right_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "gate/card.h"

#include "base/json.h"
#include "base/text.h"
#include "gate_help.h"

static const char good_card[] = "yumen: card/1\n"                                                            /* 1 */
                                "name: breast\n"                                                             /* 2 */
                                "title: 乳腺细胞学\n"                                                        /* 3 */
                                "file: data/部分.csv\n"                                                      /* 4 */
                                "encoding: gb18030\n"                                                        /* 5 */
                                "separator: \";\"\n"                                                         /* 6 */
                                "patient_column: 病历号\n"                                                   /* 7 */
                                "size_class: \"100-499\"\n"                                                  /* 8 */
                                "tier: important\n"                                                          /* 9 */
                                "shares_patients_with: [thyroid]\n"                                          /* 10 */
                                "variables:\n"                                                               /* 11 */
                                "  - {name: radius, column: 半径, unit: mm, factor: 10, low: 6, high: 30}\n" /* 12 */
                                "  - name: sex\n"                                                            /* 13 */
                                "    column: 性别\n"                                                         /* 14 */
                                "    levels: [female, male]\n"                                               /* 15 */
                                "    map: {男: male, 女: female, 1: male}\n"                                 /* 16 */
                                "    missing: [未查, \"-\", 9]\n"                                            /* 17 */
                                "  - {name: seen, column: 日期, unit: day, low: 0, high: 30000, "            /* 18 */
                                "date_format: \"%Y年%m月%d日\"}\n"
                                "  - {name: malignant, column: 诊断, levels: [benign, malignant], " /* 19 */
                                "map: {良性: benign, 恶性: malignant}}\n";

static void every_key_reaches_the_card(void **state)
{
    struct ym_card *c = card_must(good_card);
    (void)state;
    assert_string_equal(c->name, "breast");
    assert_string_equal(c->encoding, "gb18030");
    assert_int_equal(c->separator, ';');
    assert_string_equal(c->patient_column, "病历号");
    assert_string_equal(c->size_class, "100-499");
    assert_string_equal(c->identifier, "unspecified");
    assert_string_equal(c->tier, "important");
    assert_int_equal(c->shares_count, 1);
    assert_string_equal(c->shares_patients_with[0], "thyroid");
    assert_int_equal(c->var_count, 4);
    assert_true(c->var[0].factor == 10 && c->var[0].offset == 0 && c->var[0].high == 30);
    assert_true(c->var[1].category);
    assert_int_equal(c->var[1].map_count, 3);
    assert_string_equal(c->var[1].map[0].from, "1"); /* sorted by bytes */
    assert_true(c->var[1].map[0].to == 1);
    assert_int_equal(c->var[1].missing_count, 3);
    assert_string_equal(c->var[1].missing[2], "9");
    assert_string_equal(c->var[2].date_format, "%Y年%m月%d日");
    ym_card_free(c);
}

static void public_part_holds_no_local_name(void **state)
{
    struct ym_card *c = card_must(good_card);
    const char *text = ym_buf_str(&c->public_json);
    (void)state;
    assert_string_equal(text, "{\"name\":\"breast\",\"patient_identifier\":\"unspecified\",\"size_class\":\"100-499\","
                              "\"tier\":\"important\",\"title\":"
                              "\"\\u4E73\\u817A\\u7EC6\\u80DE\\u5B66\",\"variables\":["
                              "{\"high\":\"30\",\"low\":\"6\",\"name\":\"radius\",\"unit\":\"mm\"},"
                              "{\"levels\":[\"female\",\"male\"],\"name\":\"sex\"},"
                              "{\"high\":\"30000\",\"low\":\"0\",\"name\":\"seen\",\"unit\":\"day\"},"
                              "{\"levels\":[\"benign\",\"malignant\"],\"name\":\"malignant\"}]}");
    ym_card_free(c);
}

struct bad {
    const char *find, *replace;
    int line;
    const char *key, *part;
};

static const struct bad bad_cards[] = {
    {"size_class", "patient_identifier: name\nsize_class", 8, "patient_identifier", "hospital_id"},
    {"card/1", "card/9", 1, "yumen", "card/1"},
    {"name: breast", "name: Breast", 2, "name", "name"},
    {"", "seperator: x\n", 20, "seperator", "\"separator\""},
    {"patient_column: 病历号\n", "", 0, "patient_column", "missing"},
    {"encoding: gb18030", "encoding: latin1", 5, "encoding", "gb18030"},
    {"separator: \";\"", "separator: \"|\"", 6, "separator", "tab"},
    {"file: data/部分.csv", "file: /etc/passwd", 4, "file", "relative"},
    {"file: data/部分.csv", "file: data/../../x.csv", 4, "file", "relative"},
    {"\"100-499\"", "\"about 300\"", 8, "size_class", "2000-9999"},
    {"tier: important", "tier: secret", 9, "tier", "core"},
    {"[thyroid]", "[Thyroid X]", 10, "shares_patients_with", "name"},
    {"factor: 10", "factor: 0", 12, "variables[0].factor", "must not be 0"},
    {"low: 6, high: 30", "low: 31, high: 30", 12, "variables[0].low", "less than"},
    {"low: 6, high: 30", "low: 6", 12, "variables[0].high", "missing"},
    {"    levels: [female, male]\n", "    levels: [female, male]\n    unit: kg\n", 16, "variables[1].unit", "category"},
    {"男: male", "男: man", 16, "variables[1].map.男", "\"man\""},
    {"男: male", "男: [male]", 16, "variables[1].map.男", "text"},
    {"[female, male]", "[male, male, female]", 15, "variables[1].levels", "twice"},
    {"%d日", "日", 18, "variables[2].date_format", "%Y-%m-%d"},
    {"%d日", "%d %p", 18, "variables[2].date_format", "%Y-%m-%d"},
    {"high: 30}", "high: 30, map: {\"<1\": low}}", 12, "variables[0].map.<1", "number"},
    {"name: malignant", "name: radius", 19, "variables[3].name", "twice"},
};

static void each_mistake_gives_one_problem_with_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cards / sizeof *bad_cards; i++) {
        const struct bad *b = &bad_cards[i];
        char *text = text_edit(good_card, b->find, b->replace);
        struct ym_problems p = {0};
        struct ym_card *card = NULL;
        assert_int_equal(card_parse(text, &card, &p), YM_INVALID);
        assert_null(card);
        assert_problem(&p, b->line ? b->line : 1, b->key, b->part);
        ym_problems_release(&p);
        free(text);
    }
}

static void the_public_part_is_bounded(void **state)
{
    struct ym_buf text = {0};
    struct ym_problems p = {0};
    struct ym_card *card = NULL;
    (void)state;
    ym_buf_puts(&text, good_card);
    for (int i = 0; i < 700; i++)
        ym_buf_printf(&text, "  - {name: variable_%d, column: c%d, unit: mm, low: 0, high: 1}\n", i, i);
    assert_int_equal(card_parse(ym_buf_str(&text), &card, &p), YM_INVALID);
    assert_problem(&p, 11, "variables", "32768");
    ym_problems_release(&p);
    ym_buf_release(&text);
}

/* ---- fits ---- */

static bool fits(const char *inputs, const char *part)
{
    char *text = text_edit(good_plan, "    - {name: sex, levels: [female, male], missing: drop}\n", inputs);
    struct ym_plan *plan = plan_must(text);
    struct ym_card *card = card_must(good_card);
    struct ym_buf why = {0};
    json_t *public = NULL;
    assert_int_equal(ym_json_parse(card->public_json.data, card->public_json.len, 32768, &public, NULL), YM_OK);
    bool answer = ym_card_fits(plan, public, &why);
    if (part && !strstr(ym_buf_str(&why), part))
        fail_msg("'%s' is not in '%s'", part, ym_buf_str(&why));
    assert_true(answer == (why.len == 0));
    json_decref(public);
    ym_buf_release(&why);
    ym_card_free(card);
    ym_plan_free(plan);
    free(text);
    return answer;
}

static void a_plan_fits_when_names_units_and_levels_do(void **state)
{
    (void)state;
    assert_true(fits("    - {name: sex, levels: [male, female]}\n", NULL));
    assert_false(fits("    - {name: age, unit: year, low: 0, high: 9}\n", "\"age\" is not on the card"));
    assert_false(fits("    - {name: seen, unit: year, low: 0, high: 9}\n", "\"day\""));
    assert_false(fits("    - {name: seen, unit: day, low: -9, high: -1}\n", "range"));
    assert_false(fits("    - {name: sex, levels: [male, Female]}\n", "\"Female\""));
    assert_false(fits("    - {name: sex, unit: kg, low: 0, high: 9}\n", "category"));
    assert_false(fits("    - {name: seen, levels: [a, b]}\n", "number"));
}

static void a_foreign_public_part_is_read_with_suspicion(void **state)
{
    static const char *const parts[] = {
        "{}",
        "[]",
        "{\"variables\":{}}",
        "{\"variables\":[1,[],{}]}",
        "{\"variables\":[{\"name\":\"malignant\",\"levels\":[1,2]}]}",
        "{\"variables\":[{\"name\":\"malignant\",\"levels\":{}}]}",
        "{\"variables\":[{\"name\":\"malignant\",\"levels\":[\"benign\",\"malignant\"]},{\"name\":\"radius\"}]}",
        "{\"variables\":[{\"name\":\"malignant\",\"levels\":[\"benign\",\"malignant\"]},"
        "{\"name\":\"radius\",\"unit\":\"mm\",\"low\":\"x\",\"high\":\"9\"}]}",
    };
    struct ym_plan *plan = plan_must(good_plan);
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_t *public = NULL;
        struct ym_buf why = {0};
        assert_int_equal(ym_json_parse(parts[i], strlen(parts[i]), 32768, &public, NULL), YM_OK);
        assert_false(ym_card_fits(plan, public, &why));
        assert_true(why.len > 0);
        json_decref(public);
        ym_buf_release(&why);
    }
    ym_plan_free(plan);
}

static void the_example_in_docs_fits_its_plan(void **state)
{
    struct ym_doc *plan_doc = NULL, *card_doc = NULL;
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    struct ym_card *card = NULL;
    struct ym_buf why = {0};
    json_t *public = NULL;
    (void)state;
    assert_int_equal(ym_doc_load(YM_TEST_SOURCE_ROOT "/docs/examples/wdbc-plan.yaml", &plan_doc, &p, NULL), YM_OK);
    assert_int_equal(ym_doc_load(YM_TEST_SOURCE_ROOT "/docs/examples/wdbc-card.yaml", &card_doc, &p, NULL), YM_OK);
    assert_int_equal(ym_plan_read(plan_doc, &plan, &p, NULL), YM_OK);
    assert_int_equal(ym_card_read(card_doc, &card, &p, NULL), YM_OK);
    assert_int_equal(ym_json_parse(card->public_json.data, card->public_json.len, 32768, &public, NULL), YM_OK);
    assert_true(ym_card_fits(plan, public, &why));
    json_decref(public);
    ym_card_free(card);
    ym_plan_free(plan);
    ym_doc_free(plan_doc);
    ym_doc_free(card_doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_reaches_the_card),
        cmocka_unit_test(public_part_holds_no_local_name),
        cmocka_unit_test(each_mistake_gives_one_problem_with_line_and_key),
        cmocka_unit_test(the_public_part_is_bounded),
        cmocka_unit_test(a_plan_fits_when_names_units_and_levels_do),
        cmocka_unit_test(a_foreign_public_part_is_read_with_suspicion),
        cmocka_unit_test(the_example_in_docs_fits_its_plan),
    };
    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Procedural clocks (PW-11): by when an authority may be expected to answer, over working days that are data. */
#include "tests/support/border.h"
#include "tests/unit/gate_help.h"

static const char text[] =
    "yumen: ruleset/1\nname: c\nversion: 1\neffective_from: 2026-01-01\n"
    "title: {en: t, zh: t}\n"
    "clocks:\n"
    "  years: [2026]\n"
    "  holidays: [\"2026-10-01\", \"2026-10-02\"]\n"
    "  workdays: [\"2026-10-10\"]\n"
    "  steps:\n"
    "    - {id: first, record: security_assessment, days: 5, en: t, zh: t, source: s}\n"
    "    - {id: second, record: security_assessment, after: first, days: 7, en: t, zh: t, source: s}\n"
    "    - {id: plain, record: security_assessment, days: 5, count: calendar, en: t, zh: t, source: s}\n";

static enum ym_code parse(const char *find, const char *replace, struct ym_rules **r, struct ym_problems *p)
{
    struct ym_doc *doc = NULL;
    char *edited = text_edit(text, find, replace);
    assert_int_equal(ym_doc_parse("c.yaml", edited, strlen(edited), &doc, p, NULL), YM_OK);
    enum ym_code code = ym_rules_read(doc, r, p, NULL);
    ym_doc_free(doc);
    free(edited);
    return code;
}

static void expect(size_t step, const char *filed, const char *due)
{
    struct ym_problems p = {0};
    struct ym_rules *r = NULL;
    char day[16];
    assert_int_equal(parse("", "", &r, &p), YM_OK);
    assert_int_equal(ym_clock_due(r->clocks, step, filed, day), due != NULL);
    if (due)
        assert_string_equal(day, due);
    ym_rules_free(r);
    ym_problems_release(&p);
}

static void weekends_and_holidays_do_not_count_and_worked_weekends_do(void **state)
{
    (void)state;
    expect(0, "2026-11-02", "2026-11-09"); /* Monday: Tue Wed Thu Fri, Mon */
    expect(0, "2026-11-06", "2026-11-13"); /* Friday */
    expect(0, "2026-11-07", "2026-11-13"); /* Saturday */
    expect(0, "2026-09-30", "2026-10-09"); /* Thursday and Friday off: Mon to Fri */
    expect(0, "2026-10-05", "2026-10-10"); /* Tue Wed Thu Fri, and the Saturday at work */
    expect(2, "2026-09-30", "2026-10-05"); /* every day counts */
}

static void a_step_counts_from_the_end_of_another(void **state)
{
    (void)state;
    expect(1, "2026-11-02", "2026-11-18"); /* the 9th, then Tue to Fri, Mon Tue Wed */
}

static void a_year_that_the_calendar_lacks_has_no_answer(void **state)
{
    (void)state;
    expect(0, "2026-12-24", "2026-12-31");
    expect(0, "2026-12-25", NULL);
    expect(1, "2026-12-20", NULL);
    expect(0, "2025-12-30", NULL);
    expect(2, "2026-12-30", "2027-01-04");
}

static void it_covers_no_track_and_what_is_wrong_is_refused(void **state)
{
    static const char *const wrong[][2] = {{"after: first", "after: third"},
                                           {"after: first", "after: second"},
                                           {"days: 5", "days: 0"},
                                           {"days: 5", "days: 401"},
                                           {"id: second", "id: first"},
                                           {"record: security_assessment", "record: pass"},
                                           {"2026-10-10", "2026-10-32"},
                                           {"years: [2026]", "years: []"},
                                           {"count: calendar", "count: lunar"}};
    struct ym_problems p = {0};
    struct ym_rules *r = NULL;
    (void)state;
    assert_int_equal(parse("", "", &r, &p), YM_OK);
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        assert_false(r->covers[t]);
    ym_rules_free(r);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(parse(wrong[i][0], wrong[i][1], &r, &p), YM_INVALID);
    ym_problems_release(&p);
    r = rules_must(BORDER_FOLDER "cn-clocks.yaml");
    assert_true(r->draft && r->clocks->step_count == 4);
    ym_rules_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weekends_and_holidays_do_not_count_and_worked_weekends_do),
        cmocka_unit_test(a_step_counts_from_the_end_of_another),
        cmocka_unit_test(a_year_that_the_calendar_lacks_has_no_answer),
        cmocka_unit_test(it_covers_no_track_and_what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

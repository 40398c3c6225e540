/* Warnings on the way to a limit of people: once for each mark and year, however the clock goes. */
#include "tests/support/border.h"

#include "ledger_help.h"
#include "site_help.h"

#include "base/text.h"
#include "worker/trainer/border.h"

static const char text[] =
    "yumen: ruleset/1\nname: w\nversion: 1\neffective_from: 2020-01-01\n"
    "title: {en: t, zh: t}\n"
    "bands:\n  n_sensitive: [{name: few, from: 0}, {name: many, from: 1000}]\n"
    "clocks:\n  years: [2026]\n  steps:\n    - {id: a, record: ethics, days: 5, en: t, zh: t, source: s}\n";

enum { IN_2026 = 1782000000, IN_2027 = IN_2026 + 365 * 86400 };

static void take(struct ym_border *b, const char *type, json_t *members)
{
    assert_non_null(members);
    json_object_set_new(members, "type", json_string(type));
    assert_int_equal(ym_border_take(b, members, (struct ym_bytes){0}, NULL), YM_OK);
    json_decref(members);
}

static struct ym_border *signed_border(const struct ym_site *site)
{
    struct ym_border *b = ym_border_new(site);
    struct ym_problems p = {0};
    struct ym_status st = YM_STATUS_INIT;
    json_t *members = NULL;

    if (ym_border_keep_rules(b, "w.yaml", (struct ym_bytes){(const uint8_t *)text, strlen(text)}, &members, &p, &st) !=
        YM_OK)
        fail_msg("%s: %s", st.message, p.count ? p.item[0].message : "");
    take(b, "ruleset", members);
    ym_problems_release(&p);
    return b;
}

/* The marks that so many people make due, each taken, as the trainer does before a decision. */
static void expect(struct ym_border *b, int64_t people, int64_t now, int count, int percent)
{
    struct ym_facts facts;
    json_t *due;

    ym_facts_init(&facts);
    facts.people[YM_PEOPLE_SENSITIVE] = people;
    for (; (due = ym_border_warning(b, &facts, now)) != NULL; count--) {
        if (count == 0)
            fail_msg("a warning too many at %lld", (long long)people);
        assert_int_equal(json_integer_value(json_object_get(due, "percent")), percent);
        take(b, "warning", due);
    }
    assert_int_equal(count, 0);
}

static void each_mark_is_said_once_a_year_and_after_a_wrong_clock_again(void **state)
{
    struct ym_site site = {0};
    struct ym_border *b;
    char dir[64];

    (void)state;
    help_temp(dir);
    snprintf(site.dir, sizeof site.dir, "%s", dir);
    b = signed_border(&site);
    expect(b, -1, IN_2026, 0, 0);
    expect(b, 400, IN_2026, 0, 0);
    expect(b, 401, IN_2026, 1, 50); /* 500: rounded up, as the ledger has it */
    expect(b, 500, IN_2026, 0, 0);
    expect(b, 990, IN_2026, 1, 95);
    expect(b, 500, IN_2027, 1, 50);
    expect(b, 500, IN_2027, 0, 0);
    expect(b, 990, IN_2026, 1, 95); /* the clock was wrong, and is right again */
    expect(b, 990, IN_2026, 0, 0);
    ym_border_free(b);
    help_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_mark_is_said_once_a_year_and_after_a_wrong_clock_again)};

    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/calendar.h"
#include "support.h"

static void midnight_is_that_of_shanghai(void **state)
{
    char day[YM_DATE_BYTES];
    (void)state;
    ym_date_of(1798734599, day); /* 2026-12-31 16:29:59 UTC */
    assert_string_equal(day, "2027-01-01");
    ym_date_of(1798732799, day); /* 2026-12-31 15:59:59 UTC */
    assert_string_equal(day, "2026-12-31");
    assert_int_equal(ym_year_of(1798732799), 2026);
    assert_int_equal(ym_year_of(1798732800), 2027);
    ym_date_of(0, day);
    assert_string_equal(day, "1970-01-01");
    ym_date_of(INT64_MIN, day);
    assert_string_equal(day, "1970-01-01");
    ym_date_of(INT64_MAX, day);
    assert_string_equal(day, "9999-12-31");
}

static void years_are_added_by_the_calendar(void **state)
{
    char day[YM_DATE_BYTES];
    (void)state;
    assert_true(ym_date_add_years("2024-02-29", 3, day));
    assert_string_equal(day, "2027-02-28");
    assert_true(ym_date_add_years("2024-02-29", 4, day));
    assert_string_equal(day, "2028-02-29");
    assert_true(ym_date_add_years("2026-11-22", 0, day));
    assert_string_equal(day, "2026-11-22");
    assert_false(ym_date_add_years("9999-01-01", 1, day));
}

static void only_days_that_exist_are_dates(void **state)
{
    static const char *const wrong[] = {"2026-02-29", "2100-02-29", "2026-13-01", "2026-00-10",
                                        "2026-04-31", "1969-12-31", "2026-1-01",  "2026-01-01 ",
                                        "",           "20260101",   "2026/01/01", "2026-01-+1"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ym_date_valid(wrong[i]));
    assert_true(ym_date_valid("2000-02-29"));
    assert_int_equal(ym_date_days("2024-02-28", "2024-03-01"), 2);
    assert_int_equal(ym_date_days("2027-01-01", "2026-01-01"), -365);
    assert_int_equal(ym_date_days("1970-01-01", "2026-11-22"), 20779);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(midnight_is_that_of_shanghai),
        cmocka_unit_test(years_are_added_by_the_calendar),
        cmocka_unit_test(only_days_that_exist_are_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

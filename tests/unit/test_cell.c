#include "worker/data/cell.h"

#include <locale.h>
#include <math.h>

#include "support.h"

static double number(const char *text, enum ym_cell_fault expected)
{
    struct ym_card_var var = {.factor = 1};
    double v = -1;
    enum ym_cell_fault fault = ym_cell_value(&var, text, strlen(text), &v);
    if (fault != expected)
        fail_msg("'%s' gives fault %d, not %d", text, fault, expected);
    return v;
}

static void numbers_are_plain_decimals(void **state)
{
    (void)state;
    assert_true(number("12", YM_CELL_FINE) == 12);
    assert_true(number("-0.5", YM_CELL_FINE) == -0.5);
    assert_true(number("+.5", YM_CELL_FINE) == 0.5);
    assert_true(number("5.", YM_CELL_FINE) == 5);
    assert_true(number("1e-3", YM_CELL_FINE) == 1e-3);
    assert_true(number(" 1.5\t", YM_CELL_FINE) == 1.5);
    assert_true(number("\xe3\x80\x80"
                       "1.5\xc2\xa0",
                       YM_CELL_FINE) == 1.5);
    assert_true(isnan(number("", YM_CELL_FINE)));
    assert_true(isnan(number("  ", YM_CELL_FINE)));
}

static void everything_else_is_refused_with_its_own_reason(void **state)
{
    (void)state;
    number("1,234", YM_CELL_THOUSANDS);
    number("1,5", YM_CELL_THOUSANDS);
    number("１２", YM_CELL_FULL_WIDTH);
    number("1．5", YM_CELL_FULL_WIDTH);
    number("NaN", YM_CELL_NO_VALUE);
    number("inf", YM_CELL_NO_VALUE);
    number("-Inf", YM_CELL_NO_VALUE);
    number("null", YM_CELL_NO_VALUE);
    number("未查", YM_CELL_NO_VALUE);
    number("<0.5", YM_CELL_COMPARED);
    number("≥3", YM_CELL_COMPARED);
    number("1e999", YM_CELL_TOO_LARGE);
    number("0x10", YM_CELL_NUMBER);
    number("1 2", YM_CELL_NUMBER);
    number("--1", YM_CELL_NUMBER);
    number("1e", YM_CELL_NUMBER);
    number(".", YM_CELL_NO_VALUE);
    number("12mm", YM_CELL_NUMBER);
    number("\xff", YM_CELL_BYTES);
    double v;
    struct ym_card_var var = {.factor = 1};
    assert_int_equal(ym_cell_value(&var, "1\0002", 3, &v), YM_CELL_NUL);
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        setlocale(LC_NUMERIC, "");
    assert_true(number("1.5", YM_CELL_FINE) == 1.5);
    setlocale(LC_NUMERIC, "C");
}

static void missing_codes_come_before_the_map_and_the_map_before_numbers(void **state)
{
    char missing[][32] = {"NA", "-9"};
    struct ym_card_map map[] = {{.from = "-9", .to = 1}, {.from = "<0.1", .to = 0.05}, {.from = "阴性", .to = 0}};
    struct ym_card_var var = {
        .factor = 10, .offset = 1, .missing = missing, .missing_count = 2, .map = map, .map_count = 3};
    double v;
    (void)state;
    assert_int_equal(ym_cell_value(&var, "NA", 2, &v), YM_CELL_FINE);
    assert_true(isnan(v));
    assert_int_equal(ym_cell_value(&var, " -9 ", 4, &v), YM_CELL_FINE);
    assert_true(isnan(v));
    assert_int_equal(ym_cell_value(&var, "<0.1", 4, &v), YM_CELL_FINE);
    assert_true(v == 1.5); /* 0.05 in the cell's unit, times 10, plus 1 */
    assert_int_equal(ym_cell_value(&var, "阴性", 6, &v), YM_CELL_FINE);
    assert_true(v == 1);
    assert_int_equal(ym_cell_value(&var, "2", 1, &v), YM_CELL_FINE);
    assert_true(v == 21);
}

static void categories_go_through_map_then_level_names(void **state)
{
    char level[][64] = {"female", "male"};
    struct ym_card_map map[] = {{.from = "女", .to = 0}, {.from = "男", .to = 1}};
    struct ym_card_var var = {.category = true, .level = level, .level_count = 2, .map = map, .map_count = 2};
    double v;
    (void)state;
    assert_int_equal(ym_cell_value(&var, "男", 3, &v), YM_CELL_FINE);
    assert_true(v == 1);
    assert_int_equal(ym_cell_value(&var, "female", 6, &v), YM_CELL_FINE);
    assert_true(v == 0);
    assert_int_equal(ym_cell_value(&var, "F", 1, &v), YM_CELL_LEVEL);
    assert_int_equal(ym_cell_value(&var, "", 0, &v), YM_CELL_FINE);
    assert_true(isnan(v));
}

static void dates_count_days_and_must_exist(void **state)
{
    static const struct {
        const char *format, *text;
        int days; /* -1: not a date; figures from `date -u -d ... +%s` / 86400 */
    } cases[] = {
        {"%Y-%m-%d", "1970-01-01", 0},
        {"%Y-%m-%d", "2000-02-29", 11016},
        {"%Y-%m-%d", "2021-3-5", 18691},
        {"%Y/%m/%d", "2021/03/05", 18691},
        {"%Y年%m月%d日", "2021年3月5日", 18691},
        {"%Y%m%d", "20210305", 18691},
        {"%d.%m.%Y", "05.03.2021", 18691},
        {"%Y-%m-%d", "1900-02-29", -1},
        {"%Y-%m-%d", "2021-02-30", -1},
        {"%Y-%m-%d", "2021-13-01", -1},
        {"%Y-%m-%d", "2021-00-10", -1},
        {"%Y-%m-%d", "21-03-05", -1},
        {"%Y-%m-%d", "2021-03-05 ", -1},
        {"%Y-%m-%d", "2021/03/05", -1},
        {"%Y-%m-%d", "2021-03", -1},
        {"%Y-%m-%d %H:%M", "2021-03-05 23:59", 18691},
        {"%Y-%m-%d %H:%M", "2021-03-05 24:00", -1},
        {"%Y-%m-%d", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v = -1;
        enum ym_cell_fault fault = ym_cell_date(cases[i].format, cases[i].text, strlen(cases[i].text), &v);
        if ((fault == YM_CELL_FINE) != (cases[i].days >= 0) || v != cases[i].days)
            fail_msg("'%s' as %s gives fault %d, %g days", cases[i].text, cases[i].format, fault, v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_plain_decimals),
        cmocka_unit_test(everything_else_is_refused_with_its_own_reason),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(missing_codes_come_before_the_map_and_the_map_before_numbers),
        cmocka_unit_test(categories_go_through_map_then_level_names),
        cmocka_unit_test(dates_count_days_and_must_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

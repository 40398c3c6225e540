#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/listing.h"
#include "base/screen.h"

/* What ym_listing_print puts on stdout. */
static void printed(struct ym_listing *t, char *out, size_t cap)
{
    FILE *file = tmpfile();
    int kept = dup(STDOUT_FILENO);
    size_t len;

    assert_non_null(file);
    fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    ym_listing_print(t);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(file);
    len = fread(out, 1, cap - 1, file);
    out[len] = '\0';
    fclose(file);
}

static void a_chinese_character_is_two_columns_wide(void **state)
{
    (void)state;
    assert_int_equal(ym_listing_width(""), 0);
    assert_int_equal(ym_listing_width("abc"), 3);
    assert_int_equal(ym_listing_width("\u51b3\u5b9a"), 4);
    assert_int_equal(ym_listing_width("R\u00e9nyi"), 5);
    assert_int_equal(ym_listing_width("\uff1a1"), 3);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    struct ym_listing t = {.columns = 3, .right = 2, .indent = "> "};
    const char *const cell[] = {"\u7814\u7a76", "n", "end", "s", "123", ""};
    char out[256];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        ym_listing_add(&t, "%s", cell[i]);
    printed(&t, out, sizeof out);
    assert_string_equal(out, "> \u7814\u7a76    n  end\n> s     123\n");
    assert_int_equal(t.count, 0);
}

/* At blanks, where there are any; never within a character. */
static void a_long_cell_goes_on_below(void **state)
{
    struct ym_listing t = {.columns = 2, .most = 8};
    char out[256];

    (void)state;
    ym_listing_add(&t, "one, two, three");
    ym_listing_add(&t, "\u7814\u7a76\u7814\u7a76\u7814\u7a76");
    ym_listing_add(&t, "12345678");
    ym_listing_add(&t, "0123456789");
    printed(&t, out, sizeof out);
    assert_string_equal(
        out, "one,      \u7814\u7a76\u7814\u7a76\ntwo,      \u7814\u7a76\nthree\n12345678  01234567\n          89\n");
}

static void an_empty_listing_prints_nothing(void **state)
{
    struct ym_listing t = {.columns = 2};
    char out[16];

    (void)state;
    printed(&t, out, sizeof out);
    assert_string_equal(out, "");
}

static void fill(struct ym_screen *s)
{
    ym_screen_section(s, "");
    ym_screen_add(s, "top\nof it   \n");
    ym_screen_section(s, "nothing");
    ym_screen_section(s, "few");
    ym_screen_add(s, "a\nb");
    ym_screen_section(s, "many");
    ym_screen_addf(s, "%d\n%d\n%d\n%d", 1, 2, 3, 4);
}

static void a_screen_with_room_shows_all(void **state)
{
    struct ym_screen s = {0};
    struct ym_buf out = {0};

    (void)state;
    fill(&s);
    ym_screen_format(&s, 10, 80, &out);
    assert_string_equal(ym_buf_str(&out), "top\nof it\nfew\na\nb\nmany\n1\n2\n3\n4\n");
    ym_buf_release(&out);
}

static void the_longest_section_loses_rows_and_counts_them(void **state)
{
    struct ym_screen s = {0};
    struct ym_buf out = {0};

    (void)state;
    fill(&s);
    ym_screen_format(&s, 8, 80, &out);
    assert_string_equal(ym_buf_str(&out), "top\nof it\nfew\na\nb\nmany [2 of 4]\n1\n2\n");
    ym_buf_clear(&out);
    fill(&s);
    ym_screen_format(&s, 1, 80, &out);
    assert_string_equal(ym_buf_str(&out), "top\nof it\nfew [1 of 2]\na\nmany [1 of 4]\n1\n");
    ym_buf_release(&out);
}

static void a_row_that_is_too_wide_is_cut_between_characters(void **state)
{
    struct ym_screen s = {0};
    struct ym_buf out = {0};

    (void)state;
    ym_screen_section(&s, "");
    ym_screen_add(&s, "1234567890\n12345678901\n\u51b3\u5b9a\u51b3\u5b9a\u51b3\n\u51b3\u5b9a\u51b3\u5b9a\u51b3\u5b9a");
    ym_screen_wrap(&s, "one two three four", 9);
    ym_screen_format(&s, 23, 10, &out);
    assert_string_equal(ym_buf_str(&out),
                        "1234567890\n1234567...\n\u51b3\u5b9a\u51b3\u5b9a\u51b3\n\u51b3\u5b9a\u51b3...\n"
                        "one two\nthree\nfour\n");
    ym_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chinese_character_is_two_columns_wide),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(a_long_cell_goes_on_below),
        cmocka_unit_test(an_empty_listing_prints_nothing),
        cmocka_unit_test(a_screen_with_room_shows_all),
        cmocka_unit_test(the_longest_section_loses_rows_and_counts_them),
        cmocka_unit_test(a_row_that_is_too_wide_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

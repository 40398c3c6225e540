#include "support.h"

static void empty_buffer_reads_as_empty_string(void **state)
{
    struct ym_buf b = {0};

    (void)state;
    assert_string_equal(ym_buf_str(&b), "");
    ym_buf_clear(&b);
    ym_buf_wipe(&b);
    assert_int_equal(ym_buf_append(&b, NULL, 0), YM_OK);
    assert_int_equal(b.len, 0);
    ym_buf_release(&b);
}

static void appended_bytes_are_followed_by_nul(void **state)
{
    struct ym_buf b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ym_buf_printf(&b, "%03d,", i), YM_OK);
    assert_int_equal(b.len, 4000);
    assert_int_equal(b.data[4000], 0);
    assert_memory_equal(b.data + 3996, "999,", 4);
    ym_buf_clear(&b);
    assert_string_equal(ym_buf_str(&b), "");
    assert_int_equal(ym_buf_puts(&b, "x"), YM_OK);
    assert_string_equal(ym_buf_str(&b), "x");
    ym_buf_release(&b);
}

static void impossible_size_is_refused_and_changes_nothing(void **state)
{
    struct ym_buf b = {0};

    (void)state;
    assert_int_equal(ym_buf_puts(&b, "keep"), YM_OK);
    assert_int_equal(ym_buf_reserve(&b, SIZE_MAX), YM_EXHAUSTED);
    assert_int_equal(ym_buf_reserve(&b, SIZE_MAX - 5), YM_EXHAUSTED);
    assert_int_equal(ym_buf_reserve(&b, PTRDIFF_MAX), YM_EXHAUSTED);
    assert_string_equal(ym_buf_str(&b), "keep");
    assert_int_equal(b.len, 4);
    ym_buf_release(&b);
}

static void hex_is_lower_case_and_exact(void **state)
{
    static const uint8_t data[] = {0x00, 0x01, 0x7F, 0x80, 0xAB, 0xFF};
    static const char *const bad[] = {"00017F80abff", "00017f80abf",  "00017f80abff00",
                                      "00017f80abfg", "00017f80ab f", ""};
    struct ym_buf b = {0};
    uint8_t back[6] = {9, 9, 9, 9, 9, 9};

    (void)state;
    assert_int_equal(ym_hex_encode(data, sizeof(data), &b), YM_OK);
    assert_string_equal(ym_buf_str(&b), "00017f80abff");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ym_hex_decode(bad[i], strlen(bad[i]), back, sizeof(back)), YM_INVALID);
        assert_int_equal(back[0], 9);
    }
    assert_int_equal(ym_hex_decode("00017f80abff", 12, back, sizeof(back)), YM_OK);
    assert_memory_equal(back, data, sizeof(data));
    ym_buf_release(&b);
}

static void base64_agrees_with_rfc_4648(void **state)
{
    static const char *const vector[][2] = {{"", ""},
                                            {"f", "Zg=="},
                                            {"fo", "Zm8="},
                                            {"foo", "Zm9v"},
                                            {"foob", "Zm9vYg=="},
                                            {"fooba", "Zm9vYmE="},
                                            {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
        struct ym_buf text = {0}, back = {0};

        assert_int_equal(ym_base64_encode(vector[i][0], strlen(vector[i][0]), &text), YM_OK);
        assert_string_equal(ym_buf_str(&text), vector[i][1]);
        assert_int_equal(ym_base64_decode(vector[i][1], strlen(vector[i][1]), &back), YM_OK);
        assert_string_equal(ym_buf_str(&back), vector[i][0]);
        ym_buf_release(&text);
        ym_buf_release(&back);
    }
}

static void base64_has_one_spelling_only(void **state)
{
    static const char *const bad[] = {"Zg",       "Zg=",  "Zh==", "Zm9=", "Zg==Zg==", "Z===",     "====",     "Zm9v\n",
                                      "Zm 9v===", "Zm9-", "Zm9_", "Zm=v", "=Zm9",     "Zm9v====", "Zm9vYg= ", "Zg==\n"};
    struct ym_buf back = {0};

    (void)state;
    assert_int_equal(ym_buf_puts(&back, "x"), YM_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ym_base64_decode(bad[i], strlen(bad[i]), &back), YM_INVALID);
        assert_string_equal(ym_buf_str(&back), "x");
    }
    ym_buf_release(&back);
}

static void every_byte_survives_base64(void **state)
{
    uint8_t all[256];
    struct ym_buf text = {0}, back = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    for (size_t len = 0; len <= sizeof(all); len++) {
        ym_buf_clear(&text);
        ym_buf_clear(&back);
        assert_int_equal(ym_base64_encode(all, len, &text), YM_OK);
        assert_int_equal(ym_base64_decode(ym_buf_str(&text), text.len, &back), YM_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, all, len);
    }
    ym_buf_release(&text);
    ym_buf_release(&back);
}

static void ill_formed_utf8_is_told(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        bool good;
    } c[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"\xE7\x8E\x89\xE9\x97\xA8", 6, true},
        {"\xF4\x8F\xBF\xBF", 4, true},  /* U+10FFFF */
        {"\xF4\x90\x80\x80", 4, false}, /* beyond */
        {"\xED\x9F\xBF", 3, true},      /* last before the surrogates */
        {"\xED\xA0\x80", 3, false},     /* surrogate */
        {"\xC0\x80", 2, false},         /* overlong NUL */
        {"\xC1\xBF", 2, false},
        {"\xE0\x9F\xBF", 3, false},
        {"\xF0\x8F\xBF\xBF", 4, false},
        {"\xE7\x8E", 2, false}, /* cut */
        {"\x80", 1, false},
        {"\xF5\x80\x80\x80", 4, false},
        {"a\0b", 3, false},     /* NUL */
        {"\xB0\xB2", 2, false}, /* GB18030 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
        assert_int_equal(ym_utf8_valid(c[i].text, c[i].len), c[i].good);
}

static void names_are_short_lower_case_words(void **state)
{
    char longest[65];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[63] = '\0';
    assert_true(ym_name_valid("a"));
    assert_true(ym_name_valid("0-site_1"));
    assert_true(ym_name_valid(longest));
    longest[63] = 'a';
    longest[64] = '\0';
    assert_false(ym_name_valid(longest));
    assert_false(ym_name_valid(""));
    assert_false(ym_name_valid(NULL));
    assert_false(ym_name_valid("-a"));
    assert_false(ym_name_valid("_a"));
    assert_false(ym_name_valid("A"));
    assert_false(ym_name_valid("a/b"));
    assert_false(ym_name_valid("a.b"));
    assert_false(ym_name_valid("a b"));
    assert_false(ym_name_valid("\xE7\x8E\x89"));
}

static void a_cell_of_a_csv_begins_no_formula(void **state)
{
    static const struct {
        const char *text, *cell;
    } c[] = {
        {"", "\"\""},
        {"p-1", "\"p-1\""},
        {"say \"A\", B", "\"say \"\"A\"\", B\""},
        {"=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""},
        {"+1", "\"'+1\""},
        {"-1", "\"'-1\""},
        {"@SUM(A1)", "\"'@SUM(A1)\""},
        {"\t=1", "\"'\t=1\""},
        {"\r=1", "\"'\r=1\""},
        {"\n=1", "\"'\n=1\""},
        {"\uff1d1", "\"'\uff1d1\""},
        {"\uff0b1", "\"'\uff0b1\""},
        {"\uff0d1", "\"'\uff0d1\""},
        {"\uff201", "\"'\uff201\""},
        {"\uff211", "\"\uff211\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct ym_buf b = {0};

        assert_int_equal(ym_buf_csv(&b, c[i].text), YM_OK);
        assert_string_equal(ym_buf_str(&b), c[i].cell);
        ym_buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffer_reads_as_empty_string),
        cmocka_unit_test(appended_bytes_are_followed_by_nul),
        cmocka_unit_test(impossible_size_is_refused_and_changes_nothing),
        cmocka_unit_test(hex_is_lower_case_and_exact),
        cmocka_unit_test(base64_agrees_with_rfc_4648),
        cmocka_unit_test(base64_has_one_spelling_only),
        cmocka_unit_test(every_byte_survives_base64),
        cmocka_unit_test(ill_formed_utf8_is_told),
        cmocka_unit_test(names_are_short_lower_case_words),
        cmocka_unit_test(a_cell_of_a_csv_begins_no_formula),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

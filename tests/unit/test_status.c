#include "support.h"

static void wrap_puts_context_before_the_cause(void **state)
{
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_status_set(&st, YM_CORRUPT, "leaf %d has no signature", 7), YM_CORRUPT);
    assert_int_equal(ym_status_wrap(&st, YM_UNAVAILABLE, "cannot open '%s'", "x"), YM_UNAVAILABLE);
    assert_int_equal(st.code, YM_UNAVAILABLE);
    assert_string_equal(st.message, "cannot open 'x': leaf 7 has no signature");
    assert_int_equal(ym_status_set(NULL, YM_DENIED, "nobody listens"), YM_DENIED);
    assert_int_equal(ym_status_wrap(NULL, YM_DENIED, "nobody listens"), YM_DENIED);
}

static void wrap_of_an_empty_status_has_no_colon(void **state)
{
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_status_wrap(&st, YM_INVALID, "alone"), YM_INVALID);
    assert_string_equal(st.message, "alone");
}

/* Every cut point of a three-byte character must leave whole characters. */
static void cut_message_is_still_utf8(void **state)
{
    char text[2 * YM_STATUS_BYTES];

    (void)state;
    for (size_t lead = 0; lead < 3; lead++) {
        struct ym_status st = YM_STATUS_INIT;
        size_t len = lead;

        memset(text, 'x', lead);
        for (; len + 3 < sizeof(text); len += 3)
            memcpy(text + len, "\xE7\x8E\x89", 3);
        text[len] = '\0';
        assert_int_equal(ym_status_set(&st, YM_INVALID, "%s", text), YM_INVALID);
        assert_true(ym_utf8_valid(st.message, strlen(st.message)));
        assert_true(strlen(st.message) > YM_STATUS_BYTES - 4);
        assert_null(strchr(st.message, '?'));
        assert_int_equal(ym_status_wrap(&st, YM_INVALID, "%s", "ab"), YM_INVALID);
        assert_true(ym_utf8_valid(st.message, strlen(st.message)));
        assert_null(strchr(st.message, '?'));
    }
}

static void foreign_bytes_become_question_marks(void **state)
{
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    ym_status_set(&st, YM_INVALID, "'%s'", "a\xFF\x1B[31m\r\x7F");
    assert_string_equal(st.message, "'a?"
                                    "?[31m?"
                                    "?'");
}

static void code_names_are_stable(void **state)
{
    static const char *const name[] = {"ok",          "invalid",  "not_found", "conflict",  "denied",  "exhausted",
                                       "unavailable", "deadline", "corrupt",   "uncertain", "internal"};

    (void)state;
    for (int i = 0; i <= YM_INTERNAL; i++)
        assert_string_equal(ym_code_name((enum ym_code)i), name[i]);
    assert_string_equal(ym_code_name((enum ym_code)11), "unknown");
    assert_string_equal(ym_code_name((enum ym_code) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrap_puts_context_before_the_cause),
        cmocka_unit_test(wrap_of_an_empty_status_has_no_colon),
        cmocka_unit_test(cut_message_is_still_utf8),
        cmocka_unit_test(foreign_bytes_become_question_marks),
        cmocka_unit_test(code_names_are_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

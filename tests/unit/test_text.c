#include "base/text.h"

#include <ctype.h>

#include "support.h"

static const char *const id_name[] = {
#define YM_TEXT(id, en, zh) #id,
#include "base/text.def"
#undef YM_TEXT
};

/* The conversions of a printf format, flags and width left out: "%-8s %5.1f" gives "s|f|". False when malformed. */
static bool conversions(const char *text, char *out, size_t cap)
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text != '%')
            continue;
        text++;
        if (*text == '%')
            continue;
        text += strspn(text, "-+ #0'");
        for (; isdigit((unsigned char)*text) || *text == '.' || *text == '*'; text++) {
            if (*text == '*' && n + 2 < cap)
                out[n++] = '*';
        }
        while (*text && strchr("hlzjtL", *text) && n + 2 < cap)
            out[n++] = *text++;
        if (!*text || !strchr("diouxXeEfFgGaAcsp", *text) || n + 3 >= cap)
            return false;
        out[n++] = *text;
        out[n++] = '|';
    }
    out[n] = '\0';
    return true;
}

static void both_languages_take_the_same_arguments(void **state)
{
    int wrong = 0;

    (void)state;
    for (int i = 0; i < YM_TEXT_COUNT; i++) {
        char en[256], zh[256];

        if (!conversions(ym_text_in((enum ym_text_id)i, YM_LANG_EN), en, sizeof(en)) ||
            !conversions(ym_text_in((enum ym_text_id)i, YM_LANG_ZH), zh, sizeof(zh)) || strcmp(en, zh) != 0) {
            print_error("%s: English and Chinese do not take the same arguments\n", id_name[i]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void no_text_is_empty_or_badly_encoded(void **state)
{
    int wrong = 0;

    (void)state;
    assert_true(YM_TEXT_COUNT > 0);
    for (int i = 0; i < YM_TEXT_COUNT; i++) {
        const char *en = ym_text_in((enum ym_text_id)i, YM_LANG_EN), *zh = ym_text_in((enum ym_text_id)i, YM_LANG_ZH);

        if (!*en || !*zh || !ym_utf8_valid(en, strlen(en)) || !ym_utf8_valid(zh, strlen(zh)) ||
            (en[strlen(en) - 1] == '\n') != (zh[strlen(zh) - 1] == '\n')) {
            print_error("%s: a text is empty, not UTF-8, or only one ends its line\n", id_name[i]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* A text that says something in English says it in Chinese too: copied English is an unfinished translation. Pure
 * layout and names of formats have no letters to translate. */
static void chinese_is_written_in_chinese(void **state)
{
    int wrong = 0;

    (void)state;
    for (int i = 0; i < YM_TEXT_COUNT; i++) {
        const char *en = ym_text_in((enum ym_text_id)i, YM_LANG_EN), *zh = ym_text_in((enum ym_text_id)i, YM_LANG_ZH);
        size_t words = 0;

        for (const char *p = en; *p; p++)
            words += islower((unsigned char)p[0]) && islower((unsigned char)p[1]) && islower((unsigned char)p[2]);
        if (strcmp(en, zh) == 0 && words > 12) {
            print_error("%s: the Chinese text is the English one\n", id_name[i]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void the_comparison_itself_sees_differences(void **state)
{
    char a[64], b[64];

    (void)state;
    assert_true(conversions("%-8s %5.1f %% %zu %*d", a, sizeof(a)));
    assert_string_equal(a, "s|f|zu|*d|");
    assert_true(conversions("%d of %s", a, sizeof(a)));
    assert_true(conversions("%s of %d", b, sizeof(b)));
    assert_string_not_equal(a, b);
    assert_false(conversions("100% of", a, sizeof(a)) && strcmp(a, "") == 0);
    assert_false(conversions("tail %", a, sizeof(a)));
}

static enum ym_lang chosen(const char *option, const char *yumen, const char *all, const char *messages,
                           const char *lang)
{
    setenv("YUMEN_LANG", yumen, 1);
    setenv("LC_ALL", all, 1);
    setenv("LC_MESSAGES", messages, 1);
    setenv("LANG", lang, 1);
    ym_text_init(option);
    return ym_text_lang();
}

static void language_is_chosen_by_option_then_environment(void **state)
{
    (void)state;
    assert_int_equal(chosen("zh", "en", "", "", ""), YM_LANG_ZH);
    assert_int_equal(chosen("en", "zh", "zh_CN", "zh", "zh"), YM_LANG_EN);
    assert_int_equal(chosen(NULL, "zh", "en_US", "", ""), YM_LANG_ZH);
    assert_int_equal(chosen(NULL, "", "en_US", "zh_CN", "zh_CN"), YM_LANG_EN);
    assert_int_equal(chosen(NULL, "", "", "zh_CN.UTF-8", "en_US"), YM_LANG_ZH);
    assert_int_equal(chosen(NULL, "", "", "", "zh_TW"), YM_LANG_ZH);
    assert_int_equal(chosen(NULL, "", "", "", "C"), YM_LANG_EN);
    assert_int_equal(chosen(NULL, "", "", "", ""), YM_LANG_EN);
    ym_text_init("zh");
    assert_string_equal(T(CLI_USAGE), ym_text_in(YM_TEXT_CLI_USAGE, YM_LANG_ZH));
    ym_text_init("en");
    assert_string_equal(T(CLI_USAGE), "Usage:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_languages_take_the_same_arguments),
        cmocka_unit_test(no_text_is_empty_or_badly_encoded),
        cmocka_unit_test(chinese_is_written_in_chinese),
        cmocka_unit_test(the_comparison_itself_sees_differences),
        cmocka_unit_test(language_is_chosen_by_option_then_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/decimal.h"

#include "support.h"

static void people_spell_decimals_in_many_ways(void **state)
{
    static const char *const pair[][2] = {
        {"1e-5", "0.00001"},
        {"1E-5", "0.00001"},
        {"0.00001", "0.00001"},
        {"-0", "0"},
        {"-0.000", "0"},
        {"0e99", "0"},
        {"0.50", "0.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"+3", "3"},
        {"007", "7"},
        {"-12.3400", "-12.34"},
        {"1e20", "100000000000000000000"},
        {"100000000000000000000", "100000000000000000000"},
        {"1e-18", "0.000000000000000001"},
        {"123456789012345", "123456789012345"},
        {"0.000123456789012345", "0.000123456789012345"},
        {"1.00000000000000000000000000", "1"},
        {"100000.00000000000000", "100000"},
        {"2.5e3", "2500"},
        {"2500e-3", "2.5"},
        {"10203.0405", "10203.0405"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
        struct ym_buf text = {0};
        struct ym_decimal d, again;

        assert_int_equal(ym_decimal_parse(pair[i][0], &d, NULL), YM_OK);
        assert_int_equal(ym_decimal_format(d, &text), YM_OK);
        assert_string_equal(ym_buf_str(&text), pair[i][1]);
        assert_int_equal(ym_decimal_parse(pair[i][1], &again, NULL), YM_OK);
        assert_true(again.scaled == d.scaled);
        ym_buf_release(&text);
    }
}

static void what_is_no_decimal_is_refused_and_out_untouched(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "-",
        "e5",
        "1e",
        "1e+",
        "1e5x",
        "0x10",
        "nan",
        "inf",
        "1.2.3",
        " 1",
        "1 ",
        "1,5",
        "--1",
        "1e21",
        "2e20",
        "1e-19",
        "1e999999999999999999999",
        "1e-99999999999",
        "1234567890123456",
        "0.1234567890123456",
        "1.0000000000000001",
        "0.0000000000000000001",
        "\xEF\xBC\x91",
        "1_000",
    };
    struct ym_decimal d = {42};
    struct ym_status st;
    char huge[500];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ym_decimal_parse(bad[i], &d, &st), YM_INVALID);
        assert_true(d.scaled == 42);
    }
    memset(huge, '0', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    assert_int_equal(ym_decimal_parse(huge, &d, &st), YM_INVALID);
}

static void doubles_are_the_nearest(void **state)
{
    static const char *const text[] = {"0.1",
                                       "0.2",
                                       "0.3",
                                       "1e-5",
                                       "-1e-18",
                                       "123456789.012345",
                                       "1e20",
                                       "9.99999999999999",
                                       "0.000123456789012345",
                                       "999999999999999",
                                       "3e-7",
                                       "0"};

    (void)state;
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        struct ym_decimal d;
        double want = strtod(text[i], NULL), got;

        assert_int_equal(ym_decimal_parse(text[i], &d, NULL), YM_OK);
        got = ym_decimal_double(d);
        assert_memory_equal(&got, &want, sizeof(want));
    }
}

/* strtod of glibc rounds correctly: a second opinion on many values. */
static void doubles_agree_with_the_c_library(void **state)
{
    uint64_t x = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        struct ym_decimal d;
        double want, got;
        int exponent;

        x = x * 6364136223846793005u + 1442695040888963407u;
        exponent = (int)((x >> 20) % 24) - 18;
        snprintf(text, sizeof(text), "%s%lluE%d", x & 1 ? "-" : "",
                 (unsigned long long)((x >> 30) % 100000000000000u) + 1, exponent);
        if (ym_decimal_parse(text, &d, NULL) != YM_OK)
            continue;
        want = strtod(text, NULL);
        got = ym_decimal_double(d);
        assert_memory_equal(&got, &want, sizeof(want));
    }
}

static void too_many_digits_are_not_written(void **state)
{
    struct ym_buf text = {0};

    (void)state;
    assert_int_equal(ym_decimal_format((struct ym_decimal){(__int128)1000000000000001}, &text), YM_INVALID);
    assert_int_equal(text.len, 0);
    ym_buf_release(&text);
}

static void probability_becomes_k_of_2_64(void **state)
{
    static const struct {
        const char *text;
        uint64_t k;
    } c[] = {
        {"0.5", 1ull << 63},  {"1", UINT64_MAX},
        {"0.25", 1ull << 62}, {"0.1", 1844674407370955161u},
        {"1e-18", 18},        {"0.999999999999999", 18446744073709533169u}, /* floor(2^64 (1 - 10^-15)) */
    };
    static const char *const bad[] = {"0", "-0.5", "1.00000000000001", "2"};
    struct ym_decimal d;
    uint64_t k = 5;

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        assert_int_equal(ym_decimal_parse(c[i].text, &d, NULL), YM_OK);
        assert_int_equal(ym_decimal_k64(d, &k, NULL), YM_OK);
        assert_true(k == c[i].k);
    }
    k = 5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ym_decimal_parse(bad[i], &d, NULL), YM_OK);
        assert_int_equal(ym_decimal_k64(d, &k, NULL), YM_INVALID);
        assert_true(k == 5);
    }
}

static void u128_has_one_spelling(void **state)
{
    static const char *const good[] = {"0", "1", "18446744073709551616", "340282366920938463463374607431768211455"};
    static const char *const bad[] = {"",
                                      "00",
                                      "01",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1e3",
                                      "340282366920938463463374607431768211456",
                                      "999999999999999999999999999999999999999",
                                      "1000000000000000000000000000000000000000000"};
    unsigned __int128 v = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct ym_buf text = {0};

        assert_int_equal(ym_u128_parse(good[i], &v, NULL), YM_OK);
        assert_int_equal(ym_u128_format(v, &text), YM_OK);
        assert_string_equal(ym_buf_str(&text), good[i]);
        ym_buf_release(&text);
    }
    assert_true(v == ~(unsigned __int128)0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ym_u128_parse(bad[i], &v, NULL), YM_INVALID);
    assert_true(v == ~(unsigned __int128)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_spell_decimals_in_many_ways),
        cmocka_unit_test(what_is_no_decimal_is_refused_and_out_untouched),
        cmocka_unit_test(doubles_are_the_nearest),
        cmocka_unit_test(doubles_agree_with_the_c_library),
        cmocka_unit_test(too_many_digits_are_not_written),
        cmocka_unit_test(probability_becomes_k_of_2_64),
        cmocka_unit_test(u128_has_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/json.h"

#include "support.h"

static enum ym_code parse(const char *text, json_t **out)
{
    struct ym_status st;

    return ym_json_parse(text, strlen(text), 1 << 20, out, &st);
}

static void canonical_form_is_reached_from_any_spelling(void **state)
{
    static const char *const pair[][2] = {
        {"{ \"b\" : 1 , \"a\" : [ true , false , null ] }", "{\"a\":[true,false,null],\"b\":1}"},
        {"{\"k\":\"\xE7\x8E\x89\xE9\x97\xA8\"}", "{\"k\":\"\\u7389\\u95E8\"}"},
        {"{\"k\":\"\\ud83d\\ude00\"}", "{\"k\":\"\\uD83D\\uDE00\"}"},
        {"{\"k\":\"\\u0041\\/\\n\\u001f\\\"\\\\\"}", "{\"k\":\"A/\\n\\u001F\\\"\\\\\"}"},
        {"[-9223372036854775808,9223372036854775807,-0]", "[-9223372036854775808,9223372036854775807,0]"},
        {"{\"B\":1,\"a\":2,\"A\":3,\"\xC3\xA9\":4,\"aa\":5}", "{\"A\":3,\"B\":1,\"a\":2,\"aa\":5,\"\\u00E9\":4}"},
        {"{}", "{}"},
        {"[]", "[]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
        json_t *value = NULL, *again = NULL;
        struct ym_buf text = {0};

        assert_int_equal(parse(pair[i][0], &value), YM_OK);
        assert_int_equal(ym_json_canonical(value, &text, NULL), YM_OK);
        assert_string_equal(ym_buf_str(&text), pair[i][1]);
        assert_int_equal(parse(pair[i][1], &again), YM_OK);
        assert_true(json_equal(value, again));
        json_decref(value);
        json_decref(again);
        ym_buf_release(&text);
    }
}

static void hostile_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "\"x\"",
        "{",
        "[1,]",
        "{\"a\":1}x",
        "[1][2]",
        "[1.5]",
        "[1e3]",
        "[1E3]",
        "[-1e-3]",
        "{\"a\":0.0}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[9223372036854775808]",
        "[01]",
        "[+1]",
        "[nan]",
        "[Infinity]",
        "['x']",
        "[\"\\u0000\"]",
        "{\"\\u0000\":1}",
        "[\"\\ud800\"]",
        "[\"\xFF\"]",
        "[\"\xC0\x80\"]",
        "[\"a\nb\"]",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
        "\xEF\xBB\xBF{}",
        "{\"a\"}",
        "// c\n{}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *value = NULL;

        if (parse(bad[i], &value) != YM_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_null(value);
    }
}

static void bytes_after_nul_are_refused(void **state)
{
    json_t *value = NULL;

    (void)state;
    assert_int_equal(ym_json_parse("{}\0{}", 5, 100, &value, NULL), YM_INVALID);
    assert_int_equal(ym_json_parse("[\"a\0b\"]", 7, 100, &value, NULL), YM_INVALID);
    assert_null(value);
}

static void limit_and_offset_are_named(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    json_t *value = NULL;

    (void)state;
    assert_int_equal(ym_json_parse("[1,2]", 5, 4, &value, &st), YM_INVALID);
    assert_string_equal(st.message, "JSON of 5 bytes, more than the 4 allowed");
    assert_int_equal(ym_json_parse("[1,2.5]", 7, 100, &value, &st), YM_INVALID);
    assert_string_equal(st.message, "JSON has a number that is not an integer at byte 4");
    assert_int_equal(ym_json_parse("[1,}", 4, 100, &value, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "at byte 4"));
}

static void sixteen_levels_are_the_most(void **state)
{
    json_t *value = NULL, *deep = json_array();
    struct ym_buf text = {0};

    (void)state;
    assert_int_equal(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", &value), YM_OK);
    assert_int_equal(ym_json_canonical(value, &text, NULL), YM_OK);
    json_array_append_new(deep, value);
    assert_int_equal(ym_json_canonical(deep, &text, NULL), YM_INVALID);
    json_decref(deep);
    ym_buf_release(&text);
}

/* A bomb must be cheap: refused by the scan, not by the stack. */
static void bracket_bomb_is_refused(void **state)
{
    size_t len = 1 << 20;
    char *bomb = malloc(len);
    json_t *value = NULL;

    (void)state;
    memset(bomb, '[', len);
    assert_int_equal(ym_json_parse(bomb, len, len, &value, NULL), YM_INVALID);
    free(bomb);
}

static void canonical_refuses_what_the_form_cannot_hold(void **state)
{
    json_t *real = json_pack("{s:f}", "x", 0.5), *nul = json_pack("[s%]", "a\0b", (size_t)3);
    struct ym_buf text = {0};

    (void)state;
    assert_int_equal(ym_buf_puts(&text, "kept"), YM_OK);
    assert_int_equal(ym_json_canonical(real, &text, NULL), YM_INVALID);
    json_decref(nul);
    nul = json_array();
    json_array_append_new(nul, json_stringn_nocheck("a\0b", 3));
    assert_int_equal(ym_json_canonical(nul, &text, NULL), YM_INVALID);
    assert_int_equal(ym_json_canonical(NULL, &text, NULL), YM_INVALID);
    assert_string_equal(ym_buf_str(&text), "kept");
    json_decref(real);
    json_decref(nul);
    ym_buf_release(&text);
}

static void members_are_checked_by_type_and_range(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    uint8_t hash[32], back[32];
    const char *text = NULL;
    json_t *o = NULL;
    int64_t v = 77;

    (void)state;
    assert_int_equal(parse("{\"n\":5,\"s\":\"x\",\"b\":true}", &o), YM_OK);
    assert_int_equal(ym_json_get_int(o, "n", 1, 5, &v, &st), YM_OK);
    assert_int_equal(v, 5);
    assert_int_equal(ym_json_get_int(o, "n", 1, 4, &v, &st), YM_INVALID);
    assert_string_equal(st.message, "'n' is 5, must be 1 to 4");
    assert_int_equal(ym_json_get_int(o, "n", 6, 9, &v, &st), YM_INVALID);
    assert_int_equal(ym_json_get_int(o, "b", 0, 1, &v, &st), YM_INVALID);
    assert_int_equal(ym_json_get_int(o, "none", 0, 1, &v, &st), YM_INVALID);
    assert_int_equal(v, 5);
    assert_int_equal(ym_json_get_str(o, "n", &text, &st), YM_INVALID);
    assert_null(text);
    assert_int_equal(ym_json_get_str(o, "s", &text, &st), YM_OK);
    assert_string_equal(text, "x");
    for (int i = 0; i < 32; i++)
        hash[i] = (uint8_t)(i * 37);
    ym_json_set_hash(o, "h", hash);
    assert_int_equal(ym_json_get_hash(o, "h", back, &st), YM_OK);
    assert_memory_equal(hash, back, 32);
    json_object_set_new(o, "h", json_string("ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789"));
    assert_int_equal(ym_json_get_hash(o, "h", back, &st), YM_INVALID);
    assert_int_equal(ym_json_get_hash(o, "s", back, &st), YM_INVALID);
    assert_memory_equal(hash, back, 32);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_form_is_reached_from_any_spelling),
        cmocka_unit_test(hostile_json_is_refused),
        cmocka_unit_test(bytes_after_nul_are_refused),
        cmocka_unit_test(limit_and_offset_are_named),
        cmocka_unit_test(sixteen_levels_are_the_most),
        cmocka_unit_test(bracket_bomb_is_refused),
        cmocka_unit_test(canonical_refuses_what_the_form_cannot_hold),
        cmocka_unit_test(members_are_checked_by_type_and_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "ledger_help.h"

static struct ym_key *key;

static int make_key(void **state)
{
    (void)state;
    key = help_key();
    return 0;
}

static int drop_key(void **state)
{
    (void)state;
    ym_key_free(key);
    return 0;
}

static void what_is_signed_opens(void **state)
{
    struct ym_buf line = {0};
    uint8_t pub[32];
    json_t *leaf = NULL;

    (void)state;
    ym_key_public(key, pub);
    help_leaf(key, 7, &line);
    assert_int_equal(ym_leaf_open(ym_buf_bytes(&line), pub, "incident", &leaf, NULL), YM_OK);
    assert_string_equal(json_string_value(json_object_get(leaf, "reason")), "entry 7");
    assert_string_equal(json_string_value(json_object_get(leaf, "by")), "h1");
    assert_int_equal(json_integer_value(json_object_get(leaf, "v")), 1);
    assert_null(json_object_get(leaf, "sig"));
    json_decref(leaf);
    ym_buf_release(&line);
}

static void another_type_or_key_is_refused(void **state)
{
    struct ym_key *other = help_key();
    struct ym_buf line = {0};
    uint8_t pub[32];
    json_t *leaf = NULL;

    (void)state;
    help_leaf(key, 7, &line);
    ym_key_public(key, pub);
    assert_int_equal(ym_leaf_open(ym_buf_bytes(&line), pub, "charge", &leaf, NULL), YM_INVALID);
    ym_key_public(other, pub);
    assert_int_equal(ym_leaf_open(ym_buf_bytes(&line), pub, "incident", &leaf, NULL), YM_DENIED);
    assert_null(leaf);
    ym_key_free(other);
    ym_buf_release(&line);
}

static void every_flipped_bit_is_noticed(void **state)
{
    struct ym_buf line = {0};
    uint8_t pub[32];

    (void)state;
    ym_key_public(key, pub);
    help_leaf(key, 7, &line);
    for (size_t bit = 0; bit < 8 * line.len; bit++) {
        json_t *leaf = NULL;

        line.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(ym_leaf_open(ym_buf_bytes(&line), pub, "incident", &leaf, NULL), YM_OK);
        line.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ym_buf_release(&line);
}

static void reserved_members_cannot_be_signed(void **state)
{
    static const char *const reserved[] = {"type", "v", "time", "by", "key", "sig"};
    struct ym_buf line = {0};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        json_t *members = json_object();

        json_object_set_new(members, reserved[i], json_string("x"));
        assert_int_equal(ym_leaf_sign("incident", members, "h1", 1, key, &line, NULL), YM_INVALID);
        json_decref(members);
    }
    assert_int_equal(line.len, 0);
    ym_buf_release(&line);
}

static void leaves_past_the_bound_are_refused(void **state)
{
    struct ym_buf line = {0};
    char *text = malloc(YM_LEAF_MAX + 1);
    json_t *members = json_object(), *leaf = NULL;

    (void)state;
    memset(text, 'a', YM_LEAF_MAX);
    text[YM_LEAF_MAX] = '\0';
    json_object_set_new(members, "reason", json_string(text));
    assert_int_equal(ym_leaf_sign("incident", members, "h1", 1, key, &line, NULL), YM_INVALID);
    text[YM_LEAF_MAX - 300] = '\0';
    json_object_set_new(members, "reason", json_string(text));
    assert_int_equal(ym_leaf_sign("incident", members, "h1", 1, key, &line, NULL), YM_OK);
    assert_int_equal(ym_leaf_parse(ym_buf_bytes(&line), &leaf, NULL), YM_OK);
    json_decref(leaf);
    json_decref(members);
    free(text);
    ym_buf_release(&line);
}

/* Each line is refused for its form alone; the signature is well-formed base64. */
static void other_spellings_are_refused(void **state)
{
#define KEY "\"key\":\"0123456789abcdef\""
    static const char *const body[] = {
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1", /* good */
        "{\"by\":\"h1\", " KEY ",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{" KEY ",\"by\":\"h1\",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"\\u0061\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"\xe7\x8e\x89\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1.0,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1e0,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":-1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":2",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1,\"type\":\"Incident\",\"v\":1",
        "{\"by\":\"H1\"," KEY ",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\",\"key\":\"0123\",\"reason\":\"a\",\"time\":1,\"type\":\"incident\",\"v\":1",
        "{\"by\":\"h1\"," KEY ",\"reason\":\"a\",\"time\":1,\"v\":1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(body) / sizeof(body[0]); i++) {
        char line[512];
        json_t *leaf = NULL;
        int n = snprintf(line, sizeof(line), "%s,\"sig\":\"%.86s==\"}", body[i],
                         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

        assert_int_equal(ym_leaf_parse((struct ym_bytes){(uint8_t *)line, (size_t)n}, &leaf, NULL),
                         i == 0 ? YM_OK : YM_INVALID);
        json_decref(leaf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_opens),
        cmocka_unit_test(another_type_or_key_is_refused),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(reserved_members_cannot_be_signed),
        cmocka_unit_test(leaves_past_the_bound_are_refused),
        cmocka_unit_test(other_spellings_are_refused),
    };

    return cmocka_run_group_tests(tests, make_key, drop_key);
}

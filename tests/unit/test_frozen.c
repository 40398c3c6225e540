#include "worker/data/frozen.h"

#include <math.h>

#include "base/fs.h"
#include "gate_help.h"
#include "worker/data/freeze.h"

static const char card_text[] = "yumen: card/1\n"
                                "name: d1\n"
                                "title: t\n"
                                "file: x.csv\n"
                                "patient_column: id\n"
                                "size_class: \"<100\"\n"
                                "tier: general\n"
                                "variables:\n"
                                "  - {name: age, column: age, unit: year, low: 0, high: 100}\n"
                                "  - {name: sex, column: sex, levels: [female, male]}\n";

/* Two patients, three rows: {50, female}, {missing, male} and {60, missing}. */
static struct ym_buf frozen_make(void)
{
    static const uint64_t first[] = {0, 2, 3}, draw[] = {7, 65535}, consent[] = {5, 1 << 16};
    const double value[] = {50, 0, NAN, 1, 60, NAN};
    struct ym_card *card = card_must(card_text);
    struct ym_buf bytes = {0};
    assert_int_equal(ym_frozen_encode(card, first, draw, consent, 2, value, NULL, 3, &bytes, NULL), YM_OK);
    ym_card_free(card);
    return bytes;
}

static size_t body_at(const struct ym_buf *b)
{
    uint64_t header;
    memcpy(&header, b->data + 8, 8);
    return (16 + (size_t)header + 63) / 64 * 64;
}

static void bytes_follow_the_published_layout(void **state)
{
    struct ym_buf b = frozen_make();
    struct ym_frozen *f = NULL;
    uint8_t hash[32];
    (void)state;
    assert_memory_equal(b.data, "YMFROZ3\n", 8);
    assert_int_equal(b.len, body_at(&b) + 3 * 8 + 2 * 8 + 2 * 8 + 6 * 8);
    assert_int_equal(ym_frozen_parse(bytes_in(&b), &f, NULL), YM_OK);
    assert_int_equal(f->patient_count, 2);
    assert_int_equal(f->row_count, 3);
    assert_int_equal(f->first_row[1], 2);
    assert_int_equal(f->draw[0], 7);
    assert_int_equal(f->draw[1], 65535);
    assert_int_equal(f->consent[0], 5);
    assert_int_equal(f->consent[1], 1 << 16);
    assert_true(f->value[0] == 50 && f->value[3] == 1 && isnan(f->value[2]));
    ym_sha256(b.data, b.len, hash);
    assert_memory_equal(f->hash, hash, 32);
    ym_frozen_free(f);
    ym_buf_release(&b);
}

static void assert_corrupt(const struct ym_buf *b, size_t len)
{
    struct ym_frozen *f = NULL;
    assert_int_equal(ym_frozen_parse((struct ym_bytes){b->data, len}, &f, NULL), YM_CORRUPT);
    assert_null(f);
}

static void every_cut_is_noticed(void **state)
{
    struct ym_buf b = frozen_make();
    (void)state;
    for (size_t len = 0; len < b.len; len++)
        assert_corrupt(&b, len);
    assert_int_equal(ym_buf_append(&b, "\0", 1), YM_OK);
    assert_corrupt(&b, b.len);
    ym_buf_release(&b);
}

/* One change each to a good set: place and eight bytes. */
static void changes_that_do_not_fit_are_noticed(void **state)
{
    const double half = 0.5, two = 2, minus = -1, inf = INFINITY;
    const uint64_t three = 3, zero = 0, huge = UINT64_MAX, past = 65536, bits = 1 << 22;
    const struct {
        size_t word; /* of the body */
        const void *value;
    } changes[] = {
        {0, &three},    {1, &zero},    {1, &three},     {1, &huge},    {2, &zero},
        {2, &huge},     {3, &huge},    {4, &past},      {5, &bits},    {6, &huge},
        {7 + 1, &half}, {7 + 1, &two}, {7 + 1, &minus}, {7 + 0, &inf}, {7 + 4, &inf},
    };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct ym_buf b = frozen_make();
        memcpy(b.data + body_at(&b) + changes[i].word * 8, changes[i].value, 8);
        assert_corrupt(&b, b.len);
        ym_buf_release(&b);
    }
}

/* Same length, other text. */
static void headers_that_lie_are_noticed(void **state)
{
    static const char *const edits[][2] = {
        {"\"patients\":2", "\"patients\":1"},
        {"\"patients\":2", "\"patients\":0"},
        {"\"patients\":2", "\"patients\":4"},
        {"\"rows\":3", "\"rows\":2"},
        {"\"rows\":3", "\"rows\":9"},
        {"\"dataset\"", "\"Dataset\""},
        {"\"d1\"", "\"D1\""},
        {"\"age\"", "\"sex\""},
        {"\"unit\"", "\"Unit\""},
        {"\"low\":\"0\"", "\"low\":\"x\""},
        {"\"columns\":[{", "\"columns\":{[{"},
        {"\"card\":\"", "\"card\":\"Z"},
        {"[\"female\"", "[\"femal\" "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct ym_buf b = frozen_make();
        uint8_t *at = memmem(b.data, b.len, edits[i][0], strlen(edits[i][0]));
        assert_non_null(at);
        memcpy(at, edits[i][1], strlen(edits[i][1]));
        assert_corrupt(&b, b.len);
        ym_buf_release(&b);
    }
}

static void header_lengths_are_checked_before_use(void **state)
{
    static const uint64_t lengths[] = {0, 1, 65537, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 15, 300};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct ym_buf b = frozen_make();
        memcpy(b.data + 8, &lengths[i], 8);
        assert_corrupt(&b, b.len);
        ym_buf_release(&b);
    }
}

/* rows * columns * 8 that wraps to the true length must not pass. */
static void sizes_that_wrap_are_noticed(void **state)
{
    struct ym_buf b = frozen_make(), forged = {0};
    size_t body = body_at(&b);
    uint64_t header_len;
    char *text;
    (void)state;
    memcpy(&header_len, b.data + 8, 8);
    char *header = strndup((char *)b.data + 16, (size_t)header_len);
    /* 2^60 + 3 rows of two columns of 8 bytes: 2^64 + 48 */
    text = text_edit(header, "\"rows\":3", "\"rows\":1152921504606846979");
    uint64_t text_len = strlen(text);
    ym_buf_append(&forged, b.data, 8);
    ym_buf_append(&forged, &text_len, 8);
    ym_buf_puts(&forged, text);
    while (forged.len % 64)
        ym_buf_append(&forged, "\0", 1);
    ym_buf_append(&forged, b.data + body, b.len - body);
    /* the index agrees with the header, so that only the size can give it away */
    memcpy(forged.data + body_at(&forged) + 2 * 8, &(uint64_t){(UINT64_C(1) << 60) + 3}, 8);
    assert_corrupt(&forged, forged.len);
    free(text);
    free(header);
    ym_buf_release(&b);
    ym_buf_release(&forged);
}

static void padding_must_be_zero(void **state)
{
    struct ym_buf b = frozen_make();
    (void)state;
    if (b.data[body_at(&b) - 1] == 0) {
        b.data[body_at(&b) - 1] = 1;
        assert_corrupt(&b, b.len);
    }
    ym_buf_release(&b);
}

static void files_load_or_say_why(void **state)
{
    char *dir = *state, path[256];
    struct ym_buf b = frozen_make();
    struct ym_frozen *f = NULL;
    snprintf(path, sizeof path, "%s/d1.frozen", dir);
    assert_int_equal(ym_frozen_load(path, &f, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_frozen_load(dir, &f, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_fs_write(path, bytes_in(&b), 0600, NULL), YM_OK);
    assert_int_equal(ym_frozen_load(path, &f, NULL), YM_OK);
    assert_int_equal(f->row_count, 3);
    ym_frozen_free(f);
    f = NULL;
    b.len--;
    assert_int_equal(ym_fs_write(path, bytes_in(&b), 0600, NULL), YM_OK);
    assert_int_equal(ym_frozen_load(path, &f, NULL), YM_CORRUPT);
    b.len = 0;
    assert_int_equal(ym_fs_write(path, bytes_in(&b), 0600, NULL), YM_OK);
    assert_int_equal(ym_frozen_load(path, &f, NULL), YM_CORRUPT);
    ym_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_follow_the_published_layout),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(changes_that_do_not_fit_are_noticed),
        cmocka_unit_test(headers_that_lie_are_noticed),
        cmocka_unit_test(header_lengths_are_checked_before_use),
        cmocka_unit_test(sizes_that_wrap_are_noticed),
        cmocka_unit_test(padding_must_be_zero),
        cmocka_unit_test_setup_teardown(files_load_or_say_why, dir_setup, dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

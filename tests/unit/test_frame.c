#include "support.h"
#include "worker/trainer/frame.h"

static struct ym_frame plain(enum ym_frame_kind kind, const char *text)
{
    return (struct ym_frame){
        .kind = kind, .from = 7, .to = 9, .sequence = 3, .acknowledged = 2, .payload = bytes_of(text)};
}

static void a_frame_comes_back_as_it_was(void **state)
{
    struct ym_frame f = plain(YM_FRAME_OBJECT, "abc"), got;
    struct ym_buf b = {0};

    (void)state;
    f.offset = 5;
    f.total = 100;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_OK);
    assert_int_equal(b.len, YM_FRAME_HEADER + 3);
    assert_int_equal(ym_frame_decode(bytes_in(&b), &got, NULL), YM_OK);
    assert_int_equal(got.kind, YM_FRAME_OBJECT);
    assert_int_equal(got.from, 7);
    assert_int_equal(got.to, 9);
    assert_int_equal(got.sequence, 3);
    assert_int_equal(got.acknowledged, 2);
    assert_int_equal(got.offset, 5);
    assert_int_equal(got.total, 100);
    assert_int_equal(got.payload.len, 3);
    assert_memory_equal(got.payload.data, "abc", 3);
    ym_buf_release(&b);
}

static void control_frames_have_one_size_whatever_they_say(void **state)
{
    struct ym_frame f = plain(YM_FRAME_CONTROL, "x"), got;
    struct ym_buf one = {0}, two = {0};

    (void)state;
    f.room = YM_FRAME_CONTROL_BYTES;
    assert_int_equal(ym_frame_encode(&f, &one, NULL), YM_OK);
    f.payload = bytes_of("a longer leaf");
    assert_int_equal(ym_frame_encode(&f, &two, NULL), YM_OK);
    assert_int_equal(one.len, two.len);
    assert_int_equal(ym_frame_decode(bytes_in(&two), &got, NULL), YM_OK);
    assert_int_equal(got.payload.len, strlen("a longer leaf"));
    ym_buf_release(&one);
    ym_buf_release(&two);
}

static void padding_that_says_something_is_refused(void **state)
{
    struct ym_frame f = plain(YM_FRAME_CONTROL, "x"), got;
    struct ym_buf b = {0};

    (void)state;
    f.room = YM_FRAME_CONTROL_BYTES;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_OK);
    b.data[b.len - 1] = 1;
    assert_int_equal(ym_frame_decode(bytes_in(&b), &got, NULL), YM_INVALID);
    ym_buf_release(&b);
}

/* Header bytes that must be as they are, each turned to another value. */
static void every_broken_header_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } broken[] = {{0, 'X'}, {4, 2},  {5, 0},  {5, 99}, {6, 1},  {7, 1}, {8, 0},
                  {24, 0},  {55, 1}, {56, 9}, {59, 1}, {60, 2}, {63, 1}};
    struct ym_frame f = plain(YM_FRAME_ROUND, "abc"), got;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct ym_buf b = {0};

        assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_OK);
        b.data[broken[i].at] = broken[i].value;
        assert_int_equal(ym_frame_decode(bytes_in(&b), &got, NULL), YM_INVALID);
        ym_buf_release(&b);
    }
}

static void a_cut_frame_is_refused_at_every_length(void **state)
{
    struct ym_frame f = plain(YM_FRAME_ROUND, "abcdef"), got;
    struct ym_buf b = {0};

    (void)state;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_OK);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(ym_frame_decode((struct ym_bytes){b.data, len}, &got, NULL), YM_INVALID);
    ym_buf_release(&b);
}

static void bounds_hold_when_encoding_too(void **state)
{
    static uint8_t big[YM_FRAME_MAX_PAYLOAD + 1];
    struct ym_frame f = plain(YM_FRAME_OBJECT, "");
    struct ym_buf b = {0};

    (void)state;
    f.payload = (struct ym_bytes){big, sizeof big};
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_INVALID);
    f.payload.len = YM_FRAME_MAX_PAYLOAD;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_OK);
    f.total = YM_FRAME_MAX_TOTAL + 1;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_INVALID);
    f.total = 10;
    f.offset = 11;
    assert_int_equal(ym_frame_encode(&f, &b, NULL), YM_INVALID);
    ym_buf_release(&b);
}

static void parts_must_fill_their_frame(void **state)
{
    struct ym_buf b = {0};
    struct ym_bytes part[3];

    (void)state;
    assert_int_equal(ym_parts_append(&b, bytes_of("one")), YM_OK);
    assert_int_equal(ym_parts_append(&b, bytes_of("")), YM_OK);
    assert_int_equal(ym_parts_split(bytes_in(&b), part, 2, NULL), YM_OK);
    assert_int_equal(part[0].len, 3);
    assert_int_equal(part[1].len, 0);
    assert_int_equal(ym_parts_split(bytes_in(&b), part, 1, NULL), YM_INVALID);
    assert_int_equal(ym_parts_split(bytes_in(&b), part, 3, NULL), YM_INVALID);
    b.data[0] = 200; /* longer than what is there */
    assert_int_equal(ym_parts_split(bytes_in(&b), part, 2, NULL), YM_INVALID);
    memset(b.data, 0xff, 4);
    assert_int_equal(ym_parts_split(bytes_in(&b), part, 2, NULL), YM_INVALID);
    ym_buf_release(&b);
}

static void an_answers_reason_is_a_word(void **state)
{
    struct ym_frame_answer a = {.answer = YM_CONFLICT, .reason = "other_bytes"}, got;
    struct ym_buf b = {0};

    (void)state;
    assert_int_equal(ym_frame_answer_encode(&a, &b), YM_OK);
    assert_int_equal(ym_frame_answer_decode(bytes_in(&b), &got, NULL), YM_OK);
    assert_string_equal(got.reason, "other_bytes");
    assert_int_equal(got.answer, YM_CONFLICT);
    b.data[b.len - 1] = '\n';
    assert_int_equal(ym_frame_answer_decode(bytes_in(&b), &got, NULL), YM_INVALID);
    b.data[b.len - 1] = 's';
    b.data[YM_HASH_BYTES] = 200;
    assert_int_equal(ym_frame_answer_decode(bytes_in(&b), &got, NULL), YM_INVALID);
    assert_int_equal(ym_frame_answer_decode((struct ym_bytes){b.data, YM_HASH_BYTES}, &got, NULL), YM_INVALID);
    ym_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_comes_back_as_it_was),
        cmocka_unit_test(control_frames_have_one_size_whatever_they_say),
        cmocka_unit_test(padding_that_says_something_is_refused),
        cmocka_unit_test(every_broken_header_is_refused),
        cmocka_unit_test(a_cut_frame_is_refused_at_every_length),
        cmocka_unit_test(bounds_hold_when_encoding_too),
        cmocka_unit_test(parts_must_fill_their_frame),
        cmocka_unit_test(an_answers_reason_is_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

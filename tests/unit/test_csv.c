#include "worker/data/csv.h"

#include "support.h"
#include "worker/data/recode.h"

/* Records as text: cells in <>, a record's line before it, faults after it. */
static enum ym_code show(void *ctx, const struct ym_csv_record *r, struct ym_status *st)
{
    static const char *const faults[] = {"", "!quote", "!open", "!long"};
    (void)st;
    ym_buf_printf(ctx, "%llu", (unsigned long long)r->line);
    for (size_t i = 0; i < r->count; i++) {
        if (r->field[i].line != r->line)
            ym_buf_printf(ctx, "@%llu", (unsigned long long)r->field[i].line);
        ym_buf_puts(ctx, "<");
        ym_buf_append(ctx, r->field[i].text, r->field[i].len);
        ym_buf_puts(ctx, ">");
    }
    ym_buf_printf(ctx, "%s ", faults[r->fault]);
    return YM_OK;
}

static void assert_reads(const char *text, size_t len, char separator, size_t piece, const char *expected)
{
    struct ym_buf seen = {0};
    struct ym_csv *csv = ym_csv_new(separator, show, &seen);
    for (size_t i = 0; i < len; i += piece)
        assert_int_equal(ym_csv_push(csv, text + i, len - i < piece ? len - i : piece, NULL), YM_OK);
    assert_int_equal(ym_csv_finish(csv, NULL), YM_OK);
    if (seen.len != strlen(expected) || memcmp(ym_buf_str(&seen), expected, seen.len))
        fail_msg("'%s' in pieces of %zu reads as\n%s, not\n%s", text, piece, ym_buf_str(&seen), expected);
    ym_csv_free(csv);
    ym_buf_release(&seen);
}

static void every_form_reads_the_same_in_pieces_of_any_size(void **state)
{
    static const struct {
        const char *text;
        char separator;
        const char *expected;
    } cases[] = {
        {"", ',', ""},
        {"\n\r\n\r", ',', ""},
        {"a,b\n1,2\n", ',', "1<a><b> 2<1><2> "},
        {"a,b\r\n1,2\r\n", ',', "1<a><b> 2<1><2> "},
        {"a,b\r1,2", ',', "1<a><b> 2<1><2> "},
        {"a\r\n\r\nb\n\n\nc", ',', "1<a> 3<b> 6<c> "},
        {"\xef\xbb\xbf\"a\",b\n", ',', "1<a><b> "},
        {"\xef\xbb", ',', "1<\xef\xbb> "},
        {"\xef\xbbx,\xef\xbb\xbf", ',', "1<\xef\xbbx><\xef\xbb\xbf> "},
        {"\"a,b\",\"c\nd\",e\nf\n", ',', "1<a,b><c\nd>@2<e> 3<f> "},
        {"\"a\r\nb\",c\r\nd", ',', "1<a\r\nb>@2<c> 3<d> "},
        {"\"say \"\"hi\"\"\",2", ',', "1<say \"hi\"><2> "},
        {"\"\"\n\"\"\"\"", ',', "1<> 2<\"> "},
        {"a,\n,b\n,,\n", ',', "1<a><> 2<><b> 3<><><> "},
        {"5'10\",x", ',', "1<5'10\"><x> "},
        {"\"a\"b,c\nd,e\n", ',', "1<ab><c>!quote 2<d><e> "},
        {"x,\"open\nmore", ',', "1<x><open\nmore>!open "},
        {"a;b,c;\"d;e\"", ';', "1<a><b,c><d;e> "},
        {"a\tb c\t", '\t', "1<a><b c><> "},
        {"ragged\n1,2,3\n4,5", ',', "1<ragged> 2<1><2><3> 3<4><5> "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= 7; piece++)
            assert_reads(cases[i].text, strlen(cases[i].text), cases[i].separator, piece, cases[i].expected);
}

static void nul_bytes_stay_in_their_cell(void **state)
{
    struct ym_buf seen = {0};
    struct ym_csv *csv = ym_csv_new(',', show, &seen);
    (void)state;
    assert_int_equal(ym_csv_push(csv, "a\0b,c", 5, NULL), YM_OK);
    assert_int_equal(ym_csv_finish(csv, NULL), YM_OK);
    assert_int_equal(seen.len, 10);
    assert_memory_equal(seen.data, "1<a\0b><c> ", 10);
    ym_csv_free(csv);
    ym_buf_release(&seen);
}

static void a_line_over_a_mebibyte_ends_the_reading(void **state)
{
    static char big[70000];
    struct ym_buf seen = {0};
    struct ym_csv *csv = ym_csv_new(',', show, &seen);
    enum ym_code code = YM_OK;
    (void)state;
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 20 && code == YM_OK; i++)
        code = ym_csv_push(csv, big, sizeof big, NULL);
    assert_int_equal(code, YM_INVALID);
    assert_string_equal(ym_buf_str(&seen) + seen.len - 6, "!long ");
    ym_csv_free(csv);
    ym_buf_release(&seen);
}

static void a_line_of_separators_is_bounded_too(void **state)
{
    static char big[YM_CSV_FIELDS + 1];
    struct ym_buf seen = {0};
    struct ym_csv *csv = ym_csv_new(',', show, &seen);
    (void)state;
    memset(big, ',', sizeof big);
    assert_int_equal(ym_csv_push(csv, big, sizeof big, NULL), YM_INVALID);
    ym_csv_free(csv);
    ym_buf_release(&seen);
}

/* ---- encodings ---- */

static enum ym_code collect(void *ctx, const void *data, size_t len, struct ym_status *st)
{
    (void)st;
    return ym_buf_append(ctx, data, len);
}

static void assert_recodes(const char *bytes, size_t len, const char *expected)
{
    for (size_t piece = 1; piece <= len; piece++) {
        struct ym_buf out = {0};
        struct ym_recode *r = NULL;
        assert_int_equal(ym_recode_open("gb18030", collect, &out, &r, NULL), YM_OK);
        for (size_t i = 0; i < len; i += piece)
            assert_int_equal(ym_recode_push(r, bytes + i, len - i < piece ? len - i : piece, NULL), YM_OK);
        assert_int_equal(ym_recode_finish(r, NULL), YM_OK);
        assert_int_equal(out.len, strlen(expected));
        assert_memory_equal(out.data, expected, out.len);
        ym_recode_close(r);
        ym_buf_release(&out);
    }
}

static void gb18030_becomes_utf8_wherever_it_is_cut(void **state)
{
    static const char two_bytes[] = "\xc4\xd0,\xc5\xae\n";               /* 男,女 */
    static const char four_bytes[] = "\x95\x32\x82\x36\x84\x31\x95\x33"; /* U+20000, U+FEFF */
    (void)state;
    assert_recodes(two_bytes, sizeof two_bytes - 1, "男,女\n");
    assert_recodes(four_bytes, sizeof four_bytes - 1, "\xf0\xa0\x80\x80\xef\xbb\xbf");
}

static void a_byte_that_gb18030_lacks_spoils_its_own_cell(void **state)
{
    (void)state;
    assert_recodes("a,\xff,b\n", 6, "a,\xff,b\n");
    assert_recodes("a,\xc4", 3, "a,\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_reads_the_same_in_pieces_of_any_size),
        cmocka_unit_test(nul_bytes_stay_in_their_cell),
        cmocka_unit_test(a_line_over_a_mebibyte_ends_the_reading),
        cmocka_unit_test(a_line_of_separators_is_bounded_too),
        cmocka_unit_test(gb18030_becomes_utf8_wherever_it_is_cut),
        cmocka_unit_test(a_byte_that_gb18030_lacks_spoils_its_own_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

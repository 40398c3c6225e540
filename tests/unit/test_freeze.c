#include "worker/data/freeze.h"

#include <math.h>

#include "base/fs.h"
#include "base/text.h"
#include "gate_help.h"

static const char card_text[] = "yumen: card/1\n"
                                "name: d1\n"
                                "title: t\n"
                                "file: x.csv\n"
                                "patient_column: id\n"
                                "size_class: \"<100\"\n"
                                "tier: general\n"
                                "variables:\n"
                                "  - {name: age, column: age, unit: year, low: 0, high: 100, missing: [NA]}\n"
                                "  - {name: sex, column: sex, levels: [female, male], map: {女: female, 男: male}}\n";

static const uint8_t salt[32] = {7};

/* Freeze bytes; the report and the frozen set, when there is one. */
struct result {
    enum ym_code code;
    struct ym_status st;
    struct ym_buf report;
    struct ym_frozen *frozen;
};

static struct result freeze_bytes(const char *card_yaml, const char *csv, size_t len, bool skip_bad)
{
    struct result r = {.st = YM_STATUS_INIT};
    struct ym_card *card = card_must(card_yaml);
    struct ym_freeze *f = NULL;
    struct ym_buf bytes = {0};
    assert_int_equal(ym_freeze_new(card, salt, skip_bad, &r.report, &f, NULL), YM_OK);
    r.code = ym_freeze_push(f, csv, len, &r.st);
    if (r.code == YM_OK)
        r.code = ym_freeze_finish(f, &bytes, &r.st);
    ym_freeze_free(f);
    if (r.code == YM_OK) {
        assert_int_equal(ym_frozen_parse(bytes_in(&bytes), &r.frozen, NULL), YM_OK);
        assert_memory_equal(r.frozen->card_hash, card->hash, YM_HASH_BYTES);
    } else {
        assert_int_equal(bytes.len, 0);
    }
    ym_buf_release(&bytes);
    ym_card_free(card);
    return r;
}

static struct result freeze(const char *csv, bool skip_bad)
{
    return freeze_bytes(card_text, csv, strlen(csv), skip_bad);
}

static void result_release(struct result *r)
{
    ym_buf_release(&r->report);
    ym_frozen_free(r->frozen);
}

static void assert_says(struct result r, enum ym_code code, const char *report)
{
    if (r.code != code || strcmp(ym_buf_str(&r.report), report))
        fail_msg("code %d, report\n%s", r.code, ym_buf_str(&r.report));
    result_release(&r);
}

static void rows_are_grouped_by_patient_in_file_order(void **state)
{
    struct result r = freeze("id,age,sex\np1,50,女\np2,60,男\np1,51,female\n p2 ,61,\np1,NA,女\n", false);
    const struct ym_frozen *f = r.frozen;
    (void)state;
    assert_int_equal(r.code, YM_OK);
    assert_string_equal(f->dataset, "d1");
    assert_int_equal(f->row_count, 5);
    assert_int_equal(f->patient_count, 2);
    assert_string_equal(f->var[0], "age");
    assert_string_equal(f->column[0].unit, "year");
    assert_true(f->column[0].low == 0 && f->column[0].high == 100);
    assert_int_equal(f->column[1].level_count, 2);
    assert_string_equal(f->column[1].level[1], "male");
    /* which patient comes first is the hash's choice; rows of each keep their order */
    size_t one = f->first_row[1] == 3 ? 0 : 3, two = one ? 0 : 3;
    const double *v = f->value;
    assert_true(v[one * 2] == 50 && v[one * 2 + 1] == 0);
    assert_true(v[one * 2 + 2] == 51 && v[one * 2 + 3] == 0);
    assert_true(isnan(v[one * 2 + 4]));
    assert_true(v[two * 2] == 60 && v[two * 2 + 1] == 1);
    assert_true(v[two * 2 + 2] == 61 && isnan(v[two * 2 + 3]));
    result_release(&r);
}

static void patients_come_in_the_order_of_their_salted_hash(void **state)
{
    struct ym_buf csv = {0};
    uint8_t text[64], last[32] = {0}, hash[32];
    (void)state;
    ym_buf_puts(&csv, "id,age,sex\n");
    for (int i = 0; i < 50; i++)
        ym_buf_printf(&csv, "%d,%d,女\n", i, i);
    struct result r = freeze(ym_buf_str(&csv), false);
    assert_int_equal(r.frozen->patient_count, 50);
    memcpy(text, salt, 32);
    for (size_t i = 0; i < 50; i++) {
        int n = snprintf((char *)text + 32, 32, "%d", (int)r.frozen->value[i * 2]);
        ym_sha256(text, 32 + (size_t)n, hash);
        assert_true(memcmp(last, hash, 32) < 0);
        memcpy(last, hash, 32);
    }
    result_release(&r);
    ym_buf_release(&csv);
}

static void identifiers_are_not_in_the_bytes(void **state)
{
    struct result r = freeze("id,age,sex\nPATIENT-0123456789,50,女\n", false);
    (void)state;
    assert_null(memmem(r.frozen->bytes.data, r.frozen->bytes.len, "PATIENT", 7));
    result_release(&r);
}

static void each_failing_cell_is_told_with_line_and_column(void **state)
{
    (void)state;
    assert_says(
        freeze("id,age,sex\np1,\"1,234\",女\np2,５,x\np3,n/a,男\n", false), YM_INVALID,
        "line 2: column \"age\": \"1,234\" has a comma: write a point for decimals and nothing between thousands\n"
        "line 3: column \"age\": \"５\" is written in full-width characters: write 0-9 and \".\"\n"
        "line 3: column \"sex\": \"x\" is not a level: add it to the card's map, levels or missing\n"
        "line 4: column \"age\": \"n/a\" is not a number: if it means missing, add it to the card's missing\n");
    assert_says(freeze("id,age,sex\n\"p\n1\",1,x\n", false), YM_INVALID,
                "line 3: column \"sex\": \"x\" is not a level: add it to the card's map, levels or missing\n");
}

static void rows_of_a_wrong_shape_are_told(void **state)
{
    (void)state;
    assert_says(freeze("id,age,sex\np1,1\np2,1,女,x\n", false), YM_INVALID,
                "line 2: has 2 cells, the header has 3\nline 3: has 4 cells, the header has 3\n");
    assert_says(freeze("id,age,sex\n,1,女\n", false), YM_INVALID,
                "line 2: column \"id\": the patient identifier is empty\n");
    assert_says(freeze("id,age,sex\np1,\"1\"2,女\n", false), YM_INVALID,
                "line 2: text follows a closing quote: double the quotes inside a quoted cell\n");
    assert_says(freeze("id,age,sex\np1,1,\"女\n", false), YM_INVALID,
                "line 2: a quote is opened here or below and never closed\n");
}

static void columns_that_do_not_exist_are_told_all_at_once(void **state)
{
    (void)state;
    assert_says(freeze("Id,age_years,sex\n1,2,3\n", false), YM_INVALID,
                "line 1: there is no column \"id\": did you mean \"Id\"?\n"
                "line 1: there is no column \"age\": correct the card, or the file's header\n");
    assert_says(freeze("id,age,age,sex\n", false), YM_INVALID,
                "line 1: column \"age\" appears twice in the header: rename one\n");
}

static void files_without_rows_are_refused(void **state)
{
    (void)state;
    assert_says(freeze("id,age,sex\n", false), YM_INVALID, "the file has no rows below its header\n");
    assert_says(freeze("", false), YM_INVALID, "the file has no rows below its header\n");
}

static void wrong_encodings_are_told(void **state)
{
    static const char gb[] = "id,age,sex\np1,5,\xc4\xd0\n";
    static const char header[] = "id,age,sex,\xc4\xd0\np1,5,x\n";
    static const char nul[] = "id,age,sex\np1,5\0,\xe7\x94\xb7\n";
    (void)state;
    assert_says(freeze_bytes(card_text, gb, sizeof gb - 1, false), YM_INVALID,
                "line 2: column \"sex\": \"??\" is not utf-8 text: is the card's encoding right?\n");
    assert_says(
        freeze_bytes(card_text, header, sizeof header - 1, false), YM_INVALID,
        "line 1: the header is not utf-8 text: is the card's encoding right? Save the file as UTF-8 or GB18030\n");
    assert_says(freeze_bytes(card_text, nul, sizeof nul - 1, false), YM_INVALID,
                "line 2: column \"age\": \"5?\" holds a NUL byte\n");
}

static void gb18030_with_a_tab_reads_like_utf8(void **state)
{
    /* 病历号 \t 年龄 \t 性别 / p1 \t 50 \t 男 / p2 \t 未查 \t 女 */
    static const char gb[] = "\xb2\xa1\xc0\xfa\xba\xc5\t\xc4\xea\xc1\xe4\t\xd0\xd4\xb1\xf0\r\n"
                             "p1\t50\t\xc4\xd0\r\n"
                             "p2\t\xce\xb4\xb2\xe9\t\xc5\xae\r\n";
    char *a = text_edit(card_text, "file: x.csv\n", "file: x.csv\nencoding: gb18030\nseparator: tab\n");
    char *b = text_edit(a, "patient_column: id", "patient_column: 病历号");
    char *c = text_edit(b, "column: age", "column: 年龄");
    char *d = text_edit(c, "column: sex", "column: 性别"), *e = text_edit(d, "[NA]", "[未查]");
    (void)state;
    struct result r = freeze_bytes(e, gb, sizeof gb - 1, false);
    if (r.code != YM_OK)
        fail_msg("%s", ym_buf_str(&r.report));
    assert_int_equal(r.frozen->patient_count, 2);
    size_t one = isnan(r.frozen->value[0]) ? 1 : 0;
    assert_true(r.frozen->value[one * 2] == 50 && r.frozen->value[one * 2 + 1] == 1);
    assert_true(isnan(r.frozen->value[2 - one * 2]) && r.frozen->value[3 - one * 2] == 0);
    result_release(&r);
    free(a);
    free(b);
    free(c);
    free(d);
    free(e);
}

static void skipping_drops_the_whole_patient(void **state)
{
    struct result r = freeze("id,age,sex\np1,50,女\np2,60,男\np1,x,女\np3,7,男,extra\np3,8,男\n", true);
    (void)state;
    assert_int_equal(r.code, YM_OK);
    assert_int_equal(r.frozen->patient_count, 1); /* p3's ragged line is p3's */
    assert_int_equal(r.frozen->row_count, 1);
    assert_true(r.frozen->value[0] == 60);
    assert_non_null(strstr(ym_buf_str(&r.report), "line 4: column \"age\""));
    result_release(&r);
    assert_says(freeze("id,age,sex\np1,x,女\n", true), YM_INVALID,
                "line 2: column \"age\": \"x\" is not a number: correct it, or add it to the card's map or missing\n"
                "no patient is left without a failing line\n");
}

static void values_outside_the_declared_range_are_a_note(void **state)
{
    struct result r = freeze("id,age,sex\np1,999,女\np2,60,男\n", false);
    (void)state;
    assert_int_equal(r.code, YM_OK);
    assert_non_null(strstr(ym_buf_str(&r.report), "note: column \"age\": 1 values lie outside the card's 0 to 100"));
    result_release(&r);
}

static void the_same_fault_is_shown_three_times(void **state)
{
    struct result r = freeze("id,age,sex\np1,1,m\np2,2,m\np3,3,m\np4,4,m\np5,old,m\np6,6,男\n", false);
    const char *text = ym_buf_str(&r.report);
    (void)state;
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(text, "line 4: column \"sex\": \"m\""));
    assert_null(strstr(text, "line 5"));
    assert_non_null(strstr(text, "line 6: column \"age\": \"old\""));
    assert_null(strstr(text, "line 6: column \"sex\""));
    result_release(&r);
}

static void a_report_is_cut_after_a_hundred_lines(void **state)
{
    char *dir = *state, path[256];
    struct ym_buf csv = {0}, report = {0}, bytes = {0};
    struct ym_card *card = card_must(card_text);
    size_t lines = 0;
    ym_buf_puts(&csv, "id,age,sex\n");
    for (int i = 0; i < 150; i++)
        ym_buf_printf(&csv, "%d,old%d,女\n", i, i);
    snprintf(path, sizeof path, "%s/x.csv", dir);
    assert_int_equal(ym_fs_write(path, bytes_in(&csv), 0600, NULL), YM_OK);
    assert_int_equal(ym_freeze_file(card, path, NULL, salt, false, &bytes, NULL, &report, NULL), YM_INVALID);
    for (size_t i = 0; i < report.len; i++)
        lines += report.data[i] == '\n';
    assert_int_equal(lines, 101);
    assert_non_null(strstr(ym_buf_str(&report), "\nand 50 more ("));
    ym_buf_release(&csv);
    ym_buf_release(&report);
    ym_card_free(card);
}

static void files_that_cannot_be_read_say_so(void **state)
{
    char *dir = *state, path[256];
    struct ym_buf report = {0}, bytes = {0};
    struct ym_card *card = card_must(card_text);
    struct ym_status st;
    snprintf(path, sizeof path, "%s/none.csv", dir);
    assert_int_equal(ym_freeze_file(card, path, NULL, salt, false, &bytes, NULL, &report, &st), YM_NOT_FOUND);
    assert_non_null(strstr(st.message, "none.csv"));
    assert_int_equal(ym_freeze_file(card, dir, NULL, salt, false, &bytes, NULL, &report, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "regular file"));
    ym_card_free(card);
}

static void a_line_too_long_is_told(void **state)
{
    char *csv = malloc(3 << 20);
    (void)state;
    memset(csv, 'x', 3 << 20);
    memcpy(csv, "id,age,sex\np1,\"", 15);
    assert_says(freeze_bytes(card_text, csv, 3 << 20, false), YM_INVALID,
                "line 2: is longer than 1048576 bytes: is a quote left open?\n");
    free(csv);
}

static void the_same_file_freezes_to_the_same_bytes(void **state)
{
    static const char csv[] = "id,age,sex\np1,50,女\np2,,男\n";
    struct result a = freeze(csv, false), b = freeze(csv, false);
    (void)state;
    assert_memory_equal(a.frozen->hash, b.frozen->hash, YM_HASH_BYTES);
    result_release(&a);
    result_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_grouped_by_patient_in_file_order),
        cmocka_unit_test(patients_come_in_the_order_of_their_salted_hash),
        cmocka_unit_test(identifiers_are_not_in_the_bytes),
        cmocka_unit_test(each_failing_cell_is_told_with_line_and_column),
        cmocka_unit_test(rows_of_a_wrong_shape_are_told),
        cmocka_unit_test(columns_that_do_not_exist_are_told_all_at_once),
        cmocka_unit_test(files_without_rows_are_refused),
        cmocka_unit_test(wrong_encodings_are_told),
        cmocka_unit_test(gb18030_with_a_tab_reads_like_utf8),
        cmocka_unit_test(skipping_drops_the_whole_patient),
        cmocka_unit_test(values_outside_the_declared_range_are_a_note),
        cmocka_unit_test(the_same_fault_is_shown_three_times),
        cmocka_unit_test_setup_teardown(a_report_is_cut_after_a_hundred_lines, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_say_so, dir_setup, dir_teardown),
        cmocka_unit_test(a_line_too_long_is_told),
        cmocka_unit_test(the_same_file_freezes_to_the_same_bytes),
    };
    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

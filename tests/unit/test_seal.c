#include "ledger_help.h"

#include "audit/ledger/cosign.h"
#include "audit/ledger/seal.h"

#define NOTE "log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\xe2\x80\x94 log AAAA\n"
#define LINE "\xe2\x80\x94 h1 fm9KqgAAAABkGFDL\n"
#define LINE_OTHER_KEY "\xe2\x80\x94 h1 0000qgAAAABkGFDL\n"
#define LINE_LONGER_NAME "\xe2\x80\x94 h11 fm9KqgAAAABkGFDL\n"

static struct ym_bytes view(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

static void expect(const char *dir, uint64_t size, const char *text)
{
    struct ym_buf got = {0};

    assert_int_equal(ym_seal_read(dir, size, &got, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&got), text);
    ym_buf_release(&got);
}

static void one_line_of_a_name_is_kept(void **state)
{
    char dir[64];

    (void)state;
    help_temp(dir);
    assert_int_equal(ym_seal_write(dir, 7, view(NOTE), NULL), YM_OK);
    assert_int_equal(ym_seal_add(dir, 7, view(LINE), NULL), YM_OK);
    assert_int_equal(ym_seal_add(dir, 7, view(LINE), NULL), YM_OK);
    assert_int_equal(ym_seal_add(dir, 7, view(LINE_OTHER_KEY), NULL), YM_OK);
    expect(dir, 7, NOTE LINE);
    assert_int_equal(ym_seal_add(dir, 7, view(LINE_LONGER_NAME), NULL), YM_OK);
    expect(dir, 7, NOTE LINE LINE_LONGER_NAME);
    assert_int_equal(ym_seal_write(dir, 7, view(NOTE), NULL), YM_OK); /* once more: lines stay */
    expect(dir, 7, NOTE LINE LINE_LONGER_NAME);
    assert_int_equal(ym_seal_add(dir, 8, view(LINE), NULL), YM_NOT_FOUND);
    assert_int_equal(ym_seal_add(dir, 7, view("\xe2\x80\x94 h2 AAAA"), NULL), YM_INVALID);
    help_remove(dir);
}

static void newest_is_the_largest_size(void **state)
{
    char dir[64];
    uint64_t size = 0;

    (void)state;
    help_temp(dir);
    assert_int_equal(ym_seal_newest(dir, &size, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_seal_write(dir, 1000, view(NOTE), NULL), YM_OK);
    assert_int_equal(ym_seal_write(dir, 999, view(NOTE), NULL), YM_OK);
    assert_int_equal(ym_seal_newest(dir, &size, NULL), YM_OK);
    assert_int_equal(size, 1000);
    help_remove(dir);
}

static void what_a_power_cut_tore_is_swept(void **state)
{
    char dir[64], path[128];
    struct ym_buf got = {0};

    (void)state;
    help_temp(dir);
    assert_int_equal(ym_seal_sweep(dir, NULL), YM_OK);
    for (uint64_t size = 1; size <= 3; size++)
        assert_int_equal(ym_seal_write(dir, size, view(NOTE), NULL), YM_OK);
    snprintf(path, sizeof(path), "%s/cosigned/%020d", dir, 2);
    assert_int_equal(truncate(path, 0), 0);
    snprintf(path, sizeof(path), "%s/cosigned/%020d", dir, 3);
    assert_int_equal(truncate(path, sizeof(NOTE) - 4), 0);
    assert_int_equal(ym_seal_sweep(dir, NULL), YM_OK);
    expect(dir, 1, NOTE);
    assert_int_equal(ym_seal_read(dir, 2, &got, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_seal_read(dir, 3, &got, NULL), YM_NOT_FOUND);
    ym_buf_release(&got);
    help_remove(dir);
}

static void note_has_room_for_so_many_and_stays_whole(void **state)
{
    struct ym_buf line = {0}, got = {0};
    enum ym_code code = YM_OK;
    char dir[64];
    int i;

    (void)state;
    help_temp(dir);
    assert_int_equal(ym_seal_write(dir, 7, view(NOTE), NULL), YM_OK);
    for (i = 0; i < 1000 && code == YM_OK; i++) {
        ym_buf_clear(&line);
        assert_int_equal(ym_buf_printf(&line, "\xe2\x80\x94 h%d %0150d\n", i, 0), YM_OK);
        code = ym_seal_add(dir, 7, ym_buf_bytes(&line), NULL);
    }
    assert_int_equal(code, YM_EXHAUSTED);
    assert_true(i > 300);
    assert_int_equal(ym_seal_read(dir, 7, &got, NULL), YM_OK);
    assert_true(got.len <= YM_COSIGNED_MAX && got.data[got.len - 1] == '\n');
    ym_buf_release(&line);
    ym_buf_release(&got);
    help_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_of_a_name_is_kept),
        cmocka_unit_test(newest_is_the_largest_size),
        cmocka_unit_test(what_a_power_cut_tore_is_swept),
        cmocka_unit_test(note_has_room_for_so_many_and_stays_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

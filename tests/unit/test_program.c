#include "base/program.h"

#include <string.h>

#include "base/crypto.h"
#include "base/fs.h"

#include "support.h"

/* The figure that sha256sum gives for the file, and the id that readelf -n finds in it. */
static void a_program_knows_its_own_file(void **state)
{
    static const uint8_t note[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0};
    struct ym_buf file = {0}, hex = {0};
    struct ym_program p;
    uint8_t hash[YM_HASH_BYTES];
    const uint8_t *found;

    (void)state;
    assert_int_equal(ym_fs_read("/proc/self/exe", (size_t)1 << 30, &file, NULL), YM_OK);
    assert_int_equal(ym_program_read(&p, NULL), YM_OK);
    ym_sha256(file.data, file.len, hash);
    assert_int_equal(ym_hex_encode(hash, sizeof hash, &hex), YM_OK);
    assert_string_equal(p.binary, ym_buf_str(&hex));
    found = memmem(file.data, file.len, note, sizeof note);
    assert_non_null(found);
    ym_buf_clear(&hex);
    assert_int_equal(ym_hex_encode(found + sizeof note, 20, &hex), YM_OK);
    assert_string_equal(p.build, ym_buf_str(&hex));
    ym_buf_release(&hex);
    ym_buf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_program_knows_its_own_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "worker/data/png.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "image_help.h"
#include "worker/data/frozen.h"

enum { HEIGHT = 5, WIDTH = 7 };

static uint8_t pixel[HEIGHT * WIDTH * 4];

static struct ym_png_shape shape(uint32_t channels)
{
    return (struct ym_png_shape){HEIGHT, WIDTH, channels, 8};
}

static enum ym_png_fault decode(struct ym_bytes file, uint32_t channels, uint8_t *out, struct ym_png_shape *found)
{
    const struct ym_png_shape want = shape(channels);
    char why[64];
    return ym_png_decode(file, &want, out, found, why);
}

static void bytes_come_back_as_stored(void **state)
{
    (void)state;
    for (uint32_t channels = 1; channels <= 4; channels++) {
        struct ym_buf b = png_of(HEIGHT, WIDTH, channels, pixel);
        uint8_t out[sizeof pixel];
        struct ym_png_shape found;
        assert_int_equal(decode(ym_buf_bytes(&b), channels, out, &found), YM_PNG_FINE);
        assert_memory_equal(out, pixel, HEIGHT * WIDTH * channels);
        ym_buf_release(&b);
    }
}

static void another_shape_is_refused_and_told(void **state)
{
    struct ym_buf b = png_of(HEIGHT, WIDTH, 3, pixel);
    uint8_t out[sizeof pixel];
    struct ym_png_shape found = {0};
    (void)state;
    assert_int_equal(decode(ym_buf_bytes(&b), 1, out, &found), YM_PNG_SHAPE);
    assert_true(found.height == HEIGHT && found.width == WIDTH && found.channels == 3 && found.bits == 8);
    ym_buf_release(&b);
}

/* Height and width of IHDR with its checksum made right again: the promise alone must not cost memory. */
static void a_giant_in_the_header_is_refused(void **state)
{
    struct ym_buf b = png_of(HEIGHT, WIDTH, 1, pixel);
    uint8_t out[sizeof pixel];
    struct ym_png_shape found;
    uint32_t crc = 0xffffffff;
    (void)state;
    memcpy(b.data + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
    for (size_t i = 12; i < 29; i++) {
        crc ^= b.data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++)
        b.data[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    assert_int_equal(decode(ym_buf_bytes(&b), 1, out, &found), YM_PNG_BAD);
    ym_buf_release(&b);
}

/* Cut or flipped anywhere: an error, or the same picture. */
static void damage_is_an_error_or_harmless(void **state)
{
    struct ym_buf b = png_of(HEIGHT, WIDTH, 1, pixel);
    uint8_t out[sizeof pixel];
    struct ym_png_shape found;
    (void)state;
    for (size_t len = 0; len < b.len; len++)
        assert_int_not_equal(decode((struct ym_bytes){b.data, len}, 1, out, &found), YM_PNG_FINE);
    for (size_t i = 0; i < 8 * b.len; i++) {
        b.data[i / 8] ^= (uint8_t)(1 << i % 8);
        if (decode(ym_buf_bytes(&b), 1, out, &found) == YM_PNG_FINE)
            assert_memory_equal(out, pixel, HEIGHT * WIDTH);
        b.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    ym_buf_release(&b);
}

/* ---- a folder of images ---- */

static const char card_yaml[] = "yumen: card/1\nname: d1\ntitle: t\nfile: list.csv\npatient_column: patient\n"
                                "size_class: \"<100\"\ntier: general\nvariables:\n"
                                "  - {name: xray, column: file, channels: 1, height: 5, width: 7, missing: [none]}\n"
                                "  - {name: ill, column: label, levels: [no, yes]}\n";

struct frozen_folder {
    enum ym_code code;
    struct ym_buf report;
    struct ym_frozen *f;
};

static void put(const char *dir, const char *name, struct ym_bytes bytes)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(ym_fs_write(path, bytes, 0600, NULL), YM_OK);
}

static struct frozen_folder freeze(const char *csv, bool skip_bad)
{
    static const uint8_t salt[32];
    struct frozen_folder r = {0};
    char dir[] = "/tmp/ym-png-XXXXXX", path[600], command[700];
    struct ym_card *card = card_must(card_yaml);
    struct ym_buf gray = png_of(HEIGHT, WIDTH, 1, pixel), colour = png_of(HEIGHT, WIDTH, 3, pixel), out = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/sub", dir);
    assert_int_equal(ym_fs_mkdirs(path, 0700, NULL), YM_OK);
    put(dir, "a.png", ym_buf_bytes(&gray));
    put(dir, "sub/b.png", ym_buf_bytes(&gray));
    put(dir, "colour.png", ym_buf_bytes(&colour));
    put(dir, "broken.png", (struct ym_bytes){gray.data, gray.len - 20});
    put(dir, "list.csv", (struct ym_bytes){(const uint8_t *)csv, strlen(csv)});
    snprintf(path, sizeof path, "%s/list.csv", dir);
    r.code = ym_freeze_file(card, path, NULL, salt, skip_bad, &out, NULL, &r.report, NULL);
    if (r.code == YM_OK)
        assert_int_equal(ym_frozen_parse(ym_buf_bytes(&out), &r.f, NULL), YM_OK);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    ym_buf_release(&gray);
    ym_buf_release(&colour);
    ym_buf_release(&out);
    ym_card_free(card);
    return r;
}

static void released(struct frozen_folder *r)
{
    ym_frozen_free(r->f);
    ym_buf_release(&r->report);
}

static void images_of_a_folder_freeze(void **state)
{
    struct frozen_folder r = freeze("file,patient,label\na.png,p1,no\nsub/b.png,p2,yes\nnone,p2,yes\n", false);
    size_t missing = 0;
    (void)state;
    assert_int_equal(r.code, YM_OK);
    assert_int_equal(r.f->patient_count, 2);
    assert_int_equal(r.f->row_count, 3);
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t none[HEIGHT * WIDTH];
        bool absent = r.f->value[2 * i] != 0;
        missing += absent;
        assert_memory_equal(r.f->pixel + i * HEIGHT * WIDTH, absent ? none : pixel, HEIGHT * WIDTH);
    }
    assert_int_equal(missing, 1);
    released(&r);
}

static void refused(const char *cell, const char *why)
{
    char csv[300];
    snprintf(csv, sizeof csv, "file,patient,label\na.png,p1,no\n%s,p2,yes\n", cell);
    struct frozen_folder r = freeze(csv, false);
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(ym_buf_str(&r.report), "line 3: column \"file\""));
    assert_non_null(strstr(ym_buf_str(&r.report), why));
    released(&r);
    r = freeze(csv, true);
    assert_int_equal(r.code, YM_OK);
    assert_int_equal(r.f->patient_count, 1);
    released(&r);
}

static void images_that_cannot_be_read_fail_their_row(void **state)
{
    (void)state;
    refused("absent.png", "cannot read");
    refused("sub", "cannot read");
    refused("../a.png", "not a path inside");
    refused("/etc/passwd", "not a path inside");
    refused("list.csv", "not a whole PNG");
    refused("broken.png", "not a whole PNG");
    refused("colour.png", "5 rows, 7 columns, 3 channels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_as_stored),        cmocka_unit_test(another_shape_is_refused_and_told),
        cmocka_unit_test(a_giant_in_the_header_is_refused), cmocka_unit_test(damage_is_an_error_or_harmless),
        cmocka_unit_test(images_of_a_folder_freeze),        cmocka_unit_test(images_that_cannot_be_read_fail_their_row),
    };
    for (size_t i = 0; i < sizeof pixel; i++)
        pixel[i] = (uint8_t)(i * 37 + 11);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

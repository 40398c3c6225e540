#include <string.h>

#include "base/fs.h"
#include "image_help.h"
#include "worker/data/freeze_internal.h"

/* ---- .npy headers ---- */

static enum ym_code header(const char *text, struct ym_npy *out)
{
    struct ym_buf b = npy_of(text, "", 0);
    size_t at = 0;
    enum ym_code code = ym_npy_read(ym_buf_bytes(&b), out, &at, NULL);
    if (code == YM_OK)
        assert_int_equal(at, b.len);
    ym_buf_release(&b);
    return code;
}

static void header_gives_type_and_shape(void **state)
{
    struct ym_npy a;
    (void)state;
    assert_int_equal(header("{'descr': '|u1', 'fortran_order': False, 'shape': (5, 28, 28), }", &a), YM_OK);
    assert_true(a.kind == 'u' && a.item == 1 && a.rank == 3 && a.shape[0] == 5 && a.shape[2] == 28);
    assert_int_equal(a.bytes, 5 * 28 * 28);
    assert_int_equal(header("{'shape': (7,), 'descr': '<U3', 'fortran_order': False}", &a), YM_OK);
    assert_true(a.kind == 'U' && a.item == 12 && a.rank == 1 && a.bytes == 84);
    assert_int_equal(header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1), }", &a), YM_OK);
    assert_int_equal(a.bytes, 0);
}

static void header_of_another_kind_is_refused(void **state)
{
    static const char *const bad[] = {
        "{'descr': '|O', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '|O8', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '>i4', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '|i4', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<u3', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<u16', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<U65', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<i99999999999999999999', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '|u1', 'fortran_order': True, 'shape': (5, 2), }",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (5, 2), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-5,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3, 4, 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775808,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), 'shape': (5,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), 'more': 1, }",
        "{'descr': '|u1', 'fortran_order': False, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), } x",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), ",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (5,), }",
        "",
    };
    struct ym_npy a = {.rank = 77};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(header(bad[i], &a), YM_INVALID);
    assert_int_equal(a.rank, 77);
}

static void header_cut_anywhere_is_refused(void **state)
{
    struct ym_buf b = npy_of("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", "", 0);
    struct ym_npy a;
    size_t at;
    (void)state;
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(ym_npy_read((struct ym_bytes){b.data, len}, &a, &at, NULL), YM_INVALID);
    for (int version = 0; version < 256; version++) {
        b.data[6] = (uint8_t)version;
        assert_int_equal(ym_npy_read(ym_buf_bytes(&b), &a, &at, NULL), version == 1 ? YM_OK : YM_INVALID);
    }
    b.data[6] = 1;
    b.data[9] = 0x7f; /* a header of 32 KiB */
    assert_int_equal(ym_npy_read(ym_buf_bytes(&b), &a, &at, NULL), YM_INVALID);
    ym_buf_release(&b);
}

/* ---- freezing ---- */

static const char card_text[] = "yumen: card/1\nname: d1\ntitle: t\nfile: x.npz\npatient_column: patient\n"
                                "patient_identifier: hospital_id\nsize_class: \"<100\"\ntier: general\n"
                                "variables:\n"
                                "  - {name: xray, column: image, channels: 1, height: 2, width: 3}\n"
                                "  - {name: ill, column: label, levels: [\"0\", \"1\"]}\n";
static const char image_head[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2, 3), }";
static const char label_head[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 1), }";
static const char patient_head[] = "{'descr': '<i2', 'fortran_order': False, 'shape': (4,), }";
static const uint8_t images[24] = {0,  1,  2,  3,  4,  5,  10, 11, 12, 13, 14, 15,
                                   20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 255};
static const uint8_t labels[4] = {0, 1, 1, 0}, patients[8] = {7, 0, 255, 255, 7, 0, 9, 1};
static const uint8_t salt[32] = {7};

struct result {
    enum ym_code code;
    struct ym_buf report;
    struct ym_frozen *frozen;
};

static struct result freeze_npz(const char *card_yaml, struct ym_bytes bytes)
{
    struct result r = {0};
    struct ym_card *card = card_must(card_yaml);
    struct ym_freeze *f = NULL;
    struct ym_npz *z = NULL;
    struct ym_buf out = {0};
    assert_int_equal(ym_freeze_new(card, salt, false, &r.report, &f, NULL), YM_OK);
    r.code = ym_npz_wrap(bytes, &z, NULL);
    if (r.code == YM_OK)
        r.code = ym_freeze_npz(f, card, z, NULL);
    if (r.code == YM_OK)
        r.code = ym_freeze_finish(f, &out, NULL);
    if (r.code == YM_OK)
        assert_int_equal(ym_frozen_parse(ym_buf_bytes(&out), &r.frozen, NULL), YM_OK);
    ym_npz_close(z);
    ym_freeze_free(f);
    ym_card_free(card);
    ym_buf_release(&out);
    return r;
}

static void result_release(struct result *r)
{
    ym_frozen_free(r->frozen);
    ym_buf_release(&r->report);
}

static struct ym_buf npz_of(const char *image, const void *pixel, size_t pixels, const char *label, const void *value,
                            size_t values, bool deflate)
{
    struct zip_made z;
    zip_begin(&z);
    zip_put(&z, "image.npy", image, pixel, pixels, deflate);
    zip_put(&z, "label.npy", label, value, values, deflate);
    zip_put(&z, "patient.npy", patient_head, patients, sizeof patients, deflate);
    return zip_end(&z);
}

/* The one row whose first pixel is given. */
static size_t row_of(const struct ym_frozen *f, uint8_t first)
{
    size_t r = 0;
    while (r < f->row_count && f->pixel[r * f->pixel_stride] != first)
        r++;
    assert_true(r < f->row_count);
    return r;
}

static void arrays_freeze_by_patient(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++) {
        struct ym_buf b = npz_of(image_head, images, 24, label_head, labels, 4, deflate);
        struct result r = freeze_npz(card_text, ym_buf_bytes(&b));
        assert_string_equal(ym_buf_str(&r.report), "");
        assert_int_equal(r.code, YM_OK);
        const struct ym_frozen *f = r.frozen;
        assert_int_equal(f->patient_count, 3); /* 7, -1, 7, 265 */
        assert_int_equal(f->row_count, 4);
        assert_int_equal(f->pixel_stride, 6);
        for (size_t i = 0; i < 4; i++) {
            size_t row = row_of(f, images[6 * i]);
            assert_memory_equal(f->pixel + row * 6, images + 6 * i, 6);
            assert_true(f->value[row * 2] == 0);
            assert_true(f->value[row * 2 + 1] == labels[i]);
        }
        assert_int_equal(row_of(f, 20), row_of(f, 0) + 1); /* patient 7's two, in file order */
        result_release(&r);
        ym_buf_release(&b);
    }
}

static void rows_are_patients_where_the_card_says_so(void **state)
{
    static const char card[] = "yumen: card/1\nname: d1\ntitle: t\nfile: x.npz\npatient_identifier: row\n"
                               "size_class: \"<100\"\ntier: general\nvariables:\n"
                               "  - {name: xray, column: image, channels: 3, height: 1, width: 2}\n"
                               "  - {name: ill, column: label, levels: [no, yes], map: {\"-3\": no}}\n";
    static const uint8_t text[4 * 3 * 4] = {'n', 0,   0, 0, 'o', 0,   0,   0, 0, 0,   0,   0, 'y', 0,   0,
                                            0,   'e', 0, 0, 0,   's', 0,   0, 0, 'n', 0,   0, 0,   'o', 0,
                                            0,   0,   0, 0, 0,   0,   '-', 0, 0, 0,   '3', 0, 0,   0};
    struct zip_made z;
    (void)state;
    zip_begin(&z);
    zip_put(&z, "image.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 1, 2, 3), }", images, 24, true);
    zip_put(&z, "label.npy", "{'descr': '<U3', 'fortran_order': False, 'shape': (4,), }", text, sizeof text, true);
    struct ym_buf b = zip_end(&z);
    struct result r = freeze_npz(card, ym_buf_bytes(&b));
    assert_int_equal(r.code, YM_OK);
    assert_int_equal(r.frozen->patient_count, 4);
    assert_true(r.frozen->value[row_of(r.frozen, 10) * 2 + 1] == 1);
    assert_true(r.frozen->value[row_of(r.frozen, 30) * 2 + 1] == 0);
    assert_int_equal(r.frozen->column[0].channels, 3);
    result_release(&r);
    ym_buf_release(&b);
}

static void refused(const char *image, size_t pixels, const char *label, size_t values, const char *why)
{
    struct ym_buf b = npz_of(image, images, pixels, label, labels, values, true);
    struct result r = freeze_npz(card_text, ym_buf_bytes(&b));
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(ym_buf_str(&r.report), why));
    result_release(&r);
    ym_buf_release(&b);
}

static void arrays_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused("{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 2), }", 24, label_head, 4, "not of unsigned");
    refused("{'descr': '|i1', 'fortran_order': False, 'shape': (4, 2, 3), }", 24, label_head, 4, "not of unsigned");
    refused("{'descr': '|u1', 'fortran_order': False, 'shape': (4, 6), }", 24, label_head, 4, "not of unsigned");
    refused("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2, 3), }", 18, label_head, 4, "has 3 rows");
    refused(image_head, 24, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", 4, "not one integer");
    refused(image_head, 23, label_head, 4, "length does not fit its shape");
    refused("{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000, 2, 3), }", 24, label_head, 4,
            "length does not fit its shape");
    refused("{'descr': '|O', 'fortran_order': False, 'shape': (4, 2, 3), }", 24, label_head, 4, "its type");
}

static void an_absent_array_is_named(void **state)
{
    struct zip_made z;
    (void)state;
    zip_begin(&z);
    zip_put(&z, "patient.npy", patient_head, patients, sizeof patients, true);
    zip_put(&z, "image.npy", image_head, images, 24, true);
    struct ym_buf b = zip_end(&z);
    struct result r = freeze_npz(card_text, ym_buf_bytes(&b));
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(ym_buf_str(&r.report), "no array \"label\""));
    result_release(&r);
    ym_buf_release(&b);
}

static void a_label_outside_the_levels_is_told_with_its_row(void **state)
{
    static const uint8_t odd[4] = {0, 1, 2, 0};
    struct ym_buf b = npz_of(image_head, images, 24, label_head, odd, 4, true);
    struct result r = freeze_npz(card_text, ym_buf_bytes(&b));
    (void)state;
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(ym_buf_str(&r.report), "line 3: column \"label\""));
    result_release(&r);
    ym_buf_release(&b);
}

/* Wherever one byte is wrong: the same set as before, or an error; stored data is guarded by the checksum. */
static void every_flipped_byte_is_an_error_or_harmless(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++) {
        struct ym_buf b = npz_of(image_head, images, 24, label_head, labels, 4, deflate);
        struct result good = freeze_npz(card_text, ym_buf_bytes(&b));
        size_t same = 0;
        for (size_t i = 0; i < b.len; i++) {
            b.data[i] ^= 0x10;
            struct result r = freeze_npz(card_text, ym_buf_bytes(&b));
            if (r.code == YM_OK) {
                assert_memory_equal(r.frozen->hash, good.frozen->hash, YM_HASH_BYTES);
                same++;
            }
            result_release(&r);
            b.data[i] ^= 0x10;
        }
        assert_true(same < b.len / 4); /* times and attributes */
        for (size_t len = 0; len < b.len; len++) {
            struct result r = freeze_npz(card_text, (struct ym_bytes){b.data, len});
            assert_int_not_equal(r.code, YM_OK);
            result_release(&r);
        }
        result_release(&good);
        ym_buf_release(&b);
    }
}

/* An array longer than what is looked at on opening. */
static void a_wrong_last_byte_fails_the_checksum(void **state)
{
    static const char card[] = "yumen: card/1\nname: d1\ntitle: t\nfile: x.npz\npatient_identifier: row\n"
                               "size_class: \"<100\"\ntier: general\nvariables:\n"
                               "  - {name: xray, column: image, channels: 1, height: 20, width: 300}\n";
    static const uint8_t film[6000];
    struct zip_made z;
    (void)state;
    zip_begin(&z);
    zip_put(&z, "image.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 20, 300), }", film, 6000, false);
    struct ym_buf b = zip_end(&z);
    struct result r = freeze_npz(card, ym_buf_bytes(&b));
    assert_int_equal(r.code, YM_OK);
    result_release(&r);
    b.data[6000] ^= 1;
    r = freeze_npz(card, ym_buf_bytes(&b));
    assert_int_equal(r.code, YM_INVALID);
    assert_non_null(strstr(ym_buf_str(&r.report), "is damaged"));
    result_release(&r);
    ym_buf_release(&b);
}

/* ---- real data ---- */

static void real_chest_films_freeze(void **state)
{
    static const char card_yaml[] =
        "yumen: card/1\nname: pneumonia\ntitle: t\nfile: p.npz\npatient_identifier: row\nsize_class: \"500-1999\"\n"
        "tier: general\nvariables:\n"
        "  - {name: xray, column: test_images, channels: 1, height: 28, width: 28}\n"
        "  - {name: ill, column: test_labels, levels: [\"0\", \"1\"]}\n";
    char path[512];
    struct ym_buf bytes = {0}, report = {0};
    struct ym_frozen *f = NULL;
    size_t ill = 0;
    (void)state;
    if (!getenv("YUMEN_DATA"))
        skip();
    struct ym_card *card = card_must(card_yaml);
    snprintf(path, sizeof path, "%s/imaging/pneumoniamnist.npz", getenv("YUMEN_DATA"));
    assert_int_equal(ym_freeze_file(card, path, NULL, salt, false, &bytes, NULL, &report, NULL), YM_OK);
    assert_int_equal(ym_frozen_parse(ym_buf_bytes(&bytes), &f, NULL), YM_OK);
    assert_int_equal(f->patient_count, 624);
    for (size_t i = 0; i < f->row_count; i++)
        ill += f->value[2 * i + 1] == 1;
    assert_int_equal(ill, 390);
    assert_true(bytes.len < 624 * 784 + 624 * 24 + 1024);
    ym_frozen_free(f);
    ym_buf_release(&bytes);
    ym_buf_release(&report);
    ym_card_free(card);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_gives_type_and_shape),
        cmocka_unit_test(header_of_another_kind_is_refused),
        cmocka_unit_test(header_cut_anywhere_is_refused),
        cmocka_unit_test(arrays_freeze_by_patient),
        cmocka_unit_test(rows_are_patients_where_the_card_says_so),
        cmocka_unit_test(arrays_that_do_not_fit_are_refused),
        cmocka_unit_test(an_absent_array_is_named),
        cmocka_unit_test(a_label_outside_the_levels_is_told_with_its_row),
        cmocka_unit_test(every_flipped_byte_is_an_error_or_harmless),
        cmocka_unit_test(a_wrong_last_byte_fails_the_checksum),
        cmocka_unit_test(real_chest_films_freeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

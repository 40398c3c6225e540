#ifndef YM_TESTS_UNIT_IMAGE_HELP_H
#define YM_TESTS_UNIT_IMAGE_HELP_H

#include <png.h>
#include <stdlib.h>
#include <zip.h>

#include "gate_help.h"

/* A .npy of version 1: magic, header padded to 64, data. */
static inline struct ym_buf npy_of(const char *header, const void *data, size_t len)
{
    struct ym_buf b = {0};
    size_t text = strlen(header) + 1, room = (10 + text + 63) / 64 * 64 - 10;
    uint8_t size[2] = {(uint8_t)room, (uint8_t)(room >> 8)};
    ym_buf_append(&b, "\x93NUMPY\x01\x00", 8);
    ym_buf_append(&b, size, sizeof size);
    ym_buf_puts(&b, header);
    for (size_t i = text; i < room; i++)
        ym_buf_puts(&b, " ");
    ym_buf_puts(&b, "\n");
    ym_buf_append(&b, data, len);
    return b;
}

/* A zip in memory; entries come as name, .npy. */
struct zip_made {
    zip_source_t *source;
    zip_t *zip;
    struct ym_buf entry[8];
    size_t count;
};

static inline void zip_begin(struct zip_made *z)
{
    *z = (struct zip_made){.source = zip_source_buffer_create(NULL, 0, 0, NULL)};
    assert_non_null(z->source);
    zip_source_keep(z->source);
    z->zip = zip_open_from_source(z->source, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z->zip);
}

static inline void zip_put(struct zip_made *z, const char *name, const char *header, const void *data, size_t len,
                           bool deflate)
{
    struct ym_buf *b = &z->entry[z->count++];
    *b = npy_of(header, data, len);
    zip_source_t *s = zip_source_buffer(z->zip, b->data, b->len, 0);
    zip_int64_t at = zip_file_add(z->zip, name, s, 0);
    assert_true(at >= 0);
    assert_int_equal(zip_set_file_compression(z->zip, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0), 0);
}

static inline struct ym_buf zip_end(struct zip_made *z)
{
    struct ym_buf out = {0};
    zip_stat_t s;
    assert_int_equal(zip_close(z->zip), 0);
    assert_int_equal(zip_source_stat(z->source, &s), 0);
    assert_int_equal(ym_buf_reserve(&out, s.size), YM_OK);
    assert_int_equal(zip_source_open(z->source), 0);
    assert_int_equal(zip_source_read(z->source, out.data, s.size), (zip_int64_t)s.size);
    out.len = s.size;
    zip_source_close(z->source);
    zip_source_free(z->source);
    for (size_t i = 0; i < z->count; i++)
        ym_buf_release(&z->entry[i]);
    return out;
}

/* A PNG in memory; channels 1..4, 8 bits. */
static inline struct ym_buf png_of(uint32_t height, uint32_t width, uint32_t channels, const uint8_t *pixel)
{
    static const uint32_t format[5] = {0, PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = format[channels]};
    struct ym_buf out = {0};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    assert_int_equal(ym_buf_reserve(&out, size), YM_OK);
    assert_true(png_image_write_to_memory(&image, out.data, &size, 0, pixel, 0, NULL));
    out.len = size;
    return out;
}

#endif

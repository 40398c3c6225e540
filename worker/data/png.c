#include "worker/data/png.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20, CHUNKS = 64, MAX_ROWS = 4096 };

struct source {
    struct ym_bytes rest;
    char *why;
};

static void take(png_structp png, png_bytep out, size_t len)
{
    struct source *s = png_get_io_ptr(png);
    if (len > s->rest.len)
        png_error(png, "cut short");
    memcpy(out, s->rest.data, len);
    s->rest.data += len;
    s->rest.len -= len;
}

static void failed(png_structp png, png_const_charp message)
{
    const struct source *s = png_get_error_ptr(png);
    snprintf(s->why, 64, "%s", message);
    png_longjmp(png, 1);
}

static void ignored(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static struct ym_png_shape shape_of(png_structp png, png_infop info)
{
    bool palette = png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE;
    return (struct ym_png_shape){png_get_image_height(png, info), png_get_image_width(png, info),
                                 palette ? 0 : png_get_channels(png, info), png_get_bit_depth(png, info)};
}

static bool alike(const struct ym_png_shape *a, const struct ym_png_shape *b)
{
    return a->height == b->height && a->width == b->width && a->channels == b->channels && a->bits == b->bits;
}

/* Everything that may jump; nothing of ours is held across it. */
static enum ym_png_fault decode(png_structp png, png_infop info, const struct ym_png_shape *want, uint8_t *out,
                                struct ym_png_shape *found)
{
    png_bytep row[MAX_ROWS];
    if (setjmp(png_jmpbuf(png)))
        return YM_PNG_BAD;
    png_set_user_limits(png, MAX_ROWS, MAX_ROWS);
    png_set_chunk_malloc_max(png, CHUNK_BYTES);
    png_set_chunk_cache_max(png, CHUNKS);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_QUIET_USE);
    png_read_info(png, info);
    *found = shape_of(png, info);
    if (!alike(found, want) || want->height > MAX_ROWS)
        return YM_PNG_SHAPE;
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    for (uint32_t i = 0; i < want->height; i++)
        row[i] = out + (size_t)i * want->width * want->channels;
    png_read_image(png, row);
    png_read_end(png, NULL);
    return YM_PNG_FINE;
}

enum ym_png_fault ym_png_decode(struct ym_bytes file, const struct ym_png_shape *want, uint8_t *out,
                                struct ym_png_shape *found, char why[64])
{
    struct source source = {file, why};
    enum ym_png_fault fault = YM_PNG_MEMORY;
    why[0] = 0;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, failed, ignored);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (info) {
        png_set_read_fn(png, &source, take);
        fault = decode(png, info, want, out, found);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return fault;
}

#ifndef YM_WORKER_DATA_PNG_H
#define YM_WORKER_DATA_PNG_H

#include "base/buf.h"

/* One PNG of 8 bits a channel and no palette, interlaced or not. */
#define YM_PNG_BYTES (4u << 20) /* of a file */

struct ym_png_shape {
    uint32_t height, width, channels; /* gray 1, gray and alpha 2, RGB 3, RGBA 4 */
    uint32_t bits;
};

enum ym_png_fault { YM_PNG_FINE = 0, YM_PNG_BAD, YM_PNG_SHAPE, YM_PNG_MEMORY };

/* Decode to out, [height][width][channels] of want. The shape is compared before
 * a row is read, so that a hostile header allocates nothing: *found says what it
 * is (SHAPE); why, at most 64 bytes, what the library says (BAD). Trailing bytes
 * do not count. Colour profiles and gamma are not applied: bytes as stored. */
enum ym_png_fault ym_png_decode(struct ym_bytes file, const struct ym_png_shape *want, uint8_t *out,
                                struct ym_png_shape *found, char why[64]);

#endif

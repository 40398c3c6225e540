#include "worker/data/png.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the channels that the card asks for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[5 * 7 * 4];
    char why[64];
    struct ym_png_shape found;
    if (!size)
        return 0;
    const struct ym_png_shape want = {5, 7, 1 + (data[0] & 3), 8};
    ym_png_decode((struct ym_bytes){data + 1, size - 1}, &want, out, &found, why);
    return 0;
}

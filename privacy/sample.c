#include <stdbool.h>

#include "base/crypto.h"
#include "base/status.h"
#include "privacy/noise.h"

#define COINS 512
#define LOW_BITS 48

/* A patient's number is 64 random bits, but the upper 16 nearly always tell whether it is
 * below k, and the rest need not be drawn. */
size_t ym_sample_patients(size_t patients, uint64_t k, struct ym_rng *rng, uint32_t *chosen)
{
    const uint64_t top = k >> LOW_BITS, low = k & ((UINT64_C(1) << LOW_BITS) - 1);
    uint16_t coin[COINS];
    size_t count = 0;

    YM_ASSERT(patients <= UINT32_MAX);
    for (size_t i = 0, n; i < patients; i += n) {
        n = patients - i < COINS ? patients - i : COINS;
        ym_rng_fill(rng, coin, n * sizeof coin[0]);
        for (size_t j = 0; j < n; j++) {
            bool in = coin[j] < top;

            if (coin[j] == top)
                in = ym_rng_u64(rng) >> (64 - LOW_BITS) < low;
            chosen[count] = (uint32_t)(i + j);
            count += in;
        }
    }
    ym_wipe(coin, sizeof coin);
    return count;
}

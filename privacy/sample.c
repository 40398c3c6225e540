#include <stdbool.h>

#include "base/crypto.h"
#include "base/status.h"
#include "privacy/noise.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define COINS 4096
#define LANES 64
#define LOW_BITS 56

/* Which of 64 coins are at most `top`: bit by bit. */
static uint64_t at_most(const uint8_t *coin, uint8_t top)
{
    uint64_t mask = 0;

#ifdef __SSE2__
    for (unsigned i = 0; i < LANES; i += 16) {
        __m128i v = _mm_loadu_si128((const void *)(coin + i)), limit = _mm_set1_epi8((char)top);

        mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, limit), v)) << i;
    }
#else
    for (unsigned i = 0; i < LANES; i++)
        mask |= (uint64_t)(coin[i] <= top) << i;
#endif
    return mask;
}

/* A patient's number is 64 random bits, but the upper 8 nearly always tell whether it is
 * below k, and the rest need not be drawn. */
size_t ym_sample_patients(size_t patients, uint64_t k, struct ym_rng *rng, uint32_t *chosen)
{
    const uint64_t top = k >> LOW_BITS, low = k & ((UINT64_C(1) << LOW_BITS) - 1);
    uint8_t coin[COINS + LANES] = {0};
    size_t count = 0;

    YM_ASSERT(patients <= UINT32_MAX);
    for (size_t i = 0, n; i < patients; i += n) {
        n = patients - i < COINS ? patients - i : COINS;
        ym_rng_fill(rng, coin, n);
        for (size_t j = 0; j < n; j += LANES) {
            uint64_t left = at_most(coin + j, (uint8_t)top);

            if (n - j < LANES)
                left &= (UINT64_C(1) << (n - j)) - 1;
            for (; left; left &= left - 1) {
                size_t at = j + (size_t)__builtin_ctzll(left);

                if (coin[at] < top || ym_rng_u64(rng) >> (64 - LOW_BITS) < low)
                    chosen[count++] = (uint32_t)(i + at);
            }
        }
    }
    ym_wipe(coin, sizeof coin);
    return count;
}

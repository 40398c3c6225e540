/* ym_noise_easy, eight coordinates at a time: the same integers from the same words. */
#include "privacy/noise_internal.h"

#ifdef __x86_64__

#include <immintrin.h>

#define IFMA __attribute__((target("avx512f,avx512dq,avx512vl,avx512ifma")))

bool ym_noise_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
}

/* sigma (bin + place 2^-49) + 32 = c + low 2^-49: the magnitude is c / 64 rounded down, as the
 * product of sigma < 2^41 and place < 2^49 comes in halves of 52 bits. Returns which are hard. */
IFMA static inline __mmask8 magnitudes(const struct ym_noise_boxes *b, __m512i sigma, __m512i word, __m512i *magnitude)
{
    const __m512i zero = _mm512_setzero_si512(),
                  place_mask = _mm512_set1_epi64((INT64_C(1) << YM_NOISE_PLACE_BITS) - 1);
    __m512i slot = _mm512_and_si512(word, _mm512_set1_epi64(YM_NOISE_SLOTS - 1));
    __m512i bin =
        _mm512_and_si512(_mm512_cvtepu32_epi64(_mm512_i64gather_epi32(slot, b->bin, 1)), _mm512_set1_epi64(255));
    __m512i place = _mm512_srli_epi64(word, 64 - YM_NOISE_PLACE_BITS);
    __m512i low52 = _mm512_madd52lo_epu64(zero, sigma, place), high = _mm512_madd52hi_epu64(zero, sigma, place);
    __m512i low = _mm512_and_si512(low52, place_mask), c, rest;

    c = _mm512_madd52lo_epu64(_mm512_set1_epi64(32), sigma, bin);
    c = _mm512_add_epi64(c, _mm512_slli_epi64(high, 52 - YM_NOISE_PLACE_BITS));
    c = _mm512_add_epi64(c, _mm512_srli_epi64(low52, YM_NOISE_PLACE_BITS));
    rest = _mm512_slli_epi64(_mm512_and_si512(c, _mm512_set1_epi64(63)), YM_NOISE_PLACE_BITS);
    rest = _mm512_add_epi64(_mm512_add_epi64(rest, low), sigma);
    *magnitude = _mm512_srli_epi64(c, 6);
    return _mm512_cmpge_epu64_mask(slot, _mm512_set1_epi64(b->whole)) |
           _mm512_cmpge_epu64_mask(rest, _mm512_set1_epi64(INT64_C(1) << (YM_NOISE_PLACE_BITS + 6)));
}

IFMA size_t ym_noise_easy_avx512(const struct ym_noise_boxes *b, uint64_t sigma, const uint64_t *word, size_t n,
                                 int64_t *sum, uint32_t *hard)
{
    const __m512i s = _mm512_set1_epi64((int64_t)sigma), sign = _mm512_set1_epi64(YM_NOISE_SIGN);
    __m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    size_t count = 0;

    for (size_t i = 0; i < n; i += 8) {
        __mmask8 there = n - i < 8 ? (__mmask8)((1u << (n - i)) - 1) : 255, is_hard, minus;
        __m512i w = _mm512_maskz_loadu_epi64(there, word + i), v, old = _mm512_maskz_loadu_epi64(there, sum + i), new;

        is_hard = magnitudes(b, s, w, &v) & there;
        minus = _mm512_test_epi64_mask(w, sign);
        new = _mm512_mask_sub_epi64(_mm512_add_epi64(old, v), minus, old, v);
        _mm512_mask_storeu_epi64(sum + i, there & (__mmask8)~is_hard, new);
        _mm256_storeu_si256((void *)(hard + count), _mm256_maskz_compress_epi32(is_hard, at));
        at = _mm256_add_epi32(at, _mm256_set1_epi32(8));
        count += (unsigned)__builtin_popcount(is_hard);
    }
    return count;
}

#else

bool ym_noise_has_avx512(void)
{
    return false;
}

size_t ym_noise_easy_avx512(const struct ym_noise_boxes *b, uint64_t sigma, const uint64_t *word, size_t n,
                            int64_t *sum, uint32_t *hard)
{
    return ym_noise_easy(b, sigma, word, n, sum, hard);
}

#endif

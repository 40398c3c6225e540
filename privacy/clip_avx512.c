#include "privacy/clip_internal.h"

#ifdef __x86_64__

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f")))

bool ym_clip_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

WIDE void ym_clip_square_avx512(const float *g, size_t count, double sum[YM_CLIP_SUMS])
{
    __m512d part[4] = {_mm512_loadu_pd(sum), _mm512_loadu_pd(sum + 8), _mm512_loadu_pd(sum + 16),
                       _mm512_loadu_pd(sum + 24)};

    for (size_t i = 0; i < count; i += YM_CLIP_SUMS) {
        for (size_t k = 0; k < 4; k++) {
            __m512d v = _mm512_cvtps_pd(_mm256_loadu_ps(g + i + 8 * k));

            part[k] = _mm512_add_pd(part[k], _mm512_mul_pd(v, v));
        }
    }
    for (size_t k = 0; k < 4; k++)
        _mm512_storeu_pd(sum + 8 * k, part[k]);
}

WIDE uint64_t ym_clip_truncate_avx512(const float *g, size_t count, double factor, int32_t *q)
{
    const __m512d scale = _mm512_set1_pd(factor), high = _mm512_set1_pd(0x1p24), low = _mm512_set1_pd(-0x1p24);
    __m512i sum = _mm512_setzero_si512();

    for (size_t i = 0; i < count; i += 8) {
        __m512d v = _mm512_mul_pd(_mm512_cvtps_pd(_mm256_loadu_ps(g + i)), scale);
        __m256i part = _mm512_cvttpd_epi32(_mm512_max_pd(_mm512_min_pd(v, high), low));
        __m512i whole = _mm512_cvtepi32_epi64(part);

        sum = _mm512_add_epi64(sum, _mm512_mul_epi32(whole, whole));
        _mm256_storeu_si256((__m256i *)(q + i), part);
    }
    return (uint64_t)_mm512_reduce_add_epi64(sum);
}

#else

bool ym_clip_has_avx512(void)
{
    return false;
}

void ym_clip_square_avx512(const float *g, size_t count, double sum[YM_CLIP_SUMS])
{
    ym_clip_square(g, count, sum);
}

uint64_t ym_clip_truncate_avx512(const float *g, size_t count, double factor, int32_t *q)
{
    return ym_clip_truncate(g, count, factor, q);
}

#endif

#include "tensor/lanes.h"

#include <math.h>
#include <string.h>

#include "base/lanes.h"

/* exp(x) - 1 = 2^n (exp(y) - 1) + (2^n - 1), where n is whole and x = n ln 2 + y,
 * |y| <= (ln 2) / 2. ln 2 in two parts, the first so short that n times it is exact.
 * exp(y) - 1 by its series, whose first term left out is below 2^-25 of it. |x| <= 87. */
static inline float exp_less_one(float x, float *power)
{
    const float shift = 0x1.8p23f, per_ln2 = 0x1.715476p0f, ln2_high = 0x1.62e4000000000p-1f,
                ln2_low = 0x1.7f7d1c0000000p-20f;
    float r = x * per_ln2 + shift; /* n stands in the last bits */
    float n = r - shift, y, p;
    uint32_t bits;

    memcpy(&bits, &r, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(power, &bits, sizeof bits);
    y = (x - n * ln2_high) - n * ln2_low;
    p = 1.0f / 5040;
    p = p * y + 1.0f / 720;
    p = p * y + 1.0f / 120;
    p = p * y + 1.0f / 24;
    p = p * y + 1.0f / 6;
    p = p * y + 0.5f;
    return p * (y * y) + y;
}

/* tanh x = e / (e + 2) with e = exp(2|x|) - 1. Past 10 tanh is 1 in float. */
static inline float tanh_one(float x)
{
    float a = fabsf(x), power, p, e;

    a = a > 10 ? 10 : a;
    p = exp_less_one(2 * a, &power);
    e = power * p + (power - 1);
    return copysignf(e / (e + 2), x);
}

/* e / (1 + e) below 0, 1 / (1 + e) above, with e = exp(-|x|). */
static inline float logistic_one(float x)
{
    float a = fabsf(x), power, p, e;

    a = a > 87 ? 87 : a;
    p = exp_less_one(-a, &power);
    e = power * p + power;
    return (x < 0 ? e : 1) / (1 + e);
}

YM_LANES void ym_lanes_logistic(float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = logistic_one(z[i]);
}

YM_LANES void ym_lanes_tanh(float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = tanh_one(z[i]);
}

YM_LANES void ym_lanes_relu(float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = z[i] < 0 ? 0 : z[i];
}

YM_LANES void ym_lanes_through_tanh(const float *restrict value, size_t n, float *restrict d)
{
    for (size_t i = 0; i < n; i++)
        d[i] *= 1 - value[i] * value[i];
}

YM_LANES void ym_lanes_through_relu(const float *restrict value, size_t n, float *restrict d)
{
    for (size_t i = 0; i < n; i++)
        d[i] = value[i] <= 0 ? 0 : d[i];
}

YM_LANES void ym_lanes_add(const float *restrict a, size_t n, float *restrict sum)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += a[i];
}

YM_LANES void ym_lanes_scale(float by, const float *restrict a, size_t n, float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = by * a[i];
}

YM_LANES void ym_lanes_scale_add(float by, const float *restrict a, size_t n, float *restrict sum)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += by * a[i];
}

YM_LANES void ym_lanes_take_rows(const float *restrict a, size_t step, size_t rows, size_t cols, float *restrict out)
{
    for (size_t r = 0; r < rows; r++, a += step, out += cols)
        for (size_t i = 0; i < cols; i++)
            out[i] = a[i];
}

YM_LANES void ym_lanes_add_rows(const float *restrict a, size_t rows, size_t cols, size_t step, float *restrict sum)
{
    for (size_t r = 0; r < rows; r++, a += cols, sum += step)
        for (size_t i = 0; i < cols; i++)
            sum[i] += a[i];
}

YM_LANES void ym_lanes_sum_rows(const float *restrict a, size_t rows, size_t cols, float *restrict sum)
{
    for (size_t r = 0; r < rows; r++, a += cols)
        for (size_t i = 0; i < cols; i++)
            sum[i] += a[i];
}

YM_LANES void ym_lanes_max(const float *restrict a, uint8_t mark, size_t n, float *restrict best,
                           uint8_t *restrict which)
{
    for (size_t i = 0; i < n; i++) {
        float old = best[i];
        int takes = !(a[i] <= old) & (old == old);

        best[i] = takes ? a[i] : old;
        which[i] = takes ? mark : which[i];
    }
}

YM_LANES void ym_lanes_add_marked(const float *restrict d, const uint8_t *restrict which, uint8_t mark, size_t n,
                                  float *restrict sum)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += which[i] == mark ? d[i] : 0;
}

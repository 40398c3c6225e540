#include "tensor/rows.h"

#include <math.h>
#include <string.h>

#include "base/lanes.h"
#include "base/status.h"

#pragma GCC optimize("fp-contract=fast") /* one rounding a term, in all variants of the kernel that can */

#define TALL YM_ROWS_TALL
#define WIDE YM_ROWS_WIDE
#define ROUNDER 0x1.8p52 /* added: the low bits are the number, rounded */

/* One text, compiled for what a processor has; LANES floats a vector, HIGH rows at a time
 * in registers. c = the tile's sums of depth terms. */
#define KERNEL(NAME, TARGET, LANES, HIGH)                                                                              \
    TARGET static void NAME(const float *a, size_t a_row, size_t a_term, const float *b, size_t b_term, size_t depth,  \
                            float c[TALL][WIDE])                                                                       \
    {                                                                                                                  \
        typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));                              \
        for (size_t i = 0; i < TALL; i += HIGH) {                                                                      \
            for (size_t j = 0; j < WIDE; j += 2 * LANES) {                                                             \
                vec sum[HIGH][2] = {0};                                                                                \
                for (size_t k = 0; k < depth; k++) {                                                                   \
                    vec b0 = *(const vec *)(b + k * b_term + j), b1 = *(const vec *)(b + k * b_term + j + LANES);      \
                    _Pragma("GCC unroll 12") for (size_t h = 0; h < HIGH; h++)                                         \
                    {                                                                                                  \
                        float f = a[(i + h) * a_row + k * a_term];                                                     \
                        sum[h][0] += f * b0;                                                                           \
                        sum[h][1] += f * b1;                                                                           \
                    }                                                                                                  \
                }                                                                                                      \
                _Pragma("GCC unroll 12") for (size_t h = 0; h < HIGH; h++)                                             \
                {                                                                                                      \
                    *(vec *)&c[i + h][j] = sum[h][0];                                                                  \
                    *(vec *)&c[i + h][j + LANES] = sum[h][1];                                                          \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#ifdef __x86_64__
KERNEL(tile_512, __attribute__((target("avx512f,avx512vl,avx512dq,fma"))), 16, 12)
KERNEL(tile_256, __attribute__((target("avx2,fma"))), 8, 6)
#endif
KERNEL(tile_plain, , 4, 4)

typedef void (*tile_fn)(const float *a, size_t a_row, size_t a_term, const float *b, size_t b_term, size_t depth,
                        float c[TALL][WIDE]);

static tile_fn tile(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return tile_512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return tile_256;
#endif
    return tile_plain;
}

YM_LANES static void pack_panel(const float *restrict b, size_t term, size_t col, size_t depth, size_t cols,
                                float *restrict to)
{
    for (size_t k = 0; k < depth; k += TALL) { /* so many terms at a time share the lines that a column's stand on */
        size_t end = depth - k < TALL ? depth : k + TALL;

        for (size_t i = 0; i < cols; i++)
            for (size_t t = k; t < end; t++)
                to[t * WIDE + i] = b[t * term + i * col];
    }
}

void ym_rows_pack(const float *b, size_t term, size_t col, size_t depth, size_t cols, const float *last, float *to)
{
    for (size_t j = 0; j < cols; j += WIDE) {
        size_t there = cols - j < WIDE ? cols - j : WIDE;

        if (there < WIDE)
            memset(to, 0, (depth + (last != NULL)) * WIDE * sizeof *to);
        pack_panel(b + j * col, term, col, depth, there, to);
        to += depth * WIDE;
        if (last) {
            memcpy(to, last + j, there * sizeof *to);
            to += WIDE;
        }
    }
}

void ym_rows_mul(const float *a, size_t a_step, size_t rows, const float *packed, size_t depth, size_t cols, float *c,
                 size_t c_step)
{
    tile_fn run = tile();
    _Alignas(64) float t[TALL][WIDE];

    for (size_t j = 0; j < cols; j += WIDE) {
        for (size_t i = 0; i < rows; i += TALL) {
            run(a + i * a_step, a_step, 1, packed + j * depth, WIDE, depth, t);
            for (size_t h = 0; h < TALL; h++)
                memcpy(c + (i + h) * c_step + j, t[h], sizeof t[h]);
        }
    }
}

YM_LANES void ym_rows_pack_tall(const float *e, size_t e_step, const double *scale, size_t rows, size_t outs, float *to)
{
    for (size_t j = 0; j < outs; j += TALL) {
        size_t there = outs - j < TALL ? outs - j : TALL;

        for (size_t r = 0; r < rows; r++, to += TALL) {
            const float *from = e + r * e_step + j;

            for (size_t i = 0; i < there; i++)
                to[i] = scale[r] != 0 ? (float)(from[i] * scale[r]) : 0; /* not times 0: it may be infinite */
            memset(to + there, 0, (TALL - there) * sizeof *to);
        }
    }
}

YM_LANES static void add_chunk(double *restrict total, const float *restrict t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        total[i] += t[i];
}

YM_LANES static void add_whole(const double *restrict total, size_t n, int64_t *restrict sum)
{
    for (size_t i = 0; i < n; i++) {
        double shifted = total[i] + ROUNDER;
        int64_t bits, zero;

        memcpy(&bits, &shifted, sizeof bits);
        memcpy(&zero, &(double){ROUNDER}, sizeof zero);
        sum[i] += bits - zero;
    }
}

void ym_rows_outer(const float *e, size_t out, size_t outs, const float *a, size_t a_step, size_t rows, size_t ins,
                   int64_t *sum, size_t sum_step, int64_t *extra)
{
    tile_fn run = tile();
    _Alignas(64) float panel[YM_ROWS_MOST][WIDE], t[TALL][WIDE];
    _Alignas(64) double total[TALL][WIDE];

    YM_ASSERT(rows <= YM_ROWS_MOST);
    for (size_t k = 0; k <= ins; k += WIDE) {
        size_t there = ins - k < WIDE ? ins - k : WIDE;

        for (size_t r = 0; r < rows; r++)
            memcpy(panel[r], a + r * a_step + k, sizeof panel[r]);
        for (size_t j = out; j < out + outs; j += TALL) {
            const float *from = e + j * rows;

            memset(total, 0, sizeof total);
            for (size_t r = 0; r < rows; r += YM_ROWS_CHUNK) {
                size_t n = rows - r < YM_ROWS_CHUNK ? rows - r : YM_ROWS_CHUNK;

                run(from + r * TALL, 1, TALL, panel[r], WIDE, n, t);
                add_chunk(total[0], t[0], TALL * WIDE);
            }
            for (size_t h = 0; h < TALL && j + h < out + outs; h++) {
                add_whole(total[h], there, sum + (j + h) * sum_step + k);
                if (there < WIDE)
                    add_whole(total[h] + there, 1, extra + j + h);
            }
        }
    }
}

#define LANES 8

YM_LANES double ym_rows_dot(const float *a, const float *b, size_t n)
{
    double sum[LANES] = {0};
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += (double)a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += (double)a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

double ym_rows_square(const float *v, size_t n)
{
    return ym_rows_dot(v, v, n);
}

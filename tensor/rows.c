#include "tensor/rows.h"

#include <stdbool.h>
#include <string.h>

#include "base/lanes.h"
#include "base/status.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#pragma GCC optimize("fp-contract=fast") /* one rounding a term, in all variants of the kernel that can */

#define TALL YM_ROWS_TALL
#define WIDE YM_ROWS_WIDE
#define NARROW 2         /* so few columns are made one by one, along the row */
#define ROUNDER 0x1.8p52 /* added: the low bits are the number, rounded */

/* One text, compiled for what a processor has; LANES floats a vector, HIGH rows at a time
 * in registers. c = the tile's sums of depth terms, or with `more` added to what stands there. */
#define KERNEL(NAME, TARGET, LANES, HIGH, ROWS)                                                                        \
    TARGET static void NAME(const float *a, size_t a_row, size_t a_term, const float *b, size_t b_term, size_t depth,  \
                            float *c, size_t c_row, bool more)                                                         \
    {                                                                                                                  \
        typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));                              \
        for (size_t i = 0; i < ROWS; i += HIGH) {                                                                      \
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
                    vec *to = (vec *)(c + (i + h) * c_row + j), *next = (vec *)(c + (i + h) * c_row + j + LANES);      \
                    if (more) {                                                                                        \
                        sum[h][0] += *to;                                                                              \
                        sum[h][1] += *next;                                                                            \
                    }                                                                                                  \
                    *to = sum[h][0];                                                                                   \
                    *next = sum[h][1];                                                                                 \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#ifdef __x86_64__
#define WIDEST __attribute__((target("avx512f,avx512vl,avx512dq,fma")))

static bool has_512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
}

KERNEL(tile_512, WIDEST, 16, 12, TALL)
KERNEL(low_512, WIDEST, 16, NARROW, NARROW)
KERNEL(tile_256, __attribute__((target("avx2,fma"))), 8, 6, TALL)
KERNEL(low_256, __attribute__((target("avx2,fma"))), 8, NARROW, NARROW)
#endif
KERNEL(tile_plain, , 4, 4, TALL)
KERNEL(low_plain, , 4, NARROW, NARROW)

typedef void (*tile_fn)(const float *a, size_t a_row, size_t a_term, const float *b, size_t b_term, size_t depth,
                        float *c, size_t c_row, bool more);

/* For tiles of TALL rows, or, where no more than NARROW count, of those. */
static tile_fn tile(size_t high)
{
#ifdef __x86_64__
    if (has_512())
        return high <= NARROW ? low_512 : tile_512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return high <= NARROW ? low_256 : tile_256;
#endif
    return high <= NARROW ? low_plain : tile_plain;
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* to[t][i] = b[i][t] of 4 x 4. */
static inline void turn_four(const float *b, size_t b_row, float *to, size_t to_row)
{
    four r0 = *(const four *)b, r1 = *(const four *)(b + b_row), r2 = *(const four *)(b + 2 * b_row),
         r3 = *(const four *)(b + 3 * b_row);
    four a0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), a1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    four a2 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), a3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);

    *(four *)to = __builtin_shufflevector(a0, a1, 0, 1, 4, 5);
    *(four *)(to + to_row) = __builtin_shufflevector(a0, a1, 2, 3, 6, 7);
    *(four *)(to + 2 * to_row) = __builtin_shufflevector(a2, a3, 0, 1, 4, 5);
    *(four *)(to + 3 * to_row) = __builtin_shufflevector(a2, a3, 2, 3, 6, 7);
}

static void pack_panel(const float *restrict b, size_t term, size_t col, size_t depth, size_t cols, float *restrict to)
{
    size_t k = 0, i;

    for (; term == 1 && k + 4 <= depth; k += 4) {
        for (i = 0; i + 4 <= cols; i += 4)
            turn_four(b + i * col + k, col, to + k * WIDE + i, WIDE);
        for (; i < cols; i++)
            for (size_t t = k; t < k + 4; t++)
                to[t * WIDE + i] = b[t + i * col];
    }
    for (; k < depth; k++) {
        if (col == 1)
            memcpy(to + k * WIDE, b + k * term, cols * sizeof *to);
        for (i = 0; col != 1 && i < cols; i++)
            to[k * WIDE + i] = b[k * term + i * col];
    }
}

/* Column by column, zeros up to whole panels' width. */
static void pack_narrow(const float *b, size_t term, size_t col, size_t depth, size_t cols, const float *last,
                        float *to)
{
    size_t step = ym_rows_up(depth + (last != NULL), WIDE);

    memset(to, 0, cols * step * sizeof *to);
    for (size_t j = 0; j < cols; j++, to += step) {
        for (size_t k = 0; k < depth; k++)
            to[k] = b[k * term + j * col];
        if (last)
            to[depth] = last[j];
    }
}

void ym_rows_pack(const float *b, size_t term, size_t col, size_t depth, size_t cols, const float *last, size_t first,
                  size_t count, float *to)
{
    if (cols <= NARROW) {
        if (first == 0 && count > 0)
            pack_narrow(b, term, col, depth, cols, last, to);
        return;
    }
    to += first * (depth + (last != NULL));
    for (size_t j = first; j < first + count; j += WIDE) {
        size_t there = first + count - j < WIDE ? first + count - j : WIDE;

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

typedef float sixteen __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t sixteen_bits __attribute__((vector_size(64), aligned(4), may_alias));

/* Sixteen sums of every sixteenth term, added up in halves; what stands behind depth is cut off. */
YM_LANES static void mul_narrow(const float *a, size_t a_step, size_t rows, const float *packed, size_t depth,
                                size_t cols, float *c, size_t c_step)
{
    size_t step = ym_rows_up(depth, WIDE), whole = (depth - 1) / 16 * 16;
    sixteen_bits there;

    for (size_t k = 0; k < 16; k++)
        there[k] = whole + k < depth ? -1 : 0;
    for (size_t i = 0; i < rows; i++, a += a_step, c += c_step) {
        memset(c, 0, WIDE * sizeof *c);
        for (size_t j = 0; j < cols; j++) {
            const float *w = packed + j * step;
            sixteen s = (sixteen)(*(const sixteen_bits *)(a + whole) & there) * *(const sixteen *)(w + whole);

            for (size_t k = 0; k < whole; k += 16)
                s += *(const sixteen *)(a + k) * *(const sixteen *)(w + k);
            s += __builtin_shufflevector(s, s, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
            s += __builtin_shufflevector(s, s, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
            c[j] = (s[0] + s[1]) + (s[2] + s[3]);
        }
    }
}

void ym_rows_mul(const float *a, size_t a_step, size_t rows, const float *packed, size_t depth, size_t cols, float *c,
                 size_t c_step)
{
    tile_fn run = tile(TALL);

    if (cols <= NARROW) {
        mul_narrow(a, a_step, rows, packed, depth, cols, c, c_step);
        return;
    }
    for (size_t j = 0; j < cols; j += WIDE)
        for (size_t i = 0; i < rows; i += TALL)
            run(a + i * a_step, a_step, 1, packed + j * depth, WIDE, depth, c + i * c_step + j, c_step, false);
}

/* One column of tiles. */
static void pack_tall(const float *e, size_t e_step, const double *scale, size_t rows, float *to)
{
    for (size_t r = 0; r < rows; r++, e += e_step, to += TALL)
        for (size_t i = 0; i < TALL; i++)
            to[i] = scale[r] != 0 ? (float)(e[i] * scale[r]) : 0; /* not times 0: it may be infinite */
}

static double square(const float *v, size_t n)
{
    double sum[8] = {0};

    for (size_t i = 0; i < n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += (double)v[i + k] * v[i + k];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

#ifdef __x86_64__
_Static_assert(TALL == 12, "a tall row is eight and four");

WIDEST static void pack_tall_512(const float *e, size_t e_step, const double *scale, size_t rows, float *to)
{
    for (size_t r = 0; r < rows; r++, e += e_step, to += TALL) {
        __mmask8 there = scale[r] != 0 ? 255 : 0;
        __m512d low = _mm512_maskz_mul_pd(there, _mm512_cvtps_pd(_mm256_loadu_ps(e)), _mm512_set1_pd(scale[r]));
        __m256d high = _mm256_maskz_mul_pd(there, _mm256_cvtps_pd(_mm_loadu_ps(e + 8)), _mm256_set1_pd(scale[r]));

        _mm256_storeu_ps(to, _mm512_cvtpd_ps(low));
        _mm_storeu_ps(to + 8, _mm256_cvtpd_ps(high));
    }
}

WIDEST static double square_512(const float *v, size_t n)
{
    __m512d sum[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};

    for (size_t i = 0; i < n; i += 16) {
        __m512d a = _mm512_cvtps_pd(_mm256_loadu_ps(v + i)), b = _mm512_cvtps_pd(_mm256_loadu_ps(v + i + 8));

        sum[0] = _mm512_fmadd_pd(a, a, sum[0]);
        sum[1] = _mm512_fmadd_pd(b, b, sum[1]);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(sum[0], sum[1]));
}

WIDEST static void squares_512(const float *v, size_t step, size_t rows, size_t n, double *out)
{
    for (size_t r = 0; r < rows; r++)
        out[r] = square_512(v + r * step, n);
}
#endif

void ym_rows_pack_tall(const float *e, size_t e_step, const double *scale, size_t rows, size_t outs, float *to)
{
    for (size_t j = 0; j < outs; j += TALL, to += rows * TALL) {
#ifdef __x86_64__
        if (has_512()) {
            pack_tall_512(e + j, e_step, scale, rows, to);
            continue;
        }
#endif
        pack_tall(e + j, e_step, scale, rows, to);
    }
}

void ym_rows_squares(const float *v, size_t step, size_t rows, size_t n, double *out)
{
#ifdef __x86_64__
    if (has_512() && n > 1) {
        squares_512(v, step, rows, n, out);
        return;
    }
#endif
    for (size_t r = 0; r < rows; r++)
        out[r] = n == 1 ? (double)v[r * step] * v[r * step] : square(v + r * step, n);
}

static inline int64_t to_whole(float v)
{
    double shifted = (double)v + ROUNDER;
    int64_t bits, zero;

    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &(double){ROUNDER}, sizeof zero);
    return bits - zero;
}

YM_LANES static void add_tile(const float total[TALL][WIDE], size_t high, size_t wide, int64_t *restrict sum,
                              size_t step)
{
    for (size_t h = 0; h < high && wide == WIDE; h++)
        for (size_t i = 0; i < WIDE; i++)
            sum[h * step + i] += to_whole(total[h][i]);
    for (size_t h = 0; h < high && wide < WIDE; h++)
        for (size_t i = 0; i < wide; i++)
            sum[h * step + i] += to_whole(total[h][i]);
}

/* The terms of a tile: e [rows][TALL], a [rows][WIDE]. */
static void sum_chunks(tile_fn run, const float *e, const float *a, size_t rows, float total[TALL][WIDE])
{
    for (size_t r = 0; r < rows; r += YM_ROWS_CHUNK) {
        size_t n = rows - r < YM_ROWS_CHUNK ? rows - r : YM_ROWS_CHUNK;

        run(e + r * TALL, 1, TALL, a + r * WIDE, WIDE, n, total[0], WIDE, r > 0);
    }
}

/* sum_chunks of a column of ones. */
YM_LANES static void sum_ones(const float *restrict e, size_t rows, float *restrict total)
{
    float chunk[TALL];

    memset(total, 0, TALL * sizeof *total);
    for (size_t r = 0; r < rows; r += YM_ROWS_CHUNK) {
        size_t end = rows - r < YM_ROWS_CHUNK ? rows : r + YM_ROWS_CHUNK;

        memset(chunk, 0, sizeof chunk);
        for (size_t k = r; k < end; k++)
            for (size_t h = 0; h < TALL; h++)
                chunk[h] += e[k * TALL + h];
        for (size_t h = 0; h < TALL; h++)
            total[h] += chunk[h];
    }
}

void ym_rows_outer(const float *e, size_t out, size_t outs, const float *a, size_t a_step, size_t rows, size_t ins,
                   int64_t *sum, size_t sum_step, int64_t *extra)
{
    tile_fn run = tile(outs);
    _Alignas(64) float panel[YM_ROWS_MOST][WIDE], total[TALL][WIDE], ones[TALL];

    YM_ASSERT(rows <= YM_ROWS_MOST);
    for (size_t k = 0; k < ins; k += WIDE) {
        size_t wide = ins - k < WIDE ? ins - k : WIDE;

        for (size_t r = 0; r < rows; r++)
            memcpy(panel[r], a + r * a_step + k, sizeof panel[r]);
        for (size_t j = out; j < out + outs; j += TALL) {
            size_t high = out + outs - j < TALL ? out + outs - j : TALL;

            sum_chunks(run, e + j * rows, panel[0], rows, total);
            add_tile(total, high, wide, sum + j * sum_step + k, sum_step);
        }
    }
    for (size_t j = out; j < out + outs; j += TALL) {
        sum_ones(e + j * rows, rows, ones);
        for (size_t h = 0; h < TALL && j + h < out + outs; h++)
            extra[j + h] += to_whole(ones[h]);
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

#ifndef YM_TENSOR_ROWS_H
#define YM_TENSOR_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Float products whose elements hang on nothing but their own row and column. An element
 * is the sum of its terms from the first to the last, from 0, one fused multiply-add each
 * (a multiplication and an addition on a processor without): the same operations wherever
 * a row stands and whatever is beside it, which no BLAS promises. On one machine, that is:
 * processors with and without fused operations differ in last bits.
 *
 * Work is done in tiles of YM_ROWS_TALL x YM_ROWS_WIDE elements. Matrices are padded
 * to whole tiles by their owner: rows that stand `step` floats apart, steps a multiple of
 * YM_ROWS_WIDE, and YM_ROWS_SPARE floats behind the last row that may be read. What the
 * padding holds has no effect on the elements asked for. */
#define YM_ROWS_TALL 12
#define YM_ROWS_WIDE 32
#define YM_ROWS_SPARE (2 * YM_ROWS_WIDE)
#define YM_ROWS_CHUNK 64 /* terms of a float sum in ym_rows_outer, */
#define YM_ROWS_MOST 512 /* and most rows of a call */

static inline size_t ym_rows_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* How many floats ym_rows_pack fills for a matrix of depth x cols (the last row counted). */
static inline size_t ym_rows_packed(size_t depth, size_t cols)
{
    return depth * ym_rows_up(cols, YM_ROWS_WIDE);
}

/* to = b, panel by panel, zeros behind cols: b's element of term k and column j is
 * b[k * term + j * col], k < depth, j < cols; then `last` [cols] as one term more, if not NULL. */
void ym_rows_pack(const float *b, size_t term, size_t col, size_t depth, size_t cols, const float *last, float *to);

/* c [rows][cols padded] = a [rows][depth] · packed. a and c reach to a multiple of
 * YM_ROWS_TALL rows; those of c behind rows are overwritten. */
void ym_rows_mul(const float *a, size_t a_step, size_t rows, const float *packed, size_t depth, size_t cols, float *c,
                 size_t c_step);

/* sum[j * sum_step + k] += round(sum over rows of e[row][j] · a[row][k]), for `outs` j from
 * out on (out a multiple of YM_ROWS_TALL) and k < ins. Chunks of YM_ROWS_CHUNK rows are
 * added in float as above, chunks in double, the total rounded to a whole number: elements
 * must stay below 2^50. The last column, k = ins, goes to extra[j] the same way.
 *   e       packed by ym_rows_pack_tall
 *   a       [rows][a_step] */
void ym_rows_outer(const float *e, size_t out, size_t outs, const float *a, size_t a_step, size_t rows, size_t ins,
                   int64_t *sum, size_t sum_step, int64_t *extra);

/* to [outs / TALL, rounded up][rows][TALL]: e [rows][e_step] times scale [rows], zeros behind outs. */
void ym_rows_pack_tall(const float *e, size_t e_step, const double *scale, size_t rows, size_t outs, float *to);

/* Sum of squares, of products, in double and one fixed order. */
double ym_rows_square(const float *v, size_t n);
double ym_rows_dot(const float *a, const float *b, size_t n);

#endif

#ifndef YM_TENSOR_ROWS_H
#define YM_TENSOR_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Float products whose elements hang on nothing but their own row and column. An element
 * is the sum of its terms from the first to the last, from 0, one fused multiply-add each
 * (a multiplication and an addition on a processor without): the same operations wherever
 * a row stands and whatever is beside it, which no BLAS promises. (Where there are one or
 * two columns: sixteen sums of every sixteenth term, added up in halves.) On one machine, that is:
 * processors with and without fused operations differ in last bits.
 *
 * Work is done in tiles of YM_ROWS_TALL x YM_ROWS_WIDE elements. Matrices are padded
 * to whole tiles by their owner: rows that stand `step` floats apart, steps a multiple of
 * YM_ROWS_WIDE, and YM_ROWS_SPARE floats behind the last row that may be read. What the
 * padding holds has no effect on the elements asked for. */
#define YM_ROWS_TALL 12
#define YM_ROWS_WIDE 32
#define YM_ROWS_SPARE (2 * YM_ROWS_WIDE)
#define YM_ROWS_MOST 512 /* rows of a call of ym_rows_outer, */
#define YM_ROWS_CHUNK 52 /* terms that it adds one by one; then chunks are added: */
/* the most roundings that a term goes through */
#define YM_ROWS_ROUNDINGS (YM_ROWS_CHUNK + (YM_ROWS_MOST + YM_ROWS_CHUNK - 1) / YM_ROWS_CHUNK - 1)

static inline size_t ym_rows_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* How many floats ym_rows_pack fills for a matrix of depth x cols (the last row counted). */
static inline size_t ym_rows_packed(size_t depth, size_t cols)
{
    return ym_rows_up(depth, 4) * ym_rows_up(cols, YM_ROWS_WIDE);
}

/* to = b, packed for ym_rows_mul: b's element of term k and column j is b[k * term + j * col],
 * k < depth, j < cols; then `last` [cols] as one term more, if not NULL. Columns first ..
 * first + count only, first a multiple of YM_ROWS_WIDE, as is count or it ends at cols. */
void ym_rows_pack(const float *b, size_t term, size_t col, size_t depth, size_t cols, const float *last, size_t first,
                  size_t count, float *to);

/* c [rows][cols padded] = a [rows][depth] · packed. a and c reach to a multiple of
 * YM_ROWS_TALL rows; those of c behind rows are overwritten. */
void ym_rows_mul(const float *a, size_t a_step, size_t rows, const float *packed, size_t depth, size_t cols, float *c,
                 size_t c_step);

/* sum[j * sum_step + k] += round(sum over rows of e[row][j] · a[row][k]), for `outs` j from
 * out on (out a multiple of YM_ROWS_TALL) and k < ins, and extra[j] the sum of e[row][j] in
 * the same way. Chunks of YM_ROWS_CHUNK rows are added in float as above, then chunk to chunk
 * in float, and the total is rounded to a whole number: elements must stay below 2^50.
 *   e       packed by ym_rows_pack_tall
 *   a       [rows][a_step] */
void ym_rows_outer(const float *e, size_t out, size_t outs, const float *a, size_t a_step, size_t rows, size_t ins,
                   int64_t *sum, size_t sum_step, int64_t *extra);

/* to [outs / TALL, rounded up][rows][TALL]: e [rows][e_step] times scale [rows]; a row of scale 0 is 0,
 * whatever it holds. What comes of the columns behind outs has no effect. */
void ym_rows_pack_tall(const float *e, size_t e_step, const double *scale, size_t rows, size_t outs, float *to);

/* out [rows] = the sum of the squares of each row of v [rows][step], of the first n columns
 * rounded up to 16: what stands behind n is 0. In double and one fixed order. */
void ym_rows_squares(const float *v, size_t step, size_t rows, size_t n, double *out);
/* Sum of products, likewise. */
double ym_rows_dot(const float *a, const float *b, size_t n);

#endif

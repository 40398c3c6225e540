#ifndef YM_TENSOR_LANES_H
#define YM_TENSOR_LANES_H

#include <stddef.h>
#include <stdint.h>

/* Loops over floats, element by element, by the widest vectors there are; the same
 * bits on every machine. Arrays do not overlap unless they are the same. */

/* z[i] = tanh(z[i]), within 3 units in the last place; NaN stays NaN. */
void ym_lanes_tanh(float *z, size_t n);
/* z[i] = 1 / (1 + exp(-z[i])), within 4 units in the last place, at least exp(-87); NaN stays NaN. */
void ym_lanes_logistic(float *z, size_t n);
void ym_lanes_relu(float *z, size_t n); /* NaN stays NaN */

/* d[i] *= the derivative, told by the function's value. */
void ym_lanes_through_tanh(const float *value, size_t n, float *d);
void ym_lanes_through_relu(const float *value, size_t n, float *d);

void ym_lanes_add(const float *a, size_t n, float *sum);                 /* sum[i] += a[i] */
void ym_lanes_scale(float by, const float *a, size_t n, float *out);     /* out[i] = by * a[i] */
void ym_lanes_scale_add(float by, const float *a, size_t n, float *sum); /* sum[i] += by * a[i] */

/* out [rows][cols] = rows that stand step apart; and back, added. */
void ym_lanes_take_rows(const float *a, size_t step, size_t rows, size_t cols, float *out);
void ym_lanes_add_rows(const float *a, size_t rows, size_t cols, size_t step, float *sum);
/* sum [cols] += every row of a [rows][cols] */
void ym_lanes_sum_rows(const float *a, size_t rows, size_t cols, float *sum);

/* The first of equals of a window: where a[i] > best[i], or a[i] is NaN and best[i] is
 * not, best[i] = a[i] and which[i] = mark. */
void ym_lanes_max(const float *a, uint8_t mark, size_t n, float *best, uint8_t *which);
/* sum[i] += d[i] where which[i] == mark. */
void ym_lanes_add_marked(const float *d, const uint8_t *which, uint8_t mark, size_t n, float *sum);

#endif

#ifndef YM_TENSOR_MAT_H
#define YM_TENSOR_MAT_H

#include <stdbool.h>
#include <stddef.h>

/* Row-major float matrices as views on somebody else's memory, and the one
 * product that models need. The only room that includes cblas.h. OpenBLAS runs
 * on the caller's thread alone: a hospital's cores belong to the scheduler of
 * whole patients, and one thread gives one order of summation. */

struct ym_mat {
    float *at; /* [rows][cols] */
    size_t rows, cols;
};

struct ym_mat_view {
    const float *at; /* [rows][cols] */
    size_t rows, cols;
};

/* c = op(a) · op(b) + beta · c, op = transpose when the flag says so. Shapes must
 * agree (asserted); no dimension may be 0 nor pass INT_MAX. beta is 0 or 1; with
 * 0 the old c is never read. */
void ym_mat_mul(struct ym_mat_view a, bool transpose_a, struct ym_mat_view b, bool transpose_b, float beta,
                struct ym_mat c);

/* The same in double, with rows that stand further apart than they are long: c =
 * op(a) · op(b). Where every sum of |terms| of an element stays within 2^53 and all
 * entries are whole numbers, the answer is exact, whatever the order in which the
 * library adds: it adds products of these entries and nothing else (no Strassen). */
struct ym_wide {
    double *at; /* [rows][step], cols of them used */
    size_t rows, cols, step;
};
void ym_wide_mul(struct ym_wide a, bool transpose_a, struct ym_wide b, bool transpose_b, struct ym_wide c);

/* c = rows copies of the vector v [c.cols]. */
void ym_mat_fill_rows(const float *v, struct ym_mat c);

/* v [a.cols] = sum over the rows of a. */
void ym_mat_sum_rows(struct ym_mat_view a, float *v);

#endif

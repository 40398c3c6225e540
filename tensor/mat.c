#include "tensor/mat.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/status.h"

static void use_one_thread(void)
{
    openblas_set_num_threads(1);
}

static bool fits_blas(size_t rows, size_t cols)
{
    return rows > 0 && cols > 0 && rows <= INT_MAX && cols <= INT_MAX;
}

static void library_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, use_one_thread);
}

void ym_mat_mul(struct ym_mat_view a, bool transpose_a, struct ym_mat_view b, bool transpose_b, float beta,
                struct ym_mat c)
{
    size_t inner = transpose_a ? a.rows : a.cols;

    YM_ASSERT(fits_blas(a.rows, a.cols) && fits_blas(b.rows, b.cols) && fits_blas(c.rows, c.cols));
    YM_ASSERT(c.rows == (transpose_a ? a.cols : a.rows));
    YM_ASSERT(c.cols == (transpose_b ? b.rows : b.cols));
    YM_ASSERT(inner == (transpose_b ? b.cols : b.rows));
    library_ready();
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)c.rows, (blasint)c.cols, (blasint)inner, 1.0f, a.at, (blasint)a.cols, b.at, (blasint)b.cols,
                beta, c.at, (blasint)c.cols);
}

void ym_wide_mul(struct ym_wide a, bool transpose_a, struct ym_wide b, bool transpose_b, struct ym_wide c)
{
    size_t inner = transpose_a ? a.rows : a.cols;

    YM_ASSERT(fits_blas(a.rows, a.step) && fits_blas(b.rows, b.step) && fits_blas(c.rows, c.step));
    YM_ASSERT(a.cols > 0 && a.cols <= a.step && b.cols > 0 && b.cols <= b.step && c.cols > 0 && c.cols <= c.step);
    YM_ASSERT(c.rows == (transpose_a ? a.cols : a.rows));
    YM_ASSERT(c.cols == (transpose_b ? b.rows : b.cols));
    YM_ASSERT(inner == (transpose_b ? b.cols : b.rows));
    library_ready();
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)c.rows, (blasint)c.cols, (blasint)inner, 1.0, a.at, (blasint)a.step, b.at, (blasint)b.step,
                0.0, c.at, (blasint)c.step);
}

void ym_mat_fill_rows(const float *v, struct ym_mat c)
{
    for (size_t i = 0; i < c.rows; i++)
        memcpy(c.at + i * c.cols, v, c.cols * sizeof *v);
}

void ym_mat_sum_rows(struct ym_mat_view a, float *v)
{
    memset(v, 0, a.cols * sizeof *v);
    for (size_t i = 0; i < a.rows; i++)
        for (size_t j = 0; j < a.cols; j++)
            v[j] += a.at[i * a.cols + j];
}

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

void ym_mat_mul(struct ym_mat_view a, bool transpose_a, struct ym_mat_view b, bool transpose_b, float beta,
                struct ym_mat c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t inner = transpose_a ? a.rows : a.cols;

    YM_ASSERT(fits_blas(a.rows, a.cols) && fits_blas(b.rows, b.cols) && fits_blas(c.rows, c.cols));
    YM_ASSERT(c.rows == (transpose_a ? a.cols : a.rows));
    YM_ASSERT(c.cols == (transpose_b ? b.rows : b.cols));
    YM_ASSERT(inner == (transpose_b ? b.cols : b.rows));
    pthread_once(&once, use_one_thread);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)c.rows, (blasint)c.cols, (blasint)inner, 1.0f, a.at, (blasint)a.cols, b.at, (blasint)b.cols,
                beta, c.at, (blasint)c.cols);
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

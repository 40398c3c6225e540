/* Cox fits by Newton's method, whole: from rows in file order to coefficients, standard errors and log-likelihood.
 * Reads numbers from stdin: rows, columns, then a row each of time, event (0 or 1), covariates; prints the median
 * milliseconds of processor time of a fit and the log-likelihood. bench/cox.py feeds it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cpu_time.h"
#include "sim/newton.h"

#define FITS 101

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static int read_rows(size_t rows, size_t columns, double *x, double *y, uint8_t *event)
{
    double e;

    for (size_t i = 0; i < rows; i++) {
        if (scanf("%lf %lf", &y[i], &e) != 2)
            return 1;
        event[i] = e != 0;
        for (size_t j = 0; j < columns; j++)
            if (scanf("%lf", &x[i * columns + j]) != 1)
                return 1;
    }
    return 0;
}

int main(void)
{
    size_t rows, columns;
    double took[FITS], loglik = NAN;

    if (scanf("%zu %zu", &rows, &columns) != 2 || rows > 10000000 || columns > 1000)
        return 2;
    double *x = calloc(rows * columns, sizeof *x), *y = calloc(rows, sizeof *y);
    uint8_t *event = calloc(rows, 1);
    if (!x || !y || !event || read_rows(rows, columns, x, y, event))
        return 2;
    struct ym_newton_part part = {rows, x, y, NULL, event, NULL};
    struct ym_newton_problem q = {
        .kind = YM_NEWTON_COX, .ties = YM_TIES_EFRON, .columns = columns, .part = &part, .part_count = 1};

    for (size_t i = 0; i < FITS; i++) {
        struct ym_newton_fit fit;
        double start = ym_cpu_ms();

        if (ym_newton(&q, &fit, NULL) != YM_OK)
            return 1;
        took[i] = ym_cpu_ms() - start;
        loglik = fit.loglik;
        ym_newton_release(&fit);
    }
    qsort(took, FITS, sizeof *took, by_value);
    printf("%.4f %.10f\n", took[FITS / 2], loglik);
    free(x);
    free(y);
    free(event);
    return 0;
}

#ifndef YM_SIM_SPREAD_H
#define YM_SIM_SPREAD_H

#include <stddef.h>

/* How a figure varies over seeds. */
struct ym_spread {
    double mean;
    double sd;        /* of one run: divisor n - 1 */
    double low, high; /* 95 % interval of the mean: mean -+ t sd / sqrt(n), t the 97.5 % point of Student's t, n - 1
                         degrees of freedom */
};

/* value [n], n >= 2. Any NaN makes all four NaN. The interval takes the runs as
 * independent and their mean as normal; it speaks of the draws (sampling and
 * noise), not of other patients. */
struct ym_spread ym_spread_of(const double *value, size_t n);

#endif

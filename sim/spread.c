#include "sim/spread.h"

#include <math.h>

#include "base/status.h"

/* Abramowitz and Stegun 26.7.5 at p = 0.975; below 5 degrees the series is too short, so the tabled points stand. */
static double student_975(size_t degrees)
{
    static const double few[] = {12.706205, 4.302653, 3.182446, 2.776445};
    const double z = 1.959963984540054, z2 = z * z, v = (double)degrees;

    if (degrees <= sizeof few / sizeof *few)
        return few[degrees - 1];
    return z * (1 + ((z2 + 1) / 4 + (((5 * z2 + 16) * z2 + 3) / 96 +
                                     ((((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384 +
                                      ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160 / v) /
                                         v) /
                                        v) /
                        v);
}

struct ym_spread ym_spread_of(const double *value, size_t n)
{
    struct ym_spread s = {0};
    double squares = 0, half;

    YM_ASSERT(n >= 2);
    for (size_t i = 0; i < n; i++)
        s.mean += value[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (value[i] - s.mean) * (value[i] - s.mean);
    s.sd = sqrt(squares / (double)(n - 1));
    half = student_975(n - 1) * s.sd / sqrt((double)n);
    s.low = s.mean - half;
    s.high = s.mean + half;
    return s;
}

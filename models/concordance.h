#ifndef YM_MODELS_CONCORDANCE_H
#define YM_MODELS_CONCORDANCE_H

#include <stddef.h>
#include <stdint.h>

/* How well a risk orders times: Harrell's C (Harrell et al. 1982), as concordance()
 * of R's survival with reverse = TRUE. A pair can be compared when the one with the
 * event came to it earlier, or at the same time as the other was last seen without
 * it; both with events at one time cannot. Equal risks count half. */
struct ym_concordance {
    double concordant, tied, comparable; /* pairs */
    double index;                        /* (concordant + tied / 2) / comparable; NaN without pairs */
    double se; /* of the index over patients drawn anew: infinitesimal jackknife, as R's concordance() */
};

/* The standard error is the root of sum (a_i - index n_i)^2 / comparable^2, a_i and n_i what the pairs that i is in add
 * to the numerator and to comparable (Therneau, "Concordance", vignette of survival). With event at time 1 for
 * positives and none at time 2 for negatives the index is the AUC, and the error that of DeLong et al. (1988) but for
 * divisors n instead of n - 1.
 *
 * risk, time [n]; event [n] 0 or 1; stratum [n] only rows of one stratum are paired, NULL: one. All NaN when
 * memory runs out or a risk or time is NaN. O(n log n). */
struct ym_concordance ym_concordance_of(const double *risk, const double *time, const uint8_t *event,
                                        const uint32_t *stratum, size_t n);

#endif

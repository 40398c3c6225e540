#ifndef YM_PRIVACY_NOISE_H
#define YM_PRIVACY_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* Add an independent round(N(0, sigma_units^2)) to every coordinate, exactly
 * distributed: a point drawn under the curve, in integers alone, with further bits
 * where those at hand do not decide (docs/privacy.md). Rounding an exact Gaussian is
 * post-processing of it: x + round(N) = round(x + N) for lattice x.
 *   sigma_units  1 .. 2^40, lattice units; 0 is a bug and aborts
 *   rng          a generator opened for this vector alone; the caller closes it */
void ym_noise_add(int64_t *sum, size_t dim, uint64_t sigma_units, struct ym_rng *rng);

/* One draw (tests). */
int64_t ym_noise_draw(uint64_t sigma_units, struct ym_rng *rng);

/* Poisson sampling: each patient on its own with probability k / 2^64, k = 2^64-1
 * meaning certain inclusion is NOT special: compare u64 < k, of which bits that
 * cannot matter are not drawn: exact all the same. Writes the chosen
 * indices, ascending, to chosen [patients]; returns how many (0 is fine). */
size_t ym_sample_patients(size_t patients, uint64_t k, struct ym_rng *rng, uint32_t *chosen);

#endif

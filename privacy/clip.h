#ifndef YM_PRIVACY_CLIP_H
#define YM_PRIVACY_CLIP_H

#include <stddef.h>
#include <stdint.h>

#define YM_CLIP_BITS 24
#define YM_CLIP_UNITS (1 << YM_CLIP_BITS) /* C in lattice units */

/* Clip one patient's gradient to the lattice ball of radius YM_CLIP_UNITS.
 *   g          [dim] gradient of all records of one patient, gradient units
 *   clip_norm  > 0, gradient units; maps to YM_CLIP_UNITS = 2^24
 *   q          [dim] out, lattice units, truncated toward zero
 * On return sum(q^2) <= 2^48, checked in integers, whatever g held: a patient
 * with NaN or infinity becomes all zero. Allocates nothing; any thread.
 * Source: Abadi et al. 2016, Algorithm 1; docs/privacy.md, lemma 1. */
void ym_clip_patient(const float *g, size_t dim, double clip_norm, int32_t *q);

/* The same with one coordinate more, that tells whether the norm is at most the
 * clip (Andrew et al. 2021, centred bit): q [dim + 1], q[dim] = +bit_units if so,
 * else -bit_units; a patient with NaN or infinity is all zero and +bit_units, as
 * the zero gradient is. clip_norm maps to ym_clip_radius(bit_units) units, so that
 * on return the sum of all dim + 1 squares is <= 2^48, checked in integers.
 *   bit_units  1 .. 2^24 - 1
 * docs/privacy.md, lemma 3. */
void ym_clip_patient_bit(const float *g, size_t dim, double clip_norm, uint32_t bit_units, int32_t *q);
/* floor(sqrt(2^48 - bit_units^2)): what the bit leaves of the ball. 2^24 for 0. */
uint32_t ym_clip_radius(uint32_t bit_units);

/* sum[i] += q[i]; int64, so the order of patients never matters. */
void ym_clip_add(int64_t *sum, const int32_t *q, size_t dim);
/* The same in half the memory for up to YM_CLIP_HELD patients, each |q[i]| <= 2^24:
 * 127 * 2^24 < 2^31. held goes to the sum by ym_clip_add. */
#define YM_CLIP_HELD 127
void ym_clip_hold(int32_t *held, const int32_t *q, size_t dim);

#endif

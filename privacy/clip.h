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

/* sum[i] += q[i]; int64, so the order of patients never matters. */
void ym_clip_add(int64_t *sum, const int32_t *q, size_t dim);

#endif

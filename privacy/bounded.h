#ifndef YM_PRIVACY_BOUNDED_H
#define YM_PRIVACY_BOUNDED_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/clip.h"

/* The bounded route: patients are not formed one by one; a batch of them is
 * summed by one matrix product. It is exact all the same: a patient's gradient
 * is a sum of products of whole numbers, on a lattice 2^20 times finer than the
 * gradient lattice, and a product of doubles whose terms add up to at most 2^53
 * in magnitude has no rounding, in any order, with or without fused operations.
 * What is bounded: the norm, taken in double (relative 2^-31, taken off the
 * radius), and one rounding of the whole sum to the gradient lattice, at most
 * sqrt(dim) units between neighbours (taken off too). One patient so moves the
 * rounded sum by at most 2^24 units. Proof: docs/privacy.md, lemma 1b. */

#define YM_BOUNDED_FINE_BITS 20
#define YM_BOUNDED_EXACT 0x1p52     /* what terms of a product may add up to, in magnitude: 2^53 and a margin */
#define YM_BOUNDED_REACH_MAX 0x1p50 /* one patient's terms */

/* What one patient's rows say of its gradient before the clip, fine units. */
struct ym_ghost {
    double norm;  /* Euclidean, low by at most 2^-32 of itself; infinite or NaN: no such gradient */
    double reach; /* what the magnitudes of the terms of any one coordinate add up to, or more */
    double spill; /* what truncating the factors can add to the norm; 0 with one row, where it only takes away */
};

/* What all rounding costs, lattice units: ceil(sqrt(dim)), and 2^-6 for the norm.
 * dim at most 2^32: below 1 % of C for every model that a plan may name. */
double ym_bounded_cost_units(size_t dim);

/* The norm that clipped patients keep within, fine units: clip_units (2^24, or what an
 * adaptive clip's bit leaves of it, ym_clip_radius) less the cost; 0 if nothing is left. */
double ym_bounded_radius(uint32_t clip_units, size_t dim);

/* Can this patient take part in a product? No: sum it by ym_clip_patient, whose
 * vector is within 2^24 by itself. A function of the patient alone. */
int ym_bounded_suits(const struct ym_ghost *g, double radius);

/* In [0, 1]: what to multiply the gradient by so that, truncation included, its
 * norm is within radius; 0 for one that is not finite. g suits. */
double ym_bounded_factor(const struct ym_ghost *g, double radius);

/* Move whole lattice units from fine to sum; what is left is in [0, 2^20). May
 * be called at any time; the end result is the same. */
void ym_bounded_carry(int64_t *fine, int64_t *sum, size_t dim);

/* Move the rest too, rounded to the nearest unit; fine is zero after it. */
void ym_bounded_close(int64_t *fine, int64_t *sum, size_t dim);

#endif

#ifndef YM_PRIVACY_BOUNDED_H
#define YM_PRIVACY_BOUNDED_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/clip.h"

/* The bounded route: patients are not formed one by one; leaves of a tree, which
 * chance alone draws (privacy/leaves.h), are summed by float products. A patient's arrival
 * changes one leaf, and what rounding can make of that is bounded and taken off the
 * radius that patients are clipped to, so that one patient moves the rounded sum by
 * at most 2^24 units. Proof: docs/privacy.md, lemma 1b. */

#define YM_BOUNDED_ROUNDINGS 64  /* in float, that a term of a sum goes through at most */
#define YM_BOUNDED_LEAF 512      /* most weight of a leaf */
#define YM_BOUNDED_PATIENT 64    /* most rows of a patient in one */
#define YM_BOUNDED_INPUTS 0x1p60 /* longest row of inputs: below, no underflow is worth 2^-40 units */

/* What a patient of so many rows weighs in a leaf. Of several rows, whose gradients may cancel,
 * more is to be added up than is left. */
static inline uint32_t ym_bounded_weight(size_t rows)
{
    return (uint32_t)(rows == 1 ? 1 : 2 * rows);
}

/* What one patient's rows say of its gradient before the clip, gradient units. */
struct ym_ghost {
    double norm;   /* Euclidean, low by at most 2^-30 of itself; infinite or NaN: no such gradient */
    double reach;  /* root of the sum over layers of (the sum of its rows' norms)^2; norm, if there is one row */
    double inputs; /* the norm of the longest row of inputs in any layer */
    size_t rows;   /* 1 .. YM_BOUNDED_PATIENT */
};

/* What all rounding costs a patient of so many rows, lattice units: 0.39 % of C, 0.44 % for 64
 * rows, and (weight + 2) / 2 times sqrt(dim). dim at most 2^32. */
double ym_bounded_cost_units(size_t dim, size_t rows);

/* The norm that a clipped patient keeps within, lattice units: clip_units (2^24, or what an
 * adaptive clip's bit leaves of it, ym_clip_radius) less the cost; 0 if nothing is left. */
double ym_bounded_radius(uint32_t clip_units, size_t dim, size_t rows);

/* In [0, unit]: what to multiply the gradient by so that it is in lattice units, its norm
 * within radius, whatever float makes of it, and its reach within weight * radius. 0 for one
 * that is not finite, or whose inputs are longer than YM_BOUNDED_INPUTS.
 *   unit  lattice units of a gradient unit, > 0 */
double ym_bounded_factor(const struct ym_ghost *g, double unit, double radius);

#endif

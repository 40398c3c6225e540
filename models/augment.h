#ifndef YM_MODELS_AUGMENT_H
#define YM_MODELS_AUGMENT_H

#include <stdint.h>

#include "gate/plan.h"

/* Views of one patient's images (plan key training.augmentation): each record becomes `views` pictures of itself, one
 * by one flipped with probability one half and shifted by up to `shift` pixels each way, what comes in from outside
 * being the declared mean or black. The patient's gradient is the mean over all of them and is clipped once, behind
 * that ("augmentation multiplicity", De et al. 2022, section 3.2): what one patient can add to a sum is what it was.
 * No other patient's rows are looked at; draw is that patient's own.
 *   x     [n][columns] of an image plan, n >= 1; y [n]
 *   draw  64 random bits: all that the views depend on beside x
 *   view  [n * views][columns] out, view_y [n * views] out; views of a record stand together */
void ym_augment_views(const struct ym_plan *plan, const float *x, const float *y, size_t n, uint64_t draw, float *view,
                      float *view_y);

/* A draw for the simulator's steps without privacy, which have no generator. */
uint64_t ym_augment_draw(uint32_t round, uint32_t step, size_t patient);

#endif

#ifndef YM_MODELS_BATCH_H
#define YM_MODELS_BATCH_H

#include <stdbool.h>

#include "models/model.h"

/* Gradients of many patients at once, none formed by itself. Every row of
 * activations and of deltas is rounded to whole numbers of 21 bits under a power of
 * two of its own, weights to 22 bits under one of their layer's, and all products
 * are of these, in double, at most 1024 terms at a time: 21 + 22 + 10 = 53 bits, so
 * they are exact. Hence
 *   a row's numbers are a function of that row and the parameters alone, whatever
 *     else is in the batch, in which order, on which machine's BLAS;
 *   a patient's gradient is, exactly, the sum over its rows of outer products of
 *     whole numbers, and its norm can be had from the factors (Goodfellow 2015,
 *     "Efficient per-example gradient computations"; with several rows their Gram
 *     matrices: Li et al. 2022, "Large language models can be strong differentially
 *     private learners", section 4);
 *   the sum over patients is exact too, so how they are batched changes no bit of it.
 * Against float32 the roundings are as small as float's own, 2^-21 of a row's largest.
 * Memory: 8 bytes a parameter, and 16 a row and unit. Wiped by free: it held rows.
 *
 * Order of calls: weights once a step; then put, until it says no or nobody is left,
 * pass, ghost and scale for each patient, add, clear. */
struct ym_batch;

#define YM_BATCH_MOST_ROWS 256
#define YM_BATCH_PATIENT_ROWS 64 /* of one patient: Gram matrices cost the square */

struct ym_batch *ym_batch_new(const struct ym_model *m, size_t max_rows); /* max_rows >= 1; NULL: no memory */
void ym_batch_free(struct ym_batch *b);

/* Rows that fit in about 64 MiB: 1 .. YM_BATCH_MOST_ROWS. */
size_t ym_batch_rows_for(const struct ym_model *m);

/* False: a parameter is not finite, and nobody has a gradient. */
bool ym_batch_weights(struct ym_batch *b, const float *params);

/* Add a patient of n >= 1 rows; false, nothing changed, when there is no room. */
bool ym_batch_put(struct ym_batch *b, const float *x, const float *y, size_t n);
size_t ym_batch_patients(const struct ym_batch *b);
void ym_batch_pass(struct ym_batch *b);

/* Of patient i, in units of 1 / unit of the gradient's own. Meanings and errors as
 * in privacy/bounded.h, struct ym_ghost. */
void ym_batch_ghost(const struct ym_batch *b, size_t i, double unit, double *norm, double *reach, double *spill);

/* Multiply patient i's gradient by factor * unit and truncate its deltas to whole
 * numbers, toward zero; factor 0 makes it vanish whatever it held. factor * reach
 * at most 2^50. */
void ym_batch_scale(struct ym_batch *b, size_t i, double unit, double factor);

/* sum [dim] += the scaled gradients of patients first .. first + count - 1, exactly:
 * factor * reach of them all must add up to at most 2^53. */
void ym_batch_add(struct ym_batch *b, size_t first, size_t count, int64_t *sum);

void ym_batch_clear(struct ym_batch *b); /* nobody in it; the weights stay */

#endif

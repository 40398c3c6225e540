#ifndef YM_MODELS_BATCH_H
#define YM_MODELS_BATCH_H

#include <stdbool.h>

#include "models/model.h"

/* Gradients of many patients at once, none formed by itself: a row's gradient in a
 * layer is the outer product of its delta e = d loss / d z and its input (a, 1), so norms
 * can be had from the factors (Goodfellow 2015, "Efficient per-example gradient
 * computations"; several rows: their Gram matrices, Li et al. 2022, "Large language
 * models can be strong differentially private learners", section 4), and one product
 * of the scaled deltas with the inputs adds up everybody.
 *   All that comes before that product is a function of the row (norms: of the patient's
 *     rows) and the parameters alone, bit for bit: tensor/rows.h, and loops along one row.
 *   The product is in float32: the sum over patients has a rounding, which
 *     docs/privacy.md, lemma 1b, bounds.
 * Memory: twice the parameters, and about 5 bytes a row and unit. Wiped by free: it held rows.
 *
 * Order of calls: weights once a step; then put, until it says no or nobody is left,
 * pass, ghost and scale for each patient, add, clear. */
struct ym_batch;

#define YM_BATCH_MOST_ROWS 512
#define YM_BATCH_PATIENT_ROWS 64 /* of one patient: Gram matrices cost the square */

struct ym_batch *ym_batch_new(const struct ym_model *m, size_t max_rows); /* max_rows >= 1; NULL: no memory */
uint64_t ym_batch_bytes(const struct ym_model *m, size_t max_rows);       /* that it takes, at most */
void ym_batch_free(struct ym_batch *b);

/* Rows that fit in about 32 MiB: 1 .. YM_BATCH_MOST_ROWS. */
size_t ym_batch_rows_for(const struct ym_model *m);

/* From now on the products are shared among the pool's threads (borrowed; NULL: made by the
 * caller's), which changes no bit: each element is made by one of them. */
struct ym_pool;
void ym_batch_share(struct ym_batch *b, struct ym_pool *pool);

/* False: a parameter is not finite, and nobody has a gradient. */
bool ym_batch_weights(struct ym_batch *b, const float *params);

/* Add a patient of n >= 1 rows; false, nothing changed, when there is no room. */
bool ym_batch_put(struct ym_batch *b, const float *x, const float *y, size_t n);
size_t ym_batch_room(const struct ym_batch *b);           /* rows that fit when nobody is in it */
size_t ym_batch_rows(const struct ym_batch *b, size_t i); /* of patient i */
void ym_batch_pass(struct ym_batch *b);

/* Of patient i's gradient: its norm, reach and inputs as in privacy/bounded.h, struct ym_ghost. */
void ym_batch_ghost(const struct ym_batch *b, size_t i, double *norm, double *reach, double *inputs);

/* Patient i counts `scale` times in the sum; with 0 it vanishes, whatever it held. */
void ym_batch_scale(struct ym_batch *b, size_t i, double scale);

/* sum [dim] += the scaled gradients of everybody, rounded to whole numbers. */
void ym_batch_add(struct ym_batch *b, int64_t *sum);

void ym_batch_clear(struct ym_batch *b); /* nobody in it; the weights stay */

#endif

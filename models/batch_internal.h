#ifndef YM_MODELS_BATCH_INTERNAL_H
#define YM_MODELS_BATCH_INTERNAL_H

#include "models/batch.h"
#include "tensor/mat.h"

#define YM_BATCH_TILE ((size_t)1 << 15)   /* doubles of a product of gradients: stays in the second cache */
#define YM_BATCH_WIDEST ((size_t)1 << 18) /* for which the norm's error is stated */

struct ym_batch {
    struct ym_model m;
    size_t max_rows, rows, patients;
    size_t *first;                       /* [max_rows + 1] patient i's rows are first[i] .. first[i + 1] - 1 */
    float *y;                            /* [max_rows] */
    bool *bad;                           /* [max_rows] something of the row was not finite */
    const float *params;                 /* the caller's, from weights on */
    double *weight[YM_MODEL_MAX_LAYERS]; /* [out][in] whole */
    int weight_exp[YM_MODEL_MAX_LAYERS];
    double *in[YM_MODEL_MAX_LAYERS];      /* [max_rows][in + 1] whole; the last is the bias's 1 */
    double *out[YM_MODEL_MAX_LAYERS];     /* [max_rows][out] whole: d loss / d z */
    int *in_exp[YM_MODEL_MAX_LAYERS];     /* [max_rows] */
    int *out_exp[YM_MODEL_MAX_LAYERS];    /* [max_rows] */
    float *act[YM_MODEL_MAX_LAYERS + 1];  /* [max_rows][width]; 0 is unused */
    float *delta;                         /* [max_rows][widest] */
    double *product, *part, *tile, *gram; /* gram: two of [patient rows]^2 */
    double *wide;
    float *narrow;
    int *exps;
    size_t wide_len, narrow_len, tile_len;
};

/* c = a · op(w) of whole numbers of at most 21 and 22 bits, in stretches of 2^10 terms
 * that are exact one by one and added in their order: each row of c is a function of its
 * own row of a and of w. c is dense; c.rows at most max_rows, c.cols at most the widest
 * layer where there is more than one stretch. */
void ym_batch_product(const struct ym_batch *b, struct ym_wide a, struct ym_wide w, bool transpose_w, struct ym_wide c);

#endif

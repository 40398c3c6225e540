#ifndef YM_MODELS_NETWORK_INTERNAL_H
#define YM_MODELS_NETWORK_INTERNAL_H

#include "models/network.h"

#define YM_NETWORK_STRETCH ((size_t)1 << 16) /* values of gathered windows at once */

/* Layers one by one, for network.c. Of layer l: x [in], y [out] values, d [out] the
 * loss's derivative by them, below [in] that by x (overwritten), g the parameters'
 * derivative at l->offset, += onto beta times what was there. */

/* Window values gathered at once: rows of them, at least one. */
size_t ym_conv_stretch(const struct ym_layer *l);
/* Values of an image with its border of zeros. */
size_t ym_conv_padded(const struct ym_layer *l);
/* Values of col, scratch of this layer alone: [stretch][window values], behind it the padded image. */
size_t ym_conv_scratch(const struct ym_layer *l);
/* forward leaves col to weights, and below may use it after that */
void ym_conv_forward(const struct ym_layer *l, const float *params, const float *x, float *col, float *y);
void ym_conv_weights(const struct ym_layer *l, const float *x, const float *d, float beta, float *col, float *g);
void ym_conv_below(const struct ym_layer *l, const float *params, const float *d, float *col, float *below);

void ym_dense_forward(const struct ym_layer *l, const float *params, const float *x, float *y);
void ym_dense_weights(const struct ym_layer *l, const float *x, const float *d, float beta, float *g);
void ym_dense_below(const struct ym_layer *l, const float *params, const float *d, float *below);

/* which [out values]: place in the window of what was taken, row by row */
void ym_max_pool_forward(const struct ym_layer *l, const float *x, float *y, uint8_t *which);
void ym_max_pool_below(const struct ym_layer *l, const float *d, const uint8_t *which, float *below);
void ym_avg_pool_forward(const struct ym_layer *l, const float *x, float *y);
void ym_avg_pool_below(const struct ym_layer *l, const float *d, float *below);

/* moments [2 * groups]: mean and 1 / spread of each group of channels of this image */
void ym_group_norm_forward(const struct ym_layer *l, const float *params, const float *x, float *y, float *moments);
/* below may be NULL. */
void ym_group_norm_backward(const struct ym_layer *l, const float *params, const float *x, const float *d,
                            const float *moments, float beta, float *g, float *below);

#endif

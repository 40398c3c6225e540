#ifndef YM_MODELS_SHAPE_H
#define YM_MODELS_SHAPE_H

#include "models/model.h"

/* Where a layer's weights and bias stand in the parameter block. shape.c holds
 * what a model is without computing with it: the hub and the auditor need that
 * much, and so link no BLAS. */
size_t ym_model_layer_offset(const struct ym_model *m, size_t layer);
size_t ym_model_bias_offset(const struct ym_model *m, size_t layer);

#endif

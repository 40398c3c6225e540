#ifndef YM_MODELS_MODEL_INTERNAL_H
#define YM_MODELS_MODEL_INTERNAL_H

#include "models/model.h"

/* What the patient-by-patient and the batched gradient share: element by element,
 * so a row's result depends on that row alone. */

/* z[i] = activation(z[i]), i < n. */
void ym_model_activate(const struct ym_model *m, float *z, size_t n);

/* d[i] *= activation'(z[i]) by the activation's value. */
void ym_model_through_activation(const struct ym_model *m, const float *act, size_t n, float *d);

/* d loss / d z of the last layer, of the loss of one patient of n rows.
 * z, d [n][outputs], y [n][targets]. */
void ym_model_output_delta(const struct ym_model *m, const float *z, const float *y, size_t n, float *d);

#endif

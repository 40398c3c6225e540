#ifndef YM_MODELS_SCORE_H
#define YM_MODELS_SCORE_H

#include <stddef.h>

/* Area under the ROC curve, ties counted half; NaN when a class is empty. */
double ym_score_auc(const float *score, const float *label01, size_t n);
/* Share of rows whose best class (threshold 0.5 for one output) is the label. */
double ym_score_accuracy(const float *scores, size_t outputs, const float *label, size_t n);

#endif

#ifndef YM_MODELS_SCORE_H
#define YM_MODELS_SCORE_H

#include <stddef.h>

/* Area under the ROC curve, ties counted half; NaN when a class is empty. se: its standard error over patients drawn
 * anew (models/concordance.h); NULL: not wanted. */
double ym_score_auc(const float *score, const float *label01, size_t n, double *se);
/* The likeliest class of one row: of one output, 1 from one half on; of equals the first. */
size_t ym_score_class(const float *p, size_t outputs);
/* Share of rows whose best class (threshold 0.5 for one output) is the label. */
double ym_score_accuracy(const float *scores, size_t outputs, const float *label, size_t n);
/* Mean squared distance of the scores to the outcome: (p - y)^2 for one output, the sum over classes of (p_c - [y =
 * c])^2 for several (Brier 1950); NaN without rows. */
double ym_score_brier(const float *scores, size_t outputs, const float *label, size_t n);
/* Calibration of one probability (Cox 1958): the logistic regression of the label on logit(score), both coefficients
 * by maximum likelihood. Slope 1 and intercept 0 are right; a slope below 1 tells of scores too extreme. Scores are cut
 * to [1e-6, 1 - 1e-6]. Both NaN where there is no maximum: one class only, equal scores, classes that scores separate.
 */
void ym_score_calibration(const float *score, const float *label01, size_t n, double *intercept, double *slope);

#endif

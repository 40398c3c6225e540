#ifndef YM_MODELS_STOP_H
#define YM_MODELS_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "gate/plan.h"

/* A study that ends before its last round (plan key metrics.stop). After each round with released metrics the state
 * function reads one figure out of the sum's noised counts, as ym_metric_read does (models/metric.h): auc,
 * accuracy or concordance, where more is better, or brier, where less is. It is better when it passes the best so far
 * by more than stop_by. A figure that the noise left undefined is not better. After stop_after figures running that are
 * not, the study is over. Additions, products and quotients of IEEE double alone: an auditor who has the sum decides
 * the same. stop  [2] of a state, its last numbers: the best figure so far, and metric rounds since; -1 before the
 * first. */

#define YM_STOP_NUMBERS 2
void ym_stop_initial(double *stop);
bool ym_stop_valid(const struct ym_plan *plan, const double *stop);
/* cell [ym_plan_metric_dim] of the sum of a round that has metrics. */
void ym_stop_take(const struct ym_plan *plan, const int64_t *cell, double *stop);
/* The study ends with this state. False for a plan that asks for no such end. */
bool ym_stop_reached(const struct ym_plan *plan, const double *stop);

#endif

#include "models/stop.h"

#include <math.h>

#include "models/metric.h"

void ym_stop_initial(double *stop)
{
    stop[0] = 0;
    stop[1] = -1;
}

bool ym_stop_valid(const struct ym_plan *plan, const double *stop)
{
    return isfinite(stop[0]) && stop[1] >= -1 && stop[1] <= plan->rounds && floor(stop[1]) == stop[1];
}

static double figure_of(const struct ym_plan *plan, const int64_t *cell)
{
    struct ym_metric m;

    ym_metric_read(plan, cell, plan->site_count, &m);
    switch (plan->stop_figure) {
    case YM_STOP_AUC:
        return m.auc.value;
    case YM_STOP_BRIER:
        return m.brier.value;
    case YM_STOP_CONCORDANCE:
        return m.concordance.value;
    default:
        return m.accuracy.value;
    }
}

static bool is_better(const struct ym_plan *plan, double figure, const double *stop)
{
    if (!isfinite(figure) || stop[1] < 0)
        return isfinite(figure);
    return plan->stop_figure == YM_STOP_BRIER ? figure < stop[0] - plan->stop_by : figure > stop[0] + plan->stop_by;
}

void ym_stop_take(const struct ym_plan *plan, const int64_t *cell, double *stop)
{
    double figure = figure_of(plan, cell);

    if (is_better(plan, figure, stop)) {
        stop[0] = figure;
        stop[1] = 0;
    } else if (stop[1] >= 0) {
        stop[1] += 1;
    }
}

bool ym_stop_reached(const struct ym_plan *plan, const double *stop)
{
    return plan->stop_figure != YM_STOP_NEVER && stop[1] >= plan->stop_after;
}

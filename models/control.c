#include "models/control.h"

#include <math.h>

void ym_control_correction(const struct ym_plan *plan, const struct ym_model *m, const double *c, const int64_t *last,
                           double *out)
{
    double unit = ldexp(plan->steps_per_round * plan->learning_rate, (int)plan->update_scale_bits);

    for (size_t i = 0; i < m->dim; i++)
        out[i] = last ? c[i] + (double)last[i] / unit : 0;
}

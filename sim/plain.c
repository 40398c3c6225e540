#include "sim/plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct plain {
    float *theta, *gradient; /* [dim] */
    double *sum;             /* [dim] */
    struct ym_model_work *work;
};

static size_t most_rows(const struct ym_table *t)
{
    size_t most = 1;

    for (size_t p = 0; p < t->patients; p++) {
        size_t n = (size_t)(t->first_row[p + 1] - t->first_row[p]);

        if (n > most)
            most = n;
    }
    return most;
}

static void step(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *t, struct plain *s)
{
    memset(s->sum, 0, m->dim * sizeof *s->sum);
    for (size_t p = 0; p < t->patients; p++) {
        size_t first = (size_t)t->first_row[p], n = (size_t)t->first_row[p + 1] - first;

        ym_model_patient_gradient(m, s->theta, t->x + first * t->columns, t->y + first, n, s->work, s->gradient);
        for (size_t j = 0; j < m->dim; j++)
            s->sum[j] += (double)s->gradient[j];
    }
    for (size_t j = 0; j < m->dim; j++) {
        double theta = (double)s->theta[j];

        s->theta[j] = (float)(theta - plan->learning_rate * (s->sum[j] / plan->nominal_patients + plan->l2 * theta));
    }
}

static int64_t to_lattice(double difference, uint32_t scale_bits, uint32_t width_bits)
{
    double high = ldexp(1.0, (int)width_bits - 1) - 1, low = -ldexp(1.0, (int)width_bits - 1);
    double units = nearbyint(ldexp(difference, (int)scale_bits));

    if (isnan(units))
        return 0;
    return (int64_t)(units > high ? high : units < low ? low : units);
}

enum ym_code ym_plain_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, int64_t *update, struct ym_status *st)
{
    struct plain s = {
        .theta = malloc(m->dim * sizeof *s.theta),
        .gradient = malloc(m->dim * sizeof *s.gradient),
        .sum = malloc(m->dim * sizeof *s.sum),
        .work = ym_model_work_new(m, most_rows(data)),
    };
    enum ym_code code = YM_OK;

    if (s.theta == NULL || s.gradient == NULL || s.sum == NULL || s.work == NULL) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", m->dim);
        goto out;
    }
    memcpy(s.theta, params, m->dim * sizeof *s.theta);
    for (uint32_t i = 0; i < plan->steps_per_round; i++)
        step(plan, m, data, &s);
    for (size_t j = 0; j < m->dim; j++)
        update[j] =
            to_lattice((double)s.theta[j] - (double)params[j], plan->update_scale_bits, plan->update_width_bits);
out:
    free(s.theta);
    free(s.gradient);
    free(s.sum);
    ym_model_work_free(s.work);
    return code;
}

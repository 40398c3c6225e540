#include "sim/plain.h"

#include <stdlib.h>
#include <string.h>

#include "models/augment.h"
#include "models/scaling.h"
#include "worker/trainer/local.h"

struct plain {
    double *theta, *sum;  /* [dim] */
    float *at, *gradient; /* [dim] */
    float *rows;          /* one patient's, where they are made of bytes */
    float *view, *view_y; /* its augmented ones; NULL: none */
    struct ym_model_work *work;
    struct ym_optimizer *optimizer;
};

static void patient_gradient(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *t, size_t p,
                             uint64_t draw, struct plain *s)
{
    size_t first = (size_t)t->first_row[p], n = (size_t)t->first_row[p + 1] - first;
    const float *x = ym_table_rows(t, first, n, s->rows), *y = t->y + first * ym_model_targets(m);

    if (plan->augment.views > 0) {
        ym_augment_views(plan, x, y, n, draw, s->view, s->view_y);
        x = s->view;
        y = s->view_y;
        n *= plan->augment.views;
    }
    ym_model_patient_gradient(m, s->at, x, y, n, s->work, s->gradient);
}

static void add_gradients(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *t,
                          uint32_t round, uint32_t step, struct plain *s)
{
    for (size_t j = 0; j < m->dim; j++)
        s->at[j] = (float)s->theta[j];
    memset(s->sum, 0, m->dim * sizeof *s->sum);
    for (size_t p = 0; p < t->patients; p++) {
        patient_gradient(plan, m, t, p, ym_augment_draw(round, step, p), s);
        for (size_t j = 0; j < m->dim; j++)
            s->sum[j] += (double)s->gradient[j];
    }
}

static void descend(const struct ym_plan *plan, const struct ym_model *m, struct plain *s)
{
    for (size_t j = 0; j < m->dim; j++)
        s->sum[j] /= plan->nominal_patients;
    ym_optimizer_step(s->optimizer);
    ym_optimizer_move(s->optimizer, 0, m->dim, s->sum, s->theta);
}

static enum ym_code scaling_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *t,
                                  int64_t *update, struct ym_status *st)
{
    int64_t *sums = calloc(1 + 2 * ym_plan_scaled_columns(plan), sizeof *sums);
    enum ym_code code = YM_EXHAUSTED;

    if (sums == NULL)
        return ym_status_set(st, code, "no memory for sums over patients");
    for (size_t p = 0; p < t->patients; p++) {
        size_t first = (size_t)t->first_row[p];

        ym_scaling_add_patient(plan, t->x + first * t->columns, (size_t)t->first_row[p + 1] - first, sums);
    }
    code = ym_local_scaling_update(plan, m, sums, update, st);
    free(sums);
    return code;
}

static enum ym_code train(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                          const float *params, const double *correction, uint32_t round, int64_t *update,
                          struct ym_status *st)
{
    size_t views = plan->augment.views * ym_table_most_rows(data);
    struct plain s = {
        .theta = malloc(m->dim * sizeof *s.theta),
        .sum = malloc(m->dim * sizeof *s.sum),
        .at = malloc(m->dim * sizeof *s.at),
        .gradient = malloc(m->dim * sizeof *s.gradient),
        .rows = calloc(ym_table_scratch(data, ym_table_most_rows(data)) + 1, sizeof *s.rows),
        .view = calloc(views * data->columns + 1, sizeof *s.view),
        .view_y = calloc(views + 1, sizeof *s.view_y),
        .work = ym_model_work_new(m, ym_table_most_rows(data)),
        .optimizer = ym_optimizer_new(plan, m, params, round),
    };
    enum ym_code code = YM_OK;

    if (s.theta == NULL || s.sum == NULL || s.at == NULL || s.gradient == NULL || s.rows == NULL || s.view == NULL ||
        s.view_y == NULL || s.work == NULL || s.optimizer == NULL) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", m->dim);
        goto out;
    }
    if (correction)
        ym_optimizer_correct(s.optimizer, correction);
    for (size_t j = 0; j < m->dim; j++)
        s.theta[j] = (double)params[j];
    for (uint32_t i = 0; i < plan->steps_per_round; i++) {
        add_gradients(plan, m, data, round, i, &s);
        descend(plan, m, &s);
    }
    ym_local_difference(plan, m, s.optimizer, s.theta, params, update);
    memset(update + m->dim, 0, m->update_extra * sizeof *update);
out:
    free(s.theta);
    free(s.sum);
    free(s.at);
    free(s.gradient);
    free(s.rows);
    free(s.view);
    free(s.view_y);
    ym_model_work_free(s.work);
    ym_optimizer_free(s.optimizer);
    return code;
}

enum ym_code ym_plain_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, const double *extra, const double *correction, uint32_t round,
                            int64_t *update, struct ym_status *st)
{
    struct ym_table rows = *data;
    enum ym_code code;

    if (ym_plan_scales(plan, round))
        return scaling_round(plan, m, data, update, st);
    code = ym_local_standardised(plan, extra, data, &rows, st);
    if (code == YM_OK)
        code = train(plan, m, &rows, params, correction, round, update, st);
    ym_local_standardised_release(data, &rows);
    return code;
}

#include "worker/trainer/metric.h"

#include <stdlib.h>
#include <string.h>

#include "models/metric.h"
#include "models/scaling.h"
#include "privacy/clip.h"
#include "privacy/noise.h"

/* Those whom nothing was trained on, where the plan keeps some. */
static const struct ym_table *judges(const struct ym_table *data)
{
    return data->held ? data->held : data;
}

struct scratch {
    struct ym_model_work *work;
    float *score, *rows; /* of one patient */
    size_t scores, values;
};

/* Survival: what the model says of all time bins, whichever the patient was watched in. */
static size_t exit_cell(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data, size_t i,
                        const float *params, struct scratch *s)
{
    size_t bins = ym_plan_bins(plan);

    ym_metric_bin_rows(plan, data->x + data->first_row[i] * data->columns, s->rows);
    ym_model_predict(m, params, s->rows, bins, s->work, s->score);
    return ym_metric_exit_cell(plan, s->score, data->time[i], data->event[i]);
}

/* One patient at a time: no patient's score is touched by another's rows. */
static void count_patients(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                           const float *params, struct scratch *s, int64_t *out)
{
    for (size_t i = 0; i < data->patients; i++) {
        uint64_t first = data->first_row[i], rows = data->first_row[i + 1] - first;

        if (data->time) {
            out[exit_cell(plan, m, data, i, params, s)] += YM_CLIP_UNITS;
            continue;
        }
        ym_model_predict(m, params, ym_table_rows(data, first, rows, s->rows), rows, s->work, s->score);
        out[ym_metric_cell(plan, s->score, data->y + first, rows)] += YM_CLIP_UNITS;
    }
}

static int64_t on_lattice(const struct ym_plan *plan, int64_t units)
{
    int64_t high = ((int64_t)1 << (plan->update_width_bits - 1)) - 1;
    int64_t step = YM_CLIP_UNITS >> YM_METRIC_SCALE_BITS, v = (units + step / 2) >> (24 - YM_METRIC_SCALE_BITS);

    return v > high ? high : v < -high - 1 ? -high - 1 : v;
}

static bool scratch_init(struct scratch *s, const struct ym_plan *plan, const struct ym_model *m,
                         const struct ym_table *data)
{
    size_t rows = data->time ? ym_plan_bins(plan) : ym_table_most_rows(data);

    s->scores = rows * ym_plan_outputs(plan);
    s->values = (data->time ? rows * data->columns : ym_table_scratch(data, rows)) + 1;
    s->work = ym_model_work_new(m, rows);
    s->score = calloc(s->scores, sizeof *s->score);
    s->rows = calloc(s->values, sizeof *s->rows);
    return s->work && s->score && s->rows;
}

static void scratch_release(struct scratch *s)
{
    if (s->score)
        ym_wipe(s->score, s->scores * sizeof *s->score);
    if (s->rows)
        ym_wipe(s->rows, s->values * sizeof *s->rows);
    free(s->score);
    free(s->rows);
    ym_model_work_free(s->work);
}

enum ym_code ym_local_metrics(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                              const float *params, const double *extra, uint32_t round, ym_open_rng_fn open_rng,
                              void *ctx, int64_t *out, struct ym_status *st)
{
    size_t dim = ym_plan_metric_dim(plan);
    struct scratch s = {0};
    struct ym_rng *noise = NULL;
    float *theta;
    enum ym_code code;

    memset(out, 0, dim * sizeof *out);
    if (!ym_plan_metric_due(plan, round))
        return YM_OK;
    theta = calloc(m->dim, sizeof *theta);
    code = scratch_init(&s, plan, m, judges(data)) && theta ? open_rng(ctx, &noise, st)
                                                            : ym_status_set(st, YM_EXHAUSTED, "no memory for metrics");
    if (code != YM_OK)
        goto out;
    memcpy(theta, params, m->dim * sizeof *theta);
    if (ym_plan_scaled_columns(plan) > 0) /* rows are counted as they are */
        ym_scaling_fold(plan, m, extra, theta);
    count_patients(plan, m, judges(data), theta, &s, out);
    ym_noise_add(out, dim, plan->metric_sigma_units, noise);
    for (size_t i = 0; i < dim; i++)
        out[i] = on_lattice(plan, out[i]);
out:
    if (noise)
        ym_rng_close(&noise);
    scratch_release(&s);
    free(theta);
    return code;
}

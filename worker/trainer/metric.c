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

static size_t most_rows(const struct ym_table *data)
{
    uint64_t most = 1;

    for (size_t i = 0; i < data->patients; i++) {
        uint64_t rows = data->first_row[i + 1] - data->first_row[i];

        most = rows > most ? rows : most;
    }
    return (size_t)most;
}

/* One patient at a time: no patient's score is touched by another's rows. */
static void count_patients(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                           const float *params, struct ym_model_work *work, float *score, int64_t *out)
{
    for (size_t i = 0; i < data->patients; i++) {
        uint64_t first = data->first_row[i], rows = data->first_row[i + 1] - first;

        ym_model_predict(m, params, data->x + first * data->columns, rows, work, score);
        out[ym_metric_cell(plan, score, data->y + first, rows)] += YM_CLIP_UNITS;
    }
}

static int64_t on_lattice(const struct ym_plan *plan, int64_t units)
{
    int64_t high = ((int64_t)1 << (plan->update_width_bits - 1)) - 1;
    int64_t step = YM_CLIP_UNITS >> YM_METRIC_SCALE_BITS, v = (units + step / 2) >> (24 - YM_METRIC_SCALE_BITS);

    return v > high ? high : v < -high - 1 ? -high - 1 : v;
}

enum ym_code ym_local_metrics(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                              const float *params, const double *extra, uint32_t round, ym_open_rng_fn open_rng,
                              void *ctx, int64_t *out, struct ym_status *st)
{
    size_t dim = ym_plan_metric_dim(plan), rows = most_rows(judges(data)), scores = rows * ym_plan_outputs(plan);
    struct ym_model_work *work;
    struct ym_rng *noise = NULL;
    float *score, *theta;
    enum ym_code code;

    memset(out, 0, dim * sizeof *out);
    if (!ym_plan_metric_due(plan, round))
        return YM_OK;
    work = ym_model_work_new(m, rows);
    score = calloc(scores, sizeof *score);
    theta = calloc(m->dim, sizeof *theta);
    code =
        work && score && theta ? open_rng(ctx, &noise, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for metrics");
    if (code != YM_OK)
        goto out;
    memcpy(theta, params, m->dim * sizeof *theta);
    if (ym_plan_scaled_columns(plan) > 0) /* rows are counted as they are */
        ym_scaling_fold(plan, m, extra, theta);
    count_patients(plan, m, judges(data), theta, work, score, out);
    ym_noise_add(out, dim, plan->metric_sigma_units, noise);
    for (size_t i = 0; i < dim; i++)
        out[i] = on_lattice(plan, out[i]);
out:
    if (noise)
        ym_rng_close(&noise);
    if (score)
        ym_wipe(score, scores * sizeof *score);
    free(score);
    free(theta);
    ym_model_work_free(work);
    return code;
}

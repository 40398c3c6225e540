#include <stdlib.h>
#include <string.h>

#include "models/scaling.h"
#include "privacy/noise.h"
#include "worker/trainer/local.h"

enum ym_code ym_local_standardised(const struct ym_plan *plan, const double *extra, const struct ym_table *data,
                                   struct ym_table *out, struct ym_status *st)
{
    *out = *data;
    if (ym_plan_scaled_columns(plan) == 0)
        return YM_OK;
    out->x = malloc((data->rows * data->columns + 1) * sizeof *out->x);
    if (!out->x)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for standardised rows");
    memcpy(out->x, data->x, data->rows * data->columns * sizeof *out->x);
    ym_scaling_apply(plan, extra, data->rows, out->x);
    return YM_OK;
}

void ym_local_standardised_release(const struct ym_table *data, struct ym_table *t)
{
    if (t->x == data->x)
        return;
    if (t->x)
        ym_wipe(t->x, t->rows * t->columns * sizeof *t->x);
    free(t->x);
}

/* As in a step: the generator is open before a patient is touched, and nothing
 * can fail between the sums and their noise. */
static void noisy_sums(const struct ym_plan *plan, const struct ym_table *data, struct ym_rng *noise, size_t count,
                       int64_t *sums)
{
    for (size_t i = 0; i < data->patients; i++) {
        uint64_t first = data->first_row[i];

        ym_scaling_add_patient(plan, data->x + first * data->columns, data->first_row[i + 1] - first, sums);
    }
    ym_noise_add(sums, count, plan->scaling_sigma_units, noise);
}

enum ym_code ym_local_scaling_update(const struct ym_plan *plan, const struct ym_model *m, const int64_t *sums,
                                     int64_t *update, struct ym_status *st)
{
    size_t count = 1 + 2 * ym_plan_scaled_columns(plan);
    double *share = malloc(count * sizeof *share), unit = 1.0 / ym_scaling_units(plan) / plan->nominal_patients;

    if (!share)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for sums over patients");
    for (size_t i = 0; i < count; i++)
        share[i] = (double)sums[i] * unit;
    memset(update, 0, ym_model_update_dim(m) * sizeof *update);
    ym_local_quantize(plan, count, share, NULL, update + m->averaged);
    free(share);
    return YM_OK;
}

enum ym_code ym_local_scaling_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                                    ym_open_rng_fn open_rng, void *ctx, int64_t *update, struct ym_status *st)
{
    size_t count = 1 + 2 * ym_plan_scaled_columns(plan);
    int64_t *sums = calloc(count, sizeof *sums);
    struct ym_rng *noise = NULL;
    enum ym_code code =
        sums ? open_rng(ctx, &noise, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for sums over patients");

    if (code == YM_OK) {
        noisy_sums(plan, data, noise, count, sums);
        ym_rng_close(&noise);
        code = ym_local_scaling_update(plan, m, sums, update, st);
    }
    free(sums);
    return code;
}

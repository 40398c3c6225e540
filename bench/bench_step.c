/* One patient through a step (gradient, clip, sum) against the products of its
 * gradient alone, in one run: exit 1 when the rest costs more than LIMIT times
 * the products. A patient of 4 rows, an MLP of 200-128-64-2. The bounded route is in
 * bench_models. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "models/model.h"
#include "privacy/clip.h"
#include "tensor/mat.h"

#define ROWS 4
#define PATIENTS 2000
#define LIMIT 8.0

static const struct ym_model model = {
    .loss = YM_LOSS_SOFTMAX, .layer_count = 3, .width = {200, 128, 64, 2}, .dim = 201 * 128 + 129 * 64 + 65 * 2};

static const float labels[ROWS] = {0, 1, 0, 1};

/* Forward, weight gradient and the delta below, as the model makes them, rows at a
 * time; microseconds for each group of rows. */
static double products_us(float *a, float *b, float *c, size_t rows, size_t groups)
{
    int64_t start = ym_clock_mono_ms();

    for (size_t p = 0; p < groups; p++) {
        for (size_t l = 0; l < model.layer_count; l++) {
            size_t in = model.width[l], out = model.width[l + 1];
            struct ym_mat_view x = {a, rows, in}, w = {b, out, in}, d = {a, rows, out};

            ym_mat_mul(x, false, w, true, 0, (struct ym_mat){c, rows, out});
            ym_mat_mul(d, true, x, false, 0, (struct ym_mat){c, out, in});
            if (l > 0)
                ym_mat_mul(d, false, w, false, 0, (struct ym_mat){c, rows, in});
        }
    }
    return (double)(ym_clock_mono_ms() - start) * 1e3 / (double)groups;
}

static double step_us(float *params, float *x, float *g, int32_t *q, int64_t *sum, struct ym_model_work *work,
                      size_t rows)
{
    int64_t start = ym_clock_mono_ms();

    for (size_t p = 0; p < PATIENTS; p++) {
        ym_model_patient_gradient(&model, params, x, labels, rows, work, g);
        ym_clip_patient(g, model.dim, 1, q);
        ym_clip_add(sum, q, model.dim);
    }
    return (double)(ym_clock_mono_ms() - start) * 1e3 / PATIENTS;
}

int main(void)
{
    float *params = calloc(model.dim, sizeof *params), *x = calloc(256 * 200, sizeof *x);
    float *c = calloc(256 * 200, sizeof *c);
    float *g = calloc(model.dim, sizeof *g);
    int32_t *q = calloc(model.dim, sizeof *q);
    int64_t *sum = calloc(model.dim, sizeof *sum);
    struct ym_model_work *work = ym_model_work_new(&model, ROWS);
    double products, step;

    if (!params || !c || !x || !g || !q || !sum || !work)
        return 3;
    ym_model_init_params(&model, 1, params);
    for (size_t i = 0; i < 256 * 200; i++)
        x[i] = (float)(i % 17) / 17 - 0.5f;
    products = products_us(x, params, g, ROWS, PATIENTS);
    step = step_us(params, x, g, q, sum, work, ROWS);
    printf("products %.1f us, whole patient %.1f us, %zu parameters\n", products, step, model.dim);
    printf("bench_step ratio %.2f limit %.2f\n", step / products, LIMIT);
    ym_model_work_free(work);
    free(c);
    free(params);
    free(x);
    free(g);
    free(q);
    free(sum);
    return step / products > LIMIT;
}

/* One patient through a step (gradient, clip, sum) against the products of its
 * gradient alone, in one run: exit 1 when the rest costs more than LIMIT times
 * the products. A patient of 4 rows, an MLP of 200-128-64-2. Then the bounded route,
 * patients of one row and of four, against the integer route and against sgemm on
 * the same batches: exit 1 when it costs more than BATCH_LIMIT times sgemm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "models/batch.h"
#include "models/model.h"
#include "privacy/bounded.h"
#include "privacy/clip.h"
#include "tensor/mat.h"

#define ROWS 4
#define PATIENTS 2000
#define BATCHED 20000
#define LIMIT 8.0
#define BATCH_LIMIT 6.0

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

static void finish_batch(struct ym_batch *b, double unit, double radius, int64_t *fine)
{
    struct ym_ghost g;

    ym_batch_pass(b);
    for (size_t i = 0; i < ym_batch_patients(b); i++) {
        ym_batch_ghost(b, i, unit, &g.norm, &g.reach, &g.spill);
        ym_batch_scale(b, i, unit, ym_bounded_factor(&g, radius));
    }
    ym_batch_add(b, 0, ym_batch_patients(b), fine);
    ym_batch_clear(b);
}

static double batched_us(float *params, float *x, int64_t *fine, struct ym_batch *b, size_t rows)
{
    double radius = ym_bounded_radius(YM_CLIP_UNITS, model.dim);
    int64_t start = ym_clock_mono_ms();

    ym_batch_weights(b, params);
    for (size_t p = 0; p < BATCHED; p++) {
        if (!ym_batch_put(b, x, labels, rows)) {
            finish_batch(b, 0x1p44, radius, fine);
            ym_batch_put(b, x, labels, rows);
        }
    }
    finish_batch(b, 0x1p44, radius, fine);
    return (double)(ym_clock_mono_ms() - start) * 1e3 / BATCHED;
}

static int compare_routes(float *params, float *x, float *g, int32_t *q, int64_t *sum, struct ym_model_work *work,
                          float *c)
{
    static const size_t rows[] = {1, ROWS};
    struct ym_batch *b = ym_batch_new(&model, ym_batch_rows_for(&model));
    int slow = !b;

    for (size_t i = 0; b && i < 2; i++) {
        size_t most = ym_batch_rows_for(&model);
        double sgemm = INFINITY, integer = INFINITY, bounded = INFINITY;

        for (int t = 0; t < 5; t++) { /* in turns, the least of five: other programs pause all three alike */
            sgemm = fmin(sgemm, products_us(x, params, c, most, 200) / (double)most * (double)rows[i]);
            integer = fmin(integer, step_us(params, x, g, q, sum, work, rows[i]));
            bounded = fmin(bounded, batched_us(params, x, sum, b, rows[i]));
        }

        printf("%zu rows a patient: integer %.2f us, bounded %.2f us, sgemm alone %.2f us; %.1f times as fast\n",
               rows[i], integer, bounded, sgemm, integer / bounded);
        printf("bench_step bounded, %zu rows, ratio %.2f limit %.2f\n", rows[i], bounded / sgemm, BATCH_LIMIT);
        slow |= bounded / sgemm > BATCH_LIMIT;
    }
    ym_batch_free(b);
    return slow;
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
    int slow;

    if (!params || !c || !x || !g || !q || !sum || !work)
        return 3;
    ym_model_init_params(&model, 1, params);
    for (size_t i = 0; i < 256 * 200; i++)
        x[i] = (float)(i % 17) / 17 - 0.5f;
    products = products_us(x, params, g, ROWS, PATIENTS);
    step = step_us(params, x, g, q, sum, work, ROWS);
    printf("products %.1f us, whole patient %.1f us, %zu parameters\n", products, step, model.dim);
    printf("bench_step ratio %.2f limit %.2f\n", step / products, LIMIT);
    slow = compare_routes(params, x, g, q, sum, work, c);
    ym_model_work_free(work);
    free(c);
    free(params);
    free(x);
    free(g);
    free(q);
    free(sum);
    return slow || step / products > LIMIT;
}

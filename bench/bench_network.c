/* One workload of bench/models_peers.py: the tanh network of Tramèr and Boneh 2021 (26,010
 * parameters, images of 28 x 28), a hospital's rounds of noisy steps as the trainer makes
 * them (ym_local_round: real Poisson sampling, exact noise), and the float32 products of
 * its layers for as many images alone. Prints one line of key=value:
 *   step_us, step_cpu_us, products_us  of one step, the least of the turns; the first by the wall's clock
 *   threads                            that shared its patients (YUMEN_THREADS)
 * bench_network FILE ROWS BATCH STEPS TURNS
 *   FILE: x [ROWS][784], y [ROWS], float32, labels 0 .. 9; "-": drawn */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "bench/cpu_time.h"
#include "tensor/mat.h"
#include "tensor/restart.h"
#include "tests/support/plan.h"
#include "worker/trainer/local.h"

#define COLUMNS 784

static const struct ym_layer layers[] = {
    {.kind = YM_LAYER_CONV2D, .units = 16, .size = 8, .stride = 2, .padding = 3},
    {.kind = YM_LAYER_TANH},
    {.kind = YM_LAYER_MAX_POOL, .size = 2, .stride = 1},
    {.kind = YM_LAYER_CONV2D, .units = 32, .size = 4, .stride = 2},
    {.kind = YM_LAYER_TANH},
    {.kind = YM_LAYER_MAX_POOL, .size = 2, .stride = 1},
    {.kind = YM_LAYER_DENSE, .units = 32},
    {.kind = YM_LAYER_TANH},
    {.kind = YM_LAYER_DENSE, .units = 10},
};

static enum ym_code open_rng(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

static int read_table(const char *path, struct ym_table *t)
{
    FILE *f = strcmp(path, "-") == 0 ? NULL : fopen(path, "rb");
    size_t values = t->rows * COLUMNS;

    t->columns = COLUMNS;
    t->patients = t->rows;
    t->x = malloc(values * sizeof *t->x);
    t->y = malloc(t->rows * sizeof *t->y);
    t->first_row = malloc((t->rows + 1) * sizeof *t->first_row);
    if (!t->x || !t->y || !t->first_row)
        return 1;
    for (size_t i = 0; i < values; i++)
        t->x[i] = (float)(i * 2654435761u % 509) / 254 - 1;
    for (size_t i = 0; i < t->rows; i++)
        t->y[i] = (float)(i % 10);
    for (size_t i = 0; i <= t->rows; i++)
        t->first_row[i] = i;
    if (f && (fread(t->x, sizeof *t->x, values, f) != values || fread(t->y, sizeof *t->y, t->rows, f) != t->rows))
        return 1;
    return f ? fclose(f) : 0;
}

static struct ym_plan *make_plan(const struct ym_table *t, double batch)
{
    struct ym_plan *p = plan_make(YM_FAMILY_NETWORK, 1, 10);

    p->input[0].kind = YM_VAR_IMAGE;
    p->input[0].height = p->input[0].width = 28;
    p->input[0].channels = 1;
    ym_network_begin(&p->network, (struct ym_extent){28, 28, 1});
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (ym_network_add(&p->network, layers[i]) != YM_LAYER_FITS)
            exit(3);
    p->nominal_patients = (uint32_t)t->patients;
    p->sampling_k = (uint64_t)ldexp(batch / (double)t->patients, 64);
    p->clip_norm = 0.1;
    p->learning_rate = 0.01;
    return p;
}

/* Forward, weight gradient and, but for the first layer, the gradient below: image by image. */
static double products_us(const struct ym_model *m, size_t images)
{
    float *a = calloc((size_t)1 << 16, sizeof *a), *b = calloc(m->dim, sizeof *b),
          *c = calloc((size_t)1 << 16, sizeof *c);
    double start = ym_clock_us(CLOCK_THREAD_CPUTIME_ID);

    if (!a || !b || !c)
        exit(3);
    for (size_t i = 0; i < images; i++) {
        for (const struct ym_layer *l = m->network.layer; l < m->network.layer + m->network.count; l++) {
            size_t places = (size_t)l->out.height * l->out.width, in = l->weights / (l->units ? l->units : 1);
            struct ym_mat_view x = {a, places, in}, w = {b, l->units, in}, d = {a, places, l->units};

            if (l->weights == 0)
                continue;
            ym_mat_mul(x, false, w, true, 0, (struct ym_mat){c, places, l->units});
            ym_mat_mul(d, true, x, false, 0, (struct ym_mat){c, l->units, in});
            if (l > m->network.layer)
                ym_mat_mul(d, false, w, false, 0, (struct ym_mat){c, places, in});
        }
    }
    start = ym_clock_us(CLOCK_THREAD_CPUTIME_ID) - start;
    free(a);
    free(b);
    free(c);
    return start;
}

int main(int argc, char **argv)
{
    double wall = INFINITY, cpu = INFINITY, products = INFINITY;
    struct ym_table t = {0};
    struct ym_plan *plan;
    struct ym_model m;
    float *params;
    int64_t *update;

    ym_blas_restart(argv);
    if (argc != 6)
        return 2;
    t.rows = strtoul(argv[2], NULL, 10);
    if (read_table(argv[1], &t))
        return 3;
    plan = make_plan(&t, strtod(argv[3], NULL));
    plan->steps_per_round = (uint32_t)strtoul(argv[4], NULL, 10);
    if (ym_model_from_plan(plan, &m, NULL) != YM_OK)
        return 3;
    params = malloc(m.dim * sizeof *params);
    update = malloc(ym_model_update_dim(&m) * sizeof *update);
    if (!params || !update)
        return 3;
    ym_model_init_params(&m, 1, params);
    for (unsigned long turn = strtoul(argv[5], NULL, 10); turn > 0; turn--) {
        double w = ym_clock_us(CLOCK_MONOTONIC), c = ym_clock_us(CLOCK_PROCESS_CPUTIME_ID);

        if (ym_local_round(plan, &m, &t, params, NULL, NULL, 1, open_rng, NULL, update, NULL) != YM_OK)
            return 3;
        wall = fmin(wall, (ym_clock_us(CLOCK_MONOTONIC) - w) / plan->steps_per_round);
        cpu = fmin(cpu, (ym_clock_us(CLOCK_PROCESS_CPUTIME_ID) - c) / plan->steps_per_round);
        products = fmin(products, products_us(&m, strtoul(argv[3], NULL, 10)));
    }
    printf("step_us=%.2f step_cpu_us=%.2f products_us=%.2f params=%zu threads=%zu\n", wall, cpu, products, m.dim,
           ym_pool_cores());
    return 0;
}

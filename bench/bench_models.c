/* One workload of bench/models_peers.py: a hospital's rounds of noisy steps as the trainer
 * makes them (ym_local_round: real Poisson sampling, exact noise), and the float32 products
 * of the same model on the same batch alone. Prints one line of key=value:
 *   step_us, step_cpu_us, products_us  of one step, the least of the turns; the first by the wall's clock
 *   peak_kb                            resident memory above data and parameters
 * bench_models FILE ROWS COLUMNS WIDTHS OUTPUTS BATCH ROUTE STEPS TURNS
 *   FILE: x [ROWS][COLUMNS], y [ROWS], float32; WIDTHS: hidden, "64,32" or "-" */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cpu_time.h"
#include "tensor/mat.h"
#include "tensor/restart.h"
#include "tests/support/plan.h"
#include "worker/trainer/local.h"

static enum ym_code open_rng(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

static int read_table(const char *path, struct ym_table *t)
{
    FILE *f = fopen(path, "rb");
    int bad = !f;

    t->patients = t->rows;
    t->x = malloc(t->rows * t->columns * sizeof *t->x);
    t->y = malloc(t->rows * sizeof *t->y);
    t->first_row = malloc((t->rows + 1) * sizeof *t->first_row);
    bad |= !t->x || !t->y || !t->first_row;
    bad = bad || fread(t->x, sizeof *t->x, t->rows * t->columns, f) != t->rows * t->columns;
    bad = bad || fread(t->y, sizeof *t->y, t->rows, f) != t->rows;
    for (size_t i = 0; !bad && i <= t->rows; i++)
        t->first_row[i] = i;
    if (f)
        fclose(f);
    return bad;
}

static struct ym_plan *make_plan(const struct ym_table *t, const char *widths, size_t outputs, double batch,
                                 const char *route)
{
    struct ym_plan *p = plan_make(widths[0] == '-' ? YM_FAMILY_LOGISTIC : YM_FAMILY_MLP, t->columns, outputs);

    for (char *at = (char *)widths; *at && *at != '-'; at += *at == ',')
        p->hidden[p->hidden_count++] = (uint32_t)strtoul(at, &at, 10);
    p->activation = YM_ACT_RELU;
    p->route = strcmp(route, "bounded") == 0 ? YM_ROUTE_BOUNDED : YM_ROUTE_INTEGER;
    p->nominal_patients = (uint32_t)t->patients;
    p->sampling_k = (uint64_t)ldexp(batch / (double)t->patients, 64);
    p->learning_rate = 0.01;
    return p;
}

static double products_us(const struct ym_model *m, size_t rows)
{
    size_t widest = 0;
    double start;
    float *a, *b, *c;

    for (size_t l = 0; l <= m->layer_count; l++)
        widest = m->width[l] > widest ? m->width[l] : widest;
    a = calloc(rows * widest, sizeof *a);
    b = calloc(m->dim, sizeof *b);
    c = calloc(rows * widest + m->dim, sizeof *c);
    if (!a || !b || !c)
        exit(3);
    start = ym_clock_us(CLOCK_THREAD_CPUTIME_ID);
    for (size_t l = 0; l < m->layer_count; l++) {
        size_t in = m->width[l], out = m->width[l + 1];
        struct ym_mat_view x = {a, rows, in}, w = {b, out, in}, d = {a, rows, out};

        ym_mat_mul(x, false, w, true, 0, (struct ym_mat){c, rows, out});
        ym_mat_mul(d, true, x, false, 0, (struct ym_mat){c, out, in});
        if (l > 0)
            ym_mat_mul(d, false, w, false, 0, (struct ym_mat){c, rows, in});
    }
    start = ym_clock_us(CLOCK_THREAD_CPUTIME_ID) - start;
    free(a);
    free(b);
    free(c);
    return start;
}

static long peak_kb(void) /* since exec, unlike getrusage's */
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

int main(int argc, char **argv)
{
    double wall = INFINITY, cpu = INFINITY, products = INFINITY;
    struct ym_table t = {0};
    struct ym_status st = {0};
    struct ym_plan *plan;
    struct ym_model m;
    float *params;
    int64_t *update;
    long before, after;

    ym_blas_restart(argv);
    if (argc != 10)
        return 2;
    t.rows = strtoul(argv[2], NULL, 10);
    t.columns = strtoul(argv[3], NULL, 10);
    if (read_table(argv[1], &t))
        return 3;
    plan = make_plan(&t, argv[4], strtoul(argv[5], NULL, 10), strtod(argv[6], NULL), argv[7]);
    plan->steps_per_round = (uint32_t)strtoul(argv[8], NULL, 10);
    if (ym_model_from_plan(plan, &m, &st) != YM_OK)
        return 3;
    params = malloc(m.dim * sizeof *params);
    update = malloc(ym_model_update_dim(&m) * sizeof *update);
    ym_model_init_params(&m, 1, params);
    before = peak_kb();
    for (unsigned long turn = strtoul(argv[9], NULL, 10); turn > 0; turn--) {
        double w = ym_clock_us(CLOCK_MONOTONIC), c = ym_clock_us(CLOCK_PROCESS_CPUTIME_ID);

        if (ym_local_round(plan, &m, &t, params, NULL, NULL, 1, open_rng, NULL, update, &st) != YM_OK)
            return 3;
        wall = fmin(wall, (ym_clock_us(CLOCK_MONOTONIC) - w) / plan->steps_per_round);
        cpu = fmin(cpu, (ym_clock_us(CLOCK_PROCESS_CPUTIME_ID) - c) / plan->steps_per_round);
    }
    after = peak_kb();
    for (int i = 0; i < 20; i++)
        products = fmin(products, products_us(&m, strtoul(argv[6], NULL, 10)));
    printf("step_us=%.2f step_cpu_us=%.2f products_us=%.2f peak_kb=%ld params=%zu\n", wall, cpu, products,
           after - before, m.dim);
    return 0;
}

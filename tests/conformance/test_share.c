/* Patients shared among threads: the released sum is the same to the bit whatever
 * their number, and every patient is in it once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng_internal.h"
#include "privacy/clip.h"
#include "tests/support/plan.h"
#include "worker/trainer/local.h"

#define PATIENTS 500
#define COLUMNS 40

struct cohort {
    struct ym_plan *plan;
    struct ym_model m;
    struct ym_table table;
    float *params;
};

static void set_up(struct cohort *c)
{
    uint64_t draws = 3;

    c->plan = plan_make(YM_FAMILY_MLP, COLUMNS, 3);
    c->plan->hidden_count = 1;
    c->plan->hidden[0] = 64;
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    c->table = (struct ym_table){.columns = COLUMNS, .patients = PATIENTS};
    c->table.first_row = calloc(PATIENTS + 1, sizeof(uint64_t));
    for (size_t i = 0; i < PATIENTS; i++)
        c->table.first_row[i + 1] = c->table.first_row[i] + 1 + i % 3;
    c->table.rows = c->table.first_row[PATIENTS];
    c->table.x = calloc(c->table.rows * COLUMNS, sizeof(float));
    c->table.y = calloc(c->table.rows, sizeof(float));
    for (size_t i = 0; i < c->table.rows * COLUMNS; i++) {
        draws = draws * 6364136223846793005u + 1442695040888963407u;
        c->table.x[i] = (float)(draws >> 40) * 0x1p-23f - 1;
    }
    for (size_t i = 0; i < c->table.rows; i++)
        c->table.y[i] = (float)(i % 3);
    c->params = calloc(c->m.dim, sizeof *c->params);
    ym_model_init_params(&c->m, 1, c->params);
}

static void tear_down(struct cohort *c)
{
    plan_drop(c->plan);
    free(c->table.first_row);
    free(c->table.x);
    free(c->table.y);
    free(c->params);
}

static enum ym_code open_seeded(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    uint8_t key[32] = {0};

    key[0] = (uint8_t)++ * (int *)ctx;
    return ym_rng_open_keyed(key, out, st);
}

/* sums [2][dim + 1]: two steps, that threads and scratch live through */
static int64_t *steps_with(struct cohort *c, const char *threads)
{
    size_t dim = ym_local_step_dim(c->plan, &c->m);
    int64_t *sums = calloc(2 * dim, sizeof *sums);
    double extra = 0;
    int opened = 0;

    setenv("YUMEN_THREADS", threads, 1);
    struct ym_local_work *w = ym_local_work_new(c->plan, &c->m, &c->table);

    assert_non_null(w);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ym_local_noisy_sum(c->plan, &c->m, &c->table, c->params, &extra, open_seeded, &opened, w,
                                            sums + i * dim, NULL),
                         YM_OK);
    ym_local_work_free(w);
    return sums;
}

static void number_of_threads_changes_no_bit(void **state)
{
    static const char *const threads[] = {"2", "3", "7"};
    static const uint32_t bits[] = {0, 1677721};
    struct cohort c;

    (void)state;
    set_up(&c);
    for (size_t b = 0; b < 2; b++) {
        c.plan->clip_bit_units = bits[b];
        size_t bytes = 2 * ym_local_step_dim(c.plan, &c.m) * sizeof(int64_t);
        int64_t *one = steps_with(&c, "1");

        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            int64_t *many = steps_with(&c, threads[i]);

            assert_memory_equal(one, many, bytes);
            free(many);
        }
        assert_memory_not_equal(one, (char *)one + bytes / 2, bytes / 2);
        free(one);
    }
    tear_down(&c);
}

/* Everybody sampled, noise of one unit: 30 standard deviations are never seen. */
static void every_patient_is_in_it_once(void **state)
{
    struct cohort c;
    int64_t *sum;

    (void)state;
    set_up(&c);
    c.plan->sampling_k = UINT64_MAX;
    c.plan->sigma_units = 1;
    sum = steps_with(&c, "3");
    struct ym_model_work *w = ym_model_work_new(&c.m, 3);
    float *g = calloc(c.m.dim, sizeof *g);
    int32_t *q = calloc(c.m.dim, sizeof *q);
    int64_t *plain = calloc(c.m.dim, sizeof *plain);

    for (size_t i = 0; i < PATIENTS; i++) {
        uint64_t row = c.table.first_row[i];

        ym_model_patient_gradient(&c.m, c.params, c.table.x + row * COLUMNS, c.table.y + row, 1 + i % 3, w, g);
        ym_clip_patient(g, c.m.dim, c.plan->clip_norm, q);
        for (size_t k = 0; k < c.m.dim; k++)
            plain[k] += q[k];
    }
    for (size_t k = 0; k < c.m.dim; k++)
        assert_in_range(plain[k] - sum[k] + 30, 0, 60);
    ym_model_work_free(w);
    free(g);
    free(q);
    free(plain);
    free(sum);
    tear_down(&c);
}

static void mark(void *ctx, size_t i)
{
    ((int *)ctx)[i]++;
}

static void pool_runs_each_thread_once(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 5; width += 2) {
        struct ym_pool *p = ym_pool_new(width);
        int seen[6] = {0};

        assert_non_null(p);
        for (int run = 1; run <= 200; run++) {
            ym_pool_run(p, mark, seen);
            for (size_t i = 0; i < 6; i++)
                assert_int_equal(seen[i], i < width ? run : 0);
        }
        ym_pool_free(p);
    }
    ym_pool_free(NULL);
}

static void environment_has_the_last_word(void **state)
{
    (void)state;
    setenv("YUMEN_THREADS", "5", 1);
    assert_int_equal(ym_pool_cores(), 5);
    unsetenv("YUMEN_THREADS");
    size_t cores = ym_pool_cores();

    assert_in_range(cores, 1, YM_POOL_MOST);
    setenv("YUMEN_THREADS", "65", 1);
    assert_int_equal(ym_pool_cores(), cores);
    setenv("YUMEN_THREADS", "none", 1);
    assert_int_equal(ym_pool_cores(), cores);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_of_threads_changes_no_bit),
        cmocka_unit_test(every_patient_is_in_it_once),
        cmocka_unit_test(pool_runs_each_thread_once),
        cmocka_unit_test(environment_has_the_last_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

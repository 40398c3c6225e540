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

static void set_up_hidden(struct cohort *c, uint32_t hidden)
{
    uint64_t draws = 3;

    c->plan = plan_make(YM_FAMILY_MLP, COLUMNS, 3);
    c->plan->hidden_count = 1;
    c->plan->hidden[0] = hidden;
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

static void set_up(struct cohort *c)
{
    set_up_hidden(c, 64);
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

static size_t alike(const int64_t *a, const int64_t *b, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += a[i] == b[i];
    return count;
}

/* Three parts, each by a generator of its own. Noise of 2^40 hides everybody; of 2^19 coordinates one is 0 or that of
 * another part with probability below 2^-20. */
static void each_part_of_a_long_sum_has_noise_of_its_own(void **state)
{
    enum { PART = 65536 };
    struct cohort c;
    int64_t *one, *many, *none = calloc(4 * PART, sizeof *none);

    (void)state;
    set_up_hidden(&c, 3200);
    c.plan->sampling_k = UINT64_MAX / 100;
    c.plan->sigma_units = UINT64_C(1) << 40;
    size_t dim = ym_local_step_dim(c.plan, &c.m);

    assert_in_range(dim, 2 * PART + 1, 3 * PART - 1);
    one = steps_with(&c, "1");
    many = steps_with(&c, "2");
    assert_memory_equal(one, many, 2 * dim * sizeof *one);
    assert_int_equal(alike(one, none, dim), 0);
    assert_int_equal(alike(one, one + PART, PART), 0);
    assert_int_equal(alike(one, one + 2 * PART, dim - 2 * PART), 0);
    assert_int_equal(alike(one, one + dim, dim), 0);
    free(one);
    free(many);
    free(none);
    tear_down(&c);
}

/* The optimiser takes blocks as they get their noise; the round is that of whole sums, one after the other. */
static void round_in_blocks_is_the_round_of_whole_sums(void **state)
{
    struct cohort c;
    double extra = 0, now = 0;
    int opened = 0;

    (void)state;
    set_up_hidden(&c, 3200);
    c.plan->sampling_k = UINT64_MAX / 100;
    c.plan->steps_per_round = 2;
    c.plan->momentum = 0.5;
    c.plan->clip_lr = 0.2;
    c.plan->clip_quantile = 0.5;
    c.plan->clip_bit_units = 1677721;
    assert_int_equal(ym_model_from_plan(c.plan, &c.m, NULL), YM_OK);
    struct ym_optimizer *o = ym_optimizer_new(c.plan, &c.m, c.params, 1);
    double *theta = calloc(c.m.dim, sizeof *theta);
    float *at = calloc(c.m.dim, sizeof *at);
    int64_t *whole = calloc(ym_model_update_dim(&c.m), sizeof *whole),
            *blocks = calloc(ym_model_update_dim(&c.m), sizeof *blocks);
    int64_t *sum = calloc(ym_local_step_dim(c.plan, &c.m), sizeof *sum);

    setenv("YUMEN_THREADS", "2", 1);
    assert_int_equal(
        ym_local_round(c.plan, &c.m, &c.table, c.params, &extra, NULL, 1, open_seeded, &opened, blocks, NULL), YM_OK);
    struct ym_local_work *w = ym_local_work_new(c.plan, &c.m, &c.table);

    opened = 0;
    for (size_t i = 0; i < c.m.dim; i++)
        theta[i] = c.params[i];
    for (int step = 0; step < 2; step++) {
        for (size_t i = 0; i < c.m.dim; i++)
            at[i] = (float)theta[i];
        assert_int_equal(ym_local_noisy_sum(c.plan, &c.m, &c.table, at, &now, open_seeded, &opened, w, sum, NULL),
                         YM_OK);
        ym_local_apply(c.plan, &c.m, o, sum, theta, &now);
    }
    ym_local_quantize(c.plan, c.m.dim, theta, c.params, whole);
    assert_memory_equal(whole, blocks, c.m.dim * sizeof *whole);
    assert_true(now != 0);
    ym_local_quantize(c.plan, 1, &now, NULL, whole);
    assert_int_equal(whole[0], blocks[c.m.dim]);
    ym_local_work_free(w);
    ym_optimizer_free(o);
    free(theta);
    free(at);
    free(whole);
    free(blocks);
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
        cmocka_unit_test(each_part_of_a_long_sum_has_noise_of_its_own),
        cmocka_unit_test(round_in_blocks_is_the_round_of_whole_sums),
        cmocka_unit_test(pool_runs_each_thread_once),
        cmocka_unit_test(environment_has_the_last_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

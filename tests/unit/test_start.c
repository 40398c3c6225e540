/* Starting from a safetensors file: what is taken, and what is refused. And frozen
 * layers: nothing of a patient, no noise and no step reaches them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/start.h"
#include "models/state.h"
#include "privacy/clip.h"
#include "tests/support/plan.h"
#include "worker/trainer/local.h"

#define COLUMNS 3
#define HIDDEN 2
#define DIM (COLUMNS * HIDDEN + HIDDEN + HIDDEN + 1)
#define FIRST (COLUMNS * HIDDEN + HIDDEN) /* parameters of layer0 */

static const char good_header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                  "\"layer0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                  "\"layer0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                                  "\"layer1.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[32,40]},"
                                  "\"layer1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[40,44]}}  ";

static struct ym_plan *start_plan(void)
{
    static const uint32_t weight[] = {1};
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, COLUMNS, 1);

    p->hidden_count = 1;
    p->hidden[0] = HIDDEN;
    p->starts = true;
    p->init_seed = 3;
    plan_add_sites(p, 1, weight);
    return p;
}

/* A header, its own length in front, and eleven floats 1, 2, ... */
static struct ym_buf file_of(const char *header, float last)
{
    struct ym_buf b = {0};
    uint64_t len = strlen(header);

    ym_buf_append(&b, &len, 8);
    ym_buf_puts(&b, header);
    for (int i = 1; i <= DIM; i++) {
        float v = i == DIM ? last : (float)i;

        ym_buf_append(&b, &v, sizeof v);
    }
    return b;
}

static void tensors_are_taken_by_name(void **state)
{
    static const float want[DIM] = {3, 4, 5, 6, 7, 8, 1, 2, 9, 10, 11};
    struct ym_plan *p = start_plan();
    struct ym_buf file = file_of(good_header, 11), first = {0};
    const uint8_t *params;
    uint32_t round;

    (void)state;
    ym_sha256(file.data, file.len, p->start_hash);
    assert_int_equal(ym_state_initial_from(p, ym_buf_bytes(&file), &first, NULL), YM_OK);
    assert_int_equal(ym_state_params(p, ym_buf_bytes(&first), &round, &params, NULL), YM_OK);
    assert_memory_equal(params, want, sizeof want);
    ym_buf_release(&first);
    ym_buf_release(&file);
    plan_drop(p);
}

static void excepted_layers_keep_their_seed(void **state)
{
    struct ym_plan *p = start_plan();
    struct ym_model m;
    float seeded[DIM], params[DIM];
    char *header = strdup(good_header);
    struct ym_buf file;

    (void)state;
    memcpy(strstr(header, "layer1.weight"), "layerX", 6); /* not looked for */
    file = file_of(header, 11);
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    ym_model_init_params(&m, p->init_seed, seeded);
    memcpy(params, seeded, sizeof params);
    assert_int_equal(ym_start_params(p, &m, ym_buf_bytes(&file), params, NULL), YM_INVALID);
    p->start_except = 2;
    memcpy(params, seeded, sizeof params);
    assert_int_equal(ym_start_params(p, &m, ym_buf_bytes(&file), params, NULL), YM_OK);
    assert_true(params[0] == 3 && params[6] == 1);
    assert_memory_equal(params + FIRST, seeded + FIRST, (DIM - FIRST) * sizeof *params);
    ym_buf_release(&file);
    free(header);
    plan_drop(p);
}

static void refused(const char *header, float last)
{
    struct ym_plan *p = start_plan();
    struct ym_model m;
    float params[DIM] = {0};
    struct ym_buf file = file_of(header, last);

    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(ym_start_params(p, &m, ym_buf_bytes(&file), params, NULL), YM_INVALID);
    ym_buf_release(&file);
    plan_drop(p);
}

static void wrong_files_are_refused(void **state)
{
    static const char *const edit[][2] = {
        {"[2,3]", "[3,2]"},
        {"[1,2]", "[2]"},
        {"\"F32\"", "\"F16\""},
        {"[40,44]", "[44,48]"},
        {"[40,44]", "[40,48]"},
        {"[40,44]", "[44,40]"},
        {"[40,44]", "[-4,0]"},
        {"[40,44]", "[40]"},
        {"[40,44]", "[4611686018427387904,4611686018427387908]"},
        {"layer1.bias", "layer1.bia"},
        {"{\"dtype\"", "[\"dtype\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof edit / sizeof *edit; i++) {
        const char *at = strstr(good_header, edit[i][0]);
        char header[1024];

        snprintf(header, sizeof header, "%.*s%s%s", (int)(at - good_header), good_header, edit[i][1],
                 at + strlen(edit[i][0]));
        refused(header, 11);
    }
    refused(good_header, NAN);
    refused(good_header, INFINITY);
}

static void lengths_are_checked_before_use(void **state)
{
    struct ym_plan *p = start_plan();
    struct ym_model m;
    float params[DIM];
    struct ym_buf file = file_of(good_header, 11);

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    for (size_t len = 0; len < file.len; len++) { /* cut anywhere, in a block of its own size for asan */
        uint8_t *cut = malloc(len + 1);

        memcpy(cut, file.data, len);
        assert_int_equal(ym_start_params(p, &m, (struct ym_bytes){cut, len}, params, NULL), YM_INVALID);
        free(cut);
    }
    memset(file.data, 0xff, 8);
    assert_int_equal(ym_start_params(p, &m, ym_buf_bytes(&file), params, NULL), YM_INVALID);
    ym_buf_release(&file);
    plan_drop(p);
}

static void only_the_plans_file_will_do(void **state)
{
    struct ym_plan *p = start_plan();
    struct ym_buf file = file_of(good_header, 11), other = file_of(good_header, 12), first = {0};

    (void)state;
    ym_sha256(file.data, file.len, p->start_hash);
    assert_int_equal(ym_state_initial_from(p, ym_buf_bytes(&other), &first, NULL), YM_INVALID);
    assert_int_equal(ym_state_initial(p, &first, NULL), YM_INVALID);
    p->starts = false;
    assert_int_equal(ym_state_initial_from(p, ym_buf_bytes(&file), &first, NULL), YM_INVALID);
    assert_int_equal(first.len, 0);
    ym_buf_release(&file);
    ym_buf_release(&other);
    plan_drop(p);
}

/* ---- frozen layers ---- */

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

/* One patient, far outside the clip. */
struct frozen_world {
    struct ym_plan *plan;
    struct ym_model m;
    uint64_t first_row[2];
    float x[COLUMNS], y[1], start[DIM];
    struct ym_table table;
};

static void frozen_world(struct frozen_world *w)
{
    *w = (struct frozen_world){.plan = start_plan(), .first_row = {0, 1}, .x = {1, -1, 1}, .y = {1}};
    w->table = (struct ym_table){
        .columns = COLUMNS, .patients = 1, .rows = 1, .first_row = w->first_row, .x = w->x, .y = w->y};
    w->plan->frozen = 1;
    w->plan->sampling_k = UINT64_MAX;
    w->plan->clip_norm = 1e-3;
    w->plan->sigma_units = 1;
    w->plan->l2 = 0.5;
    w->plan->prox = 0.1;
    w->plan->momentum = 0.9;
    w->plan->steps_per_round = 3;
    for (size_t i = 0; i < DIM; i++)
        w->start[i] = 0.1f * (float)(i + 1);
    assert_int_equal(ym_model_from_plan(w->plan, &w->m, NULL), YM_OK);
}

static void frozen_layers_take_no_share_of_the_clip(void **state)
{
    struct frozen_world w;
    int64_t sum[DIM];
    double square = 0;

    (void)state;
    frozen_world(&w);
    struct ym_local_work *work = ym_local_work_new(w.plan, &w.m, &w.table);
    assert_int_equal(ym_local_noisy_sum(w.plan, &w.m, &w.table, w.start, NULL, open_kernel, NULL, work, sum, NULL),
                     YM_OK);
    for (size_t i = 0; i < DIM; i++) {
        assert_true(i >= FIRST || sum[i] == 0); /* not even noise */
        square += (double)sum[i] * (double)sum[i];
    }
    /* all of the ball is the trained layer's: 2^24 within noise of one unit a coordinate */
    assert_true(fabs(sqrt(square) - YM_CLIP_UNITS) < 64);
    ym_local_work_free(work);
    plan_drop(w.plan);
}

static void frozen_layers_do_not_move(void **state)
{
    struct frozen_world w;
    int64_t update[DIM];
    size_t moved = 0;

    (void)state;
    frozen_world(&w);
    w.plan->sigma_units = 1 << 24;
    w.plan->clip_norm = 10;
    assert_int_equal(ym_local_round(w.plan, &w.m, &w.table, w.start, NULL, NULL, 1, open_kernel, NULL, update, NULL),
                     YM_OK);
    for (size_t i = 0; i < DIM; i++) {
        assert_true(i >= FIRST || update[i] == 0);
        moved += update[i] != 0;
    }
    assert_true(moved > 0);
    plan_drop(w.plan);
}

static void sum_that_moves_them_is_refused(void **state)
{
    struct frozen_world w;
    const char *survivor[] = {"h1"};
    int64_t values[DIM] = {0};
    struct ym_round_sum sum = {.round = 1, .sum = values, .survivor = survivor, .survivor_count = 1};
    struct ym_buf first = {0}, next = {0};

    (void)state;
    frozen_world(&w);
    w.plan->starts = false;
    assert_int_equal(ym_state_initial(w.plan, &first, NULL), YM_OK);
    values[FIRST - 1] = 1;
    assert_int_equal(ym_state_next(w.plan, ym_buf_bytes(&first), &sum, &next, NULL), YM_INVALID);
    values[FIRST - 1] = 0;
    values[FIRST] = 1;
    assert_int_equal(ym_state_next(w.plan, ym_buf_bytes(&first), &sum, &next, NULL), YM_OK);
    ym_buf_release(&first);
    ym_buf_release(&next);
    plan_drop(w.plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_taken_by_name),   cmocka_unit_test(excepted_layers_keep_their_seed),
        cmocka_unit_test(wrong_files_are_refused),     cmocka_unit_test(lengths_are_checked_before_use),
        cmocka_unit_test(only_the_plans_file_will_do), cmocka_unit_test(frozen_layers_take_no_share_of_the_clip),
        cmocka_unit_test(frozen_layers_do_not_move),   cmocka_unit_test(sum_that_moves_them_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

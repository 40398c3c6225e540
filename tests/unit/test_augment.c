/* Augmented views (models/augment.h): pictures of one record, one gradient of all of a patient's views, one clip behind
 * it; and nothing of another patient in it. Sums are those before their noise (local_internal.h). */
#include <math.h>
#include <stdlib.h>

#include "gate_help.h"
#include "models/augment.h"
#include "privacy/clip.h"
#include "worker/trainer/local_internal.h"

#define HEIGHT 5
#define WIDTH 4
#define CHANNELS 2
#define COLUMNS (HEIGHT * WIDTH * CHANNELS)
#define VIEWS 3
#define PATIENTS 6
#define ROWS 9

static const char yaml[] =
    "yumen: plan/1\nstudy: s\nsponsor: acme\ntitle: t\npurpose: p\nmodel:\n  family: network\n"
    "  inputs: [{name: p, channels: 2, height: 5, width: 4, mean: 0.5, scale: 0.25}]\n"
    "  outcome: {name: y, levels: [\"no\", \"yes\"]}\n  layers: [conv2d: {channels: 3, kernel: 2}, tanh]\n"
    "training: {rounds: 9, local_steps: 4, sampling_probability: 0.25, nominal_patients: 100, learning_rate: 0.5,\n"
    "  max_records_per_patient: 9, augmentation: {flip: horizontal, shift: 2, fill: black, views: 3}}\n"
    "privacy: {clip_norm: 0.01, noise_multiplier: 8, delta: 1e-5, epsilon: 9}\n"
    "federation: {hospitals: [{name: h1}]}\n";

struct ward {
    struct ym_plan *plan;
    struct ym_model m;
    struct ym_table table;
    float x[ROWS][COLUMNS], y[ROWS];
    uint64_t first_row[PATIENTS + 1];
    float *params;
    struct ym_local_work *w;
};

/* Patients of 1, 2, 1, 2 ... rows; all values different. */
static void set_up_with(struct ward *c, const char *plan)
{
    static const uint64_t first[] = {0, 1, 3, 4, 6, 7, 9};

    memset(c, 0, sizeof *c);
    c->plan = plan_must(plan);
    memcpy(c->first_row, first, sizeof first);
    for (size_t i = 0; i < ROWS; i++) {
        c->y[i] = (float)(i % 2);
        for (size_t k = 0; k < COLUMNS; k++)
            c->x[i][k] = sinf((float)(i * COLUMNS + k + 1));
    }
    c->table = (struct ym_table){
        .columns = COLUMNS, .rows = ROWS, .patients = PATIENTS, .x = &c->x[0][0], .y = c->y, .first_row = c->first_row};
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    c->params = calloc(c->m.dim, sizeof *c->params);
    ym_model_init_params(&c->m, 1, c->params);
    c->w = ym_local_work_new(c->plan, &c->m, &c->table);
    assert_true(c->params && c->w);
}

static void set_up(struct ward *c)
{
    set_up_with(c, yaml);
}

static void tear_down(struct ward *c)
{
    ym_local_work_free(c->w);
    free(c->params);
    ym_plan_free(c->plan);
}

static float at(const float *picture, ptrdiff_t row, ptrdiff_t column, size_t channel)
{
    if (row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH)
        return -2; /* black: (0 - 0.5) / 0.25 */
    return picture[((size_t)row * WIDTH + (size_t)column) * CHANNELS + channel];
}

static bool is_moved(const float *view, const float *x, bool flip, ptrdiff_t down, ptrdiff_t right)
{
    for (ptrdiff_t row = 0; row < HEIGHT; row++)
        for (ptrdiff_t column = 0; column < WIDTH; column++)
            for (size_t c = 0; c < CHANNELS; c++) {
                ptrdiff_t from = column - right;
                bool inside = from >= 0 && from < WIDTH;

                if (at(view, row, column, c) != at(x, row - down, flip && inside ? WIDTH - 1 - from : from, c))
                    return false;
            }
    return true;
}

/* Each view is its own record's picture, flipped or not, moved by at most 2 pixels; every one of the 50 comes up. */
static void views_are_flips_and_shifts_of_their_record(void **state)
{
    struct ward c;
    float view[2 * VIEWS][COLUMNS], view_y[2 * VIEWS];
    bool seen[2][5][5] = {{{false}}};
    size_t all = 0;

    (void)state;
    set_up(&c);
    for (uint64_t draw = 0; draw < 500; draw++) {
        ym_augment_views(c.plan, c.x[1], &c.y[1], 2, draw * UINT64_C(0x1234567890abcdef), view[0], view_y);
        for (size_t i = 0; i < 2 * VIEWS; i++) {
            size_t found = 0;

            assert_true(view_y[i] == c.y[1 + i / VIEWS]);
            for (size_t k = 0; k < 50; k++)
                if (is_moved(view[i], c.x[1 + i / VIEWS], k % 2, (ptrdiff_t)(k / 10) - 2, (ptrdiff_t)(k / 2 % 5) - 2)) {
                    found++;
                    seen[k % 2][k / 10][k / 2 % 5] = true;
                }
            assert_int_equal(found, 1);
        }
    }
    for (size_t k = 0; k < 50; k++)
        all += seen[k % 2][k / 10][k / 2 % 5];
    assert_int_equal(all, 50);
    tear_down(&c);
}

static void sum_of(struct ward *c, const uint32_t *who, const uint64_t *draw, size_t count, int64_t *sum)
{
    struct ym_local_step s = {.m = &c->m,
                              .data = &c->table,
                              .params = c->params,
                              .w = c->w,
                              .sum = sum,
                              .clip_norm = c->plan->clip_norm,
                              .plan = c->plan};

    memset(sum, 0, (c->m.dim + 1) * sizeof *sum);
    memcpy(c->w->label, draw, count * sizeof *draw);
    ym_local_add_all(&s, who, count);
    ym_local_settle(&s);
}

static double length_of(const int64_t *sum, size_t dim)
{
    double square = 0;

    for (size_t i = 0; i < dim; i++)
        square += (double)sum[i] * (double)sum[i];
    return sqrt(square);
}

/* Whoever else is in the batch, in whichever place: the sum is that of the patients alone, to the last unit. */
static void what_a_patient_adds_is_its_own(void **state)
{
    static const uint32_t all[] = {4, 0, 5, 1, 3, 2};
    static const uint64_t draw[] = {77, 1, UINT64_MAX, 12345678901234567u, 5, 0};
    struct ward c;
    int64_t *sum, *one, *added;

    (void)state;
    set_up(&c);
    sum = calloc(3 * (c.m.dim + 1), sizeof *sum);
    one = sum + c.m.dim + 1;
    added = one + c.m.dim + 1;
    for (size_t i = 0; i < PATIENTS; i++) {
        sum_of(&c, &all[i], &draw[i], 1, one);
        assert_true(length_of(one, c.m.dim) > 0.99 * YM_CLIP_UNITS); /* the clip is small: everybody is at it */
        assert_true(length_of(one, c.m.dim) <= YM_CLIP_UNITS);
        for (size_t j = 0; j < c.m.dim; j++)
            added[j] += one[j];
    }
    sum_of(&c, all, draw, PATIENTS, sum);
    assert_memory_equal(sum, added, c.m.dim * sizeof *sum);
    free(sum);
    tear_down(&c);
}

/* A model so large that the patients are shared among threads: each still has its own draw. */
static void threads_change_no_bit(void **state)
{
    static const uint32_t all[] = {4, 0, 5, 1, 3, 2};
    static const uint64_t draw[] = {77, 1, UINT64_MAX, 12345678901234567u, 5, 0};
    char *wide = text_edit(yaml, "tanh]", "tanh, dense: {width: 20000}]");
    int64_t *sum[2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ward c;

        setenv("YUMEN_THREADS", i ? "3" : "1", 1);
        set_up_with(&c, wide);
        assert_int_equal(c.w->pool != NULL, i);
        sum[i] = calloc(c.m.dim + 1, sizeof *sum[i]);
        sum_of(&c, all, draw, PATIENTS, sum[i]);
        if (i)
            assert_memory_equal(sum[0], sum[1], c.m.dim * sizeof *sum[0]);
        tear_down(&c);
    }
    unsetenv("YUMEN_THREADS");
    free(sum[0]);
    free(sum[1]);
    free(wide);
}

/* By hand: the gradient of all views at once, then ym_clip_patient. Clipping view by view gives another vector. */
static void clip_comes_once_behind_the_mean_of_views(void **state)
{
    const uint32_t who = 1; /* two rows, six views */
    const uint64_t draw = 99;
    struct ward c;
    float view[2 * VIEWS][COLUMNS], view_y[2 * VIEWS], *g;
    int32_t *q;
    int64_t *sum;
    struct ym_model_work *work;

    (void)state;
    set_up(&c);
    g = calloc(c.m.dim, sizeof *g);
    q = calloc(c.m.dim, sizeof *q);
    sum = calloc(c.m.dim + 1, sizeof *sum);
    work = ym_model_work_new(&c.m, 2 * VIEWS);
    ym_augment_views(c.plan, c.x[1], &c.y[1], 2, draw, view[0], view_y);
    ym_model_patient_gradient(&c.m, c.params, view[0], view_y, 2 * VIEWS, work, g);
    ym_clip_patient(g, c.m.dim, c.plan->clip_norm, q);
    sum_of(&c, &who, &draw, 1, sum);
    for (size_t i = 0; i < c.m.dim; i++)
        assert_int_equal(sum[i], q[i]);
    ym_model_work_free(work);
    free(g);
    free(q);
    free(sum);
    tear_down(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_flips_and_shifts_of_their_record),
        cmocka_unit_test(what_a_patient_adds_is_its_own),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(clip_comes_once_behind_the_mean_of_views),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

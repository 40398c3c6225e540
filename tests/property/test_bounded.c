/* The bounded route: exact whatever the batch, near the integer route on ordinary
 * data, and never moved by more than 2^24 units by one patient, whatever it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "models/batch_internal.h"
#include "privacy/bounded.h"
#include "tensor/mat.h"
#include "tests/support/plan.h"
#include "worker/trainer/local_internal.h"

static char self[4096]; /* command that prints the digest */
static uint64_t state_of_draws = 7;

static uint64_t draw_word(void)
{
    uint64_t z = state_of_draws += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double draw(void) /* uniform on [-1, 1) */
{
    return (double)(draw_word() >> 11) * 0x1p-52 - 1;
}

/* ---- a cohort ---- */

struct family {
    enum ym_family family;
    enum ym_activation activation;
    size_t columns, outputs, hidden[3], hidden_count;
};

static const struct family families[] = {
    {YM_FAMILY_LINEAR, YM_ACT_TANH, 40, 1, {0}, 0},
    {YM_FAMILY_LOGISTIC, YM_ACT_TANH, 13, 1, {0}, 0},
    {YM_FAMILY_MULTINOMIAL, YM_ACT_TANH, 9, 5, {0}, 0},
    {YM_FAMILY_MLP, YM_ACT_TANH, 12, 1, {16, 7}, 2},
    {YM_FAMILY_MLP, YM_ACT_RELU, 6, 4, {9, 33, 5}, 3},
    {YM_FAMILY_MLP, YM_ACT_RELU, 3, 2, {1100}, 1}, /* a row's product in two stretches */
};
#define FAMILIES (sizeof families / sizeof *families)
#define PATIENTS 90
#define ALONE 60 /* has too many rows for a batch */

struct cohort {
    const struct family *f;
    struct ym_plan *plan;
    struct ym_model m;
    struct ym_table t;
    float *params;
    struct ym_local_work *w;
    uint32_t everybody[PATIENTS];
    int64_t *sum, *other;
};

static size_t rows_of(size_t patient)
{
    static const size_t some[] = {1, 1, 2, 1, 5, 1, 17};

    return patient == 50 ? YM_BATCH_PATIENT_ROWS : patient == ALONE ? YM_BATCH_PATIENT_ROWS + 3 : some[patient % 7];
}

static float label(const struct family *f, uint64_t word)
{
    return f->family == YM_FAMILY_LINEAR ? (float)draw() : (float)(word % (f->outputs == 1 ? 2 : f->outputs));
}

static void fill_cohort(struct cohort *c)
{
    for (size_t i = 0; i < c->m.dim; i++)
        c->params[i] = (float)draw() / 2;
    for (size_t i = 0; i < c->t.rows * c->t.columns; i++)
        c->t.x[i] = (float)draw();
    for (size_t i = 0; i < c->t.rows; i++)
        c->t.y[i] = label(c->f, draw_word());
}

static void renew_work(struct cohort *c, size_t batch_rows)
{
    ym_local_work_free(c->w);
    c->w = ym_local_work_new(c->plan, &c->m, &c->t);
    ym_batch_free(c->w->batch);
    c->w->batch = ym_batch_new(&c->m, batch_rows);
}

static void set_up(struct cohort *c, const struct family *f)
{
    memset(c, 0, sizeof *c);
    c->f = f;
    c->plan = plan_make(f->family, f->columns, f->outputs);
    c->plan->route = YM_ROUTE_BOUNDED;
    c->plan->activation = f->activation;
    c->plan->hidden_count = f->hidden_count;
    for (size_t i = 0; i < f->hidden_count; i++)
        c->plan->hidden[i] = (uint32_t)f->hidden[i];
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    c->t.columns = f->columns;
    c->t.patients = PATIENTS;
    c->t.first_row = calloc(PATIENTS + 1, sizeof *c->t.first_row);
    for (size_t i = 0; i < PATIENTS; i++) {
        c->t.first_row[i + 1] = c->t.first_row[i] + rows_of(i);
        c->everybody[i] = (uint32_t)i;
    }
    c->t.rows = c->t.first_row[PATIENTS];
    c->t.x = calloc(c->t.rows * f->columns, sizeof *c->t.x);
    c->t.y = calloc(c->t.rows, sizeof *c->t.y);
    c->params = calloc(c->m.dim, sizeof *c->params);
    c->sum = calloc(c->m.dim + 1, sizeof *c->sum);
    c->other = calloc(c->m.dim + 1, sizeof *c->other);
    fill_cohort(c);
    renew_work(c, YM_BATCH_MOST_ROWS);
}

static void tear_down(struct cohort *c)
{
    ym_local_work_free(c->w);
    plan_drop(c->plan);
    free(c->t.first_row);
    free(c->t.x);
    free(c->t.y);
    free(c->params);
    free(c->sum);
    free(c->other);
}

static struct ym_local_step step_of(struct cohort *c, int64_t *sum)
{
    return (struct ym_local_step){&c->m, &c->t, c->params, c->w, sum, c->plan->clip_norm, c->plan->clip_bit_units};
}

static void sum_of(struct cohort *c, const uint32_t *who, size_t count, int64_t *sum)
{
    struct ym_local_step step = step_of(c, sum);

    memset(sum, 0, (c->m.dim + 1) * sizeof *sum);
    ym_local_add_batched(&step, who, count);
}

static unsigned __int128 squared_distance(const int64_t *a, const int64_t *b, size_t dim)
{
    unsigned __int128 sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += (unsigned __int128)((__int128)(a[i] - b[i]) * (a[i] - b[i]));
    return sum;
}

/* What everybody sums to, with patient who and without. */
static unsigned __int128 moved_by(struct cohort *c, uint32_t who)
{
    uint32_t others[PATIENTS];
    size_t count = 0;

    for (uint32_t i = 0; i < PATIENTS; i++)
        if (i != who)
            others[count++] = i;
    sum_of(c, c->everybody, PATIENTS, c->sum);
    sum_of(c, others, count, c->other);
    return squared_distance(c->sum, c->other, c->m.dim + 1);
}

static void within_clip(struct cohort *c, uint32_t who, const char *what)
{
    unsigned __int128 moved = moved_by(c, who);

    if (moved > (unsigned __int128)1 << (2 * YM_CLIP_BITS))
        fail_msg("%s, family %zu, patient %u: the sum moves by %.17g units", what, (size_t)(c->f - families), who,
                 sqrt((double)moved));
}

/* ---- exactness ---- */

static void batches_and_order_change_no_bit(void **state)
{
    static const size_t sizes[] = {64, 71, 100, 255};

    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;

        set_up(&c, &families[f]);
        sum_of(&c, c.everybody, PATIENTS, c.sum);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            for (size_t i = PATIENTS - 1; i > 0; i--) {
                size_t j = draw_word() % (i + 1);
                uint32_t swap = c.everybody[i];

                c.everybody[i] = c.everybody[j];
                c.everybody[j] = swap;
            }
            renew_work(&c, sizes[k]);
            sum_of(&c, c.everybody, PATIENTS, c.other);
            assert_memory_equal(c.other, c.sum, c.m.dim * sizeof *c.sum);
        }
        tear_down(&c);
    }
}

/* Everybody but those who go by themselves, all families, in one number. */
static uint64_t digest(void)
{
    uint64_t h = 0;

    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;

        state_of_draws = f;
        set_up(&c, &families[f]);
        sum_of(&c, c.everybody, ALONE, c.sum);
        for (size_t i = 0; i < c.m.dim; i++)
            h = h * UINT64_C(6364136223846793005) + (uint64_t)c.sum[i];
        tear_down(&c);
    }
    return h;
}

/* OpenBLAS adds in another order with each kernel: this program again, with others. */
static void kernels_of_the_library_change_no_bit(void **state)
{
    static const char *const kernel[] = {"Prescott", "Nehalem", "Sandybridge", "Haswell"};
    uint64_t here = digest();

    (void)state;
    for (size_t i = 0; i < sizeof kernel / sizeof *kernel; i++) {
        unsigned long long there = 0;
        FILE *p;

        if ((i == 2 && !__builtin_cpu_supports("avx")) || (i == 3 && !__builtin_cpu_supports("avx2")))
            continue;
        assert_int_equal(setenv("OPENBLAS_CORETYPE", kernel[i], 1), 0);
        p = popen(self, "r");
        assert_non_null(p);
        assert_int_equal(fscanf(p, "%llx", &there), 1);
        assert_int_equal(pclose(p), 0);
        assert_true(there == here);
    }
    unsetenv("OPENBLAS_CORETYPE");
}

/* The claim that the proof makes of the library: sums of |terms| up to 2^53. */
static void products_of_whole_numbers_are_exact(void **state)
{
    (void)state;
    for (int t = 0; t < 300; t++) {
        size_t n = 1 + draw_word() % 40, k = 1 + draw_word() % (t % 10 ? 70 : 1024), w = 1 + draw_word() % 40;
        bool ta = t & 1, tb = t & 2, top = t % 3 == 0;
        double *a = calloc(n * k, sizeof *a), *b = calloc(k * w, sizeof *b), *c = calloc(n * w, sizeof *c);

        for (size_t i = 0; i < n * k; i++)
            a[i] = top ? 0x1p21 - (double)(draw_word() % 3) : trunc(draw() * 0x1p21);
        for (size_t i = 0; i < k * w; i++)
            b[i] = top ? 0x1p22 - (double)(draw_word() % 3) : trunc(draw() * 0x1p22);
        ym_wide_mul(ta ? (struct ym_wide){a, k, n, n} : (struct ym_wide){a, n, k, k}, ta,
                    tb ? (struct ym_wide){b, w, k, k} : (struct ym_wide){b, k, w, w}, tb, (struct ym_wide){c, n, w, w});
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < w; j++) {
                int64_t sum = 0;

                for (size_t r = 0; r < k; r++)
                    sum += (int64_t)(ta ? a[r * n + i] : a[i * k + r]) * (int64_t)(tb ? b[j * k + r] : b[r * w + j]);
                assert_true(c[i * w + j] == (double)sum && (int64_t)c[i * w + j] == sum);
            }
        }
        free(a);
        free(b);
        free(c);
    }
}

static void whole_within(const double *v, size_t n, double most)
{
    for (size_t i = 0; i < n; i++)
        assert_true(v[i] == trunc(v[i]) && fabs(v[i]) <= most);
}

static void spoil(struct cohort *c, size_t patient, int how);

/* 2^21 by 2^22, 2^10 terms at a time: whatever the rows held. */
static void entries_keep_within_their_bits(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;

        set_up(&c, &families[f]);
        for (int t = 0; t < 20; t++) {
            struct ym_batch *b = c.w->batch;

            fill_cohort(&c);
            for (uint32_t i = 0; i < PATIENTS; i++)
                spoil(&c, i, t % 4);
            assert_true(ym_batch_weights(b, c.params));
            for (uint32_t i = 0; i < PATIENTS; i++)
                ym_batch_put(b, c.t.x + c.t.first_row[i] * c.t.columns, c.t.y + c.t.first_row[i], rows_of(i));
            ym_batch_pass(b);
            for (size_t l = 0; l < c.m.layer_count; l++) {
                size_t in = c.m.width[l], out = c.m.width[l + 1];

                whole_within(b->weight[l], in * out, 0x1p22);
                whole_within(b->in[l], b->rows * (in + 1), 0x1p21);
                whole_within(b->out[l], b->rows * out, 0x1p21);
            }
            ym_batch_clear(b);
        }
        tear_down(&c);
    }
}

/* ---- against the integer route ---- */

/* Difference to a patient's own integer vector: the radius (dim and norm, cost units),
 * truncation of either (1 unit a coordinate), with several rows what truncation may add
 * (taken off and lost: 4 units a row and square root of a layer's weights), and roundings:
 * 21 bits here and float's 24 there, through at most four layers, 2^-15 of C. */
static double most_apart(const struct cohort *c, uint32_t patient)
{
    size_t rows = rows_of(patient);
    double most = 2 * ym_bounded_cost_units(c->m.dim) + sqrt((double)c->m.dim) + 0x1p24 * 0x1p-15;

    for (size_t l = 0; l < c->m.layer_count && rows > 1; l++)
        most += 4 * (double)rows * sqrt((double)((c->m.width[l] + 1) * c->m.width[l + 1]));
    return most;
}

static void ordinary_patients_get_the_integer_routes_gradient(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct ym_local_step step;
        struct family smooth = families[f];
        struct cohort c;

        if (smooth.hidden[0] > 1000) /* one of so many units may stand at relu's kink */
            smooth.activation = YM_ACT_TANH;
        set_up(&c, &smooth);
        for (int big = 0; big < 2; big++) {
            c.plan->clip_norm = big ? 1000 : 0.01;
            for (uint32_t i = 0; i < PATIENTS; i++) {
                sum_of(&c, &i, 1, c.sum);
                memset(c.other, 0, c.m.dim * sizeof *c.other);
                step = step_of(&c, c.other);
                ym_local_add_patient(&step, i);
                assert_true(sqrt((double)squared_distance(c.sum, c.other, c.m.dim)) < most_apart(&c, i));
                memset(c.other, 0, c.m.dim * sizeof *c.other);
                if (!big) /* clipped: at the ball's edge, not in it */
                    assert_true(sqrt((double)squared_distance(c.sum, c.other, c.m.dim)) > 0x1p24 * 0.99);
            }
        }
        tear_down(&c);
    }
}

/* ---- hostile values ---- */

static float hostile(void)
{
    static const float odd[] = {NAN,       INFINITY,   -INFINITY, FLT_MAX, -FLT_MAX,        1e38f, -1e38f, FLT_MIN,
                                0x1p-149f, -0x1p-149f, 0,         -0.0f,   1 + FLT_EPSILON, 1,     1e-20f, 1e20f};
    uint64_t word = draw_word();

    return word % 3 ? odd[word / 3 % (sizeof odd / sizeof *odd)] : (float)ldexp(draw(), (int)(word / 3 % 250) - 130);
}

static void spoil(struct cohort *c, size_t patient, int how)
{
    for (uint64_t r = c->t.first_row[patient]; r < c->t.first_row[patient + 1]; r++) {
        for (size_t i = 0; i < c->t.columns; i++) {
            float *x = &c->t.x[r * c->t.columns + i];

            switch (how) {
            case 0:
                *x = hostile();
                break;
            case 1:
                *x = draw_word() % 8 ? *x : hostile();
                break;
            case 2:
                *x = (float)ldexp(draw() > 0 ? 1 : -1, (int)(draw_word() % 120));
                break;
            default:
                *x *= (r & 1) ? -0x1p40f : 0x1p40f; /* rows that cancel */
            }
        }
        if (c->f->family == YM_FAMILY_LINEAR && how < 2)
            c->t.y[r] = hostile();
    }
}

static void one_patient_moves_the_sum_by_at_most_the_clip(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;

        set_up(&c, &families[f]);
        for (int t = 0; t < 60; t++) {
            uint32_t who = (uint32_t)(draw_word() % PATIENTS);

            fill_cohort(&c);
            c.plan->clip_norm = t % 4 ? ldexp(1 + draw() / 4, (int)(draw_word() % 60) - 40) : 1e-18;
            c.plan->clip_bit_units = t % 3 == 2 ? 1u << (t % 24) : 0;
            if (t % 5 == 4)
                for (size_t i = 0; i < c.m.dim; i++)
                    c.params[i] = ldexpf(c.params[i], (int)(draw_word() % 100));
            for (uint32_t i = 0; i < PATIENTS; i++)
                if (i == who || draw_word() % 3 == 0)
                    spoil(&c, i, (int)(draw_word() % 4));
            within_clip(&c, who, "hostile values");
        }
        tear_down(&c);
    }
}

/* Everybody the same, at the edge of the ball: each patient's last bits add up the same way. */
static void copies_of_one_patient_count_like_any_other(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;

        set_up(&c, &families[f]);
        for (int t = 0; t < 20; t++) {
            fill_cohort(&c);
            c.plan->clip_norm = ldexp(1, -t);
            for (size_t r = 1; r < c.t.rows; r++) {
                memcpy(c.t.x + r * c.t.columns, c.t.x, c.t.columns * sizeof *c.t.x);
                c.t.y[r] = c.t.y[0];
            }
            within_clip(&c, (uint32_t)(draw_word() % PATIENTS), "copies");
        }
        tear_down(&c);
    }
}

static void not_a_number_stays_with_its_patient(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        static const float bad[] = {NAN, INFINITY, -INFINITY};

        for (uint32_t who = 0; who < PATIENTS; who += 10) { /* 50 and 60: many rows, and too many */
            struct cohort c;

            set_up(&c, &families[f]);
            c.t.x[(c.t.first_row[who + 1] - 1) * c.t.columns] = bad[who / 10 % 3];
            assert_true(moved_by(&c, who) == 0);
            tear_down(&c);
        }
    }
}

static void parameters_that_are_no_numbers_move_nothing(void **state)
{
    struct cohort c;
    int64_t *zero;

    (void)state;
    set_up(&c, &families[3]);
    zero = calloc(c.m.dim, sizeof *zero);
    c.params[3] = NAN;
    sum_of(&c, c.everybody, PATIENTS, c.sum);
    assert_memory_equal(c.sum, zero, c.m.dim * sizeof *zero);
    free(zero);
    tear_down(&c);
}

/* ---- the bound's own corner ---- */

/* A linear model at 0 with one row a patient: the gradient is -y (x, 1). All x are 1 -
 * 2^-20, so whole numbers 2^20 - 1: a patient who puts in F times that has the fraction
 * -F / 2^20 of a unit in each coordinate. Patient 1 is clipped, F near 2^24 / sqrt(columns);
 * patient 0 leaves just under half a unit, so that the arrival of 1 rounds all of them up.
 * Most squared distance over some such arrangements. */
static unsigned __int128 push_all_up(size_t columns)
{
    const struct family wide = {YM_FAMILY_LINEAR, YM_ACT_TANH, columns, 1, {0}, 0};
    const uint32_t both[] = {0, 1};
    unsigned __int128 most = 0, moved;
    struct cohort c;

    set_up(&c, &wide);
    memset(c.params, 0, c.m.dim * sizeof *c.params);
    for (size_t i = 0; i < 2 * columns; i++)
        c.t.x[i] = (0x1p20f - 1) * 0x1p-20f;
    c.t.y[1] = -1e6f;
    for (int j = 0; j < 64; j++) {
        c.t.y[0] = (float)-(0x80001 + j * 4096) * 0x1p-24f; /* a fraction between 1/4 and 1/2 */
        sum_of(&c, both, 2, c.sum);
        sum_of(&c, both, 1, c.other);
        moved = squared_distance(c.sum, c.other, c.m.dim);
        most = moved > most ? moved : most;
    }
    tear_down(&c);
    return most;
}

/* Without the cost in the radius, the sum moves by more than 2^24. */
static void rounding_of_the_sum_is_in_the_radius(void **state)
{
    double edge = 0;

    (void)state;
    for (size_t columns = 257; columns < 455; columns++) {
        unsigned __int128 most = push_all_up(columns);

        assert_true(most <= (unsigned __int128)1 << (2 * YM_CLIP_BITS));
        edge = fmax(edge, (sqrt((double)most) - 0x1p24) / ym_bounded_cost_units(columns + 1));
    }
    assert_true(edge > -0.01); /* nearly all that is set aside was used */
}

static void cost_is_below_one_percent_of_every_plan(void **state)
{
    (void)state;
    assert_true(ym_bounded_cost_units(1) > 1 && ym_bounded_cost_units(1) < 1.1);
    assert_true(ym_bounded_cost_units(YM_PLAN_MAX_PARAMS) < 0.01 * YM_CLIP_UNITS);
    assert_true(ym_bounded_radius(YM_CLIP_UNITS, YM_PLAN_MAX_PARAMS) > 0.99 * 0x1p44);
}

static void carrying_at_any_time_gives_the_same_sum(void **state)
{
    (void)state;
    for (int t = 0; t < 2000; t++) {
        int64_t a = 0, b = 0, sum_a = 0, sum_b = 0;

        for (int i = 0; i < 50; i++) {
            int64_t v = (int64_t)(draw() * 0x1p52);

            a += v;
            b += v;
            if (draw_word() % 4 == 0)
                ym_bounded_carry(&b, &sum_b, 1);
        }
        ym_bounded_close(&a, &sum_a, 1);
        ym_bounded_close(&b, &sum_b, 1);
        assert_true(sum_a == sum_b && a == 0 && b == 0);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return printf("%llx\n", (unsigned long long)digest()) < 0;
    snprintf(self, sizeof self, "'%s' --digest", argv[0]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_and_order_change_no_bit),
        cmocka_unit_test(kernels_of_the_library_change_no_bit),
        cmocka_unit_test(products_of_whole_numbers_are_exact),
        cmocka_unit_test(entries_keep_within_their_bits),
        cmocka_unit_test(ordinary_patients_get_the_integer_routes_gradient),
        cmocka_unit_test(one_patient_moves_the_sum_by_at_most_the_clip),
        cmocka_unit_test(copies_of_one_patient_count_like_any_other),
        cmocka_unit_test(not_a_number_stays_with_its_patient),
        cmocka_unit_test(parameters_that_are_no_numbers_move_nothing),
        cmocka_unit_test(rounding_of_the_sum_is_in_the_radius),
        cmocka_unit_test(cost_is_below_one_percent_of_every_plan),
        cmocka_unit_test(carrying_at_any_time_gives_the_same_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

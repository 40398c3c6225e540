/* The bounded route: no row knows its neighbours, near the integer route on ordinary
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

#include "base/pool.h"
#include "base/status.h"
#include "models/batch.h"
#include "privacy/bounded.h"
#include "privacy/leaves.h"
#include "tensor/rows.h"
#include "tests/support/plan.h"
#include "worker/trainer/local_internal.h"

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
    uint64_t label[PATIENTS]; /* of everybody, as if drawn for one step */
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
    for (size_t i = 0; i < PATIENTS; i++)
        c->label[i] = draw_word();
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
    return (struct ym_local_step){&c->m,  &c->t, c->params, c->w, sum, c->plan->clip_norm, c->plan->clip_bit_units,
                                  c->plan};
}

static void sum_of(struct cohort *c, const uint32_t *who, size_t count, int64_t *sum)
{
    struct ym_local_step step = step_of(c, sum);
    uint32_t chosen[PATIENTS];
    uint64_t theirs[PATIENTS];

    for (size_t i = 0; i < count; i++) {
        chosen[i] = who[i];
        theirs[i] = c->label[who[i]];
    }
    memset(sum, 0, (c->m.dim + 1) * sizeof *sum);
    ym_local_add_batched(&step, chosen, theirs, count);
    ym_local_settle(&step);
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

/* ---- rows and leaves ---- */

/* Where a row stands, who stands beside it and what the padding holds change none of its bits. */
static void a_row_is_the_same_wherever_it_stands(void **state)
{
    (void)state;
    for (int t = 0; t < 200; t++) {
        size_t depth = 1 + draw_word() % 90, cols = 1 + draw_word() % (t % 4 ? 70 : 2), rows = 1 + draw_word() % 40;
        size_t step = ym_rows_up(depth, YM_ROWS_WIDE), c_step = ym_rows_up(cols, YM_ROWS_WIDE);
        size_t tall = ym_rows_up(rows, YM_ROWS_TALL), at = draw_word() % rows;
        float *a = calloc(tall * step + YM_ROWS_SPARE, sizeof *a), *w = calloc(depth * cols, sizeof *w);
        float *packed = calloc(ym_rows_packed(depth, cols), sizeof *packed), *c = calloc(tall * c_step, sizeof *c);
        float one[YM_ROWS_TALL * 128 + YM_ROWS_SPARE] = {0}, alone[YM_ROWS_TALL * 128];

        for (size_t i = 0; i < tall * step; i++)
            a[i] = t % 3 ? (float)draw() : t % 2 ? NAN : FLT_MAX;
        for (size_t i = 0; i < depth * cols; i++)
            w[i] = (float)draw();
        for (size_t k = 0; k < depth; k++)
            one[k] = a[at * step + k] = (float)draw();
        ym_rows_pack(w, cols, 1, depth, cols, NULL, 0, cols, packed);
        ym_rows_mul(a, step, rows, packed, depth, cols, c, c_step);
        ym_rows_mul(one, step, 1, packed, depth, cols, alone, c_step);
        assert_memory_equal(c + at * c_step, alone, cols * sizeof *c);
        for (size_t j = 0; j < cols; j++) {
            double sum = 0, size = 0;

            for (size_t k = 0; k < depth; k++) {
                sum += (double)one[k] * w[k * cols + j];
                size += fabs((double)one[k] * w[k * cols + j]);
            }
            assert_true(fabs(alone[j] - sum) <= size * (double)(depth + 1) * 0x1p-24);
        }
        free(a);
        free(w);
        free(packed);
        free(c);
    }
}

/* What the radius makes room for: no term through more than YM_ROWS_ROUNDINGS roundings, and half a unit. */
static void sums_over_rows_keep_within_their_bound(void **state)
{
    (void)state;
    for (int t = 0; t < 60; t++) {
        size_t rows = 1 + draw_word() % YM_ROWS_MOST, outs = 1 + draw_word() % 30, ins = 1 + draw_word() % 70;
        size_t a_step = ym_rows_up(ins + 1, YM_ROWS_WIDE), e_step = ym_rows_up(outs, YM_ROWS_WIDE);
        float *a = calloc(rows * a_step, sizeof *a), *e = calloc(rows * e_step + YM_ROWS_SPARE, sizeof *e);
        float *tall = calloc(rows * ym_rows_up(outs, YM_ROWS_TALL), sizeof *tall);
        double scale[YM_ROWS_MOST];
        int64_t *sum = calloc(outs * ins, sizeof *sum), extra[30] = {0};

        for (size_t r = 0; r < rows; r++) {
            scale[r] = draw_word() % 8 ? 0x1p24 * (double)(draw_word() % 8) : 0;
            for (size_t k = 0; k <= ins; k++)
                a[r * a_step + k] = k == ins ? 1 : (float)(t % 2 ? draw() : fabs(draw()));
            for (size_t j = 0; j < outs; j++)
                e[r * e_step + j] = scale[r] > 0 ? (float)(t % 2 ? draw() : fabs(draw())) : NAN;
        }
        ym_rows_pack_tall(e, e_step, scale, rows, outs, tall);
        ym_rows_outer(tall, 0, outs, a, a_step, rows, ins, sum, ins, extra);
        for (size_t j = 0; j < outs; j++) {
            for (size_t k = 0; k <= ins; k++) {
                double exact = 0, size = 0, got = (double)(k < ins ? sum[j * ins + k] : extra[j]);

                for (size_t r = 0; r < rows; r++) {
                    double term = scale[r] > 0 ? (double)(float)(e[r * e_step + j] * scale[r]) * a[r * a_step + k] : 0;

                    exact += term;
                    size += fabs(term);
                }
                assert_true(fabs(got - exact) <= 0.5 + size * (YM_ROWS_ROUNDINGS * 0x1p-24 * (1 + 0x1p-12)));
            }
        }
        free(a);
        free(e);
        free(tall);
        free(sum);
    }
}

struct parting {
    uint32_t leaf[2000];   /* of each patient */
    uint32_t before[2000]; /* who stands before it there; itself: nobody */
    uint32_t leaves, room;
    const uint32_t *size; /* rows of each patient */
};

static void note_leaf(void *ctx, const struct ym_leaf_member *m, size_t n)
{
    struct parting *p = ctx;
    uint32_t rows = 0;

    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        assert_true(p->leaf[m[i].patient] == 0);
        p->leaf[m[i].patient] = p->leaves + 1;
        p->before[m[i].patient] = m[i > 0 ? i - 1 : 0].patient;
        rows += p->size[m[i].patient];
    }
    assert_true(rows <= p->room);
    p->leaves++;
}

static void part_all_but(struct parting *p, const uint64_t *label, uint32_t count, uint32_t out)
{
    static struct ym_leaf_member m[2000], scratch[2000];
    size_t n = 0;

    memset(p->leaf, 0, sizeof p->leaf);
    p->leaves = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i != out)
            m[n++] = (struct ym_leaf_member){label[i], i, p->size[i]};
    ym_leaves(m, scratch, n, p->room, note_leaf, p);
    for (uint32_t i = 0; i < count; i++)
        assert_true((p->leaf[i] > 0) == (i != out));
}

/* With a patient gone, leaves other than the patient's are as before, in the same order; and the leaf without
 * had become no more than its weight + 1 of them. */
static void an_arrival_changes_one_leaf(void **state)
{
    static struct parting with, without;

    (void)state;
    for (int t = 0; t < 300; t++) {
        uint32_t count = 1 + (uint32_t)(draw_word() % 2000), gone = (uint32_t)(draw_word() % count), size[2000];
        uint64_t label[2000];
        uint32_t home = 0, pieces = 0, seen = 0;

        for (uint32_t i = 0; i < count; i++) {
            label[i] = draw_word() >> (t % 3 ? 0 : 40); /* long equal beginnings too */
            size[i] = 1 + (uint32_t)(draw_word() % (t % 2 ? 1 : 64));
        }
        with.size = without.size = size;
        with.room = without.room = t % 5 ? 512 : 64 + (uint32_t)(draw_word() % 448);
        part_all_but(&with, label, count, UINT32_MAX);
        part_all_but(&without, label, count, gone);
        for (uint32_t i = 0; i < count; i++)
            if (i != gone && with.leaf[i] == with.leaf[gone])
                home = without.leaf[i];
        for (uint32_t i = 0; i < count; i++) {
            assert_true(i == gone || without.leaf[i] == home || without.before[i] == with.before[i]);
            for (uint32_t k = 0; k < i && i != gone; k++) /* together before and after, but for home */
                assert_true(k == gone || (without.leaf[i] == home && without.leaf[k] == home) ||
                            (with.leaf[i] == with.leaf[k]) == (without.leaf[i] == without.leaf[k]));
            if (home > 0 && (i == gone || without.leaf[i] == home) && with.leaf[i] != seen) {
                bool first = true;

                for (uint32_t k = 0; k < i && first; k++)
                    first = !((k == gone || without.leaf[k] == home) && with.leaf[k] == with.leaf[i]);
                pieces += first;
            }
        }
        assert_true(pieces <= size[gone] + 1);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct cohort c;
        struct ym_pool *pool = ym_pool_new(3);

        assert_non_null(pool);
        set_up(&c, &families[f]);
        sum_of(&c, c.everybody, PATIENTS, c.sum);
        ym_batch_share(c.w->batch, pool);
        sum_of(&c, c.everybody, PATIENTS, c.other);
        assert_memory_equal(c.other, c.sum, c.m.dim * sizeof *c.sum);
        tear_down(&c);
        ym_pool_free(pool);
    }
}

/* ---- against the integer route ---- */

/* Difference to a patient's own integer vector: the radius (cost units), truncation there and
 * rounding here (2 units a coordinate), and float's roundings in another order, 2^-15 of C. */
static double most_apart(const struct cohort *c, uint32_t patient)
{
    size_t rows = rows_of(patient);
    double cost = rows <= YM_BOUNDED_PATIENT ? ym_bounded_cost_units(c->m.dim, rows) : 0;

    return 1.01 * cost + 2 * sqrt((double)c->m.dim) + 0x1p24 * 0x1p-15;
}

static void ordinary_patients_get_the_integer_routes_gradient(void **state)
{
    size_t cancelled = 0;

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
                ym_local_add_patient(&step, i, 0);
                ym_local_settle(&step);
                if (sqrt((double)squared_distance(c.sum, c.other, c.m.dim)) >= most_apart(&c, i)) {
                    assert_true(rows_of(i) > 1); /* rows that cancel: it is clipped by its reach */
                    cancelled++;
                }
            }
        }
        tear_down(&c);
    }
    assert_true(cancelled <= 4); /* of 1080 */
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
            if (rows_of(who) > YM_BATCH_PATIENT_ROWS) {
                assert_true(moved_by(&c, who) == 0);
            } else { /* it is not in the sum; the others may be rounded otherwise */
                double most = ym_bounded_cost_units(c.m.dim, rows_of(who));

                assert_true((double)moved_by(&c, who) <= most * most);
            }
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

/* A linear model of one column that is 0 everywhere, at 0: only the bias has a gradient, -y.
 * 511 patients below the clip and one clipped to it: sums of 64 such terms are rounded to 64
 * units. What the last one's arrival adds. */
static int64_t arrival(struct ym_table *t, struct ym_local_work *w, const struct ym_plan *plan,
                       const struct ym_model *m, float y)
{
    const float params[2] = {0};
    uint32_t who[YM_BOUNDED_LEAF];
    uint64_t label[YM_BOUNDED_LEAF] = {0};
    int64_t sum[2][3] = {0};

    for (size_t i = 0; i + 1 < YM_BOUNDED_LEAF; i++)
        t->y[i + 1] = y;
    t->y[0] = 2;
    for (uint32_t without = 0; without < 2; without++) {
        struct ym_local_step step = {m, t, params, w, sum[without], plan->clip_norm, 0, plan};

        for (uint32_t i = 0; i < YM_BOUNDED_LEAF; i++)
            who[i] = i;
        ym_local_add_batched(&step, who + without, label, YM_BOUNDED_LEAF - without);
    }
    return llabs(sum[0][1] - sum[1][1]);
}

/* Without the cost in the radius, about every other arrival moves the sum by more than 2^24. */
static void rounding_of_the_sum_is_in_the_radius(void **state)
{
    struct ym_plan *plan = plan_make(YM_FAMILY_LINEAR, 1, 1);
    struct ym_table t = {.columns = 1, .rows = YM_BOUNDED_LEAF, .patients = YM_BOUNDED_LEAF};
    struct ym_local_work *w;
    struct ym_model m;
    double edge = -INFINITY;

    (void)state;
    plan->route = YM_ROUTE_BOUNDED;
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    t.x = calloc(t.rows, sizeof *t.x);
    t.y = calloc(t.rows, sizeof *t.y);
    t.first_row = calloc(t.rows + 1, sizeof *t.first_row);
    for (size_t i = 0; i <= t.rows; i++)
        t.first_row[i] = i;
    w = ym_local_work_new(plan, &m, &t);
    for (int i = 0; i < 500; i++) {
        int64_t moved = arrival(&t, w, plan, &m, (float)(0.7 + draw() / 4));

        assert_true(moved <= YM_CLIP_UNITS);
        edge = fmax(edge, ((double)moved - ym_bounded_radius(YM_CLIP_UNITS, m.dim, 1)));
    }
    assert_true(edge > 20); /* rounding took some of what is set aside */
    ym_local_work_free(w);
    plan_drop(plan);
    free(t.x);
    free(t.y);
    free(t.first_row);
}

static void cost_is_below_one_percent(void **state)
{
    (void)state;
    assert_true(ym_bounded_cost_units(1, 1) < 0.0043 * YM_CLIP_UNITS);
    assert_true(ym_bounded_cost_units(YM_PLAN_MAX_PARAMS, 1) < 0.01 * YM_CLIP_UNITS); /* one row: every plan */
    assert_true(ym_bounded_cost_units(2000000, YM_BOUNDED_PATIENT) < 0.01 * YM_CLIP_UNITS);
    assert_true(ym_bounded_radius(YM_CLIP_UNITS, 1, 1) < 0.9962 * YM_CLIP_UNITS);
    assert_true(ym_bounded_radius(1, 1, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_the_same_wherever_it_stands),
        cmocka_unit_test(sums_over_rows_keep_within_their_bound),
        cmocka_unit_test(an_arrival_changes_one_leaf),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(ordinary_patients_get_the_integer_routes_gradient),
        cmocka_unit_test(one_patient_moves_the_sum_by_at_most_the_clip),
        cmocka_unit_test(copies_of_one_patient_count_like_any_other),
        cmocka_unit_test(not_a_number_stays_with_its_patient),
        cmocka_unit_test(parameters_that_are_no_numbers_move_nothing),
        cmocka_unit_test(rounding_of_the_sum_is_in_the_radius),
        cmocka_unit_test(cost_is_below_one_percent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every layer of a network against plain loops in double of this file's own, written
 * from the definition without BLAS, and their finite differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"
#include "tensor/lanes.h"
#include "tests/support/plan.h"

#define MOST 8192 /* values of a layer */
#define IMAGES 3

#define CONV(c, k, s, p)                                                                                               \
    {                                                                                                                  \
        .kind = YM_LAYER_CONV2D, .units = c, .size = k, .stride = s, .padding = p                                      \
    }
#define MAX(k, s)                                                                                                      \
    {                                                                                                                  \
        .kind = YM_LAYER_MAX_POOL, .size = k, .stride = s                                                              \
    }
#define AVG(k, s)                                                                                                      \
    {                                                                                                                  \
        .kind = YM_LAYER_AVG_POOL, .size = k, .stride = s                                                              \
    }
#define NORM(g)                                                                                                        \
    {                                                                                                                  \
        .kind = YM_LAYER_GROUP_NORM, .units = g                                                                        \
    }
#define DENSE(w)                                                                                                       \
    {                                                                                                                  \
        .kind = YM_LAYER_DENSE, .units = w                                                                             \
    }
#define TANH                                                                                                           \
    {                                                                                                                  \
        .kind = YM_LAYER_TANH                                                                                          \
    }
#define RELU                                                                                                           \
    {                                                                                                                  \
        .kind = YM_LAYER_RELU                                                                                          \
    }
#define RESIDUAL                                                                                                       \
    {                                                                                                                  \
        .kind = YM_LAYER_RESIDUAL                                                                                      \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .kind = YM_LAYER_RESIDUAL_END                                                                                  \
    }

static const struct stack {
    const char *name;
    struct ym_extent image;
    size_t outputs;
    struct ym_layer layer[12];
} stacks[] = {
    {"dense alone", {3, 2, 1}, 3, {DENSE(3)}},
    {"conv", {6, 5, 2}, 1, {CONV(3, 3, 1, 1), TANH, DENSE(1)}},
    {"conv, wide padding and stride", {7, 9, 1}, 3, {CONV(4, 5, 3, 4), RELU, DENSE(3)}},
    {"conv on conv", {9, 9, 3}, 4, {CONV(2, 4, 2, 2), TANH, CONV(5, 2, 1, 0), TANH, DENSE(7), RELU, DENSE(4)}},
    {"pools",
     {11, 10, 2},
     1,
     {CONV(4, 2, 1, 0), TANH, MAX(2, 1), CONV(3, 1, 1, 0), AVG(3, 2), TANH, MAX(2, 2), DENSE(1)}},
    {"pool first", {8, 8, 3}, 3, {MAX(2, 2), AVG(2, 1), TANH, CONV(2, 2, 1, 0), RELU, TANH, DENSE(3)}},
    {"group norm", {5, 5, 2}, 3, {CONV(6, 3, 1, 1), NORM(3), RELU, CONV(4, 2, 1, 0), NORM(1), TANH, NORM(4), DENSE(3)}},
    {"residual",
     {6, 6, 2},
     3,
     {CONV(4, 3, 1, 1), RELU, RESIDUAL, RELU, CONV(4, 3, 1, 1), NORM(2), TANH, CONV(4, 1, 1, 0), END, RELU, DENSE(3)}},
    {"residual first", {5, 4, 2}, 1, {RESIDUAL, TANH, CONV(2, 3, 1, 1), END, RESIDUAL, NORM(1), END, TANH, DENSE(1)}},
    {"Tramer and Boneh, small",
     {28, 28, 1},
     10,
     {CONV(4, 8, 2, 3), TANH, MAX(2, 1), CONV(3, 4, 2, 0), TANH, MAX(2, 1), DENSE(5), TANH, DENSE(10)}},
};
#define STACKS (sizeof stacks / sizeof *stacks)

static uint64_t state_of_draws = 7;

static double draw(void) /* uniform on [-1, 1) */
{
    uint64_t z = state_of_draws += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

struct setup {
    struct ym_plan *plan;
    struct ym_model m;
    size_t columns;
    float *params, *g, *x, y[IMAGES];
    double *wide;
    struct ym_model_work *work;
};

static void set_up(struct setup *s, const struct stack *k)
{
    struct ym_variable *v;

    memset(s, 0, sizeof *s);
    s->plan = plan_make(YM_FAMILY_NETWORK, 1, k->outputs);
    v = &s->plan->input[0];
    v->kind = YM_VAR_IMAGE;
    v->height = k->image.height, v->width = k->image.width, v->channels = k->image.channels;
    ym_network_begin(&s->plan->network, k->image);
    for (size_t i = 0; k->layer[i].kind; i++)
        assert_int_equal(ym_network_add(&s->plan->network, k->layer[i]), YM_LAYER_FITS);
    assert_int_equal(ym_model_from_plan(s->plan, &s->m, NULL), YM_OK);
    s->columns = ym_model_columns(&s->m);
    s->params = calloc(s->m.dim, sizeof *s->params);
    s->wide = calloc(s->m.dim, sizeof *s->wide);
    s->g = calloc(s->m.dim, sizeof *s->g);
    s->x = calloc(IMAGES * s->columns, sizeof *s->x);
    s->work = ym_model_work_new(&s->m, IMAGES);
    for (size_t i = 0; i < s->m.dim; i++)
        s->wide[i] = s->params[i] = (float)(draw() * 0.7);
    for (size_t i = 0; i < IMAGES * s->columns; i++)
        s->x[i] = (float)draw();
    for (size_t i = 0; i < IMAGES; i++)
        s->y[i] = (float)(i % (k->outputs == 1 ? 2 : k->outputs));
}

static void tear_down(struct setup *s)
{
    ym_model_work_free(s->work);
    free(s->params);
    free(s->wide);
    free(s->g);
    free(s->x);
    plan_drop(s->plan);
}

/* ---- the reference ---- */

/* Value at a place of the image, 0 beyond its border. */
static double pixel(const struct ym_layer *l, const double *a, long y, long x, size_t c)
{
    bool inside = y >= 0 && x >= 0 && y < (long)l->in.height && x < (long)l->in.width;

    return inside ? a[((size_t)y * l->in.width + (size_t)x) * l->in.channels + c] : 0;
}

static double window(const struct ym_layer *l, const double *params, const double *a, size_t row, size_t column,
                     size_t c)
{
    double sum = l->kind == YM_LAYER_CONV2D ? params[l->offset + l->weights + c] : 0, most = -INFINITY;
    const double *w = params + l->offset + c * l->size * l->size * l->in.channels;

    for (long i = 0; i < l->size; i++) {
        for (long j = 0; j < l->size; j++) {
            long y = (long)(row * l->stride) + i - l->padding, x = (long)(column * l->stride) + j - l->padding;

            if (l->kind != YM_LAYER_CONV2D) {
                most = fmax(most, pixel(l, a, y, x, c));
                sum += pixel(l, a, y, x, c) / (double)(l->size * l->size);
                continue;
            }
            for (size_t k = 0; k < l->in.channels; k++)
                sum += *w++ * pixel(l, a, y, x, k);
        }
    }
    return l->kind == YM_LAYER_MAX_POOL ? most : sum;
}

static double normed(const struct ym_layer *l, const double *params, const double *a, size_t at)
{
    size_t c = at % l->in.channels, wide = l->in.channels / l->units, group = c / wide, count = 0;
    double sum = 0, squares = 0;

    for (size_t i = 0; i < ym_extent_values(l->in); i++) {
        if (i % l->in.channels / wide != group)
            continue;
        count++;
        sum += a[i];
        squares += a[i] * a[i];
    }
    sum /= (double)count;
    return (a[at] - sum) / sqrt(squares / (double)count - sum * sum + 1e-5) * params[l->offset + c] +
           params[l->offset + l->weights + c];
}

static double value_at(const struct ym_layer *l, const double *params, const double *a, const double *kept, size_t i)
{
    size_t c = i % l->out.channels, place = i / l->out.channels;
    double sum;

    switch (l->kind) {
    case YM_LAYER_TANH:
        return tanh(a[i]);
    case YM_LAYER_RELU:
        return fmax(a[i], 0);
    case YM_LAYER_GROUP_NORM:
        return normed(l, params, a, i);
    case YM_LAYER_RESIDUAL:
        return a[i];
    case YM_LAYER_RESIDUAL_END:
        return a[i] + kept[i];
    case YM_LAYER_DENSE:
        sum = params[l->offset + l->weights + i];
        for (size_t k = 0; k < ym_extent_values(l->in); k++)
            sum += params[l->offset + i * ym_extent_values(l->in) + k] * a[k];
        return sum;
    default:
        return window(l, params, a, place / l->out.width, place % l->out.width, c);
    }
}

static double reference_row(const struct ym_model *m, const double *params, const float *x, float y)
{
    static double a[MOST], z[MOST], kept[MOST];
    size_t k = ym_model_outputs(m);
    double total = 0;

    for (size_t i = 0; i < ym_model_columns(m); i++)
        a[i] = x[i];
    for (size_t l = 0; l < m->network.count; l++) {
        const struct ym_layer *at = &m->network.layer[l];

        if (at->kind == YM_LAYER_RESIDUAL)
            memcpy(kept, a, sizeof a);
        for (size_t i = 0; i < ym_extent_values(at->out); i++)
            z[i] = value_at(at, params, a, kept, i);
        memcpy(a, z, sizeof a);
    }
    if (k == 1)
        return log1p(exp(-(y > 0.5f ? a[0] : -a[0])));
    for (size_t c = 0; c < k; c++)
        total += exp(a[c]);
    return log(total) - a[(size_t)y];
}

static double reference_loss(const struct setup *s, size_t n)
{
    double total = 0;

    for (size_t i = 0; i < n; i++)
        total += reference_row(&s->m, s->wide, s->x + i * s->columns, s->y[i]);
    return total / (double)n;
}

static double slope_of(struct setup *s, size_t i, size_t n)
{
    const double h = 1e-6; /* truncation ~1e-12, rounding ~1e-10; float32 ~1e-6 rules */
    double keep = s->wide[i], up, down;

    s->wide[i] = keep + h;
    up = reference_loss(s, n);
    s->wide[i] = keep - h;
    down = reference_loss(s, n);
    s->wide[i] = keep;
    return (up - down) / (2 * h);
}

static void gradient_is_the_finite_difference(void **state)
{
    (void)state;
    for (size_t k = 0; k < STACKS; k++) {
        struct setup s;

        set_up(&s, &stacks[k]);
        for (size_t n = 1; n <= IMAGES; n += 2) {
            ym_model_patient_gradient(&s.m, s.params, s.x, s.y, n, s.work, s.g);
            for (size_t i = 0; i < s.m.dim; i++) {
                double slope = slope_of(&s, i, n);

                if (!(fabs(slope - s.g[i]) <= 4e-6 + 1e-5 * fabs(slope)))
                    fail_msg("%s, %zu images, parameter %zu: %.9g, should be %.9g", stacks[k].name, n, i,
                             (double)s.g[i], slope);
            }
        }
        tear_down(&s);
    }
}

static void loss_is_the_reference(void **state)
{
    (void)state;
    for (size_t k = 0; k < STACKS; k++) {
        struct setup s;
        double loss;

        set_up(&s, &stacks[k]);
        loss = ym_model_loss(&s.m, s.params, s.x, s.y, IMAGES, s.work, NULL);
        assert_true(fabs(loss - reference_loss(&s, IMAGES)) < 2e-6 * (1 + loss));
        tear_down(&s);
    }
}

/* Nothing of the images before is left: to the bit. */
static void gradient_forgets_the_patient_before(void **state)
{
    (void)state;
    for (size_t k = 0; k < STACKS; k++) {
        struct setup s;
        float *first;

        set_up(&s, &stacks[k]);
        first = malloc(s.m.dim * sizeof *first);
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 1, s.work, first);
        ym_model_patient_gradient(&s.m, s.params, s.x + s.columns, s.y + 1, 2, s.work, s.g);
        memset(s.g, 0x7f, s.m.dim * sizeof *s.g);
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 1, s.work, s.g);
        assert_memory_equal(first, s.g, s.m.dim * sizeof *first);
        free(first);
        tear_down(&s);
    }
}

static void poisoned_pixel_poisons_the_gradient(void **state)
{
    (void)state;
    for (size_t k = 0; k < STACKS; k++) {
        struct setup s;
        bool finite = true;

        set_up(&s, &stacks[k]);
        s.x[s.columns / 2] = NAN;
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 2, s.work, s.g);
        for (size_t i = 0; i < s.m.dim; i++)
            finite = finite && isfinite(s.g[i]);
        assert_false(finite); /* the clip then makes the patient zero */
        tear_down(&s);
    }
}

static void tensors_cover_the_parameters(void **state)
{
    struct setup s;
    size_t at = 0;
    struct ym_tensor_info t;

    (void)state;
    set_up(&s, &stacks[7]);
    assert_int_equal(ym_model_tensors(&s.m), 10);
    for (size_t i = 0; i < ym_model_tensors(&s.m); i++) {
        size_t count = 1;

        t = ym_model_tensor(&s.m, i);
        for (size_t k = 0; k < t.rank; k++)
            count *= t.shape[k];
        assert_int_equal(t.offset, at);
        assert_int_equal(count, t.rows * (t.cols ? t.cols : 1));
        at += count;
    }
    assert_int_equal(at, s.m.dim);
    t = ym_model_tensor(&s.m, 2);
    assert_string_equal(t.name, "conv2.weight");
    assert_int_equal(t.rank, 4);
    assert_int_equal(t.shape[0], 4);
    assert_int_equal(t.shape[1], 3);
    assert_int_equal(t.shape[3], 4);
    t = ym_model_tensor(&s.m, 4);
    assert_string_equal(t.name, "norm1.weight");
    assert_int_equal(t.rank, 1);
    tear_down(&s);
}

static void first_parameters_hang_on_the_seed_alone(void **state)
{
    struct setup s;

    (void)state;
    set_up(&s, &stacks[7]);
    ym_model_init_params(&s.m, 5, s.params);
    ym_model_init_params(&s.m, 5, s.g);
    assert_memory_equal(s.params, s.g, s.m.dim * sizeof *s.g);
    for (size_t i = 0; i < ym_model_tensors(&s.m); i++) {
        struct ym_tensor_info t = ym_model_tensor(&s.m, i);
        bool norm = strncmp(t.name, "norm", 4) == 0;

        if (i % 2 || norm)
            assert_true(s.params[t.offset] == (norm && i % 2 == 0 ? 1 : 0));
        else
            assert_true(s.params[t.offset] != 0 && fabsf(s.params[t.offset]) < 1);
    }
    tear_down(&s);
}

static void tanh_is_within_three_units(void **state)
{
    static const float edges[] = {0.0f, -0.0f, 1e-45f, 1e-20f, 0.1732868f, 10, 30, INFINITY, -INFINITY, 9.01f};
    float z;

    (void)state;
    for (long i = 0; i < 400000; i++) {
        float x = i < 10 ? edges[i] : (float)(draw() * exp(draw() * 12)), unit;
        double truth = tanh((double)x);

        z = x;
        ym_lanes_tanh(&z, 1);
        unit = nextafterf(fabsf((float)truth), INFINITY) - fabsf((float)truth);
        if (!(fabs(z - truth) <= 3 * (double)unit))
            fail_msg("tanh(%.9g) = %.9g, should be %.9g", (double)x, (double)z, truth);
        assert_true(signbit(z) == signbit(x));
    }
    z = NAN;
    ym_lanes_tanh(&z, 1);
    assert_true(isnan(z));
}

static void logistic_is_within_four_units(void **state)
{
    static const float edges[] = {0.0f, -0.0f, 1e-45f, -1e-20f, 87, -87, -86.99f, 1e30f, INFINITY, -17.32868f};
    float z;

    (void)state;
    for (long i = 0; i < 400000; i++) {
        float x = i < 10 ? edges[i] : (float)(draw() * exp(draw() * 4.4)), unit;
        double truth = 1 / (1 + exp(-fmax((double)x, -87)));

        z = x;
        ym_lanes_logistic(&z, 1);
        unit = nextafterf((float)truth, INFINITY) - (float)truth;
        if (!(fabs(z - truth) <= 4 * (double)unit))
            fail_msg("logistic(%.9g) = %.9g, should be %.9g", (double)x, (double)z, truth);
    }
    z = -INFINITY;
    ym_lanes_logistic(&z, 1);
    assert_true(z > 0 && z < 1e-37f);
    z = NAN;
    ym_lanes_logistic(&z, 1);
    assert_true(isnan(z));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_finite_difference),
        cmocka_unit_test(loss_is_the_reference),
        cmocka_unit_test(gradient_forgets_the_patient_before),
        cmocka_unit_test(poisoned_pixel_poisons_the_gradient),
        cmocka_unit_test(tensors_cover_the_parameters),
        cmocka_unit_test(first_parameters_hang_on_the_seed_alone),
        cmocka_unit_test(tanh_is_within_three_units),
        cmocka_unit_test(logistic_is_within_four_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Gradients of one patient against a double-precision model of its own, written
 * without BLAS, and against that model's finite differences. */
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
#include "tests/support/plan.h"

#define MAX_ROWS 9
#define WIDEST 16

struct family {
    const char *name;
    enum ym_family family;
    enum ym_activation activation;
    size_t columns, outputs, hidden[2], hidden_count;
};

static const struct family families[] = {
    {"linear", YM_FAMILY_LINEAR, YM_ACT_TANH, 7, 1, {0}, 0},
    {"logistic", YM_FAMILY_LOGISTIC, YM_ACT_TANH, 5, 1, {0}, 0},
    {"multinomial", YM_FAMILY_MULTINOMIAL, YM_ACT_TANH, 6, 4, {0}, 0},
    {"mlp tanh, two levels", YM_FAMILY_MLP, YM_ACT_TANH, 5, 1, {8, 3}, 2},
    {"mlp relu, three levels", YM_FAMILY_MLP, YM_ACT_RELU, 4, 3, {6, 5}, 2},
    {"mlp tanh, one layer, five levels", YM_FAMILY_MLP, YM_ACT_TANH, 3, 5, {11}, 1},
    {"poisson", YM_FAMILY_POISSON, YM_ACT_TANH, 5, 1, {0}, 0},
    {"discrete hazard", YM_FAMILY_DISCRETE_HAZARD, YM_ACT_TANH, 6, 1, {0}, 0},
    {"piecewise exponential", YM_FAMILY_PIECEWISE_EXPONENTIAL, YM_ACT_TANH, 4, 1, {0}, 0},
};
#define FAMILIES (sizeof families / sizeof *families)

static uint64_t state_of_draws = 42;

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
    float *params, *g;
    float x[MAX_ROWS * WIDEST], y[MAX_ROWS * 2];
    struct ym_model_work *work;
};

static void set_up(struct setup *s, const struct family *f)
{
    memset(s, 0, sizeof *s);
    s->plan = plan_make(f->family, f->columns, f->outputs);
    s->plan->activation = f->activation;
    s->plan->hidden_count = f->hidden_count;
    for (size_t i = 0; i < f->hidden_count; i++)
        s->plan->hidden[i] = (uint32_t)f->hidden[i];
    assert_int_equal(ym_model_from_plan(s->plan, &s->m, NULL), YM_OK);
    assert_int_equal(s->m.width[s->m.layer_count], f->outputs);
    s->params = calloc(s->m.dim, sizeof *s->params);
    s->g = calloc(s->m.dim, sizeof *s->g);
    s->work = ym_model_work_new(&s->m, MAX_ROWS);
    for (size_t i = 0; i < s->m.dim; i++)
        s->params[i] = (float)draw();
    for (size_t i = 0; i < MAX_ROWS * f->columns; i++)
        s->x[i] = (float)draw();
    for (size_t i = 0; i < MAX_ROWS; i++)
        s->y[i] = f->family == YM_FAMILY_LINEAR ? (float)draw() : (float)(i % (f->outputs == 1 ? 2 : f->outputs));
    for (size_t i = 0; i < MAX_ROWS && ym_model_targets(&s->m) == 2; i++) {
        s->y[2 * i] = (float)(i % 3);
        s->y[2 * i + 1] = (float)draw();
    }
}

static float *outcome_of(struct setup *s, size_t row)
{
    return s->y + row * ym_model_targets(&s->m);
}

static void tear_down(struct setup *s)
{
    ym_model_work_free(s->work);
    free(s->params);
    free(s->g);
    plan_drop(s->plan);
}

/* ---- the reference: plain loops in double ---- */

static double reference_row(const struct ym_model *m, const double *params, const float *x, const float *outcome)
{
    double a[WIDEST], z[WIDEST], y = outcome[0];
    size_t k = m->width[m->layer_count];

    for (size_t i = 0; i < m->width[0]; i++)
        a[i] = x[i];
    for (size_t l = 0; l < m->layer_count; l++) {
        size_t in = m->width[l], out = m->width[l + 1];

        for (size_t o = 0; o < out; o++) {
            z[o] = params[in * out + o];
            for (size_t i = 0; i < in; i++)
                z[o] += params[o * in + i] * a[i];
        }
        params += (in + 1) * out;
        for (size_t o = 0; o < out && l + 1 < m->layer_count; o++)
            a[o] = m->relu ? fmax(z[o], 0) : tanh(z[o]);
    }
    if (m->loss == YM_LOSS_POISSON)
        return exp(z[0] + outcome[1]) - y * (z[0] + outcome[1]);
    if (m->loss == YM_LOSS_SQUARED)
        return (z[0] - y) * (z[0] - y) / 2;
    if (m->loss == YM_LOSS_LOGISTIC)
        return log1p(exp(-(y > 0.5 ? z[0] : -z[0])));
    double total = 0;

    for (size_t c = 0; c < k; c++)
        total += exp(z[c]);
    return log(total) - z[(size_t)y];
}

static double reference_loss(struct setup *s, const double *params, size_t n)
{
    double total = 0;

    for (size_t i = 0; i < n; i++)
        total += reference_row(&s->m, params, s->x + i * s->m.width[0], outcome_of(s, i));
    return s->m.summed ? total : total / (double)n;
}

static void gradient_is_the_finite_difference(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct setup s;

        set_up(&s, &families[f]);
        for (size_t n = 1; n <= MAX_ROWS; n += 4) {
            double *p = calloc(s.m.dim, sizeof *p);

            for (size_t i = 0; i < s.m.dim; i++)
                p[i] = s.params[i];
            ym_model_patient_gradient(&s.m, s.params, s.x, s.y, n, s.work, s.g);
            for (size_t i = 0; i < s.m.dim; i++) {
                const double h = 1e-5; /* truncation ~1e-10, rounding ~1e-11; float32 ~1e-6 rules */
                double keep = p[i], up, down, slope;

                p[i] = keep + h;
                up = reference_loss(&s, p, n);
                p[i] = keep - h;
                down = reference_loss(&s, p, n);
                p[i] = keep;
                slope = (up - down) / (2 * h);
                if (fabs(slope - s.g[i]) > 2e-6 + 5e-6 * fabs(slope))
                    fail_msg("%s, %zu rows, parameter %zu: %.9g, should be %.9g", families[f].name, n, i,
                             (double)s.g[i], slope);
            }
            free(p);
        }
        tear_down(&s);
    }
}

static void loss_is_the_reference(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct setup s;
        struct ym_model_work *small;
        double p[512], loss;

        set_up(&s, &families[f]);
        assert_true(s.m.dim <= 512);
        for (size_t i = 0; i < s.m.dim; i++)
            p[i] = s.params[i];
        s.m.summed = 0; /* loss is told by rows */
        loss = ym_model_loss(&s.m, s.params, s.x, s.y, MAX_ROWS, s.work, NULL);
        assert_true(fabs(loss - reference_loss(&s, p, MAX_ROWS)) < 1e-6 * (1 + loss));
        small = ym_model_work_new(&s.m, 2); /* scratch for fewer rows than asked for */
        assert_true(fabs(loss - ym_model_loss(&s.m, s.params, s.x, s.y, MAX_ROWS, small, NULL)) < 1e-6 * (1 + loss));
        ym_model_work_free(small);
        tear_down(&s);
    }
}

/* A patient's gradient is the mean, or for survival families the sum, of the gradients of its rows taken alone. */
static void batch_is_one_by_one(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct setup s;
        double mean[512] = {0};

        set_up(&s, &families[f]);
        for (size_t r = 0; r < MAX_ROWS; r++) {
            ym_model_patient_gradient(&s.m, s.params, s.x + r * s.m.width[0], outcome_of(&s, r), 1, s.work, s.g);
            for (size_t i = 0; i < s.m.dim; i++)
                mean[i] += s.g[i] / (s.m.summed ? 1 : (double)MAX_ROWS);
        }
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, MAX_ROWS, s.work, s.g);
        for (size_t i = 0; i < s.m.dim; i++)
            assert_true(fabs(s.g[i] - mean[i]) <= 1e-6 + 2e-6 * fabs(mean[i]));
        tear_down(&s);
    }
}

static void gradient_forgets_the_patient_before(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct setup s;
        float first[512];

        set_up(&s, &families[f]);
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 3, s.work, s.g);
        memcpy(first, s.g, s.m.dim * sizeof *first);
        ym_model_patient_gradient(&s.m, s.params, s.x + s.m.width[0], outcome_of(&s, 1), 7, s.work, s.g);
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 3, s.work, s.g);
        assert_memory_equal(first, s.g, s.m.dim * sizeof *first);
        tear_down(&s);
    }
}

static void poisoned_row_poisons_the_gradient(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        struct setup s;
        bool finite = true;

        set_up(&s, &families[f]);
        s.x[1] = NAN;
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, 2, s.work, s.g);
        for (size_t i = 0; i < s.m.dim; i++)
            finite = finite && isfinite(s.g[i]);
        assert_false(finite); /* the clip then makes the patient zero */
        tear_down(&s);
    }
}

static void extreme_scores_stay_numbers(void **state)
{
    (void)state;
    for (size_t f = 1; f < 3; f++) {
        struct setup s;
        float p[MAX_ROWS * WIDEST];

        set_up(&s, &families[f]);
        for (size_t i = 0; i < s.m.dim; i++)
            s.params[i] *= 1e6f;
        assert_true(isfinite(ym_model_loss(&s.m, s.params, s.x, s.y, MAX_ROWS, s.work, NULL)));
        ym_model_predict(&s.m, s.params, s.x, MAX_ROWS, s.work, p);
        ym_model_patient_gradient(&s.m, s.params, s.x, s.y, MAX_ROWS, s.work, s.g);
        for (size_t i = 0; i < s.m.dim; i++)
            assert_true(isfinite(s.g[i]));
        for (size_t r = 0; r < MAX_ROWS; r++) {
            float total = 0;

            for (size_t c = 0; c < families[f].outputs; c++) {
                assert_true(p[r * families[f].outputs + c] >= 0 && p[r * families[f].outputs + c] <= 1);
                total += p[r * families[f].outputs + c];
            }
            assert_true(families[f].outputs == 1 || fabsf(total - 1) < 1e-5f);
        }
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_finite_difference),
        cmocka_unit_test(loss_is_the_reference),
        cmocka_unit_test(batch_is_one_by_one),
        cmocka_unit_test(gradient_forgets_the_patient_before),
        cmocka_unit_test(poisoned_row_poisons_the_gradient),
        cmocka_unit_test(extreme_scores_stay_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

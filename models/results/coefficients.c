#include "models/results/coefficients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_interactions(const struct ym_plan *plan)
{
    struct ym_term t;

    for (size_t i = 0; ym_plan_term(plan, i, &t); i++)
        if (t.count > 1)
            return true;
    return false;
}

/* A number of one output in study units: scaled = slope * value + shift. Its indicator is 1 where the scaled column is
 * 0, that is in the middle of the range, and an unscaled one has 0 there: the shift moves into the indicator too. */
static void unscale_term(const struct ym_plan *plan, const struct ym_term *t, struct ym_coefficient *intercept,
                         struct ym_coefficient *c)
{
    const struct ym_variable *v = &plan->input[t->factor[0].input];
    double low, slope, shift;

    if (v->kind != YM_VAR_NUMBER)
        return;
    low = ym_design_transform(plan, t->factor[0], v->low, YM_UNITS_STUDY);
    slope = 2 / (ym_design_transform(plan, t->factor[0], v->high, YM_UNITS_STUDY) - low);
    shift = c->scaled * (-1 - slope * low);
    c->study = c->scaled * slope;
    intercept->study += shift;
    if (v->missing == YM_MISSING_INDICATOR && t->factor[0].transform == YM_AS_IS)
        c[1].study -= shift;
}

static size_t term_width(const struct ym_plan *plan, const struct ym_term *t)
{
    const struct ym_variable *v = &plan->input[t->factor[0].input];
    bool flag = v->missing == YM_MISSING_INDICATOR && t->factor[0].transform == YM_AS_IS;

    return (v->kind == YM_VAR_NUMBER ? 1 : v->level_count - 1) + flag;
}

/* Where the outcome, or what is added to the predictor, is scaled too. */
static void unscale_outcome(const struct ym_plan *plan, const struct ym_model *m, struct ym_coefficient *c, size_t n)
{
    double half = (plan->outcome.high - plan->outcome.low) / 2;

    if (m->loss == YM_LOSS_SQUARED) {
        for (size_t i = 0; i < n; i++)
            c[i].study *= half;
        c[0].study += plan->outcome.low + half;
    }
    if (plan->has_offset) /* log(value / high) is added */
        c[0].study -= log(plan->input[plan->offset.input].high);
    if (plan->family == YM_FAMILY_PIECEWISE_EXPONENTIAL) /* time counts in units of its high */
        c[0].study -= log(plan->input[plan->time_input].high);
}

static void one_output(const struct ym_plan *plan, const struct ym_model *m, struct ym_coefficient *c, size_t n)
{
    struct ym_coefficient *at = c + 1;
    struct ym_term t;

    for (size_t i = 0; i < n; i++)
        c[i].study = c[i].scaled;
    for (size_t i = 0; ym_plan_term(plan, i, &t); i++) {
        unscale_term(plan, &t, &c[0], at);
        at += term_width(plan, &t);
    }
    unscale_outcome(plan, m, c, n);
}

/* Output k; of several, its difference to the first, for only differences have a meaning. */
static void take(const struct ym_plan *plan, const struct ym_model *m, const float *params, size_t k,
                 struct ym_coefficient *c)
{
    size_t columns = m->width[0];
    struct ym_tensor_info w = ym_model_tensor(m, 0), b = ym_model_tensor(m, 1);
    const float *weight = params + w.offset, *bias = params + b.offset;

    for (size_t i = 0; i <= columns; i++) {
        c[i].scaled = (double)(i == 0 ? bias[k] : weight[k * columns + i - 1]);
        if (k > 0)
            c[i].scaled -= (double)(i == 0 ? bias[0] : weight[i - 1]);
        c[i].level = plan->outcome.kind == YM_VAR_NUMBER ? 0 : k > 0 ? k : 1;
        c[i].study = NAN;
        if (i == 0)
            snprintf(c[i].name, sizeof c[i].name, "intercept");
        else
            ym_design_name(plan, i - 1, c[i].name);
    }
    if (!has_interactions(plan))
        one_output(plan, m, c, columns + 1);
}

enum ym_code ym_coefficients(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             struct ym_coefficient **out, size_t *count, struct ym_status *st)
{
    size_t outputs = ym_model_outputs(m), first = outputs > 1, rows;
    struct ym_coefficient *c;

    if (m->layer_count != 1)
        return ym_status_set(st, YM_INVALID, "a model with hidden layers has no coefficients");
    rows = (outputs - first) * (m->width[0] + 1);
    c = calloc(rows, sizeof *c);
    if (!c)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the coefficients");
    for (size_t k = first; k < outputs; k++)
        take(plan, m, params, k, c + (k - first) * (m->width[0] + 1));
    *out = c;
    *count = rows;
    return YM_OK;
}

#include "models/scaling.h"

#include <math.h>

#include "models/shape.h"

_Static_assert(YM_MODEL_MAX_EXTRA >= 1 + 2 * YM_PLAN_MAX_INPUTS, "log_clip, and a mean and a scale an input");

struct walk { /* over the number columns of a plan that scales */
    const struct ym_plan *plan;
    size_t input, next, column; /* column: of the design matrix */
};

static bool walk_on(struct walk *w)
{
    while (w->input < w->plan->input_count) {
        const struct ym_variable *v = &w->plan->input[w->input++];

        if (v->role != YM_AS_COLUMN)
            continue;
        w->column = w->next;
        w->next += (v->kind == YM_VAR_NUMBER ? 1 : v->level_count - 1) + (v->missing == YM_MISSING_INDICATOR);
        if (v->kind == YM_VAR_NUMBER)
            return true;
    }
    return false;
}

static struct walk walk_over(const struct ym_plan *plan)
{
    return (struct walk){.plan = plan, .input = plan->scaling_sigma_units > 0 ? 0 : plan->input_count};
}

static double *means_of(const struct ym_plan *plan, double *extra)
{
    return extra + (plan->clip_bit_units > 0);
}

int32_t ym_scaling_units(const struct ym_plan *plan)
{
    const uint64_t count = 1 + 2 * ym_plan_scaled_columns(plan), ball = (uint64_t)1 << 48;
    uint64_t units = (uint64_t)sqrt((double)(ball / count)) + 1;

    while (count * units * units > ball)
        units--;
    return (int32_t)units;
}

static void initial_columns(size_t count, double *mean)
{
    for (size_t k = 0; k < count; k++) {
        mean[k] = 0;
        mean[count + k] = 1;
    }
}

void ym_scaling_initial(const struct ym_plan *plan, double *extra)
{
    if (plan->clip_bit_units > 0)
        extra[0] = 0;
    initial_columns(ym_plan_scaled_columns(plan), means_of(plan, extra));
}

void ym_scaling_estimate(const struct ym_plan *plan, const int64_t *sums, double *extra)
{
    size_t count = ym_plan_scaled_columns(plan);
    double *mean = means_of(plan, extra), *scale = mean + count, patients = (double)sums[0];

    initial_columns(count, mean);
    for (size_t k = 0; k < count && sums[0] > 0; k++) {
        double first = (double)sums[1 + k] / patients, second = (double)sums[1 + count + k] / patients;
        double centre = first > 1 ? 1 : first < -1 ? -1 : first, spread = second - centre * centre;

        spread = spread > 0 ? sqrt(spread) : 0;
        mean[k] = centre;
        scale[k] = spread < plan->scaling_least ? plan->scaling_least : spread > 1 ? 1 : spread;
    }
}

bool ym_scaling_valid(const struct ym_plan *plan, const double *extra)
{
    size_t count = ym_plan_scaled_columns(plan);
    const double *mean = extra + (plan->clip_bit_units > 0), *scale = mean + count;

    for (size_t k = 0; k < count; k++)
        if (!(fabs(mean[k]) <= 1) || !(scale[k] >= plan->scaling_least && scale[k] <= 1))
            return false;
    return true;
}

void ym_scaling_apply(const struct ym_plan *plan, const double *extra, size_t rows, float *x)
{
    size_t count = ym_plan_scaled_columns(plan), columns = ym_plan_columns(plan), k = 0;
    const double *mean = extra + (plan->clip_bit_units > 0), *scale = mean + count;

    for (struct walk w = walk_over(plan); walk_on(&w); k++)
        for (size_t r = 0; r < rows; r++) {
            float *at = &x[r * columns + w.column];

            *at = (float)(((double)*at - mean[k]) / scale[k]);
        }
}

void ym_scaling_fold(const struct ym_plan *plan, const struct ym_model *m, const double *extra, float *params)
{
    size_t count = ym_plan_scaled_columns(plan);
    const double *mean = extra + (plan->clip_bit_units > 0), *scale = mean + count;

    for (size_t o = 0; o < m->width[1] && count > 0; o++) {
        float *weight = params + o * m->width[0], *bias = params + ym_model_bias_offset(m, 0) + o;
        double shift = 0;
        size_t k = 0;

        for (struct walk w = walk_over(plan); walk_on(&w); k++) {
            double v = (double)weight[w.column] / scale[k];

            shift += v * mean[k];
            weight[w.column] = (float)v;
        }
        *bias = (float)((double)*bias - shift);
    }
}

/* v in [-1, 1] to the lattice; the cut makes the bound hold whatever the rows held. */
static int64_t on_lattice(double v, double units)
{
    return isfinite(v) ? (int64_t)((v > 1 ? 1 : v < -1 ? -1 : v) * units) : 0;
}

void ym_scaling_add_patient(const struct ym_plan *plan, const float *x, size_t rows, int64_t *sums)
{
    size_t count = ym_plan_scaled_columns(plan), columns = ym_plan_columns(plan), k = 0;
    double units = ym_scaling_units(plan);

    sums[0] += (int64_t)units;
    for (struct walk w = walk_over(plan); walk_on(&w); k++) {
        double first = 0, second = 0;

        for (size_t r = 0; r < rows; r++) {
            double u = (double)x[r * columns + w.column];

            first += u;
            second += u * u;
        }
        sums[1 + k] += on_lattice(first / (double)rows, units);
        sums[1 + count + k] += on_lattice(second / (double)rows, units);
    }
}

#include "gate/design.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gate/formula.h"

static const struct ym_variable *input_of(const struct ym_plan *plan, struct ym_factor f)
{
    return &plan->input[f.input];
}

static size_t factor_width(const struct ym_plan *plan, struct ym_factor f)
{
    const struct ym_variable *v = input_of(plan, f);
    if (v->kind == YM_VAR_IMAGE)
        return (size_t)v->height * v->width * v->channels;
    return v->kind == YM_VAR_CATEGORY && v->level_count ? v->level_count - 1 : 1;
}

static size_t product_width(const struct ym_plan *plan, const struct ym_term *t)
{
    size_t width = 1;
    for (size_t i = 0; i < t->count; i++)
        width *= factor_width(plan, t->factor[i]);
    return width;
}

static bool has_indicator(const struct ym_plan *plan, const struct ym_term *t)
{
    return t->count == 1 && t->factor[0].transform == YM_AS_IS &&
           input_of(plan, t->factor[0])->missing == YM_MISSING_INDICATOR;
}

size_t ym_design_columns(const struct ym_plan *plan)
{
    size_t columns = 0;
    struct ym_term t;
    for (size_t i = 0; ym_plan_term(plan, i, &t); i++)
        columns += product_width(plan, &t) + has_indicator(plan, &t);
    return columns;
}

/* ---- values ---- */

static double transformed(enum ym_transform how, double v)
{
    return how == YM_LOG ? log(v) : how == YM_LOG1P ? log1p(v) : v;
}

/* (high - low) / (high - low) is 1 exactly, so the ends are -1 and 1. */
double ym_design_transform(const struct ym_plan *plan, struct ym_factor f, double value, enum ym_units units)
{
    const struct ym_variable *v = input_of(plan, f);
    double low = transformed(f.transform, v->low), high = transformed(f.transform, v->high);
    double at = transformed(f.transform, value);
    return units == YM_UNITS_STUDY ? at : 2 * ((at - low) / (high - low)) - 1;
}

/* Column k of a factor. */
static double factor_column(const struct ym_plan *plan, struct ym_factor f, const double *value, enum ym_units units,
                            size_t k)
{
    double v = value[f.input];
    if (isnan(v))
        return 0;
    if (input_of(plan, f)->kind == YM_VAR_CATEGORY)
        return (size_t)v == k + 1;
    return ym_design_transform(plan, f, v, units);
}

/* The first factor's columns turn fastest, as in R. */
static double product_column(const struct ym_plan *plan, const struct ym_term *t, const double *value,
                             enum ym_units units, size_t k)
{
    double x = 1;
    for (size_t i = 0; i < t->count; i++) {
        size_t width = factor_width(plan, t->factor[i]);
        x *= factor_column(plan, t->factor[i], value, units, k % width);
        k /= width;
    }
    return x;
}

void ym_design_row(const struct ym_plan *plan, const double *value, enum ym_units units, double *x)
{
    struct ym_term t;
    for (size_t i = 0; ym_plan_term(plan, i, &t); i++) {
        size_t width = product_width(plan, &t);
        if (input_of(plan, t.factor[0])->kind == YM_VAR_IMAGE) {
            x += width;
            continue;
        }
        for (size_t k = 0; k < width; k++)
            *x++ = product_column(plan, &t, value, units, k);
        if (has_indicator(plan, &t))
            *x++ = isnan(value[t.factor[0].input]);
    }
}

/* ---- names ---- */

static size_t append(char out[YM_DESIGN_NAME_BYTES], size_t at, const char *text)
{
    int n = snprintf(out + at, YM_DESIGN_NAME_BYTES - at, "%s", text);
    size_t end = at + (size_t)n;
    return end < YM_DESIGN_NAME_BYTES ? end : YM_DESIGN_NAME_BYTES - 1;
}

static void name_product(const struct ym_plan *plan, const struct ym_term *t, size_t k, char out[YM_DESIGN_NAME_BYTES])
{
    char word[YM_FORMULA_FACTOR_BYTES];
    size_t at = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct ym_variable *v = input_of(plan, t->factor[i]);
        size_t width = factor_width(plan, t->factor[i]);
        ym_factor_format(plan, t->factor[i], word);
        at = append(out, at, i ? ":" : "");
        at = append(out, at, word);
        if (v->kind == YM_VAR_CATEGORY) {
            at = append(out, at, "=");
            at = append(out, at, v->level[k % width + 1]);
        }
        k /= width;
    }
}

static void name_bin(const struct ym_plan *plan, size_t bin, char out[YM_DESIGN_NAME_BYTES])
{
    snprintf(out, YM_DESIGN_NAME_BYTES, "%s > %.15g", plan->input[plan->time_input].name, plan->cut[bin]);
}

void ym_design_name(const struct ym_plan *plan, size_t i, char out[YM_DESIGN_NAME_BYTES])
{
    struct ym_term t;
    out[0] = 0;
    for (size_t k = 0; ym_plan_term(plan, k, &t); k++) {
        size_t width = product_width(plan, &t);
        if (i < width) {
            name_product(plan, &t, i, out);
            return;
        }
        i -= width;
        if (has_indicator(plan, &t) && i-- == 0) {
            snprintf(out, YM_DESIGN_NAME_BYTES, "%s missing", plan->input[t.factor[0].input].name);
            return;
        }
    }
    if (i < plan->cut_count)
        name_bin(plan, i, out);
}

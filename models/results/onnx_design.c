#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "gate/design.h"
#include "models/results/onnx_internal.h"

#define TRANSFORMS 3 /* YM_AS_IS, YM_LOG, YM_LOG1P */

/* A dense layer under construction. */
struct dense {
    float *weight, *bias; /* [out][in], [out] */
    size_t out, in;
};

static bool dense_init(struct dense *d, size_t out, size_t in)
{
    *d = (struct dense){calloc(out + 1, (in + 1) * sizeof(float)), calloc(out + 1, sizeof(float)), out, in};
    return d->weight && d->bias;
}

static void dense_release(struct dense *d)
{
    free(d->weight);
    free(d->bias);
}

static void set(struct dense *d, size_t row, size_t col, double v)
{
    d->weight[row * d->in + col] = (float)v;
}

static void emit(struct ym_onnx_graph *g, const char *name, const struct dense *d)
{
    ym_onnx_gemm(g, name, d->weight, d->bias, d->out, d->in);
}

/* Where the parts of one input stand: folds are inner relus, columns the basic ones that terms are products of. */
struct place {
    bool used[TRANSFORMS];
    size_t raw, column[TRANSFORMS], fold[TRANSFORMS], log[TRANSFORMS], flag_column, flag_fold;
};

struct layout {
    struct place *place; /* [input_count] */
    size_t raws, columns, folds, logs;
};

static bool flagged(const struct ym_variable *v)
{
    return v->missing == YM_MISSING_INDICATOR;
}

static size_t levels_of(const struct ym_variable *v)
{
    return v->kind == YM_VAR_CATEGORY ? v->level_count - 1 : 0;
}

static void lay_out_input(const struct ym_variable *v, struct place *p, struct layout *l)
{
    p->raw = l->raws;
    l->raws += 1 + (size_t)flagged(v);
    for (size_t t = 0; t < TRANSFORMS; t++) {
        if (p->used[t]) {
            p->column[t] = l->columns;
            p->fold[t] = l->folds;
            p->log[t] = l->logs;
            l->columns += levels_of(v) ? levels_of(v) : 1;
            l->folds += levels_of(v) ? 2 * levels_of(v) : 1;
            l->logs += t != YM_AS_IS;
        }
        if (t == YM_AS_IS && flagged(v)) {
            p->flag_column = l->columns++;
            p->flag_fold = l->folds++;
        }
    }
}

static bool layout_init(const struct ym_plan *plan, struct layout *l)
{
    struct ym_term term;

    *l = (struct layout){.place = calloc(plan->input_count, sizeof *l->place)};
    if (!l->place)
        return false;
    for (size_t i = 0; ym_plan_term(plan, i, &term); i++)
        for (size_t k = 0; k < term.count; k++)
            l->place[term.factor[k].input].used[term.factor[k].transform] = true;
    if (plan->has_offset)
        l->place[plan->offset.input].used[plan->offset.transform] = true;
    for (size_t i = 0; i < plan->input_count; i++)
        if (ym_onnx_fed(&plan->input[i]))
            lay_out_input(&plan->input[i], &l->place[i], l);
    return true;
}

/* The layers of the header's formulas; floor, raise and log_fold only where there are logarithms. */
struct expansion {
    struct dense centre, fold, shape, column, floor, raise, log_fold;
};

static void expansion_release(struct expansion *e)
{
    struct dense *all[] = {&e->centre, &e->fold, &e->shape, &e->column, &e->floor, &e->raise, &e->log_fold};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        dense_release(all[i]);
}

static bool expansion_init(const struct layout *l, struct expansion *e)
{
    return dense_init(&e->centre, l->raws, l->raws) && dense_init(&e->fold, l->folds, l->raws) &&
           dense_init(&e->shape, l->columns, l->folds) && dense_init(&e->column, l->columns, l->columns) &&
           dense_init(&e->floor, l->logs, l->raws) && dense_init(&e->raise, l->logs, l->logs) &&
           dense_init(&e->log_fold, l->folds, l->logs);
}

/* fold is 1 - u; shape 2 - fold - 2 flag; column shape - 1 + flag. */
static void shape_number(struct expansion *e, const struct ym_variable *v, const struct place *p, size_t transform)
{
    size_t column = p->column[transform];

    e->fold.bias[p->fold[transform]] = 1;
    set(&e->shape, column, p->fold[transform], -1);
    e->shape.bias[column] = 2;
    set(&e->column, column, column, 1);
    e->column.bias[column] = -1;
    if (flagged(v)) {
        set(&e->shape, column, p->flag_fold, -2);
        set(&e->column, column, p->flag_column, 1);
    }
}

/* u = (v - mid) / half. */
static void expand_number(struct expansion *e, const struct ym_variable *v, const struct place *p)
{
    e->centre.bias[p->raw] = (float)(-(v->low + v->high) / 2);
    set(&e->fold, p->fold[YM_AS_IS], p->raw, -2 / (v->high - v->low));
    shape_number(e, v, p, YM_AS_IS);
}

/* u = log(t / c) / log(high / c), t = relu(v - low) + low (log1p: all of them + 1), c the geometric middle: so the
 * range is symmetric, and a value loses no more than its own rounding. */
static void expand_log(struct expansion *e, const struct ym_variable *v, const struct place *p, size_t transform)
{
    double one = transform == YM_LOG1P, middle = sqrt((v->low + one) * (v->high + one));
    size_t at = p->log[transform];

    set(&e->floor, at, p->raw, 1);
    e->floor.bias[at] = (float)-v->low;
    set(&e->raise, at, at, 1 / middle);
    e->raise.bias[at] = (float)((v->low + one) / middle);
    set(&e->log_fold, p->fold[transform], at, -1 / log((v->high + one) / middle));
    shape_number(e, v, p, transform);
}

/* For level k: fold v - k and k - v; shape 1 - both - flag. */
static void expand_category(struct expansion *e, const struct ym_variable *v, const struct place *p)
{
    for (size_t k = 1; k < v->level_count; k++) {
        size_t column = p->column[YM_AS_IS] + k - 1, fold = p->fold[YM_AS_IS] + 2 * (k - 1);

        for (int sign = -1; sign <= 1; sign += 2, fold++) {
            set(&e->fold, fold, p->raw, sign);
            e->fold.bias[fold] = (float)(-sign * (double)k);
            set(&e->shape, column, fold, -1);
        }
        if (flagged(v))
            set(&e->shape, column, p->flag_fold, -1);
        e->shape.bias[column] = 1;
        set(&e->column, column, column, 1);
    }
}

static void expand(struct expansion *e, const struct ym_variable *v, const struct place *p)
{
    set(&e->centre, p->raw, p->raw, 1);
    if (v->kind == YM_VAR_CATEGORY && p->used[YM_AS_IS])
        expand_category(e, v, p);
    else if (p->used[YM_AS_IS])
        expand_number(e, v, p);
    for (size_t t = YM_LOG; t <= YM_LOG1P; t++)
        if (p->used[t])
            expand_log(e, v, p, t);
    if (!flagged(v))
        return;
    set(&e->centre, p->raw + 1, p->raw + 1, 1);
    set(&e->fold, p->flag_fold, p->raw + 1, 1);
    set(&e->shape, p->flag_column, p->flag_fold, 1);
    set(&e->column, p->flag_column, p->flag_column, 1);
}

static void at_again(struct ym_onnx_graph *g, const char *name)
{
    snprintf(g->at, sizeof g->at, "%s", name);
}

static void emit_expansion(const struct layout *l, const struct expansion *e, struct ym_onnx_graph *g)
{
    emit(g, "centre", &e->centre);
    emit(g, "fold", &e->fold);
    if (l->logs) {
        at_again(g, "x");
        emit(g, "floor", &e->floor);
        ym_onnx_plain(g, "Relu", "floored");
        emit(g, "raise", &e->raise);
        ym_onnx_plain(g, "Log", "log");
        emit(g, "log_fold", &e->log_fold);
        ym_onnx_pair(g, "Add", "folds", "fold");
    }
    ym_onnx_plain(g, "Relu", "folded");
    emit(g, "shape", &e->shape);
    ym_onnx_plain(g, "Relu", "shaped");
    emit(g, "columns", &e->column);
}

/* ---- terms: products of basic columns ---- */

static size_t factor_width(const struct ym_plan *plan, struct ym_factor f)
{
    size_t levels = levels_of(&plan->input[f.input]);

    return levels ? levels : 1;
}

/* Factor `which` of every column of the design matrix; 1 where a term has fewer. */
static void pick_factors(const struct ym_plan *plan, const struct layout *l, size_t which, struct dense *d)
{
    struct ym_term t;
    size_t row = 0;

    for (size_t i = 0; ym_plan_term(plan, i, &t); i++) {
        size_t width = 1, turn = 1;

        for (size_t k = 0; k < t.count; k++) {
            turn *= k < which ? factor_width(plan, t.factor[k]) : 1;
            width *= factor_width(plan, t.factor[k]);
        }
        for (size_t k = 0; k < width; k++, row++) {
            struct ym_factor f = t.factor[which < t.count ? which : 0];

            if (which >= t.count)
                d->bias[row] = 1;
            else
                set(d, row, l->place[f.input].column[f.transform] + k / turn % factor_width(plan, f), 1);
        }
        if (t.count == 1 && t.factor[0].transform == YM_AS_IS && flagged(&plan->input[t.factor[0].input])) {
            if (which == 0)
                set(d, row, l->place[t.factor[0].input].flag_column, 1);
            else
                d->bias[row] = 1;
            row++;
        }
    }
    if (plan->has_offset && which == 0)
        set(d, row, l->place[plan->offset.input].column[plan->offset.transform], 1);
    else if (plan->has_offset)
        d->bias[row] = 1;
}

static size_t most_factors(const struct ym_plan *plan)
{
    struct ym_term t;
    size_t most = 1;

    for (size_t i = 0; ym_plan_term(plan, i, &t); i++)
        most = t.count > most ? t.count : most;
    return most;
}

static enum ym_code emit_terms(const struct ym_plan *plan, const struct layout *l, struct ym_onnx_graph *g,
                               struct ym_status *st)
{
    size_t columns = ym_design_columns(plan) + plan->has_offset, factors = most_factors(plan);
    char name[32], before[32];
    struct dense d;
    bool full = true;

    for (size_t k = 0; k < factors && full; k++) {
        full = dense_init(&d, columns, l->columns);
        if (full) {
            pick_factors(plan, l, k, &d);
            at_again(g, "columns");
            snprintf(name, sizeof name, "factor%zu", k);
            emit(g, name, &d);
            snprintf(name, sizeof name, "product%zu", k);
            snprintf(before, sizeof before, k == 1 ? "factor0" : "product%zu", k - 1);
            if (k > 0)
                ym_onnx_pair(g, "Mul", name, before);
        }
        dense_release(&d);
    }
    return full ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
}

static enum ym_code check_width(const struct ym_plan *plan, const struct layout *l, struct ym_status *st)
{
    size_t columns = ym_design_columns(plan);

    columns = l->columns > columns ? l->columns : columns;
    if (columns > YM_ONNX_MAX_COLUMNS || l->raws > YM_ONNX_MAX_COLUMNS)
        return ym_status_set(st, YM_INVALID, "%zu columns are more than the %d that an ONNX file takes", columns,
                             YM_ONNX_MAX_COLUMNS);
    return YM_OK;
}

enum ym_code ym_onnx_design(const struct ym_plan *plan, struct ym_onnx_graph *g, struct ym_status *st)
{
    struct expansion e = {0};
    struct layout l;
    enum ym_code code = layout_init(plan, &l) ? check_width(plan, &l, st) : YM_EXHAUSTED;

    if (code == YM_OK && !expansion_init(&l, &e))
        code = YM_EXHAUSTED;
    if (code == YM_EXHAUSTED)
        ym_status_set(st, code, "no memory for the ONNX file");
    if (code != YM_OK)
        goto out;
    for (size_t i = 0; i < plan->input_count; i++)
        if (ym_onnx_fed(&plan->input[i]))
            expand(&e, &plan->input[i], &l.place[i]);
    emit_expansion(&l, &e, g);
    if (plan->term)
        code = emit_terms(plan, &l, g, st);
out:
    expansion_release(&e);
    free(l.place);
    return code;
}

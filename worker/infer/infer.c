#include "worker/infer/infer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/results/onnx.h"

#define BLOCK_ROWS 1024

/* Rows that are scored become a frozen set of their own, of the plan's variables alone, each row a patient, so
 * that ym_table_build makes of them what it makes of rows in training. */
struct rows {
    const struct ym_plan *plan;
    const struct ym_frozen *f;
    size_t *column; /* [input_count] of f; SIZE_MAX: the time */
    struct ym_frozen taken;
    size_t *from; /* [taken.row_count] row of f */
};

static bool is_time(const struct ym_plan *plan, size_t input)
{
    return ym_plan_survival(plan) && input == plan->time_input;
}

bool ym_infer_needs(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->input_count; i++)
        if (!is_time(plan, i) && strcmp(plan->input[i].name, name) == 0)
            return true;
    return false;
}

static enum ym_code link_columns(struct rows *r, struct ym_buf *report, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < r->plan->input_count; i++) {
        size_t c = 0;

        while (c < r->f->var_count && strcmp(r->f->var[c], r->plan->input[i].name) != 0)
            c++;
        r->column[i] = is_time(r->plan, i) ? SIZE_MAX : c;
        if (r->column[i] != r->f->var_count)
            continue;
        ym_buf_printf(report, T(TABLE_ABSENT), r->plan->input[i].name);
        ym_buf_puts(report, "\n");
        code = ym_status_set(st, YM_NOT_FOUND, "data set '%s' lacks variables that the model needs", r->f->dataset);
    }
    return code;
}

/* ---- which rows ---- */

static bool level_known(const struct ym_variable *want, const char *level)
{
    for (size_t k = 0; k < want->level_count; k++)
        if (strcmp(want->level[k], level) == 0)
            return true;
    return false;
}

static struct ym_row_refusal judge(const struct rows *r, size_t row)
{
    for (size_t i = 0; i < r->plan->input_count; i++) {
        const struct ym_variable *want = &r->plan->input[i];
        double v;

        if (r->column[i] == SIZE_MAX)
            continue;
        v = r->f->value[row * r->f->var_count + r->column[i]];
        if (!isnan(v) && want->kind == YM_VAR_CATEGORY && r->f->column[r->column[i]].category &&
            !level_known(want, r->f->column[r->column[i]].level[(size_t)v]))
            v = NAN;
        if (isnan(v) && want->missing == YM_MISSING_DROP)
            return (struct ym_row_refusal){YM_REFUSED_MISSING, want};
        if (want->kind == YM_VAR_NUMBER && (v < want->low || v > want->high))
            return (struct ym_row_refusal){YM_REFUSED_RANGE, want};
    }
    return (struct ym_row_refusal){YM_SCORED, NULL};
}

/* ---- the set of those rows ---- */

static struct ym_frozen_column column_of(const struct ym_variable *v)
{
    struct ym_frozen_column c = {.category = v->kind == YM_VAR_CATEGORY, .low = v->low, .high = v->high};

    memcpy(c.unit, v->unit, sizeof c.unit);
    c.level = v->level;
    c.level_count = v->level_count;
    return c;
}

/* Columns are borrowed from f and the plan; the outcome is last, any value of its range. */
static void name_columns(struct rows *r)
{
    size_t n = r->plan->input_count;

    for (size_t i = 0; i <= n; i++) {
        const struct ym_variable *v = i < n ? &r->plan->input[i] : &r->plan->outcome;

        memcpy(r->taken.var[i], v->name, sizeof r->taken.var[i]);
        r->taken.column[i] = i < n && r->column[i] != SIZE_MAX ? r->f->column[r->column[i]] : column_of(v);
    }
}

static void take_row(struct rows *r, size_t row)
{
    size_t n = r->plan->input_count, stride = r->f->pixel_stride, k = r->taken.row_count;
    double *value = r->taken.value + k * (n + 1);

    for (size_t i = 0; i < n; i++)
        value[i] =
            r->column[i] == SIZE_MAX ? r->plan->input[i].high : r->f->value[row * r->f->var_count + r->column[i]];
    value[n] = r->plan->outcome.kind == YM_VAR_NUMBER ? r->plan->outcome.low : 0;
    if (stride)
        memcpy((uint8_t *)r->taken.pixel + k * stride, r->f->pixel + row * stride, stride);
    r->from[k] = row;
    r->taken.first_row[k + 1] = k + 1;
    r->taken.row_count = r->taken.patient_count = k + 1;
}

static bool make_room(struct rows *r)
{
    size_t vars = r->plan->input_count + 1, rows = r->f->row_count;

    memcpy(r->taken.dataset, r->f->dataset, sizeof r->taken.dataset);
    r->taken.var_count = vars;
    r->taken.pixel_stride = r->f->pixel_stride;
    r->taken.var = calloc(vars, sizeof *r->taken.var);
    r->taken.column = calloc(vars, sizeof *r->taken.column);
    r->taken.first_row = calloc(rows + 1, sizeof *r->taken.first_row);
    r->taken.draw = calloc(rows + 1, sizeof *r->taken.draw);
    r->taken.value = calloc(rows + 1, vars * sizeof *r->taken.value);
    r->taken.pixel = calloc(rows + 1, r->f->pixel_stride + 1);
    r->from = calloc(rows + 1, sizeof *r->from);
    return r->taken.var && r->taken.column && r->taken.first_row && r->taken.draw && r->taken.value && r->taken.pixel &&
           r->from;
}

static void rows_release(struct rows *r)
{
    free(r->column);
    free(r->taken.var);
    free(r->taken.column);
    free(r->taken.first_row);
    free(r->taken.draw);
    free(r->taken.value);
    free((void *)r->taken.pixel);
    free(r->from);
}

/* ---- what the model says ---- */

/* From the model's own outputs to the plan's units. */
static void put_score(const struct ym_plan *plan, const struct ym_table *t, size_t row, float *score)
{
    const struct ym_variable *y = &plan->outcome;

    if (plan->family == YM_FAMILY_PIECEWISE_EXPONENTIAL)
        *score = (float)((double)*score / plan->input[plan->time_input].high);
    else if (plan->family == YM_FAMILY_POISSON)
        *score = (float)((double)*score * exp((double)t->y[2 * row + 1]));
    else if (y->kind == YM_VAR_NUMBER)
        *score = (float)(y->low + ((double)*score + 1) / 2 * (y->high - y->low));
}

/* A patient's rows of the table are its time bins, so that they lie as its scores do; of other families there is one.
 */
static enum ym_code predict(const struct rows *r, const struct ym_released *m, const struct ym_table *t,
                            struct ym_inferred *out, struct ym_status *st)
{
    size_t outputs = ym_model_outputs(&m->model);
    struct ym_model_work *w = ym_model_work_new(&m->model, BLOCK_ROWS);
    float *scratch = calloc(ym_table_scratch(t, BLOCK_ROWS) + 1, sizeof *scratch);
    float *score = calloc(t->rows + 1, outputs * sizeof *score);
    enum ym_code code = w && scratch && score ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for scores");

    if (code == YM_OK && t->rows * outputs != r->taken.row_count * out->scores)
        code = ym_status_set(st, YM_INTERNAL, "rows and scores do not fit each other");
    for (size_t at = 0; code == YM_OK && at < t->rows; at += BLOCK_ROWS) {
        size_t n = t->rows - at < BLOCK_ROWS ? t->rows - at : BLOCK_ROWS;

        ym_model_predict(&m->model, m->params, ym_table_rows(t, at, n, scratch), n, w, score + at * outputs);
    }
    for (size_t i = 0; code == YM_OK && i < t->rows * outputs; i++)
        put_score(r->plan, t, i / outputs, &score[i]);
    for (size_t k = 0; code == YM_OK && k < r->taken.row_count; k++)
        memcpy(out->score + r->from[k] * out->scores, score + k * out->scores, out->scores * sizeof *score);
    ym_model_work_free(w);
    free(scratch);
    free(score);
    return code;
}

static enum ym_code score_rows(struct rows *r, const struct ym_released *m, struct ym_inferred *out,
                               struct ym_buf *report, struct ym_status *st)
{
    struct ym_plan each = *r->plan; /* borrows everything */
    struct ym_table *t = NULL;
    enum ym_code code;

    each.min_patients = 1;
    each.max_records_per_patient = 1;
    each.holdout = 0;
    code = ym_table_build(&each, &r->taken, NULL, &t, report, st);
    if (code == YM_OK)
        code = predict(r, m, t, out, st);
    ym_table_free(t);
    return code;
}

static void leave_out(const struct ym_frozen *f, const uint8_t *out_of, struct ym_inferred *out)
{
    for (size_t p = 0; out_of && p < f->patient_count; p++)
        for (uint64_t row = f->first_row[p]; row < f->first_row[p + 1]; row++)
            out->refusal[row].why = out_of[p] ? YM_LEFT_OUT : YM_SCORED;
}

static enum ym_code score_all(struct rows *r, const struct ym_released *m, struct ym_inferred *out,
                              struct ym_buf *report, struct ym_status *st)
{
    name_columns(r);
    for (size_t row = 0; row < r->f->row_count; row++) {
        if (out->refusal[row].why != YM_LEFT_OUT)
            out->refusal[row] = judge(r, row);
        for (size_t i = 0; i < out->scores; i++)
            out->score[row * out->scores + i] = NAN;
        if (out->refusal[row].why == YM_SCORED)
            take_row(r, row);
    }
    return r->taken.row_count ? score_rows(r, m, out, report, st) : YM_OK;
}

enum ym_code ym_infer(const struct ym_plan *plan, const struct ym_released *m, const struct ym_frozen *f,
                      const uint8_t *out_of, struct ym_inferred *out, struct ym_buf *report, struct ym_status *st)
{
    struct rows r = {.plan = plan, .f = f, .column = calloc(plan->input_count + 1, sizeof *r.column)};
    struct ym_inferred made = {.rows = f->row_count, .scores = ym_onnx_scores(plan)};
    enum ym_code code = YM_OK;

    if (plan->family == YM_FAMILY_COX)
        code = ym_status_set(st, YM_INVALID, "this family gives no scores for a row");
    made.score = calloc(made.rows + 1, made.scores * sizeof *made.score);
    made.refusal = calloc(made.rows + 1, sizeof *made.refusal);
    if (code == YM_OK && (!r.column || !made.score || !made.refusal || !make_room(&r)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the rows of '%s'", f->dataset);
    if (code == YM_OK)
        code = link_columns(&r, report, st);
    if (code == YM_OK)
        leave_out(f, out_of, &made);
    if (code == YM_OK)
        code = score_all(&r, m, &made, report, st);
    rows_release(&r);
    if (code == YM_OK)
        *out = made;
    else
        ym_inferred_release(&made);
    return code;
}

void ym_inferred_release(struct ym_inferred *i)
{
    free(i->score);
    free(i->refusal);
    *i = (struct ym_inferred){0};
}

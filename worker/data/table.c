#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/variable_fits.h"
#include "worker/data/frozen.h"

/* How one variable of the plan is taken from one column of the frozen set. */
struct link {
    const struct ym_variable *want;
    size_t column;
    int level[YM_PLAN_MAX_LEVELS]; /* frozen level -> plan level, -1: unknown to the plan */
    size_t clamped, dropped;
};

struct build {
    const struct ym_plan *plan;
    const struct ym_frozen *f;
    struct link *link; /* [input_count + 1], the outcome last */
    struct ym_buf *report;
    size_t past_records;
};

void ym_table_free(struct ym_table *t)
{
    if (!t)
        return;
    free(t->x);
    free(t->y);
    free(t->first_row);
    free(t);
}

/* ---- linking ---- */

static void report_line(struct ym_buf *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void report_line(struct ym_buf *report, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    if (!report)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    ym_buf_printf(report, "%s\n", line);
}

static size_t column_find(const struct ym_frozen *f, const char *name)
{
    size_t i = 0;
    while (i < f->var_count && strcmp(f->var[i], name))
        i++;
    return i;
}

static bool column_fits(const struct ym_variable *want, const struct ym_frozen_column *c, struct ym_buf *report)
{
    const char *level[YM_PLAN_MAX_LEVELS];
    struct ym_buf why = {0};
    for (size_t i = 0; i < c->level_count; i++)
        level[i] = c->level[i];
    struct ym_offer offer = {c->category, c->unit, c->low, c->high, level, c->level_count};
    bool fits = ym_variable_fits(want, &offer, &why);
    if (report && why.len)
        ym_buf_append(report, why.data, why.len);
    ym_buf_release(&why);
    return fits;
}

static void link_levels(struct link *l, const struct ym_frozen_column *c)
{
    for (size_t i = 0; i < c->level_count; i++) {
        l->level[i] = -1;
        for (size_t k = 0; k < l->want->level_count; k++)
            if (!strcmp(c->level[i], l->want->level[k]))
                l->level[i] = (int)k;
    }
}

static enum ym_code link_all(struct build *b, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    for (size_t i = 0; i <= b->plan->input_count; i++) {
        struct link *l = &b->link[i];
        l->want = i < b->plan->input_count ? &b->plan->input[i] : &b->plan->outcome;
        l->column = column_find(b->f, l->want->name);
        if (l->column == b->f->var_count) {
            report_line(b->report, T(TABLE_ABSENT), l->want->name);
            code =
                ym_status_set(st, YM_NOT_FOUND, "data set '%s' lacks variables that the plan asks for", b->f->dataset);
        } else if (!column_fits(l->want, &b->f->column[l->column], b->report)) {
            if (code == YM_OK)
                code = ym_status_set(st, YM_INVALID, "data set '%s' does not fit the plan's variables", b->f->dataset);
        } else {
            link_levels(l, &b->f->column[l->column]);
        }
    }
    return code;
}

/* ---- values ---- */

/* The plan's value of a cell: a number, a level index, or NaN for missing. */
static double cell_value(const struct build *b, const struct link *l, size_t row)
{
    double v = b->f->value[row * b->f->var_count + l->column];
    if (isnan(v) || l->want->kind == YM_VAR_NUMBER)
        return v;
    int level = l->level[(size_t)v];
    return level < 0 ? NAN : level;
}

/* The row's first variable that puts it out, or SIZE_MAX. */
static size_t row_misses(const struct build *b, size_t row)
{
    for (size_t i = 0; i <= b->plan->input_count; i++) {
        const struct link *l = &b->link[i];
        if (l->want->missing == YM_MISSING_DROP && isnan(cell_value(b, l, row)))
            return i;
    }
    return SIZE_MAX;
}

/* Clamped to the plan's range, then to [-1, 1]; (high - low) / (high - low) is 1 exactly. */
static float scaled(struct link *l, double v)
{
    const struct ym_variable *want = l->want;
    l->clamped += v < want->low || v > want->high;
    v = v < want->low ? want->low : v > want->high ? want->high : v;
    return (float)(2 * ((v - want->low) / (want->high - want->low)) - 1);
}

/* Writes the variable's columns at x, which is zero; returns how many. */
static size_t fill_input(struct link *l, double v, float *x)
{
    const struct ym_variable *want = l->want;
    size_t width = want->kind == YM_VAR_NUMBER ? 1 : want->level_count - 1;
    bool missing = isnan(v);
    if (missing && want->missing == YM_MISSING_CONSTANT) {
        v = want->constant;
        missing = false;
    }
    if (missing)
        x[width] = 1; /* the indicator; the value's own columns stay 0 */
    else if (want->kind == YM_VAR_NUMBER)
        x[0] = scaled(l, v);
    else if (v > 0)
        x[(size_t)v - 1] = 1;
    return width + (want->missing == YM_MISSING_INDICATOR);
}

static void fill_row(struct build *b, struct ym_table *t, size_t row)
{
    struct link *outcome = &b->link[b->plan->input_count];
    float *x = t->x + t->rows * t->columns;
    double y = cell_value(b, outcome, row);
    for (size_t i = 0; i < b->plan->input_count; i++)
        x += fill_input(&b->link[i], cell_value(b, &b->link[i], row), x);
    t->y[t->rows++] = outcome->want->kind == YM_VAR_NUMBER ? scaled(outcome, y) : (float)y;
}

static void fill_patient(struct build *b, struct ym_table *t, size_t patient)
{
    size_t first = t->rows;
    for (size_t row = b->f->first_row[patient]; row < b->f->first_row[patient + 1]; row++) {
        size_t miss = row_misses(b, row);
        if (miss != SIZE_MAX)
            b->link[miss].dropped++;
        else if (t->rows - first >= b->plan->max_records_per_patient)
            b->past_records++;
        else
            fill_row(b, t, row);
    }
    if (t->rows > first)
        t->first_row[++t->patients] = t->rows;
}

/* ---- the whole ---- */

static size_t rows_bound(const struct build *b)
{
    size_t rows = 0, most = b->plan->max_records_per_patient;
    for (size_t p = 0; p < b->f->patient_count; p++) {
        size_t n = b->f->first_row[p + 1] - b->f->first_row[p];
        rows += n < most ? n : most;
    }
    return rows;
}

static struct ym_table *table_new(const struct build *b)
{
    struct ym_table *t = calloc(1, sizeof *t);
    size_t rows = rows_bound(b), cells;
    if (!t)
        return NULL;
    t->columns = ym_plan_columns(b->plan);
    if (!__builtin_mul_overflow(rows, t->columns, &cells)) {
        t->x = calloc(cells, sizeof *t->x);
        t->y = calloc(rows, sizeof *t->y);
        t->first_row = calloc(b->f->patient_count + 1, sizeof *t->first_row);
    }
    if (t->x && t->y && t->first_row)
        return t;
    ym_table_free(t);
    return NULL;
}

static void report_notes(const struct build *b)
{
    for (size_t i = 0; i <= b->plan->input_count; i++) {
        const struct link *l = &b->link[i];
        if (l->dropped)
            report_line(b->report, T(TABLE_DROPPED), l->dropped, b->f->row_count, l->want->name);
        if (l->clamped)
            report_line(b->report, T(TABLE_CLAMPED), l->clamped, l->want->name);
    }
    if (b->past_records)
        report_line(b->report, T(TABLE_RECORDS), b->past_records, b->plan->max_records_per_patient);
}

static enum ym_code table_fill(struct build *b, struct ym_table *t, struct ym_status *st)
{
    for (size_t p = 0; p < b->f->patient_count; p++)
        fill_patient(b, t, p);
    report_notes(b);
    if (t->patients && t->patients >= b->plan->min_patients)
        return YM_OK;
    report_line(b->report, T(TABLE_FEW), t->patients, b->plan->min_patients);
    return ym_status_set(st, YM_DENIED, "data set '%s' has fewer eligible patients than the plan's min_patients",
                         b->f->dataset);
}

enum ym_code ym_table_build(const struct ym_plan *plan, const struct ym_frozen *f, struct ym_table **out,
                            struct ym_buf *report, struct ym_status *st)
{
    struct build b = {.plan = plan, .f = f, .report = report};
    struct ym_table *t = NULL;
    enum ym_code code;
    b.link = calloc(plan->input_count + 1, sizeof *b.link);
    if (!b.link)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    code = link_all(&b, st);
    if (code != YM_OK)
        goto out;
    t = table_new(&b);
    code = t ? table_fill(&b, t, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for the rows of '%s'", f->dataset);
    if (code != YM_OK)
        goto out;
    *out = t;
    t = NULL;
out:
    ym_table_free(t);
    free(b.link);
    return code;
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/design.h"
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
    const uint8_t *out_of; /* [patients] nonzero: in no table; NULL: nobody */
    struct link *link;     /* [input_count + 1], the outcome last */
    struct ym_buf *report;
    double *value; /* [input_count] of the row under way */
    float *row;    /* [columns] likewise */
    double *wide;  /* [columns] likewise, in double */
    bool held;     /* of the patients held out, else of all others */
    size_t past_records;
};

static void exact_free(struct ym_table_exact *e)
{
    if (!e)
        return;
    free(e->x);
    free(e->y);
    free(e->offset);
    free(e->event);
    free(e->stratum);
    free(e);
}

void ym_table_free(struct ym_table *t)
{
    if (!t)
        return;
    free(t->x);
    free(t->pixel);
    free(t->y);
    free(t->first_row);
    free(t->who);
    free(t->time);
    free(t->event);
    exact_free(t->exact);
    ym_table_free(t->held);
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
    struct ym_offer offer = {c->category,    c->unit,     c->low,    c->high, level,
                             c->level_count, c->channels, c->height, c->width};
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

/* The plan's value of a cell: a number, a level index, 0 of an image, or NaN for missing. */
static double cell_value(const struct build *b, const struct link *l, size_t row)
{
    double v = b->f->value[row * b->f->var_count + l->column];
    if (isnan(v) || l->want->kind != YM_VAR_CATEGORY)
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

static double clamped(struct link *l, double v)
{
    const struct ym_variable *want = l->want;
    l->clamped += v < want->low || v > want->high;
    return v < want->low ? want->low : v > want->high ? want->high : v;
}

static void take_values(struct build *b, size_t row)
{
    for (size_t i = 0; i < b->plan->input_count; i++) {
        struct link *l = &b->link[i];
        double v = cell_value(b, l, row);
        if (isnan(v) && l->want->missing == YM_MISSING_CONSTANT)
            v = l->want->constant;
        b->value[i] = isnan(v) || l->want->kind == YM_VAR_CATEGORY ? v : clamped(l, v);
    }
}

/* (high - low) / (high - low) is 1 exactly. */
static float scaled(const struct ym_variable *want, double v)
{
    return (float)(2 * ((v - want->low) / (want->high - want->low)) - 1);
}

static double offset_of(const struct build *b, enum ym_units units)
{
    const struct ym_plan *plan = b->plan;
    struct ym_factor f = plan->offset;
    double at;
    if (!plan->has_offset)
        return 0;
    at = ym_design_transform(plan, f, b->value[f.input], YM_UNITS_STUDY);
    if (f.transform == YM_AS_IS || units == YM_UNITS_STUDY)
        return at;
    return at - ym_design_transform(plan, f, plan->input[f.input].high, YM_UNITS_STUDY);
}

/* One row of the table; bin 0 where there are none. */
struct outcome {
    double y, offset, exact_y, exact_offset;
    size_t bin;
    bool event;
};

static void put_exact(const struct build *b, struct ym_table *t, const struct outcome *o)
{
    const struct ym_plan *plan = b->plan;
    double *x = t->exact->x + t->rows * t->columns;
    memcpy(x, b->wide, (t->columns - plan->cut_count) * sizeof *x);
    if (o->bin)
        x[t->columns - plan->cut_count + o->bin - 1] = 1;
    t->exact->y[t->rows] = o->exact_y;
    t->exact->offset[t->rows] = o->exact_offset;
    t->exact->event[t->rows] = o->event;
    if (plan->baseline == YM_BASELINE_COLUMN)
        t->exact->stratum[t->rows] = (uint32_t)b->value[plan->strata_input];
}

static void put_row(const struct build *b, struct ym_table *t, const struct outcome *o)
{
    size_t targets = ym_plan_targets(b->plan), plain = t->columns - b->plan->cut_count;
    float *x = t->x + t->rows * t->columns;
    memcpy(x, b->row, plain * sizeof *x);
    if (o->bin)
        x[plain + o->bin - 1] = 1;
    t->y[t->rows * targets] = (float)o->y;
    if (targets == 2)
        t->y[t->rows * targets + 1] = (float)o->offset;
    if (t->exact)
        put_exact(b, t, o);
    t->rows++;
}

static void put_survival(const struct build *b, struct ym_table *t, double time, bool event)
{
    const struct ym_plan *plan = b->plan;
    double high = plan->input[plan->time_input].high, from = 0;
    for (size_t k = 0; k <= plan->cut_count; k++) {
        double to = k < plan->cut_count ? plan->cut[k] : high;
        bool ends = time <= to, dies = event && ends;
        double spent = (ends ? time : to) - from;
        struct outcome o = {.y = dies, .exact_y = dies, .bin = k, .event = dies};
        o.offset = log(spent / high);
        o.exact_offset = log(spent);
        bool whole = plan->family == YM_FAMILY_DISCRETE_HAZARD ? dies || time >= to : spent > 0;
        if (plan->family == YM_FAMILY_DISCRETE_HAZARD)
            o.offset = o.exact_offset = 0;
        if (whole)
            put_row(b, t, &o);
        if (ends)
            return;
        from = to;
    }
}

static void fill_survival(struct build *b, struct ym_table *t, double event, double time)
{
    const struct ym_plan *plan = b->plan;
    double clamp = b->value[plan->time_input];
    bool dies = event == 1 && time <= clamp;
    t->time[t->patients] = (float)clamp;
    t->event[t->patients] = dies;
    if (plan->family == YM_FAMILY_COX)
        put_row(b, t, &(struct outcome){.y = dies, .exact_y = clamp, .event = dies});
    else
        put_survival(b, t, clamp, dies);
}

/* A network's only input. */
static void fill_image(const struct build *b, struct ym_table *t, size_t row)
{
    const struct ym_frozen_column *c = &b->f->column[b->link[0].column];
    memcpy(t->pixel + t->rows * t->columns, b->f->pixel + row * b->f->pixel_stride + c->pixel_at, t->columns);
}

static void fill_row(struct build *b, struct ym_table *t, size_t row)
{
    const struct ym_plan *plan = b->plan;
    struct link *outcome = &b->link[plan->input_count];
    double y = cell_value(b, outcome, row);
    if (t->pixel) {
        fill_image(b, t, row);
        t->y[t->rows++] = (float)y;
        return;
    }
    take_values(b, row);
    ym_design_row(plan, b->value, YM_UNITS_SCALED, b->wide);
    for (size_t i = 0; i < t->columns - plan->cut_count; i++)
        b->row[i] = (float)b->wide[i];
    if (t->exact)
        ym_design_row(plan, b->value, YM_UNITS_STUDY, b->wide);
    if (ym_plan_survival(plan)) {
        fill_survival(b, t, y, cell_value(b, &b->link[plan->time_input], row));
        return;
    }
    struct outcome o = {.y = y, .exact_y = y};
    if (outcome->want->kind == YM_VAR_NUMBER) {
        o.y = o.exact_y = clamped(outcome, y);
        if (plan->family != YM_FAMILY_POISSON)
            o.y = scaled(outcome->want, o.y);
    }
    o.offset = offset_of(b, YM_UNITS_SCALED);
    o.exact_offset = offset_of(b, YM_UNITS_STUDY);
    put_row(b, t, &o);
}

static void fill_patient(struct build *b, struct ym_table *t, size_t patient)
{
    size_t first = t->rows, records = 0;
    for (size_t row = b->f->first_row[patient]; row < b->f->first_row[patient + 1]; row++) {
        size_t miss = row_misses(b, row);
        if (miss != SIZE_MAX)
            b->link[miss].dropped++;
        else if (records == b->plan->max_records_per_patient)
            b->past_records++;
        else {
            fill_row(b, t, row);
            records++;
        }
    }
    if (t->rows == first)
        return;
    t->who[t->patients] = (uint32_t)patient;
    t->first_row[++t->patients] = t->rows;
}

/* ---- the whole ---- */

static bool takes(const struct build *b, size_t patient)
{
    return !(b->out_of && b->out_of[patient]) && ym_plan_holds(b->plan, b->f->draw[patient]) == b->held;
}

static size_t rows_bound(const struct build *b)
{
    size_t rows = 0, most = b->plan->max_records_per_patient;
    for (size_t p = 0; p < b->f->patient_count; p++) {
        size_t n = b->f->first_row[p + 1] - b->f->first_row[p];
        rows += takes(b, p) ? n < most ? n : most : 0;
    }
    return rows * ym_plan_bins(b->plan); /* at most 2^31 patients, 1000 records, 101 bins */
}

static struct ym_table_exact *exact_new(size_t rows, size_t cells)
{
    struct ym_table_exact *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->x = calloc(cells + 1, sizeof *e->x);
    e->y = calloc(rows + 1, sizeof *e->y);
    e->offset = calloc(rows + 1, sizeof *e->offset);
    e->event = calloc(rows + 1, sizeof *e->event);
    e->stratum = calloc(rows + 1, sizeof *e->stratum);
    if (e->x && e->y && e->offset && e->event && e->stratum)
        return e;
    exact_free(e);
    return NULL;
}

static void shade_fill(const struct ym_variable *image, float shade[256])
{
    for (int i = 0; i < 256; i++)
        shade[i] = (float)((i / 255.0 - image->mean) / image->scale);
}

static bool table_allocate(const struct build *b, struct ym_table *t)
{
    size_t rows = rows_bound(b), cells;
    t->columns = ym_plan_columns(b->plan);
    if (__builtin_mul_overflow(rows, t->columns, &cells))
        return false;
    /* nobody may be held out */
    if (b->plan->family == YM_FAMILY_NETWORK)
        t->pixel = malloc(cells + 1);
    else
        t->x = calloc(cells + 1, sizeof *t->x);
    t->y = calloc(rows + 1, ym_plan_targets(b->plan) * sizeof *t->y);
    t->first_row = calloc(b->f->patient_count + 1, sizeof *t->first_row);
    t->who = calloc(b->f->patient_count + 1, sizeof *t->who);
    if (ym_plan_survival(b->plan)) {
        t->time = calloc(b->f->patient_count, sizeof *t->time);
        t->event = calloc(b->f->patient_count, sizeof *t->event);
        if (!t->time || !t->event)
            return false;
    }
    if (b->plan->exact && !(t->exact = exact_new(rows, cells)))
        return false;
    if (t->pixel)
        shade_fill(&b->plan->input[0], t->shade);
    return (t->x || t->pixel) && t->y && t->first_row && t->who;
}

uint64_t ym_table_bytes(const struct ym_plan *plan, const struct ym_frozen *f)
{
    uint64_t rows = 0, columns = ym_plan_columns(plan), targets = ym_plan_targets(plan) * sizeof(float);
    uint64_t cell = plan->family == YM_FAMILY_NETWORK ? 1 : sizeof(float), exact = plan->exact ? sizeof(double) : 0;
    uint64_t patient = sizeof(uint64_t) + sizeof(uint32_t) + (ym_plan_survival(plan) ? sizeof(float) + 1 : 0);

    for (size_t p = 0; p < f->patient_count; p++) {
        uint64_t n = f->first_row[p + 1] - f->first_row[p];

        rows += n < plan->max_records_per_patient ? n : plan->max_records_per_patient;
    }
    rows *= ym_plan_bins(plan);
    return rows * (columns * (cell + exact) + targets + 2 * exact + (exact ? 1 + sizeof(uint32_t) : 0)) +
           (plan->holdout ? 2 : 1) * (f->patient_count + 1) * patient;
}

static struct ym_table *table_new(const struct build *b)
{
    struct ym_table *t = calloc(1, sizeof *t);
    if (!t || table_allocate(b, t))
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
        if (takes(b, p))
            fill_patient(b, t, p);
    report_notes(b);
    if (b->held)
        return YM_OK;
    if (t->patients && (b->plan->exact || t->patients >= b->plan->min_patients))
        return YM_OK;
    report_line(b->report, T(TABLE_FEW), t->patients, b->plan->min_patients);
    return ym_status_set(st, YM_DENIED, "data set '%s' has fewer eligible patients than the plan's min_patients",
                         b->f->dataset);
}

static enum ym_code build_part(struct build *b, struct ym_table **out, struct ym_status *st)
{
    struct ym_table *t = table_new(b);
    enum ym_code code =
        t ? table_fill(b, t, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for the rows of '%s'", b->f->dataset);
    if (code == YM_OK)
        *out = t;
    else
        ym_table_free(t);
    return code;
}

enum ym_code ym_table_build(const struct ym_plan *plan, const struct ym_frozen *f, const uint8_t *out_of,
                            struct ym_table **out, struct ym_buf *report, struct ym_status *st)
{
    struct build b = {.plan = plan, .f = f, .out_of = out_of, .report = report};
    struct ym_table *t = NULL;
    enum ym_code code;
    b.link = calloc(plan->input_count + 1, sizeof *b.link);
    b.value = calloc(plan->input_count + 1, sizeof *b.value);
    b.row = calloc(ym_plan_columns(plan) + 1, sizeof *b.row);
    b.wide = calloc(ym_plan_columns(plan) + 1, sizeof *b.wide);
    if (!b.link || !b.value || !b.row || !b.wide) {
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
        goto out;
    }
    code = link_all(&b, st);
    if (code == YM_OK)
        code = build_part(&b, &t, st);
    if (code == YM_OK && plan->holdout) {
        b.report = NULL; /* said of the others already */
        b.held = true;
        code = build_part(&b, &t->held, st);
    }
out:
    free(b.link);
    free(b.value);
    free(b.row);
    free(b.wide);
    if (code == YM_OK)
        *out = t;
    else
        ym_table_free(t);
    return code;
}

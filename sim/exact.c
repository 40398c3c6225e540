#include "sim/exact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/design.h"

/* Rows of all sites in one block, site after site. */
struct rows {
    size_t count, columns;
    double *x, *y, *offset;
    uint8_t *event;
    uint32_t *baseline; /* rows of one share a baseline hazard */
    struct ym_newton_part part[YM_PLAN_MAX_SITES];
    size_t part_count;
};

static enum ym_newton_kind kind_of(const struct ym_plan *plan)
{
    switch (plan->family) {
    case YM_FAMILY_LINEAR:
        return YM_NEWTON_LINEAR;
    case YM_FAMILY_LOGISTIC:
    case YM_FAMILY_DISCRETE_HAZARD:
        return YM_NEWTON_LOGISTIC;
    case YM_FAMILY_MULTINOMIAL:
        return YM_NEWTON_MULTINOMIAL;
    case YM_FAMILY_POISSON:
    case YM_FAMILY_PIECEWISE_EXPONENTIAL:
        return YM_NEWTON_POISSON;
    case YM_FAMILY_COX:
        return YM_NEWTON_COX;
    default:
        return 0;
    }
}

static enum ym_code make_room(struct rows *r, struct ym_status *st)
{
    size_t n = r->count + 1;

    if (r->columns == 0 || n > SIZE_MAX / sizeof(double) / r->columns)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu rows", r->count);
    r->x = calloc(n * r->columns, sizeof *r->x);
    r->y = calloc(n, sizeof *r->y);
    r->offset = calloc(n, sizeof *r->offset);
    r->event = calloc(n, sizeof *r->event);
    r->baseline = calloc(n, sizeof *r->baseline);
    if (r->x && r->y && r->offset && r->event && r->baseline)
        return YM_OK;
    return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu rows", r->count);
}

static struct ym_newton_part part_at(const struct rows *r, size_t first, size_t count)
{
    return (struct ym_newton_part){.rows = count,
                                   .x = r->x + first * r->columns,
                                   .y = r->y + first,
                                   .offset = r->offset + first,
                                   .event = r->event + first,
                                   .stratum = r->baseline + first};
}

static void take_site(const struct ym_plan *plan, const struct ym_table *t, size_t site, size_t first, struct rows *r)
{
    memcpy(r->x + first * r->columns, t->exact->x, t->rows * r->columns * sizeof *r->x);
    memcpy(r->y + first, t->exact->y, t->rows * sizeof *r->y);
    memcpy(r->offset + first, t->exact->offset, t->rows * sizeof *r->offset);
    memcpy(r->event + first, t->exact->event, t->rows * sizeof *r->event);
    for (size_t i = 0; i < t->rows; i++)
        r->baseline[first + i] = plan->baseline == YM_BASELINE_COLUMN     ? t->exact->stratum[i]
                                 : plan->baseline == YM_BASELINE_HOSPITAL ? (uint32_t)site
                                                                          : 0;
}

/* Hospitals are parts, but where risk sets cross them. */
static enum ym_code collect(const struct ym_plan *plan, const struct ym_sim_site *site, size_t count, struct rows *r,
                            struct ym_status *st)
{
    bool together = plan->family == YM_FAMILY_COX && plan->baseline != YM_BASELINE_HOSPITAL;
    size_t first = 0;
    enum ym_code code;

    r->columns = ym_plan_columns(plan);
    for (size_t i = 0; i < count; i++)
        r->count += site[i].data->rows;
    code = make_room(r, st);
    if (code != YM_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        take_site(plan, site[i].data, i, first, r);
        r->part[r->part_count++] = part_at(r, first, site[i].data->rows);
        first += site[i].data->rows;
    }
    if (together) {
        r->part[0] = part_at(r, 0, r->count);
        r->part_count = 1;
    }
    return YM_OK;
}

/* ---- penalty ---- */

static bool has_products(const struct ym_plan *plan)
{
    struct ym_term t;

    for (size_t i = 0; ym_plan_term(plan, i, &t); i++)
        if (t.count > 1)
            return true;
    return false;
}

/* The trained weight of a number is its coefficient times half the range; its indicator's, where the scaled column is 0
 * in the middle of the range and an unscaled one is 0 at 0, is less the middle times that coefficient. scale, middle
 * [columns], middle of an indicator's number at the indicator. */
static void scales_of(const struct ym_plan *plan, double *scale, double *middle)
{
    size_t at = 0, columns = ym_plan_columns(plan);
    struct ym_term t;

    for (size_t j = 0; j < columns; j++) {
        scale[j] = 1;
        middle[j] = 0;
    }
    for (size_t i = 0; ym_plan_term(plan, i, &t); i++) {
        const struct ym_variable *v = &plan->input[t.factor[0].input];
        bool flag = v->missing == YM_MISSING_INDICATOR && t.factor[0].transform == YM_AS_IS;

        if (v->kind == YM_VAR_NUMBER) {
            double low = ym_design_transform(plan, t.factor[0], v->low, YM_UNITS_STUDY);
            double high = ym_design_transform(plan, t.factor[0], v->high, YM_UNITS_STUDY);

            scale[at] = (high - low) / 2;
            if (flag)
                middle[at + 1] = (low + high) / 2;
        }
        at += (v->kind == YM_VAR_CATEGORY ? v->level_count - 1 : 1) + flag;
    }
}

/* Trained weights w of one output as rows of m [columns][columns], w = m b. */
static void weights_of(const double *scale, const double *middle, size_t columns, double *m)
{
    for (size_t j = 0; j < columns; j++) {
        m[j * columns + j] = scale[j];
        if (middle[j] != 0)
            m[j * columns + j - 1] = -middle[j];
    }
}

/* strength * |w|^2, b the coefficients as told. Of L levels only differences d to the first are told: the least that
 * all weights together can be is sum d^2 - (sum d)^2 / L. */
static void spread_penalty(const struct ym_newton_problem *q, const double *m, double strength, double *penalty)
{
    size_t c = q->columns, skip = q->kind != YM_NEWTON_COX, width = c + skip;
    size_t outputs = q->outputs ? q->outputs : 1, n = outputs * width;

    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) {
            double sum = 0;

            for (size_t k = 0; k < c; k++)
                sum += strength * m[k * c + i] * m[k * c + j];
            for (size_t a = 0; a < outputs; a++)
                for (size_t b = 0; b < outputs; b++)
                    penalty[(a * width + skip + i) * n + b * width + skip + j] =
                        sum * ((a == b) - (q->outputs ? 1 / (double)(outputs + 1) : 0));
        }
}

/* Training minimises the mean loss of patients and l2 / 2 |w|^2. *out new. */
static enum ym_code penalty_of(const struct ym_plan *plan, const struct ym_newton_problem *q, double strength,
                               double **out, struct ym_status *st)
{
    size_t c = q->columns, n = (q->outputs ? q->outputs : 1) * (c + 1);
    double *scale = calloc(2 * c, sizeof *scale), *m = calloc(c * c, sizeof *m);

    *out = calloc(n * n, sizeof **out);
    if (scale && m && *out) {
        scales_of(plan, scale, scale + c);
        weights_of(scale, scale + c, c, m);
        spread_penalty(q, m, strength, *out);
    }
    free(scale);
    free(m);
    return scale && m && *out ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a penalty");
}

/* ---- answer ---- */

static enum ym_code name_terms(const struct ym_plan *plan, struct ym_exact *e, char (**name)[256], struct ym_status *st)
{
    size_t intercept = plan->family != YM_FAMILY_COX, width = ym_plan_columns(plan) + intercept;
    size_t outputs = plan->family == YM_FAMILY_MULTINOMIAL ? plan->outcome.level_count - 1 : 1;

    e->width = width;
    e->term = calloc(outputs * width, sizeof *e->term);
    if (!e->term)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for names");
    if (intercept)
        snprintf(e->term[0], sizeof e->term[0], "(intercept)");
    for (size_t i = intercept; i < width; i++)
        ym_design_name(plan, i - intercept, e->term[i]);
    for (size_t i = width; i < outputs * width; i++)
        memcpy(e->term[i], e->term[i - width], sizeof e->term[i]);
    *name = e->term + intercept;
    return YM_OK;
}

/* Of Cox rows; of other survival families each patient's, told by its first bin. */
static struct ym_concordance concordance_of(const struct ym_plan *plan, const struct ym_sim_site *site, size_t sites,
                                            const struct rows *r, const struct ym_newton_fit *fit)
{
    size_t n = 0, first = 0, skip = fit->count - r->columns;
    double *risk = calloc(2 * r->count + 1, sizeof *risk), *time = risk ? risk + r->count : NULL;
    struct ym_concordance c = {.index = NAN, .se = NAN};
    uint8_t *event = calloc(r->count + 1, sizeof *event);
    uint32_t *baseline = calloc(r->count + 1, sizeof *baseline);

    for (size_t s = 0; risk && event && baseline && s < sites; s++) {
        const struct ym_table *t = site[s].data;

        for (size_t p = 0; p < t->patients; p++, n++) {
            size_t row = first + (size_t)t->first_row[p];

            for (size_t j = 0; j < r->columns; j++)
                risk[n] += r->x[row * r->columns + j] * fit->beta[skip + j];
            time[n] = plan->family == YM_FAMILY_COX ? r->y[row] : (double)t->time[p];
            event[n] = t->event[p];
            baseline[n] = plan->family == YM_FAMILY_COX ? r->baseline[row] : 0;
        }
        first += t->rows;
    }
    if (risk && event && baseline)
        c = ym_concordance_of(risk, time, event, baseline, n);
    free(risk);
    free(event);
    free(baseline);
    return c;
}

static bool plan_names(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, name) == 0)
            return true;
    return false;
}

static enum ym_code check(const struct ym_plan *plan, const struct ym_sim_site *site, size_t count,
                          struct ym_status *st)
{
    for (size_t i = 0; i < count; i++) {
        if (!plan_names(plan, site[i].name))
            return ym_status_set(st, YM_INVALID, "plan '%s' names no hospital '%s'", plan->study, site[i].name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(site[k].name, site[i].name) == 0)
                return ym_status_set(st, YM_INVALID, "hospital '%s' is given twice", site[i].name);
    }
    if (!kind_of(plan))
        return ym_status_set(st, YM_INVALID, "the family %s has no maximum likelihood fit here",
                             ym_plan_family_word(plan->family));
    if (plan->l2 > 0 && has_products(plan))
        return ym_status_set(st, YM_INVALID,
                             "training.l2 is of scaled products, which study units do not have: set it to 0, or take "
                             "the products out of the formula");
    return YM_OK;
}

enum ym_code ym_exact_fit(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          struct ym_exact *out, struct ym_status *st)
{
    struct rows *r = calloc(1, sizeof *r);
    double *penalty = NULL;
    struct ym_exact e = {.concordance = NAN, .concordance_se = NAN};
    struct ym_concordance c;
    struct ym_newton_problem q = {.kind = kind_of(plan), .ties = plan->efron ? YM_TIES_EFRON : YM_TIES_BRESLOW};
    enum ym_code code = r ? check(plan, site, site_count, st) : ym_status_set(st, YM_EXHAUSTED, "no memory");

    if (code == YM_OK)
        code = collect(plan, site, site_count, r, st);
    if (code == YM_OK)
        code = name_terms(plan, &e, &q.name, st);
    if (code != YM_OK)
        goto out;
    q.columns = r->columns;
    q.outputs = plan->family == YM_FAMILY_MULTINOMIAL ? plan->outcome.level_count - 1 : 0;
    q.part = r->part;
    q.part_count = r->part_count;
    for (size_t i = 0; i < site_count; i++)
        e.penalty += plan->l2 * (double)site[i].data->patients;
    if (plan->l2 > 0)
        code = penalty_of(plan, &q, e.penalty, &penalty, st);
    if (code != YM_OK)
        goto out;
    q.penalty = penalty;
    code = ym_newton(&q, &e.fit, st);
    if (code != YM_OK)
        goto out;
    if (ym_plan_survival(plan)) {
        c = concordance_of(plan, site, site_count, r, &e.fit);
        e.concordance = c.index;
        e.concordance_se = c.se;
    }
    *out = e;
    e = (struct ym_exact){0};
out:
    ym_exact_release(&e);
    free(penalty);
    if (r) {
        free(r->x);
        free(r->y);
        free(r->offset);
        free(r->event);
        free(r->baseline);
    }
    free(r);
    return code;
}

void ym_exact_release(struct ym_exact *e)
{
    ym_newton_release(&e->fit);
    free(e->term);
    *e = (struct ym_exact){0};
}

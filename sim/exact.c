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

/* ---- answer ---- */

static enum ym_code name_terms(const struct ym_plan *plan, struct ym_exact *e, char (**name)[256], struct ym_status *st)
{
    size_t intercept = plan->family != YM_FAMILY_COX, count = ym_plan_columns(plan) + intercept;

    e->term = calloc(count, sizeof *e->term);
    if (!e->term)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for names");
    if (intercept)
        snprintf(e->term[0], sizeof e->term[0], "(intercept)");
    for (size_t i = intercept; i < count; i++)
        ym_design_name(plan, i - intercept, e->term[i]);
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
    if (plan->l2 > 0)
        return ym_status_set(st, YM_INVALID, "maximum likelihood has no penalty: set training.l2 to 0");
    return YM_OK;
}

enum ym_code ym_exact_fit(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          struct ym_exact *out, struct ym_status *st)
{
    struct rows *r = calloc(1, sizeof *r);
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
    q.part = r->part;
    q.part_count = r->part_count;
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

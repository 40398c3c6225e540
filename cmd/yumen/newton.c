#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/simulate.h"
#include "sim/exact.h"

#define Z_95 1.959963984540054

/* Two-sided, normal: the chance of a coefficient this far from 0 by standard errors alone. */
static double p_of(double z)
{
    return erfc(fabs(z) / M_SQRT2);
}

/* Level that a coefficient tells of, against the first; "" where there is but one linear predictor. */
static const char *level_of(const struct ym_plan *plan, const struct ym_exact *e, size_t i)
{
    return plan->family == YM_FAMILY_MULTINOMIAL ? plan->outcome.level[1 + i / e->width] : "";
}

static void print_table(const struct ym_plan *plan, const struct ym_exact *e)
{
    struct ym_buf line = {0}, term = {0};

    ym_print_pad(&line, T(SPONSOR_NEWTON_TERM), 26);
    printf("%s%s\n", ym_buf_str(&line), T(SPONSOR_NEWTON_HEAD));
    for (size_t i = 0; i < e->fit.count; i++) {
        double b = e->fit.beta[i], se = e->fit.se[i];

        ym_buf_clear(&line);
        ym_buf_clear(&term);
        ym_buf_printf(&term, "%s%s%s", level_of(plan, e, i), *level_of(plan, e, i) ? ": " : "", e->term[i]);
        ym_print_pad(&line, ym_buf_str(&term), 26);
        printf("%s%14.8g %14.8g %9.4f %11.4g %14.8g %14.8g\n", ym_buf_str(&line), b, se, b / se, p_of(b / se),
               b - Z_95 * se, b + Z_95 * se);
    }
    ym_buf_release(&line);
    ym_buf_release(&term);
}

static void print_fit(const struct ym_simulation *s, const struct ym_exact *e)
{
    const struct ym_newton_fit *f = &e->fit;

    printf(T(SPONSOR_NEWTON_TITLE), ym_plan_family_word(s->plan->family), f->rows, f->steps);
    print_table(s->plan, e);
    printf(T(SPONSOR_NEWTON_LOGLIK), f->loglik);
    if (e->penalty > 0)
        printf(T(SPONSOR_NEWTON_PENALTY), e->penalty);
    if (!isnan(f->loglik_null))
        printf(T(SPONSOR_NEWTON_NULL), f->loglik_null, f->events);
    if (s->plan->family == YM_FAMILY_LINEAR)
        printf(T(SPONSOR_NEWTON_DISPERSION), f->dispersion);
    if (!isnan(e->concordance))
        printf(T(SPONSOR_NEWTON_CONCORDANCE), e->concordance, e->concordance_se);
    puts(T(SPONSOR_NEWTON_NOTE));
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void print_json(const struct ym_simulation *s, const struct ym_exact *e)
{
    const struct ym_newton_fit *f = &e->fit;
    json_t *table = json_array(), *o;

    for (size_t i = 0; i < f->count; i++) {
        json_t *row = json_pack("{s:s,s:f,s:f}", "term", e->term[i], "coefficient", f->beta[i], "se", f->se[i]);

        if (*level_of(s->plan, e, i))
            json_object_set_new(row, "level", json_string(level_of(s->plan, e, i)));
        json_array_append_new(table, row);
    }
    o = json_pack("{s:o,s:b,s:s,s:s,s:I,s:I,s:i,s:o,s:f,s:o,s:f,s:o}", "marks", ym_simulation_marks(s), "private", 0,
                  "study", s->plan->study, "family", ym_plan_family_word(s->plan->family), "rows", (json_int_t)f->rows,
                  "events", (json_int_t)f->events, "steps", (int)f->steps, "coefficients", table, "loglik", f->loglik,
                  "loglik_null", real_or_null(f->loglik_null), "dispersion", f->dispersion, "concordance",
                  real_or_null(e->concordance));
    json_object_set_new(o, "penalty", json_real(e->penalty));
    json_object_set_new(o, "concordance_se", real_or_null(e->concordance_se));
    ym_print_json(o);
    json_decref(o);
}

enum ym_code ym_simulation_newton(struct ym_simulation *s, struct ym_status *st)
{
    struct ym_exact e = {0};
    enum ym_code code;

    if (!s->json) {
        ym_simulation_print_marks(s);
        ym_simulation_print_sites(s);
    }
    code = ym_exact_fit(s->plan, s->site, s->site_count, &e, st);
    if (code != YM_OK)
        return code;
    if (s->json)
        print_json(s, &e);
    else
        print_fit(s, &e);
    ym_exact_release(&e);
    return YM_OK;
}

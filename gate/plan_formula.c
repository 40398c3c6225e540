#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/design.h"
#include "gate/formula.h"
#include "gate/plan_internal.h"

static const struct ym_decimal_range time_range = {"0", "1000000000000", false};
static const struct ym_decimal_range cut_range = {"0", "1000000000000", true};
static const char *const ties_words[] = {"efron", "breslow", NULL};

/* ---- survival ---- */

static void refuse_keys(struct ym_schema *s, const struct ym_at *model, const char *const *keys, const char *why)
{
    for (; *keys; keys++)
        if (ym_schema_has(model, *keys))
            ym_schema_say(s, model, *keys, "%s", why);
}

/* The time stands behind the inputs, so that cards, files and rows are linked to it as to them. */
static void read_time(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    static const char *const keys[] = {"name", "unit", "low", "high", NULL};
    struct ym_at at = ym_schema_object(s, model, "time", true);
    struct ym_variable v = {.kind = YM_VAR_NUMBER, .missing = YM_MISSING_DROP, .role = YM_AS_TIME};
    struct ym_decimal low, high;
    if (!at.value || !plan->input)
        return;
    ym_schema_keys(s, &at, keys);
    bool ok = ym_schema_name(s, &at, "name", v.name);
    ok &= ym_schema_text(s, &at, "unit", "", v.unit, sizeof v.unit);
    ok &= ym_schema_decimal(s, &at, "low", "0", &time_range, &low);
    ok &= ym_schema_decimal(s, &at, "high", NULL, &cut_range, &high);
    if (!ok)
        return;
    if (low.scaled >= high.scaled)
        ym_schema_say(s, &at, "low", "%s", T(PLAN_LOW_HIGH));
    v.low = ym_decimal_double(low);
    v.high = ym_decimal_double(high);
    plan->time_input = plan->input_count;
    plan->input[plan->input_count++] = v;
}

static void read_cuts(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    struct ym_at list = ym_schema_list(s, model, "cuts", 1, YM_PLAN_MAX_CUTS);
    double high = plan->time_input < plan->input_count ? plan->input[plan->time_input].high : 0;
    bool good = true;
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        struct ym_decimal d;
        if (!ym_schema_item_decimal(s, &list, i, &cut_range, &d))
            continue;
        double v = ym_decimal_double(d);
        good &= !plan->cut_count || v > plan->cut[plan->cut_count - 1];
        good &= high == 0 || v < high;
        plan->cut[plan->cut_count++] = v;
    }
    if (!good)
        ym_schema_say(s, model, "cuts", "%s", T(PLAN_CUTS));
}

static void read_strata(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    char name[64];
    if (!ym_schema_text(s, model, "strata", "hospital", name, sizeof name))
        return;
    plan->baseline = !strcmp(name, "hospital") ? YM_BASELINE_HOSPITAL
                     : !strcmp(name, "pooled") ? YM_BASELINE_POOLED
                                               : YM_BASELINE_COLUMN;
    if (plan->baseline != YM_BASELINE_COLUMN)
        return;
    for (size_t i = 0; i < plan->input_count; i++) {
        struct ym_variable *v = &plan->input[i];
        if (strcmp(v->name, name) || v->kind != YM_VAR_CATEGORY || v->missing == YM_MISSING_INDICATOR)
            continue;
        v->role = YM_AS_STRATA;
        plan->strata_input = i;
        return;
    }
    ym_schema_say(s, model, "strata", "%s", T(PLAN_STRATA));
}

static void read_cox(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    static const char *const cuts[] = {"cuts", NULL};
    size_t ties;
    refuse_keys(s, model, cuts, T(PLAN_CUTS_ONLY));
    if (ym_schema_choice(s, model, "ties", "efron", ties_words, &ties))
        plan->efron = ties == 0;
    read_strata(s, model, plan);
}

void ym_plan_read_survival(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    static const char *const survival[] = {"time", "cuts", NULL}, *const cox[] = {"ties", "strata", NULL};
    if (!plan->family)
        return;
    if (plan->family != YM_FAMILY_COX)
        refuse_keys(s, model, cox, T(PLAN_COX_ONLY));
    if (!ym_plan_survival(plan)) {
        refuse_keys(s, model, survival, T(PLAN_SURVIVAL_ONLY));
        return;
    }
    plan->time_input = SIZE_MAX;
    if (plan->family == YM_FAMILY_COX && !plan->exact) {
        ym_schema_say(s, model, "family", "%s", T(PLAN_COX));
        return;
    }
    read_time(s, model, plan);
    if (plan->family == YM_FAMILY_COX)
        read_cox(s, model, plan);
    else
        read_cuts(s, model, plan);
}

/* ---- formula ---- */

static bool make_terms(struct ym_schema *s, struct ym_plan *plan, size_t count)
{
    plan->term = calloc(count + 1, sizeof *plan->term);
    s->exhausted |= !plan->term;
    return plan->term != NULL;
}

/* Without a formula: every input that has no other role, if any has one. */
static void plain_terms(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    size_t roles = 0;
    for (size_t i = 0; i < plan->input_count; i++)
        roles += plan->input[i].role != YM_AS_COLUMN;
    if (!roles || !make_terms(s, plan, plan->input_count))
        return;
    for (size_t i = 0; i < plan->input_count; i++)
        if (plan->input[i].role == YM_AS_COLUMN)
            plan->term[plan->term_count++] = (struct ym_term){.factor = {{.input = (uint16_t)i}}, .count = 1};
    if (!plan->term_count)
        ym_schema_say(s, model, "inputs", "%s", T(PLAN_NO_COLUMN));
}

static void take_formula(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan,
                         const struct ym_formula *f)
{
    struct ym_buf text = {0};
    if (!make_terms(s, plan, f->term_count))
        return;
    memcpy(plan->term, f->term, f->term_count * sizeof *plan->term);
    plan->term_count = f->term_count;
    plan->has_formula = true;
    plan->has_offset = f->has_offset;
    plan->offset = f->offset;
    if (f->has_offset)
        plan->input[f->offset.input].role = YM_AS_OFFSET;
    if (ym_design_columns(plan) > YM_PLAN_MAX_COLUMNS)
        ym_schema_say(s, model, "formula", T(PLAN_FORMULA_COLUMNS), ym_design_columns(plan), YM_PLAN_MAX_COLUMNS);
    ym_formula_format(plan, f, &text);
    ym_schema_rewrite(s, model, "formula", ym_buf_str(&text));
    ym_buf_release(&text);
}

static bool readable(const struct ym_plan *plan)
{
    bool good = plan->input_count && plan->outcome.kind && plan->family;
    for (size_t i = 0; i < plan->input_count; i++)
        good &= plan->input[i].name[0] && plan->input[i].kind;
    return good && (!ym_plan_survival(plan) || plan->time_input < plan->input_count);
}

void ym_plan_read_formula(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    char text[YM_FORMULA_MAX_BYTES];
    struct ym_formula *f;
    if (!ym_schema_has(model, "formula")) {
        plain_terms(s, model, plan);
        return;
    }
    if (plan->family == YM_FAMILY_NETWORK) {
        ym_schema_say(s, model, "formula", "%s", T(PLAN_FORMULA_NETWORK));
        return;
    }
    if (!ym_schema_text(s, model, "formula", NULL, text, sizeof text) || !readable(plan))
        return;
    f = malloc(sizeof *f);
    s->exhausted |= !f;
    if (f && ym_formula_parse(plan, text, f))
        take_formula(s, model, plan, f);
    else if (f)
        ym_schema_say(s, model, "formula", T(PLAN_FORMULA), f->at, f->word, f->why);
    free(f);
}

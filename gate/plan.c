#include "gate/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "gate/design.h"
#include "gate/plan_internal.h"

void ym_plan_free(struct ym_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->input_count; i++)
        free(plan->input[i].level);
    free(plan->input);
    free(plan->term);
    free(plan->outcome.level);
    free(plan->site);
    ym_recipients_release(&plan->border.recipients);
    ym_buf_release(&plan->canonical);
    free(plan);
}

static enum ym_code read_plan(const struct ym_doc *doc, bool exact, struct ym_plan **out, struct ym_problems *p,
                              struct ym_status *st)
{
    struct ym_plan *plan = calloc(1, sizeof *plan);
    struct ym_schema s;
    if (!plan)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    plan->exact = exact;
    ym_schema_begin(&s, doc, p);
    struct ym_at root = ym_schema_root(&s);
    if (root.value) {
        ym_plan_read_keys(&s, &root, plan);
        ym_plan_check(&s, &root, plan);
    }
    enum ym_code code = ym_schema_end(&s, YM_PLAN_MAX_BYTES, &plan->canonical, st);
    ym_schema_release(&s);
    if (code != YM_OK) {
        ym_plan_free(plan);
        return code;
    }
    ym_sha256(plan->canonical.data, plan->canonical.len, plan->hash);
    *out = plan;
    return YM_OK;
}

enum ym_code ym_plan_read(const struct ym_doc *doc, struct ym_plan **out, struct ym_problems *p, struct ym_status *st)
{
    return read_plan(doc, false, out, p, st);
}

enum ym_code ym_plan_read_exact(const struct ym_doc *doc, struct ym_plan **out, struct ym_problems *p,
                                struct ym_status *st)
{
    return read_plan(doc, true, out, p, st);
}

static enum ym_code decode_value(json_t *value, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = ym_doc_wrap("plan", value);
    if (!doc)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    enum ym_code code = ym_plan_read(doc, out, &p, st);
    if (code == YM_INVALID && p.count)
        ym_status_set(st, code, "plan is refused: %s: %s%s", p.item[0].key, p.item[0].message,
                      p.count > 1 ? " (and more)" : "");
    ym_problems_release(&p);
    ym_doc_free(doc);
    return code;
}

enum ym_code ym_plan_decode(const void *data, size_t len, struct ym_plan **out, struct ym_status *st)
{
    json_t *value = NULL;
    struct ym_plan *plan = NULL;
    enum ym_code code = ym_json_parse(data, len, YM_PLAN_MAX_BYTES, &value, st);
    if (code != YM_OK)
        return code;
    code = decode_value(value, &plan, st);
    json_decref(value);
    if (code != YM_OK)
        return code;
    if (plan->canonical.len != len || memcmp(plan->canonical.data, data, len)) {
        ym_plan_free(plan);
        return ym_status_set(st, YM_INVALID, "plan is not in canonical form");
    }
    *out = plan;
    return YM_OK;
}

size_t ym_plan_columns(const struct ym_plan *plan)
{
    return ym_design_columns(plan) + plan->cut_count;
}

bool ym_plan_term(const struct ym_plan *plan, size_t i, struct ym_term *out)
{
    if (i >= (plan->term ? plan->term_count : plan->input_count))
        return false;
    *out = plan->term ? plan->term[i] : (struct ym_term){.factor = {{.input = (uint16_t)i}}, .count = 1};
    return true;
}

const char *ym_plan_family_word(enum ym_family family)
{
    return ym_plan_families[family - 1];
}

bool ym_plan_survival(const struct ym_plan *plan)
{
    return plan->family == YM_FAMILY_DISCRETE_HAZARD || plan->family == YM_FAMILY_PIECEWISE_EXPONENTIAL ||
           plan->family == YM_FAMILY_COX;
}

size_t ym_plan_bins(const struct ym_plan *plan)
{
    return plan->cut_count + 1;
}

size_t ym_plan_targets(const struct ym_plan *plan)
{
    return plan->family == YM_FAMILY_POISSON || plan->family == YM_FAMILY_PIECEWISE_EXPONENTIAL ? 2 : 1;
}

bool ym_plan_holds(const struct ym_plan *plan, uint64_t draw)
{
    return draw < plan->holdout;
}

size_t ym_plan_exits(const struct ym_plan *plan)
{
    return 2 * ym_plan_bins(plan) + 1;
}

size_t ym_plan_metric_dim(const struct ym_plan *plan)
{
    size_t outputs = ym_plan_outputs(plan);
    if (!plan->metric_every)
        return 0;
    if (ym_plan_survival(plan))
        return ym_plan_exits(plan) * plan->metric_bins;
    return outputs == 1 ? 2 * (size_t)plan->metric_bins : outputs * outputs;
}

bool ym_plan_metric_due(const struct ym_plan *plan, uint32_t round)
{
    return plan->metric_every && (round % plan->metric_every == 0 || round == plan->rounds);
}

size_t ym_plan_site_dim(const struct ym_plan *plan, uint32_t round)
{
    return plan->metric_per_site && ym_plan_metric_due(plan, round) ? ym_plan_metric_dim(plan) : 0;
}

size_t ym_plan_outputs(const struct ym_plan *plan)
{
    if (plan->family == YM_FAMILY_LINEAR || plan->family == YM_FAMILY_LOGISTIC || plan->family == YM_FAMILY_POISSON ||
        ym_plan_survival(plan))
        return 1;
    if (plan->family != YM_FAMILY_MULTINOMIAL && plan->outcome.level_count == 2)
        return 1;
    return plan->outcome.level_count;
}

struct ym_extent ym_plan_image(const struct ym_plan *plan)
{
    const struct ym_variable *v = &plan->input[0];
    return (struct ym_extent){v->height, v->width, v->channels};
}

int64_t ym_plan_epsilon_micro(const struct ym_plan *plan)
{
    const __int128 micro = (__int128)1000000000000;

    return (int64_t)((plan->epsilon_max.scaled + micro - 1) / micro);
}

size_t ym_plan_scaled_columns(const struct ym_plan *plan)
{
    size_t numbers = 0;
    for (size_t i = 0; i < plan->input_count && plan->scaling_sigma_units > 0; i++)
        numbers += plan->input[i].kind == YM_VAR_NUMBER && plan->input[i].role == YM_AS_COLUMN;
    return numbers;
}

bool ym_plan_scales(const struct ym_plan *plan, uint32_t round)
{
    return plan->scaling_sigma_units > 0 && round == 1;
}

uint64_t ym_plan_trained_steps(const struct ym_plan *plan)
{
    return (uint64_t)(plan->rounds - ym_plan_scales(plan, 1)) * plan->steps_per_round;
}

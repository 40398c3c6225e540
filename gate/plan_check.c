#include "gate/plan_internal.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "privacy/accountant.h"
#include "privacy/clip.h"

/* ---- names ---- */

static void check_variable_names(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan)
{
    struct ym_at inputs = ym_schema_peek(s, model, "inputs"), time = ym_schema_peek(s, model, "time");
    for (size_t i = 0; i < plan->input_count; i++) {
        const char *name = plan->input[i].name;
        bool again = *name && !strcmp(name, plan->outcome.name);
        for (size_t k = 0; k < i && *name && !again; k++)
            again = !strcmp(name, plan->input[k].name);
        if (again && plan->input[i].role == YM_AS_TIME)
            ym_schema_say(s, &time, "name", T(PLAN_DUPLICATE_VARIABLE), name);
        else if (again)
            ym_schema_say_item(s, &inputs, i, "name", T(PLAN_DUPLICATE_VARIABLE), name);
    }
}

static void check_site_names(struct ym_schema *s, const struct ym_at *federation, const struct ym_plan *plan)
{
    struct ym_at sites = ym_schema_peek(s, federation, "hospitals");
    for (size_t i = 0; i < plan->site_count; i++) {
        const char *name = plan->site[i].name;
        bool again = false;
        for (size_t k = 0; k < i && *name && !again; k++)
            again = !strcmp(name, plan->site[k].name);
        if (again)
            ym_schema_say_item(s, &sites, i, "name", T(PLAN_DUPLICATE_SITE), name);
    }
}

/* ---- model ---- */

static void check_outcome(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan)
{
    const struct ym_variable *v = &plan->outcome;
    if (!plan->family || !v->kind)
        return;
    const char *family = ym_plan_families[plan->family - 1];
    if (plan->family == YM_FAMILY_LINEAR || plan->family == YM_FAMILY_POISSON) {
        if (v->kind != YM_VAR_NUMBER)
            ym_schema_say(s, model, "outcome", T(PLAN_OUTCOME_NUMBER), family);
        else if (plan->family == YM_FAMILY_POISSON && v->low < 0)
            ym_schema_say(s, model, "outcome", "%s", T(PLAN_OUTCOME_COUNT));
    } else if (v->kind != YM_VAR_CATEGORY) {
        ym_schema_say(s, model, "outcome", T(PLAN_OUTCOME_LEVELS), family);
    } else if ((plan->family == YM_FAMILY_LOGISTIC || ym_plan_survival(plan)) && v->level_count &&
               v->level_count != 2) {
        ym_schema_say(s, model, "outcome", T(PLAN_OUTCOME_TWO), family);
    }
}

uint64_t ym_plan_parameters(const struct ym_plan *plan)
{
    uint64_t total = 0, in = ym_plan_columns(plan);

    if (plan->family == YM_FAMILY_NETWORK)
        return plan->network.dim;
    for (size_t i = 0; i <= plan->hidden_count; i++) {
        uint64_t out = i < plan->hidden_count ? plan->hidden[i] : ym_plan_outputs(plan);
        total += (in + 1) * out; /* each factor <= 2^17, nine layers: no wrap */
        in = out;
    }
    return total;
}

static uint64_t count_extra(const struct ym_plan *plan)
{
    size_t scaled = ym_plan_scaled_columns(plan);
    return (plan->clip_bit_units > 0) + (scaled ? 1 + 2 * scaled : 0) + ym_plan_metric_dim(plan);
}

static void check_images(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan)
{
    struct ym_at inputs = ym_schema_peek(s, model, "inputs");
    for (size_t i = 0; i < plan->input_count; i++)
        if (plan->input[i].kind == YM_VAR_IMAGE && plan->family && plan->family != YM_FAMILY_NETWORK)
            ym_schema_say_item(s, &inputs, i, NULL, "%s", T(PLAN_NETWORK_ONLY));
}

static void check_survival(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at training = ym_schema_peek(s, root, "training");
    if (ym_plan_survival(plan) && plan->max_records_per_patient > 1)
        ym_schema_say(s, &training, "max_records_per_patient", "%s", T(PLAN_SURVIVAL_RECORDS));
}

static void check_size(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan)
{
    if (!plan->family || !plan->input_count || !plan->outcome.kind || plan->family == YM_FAMILY_NETWORK)
        return;
    if (ym_plan_parameters(plan) + count_extra(plan) > YM_PLAN_MAX_PARAMS)
        ym_schema_say(s, model, plan->family == YM_FAMILY_MLP ? "hidden" : "inputs", T(PLAN_TOO_LARGE),
                      YM_PLAN_MAX_PARAMS);
}

/* ---- privacy ---- */

static void check_delta(struct ym_schema *s, const struct ym_at *privacy, const struct ym_plan *plan)
{
    const __int128 unit = (__int128)1000000000000000000;
    if (!plan->delta.scaled || !plan->nominal_patients)
        return;
    __int128 people = (__int128)10 * plan->nominal_patients;
    if (plan->delta.scaled * people <= unit)
        return;
    char limit[32];
    snprintf(limit, sizeof limit, "%.3g", 1.0 / (double)people);
    ym_schema_say(s, privacy, "delta", T(PLAN_DELTA), limit);
}

static void check_epsilon(struct ym_schema *s, const struct ym_at *privacy, const struct ym_plan *plan)
{
    if (!plan->sigma_units || !plan->sampling_k || !plan->steps_per_round || !plan->rounds || !plan->delta.scaled ||
        !plan->epsilon_max.scaled || (plan->metric_every && !plan->metric_sigma_units))
        return;
    const __int128 micro = (__int128)1000000000000;
    int64_t cost_micro = INT64_MAX;
    if (ym_plan_epsilon(plan, 1, plan->rounds, &cost_micro, NULL) == YM_OK &&
        cost_micro <= (int64_t)(plan->epsilon_max.scaled / micro))
        return;
    double cost = cost_micro == INT64_MAX ? INFINITY : (double)cost_micro / 1e6;
    uint64_t steps = (uint64_t)plan->rounds * plan->steps_per_round, sigma;
    struct ym_buf asked = {0};
    ym_decimal_format(plan->epsilon_max, &asked);
    /* a millionth of slack covers rounding up to millionths */
    if (ym_plan_calibrate(plan, ym_decimal_double(plan->epsilon_max) * (1 - 1e-6), &sigma, NULL) == YM_OK)
        ym_schema_say(s, privacy, "epsilon", T(PLAN_EPSILON), (unsigned long long)steps, cost, ym_buf_str(&asked),
                      ceil((double)sigma / YM_CLIP_UNITS * 1000) / 1000);
    else
        ym_schema_say(s, privacy, "epsilon", T(PLAN_EPSILON_NEVER), (unsigned long long)steps, cost,
                      ym_buf_str(&asked));
    ym_buf_release(&asked);
}

static void check_route(struct ym_schema *s, const struct ym_at *privacy, const struct ym_plan *plan)
{
    if (plan->family == YM_FAMILY_NETWORK && plan->route == YM_ROUTE_BOUNDED)
        ym_schema_say(s, privacy, "route", "%s", T(PLAN_ROUTE_DENSE));
}

static void check_scaling(struct ym_schema *s, const struct ym_at *privacy, const struct ym_plan *plan)
{
    if (!plan->scaling_sigma_units)
        return;
    if (plan->rounds == 1)
        ym_schema_say(s, privacy, "scaling", "%s", T(PLAN_SCALING_ROUNDS));
    if (plan->has_formula)
        ym_schema_say(s, privacy, "scaling", "%s", T(PLAN_SCALING_FORMULA));
    if (plan->input_count && !ym_plan_scaled_columns(plan))
        ym_schema_say(s, privacy, "scaling", "%s", T(PLAN_SCALING_NUMBERS));
}

/* ---- training ---- */

static void check_schedule(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at training = ym_schema_peek(s, root, "training");
    struct ym_at at = ym_schema_peek(s, &training, "schedule");
    uint64_t steps = ym_plan_trained_steps(plan);
    if (!at.value || !plan->rounds || !plan->steps_per_round)
        return;
    if (plan->warm_up_steps >= steps)
        ym_schema_say(s, &at, "warm_up", T(PLAN_SCHEDULE_LATE), (unsigned long long)steps);
    if (plan->schedule_every >= steps)
        ym_schema_say(s, &at, "every", T(PLAN_SCHEDULE_LATE), (unsigned long long)steps);
    if (plan->schedule == YM_SCHEDULE_CONSTANT && !plan->warm_up_steps)
        ym_schema_say(s, &training, "schedule", "%s", T(PLAN_SCHEDULE_NOTHING));
}

/* ---- sums ---- */

/* docs/plan.md, "No sum wraps": sum of weights * 2^(w-1) < 2^62. */
static void check_lattice(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at update = ym_schema_peek(s, root, "update");
    uint64_t weights = 0;
    uint32_t width = plan->update_width_bits, fits = 60;
    for (size_t i = 0; i < plan->site_count; i++)
        weights += plan->site[i].weight; /* <= 100 * 1000 < 2^17 */
    if (plan->update_scale_bits && width && plan->update_scale_bits >= width)
        ym_schema_say(s, &update, "scale_bits", "%s", T(PLAN_SCALE));
    while (weights && weights >= UINT64_C(1) << (63 - fits))
        fits--;
    if (weights && width > fits)
        ym_schema_say(s, &update, "width_bits", T(PLAN_LATTICE), (unsigned long long)weights, fits);
}

/* A bin holds four times the nominal patients, in sixteenths (models/metric.h). */
static void check_metrics(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at update = ym_schema_peek(s, root, "update");
    uint64_t most = (uint64_t)64 * plan->nominal_patients;
    uint32_t width = plan->update_width_bits, fits = 8;
    if (!plan->metric_every || !width || !plan->nominal_patients)
        return;
    while (UINT64_C(1) << (fits - 1) < most)
        fits++;
    if (width < fits)
        ym_schema_say(s, &update, "width_bits", T(PLAN_METRICS_WIDTH), fits);
}

static void check_quorum(struct ym_schema *s, const struct ym_at *federation, const struct ym_plan *plan)
{
    if (plan->site_count && plan->quorum > plan->site_count)
        ym_schema_say(s, federation, "quorum", T(PLAN_QUORUM), plan->site_count);
}

void ym_plan_check(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at model = ym_schema_peek(s, root, "model");
    struct ym_at privacy = ym_schema_peek(s, root, "privacy");
    struct ym_at federation = ym_schema_peek(s, root, "federation");
    check_variable_names(s, &model, plan);
    check_outcome(s, &model, plan);
    check_images(s, &model, plan);
    check_survival(s, root, plan);
    check_size(s, &model, plan);
    ym_plan_check_start(s, &model, plan);
    check_delta(s, &privacy, plan);
    check_route(s, &privacy, plan);
    check_scaling(s, &privacy, plan);
    check_epsilon(s, &privacy, plan);
    check_schedule(s, root, plan);
    ym_plan_check_options(s, root, plan);
    check_lattice(s, root, plan);
    check_metrics(s, root, plan);
    check_site_names(s, &federation, plan);
    check_quorum(s, &federation, plan);
}

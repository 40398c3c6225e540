#include <math.h>

#include "gate/plan.h"
#include "privacy/inverse.h"

static void add(struct ym_events *e, enum ym_use use, struct ym_event one)
{
    if (one.steps == 0)
        return;
    YM_ASSERT(e->count < YM_EVENTS_MAX);
    e->use[e->count] = use;
    e->event[e->count++] = one;
}

static uint64_t metric_rounds(const struct ym_plan *plan, uint32_t first, uint32_t last)
{
    uint64_t count = 0;

    for (uint32_t r = first; plan->metric_every && r <= last && r <= plan->rounds; r++)
        count += ym_plan_metric_due(plan, r);
    return count;
}

void ym_plan_events(const struct ym_plan *plan, uint32_t first, uint32_t last, struct ym_events *out)
{
    uint64_t rounds = last >= first ? (uint64_t)last - first + 1 : 0;

    bool scales = rounds > 0 && ym_plan_scales(plan, first);

    *out = (struct ym_events){0};
    rounds -= scales;
    add(out, YM_USE_TRAINING, (struct ym_event){plan->sigma_units, plan->sampling_k, rounds * plan->steps_per_round});
    /* everybody, once: k = 2^64 - 1 is read as certain */
    if (scales)
        add(out, YM_USE_SCALING, (struct ym_event){plan->scaling_sigma_units, UINT64_MAX, 1});
    add(out, YM_USE_METRIC, (struct ym_event){plan->metric_sigma_units, UINT64_MAX, metric_rounds(plan, first, last)});
}

/* The fold over a ledger rounds each sum up; no order of adding exceeds this. */
#define FOLD_SLACK 1e-12

enum ym_code ym_plan_epsilon(const struct ym_plan *plan, uint32_t first, uint32_t last, int64_t *micro,
                             struct ym_status *st)
{
    return ym_plan_epsilon_at(plan, first, last, plan->delta, micro, st);
}

enum ym_code ym_plan_epsilon_at(const struct ym_plan *plan, uint32_t first, uint32_t last, struct ym_decimal delta,
                                int64_t *micro, struct ym_status *st)
{
    const double *order;
    size_t orders = ym_rdp_orders(&order);
    struct ym_events e;
    struct ym_rdp spent;
    enum ym_code code = YM_OK;

    ym_plan_events(plan, first, last, &e);
    ym_rdp_clear(&spent);
    for (size_t i = 0; code == YM_OK && i < e.count; i++)
        code = ym_rdp_add(&spent, &e.event[i], st);
    for (size_t i = 0; i < orders; i++)
        spent.at[i] *= 1 + FOLD_SLACK;
    if (code == YM_OK)
        *micro = ym_epsilon_micro(ym_rdp_epsilon(&spent, ym_decimal_double(delta), NULL));
    return code;
}

enum ym_code ym_plan_calibrate(const struct ym_plan *plan, double epsilon, uint64_t *sigma_units, struct ym_status *st)
{
    struct ym_events e;
    enum ym_code code;

    ym_plan_events(plan, 1, plan->rounds, &e);
    if (e.count == 0 || e.use[0] != YM_USE_TRAINING) {
        *sigma_units = 1;
        return YM_OK;
    }
    code = ym_accountant_noise(YM_ACCOUNTANT_RDP, epsilon, ym_decimal_double(plan->delta), e.event, e.count, st);
    if (code == YM_OK)
        *sigma_units = e.event[0].sigma_units;
    return code;
}

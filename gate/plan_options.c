#include "gate/plan_internal.h"

#include "base/text.h"

/* Programs that a plan may ask for on top of the plain ones: all absent unless written. */

static const char *const corrections[] = {"none", "scaffold", NULL};
static const char *const figures[] = {"auc", "accuracy", "brier", "concordance", NULL};
static const char *const flips[] = {"none", "horizontal", NULL};
static const char *const fills[] = {"mean", "black", NULL};

const char *ym_plan_stop_word(enum ym_stop_figure figure)
{
    return figures[figure - 1];
}

void ym_plan_read_correction(struct ym_schema *s, const struct ym_at *training, struct ym_plan *plan)
{
    size_t word;
    if (!ym_schema_has(training, "correction") ||
        !ym_schema_choice(s, training, "correction", NULL, corrections, &word))
        return;
    plan->scaffold = word > 0;
    if (!plan->scaffold)
        json_object_del(training->canon, "correction");
}

void ym_plan_read_augmentation(struct ym_schema *s, const struct ym_at *training, struct ym_plan *plan)
{
    static const char *const keys[] = {"flip", "shift", "fill", "views", NULL};
    static const int64_t none = 0, one = 1;
    int64_t shift = 0, views = 1;
    size_t flip = 0, fill = 0;
    if (!ym_schema_has(training, "augmentation"))
        return;
    struct ym_at at = ym_schema_object(s, training, "augmentation", true);
    ym_schema_keys(s, &at, keys);
    ym_schema_choice(s, &at, "flip", "none", flips, &flip);
    ym_schema_int(s, &at, "shift", &none, 0, YM_PLAN_MAX_SHIFT, &shift);
    ym_schema_choice(s, &at, "fill", "mean", fills, &fill);
    ym_schema_int(s, &at, "views", &one, 1, YM_PLAN_MAX_VIEWS, &views);
    plan->augment = (struct ym_augment){
        .views = at.value ? (uint32_t)views : 0, .shift = (uint32_t)shift, .flip = flip > 0, .black = fill > 0};
}

void ym_plan_read_stop(struct ym_schema *s, const struct ym_at *metrics, struct ym_plan *plan)
{
    static const char *const keys[] = {"figure", "by", "after", NULL};
    static const struct ym_decimal_range share = {"0", "1", false};
    struct ym_decimal by;
    int64_t after;
    size_t figure;
    if (!ym_schema_has(metrics, "stop"))
        return;
    struct ym_at at = ym_schema_object(s, metrics, "stop", true);
    ym_schema_keys(s, &at, keys);
    if (ym_schema_choice(s, &at, "figure", NULL, figures, &figure))
        plan->stop_figure = (enum ym_stop_figure)(figure + 1);
    if (ym_schema_decimal(s, &at, "by", "0", &share, &by))
        plan->stop_by = ym_decimal_double(by);
    if (ym_schema_int(s, &at, "after", NULL, 1, YM_PLAN_MAX_ROUNDS, &after))
        plan->stop_after = (uint32_t)after;
}

static void check_correction(struct ym_schema *s, const struct ym_at *training, const struct ym_plan *plan)
{
    if (!plan->scaffold)
        return;
    if (plan->local_opt != YM_LOCAL_SGD || plan->momentum > 0 || plan->prox > 0 || ym_schema_has(training, "schedule"))
        ym_schema_say(s, training, "correction", "%s", T(PLAN_SCAFFOLD_PLAIN));
    if (plan->steps_per_round == 1)
        ym_schema_say(s, training, "correction", "%s", T(PLAN_SCAFFOLD_STEPS));
}

static void check_augmentation(struct ym_schema *s, const struct ym_at *training, const struct ym_plan *plan)
{
    const struct ym_augment *a = &plan->augment;
    struct ym_at at = ym_schema_peek(s, training, "augmentation");
    if (a->views == 0)
        return;
    if (plan->family && plan->family != YM_FAMILY_NETWORK)
        ym_schema_say(s, training, "augmentation", "%s", T(PLAN_NETWORK_ONLY));
    if (plan->route != YM_ROUTE_INTEGER)
        ym_schema_say(s, training, "augmentation", "%s", T(PLAN_FREEZE_ROUTE));
    if (!a->flip && a->shift == 0)
        ym_schema_say(s, training, "augmentation", "%s", T(PLAN_AUGMENT_NOTHING));
    if (plan->family == YM_FAMILY_NETWORK && plan->input_count == 1 && plan->input[0].kind == YM_VAR_IMAGE &&
        (a->shift >= plan->input[0].width || a->shift >= plan->input[0].height))
        ym_schema_say(s, &at, "shift", "%s", T(PLAN_AUGMENT_SHIFT));
}

static bool has_figure(const struct ym_plan *plan)
{
    if (ym_plan_survival(plan) || plan->stop_figure == YM_STOP_CONCORDANCE)
        return ym_plan_survival(plan) && plan->stop_figure == YM_STOP_CONCORDANCE;
    return plan->stop_figure == YM_STOP_ACCURACY || ym_plan_outputs(plan) == 1;
}

/* It takes one released figure to have a best, and `after` more that are no better. */
static void check_stop(struct ym_schema *s, const struct ym_at *metrics, const struct ym_plan *plan)
{
    struct ym_at at = ym_schema_peek(s, metrics, "stop");
    if (!plan->stop_figure || !plan->metric_every || !plan->rounds)
        return;
    uint32_t before_last = (plan->rounds - 1) / plan->metric_every;
    if (plan->outcome.kind == YM_VAR_CATEGORY && !has_figure(plan))
        ym_schema_say(s, &at, "figure", "%s", T(PLAN_STOP_FIGURE));
    if (plan->stop_after && plan->stop_after >= before_last)
        ym_schema_say(s, &at, "after", T(PLAN_STOP_NEVER), before_last);
}

void ym_plan_check_options(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan)
{
    struct ym_at training = ym_schema_peek(s, root, "training"), metrics = ym_schema_peek(s, root, "metrics");
    check_correction(s, &training, plan);
    check_augmentation(s, &training, plan);
    check_stop(s, &metrics, plan);
}

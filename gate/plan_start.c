#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "gate/plan_internal.h"

/* model.start and model.freeze: where parameters begin, and which of them stay. */

bool ym_plan_layer_name(const struct ym_plan *plan, size_t i, char name[YM_PLAN_LAYER_NAME])
{
    const struct ym_network *n = &plan->network;
    if (plan->family != YM_FAMILY_NETWORK) {
        snprintf(name, YM_PLAN_LAYER_NAME, "layer%zu", i);
        return i <= plan->hidden_count;
    }
    for (size_t k = 0; k < n->count; k++)
        if (n->layer[k].weights > 0 && i-- == 0) {
            snprintf(name, YM_PLAN_LAYER_NAME, "%s%u", ym_layer_stem(n->layer[k].kind), n->layer[k].number);
            return true;
        }
    return false;
}

static uint64_t all_layers(const struct ym_plan *plan)
{
    char name[YM_PLAN_LAYER_NAME];
    uint64_t all = 0;
    for (size_t i = 0; i < 64 && ym_plan_layer_name(plan, i, name); i++)
        all |= UINT64_C(1) << i;
    return all;
}

static uint64_t layer_named(const struct ym_plan *plan, const char *word)
{
    char name[YM_PLAN_LAYER_NAME];
    for (size_t i = 0; i < 64 && ym_plan_layer_name(plan, i, name); i++)
        if (strcmp(name, word) == 0)
            return UINT64_C(1) << i;
    return 0;
}

static uint64_t read_layers(struct ym_schema *s, const struct ym_at *at, const char *key, const struct ym_plan *plan)
{
    struct ym_at list = ym_schema_list(s, at, key, 1, 64);
    char word[64];
    uint64_t set = 0;
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        if (!ym_schema_item_text(s, &list, i, word, sizeof word))
            continue;
        uint64_t layer = layer_named(plan, word);
        if (!layer)
            ym_schema_say(s, &list, NULL, T(PLAN_NO_LAYER), word);
        else if (set & layer)
            ym_schema_say(s, &list, NULL, T(PLAN_LAYER_TWICE), word);
        set |= layer;
    }
    return set;
}

static void read_start(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    static const char *const keys[] = {"sha256", "except", NULL};
    char hash[128];
    if (!ym_schema_has(model, "start"))
        return;
    struct ym_at at = ym_schema_object(s, model, "start", true);
    ym_schema_keys(s, &at, keys);
    plan->starts = true;
    if (ym_schema_text(s, &at, "sha256", NULL, hash, sizeof hash) &&
        ym_hex_decode(hash, strlen(hash), plan->start_hash, sizeof plan->start_hash) != YM_OK)
        ym_schema_say(s, &at, "sha256", "%s", T(PLAN_START_HASH));
    if (ym_schema_has(&at, "except"))
        plan->start_except = read_layers(s, &at, "except", plan);
    if (plan->start_except && plan->start_except == all_layers(plan))
        ym_schema_say(s, &at, "except", "%s", T(PLAN_START_NOTHING));
}

void ym_plan_read_start(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    read_start(s, model, plan);
    if (!ym_schema_has(model, "freeze"))
        return;
    plan->frozen = read_layers(s, model, "freeze", plan);
    if (plan->frozen && plan->frozen == all_layers(plan))
        ym_schema_say(s, model, "freeze", "%s", T(PLAN_FREEZE_ALL));
    if (!plan->starts || plan->frozen & plan->start_except)
        ym_schema_say(s, model, "freeze", "%s", T(PLAN_FREEZE_START));
}

void ym_plan_check_start(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan)
{
    if (plan->starts && plan->scaling_sigma_units)
        ym_schema_say(s, model, "start", "%s", T(PLAN_START_SCALING));
    if (plan->frozen && plan->route == YM_ROUTE_BOUNDED)
        ym_schema_say(s, model, "freeze", "%s", T(PLAN_FREEZE_ROUTE));
}

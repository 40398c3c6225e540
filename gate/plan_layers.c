#include <string.h>

#include "base/text.h"
#include "gate/plan_internal.h"

/* model.layers and the image that it works on: keys, and shapes layer by layer. */

static const struct ym_decimal_range mean_range = {"-10", "10", false};
static const struct ym_decimal_range scale_range = {"0.001", "10", false};

static bool get(struct ym_schema *s, const struct ym_at *at, const char *key, const int64_t *fallback, int64_t low,
                int64_t high, uint32_t *out)
{
    int64_t v;
    if (!ym_schema_int(s, at, key, fallback, low, high, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

bool ym_plan_read_image(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    static const char *const keys[] = {"name", "channels", "height", "width", "mean", "scale", NULL};
    struct ym_decimal mean, scale;
    ym_schema_keys(s, at, keys);
    bool ok = ym_schema_name(s, at, "name", v->name);
    ok &= get(s, at, "channels", NULL, 1, 4, &v->channels);
    ok &= get(s, at, "height", NULL, 1, YM_NETWORK_MAX_IMAGE, &v->height);
    ok &= get(s, at, "width", NULL, 1, YM_NETWORK_MAX_IMAGE, &v->width);
    ok &= ym_schema_decimal(s, at, "mean", "0.5", &mean_range, &mean);
    ok &= ym_schema_decimal(s, at, "scale", "0.5", &scale_range, &scale);
    v->missing = YM_MISSING_DROP;
    if (!ok)
        return false;
    v->kind = YM_VAR_IMAGE;
    v->mean = ym_decimal_double(mean);
    v->scale = ym_decimal_double(scale);
    return true;
}

/* ---- what one layer says ---- */

static bool read_window(struct ym_schema *s, const struct ym_at *at, struct ym_layer *l, bool pool)
{
    static const int64_t one = 1, none = 0;
    bool ok = get(s, at, pool ? "size" : "kernel", NULL, 1, YM_NETWORK_MAX_KERNEL, &l->size);
    int64_t size = l->size ? l->size : 1;
    ok &= get(s, at, "stride", pool ? &size : &one, 1, YM_NETWORK_MAX_STRIDE, &l->stride);
    return ok && (pool || get(s, at, "padding", &none, 0, YM_NETWORK_MAX_KERNEL - 1, &l->padding));
}

static bool read_settings(struct ym_schema *s, const struct ym_at *at, struct ym_layer *l)
{
    static const char *const conv[] = {"channels", "kernel", "stride", "padding", NULL};
    static const char *const norm[] = {"groups", NULL}, *const dense[] = {"width", NULL};
    static const char *const pool[] = {"size", "stride", NULL};
    switch (l->kind) {
    case YM_LAYER_CONV2D:
        ym_schema_keys(s, at, conv);
        return get(s, at, "channels", NULL, 1, YM_NETWORK_MAX_CHANNELS, &l->units) & read_window(s, at, l, false);
    case YM_LAYER_GROUP_NORM:
        ym_schema_keys(s, at, norm);
        return get(s, at, "groups", NULL, 1, YM_NETWORK_MAX_CHANNELS, &l->units);
    case YM_LAYER_DENSE:
        ym_schema_keys(s, at, dense);
        return get(s, at, "width", NULL, 1, YM_NETWORK_MAX_WIDTH, &l->units);
    default:
        ym_schema_keys(s, at, pool);
        return read_window(s, at, l, true);
    }
}

/* ---- the stack ---- */

struct stack {
    struct ym_schema *s;
    struct ym_network *network;
    bool broken; /* shapes are unknown from here on: nothing more about them */
};

static void say_extent(struct stack *k, const struct ym_at *at, enum ym_layer_fault fault, const struct ym_layer *l)
{
    struct ym_extent e = ym_network_out(k->network);
    const char *word = ym_layer_word(l->kind);
    switch (fault) {
    case YM_LAYER_WINDOW:
        ym_schema_say(k->s, at, word, T(PLAN_LAYER_WINDOW), e.height, e.width, l->padding, l->size);
        break;
    case YM_LAYER_PADDING:
        ym_schema_say(k->s, at, word, T(PLAN_LAYER_PADDING), l->padding, l->size);
        break;
    case YM_LAYER_GROUPS:
        ym_schema_say(k->s, at, word, T(PLAN_LAYER_GROUPS), l->units, e.channels);
        break;
    case YM_LAYER_SHAPE:
        ym_schema_say(k->s, at, "residual", T(PLAN_LAYER_SHAPE), e.height, e.width, e.channels);
        break;
    case YM_LAYER_NESTED:
        ym_schema_say(k->s, at, word, "%s", T(PLAN_LAYER_NESTED));
        break;
    case YM_LAYER_MANY:
        ym_schema_say(k->s, at, word, T(PLAN_LAYER_MANY), YM_NETWORK_MAX_LAYERS);
        break;
    default:
        ym_schema_say(k->s, at, word, T(PLAN_LAYER_TOO_LARGE), YM_PLAN_MAX_PARAMS, YM_NETWORK_MAX_VALUES);
    }
}

static void push(struct stack *k, const struct ym_at *at, struct ym_layer l)
{
    enum ym_layer_fault fault = k->broken ? YM_LAYER_FITS : ym_network_add(k->network, l);
    if (fault == YM_LAYER_FITS)
        return;
    say_extent(k, at, fault, &l);
    k->broken = true;
}

static void read_word(struct stack *k, struct ym_at *list, size_t i)
{
    static const char *const names[] = {"tanh", "relu", NULL};
    char word[64];
    if (!ym_schema_item_text(k->s, list, i, word, sizeof word))
        return;
    if (!strcmp(word, names[0]))
        push(k, list, (struct ym_layer){.kind = YM_LAYER_TANH});
    else if (!strcmp(word, names[1]))
        push(k, list, (struct ym_layer){.kind = YM_LAYER_RELU});
    else if (!strcmp(word, "batch_norm"))
        ym_schema_say_item(k->s, list, i, NULL, "%s", T(PLAN_LAYER_BATCH_NORM));
    else
        ym_schema_say_item(k->s, list, i, NULL, "%s", T(PLAN_LAYER_ONE));
}

static enum ym_layer_kind kind_of(const struct ym_at *item)
{
    static const enum ym_layer_kind kinds[] = {YM_LAYER_CONV2D,   YM_LAYER_GROUP_NORM, YM_LAYER_MAX_POOL,
                                               YM_LAYER_AVG_POOL, YM_LAYER_DENSE,      YM_LAYER_RESIDUAL};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && json_object_size(item->value) == 1; i++)
        if (ym_schema_has(item, ym_layer_word(kinds[i])))
            return kinds[i];
    return 0;
}

static void read_stack(struct stack *k, struct ym_at *list);

static void read_residual(struct stack *k, const struct ym_at *item)
{
    struct ym_at list = ym_schema_list(k->s, item, "residual", 1, YM_NETWORK_MAX_LAYERS);
    bool before = k->broken;
    push(k, item, (struct ym_layer){.kind = YM_LAYER_RESIDUAL});
    if (k->broken && !before)
        return; /* nested: what is inside need not be read */
    read_stack(k, &list);
    push(k, item, (struct ym_layer){.kind = YM_LAYER_RESIDUAL_END});
}

static void read_layer(struct stack *k, struct ym_at *list, size_t i)
{
    if (!json_is_object(json_array_get(list->value, i))) {
        read_word(k, list, i);
        return;
    }
    struct ym_at item = ym_schema_item(k->s, list, i);
    struct ym_layer l = {.kind = kind_of(&item)};
    if (!item.value)
        return;
    if (l.kind == YM_LAYER_RESIDUAL) {
        read_residual(k, &item);
    } else if (l.kind) {
        struct ym_at at = ym_schema_object(k->s, &item, ym_layer_word(l.kind), true);
        if (at.value && read_settings(k->s, &at, &l))
            push(k, &item, l);
        else
            k->broken = true;
    } else {
        ym_schema_say(k->s, &item, NULL, "%s",
                      ym_schema_has(&item, "batch_norm") ? T(PLAN_LAYER_BATCH_NORM) : T(PLAN_LAYER_ONE));
        k->broken = true;
    }
}

/* A residual within a residual is refused before it is read, so this goes two deep. */
static void read_stack(struct stack *k, struct ym_at *list)
{
    for (size_t i = 0; i < ym_schema_count(list); i++)
        read_layer(k, list, i);
}

void ym_plan_read_layers(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    if (plan->family != YM_FAMILY_NETWORK) {
        if (ym_schema_has(model, "layers"))
            ym_schema_say(s, model, "layers", "%s", T(PLAN_NETWORK_ONLY));
        return;
    }
    struct stack k = {.s = s, .network = &plan->network};
    bool image = plan->input_count == 1 && plan->input[0].kind == YM_VAR_IMAGE;
    struct ym_at list = ym_schema_list(s, model, "layers", 1, YM_NETWORK_MAX_LAYERS);
    if (plan->input_count && !image)
        ym_schema_say(s, model, "inputs", "%s", T(PLAN_IMAGE_ONE));
    k.broken = !image || !plan->outcome.level_count;
    if (image)
        ym_network_begin(&plan->network, ym_plan_image(plan));
    read_stack(&k, &list);
    push(&k, model, (struct ym_layer){.kind = YM_LAYER_DENSE, .units = (uint32_t)ym_plan_outputs(plan)});
}

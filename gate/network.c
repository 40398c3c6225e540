#include "gate/network.h"

#include "gate/plan.h"

static const char *const words[] = {NULL,       "conv2d",   "group_norm", "tanh",     "relu",
                                    "max_pool", "avg_pool", "dense",      "residual", NULL};
static const char *const stems[] = {NULL, "conv", "norm", NULL, NULL, NULL, NULL, "dense", NULL, NULL};

const char *ym_layer_word(enum ym_layer_kind kind)
{
    return words[kind];
}

const char *ym_layer_stem(enum ym_layer_kind kind)
{
    return stems[kind];
}

void ym_network_begin(struct ym_network *n, struct ym_extent image)
{
    n->image = image;
    n->count = n->dim = n->values = 0;
}

struct ym_extent ym_network_out(const struct ym_network *n)
{
    return n->count > 0 ? n->layer[n->count - 1].out : n->image;
}

static size_t residual_open(const struct ym_network *n)
{
    for (size_t i = n->count; i-- > 0;) {
        if (n->layer[i].kind == YM_LAYER_RESIDUAL)
            return i;
        if (n->layer[i].kind == YM_LAYER_RESIDUAL_END)
            break;
    }
    return SIZE_MAX;
}

static bool same_extent(struct ym_extent a, struct ym_extent b)
{
    return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

/* Window over an extent: padded by zeros on every side. */
static enum ym_layer_fault slide(struct ym_layer *l)
{
    uint32_t height = l->in.height + 2 * l->padding, width = l->in.width + 2 * l->padding;

    if (l->padding > 0 && l->padding >= l->size)
        return YM_LAYER_PADDING;
    if (l->size > height || l->size > width)
        return YM_LAYER_WINDOW;
    l->out.height = (height - l->size) / l->stride + 1;
    l->out.width = (width - l->size) / l->stride + 1;
    return YM_LAYER_FITS;
}

static void take_parameters(struct ym_layer *l)
{
    size_t in = l->kind == YM_LAYER_DENSE ? ym_extent_values(l->in) : (size_t)l->size * l->size * l->in.channels;

    l->weights = l->kind == YM_LAYER_GROUP_NORM ? l->in.channels : l->units * in;
    l->biases = l->kind == YM_LAYER_GROUP_NORM ? l->in.channels : l->units;
}

static enum ym_layer_fault shape(const struct ym_network *n, struct ym_layer *l)
{
    enum ym_layer_fault fault = YM_LAYER_FITS;
    size_t open = residual_open(n);

    if (l->kind == YM_LAYER_CONV2D || l->kind == YM_LAYER_MAX_POOL || l->kind == YM_LAYER_AVG_POOL)
        fault = slide(l);
    if (l->kind == YM_LAYER_CONV2D)
        l->out.channels = l->units;
    if (l->kind == YM_LAYER_DENSE)
        l->out = (struct ym_extent){1, 1, l->units};
    if (l->kind == YM_LAYER_GROUP_NORM && l->in.channels % l->units != 0)
        fault = YM_LAYER_GROUPS;
    if ((l->kind == YM_LAYER_RESIDUAL && open != SIZE_MAX) || (l->kind == YM_LAYER_RESIDUAL_END && open == SIZE_MAX))
        return YM_LAYER_NESTED;
    if (l->kind == YM_LAYER_RESIDUAL_END) {
        l->from = open;
        if (!same_extent(l->in, n->layer[open].in))
            fault = YM_LAYER_SHAPE;
    }
    if (ym_layer_stem(l->kind))
        take_parameters(l);
    return fault;
}

enum ym_layer_fault ym_network_add(struct ym_network *n, struct ym_layer layer)
{
    struct ym_layer l = {.kind = layer.kind,
                         .units = layer.units,
                         .size = layer.size,
                         .stride = layer.stride,
                         .padding = layer.padding,
                         .number = 1,
                         .in = ym_network_out(n),
                         .offset = n->dim};
    enum ym_layer_fault fault;

    l.out = l.in;
    if (n->count == YM_NETWORK_MAX_LAYERS)
        return YM_LAYER_MANY;
    fault = shape(n, &l);
    if (fault != YM_LAYER_FITS)
        return fault;
    if (l.weights > YM_PLAN_MAX_PARAMS - n->dim || l.biases > YM_PLAN_MAX_PARAMS - n->dim - l.weights ||
        ym_extent_values(l.out) > YM_NETWORK_MAX_VALUES - n->values)
        return YM_LAYER_TOO_LARGE;
    for (size_t i = 0; i < n->count; i++)
        l.number += n->layer[i].kind == l.kind;
    n->dim += l.weights + l.biases;
    n->values += ym_extent_values(l.out);
    n->layer[n->count++] = l;
    return YM_LAYER_FITS;
}

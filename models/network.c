#include "models/network.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "models/network_internal.h"
#include "tensor/lanes.h"

struct ym_network_work {
    float *value[YM_NETWORK_MAX_LAYERS];   /* outputs; of an activation often the input, overwritten */
    uint8_t *which[YM_NETWORK_MAX_LAYERS]; /* max_pool */
    float *moments[YM_NETWORK_MAX_LAYERS]; /* group_norm */
    float *col[YM_NETWORK_MAX_LAYERS];     /* conv2d: gathered windows */
    float *delta[2], *kept;                /* [widest]; kept: a residual's derivative on its way past the block */
    float *block;
    uint8_t *marks;
    size_t floats, bytes;
};

/* An activation may overwrite what no derivative asks for again. */
static bool in_place(const struct ym_network *n, size_t i)
{
    enum ym_layer_kind kind = n->layer[i].kind, before = i > 0 ? n->layer[i - 1].kind : YM_LAYER_RESIDUAL;

    if (kind != YM_LAYER_TANH && kind != YM_LAYER_RELU)
        return false;
    return before == YM_LAYER_CONV2D || before == YM_LAYER_DENSE || before == YM_LAYER_GROUP_NORM ||
           before == YM_LAYER_MAX_POOL || before == YM_LAYER_AVG_POOL || before == YM_LAYER_RESIDUAL_END;
}

static size_t widest(const struct ym_network *n)
{
    size_t most = ym_extent_values(n->image);

    for (size_t i = 0; i < n->count; i++) {
        size_t values = ym_extent_values(n->layer[i].out);

        most = values > most ? values : most;
    }
    return most;
}

/* Hands out the block, or only counts when w->block is NULL. */
static float *take(struct ym_network_work *w, size_t count)
{
    float *at = w->block ? w->block + w->floats : NULL;

    w->floats += (count + 15) / 16 * 16; /* rows of vectors begin on a line of the cache */
    return at;
}

static void lay_out(const struct ym_network *n, struct ym_network_work *w)
{
    size_t wide = widest(n);

    w->floats = w->bytes = 0;
    for (size_t i = 0; i < n->count; i++) {
        const struct ym_layer *l = &n->layer[i];
        size_t values = ym_extent_values(l->out);

        if (l->kind != YM_LAYER_RESIDUAL)
            w->value[i] = in_place(n, i) ? w->value[i - 1] : take(w, values);
        if (l->kind == YM_LAYER_CONV2D)
            w->col[i] = take(w, ym_conv_scratch(l));
        if (l->kind == YM_LAYER_GROUP_NORM)
            w->moments[i] = take(w, 2 * l->units);
        w->which[i] = w->marks + w->bytes;
        w->bytes += l->kind == YM_LAYER_MAX_POOL ? values : 0;
    }
    w->delta[0] = take(w, wide);
    w->delta[1] = take(w, wide);
    w->kept = take(w, wide);
}

struct ym_network_work *ym_network_work_new(const struct ym_network *n)
{
    struct ym_network_work *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    lay_out(n, w);
    w->block = aligned_alloc(64, w->floats * sizeof *w->block);
    w->marks = malloc(w->bytes + 1);
    if (!w->block || !w->marks) {
        free(w->block);
        free(w->marks);
        free(w);
        return NULL;
    }
    lay_out(n, w);
    return w;
}

uint64_t ym_network_work_bytes(const struct ym_network *n)
{
    struct ym_network_work w = {0};

    lay_out(n, &w);
    return sizeof w + w.floats * sizeof *w.block + w.bytes + 1;
}

void ym_network_work_free(struct ym_network_work *w)
{
    if (!w)
        return;
    ym_wipe(w->block, w->floats * sizeof *w->block);
    ym_wipe(w->marks, w->bytes + 1);
    free(w->block);
    free(w->marks);
    free(w);
}

/* What layer i takes: the image, or the values before it. */
static const float *input_of(const struct ym_network *n, const struct ym_network_work *w, const float *x, size_t i)
{
    while (i > 0 && n->layer[i - 1].kind == YM_LAYER_RESIDUAL)
        i--;
    return i > 0 ? w->value[i - 1] : x;
}

static void activate(const struct ym_layer *l, const float *in, float *out)
{
    size_t values = ym_extent_values(l->out);

    if (in != out)
        memcpy(out, in, values * sizeof *out);
    if (l->kind == YM_LAYER_TANH)
        ym_lanes_tanh(out, values);
    else
        ym_lanes_relu(out, values);
}

static void layer_forward(const struct ym_network *n, size_t i, const float *params, const float *x,
                          struct ym_network_work *w)
{
    const struct ym_layer *l = &n->layer[i];
    const float *in = input_of(n, w, x, i);
    float *out = w->value[i];

    switch (l->kind) {
    case YM_LAYER_CONV2D:
        ym_conv_forward(l, params, in, w->col[i], out);
        break;
    case YM_LAYER_GROUP_NORM:
        ym_group_norm_forward(l, params, in, out, w->moments[i]);
        break;
    case YM_LAYER_TANH:
    case YM_LAYER_RELU:
        activate(l, in, out);
        break;
    case YM_LAYER_MAX_POOL:
        ym_max_pool_forward(l, in, out, w->which[i]);
        break;
    case YM_LAYER_AVG_POOL:
        ym_avg_pool_forward(l, in, out);
        break;
    case YM_LAYER_DENSE:
        ym_dense_forward(l, params, in, out);
        break;
    case YM_LAYER_RESIDUAL:
        break;
    case YM_LAYER_RESIDUAL_END:
        memcpy(out, in, ym_extent_values(l->out) * sizeof *out);
        ym_lanes_add(input_of(n, w, x, l->from), ym_extent_values(l->out), out);
    }
}

const float *ym_network_forward(const struct ym_network *n, const float *params, const float *x,
                                struct ym_network_work *w)
{
    for (size_t i = 0; i < n->count; i++)
        layer_forward(n, i, params, x, w);
    return w->value[n->count - 1];
}

/* d holds the derivative by the layer's output. Where it changes shape or must not be
 * overwritten, the one by its input goes to below: true. */
static bool layer_below(const struct ym_network *n, size_t i, const float *params, struct ym_network_work *w, float *d,
                        float *below)
{
    const struct ym_layer *l = &n->layer[i];
    size_t values = ym_extent_values(l->out);

    switch (l->kind) {
    case YM_LAYER_CONV2D:
        ym_conv_below(l, params, d, w->col[i], below);
        return true;
    case YM_LAYER_DENSE:
        ym_dense_below(l, params, d, below);
        return true;
    case YM_LAYER_MAX_POOL:
        ym_max_pool_below(l, d, w->which[i], below);
        return true;
    case YM_LAYER_AVG_POOL:
        ym_avg_pool_below(l, d, below);
        return true;
    case YM_LAYER_TANH:
        ym_lanes_through_tanh(w->value[i], values, d);
        return false;
    case YM_LAYER_RELU:
        ym_lanes_through_relu(w->value[i], values, d);
        return false;
    case YM_LAYER_RESIDUAL_END:
        memcpy(w->kept, d, values * sizeof *d);
        return false;
    case YM_LAYER_RESIDUAL:
        ym_lanes_add(w->kept, values, d);
        return false;
    case YM_LAYER_GROUP_NORM:
        break; /* with its parameters' */
    }
    return true;
}

static void layer_weights(const struct ym_network *n, size_t i, const float *params, const float *x, const float *d,
                          float beta, struct ym_network_work *w, float *g, float *below)
{
    const struct ym_layer *l = &n->layer[i];
    const float *in = input_of(n, w, x, i);

    if (l->kind == YM_LAYER_CONV2D)
        ym_conv_weights(l, in, d, beta, w->col[i], g);
    else if (l->kind == YM_LAYER_DENSE)
        ym_dense_weights(l, in, d, beta, g);
    else if (l->kind == YM_LAYER_GROUP_NORM)
        ym_group_norm_backward(l, params, in, d, w->moments[i], beta, g, below);
}

void ym_network_backward(const struct ym_network *n, const float *params, const float *x, const float *delta,
                         float beta, struct ym_network_work *w, float *g)
{
    float *d = w->delta[0], *below = w->delta[1], *swap;
    size_t lowest = 0; /* below it nothing has parameters */

    while (n->layer[lowest].weights == 0)
        lowest++;
    memcpy(d, delta, ym_extent_values(ym_network_out(n)) * sizeof *d);
    for (size_t i = n->count; i-- > lowest;) {
        layer_weights(n, i, params, x, d, beta, w, g, below);
        if (i > lowest && layer_below(n, i, params, w, d, below)) {
            swap = d;
            d = below;
            below = swap;
        }
    }
}

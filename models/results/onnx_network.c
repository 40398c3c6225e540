#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "models/results/onnx_internal.h"

/* A name of a layer's node: its word and number, "conv2d1"; what = "" or a part of it. */
struct label {
    char text[48];
};

static struct label label_of(const struct ym_layer *l, size_t i, const char *what)
{
    struct label n;
    const char *word = ym_layer_word(l->kind);

    snprintf(n.text, sizeof n.text, "%s%zu%s", word ? word : "sum", i + 1, what);
    return n;
}

/* [out][height][width][in] to [out][in][height][width]. */
static void channels_first(const float *from, size_t out, size_t places, size_t in, float *to)
{
    for (size_t o = 0; o < out; o++)
        for (size_t p = 0; p < places; p++)
            for (size_t c = 0; c < in; c++)
                to[(o * in + c) * places + p] = from[(o * places + p) * in + c];
}

static void window(struct ym_wire *node, size_t height, size_t width, size_t stride, size_t padding)
{
    const int64_t shape[] = {(int64_t)height, (int64_t)width}, strides[] = {(int64_t)stride, (int64_t)stride};
    const int64_t pads[] = {(int64_t)padding, (int64_t)padding, (int64_t)padding, (int64_t)padding};

    ym_onnx_ints(node, "kernel_shape", shape, 2);
    ym_onnx_ints(node, "pads", pads, 4);
    ym_onnx_ints(node, "strides", strides, 2);
}

struct kernel {
    size_t out, in, height, width, stride, padding, groups;
};

/* weight [out][in][height][width]. */
static void conv(struct ym_onnx_graph *g, const char *name, struct kernel k, const float *weight, const float *bias)
{
    struct ym_wire node = {0};
    char constant[64];

    ym_onnx_begin(g, &node, "Conv", name);
    snprintf(constant, sizeof constant, "%s.weight", name);
    ym_onnx_input(&node, constant);
    ym_onnx_floats(g, constant, weight, (const size_t[]){k.out, k.in, k.height, k.width}, 4);
    snprintf(constant, sizeof constant, "%s.bias", name);
    ym_onnx_input(&node, constant);
    ym_onnx_floats(g, constant, bias, &k.out, 1);
    window(&node, k.height, k.width, k.stride, k.padding);
    ym_onnx_int(&node, "group", (int64_t)k.groups);
    ym_onnx_end(g, &node);
}

/* A dense layer is a window as large as what it sees, so both have one order of weights. */
static struct kernel kernel_of(const struct ym_layer *l)
{
    if (l->kind == YM_LAYER_DENSE)
        return (struct kernel){l->units, l->in.channels, l->in.height, l->in.width, 1, 0, 1};
    return (struct kernel){l->units, l->in.channels, l->size, l->size, l->stride, l->padding, 1};
}

static enum ym_code emit_weights(struct ym_onnx_graph *g, const struct ym_layer *l, size_t i, const float *params,
                                 struct ym_status *st)
{
    struct kernel k = kernel_of(l);
    float *weight = malloc(l->weights * sizeof *weight);

    if (!weight)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    channels_first(params + l->offset, k.out, k.height * k.width, k.in, weight);
    conv(g, label_of(l, i, "").text, k, weight, params + l->offset + l->weights);
    free(weight);
    return YM_OK;
}

static void reshape(struct ym_onnx_graph *g, const char *name, const int64_t shape[4])
{
    struct ym_wire node = {0};
    char constant[64];

    snprintf(constant, sizeof constant, "%s.shape", name);
    ym_onnx_begin(g, &node, "Reshape", name);
    ym_onnx_input(&node, constant);
    ym_onnx_longs(g, constant, shape, 4);
    ym_onnx_end(g, &node);
}

/* Each group to mean 0 and spread 1, and then scale and shift
 * by channel: a window of one place that sees its own channel alone. */
static enum ym_code emit_norm(struct ym_onnx_graph *g, const struct ym_layer *l, size_t i, const float *params,
                              struct ym_status *st)
{
    const size_t groups = l->units, channels = l->in.channels;
    const int64_t height = l->in.height, width = l->in.width;
    float *one = calloc(2 * groups, sizeof *one); /* ones, then zeros */
    struct label unit = label_of(l, i, ".ones"), zero = label_of(l, i, ".zeros");
    struct ym_wire node = {0};

    if (!one)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    for (size_t k = 0; k < groups; k++)
        one[k] = 1;
    reshape(g, label_of(l, i, ".groups").text,
            (const int64_t[]){-1, (int64_t)groups, (int64_t)(channels / groups) * height, width});
    ym_onnx_begin(g, &node, "InstanceNormalization", label_of(l, i, ".even").text);
    ym_onnx_input(&node, unit.text);
    ym_onnx_input(&node, zero.text);
    ym_onnx_floats(g, unit.text, one, &groups, 1);
    ym_onnx_floats(g, zero.text, one + groups, &groups, 1);
    ym_onnx_float(&node, "epsilon", 1e-5f);
    ym_onnx_end(g, &node);
    reshape(g, label_of(l, i, ".channels").text, (const int64_t[]){-1, (int64_t)channels, height, width});
    conv(g, label_of(l, i, "").text, (struct kernel){channels, 1, 1, 1, 1, 0, channels}, params + l->offset,
         params + l->offset + l->weights);
    free(one);
    return YM_OK;
}

static void emit_pool(struct ym_onnx_graph *g, const struct ym_layer *l, size_t i)
{
    struct ym_wire node = {0};

    ym_onnx_begin(g, &node, l->kind == YM_LAYER_MAX_POOL ? "MaxPool" : "AveragePool", label_of(l, i, "").text);
    window(&node, l->size, l->size, l->stride, 0);
    ym_onnx_end(g, &node);
}

/* A byte v to (v / 255 - mean) / scale, channel by channel. */
static enum ym_code emit_image(const struct ym_variable *v, struct ym_onnx_graph *g, struct ym_status *st)
{
    float weight[4], bias[4];

    if (v->channels > 4)
        return ym_status_set(st, YM_INVALID, "%u channels are more than an image has", v->channels);
    for (size_t c = 0; c < v->channels; c++) {
        weight[c] = (float)(1 / (255 * v->scale));
        bias[c] = (float)(-v->mean / v->scale);
    }
    conv(g, "pixels", (struct kernel){v->channels, 1, 1, 1, 1, 0, v->channels}, weight, bias);
    return YM_OK;
}

/* entry: the value that a residual under way began with. */
static enum ym_code emit_layer(struct ym_onnx_graph *g, const struct ym_layer *l, size_t i, const float *params,
                               struct label *entry, struct ym_status *st)
{
    switch (l->kind) {
    case YM_LAYER_CONV2D:
    case YM_LAYER_DENSE:
        return emit_weights(g, l, i, params, st);
    case YM_LAYER_GROUP_NORM:
        return emit_norm(g, l, i, params, st);
    case YM_LAYER_TANH:
    case YM_LAYER_RELU:
        ym_onnx_plain(g, l->kind == YM_LAYER_TANH ? "Tanh" : "Relu", label_of(l, i, "").text);
        break;
    case YM_LAYER_MAX_POOL:
    case YM_LAYER_AVG_POOL:
        emit_pool(g, l, i);
        break;
    case YM_LAYER_RESIDUAL:
        memcpy(entry->text, g->at, sizeof g->at);
        break;
    case YM_LAYER_RESIDUAL_END:
        ym_onnx_pair(g, "Add", label_of(l, i, "").text, entry->text);
    }
    return YM_OK;
}

enum ym_code ym_onnx_network(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             struct ym_onnx_graph *g, struct ym_status *st)
{
    const struct ym_network *n = &m->network;
    struct label entry = {""};
    struct ym_wire node = {0};
    enum ym_code code = emit_image(&plan->input[0], g, st);

    for (size_t i = 0; i < n->count && code == YM_OK; i++)
        code = emit_layer(g, &n->layer[i], i, params, &entry, st);
    ym_onnx_begin(g, &node, "Flatten", "flat");
    ym_onnx_int(&node, "axis", 1);
    ym_onnx_end(g, &node);
    return code;
}

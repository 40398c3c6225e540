#ifndef YM_GATE_NETWORK_H
#define YM_GATE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A network declared as a stack of layers (docs/plan.md, "Networks"): what each
 * takes and gives, and where its parameters stand. Pure shapes: the hub and the
 * auditor read no more. Every layer's output is a function of one image and the
 * parameters; a layer that looks across a batch has no place here. */
enum ym_layer_kind {
    YM_LAYER_CONV2D = 1,
    YM_LAYER_GROUP_NORM, /* Wu and He 2018; epsilon 1e-5 */
    YM_LAYER_TANH,
    YM_LAYER_RELU,
    YM_LAYER_MAX_POOL, /* of equals the first counts */
    YM_LAYER_AVG_POOL,
    YM_LAYER_DENSE,
    YM_LAYER_RESIDUAL,    /* keeps its input ... */
    YM_LAYER_RESIDUAL_END /* ... which is added here */
};

#define YM_NETWORK_MAX_LAYERS 64
#define YM_NETWORK_MAX_CHANNELS 1024
#define YM_NETWORK_MAX_KERNEL 15
#define YM_NETWORK_MAX_STRIDE 16
#define YM_NETWORK_MAX_WIDTH 65536
#define YM_NETWORK_MAX_IMAGE 512                /* pixels a side */
#define YM_NETWORK_MAX_VALUES ((size_t)1 << 26) /* of all layers' outputs for one image */

struct ym_extent {
    uint32_t height, width, channels; /* values stand [height][width][channels] */
};

static inline size_t ym_extent_values(struct ym_extent e)
{
    return (size_t)e.height * e.width * e.channels;
}

struct ym_layer {
    enum ym_layer_kind kind;
    uint32_t units;                 /* channels of a conv2d, width of a dense, groups of a group_norm */
    uint32_t size, stride, padding; /* of the square window; zeros stand beyond the border */
    /* Filled when the layer is added: */
    uint32_t number; /* among those of its kind, from 1 */
    size_t from;     /* RESIDUAL_END: its RESIDUAL */
    struct ym_extent in, out;
    size_t offset; /* of its first parameter: weights [units][size][size][in channels] or [units][in values], then
                      bias [units]; group_norm: scale [channels], shift [channels] */
    size_t weights, biases;
};

struct ym_network {
    struct ym_extent image;
    struct ym_layer layer[YM_NETWORK_MAX_LAYERS];
    size_t count, dim, values; /* dim: parameters; values: of all layers' outputs */
};

enum ym_layer_fault {
    YM_LAYER_FITS,
    YM_LAYER_WINDOW,   /* the window does not fit into the input */
    YM_LAYER_PADDING,  /* as wide as the window: it would see nothing */
    YM_LAYER_GROUPS,   /* do not divide the channels */
    YM_LAYER_SHAPE,    /* a residual gives another shape than it takes */
    YM_LAYER_NESTED,   /* a residual in a residual, or an end without one */
    YM_LAYER_MANY,     /* more than YM_NETWORK_MAX_LAYERS */
    YM_LAYER_TOO_LARGE /* parameters or values past their bounds */
};

/* Empty, for images of that shape. */
void ym_network_begin(struct ym_network *n, struct ym_extent image);
/* Adds a layer behind the others; units, size, stride, padding within their bounds.
 * Not YM_LAYER_FITS: nothing changed. */
enum ym_layer_fault ym_network_add(struct ym_network *n, struct ym_layer layer);
/* What the next layer would take. */
struct ym_extent ym_network_out(const struct ym_network *n);

/* "conv", "norm", "dense" of a layer with parameters, else NULL: tensors are called
 * "conv1.weight", "conv1.bias" and so on. */
const char *ym_layer_stem(enum ym_layer_kind kind);
/* The plan's word: "conv2d", "max_pool"; NULL for RESIDUAL_END. */
const char *ym_layer_word(enum ym_layer_kind kind);

#endif

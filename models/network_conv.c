#include "models/network_internal.h"

#include <string.h>

#include "tensor/lanes.h"
#include "tensor/mat.h"

static size_t window_values(const struct ym_layer *l)
{
    return (size_t)l->size * l->size * l->in.channels;
}

static size_t places(const struct ym_layer *l)
{
    return (size_t)l->out.height * l->out.width;
}

size_t ym_conv_stretch(const struct ym_layer *l)
{
    size_t rows = YM_NETWORK_STRETCH / window_values(l);

    return rows < 1 ? 1 : rows < places(l) ? rows : places(l);
}

static bool is_whole(const struct ym_layer *l)
{
    return ym_conv_stretch(l) == places(l);
}

size_t ym_conv_scratch(const struct ym_layer *l)
{
    return ym_conv_stretch(l) * window_values(l) + (l->padding > 0 ? ym_conv_padded(l) : 0);
}

size_t ym_conv_padded(const struct ym_layer *l)
{
    return (size_t)(l->in.height + 2 * l->padding) * (l->in.width + 2 * l->padding) * l->in.channels;
}

/* The image with its border of zeros, behind the gathered windows; x itself without one. */
static const float *pad(const struct ym_layer *l, const float *x, float *col)
{
    float *at = col + ym_conv_stretch(l) * window_values(l), *padded = at;
    size_t line = (size_t)l->in.width * l->in.channels, side = (size_t)l->padding * l->in.channels;

    if (l->padding == 0)
        return x;
    memset(padded, 0, ym_conv_padded(l) * sizeof *padded);
    at += l->padding * (line + 2 * side) + side;
    for (size_t row = 0; row < l->in.height; row++, at += line + 2 * side, x += line)
        memcpy(at, x, line * sizeof *at);
    return padded;
}

/* Window `place` of a padded image: rows of it are runs, for channels stand last. */
static size_t window_at(const struct ym_layer *l, size_t place)
{
    size_t row = place / l->out.width * l->stride, column = place % l->out.width * l->stride;

    return (row * (l->in.width + 2 * l->padding) + column) * l->in.channels;
}

static struct ym_mat_view gather(const struct ym_layer *l, const float *padded, size_t first, size_t count, float *col)
{
    size_t line = (size_t)l->size * l->in.channels, step = (size_t)(l->in.width + 2 * l->padding) * l->in.channels;

    for (size_t i = 0; i < count; i++)
        ym_lanes_take_rows(padded + window_at(l, first + i), step, l->size, line, col + i * l->size * line);
    return (struct ym_mat_view){col, count, l->size * line};
}

static void scatter(const struct ym_layer *l, const float *col, size_t first, size_t count, float *padded)
{
    size_t line = (size_t)l->size * l->in.channels, step = (size_t)(l->in.width + 2 * l->padding) * l->in.channels;

    for (size_t i = 0; i < count; i++)
        ym_lanes_add_rows(col + i * l->size * line, l->size, line, step, padded + window_at(l, first + i));
}

static size_t stretch_at(const struct ym_layer *l, size_t first)
{
    size_t most = ym_conv_stretch(l), left = places(l) - first;

    return left < most ? left : most;
}

void ym_conv_forward(const struct ym_layer *l, const float *params, const float *x, float *col, float *y)
{
    struct ym_mat_view weights = {params + l->offset, l->units, window_values(l)};
    const float *padded = pad(l, x, col);

    ym_mat_fill_rows(params + l->offset + l->weights, (struct ym_mat){y, places(l), l->units});
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul(gather(l, padded, first, count, col), false, weights, true, 1,
                   (struct ym_mat){y + first * l->units, count, l->units});
    }
}

/* Where all windows fit into col, forward has left them there. */
void ym_conv_weights(const struct ym_layer *l, const float *x, const float *d, float beta, float *col, float *g)
{
    const float *padded = is_whole(l) ? NULL : pad(l, x, col);
    float *bias = g + l->offset + l->weights;

    if (beta == 0)
        memset(bias, 0, l->biases * sizeof *bias);
    ym_lanes_sum_rows(d, places(l), l->units, bias);
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul((struct ym_mat_view){d + first * l->units, count, l->units}, true,
                   padded ? gather(l, padded, first, count, col) : (struct ym_mat_view){col, count, window_values(l)},
                   false, first > 0 ? 1 : beta, (struct ym_mat){g + l->offset, l->units, window_values(l)});
    }
}

/* Takes the border off again. */
static void crop(const struct ym_layer *l, const float *padded, float *below)
{
    size_t line = (size_t)l->in.width * l->in.channels, side = (size_t)l->padding * l->in.channels;
    const float *at = padded + l->padding * (line + 2 * side) + side;

    for (size_t row = 0; row < l->in.height; row++, at += line + 2 * side, below += line)
        memcpy(below, at, line * sizeof *at);
}

void ym_conv_below(const struct ym_layer *l, const float *params, const float *d, float *col, float *below)
{
    size_t window = window_values(l);
    float *padded = l->padding > 0 ? col + ym_conv_stretch(l) * window : below;
    struct ym_mat_view weights = {params + l->offset, l->units, window};

    memset(padded, 0, ym_conv_padded(l) * sizeof *padded);
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul((struct ym_mat_view){d + first * l->units, count, l->units}, false, weights, false, 0,
                   (struct ym_mat){col, count, window});
        scatter(l, col, first, count, padded);
    }
    if (l->padding > 0)
        crop(l, padded, below);
}

/* ---- dense ---- */

void ym_dense_forward(const struct ym_layer *l, const float *params, const float *x, float *y)
{
    size_t in = ym_extent_values(l->in);

    memcpy(y, params + l->offset + l->weights, l->units * sizeof *y);
    ym_mat_mul((struct ym_mat_view){x, 1, in}, false, (struct ym_mat_view){params + l->offset, l->units, in}, true, 1,
               (struct ym_mat){y, 1, l->units});
}

void ym_dense_weights(const struct ym_layer *l, const float *x, const float *d, float beta, float *g)
{
    size_t in = ym_extent_values(l->in);

    g += l->offset;
    if (beta == 0) {
        for (size_t o = 0; o < l->units; o++)
            ym_lanes_scale(d[o], x, in, g + o * in);
        memcpy(g + l->weights, d, l->units * sizeof *g);
        return;
    }
    for (size_t o = 0; o < l->units; o++)
        ym_lanes_scale_add(d[o], x, in, g + o * in);
    ym_lanes_add(d, l->units, g + l->weights);
}

void ym_dense_below(const struct ym_layer *l, const float *params, const float *d, float *below)
{
    size_t in = ym_extent_values(l->in);

    ym_mat_mul((struct ym_mat_view){d, 1, l->units}, false, (struct ym_mat_view){params + l->offset, l->units, in},
               false, 0, (struct ym_mat){below, 1, in});
}

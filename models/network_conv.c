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

/* Columns first .. first + count - 1 of a window's row that lie inside the image;
 * they are one run of memory, for channels stand last. */
struct run {
    size_t first, count; /* in the window, places */
    size_t from;         /* in the image row, places */
};

static struct run run_of(const struct ym_layer *l, size_t column)
{
    ptrdiff_t left = (ptrdiff_t)(column * l->stride) - (ptrdiff_t)l->padding;
    ptrdiff_t right = left + (ptrdiff_t)l->size, width = (ptrdiff_t)l->in.width;
    ptrdiff_t from = left < 0 ? 0 : left, to = right > width ? width : right;

    return (struct run){(size_t)(from - left), to > from ? (size_t)(to - from) : 0, (size_t)from};
}

/* Row of the image under row k of the window at out row `row`; false: beyond the border. */
static bool image_row(const struct ym_layer *l, size_t row, size_t k, size_t *at)
{
    *at = row * l->stride + k - l->padding; /* wraps where it is negative */
    return *at < l->in.height;
}

static void gather_window(const struct ym_layer *l, const float *x, size_t place, float *col)
{
    size_t c = l->in.channels, line = (size_t)l->size * c, row = place / l->out.width, at;
    struct run run = run_of(l, place % l->out.width);

    for (size_t k = 0; k < l->size; k++, col += line) {
        bool inside = image_row(l, row, k, &at);

        if (!inside || run.count < l->size)
            memset(col, 0, line * sizeof *col);
        if (inside)
            memcpy(col + run.first * c, x + (at * l->in.width + run.from) * c, run.count * c * sizeof *col);
    }
}

static void scatter_window(const struct ym_layer *l, const float *col, size_t place, float *below)
{
    size_t c = l->in.channels, line = (size_t)l->size * c, row = place / l->out.width, at;
    struct run run = run_of(l, place % l->out.width);

    for (size_t k = 0; k < l->size; k++, col += line)
        if (image_row(l, row, k, &at))
            ym_lanes_add(col + run.first * c, run.count * c, below + (at * l->in.width + run.from) * c);
}

static struct ym_mat_view gather(const struct ym_layer *l, const float *x, size_t first, size_t count, float *col)
{
    size_t window = window_values(l);

    for (size_t i = 0; i < count; i++)
        gather_window(l, x, first + i, col + i * window);
    return (struct ym_mat_view){col, count, window};
}

static size_t stretch_at(const struct ym_layer *l, size_t first)
{
    size_t most = ym_conv_stretch(l), left = places(l) - first;

    return left < most ? left : most;
}

void ym_conv_forward(const struct ym_layer *l, const float *params, const float *x, float *col, float *y)
{
    struct ym_mat_view weights = {params + l->offset, l->units, window_values(l)};

    ym_mat_fill_rows(params + l->offset + l->weights, (struct ym_mat){y, places(l), l->units});
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul(gather(l, x, first, count, col), false, weights, true, 1,
                   (struct ym_mat){y + first * l->units, count, l->units});
    }
}

void ym_conv_weights(const struct ym_layer *l, const float *x, const float *d, float beta, float *col, float *g)
{
    float *bias = g + l->offset + l->weights;

    if (beta == 0)
        memset(bias, 0, l->biases * sizeof *bias);
    for (size_t i = 0; i < places(l); i++)
        ym_lanes_add(d + i * l->units, l->units, bias);
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul((struct ym_mat_view){d + first * l->units, count, l->units}, true, gather(l, x, first, count, col),
                   false, first > 0 ? 1 : beta, (struct ym_mat){g + l->offset, l->units, window_values(l)});
    }
}

void ym_conv_below(const struct ym_layer *l, const float *params, const float *d, float *col, float *below)
{
    size_t window = window_values(l);
    struct ym_mat_view weights = {params + l->offset, l->units, window};

    memset(below, 0, ym_extent_values(l->in) * sizeof *below);
    for (size_t first = 0, count; first < places(l); first += count) {
        count = stretch_at(l, first);
        ym_mat_mul((struct ym_mat_view){d + first * l->units, count, l->units}, false, weights, false, 0,
                   (struct ym_mat){col, count, window});
        for (size_t i = 0; i < count; i++)
            scatter_window(l, col + i * window, first + i, below);
    }
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
    if (beta == 0)
        memset(g, 0, (l->weights + l->biases) * sizeof *g);
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

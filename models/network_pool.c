#include <math.h>
#include <string.h>

#include "models/network_internal.h"
#include "tensor/lanes.h"

/* Windows have no padding, so a window's row over all places of an out row is as
 * many stretches of channels; with stride 1 they are one run. */
struct walk {
    const struct ym_layer *l;
    size_t row, place;                /* of the output; place: which of the window's */
    size_t from, step, count, length; /* in the input: first value, between stretches; stretches, values of each */
};

static struct walk walk_at(const struct ym_layer *l, size_t row, size_t place)
{
    size_t c = l->in.channels, y = row * l->stride + place / l->size, x = place % l->size;
    struct walk w = {l, row, place, (y * l->in.width + x) * c, l->stride * c, l->out.width, c};

    if (l->stride == 1) {
        w.length = l->out.width * c;
        w.count = 1;
    }
    return w;
}

void ym_max_pool_forward(const struct ym_layer *l, const float *x, float *y, uint8_t *which)
{
    size_t line = (size_t)l->out.width * l->out.channels;

    for (size_t row = 0; row < l->out.height; row++, y += line, which += line) {
        for (size_t place = 0; place < (size_t)l->size * l->size; place++) {
            struct walk w = walk_at(l, row, place);

            for (size_t i = 0; i < w.count; i++) {
                if (place == 0) {
                    memcpy(y + i * w.length, x + w.from + i * w.step, w.length * sizeof *y);
                    memset(which + i * w.length, 0, w.length);
                } else {
                    ym_lanes_max(x + w.from + i * w.step, (uint8_t)place, w.length, y + i * w.length,
                                 which + i * w.length);
                }
            }
        }
    }
}

void ym_max_pool_below(const struct ym_layer *l, const float *d, const uint8_t *which, float *below)
{
    size_t line = (size_t)l->out.width * l->out.channels;

    memset(below, 0, ym_extent_values(l->in) * sizeof *below);
    for (size_t row = 0; row < l->out.height; row++, d += line, which += line) {
        for (size_t place = 0; place < (size_t)l->size * l->size; place++) {
            struct walk w = walk_at(l, row, place);

            for (size_t i = 0; i < w.count; i++)
                ym_lanes_add_marked(d + i * w.length, which + i * w.length, (uint8_t)place, w.length,
                                    below + w.from + i * w.step);
        }
    }
}

void ym_avg_pool_forward(const struct ym_layer *l, const float *x, float *y)
{
    size_t line = (size_t)l->out.width * l->out.channels;
    float share = 1 / (float)(l->size * l->size);

    memset(y, 0, ym_extent_values(l->out) * sizeof *y);
    for (size_t row = 0; row < l->out.height; row++, y += line) {
        for (size_t place = 0; place < (size_t)l->size * l->size; place++) {
            struct walk w = walk_at(l, row, place);

            for (size_t i = 0; i < w.count; i++)
                ym_lanes_scale_add(share, x + w.from + i * w.step, w.length, y + i * w.length);
        }
    }
}

void ym_avg_pool_below(const struct ym_layer *l, const float *d, float *below)
{
    size_t line = (size_t)l->out.width * l->out.channels;
    float share = 1 / (float)(l->size * l->size);

    memset(below, 0, ym_extent_values(l->in) * sizeof *below);
    for (size_t row = 0; row < l->out.height; row++, d += line) {
        for (size_t place = 0; place < (size_t)l->size * l->size; place++) {
            struct walk w = walk_at(l, row, place);

            for (size_t i = 0; i < w.count; i++)
                ym_lanes_scale_add(share, d + i * w.length, w.length, below + w.from + i * w.step);
        }
    }
}

/* ---- group norm (Wu and He 2018): over one image's places and a group's channels ---- */

#define EPSILON 1e-5

struct group {
    size_t channels, first, wide, places; /* wide: of a group */
};

static struct group group_of(const struct ym_layer *l, size_t i)
{
    size_t wide = l->in.channels / l->units;

    return (struct group){l->in.channels, i * wide, wide, (size_t)l->in.height * l->in.width};
}

static void find_moments(const struct group *g, const float *x, float *moments)
{
    double sum = 0, squares = 0, count = (double)(g->places * g->wide);

    for (size_t p = 0; p < g->places; p++)
        for (size_t c = g->first; c < g->first + g->wide; c++)
            sum += x[p * g->channels + c];
    sum /= count;
    for (size_t p = 0; p < g->places; p++)
        for (size_t c = g->first; c < g->first + g->wide; c++)
            squares += (x[p * g->channels + c] - sum) * (x[p * g->channels + c] - sum);
    moments[0] = (float)sum;
    moments[1] = (float)(1 / sqrt(squares / count + EPSILON));
}

void ym_group_norm_forward(const struct ym_layer *l, const float *params, const float *x, float *y, float *moments)
{
    const float *scale = params + l->offset, *shift = scale + l->weights;

    for (size_t i = 0; i < l->units; i++, moments += 2) {
        struct group g = group_of(l, i);

        find_moments(&g, x, moments);
        for (size_t p = 0; p < g.places; p++)
            for (size_t c = g.first; c < g.first + g.wide; c++)
                y[p * g.channels + c] = (x[p * g.channels + c] - moments[0]) * moments[1] * scale[c] + shift[c];
    }
}

/* With h the normed value: d loss / d x = (s d - mean(s d) - h mean(s d h)) / spread. */
static void group_backward(const struct group *g, const float *scale, const float *x, const float *d,
                           const float *moments, float *gscale, float *gshift, float *below)
{
    double sum = 0, along = 0, count = (double)(g->places * g->wide);

    for (size_t p = 0; p < g->places; p++) {
        for (size_t c = g->first; c < g->first + g->wide; c++) {
            float h = (x[p * g->channels + c] - moments[0]) * moments[1], v = d[p * g->channels + c];

            gscale[c] += v * h;
            gshift[c] += v;
            sum += v * scale[c];
            along += v * scale[c] * h;
        }
    }
    for (size_t p = 0; p < g->places && below; p++) {
        for (size_t c = g->first; c < g->first + g->wide; c++) {
            float h = (x[p * g->channels + c] - moments[0]) * moments[1];

            below[p * g->channels + c] =
                (d[p * g->channels + c] * scale[c] - (float)(sum / count) - h * (float)(along / count)) * moments[1];
        }
    }
}

void ym_group_norm_backward(const struct ym_layer *l, const float *params, const float *x, const float *d,
                            const float *moments, float beta, float *g, float *below)
{
    float *gscale = g + l->offset, *gshift = gscale + l->weights;

    if (beta == 0)
        memset(gscale, 0, (l->weights + l->biases) * sizeof *gscale);
    for (size_t i = 0; i < l->units; i++, moments += 2) {
        struct group of = group_of(l, i);

        group_backward(&of, params + l->offset, x, d, moments, gscale, gshift, below);
    }
}

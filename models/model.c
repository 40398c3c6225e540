#include "models/model_internal.h"
#include "models/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/network.h"
#include "tensor/mat.h"

struct ym_model_work {
    struct ym_network_work *network; /* of a network; what follows is a dense model's */
    size_t max_rows;
    float *act[YM_MODEL_MAX_LAYERS + 1]; /* [max_rows][width]; act[0] unused: the input is the caller's */
    float *delta[2];                     /* [max_rows][widest] */
    float *block;
};

static struct ym_mat_view weights_of(const struct ym_model *m, const float *params, size_t layer)
{
    return (struct ym_mat_view){params + ym_model_layer_offset(m, layer), m->width[layer + 1], m->width[layer]};
}

/* ---- forward ---- */

static size_t widest(const struct ym_model *m)
{
    size_t w = 0;

    for (size_t i = 1; i <= m->layer_count; i++)
        w = m->width[i] > w ? m->width[i] : w;
    return w;
}

static size_t floats_per_row(const struct ym_model *m)
{
    size_t n = 2 * widest(m);

    for (size_t i = 1; i <= m->layer_count; i++)
        n += m->width[i];
    return n;
}

static void *no_work(struct ym_model_work *w)
{
    ym_model_work_free(w);
    return NULL;
}

/* Images go through one at a time. */
static struct ym_model_work *network_work_new(const struct ym_model *m, struct ym_model_work *w)
{
    w->max_rows = 1;
    w->network = ym_network_work_new(&m->network);
    w->delta[0] = w->block = malloc(ym_model_outputs(m) * sizeof *w->block);
    return w->network && w->block ? w : no_work(w);
}

static struct ym_model_work *dense_work_new(const struct ym_model *m, size_t max_rows, struct ym_model_work *w)
{
    float *next;

    w->max_rows = max_rows > 0 ? max_rows : 1;
    if (w->max_rows > SIZE_MAX / sizeof(float) / floats_per_row(m))
        return no_work(w);
    w->block = next = malloc(w->max_rows * floats_per_row(m) * sizeof *next);
    if (!next)
        return no_work(w);
    for (size_t i = 1; i <= m->layer_count; i++) {
        w->act[i] = next;
        next += w->max_rows * m->width[i];
    }
    w->delta[0] = next;
    w->delta[1] = next + w->max_rows * widest(m);
    return w;
}

struct ym_model_work *ym_model_work_new(const struct ym_model *m, size_t max_rows)
{
    struct ym_model_work *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    return m->layer_count > 0 ? dense_work_new(m, max_rows, w) : network_work_new(m, w);
}

uint64_t ym_model_work_bytes(const struct ym_model *m, size_t max_rows)
{
    size_t rows = max_rows > 0 ? max_rows : 1;

    if (m->layer_count > 0)
        return sizeof(struct ym_model_work) + (uint64_t)rows * floats_per_row(m) * sizeof(float);
    return sizeof(struct ym_model_work) + ym_network_work_bytes(&m->network) + ym_model_outputs(m) * sizeof(float);
}

void ym_model_work_free(struct ym_model_work *w)
{
    if (!w)
        return;
    ym_network_work_free(w->network);
    free(w->block);
    free(w);
}

void ym_model_activate(const struct ym_model *m, float *z, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = m->relu ? (z[i] > 0 ? z[i] : 0) : tanhf(z[i]);
}

/* Fills work->act; the last layer stays linear. */
static void dense_forward(const struct ym_model *m, const float *params, const float *x, size_t n,
                          struct ym_model_work *w)
{
    for (size_t i = 0; i < m->layer_count; i++) {
        struct ym_mat_view in = {i == 0 ? x : w->act[i], n, m->width[i]};
        struct ym_mat out = {w->act[i + 1], n, m->width[i + 1]};

        ym_mat_fill_rows(params + ym_model_bias_offset(m, i), out);
        ym_mat_mul(in, false, weights_of(m, params, i), true, 1, out);
        if (i + 1 < m->layer_count)
            ym_model_activate(m, out.at, n * out.cols);
    }
}

/* Outputs [n][outputs] before any link function, in w; n <= w->max_rows. */
static const float *forward(const struct ym_model *m, const float *params, const float *x, size_t n,
                            struct ym_model_work *w)
{
    if (m->layer_count == 0)
        return ym_network_forward(&m->network, params, x, w->network);
    dense_forward(m, params, x, n, w);
    return w->act[m->layer_count];
}

static float sigmoid(float z)
{
    float e = expf(-fabsf(z));

    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static float top_of(const float *z, size_t k)
{
    float top = z[0];

    for (size_t c = 1; c < k; c++)
        top = z[c] > top ? z[c] : top;
    return top;
}

static void softmax(const float *z, size_t k, float *p)
{
    float top = top_of(z, k), total = 0;

    for (size_t c = 0; c < k; c++) {
        p[c] = expf(z[c] - top);
        total += p[c];
    }
    for (size_t c = 0; c < k; c++)
        p[c] /= total;
}

static float score_of(enum ym_loss loss, float z)
{
    return loss == YM_LOSS_LOGISTIC ? sigmoid(z) : loss == YM_LOSS_POISSON ? expf(z) : z;
}

/* p [n][outputs]: what the model says of rows already passed forward. */
static void scores(const struct ym_model *m, const float *z, size_t n, float *p)
{
    size_t k = ym_model_outputs(m);

    for (size_t i = 0; i < n; i++) {
        if (m->loss == YM_LOSS_SOFTMAX)
            softmax(z + i * k, k, p + i * k);
        else
            for (size_t c = 0; c < k; c++)
                p[i * k + c] = score_of(m->loss, z[i * k + c]);
    }
}

void ym_model_predict(const struct ym_model *m, const float *params, const float *x, size_t n, struct ym_model_work *w,
                      float *out)
{
    for (size_t start = 0; start < n; start += w->max_rows) {
        size_t rows = n - start < w->max_rows ? n - start : w->max_rows;

        scores(m, forward(m, params, x + start * ym_model_columns(m), rows, w), rows,
               out + start * ym_model_outputs(m));
    }
}

/* ---- loss and gradient ---- */

static double softmax_loss(const float *z, size_t k, size_t label)
{
    double top = top_of(z, k), total = 0;

    if (label >= k)
        return NAN;
    for (size_t c = 0; c < k; c++)
        total += exp(z[c] - top);
    return log(total) + top - z[label];
}

static double poisson_loss(double z, const float *y)
{
    return exp(z + (double)y[1]) - (double)y[0] * (z + (double)y[1]);
}

static double row_loss(const struct ym_model *m, const float *z, const float *target)
{
    float y = *target;

    if (m->loss == YM_LOSS_POISSON)
        return poisson_loss(z[0], target);
    if (m->loss == YM_LOSS_SQUARED)
        return 0.5 * ((double)z[0] - y) * ((double)z[0] - y);
    if (m->loss == YM_LOSS_LOGISTIC)
        return log1p(exp(-fabs((double)z[0]))) + (z[0] > 0 ? z[0] : 0) - (double)y * z[0];
    return softmax_loss(z, ym_model_outputs(m), (size_t)y);
}

double ym_model_loss(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                     struct ym_model_work *w, float *score)
{
    size_t k = ym_model_outputs(m);
    double total = 0;

    for (size_t start = 0; start < n; start += w->max_rows) {
        size_t rows = n - start < w->max_rows ? n - start : w->max_rows;

        const float *z = forward(m, params, x + start * ym_model_columns(m), rows, w);

        for (size_t i = 0; i < rows; i++)
            total += row_loss(m, z + i * k, y + (start + i) * ym_model_targets(m));
        if (score)
            scores(m, z, rows, score + start * k);
    }
    return n > 0 ? total / (double)n : NAN;
}

static void poisson_delta(const float *z, const float *y, size_t n, float scale, float *d)
{
    for (size_t i = 0; i < n; i++)
        d[i] = (expf(z[i] + y[2 * i + 1]) - y[2 * i]) * scale;
}

/* score - target, over n for a mean. */
void ym_model_output_delta(const struct ym_model *m, const float *z, const float *y, size_t n, float *d)
{
    size_t k = ym_model_outputs(m);
    float scale = m->summed ? 1 : 1 / (float)n;

    if (m->loss == YM_LOSS_POISSON) {
        poisson_delta(z, y, n, scale, d);
        return;
    }
    scores(m, z, n, d);
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < k; c++) {
            float target = m->loss == YM_LOSS_SOFTMAX ? (float)(y[i] == (float)c) : y[i];

            d[i * k + c] = (d[i * k + c] - target) * scale;
        }
    }
}

void ym_model_through_activation(const struct ym_model *m, const float *act, size_t n, float *d)
{
    for (size_t i = 0; i < n; i++)
        d[i] *= m->relu ? (float)(act[i] > 0) : 1 - act[i] * act[i];
}

static void dense_gradient(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                           struct ym_model_work *w, float *g)
{
    float *d = w->delta[0], *below = w->delta[1];

    YM_ASSERT(n <= w->max_rows);
    dense_forward(m, params, x, n, w);
    ym_model_output_delta(m, w->act[m->layer_count], y, n, d);
    for (size_t i = m->layer_count; i-- > 0;) {
        struct ym_mat_view delta = {d, n, m->width[i + 1]};
        struct ym_mat_view in = {i == 0 ? x : w->act[i], n, m->width[i]};

        ym_mat_mul(delta, true, in, false, 0,
                   (struct ym_mat){g + ym_model_layer_offset(m, i), m->width[i + 1], m->width[i]});
        ym_mat_sum_rows(delta, g + ym_model_bias_offset(m, i));
        if (i == 0)
            break;
        ym_mat_mul(delta, false, weights_of(m, params, i), false, 0, (struct ym_mat){below, n, m->width[i]});
        ym_model_through_activation(m, w->act[i], n * m->width[i], below);
        float *swap = d;
        d = below;
        below = swap;
    }
}

/* Image by image; each has 1 / n of the mean. */
static void network_gradient(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                             struct ym_model_work *w, float *g)
{
    size_t columns = ym_model_columns(m);
    float *d = w->delta[0];

    for (size_t i = 0; i < n; i++, x += columns) {
        ym_model_output_delta(m, ym_network_forward(&m->network, params, x, w->network), y + i, 1, d);
        for (size_t c = 0; c < ym_model_outputs(m); c++)
            d[c] /= (float)n;
        ym_network_backward(&m->network, params, x, d, i > 0, w->network, g);
    }
}

static void clear_frozen(const struct ym_model *m, float *g)
{
    struct ym_run run[YM_MODEL_MAX_ZEROS];
    size_t count = m->frozen ? ym_model_zeros(m, true, run) : 0;

    for (size_t i = 0; i < count; i++)
        memset(g + run[i].from, 0, (run[i].end - run[i].from) * sizeof *g);
}

void ym_model_patient_gradient(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                               struct ym_model_work *w, float *g)
{
    YM_ASSERT(n >= 1);
    if (m->layer_count == 0)
        network_gradient(m, params, x, y, n, w, g);
    else
        dense_gradient(m, params, x, y, n, w, g);
    clear_frozen(m, g);
}

#include "models/shape.h"
#include "models/stop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gate/plan.h"

static bool layer_fits(size_t in, size_t out, size_t dim)
{
    return in > 0 && out > 0 && in < YM_PLAN_MAX_PARAMS && out <= (YM_PLAN_MAX_PARAMS - dim) / (in + 1);
}

static enum ym_loss loss_of(const struct ym_plan *plan, size_t outputs)
{
    if (ym_plan_targets(plan) == 2)
        return YM_LOSS_POISSON;
    if (plan->outcome.kind == YM_VAR_NUMBER)
        return YM_LOSS_SQUARED;
    return outputs == 1 ? YM_LOSS_LOGISTIC : YM_LOSS_SOFTMAX;
}

static enum ym_code dense_layers(const struct ym_plan *plan, struct ym_model *m, struct ym_status *st)
{
    size_t hidden = plan->family == YM_FAMILY_MLP ? plan->hidden_count : 0;

    if (hidden >= YM_MODEL_MAX_LAYERS)
        return ym_status_set(st, YM_INVALID, "more than %d hidden layers", YM_MODEL_MAX_LAYERS - 1);
    m->layer_count = hidden + 1;
    m->width[0] = ym_plan_columns(plan);
    for (size_t i = 0; i < hidden; i++)
        m->width[i + 1] = plan->hidden[i];
    m->width[hidden + 1] = ym_plan_outputs(plan);
    for (size_t i = 0; i < m->layer_count; i++) {
        if (!layer_fits(m->width[i], m->width[i + 1], m->dim))
            return ym_status_set(st, YM_INVALID, "layer %zu is empty or takes the model past %u parameters", i,
                                 YM_PLAN_MAX_PARAMS);
        m->dim += (m->width[i] + 1) * m->width[i + 1];
    }
    return YM_OK;
}

static enum ym_code network_layers(const struct ym_plan *plan, struct ym_model *m, struct ym_status *st)
{
    m->network = plan->network;
    m->dim = m->network.dim;
    if (m->network.count == 0 || m->network.layer[m->network.count - 1].kind != YM_LAYER_DENSE ||
        ym_model_outputs(m) != ym_plan_outputs(plan) || ym_model_columns(m) != ym_plan_columns(plan))
        return ym_status_set(st, YM_INVALID, "the network does not lead from the plan's image to its outcome");
    return YM_OK;
}

enum ym_code ym_model_from_plan(const struct ym_plan *plan, struct ym_model *out, struct ym_status *st)
{
    struct ym_model m = {.loss = loss_of(plan, ym_plan_outputs(plan)),
                         .summed = ym_plan_survival(plan),
                         .relu = plan->activation == YM_ACT_RELU};
    size_t clip = plan->clip_bit_units > 0, scaled = ym_plan_scaled_columns(plan);
    enum ym_code code = plan->family == YM_FAMILY_NETWORK ? network_layers(plan, &m, st) : dense_layers(plan, &m, st);

    if (code != YM_OK)
        return code;
    m.frozen = plan->frozen;
    m.averaged = m.dim + clip;
    m.update_extra = clip + (scaled > 0 ? 1 + 2 * scaled : 0);
    m.state_extra = clip + 2 * scaled + (plan->stop_figure != YM_STOP_NEVER ? YM_STOP_NUMBERS : 0);
    m.metric_dim = ym_plan_metric_dim(plan);
    m.update_extra += m.metric_dim;
    if (ym_model_update_dim(&m) > YM_PLAN_MAX_PARAMS)
        return ym_status_set(st, YM_INVALID, "an update of more than %u numbers", YM_PLAN_MAX_PARAMS);
    *out = m;
    return YM_OK;
}

/* ---- parameters ---- */

size_t ym_model_layer_offset(const struct ym_model *m, size_t layer)
{
    size_t at = 0;

    for (size_t i = 0; i < layer; i++)
        at += (m->width[i] + 1) * m->width[i + 1];
    return at;
}

size_t ym_model_bias_offset(const struct ym_model *m, size_t layer)
{
    return ym_model_layer_offset(m, layer) + m->width[layer] * m->width[layer + 1];
}

/* Layer i of those with parameters. */
static const struct ym_layer *layer_with_parameters(const struct ym_network *n, size_t i)
{
    const struct ym_layer *l = n->layer;

    for (;; l++) {
        YM_ASSERT(l < n->layer + n->count);
        if (l->weights > 0 && i-- == 0)
            return l;
    }
}

size_t ym_model_tensors(const struct ym_model *m)
{
    size_t count = 2 * m->layer_count;

    for (size_t i = 0; i < m->network.count && m->layer_count == 0; i++)
        count += m->network.layer[i].weights > 0 ? 2 : 0;
    return count;
}

static struct ym_tensor_info network_tensor(const struct ym_network *n, size_t i)
{
    const struct ym_layer *l = layer_with_parameters(n, i / 2);
    bool bias = i % 2 != 0, norm = l->kind == YM_LAYER_GROUP_NORM, conv = l->kind == YM_LAYER_CONV2D;
    struct ym_tensor_info t = {.rows = l->biases, .offset = l->offset + (bias ? l->weights : 0), .shape = {l->biases}};

    snprintf(t.name, sizeof t.name, "%s%u.%s", ym_layer_stem(l->kind), l->number, bias ? "bias" : "weight");
    t.rank = 1;
    if (bias || norm)
        return t;
    t.cols = t.shape[1] = l->weights / l->biases;
    t.rank = 2;
    if (conv) {
        t.shape[1] = t.shape[2] = l->size;
        t.shape[3] = l->in.channels;
        t.rank = 4;
    }
    return t;
}

struct ym_tensor_info ym_model_tensor(const struct ym_model *m, size_t i)
{
    size_t layer = i / 2;
    struct ym_tensor_info t = {.rank = i % 2 ? 1 : 2};

    if (m->layer_count == 0)
        return network_tensor(&m->network, i);
    YM_ASSERT(layer < m->layer_count);
    t.rows = m->width[layer + 1];
    if (i % 2 == 0) {
        t.cols = m->width[layer];
        t.offset = ym_model_layer_offset(m, layer);
    } else {
        t.offset = ym_model_bias_offset(m, layer);
    }
    t.shape[0] = t.rows;
    t.shape[1] = t.cols;
    snprintf(t.name, sizeof t.name, "layer%zu.%s", layer, i % 2 ? "bias" : "weight");
    return t;
}

size_t ym_model_zeros(const struct ym_model *m, bool metrics, struct ym_run run[YM_MODEL_MAX_ZEROS])
{
    size_t count = 0;

    for (size_t i = 0; i < ym_model_tensors(m) && m->frozen; i++) {
        struct ym_tensor_info t = ym_model_tensor(m, i);

        if (ym_model_tensor_frozen(m, i))
            run[count++] = (struct ym_run){t.offset, t.offset + t.rows * (t.cols ? t.cols : 1)};
    }
    if (!metrics)
        run[count++] = (struct ym_run){ym_model_metric_at(m), ym_model_update_dim(m)};
    return count;
}

/* SplitMix64 (Steele, Lea, Flood 2014): public randomness, chosen for its size. */
static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void draw_uniform(uint64_t *seed, size_t in, size_t out, size_t count, float *w)
{
    double bound = sqrt(6.0 / (double)(in + out));

    for (size_t i = 0; i < count; i++)
        w[i] = (float)(((double)(splitmix64(seed) >> 11) * 0x1p-52 - 1) * bound);
}

/* Glorot and Bengio 2010; of a conv2d, fans are counted over its window. */
static void init_network(const struct ym_network *n, uint64_t seed, float *params)
{
    for (const struct ym_layer *l = n->layer; l < n->layer + n->count; l++) {
        size_t window = l->kind == YM_LAYER_CONV2D ? (size_t)l->size * l->size : 1;

        if (l->kind == YM_LAYER_GROUP_NORM)
            for (size_t i = 0; i < l->weights; i++)
                params[l->offset + i] = 1;
        else if (l->weights > 0)
            draw_uniform(&seed, l->weights / l->units, window * l->units, l->weights, params + l->offset);
    }
}

void ym_model_init_params(const struct ym_model *m, uint64_t seed, float *params)
{
    memset(params, 0, m->dim * sizeof *params);
    if (m->layer_count == 0)
        init_network(&m->network, seed, params);
    for (size_t layer = 0; layer < m->layer_count && m->layer_count > 1; layer++)
        draw_uniform(&seed, m->width[layer], m->width[layer + 1], m->width[layer] * m->width[layer + 1],
                     params + ym_model_layer_offset(m, layer));
}

#include "models/shape.h"

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
    if (plan->outcome.kind == YM_VAR_NUMBER)
        return YM_LOSS_SQUARED;
    return outputs == 1 ? YM_LOSS_LOGISTIC : YM_LOSS_SOFTMAX;
}

enum ym_code ym_model_from_plan(const struct ym_plan *plan, struct ym_model *out, struct ym_status *st)
{
    struct ym_model m = {.loss = loss_of(plan, ym_plan_outputs(plan)), .relu = plan->activation == YM_ACT_RELU};
    size_t hidden = plan->family == YM_FAMILY_MLP ? plan->hidden_count : 0, clip, scaled;

    if (hidden >= YM_MODEL_MAX_LAYERS)
        return ym_status_set(st, YM_INVALID, "more than %d hidden layers", YM_MODEL_MAX_LAYERS - 1);
    m.layer_count = hidden + 1;
    m.width[0] = ym_plan_columns(plan);
    for (size_t i = 0; i < hidden; i++)
        m.width[i + 1] = plan->hidden[i];
    m.width[hidden + 1] = ym_plan_outputs(plan);
    for (size_t i = 0; i < m.layer_count; i++) {
        if (!layer_fits(m.width[i], m.width[i + 1], m.dim))
            return ym_status_set(st, YM_INVALID, "layer %zu is empty or takes the model past %u parameters", i,
                                 YM_PLAN_MAX_PARAMS);
        m.dim += (m.width[i] + 1) * m.width[i + 1];
    }
    clip = plan->clip_bit_units > 0;
    scaled = ym_plan_scaled_columns(plan);
    m.averaged = m.dim + clip;
    m.update_extra = clip + (scaled > 0 ? 1 + 2 * scaled : 0);
    m.state_extra = clip + 2 * scaled;
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

struct ym_tensor_info ym_model_tensor(const struct ym_model *m, size_t i)
{
    size_t layer = i / 2;
    struct ym_tensor_info t = {.rows = m->width[layer + 1]};

    YM_ASSERT(layer < m->layer_count);
    if (i % 2 == 0) {
        t.cols = m->width[layer];
        t.offset = ym_model_layer_offset(m, layer);
    } else {
        t.offset = ym_model_bias_offset(m, layer);
    }
    snprintf(t.name, sizeof t.name, "layer%zu.%s", layer, i % 2 ? "bias" : "weight");
    return t;
}

/* SplitMix64 (Steele, Lea, Flood 2014): public randomness, chosen for its size. */
static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void ym_model_init_params(const struct ym_model *m, uint64_t seed, float *params)
{
    memset(params, 0, m->dim * sizeof *params);
    if (m->layer_count == 1)
        return;
    for (size_t layer = 0; layer < m->layer_count; layer++) {
        size_t count = m->width[layer] * m->width[layer + 1];
        double bound = sqrt(6.0 / (double)(m->width[layer] + m->width[layer + 1]));
        float *w = params + ym_model_layer_offset(m, layer);

        for (size_t i = 0; i < count; i++)
            w[i] = (float)(((double)(splitmix64(&seed) >> 11) * 0x1p-52 - 1) * bound);
    }
}

#include "models/results/onnx.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "gate/design.h"
#include "models/results/onnx_internal.h"

/* Field numbers of the public schema (onnx.proto3). */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14 };
enum { GRAPH_NAME = 2, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { IR_VERSION = 7, OPSET = 13 };

/* ---- what is fed, and what comes out ---- */

static bool flagged(const struct ym_variable *v)
{
    return v->missing == YM_MISSING_INDICATOR;
}

bool ym_onnx_fed(const struct ym_variable *v)
{
    return v->role == YM_AS_COLUMN || v->role == YM_AS_OFFSET;
}

size_t ym_onnx_columns(const struct ym_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->input_count; i++)
        n += ym_onnx_fed(&plan->input[i]) ? 1 + (size_t)flagged(&plan->input[i]) : 0;
    return n;
}

void ym_onnx_column(const struct ym_plan *plan, size_t i, char name[80])
{
    for (size_t k = 0; k < plan->input_count; k++) {
        const struct ym_variable *v = &plan->input[k];

        if (!ym_onnx_fed(v))
            continue;
        if (i == 0 || (i == 1 && flagged(v))) {
            snprintf(name, 80, "%s%s", v->name, i ? ".missing" : "");
            return;
        }
        i -= 1 + (size_t)flagged(v);
    }
    YM_ASSERT(false);
}

size_t ym_onnx_scores(const struct ym_plan *plan)
{
    return ym_plan_survival(plan) ? plan->cut_count + 1 : ym_plan_outputs(plan);
}

void ym_onnx_score(const struct ym_plan *plan, size_t i, char name[80])
{
    const struct ym_variable *y = &plan->outcome;

    if (ym_plan_survival(plan))
        snprintf(name, 80, "%.15g-%.15g", i ? plan->cut[i - 1] : 0,
                 i < plan->cut_count ? plan->cut[i] : plan->input[plan->time_input].high);
    else if (y->kind == YM_VAR_CATEGORY)
        snprintf(name, 80, "%s", y->level[ym_plan_outputs(plan) == 1 ? 1 : i]);
    else
        snprintf(name, 80, "%s", y->name);
}

/* ---- the model ---- */

static void emit_softmax(struct ym_onnx_graph *g)
{
    struct ym_wire node = {0};

    ym_onnx_begin(g, &node, "Softmax", "score");
    ym_onnx_int(&node, "axis", 1);
    ym_onnx_end(g, &node);
}

static void emit_outcome(const struct ym_plan *plan, const struct ym_model *m, struct ym_onnx_graph *g)
{
    float half = (float)((plan->outcome.high - plan->outcome.low) / 2);
    float middle = (float)((plan->outcome.high + plan->outcome.low) / 2);

    if (m->loss == YM_LOSS_SQUARED)
        ym_onnx_gemm(g, "score", &half, &middle, 1, 1);
    else if (m->loss == YM_LOSS_SOFTMAX)
        emit_softmax(g);
    else
        ym_onnx_plain(g, m->loss == YM_LOSS_LOGISTIC ? "Sigmoid" : "Exp", "score");
}

static void emit_layers(const struct ym_model *m, const float *params, struct ym_onnx_graph *g)
{
    char name[32];

    for (size_t i = 0; i < m->layer_count; i++) {
        struct ym_tensor_info weight = ym_model_tensor(m, 2 * i), bias = ym_model_tensor(m, 2 * i + 1);

        snprintf(name, sizeof name, "layer%zu", i);
        ym_onnx_gemm(g, name, params + weight.offset, params + bias.offset, m->width[i + 1], m->width[i]);
        snprintf(name, sizeof name, "activation%zu", i);
        if (i + 1 < m->layer_count)
            ym_onnx_plain(g, m->relu ? "Relu" : "Tanh", name);
    }
}

/* A bin's predictor is that of the first and the bin's own column. A trained rate is one per `high` of the time. */
static void spread_bins(const struct ym_plan *plan, const float *params, size_t terms, float *weight, float *bias)
{
    size_t bins = plan->cut_count + 1;
    double high = plan->input[plan->time_input].high;
    double unit = plan->family == YM_FAMILY_PIECEWISE_EXPONENTIAL ? log(high) : 0;

    for (size_t k = 0; k < bins; k++) {
        memcpy(weight + k * terms, params, terms * sizeof *weight);
        bias[k] = (float)((double)params[terms + plan->cut_count] + (k ? (double)params[terms + k - 1] : 0) - unit);
    }
}

/* The offset's variable stands behind the others in [-1, 1]; a line through it is the offset (docs/plan.md). */
static void add_offset(const struct ym_plan *plan, const float *params, size_t terms, float *weight, float *bias)
{
    struct ym_factor f = plan->offset;
    double low = ym_design_transform(plan, f, plan->input[f.input].low, YM_UNITS_STUDY);
    double high = ym_design_transform(plan, f, plan->input[f.input].high, YM_UNITS_STUDY);

    memcpy(weight, params, terms * sizeof *weight);
    weight[terms] = (float)((high - low) / 2);
    bias[0] = (float)((double)params[terms] + (f.transform == YM_AS_IS ? (low + high) / 2 : (low - high) / 2));
}

/* One layer whose columns are not those of the design matrix. */
static enum ym_code emit_spread(const struct ym_plan *plan, const float *params, struct ym_onnx_graph *g,
                                struct ym_status *st)
{
    size_t terms = ym_design_columns(plan), in = terms + plan->has_offset, out = ym_onnx_scores(plan);
    float *weight = calloc(out, (in + 1) * sizeof *weight);

    if (!weight)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    if (plan->has_offset)
        add_offset(plan, params, terms, weight, weight + in);
    else
        spread_bins(plan, params, terms, weight, weight + out * in);
    ym_onnx_gemm(g, "layer0", weight, weight + out * in, out, in);
    free(weight);
    return YM_OK;
}

static enum ym_code emit_model(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                               struct ym_onnx_graph *g, struct ym_status *st)
{
    enum ym_code code = m->layer_count == 0 ? ym_onnx_network(plan, m, params, g, st) : ym_onnx_design(plan, g, st);

    if (code == YM_OK && (plan->has_offset || ym_plan_survival(plan)))
        code = emit_spread(plan, params, g, st);
    else if (code == YM_OK)
        emit_layers(m, params, g);
    if (code == YM_OK)
        emit_outcome(plan, m, g);
    return code;
}

/* ValueInfoProto: float [N] and the shape's. */
static void value_info(struct ym_onnx_graph *g, uint32_t field, const char *name, const size_t *extent, size_t rank)
{
    enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2, TENSOR_FLOAT = 1 };
    enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME = 2 };
    struct ym_wire value = {0}, type = {0}, of = {0}, shape = {0}, dim = {0};

    ym_wire_text(&dim, DIM_NAME, "N");
    ym_wire_message(&shape, SHAPE_DIM, &dim);
    for (size_t i = 0; i < rank; i++) {
        ym_wire_int(&dim, DIM_VALUE, (int64_t)extent[i]);
        ym_wire_message(&shape, SHAPE_DIM, &dim);
    }
    ym_wire_int(&of, TENSOR_ELEMENT, TENSOR_FLOAT);
    ym_wire_message(&of, TENSOR_SHAPE, &shape);
    ym_wire_message(&type, TYPE_TENSOR, &of);
    ym_wire_text(&value, VALUE_NAME, name);
    ym_wire_message(&value, VALUE_TYPE, &type);
    ym_wire_message(&g->bytes, field, &value);
}

static void input_info(const struct ym_plan *plan, const struct ym_model *m, struct ym_onnx_graph *g)
{
    const struct ym_extent image = m->network.image;
    const size_t columns = ym_onnx_columns(plan), extent[] = {image.channels, image.height, image.width};

    if (m->layer_count == 0)
        value_info(g, GRAPH_INPUT, "x", extent, 3);
    else
        value_info(g, GRAPH_INPUT, "x", &columns, 1);
}

static void model_wrap(struct ym_onnx_graph *g, const struct ym_onnx_note *note, size_t notes, struct ym_wire *model)
{
    enum { OPSET_VERSION = 2, NOTE_KEY = 1, NOTE_VALUE = 2 };
    struct ym_wire part = {0};

    ym_wire_int(model, MODEL_IR, IR_VERSION);
    ym_wire_text(model, MODEL_PRODUCER, "yumen");
    ym_wire_message(model, MODEL_GRAPH, &g->bytes);
    ym_wire_int(&part, OPSET_VERSION, OPSET);
    ym_wire_message(model, MODEL_OPSET, &part);
    for (size_t i = 0; i < notes; i++) {
        ym_wire_text(&part, NOTE_KEY, note[i].key);
        ym_wire_text(&part, NOTE_VALUE, note[i].value);
        ym_wire_message(model, MODEL_METADATA, &part);
    }
}

enum ym_code ym_onnx_write(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                           const struct ym_onnx_note *note, size_t notes, struct ym_buf *out, struct ym_status *st)
{
    struct ym_onnx_graph g = {.at = "x"};
    struct ym_wire model = {0};
    const size_t scores = ym_onnx_scores(plan);
    enum ym_code code;

    if (plan->family == YM_FAMILY_COX)
        return ym_status_set(st, YM_INVALID, "this family has no ONNX form here");
    ym_wire_text(&g.bytes, GRAPH_NAME, plan->study);
    input_info(plan, m, &g);
    value_info(&g, GRAPH_OUTPUT, "score", &scores, 1);
    code = emit_model(plan, m, params, &g, st);
    if (code == YM_OK) {
        model_wrap(&g, note, notes, &model);
        if (model.failed || ym_buf_append(out, model.bytes.data, model.bytes.len) != YM_OK)
            code = ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    }
    ym_wire_release(&model);
    ym_wire_release(&g.bytes);
    return code;
}

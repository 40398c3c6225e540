#include "models/results/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "models/results/wire.h"

/* Field numbers of the public schema (onnx.proto3). */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_INT = 3, ATTRIBUTE_TYPE = 20, ATTRIBUTE_IS_INT = 2 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_FLOAT = 1 };
enum { IR_VERSION = 7, OPSET = 13 };

struct graph {
    struct ym_wire bytes; /* a GraphProto under way */
    char at[48];          /* the value that the next node reads */
    size_t nodes;
};

static void int_attribute(struct ym_wire *node, const char *name, int64_t value)
{
    struct ym_wire a = {0};

    ym_wire_text(&a, ATTRIBUTE_NAME, name);
    ym_wire_int(&a, ATTRIBUTE_INT, value);
    ym_wire_int(&a, ATTRIBUTE_TYPE, ATTRIBUTE_IS_INT);
    ym_wire_message(node, NODE_ATTRIBUTE, &a);
}

static void tensor(struct graph *g, const char *name, const float *data, size_t rows, size_t cols)
{
    struct ym_wire t = {0};

    ym_wire_int(&t, TENSOR_DIM, (int64_t)rows);
    if (cols > 0)
        ym_wire_int(&t, TENSOR_DIM, (int64_t)cols);
    ym_wire_int(&t, TENSOR_TYPE, TENSOR_FLOAT);
    ym_wire_text(&t, TENSOR_NAME, name);
    ym_wire_bytes(&t, TENSOR_RAW, data, rows * (cols > 0 ? cols : 1) * sizeof *data);
    ym_wire_message(&g->bytes, GRAPH_INITIALIZER, &t);
}

/* The node's output is named for it, the last one's is "score". */
static void node_begin(struct graph *g, struct ym_wire *node, const char *op, const char *name)
{
    ym_wire_text(node, NODE_INPUT, g->at);
    ym_wire_text(node, NODE_OP, op);
    ym_wire_text(node, NODE_NAME, name);
    snprintf(g->at, sizeof g->at, "%s", name);
}

static void node_end(struct graph *g, struct ym_wire *node)
{
    ym_wire_text(node, NODE_OUTPUT, g->at);
    ym_wire_message(&g->bytes, GRAPH_NODE, node);
    g->nodes++;
}

static void plain(struct graph *g, const char *op, const char *name)
{
    struct ym_wire node = {0};

    node_begin(g, &node, op, name);
    if (strcmp(op, "Softmax") == 0)
        int_attribute(&node, "axis", 1);
    node_end(g, &node);
}

/* name = at . weight^T + bias; weight [out][in], bias [out]. */
static void gemm(struct graph *g, const char *name, const float *weight, const float *bias, size_t out, size_t in)
{
    struct ym_wire node = {0};
    char tensor_name[64];

    node_begin(g, &node, "Gemm", name);
    snprintf(tensor_name, sizeof tensor_name, "%s.weight", name);
    ym_wire_text(&node, NODE_INPUT, tensor_name);
    tensor(g, tensor_name, weight, out, in);
    snprintf(tensor_name, sizeof tensor_name, "%s.bias", name);
    ym_wire_text(&node, NODE_INPUT, tensor_name);
    tensor(g, tensor_name, bias, out, 0);
    int_attribute(&node, "transB", 1);
    node_end(g, &node);
}

/* ---- raw columns to the columns of the design matrix ---- */

static bool flagged(const struct ym_variable *v)
{
    return v->missing == YM_MISSING_INDICATOR;
}

size_t ym_onnx_columns(const struct ym_plan *plan)
{
    size_t n = plan->input_count;

    for (size_t i = 0; i < plan->input_count; i++)
        n += flagged(&plan->input[i]);
    return n;
}

void ym_onnx_column(const struct ym_plan *plan, size_t i, char name[80])
{
    for (size_t k = 0; k < plan->input_count; k++) {
        const struct ym_variable *v = &plan->input[k];

        if (i == 0 || (i == 1 && flagged(v))) {
            snprintf(name, 80, "%s%s", v->name, i ? ".missing" : "");
            return;
        }
        i -= 1 + (size_t)flagged(v);
    }
    YM_ASSERT(false);
}

/* A dense layer under construction; rows are written in order. */
struct dense {
    float *weight, *bias; /* [out][in], [out] */
    size_t out, in;
};

static bool dense_init(struct dense *d, size_t out, size_t in)
{
    *d = (struct dense){calloc(out, in * sizeof(float)), calloc(out, sizeof(float)), out, in};
    return d->weight && d->bias;
}

static void dense_release(struct dense *d)
{
    free(d->weight);
    free(d->bias);
}

static void set(struct dense *d, size_t row, size_t col, double v)
{
    d->weight[row * d->in + col] = (float)v;
}

/* The three layers of the header's formulas, after centring: fold (inner relus), shape (outer relus), columns. */
struct expansion {
    struct dense centre, fold, shape, column;
    size_t raw, folds, shapes; /* rows written so far */
};

static size_t folds_of(const struct ym_variable *v)
{
    return (v->kind == YM_VAR_NUMBER ? 1 : 2 * (v->level_count - 1)) + (size_t)flagged(v);
}

static size_t fold_count(const struct ym_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->input_count; i++)
        n += folds_of(&plan->input[i]);
    return n;
}

static void expansion_release(struct expansion *e)
{
    dense_release(&e->centre);
    dense_release(&e->fold);
    dense_release(&e->shape);
    dense_release(&e->column);
}

static bool expansion_init(const struct ym_plan *plan, struct expansion *e)
{
    size_t raw = ym_onnx_columns(plan), folds = fold_count(plan), columns = ym_plan_columns(plan);

    return dense_init(&e->centre, raw, raw) && dense_init(&e->fold, folds, raw) &&
           dense_init(&e->shape, columns, folds) && dense_init(&e->column, columns, columns);
}

/* u = (v - mid) / half; fold 1 - u; shape 2 - fold - 2 flag; column shape - 1 + flag. */
static void expand_number(struct expansion *e, const struct ym_variable *v)
{
    set(&e->fold, e->folds, e->raw, -2 / (v->high - v->low));
    e->fold.bias[e->folds] = 1;
    set(&e->shape, e->shapes, e->folds, -1);
    e->shape.bias[e->shapes] = 2;
    set(&e->column, e->shapes, e->shapes, 1);
    e->column.bias[e->shapes] = -1;
    if (flagged(v)) {
        set(&e->shape, e->shapes, e->folds + 1, -2);
        set(&e->column, e->shapes, e->shapes + 1, 1);
    }
    e->folds++;
    e->shapes++;
}

/* For level k: fold v - k and k - v; shape 1 - both - flag. */
static void expand_category(struct expansion *e, const struct ym_variable *v)
{
    size_t flag = e->folds + 2 * (v->level_count - 1);

    for (size_t k = 1; k < v->level_count; k++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            set(&e->fold, e->folds, e->raw, sign);
            e->fold.bias[e->folds] = (float)(-sign * (double)k);
            set(&e->shape, e->shapes, e->folds++, -1);
        }
        if (flagged(v))
            set(&e->shape, e->shapes, flag, -1);
        e->shape.bias[e->shapes] = 1;
        set(&e->column, e->shapes, e->shapes, 1);
        e->shapes++;
    }
}

static void expand(struct expansion *e, const struct ym_variable *v)
{
    set(&e->centre, e->raw, e->raw, 1);
    if (v->kind == YM_VAR_NUMBER) {
        e->centre.bias[e->raw] = (float)(-(v->low + v->high) / 2);
        expand_number(e, v);
    } else {
        expand_category(e, v);
    }
    e->raw++;
    if (!flagged(v))
        return;
    set(&e->centre, e->raw, e->raw, 1);
    set(&e->fold, e->folds, e->raw++, 1);
    set(&e->shape, e->shapes, e->folds++, 1);
    set(&e->column, e->shapes, e->shapes, 1);
    e->shapes++;
}

static void emit(struct graph *g, const char *name, const struct dense *d)
{
    gemm(g, name, d->weight, d->bias, d->out, d->in);
}

static enum ym_code emit_expansion(const struct ym_plan *plan, struct graph *g, struct ym_status *st)
{
    struct expansion e = {0};
    enum ym_code code = YM_OK;

    if (expansion_init(plan, &e)) {
        for (size_t i = 0; i < plan->input_count; i++)
            expand(&e, &plan->input[i]);
        emit(g, "centre", &e.centre);
        emit(g, "fold", &e.fold);
        plain(g, "Relu", "folded");
        emit(g, "shape", &e.shape);
        plain(g, "Relu", "shaped");
        emit(g, "columns", &e.column);
    } else {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    }
    expansion_release(&e);
    return code;
}

/* ---- the model ---- */

static void emit_outcome(const struct ym_plan *plan, const struct ym_model *m, struct graph *g)
{
    float half = (float)((plan->outcome.high - plan->outcome.low) / 2);
    float middle = (float)((plan->outcome.high + plan->outcome.low) / 2);

    if (m->loss == YM_LOSS_SQUARED)
        gemm(g, "score", &half, &middle, 1, 1);
    else
        plain(g, m->loss == YM_LOSS_LOGISTIC ? "Sigmoid" : "Softmax", "score");
}

static void emit_layers(const struct ym_model *m, const float *params, struct graph *g)
{
    char name[32];

    for (size_t i = 0; i < m->layer_count; i++) {
        struct ym_tensor_info weight = ym_model_tensor(m, 2 * i), bias = ym_model_tensor(m, 2 * i + 1);

        snprintf(name, sizeof name, "layer%zu", i);
        gemm(g, name, params + weight.offset, params + bias.offset, m->width[i + 1], m->width[i]);
        snprintf(name, sizeof name, "activation%zu", i);
        if (i + 1 < m->layer_count)
            plain(g, m->relu ? "Relu" : "Tanh", name);
    }
}

/* ValueInfoProto: float [N][columns]. */
static void value_info(struct graph *g, uint32_t field, const char *name, size_t columns)
{
    enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
    enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME = 2 };
    struct ym_wire value = {0}, type = {0}, of = {0}, shape = {0}, dim = {0};

    ym_wire_text(&dim, DIM_NAME, "N");
    ym_wire_message(&shape, SHAPE_DIM, &dim);
    ym_wire_int(&dim, DIM_VALUE, (int64_t)columns);
    ym_wire_message(&shape, SHAPE_DIM, &dim);
    ym_wire_int(&of, TENSOR_ELEMENT, TENSOR_FLOAT);
    ym_wire_message(&of, TENSOR_SHAPE, &shape);
    ym_wire_message(&type, TYPE_TENSOR, &of);
    ym_wire_text(&value, VALUE_NAME, name);
    ym_wire_message(&value, VALUE_TYPE, &type);
    ym_wire_message(&g->bytes, field, &value);
}

static void model_wrap(struct graph *g, const struct ym_onnx_note *note, size_t notes, struct ym_wire *model)
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

static enum ym_code check(const struct ym_plan *plan, const struct ym_model *m, struct ym_status *st)
{
    size_t columns = ym_plan_columns(plan), raw = ym_onnx_columns(plan);

    if (m->layer_count == 0 || plan->term != NULL || m->loss == YM_LOSS_POISSON) /* formulas, bins, exp() */
        return ym_status_set(st, YM_INVALID, "this family has no ONNX form here");
    if (columns > YM_ONNX_MAX_COLUMNS || raw > YM_ONNX_MAX_COLUMNS)
        return ym_status_set(st, YM_INVALID, "%zu columns are more than the %d that an ONNX file takes", columns,
                             YM_ONNX_MAX_COLUMNS);
    return YM_OK;
}

enum ym_code ym_onnx_write(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                           const struct ym_onnx_note *note, size_t notes, struct ym_buf *out, struct ym_status *st)
{
    struct graph g = {.at = "x"};
    struct ym_wire model = {0};
    enum ym_code code = check(plan, m, st);

    if (code != YM_OK)
        return code;
    ym_wire_text(&g.bytes, GRAPH_NAME, plan->study);
    value_info(&g, GRAPH_INPUT, "x", ym_onnx_columns(plan));
    value_info(&g, GRAPH_OUTPUT, "score", ym_plan_outputs(plan));
    code = emit_expansion(plan, &g, st);
    if (code == YM_OK) {
        emit_layers(m, params, &g);
        emit_outcome(plan, m, &g);
        model_wrap(&g, note, notes, &model);
        if (model.failed || ym_buf_append(out, model.bytes.data, model.bytes.len) != YM_OK)
            code = ym_status_set(st, YM_EXHAUSTED, "no memory for the ONNX file");
    }
    ym_wire_release(&model);
    ym_wire_release(&g.bytes);
    return code;
}

#include <stdio.h>

#include "models/results/onnx_internal.h"

/* Field numbers of the public schema (onnx.proto3). */
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_FLOAT = 2, ATTRIBUTE_INT = 3, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20 };
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_INTS = 7 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_FLOAT = 1, TENSOR_INT64 = 7 };

/* ---- constants ---- */

static void constant(struct ym_onnx_graph *g, const char *name, int64_t type, const void *data, size_t unit,
                     const size_t *shape, size_t rank)
{
    struct ym_wire t = {0};
    size_t count = 1;

    for (size_t i = 0; i < rank; i++) {
        ym_wire_int(&t, TENSOR_DIM, (int64_t)shape[i]);
        count *= shape[i];
    }
    ym_wire_int(&t, TENSOR_TYPE, type);
    ym_wire_text(&t, TENSOR_NAME, name);
    ym_wire_bytes(&t, TENSOR_RAW, data, count * unit);
    ym_wire_message(&g->bytes, GRAPH_INITIALIZER, &t);
}

void ym_onnx_floats(struct ym_onnx_graph *g, const char *name, const float *data, const size_t *shape, size_t rank)
{
    constant(g, name, TENSOR_FLOAT, data, sizeof *data, shape, rank);
}

void ym_onnx_longs(struct ym_onnx_graph *g, const char *name, const int64_t *data, size_t count)
{
    constant(g, name, TENSOR_INT64, data, sizeof *data, &count, 1);
}

/* ---- nodes ---- */

void ym_onnx_begin(struct ym_onnx_graph *g, struct ym_wire *node, const char *op, const char *name)
{
    ym_wire_text(node, NODE_INPUT, g->at);
    ym_wire_text(node, NODE_OP, op);
    ym_wire_text(node, NODE_NAME, name);
    snprintf(g->at, sizeof g->at, "%s", name);
}

void ym_onnx_input(struct ym_wire *node, const char *name)
{
    ym_wire_text(node, NODE_INPUT, name);
}

void ym_onnx_int(struct ym_wire *node, const char *name, int64_t value)
{
    struct ym_wire a = {0};

    ym_wire_text(&a, ATTRIBUTE_NAME, name);
    ym_wire_int(&a, ATTRIBUTE_INT, value);
    ym_wire_int(&a, ATTRIBUTE_TYPE, TYPE_INT);
    ym_wire_message(node, NODE_ATTRIBUTE, &a);
}

void ym_onnx_float(struct ym_wire *node, const char *name, float value)
{
    struct ym_wire a = {0};

    ym_wire_text(&a, ATTRIBUTE_NAME, name);
    ym_wire_float(&a, ATTRIBUTE_FLOAT, value);
    ym_wire_int(&a, ATTRIBUTE_TYPE, TYPE_FLOAT);
    ym_wire_message(node, NODE_ATTRIBUTE, &a);
}

void ym_onnx_ints(struct ym_wire *node, const char *name, const int64_t *value, size_t count)
{
    struct ym_wire a = {0};

    ym_wire_text(&a, ATTRIBUTE_NAME, name);
    for (size_t i = 0; i < count; i++)
        ym_wire_int(&a, ATTRIBUTE_INTS, value[i]);
    ym_wire_int(&a, ATTRIBUTE_TYPE, TYPE_INTS);
    ym_wire_message(node, NODE_ATTRIBUTE, &a);
}

void ym_onnx_end(struct ym_onnx_graph *g, struct ym_wire *node)
{
    ym_wire_text(node, NODE_OUTPUT, g->at);
    ym_wire_message(&g->bytes, GRAPH_NODE, node);
}

void ym_onnx_plain(struct ym_onnx_graph *g, const char *op, const char *name)
{
    struct ym_wire node = {0};

    ym_onnx_begin(g, &node, op, name);
    ym_onnx_end(g, &node);
}

void ym_onnx_pair(struct ym_onnx_graph *g, const char *op, const char *name, const char *other)
{
    struct ym_wire node = {0};

    ym_onnx_begin(g, &node, op, name);
    ym_onnx_input(&node, other);
    ym_onnx_end(g, &node);
}

void ym_onnx_gemm(struct ym_onnx_graph *g, const char *name, const float *weight, const float *bias, size_t out,
                  size_t in)
{
    struct ym_wire node = {0};
    char constant_name[64];

    ym_onnx_begin(g, &node, "Gemm", name);
    snprintf(constant_name, sizeof constant_name, "%s.weight", name);
    ym_onnx_input(&node, constant_name);
    ym_onnx_floats(g, constant_name, weight, (const size_t[]){out, in}, 2);
    snprintf(constant_name, sizeof constant_name, "%s.bias", name);
    ym_onnx_input(&node, constant_name);
    ym_onnx_floats(g, constant_name, bias, &out, 1);
    ym_onnx_int(&node, "transB", 1);
    ym_onnx_end(g, &node);
}

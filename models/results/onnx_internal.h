#ifndef YM_MODELS_RESULTS_ONNX_INTERNAL_H
#define YM_MODELS_RESULTS_ONNX_INTERNAL_H

#include "models/results/onnx.h"
#include "models/results/wire.h"

/* A GraphProto under way. Nodes are written in the order in which they run; each is
 * named for its output, and the next reads `at` first. Memory that runs out is
 * remembered in bytes.failed. */
struct ym_onnx_graph {
    struct ym_wire bytes;
    char at[48];
};

/* node: zero before; inputs beyond the first and attributes between begin and end. */
void ym_onnx_begin(struct ym_onnx_graph *g, struct ym_wire *node, const char *op, const char *name);
void ym_onnx_input(struct ym_wire *node, const char *name);
void ym_onnx_int(struct ym_wire *node, const char *name, int64_t value);
void ym_onnx_float(struct ym_wire *node, const char *name, float value);
void ym_onnx_ints(struct ym_wire *node, const char *name, const int64_t *value, size_t count);
void ym_onnx_end(struct ym_onnx_graph *g, struct ym_wire *node);
/* A node of one input and no attributes. */
void ym_onnx_plain(struct ym_onnx_graph *g, const char *op, const char *name);
/* at and other, element by element. */
void ym_onnx_pair(struct ym_onnx_graph *g, const char *op, const char *name, const char *other);
/* name = at . weight^T + bias; weight [out][in], bias [out]. */
void ym_onnx_gemm(struct ym_onnx_graph *g, const char *name, const float *weight, const float *bias, size_t out,
                  size_t in);

/* Constants of the graph. */
void ym_onnx_floats(struct ym_onnx_graph *g, const char *name, const float *data, const size_t *shape, size_t rank);
void ym_onnx_longs(struct ym_onnx_graph *g, const char *name, const int64_t *data, size_t count);

/* Raw columns to those of the design matrix; of a Poisson model with an offset one more behind them, the offset's
 * variable in [-1, 1]. YM_INVALID when they are too many, YM_EXHAUSTED. */
enum ym_code ym_onnx_design(const struct ym_plan *plan, struct ym_onnx_graph *g, struct ym_status *st);
/* A network: from the image's bytes to the outputs before the link function, [N][outputs]. */
enum ym_code ym_onnx_network(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             struct ym_onnx_graph *g, struct ym_status *st);

#endif

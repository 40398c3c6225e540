#ifndef YM_MODELS_MODEL_H
#define YM_MODELS_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "gate/network.h"

/* Dense models: layers of widths w0 = columns, hidden..., outputs. Linear,
 * logistic, multinomial have no hidden layer. Networks: a declared stack of layers
 * (gate/network.h), the last of them dense to the outputs. Parameters are one
 * float32 block: per layer the weights [out][in] row-major, then the bias [out].
 * One example = one patient: its loss is the mean over its rows, or for survival
 * families, whose rows are its time bins, their sum; its gradient is that loss's
 * gradient, clipped whole by privacy/clip.h (docs/models.md).
 * Losses at linear predictor z and outcome y:
 *   squared   (z - y)^2 / 2
 *   logistic  log(1 + exp(z)) - y z
 *   softmax   log sum exp(z) - z_y
 *   Poisson   exp(z + offset) - y (z + offset) */

enum ym_loss { YM_LOSS_SQUARED = 1, YM_LOSS_LOGISTIC, YM_LOSS_SOFTMAX, YM_LOSS_POISSON };
#define YM_MODEL_MAX_LAYERS 9
#define YM_MODEL_MAX_EXTRA (1 + 2 * 1024 + 2) /* log_clip, mean and scale of every input, early stop */

struct ym_model {
    enum ym_loss loss;
    int summed;         /* a patient's loss is the sum over its rows; else the mean */
    int relu;           /* hidden activation: 0 tanh, 1 relu */
    size_t layer_count; /* of a dense model; 0: a network, and width says nothing */
    size_t width[YM_MODEL_MAX_LAYERS + 1];
    size_t dim; /* parameters in all */
    struct ym_network network;
    uint64_t frozen; /* bit i: layer i of those with parameters keeps what it started from */
    /* Beside the parameters, where the plan asks for it (docs/formats.md, "Layout"): */
    size_t averaged;     /* dim, and log_clip: averaged by the hospitals' weights; what is behind is summed */
    size_t update_extra; /* coordinates of an update and of a sum, behind the parameters */
    size_t state_extra;  /* numbers of a state, behind parameters and moments; at most YM_MODEL_MAX_EXTRA */
    size_t metric_dim;   /* of update_extra, the last ones: counts (models/metric.h), no part of the state */
};

/* What a row has, and what the model says of it. */
static inline size_t ym_model_columns(const struct ym_model *m)
{
    return m->layer_count > 0 ? m->width[0] : ym_extent_values(m->network.image);
}

static inline size_t ym_model_outputs(const struct ym_model *m)
{
    return m->layer_count > 0 ? m->width[m->layer_count] : ym_network_out(&m->network).channels;
}

/* Numbers of a row's outcome: {count, offset}, else 1. */
static inline size_t ym_model_targets(const struct ym_model *m)
{
    return m->loss == YM_LOSS_POISSON ? 2 : 1;
}

/* Coordinates of an update, and of the sum of updates. */
static inline size_t ym_model_update_dim(const struct ym_model *m)
{
    return m->dim + m->update_extra;
}

/* Where its metrics begin. What stands before is added up by the hospitals' weights, metrics with weight 1. */
static inline size_t ym_model_metric_at(const struct ym_model *m)
{
    return ym_model_update_dim(m) - m->metric_dim;
}

struct ym_plan;
enum ym_code ym_model_from_plan(const struct ym_plan *plan, struct ym_model *out, struct ym_status *st);

/* Parameters at round 0: a function of the public seed (SplitMix64, Glorot
 * uniform; zero for models without hidden layers; a group norm's scale 1), the same
 * bits everywhere. */
void ym_model_init_params(const struct ym_model *m, uint64_t seed, float *params);

struct ym_model_work; /* scratch for up to max_rows rows; one per thread */
struct ym_model_work *ym_model_work_new(const struct ym_model *m, size_t max_rows);
uint64_t ym_model_work_bytes(const struct ym_model *m, size_t max_rows); /* that it takes, at most */
void ym_model_work_free(struct ym_model_work *w);

/* Gradient of one patient's loss over its n rows; 0 for frozen parameters. x [n][width0], y [n][targets];
 * g [dim] out, overwritten. n >= 1. Products through CBLAS. */
void ym_model_patient_gradient(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                               struct ym_model_work *w, float *g);

/* Scores [n][outputs]: linear predictor, probability, softmax, or Poisson's rate without offset. */
void ym_model_predict(const struct ym_model *m, const float *params, const float *x, size_t n, struct ym_model_work *w,
                      float *out);
/* Mean loss over rows, for the sponsor's own test file and the simulator. score: as ym_model_predict, of the same pass;
 * NULL: not wanted. */
double ym_model_loss(const struct ym_model *m, const float *params, const float *x, const float *y, size_t n,
                     struct ym_model_work *w, float *score);

/* Tensor i of ym_model_tensors, in the order of the parameters: name
 * ("layer0.weight"; of a network "conv1.weight", numbered by kind from 1), shape,
 * offset. Weights of a conv2d: [out][height][width][in]. */
struct ym_tensor_info {
    char name[32];
    size_t rows, cols, offset; /* cols 0: a vector; a conv2d's are its window's values */
    size_t shape[4], rank;
};
size_t ym_model_tensors(const struct ym_model *m);
struct ym_tensor_info ym_model_tensor(const struct ym_model *m, size_t i);
static inline bool ym_model_tensor_frozen(const struct ym_model *m, size_t i)
{
    return m->frozen >> i / 2 & 1;
}

/* Runs of coordinates [from, end) that must be 0 in every update: those of frozen
 * layers, and the metrics unless the round has them. Returns how many. */
#define YM_MODEL_MAX_ZEROS (2 * 64 + 1)
struct ym_run {
    size_t from, end;
};
size_t ym_model_zeros(const struct ym_model *m, bool metrics, struct ym_run run[YM_MODEL_MAX_ZEROS]);

#endif

#include "models/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/scaling.h"
#include "models/start.h"
#include "models/state_step.h"
#include "models/stop.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and memory share one byte order");

enum ym_code ym_state_no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for a state");
}

/* Reddi et al. 2021, Algorithm 2. */
static double second_moment(const struct ym_plan *p, double v, double square)
{
    switch (p->server) {
    case YM_SERVER_FEDADAGRAD:
        return v + square;
    case YM_SERVER_FEDYOGI:
        return v > square ? v - (1 - p->beta2) * square : v < square ? v + (1 - p->beta2) * square : v;
    default:
        return p->beta2 * v + (1 - p->beta2) * square;
    }
}

/* How far the server goes along a round's mean. FedAvgM: Hsu et al. 2019. */
static double server_move(const struct ym_plan *p, double mean, double *m, double *v)
{
    if (p->server == YM_SERVER_FEDAVG)
        return p->server_lr * mean;
    if (p->server == YM_SERVER_FEDAVGM) {
        *m = p->beta1 * *m + mean;
        return p->server_lr * *m;
    }
    *m = p->beta1 * *m + (1 - p->beta1) * mean;
    *v = second_moment(p, *v, mean * mean);
    return p->server_lr * *m / (sqrt(*v) + p->server_eps);
}

/* The control variate moves toward the survivors' mean gradient as far as they are all of the hospitals. */
static double control_move(const struct ym_state_step *s, double mean, double c)
{
    return s->present * (-mean / s->pace - c);
}

/* docs/formats.md, "State": every operation is one IEEE double operation in the
 * order written. */
bool ym_state_advance(const struct ym_state_step *s, struct ym_state_block *b, const int64_t *sum, size_t n)
{
    const struct ym_plan *p = s->plan;
    bool finite = true;

    if (s->scales)
        return true;

    for (size_t i = 0; i < n; i++) {
        double mean = (double)sum[i] / s->divisor;

        b->theta[i] = (float)((double)b->theta[i] + server_move(p, mean, &b->slot[0][i], &b->slot[1][i]));
        finite = finite && isfinite(b->theta[i]);
        if (p->scaffold)
            b->slot[s->control][i] += control_move(s, mean, b->slot[s->control][i]);
    }
    return finite;
}

double ym_state_log_clip_clamp(double log_clip)
{
    double high = YM_STATE_LOG_CLIP_MAX;

    return log_clip > high ? high : log_clip < -high ? -high : log_clip;
}

static double *stop_of(const struct ym_model *m, double *extra)
{
    return extra + m->state_extra - YM_STOP_NUMBERS;
}

static enum ym_code load_extra(const struct ym_plan *plan, const struct ym_model *m, const uint8_t *data,
                               double extra[YM_MODEL_MAX_EXTRA], struct ym_status *st)
{
    double read[YM_MODEL_MAX_EXTRA];

    memcpy(read, data, m->state_extra * sizeof *read);
    if (plan->clip_bit_units > 0 && !(fabs(read[0]) <= YM_STATE_LOG_CLIP_MAX))
        return ym_status_set(st, YM_CORRUPT, "state file: log_clip is out of range");
    if (!ym_scaling_valid(plan, read))
        return ym_status_set(st, YM_CORRUPT, "state file: scaling is out of range");
    if (plan->stop_figure != YM_STOP_NEVER && !ym_stop_valid(plan, stop_of(m, read)))
        return ym_status_set(st, YM_CORRUPT, "state file: stop is out of range");
    memcpy(extra, read, m->state_extra * sizeof *read);
    return YM_OK;
}

enum ym_code ym_state_advance_extra(const struct ym_state_step *s, const struct ym_model *m, const int64_t *sum,
                                    uint8_t *data, struct ym_status *st)
{
    double extra[YM_MODEL_MAX_EXTRA];
    enum ym_code code = load_extra(s->plan, m, data, extra, st);

    if (code != YM_OK)
        return code;
    if (s->scales)
        ym_scaling_estimate(s->plan, sum + (m->averaged - m->dim), extra);
    else if (s->plan->clip_bit_units > 0)
        extra[0] = ym_state_log_clip_clamp(extra[0] + (double)sum[0] / s->divisor);
    if (s->counts && s->plan->stop_figure != YM_STOP_NEVER)
        ym_stop_take(s->plan, sum + (ym_model_metric_at(m) - m->dim), stop_of(m, extra));
    memcpy(data, extra, m->state_extra * sizeof *extra);
    return YM_OK;
}

/* ---- round 0 ---- */

static enum ym_code append_zeros(struct ym_buf *b, size_t len, uint8_t **at)
{
    enum ym_code code = ym_buf_reserve(b, len + 1);

    if (code != YM_OK)
        return code;
    *at = b->data + b->len;
    memset(*at, 0, len + 1);
    b->len += len;
    return YM_OK;
}

/* v starts at tau^2: Reddi et al. 2021, Algorithm 2. What else is kept starts at 0. */
static void initial_slots(const struct ym_plan *plan, size_t dim, uint8_t *data)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(plan, name);
    double v = plan->server_eps * plan->server_eps;

    for (size_t k = 0; k < slots; k++)
        for (size_t i = 0; i < dim && strcmp(name[k], "server.v") == 0; i++)
            memcpy(data + (4 + 8 * k) * dim + 8 * i, &v, sizeof v);
}

static void initial_extra(const struct ym_plan *plan, const struct ym_model *m, uint8_t *data)
{
    double extra[YM_MODEL_MAX_EXTRA] = {0};

    ym_scaling_initial(plan, extra);
    if (plan->stop_figure != YM_STOP_NEVER)
        ym_stop_initial(stop_of(m, extra));
    memcpy(data, extra, m->state_extra * sizeof *extra);
}

static enum ym_code initial_params(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes start,
                                   uint8_t *data, struct ym_status *st)
{
    float *params = malloc(m->dim * sizeof *params);
    enum ym_code code = YM_OK;

    if (!params)
        return ym_state_no_memory(st);
    ym_model_init_params(m, plan->init_seed, params);
    if (plan->starts)
        code = ym_start_params(plan, m, start, params, st);
    memcpy(data, params, m->dim * sizeof *params);
    free(params);
    return code;
}

static enum ym_code check_start(const struct ym_plan *plan, struct ym_bytes start, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];

    if (!plan->starts)
        return start.len == 0 ? YM_OK : ym_status_set(st, YM_INVALID, "the plan starts from no file: remove it");
    if (start.len == 0 || start.len > YM_START_MAX_BYTES)
        return ym_status_set(st, YM_INVALID, "the plan starts from a file: give it, of at most %zu bytes",
                             YM_START_MAX_BYTES);
    ym_sha256(start.data, start.len, hash);
    if (memcmp(hash, plan->start_hash, sizeof hash) != 0)
        return ym_status_set(st, YM_INVALID, "the file to start from is not the one that the plan names");
    return YM_OK;
}

enum ym_code ym_state_initial(const struct ym_plan *plan, struct ym_buf *state, struct ym_status *st)
{
    return ym_state_initial_from(plan, (struct ym_bytes){0}, state, st);
}

enum ym_code ym_state_initial_from(const struct ym_plan *plan, struct ym_bytes start, struct ym_buf *state,
                                   struct ym_status *st)
{
    struct ym_state_meta meta = {0};
    struct ym_buf out = {0};
    struct ym_model m;
    uint8_t *data;
    enum ym_code code = check_start(plan, start, st);

    if (code == YM_OK)
        code = ym_model_from_plan(plan, &m, st);
    if (code != YM_OK)
        return code;
    code = ym_state_header_encode(plan, &m, &meta, &out, st);
    if (code != YM_OK)
        goto out;
    code = append_zeros(&out, ym_state_data_bytes(plan, &m), &data);
    if (code != YM_OK) {
        ym_state_no_memory(st);
        goto out;
    }
    code = initial_params(plan, &m, start, data, st);
    if (code != YM_OK)
        goto out;
    initial_slots(plan, m.dim, data);
    initial_extra(plan, &m, data + ym_state_extra_at(plan, &m));
    code = ym_buf_append(state, out.data, out.len);
out:
    ym_buf_release(&out);
    return code;
}

/* ---- the next round ---- */

static void hash_hex(const uint8_t hash[YM_HASH_BYTES], char out[65])
{
    for (int i = 0; i < YM_HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* No way out for counts in rounds that are not charged for them, nor for anything where nothing is trained. */
static bool zeros_fit(const struct ym_plan *plan, const struct ym_model *m, const struct ym_round_sum *sum)
{
    struct ym_run run[YM_MODEL_MAX_ZEROS];
    size_t count = ym_model_zeros(m, ym_plan_metric_due(plan, sum->round), run);
    bool fit = true;

    for (size_t k = 0; k < count; k++)
        for (size_t i = run[k].from; i < run[k].end; i++)
            fit &= sum->sum[i] == 0;
    return fit;
}

static double all_weights(const struct ym_plan *plan)
{
    uint64_t all = 0;

    for (size_t i = 0; i < plan->site_count; i++)
        all += plan->site[i].weight;
    return (double)all;
}

enum ym_code ym_state_next_header(const struct ym_plan *plan, const struct ym_model *m, uint32_t round,
                                  const uint8_t previous[YM_HASH_BYTES], const struct ym_round_sum *sum,
                                  struct ym_state_step *step, struct ym_buf *header, struct ym_status *st)
{
    struct ym_state_meta meta = {.round = sum->round};
    const char *name[YM_STATE_SLOTS];
    uint8_t sum_hash[YM_HASH_BYTES];
    size_t numbers = ym_model_update_dim(m) + sum->survivor_count * ym_plan_site_dim(plan, sum->round);
    enum ym_code code;

    if (sum->round != round + 1 || sum->round > plan->rounds)
        return ym_status_set(st, YM_INVALID, "sum of round %" PRIu32 " does not follow state %" PRIu32, sum->round,
                             round);
    if (!zeros_fit(plan, m, sum))
        return ym_status_set(st, YM_INVALID, "sum of round %" PRIu32 " holds numbers where the plan has none",
                             sum->round);
    ym_sha256(sum->sum, numbers * sizeof *sum->sum, sum_hash);
    hash_hex(sum_hash, meta.sum);
    hash_hex(previous, meta.previous);
    code = ym_state_meta_survivors(plan, sum->survivor, sum->survivor_count, &meta, st);
    if (code == YM_OK)
        code = ym_state_header_encode(plan, m, &meta, header, st);
    step->plan = plan;
    step->scales = ym_plan_scales(plan, sum->round);
    step->counts = ym_plan_metric_due(plan, sum->round);
    step->divisor = ldexp((double)meta.total_weight, (int)plan->update_scale_bits);
    step->control = ym_state_slots(plan, name) - 1;
    step->present = (double)meta.total_weight / all_weights(plan);
    step->pace = plan->steps_per_round * plan->learning_rate;
    ym_state_meta_release(&meta);
    return code;
}

enum ym_code ym_state_not_finite(struct ym_status *st)
{
    return ym_status_set(st, YM_INVALID, "a parameter leaves the range of float32: the learning rate is too large");
}

static void load_block(const struct ym_state_step *s, const uint8_t *data, size_t dim, size_t at, size_t n,
                       struct ym_state_block *b)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(s->plan, name);

    memcpy(b->theta, data + 4 * at, 4 * n);
    for (size_t k = 0; k < slots; k++)
        memcpy(b->slot[k], data + (4 + 8 * k) * dim + 8 * at, 8 * n);
}

static void store_block(const struct ym_state_step *s, const struct ym_state_block *b, size_t dim, size_t at, size_t n,
                        uint8_t *data)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(s->plan, name);

    memcpy(data + 4 * at, b->theta, 4 * n);
    for (size_t k = 0; k < slots; k++)
        memcpy(data + (4 + 8 * k) * dim + 8 * at, b->slot[k], 8 * n);
}

size_t ym_state_block_size(size_t dim, size_t at)
{
    return dim - at < YM_STATE_BLOCK ? dim - at : YM_STATE_BLOCK;
}

enum ym_code ym_state_next(const struct ym_plan *plan, struct ym_bytes state, const struct ym_round_sum *sum,
                           struct ym_buf *next, struct ym_status *st)
{
    struct ym_buf out = {0};
    struct ym_state_block *b = NULL;
    struct ym_model m;
    struct ym_state_step step;
    uint8_t hash[YM_HASH_BYTES], *data;
    uint32_t round;
    size_t data_at, extra_at;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_state_header_decode(plan, &m, state, state.len, &round, &data_at, st);
    if (code != YM_OK)
        return code;
    ym_sha256(state.data, state.len, hash);
    code = ym_state_next_header(plan, &m, round, hash, sum, &step, &out, st);
    if (code != YM_OK)
        goto out;
    b = malloc(sizeof *b);
    code = b ? append_zeros(&out, state.len - data_at, &data) : YM_EXHAUSTED;
    if (code != YM_OK) {
        ym_state_no_memory(st);
        goto out;
    }
    for (size_t at = 0, n; at < m.dim; at += n) {
        n = ym_state_block_size(m.dim, at);
        load_block(&step, state.data + data_at, m.dim, at, n, b);
        if (!ym_state_advance(&step, b, sum->sum + at, n)) {
            code = ym_state_not_finite(st);
            goto out;
        }
        store_block(&step, b, m.dim, at, n, data);
    }
    extra_at = ym_state_extra_at(plan, &m);
    memcpy(data + extra_at, state.data + data_at + extra_at, 8 * m.state_extra);
    code = ym_state_advance_extra(&step, &m, sum->sum + m.dim, data + extra_at, st);
    if (code == YM_OK)
        code = ym_buf_append(next, out.data, out.len);
out:
    free(b);
    ym_buf_release(&out);
    return code;
}

enum ym_code ym_state_params(const struct ym_plan *plan, struct ym_bytes state, uint32_t *round, const uint8_t **params,
                             struct ym_status *st)
{
    struct ym_model m;
    uint32_t r;
    size_t data_at;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_state_header_decode(plan, &m, state, state.len, &r, &data_at, st);
    if (code != YM_OK)
        return code;
    *round = r;
    *params = state.data + data_at;
    return YM_OK;
}

enum ym_code ym_state_control(const struct ym_plan *plan, struct ym_bytes state, double *c, struct ym_status *st)
{
    struct ym_model m;
    const char *name[YM_STATE_SLOTS];
    const uint8_t *data;
    uint32_t round;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    YM_ASSERT(plan->scaffold);
    if (code == YM_OK)
        code = ym_state_params(plan, state, &round, &data, st);
    if (code == YM_OK)
        memcpy(c, data + (8 * ym_state_slots(plan, name) - 4) * m.dim, 8 * m.dim);
    return code;
}

enum ym_code ym_state_extra(const struct ym_plan *plan, struct ym_bytes state, double *extra, struct ym_status *st)
{
    struct ym_model m;
    const uint8_t *data;
    uint32_t round;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_state_params(plan, state, &round, &data, st);
    return code == YM_OK ? load_extra(plan, &m, data + ym_state_extra_at(plan, &m), extra, st) : code;
}

bool ym_state_stops(const struct ym_plan *plan, const struct ym_model *m, double *extra)
{
    return plan->stop_figure != YM_STOP_NEVER && ym_stop_reached(plan, stop_of(m, extra));
}

enum ym_code ym_state_released(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes state,
                               uint32_t *round, float **params, struct ym_status *st)
{
    const uint8_t *block;
    float *copy;
    double extra[YM_MODEL_MAX_EXTRA];
    enum ym_code code = ym_state_params(plan, state, round, &block, st);

    if (code == YM_OK)
        code = ym_state_extra(plan, state, extra, st);
    if (code != YM_OK)
        return code;
    copy = malloc((m->dim + 1) * sizeof *copy);
    if (copy == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", m->dim);
    memcpy(copy, block, m->dim * sizeof *copy);
    ym_scaling_fold(plan, m, extra, copy);
    *params = copy;
    return YM_OK;
}

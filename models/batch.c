#include "models/batch.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/lanes.h"
#include "base/pool.h"
#include "models/model_internal.h"
#include "models/shape.h"
#include "tensor/lanes.h"
#include "tensor/rows.h"

#define GRAM_SLACK 0x1p-32 /* of the squared sum of the rows' norms: what Gram matrices in double may miss */
#define FLOATS_MOST ((size_t)1 << 23)

struct layer {
    size_t in, out, in_step, out_step; /* steps: to whole tiles, (a, 1) and e */
    float *forth, *back;               /* packed weights: with the bias; of layers above the first, the other way */
    float *a, *e;    /* [rows][in_step] inputs and their 1, [rows][out_step] scores, then deltas; behind them 0 */
    double *a2, *e2; /* [rows] squared norms of a and e */
};

struct ym_batch {
    struct ym_model m;
    size_t max_rows, rows, patients;
    size_t *first; /* [max_rows + 1] patient i's rows are first[i] .. first[i + 1] - 1 */
    float *y;      /* [max_rows][targets] */
    float *share;  /* [max_rows] of the row's loss in its patient's */
    double *scale; /* [max_rows] */
    double *squares;
    struct layer layer[YM_MODEL_MAX_LAYERS];
    float *tall; /* scaled deltas of one layer, packed */
    float *block;
    size_t floats;
    struct ym_pool *pool;
};

/* What threads share: a layer's rows, or its outputs, in whole tiles. */
struct job {
    struct ym_batch *b;
    size_t layer, width; /* width: threads */
    const float *params;
    int64_t *sum;
};

struct share {
    size_t first, count;
};

/* ---- memory ---- */

static size_t steps_of(const struct ym_model *m, size_t l, struct layer *y)
{
    size_t in = m->width[l], out = m->width[l + 1];

    *y = (struct layer){.in = in, .out = out};
    y->in_step = ym_rows_up(in + 1, YM_ROWS_WIDE);
    y->out_step = ym_rows_up(out, YM_ROWS_WIDE);
    return y->in_step + y->out_step;
}

static size_t row_floats(const struct ym_model *m)
{
    size_t n = 0, tall = 0;
    struct layer y;

    for (size_t l = 0; l < m->layer_count; l++) {
        n += steps_of(m, l, &y);
        tall = y.out + YM_ROWS_TALL > tall ? y.out + YM_ROWS_TALL : tall;
    }
    return n + tall;
}

size_t ym_batch_rows_for(const struct ym_model *m)
{
    size_t rows = FLOATS_MOST / row_floats(m);

    return rows < 1 ? 1 : rows > YM_BATCH_MOST_ROWS ? YM_BATCH_MOST_ROWS : rows;
}

static float *take(float **next, size_t count)
{
    float *p = *next;

    if (p)
        *next += count;
    return p;
}

/* Where everything is in the block, or, without one, how long it must be. */
static size_t lay_out(struct ym_batch *b, float *block)
{
    size_t rows = ym_rows_up(b->max_rows, YM_ROWS_TALL), tall = 0, total = 0;
    float *next = block;

    for (size_t l = 0; l < b->m.layer_count; l++) {
        struct layer *y = &b->layer[l];
        size_t width = steps_of(&b->m, l, y), forth = ym_rows_packed(y->in + 1, y->out);
        size_t back = l > 0 ? ym_rows_packed(y->out, y->in) : 0;

        y->forth = take(&next, forth);
        y->back = take(&next, back);
        y->a = take(&next, rows * y->in_step);
        y->e = take(&next, rows * y->out_step);
        total += forth + back + rows * width;
        tall = ym_rows_up(y->out, YM_ROWS_TALL) > tall ? ym_rows_up(y->out, YM_ROWS_TALL) : tall;
    }
    b->tall = take(&next, b->max_rows * tall);
    return total + b->max_rows * tall + YM_ROWS_SPARE;
}

struct ym_batch *ym_batch_new(const struct ym_model *m, size_t max_rows)
{
    struct ym_batch *b = calloc(1, sizeof *b);

    YM_ASSERT(max_rows >= 1 && max_rows <= YM_BATCH_MOST_ROWS);
    if (!b)
        return NULL;
    b->m = *m;
    b->max_rows = max_rows;
    b->floats = ym_rows_up(lay_out(b, NULL), 16);
    b->block = aligned_alloc(64, b->floats * sizeof *b->block);
    b->first = calloc(max_rows + 1, sizeof *b->first);
    b->y = calloc(max_rows, ym_model_targets(m) * sizeof *b->y);
    b->share = calloc(max_rows, sizeof *b->share);
    b->scale = calloc(max_rows, sizeof *b->scale);
    b->squares = calloc(2 * m->layer_count * max_rows, sizeof *b->squares);
    if (!b->block || !b->first || !b->y || !b->share || !b->scale || !b->squares) {
        ym_batch_free(b);
        return NULL;
    }
    memset(b->block, 0, b->floats * sizeof *b->block);
    lay_out(b, b->block);
    for (size_t l = 0; l < m->layer_count; l++) {
        b->layer[l].a2 = b->squares + 2 * l * max_rows;
        b->layer[l].e2 = b->layer[l].a2 + max_rows;
    }
    return b;
}

uint64_t ym_batch_bytes(const struct ym_model *m, size_t max_rows)
{
    struct ym_batch b = {.m = *m, .max_rows = max_rows};
    uint64_t row = sizeof *b.first + ym_model_targets(m) * sizeof *b.y + sizeof *b.share + sizeof *b.scale +
                   2 * m->layer_count * sizeof *b.squares;

    return sizeof b + lay_out(&b, NULL) * sizeof *b.block + (max_rows + 1) * row;
}

void ym_batch_free(struct ym_batch *b)
{
    if (!b)
        return;
    if (b->block)
        ym_wipe(b->block, b->floats * sizeof *b->block);
    if (b->y)
        ym_wipe(b->y, b->max_rows * ym_model_targets(&b->m) * sizeof *b->y);
    if (b->scale)
        ym_wipe(b->scale, b->max_rows * sizeof *b->scale);
    if (b->squares)
        ym_wipe(b->squares, 2 * b->m.layer_count * b->max_rows * sizeof *b->squares);
    free(b->block);
    free(b->first);
    free(b->y);
    free(b->share);
    free(b->scale);
    free(b->squares);
    free(b);
}

/* ---- forward and backward ---- */

static void run(struct ym_batch *b, void (*fn)(void *job, size_t i), struct job job)
{
    job.b = b;
    job.width = b->pool ? ym_pool_width(b->pool) : 1;
    if (b->pool)
        ym_pool_run(b->pool, fn, &job);
    else
        fn(&job, 0);
}

/* Of n, in whole multiples of `unit`. */
static struct share share_of(const struct job *j, size_t i, size_t n, size_t unit)
{
    size_t units = (n + unit - 1) / unit, first = units * i / j->width * unit;
    size_t end = units * (i + 1) / j->width * unit;

    return (struct share){first, first < n ? (end < n ? end : n) - first : 0};
}

YM_LANES static bool all_finite(const float *v, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++)
        bad |= (uint32_t) !(fabsf(v[i]) <= FLT_MAX);
    return bad == 0;
}

static void pack_share(void *ctx, size_t i)
{
    const struct job *j = ctx;
    const struct layer *y = &j->b->layer[j->layer];
    const float *w = j->params + ym_model_layer_offset(&j->b->m, j->layer);
    const float *bias = j->params + ym_model_bias_offset(&j->b->m, j->layer);
    struct share out = share_of(j, i, y->out, YM_ROWS_WIDE), in = share_of(j, i, y->in, YM_ROWS_WIDE);

    ym_rows_pack(w, 1, y->in, y->in, y->out, bias, out.first, out.count, y->forth);
    if (j->layer > 0)
        ym_rows_pack(w, y->in, 1, y->out, y->in, NULL, in.first, in.count, y->back);
}

bool ym_batch_weights(struct ym_batch *b, const float *params)
{
    for (size_t l = 0; l < b->m.layer_count; l++)
        run(b, pack_share, (struct job){.layer = l, .params = params});
    return all_finite(params, b->m.dim);
}

bool ym_batch_put(struct ym_batch *b, const float *x, const float *y, size_t n)
{
    struct layer *bottom = &b->layer[0];

    YM_ASSERT(n >= 1);
    if (n > b->max_rows - b->rows)
        return false;
    for (size_t i = 0; i < n; i++) {
        float *a = bottom->a + (b->rows + i) * bottom->in_step;

        memcpy(a, x + i * bottom->in, bottom->in * sizeof *a);
        a[bottom->in] = 1; /* the bias sees a constant input */
    }
    for (size_t i = 0; i < n; i++)
        b->share[b->rows + i] = b->m.summed ? 1 : 1 / (float)n;
    memcpy(b->y + b->rows * ym_model_targets(&b->m), y, n * ym_model_targets(&b->m) * sizeof *y);
    b->rows += n;
    b->first[++b->patients] = b->rows;
    return true;
}

void ym_batch_share(struct ym_batch *b, struct ym_pool *pool)
{
    b->pool = pool;
}

static void forward(void *ctx, size_t i)
{
    const struct job *j = ctx;
    const struct ym_batch *b = j->b;
    const struct layer *y = &b->layer[j->layer], *above = y + 1;
    struct share s = share_of(j, i, b->rows, YM_ROWS_TALL);
    const float *from = y->a + s.first * y->in_step;

    ym_rows_squares(from, y->in_step, s.count, y->in + 1, y->a2 + s.first);
    if (j->layer + 1 == b->m.layer_count) {
        ym_rows_mul(from, y->in_step, s.count, y->forth, y->in + 1, y->out, y->e + s.first * y->out_step, y->out_step);
        return;
    }
    ym_rows_mul(from, y->in_step, s.count, y->forth, y->in + 1, y->out, above->a + s.first * above->in_step,
                above->in_step);
    for (size_t r = s.first; r < s.first + s.count; r++) {
        float *a = above->a + r * above->in_step;

        (b->m.relu ? ym_lanes_relu : ym_lanes_tanh)(a, y->out);
        a[y->out] = 1;
    }
}

static void logistic_deltas(const struct ym_batch *b, struct share s)
{
    const struct layer *top = &b->layer[b->m.layer_count - 1];
    float z[YM_BATCH_MOST_ROWS];

    for (size_t i = 0; i < s.count; i++)
        z[i] = top->e[(s.first + i) * top->out_step];
    ym_lanes_logistic(z, s.count);
    for (size_t i = 0; i < s.count; i++)
        top->e[(s.first + i) * top->out_step] = (z[i] - b->y[s.first + i]) * b->share[s.first + i];
    ym_wipe(z, s.count * sizeof *z);
}

/* Of a patient's loss: the mean over its rows, or their sum. */
static void output_deltas(void *ctx, size_t i)
{
    const struct job *j = ctx;
    const struct ym_batch *b = j->b;
    const struct layer *top = &b->layer[j->layer];
    struct share s = share_of(j, i, b->rows, YM_ROWS_TALL);

    if (b->m.loss == YM_LOSS_LOGISTIC && top->out == 1)
        logistic_deltas(b, s);
    for (size_t r = s.first; r < s.first + s.count && (b->m.loss != YM_LOSS_LOGISTIC || top->out > 1); r++) {
        float *e = top->e + r * top->out_step;

        ym_model_output_delta(&b->m, e, b->y + r * ym_model_targets(&b->m), 1, e);
        for (size_t c = 0; c < top->out; c++)
            e[c] *= b->share[r];
    }
    ym_rows_squares(top->e + s.first * top->out_step, top->out_step, s.count, top->out, top->e2 + s.first);
}

static void backward(void *ctx, size_t i)
{
    const struct job *j = ctx;
    const struct layer *y = &j->b->layer[j->layer], *below = y - 1;
    struct share s = share_of(j, i, j->b->rows, YM_ROWS_TALL);

    ym_rows_mul(y->e + s.first * y->out_step, y->out_step, s.count, y->back, y->out, y->in,
                below->e + s.first * below->out_step, below->out_step);
    for (size_t r = s.first; r < s.first + s.count; r++)
        (j->b->m.relu ? ym_lanes_through_relu : ym_lanes_through_tanh)(y->a + r * y->in_step, y->in,
                                                                       below->e + r * below->out_step);
    ym_rows_squares(below->e + s.first * below->out_step, below->out_step, s.count, below->out, below->e2 + s.first);
}

void ym_batch_pass(struct ym_batch *b)
{
    for (size_t l = 0; l < b->m.layer_count; l++)
        run(b, forward, (struct job){.layer = l});
    run(b, output_deltas, (struct job){.layer = b->m.layer_count - 1});
    for (size_t l = b->m.layer_count; l-- > 1;)
        run(b, backward, (struct job){.layer = l});
}

size_t ym_batch_room(const struct ym_batch *b)
{
    return b->max_rows;
}

size_t ym_batch_rows(const struct ym_batch *b, size_t i)
{
    return b->first[i + 1] - b->first[i];
}

void ym_batch_clear(struct ym_batch *b)
{
    b->rows = b->patients = 0;
}

/* ---- norms ---- */

/* One layer's part of a patient: its squared norm, and the sum of the norms of its rows' outer products. */
struct layer_norm {
    double squared, rows;
};

/* Over pairs of rows, (a·a')(e·e'). */
static double gram_squared(const struct layer *y, size_t first, size_t count)
{
    double sum = 0;

    for (size_t r = first; r < first + count; r++) {
        const float *a = y->a + r * y->in_step, *e = y->e + r * y->out_step;

        sum += y->a2[r] * y->e2[r];
        for (size_t k = first; k < r; k++)
            sum +=
                2 * ym_rows_dot(a, y->a + k * y->in_step, y->in + 1) * ym_rows_dot(e, y->e + k * y->out_step, y->out);
    }
    return sum;
}

static struct layer_norm norm_of(const struct layer *y, size_t first, size_t count, double *inputs)
{
    struct layer_norm n = {0};

    for (size_t r = first; r < first + count; r++) {
        n.rows += sqrt(y->a2[r] * y->e2[r]);
        *inputs = y->a2[r] > *inputs ? y->a2[r] : *inputs;
    }
    n.squared = gram_squared(y, first, count) + GRAM_SLACK * n.rows * n.rows;
    return n;
}

/* Of one row all three sums are one. */
static double row_squared(const struct ym_batch *b, size_t row, double *inputs)
{
    double squared = 0;

    for (size_t l = 0; l < b->m.layer_count; l++) {
        double a2 = b->layer[l].a2[row];

        squared += a2 * b->layer[l].e2[row];
        *inputs = a2 > *inputs ? a2 : *inputs;
    }
    return squared;
}

void ym_batch_ghost(const struct ym_batch *b, size_t i, double *norm, double *reach, double *inputs)
{
    size_t first = b->first[i], count = ym_batch_rows(b, i);
    double squared = 0, reached = 0, longest = 0;

    YM_ASSERT(i < b->patients && count <= YM_BATCH_PATIENT_ROWS);
    if (count == 1)
        squared = reached = row_squared(b, first, &longest);
    for (size_t l = 0; l < b->m.layer_count && count > 1; l++) {
        struct layer_norm n = norm_of(&b->layer[l], first, count, &longest);

        squared += n.squared;
        reached += n.rows * n.rows;
    }
    *norm = sqrt(squared);
    *reach = count > 1 ? sqrt(reached) : *norm;
    *inputs = sqrt(longest);
}

/* ---- clip and sum ---- */

void ym_batch_scale(struct ym_batch *b, size_t i, double scale)
{
    size_t count = ym_batch_rows(b, i);

    YM_ASSERT(i < b->patients && scale >= 0);
    for (size_t r = b->first[i]; r < b->first[i + 1]; r++)
        b->scale[r] = scale;
    for (size_t l = 0; l < b->m.layer_count && scale == 0; l++) /* 0 times infinity is not 0 */
        memset(b->layer[l].a + b->first[i] * b->layer[l].in_step, 0, count * b->layer[l].in_step * sizeof(float));
}

static void add_share(void *ctx, size_t i)
{
    const struct job *j = ctx;
    const struct ym_batch *b = j->b;
    const struct layer *y = &b->layer[j->layer];
    struct share s = share_of(j, i, y->out, YM_ROWS_TALL);

    if (s.count == 0)
        return;
    ym_rows_pack_tall(y->e + s.first, y->out_step, b->scale, b->rows, s.count, b->tall + s.first * b->rows);
    ym_rows_outer(b->tall, s.first, s.count, y->a, y->in_step, b->rows, y->in,
                  j->sum + ym_model_layer_offset(&b->m, j->layer), y->in,
                  j->sum + ym_model_bias_offset(&b->m, j->layer));
}

void ym_batch_add(struct ym_batch *b, int64_t *sum)
{
    for (size_t l = 0; l < b->m.layer_count && b->rows > 0; l++)
        run(b, add_share, (struct job){.layer = l, .sum = sum});
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lanes.h"
#include "models/augment.h"
#include "models/batch.h"
#include "models/state.h"
#include "privacy/clip.h"
#include "privacy/noise.h"
#include "worker/trainer/local_internal.h"

#define APPLY_BLOCK 1024
#define RELEASE_BLOCK 32768 /* sum, parameters and their floats of so many stay near the processor */

static bool add_views(struct ym_local_work *w, const struct ym_plan *plan, const struct ym_table *data)
{
    w->view_y_len = plan->augment.views * ym_table_most_rows(data);
    w->view_len = w->view_y_len * data->columns;
    if (w->view_len == 0)
        return true;
    w->view = calloc(w->view_len, sizeof *w->view);
    w->view_y = calloc(w->view_y_len, sizeof *w->view_y);
    return w->view && w->view_y;
}

struct ym_local_work *ym_local_work_base(const struct ym_plan *plan, const struct ym_model *m,
                                         const struct ym_table *data, bool own)
{
    struct ym_local_work *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->dim = m->dim;
    w->model = ym_model_work_new(m, ym_table_most_rows(data));
    w->gradient = calloc(m->dim, sizeof *w->gradient);
    w->rows_len = ym_table_scratch(data, ym_table_most_rows(data)) + 1;
    w->rows = calloc(w->rows_len, sizeof *w->rows);
    w->clipped = calloc(m->dim + 1, sizeof *w->clipped);
    w->held = calloc(m->dim + 1, sizeof *w->held);
    w->own = own ? calloc(m->dim + 1, sizeof *w->own) : NULL;
    if (add_views(w, plan, data) && w->model && w->gradient && w->rows && w->clipped && w->held && (w->own || !own))
        return w;
    ym_local_work_free(w);
    return NULL;
}

struct ym_local_work *ym_local_work_new(const struct ym_plan *plan, const struct ym_model *m,
                                        const struct ym_table *data)
{
    struct ym_local_work *w = ym_local_work_base(plan, m, data, false);
    bool bounded = plan->route == YM_ROUTE_BOUNDED, labels = bounded || plan->augment.views > 0;

    if (!w)
        return NULL;
    w->patients = data->patients;
    w->chosen = calloc(data->patients + 1, sizeof *w->chosen);
    if (labels)
        w->label = calloc(data->patients + 1, sizeof *w->label);
    if (bounded) {
        w->batch = ym_batch_new(m, ym_batch_rows_for(m));
        w->member = calloc(2 * data->patients + 1, sizeof *w->member);
    }
    if (w->chosen && (w->label || !labels) && (!bounded || (w->batch && w->member)) &&
        ym_local_share(w, plan, m, data)) {
        if (bounded)
            ym_batch_share(w->batch, w->pool);
        return w;
    }
    ym_local_work_free(w);
    return NULL;
}

static void wipe_free(void *p, size_t len)
{
    if (p)
        ym_wipe(p, len);
    free(p);
}

void ym_local_work_free(struct ym_local_work *w)
{
    size_t formed = w && w->formed ? w->dim : 0; /* wiping pages that nobody touched would make them */

    if (!w)
        return;
    ym_model_work_free(w->model);
    wipe_free(w->gradient, formed * sizeof *w->gradient);
    wipe_free(w->rows, w->rows_len * sizeof *w->rows);
    wipe_free(w->view, w->view_len * sizeof *w->view);
    wipe_free(w->view_y, w->view_y_len * sizeof *w->view_y);
    wipe_free(w->clipped, (formed + 1) * sizeof *w->clipped);
    wipe_free(w->chosen, w->patients * sizeof *w->chosen);
    ym_batch_free(w->batch);
    wipe_free(w->label, w->patients * sizeof *w->label);
    wipe_free(w->member, 2 * w->patients * sizeof *w->member);
    wipe_free(w->held, (formed + 1) * sizeof *w->held);
    wipe_free(w->own, (w->dim + 1) * sizeof *w->own);
    ym_pool_free(w->pool);
    for (size_t i = 0; i < YM_POOL_MOST - 1; i++)
        ym_local_work_free(w->other[i]);
    free(w);
}

size_t ym_local_step_dim(const struct ym_plan *plan, const struct ym_model *m)
{
    return m->dim + (plan->clip_bit_units > 0);
}

double ym_local_clip_norm(const struct ym_plan *plan, const double *extra)
{
    return plan->clip_bit_units > 0 ? plan->clip_norm * exp(extra[0]) : plan->clip_norm;
}

void ym_local_add_patient(const struct ym_local_step *s, size_t patient, uint64_t draw)
{
    const struct ym_table *d = s->data;
    struct ym_local_work *w = s->w;
    uint64_t first = d->first_row[patient], rows = d->first_row[patient + 1] - first;
    const float *x = ym_table_rows(d, first, rows, w->rows), *y = d->y + first * ym_model_targets(s->m);

    w->formed = true;
    if (w->view) {
        ym_augment_views(s->plan, x, y, rows, draw, w->view, w->view_y);
        x = w->view;
        y = w->view_y;
        rows *= s->plan->augment.views;
    }
    ym_model_patient_gradient(s->m, s->params, x, y, rows, w->model, w->gradient);
    if (s->bit_units > 0)
        ym_clip_patient_bit(w->gradient, w->dim, s->clip_norm, s->bit_units, w->clipped);
    else
        ym_clip_patient(w->gradient, w->dim, s->clip_norm, w->clipped);
    ym_clip_hold(w->held, w->clipped, w->dim + (s->bit_units > 0));
    if (++w->held_count == YM_CLIP_HELD)
        ym_local_settle(s);
}

void ym_local_settle(const struct ym_local_step *s)
{
    struct ym_local_work *w = s->w;
    size_t dim = w->dim + (s->bit_units > 0);

    if (w->held_count == 0)
        return;
    ym_clip_add(s->sum, w->held, dim);
    memset(w->held, 0, dim * sizeof *w->held);
    w->held_count = 0;
}

static double nominal_batch(const struct ym_plan *plan)
{
    return (double)plan->sampling_k * 0x1p-64 * plan->nominal_patients;
}

static void move_clip(const struct ym_plan *plan, int64_t bits, double *log_clip)
{
    double fraction = 0.5 + (double)bits / (2.0 * plan->clip_bit_units * nominal_batch(plan));

    *log_clip = ym_state_log_clip_clamp(*log_clip - plan->clip_lr * (fraction - plan->clip_quantile));
}

/* (double)v by halves, rounded once, for most vectors have no such conversion: 2^52 + the lower,
 * and 2^84 + 2^63 + the upper, whose sign bit is turned. */
static inline double to_double(int64_t v)
{
    uint64_t low = ((uint64_t)v & UINT32_MAX) | UINT64_C(0x4330000000000000);
    uint64_t high = (uint64_t)v >> 32 ^ UINT64_C(0x4530000080000000);
    double l, h;

    memcpy(&l, &low, sizeof l);
    memcpy(&h, &high, sizeof h);
    return (h - (0x1p84 + 0x1p63 + 0x1p52)) + l;
}

YM_LANES static void to_gradient(const int64_t *restrict sum, size_t n, double scale, double *restrict gradient)
{
    for (size_t i = 0; i < n; i++)
        gradient[i] = to_double(sum[i]) * scale;
}

YM_LANES static void to_float(const double *theta, size_t dim, float *params)
{
    for (size_t i = 0; i < dim; i++)
        params[i] = (float)theta[i];
}

/* One step of theta, block by block. */
struct move {
    const struct ym_model *m;
    struct ym_optimizer *o;
    double scale; /* gradient units of the sum's, over the nominal batch */
    double *theta;
    float *params; /* theta's float32 image; NULL: not asked for */
    int64_t bits;  /* the quantile's, behind the last parameter */
};

static struct move begin_move(const struct ym_plan *plan, const struct ym_model *m, struct ym_optimizer *o,
                              const double *extra, double *theta, float *params)
{
    double scale = ym_local_clip_norm(plan, extra) / ym_clip_radius(plan->clip_bit_units) / nominal_batch(plan);

    ym_optimizer_step(o);
    return (struct move){m, o, scale, theta, params, 0};
}

static void move_block(void *ctx, size_t first, size_t count, const int64_t *sum)
{
    struct move *v = ctx;
    size_t end = first + count < v->m->dim ? first + count : v->m->dim;
    double gradient[APPLY_BLOCK];

    if (first + count > v->m->dim)
        v->bits = sum[v->m->dim - first];
    for (size_t at = first, n; at < end; at += n) {
        n = end - at < APPLY_BLOCK ? end - at : APPLY_BLOCK;
        to_gradient(sum + (at - first), n, v->scale, gradient);
        ym_optimizer_move(v->o, at, n, gradient, v->theta);
        if (v->params)
            to_float(v->theta + at, n, v->params + at);
    }
}

static void end_move(const struct ym_plan *plan, const struct move *v, double *extra)
{
    if (plan->clip_bit_units > 0)
        move_clip(plan, v->bits, &extra[0]);
}

void ym_local_apply(const struct ym_plan *plan, const struct ym_model *m, struct ym_optimizer *o, const int64_t *sum,
                    double *theta, double *extra)
{
    struct move v = begin_move(plan, m, o, extra, theta, NULL);

    move_block(&v, 0, ym_local_step_dim(plan, m), sum);
    end_move(plan, &v, extra);
}

/* No patient's gradient reaches them: what stands there is noise alone. sum [n] begins at coordinate `first`. */
static void clear_frozen(const struct ym_model *m, size_t first, size_t n, int64_t *sum)
{
    struct ym_run run[YM_MODEL_MAX_ZEROS];
    size_t count = ym_model_zeros(m, true, run);

    for (size_t i = 0; i < count; i++) {
        size_t from = run[i].from > first ? run[i].from : first, end = run[i].end < first + n ? run[i].end : first + n;

        if (from < end)
            memset(sum + (from - first), 0, (end - from) * sizeof *sum);
    }
}

struct release {
    const struct ym_plan *plan;
    const struct ym_model *m;
    const struct ym_local_work *w;
    int64_t *sum;
    size_t dim, parts, width; /* width: threads */
    struct ym_rng *noise[YM_LOCAL_NOISE_PARTS];
};

static void release_block(const struct release *r, size_t first, size_t dim, struct ym_rng *noise)
{
    const struct ym_plan *plan = r->plan;
    const struct ym_model *m = r->m;
    int64_t *sum = r->sum + first;

    ym_noise_add(sum, dim, plan->sigma_units, noise);
    clear_frozen(m, first, dim, sum);
    if (r->w->take) {
        r->w->take(r->w->taker, first, dim, sum);
        memset(sum, 0, dim * sizeof *sum); /* for the next step, while it is near */
    }
}

static void release_parts(void *ctx, size_t thread)
{
    const struct release *r = ctx;
    size_t part = ym_local_noise_part(r->dim);

    for (size_t p = thread; p < r->parts; p += r->width) {
        size_t end = r->dim - p * part < part ? r->dim : (p + 1) * part;

        for (size_t at = p * part; at < end; at += RELEASE_BLOCK)
            release_block(r, at, end - at < RELEASE_BLOCK ? end - at : RELEASE_BLOCK, r->noise[p]);
    }
}

static void release_sum(struct release *r)
{
    struct ym_pool *pool = r->parts > 1 ? r->w->pool : NULL;

    r->width = pool ? ym_pool_width(pool) : 1;
    if (pool)
        ym_pool_run(pool, release_parts, r);
    else
        release_parts(r, 0);
}

static enum ym_code open_noise(struct release *r, ym_open_rng_fn open_rng, void *ctx, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    r->parts = (r->dim + ym_local_noise_part(r->dim) - 1) / ym_local_noise_part(r->dim);
    for (size_t p = 0; p < r->parts && code == YM_OK; p++)
        code = open_rng(ctx, &r->noise[p], st);
    return code;
}

/* All generators are open before a patient is touched: a failure of theirs says
 * nothing about anybody, and there is no way out between the sum and its noise. */
enum ym_code ym_local_noisy_sum(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                                const float *params, const double *extra, ym_open_rng_fn open_rng, void *ctx,
                                struct ym_local_work *w, int64_t *sum, struct ym_status *st)
{
    struct ym_rng *sampling = NULL;
    const uint64_t *label = NULL;
    size_t count, dim = ym_local_step_dim(plan, m);
    struct release release = {.plan = plan, .m = m, .w = w, .sum = sum, .dim = dim};
    struct ym_local_step step = {m, data, params, w, sum, ym_local_clip_norm(plan, extra), plan->clip_bit_units, plan};
    enum ym_code code = open_rng(ctx, &sampling, st);

    if (code == YM_OK)
        code = open_noise(&release, open_rng, ctx, st);
    if (code != YM_OK)
        goto out;
    if (!w->take)
        memset(sum, 0, dim * sizeof *sum);
    count = ym_sample_patients(data->patients, plan->sampling_k, sampling, w->chosen);
    if (w->label && !(plan->route == YM_ROUTE_BOUNDED && ym_local_one_leaf(&step, w->chosen, count))) {
        ym_rng_fill(sampling, w->label, count * sizeof *w->label);
        label = w->label;
    }
    if (plan->route == YM_ROUTE_BOUNDED)
        ym_local_add_batched(&step, w->chosen, label, count);
    else
        ym_local_add_all(&step, w->chosen, count);
    ym_local_settle(&step);
    release_sum(&release);
out:
    ym_rng_close(&sampling);
    for (size_t p = 0; p < YM_LOCAL_NOISE_PARTS; p++)
        ym_rng_close(&release.noise[p]);
    return code;
}

static int64_t on_lattice(const struct ym_plan *plan, double change)
{
    int64_t high = ((int64_t)1 << (plan->update_width_bits - 1)) - 1;
    double units = nearbyint(ldexp(change, (int)plan->update_scale_bits));

    if (isnan(units))
        return 0;
    if (units >= (double)high)
        return high;
    return units < -(double)high - 1 ? -high - 1 : (int64_t)units;
}

void ym_local_quantize(const struct ym_plan *plan, size_t dim, const double *theta, const float *start, int64_t *update)
{
    YM_ASSERT(plan->update_width_bits >= 2 && plan->update_width_bits <= 62);
    for (size_t i = 0; i < dim; i++)
        update[i] = on_lattice(plan, theta[i] - (start ? start[i] : 0));
}

void ym_local_difference(const struct ym_plan *plan, const struct ym_model *m, const struct ym_optimizer *o,
                         const double *theta, const float *start, int64_t *update)
{
    const double *own = ym_optimizer_own(o);

    ym_local_quantize(plan, m->dim, own ? own : theta, own ? NULL : start, update);
}

/* The iterate stays in double, so that small noisy steps are not lost to float;
 * gradients are formed at its float32 image. All of it is a function of released
 * sums, so neither choice touches privacy. */
enum ym_code ym_local_round(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data,
                            const float *params, const double *extra, const double *correction, uint32_t round,
                            ym_open_rng_fn open_rng, void *ctx, int64_t *update, struct ym_status *st)
{
    double now[YM_MODEL_MAX_EXTRA] = {0};
    struct ym_table rows = *data;
    struct ym_local_work *w = ym_local_work_new(plan, m, data);
    struct ym_optimizer *o = ym_optimizer_new(plan, m, params, round);
    double *theta = malloc(m->dim * sizeof *theta);
    float *at = malloc(m->dim * sizeof *at);
    int64_t *sum = calloc(m->dim + 1, sizeof *sum);
    struct move move;
    enum ym_code code = YM_OK;

    if (!w || !o || !theta || !at || !sum) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a round of local steps");
        goto out;
    }
    code = ym_local_standardised(plan, extra, data, &rows, st);
    if (code != YM_OK)
        goto out;
    if (correction)
        ym_optimizer_correct(o, correction);
    for (size_t i = 0; i < m->dim; i++)
        theta[i] = params[i];
    for (size_t i = 0; i < m->state_extra; i++)
        now[i] = extra[i];
    to_float(theta, m->dim, at);
    w->take = move_block;
    w->taker = &move;
    for (uint32_t step = 0; step < plan->steps_per_round; step++) {
        move = begin_move(plan, m, o, now, theta, at);
        code = ym_local_noisy_sum(plan, m, &rows, at, now, open_rng, ctx, w, sum, st);
        if (code != YM_OK)
            goto out;
        end_move(plan, &move, now);
    }
    ym_local_difference(plan, m, o, theta, params, update);
    memset(update + m->dim, 0, m->update_extra * sizeof *update);
    for (size_t i = 0; i < m->averaged - m->dim; i++)
        update[m->dim + i] = on_lattice(plan, now[i] - extra[i]);
out:
    ym_local_standardised_release(data, &rows);
    ym_local_work_free(w);
    ym_optimizer_free(o);
    wipe_free(theta, m->dim * sizeof *theta);
    wipe_free(at, m->dim * sizeof *at);
    wipe_free(sum, (m->dim + 1) * sizeof *sum);
    return code;
}

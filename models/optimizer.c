#include "models/optimizer.h"
#include "base/lanes.h"

#include <math.h>
#include <stdlib.h>

struct ym_optimizer {
    const struct ym_plan *plan;
    const struct ym_model *model;
    const float *start; /* [dim], borrowed */
    uint64_t before;    /* trained steps of the rounds before this one */
    uint32_t done;      /* steps begun in this round */
    double rate;        /* of this step */
    double unbias_m, unbias_v;
    double *m, *v;            /* [dim]; NULL where the optimiser keeps none */
    double *own;              /* [dim]; NULL without scaffold */
    const double *correction; /* [dim], borrowed; NULL: 0 */
    struct stretch *stretch;
    size_t stretches;
};

/* Coordinates of one tensor that is not frozen. */
struct stretch {
    size_t from, end;
    double l2;
};

double ym_optimizer_rate(const struct ym_plan *plan, uint64_t step)
{
    double last = plan->schedule_final, share = 1;
    uint64_t after = step < plan->warm_up_steps ? 0 : step - plan->warm_up_steps;
    double passed = (double)after / (double)(ym_plan_trained_steps(plan) - plan->warm_up_steps);

    if (step < plan->warm_up_steps)
        return plan->learning_rate * (double)(step + 1) / plan->warm_up_steps;
    switch (plan->schedule) {
    case YM_SCHEDULE_CONSTANT:
        break;
    case YM_SCHEDULE_LINEAR:
        share = last + (1 - last) * (1 - passed);
        break;
    case YM_SCHEDULE_COSINE:
        share = last + (1 - last) * (1 + cos(acos(-1) * passed)) / 2;
        break;
    case YM_SCHEDULE_STEP:
        share = pow(plan->schedule_factor, (double)(after / plan->schedule_every));
        break;
    }
    return plan->learning_rate * share;
}

static bool has_velocity(const struct ym_plan *plan)
{
    return plan->local_opt == YM_LOCAL_ADAM || plan->momentum > 0;
}

static void find_stretches(struct ym_optimizer *o)
{
    for (size_t t = 0; t < ym_model_tensors(o->model); t++) {
        struct ym_tensor_info info = ym_model_tensor(o->model, t);
        size_t end = info.offset + info.rows * (info.cols ? info.cols : 1);

        if (!ym_model_tensor_frozen(o->model, t))
            o->stretch[o->stretches++] = (struct stretch){info.offset, end, info.cols ? o->plan->l2 : 0};
    }
}

struct ym_optimizer *ym_optimizer_new(const struct ym_plan *plan, const struct ym_model *m, const float *start,
                                      uint32_t round)
{
    struct ym_optimizer *o = calloc(1, sizeof *o);
    bool adam = plan->local_opt == YM_LOCAL_ADAM;

    YM_ASSERT(round > 0 && !ym_plan_scales(plan, round));
    if (!o)
        return NULL;
    o->plan = plan;
    o->model = m;
    o->start = start;
    o->before = (uint64_t)(round - 1 - (ym_plan_scales(plan, 1) ? 1 : 0)) * plan->steps_per_round;
    o->m = has_velocity(plan) ? calloc(m->dim, sizeof *o->m) : NULL;
    o->v = adam ? calloc(m->dim, sizeof *o->v) : NULL;
    o->own = plan->scaffold ? calloc(m->dim, sizeof *o->own) : NULL;
    o->stretch = calloc(ym_model_tensors(m), sizeof *o->stretch);
    if (o->stretch && (!has_velocity(plan) || o->m) && (!adam || o->v) && (!plan->scaffold || o->own)) {
        find_stretches(o);
        return o;
    }
    ym_optimizer_free(o);
    return NULL;
}

void ym_optimizer_free(struct ym_optimizer *o)
{
    if (!o)
        return;
    free(o->m);
    free(o->v);
    free(o->own);
    free(o->stretch);
    free(o);
}

void ym_optimizer_correct(struct ym_optimizer *o, const double *correction)
{
    YM_ASSERT(o->plan->scaffold);
    o->correction = correction;
}

const double *ym_optimizer_own(const struct ym_optimizer *o)
{
    return o->own;
}

void ym_optimizer_step(struct ym_optimizer *o)
{
    o->rate = ym_optimizer_rate(o->plan, o->before + o->done);
    o->done++;
    o->unbias_m = 1 - pow(o->plan->local_beta1, o->done);
    o->unbias_v = 1 - pow(o->plan->local_beta2, o->done);
}

static double adam(struct ym_optimizer *o, size_t i, double g)
{
    const struct ym_plan *p = o->plan;

    o->m[i] = p->local_beta1 * o->m[i] + (1 - p->local_beta1) * g;
    o->v[i] = p->local_beta2 * o->v[i] + (1 - p->local_beta2) * g * g;
    return o->m[i] / o->unbias_m / (sqrt(o->v[i] / o->unbias_v) + p->local_tau);
}

static double accelerate(struct ym_optimizer *o, size_t i, double g)
{
    o->m[i] = o->plan->momentum * o->m[i] + g;
    return o->plan->local_opt == YM_LOCAL_NESTEROV ? g + o->plan->momentum * o->m[i] : o->m[i];
}

/* What the loop below comes to without memory and pull: most plans' steps, and most of a large model's. */
YM_LANES static void descend(const double *restrict gradient, size_t n, double l2, double rate, double *restrict theta)
{
    for (size_t i = 0; i < n; i++)
        theta[i] -= rate * (gradient[i] + l2 * theta[i]);
}

/* Karimireddy et al. 2020, Algorithm 1: the walk is corrected, its own steps are added up as they are. */
static void descend_corrected(struct ym_optimizer *o, const double *gradient, size_t from, size_t end, double l2,
                              double *theta)
{
    for (size_t i = from; i < end; i++) {
        double g = gradient[i - from] + l2 * theta[i], correction = o->correction ? o->correction[i] : 0;

        o->own[i] -= o->rate * g;
        theta[i] -= o->rate * (g + correction);
    }
}

/* gradient begins at coordinate `first`, as in ym_optimizer_move. */
static void move_run(struct ym_optimizer *o, size_t from, size_t end, double l2, const double *gradient, size_t first,
                     double *theta)
{
    const struct ym_plan *p = o->plan;

    if (o->own) {
        descend_corrected(o, gradient + (from - first), from, end, l2, theta);
        return;
    }
    if (p->prox <= 0 && p->local_opt != YM_LOCAL_ADAM && !o->m) {
        descend(gradient + (from - first), end - from, l2, o->rate, theta + from);
        return;
    }
    for (size_t i = from; i < end; i++) {
        double g = gradient[i - first] + l2 * theta[i];

        if (p->prox > 0)
            g += p->prox * (theta[i] - (double)o->start[i]);
        if (p->local_opt == YM_LOCAL_ADAM)
            g = adam(o, i, g);
        else if (o->m)
            g = accelerate(o, i, g);
        theta[i] -= o->rate * g;
    }
}

void ym_optimizer_move(struct ym_optimizer *o, size_t first, size_t count, const double *gradient, double *theta)
{
    for (size_t t = 0; t < o->stretches; t++) {
        const struct stretch *run = &o->stretch[t];
        size_t from = run->from > first ? run->from : first;
        size_t end = run->end < first + count ? run->end : first + count;

        if (from < end)
            move_run(o, from, end, run->l2, gradient, first, theta);
    }
}

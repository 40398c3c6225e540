#include <math.h>
#include <stdlib.h>

#include "privacy/accountant.h"
#include "privacy/loss_compose.h"
#include "privacy/loss_tilt.h"

/* Where to look, how fine and how far: guesses, around bounds that hold whatever the guess (loss_compose.h). */

#define NEGLIGIBLE 12.0 /* log: what is cut off or wraps around is below e^-12 of delta */
#define BIAS 2e-4       /* of epsilon, from the grid */
#define BIAS_FLOOR 2e-6
#define STEP_MIN 0x1p-24 /* finer, rounding would show */
#define BITS_MAX 19
#define WORK_MAX 1e9 /* of one question, all tries; nearly nanoseconds */
#define STEPS_TOTAL_MAX 1e11
#define LOG_DELTA_MIN (-138.0) /* 1e-60 */
#define TRIES 5

struct query {
    struct ym_loss *loss;
    size_t losses;
    struct ym_tilt tilt;
    struct ym_reach *reach;    /* [losses] */
    double steps, slope;       /* -d log delta / d epsilon where it was last seen, or 0 */
    double log_delta, epsilon; /* one is asked for, the other a guess */
    double delta;              /* asked for */
    bool wants_delta;
    double work; /* so far */
};

static double trimmed(double x) /* down to 20 bits, so that multiples are exact */
{
    int exponent;
    double m = frexp(x, &exponent);

    return ldexp(floor(ldexp(m, 20)), exponent - 20);
}

/* The line and the window. What wraps around from below comes with a factor e^(-s window); what wraps from above to a
 * loss above epsilon lies beyond epsilon + window, Chernoff's bound with a larger s; and so for what is not wrapped
 * but simply above the window (with s itself, as that one is certified). Where K has a corner a smaller s needs less.
 */
static double window_at(const struct query *q, bool adding, double s, double *top)
{
    static const double further[] = {1, 0.5, 0.25, 2};
    double floor = NEGLIGIBLE - q->log_delta, right = INFINITY;

    *top = (ym_tilt_cumulant(&q->tilt, adding, s).k + floor) / s;
    for (size_t i = 0; i < sizeof further / sizeof *further && right > floor / s; i++) {
        double more = s * further[i];

        right = fmin(right, (ym_tilt_cumulant(&q->tilt, adding, s + more).k - (s + more) * q->epsilon + floor) / more);
    }
    return fmax(fmax(floor / s, right), *top - q->epsilon) + 4 / s;
}

static double choose_window(const struct query *q, bool adding, double *s, double *top)
{
    double best = INFINITY, start = *s;

    for (double part = 1; part > 0.01; part *= 0.75) {
        double above, width = window_at(q, adding, start * part, &above);

        if (width < best) {
            best = width;
            *s = start * part;
            *top = above;
        }
        if (best < 1.5 * (NEGLIGIBLE - q->log_delta) / (start * part))
            break; /* copies from the left rule, and grow from here on */
    }
    return best;
}

static enum ym_code choose_frame(const struct query *q, bool adding, double s, struct ym_loss_frame *f,
                                 struct ym_status *st)
{
    double saddle = fmax(s, q->slope), top = 0, width = choose_window(q, adding, &s, &top), bias;

    bias = q->wants_delta ? BIAS / saddle : BIAS * q->epsilon + BIAS_FLOOR;
    f->s = s;
    f->step = trimmed(fmax(fmin(sqrt(12 * bias / (q->steps * (1 + saddle))), fmin(0.5 / saddle, 1)), STEP_MIN));
    for (f->bits = 6; ldexp(f->step, (int)f->bits) < width; f->bits++)
        if (f->bits == BITS_MAX)
            return ym_status_set(st, YM_EXHAUSTED, "the composed privacy loss needs more than 2^%d points", BITS_MAX);
    f->n = (size_t)1 << f->bits;
    if (!(top / f->step < 0x1p40))
        return ym_status_set(st, YM_EXHAUSTED, "the composed privacy loss is too large for a grid this fine");
    f->base = (int64_t)floor((q->epsilon + top) / 2 / f->step) - (int64_t)(f->n / 2);
    return YM_OK;
}

static double work_of(const struct query *q, const struct ym_loss_frame *f)
{
    double work = 0;

    for (size_t i = 0; i < q->losses; i++)
        work += 150 * ym_loss_grid_size(&q->loss[i], f->step, q->reach[i]) +
                (double)f->n * (2 * f->bits + 30 + 8 * log2(q->loss[i].steps));
    return work;
}

struct found {
    double answer[2]; /* removing, adding */
    double slope, step;
    bool adding, edge; /* the direction that decided; whether the window's end did */
};

/* Beyond it a law has so little mass that the given number of them has less than e^-NEGLIGIBLE of delta. */
static double reach_of(double times, double log_delta)
{
    return sqrt(fmax(log(times) - log_delta + NEGLIGIBLE - 2, 1));
}

static enum ym_code look(struct query *q, double log_delta, struct ym_status *st)
{
    q->log_delta = log_delta;
    for (size_t i = 0; i < q->losses; i++)
        q->reach[i] = (struct ym_reach){reach_of(q->steps, log_delta), reach_of(q->steps * q->loss[i].q, log_delta)};
    ym_tilt_release(&q->tilt);
    return ym_tilt_make(q->loss, q->losses, q->reach, &q->tilt, st);
}

static enum ym_code query_init(struct query *q, const struct ym_event *e, size_t count, double log_delta,
                               struct ym_status *st)
{
    enum ym_code code = ym_losses_collect(e, count, &q->loss, &q->losses, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; i < q->losses; i++)
        q->steps += q->loss[i].steps;
    if (!(q->steps < STEPS_TOTAL_MAX))
        return ym_status_set(st, YM_EXHAUSTED, "more than %g steps are not composed", STEPS_TOTAL_MAX);
    q->reach = calloc(q->losses + 1, sizeof *q->reach);
    if (!q->reach)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu charges", q->losses);
    return look(q, log_delta, st);
}

static void query_release(struct query *q)
{
    ym_tilt_release(&q->tilt);
    free(q->reach);
    free(q->loss);
}

/* One frame around the guess: bounds, whatever the guess. */
static enum ym_code attempt(struct query *q, bool adding, double s, struct found *out, struct ym_status *st)
{
    struct ym_composed c = {.bin = NULL};
    enum ym_code code = choose_frame(q, adding, s, &c.f, st);
    double answer[2];

    if (code == YM_OK) {
        q->work += work_of(q, &c.f);
        if (!(q->work < WORK_MAX))
            code = ym_status_set(st, YM_EXHAUSTED, "too many different charges to compose on a grid this fine");
    }
    if (code == YM_OK)
        code = ym_losses_compose(q->loss, q->losses, q->reach, &c, st);
    for (int way = 0; code == YM_OK && way < 2; way++) {
        struct ym_composed_at at = {0, false};

        answer[way] =
            q->wants_delta ? ym_composed_delta(&c, way, q->epsilon, &at) : ym_composed_epsilon(&c, way, q->delta, &at);
        if (way == 0 || answer[way] > answer[0])
            *out = (struct found){.slope = at.slope, .step = c.f.step, .adding = way, .edge = at.edge};
    }
    ym_composed_release(&c);
    if (code == YM_OK) {
        out->answer[0] = answer[0];
        out->answer[1] = answer[1];
    }
    return code;
}

/* The grid's share of the answer, in epsilon. */
static double bias_of(const struct query *q, const struct found *f)
{
    return q->steps * (1 + f->slope) * f->step * f->step / 12;
}

static enum ym_code find_epsilon(struct query *q, double epsilon[2], struct ym_status *st)
{
    struct ym_saddle at[2] = {ym_tilt_saddle(&q->tilt, false, q->log_delta),
                              ym_tilt_saddle(&q->tilt, true, q->log_delta)};
    bool adding = at[1].epsilon > at[0].epsilon * 1.001;
    double guess = at[adding].epsilon, s = guess > 0 ? at[adding].s : ym_tilt_saddle_at(&q->tilt, adding, 0);
    enum ym_code code = YM_OK;

    epsilon[0] = epsilon[1] = INFINITY;
    for (int tries = 0; tries < TRIES; tries++) {
        struct found f;
        double most;

        q->epsilon = fmax(guess, 0);
        code = attempt(q, adding, s, &f, tries ? NULL : st);
        if (code != YM_OK)
            break;
        epsilon[0] = fmin(epsilon[0], f.answer[0]);
        epsilon[1] = fmin(epsilon[1], f.answer[1]);
        most = f.answer[f.adding];
        if (f.adding == adding && !f.edge && fabs(most - q->epsilon) * s < 4 &&
            bias_of(q, &f) < 2 * (BIAS * most + BIAS_FLOOR))
            break;
        if (isfinite(most))
            guess = most;
        else if (f.adding == adding)
            guess = 2 * q->epsilon + 8 / s;
        adding = f.adding;
        q->slope = f.slope;
        s = ym_tilt_saddle_at(&q->tilt, adding, guess);
    }
    if (isfinite(epsilon[0]) && isfinite(epsilon[1]))
        return YM_OK;
    if (code != YM_OK)
        return code;
    return ym_status_set(st, YM_EXHAUSTED, "no bound of epsilon was found for delta %g", q->delta);
}

enum ym_code ym_pld_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                             struct ym_status *st)
{
    struct query q = {.wants_delta = false, .delta = delta};
    double found[2] = {0, 0};
    enum ym_code code;

    if (!(delta > 0 && delta < 1))
        return ym_status_set(st, YM_INVALID, "delta %g is not between 0 and 1", delta);
    if (log(delta) < LOG_DELTA_MIN)
        return ym_status_set(st, YM_EXHAUSTED, "delta %g is too small to be accounted", delta);
    code = query_init(&q, e, count, log(delta), st);
    if (code == YM_OK && q.losses > 0)
        code = find_epsilon(&q, found, st);
    if (code == YM_OK) {
        epsilon[0] = found[0];
        epsilon[1] = found[1];
    }
    query_release(&q);
    return code;
}

enum ym_code ym_pld_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon, struct ym_status *st)
{
    double both[2];
    enum ym_code code = ym_pld_epsilons(e, count, delta, both, st);

    if (code == YM_OK)
        *epsilon = fmax(both[0], both[1]);
    return code;
}

static enum ym_code find_delta(struct query *q, double *delta, struct ym_status *st)
{
    double hint[2], ignored;
    enum ym_code code = YM_OK;
    bool adding;

    for (int way = 0; way < 2; way++)
        hint[way] = ym_tilt_delta(&q->tilt, way, ym_tilt_saddle_at(&q->tilt, way, q->epsilon), &ignored);
    adding = hint[1] > hint[0] + 0.01;
    *delta = 1;
    for (int tries = 0; code == YM_OK && tries < TRIES; tries++) {
        struct found f;
        double most, guess = tries ? log(*delta) : hint[adding];

        code = look(q, fmin(fmax(guess, LOG_DELTA_MIN), -0.01), tries ? NULL : st);
        if (code == YM_OK)
            code = attempt(q, adding, ym_tilt_saddle_at(&q->tilt, adding, q->epsilon), &f, tries ? NULL : st);
        if (code != YM_OK)
            break;
        most = f.answer[f.adding];
        *delta = fmin(*delta, most);
        if (f.adding == adding && fabs(fmax(log(most), LOG_DELTA_MIN) - q->log_delta) < 3 &&
            bias_of(q, &f) * f.slope < 3 * BIAS)
            break;
        adding = f.adding;
        q->slope = f.slope;
    }
    return code != YM_OK && *delta < 1 ? YM_OK : code;
}

enum ym_code ym_pld_delta(const struct ym_event *e, size_t count, double epsilon, double *delta, struct ym_status *st)
{
    struct query q = {.wants_delta = true, .epsilon = epsilon};
    double found = 0;
    enum ym_code code;

    if (!(epsilon >= 0 && epsilon < 1e9))
        return ym_status_set(st, YM_INVALID, "epsilon %g is negative or absurd", epsilon);
    code = query_init(&q, e, count, LOG_DELTA_MIN, st);
    if (code == YM_OK && q.losses > 0)
        code = find_delta(&q, &found, st);
    if (code == YM_OK)
        *delta = found;
    query_release(&q);
    return code;
}

#include <math.h>
#include <stdlib.h>

#include "privacy/contour.h"

/* delta(eps) = 1/2pi Int M(s+it) e^(-eps (s+it)) / ((s+it)(1+s+it)) dt, summed along a line through the saddle: how the
 * line, the spacing and the length are chosen, and how it is solved for epsilon (docs/privacy.md). */

#define LOG_ALIAS 28.0 /* copies are below e^-28 of delta */
#define STRETCH 0.025  /* dx, to begin with */
#define LONGER 1.4
#define FINE 1e-9 /* of log delta */
#define ROUGH 0.05
#define BLUR 1e-2  /* of the sum, by which every other node may differ on the way */
#define LOST 1e-9  /* of the sizes: hardly a digit is left */
#define DOUBT 1e-6 /* of the sizes: another line is asked as well */
#define APART 1e-5 /* by which the two may differ, relative */

/* How far apart copies must stand: on the left delta is at most 1, on the right Chernoff's bound at a larger s. */
static double period(const struct ym_curve *v, double s, double epsilon)
{
    double floor = LOG_ALIAS - log(v->delta), right = INFINITY;
    static const double further[] = {1, 0.5, 0.25, 2};

    for (size_t i = 0; i < sizeof further / sizeof *further && right > floor / s; i++) {
        double step = s * further[i];
        struct ym_cumulant c = ym_losses_cumulant(v->loss, v->losses, v->adding, s + step);

        right = fmin(right, (c.k - (s + step) * epsilon + floor) / step);
    }
    return fmax(floor / s, right);
}

/* Few rounds of rare sampling: K turns up sharply where the far tail takes over, and at the saddle, which sits in that
 * corner, copies would have to stand very far apart. Any s on the near side will do as well. */
static double choose_line(const struct ym_curve *v, double epsilon, double *s)
{
    double best = INFINITY, start = *s;

    for (double part = 1; part > 0.01; part *= 0.7) {
        double p = period(v, start * part, epsilon);

        if (p < best) {
            best = p;
            *s = start * part;
        }
        if (best < 1.5 * (LOG_ALIAS - log(v->delta)) / (start * part))
            break; /* the left side rules, and grows from here on */
    }
    return best;
}

/* Whether the nodes reach far enough: the terms have died away, or two ways to fade them agree. Leaves the nodes as
 * they are to be used; *died says which. */
static bool long_enough(struct ym_contour *c, double epsilon, double tolerance, bool *died)
{
    struct ym_contour_value full, short_of;

    ym_contour_use(c, 0);
    full = ym_contour_at(c, epsilon, 1);
    *died = full.last < 1e-15;
    c->lost = fabs(full.sum) < LOST * full.sizes;
    if (*died)
        return true;
    ym_contour_use(c, 0.7);
    short_of = ym_contour_at(c, epsilon, 1);
    ym_contour_use(c, 1);
    full = ym_contour_at(c, epsilon, 1);
    c->lost = fabs(full.sum) < LOST * full.sizes;
    return fabs(full.log_delta - short_of.log_delta) < tolerance + YM_CONTOUR_ROUNDING * full.gross;
}

/* Whether they stand close enough: the rule's error is squared when the spacing is halved. */
static bool close_enough(const struct ym_contour *c, double epsilon, double tolerance)
{
    struct ym_contour_value all = ym_contour_at(c, epsilon, 1);

    return fabs(all.log_delta - ym_contour_at(c, epsilon, 2).log_delta) <
           sqrt(tolerance) + YM_CONTOUR_ROUNDING * all.gross;
}

/* So far apart that how they fade says nothing. */
static bool blurred(const struct ym_contour *c, double epsilon)
{
    struct ym_contour_value all = ym_contour_at(c, epsilon, 1), half = ym_contour_at(c, epsilon, 2);

    return fabs(all.sum - 2 * half.sum) > BLUR * fabs(all.sum) + YM_CONTOUR_ROUNDING * all.sizes;
}

/* Newton on log delta, kept inside a bracket, which is narrow: further off the spacing is not to be trusted. */
static double solve(const struct ym_contour *c, double delta, double epsilon)
{
    double low = epsilon - 20 / c->s, high = epsilon + 20 / c->s;

    for (int i = 0; i < 60; i++) {
        struct ym_contour_value v = ym_contour_at(c, epsilon, 1);
        double off = v.log_delta - log(delta), next;

        if (!isfinite(off) || !(v.slope > 0)) { /* beyond the curve's reach, on the far side: rounding noise */
            high = epsilon;
            epsilon = (low + high) / 2;
            continue;
        }
        if (off > 0)
            low = epsilon;
        else
            high = epsilon;
        next = epsilon + off / v.slope;
        if (fabs(off) < 1e-13 || fabs(next - epsilon) <= 1e-13 * fabs(epsilon))
            break;
        epsilon = next > low && next < high ? next : (low + high) / 2;
    }
    return epsilon;
}

/* Moments as far out as needed, and as close as e^(-i epsilon t) needs. */
static enum ym_code reach(struct ym_contour *c, const struct ym_curve *v, double epsilon, double tolerance, bool *died,
                          struct ym_status *st)
{
    double length = fmin(9 / sqrt(ym_losses_cumulant(v->loss, v->losses, v->adding, c->s).second), 16 * c->s);

    for (; length < INFINITY; length *= LONGER) {
        enum ym_code code = ym_contour_reach(c, v, length, st);

        if (code != YM_OK || long_enough(c, epsilon, tolerance, died))
            return code;
        if (!c->lost && blurred(c, epsilon))
            code = ym_contour_refine(c, v, st);
        if (code != YM_OK)
            return code;
    }
    return ym_status_set(st, YM_INTERNAL, "the contour integral does not converge");
}

/* A contour that serves near epsilon: the one at hand if its copies stand far enough apart. */
static enum ym_code trace(struct ym_contour *c, const struct ym_curve *v, double s, double epsilon, double *tolerance,
                          struct ym_status *st)
{
    enum ym_code code = YM_OK;
    bool died = false, close = false;

    if (c->count && (c->lost || period(v, c->s, epsilon) > c->apart))
        ym_contour_release(c);
    if (!c->count) {
        c->s = s;
        c->apart = 1.1 * choose_line(v, epsilon, &c->s);
        c->dx = STRETCH;
        c->c = 2 * M_PI / c->apart / STRETCH;
    }
    while (code == YM_OK && !close) {
        code = reach(c, v, epsilon, *tolerance, &died, st);
        close = code == YM_OK && (c->lost || close_enough(c, epsilon, *tolerance));
        if (code == YM_OK && !close)
            code = ym_contour_refine(c, v, st);
    }
    if (code == YM_OK && died && close_enough(c, epsilon, FINE))
        *tolerance = 0;
    return code;
}

static bool doubtful(const struct ym_contour *c, double epsilon)
{
    struct ym_contour_value v = ym_contour_at(c, epsilon, 1);

    return fabs(v.sum) < DOUBT * v.sizes;
}

/* Roughly first: the guess may be off, and the line and its spacing are chosen by it. *doubt: digits are gone. */
static enum ym_code follow(const struct ym_curve *v, struct ym_saddle at, double *epsilon, double *line, bool *doubt,
                           struct ym_status *st)
{
    struct ym_contour c = {0};
    double wanted = ROUGH;
    enum ym_code code = YM_OK;

    for (int tries = 0; tries < 20; tries++) {
        double guess = fmax(at.epsilon, 0), tolerance = wanted;
        bool settled;

        code = trace(&c, v, at.s, guess, &tolerance, st);
        if (code != YM_OK)
            goto out;
        if (guess == 0 && ym_contour_at(&c, 0, 1).log_delta < log(v->delta) - 2 * ROUGH) {
            *epsilon = 0; /* whether anything is left at all is known long before the figure */
            goto out;
        }
        at.epsilon = solve(&c, v->delta, guess);
        settled = fabs(at.epsilon - guess) * c.s < 1;
        if (settled && tolerance <= FINE) {
            *epsilon = fmax(at.epsilon, 0);
            *line = c.s;
            *doubt = doubtful(&c, *epsilon);
            goto out;
        }
        if (settled)
            wanted = FINE;
        at.s = ym_losses_saddle_at(v->loss, v->losses, v->adding, at.epsilon, c.s);
    }
    code = ym_status_set(st, YM_INTERNAL, "the contour integral does not settle");
out:
    ym_contour_release(&c);
    return code;
}

/* Where the terms cancel, another line must say the same. */
static enum ym_code epsilon_one_way(const struct ym_curve *v, double *epsilon, struct ym_status *st)
{
    struct ym_saddle at = ym_losses_saddle(v->loss, v->losses, v->adding, v->delta);
    double line = 0, again = 0;
    bool doubt = false;
    enum ym_code code = follow(v, at, epsilon, &line, &doubt, st);

    if (code != YM_OK || !doubt)
        return code;
    code = follow(v, (struct ym_saddle){0.8 * line, *epsilon}, &again, &line, &doubt, st);
    if (code == YM_OK && fabs(again - *epsilon) > APART * *epsilon)
        code =
            ym_status_set(st, YM_INTERNAL, "the contour integral is %g on one line and %g on another", *epsilon, again);
    return code;
}

static double above(double u)
{
    return erfc(u * M_SQRT1_2) / 2;
}

/* A single step needs no integral: the loss passes epsilon at one u. */
static double delta_of_step(const struct ym_loss *l, bool adding, double epsilon)
{
    double gap = expm1(adding ? -epsilon : epsilon), u, shift = 1 / l->sigma;

    if (gap <= -l->q)
        return 0; /* adding never loses more than -log(1 - q) */
    u = l->sigma * log1p(gap / l->q) + shift / 2;
    if (adding)
        return exp(epsilon) * (l->q * (above(-u) - above(shift - u)) + gap * above(-u));
    return l->q * (above(u - shift) - above(u)) - gap * above(u);
}

static double epsilon_of_step(const struct ym_loss *l, bool adding, double delta)
{
    double low = 0, high = 1e-9;

    if (delta_of_step(l, adding, 0) <= delta)
        return 0;
    while (delta_of_step(l, adding, high) > delta)
        high *= 2;
    while (high - low > 1e-15 * high && (low + high) / 2 > low && (low + high) / 2 < high) {
        double middle = (low + high) / 2;

        if (delta_of_step(l, adding, middle) > delta)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static bool single_step(const struct ym_curve *v)
{
    return v->losses == 1 && v->loss[0].steps == 1;
}

enum ym_code ym_contour_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                                 struct ym_status *st)
{
    struct ym_curve v = {.delta = delta};
    struct ym_loss *l = NULL;
    double found[2] = {0, 0};
    enum ym_code code;

    if (!(delta > 0 && delta < 1))
        return ym_status_set(st, YM_INVALID, "delta %g is not between 0 and 1", delta);
    code = ym_losses_collect(e, count, &l, &v.losses, st);
    v.loss = l;
    for (int way = 0; code == YM_OK && v.losses && way < 2; way++) {
        v.adding = way;
        if (single_step(&v))
            found[way] = epsilon_of_step(l, way, delta);
        else
            code = epsilon_one_way(&v, &found[way], st);
    }
    free(l);
    if (code == YM_OK) {
        epsilon[0] = found[0];
        epsilon[1] = found[1];
    }
    return code;
}

enum ym_code ym_contour_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon,
                                struct ym_status *st)
{
    double both[2];
    enum ym_code code = ym_contour_epsilons(e, count, delta, both, st);

    if (code == YM_OK)
        *epsilon = fmax(both[0], both[1]);
    return code;
}

/* Adding a patient never loses more than -log(1 - q) a step: beyond that delta is 0, and no line converges. */
static bool out_of_reach(const struct ym_curve *v, double epsilon)
{
    double most = 0;

    for (size_t i = 0; i < v->losses; i++)
        most -= v->loss[i].steps * log(v->loss[i].keep);
    return v->adding && epsilon >= most;
}

enum ym_code ym_contour_delta(const struct ym_event *e, size_t count, double epsilon, double *delta,
                              struct ym_status *st)
{
    struct ym_curve v = {.delta = 1e-16}; /* only the spacing asks for it */
    struct ym_loss *l = NULL;
    double most = 0;
    enum ym_code code;

    if (!(epsilon >= 0 && epsilon < 1e9))
        return ym_status_set(st, YM_INVALID, "epsilon %g is negative or absurd", epsilon);
    code = ym_losses_collect(e, count, &l, &v.losses, st);
    v.loss = l;
    for (int way = 0; code == YM_OK && v.losses && way < 2; way++) {
        struct ym_contour c = {0};
        double s, log_delta = -INFINITY, tolerance = FINE;

        v.adding = way;
        if (out_of_reach(&v, epsilon))
            continue;
        if (single_step(&v)) {
            most = fmax(most, delta_of_step(l, way, epsilon));
            continue;
        }
        s = ym_losses_saddle_at(l, v.losses, way, epsilon, 1);
        code = trace(&c, &v, s, epsilon, &tolerance, st);
        if (code == YM_OK)
            log_delta = ym_contour_at(&c, epsilon, 1).log_delta;
        most = log_delta > log(most) ? exp(log_delta) : most;
        ym_contour_release(&c);
    }
    free(l);
    if (code == YM_OK)
        *delta = most;
    return code;
}

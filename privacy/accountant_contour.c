#include <math.h>
#include <stdlib.h>

#include "privacy/loss_moment.h"

/* delta(eps) = 1/2pi Int M(s+it) e^(-eps (s+it)) / ((s+it)(1+s+it)) dt by the trapezoid rule on the line through the
 * saddle. The rule of step h is exact but for copies of e^(s y) delta(y) shifted by 2 pi / h, so h is chosen from how
 * fast those fall; a cut-off that fades like erfc only smooths the curve over a distance of a few / (its length).
 * The moments do not depend on eps: they are computed once, and each trial of eps costs one pass over t. */

#define SQRT_2PI 2.50662827463100050242
#define LOG_ALIAS 28.0 /* aliases are below e^-28 of delta */
#define WORK_MAX 1e9   /* nodes of u times nodes of t */
#define NODES_MAX 4e6
#define ROUNDING 1e-13 /* of a moment's size, generously */
#define FINE 1e-9      /* of log delta */
#define ROUGH 0.05

struct contour {
    double s, k, h;      /* real part, log M(s), spacing */
    size_t count;        /* nodes t = 0, h, ... */
    double *log_m, *arg; /* [count] log |M / M(s)|, arg M, all steps */
};

struct curve {
    const struct ym_loss *loss;
    size_t losses;
    bool adding;
    double delta;
};

static void contour_release(struct contour *c)
{
    free(c->log_m);
    free(c->arg);
}

struct node {
    double re, im, turn_re, turn_im; /* weight W^(a + it), and W^(ih) */
};

/* Adds one event's moments. Each node of u turns by W^(ih) from one t to the next. */
static enum ym_code add_moments(struct contour *c, const struct ym_loss *l, bool adding, double budget,
                                struct ym_status *st)
{
    double a = adding ? -c->s : 1 + c->s, sign = adding ? -1 : 1, zero = 0;
    struct ym_loss_range r = ym_loss_range(l, a);
    double spacing = ym_loss_spacing(l, c->h * (double)c->count, &r), top = -INFINITY;
    double wanted = (r.high - r.low) / spacing + 2;
    struct node *node;
    size_t nodes;

    if (!(wanted < NODES_MAX && wanted * (double)c->count < budget))
        return ym_status_set(st, YM_EXHAUSTED, "the contour integral needs more than %g nodes", budget);
    nodes = (size_t)wanted;
    node = malloc(nodes * sizeof *node);
    if (!node)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu nodes", nodes);
    for (size_t i = 0; i < nodes; i++) {
        double u = r.low + (double)i * spacing, loss = ym_loss_at(l, u);

        node[i].re = a * loss - u * u / 2;
        node[i].im = 0;
        node[i].turn_re = cos(c->h * loss);
        node[i].turn_im = sign * sin(c->h * loss);
        top = fmax(top, node[i].re);
    }
    for (size_t i = 0; i < nodes; i++)
        node[i].re = exp(node[i].re - top);
    for (size_t t = 0; t < c->count; t++) {
        double re = 0, im = 0, size;

        for (size_t i = 0; i < nodes; i++) {
            struct node *n = &node[i];
            double next = n->re * n->turn_re - n->im * n->turn_im;

            re += n->re;
            im += n->im;
            n->im = n->re * n->turn_im + n->im * n->turn_re;
            n->re = next;
        }
        size = log(re * re + im * im) / 2;
        if (t == 0) {
            zero = size;
            c->k += l->steps * (top + size + log(spacing / SQRT_2PI));
        }
        c->log_m[t] += l->steps * (size - zero);
        c->arg[t] += l->steps * atan2(im, re);
    }
    free(node);
    return YM_OK;
}

/* How far apart copies must stand: on the left delta is at most 1, on the right Chernoff's bound at a larger s. */
static double period(const struct curve *v, double s, double epsilon)
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
static double choose_line(const struct curve *v, double epsilon, double *s)
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

static enum ym_code contour_make(struct contour *c, const struct curve *v, double period_length, double length,
                                 struct ym_status *st)
{
    double nodes;
    enum ym_code code = YM_OK;

    c->h = 2 * M_PI / period_length;
    nodes = ceil(length / c->h) + 2;
    if (!(nodes < NODES_MAX))
        return ym_status_set(st, YM_EXHAUSTED, "the contour integral does not converge");
    c->count = (size_t)nodes;
    c->k = 0;
    c->log_m = calloc(c->count, sizeof *c->log_m);
    c->arg = calloc(c->count, sizeof *c->arg);
    if (!c->log_m || !c->arg)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu nodes", c->count);
    for (size_t i = 0; code == YM_OK && i < v->losses; i++)
        code = add_moments(c, &v->loss[i], v->adding, WORK_MAX / (double)v->losses, st);
    return code;
}

struct value {
    double log_delta, slope; /* slope: -d log delta / d epsilon; NAN where delta came out negative */
    double last, gross;      /* the largest of the last terms, and the sum of all sizes, against delta */
};

/* Delta with the first `part` of the nodes, faded out by erfc when fade is set. */
static struct value value_at(const struct contour *c, double epsilon, double part, bool fade)
{
    double sum = 0, slope = 0, last = 0, gross = 0, end = c->h * (double)(c->count - 1) * part, middle = end / 2;

    for (size_t i = 0; i < c->count; i++) {
        double t = c->h * (double)i, s = c->s, size = exp(c->log_m[i]), phase = c->arg[i] - epsilon * t;
        double over_s = 1 / (s * s + t * t), over_1 = 1 / ((1 + s) * (1 + s) + t * t), re, im, x, y;

        if (i && fade)
            size *= erfc((t - middle) / (middle / 5)) / 2;
        size *= i ? 2 : 1;
        re = size * cos(phase);
        im = size * sin(phase);
        x = re * (1 + s) * over_1 + im * t * over_1; /* over 1 + s + it: what the slope sums */
        y = im * (1 + s) * over_1 - re * t * over_1;
        slope += x;
        sum += x * s * over_s + y * t * over_s;
        size *= sqrt(over_s * over_1);
        gross += size;
        last = i + 3 >= c->count ? fmax(last, size) : 0;
        if (fade && t > end)
            break;
    }
    return (struct value){c->k - epsilon * c->s + log(c->h / (2 * M_PI) * sum), slope / sum, last / fabs(sum),
                          gross / fabs(sum)};
}

/* Whether the nodes reach far enough: the terms have died away, or two ways to fade them agree. */
static bool long_enough(const struct contour *c, double epsilon, double tolerance, bool *fade)
{
    struct value plain = value_at(c, epsilon, 1, false), full, short_of;

    *fade = !(plain.last < 1e-15);
    if (!*fade)
        return true;
    full = value_at(c, epsilon, 1, true);
    short_of = value_at(c, epsilon, 0.7, true);
    return fabs(full.log_delta - short_of.log_delta) < tolerance + ROUNDING * full.gross;
}

/* Newton on log delta, kept inside a bracket, which is narrow: further off the spacing is not to be trusted. */
static double solve(const struct contour *c, double delta, double epsilon, bool fade)
{
    double low = epsilon - 20 / c->s, high = epsilon + 20 / c->s;

    for (int i = 0; i < 60; i++) {
        struct value v = value_at(c, epsilon, 1, fade);
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

/* One line: moments as far out as needed, then either delta at epsilon or epsilon at v->delta. *tolerance (of log
 * delta) becomes 0 when the terms died away by themselves. */
static enum ym_code along_line(const struct curve *v, double s, double *tolerance, double *epsilon, double *log_delta,
                               struct ym_status *st)
{
    double apart = choose_line(v, *epsilon, &s);
    double length = fmin(9 / sqrt(ym_losses_cumulant(v->loss, v->losses, v->adding, s).second), 16 * s);

    for (int doubled = 0; doubled <= 40; doubled++, length *= 2) {
        struct contour c = {.s = s};
        enum ym_code code = contour_make(&c, v, apart, length, st);
        bool fade, done = code != YM_OK;

        if (!done && long_enough(&c, *epsilon, *tolerance, &fade)) {
            if (log_delta)
                *log_delta = value_at(&c, *epsilon, 1, fade).log_delta;
            else
                *epsilon = solve(&c, v->delta, *epsilon, fade);
            *tolerance = fade ? *tolerance : 0;
            done = true;
        }
        contour_release(&c);
        if (done)
            return code;
    }
    return ym_status_set(st, YM_INTERNAL, "the contour integral does not converge");
}

/* Roughly first: the saddle-point guess may be far off, and the line and its spacing are chosen by it. */
static enum ym_code epsilon_one_way(const struct curve *v, double *epsilon, struct ym_status *st)
{
    struct ym_saddle at = ym_losses_saddle(v->loss, v->losses, v->adding, v->delta);
    double wanted = ROUGH;

    for (int tries = 0; tries < 20; tries++) {
        double guess = fmax(at.epsilon, 0), tolerance = ROUGH, log_delta;
        enum ym_code code;
        bool settled;

        if (guess == 0) { /* whether anything is left at all is known long before the figure */
            code = along_line(v, at.s, &tolerance, &guess, &log_delta, st);
            if (code == YM_OK && log_delta < log(v->delta) - 2 * ROUGH) {
                *epsilon = 0;
                return YM_OK;
            }
        }
        tolerance = wanted;
        at.epsilon = guess;
        code = along_line(v, at.s, &tolerance, &at.epsilon, NULL, st);
        if (code != YM_OK)
            return code;
        settled = fabs(at.epsilon - guess) * at.s < 1;
        if (settled && tolerance <= FINE) {
            *epsilon = fmax(at.epsilon, 0);
            return YM_OK;
        }
        if (settled)
            wanted = FINE;
        at.s = ym_losses_saddle_at(v->loss, v->losses, v->adding, at.epsilon, at.s);
    }
    return ym_status_set(st, YM_INTERNAL, "the contour integral does not settle");
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

static bool single_step(const struct curve *v)
{
    return v->losses == 1 && v->loss[0].steps == 1;
}

enum ym_code ym_contour_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                                 struct ym_status *st)
{
    struct curve v = {.delta = delta};
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
static bool out_of_reach(const struct curve *v, double epsilon)
{
    double most = 0;

    for (size_t i = 0; i < v->losses; i++)
        most -= v->loss[i].steps * log(v->loss[i].keep);
    return v->adding && epsilon >= most;
}

enum ym_code ym_contour_delta(const struct ym_event *e, size_t count, double epsilon, double *delta,
                              struct ym_status *st)
{
    struct curve v = {.delta = 1e-16}; /* only the spacing asks for it */
    struct ym_loss *l = NULL;
    double most = 0;
    enum ym_code code;

    if (!(epsilon >= 0 && epsilon < 1e9))
        return ym_status_set(st, YM_INVALID, "epsilon %g is negative or absurd", epsilon);
    code = ym_losses_collect(e, count, &l, &v.losses, st);
    v.loss = l;
    for (int way = 0; code == YM_OK && v.losses && way < 2; way++) {
        double at = epsilon, s, log_delta = 0, tolerance = FINE;

        v.adding = way;
        if (out_of_reach(&v, epsilon))
            continue;
        if (single_step(&v)) {
            most = fmax(most, delta_of_step(l, way, epsilon));
            continue;
        }
        s = ym_losses_saddle_at(l, v.losses, way, epsilon, 1);
        code = along_line(&v, s, &tolerance, &at, &log_delta, st);
        most = code == YM_OK && log_delta > log(most) ? exp(log_delta) : most;
    }
    free(l);
    if (code == YM_OK)
        *delta = most;
    return code;
}

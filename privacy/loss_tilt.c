#include "privacy/loss_tilt.h"

#include <math.h>
#include <stdlib.h>

#define NODES_MAX ((size_t)1 << 16)
#define SQRT_2PI 2.50662827463100050242

static enum ym_code nodes_make(struct ym_loss_nodes *n, const struct ym_loss *l, struct ym_reach reach, size_t most,
                               struct ym_status *st)
{
    double low = -reach.outer * M_SQRT2, high = fmax(-low, reach.inner * M_SQRT2 + 1 / l->sigma),
           spacing = 0.6 * fmin(l->sigma, 1);

    n->count = (size_t)((high - low) / spacing) + 2;
    n->steps = l->steps;
    n->log_scale = log(spacing / SQRT_2PI);
    if (n->count > most)
        return ym_status_set(st, YM_EXHAUSTED, "the charges are too many and too different to be accounted");
    n->loss = malloc(n->count * sizeof *n->loss);
    n->weight = malloc(n->count * sizeof *n->weight);
    if (!n->loss || !n->weight)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu nodes", n->count);
    for (size_t i = 0; i < n->count; i++) {
        double u = low + (double)i * spacing;

        n->loss[i] = ym_loss_at(l, u);
        n->weight[i] = -u * u / 2;
    }
    return YM_OK;
}

enum ym_code ym_tilt_make(const struct ym_loss *l, size_t losses, const struct ym_reach *reach, struct ym_tilt *out,
                          struct ym_status *st)
{
    struct ym_tilt t = {.losses = losses, .nodes = calloc(losses + 1, sizeof *t.nodes)};
    enum ym_code code =
        t.nodes ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the nodes of %zu charges", losses);
    size_t total = 0;

    for (size_t i = 0; code == YM_OK && i < losses; i++) {
        code = nodes_make(&t.nodes[i], &l[i], reach[i], NODES_MAX - total, st);
        total += t.nodes[i].count;
    }
    if (code == YM_OK)
        *out = t;
    else
        ym_tilt_release(&t);
    return code;
}

void ym_tilt_release(struct ym_tilt *t)
{
    for (size_t i = 0; t->nodes && i < t->losses; i++) {
        free(t->nodes[i].loss);
        free(t->nodes[i].weight);
    }
    free(t->nodes);
    *t = (struct ym_tilt){0};
}

static struct ym_cumulant one(const struct ym_loss_nodes *n, double a)
{
    double top = -INFINITY, shift = 0, sum = 0, mean = 0, square = 0;

    for (size_t i = 0; i < n->count; i++) {
        double w = a * n->loss[i] + n->weight[i];

        shift = w > top ? n->loss[i] : shift;
        top = fmax(top, w);
    }
    for (size_t i = 0; i < n->count; i++) {
        double off = n->loss[i] - shift, w = a * n->loss[i] + n->weight[i] - top, x = w < -60 ? 0 : exp(w);

        sum += x;
        mean += x * off;
        square += x * off * off;
    }
    mean /= sum;
    return (struct ym_cumulant){top + log(sum) + n->log_scale, mean + shift, fmax(square / sum - mean * mean, 0)};
}

struct ym_cumulant ym_tilt_cumulant(const struct ym_tilt *t, bool adding, double s)
{
    struct ym_cumulant all = {0, 0, 0};

    for (size_t i = 0; i < t->losses; i++) {
        struct ym_cumulant c = one(&t->nodes[i], adding ? -s : 1 + s);

        all.k += t->nodes[i].steps * c.k;
        all.first += t->nodes[i].steps * (adding ? -c.first : c.first);
        all.second += t->nodes[i].steps * c.second;
    }
    return all;
}

double ym_tilt_delta(const struct ym_tilt *t, bool adding, double s, double *epsilon)
{
    struct ym_cumulant c = ym_tilt_cumulant(t, adding, s);
    double curve = c.second + 1 / (s * s) + 1 / ((1 + s) * (1 + s));

    *epsilon = c.first - 1 / s - 1 / (1 + s);
    return c.k - s * *epsilon - log(s) - log1p(s) - log(2 * M_PI * curve) / 2;
}

struct ym_saddle ym_tilt_saddle(const struct ym_tilt *t, bool adding, double log_delta)
{
    double low = -30, high = 30, x, epsilon = 0;
    struct ym_cumulant c = ym_tilt_cumulant(t, adding, 0);

    x = fmin(fmax(log(sqrt(-2 * log_delta / fmax(c.second, 1e-40))), -20), 20);
    for (int i = 0; i < 60; i++) {
        double off = ym_tilt_delta(t, adding, exp(x), &epsilon) - log_delta;

        if (fabs(off) < 0.05 || high - low < 1e-3)
            break;
        if (off > 0)
            low = x;
        else
            high = x;
        x += fmin(fmax(-off / log_delta / 2, -1), 1);
        x = x > low && x < high ? x : (low + high) / 2;
    }
    c = ym_tilt_cumulant(t, adding, exp(x));
    /* in a corner of K the derivative jumps and says little: Chernoff's bound does not */
    return (struct ym_saddle){exp(x), fmin(epsilon, (c.k - log_delta - log1p(exp(x)) - 0.9) / exp(x))};
}

double ym_tilt_saddle_at(const struct ym_tilt *t, bool adding, double epsilon)
{
    double low = -30, high = 30, x = 0, found;

    for (int i = 0; i < 40 && high - low > 0.02; i++, x = (low + high) / 2) {
        ym_tilt_delta(t, adding, exp(x), &found);
        if (found < epsilon)
            low = x;
        else
            high = x;
    }
    return exp(x);
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/newton_internal.h"

/* ---- order ---- */

struct place {
    double time;
    uint32_t stratum, row;
    uint8_t event;
};

/* Stratum, then the latest first; the file's order decides the rest, so that sums repeat. */
static int compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    if (a->stratum != b->stratum)
        return a->stratum < b->stratum ? -1 : 1;
    if (a->time != b->time)
        return a->time > b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

enum ym_code ym_cox_sort(struct ym_prepared *p, struct ym_status *st)
{
    size_t k = p->columns;
    struct place *order = malloc((p->rows + 1) * sizeof *order);
    double *x = malloc((p->rows * k + 1) * sizeof *x), *old = p->x;

    if (!order || !x) {
        free(order);
        free(x);
        return ym_status_set(st, YM_EXHAUSTED, "no memory to sort %zu rows by time", p->rows);
    }
    for (size_t i = 0; i < p->rows; i++)
        order[i] = (struct place){p->y[i], p->stratum[i], (uint32_t)i, p->event[i]};
    qsort(order, p->rows, sizeof *order, compare);
    for (size_t i = 0; i < p->rows; i++) {
        memcpy(x + i * k, old + order[i].row * k, k * sizeof *x);
        p->y[i] = order[i].time;
        p->event[i] = order[i].event;
        p->stratum[i] = order[i].stratum;
    }
    p->x = x;
    free(old);
    free(order);
    return YM_OK;
}

/* ---- risk sets ---- */

/* Rows [first, end) of one stratum and time; deaths of them die. */
struct moment {
    size_t first, end, deaths;
};

static struct moment moment_at(const struct ym_prepared *p, size_t first)
{
    struct moment m = {first, first, 0};

    while (m.end < p->rows && p->stratum[m.end] == p->stratum[first] && p->y[m.end] == p->y[first])
        m.deaths += p->event[m.end++];
    return m;
}

static double fraction(enum ym_ties ties, size_t l, size_t deaths)
{
    return ties == YM_TIES_EFRON ? (double)l / (double)deaths : 0;
}

/* Sums over those at risk, and over those who die now. */
struct risk {
    double all, dying;
    double *all_x, *dying_x; /* [columns] */
};

static void enter(const struct ym_prepared *p, const struct moment *m, struct risk *r)
{
    r->dying = 0;
    memset(r->dying_x, 0, p->columns * sizeof *r->dying_x);
    for (size_t i = m->first; i < m->end; i++) {
        const double *x = p->x + i * p->columns;
        double w = p->eta[i];

        r->all += w;
        for (size_t j = 0; j < p->columns; j++)
            r->all_x[j] += w * x[j];
        if (!p->event[i])
            continue;
        r->dying += w;
        for (size_t j = 0; j < p->columns; j++)
            r->dying_x[j] += w * x[j];
    }
}

/* The deaths of one moment: their means behind those before, what they add to the hazard of all at risk (return) and
 * take from their own (*own), and their denominators in the likelihood. */
static double die(enum ym_ties ties, const struct ym_prepared *p, const struct moment *m, const struct risk *r,
                  double *mean, double *own, double *loglik)
{
    double hazard = 0;

    *own = 0;
    for (size_t l = 0; l < m->deaths; l++) {
        double f = fraction(ties, l, m->deaths), s0 = r->all - f * r->dying;

        for (size_t j = 0; j < p->columns; j++)
            mean[l * p->columns + j] = (r->all_x[j] - f * r->dying_x[j]) / s0;
        *loglik -= log(s0);
        hazard += 1 / s0;
        *own += f / s0;
    }
    return hazard;
}

/* h of the rows first..end: what each moment added lies in h[moment's first row], what its dying lose in h[last]. */
static void spread_hazard(struct ym_prepared *p, size_t first, size_t end)
{
    double hazard = 0;

    for (size_t last = end; last > first;) {
        size_t from = last - 1, to = last;
        double own;

        while (from > first && p->y[from - 1] == p->y[last - 1])
            from--;
        own = p->weighted[from];
        hazard += p->h[from];
        for (size_t i = from; i < to; i++)
            p->h[i] = p->eta[i] * (hazard - (p->event[i] ? own : 0));
        last = from;
    }
}

/* ---- one part ---- */

/* eta: exp(x'beta - top), whose common factor no ratio knows; the likelihood gets it back. */
static void relative_risks(struct ym_prepared *p, const double *beta, double *loglik)
{
    double top = -INFINITY;

    for (size_t i = 0; i < p->rows; i++) {
        double z = 0;

        for (size_t j = 0; j < p->columns; j++)
            z += p->x[i * p->columns + j] * beta[j];
        p->eta[i] = z;
        top = z > top ? z : top;
    }
    for (size_t i = 0; i < p->rows; i++) {
        *loglik += p->event[i] ? p->eta[i] - top : 0;
        p->eta[i] = exp(p->eta[i] - top);
    }
}

static void add_hazards(enum ym_ties ties, struct ym_prepared *p, struct ym_likelihood *sum)
{
    double *scratch = p->product;
    struct risk r = {.all_x = scratch, .dying_x = scratch + p->columns};
    size_t stratum_first = 0, deaths = 0;

    for (size_t i = 0; i < p->rows;) {
        struct moment m = moment_at(p, i);

        if (i == stratum_first) {
            r.all = 0;
            memset(r.all_x, 0, p->columns * sizeof *r.all_x);
        }
        enter(p, &m, &r);
        p->h[i] = die(ties, p, &m, &r, p->mean + deaths * p->columns, &p->weighted[i], &sum->loglik);
        deaths += m.deaths;
        i = m.end;
        if (i < p->rows && p->stratum[i] == p->stratum[stratum_first])
            continue;
        spread_hazard(p, stratum_first, i);
        stratum_first = i;
    }
}

void ym_cox_add(enum ym_ties ties, struct ym_prepared *p, const double *beta, struct ym_likelihood *sum)
{
    relative_risks(p, beta, &sum->loglik);
    add_hazards(ties, p, sum);
    for (size_t i = 0; i < p->rows; i++) {
        double residual = p->event[i] - p->h[i];

        for (size_t j = 0; j < p->columns; j++)
            sum->score[j] += residual * p->x[i * p->columns + j];
    }
    ym_newton_gram(p->x, p->rows, p->columns, p->h, 1, p, sum->information);
    ym_newton_gram(p->mean, p->events, p->columns, NULL, -1, p, sum->information);
}

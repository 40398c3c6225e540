#include "models/concordance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    double risk, time;
    uint32_t stratum;
    uint8_t event;
    size_t rank;         /* of the risk among all, from 1; equal risks share one */
    double right, pairs; /* of the pairs that it is in: rightly ordered (ties half), comparable */
};

static int by_risk(const void *left, const void *right)
{
    const struct seen *a = left, *b = right;

    return (a->risk > b->risk) - (a->risk < b->risk);
}

/* Stratum, the latest first, at one time those without event before those with. */
static int by_time(const void *left, const void *right)
{
    const struct seen *a = left, *b = right;

    if (a->stratum != b->stratum)
        return a->stratum < b->stratum ? -1 : 1;
    if (a->time != b->time)
        return a->time > b->time ? -1 : 1;
    return (int)a->event - (int)b->event;
}

/* ---- counts of ranks up to one (Fenwick 1994) ---- */

static void count_add(uint32_t *tree, size_t n, size_t rank)
{
    for (; rank <= n; rank += rank & -rank)
        tree[rank]++;
}

static double count_to(const uint32_t *tree, size_t rank)
{
    double sum = 0;

    for (; rank > 0; rank -= rank & -rank)
        sum += tree[rank];
    return sum;
}

/* One time of one stratum, all with an event or all without. */
static size_t group_end(const struct seen *s, size_t n, size_t i)
{
    size_t end = i;

    while (end < n && s[end].stratum == s[i].stratum && s[end].time == s[i].time && s[end].event == s[i].event)
        end++;
    return end;
}

/* Rows [i, end) have events at one time; all in the tree outlived them. */
static void compare_events(struct seen *s, size_t i, size_t end, const uint32_t *tree, double outlived,
                           struct ym_concordance *c)
{
    for (; i < end; i++) {
        double below = count_to(tree, s[i].rank - 1), up_to = count_to(tree, s[i].rank);

        c->concordant += below;
        c->tied += up_to - below;
        c->comparable += outlived;
        s[i].right = (below + up_to) / 2;
        s[i].pairs = outlived;
    }
}

/* From the latest on: the tree holds those seen longer. */
static void walk(struct seen *s, size_t n, uint32_t *tree, struct ym_concordance *c)
{
    size_t first = 0;

    for (size_t i = 0, end; i < n; i = end) {
        if (s[i].stratum != s[first].stratum) {
            memset(tree, 0, (n + 1) * sizeof *tree);
            first = i;
        }
        end = group_end(s, n, i);
        if (s[i].event)
            compare_events(s, i, end, tree, (double)(i - first), c);
        for (size_t k = i; k < end; k++)
            count_add(tree, n, s[k].rank);
    }
}

static size_t group_begin(const struct seen *s, size_t end)
{
    size_t begin = end - 1;

    while (begin > 0 && s[begin - 1].stratum == s[end - 1].stratum && s[begin - 1].time == s[end - 1].time &&
           s[begin - 1].event == s[end - 1].event)
        begin--;
    return begin;
}

/* The same pairs from their other end, from the earliest on: the tree holds the events that came before. */
static void walk_back(struct seen *s, size_t n, uint32_t *tree)
{
    size_t events = 0, last = n;

    memset(tree, 0, (n + 1) * sizeof *tree);
    for (size_t end = n, begin; end > 0; end = begin) {
        if (s[end - 1].stratum != s[last - 1].stratum) {
            memset(tree, 0, (n + 1) * sizeof *tree);
            events = 0;
            last = end;
        }
        begin = group_begin(s, end);
        for (size_t k = begin; k < end; k++) {
            double below = count_to(tree, s[k].rank - 1), up_to = count_to(tree, s[k].rank);

            s[k].right += (double)events - (below + up_to) / 2;
            s[k].pairs += (double)events;
        }
        for (size_t k = begin; k < end && s[begin].event; k++, events++)
            count_add(tree, n, s[k].rank);
    }
}

static double error_of(const struct seen *s, size_t n, const struct ym_concordance *c)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double pull = (s[i].right - c->index * s[i].pairs) / c->comparable;

        sum += pull * pull;
    }
    return sqrt(sum);
}

struct ym_concordance ym_concordance_of(const double *risk, const double *time, const uint8_t *event,
                                        const uint32_t *stratum, size_t n)
{
    struct ym_concordance c = {NAN, NAN, NAN, NAN, NAN};
    struct seen *s = calloc(n + 1, sizeof *s);
    uint32_t *tree = calloc(n + 1, sizeof *tree);
    double sum = 0;

    for (size_t i = 0; s && i < n; i++) {
        s[i] = (struct seen){risk[i], time[i], stratum ? stratum[i] : 0, event[i], 0, 0, 0};
        sum += isnan(risk[i]) || isnan(time[i]);
    }
    if (s && tree && sum == 0) {
        c = (struct ym_concordance){0};
        qsort(s, n, sizeof *s, by_risk);
        for (size_t i = 0; i < n; i++)
            s[i].rank = i > 0 && s[i].risk == s[i - 1].risk ? s[i - 1].rank : i + 1;
        qsort(s, n, sizeof *s, by_time);
        walk(s, n, tree, &c);
        c.index = (c.concordant + c.tied / 2) / c.comparable;
        walk_back(s, n, tree);
        c.se = error_of(s, n, &c);
    }
    free(s);
    free(tree);
    return c;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/audit/facts.h"

/* Points of all curves for which the certified accountant is asked: tens of milliseconds each. */
enum { CERTIFIED_POINTS = 64, CERTIFIED_A_CURVE = 12 };

#define COPY(to, text) snprintf((to), sizeof(to), "%s", (text))

static size_t group_of(const struct facts *f, const char *hospital, const char *dataset)
{
    for (size_t i = f->card_count; i-- > 0;)
        if (strcmp(f->card[i].hospital, hospital) == 0 && strcmp(f->card[i].dataset, dataset) == 0)
            return f->card[i].group;
    return SIZE_MAX;
}

static size_t others_in(const struct facts *f, const struct fact_budget *b, const char *hospital)
{
    size_t more = 0;

    for (size_t i = 0; i < f->card_count; i++) {
        const struct fact_card *c = &f->card[i];
        bool again = strcmp(c->dataset, b->dataset) == 0;

        for (size_t k = 0; k < i && !again; k++)
            again = strcmp(f->card[k].hospital, hospital) == 0 && strcmp(f->card[k].dataset, c->dataset) == 0;
        more += !again && c->group == b->group && strcmp(c->hospital, hospital) == 0;
    }
    return more;
}

static struct fact_budget *budget_of(const struct ym_verification *v, struct facts *f, const struct ym_charge_line *l)
{
    const char *hospital = v->log[l->log].name;
    size_t group = group_of(f, hospital, l->dataset);
    struct fact_budget *b;

    for (size_t i = 0; i < f->budget_count; i++)
        if (f->budget[i].log == l->log && f->budget[i].group == group)
            return &f->budget[i];
    b = AUDIT_GROW(f->budget, f->budget_count);
    if (!b)
        return NULL;
    b->log = l->log;
    b->group = group;
    COPY(b->dataset, l->dataset);
    b->more = others_in(f, b, hospital);
    return b;
}

static size_t study_named(const struct facts *f, const char *name)
{
    for (size_t i = 0; i < f->study_count; i++)
        if (strcmp(f->study[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static bool add_point(const struct ym_verification *v, struct facts *f, const struct ym_charge_line *l)
{
    struct fact_budget *b = budget_of(v, f, l);
    struct fact_point *p = b ? AUDIT_GROW(b->point, b->count) : NULL;

    if (!p)
        return false;
    b->delta_e18 = l->delta_e18;
    b->order_milli = l->order_milli;
    b->month_micro = l->month_micro;
    b->month_limit_micro = l->month_limit_micro;
    *p = (struct fact_point){.spent_micro = l->spent_micro,
                             .cap_micro = l->cap_micro,
                             .tight_micro = l->tight_micro,
                             .certified_micro = -1,
                             .study = study_named(f, l->study),
                             .round = l->round};
    return true;
}

struct curve {
    const struct ym_verification *v;
    const struct facts *f;
    struct fact_budget *b;
    struct ym_spend spend;
    struct ym_spend_cache *cache;
    size_t points;
};

static int by_place(const void *a, const void *b)
{
    const struct fact_charge *x = a, *y = b;

    if (x->log != y->log)
        return x->log < y->log ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

/* Charges were read log by log, in order. */
const struct fact_charge *audit_facts_charge(const struct facts *f, const struct ym_charge_line *l)
{
    struct fact_charge place = {.log = l->log, .entry = l->entry};

    return f->charge_count ? bsearch(&place, f->charge, f->charge_count, sizeof(place), by_place) : NULL;
}

/* Of n points, those that get a certified figure: evenly, the last one always. */
static bool chosen(size_t i, size_t n, size_t points)
{
    return i + 1 == n || (i + 1) * points / n != i * points / n;
}

/* What a recover says was lost is in the verifier's own figure alone, so only that one is shown. */
static void take_last(struct curve *c)
{
    for (size_t k = c->v->charge_count; k-- > 0;) {
        const struct ym_charge_line *l = &c->v->charge[k];

        if (l->log != c->b->log || group_of(c->f, c->v->log[l->log].name, l->dataset) != c->b->group)
            continue;
        if (l->certified_micro)
            c->b->point[c->b->count - 1].certified_micro = l->certified_micro;
        c->b->certified = l->certified_micro != 0;
        return;
    }
}

static void certify(struct curve *c)
{
    size_t i = 0;

    for (size_t k = 0; k < c->v->charge_count; k++) {
        const struct ym_charge_line *l = &c->v->charge[k];
        const struct fact_charge *charge;
        struct ym_tight t;

        if (l->log != c->b->log || group_of(c->f, c->v->log[l->log].name, l->dataset) != c->b->group)
            continue;
        charge = audit_facts_charge(c->f, l);
        if (!charge || charge->events.count == 0 || ym_spend_add_all(&c->spend, &charge->events, NULL) != YM_OK)
            return;
        if (chosen(i, c->b->count, c->points) &&
            ym_spend_tight(&c->spend, NULL, l->delta_e18, c->cache, &t, NULL) == YM_OK && t.certified)
            c->b->point[i].certified_micro = t.micro;
        i++;
    }
    c->b->certified = i == c->b->count && i > 0 && c->b->point[i - 1].certified_micro >= 0;
}

enum ym_code audit_facts_budget(const struct ym_verification *v, struct facts *f, struct ym_status *st)
{
    struct ym_spend_cache *cache = ym_spend_cache_new();
    bool good = cache != NULL;

    for (size_t i = 0; good && i < v->charge_count; i++)
        good = add_point(v, f, &v->charge[i]);
    for (size_t i = 0; good && i < f->budget_count; i++) {
        size_t share = CERTIFIED_POINTS / f->budget_count;
        struct curve c = {.v = v,
                          .f = f,
                          .b = &f->budget[i],
                          .cache = cache,
                          .points = share < 1                   ? 1
                                    : share > CERTIFIED_A_CURVE ? CERTIFIED_A_CURVE
                                                                : share};

        if (v->log[c.b->log].recovers)
            take_last(&c);
        else
            certify(&c);
        ym_spend_release(&c.spend);
    }
    ym_spend_cache_free(cache);
    return good ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "out of memory");
}

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

/* One exporter, several hospitals (docs/border.md): a charge's decision counts, besides the hospital's own people,
 * what the other hospitals' charges said in the hub's log before the round was opened. */

enum { STEPS_MOST = 4096 }; /* looked at, back from a hospital's newest figure */

struct step { /* a figure rises */
    uint64_t at;
    int64_t people;
    uint64_t before; /* 1 + the one before it; 0: none */
};

struct line { /* of one hospital, exporter and year */
    char by[64];
    uint64_t newest, next; /* 1 + a step; 1 + another hospital's line */
};

struct pass {
    struct ym_check *c;
    size_t i;
    const struct ym_entry *e;
    struct line *line;
    struct step *step;
    size_t line_count, step_count;
    struct ym_vmap places;
};

#define ATTEMPT "o|%s|%" PRId64 "|%" PRId64
#define ATTEMPT_OF(e) ym_entry_text(e, "study"), ym_entry_int(e, "round"), ym_entry_int(e, "attempt")

/* ---- figures ---- */

static void *room(struct pass *p, void *list, size_t count, size_t each)
{
    void *grown = realloc(list, (count + 1) * each);

    p->c->no_memory |= !grown;
    return grown;
}

static struct line *line_of(struct pass *p, const char *exporter, int64_t year)
{
    struct line *grown;
    uint64_t at = 0;

    if (ym_vmap_get(&p->places, &at, "l|%s|%" PRId64 "|%s", exporter, year, p->e->by))
        return &p->line[at];
    grown = room(p, p->line, p->line_count, sizeof *grown);
    if (!grown)
        return NULL;
    p->line = grown;
    grown += p->line_count;
    *grown = (struct line){.newest = 0};
    snprintf(grown->by, sizeof grown->by, "%s", p->e->by);
    ym_vmap_get(&p->places, &grown->next, "x|%s|%" PRId64, exporter, year);
    ym_check_keep(p->c, &p->places, p->line_count, "l|%s|%" PRId64 "|%s", exporter, year, p->e->by);
    ym_check_keep(p->c, &p->places, ++p->line_count, "x|%s|%" PRId64, exporter, year);
    return grown;
}

static void take_figure(struct pass *p, const struct ym_entry_people *y)
{
    struct line *l = line_of(p, ym_entry_text(p->e, "exporter"), y->year);
    struct step *grown;

    if (!l || (l->newest && y->people <= p->step[l->newest - 1].people))
        return;
    grown = room(p, p->step, p->step_count, sizeof *grown);
    if (!grown)
        return;
    p->step = grown;
    grown[p->step_count] = (struct step){p->i, y->people, l->newest};
    l->newest = ++p->step_count;
}

/* What it had said before that entry. */
static int64_t figure_at(const struct pass *p, const struct line *l, uint64_t entry)
{
    uint64_t at = l->newest;

    for (int k = 0; at > 0 && k < STEPS_MOST; k++, at = p->step[at - 1].before)
        if (p->step[at - 1].at < entry)
            return p->step[at - 1].people;
    return 0;
}

static int64_t others_of(const struct pass *p, const char *exporter, int year, uint64_t entry)
{
    uint64_t at = 0;
    int64_t sum = 0;

    ym_vmap_get(&p->places, &at, "x|%s|%d", exporter, year);
    for (; at > 0; at = p->line[at - 1].next)
        if (strcmp(p->line[at - 1].by, p->e->by) != 0)
            sum += figure_at(p, &p->line[at - 1], entry);
    return sum;
}

/* Of every exporter that the hospital itself had charged for by then: another name does not begin at nothing. */
static int64_t others(const struct pass *p, size_t site, size_t charge, int year, uint64_t entry)
{
    const struct ym_verification *v = p->c->v;
    int64_t sum = 0;

    for (size_t k = 0; k < v->people_count; k++)
        if (v->people[k].log == site && v->people[k].year == year && v->people[k].first <= charge)
            sum += others_of(p, v->people[k].exporter, year, entry);
    return sum;
}

/* ---- charges ---- */

static void check_charge(struct pass *p)
{
    size_t site = ym_check_hospital(p->c, p->e->by);
    const struct ym_vmap *seen = site == YM_NO_LOG ? NULL : &p->c->log[site].seen;
    uint64_t at = 0, left = 0, year = 0, opened = 0;
    int64_t sum;

    if (!seen || !ym_vmap_get(seen, &at, "h|%s", p->e->hash) || !ym_vmap_get(seen, &left, "n|%s", p->e->hash) ||
        !ym_vmap_get(seen, &year, "N|%s", p->e->hash) || !ym_vmap_get(&p->places, &opened, ATTEMPT, ATTEMPT_OF(p->e)))
        return; /* not its own words, no rule sets asked, or said by another rule */
    sum = others(p, site, YM_SEEN_AT(at), (int)year, opened);
    if (sum > (int64_t)left)
        ym_check_find(p->c, site, (int64_t)YM_SEEN_AT(at), YM_REASON_DECISION_PEOPLE,
                      "its decision counts %" PRIu64
                      " people besides its own, and other hospitals' charges for the same exporter say %" PRId64
                      " for %d before the hub's entry %" PRIu64 " opened the round",
                      left, sum, (int)year, opened);
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;
    struct ym_entry_people year;

    p->i = i;
    p->e = e;
    if (e->type == YM_ENTRY_ROUND_OPEN)
        ym_check_keep(p->c, &p->places, i, ATTEMPT, ATTEMPT_OF(e));
    if (e->type != YM_ENTRY_CHARGE)
        return;
    check_charge(p);
    for (size_t k = 0; ym_entry_people_at(e, k, &year); k++)
        take_figure(p, &year);
}

static void *begin(struct ym_check *c, size_t hub)
{
    struct pass *p = calloc(1, sizeof(*p));

    (void)hub;
    if (p)
        p->c = c;
    return p;
}

static void end(void *pass)
{
    struct pass *p = pass;

    ym_vmap_release(&p->places);
    free(p->line);
    free(p->step);
    free(p);
}

const struct ym_rule ym_rule_exporter = {begin, take, end};

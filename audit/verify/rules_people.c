#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "base/calendar.h"

/* How many people a hospital's charges say stand behind them (docs/border.md,
 * "People"), and how many withdrew: numbers that never fall, of the year that the
 * charge and its release are of, and no more than the rule sets were asked with. */

enum { CLASS = 100, SKEW_S = 300, YEARS = 2 };

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    struct ym_people_line *slot; /* one exporter and year each */
    size_t slot_count;
    struct ym_vmap places;
    int64_t returned; /* so many of the next entries come back from a ledger that lost them */
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)

static struct ym_people_line *slot_of(struct pass *p, const char *exporter, int64_t year)
{
    struct ym_people_line *grown;
    uint64_t at;

    if (ym_vmap_get(&p->places, &at, "x|%s|%" PRId64, exporter, year))
        return &p->slot[at];
    grown = realloc(p->slot, (p->slot_count + 1) * sizeof *grown);
    if (!grown) {
        p->c->no_memory = true;
        return NULL;
    }
    p->slot = grown;
    ym_check_keep(p->c, &p->places, p->slot_count, "x|%s|%" PRId64, exporter, year);
    grown += p->slot_count++;
    *grown = (struct ym_people_line){.log = p->log, .year = (int)year, .first = p->i};
    snprintf(grown->exporter, sizeof grown->exporter, "%s", exporter);
    return grown;
}

/* Years that a charge counts in; how many. */
static size_t years_of(const struct ym_entry *charge, struct ym_entry_people year[YEARS])
{
    size_t n = 0;

    while (n < YEARS && ym_entry_people_at(charge, n, &year[n]))
        n++;
    return n;
}

static bool counts_in(const struct ym_entry_people *year, size_t n, int64_t unix_s)
{
    for (size_t k = 0; k < n; k++)
        if (year[k].year == ym_year_of(unix_s))
            return true;
    return false;
}

/* The least that stands behind the year's charges by now, all names of the exporter together: counts are rounded up. */
static int64_t least(const struct pass *p, int year)
{
    uint64_t sum = 0;

    ym_vmap_get(&p->places, &sum, "y|%d", year);
    return ((int64_t)sum + CLASS - 1) / CLASS * CLASS;
}

static void raise_least(struct pass *p, int year, int64_t from, int64_t to)
{
    uint64_t sum = 0;

    ym_vmap_get(&p->places, &sum, "y|%d", year);
    ym_check_keep(p->c, &p->places, sum + (uint64_t)(to - (from > 0 ? from : CLASS - 1)), "y|%d", year);
}

static void take_year(struct pass *p, const char *exporter, const struct ym_entry_people *y, bool returned)
{
    struct ym_people_line *s = slot_of(p, exporter, y->year);

    if (!s)
        return;
    if (!returned && y->people < s->people)
        FIND(p, PEOPLE_FELL, "%" PRId64 " people in %d, and %" PRId64 " by entry %" PRIu64 " already", y->people,
             s->year, s->people, s->entry);
    if (y->people <= s->people)
        return;
    raise_least(p, s->year, s->people, y->people);
    s->people = y->people;
    s->entry = p->i;
}

/* A decision may be of the year that begins between it and its charge. */
static void check_decision(struct pass *p, const struct ym_entry_people *year, size_t n)
{
    const char *decision = ym_entry_text(p->e, "decision");
    int64_t time = ym_entry_int(p->e, "time");
    uint64_t asked, at;
    int64_t own;

    if (!ym_vmap_get(&p->places, &asked, "n|%s", decision) || !ym_vmap_get(&p->places, &at, "t|%s", decision))
        return; /* rule sets not asked, or a finding of theirs */
    if ((int64_t)at > time && (int64_t)at - time <= SKEW_S && counts_in(year, n, (int64_t)at))
        time = (int64_t)at;
    own = least(p, ym_year_of(time));
    if ((int64_t)asked < own) {
        FIND(p, DECISION_PEOPLE,
             "its decision was made for %" PRIu64 " people, and at least %" PRId64 " stand behind"
             " %d's charges",
             asked, own, ym_year_of(time));
        return;
    }
    ym_check_keep(p->c, &p->c->log[p->log].seen, asked - (uint64_t)own, "n|%s", p->e->hash);
    ym_check_keep(p->c, &p->c->log[p->log].seen, (uint64_t)ym_year_of(time), "N|%s", p->e->hash);
}

static void take_charge(struct pass *p, bool returned)
{
    struct ym_entry_people year[YEARS];
    size_t n = years_of(p->e, year);

    for (size_t k = 0; k < n; k++)
        take_year(p, ym_entry_text(p->e, "exporter"), &year[k], returned);
    if (!counts_in(year, n, ym_entry_int(p->e, "time")))
        FIND(p, PEOPLE_YEAR, "it counts nobody in %d, the year that it is of", ym_year_of(ym_entry_int(p->e, "time")));
    if (!returned)
        check_decision(p, year, n);
}

static void take_release(struct pass *p)
{
    struct ym_entry_people year[YEARS];
    struct ym_lookup charge;
    uint64_t value;
    int64_t time = ym_entry_int(p->e, "time");

    if (!ym_vmap_get(&p->c->log[p->log].seen, &value, "h|%s", ym_entry_text(p->e, "charge")))
        return; /* said by the budget's pass */
    if (ym_check_entry(p->c, p->log, YM_SEEN_AT(value), &charge) && !counts_in(year, years_of(charge.e, year), time))
        FIND(p, PEOPLE_YEAR, "released in %d, for which its charge, entry %zu, counts nobody", ym_year_of(time),
             YM_SEEN_AT(value));
    ym_check_entry_end(&charge);
}

static void take_withdrawal(struct pass *p)
{
    const char *dataset = ym_entry_text(p->e, "dataset");
    int64_t people = ym_entry_int(p->e, "people");
    uint64_t before = 0;

    ym_vmap_get(&p->places, &before, "w|%s", dataset);
    if (people % CLASS != 0)
        FIND(p, WITHDRAWAL_FELL, "%" PRId64 " people, which is no multiple of %d", people, CLASS);
    if (people < (int64_t)before)
        FIND(p, WITHDRAWAL_FELL, "%" PRId64 " people withdrew from '%s', where %" PRIu64 " had", people, dataset,
             before);
    ym_check_keep(p->c, &p->places, people > (int64_t)before ? (uint64_t)people : before, "w|%s", dataset);
}

static void take_decision(struct pass *p)
{
    int64_t sensitive = ym_entry_count(p->e, "facts", "people", "n_sensitive");
    int64_t pi = ym_entry_count(p->e, "facts", "people", "n_pi");
    int64_t asked = sensitive < pi ? sensitive : pi;

    ym_check_keep(p->c, &p->places, (uint64_t)(asked > 0 ? asked : 0), "n|%s", p->e->hash);
    ym_check_keep(p->c, &p->places, (uint64_t)ym_entry_int(p->e, "time"), "t|%s", p->e->hash);
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;
    bool returned = p->returned > 0;

    p->i = i;
    p->e = e;
    p->returned -= returned;
    if (e->type == YM_ENTRY_CHARGE)
        take_charge(p, returned);
    else if (e->type == YM_ENTRY_RELEASE)
        take_release(p);
    else if (e->type == YM_ENTRY_WITHDRAWAL)
        take_withdrawal(p);
    else if (e->type == YM_ENTRY_DECISION)
        take_decision(p);
    else if (e->type == YM_ENTRY_RECOVER)
        p->returned = ym_entry_int(e, "count");
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct pass){.c = c, .log = log};
    return p;
}

/* For the report. */
static void keep_lines(struct pass *p)
{
    struct ym_verification *v = p->c->v;
    struct ym_people_line *grown = realloc(v->people, (v->people_count + p->slot_count + 1) * sizeof *grown);

    if (!grown) {
        p->c->no_memory = true;
        return;
    }
    v->people = grown;
    if (p->slot_count)
        memcpy(grown + v->people_count, p->slot, p->slot_count * sizeof *grown);
    v->people_count += p->slot_count;
}

static void end(void *pass)
{
    struct pass *p = pass;

    keep_lines(p);
    free(p->slot);
    ym_vmap_release(&p->places);
    free(p);
}

const struct ym_rule ym_rule_people = {begin, take, end};

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/data/admit.h"
#include "worker/trainer/trainer_internal.h"

/* Who is eligible, and how many people that makes. */

static struct ym_eligible *find(struct ym_trainer *t, const uint8_t plan[YM_HASH_BYTES],
                                const uint8_t data[YM_HASH_BYTES])
{
    for (size_t i = 0; i < YM_TRAINER_COHORTS; i++) {
        struct ym_eligible *e = &t->eligible[i];

        if (e->known && memcmp(e->plan, plan, sizeof e->plan) == 0 && memcmp(e->data, data, sizeof e->data) == 0)
            return e;
    }
    return NULL;
}

void ym_trainer_know_cohort(struct ym_trainer *t, struct ym_job *job)
{
    struct ym_eligible *e = find(t, job->plan->hash, job->data);

    if (!e)
        e = &t->eligible[t->eligible_next++ % YM_TRAINER_COHORTS];
    ym_cohort_release(&e->who);
    *e = (struct ym_eligible){.known = true, .who = job->cohort};
    job->cohort = (struct ym_cohort){0};
    memcpy(e->plan, job->plan->hash, sizeof e->plan);
    memcpy(e->data, job->data, sizeof e->data);
}

const struct ym_cohort *ym_trainer_cohort(const struct ym_trainer *t, const struct ym_plan *plan, const char *dataset)
{
    const struct ym_core_dataset *d = ym_core_dataset_find(t->core, dataset);
    const struct ym_eligible *e = d ? find((struct ym_trainer *)t, plan->hash, d->data) : NULL;

    return e ? &e->who : NULL;
}

/* Whom a question is about: the plan's cohort once it is known; until then everybody in the data set, or nobody and
 * a number that there will be at least. */
struct whom {
    struct ym_cohort who, loaded;
    int64_t least;
    bool unknown;
};

static void whom_release(struct whom *w)
{
    ym_cohort_release(&w->loaded);
}

static struct whom whom(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                        enum ym_people_bound bound)
{
    const struct ym_cohort *known = ym_trainer_cohort(t, plan, dataset);
    struct whom w = {0};
    char path[YM_SITE_PATH];

    if (known) {
        w.who = *known;
    } else if (bound == YM_PEOPLE_MOST) {
        w.unknown = ym_trainer_people_path(t, dataset, path) != YM_OK ||
                    ym_people_load(path, NULL, NULL, 0, &w.loaded, NULL) != YM_OK;
        w.who = w.loaded;
    } else {
        w.unknown = bound == YM_PEOPLE_EXACT;
        w.least = plan->min_patients;
    }
    return w;
}

static int64_t bounded(const struct whom *w, int64_t people)
{
    return w->unknown ? -1 : people < 0 || people > w->least ? people : w->least;
}

static int64_t count_own(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                         enum ym_people_bound bound)
{
    struct whom w = whom(t, plan, card->name, bound);
    uint8_t exporter[YM_HASH_BYTES];
    int64_t people;

    ym_exporter_of(card, exporter);
    people = bounded(&w, ym_meter_with(t->meter, exporter, ym_year_of(ym_clock_unix()), &w.who));
    whom_release(&w);
    return people;
}

/* 28 CFR 202.205, the round in question included. */
static void count_us(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                     enum ym_people_bound bound, struct ym_border_people *n)
{
    struct ym_us_transfer transfer;
    struct whom w;

    if (!ym_us_transfer_of(plan, card, &transfer))
        return;
    w = whom(t, plan, card->name, bound);
    n->us = bounded(&w, ym_us_with(t->us, &transfer, &w.who, ym_clock_unix(), &n->us_categories));
    whom_release(&w);
}

/* ---- others who count for the same exporter ---- */

struct others {
    const struct ym_meter *meter;
    const uint8_t *exporter;
    int year;
    bool strict;    /* this exporter alone; or those that this hospital counted for, too */
    int64_t people; /* of other hospitals */
    json_t *list;   /* {name, people} of each; NULL: not wanted */
};

static void add_hospital(void *ctx, const struct ym_exported *e)
{
    struct others *o = ctx;

    if (e->year != o->year || (memcmp(e->exporter, o->exporter, YM_HASH_BYTES) != 0 &&
                               (o->strict || !ym_meter_knows(o->meter, e->exporter, o->year))))
        return;
    o->people += e->people;
    if (o->list)
        json_array_append_new(o->list, json_pack("{s:s, s:I}", "name", e->by, "people", (json_int_t)e->people));
}

/* The most that a card here declares; -1: one cannot be read. */
static int64_t elsewhere(struct ym_trainer *t)
{
    int64_t most = 0;

    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++) {
        struct ym_card *card = NULL;

        if (ym_site_card(&t->site, ym_core_dataset_at(t->core, i)->name, &card, NULL) != YM_OK)
            return -1;
        most = card->border.elsewhere > most ? card->border.elsewhere : most;
        ym_card_free(card);
    }
    return most;
}

/* Below 0: somebody's people are not known. */
static int64_t count_others(struct ym_trainer *t, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    struct others o = {t->meter, exporter, year, false, 0, NULL};
    int64_t here = ym_meter_others(t->meter, exporter, year), declared = elsewhere(t);

    if (!ym_watch_others(t->watch, add_hospital, &o) || here < 0 || declared < 0)
        return -1;
    return here + o.people + declared;
}

/* What the rule sets are asked with: a new name for the exporter begins where the others stand. */
static int64_t count(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                     enum ym_people_bound bound)
{
    uint8_t exporter[YM_HASH_BYTES];
    int64_t own = count_own(t, plan, card, bound), others;

    ym_exporter_of(card, exporter);
    others = count_others(t, exporter, ym_year_of(ym_clock_unix()));
    return own < 0 || others < 0 ? -1 : own + others;
}

/* Below 0 where the frozen set cannot be read. */
static void admitted(const struct ym_trainer *t, const struct ym_card *card, const struct ym_consent_need *need,
                     struct ym_border_people *n)
{
    const struct ym_cohort *who = ym_withdrawn_of(t->withdrawn, card->name);
    struct ym_admission a = {0};
    struct ym_buf consent = {0};
    char path[YM_SITE_PATH], people[YM_SITE_PATH];
    uint8_t *gone = NULL;
    int64_t rows;

    if (ym_trainer_data_path(t, card->name, path) == YM_OK && ym_trainer_people_path(t, card->name, people) == YM_OK &&
        ym_frozen_consents(path, &consent, &rows, NULL) == YM_OK && (gone = calloc(consent.len / 8 + 1, 1)) != NULL &&
        ym_people_mark(people, NULL, who, gone, consent.len / 8, NULL) == YM_OK &&
        ym_admit(need, (const uint64_t *)(const void *)consent.data, gone, consent.len / 8, &a, NULL) == YM_OK) {
        n->records = rows;
        n->eligible = (int64_t)a.left;
    }
    free(gone);
    ym_admission_release(&a);
    ym_buf_release(&consent);
}

struct ym_border_people ym_trainer_count(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                                         enum ym_people_bound bound)
{
    const struct ym_cohort *known = ym_trainer_cohort(t, plan, card->name);
    struct ym_border_people n = {.people = count(t, plan, card, bound), .records = -1, .eligible = -1};
    struct ym_consent_need need;

    count_us(t, plan, card, bound, &n);
    ym_border_consent(t->border, plan, card, ym_clock_unix(), &need);
    admitted(t, card, &need, &n);
    if (!need.asked)
        n.eligible = -1;
    else if (known && (int64_t)known->count < n.eligible)
        n.eligible = (int64_t)known->count;
    return n;
}

/* ---- the desk ---- */

/* Counts at which a label may change, of every signed set in force: {fact, from, ruleset}. */
static void add_limits(json_t *list, const struct ym_rules *r, enum ym_people fact)
{
    const struct ym_bands *b = &r->bands[fact];

    for (size_t i = 0; i < b->count; i++)
        if (b->from[i] > 1)
            json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "fact", ym_people_word(fact), "from",
                                                  (json_int_t)b->from[i], "ruleset", r->name));
}

static json_t *limits_json(const struct ym_trainer *t)
{
    char today[YM_DATE_BYTES];
    json_t *list = json_array();

    ym_date_of(ym_clock_unix(), today);
    for (size_t i = 0; i < ym_border_rules_count(t->border); i++) {
        const struct ym_rules *r = ym_border_rules_at(t->border, i);

        if (r->draft || strcmp(r->effective_from, today) > 0)
            continue;
        add_limits(list, r, YM_PEOPLE_SENSITIVE);
        add_limits(list, r, YM_PEOPLE_PI);
    }
    return list;
}

/* How much of each limit so many people are, and the highest warning that this reaches: 0, 50, 80, 95 or 100 percent.
 */
static json_t *shares_json(const json_t *limits, int64_t people)
{
    json_t *list = json_array(), *limit;
    size_t i;

    json_array_foreach(limits, i, limit)
    {
        int64_t from = json_integer_value(json_object_get(limit, "from"));
        json_t *o = json_copy(limit);

        json_object_set_new(o, "left", json_integer(people < from ? from - 1 - people : 0));
        json_object_set_new(o, "warn", json_integer(ym_meter_mark(people, from)));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *find_row(json_t *list, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    uint8_t hash[YM_HASH_BYTES];
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (json_integer_value(json_object_get(row, "year")) == year &&
            ym_json_get_hash(row, "exporter", hash, NULL) == YM_OK && memcmp(hash, exporter, sizeof hash) == 0)
            return row;
    }
    return NULL;
}

/* Who exports, as the cards here have it, with a row for whom nobody was counted for yet. */
static void name_exporters(struct ym_trainer *t, json_t *list, int year)
{
    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++) {
        struct ym_card *card = NULL;
        uint8_t hash[YM_HASH_BYTES];

        if (ym_site_card(&t->site, ym_core_dataset_at(t->core, i)->name, &card, NULL) != YM_OK)
            continue;
        ym_exporter_of(card, hash);
        if (!find_row(list, hash, year)) {
            json_t *row = json_pack("{s:i, s:i, s:i}", "year", year, "people", 0, "lost", 0);

            ym_json_set_hash(row, "exporter", hash);
            json_array_append_new(list, row);
        }
        for (int y = year - 1; y <= year + 1; y++)
            json_object_set_new(find_row(list, hash, y), "name", json_string(card->border.exporter));
        ym_card_free(card);
    }
}

/* The hospital's own people and all others whom the rule sets are told of. */
static void add_others(struct ym_trainer *t, json_t *row, const json_t *limits, int year)
{
    uint8_t exporter[YM_HASH_BYTES];
    struct others o = {t->meter, exporter, (int)json_integer_value(json_object_get(row, "year")),
                       true,     0,        json_array()};
    int64_t others = -1, people = json_integer_value(json_object_get(row, "people"));

    if (!json_object_get(row, "name"))
        json_object_set_new(row, "name", json_string(""));
    if (ym_json_get_hash(row, "exporter", exporter, NULL) == YM_OK) {
        others = count_others(t, exporter, o.year);
        ym_watch_others(t->watch, add_hospital, &o);
    }
    json_object_set_new(row, "hospitals", o.list);
    json_object_set_new(row, "elsewhere", json_integer(elsewhere(t)));
    json_object_set_new(row, "sum", json_integer(others < 0 ? -1 : people + others));
    if (o.year == year)
        json_object_set_new(row, "limits", shares_json(limits, others < 0 ? INT64_MAX / 100 : people + others));
}

static json_t *meters_json(struct ym_trainer *t, const json_t *limits, int year)
{
    json_t *list = ym_meter_json(t->meter), *row;
    size_t i;

    name_exporters(t, list, year);
    json_array_foreach(list, i, row) add_others(t, row, limits, year);
    return list;
}

/* What a round of the study would make of the count today. */
static enum ym_code forecast_json(struct ym_trainer *t, const char *plan, const char *dataset, const json_t *limits,
                                  json_t **out, struct ym_status *st)
{
    struct ym_core_study *s;
    struct ym_card *card = NULL;
    enum ym_code code = ym_core_find(t->core, plan, &s, st);

    if (code == YM_OK && !dataset[0])
        dataset = s->dataset;
    if (code == YM_OK && !ym_core_dataset_find(t->core, dataset))
        code = ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NEED_DATASET));
    if (code == YM_OK)
        code = ym_site_card(&t->site, dataset, &card, st);
    if (code != YM_OK)
        return code;
    struct ym_border_people n = ym_trainer_count(t, s->plan, card, YM_PEOPLE_MOST);
    const struct ym_cohort *known = ym_trainer_cohort(t, s->plan, dataset);
    uint8_t exporter[YM_HASH_BYTES];
    int year = ym_year_of(ym_clock_unix());
    int64_t others;

    ym_exporter_of(card, exporter);
    others = count_others(t, exporter, year);
    *out = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:o}", "study", s->study, "dataset", dataset, "name",
                     card->border.exporter, "exact", known != NULL, "cohort",
                     (json_int_t)(known ? (int64_t)known->count : -1), "before",
                     (json_int_t)(ym_meter_counted(t->meter, exporter, year) + (others > 0 ? others : 0)), "people",
                     (json_int_t)n.people, "limits", shares_json(limits, n.people < 0 ? 0 : n.people));
    if (n.us_categories) {
        json_object_set_new(*out, "us", json_integer(n.us));
        json_object_set_new(*out, "us_limits", ym_trainer_us_limits(t, n.us_categories, n.us < 0 ? 0 : n.us));
    }
    ym_card_free(card);
    return YM_OK;
}

enum ym_code ym_trainer_people(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    int year = ym_year_of(ym_clock_unix());
    json_t *limits = limits_json(t), *forecast = NULL;
    enum ym_code code = ym_trainer_text(request, "plan")[0]
                            ? forecast_json(t, ym_trainer_text(request, "plan"), ym_trainer_text(request, "dataset"),
                                            limits, &forecast, st)
                            : YM_OK;

    if (code == YM_OK)
        *reply = json_pack("{s:b, s:s, s:i, s:o, s:o, s:o}", "ok", 1, "name", t->site.name, "year", year, "exporters",
                           meters_json(t, limits, year), "us", ym_trainer_us_json(t), "forecast",
                           forecast ? forecast : json_null());
    json_decref(limits);
    return code;
}

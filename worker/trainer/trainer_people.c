#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
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

/* With everybody in the data set on top. */
static int64_t count_most(struct ym_trainer *t, const char *dataset, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    struct ym_cohort all = {0};
    char path[YM_SITE_PATH];
    int64_t people = -1;

    if (ym_trainer_people_path(t, dataset, path) == YM_OK && ym_people_load(path, NULL, NULL, 0, &all, NULL) == YM_OK)
        people = ym_meter_with(t->meter, exporter, year, &all);
    ym_cohort_release(&all);
    return people;
}

static int64_t count(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                     enum ym_people_bound bound)
{
    const struct ym_cohort *known = ym_trainer_cohort(t, plan, card->name);
    uint8_t exporter[YM_HASH_BYTES];
    int year = ym_year_of(ym_clock_unix());
    int64_t before;

    ym_exporter_of(card, exporter);
    if (known)
        return ym_meter_with(t->meter, exporter, year, known);
    if (bound == YM_PEOPLE_MOST)
        return count_most(t, card->name, exporter, year);
    if (bound == YM_PEOPLE_EXACT)
        return -1;
    before = ym_meter_counted(t->meter, exporter, year);
    return before < 0 || before > plan->min_patients ? before : plan->min_patients;
}

/* Below 0 where the frozen set cannot be read. */
static void admitted(const struct ym_trainer *t, const struct ym_card *card, const struct ym_consent_need *need,
                     struct ym_border_people *n)
{
    struct ym_admission a = {0};
    struct ym_buf consent = {0};
    char path[YM_SITE_PATH];
    int64_t rows;

    if (ym_trainer_data_path(t, card->name, path) == YM_OK &&
        ym_frozen_consents(path, &consent, &rows, NULL) == YM_OK &&
        ym_admit(need, (const uint64_t *)(const void *)consent.data, consent.len / 8, &a, NULL) == YM_OK) {
        n->records = rows;
        n->eligible = (int64_t)a.left;
    }
    ym_admission_release(&a);
    ym_buf_release(&consent);
}

struct ym_border_people ym_trainer_count(struct ym_trainer *t, const struct ym_plan *plan, const struct ym_card *card,
                                         enum ym_people_bound bound)
{
    const struct ym_cohort *known = ym_trainer_cohort(t, plan, card->name);
    struct ym_border_people n = {count(t, plan, card, bound), -1, -1};
    struct ym_consent_need need;

    ym_border_consent(t->border, plan, card, ym_clock_unix(), &need);
    admitted(t, card, &need, &n);
    if (!need.asked)
        n.eligible = -1;
    else if (known && (int64_t)known->count < n.eligible)
        n.eligible = (int64_t)known->count;
    return n;
}

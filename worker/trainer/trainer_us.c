#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/json.h"
#include "worker/trainer/trainer_internal.h"

/* What the desk is told of US persons. */

/* "More than 100": reached at 100, where the last warning is, and passed at 101, where the label changes. */
static json_t *share(const struct ym_rules *r, enum ym_people fact, int64_t from, int64_t people)
{
    int64_t reached = from - 1;

    return json_pack("{s:s, s:I, s:s, s:I, s:I}", "fact", ym_people_word(fact), "from", (json_int_t)from, "ruleset",
                     r->name, "left", (json_int_t)(people < reached ? reached - people : 0), "warn",
                     (json_int_t)ym_meter_mark(people, reached));
}

static void add_shares(json_t *list, const struct ym_rules *r, unsigned category, int64_t people)
{
    enum ym_people fact = (enum ym_people)(YM_PEOPLE_US_GENOME + category);
    const struct ym_bands *b = &r->bands[fact];

    for (size_t i = 0; i < b->count; i++)
        if (b->from[i] > 1)
            json_array_append_new(list, share(r, fact, b->from[i], people));
}

json_t *ym_trainer_us_limits(const struct ym_trainer *t, unsigned categories, int64_t people)
{
    char today[YM_DATE_BYTES];
    json_t *list = json_array();

    ym_date_of(ym_clock_unix(), today);
    for (size_t i = 0; i < ym_border_rules_count(t->border); i++) {
        const struct ym_rules *r = ym_border_rules_at(t->border, i);

        for (unsigned c = 0; !r->draft && strcmp(r->effective_from, today) <= 0 && c < YM_US_CATEGORIES; c++)
            if (categories >> c & 1)
                add_shares(list, r, c, people);
    }
    return list;
}

static void name_party(struct ym_trainer *t, json_t *row)
{
    uint8_t want[YM_HASH_BYTES], hash[YM_HASH_BYTES];

    json_object_set_new(row, "party_name", json_string(""));
    if (ym_json_get_hash(row, "party", want, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++) {
        struct ym_card *card = NULL;

        if (ym_site_card(&t->site, ym_core_dataset_at(t->core, i)->name, &card, NULL) != YM_OK)
            continue;
        ym_exporter_of(card, hash);
        if (memcmp(hash, want, sizeof hash) == 0)
            json_object_set_new(row, "party_name", json_string(card->border.exporter));
        ym_card_free(card);
    }
}

static void name_recipient(struct ym_trainer *t, json_t *row)
{
    uint8_t want[YM_HASH_BYTES], hash[YM_HASH_BYTES];

    json_object_set_new(row, "recipient_name", json_string(""));
    if (ym_json_get_hash(row, "recipient", want, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < ym_core_study_count(t->core); i++) {
        const struct ym_plan *plan = ym_core_study_at(t->core, i)->plan;

        if (!plan)
            continue;
        ym_recipient_of(plan, hash);
        if (memcmp(hash, want, sizeof hash) == 0)
            json_object_set_new(row, "recipient_name", json_string(plan->border.recipient));
    }
}

json_t *ym_trainer_us_json(struct ym_trainer *t)
{
    json_t *list = ym_us_json(t->us, ym_clock_unix()), *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        unsigned categories = (unsigned)json_integer_value(json_object_get(row, "mask"));
        int64_t people = json_integer_value(json_object_get(row, "people"));

        json_object_del(row, "mask");
        name_party(t, row);
        name_recipient(t, row);
        json_object_set_new(row, "limits", ym_trainer_us_limits(t, categories, people));
    }
    return list;
}

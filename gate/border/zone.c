#include "gate/border/zone.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/text.h"
#include "gate/border/evaluate.h"
#include "gate/card.h"
#include "gate/plan.h"
#include "gate/schema.h"

/* From the mildest to the worst. */
static const char *const places[] = {"off_list", "on_list_contract", "on_list_assessment", NULL};

static size_t rank_of(uint8_t zone)
{
    const char *word = ym_choice_value(YM_CHOICE_ZONE, zone);
    size_t i = 0;
    while (places[i] && strcmp(places[i], word) != 0)
        i++;
    return i;
}

/* ---- the list ---- */

void ym_zone_list_free(struct ym_zone_list *z)
{
    if (!z)
        return;
    free(z->area);
    free(z->row);
    free(z);
}

static void read_area(struct ym_schema *s, const struct ym_at *at, struct ym_zone_list *z)
{
    struct ym_at list = ym_schema_list(s, at, "area", 1, YM_ZONE_MOST_AREAS);
    size_t count = ym_schema_count(&list);
    z->area = calloc(count + 1, sizeof *z->area);
    s->exhausted |= !z->area;
    for (size_t i = 0; z->area && i < count; i++) {
        if (!ym_schema_item_text(s, &list, i, z->area[z->area_count], sizeof *z->area))
            continue;
        if (ym_name_valid(z->area[z->area_count]))
            z->area_count++;
        else
            ym_schema_say(s, &list, NULL, "%s", T(SCHEMA_NOT_NAME));
    }
}

static const struct ym_zone_row *last_of(const struct ym_zone_list *z, size_t before, const char *item)
{
    while (before-- > 0)
        if (!strcmp(z->row[before].item, item))
            return &z->row[before];
    return NULL;
}

static void read_row(struct ym_schema *s, struct ym_at *list, size_t i, struct ym_zone_list *z)
{
    static const char *const keys[] = {"item", "from", "list", "en", "zh", "source", NULL};
    static const int64_t everybody = 0;
    struct ym_zone_row *row = &z->row[i];
    struct ym_at at = ym_schema_item(s, list, i);
    const struct ym_zone_row *before;
    size_t place = 0;
    ym_schema_keys(s, &at, keys);
    bool ok = ym_schema_name(s, &at, "item", row->item);
    ok &= ym_schema_int(s, &at, "from", &everybody, 0, INT64_MAX, &row->from);
    ok &= ym_schema_choice(s, &at, "list", NULL, places, &place);
    row->zone = (uint8_t)ym_choice_value_find(YM_CHOICE_ZONE, places[place]);
    ym_schema_text(s, &at, "en", NULL, row->text[0], sizeof row->text[0]);
    ym_schema_text(s, &at, "zh", NULL, row->text[1], sizeof row->text[1]);
    ym_schema_text(s, &at, "source", NULL, row->source, sizeof row->source);
    if (!ok)
        return;
    before = last_of(z, i, row->item);
    if (before ? row->from <= before->from : row->from != 0)
        ym_schema_say(s, &at, "from", "%s", T(RULES_BAND_ORDER));
    if (before && rank_of(row->zone) < rank_of(before->zone))
        ym_schema_say(s, &at, "list", "%s", T(ZONE_MILDER));
}

struct ym_zone_list *ym_zone_read_list(struct ym_schema *s, const struct ym_at *root)
{
    static const char *const keys[] = {"area", "until", "rows", NULL};
    struct ym_zone_list *z = calloc(1, sizeof *z);
    struct ym_at at = ym_schema_object(s, root, "zone", true), list;
    s->exhausted |= !z;
    if (!z)
        return NULL;
    ym_schema_keys(s, &at, keys);
    read_area(s, &at, z);
    if (ym_schema_has(&at, "until") && ym_schema_text(s, &at, "until", NULL, z->until, sizeof z->until) &&
        !ym_date_valid(z->until))
        ym_schema_say(s, &at, "until", "%s", T(RULES_DATE));
    list = ym_schema_list(s, &at, "rows", 1, YM_ZONE_MOST_ROWS);
    z->row = calloc(ym_schema_count(&list) + 1, sizeof *z->row);
    s->exhausted |= !z->row;
    for (; z->row && z->row_count < ym_schema_count(&list); z->row_count++)
        read_row(s, &list, z->row_count, z);
    return z;
}

/* ---- the card ---- */

void ym_card_zone_release(struct ym_card_zone *z)
{
    free(z->item);
    *z = (struct ym_card_zone){0};
}

void ym_zone_read_card(struct ym_schema *s, const struct ym_at *border, struct ym_card_zone *out)
{
    static const char *const keys[] = {"list", "version", "registered", "items", NULL};
    const char *variable;
    json_t *value;
    struct ym_at at = ym_schema_object(s, border, "zone", true), items;
    ym_schema_keys(s, &at, keys);
    ym_schema_name(s, &at, "list", out->list);
    ym_schema_int(s, &at, "version", NULL, 1, INT32_MAX, &out->version);
    ym_schema_text(s, &at, "registered", NULL, out->registered, sizeof out->registered);
    items = ym_schema_object(s, &at, "items", true);
    out->item = calloc(json_object_size(items.value) + 1, sizeof *out->item);
    s->exhausted |= !out->item;
    json_object_foreach((json_t *)items.value, variable, value)
    {
        struct ym_zone_item *item = out->item ? &out->item[out->count] : NULL;
        (void)value;
        if (!ym_name_valid(variable)) {
            ym_schema_say(s, &items, variable, "%s", T(SCHEMA_NOT_NAME));
        } else if (item && ym_schema_pair_text(s, &items, variable, item->item, sizeof item->item)) {
            snprintf(item->variable, sizeof item->variable, "%s", variable);
            out->count++;
        }
    }
}

const char *ym_zone_item_of(const struct ym_card_zone *z, const char *variable)
{
    for (size_t i = 0; i < z->count; i++)
        if (!strcmp(z->item[i].variable, variable))
            return z->item[i].item;
    return "";
}

/* ---- both ---- */

static uint8_t unknown(struct ym_status *st, const char *why, const char *what)
{
    ym_status_set(st, YM_NOT_FOUND, why, what);
    return 0;
}

/* A draft stands in for the signed list of its name, in a forecast. */
static const struct ym_rules *find_list(const struct ym_rules_in *sets, size_t count, const char *name,
                                        const char *today, bool forecast)
{
    const struct ym_rules *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ym_rules *r = sets[i].rules;
        if (sets[i].is_signed && r->zone && !strcmp(r->name, name) && (forecast || !r->draft) &&
            strcmp(r->effective_from, today) <= 0 && (!r->zone->until[0] || strcmp(today, r->zone->until) <= 0) &&
            (!found || r->draft))
            found = r;
    }
    return found;
}

static bool in_area(const struct ym_zone_list *z, const char *province)
{
    for (size_t i = 0; i < z->area_count; i++)
        if (!strcmp(z->area[i], province))
            return true;
    return false;
}

/* The last row of the item that so many people reach; not knowing how many, its only one. */
static const struct ym_zone_row *row_of(const struct ym_zone_list *z, const char *item, int64_t people)
{
    const struct ym_zone_row *found = NULL;
    for (size_t i = 0; i < z->row_count; i++) {
        if (strcmp(z->row[i].item, item) != 0)
            continue;
        if (people < 0 && z->row[i].from > 0)
            return NULL;
        if (z->row[i].from <= people || !z->row[i].from)
            found = &z->row[i];
    }
    return found;
}

uint8_t ym_zone_of(const struct ym_rules_in *sets, size_t count, const struct ym_plan *plan, const struct ym_card *card,
                   int64_t people, const char *today, bool forecast, struct ym_status *st)
{
    const struct ym_card_zone *mine = &card->border.zone;
    if (!mine->list[0])
        return card->border.declared.choice[YM_CHOICE_ZONE];
    const struct ym_rules *r = find_list(sets, count, mine->list, today, forecast);
    uint8_t worst = 0;
    if (!r)
        return unknown(st, T(ZONE_NO_LIST), mine->list);
    if (r->version != mine->version)
        return unknown(st, T(ZONE_OTHER_VERSION), mine->list);
    if (!in_area(r->zone, card->border.province))
        return unknown(st, T(ZONE_NOT_HERE), mine->list);
    for (size_t i = 0; i <= plan->input_count; i++) {
        const char *variable = i < plan->input_count ? plan->input[i].name : plan->outcome.name;
        const struct ym_zone_row *row = row_of(r->zone, ym_zone_item_of(mine, variable), people);
        if (!row)
            return unknown(st, T(ZONE_UNMAPPED), variable);
        if (!worst || rank_of(row->zone) > rank_of(worst))
            worst = row->zone;
    }
    return worst;
}

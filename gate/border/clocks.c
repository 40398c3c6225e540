#include "gate/border/clocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/text.h"
#include "gate/schema.h"

void ym_clocks_free(struct ym_clocks *c)
{
    if (!c)
        return;
    free(c->holiday);
    free(c->workday);
    free(c);
}

/* ---- reading ---- */

static void read_years(struct ym_schema *s, const struct ym_at *at, struct ym_clocks *c)
{
    struct ym_at list = ym_schema_list(s, at, "years", 1, YM_CLOCKS_MOST_YEARS);
    for (size_t i = 0; i < ym_schema_count(&list); i++)
        if (ym_schema_item_int(s, &list, i, 1970, 9999, &c->year[c->year_count]))
            c->year_count++;
}

static void read_dates(struct ym_schema *s, const struct ym_at *at, const char *key, char (**out)[16], size_t *count)
{
    struct ym_at list = ym_schema_list(s, at, key, 0, YM_CLOCKS_MOST_DATES);
    size_t most = ym_schema_count(&list);
    *out = calloc(most + 1, sizeof **out);
    s->exhausted |= !*out;
    for (size_t i = 0; *out && i < most; i++) {
        if (!ym_schema_item_text(s, &list, i, (*out)[*count], sizeof **out))
            continue;
        if (ym_date_valid((*out)[*count]))
            ++*count;
        else
            ym_schema_say(s, at, key, "%s", T(RULES_DATE));
    }
}

static int find_step(const struct ym_clocks *c, const char *id)
{
    for (size_t i = 0; i < c->step_count; i++)
        if (!strcmp(c->step[i].id, id))
            return (int)i;
    return -1;
}

static void read_step(struct ym_schema *s, struct ym_at *list, size_t i, struct ym_clocks *c)
{
    static const char *const keys[] = {"id", "record", "after", "days", "count", "en", "zh", "source", NULL};
    static const char *const counts[] = {"working", "calendar", NULL};
    struct ym_clock_step *step = &c->step[i];
    struct ym_at at = ym_schema_item(s, list, i);
    char record[64], after[64] = "";
    size_t count = 0;
    ym_schema_keys(s, &at, keys);
    if (ym_schema_name(s, &at, "id", step->id) && find_step(c, step->id) >= 0)
        ym_schema_say(s, &at, "id", T(CARD_DUPLICATE), step->id);
    if (ym_schema_text(s, &at, "record", NULL, record, sizeof record)) {
        int found = ym_record_find(record);
        if (found < 0)
            ym_schema_say(s, &at, "record", T(RULES_RECORD), record);
        else
            step->record = (enum ym_record)found;
    }
    if (ym_schema_text(s, &at, "after", "filed", after, sizeof after)) {
        step->after = find_step(c, after);
        if (step->after < 0 && strcmp(after, "filed") != 0)
            ym_schema_say(s, &at, "after", "%s", T(CLOCKS_AFTER));
    }
    ym_schema_int(s, &at, "days", NULL, 1, YM_CLOCKS_MOST_DAYS, &step->days);
    ym_schema_choice(s, &at, "count", "working", counts, &count);
    step->calendar = count;
    ym_schema_text(s, &at, "en", NULL, step->text[0], sizeof step->text[0]);
    ym_schema_text(s, &at, "zh", NULL, step->text[1], sizeof step->text[1]);
    ym_schema_text(s, &at, "source", NULL, step->source, sizeof step->source);
}

struct ym_clocks *ym_clocks_read(struct ym_schema *s, const struct ym_at *root)
{
    static const char *const keys[] = {"years", "holidays", "workdays", "steps", NULL};
    struct ym_clocks *c = calloc(1, sizeof *c);
    struct ym_at at = ym_schema_object(s, root, "clocks", true), list;
    s->exhausted |= !c;
    if (!c)
        return NULL;
    ym_schema_keys(s, &at, keys);
    read_years(s, &at, c);
    read_dates(s, &at, "holidays", &c->holiday, &c->holiday_count);
    read_dates(s, &at, "workdays", &c->workday, &c->workday_count);
    list = ym_schema_list(s, &at, "steps", 1, YM_CLOCKS_MOST_STEPS);
    for (; c->step_count < ym_schema_count(&list); c->step_count++)
        read_step(s, &list, c->step_count, c);
    return c;
}

/* ---- counting ---- */

/* Noon in China of a day counted from 1 January 1970. */
static void date_of_day(int64_t day, char out[YM_DATE_BYTES])
{
    ym_date_of(day * 86400 + 4 * 3600, out);
}

static bool among(char (*const dates)[16], size_t count, const char *date)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(dates[i], date))
            return true;
    return false;
}

static bool works(const struct ym_clocks *c, int64_t day, const char *date)
{
    int64_t weekday = (day + 4) % 7; /* 0: Sunday; 1 January 1970 was a Thursday */
    if (among(c->workday, c->workday_count, date))
        return true;
    return weekday != 0 && weekday != 6 && !among(c->holiday, c->holiday_count, date);
}

static bool known_year(const struct ym_clocks *c, const char *date)
{
    for (size_t i = 0; i < c->year_count; i++)
        if (c->year[i] == strtol(date, NULL, 10))
            return true;
    return false;
}

static bool count_days(const struct ym_clocks *c, const struct ym_clock_step *step, int64_t *day)
{
    char date[YM_DATE_BYTES];
    for (int64_t left = step->days; left > 0;) {
        date_of_day(++*day, date);
        if (!step->calendar && !known_year(c, date))
            return false;
        left -= step->calendar || works(c, *day, date);
    }
    return true;
}

bool ym_clock_due(const struct ym_clocks *c, size_t step, const char *filed, char out[16])
{
    int chain[YM_CLOCKS_MOST_STEPS];
    size_t depth = 0;
    int64_t day = ym_date_days("1970-01-01", filed);
    for (int i = (int)step; i >= 0; i = c->step[i].after)
        chain[depth++] = i;
    while (depth > 0)
        if (!count_days(c, &c->step[chain[--depth]], &day))
            return false;
    date_of_day(day, out);
    return true;
}

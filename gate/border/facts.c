#include "gate/border/facts.h"

#include <string.h>

#include "base/json.h"

struct word {
    const char *word;
    enum ym_office role;
    const char *value[YM_CHOICE_MOST_VALUES];
};

static const struct word choices[] = {
#define CHOICE(id, text, who, ...) {text, YM_OFFICE_##who, {"unknown", __VA_ARGS__}},
    YM_CHOICES(CHOICE)
#undef CHOICE
};
static const struct word people[] = {
#define COUNT(id, text, who) {text, YM_OFFICE_##who, {NULL}},
    YM_COUNTS(COUNT)
#undef COUNT
};
static const struct word records[] = {
#define RECORD(id, text, who) {text, YM_OFFICE_##who, {NULL}},
    YM_RECORDS(RECORD)
#undef RECORD
};
static const char *const roles[YM_OFFICE_COUNT] = {"it", "data_office", "ethics", "audit", "sponsor"};
static const char *const states[YM_RECORD_STATES] = {"absent",     "expired", "out_of_scope",
                                                     "incomplete", "stale",   "live"};

void ym_facts_init(struct ym_facts *f)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        f->people[i] = YM_PEOPLE_UNKNOWN;
}

const char *ym_office_word(enum ym_office role)
{
    return roles[role];
}

const char *ym_choice_word(enum ym_choice c)
{
    return choices[c].word;
}

enum ym_office ym_choice_office(enum ym_choice c)
{
    return choices[c].role;
}

const char *ym_choice_value(enum ym_choice c, unsigned value)
{
    return value < YM_CHOICE_MOST_VALUES ? choices[c].value[value] : NULL;
}

const char *ym_people_word(enum ym_people p)
{
    return people[p].word;
}

enum ym_office ym_people_office(enum ym_people p)
{
    return people[p].role;
}

const char *ym_record_word(enum ym_record r)
{
    return records[r].word;
}

enum ym_office ym_record_office(enum ym_record r)
{
    return records[r].role;
}

const char *ym_record_state_word(enum ym_record_state s)
{
    return states[s];
}

static int find(const struct word *list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].word, word))
            return (int)i;
    return -1;
}

int ym_choice_find(const char *word)
{
    return find(choices, YM_CHOICE_COUNT, word);
}

int ym_people_find(const char *word)
{
    return find(people, YM_PEOPLE_COUNT, word);
}

int ym_record_find(const char *word)
{
    return find(records, YM_RECORD_COUNT, word);
}

int ym_choice_value_find(enum ym_choice c, const char *word)
{
    for (int v = 1; v < YM_CHOICE_MOST_VALUES && choices[c].value[v]; v++)
        if (!strcmp(choices[c].value[v], word))
            return v;
    return -1;
}

json_t *ym_facts_json(const struct ym_facts *f)
{
    json_t *choice = json_object(), *count = json_object(), *record = json_object();
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++)
        if (f->choice[i])
            json_object_set_new(choice, choices[i].word, json_string(choices[i].value[f->choice[i]]));
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        if (f->people[i] >= 0)
            json_object_set_new(count, people[i].word, json_integer(f->people[i]));
    for (size_t i = 0; i < YM_RECORD_COUNT; i++)
        if (f->record[i])
            json_object_set_new(record, records[i].word, json_string(states[f->record[i]]));
    return json_pack("{s:o,s:o,s:o}", "choices", choice, "people", count, "records", record);
}

static enum ym_code unknown_word(const char *word, struct ym_status *st)
{
    return ym_status_set(st, YM_INVALID, "unknown fact \"%.60s\": it was written by a later program", word);
}

static enum ym_code read_choices(const json_t *from, struct ym_facts *f, struct ym_status *st)
{
    const char *word;
    json_t *value;
    json_object_foreach((json_t *)from, word, value)
    {
        int i = ym_choice_find(word);
        int v =
            i < 0 || !json_is_string(value) ? -1 : ym_choice_value_find((enum ym_choice)i, json_string_value(value));
        if (v < 0)
            return unknown_word(word, st);
        f->choice[i] = (uint8_t)v;
    }
    return YM_OK;
}

static enum ym_code read_people(const json_t *from, struct ym_facts *f, struct ym_status *st)
{
    const char *word;
    json_t *value;
    json_object_foreach((json_t *)from, word, value)
    {
        int i = ym_people_find(word);
        if (i < 0 || !json_is_integer(value) || json_integer_value(value) < 0)
            return unknown_word(word, st);
        f->people[i] = json_integer_value(value);
    }
    return YM_OK;
}

static enum ym_code read_records(const json_t *from, struct ym_facts *f, struct ym_status *st)
{
    const char *word;
    json_t *value;
    json_object_foreach((json_t *)from, word, value)
    {
        int i = ym_record_find(word);
        uint8_t s = YM_RECORD_LIVE;
        while (s && !(json_is_string(value) && !strcmp(states[s], json_string_value(value))))
            s--;
        if (i < 0 || !s)
            return unknown_word(word, st);
        f->record[i] = s;
    }
    return YM_OK;
}

enum ym_code ym_facts_read(const json_t *value, struct ym_facts *out, struct ym_status *st)
{
    struct ym_facts f;
    ym_facts_init(&f);
    const json_t *choice = json_object_get(value, "choices"), *count = json_object_get(value, "people");
    const json_t *record = json_object_get(value, "records");
    if (json_object_size(value) != 3 || !json_is_object(choice) || !json_is_object(count) || !json_is_object(record))
        return ym_status_set(st, YM_INVALID, "facts must have exactly choices, people and records");
    enum ym_code code = read_choices(choice, &f, st);
    if (code == YM_OK)
        code = read_people(count, &f, st);
    if (code == YM_OK)
        code = read_records(record, &f, st);
    if (code == YM_OK)
        *out = f;
    return code;
}

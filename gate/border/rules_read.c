#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/text.h"
#include "gate/border/rules.h"
#include "gate/schema.h"

static const char *const track_words[YM_TRACK_COUNT + 1] = {"cac", "hgr", "ethics", "consent", "ai", "us", NULL};
static const char *const label_words[YM_LABEL_COUNT + 1] = {
    "none",       "off_list", "exempt_claim", "record", "contract_or_certificate", "security_assessment",
    "hgr_review", "hold",     "refuse",       NULL};
static const unsigned label_ranks[YM_LABEL_COUNT] = {0, 1, 1, 2, 3, 4, 4, 5, 6};
static const char *const languages[2] = {"en", "zh"};
static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const stop_next[] = {"stop", "next", NULL};

const char *ym_track_word(enum ym_track track)
{
    return track_words[track];
}

const char *ym_label_word(enum ym_label label)
{
    return label_words[label];
}

unsigned ym_label_rank(enum ym_label label)
{
    return label_ranks[label];
}

void ym_rules_free(struct ym_rules *rules)
{
    if (!rules)
        return;
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        free(rules->rule[t]);
    ym_zone_list_free(rules->zone);
    ym_clocks_free(rules->clocks);
    ym_buf_release(&rules->canonical);
    free(rules);
}

/* ---- bands and assumptions ---- */

static void read_band(struct ym_schema *s, struct ym_at *list, size_t i, struct ym_bands *b)
{
    struct ym_at item = ym_schema_item(s, list, i);
    static const char *const keys[] = {"name", "from", NULL};
    char name[64];
    int64_t from;
    ym_schema_keys(s, &item, keys);
    if (ym_schema_name(s, &item, "name", name))
        snprintf(b->name[i], sizeof b->name[i], "%.31s", name);
    if (!ym_schema_int(s, &item, "from", NULL, 0, INT64_MAX, &from))
        return;
    b->from[i] = from;
    if (i ? from <= b->from[i - 1] : from != 0)
        ym_schema_say(s, &item, "from", "%s", T(RULES_BAND_ORDER));
}

static void read_bands(struct ym_schema *s, const struct ym_at *root, struct ym_rules *r)
{
    const char *word;
    json_t *value;
    struct ym_at bands = ym_schema_object(s, root, "bands", false);
    json_object_foreach((json_t *)bands.value, word, value)
    {
        (void)value;
        int which = ym_people_find(word);
        if (which < 0) {
            ym_schema_say(s, &bands, word, "%s", T(RULES_UNKNOWN_WORD));
            continue;
        }
        struct ym_at list = ym_schema_list(s, &bands, word, 2, YM_RULE_MOST_BANDS);
        r->bands[which].count = ym_schema_count(&list);
        for (size_t i = 0; i < r->bands[which].count; i++)
            read_band(s, &list, i, &r->bands[which]);
    }
}

static void read_assume(struct ym_schema *s, const struct ym_at *root, struct ym_rules *r)
{
    const char *word;
    json_t *value;
    struct ym_at assume = ym_schema_object(s, root, "assume", false);
    json_object_foreach((json_t *)assume.value, word, value)
    {
        char text[64];
        (void)value;
        int c = ym_choice_find(word);
        if (!ym_schema_pair_text(s, &assume, word, text, sizeof text))
            continue;
        int v = c < 0 ? -1 : ym_choice_value_find((enum ym_choice)c, text);
        if (v < 0)
            ym_schema_say(s, &assume, word, "%s", T(RULES_UNKNOWN_WORD));
        else
            r->assume[c] = (uint8_t)v;
    }
}

/* ---- one row ---- */

static int band_find(const struct ym_bands *b, const char *name)
{
    for (size_t i = 0; i < b->count; i++)
        if (!strcmp(b->name[i], name))
            return (int)i;
    return -1;
}

/* The bits of a list of words, each looked up by the kind of fact that word is. */
static uint16_t read_values(struct ym_schema *s, struct ym_at *when, const char *word, int choice,
                            const struct ym_bands *bands)
{
    uint16_t mask = 0;
    struct ym_at list = ym_schema_list(s, when, word, 1, YM_CHOICE_MOST_VALUES);
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        char text[64];
        if (!ym_schema_item_text(s, &list, i, text, sizeof text))
            continue;
        int v = bands ? band_find(bands, text) : ym_choice_value_find((enum ym_choice)choice, text);
        if (v < 0)
            ym_schema_say(s, when, word, T(RULES_VALUE), text);
        else
            mask |= (uint16_t)(1u << v);
    }
    return mask;
}

static void read_when(struct ym_schema *s, const struct ym_at *row, const struct ym_rules *r, struct ym_rule *rule)
{
    const char *word;
    json_t *value;
    struct ym_at when = ym_schema_object(s, row, "when", false);
    json_object_foreach((json_t *)when.value, word, value)
    {
        (void)value;
        int c = ym_choice_find(word), p = ym_people_find(word);
        if (c >= 0)
            rule->choice[c] = read_values(s, &when, word, c, NULL);
        else if (p >= 0 && r->bands[p].count)
            rule->people[p] = read_values(s, &when, word, 0, &r->bands[p]);
        else
            ym_schema_say(s, &when, word, "%s", p < 0 ? T(RULES_UNKNOWN_WORD) : T(RULES_NO_BANDS));
    }
}

static uint32_t read_need(struct ym_schema *s, struct ym_at *group)
{
    static const char *const keys[] = {"any", NULL};
    uint32_t bits = 0;
    ym_schema_keys(s, group, keys);
    struct ym_at list = ym_schema_list(s, group, "any", 1, YM_RECORD_COUNT);
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        char text[64];
        if (!ym_schema_item_text(s, &list, i, text, sizeof text))
            continue;
        int record = ym_record_find(text);
        if (record < 0)
            ym_schema_say(s, group, "any", T(RULES_RECORD), text);
        else
            bits |= 1u << record;
    }
    return bits;
}

static void read_texts(struct ym_schema *s, const struct ym_at *at, char *first, size_t size)
{
    for (size_t l = 0; l < 2; l++)
        ym_schema_text(s, at, languages[l], NULL, first + l * size, size);
}

static void read_rule(struct ym_schema *s, struct ym_at *list, size_t i, const struct ym_rules *r, struct ym_rule *rule)
{
    static const char *const keys[] = {"id", "when", "label", "then", "role", "needs", "en", "zh", "source", NULL};
    static const char *const roles[] = {"it", "data_office", "ethics", "audit", "sponsor", NULL};
    struct ym_at row = ym_schema_item(s, list, i);
    size_t label = YM_LABEL_HOLD, role = YM_OFFICE_DATA_OFFICE, then = 0;
    ym_schema_keys(s, &row, keys);
    ym_schema_text(s, &row, "id", NULL, rule->id, sizeof rule->id);
    read_when(s, &row, r, rule);
    ym_schema_choice(s, &row, "label", NULL, label_words, &label);
    ym_schema_choice(s, &row, "role", NULL, roles, &role);
    ym_schema_choice(s, &row, "then", "stop", stop_next, &then);
    rule->label = (enum ym_label)label;
    rule->next = then;
    rule->role = (enum ym_office)role;
    struct ym_at needs = ym_schema_list(s, &row, "needs", 0, YM_RULE_MOST_NEEDS);
    rule->need_count = ym_schema_count(&needs);
    for (size_t n = 0; n < rule->need_count; n++) {
        struct ym_at group = ym_schema_item(s, &needs, n);
        rule->need[n] = read_need(s, &group);
    }
    if (rule->next && !rule->need_count)
        ym_schema_say(s, &row, "then", "%s", T(RULES_NEXT));
    read_texts(s, &row, rule->text[0], sizeof rule->text[0]);
    ym_schema_text(s, &row, "source", NULL, rule->source, sizeof rule->source);
}

static bool repeats_id(const struct ym_rules *r, const struct ym_rule *rule)
{
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        for (size_t i = 0; i < r->rule_count[t]; i++)
            if (&r->rule[t][i] == rule)
                return false;
            else if (!strcmp(r->rule[t][i].id, rule->id))
                return true;
    return false;
}

static void read_track(struct ym_schema *s, struct ym_at *tracks, size_t t, struct ym_rules *r)
{
    static const char *const keys[] = {"authority", "rules", NULL};
    static const char *const language_keys[] = {"en", "zh", NULL};
    struct ym_at track = ym_schema_object(s, tracks, track_words[t], true);
    ym_schema_keys(s, &track, keys);
    struct ym_at authority = ym_schema_object(s, &track, "authority", true);
    ym_schema_keys(s, &authority, language_keys);
    read_texts(s, &authority, r->authority[t][0], sizeof r->authority[t][0]);
    struct ym_at list = ym_schema_list(s, &track, "rules", 1, YM_RULES_MOST);
    r->rule[t] = calloc(ym_schema_count(&list) + 1, sizeof *r->rule[t]);
    s->exhausted |= !r->rule[t];
    r->rule_count[t] = r->rule[t] ? ym_schema_count(&list) : 0;
    r->covers[t] = true;
    for (size_t i = 0; i < r->rule_count[t]; i++) {
        read_rule(s, &list, i, r, &r->rule[t][i]);
        if (repeats_id(r, &r->rule[t][i]))
            ym_schema_say_item(s, &list, i, "id", T(CARD_DUPLICATE), r->rule[t][i].id);
    }
}

/* ---- the set ---- */

static void read_head(struct ym_schema *s, const struct ym_at *root, struct ym_rules *r)
{
    static const char *const language_keys[] = {"en", "zh", NULL};
    size_t draft = 0;
    ym_schema_name(s, root, "name", r->name);
    ym_schema_int(s, root, "version", NULL, 1, INT32_MAX, &r->version);
    if (ym_schema_text(s, root, "effective_from", NULL, r->effective_from, sizeof r->effective_from) &&
        !ym_date_valid(r->effective_from))
        ym_schema_say(s, root, "effective_from", "%s", T(RULES_DATE));
    ym_schema_choice(s, root, "draft", "no", no_yes, &draft);
    r->draft = draft;
    struct ym_at title = ym_schema_object(s, root, "title", true);
    ym_schema_keys(s, &title, language_keys);
    read_texts(s, &title, r->title[0], sizeof r->title[0]);
}

static void read_set(struct ym_schema *s, struct ym_rules *r)
{
    static const char *const keys[] = {"yumen", "name",   "version", "effective_from", "draft",  "title",
                                       "bands", "assume", "tracks",  "zone",           "clocks", NULL};
    struct ym_at root = ym_schema_root(s);
    if (!ym_schema_version(s, &root, "ruleset/1", T(RULES_VERSION)))
        return;
    ym_schema_keys(s, &root, keys);
    read_head(s, &root, r);
    read_bands(s, &root, r);
    read_assume(s, &root, r);
    if (ym_schema_has(&root, "zone"))
        r->zone = ym_zone_read_list(s, &root);
    if (ym_schema_has(&root, "clocks"))
        r->clocks = ym_clocks_read(s, &root);
    struct ym_at tracks = ym_schema_object(s, &root, "tracks", !r->zone && !r->clocks);
    ym_schema_keys(s, &tracks, track_words);
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        if (ym_schema_has(&tracks, track_words[t]))
            read_track(s, &tracks, t, r);
}

enum ym_code ym_rules_read(const struct ym_doc *doc, struct ym_rules **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_schema s;
    struct ym_rules *r = calloc(1, sizeof *r);
    if (!r)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for a rule set");
    ym_schema_begin(&s, doc, p);
    read_set(&s, r);
    enum ym_code code = ym_schema_end(&s, YM_RULES_MAX_BYTES, &r->canonical, st);
    ym_schema_release(&s);
    if (code != YM_OK) {
        ym_rules_free(r);
        return code;
    }
    ym_sha256(r->canonical.data, r->canonical.len, r->hash);
    *out = r;
    return YM_OK;
}

#include "gate/card.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "gate/schema.h"

enum {
    MAX_CARD_BYTES = 1 << 20,
    MAX_PUBLIC_BYTES = 32 * 1024,
    MAX_VARIABLES = 1024,
    MAX_LEVELS = 64,
    MAX_MISSING = 64,
    MAX_MAP = 4096,
    MAX_SHARES = 64,
};

static const struct ym_decimal_range any_value = {"-1000000000000", "1000000000000", false};

void ym_card_free(struct ym_card *card)
{
    if (!card)
        return;
    for (size_t i = 0; i < card->var_count; i++) {
        free(card->var[i].map);
        free(card->var[i].level);
        free(card->var[i].missing);
    }
    free(card->var);
    free(card->shares_patients_with);
    ym_card_border_release(&card->border);
    ym_card_consent_release(&card->consent);
    ym_buf_release(&card->canonical);
    ym_buf_release(&card->public_json);
    free(card);
}

static void *alloc_items(struct ym_schema *s, size_t count, size_t size)
{
    void *items = count ? calloc(count, size) : NULL;
    s->exhausted |= count && !items;
    return items;
}

/* ---- one variable ---- */

static void read_levels(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    struct ym_at list = ym_schema_list(s, at, "levels", 1, MAX_LEVELS);
    size_t count = ym_schema_count(&list);
    v->category = true;
    v->level = alloc_items(s, count, sizeof *v->level);
    for (size_t i = 0; v->level && i < count; i++) {
        char *level = v->level[v->level_count];
        if (!ym_schema_item_text(s, &list, i, level, sizeof v->level[0]))
            continue;
        for (size_t k = 0; k < v->level_count; k++)
            if (!strcmp(v->level[k], level))
                ym_schema_say(s, &list, NULL, T(CARD_DUPLICATE), level);
        v->level_count++;
    }
}

static void read_missing(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    struct ym_at list = ym_schema_list(s, at, "missing", 0, MAX_MISSING);
    size_t count = ym_schema_count(&list);
    v->missing = alloc_items(s, count, sizeof *v->missing);
    for (size_t i = 0; v->missing && i < count; i++)
        if (ym_schema_item_text(s, &list, i, v->missing[v->missing_count], sizeof v->missing[0]))
            v->missing_count++;
}

static size_t level_find(const struct ym_card_var *v, const char *name)
{
    size_t i = 0;
    while (i < v->level_count && strcmp(v->level[i], name))
        i++;
    return i;
}

static bool read_pair(struct ym_schema *s, struct ym_at *map, const char *from, const struct ym_card_var *v,
                      struct ym_card_map *out)
{
    size_t len = strlen(from);
    if (!len || len >= sizeof out->from || !ym_text_printable(from, len)) {
        ym_schema_say(s, map, from, T(CARD_MAP_KEY), (unsigned)sizeof out->from - 1);
        return false;
    }
    snprintf(out->from, sizeof out->from, "%s", from);
    if (!v->category) {
        struct ym_decimal d;
        if (!ym_schema_decimal(s, map, from, NULL, &any_value, &d))
            return false;
        out->to = ym_decimal_double(d);
        return true;
    }
    if (!ym_schema_pair_text(s, map, from, out->level, sizeof out->level))
        return false;
    size_t level = level_find(v, out->level);
    if (level == v->level_count && v->level_count) {
        ym_schema_say(s, map, from, T(CARD_MAP_LEVEL), out->level);
        return false;
    }
    out->to = (double)level;
    return true;
}

static int map_compare(const void *a, const void *b)
{
    return strcmp(((const struct ym_card_map *)a)->from, ((const struct ym_card_map *)b)->from);
}

static void read_map(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    const char *from;
    json_t *to;
    if (!ym_schema_has(at, "map"))
        return;
    struct ym_at map = ym_schema_object(s, at, "map", false);
    size_t count = json_object_size(map.value);
    if (count > MAX_MAP) {
        ym_schema_say(s, at, "map", T(CARD_MAP_SIZE), (unsigned)MAX_MAP);
        return;
    }
    v->map = alloc_items(s, count, sizeof *v->map);
    if (!v->map)
        return;
    json_object_foreach((json_t *)map.value, from, to)
    {
        (void)to;
        if (read_pair(s, &map, from, v, &v->map[v->map_count]))
            v->map_count++;
    }
    qsort(v->map, v->map_count, sizeof *v->map, map_compare);
}

/* Each of %Y %m %d once; %H %M %S at most once; no other conversion. */
static bool date_format_valid(const char *format)
{
    static const char letters[] = "YmdHMS";
    int seen[sizeof letters] = {0};
    for (const char *c = format; *c; c++) {
        if (*c != '%')
            continue;
        const char *known = *++c ? strchr(letters, *c) : NULL;
        if (!known || seen[known - letters]++)
            return false;
    }
    return seen[0] && seen[1] && seen[2];
}

static void read_date_format(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    if (!ym_schema_has(at, "date_format"))
        return;
    if (ym_schema_text(s, at, "date_format", NULL, v->date_format, sizeof v->date_format) &&
        !date_format_valid(v->date_format))
        ym_schema_say(s, at, "date_format", T(CARD_DATE_FORMAT), "%Y-%m-%d", "%H %M %S");
}

static void read_number(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    struct ym_decimal low, high, d;
    ym_schema_text(s, at, "unit", "", v->unit, sizeof v->unit);
    if (ym_schema_decimal(s, at, "factor", "1", &any_value, &d)) {
        v->factor = ym_decimal_double(d);
        if (!d.scaled)
            ym_schema_say(s, at, "factor", "%s", T(CARD_FACTOR));
    }
    if (ym_schema_decimal(s, at, "offset", "0", &any_value, &d))
        v->offset = ym_decimal_double(d);
    bool ok = ym_schema_decimal(s, at, "low", NULL, &any_value, &low);
    ok &= ym_schema_decimal(s, at, "high", NULL, &any_value, &high);
    if (ok && low.scaled >= high.scaled)
        ym_schema_say(s, at, "low", "%s", T(PLAN_LOW_HIGH));
    v->low = ok ? ym_decimal_double(low) : 0;
    v->high = ok ? ym_decimal_double(high) : 0;
    read_date_format(s, at, v);
}

static void read_category(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    static const char *const number_keys[] = {"unit", "factor", "offset", "low", "high", "date_format", NULL};
    read_levels(s, at, v);
    for (size_t i = 0; number_keys[i]; i++)
        if (ym_schema_has(at, number_keys[i]))
            ym_schema_say(s, at, number_keys[i], "%s", T(CARD_NUMBER_ONLY));
}

static bool is_image(const struct ym_at *at)
{
    return ym_schema_has(at, "channels") || ym_schema_has(at, "height") || ym_schema_has(at, "width");
}

static void read_image(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    static const char *const other_keys[] = {"unit", "factor", "offset",      "low", "high",
                                             "map",  "levels", "date_format", NULL};
    int64_t channels, height, width;
    bool ok = ym_schema_int(s, at, "channels", NULL, 1, YM_IMAGE_MAX_CHANNELS, &channels);
    ok &= ym_schema_int(s, at, "height", NULL, 1, YM_IMAGE_MAX_SIDE, &height);
    ok &= ym_schema_int(s, at, "width", NULL, 1, YM_IMAGE_MAX_SIDE, &width);
    for (size_t i = 0; other_keys[i]; i++)
        if (ym_schema_has(at, other_keys[i]))
            ym_schema_say(s, at, other_keys[i], "%s", T(CARD_NOT_IMAGE));
    if (!ok)
        return;
    v->channels = (uint32_t)channels;
    v->height = (uint32_t)height;
    v->width = (uint32_t)width;
}

static void read_variable(struct ym_schema *s, const struct ym_at *at, struct ym_card_var *v)
{
    static const char *const keys[] = {"name",   "column",      "unit",    "factor",   "offset", "low",   "high", "map",
                                       "levels", "date_format", "missing", "channels", "height", "width", NULL};
    ym_schema_keys(s, at, keys);
    ym_schema_name(s, at, "name", v->name);
    ym_schema_text(s, at, "column", NULL, v->column, sizeof v->column);
    if (is_image(at)) {
        read_image(s, at, v);
        read_missing(s, at, v);
        return;
    }
    if (ym_schema_has(at, "levels"))
        read_category(s, at, v);
    else
        read_number(s, at, v);
    read_map(s, at, v);
    read_missing(s, at, v);
}

static void read_variables(struct ym_schema *s, const struct ym_at *root, struct ym_card *card)
{
    struct ym_at list = ym_schema_list(s, root, "variables", 1, MAX_VARIABLES);
    size_t count = ym_schema_count(&list);
    card->var = alloc_items(s, count, sizeof *card->var);
    card->var_count = card->var ? count : 0;
    for (size_t i = 0; i < card->var_count; i++) {
        struct ym_at item = ym_schema_item(s, &list, i);
        read_variable(s, &item, &card->var[i]);
        for (size_t k = 0; k < i && card->var[i].name[0]; k++)
            if (!strcmp(card->var[k].name, card->var[i].name))
                ym_schema_say(s, &item, "name", T(CARD_DUPLICATE), card->var[i].name);
    }
}

/* ---- the data set ---- */

bool ym_card_is_npz(const struct ym_card *card)
{
    size_t len = strlen(card->file);
    return len > 4 && !strcmp(card->file + len - 4, ".npz");
}

bool ym_card_path_inside(const char *file)
{
    if (file[0] == '/')
        return false;
    for (const char *part = file; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/'))
            return false;
    }
    return true;
}

static void read_file(struct ym_schema *s, const struct ym_at *root, struct ym_card *card)
{
    static const char *const encodings[] = {"utf-8", "gb18030", NULL};
    static const char *const separators[] = {",", ";", "tab", NULL};
    size_t encoding, separator;
    if (ym_schema_text(s, root, "file", NULL, card->file, sizeof card->file) && !ym_card_path_inside(card->file))
        ym_schema_say(s, root, "file", "%s", T(CARD_FILE));
    if (ym_schema_choice(s, root, "encoding", "utf-8", encodings, &encoding))
        snprintf(card->encoding, sizeof card->encoding, "%s", encodings[encoding]);
    if (ym_schema_choice(s, root, "separator", ",", separators, &separator))
        card->separator = ",;\t"[separator];
    bool numbered = ym_card_is_npz(card) && !strcmp(card->identifier, "row");
    ym_schema_text(s, root, "patient_column", numbered ? "row" : NULL, card->patient_column,
                   sizeof card->patient_column);
}

static void read_shares(struct ym_schema *s, const struct ym_at *root, struct ym_card *card)
{
    struct ym_at list = ym_schema_list(s, root, "shares_patients_with", 0, MAX_SHARES);
    size_t count = ym_schema_count(&list);
    card->shares_patients_with = alloc_items(s, count, sizeof *card->shares_patients_with);
    for (size_t i = 0; card->shares_patients_with && i < count; i++) {
        char *name = card->shares_patients_with[card->shares_count];
        if (!ym_schema_item_text(s, &list, i, name, sizeof card->shares_patients_with[0]))
            continue;
        if (ym_name_valid(name))
            card->shares_count++;
        else
            ym_schema_say(s, &list, NULL, "%s", T(SCHEMA_NOT_NAME));
    }
}

static void read_head(struct ym_schema *s, const struct ym_at *root, struct ym_card *card)
{
    static const char *const sizes[] = {"<100", "100-499", "500-1999", "2000-9999", ">=10000", NULL};
    static const char *const tiers[] = {"general", "important", "core", "unknown", NULL};
    static const char *const keys[] = {"yumen",
                                       "name",
                                       "title",
                                       "file",
                                       "encoding",
                                       "separator",
                                       "patient_column",
                                       "patient_identifier",
                                       "size_class",
                                       "tier",
                                       "variables",
                                       "shares_patients_with",
                                       "border",
                                       "consent",
                                       NULL};
    static const char *const identifiers[] = {"unspecified", "national_id", "insurance_id", "hospital_id", "study_id",
                                              "row",         NULL};
    size_t size, tier, identifier;
    ym_schema_keys(s, root, keys);
    ym_schema_name(s, root, "name", card->name);
    ym_schema_text(s, root, "title", NULL, card->title, sizeof card->title);
    if (ym_schema_choice(s, root, "size_class", NULL, sizes, &size))
        snprintf(card->size_class, sizeof card->size_class, "%s", sizes[size]);
    if (ym_schema_choice(s, root, "patient_identifier", "unspecified", identifiers, &identifier))
        snprintf(card->identifier, sizeof card->identifier, "%s", identifiers[identifier]);
    if (ym_schema_choice(s, root, "tier", NULL, tiers, &tier))
        snprintf(card->tier, sizeof card->tier, "%s", tiers[tier]);
}

/* ---- the public part ---- */

static bool copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    return !value || json_object_set(to, key, value) == 0;
}

static bool public_variables(json_t *public, const json_t *canon)
{
    static const char *const keys[] = {"name", "unit", "low", "high", "levels", "channels", "height", "width", NULL};
    json_t *list = json_array(), *v;
    size_t i;
    bool ok = list && json_object_set_new(public, "variables", list) == 0;
    json_array_foreach(json_object_get(canon, "variables"), i, v)
    {
        json_t *one = json_object();
        ok = ok && one && json_array_append_new(list, one) == 0;
        for (size_t k = 0; ok && keys[k]; k++)
            ok = copy_member(one, v, keys[k]);
    }
    return ok;
}

static enum ym_code public_build(struct ym_schema *s, struct ym_card *card, struct ym_status *st)
{
    json_t *public = json_object();
    bool ok = public && copy_member(public, s->canon, "name") && copy_member(public, s->canon, "title") &&
              copy_member(public, s->canon, "size_class") && copy_member(public, s->canon, "tier") &&
              copy_member(public, s->canon, "patient_identifier") && public_variables(public, s->canon);
    enum ym_code code =
        ok ? ym_json_canonical(public, &card->public_json, st) : ym_status_set(st, YM_EXHAUSTED, "out of memory");
    json_decref(public);
    return code;
}

static enum ym_code finish(struct ym_schema *s, const struct ym_at *root, struct ym_card *card, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    if (!s->reported && !s->exhausted)
        code = public_build(s, card, st);
    if (code == YM_OK && card->public_json.len > MAX_PUBLIC_BYTES)
        ym_schema_say(s, root, "variables", T(CARD_PUBLIC_SIZE), card->public_json.len, (size_t)MAX_PUBLIC_BYTES);
    if (code == YM_OK)
        code = ym_schema_end(s, MAX_CARD_BYTES, &card->canonical, st);
    if (code == YM_OK)
        ym_sha256(card->canonical.data, card->canonical.len, card->hash);
    return code;
}

enum ym_code ym_card_read(const struct ym_doc *doc, struct ym_card **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_card *card = calloc(1, sizeof *card);
    struct ym_schema s;
    if (!card)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_schema_begin(&s, doc, p);
    struct ym_at root = ym_schema_root(&s);
    if (root.value && ym_schema_version(&s, &root, "card/1", T(CARD_VERSION))) {
        read_head(&s, &root, card);
        read_file(&s, &root, card);
        read_shares(&s, &root, card);
        read_variables(&s, &root, card);
        ym_border_read_card(&s, &root, &card->border);
        ym_consent_read_card(&s, &root, &card->consent);
    }
    enum ym_code code = finish(&s, &root, card, st);
    ym_schema_release(&s);
    if (code != YM_OK) {
        ym_card_free(card);
        return code;
    }
    *out = card;
    return YM_OK;
}

#include "gate/schema.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { WORD_BYTES = 64 };

/* ---- text ---- */

static bool code_point_hidden(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return true;
    return c == 0x200e || c == 0x200f || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

bool ym_text_printable(const char *text, size_t len)
{
    if (!ym_utf8_valid(text, len))
        return false;
    for (size_t i = 0; i < len;) {
        uint8_t b = (uint8_t)text[i];
        size_t n = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
        uint32_t c = n == 1 ? b : b & (0x7fu >> n);
        for (size_t k = 1; k < n; k++)
            c = c << 6 | ((uint8_t)text[i + k] & 0x3f);
        if (code_point_hidden(c))
            return false;
        i += n;
    }
    return true;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[WORD_BYTES + 1];
    if (n > WORD_BYTES || m > WORD_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[m];
}

const char *ym_word_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, best_distance = limit + 1;
    for (; *words; words++) {
        size_t d = edit_distance(word, *words);
        if (d < best_distance) {
            best_distance = d;
            best = *words;
        }
    }
    return best;
}

static void join_words(const char *const *words, struct ym_buf *out)
{
    for (size_t i = 0; words[i]; i++)
        ym_buf_printf(out, "%s%s", i ? ", " : "", words[i]);
}

/* ---- places ---- */

/* A key of another party may hold anything: cut it and show only what prints. */
static void path_add(char path[YM_SCHEMA_PATH_BYTES], const char *key)
{
    size_t len = strlen(path), n = strlen(key);
    bool plain = ym_text_printable(key, n);
    if (len && len + 1 < YM_SCHEMA_PATH_BYTES)
        path[len++] = '.';
    for (size_t i = 0; i < n && len + 1 < YM_SCHEMA_PATH_BYTES; i++)
        path[len++] = plain || (key[i] > 0x20 && key[i] < 0x7f) ? key[i] : '?';
    path[len] = 0;
    while (len && !ym_utf8_valid(path, len))
        path[--len] = 0;
}

static void path_index(char path[YM_SCHEMA_PATH_BYTES], size_t i)
{
    size_t len = strlen(path);
    snprintf(path + len, YM_SCHEMA_PATH_BYTES - len, "[%zu]", i);
}

static struct ym_at at_nothing(const struct ym_at *parent, const char *key)
{
    struct ym_at at = {.line = parent->line};
    memcpy(at.path, parent->path, sizeof at.path);
    if (key)
        path_add(at.path, key);
    return at;
}

struct ym_at ym_schema_peek(const struct ym_schema *s, const struct ym_at *at, const char *key)
{
    struct ym_at child = at_nothing(at, key);
    child.value = at->value ? json_object_get(at->value, key) : NULL;
    int line = child.value ? ym_doc_key_line(s->doc, at->value, key) : 0;
    if (line)
        child.line = line;
    return child;
}

static struct ym_at item_at(const struct ym_schema *s, const struct ym_at *list, size_t i)
{
    struct ym_at item = at_nothing(list, NULL);
    path_index(item.path, i);
    item.value = json_array_get(list->value, i);
    int line = item.value ? ym_doc_line(s->doc, item.value) : 0;
    if (line)
        item.line = line;
    return item;
}

bool ym_schema_has(const struct ym_at *at, const char *key)
{
    return at->value && json_object_get(at->value, key);
}

/* ---- begin, end, report ---- */

void ym_schema_begin(struct ym_schema *s, const struct ym_doc *doc, struct ym_problems *p)
{
    *s = (struct ym_schema){.doc = doc, .problems = p, .first = p ? p->count : 0, .canon = json_object()};
    s->exhausted = !s->canon;
}

void ym_schema_release(struct ym_schema *s)
{
    json_decref(s->canon);
    s->canon = NULL;
}

static void say(struct ym_schema *s, int line, const char *path, const char *message)
{
    if (s->reported++ < YM_SCHEMA_MAX_PROBLEMS)
        ym_problems_add(s->problems, ym_doc_file(s->doc), line, path, "%s", message);
}

static void vsay(struct ym_schema *s, const struct ym_at *place, const char *fmt, va_list ap)
{
    char message[1024];
    vsnprintf(message, sizeof message, fmt, ap);
    for (size_t len = strlen(message); len && !ym_utf8_valid(message, len);)
        message[--len] = 0;
    say(s, place->line, place->path, message);
}

void ym_schema_say(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fmt, ...)
{
    struct ym_at place = key ? ym_schema_peek(s, at, key) : *at;
    va_list ap;
    va_start(ap, fmt);
    vsay(s, &place, fmt, ap);
    va_end(ap);
}

void ym_schema_say_item(struct ym_schema *s, const struct ym_at *list, size_t i, const char *key, const char *fmt, ...)
{
    struct ym_at item = item_at(s, list, i), place = ym_schema_peek(s, &item, key);
    va_list ap;
    va_start(ap, fmt);
    vsay(s, &place, fmt, ap);
    va_end(ap);
}

/* By line, as people work through a file; those of one line stay in order. */
static void sort_problems(struct ym_schema *s)
{
    struct ym_problem *item = s->problems->item + s->first;
    for (size_t i = 1; i < s->problems->count - s->first; i++) {
        struct ym_problem moved = item[i];
        size_t k = i;
        for (; k && item[k - 1].line > moved.line; k--)
            item[k] = item[k - 1];
        item[k] = moved;
    }
}

static enum ym_code end_refused(struct ym_schema *s, struct ym_status *st)
{
    const char *file = ym_doc_file(s->doc);
    if (s->problems)
        sort_problems(s);
    if (s->reported > YM_SCHEMA_MAX_PROBLEMS)
        ym_problems_add(s->problems, file, 0, "", T(SCHEMA_MORE), s->reported - YM_SCHEMA_MAX_PROBLEMS);
    return ym_status_set(st, YM_INVALID, "problems in '%s': %zu", file, s->reported);
}

enum ym_code ym_schema_end(struct ym_schema *s, size_t limit, struct ym_buf *canonical, struct ym_status *st)
{
    if (s->exhausted)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory while reading '%s'", ym_doc_file(s->doc));
    if (s->reported)
        return end_refused(s, st);
    enum ym_code code = ym_json_canonical(s->canon, canonical, st);
    if (code != YM_OK)
        return code;
    if (canonical->len > limit) {
        char message[256];
        snprintf(message, sizeof message, T(SCHEMA_TOO_LARGE), canonical->len, limit);
        say(s, 0, "", message);
        ym_buf_release(canonical);
        return end_refused(s, st);
    }
    return YM_OK;
}

struct ym_at ym_schema_root(struct ym_schema *s)
{
    struct ym_at at = {.value = ym_doc_root(s->doc), .canon = s->canon};
    at.line = at.value ? ym_doc_line(s->doc, at.value) : 0;
    if (json_is_object(at.value) && s->canon)
        return at;
    say(s, at.line, "", T(SCHEMA_NOT_MAPPING));
    at.value = NULL;
    at.canon = NULL;
    return at;
}

void ym_schema_keys(struct ym_schema *s, const struct ym_at *at, const char *const *known)
{
    const char *key;
    json_t *value;
    if (!at->value)
        return;
    json_object_foreach((json_t *)at->value, key, value)
    {
        bool found = false;
        for (size_t i = 0; known[i] && !found; i++)
            found = !strcmp(known[i], key);
        if (found)
            continue;
        if (s->reported >= YM_SCHEMA_MAX_PROBLEMS) {
            s->reported++;
            continue;
        }
        const char *near = ym_word_nearest(key, known);
        struct ym_buf words = {0};
        join_words(known, &words);
        if (near)
            ym_schema_say(s, at, key, T(SCHEMA_UNKNOWN_NEAR), near);
        else
            ym_schema_say(s, at, key, T(SCHEMA_UNKNOWN), ym_buf_str(&words));
        ym_buf_release(&words);
    }
}

static bool canon_set(struct ym_schema *s, const struct ym_at *at, const char *key, json_t *value)
{
    if (value && json_object_set_new(at->canon, key, value) == 0)
        return true;
    s->exhausted = true;
    return false;
}

static bool canon_append(struct ym_schema *s, const struct ym_at *list, json_t *value)
{
    if (value && json_array_append_new(list->canon, value) == 0)
        return true;
    s->exhausted = true;
    return false;
}

void ym_schema_rewrite(struct ym_schema *s, const struct ym_at *at, const char *key, const char *text)
{
    canon_set(s, at, key, json_string(text));
}

/* ---- containers ---- */

struct ym_at ym_schema_object(struct ym_schema *s, const struct ym_at *at, const char *key, bool required)
{
    struct ym_at child = ym_schema_peek(s, at, key);
    if (!at->value)
        return child;
    if (!child.value && required) {
        ym_schema_say(s, at, key, "%s", T(SCHEMA_MISSING));
        return child;
    }
    if (child.value && !json_is_object(child.value)) {
        ym_schema_say(s, at, key, "%s", T(SCHEMA_NOT_MAPPING));
        child.value = NULL;
        return child;
    }
    json_t *canon = json_object();
    if (!canon_set(s, at, key, canon)) {
        child.value = NULL;
        return child;
    }
    child.canon = canon;
    if (!child.value)
        child.value = canon; /* empty for now: getters look up before they write */
    return child;
}

struct ym_at ym_schema_list(struct ym_schema *s, const struct ym_at *at, const char *key, size_t low, size_t high)
{
    struct ym_at child = ym_schema_peek(s, at, key);
    if (!at->value || (!child.value && low == 0))
        return child;
    size_t count = json_array_size(child.value);
    if (!child.value)
        ym_schema_say(s, at, key, "%s", T(SCHEMA_MISSING));
    else if (!json_is_array(child.value) || count < low || count > high)
        ym_schema_say(s, at, key, T(SCHEMA_NOT_LIST), low, high);
    else if (canon_set(s, at, key, child.canon = json_array()))
        return child;
    child.value = NULL;
    child.canon = NULL;
    return child;
}

size_t ym_schema_count(const struct ym_at *list)
{
    return json_array_size(list->value);
}

struct ym_at ym_schema_item(struct ym_schema *s, struct ym_at *list, size_t i)
{
    struct ym_at item = item_at(s, list, i);
    if (!json_is_object(item.value)) {
        ym_schema_say(s, &item, NULL, "%s", T(SCHEMA_NOT_MAPPING));
        item.value = NULL;
        return item;
    }
    item.canon = json_object();
    if (!canon_append(s, list, item.canon))
        item.value = NULL;
    return item;
}

/* ---- scalars ---- */

/* Text of a scalar: YAML reads a level called 1 or true as something else. */
static const char *scalar_text(const json_t *v, char scratch[32])
{
    if (json_is_string(v))
        return json_string_value(v);
    if (json_is_boolean(v))
        return json_is_true(v) ? "true" : "false";
    if (!json_is_integer(v))
        return NULL;
    snprintf(scratch, 32, "%lld", (long long)json_integer_value(v));
    return scratch;
}

static bool text_copy(struct ym_schema *s, const struct ym_at *place, const char *text, char *out, size_t cap)
{
    size_t len = text ? strlen(text) : 0;
    if (!len)
        ym_schema_say(s, place, NULL, "%s", T(SCHEMA_NOT_TEXT));
    else if (len >= cap)
        ym_schema_say(s, place, NULL, T(SCHEMA_TEXT_LONG), len, cap - 1);
    else if (!ym_text_printable(text, len))
        ym_schema_say(s, place, NULL, "%s", T(SCHEMA_TEXT_CONTROL));
    else {
        memcpy(out, text, len + 1);
        return true;
    }
    return false;
}

/* The member, or fallback with default text; false when there is nothing to read. */
static bool member(struct ym_schema *s, const struct ym_at *at, const char *key, bool has_fallback, struct ym_at *out)
{
    if (!at->value)
        return false;
    *out = ym_schema_peek(s, at, key);
    if (out->value || has_fallback)
        return true;
    ym_schema_say(s, at, key, "%s", T(SCHEMA_MISSING));
    return false;
}

bool ym_schema_text(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback, char *out,
                    size_t cap)
{
    struct ym_at place;
    char scratch[32];
    if (!member(s, at, key, fallback, &place))
        return false;
    const char *text = place.value ? scalar_text(place.value, scratch) : fallback;
    if (text && !*text && fallback && !*fallback) {
        out[0] = 0; /* an empty default may also be written out */
    } else if (!text_copy(s, &place, text, out, cap)) {
        return false;
    }
    return canon_set(s, at, key, json_string(out));
}

bool ym_schema_version(struct ym_schema *s, const struct ym_at *at, const char *version, const char *message)
{
    char text[64];
    if (!ym_schema_text(s, at, "yumen", NULL, text, sizeof text) || strcmp(text, version) == 0)
        return true;
    ym_schema_say(s, at, "yumen", "%s", message);
    return false;
}

bool ym_schema_name(struct ym_schema *s, const struct ym_at *at, const char *key, char out[64])
{
    struct ym_at place;
    char scratch[32];
    if (!member(s, at, key, false, &place))
        return false;
    const char *text = scalar_text(place.value, scratch);
    if (!text || !ym_name_valid(text)) {
        ym_schema_say(s, at, key, "%s", T(SCHEMA_NOT_NAME));
        return false;
    }
    snprintf(out, 64, "%s", text);
    return canon_set(s, at, key, json_string(out));
}

bool ym_schema_item_text(struct ym_schema *s, struct ym_at *list, size_t i, char *out, size_t cap)
{
    struct ym_at item = item_at(s, list, i);
    char scratch[32];
    return text_copy(s, &item, scalar_text(item.value, scratch), out, cap) && canon_append(s, list, json_string(out));
}

bool ym_schema_pair_text(struct ym_schema *s, struct ym_at *map, const char *key, char *out, size_t cap)
{
    struct ym_at place = ym_schema_peek(s, map, key);
    char scratch[32];
    return text_copy(s, &place, scalar_text(place.value, scratch), out, cap) &&
           canon_set(s, map, key, json_string(out));
}

static bool int_check(struct ym_schema *s, const struct ym_at *place, int64_t low, int64_t high, int64_t *out)
{
    int64_t v = json_integer_value(place->value);
    if (!json_is_integer(place->value) || v < low || v > high) {
        ym_schema_say(s, place, NULL, T(SCHEMA_NOT_INT), (long long)low, (long long)high);
        return false;
    }
    *out = v;
    return true;
}

bool ym_schema_item_int(struct ym_schema *s, struct ym_at *list, size_t i, int64_t low, int64_t high, int64_t *out)
{
    struct ym_at item = item_at(s, list, i);
    return int_check(s, &item, low, high, out) && canon_append(s, list, json_integer(*out));
}

bool ym_schema_int(struct ym_schema *s, const struct ym_at *at, const char *key, const int64_t *fallback, int64_t low,
                   int64_t high, int64_t *out)
{
    struct ym_at place;
    int64_t v = fallback ? *fallback : 0;
    if (!member(s, at, key, fallback, &place))
        return false;
    if (place.value && !int_check(s, &place, low, high, &v))
        return false;
    *out = v;
    return canon_set(s, at, key, json_integer(v));
}

static bool decimal_in(const struct ym_decimal_range *range, struct ym_decimal d)
{
    struct ym_decimal low, high;
    YM_ASSERT(ym_decimal_parse(range->low, &low, NULL) == YM_OK);
    YM_ASSERT(ym_decimal_parse(range->high, &high, NULL) == YM_OK);
    return d.scaled >= low.scaled && d.scaled <= high.scaled && !(range->above_low && d.scaled == low.scaled);
}

static bool decimal_check(struct ym_schema *s, const struct ym_at *place, const char *text,
                          const struct ym_decimal_range *range, struct ym_decimal *out)
{
    struct ym_decimal d;
    if (!text || ym_decimal_parse(text, &d, NULL) != YM_OK)
        ym_schema_say(s, place, NULL, "%s", T(SCHEMA_NOT_DECIMAL));
    else if (!decimal_in(range, d))
        ym_schema_say(s, place, NULL, range->above_low ? T(SCHEMA_DECIMAL_ABOVE) : T(SCHEMA_DECIMAL_RANGE), range->low,
                      range->high);
    else {
        *out = d;
        return true;
    }
    return false;
}

/* The number's one spelling; NULL: no memory. */
static json_t *decimal_json(struct ym_decimal d)
{
    struct ym_buf normal = {0};
    json_t *value = ym_decimal_format(d, &normal) == YM_OK ? json_string(ym_buf_str(&normal)) : NULL;
    ym_buf_release(&normal);
    return value;
}

/* A scalar that may be a number: not true or false. */
static const char *number_text(const json_t *v, char scratch[32])
{
    return json_is_boolean(v) ? NULL : scalar_text(v, scratch);
}

bool ym_schema_item_decimal(struct ym_schema *s, struct ym_at *list, size_t i, const struct ym_decimal_range *range,
                            struct ym_decimal *out)
{
    struct ym_at item = item_at(s, list, i);
    char scratch[32];
    return decimal_check(s, &item, number_text(item.value, scratch), range, out) &&
           canon_append(s, list, decimal_json(*out));
}

bool ym_schema_decimal(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback,
                       const struct ym_decimal_range *range, struct ym_decimal *out)
{
    struct ym_at place;
    char scratch[32];
    if (!member(s, at, key, fallback, &place))
        return false;
    const char *text = place.value ? number_text(place.value, scratch) : fallback;
    return decimal_check(s, &place, text, range, out) && canon_set(s, at, key, decimal_json(*out));
}

bool ym_schema_choice(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback,
                      const char *const *words, size_t *out)
{
    struct ym_at place;
    char scratch[32];
    struct ym_buf list = {0};
    if (!member(s, at, key, fallback, &place))
        return false;
    const char *text = place.value ? scalar_text(place.value, scratch) : fallback;
    for (size_t i = 0; text && words[i]; i++)
        if (!strcmp(text, words[i])) {
            *out = i;
            return canon_set(s, at, key, json_string(text));
        }
    join_words(words, &list);
    ym_schema_say(s, at, key, T(SCHEMA_NOT_CHOICE), ym_buf_str(&list));
    ym_buf_release(&list);
    return false;
}

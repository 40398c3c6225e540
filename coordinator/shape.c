#include <string.h>

#include "base/json.h"
#include "base/program.h"
#include "coordinator/hub_internal.h"

/* What others sign goes into the log of all, for good: one line that is not as
 * docs/leaves.md has it, and every audit of the log fails from then on. So a
 * leaf has exactly the members of its type before the hub takes it. */

#define NAMES_MAX 256
#define TEXT_MAX 512

enum kind {
    NAME,
    NAMES,
    HASH,
    BUILD, /* GNU build id */
    TEXT,
    DIGITS,
    NUMBER, /* low..high */
    FLAG,
    OBJECT,
    EVENTS, /* at most low of `event` */
    SEALS,  /* at most low of {office, time, signature} */
    SIGNATURE,
    WORD,
    ROUTE,
    PEOPLE, /* one or two years */
    US      /* may be absent */
};

struct member {
    const char *key;
    enum kind kind;
    int64_t low, high;
    const char *word;
};

static const struct member envelope[] = {{"type", TEXT}, {"v", NUMBER, 1, 1}, {"time", NUMBER, 0, INT64_MAX},
                                         {"by", NAME},   {"key", TEXT},       {NULL}};
static const struct member card[] = {{"dataset", NAME},  {"card", HASH},   {"data", HASH},
                                     {"public", OBJECT}, {"group", NAMES}, {NULL}};
static const struct member plan[] = {{"study", NAME}, {"plan", HASH}, {"sponsor", NAME}, {NULL}};
static const struct member cancel[] = {{"study", NAME},
                                       {"round", NUMBER, 0, UINT32_MAX},
                                       {"attempt", NUMBER, 0, UINT32_MAX},
                                       {"reason", TEXT},
                                       {"final", FLAG},
                                       {NULL}};
static const struct member approval[] = {
    {"study", NAME},     {"plan", HASH}, {"dataset", NAME}, {"data", HASH}, {"epsilon_micro", NUMBER, 0, INT64_MAX},
    {"seals", SEALS, 4}, {NULL}};
static const struct member veto[] = {{"study", NAME}, {"plan", HASH}, {NULL}};
static const struct member pause_[] = {{"study", NAME}, {"paused", FLAG}, {NULL}};
static const struct member charge[] = {{"study", NAME},
                                       {"round", NUMBER, 1, UINT32_MAX},
                                       {"attempt", NUMBER, 1, UINT32_MAX},
                                       {"plan", HASH},
                                       {"state", HASH},
                                       {"dataset", NAME},
                                       {"data", HASH},
                                       {"mechanism", WORD, 0, 0, "poisson-sampled rounded gaussian"},
                                       {"route", ROUTE},
                                       {"clip_units", NUMBER, 1 << 24, 1 << 24},
                                       {"noise_variance", DIGITS},
                                       {"sampling_k", DIGITS},
                                       {"steps", NUMBER, 1, INT64_MAX},
                                       {"also", EVENTS, 4},
                                       {"unit", WORD, 0, 0, "patient"},
                                       {"relation", WORD, 0, 0, "add-or-remove-one"},
                                       {"accountant", WORD, 0, 0, "rdp/1"},
                                       {"epsilon_round_micro", NUMBER, 0, INT64_MAX},
                                       {"epsilon_spent_micro", NUMBER, 0, INT64_MAX},
                                       {"epsilon_cap_micro", NUMBER, 0, INT64_MAX},
                                       {"delta_e18", NUMBER, 1, 999999999999999999},
                                       {"identified", TEXT},
                                       {"sandbox", TEXT},
                                       {"build", BUILD},
                                       {"binary", HASH},
                                       {"exporter", HASH},
                                       {"people", PEOPLE},
                                       {"us", US},
                                       {"decision", HASH},
                                       {NULL}};
static const struct member release[] = {{"study", NAME},
                                        {"round", NUMBER, 1, UINT32_MAX},
                                        {"attempt", NUMBER, 1, UINT32_MAX},
                                        {"plan", HASH},
                                        {"state", HASH},
                                        {"charge", HASH},
                                        {"update", HASH},
                                        {"bytes", NUMBER, 1, INT64_MAX},
                                        {"scale_bits", NUMBER, 0, 63},
                                        {"width_bits", NUMBER, 1, 63},
                                        {NULL}};

static const struct {
    const char *type;
    const struct member *members;
} shapes[] = {{"dataset_card", card}, {"plan", plan},    {"abort", cancel},  {"approval", approval},
              {"veto", veto},         {"pause", pause_}, {"charge", charge}, {"release", release}};

static bool name_good(const json_t *v)
{
    return json_is_string(v) && ym_name_valid(json_string_value(v));
}

static bool names_good(const json_t *list)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > NAMES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!name_good(json_array_get(list, i)))
            return false;
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(list, i), json_array_get(list, k)))
                return false;
    }
    return true;
}

static bool number_good(const json_t *v, const struct member *m)
{
    return json_is_integer(v) && json_integer_value(v) >= m->low && json_integer_value(v) <= m->high;
}

static bool signature_good(const char *text, size_t len)
{
    struct ym_buf raw = {0};
    bool good = text && ym_base64_decode(text, len, &raw) == YM_OK && raw.len == YM_SIG_BYTES;

    ym_buf_release(&raw);
    return good;
}

static bool text_good(const char *text, const struct member *m)
{
    size_t n = text ? strlen(text) : 0;

    switch (m->kind) {
    case HASH:
        return n == 2 * YM_HASH_BYTES && strspn(text, "0123456789abcdef") == n;
    case BUILD:
        return n == YM_BUILD_HEX && strspn(text, "0123456789abcdef") == n;
    case DIGITS:
        return n > 0 && n <= 38 && text[0] != '0' && strspn(text, "0123456789") == n;
    case SIGNATURE:
        return signature_good(text, n);
    case WORD:
        return text && strcmp(text, m->word) == 0;
    case ROUTE:
        return text && (strcmp(text, "integer") == 0 || strcmp(text, "bounded") == 0);
    default:
        return n > 0 && n <= TEXT_MAX;
    }
}

static size_t count_good(const json_t *leaf, const struct member *table);

static bool events_good(const json_t *list, const struct member *m)
{
    static const struct member event[] = {
        {"for", TEXT}, {"noise_variance", DIGITS}, {"sampling_k", DIGITS}, {"steps", NUMBER, 1, INT64_MAX}, {NULL}};
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > (size_t)m->low)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        const char *use = json_string_value(json_object_get(o, "for"));

        if (count_good(o, event) != json_object_size(o) || (strcmp(use, "metric") != 0 && strcmp(use, "scaling") != 0))
            return false;
    }
    return true;
}

static bool people_good(const json_t *list)
{
    static const struct member year[] = {
        {"year", NUMBER, 1970, 9999}, {"people", NUMBER, 0, INT32_MAX}, {"set", HASH}, {NULL}};
    size_t n = json_array_size(list);
    json_int_t before = 0;

    if (!json_is_array(list) || n < 1 || n > 2)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        json_int_t at = json_integer_value(json_object_get(o, "year"));

        if (count_good(o, year) != json_object_size(o) || json_integer_value(json_object_get(o, "people")) % 100 != 0 ||
            (before && at != before + 1))
            return false;
        before = at;
    }
    return true;
}

static bool us_good(const json_t *o)
{
    static const struct member us[] = {{"recipient", HASH},
                                       {"categories", TEXT},
                                       {"people", NUMBER, 0, INT32_MAX},
                                       {"until", NUMBER, 0, INT64_MAX / 2},
                                       {"set", HASH},
                                       {NULL}};

    return !o || (json_is_object(o) && count_good(o, us) == json_object_size(o) &&
                  json_integer_value(json_object_get(o, "people")) % 100 == 0);
}

static bool seals_good(const json_t *list, const struct member *m)
{
    static const struct member seal[] = {
        {"office", NAME}, {"time", NUMBER, 0, INT64_MAX}, {"signature", SIGNATURE}, {NULL}};
    const json_t *o;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > (size_t)m->low)
        return false;
    json_array_foreach(list, i, o) if (count_good(o, seal) != json_object_size(o)) return false;
    return true;
}

static bool member_good(const json_t *v, const struct member *m)
{
    switch (m->kind) {
    case NAME:
        return name_good(v);
    case NAMES:
        return names_good(v);
    case NUMBER:
        return number_good(v, m);
    case FLAG:
        return json_is_boolean(v);
    case OBJECT:
        return json_is_object(v);
    case EVENTS:
        return events_good(v, m);
    case PEOPLE:
        return people_good(v);
    case US:
        return us_good(v);
    case SEALS:
        return seals_good(v, m);
    default:
        return text_good(json_string_value(v), m);
    }
}

/* How many members of the table are there and good; SIZE_MAX when one is not. */
static size_t count_good(const json_t *leaf, const struct member *table)
{
    size_t n = 0;

    for (const struct member *m = table; m->key; m++) {
        const json_t *v = json_object_get(leaf, m->key);

        if (!member_good(v, m))
            return SIZE_MAX;
        n += v != NULL;
    }
    return n;
}

bool hub_leaf_shaped(const json_t *leaf)
{
    const char *type = json_string_value(json_object_get(leaf, "type"));
    size_t common = count_good(leaf, envelope);

    for (size_t i = 0; type && i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].type, type) == 0) {
            size_t own = count_good(leaf, shapes[i].members);

            return common != SIZE_MAX && own != SIZE_MAX && common + own == json_object_size(leaf);
        }
    return true; /* never logged */
}

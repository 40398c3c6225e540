#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static _Thread_local bool starved;

/* jansson 2.14 drops a character of a long string when its buffer cannot grow, and says nothing: whether an allocation
 * failed is noted here, and asked after every call. */
static void *noting_malloc(size_t size)
{
    void *p = malloc(size);

    starved = starved || !p;
    return p;
}

/* Before any thread could be inside jansson. Also the seed of its tables, which it would take from /dev/urandom: the
 * trainer's sandbox hides that. */
__attribute__((constructor)) static void prepare(void)
{
    uint32_t seed;

    json_set_alloc_funcs(noting_malloc, free);
    ym_random(&seed, sizeof(seed));
    json_object_seed(seed | 1);
}

/* Refuses, before anything is allocated, what nests too deep and what has a fraction or an exponent. */
static enum ym_code scan(const uint8_t *p, size_t len, struct ym_status *st)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                in_string = false;
            continue;
        }
        if (p[i] == '"')
            in_string = true;
        else if ((p[i] == '[' || p[i] == '{') && ++depth > YM_JSON_DEPTH)
            return ym_status_set(st, YM_INVALID, "JSON nests deeper than %d at byte %zu", YM_JSON_DEPTH, i);
        else if (p[i] == ']' || p[i] == '}')
            depth--;
        else if (p[i] == '.' || ((p[i] | 0x20) == 'e' && i > 0 && p[i - 1] >= '0' && p[i - 1] <= '9'))
            return ym_status_set(st, YM_INVALID, "JSON has a number that is not an integer at byte %zu", i);
    }
    return YM_OK;
}

enum ym_code ym_json_parse(const void *data, size_t len, size_t limit, json_t **out, struct ym_status *st)
{
    json_error_t error;
    json_t *value;
    enum ym_code code;

    starved = false;
    if (len > limit)
        return ym_status_set(st, YM_INVALID, "JSON of %zu bytes, more than the %zu allowed", len, limit);
    code = scan(data, len, st);
    if (code != YM_OK)
        return code;
    value = json_loadb(len ? data : "", len, JSON_REJECT_DUPLICATES, &error);
    if (starved) {
        json_decref(value);
        return ym_status_set(st, YM_EXHAUSTED, "no memory for JSON of %zu bytes", len);
    }
    if (!value)
        return ym_status_set(st, YM_INVALID, "JSON is wrong at byte %d: %s", error.position, error.text);
    *out = value;
    return YM_OK;
}

static enum ym_code check_value(const json_t *value, int depth, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    const char *key;
    json_t *item;
    size_t i;

    if (!value || json_is_real(value))
        return ym_status_set(st, YM_INVALID, "a value that restricted JSON cannot hold");
    if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
        return ym_status_set(st, YM_INVALID, "a string that holds NUL");
    if ((json_is_object(value) || json_is_array(value)) && depth >= YM_JSON_DEPTH)
        return ym_status_set(st, YM_INVALID, "a value that nests deeper than %d", YM_JSON_DEPTH);
    json_array_foreach(value, i, item)
    {
        if (code == YM_OK)
            code = check_value(item, depth + 1, st);
    }
    json_object_foreach((json_t *)value, key, item)
    {
        if (code == YM_OK)
            code = check_value(item, depth + 1, st);
    }
    return code;
}

static int append_dump(const char *text, size_t len, void *out)
{
    return ym_buf_append(out, text, len) == YM_OK ? 0 : -1;
}

enum ym_code ym_json_canonical(const json_t *value, struct ym_buf *out, struct ym_status *st)
{
    size_t start = out->len;
    enum ym_code code = check_value(value, 0, st);

    if (code != YM_OK)
        return code;
    starved = false;
    if (json_dump_callback(value, append_dump, out,
                           JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) ||
        starved) {
        out->len = start;
        if (out->data)
            out->data[start] = '\0';
        return ym_status_set(st, YM_EXHAUSTED, "no memory to write JSON");
    }
    return YM_OK;
}

enum ym_code ym_json_get_int(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *out,
                             struct ym_status *st)
{
    const json_t *value = json_object_get(object, key);
    int64_t v;

    if (!json_is_integer(value))
        return ym_status_set(st, YM_INVALID, "'%s' must be an integer", key);
    v = json_integer_value(value);
    if (v < low || v > high)
        return ym_status_set(st, YM_INVALID, "'%s' is %" PRId64 ", must be %" PRId64 " to %" PRId64, key, v, low, high);
    *out = v;
    return YM_OK;
}

enum ym_code ym_json_get_str(const json_t *object, const char *key, const char **out, struct ym_status *st)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return ym_status_set(st, YM_INVALID, "'%s' must be a string", key);
    *out = json_string_value(value);
    return YM_OK;
}

enum ym_code ym_json_get_hash(const json_t *object, const char *key, uint8_t out[32], struct ym_status *st)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value) || ym_hex_decode(json_string_value(value), json_string_length(value), out, 32) != YM_OK)
        return ym_status_set(st, YM_INVALID, "'%s' must be a hash, 64 digits of lower-case hex", key);
    return YM_OK;
}

void ym_json_set_hash(json_t *object, const char *key, const uint8_t hash[32])
{
    char text[64];

    for (size_t i = 0; i < 32; i++) {
        text[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    YM_ASSERT(json_object_set_new(object, key, json_stringn(text, sizeof(text))) == 0);
}

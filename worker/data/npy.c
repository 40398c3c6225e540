#include <string.h>

#include "worker/data/npz.h"

/* The header is a Python dictionary: {'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), } and spaces, then a
 * line end. Source: numpy.lib.format, "Format Version 1.0". */

struct text {
    const char *at, *end;
};

static void spaces(struct text *t)
{
    while (t->at < t->end && *t->at == ' ')
        t->at++;
}

static bool next_is(struct text *t, const char *word)
{
    size_t len = strlen(word);
    spaces(t);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len))
        return false;
    t->at += len;
    return true;
}

/* Decimal digits up to 2^63 - 1. */
static bool number(struct text *t, uint64_t *out)
{
    uint64_t v = 0;
    spaces(t);
    const char *first = t->at;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (unsigned)(*t->at - '0'), &v))
            return false;
    *out = v;
    return t->at > first && v <= INT64_MAX;
}

static bool known_type(char order, char kind, uint64_t item)
{
    bool one = item == 1, power = one || item == 2 || item == 4 || item == 8;
    switch (kind) {
    case 'b':
        return order == '|' && one;
    case 'u':
    case 'i':
        return power && order == (one ? '|' : '<');
    case 'f':
        return (item == 4 || item == 8) && order == '<';
    case 'U':
        return item >= 1 && item <= YM_NPY_TEXT && order == '<';
    default:
        return false;
    }
}

static bool type(struct text *t, struct ym_npy *out)
{
    uint64_t item;
    if (!next_is(t, "'") || t->end - t->at < 2)
        return false;
    char order = *t->at++;
    out->kind = *t->at++;
    if (t->at == t->end || *t->at == ' ' || !number(t, &item) || t->at == t->end || *t->at++ != '\'')
        return false;
    out->item = (uint32_t)(item * (out->kind == 'U' ? 4 : 1));
    return known_type(order, out->kind, item);
}

static bool shape(struct text *t, struct ym_npy *out)
{
    if (!next_is(t, "("))
        return false;
    for (out->rank = 0; !next_is(t, ")");) {
        if (out->rank == YM_NPY_RANK || !number(t, &out->shape[out->rank++]))
            return false;
        if (next_is(t, ","))
            continue;
        return out->rank > 1 && next_is(t, ")");
    }
    return out->rank > 0;
}

static bool whole(struct ym_npy *out)
{
    out->bytes = out->item;
    for (size_t i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(out->bytes, out->shape[i], &out->bytes))
            return false;
    return out->bytes <= INT64_MAX;
}

static const char *dictionary(struct text *t, struct ym_npy *out)
{
    bool descr = false, order = false, sized = false;
    if (!next_is(t, "{"))
        return "the header is not a dictionary";
    while (!next_is(t, "}")) {
        if (!descr && next_is(t, "'descr':")) {
            if (!(descr = type(t, out)))
                return "its type is not a little-endian integer, float or short text";
        } else if (!order && next_is(t, "'fortran_order':")) {
            if (!(order = next_is(t, "False")))
                return "it is in Fortran order: save numpy.ascontiguousarray of it";
        } else if (!sized && next_is(t, "'shape':")) {
            if (!(sized = shape(t, out)))
                return "its shape is not of 1 to 4 dimensions";
        } else {
            return "the header has an unknown or repeated key";
        }
        if (!next_is(t, ",") && (t->at == t->end || *t->at != '}'))
            return "the header is malformed";
    }
    return descr && order && sized ? NULL : "the header lacks a key";
}

static const char *parse(struct text *t, struct ym_npy *out)
{
    const char *why = dictionary(t, out);
    if (why)
        return why;
    spaces(t);
    if (t->end - t->at != 1 || *t->at != '\n')
        return "the header does not end with a line";
    return whole(out) ? NULL : "its shape is larger than any file";
}

/* Where the header's text lies; false when head is too short or no .npy. */
static bool span(struct ym_bytes head, size_t *first, size_t *len)
{
    static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    const uint8_t *d = head.data;
    if (head.len < 12 || memcmp(d, magic, sizeof magic) || d[6] < 1 || d[6] > 3 || d[7])
        return false;
    *first = d[6] == 1 ? 10 : 12;
    uint32_t n = d[8] | (uint32_t)d[9] << 8;
    if (d[6] > 1)
        n |= (uint32_t)d[10] << 16 | (uint32_t)d[11] << 24;
    *len = n;
    return n <= YM_NPY_HEADER_BYTES && n <= head.len - *first;
}

enum ym_code ym_npy_read(struct ym_bytes head, struct ym_npy *out, size_t *data_at, struct ym_status *st)
{
    struct ym_npy npy = {0};
    size_t first, len;
    if (!span(head, &first, &len))
        return ym_status_set(st, YM_INVALID, "is not a .npy of version 1 to 3");
    struct text t = {(const char *)head.data + first, (const char *)head.data + first + len};
    const char *why = parse(&t, &npy);
    if (why)
        return ym_status_set(st, YM_INVALID, "%s", why);
    *out = npy;
    *data_at = first + len;
    return YM_OK;
}

#include "audit/verify/json.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const uint8_t *at, *end;
    struct ym_vjson *out;
    char *pool; /* next free byte */
    const char *why;
};

static bool refuse(struct reader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return false;
}

static bool expect(struct reader *r, char c, const char *why)
{
    if (r->at == r->end || *r->at != (uint8_t)c)
        return refuse(r, why);
    r->at++;
    return true;
}

/* Index of a new node; 0 when memory is short (node 0 is the root, made first). */
static bool add_node(struct reader *r, size_t *index)
{
    struct ym_vjson *j = r->out;

    if (j->count == YM_VJSON_NODES)
        return refuse(r, "more values than any leaf has");
    if (j->count == j->cap) {
        size_t cap = j->cap ? 2 * j->cap : 32;
        struct ym_vnode *node = realloc(j->node, cap * sizeof(*node));

        if (!node)
            return refuse(r, "out of memory");
        j->node = node;
        j->cap = cap;
    }
    memset(&j->node[j->count], 0, sizeof(j->node[0]));
    *index = j->count++;
    return true;
}

static bool read_unit(struct reader *r, unsigned *unit)
{
    *unit = 0;
    if (r->end - r->at < 4)
        return refuse(r, "a cut \\u escape");
    for (int i = 0; i < 4; i++) {
        uint8_t c = *r->at++;

        if (c >= '0' && c <= '9')
            *unit = *unit << 4 | (unsigned)(c - '0');
        else if (c >= 'A' && c <= 'F')
            *unit = *unit << 4 | (unsigned)(c - 'A' + 10);
        else
            return refuse(r, "a \\u escape that is not upper-case hex");
    }
    return true;
}

static void put_utf8(struct reader *r, unsigned c)
{
    if (c < 0x80) {
        *r->pool++ = (char)c;
    } else if (c < 0x800) {
        *r->pool++ = (char)(0xc0 | c >> 6);
        *r->pool++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *r->pool++ = (char)(0xe0 | c >> 12);
        *r->pool++ = (char)(0x80 | (c >> 6 & 0x3f));
        *r->pool++ = (char)(0x80 | (c & 0x3f));
    } else {
        *r->pool++ = (char)(0xf0 | c >> 18);
        *r->pool++ = (char)(0x80 | (c >> 12 & 0x3f));
        *r->pool++ = (char)(0x80 | (c >> 6 & 0x3f));
        *r->pool++ = (char)(0x80 | (c & 0x3f));
    }
}

/* After "\u". Only what has no shorter spelling may be written so. */
static bool read_code_point(struct reader *r)
{
    unsigned c, low;

    if (!read_unit(r, &c))
        return false;
    if (c == 0 || (c >= 0x20 && c < 0x80) || (c < 0x20 && strchr("\b\f\n\r\t", (int)c)))
        return refuse(r, "an escape where the plain character is canonical");
    if (c >= 0xdc00 && c < 0xe000)
        return refuse(r, "a low surrogate alone");
    if (c >= 0xd800 && c < 0xdc00) {
        if (!expect(r, '\\', "a high surrogate alone") || !expect(r, 'u', "a high surrogate alone") ||
            !read_unit(r, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(r, "a high surrogate alone");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(r, c);
    return true;
}

static bool read_escape(struct reader *r)
{
    static const char from[] = "\"\\bfnrt", to[] = "\"\\\b\f\n\r\t";
    const char *hit;

    if (r->at == r->end)
        return refuse(r, "a cut escape");
    if (*r->at == 'u') {
        r->at++;
        return read_code_point(r);
    }
    hit = *r->at ? strchr(from, *r->at) : NULL;
    if (!hit)
        return refuse(r, "an unknown escape");
    r->at++;
    *r->pool++ = to[hit - from];
    return true;
}

/* The decoded text is never longer than its spelling, so the pool holds it. */
static bool read_text(struct reader *r, const char **text, size_t *len)
{
    char *start = r->pool;

    if (!expect(r, '"', "a string was expected"))
        return false;
    for (;;) {
        uint8_t c;

        if (r->at == r->end)
            return refuse(r, "a string without end");
        c = *r->at++;
        if (c == '"')
            break;
        if (c < 0x20 || c >= 0x80)
            return refuse(r, "a string with a byte outside printable ASCII");
        if (c != '\\')
            *r->pool++ = (char)c;
        else if (!read_escape(r))
            return false;
    }
    *len = (size_t)(r->pool - start);
    *r->pool++ = '\0';
    *text = start;
    return true;
}

static bool read_int(struct reader *r, int64_t *out)
{
    bool negative = *r->at == '-';
    uint64_t n = 0, limit = (uint64_t)INT64_MAX + negative;
    const uint8_t *first = r->at + negative;

    r->at = first;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        uint64_t digit = (uint64_t)(*r->at++ - '0');

        if (n > (limit - digit) / 10)
            return refuse(r, "an integer of more than 64 bits");
        n = 10 * n + digit;
    }
    if (r->at == first || (*first == '0' && (r->at - first > 1 || negative)))
        return refuse(r, "a number that is not a canonical integer");
    if (r->at < r->end && (*r->at == '.' || *r->at == 'e' || *r->at == 'E'))
        return refuse(r, "a number with a fraction or exponent");
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static bool read_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return refuse(r, "an unknown word");
    r->at += n;
    return true;
}

static int compare_keys(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static bool read_value(struct reader *r, size_t self, int depth);

static bool read_key(struct reader *r, const char **key, size_t *key_len)
{
    const char *text;
    size_t len;

    if (!read_text(r, &text, &len) || !expect(r, ':', "a colon was expected"))
        return false;
    if (*key && compare_keys(*key, *key_len, text, len) >= 0)
        return refuse(r, "keys that are repeated or not sorted");
    *key = text;
    *key_len = len;
    return true;
}

static bool read_children(struct reader *r, size_t self, char close, int depth)
{
    const char *key = NULL;
    size_t key_len = 0, last = 0, child;

    r->at++;
    if (depth >= YM_VJSON_DEPTH)
        return refuse(r, "nesting that is too deep");
    if (r->at < r->end && *r->at == (uint8_t)close) {
        r->at++;
        return true;
    }
    for (;;) {
        if (close == '}' && !read_key(r, &key, &key_len))
            return false;
        if (!add_node(r, &child))
            return false;
        r->out->node[child].key = key;
        if (last)
            r->out->node[last].next = child;
        else
            r->out->node[self].child = child;
        last = child;
        r->out->node[self].count++;
        if (!read_value(r, child, depth + 1))
            return false;
        if (r->at < r->end && *r->at == (uint8_t)close)
            break;
        if (!expect(r, ',', "a comma was expected"))
            return false;
    }
    r->at++;
    return true;
}

static bool read_value(struct reader *r, size_t self, int depth)
{
    struct ym_vnode v = r->out->node[self];
    bool good;

    if (r->at == r->end)
        return refuse(r, "a value was expected");
    switch (*r->at) {
    case '{':
    case '[':
        r->out->node[self].kind = *r->at == '{' ? YM_V_OBJECT : YM_V_ARRAY;
        return read_children(r, self, *r->at == '{' ? '}' : ']', depth);
    case '"':
        v.kind = YM_V_TEXT;
        good = read_text(r, &v.text, &v.text_len);
        break;
    case 't':
        v.kind = YM_V_TRUE;
        good = read_word(r, "true");
        break;
    case 'f':
        v.kind = YM_V_FALSE;
        good = read_word(r, "false");
        break;
    case 'n':
        v.kind = YM_V_NULL;
        good = read_word(r, "null");
        break;
    default:
        v.kind = YM_V_INT;
        good = read_int(r, &v.integer);
    }
    r->out->node[self] = v;
    return good;
}

bool ym_vjson_parse(struct ym_bytes bytes, struct ym_vjson *out, const char **why)
{
    struct reader r = {.at = bytes.data, .end = bytes.data + bytes.len, .out = out};
    size_t root;
    bool good;

    *out = (struct ym_vjson){0};
    out->pool = r.pool = malloc(bytes.len + 1);
    if (!out->pool) {
        *why = "out of memory";
        return false;
    }
    good = add_node(&r, &root) && read_value(&r, root, 0);
    if (good && r.at != r.end)
        good = refuse(&r, "bytes after the value");
    if (!good)
        *why = r.why;
    return good;
}

void ym_vjson_release(struct ym_vjson *j)
{
    free(j->node);
    free(j->pool);
    *j = (struct ym_vjson){0};
}

const struct ym_vnode *ym_vjson_root(const struct ym_vjson *j)
{
    return j->node;
}

const struct ym_vnode *ym_vjson_first(const struct ym_vjson *j, const struct ym_vnode *parent)
{
    return parent->child ? &j->node[parent->child] : NULL;
}

const struct ym_vnode *ym_vjson_next(const struct ym_vjson *j, const struct ym_vnode *node)
{
    return node->next ? &j->node[node->next] : NULL;
}

const struct ym_vnode *ym_vjson_get(const struct ym_vjson *j, const struct ym_vnode *object, const char *key)
{
    const struct ym_vnode *n = NULL;

    if (object->kind == YM_V_OBJECT)
        n = ym_vjson_first(j, object);
    while (n && (n->key[0] != key[0] || strcmp(n->key, key) != 0))
        n = ym_vjson_next(j, n);
    return n;
}

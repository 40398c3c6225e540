#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8_internal.h"

void ym_buf_release(struct ym_buf *b)
{
    free(b->data);
    *b = (struct ym_buf){0};
}

void ym_buf_wipe(struct ym_buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    ym_buf_release(b);
}

void ym_buf_clear(struct ym_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

enum ym_code ym_buf_reserve(struct ym_buf *b, size_t more)
{
    size_t need, cap;
    uint8_t *data;

    if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need) || need > PTRDIFF_MAX)
        return YM_EXHAUSTED;
    if (need <= b->cap)
        return YM_OK;
    cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap = cap > PTRDIFF_MAX / 2 ? need : cap * 2;
    data = realloc(b->data, cap);
    if (!data)
        return YM_EXHAUSTED;
    data[b->len] = '\0';
    b->data = data;
    b->cap = cap;
    return YM_OK;
}

enum ym_code ym_buf_append(struct ym_buf *b, const void *data, size_t len)
{
    enum ym_code code = ym_buf_reserve(b, len);

    if (code != YM_OK)
        return code;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return YM_OK;
}

enum ym_code ym_buf_puts(struct ym_buf *b, const char *text)
{
    return ym_buf_append(b, text, strlen(text));
}

enum ym_code ym_buf_printf(struct ym_buf *b, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0 || ym_buf_reserve(b, (size_t)len) != YM_OK)
        return YM_EXHAUSTED;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
    return YM_OK;
}

static bool begins_formula(const char *text)
{
    static const char *const wide[] = {"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strncmp(text, wide[i], 3) == 0)
            return true;
    return text[0] && strchr("=+-@\t\r\n", text[0]);
}

enum ym_code ym_buf_csv(struct ym_buf *b, const char *text)
{
    size_t before = b->len;
    enum ym_code code = ym_buf_puts(b, begins_formula(text) ? "\"'" : "\"");

    for (; code == YM_OK && *text; text++)
        code = ym_buf_append(b, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    if (code == YM_OK)
        code = ym_buf_puts(b, "\"");
    if (code != YM_OK)
        b->len = before;
    return code;
}

const char *ym_buf_str(const struct ym_buf *b)
{
    return b->data ? (const char *)b->data : "";
}

struct ym_bytes ym_buf_bytes(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

enum ym_code ym_hex_encode(const void *data, size_t len, struct ym_buf *out)
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *p = data;

    if (len > PTRDIFF_MAX / 2 || ym_buf_reserve(out, 2 * len) != YM_OK)
        return YM_EXHAUSTED;
    for (size_t i = 0; i < len; i++) {
        out->data[out->len++] = (uint8_t)digit[p[i] >> 4];
        out->data[out->len++] = (uint8_t)digit[p[i] & 15];
    }
    out->data[out->len] = '\0';
    return YM_OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

enum ym_code ym_hex_decode(const char *text, size_t len, void *out, size_t out_len)
{
    uint8_t *p = out;

    if (len / 2 != out_len || len % 2)
        return YM_INVALID;
    for (size_t i = 0; i < len; i++)
        if (hex_value(text[i]) < 0)
            return YM_INVALID;
    for (size_t i = 0; i < out_len; i++)
        p[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    return YM_OK;
}

enum ym_code ym_base64_encode(const void *data, size_t len, struct ym_buf *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;

    if (len > PTRDIFF_MAX / 2 || ym_buf_reserve(out, (len + 2) / 3 * 4) != YM_OK)
        return YM_EXHAUSTED;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

        out->data[out->len++] = (uint8_t)digit[v >> 18];
        out->data[out->len++] = (uint8_t)digit[v >> 12 & 63];
        out->data[out->len++] = (uint8_t)(left > 1 ? digit[v >> 6 & 63] : '=');
        out->data[out->len++] = (uint8_t)(left > 2 ? digit[v & 63] : '=');
    }
    out->data[out->len] = '\0';
    return YM_OK;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits to v; *bytes is how many bytes they hold. False unless canonical: unused bits zero. */
static bool base64_group(const char *text, bool last, uint32_t *v, size_t *bytes)
{
    size_t pad = last && text[3] == '=' ? 1 + (text[2] == '=') : 0;

    *v = 0;
    for (size_t i = 0; i < 4; i++) {
        int d = i < 4 - pad ? base64_value(text[i]) : 0;

        if (d < 0)
            return false;
        *v = *v << 6 | (uint32_t)d;
    }
    *bytes = 3 - pad;
    return (*v & ((1u << 8 * pad) - 1)) == 0;
}

enum ym_code ym_base64_decode(const char *text, size_t len, struct ym_buf *out)
{
    size_t start = out->len, bytes = 0;
    uint32_t v = 0;

    if (len % 4)
        return YM_INVALID;
    for (size_t i = 0; i < len; i += 4)
        if (!base64_group(text + i, i + 4 == len, &v, &bytes))
            return YM_INVALID;
    if (ym_buf_reserve(out, len / 4 * 3) != YM_OK)
        return YM_EXHAUSTED;
    for (size_t i = 0; i < len; i += 4) {
        base64_group(text + i, i + 4 == len, &v, &bytes);
        for (size_t k = 0; k < bytes; k++)
            out->data[start++] = (uint8_t)(v >> (16 - 8 * k));
    }
    out->len = start;
    out->data[out->len] = '\0';
    return YM_OK;
}

bool ym_utf8_valid(const char *text, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = ym_utf8_step(text + at, len - at);
        if (step == 0 || text[at] == '\0')
            return false;
    }
    return true;
}

bool ym_name_valid(const char *name)
{
    size_t len = name ? strnlen(name, 64) : 0;

    if (len == 0 || len > 63 || name[0] == '-' || name[0] == '_')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

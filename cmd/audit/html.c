#include "cmd/audit/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void keep(struct html *h, enum ym_code code)
{
    h->failed |= code != YM_OK;
}

static enum ym_code put_format(struct ym_buf *out, const char *fmt, va_list args)
{
    va_list again;
    enum ym_code code;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    code = len < 0 ? YM_EXHAUSTED : ym_buf_reserve(out, (size_t)len + 1);
    if (code == YM_OK) {
        vsnprintf((char *)out->data + out->len, (size_t)len + 1, fmt, args);
        out->len += (size_t)len;
    }
    return code;
}

void html_raw(struct html *h, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    keep(h, put_format(&h->out, fmt, args));
    va_end(args);
}

/* Bytes of the character at p, 0 when it is none, with its code point. */
static size_t read_character(const char *p, uint32_t *point)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

    if (strnlen(p, len) < len || !ym_utf8_valid(p, len))
        return 0;
    *point = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        *point = *point << 6 | (u[i] & 0x3f);
    return len;
}

/* Controls, and what turns the direction of text or takes no room: a name must look like what it is. */
static bool hides(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c >= 0xe0000;
}

static const char *reference(uint32_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return hides(c) ? "\xef\xbf\xbd" : NULL;
    }
}

void html_text(struct html *h, const char *text)
{
    while (*text && !h->failed) {
        uint32_t c = 0;
        size_t len = read_character(text, &c);
        const char *instead = len ? reference(c) : "\xef\xbf\xbd";

        keep(h, instead ? ym_buf_puts(&h->out, instead) : ym_buf_append(&h->out, text, len));
        text += len ? len : 1;
    }
}

static void say(struct html *h, enum ym_text_id id, va_list args)
{
    struct ym_buf plain = {0};

    keep(h, put_format(&plain, ym_text_in(id, h->lang), args));
    html_text(h, ym_buf_str(&plain));
    ym_buf_release(&plain);
}

void html_say(struct html *h, enum ym_text_id id, ...)
{
    va_list args;

    va_start(args, id);
    say(h, id, args);
    va_end(args);
}

static void close_tag(struct html *h, const char *tag)
{
    html_raw(h, "</%.*s>", (int)strcspn(tag, " "), tag);
}

void html_element(struct html *h, const char *tag, const char *text)
{
    html_raw(h, "<%s>", tag);
    html_text(h, text);
    close_tag(h, tag);
}

void html_element_say(struct html *h, const char *tag, enum ym_text_id id, ...)
{
    va_list args;

    html_raw(h, "<%s>", tag);
    va_start(args, id);
    say(h, id, args);
    va_end(args);
    close_tag(h, tag);
}

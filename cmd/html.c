#include "cmd/html.h"

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
        return ym_text_hides(c) ? "\xef\xbf\xbd" : NULL;
    }
}

void html_text(struct html *h, const char *text)
{
    while (*text && !h->failed) {
        uint32_t c = 0;
        size_t len = ym_text_character(text, &c);
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

#include "base/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/listing.h"
#include "base/text.h"

void ym_screen_section(struct ym_screen *s, const char *head)
{
    struct ym_screen_section *c = &s->section[s->count];

    YM_ASSERT(s->count < YM_SCREEN_SECTIONS);
    s->count++;
    snprintf(c->head, sizeof c->head, "%s", head);
}

static void add_row(struct ym_screen_section *c, const char *text, size_t len)
{
    if (ym_buf_append(&c->row, text, len) == YM_OK && ym_buf_append(&c->row, "", 1) == YM_OK)
        c->shown = ++c->count;
}

void ym_screen_add(struct ym_screen *s, const char *text)
{
    YM_ASSERT(s->count > 0);
    while (*text) {
        size_t line = strcspn(text, "\n"), len = line;

        while (len > 0 && text[len - 1] == ' ')
            len--;
        if (len > 0)
            add_row(&s->section[s->count - 1], text, len);
        text += text[line] ? line + 1 : line;
    }
}

void ym_screen_addf(struct ym_screen *s, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) >= 0)
        ym_screen_add(s, text);
    va_end(ap);
    free(text);
}

/* Bytes of the longest beginning that is at most columns wide. */
static size_t cut(const char *text, size_t columns)
{
    char part[8];
    size_t at = 0, width = 0;

    while (text[at]) {
        size_t n = 1;

        while (n < sizeof part - 1 && ((unsigned char)text[at + n] & 0xc0) == 0x80)
            n++;
        memcpy(part, text + at, n);
        part[n] = '\0';
        width += ym_listing_width(part);
        if (width > columns)
            break;
        at += n;
    }
    return at;
}

void ym_screen_wrap(struct ym_screen *s, const char *text, size_t columns)
{
    YM_ASSERT(s->count > 0);
    while (*text) {
        size_t len = cut(text, columns), blank = len;

        while (text[len] && blank > 0 && text[blank] != ' ')
            blank--;
        len = blank > 0 ? blank : len;
        if (len == 0)
            return;
        add_row(&s->section[s->count - 1], text, len);
        text += len;
        text += strspn(text, " ");
    }
}

static size_t height(const struct ym_screen *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->section[i].shown + (s->section[i].shown && s->section[i].head[0]);
    return n;
}

static void fit(struct ym_screen *s, size_t lines)
{
    while (height(s) > lines) {
        struct ym_screen_section *longest = NULL;

        for (size_t i = 0; i < s->count; i++)
            if (s->section[i].head[0] && s->section[i].shown > (longest ? longest->shown : 1))
                longest = &s->section[i];
        if (!longest)
            return;
        longest->shown--;
    }
}

static void print_row(const char *row, size_t columns, struct ym_buf *out)
{
    if (ym_listing_width(row) <= columns)
        ym_buf_printf(out, "%s\n", row);
    else
        ym_buf_printf(out, "%.*s...\n", (int)cut(row, columns - 3), row);
}

static void print_section(const struct ym_screen_section *c, size_t columns, struct ym_buf *out)
{
    const char *row = ym_buf_str(&c->row);

    if (c->count && c->head[0])
        ym_buf_puts(out, c->head);
    if (c->shown < c->count)
        ym_buf_printf(out, T(SCREEN_SHOWN), c->shown, c->count);
    if (c->count && c->head[0])
        ym_buf_puts(out, "\n");
    for (size_t i = 0; i < c->shown; i++, row += strlen(row) + 1)
        print_row(row, columns, out);
}

void ym_screen_format(struct ym_screen *s, size_t lines, size_t columns, struct ym_buf *out)
{
    fit(s, lines);
    for (size_t i = 0; i < s->count; i++) {
        print_section(&s->section[i], columns, out);
        ym_buf_release(&s->section[i].row);
    }
    *s = (struct ym_screen){0};
}

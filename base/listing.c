#include "base/listing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The wide blocks that our catalogue uses (Unicode TR 11): CJK, Hangul, full-width forms. */
static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

static uint32_t next_point(const unsigned char **at)
{
    uint32_t c = *(*at)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    c &= more == 3 ? 0x07U : more == 2 ? 0x0fU : more == 1 ? 0x1fU : 0xffU;
    while (more-- > 0 && (**at & 0xc0) == 0x80)
        c = c << 6 | (*(*at)++ & 0x3fU);
    return c;
}

size_t ym_listing_width(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t width = 0;

    while (*at)
        width += is_wide(next_point(&at)) ? 2 : 1;
    return width;
}

void ym_listing_add(struct ym_listing *t, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    YM_ASSERT(t->columns > 0 && t->columns <= YM_LISTING_COLUMNS);
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) >= 0 && ym_buf_append(&t->cell, text, strlen(text) + 1) == YM_OK)
        t->count++;
    va_end(ap);
    free(text);
}

void ym_listing_head(struct ym_listing *t, const enum ym_text_id *head)
{
    for (size_t i = 0; i < t->columns; i++)
        ym_listing_add(t, "%s", ym_text(head[i]));
}

static void add_cell(struct ym_buf *row, const char *text, size_t width, bool right)
{
    int pad = (int)(width - ym_listing_width(text));

    if (right)
        ym_buf_printf(row, "%*s%s  ", pad, "", text);
    else
        ym_buf_printf(row, "%s%*s  ", text, pad, "");
}

static void end_row(struct ym_buf *out)
{
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->len--;
    ym_buf_append(out, "\n", 1);
}

/* Bytes of the text's first line, and where the next one begins: at a blank, or where there is none at a character. */
static size_t fold(const char *text, size_t most, const char **next)
{
    const unsigned char *at = (const unsigned char *)text, *blank = NULL, *last = at;
    size_t width = 0;

    for (*next = text + strlen(text); *at; last = at) {
        if (*at == ' ')
            blank = at;
        width += is_wide(next_point(&at)) ? 2 : 1;
        if (most == 0 || width <= most)
            continue;
        last = blank ? blank : last > (const unsigned char *)text ? last : at;
        *next = (const char *)last + (blank != NULL);
        break;
    }
    return (size_t)((const char *)last - text);
}

/* One line of a row: the next piece of each of its cells. */
static bool add_line(const struct ym_listing *t, const size_t *width, const char **cell, struct ym_buf *out)
{
    struct ym_buf piece = {0};
    bool more = false;

    if (t->indent)
        ym_buf_puts(out, t->indent);
    for (size_t i = 0; i < t->columns; i++) {
        const char *next;
        size_t len = fold(cell[i], t->most, &next);

        ym_buf_clear(&piece);
        ym_buf_append(&piece, cell[i], len);
        add_cell(out, ym_buf_str(&piece), width[i], t->right >> i & 1U);
        cell[i] = next;
        more |= *next != '\0';
    }
    end_row(out);
    ym_buf_release(&piece);
    return more;
}

void ym_listing_format(struct ym_listing *t, struct ym_buf *out)
{
    size_t width[YM_LISTING_COLUMNS] = {0};
    const char *text = (const char *)t->cell.data, *cell[YM_LISTING_COLUMNS];

    for (size_t i = 0; i < t->count; i++, text += strlen(text) + 1) {
        size_t w = ym_listing_width(text);

        w = t->most > 0 && w > t->most ? t->most : w;
        if (w > width[i % t->columns])
            width[i % t->columns] = w;
    }
    text = (const char *)t->cell.data;
    for (size_t i = 0; i < t->count; i++, text += strlen(text) + 1) {
        cell[i % t->columns] = text;
        while (i % t->columns == t->columns - 1 && add_line(t, width, cell, out))
            continue;
    }
    ym_buf_release(&t->cell);
    t->count = 0;
}

void ym_listing_print(struct ym_listing *t)
{
    struct ym_buf text = {0};

    ym_listing_format(t, &text);
    fputs(ym_buf_str(&text), stdout);
    ym_buf_release(&text);
}

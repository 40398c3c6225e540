#include "cmd/audit/table.h"

#include <stdio.h>
#include <string.h>

/* The wide blocks that our catalogue uses (Unicode TR 11): CJK, Hangul, full-width forms. */
static int is_wide(unsigned c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

static unsigned next_point(const unsigned char **at)
{
    unsigned c = *(*at)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    c &= more == 3 ? 0x07u : more == 2 ? 0x0fu : more == 1 ? 0x1fu : 0xffu;
    while (more-- > 0 && (**at & 0xc0) == 0x80)
        c = c << 6 | (*(*at)++ & 0x3fu);
    return c;
}

size_t audit_width(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t width = 0;

    while (*at)
        width += is_wide(next_point(&at)) ? 2 : 1;
    return width;
}

static void print_cell(const char *text, size_t width, int right, int last)
{
    size_t pad = width - audit_width(text);

    if (right)
        printf("%*s%s%s", (int)pad, "", text, last ? "\n" : "  ");
    else if (last)
        printf("%s\n", text);
    else
        printf("%s%*s  ", text, (int)pad, "");
}

void audit_table(const char *const *cell, size_t columns, size_t rows, unsigned right)
{
    size_t width[16] = {0};

    for (size_t i = 0; i < columns * rows; i++) {
        size_t w = audit_width(cell[i]);

        if (w > width[i % columns])
            width[i % columns] = w;
    }
    for (size_t i = 0; i < columns * rows; i++)
        print_cell(cell[i], width[i % columns], right >> i % columns & 1, i % columns == columns - 1);
}

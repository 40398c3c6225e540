#ifndef YM_BASE_SCREEN_H
#define YM_BASE_SCREEN_H

#include "base/buf.h"

/* Rows under headings that stay on one screen of a terminal: a row that is too
 * wide ends in "...", and where there are too many the longest sections with a
 * heading lose rows, and their heading says how many are shown of how many.
 * Zero-initialise. Out of memory loses rows. */

enum { YM_SCREEN_SECTIONS = 16, YM_SCREEN_HEAD = 256 };

struct ym_screen_section {
    char head[YM_SCREEN_HEAD]; /* one line; "" for none, and no row is lost */
    struct ym_buf row;         /* each ends in NUL */
    size_t count, shown;
};
struct ym_screen {
    struct ym_screen_section section[YM_SCREEN_SECTIONS];
    size_t count;
};

/* Begin a section, of which nothing is printed while it has no row. */
void ym_screen_section(struct ym_screen *s, const char *head);
/* Each line of text becomes a row of the last section; blanks at its end go. */
void ym_screen_add(struct ym_screen *s, const char *text);
void ym_screen_addf(struct ym_screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As rows of at most columns, broken at blanks. */
void ym_screen_wrap(struct ym_screen *s, const char *text, size_t columns);
/* The screen as text, at most lines long while every section with a heading can lose rows but one; releases s.
 * lines, columns: of the terminal, where a Chinese character is two columns wide. */
void ym_screen_format(struct ym_screen *s, size_t lines, size_t columns, struct ym_buf *out);

#endif

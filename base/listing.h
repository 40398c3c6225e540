#ifndef YM_BASE_LISTING_H
#define YM_BASE_LISTING_H

#include "base/buf.h"
#include "base/text.h"

/* Rows of text in aligned columns for a terminal, where a Chinese character is
 * two columns wide. Cells are added row by row, left to right; the last row
 * must be whole. Zero-initialise, then set columns. */
struct ym_listing {
    size_t columns;     /* 1 to YM_LISTING_COLUMNS */
    unsigned right;     /* columns set flush right, a bit each */
    const char *indent; /* before each row; NULL for nothing */
    size_t most;        /* terminal columns of a cell, which goes on below where it is longer; 0: any */
    struct ym_buf cell; /* each ends in NUL */
    size_t count;
};

enum { YM_LISTING_COLUMNS = 16 };

void ym_listing_add(struct ym_listing *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first row, from the catalogue: columns ids. */
void ym_listing_head(struct ym_listing *t, const enum ym_text_id *head);
/* Without blanks at line ends; releases t. */
void ym_listing_format(struct ym_listing *t, struct ym_buf *out);
/* The same to stdout. */
void ym_listing_print(struct ym_listing *t);
/* Terminal columns of UTF-8 text. */
size_t ym_listing_width(const char *text);

#endif

#ifndef YM_WORKER_DATA_CELL_H
#define YM_WORKER_DATA_CELL_H

#include <stddef.h>

#include "gate/card.h"

/* What one cell of a card's column means. Pure; no locale. */
enum ym_cell_fault {
    YM_CELL_FINE = 0,
    YM_CELL_BYTES,      /* not text of the declared encoding */
    YM_CELL_NUL,        /* holds a NUL byte */
    YM_CELL_NUMBER,     /* not a number */
    YM_CELL_THOUSANDS,  /* 1,234 */
    YM_CELL_FULL_WIDTH, /* １２ */
    YM_CELL_COMPARED,   /* <0.5 */
    YM_CELL_NO_VALUE,   /* NaN, NULL, inf: a code that the card does not declare */
    YM_CELL_TOO_LARGE,
    YM_CELL_DATE,
    YM_CELL_LEVEL, /* not a level, not in the map */
};

/* Spaces of any width around the text do not count. */
void ym_cell_trim(const char **text, size_t *len);
/* Encoding faults of any cell, YM_CELL_FINE when it is text. */
enum ym_cell_fault ym_cell_text(const char *text, size_t len);
/* The value in study units; NaN when missing (empty, or a missing code). Of an image: 0, it is there. */
enum ym_cell_fault ym_cell_value(const struct ym_card_var *var, const char *text, size_t len, double *out);
/* Days since 1970-01-01 (proleptic Gregorian), years 0000..9999; the time of day
 * is checked and dropped. */
enum ym_cell_fault ym_cell_date(const char *format, const char *text, size_t len, double *out);

#endif

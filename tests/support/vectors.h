#ifndef YM_TESTS_SUPPORT_VECTORS_H
#define YM_TESTS_SUPPORT_VECTORS_H

/* Reads tests/vectors/privacy: CSV files with a head line (README there gives the columns and the pass rules). A file
 * or column that is missing fails the test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/accountant.h"
#include "privacy/clip.h"

#define VECTORS_FOLDER YM_TEST_SOURCE_ROOT "/tests/vectors/privacy/"
#define VECTORS_COLUMNS 32

struct vectors {
    FILE *f;
    char head_line[4096], line[4096];
    char *head[VECTORS_COLUMNS], *cell[VECTORS_COLUMNS];
    size_t columns, cells;
};

/* In place; a quoted cell may hold commas. */
static inline size_t vectors_split(char *line, char **cell)
{
    size_t count = 0;

    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line; p && count < VECTORS_COLUMNS;) {
        bool quoted = *p == '"';
        char *end = quoted ? strchr(p + 1, '"') : strchr(p, ',');

        cell[count++] = quoted ? p + 1 : p;
        if (end && quoted) {
            *end = 0;
            end = end[1] == ',' ? end + 1 : NULL;
        }
        if (end)
            *end = 0;
        p = end ? end + 1 : NULL;
    }
    return count;
}

#define vectors_open(table, name) vectors_open_path(table, VECTORS_FOLDER name)

static inline void vectors_open_path(struct vectors *t, const char *path)
{
    t->f = fopen(path, "r");
    assert_non_null(t->f);
    assert_non_null(fgets(t->head_line, sizeof t->head_line, t->f));
    t->columns = vectors_split(t->head_line, t->head);
}

/* The next row; false, and closed, after the last. */
static inline bool vectors_next(struct vectors *t)
{
    if (!fgets(t->line, sizeof t->line, t->f)) {
        fclose(t->f);
        return false;
    }
    t->cells = vectors_split(t->line, t->cell);
    return true;
}

static inline const char *vectors_text(const struct vectors *t, const char *column)
{
    for (size_t i = 0; i < t->columns && i < t->cells; i++)
        if (strcmp(t->head[i], column) == 0)
            return t->cell[i];
    fail_msg("no column '%s'", column);
    return NULL;
}

/* NAN for an empty cell, `error` or `NA`. */
static inline double vectors_number(const struct vectors *t, const char *column)
{
    char *end;
    double v = strtod(vectors_text(t, column), &end);

    return end == vectors_text(t, column) || *end ? NAN : v;
}

/* The nearest charge: sigma to a lattice unit, q down to 2^-64. */
static inline struct ym_event vectors_event(double sigma, double q, double steps)
{
    return (struct ym_event){.sigma_units = (uint64_t)llround(sigma * YM_CLIP_UNITS),
                             .sampling_k = q >= 1 ? UINT64_MAX : (uint64_t)ldexp(q, 64),
                             .steps = (uint64_t)steps};
}

/* Whether sigma is a whole number of lattice units, so that the charge is the row's own. */
static inline bool vectors_on_lattice(double sigma)
{
    return sigma * YM_CLIP_UNITS == floor(sigma * YM_CLIP_UNITS);
}

#endif

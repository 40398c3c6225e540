#ifndef YM_CMD_AUDIT_TABLE_H
#define YM_CMD_AUDIT_TABLE_H

#include <stddef.h>

/* Print rows as aligned columns; a Chinese character is two columns wide.
 * right: columns to set flush right, a bit each. */
void audit_table(const char *const *cell, size_t columns, size_t rows, unsigned right);
/* Columns that UTF-8 text takes on a terminal. */
size_t audit_width(const char *text);

#endif

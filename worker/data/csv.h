#ifndef YM_WORKER_DATA_CSV_H
#define YM_WORKER_DATA_CSV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Tokeniser of delimited UTF-8 text: RFC 4180 and what spreadsheets write (BOM,
 * LF, CRLF or CR line ends, blank lines, quotes around separators, line ends and
 * doubled quotes). Pushed bytes come out as records; a record is never longer
 * than YM_CSV_RECORD_BYTES nor wider than YM_CSV_FIELDS. Cells are bytes: what
 * they hold, NUL included, is the caller's to judge. */
#define YM_CSV_RECORD_BYTES (1u << 20)
#define YM_CSV_FIELDS 65536u

enum ym_csv_fault {
    YM_CSV_FINE = 0,
    YM_CSV_AFTER_QUOTE, /* text between a closing quote and the separator */
    YM_CSV_UNCLOSED,    /* the file ends inside quotes */
    YM_CSV_TOO_LONG,    /* over a bound: nothing after it can be read */
};

struct ym_csv_field {
    const char *text; /* not NUL-terminated; valid during the callback */
    size_t len;
    uint64_t line; /* where the field begins, 1-based */
};

struct ym_csv_record {
    uint64_t line;
    const struct ym_csv_field *field;
    size_t count;
    enum ym_csv_fault fault;
};

/* Anything but YM_OK ends the reading with that code. */
typedef enum ym_code (*ym_csv_record_fn)(void *ctx, const struct ym_csv_record *record, struct ym_status *st);

struct ym_csv;
struct ym_csv *ym_csv_new(char separator, ym_csv_record_fn on_record, void *ctx); /* NULL: no memory */
void ym_csv_free(struct ym_csv *csv);
/* A record over a bound is delivered with its fault, then YM_INVALID. */
enum ym_code ym_csv_push(struct ym_csv *csv, const void *data, size_t len, struct ym_status *st);
enum ym_code ym_csv_finish(struct ym_csv *csv, struct ym_status *st);

#endif

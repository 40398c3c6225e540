#include "worker/data/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum state { AT_FIELD, IN_PLAIN, IN_QUOTES, AFTER_QUOTE };

struct span {
    size_t at, len;
    uint64_t line;
};

struct ym_csv {
    char separator;
    ym_csv_record_fn on_record;
    void *ctx;
    enum state state;
    int bom;        /* bytes of a BOM seen so far; -1 once it is decided */
    bool after_cr;  /* the LF of a CRLF is still to come */
    bool any_quote; /* this record has a quoted field: "" alone is not a blank line */
    enum ym_csv_fault fault;
    uint64_t line, record_line, field_line;
    struct ym_buf text; /* cells of the record, one after another */
    size_t field_at;
    struct span *span;
    struct ym_csv_field *field;
    size_t count, cap;
};

struct ym_csv *ym_csv_new(char separator, ym_csv_record_fn on_record, void *ctx)
{
    struct ym_csv *csv = calloc(1, sizeof *csv);
    if (!csv)
        return NULL;
    csv->separator = separator;
    csv->on_record = on_record;
    csv->ctx = ctx;
    csv->line = csv->record_line = csv->field_line = 1;
    return csv;
}

void ym_csv_free(struct ym_csv *csv)
{
    if (!csv)
        return;
    ym_buf_release(&csv->text);
    free(csv->span);
    free(csv->field);
    free(csv);
}

static enum ym_code grow(struct ym_csv *csv, struct ym_status *st)
{
    size_t cap = csv->cap ? csv->cap * 2 : 64;
    struct span *span = realloc(csv->span, cap * sizeof *span);
    if (span)
        csv->span = span;
    struct ym_csv_field *field = realloc(csv->field, cap * sizeof *field);
    if (field)
        csv->field = field;
    if (!span || !field)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    csv->cap = cap;
    return YM_OK;
}

static void record_reset(struct ym_csv *csv)
{
    ym_buf_clear(&csv->text);
    csv->count = csv->field_at = 0;
    csv->any_quote = false;
    csv->fault = YM_CSV_FINE;
    csv->record_line = csv->field_line = csv->line;
    csv->state = AT_FIELD;
}

static enum ym_code record_deliver(struct ym_csv *csv, struct ym_status *st)
{
    for (size_t i = 0; i < csv->count; i++) {
        const char *text = csv->text.data ? (const char *)csv->text.data + csv->span[i].at : "";
        csv->field[i] = (struct ym_csv_field){text, csv->span[i].len, csv->span[i].line};
    }
    struct ym_csv_record record = {csv->record_line, csv->field, csv->count, csv->fault};
    return csv->on_record(csv->ctx, &record, st);
}

static enum ym_code too_long(struct ym_csv *csv, struct ym_status *st)
{
    csv->fault = YM_CSV_TOO_LONG;
    enum ym_code code = record_deliver(csv, st);
    if (code != YM_OK)
        return code;
    return ym_status_set(st, YM_INVALID, "line %llu is longer than %u bytes or %u cells",
                         (unsigned long long)csv->record_line, YM_CSV_RECORD_BYTES, YM_CSV_FIELDS);
}

static enum ym_code field_end(struct ym_csv *csv, struct ym_status *st)
{
    if (csv->count == YM_CSV_FIELDS)
        return too_long(csv, st);
    if (csv->count == csv->cap) {
        enum ym_code code = grow(csv, st);
        if (code != YM_OK)
            return code;
    }
    csv->span[csv->count++] = (struct span){csv->field_at, csv->text.len - csv->field_at, csv->field_line};
    csv->field_at = csv->text.len;
    csv->field_line = csv->line;
    csv->state = AT_FIELD;
    return YM_OK;
}

static enum ym_code record_end(struct ym_csv *csv, struct ym_status *st)
{
    enum ym_code code = field_end(csv, st);
    bool blank = csv->count == 1 && csv->span[0].len == 0 && !csv->any_quote;
    if (code == YM_OK && !blank)
        code = record_deliver(csv, st);
    return code;
}

static enum ym_code keep_run(struct ym_csv *csv, const char *p, size_t len, struct ym_status *st)
{
    if (len > YM_CSV_RECORD_BYTES - csv->text.len)
        return too_long(csv, st);
    if (ym_buf_append(&csv->text, p, len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    return YM_OK;
}

static enum ym_code keep(struct ym_csv *csv, char c, struct ym_status *st)
{
    return keep_run(csv, &c, 1, st);
}

static enum ym_code line_end(struct ym_csv *csv, struct ym_status *st)
{
    enum ym_code code = record_end(csv, st);
    csv->line++;
    record_reset(csv);
    return code;
}

static enum ym_code in_quotes(struct ym_csv *csv, char c, struct ym_status *st)
{
    if (c == '"') {
        csv->state = AFTER_QUOTE;
        return YM_OK;
    }
    /* a CR alone also ends a line for whoever looks it up in an editor */
    csv->line += c == '\n' ? !csv->after_cr : c == '\r';
    csv->after_cr = c == '\r';
    return keep(csv, c, st);
}

static enum ym_code step(struct ym_csv *csv, char c, struct ym_status *st)
{
    if (csv->state == IN_QUOTES)
        return in_quotes(csv, c, st);
    bool lf_of_crlf = csv->after_cr && c == '\n';
    csv->after_cr = c == '\r';
    if (lf_of_crlf)
        return YM_OK;
    if (c == '\n' || c == '\r')
        return line_end(csv, st);
    if (c == csv->separator)
        return field_end(csv, st);
    if (csv->state == AT_FIELD && c == '"') {
        csv->state = IN_QUOTES;
        csv->any_quote = true;
        return YM_OK;
    }
    if (csv->state == AFTER_QUOTE && c == '"') {
        csv->state = IN_QUOTES;
        return keep(csv, c, st);
    }
    if (csv->state == AFTER_QUOTE)
        csv->fault = YM_CSV_AFTER_QUOTE;
    csv->state = csv->state == AT_FIELD ? IN_PLAIN : csv->state;
    return keep(csv, c, st);
}

static const char bom_bytes[] = "\xef\xbb\xbf";

/* The first bytes: a whole BOM is dropped, anything else is text. */
static enum ym_code step_first(struct ym_csv *csv, char c, struct ym_status *st)
{
    if (c == bom_bytes[csv->bom]) {
        csv->bom = csv->bom == 2 ? -1 : csv->bom + 1;
        return YM_OK;
    }
    int held = csv->bom;
    enum ym_code code = YM_OK;
    csv->bom = -1;
    for (int i = 0; i < held && code == YM_OK; i++)
        code = step(csv, bom_bytes[i], st);
    return code == YM_OK ? step(csv, c, st) : code;
}

/* How many bytes at p only add to the cell: most of a file, taken at once. */
static size_t run_at(const struct ym_csv *csv, const char *p, size_t len)
{
    size_t n = 0;
    char stop = csv->state == IN_QUOTES ? '"' : csv->separator;
    if (csv->bom >= 0 || (csv->state != IN_PLAIN && csv->state != IN_QUOTES))
        return 0;
    while (n < len && p[n] != stop && p[n] != '\n' && p[n] != '\r')
        n++;
    return n;
}

enum ym_code ym_csv_push(struct ym_csv *csv, const void *data, size_t len, struct ym_status *st)
{
    const char *p = data;
    enum ym_code code = YM_OK;
    for (size_t i = 0; i < len && code == YM_OK;) {
        size_t run = run_at(csv, p + i, len - i);
        if (run) {
            csv->after_cr = false;
            code = keep_run(csv, p + i, run, st);
            i += run;
            continue;
        }
        code = csv->bom >= 0 ? step_first(csv, p[i], st) : step(csv, p[i], st);
        i++;
    }
    return code;
}

enum ym_code ym_csv_finish(struct ym_csv *csv, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    for (int i = 0; i < csv->bom && code == YM_OK; i++)
        code = step(csv, bom_bytes[i], st);
    csv->bom = -1;
    if (code != YM_OK || (csv->state == AT_FIELD && !csv->count))
        return code;
    if (csv->state == IN_QUOTES)
        csv->fault = YM_CSV_UNCLOSED;
    code = record_end(csv, st);
    record_reset(csv);
    return code;
}

#include "worker/data/freeze.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/schema.h"
#include "worker/data/freeze_report.h"
#include "worker/data/people.h"
#include "worker/data/recode.h"

struct row {
    uint8_t patient[YM_HASH_BYTES];
    size_t index;     /* order in the file, and place of its values */
    size_t name;      /* place of its identifier in names, where they are kept */
    uint64_t consent; /* ym_consent_of_row */
    bool bad;
};

struct ym_freeze {
    const struct ym_card *card;
    bool skip_bad, have_header, header_bad;
    uint8_t salt[32];
    struct ym_report report;
    struct ym_recode *recode;
    struct ym_csv *csv;
    size_t *at;                              /* [var_count] place of each variable's column in a record */
    size_t patient_at;                       /* place of the patient column */
    const char *consent[YM_CONSENT_COLUMNS]; /* columns that say it, and their places */
    size_t consent_at[YM_CONSENT_COLUMNS], consent_count;
    size_t width;    /* cells of the header */
    size_t *outside; /* [var_count] values outside the card's range */
    struct row *row;
    double *value; /* [row_count][var_count] */
    ym_picture_fn picture;
    void *picture_ctx;
    uint8_t *pixel; /* [row_count][stride] */
    size_t stride;
    size_t row_count, row_cap;
    bool named, no_names; /* identifiers are kept; memory for them ran out */
    struct ym_buf names;
};

/* Quotes are as they must be; what is wrong is reported. */
static bool record_whole(struct ym_freeze *f, const struct ym_csv_record *r)
{
    if (r->fault != YM_CSV_FINE)
        ym_report_line(&f->report, r->line, "%s", r->fault == YM_CSV_UNCLOSED ? T(DATA_UNCLOSED) : T(DATA_AFTER_QUOTE));
    return r->fault == YM_CSV_FINE;
}

/* ---- header ---- */

static bool cell_is(const struct ym_csv_field *cell, const char *name)
{
    const char *text = cell->text;
    size_t len = cell->len;
    ym_cell_trim(&text, &len);
    return strlen(name) == len && !memcmp(name, text, len);
}

/* Header cells as words, for suggestions; free the array and words[0]. */
static const char **header_words(const struct ym_csv_record *r)
{
    size_t total = 1;
    for (size_t i = 0; i < r->count; i++)
        total += r->field[i].len + 1;
    const char **words = calloc(r->count + 1, sizeof *words);
    char *text = malloc(total);
    if (!words || !text) {
        free(words);
        free(text);
        return NULL;
    }
    for (size_t i = 0; i < r->count; i++) {
        const char *cell = r->field[i].text;
        size_t len = r->field[i].len;
        ym_cell_trim(&cell, &len);
        words[i] = text;
        memcpy(text, cell, len);
        text[len] = 0;
        text += len + 1;
    }
    return words;
}

static void report_absent(struct ym_freeze *f, const struct ym_csv_record *r, const char *name)
{
    const char **words = header_words(r);
    const char *near = words ? ym_word_nearest(name, words) : NULL;
    if (near && ym_text_printable(near, strlen(near)))
        ym_report_line(&f->report, r->line, T(DATA_NO_COLUMN_NEAR), name, near);
    else
        ym_report_line(&f->report, r->line, T(DATA_NO_COLUMN), name);
    if (words)
        free((void *)words[0]);
    free(words);
}

static size_t column_find(struct ym_freeze *f, const struct ym_csv_record *r, const char *name)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < r->count; i++) {
        if (!cell_is(&r->field[i], name))
            continue;
        if (found != SIZE_MAX) {
            ym_report_line(&f->report, r->line, T(DATA_COLUMN_TWICE), name);
            f->header_bad = true;
        }
        found = i;
    }
    if (found != SIZE_MAX)
        return found;
    report_absent(f, r, name);
    f->header_bad = true;
    return 0;
}

static bool header_text(struct ym_freeze *f, const struct ym_csv_record *r)
{
    enum ym_cell_fault fault = YM_CELL_FINE;
    for (size_t i = 0; i < r->count && !fault; i++)
        fault = ym_cell_text(r->field[i].text, r->field[i].len);
    if (fault)
        ym_report_line(&f->report, r->line, T(DATA_HEADER_BYTES), f->card->encoding);
    return !fault && record_whole(f, r);
}

static enum ym_code header_read(struct ym_freeze *f, const struct ym_csv_record *r, struct ym_status *st)
{
    f->have_header = true;
    f->width = r->count;
    f->header_bad = !header_text(f, r);
    if (f->header_bad)
        return ym_status_set(st, YM_INVALID, "the header line of data set '%s' cannot be read", f->card->name);
    f->patient_at = column_find(f, r, f->card->patient_column);
    for (size_t i = 0; i < f->card->var_count; i++)
        f->at[i] = column_find(f, r, f->card->var[i].column);
    f->consent_count = ym_consent_columns(&f->card->consent, f->consent);
    for (size_t i = 0; i < f->consent_count; i++)
        f->consent_at[i] = column_find(f, r, f->consent[i]);
    if (f->header_bad)
        return ym_status_set(st, YM_INVALID, "the file of data set '%s' lacks columns that its card names",
                             f->card->name);
    return YM_OK;
}

/* ---- rows ---- */

static enum ym_code rows_grow(struct ym_freeze *f, struct ym_status *st)
{
    size_t cap = f->row_cap ? f->row_cap * 2 : 256, bytes, pixels;
    if (__builtin_mul_overflow(cap, f->card->var_count * sizeof(double), &bytes) || bytes > YM_FROZEN_MAX_BYTES ||
        __builtin_mul_overflow(cap, f->stride, &pixels) || pixels > 2 * YM_FROZEN_MAX_BYTES)
        return ym_status_set(st, YM_EXHAUSTED, "data set '%s' is larger than this program takes", f->card->name);
    struct row *row = realloc(f->row, cap * sizeof *row);
    if (row)
        f->row = row;
    double *value = realloc(f->value, bytes);
    if (value)
        f->value = value;
    uint8_t *pixel = pixels ? realloc(f->pixel, pixels) : NULL;
    if (pixel)
        f->pixel = pixel;
    if (!row || !value || (pixels && !pixel))
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    f->row_cap = cap;
    return YM_OK;
}

static void patient_hash(const struct ym_freeze *f, const char *text, size_t len, uint8_t out[YM_HASH_BYTES])
{
    struct ym_sha256 *h = ym_sha256_new();
    ym_sha256_update(h, f->salt, sizeof f->salt);
    ym_sha256_update(h, text, len);
    ym_sha256_final(&h, out);
}

/* False when nobody can say whose row this is. */
static bool patient_read(struct ym_freeze *f, const struct ym_csv_record *r, uint8_t out[YM_HASH_BYTES])
{
    if (r->count <= f->patient_at)
        return false;
    const struct ym_csv_field *cell = &r->field[f->patient_at];
    const char *text = cell->text;
    size_t len = cell->len;
    enum ym_cell_fault fault = ym_cell_text(text, len);
    if (fault) {
        ym_report_cell(&f->report, cell->line, f->card->patient_column, f->card, fault, text, len);
        return false;
    }
    ym_cell_trim(&text, &len);
    if (!len) {
        ym_report_line(&f->report, cell->line, T(DATA_NO_PATIENT), f->card->patient_column);
        return false;
    }
    patient_hash(f, text, len, out);
    if (f->named) {
        f->row[f->row_count].name = f->names.len;
        f->no_names |= ym_buf_append(&f->names, text, len) != YM_OK || ym_buf_append(&f->names, "", 1) != YM_OK;
    }
    return true;
}

/* Zeros where the image is missing or cannot be read. */
static enum ym_code picture_read(struct ym_freeze *f, size_t var, const struct ym_csv_field *cell, uint8_t *out,
                                 double *value, bool *good, struct ym_status *st)
{
    const struct ym_card_var *v = &f->card->var[var];
    struct ym_status why = YM_STATUS_INIT;
    const char *text = cell->text;
    size_t len = cell->len;
    enum ym_code code = YM_OK;
    if (!isnan(*value)) {
        ym_cell_trim(&text, &len);
        code = f->picture(f->picture_ctx, var, text, len, out, &why);
    }
    if (code != YM_OK && code != YM_INVALID)
        return ym_status_set(st, code, "%s", why.message);
    if (code == YM_INVALID) {
        ym_report_line(&f->report, cell->line, T(DATA_COLUMN), v->column, why.message);
        *value = NAN;
        *good = false;
    }
    if (isnan(*value))
        memset(out, 0, (size_t)v->channels * v->height * v->width);
    return YM_OK;
}

static void value_read(struct ym_freeze *f, size_t i, const struct ym_csv_field *cell, double *value, bool *good)
{
    const struct ym_card_var *var = &f->card->var[i];
    enum ym_cell_fault fault = ym_cell_value(var, cell->text, cell->len, value);
    if (fault) {
        ym_report_cell(&f->report, cell->line, var->column, f->card, fault, cell->text, cell->len);
        *good = false;
        *value = NAN;
    } else if (!var->category && !var->channels) {
        f->outside[i] += *value < var->low || *value > var->high;
    }
}

static enum ym_code values_read(struct ym_freeze *f, const struct ym_csv_record *r, bool *good, struct ym_status *st)
{
    double *value = f->value + f->row_count * f->card->var_count;
    uint8_t *pixel = f->stride ? f->pixel + f->row_count * f->stride : NULL;
    enum ym_code code = YM_OK;
    for (size_t i = 0; i < f->card->var_count && code == YM_OK; i++) {
        const struct ym_card_var *var = &f->card->var[i];
        const struct ym_csv_field *cell = &r->field[f->at[i]];
        value_read(f, i, cell, &value[i], good);
        if (!var->channels)
            continue;
        code = picture_read(f, i, cell, pixel, &value[i], good, st);
        pixel += (size_t)var->channels * var->height * var->width;
    }
    return code;
}

struct consent_row {
    const struct ym_freeze *f;
    const struct ym_csv_record *r;
};

/* A cell that cannot be read gives nothing. */
static const char *consent_cell(void *ctx, const char *column, size_t *len)
{
    const struct consent_row *c = ctx;
    size_t i = 0;
    while (strcmp(c->f->consent[i], column))
        i++;
    const struct ym_csv_field *cell = &c->r->field[c->f->consent_at[i]];
    const char *text = cell->text;
    *len = cell->len;
    if (ym_cell_text(text, *len))
        return NULL;
    ym_cell_trim(&text, len);
    return text;
}

static enum ym_code row_read(struct ym_freeze *f, const struct ym_csv_record *r, struct ym_status *st)
{
    if (f->row_count == f->row_cap) {
        enum ym_code code = rows_grow(f, st);
        if (code != YM_OK)
            return code;
    }
    struct row *row = &f->row[f->row_count];
    bool shaped = record_whole(f, r);
    if (shaped && r->count != f->width) {
        ym_report_line(&f->report, r->line, T(DATA_RAGGED), r->count, f->width);
        shaped = false;
    }
    if (!patient_read(f, r, row->patient))
        return YM_OK;
    row->index = f->row_count;
    enum ym_code code = shaped ? values_read(f, r, &shaped, st) : YM_OK;
    row->consent = 0;
    if (r->count == f->width)
        row->consent = ym_consent_of_row(&f->card->consent, consent_cell, &(struct consent_row){f, r});
    row->bad = !shaped;
    f->row_count += code == YM_OK;
    return code;
}

enum ym_code ym_freeze_record(struct ym_freeze *f, const struct ym_csv_record *record, struct ym_status *st)
{
    return f->have_header ? row_read(f, record, st) : header_read(f, record, st);
}

static enum ym_code on_record(void *ctx, const struct ym_csv_record *r, struct ym_status *st)
{
    struct ym_freeze *f = ctx;
    if (r->fault == YM_CSV_TOO_LONG) {
        ym_report_line(&f->report, r->line, T(DATA_LINE_LONG), YM_CSV_RECORD_BYTES);
        return YM_OK; /* the tokeniser ends the reading */
    }
    return ym_freeze_record(f, r, st);
}

/* ---- the whole ---- */

static enum ym_code to_csv(void *ctx, const void *data, size_t len, struct ym_status *st)
{
    struct ym_freeze *f = ctx;
    return ym_csv_push(f->csv, data, len, st);
}

static enum ym_code no_picture(void *ctx, size_t var, const char *cell, size_t len, uint8_t *out, struct ym_status *st)
{
    (void)ctx, (void)var, (void)cell, (void)len, (void)out;
    return ym_status_set(st, YM_INVALID, "%s", T(DATA_NO_FOLDER));
}

enum ym_code ym_freeze_new(const struct ym_card *card, const uint8_t salt[32], bool skip_bad, struct ym_buf *report,
                           struct ym_freeze **out, struct ym_status *st)
{
    struct ym_freeze *f = calloc(1, sizeof *f);
    if (!f)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    f->card = card;
    f->skip_bad = skip_bad;
    f->stride = ym_frozen_stride(card);
    f->picture = no_picture;
    f->report.out = report;
    memcpy(f->salt, salt, sizeof f->salt);
    f->csv = ym_csv_new(card->separator, on_record, f);
    f->at = calloc(card->var_count, sizeof *f->at);
    f->outside = calloc(card->var_count, sizeof *f->outside);
    enum ym_code code = f->csv && f->at && f->outside ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "out of memory");
    if (code == YM_OK)
        code = ym_recode_open(card->encoding, to_csv, f, &f->recode, st);
    if (code != YM_OK) {
        ym_freeze_free(f);
        return code;
    }
    *out = f;
    return YM_OK;
}

void ym_freeze_free(struct ym_freeze *f)
{
    if (!f)
        return;
    ym_wipe(f->salt, sizeof f->salt);
    ym_recode_close(f->recode);
    ym_csv_free(f->csv);
    free(f->at);
    free(f->outside);
    free(f->row);
    free(f->value);
    free(f->pixel);
    ym_buf_wipe(&f->names);
    free(f);
}

void ym_freeze_keep_names(struct ym_freeze *f)
{
    f->named = true;
}

void ym_freeze_pictures(struct ym_freeze *f, ym_picture_fn picture, void *ctx)
{
    f->picture = picture;
    f->picture_ctx = ctx;
}

struct ym_report *ym_freeze_report(struct ym_freeze *f)
{
    return &f->report;
}

enum ym_code ym_freeze_push(struct ym_freeze *f, const void *data, size_t len, struct ym_status *st)
{
    return ym_recode_push(f->recode, data, len, st);
}

static int row_compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->patient, y->patient, sizeof x->patient);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Sort by patient and drop every patient with a bad row. */
static void rows_settle(struct ym_freeze *f)
{
    size_t kept = 0;
    if (f->row_count)
        qsort(f->row, f->row_count, sizeof *f->row, row_compare);
    for (size_t i = 0, end; i < f->row_count; i = end) {
        bool bad = false;
        for (end = i; end < f->row_count && !memcmp(f->row[i].patient, f->row[end].patient, YM_HASH_BYTES); end++)
            bad |= f->row[end].bad;
        if (bad)
            continue;
        memmove(f->row + kept, f->row + i, (end - i) * sizeof *f->row);
        kept += end - i;
    }
    f->row_count = kept;
}

uint64_t ym_freeze_draw(const uint8_t patient[YM_HASH_BYTES])
{
    static const char domain[] = "yumen/holdout/v1"; /* its closing zero parts it from the hash */
    uint8_t in[sizeof domain + YM_HASH_BYTES], out[YM_HASH_BYTES];
    memcpy(in, domain, sizeof domain);
    memcpy(in + sizeof domain, patient, YM_HASH_BYTES);
    ym_sha256(in, sizeof in, out);
    return (uint64_t)out[0] << 8 | out[1];
}

static enum ym_code encode(struct ym_freeze *f, struct ym_buf *out, struct ym_status *st)
{
    size_t vars = f->card->var_count, stride = f->stride, patients = 0;
    double *value = calloc(f->row_count * vars, sizeof *value);
    uint64_t *first = calloc(f->row_count + 1, sizeof *first), *draw = calloc(f->row_count, sizeof *draw);
    uint64_t *consent = calloc(f->row_count, sizeof *consent);
    uint8_t *pixel = stride ? malloc(f->row_count * stride) : NULL;
    enum ym_code code = YM_EXHAUSTED;
    if (!value || !first || !draw || !consent || (stride && !pixel)) {
        ym_status_set(st, code, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < f->row_count; i++) {
        if (!i || memcmp(f->row[i - 1].patient, f->row[i].patient, YM_HASH_BYTES)) {
            draw[patients] = ym_freeze_draw(f->row[i].patient);
            consent[patients] = f->row[i].consent;
            first[patients++] = i;
        } else {
            consent[patients - 1] = ym_consent_join(consent[patients - 1], f->row[i].consent);
        }
        memcpy(value + i * vars, f->value + f->row[i].index * vars, vars * sizeof *value);
        if (stride)
            memcpy(pixel + i * stride, f->pixel + f->row[i].index * stride, stride);
    }
    first[patients] = f->row_count;
    code = ym_frozen_encode(f->card, first, draw, consent, patients, value, pixel, f->row_count, out, st);
out:
    free(value);
    free(first);
    free(draw);
    free(consent);
    free(pixel);
    return code;
}

static void note_ranges(struct ym_freeze *f)
{
    for (size_t i = 0; i < f->card->var_count; i++) {
        const struct ym_card_var *var = &f->card->var[i];
        if (!f->outside[i])
            continue;
        ym_buf_printf(f->report.out, T(DATA_OUTSIDE), var->column, f->outside[i], var->low, var->high);
        ym_buf_puts(f->report.out, "\n");
    }
}

enum ym_code ym_freeze_finish(struct ym_freeze *f, struct ym_buf *frozen_bytes, struct ym_status *st)
{
    enum ym_code code = ym_recode_finish(f->recode, st);
    if (code == YM_OK)
        code = ym_csv_finish(f->csv, st);
    if (code != YM_OK)
        return code;
    size_t failing = f->report.count, read = f->row_count;
    if (f->skip_bad || !failing)
        rows_settle(f);
    if (!failing && !read)
        ym_report_line(&f->report, 0, "%s", T(DATA_NO_ROWS));
    else if (f->skip_bad && !f->row_count)
        ym_report_line(&f->report, 0, "%s", T(DATA_ALL_DROPPED));
    if ((failing && !f->skip_bad) || !f->row_count)
        return ym_status_set(st, YM_INVALID, T(DATA_BAD_LINES), f->card->name);
    note_ranges(f);
    return encode(f, frozen_bytes, st);
}

enum ym_code ym_freeze_people(const struct ym_freeze *f, struct ym_bytes frozen, struct ym_buf *out,
                              struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES], (*id)[YM_HASH_BYTES] = calloc(f->row_count + 1, sizeof *id);
    size_t patients = 0;
    if (!id)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_sha256(frozen.data, frozen.len, hash);
    for (size_t i = 0; i < f->row_count; i++)
        if (!i || memcmp(f->row[i - 1].patient, f->row[i].patient, YM_HASH_BYTES))
            ym_pseudonym(f->salt, f->card->identifier, f->card->name, hash, f->row[i].patient, id[patients++]);
    enum ym_code code = ym_people_encode(hash, (const uint8_t(*)[YM_HASH_BYTES])id, patients, out, st);
    free(id);
    return code;
}

enum ym_code ym_freeze_order(const struct ym_freeze *f, struct ym_buf *out, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    for (size_t i = 0; i < f->row_count && code == YM_OK; i++)
        code = ym_buf_append(out, &f->row[i].index, sizeof f->row[i].index);
    return code == YM_OK ? code : ym_status_set(st, code, "out of memory");
}

enum ym_code ym_freeze_names(const struct ym_freeze *f, struct ym_buf *out, struct ym_status *st)
{
    enum ym_code code = f->no_names ? YM_EXHAUSTED : YM_OK;
    for (size_t i = 0; i < f->row_count && code == YM_OK; i++)
        if (!i || memcmp(f->row[i - 1].patient, f->row[i].patient, YM_HASH_BYTES)) {
            const char *name = (const char *)f->names.data + f->row[i].name;
            code = ym_buf_append(out, name, strlen(name) + 1);
        }
    return code == YM_OK ? code : ym_status_set(st, code, "out of memory");
}

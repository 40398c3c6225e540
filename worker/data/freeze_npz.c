#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "worker/data/freeze_internal.h"

enum { CELL_BYTES = 4 * YM_NPY_TEXT + 1 };

/* One array of the card: the patients' (no variable), a variable's. */
struct source {
    const char *name;
    const struct ym_card_var *var; /* NULL: the patients', or one of consents */
    struct ym_npz_array *array;    /* NULL: rows are numbered */
    char cell[CELL_BYTES];
};

struct npz {
    struct ym_freeze *f;
    const struct ym_card *card;
    struct source *source; /* [count], the patients' first, those of consents last */
    struct ym_csv_field *field;
    size_t count;
    uint64_t rows;
};

static enum ym_code refuse(struct npz *n, struct ym_status *st)
{
    return ym_status_set(st, YM_INVALID, "the arrays of data set '%s' do not fit its card", n->card->name);
}

/* Trouble with one array; running out of memory is no fault of the file. */
static enum ym_code array_failed(struct npz *n, const char *name, enum ym_code code, const struct ym_status *why,
                                 struct ym_status *st)
{
    if (code == YM_EXHAUSTED)
        return ym_status_set(st, code, "%s", why->message);
    ym_report_line(ym_freeze_report(n->f), 0, T(DATA_NPZ_ARRAY), name, why->message);
    return refuse(n, st);
}

/* ---- shapes ---- */

/* [n][height][width], and [channels] behind where there are several or it is written out. */
static bool image_shaped(const struct ym_npy *a, const struct ym_card_var *v)
{
    bool flat = a->rank == 3 && v->channels == 1, deep = a->rank == 4 && a->shape[3] == v->channels;
    return a->kind == 'u' && a->item == 1 && (flat || deep) && a->shape[1] == v->height && a->shape[2] == v->width;
}

static bool column_shaped(const struct ym_npy *a)
{
    return a->rank == 1 || (a->rank == 2 && a->shape[1] == 1);
}

static enum ym_code shape_check(struct npz *n, const struct source *s, struct ym_status *st)
{
    const struct ym_npy *a = ym_npz_array_shape(s->array);
    struct ym_report *report = ym_freeze_report(n->f);
    bool image = s->var && s->var->channels;
    if (image && !image_shaped(a, s->var))
        ym_report_line(report, 0, T(DATA_NPZ_IMAGES), s->name, s->var->height, s->var->width, s->var->channels);
    else if (!image && !column_shaped(a))
        ym_report_line(report, 0, T(DATA_NPZ_COLUMN), s->name);
    else if (n->rows != UINT64_MAX && a->shape[0] != n->rows)
        ym_report_line(report, 0, T(DATA_NPZ_ROWS), s->name, (unsigned long long)a->shape[0], n->source[0].name,
                       (unsigned long long)n->rows);
    else {
        n->rows = a->shape[0];
        return YM_OK;
    }
    return refuse(n, st);
}

static enum ym_code source_open(struct npz *n, struct ym_npz *z, struct source *s, struct ym_status *st)
{
    struct ym_status why = YM_STATUS_INIT;
    enum ym_code code;
    if (!ym_npz_has(z, s->name)) {
        ym_report_line(ym_freeze_report(n->f), 0, T(DATA_NPZ_ABSENT), s->name);
        return refuse(n, st);
    }
    code = ym_npz_array_open(z, s->name, &s->array, &why);
    return code == YM_OK ? shape_check(n, s, st) : array_failed(n, s->name, code, &why, st);
}

static bool has_source(const struct npz *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->source[i].name, name))
            return true;
    return false;
}

static enum ym_code sources_open(struct npz *n, struct ym_npz *z, struct ym_status *st)
{
    const char *consent[YM_CONSENT_COLUMNS];
    size_t columns = ym_consent_columns(&n->card->consent, consent);
    bool numbered = !strcmp(n->card->identifier, "row") && !ym_npz_has(z, n->card->patient_column);
    enum ym_code code = YM_OK;
    n->source[0].name = n->card->patient_column;
    if (!numbered)
        code = source_open(n, z, &n->source[0], st);
    for (size_t i = 1; i < n->count && code == YM_OK; i++) {
        n->source[i].var = &n->card->var[i - 1];
        n->source[i].name = n->card->var[i - 1].column;
        code = source_open(n, z, &n->source[i], st);
    }
    for (size_t i = 0; i < columns && code == YM_OK; i++) {
        if (has_source(n, consent[i]))
            continue;
        n->source[n->count].name = consent[i];
        code = source_open(n, z, &n->source[n->count++], st);
    }
    return code;
}

/* ---- cells ---- */

static uint64_t little(const uint8_t *at, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v |= (uint64_t)at[i] << 8 * i;
    return v;
}

/* One code point; what is none becomes 0xFF, which no text holds. */
static size_t utf8(uint32_t c, char *out)
{
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        out[0] = (char)0xff;
        return 1;
    }
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)(lead[len] | c);
    return len;
}

static double real_of(const struct ym_npy *a, uint64_t bits)
{
    uint32_t half = (uint32_t)bits;
    float single;
    double real;
    memcpy(&single, &half, sizeof single);
    memcpy(&real, &bits, sizeof real);
    return a->item == 4 ? (double)single : real;
}

/* An item as the text that a CSV would hold. Text ends before its zeros. */
static size_t cell_text(const struct ym_npy *a, const uint8_t *item, char out[CELL_BYTES])
{
    uint64_t bits = little(item, a->item < 8 ? a->item : 8);
    unsigned shift = a->item < 8 ? 64 - 8 * a->item : 0;
    size_t len = 0, end = a->item;
    switch (a->kind) {
    case 'U':
        while (end && !little(item + end - 4, 4))
            end -= 4;
        for (size_t i = 0; i < end; i += 4)
            len += utf8((uint32_t)little(item + i, 4), out + len);
        return len;
    case 'f':
        return (size_t)snprintf(out, CELL_BYTES, "%.17g", real_of(a, bits));
    case 'i':
        return (size_t)snprintf(out, CELL_BYTES, "%" PRId64, (int64_t)(bits << shift) >> shift);
    default:
        return (size_t)snprintf(out, CELL_BYTES, "%" PRIu64, bits);
    }
}

/* ---- rows ---- */

static enum ym_code cell_read(struct npz *n, struct source *s, uint64_t row, size_t *len, struct ym_status *st)
{
    uint8_t item[4 * YM_NPY_TEXT];
    struct ym_status why = YM_STATUS_INIT;
    if (!s->array || (s->var && s->var->channels)) { /* a picture's cell says only that it is there */
        *len = (size_t)snprintf(s->cell, sizeof s->cell, "%" PRIu64, row);
        return YM_OK;
    }
    const struct ym_npy *a = ym_npz_array_shape(s->array);
    enum ym_code code = ym_npz_array_read(s->array, item, a->item, &why);
    if (code != YM_OK)
        return array_failed(n, s->name, code, &why, st);
    *len = cell_text(a, item, s->cell);
    return YM_OK;
}

static enum ym_code from_array(void *ctx, size_t var, const char *cell, size_t len, uint8_t *out, struct ym_status *st)
{
    struct npz *n = ctx;
    const struct source *s = &n->source[var + 1];
    struct ym_status why = YM_STATUS_INIT;
    (void)cell, (void)len;
    enum ym_code code =
        ym_npz_array_read(s->array, out, (size_t)s->var->channels * s->var->height * s->var->width, &why);
    if (code == YM_OK)
        return code;
    array_failed(n, s->name, code, &why, st);
    return YM_CORRUPT; /* what follows would be read from the wrong place: no row can be left out for it */
}

static enum ym_code header_push(struct npz *n, struct ym_status *st)
{
    for (size_t i = 0; i < n->count; i++)
        n->field[i] = (struct ym_csv_field){n->source[i].name, strlen(n->source[i].name), 0};
    return ym_freeze_record(n->f, &(struct ym_csv_record){0, n->field, n->count, YM_CSV_FINE}, st);
}

static enum ym_code row_push(struct npz *n, uint64_t row, struct ym_status *st)
{
    for (size_t i = 0; i < n->count; i++) {
        size_t len = 0;
        enum ym_code code = cell_read(n, &n->source[i], row, &len, st);
        if (code != YM_OK)
            return code;
        n->field[i] = (struct ym_csv_field){n->source[i].cell, len, row};
    }
    return ym_freeze_record(n->f, &(struct ym_csv_record){row, n->field, n->count, YM_CSV_FINE}, st);
}

static enum ym_code sources_end(struct npz *n, struct ym_status *st)
{
    for (size_t i = 0; i < n->count; i++) {
        struct ym_status why = YM_STATUS_INIT;
        enum ym_code code = n->source[i].array ? ym_npz_array_end(n->source[i].array, &why) : YM_OK;
        if (code != YM_OK)
            return array_failed(n, n->source[i].name, code, &why, st);
    }
    return YM_OK;
}

enum ym_code ym_freeze_npz(struct ym_freeze *f, const struct ym_card *card, struct ym_npz *z, struct ym_status *st)
{
    struct npz n = {.f = f, .card = card, .count = card->var_count + 1, .rows = UINT64_MAX};
    n.source = calloc(n.count + YM_CONSENT_COLUMNS, sizeof *n.source);
    n.field = calloc(n.count + YM_CONSENT_COLUMNS, sizeof *n.field);
    enum ym_code code = n.source && n.field ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "out of memory");
    if (code == YM_OK)
        code = sources_open(&n, z, st);
    if (code == YM_OK)
        code = header_push(&n, st);
    ym_freeze_pictures(f, from_array, &n);
    for (uint64_t row = 1; row <= n.rows && code == YM_OK; row++)
        code = row_push(&n, row, st);
    if (code == YM_OK)
        code = sources_end(&n, st);
    if (code == YM_CORRUPT)
        code = refuse(&n, st);
    for (size_t i = 0; n.source && i < n.count; i++)
        ym_npz_array_close(n.source[i].array);
    free(n.source);
    free(n.field);
    return code;
}

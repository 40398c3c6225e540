#include "worker/data/frozen.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "gate/variable_fits.h"
#include "worker/data/freeze.h"

enum { MAGIC_BYTES = 8, HEADER_AT = 16, HEADER_MAX = 64 * 1024, ALIGN = 64, MAX_COLUMNS = 1024 };
static const char magic[MAGIC_BYTES + 1] = "YMFROZ3\n";

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Bytes of the whole file; false when they do not fit in size_t or the bound. */
static bool file_size(size_t header, size_t patients, size_t rows, size_t vars, size_t stride, size_t *out)
{
    size_t index, cells, pixels, size = align_up(HEADER_AT + header);
    if (__builtin_mul_overflow(patients, (size_t)3, &index) || __builtin_add_overflow(index, (size_t)1, &index) ||
        __builtin_mul_overflow(index, sizeof(uint64_t), &index) || __builtin_mul_overflow(rows, vars, &cells) ||
        __builtin_mul_overflow(cells, sizeof(double), &cells) || __builtin_mul_overflow(rows, stride, &pixels) ||
        __builtin_add_overflow(size, index, &size) || __builtin_add_overflow(size, cells, &size) ||
        __builtin_add_overflow(size, pixels, &size))
        return false;
    *out = size;
    return size <= YM_FROZEN_MAX_BYTES;
}

/* ---- write ---- */

static enum ym_code header_encode(const struct ym_card *card, size_t patients, size_t rows, struct ym_buf *out,
                                  struct ym_status *st)
{
    json_t *public = NULL, *header = json_object();
    enum ym_code code = ym_json_parse(card->public_json.data, card->public_json.len, HEADER_MAX, &public, st);
    if (code != YM_OK)
        goto out;
    code = YM_EXHAUSTED;
    if (!header || json_object_set(header, "columns", json_object_get(public, "variables")) ||
        json_object_set_new(header, "dataset", json_string(card->name)) ||
        json_object_set_new(header, "patients", json_integer((json_int_t)patients)) ||
        json_object_set_new(header, "rows", json_integer((json_int_t)rows))) {
        ym_status_set(st, code, "out of memory");
        goto out;
    }
    ym_json_set_hash(header, "card", card->hash);
    code = ym_json_canonical(header, out, st);
out:
    json_decref(header);
    json_decref(public);
    return code;
}

static void store_u64(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof v);
}

static void store_body(uint8_t *at, const uint64_t *first_row, const uint64_t *draw, const uint64_t *consent,
                       size_t patients, const double *value, size_t cells)
{
    for (size_t i = 0; i <= patients; i++, at += 8)
        store_u64(at, first_row[i]);
    for (size_t i = 0; i < patients; i++, at += 8)
        store_u64(at, draw[i]);
    for (size_t i = 0; i < patients; i++, at += 8)
        store_u64(at, consent[i]);
    for (size_t i = 0; i < cells; i++, at += 8) {
        uint64_t bits = UINT64_C(0x7ff8000000000000); /* one spelling of missing */
        if (!isnan(value[i]))
            memcpy(&bits, &value[i], sizeof bits);
        store_u64(at, bits);
    }
}

size_t ym_frozen_stride(const struct ym_card *card)
{
    size_t stride = 0;
    for (size_t i = 0; i < card->var_count; i++)
        stride += (size_t)card->var[i].channels * card->var[i].height * card->var[i].width;
    return stride;
}

enum ym_code ym_frozen_encode(const struct ym_card *card, const uint64_t *first_row, const uint64_t *draw,
                              const uint64_t *consent, size_t patients, const double *value, const uint8_t *pixel,
                              size_t rows, struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf header = {0};
    size_t size, stride = ym_frozen_stride(card);
    enum ym_code code = header_encode(card, patients, rows, &header, st);
    if (code != YM_OK)
        goto out;
    code = YM_EXHAUSTED;
    if (patients > YM_FROZEN_MAX_PATIENTS || header.len > HEADER_MAX ||
        !file_size(header.len, patients, rows, card->var_count, stride, &size)) {
        ym_status_set(st, code, "data set '%s' is larger than this program takes", card->name);
        goto out;
    }
    if (ym_buf_reserve(out, size) != YM_OK) {
        ym_status_set(st, code, "out of memory");
        goto out;
    }
    uint8_t *at = out->data + out->len;
    memset(at, 0, align_up(HEADER_AT + header.len));
    memcpy(at, magic, MAGIC_BYTES);
    store_u64(at + MAGIC_BYTES, header.len);
    memcpy(at + HEADER_AT, header.data, header.len);
    store_body(at + align_up(HEADER_AT + header.len), first_row, draw, consent, patients, value,
               rows * card->var_count);
    if (stride)
        memcpy(at + size - rows * stride, pixel, rows * stride);
    out->len += size;
    code = YM_OK;
out:
    ym_buf_release(&header);
    return code;
}

/* ---- read ---- */

void ym_frozen_free(struct ym_frozen *f)
{
    if (!f)
        return;
    for (size_t i = 0; f->column && i < f->var_count; i++)
        free(f->column[i].level);
    free(f->column);
    free(f->var);
    ym_buf_release(&f->bytes);
    free(f);
}

static enum ym_code corrupt(struct ym_status *st, const char *what)
{
    return ym_status_set(st, YM_CORRUPT, "frozen data set is damaged: %s", what);
}

static bool header_span(const struct ym_buf *b, size_t *len)
{
    uint64_t n;
    if (b->len < HEADER_AT || memcmp(b->data, magic, MAGIC_BYTES))
        return false;
    memcpy(&n, b->data + MAGIC_BYTES, sizeof n);
    n = le64toh(n);
    *len = (size_t)n;
    return n <= HEADER_MAX && align_up(HEADER_AT + (size_t)n) <= b->len;
}

static enum ym_code header_parse(const struct ym_buf *b, size_t len, json_t **out, struct ym_status *st)
{
    struct ym_buf again = {0};
    json_t *header = NULL;
    enum ym_code code = ym_json_parse(b->data + HEADER_AT, len, HEADER_MAX, &header, st);
    if (code == YM_OK)
        code = ym_json_canonical(header, &again, st);
    if (code == YM_EXHAUSTED)
        goto out;
    if (code != YM_OK || again.len != len || memcmp(again.data, b->data + HEADER_AT, len)) {
        code = corrupt(st, "header is not canonical JSON");
        goto out;
    }
    for (size_t i = HEADER_AT + len; i < align_up(HEADER_AT + len); i++)
        if (b->data[i]) {
            code = corrupt(st, "padding is not zero");
            goto out;
        }
    *out = header;
    header = NULL;
out:
    json_decref(header);
    ym_buf_release(&again);
    return code;
}

static enum ym_code column_copy(const json_t *variable, char name[64], struct ym_frozen_column *c, struct ym_status *st)
{
    const char *level[YM_PLAN_MAX_LEVELS], *text = json_string_value(json_object_get(variable, "name"));
    struct ym_offer offer;
    if (!text || !ym_name_valid(text) || !ym_offer_read(variable, level, &offer) ||
        json_object_size(variable) != (offer.category ? 2u : 4u) || strlen(offer.unit) >= sizeof c->unit ||
        (offer.category ? !offer.level_count : !offer.channels && offer.low >= offer.high))
        return corrupt(st, "a column of the header is malformed");
    snprintf(name, 64, "%s", text);
    snprintf(c->unit, sizeof c->unit, "%s", offer.unit);
    c->category = offer.category;
    c->low = offer.low;
    c->high = offer.high;
    c->channels = offer.channels;
    c->height = offer.height;
    c->width = offer.width;
    c->level = offer.level_count ? calloc(offer.level_count, sizeof *c->level) : NULL;
    if (offer.level_count && !c->level)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < offer.level_count; i++) {
        if (strlen(level[i]) >= sizeof *c->level)
            return corrupt(st, "a level of the header is too long");
        strcpy(c->level[i], level[i]);
        c->level_count = i + 1;
    }
    return YM_OK;
}

static enum ym_code columns_copy(const json_t *header, struct ym_frozen *f, struct ym_status *st)
{
    const json_t *columns = json_object_get(header, "columns");
    size_t count = json_array_size(columns);
    enum ym_code code = YM_OK;
    f->var = calloc(count, sizeof *f->var);
    f->column = calloc(count, sizeof *f->column);
    if (!f->var || !f->column)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    f->var_count = count;
    for (size_t i = 0; i < count && code == YM_OK; i++) {
        code = column_copy(json_array_get(columns, i), f->var[i], &f->column[i], st);
        f->column[i].pixel_at = f->pixel_stride;
        f->pixel_stride += (size_t)f->column[i].channels * f->column[i].height * f->column[i].width;
        for (size_t k = 0; k < i && code == YM_OK; k++)
            if (!strcmp(f->var[k], f->var[i]))
                code = corrupt(st, "a column appears twice");
    }
    return code;
}

/* Header members and the size they promise, checked before the first allocation. */
static enum ym_code header_read(const json_t *header, size_t header_len, struct ym_frozen *f, struct ym_status *st)
{
    int64_t patients, rows;
    const char *name;
    size_t columns = json_array_size(json_object_get(header, "columns")), size;
    if (json_object_size(header) != 5 || columns < 1 || columns > MAX_COLUMNS ||
        ym_json_get_hash(header, "card", f->card_hash, NULL) != YM_OK ||
        ym_json_get_str(header, "dataset", &name, NULL) != YM_OK || !ym_name_valid(name) ||
        ym_json_get_int(header, "patients", 1, YM_FROZEN_MAX_PATIENTS, &patients, NULL) != YM_OK ||
        ym_json_get_int(header, "rows", patients, INT64_MAX, &rows, NULL) != YM_OK)
        return corrupt(st, "header members are not what they must be");
    if (!file_size(header_len, (size_t)patients, (size_t)rows, columns, 0, &size) || size > f->bytes.len)
        return corrupt(st, "length does not fit the header");
    snprintf(f->dataset, sizeof f->dataset, "%s", name);
    f->patient_count = (size_t)patients;
    f->row_count = (size_t)rows;
    enum ym_code code = columns_copy(header, f, st);
    if (code == YM_OK && (!file_size(header_len, f->patient_count, f->row_count, columns, f->pixel_stride, &size) ||
                          size != f->bytes.len))
        code = corrupt(st, "length does not fit the header");
    return code;
}

/* The body in host order; in place, for a buffer is aligned and ours. */
static void body_place(struct ym_frozen *f, size_t header_len)
{
    uint8_t *at = f->bytes.data + align_up(HEADER_AT + header_len);
    f->first_row = (uint64_t *)(void *)at;
    f->draw = f->first_row + f->patient_count + 1;
    f->consent = f->draw + f->patient_count;
    f->value = (double *)(void *)(f->consent + f->patient_count);
    f->pixel = (const uint8_t *)(f->value + f->row_count * f->var_count);
    for (uint64_t *word = f->first_row; (const uint8_t *)word < f->pixel; word++)
        *word = le64toh(*word);
}

static bool value_valid(const struct ym_frozen_column *c, double v)
{
    if (isnan(v))
        return true;
    if (c->channels)
        return v == 0;
    return c->category ? v >= 0 && v < (double)c->level_count && v == floor(v) : isfinite(v) != 0;
}

static enum ym_code body_check(const struct ym_frozen *f, struct ym_status *st)
{
    bool good = f->first_row[0] == 0 && f->first_row[f->patient_count] == f->row_count;
    for (size_t i = 0; i < f->patient_count; i++)
        good &= f->first_row[i] < f->first_row[i + 1];
    if (!good)
        return corrupt(st, "rows of patients are out of order");
    for (size_t i = 0; i < f->patient_count; i++)
        good &= f->draw[i] < YM_HOLDOUT_ONE;
    if (!good)
        return corrupt(st, "a patient's draw is out of range");
    for (size_t i = 0; i < f->patient_count; i++)
        good &= f->consent[i] < YM_CONSENT_WORD_END;
    if (!good)
        return corrupt(st, "a patient's consent is out of range");
    for (size_t r = 0; r < f->row_count; r++)
        for (size_t i = 0; i < f->var_count; i++)
            good &= value_valid(&f->column[i], f->value[r * f->var_count + i]);
    return good ? YM_OK : corrupt(st, "a value does not fit its column");
}

/* Takes the bytes, whatever the answer. */
static enum ym_code parse_owned(struct ym_buf *bytes, struct ym_frozen **out, struct ym_status *st)
{
    struct ym_frozen *f = calloc(1, sizeof *f);
    json_t *header = NULL;
    size_t len = 0;
    enum ym_code code;
    if (!f) {
        ym_buf_release(bytes);
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    f->bytes = *bytes;
    *bytes = (struct ym_buf){0};
    ym_sha256(f->bytes.data, f->bytes.len, f->hash);
    code = header_span(&f->bytes, &len)
               ? header_parse(&f->bytes, len, &header, st)
               : corrupt(st, "not a frozen data set of version 3; freeze it again with \"yumen-site data add\"");
    if (code == YM_OK)
        code = header_read(header, len, f, st);
    if (code == YM_OK) {
        body_place(f, len);
        code = body_check(f, st);
    }
    json_decref(header);
    if (code != YM_OK) {
        ym_frozen_free(f);
        return code;
    }
    *out = f;
    return YM_OK;
}

enum ym_code ym_frozen_parse(struct ym_bytes bytes, struct ym_frozen **out, struct ym_status *st)
{
    struct ym_buf copy = {0};
    if (bytes.len > YM_FROZEN_MAX_BYTES)
        return corrupt(st, "larger than the bound");
    if (ym_buf_append(&copy, bytes.data, bytes.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    return parse_owned(&copy, out, st);
}

/* One read into one buffer: ym_fs_read would hold the data twice. */
static enum ym_code read_whole(int fd, const char *path, struct ym_buf *out, struct ym_status *st)
{
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode))
        return ym_status_set(st, YM_UNAVAILABLE, "'%s' is not a regular file", path);
    size_t size = (size_t)info.st_size;
    if ((uint64_t)info.st_size > YM_FROZEN_MAX_BYTES)
        return corrupt(st, "larger than the bound");
    if (ym_buf_reserve(out, size + 1) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for '%s'", path);
    while (out->len < size) {
        ssize_t n = read(fd, out->data + out->len, size - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ym_status_set(st, YM_UNAVAILABLE, "cannot read '%s': %s", path, strerror(errno));
        if (n == 0)
            return corrupt(st, "cut short while it was read");
        out->len += (size_t)n;
    }
    return YM_OK;
}

enum ym_code ym_frozen_load(const char *path, struct ym_frozen **out, struct ym_status *st)
{
    struct ym_buf bytes = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ym_status_set(st, errno == ENOENT ? YM_NOT_FOUND : YM_UNAVAILABLE, "cannot open '%s': %s", path,
                             strerror(errno));
    enum ym_code code = read_whole(fd, path, &bytes, st);
    close(fd);
    if (code == YM_OK)
        code = parse_owned(&bytes, out, st);
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code head_sizes(struct ym_buf *head, size_t *body, int64_t *patients, int64_t *rows,
                               struct ym_status *st)
{
    json_t *header = NULL;
    size_t len = 0;
    enum ym_code code = header_span(head, &len) ? header_parse(head, len, &header, st)
                                                : corrupt(st, "not a frozen set of this version");
    if (code == YM_OK)
        code = ym_json_get_int(header, "patients", 1, YM_FROZEN_MAX_PATIENTS, patients, st);
    if (code == YM_OK)
        code = ym_json_get_int(header, "rows", *patients, INT64_MAX, rows, st);
    *body = align_up(HEADER_AT + len);
    json_decref(header);
    return code;
}

static enum ym_code read_words(FILE *f, size_t at, size_t count, struct ym_buf *out, struct ym_status *st)
{
    if (ym_buf_reserve(out, 8 * count) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    if (fseek(f, (long)at, SEEK_SET) || fread(out->data, 8, count, f) != count)
        return corrupt(st, "length does not fit the header");
    out->len = 8 * count;
    uint64_t *word = (uint64_t *)(void *)out->data;
    for (size_t i = 0; i < count; i++)
        word[i] = le64toh(word[i]);
    return YM_OK;
}

enum ym_code ym_frozen_consents(const char *path, struct ym_buf *consent, int64_t *rows, struct ym_status *st)
{
    struct ym_buf head = {0};
    size_t body = 0;
    int64_t patients = 0;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return ym_status_set(st, YM_NOT_FOUND, "the frozen data set cannot be opened");
    enum ym_code code = ym_buf_reserve(&head, HEADER_AT + HEADER_MAX + ALIGN);
    if (code == YM_OK)
        head.len = fread(head.data, 1, HEADER_AT + HEADER_MAX + ALIGN, f);
    if (code == YM_OK)
        code = head_sizes(&head, &body, &patients, rows, st);
    if (code == YM_OK)
        code = read_words(f, body + 8 * (2 * (size_t)patients + 1), (size_t)patients, consent, st);
    fclose(f);
    ym_buf_release(&head);
    return code;
}

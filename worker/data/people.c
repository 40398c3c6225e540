#include "worker/data/people.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

#define MAGIC "YMPEOP2\n"
enum { MAGIC_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + YM_HASH_BYTES + 8 };

/* ---- sets ---- */

void ym_cohort_release(struct ym_cohort *c)
{
    free(c->id);
    *c = (struct ym_cohort){0};
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, YM_HASH_BYTES);
}

static enum ym_code no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for counting people");
}

bool ym_cohort_has(const struct ym_cohort *c, const uint8_t id[YM_HASH_BYTES])
{
    return c->count && bsearch(id, c->id, c->count, YM_HASH_BYTES, compare);
}

enum ym_code ym_cohort_of(const uint8_t (*id)[YM_HASH_BYTES], size_t count, struct ym_cohort *out, struct ym_status *st)
{
    struct ym_cohort c = {calloc(count + 1, sizeof *c.id), 0};

    if (!c.id)
        return no_memory(st);
    if (count)
        memcpy(c.id, id, count * sizeof *c.id);
    qsort(c.id, count, sizeof *c.id, compare);
    for (size_t i = 0; i < count; i++)
        if (c.count == 0 || compare(c.id[c.count - 1], c.id[i]) != 0)
            memmove(c.id[c.count++], c.id[i], YM_HASH_BYTES);
    *out = c;
    return YM_OK;
}

/* into: room for all, or NULL to count alone */
static size_t merge(const struct ym_cohort *a, const struct ym_cohort *b, uint8_t (*into)[YM_HASH_BYTES])
{
    size_t i = 0, k = 0, n = 0;

    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1 : compare(a->id[i], b->id[k]);
        const uint8_t *next = order <= 0 ? a->id[i] : b->id[k];

        if (into)
            memcpy(into[n], next, YM_HASH_BYTES);
        n++;
        i += order <= 0;
        k += order >= 0;
    }
    return n;
}

size_t ym_cohort_union_size(const struct ym_cohort *a, const struct ym_cohort *b)
{
    return merge(a, b, NULL);
}

enum ym_code ym_cohort_union(const struct ym_cohort *a, const struct ym_cohort *b, struct ym_cohort *out,
                             struct ym_status *st)
{
    struct ym_cohort c = {calloc(a->count + b->count + 1, sizeof *c.id), 0};

    if (!c.id)
        return no_memory(st);
    c.count = merge(a, b, c.id);
    *out = c;
    return YM_OK;
}

bool ym_cohort_within(const struct ym_cohort *a, const struct ym_cohort *b)
{
    return merge(a, b, NULL) == b->count;
}

/* ---- pseudonyms ---- */

static bool is(const char *kind, const char *word)
{
    return strcmp(kind, word) == 0;
}

void ym_pseudonym(const uint8_t salt[32], const char *kind, const char *dataset, const uint8_t frozen[YM_HASH_BYTES],
                  const uint8_t patient[YM_HASH_BYTES], uint8_t out[YM_HASH_BYTES])
{
    static const char context[] = "yumen/people/v1"; /* each text with its NUL */
    bool everywhere = is(kind, "national_id") || is(kind, "insurance_id") || is(kind, "hospital_id");
    struct ym_buf text = {0};

    ym_buf_append(&text, context, sizeof context);
    ym_buf_append(&text, kind, strlen(kind) + 1);
    if (is(kind, "row"))
        ym_buf_append(&text, frozen, YM_HASH_BYTES);
    else if (!everywhere)
        ym_buf_append(&text, dataset, strlen(dataset) + 1);
    ym_buf_append(&text, patient, YM_HASH_BYTES);
    ym_hmac_sha256(salt, 32, text.data, text.len, out);
    ym_buf_release(&text);
}

/* ---- the side file ---- */

enum ym_code ym_people_encode(const uint8_t frozen[YM_HASH_BYTES], const uint8_t (*id)[YM_HASH_BYTES], size_t count,
                              struct ym_buf *out, struct ym_status *st)
{
    uint64_t n = htole64(count);
    uint8_t sum[YM_HASH_BYTES];

    if (ym_buf_append(out, MAGIC, MAGIC_BYTES) != YM_OK || ym_buf_append(out, frozen, YM_HASH_BYTES) != YM_OK ||
        ym_buf_append(out, &n, sizeof n) != YM_OK || ym_buf_append(out, id, count * YM_HASH_BYTES) != YM_OK)
        return no_memory(st);
    ym_sha256(out->data, out->len, sum);
    return ym_buf_append(out, sum, sizeof sum) == YM_OK ? YM_OK : no_memory(st);
}

/* How many it holds, or YM_CORRUPT. */
static enum ym_code check_file(struct ym_bytes b, const uint8_t frozen[YM_HASH_BYTES], uint64_t *count,
                               struct ym_status *st)
{
    uint8_t sum[YM_HASH_BYTES];
    uint64_t n;

    if (b.len < HEAD_BYTES + YM_HASH_BYTES || memcmp(b.data, MAGIC, MAGIC_BYTES) != 0)
        return ym_status_set(st, YM_CORRUPT, "not a list of people");
    if (frozen && memcmp(b.data + MAGIC_BYTES, frozen, YM_HASH_BYTES) != 0)
        return ym_status_set(st, YM_CORRUPT, "the list of people is of another frozen data set");
    memcpy(&n, b.data + MAGIC_BYTES + YM_HASH_BYTES, sizeof n);
    *count = le64toh(n);
    if ((b.len - HEAD_BYTES) % YM_HASH_BYTES != 0 || (b.len - HEAD_BYTES) / YM_HASH_BYTES - 1 != *count)
        return ym_status_set(st, YM_CORRUPT, "the list of people has another length than it says");
    ym_sha256(b.data, b.len - YM_HASH_BYTES, sum);
    if (memcmp(b.data + b.len - YM_HASH_BYTES, sum, sizeof sum) != 0)
        return ym_status_set(st, YM_CORRUPT, "the list of people is damaged");
    return YM_OK;
}

enum ym_code ym_people_ids(struct ym_bytes file, const uint8_t frozen[YM_HASH_BYTES],
                           const uint8_t (**id)[YM_HASH_BYTES], size_t *count, struct ym_status *st)
{
    uint64_t n = 0;
    enum ym_code code = check_file(file, frozen, &n, st);

    if (code != YM_OK)
        return code;
    *id = (const void *)(file.data + HEAD_BYTES);
    *count = (size_t)n;
    return YM_OK;
}

static enum ym_code pick(const uint8_t (*all)[YM_HASH_BYTES], uint64_t n, const uint32_t *who, size_t count,
                         struct ym_cohort *out, struct ym_status *st)
{
    uint8_t(*some)[YM_HASH_BYTES] = calloc(count + 1, sizeof *some);
    enum ym_code code = some ? YM_OK : no_memory(st);

    for (size_t i = 0; i < count && code == YM_OK; i++)
        if (who[i] < n)
            memcpy(some[i], all[who[i]], YM_HASH_BYTES);
        else
            code = ym_status_set(st, YM_CORRUPT, "the list of people lacks some");
    if (code == YM_OK)
        code = ym_cohort_of((const uint8_t(*)[YM_HASH_BYTES])some, count, out, st);
    free(some);
    return code;
}

enum ym_code ym_people_load(const char *path, const uint8_t frozen[YM_HASH_BYTES], const uint32_t *who, size_t count,
                            struct ym_cohort *out, struct ym_status *st)
{
    struct ym_buf b = {0};
    uint64_t n = 0;
    enum ym_code code = ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &b, st);

    if (code == YM_OK)
        code = check_file(ym_buf_bytes(&b), frozen, &n, st);
    if (code == YM_OK) {
        const uint8_t(*all)[YM_HASH_BYTES] = (const void *)(b.data + HEAD_BYTES);

        code = who ? pick(all, n, who, count, out, st) : ym_cohort_of(all, n, out, st);
    }
    ym_buf_release(&b);
    return code == YM_OK ? code : ym_status_wrap(st, code, "people cannot be counted: add the data set again");
}

enum ym_code ym_people_mark(const char *path, const uint8_t frozen[YM_HASH_BYTES], const struct ym_cohort *some,
                            uint8_t *out, size_t patients, struct ym_status *st)
{
    struct ym_buf b = {0};
    uint64_t n = 0;
    enum ym_code code = YM_OK;

    memset(out, 0, patients);
    if (some->count == 0)
        return YM_OK;
    code = ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &b, st);
    if (code == YM_OK)
        code = check_file(ym_buf_bytes(&b), frozen, &n, st);
    if (code == YM_OK && n != patients)
        code = ym_status_set(st, YM_CORRUPT, "the list of people has another length than the data set");
    for (size_t i = 0; i < patients && code == YM_OK; i++)
        out[i] = ym_cohort_has(some, b.data + HEAD_BYTES + i * YM_HASH_BYTES);
    ym_buf_release(&b);
    return code;
}

#include "worker/trainer/us.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "gate/card.h"
#include "worker/trainer/meter.h"

#define MAGIC "YMUSP1\n" /* with its NUL: eight bytes */
#define SUFFIX ".us"
enum { HEAD_BYTES = sizeof MAGIC + 8, MOST_SHARES = 65536, WORDS = 64 };

/* One group of people who went from a party to a recipient, with the last time that they did. */
struct share {
    struct ym_us_transfer t;
    bool lost;                   /* nobody can name them; plan and data tell such groups apart */
    uint8_t file[YM_HASH_BYTES]; /* or a hash of plan and data */
    int64_t people, until;
};

struct ym_us {
    const struct ym_site *site;
    uint8_t salt[YM_SITE_SALT];
    uint8_t nobody[YM_HASH_BYTES]; /* the party of no name */
    struct share *share;
    size_t count, cap;
    uint8_t last[YM_HASH_BYTES]; /* the file that was named last: most often the next one too */
};

struct ym_us *ym_us_new(const struct ym_site *site, const uint8_t salt[YM_SITE_SALT])
{
    static const struct ym_card unnamed;
    struct ym_us *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    u->site = site;
    memcpy(u->salt, salt, sizeof u->salt);
    ym_exporter_of(&unnamed, u->nobody);
    return u;
}

void ym_us_free(struct ym_us *u)
{
    if (!u)
        return;
    free(u->share);
    ym_wipe(u->salt, sizeof u->salt);
    free(u);
}

static enum ym_code no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for the count of US persons");
}

/* ---- files ---- */

static void set_hash(const struct ym_us *u, const char *study, uint32_t round, uint32_t attempt,
                     const uint8_t file[YM_HASH_BYTES], uint8_t out[YM_HASH_BYTES])
{
    uint8_t text[160] = "yumen/us/set/v1";
    size_t at = sizeof "yumen/us/set/v1";

    memcpy(text + at, file, YM_HASH_BYTES);
    at += YM_HASH_BYTES;
    at += (size_t)snprintf((char *)text + at, sizeof text - at, "%s %" PRIu32 " %" PRIu32, study, round, attempt);
    ym_hmac_sha256(u->salt, sizeof u->salt, text, at, out);
}

static bool name_hash(const char *name, uint8_t out[YM_HASH_BYTES])
{
    return strlen(name) == 2 * YM_HASH_BYTES + strlen(SUFFIX) && strcmp(name + 2 * YM_HASH_BYTES, SUFFIX) == 0 &&
           ym_hex_decode(name, 2 * YM_HASH_BYTES, out, YM_HASH_BYTES) == YM_OK;
}

struct said {
    const char *study;
    int64_t round, attempt;
    uint8_t set[YM_HASH_BYTES];
};

static bool names(const struct ym_us *u, const struct said *s, const uint8_t file[YM_HASH_BYTES])
{
    uint8_t hash[YM_HASH_BYTES];

    set_hash(u, s->study, (uint32_t)s->round, (uint32_t)s->attempt, file, hash);
    return memcmp(hash, s->set, sizeof hash) == 0;
}

static bool find_file(struct ym_us *u, const struct said *s, uint8_t out[YM_HASH_BYTES])
{
    char dir[YM_SITE_PATH], **name = NULL;
    uint8_t file[YM_HASH_BYTES];
    size_t count = 0;
    bool found = names(u, s, u->last);

    if (!found &&
        (ym_site_path(u->site, "people", NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK))
        return false;
    for (size_t i = 0; i < count && !found; i++)
        if (name_hash(name[i], file) && names(u, s, file)) {
            memcpy(u->last, file, sizeof file);
            found = true;
        }
    ym_fs_names_free(name, count);
    if (found)
        memcpy(out, u->last, YM_HASH_BYTES);
    return found;
}

/* YM_EXHAUSTED, or any other code: it is not there as it was. */
static enum ym_code read_file(const struct ym_us *u, const uint8_t file[YM_HASH_BYTES], struct ym_cohort *out)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH];
    uint8_t hash[YM_HASH_BYTES];
    uint64_t count = 0;
    enum ym_code code = ym_site_hash_path(u->site, "people", file, SUFFIX, path);

    if (code == YM_OK)
        code = ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &b, NULL);
    if (code == YM_OK) {
        ym_sha256(b.data, b.len, hash);
        if (memcmp(hash, file, sizeof hash) != 0 || b.len < HEAD_BYTES || memcmp(b.data, MAGIC, sizeof MAGIC) != 0)
            code = YM_CORRUPT;
    }
    if (code == YM_OK) {
        memcpy(&count, b.data + sizeof MAGIC, sizeof count);
        count = le64toh(count);
        code = count == (b.len - HEAD_BYTES) / YM_HASH_BYTES && (b.len - HEAD_BYTES) % YM_HASH_BYTES == 0
                   ? ym_cohort_of((const void *)(b.data + HEAD_BYTES), (size_t)count, out, NULL)
                   : YM_CORRUPT;
    }
    ym_buf_release(&b);
    return code;
}

static enum ym_code write_file(struct ym_us *u, const struct ym_cohort *c, struct ym_status *st)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH], dir[YM_SITE_PATH];
    uint8_t file[YM_HASH_BYTES];
    uint64_t count = htole64(c->count);
    enum ym_code code = ym_buf_append(&b, MAGIC, sizeof MAGIC);

    if (code == YM_OK)
        code = ym_buf_append(&b, &count, sizeof count);
    if (code == YM_OK)
        code = ym_buf_append(&b, c->id, c->count * YM_HASH_BYTES);
    if (code != YM_OK)
        code = no_memory(st);
    else
        ym_sha256(b.data, b.len, file);
    if (code == YM_OK)
        code = ym_site_path(u->site, "people", NULL, dir);
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = ym_site_hash_path(u->site, "people", file, SUFFIX, path);
    if (code == YM_OK && (memcmp(file, u->last, sizeof file) != 0 || !ym_fs_exists(path)))
        code = ym_fs_write(path, ym_buf_bytes(&b), 0600, st);
    if (code == YM_OK)
        memcpy(u->last, file, sizeof file);
    ym_buf_release(&b);
    return code;
}

/* ---- the fold ---- */

static bool same(const struct share *a, const struct share *b)
{
    return a->lost == b->lost && a->t.categories == b->t.categories && memcmp(a->file, b->file, sizeof a->file) == 0 &&
           memcmp(a->t.party, b->t.party, YM_HASH_BYTES) == 0 &&
           memcmp(a->t.recipient, b->t.recipient, YM_HASH_BYTES) == 0;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum ym_code add_share(struct ym_us *u, const struct share *s, struct ym_status *st)
{
    struct share *grown;

    for (size_t i = u->count; i-- > 0;)
        if (same(&u->share[i], s)) {
            u->share[i].people = larger(u->share[i].people, s->people);
            u->share[i].until = larger(u->share[i].until, s->until);
            return YM_OK;
        }
    if (u->count == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 8;

        grown = cap > MOST_SHARES ? NULL : reallocarray(u->share, cap, sizeof *grown);
        if (!grown)
            return no_memory(st);
        u->share = grown;
        u->cap = cap;
    }
    u->share[u->count++] = *s;
    return YM_OK;
}

static bool read_categories(const char *words, unsigned *out)
{
    char text[WORDS], *save = NULL;

    if (strlen(words) >= sizeof text)
        return false;
    strcpy(text, words);
    *out = 0;
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        unsigned c = 0;

        while (c < YM_US_CATEGORIES && strcmp(ym_us_word((enum ym_us_category)c), w) != 0)
            c++;
        if (c == YM_US_CATEGORIES)
            return false;
        *out |= 1u << c;
    }
    return true;
}

static void put_categories(unsigned categories, char out[WORDS])
{
    size_t at = 0;

    out[0] = 0;
    for (unsigned c = 0; c < YM_US_CATEGORIES; c++)
        if (categories >> c & 1)
            at += (size_t)snprintf(out + at, WORDS - at, "%s%s", at ? " " : "", ym_us_word((enum ym_us_category)c));
}

static enum ym_code read_share(const json_t *leaf, const json_t *us, struct share *s, struct said *said,
                               struct ym_status *st)
{
    const char *words = "";
    enum ym_code code = ym_json_get_hash(leaf, "exporter", s->t.party, st);

    if (code == YM_OK)
        code = ym_json_get_str(leaf, "study", &said->study, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "round", 1, UINT32_MAX, &said->round, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "attempt", 1, UINT32_MAX, &said->attempt, st);
    if (code == YM_OK)
        code = ym_json_get_hash(us, "recipient", s->t.recipient, st);
    if (code == YM_OK)
        code = ym_json_get_str(us, "categories", &words, st);
    if (code == YM_OK && !read_categories(words, &s->t.categories))
        code = YM_CORRUPT;
    if (code == YM_OK)
        code = ym_json_get_int(us, "people", 0, INT32_MAX, &s->people, st);
    if (code == YM_OK)
        code = ym_json_get_int(us, "until", 0, INT64_MAX / 2, &s->until, st);
    if (code == YM_OK)
        code = ym_json_get_hash(us, "set", said->set, st);
    return code == YM_OK ? code : ym_status_wrap(st, YM_CORRUPT, "a charge's US persons");
}

/* Groups that nobody can name: of one plan on one content of a data set they are taken for the same. */
static enum ym_code lose(struct share *s, const uint8_t plan[YM_HASH_BYTES], const uint8_t data[YM_HASH_BYTES])
{
    uint8_t both[2 * YM_HASH_BYTES];

    memcpy(both, plan, YM_HASH_BYTES);
    memcpy(both + YM_HASH_BYTES, data, YM_HASH_BYTES);
    ym_sha256(both, sizeof both, s->file);
    s->lost = true;
    return YM_OK;
}

enum ym_code ym_us_take(struct ym_us *u, const json_t *leaf, struct ym_status *st)
{
    const char *type = json_string_value(json_object_get(leaf, "type"));
    const json_t *us = json_object_get(leaf, "us");
    uint8_t plan[YM_HASH_BYTES], data[YM_HASH_BYTES];
    struct share s = {0};
    struct said said = {0};
    enum ym_code code;

    if (!type || strcmp(type, "charge") != 0 || !us)
        return YM_OK;
    code = read_share(leaf, us, &s, &said, st);
    if (code == YM_OK)
        code = ym_json_get_hash(leaf, "plan", plan, st);
    if (code == YM_OK)
        code = ym_json_get_hash(leaf, "data", data, st);
    if (code == YM_OK && !find_file(u, &said, s.file)) {
        ym_log(YM_LOG_WARN, "us.lost", "people=%" PRId64 " why=\"the set of counted people is gone\"", s.people);
        code = lose(&s, plan, data);
    }
    return code == YM_OK ? add_share(u, &s, st) : code;
}

/* ---- asking ---- */

static bool one_of(const uint8_t *a, const uint8_t *b, const uint8_t *any)
{
    return memcmp(a, b, YM_HASH_BYTES) == 0 || memcmp(a, any, YM_HASH_BYTES) == 0 || memcmp(b, any, YM_HASH_BYTES) == 0;
}

static bool counts(const struct ym_us *u, const struct share *s, const struct ym_us_transfer *t, int64_t now)
{
    static const uint8_t unnamed[YM_HASH_BYTES];

    return s->until >= now - YM_US_WINDOW_S && one_of(s->t.party, t->party, u->nobody) &&
           one_of(s->t.recipient, t->recipient, unnamed);
}

/* False: out of memory. */
static bool add_people(const struct ym_us *u, const struct share *s, struct ym_cohort *all, int64_t *lost)
{
    struct ym_cohort one = {0}, sum = {0};
    enum ym_code code = s->lost ? YM_NOT_FOUND : read_file(u, s->file, &one);

    if (code == YM_EXHAUSTED)
        return false;
    if (code != YM_OK) {
        *lost += s->people;
        return true;
    }
    code = ym_cohort_union(all, &one, &sum, NULL);
    ym_cohort_release(&one);
    if (code != YM_OK)
        return false;
    ym_cohort_release(all);
    *all = sum;
    return true;
}

static int64_t count(struct ym_us *u, const struct ym_us_transfer *t, const struct ym_cohort *cohort, int64_t now,
                     unsigned *categories, int64_t *lost)
{
    struct ym_cohort all = {0};
    int64_t people;
    bool good = ym_cohort_union(cohort, &(struct ym_cohort){0}, &all, NULL) == YM_OK;

    *lost = 0;
    *categories = t->categories;
    for (size_t i = 0; good && i < u->count; i++)
        if (counts(u, &u->share[i], t, now)) {
            *categories |= u->share[i].t.categories;
            good = add_people(u, &u->share[i], &all, lost);
        }
    people = good ? *lost + (int64_t)all.count : -1;
    ym_cohort_release(&all);
    return people;
}

int64_t ym_us_with(struct ym_us *u, const struct ym_us_transfer *t, const struct ym_cohort *cohort, int64_t now,
                   unsigned *categories)
{
    int64_t lost;

    return count(u, t, cohort, now, categories, &lost);
}

static bool first_of_its_pair(const struct ym_us *u, size_t i, int64_t now)
{
    const struct ym_us_transfer *t = &u->share[i].t;

    if (u->share[i].until < now - YM_US_WINDOW_S)
        return false;
    for (size_t k = 0; k < i; k++)
        if (u->share[k].until >= now - YM_US_WINDOW_S && memcmp(u->share[k].t.party, t->party, YM_HASH_BYTES) == 0 &&
            memcmp(u->share[k].t.recipient, t->recipient, YM_HASH_BYTES) == 0)
            return false;
    return true;
}

json_t *ym_us_json(struct ym_us *u, int64_t now)
{
    json_t *list = json_array();

    for (size_t i = 0; i < u->count; i++) {
        struct ym_us_transfer t = u->share[i].t;
        char words[WORDS];
        unsigned categories;
        int64_t lost, people;
        json_t *o;

        if (!first_of_its_pair(u, i, now))
            continue;
        t.categories = 0;
        people = count(u, &t, &(struct ym_cohort){0}, now, &categories, &lost);
        put_categories(categories, words);
        o = json_pack("{s:I, s:I, s:s}", "people", (json_int_t)people, "lost", (json_int_t)lost, "categories", words);
        if (o) {
            json_object_set_new(o, "mask", json_integer(categories));
            ym_json_set_hash(o, "party", t.party);
            ym_json_set_hash(o, "recipient", t.recipient);
        }
        json_array_append_new(list, o);
    }
    return list;
}

/* ---- counting ---- */

enum ym_code ym_us_keep(struct ym_us *u, const struct ym_us_charge *c, json_t **out, struct ym_status *st)
{
    uint8_t set[YM_HASH_BYTES];
    char words[WORDS];
    json_t *o;
    enum ym_code code = write_file(u, c->cohort, st);

    if (code != YM_OK)
        return code;
    set_hash(u, c->study, c->round, c->attempt, u->last, set);
    put_categories(c->transfer->categories, words);
    o = json_pack("{s:s, s:I, s:I}", "categories", words, "people",
                  (json_int_t)ym_meter_class((int64_t)c->cohort->count), "until", (json_int_t)c->until);
    if (!o)
        return no_memory(st);
    ym_json_set_hash(o, "recipient", c->transfer->recipient);
    ym_json_set_hash(o, "set", set);
    *out = o;
    return YM_OK;
}

static bool needed(const struct ym_us *u, const uint8_t file[YM_HASH_BYTES], int64_t now)
{
    for (size_t i = 0; i < u->count; i++)
        if (!u->share[i].lost && u->share[i].until >= now - YM_US_WINDOW_S &&
            memcmp(u->share[i].file, file, YM_HASH_BYTES) == 0)
            return true;
    return false;
}

void ym_us_sweep(struct ym_us *u, int64_t now)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH], **name = NULL;
    uint8_t file[YM_HASH_BYTES];
    size_t count = 0;

    if (ym_site_path(u->site, "people", NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (name_hash(name[i], file) && !needed(u, file, now) &&
            ym_site_hash_path(u->site, "people", file, SUFFIX, path) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, count);
}

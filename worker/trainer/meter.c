#include "worker/trainer/meter.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/calendar.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"

#define MAGIC "YMCNT1\n"
#define SUFFIX ".set"
#define EXACT "exact"
#define EXACT_BYTES (64 << 20)
enum { MAGIC_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + YM_HASH_BYTES + 3 * 8, MOST_SLOTS = 4096, CLASS = 100 };

/* Which charge said a set: what keys its hash. */
struct said {
    char study[64];
    uint32_t round, attempt;
    uint8_t set[YM_HASH_BYTES];
};

struct slot { /* one exporter and year */
    uint8_t exporter[YM_HASH_BYTES];
    int year;
    bool has; /* newest is of a charge */
    struct said newest;
    int64_t people; /* the newest charge's class */
    int64_t
        returned; /* the largest class of charges that came back from the hub's log: other people, for all we know */
    /* of the file, when loaded */
    bool loaded;
    int64_t nameless;
    uint8_t file[YM_HASH_BYTES];
    struct ym_cohort set;
};

struct ym_meter {
    const struct ym_site *site;
    uint8_t salt[YM_SITE_SALT];
    struct slot *slot;
    size_t count, cap;
    uint64_t returning; /* lines behind a recover leaf that are still to come */
};

int64_t ym_meter_class(int64_t people)
{
    if (people < 0)
        return people;
    return people > INT64_MAX - CLASS ? INT64_MAX / CLASS * CLASS : (people + CLASS - 1) / CLASS * CLASS;
}

int ym_meter_mark(int64_t people, int64_t limit)
{
    static const int mark[] = {100, 95, 80, 50};
    for (size_t i = 0; i < sizeof mark / sizeof *mark; i++)
        if (people >= 0 && (__int128)people * 100 >= (__int128)limit * mark[i])
            return mark[i];
    return 0;
}

static enum ym_code no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for the people meter");
}

/* ---- the set's file ---- */

/* What the ledger says of a file: others cannot tell from it whether two charges count the same people. */
static void set_hash(const struct ym_meter *p, const struct said *s, const uint8_t file[YM_HASH_BYTES],
                     uint8_t out[YM_HASH_BYTES])
{
    uint8_t text[160] = "yumen/people/set/v1";
    size_t at = 20;

    memcpy(text + at, file, YM_HASH_BYTES);
    at += YM_HASH_BYTES;
    at += (size_t)snprintf((char *)text + at, sizeof text - at, "%s %" PRIu32 " %" PRIu32, s->study, s->round,
                           s->attempt);
    ym_hmac_sha256(p->salt, sizeof p->salt, text, at, out);
}

static enum ym_code set_path(const struct ym_meter *p, const uint8_t file[YM_HASH_BYTES], char out[YM_SITE_PATH])
{
    return ym_site_hash_path(p->site, "people", file, SUFFIX, out);
}

static enum ym_code encode_set(const struct slot *s, int64_t nameless, const struct ym_cohort *set, struct ym_buf *out,
                               struct ym_status *st)
{
    uint64_t head[3] = {htole64((uint64_t)s->year), htole64((uint64_t)nameless), htole64(set->count)};

    if (ym_buf_append(out, MAGIC, MAGIC_BYTES) != YM_OK ||
        ym_buf_append(out, s->exporter, sizeof s->exporter) != YM_OK ||
        ym_buf_append(out, head, sizeof head) != YM_OK ||
        ym_buf_append(out, set->id, set->count * YM_HASH_BYTES) != YM_OK)
        return no_memory(st);
    return YM_OK;
}

static enum ym_code decode_set(struct slot *s, struct ym_bytes b, struct ym_status *st)
{
    uint64_t head[3];
    struct ym_cohort set = {0};
    enum ym_code code;

    if (b.len < HEAD_BYTES || memcmp(b.data, MAGIC, MAGIC_BYTES) != 0 ||
        memcmp(b.data + MAGIC_BYTES, s->exporter, YM_HASH_BYTES) != 0)
        return ym_status_set(st, YM_CORRUPT, "not a set of counted people");
    memcpy(head, b.data + MAGIC_BYTES + YM_HASH_BYTES, sizeof head);
    if (le64toh(head[0]) != (uint64_t)s->year || le64toh(head[1]) > INT32_MAX ||
        le64toh(head[2]) != (b.len - HEAD_BYTES) / YM_HASH_BYTES || (b.len - HEAD_BYTES) % YM_HASH_BYTES != 0)
        return ym_status_set(st, YM_CORRUPT, "not the set of counted people that it should be");
    code = ym_cohort_of((const void *)(b.data + HEAD_BYTES), le64toh(head[2]), &set, st);
    if (code != YM_OK)
        return code;
    ym_cohort_release(&s->set);
    s->set = set;
    s->nameless = (int64_t)le64toh(head[1]);
    return YM_OK;
}

static bool name_hash(const char *name, uint8_t out[YM_HASH_BYTES])
{
    return strlen(name) == 2 * YM_HASH_BYTES + strlen(SUFFIX) && strcmp(name + 2 * YM_HASH_BYTES, SUFFIX) == 0 &&
           ym_hex_decode(name, 2 * YM_HASH_BYTES, out, YM_HASH_BYTES) == YM_OK;
}

/* The file that a charge named, by its name. */
static bool find_file(const struct ym_meter *p, const struct said *s, uint8_t out[YM_HASH_BYTES])
{
    char dir[YM_SITE_PATH], **name = NULL;
    uint8_t file[YM_HASH_BYTES], hash[YM_HASH_BYTES];
    size_t count = 0;
    bool found = false;

    if (ym_site_path(p->site, "people", NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return false;
    for (size_t i = 0; i < count && !found; i++)
        if (name_hash(name[i], file)) {
            set_hash(p, s, file, hash);
            found = memcmp(hash, s->set, sizeof hash) == 0;
        }
    ym_fs_names_free(name, count);
    if (found)
        memcpy(out, file, YM_HASH_BYTES);
    return found;
}

static enum ym_code read_file(struct ym_meter *p, struct slot *s, const uint8_t file[YM_HASH_BYTES],
                              struct ym_status *st)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH];
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = set_path(p, file, path);

    if (code == YM_OK)
        code = ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &b, st);
    if (code == YM_OK) {
        ym_sha256(b.data, b.len, hash);
        if (memcmp(hash, file, sizeof hash) != 0)
            code = ym_status_set(st, YM_CORRUPT, "a set of counted people was changed");
    }
    if (code == YM_OK)
        code = decode_set(s, ym_buf_bytes(&b), st);
    if (code == YM_OK)
        memcpy(s->file, file, sizeof s->file);
    ym_buf_release(&b);
    return code;
}

/* False: out of memory, and nothing is known. */
static bool load(struct ym_meter *p, struct slot *s)
{
    struct ym_status st = YM_STATUS_INIT;
    uint8_t file[YM_HASH_BYTES];
    enum ym_code code = YM_NOT_FOUND;

    if (s->loaded)
        return true;
    ym_cohort_release(&s->set);
    memset(s->file, 0, sizeof s->file);
    s->nameless = 0;
    if (s->has && find_file(p, &s->newest, file))
        code = read_file(p, s, file, &st);
    if (code == YM_EXHAUSTED)
        return false;
    if (s->has && code != YM_OK) {
        s->nameless = s->people;
        ym_log(YM_LOG_WARN, "people.lost", "year=%d people=%" PRId64 " why=\"%s\"", s->year, s->people,
               st.message[0] ? st.message : "the set of counted people is gone");
    }
    s->loaded = true;
    return true;
}

/* ---- the fold ---- */

static struct slot *find_slot(const struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->slot[i].year == year && memcmp(p->slot[i].exporter, exporter, YM_HASH_BYTES) == 0)
            return &p->slot[i];
    return NULL;
}

static struct slot *need_slot(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    struct slot *s = find_slot(p, exporter, year);

    if (s)
        return s;
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 8;
        struct slot *grown = cap > MOST_SLOTS ? NULL : reallocarray(p->slot, cap, sizeof *grown);

        if (!grown)
            return NULL;
        p->slot = grown;
        p->cap = cap;
    }
    s = &p->slot[p->count++];
    *s = (struct slot){.year = year};
    memcpy(s->exporter, exporter, sizeof s->exporter);
    return s;
}

/* A charge that this ledger lost: its set is lost too, unless it is the newest. */
static void take_returned(struct ym_meter *p, struct slot *s, const struct said *said, int64_t people)
{
    uint8_t file[YM_HASH_BYTES], newest[YM_HASH_BYTES];

    if (s->has && find_file(p, said, file) && find_file(p, &s->newest, newest) &&
        memcmp(file, newest, sizeof file) == 0)
        return;
    s->returned = people > s->returned ? people : s->returned;
}

static void take_newest(struct ym_meter *p, struct slot *s, const struct said *said, int64_t people)
{
    uint8_t hash[YM_HASH_BYTES];

    set_hash(p, said, s->file, hash);
    s->loaded = s->loaded && memcmp(hash, said->set, sizeof hash) == 0;
    s->newest = *said;
    s->has = true;
    s->people = people;
    s->returned = 0; /* the new set says it */
}

static enum ym_code take_year(struct ym_meter *p, const json_t *leaf, const json_t *entry, bool returned,
                              struct ym_status *st)
{
    struct said said = {0};
    uint8_t exporter[YM_HASH_BYTES];
    int64_t year, people, round, attempt;
    const char *study;
    struct slot *s = NULL;
    enum ym_code code = ym_json_get_hash(leaf, "exporter", exporter, st);

    if (code == YM_OK)
        code = ym_json_get_str(leaf, "study", &study, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "round", 1, UINT32_MAX, &round, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "attempt", 1, UINT32_MAX, &attempt, st);
    if (code == YM_OK)
        code = ym_json_get_int(entry, "year", 1970, 9999, &year, st);
    if (code == YM_OK)
        code = ym_json_get_int(entry, "people", 0, INT32_MAX, &people, st);
    if (code == YM_OK)
        code = ym_json_get_hash(entry, "set", said.set, st);
    if (code != YM_OK)
        return ym_status_wrap(st, YM_CORRUPT, "a charge's people");
    if (!(s = need_slot(p, exporter, (int)year)))
        return no_memory(st);
    snprintf(said.study, sizeof said.study, "%s", study);
    said.round = (uint32_t)round;
    said.attempt = (uint32_t)attempt;
    if (returned)
        take_returned(p, s, &said, people);
    else
        take_newest(p, s, &said, people);
    return YM_OK;
}

enum ym_code ym_meter_take(struct ym_meter *p, struct ym_bytes line, struct ym_status *st)
{
    bool returned = p->returning > 0;
    json_t *leaf = NULL, *entry;
    const char *type = "";
    int64_t count = 0;
    size_t i;
    enum ym_code code = ym_leaf_parse(line, &leaf, st);

    p->returning -= returned;
    if (code == YM_OK)
        code = ym_json_get_str(leaf, "type", &type, st);
    if (code == YM_OK && strcmp(type, "recover") == 0) {
        code = ym_json_get_int(leaf, "count", 0, INT32_MAX, &count, st);
        p->returning = (uint64_t)count;
    }
    if (code == YM_OK && strcmp(type, "charge") == 0 && json_array_size(json_object_get(leaf, "people")) == 0)
        code = ym_status_set(st, YM_CORRUPT, "a charge that counts nobody");
    if (code == YM_OK && strcmp(type, "charge") == 0)
        json_array_foreach(json_object_get(leaf, "people"), i, entry)
        {
            if (code == YM_OK)
                code = take_year(p, leaf, entry, returned, st);
        }
    json_decref(leaf);
    return code;
}

struct fold {
    struct ym_meter *p;
    struct ym_status *st;
    enum ym_code code;
};

static bool fold_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct fold *f = ctx;

    f->code = ym_meter_take(f->p, leaf, f->st);
    if (f->code != YM_OK)
        ym_status_wrap(f->st, f->code, "entry %" PRIu64, index);
    return f->code == YM_OK;
}

enum ym_code ym_meter_fold(const struct ym_site *site, const uint8_t salt[YM_SITE_SALT], struct ym_ledger *l,
                           struct ym_meter **out, struct ym_status *st)
{
    struct fold f = {calloc(1, sizeof *f.p), st, YM_OK};
    enum ym_code code;

    if (!f.p)
        return no_memory(st);
    f.p->site = site;
    memcpy(f.p->salt, salt, sizeof f.p->salt);
    code = ym_ledger_each(l, 0, fold_leaf, &f, st);
    if (code == YM_OK)
        code = f.code;
    if (code == YM_OK)
        *out = f.p;
    else
        ym_meter_free(f.p);
    return code;
}

void ym_meter_free(struct ym_meter *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        ym_cohort_release(&p->slot[i].set);
    free(p->slot);
    ym_wipe(p->salt, sizeof p->salt);
    free(p);
}

/* ---- asking ---- */

int64_t ym_meter_with(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year,
                      const struct ym_cohort *cohort)
{
    struct slot *s = find_slot(p, exporter, year);

    if (!s)
        return (int64_t)cohort->count;
    if (!load(p, s))
        return -1;
    return s->nameless + s->returned + (int64_t)ym_cohort_union_size(&s->set, cohort);
}

int64_t ym_meter_counted(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    return ym_meter_with(p, exporter, year, &(struct ym_cohort){0});
}

bool ym_meter_knows(const struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    return find_slot(p, exporter, year) != NULL;
}

int64_t ym_meter_others(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year)
{
    int64_t sum = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct slot *s = &p->slot[i];
        int64_t n;

        if (s->year != year || memcmp(s->exporter, exporter, YM_HASH_BYTES) == 0)
            continue;
        n = ym_meter_counted(p, s->exporter, year);
        if (n < 0)
            return -1;
        sum += n;
    }
    return sum;
}

json_t *ym_meter_json(struct ym_meter *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->count && list; i++) {
        struct slot *s = &p->slot[i];
        json_t *o = load(p, s) ? json_pack("{s:i, s:I, s:I}", "year", s->year, "people",
                                           (json_int_t)(s->nameless + s->returned + (int64_t)s->set.count), "lost",
                                           (json_int_t)(s->nameless + s->returned))
                               : NULL;

        if (o)
            ym_json_set_hash(o, "exporter", s->exporter);
        json_array_append_new(list, o);
    }
    return list;
}

/* ---- counting ---- */

static enum ym_code write_set(struct ym_meter *p, struct slot *s, int64_t nameless, const struct ym_cohort *all,
                              uint8_t file[YM_HASH_BYTES], struct ym_status *st)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH], dir[YM_SITE_PATH];
    enum ym_code code = encode_set(s, nameless, all, &b, st);

    if (code == YM_OK) {
        ym_sha256(b.data, b.len, file);
        code = ym_site_path(p->site, "people", NULL, dir);
    }
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = set_path(p, file, path);
    if (code == YM_OK && (memcmp(file, s->file, YM_HASH_BYTES) != 0 || !ym_fs_exists(path)))
        code = ym_fs_write(path, ym_buf_bytes(&b), 0600, st);
    ym_buf_release(&b);
    return code;
}

/* How many exactly, for the hospital's own eyes: a line for each set that a charge names. Only told, never counted on.
 */
static void note_exact(const struct ym_meter *p, const uint8_t set[YM_HASH_BYTES], int64_t people)
{
    struct ym_buf line = {0};
    char path[YM_SITE_PATH];
    int fd = -1;

    if (ym_site_path(p->site, "people", EXACT, path) == YM_OK && ym_hex_encode(set, YM_HASH_BYTES, &line) == YM_OK &&
        ym_buf_printf(&line, " %" PRId64 "\n", people) == YM_OK)
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, line.data, line.len) != (ssize_t)line.len)
        ym_log(YM_LOG_WARN, "people.exact", "why=\"cannot write\"");
    if (fd >= 0)
        close(fd);
    ym_buf_release(&line);
}

json_t *ym_meter_exact(const struct ym_site *site)
{
    struct ym_buf text = {0};
    char path[YM_SITE_PATH], *save = NULL;
    json_t *o = json_object();

    if (ym_site_path(site, "people", EXACT, path) == YM_OK)
        ym_fs_read(path, EXACT_BYTES, &text, NULL);
    for (char *line = text.len ? strtok_r((char *)(uintptr_t)ym_buf_str(&text), "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char hex[2 * YM_HASH_BYTES + 1];
        int64_t people;

        if (sscanf(line, "%64[0-9a-f] %" SCNd64, hex, &people) == 2)
            json_object_set_new(o, hex, json_integer(people));
    }
    ym_buf_release(&text);
    return o;
}

static enum ym_code keep_year(struct ym_meter *p, const struct ym_meter_charge *c, int year, json_t *list,
                              struct ym_status *st)
{
    struct slot *s = need_slot(p, c->exporter, year);
    struct said said = {.round = c->round, .attempt = c->attempt};
    struct ym_cohort all = {0};
    uint8_t file[YM_HASH_BYTES];
    int64_t nameless;
    json_t *entry;
    enum ym_code code = s && load(p, s) ? ym_cohort_union(&s->set, c->cohort, &all, st) : no_memory(st);

    if (code != YM_OK)
        return code;
    nameless = s->nameless + s->returned;
    code = write_set(p, s, nameless, &all, file, st);
    snprintf(said.study, sizeof said.study, "%s", c->study);
    set_hash(p, &said, file, said.set);
    if (code == YM_OK)
        note_exact(p, said.set, nameless + (int64_t)all.count);
    entry = json_pack("{s:i, s:I}", "year", year, "people", (json_int_t)ym_meter_class(nameless + (int64_t)all.count));
    if (entry)
        ym_json_set_hash(entry, "set", said.set);
    if (json_array_append_new(list, entry) != 0 && code == YM_OK)
        code = no_memory(st);
    ym_cohort_release(&all);
    return code;
}

enum ym_code ym_meter_keep(struct ym_meter *p, const struct ym_meter_charge *c, json_t **out, struct ym_status *st)
{
    json_t *list = json_array();
    enum ym_code code = list ? YM_OK : no_memory(st);

    for (int year = c->first_year; year <= c->last_year && code == YM_OK; year++)
        code = keep_year(p, c, year, list, st);
    if (code == YM_OK)
        *out = list;
    else
        json_decref(list);
    return code;
}

static bool named(const struct ym_meter *p, const uint8_t file[YM_HASH_BYTES])
{
    for (size_t i = 0; i < p->count; i++) {
        uint8_t hash[YM_HASH_BYTES];

        set_hash(p, &p->slot[i].newest, file, hash);
        if (p->slot[i].has && memcmp(hash, p->slot[i].newest.set, sizeof hash) == 0)
            return true;
    }
    return false;
}

void ym_meter_sweep(struct ym_meter *p)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH], **name = NULL;
    uint8_t file[YM_HASH_BYTES];
    size_t count = 0;

    if (ym_site_path(p->site, "people", NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (name_hash(name[i], file) && !named(p, file) && set_path(p, file, path) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, count);
}

int ym_meter_last_year(struct ym_bytes charge_line)
{
    json_t *leaf = NULL, *entry;
    int last = 0;
    size_t i;

    if (ym_leaf_parse(charge_line, &leaf, NULL) == YM_OK)
        json_array_foreach(json_object_get(leaf, "people"), i, entry)
        {
            int year = (int)json_integer_value(json_object_get(entry, "year"));

            last = year > last ? year : last;
        }
    json_decref(leaf);
    return last;
}

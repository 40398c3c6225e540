#include "worker/trainer/withdraw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "worker/trainer/meter.h"

enum { MOST_SETS = 1024 };

struct list {
    char dataset[64];
    bool named; /* by a leaf */
    uint8_t set[YM_HASH_BYTES];
    struct ym_cohort who;
    struct ym_cohort out; /* with those of all data sets; since the last load */
};

struct ym_withdrawn {
    const struct ym_site *site;
    struct list *list;
    size_t count;
};

struct ym_withdrawn *ym_withdrawn_new(const struct ym_site *site)
{
    struct ym_withdrawn *w = calloc(1, sizeof *w);
    if (w)
        w->site = site;
    return w;
}

void ym_withdrawn_free(struct ym_withdrawn *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++) {
        ym_cohort_release(&w->list[i].who);
        ym_cohort_release(&w->list[i].out);
    }
    free(w->list);
    free(w);
}

static bool names_list(const char *dataset)
{
    return ym_name_valid(dataset) || strcmp(dataset, YM_WITHDRAWN_ALL) == 0;
}

static struct list *find(const struct ym_withdrawn *w, const char *dataset)
{
    for (size_t i = 0; i < w->count; i++)
        if (!strcmp(w->list[i].dataset, dataset))
            return &w->list[i];
    return NULL;
}

static enum ym_code find_or_add(struct ym_withdrawn *w, const char *dataset, struct list **out, struct ym_status *st)
{
    struct list *grown;
    *out = find(w, dataset);
    if (*out)
        return YM_OK;
    grown = w->count == MOST_SETS ? NULL : reallocarray(w->list, w->count + 1, sizeof *grown);
    if (!grown)
        return ym_status_set(st, YM_EXHAUSTED, "no room for the withdrawals of another data set");
    w->list = grown;
    *out = &w->list[w->count++];
    **out = (struct list){0};
    snprintf((*out)->dataset, sizeof(*out)->dataset, "%s", dataset);
    return YM_OK;
}

enum ym_code ym_withdrawn_take(struct ym_withdrawn *w, const json_t *leaf, struct ym_status *st)
{
    const char *type, *dataset;
    uint8_t set[YM_HASH_BYTES];
    struct list *l;
    enum ym_code code = ym_json_get_str(leaf, "type", &type, st);
    if (code != YM_OK || strcmp(type, "withdrawal") != 0)
        return code;
    code = ym_json_get_str(leaf, "dataset", &dataset, st);
    if (code == YM_OK)
        code = ym_json_get_hash(leaf, "set", set, st);
    if (code == YM_OK && !names_list(dataset))
        code = ym_status_set(st, YM_CORRUPT, "a withdrawal names no data set");
    if (code == YM_OK)
        code = find_or_add(w, dataset, &l, st);
    if (code != YM_OK)
        return code;
    l->named = true;
    memcpy(l->set, set, sizeof set);
    return YM_OK;
}

/* ---- files ---- */

static void tag_of(const char *dataset, uint8_t out[YM_HASH_BYTES])
{
    static const char context[] = "yumen/withdrawn/v1";
    struct ym_sha256 *h = ym_sha256_new();
    ym_sha256_update(h, context, sizeof context);
    ym_sha256_update(h, dataset, strlen(dataset));
    ym_sha256_final(&h, out);
}

static enum ym_code encode(const char *dataset, const struct ym_cohort *who, struct ym_buf *out,
                           uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    uint8_t tag[YM_HASH_BYTES];
    tag_of(dataset, tag);
    enum ym_code code = ym_people_encode(tag, (const uint8_t(*)[YM_HASH_BYTES])who->id, who->count, out, st);
    if (code == YM_OK)
        ym_sha256(out->data, out->len, hash);
    return code;
}

static enum ym_code path_of(const struct ym_withdrawn *w, const char *name, char out[YM_SITE_PATH])
{
    return ym_site_path(w->site, "withdrawn", name, out);
}

static enum ym_code name_of(const char *dataset, const uint8_t hash[YM_HASH_BYTES], char out[160], struct ym_status *st)
{
    struct ym_buf hex = {0};
    if (ym_hex_encode(hash, YM_HASH_BYTES, &hex) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    snprintf(out, 160, "%s-%s.set", dataset, ym_buf_str(&hex));
    ym_buf_release(&hex);
    return YM_OK;
}

/* <dataset>-<64 digits>.set */
static bool dataset_of(const char *name, char out[64])
{
    const char *dash = strrchr(name, '-');
    size_t len = dash ? (size_t)(dash - name) : 0;
    if (!len || len >= 64 || strlen(dash) != 1 + 2 * YM_HASH_BYTES + 4 || strcmp(dash + 1 + 2 * YM_HASH_BYTES, ".set"))
        return false;
    memcpy(out, name, len);
    out[len] = 0;
    return names_list(out);
}

static enum ym_code join(struct list *l, const struct ym_cohort *more, struct ym_status *st)
{
    struct ym_cohort all = {0};
    enum ym_code code = ym_cohort_union(&l->who, more, &all, st);
    if (code != YM_OK)
        return code;
    ym_cohort_release(&l->who);
    l->who = all;
    return YM_OK;
}

/* A file that is not what its name says is no list. */
static enum ym_code read_list(struct ym_withdrawn *w, const char *name, const char *dataset, struct ym_status *st)
{
    struct ym_cohort who = {0};
    struct ym_buf again = {0};
    struct list *l;
    uint8_t tag[YM_HASH_BYTES], hash[YM_HASH_BYTES];
    char path[YM_SITE_PATH], right[160];
    tag_of(dataset, tag);
    enum ym_code code = path_of(w, name, path);
    if (code == YM_OK)
        code = ym_people_load(path, tag, NULL, 0, &who, st);
    if (code == YM_OK)
        code = encode(dataset, &who, &again, hash, st);
    if (code == YM_OK)
        code = name_of(dataset, hash, right, st);
    if (code == YM_OK && strcmp(right, name) != 0)
        code = ym_status_set(st, YM_CORRUPT, "a list of withdrawals was changed");
    if (code == YM_OK)
        code = find_or_add(w, dataset, &l, st);
    if (code == YM_OK)
        code = join(l, &who, st);
    ym_buf_release(&again);
    ym_cohort_release(&who);
    return code == YM_OK || code == YM_EXHAUSTED
               ? code
               : ym_status_set(st, YM_CORRUPT,
                               "the list of those who withdrew from \"%s\" is damaged: bring a copy of %s back",
                               dataset, path);
}

static enum ym_code read_all(struct ym_withdrawn *w, struct ym_status *st)
{
    char dir[YM_SITE_PATH], dataset[64], **name = NULL;
    size_t count = 0;
    enum ym_code code = path_of(w, NULL, dir);
    if (code != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return code; /* there is no such folder yet */
    for (size_t i = 0; i < count && code == YM_OK; i++)
        if (dataset_of(name[i], dataset))
            code = read_list(w, name[i], dataset, st);
    ym_fs_names_free(name, count);
    return code;
}

static enum ym_code join_all(struct ym_withdrawn *w, struct ym_status *st)
{
    static const struct ym_cohort nobody;
    const struct list *all = find(w, YM_WITHDRAWN_ALL);
    enum ym_code code = YM_OK;
    for (size_t i = 0; i < w->count && code == YM_OK; i++) {
        ym_cohort_release(&w->list[i].out);
        code = ym_cohort_union(&w->list[i].who, all ? &all->who : &nobody, &w->list[i].out, st);
    }
    return code;
}

enum ym_code ym_withdrawn_load(struct ym_withdrawn *w, struct ym_status *st)
{
    char name[160], path[YM_SITE_PATH];
    enum ym_code code = read_all(w, st);
    if (code == YM_OK)
        code = join_all(w, st);
    for (size_t i = 0; i < w->count && code == YM_OK; i++) {
        if (!w->list[i].named)
            continue;
        code = name_of(w->list[i].dataset, w->list[i].set, name, st);
        if (code == YM_OK)
            code = path_of(w, name, path);
        if (code == YM_OK && !ym_fs_exists(path))
            code = ym_status_set(st, YM_CORRUPT, "the list of those who withdrew from \"%s\" is gone: bring %s back",
                                 w->list[i].dataset, name);
    }
    return code;
}

const struct ym_cohort *ym_withdrawn_of(const struct ym_withdrawn *w, const char *dataset)
{
    static const struct ym_cohort nobody;
    const struct list *l = find(w, dataset);
    if (!l)
        l = find(w, YM_WITHDRAWN_ALL);
    return l ? &l->out : &nobody;
}

size_t ym_withdrawn_own(const struct ym_withdrawn *w, const char *dataset)
{
    const struct list *l = find(w, dataset);
    return l ? l->who.count : 0;
}

bool ym_withdrawn_any(const struct ym_withdrawn *w, const uint8_t id[YM_HASH_BYTES])
{
    for (size_t i = 0; i < w->count; i++)
        if (ym_cohort_has(&w->list[i].who, id))
            return true;
    return false;
}

size_t ym_withdrawn_count(const struct ym_withdrawn *w)
{
    return w->count;
}

const char *ym_withdrawn_at(const struct ym_withdrawn *w, size_t i)
{
    return w->list[i].dataset;
}

enum ym_code ym_withdrawn_keep(struct ym_withdrawn *w, const char *dataset, const struct ym_cohort *more,
                               json_t **members, struct ym_status *st)
{
    struct ym_cohort all = {0};
    struct ym_buf bytes = {0};
    uint8_t hash[YM_HASH_BYTES];
    char name[160], path[YM_SITE_PATH], dir[YM_SITE_PATH];
    const struct list *own = find(w, dataset);
    enum ym_code code = ym_cohort_union(own ? &own->who : &(struct ym_cohort){0}, more, &all, st);
    if (code == YM_OK)
        code = encode(dataset, &all, &bytes, hash, st);
    if (code == YM_OK)
        code = name_of(dataset, hash, name, st);
    if (code == YM_OK)
        code = path_of(w, NULL, dir);
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = path_of(w, name, path);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&bytes), 0600, st);
    if (code == YM_OK) {
        *members =
            json_pack("{s:s, s:I}", "dataset", dataset, "people", (json_int_t)ym_meter_class((int64_t)all.count));
        if (*members)
            ym_json_set_hash(*members, "set", hash);
    }
    ym_buf_wipe(&bytes);
    ym_cohort_release(&all);
    return code;
}

void ym_withdrawn_sweep(struct ym_withdrawn *w)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH], dataset[64], right[160], **name = NULL;
    size_t count = 0;
    if (path_of(w, NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct list *l = dataset_of(name[i], dataset) ? find(w, dataset) : NULL;
        if (l && l->named && name_of(dataset, l->set, right, NULL) == YM_OK && strcmp(right, name[i]) != 0 &&
            path_of(w, name[i], path) == YM_OK)
            unlink(path);
    }
    ym_fs_names_free(name, count);
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* Withdrawals at the desk. No role, no reason and no rule stands before one. */

enum { MOST_AT_ONCE = 500, MOST_RELEASES = 300 };

static bool every_set(const char *dataset)
{
    return strcmp(dataset, YM_WITHDRAWN_ALL) == 0;
}

static void add_people(const struct ym_trainer *t, const char *dataset, struct ym_cohort *all)
{
    struct ym_cohort some = {0}, both = {0};
    char path[YM_SITE_PATH];

    if (ym_trainer_people_path(t, dataset, path) == YM_OK &&
        ym_people_load(path, NULL, NULL, 0, &some, NULL) == YM_OK &&
        ym_cohort_union(all, &some, &both, NULL) == YM_OK) {
        ym_cohort_release(all);
        *all = both;
    }
    ym_cohort_release(&some);
}

/* Those of the data set as it is now, or of all of them; what cannot be read holds nobody. */
static size_t count_here(const struct ym_trainer *t, const char *dataset, const struct ym_cohort *who)
{
    struct ym_cohort all = {0};
    size_t here;

    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++)
        if (every_set(dataset) || strcmp(dataset, ym_core_dataset_at(t->core, i)->name) == 0)
            add_people(t, ym_core_dataset_at(t->core, i)->name, &all);
    here = all.count + who->count - ym_cohort_union_size(&all, who);
    ym_cohort_release(&all);
    return here;
}

/* What was released before a data set's newest withdrawal, out of charges on it. */
struct lineage {
    const char *dataset;
    json_t *charges, *since, *list; /* hash of a charge's line; releases since the last withdrawal; those before it */
};

static void key_of(const uint8_t hash[YM_HASH_BYTES], char out[2 * YM_HASH_BYTES + 1])
{
    for (size_t i = 0; i < YM_HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static bool lineage_leaf(void *ctx, uint64_t index, struct ym_bytes line)
{
    struct lineage *l = ctx;
    json_t *o = NULL;
    uint8_t hash[YM_HASH_BYTES];
    char key[2 * YM_HASH_BYTES + 1];

    (void)index;
    if (ym_leaf_parse(line, &o, NULL) != YM_OK)
        return true;
    if (strcmp(ym_trainer_text(o, "type"), "charge") == 0 &&
        (every_set(l->dataset) || strcmp(ym_trainer_text(o, "dataset"), l->dataset) == 0)) {
        ym_sha256(line.data, line.len, hash);
        key_of(hash, key);
        json_object_set_new(l->charges, key, json_true());
    } else if (strcmp(ym_trainer_text(o, "type"), "release") == 0 &&
               json_object_get(l->charges, ym_trainer_text(o, "charge"))) {
        json_array_append_new(l->since, json_pack("{s:s, s:O, s:s, s:s}", "study", ym_trainer_text(o, "study"), "round",
                                                  json_object_get(o, "round"), "update", ym_trainer_text(o, "update"),
                                                  "state", ym_trainer_text(o, "state")));
    } else if (strcmp(ym_trainer_text(o, "type"), "withdrawal") == 0 &&
               strcmp(ym_trainer_text(o, "dataset"), l->dataset) == 0) {
        json_array_extend(l->list, l->since);
        json_array_clear(l->since);
    }
    json_decref(o);
    return true;
}

/* From which model each study could be trained again as if they had never been in it: the one from which the first
 * round that may hold them began. */
static json_t *retrain(const json_t *releases)
{
    json_t *list = json_array(), *seen = json_object(), *r;
    size_t i;

    json_array_foreach((json_t *)releases, i, r)
    {
        const char *study = ym_trainer_text(r, "study");

        if (json_object_get(seen, study))
            continue;
        json_object_set_new(seen, study, json_true());
        json_array_append_new(list, json_pack("{s:s, s:O, s:s}", "study", study, "round", json_object_get(r, "round"),
                                              "state", ym_trainer_text(r, "state")));
    }
    json_decref(seen);
    return list;
}

/* All of them, in the order of the ledger. */
static json_t *releases(struct ym_trainer *t, const char *dataset)
{
    struct lineage l = {dataset, json_object(), json_array(), json_array()};

    if (l.charges && l.since && l.list)
        ym_ledger_each(t->ledger, 0, lineage_leaf, &l, NULL);
    json_decref(l.charges);
    json_decref(l.since);
    return l.list;
}

static json_t *row_of(struct ym_trainer *t, const char *dataset)
{
    const struct ym_cohort *who = ym_withdrawn_of(t->withdrawn, dataset);
    json_t *all = releases(t, dataset), *again = retrain(all);

    while (json_array_size(all) > MOST_RELEASES) /* the newest are shown */
        json_array_remove(all, 0);
    return json_pack("{s:s, s:I, s:I, s:o, s:o}", "dataset", dataset, "people", (json_int_t)who->count, "here",
                     (json_int_t)count_here(t, dataset, who), "releases", all, "retrain", again);
}

json_t *ym_trainer_withdraw_list(struct ym_trainer *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ym_withdrawn_count(t->withdrawn); i++)
        json_array_append_new(list, row_of(t, ym_withdrawn_at(t->withdrawn, i)));
    return json_pack("{s:b, s:o}", "ok", 1, "withdrawn", list);
}

enum ym_code ym_trainer_pseudonyms(const json_t *request, uint8_t (**id)[YM_HASH_BYTES], size_t *count,
                                   struct ym_status *st)
{
    const json_t *list = json_object_get(request, "people");
    size_t n = json_array_size(list);
    uint8_t(*all)[YM_HASH_BYTES];
    enum ym_code code = YM_OK;

    if (n < 1 || n > MOST_AT_ONCE)
        return ym_status_set(st, YM_INVALID, "1 to %d pseudonyms at once", MOST_AT_ONCE);
    all = calloc(n, sizeof *all);
    if (!all)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for pseudonyms");
    for (size_t i = 0; i < n && code == YM_OK; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text || ym_hex_decode(text, strlen(text), all[i], YM_HASH_BYTES) != YM_OK)
            code = ym_status_set(st, YM_INVALID, "pseudonym %zu is none", i);
    }
    if (code != YM_OK) {
        free(all);
        return code;
    }
    *id = all;
    *count = n;
    return YM_OK;
}

static enum ym_code read_people(const json_t *request, struct ym_cohort *out, struct ym_status *st)
{
    uint8_t(*id)[YM_HASH_BYTES] = NULL;
    size_t count;
    enum ym_code code = ym_trainer_pseudonyms(request, &id, &count, st);

    if (code == YM_OK)
        code = ym_cohort_of((const uint8_t(*)[YM_HASH_BYTES])id, count, out, st);
    free(id);
    return code;
}

enum ym_code ym_trainer_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    const char *dataset = ym_trainer_text(request, "dataset");
    struct ym_cohort more = {0};
    json_t *members = NULL;
    enum ym_code code = read_people(request, &more, st);

    if (code == YM_OK && !every_set(dataset) && !ym_core_dataset_find(t->core, dataset))
        code = ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NEED_DATASET));
    if (code == YM_OK && ym_cohort_within(&more, ym_withdrawn_of(t->withdrawn, dataset)))
        goto out; /* all of them did before */
    if (code == YM_OK)
        code = ym_withdrawn_keep(t->withdrawn, dataset, &more, &members, st);
    if (code == YM_OK)
        code = ym_trainer_record_new(t, "withdrawal", members, st);
    if (code == YM_OK)
        code = ym_withdrawn_load(t->withdrawn, st);
    if (code == YM_OK)
        ym_withdrawn_sweep(t->withdrawn);
out:
    if (code == YM_OK) {
        *reply = row_of(t, dataset);
        json_object_set_new(*reply, "ok", json_true());
        json_object_set_new(*reply, "asked", json_integer((json_int_t)more.count));
        json_object_set_new(*reply, "found", json_integer((json_int_t)count_here(t, dataset, &more)));
    }
    ym_cohort_release(&more);
    return code;
}

#include "worker/trainer/core_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"
#include "base/text.h"

bool ym_decline_reason_known(const char *reason)
{
    static const char *const known[] = {"not_approved", "vetoed",         "paused", "budget",        "no_data", "busy",
                                        "crashed",      "state_mismatch", "stale",  "bad_signature", "sandbox", "disk",
                                        "recover",      "border",         "policy", "hours",         "memory"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], reason) == 0)
            return true;
    return false;
}

/* ---- memory ---- */

void *ym_core_grow(void *array, size_t count, size_t *cap, size_t size)
{
    size_t next = *cap ? *cap * 2 : 8;
    void *p;

    if (count < *cap)
        return array;
    p = reallocarray(array, next, size);
    if (p)
        *cap = next;
    return p;
}

struct ym_action *ym_action_push(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s)
{
    struct ym_action *item = ym_core_grow(a->item, a->count, &a->cap, sizeof *item);

    if (!item) {
        a->failed = true;
        return NULL;
    }
    a->item = item;
    a->item[a->count] = (struct ym_action){.kind = kind, .study = s};
    if (s) {
        a->item[a->count].round = s->round;
        a->item[a->count].attempt = s->attempt;
    }
    return &a->item[a->count++];
}

void ym_actions_release(struct ym_actions *a)
{
    for (size_t i = 0; i < a->count; i++) {
        json_decref(a->item[i].members);
        ym_buf_release(&a->item[i].line);
    }
    free(a->item);
    memset(a, 0, sizeof *a);
}

struct ym_core *ym_core_new(const char *name, const struct ym_core_world *world)
{
    struct ym_core *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->world = *world;
    c->min_patients = -1;
    return c;
}

static void study_free(struct ym_core_study *s)
{
    ym_plan_free(s->plan);
    ym_buf_release(&s->plan_leaf);
    ym_buf_release(&s->charge_line);
    ym_buf_release(&s->release_line);
    ym_buf_release(&s->last_charge);
    free(s);
}

void ym_core_free(struct ym_core *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->study_count; i++)
        study_free(c->study[i]);
    free(c->study);
    free(c->dataset);
    free(c);
}

void ym_core_trust(struct ym_core *c, const struct ym_trust *trust)
{
    c->trusted = trust != NULL;
    if (!trust)
        return;
    memcpy(c->federation, trust->federation, sizeof c->federation);
    memcpy(c->hub_key, trust->hub_key, sizeof c->hub_key);
}

/* ---- looking up ---- */

struct ym_core_study *ym_core_by_hash(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES])
{
    for (size_t i = 0; i < c->study_count; i++)
        if (memcmp(c->study[i]->hash, hash, YM_HASH_BYTES) == 0)
            return c->study[i];
    return NULL;
}

struct ym_core_study *ym_core_open_named(struct ym_core *c, const char *name)
{
    for (size_t i = 0; i < c->study_count; i++)
        if (!c->study[i]->closed && strcmp(c->study[i]->study, name) == 0)
            return c->study[i];
    return NULL;
}

struct ym_core_study *ym_core_study_add(struct ym_core *c, const char *name, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_core_study *s = ym_core_by_hash(c, hash), **list;

    if (s)
        return s;
    list = ym_core_grow(c->study, c->study_count, &c->study_cap, sizeof *list);
    if (!list)
        return NULL;
    c->study = list;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    snprintf(s->study, sizeof s->study, "%s", name);
    memcpy(s->hash, hash, YM_HASH_BYTES);
    c->study[c->study_count++] = s;
    return s;
}

size_t ym_core_study_count(const struct ym_core *c)
{
    return c->study_count;
}

struct ym_core_study *ym_core_study_at(struct ym_core *c, size_t i)
{
    return c->study[i];
}

size_t ym_core_dataset_count(const struct ym_core *c)
{
    return c->dataset_count;
}

const struct ym_core_dataset *ym_core_dataset_at(const struct ym_core *c, size_t i)
{
    return &c->dataset[i];
}

const struct ym_core_dataset *ym_core_dataset_find(const struct ym_core *c, const char *name)
{
    for (size_t i = 0; i < c->dataset_count; i++)
        if (strcmp(c->dataset[i].name, name) == 0)
            return &c->dataset[i];
    return NULL;
}

int64_t ym_core_min_patients(const struct ym_core *c)
{
    return c->min_patients;
}

static bool hash_begins(const uint8_t hash[YM_HASH_BYTES], const char *digits)
{
    size_t len = strlen(digits);
    char hex[2 * YM_HASH_BYTES + 1];

    for (size_t i = 0; i < YM_HASH_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    return len >= 8 && len <= 2 * YM_HASH_BYTES && memcmp(hex, digits, len) == 0;
}

enum ym_code ym_core_find(struct ym_core *c, const char *text, struct ym_core_study **out, struct ym_status *st)
{
    struct ym_core_study *found = NULL;

    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (!s->plan || (strcmp(s->study, text) != 0 && !hash_begins(s->hash, text)))
            continue;
        if (found && found->closed == s->closed)
            return ym_status_set(st, YM_INVALID, "\"%s\" fits several plans: give more digits of the hash", text);
        if (!found || found->closed)
            found = s;
    }
    if (!found)
        return ym_status_set(st, YM_NOT_FOUND, T(SITE_NO_PLAN), text);
    *out = found;
    return YM_OK;
}

/* ---- members of leaves ---- */

enum ym_code ym_core_get_u32(const json_t *o, const char *key, uint32_t *out, struct ym_status *st)
{
    int64_t v;
    enum ym_code code = ym_json_get_int(o, key, 0, UINT32_MAX, &v, st);

    if (code == YM_OK)
        *out = (uint32_t)v;
    return code;
}

enum ym_code ym_core_get_name(const json_t *o, const char *key, char out[64], struct ym_status *st)
{
    const char *text;
    enum ym_code code = ym_json_get_str(o, key, &text, st);

    if (code == YM_OK && !ym_name_valid(text))
        code = ym_status_set(st, YM_INVALID, "\"%s\" is not a name", key);
    if (code == YM_OK)
        snprintf(out, 64, "%s", text);
    return code;
}

enum ym_code ym_core_keep_line(struct ym_buf *to, struct ym_bytes line, struct ym_status *st)
{
    ym_buf_clear(to);
    if (ym_buf_append(to, line.data, line.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a leaf");
    return YM_OK;
}

/* ---- saying ---- */

void ym_core_say(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s, const char *type,
                 json_t *members)
{
    struct ym_action *item = members ? ym_action_push(a, kind, s) : NULL;

    if (!item) {
        a->failed = true;
        json_decref(members);
        return;
    }
    item->type = type;
    item->members = members;
}

json_t *ym_core_with_hash(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    if (o)
        ym_json_set_hash(o, key, hash);
    return o;
}

void ym_core_decline(struct ym_actions *a, struct ym_core_study *s, const struct ym_attempt *at, const char *reason)
{
    if (s)
        snprintf(s->last_reason, sizeof s->last_reason, "%s", reason);
    ym_core_say(a, YM_ACTION_SAY, s, "say_declined",
                json_pack("{s:s, s:I, s:I, s:s}", "study", at->study, "round", (json_int_t)at->round, "attempt",
                          (json_int_t)at->attempt, "reason", reason));
}

void ym_core_decline_current(struct ym_actions *a, struct ym_core_study *s, uint32_t round, uint32_t attempt,
                             const char *reason)
{
    struct ym_attempt at = {.round = round, .attempt = attempt};

    snprintf(at.study, sizeof at.study, "%s", s->study);
    ym_core_decline(a, s, &at, reason);
}

void ym_core_say_ready(struct ym_actions *a, struct ym_core_study *s)
{
    json_t *o = json_pack("{s:s, s:I, s:I}", "study", s->study, "round", (json_int_t)s->round, "attempt",
                          (json_int_t)s->attempt);

    ym_core_with_hash(o, "plan", s->hash);
    ym_core_say(a, YM_ACTION_SAY, s, "say_ready", ym_core_with_hash(o, "state", s->state));
}

void ym_core_say_checked(struct ym_actions *a, struct ym_core_study *s)
{
    json_t *o = json_pack("{s:s, s:b, s:s}", "study", s->study, "ok", 1, "reason", "");

    ym_core_say(a, YM_ACTION_SAY, s, "say_checked", ym_core_with_hash(o, "plan", s->hash));
}

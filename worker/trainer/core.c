#include "worker/trainer/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"

struct ym_core {
    char name[64];
    struct ym_core_world world;
    bool trusted;
    char federation[64];
    uint8_t hub_key[YM_PUBKEY_BYTES];
    int64_t min_patients;
    struct ym_core_study **study;
    size_t study_count, study_cap;
    struct ym_core_dataset *dataset;
    size_t dataset_count, dataset_cap;
};

bool ym_decline_reason_known(const char *reason)
{
    static const char *const known[] = {"not_approved",   "vetoed", "paused",        "budget",  "no_data", "busy", "crashed",
                                        "state_mismatch", "stale",  "bad_signature", "sandbox", "disk"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], reason) == 0)
            return true;
    return false;
}

/* ---- memory ---- */

static void *grow(void *array, size_t count, size_t *cap, size_t size)
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

static struct ym_action *push(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s)
{
    struct ym_action *item = grow(a->item, a->count, &a->cap, sizeof *item);

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

static struct ym_core_study *by_hash(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES])
{
    for (size_t i = 0; i < c->study_count; i++)
        if (memcmp(c->study[i]->hash, hash, YM_HASH_BYTES) == 0)
            return c->study[i];
    return NULL;
}

static struct ym_core_study *open_by_name(struct ym_core *c, const char *name)
{
    for (size_t i = 0; i < c->study_count; i++)
        if (!c->study[i]->closed && strcmp(c->study[i]->study, name) == 0)
            return c->study[i];
    return NULL;
}

static struct ym_core_study *study_add(struct ym_core *c, const char *name, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_core_study *s = by_hash(c, hash), **list;

    if (s)
        return s;
    list = grow(c->study, c->study_count, &c->study_cap, sizeof *list);
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
        return ym_status_set(st, YM_NOT_FOUND, "no plan \"%s\": give a study's name or 8 digits of a plan's hash", text);
    *out = found;
    return YM_OK;
}

/* ---- folding the own ledger ---- */

static enum ym_code get_u32(const json_t *o, const char *key, uint32_t *out, struct ym_status *st)
{
    int64_t v;
    enum ym_code code = ym_json_get_int(o, key, 0, UINT32_MAX, &v, st);

    if (code == YM_OK)
        *out = (uint32_t)v;
    return code;
}

static enum ym_code get_name(const json_t *o, const char *key, char out[64], struct ym_status *st)
{
    const char *text;
    enum ym_code code = ym_json_get_str(o, key, &text, st);

    if (code == YM_OK && !ym_name_valid(text))
        code = ym_status_set(st, YM_INVALID, "\"%s\" is not a name", key);
    if (code == YM_OK)
        snprintf(out, 64, "%s", text);
    return code;
}

static void hash_line(struct ym_bytes line, uint8_t out[YM_HASH_BYTES])
{
    ym_sha256(line.data, line.len, out);
}

static enum ym_code take_dataset(struct ym_core *c, uint64_t index, struct ym_bytes line, const json_t *o,
                                 struct ym_status *st)
{
    struct ym_core_dataset d = {.index = index}, *list;
    enum ym_code code = get_name(o, "dataset", d.name, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "data", d.data, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "card", d.card, st);
    if (code != YM_OK)
        return code;
    hash_line(line, d.leaf_hash);
    for (size_t i = 0; i < c->dataset_count; i++)
        if (strcmp(c->dataset[i].name, d.name) == 0) {
            c->dataset[i] = d;
            return YM_OK;
        }
    list = grow(c->dataset, c->dataset_count, &c->dataset_cap, sizeof *list);
    if (!list)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the data sets");
    c->dataset = list;
    c->dataset[c->dataset_count++] = d;
    return YM_OK;
}

static enum ym_code study_of(struct ym_core *c, const json_t *o, struct ym_core_study **out, struct ym_status *st)
{
    char name[64];
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = get_name(o, "study", name, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "plan", hash, st);
    if (code != YM_OK)
        return code;
    *out = study_add(c, name, hash);
    return *out ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for study \"%s\"", name);
}

static enum ym_code take_decision(struct ym_core *c, uint64_t index, struct ym_bytes line, const json_t *o,
                                  enum ym_decision decision, struct ym_status *st)
{
    struct ym_core_study *s;
    enum ym_code code = study_of(c, o, &s, st);

    if (code == YM_OK && decision == YM_APPROVED)
        code = get_name(o, "dataset", s->dataset, st);
    if (code == YM_OK && decision == YM_APPROVED)
        code = ym_json_get_hash(o, "data", s->data, st);
    if (code != YM_OK)
        return code;
    s->decision = decision;
    s->decision_index = index;
    s->decision_delivered = false;
    hash_line(line, s->decision_hash);
    return YM_OK;
}

static enum ym_code take_pause(struct ym_core *c, uint64_t index, struct ym_bytes line, const json_t *o,
                               struct ym_status *st)
{
    char name[64];
    const json_t *paused = json_object_get(o, "paused");
    enum ym_code code = get_name(o, "study", name, st);

    if (code != YM_OK || !json_is_boolean(paused))
        return ym_status_set(st, YM_INVALID, "pause leaf without study or paused");
    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (strcmp(s->study, name) != 0)
            continue;
        s->paused = json_is_true(paused);
        s->pause_logged = true;
        s->pause_delivered = false;
        s->pause_index = index;
        hash_line(line, s->pause_hash);
    }
    return YM_OK;
}

static enum ym_code keep_line(struct ym_buf *to, struct ym_bytes line, struct ym_status *st)
{
    ym_buf_clear(to);
    if (ym_buf_append(to, line.data, line.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a leaf");
    return YM_OK;
}

static enum ym_code take_charge(struct ym_core *c, struct ym_bytes line, const json_t *o, struct ym_status *st)
{
    struct ym_core_study *s;
    uint32_t round, attempt;
    enum ym_code code = study_of(c, o, &s, st);

    if (code == YM_OK)
        code = get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", s->charged_state, st);
    if (code == YM_OK)
        code = keep_line(&s->charge_line, line, st);
    if (code != YM_OK)
        return code;
    s->charged_round = round;
    s->charged_attempt = attempt;
    ym_buf_clear(&s->release_line);
    s->release_over = false;
    return YM_OK;
}

static enum ym_code take_release(struct ym_core *c, struct ym_bytes line, const json_t *o, struct ym_status *st)
{
    struct ym_core_study *s;
    uint32_t round, attempt;
    enum ym_code code = study_of(c, o, &s, st);

    if (code == YM_OK)
        code = get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK && (round != s->charged_round || attempt != s->charged_attempt))
        code = ym_status_set(st, YM_CORRUPT, "release of study \"%s\" round %u without its charge", s->study, round);
    if (code == YM_OK)
        code = keep_line(&s->release_line, line, st);
    if (code == YM_OK)
        hash_line(line, s->release_hash);
    return code;
}

enum ym_code ym_core_take(struct ym_core *c, uint64_t index, struct ym_bytes line, struct ym_status *st)
{
    json_t *o = NULL;
    const char *type = "";
    enum ym_code code = ym_leaf_parse(line, &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "type", &type, st);
    if (code == YM_OK && strcmp(type, "policy") == 0)
        code = ym_json_get_int(o, "min_patients", 0, INT32_MAX, &c->min_patients, st);
    else if (code == YM_OK && strcmp(type, "dataset_card") == 0)
        code = take_dataset(c, index, line, o, st);
    else if (code == YM_OK && strcmp(type, "approval") == 0)
        code = take_decision(c, index, line, o, YM_APPROVED, st);
    else if (code == YM_OK && strcmp(type, "veto") == 0)
        code = take_decision(c, index, line, o, YM_VETOED, st);
    else if (code == YM_OK && strcmp(type, "pause") == 0)
        code = take_pause(c, index, line, o, st);
    else if (code == YM_OK && strcmp(type, "charge") == 0)
        code = take_charge(c, line, o, st);
    else if (code == YM_OK && strcmp(type, "release") == 0)
        code = take_release(c, line, o, st);
    json_decref(o);
    return code == YM_OK ? code : ym_status_wrap(st, YM_CORRUPT, "ledger leaf %" PRIu64, index);
}

/* ---- plans ---- */

static enum ym_code enrolled_key(const struct ym_core *c, struct ym_bytes enrol, const char *sponsor,
                                 uint8_t key[YM_PUBKEY_BYTES], struct ym_status *st)
{
    json_t *o = NULL;
    const char *role = "", *name = "", *text = "", *federation = "";
    struct ym_buf raw = {0};
    enum ym_code code = ym_leaf_open(enrol, c->hub_key, "enrol", &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "role", &role, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "name", &name, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "federation", &federation, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "identity_key", &text, st);
    if (code == YM_OK && (strcmp(role, "sponsor") != 0 || strcmp(name, sponsor) != 0 ||
                          strcmp(federation, c->federation) != 0))
        code = ym_status_set(st, YM_DENIED, "the hub's enrol leaf is not that of sponsor \"%s\"", sponsor);
    if (code == YM_OK)
        code = ym_base64_decode(text, strlen(text), &raw);
    if (code == YM_OK && raw.len != YM_PUBKEY_BYTES)
        code = ym_status_set(st, YM_INVALID, "sponsor's key has %zu bytes", raw.len);
    if (code == YM_OK)
        memcpy(key, raw.data, YM_PUBKEY_BYTES);
    ym_buf_release(&raw);
    json_decref(o);
    return code;
}

static bool names_us(const struct ym_core *c, const struct ym_plan *plan)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, c->name) == 0)
            return true;
    return false;
}

static enum ym_code check_plan_leaf(struct ym_bytes leaf, const uint8_t key[YM_PUBKEY_BYTES],
                                    const struct ym_plan *plan, struct ym_status *st)
{
    json_t *o = NULL;
    const char *study = "", *sponsor = "";
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_leaf_open(leaf, key, "plan", &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "study", &study, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "sponsor", &sponsor, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "plan", hash, st);
    if (code == YM_OK && (strcmp(study, plan->study) != 0 || strcmp(sponsor, plan->sponsor) != 0 ||
                          memcmp(hash, plan->hash, sizeof hash) != 0))
        code = ym_status_set(st, YM_DENIED, "the sponsor's leaf is for another plan");
    json_decref(o);
    return code;
}

static enum ym_code check_place(struct ym_core *c, const struct ym_plan *plan, struct ym_status *st)
{
    const struct ym_core_study *same = open_by_name(c, plan->study);
    size_t open = 0;

    if (!names_us(c, plan))
        return ym_status_set(st, YM_DENIED, "the plan does not name this hospital");
    if (same && same->plan && memcmp(same->hash, plan->hash, YM_HASH_BYTES) != 0)
        return ym_status_set(st, YM_CONFLICT, "another plan of study \"%s\" is open", plan->study);
    for (size_t i = 0; i < c->study_count; i++)
        open += c->study[i]->plan && !c->study[i]->closed;
    if (open >= YM_CORE_OPEN_PLANS)
        return ym_status_set(st, YM_EXHAUSTED, "%zu plans are open; veto some", open);
    return YM_OK;
}

static enum ym_code adopt_plan(struct ym_core *c, struct ym_plan **plan, struct ym_bytes leaf,
                               const uint8_t key[YM_PUBKEY_BYTES], struct ym_core_study **out, struct ym_status *st)
{
    struct ym_core_study *s = study_add(c, (*plan)->study, (*plan)->hash);
    enum ym_code code = s ? keep_line(&s->plan_leaf, leaf, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for a plan");

    if (code != YM_OK)
        return code;
    memcpy(s->sponsor_key, key, YM_PUBKEY_BYTES);
    s->plan = *plan;
    *plan = NULL;
    *out = s;
    return YM_OK;
}

enum ym_code ym_core_plan(struct ym_core *c, struct ym_bytes parts, bool stored, struct ym_actions *a,
                          struct ym_status *st)
{
    struct ym_bytes part[3];
    struct ym_plan *plan = NULL;
    struct ym_core_study *s;
    struct ym_action *keep;
    uint8_t key[YM_PUBKEY_BYTES];
    enum ym_code code;

    if (!c->trusted)
        return ym_status_set(st, YM_DENIED, "this hospital is not enrolled");
    code = ym_parts_split(parts, part, 3, st);
    if (code == YM_OK && part[0].len > YM_PLAN_MAX_BYTES)
        code = ym_status_set(st, YM_INVALID, "plan of %zu bytes", part[0].len);
    if (code == YM_OK)
        code = ym_plan_decode(part[0].data, part[0].len, &plan, st);
    if (code == YM_OK)
        code = enrolled_key(c, part[2], plan->sponsor, key, st);
    if (code == YM_OK)
        code = check_plan_leaf(part[1], key, plan, st);
    if (code == YM_OK && (s = by_hash(c, plan->hash)) && s->plan) {
        ym_plan_free(plan); /* told again */
        return YM_OK;
    }
    if (code == YM_OK)
        code = check_place(c, plan, st);
    if (code == YM_OK)
        code = adopt_plan(c, &plan, part[1], key, &s, st);
    ym_plan_free(plan);
    if (code != YM_OK || stored)
        return code;
    keep = push(a, YM_ACTION_KEEP_PLAN, s);
    if (!keep || ym_buf_append(&keep->line, parts.data, parts.len) != YM_OK)
        a->failed = true;
    return YM_OK;
}

void ym_core_mark_closed(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_core_study *s = by_hash(c, hash);

    if (s)
        s->closed = true;
}

/* ---- saying ---- */

static void say(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s, const char *type,
                json_t *members)
{
    struct ym_action *item = members ? push(a, kind, s) : NULL;

    if (!item) {
        a->failed = true;
        json_decref(members);
        return;
    }
    item->type = type;
    item->members = members;
}

static json_t *with_hash(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    if (o)
        ym_json_set_hash(o, key, hash);
    return o;
}

struct attempt {
    char study[64];
    uint32_t round, attempt;
};

static void decline(struct ym_actions *a, struct ym_core_study *s, const struct attempt *at, const char *reason)
{
    if (s)
        snprintf(s->last_reason, sizeof s->last_reason, "%s", reason);
    say(a, YM_ACTION_SAY, s, "say_declined",
        json_pack("{s:s, s:I, s:I, s:s}", "study", at->study, "round", (json_int_t)at->round, "attempt",
                  (json_int_t)at->attempt, "reason", reason));
}

static void decline_current(struct ym_actions *a, struct ym_core_study *s, uint32_t round, uint32_t attempt,
                            const char *reason)
{
    struct attempt at = {.round = round, .attempt = attempt};

    snprintf(at.study, sizeof at.study, "%s", s->study);
    decline(a, s, &at, reason);
}

static void say_ready(struct ym_actions *a, struct ym_core_study *s)
{
    json_t *o = json_pack("{s:s, s:I, s:I}", "study", s->study, "round", (json_int_t)s->round, "attempt",
                          (json_int_t)s->attempt);

    with_hash(o, "plan", s->hash);
    say(a, YM_ACTION_SAY, s, "say_ready", with_hash(o, "state", s->state));
}

static void say_checked(struct ym_actions *a, struct ym_core_study *s)
{
    json_t *o = json_pack("{s:s, s:b, s:s}", "study", s->study, "ok", 1, "reason", "");

    say(a, YM_ACTION_SAY, s, "say_checked", with_hash(o, "plan", s->hash));
}

/* ---- rounds ---- */

static enum ym_code read_attempt(const json_t *o, struct attempt *at, struct ym_status *st)
{
    int64_t round, attempt;
    enum ym_code code = get_name(o, "study", at->study, st);

    if (code == YM_OK)
        code = ym_json_get_int(o, "round", 1, 1000000, &round, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "attempt", 1, YM_CORE_MAX_ATTEMPT, &attempt, st);
    if (code != YM_OK)
        return code;
    at->round = (uint32_t)round;
    at->attempt = (uint32_t)attempt;
    return YM_OK;
}

/* A task of the hub, or nothing: what carries another signature is declined by
 * its own words as far as they can be read. */
static enum ym_code open_task(struct ym_core *c, struct ym_bytes line, const char *type, json_t **out,
                              struct attempt *at, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    enum ym_code code;

    if (!c->trusted)
        return ym_status_set(st, YM_DENIED, "this hospital is not enrolled");
    code = ym_leaf_open(line, c->hub_key, type, out, st);
    if (code == YM_OK) {
        code = read_attempt(*out, at, st);
        if (code != YM_OK) {
            json_decref(*out);
            *out = NULL;
        }
        return code;
    }
    if (ym_leaf_parse(line, &o, NULL) == YM_OK && read_attempt(o, at, NULL) == YM_OK)
        decline(a, NULL, at, "bad_signature");
    json_decref(o);
    return code;
}

static bool in_roster(const struct ym_core *c, const json_t *o)
{
    const json_t *roster = json_object_get(o, "roster"), *item;
    size_t i;

    json_array_foreach(roster, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), c->name) == 0)
            return true;
    }
    return false;
}

static int compare_attempts(uint32_t round, uint32_t attempt, uint32_t other_round, uint32_t other_attempt)
{
    if (round != other_round)
        return round < other_round ? -1 : 1;
    return attempt == other_attempt ? 0 : attempt < other_attempt ? -1 : 1;
}

/* What the hospital has decided about the study. NULL: go on. */
static const char *decided_no(const struct ym_core *c, const struct ym_core_study *s)
{
    const struct ym_core_dataset *d;

    if (!s || !s->plan || s->decision == YM_UNDECIDED || c->min_patients < 0)
        return "not_approved";
    if (s->decision == YM_VETOED)
        return "vetoed";
    if (s->paused)
        return "paused";
    if (s->closed)
        return "stale";
    d = ym_core_dataset_find(c, s->dataset);
    if (!d || memcmp(d->data, s->data, sizeof d->data) != 0)
        return "no_data";
    return NULL;
}

/* Everything that must hold before a charge. NULL: go on. */
static const char *refusal(struct ym_core *c, struct ym_core_study *s, const uint8_t state[YM_HASH_BYTES],
                           struct ym_status *st)
{
    const struct ym_core_world *w = &c->world;
    const char *no = decided_no(c, s);

    if (no)
        return no;
    if (!w->sandboxed(w->ctx))
        return "sandbox";
    if (!w->data(w->ctx, s->dataset))
        return "no_data";
    if (!w->state(w->ctx, state))
        return "state_mismatch";
    if (w->budget(w->ctx, s->plan, s->dataset, st) != YM_OK)
        return "budget";
    if (!w->disk(w->ctx, s->plan))
        return "disk";
    return NULL;
}

static void drop_release(struct ym_actions *a, struct ym_core_study *s)
{
    if (s->release_line.len == 0 || s->release_over)
        return;
    s->release_over = true;
    push(a, YM_ACTION_DROP, s);
}

static void resend(struct ym_actions *a, struct ym_core_study *s)
{
    if (s->release_line.len != 0 && !s->release_over)
        push(a, YM_ACTION_RESEND, s);
}

static bool training(const struct ym_core_study *s, const struct attempt *at)
{
    return s->phase == YM_STUDY_TRAINING && s->round == at->round && s->attempt == at->attempt;
}

/* An attempt that was charged already: re-send what is finished, never again. */
static void charged_again(struct ym_actions *a, struct ym_core_study *s, const struct attempt *at,
                          const uint8_t state[YM_HASH_BYTES])
{
    if (training(s, at))
        return;
    if (state && memcmp(state, s->charged_state, YM_HASH_BYTES) != 0)
        decline(a, s, at, "state_mismatch");
    else if (s->release_line.len == 0)
        decline(a, s, at, "crashed");
    else if (s->release_over)
        decline(a, s, at, s->decision == YM_VETOED ? "vetoed" : "stale");
    else
        resend(a, s);
}

static void open_attempt(struct ym_actions *a, struct ym_core_study *s, const struct attempt *at,
                         const uint8_t state[YM_HASH_BYTES])
{
    drop_release(a, s); /* a newer attempt is open: the older one is over */
    s->round = at->round;
    s->attempt = at->attempt;
    memcpy(s->state, state, YM_HASH_BYTES);
    s->phase = YM_STUDY_PREPARING;
    s->collect_wanted = false;
    s->last_reason[0] = 0;
    push(a, YM_ACTION_PREPARE, s);
}

static void follow_round(struct ym_core *c, struct ym_core_study *s, const struct attempt *at,
                         const uint8_t state[YM_HASH_BYTES], struct ym_actions *a, struct ym_status *st)
{
    const char *no = decided_no(c, s);
    int to_charged, to_open;

    if (no) {
        decline(a, s, at, no);
        return;
    }
    to_charged = compare_attempts(at->round, at->attempt, s->charged_round, s->charged_attempt);
    to_open = compare_attempts(at->round, at->attempt, s->round, s->attempt);
    if (to_charged == 0) {
        charged_again(a, s, at, state);
    } else if (to_charged < 0 || to_open < 0 || at->round > s->plan->rounds) {
        decline(a, s, at, "stale");
    } else if (to_open == 0 && s->phase != YM_STUDY_IDLE) {
        if (memcmp(state, s->state, YM_HASH_BYTES) != 0)
            decline(a, s, at, "state_mismatch");
        else if (s->phase == YM_STUDY_READY)
            say_ready(a, s);
    } else {
        no = refusal(c, s, state, st);
        if (no)
            decline(a, s, at, no);
        else
            open_attempt(a, s, at, state);
    }
}

enum ym_code ym_core_round(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct attempt at;
    uint8_t plan[YM_HASH_BYTES], state[YM_HASH_BYTES];
    struct ym_core_study *s;
    enum ym_code code = open_task(c, line, "round_open", &o, &at, a, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "plan", plan, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", state, st);
    if (code == YM_OK && in_roster(c, o)) {
        s = by_hash(c, plan);
        if (s && strcmp(s->study, at.study) != 0)
            s = NULL;
        follow_round(c, s, &at, state, a, st);
    }
    json_decref(o);
    return code;
}

static void begin_charge(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st)
{
    const char *no = refusal(c, s, s->state, st);

    if (!no && c->world.now(c->world.ctx) > s->collect_by + YM_CORE_CLOCK_SKEW_S)
        no = "stale";
    if (no) {
        s->phase = YM_STUDY_IDLE;
        decline_current(a, s, s->round, s->attempt, no);
        return;
    }
    s->phase = YM_STUDY_TRAINING;
    push(a, YM_ACTION_CHARGE, s);
}

/* A trainer that restarted after saying ready hears only the collect task: the
 * hub's signature on it covers the state, so it opens the attempt as well. */
static void open_by_collect(struct ym_core *c, struct ym_core_study *s, const struct attempt *at,
                            const uint8_t state[YM_HASH_BYTES], struct ym_actions *a, struct ym_status *st)
{
    const char *no = refusal(c, s, state, st);

    if (no) {
        decline(a, s, at, no);
        return;
    }
    open_attempt(a, s, at, state);
    s->collect_wanted = true;
}

static void follow_collect(struct ym_core *c, struct ym_core_study *s, const struct attempt *at,
                           const uint8_t state[YM_HASH_BYTES], struct ym_actions *a, struct ym_status *st)
{
    int to_charged = compare_attempts(at->round, at->attempt, s->charged_round, s->charged_attempt);
    int to_open = compare_attempts(at->round, at->attempt, s->round, s->attempt);

    if (to_charged == 0) {
        charged_again(a, s, at, state);
    } else if (to_charged < 0 || to_open < 0 || at->round > s->plan->rounds ||
               (to_open == 0 && s->phase == YM_STUDY_IDLE)) {
        decline(a, s, at, "stale");
    } else if (to_open > 0) {
        open_by_collect(c, s, at, state, a, st);
    } else if (memcmp(state, s->state, YM_HASH_BYTES) != 0) {
        decline(a, s, at, "state_mismatch");
    } else if (s->phase == YM_STUDY_PREPARING) {
        s->collect_wanted = true;
    } else if (s->phase == YM_STUDY_READY) {
        begin_charge(c, s, a, st);
    }
}

enum ym_code ym_core_collect(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct attempt at;
    uint8_t state[YM_HASH_BYTES];
    int64_t collect_by;
    struct ym_core_study *s;
    enum ym_code code = open_task(c, line, "say_collect", &o, &at, a, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", state, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "collect_by", 0, INT64_MAX / 2, &collect_by, st);
    if (code == YM_OK && in_roster(c, o)) {
        s = open_by_name(c, at.study);
        if (s && s->plan) {
            s->collect_by = collect_by;
            follow_collect(c, s, &at, state, a, st);
        } else {
            decline(a, NULL, &at, "not_approved");
        }
    }
    json_decref(o);
    return code;
}

/* ---- endings ---- */

static enum ym_code open_closing(struct ym_core *c, struct ym_bytes line, json_t **out, struct ym_core_study **study,
                                 struct ym_status *st)
{
    json_t *o = NULL;
    const char *type = "", *name = "";
    enum ym_code code = ym_leaf_parse(line, &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "type", &type, st);
    if (code == YM_OK && strcmp(type, "round_result") != 0 && strcmp(type, "abort") != 0)
        code = ym_status_set(st, YM_INVALID, "a leaf of type \"%s\" ends nothing", type);
    if (code == YM_OK)
        code = ym_json_get_str(o, "study", &name, st);
    if (code == YM_OK && !(*study = open_by_name(c, name)))
        code = ym_status_set(st, YM_NOT_FOUND, "no open study \"%s\"", name);
    if (code == YM_OK) {
        code = ym_leaf_open(line, c->hub_key, type, out, st);
        if (code != YM_OK && strcmp(type, "abort") == 0 && (*study)->plan) /* the sponsor cancels */
            code = ym_leaf_open(line, (*study)->sponsor_key, "abort", out, st);
    }
    json_decref(o);
    return code;
}

static void end_attempt(struct ym_actions *a, struct ym_core_study *s, uint32_t round, uint32_t attempt)
{
    if (compare_attempts(s->charged_round, s->charged_attempt, round, attempt) <= 0)
        drop_release(a, s);
    if (s->phase == YM_STUDY_IDLE || compare_attempts(s->round, s->attempt, round, attempt) > 0)
        return;
    s->phase = YM_STUDY_IDLE; /* what still trains for it is discarded when it ends */
}

enum ym_code ym_core_closed(struct ym_core *c, struct ym_bytes line, struct ym_actions *a, struct ym_status *st)
{
    json_t *o = NULL;
    struct ym_core_study *s = NULL;
    struct ym_action *close;
    uint32_t round = 0, attempt = 0;
    enum ym_code code = c->trusted ? open_closing(c, line, &o, &s, st)
                                   : ym_status_set(st, YM_DENIED, "this hospital is not enrolled");
    bool final;

    if (code == YM_OK)
        code = get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK) {
        final = json_is_true(json_object_get(o, "last")) || json_is_true(json_object_get(o, "final"));
        if (final)
            round = attempt = UINT32_MAX;
        end_attempt(a, s, round, attempt);
        if (final) {
            s->closed = true;
            close = push(a, YM_ACTION_CLOSE, s);
            if (!close || ym_buf_append(&close->line, line.data, line.len) != YM_OK)
                a->failed = true;
        }
    }
    json_decref(o);
    return code;
}

/* ---- how actions went ---- */

static bool current(const struct ym_core_study *s, enum ym_study_phase phase, uint32_t round, uint32_t attempt)
{
    return s->phase == phase && s->round == round && s->attempt == attempt;
}

void ym_core_prepared(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                      struct ym_actions *a)
{
    if (!current(s, YM_STUDY_PREPARING, round, attempt))
        return;
    if (!reason)
        reason = decided_no(c, s);
    if (reason) {
        s->phase = YM_STUDY_IDLE;
        decline_current(a, s, round, attempt, reason);
        return;
    }
    s->phase = YM_STUDY_READY;
    if (s->collect_wanted)
        begin_charge(c, s, a, NULL);
    else
        say_ready(a, s);
}

void ym_core_charge_refused(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a)
{
    (void)c;
    s->phase = YM_STUDY_IDLE;
    decline_current(a, s, s->round, s->attempt, reason);
}

static void push_at(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s, uint32_t round,
                    uint32_t attempt)
{
    struct ym_action *item = push(a, kind, s);

    if (!item)
        return;
    item->round = round;
    item->attempt = attempt;
}

void ym_core_trained(struct ym_core *c, struct ym_core_study *s, uint32_t round, uint32_t attempt, const char *reason,
                     struct ym_actions *a)
{
    bool wanted = current(s, YM_STUDY_TRAINING, round, attempt);

    if (!reason)
        reason = decided_no(c, s);
    if (wanted && !reason) {
        push_at(a, YM_ACTION_RELEASE, s, round, attempt);
        return;
    }
    push_at(a, YM_ACTION_DISCARD, s, round, attempt);
    if (!wanted)
        return; /* the hub has gone on */
    s->phase = YM_STUDY_IDLE;
    decline_current(a, s, round, attempt, reason);
}

void ym_core_released(struct ym_core *c, struct ym_core_study *s, const char *reason, struct ym_actions *a)
{
    (void)c;
    s->phase = YM_STUDY_IDLE;
    if (reason)
        decline_current(a, s, s->round, s->attempt, reason);
}

/* ---- the gateway ---- */

static void repost(struct ym_actions *a, struct ym_core_study *s, uint64_t index)
{
    struct ym_action *item = push(a, YM_ACTION_REPOST, s);

    if (item)
        item->index = index;
}

void ym_core_link_up(struct ym_core *c, struct ym_actions *a)
{
    for (size_t i = 0; i < c->dataset_count; i++)
        if (!c->dataset[i].delivered)
            repost(a, NULL, c->dataset[i].index);
    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (s->closed || !s->plan)
            continue;
        if (s->decision != YM_UNDECIDED && !s->decision_delivered) {
            repost(a, s, s->decision_index);
            if (s->decision == YM_APPROVED)
                say_checked(a, s);
        }
        if (s->pause_logged && !s->pause_delivered)
            repost(a, s, s->pause_index);
        resend(a, s);
    }
}

void ym_core_answer(struct ym_core *c, const struct ym_frame_answer *answer, struct ym_actions *a)
{
    bool delivered = answer->answer == YM_OK || answer->answer == YM_CONFLICT;

    for (size_t i = 0; i < c->dataset_count; i++)
        if (memcmp(c->dataset[i].leaf_hash, answer->leaf, YM_HASH_BYTES) == 0)
            c->dataset[i].delivered = delivered;
    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (s->decision != YM_UNDECIDED && memcmp(s->decision_hash, answer->leaf, YM_HASH_BYTES) == 0)
            s->decision_delivered = delivered;
        if (s->pause_logged && memcmp(s->pause_hash, answer->leaf, YM_HASH_BYTES) == 0)
            s->pause_delivered = delivered;
        if (s->release_line.len && memcmp(s->release_hash, answer->leaf, YM_HASH_BYTES) == 0 && answer->answer != YM_OK)
            drop_release(a, s); /* the hub will not take it any more */
    }
}

/* ---- the hospital ---- */

static void record(struct ym_actions *a, struct ym_core_study *s, const char *type, json_t *members)
{
    say(a, YM_ACTION_RECORD, s, type, members);
}

enum ym_code ym_core_approve(struct ym_core *c, struct ym_core_study *s, const char *dataset, struct ym_actions *a,
                             struct ym_status *st)
{
    const struct ym_core_dataset *d = ym_core_dataset_find(c, dataset);
    struct ym_action *log;
    json_t *o;

    if (c->min_patients < 0)
        return ym_status_set(st, YM_DENIED, "the ledger holds no policy");
    if (!s->plan || s->closed)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" has ended", s->study);
    if (s->decision == YM_VETOED)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" was vetoed; a veto is final", s->study);
    if (!d)
        return ym_status_set(st, YM_NOT_FOUND, "no data set \"%s\" is registered", dataset);
    if (s->decision == YM_APPROVED && strcmp(s->dataset, dataset) == 0 &&
        memcmp(s->data, d->data, sizeof d->data) == 0)
        return ym_status_set(st, YM_CONFLICT, "the plan is approved already, with this data set");
    log = push(a, YM_ACTION_LOG, s);
    if (!log || ym_buf_append(&log->line, s->plan_leaf.data, s->plan_leaf.len) != YM_OK)
        a->failed = true;
    o = json_pack("{s:s, s:s}", "study", s->study, "dataset", dataset);
    with_hash(o, "plan", s->hash);
    record(a, s, "approval", with_hash(o, "data", d->data));
    say_checked(a, s);
    return YM_OK;
}

enum ym_code ym_core_veto(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st)
{
    (void)c;
    if (s->decision == YM_VETOED)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" is vetoed already", s->study);
    record(a, s, "veto", with_hash(json_pack("{s:s}", "study", s->study), "plan", s->hash));
    drop_release(a, s);
    if (s->phase == YM_STUDY_PREPARING || s->phase == YM_STUDY_READY) {
        s->phase = YM_STUDY_IDLE;
        decline_current(a, s, s->round, s->attempt, "vetoed");
    }
    return YM_OK;
}

enum ym_code ym_core_pause(struct ym_core *c, const char *study, bool paused, struct ym_actions *a,
                           struct ym_status *st)
{
    struct ym_core_study *s = open_by_name(c, study);

    if (!s || !s->plan)
        return ym_status_set(st, YM_NOT_FOUND, "no open study \"%s\"", study);
    if (s->paused == paused)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" is %s already", study, paused ? "paused" : "not paused");
    record(a, s, "pause", json_pack("{s:s, s:b}", "study", study, "paused", paused));
    if (paused && (s->phase == YM_STUDY_PREPARING || s->phase == YM_STUDY_READY)) {
        s->phase = YM_STUDY_IDLE;
        decline_current(a, s, s->round, s->attempt, "paused");
    }
    return YM_OK;
}

#include "worker/trainer/core_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"

/* What the own ledger says has happened. */

static void hash_line(struct ym_bytes line, uint8_t out[YM_HASH_BYTES])
{
    ym_sha256(line.data, line.len, out);
}

static enum ym_code take_dataset(struct ym_core *c, uint64_t index, struct ym_bytes line, const json_t *o,
                                 struct ym_status *st)
{
    struct ym_core_dataset d = {.index = index}, *list;
    enum ym_code code = ym_core_get_name(o, "dataset", d.name, st);

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
    list = ym_core_grow(c->dataset, c->dataset_count, &c->dataset_cap, sizeof *list);
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
    enum ym_code code = ym_core_get_name(o, "study", name, st);

    if (code == YM_OK)
        code = ym_json_get_hash(o, "plan", hash, st);
    if (code != YM_OK)
        return code;
    *out = ym_core_study_add(c, name, hash);
    return *out ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for study \"%s\"", name);
}

/* An approval that comes back undoes no veto, and is asked for its seals as a new one is: whoever has the site's key
 * alone could have told the hub of it. */
static bool counts_again(const struct ym_core *c, const struct ym_core_study *s, const json_t *approval)
{
    return s->decision != YM_VETOED && c->world.sealed(c->world.ctx, approval);
}

static enum ym_code take_decision(struct ym_core *c, uint64_t index, struct ym_bytes line, const json_t *o,
                                  enum ym_decision decision, struct ym_status *st)
{
    struct ym_core_study *s;
    char dataset[sizeof s->dataset];
    uint8_t data[YM_HASH_BYTES];
    enum ym_code code = study_of(c, o, &s, st);

    if (code == YM_OK && decision == YM_APPROVED)
        code = ym_core_get_name(o, "dataset", dataset, st);
    if (code == YM_OK && decision == YM_APPROVED)
        code = ym_json_get_hash(o, "data", data, st);
    if (code != YM_OK || (decision == YM_APPROVED && c->returning > 0 && !counts_again(c, s, o)))
        return code;
    if (decision == YM_APPROVED) {
        memcpy(s->dataset, dataset, sizeof s->dataset);
        memcpy(s->data, data, sizeof s->data);
    }
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
    enum ym_code code = ym_core_get_name(o, "study", name, st);

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

/* What comes back may lie before what the ledger holds. */
static bool older(const struct ym_core_study *s, uint32_t round, uint32_t attempt)
{
    return round < s->charged_round || (round == s->charged_round && attempt <= s->charged_attempt);
}

static enum ym_code take_charge(struct ym_core *c, struct ym_bytes line, const json_t *o, struct ym_status *st)
{
    struct ym_core_study *s;
    uint32_t round, attempt;
    enum ym_code code = study_of(c, o, &s, st);

    if (code == YM_OK)
        code = ym_core_get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = ym_core_get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK && c->returning > 0 && older(s, round, attempt))
        return YM_OK;
    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", s->charged_state, st);
    if (code == YM_OK)
        code = ym_core_keep_line(&s->charge_line, line, st);
    if (code != YM_OK)
        return code;
    s->round_charges = round == s->charged_round ? s->round_charges + 1 : 1;
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
        code = ym_core_get_u32(o, "round", &round, st);
    if (code == YM_OK)
        code = ym_core_get_u32(o, "attempt", &attempt, st);
    if (code == YM_OK && c->returning > 0 && (round != s->charged_round || attempt != s->charged_attempt))
        return YM_OK;
    if (code == YM_OK && (round != s->charged_round || attempt != s->charged_attempt))
        code = ym_status_set(st, YM_CORRUPT, "release of study \"%s\" round %u without its charge", s->study, round);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "update", s->last_update, st);
    if (code == YM_OK)
        code = ym_core_keep_line(&s->release_line, line, st);
    if (code == YM_OK)
        code = ym_core_keep_line(&s->last_charge, ym_buf_bytes(&s->charge_line), st);
    if (code == YM_OK)
        hash_line(line, s->release_hash);
    return code;
}

static enum ym_code take_recover(struct ym_core *c, const json_t *o, struct ym_status *st)
{
    int64_t count;
    enum ym_code code = ym_json_get_int(o, "count", 0, INT64_MAX - 1, &count, st);

    if (code == YM_OK)
        c->returning = (uint64_t)count + 1; /* this leaf is counted too */
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
    else if (code == YM_OK && strcmp(type, "recover") == 0)
        code = take_recover(c, o, st);
    if (code == YM_OK && c->returning > 0)
        c->returning--;
    json_decref(o);
    return code == YM_OK ? code : ym_status_wrap(st, YM_CORRUPT, "ledger leaf %" PRIu64, index);
}

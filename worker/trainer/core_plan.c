#include "worker/trainer/core_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"

enum { PLAN_LEAF_MEMBERS = 8 }; /* type v time by key; study plan sponsor */

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
    if (code == YM_OK &&
        (strcmp(role, "sponsor") != 0 || strcmp(name, sponsor) != 0 || strcmp(federation, c->federation) != 0))
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
    if (code == YM_OK && json_object_size(o) != PLAN_LEAF_MEMBERS) /* it goes into our ledger; auditors refuse others */
        code = ym_status_set(st, YM_INVALID, "the sponsor's leaf has members that a plan leaf does not have");
    if (code == YM_OK && (strcmp(study, plan->study) != 0 || strcmp(sponsor, plan->sponsor) != 0 ||
                          memcmp(hash, plan->hash, sizeof hash) != 0))
        code = ym_status_set(st, YM_DENIED, "the sponsor's leaf is for another plan");
    json_decref(o);
    return code;
}

static enum ym_code check_place(struct ym_core *c, const struct ym_plan *plan, bool stored, struct ym_status *st)
{
    const struct ym_core_study *same = ym_core_open_named(c, plan->study);
    size_t open = 0, all = 0;

    if (!names_us(c, plan))
        return ym_status_set(st, YM_DENIED, "the plan does not name this hospital");
    if (same && same->plan && memcmp(same->hash, plan->hash, YM_HASH_BYTES) != 0)
        return ym_status_set(st, YM_CONFLICT, "another plan of study \"%s\" is open", plan->study);
    if (stored)
        return YM_OK;
    for (size_t i = 0; i < c->study_count; i++) {
        const struct ym_core_study *s = c->study[i];

        all += s->plan != NULL;
        open += s->plan && !s->closed && s->decision != YM_VETOED;
    }
    if (all >= YM_CORE_PLANS)
        return ym_status_set(st, YM_EXHAUSTED,
                             "%zu plans were taken: remove those of closed studies from plans/ and "
                             "start again",
                             all);
    if (open >= YM_CORE_OPEN_PLANS)
        return ym_status_set(st, YM_EXHAUSTED, "%zu plans are open; veto some", open);
    return YM_OK;
}

static enum ym_code adopt_plan(struct ym_core *c, struct ym_plan **plan, struct ym_bytes leaf,
                               const uint8_t key[YM_PUBKEY_BYTES], struct ym_core_study **out, struct ym_status *st)
{
    struct ym_core_study *s = ym_core_study_add(c, (*plan)->study, (*plan)->hash);
    enum ym_code code =
        s ? ym_core_keep_line(&s->plan_leaf, leaf, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for a plan");

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
    if (code == YM_OK && (s = ym_core_by_hash(c, plan->hash)) && s->plan) {
        ym_plan_free(plan); /* told again */
        return YM_OK;
    }
    if (code == YM_OK)
        code = check_place(c, plan, stored, st);
    if (code == YM_OK)
        code = adopt_plan(c, &plan, part[1], key, &s, st);
    ym_plan_free(plan);
    if (code != YM_OK || stored)
        return code;
    keep = ym_action_push(a, YM_ACTION_KEEP_PLAN, s);
    if (!keep || ym_buf_append(&keep->line, parts.data, parts.len) != YM_OK)
        a->failed = true;
    return YM_OK;
}

void ym_core_mark_closed(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_core_study *s = ym_core_by_hash(c, hash);

    if (s)
        s->closed = true;
}

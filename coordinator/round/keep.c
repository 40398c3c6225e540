/* The kept form of a study's state: restricted JSON, so that people can read a store. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/round/round.h"

static enum ym_code pack_site(const struct ym_round_site *s, const char *name, json_t *sites)
{
    json_t *o =
        json_pack("{s:s, s:i, s:i, s:b, s:b, s:b, s:I, s:I, s:s}", "name", name, "decision", (int)s->decision, "part",
                  (int)s->part, "paused", s->paused, "revoked", s->revoked, "dry_run_failed", s->dry_run_failed,
                  "since", (json_int_t)s->since_s, "left_out", (json_int_t)s->left_out, "reason", s->reason);

    if (!o)
        return YM_EXHAUSTED;
    ym_json_set_hash(o, "release", s->release);
    return json_array_append_new(sites, o) == 0 ? YM_OK : YM_EXHAUSTED;
}

enum ym_code ym_round_save(const struct ym_round *r, struct ym_buf *out, struct ym_status *st)
{
    enum ym_code code = YM_EXHAUSTED;
    json_t *sites = json_array(), *o = NULL;

    for (size_t i = 0; sites && i < r->plan->site_count; i++)
        if (pack_site(&r->site[i], r->plan->site[i].name, sites) != YM_OK)
            goto out;
    o = json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:O}", "v", 1, "phase", (int)r->phase,
                  "paused_from", (int)r->paused_from, "round", (json_int_t)r->round, "attempt", (json_int_t)r->attempt,
                  "tries", (json_int_t)r->tries, "deadline", (json_int_t)r->deadline_s, "opened",
                  (json_int_t)r->opened_s, "changed", (json_int_t)r->changed_s, "reason", r->reason, "sites", sites);
    if (!o)
        goto out;
    if (r->stops)
        json_object_set_new(o, "stops", json_true());
    ym_json_set_hash(o, "state", r->state);
    ym_json_set_hash(o, "before", r->before);
    ym_json_set_hash(o, "sum", r->sum);
    code = ym_json_canonical(o, out, st);
out:
    if (code == YM_EXHAUSTED)
        ym_status_set(st, code, "out of memory while keeping a study's state");
    json_decref(sites);
    json_decref(o);
    return code;
}

static enum ym_code get_bool(const json_t *o, const char *key, bool *out, struct ym_status *st)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_boolean(v))
        return ym_status_set(st, YM_INVALID, "member '%s' is not true or false", key);
    *out = json_is_true(v);
    return YM_OK;
}

static enum ym_code get_int(const json_t *o, const char *key, int64_t high, int64_t *out, enum ym_code so_far,
                            struct ym_status *st)
{
    return so_far == YM_OK ? ym_json_get_int(o, key, 0, high, out, st) : so_far;
}

static enum ym_code get_reason(const json_t *o, char *out, enum ym_code so_far, struct ym_status *st)
{
    const char *text = NULL;

    if (so_far == YM_OK)
        so_far = ym_json_get_str(o, "reason", &text, st);
    if (so_far == YM_OK && strlen(text) >= YM_ROUND_REASON)
        so_far = ym_status_set(st, YM_INVALID, "reason is too long");
    if (so_far == YM_OK)
        snprintf(out, YM_ROUND_REASON, "%s", text);
    return so_far;
}

static enum ym_code load_site(const json_t *o, const char *name, struct ym_round_site *s, struct ym_status *st)
{
    const char *kept = NULL;
    int64_t decision = 0, part = 0, since = 0, left_out = 0;
    enum ym_code code = ym_json_get_str(o, "name", &kept, st);

    if (code == YM_OK && strcmp(kept, name) != 0)
        code = ym_status_set(st, YM_INVALID, "site '%s' stands where '%s' should", kept, name);
    code = get_int(o, "decision", YM_ROUND_VETOED, &decision, code, st);
    code = get_int(o, "part", YM_ROUND_LEFT_OUT, &part, code, st);
    code = get_int(o, "since", INT64_MAX, &since, code, st);
    code = get_int(o, "left_out", UINT32_MAX, &left_out, code, st);
    code = get_reason(o, s->reason, code, st);
    if (code == YM_OK)
        code = get_bool(o, "paused", &s->paused, st);
    if (code == YM_OK)
        code = get_bool(o, "revoked", &s->revoked, st);
    if (code == YM_OK)
        code = get_bool(o, "dry_run_failed", &s->dry_run_failed, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "release", s->release, st);
    s->decision = (enum ym_round_decision)decision;
    s->part = (enum ym_round_part)part;
    s->since_s = since;
    s->left_out = (uint32_t)left_out;
    return code;
}

static enum ym_code load_head(const json_t *o, struct ym_round *r, struct ym_status *st)
{
    int64_t v[9] = {0};
    enum ym_code code = ym_json_get_int(o, "v", 1, 1, &v[0], st);

    code = get_int(o, "phase", YM_ROUND_PAUSED, &v[1], code, st);
    code = get_int(o, "paused_from", YM_ROUND_PAUSED, &v[2], code, st);
    code = get_int(o, "round", UINT32_MAX, &v[3], code, st);
    code = get_int(o, "attempt", UINT32_MAX, &v[4], code, st);
    code = get_int(o, "tries", UINT32_MAX, &v[5], code, st);
    code = get_int(o, "deadline", INT64_MAX, &v[6], code, st);
    code = get_int(o, "opened", INT64_MAX, &v[7], code, st);
    code = get_int(o, "changed", INT64_MAX, &v[8], code, st);
    code = get_reason(o, r->reason, code, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "state", r->state, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "before", r->before, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "sum", r->sum, st);
    r->phase = (enum ym_round_phase)v[1];
    r->paused_from = (enum ym_round_phase)v[2];
    r->round = (uint32_t)v[3];
    r->attempt = (uint32_t)v[4];
    r->tries = (uint32_t)v[5];
    r->stops = json_is_true(json_object_get(o, "stops"));
    r->deadline_s = v[6];
    r->opened_s = v[7];
    r->changed_s = v[8];
    return code;
}

#define KEPT_MAX (256 * 1024)

enum ym_code ym_round_load(const struct ym_plan *plan, struct ym_bytes data, struct ym_round *r, struct ym_status *st)
{
    struct ym_round got;
    json_t *o = NULL;
    const json_t *sites;
    enum ym_code code = ym_json_parse(data.data, data.len, KEPT_MAX, &o, st);

    ym_round_init(&got, plan);
    if (code == YM_OK)
        code = load_head(o, &got, st);
    sites = json_object_get(o, "sites");
    if (code == YM_OK && json_array_size(sites) != plan->site_count)
        code = ym_status_set(st, YM_INVALID, "the kept state has %zu sites, the plan %zu", json_array_size(sites),
                             plan->site_count);
    for (size_t i = 0; code == YM_OK && i < plan->site_count; i++)
        code = load_site(json_array_get(sites, i), plan->site[i].name, &got.site[i], st);
    json_decref(o);
    if (code == YM_INVALID)
        code = ym_status_wrap(st, YM_CORRUPT, "kept state of study '%s'", plan->study);
    if (code == YM_OK)
        *r = got;
    return code;
}

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/fs.h"
#include "gate/plan.h"
#include "models/model.h"
#include "models/state.h"

/* State r = f(state r-1, sum r) with the programs' own f (models/state.h). */

#define OBJECT_MAX ((size_t)2 << 30)

struct step {
    struct ym_check *c;
    const struct ym_vresult *r;
    const struct ym_entry *e;
    struct ym_plan *plan;
    struct ym_buf plan_bytes, before, sum, after;
};

#define FIND(s, reason, ...) ym_check_find((s)->c, (s)->r->log, (int64_t)(s)->r->entry, YM_REASON_##reason, __VA_ARGS__)

/* An object by its hash; missing, unreadable or not what its name says: false. */
static bool load(struct step *s, const char *what, const char *hash, struct ym_buf *out)
{
    char path[4096], actual[65];
    uint8_t raw[YM_VHASH];

    if (ym_fs_join(path, sizeof(path), s->c->objects, hash) == YM_OK &&
        ym_fs_read(path, OBJECT_MAX, out, NULL) == YM_OK) {
        ym_vhash(out->data, out->len, raw);
        ym_vhex_text(raw, sizeof(raw), actual);
        if (strcmp(actual, hash) == 0)
            return true;
    }
    FIND(s, OBJECT_MISSING, "the %s %.16s... is not among the objects, or damaged", what, hash);
    return false;
}

static bool load_all(struct step *s)
{
    struct ym_status st = YM_STATUS_INIT;

    if (!load(s, "plan", s->r->plan, &s->plan_bytes) ||
        !load(s, "state", ym_entry_text(s->e, "state_before"), &s->before) ||
        !load(s, "sum", ym_entry_text(s->e, "sum"), &s->sum))
        return false;
    if (ym_plan_decode(s->plan_bytes.data, s->plan_bytes.len, &s->plan, &st) == YM_OK)
        return true;
    FIND(s, STATE_RECOMPUTED, "the plan cannot be read: %.150s", st.message);
    return false;
}

static bool same_hash(const struct ym_buf *bytes, const char *hash)
{
    uint8_t raw[YM_VHASH];
    char actual[65];

    ym_vhash(bytes->data, bytes->len, raw);
    ym_vhex_text(raw, sizeof(raw), actual);
    return strcmp(actual, hash) == 0;
}

/* Round 1 starts from the state that the plan fixes, with the file that it names. */
static bool check_start(struct step *s)
{
    struct ym_buf first = {0}, file = {0};
    char hash[65] = "";
    bool good = ym_entry_int(s->e, "round") != 1;

    if (good)
        return true;
    if (s->plan->starts)
        ym_vhex_text(s->plan->start_hash, sizeof(s->plan->start_hash), hash);
    if (s->plan->starts && !load(s, "file to start from", hash, &file))
        return false;
    good = ym_state_initial_from(s->plan, ym_buf_bytes(&file), &first, NULL) == YM_OK &&
           same_hash(&first, ym_entry_text(s->e, "state_before"));
    ym_buf_release(&first);
    ym_buf_release(&file);
    if (!good)
        FIND(s, STATE_RECOMPUTED, "round 1 does not start from the plan's initial state");
    return good;
}

/* int64 little-endian on disk; aligned and in host order for the function. */
static int64_t *decode_sum(const struct ym_buf *bytes, size_t dim)
{
    int64_t *sum = bytes->len == 8 * dim ? malloc(8 * dim) : NULL;

    for (size_t i = 0; sum && i < dim; i++) {
        uint64_t v = 0;

        for (int b = 7; b >= 0; b--)
            v = v << 8 | bytes->data[8 * i + (size_t)b];
        sum[i] = (int64_t)v;
    }
    return sum;
}

/* What each survivor counted, behind the sum, adds up to it. */
static bool sites_add_up(const struct ym_model *m, const int64_t *sum, size_t kept, size_t sites)
{
    const int64_t *own = sum + ym_model_update_dim(m);

    for (size_t k = 0; k < kept; k++) {
        uint64_t left = (uint64_t)sum[ym_model_metric_at(m) + k];

        for (size_t i = 0; i < sites; i++)
            left -= (uint64_t)own[i * kept + k];
        if (left != 0)
            return false;
    }
    return true;
}

/* The study ends with the plan's last round, or where the plan lets the state say so (models/stop.h). */
static bool is_last(const struct step *s, const struct ym_model *model)
{
    double extra[YM_MODEL_MAX_EXTRA];

    return ym_entry_int(s->e, "round") == s->plan->rounds ||
           (ym_state_extra(s->plan, ym_buf_bytes(&s->after), extra, NULL) == YM_OK &&
            ym_state_stops(s->plan, model, extra));
}

static void check_next(struct step *s)
{
    const char *survivor[YM_PLAN_MAX_SITES + 1];
    struct ym_round_sum sum = {.round = (uint32_t)ym_entry_int(s->e, "round"), .survivor = survivor};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_model model;
    int64_t *values = NULL;
    size_t kept = ym_plan_site_dim(s->plan, sum.round);

    while (sum.survivor_count <= YM_PLAN_MAX_SITES &&
           (survivor[sum.survivor_count] = ym_entry_nth(s->e, "survivors", sum.survivor_count)))
        sum.survivor_count++;
    if (ym_model_from_plan(s->plan, &model, &st) == YM_OK)
        values = decode_sum(&s->sum, ym_model_update_dim(&model) + kept * sum.survivor_count);
    sum.sum = values;
    if (values && !sites_add_up(&model, values, kept, sum.survivor_count)) {
        FIND(s, STATE_RECOMPUTED, "round %" PRIu32 ": the hospitals' own counts do not add up to the sum's", sum.round);
        free(values);
        return;
    }
    if (!values || sum.survivor_count > YM_PLAN_MAX_SITES ||
        ym_state_next(s->plan, (struct ym_bytes){s->before.data, s->before.len}, &sum, &s->after, &st) != YM_OK)
        FIND(s, STATE_RECOMPUTED, "round %" PRIu32 " cannot be recomputed: %.150s", sum.round, st.message);
    else if (!same_hash(&s->after, ym_entry_text(s->e, "state_after")))
        FIND(s, STATE_RECOMPUTED, "round %" PRIu32 " gives another state than the log says", sum.round);
    else if (ym_entry_bool(s->e, "last") != is_last(s, &model))
        FIND(s, STATE_RECOMPUTED, "round %" PRIu32 " is %s the last by the plan and this state", sum.round,
             is_last(s, &model) ? "in truth" : "not");
    else
        s->c->v->log[s->r->log].states++;
    if (values && s->c->updates)
        ym_check_updates(s->c, s->r, s->e, s->plan, &model, values);
    free(values);
}

static void recompute(struct ym_check *c, const struct ym_vresult *r)
{
    struct step s = {.c = c, .r = r};
    struct ym_lookup e;

    if (ym_check_entry(c, r->log, r->entry, &e)) {
        s.e = e.e;
        if (load_all(&s) && check_start(&s))
            check_next(&s);
    }
    ym_check_entry_end(&e);
    ym_plan_free(s.plan);
    ym_buf_release(&s.plan_bytes);
    ym_buf_release(&s.before);
    ym_buf_release(&s.sum);
    ym_buf_release(&s.after);
}

void ym_check_states(struct ym_check *c)
{
    for (size_t i = 0; i < c->result_count; i++)
        recompute(c, &c->result[i]);
}

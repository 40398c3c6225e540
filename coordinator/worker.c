#include <string.h>

#include "base/json.h"
#include "coordinator/hub_internal.h"

/* Worker.Post: one signed line of a hospital. Every type has a reader that
 * fills the event; the round machine decides; late and repeated is its word. */

struct post {
    struct ym_hub *h;
    const char *site;
    struct ym_bytes leaf;
    json_t *o;
    struct hub_apply apply;
};

static void answer(struct hub_request *q, enum ym_code code, const char *reason)
{
    Yumen__V1__PostReply m = YUMEN__V1__POST_REPLY__INIT;

    m.answer = (Yumen__V1__Answer)code;
    m.reason = (char *)(uintptr_t)reason;
    hub_reply(q->call, &m);
}

static enum ym_code no(struct post *p, enum ym_code code, const char *reason)
{
    p->apply.reason = reason;
    return p->apply.code = code;
}

static enum ym_code read_study(struct post *p)
{
    const char *study = NULL;

    if (ym_json_get_str(p->o, "study", &study, NULL) != YM_OK)
        return no(p, YM_INVALID, "malformed");
    p->apply.study = hub_study_find(p->h, study);
    if (!p->apply.study)
        return no(p, YM_NOT_FOUND, "unknown_study");
    p->apply.event.site = ym_round_site_find(p->apply.study->plan, p->site);
    return p->apply.event.site == SIZE_MAX ? no(p, YM_NOT_FOUND, "unknown_study") : YM_OK;
}

static bool get_flag(const json_t *o, const char *key, bool *out)
{
    const json_t *v = json_object_get(o, key);

    *out = json_is_true(v);
    return json_is_boolean(v);
}

static bool read_attempt(struct post *p)
{
    int64_t round, attempt;

    if (ym_json_get_int(p->o, "round", 0, UINT32_MAX, &round, NULL) != YM_OK ||
        ym_json_get_int(p->o, "attempt", 0, UINT32_MAX, &attempt, NULL) != YM_OK)
        return false;
    p->apply.event.round = (uint32_t)round;
    p->apply.event.attempt = (uint32_t)attempt;
    return true;
}

static bool read_plan(struct post *p)
{
    return ym_json_get_hash(p->o, "plan", p->apply.event.plan, NULL) == YM_OK;
}

static bool read_state(struct post *p)
{
    return ym_json_get_hash(p->o, "state", p->apply.event.state, NULL) == YM_OK;
}

static bool read_reason(struct post *p)
{
    static const char *const known[] = {"not_approved", "vetoed",         "paused", "budget",        "no_data", "busy",
                                        "crashed",      "state_mismatch", "stale",  "bad_signature", "sandbox", "disk",
                                        "recover",      "border",         "policy", "hours",         "memory"};
    const char *reason = NULL;

    if (ym_json_get_str(p->o, "reason", &reason, NULL) != YM_OK)
        return false;
    p->apply.event.reason = "other";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], reason) == 0)
            p->apply.event.reason = known[i];
    return true;
}

static bool read_nothing(struct post *p)
{
    (void)p;
    return true;
}

static bool read_pause(struct post *p)
{
    return get_flag(p->o, "paused", &p->apply.event.yes);
}

static bool read_checked(struct post *p)
{
    return read_plan(p) && get_flag(p->o, "ok", &p->apply.event.yes) && read_reason(p);
}

static bool read_ready(struct post *p)
{
    return read_attempt(p) && read_plan(p) && read_state(p);
}

static bool read_declined(struct post *p)
{
    return read_attempt(p) && read_reason(p);
}

static const struct kind {
    const char *type;
    enum ym_round_event_kind event;
    bool (*read)(struct post *p);
} kinds[] = {
    {"approval", YM_ROUND_EV_APPROVE, read_plan}, {"veto", YM_ROUND_EV_VETO, read_plan},
    {"pause", YM_ROUND_EV_PAUSE, read_pause},     {"say_checked", YM_ROUND_EV_CHECKED, read_checked},
    {"say_ready", YM_ROUND_EV_READY, read_ready}, {"say_declined", YM_ROUND_EV_DECLINED, read_declined},
    {"charge", YM_ROUND_EV_CHARGED, read_ready},  {NULL, (enum ym_round_event_kind)0, read_nothing},
};

/* The charge is kept beside the upload it belongs to; the first one is binding. */
static enum ym_code keep_charge(struct post *p)
{
    struct ym_store_upload u = {.round = p->apply.event.round, .attempt = p->apply.event.attempt};
    struct ym_buf charge = {0}, release = {0};
    struct ym_store *s = p->h->store;
    enum ym_code code;

    memcpy(u.study, p->apply.study->plan->study, sizeof u.study);
    memcpy(u.site, p->apply.study->plan->site[p->apply.event.site].name, sizeof u.site);
    code = s->ops->get_upload(s, &u, &charge, &release, NULL);
    if (code == YM_OK && charge.len == p->leaf.len && memcmp(charge.data, p->leaf.data, charge.len) == 0) {
        code = no(p, YM_OK, "repeated");
    } else if (code == YM_OK && charge.len) {
        code = no(p, YM_CONFLICT, "other_bytes");
    } else if (code == YM_OK || code == YM_NOT_FOUND) {
        p->apply.upload = &u;
        p->apply.charge = p->leaf;
        code = hub_apply(p->h, &p->apply);
        p->apply.upload = NULL;
    } else {
        code = no(p, YM_UNAVAILABLE, "store");
    }
    ym_buf_release(&charge);
    ym_buf_release(&release);
    return code;
}

/* What permits: a line that the log has already is not said again, for a gateway
 * that kept an old approval could undo the veto after it; and there are so many a
 * day. What forbids is taken all the same. */
static enum ym_code check_permission(struct post *p, const struct kind *k)
{
    const struct ym_round_site *site = &p->apply.study->round.site[p->apply.event.site];
    bool approves = k->event == YM_ROUND_EV_APPROVE && site->decision != YM_ROUND_APPROVED;
    bool goes_on = k->event == YM_ROUND_EV_PAUSE && !p->apply.event.yes && site->paused;
    bool there = false;

    if (!approves && !goes_on)
        return YM_OK;
    if (p->h->store->ops->has_leaf(p->h->store, p->leaf, &there, NULL) != YM_OK)
        return no(p, YM_UNAVAILABLE, "store");
    if (there)
        return no(p, YM_CONFLICT, "replayed");
    return hub_may_log(p->h, p->site) ? YM_OK : no(p, YM_EXHAUSTED, "too_many_lines");
}

static enum ym_code post_event(struct post *p, const struct kind *k)
{
    if (read_study(p) != YM_OK)
        return p->apply.code;
    p->apply.event.kind = k->event;
    p->apply.given = p->leaf;
    if (!k->read(p))
        return no(p, YM_INVALID, "malformed");
    if (check_permission(p, k) != YM_OK)
        return p->apply.code;
    if (hub_apply(p->h, &p->apply) == YM_OK && k->event == YM_ROUND_EV_CHARGED)
        keep_charge(p);
    return p->apply.code;
}

/* ---- cards ---- */

struct count_cards {
    const char *site, *dataset;
    struct ym_bytes leaf;
    size_t others;
    bool same;
};

static void count_card(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf)
{
    struct count_cards *c = ctx;

    if (strcmp(site, c->site) != 0)
        return;
    if (strcmp(dataset, c->dataset) != 0)
        c->others++;
    else
        c->same = leaf.len == c->leaf.len && memcmp(leaf.data, c->leaf.data, leaf.len) == 0;
}

static enum ym_code keep_card(struct post *p, const char *dataset)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_store *s = p->h->store;
    enum ym_code code = s->ops->begin(s, &st);

    if (code == YM_OK) {
        code = s->ops->put_card(s, p->site, dataset, p->leaf, &st);
        if (code == YM_OK)
            code = s->ops->put_leaf(s, p->leaf, &st);
        if (code == YM_OK)
            code = s->ops->commit(s, &st);
        else
            s->ops->abort(s);
    }
    if (code == YM_OK) {
        hub_log_later(p->h);
        return no(p, YM_OK, "");
    }
    ym_log(YM_LOG_ERROR, "hub.not_kept", "card=%s error=\"%s\"", dataset, st.message);
    return no(p, code == YM_EXHAUSTED ? YM_EXHAUSTED : YM_UNAVAILABLE, code == YM_EXHAUSTED ? "disk" : "store");
}

static enum ym_code post_card(struct post *p)
{
    struct count_cards c = {.site = p->site, .leaf = p->leaf};
    struct ym_store *s = p->h->store;
    bool there = false;

    if (ym_json_get_str(p->o, "dataset", &c.dataset, NULL) != YM_OK)
        return no(p, YM_INVALID, "malformed");
    if (s->ops->each_card(s, count_card, &c, NULL) != YM_OK || s->ops->has_leaf(s, p->leaf, &there, NULL) != YM_OK)
        return no(p, YM_UNAVAILABLE, "store");
    if (c.same)
        return no(p, YM_OK, "repeated");
    if (there) /* an older card of the data set */
        return no(p, YM_CONFLICT, "replayed");
    if (c.others >= HUB_CARDS_PER_SITE)
        return no(p, YM_EXHAUSTED, "too_many_cards");
    if (!hub_may_log(p->h, p->site))
        return no(p, YM_EXHAUSTED, "too_many_lines");
    return keep_card(p, c.dataset);
}

static void post_leaf(struct post *p)
{
    const char *type = NULL;

    if (ym_json_get_str(p->o, "type", &type, NULL) != YM_OK) {
        no(p, YM_INVALID, "malformed");
        return;
    }
    if (strcmp(type, "dataset_card") == 0) {
        post_card(p);
        return;
    }
    if (strcmp(type, "say_cosigned") == 0) {
        p->apply.reason = "";
        p->apply.code = hub_seal_take(p->h, p->site, p->o, &p->apply.reason);
        return;
    }
    for (const struct kind *k = kinds; k->type; k++)
        if (strcmp(k->type, type) == 0) {
            post_event(p, k);
            return;
        }
    no(p, YM_INVALID, "unknown_type");
}

static void handle_post(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__PostRequest *m = q->message;
    struct post p = {.h = h, .site = ym_rpc_call_who(q->call)->name, .leaf = ym_message_view(m->leaf)};
    const char *reason = "";
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = hub_open_leaf(h, p.site, p.leaf, NULL, &p.o, &reason, &st);

    if (code == YM_OK) {
        post_leaf(&p);
        code = p.apply.code;
        reason = p.apply.reason;
    }
    json_decref(p.o);
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "hub.post_refused", "site=%s code=%s reason=%s", p.site, ym_code_name(code), reason);
    answer(q, code, reason);
}

void hub_on_post(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__post_request__descriptor, handle_post);
}

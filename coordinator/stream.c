#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "base/json.h"
#include "coordinator/hub_internal.h"

/* Streams from the hub: tasks to each hospital's gateway, study events to
 * sponsors. A stream is one heap struct, born on_start and dead after its end
 * came to the core; the lists belong to the core. */

struct hub_subscriber {
    struct hub_job attach, end;
    struct hub_subscriber *next;
    struct ym_rpc_call *call; /* ref */
    char site[64];
    struct ym_buf session; /* say_session as it came */
    char instance[33];     /* of it; "": it said none */
    char twin[33];         /* the last other one that was refused */
    bool listed;
};

struct hub_watcher {
    struct hub_job attach, end, drain;
    struct hub_watcher *next;
    struct ym_rpc_call *call; /* ref */
    char sponsor[64], study_name[64];
    struct hub_study *study;
    bool behind; /* the queue was full: the newest state goes when it drains */
    atomic_bool drain_posted;
};

/* ---- hospitals ---- */

static void subscriber_send(struct hub_subscriber *s, const Yumen__V1__Task *task)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    enum ym_code code = ym_message_pack(task, &wire, &st);

    if (code == YM_OK)
        code = ym_rpc_call_send(s->call, ym_buf_bytes(&wire));
    else
        ym_log(YM_LOG_ERROR, "hub.task_not_packed", "site=%s error=\"%s\"", s->site, st.message);
    if (code == YM_EXHAUSTED) /* it gets all that is open when it comes back */
        ym_rpc_call_fail(s->call, YM_EXHAUSTED, "too slow; subscribe again");
    ym_buf_release(&wire);
}

static void send_to(struct ym_hub *h, struct hub_subscriber *s, struct hub_study *y, enum ym_round_task task)
{
    Yumen__V1__Task m = YUMEN__V1__TASK__INIT;
    const struct ym_buf *leaf = &y->closed_leaf;
    const uint8_t *object = NULL;

    m.kind = (Yumen__V1__TaskKind)task;
    if (task == YM_ROUND_TASK_PLAN) {
        leaf = &y->plan_leaf;
        object = y->plan->hash;
        m.sponsor_enrol_leaf = ym_message_bytes(y->sponsor_leaf.data, y->sponsor_leaf.len);
    } else if (task == YM_ROUND_TASK_ROUND || task == YM_ROUND_TASK_COLLECT) {
        leaf = task == YM_ROUND_TASK_ROUND ? &y->open_leaf : &y->collect_leaf;
        object = y->round.state;
    }
    if (leaf->len == 0)
        return; /* closed before anything was open */
    m.leaf = ym_message_bytes(leaf->data, leaf->len);
    if (object) {
        m.object_sha256 = ym_message_bytes(object, YM_HASH_BYTES);
        m.object_bytes = hub_object_bytes(h, object);
    }
    subscriber_send(s, &m);
}

void hub_send_task(struct ym_hub *h, struct hub_study *y, size_t site, enum ym_round_task task)
{
    for (struct hub_subscriber *s = h->subscribers; s; s = s->next)
        if (strcmp(s->site, y->plan->site[site].name) == 0)
            send_to(h, s, y, task);
}

void hub_seat_sites(struct ym_hub *h, struct hub_study *y)
{
    for (struct hub_subscriber *s = h->subscribers; s; s = s->next) {
        size_t site = ym_round_site_find(y->plan, s->site);

        if (site != SIZE_MAX)
            y->round.site[site].connected = true;
    }
}

/* All that is open for the site: plans, the last closed attempt (so that what
 * was kept for it is dropped), the task of the attempt under way. */
static void replay(struct ym_hub *h, struct hub_subscriber *s)
{
    int64_t now_s = ym_clock_unix();

    for (struct hub_study *y = h->studies; y; y = y->next) {
        size_t site = ym_round_site_find(y->plan, s->site);
        bool ended = ym_round_ended(&y->round);
        enum ym_round_task task;

        if (site == SIZE_MAX || (ended && now_s - y->round.changed_s > HUB_CLOSED_REPLAY_S))
            continue;
        if (!ended)
            send_to(h, s, y, YM_ROUND_TASK_PLAN);
        send_to(h, s, y, YM_ROUND_TASK_CLOSED);
        if (ym_round_open_task(&y->round, site, &task))
            send_to(h, s, y, task);
    }
}

/* ---- who is at work ---- */

/* A checkpoint of ours that is larger than the log: we were set back to an older
 * copy, and what is missing here may be charges. Nothing is decided on that log. */
static bool knows_more(struct ym_hub *h, const char *note)
{
    char origin[256];
    uint8_t root[YM_HASH_BYTES], pub[YM_PUBKEY_BYTES];
    uint64_t size = 0;

    snprintf(origin, sizeof origin, "yumen/%s/hub", h->config.federation);
    ym_key_public(h->identity, pub);
    return note[0] && hub_log_flush(h, NULL) == YM_OK &&
           ym_checkpoint_open((struct ym_bytes){(const uint8_t *)note, strlen(note)}, origin, pub, &size, root, NULL) ==
               YM_OK &&
           size > h->logged;
}

static enum ym_code read_session(struct ym_hub *h, struct hub_subscriber *s, struct ym_status *st)
{
    json_t *o = NULL;
    const char *reason = "", *instance = "", *note = "";
    enum ym_code code =
        hub_open_leaf(h, s->site, (struct ym_bytes){s->session.data, s->session.len}, "say_session", &o, &reason, st);

    if (code != YM_OK)
        ym_status_set(st, code, "%s: the session is not signed by this hospital", reason);
    if (code == YM_OK && (ym_json_get_str(o, "instance", &instance, NULL) != YM_OK || strlen(instance) != 32 ||
                          ym_json_get_str(o, "hub_note", &note, NULL) != YM_OK))
        code = ym_status_set(st, YM_INVALID, "malformed: a session without an instance or a note");
    if (code == YM_OK)
        memcpy(s->instance, instance, sizeof s->instance);
    if (code == YM_OK && knows_more(h, note)) {
        ym_log(YM_LOG_ERROR, "hub.behind", "site=%s", s->site);
        hub_has_failed(h,
                       "a hospital holds a checkpoint of this hub that is larger than its log: the hub's folder is an "
                       "older copy; bring its newest copy back");
        code = ym_status_set(st, YM_UNAVAILABLE, "hub_behind: this hub was set back to an older copy");
    }
    json_decref(o);
    return code;
}

static void tell_twin(struct ym_hub *h, struct hub_subscriber *first, const struct hub_subscriber *second)
{
    Yumen__V1__Task m = YUMEN__V1__TASK__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf leaf = {0};
    enum ym_code code = hub_leaf_twin(h, first->site, first->instance, second->instance, &leaf, &st);

    ym_log(YM_LOG_ERROR, "hub.another_worker", "site=%s first=%s second=%s", first->site, first->instance,
           second->instance);
    if (code == YM_OK && strcmp(first->twin, second->instance) != 0 && hub_may_log(h, first->site)) {
        memcpy(first->twin, second->instance, sizeof first->twin);
        code = h->store->ops->put_leaf(h->store, (struct ym_bytes){leaf.data, leaf.len}, &st);
        hub_log_later(h);
        m.kind = YUMEN__V1__TASK_KIND__TASK_KIND_NOTICE;
        m.leaf = ym_message_bytes(leaf.data, leaf.len);
        subscriber_send(first, &m);
    }
    if (code != YM_OK)
        ym_log(YM_LOG_ERROR, "hub.not_kept", "incident error=\"%s\"", st.message);
    ym_buf_release(&leaf);
}

static struct hub_subscriber *find_other(const struct ym_hub *h, const char *site, const char *instance)
{
    struct hub_subscriber *o = h->subscribers;

    while (o && (strcmp(o->site, site) != 0 || !o->instance[0] || strcmp(o->instance, instance) == 0))
        o = o->next;
    return o;
}

bool hub_other_at_work(const struct ym_hub *h, const char *site, const char *instance)
{
    return find_other(h, site, instance) != NULL;
}

/* One worker of a hospital at a time: two that share an identity would charge the
 * same patients twice. Who is there stays; the same run may come back. */
static bool let_in(struct ym_hub *h, struct hub_subscriber *s)
{
    struct ym_status st = YM_STATUS_INIT;
    struct hub_subscriber *other;

    if (s->session.len > 0 && read_session(h, s, &st) != YM_OK) {
        ym_log(YM_LOG_WARN, "hub.not_let_in", "site=%s why=\"%s\"", s->site, st.message);
        ym_rpc_call_fail(s->call, st.code, st.message);
        return false;
    }
    other = find_other(h, s->site, s->instance);
    if (!other)
        return true;
    tell_twin(h, other, s);
    ym_rpc_call_fail(s->call, YM_CONFLICT,
                     "another_worker: a worker with this hospital's identity is connected already; stop one of the two "
                     "and keep the one whose ledger is longer");
    return false;
}

static void attach_subscriber(struct ym_hub *h, struct hub_job *job)
{
    struct hub_subscriber *s = (struct hub_subscriber *)job;

    if (!let_in(h, s))
        return;
    for (struct hub_subscriber *o = h->subscribers; o; o = o->next)
        if (strcmp(o->site, s->site) == 0)
            ym_rpc_call_fail(o->call, YM_CONFLICT, "replaced: this hospital subscribed again");
    s->next = h->subscribers;
    h->subscribers = s;
    s->listed = true;
    ym_log(YM_LOG_INFO, "hub.site_connected", "site=%s", s->site);
    replay(h, s);
    hub_studies_connection(h, s->site, true);
}

static void end_subscriber(struct ym_hub *h, struct hub_job *job)
{
    struct hub_subscriber *s = (struct hub_subscriber *)((char *)job - offsetof(struct hub_subscriber, end));
    bool others = false;

    for (struct hub_subscriber **at = &h->subscribers; *at;) {
        if (*at == s) {
            *at = s->next;
            continue;
        }
        others |= strcmp((*at)->site, s->site) == 0;
        at = &(*at)->next;
    }
    if (s->listed && !others) {
        ym_log(YM_LOG_INFO, "hub.site_gone", "site=%s", s->site);
        hub_studies_connection(h, s->site, false);
    }
    ym_rpc_call_unref(s->call);
    ym_buf_release(&s->session);
    free(s);
}

static enum ym_code unpack_session(struct ym_bytes request, struct ym_buf *session)
{
    Yumen__V1__SubscribeRequest *m = NULL;
    enum ym_code code = ym_message_unpack(&yumen__v1__subscribe_request__descriptor, request, &m, NULL);

    if (code == YM_OK)
        code = ym_buf_append(session, m->session.data, m->session.len);
    ym_message_free(m);
    return code;
}

void hub_on_subscribe(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_hub *h = ctx;
    struct hub_subscriber *s = request.len <= 8192 ? calloc(1, sizeof *s) : NULL;

    if (!s || unpack_session(request, &s->session) != YM_OK) {
        free(s);
        ym_rpc_call_fail(call, YM_EXHAUSTED, "the hub is out of memory");
        return;
    }
    s->attach.run = attach_subscriber;
    s->end.run = end_subscriber;
    s->call = call;
    ym_rpc_call_ref(call);
    memcpy(s->site, ym_rpc_call_who(call)->name, sizeof s->site);
    ym_rpc_call_set_user(call, s);
    if (!hub_post(h, &s->attach))
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub is busy; try again");
}

void hub_on_subscribe_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct hub_subscriber *s = ym_rpc_call_user(call);

    (void)cancelled;
    if (s)
        hub_post_always(ctx, &s->end);
}

/* ---- sponsors ---- */

static Yumen__V1__SitePhase site_phase(const struct ym_round *r, const struct ym_round_site *s)
{
    switch (s->part) {
    case YM_ROUND_AWAITED:
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_AWAITED;
    case YM_ROUND_SAID_READY: /* in COLLECT it is awaited again: for its update */
        return r->phase == YM_ROUND_COLLECT ? YUMEN__V1__SITE_PHASE__SITE_PHASE_AWAITED
                                            : YUMEN__V1__SITE_PHASE__SITE_PHASE_READY;
    case YM_ROUND_UPLOADING:
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_UPLOADING;
    case YM_ROUND_COUNTED:
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_COUNTED;
    case YM_ROUND_DECLINED:
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_DECLINED;
    case YM_ROUND_LEFT_OUT:
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_LEFT_OUT;
    default:
        break;
    }
    if (s->decision == YM_ROUND_VETOED)
        return YUMEN__V1__SITE_PHASE__SITE_PHASE_VETOED;
    return s->decision == YM_ROUND_APPROVED ? YUMEN__V1__SITE_PHASE__SITE_PHASE_APPROVED
                                            : YUMEN__V1__SITE_PHASE__SITE_PHASE_UNDECIDED;
}

static const char *site_reason(const struct ym_round_site *s)
{
    if (s->revoked)
        return "revoked";
    if (s->reason[0])
        return s->reason;
    if (s->dry_run_failed)
        return "dry_run_failed";
    return s->paused ? "paused" : "";
}

void hub_study_message(const struct hub_study *y, Yumen__V1__Study *m, Yumen__V1__SiteStatus *items,
                       Yumen__V1__SiteStatus **list)
{
    const struct ym_round *r = &y->round;

    yumen__v1__study__init(m);
    m->study = y->plan->study;
    m->sponsor = y->plan->sponsor;
    m->plan_sha256 = ym_message_bytes(y->plan->hash, YM_HASH_BYTES);
    m->phase = (Yumen__V1__StudyPhase)r->phase;
    m->round = r->round;
    m->rounds = y->plan->rounds;
    m->attempt = r->attempt;
    m->state_sha256 = ym_message_bytes(r->state, YM_HASH_BYTES);
    m->reason = (char *)(uintptr_t)r->reason;
    m->n_site = y->plan->site_count;
    m->site = list;
    for (size_t i = 0; i < y->plan->site_count; i++) {
        const struct ym_round_site *s = &r->site[i];

        yumen__v1__site_status__init(&items[i]);
        items[i].hospital = y->plan->site[i].name;
        items[i].phase = site_phase(r, s);
        items[i].since = s->since_s;
        items[i].left_out = s->left_out;
        items[i].reason = (char *)(uintptr_t)site_reason(s);
        items[i].connected = s->connected;
        list[i] = &items[i];
    }
}

static void watcher_send(struct hub_watcher *w)
{
    Yumen__V1__StudyEvent event = YUMEN__V1__STUDY_EVENT__INIT;
    Yumen__V1__Study study;
    Yumen__V1__SiteStatus items[YM_PLAN_MAX_SITES], *list[YM_PLAN_MAX_SITES];
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    hub_study_message(w->study, &study, items, list);
    event.time = ym_clock_unix();
    event.study = &study;
    code = ym_message_pack(&event, &wire, &st);
    if (code == YM_OK)
        code = ym_rpc_call_send(w->call, ym_buf_bytes(&wire));
    else
        ym_log(YM_LOG_ERROR, "hub.event_not_packed", "study=%s error=\"%s\"", w->study->plan->study, st.message);
    w->behind = code == YM_EXHAUSTED;
    if (!w->behind && ym_round_ended(&w->study->round))
        ym_rpc_call_finish(w->call);
    ym_buf_release(&wire);
}

void hub_notify(struct ym_hub *h, struct hub_study *y)
{
    for (struct hub_watcher *w = h->watchers; w; w = w->next)
        if (w->study == y && !w->behind)
            watcher_send(w);
}

static void drain_watcher(struct ym_hub *h, struct hub_job *job)
{
    struct hub_watcher *w = (struct hub_watcher *)((char *)job - offsetof(struct hub_watcher, drain));

    (void)h;
    atomic_store(&w->drain_posted, false);
    if (w->study && w->behind)
        watcher_send(w);
}

static void on_watch_drain(struct ym_rpc_call *call, void *ctx)
{
    struct hub_watcher *w = ym_rpc_call_user(call);

    if (!atomic_exchange(&w->drain_posted, true))
        hub_post_always(ctx, &w->drain);
}

static void attach_watcher(struct ym_hub *h, struct hub_job *job)
{
    struct hub_watcher *w = (struct hub_watcher *)job;
    struct hub_study *y = hub_study_find(h, w->study_name);

    if (!y || strcmp(y->plan->sponsor, w->sponsor) != 0) {
        ym_rpc_call_fail(w->call, YM_NOT_FOUND, "unknown_study: you have no study of that name");
        return;
    }
    w->study = y;
    w->next = h->watchers;
    h->watchers = w;
    watcher_send(w);
}

static void end_watcher(struct ym_hub *h, struct hub_job *job)
{
    struct hub_watcher *w = (struct hub_watcher *)((char *)job - offsetof(struct hub_watcher, end));

    for (struct hub_watcher **at = &h->watchers; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    ym_rpc_call_unref(w->call);
    free(w);
}

void hub_on_watch(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_hub *h = ctx;
    struct ym_status st = YM_STATUS_INIT;
    Yumen__V1__WatchStudyRequest *m = NULL;
    struct hub_watcher *w;

    if (ym_message_unpack(&yumen__v1__watch_study_request__descriptor, request, &m, &st) != YM_OK) {
        hub_fail(call, &st);
        return;
    }
    w = ym_name_valid(m->study) ? calloc(1, sizeof *w) : NULL;
    if (!w) {
        ym_rpc_call_fail(call, YM_NOT_FOUND, "unknown_study: you have no study of that name");
        ym_message_free(m);
        return;
    }
    w->attach.run = attach_watcher;
    w->end.run = end_watcher;
    w->drain.run = drain_watcher;
    w->call = call;
    memcpy(w->study_name, m->study, strlen(m->study));
    memcpy(w->sponsor, ym_rpc_call_who(call)->name, sizeof w->sponsor);
    ym_message_free(m);
    ym_rpc_call_ref(call);
    ym_rpc_call_set_user(call, w);
    ym_rpc_call_on_drain(call, on_watch_drain, h);
    if (!hub_post(h, &w->attach))
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub is busy; try again");
}

void hub_on_watch_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct hub_watcher *w = ym_rpc_call_user(call);

    (void)cancelled;
    if (w)
        hub_post_always(ctx, &w->end);
}

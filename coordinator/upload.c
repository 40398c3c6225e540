#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/hub_internal.h"
#include "models/model.h"

/* Uploads: the core says whether one may begin and where it goes on, the call's
 * own thread appends to the spool, the works thread checks it whole, and the core
 * counts it. One upload writes a site's spool at a time; a newer call of the
 * same site replaces the older one, which may be a dead connection. */

enum upload_state { NEW, BEGINNING, RUNNING, CHECKING, OVER };

struct hub_upload {
    struct hub_work check; /* first: its job is the upload too */
    struct hub_job begin, commit, end;
    struct ym_hub *hub;
    struct ym_rpc_call *call; /* ref */
    char site_name[64];
    _Atomic int state;
    struct ym_buf leaf, first; /* first: data of the first message */
    uint64_t offset;
    bool commit_first;
    struct ym_spool *spool; /* RUNNING: the call's thread's */
    /* core only */
    struct hub_study *study;
    size_t site;
    struct ym_round_event event;
    uint8_t update[YM_HASH_BYTES];
    bool ended, checking;
    enum ym_code code; /* of the check */
    const char *reason;
};

static void reply(struct hub_upload *u, enum ym_code code, const char *reason, uint64_t offset)
{
    Yumen__V1__UploadReply m = YUMEN__V1__UPLOAD_REPLY__INIT;

    atomic_store(&u->state, OVER);
    m.answer = (Yumen__V1__Answer)code;
    m.reason = (char *)(uintptr_t)reason;
    m.offset = offset;
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "hub.upload_refused", "site=%s code=%s reason=%s", u->site_name, ym_code_name(code),
               reason);
    hub_reply(u->call, &m);
}

/* ---- the release leaf ---- */

struct release {
    struct hub_study *study;
    struct ym_round_event event;
    uint8_t update[YM_HASH_BYTES], charge[YM_HASH_BYTES];
};

static bool read_numbers(const json_t *o, struct ym_round_event *e)
{
    int64_t round, attempt, bytes, scale, width;

    if (ym_json_get_int(o, "round", 0, UINT32_MAX, &round, NULL) != YM_OK ||
        ym_json_get_int(o, "attempt", 0, UINT32_MAX, &attempt, NULL) != YM_OK ||
        ym_json_get_int(o, "bytes", 0, INT64_MAX, &bytes, NULL) != YM_OK ||
        ym_json_get_int(o, "scale_bits", 0, 255, &scale, NULL) != YM_OK ||
        ym_json_get_int(o, "width_bits", 0, 255, &width, NULL) != YM_OK)
        return false;
    e->round = (uint32_t)round;
    e->attempt = (uint32_t)attempt;
    e->bytes = (uint64_t)bytes;
    e->scale_bits = (uint32_t)scale;
    e->width_bits = (uint32_t)width;
    return true;
}

static enum ym_code read_members(struct ym_hub *h, const char *site, const json_t *o, struct release *r,
                                 const char **reason)
{
    const char *study = NULL;

    *reason = "malformed";
    if (ym_json_get_str(o, "study", &study, NULL) != YM_OK || !read_numbers(o, &r->event) ||
        ym_json_get_hash(o, "plan", r->event.plan, NULL) != YM_OK ||
        ym_json_get_hash(o, "state", r->event.state, NULL) != YM_OK ||
        ym_json_get_hash(o, "update", r->update, NULL) != YM_OK ||
        ym_json_get_hash(o, "charge", r->charge, NULL) != YM_OK)
        return YM_INVALID;
    *reason = "unknown_study";
    r->study = hub_study_find(h, study);
    if (!r->study || (r->event.site = ym_round_site_find(r->study->plan, site)) == SIZE_MAX)
        return YM_NOT_FOUND;
    r->event.dim = r->study->dim;
    return YM_OK;
}

static struct ym_store_upload upload_row(const struct release *r)
{
    struct ym_store_upload u = {.round = r->event.round, .attempt = r->event.attempt};

    memcpy(u.study, r->study->plan->study, sizeof u.study);
    memcpy(u.site, r->study->plan->site[r->event.site].name, sizeof u.site);
    return u;
}

/* The charge came before, and is the one that the release names. */
static enum ym_code check_charge(struct ym_hub *h, const struct release *r, const char **reason)
{
    struct ym_store_upload row = upload_row(r);
    struct ym_buf charge = {0}, release = {0};
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = h->store->ops->get_upload(h->store, &row, &charge, &release, NULL);

    ym_sha256(charge.data, charge.len, hash);
    *reason = "";
    if (code == YM_NOT_FOUND || (code == YM_OK && !charge.len)) {
        *reason = "no_charge";
        code = YM_CONFLICT;
    } else if (code != YM_OK) {
        *reason = "store";
        code = YM_UNAVAILABLE;
    } else if (memcmp(hash, r->charge, sizeof hash) != 0) {
        *reason = "wrong_charge";
        code = YM_INVALID;
    }
    ym_buf_release(&charge);
    ym_buf_release(&release);
    return code;
}

/* Everything that can be said before a byte of data is taken. On YM_OK the
 * release is binding for the attempt; *reason "repeated" when it was already. */
static enum ym_code take_release(struct ym_hub *h, const char *site, struct ym_bytes leaf, struct release *r,
                                 const char **reason)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_store_upload row;
    struct hub_apply a = {0};
    json_t *o = NULL;
    enum ym_code code = hub_open_leaf(h, site, leaf, "release", &o, reason, &st);

    if (code == YM_OK)
        code = read_members(h, site, o, r, reason);
    json_decref(o);
    if (code != YM_OK)
        return code;
    ym_sha256(leaf.data, leaf.len, r->event.release);
    a.study = r->study;
    a.event = r->event;
    a.event.kind = YM_ROUND_EV_CHARGED; /* is this attempt, this site, still to be heard? */
    code = hub_apply(h, &a);
    *reason = a.reason;
    if (code == YM_OK)
        code = check_charge(h, r, reason);
    if (code != YM_OK)
        return code;
    row = upload_row(r);
    row.complete = r->study->round.site[r->event.site].part == YM_ROUND_COUNTED;
    a.event.kind = r->event.kind = YM_ROUND_EV_UPLOAD;
    a.upload = r->study->round.site[r->event.site].part == YM_ROUND_SAID_READY ? &row : NULL;
    a.release = leaf;
    code = hub_apply(h, &a);
    *reason = a.reason;
    return code;
}

static bool counted(const struct hub_study *y, size_t site)
{
    return y->round.site[site].part == YM_ROUND_COUNTED;
}

static struct ym_spool_key spool_key(const struct ym_hub *h, const struct hub_study *y, const struct ym_round_event *e)
{
    return (struct ym_spool_key){h->spool_dir, y->plan->study, y->plan->site[e->site].name, e->round, e->attempt};
}

/* ---- UploadStatus ---- */

static void handle_status(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__UploadStatusRequest *m = q->message;
    Yumen__V1__UploadStatusReply a = YUMEN__V1__UPLOAD_STATUS_REPLY__INIT;
    struct release r = {0};
    const char *reason = "";
    enum ym_code code = take_release(h, ym_rpc_call_who(q->call)->name, ym_message_view(m->release_leaf), &r, &reason);

    a.answer = (Yumen__V1__Answer)code;
    a.reason = (char *)(uintptr_t)reason;
    if (code == YM_OK) {
        struct ym_spool_key key = spool_key(h, r.study, &r.event);

        a.complete = counted(r.study, r.event.site);
        a.offset = a.complete ? r.event.bytes : ym_spool_arrived(&key);
    }
    hub_reply(q->call, &a);
}

void hub_on_upload_status(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__upload_status_request__descriptor, handle_status);
}

/* ---- data, on the call's thread ---- */

static enum ym_code append_reason(enum ym_code code, const char **reason)
{
    *reason = code == YM_EXHAUSTED ? "disk" : code == YM_INVALID ? "wrong_length" : "store";
    return code == YM_EXHAUSTED || code == YM_INVALID ? code : YM_UNAVAILABLE;
}

static bool append(struct hub_upload *u, struct ym_bytes data)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *reason;
    enum ym_code code = data.len ? ym_spool_append(u->spool, ym_spool_length(u->spool), data, &st) : YM_OK;

    if (code == YM_OK)
        return true;
    code = append_reason(code, &reason);
    ym_log(YM_LOG_WARN, "hub.spool", "site=%s error=\"%s\"", u->site_name, st.message);
    reply(u, code, reason, ym_spool_length(u->spool));
    return false;
}

static void post_commit(struct hub_upload *u)
{
    atomic_store(&u->state, CHECKING);
    ym_rpc_call_pause(u->call, true);
    hub_post_always(u->hub, &u->commit);
}

static void first_message(struct hub_upload *u, const Yumen__V1__UploadChunk *m)
{
    if (m->release_leaf.len == 0) {
        reply(u, YM_INVALID, "malformed", 0);
        return;
    }
    if (ym_buf_append(&u->leaf, m->release_leaf.data, m->release_leaf.len) != YM_OK ||
        ym_buf_append(&u->first, m->data.data, m->data.len) != YM_OK) {
        ym_rpc_call_fail(u->call, YM_EXHAUSTED, "the hub is out of memory");
        return;
    }
    u->offset = m->offset;
    u->commit_first = m->commit;
    atomic_store(&u->state, BEGINNING);
    ym_rpc_call_pause(u->call, true);
    if (!hub_post(u->hub, &u->begin))
        ym_rpc_call_fail(u->call, YM_UNAVAILABLE, "the hub is busy; try again");
}

void hub_on_upload_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx)
{
    struct hub_upload *u = ym_rpc_call_user(call);
    Yumen__V1__UploadChunk *m = NULL;
    struct ym_status st = YM_STATUS_INIT;

    (void)ctx;
    if (!u || atomic_load(&u->state) == OVER)
        return;
    if (ym_message_unpack(&yumen__v1__upload_chunk__descriptor, message, &m, &st) != YM_OK) {
        hub_fail(call, &st);
        return;
    }
    if (atomic_load(&u->state) == NEW)
        first_message(u, m);
    else if (atomic_load(&u->state) == RUNNING && append(u, ym_message_view(m->data)) && m->commit)
        post_commit(u);
    ym_message_free(m);
}

/* Half-close without commit is a drop: what has arrived stays for the next call. */
void hub_on_upload_half_close(struct ym_rpc_call *call, void *ctx)
{
    struct hub_upload *u = ym_rpc_call_user(call);

    (void)ctx;
    if (u && atomic_load(&u->state) == RUNNING)
        reply(u, YM_CONFLICT, "incomplete", ym_spool_length(u->spool));
    else if (u && atomic_load(&u->state) == NEW)
        reply(u, YM_INVALID, "malformed", 0);
}

/* ---- on the core ---- */

static void upload_free(struct hub_upload *u)
{
    ym_spool_close(&u->spool);
    ym_buf_release(&u->leaf);
    ym_buf_release(&u->first);
    ym_rpc_call_unref(u->call);
    free(u);
}

/* u is the site's writer now. */
static void begin_writing(struct ym_hub *h, struct hub_upload *u)
{
    struct ym_spool_key key = spool_key(h, u->study, &u->event);
    struct ym_status st = YM_STATUS_INIT;
    uint64_t offset = 0;
    enum ym_code code;

    u->study->upload[u->site] = u;
    if (hub_disk_low(h, u->event.bytes)) {
        reply(u, YM_EXHAUSTED, "disk", 0);
        return;
    }
    code = ym_spool_open(&key, u->event.bytes, &u->spool, &offset, &st);
    if (code != YM_OK) {
        const char *reason;

        ym_log(YM_LOG_ERROR, "hub.spool", "site=%s error=\"%s\"", u->site_name, st.message);
        code = append_reason(code, &reason);
        reply(u, code, reason, 0);
        return;
    }
    if (offset != u->offset) {
        reply(u, YM_CONFLICT, "wrong_offset", offset);
        return;
    }
    if (!append(u, ym_buf_bytes(&u->first)))
        return;
    ym_buf_release(&u->first);
    if (u->commit_first) {
        atomic_store(&u->state, CHECKING);
        u->commit.run(h, &u->commit);
        return;
    }
    atomic_store(&u->state, RUNNING);
    ym_rpc_call_pause(u->call, false);
}

static void run_begin(struct ym_hub *h, struct hub_job *job)
{
    struct hub_upload *u = (struct hub_upload *)((char *)job - offsetof(struct hub_upload, begin)), *old;
    struct release r = {0};
    const char *reason = "";
    enum ym_code code = take_release(h, u->site_name, ym_buf_bytes(&u->leaf), &r, &reason);

    if (code != YM_OK || counted(r.study, r.event.site)) {
        reply(u, code, reason, code == YM_OK ? r.event.bytes : 0);
        return;
    }
    u->study = r.study;
    u->site = r.event.site;
    u->event = r.event;
    memcpy(u->update, r.update, YM_HASH_BYTES);
    old = u->study->upload[u->site];
    if (!old) {
        begin_writing(h, u);
        return;
    }
    if (u->study->waiting[u->site])
        reply(u->study->waiting[u->site], YM_CONFLICT, "superseded", 0);
    u->study->waiting[u->site] = u;
    if (!old->checking)
        reply(old, YM_CONFLICT, "superseded", 0);
}

static void hand_over(struct ym_hub *h, struct hub_study *y, size_t site)
{
    struct hub_upload *u = y->waiting[site];
    struct hub_apply a = {.study = y};

    y->waiting[site] = NULL;
    if (!u || atomic_load(&u->state) == OVER)
        return;
    a.event = u->event;
    if (hub_apply(h, &a) != YM_OK || counted(y, site))
        reply(u, a.code, a.reason, a.code == YM_OK ? u->event.bytes : 0);
    else
        begin_writing(h, u);
}

/* The call is over and no check runs: u can go. */
static void let_go(struct ym_hub *h, struct hub_upload *u)
{
    struct hub_study *y = u->study;
    size_t site = u->site;
    bool writer = y && y->upload[site] == u;

    if (y && y->waiting[site] == u)
        y->waiting[site] = NULL;
    if (writer)
        y->upload[site] = NULL;
    upload_free(u);
    if (writer)
        hand_over(h, y, site);
}

/* Metrics travel in the rounds that the plan says, and only there was a hospital charged for them; frozen
 * parameters never move. */
static size_t zeros_of(const struct hub_upload *u, struct ym_run run[YM_MODEL_MAX_ZEROS])
{
    const struct ym_plan *plan = u->study->plan;
    struct ym_model m;

    if (ym_model_from_plan(plan, &m, NULL) != YM_OK)
        return 0;
    return ym_model_zeros(&m, ym_plan_metric_due(plan, u->event.round), run);
}

static void check_off_core(struct ym_hub *h, struct hub_work *work)
{
    struct hub_upload *u = (struct hub_upload *)work;
    struct ym_spool_key key = spool_key(h, u->study, &u->event);
    struct ym_run run[YM_MODEL_MAX_ZEROS];
    size_t zeros = zeros_of(u, run);
    struct ym_status st = YM_STATUS_INIT;

    u->reason = "";
    u->code = ym_spool_sync(u->spool, &st);
    if (u->code == YM_OK)
        u->code = ym_spool_check(&key, u->event.bytes, u->update, u->event.width_bits, run, zeros, &u->reason, &st);
    if (u->code != YM_OK && u->reason[0] == 0)
        u->code = append_reason(u->code, &u->reason);
}

static void check_done(struct ym_hub *h, struct hub_job *job)
{
    struct hub_upload *u = (struct hub_upload *)job;
    struct release r = {u->study, u->event, {0}, {0}};
    struct ym_store_upload row = upload_row(&r);
    struct hub_apply a = {.study = u->study, .event = u->event, .upload = &row, .code = u->code, .reason = u->reason};

    u->checking = false;
    row.complete = true;
    a.event.kind = YM_ROUND_EV_UPLOADED;
    if (u->code == YM_OK)
        hub_apply(h, &a);
    reply(u, a.code, a.reason,
          a.code == YM_OK
              ? u->event.bytes
              : ym_spool_arrived(&(struct ym_spool_key){h->spool_dir, row.study, row.site, row.round, row.attempt}));
    if (u->ended)
        let_go(h, u);
}

static void run_commit(struct ym_hub *h, struct hub_job *job)
{
    struct hub_upload *u = (struct hub_upload *)((char *)job - offsetof(struct hub_upload, commit));

    u->checking = true;
    hub_works_post(h, &u->check);
}

static void run_end(struct ym_hub *h, struct hub_job *job)
{
    struct hub_upload *u = (struct hub_upload *)((char *)job - offsetof(struct hub_upload, end));

    u->ended = true;
    if (!u->checking)
        let_go(h, u);
}

void hub_on_upload(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct hub_upload *u = calloc(1, sizeof *u);

    (void)request;
    if (!u) {
        ym_rpc_call_fail(call, YM_EXHAUSTED, "the hub is out of memory");
        return;
    }
    u->check.job.run = check_done;
    u->check.work = check_off_core;
    u->begin.run = run_begin;
    u->commit.run = run_commit;
    u->end.run = run_end;
    u->hub = ctx;
    u->call = call;
    memcpy(u->site_name, ym_rpc_call_who(call)->name, sizeof u->site_name);
    ym_rpc_call_ref(call);
    ym_rpc_call_set_user(call, u);
}

void hub_on_upload_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct hub_upload *u = ym_rpc_call_user(call);

    (void)cancelled;
    if (u)
        hub_post_always(ctx, &u->end);
}

void hub_uploads_stop(struct ym_hub *h, struct hub_study *y)
{
    (void)h;
    for (size_t i = 0; i < y->plan->site_count; i++) {
        struct hub_upload *u = y->upload[i];

        if (y->waiting[i])
            reply(y->waiting[i], YM_DEADLINE, "late", 0);
        if (u && !u->checking && atomic_load(&u->state) != OVER)
            reply(u, YM_DEADLINE, "late", 0);
    }
}

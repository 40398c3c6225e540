#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/seal.h"
#include "coordinator/hub_internal.h"

/* What any enrolled party may read: checkpoint, log, and the objects of its own
 * studies. Streams send from on_drain, one piece at a time, so that a slow
 * reader costs the hub one piece. */

/* ---- GetCheckpoint ---- */

static void handle_checkpoint(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__GetCheckpointRequest *asked = q->message;
    Yumen__V1__Checkpoint m = YUMEN__V1__CHECKPOINT__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf note = {0};
    enum ym_code code = hub_log_flush(h, &st);

    if (code == YM_OK && asked->sealed)
        code = h->sealed ? ym_seal_read(h->ledger_dir, h->sealed, &note, &st)
                         : ym_status_set(&st, YM_NOT_FOUND, "no round has ended yet");
    else if (code == YM_OK)
        code = ym_ledger_checkpoint(h->ledger, &note, &st);
    m.note = ym_message_bytes(note.data, note.len);
    if (code == YM_OK)
        hub_reply(q->call, &m);
    else
        hub_fail(q->call, &st);
    ym_buf_release(&note);
}

void hub_on_checkpoint(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__get_checkpoint_request__descriptor, handle_checkpoint);
}

/* ---- ReadLog ---- */

#define LOG_TURN 32 /* leaves a turn of the core */

struct log_reader {
    struct hub_job more, end;
    struct ym_rpc_call *call; /* ref */
    uint64_t next, until;
    bool started;
    unsigned turn;
    atomic_bool posted;
};

static bool send_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct log_reader *r = ctx;
    Yumen__V1__LogEntry m = YUMEN__V1__LOG_ENTRY__INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    if (index >= r->until || r->turn == LOG_TURN)
        return false;
    m.index = index;
    m.leaf = ym_message_bytes(leaf.data, leaf.len);
    code = ym_message_pack(&m, &wire, NULL);
    if (code == YM_OK)
        code = ym_rpc_call_send(r->call, (struct ym_bytes){wire.data, wire.len});
    ym_buf_release(&wire);
    if (code != YM_OK)
        return false; /* full: on_drain comes; over: the end comes */
    r->next = index + 1;
    r->turn++;
    return true;
}

static void read_more(struct ym_hub *h, struct hub_job *job)
{
    struct log_reader *r = (struct log_reader *)job;
    struct ym_status st = YM_STATUS_INIT;

    atomic_store(&r->posted, false);
    if (!r->started && hub_log_flush(h, &st) != YM_OK) {
        hub_fail(r->call, &st);
        return;
    }
    if (!r->started) {
        uint64_t size = h->logged;

        r->until = r->until == 0 || r->until > size - (r->next < size ? r->next : size) ? size : r->next + r->until;
        r->started = true;
    }
    r->turn = 0;
    if (r->next < r->until && ym_ledger_each(h->ledger, r->next, send_leaf, r, &st) != YM_OK)
        hub_fail(r->call, &st);
    else if (r->next >= r->until)
        ym_rpc_call_finish(r->call);
}

static void on_log_drain(struct ym_rpc_call *call, void *ctx)
{
    struct log_reader *r = ym_rpc_call_user(call);

    if (!atomic_exchange(&r->posted, true))
        hub_post_always(ctx, &r->more);
}

static void end_log(struct ym_hub *h, struct hub_job *job)
{
    struct log_reader *r = (struct log_reader *)((char *)job - offsetof(struct log_reader, end));

    (void)h;
    ym_rpc_call_unref(r->call);
    free(r);
}

void hub_on_read_log(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_status st = YM_STATUS_INIT;
    Yumen__V1__ReadLogRequest *m = NULL;
    struct log_reader *r;

    if (ym_message_unpack(&yumen__v1__read_log_request__descriptor, request, &m, &st) != YM_OK) {
        hub_fail(call, &st);
        return;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        ym_message_free(m);
        ym_rpc_call_fail(call, YM_EXHAUSTED, "the hub is out of memory");
        return;
    }
    r->more.run = read_more;
    r->end.run = end_log;
    r->call = call;
    r->next = m->from;
    r->until = m->limit;
    ym_message_free(m);
    ym_rpc_call_ref(call);
    ym_rpc_call_set_user(call, r);
    ym_rpc_call_on_drain(call, on_log_drain, ctx); /* fires at once: the queue is empty */
}

void hub_on_read_log_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct log_reader *r = ym_rpc_call_user(call);

    (void)cancelled;
    if (r)
        hub_post_always(ctx, &r->end);
}

/* ---- FetchObject ---- */

struct fetcher {
    struct hub_job begin, end;
    struct ym_rpc_call *call; /* ref */
    uint8_t hash[YM_HASH_BYTES];
    Yumen__V1__ObjectPart part;
    uint64_t skip, offset, total, entry; /* skip: bytes of the object before the part */
    int fd;                              /* the core opens it before the first drain; then the call's thread's */
};

struct may_see {
    struct ym_hub *h;
    const struct ym_party *who;
    const uint8_t *hash;
    bool yes, domestic;           /* domestic: the plan's model is for hospitals alone */
    const struct hub_study *kept; /* the object is a state of this study, which keeps its model with hospitals */
    const struct ym_plan *sum_of; /* the object is a sum of this plan, whose party asks; borrowed from the study */
};

static void owner_sees(void *ctx, const char *study, enum ym_store_object kind)
{
    struct may_see *m = ctx;
    struct hub_study *y = hub_study_find(m->h, study);
    size_t site;
    bool theirs;

    if (!y)
        return;
    site = ym_round_site_find(y->plan, m->who->name);
    theirs = m->who->role == YM_ROLE_AUDITOR ||
             (m->who->role == YM_ROLE_SPONSOR && strcmp(y->plan->sponsor, m->who->name) == 0);
    if (!theirs && (m->who->role != YM_ROLE_HOSPITAL || site == SIZE_MAX || y->round.site[site].revoked))
        return;
    if (kind == YM_STORE_SUM)
        m->sum_of = y->plan;
    if (kind == YM_STORE_STATE && y->plan->border.domestic_only)
        m->kept = y;
    if (theirs && y->plan->border.domestic_only && memcmp(m->hash, y->plan->hash, YM_HASH_BYTES) != 0)
        m->domestic = true; /* states, and sums, of which states are made */
    else
        m->yes = true;
}

/* The released counts end a sum; what lies before them are coordinates of the model. */
static enum ym_code skip_to_metrics(struct fetcher *f, const struct ym_plan *plan, struct ym_status *st)
{
    struct ym_model model;
    enum ym_code code = plan ? ym_model_from_plan(plan, &model, st) : YM_NOT_FOUND;

    if (!plan || (code == YM_OK && model.metric_dim == 0))
        return ym_status_set(st, YM_NOT_FOUND, "no_metrics: that is no sum of yours with metrics");
    if (code == YM_OK)
        f->skip = 8 * ym_model_metric_at(&model);
    return code;
}

static enum ym_code may_fetch(struct ym_hub *h, struct fetcher *f, struct ym_status *st)
{
    struct may_see m = {.h = h, .who = ym_rpc_call_who(f->call), .hash = f->hash};
    enum ym_code code = h->store->ops->each_owner(h->store, f->hash, owner_sees, &m, st);

    if (code == YM_OK && f->part == YUMEN__V1__OBJECT_PART__OBJECT_PART_METRICS)
        return skip_to_metrics(f, m.sum_of, st);
    if (code == YM_OK && f->part == YUMEN__V1__OBJECT_PART__OBJECT_PART_SEALED)
        return m.kept ? hub_release_begin(h, f->call, m.kept, f->hash, f->entry, st)
                      : ym_status_set(st, YM_NOT_FOUND,
                                      "no_recipients: that is no state of yours whose model is sealed to anybody");
    if (code == YM_OK && !m.yes && m.domestic)
        return ym_status_set(
            st, YM_DENIED,
            "domestic_only: the plan keeps its model with the hospitals; sponsors and auditors get the "
            "plan, the log and released metrics");
    if (code == YM_OK && !m.yes)
        return ym_status_set(st, YM_NOT_FOUND, "unknown_object: none of yours has that hash");
    return code;
}

static enum ym_code open_file(struct fetcher *f, const char *path, struct ym_status *st)
{
    struct stat info;

    if (path)
        f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &info) != 0)
        return ym_status_set(st, YM_NOT_FOUND, "unknown_object: none of yours has that hash");
    if ((uint64_t)info.st_size < f->skip)
        return ym_status_set(st, YM_CORRUPT, "the object is shorter than its plan says");
    f->total = (uint64_t)info.st_size - f->skip;
    return f->offset <= f->total ? YM_OK : ym_status_set(st, YM_INVALID, "wrong_offset: past the end of the object");
}

static void send_chunk(struct ym_rpc_call *call, void *ctx)
{
    struct fetcher *f = ym_rpc_call_user(call);
    Yumen__V1__Chunk m = YUMEN__V1__CHUNK__INIT;
    struct ym_buf wire = {0};
    uint8_t *data = NULL;
    ssize_t n = 0;

    (void)ctx;
    if (f->offset < f->total) {
        data = malloc(HUB_CHUNK_BYTES);
        n = data ? pread(f->fd, data, HUB_CHUNK_BYTES, (off_t)(f->skip + f->offset)) : -1;
        if (n <= 0) {
            ym_rpc_call_fail(call, YM_UNAVAILABLE, "the object cannot be read");
            free(data);
            return;
        }
    }
    m.offset = f->offset;
    m.total = f->total;
    m.data = ym_message_bytes(data, (size_t)n);
    f->offset += (uint64_t)n;
    if (ym_message_pack(&m, &wire, NULL) != YM_OK ||
        ym_rpc_call_send(call, (struct ym_bytes){wire.data, wire.len}) != YM_OK)
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the object cannot be sent");
    else if (f->offset >= f->total)
        ym_rpc_call_finish(call);
    ym_buf_release(&wire);
    free(data);
}

static void send_file(struct ym_hub *h, struct fetcher *f, const char *path)
{
    struct ym_status st = YM_STATUS_INIT;

    if (open_file(f, path, &st) == YM_OK)
        ym_rpc_call_on_drain(f->call, send_chunk, h);
    else
        hub_fail(f->call, &st);
}

static void begin_fetch(struct ym_hub *h, struct hub_job *job)
{
    struct fetcher *f = (struct fetcher *)job;
    char path[YM_OBJECT_PATH];
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = may_fetch(h, f, &st);

    if (code != YM_OK)
        hub_fail(f->call, &st);
    else if (f->part != YUMEN__V1__OBJECT_PART__OBJECT_PART_SEALED)
        send_file(h, f, ym_object_path(h->object_dir, f->hash, path) == YM_OK ? path : NULL);
}

void hub_fetch_sealed(struct ym_hub *h, struct ym_rpc_call *call, const char *path, const struct ym_status *st)
{
    struct fetcher *f = ym_rpc_call_user(call);

    if (f && st->code != YM_OK)
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "not_sealed: the model could not be sealed; see the hub's log");
    else if (f)
        send_file(h, f, path);
}

static void end_fetch(struct ym_hub *h, struct hub_job *job)
{
    struct fetcher *f = (struct fetcher *)((char *)job - offsetof(struct fetcher, end));

    (void)h;
    if (f->fd >= 0)
        close(f->fd);
    ym_rpc_call_set_user(f->call, NULL); /* what is being sealed for it finds nobody */
    ym_rpc_call_unref(f->call);
    free(f);
}

void hub_on_fetch(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct ym_status st = YM_STATUS_INIT;
    Yumen__V1__FetchRequest *m = NULL;
    struct fetcher *f;

    if (ym_message_unpack(&yumen__v1__fetch_request__descriptor, request, &m, &st) != YM_OK) {
        hub_fail(call, &st);
        return;
    }
    f = m->sha256.len == YM_HASH_BYTES ? calloc(1, sizeof *f) : NULL;
    if (!f) {
        ym_message_free(m);
        ym_rpc_call_fail(call, YM_NOT_FOUND, "unknown_object: none of yours has that hash");
        return;
    }
    f->begin.run = begin_fetch;
    f->end.run = end_fetch;
    f->call = call;
    f->fd = -1;
    memcpy(f->hash, m->sha256.data, YM_HASH_BYTES);
    f->offset = m->offset;
    f->part = m->part;
    f->entry = m->entry;
    ym_message_free(m);
    ym_rpc_call_ref(call);
    ym_rpc_call_set_user(call, f);
    if (!hub_post(ctx, &f->begin))
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub is busy; try again");
}

void hub_on_fetch_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    struct fetcher *f = ym_rpc_call_user(call);

    (void)cancelled;
    if (f)
        hub_post_always(ctx, &f->end);
}

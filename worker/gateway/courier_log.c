#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/gateway/courier_internal.h"

/* The hub's log, relayed to the trainer, which has no network. Nothing is checked
 * here: the trainer checks all of it against the hub's signature. */

enum { CALL_MS = 30000, READ_MS = 600000, EVERY_S = 30, BATCH_BYTES = 192 * 1024 };

struct relay {
    struct ym_courier *c;
    struct ym_bytes note;
    uint64_t turn, next, end; /* entries next .. end - 1 are wanted */
    uint64_t first;           /* of the batch */
    struct ym_buf batch;
    bool broken;
};

void ym_courier_want_log(struct ym_courier *c)
{
    pthread_mutex_lock(&c->lock);
    c->log_due = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void ym_courier_log_done(struct ym_courier *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->log_flying > 0)
        c->log_flying--;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

/* ---- sessions ---- */

static enum ym_code read_session(struct ym_bytes line, uint64_t *from, struct ym_status *st)
{
    json_t *o = NULL;
    int64_t next = 0;
    enum ym_code code = ym_leaf_parse(line, &o, st);

    if (code == YM_OK)
        code = ym_json_get_int(o, "log_from", 0, INT64_MAX, &next, st);
    *from = (uint64_t)next;
    json_decref(o);
    return code;
}

/* True when the stream that stands was opened with another session. */
static bool adopt_session(struct ym_courier *c, struct ym_bytes line, uint64_t from)
{
    bool other;

    pthread_mutex_lock(&c->lock);
    other = c->had_session;
    c->had_session = true;
    ym_buf_clear(&c->session);
    ym_buf_append(&c->session, line.data, line.len);
    c->log_next = from;
    c->log_turn++;
    c->log_due = true;
    c->log_flying = 0;
    other &= c->wire != NULL;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    return other;
}

void ym_courier_trainer_gone(struct ym_courier *c)
{
    pthread_mutex_lock(&c->lock);
    ym_buf_clear(&c->session);
    c->log_turn++;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

bool ym_courier_event_stale(struct ym_courier *c, const struct ym_courier_event *e)
{
    bool stale;

    pthread_mutex_lock(&c->lock);
    stale = (e->kind == YM_EVENT_LOG || e->kind == YM_EVENT_CHECKPOINT) && e->turn != c->log_turn;
    pthread_mutex_unlock(&c->lock);
    return stale;
}

enum ym_code ym_courier_session(struct ym_courier *c, struct ym_bytes line, struct ym_status *st)
{
    uint64_t from;
    enum ym_code code = read_session(line, &from, st);

    if (code == YM_OK && adopt_session(c, line, from))
        code = ym_wire_renew(c, st); /* the hub shall hear what this one says */
    return code;
}

/* ---- relaying ---- */

static void tell(struct relay *r, enum ym_event_kind kind, struct ym_buf *payload)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);

    if (!e)
        return;
    e->kind = kind;
    e->payload = *payload;
    e->turn = r->turn;
    e->first = r->first;
    e->end = r->next;
    memset(payload, 0, sizeof *payload);
    ym_courier_tell(r->c, &e);
}

/* Hand the batch on, when few enough are under way. False: stopping, or a new session. */
static bool hand_on(struct relay *r)
{
    struct ym_courier *c = r->c;
    bool wanted;

    if (r->batch.len == 0)
        return true;
    pthread_mutex_lock(&c->lock);
    while (!c->stop && c->log_turn == r->turn && c->log_flying >= YM_COURIER_LOG)
        pthread_cond_wait(&c->wake, &c->lock);
    wanted = !c->stop && c->log_turn == r->turn;
    if (wanted) {
        c->log_flying++;
        c->log_next = r->next;
    }
    pthread_mutex_unlock(&c->lock);
    if (wanted)
        tell(r, YM_EVENT_LOG, &r->batch);
    ym_buf_clear(&r->batch);
    r->first = r->next;
    return wanted;
}

static bool on_entry(void *ctx, struct ym_bytes message)
{
    struct relay *r = ctx;
    Yumen__V1__LogEntry *e = NULL;
    uint8_t head[2];

    if (ym_message_unpack(&yumen__v1__log_entry__descriptor, message, &e, NULL) != YM_OK) {
        r->broken = true;
        return false;
    }
    head[0] = (uint8_t)(e->leaf.len >> 8);
    head[1] = (uint8_t)e->leaf.len;
    r->broken = e->index != r->next || e->leaf.len > YM_LEAF_MAX || ym_buf_append(&r->batch, head, 2) != YM_OK ||
                ym_buf_append(&r->batch, e->leaf.data, e->leaf.len) != YM_OK;
    ym_message_free(e);
    if (r->broken)
        return false;
    r->next++;
    if (r->batch.len >= BATCH_BYTES && !hand_on(r))
        return false;
    return r->next < r->end;
}

static enum ym_code read_log(struct ym_wire *w, struct relay *r, struct ym_status *st)
{
    Yumen__V1__ReadLogRequest m = YUMEN__V1__READ_LOG_REQUEST__INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    m.from = r->next;
    m.limit = r->end - r->next;
    code = ym_message_pack(&m, &wire, st);
    if (code == YM_OK)
        code = ym_rpc_read_stream(w->client, "/yumen.v1.Federation/ReadLog", ym_buf_bytes(&wire), READ_MS, on_entry, r,
                                  st);
    ym_buf_release(&wire);
    if (code == YM_OK && (r->broken || r->next < r->end))
        code = ym_status_set(st, YM_UNAVAILABLE, "the hub's log broke off at entry %llu", (unsigned long long)r->next);
    return code;
}

static enum ym_code get_checkpoint(struct ym_wire *w, bool sealed, struct ym_buf *note, struct ym_status *st)
{
    Yumen__V1__GetCheckpointRequest m = YUMEN__V1__GET_CHECKPOINT_REQUEST__INIT;
    Yumen__V1__Checkpoint *r = NULL;
    struct ym_buf wire = {0}, reply = {0};
    enum ym_code code;

    m.sealed = sealed;
    code = ym_message_pack(&m, &wire, st);
    if (code == YM_OK)
        code = ym_rpc_client_wait(w->client, CALL_MS, st);
    if (code == YM_OK)
        code = ym_rpc_unary(w->client, "/yumen.v1.Federation/GetCheckpoint", ym_buf_bytes(&wire), CALL_MS, true, &reply,
                            st);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__checkpoint__descriptor, ym_buf_bytes(&reply), &r, st);
    if (code == YM_OK)
        code = ym_buf_append(note, r->note.data, r->note.len);
    ym_message_free(r);
    ym_buf_release(&wire);
    ym_buf_release(&reply);
    return code;
}

/* The second line of a checkpoint. The trainer reads it for itself. */
static uint64_t size_of(const struct ym_buf *note)
{
    const char *line = note->len ? memchr(note->data, '\n', note->len) : NULL;

    return line ? strtoull(line + 1, NULL, 10) : 0;
}

/* Others' cosignatures are not the trainer's business: its door to the hub has one size. */
static void cut_cosignatures(struct ym_buf *note)
{
    const char *blank = note->len ? memmem(note->data, note->len, "\n\n", 2) : NULL;
    const char *end = blank ? strchr(blank + 2, '\n') : NULL;

    if (end)
        note->len = (size_t)(end + 1 - (const char *)note->data);
}

static enum ym_code relay_to(struct ym_wire *w, struct relay *r, struct ym_buf *note, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    r->end = size_of(note);
    if (r->next < r->end)
        code = read_log(w, r, st);
    if (code == YM_OK && hand_on(r) && note->len > 0)
        tell(r, YM_EVENT_CHECKPOINT, note);
    return code;
}

/* The checkpoint that ends a round goes first, for the trainer cosigns that one, which all
 * hospitals are given. The newest is asked for before it, so that no round's end is passed over. */
static enum ym_code relay_once(struct ym_courier *c, uint64_t turn, uint64_t from, struct ym_status *st)
{
    struct relay r = {.c = c, .turn = turn, .next = from, .first = from};
    struct ym_buf newest = {0}, sealed = {0};
    struct ym_wire *w = ym_wire_get(c);
    enum ym_code code = w ? get_checkpoint(w, false, &newest, st) : YM_UNAVAILABLE;

    if (code == YM_OK)
        code = get_checkpoint(w, true, &sealed, st);
    if (code == YM_NOT_FOUND)
        code = YM_OK;
    cut_cosignatures(&sealed);
    if (code == YM_OK && size_of(&sealed) > from)
        code = relay_to(w, &r, &sealed, st);
    if (code == YM_OK && (r.next == from || size_of(&newest) > r.next))
        code = relay_to(w, &r, &newest, st);
    ym_wire_put(c, w);
    ym_buf_release(&r.batch);
    ym_buf_release(&newest);
    ym_buf_release(&sealed);
    return code;
}

/* Waits until the trainer wants more; false when stopping. */
static bool wait_due(struct ym_courier *c, uint64_t *turn, uint64_t *from)
{
    struct timespec until;
    bool go;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += EVERY_S;
    pthread_mutex_lock(&c->lock);
    while (!c->stop && (c->session.len == 0 || !c->wire || !c->log_due))
        if (pthread_cond_timedwait(&c->wake, &c->lock, &until) != 0) {
            c->log_due = true; /* now and then, whatever happens */
            until.tv_sec += EVERY_S;
        }
    go = !c->stop;
    c->log_due = false;
    *turn = c->log_turn;
    *from = c->log_next;
    pthread_mutex_unlock(&c->lock);
    return go;
}

void *ym_log_main(void *arg)
{
    struct ym_courier *c = arg;
    uint64_t turn, from;
    int64_t backoff = 0;

    while (wait_due(c, &turn, &from)) {
        struct ym_status st = YM_STATUS_INIT;
        enum ym_code code = relay_once(c, turn, from, &st);

        if (code == YM_OK) {
            backoff = 0;
            continue;
        }
        ym_log(YM_LOG_TRACE, "gateway.log", "code=%s why=\"%s\"", ym_code_name(code), st.message);
        ym_courier_want_log(c);
        if (!ym_backoff_wait(c, &backoff))
            break;
    }
    return NULL;
}

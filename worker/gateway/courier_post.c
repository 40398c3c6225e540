#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/gateway/courier_internal.h"

enum { CALL_MS = 30000, UPLOAD_MS = 600000, CHUNK_BYTES = 256 * 1024 };

/* A call's own failure is the hub's word about the caller, unless it passes. */
static bool call_passing(enum ym_code code)
{
    return code == YM_UNAVAILABLE || code == YM_DEADLINE || code == YM_UNCERTAIN || code == YM_EXHAUSTED;
}

static enum ym_code call(struct ym_courier *c, const char *path, const struct ym_buf *wire, struct ym_buf *reply,
                         struct ym_status *st)
{
    struct ym_wire *w = ym_wire_get(c);
    enum ym_code code =
        w ? ym_rpc_unary(w->client, path, ym_buf_bytes(wire), CALL_MS, true, reply, st) : YM_UNAVAILABLE;

    ym_wire_put(c, w);
    return code;
}

/* ---- lines ---- */

static enum ym_code post_once(struct ym_courier *c, const struct ym_buf *wire, enum ym_code *answer, char reason[64],
                              struct ym_status *st)
{
    Yumen__V1__PostReply *r = NULL;
    struct ym_buf reply = {0};
    enum ym_code code = call(c, "/yumen.v1.Worker/Post", wire, &reply, st);

    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__post_reply__descriptor, ym_buf_bytes(&reply), &r, st);
    if (code == YM_OK) {
        *answer = (enum ym_code)r->answer;
        snprintf(reason, 64, "%s", r->reason);
    }
    ym_message_free(r);
    ym_buf_release(&reply);
    return code;
}

enum ym_code ym_post_line(struct ym_courier *c, struct ym_bytes line, enum ym_code *answer, char reason[64])
{
    Yumen__V1__PostRequest m = YUMEN__V1__POST_REQUEST__INIT;
    struct ym_buf wire = {0};
    struct ym_status st = YM_STATUS_INIT;
    int64_t backoff = 0;
    enum ym_code code;

    m.leaf = ym_message_bytes(line.data, line.len);
    code = ym_message_pack(&m, &wire, &st);
    while (code == YM_OK) {
        code = post_once(c, &wire, answer, reason, &st);
        if (code == YM_OK && !ym_answer_passing(*answer))
            break;
        if (code != YM_OK && !call_passing(code)) {
            *answer = code;
            reason[0] = 0;
            code = YM_OK;
            break;
        }
        code = ym_backoff_wait(c, &backoff) ? YM_OK : YM_UNAVAILABLE;
    }
    ym_buf_release(&wire);
    return code;
}

void *ym_post_main(void *arg)
{
    struct ym_courier *c = arg;
    struct ym_parcel *p;

    while ((p = ym_queue_wait(c, &c->post)) != NULL) {
        enum ym_code answer = YM_OK;
        char reason[64] = "";

        if (ym_post_line(c, ym_buf_bytes(&p->a), &answer, reason) == YM_OK)
            ym_courier_answer(c, ym_buf_bytes(&p->a), answer, reason);
        ym_parcel_free(&p);
    }
    return NULL;
}

/* ---- uploads ---- */

struct upload {
    const struct ym_parcel *p;
    int fd;
    uint64_t at, bytes;
    bool first, committed, broken;
};

static bool next_chunk(void *ctx, struct ym_buf *message)
{
    struct upload *u = ctx;
    Yumen__V1__UploadChunk m = YUMEN__V1__UPLOAD_CHUNK__INIT;
    uint8_t *data = NULL;
    ssize_t n = 0;
    bool ok;

    if (u->committed || u->broken)
        return false;
    m.offset = u->at;
    if (u->first)
        m.release_leaf = ym_message_bytes(u->p->b.data, u->p->b.len);
    if (u->at < u->bytes) {
        data = malloc(CHUNK_BYTES);
        n = data ? pread(u->fd, data, CHUNK_BYTES, (off_t)u->at) : -1;
        u->broken = n <= 0;
        m.data = ym_message_bytes(data, n > 0 ? (size_t)n : 0);
    } else {
        m.commit = true;
        u->committed = !u->first; /* the first message only opens */
        m.commit = u->committed;
    }
    u->first = false;
    ok = !u->broken && ym_message_pack(&m, message, NULL) == YM_OK;
    if (ok && n > 0)
        u->at += (uint64_t)n;
    u->broken |= !ok;
    free(data);
    return ok;
}

static enum ym_code ask_status(struct ym_courier *c, const struct ym_parcel *p, enum ym_code *answer, char reason[64],
                               uint64_t *offset, bool *complete, struct ym_status *st)
{
    Yumen__V1__UploadStatusRequest m = YUMEN__V1__UPLOAD_STATUS_REQUEST__INIT;
    Yumen__V1__UploadStatusReply *r = NULL;
    struct ym_buf wire = {0}, reply = {0};
    enum ym_code code;

    m.release_leaf = ym_message_bytes(p->b.data, p->b.len);
    code = ym_message_pack(&m, &wire, st);
    if (code == YM_OK)
        code = call(c, "/yumen.v1.Worker/UploadStatus", &wire, &reply, st);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__upload_status_reply__descriptor, ym_buf_bytes(&reply), &r, st);
    if (code == YM_OK) {
        *answer = (enum ym_code)r->answer;
        *offset = r->offset;
        *complete = r->complete;
        snprintf(reason, 64, "%s", r->reason);
    }
    ym_message_free(r);
    ym_buf_release(&wire);
    ym_buf_release(&reply);
    return code;
}

static enum ym_code send_bytes(struct ym_courier *c, struct upload *u, enum ym_code *answer, char reason[64],
                               struct ym_status *st)
{
    Yumen__V1__UploadReply *r = NULL;
    struct ym_buf reply = {0};
    struct ym_wire *w = ym_wire_get(c);
    enum ym_code code = w ? ym_rpc_client_wait(w->client, CALL_MS, st) : YM_UNAVAILABLE;

    u->first = true;
    u->committed = false;
    if (code == YM_OK)
        code = ym_rpc_write_stream(w->client, "/yumen.v1.Worker/Upload", UPLOAD_MS, next_chunk, u, &reply, st);
    ym_wire_put(c, w);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__upload_reply__descriptor, ym_buf_bytes(&reply), &r, st);
    if (code == YM_OK) {
        *answer = (enum ym_code)r->answer;
        snprintf(reason, 64, "%s", r->reason);
    }
    ym_message_free(r);
    ym_buf_release(&reply);
    return code;
}

/* One attempt: where is the hub, then the rest. A wrong offset is asked again. */
static enum ym_code upload_once(struct ym_courier *c, struct upload *u, enum ym_code *answer, char reason[64],
                                struct ym_status *st)
{
    bool complete = false;
    enum ym_code code = ask_status(c, u->p, answer, reason, &u->at, &complete, st);

    if (code != YM_OK || *answer != YM_OK || complete)
        return code;
    if (u->at > u->bytes)
        return ym_status_set(st, YM_CORRUPT, "the hub says it has more than there is");
    code = send_bytes(c, u, answer, reason, st);
    if (u->broken)
        return ym_status_set(st, YM_CORRUPT, "the spooled update cannot be read");
    if (code == YM_OK && *answer == YM_CONFLICT && strcmp(reason, "wrong_offset") == 0)
        *answer = YM_UNAVAILABLE;
    return code;
}

static enum ym_code upload_bytes(struct ym_courier *c, const struct ym_parcel *p, enum ym_code *answer, char reason[64])
{
    struct upload u = {.p = p};
    struct ym_status st = YM_STATUS_INIT;
    int64_t backoff = 0;
    enum ym_code code = YM_OK;
    off_t end;

    u.fd = open(p->path, O_RDONLY | O_CLOEXEC);
    end = u.fd < 0 ? -1 : lseek(u.fd, 0, SEEK_END);
    if (end < 0)
        code = YM_CORRUPT;
    u.bytes = end < 0 ? 0 : (uint64_t)end;
    while (code == YM_OK) {
        code = upload_once(c, &u, answer, reason, &st);
        if (code == YM_OK && !ym_answer_passing(*answer))
            break;
        if (code != YM_OK && !call_passing(code)) {
            ym_log(YM_LOG_WARN, "gateway.upload", "code=%s why=\"%s\"", ym_code_name(code), st.message);
            *answer = code;
            reason[0] = 0;
            code = YM_OK;
            break;
        }
        code = ym_backoff_wait(c, &backoff) ? YM_OK : YM_UNAVAILABLE;
    }
    if (u.fd >= 0)
        close(u.fd);
    return code;
}

void *ym_upload_main(void *arg)
{
    struct ym_courier *c = arg;
    struct ym_parcel *p;

    while ((p = ym_queue_wait(c, &c->upload)) != NULL) {
        enum ym_code answer = YM_OK, code;
        char reason[64] = "";

        code = ym_post_line(c, ym_buf_bytes(&p->a), &answer, reason);
        if (code == YM_OK && answer == YM_OK)
            code = upload_bytes(c, p, &answer, reason);
        unlink(p->path);
        if (code == YM_OK) {
            ym_log(YM_LOG_INFO, "gateway.upload", "answer=%s reason=%s", ym_code_name(answer), reason);
            ym_courier_answer(c, ym_buf_bytes(&p->b), answer, reason);
        }
        ym_parcel_free(&p);
    }
    return NULL;
}

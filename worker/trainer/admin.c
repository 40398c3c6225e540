#include "worker/trainer/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/json.h"

enum { STEP_MAX = 32 };

struct ym_admin {
    void *socket;
    ym_admin_fn fn;
    void *ctx;
};

static void set_int(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static void bound_messages(void *socket, int64_t bytes)
{
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &bytes, sizeof bytes);
    set_int(socket, ZMQ_LINGER, 0);
}

enum ym_code ym_admin_open(void *zmq_context, const char *endpoint, ym_admin_fn fn, void *ctx, struct ym_admin **out,
                           struct ym_status *st)
{
    struct ym_admin *a = calloc(1, sizeof *a);

    if (!a)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the admin socket");
    a->fn = fn;
    a->ctx = ctx;
    a->socket = zmq_socket(zmq_context, ZMQ_ROUTER);
    if (a->socket)
        bound_messages(a->socket, YM_ADMIN_REQUEST_MAX);
    if (!a->socket || zmq_bind(a->socket, endpoint) != 0) {
        ym_status_set(st, YM_UNAVAILABLE, "cannot bind \"%s\": %s", endpoint, zmq_strerror(errno));
        ym_admin_close(&a);
        return YM_UNAVAILABLE;
    }
    *out = a;
    return YM_OK;
}

void ym_admin_close(struct ym_admin **a)
{
    if (*a && (*a)->socket)
        zmq_close((*a)->socket);
    free(*a);
    *a = NULL;
}

void *ym_admin_socket(const struct ym_admin *a)
{
    return a->socket;
}

static void send_reply(struct ym_admin *a, const struct ym_ticket *t, const struct ym_buf *text)
{
    if (zmq_send(a->socket, t->id, t->len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return; /* the asker is gone */
    zmq_send(a->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(a->socket, text->data, text->len, ZMQ_DONTWAIT);
}

void ym_admin_reply(struct ym_admin *a, const struct ym_ticket *ticket, const json_t *reply)
{
    struct ym_buf text = {0};
    struct ym_status st = YM_STATUS_INIT;

    if (ticket->len == 0)
        return;
    if (!reply || ym_json_canonical(reply, &text, &st) != YM_OK || text.len > YM_ADMIN_REPLY_MAX) {
        ym_buf_clear(&text);
        ym_buf_puts(&text, "{\"code\":\"exhausted\",\"message\":\"the answer is too long\",\"ok\":false}");
    }
    send_reply(a, ticket, &text);
    ym_buf_wipe(&text);
}

void ym_admin_fail(struct ym_admin *a, const struct ym_ticket *ticket, const struct ym_status *st)
{
    json_t *o = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", ym_code_name(st->code), "message", st->message);

    ym_admin_reply(a, ticket, o);
    json_decref(o);
}

static void take_request(struct ym_admin *a, const struct ym_ticket *t, const void *data, size_t len)
{
    struct ym_status st = YM_STATUS_INIT;
    json_t *o = NULL;

    if (ym_json_parse(data, len, YM_ADMIN_REQUEST_MAX, &o, &st) != YM_OK)
        ym_admin_fail(a, t, &st);
    else
        a->fn(a->ctx, t, o);
    json_decref(o);
}

/* libzmq says ":uid:gid:pid" (SO_PEERCRED) of a peer on a unix socket. */
static int64_t account_of(zmq_msg_t *m)
{
    const char *peer = zmq_msg_gets(m, "Peer-Address"), *digits = peer ? strchr(peer, ':') : NULL;
    char *end = NULL;
    unsigned long uid = digits ? strtoul(digits + 1, &end, 10) : 0;

    return end && end > digits + 1 && *end == ':' && uid < UINT32_MAX ? (int64_t)uid : -1;
}

/* A REQ peer sends an empty part before its body. */
static bool receive(struct ym_admin *a)
{
    struct ym_ticket t = {0};
    int parts = 0;
    bool more = true, any = false;

    while (more) {
        zmq_msg_t m;

        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, a->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&m);
            return any;
        }
        any = true;
        more = zmq_msg_more(&m);
        if (parts == 0 && zmq_msg_size(&m) <= sizeof t.id) {
            t.len = zmq_msg_size(&m);
            memcpy(t.id, zmq_msg_data(&m), t.len);
        } else if (parts == 2 && !more && t.len > 0) {
            t.account = account_of(&m);
            take_request(a, &t, zmq_msg_data(&m), zmq_msg_size(&m));
        }
        parts++;
        zmq_msg_close(&m);
    }
    return any;
}

void ym_admin_step(struct ym_admin *a)
{
    for (int i = 0; i < STEP_MAX && receive(a); i++)
        ;
}

/* ---- client ---- */

static enum ym_code code_named(const char *word)
{
    for (int c = YM_INVALID; c <= YM_INTERNAL; c++)
        if (strcmp(ym_code_name((enum ym_code)c), word) == 0)
            return (enum ym_code)c;
    return YM_INTERNAL;
}

static enum ym_code read_reply(zmq_msg_t *m, json_t **reply, struct ym_status *st)
{
    json_t *o = NULL;
    const char *word = "", *message = "";
    enum ym_code code = ym_json_parse(zmq_msg_data(m), zmq_msg_size(m), YM_ADMIN_REPLY_MAX, &o, st);

    if (code != YM_OK)
        return code;
    if (json_is_true(json_object_get(o, "ok"))) {
        *reply = o;
        return YM_OK;
    }
    ym_json_get_str(o, "code", &word, NULL);
    ym_json_get_str(o, "message", &message, NULL);
    code = ym_status_set(st, code_named(word), "%s", message);
    json_decref(o);
    return code;
}

static enum ym_code exchange(void *socket, const struct ym_buf *text, int wait_ms, json_t **reply, struct ym_status *st)
{
    zmq_msg_t m;
    enum ym_code code;

    set_int(socket, ZMQ_RCVTIMEO, wait_ms);
    set_int(socket, ZMQ_SNDTIMEO, wait_ms);
    if (zmq_send(socket, text->data, text->len, 0) < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "the trainer does not answer");
    zmq_msg_init(&m);
    if (zmq_msg_recv(&m, socket, 0) < 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "the trainer does not answer");
    else
        code = read_reply(&m, reply, st);
    zmq_msg_close(&m);
    return code;
}

enum ym_code ym_admin_call(const char *endpoint, const json_t *request, int wait_ms, json_t **reply,
                           struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_json_canonical(request, &text, st);
    void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_REQ) : NULL;

    if (code == YM_OK && !socket)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot make a socket: %s", zmq_strerror(errno));
    if (socket)
        bound_messages(socket, YM_ADMIN_REPLY_MAX);
    if (code == YM_OK && zmq_connect(socket, endpoint) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot connect to \"%s\": %s", endpoint, zmq_strerror(errno));
    if (code == YM_OK)
        code = exchange(socket, &text, wait_ms, reply, st);
    if (socket)
        zmq_close(socket);
    if (context)
        zmq_ctx_term(context);
    ym_buf_release(&text);
    return code;
}

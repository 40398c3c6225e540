#include "worker/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/rng.h"

enum { RETIRED = 16, DRAIN_MAX = 64, ROUTE_MAX = 255 };

struct ym_link {
    struct ym_link_events events;
    uint64_t self, peer;
    bool up;
    uint64_t next;                        /* sequence of the next frame sent */
    uint64_t acked;                       /* last sequence the peer has taken */
    struct ym_buf window[YM_LINK_WINDOW]; /* slot of sequence s: s % YM_LINK_WINDOW */
    uint64_t seen;                        /* last sequence taken from the peer */
    bool owes_ack;
    int64_t heard_ms, hello_ms, progress_ms;
    uint64_t retired[RETIRED];
    size_t retired_next;
    uint64_t dropped;
    void *socket;
    bool router;
    uint8_t route[ROUTE_MAX];
    size_t route_len;
    uint8_t from_route[ROUTE_MAX]; /* of the message being read */
    size_t from_route_len;
};

struct ym_link *ym_link_new(uint64_t id, const struct ym_link_events *events)
{
    struct ym_link *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->events = *events;
    l->self = id;
    l->next = 1;
    l->hello_ms = INT64_MIN / 2;
    l->heard_ms = INT64_MIN / 2;
    return l;
}

static void clear_window(struct ym_link *l)
{
    for (size_t i = 0; i < YM_LINK_WINDOW; i++)
        ym_buf_release(&l->window[i]);
}

void ym_link_free(struct ym_link *l)
{
    if (!l)
        return;
    if (l->socket)
        zmq_close(l->socket);
    clear_window(l);
    free(l);
}

void *ym_link_socket(const struct ym_link *l)
{
    return l->socket;
}

/* ---- transport ---- */

/* Never blocks: what the socket cannot take is re-sent by the timer. */
static void emit_socket(struct ym_link *l, const uint8_t *message, size_t len)
{
    if (l->router) {
        if (l->route_len == 0)
            return;
        if (zmq_send(l->socket, l->route, l->route_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
            return;
    }
    zmq_send(l->socket, message, len, ZMQ_DONTWAIT);
}

static void emit(struct ym_link *l, const uint8_t *message, size_t len)
{
    if (l->socket)
        emit_socket(l, message, len);
    else
        l->events.emit(l->events.ctx, message, len);
    l->owes_ack = false;
}

static void say_hello(struct ym_link *l, int64_t now_ms)
{
    struct ym_frame f = {.kind = YM_FRAME_HELLO, .from = l->self, .to = l->peer, .acknowledged = l->seen};
    struct ym_buf b = {0};

    if (ym_frame_encode(&f, &b, NULL) == YM_OK)
        emit(l, b.data, b.len);
    ym_buf_release(&b);
    l->hello_ms = now_ms;
}

static void resend(struct ym_link *l, int64_t now_ms)
{
    for (uint64_t s = l->acked + 1; s < l->next; s++) {
        struct ym_buf *b = &l->window[s % YM_LINK_WINDOW];

        ym_frame_restamp(b->data, l->peer, l->seen);
        emit(l, b->data, b->len);
    }
    l->progress_ms = now_ms;
}

/* ---- session ---- */

static bool is_retired(const struct ym_link *l, uint64_t id)
{
    for (size_t i = 0; i < RETIRED; i++)
        if (l->retired[i] == id)
            return true;
    return false;
}

static void start_pair(struct ym_link *l, uint64_t peer)
{
    if (l->peer) {
        l->retired[l->retired_next] = l->peer;
        l->retired_next = (l->retired_next + 1) % RETIRED;
    }
    clear_window(l);
    l->peer = peer;
    l->up = false;
    l->next = 1;
    l->acked = 0;
    l->seen = 0;
}

static void take_ack(struct ym_link *l, uint64_t acknowledged, int64_t now_ms)
{
    if (acknowledged <= l->acked || acknowledged >= l->next)
        return;
    while (l->acked < acknowledged) {
        l->acked++;
        ym_buf_release(&l->window[l->acked % YM_LINK_WINDOW]);
    }
    l->progress_ms = now_ms;
}

void ym_link_input(struct ym_link *l, const void *message, size_t len, int64_t now_ms)
{
    struct ym_frame f;

    if (ym_frame_decode((struct ym_bytes){message, len}, &f, NULL) != YM_OK || f.from == l->self ||
        is_retired(l, f.from)) {
        l->dropped++;
        return;
    }
    if (f.from != l->peer) {
        if (f.kind != YM_FRAME_HELLO) { /* a numbered frame of nobody we know */
            l->dropped++;
            return;
        }
        start_pair(l, f.from);
    }
    if (l->router) {
        memcpy(l->route, l->from_route, l->from_route_len);
        l->route_len = l->from_route_len;
    }
    l->heard_ms = now_ms;
    if (f.to != l->self) { /* it does not know us yet: tell it */
        say_hello(l, now_ms);
        return;
    }
    take_ack(l, f.acknowledged, now_ms);
    if (!l->up) {
        l->up = true;
        l->progress_ms = now_ms;
        say_hello(l, now_ms);
        l->events.up(l->events.ctx);
    }
    if (f.kind == YM_FRAME_HELLO)
        return;
    l->owes_ack = true;
    if (f.sequence != l->seen + 1) {
        l->dropped++;
        return;
    }
    l->seen++;
    l->events.frame(l->events.ctx, &f);
}

static bool receive_one(struct ym_link *l, int64_t now_ms)
{
    zmq_msg_t m;
    int parts = 0;
    bool more = true;
    bool any = false;

    while (more) {
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, l->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&m);
            return any;
        }
        any = true;
        more = zmq_msg_more(&m);
        if (l->router && parts == 0) {
            size_t n = zmq_msg_size(&m);

            l->from_route_len = n <= ROUTE_MAX ? n : 0;
            memcpy(l->from_route, zmq_msg_data(&m), l->from_route_len);
        } else if (parts == (l->router ? 1 : 0) && !more) {
            ym_link_input(l, zmq_msg_data(&m), zmq_msg_size(&m), now_ms);
        } else {
            l->dropped++;
        }
        parts++;
        zmq_msg_close(&m);
    }
    return any;
}

void ym_link_step(struct ym_link *l, int64_t now_ms)
{
    if (l->socket)
        for (int i = 0; i < DRAIN_MAX && receive_one(l, now_ms); i++)
            ;
    if (l->up && l->acked + 1 < l->next && now_ms - l->progress_ms >= YM_LINK_RESEND_MS)
        resend(l, now_ms);
    if (l->owes_ack || now_ms - l->hello_ms >= YM_LINK_HELLO_MS)
        say_hello(l, now_ms);
}

size_t ym_link_room(const struct ym_link *l)
{
    return l->up ? YM_LINK_WINDOW - (size_t)(l->next - 1 - l->acked) : 0;
}

enum ym_code ym_link_send(struct ym_link *l, const struct ym_frame *frame, int64_t now_ms, struct ym_status *st)
{
    struct ym_frame f = *frame;
    struct ym_buf *slot = &l->window[l->next % YM_LINK_WINDOW];
    enum ym_code code;

    if (!l->up)
        return ym_status_set(st, YM_UNAVAILABLE, "the other end of the socket is not there");
    if (ym_link_room(l) == 0)
        return ym_status_set(st, YM_EXHAUSTED, "%d frames wait for their acknowledgement", YM_LINK_WINDOW);
    f.from = l->self;
    f.to = l->peer;
    f.sequence = l->next;
    f.acknowledged = l->seen;
    ym_buf_clear(slot);
    code = ym_frame_encode(&f, slot, st);
    if (code != YM_OK)
        return code;
    if (l->acked + 1 == l->next)
        l->progress_ms = now_ms;
    l->next++;
    emit(l, slot->data, slot->len);
    return YM_OK;
}

bool ym_link_connected(const struct ym_link *l, int64_t now_ms)
{
    return l->up && now_ms - l->heard_ms < YM_LINK_SILENT_MS;
}

bool ym_link_idle(const struct ym_link *l)
{
    return l->acked + 1 == l->next;
}

uint64_t ym_link_dropped(const struct ym_link *l)
{
    return l->dropped;
}

/* ---- opening ---- */

static enum ym_code set_options(void *socket, struct ym_status *st)
{
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_LINGER, 0},           {ZMQ_SNDHWM, 2 * YM_LINK_WINDOW}, {ZMQ_RCVHWM, 2 * YM_LINK_WINDOW},
        {ZMQ_HEARTBEAT_IVL, 1000}, {ZMQ_HEARTBEAT_TIMEOUT, 3000},    {ZMQ_HEARTBEAT_TTL, 4000},
        {ZMQ_HANDSHAKE_IVL, 3000}, {ZMQ_RECONNECT_IVL, 50},          {ZMQ_RECONNECT_IVL_MAX, 1000},
        {ZMQ_IMMEDIATE, 1},
    };
    int64_t max = YM_FRAME_HEADER + YM_FRAME_MAX_PAYLOAD;

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof options[i].value) != 0)
            return ym_status_set(st, YM_INTERNAL, "zmq option %d: %s", options[i].option, zmq_strerror(errno));
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof max) != 0)
        return ym_status_set(st, YM_INTERNAL, "zmq message bound: %s", zmq_strerror(errno));
    return YM_OK;
}

static enum ym_code attach(struct ym_link *l, void *context, const char *endpoint, bool bind, struct ym_status *st)
{
    enum ym_code code;

    l->router = bind;
    l->socket = zmq_socket(context, bind ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!l->socket)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot make a socket: %s", zmq_strerror(errno));
    code = set_options(l->socket, st);
    if (code != YM_OK)
        return code;
    if ((bind ? zmq_bind : zmq_connect)(l->socket, endpoint) != 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot %s \"%s\": %s", bind ? "bind" : "connect to", endpoint,
                             zmq_strerror(errno));
    return YM_OK;
}

enum ym_code ym_link_open(void *context, const char *endpoint, bool bind, const struct ym_link_events *events,
                          struct ym_link **out, struct ym_status *st)
{
    struct ym_link *l;
    uint64_t id = 0;
    enum ym_code code;

    if (strncmp(endpoint, "ipc://", 6) != 0)
        return ym_status_set(st, YM_INVALID, "\"%s\" is not an ipc:// endpoint", endpoint);
    while (id == 0)
        ym_random(&id, sizeof id);
    l = ym_link_new(id, events);
    if (!l)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the link");
    code = attach(l, context, endpoint, bind, st);
    if (code != YM_OK) {
        ym_link_free(l);
        return code;
    }
    *out = l;
    return YM_OK;
}

#ifndef YM_WORKER_LINK_H
#define YM_WORKER_LINK_H

#include "worker/trainer/frame.h"

/* The session between trainer and gateway over a socket that loses what is in
 * flight when an end restarts. Frames of one pair of processes arrive in order,
 * once each: sequence numbers, acknowledgements, a bounded window, re-sending.
 *
 * Every run of a process has a random id. A HELLO with a new id starts a new
 * pair: windows are empty, sequences begin at 1, and `up` tells the owner to
 * give again whatever its durable state says the other end must have. Ids of
 * peers that were replaced are remembered and their late frames dropped.
 * One thread only. */

#define YM_LINK_WINDOW 8      /* unacknowledged frames, at most */
#define YM_LINK_HELLO_MS 1000 /* a sign of life at least so often */
#define YM_LINK_RESEND_MS 1000
#define YM_LINK_SILENT_MS 5000 /* heard nothing for so long: not connected */

struct ym_link;

struct ym_link_events {
    void *ctx;
    void (*up)(void *ctx);                                       /* a new pair is established */
    void (*frame)(void *ctx, const struct ym_frame *frame);      /* the next frame; payload borrowed */
    void (*emit)(void *ctx, const uint8_t *message, size_t len); /* pure links only: hand bytes to the transport */
};

/* A pure link: the owner moves bytes itself (tests). id != 0. */
struct ym_link *ym_link_new(uint64_t id, const struct ym_link_events *events);
/* A link over ZeroMQ: bind = the trainer's ROUTER end, else the gateway's
 * DEALER. endpoint "ipc://..." only. events->emit is not used. context: void *
 * of zmq_ctx_new. YM_UNAVAILABLE when it cannot be bound. */
enum ym_code ym_link_open(void *context, const char *endpoint, bool bind, const struct ym_link_events *events,
                          struct ym_link **out, struct ym_status *st);
void ym_link_free(struct ym_link *l); /* closes the socket at once, linger 0 */
void *ym_link_socket(const struct ym_link *l);

/* Bytes from the transport. Foreign: a bad frame is dropped and counted. */
void ym_link_input(struct ym_link *l, const void *message, size_t len, int64_t now_ms);
/* Drain the socket (at most a bounded number of frames), acknowledge, re-send,
 * say hello. Call when the socket is readable and at least every 200 ms. */
void ym_link_step(struct ym_link *l, int64_t now_ms);

/* Frames that may be sent now; 0 when not up. */
size_t ym_link_room(const struct ym_link *l);
/* Number and send a frame. kind, offset, total, payload, room of *f count.
 * YM_EXHAUSTED: window full; YM_UNAVAILABLE: no peer; nothing is kept then. */
enum ym_code ym_link_send(struct ym_link *l, const struct ym_frame *f, int64_t now_ms, struct ym_status *st);
bool ym_link_connected(const struct ym_link *l, int64_t now_ms); /* up, and heard within YM_LINK_SILENT_MS */
bool ym_link_idle(const struct ym_link *l);                      /* everything sent was acknowledged */
uint64_t ym_link_dropped(const struct ym_link *l);               /* bad or late frames so far */

#endif

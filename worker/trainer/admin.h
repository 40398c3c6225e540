#ifndef YM_TRAINER_ADMIN_H
#define YM_TRAINER_ADMIN_H

#include <jansson.h>

#include "base/buf.h"
#include "base/status.h"

/* The hospital's own door to its trainer: admin/admin.sock in a 0700 folder of the
 * data zone, apart from the gateway's. JSON in, JSON out; answers never reach the gateway. A ROUTER end,
 * so that a veto is heard while an answer to somebody else is still due.
 *   request  {"do":"...", ...}
 *   reply    {"ok":true, ...} or {"ok":false,"code":"denied","message":"..."} */

#define YM_ADMIN_REQUEST_MAX (64 * 1024)
#define YM_ADMIN_REPLY_MAX (4 * 1024 * 1024)
#define YM_ADMIN_ROUTE 64

struct ym_ticket {   /* whom to answer; by value; len 0: nobody */
    int64_t account; /* uid of who asks, as the kernel says; -1: it did not */
    size_t len;
    unsigned char id[YM_ADMIN_ROUTE];
};

struct ym_admin;
typedef void (*ym_admin_fn)(void *ctx, const struct ym_ticket *ticket, const json_t *request);

enum ym_code ym_admin_open(void *zmq_context, const char *endpoint, ym_admin_fn fn, void *ctx, struct ym_admin **out,
                           struct ym_status *st);
void ym_admin_close(struct ym_admin **a);
void *ym_admin_socket(const struct ym_admin *a);
void ym_admin_step(struct ym_admin *a); /* take what has come, a bounded number */
/* Answer once; reply is borrowed. */
void ym_admin_reply(struct ym_admin *a, const struct ym_ticket *ticket, const json_t *reply);
void ym_admin_fail(struct ym_admin *a, const struct ym_ticket *ticket, const struct ym_status *st);

/* The client, for yumen-site. YM_UNAVAILABLE: no answer in wait_ms. A reply with
 * "ok":false gives its code and message. *reply is new. */
enum ym_code ym_admin_call(const char *endpoint, const json_t *request, int wait_ms, json_t **reply,
                           struct ym_status *st);

#endif

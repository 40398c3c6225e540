#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/hub_internal.h"

static void request_free(struct hub_request *q)
{
    ym_message_free(q->message);
    ym_rpc_call_unref(q->call);
    free(q);
}

static void run_request(struct ym_hub *h, struct hub_job *job)
{
    struct hub_request *q = (struct hub_request *)job;

    q->handle(h, q);
    request_free(q);
}

void hub_fail(struct ym_rpc_call *call, const struct ym_status *st)
{
    ym_rpc_call_fail(call, st->code, st->message);
}

void hub_request_post(struct ym_hub *h, struct ym_rpc_call *call, struct ym_bytes wire,
                      const ProtobufCMessageDescriptor *type, void (*handle)(struct ym_hub *h, struct hub_request *q))
{
    struct ym_status st = YM_STATUS_INIT;
    void *message = NULL;
    struct hub_request *q;

    if (ym_message_unpack(type, wire, &message, &st) != YM_OK) {
        hub_fail(call, &st);
        return;
    }
    q = calloc(1, sizeof *q);
    if (!q) {
        ym_message_free(message);
        ym_rpc_call_fail(call, YM_EXHAUSTED, "the hub is out of memory");
        return;
    }
    *q = (struct hub_request){{NULL, run_request}, h, call, message, handle};
    ym_rpc_call_ref(call);
    if (!hub_post(h, &q->job)) {
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub is busy; try again");
        request_free(q);
    }
}

void hub_reply(struct ym_rpc_call *call, const void *message)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};

    if (ym_message_pack(message, &wire, &st) == YM_OK)
        ym_rpc_call_reply(call, (struct ym_bytes){wire.data, wire.len});
    else
        hub_fail(call, &st);
    ym_buf_release(&wire);
}

enum ym_code hub_open_leaf(struct ym_hub *h, const char *party, struct ym_bytes line, const char *type, json_t **out,
                           const char **reason, struct ym_status *st)
{
    struct ym_store_party p;
    json_t *o = NULL;
    const char *by = NULL;
    enum ym_code code = h->store->ops->get_party(h->store, party, &p, NULL, st);

    if (code != YM_OK) {
        *reason = "unknown_party";
        return code;
    }
    if (ym_leaf_parse(line, &o, st) != YM_OK) {
        *reason = "malformed";
        return YM_INVALID;
    }
    json_decref(o);
    o = NULL;
    if (ym_leaf_open(line, p.identity_key, type, &o, st) != YM_OK) {
        *reason = "bad_signature";
        return ym_status_wrap(st, YM_DENIED, "bad_signature");
    }
    if (ym_json_get_str(o, "by", &by, NULL) != YM_OK || strcmp(by, party) != 0) {
        json_decref(o);
        *reason = "bad_signature";
        return ym_status_set(st, YM_DENIED, "bad_signature: the leaf was not made by '%s'", party);
    }
    if (!hub_leaf_shaped(o)) {
        json_decref(o);
        *reason = "malformed";
        return ym_status_set(st, YM_INVALID, "malformed: a leaf has exactly the members of its type");
    }
    *out = o;
    return YM_OK;
}

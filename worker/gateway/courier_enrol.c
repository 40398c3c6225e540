#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/gateway/courier_internal.h"

enum { ENROL_MS = 30000, RENEW_LOOK_MS = 60000, PIN_BYTES = 20, ID_BYTES = 8 };

/* ---- joining: what the trainer signed, over our TLS key ---- */

struct request {
    const char *hub, *enrol, *name;
    uint8_t pin[PIN_BYTES], id[ID_BYTES];
    struct ym_buf proof, key, signature;
};

static enum ym_code get_hex(const json_t *o, const char *key, void *out, size_t len, struct ym_status *st)
{
    const char *text;
    enum ym_code code = ym_json_get_str(o, key, &text, st);

    return code == YM_OK ? ym_hex_decode(text, strlen(text), out, len) : code;
}

static enum ym_code get_base64(const json_t *o, const char *key, struct ym_buf *out, struct ym_status *st)
{
    const char *text;
    enum ym_code code = ym_json_get_str(o, key, &text, st);

    return code == YM_OK ? ym_base64_decode(text, strlen(text), out) : code;
}

static enum ym_code read_request(const json_t *o, struct request *r, struct ym_status *st)
{
    enum ym_code code = ym_json_get_str(o, "hub", &r->hub, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "enrol", &r->enrol, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "name", &r->name, st);
    if (code == YM_OK)
        code = get_hex(o, "pin", r->pin, sizeof r->pin, st);
    if (code == YM_OK)
        code = get_hex(o, "token_id", r->id, sizeof r->id, st);
    if (code == YM_OK)
        code = get_base64(o, "proof", &r->proof, st);
    if (code == YM_OK)
        code = get_base64(o, "identity_key", &r->key, st);
    if (code == YM_OK)
        code = get_base64(o, "signature", &r->signature, st);
    if (code == YM_OK && strlen(r->hub) >= 256)
        code = ym_status_set(st, YM_INVALID, "the hub's address is too long");
    return code;
}

static enum ym_code pack_request(const struct request *r, struct ym_buf *wire, struct ym_status *st)
{
    Yumen__V1__EnrolRequest m = YUMEN__V1__ENROL_REQUEST__INIT;

    m.token_id = ym_message_bytes(r->id, sizeof r->id);
    m.proof = ym_message_bytes(r->proof.data, r->proof.len);
    m.identity_key = ym_message_bytes(r->key.data, r->key.len);
    m.signature = ym_message_bytes(r->signature.data, r->signature.len);
    m.name = (char *)(uintptr_t)r->name;
    return ym_message_pack(&m, wire, st);
}

static enum ym_code ask_hub(struct ym_courier *c, const struct request *r, const struct ym_buf *ca,
                            Yumen__V1__EnrolReply **out, struct ym_status *st)
{
    struct ym_rpc_client *client = NULL;
    struct ym_buf wire = {0}, reply = {0};
    enum ym_code code = pack_request(r, &wire, st);

    if (code == YM_OK)
        code = ym_rpc_client_open(&(struct ym_rpc_client_options){.target = r->enrol,
                                                                  .tls = {.ca = ym_buf_bytes(ca),
                                                                          .cert = ym_buf_bytes(&c->home->self_cert),
                                                                          .key = ym_buf_bytes(&c->home->key)}},
                                  &client, st);
    if (code == YM_OK)
        code = ym_rpc_unary(client, "/yumen.v1.Enrolment/Enrol", ym_buf_bytes(&wire), ENROL_MS, true, &reply, st);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__enrol_reply__descriptor, ym_buf_bytes(&reply), out, st);
    if (client)
        ym_rpc_client_close(&client);
    ym_buf_release(&wire);
    ym_buf_release(&reply);
    return code;
}

static enum ym_code answer_json(const struct request *r, const struct ym_buf *ca, const Yumen__V1__EnrolReply *m,
                                struct ym_buf *out, struct ym_status *st)
{
    json_t *o = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s%, s:s}", "ok", 1, "hub", r->hub, "ca", ym_buf_str(ca),
                          "hub_identity", m->hub_identity, "log", m->log, "enrol_leaf", m->enrol_leaf.data,
                          m->enrol_leaf.len, "federation", m->federation);
    enum ym_code code =
        o ? ym_json_canonical(o, out, st) : ym_status_set(st, YM_CORRUPT, "the hub's answer is not text");

    json_decref(o);
    return code;
}

/* The pin vouches for the CA; the certificate must hang on it and fit our key.
 * All else is for the trainer to judge. */
static enum ym_code join(struct ym_courier *c, const json_t *o, struct ym_buf *answer, struct ym_status *st)
{
    struct request r = {0};
    struct ym_buf ca = {0};
    Yumen__V1__EnrolReply *m = NULL;
    enum ym_code code = read_request(o, &r, st);

    if (code == YM_OK)
        code = ym_rpc_fetch_ca(r.enrol, r.pin, &ca, st);
    if (code == YM_OK)
        code = ask_hub(c, &r, &ca, &m, st);
    if (code == YM_OK)
        code = answer_json(&r, &ca, m, answer, st);
    if (code == YM_OK) {
        pthread_mutex_lock(&c->lock);
        code = ym_home_save_enrolment(c->home, r.hub, ym_buf_bytes(&ca),
                                      (struct ym_bytes){(const uint8_t *)m->certificate, strlen(m->certificate)},
                                      ym_buf_bytes(answer), st);
        pthread_mutex_unlock(&c->lock);
    }
    if (code == YM_OK)
        code = ym_wire_renew(c, st);
    ym_message_free(m);
    ym_buf_release(&ca);
    ym_buf_release(&r.proof);
    ym_buf_release(&r.key);
    ym_buf_release(&r.signature);
    return code;
}

static void refuse_json(const struct ym_status *st, struct ym_buf *out)
{
    json_t *o = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", ym_code_name(st->code), "message", st->message);

    ym_buf_clear(out);
    if (o)
        ym_json_canonical(o, out, NULL);
    json_decref(o);
}

static void serve_enrol(struct ym_courier *c, const struct ym_parcel *p)
{
    struct ym_courier_event *e = calloc(1, sizeof *e);
    struct ym_status st = YM_STATUS_INIT;
    json_t *o = NULL;
    enum ym_code code;

    if (!e)
        return;
    code = ym_leaf_parse(ym_buf_bytes(&p->a), &o, &st);
    if (code == YM_OK)
        code = join(c, o, &e->payload, &st);
    if (code != YM_OK)
        refuse_json(&st, &e->payload);
    ym_log(code == YM_OK ? YM_LOG_INFO : YM_LOG_WARN, "gateway.enrol", "result=%s why=\"%s\"", ym_code_name(code),
           st.message);
    json_decref(o);
    e->kind = YM_EVENT_ENROLLED;
    ym_courier_tell(c, &e);
    ym_courier_tell_state(c);
}

void *ym_enrol_main(void *arg)
{
    struct ym_courier *c = arg;
    struct ym_parcel *p;

    while ((p = ym_queue_wait(c, &c->enrol)) != NULL) {
        serve_enrol(c, p);
        ym_parcel_free(&p);
    }
    return NULL;
}

/* ---- renewing ---- */

static bool due(struct ym_courier *c)
{
    bool now_due;

    pthread_mutex_lock(&c->lock);
    now_due = c->home->enrolled &&
              ym_clock_unix() >= c->home->not_before + (c->home->not_after - c->home->not_before) / 3 * 2;
    pthread_mutex_unlock(&c->lock);
    return now_due;
}

static enum ym_code renew(struct ym_courier *c, struct ym_status *st)
{
    Yumen__V1__RenewRequest m = YUMEN__V1__RENEW_REQUEST__INIT;
    Yumen__V1__RenewReply *r = NULL;
    struct ym_buf wire = {0}, reply = {0};
    struct ym_wire *w = ym_wire_get(c);
    enum ym_code code = w ? ym_message_pack(&m, &wire, st) : YM_UNAVAILABLE;

    if (code == YM_OK)
        code = ym_rpc_unary(w->client, "/yumen.v1.Federation/Renew", ym_buf_bytes(&wire), ENROL_MS, true, &reply, st);
    ym_wire_put(c, w);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__renew_reply__descriptor, ym_buf_bytes(&reply), &r, st);
    if (code == YM_OK) {
        pthread_mutex_lock(&c->lock);
        code =
            ym_home_save_cert(c->home, (struct ym_bytes){(const uint8_t *)r->certificate, strlen(r->certificate)}, st);
        pthread_mutex_unlock(&c->lock);
    }
    if (code == YM_OK)
        code = ym_wire_renew(c, st);
    ym_message_free(r);
    ym_buf_release(&wire);
    ym_buf_release(&reply);
    return code;
}

static void renew_now(struct ym_courier *c)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = renew(c, &st);

    ym_log(code == YM_OK ? YM_LOG_INFO : YM_LOG_WARN, "gateway.renew", "result=%s why=\"%s\"", ym_code_name(code),
           st.message);
    ym_courier_tell_state(c);
}

void *ym_renew_main(void *arg)
{
    struct ym_courier *c = arg;

    do {
        if (due(c))
            renew_now(c);
    } while (ym_courier_pause(c, RENEW_LOOK_MS));
    return NULL;
}

#include <stdio.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/cert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/trainer/trainer_internal.h"

/* Joining (docs/protocol.md, "Joining"): the trainer proves the token and its
 * identity key, the gateway carries the proof with its TLS key, and the trainer
 * alone decides whether to trust what came back. enrol.json remembers the pin
 * while the answer is out, across restarts. */

/* an enrol leaf: type v time by key; role name identity_key spki not_after federation */
enum { PENDING_MAX = 4096, PEM_MAX = 16 * 1024, ENROL_LEAF_MEMBERS = 11 };

enum ym_code ym_enrol_text(const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES], const uint8_t key[YM_PUBKEY_BYTES],
                           const char *name, struct ym_buf *out)
{
    static const char context[] = "yumen/enrol/v1"; /* with its NUL */
    enum ym_code code = ym_buf_append(out, context, sizeof context);

    if (code == YM_OK)
        code = ym_buf_append(out, id, 8);
    if (code == YM_OK)
        code = ym_buf_append(out, spki, YM_HASH_BYTES);
    if (code == YM_OK)
        code = ym_buf_append(out, key, YM_PUBKEY_BYTES);
    return code == YM_OK ? ym_buf_puts(out, name) : code;
}

static enum ym_code set_base64(json_t *o, const char *key, const void *data, size_t len)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_base64_encode(data, len, &text);

    if (code == YM_OK && json_object_set_new(o, key, json_string(ym_buf_str(&text))) != 0)
        code = YM_EXHAUSTED;
    ym_buf_release(&text);
    return code;
}

static enum ym_code set_hex(json_t *o, const char *key, const void *data, size_t len)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_hex_encode(data, len, &text);

    if (code == YM_OK && json_object_set_new(o, key, json_string(ym_buf_str(&text))) != 0)
        code = YM_EXHAUSTED;
    ym_buf_release(&text);
    return code;
}

static enum ym_code say_enrol_members(struct ym_trainer *t, const struct ym_token *token, json_t *o)
{
    struct ym_buf text = {0};
    uint8_t key[YM_HASH_BYTES], proof[YM_HASH_BYTES], sig[YM_SIG_BYTES];
    enum ym_code code = ym_enrol_text(token->id, t->gateway.spki, t->pub, t->site.name, &text);

    if (code == YM_OK) {
        ym_sha256(token->secret, sizeof token->secret, key);
        ym_hmac_sha256(key, sizeof key, text.data, text.len, proof);
        ym_key_sign(t->key, text.data, text.len, sig);
        ym_wipe(key, sizeof key);
        code = set_base64(o, "proof", proof, sizeof proof);
    }
    if (code == YM_OK)
        code = set_base64(o, "signature", sig, sizeof sig);
    if (code == YM_OK)
        code = set_base64(o, "identity_key", t->pub, sizeof t->pub);
    if (code == YM_OK)
        code = set_hex(o, "token_id", token->id, sizeof token->id);
    if (code == YM_OK)
        code = set_hex(o, "pin", token->pin, sizeof token->pin);
    if (code == YM_OK)
        code = set_hex(o, "spki", t->gateway.spki, sizeof t->gateway.spki);
    ym_buf_release(&text);
    return code;
}

static enum ym_code write_pending(struct ym_trainer *t, const struct ym_token *token, struct ym_status *st)
{
    json_t *o = json_object();
    struct ym_buf text = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = set_hex(o, "pin", token->pin, sizeof token->pin);

    if (code == YM_OK)
        code = ym_json_canonical(o, &text, st);
    if (code == YM_OK)
        code = ym_site_path(&t->site, "enrol.json", NULL, path);
    if (code == YM_OK)
        code = ym_fs_write(path, (struct ym_bytes){text.data, text.len}, 0600, st);
    ym_buf_release(&text);
    json_decref(o);
    return code;
}

static enum ym_code read_pending(struct ym_trainer *t, uint8_t pin[20], struct ym_status *st)
{
    json_t *o = NULL;
    struct ym_buf text = {0};
    const char *hex = "";
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(&t->site, "enrol.json", NULL, path);

    if (code == YM_OK)
        code = ym_fs_read(path, PENDING_MAX, &text, st);
    if (code == YM_OK)
        code = ym_json_parse(text.data, text.len, PENDING_MAX, &o, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "pin", &hex, st);
    if (code == YM_OK)
        code = ym_hex_decode(hex, strlen(hex), pin, 20);
    json_decref(o);
    ym_buf_release(&text);
    return code;
}

enum ym_code ym_trainer_enrol(struct ym_trainer *t, const json_t *request, struct ym_status *st)
{
    struct ym_token token;
    struct ym_buf line = {0};
    const char *text = "", *hub = "", *enrol = "";
    json_t *o;
    enum ym_code code = ym_json_get_str(request, "token", &text, st);

    if (code == YM_OK)
        code = ym_json_get_str(request, "hub", &hub, st);
    if (code == YM_OK)
        code = ym_json_get_str(request, "enrol", &enrol, st);
    if (code == YM_OK && (strlen(hub) > 255 || strlen(enrol) > 255))
        code = ym_status_set(st, YM_INVALID, "the hub's address is too long");
    if (code == YM_OK)
        code = ym_token_parse(text, &token, st);
    if (code == YM_OK && (!t->gateway.known || !t->link || !ym_link_connected(t->link, ym_clock_mono_ms())))
        code = ym_status_set(st, YM_UNAVAILABLE, "the gateway is not connected to this trainer: start yumen-gateway");
    if (code != YM_OK)
        return code;
    o = json_pack("{s:s, s:s, s:s}", "name", t->site.name, "hub", hub, "enrol", enrol);
    code = o ? say_enrol_members(t, &token, o) : YM_EXHAUSTED;
    if (code == YM_OK)
        code = write_pending(t, &token, st);
    if (code == YM_OK)
        code = ym_trainer_sign(t, "say_enrol", o, &line, st);
    if (code == YM_OK)
        code = ym_door_control(t->door, (struct ym_bytes){line.data, line.len}, st);
    ym_wipe(&token, sizeof token);
    ym_buf_release(&line);
    json_decref(o);
    return code;
}

/* ---- the answer ---- */

struct answer { /* borrowed from the parsed payload */
    const char *ca, *hub_identity, *log, *enrol_leaf, *federation;
};

static struct ym_bytes text_view(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

static enum ym_code check_ca(struct ym_trainer *t, const struct answer *a, struct ym_status *st)
{
    uint8_t pin[20], spki[YM_HASH_BYTES];
    enum ym_code code = read_pending(t, pin, st);

    if (code != YM_OK)
        return ym_status_set(st, YM_DENIED, "no enrolment was asked for");
    code = ym_cert_spki_hash(text_view(a->ca), spki, st);
    if (code == YM_OK && !ym_equal_const(pin, spki, sizeof pin))
        code = ym_status_set(st, YM_DENIED, "the hub's CA is not the one the token pins");
    return code;
}

static enum ym_code check_hub(struct ym_trainer *t, const struct answer *a, struct ym_trust *trust,
                              struct ym_status *st)
{
    struct ym_party hub;
    char log_name[256];
    uint8_t log_key[YM_PUBKEY_BYTES];
    enum ym_code code = ym_cert_identity_verify(text_view(a->ca), text_view(a->hub_identity), ym_clock_unix(), &hub,
                                                trust->hub_key, st);

    if (code == YM_OK)
        code = ym_vkey_parse(a->log, YM_NOTE_LOG, log_name, log_key, st);
    if (code != YM_OK)
        return code;
    if (hub.role != YM_ROLE_HUB || strcmp(hub.federation, a->federation) != 0 ||
        memcmp(log_key, trust->hub_key, sizeof log_key) != 0)
        return ym_status_set(st, YM_DENIED, "the hub's certificate, federation and ledger key do not agree");
    if (t->enrolled &&
        (strcmp(t->trust.federation, a->federation) != 0 || memcmp(t->trust.hub_key, log_key, sizeof log_key) != 0))
        return ym_status_set(st, YM_DENIED, "this hospital belongs to another federation already");
    snprintf(trust->federation, sizeof trust->federation, "%s", a->federation);
    return ym_buf_puts(&trust->hub_log, a->log);
}

static enum ym_code check_enrol_leaf(struct ym_trainer *t, const struct answer *a, const struct ym_trust *trust,
                                     struct ym_status *st)
{
    json_t *o = NULL;
    const char *role = "", *name = "", *text = "", *federation = "";
    int64_t not_after;
    uint8_t spki[YM_HASH_BYTES];
    struct ym_buf key = {0};
    enum ym_code code = ym_leaf_open(text_view(a->enrol_leaf), trust->hub_key, "enrol", &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "role", &role, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "name", &name, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "identity_key", &text, st);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "spki", spki, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "federation", &federation, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "not_after", 0, INT64_MAX, &not_after, st);
    if (code == YM_OK && json_object_size(o) != ENROL_LEAF_MEMBERS) /* it goes into our ledger */
        code = ym_status_set(st, YM_INVALID, "the hub's enrol leaf has members that such a leaf does not have");
    if (code == YM_OK)
        code = ym_base64_decode(text, strlen(text), &key);
    if (code == YM_OK &&
        (strcmp(role, "hospital") != 0 || strcmp(name, t->site.name) != 0 ||
         strcmp(federation, trust->federation) != 0 || key.len != sizeof t->pub ||
         memcmp(key.data, t->pub, sizeof t->pub) != 0 || memcmp(spki, t->gateway.spki, sizeof spki) != 0))
        code = ym_status_set(st, YM_DENIED, "the hub enrolled somebody else's name or key");
    ym_buf_release(&key);
    json_decref(o);
    return code;
}

static enum ym_code adopt(struct ym_trainer *t, const struct answer *a, struct ym_status *st)
{
    struct ym_trust trust = {0};
    char path[YM_SITE_PATH];
    uint64_t index;
    bool ask;
    enum ym_code code = check_ca(t, a, st);

    if (code == YM_OK)
        code = check_hub(t, a, &trust, st);
    if (code == YM_OK)
        code = check_enrol_leaf(t, a, &trust, st);
    if (code == YM_OK && ym_ledger_find(t->ledger, text_view(a->enrol_leaf), &index) != YM_OK)
        code = ym_trainer_record(t, text_view(a->enrol_leaf), false, st);
    if (code == YM_OK)
        code = ym_trust_save(&t->site, &trust, text_view(a->ca), text_view(a->hub_identity), st);
    if (code != YM_OK) {
        ym_trust_release(&trust);
        return code;
    }
    ym_trust_release(&t->trust);
    t->trust = trust;
    t->enrolled = true;
    ym_core_trust(t->core, &t->trust);
    ask = ym_watch_next(t->watch) > 0; /* what came before could not be compared */
    ym_watch_trust(t->watch, &t->trust);
    if (ask)
        ym_trainer_session(t);
    if (ym_site_path(&t->site, "enrol.json", NULL, path) == YM_OK)
        remove(path);
    return YM_OK;
}

static enum ym_code read_answer(const json_t *o, struct answer *a, struct ym_status *st)
{
    const char *message = "", *word = "";
    enum ym_code code;

    if (!json_is_true(json_object_get(o, "ok"))) {
        ym_json_get_str(o, "message", &message, NULL);
        ym_json_get_str(o, "code", &word, NULL);
        if (strcmp(word, ym_code_name(YM_UNAVAILABLE)) == 0 || strcmp(word, ym_code_name(YM_DEADLINE)) == 0)
            return ym_status_set(st, YM_UNAVAILABLE, "the gateway does not reach the hub: %.200s", message);
        return ym_status_set(st, YM_DENIED, "the hub did not enrol this hospital: %.200s", message);
    }
    code = ym_json_get_str(o, "ca", &a->ca, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "hub_identity", &a->hub_identity, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "log", &a->log, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "enrol_leaf", &a->enrol_leaf, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "federation", &a->federation, st);
    if (code == YM_OK &&
        (strlen(a->ca) > PEM_MAX || strlen(a->hub_identity) > PEM_MAX || !ym_name_valid(a->federation)))
        code = ym_status_set(st, YM_INVALID, "the hub's answer is out of bounds");
    return code;
}

static void answer_admin(struct ym_trainer *t, enum ym_code code, const struct ym_status *st)
{
    json_t *reply;

    if (code != YM_OK) {
        ym_admin_fail(t->admin, &t->enrol_ticket, st);
    } else {
        reply = json_pack("{s:b, s:s, s:s}", "ok", 1, "federation", t->trust.federation, "log",
                          ym_buf_str(&t->trust.hub_log));
        ym_admin_reply(t->admin, &t->enrol_ticket, reply);
        json_decref(reply);
    }
    t->enrol_ticket.len = 0;
}

/* The gateway tells its enrolment at every new pair: without a request of ours
 * that is no news. */
void ym_trainer_enrolled(struct ym_trainer *t, struct ym_bytes payload)
{
    struct ym_status st = YM_STATUS_INIT;
    struct answer a = {0};
    json_t *o = NULL;
    uint8_t pin[20];
    enum ym_code code = ym_json_parse(payload.data, payload.len, YM_FRAME_MAX_PAYLOAD, &o, &st);

    if (code == YM_OK && t->enrol_ticket.len == 0 && read_pending(t, pin, NULL) != YM_OK) {
        json_decref(o);
        return;
    }
    if (code == YM_OK)
        code = read_answer(o, &a, &st);
    if (code == YM_OK)
        code = adopt(t, &a, &st);
    ym_log(code == YM_OK ? YM_LOG_INFO : YM_LOG_WARN, "trainer.enrol", "result=%s why=\"%s\"", ym_code_name(code),
           st.message);
    answer_admin(t, code, &st);
    json_decref(o);
}

#include <string.h>

#include "coordinator/hub_internal.h"

/* Enrolment.Enrol and Federation.Renew: the two ways to a certificate. */

#define ENROL_TEXT "yumen/enrol/v1"

struct enrolment {
    struct ym_hub *h;
    const Yumen__V1__EnrolRequest *m;
    struct ym_bytes peer; /* self-signed certificate of the new TLS key */
    struct ym_store_token token;
    struct ym_store_party party;
    struct ym_store_cert cert;
    struct ym_buf leaf, pem;
};

static enum ym_code build_text(const struct enrolment *e, struct ym_buf *text)
{
    enum ym_code code = ym_buf_append(text, ENROL_TEXT, sizeof ENROL_TEXT); /* with its NUL */

    if (code == YM_OK)
        code = ym_buf_append(text, e->m->token_id.data, e->m->token_id.len);
    if (code == YM_OK)
        code = ym_buf_append(text, e->cert.spki, YM_HASH_BYTES);
    if (code == YM_OK)
        code = ym_buf_append(text, e->m->identity_key.data, e->m->identity_key.len);
    return code == YM_OK ? ym_buf_puts(text, e->m->name) : code;
}

/* A wrong proof is counted in a transaction of its own. */
static enum ym_code count_failure(struct enrolment *e, struct ym_status *st)
{
    struct ym_store *s = e->h->store;
    enum ym_code code = s->ops->begin(s, st);

    if (code == YM_OK)
        code = s->ops->fail_token(s, e->token.id, st);
    if (code == YM_OK)
        code = s->ops->commit(s, st);
    else
        s->ops->abort(s);
    return code == YM_OK ? ym_status_set(st, YM_DENIED, "bad_proof: the token's secret is wrong") : code;
}

static enum ym_code check_proof(struct enrolment *e, struct ym_status *st)
{
    struct ym_buf text = {0};
    uint8_t proof[YM_HASH_BYTES];
    enum ym_code code = build_text(e, &text);

    if (code != YM_OK) {
        code = ym_status_set(st, code, "the hub is out of memory");
        goto out;
    }
    ym_hmac_sha256(e->token.secret_hash, YM_HASH_BYTES, text.data, text.len, proof);
    if (e->m->proof.len != sizeof proof || !ym_equal_const(proof, e->m->proof.data, sizeof proof))
        code = count_failure(e, st);
    else if (e->m->signature.len != YM_SIG_BYTES ||
             !ym_sig_verify(e->m->identity_key.data, text.data, text.len, e->m->signature.data))
        code = ym_status_set(st, YM_DENIED, "bad_signature: the identity key did not sign this request");
out:
    ym_buf_release(&text);
    return code;
}

static enum ym_code check_token(struct enrolment *e, struct ym_status *st)
{
    enum ym_code code;

    if (e->m->token_id.len != sizeof e->token.id || e->m->identity_key.len != YM_PUBKEY_BYTES)
        return ym_status_set(st, YM_INVALID, "malformed: token_id has 8 bytes, identity_key 32");
    code = e->h->store->ops->get_token(e->h->store, e->m->token_id.data, &e->token, st);
    if (code == YM_NOT_FOUND)
        return ym_status_set(st, YM_DENIED, "bad_token: this hub knows no such token");
    if (code != YM_OK)
        return code;
    if (e->token.failures >= HUB_TOKEN_FAILURES)
        return ym_status_set(st, YM_DENIED,
                             "token_locked: too many wrong tries; ask the hub's operator for a new token");
    if (e->token.expires_s < ym_clock_unix())
        return ym_status_set(st, YM_DENIED, "token_expired: ask the hub's operator for a new token");
    return check_proof(e, st);
}

static enum ym_code check_name(struct enrolment *e, struct ym_status *st)
{
    const char *name = e->m->name[0] ? e->m->name : e->token.name;

    if (e->token.name[0] && strcmp(e->token.name, name) != 0)
        return ym_status_set(st, YM_DENIED, "wrong_name: the token is for '%s'", e->token.name);
    if (!ym_name_valid(name) || strlen(name) >= sizeof e->party.name || strcmp(name, "hub") == 0)
        return ym_status_set(st, YM_INVALID, "bad_name: names are [a-z0-9][a-z0-9_-]{0,62}, and 'hub' is taken");
    memset(&e->party, 0, sizeof e->party);
    memcpy(e->party.name, name, strlen(name));
    memcpy(e->cert.party, e->party.name, sizeof e->cert.party);
    memcpy(e->party.identity_key, e->m->identity_key.data, YM_PUBKEY_BYTES);
    e->party.role = e->token.role;
    e->party.enrolled_s = ym_clock_unix();
    return YM_OK;
}

/* Who is enrolled already may come again with a new token and the same identity
 * key (its certificate ran out, its gateway was replaced); a name never changes hands. */
static enum ym_code check_party(struct enrolment *e, struct ym_status *st)
{
    struct ym_store_party old;
    enum ym_code code = e->h->store->ops->get_party(e->h->store, e->party.name, &old, NULL, st);

    if (code == YM_NOT_FOUND)
        return YM_OK;
    if (code != YM_OK)
        return code;
    if (old.revoked)
        return ym_status_set(st, YM_DENIED, "revoked: '%s' was revoked; enrol under a new name", e->party.name);
    if (old.role != e->party.role || memcmp(old.identity_key, e->party.identity_key, YM_PUBKEY_BYTES) != 0)
        return ym_status_set(st, YM_CONFLICT, "name_taken: '%s' is enrolled with another identity key", e->party.name);
    return YM_OK;
}

static enum ym_code issue(struct ym_hub *h, struct ym_bytes subject, const struct ym_store_party *p,
                          struct ym_store_cert *cert, struct ym_buf *pem, struct ym_status *st)
{
    struct ym_party who = {.role = p->role};
    int64_t now = ym_clock_unix();
    enum ym_code code;

    memcpy(who.federation, h->config.federation, sizeof who.federation);
    memcpy(who.name, p->name, sizeof who.name);
    cert->not_after_s = now + (int64_t)h->config.certificate_days * 86400;
    code = ym_cert_issue((struct ym_bytes){h->ca_key.data, h->ca_key.len},
                         (struct ym_bytes){h->ca_cert.data, h->ca_cert.len}, subject, &who, NULL, now,
                         cert->not_after_s, pem, st);
    if (code == YM_OK)
        code = ym_cert_fingerprint((struct ym_bytes){pem->data, pem->len}, cert->fingerprint, st);
    memcpy(cert->party, p->name, sizeof cert->party);
    return code;
}

static enum ym_code keep_enrolment(struct enrolment *e, struct ym_status *st)
{
    struct ym_store *s = e->h->store;
    struct ym_bytes leaf = {e->leaf.data, e->leaf.len}, pem = {e->pem.data, e->pem.len};
    enum ym_code code = s->ops->begin(s, st);

    if (code != YM_OK)
        return code;
    code = s->ops->use_token(s, e->token.id, e->cert.spki, st);
    if (code == YM_OK)
        code = s->ops->put_party(s, &e->party, leaf, st);
    if (code == YM_OK)
        code = s->ops->put_cert(s, &e->cert, pem, st);
    if (code == YM_OK)
        code = s->ops->put_leaf(s, leaf, st);
    if (code == YM_OK)
        return s->ops->commit(s, st);
    s->ops->abort(s);
    return code;
}

/* The same keys with a token that is spent: its first answer was lost on the way. */
static enum ym_code answer_again(struct enrolment *e, struct ym_status *st)
{
    struct ym_store_party old;
    struct ym_store *s = e->h->store;

    if (memcmp(e->token.spki, e->cert.spki, YM_HASH_BYTES) == 0 &&
        s->ops->get_party(s, e->party.name, &old, &e->leaf, NULL) == YM_OK && !old.revoked &&
        memcmp(old.identity_key, e->party.identity_key, YM_PUBKEY_BYTES) == 0 &&
        s->ops->get_cert_pem(s, e->cert.spki, &e->pem, NULL) == YM_OK)
        return YM_OK;
    return ym_status_set(st, YM_DENIED, "token_used: a token works once; ask the hub's operator for a new one");
}

static enum ym_code enrol(struct enrolment *e, struct ym_status *st)
{
    enum ym_code code = ym_cert_spki_hash(e->peer, e->cert.spki, st);

    if (code == YM_OK)
        code = check_token(e, st);
    if (code == YM_OK)
        code = check_name(e, st);
    if (code == YM_OK && e->token.used)
        return answer_again(e, st);
    if (code == YM_OK)
        code = check_party(e, st);
    if (code == YM_OK)
        code = issue(e->h, e->peer, &e->party, &e->cert, &e->pem, st);
    if (code == YM_OK)
        code = hub_leaf_enrol(e->h, &e->party, e->cert.spki, e->cert.not_after_s, &e->leaf, st);
    if (code == YM_OK)
        code = keep_enrolment(e, st);
    hub_log_later(e->h);
    return code == YM_OK ? hub_auth_reload(e->h, st) : code;
}

static void answer_enrol(struct hub_request *q, const struct enrolment *e)
{
    Yumen__V1__EnrolReply m = YUMEN__V1__ENROL_REPLY__INIT;

    m.certificate = (char *)(uintptr_t)ym_buf_str(&e->pem);
    m.ca = (char *)(uintptr_t)ym_buf_str(&e->h->ca_cert);
    m.hub_identity = (char *)(uintptr_t)ym_buf_str(&e->h->identity_cert);
    m.log = (char *)(uintptr_t)ym_buf_str(&e->h->vkey);
    m.enrol_leaf = ym_message_bytes(e->leaf.data, e->leaf.len);
    m.federation = e->h->config.federation;
    hub_reply(q->call, &m);
}

static void handle_enrol(struct ym_hub *h, struct hub_request *q)
{
    struct enrolment e = {.h = h, .m = q->message, .peer = ym_rpc_call_peer_cert(q->call)};
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = enrol(&e, &st);

    if (code == YM_OK) {
        ym_log(YM_LOG_INFO, "hub.enrolled", "role=%s name=%s", ym_role_name(e.party.role), e.party.name);
        answer_enrol(q, &e);
    } else {
        ym_log(YM_LOG_WARN, "hub.enrol_refused", "error=\"%s\"", st.message);
        ym_rpc_call_fail(q->call, code, st.message);
    }
    ym_buf_release(&e.leaf);
    ym_buf_release(&e.pem);
}

void hub_on_enrol(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__enrol_request__descriptor, handle_enrol);
}

/* ---- Renew ---- */

static enum ym_code keep_renewal(struct ym_hub *h, const struct ym_store_cert *cert, const struct ym_buf *pem,
                                 struct ym_status *st)
{
    struct ym_store *s = h->store;
    enum ym_code code = s->ops->begin(s, st);

    if (code != YM_OK)
        return code;
    code = s->ops->put_cert(s, cert, (struct ym_bytes){pem->data, pem->len}, st);
    if (code == YM_OK)
        return s->ops->commit(s, st);
    s->ops->abort(s);
    return code;
}

static void handle_renew(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__RenewRequest *m = q->message;
    Yumen__V1__RenewReply reply = YUMEN__V1__RENEW_REPLY__INIT;
    struct ym_bytes subject = ym_rpc_call_peer_cert(q->call);
    struct ym_status st = YM_STATUS_INIT;
    struct ym_store_party p;
    struct ym_store_cert cert = {0};
    struct ym_buf pem = {0};
    enum ym_code code = h->store->ops->get_party(h->store, ym_rpc_call_who(q->call)->name, &p, NULL, &st);

    if (m->self_signed[0])
        subject = (struct ym_bytes){(const uint8_t *)m->self_signed, strlen(m->self_signed)};
    if (code == YM_OK)
        code = ym_cert_spki_hash(subject, cert.spki, &st);
    if (code == YM_OK)
        code = issue(h, subject, &p, &cert, &pem, &st);
    if (code == YM_OK)
        code = keep_renewal(h, &cert, &pem, &st);
    if (code == YM_OK)
        code = hub_auth_reload(h, &st);
    if (code == YM_OK) {
        reply.certificate = (char *)(uintptr_t)ym_buf_str(&pem);
        hub_reply(q->call, &reply);
    } else {
        hub_fail(q->call, &st);
    }
    ym_buf_release(&pem);
}

void hub_on_renew(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__renew_request__descriptor, handle_renew);
}

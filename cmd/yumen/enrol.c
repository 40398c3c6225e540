#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/party.h"
#include "proto/message.h"

#define ENROL_MS 30000

struct enrolment {
    const char *dir, *hub, *name;
    char target[256]; /* enrolment port */
    struct ym_token token;
    struct ym_key *identity;
    struct ym_buf tls_key, self_cert, ca;
    Yumen__V1__EnrolReply *reply;
    struct ym_party who;
};

static struct ym_bytes text_view(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

/* Enrolment listens one port above the hub's main port unless told otherwise. */
static enum ym_code enrol_target(struct enrolment *e, const char *given, struct ym_status *st)
{
    const char *colon = strrchr(e->hub, ':');
    char *end;
    long port = colon == NULL ? 0 : strtol(colon + 1, &end, 10);

    if (colon == NULL || *end != '\0' || port < 1 || port > 65535 || strlen(e->hub) >= sizeof e->target)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_HUB_FORM), e->hub);
    if (given != NULL)
        snprintf(e->target, sizeof e->target, "%s", given);
    else
        snprintf(e->target, sizeof e->target, "%.*s:%ld", (int)(colon - e->hub), e->hub, port + 1);
    return YM_OK;
}

static enum ym_code make_keys(struct enrolment *e, struct ym_status *st)
{
    enum ym_code code = ym_key_generate(&e->identity, st);

    if (code == YM_OK)
        code = ym_tls_key_generate(&e->tls_key, st);
    if (code == YM_OK)
        code = ym_cert_self(ym_buf_bytes(&e->tls_key), ym_clock_unix(), &e->self_cert, st);
    return code;
}

/* "yumen/enrol/v1" 0x00 id[8] spki[32] identity_key[32] name (docs/protocol.md). */
static enum ym_code enrol_text(const struct enrolment *e, struct ym_buf *text, struct ym_status *st)
{
    static const char context[] = "yumen/enrol/v1";
    uint8_t spki[32], pub[YM_PUBKEY_BYTES];
    enum ym_code code = ym_cert_spki_hash(ym_buf_bytes(&e->self_cert), spki, st);

    if (code != YM_OK)
        return code;
    ym_key_public(e->identity, pub);
    if (ym_buf_append(text, context, sizeof context) != YM_OK ||
        ym_buf_append(text, e->token.id, sizeof e->token.id) != YM_OK ||
        ym_buf_append(text, spki, sizeof spki) != YM_OK || ym_buf_append(text, pub, sizeof pub) != YM_OK ||
        ym_buf_puts(text, e->name) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    return YM_OK;
}

static enum ym_code pack_request(const struct enrolment *e, struct ym_buf *wire, struct ym_status *st)
{
    Yumen__V1__EnrolRequest request = YUMEN__V1__ENROL_REQUEST__INIT;
    uint8_t stored[32], proof[32], pub[YM_PUBKEY_BYTES], signature[YM_SIG_BYTES];
    struct ym_buf text = {0};
    enum ym_code code = enrol_text(e, &text, st);

    if (code == YM_OK) {
        ym_sha256(e->token.secret, sizeof e->token.secret, stored);
        ym_hmac_sha256(stored, sizeof stored, text.data, text.len, proof);
        ym_key_sign(e->identity, text.data, text.len, signature);
        ym_key_public(e->identity, pub);
        request.token_id = ym_message_bytes(e->token.id, sizeof e->token.id);
        request.proof = ym_message_bytes(proof, sizeof proof);
        request.identity_key = ym_message_bytes(pub, sizeof pub);
        request.signature = ym_message_bytes(signature, sizeof signature);
        request.name = (char *)(uintptr_t)e->name;
        code = ym_message_pack(&request, wire, st);
        ym_wipe(stored, sizeof stored);
    }
    ym_buf_release(&text);
    return code;
}

static enum ym_code ask_hub(struct enrolment *e, struct ym_status *st)
{
    struct ym_rpc_client_options o = {
        .target = e->target,
        .tls = {.ca = ym_buf_bytes(&e->ca), .cert = ym_buf_bytes(&e->self_cert), .key = ym_buf_bytes(&e->tls_key)}};
    struct ym_rpc_client *client = NULL;
    struct ym_buf wire = {0}, answer = {0};
    enum ym_code code = pack_request(e, &wire, st);

    if (code == YM_OK)
        code = ym_rpc_client_open(&o, &client, st);
    if (code == YM_OK)
        code = ym_rpc_unary(client, "/yumen.v1.Enrolment/Enrol", ym_buf_bytes(&wire), ENROL_MS, true, &answer, st);
    if (code == YM_OK)
        code = ym_message_unpack(&yumen__v1__enrol_reply__descriptor, ym_buf_bytes(&answer), &e->reply, st);
    if (client != NULL)
        ym_rpc_client_close(&client);
    ym_buf_release(&wire);
    ym_buf_release(&answer);
    return code;
}

/* The pin vouches for the CA; everything else must hang on that CA. */
static enum ym_code check_reply(struct enrolment *e, struct ym_status *st)
{
    struct ym_bytes cert = text_view(e->reply->certificate), hub = text_view(e->reply->hub_identity);
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_party hub_party;
    int64_t now = ym_clock_unix();
    enum ym_code code = ym_cert_check(ym_buf_bytes(&e->tls_key), cert, ym_buf_bytes(&e->ca), now, st);

    if (code == YM_OK)
        code = ym_cert_party(cert, &e->who, st);
    if (code == YM_OK)
        code = ym_cert_identity_verify(ym_buf_bytes(&e->ca), hub, now, &hub_party, pub, st);
    if (code != YM_OK)
        return ym_status_wrap(st, code, "the hub's answer does not hold");
    if (hub_party.role != YM_ROLE_HUB || strcmp(hub_party.federation, e->who.federation) != 0)
        return ym_status_set(st, YM_DENIED, "the hub's identity certificate names another party");
    if (e->who.role != YM_ROLE_SPONSOR && e->who.role != YM_ROLE_AUDITOR)
        return ym_status_set(st, YM_DENIED, T(SPONSOR_WRONG_ROLE), ym_role_name(e->who.role));
    return YM_OK;
}

static enum ym_code write_file(const struct enrolment *e, const char *name, struct ym_bytes data, unsigned mode,
                               struct ym_status *st)
{
    char path[1200];

    if (ym_fs_join(path, sizeof path, e->dir, name) != YM_OK)
        return ym_status_set(st, YM_INVALID, "the path of '%s' is too long", name);
    return ym_fs_write(path, data, mode, st);
}

static enum ym_code write_hub_json(const struct enrolment *e, struct ym_status *st)
{
    struct ym_buf bytes = {0};
    json_t *o = json_pack("{s:s,s:s,s:s,s:s%}", "federation", e->who.federation, "hub_identity", e->reply->hub_identity,
                          "log", e->reply->log, "enrol_leaf", e->reply->enrol_leaf.data, e->reply->enrol_leaf.len);
    enum ym_code code =
        o == NULL ? ym_status_set(st, YM_CORRUPT, "the hub's answer is not text") : ym_json_canonical(o, &bytes, st);

    if (code == YM_OK)
        code = write_file(e, "hub.json", ym_buf_bytes(&bytes), 0644, st);
    json_decref(o);
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code write_keys(const struct enrolment *e, struct ym_status *st)
{
    char tls[1200], identity[1200];
    struct ym_buf secret = {0};
    enum ym_code code = ym_secret_load(e->dir, true, &secret, st);

    if (code != YM_OK)
        return code;
    if (ym_fs_join(tls, sizeof tls, e->dir, "tls.key") != YM_OK ||
        ym_fs_join(identity, sizeof identity, e->dir, "identity.key") != YM_OK)
        code = ym_status_set(st, YM_INVALID, "the path of the folder is too long");
    if (code == YM_OK)
        code = ym_pem_save(tls, ym_buf_bytes(&e->tls_key), ym_buf_bytes(&secret), st);
    if (code == YM_OK)
        code = ym_key_save(e->identity, identity, ym_buf_bytes(&secret), st);
    ym_buf_wipe(&secret);
    return code;
}

/* party.yaml comes last: its presence means enrolled. */
static enum ym_code write_home(const struct enrolment *e, struct ym_status *st)
{
    struct ym_buf yaml = {0};
    enum ym_code code = write_file(e, "ca.pem", ym_buf_bytes(&e->ca), 0644, st);

    if (code == YM_OK)
        code = write_file(e, "tls.pem", text_view(e->reply->certificate), 0644, st);
    if (code == YM_OK)
        code = write_keys(e, st);
    if (code == YM_OK)
        code = write_hub_json(e, st);
    if (code == YM_OK)
        code = ym_buf_printf(&yaml, "yumen: party/1\nfederation: %s\nrole: %s\nname: %s\nhub: %s\n", e->who.federation,
                             ym_role_name(e->who.role), e->who.name, e->hub);
    if (code == YM_OK)
        code = write_file(e, "party.yaml", ym_buf_bytes(&yaml), 0644, st);
    ym_buf_release(&yaml);
    return code;
}

static enum ym_code refuse_second(const struct enrolment *e, struct ym_status *st)
{
    char path[1200];

    if (ym_fs_join(path, sizeof path, e->dir, "party.yaml") != YM_OK)
        return ym_status_set(st, YM_INVALID, "the path of the folder is too long");
    if (ym_fs_exists(path))
        return ym_status_set(st, YM_CONFLICT, T(SPONSOR_ENROLLED_ALREADY), e->dir);
    return ym_fs_mkdirs(e->dir, 0700, st);
}

static enum ym_code enrol(struct enrolment *e, const char *token, const char *enrol_at, struct ym_status *st)
{
    enum ym_code code = ym_token_parse(token, &e->token, st);

    if (code == YM_OK)
        code = enrol_target(e, enrol_at, st);
    if (code == YM_OK)
        code = refuse_second(e, st);
    if (code == YM_OK)
        code = make_keys(e, st);
    ym_rpc_init();
    if (code == YM_OK)
        code = ym_rpc_fetch_ca(e->target, e->token.pin, &e->ca, st);
    if (code == YM_OK)
        code = ask_hub(e, st);
    if (code == YM_OK)
        code = check_reply(e, st);
    return code != YM_OK ? code : write_home(e, st);
}

int ym_cmd_enrol(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *token = ym_cli_get(a, "token"), *hub = ym_cli_get(a, "hub"), *name = ym_cli_get(a, "name");
    struct enrolment e = {.dir = ym_home_dir(a), .hub = hub, .name = name == NULL ? "" : name};
    enum ym_code code;

    if (token == NULL || hub == NULL)
        code = ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_ENROL_NEEDS));
    else
        code = enrol(&e, token, ym_cli_get(a, "enrol"), &st);
    if (code == YM_OK) {
        printf(T(SPONSOR_ENROLLED), e.who.federation, ym_role_name(e.who.role), e.who.name, e.dir);
        printf("%s\n", e.reply->log);
    }
    ym_key_free(e.identity);
    ym_buf_wipe(&e.tls_key);
    ym_buf_release(&e.self_cert);
    ym_buf_release(&e.ca);
    ym_message_free(e.reply);
    ym_wipe(&e.token, sizeof e.token);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

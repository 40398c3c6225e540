#include "cmd/yumen/party.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/doc.h"
#include "base/fs.h"
#include "base/json.h"
#include "models/model.h"
#include "proto/message.h"

#define PEM_MAX_BYTES (64 * 1024)
#define CALL_MS 30000
#define REACH_MS 10000
#define FETCH_MS 600000
#define LOG_MS 600000
#define STATE_HEADER_BYTES (256 * 1024)

const char *ym_home_dir(const struct ym_cli_args *a)
{
    const char *dir = ym_cli_get(a, "dir");

    if (dir == NULL)
        dir = getenv("YUMEN_DIR");
    return dir == NULL || dir[0] == '\0' ? "." : dir;
}

static enum ym_code path_in(const struct ym_party_home *h, const char *name, char out[1200], struct ym_status *st)
{
    if (ym_fs_join(out, 1200, h->dir, name) != YM_OK)
        return ym_status_set(st, YM_INVALID, "the path of '%s' is too long", name);
    return YM_OK;
}

static enum ym_code read_pem(const struct ym_party_home *h, const char *name, struct ym_buf *out, struct ym_status *st)
{
    char path[1200];
    enum ym_code code = path_in(h, name, path, st);

    return code != YM_OK ? code : ym_fs_read(path, PEM_MAX_BYTES, out, st);
}

static enum ym_code read_hub(struct ym_party_home *h, struct ym_status *st)
{
    char path[1200];
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    const char *hub;
    enum ym_code code = path_in(h, "party.yaml", path, st);

    if (code != YM_OK)
        return code;
    code = ym_doc_load(path, &doc, &problems, st);
    if (code == YM_NOT_FOUND) {
        ym_problems_release(&problems);
        return ym_status_set(st, code, T(SPONSOR_NOT_ENROLLED), h->dir);
    }
    if (code == YM_OK)
        code = ym_json_get_str(ym_doc_root(doc), "hub", &hub, st);
    if (code == YM_OK && strlen(hub) >= sizeof h->hub)
        code = ym_status_set(st, YM_INVALID, "'hub' is too long");
    if (code == YM_OK)
        snprintf(h->hub, sizeof h->hub, "%s", hub);
    ym_doc_free(doc);
    ym_problems_release(&problems);
    return code == YM_OK ? code : ym_status_wrap(st, code, "%s", path);
}

static enum ym_code read_keys(struct ym_party_home *h, struct ym_status *st)
{
    char tls[1200], identity[1200];
    struct ym_buf secret = {0};
    enum ym_code code = path_in(h, "tls.key", tls, st);

    if (code == YM_OK)
        code = path_in(h, "identity.key", identity, st);
    if (code == YM_OK)
        code = ym_secret_load(h->dir, false, &secret, st);
    if (code == YM_OK)
        code = ym_pem_load(tls, (struct ym_bytes){secret.data, secret.len}, &h->key, st);
    if (code == YM_OK)
        code = ym_key_load(identity, (struct ym_bytes){secret.data, secret.len}, &h->identity, st);
    ym_buf_wipe(&secret);
    return code;
}

static enum ym_code connect_hub(struct ym_party_home *h, struct ym_status *st)
{
    struct ym_rpc_client_options o = {
        .target = h->hub,
        .tls = {.ca = ym_buf_bytes(&h->ca), .cert = ym_buf_bytes(&h->cert), .key = ym_buf_bytes(&h->key)},
        .connect_ms = 5000};

    ym_rpc_init();
    return ym_rpc_client_open(&o, &h->client, st);
}

enum ym_code ym_home_open(const char *dir, struct ym_party_home *out, struct ym_status *st)
{
    struct ym_party_home h = {0};
    enum ym_code code = YM_OK;

    if (strlen(dir) >= sizeof h.dir)
        return ym_status_set(st, YM_INVALID, "the path of the folder is too long");
    snprintf(h.dir, sizeof h.dir, "%s", dir);
    code = read_hub(&h, st);
    if (code == YM_OK)
        code = read_pem(&h, "ca.pem", &h.ca, st);
    if (code == YM_OK)
        code = read_pem(&h, "tls.pem", &h.cert, st);
    if (code == YM_OK)
        code = read_keys(&h, st);
    if (code == YM_OK)
        code = ym_cert_check(ym_buf_bytes(&h.key), ym_buf_bytes(&h.cert), ym_buf_bytes(&h.ca), ym_clock_unix(), st);
    if (code == YM_OK)
        code = ym_cert_party(ym_buf_bytes(&h.cert), &h.who, st);
    if (code == YM_OK)
        code = connect_hub(&h, st);
    if (code != YM_OK) {
        ym_home_close(&h);
        return code;
    }
    *out = h;
    return YM_OK;
}

void ym_home_close(struct ym_party_home *h)
{
    if (h->client != NULL)
        ym_rpc_client_close(&h->client);
    ym_key_free(h->identity);
    ym_buf_release(&h->ca);
    ym_buf_release(&h->cert);
    ym_buf_wipe(&h->key);
    *h = (struct ym_party_home){0};
}

static enum ym_code reach(struct ym_party_home *h, struct ym_status *st)
{
    enum ym_code code = ym_rpc_client_wait(h->client, REACH_MS, st);

    return code == YM_OK ? code : ym_status_set(st, YM_UNAVAILABLE, T(SPONSOR_UNREACHED), h->hub, REACH_MS / 1000);
}

enum ym_code ym_home_call(struct ym_party_home *h, const char *path, const void *request,
                          const ProtobufCMessageDescriptor *type, void *reply, struct ym_status *st)
{
    struct ym_buf wire = {0}, answer = {0};
    enum ym_code code = ym_message_pack(request, &wire, st);

    if (code == YM_OK)
        code = reach(h, st);
    if (code == YM_OK)
        code = ym_rpc_unary(h->client, path, ym_buf_bytes(&wire), CALL_MS, true, &answer, st);
    if (code == YM_OK)
        code = ym_message_unpack(type, ym_buf_bytes(&answer), reply, st);
    ym_buf_release(&wire);
    ym_buf_release(&answer);
    return code;
}

struct fetch {
    struct ym_buf *out;
    size_t limit;
    uint64_t total; /* as the hub says */
    struct ym_status *st;
    enum ym_code code;
};

static enum ym_code take_chunk(struct fetch *f, const Yumen__V1__Chunk *c)
{
    if (c->total > f->limit)
        return ym_status_set(f->st, YM_EXHAUSTED, "the hub offers %" PRIu64 " bytes where at most %zu fit", c->total,
                             f->limit);
    if (c->offset != f->out->len || c->data.len > c->total - c->offset)
        return ym_status_set(f->st, YM_CORRUPT, "the hub sent bytes out of order");
    f->total = c->total;
    return ym_buf_append(f->out, c->data.data, c->data.len);
}

static bool on_chunk(void *ctx, struct ym_bytes message)
{
    struct fetch *f = ctx;
    Yumen__V1__Chunk *c = NULL;

    f->code = ym_message_unpack(&yumen__v1__chunk__descriptor, message, &c, f->st);
    if (f->code == YM_OK)
        f->code = take_chunk(f, c);
    ym_message_free(c);
    return f->code == YM_OK;
}

static enum ym_code fetch_bytes(struct ym_party_home *h, const struct ym_object_ask *ask, struct ym_buf *out,
                                struct ym_status *st)
{
    Yumen__V1__FetchRequest request = YUMEN__V1__FETCH_REQUEST__INIT;
    struct fetch f = {.out = out, .limit = ask->limit, .st = st, .code = YM_OK};
    struct ym_buf wire = {0};
    enum ym_code code;

    request.sha256 = ym_message_bytes(ask->sha256, YM_HASH_BYTES);
    request.part = ask->part;
    request.entry = ask->entry;
    code = ym_message_pack(&request, &wire, st);
    if (code == YM_OK)
        code = ym_rpc_read_stream(h->client, "/yumen.v1.Federation/FetchObject", ym_buf_bytes(&wire), FETCH_MS,
                                  on_chunk, &f, st);
    ym_buf_release(&wire);
    if (f.code == YM_OK && code == YM_OK && out->len != f.total)
        code = ym_status_set(st, YM_CORRUPT, "the hub sent %zu of %" PRIu64 " bytes", out->len, f.total);
    return f.code != YM_OK ? f.code : code;
}

enum ym_code ym_home_fetch_part(struct ym_party_home *h, const struct ym_object_ask *ask, struct ym_buf *out,
                                struct ym_status *st)
{
    struct ym_buf bytes = {0};
    enum ym_code code = reach(h, st);

    if (code == YM_OK)
        code = fetch_bytes(h, ask, &bytes, st);
    if (code == YM_OK)
        *out = bytes;
    else
        ym_buf_release(&bytes);
    return code;
}

enum ym_code ym_home_fetch(struct ym_party_home *h, const uint8_t sha256[32], size_t limit, struct ym_buf *out,
                           struct ym_status *st)
{
    struct ym_buf bytes = {0};
    uint8_t hash[YM_HASH_BYTES];
    const struct ym_object_ask ask = {.sha256 = sha256, .limit = limit};
    enum ym_code code = ym_home_fetch_part(h, &ask, &bytes, st);

    if (code == YM_OK) {
        ym_sha256(bytes.data, bytes.len, hash);
        if (memcmp(hash, sha256, sizeof hash) != 0)
            code = ym_status_set(st, YM_CORRUPT, "the hub sent other bytes than the hash says");
    }
    if (code != YM_OK) {
        ym_buf_release(&bytes);
        return code;
    }
    *out = bytes;
    return YM_OK;
}

enum ym_code ym_home_fetch_plan(struct ym_party_home *h, const uint8_t sha256[32], struct ym_plan **out,
                                struct ym_status *st)
{
    struct ym_buf bytes = {0};
    enum ym_code code = ym_home_fetch(h, sha256, YM_PLAN_MAX_BYTES, &bytes, st);

    if (code == YM_OK)
        code = ym_plan_decode(bytes.data, bytes.len, out, st);
    ym_buf_release(&bytes);
    return code == YM_OK ? code : ym_status_wrap(st, code, "plan");
}

enum ym_code ym_home_fetch_state(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t sha256[32],
                                 struct ym_buf *out, struct ym_status *st)
{
    struct ym_model model;
    enum ym_code code = ym_model_from_plan(plan, &model, st);

    if (code == YM_OK) /* parameters F32, and two F64 moments at most */
        code = ym_home_fetch(h, sha256, model.dim * 20 + model.state_extra * 8 + STATE_HEADER_BYTES, out, st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "state");
}

/* ---- the log ---- */

struct log_reading {
    ym_log_leaf fn;
    void *ctx;
    struct ym_status *st;
    enum ym_code code;
};

static bool on_log_entry(void *ctx, struct ym_bytes message)
{
    struct log_reading *r = ctx;
    Yumen__V1__LogEntry *e = NULL;

    r->code = ym_message_unpack(&yumen__v1__log_entry__descriptor, message, &e, r->st);
    if (r->code == YM_OK)
        r->code = r->fn(r->ctx, e->index, ym_message_view(e->leaf), r->st);
    ym_message_free(e);
    return r->code == YM_OK;
}

enum ym_code ym_home_read_log(struct ym_party_home *h, uint64_t from, ym_log_leaf fn, void *ctx, struct ym_status *st)
{
    Yumen__V1__ReadLogRequest request = YUMEN__V1__READ_LOG_REQUEST__INIT;
    struct log_reading r = {fn, ctx, st, YM_OK};
    struct ym_buf wire = {0};
    enum ym_code code;

    request.from = from;
    code = ym_message_pack(&request, &wire, st);
    if (code == YM_OK)
        code = reach(h, st);
    if (code == YM_OK)
        code = ym_rpc_read_stream(h->client, "/yumen.v1.Federation/ReadLog", ym_buf_bytes(&wire), LOG_MS, on_log_entry,
                                  &r, st);
    ym_buf_release(&wire);
    return r.code != YM_OK ? r.code : code;
}

enum ym_code ym_home_log_key(const struct ym_party_home *h, char name[256], uint8_t pub[YM_PUBKEY_BYTES],
                             struct ym_status *st)
{
    char path[1200];
    struct ym_buf bytes = {0};
    json_t *hub = NULL;
    const char *vkey;
    enum ym_code code = YM_OK;

    if (ym_fs_join(path, sizeof path, h->dir, "hub.json") != YM_OK)
        return ym_status_set(st, YM_INVALID, "the path of the folder is too long");
    code = ym_fs_read(path, 256 * 1024, &bytes, st);
    if (code == YM_OK)
        code = ym_json_parse(bytes.data, bytes.len, 256 * 1024, &hub, st);
    if (code == YM_OK)
        code = ym_json_get_str(hub, "log", &vkey, st);
    if (code == YM_OK)
        code = ym_vkey_parse(vkey, YM_NOTE_LOG, name, pub, st);
    json_decref(hub);
    ym_buf_release(&bytes);
    return code;
}

#include <stdlib.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "audit/ledger/seal.h"
#include "base/json.h"
#include "coordinator/hub_internal.h"

/* Each round_result ends an append, so that every hospital is given the same
 * checkpoint to cosign. With its cosignature a hospital sends the checkpoint of its
 * own ledger, which the log then holds as checkpoint_seen. */

bool hub_seals(struct ym_bytes leaf)
{
    static const char mark[] = "\"type\":\"round_result\"";

    return memmem(leaf.data, leaf.len, mark, sizeof mark - 1) != NULL;
}

enum ym_code hub_seal(struct ym_hub *h, struct ym_status *st)
{
    struct ym_buf note = {0};
    enum ym_code code = ym_ledger_checkpoint(h->ledger, &note, st);

    if (code == YM_OK)
        code = ym_seal_write(h->ledger_dir, ym_ledger_size(h->ledger), ym_buf_bytes(&note), st);
    ym_buf_release(&note);
    if (code == YM_OK)
        h->sealed = ym_ledger_size(h->ledger);
    return code;
}

/* ---- what the log holds of others' ledgers ---- */

static struct hub_seen *find_seen(struct ym_hub *h, const char *log)
{
    for (struct hub_seen *s = h->seen; s; s = s->next)
        if (strcmp(s->log, log) == 0)
            return s;
    return NULL;
}

static bool remember(struct ym_hub *h, const struct hub_seen *seen)
{
    struct hub_seen *s = find_seen(h, seen->log), *next;

    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return false;
        s->next = h->seen;
        h->seen = s;
    }
    next = s->next;
    *s = *seen;
    s->next = next;
    return true;
}

void hub_seen_free(struct ym_hub *h)
{
    while (h->seen) {
        struct hub_seen *next = h->seen->next;

        free(h->seen);
        h->seen = next;
    }
}

/* log, size and root, whatever their names are in this leaf. */
static bool read_seen(const json_t *o, const char *log, const char *size, const char *root, struct hub_seen *out)
{
    const char *text = NULL;
    int64_t n = 0;

    if (ym_json_get_str(o, log, &text, NULL) != YM_OK || strlen(text) >= sizeof out->log ||
        ym_json_get_int(o, size, 1, INT64_MAX, &n, NULL) != YM_OK ||
        ym_json_get_hash(o, root, out->root, NULL) != YM_OK)
        return false;
    memcpy(out->log, text, strlen(text) + 1);
    out->size = (uint64_t)n;
    return true;
}

struct scan {
    struct ym_hub *h;
    bool failed, seals;
};

static bool scan_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    static const char mark[] = "\"type\":\"checkpoint_seen\"";
    struct scan *s = ctx;
    struct hub_seen seen = {0};
    json_t *o = NULL;

    (void)index;
    s->seals = hub_seals(leaf);
    if (!memmem(leaf.data, leaf.len, mark, sizeof mark - 1) || ym_leaf_parse(leaf, &o, NULL) != YM_OK)
        return true;
    if (strcmp(json_string_value(json_object_get(o, "type")), "checkpoint_seen") == 0 &&
        read_seen(o, "log", "size", "root", &seen))
        s->failed = !remember(s->h, &seen);
    json_decref(o);
    return !s->failed;
}

enum ym_code hub_seal_load(struct ym_hub *h, struct ym_status *st)
{
    struct scan s = {.h = h};
    enum ym_code code = ym_seal_sweep(h->ledger_dir, st);

    if (code == YM_OK)
        code = ym_seal_newest(h->ledger_dir, &h->sealed, st);
    if (code != YM_OK && code != YM_NOT_FOUND)
        return code;
    code = ym_ledger_each(h->ledger, 0, scan_leaf, &s, st);
    if (code == YM_OK && s.failed)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for what the log has seen");
    if (code == YM_OK && s.seals && h->sealed != ym_ledger_size(h->ledger))
        code = hub_seal(h, st);
    return code;
}

/* ---- say_cosigned ---- */

static bool read_bytes(const json_t *o, const char *key, uint8_t *out, size_t len)
{
    struct ym_buf raw = {0};
    const char *text = NULL;
    bool good = ym_json_get_str(o, key, &text, NULL) == YM_OK && ym_base64_decode(text, strlen(text), &raw) == YM_OK &&
                raw.len == len;

    if (good)
        memcpy(out, raw.data, len);
    ym_buf_release(&raw);
    return good;
}

/* The line goes behind the sealed checkpoint that it names. */
static enum ym_code add_line(struct ym_hub *h, const struct hub_seen *ours, const char *name, uint64_t at,
                             const uint8_t pub[YM_PUBKEY_BYTES], const uint8_t sig[YM_SIG_BYTES], const char **reason)
{
    struct ym_buf note = {0}, line = {0};
    struct ym_bytes text;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = ym_seal_read(h->ledger_dir, ours->size, &note, &st);

    *reason = "unknown_checkpoint";
    if (code == YM_OK && (!ym_cosign_text(ym_buf_bytes(&note), &text) || !ym_cosign_verify(text, pub, at, sig))) {
        *reason = "bad_cosignature";
        code = YM_DENIED;
    }
    if (code == YM_OK)
        code = ym_cosign_line(name, pub, at, sig, &line);
    if (code == YM_OK) {
        code = ym_seal_add(h->ledger_dir, ours->size, ym_buf_bytes(&line), &st);
        *reason = code == YM_OK ? "" : "disk";
    }
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "hub.cosign", "log=%s size=%llu why=\"%s\"", name, (unsigned long long)ours->size,
               st.message);
    ym_buf_release(&note);
    ym_buf_release(&line);
    return code;
}

/* Signed by the site's key, as its own checkpoint file is. */
static bool own_checkpoint_good(struct ym_hub *h, const char *site, const struct hub_seen *own,
                                const uint8_t sig[YM_SIG_BYTES])
{
    struct ym_store_party p;
    struct ym_buf text = {0};
    bool good = h->store->ops->get_party(h->store, site, &p, NULL, NULL) == YM_OK &&
                ym_checkpoint_text(own->log, own->size, own->root, &text) == YM_OK &&
                ym_sig_verify(p.identity_key, text.data, text.len, sig);

    ym_buf_release(&text);
    return good;
}

static enum ym_code log_seen(struct ym_hub *h, const struct hub_seen *own, const char *signature)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf line = {0};
    struct ym_store *s = h->store;
    enum ym_code code = hub_leaf_seen(h, own, signature, &line, &st);

    if (code == YM_OK)
        code = s->ops->begin(s, &st);
    if (code == YM_OK) {
        code = s->ops->put_leaf(s, ym_buf_bytes(&line), &st);
        if (code == YM_OK)
            code = s->ops->commit(s, &st);
        else
            s->ops->abort(s);
    }
    ym_buf_release(&line);
    if (code == YM_OK && !remember(h, own))
        code = YM_EXHAUSTED;
    if (code == YM_OK)
        hub_log_later(h);
    else
        ym_log(YM_LOG_ERROR, "hub.not_kept", "checkpoint_seen=%s error=\"%s\"", own->log, st.message);
    return code;
}

/* A ledger that shrank or forked is not entered again: what the log holds is the evidence. */
static enum ym_code enter_own(struct ym_hub *h, const char *site, const struct hub_seen *own, const json_t *o,
                              const char **reason)
{
    const struct hub_seen *last = find_seen(h, own->log);
    uint8_t sig[YM_SIG_BYTES];

    if (!read_bytes(o, "own_signature", sig, sizeof sig) || !own_checkpoint_good(h, site, own, sig)) {
        *reason = "bad_signature";
        return YM_DENIED;
    }
    if (last &&
        (own->size < last->size || (own->size == last->size && memcmp(own->root, last->root, sizeof own->root) != 0))) {
        *reason = own->size < last->size ? "ledger_behind" : "ledger_forked";
        return YM_CONFLICT;
    }
    if (last && (own->size == last->size || own->beside <= last->beside))
        return YM_OK;
    *reason = "store";
    if (log_seen(h, own, json_string_value(json_object_get(o, "own_signature"))) != YM_OK)
        return YM_UNAVAILABLE;
    *reason = "";
    return YM_OK;
}

enum ym_code hub_seal_take(struct ym_hub *h, const char *site, const json_t *o, const char **reason)
{
    struct hub_seen ours = {0}, own = {0};
    uint8_t pub[YM_PUBKEY_BYTES], sig[YM_SIG_BYTES];
    const char *instance = "";
    char name[256];
    int64_t at = 0;
    enum ym_code code;

    *reason = "malformed";
    snprintf(name, sizeof name, "yumen/hospital/%s", site);
    if (!read_seen(o, "log", "size", "root", &ours) || !read_seen(o, "own_log", "own_size", "own_root", &own) ||
        ym_json_get_int(o, "at", 1, INT64_MAX, &at, NULL) != YM_OK || !read_bytes(o, "cosigner", pub, sizeof pub) ||
        !read_bytes(o, "cosignature", sig, sizeof sig) || strcmp(own.log, name) != 0 ||
        ym_json_get_str(o, "instance", &instance, NULL) != YM_OK || strlen(instance) != 32)
        return YM_INVALID;
    if (hub_other_at_work(h, site, instance)) { /* its ledger is another one, and would look like a fork */
        *reason = "another_worker";
        return YM_CONFLICT;
    }
    own.beside = ours.size;
    code = add_line(h, &ours, name, (uint64_t)at, pub, sig, reason);
    return code == YM_OK ? enter_own(h, site, &own, o, reason) : code;
}

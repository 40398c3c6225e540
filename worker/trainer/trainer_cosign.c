#include <inttypes.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/trainer/trainer_internal.h"

/* Cosigning the hub's log. The watch has put every entry into a tree of its own and found the
 * hub's signed root; what this adds is the memory: the newest checkpoint_seen of the own ledger
 * is on disk before anything is signed, and nothing smaller or other is signed after it. */

enum { COSIGN_WAIT_MS = 5000 };

static bool set_bytes(json_t *o, const char *key, const void *data, size_t len)
{
    struct ym_buf text = {0};
    bool good =
        ym_base64_encode(data, len, &text) == YM_OK && json_object_set_new(o, key, json_string(ym_buf_str(&text))) == 0;

    ym_buf_release(&text);
    return good;
}

static json_t *tree_members(const char *log, uint64_t size, const uint8_t root[YM_HASH_BYTES])
{
    json_t *o = json_pack("{s:s, s:I}", "log", log, "size", (json_int_t)size);

    if (o)
        ym_json_set_hash(o, "root", root);
    return o;
}

static enum ym_code remember(struct ym_trainer *t, const struct ym_seal_due *d, struct ym_status *st)
{
    struct ym_buf line = {0};
    json_t *o = tree_members(ym_watch_hub_origin(t->watch), d->size, d->root);
    enum ym_code code = YM_OK;

    if (!o || !set_bytes(o, "signature", d->signature, sizeof d->signature))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK)
        code = ym_trainer_sign(t, "checkpoint_seen", o, &line, st);
    if (code == YM_OK)
        code = ym_trainer_record(t, ym_buf_bytes(&line), false, st);
    if (code == YM_OK)
        ym_watch_remember(t->watch, ym_buf_bytes(&line));
    ym_buf_release(&line);
    json_decref(o);
    return code;
}

static enum ym_code add_own(const struct ym_trainer *t, json_t *o, struct ym_status *st)
{
    char origin[128];
    uint8_t root[YM_HASH_BYTES], sig[YM_SIG_BYTES];
    uint64_t size = ym_ledger_size(t->ledger);
    struct ym_buf text = {0};
    enum ym_code code;

    ym_site_origin(t->site.name, origin);
    ym_ledger_root(t->ledger, root);
    code = ym_checkpoint_text(origin, size, root, &text);
    if (code == YM_OK) {
        ym_key_sign(t->key, text.data, text.len, sig);
        json_object_set_new(o, "own_log", json_string(origin));
        json_object_set_new(o, "own_size", json_integer((json_int_t)size));
        ym_json_set_hash(o, "own_root", root);
    }
    if (code != YM_OK || !set_bytes(o, "own_signature", sig, sizeof sig))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    ym_buf_release(&text);
    return code;
}

/* At the time of the memory, so that what is said again is the same to the bit, and stays true. */
static enum ym_code add_cosignature(const struct ym_trainer *t, json_t *o, const struct ym_buf *text, int64_t at,
                                    struct ym_status *st)
{
    uint8_t pub[YM_PUBKEY_BYTES], sig[YM_SIG_BYTES];
    struct ym_key *key = NULL;
    enum ym_code code = ym_key_derive(t->key, YM_COSIGN_LABEL, &key, st);

    if (code != YM_OK)
        return code;
    ym_key_public(key, pub);
    ym_cosign_sign(ym_buf_bytes(text), key, (uint64_t)at, sig);
    ym_key_free(key);
    json_object_set_new(o, "at", json_integer(at));
    if (!set_bytes(o, "cosigner", pub, sizeof pub) || !set_bytes(o, "cosignature", sig, sizeof sig))
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    return YM_OK;
}

/* Of what is in the memory, and nothing else. */
static enum ym_code say_cosigned(struct ym_trainer *t, struct ym_status *st)
{
    const char *origin = ym_watch_hub_origin(t->watch);
    const struct ym_watch_memory *m = ym_watch_memory(t->watch);
    struct ym_buf text = {0}, line = {0};
    json_t *o = tree_members(origin, m->size, m->root);
    enum ym_code code = o && json_object_set_new(o, "instance", json_string(t->instance)) == 0
                            ? ym_checkpoint_text(origin, m->size, m->root, &text)
                            : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK)
        code = add_cosignature(t, o, &text, m->time, st);
    if (code == YM_OK)
        code = add_own(t, o, st);
    if (code == YM_OK)
        code = ym_trainer_sign(t, "say_cosigned", o, &line, st);
    if (code == YM_OK)
        code = ym_door_control(t->door, ym_buf_bytes(&line), st);
    if (code == YM_OK)
        ym_log(YM_LOG_INFO, "trainer.cosigned", "log=%s size=%" PRIu64 " own=%" PRIu64, origin, m->size,
               ym_ledger_size(t->ledger));
    ym_buf_release(&text);
    ym_buf_release(&line);
    json_decref(o);
    return code;
}

/* Once a link what was cosigned last is said again: the hub may have missed it. Not before the
 * watch is content, for a ledger that was set back has forgotten what it signed since. */
void ym_trainer_cosign(struct ym_trainer *t)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_seal_due d = {.size = ym_watch_size(t->watch), .since_ms = ym_clock_mono_ms()};
    uint64_t known = ym_watch_memory(t->watch)->size;

    if (ym_watch_state(t->watch) != YM_WATCH_GOOD)
        return;
    if (!ym_watch_ends_round(t->watch) || d.size <= known) {
        if (!t->cosigned && !t->again && known > 0) {
            t->due.since_ms = d.since_ms; /* waits too: entries that follow may show that this ledger is an old one */
            t->again = true;
        }
        return;
    }
    ym_watch_root(t->watch, d.root);
    if (ym_checkpoint_signature(ym_watch_note(t->watch), ym_watch_hub_origin(t->watch), t->trust.hub_key, d.signature,
                                &st) != YM_OK)
        return;
    if (t->due.size > 0)
        d.since_ms = t->due.since_ms;
    t->due = d;
}

/* An entry costs several fsyncs, a round's end is when everybody wants the disk: so it waits for
 * a quiet moment, but not for ever. */
void ym_trainer_cosign_due(struct ym_trainer *t, bool quiet)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_seal_due d = t->due;
    enum ym_code code = YM_OK;

    if ((d.size == 0 && !t->again) || (!quiet && ym_clock_mono_ms() - d.since_ms < COSIGN_WAIT_MS))
        return;
    t->due.size = 0;
    t->again = false;
    if (ym_watch_state(t->watch) != YM_WATCH_GOOD)
        return;
    if (d.size > ym_watch_memory(t->watch)->size)
        code = remember(t, &d, &st);
    if (code == YM_OK)
        code = say_cosigned(t, &st);
    t->cosigned |= code == YM_OK;
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.cosign", "size=%" PRIu64 " why=\"%s\"", d.size, st.message);
}

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

enum {
    ASK_AGAIN_MS = 5000, /* after a log that did not fit: as often at most */
    NOTE_MAX = 1024,     /* a longer one is not shown to the hub: a control frame has one size */
};

enum ym_code ym_trainer_watch_open(struct ym_trainer *t, struct ym_status *st)
{
    uint8_t run[sizeof t->instance / 2];

    ym_random(run, sizeof run);
    for (size_t i = 0; i < sizeof run; i++)
        snprintf(t->instance + 2 * i, 3, "%02x", run[i]);
    t->watch = ym_watch_new(&t->site, t->key, t->ledger);
    return t->watch ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the hub's log");
}

static json_t *session_members(struct ym_trainer *t)
{
    struct ym_bytes note = ym_watch_note(t->watch);
    uint8_t root[YM_HASH_BYTES];
    json_t *o;

    ym_ledger_root(t->ledger, root);
    o = json_pack("{s:s, s:I, s:I, s:s%}", "instance", t->instance, "size", (json_int_t)ym_ledger_size(t->ledger),
                  "log_from", (json_int_t)ym_watch_next(t->watch), "hub_note", note.len ? (const char *)note.data : "",
                  note.len > NOTE_MAX ? 0 : note.len);
    if (o)
        ym_json_set_hash(o, "root", root);
    return o;
}

void ym_trainer_session(struct ym_trainer *t)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf line = {0};
    json_t *o = session_members(t);
    enum ym_code code = o ? ym_trainer_sign(t, "say_session", o, &line, &st) : YM_EXHAUSTED;

    if (code == YM_OK)
        code = ym_door_control(t->door, ym_buf_bytes(&line), &st);
    if (code != YM_OK)
        ym_log(YM_LOG_ERROR, "trainer.session", "why=\"%s\"", st.message);
    t->asked_ms = ym_clock_mono_ms();
    ym_buf_release(&line);
    json_decref(o);
}

static void refused(struct ym_trainer *t, const struct ym_status *st)
{
    ym_log(YM_LOG_ERROR, "trainer.hub_log", "state=%s why=\"%s\"", ym_watch_word(ym_watch_state(t->watch)),
           st->message);
    if (ym_clock_mono_ms() - t->asked_ms >= ASK_AGAIN_MS)
        ym_trainer_session(t);
}

void ym_trainer_log(struct ym_trainer *t, const struct ym_frame *f, struct ym_actions *a)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = ym_watch_entries(t->watch, f->offset, f->total - f->offset, f->payload, &st);

    if (code != YM_OK)
        refused(t, &st);
    a->failed |= code == YM_EXHAUSTED;
}

static void say_disagreement(const struct ym_trainer *t)
{
    struct ym_watch_claim claim;

    ym_watch_claim(t->watch, &claim);
    ym_log(YM_LOG_ERROR, "trainer.halted",
           "state=%s missing=%zu ledger=%" PRIu64 " known=%" PRIu64 " do=\"yumen-site recover\"",
           ym_watch_word(ym_watch_state(t->watch)), ym_watch_missing(t->watch), ym_ledger_size(t->ledger), claim.known);
}

void ym_trainer_checkpoint(struct ym_trainer *t, struct ym_bytes note, struct ym_actions *a)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_watch_state before = ym_watch_state(t->watch);
    enum ym_code code = ym_watch_checkpoint(t->watch, note, &st);

    if (code != YM_OK)
        refused(t, &st);
    if (ym_watch_halted(t->watch) && ym_watch_state(t->watch) != before)
        say_disagreement(t);
    a->failed |= code == YM_EXHAUSTED;
    if (code == YM_OK)
        ym_trainer_cosign(t);
    ym_core_log_seen(t->core, a);
}

enum ym_code ym_trainer_not_halted(const struct ym_trainer *t, struct ym_status *st)
{
    return ym_watch_halted(t->watch) ? ym_status_set(st, YM_DENIED, "%s", T(SITE_HALTED)) : YM_OK;
}

/* Two workers of this name, says the hub. It goes on record here too, once a run. */
void ym_trainer_notice(struct ym_trainer *t, struct ym_bytes line)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf own = {0};
    const char *reason = "";
    json_t *o = NULL, *members = NULL;
    enum ym_code code = t->enrolled ? ym_leaf_open(line, t->trust.hub_key, "incident", &o, &st) : YM_DENIED;

    if (code == YM_OK)
        code = ym_json_get_str(o, "reason", &reason, &st);
    if (code == YM_OK && t->noticed[0])
        goto out;
    if (code == YM_OK) {
        snprintf(t->noticed, sizeof t->noticed, "%s", reason);
        ym_log(YM_LOG_ERROR, "trainer.other_worker", "hub=\"%s\"", reason);
        members = json_pack("{s:s}", "reason", t->noticed);
        code = members ? ym_trainer_sign(t, "incident", members, &own, &st) : YM_EXHAUSTED;
    }
    if (code == YM_OK)
        code = ym_trainer_record(t, ym_buf_bytes(&own), false, &st);
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.notice", "why=\"%s\"", st.message);
out:
    ym_buf_release(&own);
    json_decref(members);
    json_decref(o);
}

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/hub_internal.h"

/* The hub's own leaves, as docs/leaves.md has them, and the sequencer that
 * carries the store's outbox into the ledger. */

#define APPEND_BATCH 256

static enum ym_code sign(struct ym_hub *h, const char *type, json_t *members, struct ym_buf *out, struct ym_status *st)
{
    enum ym_code code = YM_EXHAUSTED;

    if (members)
        code = ym_leaf_sign(type, members, "hub", ym_clock_unix(), h->identity, out, st);
    else
        ym_status_set(st, code, "out of memory for a leaf");
    json_decref(members);
    return code;
}

static json_t *attempt_members(const struct ym_round *r)
{
    return json_pack("{s:s, s:I, s:I}", "study", r->plan->study, "round", (json_int_t)r->round, "attempt",
                     (json_int_t)r->attempt);
}

#define PART(x) (1u << YM_ROUND_##x)

static json_t *names_of(const struct ym_round *r, unsigned parts)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < r->plan->site_count; i++)
        if ((parts >> r->site[i].part) & 1)
            json_array_append_new(list, json_string(r->plan->site[i].name));
    return list;
}

enum ym_code hub_leaf_open(struct ym_hub *h, const struct ym_round *r, uint64_t state_bytes, struct ym_buf *out,
                           struct ym_status *st)
{
    json_t *o = attempt_members(r);

    if (o) {
        ym_json_set_hash(o, "plan", r->plan->hash);
        ym_json_set_hash(o, "state", r->state);
        json_object_set_new(o, "state_bytes", json_integer((json_int_t)state_bytes));
        json_object_set_new(o, "roster", names_of(r, ~PART(ABSENT)));
        json_object_set_new(o, "ready_by", json_integer(r->deadline_s));
        json_object_set_new(o, "collect_by", json_integer(r->deadline_s + (r->plan->collect_ms + 999) / 1000));
    }
    return sign(h, "round_open", o, out, st);
}

enum ym_code hub_leaf_collect(struct ym_hub *h, const struct ym_round *r, struct ym_buf *out, struct ym_status *st)
{
    json_t *o = attempt_members(r);

    if (o) {
        ym_json_set_hash(o, "state", r->state);
        json_object_set_new(o, "roster", names_of(r, PART(SAID_READY)));
        json_object_set_new(o, "collect_by", json_integer(r->deadline_s));
    }
    return sign(h, "say_collect", o, out, st);
}

enum ym_code hub_leaf_result(struct ym_hub *h, const struct ym_round *r, struct ym_buf *out, struct ym_status *st)
{
    json_t *o = attempt_members(r);

    if (o) {
        ym_json_set_hash(o, "state_before", r->before);
        ym_json_set_hash(o, "state_after", r->state);
        ym_json_set_hash(o, "sum", r->sum);
        json_object_set_new(o, "survivors", names_of(r, PART(COUNTED)));
        json_object_set_new(o, "left_out", names_of(r, PART(LEFT_OUT) | PART(DECLINED)));
        json_object_set_new(o, "last", json_boolean(ym_round_is_last(r)));
        json_object_set_new(o, "build", json_string(h->program.build));
        json_object_set_new(o, "binary", json_string(h->program.binary));
    }
    return sign(h, "round_result", o, out, st);
}

enum ym_code hub_leaf_abort(struct ym_hub *h, const struct ym_round *r, const char *reason, bool final,
                            struct ym_buf *out, struct ym_status *st)
{
    json_t *o = attempt_members(r);

    if (o) {
        json_object_set_new(o, "reason", json_string(reason));
        json_object_set_new(o, "final", json_boolean(final));
    }
    return sign(h, "abort", o, out, st);
}

enum ym_code hub_leaf_enrol(struct ym_hub *h, const struct ym_store_party *p, const uint8_t spki[YM_HASH_BYTES],
                            int64_t not_after_s, struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf key = {0};
    json_t *o = NULL;

    if (ym_base64_encode(p->identity_key, sizeof p->identity_key, &key) == YM_OK)
        o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "role", ym_role_name(p->role), "name", p->name, "identity_key",
                      ym_buf_str(&key), "not_after", (json_int_t)not_after_s, "federation", h->config.federation);
    if (o)
        ym_json_set_hash(o, "spki", spki);
    ym_buf_release(&key);
    return sign(h, "enrol", o, out, st);
}

enum ym_code hub_leaf_revoke(struct ym_hub *h, const struct ym_store_party *p, const char *reason, struct ym_buf *out,
                             struct ym_status *st)
{
    return sign(h, "revoke",
                json_pack("{s:s, s:s, s:s}", "role", ym_role_name(p->role), "name", p->name, "reason", reason), out,
                st);
}

enum ym_code hub_leaf_seen(struct ym_hub *h, const struct hub_seen *seen, const char *signature, struct ym_buf *out,
                           struct ym_status *st)
{
    json_t *o = json_pack("{s:s, s:I, s:s}", "log", seen->log, "size", (json_int_t)seen->size, "signature", signature);

    if (o)
        ym_json_set_hash(o, "root", seen->root);
    return sign(h, "checkpoint_seen", o, out, st);
}

/* ---- the sequencer ---- */

struct batch {
    struct ym_buf bytes;
    size_t end[APPEND_BATCH];
    size_t count;
    uint64_t next;
    bool bad, seal; /* seal: the last leaf ends a round */
};

static bool take_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct batch *b = ctx;

    b->bad = index != b->next || ym_buf_append(&b->bytes, leaf.data, leaf.len) != YM_OK;
    if (b->bad)
        return false;
    b->next++;
    b->end[b->count++] = b->bytes.len;
    b->seal = hub_seals(leaf);
    return b->count < APPEND_BATCH && !b->seal;
}

static enum ym_code offer_checkpoint(struct ym_hub *h, bool sealed, struct ym_status *st)
{
    struct ym_buf note = {0};
    enum ym_code code = ym_ledger_checkpoint(h->ledger, &note, st);

    if (code == YM_OK)
        hub_witness_offer(h, ym_ledger_size(h->ledger), ym_buf_bytes(&note), sealed);
    ym_buf_release(&note);
    return code;
}

static enum ym_code append_batch(struct ym_hub *h, const struct batch *b, struct ym_status *st)
{
    struct ym_bytes leaf[APPEND_BATCH];
    uint64_t first = 0;
    enum ym_code code;

    for (size_t i = 0; i < b->count; i++) {
        size_t from = i ? b->end[i - 1] : 0;

        leaf[i] = (struct ym_bytes){b->bytes.data + from, b->end[i] - from};
    }
    code = ym_ledger_append(h->ledger, leaf, b->count, &first, st);
    if (code == YM_OK) {
        YM_ASSERT(first == h->logged); /* row n is leaf n */
        h->logged = first + b->count;
    }
    if (code == YM_OK && b->seal)
        code = hub_seal(h, st);
    return code == YM_OK ? offer_checkpoint(h, b->seal, st) : code;
}

void hub_log_later(struct ym_hub *h)
{
    if (h->log_due)
        return;
    h->log_due = true;
    h->log_flush_ms = ym_clock_mono_ms() + HUB_LOG_WAIT_MS;
}

enum ym_code hub_log_flush(struct ym_hub *h, struct ym_status *st)
{
    uint64_t rows = 0;
    enum ym_code code = h->store->ops->count_leaves(h->store, &rows, st);

    while (code == YM_OK && h->logged < rows) {
        struct batch b = {.next = h->logged};

        code = h->store->ops->each_leaf(h->store, h->logged, APPEND_BATCH, take_leaf, &b, st);
        if (code == YM_OK && (b.bad || b.count == 0))
            code =
                ym_status_set(st, YM_CORRUPT, "the store's outbox has a gap at leaf %llu", (unsigned long long)b.next);
        if (code == YM_OK)
            code = append_batch(h, &b, st);
        ym_buf_release(&b.bytes);
    }
    h->log_due = code != YM_OK;
    h->log_flush_ms = ym_clock_mono_ms() + (code == YM_OK ? HUB_LOG_WAIT_MS : HUB_LOG_RETRY_MS);
    return code;
}

enum ym_code hub_leaf_twin(struct ym_hub *h, const char *site, const char *first, const char *second,
                           struct ym_buf *out, struct ym_status *st)
{
    char text[160];

    snprintf(text, sizeof text, "two workers of %s: run %.8s is connected, run %.8s was refused", site, first, second);
    return sign(h, "incident", json_pack("{s:s}", "reason", text), out, st);
}

struct same {
    struct ym_ledger *ledger;
    bool found, same;
};

static bool compare_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct same *s = ctx;
    uint64_t at = 0;

    s->found = true;
    s->same = ym_ledger_find(s->ledger, leaf, &at) == YM_OK && at == index;
    return false;
}

enum ym_code hub_log_check(struct ym_hub *h, struct ym_status *st)
{
    struct same s = {h->ledger, false, false};
    uint64_t rows = 0;
    enum ym_code code = h->store->ops->count_leaves(h->store, &rows, st);

    h->logged = ym_ledger_size(h->ledger);
    if (code != YM_OK || h->logged == 0)
        return code;
    if (h->logged > rows)
        return ym_status_set(st, YM_CORRUPT,
                             "the ledger has %llu leaves, the store only %llu: the store is older than the ledger; "
                             "restore the newest backup of store.db",
                             (unsigned long long)h->logged, (unsigned long long)rows);
    code = h->store->ops->each_leaf(h->store, h->logged - 1, 1, compare_leaf, &s, st);
    if (code == YM_OK && !(s.found && s.same))
        code = ym_status_set(st, YM_CORRUPT, "leaf %llu of the ledger is not the store's: they are not of one hub",
                             (unsigned long long)h->logged - 1);
    return code;
}

#include "worker/trainer/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/bundle.h"
#include "audit/ledger/checkpoint.h"
#include "audit/ledger/leaf.h"
#include "audit/ledger/tree.h"
#include "base/fs.h"
#include "base/json.h"
#include "worker/trainer/watch_internal.h"

const char *ym_watch_word(enum ym_watch_state s)
{
    static const char *const word[] = {"blind", "good", "hub_behind", "hub_differs", "ledger_behind", "ledger_forked"};

    return word[s];
}

/* ---- one view ---- */

void ym_view_release(struct ym_view *v)
{
    for (size_t i = 0; i < v->missing_count; i++)
        ym_buf_release(&v->missing[i]);
    free(v->missing);
    free(v->opened);
    free(v->exported);
    memset(v, 0, sizeof *v);
}

static struct ym_opened *find_opened(const struct ym_view *v, const char *study)
{
    for (size_t i = 0; i < v->opened_count; i++)
        if (strcmp(v->opened[i].study, study) == 0)
            return &v->opened[i];
    return NULL;
}

enum ym_code ym_view_open(struct ym_view *v, const struct ym_opened *o)
{
    struct ym_opened *known = find_opened(v, o->study), *grown;

    if (known) {
        *known = *o;
        return YM_OK;
    }
    if (v->opened_count == YM_WATCH_OPENED) /* the one not heard of for longest */
        memmove(v->opened, v->opened + 1, --v->opened_count * sizeof *v->opened);
    grown = reallocarray(v->opened, v->opened_count + 1, sizeof *grown);
    if (!grown)
        return YM_EXHAUSTED;
    v->opened = grown;
    v->opened[v->opened_count++] = *o;
    return YM_OK;
}

static void drop_opened(struct ym_view *v, const char *study)
{
    struct ym_opened *o = find_opened(v, study);

    if (!o)
        return;
    v->opened_count--;
    memmove(o, o + 1, (size_t)(v->opened + v->opened_count - o) * sizeof *o);
}

static enum ym_code add_missing(struct ym_view *v, struct ym_bytes line)
{
    struct ym_buf *grown;

    if (v->missing_count == YM_WATCH_MISSING) {
        v->more++;
        return YM_OK;
    }
    grown = reallocarray(v->missing, v->missing_count + 1, sizeof *grown);
    if (!grown)
        return YM_EXHAUSTED;
    v->missing = grown;
    memset(&grown[v->missing_count], 0, sizeof *grown);
    return ym_buf_append(&grown[v->missing_count++], line.data, line.len);
}

static enum ym_code copy_view(struct ym_view *to, const struct ym_view *from)
{
    enum ym_code code = YM_OK;

    ym_view_release(to);
    to->tree = from->tree;
    to->more = from->more;
    to->known = from->known;
    to->forked = from->forked;
    to->forged = from->forged;
    to->ends_round = from->ends_round;
    to->people_unknown = from->people_unknown;
    for (size_t i = 0; code == YM_OK && i < from->exported_count; i++)
        code = ym_view_export(to, &from->exported[i]);
    for (size_t i = 0; code == YM_OK && i < from->opened_count; i++)
        code = ym_view_open(to, &from->opened[i]);
    for (size_t i = 0; code == YM_OK && i < from->missing_count; i++)
        code = add_missing(to, ym_buf_bytes(&from->missing[i]));
    return code;
}

/* ---- the own ledger ---- */

/* Root of the first `size` entries of the own ledger; sizes mostly grow. */
static void own_root(struct ym_watch *w, uint64_t size, uint8_t root[YM_HASH_BYTES])
{
    uint8_t hash[YM_HASH_BYTES];

    if (w->own.size > size)
        memset(&w->own, 0, sizeof w->own);
    while (w->own.size < size) {
        ym_ledger_leaf_hash(w->ledger, w->own.size, hash);
        ym_tree_push(&w->own, hash, NULL, NULL);
    }
    ym_tree_root(&w->own, root);
}

void ym_watch_remember(struct ym_watch *w, struct ym_bytes line)
{
    struct ym_watch_memory m = {0};
    const char *log = "";
    int64_t size = 0;
    json_t *o = NULL;

    if (ym_leaf_open(line, w->pub, "checkpoint_seen", &o, NULL) == YM_OK &&
        ym_json_get_str(o, "log", &log, NULL) == YM_OK && strcmp(log, w->hub_origin) == 0 &&
        ym_json_get_int(o, "size", 1, INT64_MAX, &size, NULL) == YM_OK &&
        ym_json_get_int(o, "time", 1, INT64_MAX, &m.time, NULL) == YM_OK &&
        ym_json_get_hash(o, "root", m.root, NULL) == YM_OK) {
        m.size = (uint64_t)size;
        w->memory = m;
    }
    json_decref(o);
}

static bool last_seen(void *ctx, uint64_t index, struct ym_bytes line)
{
    static const char mark[] = "\"type\":\"checkpoint_seen\"";

    (void)index;
    if (memmem(line.data, line.len, mark, sizeof mark - 1))
        ym_watch_remember(ctx, line);
    return true;
}

static bool last_recover(void *ctx, uint64_t index, struct ym_bytes line)
{
    struct ym_watch *w = ctx;
    json_t *o = NULL;
    int64_t size = 0;

    (void)index;
    if (memmem(line.data, line.len, "\"type\":\"recover\"", 16) &&
        ym_leaf_open(line, w->pub, "recover", &o, NULL) == YM_OK &&
        ym_json_get_int(o, "hub_size", 0, INT64_MAX, &size, NULL) == YM_OK)
        w->settled = (uint64_t)size;
    json_decref(o);
    return true;
}

/* ---- entries of the hub's log ---- */

static bool holds(struct ym_bytes line, const char *text)
{
    return memmem(line.data, line.len, text, strlen(text)) != NULL;
}

static bool lists(const json_t *o, const char *key, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(o, key), i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

static enum ym_code take_open(struct ym_watch *w, const json_t *o)
{
    struct ym_opened seen = {0};
    const char *study = "";
    int64_t round = 0, attempt = 0;

    if (!lists(o, "roster", w->name))
        return YM_OK;
    if (ym_json_get_str(o, "study", &study, NULL) != YM_OK || !ym_name_valid(study) ||
        ym_json_get_int(o, "round", 1, UINT32_MAX, &round, NULL) != YM_OK ||
        ym_json_get_int(o, "attempt", 1, UINT32_MAX, &attempt, NULL) != YM_OK)
        return YM_OK; /* no task will fit it */
    snprintf(seen.study, sizeof seen.study, "%s", study);
    seen.round = (uint32_t)round;
    seen.attempt = (uint32_t)attempt;
    return ym_view_open(&w->next, &seen);
}

/* The hub says how far it has seen our ledger. What people settled is not asked again. */
static void take_seen(struct ym_watch *w, uint64_t index, const json_t *o)
{
    const char *log = "";
    uint8_t root[YM_HASH_BYTES], own[YM_HASH_BYTES];
    int64_t size = 0;

    if (index < w->settled || ym_json_get_str(o, "log", &log, NULL) != YM_OK || strcmp(log, w->own_origin) != 0 ||
        ym_json_get_int(o, "size", 0, INT64_MAX, &size, NULL) != YM_OK ||
        ym_json_get_hash(o, "root", root, NULL) != YM_OK)
        return;
    if ((uint64_t)size > w->next.known)
        w->next.known = (uint64_t)size;
    if ((uint64_t)size > ym_ledger_size(w->ledger))
        return;
    own_root(w, (uint64_t)size, own);
    w->next.forked |= memcmp(own, root, sizeof own) != 0;
}

static void take_end(struct ym_watch *w, const json_t *o)
{
    const char *study = "";

    if (ym_json_get_str(o, "study", &study, NULL) == YM_OK &&
        (json_is_true(json_object_get(o, "last")) || json_is_true(json_object_get(o, "final"))))
        drop_opened(&w->next, study);
}

/* A line under our key: we wrote it, so the ledger must hold it. */
static enum ym_code take_own(struct ym_watch *w, struct ym_bytes line)
{
    json_t *o = NULL;
    uint64_t at;

    if (ym_ledger_find(w->ledger, line, &at) == YM_OK)
        return YM_OK;
    if (ym_leaf_open(line, w->pub, NULL, &o, NULL) != YM_OK) {
        w->next.forged = true;
        return YM_OK;
    }
    json_decref(o);
    return add_missing(&w->next, line);
}

/* A charge under a key of ours that was replaced is own, too, when the ledger holds it. */
static enum ym_code take_charge(struct ym_watch *w, struct ym_bytes line, const json_t *o)
{
    const char *by = json_string_value(json_object_get(o, "by"));
    uint64_t at;

    if (by && strcmp(by, w->name) == 0 && ym_ledger_find(w->ledger, line, &at) == YM_OK)
        return YM_OK;
    return ym_view_charge(&w->next, o);
}

static enum ym_code take_others(struct ym_watch *w, uint64_t index, struct ym_bytes line)
{
    bool open = holds(line, "\"type\":\"round_open\""), seen = holds(line, "\"type\":\"checkpoint_seen\"");
    bool end = holds(line, "\"type\":\"round_result\"") || holds(line, "\"type\":\"abort\"");
    bool charge = holds(line, "\"type\":\"charge\"");
    json_t *o = NULL;
    enum ym_code code = YM_OK;

    if (!open && !seen && !end && !charge)
        return YM_OK;
    if (ym_leaf_parse(line, &o, NULL) != YM_OK) {
        w->next.people_unknown |= charge;
        return YM_OK; /* its bytes are in the tree; it says nothing to us */
    }
    if (charge)
        code = take_charge(w, line, o);
    else if (open)
        code = take_open(w, o);
    else if (seen)
        take_seen(w, index, o);
    else
        take_end(w, o);
    json_decref(o);
    return code;
}

struct relay {
    struct ym_watch *w;
    uint64_t first;
};

static enum ym_code take_entry(void *ctx, size_t i, struct ym_bytes line, struct ym_status *st)
{
    const struct relay *r = ctx;
    struct ym_watch *w = r->w;
    uint64_t index = r->first + i;
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code;

    if (index < w->next.tree.size)
        return YM_OK;
    ym_tree_leaf_hash(line, hash);
    ym_tree_push(&w->next.tree, hash, NULL, NULL);
    if (w->next.tree.size == w->memory.size) {
        ym_tree_root(&w->next.tree, hash);
        w->next.forged |= memcmp(hash, w->memory.root, sizeof hash) != 0;
    }
    w->next.ends_round = holds(line, "\"type\":\"round_result\"");
    code = holds(line, w->key_member) ? take_own(w, line) : take_others(w, index, line);
    return code == YM_OK ? code : ym_status_set(st, code, "no memory for the hub's log");
}

enum ym_code ym_watch_entries(struct ym_watch *w, uint64_t first, uint64_t count, struct ym_bytes bundle,
                              struct ym_status *st)
{
    struct relay r = {w, first};

    if (first > w->next.tree.size)
        return ym_status_set(st, YM_INVALID, "entry %" PRIu64 " of the hub's log came before entry %" PRIu64, first,
                             w->next.tree.size);
    return ym_bundle_each(bundle, (size_t)count, take_entry, &r, st);
}

/* ---- checkpoints ---- */

static enum ym_watch_state judge(const struct ym_watch *w)
{
    if (w->checked.forked)
        return YM_WATCH_LEDGER_FORKED;
    if (w->checked.missing_count > 0 || w->remembered > ym_ledger_size(w->ledger) ||
        w->checked.known > ym_ledger_size(w->ledger))
        return YM_WATCH_LEDGER_BEHIND;
    return YM_WATCH_GOOD;
}

static enum ym_code refuse(struct ym_watch *w, enum ym_watch_state state)
{
    if (w->state < YM_WATCH_LEDGER_BEHIND) /* those stay until people have looked */
        w->state = state;
    return copy_view(&w->next, &w->checked);
}

static enum ym_code compare(struct ym_watch *w, uint64_t size, const uint8_t root[YM_HASH_BYTES], struct ym_status *st)
{
    uint8_t got[YM_HASH_BYTES];

    uint64_t known = w->checked.tree.size > w->memory.size ? w->checked.tree.size : w->memory.size;

    if (size < known) {
        ym_status_set(st, YM_CONFLICT,
                      "the hub's log has %" PRIu64 " entries; this hospital has seen %" PRIu64
                      " under the hub's signature: the hub was set back to an older copy",
                      size, known);
        return refuse(w, YM_WATCH_HUB_BEHIND) == YM_OK ? YM_CONFLICT : YM_EXHAUSTED;
    }
    ym_tree_root(&w->next.tree, got);
    if (size != w->next.tree.size || memcmp(got, root, sizeof got) != 0 || w->next.forged) {
        ym_status_set(st, YM_CORRUPT, "the entries of the hub's log do not give its checkpoint of size %" PRIu64, size);
        return refuse(w, YM_WATCH_HUB_DIFFERS) == YM_OK ? YM_CORRUPT : YM_EXHAUSTED;
    }
    return YM_OK;
}

static enum ym_code keep_note(struct ym_watch *w, struct ym_bytes note)
{
    ym_buf_clear(&w->note);
    return ym_buf_append(&w->note, note.data, note.len);
}

enum ym_code ym_watch_checkpoint(struct ym_watch *w, struct ym_bytes note, struct ym_status *st)
{
    uint64_t size = 0;
    uint8_t root[YM_HASH_BYTES];
    enum ym_code code = w->trusted ? YM_OK : ym_status_set(st, YM_DENIED, "this hospital is not enrolled");

    if (code == YM_OK)
        code = ym_checkpoint_open(note, w->hub_origin, w->hub_key, &size, root, st);
    if (code == YM_OK)
        code = compare(w, size, root, st);
    if (code == YM_OK)
        code = copy_view(&w->checked, &w->next);
    if (code == YM_OK)
        code = keep_note(w, note);
    if (code != YM_OK)
        return code;
    w->state = judge(w);
    if (w->checked.ends_round)
        w->ended = size;
    if (w->state == YM_WATCH_GOOD && size >= w->kept_size + YM_WATCH_KEEP_EVERY && w->ended <= w->memory.size)
        ym_watch_keep(w); /* not past a round's end that is still to be cosigned: it would not be read again */
    return YM_OK;
}

/* ---- questions ---- */

uint64_t ym_watch_next(const struct ym_watch *w)
{
    return w->next.tree.size;
}

enum ym_watch_state ym_watch_state(const struct ym_watch *w)
{
    return w->state;
}

bool ym_watch_halted(const struct ym_watch *w)
{
    return w->state > YM_WATCH_GOOD;
}

bool ym_watch_opened(const struct ym_watch *w, const char *study, uint32_t round, uint32_t attempt)
{
    const struct ym_opened *o = find_opened(&w->checked, study);

    return o && (o->round > round || (o->round == round && o->attempt >= attempt));
}

struct ym_bytes ym_watch_note(const struct ym_watch *w)
{
    return ym_buf_bytes(&w->note);
}

uint64_t ym_watch_size(const struct ym_watch *w)
{
    return w->checked.tree.size;
}

void ym_watch_root(const struct ym_watch *w, uint8_t root[YM_HASH_BYTES])
{
    ym_tree_root(&w->checked.tree, root);
}

bool ym_watch_ends_round(const struct ym_watch *w)
{
    return w->checked.ends_round;
}

const struct ym_watch_memory *ym_watch_memory(const struct ym_watch *w)
{
    return &w->memory;
}

const char *ym_watch_hub_origin(const struct ym_watch *w)
{
    return w->hub_origin;
}

size_t ym_watch_missing(const struct ym_watch *w)
{
    return w->checked.missing_count;
}

struct ym_bytes ym_watch_missing_at(const struct ym_watch *w, size_t i)
{
    return ym_buf_bytes(&w->checked.missing[i]);
}

void ym_watch_claim(const struct ym_watch *w, struct ym_watch_claim *out)
{
    out->more = w->checked.more;
    out->known = w->checked.known > w->remembered ? w->checked.known : w->remembered;
}

/* ---- life ---- */

void ym_watch_trust(struct ym_watch *w, const struct ym_trust *trust)
{
    w->trusted = trust != NULL;
    if (!trust)
        return;
    memcpy(w->hub_key, trust->hub_key, sizeof w->hub_key);
    snprintf(w->hub_origin, sizeof w->hub_origin, "yumen/%s/hub", trust->federation);
    memset(&w->memory, 0, sizeof w->memory);
    w->ended = 0;
    w->trusted = ym_ledger_each(w->ledger, 0, last_seen, w, NULL) ==
                 YM_OK; /* unreadable: nothing is compared, nothing cosigned */
    ym_watch_load(w);   /* what cannot be read is read again from the hub */
}

struct ym_watch *ym_watch_new(const struct ym_site *site, const struct ym_key *key, struct ym_ledger *ledger)
{
    struct ym_watch *w = calloc(1, sizeof *w);
    uint8_t id[YM_HASH_BYTES];
    int n = 0;

    if (!w)
        return NULL;
    w->ledger = ledger;
    ym_key_public(key, w->pub);
    ym_sha256(w->pub, sizeof w->pub, id);
    n = snprintf(w->key_member, sizeof w->key_member, "\"key\":\"");
    for (size_t i = 0; i < 8; i++)
        n += snprintf(w->key_member + n, sizeof w->key_member - (size_t)n, "%02x", id[i]);
    snprintf(w->key_member + n, sizeof w->key_member - (size_t)n, "\"");
    snprintf(w->name, sizeof w->name, "%s", site->name);
    ym_site_origin(site->name, w->own_origin);
    if (ym_site_path(site, "hub.seen", NULL, w->path) != YM_OK ||
        ym_ledger_each(ledger, 0, last_recover, w, NULL) != YM_OK) {
        free(w);
        return NULL;
    }
    return w;
}

void ym_watch_free(struct ym_watch *w)
{
    if (!w)
        return;
    if (w->state == YM_WATCH_GOOD && w->kept_size != w->checked.tree.size)
        ym_watch_keep(w);
    ym_view_release(&w->checked);
    ym_view_release(&w->next);
    ym_buf_release(&w->note);
    free(w);
}

void ym_watch_recovered(struct ym_watch *w)
{
    struct ym_view *view[] = {&w->checked, &w->next};

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < view[k]->missing_count; i++)
            ym_buf_release(&view[k]->missing[i]);
        view[k]->missing_count = 0;
        view[k]->more = view[k]->known = 0;
        view[k]->forked = false;
    }
    memset(&w->own, 0, sizeof w->own);
    w->remembered = 0;
    w->settled = w->checked.tree.size;
    w->state = YM_WATCH_GOOD;
    ym_watch_keep(w);
}

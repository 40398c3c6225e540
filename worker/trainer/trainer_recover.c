#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/recover.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* yumen-site recover: what the ledger lacks of what others hold, and taking it back
 * when people have decided so. */

enum { SHOWN = 100 };

static json_t *line_json(struct ym_bytes line)
{
    static const char *const shown[] = {"type", "time", "study", "round", "attempt", "dataset", "epsilon_spent_micro"};
    json_t *o = NULL, *row = json_object();

    if (ym_leaf_parse(line, &o, NULL) == YM_OK)
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            if (json_object_get(o, shown[i]))
                json_object_set(row, shown[i], json_object_get(o, shown[i]));
    json_decref(o);
    return row;
}

static json_t *missing_json(const struct ym_watch *w)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ym_watch_missing(w) && i < SHOWN; i++)
        json_array_append_new(list, line_json(ym_watch_missing_at(w, i)));
    return list;
}

json_t *ym_trainer_recover_json(struct ym_trainer *t)
{
    struct ym_watch_claim claim;

    ym_watch_claim(t->watch, &claim);
    return json_pack("{s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "ok", 1, "name", t->site.name, "state",
                     ym_watch_word(ym_watch_state(t->watch)), "leaves", (json_int_t)ym_ledger_size(t->ledger), "known",
                     (json_int_t)claim.known, "hub_size", (json_int_t)ym_watch_size(t->watch), "missing_count",
                     (json_int_t)(ym_watch_missing(t->watch) + claim.more), "missing", missing_json(t->watch));
}

/* Only what was compared in this run, and is ours to mend. */
static enum ym_code may_recover(const struct ym_trainer *t, const char *reason, struct ym_status *st)
{
    enum ym_watch_state s = ym_watch_state(t->watch);
    struct ym_watch_claim claim;

    ym_watch_claim(t->watch, &claim);
    if (s == YM_WATCH_HUB_BEHIND || s == YM_WATCH_HUB_DIFFERS)
        return ym_status_set(st, YM_DENIED, "%s", T(SITE_RECOVER_HUB));
    if (s != YM_WATCH_LEDGER_BEHIND && s != YM_WATCH_LEDGER_FORKED)
        return ym_status_set(st, YM_DENIED, "%s", T(SITE_RECOVER_NOTHING));
    if (ym_watch_size(t->watch) == 0)
        return ym_status_set(st, YM_UNAVAILABLE, "%s", T(SITE_RECOVER_WAIT));
    if (claim.more > 0 || ym_watch_missing(t->watch) >= YM_RECOVER_LINES)
        return ym_status_set(st, YM_DENIED, "%s", T(SITE_RECOVER_MANY));
    return ym_site_reason_valid(reason) ? YM_OK : ym_status_set(st, YM_INVALID, "%s", T(REFUSE_REASON));
}

static enum ym_code sign_recover(struct ym_trainer *t, const struct ym_bytes *line, size_t count, const char *reason,
                                 struct ym_buf *out, struct ym_status *st)
{
    struct ym_recover r = {.hub_size = ym_watch_size(t->watch), .line = line, .count = count, .reason = reason};
    struct ym_watch_claim claim;
    json_t *members = NULL;
    enum ym_code code;

    ym_watch_claim(t->watch, &claim);
    r.known_size = claim.known;
    ym_watch_root(t->watch, r.hub_root);
    code = ym_recover_members(t->ledger, &r, &members, st);
    if (code == YM_OK)
        code = ym_trainer_sign(t, "recover", members, out, st);
    json_decref(members);
    return code;
}

/* The leaf and all that it takes back in one append, then into all that folds it. */
static enum ym_code append(struct ym_trainer *t, const struct ym_bytes *line, size_t count, struct ym_status *st)
{
    uint64_t first = 0;
    enum ym_code code = ym_ledger_append(t->ledger, line, count, &first, st);

    for (size_t i = 0; code == YM_OK && i < count; i++) {
        code = ym_budget_take(t->budget, line[i], st);
        if (code == YM_OK)
            code = ym_meter_take(t->meter, line[i], st);
        if (code == YM_OK)
            code = ym_trainer_take(t, first + i, line[i], st);
    }
    if (code == YM_UNCERTAIN || code == YM_CORRUPT)
        ym_trainer_fatal(t, code, st);
    return code;
}

enum ym_code ym_trainer_recover(struct ym_trainer *t, const char *reason, struct ym_status *st)
{
    size_t count = ym_watch_missing(t->watch);
    struct ym_bytes *line = calloc(count + 1, sizeof *line);
    struct ym_buf leaf = {0};
    struct ym_actions a = {0};
    enum ym_code code = line ? may_recover(t, reason, st) : ym_status_set(st, YM_EXHAUSTED, "no memory");

    for (size_t i = 0; code == YM_OK && i < count; i++)
        line[i + 1] = ym_watch_missing_at(t->watch, i);
    if (code == YM_OK)
        code = sign_recover(t, line + 1, count, reason, &leaf, st);
    if (code == YM_OK) {
        line[0] = ym_buf_bytes(&leaf);
        code = append(t, line, count + 1, st);
    }
    if (code == YM_OK) {
        ym_log(YM_LOG_WARN, "trainer.recovered", "entries=%zu ledger=%llu", count,
               (unsigned long long)ym_ledger_size(t->ledger));
        ym_watch_recovered(t->watch);
        ym_trainer_session(t);
        ym_core_log_seen(t->core, &a);
        ym_trainer_act(t, &a);
    }
    ym_buf_release(&leaf);
    free(line);
    return code;
}

#include "worker/trainer/core_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"

/* ---- the gateway ---- */

static void repost(struct ym_actions *a, struct ym_core_study *s, uint64_t index)
{
    struct ym_action *item = ym_action_push(a, YM_ACTION_REPOST, s);

    if (item)
        item->index = index;
}

void ym_core_link_up(struct ym_core *c, struct ym_actions *a)
{
    for (size_t i = 0; i < c->dataset_count; i++)
        if (!c->dataset[i].delivered)
            repost(a, NULL, c->dataset[i].index);
    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (s->closed || !s->plan)
            continue;
        if (s->decision != YM_UNDECIDED && !s->decision_delivered) {
            repost(a, s, s->decision_index);
            if (s->decision == YM_APPROVED)
                ym_core_say_checked(a, s);
        }
        if (s->pause_logged && !s->pause_delivered)
            repost(a, s, s->pause_index);
        ym_core_resend(a, s);
    }
}

void ym_core_answer(struct ym_core *c, const struct ym_frame_answer *answer, struct ym_actions *a)
{
    bool delivered = answer->answer == YM_OK || answer->answer == YM_CONFLICT;

    for (size_t i = 0; i < c->dataset_count; i++)
        if (memcmp(c->dataset[i].leaf_hash, answer->leaf, YM_HASH_BYTES) == 0)
            c->dataset[i].delivered = delivered;
    for (size_t i = 0; i < c->study_count; i++) {
        struct ym_core_study *s = c->study[i];

        if (s->decision != YM_UNDECIDED && memcmp(s->decision_hash, answer->leaf, YM_HASH_BYTES) == 0)
            s->decision_delivered = delivered;
        if (s->pause_logged && memcmp(s->pause_hash, answer->leaf, YM_HASH_BYTES) == 0)
            s->pause_delivered = delivered;
        if (s->release_line.len && memcmp(s->release_hash, answer->leaf, YM_HASH_BYTES) == 0 && answer->answer != YM_OK)
            ym_core_drop_release(a, s); /* the hub will not take it any more */
    }
}

/* ---- the hospital ---- */

static void record(struct ym_actions *a, struct ym_core_study *s, const char *type, json_t *members)
{
    ym_core_say(a, YM_ACTION_RECORD, s, type, members);
}

enum ym_code ym_core_approval(struct ym_core *c, const struct ym_core_study *s, const char *dataset, json_t **members,
                              struct ym_status *st)
{
    const struct ym_core_dataset *d = ym_core_dataset_find(c, dataset);

    if (c->min_patients < 0)
        return ym_status_set(st, YM_DENIED, "the ledger holds no policy");
    if (!s->plan || s->closed)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" has ended", s->study);
    if (s->decision == YM_VETOED)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" was vetoed; a veto is final", s->study);
    if (!d)
        return ym_status_set(st, YM_NOT_FOUND, "no data set \"%s\" is registered", dataset);
    if (s->decision == YM_APPROVED && strcmp(s->dataset, dataset) == 0 && memcmp(s->data, d->data, sizeof d->data) == 0)
        return ym_status_set(st, YM_CONFLICT, "the plan is approved already, with this data set");
    *members = json_pack("{s:s, s:s, s:I}", "study", s->study, "dataset", dataset, "epsilon_micro",
                         (json_int_t)ym_plan_epsilon_micro(s->plan));
    ym_core_with_hash(*members, "plan", s->hash);
    return ym_core_with_hash(*members, "data", d->data) ? YM_OK
                                                        : ym_status_set(st, YM_EXHAUSTED, "no memory for an approval");
}

enum ym_code ym_core_approve(struct ym_core *c, struct ym_core_study *s, const char *dataset, json_t *seals,
                             struct ym_actions *a, struct ym_status *st)
{
    struct ym_action *log;
    json_t *o = NULL;
    enum ym_code code = ym_core_approval(c, s, dataset, &o, st);

    if (code != YM_OK)
        return code;
    log = ym_action_push(a, YM_ACTION_LOG, s);
    if (!log || ym_buf_append(&log->line, s->plan_leaf.data, s->plan_leaf.len) != YM_OK ||
        json_object_set(o, "seals", seals) != 0)
        a->failed = true;
    record(a, s, "approval", o);
    ym_core_say_checked(a, s);
    return YM_OK;
}

enum ym_code ym_core_veto(struct ym_core *c, struct ym_core_study *s, struct ym_actions *a, struct ym_status *st)
{
    (void)c;
    if (s->decision == YM_VETOED)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" is vetoed already", s->study);
    record(a, s, "veto", ym_core_with_hash(json_pack("{s:s}", "study", s->study), "plan", s->hash));
    ym_core_drop_release(a, s);
    if (s->phase == YM_STUDY_PREPARING || s->phase == YM_STUDY_READY) {
        s->phase = YM_STUDY_IDLE;
        ym_core_decline_current(a, s, s->round, s->attempt, "vetoed");
    }
    return YM_OK;
}

enum ym_code ym_core_pause(struct ym_core *c, const char *study, bool paused, struct ym_actions *a,
                           struct ym_status *st)
{
    struct ym_core_study *s = ym_core_open_named(c, study);

    if (!s || !s->plan)
        return ym_status_set(st, YM_NOT_FOUND, "no open study \"%s\"", study);
    if (s->paused == paused)
        return ym_status_set(st, YM_CONFLICT, "study \"%s\" is %s already", study, paused ? "paused" : "not paused");
    record(a, s, "pause", json_pack("{s:s, s:b}", "study", study, "paused", paused));
    if (paused && (s->phase == YM_STUDY_PREPARING || s->phase == YM_STUDY_READY)) {
        s->phase = YM_STUDY_IDLE;
        ym_core_decline_current(a, s, s->round, s->attempt, "paused");
    }
    return YM_OK;
}

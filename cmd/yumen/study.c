#include "cmd/yumen/study.h"

#include <stdio.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/print.h"
#include "models/start.h"
#include "models/state.h"

#define PHASES(X)                                                                                                      \
    X(OFFERED, "offered")                                                                                              \
    X(OPEN, "open")                                                                                                    \
    X(DELIVER, "deliver")                                                                                              \
    X(READY, "ready")                                                                                                  \
    X(COLLECT, "collect")                                                                                              \
    X(FOLD, "fold")                                                                                                    \
    X(PUBLISH, "publish")                                                                                              \
    X(DONE, "done")                                                                                                    \
    X(ABORTED, "aborted")                                                                                              \
    X(PAUSED, "paused")

#define SITE_PHASES(X)                                                                                                 \
    X(UNDECIDED, "undecided")                                                                                          \
    X(APPROVED, "approved")                                                                                            \
    X(VETOED, "vetoed")                                                                                                \
    X(AWAITED, "awaited")                                                                                              \
    X(READY, "ready")                                                                                                  \
    X(UPLOADING, "uploading")                                                                                          \
    X(COUNTED, "counted")                                                                                              \
    X(LEFT_OUT, "left_out")                                                                                            \
    X(DECLINED, "declined")

const char *ym_study_phase_word(Yumen__V1__StudyPhase phase)
{
    switch (phase) {
#define X(id, word)                                                                                                    \
    case YUMEN__V1__STUDY_PHASE__STUDY_PHASE_##id:                                                                     \
        return word;
        PHASES(X)
#undef X
    default:
        return "unknown";
    }
}

const char *ym_study_phase_text(Yumen__V1__StudyPhase phase)
{
    switch (phase) {
#define X(id, word)                                                                                                    \
    case YUMEN__V1__STUDY_PHASE__STUDY_PHASE_##id:                                                                     \
        return T(SPONSOR_PHASE_##id);
        PHASES(X)
#undef X
    default:
        return "?";
    }
}

const char *ym_site_phase_word(Yumen__V1__SitePhase phase)
{
    switch (phase) {
#define X(id, word)                                                                                                    \
    case YUMEN__V1__SITE_PHASE__SITE_PHASE_##id:                                                                       \
        return word;
        SITE_PHASES(X)
#undef X
    default:
        return "unknown";
    }
}

const char *ym_site_phase_text(Yumen__V1__SitePhase phase)
{
    switch (phase) {
#define X(id, word)                                                                                                    \
    case YUMEN__V1__SITE_PHASE__SITE_PHASE_##id:                                                                       \
        return T(SPONSOR_SITE_##id);
        SITE_PHASES(X)
#undef X
    default:
        return "?";
    }
}

bool ym_study_over(Yumen__V1__StudyPhase phase)
{
    return phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_DONE || phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_ABORTED;
}

static void set_bytes(json_t *o, const char *key, ProtobufCBinaryData bytes)
{
    struct ym_buf hex = {0};

    ym_hex_encode(bytes.data, bytes.len, &hex);
    json_object_set_new(o, key, json_string(ym_buf_str(&hex)));
    ym_buf_release(&hex);
}

json_t *ym_study_json(const Yumen__V1__Study *s)
{
    json_t *sites = json_array(), *o;

    for (size_t i = 0; i < s->n_site; i++) {
        const Yumen__V1__SiteStatus *t = s->site[i];

        json_array_append_new(sites, json_pack("{s:s,s:s,s:I,s:i,s:s,s:b}", "hospital", t->hospital, "phase",
                                               ym_site_phase_word(t->phase), "since", (json_int_t)t->since, "left_out",
                                               (int)t->left_out, "reason", t->reason, "connected", t->connected));
    }
    o = json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:s}", "study", s->study, "sponsor", s->sponsor, "phase",
                  ym_study_phase_word(s->phase), "round", (int)s->round, "rounds", (int)s->rounds, "attempt",
                  (int)s->attempt, "reason", s->reason);
    set_bytes(o, "plan", s->plan_sha256);
    set_bytes(o, "state", s->state_sha256);
    json_object_set_new(o, "sites", sites);
    return o;
}

enum ym_code ym_study_list(struct ym_party_home *h, Yumen__V1__ListStudiesReply **reply, struct ym_status *st)
{
    Yumen__V1__ListStudiesRequest request = YUMEN__V1__LIST_STUDIES_REQUEST__INIT;

    return ym_home_call(h, "/yumen.v1.Sponsor/ListStudies", &request, &yumen__v1__list_studies_reply__descriptor, reply,
                        st);
}

enum ym_code ym_study_find(const Yumen__V1__ListStudiesReply *reply, const char *study, const Yumen__V1__Study **out,
                           struct ym_status *st)
{
    for (size_t i = 0; i < reply->n_study; i++)
        if (strcmp(reply->study[i]->study, study) == 0) {
            *out = reply->study[i];
            return YM_OK;
        }
    return ym_status_set(st, YM_NOT_FOUND, T(SPONSOR_NO_STUDY), study);
}

/* ---- study list ---- */

static void print_study(const Yumen__V1__Study *s)
{
    struct ym_buf line = {0};

    ym_print_pad(&line, s->study, 24);
    ym_buf_puts(&line, "  ");
    ym_print_pad(&line, ym_study_phase_text(s->phase), 12);
    ym_buf_printf(&line, T(SPONSOR_STUDY_ROUND), s->round, s->rounds);
    if (s->reason[0] != '\0')
        ym_buf_printf(&line, "  %s", s->reason);
    puts(ym_buf_str(&line));
    ym_buf_release(&line);
}

static void print_studies(const Yumen__V1__ListStudiesReply *reply, bool json)
{
    json_t *list;

    if (!json) {
        for (size_t i = 0; i < reply->n_study; i++)
            print_study(reply->study[i]);
        if (reply->n_study == 0)
            puts(T(SPONSOR_NO_STUDIES));
        return;
    }
    list = json_array();
    for (size_t i = 0; i < reply->n_study; i++)
        json_array_append_new(list, ym_study_json(reply->study[i]));
    list = json_pack("{s:o}", "studies", list);
    ym_print_json(list);
    json_decref(list);
}

int ym_cmd_study_list(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    Yumen__V1__ListStudiesReply *reply = NULL;
    enum ym_code code = ym_home_open(ym_home_dir(a), &home, &st);

    if (code == YM_OK)
        code = ym_study_list(&home, &reply, &st);
    if (code == YM_OK)
        print_studies(reply, ym_cli_has(a, "json"));
    ym_message_free(reply);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

/* ---- study submit ---- */

static enum ym_code sign_plan(const struct ym_party_home *h, const struct ym_plan *plan, struct ym_buf *leaf,
                              struct ym_status *st)
{
    json_t *o = json_pack("{s:s,s:s}", "study", plan->study, "sponsor", h->who.name);
    enum ym_code code;

    ym_json_set_hash(o, "plan", plan->hash);
    code = ym_leaf_sign("plan", o, h->who.name, ym_clock_unix(), h->identity, leaf, st);
    json_decref(o);
    return code;
}

/* The file goes up before the plan that names it; the hub says where to go on. */
static enum ym_code put_start(struct ym_party_home *h, struct ym_bytes file, struct ym_status *st)
{
    Yumen__V1__PutStartRequest request = YUMEN__V1__PUT_START_REQUEST__INIT;
    enum ym_code code = YM_OK;

    for (size_t at = 0, n; at < file.len && code == YM_OK; at += n) {
        Yumen__V1__PutStartReply *reply = NULL;

        n = file.len - at < YM_MESSAGE_CHUNK ? file.len - at : YM_MESSAGE_CHUNK;
        request.offset = at;
        request.data = ym_message_bytes(file.data + at, n);
        code = ym_home_call(h, "/yumen.v1.Sponsor/PutStart", &request, &yumen__v1__put_start_reply__descriptor, &reply,
                            st);
        if (code == YM_OK && reply->offset != at + n)
            code = ym_status_set(st, YM_CONFLICT, "%s", T(SPONSOR_START_MOVED));
        ym_message_free(reply);
    }
    return code;
}

/* Whatever is wrong with the file is said here, before anything is sent. */
static enum ym_code read_start(const struct ym_cli_args *a, const struct ym_plan *plan, struct ym_buf *file,
                               struct ym_status *st)
{
    const char *path = ym_cli_get(a, "start");
    struct ym_buf state = {0};
    enum ym_code code = path ? ym_fs_read(path, YM_START_MAX_BYTES, file, st) : YM_OK;

    if (code == YM_OK)
        code = ym_state_initial_from(plan, ym_buf_bytes(file), &state, st);
    ym_buf_release(&state);
    return code;
}

static enum ym_code submit(struct ym_party_home *h, const struct ym_plan *plan, Yumen__V1__SubmitStudyReply **reply,
                           struct ym_status *st)
{
    Yumen__V1__SubmitStudyRequest request = YUMEN__V1__SUBMIT_STUDY_REQUEST__INIT;
    struct ym_buf leaf = {0};
    enum ym_code code;

    if (strcmp(plan->sponsor, h->who.name) != 0)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_OTHER_SPONSOR), plan->sponsor, h->who.name);
    code = sign_plan(h, plan, &leaf, st);
    request.plan = ym_message_bytes(plan->canonical.data, plan->canonical.len);
    request.plan_leaf = ym_message_bytes(leaf.data, leaf.len);
    if (code == YM_OK)
        code = ym_home_call(h, "/yumen.v1.Sponsor/SubmitStudy", &request, &yumen__v1__submit_study_reply__descriptor,
                            reply, st);
    ym_buf_release(&leaf);
    return code;
}

static void print_submitted(const struct ym_plan *plan, bool json)
{
    struct ym_buf hash = {0};
    json_t *o;

    ym_hex_encode(plan->hash, sizeof plan->hash, &hash);
    if (json) {
        o = json_pack("{s:s,s:s}", "study", plan->study, "plan", ym_buf_str(&hash));
        ym_print_json(o);
        json_decref(o);
    } else {
        printf(T(SPONSOR_SUBMITTED), plan->study, ym_buf_str(&hash), plan->study);
    }
    ym_buf_release(&hash);
}

int ym_cmd_study_submit(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    struct ym_plan *plan = NULL;
    struct ym_buf start = {0};
    Yumen__V1__SubmitStudyReply *reply = NULL;
    enum ym_code code = ym_plan_load(a->positional[0], &plan, &st);

    if (code == YM_OK)
        code = read_start(a, plan, &start, &st);
    if (code == YM_OK)
        code = ym_home_open(ym_home_dir(a), &home, &st);
    if (code == YM_OK && start.len > 0)
        code = put_start(&home, ym_buf_bytes(&start), &st);
    if (code == YM_OK)
        code = submit(&home, plan, &reply, &st);
    if (code == YM_OK &&
        (reply->plan_sha256.len != YM_HASH_BYTES || memcmp(reply->plan_sha256.data, plan->hash, YM_HASH_BYTES) != 0))
        code = ym_status_set(&st, YM_CORRUPT, "the hub answered with the hash of another plan");
    if (code == YM_OK)
        print_submitted(plan, ym_cli_has(a, "json"));
    ym_message_free(reply);
    ym_buf_release(&start);
    ym_plan_free(plan);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

/* ---- study cancel ---- */

static enum ym_code cancel(struct ym_party_home *h, const Yumen__V1__Study *s, struct ym_status *st)
{
    Yumen__V1__CancelStudyRequest request = YUMEN__V1__CANCEL_STUDY_REQUEST__INIT;
    Yumen__V1__CancelStudyReply *reply = NULL;
    struct ym_buf leaf = {0};
    json_t *o = json_pack("{s:s,s:I,s:I,s:s,s:b}", "study", s->study, "round", (json_int_t)s->round, "attempt",
                          (json_int_t)s->attempt, "reason", "cancelled", "final", 1);
    enum ym_code code = ym_leaf_sign("abort", o, h->who.name, ym_clock_unix(), h->identity, &leaf, st);

    request.study = s->study;
    request.cancel_leaf = ym_message_bytes(leaf.data, leaf.len);
    if (code == YM_OK)
        code = ym_home_call(h, "/yumen.v1.Sponsor/CancelStudy", &request, &yumen__v1__cancel_study_reply__descriptor,
                            &reply, st);
    ym_message_free(reply);
    ym_buf_release(&leaf);
    json_decref(o);
    return code;
}

int ym_cmd_study_cancel(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    Yumen__V1__ListStudiesReply *reply = NULL;
    const Yumen__V1__Study *study = NULL;
    enum ym_code code = ym_home_open(ym_home_dir(a), &home, &st);

    if (code == YM_OK)
        code = ym_study_list(&home, &reply, &st);
    if (code == YM_OK)
        code = ym_study_find(reply, a->positional[0], &study, &st);
    if (code == YM_OK)
        code = cancel(&home, study, &st);
    if (code == YM_OK)
        printf(T(SPONSOR_CANCELLED), study->study);
    ym_message_free(reply);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}

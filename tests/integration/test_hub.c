#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "tests/integration/hub_kit.h"

/* A real hub over TLS; hospitals and sponsor answer by hand. */

#define SITES 3
static const char *const site_name[SITES] = {"h1", "h2", "h3"};

struct world {
    struct kit_hub hub;
    struct kit_party sponsor, other_sponsor, auditor, site[SITES];
};

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    kit_hub_make(&w->hub);
    MUST(kit_serve(&w->hub));
    kit_join(&w->hub, &w->sponsor, YM_ROLE_SPONSOR, "acme");
    kit_join(&w->hub, &w->other_sponsor, YM_ROLE_SPONSOR, "rival");
    kit_join(&w->hub, &w->auditor, YM_ROLE_AUDITOR, "eye");
    for (size_t i = 0; i < SITES; i++) {
        kit_join(&w->hub, &w->site[i], YM_ROLE_HOSPITAL, site_name[i]);
        kit_subscribe(&w->hub, &w->site[i]);
    }
    *state = w;
    return 0;
}

static int end_world(void **state)
{
    struct world *w = *state;

    kit_party_end(&w->sponsor);
    kit_party_end(&w->other_sponsor);
    kit_party_end(&w->auditor);
    for (size_t i = 0; i < SITES; i++)
        kit_party_end(&w->site[i]);
    kit_hub_remove(&w->hub);
    free(w);
    return 0;
}

static size_t dim_of(const struct ym_plan *plan)
{
    struct ym_model m;

    MUST_OK(ym_model_from_plan(plan, &m, ks));
    return m.dim;
}

static void assert_answer(struct kit_answer a, int code, const char *reason)
{
    if (a.code != code || strcmp(a.reason, reason) != 0)
        fail_msg("answer %d '%s', wanted %d '%s'", a.code, a.reason, code, reason);
}

static json_t *task_members(struct ym_plan *plan, struct kit_task *t)
{
    return kit_members(plan, t);
}

static int64_t attempt_of(const struct kit_task *t)
{
    json_t *o = kit_leaf_json(t);
    int64_t attempt = json_integer_value(json_object_get(o, "attempt"));

    json_decref(o);
    return attempt;
}

/* The bytes a study must end with: recomputed here from the updates alone. */
static void check_state(struct world *w, const struct ym_plan *plan, const struct kit_release *r)
{
    struct kit_study y = kit_study(&w->sponsor, plan->study);
    struct ym_buf first = {0}, next = {0}, got = {0};
    size_t dim = dim_of(plan);
    int64_t *sum = calloc(dim, sizeof *sum);
    struct ym_round_sum rs = {1, sum, site_name, SITES};

    for (size_t s = 0; s < SITES; s++)
        for (size_t i = 0; i < dim; i++)
            sum[i] += (int64_t)plan->site[s].weight * r[s].update[i];
    MUST_OK(ym_state_initial(plan, &first, ks));
    MUST_OK(ym_state_next(plan, kit_view(&first), &rs, &next, ks));
    MUST_OK(kit_fetch(&w->sponsor, y.state, 0, &got, ks));
    assert_int_equal(got.len, next.len);
    assert_memory_equal(got.data, next.data, next.len);
    ym_buf_release(&first);
    ym_buf_release(&next);
    ym_buf_release(&got);
    free(sum);
}

enum death { NEVER, IN_OFFERED, IN_DELIVER, IN_READY, IN_COLLECT, IN_UPLOAD, IN_FOLD, AFTER };

static void die_here(struct world *w, enum death now, enum death when)
{
    if (now == when)
        kit_restart(&w->hub);
}

/* Half of the bytes go, the call drops (or the hub dies); the rest goes from
 * where the hub says. */
static void upload_in_two(struct world *w, struct kit_party *p, const struct kit_release *r, enum death when)
{
    struct ym_bytes data = {(const uint8_t *)r->update, r->dim * 8};
    uint64_t half = data.len / 16 * 8;
    struct kit_answer a;

    assert_answer(kit_upload_status(p, kit_view(&r->leaf)), YM_CONFLICT, "no_charge");
    assert_answer(kit_post_leaf(p, kit_view(&r->charge)), YM_OK, "");
    assert_answer(kit_post_leaf(p, kit_view(&r->charge)), YM_OK, "repeated");
    a = kit_upload_status(p, kit_view(&r->leaf));
    assert_answer(a, YM_OK, "");
    assert_int_equal(a.offset, 0);
    assert_answer(kit_upload(p, kit_view(&r->leaf), data, 8, data.len, true), YM_CONFLICT, "wrong_offset");
    assert_answer(kit_upload(p, kit_view(&r->leaf), data, 0, half, false), YM_CONFLICT, "incomplete");
    die_here(w, IN_UPLOAD, when);
    a = kit_upload_status(p, kit_view(&r->leaf));
    assert_answer(a, YM_OK, "repeated");
    assert_int_equal(a.offset, half);
    assert_false(a.complete);
    assert_answer(kit_upload(p, kit_view(&r->leaf), data, a.offset, data.len, true), YM_OK, "");
    a = kit_upload_status(p, kit_view(&r->leaf));
    assert_true(a.complete);
    assert_answer(kit_upload(p, kit_view(&r->leaf), data, 0, data.len, true), YM_OK, "repeated");
}

/* One whole study of one round, with the hub killed at one point. */
static void run_study(struct world *w, const char *study, enum death when)
{
    struct ym_plan *plan = kit_plan(study, "acme", site_name, SITES, 40, 1, SITES);
    size_t dim = dim_of(plan);
    struct kit_task *t[SITES];
    struct kit_release r[SITES];

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    MUST_OK(kit_submit(&w->sponsor, plan, ks)); /* again: the same answer */
    kit_task_free(kit_task(&w->site[0], 1));
    assert_answer(kit_approve(&w->site[0], plan), YM_OK, "");
    die_here(w, IN_OFFERED, when);
    for (size_t i = 1; i < SITES; i++) {
        kit_task_free(kit_task(&w->site[i], 1));
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    }
    for (size_t i = 0; i < SITES; i++)
        t[i] = kit_task(&w->site[i], 2);
    die_here(w, IN_DELIVER, when);
    for (size_t i = 0; i < SITES; i++) {
        if (when == IN_DELIVER) { /* the same task comes again, to the byte */
            struct kit_task *again = kit_task(&w->site[i], 2);

            assert_int_equal(again->leaf.len, t[i]->leaf.len);
            assert_memory_equal(again->leaf.data, t[i]->leaf.data, again->leaf.len);
            kit_task_free(again);
        }
        assert_int_equal(attempt_of(t[i]), 1);
        assert_answer(kit_post(&w->site[i], "say_ready", task_members(plan, t[i])), YM_OK, "");
        if (i == 0) {
            die_here(w, IN_READY, when);
            assert_answer(kit_post(&w->site[0], "say_ready", task_members(plan, t[0])), YM_OK, "repeated");
        }
        kit_task_free(t[i]);
    }
    for (size_t i = 0; i < SITES; i++)
        t[i] = kit_task(&w->site[i], 3);
    die_here(w, IN_COLLECT, when);
    for (size_t i = 0; i < SITES; i++) {
        assert_int_equal(attempt_of(t[i]), 1);
        kit_release_make(&w->site[i], plan, t[i], dim, (int64_t)i + 1, &r[i]);
        kit_task_free(t[i]);
    }
    upload_in_two(w, &w->site[0], &r[0], when);
    for (size_t i = 1; i < SITES; i++)
        assert_answer(kit_send_release(&w->site[i], &r[i]), YM_OK, "");
    die_here(w, IN_FOLD, when);
    kit_await(&w->sponsor, study, 8);
    die_here(w, AFTER, when);
    assert_int_equal(kit_study(&w->sponsor, study).attempt, 1);
    assert_answer(kit_upload_status(&w->site[1], kit_view(&r[1].leaf)), YM_CONFLICT, "ended");
    check_state(w, plan, r);
    assert_int_equal(kit_leaves(&w->auditor, "plan", study), 1);
    assert_int_equal(kit_leaves(&w->auditor, "approval", study), SITES);
    assert_int_equal(kit_leaves(&w->auditor, "round_open", study), 1);
    assert_int_equal(kit_leaves(&w->auditor, "charge", study), SITES);
    assert_int_equal(kit_leaves(&w->auditor, "release", study), SITES);
    assert_int_equal(kit_leaves(&w->auditor, "round_result", study), 1);
    assert_int_equal(kit_leaves(&w->auditor, "abort", study), 0);
    for (size_t i = 0; i < SITES; i++) {
        kit_task_free(kit_task(&w->site[i], 4));
        kit_release_end(&r[i]);
    }
    ym_plan_free(plan);
}

static void a_study_runs_to_its_end(void **state)
{
    run_study(*state, "whole", NEVER);
}

static void a_killed_hub_goes_on_with_the_same_attempt(void **state)
{
    static const char *const name[] = {"",          "k-offered", "k-deliver", "k-ready",
                                       "k-collect", "k-upload",  "k-fold",    "k-after"};

    for (int when = IN_OFFERED; when <= AFTER; when++)
        run_study(*state, name[when], (enum death)when);
}

/* ---- cosigned checkpoints ---- */

static enum ym_code sealed_note(struct world *w, struct ym_buf *out)
{
    Yumen__V1__GetCheckpointRequest m = YUMEN__V1__GET_CHECKPOINT_REQUEST__INIT;
    Yumen__V1__Checkpoint *c = NULL;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code;

    m.sealed = true;
    code = kit_call(&w->auditor, "/yumen.v1.Federation/GetCheckpoint", &m, &yumen__v1__checkpoint__descriptor, &c, &st);
    ym_buf_clear(out);
    if (code == YM_OK)
        MUST_OK(ym_buf_append(out, c->note.data, c->note.len));
    ym_message_free(c);
    return code;
}

#define FIRST_RUN "00000000000000000000000000000001"
#define OTHER_RUN "00000000000000000000000000000002"

struct seen { /* what a hospital says of the hub's checkpoint and of its own ledger */
    uint64_t size, own_size;
    uint8_t root[32], own_root[32];
    char log[64];
};

static void set_bytes(json_t *o, const char *key, const void *data, size_t len)
{
    struct ym_buf text = {0};

    MUST_OK(ym_base64_encode(data, len, &text));
    json_object_set_new(o, key, json_string(ym_buf_str(&text)));
    ym_buf_release(&text);
}

static json_t *cosigned(const struct kit_party *p, const struct seen *s)
{
    struct ym_key *key = NULL;
    struct ym_buf text = {0}, own = {0};
    uint8_t sig[64], pub[32];
    json_t *o =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:s}", "log", "yumen/fed/hub", "size", (json_int_t)s->size, "own_log",
                  s->log, "own_size", (json_int_t)s->own_size, "at", (json_int_t)1700000000, "instance", FIRST_RUN);

    MUST_OK(ym_key_derive(p->identity, YM_COSIGN_LABEL, &key, ks));
    MUST_OK(ym_checkpoint_text("yumen/fed/hub", s->size, s->root, &text));
    MUST_OK(ym_checkpoint_text(s->log, s->own_size, s->own_root, &own));
    ym_json_set_hash(o, "root", s->root);
    ym_json_set_hash(o, "own_root", s->own_root);
    ym_key_public(key, pub);
    set_bytes(o, "cosigner", pub, sizeof pub);
    ym_cosign_sign(kit_view(&text), key, 1700000000, sig);
    set_bytes(o, "cosignature", sig, sizeof sig);
    ym_key_sign(p->identity, own.data, own.len, sig);
    set_bytes(o, "own_signature", sig, sizeof sig);
    ym_key_free(key);
    ym_buf_release(&text);
    ym_buf_release(&own);
    return o;
}

static void read_note(const struct ym_buf *note, struct seen *s)
{
    char root[64];
    unsigned long long size = 0;
    struct ym_buf raw = {0};

    MUST(sscanf(ym_buf_str(note), "yumen/fed/hub\n%llu\n%63s\n", &size, root) == 2);
    MUST_OK(ym_base64_decode(root, strlen(root), &raw));
    memcpy(s->root, raw.data, 32);
    s->size = size;
    ym_buf_release(&raw);
}

static bool has_line(const struct ym_buf *note, const struct kit_party *p)
{
    struct ym_key *key = NULL;
    uint8_t pub[32];
    char name[96];
    uint64_t time = 0;
    enum ym_code code;

    MUST_OK(ym_key_derive(p->identity, YM_COSIGN_LABEL, &key, ks));
    ym_key_public(key, pub);
    ym_key_free(key);
    snprintf(name, sizeof name, "yumen/hospital/%s", p->name);
    code = ym_cosign_open(kit_view(note), name, pub, &time, NULL);
    MUST(code == YM_OK || code == YM_NOT_FOUND);
    return code == YM_OK && time == 1700000000;
}

static void hospitals_cosign_what_ended_a_round(void **state)
{
    struct world *w = *state;
    struct ym_buf note = {0}, later = {0};
    char path[400];
    struct seen s = {.own_size = 5, .own_root = {7}, .log = "yumen/hospital/h1"}, s2 = s;
    json_t *o;

    run_study(w, "cosigned", NEVER);
    MUST_OK(sealed_note(w, &note));
    read_note(&note, &s);
    assert_false(has_line(&note, &w->site[0]));
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s)), YM_OK, "");
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s)), YM_OK, "");
    MUST_OK(sealed_note(w, &note));
    assert_true(has_line(&note, &w->site[0]));
    assert_int_equal(kit_leaves(&w->auditor, "checkpoint_seen", NULL), 1);
    /* what the hub must not take */
    s2 = s;
    strcpy(s2.log, "yumen/hospital/h2");
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s2)), YM_INVALID, "malformed");
    o = cosigned(&w->site[1], &s2);
    json_object_set_new(o, "at", json_integer(1700000001));
    assert_answer(kit_post(&w->site[1], "say_cosigned", o), YM_DENIED, "bad_cosignature");
    s2.size++;
    assert_answer(kit_post(&w->site[1], "say_cosigned", cosigned(&w->site[1], &s2)), YM_NOT_FOUND,
                  "unknown_checkpoint");
    s2.size--;
    o = cosigned(&w->site[1], &s2);
    json_object_set_new(o, "own_size", json_integer(6));
    assert_answer(kit_post(&w->site[1], "say_cosigned", o), YM_DENIED, "bad_signature");
    s2 = s;
    s2.own_size = 4;
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s2)), YM_CONFLICT, "ledger_behind");
    s2.own_size = 5;
    s2.own_root[0] ^= 1;
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s2)), YM_CONFLICT, "ledger_forked");
    o = cosigned(&w->site[1], &s);
    json_object_set_new(o, "instance", json_string("short"));
    assert_answer(kit_post(&w->site[1], "say_cosigned", o), YM_INVALID, "malformed");
    /* all of it is there after a crash; the next round's end brings the next one */
    kit_restart(&w->hub);
    assert_answer(kit_post(&w->site[0], "say_cosigned", cosigned(&w->site[0], &s2)), YM_CONFLICT, "ledger_forked");
    MUST_OK(sealed_note(w, &later));
    assert_true(has_line(&later, &w->site[0]));
    assert_int_equal(kit_leaves(&w->auditor, "checkpoint_seen", NULL), 1);
    run_study(w, "cosigned2", NEVER);
    MUST_OK(sealed_note(w, &later));
    read_note(&later, &s2);
    assert_true(s2.size > s.size);
    assert_false(has_line(&later, &w->site[0]));
    /* a crash between the entries and the sealed checkpoint is made good at the start */
    kit_stop(&w->hub, SIGKILL);
    snprintf(path, sizeof path, "%s/ledger/cosigned/%020llu", w->hub.dir, (unsigned long long)s2.size);
    MUST(unlink(path) == 0);
    MUST(kit_serve(&w->hub));
    MUST_OK(sealed_note(w, &note));
    assert_int_equal(note.len, later.len);
    assert_memory_equal(note.data, later.data, note.len);
    ym_buf_release(&note);
    ym_buf_release(&later);
}

/* ---- who may do what ---- */

/* A copy of the hospital's folder is not let in, and its ledger is not taken for the hospital's either. */
static void another_run_cosigns_nothing_while_one_is_at_work(void **state)
{
    struct world *w = *state;
    struct kit_party *p = &w->site[0];
    struct ym_buf note = {0};
    struct seen s = {.own_size = 5, .own_root = {7}, .log = "yumen/hospital/h1"};
    struct kit_answer a;
    json_t *o;
    int tries = 0;

    run_study(w, "twins", NEVER);
    MUST_OK(sealed_note(w, &note));
    read_note(&note, &s);
    ym_buf_release(&note);
    assert_answer(kit_post(p, "say_cosigned", cosigned(p, &s)), YM_OK, "");
    kit_session(p, OTHER_RUN);
    kit_restart(&w->hub);
    do { /* until its stream stands the same line is only said again */
        a = kit_post(p, "say_cosigned", cosigned(p, &s));
        usleep(20000);
    } while (a.code == YM_OK && ++tries < 500);
    assert_int_equal(a.code, YM_CONFLICT);
    assert_string_equal(a.reason, "another_worker");
    o = cosigned(p, &s);
    json_object_set_new(o, "instance", json_string(OTHER_RUN));
    assert_answer(kit_post(p, "say_cosigned", o), YM_OK, "");
    assert_int_equal(kit_leaves(&w->auditor, "checkpoint_seen", NULL), 1);
}

static void a_study_of_somebody_else_does_not_exist(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("mine", "acme", site_name, SITES, 2, 1, 2);
    struct ym_plan *stolen = kit_plan("theirs", "acme", site_name, SITES, 2, 1, 2);
    Yumen__V1__CancelStudyRequest m = YUMEN__V1__CANCEL_STUDY_REQUEST__INIT;
    Yumen__V1__CancelStudyReply *reply = NULL;
    Yumen__V1__ListStudiesReply *l;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf got = {0}, leaf = {0};

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    l = kit_list(&w->other_sponsor);
    assert_int_equal(l->n_study, 0);
    ym_message_free(l);
    kit_sign(&w->other_sponsor, "abort",
             json_pack("{s:s, s:i, s:i, s:s, s:b}", "study", "mine", "round", 0, "attempt", 0, "reason", "cancelled",
                       "final", 1),
             &leaf);
    m.study = (char *)(uintptr_t) "mine";
    m.cancel_leaf = ym_message_bytes(leaf.data, leaf.len);
    assert_int_equal(kit_call(&w->other_sponsor, "/yumen.v1.Sponsor/CancelStudy", &m,
                              &yumen__v1__cancel_study_reply__descriptor, &reply, &st),
                     YM_NOT_FOUND);
    /* its own signature does not do for the owner's call either */
    assert_int_equal(kit_call(&w->sponsor, "/yumen.v1.Sponsor/CancelStudy", &m,
                              &yumen__v1__cancel_study_reply__descriptor, &reply, &st),
                     YM_DENIED);
    assert_int_equal(kit_fetch(&w->other_sponsor, plan->hash, 0, &got, &st), YM_NOT_FOUND);
    ym_buf_release(&got);
    MUST_OK(kit_fetch(&w->site[0], plan->hash, 0, &got, ks));
    assert_int_equal(got.len, plan->canonical.len);
    ym_buf_release(&got);
    MUST_OK(kit_fetch(&w->auditor, plan->hash, 100, &got, ks));
    assert_int_equal(got.len, plan->canonical.len - 100);
    ym_buf_release(&got);
    assert_int_equal(kit_submit(&w->other_sponsor, stolen, &st), YM_DENIED);
    /* the owner cancels */
    kit_sign(&w->sponsor, "abort",
             json_pack("{s:s, s:i, s:i, s:s, s:b}", "study", "mine", "round", 0, "attempt", 0, "reason", "cancelled",
                       "final", 1),
             &leaf);
    m.cancel_leaf = ym_message_bytes(leaf.data, leaf.len);
    MUST_OK(kit_call(&w->sponsor, "/yumen.v1.Sponsor/CancelStudy", &m, &yumen__v1__cancel_study_reply__descriptor,
                     &reply, ks));
    ym_message_free(reply);
    assert_int_equal(kit_study(&w->sponsor, "mine").phase, 9);
    assert_string_equal(kit_study(&w->sponsor, "mine").reason, "cancelled");
    assert_answer(kit_approve(&w->site[0], plan), YM_CONFLICT, "ended");
    ym_buf_release(&leaf);
    ym_plan_free(plan);
    ym_plan_free(stolen);
}

static void another_role_is_refused(void **state)
{
    struct world *w = *state;
    Yumen__V1__ListStudiesRequest list = YUMEN__V1__LIST_STUDIES_REQUEST__INIT;
    Yumen__V1__PostRequest post = YUMEN__V1__POST_REQUEST__INIT;
    Yumen__V1__GetCheckpointRequest note = YUMEN__V1__GET_CHECKPOINT_REQUEST__INIT;
    Yumen__V1__Checkpoint *checkpoint = NULL;
    void *reply = NULL;
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(kit_call(&w->site[0], "/yumen.v1.Sponsor/ListStudies", &list,
                              &yumen__v1__list_studies_reply__descriptor, &reply, &st),
                     YM_DENIED);
    assert_int_equal(
        kit_call(&w->sponsor, "/yumen.v1.Worker/Post", &post, &yumen__v1__post_reply__descriptor, &reply, &st),
        YM_DENIED);
    assert_int_equal(kit_call(&w->auditor, "/yumen.v1.Sponsor/ListStudies", &list,
                              &yumen__v1__list_studies_reply__descriptor, &reply, &st),
                     YM_DENIED);
    MUST_OK(kit_call(&w->auditor, "/yumen.v1.Federation/GetCheckpoint", &note, &yumen__v1__checkpoint__descriptor,
                     &checkpoint, ks));
    assert_memory_equal(checkpoint->note.data, "yumen/fed/hub\n", 14);
    ym_message_free(checkpoint);
}

static void words_of_another_hand_are_refused(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("hands", "acme", site_name, SITES, 2, 1, 2);
    struct ym_buf leaf = {0};
    struct kit_party mask = {.identity = w->site[0].identity}; /* signs with its own key under a foreign name */

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    kit_sign(&w->site[1], "veto", kit_members(plan, NULL), &leaf);
    assert_answer(kit_post_leaf(&w->site[0], kit_view(&leaf)), YM_DENIED, "bad_signature");
    strcpy(mask.name, "h2");
    kit_sign(&mask, "veto", kit_members(plan, NULL), &leaf);
    assert_answer(kit_post_leaf(&w->site[0], kit_view(&leaf)), YM_DENIED, "bad_signature");
    kit_sign(&w->site[0], "veto", kit_members(plan, NULL), &leaf);
    leaf.data[10] ^= 1;
    assert_int_not_equal(kit_post_leaf(&w->site[0], kit_view(&leaf)).code, YM_OK);
    {
        json_t *o = kit_members(plan, NULL);

        json_object_set_new(o, "study", json_string("nothing-such"));
        assert_answer(kit_post(&w->site[0], "veto", o), YM_NOT_FOUND, "unknown_study");
    }
    assert_answer(kit_post(&w->site[0], "veto", json_pack("{s:s}", "study", "hands")), YM_INVALID, "malformed");
    assert_answer(kit_post(&w->site[0], "round_result", kit_members(plan, NULL)), YM_INVALID, "unknown_type");
    assert_int_equal(kit_study(&w->sponsor, "hands").phase, 1);
    ym_buf_release(&leaf);
    ym_plan_free(plan);
}

/* ---- updates that are wrong ---- */

static void wrong_updates_change_nothing(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("wrong", "acme", site_name, SITES, 40, 1, 2);
    size_t dim = dim_of(plan);
    struct kit_task *t[SITES];
    struct kit_release r[SITES], bad;
    struct ym_bytes data;

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    for (size_t i = 0; i < SITES; i++) {
        kit_task_free(kit_task(&w->site[i], 1));
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    }
    for (size_t i = 0; i < SITES; i++) {
        t[i] = kit_task(&w->site[i], 2);
        assert_answer(kit_post(&w->site[i], "say_ready", kit_members(plan, t[i])), YM_OK, "");
        kit_task_free(t[i]);
        t[i] = NULL;
    }
    for (size_t i = 0; i < SITES; i++) {
        t[i] = kit_task(&w->site[i], 3);
        kit_release_make(&w->site[i], plan, t[i], dim, (int64_t)i, &r[i]);
    }
    /* another charge than the posted one */
    kit_release_make(&w->site[0], plan, t[0], dim, 9, &bad);
    assert_answer(kit_post_leaf(&w->site[0], kit_view(&bad.charge)), YM_OK, "");
    ym_buf_release(&bad.leaf);
    {
        json_t *o = kit_members(plan, t[0]);
        uint8_t hash[YM_HASH_BYTES] = {1};

        ym_json_set_hash(o, "charge", hash);
        ym_json_set_hash(o, "update", hash);
        json_object_set_new(o, "bytes", json_integer((json_int_t)dim * 8));
        json_object_set_new(o, "scale_bits", json_integer(plan->update_scale_bits));
        json_object_set_new(o, "width_bits", json_integer(plan->update_width_bits));
        kit_sign(&w->site[0], "release", o, &bad.leaf);
        assert_answer(kit_upload_status(&w->site[0], kit_view(&bad.leaf)), YM_INVALID, "wrong_charge");
    }
    kit_release_end(&bad);
    /* bytes that are not what the release says: dropped; the right ones still count */
    assert_answer(kit_post_leaf(&w->site[1], kit_view(&r[1].charge)), YM_OK, "");
    data = (struct ym_bytes){(const uint8_t *)r[0].update, dim * 8};
    assert_answer(kit_upload(&w->site[1], kit_view(&r[1].leaf), data, 0, data.len, true), YM_CORRUPT, "wrong_hash");
    assert_int_equal(kit_upload_status(&w->site[1], kit_view(&r[1].leaf)).offset, 0);
    /* too long, too short */
    data = (struct ym_bytes){(const uint8_t *)r[1].update, dim * 8};
    assert_answer(kit_upload(&w->site[1], kit_view(&r[1].leaf), data, 0, data.len - 8, true), YM_CONFLICT,
                  "incomplete");
    assert_answer(kit_send_release(&w->site[1], &r[1]), YM_OK, "");
    /* a value outside w bits */
    kit_release_make(&w->site[2], plan, t[2], dim, 1, &bad);
    bad.update[7] = (int64_t)1 << 50;
    ym_buf_clear(&bad.charge); /* under the same charge as the good one */
    ym_buf_append(&bad.charge, r[2].charge.data, r[2].charge.len);
    {
        json_t *o = kit_members(plan, t[2]);
        uint8_t hash[YM_HASH_BYTES];

        ym_sha256(bad.charge.data, bad.charge.len, hash);
        ym_json_set_hash(o, "charge", hash);
        ym_sha256(bad.update, dim * 8, hash);
        ym_json_set_hash(o, "update", hash);
        json_object_set_new(o, "bytes", json_integer((json_int_t)dim * 8));
        json_object_set_new(o, "scale_bits", json_integer(plan->update_scale_bits));
        json_object_set_new(o, "width_bits", json_integer(plan->update_width_bits));
        kit_sign(&w->site[2], "release", o, &bad.leaf);
    }
    assert_answer(kit_send_release(&w->site[2], &bad), YM_INVALID, "out_of_range");
    assert_answer(kit_upload_status(&w->site[2], kit_view(&r[2].leaf)), YM_CONFLICT, "other_bytes");
    assert_int_equal(kit_study(&w->sponsor, "wrong").phase, 5);
    /* a veto in the middle takes the site out: one in, one coming */
    assert_answer(kit_post(&w->site[2], "veto", kit_members(plan, NULL)), YM_OK, "");
    assert_int_equal(kit_study(&w->sponsor, "wrong").phase, 5);
    assert_answer(
        kit_post(&w->site[0], "say_declined",
                 json_pack("{s:s, s:i, s:i, s:s}", "study", "wrong", "round", 1, "attempt", 1, "reason", "crashed")),
        YM_OK, "");
    kit_task_free(kit_task(&w->site[1], 4));
    /* the next attempt; everything of the first one is late */
    kit_task_free(kit_task(&w->site[1], 2));
    assert_answer(kit_upload_status(&w->site[1], kit_view(&r[1].leaf)), YM_DEADLINE, "late");
    assert_int_equal(kit_leaves(&w->auditor, "round_result", "wrong"), 0);
    assert_int_equal(kit_leaves(&w->auditor, "abort", "wrong"), 1);
    for (size_t i = 0; i < SITES; i++) {
        kit_task_free(t[i]);
        kit_release_end(&r[i]);
    }
    kit_release_end(&bad);
    ym_plan_free(plan);
}

/* ---- enrolment ---- */

static void tokens_work_once_and_lock(void **state)
{
    struct world *w = *state;
    struct kit_party a, b;
    char token[256], second[256];
    struct ym_status st = YM_STATUS_INIT;

    kit_party_make(&a, YM_ROLE_HOSPITAL, "n1");
    kit_party_make(&b, YM_ROLE_HOSPITAL, "n1");
    kit_token(&w->hub, "hospital", "n1", token);
    assert_int_equal(kit_enrol_try(&w->hub, &a, token, "n2", true, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "wrong_name"));
    MUST_OK(kit_enrol_try(&w->hub, &a, token, "n1", true, ks));
    MUST_OK(kit_enrol_try(&w->hub, &a, token, "n1", true, ks)); /* its first answer was lost */
    assert_int_equal(kit_enrol_try(&w->hub, &b, token, "n1", true, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "token_used"));
    kit_token(&w->hub, "hospital", "n1", second);
    assert_int_equal(kit_enrol_try(&w->hub, &b, second, "n1", true, &st), YM_CONFLICT);
    assert_non_null(strstr(st.message, "name_taken"));
    MUST_OK(kit_enrol_try(&w->hub, &a, second, "n1", true, ks)); /* same identity key: a new certificate */
    kit_token(&w->hub, "hospital", "n3", token);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kit_enrol_try(&w->hub, &b, token, "n3", false, &st), YM_DENIED);
        assert_non_null(strstr(st.message, "bad_proof"));
    }
    assert_int_equal(kit_enrol_try(&w->hub, &b, token, "n3", true, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "token_locked"));
    kit_token(&w->hub, "sponsor", "s9", token);
    MUST_OK(kit_enrol_try(&w->hub, &b, token, "", true, ks)); /* no name: the token's */
    assert_non_null(strstr(ym_buf_str(&b.leaf), "\"name\":\"s9\""));
    kit_party_end(&a);
    kit_party_end(&b);
}

static void certificates_are_renewed_over_a_new_key(void **state)
{
    struct world *w = *state;
    Yumen__V1__RenewRequest m = YUMEN__V1__RENEW_REQUEST__INIT;
    Yumen__V1__RenewReply *reply = NULL;
    struct ym_buf key = {0}, self = {0}, cert = {0};

    MUST_OK(ym_tls_key_generate(&key, ks));
    MUST_OK(ym_cert_self(kit_view(&key), ym_clock_unix(), &self, ks));
    m.self_signed = (char *)(uintptr_t)ym_buf_str(&self);
    MUST_OK(kit_call(&w->auditor, "/yumen.v1.Federation/Renew", &m, &yumen__v1__renew_reply__descriptor, &reply, ks));
    ym_buf_puts(&cert, reply->certificate);
    MUST_OK(ym_cert_check(kit_view(&key), kit_view(&cert), kit_view(&w->auditor.ca), ym_clock_unix(), ks));
    ym_message_free(reply);
    ym_rpc_client_close(&w->auditor.client);
    ym_buf_release(&w->auditor.key);
    ym_buf_release(&w->auditor.cert);
    w->auditor.key = key;
    w->auditor.cert = cert;
    w->auditor.client = kit_client(w->hub.listen, &w->auditor);
    assert_true(kit_leaves(&w->auditor, "genesis", NULL) == 1);
    ym_buf_release(&self);
}

static void a_revoked_party_is_out_within_five_seconds(void **state)
{
    struct world *w = *state;
    Yumen__V1__PostRequest post = YUMEN__V1__POST_REQUEST__INIT;
    struct ym_plan *plan = kit_plan("shrinks", "acme", site_name, SITES, 2, 1, SITES);
    struct ym_status st = YM_STATUS_INIT;
    const char *args[] = {"revoke", "h3", "--dir", w->hub.dir, NULL};
    char text[256];
    void *reply = NULL;
    int64_t until;
    enum ym_code code = YM_OK;

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 0);
    until = ym_clock_mono_ms() + 5000;
    while (code != YM_DENIED && ym_clock_mono_ms() < until) {
        code = kit_call(&w->site[2], "/yumen.v1.Worker/Post", &post, &yumen__v1__post_reply__descriptor, &reply, &st);
        if (code == YM_OK)
            ym_message_free(reply);
    }
    assert_int_equal(code, YM_DENIED);
    assert_non_null(strstr(st.message, "revoked"));
    kit_await(&w->sponsor, "shrinks", 9);
    assert_string_equal(kit_study(&w->sponsor, "shrinks").reason, "quorum_impossible");
    assert_int_equal(kit_leaves(&w->auditor, "revoke", NULL), 1);
    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 1); /* revoked already */
    ym_plan_free(plan);
}

/* ---- the folder ---- */

static void a_second_hub_on_the_folder_is_refused(void **state)
{
    struct world *w = *state;
    const char *args[] = {"serve", "--dir", w->hub.dir, NULL};
    char text[256], pid[32];
    struct ym_buf log = {0};

    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 1);
    MUST_OK(ym_fs_read(w->hub.log, 1 << 24, &log, ks));
    snprintf(pid, sizeof pid, "process %d", (int)w->hub.pid);
    assert_non_null(strstr(ym_buf_str(&log), pid));
    ym_buf_release(&log);
}

static void every_mistake_in_hub_yaml_is_told_at_once(void **state)
{
    struct world *w = *state;
    static const char bad[] = "federation: Bad Name\nlisten: nowhere\nenrol_listen: \"127.0.0.1:1\"\nnames: [a]\n"
                              "disc: {}\ncertificate_days: many\n";
    struct kit_hub h = w->hub;
    const char *args[] = {"serve", "-n", "--dir", h.dir, NULL};
    char text[256], path[300];
    struct ym_buf log = {0};

    snprintf(h.dir, sizeof h.dir, "/tmp/yumen-hub-yaml-XXXXXX");
    MUST(mkdtemp(h.dir));
    snprintf(h.log, sizeof h.log, "%s/log", h.dir);
    snprintf(path, sizeof path, "%s/hub.yaml", h.dir);
    MUST_OK(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)bad, sizeof bad - 1}, 0600, ks));
    assert_int_equal(kit_run(&h, args, text, sizeof text), 2);
    MUST_OK(ym_fs_read(h.log, 1 << 20, &log, ks));
    assert_non_null(strstr(ym_buf_str(&log), "hub.yaml:1"));
    assert_non_null(strstr(ym_buf_str(&log), "hub.yaml:2"));
    assert_non_null(strstr(ym_buf_str(&log), "hub.yaml:5"));
    assert_non_null(strstr(ym_buf_str(&log), "hub.yaml:6"));
    ym_buf_release(&log);
    snprintf(path, sizeof path, "rm -rf '%s'", h.dir);
    MUST(system(path) == 0);
}

static void replace_in_file(const char *path, const char *find, const char *with)
{
    struct ym_buf text = {0}, out = {0};
    const char *at;

    MUST_OK(ym_fs_read(path, 65536, &text, ks));
    at = strstr(ym_buf_str(&text), find);
    MUST(at);
    ym_buf_append(&out, text.data, (size_t)(at - ym_buf_str(&text)));
    ym_buf_puts(&out, with);
    ym_buf_puts(&out, at + strlen(find));
    MUST_OK(ym_fs_write(path, kit_view(&out), 0600, ks));
    ym_buf_release(&text);
    ym_buf_release(&out);
}

static void a_full_disk_pauses_studies_and_a_free_one_resumes_them(void **state)
{
    struct world *w = *state;
    static const char *const two[] = {"h1", "h2"};
    struct ym_plan *plan = kit_plan("tight", "acme", two, 2, 2, 1, 2);
    char path[300];
    struct ym_status st = YM_STATUS_INIT;
    struct ym_plan *more = kit_plan("more", "acme", two, 2, 2, 1, 2);

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    snprintf(path, sizeof path, "%s/hub.yaml", w->hub.dir);
    kit_stop(&w->hub, SIGTERM);
    replace_in_file(path, "min_free_mib: 64", "min_free_mib: 1073741824");
    MUST(kit_serve(&w->hub));
    assert_int_equal(kit_submit(&w->sponsor, more, &st), YM_EXHAUSTED);
    for (size_t i = 0; i < 2; i++)
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    kit_await(&w->sponsor, "tight", 10);
    assert_string_equal(kit_study(&w->sponsor, "tight").reason, "disk");
    assert_int_equal(kit_leaves(&w->auditor, "round_open", "tight"), 0);
    kit_stop(&w->hub, SIGTERM);
    replace_in_file(path, "min_free_mib: 1073741824", "min_free_mib: 64");
    MUST(kit_serve(&w->hub));
    kit_task_free(kit_task(&w->site[0], 2));
    ym_plan_free(plan);
    ym_plan_free(more);
}

static void a_pause_by_attempts_is_resumed_by_the_operator(void **state)
{
    struct world *w = *state;
    static const char *const two[] = {"h1", "h2"};
    struct ym_plan *plan = kit_plan("stubborn", "acme", two, 2, 2, 1, 2);
    const char *args[] = {"resume", "stubborn", "--dir", w->hub.dir, NULL};
    char text[256];

    MUST_OK(kit_submit(&w->sponsor, plan, ks));
    for (size_t i = 0; i < 2; i++)
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    for (int attempt = 1; attempt <= 3; attempt++) {
        struct kit_task *t;
        json_t *o;

        do { /* tasks of the other tests' studies come too */
            t = kit_task(&w->site[0], 2);
            o = kit_leaf_json(t);
            kit_task_free(t);
            if (strcmp(json_string_value(json_object_get(o, "study")), "stubborn") == 0 &&
                json_integer_value(json_object_get(o, "attempt")) == attempt)
                break;
            json_decref(o);
        } while (true);
        json_decref(o);
        assert_answer(kit_post(&w->site[0], "say_declined",
                               json_pack("{s:s, s:i, s:i, s:s}", "study", "stubborn", "round", 1, "attempt", attempt,
                                         "reason", "busy")),
                      YM_OK, "");
    }
    kit_await(&w->sponsor, "stubborn", 10);
    assert_string_equal(kit_study(&w->sponsor, "stubborn").reason, "attempts_exhausted");
    kit_restart(&w->hub);
    assert_int_equal(kit_study(&w->sponsor, "stubborn").phase, 10); /* a restart alone does not */
    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 0);
    kit_await(&w->sponsor, "stubborn", 3);
    assert_int_equal(kit_study(&w->sponsor, "stubborn").attempt, 4);
    ym_plan_free(plan);
}

static void the_ledger_of_all_this_is_whole(void **state)
{
    struct world *w = *state;
    const char *args[] = {"status", "--json", "--dir", w->hub.dir, NULL};
    static char text[1 << 20];
    json_t *o;

    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 0);
    o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "federation")), "fed");
    assert_true(json_array_size(json_object_get(o, "studies")) >= 10);
    json_decref(o);
    assert_int_equal(kit_stop(&w->hub, SIGTERM), 0);
    MUST(kit_serve(&w->hub));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_runs_to_its_end),
        cmocka_unit_test(a_killed_hub_goes_on_with_the_same_attempt),
        cmocka_unit_test(hospitals_cosign_what_ended_a_round),
        cmocka_unit_test(another_run_cosigns_nothing_while_one_is_at_work),
        cmocka_unit_test(a_study_of_somebody_else_does_not_exist),
        cmocka_unit_test(another_role_is_refused),
        cmocka_unit_test(words_of_another_hand_are_refused),
        cmocka_unit_test(wrong_updates_change_nothing),
        cmocka_unit_test(tokens_work_once_and_lock),
        cmocka_unit_test(certificates_are_renewed_over_a_new_key),
        cmocka_unit_test(a_second_hub_on_the_folder_is_refused),
        cmocka_unit_test(every_mistake_in_hub_yaml_is_told_at_once),
        cmocka_unit_test(a_full_disk_pauses_studies_and_a_free_one_resumes_them),
        cmocka_unit_test(a_pause_by_attempts_is_resumed_by_the_operator),
        cmocka_unit_test(a_revoked_party_is_out_within_five_seconds),
        cmocka_unit_test(the_ledger_of_all_this_is_whole),
    };
    int failed;

    ym_rpc_init();
    failed = cmocka_run_group_tests(tests, make_world, end_world);
    fflush(NULL);
    _exit(failed != 0); /* gRPC's own threads outlive main's destructors */
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/store/store.h"
#include "tests/integration/hub_kit.h"

/* Enrolled parties that mean harm: what they must not reach, spoil or use up. */

#define SITES 3
static const char *const site_name[SITES] = {"h1", "h2", "h3"};

struct world {
    struct kit_hub hub;
    struct kit_party acme, rival, eye, site[SITES];
};

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    kit_hub_make(&w->hub);
    MUST(kit_serve(&w->hub));
    kit_join(&w->hub, &w->acme, YM_ROLE_SPONSOR, "acme");
    kit_join(&w->hub, &w->rival, YM_ROLE_SPONSOR, "rival");
    kit_join(&w->hub, &w->eye, YM_ROLE_AUDITOR, "eye");
    for (size_t i = 0; i < SITES; i++)
        kit_join(&w->hub, &w->site[i], YM_ROLE_HOSPITAL, site_name[i]);
    *state = w;
    return 0;
}

static int end_world(void **state)
{
    struct world *w = *state;

    kit_party_end(&w->acme);
    kit_party_end(&w->rival);
    kit_party_end(&w->eye);
    for (size_t i = 0; i < SITES; i++)
        kit_party_end(&w->site[i]);
    kit_hub_remove(&w->hub);
    free(w);
    return 0;
}

static void assert_answer(struct kit_answer a, int code, const char *reason)
{
    if (a.code != code || strcmp(a.reason, reason) != 0)
        fail_msg("answer %d '%s', wanted %d '%s'", a.code, a.reason, code, reason);
}

/* A submitted study of acme at the first `sites` hospitals. */
static struct ym_plan *offered(struct world *w, const char *study, size_t sites, size_t inputs)
{
    struct ym_plan *plan = kit_plan(study, "acme", site_name, sites, inputs, 1, (unsigned)sites);

    MUST_OK(kit_submit(&w->acme, plan, ks));
    return plan;
}

/* ---- role x method ---- */

enum { HOSPITAL = 1, SPONSOR = 2, AUDITOR = 4 };

static const struct {
    const char *path;
    enum ym_rpc_kind kind;
    unsigned roles;
} method[] = {
    {"/yumen.v1.Federation/Renew", YM_RPC_UNARY, HOSPITAL | SPONSOR | AUDITOR},
    {"/yumen.v1.Federation/GetCheckpoint", YM_RPC_UNARY, HOSPITAL | SPONSOR | AUDITOR},
    {"/yumen.v1.Federation/ReadLog", YM_RPC_SERVER_STREAM, HOSPITAL | SPONSOR | AUDITOR},
    {"/yumen.v1.Federation/FetchObject", YM_RPC_SERVER_STREAM, HOSPITAL | SPONSOR | AUDITOR},
    {"/yumen.v1.Sponsor/PutStart", YM_RPC_UNARY, SPONSOR},
    {"/yumen.v1.Sponsor/SubmitStudy", YM_RPC_UNARY, SPONSOR},
    {"/yumen.v1.Sponsor/ListStudies", YM_RPC_UNARY, SPONSOR},
    {"/yumen.v1.Sponsor/WatchStudy", YM_RPC_SERVER_STREAM, SPONSOR},
    {"/yumen.v1.Sponsor/CancelStudy", YM_RPC_UNARY, SPONSOR},
    {"/yumen.v1.Sponsor/ListData", YM_RPC_UNARY, SPONSOR},
    {"/yumen.v1.Worker/Subscribe", YM_RPC_SERVER_STREAM, HOSPITAL},
    {"/yumen.v1.Worker/Post", YM_RPC_UNARY, HOSPITAL},
    {"/yumen.v1.Worker/UploadStatus", YM_RPC_UNARY, HOSPITAL},
    {"/yumen.v1.Worker/Upload", YM_RPC_CLIENT_STREAM, HOSPITAL},
    {"/yumen.v1.Enrolment/Enrol", YM_RPC_UNARY, 0},
};

static bool no_more(void *ctx, struct ym_buf *message)
{
    (void)ctx;
    (void)message;
    return false;
}

static bool drop_message(void *ctx, struct ym_bytes message)
{
    (void)ctx;
    (void)message;
    return true;
}

/* An empty request: who may call hears what is wrong with it. */
static enum ym_code call_empty(struct kit_party *p, size_t m, struct ym_status *st)
{
    struct ym_buf answer = {0};
    enum ym_code code;

    MUST_OK(ym_rpc_client_wait(p->client, KIT_PATIENCE_MS, ks));
    if (method[m].kind == YM_RPC_UNARY)
        code = ym_rpc_unary(p->client, method[m].path, (struct ym_bytes){0}, 5000, false, &answer, st);
    else if (method[m].kind == YM_RPC_CLIENT_STREAM)
        code = ym_rpc_write_stream(p->client, method[m].path, 5000, no_more, NULL, &answer, st);
    else
        code = ym_rpc_read_stream(p->client, method[m].path, (struct ym_bytes){0}, 1000, drop_message, NULL, st);
    ym_buf_release(&answer);
    return code;
}

static void every_method_has_its_roles(void **state)
{
    struct world *w = *state;
    struct kit_party *const caller[] = {&w->site[0], &w->acme, &w->eye};

    for (size_t m = 0; m < sizeof method / sizeof *method; m++)
        for (unsigned r = 0; r < 3; r++) {
            struct ym_status st = YM_STATUS_INIT;
            enum ym_code code = call_empty(caller[r], m, &st);
            bool refused = code == YM_DENIED || strstr(st.message, "no such method");

            if (refused == ((method[m].roles >> r) & 1))
                fail_msg("%s as %s: %s", method[m].path, ym_role_name(caller[r]->role), st.message);
        }
}

/* ---- object x owner ---- */

/* The word after "call PATH at ADDRESS: ". */
static struct kit_answer answer_of(enum ym_code code, const struct ym_status *st)
{
    struct kit_answer a = {.code = (int)code};
    const char *word = code == YM_OK ? NULL : strstr(st->message, ": ");

    if (word)
        snprintf(a.reason, sizeof a.reason, "%.*s", (int)strcspn(word + 2, ":"), word + 2);
    return a;
}

static struct kit_answer fetch(struct kit_party *p, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf got = {0};
    enum ym_code code = kit_fetch(p, hash, 0, &got, &st);

    ym_buf_release(&got);
    return code == YM_OK ? (struct kit_answer){0} : answer_of(code, &st);
}

static struct kit_answer watch(struct kit_party *p, const char *study)
{
    Yumen__V1__WatchStudyRequest m = YUMEN__V1__WATCH_STUDY_REQUEST__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    m.study = (char *)(uintptr_t)study;
    MUST_OK(ym_message_pack(&m, &wire, ks));
    code =
        ym_rpc_read_stream(p->client, "/yumen.v1.Sponsor/WatchStudy", kit_view(&wire), 2000, drop_message, NULL, &st);
    ym_buf_release(&wire);
    return answer_of(code, &st);
}

static struct kit_answer cancel(struct kit_party *p, const char *study)
{
    Yumen__V1__CancelStudyRequest m = YUMEN__V1__CANCEL_STUDY_REQUEST__INIT;
    Yumen__V1__CancelStudyReply *reply = NULL;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf leaf = {0};
    enum ym_code code;

    kit_sign(p, "abort",
             json_pack("{s:s, s:i, s:i, s:s, s:b}", "study", study, "round", 0, "attempt", 0, "reason", "cancelled",
                       "final", 1),
             &leaf);
    m.study = (char *)(uintptr_t)study;
    m.cancel_leaf = ym_message_bytes(leaf.data, leaf.len);
    code = kit_call(p, "/yumen.v1.Sponsor/CancelStudy", &m, &yumen__v1__cancel_study_reply__descriptor, &reply, &st);
    ym_message_free(reply);
    ym_buf_release(&leaf);
    return answer_of(code, &st);
}

static struct kit_task *round_task(struct kit_party *p, const char *study, int kind)
{
    for (;;) {
        struct kit_task *t = kit_task(p, kind);
        json_t *o = kit_leaf_json(t);
        bool mine = strcmp(json_string_value(json_object_get(o, "study")), study) == 0;

        json_decref(o);
        if (mine)
            return t;
        kit_task_free(t);
    }
}

static void objects_of_others_do_not_exist(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = offered(w, "owned", 2, 2);
    struct kit_party *out = &w->site[2];
    uint8_t first[YM_HASH_BYTES];
    struct ym_buf bytes = {0}, leaf = {0};
    struct kit_release r;

    MUST_OK(ym_state_initial(plan, &bytes, ks));
    ym_sha256(bytes.data, bytes.len, first);
    for (int i = 0; i < 2; i++) {
        const uint8_t *hash = i ? first : plan->hash;

        assert_answer(fetch(&w->acme, hash), YM_OK, "");
        assert_answer(fetch(&w->eye, hash), YM_OK, "");
        assert_answer(fetch(&w->site[0], hash), YM_OK, "");
        assert_answer(fetch(&w->rival, hash), YM_NOT_FOUND, "unknown_object");
        assert_answer(fetch(out, hash), YM_NOT_FOUND, "unknown_object");
    }
    assert_answer(watch(&w->rival, "owned"), YM_NOT_FOUND, "unknown_study");
    assert_answer(watch(&w->rival, "no-such"), YM_NOT_FOUND, "unknown_study");
    assert_answer(cancel(&w->rival, "owned"), YM_NOT_FOUND, "unknown_study");
    assert_answer(kit_approve(out, plan), YM_NOT_FOUND, "unknown_study");
    kit_subscribe(&w->hub, out);
    assert_null(kit_task_within(out, 1, 1));
    for (size_t i = 0; i < 2; i++) {
        kit_subscribe(&w->hub, &w->site[i]);
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    }
    for (size_t i = 0; i < 2; i++) {
        struct kit_task *t = round_task(&w->site[i], "owned", 2);

        assert_answer(kit_post(&w->site[i], "say_ready", kit_members(plan, t)), YM_OK, "");
        kit_task_free(t);
    }
    {
        struct kit_task *t = round_task(&w->site[0], "owned", 3);
        struct ym_bytes data;

        /* its own words about a study it is not in */
        kit_release_make(out, plan, t, 3, 1, &r);
        data = (struct ym_bytes){(const uint8_t *)r.update, 24};
        assert_answer(kit_post_leaf(out, kit_view(&r.charge)), YM_NOT_FOUND, "unknown_study");
        assert_answer(kit_upload_status(out, kit_view(&r.leaf)), YM_NOT_FOUND, "unknown_study");
        assert_answer(kit_upload(out, kit_view(&r.leaf), data, 0, 24, true), YM_NOT_FOUND, "unknown_study");
        kit_release_end(&r);
        /* the words of one who is, over another's connection */
        kit_release_make(&w->site[0], plan, t, 3, 1, &r);
        data = (struct ym_bytes){(const uint8_t *)r.update, 24};
        assert_answer(kit_post_leaf(&w->site[0], kit_view(&r.charge)), YM_OK, "");
        for (size_t i = 1; i < SITES; i++) {
            assert_answer(kit_post_leaf(&w->site[i], kit_view(&r.charge)), YM_DENIED, "bad_signature");
            assert_answer(kit_upload_status(&w->site[i], kit_view(&r.leaf)), YM_DENIED, "bad_signature");
            assert_answer(kit_upload(&w->site[i], kit_view(&r.leaf), data, 0, 24, true), YM_DENIED, "bad_signature");
        }
        kit_release_end(&r);
        kit_task_free(t);
    }
    assert_answer(cancel(&w->acme, "owned"), YM_OK, "");
    ym_buf_release(&bytes);
    ym_buf_release(&leaf);
    ym_plan_free(plan);
}

/* ---- the log ---- */

static size_t log_size(struct world *w)
{
    Yumen__V1__GetCheckpointRequest m = YUMEN__V1__GET_CHECKPOINT_REQUEST__INIT;
    Yumen__V1__Checkpoint *c = NULL;
    size_t n = 0;

    MUST_OK(kit_call(&w->eye, "/yumen.v1.Federation/GetCheckpoint", &m, &yumen__v1__checkpoint__descriptor, &c, ks));
    MUST(sscanf((const char *)c->note.data, "yumen/fed/hub\n%zu\n", &n) == 1);
    ym_message_free(c);
    return n;
}

static json_t *card_members(const char *dataset, size_t title)
{
    uint8_t hash[YM_HASH_BYTES] = {7};
    char *text = malloc(title + 1);
    json_t *o;

    MUST(text);
    memset(text, 't', title);
    text[title] = 0;
    o = json_pack("{s:s, s:{s:s, s:[]}, s:[s]}", "dataset", dataset, "public", "title", text, "variables", "group",
                  dataset);
    ym_json_set_hash(o, "card", hash);
    ym_json_set_hash(o, "data", hash);
    free(text);
    return o;
}

static json_t *approval_members(const struct ym_plan *plan)
{
    json_t *o = kit_members(plan, NULL);
    uint8_t data[YM_HASH_BYTES] = {3};

    json_object_set_new(o, "dataset", json_string("d1"));
    json_object_set_new(o, "epsilon_micro", json_integer(ym_plan_epsilon_micro(plan)));
    json_object_set_new(o, "seals", json_array());
    ym_json_set_hash(o, "data", data);
    return o;
}

static json_t *without(json_t *o, const char *key)
{
    json_object_del(o, key);
    return o;
}

static json_t *with(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
    return o;
}

/* One of these in the log, and every audit of it would fail for good. */
static void a_line_out_of_shape_never_enters_the_log(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = offered(w, "shapes", 2, 2);
    struct kit_party *h = &w->site[0];
    size_t before = log_size(w);

    const struct {
        const char *type;
        json_t *members;
    } bad[] = {
        {"veto", with(kit_members(plan, NULL), "extra", json_integer(1))},
        {"approval", kit_members(plan, NULL)},
        {"approval", with(approval_members(plan), "data", json_string("00"))},
        {"approval", with(approval_members(plan), "dataset", json_string("No Name"))},
        {"pause", json_pack("{s:s, s:b, s:n}", "study", "shapes", "paused", 1, "why")},
        {"dataset_card", without(card_members("d1", 3), "group")},
        {"dataset_card", with(card_members("d1", 3), "card", json_integer(1))},
        {"dataset_card", with(card_members("d1", 3), "group", json_pack("[s, s]", "d1", "d1"))},
        {"charge", without(kit_charge_members(plan, NULL), "sandbox")},
        {"charge", without(kit_charge_members(plan, NULL), "binary")},
        {"charge", without(kit_charge_members(plan, NULL), "decision")},
        {"charge", with(kit_charge_members(plan, NULL), "people", json_array())},
        {"charge", with(kit_charge_members(plan, NULL), "people",
                        json_pack("[{s:i, s:i, s:s}]", "year", 2026, "people", 512, "set",
                                  "0303030303030303030303030303030303030303030303030303030303030303"))},
        {"charge", with(kit_charge_members(plan, NULL), "build", json_string("v0.1.0"))},
        {"charge", with(kit_charge_members(plan, NULL), "noise_variance", json_string("01"))},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_answer(kit_post(h, bad[i].type, bad[i].members), YM_INVALID, "malformed");
    assert_int_equal(log_size(w), before);
    assert_int_equal(kit_study(&w->acme, "shapes").phase, 1);
    assert_answer(kit_approve(h, plan), YM_OK, "");
    assert_answer(kit_post(h, "pause", json_pack("{s:s, s:b}", "study", "shapes", "paused", 1)), YM_OK, "");
    assert_answer(kit_post(h, "dataset_card", card_members("d1", 3)), YM_OK, "");
    assert_int_equal(log_size(w), before + 3);
    ym_plan_free(plan);
}

static void sign_at(struct kit_party *p, const char *type, json_t *members, int64_t time, struct ym_buf *leaf)
{
    ym_buf_clear(leaf);
    MUST_OK(ym_leaf_sign(type, members, p->name, time, p->identity, leaf, ks));
    json_decref(members);
}

static void reconnect(struct world *w)
{
    struct kit_party *const p[] = {&w->acme, &w->rival, &w->eye, &w->site[0], &w->site[1], &w->site[2]};

    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        ym_rpc_client_close(&p[i]->client);
        p[i]->client = kit_client(w->hub.listen, p[i]);
    }
}

/* A gateway keeps what its trainer signed before, and says it again. */
static void old_words_do_not_undo_newer_ones(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("replay", "acme", site_name, 3, 2, 1, 2);
    struct kit_party *h = &w->site[1];
    struct ym_buf yes = {0}, no = {0}, old = {0}, new = {0};
    size_t size;

    MUST_OK(kit_submit(&w->acme, plan, ks));
    sign_at(h, "approval", approval_members(plan), 1000, &yes);
    sign_at(h, "veto", kit_members(plan, NULL), 2000, &no);
    assert_answer(kit_post_leaf(h, kit_view(&yes)), YM_OK, "");
    assert_answer(kit_post_leaf(h, kit_view(&yes)), YM_OK, "repeated");
    assert_answer(kit_post(h, "pause", json_pack("{s:s, s:b}", "study", "replay", "paused", 1)), YM_OK, "");
    sign_at(h, "pause", json_pack("{s:s, s:b}", "study", "replay", "paused", 0), 3000, &old);
    assert_answer(kit_post_leaf(h, kit_view(&old)), YM_OK, "");
    sign_at(h, "pause", json_pack("{s:s, s:b}", "study", "replay", "paused", 1), 4000, &new);
    assert_answer(kit_post_leaf(h, kit_view(&new)), YM_OK, "");
    assert_answer(kit_post_leaf(h, kit_view(&old)), YM_CONFLICT, "replayed");
    sign_at(h, "dataset_card", card_members("d9", 3), 1000, &old);
    sign_at(h, "dataset_card", card_members("d9", 4), 2000, &new);
    assert_answer(kit_post_leaf(h, kit_view(&old)), YM_OK, "");
    assert_answer(kit_post_leaf(h, kit_view(&new)), YM_OK, "");
    assert_answer(kit_post_leaf(h, kit_view(&new)), YM_OK, "repeated");
    assert_answer(kit_post_leaf(h, kit_view(&old)), YM_CONFLICT, "replayed");
    size = log_size(w);
    kit_restart(&w->hub);
    reconnect(w);
    assert_answer(kit_post_leaf(h, kit_view(&old)), YM_CONFLICT, "replayed");
    assert_answer(kit_post_leaf(h, kit_view(&no)), YM_OK, "");
    assert_answer(kit_post_leaf(h, kit_view(&yes)), YM_CONFLICT, "replayed");
    assert_int_equal(log_size(w), size + 1);
    sign_at(h, "approval", approval_members(plan), 3000, &yes); /* what is said anew holds */
    assert_answer(kit_post_leaf(h, kit_view(&yes)), YM_OK, "");
    ym_buf_release(&yes);
    ym_buf_release(&no);
    ym_buf_release(&old);
    ym_buf_release(&new);
    ym_plan_free(plan);
}

/* ---- what one may use up ---- */

static Yumen__V1__ListDataReply *list_data(struct world *w, const struct ym_plan *plan)
{
    Yumen__V1__ListDataRequest m = YUMEN__V1__LIST_DATA_REQUEST__INIT;
    Yumen__V1__ListDataReply *reply = NULL;

    if (plan)
        m.plan = ym_message_bytes(plan->canonical.data, plan->canonical.len);
    MUST_OK(kit_call(&w->acme, "/yumen.v1.Sponsor/ListData", &m, &yumen__v1__list_data_reply__descriptor, &reply, ks));
    return reply;
}

static size_t cards_of(const Yumen__V1__ListDataReply *l, const char *hospital)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_data_set; i++)
        n += strcmp(l->data_set[i]->hospital, hospital) == 0;
    return n;
}

static void cards_of_one_do_not_hide_those_of_another(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("many", "acme", site_name, 2, 100, 1, 2); /* 100 variables to be missed */
    Yumen__V1__ListDataReply *l;
    char name[16];

    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "big%d", i);
        assert_answer(kit_post(&w->site[0], "dataset_card", card_members(name, 60000)), YM_OK, "");
    }
    assert_answer(kit_post(&w->site[2], "dataset_card", card_members("small", 10)), YM_OK, "");
    l = list_data(w, NULL);
    assert_int_equal(cards_of(l, "h3"), 1);
    assert_true(cards_of(l, "h1") > 5);
    ym_message_free(l);
    l = list_data(w, plan); /* and a reason that is long does not spoil the answer */
    assert_int_equal(cards_of(l, "h3"), 1);
    for (size_t i = 0; i < l->n_data_set; i++) {
        assert_false(l->data_set[i]->fits);
        assert_non_null(strstr(l->data_set[i]->why_not, "x1"));
    }
    ym_message_free(l);
    ym_plan_free(plan);
}

/* Each word is true and new; the log is for all and for good. */
static void one_party_cannot_fill_the_log(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("flap", "acme", site_name, 2, 2, 1, 1);
    struct kit_party *h = &w->site[1];
    struct ym_buf leaf = {0};
    struct kit_answer a = {0};
    int said = 0;

    MUST_OK(kit_submit(&w->acme, plan, ks));
    for (; said < 600 && a.code == YM_OK; said++) {
        sign_at(h, "pause", json_pack("{s:s, s:b}", "study", "flap", "paused", 1), said, &leaf);
        assert_answer(kit_post_leaf(h, kit_view(&leaf)), YM_OK, "");
        sign_at(h, "pause", json_pack("{s:s, s:b}", "study", "flap", "paused", 0), said, &leaf);
        a = kit_post_leaf(h, kit_view(&leaf));
    }
    assert_answer(a, YM_EXHAUSTED, "too_many_lines");
    assert_true(said > 400);
    assert_answer(kit_post(h, "dataset_card", card_members("late", 1)), YM_EXHAUSTED, "too_many_lines");
    assert_answer(kit_post(h, "veto", kit_members(plan, NULL)), YM_OK, ""); /* no is heard for ever */
    assert_answer(kit_post(&w->site[0], "dataset_card", card_members("mine", 1)), YM_OK, "");
    ym_buf_release(&leaf);
    ym_plan_free(plan);
}

#define WATCHERS 70

struct watching {
    pthread_t thread;
    struct kit_party *party;
    const char *study;
    _Atomic int events;
    _Atomic int code; /* -1 while it stands */
    char message[256];
};

static bool count_event(void *ctx, struct ym_bytes message)
{
    struct watching *a = ctx;

    (void)message;
    a->events++;
    return true;
}

static void *watch_main(void *arg)
{
    struct watching *a = arg;
    Yumen__V1__WatchStudyRequest m = YUMEN__V1__WATCH_STUDY_REQUEST__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    m.study = (char *)(uintptr_t)a->study;
    MUST_OK(ym_message_pack(&m, &wire, ks));
    code =
        ym_rpc_read_stream(a->party->client, "/yumen.v1.Sponsor/WatchStudy", kit_view(&wire), 0, count_event, a, &st);
    snprintf(a->message, sizeof a->message, "%.200s", st.message);
    a->code = (int)code;
    ym_buf_release(&wire);
    return NULL;
}

static void begin_watching(struct watching *a, struct kit_party *p, const char *study)
{
    memset(a, 0, sizeof *a);
    a->party = p;
    a->study = study;
    a->code = -1;
    MUST(pthread_create(&a->thread, NULL, watch_main, a) == 0);
}

static void await_true(bool (*is)(void *ctx), void *ctx, int64_t ms)
{
    int64_t until = ym_clock_mono_ms() + ms;

    while (!is(ctx)) {
        if (ym_clock_mono_ms() > until)
            fail_msg("not within %d ms", (int)ms);
        usleep(20000);
    }
}

static bool all_answered(void *ctx)
{
    struct watching *a = ctx;

    for (int i = 0; i < WATCHERS; i++)
        if (a[i].code == -1 && a[i].events == 0)
            return false;
    return true;
}

static void one_party_cannot_take_the_calls_of_all(void **state)
{
    struct world *w = *state;
    static struct watching a[WATCHERS];
    struct kit_party twin = w->acme; /* a second connection of the same sponsor */
    struct ym_plan *plan = offered(w, "crowd", 2, 2);
    Yumen__V1__ListStudiesReply *l;
    size_t stand = 0;

    MUST_OK(ym_rpc_client_wait(w->acme.client, KIT_PATIENCE_MS, ks));
    twin.client = kit_client(w->hub.listen, &w->acme);
    MUST_OK(ym_rpc_client_wait(twin.client, KIT_PATIENCE_MS, ks));
    for (int i = 0; i < WATCHERS; i++)
        begin_watching(&a[i], i % 2 ? &twin : &w->acme, "crowd");
    await_true(all_answered, a, KIT_PATIENCE_MS);
    for (int i = 0; i < WATCHERS; i++) {
        stand += a[i].code == -1;
        if (a[i].code != -1)
            assert_int_equal(a[i].code, YM_EXHAUSTED);
    }
    assert_int_equal(stand, 64);
    l = kit_list(&w->rival);
    ym_message_free(l);
    ym_rpc_client_close(&twin.client); /* and what it gives up it may have again */
    for (int i = 1; i < WATCHERS; i += 2)
        pthread_join(a[i].thread, NULL);
    assert_answer(cancel(&w->acme, "crowd"), YM_OK, "");
    for (int i = 0; i < WATCHERS; i += 2)
        pthread_join(a[i].thread, NULL);
    ym_plan_free(plan);
}

/* ---- what a dead hub leaves ---- */

/* One hospital's update is nobody's to keep once its attempt is over. */
static void updates_of_ended_attempts_go_at_the_start(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = offered(w, "left", 2, 2);
    static const char *const left[] = {"left/1-1", "left/3-9", "unknown/1-1"};
    char path[600];

    kit_stop(&w->hub, SIGKILL);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/spool/%s", w->hub.dir, left[i]);
        MUST_OK(ym_fs_mkdirs(path, 0700, ks));
        snprintf(path, sizeof path, "%s/spool/%s/h1", w->hub.dir, left[i]);
        MUST_OK(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)"12345678", 8}, 0600, ks));
    }
    MUST(kit_serve(&w->hub));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/spool/%s", w->hub.dir, left[i]);
        assert_false(ym_fs_exists(path));
    }
    reconnect(w);
    ym_plan_free(plan);
}

/* ---- streams that stand ---- */

static bool watch_ended(void *ctx)
{
    return ((struct watching *)ctx)->code != -1;
}

static bool watch_began(void *ctx)
{
    return ((struct watching *)ctx)->events > 0;
}

struct dripping {
    pthread_t thread;
    struct kit_party *party;
    struct kit_release r;
    size_t sent;
    _Atomic int code; /* -1 while it stands */
    _Atomic bool began;
};

/* A chunk of 8 bytes ten times a second. */
static bool next_drop(void *ctx, struct ym_buf *message)
{
    struct dripping *d = ctx;
    Yumen__V1__UploadChunk m = YUMEN__V1__UPLOAD_CHUNK__INIT;

    if (d->sent == 0)
        m.release_leaf = ym_message_bytes(d->r.leaf.data, d->r.leaf.len);
    if (d->sent + 8 > d->r.dim * 8)
        return false;
    m.offset = d->sent;
    m.data = ym_message_bytes((const uint8_t *)d->r.update + d->sent, 8);
    d->sent += 8;
    d->began = d->sent > 24;
    usleep(100000);
    ym_buf_clear(message);
    MUST_OK(ym_message_pack(&m, message, ks));
    return true;
}

static void *drip_main(void *arg)
{
    struct dripping *d = arg;
    struct ym_buf answer = {0};

    d->code = (int)ym_rpc_write_stream(d->party->client, "/yumen.v1.Worker/Upload", 0, next_drop, d, &answer, NULL);
    ym_buf_release(&answer);
    return NULL;
}

static bool drip_began(void *ctx)
{
    return ((struct dripping *)ctx)->began;
}

static bool drip_ended(void *ctx)
{
    return ((struct dripping *)ctx)->code != -1;
}

static void shut_out(struct world *w, const char *name)
{
    const char *args[] = {"revoke", name, "--dir", w->hub.dir, NULL};
    char text[256];

    assert_int_equal(kit_run(&w->hub, args, text, sizeof text), 0);
}

static void an_upload_of_who_is_revoked_is_cut(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("drip", "acme", site_name, 3, 1000, 1, 2);
    struct dripping d = {.party = &w->site[2], .code = -1};

    MUST_OK(kit_submit(&w->acme, plan, ks));
    for (size_t i = 0; i < SITES; i++) {
        if (!w->site[i].subscribed)
            kit_subscribe(&w->hub, &w->site[i]);
        assert_answer(kit_approve(&w->site[i], plan), YM_OK, "");
    }
    for (size_t i = 0; i < SITES; i++) {
        struct kit_task *t = round_task(&w->site[i], "drip", 2);

        assert_answer(kit_post(&w->site[i], "say_ready", kit_members(plan, t)), YM_OK, "");
        kit_task_free(t);
    }
    {
        struct kit_task *t = round_task(&w->site[2], "drip", 3);

        kit_release_make(&w->site[2], plan, t, 1001, 1, &d.r);
        assert_answer(kit_post_leaf(&w->site[2], kit_view(&d.r.charge)), YM_OK, "");
        kit_task_free(t);
    }
    MUST(pthread_create(&d.thread, NULL, drip_main, &d) == 0);
    await_true(drip_began, &d, KIT_PATIENCE_MS);
    shut_out(w, "h3");
    await_true(drip_ended, &d, 5000);
    assert_int_equal(d.code, YM_DENIED);
    assert_int_equal(kit_study(&w->acme, "drip").phase, 5); /* the others go on */
    pthread_join(d.thread, NULL);
    kit_release_end(&d.r);
    ym_plan_free(plan);
}

/* What runs out is in the hub's own table: set back there as by another process. */
static void let_expire(struct world *w, const struct kit_party *p)
{
    struct ym_store_cert c = {.not_after_s = ym_clock_unix() - 1};
    struct ym_store *s = NULL;

    MUST_OK(ym_store_open_sqlite(w->hub.dir, false, &s, ks));
    memcpy(c.party, p->name, sizeof c.party);
    MUST_OK(ym_cert_fingerprint(kit_view(&p->cert), c.fingerprint, ks));
    MUST_OK(ym_cert_spki_hash(kit_view(&p->cert), c.spki, ks));
    MUST_OK(s->ops->begin(s, ks));
    MUST_OK(s->ops->put_cert(s, &c, kit_view(&p->cert), ks));
    MUST_OK(s->ops->commit(s, ks));
    ym_store_close(&s);
}

static void a_stream_ends_with_its_certificate(void **state)
{
    struct world *w = *state;
    struct ym_plan *plan = kit_plan("aging", "late", site_name, 2, 2, 1, 2);
    struct watching a;
    struct kit_party late;

    kit_join(&w->hub, &late, YM_ROLE_SPONSOR, "late");
    MUST_OK(kit_submit(&late, plan, ks));
    begin_watching(&a, &late, "aging");
    await_true(watch_began, &a, KIT_PATIENCE_MS);
    let_expire(w, &late);
    await_true(watch_ended, &a, 5000);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.code, YM_DENIED);
    assert_non_null(strstr(a.message, "expired"));
    kit_party_end(&late);
    ym_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_its_roles),
        cmocka_unit_test(objects_of_others_do_not_exist),
        cmocka_unit_test(a_line_out_of_shape_never_enters_the_log),
        cmocka_unit_test(old_words_do_not_undo_newer_ones),
        cmocka_unit_test(cards_of_one_do_not_hide_those_of_another),
        cmocka_unit_test(one_party_cannot_take_the_calls_of_all),
        cmocka_unit_test(updates_of_ended_attempts_go_at_the_start),
        cmocka_unit_test(a_stream_ends_with_its_certificate),
        cmocka_unit_test(an_upload_of_who_is_revoked_is_cut),
        cmocka_unit_test(one_party_cannot_fill_the_log),
    };
    int failed;

    ym_rpc_init();
    failed = cmocka_run_group_tests(tests, make_world, end_world);
    fflush(NULL);
    _exit(failed != 0); /* gRPC's own threads outlive main's destructors */
}

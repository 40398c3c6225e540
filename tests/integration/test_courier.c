#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "proto/message.h"
#include "tests/integration/rpc_kit.h"
#include "worker/gateway/courier.h"

/* The gateway's courier against a hub that breaks off, forgets, repeats and
 * refuses, over real TLS. */

enum { OBJECT = 1000 * 1000, CHUNK = 200 * 1000, WAIT_MS = 30000 };

struct hub {
    struct ym_rpc_server *server;
    pthread_mutex_t lock;
    uint8_t object[OBJECT], hash[YM_HASH_BYTES];
    int subscribed, fetched, posted, asked, uploads, renewed;
    uint64_t fetch_offset[8], upload_offset[8];
    /* the script */
    int break_fetches;   /* fetches that end after two chunks */
    int corrupt_fetches; /* fetches with a wrong byte */
    enum ym_code fetch_refusal;
    int drop_streams; /* subscriptions that end after their tasks */
    int post_failures, post_passing;
    enum ym_code post_refusal;
    int break_uploads; /* uploads that fail after their second message */
    bool wrong_offset_once, complete;
    struct ym_buf got; /* uploaded bytes that the hub kept */
    bool committed;
    bool first_message;
};

static struct kit_ca ca;
static struct kit_id hub_id, site_id;
static struct hub hub;

static void reply_message(struct ym_rpc_call *call, const void *m)
{
    struct ym_buf b = {0};

    KIT_OK(ym_message_pack(m, &b, NULL));
    ym_rpc_call_reply(call, kit_bytes(&b));
    ym_buf_release(&b);
}

static void send_message(struct ym_rpc_call *call, const void *m)
{
    struct ym_buf b = {0};

    KIT_OK(ym_message_pack(m, &b, NULL));
    KIT_OK(ym_rpc_call_send(call, kit_bytes(&b)));
    ym_buf_release(&b);
}

static void on_subscribe(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__Task t = YUMEN__V1__TASK__INIT;
    bool drop;

    (void)request;
    (void)ctx;
    t.kind = YUMEN__V1__TASK_KIND__TASK_KIND_ROUND;
    t.leaf = ym_message_bytes("{}", 2);
    t.object_sha256 = ym_message_bytes(hub.hash, sizeof hub.hash);
    t.object_bytes = OBJECT;
    pthread_mutex_lock(&hub.lock);
    hub.subscribed++;
    drop = hub.drop_streams-- > 0;
    pthread_mutex_unlock(&hub.lock);
    send_message(call, &t);
    if (drop)
        ym_rpc_call_finish(call);
}

struct fetcher {
    uint64_t at, end;
    bool corrupt, fail;
};

static void send_chunk(struct ym_rpc_call *call, void *ctx)
{
    struct fetcher *f = ym_rpc_call_user(call);
    Yumen__V1__Chunk c = YUMEN__V1__CHUNK__INIT;
    static uint8_t data[CHUNK];
    size_t n = f->end - f->at < CHUNK ? (size_t)(f->end - f->at) : CHUNK;

    (void)ctx;
    if (n == 0) {
        if (f->fail)
            ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub falls over");
        else
            ym_rpc_call_finish(call);
        return;
    }
    memcpy(data, hub.object + f->at, n);
    if (f->corrupt)
        data[0] ^= 1;
    c.offset = f->at;
    c.total = OBJECT;
    c.data = ym_message_bytes(data, n);
    f->at += n;
    send_message(call, &c);
    ym_rpc_call_on_drain(call, send_chunk, NULL);
}

static void on_fetch(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    struct fetcher *f = calloc(1, sizeof *f);
    Yumen__V1__FetchRequest *r = NULL;
    enum ym_code refusal;

    (void)ctx;
    KIT_OK(ym_message_unpack(&yumen__v1__fetch_request__descriptor, request, &r, NULL));
    pthread_mutex_lock(&hub.lock);
    hub.fetch_offset[hub.fetched++ % 8] = r->offset;
    f->at = r->offset;
    f->end = OBJECT;
    f->corrupt = hub.corrupt_fetches-- > 0;
    f->fail = hub.break_fetches-- > 0;
    refusal = hub.fetch_refusal;
    pthread_mutex_unlock(&hub.lock);
    if (f->fail && f->at + 2 * CHUNK < OBJECT)
        f->end = f->at + 2 * CHUNK;
    ym_message_free(r);
    ym_rpc_call_set_user(call, f);
    if (refusal != YM_OK)
        ym_rpc_call_fail(call, refusal, "no");
    else
        send_chunk(call, NULL);
}

static void on_end_free(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    (void)cancelled;
    (void)ctx;
    free(ym_rpc_call_user(call));
}

static void on_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    (void)call;
    (void)cancelled;
    (void)ctx;
}

static void on_post(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__PostReply m = YUMEN__V1__POST_REPLY__INIT;
    enum ym_code refusal = YM_OK;

    (void)request;
    (void)ctx;
    pthread_mutex_lock(&hub.lock);
    hub.posted++;
    if (hub.post_failures > 0) {
        hub.post_failures--;
        refusal = YM_UNAVAILABLE;
    } else if (hub.post_passing > 0) {
        hub.post_passing--;
        m.answer = YUMEN__V1__ANSWER__ANSWER_UNAVAILABLE;
    } else if (hub.post_refusal != YM_OK) {
        refusal = hub.post_refusal;
    } else {
        m.reason = (char *)(uintptr_t) "repeated";
    }
    pthread_mutex_unlock(&hub.lock);
    if (refusal != YM_OK)
        ym_rpc_call_fail(call, refusal, "no");
    else
        reply_message(call, &m);
}

static void on_status(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__UploadStatusReply m = YUMEN__V1__UPLOAD_STATUS_REPLY__INIT;

    (void)request;
    (void)ctx;
    pthread_mutex_lock(&hub.lock);
    hub.asked++;
    m.offset = hub.got.len;
    m.complete = hub.complete || hub.committed;
    pthread_mutex_unlock(&hub.lock);
    reply_message(call, &m);
}

static void on_upload(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)call;
    (void)request;
    (void)ctx;
    pthread_mutex_lock(&hub.lock);
    hub.uploads++;
    hub.first_message = true;
    pthread_mutex_unlock(&hub.lock);
}

static void on_upload_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx)
{
    Yumen__V1__UploadChunk *c = NULL;
    Yumen__V1__UploadReply m = YUMEN__V1__UPLOAD_REPLY__INIT;
    bool fail = false, answer = false;

    (void)ctx;
    KIT_OK(ym_message_unpack(&yumen__v1__upload_chunk__descriptor, message, &c, NULL));
    pthread_mutex_lock(&hub.lock);
    if (hub.first_message) {
        hub.upload_offset[(hub.uploads - 1) % 8] = c->offset;
        YM_ASSERT(c->release_leaf.len > 0);
        if (hub.wrong_offset_once) {
            hub.wrong_offset_once = false;
            m.answer = YUMEN__V1__ANSWER__ANSWER_CONFLICT;
            m.reason = (char *)(uintptr_t) "wrong_offset";
            answer = true;
        }
    } else if (hub.break_uploads > 0) {
        hub.break_uploads--;
        fail = true;
    }
    hub.first_message = false;
    if (!answer && !fail) {
        YM_ASSERT(c->commit || c->offset == hub.got.len);
        if (c->data.len > 0)
            KIT_OK(ym_buf_append(&hub.got, c->data.data, c->data.len));
        hub.committed |= c->commit;
    }
    pthread_mutex_unlock(&hub.lock);
    ym_message_free(c);
    if (answer)
        reply_message(call, &m);
    if (fail)
        ym_rpc_call_fail(call, YM_UNAVAILABLE, "the hub falls over");
}

static void on_half_close(struct ym_rpc_call *call, void *ctx)
{
    Yumen__V1__UploadReply m = YUMEN__V1__UPLOAD_REPLY__INIT;

    (void)ctx;
    pthread_mutex_lock(&hub.lock);
    if (!hub.committed)
        m.answer = YUMEN__V1__ANSWER__ANSWER_UNAVAILABLE;
    pthread_mutex_unlock(&hub.lock);
    reply_message(call, &m);
}

static void on_renew(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__RenewReply m = YUMEN__V1__RENEW_REPLY__INIT;
    struct ym_party who = {.federation = "demo", .role = YM_ROLE_HOSPITAL, .name = "h1"};
    struct ym_buf cert = {0};
    int64_t now = ym_clock_unix();

    (void)request;
    (void)ctx;
    KIT_OK(ym_cert_issue(kit_bytes(&ca.key), kit_bytes(&ca.cert), ym_rpc_call_peer_cert(call), &who, NULL, now,
                         now + 7 * KIT_DAY, &cert, NULL));
    pthread_mutex_lock(&hub.lock);
    hub.renewed++;
    pthread_mutex_unlock(&hub.lock);
    m.certificate = (char *)(uintptr_t)ym_buf_str(&cert);
    reply_message(call, &m);
    ym_buf_release(&cert);
}

static bool fetch_tls(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls)
{
    (void)ctx;
    if (*generation == 1)
        return false;
    *generation = 1;
    *tls = kit_tls(&ca, &hub_id);
    return true;
}

static enum ym_code authenticate(void *ctx, const char *method, struct ym_bytes cert, struct ym_party *who,
                                 struct ym_status *st)
{
    (void)ctx;
    (void)method;
    return ym_cert_party(cert, who, st);
}

static const struct ym_rpc_method methods[] = {
    {"/yumen.v1.Worker/Subscribe", YM_RPC_SERVER_STREAM, on_subscribe, NULL, NULL, on_end},
    {"/yumen.v1.Federation/FetchObject", YM_RPC_SERVER_STREAM, on_fetch, NULL, NULL, on_end_free},
    {"/yumen.v1.Worker/Post", YM_RPC_UNARY, on_post, NULL, NULL, on_end},
    {"/yumen.v1.Worker/UploadStatus", YM_RPC_UNARY, on_status, NULL, NULL, on_end},
    {"/yumen.v1.Worker/Upload", YM_RPC_CLIENT_STREAM, on_upload, on_upload_message, on_half_close, on_end},
    {"/yumen.v1.Federation/Renew", YM_RPC_UNARY, on_renew, NULL, NULL, on_end},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

/* ---- the gateway's side ---- */

struct kit {
    char dir[64];
    struct ym_home home;
    struct ym_courier *courier;
};

static void copy(struct ym_buf *to, const struct ym_buf *from)
{
    KIT_OK(ym_buf_append(to, from->data, from->len));
}

static void hub_reset(void)
{
    uint8_t object_byte = 1;

    ym_buf_release(&hub.got);
    hub = (struct hub){.server = hub.server, .lock = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < OBJECT; i++)
        hub.object[i] = object_byte = (uint8_t)(object_byte * 5 + 3 + (i >> 8));
    ym_sha256(hub.object, OBJECT, hub.hash);
}

static int open_kit(void **state)
{
    struct kit *k = calloc(1, sizeof *k);
    char path[128];
    struct ym_rpc_server_options o = {
        .listen = "127.0.0.1:0", .fetch_tls = fetch_tls, .authenticate = authenticate, .methods = methods};

    hub_reset();
    KIT_OK(ym_rpc_server_start(&o, &hub.server, NULL));
    snprintf(k->dir, sizeof k->dir, "/tmp/yumen-courier-XXXXXX");
    YM_ASSERT(mkdtemp(k->dir));
    snprintf(path, sizeof path, "%s/objects", k->dir);
    KIT_OK(ym_fs_mkdirs(path, 0700, NULL));
    snprintf(k->home.dir, sizeof k->home.dir, "%s", k->dir);
    snprintf(k->home.hub, sizeof k->home.hub, "127.0.0.1:%d", ym_rpc_server_port(hub.server));
    copy(&k->home.key, &site_id.key);
    copy(&k->home.cert, &site_id.cert);
    copy(&k->home.ca, &ca.cert);
    k->home.enrolled = true;
    k->home.not_before = ym_clock_unix();
    k->home.not_after = ym_clock_unix() + 7 * KIT_DAY;
    *state = k;
    return 0;
}

static int close_kit(void **state)
{
    struct kit *k = *state;
    char command[128];

    ym_courier_stop(&k->courier);
    ym_rpc_server_stop(&hub.server, 1000);
    ym_home_release(&k->home);
    snprintf(command, sizeof command, "rm -rf '%s'", k->dir);
    YM_ASSERT(system(command) == 0);
    ym_buf_release(&hub.got);
    free(k);
    return 0;
}

/* What a trainer says of itself; nobody is let in without it. */
static void say_session(struct kit *k, const char *instance)
{
    json_t *o = json_pack("{s:s, s:i}", "instance", instance, "log_from", 0);
    struct ym_key *key = NULL;
    struct ym_buf line = {0};

    KIT_OK(ym_key_generate(&key, NULL));
    KIT_OK(ym_leaf_sign("say_session", o, "h1", 1000, key, &line, NULL));
    KIT_OK(ym_courier_session(k->courier, kit_bytes(&line), NULL));
    ym_buf_release(&line);
    ym_key_free(key);
    json_decref(o);
}

static void start(struct kit *k)
{
    KIT_OK(ym_courier_start(&k->home, &k->courier, NULL));
    say_session(k, "00112233445566778899aabbccddeeff");
}

/* The next event of that kind; others are dropped. */
static struct ym_courier_event await(struct kit *k, enum ym_event_kind kind)
{
    struct ym_courier_event e;
    int64_t end = ym_clock_mono_ms() + WAIT_MS;

    while (ym_clock_mono_ms() < end) {
        struct pollfd p = {.fd = ym_courier_fd(k->courier), .events = POLLIN};

        while (ym_courier_take(k->courier, &e)) {
            if (e.kind == kind)
                return e;
            ym_courier_event_release(&e);
        }
        poll(&p, 1, 200);
    }
    fail_msg("no event of kind %d", (int)kind);
    return e;
}

static int get(const int *counter)
{
    pthread_mutex_lock(&hub.lock);
    int n = *counter;
    pthread_mutex_unlock(&hub.lock);
    return n;
}

static uint64_t get64(const uint64_t *value)
{
    pthread_mutex_lock(&hub.lock);
    uint64_t v = *value;
    pthread_mutex_unlock(&hub.lock);
    return v;
}

static void expect_object(struct kit *k)
{
    struct ym_courier_event e = await(k, YM_EVENT_TASK);
    struct ym_buf hex = {0}, got = {0};
    char path[256];

    assert_int_equal(e.task, YUMEN__V1__TASK_KIND__TASK_KIND_ROUND);
    assert_int_equal(e.object_bytes, OBJECT);
    assert_memory_equal(e.object_hash, hub.hash, YM_HASH_BYTES);
    ym_hex_encode(hub.hash, sizeof hub.hash, &hex);
    snprintf(path, sizeof path, "%s/objects/%s", k->dir, ym_buf_str(&hex));
    assert_int_equal(ym_fs_read(path, OBJECT, &got, NULL), YM_OK);
    assert_int_equal(got.len, OBJECT);
    assert_memory_equal(got.data, hub.object, OBJECT);
    ym_buf_release(&hex);
    ym_buf_release(&got);
    ym_courier_event_release(&e);
}

static void an_object_is_fetched_on_from_where_the_hub_broke_off(void **state)
{
    struct kit *k = *state;

    hub.break_fetches = 2;
    start(k);
    expect_object(k);
    assert_int_equal(get(&hub.fetched), 3);
    assert_int_equal(get64(&hub.fetch_offset[0]), 0);
    for (int i = 1; i < 3; i++) { /* a failing status may overtake the last chunk before it, which is then not there */
        uint64_t got = get64(&hub.fetch_offset[i]) - get64(&hub.fetch_offset[i - 1]);

        assert_true(got == CHUNK || got == 2 * CHUNK);
    }
}

static void an_object_with_a_wrong_byte_is_fetched_again_from_the_start(void **state)
{
    struct kit *k = *state;

    hub.corrupt_fetches = 1;
    start(k);
    expect_object(k);
    assert_int_equal(get(&hub.fetched), 2);
    assert_int_equal(get64(&hub.fetch_offset[1]), 0);
}

static void a_part_left_by_an_earlier_run_is_completed(void **state)
{
    struct kit *k = *state;
    struct ym_buf hex = {0};
    char path[256];

    ym_hex_encode(hub.hash, sizeof hub.hash, &hex);
    snprintf(path, sizeof path, "%s/objects/%s.part", k->dir, ym_buf_str(&hex));
    KIT_OK(ym_fs_write(path, (struct ym_bytes){hub.object, 123456}, 0600, NULL));
    start(k);
    expect_object(k);
    assert_int_equal(get64(&hub.fetch_offset[0]), 123456);
    ym_buf_release(&hex);
}

static void a_task_whose_object_is_refused_is_given_without_it(void **state)
{
    struct kit *k = *state;
    struct ym_courier_event e;

    hub.fetch_refusal = YM_NOT_FOUND;
    start(k);
    e = await(k, YM_EVENT_TASK);
    assert_int_equal(e.object_bytes, 0);
    ym_courier_event_release(&e);
}

static void a_subscription_that_ends_is_made_again(void **state)
{
    struct kit *k = *state;

    hub.drop_streams = 2;
    start(k);
    for (int i = 0; i < 3; i++)
        expect_object(k);
    assert_int_equal(get(&hub.subscribed), 3);
    assert_int_equal(get(&hub.fetched), 1); /* it is there already */
}

static void expect_answer(struct kit *k, const char *line, enum ym_code answer, const char *reason)
{
    struct ym_courier_event e = await(k, YM_EVENT_ANSWER);
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(line, strlen(line), hash);
    assert_memory_equal(e.answer.leaf, hash, sizeof hash);
    assert_int_equal(e.answer.answer, answer);
    assert_string_equal(e.answer.reason, reason);
    ym_courier_event_release(&e);
}

static struct ym_bytes text(const char *line)
{
    return (struct ym_bytes){(const uint8_t *)line, strlen(line)};
}

static void a_line_is_posted_until_the_hub_answers_it(void **state)
{
    struct kit *k = *state;

    hub.post_failures = 1;
    hub.post_passing = 1;
    start(k);
    assert_int_equal(ym_courier_post(k->courier, text("{\"a\":1}"), NULL), YM_OK);
    expect_answer(k, "{\"a\":1}", YM_OK, "repeated");
    assert_int_equal(get(&hub.posted), 3);
}

static void a_refusal_is_an_answer(void **state)
{
    struct kit *k = *state;

    hub.post_refusal = YM_DENIED;
    start(k);
    assert_int_equal(ym_courier_post(k->courier, text("{\"a\":2}"), NULL), YM_OK);
    expect_answer(k, "{\"a\":2}", YM_DENIED, "");
    assert_int_equal(get(&hub.posted), 1);
}

static void upload(struct kit *k)
{
    char path[256];

    snprintf(path, sizeof path, "%s/objects/release-0", k->dir);
    KIT_OK(ym_fs_write(path, (struct ym_bytes){hub.object, OBJECT}, 0600, NULL));
    KIT_OK(ym_courier_upload(k->courier, text("{\"charge\":1}"), text("{\"release\":1}"), path, NULL));
    expect_answer(k, "{\"release\":1}", YM_OK, "");
    assert_false(ym_fs_exists(path));
}

static void an_upload_goes_on_from_the_offset_the_hub_has(void **state)
{
    struct kit *k = *state;

    hub.break_uploads = 2;
    hub.wrong_offset_once = true;
    start(k);
    upload(k);
    assert_int_equal(get(&hub.uploads), 4);
    assert_int_equal(get(&hub.asked), 4);
    assert_true(get64(&hub.upload_offset[3]) > 0);
    assert_true(hub.committed);
    assert_int_equal(hub.got.len, OBJECT);
    assert_memory_equal(hub.got.data, hub.object, OBJECT);
}

static void what_the_hub_has_whole_is_not_sent_again(void **state)
{
    struct kit *k = *state;

    hub.complete = true;
    start(k);
    upload(k);
    assert_int_equal(get(&hub.uploads), 0);
}

static void a_certificate_past_two_thirds_of_its_life_is_renewed_while_running(void **state)
{
    struct kit *k = *state;
    int64_t old_until = ym_clock_unix() + 100, end = ym_clock_mono_ms() + WAIT_MS;

    k->home.not_before = ym_clock_unix() - 1000;
    k->home.not_after = old_until;
    start(k);
    while (get(&hub.renewed) == 0 && ym_clock_mono_ms() < end)
        usleep(20000);
    assert_int_equal(get(&hub.renewed), 1);
    assert_int_equal(ym_courier_post(k->courier, text("{\"a\":3}"), NULL), YM_OK); /* over the new connection */
    expect_answer(k, "{\"a\":3}", YM_OK, "repeated");
    ym_courier_stop(&k->courier);
    assert_true(k->home.not_after > old_until);
}

static void stopping_does_not_wait_for_a_hub_that_is_gone(void **state)
{
    struct kit *k = *state;
    int64_t begin;

    hub.post_failures = 1000;
    start(k);
    assert_int_equal(ym_courier_post(k->courier, text("{\"a\":4}"), NULL), YM_OK);
    while (get(&hub.posted) == 0)
        usleep(10000);
    begin = ym_clock_mono_ms();
    ym_courier_stop(&k->courier);
    assert_true(ym_clock_mono_ms() - begin < 10000);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_object_is_fetched_on_from_where_the_hub_broke_off),
        CASE(an_object_with_a_wrong_byte_is_fetched_again_from_the_start),
        CASE(a_part_left_by_an_earlier_run_is_completed),
        CASE(a_task_whose_object_is_refused_is_given_without_it),
        CASE(a_subscription_that_ends_is_made_again),
        CASE(a_line_is_posted_until_the_hub_answers_it),
        CASE(a_refusal_is_an_answer),
        CASE(an_upload_goes_on_from_the_offset_the_hub_has),
        CASE(what_the_hub_has_whole_is_not_sent_again),
        CASE(a_certificate_past_two_thirds_of_its_life_is_renewed_while_running),
        CASE(stopping_does_not_wait_for_a_hub_that_is_gone),
    };
    int rc;

    ym_rpc_init();
    kit_ca_init(&ca, "demo");
    kit_id_init(&hub_id, &ca, YM_ROLE_HUB, "hub");
    kit_id_init(&site_id, &ca, YM_ROLE_HOSPITAL, "h1");
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    kit_id_release(&hub_id);
    kit_id_release(&site_id);
    kit_ca_release(&ca);
    return rc;
}

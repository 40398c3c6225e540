#include "tests/integration/rpc_hub.h"

/* ---- unary ---- */

static void unary_call_gives_the_answer(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};

    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_int_equal(ym_rpc_unary(c, "/t.T/Who", text(""), 0, false, &reply, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&reply), "h1");
    await(&h, ENDED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], 1);
    ym_buf_release(&reply);
}

static void message_of_the_greatest_size_passes(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};
    uint8_t *big = calloc(1, YM_RPC_MAX_MESSAGE + 1);

    big[YM_RPC_MAX_MESSAGE - 1] = 7;
    assert_int_equal(
        ym_rpc_unary(c, "/t.T/Echo", (struct ym_bytes){big, YM_RPC_MAX_MESSAGE}, PATIENCE_MS, false, &reply, NULL),
        YM_OK);
    assert_int_equal(reply.len, YM_RPC_MAX_MESSAGE);
    assert_int_equal(reply.data[YM_RPC_MAX_MESSAGE - 1], 7);
    assert_int_equal(
        ym_rpc_unary(c, "/t.T/Echo", (struct ym_bytes){big, YM_RPC_MAX_MESSAGE + 1}, PATIENCE_MS, false, &reply, NULL),
        YM_EXHAUSTED);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_int_equal(counted(&h, STARTED), 2);
    free(big);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void every_code_crosses_the_wire(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    for (int code = YM_INVALID; code <= YM_INTERNAL; code++) {
        struct ym_status st = YM_STATUS_INIT;
        uint8_t byte = (uint8_t)code;
        struct ym_buf reply = {0};
        assert_int_equal(ym_rpc_unary(c, "/t.T/Fail", (struct ym_bytes){&byte, 1}, PATIENCE_MS, false, &reply, &st),
                         code);
        assert_int_equal(ym_rpc_code_from_grpc(ym_rpc_code_to_grpc((enum ym_code)code)), code);
        assert_non_null(strstr(st.message, "因为 reasons"));
    }
    await(&h, ENDED, YM_INTERNAL);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], YM_INTERNAL);
}

static void method_outside_the_table_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_unary(c, "/t.T/Other", text(""), PATIENCE_MS, false, &reply, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "no such method"));
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void deadline_ends_the_call_with_its_code(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct ym_buf reply = {0};
    int64_t before;

    /* Connected first, so that the call itself arrives well within its deadline. */
    assert_int_equal(ym_rpc_client_wait(c, PATIENCE_MS, NULL), YM_OK);
    before = ym_clock_mono_ms();

    assert_int_equal(ym_rpc_unary(c, "/t.T/Hold", text(""), 2000, true, &reply, NULL), YM_DEADLINE);
    assert_true(ym_clock_mono_ms() - before >= 1990);
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, CANCELLED), 1);
    /* An answer that comes too late falls on the floor. */
    ym_rpc_call_reply(h.call, text("late"));
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void cancel_from_another_thread_ends_calls(void **state)
{
    struct hub h;
    struct background b;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    ym_rpc_client_cancel(c);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_UNAVAILABLE);
    await(&h, CANCELLED, 1);
    assert_int_equal(echo(c, false, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_client_wait(c, 0, NULL), YM_UNAVAILABLE);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void answer_may_come_from_another_thread(void **state)
{
    struct hub h;
    struct background b;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    ym_rpc_call_reply(h.call, text("later"));
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_string_equal(ym_buf_str(&b.reply), "later");
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, CANCELLED), 0);
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

/* ---- streams ---- */

static void stream_waits_for_a_slow_reader_and_loses_nothing(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct reader r = {.hub = &h, .stall = true};

    assert_int_equal(ym_rpc_read_stream(c, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
    assert_int_equal(r.seen, 1000);
    /* One in flight and a queue of YM_RPC_QUEUE_BYTES: nothing completes while the
     * pump runs on the call's thread. */
    assert_int_equal(h.first_full, 1 + YM_RPC_QUEUE_BYTES / 65536);
    assert_true(r.sent_while_stalled >= 16 && r.sent_while_stalled < 500);
    await(&h, ENDED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void reader_that_stops_ends_the_stream(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct reader r = {.hub = &h, .stop_at = 3};

    h.pump_total = 1000000;
    assert_int_equal(ym_rpc_read_stream(c, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
    assert_int_equal(r.seen, 3);
    await(&h, CANCELLED, 1);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct writer {
    struct hub *hub;
    long sent, total;
    bool commit, committed;
    struct ym_rpc_client *client;
    bool pause_first; /* pause the call, from this foreign thread, before the second message */
};

static bool write_one(void *ctx, struct ym_buf *message)
{
    struct writer *w = ctx;

    if (w->pause_first && w->sent == 1) {
        await(w->hub, MESSAGES, 1);
        /* The hub has one thread: after an echo it is back in its loop, with the
         * next receive out. */
        assert_int_equal(echo(w->client, false, NULL), YM_OK);
        ym_rpc_call_pause(w->hub->call, true);
    }
    if (w->sent < w->total) {
        w->sent++;
        KIT_OK(ym_buf_puts(message, "data"));
        count(w->hub, SENT);
        return true;
    }
    if (w->commit && !w->committed) {
        w->committed = true;
        KIT_OK(ym_buf_puts(message, "commit"));
        return true;
    }
    return false;
}

static void upload_with_commit_is_answered(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct writer w = {.hub = &h, .total = 50, .commit = true};
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_write_stream(c, "/t.T/Sum", PATIENCE_MS, write_one, &w, &reply, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&reply), "commit");
    assert_int_equal(counted(&h, MESSAGES), 50);
    assert_int_equal(counted(&h, COMMITTED), 1);
    await(&h, ENDED, 1);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void upload_without_commit_is_a_drop(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    struct writer w = {.hub = &h, .total = 3};
    struct ym_buf reply = {0};

    assert_int_equal(ym_rpc_write_stream(c, "/t.T/Sum", PATIENCE_MS, write_one, &w, &reply, NULL), YM_INVALID);
    assert_int_equal(counted(&h, HALF_CLOSED), 1);
    assert_int_equal(counted(&h, COMMITTED), 0);
    assert_int_equal(reply.len, 0);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct upload {
    pthread_t thread;
    struct ym_rpc_client *client;
    struct writer w;
    enum ym_code code;
    struct ym_buf reply;
};

static void *background_upload(void *arg)
{
    struct upload *u = arg;
    u->code = ym_rpc_write_stream(u->client, "/t.T/Sum", 0, write_one, &u->w, &u->reply, NULL);
    return NULL;
}

static void paused_upload_delivers_nothing_until_resumed(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    h.pause_after_first = true;
    struct upload u = {.client = client_to(&h), .w = {.hub = &h, .total = 100, .commit = true}};

    assert_int_equal(pthread_create(&u.thread, NULL, background_upload, &u), 0);
    await(&h, SENT, 100);
    await(&h, MESSAGES, 1);
    assert_int_equal(echo(u.client, false, NULL), YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 1);
    ym_rpc_call_pause(h.call, false);
    pthread_join(u.thread, NULL);
    assert_int_equal(u.code, YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 100);
    ym_buf_release(&u.reply);
    ym_rpc_client_close(&u.client);
    hub_stop(&h);
}

static void message_that_meets_a_pause_is_kept(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h); /* one thread: what the echo below passes has been seen */
    struct upload u = {.client = client_to(&h), .w = {.hub = &h, .total = 2, .commit = true, .pause_first = true}};
    u.w.client = u.client;

    assert_int_equal(pthread_create(&u.thread, NULL, background_upload, &u), 0);
    await(&h, SENT, 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(echo(u.client, false, NULL), YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 1);
    ym_rpc_call_pause(h.call, false);
    pthread_join(u.thread, NULL);
    assert_int_equal(u.code, YM_OK);
    assert_int_equal(counted(&h, MESSAGES), 2);
    ym_buf_release(&u.reply);
    ym_rpc_client_close(&u.client);
    hub_stop(&h);
}

/* ---- everything at once, for the thread sanitizer ---- */

struct crowd {
    pthread_t thread;
    struct hub *hub;
    struct ym_rpc_client *client;
    int number;
};

static void *crowd_run(void *arg)
{
    struct crowd *m = arg;
    for (int i = 0; i < 40; i++) {
        struct reader r = {.hub = m->hub, .stop_at = 1 + (i + m->number) % 5};
        struct ym_buf reply = {0};
        assert_int_equal(echo(m->client, true, NULL), YM_OK);
        assert_int_equal(ym_rpc_read_stream(m->client, "/t.T/Pump", text(""), PATIENCE_MS, read_one, &r, NULL), YM_OK);
        assert_int_equal(ym_rpc_unary(m->client, "/t.T/Hold", text(""), 1 + i % 3, true, &reply, NULL), YM_DEADLINE);
    }
    return NULL;
}

static void many_callers_at_once_are_served(void **state)
{
    struct hub h;
    struct crowd m[6];
    (void)state;
    hub_init(&h, &hub_id);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 3, 3000, NULL));
    struct ym_rpc_client *shared = client_to(&h);
    for (int i = 0; i < 6; i++) {
        m[i] = (struct crowd){.hub = &h, .client = shared, .number = i};
        assert_int_equal(pthread_create(&m[i].thread, NULL, crowd_run, &m[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(m[i].thread, NULL);
    ym_rpc_client_close(&shared);
    assert_int_equal(counted(&h, DEAF), 0);
    hub_stop(&h);
    assert_int_equal(h.count[ENDED], h.count[STARTED] + h.count[HELD]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_call_gives_the_answer),
        cmocka_unit_test(message_of_the_greatest_size_passes),
        cmocka_unit_test(every_code_crosses_the_wire),
        cmocka_unit_test(method_outside_the_table_is_refused),
        cmocka_unit_test(deadline_ends_the_call_with_its_code),
        cmocka_unit_test(cancel_from_another_thread_ends_calls),
        cmocka_unit_test(answer_may_come_from_another_thread),
        cmocka_unit_test(stream_waits_for_a_slow_reader_and_loses_nothing),
        cmocka_unit_test(reader_that_stops_ends_the_stream),
        cmocka_unit_test(upload_with_commit_is_answered),
        cmocka_unit_test(upload_without_commit_is_a_drop),
        cmocka_unit_test(paused_upload_delivers_nothing_until_resumed),
        cmocka_unit_test(message_that_meets_a_pause_is_kept),
        cmocka_unit_test(many_callers_at_once_are_served),
    };
    return cmocka_run_group_tests(tests, identities, identities_release);
}

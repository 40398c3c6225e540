#include "support.h"
#include "worker/link.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <zmq.h>

/* Two pure links over a wire that the test controls. */
struct wire {
    struct ym_buf message[4096];
    size_t first, count;
};

struct end {
    struct ym_link *link;
    struct wire *out;
    uint64_t next_expected; /* first byte pattern of the next frame */
    size_t taken, ups;
};

static uint64_t dice = 1;

static uint32_t roll(uint32_t n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % n;
}

static void put(void *ctx, const uint8_t *data, size_t len)
{
    struct end *e = ctx;
    struct wire *w = e->out;

    if (w->count == sizeof w->message / sizeof *w->message)
        return; /* a full wire loses */
    assert_int_equal(ym_buf_append(&w->message[(w->first + w->count++) % 4096], data, len), YM_OK);
}

static void up(void *ctx)
{
    struct end *e = ctx;

    e->ups++;
    e->next_expected = 0;
}

static void take(void *ctx, const struct ym_frame *f)
{
    struct end *e = ctx;
    uint64_t n;

    assert_int_equal(f->payload.len, sizeof n);
    memcpy(&n, f->payload.data, sizeof n);
    assert_int_equal(n, e->next_expected); /* in order, once each */
    e->next_expected++;
    e->taken++;
}

static void end_open(struct end *e, struct wire *out, uint64_t id)
{
    memset(e, 0, sizeof *e);
    e->out = out;
    e->link = ym_link_new(id, &(struct ym_link_events){.ctx = e, .up = up, .frame = take, .emit = put});
    assert_non_null(e->link);
}

/* Deliver one message; lose and repeat by chance in 1 of `chance` (0: never). */
static void carry(struct wire *w, struct end *to, int64_t now, uint32_t chance)
{
    struct ym_buf *b;

    if (w->count == 0)
        return;
    b = &w->message[w->first];
    w->first = (w->first + 1) % 4096;
    w->count--;
    if (chance == 0 || roll(chance) != 0)
        ym_link_input(to->link, b->data, b->len, now);
    if (chance != 0 && roll(chance) == 0)
        ym_link_input(to->link, b->data, b->len, now);
    ym_buf_release(b);
}

static void wire_clear(struct wire *w)
{
    while (w->count > 0) {
        ym_buf_release(&w->message[w->first]);
        w->first = (w->first + 1) % 4096;
        w->count--;
    }
    w->first = 0;
}

static bool send_number(struct end *e, uint64_t n, int64_t now)
{
    struct ym_frame f = {.kind = YM_FRAME_ANSWER, .payload = {(uint8_t *)&n, sizeof n}};

    return ym_link_send(e->link, &f, now, NULL) == YM_OK;
}

static void turn(struct end *a, struct end *b, int64_t now, uint32_t chance)
{
    ym_link_step(a->link, now);
    ym_link_step(b->link, now);
    for (int i = 0; i < 12; i++) {
        carry(a->out, b, now, chance);
        carry(b->out, a, now, chance);
    }
}

static void meet(struct end *a, struct end *b, int64_t *now, uint32_t chance)
{
    for (int i = 0; i < 200 && (!ym_link_connected(a->link, *now) || !ym_link_connected(b->link, *now)); i++)
        turn(a, b, *now += 200, chance);
    assert_true(ym_link_connected(a->link, *now) && ym_link_connected(b->link, *now));
}

static struct wire ab, ba;

static void frames_arrive_in_order_and_once_on_a_wire_that_loses_and_repeats(void **state)
{
    struct end a, b;
    int64_t now = 0;
    uint64_t sent_a = 0, sent_b = 0;

    (void)state;
    end_open(&a, &ab, 1);
    end_open(&b, &ba, 2);
    meet(&a, &b, &now, 4);
    while (now < 4000000 && (a.taken < 500 || b.taken < 500)) {
        while (sent_a < 500 && send_number(&a, sent_a, now))
            sent_a++;
        while (sent_b < 500 && send_number(&b, sent_b, now))
            sent_b++;
        turn(&a, &b, now += 100, 4);
    }
    assert_int_equal(a.taken, 500);
    assert_int_equal(b.taken, 500);
    assert_int_equal(a.ups, 1);
    assert_int_equal(b.ups, 1);
    ym_link_free(a.link);
    ym_link_free(b.link);
    wire_clear(&ab);
    wire_clear(&ba);
}

static void the_window_is_bounded_until_the_peer_acknowledges(void **state)
{
    struct end a, b;
    int64_t now = 0;

    (void)state;
    end_open(&a, &ab, 1);
    end_open(&b, &ba, 2);
    assert_int_equal(ym_link_room(a.link), 0);
    assert_false(send_number(&a, 0, now));
    meet(&a, &b, &now, 0);
    for (uint64_t i = 0; i < YM_LINK_WINDOW; i++)
        assert_true(send_number(&a, i, now));
    assert_false(send_number(&a, 99, now));
    assert_false(ym_link_idle(a.link));
    turn(&a, &b, now += 10, 0);
    turn(&a, &b, now += 10, 0);
    assert_true(ym_link_idle(a.link));
    assert_int_equal(ym_link_room(a.link), YM_LINK_WINDOW);
    assert_int_equal(b.taken, YM_LINK_WINDOW);
    ym_link_free(a.link);
    ym_link_free(b.link);
    wire_clear(&ab);
    wire_clear(&ba);
}

static void a_restarted_peer_begins_a_new_pair_on_both_ends(void **state)
{
    struct end a, b, b2;
    int64_t now = 0;

    (void)state;
    end_open(&a, &ab, 1);
    end_open(&b, &ba, 2);
    meet(&a, &b, &now, 0);
    for (uint64_t i = 0; i < 3; i++)
        assert_true(send_number(&a, i, now)); /* lost with the peer */
    ym_link_free(b.link);
    wire_clear(&ab);
    end_open(&b2, &ba, 3);
    for (int i = 0; i < 50 && b2.ups == 0; i++)
        turn(&a, &b2, now += 200, 0);
    assert_int_equal(b2.ups, 1);
    assert_int_equal(a.ups, 2);
    assert_true(send_number(&a, 0, now)); /* numbers begin again */
    turn(&a, &b2, now += 10, 0);
    assert_int_equal(b2.taken, 1);
    ym_link_free(a.link);
    ym_link_free(b2.link);
    wire_clear(&ab);
    wire_clear(&ba);
}

static void frames_of_a_replaced_peer_change_nothing(void **state)
{
    static struct wire late;
    struct end a, b, b2;
    int64_t now = 0;

    (void)state;
    end_open(&a, &ab, 1);
    end_open(&b, &ba, 2);
    meet(&a, &b, &now, 0);
    wire_clear(&ba);
    b.out = &late;
    assert_true(send_number(&b, 0, now));
    ym_link_step(b.link, now += 2000); /* a hello and a re-sent frame, both still under way */
    assert_true(late.count >= 2);
    ym_link_free(b.link);
    end_open(&b2, &ba, 3);
    for (int i = 0; i < 50 && b2.ups == 0; i++)
        turn(&a, &b2, now += 200, 0);
    assert_int_equal(a.ups, 2);
    while (late.count > 0)
        carry(&late, &a, now, 0);
    assert_int_equal(a.taken, 0);
    assert_int_equal(a.ups, 2);
    assert_true(send_number(&a, 0, now)); /* still bound to the new peer */
    turn(&a, &b2, now += 10, 0);
    assert_int_equal(b2.taken, 1);
    ym_link_free(a.link);
    ym_link_free(b2.link);
    wire_clear(&ab);
    wire_clear(&ba);
}

static void bytes_that_are_no_frame_are_dropped_and_counted(void **state)
{
    struct end a;
    uint8_t junk[200];

    (void)state;
    end_open(&a, &ab, 1);
    for (int i = 0; i < 100; i++) {
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (uint8_t)roll(256);
        ym_link_input(a.link, junk, roll(sizeof junk + 1), 0);
    }
    assert_int_equal(ym_link_dropped(a.link), 100);
    assert_int_equal(a.ups, 0);
    ym_link_free(a.link);
    wire_clear(&ab);
}

static void silence_shows_as_not_connected(void **state)
{
    struct end a, b;
    int64_t now = 0;

    (void)state;
    end_open(&a, &ab, 1);
    end_open(&b, &ba, 2);
    meet(&a, &b, &now, 0);
    assert_true(ym_link_connected(a.link, now + YM_LINK_SILENT_MS - 1));
    assert_false(ym_link_connected(a.link, now + YM_LINK_SILENT_MS));
    ym_link_free(a.link);
    ym_link_free(b.link);
    wire_clear(&ab);
    wire_clear(&ba);
}

/* ---- over ZeroMQ, the peer killed with -9 ---- */

static void no_emit(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
}

static int64_t mono(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_readable(struct ym_link *l)
{
    zmq_pollitem_t item = {.socket = ym_link_socket(l), .events = ZMQ_POLLIN};

    zmq_poll(&item, 1, 20);
}

/* The child echoes nothing: it sends 0, 1, 2 ... for ever, until it is killed. */
static void child_main(const char *endpoint)
{
    static struct end e;
    void *context = zmq_ctx_new();
    uint64_t n = 0;

    if (ym_link_open(context, endpoint, false,
                     &(struct ym_link_events){.ctx = &e, .up = up, .frame = take, .emit = no_emit}, &e.link,
                     NULL) != YM_OK)
        _exit(1);
    for (;;) {
        wait_readable(e.link);
        ym_link_step(e.link, mono());
        while (send_number(&e, n, mono()))
            n++;
    }
}

static void a_peer_killed_at_any_moment_starts_over_and_nothing_comes_twice(void **state)
{
    char endpoint[128];
    struct end e = {0};
    void *context;
    int64_t end = mono() + 40000;

    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", (char *)*state);
    for (int life = 0; life < 3; life++) {
        pid_t child = fork(); /* before this process has threads of ZeroMQ's */
        size_t goal;

        if (child == 0)
            child_main(endpoint);
        context = zmq_ctx_new();
        assert_int_equal(ym_link_open(context, endpoint, true,
                                      &(struct ym_link_events){.ctx = &e, .up = up, .frame = take, .emit = no_emit},
                                      &e.link, NULL),
                         YM_OK);
        goal = e.taken + 200 + roll(200);
        while (e.taken < goal && mono() < end) {
            wait_readable(e.link);
            ym_link_step(e.link, mono());
        }
        assert_true(e.taken >= goal);
        assert_int_equal(kill(child, SIGKILL), 0);
        waitpid(child, NULL, 0);
        ym_link_free(e.link);
        zmq_ctx_term(context);
    }
    assert_int_equal(e.ups, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_peer_killed_at_any_moment_starts_over_and_nothing_comes_twice, dir_setup,
                                        dir_teardown),
        cmocka_unit_test(frames_arrive_in_order_and_once_on_a_wire_that_loses_and_repeats),
        cmocka_unit_test(the_window_is_bounded_until_the_peer_acknowledges),
        cmocka_unit_test(a_restarted_peer_begins_a_new_pair_on_both_ends),
        cmocka_unit_test(frames_of_a_replaced_peer_change_nothing),
        cmocka_unit_test(bytes_that_are_no_frame_are_dropped_and_counted),
        cmocka_unit_test(silence_shows_as_not_connected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

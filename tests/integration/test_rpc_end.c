#include "tests/integration/rpc_hub.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

/* ---- endings ---- */

static bool read_stuck(void *ctx, struct ym_bytes message)
{
    struct hub *h = ctx;
    (void)message;
    count(h, HELD);
    await(h, DEAF, 1); /* released by the test when the server is gone */
    return true;
}

static void *background_stuck(void *arg)
{
    struct background *b = arg;
    b->code = ym_rpc_read_stream(b->client, "/t.T/Pump", text(""), 0, read_stuck, b->reply.data, NULL);
    return NULL;
}

static void stop_ends_a_stream_that_nobody_reads(void **state)
{
    struct hub h;
    struct background b = {0};
    (void)state;
    hub_start(&h);
    h.pump_total = 1000000;
    b.client = client_to(&h);
    b.reply.data = (uint8_t *)&h;
    assert_int_equal(pthread_create(&b.thread, NULL, background_stuck, &b), 0);
    await(&h, HELD, 1);
    await(&h, FULL, 1);
    int64_t before = ym_clock_mono_ms();
    ym_rpc_server_stop(&h.server, 200);
    assert_true(ym_clock_mono_ms() - before < 10000);
    assert_int_equal(counted(&h, ENDED), 1);
    assert_int_equal(counted(&h, CANCELLED), 1);
    count(&h, DEAF);
    pthread_join(b.thread, NULL);
    assert_int_not_equal(b.code, YM_OK);
    ym_rpc_client_close(&b.client);
    hub_stop(&h);
}

/* Core's cancel carries the status past the messages that the peer does not take. */
static void failing_a_stalled_stream_reaches_the_client(void **state)
{
    struct hub h;
    struct background b = {0};
    (void)state;
    hub_start(&h);
    h.pump_total = 1000000;
    b.client = client_to(&h);
    b.reply.data = (uint8_t *)&h;
    assert_int_equal(pthread_create(&b.thread, NULL, background_stuck, &b), 0);
    await(&h, HELD, 1);
    await(&h, FULL, 1);
    wait_for_silence(&h); /* a message is in flight and stays there */
    ym_rpc_call_fail(h.call, YM_DENIED, "revoked");
    await(&h, ENDED, 1);
    count(&h, DEAF);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_DENIED);
    ym_rpc_client_close(&b.client);
    hub_stop(&h);
}

struct stopper {
    pthread_t thread;
    struct hub *hub;
};

static void *background_stop(void *arg)
{
    struct stopper *s = arg;
    ym_rpc_server_stop(&s->hub->server, PATIENCE_MS);
    return NULL;
}

static void stop_lets_running_calls_finish(void **state)
{
    struct hub h;
    struct background b;
    struct stopper s = {.hub = &h};
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    background_start(&b, c, "/t.T/Hold", true);
    await(&h, HELD, 1);
    assert_int_equal(pthread_create(&s.thread, NULL, background_stop, &s), 0);
    while (echo(c, false, NULL) == YM_OK)
        ; /* until new calls are refused */
    ym_rpc_call_reply(h.call, text("in time"));
    pthread_join(b.thread, NULL);
    pthread_join(s.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_string_equal(ym_buf_str(&b.reply), "in time");
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

static void second_server_on_a_port_is_refused(void **state)
{
    struct hub h, second;
    struct ym_status st = YM_STATUS_INIT;
    char listen[64];
    (void)state;
    hub_start(&h);
    hub_init(&second, &hub_id);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", h.port);
    assert_int_equal(hub_listen(&second, listen, false, 1, 0, &st), YM_CONFLICT);
    assert_non_null(strstr(st.message, listen));
    assert_int_equal(hub_listen(&second, "nonsense", false, 1, 0, &st), YM_INVALID);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    hub_stop(&second);
    hub_stop(&h);
}

static void waiting_call_survives_a_restart_of_the_server(void **state)
{
    struct hub h, again;
    struct background b;
    char listen[64];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    assert_int_equal(echo(c, false, NULL), YM_OK);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", h.port);
    hub_stop(&h);
    assert_int_equal(echo(c, false, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_client_wait(c, 300, NULL), YM_DEADLINE);
    background_start(&b, c, "/t.T/Echo", true);
    hub_init(&again, &hub_id);
    KIT_OK(hub_listen(&again, listen, false, 1, 0, NULL));
    pthread_join(b.thread, NULL);
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(ym_rpc_client_wait(c, 0, NULL), YM_OK);
    ym_buf_release(&b.reply);
    ym_rpc_client_close(&c);
    hub_stop(&again);
}

static void garbage_costs_its_own_connection_only(void **state)
{
    struct hub h;
    SSL_CTX *ctx;
    char junk[4096];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    SSL *ssl = tls_open(h.port, &site, TLS1_3_VERSION, &ctx);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(SSL_connect(ssl), 1);
    SSL_write(ssl, junk, sizeof junk);
    while (SSL_read(ssl, junk, sizeof junk) > 0)
        ; /* until the server hangs up */
    assert_int_equal(echo(c, false, NULL), YM_OK);
    tls_close(ssl, ctx);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

/* ---- health ---- */

static void health_check_tells_whether_the_hub_serves(void **state)
{
    struct hub h;
    struct ym_buf reply = {0};
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    static const uint8_t service[] = {0x0a, 3, 't', '.', 'T'}, other[] = {0x0a, 3, 't', '.', 'U'},
                         bad[] = {0x0a, 9, 't'};
    static const char path[] = "/grpc.health.v1.Health/Check";

    assert_int_equal(ym_rpc_unary(c, path, text(""), PATIENCE_MS, false, &reply, NULL), YM_OK);
    assert_int_equal(reply.len, 2);
    assert_memory_equal(reply.data, "\x08\x01", 2);
    ym_rpc_server_set_serving(h.server, false);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){service, 5}, PATIENCE_MS, false, &reply, NULL), YM_OK);
    assert_memory_equal(reply.data, "\x08\x02", 2);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){other, 5}, PATIENCE_MS, false, &reply, NULL),
                     YM_NOT_FOUND);
    assert_int_equal(ym_rpc_unary(c, path, (struct ym_bytes){bad, 3}, PATIENCE_MS, false, &reply, NULL), YM_INVALID);
    ym_buf_release(&reply);
    ym_rpc_client_close(&c);
    hub_stop(&h);
}

struct watch {
    struct hub *hub;
    struct ym_rpc_client *client;
    pthread_t thread;
    uint8_t seen[8];
    size_t count;
    enum ym_code code;
};

static bool watch_one(void *ctx, struct ym_bytes message)
{
    struct watch *w = ctx;
    assert_int_equal(message.len, 2);
    assert_true(w->count < sizeof w->seen);
    w->seen[w->count++] = message.data[1];
    count(w->hub, MESSAGES);
    return true;
}

static void *background_watch(void *arg)
{
    struct watch *w = arg;
    w->code = ym_rpc_read_stream(w->client, "/grpc.health.v1.Health/Watch", text(""), 0, watch_one, w, NULL);
    return NULL;
}

static void health_watch_sees_every_change_and_the_end(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    struct watch w = {.hub = &h, .client = client_to(&h)};

    assert_int_equal(pthread_create(&w.thread, NULL, background_watch, &w), 0);
    await(&h, MESSAGES, 1);
    ym_rpc_server_set_serving(h.server, false);
    await(&h, MESSAGES, 2);
    ym_rpc_server_set_serving(h.server, true);
    await(&h, MESSAGES, 3);
    ym_rpc_server_stop(&h.server, PATIENCE_MS);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.code, YM_OK);
    assert_int_equal(w.count, 4);
    assert_memory_equal(w.seen, "\x01\x02\x01\x02", 4);
    ym_rpc_client_close(&w.client);
    hub_stop(&h);
}

/* ---- other processes ---- */

/* This program again, in another role. */
static pid_t spawn(const char *role, const char *argument, int *out)
{
    char *argv[] = {(char *)"/proc/self/exe", (char *)(uintptr_t)role, scratch, (char *)(uintptr_t)argument, NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    posix_spawn_file_actions_addclose(&actions, pipes[1]);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    *out = pipes[0];
    return pid;
}

static bool write_for_ever(void *ctx, struct ym_buf *message)
{
    (void)ctx;
    KIT_OK(ym_buf_puts(message, "data"));
    return true;
}

static int role_upload(const char *dir, const char *port)
{
    struct ym_buf reply = {0};

    ids_load(dir);
    struct ym_rpc_tls tls = kit_tls(&ca, &site);
    struct ym_rpc_client *c = kit_client(atoi(port), &tls);
    ym_rpc_write_stream(c, "/t.T/Sum", 0, write_for_ever, NULL, &reply, NULL);
    return 1;
}

static void uploader_killed_midway_commits_nothing(void **state)
{
    struct hub h;
    char port[16];
    int out, status;
    (void)state;
    hub_start(&h);
    snprintf(port, sizeof port, "%d", h.port);
    pid_t pid = spawn("--upload", port, &out);
    await(&h, MESSAGES, 5);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    await(&h, ENDED, 1);
    assert_int_equal(counted(&h, COMMITTED), 0);
    assert_int_equal(counted(&h, CANCELLED), 1);
    assert_int_equal(counted(&h, HALF_CLOSED), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    close(out);
    hub_stop(&h);
}

#define LEAVE_MS 5     /* ends a call in the midst of its handshake */
#define LEAVE_RUNS 100 /* 2 to 4 in 100 crashed with the fault put back */

/* A call that runs into its deadline, then the end of main. */
static int role_leave(const char *dir, const char *port)
{
    struct ym_buf reply = {0};
    enum ym_code code;

    ids_load(dir);
    struct ym_rpc_tls tls = kit_tls(&ca, &site);
    struct ym_rpc_client *c = kit_client(atoi(port), &tls);
    code = ym_rpc_unary(c, "/t.T/Hold", text(""), LEAVE_MS, true, &reply, NULL);
    ym_rpc_client_close(&c);
    kit_ca_release(&ca);
    kit_id_release(&hub_id);
    kit_id_release(&site);
    return code == YM_DEADLINE ? 0 : 1;
}

/* The core's threads against what is taken down after main. */
static void processes_leave_without_a_crash(void **state)
{
    struct hub h;
    char port[16];
    (void)state;
    hub_start(&h);
    snprintf(port, sizeof port, "%d", h.port);
    for (int i = 0; i < LEAVE_RUNS; i++) {
        int out, status;
        pid_t pid = spawn("--leave", port, &out);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0); /* else the signal, or 256 times the exit code */
        close(out);
    }
    hub_stop(&h);
}

#define DEAF_PROBE_MS 1500 /* also a probe's deadline: three in a row mean more than a slow machine */
#define DEAF_FILES 60

static void exit_deaf(void *ctx)
{
    (void)ctx;
    _exit(42);
}

static int role_deaf(const char *dir, const char *argument)
{
    struct rlimit limit = {DEAF_FILES, DEAF_FILES};
    struct hub h;

    (void)argument;
    ids_load(dir);
    hub_init(&h, &hub_id);
    YM_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct ym_rpc_server_options o = {.listen = "127.0.0.1:0",
                                      .threads = 1,
                                      .fetch_tls = hub_fetch,
                                      .authenticate = hub_authenticate,
                                      .methods = methods,
                                      .ctx = &h,
                                      .probe_ms = DEAF_PROBE_MS,
                                      .on_deaf = exit_deaf};
    KIT_OK(ym_rpc_server_start(&o, &h.server, NULL));
    printf("%d\n", ym_rpc_server_port(h.server));
    fflush(stdout);
    sleep(120);
    return 1;
}

static int tcp_open(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(fd, (struct sockaddr *)&a, sizeof a);
    return fd;
}

static void deaf_listener_is_noticed(void **state)
{
    int out, status = 0, fd[120];
    char line[32] = {0};
    struct hub h;
    (void)state;
    hub_init(&h, &hub_id);
    pid_t pid = spawn("--deaf", "", &out);
    assert_true(read(out, line, sizeof line - 1) > 0);
    h.port = atoi(line);
    /* Four probes pass while the listener is well. */
    usleep(4 * DEAF_PROBE_MS * 1000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);

    for (int i = 0; i < 120; i++)
        fd[i] = tcp_open(h.port);
    usleep(500000); /* the backlog must reach accept() before it is taken away */
    for (int i = 0; i < 120; i++)
        close(fd[i]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    close(out);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_ends_a_stream_that_nobody_reads),
        cmocka_unit_test(failing_a_stalled_stream_reaches_the_client),
        cmocka_unit_test(stop_lets_running_calls_finish),
        cmocka_unit_test(second_server_on_a_port_is_refused),
        cmocka_unit_test(waiting_call_survives_a_restart_of_the_server),
        cmocka_unit_test(garbage_costs_its_own_connection_only),
        cmocka_unit_test(health_check_tells_whether_the_hub_serves),
        cmocka_unit_test(health_watch_sees_every_change_and_the_end),
        cmocka_unit_test(uploader_killed_midway_commits_nothing),
        cmocka_unit_test(processes_leave_without_a_crash),
        cmocka_unit_test(deaf_listener_is_noticed),
    };
    if (argc == 4 && strcmp(argv[1], "--upload") == 0)
        return role_upload(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--leave") == 0)
        return role_leave(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--deaf") == 0)
        return role_deaf(argv[2], argv[3]);
    cmocka_set_test_filter(getenv("YM_TEST_FILTER"));
    return cmocka_run_group_tests(tests, identities, identities_release);
}

#include "support.h"

#include <cblas.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <zmq.h>

#include "base/pool.h"
#include "worker/trainer/sandbox.h"

/* Each case runs in a child that enters the sandbox over *state and exits 0
 * when the case holds; a failed check exits with its line. */
#define HOLDS(x)                                                                                                       \
    do {                                                                                                               \
        if (!(x))                                                                                                      \
            _exit(__LINE__ % 200 + 10);                                                                                \
    } while (0)

static struct ym_sandbox_level level;

static void in_sandbox(void **state, void (*fn)(const char *dir))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        HOLDS(ym_sandbox_enter(*state, &level, NULL) == YM_OK);
        fn(*state);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool denied(int rc)
{
    return rc < 0 && (errno == EPERM || errno == EACCES);
}

static void check_network(const char *dir)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd;

    (void)dir;
    HOLDS(denied(socket(AF_INET, SOCK_STREAM, 0)));
    HOLDS(denied(socket(AF_INET6, SOCK_STREAM, 0)));
    HOLDS(denied(socket(AF_NETLINK, SOCK_RAW, 0)));
    HOLDS(denied(socket(AF_PACKET, SOCK_RAW, 0)));
    HOLDS(denied(socket(AF_UNIX, SOCK_DGRAM, 0))); /* would need no connect */
    HOLDS(denied(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    HOLDS(fd >= 0);
    strcpy(to.sun_path, "/run/dbus/system_bus_socket");
    HOLDS(denied(connect(fd, (struct sockaddr *)&to, sizeof to)));
}

static void no_network_of_any_family(void **state)
{
    in_sandbox(state, check_network);
}

static void check_files(const char *dir)
{
    char path[256], outside[256];
    int fd;

    snprintf(path, sizeof path, "%s/inside", dir);
    snprintf(outside, sizeof outside, "%s-outside", dir);
    HOLDS(level.landlock_abi == 0 || denied(open("/etc/passwd", O_RDONLY)));
    HOLDS(level.landlock_abi == 0 || denied(open("/proc/self/maps", O_RDONLY)));
    HOLDS(level.landlock_abi == 0 || denied(open(outside, O_WRONLY | O_CREAT, 0600)));
    HOLDS(level.landlock_abi == 0 || denied(mkdir("/tmp/yumen-outside", 0700)));
    fd = open(path, O_RDWR | O_CREAT, 0600);
    HOLDS(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0);
    HOLDS(rename(path, strcat(strcpy(outside, path), "2")) == 0 && unlink(outside) == 0);
}

static void only_its_own_folder_can_be_read_or_written(void **state)
{
    in_sandbox(state, check_files);
}

static void check_processes(const char *dir)
{
    char name[] = "/bin/true", *const argv[] = {name, NULL};
    struct iovec io = {0};

    (void)dir;
    HOLDS(denied(execve("/bin/true", argv, argv + 1)));
    HOLDS(denied(fork()));
    HOLDS(denied((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    HOLDS(denied((int)process_vm_readv(getppid(), &io, 1, &io, 1, 0)));
    HOLDS(denied(kill(getppid(), 0)));
    HOLDS(denied(tgkill(getppid(), getppid(), 0)));
    HOLDS(denied(fcntl(0, F_SETOWN, getppid())));
    HOLDS(raise(SIGCHLD) == 0 && fcntl(0, F_GETFL) >= 0);
}

static void no_other_process_can_be_started_or_touched(void **state)
{
    in_sandbox(state, check_processes);
}

static void check_dumps(const char *dir)
{
    struct rlimit core, more = {1, 1};

    (void)dir;
    HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    HOLDS(denied(setrlimit(RLIMIT_CORE, &more)));
    HOLDS(denied(setrlimit(RLIMIT_AS, &more)));
    HOLDS(denied(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
}

/* A job's memory has a limit; it is given back after. */
static void check_data_limit(const char *dir)
{
    struct rlimit usual, low;

    (void)dir;
    HOLDS(getrlimit(RLIMIT_DATA, &usual) == 0);
    low = usual;
    low.rlim_cur = 256 << 20;
    HOLDS(setrlimit(RLIMIT_DATA, &low) == 0);
    HOLDS(mmap(NULL, 512 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    HOLDS(setrlimit(RLIMIT_DATA, &usual) == 0);
}

static void the_memory_of_a_job_can_be_limited(void **state)
{
    in_sandbox(state, check_data_limit);
}

static void no_core_dump_and_no_way_back(void **state)
{
    in_sandbox(state, check_dumps);
}

static void *multiply(void *arg)
{
    enum { N = 96 };
    static double a[N * N], b[N * N];
    double *c = arg;

    for (int i = 0; i < N * N; i++) {
        a[i] = i % 7;
        b[i] = i % 5;
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
    return c;
}

static void nothing(void *ctx, size_t i)
{
    (void)ctx;
    (void)i;
}

static void check_work(const char *dir)
{
    static double c[96 * 96];
    pthread_t thread;

    (void)dir;
    struct ym_pool *pool = ym_pool_new(3); /* the step's threads begin inside */
    HOLDS(pool != NULL);
    ym_pool_run(pool, nothing, NULL);
    ym_pool_free(pool);
    HOLDS(pthread_create(&thread, NULL, multiply, c) == 0);
    HOLDS(pthread_join(thread, NULL) == 0);
    HOLDS(c[0] > 0);
}

static void threads_and_openblas_work(void **state)
{
    in_sandbox(state, check_work);
}

/* Outside: a REQ end that asks; inside: a REP end that is bound and answers. */
static void messages_over_ipc_work_from_inside(void **state)
{
    char endpoint[256], text[8] = "";
    void *context, *socket;
    int wait_ms = 10000, status;
    pid_t child = fork();

    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", (char *)*state);
    if (child == 0) {
        HOLDS(ym_sandbox_enter(*state, &level, NULL) == YM_OK);
        context = zmq_ctx_new();
        socket = zmq_socket(context, ZMQ_REP);
        HOLDS(zmq_bind(socket, endpoint) == 0);
        HOLDS(zmq_recv(socket, text, sizeof text, 0) == 4);
        HOLDS(zmq_send(socket, "pong", 4, 0) == 4);
        zmq_close(socket);
        zmq_ctx_term(context);
        _exit(0);
    }
    context = zmq_ctx_new();
    socket = zmq_socket(context, ZMQ_REQ);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    assert_int_equal(zmq_send(socket, "ping", 4, 0), 4);
    assert_int_equal(zmq_recv(socket, text, sizeof text, 0), 4);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    zmq_close(socket);
    zmq_ctx_term(context);
}

static void *wait_for_ever(void *arg)
{
    pause();
    return arg;
}

/* Landlock would leave the other threads as they are. */
static void a_process_with_threads_is_not_let_in(void **state)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        pthread_t thread;

        HOLDS(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
        HOLDS(ym_sandbox_enter(*state, &level, NULL) == YM_UNAVAILABLE);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void check_level(const char *dir)
{
    (void)dir;
    HOLDS(level.seccomp);
    HOLDS(strstr(level.text, "landlock-abi=") == level.text);
    HOLDS(strstr(level.text, " seccomp=on netns=") != NULL);
}

static void the_level_reached_is_told(void **state)
{
    in_sandbox(state, check_level);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    return 77; /* skipped: the sanitizer has a thread of its own, and a process with threads is not let in */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_network_of_any_family, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(only_its_own_folder_can_be_read_or_written, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(no_other_process_can_be_started_or_touched, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(the_memory_of_a_job_can_be_limited, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(no_core_dump_and_no_way_back, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(threads_and_openblas_work, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(messages_over_ipc_work_from_inside, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(a_process_with_threads_is_not_let_in, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(the_level_reached_is_told, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

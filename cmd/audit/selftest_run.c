#include "cmd/audit/selftest_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

extern char **environ;

#define OUTPUT_BYTES (1 << 20)
#define LAST_WORDS 200
enum { ARGS_MAX = 24, PAUSE_MS = 20, ENDING_S = 10, TMPDIR_BYTES = 40 };

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    interrupted = signal_number;
}

double bench_now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){0, PAUSE_MS * 1000000L}, NULL);
}

const char *bench_path(const struct bench *b, const char *name, char path[BENCH_PATH])
{
    snprintf(path, BENCH_PATH, "%s/%s", b->root, name);
    return path;
}

/* ---- beginning and end ---- */

static enum ym_code find_programs(struct bench *b, const char *given, struct ym_status *st)
{
    char self[3900];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (given) {
        snprintf(b->programs, sizeof b->programs, "%s/", given);
        return YM_OK;
    }
    self[n > 0 ? n : 0] = 0;
    slash = strrchr(self, '/');
    if (!slash)
        return ym_status_set(st, YM_NOT_FOUND, "cannot tell where this program lies: name --programs");
    slash[1] = 0;
    snprintf(b->programs, sizeof b->programs, "%s", self);
    return YM_OK;
}

/* Short, for the path of a socket has 107 bytes. */
static enum ym_code make_root(struct bench *b, struct ym_status *st)
{
    const char *in = getenv("TMPDIR");

    if (!in || in[0] != '/' || strlen(in) > TMPDIR_BYTES)
        in = "/tmp";
    snprintf(b->root, sizeof b->root, "%s/yumen-selftest.XXXXXX", in);
    if (mkdtemp(b->root))
        return YM_OK;
    b->root[0] = 0;
    return ym_status_set(st, YM_UNAVAILABLE, "cannot make a folder in '%s': %s", in, strerror(errno));
}

enum ym_code bench_open(struct bench *b, const char *programs, double limit_s, struct ym_status *st)
{
    struct sigaction on = {.sa_handler = note_interrupt};
    enum ym_code code;

    *b = (struct bench){.deadline_s = bench_now_s() + limit_s};
    code = find_programs(b, programs, st);
    if (code != YM_OK)
        return code;
    code = make_root(b, st);
    if (code != YM_OK)
        return code;
    sigaction(SIGINT, &on, NULL);
    sigaction(SIGTERM, &on, NULL);
    sigaction(SIGHUP, &on, NULL);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("YUMEN_LANG", "en", 1);
    unsetenv("YUMEN_DIR");
    return YM_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)at;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

static void end_daemons(struct bench *b)
{
    double end = bench_now_s() + ENDING_S;

    for (size_t i = 0; i < b->daemons; i++)
        kill(b->daemon[i], SIGTERM);
    for (size_t i = 0; i < b->daemons; i++) {
        while (waitpid(b->daemon[i], NULL, WNOHANG) == 0) {
            if (bench_now_s() > end)
                kill(b->daemon[i], SIGKILL);
            pause_a_little();
        }
    }
    b->daemons = 0;
}

void bench_close(struct bench *b, bool keep)
{
    end_daemons(b);
    if (b->root[0] && !keep)
        nftw(b->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ym_buf_release(&b->trust);
}

/* ---- programs ---- */

static enum ym_code check_deadline(const struct bench *b, const char *what, struct ym_status *st)
{
    if (interrupted)
        return ym_status_set(st, YM_UNAVAILABLE, "interrupted");
    if (bench_now_s() > b->deadline_s)
        return ym_status_set(st, YM_DEADLINE, "time is over while waiting for %s", what);
    return YM_OK;
}

enum ym_code bench_wait(struct bench *b, struct ym_status *st)
{
    pause_a_little();
    for (size_t i = 0; i < b->daemons; i++) {
        if (waitpid(b->daemon[i], NULL, WNOHANG) == 0)
            continue;
        b->daemon[i] = b->daemon[--b->daemons];
        return ym_status_set(st, YM_UNAVAILABLE, "a daemon has ended by itself");
    }
    return check_deadline(b, "rounds", st);
}

static enum ym_code spawn(struct bench *b, const char *name, const char *program, const char *const *argv, pid_t *pid,
                          struct ym_status *st)
{
    posix_spawn_file_actions_t files;
    const char *all[ARGS_MAX] = {program};
    char path[4096], log[80], out_path[BENCH_PATH], log_path[BENCH_PATH];
    int rc;

    for (size_t i = 0; argv[i] && i + 2 < ARGS_MAX; i++)
        all[i + 1] = argv[i];
    snprintf(path, sizeof path, "%s%s", b->programs, program);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    snprintf(log, sizeof log, "%s.out", name);
    posix_spawn_file_actions_addopen(&files, 1, bench_path(b, log, out_path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    snprintf(log, sizeof log, "%s.log", name);
    posix_spawn_file_actions_addopen(&files, 2, bench_path(b, log, log_path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    rc = posix_spawn(pid, path, &files, NULL, (char *const *)(uintptr_t)all, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0 ? YM_OK : ym_status_set(st, YM_NOT_FOUND, "cannot start '%s': %s", path, strerror(rc));
}

static void read_output(const struct bench *b, const char *name, const char *kind, struct ym_buf *out)
{
    char file[80], path[BENCH_PATH];

    snprintf(file, sizeof file, "%s.%s", name, kind);
    ym_buf_clear(out);
    ym_fs_read(bench_path(b, file, path), OUTPUT_BYTES, out, NULL);
}

static enum ym_code say_failed(const struct bench *b, const char *name, const char *program, const char *first,
                               struct ym_status *st)
{
    struct ym_buf log = {0};
    size_t from;

    read_output(b, name, "log", &log);
    while (log.len > 0 && log.data[log.len - 1] == '\n')
        log.data[--log.len] = 0;
    from = log.len > LAST_WORDS ? log.len - LAST_WORDS : 0;
    ym_status_set(st, YM_INTERNAL, "'%s %s' failed: %s", program, first ? first : "", ym_buf_str(&log) + from);
    ym_buf_release(&log);
    return YM_INTERNAL;
}

enum ym_code bench_run(struct bench *b, const char *program, const char *const *argv, struct ym_buf *out,
                       struct ym_status *st)
{
    pid_t pid;
    int status = 0;
    enum ym_code code = spawn(b, "tool", program, argv, &pid, st);

    if (code != YM_OK)
        return code;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        pause_a_little();
        code = check_deadline(b, program, st);
        if (code == YM_OK)
            continue;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return code;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return say_failed(b, "tool", program, argv[0], st);
    if (out)
        read_output(b, "tool", "out", out);
    return YM_OK;
}

enum ym_code bench_start(struct bench *b, const char *name, const char *program, const char *const *argv,
                         struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf said = {0};
    enum ym_code code = spawn(b, name, program, argv, &b->daemon[b->daemons], st);

    if (code != YM_OK)
        return code;
    b->daemons++;
    for (;;) {
        read_output(b, name, "out", &said);
        if (strstr(ym_buf_str(&said), "ready"))
            break;
        if (waitpid(b->daemon[b->daemons - 1], NULL, WNOHANG) != 0) {
            b->daemons--;
            code = say_failed(b, name, program, argv[0], st);
            break;
        }
        pause_a_little();
        code = check_deadline(b, program, st);
        if (code != YM_OK)
            break;
    }
    if (code == YM_OK && out)
        code = ym_buf_append(out, said.data, said.len);
    ym_buf_release(&said);
    return code;
}

/* ---- a federation ---- */

/* The word of text that begins so, without its prefix when the prefix ends in "=". */
static bool find_word(const char *text, const char *prefix, char *word, size_t cap)
{
    const char *at = strstr(text, prefix);
    size_t skip = prefix[strlen(prefix) - 1] == '=' ? strlen(prefix) : 0, len;

    if (!at)
        return false;
    len = strcspn(at + skip, " \t\r\n'\"");
    if (len >= cap)
        return false;
    memcpy(word, at + skip, len);
    word[len] = 0;
    return true;
}

static enum ym_code add_trust(struct bench *b, const struct ym_buf *said, struct ym_status *st)
{
    char vkey[512];

    if (!find_word(ym_buf_str(said), "yumen/", vkey, sizeof vkey))
        return ym_status_set(st, YM_INTERNAL, "init did not print a verifier key");
    return ym_buf_printf(&b->trust, "log %s\n", vkey);
}

static enum ym_code get_token(struct bench *b, const char *role, const char *name, char token[2048],
                              struct ym_status *st)
{
    struct ym_buf said = {0};
    char hub[BENCH_PATH];
    const char *argv[] = {"token", "--role", role, "--name", name, "--dir", bench_path(b, "hub", hub), NULL};
    enum ym_code code = bench_run(b, "yumen-coordinator", argv, &said, st);

    if (code == YM_OK && !find_word(ym_buf_str(&said), "YJ1.", token, 2048))
        code = ym_status_set(st, YM_INTERNAL, "the hub did not print a token");
    ym_buf_release(&said);
    return code;
}

enum ym_code bench_hub(struct bench *b, struct ym_status *st)
{
    struct ym_buf said = {0};
    char token[2048], hub[BENCH_PATH], sponsor[BENCH_PATH];
    const char *init[] = {"init",     "--dir",       bench_path(b, "hub", hub), "--federation", "selftest",
                          "--listen", "127.0.0.1:0", "--enrol-listen",          "127.0.0.1:0",  NULL};
    const char *serve[] = {"serve", "--dir", hub, NULL};
    const char *enrol[] = {
        "enrol",  "--dir", bench_path(b, "sponsor", sponsor), "--token", token, "--hub", b->hub, "--enrol",
        b->enrol, NULL};
    enum ym_code code = bench_run(b, "yumen-coordinator", init, &said, st);

    if (code == YM_OK)
        code = add_trust(b, &said, st);
    ym_buf_clear(&said);
    if (code == YM_OK)
        code = bench_start(b, "hub", "yumen-coordinator", serve, &said, st);
    if (code == YM_OK && (!find_word(ym_buf_str(&said), "listen=", b->hub, sizeof b->hub) ||
                          !find_word(ym_buf_str(&said), "enrol=", b->enrol, sizeof b->enrol)))
        code = ym_status_set(st, YM_INTERNAL, "the hub did not say where it listens");
    if (code == YM_OK)
        code = get_token(b, "sponsor", "auditor", token, st);
    if (code == YM_OK)
        code = bench_run(b, "yumen", enrol, NULL, st);
    ym_buf_release(&said);
    return code;
}

/* A hospital of pseudo-patients serves its auditor. */
static enum ym_code write_policy(const struct bench *b, char path[BENCH_PATH], struct ym_status *st)
{
    static const char text[] = "yumen: policy/1\n"
                               "epsilon: {lifetime: 1000, study: 1000, month: 1000}\n"
                               "delta: 1e-5\n"
                               "min_patients: 20\n"
                               "sponsors: [auditor]\n"
                               "purposes: any\n"
                               "models: any\n"
                               "columns: {inputs: any, outcomes: any}\n"
                               "recipients: any\n"
                               "hours: any\n"
                               "cpu_threads: any\n"
                               "memory_mib: any\n";

    return ym_fs_write(bench_path(b, "policy.yaml", path), (struct ym_bytes){(const uint8_t *)text, sizeof text - 1},
                       0600, st);
}

enum ym_code bench_hospital(struct bench *b, const char *name, const char *cap, const char *delta, const char *card,
                            struct ym_status *st)
{
    struct ym_buf said = {0};
    char token[2048], gateway[32], log[32], site[BENCH_PATH], gate[BENCH_PATH], policy[BENCH_PATH];

    bench_path(b, name, site);
    snprintf(gateway, sizeof gateway, "gw-%s", name);
    bench_path(b, gateway, gate);
    const char *init[] = {"init",
                          "--dir",
                          site,
                          "--name",
                          name,
                          "--epsilon-cap",
                          cap,
                          "--delta",
                          delta,
                          "--min-patients",
                          "20",
                          "--border-off",
                          "self-test on pseudo-patients",
                          "--policy",
                          policy,
                          "--gateway",
                          gate,
                          NULL};
    const char *trainer[] = {"--dir", site, NULL}, *courier[] = {"--dir", gate, NULL};
    const char *enrol[] = {"enrol", "--dir", site, "--token", token, "--hub", b->hub, "--enrol", b->enrol, NULL};
    const char *add[] = {"data", "add", card, "--dir", site, NULL};
    enum ym_code code = write_policy(b, policy, st);

    if (code == YM_OK)
        code = bench_run(b, "yumen-site", init, &said, st);

    if (code == YM_OK)
        code = add_trust(b, &said, st);
    snprintf(log, sizeof log, "trainer-%s", name);
    if (code == YM_OK)
        code = bench_start(b, log, "yumen-trainer", trainer, NULL, st);
    if (code == YM_OK)
        code = bench_start(b, gateway, "yumen-gateway", courier, NULL, st);
    if (code == YM_OK)
        code = get_token(b, "hospital", name, token, st);
    if (code == YM_OK)
        code = bench_run(b, "yumen-site", enrol, NULL, st);
    if (code == YM_OK)
        code = bench_run(b, "yumen-site", add, NULL, st);
    ym_buf_release(&said);
    return code;
}

static enum ym_code approve(struct bench *b, const char *study, const char *hospital, struct ym_status *st)
{
    struct ym_buf said = {0};
    char site[BENCH_PATH];
    const char *list[] = {"plans", "list", "--dir", bench_path(b, hospital, site), NULL};
    const char *yes[] = {"plans", "approve", study, "--dataset", "pseudo", "--dir", site, NULL};
    enum ym_code code = YM_OK;

    while (code == YM_OK && !strstr(ym_buf_str(&said), study)) {
        code = bench_wait(b, st);
        if (code == YM_OK)
            code = bench_run(b, "yumen-site", list, &said, st);
    }
    ym_buf_release(&said);
    return code == YM_OK ? bench_run(b, "yumen-site", yes, NULL, st) : code;
}

enum ym_code bench_study(struct bench *b, const char *study, const char *plan, const char *const *hospital,
                         size_t count, struct ym_status *st)
{
    char sponsor[BENCH_PATH];
    const char *submit[] = {"study", "submit", plan, "--dir", bench_path(b, "sponsor", sponsor), NULL};
    enum ym_code code = bench_run(b, "yumen", submit, NULL, st);

    for (size_t i = 0; code == YM_OK && i < count; i++)
        code = approve(b, study, hospital[i], st);
    return code;
}

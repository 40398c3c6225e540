/* Every system call of an append is a place to die. These definitions take
 * precedence over libc's in this program: they count, and at the chosen call
 * they fail, kill the process, or cut the power. Cutting the power forgets what
 * was not synced: file contents after the last fsync, names in folders after the
 * folder's last fsync, each on a coin of its own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ledger_help.h"

#include "base/fs.h"

enum mode { COUNT, KILL, POWER, ERROR };

static struct {
    enum mode mode;
    long at, calls; /* calls: 1-based number of the present one */
    int error;
    uint64_t coin;
    bool sync_only; /* ERROR: only fsync counts */
} hook;

#define WATCHED_MAX 512
struct unsynced {
    enum { FILE_DATA, OVERWRITTEN, NEW_NAME, OLD_NAME, NEW_FOLDER } what;
    char path[256], folder[256];
    void *before; /* content that the name had before, NULL: none */
    size_t before_len;
    off_t at, written; /* OVERWRITTEN: where, and how much */
    mode_t permissions;
};
static struct unsynced watched[WATCHED_MAX];
static size_t watched_count;

static void path_of(int dirfd, const char *name, char out[256])
{
    char link[64];
    ssize_t n = 0;

    out[0] = '\0';
    if (name[0] != '/') {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
        n = readlink(link, out, 200);
        out[n < 0 ? 0 : n] = '\0';
    }
    snprintf(out + strlen(out), 256 - strlen(out), "%s%s", out[0] ? "/" : "", name);
}

static struct unsynced *watch(int what, const char *path)
{
    struct unsynced *u = &watched[watched_count];
    char *slash;

    if (watched_count == WATCHED_MAX)
        abort();
    watched_count++;
    memset(u, 0, sizeof(*u));
    u->what = what;
    snprintf(u->path, sizeof(u->path), "%s", path);
    snprintf(u->folder, sizeof(u->folder), "%s", path);
    slash = strrchr(u->folder, '/');
    if (slash)
        *slash = '\0';
    return u;
}

static void keep_content(struct unsynced *u)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, u->path, O_RDONLY, 0);
    struct stat s;

    if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))
        goto out;
    u->before = malloc((size_t)s.st_size + 1);
    u->before_len = (size_t)read(fd, u->before, (size_t)s.st_size);
    u->permissions = s.st_mode;
out:
    if (fd >= 0)
        close(fd);
}

static bool is_data(const struct unsynced *u)
{
    return u->what == FILE_DATA || u->what == OVERWRITTEN;
}

static void follow_rename(const char *from, const char *to)
{
    for (size_t i = 0; i < watched_count; i++)
        if (is_data(&watched[i]) && strcmp(watched[i].path, from) == 0)
            snprintf(watched[i].path, sizeof(watched[i].path), "%s", to);
}

/* What a name held before goes with it; true when that was not synced. */
static bool drop_data(const char *path)
{
    bool found = false;

    for (size_t i = 0; i < watched_count; i++)
        if (is_data(&watched[i]) && strcmp(watched[i].path, path) == 0) {
            found = true;
            free(watched[i].before);
            watched[i--] = watched[--watched_count];
        }
    return found;
}

static void put_bytes(const char *path, const void *data, size_t len)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0)
        return; /* its folder is forgotten too */
    if (syscall(SYS_write, fd, data, len) != (long)len)
        abort();
    close(fd);
}

/* The second half of what was written over never came to the disk. */
static void put_back(const struct unsynced *u)
{
    off_t half = u->written / 2, end = u->at + (off_t)u->before_len;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, u->path, O_WRONLY, 0);

    if (fd < 0)
        return;
    if ((off_t)u->before_len > half &&
        syscall(SYS_pwrite64, fd, (char *)u->before + half, u->before_len - (size_t)half, u->at + half) < 0)
        abort();
    if ((off_t)u->before_len < u->written && ftruncate(fd, end) != 0)
        abort();
    close(fd);
}

static void forget(const struct unsynced *u)
{
    struct stat s;

    switch (u->what) {
    case FILE_DATA:
        if (stat(u->path, &s) == 0 && truncate(u->path, s.st_size / 2) != 0)
            abort();
        break;
    case OVERWRITTEN:
        put_back(u);
        break;
    case NEW_NAME:
        if (u->before)
            put_bytes(u->path, u->before, u->before_len);
        else
            syscall(SYS_unlinkat, AT_FDCWD, u->path, 0);
        break;
    case OLD_NAME:
        put_bytes(u->path, u->before, u->before_len);
        break;
    case NEW_FOLDER:
        help_remove(u->path);
        break;
    }
}

static void cut_power(void)
{
    uint64_t x = hook.coin * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = watched_count; i-- > 0;) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        if (hook.coin == 0 || x >> 63)
            forget(&watched[i]);
    }
}

/* True: the call shall fail with errno set. */
static bool at_call(bool sync)
{
    if (hook.mode == COUNT)
        return false;
    if (hook.mode == ERROR && hook.sync_only && !sync)
        return false;
    if (++hook.calls != hook.at)
        return false;
    if (hook.mode == POWER)
        cut_power();
    if (hook.mode == KILL || hook.mode == POWER) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = hook.error;
    return hook.mode == ERROR;
}

ssize_t write(int fd, const void *data, size_t len)
{
    char path[256] = "", link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    if (!strstr(path, "/yumen-test-"))
        return syscall(SYS_write, fd, data, len);
    if (at_call(false))
        return -1;
    if (hook.mode == POWER)
        watch(FILE_DATA, path);
    /* Every write is short at first: a torn file when the next call dies. */
    return syscall(SYS_write, fd, data, len > 1 ? len / 2 : len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    char path[256], link[64];
    struct unsynced *u;
    ssize_t n;

    if (at_call(false))
        return -1;
    len = len > 1 ? len / 2 : len;
    if (hook.mode == POWER) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        path[n < 0 ? 0 : n] = '\0';
        u = watch(OVERWRITTEN, path);
        u->at = at;
        u->written = (off_t)len;
        u->before = calloc(1, len);
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
        n = syscall(SYS_pread64, fd, u->before, len, at);
        u->before_len = n < 0 ? 0 : (size_t)n;
        n = syscall(SYS_pwrite64, fd, data, len, at);
        close(fd);
        return n;
    }
    return syscall(SYS_pwrite64, fd, data, len, at);
}

static int sync_it(int fd, long number);

int fsync(int fd)
{
    return sync_it(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_it(fd, SYS_fdatasync);
}

static int sync_it(int fd, long number)
{
    char path[256], link[64];
    ssize_t n;

    if (at_call(true))
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    for (size_t i = 0; i < watched_count; i++)
        if (strcmp(is_data(&watched[i]) ? watched[i].path : watched[i].folder, path) == 0) {
            free(watched[i].before);
            watched[i--] = watched[--watched_count];
        }
    return (int)syscall(number, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char source[256], target[256];
    struct unsynced *u;
    bool torn;

    if (at_call(false))
        return -1;
    path_of(to_dir, to, target);
    if (hook.mode == POWER) {
        path_of(from_dir, from, source);
        torn = drop_data(target);
        follow_rename(source, target);
        u = watch(NEW_NAME, target);
        keep_content(u);
        if (torn)
            u->before_len /= 2;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    char path[256];
    int rc;

    if (at_call(false))
        return -1;
    rc = (int)syscall(SYS_mkdirat, dir, name, mode);
    path_of(dir, name, path);
    if (rc == 0 && hook.mode == POWER)
        watch(NEW_FOLDER, path);
    return rc;
}

int unlinkat(int dir, const char *name, int flags)
{
    char path[256];
    struct unsynced *u;

    if (at_call(false))
        return -1;
    path_of(dir, name, path);
    if (flags == 0 && hook.mode == POWER && access(path, F_OK) == 0) {
        u = watch(OLD_NAME, path);
        keep_content(u);
    }
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static struct ym_key *key;
static char base_dir[64], work_dir[80];
#define START 250
/* Sizes of the appends under test: inside a bundle, to its edge exactly, some
 * past it, over two edges, and some more. */
static const size_t batch[] = {1, 2, 3, 1, 2, 1, 300, 1, 2};
#define BATCHES (sizeof(batch) / sizeof(batch[0]))
#define ENDS (START + 313)

#define LINES (START + 540)
static struct ym_buf line[LINES];

/* Like help_append, from lines signed once. */
static enum ym_code append(struct ym_ledger *l, uint64_t from, size_t count, struct ym_status *st)
{
    struct ym_bytes leaf[LINES];

    assert_true(from + count <= LINES);
    for (size_t i = 0; i < count; i++)
        leaf[i] = (struct ym_bytes){line[from + i].data, line[from + i].len};
    return ym_ledger_append(l, leaf, count, NULL, st);
}

static int copy_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    char to[192];
    struct ym_buf bytes = {0};

    (void)st;
    (void)f;
    snprintf(to, sizeof(to), "%s%s", work_dir, path + strlen(base_dir));
    if (flag == FTW_D)
        return mkdir(to, 0755);
    assert_int_equal(ym_fs_read(path, 1 << 24, &bytes, NULL), YM_OK);
    put_bytes(to, bytes.data, bytes.len);
    ym_buf_release(&bytes);
    return 0;
}

static void copy_ledger(void)
{
    help_remove(work_dir);
    assert_int_equal(nftw(base_dir, copy_one, 16, FTW_PHYS), 0);
}

/* In the child: every acknowledged size goes to the pipe. */
static void run_appends(int acks)
{
    struct ym_ledger *l = NULL;
    uint64_t size = START;

    if (ym_ledger_open(work_dir, ORIGIN, key, &l, NULL) != YM_OK)
        _exit(3);
    for (size_t i = 0; i < BATCHES; i++) {
        if (append(l, size, batch[i], NULL) != YM_OK)
            _exit(4);
        size += batch[i];
        if (syscall(SYS_write, acks, &size, sizeof(size)) != sizeof(size))
            _exit(5);
    }
    ym_ledger_close(&l);
    _exit(0);
}

/* Runs the appends in a child that dies at call `at`; true when it did die. */
static bool die_at(enum mode mode, long at, uint64_t coin, uint64_t *acked)
{
    int ends[2], status;
    uint64_t size;
    pid_t child;

    copy_ledger();
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hook.mode = mode;
        hook.at = at;
        hook.coin = coin;
        run_appends(ends[1]);
    }
    close(ends[1]);
    *acked = START;
    while (read(ends[0], &size, sizeof(size)) == sizeof(size))
        *acked = size;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return true;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return false;
}

static uint64_t size_after(uint64_t acked)
{
    uint64_t size = START;

    for (size_t i = 0; i < BATCHES && size <= acked; i++)
        size += batch[i];
    return size;
}

static bool count_entry(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    char reason[40];

    snprintf(reason, sizeof(reason), "\"reason\":\"entry %llu\"", (unsigned long long)index);
    assert_non_null(memmem(leaf.data, leaf.len, reason, strlen(reason)));
    ++*(uint64_t *)ctx;
    return true;
}

/* Old or new, never between, never less than acknowledged; and it goes on. */
static void expect_old_or_new(uint64_t acked, long at)
{
    struct ym_ledger *l = NULL;
    struct ym_status st = YM_STATUS_INIT;
    uint64_t seen = 0, size, next;

    if (ym_ledger_open(work_dir, ORIGIN, key, &l, &st) != YM_OK)
        fail_msg("dead at call %ld: %s", at, st.message);
    size = ym_ledger_size(l);
    if (size != acked && size != size_after(acked))
        fail_msg("dead at call %ld: %llu entries, acknowledged %llu", at, (unsigned long long)size,
                 (unsigned long long)acked);
    assert_int_equal(ym_ledger_each(l, 0, count_entry, &seen, NULL), YM_OK);
    assert_int_equal(seen, size);
    /* Into the next bundle: nothing that the crash left there may come up again. */
    next = (size / 256 + 1) * 256 + 2;
    assert_int_equal(append(l, size, next - size, &st), YM_OK);
    ym_ledger_close(&l);
    assert_int_equal(ym_ledger_open(work_dir, ORIGIN, key, &l, &st), YM_OK);
    assert_int_equal(ym_ledger_size(l), next);
    ym_ledger_close(&l);
}

/* Forks are dear under the address sanitizer; the plain run takes every call. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 5
#else
#define STEP 1
#endif

static void die_everywhere(enum mode mode, uint64_t coin)
{
    uint64_t acked;
    long at = 1;

    for (; die_at(mode, at, coin, &acked); at += STEP)
        expect_old_or_new(acked, at);
    assert_int_equal(acked, ENDS); /* the last run was whole */
    assert_true(at > 100);
}

static void kill_9_at_every_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    die_everywhere(KILL, 0);
}

static void power_cut_at_every_call_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    die_everywhere(POWER, 0);
    die_everywhere(POWER, 11);
}

/* One append with call `at` failing; false when there is no such call. */
static bool fail_at(long at, int error, bool sync_only)
{
    struct ym_ledger *l = NULL;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code;
    uint64_t size;
    bool failed;

    copy_ledger();
    assert_int_equal(ym_ledger_open(work_dir, ORIGIN, key, &l, NULL), YM_OK);
    hook.mode = ERROR;
    hook.at = at;
    hook.calls = 0;
    hook.error = error;
    hook.sync_only = sync_only;
    code = append(l, START, 300, &st);
    failed = hook.calls >= at;
    memset(&hook, 0, sizeof(hook));
    size = ym_ledger_size(l);
    if (code == YM_EXHAUSTED) {
        assert_int_equal(size, START);
        assert_false(sync_only && error == EIO);
    } else if (code == YM_UNCERTAIN) {
        assert_int_equal(append(l, START, 1, NULL), YM_UNCERTAIN);
    } else {
        assert_int_equal(code, YM_OK); /* only spare files could not be removed */
        assert_int_equal(size, START + 300);
    }
    ym_ledger_close(&l);
    assert_int_equal(ym_ledger_open(work_dir, ORIGIN, key, &l, &st), YM_OK);
    if (code == YM_EXHAUSTED)
        assert_int_equal(ym_ledger_size(l), START);
    else if (code == YM_UNCERTAIN)
        assert_true(ym_ledger_size(l) == START || ym_ledger_size(l) == START + 300);
    else
        assert_int_equal(ym_ledger_size(l), START + 300);
    size = ym_ledger_size(l);
    assert_int_equal(append(l, size, 3, NULL), YM_OK);
    ym_ledger_close(&l);
    return failed;
}

static void no_space_at_any_call_changes_nothing_or_is_uncertain(void **state)
{
    long at = 1;

    (void)state;
    while (fail_at(at, ENOSPC, false))
        at++;
    assert_true(at > 20);
}

static void a_failed_sync_is_uncertain(void **state)
{
    long at = 1;

    (void)state;
    while (fail_at(at, EIO, true))
        at++;
    assert_true(at > 5);
}

/* The last entries are only the journal's: each run begins with making files of them. */
static void leave_unclosed(void)
{
    struct ym_ledger *l = NULL;
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (ym_ledger_open(base_dir, ORIGIN, key, &l, NULL) != YM_OK || append(l, START - 3, 1, NULL) != YM_OK ||
            append(l, START - 2, 2, NULL) != YM_OK)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int setup(void **state)
{
    struct ym_ledger *l = NULL;

    (void)state;
    key = help_key();
    /* What a disk forgets is modelled here, so memory serves as well and is faster. */
    snprintf(base_dir, sizeof(base_dir), "/dev/shm/yumen-test-XXXXXX");
    if (!mkdtemp(base_dir))
        help_temp(base_dir);
    snprintf(work_dir, sizeof(work_dir), "%s-work", base_dir);
    for (size_t i = 0; i < LINES; i++)
        help_leaf(key, i, &line[i]);
    assert_int_equal(ym_ledger_open(base_dir, ORIGIN, key, &l, NULL), YM_OK);
    assert_int_equal(append(l, 0, START - 3, NULL), YM_OK);
    ym_ledger_close(&l);
    leave_unclosed();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    help_remove(base_dir);
    help_remove(work_dir);
    for (size_t i = 0; i < LINES; i++)
        ym_buf_release(&line[i]);
    ym_key_free(key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_at_every_call_keeps_what_was_acknowledged),
        cmocka_unit_test(power_cut_at_every_call_keeps_what_was_acknowledged),
        cmocka_unit_test(no_space_at_any_call_changes_nothing_or_is_uncertain),
        cmocka_unit_test(a_failed_sync_is_uncertain),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

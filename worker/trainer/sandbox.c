#include "worker/trainer/sandbox.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Landlock ----
 * Debian's headers stop at ABI 2, so the later rights are spelled out; numbers
 * from the kernel's include/uapi/linux/landlock.h. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_ALL_ABI1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    NET_ALL_ABI4 = 3,
    SCOPE_ALL_ABI6 = 3,
    CREATE_RULESET_VERSION = 1,
    RULE_PATH_BENEATH = 1,
};

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

static size_t ruleset_for(int abi, struct ruleset_attr *attr)
{
    memset(attr, 0, sizeof *attr);
    attr->handled_fs = FS_ALL_ABI1;
    if (abi >= 2)
        attr->handled_fs |= FS_REFER;
    if (abi >= 3)
        attr->handled_fs |= FS_TRUNCATE;
    if (abi >= 5)
        attr->handled_fs |= FS_IOCTL_DEV;
    if (abi >= 4)
        attr->handled_net = NET_ALL_ABI4;
    if (abi >= 6)
        attr->scoped = SCOPE_ALL_ABI6;
    return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static enum ym_code allow_dir(int ruleset, const char *dir, uint64_t handled, struct ym_status *st)
{
    struct path_beneath_attr rule = {.allowed = handled & (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR |
                                                           FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK |
                                                           FS_REFER | FS_TRUNCATE)};
    long rc;

    rule.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "sandbox: cannot open \"%s\": %s", dir, strerror(errno));
    rc = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
    return rc == 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, "sandbox: landlock rule: %s", strerror(errno));
}

static enum ym_code enter_landlock(const char *dir, int abi, struct ym_status *st)
{
    struct ruleset_attr attr;
    size_t size = ruleset_for(abi, &attr);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    enum ym_code code;

    if (ruleset < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "sandbox: landlock ruleset: %s", strerror(errno));
    code = allow_dir(ruleset, dir, attr.handled_fs, st);
    if (code == YM_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "sandbox: landlock: %s", strerror(errno));
    close(ruleset);
    return code;
}

/* ---- network namespace ---- */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        errno = 0; /* an unmapped id still owns its files; the namespace stands either way */
    close(fd);
}

static bool enter_netns(void)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();

    if (unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    write_text("/proc/self/gid_map", map);
    return true;
}

/* ---- seccomp ---- */

static const int plain_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(close),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(lseek),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(getdents64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(fchmod),
    SCMP_SYS(flock),
    SCMP_SYS(umask),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(getcwd),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(fadvise64),
    /* memory, threads, time, signals to itself */
    SCMP_SYS(munmap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrusage),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    /* sockets once made, and waiting */
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(pipe),
    SCMP_SYS(signalfd4),
};

enum { SOCKET_TYPE = 0xf }; /* the kernel's SOCK_TYPE_MASK: without SOCK_CLOEXEC and the like */

/* Calls that are fine with some arguments only. */
static int allow_some(scmp_filter_ctx f)
{
    static const unsigned long requests[] = {TCGETS, FIONREAD, FIONBIO, FIOCLEX};
    /* without F_SETOWN: it sends signals to others */
    static const int files[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,  F_SETFD,     F_GETFL,     F_SETFL,
                                F_GETLK, F_SETLK,         F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW};
    int rc = 0;

    /* a datagram socket needs no connect: it could send to any socket of the machine */
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                           SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                           SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)files[i]));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                           SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    /* flags are behind a pointer there: the C library falls back on clone */
    rc |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    /* ZeroMQ sets its thread to what it is */
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(sched_setscheduler), 1, SCMP_A1(SCMP_CMP_EQ, SCHED_OTHER));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0),
                           SCMP_A2(SCMP_CMP_EQ, 0)); /* reading */
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0),
                           SCMP_A1(SCMP_CMP_EQ, RLIMIT_DATA)); /* jobs have a limit (limits.h) */
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i]));
    return rc;
}

static enum ym_code enter_seccomp(struct ym_status *st)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = 0;

    if (!f)
        return ym_status_set(st, YM_EXHAUSTED, "sandbox: no memory for the call filter");
    rc |= seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    rc |= seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < sizeof plain_calls / sizeof *plain_calls; i++)
        rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, plain_calls[i], 0);
    rc |= allow_some(f);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc == 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, "sandbox: the call filter cannot be loaded (%d)", rc);
}

static enum ym_code forbid_dumps(struct ym_status *st)
{
    struct rlimit none = {0, 0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0)
        return ym_status_set(st, YM_UNAVAILABLE, "sandbox: cannot forbid core dumps: %s", strerror(errno));
    return YM_OK;
}

/* Landlock and the namespaces hold for the thread that asks and for those that it
 * starts: no other may be there yet. */
static enum ym_code check_alone(struct ym_status *st)
{
    struct stat task;

    if (stat("/proc/self/task", &task) == 0 && task.st_nlink > 3)
        return ym_status_set(st, YM_UNAVAILABLE, "sandbox: %lu threads run already; start with OPENBLAS_NUM_THREADS=1",
                             (unsigned long)task.st_nlink - 2);
    return YM_OK;
}

enum ym_code ym_sandbox_enter(const char *dir, struct ym_sandbox_level *level, struct ym_status *st)
{
    struct ym_sandbox_level got = {.landlock_abi = landlock_abi()};
    enum ym_code code = check_alone(st);

    if (code != YM_OK)
        return code;
    got.netns = enter_netns();
    code = forbid_dumps(st);
    if (code == YM_OK && got.landlock_abi > 0)
        code = enter_landlock(dir, got.landlock_abi, st);
    if (code == YM_OK)
        code = enter_seccomp(st);
    if (code != YM_OK)
        return code;
    got.seccomp = true;
    snprintf(got.text, sizeof got.text, "landlock-abi=%d seccomp=on netns=%s", got.landlock_abi,
             got.netns ? "own" : "shared");
    *level = got;
    return YM_OK;
}

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"

#define NAMES_MAX 1000000

static enum ym_code fail(struct ym_status *st, const char *what, const char *path)
{
    int e = errno;
    enum ym_code code = YM_UNAVAILABLE;

    if (e == ENOENT || e == ENOTDIR)
        code = YM_NOT_FOUND;
    else if (e == ENOSPC || e == EDQUOT || e == EFBIG || e == ENOMEM)
        code = YM_EXHAUSTED;
    return ym_status_set(st, code, "cannot %s '%s': %s", what, path, strerror(e));
}

/* A pipe that somebody writes into; one that nobody has open is at its end, so that a
 * stranger's folder cannot stop its reader. */
static bool wait_for_writer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode) && (poll(&p, 1, -1) > 0 || errno == EINTR);
}

static enum ym_code read_all(int fd, const char *path, size_t limit, struct ym_buf *out, struct ym_status *st)
{
    for (;;) {
        ssize_t n;

        if (ym_buf_reserve(out, 65536) != YM_OK)
            return ym_status_set(st, YM_EXHAUSTED, "no memory to read '%s'", path);
        n = read(fd, out->data + out->len, out->cap - out->len - 1);
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_writer(fd))))
            continue;
        if (n < 0)
            return fail(st, "read", path);
        if (n == 0)
            return YM_OK;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > limit)
            return ym_status_set(st, YM_EXHAUSTED, "'%s' is larger than the %zu bytes allowed", path, limit);
    }
}

enum ym_code ym_fs_read(const char *path, size_t limit, struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf data = {0};
    enum ym_code code;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return fail(st, "read", path);
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        if ((uint64_t)info.st_size > limit) {
            code = ym_status_set(st, YM_EXHAUSTED, "'%s' is larger than the %zu bytes allowed", path, limit);
            goto out;
        }
        /* one allocation: contents may be secret, and growth would leave copies behind */
        if (ym_buf_reserve(&data, (size_t)info.st_size + 65536 + 1) != YM_OK) {
            code = ym_status_set(st, YM_EXHAUSTED, "no memory to read '%s'", path);
            goto out;
        }
    }
    code = read_all(fd, path, limit, &data, st);
    if (code == YM_OK && ym_buf_append(out, data.data, data.len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory to read '%s'", path);
out:
    ym_buf_wipe(&data);
    close(fd);
    return code;
}

static enum ym_code write_all(int fd, struct ym_bytes data, const char *path, struct ym_status *st)
{
    for (size_t at = 0; at < data.len;) {
        ssize_t n = write(fd, data.data + at, data.len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(st, "write", path);
        at += (size_t)n;
    }
    return fsync(fd) ? fail(st, "write", path) : YM_OK;
}

/* The folder of path into out. */
static enum ym_code parent(const char *path, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len >= cap)
        return YM_INVALID;
    if (!slash)
        snprintf(out, cap, ".");
    else if (len == 0)
        snprintf(out, cap, "/");
    else
        snprintf(out, cap, "%.*s", (int)len, path);
    return YM_OK;
}

static enum ym_code temp_name(const char *path, const char *dir, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    uint64_t id;
    int n;

    ym_random(&id, sizeof(id));
    n = snprintf(out, cap, "%s/.%s.tmp-%016" PRIx64, dir, base, id);
    return *base && n > 0 && (size_t)n < cap ? YM_OK : YM_INVALID;
}

enum ym_code ym_fs_write(const char *path, struct ym_bytes data, unsigned mode, struct ym_status *st)
{
    char dir[PATH_MAX], temp[PATH_MAX];
    enum ym_code code;
    int fd;

    if (parent(path, dir, sizeof(dir)) != YM_OK || temp_name(path, dir, temp, sizeof(temp)) != YM_OK)
        return ym_status_set(st, YM_INVALID, "'%.200s' is not a path for a file", path);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(st, "write", path);
    code = write_all(fd, data, path, st);
    if (close(fd) && code == YM_OK)
        code = fail(st, "write", path);
    if (code == YM_OK && rename(temp, path))
        code = fail(st, "write", path);
    if (code != YM_OK) {
        unlink(temp);
        return code;
    }
    return ym_fs_sync_dir(dir, st);
}

enum ym_code ym_fs_mkdirs(const char *path, unsigned mode, struct ym_status *st)
{
    char part[PATH_MAX];
    struct stat info;
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(part))
        return ym_status_set(st, YM_INVALID, "'%.200s' is not a path for a folder", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) && errno != EEXIST)
            return fail(st, "make folder", part);
        if (i < len)
            part[i] = '/';
    }
    if (stat(path, &info))
        return fail(st, "make folder", path);
    if (!S_ISDIR(info.st_mode))
        return ym_status_set(st, YM_CONFLICT, "'%s' is there already and is not a folder", path);
    return YM_OK;
}

enum ym_code ym_fs_sync_dir(const char *path, struct ym_status *st)
{
    enum ym_code code = YM_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fail(st, "open folder", path);
    /* EINVAL: a file system that has nothing to sync there */
    if (fsync(fd) && errno != EINVAL)
        code = fail(st, "sync folder", path);
    close(fd);
    return code;
}

bool ym_fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

enum ym_code ym_fs_join(char *out, size_t cap, const char *a, const char *b)
{
    size_t len = strlen(a);
    const char *slash = len && a[len - 1] == '/' ? "" : "/";

    if (len + strlen(slash) + strlen(b) >= cap)
        return YM_INVALID;
    snprintf(out, cap, "%s%s%s", a, slash, b);
    return YM_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum ym_code add_name(char ***names, size_t *count, size_t *cap, const char *name)
{
    if (*count == NAMES_MAX)
        return YM_EXHAUSTED;
    if (*count == *cap) {
        size_t more = *cap ? *cap * 2 : 64;
        char **grown = realloc(*names, more * sizeof(*grown));

        if (!grown)
            return YM_EXHAUSTED;
        *names = grown;
        *cap = more;
    }
    (*names)[*count] = strdup(name);
    return (*names)[(*count)++] ? YM_OK : YM_EXHAUSTED;
}

enum ym_code ym_fs_list(const char *path, char ***names, size_t *count, struct ym_status *st)
{
    char **found = NULL;
    size_t n = 0, cap = 0;
    enum ym_code code = YM_OK;
    struct dirent *entry;
    DIR *dir = opendir(path);

    if (!dir)
        return fail(st, "list", path);
    while (code == YM_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && add_name(&found, &n, &cap, entry->d_name) != YM_OK)
            code = ym_status_set(st, YM_EXHAUSTED, "too many files in '%s'", path);
    }
    if (code == YM_OK && errno)
        code = fail(st, "list", path);
    closedir(dir);
    if (code != YM_OK) {
        ym_fs_names_free(found, n);
        return code;
    }
    if (n)
        qsort(found, n, sizeof(*found), compare_names);
    *names = found;
    *count = n;
    return YM_OK;
}

void ym_fs_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static enum ym_code lock_taken(int fd, const char *dir, struct ym_status *st)
{
    char text[24] = {0};
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;

    if (pid > 0)
        return ym_status_set(st, YM_CONFLICT, "'%s' is in use by process %ld; stop it first", dir, pid);
    return ym_status_set(st, YM_CONFLICT, "'%s' is in use by another process; stop it first", dir);
}

enum ym_code ym_fs_lock(const char *dir, int *fd, struct ym_status *st)
{
    char path[PATH_MAX], text[24];
    enum ym_code code;
    int lock, len;

    if (ym_fs_join(path, sizeof(path), dir, "lock") != YM_OK)
        return ym_status_set(st, YM_INVALID, "'%.200s' is too long a path", dir);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return fail(st, "lock", path);
    if (flock(lock, LOCK_EX | LOCK_NB)) {
        code = errno == EWOULDBLOCK ? lock_taken(lock, dir, st) : fail(st, "lock", path);
        close(lock);
        return code;
    }
    /* the pid only helps a message: a full disk must not stop a daemon from holding its lock */
    len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) || pwrite(lock, text, (size_t)len, 0) != len)
        (void)!ftruncate(lock, 0);
    *fd = lock;
    return YM_OK;
}

void ym_fs_unlock(int *fd)
{
    if (*fd >= 0) {
        (void)!ftruncate(*fd, 0);
        close(*fd);
    }
    *fd = -1;
}

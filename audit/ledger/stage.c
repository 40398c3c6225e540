#include "audit/ledger/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum ym_code ym_disk_code(int error, bool syncing)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return YM_EXHAUSTED;
    default:
        return syncing ? YM_UNCERTAIN : YM_UNAVAILABLE;
    }
}

static enum ym_code fail(struct ym_status *st, int error, bool syncing, const char *what, const char *path)
{
    return ym_status_set(st, ym_disk_code(error, syncing), "ledger: cannot %s '%s': %s", what, path, strerror(error));
}

static void parent_of(const char *path, char out[128])
{
    const char *slash = strrchr(path, '/');

    snprintf(out, 128, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

enum ym_code ym_disk_sync_dir(int root, const char *path, struct ym_status *st)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ym_code code = YM_OK;

    if (fd < 0)
        return fail(st, errno, true, "open the folder", path);
    if (fsync(fd) != 0)
        code = fail(st, errno, true, "sync the folder", path);
    close(fd);
    return code;
}

/* Make the folders above path; a new name is durable before it is used. */
static enum ym_code make_parents(int root, const char *path, struct ym_status *st)
{
    char folder[128], above[128];
    enum ym_code code;

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        if (mkdirat(root, folder, 0755) != 0) {
            if (errno == EEXIST)
                continue;
            return fail(st, errno, false, "make the folder", folder);
        }
        parent_of(folder, above);
        code = ym_disk_sync_dir(root, above, st);
        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

static enum ym_code write_all(int fd, struct ym_bytes data, bool sync, const char *path, struct ym_status *st)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.data, data.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(st, n < 0 ? errno : ENOSPC, false, "write", path);
        data.data += n;
        data.len -= (size_t)n;
    }
    if (sync && fsync(fd) != 0)
        return fail(st, errno, true, "sync", path);
    return YM_OK;
}

static void temp_name(size_t i, char out[32])
{
    snprintf(out, 32, "tmp/%zu", i);
}

static enum ym_code write_temp(const struct ym_stage *s, size_t i, struct ym_bytes data, struct ym_status *st)
{
    char temp[32];
    enum ym_code code;
    int fd;

    temp_name(i, temp);
    fd = openat(s->root, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fail(st, errno, false, "create", temp);
    code = write_all(fd, data, !s->lazy, temp, st);
    if (close(fd) != 0 && code == YM_OK)
        code = fail(st, errno, true, "close", temp);
    return code;
}

static enum ym_code grow(struct ym_stage *s, const char *path, struct ym_status *st)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 8;
        struct ym_staged *file = realloc(s->file, cap * sizeof(*file));

        if (!file)
            return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
        s->file = file;
        s->cap = cap;
    }
    s->file[s->count].renamed = false;
    s->file[s->count].path = strdup(path);
    if (!s->file[s->count].path)
        return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    s->count++;
    return YM_OK;
}

enum ym_code ym_stage_put(struct ym_stage *s, const char *path, struct ym_bytes data, struct ym_status *st)
{
    enum ym_code code = grow(s, path, st);

    if (code == YM_OK)
        code = make_parents(s->root, path, st);
    if (code == YM_OK)
        code = write_temp(s, s->count - 1, data, st);
    return code;
}

static enum ym_code sync_parent(int root, const char *path, struct ym_status *st)
{
    char folder[128];

    parent_of(path, folder);
    return ym_disk_sync_dir(root, folder, st);
}

/* Take files [0, count) back; only used before the commit point. */
static bool undo(struct ym_stage *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (unlinkat(s->root, s->file[i].path, 0) != 0 && errno != ENOENT)
            return false;
        if (sync_parent(s->root, s->file[i].path, NULL) != YM_OK)
            return false;
    }
    return true;
}

enum ym_code ym_stage_commit(struct ym_stage *s, size_t point, struct ym_status *st)
{
    char temp[32];

    for (size_t i = 0; i < s->count; i++) {
        enum ym_code code;

        temp_name(i, temp);
        if (renameat(s->root, temp, s->root, s->file[i].path) != 0) {
            code = fail(st, errno, false, "rename to", s->file[i].path);
            return !s->lazy && i <= point && undo(s, i) ? code : ym_status_wrap(st, YM_UNCERTAIN, "outcome unknown");
        }
        s->file[i].renamed = true;
        if (!s->lazy && sync_parent(s->root, s->file[i].path, st) != YM_OK)
            return ym_status_wrap(st, YM_UNCERTAIN, "outcome unknown");
    }
    return YM_OK;
}

void ym_stage_release(struct ym_stage *s)
{
    char temp[32];

    for (size_t i = 0; i < s->count; i++) {
        temp_name(i, temp);
        if (!s->file[i].renamed)
            unlinkat(s->root, temp, 0);
        free(s->file[i].path);
    }
    free(s->file);
    *s = (struct ym_stage){.root = s->root};
}

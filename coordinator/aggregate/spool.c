#include "coordinator/aggregate/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "coordinator/aggregate/block.h"

struct ym_spool {
    int fd;
    uint64_t length, synced, total;
};

static enum ym_code attempt_dir(const struct ym_spool_key *key, char *path, size_t cap)
{
    int n = snprintf(path, cap, "%s/%s/%" PRIu32 "-%" PRIu32, key->dir, key->study, key->round, key->attempt);

    return n > 0 && (size_t)n < cap ? YM_OK : YM_INVALID;
}

enum ym_code ym_spool_path(const struct ym_spool_key *key, char *path, size_t cap)
{
    char dir[4096];

    if (!ym_name_valid(key->study) || !ym_name_valid(key->site) || attempt_dir(key, dir, sizeof dir) != YM_OK)
        return YM_INVALID;
    return ym_fs_join(path, cap, dir, key->site);
}

static enum ym_code os_failed(const char *what, const char *path, struct ym_status *st)
{
    enum ym_code code = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? YM_EXHAUSTED : YM_UNAVAILABLE;

    return ym_status_set(st, code, "spool: %s '%s': %s", what, path, strerror(errno));
}

static enum ym_code open_file(const struct ym_spool_key *key, uint64_t total, struct ym_spool *s, struct ym_status *st)
{
    char path[4096], dir[4096];
    struct stat info;
    enum ym_code code = ym_spool_path(key, path, sizeof path);

    if (code != YM_OK || attempt_dir(key, dir, sizeof dir) != YM_OK)
        return ym_status_set(st, YM_INVALID, "spool: bad name of study or site");
    code = ym_fs_mkdirs(dir, 0700, st);
    if (code != YM_OK)
        return code;
    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->fd < 0 || fstat(s->fd, &info) != 0)
        return os_failed("open", path, st);
    s->length = (uint64_t)info.st_size;
    s->total = total;
    if (s->length > total) {
        if (ftruncate(s->fd, 0) != 0)
            return os_failed("truncate", path, st);
        s->length = 0;
    }
    s->synced = s->length;
    return YM_OK;
}

enum ym_code ym_spool_open(const struct ym_spool_key *key, uint64_t total, struct ym_spool **out, uint64_t *offset,
                           struct ym_status *st)
{
    struct ym_spool *s = calloc(1, sizeof *s);
    enum ym_code code;

    if (!s)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory while opening a spool");
    s->fd = -1;
    code = open_file(key, total, s, st);
    if (code != YM_OK) {
        ym_spool_close(&s);
        return code;
    }
    *offset = s->length;
    *out = s;
    return YM_OK;
}

enum ym_code ym_spool_sync(struct ym_spool *s, struct ym_status *st)
{
    if (s->synced == s->length)
        return YM_OK;
    if (fdatasync(s->fd) != 0)
        return os_failed("sync", "upload", st);
    s->synced = s->length;
    return YM_OK;
}

enum ym_code ym_spool_append(struct ym_spool *s, uint64_t offset, struct ym_bytes data, struct ym_status *st)
{
    uint64_t at = s->length;

    if (offset != s->length)
        return ym_status_set(st, YM_CONFLICT, "the upload goes on at byte %" PRIu64 ", not %" PRIu64, s->length,
                             offset);
    if (data.len > s->total - s->length)
        return ym_status_set(st, YM_INVALID, "more bytes than the release announces");
    while (at < offset + data.len) {
        ssize_t n = pwrite(s->fd, data.data + (at - offset), data.len - (at - offset), (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            enum ym_code code = os_failed("write", "upload", st);

            if (ftruncate(s->fd, (off_t)s->length) != 0)
                return ym_status_set(st, YM_UNAVAILABLE, "spool: cannot take back a torn write");
            return code;
        }
        at += (uint64_t)n;
    }
    s->length = at;
    return s->length - s->synced >= YM_SPOOL_SYNC_BYTES ? ym_spool_sync(s, st) : YM_OK;
}

uint64_t ym_spool_length(const struct ym_spool *s)
{
    return s->length;
}

void ym_spool_close(struct ym_spool **s)
{
    if (*s && (*s)->fd >= 0)
        close((*s)->fd);
    free(*s);
    *s = NULL;
}

uint64_t ym_spool_arrived(const struct ym_spool_key *key)
{
    char path[4096];
    struct stat info;

    if (ym_spool_path(key, path, sizeof path) != YM_OK || stat(path, &info) != 0)
        return 0;
    return (uint64_t)info.st_size;
}

struct check {
    struct ym_sha256 *hash;
    uint32_t width_bits;
    const struct ym_run *zero;
    size_t zeros;
    bool in_range;
};

static void check_block(void *ctx, const int64_t *v, size_t first, size_t n)
{
    struct check *c = ctx;

    ym_sha256_update(c->hash, v, n * sizeof *v);
    c->in_range &= ym_block_in_range(v, n, c->width_bits);
    for (size_t k = 0; k < c->zeros; k++) {
        size_t from = c->zero[k].from > first ? c->zero[k].from - first : 0;

        for (size_t i = from; i < n && first + i < c->zero[k].end; i++)
            c->in_range &= v[i] == 0;
    }
}

static enum ym_code refuse(const char **reason, enum ym_code code, const char *word, struct ym_status *st)
{
    *reason = word;
    return ym_status_set(st, code, "upload refused: %s", word);
}

enum ym_code ym_spool_check(const struct ym_spool_key *key, uint64_t total, const uint8_t hash[YM_HASH_BYTES],
                            uint32_t width_bits, const struct ym_run *zero, size_t zeros, const char **reason,
                            struct ym_status *st)
{
    struct check c = {ym_sha256_new(), width_bits, zero, zeros, true};
    uint8_t got[YM_HASH_BYTES];
    char path[4096];
    enum ym_code code = ym_spool_path(key, path, sizeof path);

    *reason = "";
    if (code != YM_OK || !c.hash) {
        ym_sha256_free(c.hash);
        return ym_status_set(st, YM_INTERNAL, "spool: cannot check an upload");
    }
    if (ym_spool_arrived(key) != total) {
        ym_sha256_free(c.hash);
        return refuse(reason, YM_CONFLICT, "incomplete", st);
    }
    code = ym_block_read(path, total / 8, check_block, &c, st);
    ym_sha256_final(&c.hash, got);
    if (code != YM_OK)
        return code;
    if (memcmp(got, hash, sizeof got) != 0)
        code = refuse(reason, YM_CORRUPT, "wrong_hash", st);
    else if (!c.in_range)
        code = refuse(reason, YM_INVALID, "out_of_range", st);
    if (code != YM_OK)
        unlink(path);
    return code;
}

void ym_spool_drop(const struct ym_spool_key *key)
{
    char path[4096], dir[4096];
    char **names = NULL;
    size_t count = 0;

    if (key->site) {
        if (ym_spool_path(key, path, sizeof path) == YM_OK)
            unlink(path);
        return;
    }
    if (!ym_name_valid(key->study) || attempt_dir(key, dir, sizeof dir) != YM_OK ||
        ym_fs_list(dir, &names, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (ym_fs_join(path, sizeof path, dir, names[i]) == YM_OK)
            unlink(path);
    ym_fs_names_free(names, count);
    rmdir(dir);
    snprintf(dir, sizeof dir, "%s/%s", key->dir, key->study);
    rmdir(dir); /* when it was the last */
}

static void sweep_study(const char *dir, const char *study,
                        bool (*keep)(void *ctx, const char *study, uint32_t round, uint32_t attempt), void *ctx)
{
    char path[4096];
    char **names = NULL;
    size_t count = 0;

    if (!ym_name_valid(study) || ym_fs_join(path, sizeof path, dir, study) != YM_OK ||
        ym_fs_list(path, &names, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct ym_spool_key key = {.dir = dir, .study = study};
        char end;

        if (sscanf(names[i], "%" SCNu32 "-%" SCNu32 "%c", &key.round, &key.attempt, &end) == 2 &&
            !keep(ctx, study, key.round, key.attempt))
            ym_spool_drop(&key);
    }
    ym_fs_names_free(names, count);
}

void ym_spool_sweep(const char *dir, bool (*keep)(void *ctx, const char *study, uint32_t round, uint32_t attempt),
                    void *ctx)
{
    char **names = NULL;
    size_t count = 0;

    if (ym_fs_list(dir, &names, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        sweep_study(dir, names[i], keep, ctx);
    ym_fs_names_free(names, count);
}

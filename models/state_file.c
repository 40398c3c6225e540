#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "models/state_step.h"

struct pass { /* one run of ym_state_next_file */
    int in, out;
    size_t in_data, out_data; /* where the data begins */
    uint64_t in_bytes;
    size_t dim;
};

static enum ym_code io_failed(struct ym_status *st, const char *what, const char *path)
{
    enum ym_code code = errno == ENOSPC || errno == EDQUOT ? YM_EXHAUSTED : YM_UNAVAILABLE;

    return ym_status_set(st, code, "cannot %s '%s': %s", what, path, strerror(errno));
}

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, (char *)to + done, len - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static bool write_at(int fd, const void *from, size_t len, uint64_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const char *)from + done, len - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool hash_file(int fd, uint64_t bytes, uint8_t hash[YM_HASH_BYTES])
{
    struct ym_sha256 *h = ym_sha256_new();
    uint8_t block[16384];
    bool good = h != NULL;

    for (uint64_t at = 0; good && at < bytes;) {
        size_t n = bytes - at < sizeof block ? (size_t)(bytes - at) : sizeof block;

        good = read_at(fd, block, n, at);
        if (good)
            ym_sha256_update(h, block, n);
        at += n;
    }
    if (good)
        ym_sha256_final(&h, hash);
    ym_sha256_free(h);
    return good;
}

static enum ym_code open_state(const struct ym_plan *plan, const struct ym_model *m, const char *path, struct pass *p,
                               uint32_t *round, struct ym_status *st)
{
    struct ym_bytes head = {0};
    uint8_t *bytes = NULL;
    struct stat info;
    enum ym_code code;

    p->in = open(path, O_RDONLY | O_CLOEXEC);
    if (p->in < 0)
        return errno == ENOENT ? ym_status_set(st, YM_NOT_FOUND, "no state '%s'", path) : io_failed(st, "open", path);
    if (fstat(p->in, &info) != 0)
        return io_failed(st, "read", path);
    p->in_bytes = (uint64_t)info.st_size;
    head.len = p->in_bytes < 8 + YM_STATE_HEADER_MAX ? (size_t)p->in_bytes : 8 + YM_STATE_HEADER_MAX;
    head.data = bytes = malloc(head.len + 1);
    if (!bytes)
        return ym_state_no_memory(st);
    code = read_at(p->in, bytes, head.len, 0)
               ? ym_state_header_decode(plan, m, head, p->in_bytes, round, &p->in_data, st)
               : io_failed(st, "read", path);
    free(bytes);
    return code;
}

static bool read_block(const struct ym_state_step *s, const struct pass *p, size_t at, size_t n,
                       struct ym_state_block *b)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(s->plan, name);
    bool good = read_at(p->in, b->theta, 4 * n, p->in_data + 4 * at);

    for (size_t k = 0; k < slots && good; k++)
        good = read_at(p->in, b->slot[k], 8 * n, p->in_data + (4 + 8 * k) * p->dim + 8 * at);
    return good;
}

static bool write_block(const struct ym_state_step *s, const struct pass *p, size_t at, size_t n,
                        const struct ym_state_block *b)
{
    const char *name[YM_STATE_SLOTS];
    size_t slots = ym_state_slots(s->plan, name);
    bool good = write_at(p->out, b->theta, 4 * n, p->out_data + 4 * at);

    for (size_t k = 0; k < slots && good; k++)
        good = write_at(p->out, b->slot[k], 8 * n, p->out_data + (4 + 8 * k) * p->dim + 8 * at);
    return good;
}

static enum ym_code advance_file(const struct ym_state_step *step, const struct pass *p, const int64_t *sum,
                                 const char *path, struct ym_status *st)
{
    struct ym_state_block *b = malloc(sizeof *b);
    enum ym_code code = b ? YM_OK : ym_state_no_memory(st);

    for (size_t at = 0, n; code == YM_OK && at < p->dim; at += n) {
        n = ym_state_block_size(p->dim, at);
        if (!read_block(step, p, at, n, b))
            code = io_failed(st, "read", "previous state");
        else if (!ym_state_advance(step, b, sum + at, n))
            code = ym_state_not_finite(st);
        else if (!write_block(step, p, at, n, b))
            code = io_failed(st, "write", path);
    }
    free(b);
    return code;
}

static enum ym_code advance_file_extra(const struct ym_state_step *step, const struct ym_model *m, const struct pass *p,
                                       const int64_t *sum, const char *path, struct ym_status *st)
{
    uint8_t data[8 * YM_MODEL_MAX_EXTRA];
    uint64_t at = ym_state_extra_at(step->plan, m);
    enum ym_code code;

    if (!read_at(p->in, data, 8 * m->state_extra, p->in_data + at))
        return io_failed(st, "read", "previous state");
    code = ym_state_advance_extra(step, m, sum, data, st);
    if (code == YM_OK && !write_at(p->out, data, 8 * m->state_extra, p->out_data + at))
        code = io_failed(st, "write", path);
    return code;
}

static enum ym_code write_next(const struct ym_state_step *step, const struct ym_model *m, struct pass *p,
                               const struct ym_buf *header, const int64_t *sum, const char *temp,
                               uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    uint64_t bytes = header->len + (p->in_bytes - p->in_data);
    enum ym_code code;

    p->out = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (p->out < 0)
        return io_failed(st, "create", temp);
    p->out_data = header->len;
    if (!write_at(p->out, header->data, header->len, 0))
        return io_failed(st, "write", temp);
    code = advance_file(step, p, sum, temp, st);
    if (code == YM_OK)
        code = advance_file_extra(step, m, p, sum + p->dim, temp, st);
    if (code != YM_OK)
        return code;
    if (fsync(p->out) != 0 || !hash_file(p->out, bytes, hash))
        return io_failed(st, "write", temp);
    return YM_OK;
}

static enum ym_code publish(const char *temp, const char *path, struct ym_status *st)
{
    char folder[4096];
    char *slash;

    if (rename(temp, path) != 0)
        return io_failed(st, "write", path);
    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    return ym_fs_sync_dir(slash ? folder : ".", st);
}

enum ym_code ym_state_next_file(const struct ym_plan *plan, const char *state_path, const struct ym_round_sum *sum,
                                const char *next_path, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    struct pass p = {.in = -1, .out = -1};
    struct ym_buf header = {0};
    struct ym_model m;
    struct ym_state_step step;
    uint8_t previous[YM_HASH_BYTES], next[YM_HASH_BYTES];
    uint32_t round;
    char temp[4096];
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code != YM_OK)
        return code;
    if ((size_t)snprintf(temp, sizeof temp, "%s.tmp", next_path) >= sizeof temp)
        return ym_status_set(st, YM_INVALID, "path of the next state is too long");
    p.dim = m.dim;
    code = open_state(plan, &m, state_path, &p, &round, st);
    if (code == YM_OK && !hash_file(p.in, p.in_bytes, previous))
        code = io_failed(st, "read", state_path);
    if (code == YM_OK)
        code = ym_state_next_header(plan, &m, round, previous, sum, &step, &header, st);
    if (code != YM_OK)
        goto out;
    code = write_next(&step, &m, &p, &header, sum->sum, temp, next, st);
    if (code == YM_OK)
        code = publish(temp, next_path, st);
    if (code == YM_OK)
        memcpy(hash, next, sizeof next);
    else if (p.out >= 0)
        unlink(temp);
out:
    if (p.in >= 0)
        close(p.in);
    if (p.out >= 0)
        close(p.out);
    ym_buf_release(&header);
    return code;
}

enum ym_code ym_state_stops_file(const struct ym_plan *plan, const char *path, bool *stops, struct ym_status *st)
{
    struct pass p = {.in = -1, .out = -1};
    double extra[YM_MODEL_MAX_EXTRA];
    struct ym_model m;
    uint32_t round;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = open_state(plan, &m, path, &p, &round, st);
    if (code == YM_OK && !read_at(p.in, extra, 8 * m.state_extra, p.in_data + ym_state_extra_at(plan, &m)))
        code = io_failed(st, "read", path);
    if (code == YM_OK)
        *stops = ym_state_stops(plan, &m, extra);
    if (p.in >= 0)
        close(p.in);
    return code;
}

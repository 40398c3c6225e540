#include "models/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "models/state_header.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and memory share one byte order");

#define BLOCK 4096 /* coordinates handled at once */

struct block { /* one run of coordinates through the server optimizer */
    float theta[BLOCK];
    double m[BLOCK], v[BLOCK];
};

struct step { /* what one round's arithmetic needs besides the block */
    const struct ym_plan *plan;
    double divisor; /* W * 2^s: exact */
};

static enum ym_code no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for a state");
}

static bool has_moments(const struct ym_plan *plan)
{
    return plan->server == YM_SERVER_FEDADAM;
}

/* docs/formats.md, "State": every operation is one IEEE double operation in the
 * order written. False when a parameter leaves float32. */
static bool advance(const struct step *s, struct block *b, const int64_t *sum, size_t n)
{
    const struct ym_plan *p = s->plan;
    bool finite = true;

    for (size_t i = 0; i < n; i++) {
        double mean = (double)sum[i] / s->divisor, move;

        if (has_moments(p)) {
            b->m[i] = p->beta1 * b->m[i] + (1 - p->beta1) * mean;
            b->v[i] = p->beta2 * b->v[i] + (1 - p->beta2) * (mean * mean);
            move = p->server_lr * b->m[i] / (sqrt(b->v[i]) + p->server_eps);
        } else {
            move = p->server_lr * mean;
        }
        b->theta[i] = (float)((double)b->theta[i] + move);
        finite = finite && isfinite(b->theta[i]);
    }
    return finite;
}

/* ---- round 0 ---- */

static enum ym_code append_zeros(struct ym_buf *b, size_t len, uint8_t **at)
{
    enum ym_code code = ym_buf_reserve(b, len + 1);

    if (code != YM_OK)
        return code;
    *at = b->data + b->len;
    memset(*at, 0, len + 1);
    b->len += len;
    return YM_OK;
}

/* v starts at tau^2: Reddi et al. 2021, Algorithm 2. */
static void initial_moments(const struct ym_plan *plan, size_t dim, uint8_t *data)
{
    double v = plan->server_eps * plan->server_eps;

    for (size_t i = 0; i < dim; i++)
        memcpy(data + 12 * dim + 8 * i, &v, sizeof v);
}

static enum ym_code initial_params(const struct ym_plan *plan, const struct ym_model *m, uint8_t *data)
{
    float *params = malloc(m->dim * sizeof *params);

    if (!params)
        return YM_EXHAUSTED;
    ym_model_init_params(m, plan->init_seed, params);
    memcpy(data, params, m->dim * sizeof *params);
    free(params);
    return YM_OK;
}

enum ym_code ym_state_initial(const struct ym_plan *plan, struct ym_buf *state, struct ym_status *st)
{
    struct ym_state_meta meta = {0};
    struct ym_buf out = {0};
    struct ym_model m;
    uint8_t *data;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code != YM_OK)
        return code;
    code = ym_state_header_encode(plan, &m, &meta, &out, st);
    if (code != YM_OK)
        goto out;
    code = append_zeros(&out, ym_state_data_bytes(plan, &m), &data);
    if (code == YM_OK)
        code = initial_params(plan, &m, data);
    if (code != YM_OK) {
        no_memory(st);
        goto out;
    }
    if (has_moments(plan))
        initial_moments(plan, m.dim, data);
    code = ym_buf_append(state, out.data, out.len);
out:
    ym_buf_release(&out);
    return code;
}

/* ---- the next round ---- */

static void hash_hex(const uint8_t hash[YM_HASH_BYTES], char out[65])
{
    for (int i = 0; i < YM_HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* Header of the state that follows round `round`, whose file hashes to previous. */
static enum ym_code next_header(const struct ym_plan *plan, const struct ym_model *m, uint32_t round,
                                const uint8_t previous[YM_HASH_BYTES], const struct ym_round_sum *sum,
                                struct step *step, struct ym_buf *header, struct ym_status *st)
{
    struct ym_state_meta meta = {.round = sum->round};
    uint8_t sum_hash[YM_HASH_BYTES];
    enum ym_code code;

    if (sum->round != round + 1 || sum->round > plan->rounds)
        return ym_status_set(st, YM_INVALID, "sum of round %" PRIu32 " does not follow state %" PRIu32, sum->round,
                             round);
    ym_sha256(sum->sum, m->dim * sizeof *sum->sum, sum_hash);
    hash_hex(sum_hash, meta.sum);
    hash_hex(previous, meta.previous);
    code = ym_state_meta_survivors(plan, sum->survivor, sum->survivor_count, &meta, st);
    if (code == YM_OK)
        code = ym_state_header_encode(plan, m, &meta, header, st);
    step->plan = plan;
    step->divisor = ldexp((double)meta.total_weight, (int)plan->update_scale_bits);
    ym_state_meta_release(&meta);
    return code;
}

static enum ym_code not_finite(struct ym_status *st)
{
    return ym_status_set(st, YM_INVALID, "a parameter leaves the range of float32: the learning rate is too large");
}

static void load_block(const struct step *s, const uint8_t *data, size_t dim, size_t at, size_t n, struct block *b)
{
    memcpy(b->theta, data + 4 * at, 4 * n);
    if (has_moments(s->plan)) {
        memcpy(b->m, data + 4 * dim + 8 * at, 8 * n);
        memcpy(b->v, data + 12 * dim + 8 * at, 8 * n);
    }
}

static void store_block(const struct step *s, const struct block *b, size_t dim, size_t at, size_t n, uint8_t *data)
{
    memcpy(data + 4 * at, b->theta, 4 * n);
    if (has_moments(s->plan)) {
        memcpy(data + 4 * dim + 8 * at, b->m, 8 * n);
        memcpy(data + 12 * dim + 8 * at, b->v, 8 * n);
    }
}

static size_t block_size(size_t dim, size_t at)
{
    return dim - at < BLOCK ? dim - at : BLOCK;
}

enum ym_code ym_state_next(const struct ym_plan *plan, struct ym_bytes state, const struct ym_round_sum *sum,
                           struct ym_buf *next, struct ym_status *st)
{
    struct ym_buf out = {0};
    struct block *b = NULL;
    struct ym_model m;
    struct step step;
    uint8_t hash[YM_HASH_BYTES], *data;
    uint32_t round;
    size_t data_at;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_state_header_decode(plan, &m, state, state.len, &round, &data_at, st);
    if (code != YM_OK)
        return code;
    ym_sha256(state.data, state.len, hash);
    code = next_header(plan, &m, round, hash, sum, &step, &out, st);
    if (code != YM_OK)
        goto out;
    b = malloc(sizeof *b);
    code = b ? append_zeros(&out, state.len - data_at, &data) : YM_EXHAUSTED;
    if (code != YM_OK) {
        no_memory(st);
        goto out;
    }
    for (size_t at = 0, n; at < m.dim; at += n) {
        n = block_size(m.dim, at);
        load_block(&step, state.data + data_at, m.dim, at, n, b);
        if (!advance(&step, b, sum->sum + at, n)) {
            code = not_finite(st);
            goto out;
        }
        store_block(&step, b, m.dim, at, n, data);
    }
    code = ym_buf_append(next, out.data, out.len);
out:
    free(b);
    ym_buf_release(&out);
    return code;
}

enum ym_code ym_state_params(const struct ym_plan *plan, struct ym_bytes state, uint32_t *round, const uint8_t **params,
                             struct ym_status *st)
{
    struct ym_model m;
    uint32_t r;
    size_t data_at;
    enum ym_code code = ym_model_from_plan(plan, &m, st);

    if (code == YM_OK)
        code = ym_state_header_decode(plan, &m, state, state.len, &r, &data_at, st);
    if (code != YM_OK)
        return code;
    *round = r;
    *params = state.data + data_at;
    return YM_OK;
}

/* ---- file to file ---- */

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
        return no_memory(st);
    code = read_at(p->in, bytes, head.len, 0)
               ? ym_state_header_decode(plan, m, head, p->in_bytes, round, &p->in_data, st)
               : io_failed(st, "read", path);
    free(bytes);
    return code;
}

static bool read_block(const struct step *s, const struct pass *p, size_t at, size_t n, struct block *b)
{
    if (!read_at(p->in, b->theta, 4 * n, p->in_data + 4 * at))
        return false;
    return !has_moments(s->plan) || (read_at(p->in, b->m, 8 * n, p->in_data + 4 * p->dim + 8 * at) &&
                                     read_at(p->in, b->v, 8 * n, p->in_data + 12 * p->dim + 8 * at));
}

static bool write_block(const struct step *s, const struct pass *p, size_t at, size_t n, const struct block *b)
{
    if (!write_at(p->out, b->theta, 4 * n, p->out_data + 4 * at))
        return false;
    return !has_moments(s->plan) || (write_at(p->out, b->m, 8 * n, p->out_data + 4 * p->dim + 8 * at) &&
                                     write_at(p->out, b->v, 8 * n, p->out_data + 12 * p->dim + 8 * at));
}

static enum ym_code advance_file(const struct step *step, const struct pass *p, const int64_t *sum, const char *path,
                                 struct ym_status *st)
{
    struct block *b = malloc(sizeof *b);
    enum ym_code code = b ? YM_OK : no_memory(st);

    for (size_t at = 0, n; code == YM_OK && at < p->dim; at += n) {
        n = block_size(p->dim, at);
        if (!read_block(step, p, at, n, b))
            code = io_failed(st, "read", "previous state");
        else if (!advance(step, b, sum + at, n))
            code = not_finite(st);
        else if (!write_block(step, p, at, n, b))
            code = io_failed(st, "write", path);
    }
    free(b);
    return code;
}

static enum ym_code write_next(const struct step *step, struct pass *p, const struct ym_buf *header, const int64_t *sum,
                               const char *temp, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
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
    struct step step;
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
        code = next_header(plan, &m, round, previous, sum, &step, &header, st);
    if (code != YM_OK)
        goto out;
    code = write_next(&step, &p, &header, sum->sum, temp, next, st);
    if (code == YM_OK)
        code = publish(temp, next_path, st);
    else if (p.out >= 0)
        unlink(temp);
    if (code == YM_OK)
        memcpy(hash, next, sizeof next);
out:
    if (p.in >= 0)
        close(p.in);
    if (p.out >= 0)
        close(p.out);
    ym_buf_release(&header);
    return code;
}

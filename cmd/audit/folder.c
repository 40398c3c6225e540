#include "cmd/audit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/verify/crypto.h"
#include "audit/verify/tar.h"
#include "base/crypto.h"
#include "base/fs.h"

enum { DEPTH = 12, PIECE = 1 << 16, FILES_MAX = 1 << 20, END_MAX = 1 << 20 };

static enum ym_code fail(struct ym_status *st, const char *what, const char *path)
{
    return ym_status_set(st, errno == ENOSPC ? YM_EXHAUSTED : YM_UNAVAILABLE, "cannot %s '%.300s': %s", what, path,
                         strerror(errno));
}

/* ---- walking ---- */

struct walk {
    enum ym_code (*visit)(void *ctx, const struct audit_file *f, struct ym_status *st);
    void *ctx;
    size_t root; /* length of the folder's path, with its slash */
};

static enum ym_code walk_in(const struct walk *w, const char *dir, int depth, struct ym_status *st);

static enum ym_code walk_one(const struct walk *w, const char *dir, const char *name, int depth, struct ym_status *st)
{
    char path[PATH_MAX];
    struct stat info;

    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK)
        return ym_status_set(st, YM_INVALID, "a path in '%.200s' is too long", dir);
    if (lstat(path, &info) != 0)
        return fail(st, "read", path);
    if (S_ISDIR(info.st_mode))
        return walk_in(w, path, depth + 1, st);
    if (!S_ISREG(info.st_mode))
        return YM_OK;
    return w->visit(w->ctx, &(struct audit_file){path, path + w->root, (uint64_t)info.st_size}, st);
}

static enum ym_code walk_in(const struct walk *w, const char *dir, int depth, struct ym_status *st)
{
    char **name = NULL;
    size_t count = 0;
    enum ym_code code = depth > DEPTH ? ym_status_set(st, YM_INVALID, "folders in '%.200s' are too deep", dir)
                                      : ym_fs_list(dir, &name, &count, st);

    for (size_t i = 0; code == YM_OK && i < count; i++)
        code = walk_one(w, dir, name[i], depth, st);
    ym_fs_names_free(name, count);
    return code;
}

enum ym_code audit_folder_each(const char *dir,
                               enum ym_code (*visit)(void *ctx, const struct audit_file *f, struct ym_status *st),
                               void *ctx, struct ym_status *st)
{
    struct walk w = {visit, ctx, strlen(dir) + 1};

    return walk_in(&w, dir, 0, st);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

void audit_folder_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- bytes ---- */

static enum ym_code write_bytes(int fd, const uint8_t *data, size_t len, const char *path, struct ym_status *st)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(st, "write", path);
        data += n;
        len -= (size_t)n;
    }
    return YM_OK;
}

/* Exactly left bytes from one file to the other; a file that ends before is cut off. */
static enum ym_code move_bytes(int from, int to, uint64_t left, const char *path, struct ym_status *st)
{
    uint8_t piece[PIECE];
    enum ym_code code = YM_OK;

    while (code == YM_OK && left > 0) {
        ssize_t n = read(from, piece, left < PIECE ? (size_t)left : PIECE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(st, "read", path);
        if (n == 0)
            return ym_status_set(st, YM_UNAVAILABLE, "'%.300s' ends too early", path);
        code = write_bytes(to, piece, (size_t)n, path, st);
        left -= (uint64_t)n;
    }
    return code;
}

static enum ym_code make_parent(const char *path, struct ym_status *st)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return YM_OK;
    if ((size_t)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path) >= sizeof(dir))
        return ym_status_set(st, YM_INVALID, "'%.200s' is too long for a path", path);
    return ym_fs_mkdirs(dir, 0755, st);
}

static enum ym_code new_file(const char *path, int *fd, struct ym_status *st)
{
    enum ym_code code = make_parent(path, st);

    if (code != YM_OK)
        return code;
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return *fd < 0 ? fail(st, "write", path) : YM_OK;
}

static enum ym_code close_file(int fd, const char *path, enum ym_code code, struct ym_status *st)
{
    if (code == YM_OK && fsync(fd) != 0)
        code = fail(st, "write", path);
    if (close(fd) != 0 && code == YM_OK)
        code = fail(st, "write", path);
    return code;
}

static enum ym_code open_file(const char *path, int *fd, uint64_t *size, struct ym_status *st)
{
    struct stat info;

    *fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return fail(st, "read", path);
    if (fstat(*fd, &info) == 0) {
        *size = (uint64_t)info.st_size;
        return YM_OK;
    }
    close(*fd);
    return fail(st, "read", path);
}

enum ym_code audit_file_copy(const char *from, const char *to, struct ym_status *st)
{
    int in, out;
    uint64_t size;
    enum ym_code code = open_file(from, &in, &size, st);

    if (code != YM_OK)
        return code;
    code = new_file(to, &out, st);
    if (code == YM_OK)
        code = close_file(out, to, move_bytes(in, out, size, from, st), st);
    close(in);
    return code;
}

enum ym_code audit_file_hash(const char *path, char hex[65], struct ym_status *st)
{
    uint8_t piece[PIECE], hash[YM_HASH_BYTES];
    struct ym_sha256 *h;
    uint64_t size;
    ssize_t n;
    int fd;
    enum ym_code code = open_file(path, &fd, &size, st);

    if (code != YM_OK)
        return code;
    h = ym_sha256_new();
    while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            ym_sha256_update(h, piece, (size_t)n);
    ym_sha256_final(&h, hash);
    ym_vhex_text(hash, sizeof(hash), hex);
    code = n < 0 ? fail(st, "read", path) : YM_OK;
    close(fd);
    return code;
}

/* ---- tar ---- */

struct packing {
    const char *top, *tar;
    int fd;
};

static enum ym_code pad(int fd, uint64_t size, const char *path, struct ym_status *st)
{
    static const uint8_t zeros[YM_TAR_BLOCK];
    size_t over = (size_t)(size % YM_TAR_BLOCK);

    return over ? write_bytes(fd, zeros, YM_TAR_BLOCK - over, path, st) : YM_OK;
}

static enum ym_code pack_file(void *ctx, const struct audit_file *f, struct ym_status *st)
{
    struct packing *p = ctx;
    struct ym_tar_entry e = {.size = f->size};
    uint8_t block[YM_TAR_BLOCK];
    uint64_t size;
    int in;
    enum ym_code code;

    if ((size_t)snprintf(e.path, sizeof(e.path), "%s/%s", p->top, f->rel) >= sizeof(e.path) ||
        !ym_tar_header_write(&e, block))
        return ym_status_set(st, YM_INVALID, "a tar cannot hold '%.200s': make a folder", f->rel);
    code = open_file(f->path, &in, &size, st);
    if (code != YM_OK)
        return code;
    code = write_bytes(p->fd, block, sizeof(block), p->tar, st);
    if (code == YM_OK)
        code = move_bytes(in, p->fd, f->size, f->path, st);
    if (code == YM_OK)
        code = pad(p->fd, f->size, p->tar, st);
    close(in);
    return code;
}

enum ym_code audit_tar_write(const char *dir, const char *top, const char *tar, struct ym_status *st)
{
    static const uint8_t end[2 * YM_TAR_BLOCK];
    struct packing p = {.top = top, .tar = tar};
    enum ym_code code = new_file(tar, &p.fd, st);

    if (code != YM_OK)
        return code;
    code = audit_folder_each(dir, pack_file, &p, st);
    if (code == YM_OK)
        code = write_bytes(p.fd, end, sizeof(end), tar, st);
    return close_file(p.fd, tar, code, st);
}

static enum ym_code unpack_file(int in, const struct ym_tar_entry *e, const char *path, const char *tar,
                                struct ym_status *st)
{
    uint64_t over = e->size % YM_TAR_BLOCK;
    int out;
    enum ym_code code = new_file(path, &out, st);

    if (code != YM_OK)
        return code;
    code = move_bytes(in, out, e->size, tar, st);
    close(out);
    if (code == YM_OK && over && lseek(in, (off_t)(YM_TAR_BLOCK - over), SEEK_CUR) < 0)
        code = fail(st, "read", tar);
    return code;
}

/* Before any folder of it is made: few bytes of a tar name a hundred folders. */
static bool too_deep(const char *path)
{
    int parts = 1;

    while (*path)
        parts += *path++ == '/';
    return parts > DEPTH;
}

static enum ym_code unpack_entry(int in, const struct ym_tar_entry *e, const char *dir, const char *tar,
                                 struct ym_status *st)
{
    char path[PATH_MAX];
    enum ym_code code;

    if (too_deep(e->path))
        return ym_status_set(st, YM_UNAVAILABLE, "folders in '%.200s' are too deep", tar);
    if (ym_fs_join(path, sizeof(path), dir, e->path) != YM_OK)
        return ym_status_set(st, YM_INVALID, "a path in '%.200s' is too long", tar);
    code = e->folder ? ym_fs_mkdirs(path, 0755, st) : unpack_file(in, e, path, tar, st);
    return code == YM_CONFLICT ? ym_status_set(st, YM_UNAVAILABLE, "'%.300s' has a file and a folder of one name", tar)
                               : code;
}

/* Behind its end a tar has zeros only, to a whole record: nothing that another program might unpack. */
static bool ends_well(int in)
{
    uint8_t piece[PIECE];
    size_t all = 0;
    ssize_t n;

    while ((n = read(in, piece, sizeof(piece))) > 0) {
        all += (size_t)n;
        for (ssize_t i = 0; i < n; i++)
            if (piece[i])
                return false;
        if (all > END_MAX)
            return false;
    }
    return n == 0;
}

enum ym_code audit_tar_unpack(const char *tar, const char *dir, struct ym_status *st)
{
    uint8_t block[YM_TAR_BLOCK];
    enum ym_tar_answer answer = YM_TAR_ENTRY;
    uint64_t size;
    int in;
    enum ym_code code = open_file(tar, &in, &size, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; code == YM_OK && answer == YM_TAR_ENTRY; i++) {
        struct ym_tar_entry e;
        ssize_t n = read(in, block, sizeof(block));

        answer = n == (ssize_t)sizeof(block) && i < FILES_MAX ? ym_tar_header_read(block, &e) : YM_TAR_REFUSED;
        if (answer == YM_TAR_REFUSED)
            code = ym_status_set(st, YM_UNAVAILABLE, "'%.300s' is no tar of plain files, or is cut off", tar);
        else if (answer == YM_TAR_ENTRY)
            code = unpack_entry(in, &e, dir, tar, st);
    }
    if (code == YM_OK && !ends_well(in))
        code = ym_status_set(st, YM_UNAVAILABLE, "'%.300s' goes on behind its end", tar);
    close(in);
    return code;
}

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "worker/data/freeze_internal.h"
#include "worker/data/png.h"

enum { READ_BYTES = 65536, PATH_BYTES = 4096, NAME_BYTES = 1024 };

static enum ym_code open_file(const char *path, int *fd, struct ym_status *st)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return ym_status_set(st, errno == ENOENT ? YM_NOT_FOUND : YM_UNAVAILABLE, "cannot open '%s': %s", path,
                             strerror(errno));
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode))
        return YM_OK;
    close(*fd);
    return ym_status_set(st, YM_INVALID, "'%s' is not a regular file", path);
}

/* ---- images beside a CSV ---- */

struct folder {
    const struct ym_card *card;
    char path[PATH_BYTES];
    struct ym_buf file; /* the PNG under way */
};

static enum ym_code picture_load(struct folder *f, const char *name, struct ym_status *st)
{
    char path[PATH_BYTES];
    struct ym_status why = YM_STATUS_INIT;
    if (!ym_card_path_inside(name) || ym_fs_join(path, sizeof path, f->path, name) != YM_OK)
        return ym_status_set(st, YM_INVALID, T(DATA_PNG_PATH), name);
    ym_buf_clear(&f->file);
    enum ym_code code = ym_fs_read(path, YM_PNG_BYTES, &f->file, &why);
    if (code == YM_EXHAUSTED)
        return ym_status_set(st, YM_INVALID, T(DATA_PNG_LARGE), name, YM_PNG_BYTES);
    return code == YM_OK ? code : ym_status_set(st, YM_INVALID, T(DATA_PNG_OPEN), name, why.message);
}

static enum ym_code picture_decode(const struct folder *f, const struct ym_card_var *v, const char *name, uint8_t *out,
                                   struct ym_status *st)
{
    const struct ym_png_shape want = {v->height, v->width, v->channels, 8};
    struct ym_png_shape is = {0};
    char why[64];
    switch (ym_png_decode(ym_buf_bytes(&f->file), &want, out, &is, why)) {
    case YM_PNG_FINE:
        return YM_OK;
    case YM_PNG_SHAPE:
        return ym_status_set(st, YM_INVALID, T(DATA_PNG_SHAPE), name, is.height, is.width, is.channels, is.bits,
                             want.height, want.width, want.channels);
    case YM_PNG_BAD:
        return ym_status_set(st, YM_INVALID, T(DATA_PNG_BAD), name, why);
    case YM_PNG_MEMORY:
        break;
    }
    return ym_status_set(st, YM_EXHAUSTED, "out of memory");
}

static enum ym_code from_folder(void *ctx, size_t var, const char *cell, size_t len, uint8_t *out, struct ym_status *st)
{
    struct folder *f = ctx;
    char name[NAME_BYTES];
    if (len >= sizeof name)
        return ym_status_set(st, YM_INVALID, T(DATA_PNG_PATH), "");
    memcpy(name, cell, len);
    name[len] = 0;
    enum ym_code code = picture_load(f, name, st);
    return code == YM_OK ? picture_decode(f, &f->card->var[var], name, out, st) : code;
}

/* folder, or that of the file. */
static enum ym_code folder_set(struct folder *f, const char *path, const char *folder, struct ym_status *st)
{
    const char *slash = strrchr(path, '/');
    const char *from = folder ? folder : slash ? path : ".";
    size_t len = folder || !slash ? strlen(from) : slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof f->path)
        return ym_status_set(st, YM_INVALID, "path too long");
    memcpy(f->path, from, len);
    f->path[len] = 0;
    return YM_OK;
}

/* ---- the file ---- */

static enum ym_code push_file(struct ym_freeze *f, int fd, const char *path, struct ym_status *st)
{
    char piece[READ_BYTES];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ym_status_set(st, YM_UNAVAILABLE, "cannot read '%s': %s", path, strerror(errno));
        if (n == 0)
            return YM_OK;
        enum ym_code code = ym_freeze_push(f, piece, (size_t)n, st);
        if (code != YM_OK)
            return code;
    }
}

static enum ym_code push_csv(struct ym_freeze *f, struct folder *folder, const char *path, const char *images,
                             struct ym_status *st)
{
    int fd;
    enum ym_code code = folder_set(folder, path, images, st);
    if (code == YM_OK)
        code = open_file(path, &fd, st);
    if (code != YM_OK)
        return code;
    ym_freeze_pictures(f, from_folder, folder);
    code = push_file(f, fd, path, st);
    close(fd);
    return code;
}

static enum ym_code push_npz(struct ym_freeze *f, const struct ym_card *card, const char *path, struct ym_status *st)
{
    struct ym_npz *z = NULL;
    int fd;
    enum ym_code code = open_file(path, &fd, st);
    if (code != YM_OK)
        return code;
    close(fd);
    code = ym_npz_open(path, &z, st);
    if (code == YM_OK)
        code = ym_freeze_npz(f, card, z, st);
    ym_npz_close(z);
    return code;
}

static enum ym_code freeze(struct ym_freeze *f, struct folder *images, const char *path, const char *folder,
                           struct ym_buf *frozen_bytes, struct ym_status *st)
{
    const struct ym_card *card = images->card;
    enum ym_code code = ym_card_is_npz(card) ? push_npz(f, card, path, st) : push_csv(f, images, path, folder, st);
    return code == YM_OK ? ym_freeze_finish(f, frozen_bytes, st) : code;
}

enum ym_code ym_freeze_file(const struct ym_card *card, const char *path, const char *folder, const uint8_t salt[32],
                            bool skip_bad, struct ym_buf *frozen_bytes, struct ym_buf *people, struct ym_buf *report,
                            struct ym_status *st)
{
    struct ym_freeze *f = NULL;
    struct folder images = {.card = card};
    enum ym_code code = ym_freeze_new(card, salt, skip_bad, report, &f, st);
    if (code == YM_OK)
        code = freeze(f, &images, path, folder, frozen_bytes, st);
    if (code == YM_OK && people)
        code = ym_freeze_people(f, ym_buf_bytes(frozen_bytes), people, st);
    if (f)
        ym_report_end(ym_freeze_report(f));
    ym_freeze_free(f);
    ym_buf_wipe(&images.file);
    return code;
}

void ym_named_rows_release(struct ym_named_rows *r)
{
    ym_buf_wipe(&r->frozen);
    ym_buf_wipe(&r->names);
    ym_buf_wipe(&r->order);
    ym_buf_wipe(&r->people);
}

enum ym_code ym_freeze_named(const struct ym_card *card, const char *path, const uint8_t salt[32], bool skip_bad,
                             struct ym_named_rows *out, struct ym_buf *report, struct ym_status *st)
{
    struct ym_freeze *f = NULL;
    struct folder images = {.card = card};
    enum ym_code code = ym_freeze_new(card, salt, skip_bad, report, &f, st);
    if (code == YM_OK) {
        ym_freeze_keep_names(f);
        code = freeze(f, &images, path, NULL, &out->frozen, st);
    }
    if (code == YM_OK)
        code = ym_freeze_names(f, &out->names, st);
    if (code == YM_OK)
        code = ym_freeze_order(f, &out->order, st);
    if (code == YM_OK)
        code = ym_freeze_people(f, ym_buf_bytes(&out->frozen), &out->people, st);
    if (f)
        ym_report_end(ym_freeze_report(f));
    ym_freeze_free(f);
    ym_buf_wipe(&images.file);
    return code;
}

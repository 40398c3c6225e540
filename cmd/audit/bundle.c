#include "cmd/audit/bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/verify/trust.h"
#include "base/fs.h"
#include "cmd/audit/document.h"
#include "cmd/audit/folder.h"
#include "cmd/audit/inputs.h"

#define PROGRAM "yumen-audit"

enum { TRIES = 5, CHECKPOINT_BYTES = 1 << 20 };

const struct ym_cli_option audit_bundle_options[] = {
    {"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},    {"objects", "DIR", YM_TEXT_AUDIT_HELP_OBJECTS, false},
    {"updates", "DIR", YM_TEXT_AUDIT_HELP_UPDATES, false}, {"checkpoint", "FILE", YM_TEXT_AUDIT_HELP_CHECKPOINT, true},
    {"out", "PATH", YM_TEXT_AUDIT_HELP_OUT_BUNDLE, false}, {NULL, NULL, 0, false}};

struct making {
    const struct audit_inputs *in;
    const char *out;
    char dir[PATH_MAX - 300]; /* where it grows, beside out */
    char logs[PATH_MAX - 280];
    struct ym_verification *v; /* of the copies */
};

static enum ym_code path_in(const struct making *m, const char *name, char out[PATH_MAX], struct ym_status *st)
{
    return ym_fs_join(out, PATH_MAX, m->dir, name) == YM_OK ? YM_OK
                                                            : ym_status_set(st, YM_INVALID, "a path is too long");
}

/* ---- copying ---- */

struct copying {
    const char *to;
    bool objects_only; /* names of 64 hex digits, nothing else */
};

static bool is_object(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static enum ym_code copy_one(void *ctx, const struct audit_file *f, struct ym_status *st)
{
    const struct copying *c = ctx;
    char to[PATH_MAX];

    if (c->objects_only && !is_object(f->rel))
        return YM_OK;
    if (ym_fs_join(to, sizeof(to), c->to, f->rel) != YM_OK)
        return ym_status_set(st, YM_INVALID, "a path in '%.200s' is too long", c->to);
    return audit_file_copy(f->path, to, st);
}

static enum ym_code copy_below(const char *dir, const char *name, const char *to_dir, struct ym_status *st)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct copying c = {.to = to};

    if (ym_fs_join(from, sizeof(from), dir, name) != YM_OK || ym_fs_join(to, sizeof(to), to_dir, name) != YM_OK)
        return ym_status_set(st, YM_INVALID, "a path in '%.200s' is too long", dir);
    return ym_fs_exists(from) ? audit_folder_each(from, copy_one, &c, st) : YM_OK;
}

/* A checkpoint as it is now; empty when there is none. */
static void read_checkpoint(const char *dir, struct ym_buf *out)
{
    char path[PATH_MAX];

    ym_buf_clear(out);
    if (ym_fs_join(path, sizeof(path), dir, "checkpoint") == YM_OK)
        ym_fs_read(path, CHECKPOINT_BYTES, out, NULL);
}

static enum ym_code copy_parts(const char *dir, const char *to, struct ym_bytes checkpoint, struct ym_status *st)
{
    char path[PATH_MAX];
    enum ym_code code = ym_fs_mkdirs(to, 0755, st);

    if (code == YM_OK && checkpoint.len > 0 && ym_fs_join(path, sizeof(path), to, "checkpoint") == YM_OK)
        code = ym_fs_write(path, checkpoint, 0644, st);
    if (code == YM_OK)
        code = copy_below(dir, "tile", to, st);
    return code == YM_OK ? copy_below(dir, "cosigned", to, st) : code;
}

/* A program may be writing: what was copied counts when the checkpoint is the same before and after. */
static enum ym_code copy_log(const char *dir, const char *to, struct ym_status *st)
{
    struct ym_buf before = {0}, after = {0};
    enum ym_code code = YM_CONFLICT;
    bool same = false;

    for (int i = 0; i < TRIES && !same; i++) {
        audit_folder_remove(to);
        read_checkpoint(dir, &before);
        code = copy_parts(dir, to, ym_buf_bytes(&before), st);
        read_checkpoint(dir, &after);
        same = before.len == after.len && (before.len == 0 || memcmp(before.data, after.data, before.len) == 0);
    }
    if (!same)
        code = ym_status_set(st, YM_CONFLICT, "'%.300s' is being written to: stop its program or try again", dir);
    ym_buf_release(&before);
    ym_buf_release(&after);
    return code;
}

static enum ym_code log_folder(const struct making *m, const struct ym_log_summary *s, size_t i, char out[PATH_MAX],
                               struct ym_status *st)
{
    char name[160];

    if (strcmp(s->role, "hub") == 0)
        snprintf(name, sizeof(name), "hub");
    else
        snprintf(name, sizeof(name), "hospital-%s", s->name);
    for (int again = 0; again < 2; again++) {
        if (ym_fs_join(out, PATH_MAX, m->logs, name) != YM_OK)
            return ym_status_set(st, YM_INVALID, "a path is too long");
        if (s->name[0] && !ym_fs_exists(out))
            return YM_OK;
        snprintf(name, sizeof(name), "ledger-%zu", i + 1); /* nameless, or a second one of that name */
    }
    return ym_fs_join(out, PATH_MAX, m->logs, name);
}

static enum ym_code write_in(const struct making *m, const char *name, struct ym_bytes bytes, struct ym_status *st)
{
    char path[PATH_MAX];
    enum ym_code code = path_in(m, name, path, st);

    return code == YM_OK ? ym_fs_write(path, bytes, 0644, st) : code;
}

static enum ym_code copy_trust(const struct making *m, struct ym_status *st)
{
    struct ym_buf bytes = {0};
    enum ym_code code = ym_fs_read(m->in->trust, YM_TRUST_MAX_BYTES, &bytes, st);

    if (code == YM_OK)
        code = write_in(m, "trust", ym_buf_bytes(&bytes), st);
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code copy_hashed(const struct making *m, const char *from, const char *name, struct ym_status *st)
{
    char to[PATH_MAX];
    struct copying c = {.to = to, .objects_only = true};
    enum ym_code code = path_in(m, name, to, st);

    if (code == YM_OK)
        code = ym_fs_mkdirs(to, 0755, st);
    return code == YM_OK ? audit_folder_each(from, copy_one, &c, st) : code;
}

static enum ym_code copy_older(const struct making *m, size_t i, struct ym_status *st)
{
    struct ym_buf bytes = {0};
    char folder[PATH_MAX], name[48];
    enum ym_code code = path_in(m, BUNDLE_OLDER, folder, st);

    snprintf(name, sizeof(name), BUNDLE_OLDER "/%06zu", i + 1);
    if (code == YM_OK)
        code = ym_fs_mkdirs(folder, 0755, st);
    if (code == YM_OK)
        code = ym_fs_read(m->in->older[i], CHECKPOINT_BYTES, &bytes, st);
    if (code == YM_OK)
        code = write_in(m, name, ym_buf_bytes(&bytes), st);
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code copy_all(struct making *m, struct ym_status *st)
{
    struct ym_verification *v = NULL;
    char to[PATH_MAX];
    enum ym_code code = audit_inputs_verify(m->in, false, &v, st); /* who they are */

    for (size_t i = 0; code == YM_OK && i < v->log_count; i++) {
        code = log_folder(m, &v->log[i], i, to, st);
        if (code == YM_OK)
            code = copy_log(m->in->dir[i], to, st);
    }
    ym_verification_free(v);
    if (code == YM_OK && m->in->trust)
        code = copy_trust(m, st);
    if (code == YM_OK && m->in->objects)
        code = copy_hashed(m, m->in->objects, BUNDLE_OBJECTS, st);
    if (code == YM_OK && m->in->updates)
        code = copy_hashed(m, m->in->updates, BUNDLE_UPDATES, st);
    for (size_t i = 0; code == YM_OK && i < m->in->older_count; i++)
        code = copy_older(m, i, st);
    return code;
}

/* ---- what is said about them ---- */

static enum ym_code write_readme(const struct making *m, const char *name, enum ym_lang lang, struct ym_status *st)
{
    const char *text = ym_text_in(YM_TEXT_BUNDLE_README, lang);

    return write_in(m, name, (struct ym_bytes){(const uint8_t *)text, strlen(text)}, st);
}

static enum ym_code write_report(struct making *m, struct ym_status *st)
{
    struct audit_inputs copies;
    struct ym_buf page = {0};
    enum ym_code code = audit_inputs_bundle(m->dir, m->in->trust, &copies, st);

    if (code == YM_OK)
        code = audit_inputs_verify(&copies, true, &m->v, st);
    if (code == YM_OK)
        code = audit_document_make(&copies, m->v, &page, st);
    if (code == YM_OK)
        code = write_in(m, "report.html", ym_buf_bytes(&page), st);
    ym_buf_release(&page);
    audit_inputs_release(&copies);
    return code;
}

static enum ym_code add_sum(void *ctx, const struct audit_file *f, struct ym_status *st)
{
    char hex[65];
    enum ym_code code = audit_file_hash(f->path, hex, st);

    return code == YM_OK ? ym_buf_printf(ctx, "%s  %s\n", hex, f->rel) : code;
}

static enum ym_code write_sums(const struct making *m, struct ym_status *st)
{
    struct ym_buf sums = {0};
    enum ym_code code = audit_folder_each(m->dir, add_sum, &sums, st);

    if (code == YM_OK)
        code = write_in(m, BUNDLE_SUMS, ym_buf_bytes(&sums), st);
    ym_buf_release(&sums);
    return code;
}

static enum ym_code fill(struct making *m, struct ym_status *st)
{
    enum ym_code code = ym_fs_mkdirs(m->logs, 0755, st);

    if (code == YM_OK)
        code = copy_all(m, st);
    if (code == YM_OK)
        code = write_report(m, st);
    if (code == YM_OK)
        code = write_readme(m, "README.en.txt", YM_LANG_EN, st);
    if (code == YM_OK)
        code = write_readme(m, "README.zh.txt", YM_LANG_ZH, st);
    return code == YM_OK ? write_sums(m, st) : code;
}

/* ---- putting it there ---- */

static enum ym_code begin(struct making *m, struct ym_status *st)
{
    int len = snprintf(m->dir, sizeof(m->dir), "%s.%ld.part", m->out, (long)getpid());

    if (len < 0 || (size_t)len >= sizeof(m->dir) || ym_fs_join(m->logs, sizeof(m->logs), m->dir, BUNDLE_LOGS) != YM_OK)
        return ym_status_set(st, YM_INVALID, "'%.200s' is too long for a path", m->out);
    if (ym_fs_exists(m->out))
        return ym_status_set(st, YM_CONFLICT, T(BUNDLE_THERE), m->out);
    if (mkdir(m->dir, 0755) != 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot make '%.300s': %s", m->dir, strerror(errno));
    return YM_OK;
}

static bool wants_tar(const char *out)
{
    size_t len = strlen(out);

    return len > 4 && strcmp(out + len - 4, ".tar") == 0;
}

static enum ym_code sync_parent(const char *path, struct ym_status *st)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    return ym_fs_sync_dir(dir, st);
}

static enum ym_code put(const struct making *m, struct ym_status *st)
{
    char tar[PATH_MAX];
    const char *from = m->dir;
    enum ym_code code = YM_OK;

    if (wants_tar(m->out)) {
        snprintf(tar, sizeof(tar), "%s.tar", m->dir);
        from = tar;
        code = audit_tar_write(m->dir, BUNDLE_TOP, tar, st);
    }
    if (code == YM_OK && rename(from, m->out) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot make '%.300s': %s", m->out, strerror(errno));
    if (code != YM_OK && from == tar)
        unlink(tar);
    return code == YM_OK ? sync_parent(m->out, st) : code;
}

static enum ym_code make(struct making *m, struct ym_status *st)
{
    enum ym_code code = begin(m, st);

    if (code != YM_OK)
        return code;
    code = fill(m, st);
    if (code == YM_OK)
        code = put(m, st);
    audit_folder_remove(m->dir); /* a tar's, or what was left half made */
    return code;
}

int audit_bundle(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct audit_inputs in = {0};
    struct making m = {.in = &in, .out = ym_cli_get(a, "out")};
    enum ym_code code;
    int rc;

    if (!m.out || !m.out[0] || m.out[strlen(m.out) - 1] == '/')
        code = ym_status_set(&st, YM_INVALID, "%s", T(BUNDLE_OUT));
    else if ((code = audit_inputs_take(a, a->positional_count, &in, &st)) == YM_OK)
        code = make(&m, &st);
    rc = code == YM_OK ? (int)ym_verification_verdict(m.v) : ym_cli_fail(PROGRAM, &st);
    ym_verification_free(m.v);
    audit_inputs_release(&in);
    return rc;
}

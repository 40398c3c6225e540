#include "cmd/audit/inputs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "cmd/audit/bundle.h"
#include "cmd/audit/folder.h"

/* A state folder is taken for the ledger inside it. */
static void ledger_path(const char *given, char out[AUDIT_PATH])
{
    char note[AUDIT_PATH];

    snprintf(out, AUDIT_PATH, "%s", given);
    if (ym_fs_join(note, sizeof(note), given, "ledger/checkpoint") == YM_OK && ym_fs_exists(note) &&
        ym_fs_join(out, AUDIT_PATH, given, "ledger") != YM_OK)
        snprintf(out, AUDIT_PATH, "%s", given);
}

static bool is_bundle(const char *dir)
{
    char logs[AUDIT_PATH], sums[AUDIT_PATH];

    return ym_fs_join(logs, sizeof(logs), dir, BUNDLE_LOGS) == YM_OK && ym_fs_exists(logs) &&
           ym_fs_join(sums, sizeof(sums), dir, BUNDLE_SUMS) == YM_OK && ym_fs_exists(sums);
}

static enum ym_code make_room(struct audit_inputs *in, size_t count, struct ym_status *st)
{
    if (count == 0 || count > AUDIT_LOGS_MAX)
        return ym_status_set(st, YM_INVALID, "%zu ledgers: one at least, %d at most", count, AUDIT_LOGS_MAX);
    in->path = calloc(count, sizeof(*in->path));
    in->dir = calloc(count, sizeof(*in->dir));
    in->count = count;
    if (!in->path || !in->dir)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < count; i++)
        in->dir[i] = in->path[i];
    return YM_OK;
}

/* A folder of the bundle, NULL when it has none. */
static const char *part_of(const char *dir, const char *name, char out[AUDIT_PATH])
{
    return ym_fs_join(out, AUDIT_PATH, dir, name) == YM_OK && ym_fs_exists(out) ? out : NULL;
}

static enum ym_code take_bundle_older(const char *dir, struct audit_inputs *in, struct ym_status *st)
{
    char folder[AUDIT_PATH], **names = NULL;
    size_t count = 0;
    enum ym_code code = part_of(dir, BUNDLE_OLDER, folder) ? ym_fs_list(folder, &names, &count, st) : YM_OK;

    if (code == YM_OK && count > AUDIT_OLDER_MAX)
        code = ym_status_set(st, YM_INVALID, "%zu older checkpoints: %d at most", count, AUDIT_OLDER_MAX);
    if (code == YM_OK && count > 0) {
        free(in->older);
        in->older_path = calloc(count, sizeof(*in->older_path));
        in->older = calloc(count, sizeof(*in->older));
        if (!in->older_path || !in->older)
            code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        code = ym_fs_join(in->older_path[i], AUDIT_PATH, folder, names[i]);
        in->older[i] = in->older_path[i];
        in->older_count = i + 1;
    }
    ym_fs_names_free(names, count);
    return code;
}

static enum ym_code take_bundle(const char *dir, struct audit_inputs *in, struct ym_status *st)
{
    char logs[AUDIT_PATH], **names = NULL;
    size_t count = 0;
    enum ym_code code = ym_fs_join(logs, sizeof(logs), dir, BUNDLE_LOGS);

    if (code == YM_OK)
        code = ym_fs_list(logs, &names, &count, st);
    if (code == YM_OK)
        code = make_room(in, count, st);
    for (size_t i = 0; code == YM_OK && i < count; i++)
        code = ym_fs_join(in->path[i], AUDIT_PATH, logs, names[i]);
    ym_fs_names_free(names, count);
    in->bundle = true;
    if (!in->objects)
        in->objects = part_of(dir, BUNDLE_OBJECTS, in->objects_path);
    if (!in->updates && in->objects)
        in->updates = part_of(dir, BUNDLE_UPDATES, in->updates_path);
    return code == YM_OK && in->older_count == 0 ? take_bundle_older(dir, in, st) : code;
}

enum ym_code audit_inputs_bundle(const char *dir, const char *trust, struct audit_inputs *out, struct ym_status *st)
{
    memset(out, 0, sizeof(*out));
    out->trust = trust;
    return take_bundle(dir, out, st);
}

/* A tar is unpacked where the system keeps such things: nothing in it can lead out of there. */
static enum ym_code take_tar(const char *tar, struct audit_inputs *in, struct ym_status *st)
{
    const char *tmp = getenv("TMPDIR");
    char top[AUDIT_PATH], scratch[AUDIT_PATH];
    enum ym_code code;

    if ((size_t)snprintf(scratch, sizeof(scratch), "%s/yumen-audit-XXXXXX", tmp && tmp[0] ? tmp : "/tmp") >=
            sizeof(scratch) ||
        !mkdtemp(scratch))
        return ym_status_set(st, YM_UNAVAILABLE, "cannot make a folder to unpack '%.200s' in", tar);
    memcpy(in->scratch, scratch, sizeof(scratch));
    code = audit_tar_unpack(tar, scratch, st);
    if (code == YM_OK)
        code = ym_fs_join(top, sizeof(top), scratch, BUNDLE_TOP);
    if (code == YM_OK && !is_bundle(top))
        code = ym_status_set(st, YM_UNAVAILABLE, "'%.200s' is no evidence bundle", tar);
    return code == YM_OK ? take_bundle(top, in, st) : code;
}

static bool is_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* Whoever made the folder made that file too. */
static bool lies_in(const char *file, const char *dir)
{
    char *inner = realpath(file, NULL), *outer = realpath(dir, NULL);
    size_t len = outer ? strlen(outer) : 0;
    bool inside = inner && outer && strncmp(inner, outer, len) == 0 && inner[len] == '/';

    free(inner);
    free(outer);
    return inside;
}

static enum ym_code take_older(const struct ym_cli_args *a, struct audit_inputs *in, struct ym_status *st)
{
    in->older = calloc(a->option_count + 1, sizeof(*in->older));
    if (!in->older)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    while ((in->older[in->older_count] = ym_cli_nth(a, "checkpoint", in->older_count)))
        in->older_count++;
    return YM_OK;
}

enum ym_code audit_inputs_take(const struct ym_cli_args *a, size_t count, struct audit_inputs *out,
                               struct ym_status *st)
{
    enum ym_code code;

    memset(out, 0, sizeof(*out));
    code = take_older(a, out, st);
    if (code != YM_OK)
        return code;
    out->objects = ym_cli_get(a, "objects");
    out->updates = ym_cli_get(a, "updates");
    out->trust = ym_cli_get(a, "trust");
    if (count == 1 && is_bundle(a->positional[0])) {
        out->trust_inside = out->trust && lies_in(out->trust, a->positional[0]);
        return take_bundle(a->positional[0], out, st);
    }
    if (count == 1 && is_file(a->positional[0]))
        return take_tar(a->positional[0], out, st);
    code = make_room(out, count, st);
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        ledger_path(a->positional[i], out->path[i]);
        out->trust_inside |= out->trust && lies_in(out->trust, a->positional[i]);
    }
    return code;
}

void audit_inputs_release(struct audit_inputs *in)
{
    if (in->scratch[0])
        audit_folder_remove(in->scratch);
    free(in->path);
    free(in->dir);
    free(in->older);
    free(in->older_path);
    memset(in, 0, sizeof(*in));
}

enum ym_code audit_inputs_verify(const struct audit_inputs *in, bool certified, struct ym_verification **v,
                                 struct ym_status *st)
{
    struct ym_verify_options o = {.trust = in->trust,
                                  .objects = in->objects,
                                  .updates = in->updates,
                                  .checkpoint = in->older,
                                  .checkpoint_count = in->older_count,
                                  .certified = certified};
    enum ym_code code = ym_verify(in->dir, in->count, &o, v, st);

    for (size_t i = 0; code == YM_OK && in->trust_inside && i < in->count; i++)
        (*v)->log[i].anchored = false;
    return code;
}

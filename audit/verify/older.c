#include <inttypes.h>
#include <string.h>

#include "audit/verify/check.h"
#include "base/fs.h"

/* A log against every other word of its owner about its size and root: older checkpoints that the
 * auditor kept, and a second copy of the log. Two that do not fit are a split view. */

static void check_root(struct ym_check *c, size_t log, const struct ym_vnote *n, const char *where)
{
    uint8_t root[32];

    if (!ym_folder_root_at(&c->log[log].folder, n->size, root))
        ym_check_find(c, log, -1, YM_REASON_CHECKPOINT_BEHIND,
                      "it has %zu entries, the checkpoint in '%.150s' covers %" PRIu64, c->log[log].folder.count, where,
                      n->size);
    else if (memcmp(root, n->root, sizeof(root)) != 0)
        ym_check_find(c, log, -1, YM_REASON_CHECKPOINT_INCONSISTENT,
                      "its first %" PRIu64 " entries have another root than the checkpoint in '%.150s'", n->size,
                      where);
}

static size_t log_of(const struct ym_check *c, const char *origin)
{
    for (size_t k = 0; k < c->v->log_count; k++)
        if (strcmp(c->log[k].folder.note.origin, origin) == 0)
            return k;
    return YM_NO_LOG;
}

static enum ym_code check_file(struct ym_check *c, const char *path, struct ym_status *st)
{
    struct ym_buf bytes = {0};
    struct ym_vnote note = {0};
    enum ym_code code = ym_fs_read(path, YM_VNOTE_MAX, &bytes, st);
    size_t log;

    if (code == YM_EXHAUSTED || (code == YM_OK && !ym_vnote_parse(ym_buf_bytes(&bytes), &note)))
        code = ym_status_set(st, YM_INVALID, "'%s' is no checkpoint: origin, size, root, signatures", path);
    log = code == YM_OK ? log_of(c, note.origin) : YM_NO_LOG;
    if (code == YM_OK && log == YM_NO_LOG)
        code = ym_status_set(st, YM_INVALID, "'%s' is a checkpoint of '%.150s', which is not among the ledgers", path,
                             note.origin);
    if (code == YM_OK && c->log[log].usable && ym_check_note(c, log, &note, c->log[log].owner)) {
        check_root(c, log, &note, path);
        c->v->log[log].checkpoints++;
    }
    ym_buf_release(&bytes);
    return code;
}

enum ym_code ym_check_older(struct ym_check *c, const char *const *path, size_t count, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < count; i++)
        code = check_file(c, path[i], st);
    for (size_t a = 0; a < c->v->log_count; a++)
        for (size_t b = 0; b < c->v->log_count; b++) {
            const struct ym_vnote *one = &c->log[a].folder.note, *two = &c->log[b].folder.note;

            if (a != b && c->log[a].usable && c->log[b].usable && strcmp(one->origin, two->origin) == 0 &&
                (one->size < two->size || (one->size == two->size && a < b)))
                check_root(c, b, one, c->v->log[a].dir);
        }
    return code;
}

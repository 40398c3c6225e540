#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "worker/trainer/trainer_internal.h"

enum { PLAN_FILE_MAX = YM_FRAME_MAX_PAYLOAD };

enum ym_code ym_trainer_keep_plan(struct ym_trainer *t, const struct ym_core_study *s, struct ym_bytes parts,
                                  struct ym_status *st)
{
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_hash_path(&t->site, "plans", s->hash, ".plan", path);

    if (code == YM_OK && !ym_trainer_disk_ok(t, parts.len)) /* the reserve is for releases and the ledger */
        return ym_status_set(st, YM_EXHAUSTED, "the disk is too full to keep a plan; the hub gives it again");
    return code == YM_OK ? ym_fs_write(path, parts, 0600, st) : code;
}

enum ym_code ym_trainer_close_plan(struct ym_trainer *t, const struct ym_core_study *s, struct ym_bytes line,
                                   struct ym_status *st)
{
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_hash_path(&t->site, "plans", s->hash, ".closed", path);

    return code == YM_OK ? ym_fs_write(path, line, 0600, st) : code;
}

static bool named(const char *name, const char *suffix, uint8_t hash[YM_HASH_BYTES])
{
    size_t len = strlen(name);

    return len == 2 * YM_HASH_BYTES + strlen(suffix) && strcmp(name + 2 * YM_HASH_BYTES, suffix) == 0 &&
           ym_hex_decode(name, 2 * YM_HASH_BYTES, hash, YM_HASH_BYTES) == YM_OK;
}

/* Signatures are checked again: a file that does not hold is left out, named in
 * the log, and given again by the hub. */
static void load_plan(struct ym_trainer *t, const char *name)
{
    struct ym_actions none = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf parts = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(&t->site, "plans", name, path);

    if (code == YM_OK)
        code = ym_fs_read(path, PLAN_FILE_MAX, &parts, &st);
    if (code == YM_OK)
        code = ym_core_plan(t->core, (struct ym_bytes){parts.data, parts.len}, true, &none, &st);
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.plan_unusable", "file=%s why=\"%s\"", name, st.message);
    ym_actions_release(&none);
    ym_buf_release(&parts);
}

enum ym_code ym_trainer_load_plans(struct ym_trainer *t, struct ym_status *st)
{
    char dir[YM_SITE_PATH];
    char **name = NULL;
    size_t count = 0;
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_site_path(&t->site, "plans", NULL, dir);

    if (code == YM_OK)
        code = ym_fs_list(dir, &name, &count, st);
    /* closed ones first know their end, so that they do not count as open; a
     * "closed" name sorts before its "plan" */
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        if (named(name[i], ".plan", hash)) {
            load_plan(t, name[i]);
            if (i > 0 && strncmp(name[i - 1], name[i], 2 * YM_HASH_BYTES) == 0)
                ym_core_mark_closed(t->core, hash);
        }
    }
    ym_fs_names_free(name, count);
    return code;
}

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "worker/trainer/trainer_internal.h"

/* States arrive as OBJECT frames, in order, named by their SHA-256. A part file
 * takes its name only when the hash is right. */

static void object_path(const struct ym_trainer *t, const uint8_t hash[YM_HASH_BYTES], const char *suffix,
                        char out[YM_SITE_PATH])
{
    if (ym_site_hash_path(&t->site, "objects", hash, suffix, out) != YM_OK)
        out[0] = 0;
}

bool ym_trainer_disk_ok(const struct ym_trainer *t, uint64_t bytes)
{
    struct statvfs v;

    if (statvfs(t->site.dir, &v) != 0)
        return false;
    return (uint64_t)v.f_bavail * v.f_frsize >= bytes + ((uint64_t)t->site.reserve_mb << 20);
}

bool ym_trainer_have_state(struct ym_trainer *t, const uint8_t hash[YM_HASH_BYTES])
{
    char path[YM_SITE_PATH];

    object_path(t, hash, ".state", path);
    return ym_fs_exists(path);
}

static void drop_incoming(struct ym_trainer *t)
{
    char path[YM_SITE_PATH];

    if (t->in.fd < 0)
        return;
    close(t->in.fd);
    t->in.fd = -1;
    ym_sha256_free(t->in.sha);
    t->in.sha = NULL;
    object_path(t, t->in.hash, ".part", path);
    unlink(path);
}

static bool begin_incoming(struct ym_trainer *t, const uint8_t hash[YM_HASH_BYTES], uint64_t total)
{
    char path[YM_SITE_PATH];

    drop_incoming(t);
    if (ym_trainer_have_state(t, hash))
        return false;
    ym_trainer_sweep_objects(t); /* whatever the gateway sends, no more than a few are kept */
    if (!ym_trainer_disk_ok(t, total))
        return false;
    object_path(t, hash, ".part", path);
    t->in.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (t->in.fd < 0) {
        ym_log(YM_LOG_ERROR, "trainer.object", "why=\"%s\"", strerror(errno));
        return false;
    }
    memcpy(t->in.hash, hash, YM_HASH_BYTES);
    t->in.total = total;
    t->in.done = 0;
    t->in.sha = ym_sha256_new();
    return true;
}

/* The state need not be durable: the hub has it, and a lost one comes again. */
static void end_incoming(struct ym_trainer *t)
{
    char part[YM_SITE_PATH], whole[YM_SITE_PATH];
    uint8_t got[YM_HASH_BYTES];

    ym_sha256_final(&t->in.sha, got);
    close(t->in.fd);
    t->in.fd = -1;
    object_path(t, t->in.hash, ".part", part);
    object_path(t, t->in.hash, ".state", whole);
    if (memcmp(got, t->in.hash, sizeof got) != 0 || rename(part, whole) != 0) {
        ym_log(YM_LOG_WARN, "trainer.object", "why=\"hash differs or cannot be kept\"");
        unlink(part);
        return;
    }
    memcpy(t->recent[t->recent_next++ % YM_TRAINER_RECENT], got, sizeof got);
}

void ym_trainer_object(struct ym_trainer *t, const struct ym_frame *f)
{
    const uint8_t *data = f->payload.data + YM_HASH_BYTES;
    size_t len;

    if (f->payload.len <= YM_HASH_BYTES)
        return;
    len = f->payload.len - YM_HASH_BYTES;
    if (f->offset == 0 && !begin_incoming(t, f->payload.data, f->total))
        return;
    if (t->in.fd < 0 || memcmp(t->in.hash, f->payload.data, YM_HASH_BYTES) != 0 || f->offset != t->in.done ||
        f->total != t->in.total || len > t->in.total - t->in.done)
        return;
    if (write(t->in.fd, data, len) != (ssize_t)len) {
        ym_log(YM_LOG_ERROR, "trainer.object", "why=\"%s\"", strerror(errno));
        drop_incoming(t);
        return;
    }
    ym_sha256_update(t->in.sha, data, len);
    t->in.done += len;
    if (t->in.done == t->in.total)
        end_incoming(t);
}

static bool is_state(const struct ym_trainer *t, const uint8_t hash[YM_HASH_BYTES], const char *name)
{
    char path[YM_SITE_PATH];

    object_path(t, hash, ".state", path);
    return strstr(path, name) != NULL;
}

static bool in_use(struct ym_trainer *t, const char *name)
{
    for (size_t i = 0; i < YM_TRAINER_RECENT; i++)
        if (is_state(t, t->recent[i], name))
            return true;
    for (size_t i = 0; i < ym_core_study_count(t->core); i++) {
        const struct ym_core_study *s = ym_core_study_at(t->core, i);

        if (!s->closed && s->phase != YM_STUDY_IDLE && is_state(t, s->state, name))
            return true;
    }
    return false;
}

void ym_trainer_sweep_objects(struct ym_trainer *t)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH];
    char **name = NULL;
    size_t count = 0;

    if (ym_site_path(&t->site, "objects", NULL, dir) != YM_OK || ym_fs_list(dir, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (!in_use(t, name[i]) && ym_site_path(&t->site, "objects", name[i], path) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, count);
}

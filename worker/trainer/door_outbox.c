#include "worker/trainer/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/fs.h"
#include "base/json.h"

#define UPDATE_SUFFIX ".update"

enum ym_code ym_outbox_path(const struct ym_door *d, const uint8_t charge[YM_HASH_BYTES], char out[YM_SITE_PATH])
{
    return ym_site_hash_path(d->o.site, "outbox", charge, UPDATE_SUFFIX, out);
}

static enum ym_code check_file(const char *path, uint64_t bytes, const uint8_t want[YM_HASH_BYTES],
                               struct ym_status *st)
{
    struct ym_sha256 *h = ym_sha256_new();
    uint8_t block[65536], got[YM_HASH_BYTES];
    uint64_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0) {
        ym_sha256_free(h);
        return ym_status_set(st, YM_NOT_FOUND, "the outbox file is gone: %s", strerror(errno));
    }
    while (done <= bytes && (n = read(fd, block, sizeof block)) > 0) {
        ym_sha256_update(h, block, (size_t)n);
        done += (uint64_t)n;
    }
    close(fd);
    ym_sha256_final(&h, got);
    if (n < 0 || done != bytes || memcmp(got, want, sizeof got) != 0)
        return ym_status_set(st, YM_CORRUPT, "the outbox file \"%s\" is not what the ledger says was released", path);
    return YM_OK;
}

static enum ym_code read_release(const struct ym_door *d, struct ym_bytes charge_line, struct ym_bytes release_line,
                                 struct ym_release *r, uint8_t update[YM_HASH_BYTES], struct ym_status *st)
{
    uint8_t charge[YM_HASH_BYTES];
    json_t *o = NULL;
    int64_t bytes = 0;
    enum ym_code code = ym_leaf_open(release_line, d->pub, "release", &o, st);

    ym_sha256(charge_line.data, charge_line.len, r->charge);
    r->last_year = ym_meter_last_year(charge_line);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "charge", charge, st);
    if (code == YM_OK && memcmp(charge, r->charge, sizeof charge) != 0)
        code = ym_status_set(st, YM_CORRUPT, "the release leaf is for another charge");
    if (code == YM_OK)
        code = ym_json_get_hash(o, "update", update, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "bytes", 8, (int64_t)YM_FRAME_MAX_TOTAL, &bytes, st);
    r->bytes = (uint64_t)bytes;
    json_decref(o);
    return code;
}

enum ym_code ym_door_recover(struct ym_door *d, struct ym_bytes charge_line, struct ym_bytes release_line,
                             struct ym_release **out, struct ym_status *st)
{
    struct ym_release *r = calloc(1, sizeof *r);
    uint8_t update[YM_HASH_BYTES];
    enum ym_code code = r ? read_release(d, charge_line, release_line, r, update, st)
                          : ym_status_set(st, YM_EXHAUSTED, "no memory for a release");

    if (code == YM_OK)
        code = ym_outbox_path(d, r->charge, r->path);
    if (code == YM_OK)
        code = check_file(r->path, r->bytes, update, st);
    if (code == YM_OK)
        code = ym_buf_append(&r->charge_line, charge_line.data, charge_line.len);
    if (code == YM_OK)
        code = ym_buf_append(&r->release_line, release_line.data, release_line.len);
    if (code != YM_OK) {
        ym_release_free(&r);
        return code;
    }
    *out = r;
    return YM_OK;
}

enum ym_code ym_door_send(struct ym_door *d, struct ym_release **r, struct ym_status *st)
{
    for (size_t i = 0; i < d->release_count; i++)
        if (memcmp(d->release[i]->charge, (*r)->charge, YM_HASH_BYTES) == 0) {
            ym_release_free(r);
            return YM_OK;
        }
    if (d->release_count == YM_DOOR_RELEASES)
        return ym_status_set(st, YM_EXHAUSTED, "%d releases wait for the gateway", YM_DOOR_RELEASES);
    d->release[d->release_count++] = *r;
    *r = NULL;
    return YM_OK;
}

void ym_door_remove_at(struct ym_door *d, size_t i)
{
    if (i == 0)
        ym_door_close_file(d);
    ym_release_free(&d->release[i]);
    d->release_count--;
    memmove(d->release + i, d->release + i + 1, (d->release_count - i) * sizeof *d->release);
}

enum ym_code ym_door_path(const struct ym_door *d, struct ym_bytes charge_line, char out[YM_SITE_PATH])
{
    uint8_t charge[YM_HASH_BYTES];

    ym_sha256(charge_line.data, charge_line.len, charge);
    return ym_outbox_path(d, charge, out);
}

void ym_door_drop(struct ym_door *d, struct ym_bytes charge_line, bool keep)
{
    uint8_t charge[YM_HASH_BYTES];
    char path[YM_SITE_PATH];

    ym_sha256(charge_line.data, charge_line.len, charge);
    for (size_t i = 0; i < d->release_count; i++)
        if (memcmp(d->release[i]->charge, charge, sizeof charge) == 0) {
            ym_door_remove_at(d, i);
            break;
        }
    if (!keep && ym_outbox_path(d, charge, path) == YM_OK)
        unlink(path);
}

static bool named_after(const char *name, struct ym_bytes charge_line)
{
    uint8_t charge[YM_HASH_BYTES];
    struct ym_buf hex = {0};
    bool same;

    ym_sha256(charge_line.data, charge_line.len, charge);
    same = ym_hex_encode(charge, sizeof charge, &hex) == YM_OK &&
           strncmp(name, ym_buf_str(&hex), 2 * sizeof charge) == 0 &&
           strcmp(name + 2 * sizeof charge, UPDATE_SUFFIX) == 0;
    ym_buf_release(&hex);
    return same;
}

static bool kept(const char *name, const struct ym_bytes *keep, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (named_after(name, keep[i]))
            return true;
    return false;
}

struct search {
    const char *hex;
    bool found;
};

static bool is_charge(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct search *s = ctx;

    (void)index;
    s->found = named_after(s->hex, leaf);
    return !s->found;
}

/* An update takes its name after its charge is in the ledger. One whose charge is
 * not there was made under a newer ledger than this. */
static enum ym_code check_known(const struct ym_door *d, const char *name, struct ym_status *st)
{
    struct search s = {.hex = name};
    enum ym_code code;

    if (strlen(name) != 2 * YM_HASH_BYTES + strlen(UPDATE_SUFFIX) ||
        strcmp(name + 2 * YM_HASH_BYTES, UPDATE_SUFFIX) != 0)
        return YM_OK;
    code = ym_ledger_each(d->o.ledger, 0, is_charge, &s, st);
    if (code == YM_OK && !s.found)
        code =
            ym_status_set(st, YM_CORRUPT,
                          "the ledger does not know the charge of outbox/%s: it is an older copy, and what was spent "
                          "since is missing; bring the newest copy back",
                          name);
    return code;
}

enum ym_code ym_door_sweep(struct ym_door *d, const struct ym_bytes *keep, size_t count, struct ym_status *st)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH];
    char **name = NULL;
    size_t names = 0;
    enum ym_code code = ym_site_path(d->o.site, "outbox", NULL, dir);

    if (code == YM_OK)
        code = ym_fs_list(dir, &name, &names, st);
    for (size_t i = 0; code == YM_OK && i < names; i++)
        if (!kept(name[i], keep, count) && (code = check_known(d, name[i], st)) == YM_OK &&
            ym_site_path(d->o.site, "outbox", name[i], path) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, names);
    return code;
}

#include "coordinator/aggregate/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum ym_code ym_object_path(const char *dir, const uint8_t hash[YM_HASH_BYTES], char path[YM_OBJECT_PATH])
{
    static const char digit[] = "0123456789abcdef";
    char name[2 * YM_HASH_BYTES + 1];

    for (size_t i = 0; i < YM_HASH_BYTES; i++) {
        name[2 * i] = digit[hash[i] >> 4];
        name[2 * i + 1] = digit[hash[i] & 15];
    }
    name[2 * YM_HASH_BYTES] = 0;
    return ym_fs_join(path, YM_OBJECT_PATH, dir, name);
}

enum ym_code ym_object_put(const char *dir, struct ym_bytes data, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    char path[YM_OBJECT_PATH];
    enum ym_code code;

    ym_sha256(data.data, data.len, hash);
    code = ym_object_path(dir, hash, path);
    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    return ym_fs_exists(path) ? YM_OK : ym_fs_write(path, data, 0600, st);
}

enum ym_code ym_object_adopt(const char *dir, const char *from, const uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    char path[YM_OBJECT_PATH];
    enum ym_code code = ym_object_path(dir, hash, path);

    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    if (rename(from, path) != 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot rename '%s': %s", from, strerror(errno));
    return ym_fs_sync_dir(dir, st);
}

enum ym_code ym_object_get(const char *dir, const uint8_t hash[YM_HASH_BYTES], size_t limit, struct ym_buf *out,
                           struct ym_status *st)
{
    char path[YM_OBJECT_PATH];
    uint8_t got[YM_HASH_BYTES];
    struct ym_buf data = {0};
    enum ym_code code = ym_object_path(dir, hash, path);

    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    code = ym_fs_read(path, limit, &data, st);
    if (code != YM_OK)
        return code;
    ym_sha256(data.data, data.len, got);
    if (memcmp(got, hash, sizeof got) == 0)
        code = ym_buf_append(out, data.data, data.len);
    else
        code = ym_status_set(st, YM_CORRUPT, "object '%s' is damaged", path);
    ym_buf_release(&data);
    return code;
}

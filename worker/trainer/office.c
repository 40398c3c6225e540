#include "worker/trainer/office.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"

static enum ym_code folder_of(const char *dir, enum ym_office office, char folder[PATH_MAX], char key[PATH_MAX],
                              struct ym_status *st)
{
    enum ym_code code = ym_fs_join(folder, PATH_MAX, dir, ym_office_word(office));

    if (code == YM_OK)
        code = ym_fs_join(key, PATH_MAX, folder, "office.key");
    return code == YM_OK ? code : ym_status_set(st, YM_INVALID, "\"%.200s\" is too long a path", dir);
}

static enum ym_code load(const char *folder, const char *path, struct ym_key **key, struct ym_status *st)
{
    struct ym_buf secret = {0};
    enum ym_code code = ym_secret_load(folder, false, &secret, st);

    if (code == YM_OK)
        code = ym_key_load(path, ym_buf_bytes(&secret), key, st);
    ym_buf_wipe(&secret);
    return code;
}

enum ym_code ym_office_key_load(const char *dir, enum ym_office office, struct ym_key **key, struct ym_status *st)
{
    char folder[PATH_MAX], path[PATH_MAX];
    enum ym_code code = folder_of(dir, office, folder, path, st);

    if (code != YM_OK)
        return code;
    if (access(path, R_OK) != 0)
        return ym_status_set(st, YM_NOT_FOUND, "no key of %s in \"%s\"", ym_office_word(office), dir);
    return load(folder, path, key, st);
}

enum ym_code ym_office_key_make(const char *dir, enum ym_office office, struct ym_key **key, struct ym_status *st)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct ym_buf secret = {0};
    enum ym_code code = folder_of(dir, office, folder, path, st);

    if (code != YM_OK)
        return code;
    if (ym_fs_exists(path))
        return load(folder, path, key, st);
    code = ym_fs_mkdirs(folder, 0700, st);
    if (code == YM_OK)
        code = ym_secret_load(folder, true, &secret, st);
    if (code == YM_OK)
        code = ym_key_generate(key, st);
    if (code == YM_OK && (code = ym_key_save(*key, path, ym_buf_bytes(&secret), st)) != YM_OK) {
        ym_key_free(*key);
        *key = NULL;
    }
    ym_buf_wipe(&secret);
    return code;
}

json_t *ym_office_members(enum ym_office office, const uint8_t *pub)
{
    struct ym_buf text = {0};
    json_t *o = NULL;

    if (!pub || ym_base64_encode(pub, YM_PUBKEY_BYTES, &text) == YM_OK)
        o = json_pack("{s:s, s:s}", "office", ym_office_word(office), "public_key", ym_buf_str(&text));
    ym_buf_release(&text);
    return o;
}

#include "audit/ledger/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/cosign.h"
#include "audit/ledger/stage.h"
#include "base/fs.h"

#define NAME_DIGITS 20

static enum ym_code folder_path(const char *dir, char out[4096], struct ym_status *st)
{
    enum ym_code code = ym_fs_join(out, 4096, dir, "cosigned");

    return code == YM_OK ? YM_OK : ym_status_set(st, code, "'%.200s' is too long a path", dir);
}

static enum ym_code note_path(const char *dir, uint64_t size, char out[4096], struct ym_status *st)
{
    char folder[4096], name[NAME_DIGITS + 1];
    enum ym_code code = folder_path(dir, folder, st);

    if (code != YM_OK)
        return code;
    snprintf(name, sizeof(name), "%020" PRIu64, size);
    code = ym_fs_join(out, 4096, folder, name);
    return code == YM_OK ? YM_OK : ym_status_set(st, code, "'%.200s' is too long a path", dir);
}

static enum ym_code put_unsynced(const char *path, struct ym_bytes note, struct ym_status *st)
{
    char temp[4096 + 8];
    const char *name = strrchr(path, '/') + 1;
    FILE *f;
    bool good;
    int error;

    snprintf(temp, sizeof(temp), "%.*s.%s", (int)(name - path), path, name);
    f = fopen(temp, "we");
    good = f && fwrite(note.data, 1, note.len, f) == note.len;
    good &= f && fclose(f) == 0;
    if (good && rename(temp, path) == 0)
        return YM_OK;
    error = errno;
    unlink(temp);
    return ym_status_set(st, ym_disk_code(error, false), "cannot write '%.200s': %s", path, strerror(error));
}

enum ym_code ym_seal_write(const char *dir, uint64_t size, struct ym_bytes note, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = folder_path(dir, path, st);

    if (code == YM_OK)
        code = ym_fs_mkdirs(path, 0755, st);
    if (code == YM_OK)
        code = note_path(dir, size, path, st);
    if (code != YM_OK || ym_fs_exists(path))
        return code;
    return put_unsynced(path, note, st);
}

/* "— name ": one line a name, so that nobody fills the note with keys. */
static size_t head_len(struct ym_bytes line)
{
    const uint8_t *space = line.len > 4 ? memchr(line.data + 4, ' ', line.len - 4) : NULL;

    return space ? (size_t)(space - line.data) + 1 : line.len;
}

static bool have_line(struct ym_bytes note, struct ym_bytes line)
{
    struct ym_bytes text;
    size_t head = head_len(line);

    if (!ym_cosign_text(note, &text))
        return false;
    for (const uint8_t *at = text.data + text.len; at; at = memchr(at, '\n', (size_t)(note.data + note.len - at))) {
        at++;
        if ((size_t)(note.data + note.len - at) >= head && memcmp(at, line.data, head) == 0)
            return true;
    }
    return false;
}

enum ym_code ym_seal_add(const char *dir, uint64_t size, struct ym_bytes line, struct ym_status *st)
{
    struct ym_buf note = {0};
    char path[4096];
    enum ym_code code = ym_seal_read(dir, size, &note, st);

    if (code == YM_OK && have_line(ym_buf_bytes(&note), line))
        goto out;
    if (code == YM_OK && (line.len == 0 || line.data[line.len - 1] != '\n'))
        code = ym_status_set(st, YM_INVALID, "a cosignature line without its newline");
    if (code == YM_OK && note.len + line.len > YM_COSIGNED_MAX)
        code = ym_status_set(st, YM_EXHAUSTED, "the checkpoint of size %" PRIu64 " has no room for more cosignatures",
                             size);
    if (code == YM_OK)
        code = ym_buf_append(&note, line.data, line.len);
    if (code == YM_OK)
        code = note_path(dir, size, path, st);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&note), 0644, st);
out:
    ym_buf_release(&note);
    return code;
}

enum ym_code ym_seal_read(const char *dir, uint64_t size, struct ym_buf *out, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = note_path(dir, size, path, st);

    return code == YM_OK ? ym_fs_read(path, YM_COSIGNED_MAX, out, st) : code;
}

static bool is_size(const char *name)
{
    return strlen(name) == NAME_DIGITS && strspn(name, "0123456789") == NAME_DIGITS && name[0] == '0';
}

enum ym_code ym_seal_newest(const char *dir, uint64_t *size, struct ym_status *st)
{
    char path[4096], **name = NULL;
    size_t count = 0;
    enum ym_code code = folder_path(dir, path, st);

    if (code == YM_OK && !ym_fs_exists(path))
        code = YM_NOT_FOUND;
    if (code == YM_OK)
        code = ym_fs_list(path, &name, &count, st);
    while (code == YM_OK && count > 0 && !is_size(name[count - 1])) {
        free(name[count - 1]);
        count--;
    }
    if (code == YM_OK && count > 0)
        *size = strtoull(name[count - 1], NULL, 10);
    else if (code == YM_OK)
        code = YM_NOT_FOUND;
    ym_fs_names_free(name, count);
    return code == YM_NOT_FOUND ? ym_status_set(st, code, "'%.200s' holds no cosigned checkpoint", dir) : code;
}

static bool is_note(const char *path)
{
    struct ym_buf bytes = {0};
    struct ym_bytes text;
    enum ym_code code = ym_fs_read(path, YM_COSIGNED_MAX, &bytes, NULL);
    bool good = code != YM_OK || (ym_cosign_text(ym_buf_bytes(&bytes), &text) && bytes.len > text.len + 2 &&
                                  bytes.data[bytes.len - 1] == '\n');

    ym_buf_release(&bytes);
    return good;
}

enum ym_code ym_seal_sweep(const char *dir, struct ym_status *st)
{
    char folder[4096], path[4096], **name = NULL;
    size_t count = 0;
    enum ym_code code = folder_path(dir, folder, st);

    if (code != YM_OK || !ym_fs_exists(folder))
        return code;
    code = ym_fs_list(folder, &name, &count, st);
    for (size_t i = 0; code == YM_OK && i < count; i++)
        if (is_size(name[i]) && ym_fs_join(path, sizeof(path), folder, name[i]) == YM_OK && !is_note(path))
            unlink(path);
    ym_fs_names_free(name, count);
    return code;
}

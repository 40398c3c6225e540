#include "audit/verify/tar.h"

#include <stdio.h>
#include <string.h>

/* POSIX.1-1988 ustar: where a header keeps what. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2],
        uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == YM_TAR_BLOCK, "a header is one block");

#define MTIME 946684800 /* 2000-01-01: not a fact about anything */

static bool part_good(const char *part, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return len > 0 && strspn(part, allowed) >= len && !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

bool ym_tar_path_good(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");

        if (!part_good(path, len))
            return false;
        if (!path[len])
            return true;
        path += len + 1;
    }
}

static unsigned sum_of(const struct header *h)
{
    const uint8_t *p = (const uint8_t *)h;
    size_t from = offsetof(struct header, sum);
    unsigned sum = 0;

    for (size_t i = 0; i < sizeof(*h); i++)
        sum += i >= from && i < from + sizeof(h->sum) ? ' ' : p[i];
    return sum;
}

/* A path too long for name goes in two halves, parted at a slash. */
static bool put_path(struct header *h, const char *path)
{
    size_t len = strlen(path), cut = 0;

    if (len > sizeof(h->name)) {
        cut = len - sizeof(h->name) - 1;
        while (path[cut] && path[cut] != '/')
            cut++;
        if (!path[cut] || cut > sizeof(h->prefix))
            return false;
        memcpy(h->prefix, path, cut++);
    }
    memcpy(h->name, path + cut, len - cut);
    return true;
}

bool ym_tar_header_write(const struct ym_tar_entry *e, uint8_t block[YM_TAR_BLOCK])
{
    struct header h = {.type = e->folder ? '5' : '0', .magic = "ustar", .version = {'0', '0'}};
    char path[YM_TAR_PATH + 1];

    snprintf(path, sizeof(path), "%s%s", e->path, e->folder ? "/" : "");
    if (!ym_tar_path_good(e->path) || e->size >= YM_TAR_SIZE_MAX || !put_path(&h, path))
        return false;
    snprintf(h.mode, sizeof(h.mode), "%07o", e->folder ? 0755u : 0644u);
    snprintf(h.uid, sizeof(h.uid), "%07o", 0u);
    snprintf(h.gid, sizeof(h.gid), "%07o", 0u);
    snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)e->size);
    snprintf(h.mtime, sizeof(h.mtime), "%011o", (unsigned)MTIME);
    snprintf(h.sum, sizeof(h.sum), "%06o", sum_of(&h));
    h.sum[7] = ' ';
    memcpy(block, &h, sizeof(h));
    return true;
}

/* Octal digits, then NUL or space. */
static bool read_octal(const char *field, size_t len, uint64_t *out)
{
    size_t i = 0;

    for (*out = 0; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    return i > 0 && i <= 12 && (i == len || field[i] == '\0' || field[i] == ' ');
}

static bool read_path(const struct header *h, char out[YM_TAR_PATH])
{
    int prefix = (int)strnlen(h->prefix, sizeof(h->prefix)), name = (int)strnlen(h->name, sizeof(h->name));
    int len = snprintf(out, YM_TAR_PATH, "%.*s%s%.*s", prefix, h->prefix, prefix ? "/" : "", name, h->name);

    if (len <= 0 || len >= YM_TAR_PATH)
        return false;
    if (h->type == '5' && out[len - 1] == '/')
        out[len - 1] = '\0';
    return ym_tar_path_good(out);
}

enum ym_tar_answer ym_tar_header_read(const uint8_t block[YM_TAR_BLOCK], struct ym_tar_entry *out)
{
    static const uint8_t zeros[YM_TAR_BLOCK];
    struct header h;
    uint64_t sum, size;

    if (memcmp(block, zeros, YM_TAR_BLOCK) == 0)
        return YM_TAR_END;
    memcpy(&h, block, sizeof(h));
    memset(out, 0, sizeof(*out));
    if (memcmp(h.magic, "ustar", 5) != 0 || (h.type != '0' && h.type != '5') ||
        !read_octal(h.sum, sizeof(h.sum), &sum) || sum != sum_of(&h) || !read_octal(h.size, sizeof(h.size), &size) ||
        !read_path(&h, out->path))
        return YM_TAR_REFUSED;
    out->folder = h.type == '5';
    out->size = size;
    return out->folder && size ? YM_TAR_REFUSED : YM_TAR_ENTRY;
}

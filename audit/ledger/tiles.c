#include "audit/ledger/tiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/tree.h"

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Path elements of three digits, all but the last behind an 'x'; more than seven cannot be a uint64. */
static const char *read_index(const char *p, uint64_t *index)
{
    *index = 0;
    for (int group = 0; group < 6; group++) {
        bool more = *p == 'x';

        p += more;
        for (int i = 0; i < 3; i++, p++) {
            if (!digit(*p))
                return NULL;
            *index = 10 * *index + (uint64_t)(*p - '0');
        }
        if (!more)
            return p;
        if (*p++ != '/')
            return NULL;
    }
    return NULL;
}

static const char *read_small(const char *p, unsigned *out)
{
    const char *begin = p;

    for (*out = 0; digit(*p) && p - begin < 3; p++)
        *out = 10 * *out + (unsigned)(*p - '0');
    return p == begin ? NULL : p;
}

bool ym_tile_name_parse(const char *path, struct ym_tile_name *out)
{
    struct ym_tile_name n = {-1, 0, YM_TILE_HASHES};
    char canonical[YM_TILE_PATH];
    const char *p = path;
    unsigned small = 0;

    if (strncmp(p, "tile/", 5) != 0)
        return false;
    p += 5;
    if (strncmp(p, "entries/", 8) == 0) {
        p += 8;
    } else {
        if (!(p = read_small(p, &small)) || *p++ != '/' || small >= YM_TILE_LEVELS)
            return false;
        n.level = (int)small;
    }
    if (!(p = read_index(p, &n.index)))
        return false;
    if (strncmp(p, ".p/", 3) == 0) {
        if (!(p = read_small(p + 3, &small)) || small < 1 || small >= YM_TILE_HASHES)
            return false;
        n.width = small;
    }
    ym_tile_path(canonical, n.level, n.index, n.width);
    if (*p || strcmp(canonical, path) != 0)
        return false;
    *out = n;
    return true;
}

static int open_width(int root, const struct ym_tile_name *n, size_t width)
{
    char path[YM_TILE_PATH];

    ym_tile_path(path, n->level, n->index, width);
    return openat(root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Where entry number `count` of a bundle begins; false when the file ends before. */
static bool bundle_prefix(int fd, size_t count, uint64_t file, uint64_t *bytes)
{
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        uint8_t head[2];

        if (pread(fd, head, 2, (off_t)at) != 2)
            return false;
        at += 2 + (uint64_t)(head[0] << 8 | head[1]);
    }
    *bytes = at;
    return at <= file;
}

static enum ym_code measure(int fd, const struct ym_tile_name *n, uint64_t *bytes, struct ym_status *st)
{
    struct stat s;
    bool whole;

    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))
        return ym_status_set(st, YM_UNAVAILABLE, "a tile is not a file");
    *bytes = n->width * YM_HASH_BYTES;
    whole = n->level >= 0 ? *bytes <= (uint64_t)s.st_size : bundle_prefix(fd, n->width, (uint64_t)s.st_size, bytes);
    return whole ? YM_OK : ym_status_set(st, YM_CORRUPT, "a tile is shorter than its name says");
}

enum ym_code ym_tile_open(int root, const struct ym_tile_name *name, int *fd, uint64_t *bytes, struct ym_status *st)
{
    int found = open_width(root, name, name->width);
    enum ym_code code;

    /* what replaced it: the full one first, for a partial one may go while we look */
    for (size_t width = YM_TILE_HASHES; found < 0 && errno == ENOENT && width > name->width; width--)
        found = open_width(root, name, width);
    if (found < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ym_status_set(st, YM_NOT_FOUND, "no such tile");
    if (found < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open a tile: %s", strerror(errno));
    code = measure(found, name, bytes, st);
    if (code != YM_OK) {
        close(found);
        return code;
    }
    *fd = found;
    return YM_OK;
}

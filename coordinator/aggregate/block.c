#include "coordinator/aggregate/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sums and updates are read as little-endian int64");

/* Fill buf as far as the file goes; -1 on error. */
static ssize_t read_full(int fd, void *buf, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = read(fd, (char *)buf + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

enum ym_code ym_block_read(const char *path, size_t count,
                           void (*fn)(void *ctx, const int64_t *v, size_t first, size_t n), void *ctx,
                           struct ym_status *st)
{
    enum ym_code code = YM_OK;
    size_t done = 0;
    char more;
    int64_t *v = malloc(YM_BLOCK_VALUES * sizeof *v);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (!v)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory while reading '%s'", path);
    else if (fd < 0)
        code = ym_status_set(st, errno == ENOENT ? YM_NOT_FOUND : YM_UNAVAILABLE, "cannot open '%s': %s", path,
                             strerror(errno));
    while (code == YM_OK && done < count) {
        size_t n = count - done < YM_BLOCK_VALUES ? count - done : YM_BLOCK_VALUES;
        ssize_t got = read_full(fd, v, n * sizeof *v);

        if (got < 0)
            code = ym_status_set(st, YM_UNAVAILABLE, "cannot read '%s': %s", path, strerror(errno));
        else if ((size_t)got != n * sizeof *v)
            code = ym_status_set(st, YM_CORRUPT, "'%s' is shorter than it must be", path);
        else
            fn(ctx, v, done, n);
        done += n;
    }
    if (code == YM_OK && read_full(fd, &more, 1) != 0)
        code = ym_status_set(st, YM_CORRUPT, "'%s' is longer than it must be", path);
    if (fd >= 0)
        close(fd);
    free(v);
    return code;
}

bool ym_block_in_range(const int64_t *v, size_t n, uint32_t bits)
{
    int64_t high = bits >= 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1, low = -high - 1;
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        ok &= v[i] >= low && v[i] <= high;
    return ok;
}

#include "audit/verify/bundle.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define WIDTH YM_VTILE_WIDTH
#define BUNDLE_MAX (WIDTH * (2 + 65535))

void ym_vtile_name(char out[160], const char *level, uint64_t index, size_t width)
{
    char number[64];
    int n = snprintf(number, sizeof(number), "%03u", (unsigned)(index % 1000));

    for (index /= 1000; index > 0; index /= 1000) {
        char longer[64];

        n = snprintf(longer, sizeof(longer), "x%03u/%.*s", (unsigned)(index % 1000), n, number);
        memcpy(number, longer, (size_t)n + 1);
    }
    if (width == WIDTH)
        snprintf(out, 160, "tile/%s/%s", level, number);
    else
        snprintf(out, 160, "tile/%s/%s.p/%zu", level, number, width);
}

bool ym_bundle_read(struct ym_bytes bytes, bool (*fn)(void *ctx, struct ym_bytes entry), void *ctx)
{
    while (bytes.len > 0) {
        struct ym_bytes entry;

        if (bytes.len < 2)
            return false;
        entry.len = (size_t)(bytes.data[0] << 8 | bytes.data[1]);
        entry.data = bytes.data + 2;
        if (entry.len > bytes.len - 2)
            return false;
        if (!fn(ctx, entry))
            return true;
        bytes.data += 2 + entry.len;
        bytes.len -= 2 + entry.len;
    }
    return true;
}

/* The widest partial bundle of index, 0 when there is none. */
static size_t widest_partial(const char *dir, uint64_t index)
{
    char name[160], path[4096], **names = NULL;
    size_t count = 0, widest = 0;

    ym_vtile_name(name, "entries", index, 1);
    *strrchr(name, '/') = '\0';
    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK || ym_fs_list(path, &names, &count, NULL) != YM_OK)
        return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = 0;
        char again[8];

        if (strlen(names[i]) > 3 || sscanf(names[i], "%3u", &width) != 1 || width >= WIDTH)
            continue;
        snprintf(again, sizeof(again), "%u", width);
        if (strcmp(again, names[i]) == 0 && width > widest)
            widest = width;
    }
    ym_fs_names_free(names, count);
    return widest;
}

static enum ym_code read_width(const char *dir, uint64_t index, struct ym_vbundle *b)
{
    char name[160], path[4096];
    struct stat s;

    ym_buf_clear(&b->bytes);
    ym_vtile_name(name, "entries", index, b->promised);
    if (ym_fs_join(path, sizeof(path), dir, name) != YM_OK)
        return YM_INVALID;
    b->extra = stat(path, &s) == 0 && s.st_size > BUNDLE_MAX;
    return b->extra ? YM_OK : ym_fs_read(path, BUNDLE_MAX, &b->bytes, NULL);
}

static bool take(void *ctx, struct ym_bytes entry)
{
    struct ym_vbundle *b = ctx;

    b->extra = b->count == b->promised;
    if (!b->extra)
        b->entry[b->count++] = entry;
    return !b->extra;
}

enum ym_code ym_vbundle_read(const char *dir, uint64_t index, struct ym_vbundle *b)
{
    enum ym_code code;

    b->count = 0;
    b->torn = false;
    b->promised = WIDTH;
    code = read_width(dir, index, b);
    if (code == YM_NOT_FOUND) {
        b->promised = widest_partial(dir, index);
        if (b->promised == 0)
            return YM_OK;
        code = read_width(dir, index, b);
    }
    if (code == YM_OK && !b->extra)
        b->torn = !ym_bundle_read(ym_buf_bytes(&b->bytes), take, b);
    return code;
}

void ym_vbundle_release(struct ym_vbundle *b)
{
    ym_buf_release(&b->bytes);
}

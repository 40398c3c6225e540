#include "worker/data/npz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { NAME_BYTES = 320, HEAD_BYTES = YM_NPY_HEADER_BYTES + 12 };

struct ym_npz {
    zip_t *zip;
};

struct ym_npz_array {
    zip_file_t *file;
    struct ym_npy npy;
    uint64_t left;            /* bytes of the data not yet taken */
    uint8_t head[HEAD_BYTES]; /* begins with the .npy's header; data behind it is taken first */
    size_t head_len, head_at;
};

static enum ym_code adopt(zip_t *zip, const char *name, zip_error_t *error, struct ym_npz **out, struct ym_status *st)
{
    struct ym_npz *z = zip ? calloc(1, sizeof *z) : NULL;
    if (!zip)
        return ym_status_set(st, zip_error_code_zip(error) == ZIP_ER_MEMORY ? YM_EXHAUSTED : YM_INVALID,
                             "'%s' is not a zip: %s", name, zip_error_strerror(error));
    if (!z) {
        zip_discard(zip);
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    z->zip = zip;
    *out = z;
    return YM_OK;
}

enum ym_code ym_npz_open(const char *path, struct ym_npz **out, struct ym_status *st)
{
    int why = 0;
    zip_error_t error;
    zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &why);
    if (!zip && why == ZIP_ER_NOENT)
        return ym_status_set(st, YM_NOT_FOUND, "cannot open '%s': %s", path, strerror(ENOENT));
    zip_error_init_with_code(&error, why);
    enum ym_code code = adopt(zip, path, &error, out, st);
    zip_error_fini(&error);
    return code;
}

enum ym_code ym_npz_wrap(struct ym_bytes bytes, struct ym_npz **out, struct ym_status *st)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.data, bytes.len, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!zip && source)
        zip_source_free(source);
    enum ym_code code = adopt(zip, "bytes", &error, out, st);
    zip_error_fini(&error);
    return code;
}

void ym_npz_close(struct ym_npz *z)
{
    if (!z)
        return;
    zip_discard(z->zip);
    free(z);
}

static bool entry_name(const char *name, char out[NAME_BYTES])
{
    return snprintf(out, NAME_BYTES, "%s.npy", name) < NAME_BYTES;
}

bool ym_npz_has(const struct ym_npz *z, const char *name)
{
    char entry[NAME_BYTES];
    return entry_name(name, entry) && zip_name_locate(z->zip, entry, 0) >= 0;
}

/* Stored or deflated, not encrypted, and says how long it is. */
static bool entry_plain(const zip_stat_t *s)
{
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    return (s->valid & wanted) == wanted && (s->comp_method == ZIP_CM_STORE || s->comp_method == ZIP_CM_DEFLATE) &&
           s->encryption_method == ZIP_EM_NONE;
}

/* The first bytes, as many as there are. */
static enum ym_code head_fill(struct ym_npz_array *a, struct ym_status *st)
{
    while (a->head_len < HEAD_BYTES) {
        zip_int64_t n = zip_fread(a->file, a->head + a->head_len, HEAD_BYTES - a->head_len);
        if (n < 0)
            return ym_status_set(st, YM_INVALID, "is damaged: %s", zip_file_strerror(a->file));
        if (n == 0)
            break;
        a->head_len += (size_t)n;
    }
    return YM_OK;
}

static enum ym_code array_begin(struct ym_npz_array *a, uint64_t entry_bytes, struct ym_status *st)
{
    size_t at = 0;
    enum ym_code code = head_fill(a, st);
    if (code == YM_OK)
        code = ym_npy_read((struct ym_bytes){a->head, a->head_len}, &a->npy, &at, st);
    if (code != YM_OK)
        return code;
    if (entry_bytes < at || entry_bytes - at != a->npy.bytes)
        return ym_status_set(st, YM_INVALID, "its length does not fit its shape");
    a->head_at = at;
    a->left = a->npy.bytes;
    return YM_OK;
}

enum ym_code ym_npz_array_open(struct ym_npz *z, const char *name, struct ym_npz_array **out, struct ym_status *st)
{
    char entry[NAME_BYTES];
    zip_stat_t s;
    if (!entry_name(name, entry) || zip_stat(z->zip, entry, 0, &s))
        return ym_status_set(st, YM_NOT_FOUND, "there is no array \"%s\"", name);
    if (!entry_plain(&s))
        return ym_status_set(st, YM_INVALID, "is encrypted or packed in another way than deflate");
    struct ym_npz_array *a = calloc(1, sizeof *a);
    if (!a)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    a->file = zip_fopen_index(z->zip, s.index, 0);
    enum ym_code code =
        a->file ? array_begin(a, s.size, st) : ym_status_set(st, YM_INVALID, "is damaged: %s", zip_strerror(z->zip));
    if (code != YM_OK) {
        ym_npz_array_close(a);
        return code;
    }
    *out = a;
    return YM_OK;
}

void ym_npz_array_close(struct ym_npz_array *a)
{
    if (!a)
        return;
    if (a->file)
        zip_fclose(a->file);
    free(a);
}

const struct ym_npy *ym_npz_array_shape(const struct ym_npz_array *a)
{
    return &a->npy;
}

/* Next bytes of the entry, from the head while it lasts. */
static zip_int64_t some(struct ym_npz_array *a, uint8_t *out, size_t len)
{
    size_t held = a->head_len - a->head_at, n = held < len ? held : len;
    if (!held)
        return zip_fread(a->file, out, len);
    memcpy(out, a->head + a->head_at, n);
    a->head_at += n;
    return (zip_int64_t)n;
}

enum ym_code ym_npz_array_read(struct ym_npz_array *a, void *out, size_t len, struct ym_status *st)
{
    if (len > a->left)
        return ym_status_set(st, YM_INVALID, "is shorter than its shape");
    for (size_t done = 0; done < len;) {
        zip_int64_t n = some(a, (uint8_t *)out + done, len - done);
        if (n < 0)
            return ym_status_set(st, YM_INVALID, "is damaged: %s", zip_file_strerror(a->file));
        if (n == 0)
            return ym_status_set(st, YM_INVALID, "is shorter than its shape");
        done += (size_t)n;
    }
    a->left -= len;
    return YM_OK;
}

enum ym_code ym_npz_array_end(struct ym_npz_array *a, struct ym_status *st)
{
    uint8_t more;
    zip_int64_t n = a->left ? 1 : some(a, &more, 1); /* libzip compares the checksum at the end */
    if (n < 0)
        return ym_status_set(st, YM_INVALID, "is damaged: %s", zip_file_strerror(a->file));
    return n ? ym_status_set(st, YM_INVALID, "is longer than its shape") : YM_OK;
}

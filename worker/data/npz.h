#ifndef YM_WORKER_DATA_NPZ_H
#define YM_WORKER_DATA_NPZ_H

#include "base/buf.h"

/* Arrays of numpy.savez and savez_compressed: a zip with a .npy of version 1 to
 * 3 for each. Only plain types in C order and little endian are read: no object
 * (pickle), no record, no Fortran order. What a header promises is compared with
 * what the zip says before anything is allocated, and arrays are read in pieces:
 * memory follows what the caller takes. */
#define YM_NPY_RANK 4
#define YM_NPY_HEADER_BYTES 4096u
#define YM_NPY_TEXT 64u /* characters of a text item */

struct ym_npy {
    char kind;     /* 'u' 'i' integers, 'b' truth, 'f' floats, 'U' text of UCS-4 */
    uint32_t item; /* bytes of one */
    size_t rank;   /* 1..4 */
    uint64_t shape[YM_NPY_RANK];
    uint64_t bytes; /* of all items */
};

/* The head of a .npy: header and where data begins. At most
 * YM_NPY_HEADER_BYTES + 12 bytes are looked at. YM_INVALID. Pure. */
enum ym_code ym_npy_read(struct ym_bytes head, struct ym_npy *out, size_t *data_at, struct ym_status *st);

struct ym_npz;
struct ym_npz_array;
/* Both: YM_NOT_FOUND, YM_INVALID when it is no zip. Borrowed bytes must outlive it. */
enum ym_code ym_npz_open(const char *path, struct ym_npz **out, struct ym_status *st);
enum ym_code ym_npz_wrap(struct ym_bytes bytes, struct ym_npz **out, struct ym_status *st);
void ym_npz_close(struct ym_npz *z);

bool ym_npz_has(const struct ym_npz *z, const char *name);
/* An array of it; closed before z is. YM_NOT_FOUND, YM_INVALID. */
enum ym_code ym_npz_array_open(struct ym_npz *z, const char *name, struct ym_npz_array **out, struct ym_status *st);
void ym_npz_array_close(struct ym_npz_array *a);
const struct ym_npy *ym_npz_array_shape(const struct ym_npz_array *a);
/* The next len bytes of the data. YM_INVALID: damaged or shorter than promised. */
enum ym_code ym_npz_array_read(struct ym_npz_array *a, void *out, size_t len, struct ym_status *st);
/* All was read: no byte is left and the zip's checksum holds. */
enum ym_code ym_npz_array_end(struct ym_npz_array *a, struct ym_status *st);

#endif

#ifndef YM_VERIFY_TAR_H
#define YM_VERIFY_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Headers of a tar as evidence bundles are (POSIX ustar, a part of it): files and
 * folders, nothing else, under names of [A-Za-z0-9._-] that cannot lead out of the
 * folder they are unpacked into. One spelling for each: fixed owner, mode and time. */
#define YM_TAR_BLOCK 512
#define YM_TAR_PATH 256
#define YM_TAR_SIZE_MAX ((uint64_t)1 << 33) /* 8 GiB, what eleven octal digits hold */

struct ym_tar_entry {
    char path[YM_TAR_PATH]; /* relative, no slash at its end */
    uint64_t size;          /* 0 of a folder */
    bool folder;
};

/* False: the path or size does not fit. */
bool ym_tar_header_write(const struct ym_tar_entry *e, uint8_t block[YM_TAR_BLOCK]);

enum ym_tar_answer { YM_TAR_ENTRY, YM_TAR_END, YM_TAR_REFUSED };
/* END: a block of zeros. Takes what GNU and BSD tar write of such files too: owner, mode and time are not looked at. */
enum ym_tar_answer ym_tar_header_read(const uint8_t block[YM_TAR_BLOCK], struct ym_tar_entry *out);
/* Every part of a path is a name as above, and none is "." or "..". */
bool ym_tar_path_good(const char *path);

#endif

#include "audit/verify/tar.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

/* What is taken can be written, and is then read as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t block[YM_TAR_BLOCK] = {0};
    struct ym_tar_entry e, again;

    memcpy(block, data, size < sizeof block ? size : sizeof block);
    if (ym_tar_header_read(block, &e) != YM_TAR_ENTRY)
        return 0;
    YM_ASSERT(ym_tar_path_good(e.path) && !strstr(e.path, "..//") && e.path[0] != '/' &&
              strncmp(e.path, "../", 3) != 0);
    if (ym_tar_header_write(&e, block)) {
        YM_ASSERT(ym_tar_header_read(block, &again) == YM_TAR_ENTRY);
        YM_ASSERT(strcmp(e.path, again.path) == 0 && e.size == again.size && e.folder == again.folder);
    }
    return 0;
}

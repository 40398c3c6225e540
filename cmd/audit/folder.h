#ifndef YM_CMD_AUDIT_FOLDER_H
#define YM_CMD_AUDIT_FOLDER_H

#include <stdint.h>

#include "base/status.h"

/* Folders of plain files, as evidence bundles are made of. Links and hidden
 * names are passed over. */

/* Every file below dir, in one fixed order; rel is its path from there. */
struct audit_file {
    const char *path, *rel;
    uint64_t size;
};
enum ym_code audit_folder_each(const char *dir,
                               enum ym_code (*visit)(void *ctx, const struct audit_file *f, struct ym_status *st),
                               void *ctx, struct ym_status *st);
/* One file, fsynced; folders above it are made. */
enum ym_code audit_file_copy(const char *from, const char *to, struct ym_status *st);
enum ym_code audit_file_hash(const char *path, char hex[65], struct ym_status *st);
/* Everything below dir, and dir. */
void audit_folder_remove(const char *dir);

/* A tar of the folder's files under the name `top`: the same files give the same bytes. Fsynced. YM_INVALID: a path or
 * a size that tar cannot hold. */
enum ym_code audit_tar_write(const char *dir, const char *top, const char *tar, struct ym_status *st);
/* Unpack into an empty folder. YM_UNAVAILABLE: not such a tar, cut off, deeper than a bundle, or more than
 * zeros behind its end. */
enum ym_code audit_tar_unpack(const char *tar, const char *dir, struct ym_status *st);

#endif

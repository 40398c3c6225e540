#ifndef YM_BASE_FS_H
#define YM_BASE_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* Whole files. Read refuses more than limit bytes (YM_EXHAUSTED); a missing
 * file is YM_NOT_FOUND, any other trouble YM_UNAVAILABLE, disk full YM_EXHAUSTED.
 * A pipe that nobody has open for writing reads as empty. */
enum ym_code ym_fs_read(const char *path, size_t limit, struct ym_buf *out, struct ym_status *st);
/* Temp file in the same folder, write, fsync, rename, fsync the folder. On
 * failure the old file is whole and no temp is left. mode as for open(2). */
enum ym_code ym_fs_write(const char *path, struct ym_bytes data, unsigned mode, struct ym_status *st);
enum ym_code ym_fs_mkdirs(const char *path, unsigned mode, struct ym_status *st); /* existing is fine */
enum ym_code ym_fs_sync_dir(const char *path, struct ym_status *st);
bool ym_fs_exists(const char *path);
/* "a/b" joined into out (bounded); YM_INVALID when it does not fit. */
enum ym_code ym_fs_join(char *out, size_t cap, const char *a, const char *b);
/* Sorted names in a folder, without hidden ones (a crashed writer's temps are
 * hidden); free with ym_fs_names_free. */
enum ym_code ym_fs_list(const char *path, char ***names, size_t *count, struct ym_status *st);
void ym_fs_names_free(char **names, size_t count);

/* One process per state folder: flock on <dir>/lock, which holds the owner's
 * pid for messages. Taken: YM_CONFLICT, naming the pid. */
enum ym_code ym_fs_lock(const char *dir, int *fd, struct ym_status *st);
void ym_fs_unlock(int *fd);

#endif

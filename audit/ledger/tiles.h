#ifndef YM_AUDIT_TILES_H
#define YM_AUDIT_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Tiles and bundles of a log as C2SP tlog-tiles names and serves them. */
struct ym_tile_name {
    int level; /* -1: an entry bundle */
    uint64_t index;
    size_t width; /* 1..256; 256 is full */
};

/* "tile/0/x001/234.p/7", canonical spelling only; false for anything else. */
bool ym_tile_name_parse(const char *path, struct ym_tile_name *out);
/* Open a tile below the ledger folder root. A partial one that has grown since
 * is found as the beginning of the wider one, so that what an older checkpoint
 * covers can always be had. *bytes: how many of the file's first bytes it is.
 * YM_NOT_FOUND, YM_UNAVAILABLE, YM_CORRUPT (the file is shorter than its name). */
enum ym_code ym_tile_open(int root, const struct ym_tile_name *name, int *fd, uint64_t *bytes, struct ym_status *st);

#endif

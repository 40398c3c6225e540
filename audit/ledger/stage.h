#ifndef YM_AUDIT_STAGE_H
#define YM_AUDIT_STAGE_H

#include "base/buf.h"

/* Several files that become durable in a fixed order. put writes and fsyncs a
 * temporary each (all that can run out of space happens here, while nothing has
 * changed); commit renames them in the order of put and syncs their folders.
 * Up to and including file number `point` a failure is undone; later it is
 * YM_UNCERTAIN, as is every failed fsync that is not for want of space. Lazy: no
 * fsync at all, and every failed rename is YM_UNCERTAIN: the journal has it. */
struct ym_staged {
    char *path; /* below root */
    bool renamed;
};

struct ym_stage {
    int root; /* descriptor of the ledger folder, borrowed */
    bool lazy;
    struct ym_staged *file;
    size_t count, cap;
};

enum ym_code ym_stage_put(struct ym_stage *s, const char *path, struct ym_bytes data, struct ym_status *st);
enum ym_code ym_stage_commit(struct ym_stage *s, size_t point, struct ym_status *st);
void ym_stage_release(struct ym_stage *s); /* removes temporaries that were not renamed */

/* YM_EXHAUSTED for want of space, YM_UNCERTAIN when syncing, else YM_UNAVAILABLE. */
enum ym_code ym_disk_code(int error, bool syncing);
/* fsync the folder `path` below root. */
enum ym_code ym_disk_sync_dir(int root, const char *path, struct ym_status *st);

#endif

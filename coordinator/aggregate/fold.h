#ifndef YM_COORDINATOR_FOLD_H
#define YM_COORDINATOR_FOLD_H

#include "coordinator/aggregate/spool.h"
#include "gate/plan.h"

/* Fold the checked uploads of one attempt into the sum and the next state. The
 * accumulator is exact: int64, sum of weight * update, no order matters. Takes
 * 8 bytes x parameters and two blocks. Run again it gives the same two objects. */

struct ym_fold {
    const struct ym_plan *plan;
    const char *spool_dir, *object_dir;
    uint32_t round, attempt;
    uint8_t state[YM_HASH_BYTES]; /* newest published */
    const size_t *site;           /* [site_count] indices in the plan, ascending: the survivors */
    size_t site_count;
};

/* sum, next: hashes of the objects made. stops: the study ends with next, before its last round (models/stop.h).
 * YM_CORRUPT or YM_NOT_FOUND: a spool is not whole (any more); others: could not be written. Any one thread. */
enum ym_code ym_fold_run(const struct ym_fold *f, uint8_t sum[YM_HASH_BYTES], uint8_t next[YM_HASH_BYTES], bool *stops,
                         struct ym_status *st);

#endif

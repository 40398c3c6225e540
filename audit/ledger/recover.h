#ifndef YM_AUDIT_RECOVER_H
#define YM_AUDIT_RECOVER_H

#include "audit/ledger/budget.h"

/* Taking back what a ledger lost (docs/leaves.md, "recover"): own lines that the hub's
 * log holds and the ledger does not, entered again byte for byte behind a recover leaf
 * that counts and names them. Where a line says that more was spent than the ledger can
 * add up, a charge is lost that nobody holds: the leaf carries an event that spends at
 * least as much, so that spent is the largest figure that anybody knows. */
struct ym_recover {
    uint64_t hub_size; /* the hub's log, as far as it was compared */
    uint8_t hub_root[YM_HASH_BYTES];
    uint64_t known_size;         /* the largest size of this ledger that anybody claims; 0: none */
    const struct ym_bytes *line; /* [count], in the order of the hub's log */
    size_t count;                /* below YM_RECOVER_LINES */
    const char *reason;          /* people's words */
};
#define YM_RECOVER_LINES 4096 /* with its leaf one append */
#define YM_RECOVER_LOST 64    /* groups of data sets with lost charges */

/* Members of the leaf; l is only read. YM_CORRUPT: a line that no ledger of this owner can hold. */
enum ym_code ym_recover_members(struct ym_ledger *l, const struct ym_recover *r, json_t **out, struct ym_status *st);
/* SHA-256 of the lines' SHA-256s, one after the other. */
void ym_recover_digest(const struct ym_bytes *line, size_t count, uint8_t out[YM_HASH_BYTES]);

#endif

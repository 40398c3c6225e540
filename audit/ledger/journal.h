#ifndef YM_AUDIT_JOURNAL_H
#define YM_AUDIT_JOURNAL_H

#include "base/crypto.h"

/* What makes an append durable with one fdatasync while a bundle fills:
 * <dir>/journal, records written one behind the other into space that was set
 * aside. Each holds the checkpoint over its entries and the entries; the first
 * one begins with the bundle's first entry. The partial files and the checkpoint
 * file that the records stand for need no fsync of their own: a ledger that was
 * not closed is made whole from the journal at the next open.
 *   record: "ymj" 0x01 | u64 first | u32 count | u32 note bytes | u32 entry bytes |
 *           SHA-256 of the rest | note | entries as in a bundle; big-endian
 * Reading ends at the first record that is torn or does not continue the one before. */
struct ym_journal {
    int root;          /* descriptor of the ledger folder, borrowed */
    int fd;            /* -1: not made by this process yet */
    uint64_t at, room; /* bytes written, and set aside */
};

struct ym_journal_record {
    uint64_t first; /* index of its first entry */
    uint32_t count;
    struct ym_bytes note, entries;
};

#define YM_JOURNAL_NAME "journal"
#define YM_JOURNAL_MAX (20 << 20)

/* Make the file, where this process has not yet; before any other stage of the folder. */
enum ym_code ym_journal_begin(struct ym_journal *j, struct ym_status *st);
/* After begin. YM_EXHAUSTED, YM_UNAVAILABLE: nothing changed; YM_UNCERTAIN as ym_ledger_append. */
enum ym_code ym_journal_append(struct ym_journal *j, const struct ym_journal_record *r, struct ym_status *st);
/* The bundle is full and durable without it: the next record is again a first one. */
void ym_journal_restart(struct ym_journal *j);
/* All of it is durable elsewhere: forget the file. */
void ym_journal_remove(struct ym_journal *j);

/* What a file's records hold together: entries [first, first + count) and the
 * newest checkpoint; count 0 when there is none. Views into file; entries are copied. */
enum ym_code ym_journal_read(struct ym_bytes file, struct ym_journal_record *out, struct ym_buf *entries,
                             struct ym_status *st);

#endif

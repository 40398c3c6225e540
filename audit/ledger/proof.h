#ifndef YM_AUDIT_PROOF_H
#define YM_AUDIT_PROOF_H

#include "base/crypto.h"

/* Proofs of RFC 6962, 2.1.1 and 2.1.2, made from the tiles on disk: a few dozen
 * hashes are read, whatever the log's size. Nothing is locked: tiles of a size
 * that was once under a checkpoint are there for good or in a larger tile. */
#define YM_PROOF_MAX 128 /* hashes of one proof, at most */

struct ym_proof {
    size_t count;
    uint8_t hash[YM_PROOF_MAX][YM_HASH_BYTES];
};

/* index < size <= what dir holds. YM_INVALID: not so; YM_CORRUPT, YM_NOT_FOUND,
 * YM_UNAVAILABLE: a tile cannot be read. */
enum ym_code ym_proof_inclusion(const char *dir, uint64_t index, uint64_t size, struct ym_proof *out,
                                struct ym_status *st);
/* From the tree of old_size to that of size; both are counted in leaves. old_size 0
 * or equal to size: no hashes. */
enum ym_code ym_proof_consistency(const char *dir, uint64_t old_size, uint64_t size, struct ym_proof *out,
                                  struct ym_status *st);
/* Root of the first size leaves, from the same tiles. */
enum ym_code ym_proof_root(const char *dir, uint64_t size, uint8_t root[YM_HASH_BYTES], struct ym_status *st);
/* The bytes of entry index, appended to out. */
enum ym_code ym_proof_entry(const char *dir, uint64_t index, uint64_t size, struct ym_buf *out, struct ym_status *st);

/* A receipt, C2SP tlog-proof: its `extra` line is the entry, so that the file alone can be
 * checked against a trust file. note: a signed checkpoint of dir that covers index (only its
 * size is read here). Appended to out. */
enum ym_code ym_proof_receipt(const char *dir, uint64_t index, struct ym_bytes note, struct ym_buf *out,
                              struct ym_status *st);

/* RFC 9162, 2.1.4.2: the tree (size, root) begins with the tree (old_size,
 * old_root). Pure. YM_CONFLICT: it does not, or is smaller. */
enum ym_code ym_proof_check_consistency(uint64_t old_size, const uint8_t old_root[YM_HASH_BYTES], uint64_t size,
                                        const uint8_t root[YM_HASH_BYTES], const uint8_t (*hash)[YM_HASH_BYTES],
                                        size_t count, struct ym_status *st);

#endif

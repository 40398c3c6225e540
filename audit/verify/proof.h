#ifndef YM_VERIFY_PROOF_H
#define YM_VERIFY_PROOF_H

#include "audit/verify/trust.h"

/* Receipts: C2SP tlog-proof, as an outsider reads them. One file proves, with a trust
 * file and nothing else, that an entry is in a log whose checkpoint was cosigned as the
 * policy asks. The entry itself travels as the proof's `extra` line. */
#define YM_VPROOF_HASHES 64
#define YM_VPROOF_MAX (256 * 1024)

struct ym_vproof {
    struct ym_buf entry; /* the leaf's line, out of `extra` */
    uint64_t index;
    size_t count;
    uint8_t hash[YM_VPROOF_HASHES][32];
    struct ym_vnote note; /* borrows from the text */
};

/* Form only. Release in either case. */
bool ym_vproof_parse(struct ym_bytes text, struct ym_vproof *out);
void ym_vproof_release(struct ym_vproof *p);
/* RFC 9162, 2.1.3.2: leaf `index` of the tree (size, root) has this hash. */
bool ym_vproof_included(const uint8_t leaf[32], uint64_t index, uint64_t size, const uint8_t (*hash)[32], size_t count,
                        const uint8_t root[32]);

/* The lines of a note that the trust file's keys made. cosigned: [t->witness_count] out. */
struct ym_vsigned {
    enum ym_vnote_answer log; /* by the key of its origin; UNSIGNED also when there is none */
    size_t cosigners;
    const struct ym_vkey *forged; /* a witness whose line does not fit the text; NULL: none */
    bool quorum;                  /* as the policy asks, or it asks nothing */
};
void ym_vnote_weigh(const struct ym_vnote *n, const struct ym_trust *t, bool *cosigned, struct ym_vsigned *out);

#endif

#ifndef YM_GATE_BORDER_SEAL_H
#define YM_GATE_BORDER_SEAL_H

#include "base/crypto.h"
#include "gate/border/facts.h"

/* The hospital's offices and their seals (docs/border.md, "Offices"). The site
 * signs every leaf; some it may only sign when people of its offices have sealed
 * the members, each with a key of their own. Pure: time and keys come in.
 * Seal = {office, time, signature}: Ed25519 over "yumen/seal/v1" 0x00 type 0x00
 * hospital 0x00 time in digits 0x00 canonical JSON of the type's own members
 * without "seals". It holds for YM_SEAL_DAYS and enters the ledger once. */

enum { YM_OFFICES = YM_OFFICE_SPONSOR, YM_SEAL_DAYS = 30, YM_SEAL_AHEAD_S = 300, YM_SEAL_TEXT = 88 };

int ym_office_find(const char *word); /* 0..YM_OFFICES-1; -1: none of the hospital's */

/* Keys in force and seals that were used: a fold over the ledger. */
struct ym_offices {
    bool have[YM_OFFICES];
    uint8_t key[YM_OFFICES][YM_PUBKEY_BYTES];
    char (*used)[YM_SEAL_TEXT + 1]; /* signatures, base64 */
    size_t used_count, used_cap;
};
void ym_offices_release(struct ym_offices *o);
unsigned ym_offices_count(const struct ym_offices *o); /* how many have a key */
/* One more leaf: a rotate changes a key, seals of any leaf are used up. YM_CORRUPT. */
enum ym_code ym_offices_take(struct ym_offices *o, const json_t *leaf, struct ym_status *st);
/* May this rotate be? YM_DENIED: a close would leave fewer than three, or is the data office's. */
enum ym_code ym_offices_may_rotate(const struct ym_offices *o, const json_t *members, struct ym_status *st);

/* What the newest policy says; a looser one needs seals. */
struct ym_seal_limits {
    bool have;
    int64_t cap_micro, month_micro, delta_e18, min_patients;
    const json_t *terms; /* whom the site serves, borrowed; NULL: nobody */
};

/* Bits are 1 << enum ym_office. */
struct ym_seal_need {
    unsigned may;   /* whose own this leaf is */
    unsigned must;  /* of them */
    unsigned count; /* how many in all; 0: no seal is needed */
};
/* Whose own a leaf is; 0: nobody seals it (a veto, a pause). */
unsigned ym_seal_may(const char *type, const json_t *members);
/* Nothing is needed while fewer than two offices have a key. */
struct ym_seal_need ym_seal_need(const char *type, const json_t *members, const struct ym_seal_limits *before,
                                 const struct ym_offices *o);
/* How many seals are missing with those of `sealed`; from: who may give them. 0: enough. */
unsigned ym_seal_missing(const struct ym_seal_need *need, unsigned sealed, unsigned *from);

/* SHA-256 of type 0x00 canonical members without seals: what a pending leaf is called. */
enum ym_code ym_seal_name(const char *type, const json_t *members, uint8_t out[YM_HASH_BYTES], struct ym_status *st);
/* *out new: {office, time, signature}. */
enum ym_code ym_seal_make(const char *type, const char *hospital, const json_t *members, enum ym_office office,
                          int64_t time, const struct ym_key *key, json_t **out, struct ym_status *st);
/* One seal, by the office's key in force, for a leaf of time now. YM_DENIED says
 * why not: another's leaf, no key, wrong signature, too old, used before. */
enum ym_code ym_seal_check(const struct ym_offices *o, const char *type, const char *hospital, const json_t *members,
                           const json_t *seal, int64_t now, enum ym_office *office, struct ym_status *st);

#endif

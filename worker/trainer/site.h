#ifndef YM_TRAINER_SITE_H
#define YM_TRAINER_SITE_H

#include <jansson.h>
#include <limits.h>

#include "audit/ledger/ledger.h"
#include "base/decimal.h"
#include "base/doc.h"
#include "gate/border/seal.h"

/* The hospital's state folder in its data zone (docs/formats.md, "Folders"). */

#define YM_SITE_PATH 4096

struct ym_site {
    char dir[YM_SITE_PATH];
    char name[64];
    int64_t reserve_mb;    /* free space that a round must leave on the disk */
    bool require_landlock; /* decline rounds where the kernel has none */
    /* Whose seals come from one account of this host alone: its uid; -1: from any that may talk to the trainer. */
    int64_t account[YM_OFFICES];
};

/* site.yaml, validated as a whole. YM_INVALID when p got anything. */
enum ym_code ym_site_load(const char *dir, struct ym_site *out, struct ym_problems *p, struct ym_status *st);
/* dir/part/name, or dir/part when name is NULL. YM_INVALID when too long. */
enum ym_code ym_site_path(const struct ym_site *s, const char *part, const char *name, char out[YM_SITE_PATH]);
/* dir/part/<64 hex digits><suffix> */
enum ym_code ym_site_hash_path(const struct ym_site *s, const char *part, const uint8_t hash[YM_HASH_BYTES],
                               const char *suffix, char out[YM_SITE_PATH]);
/* Two folders, so that a gateway of another user can be let to the one socket and
 * not to the other, where plans are approved and rows are counted. */
#define YM_SITE_GATEWAY_SOCKET "run/trainer.sock"
#define YM_SITE_ADMIN_SOCKET "admin/admin.sock"
/* "ipc://dir/<name>"; YM_INVALID when longer than a unix socket's address. */
enum ym_code ym_site_endpoint(const struct ym_site *s, const char *name, char out[128], struct ym_status *st);

/* The secret that protects keys at rest: read before the sandbox is entered,
 * for it may lie in a systemd credential. */
enum ym_code ym_site_key(const struct ym_site *s, struct ym_key **key, struct ym_status *st);
enum ym_code ym_site_ledger(const struct ym_site *s, const struct ym_key *key, struct ym_ledger **out,
                            struct ym_status *st);
#define YM_SITE_SALT 32
/* YM_CORRUPT: missing or of another size. */
enum ym_code ym_site_salt(const struct ym_site *s, uint8_t salt[YM_SITE_SALT], struct ym_status *st);
/* What others know a frozen data set by: its hash under the salt. The bare hash
 * would let anybody who guesses the rows of a few patients test the guess. */
void ym_site_data_id(const uint8_t salt[YM_SITE_SALT], const uint8_t frozen[YM_HASH_BYTES], uint8_t id[YM_HASH_BYTES]);
/* What a card is called outside: it declares exact counts, and whoever knows the rest of it could try them against a
 * bare hash. HMAC under the salt of "yumen/card/v1" 0x00 and the card's hash. */
void ym_site_card_id(const uint8_t salt[YM_SITE_SALT], const uint8_t card[YM_HASH_BYTES], uint8_t id[YM_HASH_BYTES]);
/* "yumen/hospital/<name>" */
void ym_site_origin(const char *name, char out[128]);

struct ym_site_policy {
    struct ym_decimal epsilon_cap, delta;
    struct ym_decimal epsilon_month; /* what a calendar month may add; the cap where nothing else is asked */
    int64_t min_patients;
    const char *override;   /* why a cap that needs one is right; NULL: none */
    json_t *terms;          /* whom the hospital serves (gate/policy.h), borrowed; NULL: nobody */
    const char *border_off; /* init: why rule sets are not asked here; NULL: they are */
};
struct ym_site_policy_leaf {
    int64_t cap_micro, delta_e18, order_milli, min_patients, month_micro;
    json_t *terms; /* borrowed; NULL: none */
};
/* Members of a policy and of an override leaf; NULL: out of memory. */
json_t *ym_site_policy_members(const struct ym_site_policy_leaf *p);
bool ym_site_reason_valid(const char *reason); /* 1 to 512 bytes of printable UTF-8 */
json_t *ym_site_override_members(const char *subject, int64_t epsilon_micro, const char *reason);

/* Make the folders, identity key, secret, salt, site.yaml and the ledger with
 * its genesis and policy leaves; gateway_dir (may be NULL): the gateway's folder
 * and gateway.yaml too. YM_CONFLICT when dir holds a site already; a half-made
 * one is completed. YM_CORRUPT: a key whose ledger is gone. vkey: the ledger's verifier key, for trust files. */
enum ym_code ym_site_init(const char *dir, const char *name, const struct ym_site_policy *policy,
                          const char *gateway_dir, int64_t now, struct ym_buf *vkey, struct ym_status *st);
/* "witness <name> <verifier key>" of the site's cosigning key, a line for trust files. */
enum ym_code ym_site_witness(const char *name, const struct ym_key *key, struct ym_buf *out, struct ym_status *st);

/* What the trainer believes about the hub: trust.json, written at enrolment. */
struct ym_trust {
    char federation[64];
    uint8_t hub_key[YM_PUBKEY_BYTES];
    struct ym_buf hub_log; /* verifier key of the hub's ledger */
};
/* YM_NOT_FOUND: not enrolled. */
enum ym_code ym_trust_load(const struct ym_site *s, struct ym_trust *out, struct ym_status *st);
enum ym_code ym_trust_save(const struct ym_site *s, const struct ym_trust *t, struct ym_bytes ca_pem,
                           struct ym_bytes hub_identity_pem, struct ym_status *st);
void ym_trust_release(struct ym_trust *t);

#endif

#ifndef YM_VERIFY_ENTRY_H
#define YM_VERIFY_ENTRY_H

#include "audit/verify/json.h"

/* One leaf, taken apart: form, type, and members as docs/leaves.md lists them. */
enum ym_entry_type {
    YM_ENTRY_GENESIS,
    YM_ENTRY_POLICY,
    YM_ENTRY_ENROL,
    YM_ENTRY_REVOKE,
    YM_ENTRY_CARD,
    YM_ENTRY_PLAN,
    YM_ENTRY_APPROVAL,
    YM_ENTRY_VETO,
    YM_ENTRY_PAUSE,
    YM_ENTRY_ROUND_OPEN,
    YM_ENTRY_CHARGE,
    YM_ENTRY_RELEASE,
    YM_ENTRY_ROUND_RESULT,
    YM_ENTRY_ABORT,
    YM_ENTRY_OVERRIDE,
    YM_ENTRY_SEEN,
    YM_ENTRY_RULESET,
    YM_ENTRY_DOSSIER,
    YM_ENTRY_BORDER,
    YM_ENTRY_WITHDRAWAL,
    YM_ENTRY_INFERENCE,
    YM_ENTRY_DECISION,
    YM_ENTRY_WARNING,
    YM_ENTRY_INCIDENT,
    YM_ENTRY_RECOVER,
    YM_ENTRY_ROTATE,
    YM_ENTRY_TYPES
};

/* Who may sign a type, and whose log may hold it. */
enum { YM_BY_OWNER = 1, YM_BY_HUB = 2, YM_BY_HOSPITAL = 4, YM_BY_SPONSOR = 8 };
enum { YM_IN_HUB = 1, YM_IN_HOSPITAL = 2 };
unsigned ym_entry_signers(enum ym_entry_type type);
unsigned ym_entry_logs(enum ym_entry_type type);

struct ym_entry {
    struct ym_vjson json;
    enum ym_entry_type type;
    const char *type_name, *by, *key; /* inside json */
    struct ym_bytes line;             /* borrowed, or in copy */
    struct ym_buf copy;
    char hash[65]; /* hex SHA-256 of the line: how other leaves name it; ym_entry_hash sets it */
    uint8_t sig[64];
};

enum ym_entry_fault { YM_ENTRY_GOOD, YM_ENTRY_MALFORMED, YM_ENTRY_BAD_TYPE, YM_ENTRY_BAD_FIELDS };

/* *why: a static sentence unless good. Release in either case. */
enum ym_entry_fault ym_entry_parse(struct ym_bytes line, struct ym_entry *out, const char **why);
void ym_entry_release(struct ym_entry *e);
void ym_entry_hash(struct ym_entry *e);
bool ym_entry_signed_by(const struct ym_entry *e, const uint8_t pub[32]);
/* "key" member of what this public key signs. */
void ym_entry_key_id(const uint8_t pub[32], char out[17]);

/* Members that parse has checked; asking for others is a bug. */
const char *ym_entry_text(const struct ym_entry *e, const char *member);
int64_t ym_entry_int(const struct ym_entry *e, const char *member);
/* A text inside an object member, "" when it is not there or no text. */
const char *ym_entry_inner(const struct ym_entry *e, const char *member, const char *inner);
/* A number two objects deep, -1 when it is not there, below 0, or no number. */
int64_t ym_entry_count(const struct ym_entry *e, const char *member, const char *object, const char *inner);
/* A number inside an object member, -1 when it is not there or no number. */
int64_t ym_entry_inner_int(const struct ym_entry *e, const char *member, const char *inner);
/* Limit i of a rule set's `limits`, all facts together; false past its end. */
bool ym_entry_limit_at(const struct ym_entry *e, size_t i, const char **fact, int64_t *from);
/* Year i of a charge's `people`; false past its end. */
struct ym_entry_people {
    int64_t year, people;
};
bool ym_entry_people_at(const struct ym_entry *e, size_t i, struct ym_entry_people *out);
bool ym_entry_bool(const struct ym_entry *e, const char *member);
/* Name i of an array, NULL past its end. */
const char *ym_entry_nth(const struct ym_entry *e, const char *member, size_t i);
bool ym_entry_lists(const struct ym_entry *e, const char *member, const char *name);
/* Item i of a charge's `also`; false past its end. */
struct ym_entry_event {
    const char *use, *noise_variance, *sampling_k;
    int64_t steps;
};
bool ym_entry_event_at(const struct ym_entry *e, const char *member, size_t i, struct ym_entry_event *out);
/* Item i of `seals`; false past its end. */
struct ym_entry_seal {
    const char *office, *text; /* text: the signature in base64 */
    int64_t time;
    uint8_t signature[64];
};
bool ym_entry_seal_at(const struct ym_entry *e, size_t i, struct ym_entry_seal *out);
/* A member's value as it is spelled; false when the line has none such. */
bool ym_entry_spelled(const struct ym_entry *e, const char *member, struct ym_bytes *out);
/* The line's own members without "seals", canonical: what offices sealed. Appends. */
bool ym_entry_own_members(const struct ym_entry *e, struct ym_buf *out);
/* A public key member. */
void ym_entry_pub(const struct ym_entry *e, const char *member, uint8_t out[32]);

#endif

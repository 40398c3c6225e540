#ifndef YM_VERIFY_TRUST_H
#define YM_VERIFY_TRUST_H

#include "audit/verify/note.h"

/* The trust file, got another way than the ledgers: "log <vkey>" lines, '#'
 * comments, "quorum none" (C2SP tlog-policy). Witnesses and groups are refused,
 * for they ask for checks that this program does not make yet. */
struct ym_trust {
    struct ym_vkey *key;
    size_t count;
};

#define YM_TRUST_MAX_BYTES (256 * 1024)
#define YM_TRUST_MAX_KEYS 1024

enum ym_code ym_trust_parse(struct ym_bytes text, struct ym_trust *out, struct ym_status *st);
enum ym_code ym_trust_load(const char *path, struct ym_trust *out, struct ym_status *st);
void ym_trust_release(struct ym_trust *t);
/* The key of a log; NULL when the file has none. */
const struct ym_vkey *ym_trust_find(const struct ym_trust *t, const char *origin);

#endif

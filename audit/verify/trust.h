#ifndef YM_VERIFY_TRUST_H
#define YM_VERIFY_TRUST_H

#include "audit/verify/note.h"

/* The trust file, got another way than the ledgers: C2SP tlog-policy.
 *   log <verifier key> [<url>]               type 0x01, its name is the origin
 *   witness <name> <verifier key> [<url>]    type 0x04
 *   group <name> all|any|<k> <name>...       of witnesses and groups named above it
 *   quorum none|<name>                       one line; without witnesses it may be left out
 * Words between blanks and tabs; '#' begins a comment line. A key twice, a name
 * twice, a member of two groups: refused, as the specification has it. */
struct ym_trust_node { /* a witness, or a group of nodes before it */
    char name[256];
    size_t witness;          /* index of the key; SIZE_MAX: a group */
    size_t need;             /* of a group: so many members */
    size_t *member, members; /* indices of nodes */
    bool taken;              /* it is a member of a group */
};

struct ym_trust {
    struct ym_vkey *key; /* logs */
    size_t count;
    struct ym_vkey *witness;
    size_t witness_count;
    struct ym_trust_node *node;
    size_t node_count;
    bool have_quorum;
    size_t quorum; /* a node; SIZE_MAX: none */
};

#define YM_TRUST_MAX_BYTES (256 * 1024)
#define YM_TRUST_MAX_KEYS 1024 /* logs; and so many witnesses; and so many groups */

enum ym_code ym_trust_parse(struct ym_bytes text, struct ym_trust *out, struct ym_status *st);
enum ym_code ym_trust_load(const char *path, struct ym_trust *out, struct ym_status *st);
void ym_trust_release(struct ym_trust *t);
/* The key of a log; NULL when the file has none. */
const struct ym_vkey *ym_trust_find(const struct ym_trust *t, const char *origin);
/* The policy asks for cosignatures. */
bool ym_trust_asks(const struct ym_trust *t);
/* cosigned: [witness_count], who did. True also when nothing is asked. */
bool ym_trust_quorum(const struct ym_trust *t, const bool *cosigned);

#endif

#ifndef YM_CMD_AUDIT_INPUTS_H
#define YM_CMD_AUDIT_INPUTS_H

#include "audit/verify/verify.h"
#include "base/cli.h"

#define AUDIT_PATH 4096
#define AUDIT_LOGS_MAX 1024
#define AUDIT_OLDER_MAX 4096 /* older checkpoints in a bundle */

/* What a command of yumen-audit was given: ledgers, each a ledger folder or a
 * state folder that holds one, or one evidence bundle, folder or tar, which stands
 * for the ledgers and objects in it; objects and trust file by --objects and --trust. */
struct audit_inputs {
    char (*path)[AUDIT_PATH];
    const char **dir, **older; /* older: --checkpoint, of count older_count */
    size_t count, older_count;
    const char *objects, *trust, *updates; /* NULL: none */
    bool bundle;                           /* one, or a tar of it */
    bool trust_inside;                     /* the trust file lies in the bundle itself: it proves no origin */
    char (*older_path)[AUDIT_PATH];        /* of a bundle */
    char objects_path[AUDIT_PATH], updates_path[AUDIT_PATH],
        scratch[AUDIT_PATH]; /* scratch: a tar unpacked, removed at the end; "" for none */
};

enum ym_code audit_inputs_take(const struct ym_cli_args *a, size_t count, struct audit_inputs *out,
                               struct ym_status *st);
/* The bundle that lies in this folder. trust may be NULL; borrowed. */
enum ym_code audit_inputs_bundle(const char *dir, const char *trust, struct audit_inputs *out, struct ym_status *st);
void audit_inputs_release(struct audit_inputs *in);
/* ym_verify over them. A trust file out of the bundle anchors nothing. */
enum ym_code audit_inputs_verify(const struct audit_inputs *in, bool certified, struct ym_verification **v,
                                 struct ym_status *st);

#endif

#ifndef YM_CMD_AUDIT_BUNDLE_H
#define YM_CMD_AUDIT_BUNDLE_H

#include "base/cli.h"

/* An evidence bundle (docs/evidence.md): one folder, or a tar of it, that holds
 * what an auditor needs besides a trust file of his own. */
#define BUNDLE_LOGS "logs"         /* a ledger folder each, "hub" and "hospital-NAME" */
#define BUNDLE_OBJECTS "objects"   /* plans, states and sums by their hash */
#define BUNDLE_UPDATES "updates"   /* released updates by their hash */
#define BUNDLE_OLDER "checkpoints" /* older checkpoints, numbered */
#define BUNDLE_SUMS "SHA256SUMS"   /* of every other file, as sha256sum writes and checks it */
#define BUNDLE_TOP "evidence"      /* the folder in a tar */

/* yumen-audit bundle: copies, verifies the copies, writes the report of them; the
 * same inputs make the same bytes. Exit code as verify's. */
extern const struct ym_cli_option audit_bundle_options[];
int audit_bundle(const struct ym_cli_args *a);

#endif

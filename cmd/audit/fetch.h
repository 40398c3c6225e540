#ifndef YM_CMD_AUDIT_FETCH_H
#define YM_CMD_AUDIT_FETCH_H

#include "base/cli.h"

/* "fetch" of yumen-audit: starts yumen-audit-fetch, which lies beside it, so that
 * this program itself has no library that could reach a network. */
extern const struct ym_cli_option audit_fetch_options[];
int audit_fetch(const struct ym_cli_args *a);

#endif

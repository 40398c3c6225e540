#ifndef YM_CMD_AUDIT_SELFTEST_H
#define YM_CMD_AUDIT_SELFTEST_H

#include "base/cli.h"

/* yumen-audit selftest: the installed programs, run on pseudo-patients, held
 * against what their ledgers claim (docs/selftest.md). */
extern const struct ym_cli_option audit_selftest_options[];
int audit_selftest(const struct ym_cli_args *a);

#endif

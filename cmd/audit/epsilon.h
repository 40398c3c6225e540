#ifndef YM_CMD_AUDIT_EPSILON_H
#define YM_CMD_AUDIT_EPSILON_H

#include "base/cli.h"

/* yumen-audit epsilon: what charges cost, and the questions asked backwards. Returns the exit code. */
int audit_epsilon(const struct ym_cli_args *a);

#endif

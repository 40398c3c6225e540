#ifndef YM_CMD_AUDIT_RECEIPT_H
#define YM_CMD_AUDIT_RECEIPT_H

#include "base/cli.h"

/* yumen-audit receipt DIR INDEX writes a tlog-proof to stdout; receipt FILE checks one. */
extern const struct ym_cli_option audit_receipt_options[];
int audit_receipt(const struct ym_cli_args *a);

#endif

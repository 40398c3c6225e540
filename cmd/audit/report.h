#ifndef YM_CMD_AUDIT_REPORT_H
#define YM_CMD_AUDIT_REPORT_H

#include <stdio.h>

#include "audit/verify/verify.h"

/* What a verification found, for people (about ten lines) and for programs. */
void audit_report_text(const struct ym_verification *v, int with_objects);
int audit_report_json(const struct ym_verification *v);
/* The finding that decided, in two or three lines. */
void audit_report_worst(const struct ym_verification *v, FILE *out);

/* The charges of the first log as a table, CSV or JSON. */
enum audit_form { AUDIT_TABLE, AUDIT_CSV, AUDIT_JSON };
int audit_budget(const struct ym_verification *v, enum audit_form form);

#endif

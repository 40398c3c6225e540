#ifndef YM_CMD_AUDIT_REPORT_H
#define YM_CMD_AUDIT_REPORT_H

#include <stdio.h>

#include "audit/verify/verify.h"
#include "base/text.h"

/* What a verification found, for people (about ten lines) and for programs: what was checked and what was not, what it
 * means, what it does not. */
void audit_report_text(const struct ym_verification *v, int with_objects, int with_updates);
int audit_report_json(const struct ym_verification *v);
/* A reason in a sentence. */
enum ym_text_id audit_report_why(enum ym_reason r);
/* The finding that decided, in two or three lines. */
void audit_report_worst(const struct ym_verification *v, FILE *out);

/* Millionths as a decimal. */
#define AUDIT_CELL 72
void audit_micro(int64_t micro, char out[AUDIT_CELL]);

/* With several hospitals: the most of each one's data sets, added up, which is what a patient of all may have spent. */
void audit_report_sum(const struct ym_verification *v);

/* The charges of all hospitals as a table, CSV or JSON. */
enum audit_form { AUDIT_TABLE, AUDIT_CSV, AUDIT_JSON };
int audit_budget(const struct ym_verification *v, enum audit_form form);

#endif

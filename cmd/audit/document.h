#ifndef YM_CMD_AUDIT_DOCUMENT_H
#define YM_CMD_AUDIT_DOCUMENT_H

#include "base/cli.h"
#include "cmd/audit/facts.h"
#include "cmd/audit/inputs.h"
#include "cmd/html.h"

/* yumen-audit report: one HTML page for people, in both languages, that needs no
 * script and nothing from elsewhere. It has no time of its own, so that the same
 * ledgers make the same bytes. */
extern const struct ym_cli_option audit_document_options[];
int audit_document(const struct ym_cli_args *a);

/* The whole page. */
enum ym_code audit_document_make(const struct audit_inputs *in, const struct ym_verification *v, struct ym_buf *out,
                                 struct ym_status *st);

struct document {
    const struct audit_inputs *in;
    const struct ym_verification *v;
    struct facts f;
    struct html h;
};
/* The sections, in their order (document_parts.c, document_gate.c, document_proof.c). */
void document_head(struct document *d);
void document_glance(struct document *d);
void document_studies(struct document *d);
void document_budget(struct document *d);
void document_gate(struct document *d);
void document_events(struct document *d);
void document_programs(struct document *d);
void document_limits(struct document *d);
void document_hashes(struct document *d);
void document_repeat(struct document *d);
/* "2026-11-22 04:20", UTC; "–" for 0. */
const char *document_time(int64_t unix_s, char out[32]);

#endif

#ifndef YM_CMD_AUDIT_CHART_H
#define YM_CMD_AUDIT_CHART_H

#include "cmd/audit/facts.h"
#include "cmd/html.h"

/* Inline SVG, legible in grey: lines differ by dash and mark, not by colour alone. */

/* Epsilon over the charges of one group of data sets: spent, certified, cap. */
void chart_budget(struct html *h, const struct fact_budget *b);
/* Who is in each of a study's results, a row a hospital; nothing above FACT_ROUNDS_SHOWN rounds. */
void chart_rounds(struct html *h, const struct fact_study *s);

/* "1.234567", or "inf". */
void chart_micro(int64_t micro, char out[40]);

#endif

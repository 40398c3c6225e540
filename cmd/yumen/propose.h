#ifndef YM_CMD_YUMEN_PROPOSE_H
#define YM_CMD_YUMEN_PROPOSE_H

#include <jansson.h>

#include "base/cli.h"
#include "gate/proposal.h"

/* What `plan advise` proposes, for a plan file and for nothing but figures. */

/* "50-199,200-499" into cohort [YM_PLAN_MAX_SITES]. */
enum ym_code ym_propose_cohorts(const char *list, struct ym_cohort *cohort, size_t *count, struct ym_status *st);
/* A plan's hospitals when nobody says more: nominal_patients each. */
void ym_propose_nominal(const struct ym_plan *plan, struct ym_cohort *cohort, size_t *count);
/* base: from ym_advice_read. json: what goes under "proposal", new reference,
 * NULL for people (printed here). */
enum ym_code ym_propose(const struct ym_plan *base, const struct ym_cohort *cohort, size_t count, json_t **json,
                        struct ym_status *st);
/* `plan advise` without a file. Returns the exit code. */
int ym_propose_from_options(const struct ym_cli_args *a);

#endif

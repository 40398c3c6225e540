#ifndef YM_CMD_YUMEN_PLAN_H
#define YM_CMD_YUMEN_PLAN_H

#include <jansson.h>

#include "base/doc.h"
#include "gate/plan.h"

/* What the commands on plans share. */

struct ym_plan_cost { /* what a plan asks of every hospital */
    int64_t epsilon_micro, first_round_micro;
    int64_t tight_micro;  /* of the whole plan, tighter (audit/spend.h, ym_spend_tight) */
    const char *tight_by; /* "pld" or "rdp" */
    uint32_t rounds_fit;  /* as many such rounds fit the plan's epsilon */
    size_t dim;
    uint64_t update_bytes; /* of one release */
};

enum ym_code ym_plan_cost_of(const struct ym_plan *plan, struct ym_plan_cost *out, struct ym_status *st);
/* What `plan check --json` says of a plan that is fine. New reference. */
json_t *ym_json_plan_cost(const struct ym_plan *plan, const struct ym_plan_cost *c);

/* A decimal as the plan's canonical form writes it, for example of "privacy", "noise_multiplier". */
enum ym_code ym_plan_decimal(const struct ym_plan *plan, const char *section, const char *key, char out[64],
                             struct ym_status *st);

/* Whether a plan may have this epsilon: a decimal above 0 and at most 100. */
bool ym_epsilon_good(const char *text);

/* Load and validate; problems are added to p. */
enum ym_code ym_plan_open(const char *path, struct ym_plan **out, struct ym_problems *p, struct ym_status *st);
/* All problems to stdout. */
void ym_print_problems(const struct ym_problems *p, bool json);

/* ---- plan_border.c ---- */
/* Lines on where the model goes, what the sponsor declared and what a hospital's gate will not know. */
void ym_print_border(const struct ym_plan *plan);
/* {recipient, storage, model_release, recipients: [name], declared: {fact: value}, unknown: [fact]}, null without the
 * section. New reference. */
json_t *ym_json_border(const struct ym_plan *plan);
/* The section's texts, each on a line; nothing without it. */
void ym_show_border(const struct ym_plan *plan);

#endif

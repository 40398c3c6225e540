#ifndef YM_GATE_PLAN_INTERNAL_H
#define YM_GATE_PLAN_INTERNAL_H

#include "gate/plan.h"
#include "gate/schema.h"

/* What keys say (plan_read.c) and what they say together (plan_check.c). Fields
 * that could not be read stay zero, and rules about them are skipped. */
void ym_plan_read_keys(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan);
/* An image among the inputs; false: not readable, and said. */
bool ym_plan_read_image(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v);
/* After family, inputs and outcome. */
void ym_plan_read_layers(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan);
/* After family and outcome: time, cuts, ties, strata; the time becomes the last input. */
void ym_plan_read_survival(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan);
/* After all inputs: the terms. */
void ym_plan_read_formula(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan);
void ym_plan_check(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan);

/* model.start and model.freeze, behind the layers; and with what they do not go. */
void ym_plan_read_start(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan);
void ym_plan_check_start(struct ym_schema *s, const struct ym_at *model, const struct ym_plan *plan);

/* training.correction, training.augmentation and metrics.stop; and with what they do not go. */
void ym_plan_read_correction(struct ym_schema *s, const struct ym_at *training, struct ym_plan *plan);
void ym_plan_read_augmentation(struct ym_schema *s, const struct ym_at *training, struct ym_plan *plan);
void ym_plan_read_stop(struct ym_schema *s, const struct ym_at *metrics, struct ym_plan *plan);
void ym_plan_check_options(struct ym_schema *s, const struct ym_at *root, const struct ym_plan *plan);

extern const char *const ym_plan_families[]; /* by enum ym_family - 1 */
/* The most that noise_multiplier may be. */
extern const char ym_plan_noise_most[];

#endif

#ifndef YM_WORKER_INFER_H
#define YM_WORKER_INFER_H

#include "models/results/notice.h"
#include "worker/data/frozen.h"

/* A released model on rows that the hospital has: what it says of each, as the
 * model's ONNX form would (docs/results.md, "ONNX": probabilities, counts with their
 * offset, numbers in their own unit, rates of time bins per unit of the plan's time).
 * The outcome and a survival's time are not needed and not looked at.
 *
 * A row is refused, and gets no score, where a number lies outside the plan's range
 * or a value is missing under `drop`; a level that the plan does not know is
 * missing. Training cuts numbers to their range, but nobody has looked whether
 * the model says anything sensible out there. The rows of patients who are out
 * (ym_admit) are not looked at: no model sees them. */
enum ym_refusal { YM_SCORED = 0, YM_REFUSED_MISSING, YM_REFUSED_RANGE, YM_LEFT_OUT };

struct ym_inferred {
    size_t rows, scores; /* rows of the frozen set, in its order */
    float *score;        /* [rows][scores]; NaN where refused */
    struct ym_row_refusal {
        enum ym_refusal why;
        const struct ym_variable *variable; /* the first such one; borrowed from the plan */
    } * refusal;                            /* [rows] */
};

/* The variables of the plan that a row must have: its inputs but a survival's time. */
bool ym_infer_needs(const struct ym_plan *plan, const char *name);

/* m: of the plan. out_of [patients of f], nonzero: left out; NULL: nobody. report: column-level problems, for the
 * hospital's own screen. YM_NOT_FOUND: a column is absent, YM_INVALID: one does not fit, or the family (cox) gives no
 * scores. Zero-initialised is empty. */
enum ym_code ym_infer(const struct ym_plan *plan, const struct ym_released *m, const struct ym_frozen *f,
                      const uint8_t *out_of, struct ym_inferred *out, struct ym_buf *report, struct ym_status *st);
void ym_inferred_release(struct ym_inferred *i);

#endif

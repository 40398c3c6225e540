#ifndef YM_CMD_YUMEN_PRINT_H
#define YM_CMD_YUMEN_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gate/plan.h"
#include "sim/score.h"
#include "sim/site.h"

/* What several commands print alike. */

/* text and blanks up to a width in terminal columns (a Chinese character takes two). */
void ym_print_pad(struct ym_buf *out, const char *text, int columns);
/* "3.000000" from millionths, "-" when negative, "inf" for INT64_MAX. */
void ym_print_micro(struct ym_buf *out, int64_t micro);
/* "loss 0.1234  accuracy 0.93  AUC 0.9712"; what is undefined is left away. */
void ym_print_score(struct ym_buf *out, const struct ym_score *s);
/* Members rows, loss, accuracy, auc, brier, calibration; null where undefined; for survival concordance,
 * expected_events, observed_events too. New reference. */
json_t *ym_json_score(const struct ym_score *s);
/* The whole of it, for people: each figure on a line, reliability and confusion as tables. */
void ym_print_scores(struct ym_buf *out, const struct ym_scores *s);
/* {reliability: [{from, to, count, expected, observed}], confusion: {levels, counts}}; null where there is none. New
 * reference. */
json_t *ym_json_scores(const struct ym_scores *s);
/* One line of JSON for programs, reals allowed, keys in order given. */
void ym_print_json(json_t *value);
/* On a terminal: say on stderr that something takes seconds, and take it back. */
void ym_print_wait(bool on);
/* Read a YAML plan; problems go to stderr. */
enum ym_code ym_plan_load(const char *path, struct ym_plan **out, struct ym_status *st);
/* The same for maximum likelihood (ym_plan_read_exact). */
enum ym_code ym_plan_load_exact(const char *path, struct ym_plan **out, struct ym_status *st);
/* Read the sponsor's test file; lines that cannot be used go to stderr. */
enum ym_code ym_test_load(const struct ym_plan *plan, const char *path, struct ym_table **out, struct ym_status *st);

#endif

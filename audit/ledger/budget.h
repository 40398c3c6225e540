#ifndef YM_AUDIT_BUDGET_H
#define YM_AUDIT_BUDGET_H

#include "audit/ledger/ledger.h"
#include "privacy/accountant.h"

/* The budget is a fold over the hospital's ledger: policy leaves set cap and
 * delta, dataset_card leaves say which data sets share patients (one group, one
 * budget), charge leaves are events. Never stored, always recomputed.
 * Spent is the figure at one Renyi order, which the first policy fixes for the
 * ledger's life, so that the cap holds for plans chosen adaptively (Feldman and
 * Zrnic 2021: docs/privacy.md, "filter"). */
struct ym_budget;

enum ym_code ym_budget_fold(struct ym_ledger *l, struct ym_budget **out, struct ym_status *st);
enum ym_code ym_budget_take(struct ym_budget *b, struct ym_bytes leaf, struct ym_status *st); /* one more leaf */
void ym_budget_free(struct ym_budget *b);

struct ym_budget_line {
    char dataset[64], study[64];
    uint32_t round, attempt;
    struct ym_events events;
    int64_t round_micro; /* epsilon of this charge alone, millionths */
    int64_t spent_micro; /* of the group after it, at the policy's order */
    int64_t tight_micro; /* the same if all charges had been fixed beforehand: over all orders; for display */
    int64_t cap_micro;
    int64_t delta_e18, order_milli;
};
size_t ym_budget_count(const struct ym_budget *b);
const struct ym_budget_line *ym_budget_at(const struct ym_budget *b, size_t i);
/* What is spent by the group of dataset; YM_NOT_FOUND for an unknown data set. */
enum ym_code ym_budget_spent(const struct ym_budget *b, const char *dataset, int64_t *spent_micro, int64_t *cap_micro,
                             int64_t *delta_e18, struct ym_status *st);
/* The same charges as if fixed beforehand, for display; YM_NOT_FOUND, YM_DENIED. */
enum ym_code ym_budget_tight(const struct ym_budget *b, const char *dataset, int64_t *tight_micro,
                             struct ym_status *st);
int64_t ym_budget_order_milli(const struct ym_budget *b); /* the policy's order * 1000; 0: no policy yet */
/* Would this charge still fit? YM_OK, or YM_EXHAUSTED with figures in st, or
 * YM_DENIED when the ledger holds no policy. after/alone: out. */
enum ym_code ym_budget_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *alone_micro, int64_t *after_micro, struct ym_status *st);
/* Epsilon at delta_e18 of all that a study was charged here, and of plus, as if fixed beforehand: what a plan's own
 * ceiling is held against. */
enum ym_code ym_budget_study(const struct ym_budget *b, const char *study, const struct ym_events *plus,
                             int64_t delta_e18, int64_t *micro, struct ym_status *st);
/* True when (study, round, attempt) was charged. */
bool ym_budget_charged(const struct ym_budget *b, const char *study, uint32_t round, uint32_t attempt);

#endif

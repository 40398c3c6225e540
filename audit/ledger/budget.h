#ifndef YM_AUDIT_BUDGET_H
#define YM_AUDIT_BUDGET_H

#include "audit/ledger/ledger.h"
#include "audit/spend.h"
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
/* So many leaves to come are taken back after a loss (recover.h): an attempt may stand
 * twice then, and is spent twice. A recover leaf does the same for the leaves behind it. */
void ym_budget_return(struct ym_budget *b, uint64_t count);
bool ym_budget_shared(const struct ym_budget *b, const char *dataset, const char *other); /* of one group */

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
/* The same charges, and plus (NULL: none), as if fixed beforehand, for display; YM_NOT_FOUND, YM_DENIED. */
enum ym_code ym_budget_tight(const struct ym_budget *b, const char *dataset, const struct ym_events *plus,
                             struct ym_tight *out, struct ym_status *st);
int64_t ym_budget_order_milli(const struct ym_budget *b); /* the policy's order * 1000; 0: no policy yet */
struct ym_budget_policy {                                 /* of the newest policy leaf */
    int64_t cap_micro, delta_e18, order_milli, month_micro;
};
bool ym_budget_policy(const struct ym_budget *b, struct ym_budget_policy *out); /* false: no policy yet */
struct ym_budget_card { /* of a data set's newest card; "" where it does not say */
    char size_class[16], identified[16];
};
/* NULL: the data set is not known. Valid until the next leaf is taken. */
const struct ym_budget_card *ym_budget_card(const struct ym_budget *b, const char *dataset);
/* An epsilon of this size needs no override (audit/limits.h), or an override leaf of
 * this subject, a plan's hash in hex or "policy", allows as much. */
bool ym_budget_explained(const struct ym_budget *b, const char *subject, int64_t epsilon_micro);
/* delta is at most 1 / (10 x the data set's public size class); YM_DENIED: no, or its
 * card names no class. of_plan: whose delta it is, for the message. */
enum ym_code ym_budget_delta(const struct ym_budget *b, const char *dataset, int64_t delta_e18, bool of_plan,
                             struct ym_status *st);
/* Would this charge still fit? YM_OK, or YM_EXHAUSTED with figures in st, or
 * YM_DENIED when the ledger holds no policy, or one whose cap lacks its override
 * or whose delta is too large for this data set. after/alone: out. */
enum ym_code ym_budget_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *alone_micro, int64_t *after_micro, struct ym_status *st);
/* What spent would be after one more charge, whether it fits or not. */
enum ym_code ym_budget_after(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *after_micro, struct ym_status *st);
/* A month's charges, plus one more (NULL: none): what they add to spent, the
 * conversion's constant left out (ym_spend_added_micro). The month is that of now
 * in China, or the newest in which the owner signed anything, if that is later. */
enum ym_code ym_budget_month(const struct ym_budget *b, const char *dataset, const struct ym_events *plus, int64_t now,
                             int64_t *added_micro, struct ym_status *st);
/* Within the policy's limit for a month? YM_EXHAUSTED: not before the next one. */
enum ym_code ym_budget_month_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                                   int64_t now, struct ym_status *st);
#define YM_BUDGET_ROUNDS_MAX 1000000
/* What so many rounds (1..YM_BUDGET_ROUNDS_MAX) ask of the same patients. */
typedef void (*ym_budget_rounds_fn)(const void *ctx, uint32_t rounds, struct ym_events *out);
/* How many more such rounds fit under the cap, at most the bound above, and how
 * many of them in the month of now. */
enum ym_code ym_budget_rounds(const struct ym_budget *b, const char *dataset, ym_budget_rounds_fn events,
                              const void *ctx, int64_t now, uint64_t *under_cap, uint64_t *this_month,
                              struct ym_status *st);
/* Epsilon at delta_e18 of all that a study was charged here, and of plus, as if fixed beforehand: what a plan's own
 * ceiling is held against. */
enum ym_code ym_budget_study(const struct ym_budget *b, const char *study, const struct ym_events *plus,
                             int64_t delta_e18, int64_t *micro, struct ym_status *st);
/* True when (study, round, attempt) was charged. */
bool ym_budget_charged(const struct ym_budget *b, const char *study, uint32_t round, uint32_t attempt);

#endif

#ifndef YM_GATE_POLICY_H
#define YM_GATE_POLICY_H

#include "base/buf.h"
#include "base/decimal.h"
#include "base/doc.h"

/* A hospital's policy: whom it serves, with what, for how much and when. YAML
 * ("yumen: policy/1", docs/site.md) that the site signs; only the site changes
 * it. It has figures, which the budget is held against, and terms, which a plan
 * is held against. What is not named is not allowed. Pure. */

struct ym_plan;
enum { YM_POLICY_MOST_WINDOWS = 16, YM_POLICY_MOST_NAMES = 512, YM_POLICY_MAX_BYTES = 32 * 1024 };

/* Rounds may run from a time of day to another, on so many days of the week;
 * one that ends no later than it begins ends on the next day. */
struct ym_policy_window {
    uint8_t days;      /* bit 0: Monday ... bit 6: Sunday; days on which it begins */
    uint16_t from, to; /* minutes since midnight in China; to up to 1440 */
};

struct ym_policy_figures {
    struct ym_decimal epsilon_lifetime, epsilon_month, delta;
    int64_t min_patients;
};

/* May a hospital let released models score patients (`yumen-site infer`), and on what ground? */
enum ym_score_basis {
    YM_SCORES_NONE,      /* the policy does not say: nobody is scored */
    YM_SCORES_CONSENT,   /* who agreed to it (ym_consent_needed_inside) */
    YM_SCORES_TREATMENT, /* the hospital's own patients, for their treatment; whoever withdrew is out all the same */
    YM_SCORES_COUNT
};
const char *ym_score_basis_word(enum ym_score_basis b); /* "none" "consent" "treatment" */

struct ym_policy {
    json_t *terms; /* canonical: the member "terms" of a policy leaf */
    enum ym_score_basis scores;
    int64_t score_rows_hour; /* the most rows of a clock hour; 0 with YM_SCORES_NONE */
    int64_t epsilon_study_micro;
    struct ym_policy_window window[YM_POLICY_MOST_WINDOWS];
    size_t window_count; /* 0: at any time */
    int64_t cpu_threads; /* that may work on a plan at once; 0: any number */
    int64_t memory_mib;  /* that the trainer may hold while it works on a plan; 0: any */
};

/* Every problem with file, line, key and what to do. YM_INVALID when p got anything. */
enum ym_code ym_policy_read(const struct ym_doc *doc, struct ym_policy_figures *figures, struct ym_policy **out,
                            struct ym_problems *p, struct ym_status *st);
/* From a leaf's terms, which must be canonical already. YM_INVALID: of another program. */
enum ym_code ym_policy_decode(json_t *terms, struct ym_policy **out, struct ym_status *st);
void ym_policy_free(struct ym_policy *p);

/* What the program holds before any plan, MiB: itself, OpenBLAS's buffer, and some for whoever asks meanwhile. */
#define YM_POLICY_MEMORY_BASE 64
/* MiB below which no hospital can train the plan, whatever its rows: that, and the model's vectors. */
int64_t ym_policy_memory_least(const struct ym_plan *plan);

/* What a plan is held against. TERM(id, word) */
#define YM_POLICY_TERMS(TERM)                                                                                          \
    TERM(SPONSOR, "sponsor")                                                                                           \
    TERM(PURPOSE, "purpose")                                                                                           \
    TERM(MODEL, "model")                                                                                               \
    TERM(INPUTS, "inputs")                                                                                             \
    TERM(OUTCOME, "outcome")                                                                                           \
    TERM(RECIPIENT, "recipient")                                                                                       \
    TERM(EPSILON, "epsilon")                                                                                           \
    TERM(THREADS, "cpu_threads")                                                                                       \
    TERM(MEMORY, "memory_mib")
enum ym_policy_term {
#define TERM(id, word) YM_POLICY_##id,
    YM_POLICY_TERMS(TERM)
#undef TERM
        YM_POLICY_TERM_COUNT
};
const char *ym_policy_term_word(enum ym_policy_term t);
const char *ym_policy_term_title(enum ym_policy_term t); /* for people, in their language */

/* What the plan asks and what the policy says, term by term, in the language that
 * is set. Zero-initialised is empty. */
struct ym_policy_view {
    struct ym_policy_line {
        bool fits;
        struct ym_buf asks, says, why; /* why: a sentence, empty when it fits */
    } line[YM_POLICY_TERM_COUNT];
    bool fits; /* all do */
};
/* delta_e18: the site's, at which epsilon is stated. YM_EXHAUSTED: no memory. */
enum ym_code ym_policy_compare(const struct ym_policy *policy, const struct ym_plan *plan, int64_t delta_e18,
                               struct ym_policy_view *out, struct ym_status *st);
void ym_policy_view_release(struct ym_policy_view *v);

/* YM_OK, or YM_DENIED with every reason in st. policy NULL: nothing is signed, or
 * it is unreadable. */
enum ym_code ym_policy_allows(const struct ym_policy *policy, const struct ym_plan *plan, int64_t delta_e18,
                              struct ym_status *st);
/* May a round run at that time? YM_OK; YM_UNAVAILABLE with the hours; YM_DENIED: policy is NULL. */
enum ym_code ym_policy_open(const struct ym_policy *policy, int64_t now, struct ym_status *st);
/* "mon-fri 20:00-06:00; sat,sun 00:00-24:00" */
enum ym_code ym_policy_hours(const struct ym_policy *policy, struct ym_buf *out);

#endif

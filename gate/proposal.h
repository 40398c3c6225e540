#ifndef YM_GATE_PROPOSAL_H
#define YM_GATE_PROPOSAL_H

#include "gate/plan.h"

/* Training and privacy settings proposed out of what is public: epsilon, delta,
 * size classes, model. Pure; rules of thumb with their reasons in docs/plan.md.
 * Every row has passed ym_plan_read with the noise it tells (gate/advice.h). */

enum { YM_PROPOSAL_LENGTHS = 4, YM_PROPOSAL_SAMPLINGS = 6 };

struct ym_cohort { /* a hospital's public size class */
    uint32_t low, high;
};

struct ym_proposal_row {
    uint32_t rounds, local_steps;
    char sampling[8];
    bool fits; /* else what follows is not set */
    struct ym_decimal noise;
    int64_t epsilon_micro;
    double noise_per_coordinate; /* standard deviation in one coordinate of the gradient averaged over the hospitals,
                                    one step, gradient units */
    double step_signal;          /* clip_norm / (noise_per_coordinate * sqrt(parameters)): the most that an averaged
                                    gradient can be, over the noise it carries */
    double run_signal;           /* step_signal * sqrt(steps): the same after all of them */
};

struct ym_proposal {
    uint32_t nominal_patients; /* mean of the classes' geometric middles, two digits */
    double clip_norm;
    struct ym_proposal_row row[YM_PROPOSAL_LENGTHS][YM_PROPOSAL_SAMPLINGS];
    size_t best[YM_PROPOSAL_LENGTHS]; /* the row proposed for each length */
    size_t length;                    /* the one proposed */
    struct ym_plan *plan;             /* with the proposal in it, as the check passed it; ym_plan_free */
};

/* base: from ym_advice_read; its training and privacy sections are replaced,
 * but for delta, epsilon, l2, records and what the proposal does not speak of.
 * dim: its parameters. cohort [count]: low >= 1, high >= low. YM_NOT_FOUND when
 * no noise fits; YM_INVALID, told by key, when the rest of the plan forbids it. */
enum ym_code ym_proposal_find(const struct ym_plan *base, size_t dim, const struct ym_cohort *cohort, size_t count,
                              struct ym_proposal *out, struct ym_status *st);

/* The largest power of ten that a plan may have as delta for the largest class: at most 1 / (10 x high). */
double ym_proposal_delta(const struct ym_cohort *cohort, size_t count);

#endif

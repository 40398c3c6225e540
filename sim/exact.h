#ifndef YM_SIM_EXACT_H
#define YM_SIM_EXACT_H

#include "models/concordance.h"
#include "sim/federation.h"
#include "sim/newton.h"

/* The plan's model by maximum likelihood on the sites' rows, without noise
 * (sim/newton.h), as `yumen simulate --no-privacy --newton` tells it. Coefficients
 * are per study unit: those of R for the same formula. */
struct ym_exact {
    struct ym_newton_fit fit;
    char (*term)[256];                  /* [fit.count] */
    size_t width;                       /* of a level's coefficients; coefficient i tells of level 1 + i / width */
    double penalty;                     /* l2 times patients; 0: none */
    double concordance, concordance_se; /* survival: Harrell's C within baselines; else NaN */
};

/* Tables of a plan read by ym_plan_read_exact. Families linear, logistic, multinomial, poisson,
 * discrete_hazard, piecewise_exponential, cox, else YM_INVALID; so are data without a maximum. With l2 what is
 * maximised is the log-likelihood less penalty / 2 |w|^2, w the weights as training has them (of scaled columns, no
 * intercept): where full steps without noise end when nominal_patients is the hospitals' mean and each patient has one
 * row; standard errors are then the root of the inverse of information and penalty. YM_INVALID with products. */
enum ym_code ym_exact_fit(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          struct ym_exact *out, struct ym_status *st);
void ym_exact_release(struct ym_exact *e);

#endif

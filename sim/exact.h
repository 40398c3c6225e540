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
    double concordance, concordance_se; /* survival: Harrell's C within baselines; else NaN */
};

/* Tables of a plan read by ym_plan_read_exact. Families linear, logistic, poisson,
 * discrete_hazard, piecewise_exponential, cox without l2, else YM_INVALID; so are
 * data without a maximum. */
enum ym_code ym_exact_fit(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          struct ym_exact *out, struct ym_status *st);
void ym_exact_release(struct ym_exact *e);

#endif

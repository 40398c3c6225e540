#ifndef YM_SIM_SWEEP_H
#define YM_SIM_SWEEP_H

#include "sim/federation.h"

/* The same plan under several seeds, on several threads. A run's figures are a
 * function of its seed alone, whatever the number of threads. */

#define YM_SIM_MAX_SEEDS 10000

struct ym_sim_seeds {
    uint64_t first;                         /* seeds first, first + 1, ... modulo 2^64 */
    size_t count;                           /* 1 to YM_SIM_MAX_SEEDS */
    size_t threads;                         /* at least 1 */
    void (*on_run)(void *ctx, size_t done); /* after each run, one at a time; may be NULL */
    void *ctx;
};

/* o: what ym_sim_run takes; its seed and callback are set here.
 *   out [count][1 + site_count]: first the figure of the run, then the sites'.
 * Measured on the sites' own test rows where any site has some (their mean,
 * each site counting once), else on o->test, else on the rows trained on. */
enum ym_code ym_sim_sweep(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          const struct ym_sim_options *o, const struct ym_sim_seeds *seeds, struct ym_score *out,
                          struct ym_status *st);

#endif

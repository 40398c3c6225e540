#ifndef YM_SIM_FEDERATION_H
#define YM_SIM_FEDERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gate/plan.h"
#include "models/metric.h"
#include "sim/score.h"
#include "worker/data/frozen.h"

/* A whole federation in one process: the plan, the models, the privacy code and
 * the state function are those of the daemons (ym_local_round, ym_state_next);
 * only sockets, stores and ledgers are missing. Every hospital given takes part
 * in every round; hospitals of the plan that are not given are left out. */

struct ym_sim_site {
    const char *name;            /* of a hospital in the plan */
    const struct ym_table *data; /* borrowed */
    const struct ym_table *test; /* rows of its own that are not trained on; NULL: none. Borrowed */
};

struct ym_sim_round {
    uint32_t round;                   /* 1-based; 0 is the state before training */
    bool last;                        /* the plan's last round, or the one it stops with (models/stop.h) */
    int64_t epsilon_micro;            /* spent by each hospital so far, at the plan's delta; -1 without privacy */
    struct ym_score pooled;           /* all rows of all sites as one set */
    struct ym_score test;             /* rows 0 when no test set was given */
    const struct ym_score *site;      /* [site_count], the order given */
    const struct ym_score *site_test; /* [site_count]; rows 0 where a site has no test rows */
    const struct ym_metric *metric;   /* as released, of the state that the round started from; NULL: none */
    struct ym_score centres;          /* mean over the sites that have test rows, each counting once; rows: of all */
};

struct ym_sim_options {
    bool no_privacy; /* sim/plain.h instead of noised steps */
    bool seeded;     /* else the kernel's generator, as in the trainer */
    uint64_t seed;
    const struct ym_table *test; /* may be NULL */
    struct ym_bytes start;       /* the file that the plan starts from; else none */
    /* Called after each round and once before the first (round 0), or after the
     * last alone; may be NULL. */
    bool last_round_only;
    void (*on_round)(void *ctx, const struct ym_sim_round *r);
    void *ctx;
};

/* Runs all rounds of the plan. state: out, the last state's bytes. YM_INVALID
 * for a site that the plan does not name or names given twice, YM_DENIED when
 * fewer than the plan's quorum are given. */
enum ym_code ym_sim_run(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                        const struct ym_sim_options *o, struct ym_buf *state, struct ym_status *st);

#endif

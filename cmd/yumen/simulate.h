#ifndef YM_CMD_YUMEN_SIMULATE_H
#define YM_CMD_YUMEN_SIMULATE_H

#include <jansson.h>

#include "sim/federation.h"

/* What one simulation and a sweep over seeds share. */

#define YM_SIMULATION_MAX_EPSILONS 32
#define YM_SIMULATION_EPSILON_BYTES 32

struct ym_simulation {
    const char *out;  /* file of the model that comes out; NULL: none */
    const char *path; /* of the plan */
    char epsilon[YM_SIMULATION_MAX_EPSILONS][YM_SIMULATION_EPSILON_BYTES]; /* as given */
    size_t epsilon_count, seeds;                                           /* seeds 0: one run */
    struct ym_plan *plan;
    struct ym_sim_site site[YM_PLAN_MAX_SITES];
    char name[YM_PLAN_MAX_SITES][64];
    struct ym_table *table[YM_PLAN_MAX_SITES];
    struct ym_table *site_test[YM_PLAN_MAX_SITES];
    size_t site_count;
    struct ym_table *test;
    struct ym_sim_options options;
    bool json, params, newton;
    json_t *rounds; /* --json: filled round by round */
    struct ym_buf state, start;
};

/* The marks of this program's own options, for people and for programs (new reference). */
void ym_simulation_print_marks(const struct ym_simulation *s);
json_t *ym_simulation_marks(const struct ym_simulation *s);
void ym_simulation_print_sites(const struct ym_simulation *s);

/* "0.5,1,2" into s->epsilon. */
enum ym_code ym_simulation_read_epsilons(struct ym_simulation *s, const char *list, struct ym_status *st);
/* Reads the plan for that epsilon with the least noise that passes `plan check`,
 * found as `plan advise` does, whatever noise it says; in place of s->plan. */
enum ym_code ym_simulation_calibrate(struct ym_simulation *s, const char *epsilon, struct ym_status *st);
/* All seeds for each epsilon, or for the plan as written when none was given, and their spread to stdout. */
enum ym_code ym_simulation_sweep(struct ym_simulation *s, struct ym_status *st);

/* --newton: the plan's model by maximum likelihood, its table to stdout. */
enum ym_code ym_simulation_newton(struct ym_simulation *s, struct ym_status *st);

#endif

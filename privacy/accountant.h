#ifndef YM_PRIVACY_ACCOUNTANT_H
#define YM_PRIVACY_ACCOUNTANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/status.h"

/* Renyi accountant of the Poisson-subsampled Gaussian, add or remove one
 * patient (accountant_rdp.c), which the cap is held by. Pure; rounds up. Tighter
 * ones for charges fixed beforehand stand below. */

struct ym_event {         /* one charge: what an auditor needs to recompute it */
    uint64_t sigma_units; /* noise std of a step's sum; sensitivity is YM_CLIP_UNITS */
    uint64_t sampling_k;  /* q = k / 2^64 */
    uint64_t steps;
};

/* What one charge consists of: the training's noisy steps first, then whatever else the same patients are asked in
 * the round. All of it composes. */
enum ym_use { YM_USE_TRAINING, YM_USE_METRIC, YM_USE_SCALING, YM_USE_COUNT };
#define YM_EVENTS_MAX 5
struct ym_events {
    size_t count; /* 1..YM_EVENTS_MAX; event[0] is the training's, where there is any */
    struct ym_event event[YM_EVENTS_MAX];
    enum ym_use use[YM_EVENTS_MAX];
};

#define YM_RDP_ORDERS 160                    /* upper bound on the grid */
size_t ym_rdp_orders(const double **orders); /* the fixed grid, > 1, ascending */

struct ym_rdp {
    double at[YM_RDP_ORDERS];
}; /* nats, accumulated over events */

void ym_rdp_clear(struct ym_rdp *r);
/* Adds an upper bound of the event's RDP at every order of the grid.
 * YM_INVALID for sigma_units 0, k 0. Cached by (sigma, k) inside the caller's loop is the caller's business. */
enum ym_code ym_rdp_add(struct ym_rdp *r, const struct ym_event *e, struct ym_status *st);
/* epsilon at delta (0 < delta < 1), Canonne-Kamath-Steinke 2020 Prop. 12; never
 * negative; rounded up. order: out, may be NULL. */
double ym_rdp_epsilon(const struct ym_rdp *r, double delta, double *order);
/* The same at one order, which was fixed before anything was charged: what a
 * filter holds against its cap. INFINITY for an order that is not on the grid. */
double ym_rdp_epsilon_at(const struct ym_rdp *r, double delta, double order);
/* The order of the grid at which a Gaussian's loss uses the cap up most slowly:
 * the largest (epsilon_cap - conversion's constant) / order. 0 for a bad delta. */
double ym_rdp_filter_order(double epsilon_cap, double delta);

/* Epsilon in millionths, rounded up; INT64_MAX when infinite or absurd. */
int64_t ym_epsilon_micro(double epsilon);

/* A tighter figure for charges that were all fixed beforehand (a filter is RDP at one order; docs/privacy.md): a
 * saddle-point contour integral by quadrature (after Alghamdi et al. 2023). An ESTIMATE, with no bound on its error.
 * 0 < delta < 1, events in any order; the larger of the directions "remove" and "add" of the composed curve, 0 where
 * delta covers everything. YM_INVALID as above; YM_EXHAUSTED where a charge is so extreme that the work is out of
 * bounds; YM_INTERNAL where it does not converge. Pure; any thread. */
enum ym_code ym_contour_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon,
                                struct ym_status *st);
enum ym_code ym_contour_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                                 struct ym_status *st); /* [0] remove, [1] add */
/* The other way: delta at epsilon >= 0; 0 for no charge. */
enum ym_code ym_contour_delta(const struct ym_event *e, size_t count, double epsilon, double *delta,
                              struct ym_status *st);

/* The same two from above, CERTIFIED: never below the truth, rounding included (tilted-FFT privacy-loss distribution;
 * docs/privacy.md, "Certified"), and about 3e-4 above it. For charges that were all fixed beforehand, both directions.
 * YM_EXHAUSTED where the charges are so extreme, many or different that time or memory would pass a bound, or delta is
 * below 1e-60: then there is no figure. Pure; any thread. */
enum ym_code ym_pld_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon,
                            struct ym_status *st);
enum ym_code ym_pld_epsilons(const struct ym_event *e, size_t count, double delta, double epsilon[2],
                             struct ym_status *st); /* [0] remove, [1] add; the smaller one need not be close */
enum ym_code ym_pld_delta(const struct ym_event *e, size_t count, double epsilon, double *delta, struct ym_status *st);

/* Three figures for one question, computed in three ways; rdp is the smallest over the grid's orders. */
struct ym_figures {
    double estimate, certified, rdp;
};
/* YM_INTERNAL, with the three in the message, when they contradict one another: ym_figures_agree. Otherwise the codes
 * of the three. */
enum ym_code ym_accountants_agree(const struct ym_event *e, size_t count, double delta, struct ym_figures *out,
                                  struct ym_status *st);
/* Whether they may be of the same charges: bounds not below the estimate by more than its own error (1e-6 of it, and
 * 1e-9), the certified one not above it by more than 1e-3 of it and 1e-5. */
enum ym_code ym_figures_agree(const struct ym_figures *f, struct ym_status *st);

#endif

#ifndef YM_PRIVACY_LOSS_GRID_H
#define YM_PRIVACY_LOSS_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "privacy/loss_moment.h"

/* The privacy loss of one step on a grid, never smaller than it is (connect the dots, Doroshenko et al. 2022; proof in
 * docs/privacy.md, "Certified"). Atom i stands at the loss (low + i) step + slip when a patient is removed; when one is
 * added at slip - (low + i) step, with mass e^(slip - (low + i) step) mass[i]. What lies beyond the grid is apart. */
struct ym_loss_grid {
    int64_t low;
    size_t count;
    double *mass;                 /* [count] upper bounds, removing; to be freed */
    double below, above;          /* removing: one more mass at the first atom; adding: at the last, its lowest loss */
    double lost_remove, lost_add; /* mass at an infinite loss */
    double slip;
};

#define YM_LOSS_ATOMS_MAX ((size_t)1 << 22)

/* How far out, in units of sqrt(2) standard deviations: below and above the patient-free mean by at least outer, above
 * the mean that the patient moves by at least inner. 1 to 30. */
struct ym_reach {
    double outer, inner;
};

/* 0 < step <= 1, at most 24 significant bits. YM_EXHAUSTED for more than YM_LOSS_ATOMS_MAX atoms or a step so fine that
 * rounding would show. */
enum ym_code ym_loss_grid_make(const struct ym_loss *l, double step, struct ym_reach reach, struct ym_loss_grid *out,
                               struct ym_status *st);
/* Atoms that make will take; a hint. */
double ym_loss_grid_size(const struct ym_loss *l, double step, struct ym_reach reach);

#endif

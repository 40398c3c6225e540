#ifndef YM_PRIVACY_LOSS_COMPOSE_H
#define YM_PRIVACY_LOSS_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "privacy/fft.h"
#include "privacy/loss_grid.h"

/* The composed loss of all steps on a grid, weighted by e^(s loss) so that rounding is relative to the delta asked for;
 * both directions, [0] removing, [1] adding. Every number called a bound is one, rounding included, whatever frame was
 * chosen: docs/privacy.md, "Certified". Pure. */
struct ym_loss_frame { /* the grid of composed losses: [base, base + n) step, plus slip */
    double s, step;
    unsigned bits;
    size_t n;
    int64_t base;
};

struct ym_composed_bin;

struct ym_composed_curve {
    double log_scale, lost, slip; /* composed mass at each loss is e^(log_scale - s loss) times tilted; at infinity */
    double *tilted;               /* [n] upper bounds */
};

struct ym_composed {
    struct ym_loss_frame f;
    struct ym_fft *fft;
    double *re, *im;             /* [n] */
    struct ym_composed_bin *bin; /* [n / 2 + 1] */
    struct ym_composed_curve way[2];
};

/* c->f is the caller's choice, the rest zero; step as for ym_loss_grid_make. YM_EXHAUSTED as there, and for memory. To
 * be released, also after a failure. */
enum ym_code ym_losses_compose(const struct ym_loss *l, size_t losses, const struct ym_reach *reach,
                               struct ym_composed *c, struct ym_status *st);
void ym_composed_release(struct ym_composed *c);

struct ym_composed_at {
    double slope; /* -d log delta / d epsilon there; a hint */
    bool edge;    /* the window's lower end decided: another window may give less */
};
/* Upper bounds. epsilon: never below 0, INFINITY where the window does not reach. delta: at most 1. */
double ym_composed_epsilon(const struct ym_composed *c, bool adding, double delta, struct ym_composed_at *at);
double ym_composed_delta(const struct ym_composed *c, bool adding, double epsilon, struct ym_composed_at *at);

#endif

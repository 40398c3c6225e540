#ifndef YM_PRIVACY_RDP_MOMENT_H
#define YM_PRIVACY_RDP_MOMENT_H

/* Renyi divergence of one step of the Poisson-subsampled Gaussian, remove
 * direction (it dominates add: Mironov, Talwar, Zhang 2019, section 3):
 *   rdp(a) = log E[(1 + x)^a] / (a - 1),  x = q (e^((2z-1)/(2 s^2)) - 1),  z ~ N(0, s^2).
 * Computed as log1p of E[(1+x)^a - 1 - a x], whose terms are all positive (E[x] = 0),
 * so that small divergences keep their digits: whole orders by the binomial sum,
 * others by the trapezoid rule. Below s = 0.1, and at q = 1, the plain Gaussian's
 * a / (2 s^2), which is never smaller. No allowance is added here. */
struct ym_moments; /* nodes shared by the orders of one (s, q) */

struct ym_moments *ym_moments_new(double sigma, double q); /* NULL: no memory */
void ym_moments_free(struct ym_moments *m);
double ym_moments_rdp(const struct ym_moments *m, double order);
/* The quadrature even for a whole order: two roads to one figure, for tests. */
double ym_moments_rdp_by_quadrature(const struct ym_moments *m, double order);

#endif

#ifndef YM_PRIVACY_MECHANISMS_H
#define YM_PRIVACY_MECHANISMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Accountants with a formula: no event, no composition but that of the formula. Neighbours differ in one patient, as
 * everywhere. Each figure is an upper bound and rounds up; 0 < delta < 1, else INFINITY. Pure; any thread. The
 * discrete mechanisms are not in use (rounded Gaussian noise needs none of them, docs/privacy.md, lemma 2); they stand
 * ready for distributed noise. */

/* ---- Gaussian releases, exact (Balle, Wang 2018, theorem 8). mu >= 0 is sensitivity over standard deviation; releases
 * together are one with mu^2 = the sum of theirs. Digits hold to delta 1e-300. ---- */
double ym_gaussian_delta(double mu, double epsilon); /* epsilon >= 0 */
double ym_gaussian_epsilon(double mu, double delta); /* 0 where delta covers everything */
double ym_gaussian_mu(double epsilon, double delta); /* the largest within both, rounded down; 1 / mu is the noise */

/* ---- rho-zCDP, rho >= 0 ---- */
double ym_zcdp_epsilon(double rho, double delta);             /* best order: Canonne, Kamath, Steinke 2020, Prop. 12 */
double ym_zcdp_epsilon_bun_steinke(double rho, double delta); /* the older, larger one: 2016, Prop. 1.3 */

/* ---- Noise on the integers, one release: exact in one dimension ---- */
struct ym_integer_noise {
    double *p;    /* [2 reach + 1] probability of -reach ... reach; what lies beyond is below 1e-300 in all */
    size_t reach; /* at most YM_INTEGER_REACH */
};
#define YM_INTEGER_REACH 16384

/* Sum of `parties` >= 1 independent discrete Gaussians, P[x] ~ exp(-x^2 / 2 sigma^2). YM_INVALID for sigma or parties
 * not positive, YM_EXHAUSTED beyond the reach. */
enum ym_code ym_integer_noise_gaussian(double sigma, size_t parties, struct ym_integer_noise *out,
                                       struct ym_status *st);
/* Difference of two Poissons of mean variance / 2; any number of parties is one with the summed variance. */
enum ym_code ym_integer_noise_skellam(double variance, struct ym_integer_noise *out, struct ym_status *st);
void ym_integer_noise_release(struct ym_integer_noise *n);
/* A patient moves the sum by `shift` >= 1. epsilon >= 0; INFINITY where no epsilon reaches delta. */
double ym_integer_noise_delta(const struct ym_integer_noise *n, size_t shift, double epsilon);
double ym_integer_noise_epsilon(const struct ym_integer_noise *n, size_t shift, double delta);

/* ---- Noise on the integers, vectors: published Renyi bounds ---- */
struct ym_lattice_release {
    double l1, l2;  /* a patient's norms after rounding, lattice units */
    double dim;     /* coordinates */
    double q;       /* Poisson rate, 0 < q <= 1; below 1 by Zhu, Wang 2019, theorem 5: expensive */
    uint64_t steps; /* releases */
};

/* Norms after randomised rounding of a vector of norm `clip` lattice units, redrawn until it is no longer than this,
 * which discards a probability of at most beta in (0, 1) (Kairouz, Liu, Steinke 2021, Prop. 22). */
void ym_lattice_norms(double clip, double beta, struct ym_lattice_release *r);
/* How far the sum of `parties` discrete Gaussians is from one (ibid., Prop. 14). */
double ym_distributed_gaussian_tau(double sigma, size_t parties);
/* Whole orders 2 ... 1024, 512 where q < 1. */
double ym_distributed_gaussian_epsilon(const struct ym_lattice_release *r, double sigma, size_t parties, double delta);
double ym_skellam_epsilon(const struct ym_lattice_release *r, double variance, double delta); /* Agarwal, Kairouz, Liu
                                                                                                 2021, theorem 3.5 */

#endif

#ifndef YM_PRIVACY_LOWER_BOUND_H
#define YM_PRIVACY_LOWER_BOUND_H

#include <stdint.h>

/* What an attacker's success says about epsilon from below: with confidence 1 - p
 * the mechanism is not (epsilon, delta)-private for any epsilon below the answer.
 * A bound above the claimed epsilon proves a fault; one below it proves nothing.
 * Pure; any thread; 0 where nothing can be said. 0 < p < 1, 0 <= delta < 1. */

/* One run. Each of canaries patients was in the data by a fair coin of its own;
 * the attacker guessed guesses of the coins (chosen by a rule fixed beforehand)
 * and correct of those were right. correct <= guesses <= canaries <= 2^31. */
struct ym_guesses {
    uint64_t canaries, guesses, correct;
};

/* Steinke, Nasr, Jagielski 2023 (Privacy auditing with one training run), Theorem
 * 3.1: how often an (epsilon, delta)-private mechanism can be guessed so well. */
double ym_one_run_p_value(const struct ym_guesses *g, double epsilon, double delta);
/* The largest epsilon whose p-value is below p. */
double ym_one_run_epsilon(const struct ym_guesses *g, double delta, double p);

/* Mahloujifar, Melis, Chaudhuri 2024 (Auditing f-differential privacy in one run),
 * Algorithm 3, for trade-off curves of the Gaussian family: the largest mu such
 * that no mu-GDP mechanism is guessed so well, 16 at most. The epsilon at delta of that mu is a
 * bound if the mechanism's curve is Gaussian, and close to one for many noisy steps. */
double ym_one_run_mu(const struct ym_guesses *g, double p);

/* Two worlds: the attacker called world 1 in false_alarms of without runs of
 * world 0, and world 0 in misses of with runs of world 1. */
struct ym_worlds {
    uint64_t without, with, false_alarms, misses;
};

/* From Clopper-Pearson upper limits of both error rates, p/2 each. */
double ym_two_world_epsilon(const struct ym_worlds *w, double delta, double p);
/* The same limits read as a Gaussian trade-off: an estimate, not a bound, where the curve is another. */
double ym_two_world_mu(const struct ym_worlds *w, double p);

/* Upper limit of a rate of which hits of trials were seen, one-sided, exact. */
double ym_rate_upper(uint64_t hits, uint64_t trials, double p);

#endif

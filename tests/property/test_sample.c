/* Poisson sampling: each patient a coin of its own with probability k / 2^64.
 * CHECKS tests at FALSE_ALARM / CHECKS each, fresh randomness every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng_internal.h"
#include "privacy/noise.h"
#include "tests/support/stats.h"

#define CHECKS 16
#define PATIENTS 500
#define STEPS 2000

static uint8_t in[STEPS][PATIENTS];

static void passes(const char *what, double q, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s at q %g: p = %.3g", what, q, p);
}

static void run_steps(uint64_t k)
{
    uint32_t chosen[PATIENTS];

    memset(in, 0, sizeof in);
    for (size_t t = 0; t < STEPS; t++) {
        struct ym_rng *rng;
        size_t count;

        assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
        count = ym_sample_patients(PATIENTS, k, rng, chosen);
        ym_rng_close(&rng);
        assert_true(count <= PATIENTS);
        for (size_t i = 0; i < count; i++) {
            assert_true(chosen[i] < PATIENTS && (i == 0 || chosen[i] > chosen[i - 1]));
            in[t][chosen[i]] = 1;
        }
    }
}

/* Spread of counts about their mean, over steps or over patients. A fixed batch
 * size would show too little over steps, a shuffle too little over patients. */
static double spread(double q, size_t outer, size_t inner, bool patients)
{
    double x = 0;

    for (size_t i = 0; i < outer; i++) {
        double n = 0;

        for (size_t j = 0; j < inner; j++)
            n += patients ? in[j][i] : in[i][j];
        x += (n - (double)inner * q) * (n - (double)inner * q) / ((double)inner * q * (1 - q));
    }
    return stats_chi2_two_sided(x, (double)outer);
}

static double lag_correlation(double q, size_t steps, size_t patients)
{
    double sum = 0;
    size_t pairs = (STEPS - steps) * (PATIENTS - patients);

    for (size_t t = 0; t + steps < STEPS; t++)
        for (size_t i = 0; i + patients < PATIENTS; i++)
            sum += (in[t][i] - q) * (in[t + steps][i + patients] - q);
    return stats_normal_two_sided(sum / (q * (1 - q) * sqrt((double)pairs)));
}

static void counts_are_binomial_and_steps_independent(void **state)
{
    static const double qs[] = {0.1, 0.5};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        double q = qs[i], total = 0;

        run_steps((uint64_t)ldexp(q, 64));
        for (size_t t = 0; t < STEPS; t++)
            for (size_t p = 0; p < PATIENTS; p++)
                total += in[t][p];
        total = (total - STEPS * PATIENTS * q) / sqrt(STEPS * PATIENTS * q * (1 - q));
        passes("total", q, stats_normal_two_sided(total));
        passes("spread over steps", q, spread(q, STEPS, PATIENTS, false));
        passes("spread over patients", q, spread(q, PATIENTS, STEPS, true));
        passes("correlation of neighbouring steps", q, lag_correlation(q, 1, 0));
        passes("correlation of neighbouring patients", q, lag_correlation(q, 0, 1));
    }
}

static size_t count_once(size_t patients, uint64_t k)
{
    uint32_t *chosen = calloc(patients + 1, sizeof *chosen);
    struct ym_rng *rng;
    size_t count;

    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    count = ym_sample_patients(patients, k, rng, chosen);
    ym_rng_close(&rng);
    free(chosen);
    return count;
}

/* 1e5 coins at 2^-64 or its complement: an exception has probability 1e-14. */
static void extremes_of_k_are_compared_like_any_other(void **state)
{
    (void)state;
    assert_int_equal(count_once(100000, 0), 0);
    assert_int_equal(count_once(100000, 1), 0);
    assert_int_equal(count_once(100000, UINT64_MAX), 100000);
    assert_int_equal(count_once(0, UINT64_MAX), 0);
}

/* The comparison is u < k, to the unit: 8 bits, then, where they are k's, the 56 below. */
static void coin_is_compared_below_k(void **state)
{
    static const uint8_t key[32] = {7};
    struct ym_rng *rng;
    uint32_t chosen[1];
    uint8_t upper;
    uint64_t u;

    (void)state;
    assert_int_equal(ym_rng_open_keyed(key, &rng, NULL), YM_OK);
    ym_rng_fill(rng, &upper, sizeof upper);
    u = (uint64_t)upper << 56 | ym_rng_u64(rng) >> 8;
    ym_rng_close(&rng);
    for (uint64_t more = 0; more < 2; more++) {
        assert_int_equal(ym_rng_open_keyed(key, &rng, NULL), YM_OK);
        assert_int_equal(ym_sample_patients(1, u + more, rng, chosen), more);
        ym_rng_close(&rng);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_binomial_and_steps_independent),
        cmocka_unit_test(coin_is_compared_below_k),
        cmocka_unit_test(extremes_of_k_are_compared_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

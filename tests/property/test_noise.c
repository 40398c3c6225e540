/* The noise against exact probabilities of the rounded Gaussian
 * (tests/vectors/privacy), drawn from the kernel's generator: every run is a new
 * sample. CHECKS tests at FALSE_ALARM / CHECKS each: a correct sampler turns this
 * red less than once in a million runs. What a fault must reach to be seen: 0.5 %
 * of sigma, 0.3 % of any of the 100 bins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/noise.h"
#include "tests/support/stats.h"

#define FOLDER YM_TEST_SOURCE_ROOT "/tests/vectors/privacy/"
#define CHECKS 64
#define DRAWS 1000000

static void passes(const char *what, double sigma, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s at sigma %g: p = %.3g", what, sigma, p);
}

/* A vector of fresh noise. */
static int64_t *draw_vector(uint64_t sigma, size_t n)
{
    int64_t *v = calloc(n, sizeof *v);
    struct ym_rng *rng;

    assert_non_null(v);
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    ym_noise_add(v, n, sigma, rng);
    ym_rng_close(&rng);
    return v;
}

/* ---- small sigma: every value has its own cell ---- */

static double pmf_at(const json_t *pmf, int64_t k)
{
    const char *s = json_string_value(json_array_get(pmf, (size_t)(k < 0 ? -k : k)));

    return s ? strtod(s, NULL) : 0;
}

static void against_pmf(const json_t *pmf, double sigma)
{
    int64_t *v = draw_vector((uint64_t)sigma, DRAWS);
    size_t half = json_array_size(pmf), cells = 2 * half - 1;
    double *expected = calloc(cells, sizeof *expected), *seen = calloc(cells, sizeof *seen), df, x;

    for (size_t i = 0; i < cells; i++)
        expected[i] = DRAWS * pmf_at(pmf, (int64_t)i - (int64_t)half + 1);
    for (size_t i = 0; i < DRAWS; i++) {
        assert_true(llabs(v[i]) < (int64_t)half); /* beyond is rarer than 1e-30 */
        seen[v[i] + (int64_t)half - 1]++;
    }
    x = stats_pearson(expected, seen, cells, &df);
    passes("chi-square against the pmf", sigma, stats_chi2_above(x, df));
    free(expected);
    free(seen);
    free(v);
}

static void small_sigma_follows_the_exact_pmf(void **state)
{
    json_t *all = json_load_file(FOLDER "pmf_tables.json", 0, NULL), *one;
    size_t i;
    int used = 0;

    (void)state;
    json_array_foreach(all, i, one)
    {
        double sigma = strtod(json_string_value(json_object_get(one, "sigma")), NULL);

        if (strcmp(json_string_value(json_object_get(one, "kind")), "rounded") != 0 || sigma != floor(sigma))
            continue;
        against_pmf(json_object_get(one, "pmf"), sigma);
        used++;
    }
    assert_int_equal(used, 4);
    json_decref(all);
}

/* sigma 1 is in no table: cells by erfc. */
static void sigma_one_follows_the_error_function(void **state)
{
    int64_t *v = draw_vector(1, DRAWS);
    double expected[19], seen[19] = {0}, df, x;

    (void)state;
    for (int k = -9; k <= 9; k++)
        expected[k + 9] = DRAWS * 0.5 * (erfc((abs(k) - 0.5) / M_SQRT2) - erfc((abs(k) + 0.5) / M_SQRT2));
    for (size_t i = 0; i < DRAWS; i++) {
        assert_true(llabs(v[i]) <= 9);
        seen[v[i] + 9]++;
    }
    x = stats_pearson(expected, seen, 19, &df);
    passes("chi-square", 1, stats_chi2_above(x, df));
    free(v);
}

/* ---- large sigma: about 100 bins ---- */

static size_t bin_of(const int64_t *edge, size_t edges, int64_t v)
{
    size_t low = 0, high = edges; /* first edge above v */

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (edge[middle] <= v)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void against_bins(const json_t *one, uint64_t sigma)
{
    const json_t *edges = json_object_get(one, "edges"), *prob = json_object_get(one, "prob");
    size_t n = json_array_size(edges);
    int64_t *edge = calloc(n, sizeof *edge), *v = draw_vector(sigma, DRAWS);
    double *expected = calloc(n + 1, sizeof *expected), *seen = calloc(n + 1, sizeof *seen), df, x;

    for (size_t i = 0; i < n; i++)
        edge[i] = json_integer_value(json_array_get(edges, i));
    for (size_t i = 0; i <= n; i++)
        expected[i] = DRAWS * strtod(json_string_value(json_array_get(prob, i)), NULL);
    for (size_t i = 0; i < DRAWS; i++)
        seen[bin_of(edge, n, v[i])]++;
    x = stats_pearson(expected, seen, n + 1, &df);
    assert_true(df > 90);
    passes("chi-square against bins", (double)sigma, stats_chi2_above(x, df));
    free(edge);
    free(expected);
    free(seen);
    free(v);
}

static void large_sigma_follows_exact_bins(void **state)
{
    json_t *all = json_load_file(FOLDER "sampler_bins.json", 0, NULL), *one;
    size_t i;
    int used = 0;

    (void)state;
    json_array_foreach(all, i, one)
    {
        double sigma = strtod(json_string_value(json_object_get(one, "sigma")), NULL);

        if (strcmp(json_string_value(json_object_get(one, "kind")), "rounded") != 0 || sigma != floor(sigma))
            continue;
        against_bins(one, (uint64_t)sigma);
        used++;
    }
    assert_int_equal(used, 3);
    json_decref(all);
}

/* ---- whole vector ---- */

static double below(double x)
{
    return 0.5 * erfc(-x / M_SQRT2);
}

/* Randomised PIT, for KS is not valid on lattice data: u = F(x-) + V p(x). */
static void probability_transform_is_uniform(void **state)
{
    static const uint64_t sigmas[] = {1, 3, 7, 1000, 1 << 24, UINT64_C(1) << 40};
    double *u = calloc(DRAWS, sizeof *u);
    struct ym_rng *rng;

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        int64_t *v = draw_vector(sigmas[s], DRAWS);

        for (size_t i = 0; i < DRAWS; i++) {
            double low = below(((double)v[i] - 0.5) / (double)sigmas[s]);
            double high = below(((double)v[i] + 0.5) / (double)sigmas[s]);

            u[i] = low + (high - low) * (double)(ym_rng_u64(rng) >> 11) * 0x1p-53;
        }
        passes("Kolmogorov-Smirnov of the randomised transform", (double)sigmas[s], stats_uniform_ks(u, DRAWS));
        free(v);
    }
    ym_rng_close(&rng);
    free(u);
}

/* Var round(N) = sigma^2 + 1/12 up to e^(-2 pi^2 sigma^2); kurtosis 3 as n is large. */
static void variance_mean_and_signs_are_right(void **state)
{
    static const uint64_t sigmas[] = {2, 100, 1 << 24, UINT64_C(1) << 36};

    (void)state;
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        int64_t *v = draw_vector(sigmas[s], DRAWS);
        double sigma = (double)sigmas[s], variance = sigma * sigma + 1.0 / 12, square = 0, sum = 0;
        double positive = 0, nonzero = 0;

        for (size_t i = 0; i < DRAWS; i++) {
            square += (double)v[i] * (double)v[i];
            sum += (double)v[i];
            positive += v[i] > 0;
            nonzero += v[i] != 0;
        }
        passes("variance", sigma, stats_normal_two_sided((square / variance - DRAWS) / sqrt(2.0 * DRAWS)));
        passes("mean", sigma, stats_normal_two_sided(sum / sqrt(variance * DRAWS)));
        passes("sign", sigma, stats_normal_two_sided((2 * positive - nonzero) / sqrt(nonzero)));
        free(v);
    }
}

/* Counts beyond 4 and 5 sigma: a truncated tail keeps its variance. */
static void tails_are_as_heavy_as_they_should_be(void **state)
{
    const uint64_t sigma = 1 << 24;
    int64_t *v = draw_vector(sigma, 2 * DRAWS);
    double seen[2] = {0}, chance[2] = {erfc(3 / M_SQRT2), erfc(4 / M_SQRT2)};

    (void)state;
    for (size_t i = 0; i < 2 * DRAWS; i++)
        for (int t = 0; t < 2; t++)
            seen[t] += llabs(v[i]) > (int64_t)sigma * (t + 3);
    for (int t = 0; t < 2; t++) {
        double e = 2 * DRAWS * chance[t];
        double few = stats_gamma_above(seen[t] + 1, e); /* P(Poisson(e) <= seen) */
        double many = 1 - stats_gamma_above(seen[t], e);

        passes("tail", t + 3, 2 * (few < many ? few : many));
    }
    free(v);
}

/* Holes and float artefacts would show in the low byte. */
static void low_bits_are_uniform(void **state)
{
    static const uint64_t sigmas[] = {1 << 16, 1 << 24, (1 << 24) + 12345, UINT64_C(1) << 40};

    (void)state;
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        int64_t *v = draw_vector(sigmas[s], DRAWS);
        double expected[256], seen[256] = {0}, odd = 0, df;

        for (int i = 0; i < 256; i++)
            expected[i] = DRAWS / 256.0;
        for (size_t i = 0; i < DRAWS; i++) {
            seen[v[i] & 255]++;
            odd += v[i] & 1;
        }
        double x = stats_pearson(expected, seen, 256, &df);

        passes("low byte", (double)sigmas[s], stats_chi2_two_sided(x, df));
        passes("parity", (double)sigmas[s], stats_normal_two_sided((2 * odd - DRAWS) / sqrt(DRAWS)));
        free(v);
    }
}

static void neighbours_and_vectors_are_unrelated(void **state)
{
    const uint64_t sigma = 1 << 24;
    int64_t *a = draw_vector(sigma, DRAWS), *b = draw_vector(sigma, DRAWS);
    double scale = (double)sigma * (double)sigma * sqrt(DRAWS);

    (void)state;
    for (size_t lag = 0; lag <= 8; lag++) {
        double same = 0, cross = 0;

        for (size_t i = 0; i + lag < DRAWS; i++) {
            same += (double)a[i] * (double)a[i + lag];
            cross += (double)a[i] * (double)b[i + lag];
        }
        if (lag > 0)
            passes("correlation along a vector, lag", (double)lag, stats_normal_two_sided(same / scale));
        passes("correlation of two vectors, lag", (double)lag, stats_normal_two_sided(cross / scale));
    }
    free(a);
    free(b);
}

/* ---- repetition ---- */

#define BLOCK_WORDS 8 /* 64 bytes of released noise */
#define VECTORS 64
#define VECTOR_WORDS 4096

static int by_block(const void *a, const void *b)
{
    return memcmp(a, b, BLOCK_WORDS * sizeof(int64_t));
}

/* At sigma 2^24 two honest blocks agree with probability below 2^-190. */
static void no_block_of_noise_appears_twice(void **state)
{
    int64_t *all = calloc(VECTORS * VECTOR_WORDS, sizeof *all);
    size_t blocks = VECTORS * VECTOR_WORDS / BLOCK_WORDS;

    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        int64_t *v = draw_vector(1 << 24, VECTOR_WORDS);

        memcpy(all + i * VECTOR_WORDS, v, VECTOR_WORDS * sizeof *v);
        free(v);
    }
    qsort(all, blocks, BLOCK_WORDS * sizeof *all, by_block);
    for (size_t i = 1; i < blocks; i++)
        assert_int_not_equal(by_block(all + (i - 1) * BLOCK_WORDS, all + i * BLOCK_WORDS), 0);
    free(all);
}

/* Noise joins what is there: x + round(N) with x far outside the noise. */
static void noise_is_added_to_the_sum(void **state)
{
    int64_t sum[1000];
    struct ym_rng *rng;

    (void)state;
    for (int i = 0; i < 1000; i++)
        sum[i] = INT64_C(1) << 50;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    ym_noise_add(sum, 1000, 5, rng);
    for (int i = 0; i < 1000; i++)
        assert_true(llabs(sum[i] - (INT64_C(1) << 50)) < 100);
    assert_true(llabs(ym_noise_draw(5, rng)) < 100);
    ym_rng_close(&rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sigma_follows_the_exact_pmf),
        cmocka_unit_test(sigma_one_follows_the_error_function),
        cmocka_unit_test(large_sigma_follows_exact_bins),
        cmocka_unit_test(probability_transform_is_uniform),
        cmocka_unit_test(variance_mean_and_signs_are_right),
        cmocka_unit_test(tails_are_as_heavy_as_they_should_be),
        cmocka_unit_test(low_bits_are_uniform),
        cmocka_unit_test(neighbours_and_vectors_are_unrelated),
        cmocka_unit_test(no_block_of_noise_appears_twice),
        cmocka_unit_test(noise_is_added_to_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

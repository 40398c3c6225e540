/* The clip is where sensitivity is decided: whatever the floats, the integer norm
 * stays within 2^24, and an ordinary gradient loses next to nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/clip_internal.h"

static unsigned __int128 square_norm(const int32_t *q, size_t dim)
{
    unsigned __int128 sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += (uint64_t)((int64_t)q[i] * q[i]);
    return sum;
}

static const unsigned __int128 bound = (unsigned __int128)1 << 48;

/* splitmix64: tests repeat; a failure names its seed by its place in the loop. */
static uint64_t next(uint64_t *s)
{
    uint64_t z = *s += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float hostile(uint64_t *s)
{
    static const float special[] = {1e38f,   -FLT_MAX, FLT_MIN,     1e-45f, -0.0f, 1.0f, 1.0f + FLT_EPSILON,
                                    0.5773f, -1e-30f,  3.4028e+38f, 1e19f,  0.0f};
    uint64_t r = next(s);
    uint32_t bits = (uint32_t)(r >> 32);
    float f;

    if (r % 2 == 0)
        return special[(r >> 8) % (sizeof special / sizeof *special)];
    memcpy(&f, &bits, sizeof f);
    return isfinite(f) ? f : 1;
}

static void norm_never_passes_the_ball(void **state)
{
    static const size_t dims[] = {1, 2, 3, 7, 100, 4095, 4096, 4097};
    static const double norms[] = {1, 1e-3, 0.1, 1e6, 1e-300, 1e300, 0.57735026918962576};
    float *g = malloc(4097 * sizeof *g);
    int32_t *q = malloc(4097 * sizeof *q);
    uint64_t seed = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t dim = dims[round % 8];

        for (size_t i = 0; i < dim; i++)
            g[i] = hostile(&seed);
        for (size_t c = 0; c < sizeof norms / sizeof *norms; c++) {
            ym_clip_patient(g, dim, norms[c], q);
            assert_true(square_norm(q, dim) <= bound);
        }
    }
    free(g);
    free(q);
}

/* The bit is a coordinate of the same ball. */
static void norm_with_its_bit_never_passes_the_ball(void **state)
{
    static const size_t dims[] = {1, 2, 3, 7, 100, 4095, 4096, 4097};
    static const double norms[] = {1, 1e-3, 1e6, 1e-300, 1e300, 0.57735026918962576};
    static const uint32_t bits[] = {1, 1677721, 1 << 23, (1 << 24) - 1, 15099494};
    float *g = malloc(4097 * sizeof *g);
    int32_t *q = malloc(4098 * sizeof *q);
    uint64_t seed = 4;

    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t dim = dims[round % 8];
        uint32_t bit = bits[round % 5];

        for (size_t i = 0; i < dim; i++)
            g[i] = round % 3 ? hostile(&seed) : 1e38f;
        if (round % 7 == 0)
            g[next(&seed) % dim] = NAN;
        for (size_t c = 0; c < sizeof norms / sizeof *norms; c++) {
            ym_clip_patient_bit(g, dim, norms[c], bit, q);
            assert_true(square_norm(q, dim + 1) <= bound);
            assert_int_equal(labs(q[dim]), bit);
        }
    }
    free(g);
    free(q);
}

static void bit_tells_whether_the_norm_is_at_most_the_clip(void **state)
{
    static const struct {
        float g[2];
        int sign;
    } cases[] = {{{3, 4}, 1},       {{3, -4.001f}, -1}, {{0, 0}, 1},
                 {{1e38f, 0}, -1},  {{NAN, 100}, 1},    {{INFINITY, 0}, 1}, /* as the zero they become */
                 {{-4.999f, 0}, 1}, {{0, 5.001f}, -1}};
    const int32_t bit = 1 << 23;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t q[3];

        ym_clip_patient_bit(cases[i].g, 2, 5, (uint32_t)bit, q);
        assert_int_equal(q[2], cases[i].sign * bit);
        if (!isfinite(cases[i].g[0]))
            assert_true(q[0] == 0 && q[1] == 0);
        if (cases[i].sign < 0) /* a cut gradient reaches what the bit leaves of the ball */
            assert_true((double)square_norm(q, 3) > 0.99999 * (double)bound);
    }
}

static void radius_is_the_largest_that_fits(void **state)
{
    uint64_t seed = 5;

    (void)state;
    assert_int_equal(ym_clip_radius(0), YM_CLIP_UNITS);
    for (int i = 0; i < 100000; i++) {
        uint64_t w = next(&seed) >> 40, r = ym_clip_radius((uint32_t)w);

        assert_true(r * r + w * w <= (uint64_t)1 << 48 && (r + 1) * (r + 1) + w * w > (uint64_t)1 << 48);
    }
}

static void a_million_coordinates_stay_in_the_ball(void **state)
{
    const size_t dim = 1000000;
    float *g = malloc(dim * sizeof *g);
    int32_t *q = malloc(dim * sizeof *q);
    uint64_t seed = 2;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < dim; i++)
            g[i] = kind == 0 ? 1e38f : kind == 1 ? 1e-3f : kind == 2 ? 1e-42f : hostile(&seed);
        ym_clip_patient(g, dim, 1, q);
        assert_true(square_norm(q, dim) <= bound);
    }
    free(g);
    free(q);
}

static void one_bad_number_empties_the_patient(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (size_t b = 0; b < 3; b++) {
        for (size_t at = 0; at < 5; at++) {
            float g[5] = {1, 2, 3, 4, 5};
            int32_t q[5] = {9, 9, 9, 9, 9};

            g[at] = bad[b];
            ym_clip_patient(g, 5, 1, q);
            for (size_t i = 0; i < 5; i++)
                assert_int_equal(q[i], 0);
        }
    }
}

static void single_coordinate_reaches_the_bound_exactly(void **state)
{
    float g[] = {0.75f, nextafterf(0.75f, 1), -nextafterf(0.75f, 1), 100, -1e38f};

    (void)state;
    for (size_t i = 0; i < sizeof g / sizeof *g; i++) {
        int32_t q;

        ym_clip_patient(&g[i], 1, 0.75, &q);
        assert_true(labs(q) <= YM_CLIP_UNITS && labs(q) >= YM_CLIP_UNITS - 17); /* one shrink by 2^-20 */
        assert_true((q > 0) == (g[i] > 0));
    }
}

/* Truncation toward zero loses less than a unit a coordinate and never adds. */
static void short_gradient_is_only_truncated(void **state)
{
    float g[] = {0.1f, -0.2f, 0.3f, -1e-9f, 0};
    int32_t q[5];

    (void)state;
    ym_clip_patient(g, 5, 1, q);
    for (size_t i = 0; i < 5; i++) {
        double v = (double)g[i] * YM_CLIP_UNITS;

        assert_true(fabs(v) - fabs((double)q[i]) >= 0 && fabs(v) - fabs((double)q[i]) < 1);
        assert_true(q[i] == 0 || (q[i] > 0) == (g[i] > 0));
    }
}

/* A long gradient keeps its direction and comes out close to full length. */
static void long_gradient_keeps_its_direction(void **state)
{
    float g[3] = {30, -40, 120}; /* norm 130 */
    int32_t q[3];

    (void)state;
    ym_clip_patient(g, 3, 0.5, q);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs(q[i] - g[i] / 130.0 * YM_CLIP_UNITS) <= 1 + 16);
    assert_true((double)square_norm(q, 3) >= 0.9999 * (double)bound);
}

/* One large coordinate for each of the sums that stand side by side, and millions that
 * are 5 lattice units and a little, whose squares lie nearly half an ulp above the grid
 * of the double sum: each addition loses that much, all the same way. The large ones
 * truncate by almost nothing. Scaled by the float norm alone, the vector leaves the
 * ball. */
static float small_for(float big, double whole)
{
    return (float)(big / whole * 5.00001);
}

static float big_that_loses(double whole)
{
    float big = 1.884654f;

    for (;; big = nextafterf(big, 2)) {
        double small = small_for(big, whole), units = small * small * 0x1p51, above = units - floor(units);

        if (above > 0.45 && above < 0.49 && small / big * whole >= 5)
            return big; /* squares of it lie in [2, 4): an ulp is 2^-51 */
    }
}

static void float_norm_that_falls_short_is_caught(void **state)
{
    const double whole = floor(0x1p24 / sqrt(YM_CLIP_SUMS)) + 2e-6;
    const float big = big_that_loses(whole), small = small_for(big, whole);
    const double square = (double)big * big, step = (square + (double)small * small) - square;
    const double length = big * (0x1p24 / whole);
    const size_t smalls = (size_t)((length * length / YM_CLIP_SUMS - square) / step);
    const size_t dim = (smalls + 1) * YM_CLIP_SUMS;
    float *g = malloc(dim * sizeof *g);
    int32_t *q = malloc(dim * sizeof *q);
    double part[YM_CLIP_SUMS] = {0}, seen = 0, factor;

    (void)state;
    for (size_t i = 0; i < dim; i++)
        g[i] = i < YM_CLIP_SUMS ? big : small;
    ym_clip_square(g, dim, part);
    for (size_t k = 0; k < YM_CLIP_SUMS; k++)
        seen += part[k];
    factor = YM_CLIP_UNITS / sqrt(seen);
    for (size_t i = 0; i < dim; i++)
        q[i] = (int32_t)(g[i] * factor);
    assert_true(square_norm(q, dim) > bound); /* the case is a real one */
    ym_clip_patient(g, dim, 1, q);
    assert_true(square_norm(q, dim) <= bound);
    assert_true((double)square_norm(q, dim) > 0.9999 * (double)bound);
    free(g);
    free(q);
}

static void sums_ignore_the_order_of_patients(void **state)
{
    enum { PATIENTS = 200, DIM = 333 };
    static int32_t q[PATIENTS][DIM];
    static int64_t forth[DIM], back[DIM];
    uint64_t seed = 3;

    (void)state;
    for (size_t p = 0; p < PATIENTS; p++) {
        float g[DIM];

        for (size_t i = 0; i < DIM; i++)
            g[i] = hostile(&seed);
        ym_clip_patient(g, DIM, 0.25, q[p]);
    }
    for (size_t p = 0; p < PATIENTS; p++) {
        ym_clip_add(forth, q[p], DIM);
        ym_clip_add(back, q[PATIENTS - 1 - p], DIM);
    }
    assert_memory_equal(forth, back, sizeof forth);
}

/* Both kinds of loop, on hostile numbers, to the bit. */
static void wide_vectors_give_the_same_bits(void **state)
{
    static float g[YM_CLIP_BLOCK];
    static int32_t plain[YM_CLIP_BLOCK], wide[YM_CLIP_BLOCK];
    uint64_t seed = 11;

    (void)state;
    if (!ym_clip_has_avx512())
        skip();
    for (int round = 0; round < 2000; round++) {
        double one[YM_CLIP_SUMS] = {0}, two[YM_CLIP_SUMS] = {0}, factor = ldexp(1, (int)(next(&seed) % 60) - 30);

        for (size_t i = 0; i < YM_CLIP_BLOCK; i++)
            g[i] = hostile(&seed) * (round % 2 ? 1 : 1e-30f);
        ym_clip_square(g, YM_CLIP_BLOCK, one);
        ym_clip_square_avx512(g, YM_CLIP_BLOCK, two);
        assert_memory_equal(one, two, sizeof one);
        assert_true(ym_clip_truncate(g, YM_CLIP_BLOCK, factor, plain) ==
                    ym_clip_truncate_avx512(g, YM_CLIP_BLOCK, factor, wide));
        assert_memory_equal(plain, wide, sizeof plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_never_passes_the_ball),
        cmocka_unit_test(norm_with_its_bit_never_passes_the_ball),
        cmocka_unit_test(bit_tells_whether_the_norm_is_at_most_the_clip),
        cmocka_unit_test(radius_is_the_largest_that_fits),
        cmocka_unit_test(a_million_coordinates_stay_in_the_ball),
        cmocka_unit_test(one_bad_number_empties_the_patient),
        cmocka_unit_test(single_coordinate_reaches_the_bound_exactly),
        cmocka_unit_test(short_gradient_is_only_truncated),
        cmocka_unit_test(long_gradient_keeps_its_direction),
        cmocka_unit_test(float_norm_that_falls_short_is_caught),
        cmocka_unit_test(sums_ignore_the_order_of_patients),
        cmocka_unit_test(wide_vectors_give_the_same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

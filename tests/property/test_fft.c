/* The transform against its definition in long double: no output off by more than the bound that the accountant adds,
 * for hostile and for
 * random inputs (kernel's generator; no false alarm, the bound is proved); inverse after forward; the mirrored places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "privacy/fft.h"

#define BITS_MOST 9

static struct ym_rng *rng;

static double uniform(void)
{
    return ldexp((double)(ym_rng_u64(rng) >> 11), -53);
}

static size_t reversed(size_t k, unsigned bits)
{
    size_t r = 0;

    for (unsigned i = 0; i < bits; i++)
        r |= (k >> i & 1) << (bits - 1 - i);
    return r;
}

enum shape { FLAT, SPIKE, LAST, ALTERNATING, STEEP, RANDOM, COMPLEX, SHAPES };

static void fill(enum shape shape, size_t n, double *re, double *im)
{
    for (size_t j = 0; j < n; j++) {
        double sign = j & 1 ? -1 : 1;

        re[j] = shape == FLAT          ? 1
                : shape == SPIKE       ? j == 0
                : shape == LAST        ? j == n - 1
                : shape == ALTERNATING ? sign
                : shape == STEEP       ? exp(-(double)j / 3)
                                       : uniform();
        im[j] = shape == COMPLEX ? uniform() - 0.5 : shape == STEEP ? exp(-(double)(n - j) / 7) : 0;
    }
}

/* The largest distance from the definition, over the sum of sizes. */
static double worst(const double *re, const double *im, const double *got_re, const double *got_im, unsigned bits,
                    int sign)
{
    size_t n = (size_t)1 << bits;
    long double most = 0, size = 0;

    for (size_t k = 0; k < n; k++) {
        long double x = 0, y = 0;

        for (size_t j = 0; j < n; j++) {
            long double angle = 2 * M_PIl * (long double)(j * k % n) / (long double)n;
            long double c = cosl(angle), s = sign * sinl(angle);

            x += re[j] * c - im[j] * s;
            y += re[j] * s + im[j] * c;
        }
        size += hypotl(re[k], im[k]);
        most = fmaxl(most, hypotl(x - got_re[k], y - got_im[k]));
    }
    return (double)(most / size);
}

static void stays_within_its_bound(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= BITS_MOST; bits++) {
        size_t n = (size_t)1 << bits;
        double *block = calloc(6 * n, sizeof *block), *re = block, *im = re + n, *x = im + n, *y = x + n,
               *got_x = y + n, *got_y = got_x + n;
        struct ym_fft *f = NULL;

        assert_non_null(block);
        assert_int_equal(ym_fft_new(bits, &f, NULL), YM_OK);
        for (enum shape shape = FLAT; shape < SHAPES; shape++) {
            fill(shape, n, re, im);
            for (size_t j = 0; j < n; j++) {
                x[j] = re[j];
                y[j] = im[j];
            }
            ym_fft_forward(f, x, y);
            for (size_t k = 0; k < n; k++) {
                got_x[k] = x[reversed(k, bits)];
                got_y[k] = y[reversed(k, bits)];
            }
            assert_true(worst(re, im, got_x, got_y, bits, -1) <= ym_fft_error(f));
            ym_fft_inverse(f, x, y);
            for (size_t j = 0; j < n; j++) {
                x[j] /= (double)n;
                y[j] /= (double)n;
            }
            for (size_t k = 0; k < n; k++) { /* the inverse alone, from the same numbers in its own order */
                got_x[reversed(k, bits)] = re[k];
                got_y[reversed(k, bits)] = im[k];
            }
            ym_fft_inverse(f, got_x, got_y);
            assert_true(worst(re, im, got_x, got_y, bits, 1) <= ym_fft_error(f));
            for (size_t j = 0; j < n; j++)
                assert_true(hypot(x[j] - re[j], y[j] - im[j]) <= 3 * ym_fft_error(f) * (double)n);
        }
        ym_fft_free(f);
        free(block);
    }
}

static void mirror_is_the_negative_frequency(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 12; bits++)
        for (size_t n = (size_t)1 << bits, k = 0; k < n; k++)
            assert_int_equal(ym_fft_mirror(reversed(k, bits)), reversed((n - k) % n, bits));
}

static void too_long_is_refused(void **state)
{
    struct ym_fft *f = NULL;

    (void)state;
    assert_int_equal(ym_fft_new(YM_FFT_BITS_MAX + 1, &f, NULL), YM_INVALID);
    assert_null(f);
}

static int open_rng(void **state)
{
    (void)state;
    return ym_rng_open(&rng, NULL) == YM_OK ? 0 : -1;
}

static int close_rng(void **state)
{
    (void)state;
    ym_rng_close(&rng);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_within_its_bound),
        cmocka_unit_test(mirror_is_the_negative_frequency),
        cmocka_unit_test(too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, open_rng, close_rng);
}

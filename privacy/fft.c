#include "privacy/fft.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* A stage multiplies an error by at most (1 + u)(1 + sqrt(5) u)(1 + 4 u): addition, product (Brent, Percival,
 * Zimmermann 2007), factor. */
#define STAGE (8 * 0x1p-53)

struct ym_fft {
    unsigned bits;
    size_t n;
    double *cosine, *sine; /* [n]: e^(i pi j / half) at half + j, for half = 1, 2, 4 .. n / 2 */
};

/* e^(2 pi i j / n), j < n / 2, the angle never above pi / 4. */
static void unit_root(size_t j, size_t n, double *cosine, double *sine)
{
    size_t quarter = n / 4, turned = j > quarter ? n / 2 - j : j;
    bool steep = 8 * turned > n;
    double angle = 2 * M_PI * (double)(steep ? quarter - turned : turned) / (double)n;
    double along = steep ? sin(angle) : cos(angle);

    *sine = steep ? cos(angle) : sin(angle);
    *cosine = turned == j ? along : -along;
}

static void fill_roots(struct ym_fft *f)
{
    size_t last = f->n / 2;

    for (size_t j = 0; j < last; j++)
        unit_root(j, f->n, &f->cosine[last + j], &f->sine[last + j]);
    for (size_t half = last / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++) {
            f->cosine[half + j] = f->cosine[2 * half + 2 * j];
            f->sine[half + j] = f->sine[2 * half + 2 * j];
        }
}

enum ym_code ym_fft_new(unsigned bits, struct ym_fft **out, struct ym_status *st)
{
    struct ym_fft *f;

    if (bits > YM_FFT_BITS_MAX)
        return ym_status_set(st, YM_INVALID, "a transform of 2^%u points is too long", bits);
    f = calloc(1, sizeof *f);
    if (f) {
        f->bits = bits;
        f->n = (size_t)1 << bits;
        f->cosine = malloc(f->n * sizeof *f->cosine);
        f->sine = malloc(f->n * sizeof *f->sine);
    }
    if (!f || !f->cosine || !f->sine) {
        ym_fft_free(f);
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a transform of 2^%u points", bits);
    }
    fill_roots(f);
    *out = f;
    return YM_OK;
}

void ym_fft_free(struct ym_fft *f)
{
    if (!f)
        return;
    free(f->cosine);
    free(f->sine);
    free(f);
}

static void fall(const struct ym_fft *f, size_t half, double *restrict re, double *restrict im)
{
    const double *restrict c = f->cosine + half, *restrict s = f->sine + half;

    for (size_t j = 0; j < half; j++) {
        double x = re[j] - re[j + half], y = im[j] - im[j + half];

        re[j] += re[j + half];
        im[j] += im[j + half];
        re[j + half] = x * c[j] + y * s[j];
        im[j + half] = y * c[j] - x * s[j];
    }
}

static void rise(const struct ym_fft *f, size_t half, double *restrict re, double *restrict im)
{
    const double *restrict c = f->cosine + half, *restrict s = f->sine + half;

    for (size_t j = 0; j < half; j++) {
        double x = re[j + half] * c[j] - im[j + half] * s[j], y = im[j + half] * c[j] + re[j + half] * s[j];

        re[j + half] = re[j] - x;
        im[j + half] = im[j] - y;
        re[j] += x;
        im[j] += y;
    }
}

void ym_fft_forward(const struct ym_fft *f, double *re, double *im)
{
    for (size_t half = f->n / 2; half; half /= 2)
        for (size_t at = 0; at < f->n; at += 2 * half)
            fall(f, half, re + at, im + at);
}

void ym_fft_inverse(const struct ym_fft *f, double *re, double *im)
{
    for (size_t half = 1; half < f->n; half *= 2)
        for (size_t at = 0; at < f->n; at += 2 * half)
            rise(f, half, re + at, im + at);
}

double ym_fft_error(const struct ym_fft *f)
{
    return f->bits * STAGE * (1 + 0x1p-40);
}

size_t ym_fft_mirror(size_t place)
{
    size_t top = 1;

    if (place == 0)
        return 0;
    while (top <= place / 2)
        top *= 2;
    return place ^ (top - 1);
}

#ifndef YM_PRIVACY_FFT_H
#define YM_PRIVACY_FFT_H

#include <stddef.h>

#include "base/status.h"

/* Complex discrete Fourier transform of 2^bits points in double precision, radix 2, real and imaginary parts apart.
 * Forward takes the natural order and leaves the bit-reversed one, inverse the other way round: what is done at each
 * frequency in between needs no order. Pure; one transform may be used by many threads.
 *   forward  X_k = sum x_j e^(-2 pi i jk / n);   inverse  x_j = sum X_k e^(+2 pi i jk / n), not divided by n
 * No output is off by more than ym_fft_error times sum |x_j| (docs/privacy.md, "The transform"). */
struct ym_fft;

#define YM_FFT_BITS_MAX 20

enum ym_code ym_fft_new(unsigned bits, struct ym_fft **f, struct ym_status *st); /* YM_INVALID above the maximum */
void ym_fft_free(struct ym_fft *f);
void ym_fft_forward(const struct ym_fft *f, double *re, double *im);
void ym_fft_inverse(const struct ym_fft *f, double *re, double *im);
double ym_fft_error(const struct ym_fft *f);
/* Where frequency -k stands if k stands at place, both in the bit-reversed order. */
size_t ym_fft_mirror(size_t place);

#endif

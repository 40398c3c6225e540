#ifndef YM_BASE_DECIMAL_H
#define YM_BASE_DECIMAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* Decimals cross every format of ours as normalised strings: "-"? digits,
 * optionally "." digits; no exponent, no leading or trailing zeros, no "-0";
 * at most 15 significant digits and 18 places, so value = scaled / 10^18 fits
 * __int128 and the nearest double is well defined. */
struct ym_decimal {
    __int128 scaled; /* value * 10^18 */
};

/* Accepts "1e-5" and unnormalised spellings too (people write them in YAML). */
enum ym_code ym_decimal_parse(const char *text, struct ym_decimal *out, struct ym_status *st);
enum ym_code ym_decimal_format(struct ym_decimal d, struct ym_buf *out); /* normalised */
double ym_decimal_double(struct ym_decimal d);                           /* nearest */

/* floor(value * 2^64) for 0 < value < 1, and 2^64-1 for 1: the sampling
 * probability as k of 2^64. YM_INVALID outside (0, 1]. */
enum ym_code ym_decimal_k64(struct ym_decimal d, uint64_t *k, struct ym_status *st);

/* Unsigned 128-bit integers as decimal strings (noise variances). */
enum ym_code ym_u128_format(unsigned __int128 v, struct ym_buf *out);
enum ym_code ym_u128_parse(const char *text, unsigned __int128 *out, struct ym_status *st); /* canonical only */

#endif

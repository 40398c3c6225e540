#include "base/decimal.h"

#include <stdbool.h>
#include <string.h>

#define PLACES 18
#define DIGITS 15
#define TEXT_BYTES 128

struct parts {
    bool negative;
    uint64_t digits; /* significant digits as one integer */
    int count;       /* how many, leading zeros not counted */
    int exponent;    /* value = digits * 10^exponent */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Trailing zeros wait in `zeros` until a digit follows, so that "100000000000000000000" has one significant digit. */
static bool take_digit(struct parts *p, int *zeros, char c)
{
    if (c == '0') {
        *zeros += p->count > 0;
        return true;
    }
    p->count += *zeros + 1;
    if (p->count > DIGITS)
        return false;
    for (; *zeros > 0; --*zeros)
        p->digits *= 10;
    p->digits = p->digits * 10 + (uint64_t)(c - '0');
    return true;
}

static const char *parse_exponent(const char *s, int *exponent)
{
    bool negative = *s == '-';
    int v = 0;

    s += *s == '-' || *s == '+';
    if (!is_digit(*s))
        return NULL;
    for (; is_digit(*s); s++)
        v = v < 1000 ? v * 10 + (*s - '0') : v;
    *exponent += negative ? -v : v;
    return s;
}

static const char *parse_mantissa(const char *s, struct parts *p)
{
    int zeros = 0, places = 0;
    bool any = false, point = false;

    for (; is_digit(*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        any = true;
        places += point;
        if (!take_digit(p, &zeros, *s))
            return NULL;
    }
    p->exponent = zeros - places;
    return any ? s : NULL;
}

static bool scale(const struct parts *p, __int128 *out)
{
    __int128 v = p->negative ? -(__int128)p->digits : (__int128)p->digits;

    if (p->digits && p->exponent < -PLACES)
        return false;
    for (int i = 0; v && i < p->exponent + PLACES; i++)
        if (__builtin_mul_overflow(v, (__int128)10, &v))
            return false;
    *out = v;
    return true;
}

enum ym_code ym_decimal_parse(const char *text, struct ym_decimal *out, struct ym_status *st)
{
    struct parts p = {0};
    const char *s = text;

    if (strnlen(text, TEXT_BYTES) == TEXT_BYTES)
        return ym_status_set(st, YM_INVALID, "a decimal of more than %d characters", TEXT_BYTES - 1);
    p.negative = *s == '-';
    s += *s == '-' || *s == '+';
    s = parse_mantissa(s, &p);
    if (s && (*s == 'e' || *s == 'E'))
        s = parse_exponent(s + 1, &p.exponent);
    if (!s || *s || !scale(&p, &out->scaled))
        return ym_status_set(st, YM_INVALID, "'%s' is not a decimal of at most %d significant digits and %d places",
                             text, DIGITS, PLACES);
    return YM_OK;
}

static void u128_text(unsigned __int128 v, char out[40])
{
    char reversed[40];
    int n = 0;

    do {
        reversed[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v);
    for (int i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    out[n] = '\0';
}

static unsigned __int128 magnitude(struct ym_decimal d)
{
    return d.scaled < 0 ? -(unsigned __int128)d.scaled : (unsigned __int128)d.scaled;
}

static unsigned __int128 power_of_ten(int n)
{
    unsigned __int128 v = 1;

    while (n-- > 0)
        v *= 10;
    return v;
}

enum ym_code ym_decimal_format(struct ym_decimal d, struct ym_buf *out)
{
    unsigned __int128 v = magnitude(d), unit = power_of_ten(PLACES);
    char whole[40], fraction[40];
    int zeros = 0, len;

    u128_text(v, whole);
    len = (int)strlen(whole);
    while (v && whole[len - 1 - zeros] == '0')
        zeros++;
    if (len - zeros > DIGITS)
        return YM_INVALID;
    u128_text(v / unit, whole);
    if (v % unit == 0)
        return ym_buf_printf(out, "%s%s", d.scaled < 0 ? "-" : "", whole);
    u128_text(unit + v % unit, fraction); /* the added unit keeps the leading zeros */
    len = PLACES + 1;
    while (fraction[len - 1] == '0')
        len--;
    fraction[len] = '\0';
    return ym_buf_printf(out, "%s%s.%s", d.scaled < 0 ? "-" : "", whole, fraction + 1);
}

/* At most 15 digits and a power of ten up to 10^22 are both exact doubles, so the one operation rounds once (Clinger
 * 1990, "How to read floating point numbers accurately", section 4). */
double ym_decimal_double(struct ym_decimal d)
{
    unsigned __int128 v = magnitude(d);
    int exponent = -PLACES;
    double x;

    while (v && v % 10 == 0) {
        v /= 10;
        exponent++;
    }
    x = exponent < 0 ? (double)v / (double)power_of_ten(-exponent) : (double)v * (double)power_of_ten(exponent);
    return d.scaled < 0 ? -x : x;
}

enum ym_code ym_decimal_k64(struct ym_decimal d, uint64_t *k, struct ym_status *st)
{
    unsigned __int128 one = power_of_ten(PLACES);

    if (d.scaled <= 0 || (unsigned __int128)d.scaled > one)
        return ym_status_set(st, YM_INVALID, "a probability must be above 0 and at most 1");
    if ((unsigned __int128)d.scaled == one)
        *k = UINT64_MAX;
    else
        *k = (uint64_t)(((unsigned __int128)d.scaled << 64) / one);
    return YM_OK;
}

enum ym_code ym_u128_format(unsigned __int128 v, struct ym_buf *out)
{
    char text[40];

    u128_text(v, text);
    return ym_buf_puts(out, text);
}

enum ym_code ym_u128_parse(const char *text, unsigned __int128 *out, struct ym_status *st)
{
    unsigned __int128 v = 0;
    size_t len = strnlen(text, 41);

    if (len == 0 || len > 39 || (text[0] == '0' && len > 1))
        goto refuse;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) || __builtin_mul_overflow(v, (unsigned __int128)10, &v) ||
            __builtin_add_overflow(v, (unsigned __int128)(text[i] - '0'), &v))
            goto refuse;
    }
    *out = v;
    return YM_OK;
refuse:
    return ym_status_set(st, YM_INVALID, "'%.48s' is not an integer below 2^128 in plain digits", text);
}

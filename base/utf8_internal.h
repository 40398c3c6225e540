#ifndef YM_BASE_UTF8_INTERNAL_H
#define YM_BASE_UTF8_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed UTF-8 sequence at s (RFC 3629: no overlong forms,
 * no surrogates, at most U+10FFFF), 0 when there is none within len bytes.
 * NUL counts as a sequence of one. */
static inline size_t ym_utf8_step(const char *s, size_t len)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t n;
    uint8_t low = 0x80, high = 0xBF;

    if (len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        n = 2;
    else if ((p[0] & 0xF0) == 0xE0)
        n = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (len < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

#endif

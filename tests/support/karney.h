#ifndef YM_TESTS_SUPPORT_KARNEY_H
#define YM_TESTS_SUPPORT_KARNEY_H

/* round(N(0, sigma^2)) by Karney 2016 (Sampling exactly from the normal distribution, algorithms
 * H, B, N): exact by comparisons of digits alone, with no curve and no table, and so an oracle that
 * shares nothing with privacy/noise.c. About 200 ns a draw. Call karney_open, then karney_draw. */
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"

/* A uniform deviate is written in base 16 and drawn a digit at a time, when a
 * comparison asks for it (von Neumann's way, after Karney 2016). Small digits are
 * a choice for the tests' sake: one comparison in 16 needs a second digit, so that
 * a fault in the refinement shows in the distribution of a million draws. */
#define KARNEY_DIGIT_BITS 4
#define KARNEY_DIGITS_MAX 128 /* 512 bits; asked for more with probability below 2^-500 */
#define KARNEY_POOL_BYTES 4096

struct karney_pool { /* keystream fetched ahead; digits are used once and in order */
    struct ym_rng *rng;
    size_t used, size; /* digits, bytes */
    uint8_t byte[KARNEY_POOL_BYTES];
};

struct karney_uniform {
    unsigned count;
    uint8_t digit[KARNEY_DIGITS_MAX];
};

static inline void karney_open(struct karney_pool *p, struct ym_rng *rng, size_t size)
{
    p->rng = rng;
    p->size = size;
    p->used = 2 * size;
}

static inline unsigned next_digit(struct karney_pool *p)
{
    size_t i = p->used++;

    if (i == 2 * p->size) {
        ym_rng_fill(p->rng, p->byte, p->size);
        p->used = 1;
        i = 0;
    }
    return p->byte[i / 2] >> (i % 2 * KARNEY_DIGIT_BITS) & 15;
}

static inline uint8_t digit_at(struct karney_uniform *u, unsigned i, struct karney_pool *p)
{
    YM_ASSERT(i < KARNEY_DIGITS_MAX);
    while (u->count <= i)
        u->digit[u->count++] = (uint8_t)next_digit(p);
    return u->digit[i];
}

static inline bool less_than(struct karney_uniform *a, struct karney_uniform *b, struct karney_pool *p)
{
    for (unsigned i = 0;; i++) {
        uint8_t da = digit_at(a, i, p), db = digit_at(b, i, p);

        if (da != db)
            return da < db;
    }
}

static inline bool less_than_half(struct karney_uniform *u, struct karney_pool *p)
{
    return digit_at(u, 0, p) < 8;
}

/* Karney 2016, algorithm H: true with probability exp(-1/2). */
static inline bool bernoulli_exp_half(struct karney_pool *p)
{
    struct karney_uniform a, b;

    a.count = 0;
    if (!less_than_half(&a, p))
        return true;
    for (;;) {
        b.count = 0;
        if (!less_than(&b, &a, p))
            return false;
        a.count = 0;
        if (!less_than(&a, &b, p))
            return true;
    }
}

/* Steps N1 and N2: k >= 0 with probability proportional to exp(-k^2 / 2). */
static inline bool try_integer_part(struct karney_pool *p, unsigned *k)
{
    unsigned n = 0;

    while (bernoulli_exp_half(p))
        n++;
    *k = n;
    for (uint64_t trials = n < 2 ? 0 : (uint64_t)n * (n - 1); trials > 0; trials--)
        if (!bernoulli_exp_half(p))
            return false;
    return true;
}

/* Uniform on 0 .. n-1, n <= 2^16, by rejection. */
static inline unsigned uniform_below(unsigned n, struct karney_pool *p)
{
    unsigned range, v;

    do {
        for (range = 1, v = 0; range < n; range <<= KARNEY_DIGIT_BITS)
            v = v << KARNEY_DIGIT_BITS | next_digit(p);
    } while (v >= range - range % n);
    return v % n;
}

/* r < (2k + x) / (2k + 2) for a fresh uniform r: r (2k + 2) = m + f. */
static inline bool below_ratio(unsigned k, struct karney_uniform *x, struct karney_pool *p)
{
    unsigned m = uniform_below(2 * k + 2, p);
    struct karney_uniform f;

    if (m != 2 * k)
        return m < 2 * k;
    f.count = 0;
    return less_than(&f, x, p);
}

/* Karney 2016, algorithm B: true with probability exp(-x (2k + x) / (2k + 2)). */
static inline bool bernoulli_exp_step(unsigned k, struct karney_uniform *x, struct karney_pool *p)
{
    struct karney_uniform run[2];
    struct karney_uniform *y = x;

    for (unsigned n = 0;; n++) {
        struct karney_uniform *z = &run[n & 1];

        z->count = 0;
        if (!less_than(z, y, p) || !below_ratio(k, x, p))
            return n % 2 == 0;
        y = z;
    }
}

/* Steps N1 .. N4: k + x is distributed as |N(0, 1)|; x may be refined further. */
static inline unsigned half_normal(struct karney_uniform *x, struct karney_pool *p)
{
    unsigned k;

again:
    if (!try_integer_part(p, &k))
        goto again;
    YM_ASSERT(k < 1000); /* probability below exp(-490000) */
    x->count = 0;
    for (unsigned i = 0; i <= k; i++)
        if (!bernoulli_exp_step(k, x, p))
            goto again;
    return k;
}

/* floor(sigma x + 1/2), decided in integers. With D the first n digits of x and
 * B = 16^n, N = 2 sigma D + B and M = 2 B, the answer is floor((N + t) / M) for some
 * 0 < t < 2 sigma. Enough digits for sigma <= B leave at most one boundary ahead, at
 * distance e; the next digit d moves it to e' = 16 e - 2 sigma d. */
static inline uint64_t round_scaled(uint64_t sigma, struct karney_uniform *x, struct karney_pool *p)
{
    unsigned __int128 n, m;
    uint64_t whole, ahead, digits = 0, base = 1;
    unsigned i;

    for (i = 0; base < sigma; i++, base <<= KARNEY_DIGIT_BITS)
        digits = digits << KARNEY_DIGIT_BITS | digit_at(x, i, p);
    n = (unsigned __int128)(2 * sigma) * digits + base;
    m = 2 * base;
    whole = (uint64_t)(n / m);
    ahead = (uint64_t)((whole + 1) * m - n);
    for (; ahead < 2 * sigma; i++) {
        uint64_t taken = 2 * sigma * digit_at(x, i, p);

        ahead <<= KARNEY_DIGIT_BITS;
        if (ahead <= taken)
            return whole + 1;
        ahead -= taken;
    }
    return whole;
}

static inline int64_t karney_draw(uint64_t sigma, struct karney_pool *p)
{
    struct karney_uniform x;
    unsigned k = half_normal(&x, p);
    int64_t v = (int64_t)(sigma * k + round_scaled(sigma, &x, p));

    return next_digit(p) & 1 ? v : -v;
}

#endif

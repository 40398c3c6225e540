#include "privacy/noise.h"

#include <stdbool.h>

#include "base/crypto.h"
#include "base/status.h"

/* A uniform deviate is written in base 16 and drawn a digit at a time, when a
 * comparison asks for it (von Neumann's way, after Karney 2016). Small digits are
 * a choice for the tests' sake: one comparison in 16 needs a second digit, so that
 * a fault in the refinement shows in the distribution of a million draws. */
#define DIGIT_BITS 4
#define DIGITS_MAX 128 /* 512 bits; asked for more with probability below 2^-500 */
#define POOL_BYTES 4096
#define SIGMA_MAX ((uint64_t)1 << 40)

struct pool { /* keystream fetched ahead; digits are used once and in order */
    struct ym_rng *rng;
    size_t used, size; /* digits, bytes */
    uint8_t byte[POOL_BYTES];
};

struct uniform {
    unsigned count;
    uint8_t digit[DIGITS_MAX];
};

static void pool_open(struct pool *p, struct ym_rng *rng, size_t size)
{
    p->rng = rng;
    p->size = size;
    p->used = 2 * size;
}

static unsigned next_digit(struct pool *p)
{
    size_t i = p->used++;

    if (i == 2 * p->size) {
        ym_rng_fill(p->rng, p->byte, p->size);
        p->used = 1;
        i = 0;
    }
    return p->byte[i / 2] >> (i % 2 * DIGIT_BITS) & 15;
}

static uint8_t digit_at(struct uniform *u, unsigned i, struct pool *p)
{
    YM_ASSERT(i < DIGITS_MAX);
    while (u->count <= i)
        u->digit[u->count++] = (uint8_t)next_digit(p);
    return u->digit[i];
}

static bool less_than(struct uniform *a, struct uniform *b, struct pool *p)
{
    for (unsigned i = 0;; i++) {
        uint8_t da = digit_at(a, i, p), db = digit_at(b, i, p);

        if (da != db)
            return da < db;
    }
}

static bool less_than_half(struct uniform *u, struct pool *p)
{
    return digit_at(u, 0, p) < 8;
}

/* Karney 2016, algorithm H: true with probability exp(-1/2). */
static bool bernoulli_exp_half(struct pool *p)
{
    struct uniform a, b;

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
static bool try_integer_part(struct pool *p, unsigned *k)
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
static unsigned uniform_below(unsigned n, struct pool *p)
{
    unsigned range, v;

    do {
        for (range = 1, v = 0; range < n; range <<= DIGIT_BITS)
            v = v << DIGIT_BITS | next_digit(p);
    } while (v >= range - range % n);
    return v % n;
}

/* r < (2k + x) / (2k + 2) for a fresh uniform r: r (2k + 2) = m + f. */
static bool below_ratio(unsigned k, struct uniform *x, struct pool *p)
{
    unsigned m = uniform_below(2 * k + 2, p);
    struct uniform f;

    if (m != 2 * k)
        return m < 2 * k;
    f.count = 0;
    return less_than(&f, x, p);
}

/* Karney 2016, algorithm B: true with probability exp(-x (2k + x) / (2k + 2)). */
static bool bernoulli_exp_step(unsigned k, struct uniform *x, struct pool *p)
{
    struct uniform run[2];
    struct uniform *y = x;

    for (unsigned n = 0;; n++) {
        struct uniform *z = &run[n & 1];

        z->count = 0;
        if (!less_than(z, y, p) || !below_ratio(k, x, p))
            return n % 2 == 0;
        y = z;
    }
}

/* Steps N1 .. N4: k + x is distributed as |N(0, 1)|; x may be refined further. */
static unsigned half_normal(struct uniform *x, struct pool *p)
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
static uint64_t round_scaled(uint64_t sigma, struct uniform *x, struct pool *p)
{
    unsigned __int128 n, m;
    uint64_t whole, ahead, digits = 0, base = 1;
    unsigned i;

    for (i = 0; base < sigma; i++, base <<= DIGIT_BITS)
        digits = digits << DIGIT_BITS | digit_at(x, i, p);
    n = (unsigned __int128)(2 * sigma) * digits + base;
    m = 2 * base;
    whole = (uint64_t)(n / m);
    ahead = (uint64_t)((whole + 1) * m - n);
    for (; ahead < 2 * sigma; i++) {
        uint64_t taken = 2 * sigma * digit_at(x, i, p);

        ahead <<= DIGIT_BITS;
        if (ahead <= taken)
            return whole + 1;
        ahead -= taken;
    }
    return whole;
}

static int64_t draw(uint64_t sigma, struct pool *p)
{
    struct uniform x;
    unsigned k = half_normal(&x, p);
    int64_t v = (int64_t)(sigma * k + round_scaled(sigma, &x, p));

    return next_digit(p) & 1 ? v : -v;
}

static void check_sigma(uint64_t sigma)
{
    YM_ASSERT(sigma >= 1 && sigma <= SIGMA_MAX);
}

void ym_noise_add(int64_t *sum, size_t dim, uint64_t sigma_units, struct ym_rng *rng)
{
    struct pool pool;

    check_sigma(sigma_units);
    pool_open(&pool, rng, sizeof pool.byte);
    for (size_t i = 0; i < dim; i++)
        sum[i] += draw(sigma_units, &pool);
    ym_wipe(&pool, sizeof pool);
}

int64_t ym_noise_draw(uint64_t sigma_units, struct ym_rng *rng)
{
    struct pool pool;
    int64_t v;

    check_sigma(sigma_units);
    pool_open(&pool, rng, 32);
    v = draw(sigma_units, &pool);
    ym_wipe(&pool, sizeof pool);
    return v;
}

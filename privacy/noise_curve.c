/* g(x) = exp(-x^2 / 2) in integers: to 2^-232 for tables and doubtful points, to
 * 2^-26 for the others; and the boxes that cover the region below it. Bounds: docs/privacy.md. */
#include <pthread.h>
#include <string.h>

#include "base/status.h"
#include "privacy/noise_internal.h"

#define HALVINGS 20
#define TERMS 16
#define SLACK ((uint64_t)1 << 24) /* 2^-232, in the least significant limb */
#define QUICK_TERMS 4
#define QUICK_SLACK ((uint64_t)1 << 37) /* 2^-26 */

typedef unsigned __int128 u128;

static struct ym_fix fix_small(uint64_t v)
{
    return (struct ym_fix){{0, 0, 0, 0, v}};
}

static struct ym_fix fix_mul(const struct ym_fix *a, const struct ym_fix *b)
{
    uint64_t full[10] = {0};
    struct ym_fix r;

    for (int i = 0; i < 5; i++) {
        uint64_t carry = 0;

        for (int j = 0; j < 5; j++) {
            u128 v = (u128)a->limb[i] * b->limb[j] + full[i + j] + carry;

            full[i + j] = (uint64_t)v;
            carry = (uint64_t)(v >> 64);
        }
        full[i + 5] = carry;
    }
    memcpy(r.limb, full + 4, sizeof r.limb);
    return r;
}

static struct ym_fix fix_mul_small(const struct ym_fix *a, uint64_t k)
{
    struct ym_fix r;
    u128 v = 0;

    for (int i = 0; i < 5; i++) {
        v = (u128)a->limb[i] * k + (uint64_t)(v >> 64);
        r.limb[i] = (uint64_t)v;
    }
    return r;
}

static struct ym_fix fix_div_small(const struct ym_fix *a, uint64_t k)
{
    struct ym_fix r;
    u128 v = 0;

    for (int i = 4; i >= 0; i--) {
        v = v << 64 | a->limb[i];
        r.limb[i] = (uint64_t)(v / k);
        v -= (u128)r.limb[i] * k;
    }
    return r;
}

static struct ym_fix fix_shift_right(const struct ym_fix *a, unsigned n) /* n < 64 */
{
    struct ym_fix r;

    for (int i = 0; i < 5; i++) {
        u128 v = (u128)(i < 4 ? a->limb[i + 1] : 0) << 64 | a->limb[i];

        r.limb[i] = (uint64_t)(v >> n);
    }
    return r;
}

static struct ym_fix fix_sub(const struct ym_fix *a, const struct ym_fix *b)
{
    struct ym_fix r;
    uint64_t borrow = 0;

    for (int i = 0; i < 5; i++) {
        u128 v = (u128)a->limb[i] - b->limb[i] - borrow;

        r.limb[i] = (uint64_t)v;
        borrow = (uint64_t)(v >> 64) & 1;
    }
    return r;
}

static struct ym_fix fix_add_slack(const struct ym_fix *a)
{
    struct ym_fix r;
    uint64_t carry = SLACK;

    for (int i = 0; i < 5; i++) {
        r.limb[i] = a->limb[i] + carry;
        carry = r.limb[i] < carry;
    }
    return r;
}

static int fix_compare(const struct ym_fix *a, const struct ym_fix *b)
{
    for (int i = 4; i >= 0; i--)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* e = x^2 / 2^21 < 2^-13; exp(-e) by its alternating series, then squared 20 times. */
struct ym_fix ym_fix_curve(const struct ym_fix *x)
{
    const struct ym_fix one = fix_small(1);
    struct ym_fix e = fix_mul(x, x), q = one;

    YM_ASSERT(x->limb[4] < 16);
    e = fix_shift_right(&e, HALVINGS + 1);
    for (uint64_t k = TERMS; k >= 1; k--) {
        q = fix_mul(&e, &q);
        q = fix_div_small(&q, k);
        q = fix_sub(&one, &q);
    }
    for (int i = 0; i < HALVINGS; i++)
        q = fix_mul(&q, &q);
    return q;
}

/* (n + t) 2^-shift; t has 49 + 192 places and shift <= 6, so nothing is cut off. */
static struct ym_fix point_x(const struct ym_noise_point *p)
{
    struct ym_fix x = {{0, p->place_more[2], p->place_more[1], p->place_more[0], p->place}};

    /* x now holds place * 2^192 + more, with 192 places above the last limb's 64 */
    x = fix_shift_right(&x, YM_NOISE_PLACE_BITS);
    x.limb[4] += p->n;
    return fix_shift_right(&x, p->shift);
}

static struct ym_fix point_y(const struct ym_noise_point *p)
{
    struct ym_fix y = {{p->height_more[2], p->height_more[1], p->height_more[0], p->height, p->level}};

    y = fix_mul_small(&y, YM_NOISE_BOX_HEIGHT);
    y = fix_shift_right(&y, 32);
    return fix_shift_right(&y, p->drop);
}

int ym_noise_below_slow(const struct ym_noise_point *p)
{
    struct ym_fix x = point_x(p), y = point_y(p), g = ym_fix_curve(&x), least = fix_add_slack(&y),
                  most = fix_add_slack(&g);

    YM_ASSERT(p->known == YM_NOISE_MORE);
    if (fix_compare(&least, &g) <= 0)
        return 1;
    return fix_compare(&most, &y) <= 0 ? -1 : 0;
}

/* g(x) = g(j/64) exp(-e), e = (j t + t^2 / 2) / 4096 < 1/16. */
int ym_noise_below_quick(const struct ym_noise_boxes *b, const struct ym_noise_point *p)
{
    const uint64_t one = (uint64_t)1 << 63;
    uint64_t t = p->place, e = 8 * t * p->n + (uint64_t)((u128)t * t >> 47), q = one, g, y;

#pragma GCC unroll 4
    for (uint64_t k = QUICK_TERMS; k >= 1; k--)
        q = one - (uint64_t)((u128)e * q >> 64) / k;
    g = (uint64_t)((u128)b->curve[p->n] * q >> 63);
    y = (p->level * YM_NOISE_BOX_HEIGHT << 31) + (uint64_t)((u128)YM_NOISE_BOX_HEIGHT * p->height >> 33);
    if (y + QUICK_SLACK < g)
        return 1;
    return g + QUICK_SLACK < y ? -1 : 0;
}

/* ---- boxes ---- */

static struct ym_noise_boxes boxes;
static pthread_once_t boxes_once = PTHREAD_ONCE_INIT;

static uint64_t curve_at(unsigned j)
{
    struct ym_fix x = fix_small(j), g;

    x = fix_shift_right(&x, 6);
    g = ym_fix_curve(&x);
    return g.limb[4] << 63 | g.limb[3] >> 1;
}

/* Whole boxes of bin j end below g(right end), cut ones reach above g(left end);
 * one unit of the 2^-63 to either side makes up for the floor. */
static void make_boxes(void)
{
    const uint64_t unit = YM_NOISE_BOX_HEIGHT << 31;
    struct ym_noise_boxes *b = &boxes;

    for (unsigned j = 0; j <= YM_NOISE_BINS; j++)
        b->curve[j] = curve_at(j);
    for (unsigned j = 0; j < YM_NOISE_BINS; j++) {
        unsigned whole = (unsigned)((b->curve[j + 1] - 1) / unit), all = (unsigned)((b->curve[j] + 2) / unit) + 1;

        YM_ASSERT(all <= 256 && b->cuts + all - whole <= YM_NOISE_CUTS);
        YM_ASSERT(b->whole + b->cuts + all + YM_NOISE_TAIL_SLOTS <= YM_NOISE_SLOTS);
        memset(b->bin + b->whole, (int)j, whole);
        b->whole += whole;
        for (unsigned i = whole; i < all; i++)
            b->cut[b->cuts++] = (struct ym_noise_cut){(uint8_t)j, (uint8_t)i};
    }
}

const struct ym_noise_boxes *ym_noise_boxes_get(void)
{
    pthread_once(&boxes_once, make_boxes);
    return &boxes;
}

/* The noise's arithmetic: each step against one that is slower and plainer. The curve against
 * 256-bit values, the table of boxes against the curve, the quick comparison against the slow one,
 * whole draws against an oracle that takes the same words and always decides with 241 binary
 * places, the wide variant against the portable one; and the distribution against Karney's sampler
 * and, beyond 4 sigma, against the error function. Statistical checks: CHECKS at FALSE_ALARM / CHECKS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng_internal.h"
#include "privacy/noise.h"
#include "privacy/noise_internal.h"
#include "tests/support/karney.h"
#include "tests/support/stats.h"

#define CHECKS 8
#define DRAWS 10000000
#define HARD_DRAWS 2000000
#define WINDOW 128 /* words any draw here can want */

typedef unsigned __int128 u128;

static struct ym_rng *rng;

static uint64_t random_below(uint64_t n)
{
    return (uint64_t)((u128)ym_rng_u64(rng) * n >> 64);
}

static uint64_t random_sigma(void)
{
    static const uint64_t some[] = {
        1, 2, 3, 16, 1000, 1 << 24, (1 << 24) + 1, (UINT64_C(1) << 40) - 1, UINT64_C(1) << 40};
    size_t i = random_below(sizeof some / sizeof *some + 1);

    return i < sizeof some / sizeof *some ? some[i] : 1 + random_below(UINT64_C(1) << 40);
}

/* ---- the curve ---- */

/* exp(-(k / 64)^2 / 2) 2^256, rounded down, least limb first: Python's decimal with 110 digits. */
static const struct {
    uint64_t k, limb[4];
} curve[] = {
    {1,
     {UINT64_C(0x2b5fba251b1bed3d), UINT64_C(0x7e261c6d26b1524d), UINT64_C(0x544445b0596597f9),
      UINT64_C(0xfff8001fffaaab55)}},
    {32,
     {UINT64_C(0xd41b38c7b22b96be), UINT64_C(0xbd8029f1b77328d9), UINT64_C(0x3eb1269f2f5d4afa),
      UINT64_C(0xe1eb51276c110c3c)}},
    {64,
     {UINT64_C(0xce4ae95861014318), UINT64_C(0xe347bf8ad0e80abb), UINT64_C(0xd675a35530cdd767),
      UINT64_C(0x9b4597e37cb04ff3)}},
    {240,
     {UINT64_C(0x96597e309376fb7b), UINT64_C(0x0e6d737662b446ac), UINT64_C(0x6370aa6aa878dd75),
      UINT64_C(0x0039ec251568ceeb)}},
    {256,
     {UINT64_C(0x8767ef801a32c2ef), UINT64_C(0xad23fbcb7f4a81e5), UINT64_C(0xbbfcd46780fee71e),
      UINT64_C(0x0015fc21041027ac)}},
    {464,
     {UINT64_C(0x8534cca0ee292d21), UINT64_C(0x3a80df0c22382c25), UINT64_C(0xb8ae198e25a51ffd),
      UINT64_C(0x00000000043d8530)}},
    {1023,
     {UINT64_C(0x4b2f805efb2b3d64), UINT64_C(0x00000000000000cf), UINT64_C(0x0000000000000000),
      UINT64_C(0x0000000000000000)}},
};

static struct ym_fix curve_at(uint64_t k)
{
    struct ym_fix x = {{0, 0, 0, k << 58, k >> 6}};

    return ym_fix_curve(&x);
}

static void curve_has_232_binary_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof curve / sizeof *curve; i++) {
        struct ym_fix g = curve_at(curve[i].k);
        u128 off = ((u128)g.limb[1] << 64 | g.limb[0]) - ((u128)curve[i].limb[1] << 64 | curve[i].limb[0]);

        assert_int_equal(g.limb[4], 0);
        assert_int_equal(g.limb[3], curve[i].limb[3]);
        assert_int_equal(g.limb[2], curve[i].limb[2]);
        assert_true(off + (1 << 23) < 1 << 24); /* half of what the comparison allows for */
    }
}

static void curve_follows_the_library(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct ym_fix x = {{0, 0, 0, ym_rng_u64(rng), random_below(6)}}, g = ym_fix_curve(&x);
        long double at = (long double)x.limb[4] + ldexpl((long double)x.limb[3], -64);
        long double want = expl(-at * at / 2), got = (long double)g.limb[4] + ldexpl((long double)g.limb[3], -64);

        assert_true(fabsl(want - got) < 1e-17L);
    }
}

/* ---- the boxes ---- */

static long double box_top(unsigned boxes, unsigned drop)
{
    return ldexpl((long double)(boxes * YM_NOISE_BOX_HEIGHT), -32 - (int)drop);
}

static void boxes_cover_the_region_and_whole_ones_lie_in_it(void **state)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    unsigned whole[YM_NOISE_BINS] = {0}, next[YM_NOISE_BINS];

    (void)state;
    for (uint32_t s = 0; s < b->whole; s++)
        whole[b->bin[s]]++;
    memcpy(next, whole, sizeof next);
    for (uint32_t s = 0; s < b->cuts; s++)
        assert_int_equal(b->cut[s].level, next[b->cut[s].bin]++);
    for (unsigned j = 0; j < YM_NOISE_BINS; j++) {
        long double left = (long double)j / 64, right = (long double)(j + 1) / 64;

        assert_true(box_top(whole[j], 0) < expl(-right * right / 2));
        assert_true(box_top(next[j], 0) > expl(-left * left / 2));
        assert_true(next[j] - whole[j] <= 4); /* and nothing is wasted */
    }
    for (unsigned i = 0; i < YM_NOISE_TAIL_MAX; i++)
        assert_true(box_top(1, 3 + i) > expl(-(4 + i / 4.0L) * (4 + i / 4.0L) / 2));
    assert_true(ldexpl(box_top(1, 3 + YM_NOISE_TAIL_MAX), -64) > expl(-128)); /* s >= 2^-64 is above */
    assert_true(b->whole + b->cuts + YM_NOISE_TAIL_SLOTS <= YM_NOISE_SLOTS);
    assert_true(b->whole > YM_NOISE_SLOTS * 0.965);
}

/* ---- quick against slow ---- */

static struct ym_noise_point random_cut_point(const struct ym_noise_boxes *b)
{
    const struct ym_noise_cut *cut = &b->cut[random_below(b->cuts)];
    struct ym_noise_point p = {.n = cut->bin, .level = cut->level, .shift = 6, .known = YM_NOISE_MORE};
    const uint64_t end = UINT64_C(1) << YM_NOISE_PLACE_BITS;

    p.place = random_below(8) ? random_below(end) : random_below(2) ? 0 : end - 1;
    for (int i = 0; i < YM_NOISE_MORE; i++)
        p.place_more[i] = random_below(8) ? ym_rng_u64(rng) : 0 - random_below(2);
    return p;
}

/* The first height, in 2^-64 of the box, that is not below the curve. */
static uint64_t height_of_curve(struct ym_noise_point p)
{
    uint64_t low = 0;

    for (int bit = 63; bit >= 0; bit--) {
        p.height = low | UINT64_C(1) << bit;
        if (ym_noise_below_slow(&p) > 0)
            low = p.height;
    }
    return low;
}

static void quick_comparison_never_contradicts_the_slow_one(void **state)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    unsigned decided = 0, undecided = 0;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct ym_noise_point p = random_cut_point(b);
        uint64_t at = height_of_curve(p);

        for (int k = 20; k < 112; k++) {
            uint64_t by = UINT64_C(1) << (k / 2);
            int quick;

            p.height = k % 2 ? at + by : at - by;
            if (k % 2 ? p.height < at : p.height > at)
                continue;
            quick = ym_noise_below_quick(b, &p);
            undecided += quick == 0;
            decided += quick != 0;
            assert_true(quick == 0 || quick == ym_noise_below_slow(&p));
            assert_true(quick != 0 || k / 2 < 50);
        }
    }
    assert_true(decided > 1000 && undecided > 1000);
}

/* ---- whole draws from the same words ---- */

/* sigma (n + 0.place more) 2^-shift + 1/2 to all 241 places, rounded down. */
static uint64_t round_all_places(uint64_t sigma, const struct ym_noise_point *p)
{
    uint64_t x[5] = {p->place_more[2], p->place_more[1], p->place_more[0], p->n << YM_NOISE_PLACE_BITS | p->place, 0};
    u128 carry = 0;

    for (int i = 0; i < 5; i++) {
        carry += (u128)x[i] * sigma;
        if (i == 3)
            carry += UINT64_C(1) << (YM_NOISE_PLACE_BITS + p->shift - 1);
        x[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return (uint64_t)(((u128)x[4] << 64 | x[3]) >> (YM_NOISE_PLACE_BITS + p->shift));
}

static void more_words(struct ym_noise_point *p, const uint64_t *w, size_t step)
{
    for (size_t i = 0; i < YM_NOISE_MORE; i++) {
        p->place_more[i] = w[step * i];
        p->height_more[i] = w[step * i + 1];
    }
    p->known = YM_NOISE_MORE;
}

/* The point that a word that is no whole box stands for, with all its words; 0: there is none. */
static int oracle_point(const struct ym_noise_boxes *b, uint32_t slot, struct ym_noise_point *p, const uint64_t **w)
{
    if (slot >= b->cuts + YM_NOISE_TAIL_SLOTS)
        return 0;
    p->height = *(*w)++;
    if (slot < b->cuts) {
        p->n = b->cut[slot].bin;
        p->level = b->cut[slot].level;
        /* decided early, the words that follow continue the place; what continues the height is all one */
        more_words(p, *w, ym_noise_below_quick(b, p) == 0 ? 2 : 1);
        return 1;
    }
    while (**w == 0)
        (*w)++, p->drop += 64;
    p->drop += (unsigned)__builtin_ctzll(*(*w)++);
    p->n = 16 + p->drop;
    p->drop += 3;
    p->shift = 2;
    if (p->n >= 16 + YM_NOISE_TAIL_MAX)
        return 0;
    more_words(p, *w, 2);
    return 1;
}

static int64_t oracle(const struct ym_noise_boxes *b, uint64_t sigma, uint64_t word, const uint64_t *w)
{
    for (;; word = *w++) {
        struct ym_noise_point p = {.place = word >> 15, .shift = 6};
        uint32_t slot = word & (YM_NOISE_SLOTS - 1);
        int64_t v;

        if (slot < b->whole) {
            p.n = b->bin[slot];
            more_words(&p, w, 1);
        } else {
            bool point = oracle_point(b, slot - b->whole, &p, &w);
            bool wide = point && (p.shift == 2 || ym_noise_below_quick(b, &p) == 0);
            int below = point ? ym_noise_below_slow(&p) : -1;

            assert_int_not_equal(below, 0);
            if (wide)
                w += 2 * YM_NOISE_MORE;
            if (below < 0)
                continue;
        }
        v = (int64_t)round_all_places(sigma, &p);
        return word >> 14 & 1 ? -v : v;
    }
}

static void agree(const struct ym_noise_boxes *b, uint64_t sigma, uint64_t word, struct ym_noise_bits *bits,
                  size_t from)
{
    int64_t want = oracle(b, sigma, word, bits->word + from), got;

    bits->used = from;
    got = ym_noise_from_word(b, sigma, word, bits);
    if (got != want)
        fail_msg("sigma %llu word %016llx: %lld, oracle %lld", (unsigned long long)sigma, (unsigned long long)word,
                 (long long)got, (long long)want);
}

static void ten_million_draws_are_the_oracles(void **state)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    static struct ym_noise_bits bits = {.size = 256};

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        if (i % WINDOW == 0)
            ym_rng_fill(rng, bits.word, sizeof bits.word);
        agree(b, random_sigma(), ym_rng_u64(rng), &bits, (size_t)i % WINDOW);
    }
}

/* The place at which sigma x reaches m - 1/2, as 49 bits and then words; false if outside the box.
 * remainder / sigma is what is left of it after every word. */
static bool place_of_boundary(uint64_t sigma, uint64_t n, unsigned shift, uint64_t *place, uint64_t word[4])
{
    uint64_t from = n << YM_NOISE_PLACE_BITS, at = from | random_below(UINT64_C(1) << YM_NOISE_PLACE_BITS);
    unsigned places = YM_NOISE_PLACE_BITS + shift;
    u128 m = (((u128)sigma * at >> (places - 1)) + 1) / 2 + random_below(2), rest;

    if (m == 0)
        return false;
    rest = (2 * m - 1) << (places - 1);
    if (rest / sigma < from || rest / sigma - from >= UINT64_C(1) << YM_NOISE_PLACE_BITS)
        return false;
    *place = (uint64_t)(rest / sigma) - from;
    for (int i = 0; i < 4; i++) {
        rest = rest % sigma << 64;
        word[i] = (uint64_t)(rest / sigma);
    }
    return true;
}

/* Follow the boundary for some words, then step off by one unit to either side, or not at all; the
 * last word that the oracle reads always does, so that no later one matters. */
static void leave_boundary(uint64_t word[4])
{
    size_t at = random_below(3);

    word[at] += at < 2 ? random_below(3) - 1 : 2 * random_below(2) - 1;
    for (size_t i = at + 1; i < 4; i++)
        word[i] = random_below(2) ? ym_rng_u64(rng) : 0 - random_below(2);
}

static bool bottom_is_below(const struct ym_noise_boxes *b, uint64_t cut, uint64_t place, const uint64_t edge[4])
{
    struct ym_noise_point p = {
        .n = b->cut[cut].bin, .level = b->cut[cut].level, .place = place, .height = 1, .shift = 6};

    p.known = YM_NOISE_MORE;
    memcpy(p.place_more, edge, sizeof p.place_more);
    return ym_noise_below_quick(b, &p) > 0 && ym_noise_below_slow(&p) > 0;
}

static void draws_next_to_a_rounding_boundary_are_the_oracles(void **state)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    static struct ym_noise_bits bits = {.size = 256};
    int used = 0;

    (void)state;
    ym_rng_fill(rng, bits.word, sizeof bits.word);
    for (int i = 0; i < HARD_DRAWS; i++) {
        uint64_t sigma = random_sigma(), place, edge[4], slot, n, block = random_below(12), height = random_below(2);
        unsigned kind = (unsigned)random_below(3), shift = kind == 2 ? 2 : 6;

        slot = kind == 0   ? random_below(b->whole)
               : kind == 1 ? b->whole + random_below(b->cuts)
                           : b->whole + b->cuts + random_below(YM_NOISE_TAIL_SLOTS);
        n = kind == 0 ? b->bin[slot] : kind == 1 ? b->cut[slot - b->whole].bin : 16 + block;
        if (!place_of_boundary(sigma, n, shift, &place, edge))
            continue;
        leave_boundary(edge);
        if (kind == 1 && !bottom_is_below(b, slot - b->whole, place, edge))
            continue;
        bits.word[0] = height;                                               /* at the bottom of its box */
        bits.word[1] = ym_rng_u64(rng) << block << 1 | UINT64_C(1) << block; /* the tail's coins */
        for (size_t k = 0; k < 4; k++)
            bits.word[kind == 0 ? k : kind == 1 ? k + 1 : 2 + 2 * k] = edge[k];
        agree(b, sigma, place << 15 | (random_below(2) << 14) | slot, &bits, 0);
        used++;
    }
    assert_true(used > HARD_DRAWS / 10);
}

/* Beyond what arithmetic decides, a point with any height at all is above the curve. */
static void farthest_blocks_of_the_tail_are_thrown_away(void **state)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    static struct ym_noise_bits bits = {.size = 256};

    (void)state;
    for (unsigned block = 40; block < 64; block++)
        for (unsigned zeros = 0; zeros < 3; zeros++) {
            memset(bits.word, 0, sizeof bits.word);
            bits.word[0] = 1; /* s = 2^-64 */
            bits.word[1 + zeros] = UINT64_C(1) << block;
            for (size_t i = 2 + zeros; i < 256; i++)
                bits.word[i] = 100 << 15; /* the first whole box */
            agree(b, 1 << 24, b->whole + b->cuts, &bits, 0);
            assert_true(zeros || block < YM_NOISE_TAIL_MAX || bits.used < 8);
        }
}

/* ---- the two variants and the vector ---- */

static void wide_variant_gives_the_same_integers(void **state)
{
    enum { N = 1000 };
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    uint64_t word[N], rest[4];
    int64_t one[N], two[N];
    uint32_t hard_one[N + YM_NOISE_SPILL], hard_two[N + YM_NOISE_SPILL];

    (void)state;
    if (!ym_noise_has_avx512())
        skip();
    for (int round = 0; round < 3000; round++) {
        uint64_t sigma = random_sigma(), place;
        size_t n = round < 40 ? (size_t)round : N - random_below(20), count;

        ym_rng_fill(rng, word, sizeof word);
        for (size_t i = 0; i < n; i += 3) { /* a third of them within two last places of a boundary */
            uint64_t slot = random_below(b->whole);

            if (place_of_boundary(sigma, b->bin[slot], 6, &place, rest))
                word[i] = ((place + random_below(5) - 2) << 15) | (word[i] & YM_NOISE_SIGN) | slot;
        }
        for (size_t i = 0; i < N; i++)
            one[i] = two[i] = (int64_t)(ym_rng_u64(rng) >> 2) - (INT64_C(1) << 61);
        count = ym_noise_easy(b, sigma, word, n, one, hard_one);
        assert_int_equal(count, ym_noise_easy_avx512(b, sigma, word, n, two, hard_two));
        assert_memory_equal(hard_one, hard_two, count * sizeof *hard_one);
        assert_memory_equal(one, two, sizeof one);
    }
}

static void vector_is_its_words_drawn_one_by_one(void **state)
{
    enum { N = 5000, BATCH = 4096 };
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    uint8_t key[32];
    struct ym_rng *first, *second;
    static int64_t sum[N];
    static uint64_t word[BATCH];
    static struct ym_noise_bits bits;
    const uint64_t sigma = UINT64_C(1) << 40;

    (void)state;
    ym_rng_fill(rng, key, sizeof key);
    assert_int_equal(ym_rng_open_keyed(key, &first, NULL), YM_OK);
    assert_int_equal(ym_rng_open_keyed(key, &second, NULL), YM_OK);
    memset(sum, 0, sizeof sum);
    ym_noise_add(sum, N, sigma, first);
    bits = (struct ym_noise_bits){.rng = second, .used = 256, .size = 256};
    for (size_t i = 0; i < N; i++) {
        if (i % BATCH == 0) { /* a batch's words come before what its hard draws ask for */
            size_t left = N - i < BATCH ? N - i : BATCH;

            ym_rng_fill(second, word, left * sizeof *word);
        }
        assert_int_equal(sum[i], ym_noise_from_word(b, sigma, word[i % BATCH], &bits));
    }
    ym_rng_close(&first);
    ym_rng_close(&second);
}

/* ---- distribution ---- */

static void passes(const char *what, double sigma, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s at sigma %g: p = %.3g", what, sigma, p);
}

/* 64 cells, a tenth of sigma wide, the outer ones open. */
static size_t cell_of(int64_t v, uint64_t sigma)
{
    double at = floor((double)v / (double)sigma * 10) + 32;

    return at < 0 ? 0 : at > 63 ? 63 : (size_t)at;
}

static void distribution_is_karneys(void **state)
{
    static const uint64_t sigmas[] = {1, 7, 1 << 24, UINT64_C(1) << 40};
    enum { N = 1000000 };
    int64_t *v = calloc(N, sizeof *v);
    struct karney_pool pool;

    (void)state;
    assert_non_null(v);
    karney_open(&pool, rng, sizeof pool.byte);
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        double ours[64] = {0}, theirs[64] = {0}, x = 0, df = -1;

        memset(v, 0, N * sizeof *v);
        ym_noise_add(v, N, sigmas[s], rng);
        for (size_t i = 0; i < N; i++) {
            ours[cell_of(v[i], sigmas[s])]++;
            theirs[cell_of(karney_draw(sigmas[s], &pool), sigmas[s])]++;
        }
        for (size_t c = 0; c < 64; c++) {
            if (ours[c] + theirs[c] < 20)
                continue;
            x += (ours[c] - theirs[c]) * (ours[c] - theirs[c]) / (ours[c] + theirs[c]);
            df++;
        }
        passes("two samples", (double)sigmas[s], stats_chi2_above(x, df));
    }
    free(v);
}

static double beyond(double x)
{
    return erfc(x / M_SQRT2); /* of |N(0, 1)| */
}

/* Draws whose first word names the tail: P(block) is its area below the curve over the area of
 * four boxes; the others start again, and are beyond 4 sigma with their ordinary probability. */
static void tail_has_its_exact_shape(void **state)
{
    enum { N = 1000000, BLOCKS = 5 };
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    const double area = 4.0 * (double)YM_NOISE_BOX_HEIGHT * 0x1p-32 / 64, sigma = 0x1p36;
    double expected[BLOCKS + 1], seen[BLOCKS + 1] = {0}, inside = 1, accepted = sqrt(M_PI / 2) * beyond(4) / area, df,
                                               x;
    static struct ym_noise_bits bits = {.used = 256, .size = 256};

    (void)state;
    bits.rng = rng;
    for (int i = 0; i < BLOCKS; i++) {
        double far = i == BLOCKS - 1 ? 0 : beyond(4.25 + i / 4.0), p = beyond(4 + i / 4.0) - far;

        expected[i] = N * (sqrt(M_PI / 2) * p / area + (1 - accepted) * p);
        inside -= expected[i] / N;
    }
    expected[BLOCKS] = N * inside;
    for (int i = 0; i < N; i++) {
        uint64_t word = (ym_rng_u64(rng) & ~UINT64_C(0x3fff)) | (b->whole + b->cuts + random_below(4));
        double at = fabs((double)ym_noise_from_word(b, (uint64_t)sigma, word, &bits)) / sigma;

        seen[at < 4 ? BLOCKS : at > 5 ? BLOCKS - 1 : (int)((at - 4) * 4)]++;
    }
    x = stats_pearson(expected, seen, BLOCKS + 1, &df);
    assert_true(df > 3);
    passes("blocks beyond 4 sigma", sigma, stats_chi2_above(x, df));
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
        cmocka_unit_test(curve_has_232_binary_places),
        cmocka_unit_test(curve_follows_the_library),
        cmocka_unit_test(boxes_cover_the_region_and_whole_ones_lie_in_it),
        cmocka_unit_test(quick_comparison_never_contradicts_the_slow_one),
        cmocka_unit_test(ten_million_draws_are_the_oracles),
        cmocka_unit_test(draws_next_to_a_rounding_boundary_are_the_oracles),
        cmocka_unit_test(farthest_blocks_of_the_tail_are_thrown_away),
        cmocka_unit_test(wide_variant_gives_the_same_integers),
        cmocka_unit_test(vector_is_its_words_drawn_one_by_one),
        cmocka_unit_test(distribution_is_karneys),
        cmocka_unit_test(tail_has_its_exact_shape),
    };

    return cmocka_run_group_tests(tests, open_rng, close_rng);
}

#include "privacy/noise.h"

#include <stdbool.h>

#include "base/crypto.h"
#include "base/status.h"
#include "privacy/noise_internal.h"

#define SIGMA_MAX ((uint64_t)1 << 40)
#define SLOT_BITS 14
#define BATCH 4096
#define FEW_WORDS 16
#define PLACE_SHIFT (SLOT_BITS + 1)
#define BIN_SHIFT 6  /* a bin is 2^-6 wide, */
#define TAIL_SHIFT 2 /* a block of the tail 2^-2 */

_Static_assert(SLOT_BITS + 1 + YM_NOISE_PLACE_BITS == 64, "a word is slot, sign and place");
_Static_assert(YM_NOISE_SIGN == 1 << SLOT_BITS, "the sign stands above the slot");
_Static_assert(1 << SLOT_BITS == YM_NOISE_SLOTS, "every slot of a word is in the table");

typedef unsigned __int128 u128;

static uint64_t next_word(struct ym_noise_bits *bits)
{
    if (bits->used == bits->size) {
        ym_rng_fill(bits->rng, bits->word, bits->size * sizeof bits->word[0]);
        bits->used = 0;
    }
    return bits->word[bits->used++];
}

static int64_t signed_by(uint64_t word, uint64_t magnitude)
{
    int64_t v = (int64_t)magnitude;

    return word & YM_NOISE_SIGN ? -v : v;
}

/* sigma (n + place 2^-49) 2^-shift + 1/2, in units of 2^-64. What is not known of the
 * place adds less than sigma 2^-(49 + shift). */
static u128 scaled(uint64_t sigma, uint64_t n, uint64_t place, unsigned shift)
{
    uint64_t factor = sigma << (64 - YM_NOISE_PLACE_BITS - shift);

    return (u128)factor * (n << YM_NOISE_PLACE_BITS | place) + ((uint64_t)1 << 63);
}

static bool may_carry(u128 v, uint64_t sigma, unsigned shift)
{
    uint64_t low = (uint64_t)v;

    return low + (sigma << (64 - YM_NOISE_PLACE_BITS - shift)) < low;
}

/* The next integer is `ahead` away and the rest of the place, a number r in (0, 1), is worth
 * sigma r: read r until that reaches it or cannot. */
static uint64_t settle(u128 v, uint64_t sigma, const struct ym_noise_point *p, struct ym_noise_bits *bits)
{
    uint64_t whole = (uint64_t)(v >> 64), ahead = -(uint64_t)v >> (64 - YM_NOISE_PLACE_BITS - p->shift);

    for (unsigned i = 0; ahead < sigma; i++) {
        u128 distance = (u128)ahead << 64;
        u128 step = (u128)sigma * (i < p->known ? p->place_more[i] : next_word(bits));

        if (distance <= step)
            return whole + 1;
        if (distance - step >= sigma)
            return whole;
        ahead = (uint64_t)(distance - step);
    }
    return whole;
}

static uint64_t round_point(uint64_t sigma, const struct ym_noise_point *p, struct ym_noise_bits *bits)
{
    u128 v = scaled(sigma, p->n, p->place, p->shift);

    return may_carry(v, sigma, p->shift) ? settle(v, sigma, p, bits) : (uint64_t)(v >> 64);
}

static bool below_curve(struct ym_noise_point *p, struct ym_noise_bits *bits)
{
    int below;

    for (unsigned i = 0; i < YM_NOISE_MORE; i++) {
        p->place_more[i] = next_word(bits);
        p->height_more[i] = next_word(bits);
    }
    p->known = YM_NOISE_MORE;
    below = ym_noise_below_slow(p);
    YM_ASSERT(below != 0); /* probability below 2^-170 */
    return below > 0;
}

static bool cut_box_accepts(const struct ym_noise_boxes *b, struct ym_noise_point *p, struct ym_noise_bits *bits)
{
    int below = ym_noise_below_quick(b, p);

    return below == 0 ? below_curve(p, bits) : below > 0;
}

/* Block i of the tail with probability 2^-(i+1), as high as 2^-(i+3) boxes. Out there a point
 * is below the curve only if s < 2^-64. */
static bool tail_accepts(struct ym_noise_point *p, struct ym_noise_bits *bits)
{
    uint64_t coins;
    unsigned i = 0;

    while ((coins = next_word(bits)) == 0)
        i += 64;
    i += (unsigned)__builtin_ctzll(coins);
    if (i >= YM_NOISE_TAIL_MAX) {
        YM_ASSERT(p->height != 0); /* probability below 2^-120 */
        return false;
    }
    p->n = 16 + i;
    p->shift = TAIL_SHIFT;
    p->drop = 3 + i;
    return below_curve(p, bits);
}

/* A slot that is no whole box: false if its point is to be thrown away. */
static bool hard_slot(const struct ym_noise_boxes *b, uint64_t word, struct ym_noise_point *p,
                      struct ym_noise_bits *bits)
{
    uint32_t slot = (uint32_t)(word % YM_NOISE_SLOTS) - b->whole;

    *p = (struct ym_noise_point){.place = word >> PLACE_SHIFT, .shift = BIN_SHIFT};
    if (slot >= b->cuts + YM_NOISE_TAIL_SLOTS)
        return false;
    p->height = next_word(bits);
    if (slot >= b->cuts)
        return tail_accepts(p, bits);
    p->n = b->cut[slot].bin;
    p->level = b->cut[slot].level;
    return cut_box_accepts(b, p, bits);
}

int64_t ym_noise_from_word(const struct ym_noise_boxes *b, uint64_t sigma, uint64_t word, struct ym_noise_bits *bits)
{
    struct ym_noise_point p;

    for (; word % YM_NOISE_SLOTS >= b->whole; word = next_word(bits))
        if (hard_slot(b, word, &p, bits))
            return signed_by(word, round_point(sigma, &p, bits));
    p = (struct ym_noise_point){.n = b->bin[word % YM_NOISE_SLOTS], .place = word >> PLACE_SHIFT, .shift = BIN_SHIFT};
    return signed_by(word, round_point(sigma, &p, bits));
}

/* All but 3 words in 100 are a whole box with no integer within their last place, and done
 * here without a branch; the others are listed. */
size_t ym_noise_easy(const struct ym_noise_boxes *b, uint64_t sigma, const uint64_t *word, size_t n, int64_t *sum,
                     uint32_t *hard)
{
    const uint32_t whole = b->whole;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t w = word[i], slot = w % YM_NOISE_SLOTS;
        u128 v = scaled(sigma, b->bin[slot], w >> PLACE_SHIFT, BIN_SHIFT);
        bool is_hard = (slot >= whole) | may_carry(v, sigma, BIN_SHIFT);

        hard[count] = (uint32_t)i;
        count += is_hard;
        sum[i] += is_hard ? 0 : signed_by(w, (uint64_t)(v >> 64));
    }
    return count;
}

static void bits_open(struct ym_noise_bits *bits, struct ym_rng *rng, size_t words)
{
    bits->rng = rng;
    bits->size = bits->used = words;
}

static void check_sigma(uint64_t sigma)
{
    YM_ASSERT(sigma >= 1 && sigma <= SIGMA_MAX);
}

struct batch {
    uint64_t word[BATCH]; /* one a coordinate */
    uint32_t hard[BATCH + YM_NOISE_SPILL];
    struct ym_noise_bits bits; /* what hard ones need beyond their word */
};

void ym_noise_add(int64_t *sum, size_t dim, uint64_t sigma_units, struct ym_rng *rng)
{
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    size_t (*easy)(const struct ym_noise_boxes *, uint64_t, const uint64_t *, size_t, int64_t *, uint32_t *);
    struct batch batch;

    check_sigma(sigma_units);
    easy = ym_noise_has_avx512() ? ym_noise_easy_avx512 : ym_noise_easy;
    bits_open(&batch.bits, rng, dim < BATCH ? FEW_WORDS : sizeof batch.bits.word / sizeof batch.bits.word[0]);
    for (size_t n; dim > 0; sum += n, dim -= n) {
        size_t hard;

        n = dim < BATCH ? dim : BATCH;
        ym_rng_fill(rng, batch.word, n * sizeof batch.word[0]);
        hard = easy(b, sigma_units, batch.word, n, sum, batch.hard);
        for (size_t i = 0; i < hard; i++)
            sum[batch.hard[i]] += ym_noise_from_word(b, sigma_units, batch.word[batch.hard[i]], &batch.bits);
    }
    ym_wipe(&batch, sizeof batch);
}

int64_t ym_noise_draw(uint64_t sigma_units, struct ym_rng *rng)
{
    struct ym_noise_bits bits;
    int64_t v;

    check_sigma(sigma_units);
    bits_open(&bits, rng, 4);
    v = ym_noise_from_word(ym_noise_boxes_get(), sigma_units, next_word(&bits), &bits);
    ym_wipe(&bits, sizeof bits);
    return v;
}

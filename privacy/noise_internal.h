#ifndef YM_PRIVACY_NOISE_INTERNAL_H
#define YM_PRIVACY_NOISE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* |N(0, 1)| as a point drawn uniformly under g(x) = exp(-x^2 / 2), x > 0: docs/privacy.md,
 * "The sampler is exact". The region is covered by boxes of one area, 1/64 wide and
 * H / 2^32 high; a slot of 2^14 names a box, and the same word's other bits are the
 * sign and the first 49 binary places of t, the place across the box. */
#define YM_NOISE_BINS 256
#define YM_NOISE_SLOTS 16384
#define YM_NOISE_BOX_HEIGHT UINT64_C(21364736) /* H: the cover fills all but 19 of the slots */
#define YM_NOISE_PLACE_BITS 49
#define YM_NOISE_SIGN (1 << 14) /* bit of the word: the draw is negative */
#define YM_NOISE_TAIL_SLOTS 4
#define YM_NOISE_CUTS 512
#define YM_NOISE_SPILL 8     /* written by eights */
#define YM_NOISE_TAIL_MAX 48 /* blocks of 1/4 beyond 4 that are decided by arithmetic */
#define YM_NOISE_MORE 3      /* words drawn beyond the first where 64 bits do not decide */

struct ym_noise_cut { /* a box that g passes through */
    uint8_t bin, level;
};

struct ym_noise_boxes {
    uint32_t whole, cuts;                   /* slots: whole boxes, then cut ones, then the tail, then none */
    uint8_t bin[YM_NOISE_SLOTS + 3];        /* of each whole box; read by fours */
    struct ym_noise_cut cut[YM_NOISE_CUTS]; /* counted from `whole` */
    uint64_t curve[YM_NOISE_BINS + 1];      /* floor of g(j / 64) 2^63, at most one too large or small */
};

/* 320-bit fixed point, 256 binary places, least significant limb first. */
struct ym_fix {
    uint64_t limb[5];
};

/* A point drawn in a box: x = (n + t) 2^-shift under test at height (level + s) H 2^-(32 + drop).
 * t = place 2^-49 and then more[]; s = 0.height and then more bits. */
struct ym_noise_point {
    uint64_t n, place, height;
    uint64_t place_more[YM_NOISE_MORE], height_more[YM_NOISE_MORE];
    unsigned shift, level, drop;
    unsigned known; /* words of each `more` that are drawn: 0 or YM_NOISE_MORE */
};

/* Words of keystream, in order and each used once. */
struct ym_noise_bits {
    struct ym_rng *rng;
    size_t used, size; /* words */
    uint64_t word[256];
};

/* The table, made on the first call; read only, any thread. */
const struct ym_noise_boxes *ym_noise_boxes_get(void);

/* exp(-x^2 / 2) for 0 <= x < 16 to 2^-232. */
struct ym_fix ym_fix_curve(const struct ym_fix *x);

/* Is the point below the curve whatever bits follow: 1 yes, -1 above, 0 undecided.
 * quick: from 64 bits, boxes of the bins only; slow: with the `more` words, x < 16. */
int ym_noise_below_quick(const struct ym_noise_boxes *b, const struct ym_noise_point *p);
int ym_noise_below_slow(const struct ym_noise_point *p);

/* Add one draw for each word to sum, but for the words that need more bits or are no draw:
 * those are listed in hard [n + YM_NOISE_SPILL], ascending, and their coordinates left alone. n < 2^32;
 * returns how many. Where a processor has AVX-512 IFMA the second gives the same sooner. */
size_t ym_noise_easy(const struct ym_noise_boxes *b, uint64_t sigma, const uint64_t *word, size_t n, int64_t *sum,
                     uint32_t *hard);
size_t ym_noise_easy_avx512(const struct ym_noise_boxes *b, uint64_t sigma, const uint64_t *word, size_t n,
                            int64_t *sum, uint32_t *hard);
bool ym_noise_has_avx512(void);

/* One draw: `word`, then further words as needed from bits, and from bits->rng when those end. */
int64_t ym_noise_from_word(const struct ym_noise_boxes *b, uint64_t sigma, uint64_t word, struct ym_noise_bits *bits);

#endif

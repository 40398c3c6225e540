#ifndef YM_BASE_RNG_INTERNAL_H
#define YM_BASE_RNG_INTERNAL_H

#include <stdint.h>
#include <string.h>

#include "base/rng.h"

/* What a generator is made of. Included by base/rng.c, sim/rng_seeded.c and
 * tests, by nothing else: with ym_rng_open_keyed a stream can be repeated, and
 * what a hospital runs must hold no such door (a test reads the includes and
 * the trainer's symbols). */
#define YM_RNG_STREAM_BYTES (8192 - 64)

struct ym_rng {
    uint8_t key[32];
    uint64_t block; /* AES blocks of keystream made so far, the CTR counter */
    uint32_t used;  /* bytes of stream already given out */
    uint32_t started;
    uint32_t last_bytes; /* made by the last refill, at the end of stream */
    uint8_t pad[12];
    uint8_t stream[YM_RNG_STREAM_BYTES];
};

/* Locked, zeroed, left out of core dumps and of forked children; it gives
 * nothing until a key is in. Closed by ym_rng_close. */
enum ym_code ym_rng_alloc(struct ym_rng **out, struct ym_status *st);

/* The same stream for the same key: AES-256-CTR, counter from 0. Inline, so that
 * no library carries it. */
static inline enum ym_code ym_rng_open_keyed(const uint8_t key[32], struct ym_rng **out, struct ym_status *st)
{
    enum ym_code code = ym_rng_alloc(out, st);

    if (code != YM_OK)
        return code;
    memcpy((*out)->key, key, sizeof((*out)->key));
    (*out)->used = YM_RNG_STREAM_BYTES;
    (*out)->started = 1;
    return YM_OK;
}

#endif

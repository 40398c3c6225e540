#include "sim/rng_seeded.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/rng_internal.h"

void ym_seeds_init(struct ym_seeds *s, uint64_t seed, const char *label)
{
    *s = (struct ym_seeds){.seed = seed};
    snprintf(s->label, sizeof s->label, "%s", label);
}

static void put_u64(uint8_t out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

enum ym_code ym_seeds_open(void *seeds, struct ym_rng **out, struct ym_status *st)
{
    static const char context[] = "yumen/sim/seed/v1";
    struct ym_seeds *s = seeds;
    uint8_t key[YM_HASH_BYTES], word[8];
    struct ym_sha256 *h = ym_sha256_new();

    ym_sha256_update(h, context, sizeof context); /* the NUL parts it from what follows */
    put_u64(word, s->seed);
    ym_sha256_update(h, word, sizeof word);
    put_u64(word, s->opened++);
    ym_sha256_update(h, word, sizeof word);
    ym_sha256_update(h, s->label, strlen(s->label));
    ym_sha256_final(&h, key);
    return ym_rng_open_keyed(key, out, st);
}

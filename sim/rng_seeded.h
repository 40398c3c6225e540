#ifndef YM_SIM_RNG_SEEDED_H
#define YM_SIM_RNG_SEEDED_H

#include <stdint.h>

#include "base/rng.h"

/* The seeded twin of base/rng.h, linked by the simulator and tests alone: noise
 * drawn from it can be drawn again and protects nobody. Each generator's key is
 * SHA-256("yumen/sim/seed/v1", seed, label, how many were opened before), so a
 * site's draws do not depend on the other sites or on their order. */
struct ym_seeds {
    uint64_t seed, opened;
    char label[128]; /* e.g. "h1/3": site and round */
};

void ym_seeds_init(struct ym_seeds *s, uint64_t seed, const char *label);
/* A ym_open_rng_fn (worker/trainer/local.h); seeds is a struct ym_seeds. */
enum ym_code ym_seeds_open(void *seeds, struct ym_rng **out, struct ym_status *st);

#endif

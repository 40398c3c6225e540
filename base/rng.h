#ifndef YM_BASE_RNG_H
#define YM_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The secure generator: AES-256-CTR keystream under a 256-bit key that the
 * kernel made for this object alone (getrandom); state in mlock'ed memory,
 * wiped by close, which keeps the page for the next one. One object per noise vector and one per sampling pass: never
 * reused, never stored, never seeded. Not for two threads at once.
 * (sim/rng_seeded.h has the seeded twin; only the simulator and tests link it.) */
struct ym_rng;

enum ym_code ym_rng_open(struct ym_rng **out, struct ym_status *st);
void ym_rng_close(struct ym_rng **rng);
uint64_t ym_rng_u64(struct ym_rng *rng);
void ym_rng_fill(struct ym_rng *rng, void *out, size_t len);

/* Bytes straight from the kernel (ids, tokens). Aborts if the kernel cannot. */
void ym_random(void *out, size_t len);

#endif

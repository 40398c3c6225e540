/* Noise against the keystream it eats, in one run, so that the machine's speed
 * cancels: exit 1 when a draw costs more than LIMIT times the making of 8 bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cpu_time.h"
#include "privacy/noise.h"
#include "privacy/noise_internal.h"

#define DRAWS 10000000
#define STREAM_MIB 256
#define LIMIT 8.0

static double keystream_ns_per_8(struct ym_rng *rng)
{
    static uint8_t block[1 << 16];
    double start = ym_cpu_ms();

    for (size_t i = 0; i < STREAM_MIB * 16; i++)
        ym_rng_fill(rng, block, sizeof block);
    return (ym_cpu_ms() - start) * 1e6 / (STREAM_MIB * (1 << 20) / 8.0);
}

static double noise_ns(struct ym_rng *rng, uint64_t sigma)
{
    int64_t *sum = calloc(DRAWS, sizeof *sum);
    double start, spent;

    if (!sum)
        exit(3);
    for (size_t i = 0; i < DRAWS; i++)
        sum[i] = (int64_t)i; /* the pages are there before the clock starts */
    start = ym_cpu_ms();
    ym_noise_add(sum, DRAWS, sigma, rng);
    spent = ym_cpu_ms() - start;
    free(sum);
    return spent * 1e6 / DRAWS;
}

typedef size_t easy_part(const struct ym_noise_boxes *, uint64_t, const uint64_t *, size_t, int64_t *, uint32_t *);

/* The part of a draw that has a wide variant. */
static double easy_ns(easy_part *easy, uint64_t sigma, struct ym_rng *rng)
{
    static uint64_t word[1024];
    static int64_t sum[1024];
    static uint32_t hard[1024 + YM_NOISE_SPILL];
    const struct ym_noise_boxes *b = ym_noise_boxes_get();
    double start, spent = 0;

    for (size_t i = 0; i < DRAWS; i += 1024) {
        ym_rng_fill(rng, word, sizeof word);
        start = ym_cpu_ms();
        easy(b, sigma, word, 1024, sum, hard);
        spent += ym_cpu_ms() - start;
    }
    return spent * 1e6 / DRAWS;
}

static void print_portable(uint64_t sigma, double wide_ns, struct ym_rng *rng)
{
    double ns = wide_ns + easy_ns(ym_noise_easy, sigma, rng) - easy_ns(ym_noise_easy_avx512, sigma, rng);

    printf("the same without AVX-512 (portable, the same integers): %.1f ns a draw, %.0f million a second\n", ns,
           1e3 / ns);
}

int main(void)
{
    static const uint64_t sigma[] = {16, 1 << 24, UINT64_C(1) << 40};
    struct ym_rng *rng;
    double stream, worst = 0;

    if (ym_rng_open(&rng, NULL) != YM_OK)
        return 3;
    stream = keystream_ns_per_8(rng);
    printf("keystream: %.2f ns for 8 bytes\n", stream);
    for (size_t i = 0; i < sizeof sigma / sizeof *sigma; i++) {
        double ns = noise_ns(rng, sigma[i]);

        printf("noise, sigma %" PRIu64 ": %.1f ns a draw, %.0f million a second, ratio %.1f\n", sigma[i], ns, 1e3 / ns,
               ns / stream);
        if (sigma[i] == 1 << 24 && ym_noise_has_avx512())
            print_portable(sigma[i], ns, rng);
        worst = ns / stream > worst ? ns / stream : worst;
    }
    ym_rng_close(&rng);
    printf("bench_noise ratio %.1f limit %.1f\n", worst, LIMIT);
    return worst > LIMIT;
}

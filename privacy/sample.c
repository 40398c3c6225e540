#include "base/status.h"
#include "privacy/noise.h"

size_t ym_sample_patients(size_t patients, uint64_t k, struct ym_rng *rng, uint32_t *chosen)
{
    size_t count = 0;

    YM_ASSERT(patients <= UINT32_MAX);
    for (size_t i = 0; i < patients; i++)
        if (ym_rng_u64(rng) < k)
            chosen[count++] = (uint32_t)i;
    return count;
}

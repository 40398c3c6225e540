#include "audit/verify/trust.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_trust t = {0};
    struct ym_status st;

    if (ym_trust_parse((struct ym_bytes){data, size}, &t, &st) == YM_OK)
        for (size_t i = 0; i < t.count; i++)
            YM_ASSERT(ym_trust_find(&t, t.key[i].name) == &t.key[i]);
    ym_trust_release(&t);
    return 0;
}

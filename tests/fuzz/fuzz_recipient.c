#include "base/recipient.h"
#include "tests/fuzz/fuzz.h"

/* A recipient's certificate out of a sponsor's plan, and a sealed file out of anybody's hand. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes bytes = {data, size};
    struct ym_party who;
    uint8_t pub[YM_PUBKEY_BYTES] = {0};

    if (ym_recipient_read(bytes, &who, NULL) == YM_OK)
        YM_ASSERT(ym_name_valid(who.federation) && ym_name_valid(who.name) && who.role == YM_ROLE_HOSPITAL);
    (void)ym_recipient_vouched(bytes, pub, NULL);
    YM_ASSERT(ym_envelope_recipients(bytes) <= size);
    return 0;
}

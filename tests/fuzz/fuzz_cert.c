#include "base/cert.h"
#include "tests/fuzz/fuzz.h"

/* Another party's certificate: who it names is either refused or well-formed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes pem = {data, size};
    struct ym_status st;
    struct ym_party who;
    int64_t from, until;
    uint8_t hash[32];

    if (ym_cert_party(pem, &who, &st) == YM_OK)
        YM_ASSERT(ym_name_valid(who.federation) && ym_name_valid(who.name) && who.role >= YM_ROLE_HUB &&
                  who.role <= YM_ROLE_AUDITOR);
    if (ym_cert_fingerprint(pem, hash, &st) == YM_OK) {
        YM_ASSERT(ym_cert_spki_hash(pem, hash, &st) == YM_OK);
        (void)ym_cert_validity(pem, &from, &until, &st);
    }
    (void)ym_cert_identity_verify(pem, pem, 1800000000, &who, hash, &st);
    return 0;
}

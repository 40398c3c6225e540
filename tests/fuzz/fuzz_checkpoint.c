#include "audit/ledger/checkpoint.h"
#include "audit/verify/note.h"
#include "tests/fuzz/fuzz.h"

/* Neither reader of signed notes takes a signature that nobody made. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes note = {data, size};
    struct ym_vnote parsed;
    struct ym_vkey key = {.type = YM_VKEY_LOG, .pub = {1}}, cosigner = {.type = YM_VKEY_COSIGNER, .pub = {1}}, read;
    struct ym_status st;
    uint64_t count;
    uint8_t root[32];

    if (ym_vnote_parse(note, &parsed)) {
        YM_ASSERT(parsed.size <= 9999999999999999999u && strlen(parsed.origin) < sizeof(parsed.origin));
        memcpy(key.name, parsed.origin, sizeof(key.name));
        YM_ASSERT(ym_vnote_check(&parsed, &key) != YM_VNOTE_SIGNED);
        YM_ASSERT(ym_checkpoint_open(note, parsed.origin, key.pub, &count, root, &st) == YM_CORRUPT);
    }
    YM_ASSERT(ym_checkpoint_open(note, "yumen/hospital/h1", key.pub, &count, root, &st) == YM_CORRUPT);
    if (ym_vnote_parse(note, &parsed)) {
        memcpy(cosigner.name, parsed.origin, sizeof(cosigner.name));
        YM_ASSERT(ym_vnote_check(&parsed, &cosigner) != YM_VNOTE_SIGNED);
    }
    ym_vkey_read((const char *)data, size, &read);
    return 0;
}

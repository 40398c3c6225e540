#include "audit/ledger/leaf.h"
#include "audit/verify/entry.h"
#include "tests/fuzz/fuzz.h"

/* Writer and verifier read leaves with code of their own: what one takes for a
 * canonical signed line, the other must too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes line = {data, size};
    struct ym_status st;
    struct ym_entry entry;
    const char *why;
    uint8_t pub[32] = {1};
    json_t *leaf = NULL;
    bool wrote = ym_leaf_parse(line, &leaf, &st) == YM_OK;
    bool read = ym_entry_parse(line, &entry, &why) != YM_ENTRY_MALFORMED;

    YM_ASSERT(wrote == read);
    if (read)
        YM_ASSERT(!ym_entry_signed_by(&entry, pub));
    ym_entry_release(&entry);
    json_decref(leaf);
    return 0;
}

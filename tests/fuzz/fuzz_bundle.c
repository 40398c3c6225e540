#include "audit/ledger/bundle.h"
#include "audit/verify/folder.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    size_t count, bytes;
};

static bool see(void *ctx, struct ym_bytes entry)
{
    struct seen *s = ctx;

    s->count++;
    for (size_t i = 0; i < entry.len; i++)
        s->bytes += entry.data[i];
    return true;
}

static enum ym_code see_written(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st)
{
    (void)i;
    (void)st;
    see(ctx, leaf);
    return YM_OK;
}

/* Both readers of entry bundles find the same entries. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes bundle = {data, size};
    struct seen one = {0}, two = {0};
    struct ym_status st;
    bool whole = ym_bundle_read(bundle, see, &one);

    YM_ASSERT((ym_bundle_each(bundle, one.count, see_written, &two, &st) == YM_OK) == whole);
    YM_ASSERT(!whole || (one.count == two.count && one.bytes == two.bytes));
    YM_ASSERT(ym_bundle_each(bundle, one.count + 1, see_written, &two, &st) == YM_CORRUPT);
    return 0;
}

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

/* What is taken has a canonical form, which is taken again and is its own canonical form. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_buf one = {0}, two = {0};
    struct ym_status st;
    json_t *value = NULL, *again = NULL;

    if (ym_json_parse(data, size, 1 << 20, &value, &st) != YM_OK)
        return 0;
    YM_ASSERT(ym_json_canonical(value, &one, &st) == YM_OK);
    YM_ASSERT(ym_json_parse(one.data, one.len, 1 << 24, &again, &st) == YM_OK);
    YM_ASSERT(ym_json_canonical(again, &two, &st) == YM_OK);
    YM_ASSERT(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    json_decref(value);
    json_decref(again);
    ym_buf_release(&one);
    ym_buf_release(&two);
    return 0;
}

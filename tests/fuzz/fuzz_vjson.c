#include "audit/verify/json.h"
#include "base/json.h"
#include "tests/fuzz/fuzz.h"

/* The verifier's reader takes exactly the canonical form of what base reads. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_vjson mine;
    struct ym_buf canonical = {0};
    struct ym_status st;
    json_t *value = NULL;
    const char *why;
    bool good = ym_vjson_parse((struct ym_bytes){data, size}, &mine, &why), is_canonical = false;

    if (ym_json_parse(data, size, 1 << 20, &value, &st) == YM_OK && ym_json_canonical(value, &canonical, &st) == YM_OK)
        is_canonical = canonical.len == size && memcmp(canonical.data, data, size) == 0;
    if (value || (good && ym_vjson_root(&mine)->kind >= YM_V_ARRAY))
        YM_ASSERT(good == is_canonical);
    json_decref(value);
    ym_buf_release(&canonical);
    ym_vjson_release(&mine);
    return 0;
}

#include "base/cert.h"
#include "base/decimal.h"
#include "tests/fuzz/fuzz.h"

static void same(struct ym_buf *b, const char *text)
{
    YM_ASSERT(strcmp(ym_buf_str(b), text) == 0);
    ym_buf_clear(b);
}

/* Short words of the formats: what has one spelling must be written back as it was read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), name[256];
    struct ym_buf b = {0}, raw = {0};
    struct ym_decimal d, again;
    struct ym_token token;
    struct ym_status st;
    unsigned __int128 v;
    enum ym_role role;
    uint8_t pub[32];

    if (ym_decimal_parse(text, &d, &st) == YM_OK) {
        YM_ASSERT(ym_decimal_format(d, &b) == YM_OK);
        YM_ASSERT(ym_decimal_parse(ym_buf_str(&b), &again, &st) == YM_OK && again.scaled == d.scaled);
        YM_ASSERT(ym_decimal_double(d) == strtod(ym_buf_str(&b), NULL));
        ym_buf_clear(&b);
    }
    if (ym_u128_parse(text, &v, &st) == YM_OK) {
        YM_ASSERT(ym_u128_format(v, &b) == YM_OK);
        same(&b, text);
    }
    if (ym_token_parse(text, &token, &st) == YM_OK) {
        YM_ASSERT(ym_token_format(&token, &b) == YM_OK);
        same(&b, text);
    }
    if (ym_vkey_parse(text, YM_NOTE_LOG, name, pub, &st) == YM_OK) {
        YM_ASSERT(ym_vkey_format(name, YM_NOTE_LOG, pub, &b) == YM_OK);
        same(&b, text);
    }
    if (ym_role_parse(text, &role) == YM_OK)
        YM_ASSERT(strcmp(ym_role_name(role), text) == 0);
    if (ym_base64_decode(text, strlen(text), &raw) == YM_OK) {
        YM_ASSERT(ym_base64_encode(raw.data, raw.len, &b) == YM_OK);
        same(&b, text);
    }
    if (ym_hex_decode(text, strlen(text), pub, sizeof(pub)) == YM_OK) {
        YM_ASSERT(ym_hex_encode(pub, sizeof(pub), &b) == YM_OK);
        same(&b, text);
    }
    ym_buf_release(&b);
    ym_buf_release(&raw);
    free(text);
    return 0;
}

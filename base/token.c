#include <string.h>

#include "base/cert.h"

#define PREFIX "YJ1."
#define TOKEN_CHARS (4 + 32 + 1 + 16 + 1 + 32)

static const char base32_digit[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Twenty bytes are exactly 32 digits of five bits. */
static void base32_encode(const uint8_t in[20], char out[33])
{
    for (size_t i = 0; i < 32; i++) {
        size_t bit = 5 * i, byte = bit / 8;
        unsigned pair = (unsigned)in[byte] << 8 | (byte + 1 < 20 ? in[byte + 1] : 0);

        out[i] = base32_digit[pair >> (11 - bit % 8) & 31];
    }
    out[32] = '\0';
}

static bool base32_decode(const char *text, uint8_t out[20])
{
    uint32_t held = 0;
    size_t bits = 0, n = 0;

    for (size_t i = 0; i < 32; i++) {
        const char *digit = memchr(base32_digit, text[i], 32);

        if (!digit)
            return false;
        held = (held << 5 | (uint32_t)(digit - base32_digit)) & 0xFFFF;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(held >> bits);
        }
    }
    return n == 20;
}

enum ym_code ym_token_format(const struct ym_token *t, struct ym_buf *out)
{
    char pin[33];
    size_t start = out->len;

    base32_encode(t->pin, pin);
    if (ym_buf_reserve(out, TOKEN_CHARS) == YM_OK && ym_buf_puts(out, PREFIX) == YM_OK &&
        ym_buf_puts(out, pin) == YM_OK && ym_buf_puts(out, ".") == YM_OK &&
        ym_hex_encode(t->id, sizeof(t->id), out) == YM_OK && ym_buf_puts(out, ".") == YM_OK &&
        ym_hex_encode(t->secret, sizeof(t->secret), out) == YM_OK)
        return YM_OK;
    out->len = start;
    return YM_EXHAUSTED;
}

enum ym_code ym_token_parse(const char *text, struct ym_token *out, struct ym_status *st)
{
    const size_t id = sizeof(PREFIX) - 1 + 32 + 1, secret = id + 17;
    struct ym_token t;

    /* the text is a secret: it is not quoted back */
    if (strnlen(text, TOKEN_CHARS + 1) != TOKEN_CHARS || memcmp(text, PREFIX, sizeof(PREFIX) - 1) != 0 ||
        text[id - 1] != '.' || text[secret - 1] != '.' || !base32_decode(text + sizeof(PREFIX) - 1, t.pin) ||
        ym_hex_decode(text + id, 16, t.id, sizeof(t.id)) != YM_OK ||
        ym_hex_decode(text + secret, 32, t.secret, sizeof(t.secret)) != YM_OK)
        return ym_status_set(st, YM_INVALID, "not an enrolment token: it is YJ1. and three parts, %d characters in all",
                             TOKEN_CHARS);
    *out = t;
    return YM_OK;
}

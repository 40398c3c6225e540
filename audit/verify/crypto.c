#include "audit/verify/crypto.h"

#include <pthread.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

/* Fetched once: finding it costs more than hashing a short text. */
static EVP_MD *sha256;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void hash_parts(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[YM_VHASH])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    pthread_once(&once, fetch);
    YM_ASSERT(c && sha256 && EVP_DigestInit_ex2(c, sha256, NULL) == 1);
    YM_ASSERT(EVP_DigestUpdate(c, a, a_len) == 1 && EVP_DigestUpdate(c, b, b_len) == 1);
    YM_ASSERT(EVP_DigestFinal_ex(c, out, NULL) == 1);
    EVP_MD_CTX_free(c);
}

void ym_vhash(const void *data, size_t len, uint8_t out[YM_VHASH])
{
    hash_parts(data, len, "", 0, out);
}

bool ym_vrandom(void *out, size_t len)
{
    return RAND_bytes(out, (int)len) == 1;
}

bool ym_vsig_good(const uint8_t pub[32], const void *data, size_t len, const uint8_t sig[64])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, 32);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good =
        key && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 && EVP_DigestVerify(c, sig, 64, data, len) == 1;

    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    return good;
}

void ym_vleaf_hash(struct ym_bytes leaf, uint8_t out[YM_VHASH])
{
    hash_parts("\x00", 1, leaf.data, leaf.len, out);
}

void ym_vnode_hash(const uint8_t left[YM_VHASH], const uint8_t right[YM_VHASH], uint8_t out[YM_VHASH])
{
    uint8_t pair[2 * YM_VHASH];

    memcpy(pair, left, YM_VHASH);
    memcpy(pair + YM_VHASH, right, YM_VHASH);
    hash_parts("\x01", 1, pair, sizeof(pair), out);
}

void ym_vroot(const uint8_t (*hash)[YM_VHASH], size_t count, uint8_t out[YM_VHASH])
{
    uint8_t pair[2][YM_VHASH];
    size_t split = 1;

    if (count == 0) {
        ym_vhash("", 0, out);
        return;
    }
    if (count == 1) {
        memcpy(out, hash[0], YM_VHASH);
        return;
    }
    while (split < count - split)
        split *= 2;
    ym_vroot(hash, split, pair[0]);
    ym_vroot(hash + split, count - split, pair[1]);
    ym_vnode_hash(pair[0], pair[1], out);
}

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int digit16(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ym_vbase64(const char *text, size_t len, uint8_t *out, size_t out_len)
{
    size_t pad = (3 - out_len % 3) % 3, digits = len - pad;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;

    if (len != (out_len + 2) / 3 * 4)
        return false;
    for (size_t i = 0; i < pad; i++)
        if (text[len - 1 - i] != '=')
            return false;
    for (size_t i = 0; i < digits; i++) {
        int d = digit64(text[i]);

        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (uint8_t)(bits >> held);
            bits &= (1u << held) - 1;
        }
    }
    return n == out_len && bits == 0;
}

bool ym_vhex(const char *text, size_t len, uint8_t *out, size_t out_len)
{
    if (len != 2 * out_len)
        return false;
    for (size_t i = 0; i < out_len; i++) {
        int high = digit16(text[2 * i]), low = digit16(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void ym_vhex_text(const uint8_t *data, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[data[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[data[i] & 15];
    }
    out[2 * len] = '\0';
}

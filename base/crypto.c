#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#include "base/key_internal.h"

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

struct ym_key {
    EVP_PKEY *pkey;
    uint8_t pub[YM_PUBKEY_BYTES];
};

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    YM_ASSERT(sha256);
}

const char *ym_openssl_reason(void)
{
    unsigned long e = ERR_peek_last_error();
    const char *text = e ? ERR_reason_error_string(e) : NULL;

    ERR_clear_error();
    return text ? text : "no reason given";
}

void ym_sha256(const void *data, size_t len, uint8_t out[YM_HASH_BYTES])
{
    pthread_once(&sha256_once, fetch_sha256);
    YM_ASSERT(EVP_Digest(len ? data : "", len, out, NULL, sha256, NULL) == 1);
}

struct ym_sha256 *ym_sha256_new(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    pthread_once(&sha256_once, fetch_sha256);
    YM_ASSERT(ctx && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
    return (struct ym_sha256 *)ctx;
}

void ym_sha256_update(struct ym_sha256 *h, const void *data, size_t len)
{
    YM_ASSERT(len == 0 || EVP_DigestUpdate((EVP_MD_CTX *)h, data, len) == 1);
}

void ym_sha256_final(struct ym_sha256 **h, uint8_t out[YM_HASH_BYTES])
{
    YM_ASSERT(EVP_DigestFinal_ex((EVP_MD_CTX *)*h, out, NULL) == 1);
    ym_sha256_free(*h);
    *h = NULL;
}

void ym_sha256_free(struct ym_sha256 *h)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void ym_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[YM_HASH_BYTES])
{
    unsigned out_len = YM_HASH_BYTES;

    pthread_once(&sha256_once, fetch_sha256);
    YM_ASSERT(key_len <= INT32_MAX);
    YM_ASSERT(HMAC(sha256, key_len ? key : "", (int)key_len, len ? data : (const void *)"", len, out, &out_len));
}

bool ym_equal_const(const void *a, const void *b, size_t len)
{
    return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}

void ym_wipe(void *p, size_t len)
{
    if (len)
        explicit_bzero(p, len);
}

static enum ym_code key_take(EVP_PKEY *pkey, struct ym_key **out, struct ym_status *st)
{
    size_t len = YM_PUBKEY_BYTES;
    struct ym_key *key;

    if (EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519)
        return ym_status_set(st, YM_INVALID, "not an Ed25519 key");
    key = OPENSSL_zalloc(sizeof(*key));
    if (!key)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a key");
    YM_ASSERT(EVP_PKEY_get_raw_public_key(pkey, key->pub, &len) == 1 && len == YM_PUBKEY_BYTES);
    key->pkey = pkey;
    *out = key;
    return YM_OK;
}

enum ym_code ym_key_generate(struct ym_key **out, struct ym_status *st)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    enum ym_code code;

    if (!pkey)
        return ym_status_set(st, YM_INTERNAL, "cannot make an Ed25519 key: %s", ym_openssl_reason());
    code = key_take(pkey, out, st);
    if (code != YM_OK)
        EVP_PKEY_free(pkey);
    return code;
}

enum ym_code ym_key_derive(const struct ym_key *key, const char *label, struct ym_key **out, struct ym_status *st)
{
    uint8_t seed[YM_HASH_BYTES], derived[YM_HASH_BYTES];
    size_t len = sizeof(seed);
    EVP_PKEY *pkey;
    enum ym_code code;

    YM_ASSERT(EVP_PKEY_get_raw_private_key(key->pkey, seed, &len) == 1 && len == sizeof(seed));
    ym_hmac_sha256(seed, sizeof(seed), label, strlen(label), derived);
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, derived, sizeof(derived));
    ym_wipe(seed, sizeof(seed));
    ym_wipe(derived, sizeof(derived));
    if (!pkey)
        return ym_status_set(st, YM_INTERNAL, "cannot derive an Ed25519 key: %s", ym_openssl_reason());
    code = key_take(pkey, out, st);
    if (code != YM_OK)
        EVP_PKEY_free(pkey);
    return code;
}

void ym_key_free(struct ym_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    OPENSSL_free(key);
}

void ym_key_public(const struct ym_key *key, uint8_t out[YM_PUBKEY_BYTES])
{
    memcpy(out, key->pub, YM_PUBKEY_BYTES);
}

void ym_key_sign(const struct ym_key *key, const void *data, size_t len, uint8_t out[YM_SIG_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t sig_len = YM_SIG_BYTES;

    YM_ASSERT(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1);
    YM_ASSERT(EVP_DigestSign(ctx, out, &sig_len, len ? data : (const void *)"", len) == 1 && sig_len == YM_SIG_BYTES);
    EVP_MD_CTX_free(ctx);
}

bool ym_sig_verify(const uint8_t pub[YM_PUBKEY_BYTES], const void *data, size_t len, const uint8_t sig[YM_SIG_BYTES])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, YM_PUBKEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestVerify(ctx, sig, YM_SIG_BYTES, len ? data : (const void *)"", len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    if (!good)
        ERR_clear_error();
    return good;
}

EVP_PKEY *ym_key_pkey(const struct ym_key *key)
{
    return key->pkey;
}

enum ym_code ym_key_save(const struct ym_key *key, const char *path, struct ym_bytes secret, struct ym_status *st)
{
    return ym_keyfile_save(key->pkey, path, secret, st);
}

enum ym_code ym_key_load(const char *path, struct ym_bytes secret, struct ym_key **out, struct ym_status *st)
{
    EVP_PKEY *pkey = NULL;
    enum ym_code code = ym_keyfile_load(path, secret, &pkey, st);

    if (code != YM_OK)
        return code;
    code = key_take(pkey, out, st);
    if (code != YM_OK) {
        EVP_PKEY_free(pkey);
        return ym_status_wrap(st, code, "'%s'", path);
    }
    return YM_OK;
}

void ym_note_key_id(const char *name, enum ym_note_type type, const uint8_t pub[YM_PUBKEY_BYTES], uint8_t out[4])
{
    const uint8_t separator[] = {0x0A, (uint8_t)type};
    uint8_t hash[YM_HASH_BYTES];
    struct ym_sha256 *h = ym_sha256_new();

    ym_sha256_update(h, name, strlen(name));
    ym_sha256_update(h, separator, sizeof(separator));
    ym_sha256_update(h, pub, YM_PUBKEY_BYTES);
    ym_sha256_final(&h, hash);
    memcpy(out, hash, 4);
}

static bool note_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > 255 || !ym_utf8_valid(name, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == '+' || name[i] == 0x7F)
            return false;
    return true;
}

enum ym_code ym_vkey_format(const char *name, enum ym_note_type type, const uint8_t pub[YM_PUBKEY_BYTES],
                            struct ym_buf *out)
{
    uint8_t id[4], typed[1 + YM_PUBKEY_BYTES] = {(uint8_t)type};
    size_t start = out->len;

    if (!note_name_valid(name, strlen(name)))
        return YM_INVALID;
    ym_note_key_id(name, type, pub, id);
    memcpy(typed + 1, pub, YM_PUBKEY_BYTES);
    if (ym_buf_puts(out, name) == YM_OK && ym_buf_puts(out, "+") == YM_OK &&
        ym_hex_encode(id, sizeof(id), out) == YM_OK && ym_buf_puts(out, "+") == YM_OK &&
        ym_base64_encode(typed, sizeof(typed), out) == YM_OK)
        return YM_OK;
    out->len = start;
    return YM_EXHAUSTED;
}

enum ym_code ym_vkey_parse(const char *text, enum ym_note_type type, char name[256], uint8_t pub[YM_PUBKEY_BYTES],
                           struct ym_status *st)
{
    const char *hex = strchr(text, '+'), *key = hex ? strchr(hex + 1, '+') : NULL;
    uint8_t id[4], expected[4];
    struct ym_buf typed = {0};
    enum ym_code code = YM_INVALID;
    char parsed[256];

    if (!key || !note_name_valid(text, (size_t)(hex - text)) ||
        ym_hex_decode(hex + 1, (size_t)(key - hex - 1), id, sizeof(id)) != YM_OK || strlen(key + 1) != 44 ||
        ym_base64_decode(key + 1, 44, &typed) != YM_OK || typed.len != 1 + YM_PUBKEY_BYTES || typed.data[0] != type)
        goto out;
    memcpy(parsed, text, (size_t)(hex - text));
    parsed[hex - text] = '\0';
    ym_note_key_id(parsed, type, typed.data + 1, expected);
    if (memcmp(id, expected, sizeof(id)) != 0)
        goto out;
    memcpy(name, parsed, sizeof(parsed));
    memcpy(pub, typed.data + 1, YM_PUBKEY_BYTES);
    code = YM_OK;
out:
    ym_buf_release(&typed);
    if (code != YM_OK)
        return ym_status_set(st, code, "'%.300s' is not a verifier key (name+id+key)", text);
    return YM_OK;
}

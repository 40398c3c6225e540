#include <limits.h>
#include <malloc.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/fs.h"
#include "base/key_internal.h"
#include "base/rng.h"

#define KEY_FILE_BYTES 65536
#define SECRET_MIN_BYTES 16
#define SECRET_MAX_BYTES 4096
/* 16 MiB and about 50 ms: the secret is random already, scrypt only covers one that a person chose. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1

static X509_SIG *encrypt(EVP_PKEY *key, struct ym_bytes secret)
{
    uint8_t salt[16], iv[16];
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_ALGOR *pbe;
    X509_SIG *sealed = NULL;

    ym_random(salt, sizeof(salt));
    ym_random(iv, sizeof(iv));
    pbe = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof(salt), iv, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    if (plain && pbe)
        sealed = PKCS8_set0_pbe((const char *)secret.data, (int)secret.len, plain, pbe);
    if (!sealed)
        X509_ALGOR_free(pbe);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return sealed;
}

enum ym_code ym_keyfile_save(EVP_PKEY *key, const char *path, struct ym_bytes secret, struct ym_status *st)
{
    enum ym_code code;
    X509_SIG *sealed = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    long len;

    if (secret.len < SECRET_MIN_BYTES || secret.len > SECRET_MAX_BYTES) {
        code = ym_status_set(st, YM_INVALID, "a secret must have %d to %d bytes", SECRET_MIN_BYTES, SECRET_MAX_BYTES);
        goto out;
    }
    sealed = encrypt(key, secret);
    if (!bio || !sealed || PEM_write_bio_PKCS8(bio, sealed) != 1) {
        code = ym_status_set(st, YM_INTERNAL, "cannot encrypt the key for '%s': %s", path, ym_openssl_reason());
        goto out;
    }
    len = BIO_get_mem_data(bio, &pem);
    code = ym_fs_write(path, (struct ym_bytes){(const uint8_t *)pem, (size_t)len}, 0600, st);
out:
    X509_SIG_free(sealed);
    BIO_free(bio);
    return code;
}

enum ym_code ym_keyfile_load(const char *path, struct ym_bytes secret, EVP_PKEY **out, struct ym_status *st)
{
    struct ym_buf pem = {0};
    PKCS8_PRIV_KEY_INFO *plain = NULL;
    X509_SIG *sealed = NULL;
    EVP_PKEY *key = NULL;
    BIO *bio = NULL;
    enum ym_code code = ym_fs_read(path, KEY_FILE_BYTES, &pem, st);

    if (code != YM_OK)
        goto out;
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    sealed = bio ? PEM_read_bio_PKCS8(bio, NULL, NULL, NULL) : NULL;
    if (!sealed) {
        code = ym_status_set(st, YM_CORRUPT, "'%s' is not an encrypted private key", path);
        goto out;
    }
    plain = PKCS8_decrypt(sealed, (const char *)secret.data, (int)secret.len);
    key = plain ? EVP_PKCS82PKEY(plain) : NULL;
    if (!key) {
        code = ym_status_set(st, YM_DENIED, "'%s' does not open: the secret is not the one it was saved with", path);
        goto out;
    }
    *out = key;
out:
    ERR_clear_error();
    PKCS8_PRIV_KEY_INFO_free(plain);
    X509_SIG_free(sealed);
    BIO_free(bio);
    ym_buf_release(&pem);
    malloc_trim(0); /* scrypt took 16 MiB for a moment; a daemon would keep it for life */
    return code;
}

/* A secret may be typed into its file with an editor: the line end is not part of it. */
static enum ym_code secret_read(const char *path, struct ym_buf *out, struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_fs_read(path, SECRET_MAX_BYTES, &text, st);

    if (code != YM_OK)
        goto out;
    while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    if (text.len < SECRET_MIN_BYTES)
        code = ym_status_set(st, YM_CORRUPT, "'%s' holds fewer than %d bytes", path, SECRET_MIN_BYTES);
    else if (ym_buf_append(out, text.data, text.len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a secret");
out:
    ym_buf_wipe(&text);
    return code;
}

static enum ym_code secret_create(const char *path, struct ym_status *st)
{
    struct ym_buf text = {0};
    uint8_t key[32];
    enum ym_code code = YM_EXHAUSTED;

    ym_random(key, sizeof(key));
    if (ym_buf_reserve(&text, 2 * sizeof(key) + 1) == YM_OK && ym_hex_encode(key, sizeof(key), &text) == YM_OK &&
        ym_buf_puts(&text, "\n") == YM_OK)
        code = ym_fs_write(path, (struct ym_bytes){text.data, text.len}, 0600, st);
    ym_wipe(key, sizeof(key));
    ym_buf_wipe(&text);
    return code;
}

enum ym_code ym_secret_load(const char *dir, bool create, struct ym_buf *out, struct ym_status *st)
{
    const char *host = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];
    enum ym_code code;

    if (host && *host && ym_fs_join(path, sizeof(path), host, "yumen.secret") == YM_OK && ym_fs_exists(path))
        return secret_read(path, out, st);
    if (ym_fs_join(path, sizeof(path), dir, "secret") != YM_OK)
        return ym_status_set(st, YM_INVALID, "'%.200s' is too long a path", dir);
    if (create && !ym_fs_exists(path)) {
        code = secret_create(path, st);
        if (code != YM_OK)
            return code;
    }
    return secret_read(path, out, st);
}

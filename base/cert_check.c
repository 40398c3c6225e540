#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cert_internal.h"

#define SCHEME "yumen://"

static const char *const role_name[] = {NULL, "hub", "hospital", "sponsor", "auditor"};

const char *ym_role_name(enum ym_role role)
{
    return role >= YM_ROLE_HUB && role <= YM_ROLE_AUDITOR ? role_name[role] : "unknown";
}

enum ym_code ym_role_parse(const char *text, enum ym_role *out)
{
    for (int i = YM_ROLE_HUB; i <= YM_ROLE_AUDITOR; i++) {
        if (strcmp(text, role_name[i]) == 0) {
            *out = (enum ym_role)i;
            return YM_OK;
        }
    }
    return YM_INVALID;
}

bool ym_party_valid(const struct ym_party *who)
{
    return ym_name_valid(who->federation) && ym_name_valid(who->name) && who->role >= YM_ROLE_HUB &&
           who->role <= YM_ROLE_AUDITOR;
}

/* Never a prompt on the terminal for a key that turns out to be encrypted. */
static int no_password(char *buf, int size, int writing, void *user)
{
    (void)buf, (void)size, (void)writing, (void)user;
    return -1;
}

enum ym_code ym_pkey_read(struct ym_bytes key_pem, EVP_PKEY **out, struct ym_status *st)
{
    BIO *bio = key_pem.len && key_pem.len <= YM_PEM_BYTES ? BIO_new_mem_buf(key_pem.data, (int)key_pem.len) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (!key)
        return ym_status_set(st, YM_CORRUPT, "not a private key in PEM");
    *out = key;
    return YM_OK;
}

enum ym_code ym_cert_read(struct ym_bytes pem, X509 **out, struct ym_status *st)
{
    BIO *bio = pem.len && pem.len <= YM_PEM_BYTES ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (!cert)
        return ym_status_set(st, YM_CORRUPT, "not a certificate in PEM");
    *out = cert;
    return YM_OK;
}

/* "federation/role/name" cut at its slashes. */
static bool party_parse(char *text, struct ym_party *out)
{
    char *role = strchr(text, '/'), *name = role ? strchr(role + 1, '/') : NULL;
    struct ym_party who = {0};

    if (!name)
        return false;
    *role++ = '\0';
    *name++ = '\0';
    if (!ym_name_valid(text) || !ym_name_valid(name) || ym_role_parse(role, &who.role) != YM_OK)
        return false;
    memcpy(who.federation, text, strlen(text) + 1);
    memcpy(who.name, name, strlen(name) + 1);
    *out = who;
    return true;
}

static bool uri_party(const GENERAL_NAME *name, struct ym_party *out)
{
    const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
    const unsigned char *data = ASN1_STRING_get0_data(uri);
    int len = ASN1_STRING_length(uri);
    char text[256];

    if (len < (int)sizeof(SCHEME) || len >= (int)sizeof(text) || memchr(data, 0, (size_t)len) ||
        memcmp(data, SCHEME, sizeof(SCHEME) - 1) != 0)
        return false;
    snprintf(text, sizeof(text), "%.*s", len - (int)sizeof(SCHEME) + 1, (const char *)data + sizeof(SCHEME) - 1);
    return party_parse(text, out);
}

enum ym_code ym_cert_holder(const X509 *cert, struct ym_party *out, struct ym_status *st)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct ym_party who = {0};
    int uris = 0, good = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI)
            continue;
        uris++;
        good += uri_party(name, &who);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (uris != 1 || good != 1)
        return ym_status_set(st, YM_DENIED, "the certificate does not name its holder by one yumen:// address");
    *out = who;
    return YM_OK;
}

enum ym_code ym_cert_party(struct ym_bytes cert_pem, struct ym_party *out, struct ym_status *st)
{
    X509 *cert = NULL;
    enum ym_code code = ym_cert_read(cert_pem, &cert, st);

    if (code == YM_OK)
        code = ym_cert_holder(cert, out, st);
    X509_free(cert);
    return code;
}

enum ym_code ym_cert_fingerprint(struct ym_bytes cert_pem, uint8_t out[32], struct ym_status *st)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    X509 *cert = NULL;
    enum ym_code code = ym_cert_read(cert_pem, &cert, st);

    if (code != YM_OK)
        return code;
    YM_ASSERT(X509_digest(cert, EVP_sha256(), hash, &len) == 1 && len == YM_HASH_BYTES);
    memcpy(out, hash, YM_HASH_BYTES);
    X509_free(cert);
    return YM_OK;
}

enum ym_code ym_cert_spki_hash(struct ym_bytes cert_pem, uint8_t out[32], struct ym_status *st)
{
    unsigned char *der = NULL;
    X509 *cert = NULL;
    enum ym_code code = ym_cert_read(cert_pem, &cert, st);
    int len;

    if (code != YM_OK)
        return code;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    YM_ASSERT(len > 0);
    ym_sha256(der, (size_t)len, out);
    OPENSSL_free(der);
    X509_free(cert);
    return YM_OK;
}

static bool time_unix(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return false;
    *out = timegm(&tm);
    return true;
}

enum ym_code ym_cert_validity(struct ym_bytes cert_pem, int64_t *not_before, int64_t *not_after, struct ym_status *st)
{
    int64_t from, until;
    X509 *cert = NULL;
    enum ym_code code = ym_cert_read(cert_pem, &cert, st);

    if (code != YM_OK)
        return code;
    if (time_unix(X509_get0_notBefore(cert), &from) && time_unix(X509_get0_notAfter(cert), &until)) {
        *not_before = from;
        *not_after = until;
    } else {
        code = ym_status_set(st, YM_CORRUPT, "the certificate's dates cannot be read");
    }
    X509_free(cert);
    return code;
}

static enum ym_code chain_refusal(int error, const X509 *cert, struct ym_status *st)
{
    int64_t when = 0;
    time_t t;
    char date[32] = "?";
    struct tm tm;
    bool early = error == X509_V_ERR_CERT_NOT_YET_VALID;

    if (error != X509_V_ERR_CERT_HAS_EXPIRED && !early)
        return ym_status_set(st, YM_DENIED, "the certificate does not come from this federation's CA: %s",
                             X509_verify_cert_error_string(error));
    if (time_unix(early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert), &when)) {
        t = when;
        gmtime_r(&t, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &tm);
    }
    if (early)
        return ym_status_set(st, YM_DENIED, "the certificate is not valid before %s; check this machine's clock", date);
    return ym_status_set(st, YM_DENIED, "the certificate or its CA has expired (%s); enrol again or renew it", date);
}

static enum ym_code chain_check(X509 *ca, X509 *cert, int64_t now, struct ym_status *st)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    enum ym_code code = YM_OK;
    X509_VERIFY_PARAM *param;

    if (!store || !ctx || X509_STORE_add_cert(store, ca) != 1 || X509_STORE_CTX_init(ctx, store, cert, NULL) != 1) {
        code = ym_status_set(st, YM_INTERNAL, "cannot check a certificate: %s", ym_openssl_reason());
        goto out;
    }
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, now);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_depth(param, 0);
    if (X509_verify_cert(ctx) != 1)
        code = chain_refusal(X509_STORE_CTX_get_error(ctx), cert, st);
out:
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return code;
}

/* One that names a party but was issued for TLS must not pass for an identity, nor the other way round. */
static bool has_usage(X509 *cert, uint32_t usage)
{
    return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(cert) & usage) == usage;
}

enum ym_code ym_cert_identity_verify(struct ym_bytes ca_cert, struct ym_bytes cert, int64_t now, struct ym_party *who,
                                     uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st)
{
    X509 *ca = NULL, *leaf = NULL;
    struct ym_party found;
    size_t len = YM_PUBKEY_BYTES;
    uint8_t key[YM_PUBKEY_BYTES];
    EVP_PKEY *pkey;
    enum ym_code code = ym_cert_read(ca_cert, &ca, st);

    if (code == YM_OK)
        code = ym_cert_read(cert, &leaf, st);
    if (code == YM_OK)
        code = chain_check(ca, leaf, now, st);
    if (code == YM_OK)
        code = ym_cert_holder(leaf, &found, st);
    if (code != YM_OK)
        goto out;
    pkey = X509_get0_pubkey(leaf);
    if (!pkey || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(pkey, key, &len) != 1 ||
        !has_usage(leaf, XKU_CODE_SIGN)) {
        code = ym_status_set(st, YM_DENIED, "not an identity certificate");
        goto out;
    }
    *who = found;
    memcpy(pub, key, sizeof(key));
out:
    X509_free(leaf);
    X509_free(ca);
    return code;
}

enum ym_code ym_cert_check(struct ym_bytes key_pem, struct ym_bytes cert_pem, struct ym_bytes ca_pem, int64_t now,
                           struct ym_status *st)
{
    X509 *ca = NULL, *cert = NULL;
    EVP_PKEY *key = NULL;
    enum ym_code code = ym_pkey_read(key_pem, &key, st);

    if (code == YM_OK)
        code = ym_cert_read(cert_pem, &cert, st);
    if (code == YM_OK)
        code = ym_cert_read(ca_pem, &ca, st);
    if (code != YM_OK)
        goto out;
    if (X509_check_private_key(cert, key) != 1)
        code = ym_status_set(st, YM_DENIED, "the key and the certificate do not belong together");
    else if (!has_usage(cert, XKU_SSL_SERVER | XKU_SSL_CLIENT))
        code = ym_status_set(st, YM_DENIED, "not a TLS certificate");
    else
        code = chain_check(ca, cert, now, st);
out:
    ERR_clear_error();
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    return code;
}

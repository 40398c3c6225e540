#include "base/cert.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/cert_internal.h"
#include "base/rng.h"

#define SKEW_S 300 /* a clock this much behind the hub's still takes a new certificate */
#define SELF_S (24 * 3600)
#define NAMES_MAX 16

static enum ym_code failed(struct ym_status *st, const char *what)
{
    return ym_status_set(st, YM_INTERNAL, "cannot %s: %s", what, ym_openssl_reason());
}

enum ym_code ym_cert_write(X509 *cert, struct ym_buf *out, struct ym_status *st)
{
    BIO *bio = BIO_new(BIO_s_mem());
    enum ym_code code = YM_OK;
    char *pem;
    long len;

    if (!bio || PEM_write_bio_X509(bio, cert) != 1)
        code = failed(st, "write a certificate");
    else if ((len = BIO_get_mem_data(bio, &pem)) < 0 || ym_buf_append(out, pem, (size_t)len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a certificate");
    BIO_free(bio);
    return code;
}

/* OpenSSL's memory BIO wipes itself when freed; the reserve keeps growth from leaving copies. */
static enum ym_code pkey_write(EVP_PKEY *key, struct ym_buf *out, struct ym_status *st)
{
    BIO *bio = BIO_new(BIO_s_mem());
    enum ym_code code = YM_OK;
    char *pem;
    long len;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        code = failed(st, "write a private key");
    else if ((len = BIO_get_mem_data(bio, &pem)) < 0 || ym_buf_append(out, pem, (size_t)len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a private key");
    BIO_free(bio);
    return code;
}

enum ym_code ym_tls_key_generate(struct ym_buf *key_pem, struct ym_status *st)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    enum ym_code code = key ? pkey_write(key, key_pem, st) : failed(st, "make a P-256 key");

    EVP_PKEY_free(key);
    return code;
}

enum ym_code ym_pem_save(const char *path, struct ym_bytes key_pem, struct ym_bytes secret, struct ym_status *st)
{
    EVP_PKEY *key = NULL;
    enum ym_code code = ym_pkey_read(key_pem, &key, st);

    if (code == YM_OK)
        code = ym_keyfile_save(key, path, secret, st);
    EVP_PKEY_free(key);
    return code;
}

enum ym_code ym_pem_load(const char *path, struct ym_bytes secret, struct ym_buf *key_pem, struct ym_status *st)
{
    EVP_PKEY *key = NULL;
    enum ym_code code = ym_keyfile_load(path, secret, &key, st);

    if (code == YM_OK)
        code = pkey_write(key, key_pem, st);
    EVP_PKEY_free(key);
    return code;
}

static bool set_serial(X509 *cert)
{
    uint8_t bytes[16];
    BIGNUM *n;
    bool good;

    ym_random(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7F) | 0x40); /* positive and always 16 bytes */
    n = BN_bin2bn(bytes, sizeof(bytes), NULL);
    good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return good;
}

static bool set_times(X509 *cert, int64_t not_before, int64_t not_after)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), not_before) && ASN1_TIME_set(X509_getm_notAfter(cert), not_after);
}

static bool set_subject(X509 *cert, const char *cn)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1;
}

bool ym_cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool good;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    good = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

X509 *ym_cert_start(EVP_PKEY *subject, const char *cn, int64_t not_before, int64_t not_after)
{
    X509 *cert = X509_new();

    if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) && set_times(cert, not_before, not_after) &&
        set_subject(cert, cn) && X509_set_pubkey(cert, subject))
        return cert;
    X509_free(cert);
    return NULL;
}

enum ym_code ym_ca_create(const char *federation, struct ym_bytes key_pem, int64_t now, int days,
                          struct ym_buf *cert_pem, struct ym_status *st)
{
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    char cn[65];
    enum ym_code code;

    if (!ym_name_valid(federation) || days < 1 || days > 100 * 366)
        return ym_status_set(st, YM_INVALID, "a CA needs a federation's name and 1 to 36600 days");
    code = ym_pkey_read(key_pem, &key, st);
    if (code != YM_OK)
        return code;
    snprintf(cn, sizeof(cn), "%.63s", federation); /* X.520 allows 64 characters */
    cert = ym_cert_start(key, cn, now - SKEW_S, now + (int64_t)days * 86400);
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !ym_cert_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !ym_cert_extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !ym_cert_extend(cert, cert, NID_subject_key_identifier, "hash") ||
        !ym_cert_extend(cert, cert, NID_authority_key_identifier, "keyid:always") ||
        !X509_sign(cert, key, EVP_sha256()))
        code = failed(st, "make a CA certificate");
    else
        code = ym_cert_write(cert, cert_pem, st);
    X509_free(cert);
    EVP_PKEY_free(key);
    return code;
}

enum ym_code ym_cert_self(struct ym_bytes key_pem, int64_t now, struct ym_buf *cert_pem, struct ym_status *st)
{
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    enum ym_code code = ym_pkey_read(key_pem, &key, st);

    if (code != YM_OK)
        return code;
    cert = ym_cert_start(key, "enrolment", now - SELF_S, now + SELF_S);
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !ym_cert_extend(cert, cert, NID_key_usage, "critical,digitalSignature") || !X509_sign(cert, key, EVP_sha256()))
        code = failed(st, "make a self-signed certificate");
    else
        code = ym_cert_write(cert, cert_pem, st);
    X509_free(cert);
    EVP_PKEY_free(key);
    return code;
}

static bool push_text(GENERAL_NAMES *names, int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();

    if (name && value && ASN1_STRING_set(value, text, -1)) {
        GENERAL_NAME_set0_value(name, type, value);
        if (sk_GENERAL_NAME_push(names, name))
            return true;
        value = NULL;
    }
    ASN1_IA5STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
}

static bool push_address(GENERAL_NAMES *names, const uint8_t *address, int len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    if (name && value && ASN1_OCTET_STRING_set(value, address, len)) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, value);
        if (sk_GENERAL_NAME_push(names, name))
            return true;
        value = NULL;
    }
    ASN1_OCTET_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
}

static bool host_valid(const char *host)
{
    size_t len = strnlen(host, 254);

    for (size_t i = 0; i < len; i++) {
        char c = host[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return len > 0 && len < 254 && host[0] != '.' && host[0] != '-';
}

static bool push_host(GENERAL_NAMES *names, const char *host)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, host, address) == 1)
        return push_address(names, address, 4);
    if (inet_pton(AF_INET6, host, address) == 1)
        return push_address(names, address, 16);
    return host_valid(host) && push_text(names, GEN_DNS, host);
}

bool ym_cert_names(X509 *cert, const struct ym_party *who, const char *const *hosts)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    char uri[160];
    bool good;

    snprintf(uri, sizeof(uri), "yumen://%s/%s/%s", who->federation, ym_role_name(who->role), who->name);
    good = names && push_text(names, GEN_URI, uri);
    for (size_t i = 0; good && hosts && hosts[i]; i++)
        good = i < NAMES_MAX && push_host(names, hosts[i]);
    good = good && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

struct issue {
    struct ym_bytes ca_key, ca_cert;
    const struct ym_party *who;
    const char *const *hosts;
    const char *usage; /* extended key usage */
    int64_t now, not_after;
};

static bool cert_finish(X509 *cert, const struct issue *order, X509 *ca, EVP_PKEY *ca_key)
{
    return X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
           ym_cert_extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           ym_cert_extend(cert, ca, NID_key_usage, "critical,digitalSignature") &&
           ym_cert_extend(cert, ca, NID_ext_key_usage, order->usage) &&
           ym_cert_extend(cert, ca, NID_subject_key_identifier, "hash") &&
           ym_cert_extend(cert, ca, NID_authority_key_identifier, "keyid:always") &&
           ym_cert_names(cert, order->who, order->hosts) && X509_sign(cert, ca_key, EVP_sha256()) > 0;
}

static enum ym_code issue(const struct issue *order, EVP_PKEY *subject, struct ym_buf *cert_pem, struct ym_status *st)
{
    EVP_PKEY *ca_key = NULL;
    X509 *ca = NULL, *cert = NULL;
    enum ym_code code;

    if (!ym_party_valid(order->who) || order->not_after <= order->now)
        return ym_status_set(st, YM_INVALID, "a certificate needs a valid party and an end after its start");
    code = ym_pkey_read(order->ca_key, &ca_key, st);
    if (code != YM_OK)
        goto out;
    code = ym_cert_read(order->ca_cert, &ca, st);
    if (code != YM_OK)
        goto out;
    if (X509_check_private_key(ca, ca_key) != 1) {
        code = ym_status_set(st, YM_CONFLICT, "the CA's key and certificate do not belong together");
        goto out;
    }
    cert = ym_cert_start(subject, order->who->name, order->now - SKEW_S, order->not_after);
    if (!cert || !cert_finish(cert, order, ca, ca_key))
        code = failed(st, "issue a certificate");
    else
        code = ym_cert_write(cert, cert_pem, st);
out:
    ERR_clear_error();
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    return code;
}

bool ym_pkey_p256(EVP_PKEY *key)
{
    char group[32];

    return EVP_PKEY_get_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

enum ym_code ym_cert_issue(struct ym_bytes ca_key, struct ym_bytes ca_cert, struct ym_bytes subject_cert_pem,
                           const struct ym_party *who, const char *const *dns_names, int64_t now, int64_t not_after,
                           struct ym_buf *cert_pem, struct ym_status *st)
{
    /* both usages for everybody: the hub's watchdog calls its own port */
    const struct issue order = {ca_key, ca_cert, who, dns_names, "serverAuth,clientAuth", now, not_after};
    X509 *subject = NULL;
    EVP_PKEY *key;
    enum ym_code code = ym_cert_read(subject_cert_pem, &subject, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; dns_names && dns_names[i]; i++) {
        uint8_t address[16];

        if (i == NAMES_MAX || (!host_valid(dns_names[i]) && inet_pton(AF_INET6, dns_names[i], address) != 1)) {
            X509_free(subject);
            return ym_status_set(st, YM_INVALID, "'%.80s' is not a host name or address, or one too many",
                                 dns_names[i]);
        }
    }
    key = X509_get0_pubkey(subject);
    if (!key || !ym_pkey_p256(key))
        code = ym_status_set(st, YM_INVALID, "a TLS certificate needs a P-256 key");
    else
        code = issue(&order, key, cert_pem, st);
    X509_free(subject);
    return code;
}

enum ym_code ym_cert_identity(struct ym_bytes ca_key, struct ym_bytes ca_cert, const uint8_t pub[YM_PUBKEY_BYTES],
                              const struct ym_party *who, int64_t now, int64_t not_after, struct ym_buf *cert_pem,
                              struct ym_status *st)
{
    /* a usage that no TLS stack takes for its own */
    const struct issue order = {ca_key, ca_cert, who, NULL, "codeSigning", now, not_after};
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, YM_PUBKEY_BYTES);
    enum ym_code code = key ? issue(&order, key, cert_pem, st) : failed(st, "read an Ed25519 key");

    EVP_PKEY_free(key);
    return code;
}

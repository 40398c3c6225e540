#include "base/recipient.h"

#include <limits.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>

#include "base/cert_internal.h"
#include "base/fs.h"

#define SKEW_S 300
#define NEVER 253402300799 /* 99991231235959Z: no end (RFC 5280, 4.1.2.5) */
#define USAGE KU_KEY_AGREEMENT

/* ---- certificates ---- */

static enum ym_code failed(struct ym_status *st, const char *what)
{
    return ym_status_set(st, YM_INTERNAL, "cannot %s: %s", what, ym_openssl_reason());
}

static enum ym_code put_der(X509 *cert, struct ym_buf *der, struct ym_status *st)
{
    unsigned char *bytes = NULL;
    int len = i2d_X509(cert, &bytes);
    enum ym_code code = YM_OK;

    if (len < 0)
        code = failed(st, "write a certificate");
    else if (ym_buf_append(der, bytes, (size_t)len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a certificate");
    OPENSSL_free(bytes);
    return code;
}

enum ym_code ym_recipient_make(const struct ym_key *identity, struct ym_bytes key_pem, const struct ym_party *who,
                               int64_t now, struct ym_buf *der, struct ym_status *st)
{
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    enum ym_code code;

    if (!ym_party_valid(who) || who->role != YM_ROLE_HOSPITAL)
        return ym_status_set(st, YM_INVALID, "only hospitals receive models");
    code = ym_pkey_read(key_pem, &key, st);
    if (code != YM_OK)
        return code;
    cert = ym_pkey_p256(key) ? ym_cert_start(key, who->name, now - SKEW_S, NEVER) : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !ym_cert_extend(cert, cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !ym_cert_extend(cert, cert, NID_key_usage, "critical,keyAgreement") || !ym_cert_names(cert, who, NULL) ||
        !X509_sign(cert, ym_key_pkey(identity), NULL))
        code = failed(st, "make a recipient's certificate");
    else
        code = put_der(cert, der, st);
    X509_free(cert);
    EVP_PKEY_free(key);
    return code;
}

static X509 *parse(struct ym_bytes der)
{
    const unsigned char *at = der.data;
    X509 *cert = der.len && der.len <= YM_RECIPIENT_DER_MAX ? d2i_X509(NULL, &at, (long)der.len) : NULL;

    if (cert && at != der.data + der.len) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

enum ym_code ym_recipient_read(struct ym_bytes der, struct ym_party *who, struct ym_status *st)
{
    X509 *cert = parse(der);
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
    struct ym_party holder = {0};
    enum ym_code code =
        cert ? ym_cert_holder(cert, &holder, st) : ym_status_set(st, YM_INVALID, "not a recipient's certificate");

    if (code == YM_OK && (!key || !ym_pkey_p256(key) || X509_get_key_usage(cert) != USAGE ||
                          X509_get_signature_nid(cert) != NID_ED25519))
        code = ym_status_set(st, YM_INVALID, "the certificate is not one that `yumen-site recipient make` makes");
    if (code == YM_OK && holder.role != YM_ROLE_HOSPITAL)
        code = ym_status_set(st, YM_INVALID, "only hospitals receive models");
    X509_free(cert);
    ERR_clear_error();
    if (code != YM_OK)
        return ym_status_wrap(st, YM_INVALID, "recipient");
    *who = holder;
    return YM_OK;
}

enum ym_code ym_recipient_vouched(struct ym_bytes der, const uint8_t identity[YM_PUBKEY_BYTES], struct ym_status *st)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, identity, YM_PUBKEY_BYTES);
    X509 *cert = parse(der);
    bool good = key && cert && X509_verify(cert, key) == 1;

    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good ? YM_OK : ym_status_set(st, YM_DENIED, "the hospital has not signed this certificate");
}

enum ym_code ym_recipient_to_pem(struct ym_bytes der, struct ym_buf *pem, struct ym_status *st)
{
    X509 *cert = parse(der);
    enum ym_code code =
        cert ? ym_cert_write(cert, pem, st) : ym_status_set(st, YM_INVALID, "not a recipient's certificate");

    X509_free(cert);
    return code;
}

enum ym_code ym_recipient_from_pem(struct ym_bytes pem, struct ym_buf *der, struct ym_status *st)
{
    X509 *cert = NULL;
    struct ym_buf bytes = {0};
    struct ym_party who;
    enum ym_code code = ym_cert_read(pem, &cert, st);

    if (code == YM_OK)
        code = put_der(cert, &bytes, st);
    if (code == YM_OK)
        code = ym_recipient_read(ym_buf_bytes(&bytes), &who, st);
    if (code == YM_OK)
        code = ym_buf_append(der, bytes.data, bytes.len);
    X509_free(cert);
    ym_buf_release(&bytes);
    return code;
}

/* ---- files ---- */

/* libcrypto's own KDF digest is SHA-1 for the sake of old readers. */
static bool add_recipient(CMS_ContentInfo *cms, struct ym_bytes der)
{
    X509 *cert = parse(der);
    CMS_RecipientInfo *to = cert ? CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM) : NULL;
    EVP_PKEY_CTX *agree = to ? CMS_RecipientInfo_get0_pkey_ctx(to) : NULL;
    bool good = agree && EVP_PKEY_CTX_set_ecdh_kdf_md(agree, EVP_sha256()) == 1;

    X509_free(cert);
    return good;
}

static enum ym_code write_bio(BIO *bio, const char *path, struct ym_status *st)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);

    if (len <= 0)
        return failed(st, "seal a file");
    return ym_fs_write(path, (struct ym_bytes){(const uint8_t *)bytes, (size_t)len}, 0600, st);
}

enum ym_code ym_envelope_seal(struct ym_bytes content, const struct ym_bytes *der, size_t count, const char *path,
                              struct ym_status *st)
{
    const unsigned flags = CMS_BINARY | CMS_PARTIAL | CMS_STREAM;
    CMS_ContentInfo *cms = NULL;
    BIO *in = NULL, *out = BIO_new(BIO_s_mem());
    enum ym_code code = YM_OK;

    if (count < 1 || count > YM_RECIPIENTS_MAX || content.len == 0 || content.len > INT_MAX)
        code = ym_status_set(st, YM_INVALID, "a file is sealed to 1 to %d recipients, and holds 1 byte to 2 GiB",
                             YM_RECIPIENTS_MAX);
    if (code == YM_OK && (!out || !(in = BIO_new_mem_buf(content.data, (int)content.len)) ||
                          !(cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), flags))))
        code = failed(st, "begin a sealed file");
    for (size_t i = 0; code == YM_OK && i < count; i++)
        if (!add_recipient(cms, der[i]))
            code = failed(st, "seal a file to a recipient");
    if (code == YM_OK && i2d_CMS_bio_stream(out, cms, in, (int)flags) != 1)
        code = failed(st, "seal a file");
    if (code == YM_OK)
        code = write_bio(out, path, st);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
    ERR_clear_error();
    return code;
}

static CMS_ContentInfo *read_envelope(struct ym_bytes file)
{
    BIO *in = file.len && file.len <= INT_MAX ? BIO_new_mem_buf(file.data, (int)file.len) : NULL;
    CMS_ContentInfo *cms = in ? d2i_CMS_bio(in, NULL) : NULL;

    if (cms && (OBJ_obj2nid(CMS_get0_type(cms)) != NID_id_smime_ct_authEnvelopedData || BIO_pending(in) > 0)) {
        CMS_ContentInfo_free(cms);
        cms = NULL;
    }
    BIO_free(in);
    ERR_clear_error();
    return cms;
}

/* One info may hold several recipients' keys. */
static size_t count_keys(CMS_ContentInfo *cms)
{
    STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);
    size_t count = 0;

    for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
        CMS_RecipientInfo *one = sk_CMS_RecipientInfo_value(all, i);

        if (CMS_RecipientInfo_type(one) == CMS_RECIPINFO_AGREE)
            count += (size_t)sk_CMS_RecipientEncryptedKey_num(CMS_RecipientInfo_kari_get0_reks(one));
    }
    return count;
}

size_t ym_envelope_recipients(struct ym_bytes file)
{
    CMS_ContentInfo *cms = read_envelope(file);
    size_t count = cms ? count_keys(cms) : 0;

    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return count;
}

static enum ym_code take_content(BIO *bio, struct ym_buf *content, struct ym_status *st)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);

    return len >= 0 && ym_buf_append(content, bytes, (size_t)len) == YM_OK
               ? YM_OK
               : ym_status_set(st, YM_EXHAUSTED, "no memory for what the file holds");
}

enum ym_code ym_envelope_open(struct ym_bytes file, struct ym_bytes key_pem, struct ym_bytes der,
                              struct ym_buf *content, struct ym_status *st)
{
    CMS_ContentInfo *cms = read_envelope(file);
    EVP_PKEY *key = NULL;
    X509 *cert = parse(der);
    BIO *out = BIO_new(BIO_s_secmem());
    enum ym_code code = cms ? ym_pkey_read(key_pem, &key, st)
                            : ym_status_set(st, YM_CORRUPT, "not a file that was sealed to recipients");

    if (code == YM_OK && (!cert || !out || X509_check_private_key(cert, key) != 1))
        code = ym_status_set(st, YM_CONFLICT, "the receiving key and its certificate do not belong together");
    /* bytes come out before the tag is checked at the end: none is looked at unless all is well */
    if (code == YM_OK && CMS_decrypt(cms, key, cert, NULL, out, CMS_BINARY) != 1)
        code = ym_status_set(st, YM_DENIED, "the file is not sealed to this key, or was changed");
    if (code == YM_OK)
        code = take_content(out, content, st);
    CMS_ContentInfo_free(cms);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(out);
    ERR_clear_error();
    return code;
}

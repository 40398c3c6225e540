#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"

static enum ym_code buf_copy(struct ym_buf *out, struct ym_bytes b)
{
    ym_buf_clear(out);
    return ym_buf_append(out, b.data, b.len);
}

/* ---- the server's certificate ---- */

static enum ym_code identity_check(const struct ym_rpc_tls *tls, struct ym_status *st)
{
    enum ym_code code = ym_cert_check(tls->key, tls->cert, tls->ca, ym_clock_unix(), st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "server certificate");
}

/* Take the newer generation when there is one and it is good. Lock held. */
static enum ym_code identity_refresh(struct ym_rpc_identity *id, struct ym_status *st)
{
    struct ym_rpc_tls tls = {0};
    enum ym_code code;

    if (!id->fetch(id->ctx, &id->generation, &tls))
        return YM_OK;
    code = identity_check(&tls, st);
    if (code != YM_OK)
        return code;
    if (buf_copy(&id->ca, tls.ca) != YM_OK || buf_copy(&id->cert, tls.cert) != YM_OK ||
        buf_copy(&id->key, tls.key) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the server certificate");
    id->accepted++;
    return YM_OK;
}

enum ym_code ym_rpc_identity_init(struct ym_rpc_identity *id,
                                  bool (*fetch)(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls), void *ctx,
                                  struct ym_status *st)
{
    enum ym_code code;

    *id = (struct ym_rpc_identity){.fetch = fetch, .ctx = ctx};
    pthread_mutex_init(&id->lock, NULL);
    code = identity_refresh(id, st);
    if (code == YM_OK && id->accepted == 0)
        code = ym_status_set(st, YM_INVALID, "no server certificate was given");
    return code;
}

void ym_rpc_identity_release(struct ym_rpc_identity *id)
{
    ym_buf_release(&id->ca);
    ym_buf_release(&id->cert);
    ym_buf_wipe(&id->key);
    pthread_mutex_destroy(&id->lock);
}

enum ym_code ym_rpc_identity_copy(struct ym_rpc_identity *id, struct ym_buf *ca, struct ym_buf *cert,
                                  struct ym_buf *key)
{
    enum ym_code code;

    pthread_mutex_lock(&id->lock);
    code = buf_copy(ca, ym_buf_bytes(&id->ca));
    if (code == YM_OK)
        code = buf_copy(cert, ym_buf_bytes(&id->cert));
    if (code == YM_OK)
        code = buf_copy(key, ym_buf_bytes(&id->key));
    pthread_mutex_unlock(&id->lock);
    return code;
}

bool ym_rpc_identity_is(struct ym_rpc_identity *id, struct ym_bytes pem)
{
    uint8_t mine[32], theirs[32];
    bool same;

    pthread_mutex_lock(&id->lock);
    same = ym_cert_fingerprint(ym_buf_bytes(&id->cert), mine, NULL) == YM_OK &&
           ym_cert_fingerprint(pem, theirs, NULL) == YM_OK && memcmp(mine, theirs, sizeof mine) == 0;
    pthread_mutex_unlock(&id->lock);
    return same;
}

/* The CA goes along in the chain, so that a joiner can pin it (pin.c). */
static grpc_ssl_server_certificate_config *identity_config(const struct ym_rpc_identity *id)
{
    grpc_ssl_server_certificate_config *config = NULL;
    struct ym_buf chain = {0};

    if (ym_buf_append(&chain, id->cert.data, id->cert.len) == YM_OK && ym_buf_puts(&chain, "\n") == YM_OK &&
        ym_buf_append(&chain, id->ca.data, id->ca.len) == YM_OK) {
        grpc_ssl_pem_key_cert_pair pair = {ym_buf_str(&id->key), ym_buf_str(&chain)};
        config = grpc_ssl_server_certificate_config_create(ym_buf_str(&id->ca), &pair, 1);
    }
    ym_buf_release(&chain);
    return config;
}

/* At each handshake, on a thread of the core. */
static grpc_ssl_certificate_config_reload_status fetch_config(void *user_data,
                                                              grpc_ssl_server_certificate_config **config)
{
    struct ym_rpc_identity *id = user_data;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    struct ym_status st = YM_STATUS_INIT;

    pthread_mutex_lock(&id->lock);
    if (identity_refresh(id, &st) != YM_OK)
        ym_log(YM_LOG_ERROR, "rpc.certificate", "action=\"old one stays\" reason=\"%s\"", st.message);
    if (id->shown != id->accepted) {
        *config = identity_config(id);
        status = *config ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
        if (*config)
            id->shown = id->accepted;
    }
    pthread_mutex_unlock(&id->lock);
    return status;
}

grpc_server_credentials *ym_rpc_tls_server(struct ym_rpc_identity *id, bool enrolment)
{
    grpc_ssl_server_credentials_options *options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
        enrolment ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY
                  : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
        fetch_config, id);
    return options ? grpc_ssl_server_credentials_create_with_options(options) : NULL;
}

/* ---- the client's side ---- */

/* After the chain and the name were verified: every enrolled party has a
 * certificate of the same CA, and none but the hub may pose as the hub. */
static int verify_hub(const char *target, const char *pem, void *userdata)
{
    struct ym_party who;
    (void)target;
    (void)userdata;
    if (!pem || ym_cert_party((struct ym_bytes){(const uint8_t *)pem, strlen(pem)}, &who, NULL) != YM_OK)
        return 1;
    return who.role == YM_ROLE_HUB ? 0 : 1;
}

grpc_channel_credentials *ym_rpc_tls_channel(const struct ym_rpc_tls *tls, struct ym_status *st)
{
    grpc_ssl_verify_peer_options verify = {.verify_peer_callback = verify_hub};
    grpc_channel_credentials *creds = NULL;
    struct ym_buf ca = {0}, cert = {0}, key = {0};

    if (tls->ca.len == 0 || tls->cert.len == 0 || tls->key.len == 0) {
        ym_status_set(st, YM_INVALID, "a client needs CA, certificate and key");
        return NULL;
    }
    if (buf_copy(&ca, tls->ca) == YM_OK && buf_copy(&cert, tls->cert) == YM_OK && buf_copy(&key, tls->key) == YM_OK) {
        grpc_ssl_pem_key_cert_pair pair = {ym_buf_str(&key), ym_buf_str(&cert)};
        creds = grpc_ssl_credentials_create_ex(ym_buf_str(&ca), &pair, &verify, NULL);
    }
    if (!creds)
        ym_status_set(st, YM_INVALID, "cannot use these client certificates");
    ym_buf_release(&ca);
    ym_buf_release(&cert);
    ym_buf_wipe(&key);
    return creds;
}

static bool san_text(const GENERAL_NAME *name, char out[256])
{
    if (name->type == GEN_DNS) {
        snprintf(out, 256, "%.*s", ASN1_STRING_length(name->d.dNSName),
                 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        return true;
    }
    if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
        const uint8_t *ip = ASN1_STRING_get0_data(name->d.iPAddress);
        snprintf(out, 256, "%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]);
        return true;
    }
    return false;
}

void ym_rpc_tls_name(struct ym_bytes cert_pem, char out[256])
{
    BIO *bio = BIO_new_mem_buf(cert_pem.data, (int)cert_pem.len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;

    out[0] = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        if (san_text(sk_GENERAL_NAME_value(names, i), out))
            break;
    }
    GENERAL_NAMES_free(names);
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
}

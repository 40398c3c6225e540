#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/internal.h"

/* The joiner's first contact: the hub's CA, known so far by its pin only. No
 * byte of ours but the TLS handshake is sent here. */

#define FETCH_MS 10000

/* ---- a connected socket, by a deadline ---- */

static bool wait_fd(int fd, short events, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline - ym_clock_mono_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

static int dial_one(const struct addrinfo *a, int64_t deadline)
{
    int error = 0, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    socklen_t len = sizeof error;

    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 ||
        (errno == EINPROGRESS && wait_fd(fd, POLLOUT, deadline) &&
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0))
        return fd;
    close(fd);
    return -1;
}

/* "host:port" or "[v6]:port". */
static bool target_split(const char *target, char host[256], char port[16])
{
    const char *colon = strrchr(target, ':');
    size_t len = colon ? (size_t)(colon - target) : 0;

    if (len == 0 || len >= 256 || strlen(colon + 1) >= 16 || !colon[1])
        return false;
    if (target[0] == '[' && target[len - 1] == ']') {
        target++;
        len -= 2;
    }
    memcpy(host, target, len);
    host[len] = 0;
    strcpy(port, colon + 1);
    return true;
}

static enum ym_code dial(const char *target, const char *host, const char *port, int64_t deadline, int *fd,
                         struct ym_status *st)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(host, port, &hints, &list);

    if (error)
        return ym_status_set(st, YM_UNAVAILABLE, "address \"%s\": %s", target, gai_strerror(error));
    *fd = -1;
    for (struct addrinfo *a = list; a && *fd < 0; a = a->ai_next)
        *fd = dial_one(a, deadline);
    freeaddrinfo(list);
    return *fd >= 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, "cannot connect to \"%s\"", target);
}

/* ---- the handshake ---- */

static enum ym_code shake_hands(SSL *ssl, int fd, int64_t deadline, struct ym_status *st)
{
    for (;;) {
        int n = SSL_connect(ssl), why = n == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
        if (n == 1)
            return YM_OK;
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            const char *reason = ERR_reason_error_string(ERR_get_error());
            return ym_status_set(st, YM_UNAVAILABLE, "TLS handshake: %s", reason ? reason : "connection closed");
        }
        if (!wait_fd(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline))
            return ym_status_set(st, YM_DEADLINE, "TLS handshake: no answer in %d ms", FETCH_MS);
    }
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* by the pin, below */
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2", 3);
    return ctx;
}

/* ---- the chain against the pin ---- */

static enum ym_code cert_pem(X509 *cert, struct ym_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    long len;
    enum ym_code code = YM_EXHAUSTED;

    if (bio && PEM_write_bio_X509(bio, cert) == 1 && (len = BIO_get_mem_data(bio, &data)) > 0) {
        ym_buf_clear(out);
        code = ym_buf_append(out, data, (size_t)len);
    }
    BIO_free(bio);
    return code;
}

static bool pin_fits(X509 *cert, const uint8_t pin[20])
{
    uint8_t hash[32], *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

    if (len <= 0)
        return false;
    ym_sha256(der, (size_t)len, hash);
    OPENSSL_free(der);
    return ym_equal_const(hash, pin, 20);
}

static X509 *find_pinned(STACK_OF(X509) * chain, const uint8_t pin[20])
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_ca(sk_X509_value(chain, i)) && pin_fits(sk_X509_value(chain, i), pin))
            return sk_X509_value(chain, i);
    }
    return NULL;
}

static bool chain_ends_in(X509 *leaf, STACK_OF(X509) * chain, X509 *ca)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ok = store && ctx && X509_STORE_add_cert(store, ca) == 1 &&
              X509_STORE_CTX_init(ctx, store, leaf, chain) == 1 &&
              X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) == 1 && X509_verify_cert(ctx) == 1;

    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

static bool leaf_is_hub(X509 *leaf)
{
    struct ym_buf pem = {0};
    struct ym_party who;
    bool ok = cert_pem(leaf, &pem) == YM_OK &&
              ym_cert_party((struct ym_bytes){pem.data, pem.len}, &who, NULL) == YM_OK && who.role == YM_ROLE_HUB;

    ym_buf_release(&pem);
    return ok;
}

static enum ym_code check_chain(SSL *ssl, const char *target, const uint8_t pin[20], struct ym_buf *ca_pem,
                                struct ym_status *st)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    X509 *leaf = SSL_get0_peer_certificate(ssl), *ca = chain ? find_pinned(chain, pin) : NULL;

    if (!leaf || !ca)
        return ym_status_set(st, YM_DENIED, "\"%s\" shows no certificate that fits the token's pin", target);
    if (!chain_ends_in(leaf, chain, ca) || !leaf_is_hub(leaf))
        return ym_status_set(st, YM_DENIED, "\"%s\" is not the hub of the CA that the token pins", target);
    if (cert_pem(ca, ca_pem) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the CA certificate");
    return YM_OK;
}

enum ym_code ym_rpc_fetch_ca(const char *target, const uint8_t pin[20], struct ym_buf *ca_pem, struct ym_status *st)
{
    int64_t deadline = ym_clock_mono_ms() + FETCH_MS;
    char host[256], port[16];
    SSL_CTX *ctx = NULL;
    SSL *ssl = NULL;
    int fd = -1;
    enum ym_code code;

    ym_rpc_init();
    if (!target_split(target, host, port))
        return ym_status_set(st, YM_INVALID, "address \"%s\" is not HOST:PORT", target);
    code = dial(target, host, port, deadline, &fd, st);
    if (code != YM_OK)
        return code;
    ctx = context_new();
    ssl = ctx ? SSL_new(ctx) : NULL;
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for TLS");
        goto out;
    }
    code = shake_hands(ssl, fd, deadline, st);
    if (code == YM_OK)
        code = check_chain(ssl, target, pin, ca_pem, st);
    else
        ym_status_wrap(st, code, "\"%s\"", target);
out:
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    ERR_clear_error();
    return code;
}

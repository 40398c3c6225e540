#include <string.h>

#include "base/fs.h"
#include "coordinator/hub_internal.h"

/* The hub is its own CA, so its own certificate never has to run out: it is
 * renewed over the same key when two thirds of its life are over. */

static enum ym_code issue_own(struct ym_hub *h, struct ym_buf *cert, struct ym_status *st)
{
    const char *names[YM_HUB_NAMES + 1] = {0};
    struct ym_party who = {.role = YM_ROLE_HUB, .name = "hub"};
    struct ym_buf self = {0};
    int64_t now = ym_clock_unix();
    enum ym_code code;

    memcpy(who.federation, h->config.federation, sizeof who.federation);
    for (size_t i = 0; i < h->config.name_count; i++)
        names[i] = h->config.name[i];
    code = ym_cert_self((struct ym_bytes){h->tls.key.data, h->tls.key.len}, now, &self, st);
    if (code == YM_OK)
        code = ym_cert_issue((struct ym_bytes){h->ca_key.data, h->ca_key.len},
                             (struct ym_bytes){h->ca_cert.data, h->ca_cert.len}, (struct ym_bytes){self.data, self.len},
                             &who, names, now, now + (int64_t)h->config.certificate_days * 86400, cert, st);
    ym_buf_release(&self);
    return code;
}

static enum ym_code take_cert(struct ym_hub *h, struct ym_buf *cert, struct ym_status *st)
{
    int64_t from, until;
    enum ym_code code = ym_cert_validity((struct ym_bytes){cert->data, cert->len}, &from, &until, st);

    if (code != YM_OK)
        return code;
    pthread_mutex_lock(&h->tls.lock);
    ym_buf_release(&h->tls.old_cert);
    h->tls.old_cert = h->tls.cert;
    h->tls.cert = *cert;
    *cert = (struct ym_buf){0};
    h->tls.generation++;
    h->tls.not_before_s = from;
    h->tls.not_after_s = until;
    pthread_mutex_unlock(&h->tls.lock);
    return YM_OK;
}

static enum ym_code renew(struct ym_hub *h, struct ym_status *st)
{
    char path[4096];
    struct ym_buf cert = {0};
    enum ym_code code = issue_own(h, &cert, st);

    if (code == YM_OK && ym_fs_join(path, sizeof path, h->dir, "tls.pem") == YM_OK)
        code = ym_fs_write(path, (struct ym_bytes){cert.data, cert.len}, 0644, st);
    if (code == YM_OK)
        code = take_cert(h, &cert, st);
    if (code == YM_OK)
        ym_log(YM_LOG_INFO, "hub.certificate_renewed", "not_after=%lld", (long long)h->tls.not_after_s);
    ym_buf_release(&cert);
    return code;
}

void hub_tls_init(struct ym_hub *h)
{
    pthread_mutex_init(&h->tls.lock, NULL);
}

/* The names in hub.yaml may have changed since: a fresh one at each start. */
enum ym_code hub_tls_open(struct ym_hub *h, struct ym_bytes secret, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = ym_fs_join(path, sizeof path, h->dir, "tls.key");

    if (code == YM_OK)
        code = ym_pem_load(path, secret, &h->tls.key, st);
    return code == YM_OK ? renew(h, st) : code;
}

void hub_tls_renew_when_due(struct ym_hub *h)
{
    int64_t due = h->tls.not_before_s + (h->tls.not_after_s - h->tls.not_before_s) / 3 * 2;
    struct ym_status st = YM_STATUS_INIT;

    if (ym_clock_unix() >= due && renew(h, &st) != YM_OK)
        ym_log(YM_LOG_ERROR, "hub.certificate_not_renewed", "error=\"%s\"", st.message);
}

bool hub_fetch_tls(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls)
{
    struct ym_hub *h = ctx;
    bool newer;

    pthread_mutex_lock(&h->tls.lock);
    newer = *generation != h->tls.generation;
    if (newer) {
        *generation = h->tls.generation;
        tls->ca = (struct ym_bytes){h->ca_cert.data, h->ca_cert.len};
        tls->cert = (struct ym_bytes){h->tls.cert.data, h->tls.cert.len};
        tls->key = (struct ym_bytes){h->tls.key.data, h->tls.key.len};
    }
    pthread_mutex_unlock(&h->tls.lock);
    return newer;
}

void hub_tls_release(struct ym_hub *h)
{
    ym_buf_wipe(&h->tls.key);
    ym_buf_release(&h->tls.cert);
    ym_buf_release(&h->tls.old_cert);
    pthread_mutex_destroy(&h->tls.lock);
}

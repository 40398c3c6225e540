#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "coordinator/hub_internal.h"

/* Once a second on the core: what other processes asked for through the store,
 * the disk, the certificate, the log. */

#define CHORES_MS 1000
#define DAY_S 86400

bool hub_disk_low(const struct ym_hub *h, uint64_t more_bytes)
{
    struct statvfs v;
    uint64_t free_bytes, all;

    if (statvfs(h->dir, &v) != 0)
        return true; /* cannot tell: no */
    free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    all = (uint64_t)v.f_blocks * v.f_frsize;
    if (more_bytes > free_bytes)
        return true;
    free_bytes -= more_bytes;
    return free_bytes < h->config.min_free_bytes || free_bytes / 100 < all / 10000 * h->config.min_free_percent;
}

void hub_has_failed(struct ym_hub *h, const char *why)
{
    if (atomic_exchange(&h->has_failed, true))
        return;
    ym_log(YM_LOG_ERROR, "hub.failed", "why=\"%s\"", why);
    if (h->failed)
        h->failed(h->failed_ctx);
}

static void watch_disk(struct ym_hub *h)
{
    bool low = hub_disk_low(h, 0);

    if (low != h->disk_low)
        ym_log(low ? YM_LOG_WARN : YM_LOG_INFO, low ? "hub.disk_low" : "hub.disk_ok", "dir=%s", h->dir);
    h->disk_low = low;
    hub_studies_disk(h, low);
}

/* ---- commands of other processes ---- */

static enum ym_code log_revocation(struct ym_hub *h, uint64_t id, const char *name, struct ym_status *st)
{
    struct ym_store *s = h->store;
    struct ym_store_party p;
    struct ym_buf leaf = {0};
    enum ym_code code = s->ops->get_party(s, name, &p, NULL, st);

    if (code == YM_OK)
        code = hub_leaf_revoke(h, &p, "operator", &leaf, st);
    if (code == YM_OK)
        code = s->ops->begin(s, st);
    if (code == YM_OK) {
        code = s->ops->put_leaf(s, (struct ym_bytes){leaf.data, leaf.len}, st);
        if (code == YM_OK)
            code = s->ops->drop_command(s, id, st);
        if (code == YM_OK)
            code = s->ops->commit(s, st);
        else
            s->ops->abort(s);
    }
    hub_log_later(h);
    ym_buf_release(&leaf);
    return code;
}

static enum ym_code revoke(struct ym_hub *h, uint64_t id, const char *name, struct ym_status *st)
{
    enum ym_code code;

    hub_studies_revoked(h, name); /* before the command goes, so that a crash does it again */
    code = log_revocation(h, id, name, st);
    if (code == YM_OK)
        ym_log(YM_LOG_INFO, "hub.revoked", "name=%s", name);
    return code;
}

static enum ym_code drop_command(struct ym_hub *h, uint64_t id, struct ym_status *st)
{
    struct ym_store *s = h->store;
    enum ym_code code = s->ops->begin(s, st);

    if (code != YM_OK)
        return code;
    code = s->ops->drop_command(s, id, st);
    if (code == YM_OK)
        return s->ops->commit(s, st);
    s->ops->abort(s);
    return code;
}

static enum ym_code resume(struct ym_hub *h, uint64_t id, const char *name, struct ym_status *st)
{
    struct hub_apply a = {.study = hub_study_find(h, name), .event = {.kind = YM_ROUND_EV_RESUME}};

    if (a.study && hub_apply(h, &a) != YM_OK)
        ym_log(YM_LOG_WARN, "hub.not_resumed", "study=%s reason=%s", name, a.reason);
    return drop_command(h, id, st);
}

static void run_commands(struct ym_hub *h)
{
    enum ym_store_command kind;
    char name[64];
    uint64_t id;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = YM_OK;

    while (code == YM_OK) {
        code = h->store->ops->next_command(h->store, &id, &kind, name, &st);
        if (code == YM_NOT_FOUND)
            return;
        if (code == YM_OK && kind == YM_STORE_REVOKE)
            code = revoke(h, id, name, &st);
        else if (code == YM_OK && kind == YM_STORE_RESUME)
            code = resume(h, id, name, &st);
        else if (code == YM_OK)
            code = drop_command(h, id, &st);
    }
    ym_log(YM_LOG_ERROR, "hub.command", "error=\"%s\"", st.message);
}

static void watch_store(struct ym_hub *h)
{
    struct ym_status st = YM_STATUS_INIT;
    uint64_t generation = 0;
    enum ym_code code = h->store->ops->generation(h->store, &generation, &st);

    if (code == YM_OK && generation != h->store_generation) {
        code = hub_auth_reload(h, &st);
        if (code == YM_OK)
            h->store_generation = generation;
    }
    if (code != YM_OK)
        ym_log(YM_LOG_ERROR, "hub.store", "error=\"%s\"", st.message);
    run_commands(h);
}

/* Streams of who is revoked, or whose certificate ran out, end here. */
static void recheck_streams(struct ym_hub *h)
{
    pthread_mutex_lock(&h->server_lock);
    if (h->server)
        ym_rpc_server_recheck(h->server);
    pthread_mutex_unlock(&h->server_lock);
}

/* Certificates that ran out are of no use to anybody; refused since then anyway. */
static void drop_old_certs(struct ym_hub *h)
{
    struct ym_store *s = h->store;

    if (s->ops->begin(s, NULL) != YM_OK)
        return;
    if (s->ops->drop_certs(s, ym_clock_unix() - 30 * DAY_S, NULL) != YM_OK || s->ops->commit(s, NULL) != YM_OK)
        s->ops->abort(s);
}

void hub_chores(struct ym_hub *h)
{
    int64_t now_ms = ym_clock_mono_ms();

    if (now_ms < h->next_chores_ms)
        return;
    if (h->next_chores_ms == 0 || now_ms / (DAY_S * 1000LL) != h->next_chores_ms / (DAY_S * 1000LL))
        drop_old_certs(h);
    h->next_chores_ms = now_ms + CHORES_MS;
    watch_store(h);
    recheck_streams(h);
    watch_disk(h);
    hub_tls_renew_when_due(h);
}

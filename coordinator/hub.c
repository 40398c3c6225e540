#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "coordinator/hub_internal.h"

const struct ym_rpc_method hub_methods[] = {
    {"/yumen.v1.Federation/Renew", YM_RPC_UNARY, hub_on_renew, NULL, NULL, NULL},
    {"/yumen.v1.Federation/GetCheckpoint", YM_RPC_UNARY, hub_on_checkpoint, NULL, NULL, NULL},
    {"/yumen.v1.Federation/ReadLog", YM_RPC_SERVER_STREAM, hub_on_read_log, NULL, NULL, hub_on_read_log_end},
    {"/yumen.v1.Federation/FetchObject", YM_RPC_SERVER_STREAM, hub_on_fetch, NULL, NULL, hub_on_fetch_end},
    {"/yumen.v1.Sponsor/PutStart", YM_RPC_UNARY, hub_on_put_start, NULL, NULL, NULL},
    {"/yumen.v1.Sponsor/SubmitStudy", YM_RPC_UNARY, hub_on_submit, NULL, NULL, NULL},
    {"/yumen.v1.Sponsor/ListStudies", YM_RPC_UNARY, hub_on_list_studies, NULL, NULL, NULL},
    {"/yumen.v1.Sponsor/WatchStudy", YM_RPC_SERVER_STREAM, hub_on_watch, NULL, NULL, hub_on_watch_end},
    {"/yumen.v1.Sponsor/CancelStudy", YM_RPC_UNARY, hub_on_cancel, NULL, NULL, NULL},
    {"/yumen.v1.Sponsor/ListData", YM_RPC_UNARY, hub_on_list_data, NULL, NULL, NULL},
    {"/yumen.v1.Worker/Subscribe", YM_RPC_SERVER_STREAM, hub_on_subscribe, NULL, NULL, hub_on_subscribe_end},
    {"/yumen.v1.Worker/Post", YM_RPC_UNARY, hub_on_post, NULL, NULL, NULL},
    {"/yumen.v1.Worker/UploadStatus", YM_RPC_UNARY, hub_on_upload_status, NULL, NULL, NULL},
    {"/yumen.v1.Worker/Upload", YM_RPC_CLIENT_STREAM, hub_on_upload, hub_on_upload_message, hub_on_upload_half_close,
     hub_on_upload_end},
    {NULL, YM_RPC_UNARY, NULL, NULL, NULL, NULL},
};

const struct ym_rpc_method hub_enrol_methods[] = {
    {"/yumen.v1.Enrolment/Enrol", YM_RPC_UNARY, hub_on_enrol, NULL, NULL, NULL},
    {NULL, YM_RPC_UNARY, NULL, NULL, NULL, NULL},
};

#define STOP_GRACE_MS 2000

/* ---- the core ---- */

static void run_jobs(struct ym_hub *h, struct hub_job *jobs)
{
    while (jobs) {
        struct hub_job *job = jobs;

        jobs = job->next; /* the job may free itself, or be posted again */
        job->run(h, job);
    }
}

static void flush_log(struct ym_hub *h)
{
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code;

    if (!h->log_due || (ym_clock_mono_ms() < h->log_flush_ms && !atomic_load(&h->stopping)))
        return;
    code = hub_log_flush(h, &st);
    if (code == YM_OK)
        return;
    if (code == YM_UNCERTAIN || code == YM_CORRUPT || code == YM_INVALID)
        hub_has_failed(h, st.message);
    else
        ym_log(YM_LOG_ERROR, "hub.log_waits", "error=\"%s\"", st.message);
}

static int64_t wake_at(const struct ym_hub *h)
{
    int64_t at = hub_studies_wake(h);

    if (h->next_chores_ms < at)
        at = h->next_chores_ms;
    return h->log_due && h->log_flush_ms < at ? h->log_flush_ms : at;
}

static void *core_main(void *arg)
{
    struct ym_hub *h = arg;

    for (;;) {
        struct hub_job *jobs = hub_queue_take(&h->queue, wake_at(h));

        run_jobs(h, jobs);
        if (!jobs && atomic_load(&h->stopping)) {
            flush_log(h);
            return NULL;
        }
        if (atomic_load(&h->has_failed))
            continue; /* nothing more is decided on an uncertain log; the process ends */
        hub_studies_tick(h);
        hub_chores(h);
        flush_log(h);
    }
}

/* ---- opening, in the order of need; stop undoes whatever is there ---- */

static enum ym_code join(struct ym_hub *h, const char *name, char *out, size_t cap, struct ym_status *st)
{
    enum ym_code code = ym_fs_join(out, cap, h->dir, name);

    return code == YM_OK ? code : ym_status_set(st, code, "the folder's path is too long");
}

static enum ym_code load_ca(struct ym_hub *h, struct ym_bytes secret, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = join(h, "ca.key", path, sizeof path, st);

    if (code == YM_OK)
        code = ym_pem_load(path, secret, &h->ca_key, st);
    if (code == YM_OK)
        code = join(h, "ca.pem", path, sizeof path, st);
    return code == YM_OK ? ym_fs_read(path, 65536, &h->ca_cert, st) : code;
}

static enum ym_code load_identity(struct ym_hub *h, struct ym_bytes secret, struct ym_status *st)
{
    char path[4096], origin[256];
    uint8_t pub[YM_PUBKEY_BYTES];
    enum ym_code code = join(h, "identity.key", path, sizeof path, st);

    if (code == YM_OK)
        code = ym_key_load(path, secret, &h->identity, st);
    if (code == YM_OK)
        code = join(h, "identity.pem", path, sizeof path, st);
    if (code == YM_OK)
        code = ym_fs_read(path, 65536, &h->identity_cert, st);
    if (code != YM_OK)
        return code;
    snprintf(origin, sizeof origin, "yumen/%s/hub", h->config.federation);
    ym_key_public(h->identity, pub);
    return ym_vkey_format(origin, YM_NOTE_LOG, pub, &h->vkey);
}

static enum ym_code open_log(struct ym_hub *h, struct ym_status *st)
{
    char origin[256];
    enum ym_code code = join(h, "ledger", h->ledger_dir, sizeof h->ledger_dir, st);

    snprintf(origin, sizeof origin, "yumen/%s/hub", h->config.federation);
    if (code == YM_OK)
        code = ym_ledger_open(h->ledger_dir, origin, h->identity, &h->ledger, st);
    if (code == YM_OK)
        code = hub_log_check(h, st);
    if (code == YM_OK)
        code = hub_seal_load(h, st);
    return code == YM_OK ? hub_log_flush(h, st) : code;
}

static enum ym_code open_keys(struct ym_hub *h, struct ym_status *st)
{
    struct ym_buf secret = {0};
    struct ym_bytes view;
    enum ym_code code = ym_secret_load(h->dir, false, &secret, st);

    view = (struct ym_bytes){secret.data, secret.len};
    if (code == YM_OK)
        code = load_ca(h, view, st);
    if (code == YM_OK)
        code = load_identity(h, view, st);
    if (code == YM_OK)
        code = hub_tls_open(h, view, st);
    ym_buf_wipe(&secret);
    return code;
}

static enum ym_code open_folders(struct ym_hub *h, struct ym_status *st)
{
    enum ym_code code = join(h, "spool", h->spool_dir, sizeof h->spool_dir, st);

    if (code == YM_OK)
        code = join(h, "objects", h->object_dir, sizeof h->object_dir, st);
    if (code == YM_OK)
        code = ym_fs_mkdirs(h->spool_dir, 0700, st);
    return code == YM_OK ? ym_fs_mkdirs(h->object_dir, 0700, st) : code;
}

static enum ym_code open_state(struct ym_hub *h, struct ym_status *st)
{
    enum ym_code code = ym_fs_lock(h->dir, &h->lock_fd, st);

    if (code == YM_OK)
        code = open_folders(h, st);
    if (code == YM_OK)
        code = open_keys(h, st);
    if (code == YM_OK)
        code = ym_store_open_sqlite(h->dir, false, &h->store, st);
    if (code == YM_OK)
        code = hub_auth_reload(h, st);
    if (code == YM_OK)
        code = open_log(h, st);
    if (code == YM_OK)
        code = hub_publish_start(h, st);
    if (code == YM_OK)
        code = hub_witness_start(h, st);
    if (code == YM_OK)
        code = hub_works_start(h, st);
    return code == YM_OK ? hub_studies_load(h, st) : code;
}

static void on_deaf(void *ctx)
{
    hub_has_failed(ctx, "the listener no longer answers");
}

static enum ym_code listen_on(struct ym_hub *h, const char *address, bool enrolment, struct ym_rpc_server **out,
                              struct ym_status *st)
{
    struct ym_rpc_server_options o = {
        .listen = address,
        .enrolment = enrolment,
        .fetch_tls = hub_fetch_tls,
        .authenticate = enrolment ? NULL : hub_authenticate,
        .methods = enrolment ? hub_enrol_methods : hub_methods,
        .threads = enrolment ? 1 : 2,
        .ctx = h,
        .probe_ms = HUB_PROBE_MS,
        .on_deaf = on_deaf,
    };
    enum ym_code code = ym_rpc_server_start(&o, out, st);

    return code == YM_OK ? code : ym_status_wrap(st, code, "cannot listen on '%s'", address);
}

static enum ym_code begin_serving(struct ym_hub *h, struct ym_status *st)
{
    enum ym_code code;

    if (pthread_create(&h->core, NULL, core_main, h) != 0)
        return ym_status_set(st, YM_EXHAUSTED, "cannot start a thread");
    h->core_running = true;
    pthread_mutex_lock(&h->server_lock);
    code = listen_on(h, h->config.listen, false, &h->server, st);
    pthread_mutex_unlock(&h->server_lock);
    if (code == YM_OK)
        code = listen_on(h, h->config.enrol_listen, true, &h->enrol_server, st);
    if (code == YM_OK) {
        ym_rpc_server_set_serving(h->server, true);
        ym_rpc_server_set_serving(h->enrol_server, true);
    }
    return code;
}

enum ym_code ym_hub_start(const char *dir, const struct ym_hub_config *config, void (*failed)(void *ctx), void *ctx,
                          struct ym_hub **out, struct ym_status *st)
{
    struct ym_hub *h = calloc(1, sizeof *h);
    enum ym_code code = YM_OK;

    if (!h)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    h->lock_fd = -1;
    h->config = *config;
    h->failed = failed;
    h->failed_ctx = ctx;
    pthread_mutex_init(&h->server_lock, NULL);
    hub_queue_init(&h->queue);
    hub_auth_init(&h->auth);
    hub_tls_init(h);
    h->actions = malloc(sizeof *h->actions);
    h->step = malloc(sizeof *h->step);
    if (!h->actions || !h->step || (size_t)snprintf(h->dir, sizeof h->dir, "%s", dir) >= sizeof h->dir)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory, or the folder's path is too long");
    if (code == YM_OK)
        code = ym_program_read(&h->program, st);
    if (code == YM_OK)
        code = open_state(h, st);
    if (code == YM_OK)
        code = begin_serving(h, st);
    if (code != YM_OK) {
        ym_hub_stop(&h);
        return code;
    }
    *out = h;
    return YM_OK;
}

int ym_hub_port(const struct ym_hub *h)
{
    return ym_rpc_server_port(h->server);
}

int ym_hub_enrol_port(const struct ym_hub *h)
{
    return ym_rpc_server_port(h->enrol_server);
}

/* Servers first: their ends are jobs of the core, which goes last. */
static void stop_threads(struct ym_hub *h)
{
    struct ym_rpc_server *server;

    pthread_mutex_lock(&h->server_lock);
    server = h->server;
    h->server = NULL;
    pthread_mutex_unlock(&h->server_lock);
    ym_rpc_server_stop(&h->enrol_server, STOP_GRACE_MS);
    ym_rpc_server_stop(&server, STOP_GRACE_MS);
    hub_works_stop(h);
    atomic_store(&h->stopping, true);
    hub_queue_close(&h->queue);
    if (h->core_running)
        pthread_join(h->core, NULL);
    else
        run_jobs(h, hub_queue_take(&h->queue, 0));
}

void ym_hub_stop(struct ym_hub **hub)
{
    struct ym_hub *h = *hub;

    if (!h)
        return;
    *hub = NULL;
    hub_witness_stop(h);
    stop_threads(h);
    hub_witness_free(h);
    hub_publish_stop(h);
    hub_studies_free(h);
    hub_meters_free(h);
    hub_seen_free(h);
    ym_ledger_close(&h->ledger);
    ym_store_close(&h->store);
    ym_key_free(h->identity);
    ym_buf_wipe(&h->ca_key);
    ym_buf_release(&h->ca_cert);
    ym_buf_release(&h->identity_cert);
    ym_buf_release(&h->vkey);
    hub_tls_release(h);
    hub_auth_release(&h->auth);
    hub_queue_release(&h->queue);
    pthread_mutex_destroy(&h->server_lock);
    ym_fs_unlock(&h->lock_fd);
    free(h->actions);
    free(h->step);
    free(h);
}

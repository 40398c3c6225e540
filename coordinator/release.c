#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/tree.h"
#include "base/fs.h"
#include "base/json.h"
#include "coordinator/hub_internal.h"
#include "models/results/notice.h"
#include "models/results/tensors.h"
#include "models/state.h"

/* The model of a plan that keeps it with hospitals, sealed to its recipients. The works thread makes the file once
 * and keeps it beside the objects, so that whoever asks again gets the same bytes. */

struct release_work {
    struct hub_work work;
    struct ym_rpc_call *call; /* ref */
    char object_dir[3200], path[YM_OBJECT_PATH], content_id[YM_NOTICE_ID_BYTES];
    uint8_t plan[YM_HASH_BYTES], state[YM_HASH_BYTES];
    bool to[YM_RECIPIENTS_MAX]; /* of the plan's recipients: not revoked */
    struct ym_status st;
};

/* ---- on the core: is there such a model, and for whom ---- */

struct result_leaf {
    const struct hub_study *study;
    const uint8_t *state;
    uint8_t hash[YM_HASH_BYTES]; /* of the leaf */
    bool found;
};

static bool look_at(void *ctx, uint64_t index, struct ym_bytes line)
{
    struct result_leaf *r = ctx;
    const char *type = "", *study = "";
    uint8_t state[YM_HASH_BYTES];
    json_t *leaf = NULL;

    (void)index;
    r->found = ym_leaf_parse(line, &leaf, NULL) == YM_OK && ym_json_get_str(leaf, "type", &type, NULL) == YM_OK &&
               strcmp(type, "round_result") == 0 && ym_json_get_str(leaf, "study", &study, NULL) == YM_OK &&
               strcmp(study, r->study->plan->study) == 0 &&
               ym_json_get_hash(leaf, "state_after", state, NULL) == YM_OK &&
               memcmp(state, r->state, sizeof state) == 0;
    ym_tree_leaf_hash(line, r->hash);
    json_decref(leaf);
    return false;
}

/* The caller has read the log, so that nobody has to search it: entry must be the round_result that made the state. */
static enum ym_code name_content(struct ym_hub *h, const struct hub_study *y, uint64_t entry, struct release_work *w,
                                 struct ym_status *st)
{
    struct result_leaf r = {.study = y, .state = w->state};
    struct ym_buf hash = {0};
    enum ym_code code = hub_log_flush(h, st);

    if (code == YM_OK)
        code = ym_ledger_each(h->ledger, entry, look_at, &r, st);
    if (code == YM_OK && !r.found)
        code = ym_status_set(st, YM_NOT_FOUND, "wrong_entry: no round_result of that model stands there in the log");
    if (code == YM_OK)
        code = ym_hex_encode(r.hash, sizeof r.hash, &hash);
    if (code == YM_OK)
        snprintf(w->content_id, sizeof w->content_id, "yumen/%s/hub#%" PRIu64 ":%s", h->config.federation, entry,
                 ym_buf_str(&hash));
    ym_buf_release(&hash);
    return code;
}

/* Named by what it holds and for whom: once somebody is revoked, it is another file. The store is asked, for a study
 * that has ended no longer hears of revocations. */
static enum ym_code name_file(struct ym_hub *h, const struct hub_study *y, struct release_work *w, struct ym_status *st)
{
    const struct ym_plan_recipients *all = &y->plan->border.recipients;
    struct ym_sha256 *sha = ym_sha256_new();
    uint8_t hash[YM_HASH_BYTES];
    size_t count = 0, len;
    enum ym_code code = YM_OK;

    ym_sha256_update(sha, w->state, sizeof w->state);
    for (size_t i = 0; code == YM_OK && i < all->count; i++) {
        struct ym_store_party p = {0};

        code = h->store->ops->get_party(h->store, all->item[i].name, &p, NULL, st);
        w->to[i] = code == YM_OK && !p.revoked;
        count += w->to[i];
        if (w->to[i])
            ym_sha256_update(sha, all->item[i].der, all->item[i].der_len);
    }
    ym_sha256_final(&sha, hash);
    if (code != YM_OK)
        return code;
    if (count == 0)
        return ym_status_set(st, YM_DENIED, "no_recipient: every recipient of the plan was revoked");
    if (ym_object_path(h->object_dir, hash, w->path) != YM_OK || (len = strlen(w->path)) + 8 > sizeof w->path)
        return ym_status_set(st, YM_INVALID, "the hub's folder has too long a path");
    strcpy(w->path + len, ".sealed");
    return YM_OK;
}

/* ---- off the core ---- */

static enum ym_code map_state(const struct release_work *w, struct ym_bytes *out, struct ym_status *st)
{
    char path[YM_OBJECT_PATH];
    struct stat info = {0};
    void *at = MAP_FAILED;
    int fd = ym_object_path(w->object_dir, w->state, path) == YM_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0)
        at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        return ym_status_set(st, YM_UNAVAILABLE, "the model's state cannot be read");
    *out = (struct ym_bytes){at, (size_t)info.st_size};
    return YM_OK;
}

static enum ym_code write_model(struct ym_hub *h, const struct release_work *w, const struct ym_plan *plan,
                                struct ym_buf *file, struct ym_status *st)
{
    struct ym_bytes state = {0};
    struct ym_model model;
    float *params = NULL;
    json_t *notice = NULL;
    uint32_t round = 0;
    enum ym_code code = ym_model_from_plan(plan, &model, st);

    if (code == YM_OK)
        code = map_state(w, &state, st);
    if (code == YM_OK)
        code = ym_state_released(plan, &model, state, &round, &params, st);
    if (code == YM_OK && !(notice = ym_notice_new(plan, round, w->state, w->content_id)))
        code = ym_status_set(st, YM_EXHAUSTED, "the hub is out of memory");
    if (code == YM_OK)
        code = ym_tensors_write(&model, params, notice, h->identity, file, st);
    if (state.data)
        munmap((void *)(uintptr_t)state.data, state.len);
    free(params);
    json_decref(notice);
    return code;
}

static enum ym_code seal_model(const struct release_work *w, const struct ym_plan *plan, struct ym_bytes file,
                               struct ym_status *st)
{
    const struct ym_plan_recipients *all = &plan->border.recipients;
    struct ym_bytes der[YM_RECIPIENTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < all->count; i++)
        if (w->to[i])
            der[count++] = ym_recipient_der(&all->item[i]);
    return ym_envelope_seal(file, der, count, w->path, st);
}

static void seal_off_core(struct ym_hub *h, struct hub_work *work)
{
    struct release_work *w = (struct release_work *)work;
    struct ym_buf bytes = {0}, file = {0};
    struct ym_plan *plan = NULL;
    enum ym_code code = YM_OK;

    if (ym_fs_exists(w->path))
        return;
    code = ym_object_get(w->object_dir, w->plan, YM_PLAN_MAX_BYTES, &bytes, &w->st);
    if (code == YM_OK)
        code = ym_plan_decode(bytes.data, bytes.len, &plan, &w->st);
    if (code == YM_OK)
        code = write_model(h, w, plan, &file, &w->st);
    if (code == YM_OK)
        seal_model(w, plan, ym_buf_bytes(&file), &w->st);
    ym_plan_free(plan);
    ym_buf_release(&bytes);
    ym_buf_wipe(&file);
}

static void sealed(struct ym_hub *h, struct hub_job *job)
{
    struct release_work *w = (struct release_work *)job;

    if (w->st.code != YM_OK)
        ym_log(YM_LOG_ERROR, "hub.not_sealed", "error=\"%s\"", w->st.message);
    hub_fetch_sealed(h, w->call, w->path, &w->st);
    ym_rpc_call_unref(w->call);
    free(w);
}

enum ym_code hub_release_begin(struct ym_hub *h, struct ym_rpc_call *call, const struct hub_study *y,
                               const uint8_t state[YM_HASH_BYTES], uint64_t entry, struct ym_status *st)
{
    struct release_work *w = calloc(1, sizeof *w);
    enum ym_code code = w ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "the hub is out of memory");

    if (code == YM_OK) {
        w->work.work = seal_off_core;
        w->work.job.run = sealed;
        memcpy(w->object_dir, h->object_dir, sizeof w->object_dir);
        memcpy(w->plan, y->plan->hash, sizeof w->plan);
        memcpy(w->state, state, sizeof w->state);
        code = name_content(h, y, entry, w, st);
    }
    if (code == YM_OK)
        code = name_file(h, y, w, st);
    if (code == YM_OK && hub_disk_low(h, 5 * y->dim))
        code = ym_status_set(st, YM_EXHAUSTED, "disk: the hub's disk is nearly full; its operator must make room");
    if (code == YM_OK) {
        w->call = call;
        ym_rpc_call_ref(call);
        hub_works_post(h, &w->work);
    } else {
        free(w);
    }
    return code;
}

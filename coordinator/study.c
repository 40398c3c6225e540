#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coordinator/hub_internal.h"
#include "models/model.h"

/* The shell around the pure round machine: step a copy, keep it with its leaves
 * in one transaction, adopt it, act. */

#define HOLD_MS 1000

struct ym_round_time hub_now(void)
{
    return (struct ym_round_time){ym_clock_unix(), ym_clock_mono_ms()};
}

struct hub_study *hub_study_find(struct ym_hub *h, const char *study)
{
    for (struct hub_study *y = h->studies; y; y = y->next)
        if (strcmp(y->plan->study, study) == 0)
            return y;
    return NULL;
}

uint64_t hub_object_bytes(struct ym_hub *h, const uint8_t hash[YM_HASH_BYTES])
{
    char path[YM_OBJECT_PATH];
    struct stat info;

    if (ym_object_path(h->object_dir, hash, path) != YM_OK || stat(path, &info) != 0)
        return 0;
    return (uint64_t)info.st_size;
}

/* ---- what goes into the transaction ---- */

struct kept { /* new task leaves, adopted after the commit */
    struct ym_buf open, collect, closed;
};

static enum ym_code log_and_task(struct ym_hub *h, const char *study, enum ym_store_task task,
                                 const struct ym_buf *leaf, struct ym_status *st)
{
    enum ym_code code = h->store->ops->put_leaf(h->store, ym_buf_bytes(leaf), st);

    return code == YM_OK ? h->store->ops->put_task(h->store, study, task, ym_buf_bytes(leaf), st) : code;
}

static enum ym_code keep_counted(struct ym_hub *h, const struct ym_round *r, struct ym_status *st)
{
    struct ym_buf charge = {0}, release = {0};
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < r->plan->site_count; i++) {
        struct ym_store_upload u = {.round = r->round, .attempt = r->attempt};

        if (r->site[i].part != YM_ROUND_COUNTED)
            continue;
        memcpy(u.study, r->plan->study, sizeof u.study);
        memcpy(u.site, r->plan->site[i].name, sizeof u.site);
        code = h->store->ops->get_upload(h->store, &u, &charge, &release, st);
        if (code == YM_OK)
            code = h->store->ops->put_leaf(h->store, ym_buf_bytes(&charge), st);
        if (code == YM_OK)
            code = h->store->ops->put_leaf(h->store, ym_buf_bytes(&release), st);
    }
    ym_buf_release(&charge);
    ym_buf_release(&release);
    return code;
}

static enum ym_code keep_result(struct ym_hub *h, const struct ym_round *r, struct kept *k, struct ym_status *st)
{
    enum ym_code code = keep_counted(h, r, st);

    if (code == YM_OK)
        code = hub_leaf_result(h, r, &k->closed, st);
    if (code == YM_OK)
        code = log_and_task(h, r->plan->study, YM_STORE_TASK_CLOSED, &k->closed, st);
    if (code == YM_OK)
        code = h->store->ops->put_object(h->store, r->state, r->plan->study, YM_STORE_STATE, st);
    if (code == YM_OK)
        code = h->store->ops->put_object(h->store, r->sum, r->plan->study, YM_STORE_SUM, st);
    return code;
}

static enum ym_code keep_action(struct ym_hub *h, const struct hub_apply *a, const struct ym_round *r,
                                const struct ym_round_action *x, struct kept *k, struct ym_status *st)
{
    const char *study = r->plan->study;
    enum ym_code code;

    switch (x->kind) {
    case YM_ROUND_DO_LOG_GIVEN:
        return h->store->ops->put_leaf(h->store, a->given, st);
    case YM_ROUND_DO_LOG_OPEN:
        code = hub_leaf_open(h, r, hub_object_bytes(h, r->state), &k->open, st);
        return code == YM_OK ? log_and_task(h, study, YM_STORE_TASK_OPEN, &k->open, st) : code;
    case YM_ROUND_DO_SAY_COLLECT:
        code = hub_leaf_collect(h, r, &k->collect, st);
        return code == YM_OK
                   ? h->store->ops->put_task(h->store, study, YM_STORE_TASK_COLLECT, ym_buf_bytes(&k->collect), st)
                   : code;
    case YM_ROUND_DO_LOG_RESULT:
        return keep_result(h, r, k, st);
    case YM_ROUND_DO_LOG_ABORT:
        ym_buf_clear(&k->closed);
        code = hub_leaf_abort(h, r, x->reason, x->final, &k->closed, st);
        return code == YM_OK ? log_and_task(h, study, YM_STORE_TASK_CLOSED, &k->closed, st) : code;
    default:
        return YM_OK; /* an effect */
    }
}

static struct ym_store_study study_row(const struct hub_study *y, const struct ym_round *r)
{
    struct ym_store_study row = {.phase = r->phase, .round = r->round, .attempt = r->attempt};

    memcpy(row.study, y->plan->study, sizeof row.study);
    memcpy(row.sponsor, y->plan->sponsor, sizeof row.sponsor);
    memcpy(row.plan, y->plan->hash, YM_HASH_BYTES);
    row.created_s = y->created_s;
    row.changed_s = r->changed_s;
    return row;
}

static enum ym_code keep_study(struct ym_hub *h, const struct hub_apply *a, const struct ym_round *r,
                               struct ym_status *st)
{
    struct ym_store_study row = study_row(a->study, r);
    struct ym_buf bytes = {0};
    enum ym_code code = ym_round_save(r, &bytes, st);

    if (code == YM_OK && a->fresh) {
        code = h->store->ops->put_study(h->store, &row, ym_buf_bytes(&a->study->plan_leaf), ym_buf_bytes(&bytes), st);
        if (code == YM_OK)
            code = h->store->ops->put_object(h->store, row.plan, row.study, YM_STORE_PLAN, st);
        if (code == YM_OK && a->study->plan->starts)
            code = h->store->ops->put_object(h->store, a->study->plan->start_hash, row.study, YM_STORE_START, st);
        if (code == YM_OK)
            code = h->store->ops->put_object(h->store, r->state, row.study, YM_STORE_STATE, st);
    } else if (code == YM_OK) {
        code = h->store->ops->set_study(h->store, &row, ym_buf_bytes(&bytes), st);
    }
    ym_buf_release(&bytes);
    return code;
}

static enum ym_code keep(struct ym_hub *h, const struct hub_apply *a, const struct ym_round *r,
                         const struct ym_round_actions *acts, struct kept *k, struct ym_status *st)
{
    enum ym_code code = h->store->ops->begin(h->store, st);

    if (code != YM_OK)
        return code;
    for (size_t i = 0; code == YM_OK && i < acts->count; i++)
        code = keep_action(h, a, r, &acts->action[i], k, st);
    if (code == YM_OK && a->upload)
        code = h->store->ops->put_upload(h->store, a->upload, a->charge, a->release, st);
    if (code == YM_OK && a->charge.len) /* at once: a hospital whose ledger was set back finds it here */
        code = h->store->ops->put_leaf(h->store, a->charge, st);
    if (code == YM_OK && acts->durable)
        code = keep_study(h, a, r, st);
    if (code == YM_OK)
        return h->store->ops->commit(h->store, st);
    h->store->ops->abort(h->store);
    return code;
}

/* ---- effects ---- */

struct fold_work {
    struct hub_work work;
    struct hub_study *study;
    struct ym_fold fold;
    size_t site[YM_PLAN_MAX_SITES];
    uint8_t sum[YM_HASH_BYTES], next[YM_HASH_BYTES];
    bool stops;
    enum ym_code code;
    struct ym_status st;
};

static void fold_off_core(struct ym_hub *h, struct hub_work *work)
{
    struct fold_work *w = (struct fold_work *)work;

    (void)h;
    w->code = ym_fold_run(&w->fold, w->sum, w->next, &w->stops, &w->st);
}

static void keep_fold(struct ym_hub *h, struct hub_study *y)
{
    struct hub_apply a = {.study = y, .event = y->fold_event};

    hub_apply(h, &a);
    y->fold_due = a.code == YM_UNAVAILABLE || a.code == YM_EXHAUSTED;
}

static void fold_done(struct ym_hub *h, struct hub_job *job)
{
    struct fold_work *w = (struct fold_work *)job;
    struct hub_study *y = w->study;

    y->folding = false;
    y->fold_event = (struct ym_round_event){.round = w->fold.round, .attempt = w->fold.attempt};
    if (w->code == YM_OK) {
        y->fold_event.kind = YM_ROUND_EV_FOLDED;
        y->fold_event.yes = w->stops;
        memcpy(y->fold_event.state, w->next, YM_HASH_BYTES);
        memcpy(y->fold_event.sum, w->sum, YM_HASH_BYTES);
    } else {
        bool lost = w->code == YM_CORRUPT || w->code == YM_NOT_FOUND;

        y->fold_event.kind = lost ? YM_ROUND_EV_SPOOL_LOST : YM_ROUND_EV_STORE_FAILED;
        ym_log(YM_LOG_ERROR, "round.fold_failed", "study=%s round=%u attempt=%u error=\"%s\"", y->plan->study,
               w->fold.round, w->fold.attempt, w->st.message);
    }
    free(w);
    keep_fold(h, y);
}

static void begin_fold(struct ym_hub *h, struct hub_study *y)
{
    struct fold_work *w;

    if (y->folding || y->fold_due)
        return; /* paused for the disk and resumed while the first one still runs */
    w = calloc(1, sizeof *w);
    if (!w) {
        y->fold_event = (struct ym_round_event){.kind = YM_ROUND_EV_STORE_FAILED};
        y->fold_due = true;
        return;
    }
    w->work.job.run = fold_done;
    w->work.work = fold_off_core;
    w->study = y;
    w->fold = (struct ym_fold){y->plan, h->spool_dir, h->object_dir, y->round.round, y->round.attempt, {0}, w->site, 0};
    memcpy(w->fold.state, y->round.state, YM_HASH_BYTES);
    for (size_t i = 0; i < y->plan->site_count; i++)
        if (y->round.site[i].part == YM_ROUND_COUNTED)
            w->site[w->fold.site_count++] = i;
    y->folding = true;
    hub_works_post(h, &w->work);
}

static void drop_spools(struct ym_hub *h, struct hub_study *y, const struct ym_round_action *x)
{
    struct ym_spool_key key = {h->spool_dir, y->plan->study, NULL, x->round, x->attempt};

    hub_uploads_stop(h, y);
    ym_spool_drop(&key);
}

static void act(struct ym_hub *h, struct hub_study *y, const struct ym_round_action *x)
{
    if (x->kind == YM_ROUND_DO_SEND)
        hub_send_task(h, y, x->site, x->task);
    else if (x->kind == YM_ROUND_DO_DROP_SPOOLS)
        drop_spools(h, y, x);
    else if (x->kind == YM_ROUND_DO_FOLD)
        begin_fold(h, y);
}

/* ---- one event ---- */

static void adopt_leaf(struct ym_buf *to, struct ym_buf *from)
{
    if (!from->len)
        return;
    ym_buf_release(to);
    *to = *from;
    *from = (struct ym_buf){0};
}

static void store_failed(struct hub_study *y, struct hub_apply *a, enum ym_code code, const struct ym_status *st)
{
    y->hold_ms = ym_clock_mono_ms() + HOLD_MS;
    a->code = code == YM_EXHAUSTED ? YM_EXHAUSTED : YM_UNAVAILABLE;
    a->reason = code == YM_EXHAUSTED ? "disk" : "store";
    ym_log(YM_LOG_ERROR, "hub.not_kept", "study=%s error=\"%s\"", y->plan->study, st->message);
}

static void say_change(const struct hub_study *y, const struct ym_round *before)
{
    const struct ym_round *r = &y->round;

    if (r->phase != before->phase || r->attempt != before->attempt)
        ym_log(YM_LOG_INFO, "round.phase", "study=%s round=%u attempt=%u phase=%s reason=%s", y->plan->study, r->round,
               r->attempt, ym_round_phase_name(r->phase), r->reason[0] ? r->reason : "-");
}

enum ym_code hub_apply(struct ym_hub *h, struct hub_apply *a)
{
    struct hub_study *y = a->study;
    struct ym_round *next = h->step;
    struct ym_round_actions *acts = h->actions;
    struct ym_status st = YM_STATUS_INIT;
    struct kept k = {0};
    enum ym_code code = YM_OK;

    *next = y->round;
    ym_round_step(next, &a->event, hub_now(), acts);
    a->code = acts->code;
    a->reason = acts->reason;
    if (a->code != YM_OK)
        return a->code;
    if (acts->durable || a->upload)
        code = keep(h, a, next, acts, &k, &st);
    if (code == YM_OK) {
        struct ym_round before = y->round;
        struct ym_round_actions *mine = acts->count ? malloc(sizeof *mine) : NULL; /* effects may step again */

        YM_ASSERT(mine || !acts->count);
        hub_log_later(h);
        y->round = *next;
        y->hold_ms = 0;
        adopt_leaf(&y->open_leaf, &k.open);
        adopt_leaf(&y->collect_leaf, &k.collect);
        adopt_leaf(&y->closed_leaf, &k.closed);
        say_change(y, &before);
        if (acts->changed)
            hub_notify(h, y);
        if (mine)
            *mine = *acts;
        for (size_t i = 0; mine && i < mine->count; i++)
            act(h, y, &mine->action[i]);
        free(mine);
    } else {
        store_failed(y, a, code, &st);
    }
    ym_buf_release(&k.open);
    ym_buf_release(&k.collect);
    ym_buf_release(&k.closed);
    return a->code;
}

/* ---- all studies ---- */

static bool timer_due(const struct hub_study *y, int64_t now_ms)
{
    return y->round.wake_ms && now_ms >= y->round.wake_ms && now_ms >= y->hold_ms;
}

void hub_studies_tick(struct ym_hub *h)
{
    for (struct hub_study *y = h->studies; y; y = y->next) {
        int64_t now_ms = ym_clock_mono_ms();

        if (y->fold_due && now_ms >= y->hold_ms)
            keep_fold(h, y);
        if (timer_due(y, now_ms)) {
            struct hub_apply a = {.study = y, .event = {.kind = YM_ROUND_EV_TICK}};

            hub_apply(h, &a);
        }
    }
}

int64_t hub_studies_wake(const struct ym_hub *h)
{
    int64_t earliest = INT64_MAX;

    for (const struct hub_study *y = h->studies; y; y = y->next) {
        int64_t at = y->round.wake_ms > y->hold_ms ? y->round.wake_ms : y->hold_ms;

        if ((y->round.wake_ms || y->fold_due) && at < earliest)
            earliest = at;
    }
    return earliest;
}

void hub_studies_disk(struct ym_hub *h, bool low)
{
    for (struct hub_study *y = h->studies; y; y = y->next) {
        struct hub_apply a = {.study = y, .event = {.kind = YM_ROUND_EV_DISK, .yes = low}};

        if (y->round.disk_low != low)
            hub_apply(h, &a);
    }
}

static void each_of_site(struct ym_hub *h, const char *site, enum ym_round_event_kind kind)
{
    for (struct hub_study *y = h->studies; y; y = y->next) {
        struct hub_apply a = {.study = y, .event = {.kind = kind}};

        a.event.site = ym_round_site_find(y->plan, site);
        if (a.event.site != SIZE_MAX)
            hub_apply(h, &a);
    }
}

void hub_studies_connection(struct ym_hub *h, const char *site, bool connected)
{
    each_of_site(h, site, connected ? YM_ROUND_EV_CONNECTED : YM_ROUND_EV_DISCONNECTED);
}

void hub_studies_revoked(struct ym_hub *h, const char *site)
{
    each_of_site(h, site, YM_ROUND_EV_REVOKED);
}

/* ---- birth, restart, end ---- */

struct hub_study *hub_study_new(struct ym_hub *h, struct ym_plan **plan, struct ym_status *st)
{
    struct hub_study *y = calloc(1, sizeof *y);
    struct ym_model model;
    struct ym_store_party sponsor;
    enum ym_code code;

    if (!y) {
        ym_status_set(st, YM_EXHAUSTED, "out of memory for a study");
        return NULL;
    }
    code = ym_model_from_plan(*plan, &model, st);
    if (code == YM_OK)
        code = h->store->ops->get_party(h->store, (*plan)->sponsor, &sponsor, &y->sponsor_leaf, st);
    if (code != YM_OK) {
        hub_study_free(y);
        return NULL;
    }
    y->dim = ym_model_update_dim(&model);
    y->plan = *plan;
    *plan = NULL;
    ym_round_init(&y->round, y->plan);
    return y;
}

void hub_study_free(struct hub_study *y)
{
    if (!y)
        return;
    ym_plan_free(y->plan);
    ym_buf_release(&y->plan_leaf);
    ym_buf_release(&y->sponsor_leaf);
    ym_buf_release(&y->open_leaf);
    ym_buf_release(&y->collect_leaf);
    ym_buf_release(&y->closed_leaf);
    free(y);
}

void hub_study_add(struct ym_hub *h, struct hub_study *y)
{
    struct hub_study **at = &h->studies;

    while (*at)
        at = &(*at)->next;
    *at = y;
    h->study_count++;
}

void hub_studies_free(struct ym_hub *h)
{
    while (h->studies) {
        struct hub_study *y = h->studies;

        h->studies = y->next;
        hub_study_free(y);
    }
}

static enum ym_code load_task(struct ym_hub *h, const struct hub_study *y, enum ym_store_task task, struct ym_buf *leaf,
                              struct ym_status *st)
{
    enum ym_code code = h->store->ops->get_task(h->store, y->plan->study, task, leaf, NULL);

    if (code == YM_OK || code == YM_NOT_FOUND)
        return YM_OK;
    return ym_status_set(st, code, "cannot read the tasks of study '%s'", y->plan->study);
}

static enum ym_code load_study(struct ym_hub *h, const struct ym_store_study *row, struct ym_status *st)
{
    struct ym_buf canonical = {0}, kept = {0};
    struct ym_plan *plan = NULL;
    struct hub_study *y = NULL;
    struct ym_store_study again;
    struct hub_apply a = {.event = {.kind = YM_ROUND_EV_RESTART}};
    enum ym_code code = ym_object_get(h->object_dir, row->plan, YM_PLAN_MAX_BYTES, &canonical, st);

    if (code == YM_OK)
        code = ym_plan_decode(canonical.data, canonical.len, &plan, st);
    if (code != YM_OK)
        goto out;
    y = hub_study_new(h, &plan, st);
    code = y ? YM_OK : YM_CORRUPT;
    if (code == YM_OK)
        code = h->store->ops->get_study(h->store, row->study, &again, &y->plan_leaf, &kept, st);
    if (code == YM_OK)
        code = ym_round_load(y->plan, ym_buf_bytes(&kept), &y->round, st);
    if (code == YM_OK)
        code = load_task(h, y, YM_STORE_TASK_OPEN, &y->open_leaf, st);
    if (code == YM_OK)
        code = load_task(h, y, YM_STORE_TASK_COLLECT, &y->collect_leaf, st);
    if (code == YM_OK)
        code = load_task(h, y, YM_STORE_TASK_CLOSED, &y->closed_leaf, st);
    if (code != YM_OK)
        goto out;
    y->created_s = row->created_s;
    hub_study_add(h, y);
    a.study = y;
    y = NULL;
    hub_apply(h, &a);
out:
    if (code != YM_OK)
        ym_status_wrap(st, code, "cannot take up study '%s'", row->study);
    hub_study_free(y);
    ym_plan_free(plan);
    ym_buf_release(&canonical);
    ym_buf_release(&kept);
    return code;
}

/* Of the attempt under way; what a hub left that died between the end of an
 * attempt and the dropping of its updates goes. */
static bool keep_spool(void *ctx, const char *study, uint32_t round, uint32_t attempt)
{
    const struct hub_study *y = hub_study_find(ctx, study);
    enum ym_round_phase phase = y ? y->round.phase : YM_ROUND_NONE;

    if (phase == YM_ROUND_PAUSED)
        phase = y->round.paused_from;
    return y && phase >= YM_ROUND_DELIVER && phase <= YM_ROUND_FOLD && y->round.round == round &&
           y->round.attempt == attempt;
}

struct rows {
    struct ym_store_study *row;
    size_t count;
    bool exhausted;
};

static void take_row(void *ctx, const struct ym_store_study *y)
{
    struct rows *r = ctx;
    struct ym_store_study *more = reallocarray(r->row, r->count + 1, sizeof *more);

    if (!more) {
        r->exhausted = true;
        return;
    }
    r->row = more;
    r->row[r->count++] = *y;
}

enum ym_code hub_studies_load(struct ym_hub *h, struct ym_status *st)
{
    struct rows r = {0};
    enum ym_code code = h->store->ops->each_study(h->store, take_row, &r, st);

    if (code == YM_OK && r.exhausted)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for the list of studies");
    for (size_t i = 0; code == YM_OK && i < r.count; i++)
        code = load_study(h, &r.row[i], st);
    free(r.row);
    if (code == YM_OK)
        ym_spool_sweep(h->spool_dir, keep_spool, h);
    return code;
}

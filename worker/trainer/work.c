#include "worker/trainer/work.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/pool.h"
#include "base/rng.h"
#include "models/control.h"
#include "models/scaling.h"
#include "models/state.h"
#include "worker/data/admit.h"
#include "worker/trainer/metric.h"

struct ym_work {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct ym_job *todo[YM_WORK_QUEUE], *done[2 * YM_WORK_QUEUE];
    size_t todo_count, done_count;
    int fd;
    /* the worker thread's own */
    struct ym_table *table;
    uint8_t table_plan[YM_HASH_BYTES], table_data[YM_HASH_BYTES];
    struct ym_cohort cohort; /* of the table */
    struct ym_consent_need table_need;
    struct ym_cohort table_gone; /* who had withdrawn */
};

void ym_job_free(struct ym_job **job)
{
    if (*job) {
        ym_buf_wipe(&(*job)->report);
        ym_cohort_release(&(*job)->cohort);
        ym_cohort_release(&(*job)->gone);
        ym_wipe((*job)->salt, sizeof(*job)->salt);
    }
    free(*job);
    *job = NULL;
}

/* ---- data ---- */

static void forget(struct ym_work *w)
{
    ym_table_free(w->table);
    w->table = NULL;
    ym_cohort_release(&w->cohort);
    ym_cohort_release(&w->table_gone);
    malloc_trim(0);
}

static enum ym_code find_people(struct ym_work *w, struct ym_job *j, const struct ym_frozen *f,
                                const struct ym_table *t)
{
    struct ym_cohort held = {0}, own = {0};
    enum ym_code code = ym_people_load(j->people_path, f->hash, t->who, t->patients, &own, &j->st);

    if (code == YM_OK && t->held)
        code = ym_people_load(j->people_path, f->hash, t->held->who, t->held->patients, &held, &j->st);
    if (code == YM_OK)
        code = ym_cohort_union(&own, &held, &w->cohort, &j->st);
    ym_cohort_release(&own);
    ym_cohort_release(&held);
    return code;
}

/* Whom of the set the plan may use. */
static enum ym_code admit(struct ym_job *j, const struct ym_frozen *f, struct ym_admission *out)
{
    uint8_t *gone = calloc(f->patient_count + 1, 1);
    enum ym_code code = gone ? ym_people_mark(j->people_path, f->hash, &j->gone, gone, f->patient_count, &j->st)
                             : ym_status_set(&j->st, YM_EXHAUSTED, "no memory for an admission");

    if (code == YM_OK)
        code = ym_admit(&j->need, f->consent, gone, f->patient_count, out, &j->st);
    if (code == YM_OK)
        ym_admission_report(out, &j->report);
    free(gone);
    return code;
}

/* Before bytes of a file are read, so many times over. */
static enum ym_code room_to_read(struct ym_job *j, const char *path, uint64_t times)
{
    struct stat info;
    uint64_t bytes = stat(path, &info) == 0 && info.st_size > 0 ? (uint64_t)info.st_size : 0;

    return ym_limits_room(&j->limits, times * bytes, &j->st);
}

/* With fewer threads, if so it fits: they change no bit. */
static enum ym_code room_to_train(struct ym_job *j, const struct ym_model *m, const struct ym_table *t)
{
    enum ym_code code = YM_EXHAUSTED;

    for (size_t threads = ym_pool_cores(); code != YM_OK && threads > 0; threads--) {
        ym_pool_limit(threads);
        code = ym_limits_room(&j->limits, ym_local_bytes(j->plan, m, t) + 8 * (uint64_t)ym_model_update_dim(m),
                              threads == 1 ? &j->st : NULL);
    }
    return code;
}

static enum ym_code load_table(struct ym_work *w, struct ym_job *j)
{
    struct ym_frozen *f = NULL;
    struct ym_table *t = NULL;
    struct ym_admission admission = {0};
    uint8_t id[YM_HASH_BYTES];
    enum ym_code code;

    forget(w);
    code = room_to_read(j, j->data_path, 2); /* the people's files are smaller */
    if (code == YM_OK)
        code = ym_frozen_load(j->data_path, &f, &j->st);
    if (code == YM_OK)
        ym_site_data_id(j->salt, f->hash, id);
    if (code == YM_OK && memcmp(id, j->data, sizeof id) != 0)
        code = ym_status_set(&j->st, YM_CORRUPT, "the frozen data set is not the one that was approved");
    if (code == YM_OK && memcmp(f->card_hash, j->need.card, YM_HASH_BYTES) != 0)
        code = ym_status_set(&j->st, YM_CORRUPT, "the frozen data were made from another card: run data add again");
    if (code == YM_OK)
        code = admit(j, f, &admission);
    if (code == YM_OK)
        code = ym_limits_room(&j->limits, ym_table_bytes(j->plan, f), &j->st);
    if (code == YM_OK)
        code = ym_table_build(j->plan, f, admission.out, &t, &j->report, &j->st);
    if (code == YM_OK && t->patients < (size_t)j->min_patients)
        code = ym_status_set(&j->st, YM_DENIED, "fewer patients are eligible than the site's policy asks for");
    if (code == YM_OK)
        code = find_people(w, j, f, t);
    if (code == YM_OK)
        code = ym_cohort_union(&j->gone, &(struct ym_cohort){0}, &w->table_gone, &j->st);
    ym_frozen_free(f);
    ym_admission_release(&admission);
    if (code != YM_OK) {
        ym_table_free(t);
        return code;
    }
    w->table = t;
    memcpy(w->table_plan, j->plan->hash, YM_HASH_BYTES);
    memcpy(w->table_data, j->data, YM_HASH_BYTES);
    w->table_need = j->need;
    return YM_OK;
}

static bool same_people(const struct ym_cohort *a, const struct ym_cohort *b)
{
    return a->count == b->count && ym_cohort_within(a, b);
}

static bool have_table(const struct ym_work *w, const struct ym_job *j)
{
    return w->table && memcmp(w->table_plan, j->plan->hash, YM_HASH_BYTES) == 0 &&
           memcmp(w->table_data, j->data, YM_HASH_BYTES) == 0 && same_people(&w->table_gone, &j->gone) &&
           ym_consent_need_same(&w->table_need, &j->need);
}

static enum ym_code need_table(struct ym_work *w, struct ym_job *j, const struct ym_model *m)
{
    enum ym_code code = have_table(w, j) ? YM_OK : load_table(w, j);

    if (code == YM_OK)
        code = room_to_train(j, m, w->table);
    return code == YM_OK ? ym_cohort_union(&w->cohort, &(struct ym_cohort){0}, &j->cohort, &j->st) : code;
}

/* What a job that failed says: the word, unless memory was what it lacked. */
static const char *failed(enum ym_code code, const char *word)
{
    return code == YM_OK ? NULL : code == YM_EXHAUSTED ? "memory" : word;
}

/* What a round starts from. */
struct begin {
    float *params;
    double *correction; /* NULL without scaffold */
    double extra[YM_MODEL_MAX_EXTRA];
};

static void begin_release(struct begin *b)
{
    free(b->params);
    free(b->correction);
}

bool ym_work_last_release(const char *path, const uint8_t want[YM_HASH_BYTES], const struct ym_model *m,
                          struct ym_buf *out)
{
    size_t bytes = 8 * ym_model_update_dim(m);
    uint8_t hash[YM_HASH_BYTES];

    if (!*path || ym_fs_read(path, bytes, out, NULL) != YM_OK || out->len != bytes)
        return false;
    ym_sha256(out->data, out->len, hash);
    return memcmp(hash, want, sizeof hash) == 0;
}

static enum ym_code load_correction(struct ym_job *j, const struct ym_model *m, struct ym_bytes state, struct begin *b)
{
    struct ym_buf last = {0};
    enum ym_code code;
    bool known;

    if (!j->plan->scaffold)
        return YM_OK;
    b->correction = calloc(m->dim, sizeof *b->correction);
    if (!b->correction)
        return ym_status_set(&j->st, YM_EXHAUSTED, "no memory for the steps' correction");
    code = ym_state_control(j->plan, state, b->correction, &j->st);
    known = ym_work_last_release(j->last_path, j->last, m, &last);
    ym_control_correction(j->plan, m, b->correction, known ? (const int64_t *)(const void *)last.data : NULL,
                          b->correction);
    ym_buf_release(&last);
    return code;
}

static enum ym_code read_state(struct ym_job *j, const struct ym_model *m, struct ym_bytes state, struct begin *b)
{
    const uint8_t *params = NULL;
    uint32_t round;
    enum ym_code code = ym_state_params(j->plan, state, &round, &params, &j->st);

    if (code == YM_OK)
        code = ym_state_extra(j->plan, state, b->extra, &j->st);
    if (code == YM_OK && round + 1 != j->round)
        code = ym_status_set(&j->st, YM_CORRUPT, "a state after round %u cannot begin round %u", round, j->round);
    if (code == YM_OK && !(b->params = malloc(m->dim * sizeof *b->params)))
        code = ym_status_set(&j->st, YM_EXHAUSTED, "no memory for the parameters");
    if (code != YM_OK)
        return code;
    memcpy(b->params, params, m->dim * sizeof *b->params);
    return load_correction(j, m, state, b);
}

static enum ym_code load_state(struct ym_job *j, const struct ym_model *m, struct begin *b)
{
    struct ym_buf state = {0};
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = room_to_read(j, j->state_path, 4); /* read, kept, taken apart, and the correction */

    if (code == YM_OK)
        code = ym_fs_read(j->state_path, YM_FRAME_MAX_TOTAL, &state, &j->st);
    if (code == YM_OK) {
        ym_sha256(state.data, state.len, hash);
        if (memcmp(hash, j->state, sizeof hash) != 0)
            code = ym_status_set(&j->st, YM_CORRUPT, "the state file is not the one the hub signed");
    }
    if (code == YM_OK)
        code = read_state(j, m, ym_buf_bytes(&state), b);
    ym_buf_release(&state);
    return code;
}

/* ---- jobs ---- */

static enum ym_code open_rng(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

static const char *prepare(struct ym_work *w, struct ym_job *j, struct ym_model *m, struct begin *b)
{
    const char *no = failed(ym_model_from_plan(j->plan, m, &j->st), "state_mismatch");

    if (!no)
        no = failed(load_state(j, m, b), "state_mismatch");
    return no ? no : failed(need_table(w, j, m), "no_data");
}

/* The release whole: the steps or the sums, and how good the state is that they started from. */
static enum ym_code answer(struct ym_work *w, struct ym_job *j, const struct ym_model *m, const struct begin *b)
{
    enum ym_code code;

    if (ym_plan_scales(j->plan, j->round))
        code = ym_local_scaling_round(j->plan, m, w->table, open_rng, NULL, j->update, &j->st);
    else
        code = ym_local_round(j->plan, m, w->table, b->params, b->extra, b->correction, j->round, open_rng, NULL,
                              j->update, &j->st);
    if (code == YM_OK)
        code = ym_local_metrics(j->plan, m, w->table, b->params, b->extra, j->round, open_rng, NULL,
                                j->update + ym_model_metric_at(m), &j->st);
    return code;
}

static const char *train(struct ym_work *w, struct ym_job *j)
{
    struct ym_model m;
    struct begin b = {0};
    const char *reason = prepare(w, j, &m, &b);

    if (!reason && j->kind == YM_JOB_TRAIN)
        reason = failed(answer(w, j, &m, &b), "crashed");
    begin_release(&b);
    return reason;
}

static enum ym_code time_steps(struct ym_work *w, struct ym_job *j, const struct ym_model *m)
{
    struct ym_local_work *scratch = ym_local_work_new(j->plan, m, w->table);
    float *params = calloc(m->dim, sizeof *params);
    size_t dim = ym_local_step_dim(j->plan, m);
    int64_t *sum = calloc(dim, sizeof *sum);
    double extra[YM_MODEL_MAX_EXTRA];
    enum ym_code code = YM_OK;

    ym_scaling_initial(j->plan, extra);
    if (!scratch || !params || !sum)
        code = ym_status_set(&j->st, YM_EXHAUSTED, "no memory for a trial step");
    if (code == YM_OK)
        ym_model_init_params(m, j->plan->init_seed, params);
    for (int i = 0; code == YM_OK && i < 2; i++) {
        int64_t begin = ym_clock_mono_ms(), took;

        code = ym_local_noisy_sum(j->plan, m, w->table, params, extra, open_rng, NULL, scratch, sum, &j->st);
        took = ym_clock_mono_ms() - begin;
        if (took > j->step_ms)
            j->step_ms = took;
    }
    if (sum)
        ym_wipe(sum, dim * sizeof *sum);
    free(sum);
    free(params);
    ym_local_work_free(scratch);
    return code;
}

static const char *check(struct ym_work *w, struct ym_job *j)
{
    struct ym_model m;
    const char *no;

    if (ym_model_from_plan(j->plan, &m, &j->st) != YM_OK)
        return "state_mismatch";
    j->dim = m.dim;
    j->update_dim = ym_model_update_dim(&m);
    forget(w);
    no = failed(need_table(w, j, &m), "no_data");
    return no ? no : failed(time_steps(w, j, &m), "crashed");
}

static void work_on(struct ym_work *w, struct ym_job *j)
{
    switch (j->kind) {
    case YM_JOB_PREPARE:
    case YM_JOB_TRAIN:
        j->reason = train(w, j);
        break;
    case YM_JOB_CHECK:
        j->reason = check(w, j);
        break;
    case YM_JOB_FORGET:
        forget(w);
        break;
    }
}

static void run(struct ym_work *w, struct ym_job *j)
{
    if (ym_limits_begin(&j->limits, &j->st) == YM_OK)
        work_on(w, j);
    else
        j->reason = "memory";
    ym_limits_end();
}

/* ---- the grid ---- */

int64_t ym_work_grid_ms(int64_t took_ms)
{
    int64_t at = YM_WORK_GRID_MS;

    while (at < took_ms)
        at = at + at / 2 >= took_ms ? at + at / 2 : 2 * at;
    return at;
}

/* From the asking on: how long another study's job kept the thread is no news either. */
static void set_due(struct ym_job *j)
{
    if (j->kind == YM_JOB_PREPARE || j->kind == YM_JOB_TRAIN)
        j->due_ms = j->asked_ms + ym_work_grid_ms(ym_clock_mono_ms() - j->asked_ms);
}

/* ---- the thread ---- */

static void wake_owner(struct ym_work *w)
{
    uint64_t one = 1;

    if (write(w->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable anyway */
}

static void *work_main(void *arg)
{
    struct ym_work *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        struct ym_job *j;

        if (w->todo_count == 0 || w->done_count == sizeof w->done / sizeof *w->done) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        j = w->todo[0];
        memmove(w->todo, w->todo + 1, --w->todo_count * sizeof *w->todo);
        pthread_mutex_unlock(&w->lock);
        run(w, j);
        set_due(j);
        pthread_mutex_lock(&w->lock);
        w->done[w->done_count++] = j;
        wake_owner(w);
    }
    pthread_mutex_unlock(&w->lock);
    forget(w);
    return NULL;
}

static int start_thread(struct ym_work *w)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, NULL, work_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

enum ym_code ym_work_start(struct ym_work **out, struct ym_status *st)
{
    struct ym_work *w = calloc(1, sizeof *w);

    if (!w)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the worker thread");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0 || start_thread(w) != 0) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return ym_status_set(st, YM_UNAVAILABLE, "cannot start the worker thread");
    }
    *out = w;
    return YM_OK;
}

void ym_work_stop(struct ym_work **work)
{
    struct ym_work *w = *work;

    *work = NULL;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    for (size_t i = 0; i < w->todo_count; i++)
        ym_job_free(&w->todo[i]);
    for (size_t i = 0; i < w->done_count; i++)
        ym_job_free(&w->done[i]);
    close(w->fd);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int ym_work_fd(const struct ym_work *w)
{
    return w->fd;
}

bool ym_work_full(struct ym_work *w)
{
    bool full;

    pthread_mutex_lock(&w->lock);
    full = w->todo_count == YM_WORK_QUEUE;
    pthread_mutex_unlock(&w->lock);
    return full;
}

enum ym_code ym_work_push(struct ym_work *w, struct ym_job **job, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    (*job)->asked_ms = ym_clock_mono_ms();
    pthread_mutex_lock(&w->lock);
    if (w->todo_count == YM_WORK_QUEUE) {
        code = ym_status_set(st, YM_EXHAUSTED, "%d jobs wait already", YM_WORK_QUEUE);
    } else {
        w->todo[w->todo_count++] = *job;
        *job = NULL;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return code;
}

struct ym_job *ym_work_take(struct ym_work *w)
{
    int64_t now = ym_clock_mono_ms();
    struct ym_job *j = NULL;
    size_t i = 0;
    uint64_t n;

    if (read(w->fd, &n, sizeof n) < 0)
        n = 0; /* nothing new was said; look anyway */
    pthread_mutex_lock(&w->lock);
    while (i < w->done_count && w->done[i]->due_ms > now)
        i++;
    if (i < w->done_count) {
        j = w->done[i];
        memmove(w->done + i, w->done + i + 1, (--w->done_count - i) * sizeof *w->done);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return j;
}

int64_t ym_work_due_ms(struct ym_work *w)
{
    int64_t due = INT64_MAX;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->done_count; i++)
        due = w->done[i]->due_ms < due ? w->done[i]->due_ms : due;
    pthread_mutex_unlock(&w->lock);
    return due;
}

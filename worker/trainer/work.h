#ifndef YM_TRAINER_WORK_H
#define YM_TRAINER_WORK_H

#include "gate/border/consent.h"
#include "gate/plan.h"
#include "models/model.h"
#include "worker/data/people.h"
#include "worker/trainer/core.h"
#include "worker/trainer/limits.h"

/* The thread that reads rows and trains, so that vetoes and the hospital's
 * commands are heard meanwhile. One job at a time, in order; the finished ones
 * wake ym_work_fd. Only this thread touches patient data. */

#define YM_WORK_QUEUE 64

/* How long rows took to load or to train on tells of their number. What leaves
 * after such a job therefore leaves on a public grid: 32, 48, 64, 96, 128 ...
 * milliseconds after the task that asked for it. */
#define YM_WORK_GRID_MS 32
int64_t ym_work_grid_ms(int64_t took_ms); /* the first of them that is not earlier */

enum ym_job_kind {
    YM_JOB_PREPARE, /* state and table can be used */
    YM_JOB_TRAIN,   /* the round's noisy steps into update */
    YM_JOB_CHECK,   /* dry run: table and two timed steps; nothing leaves, nothing is charged */
    YM_JOB_FORGET,  /* free the table */
};

struct ym_job {
    enum ym_job_kind kind;
    const struct ym_plan *plan;  /* borrowed; must outlive the job */
    struct ym_core_study *study; /* for the owner only */
    uint32_t round, attempt;
    char data_path[YM_SITE_PATH], people_path[YM_SITE_PATH], state_path[YM_SITE_PATH];
    uint8_t salt[YM_SITE_SALT];
    char last_path[YM_SITE_PATH]; /* of the study's last release, for a plan with scaffold; "": there is none */
    uint8_t last[YM_HASH_BYTES];  /* of its bytes, as the ledger says */
    uint8_t data[YM_HASH_BYTES], state[YM_HASH_BYTES]; /* data: ym_site_data_id of the frozen set */
    struct ym_consent_need need;                       /* what the plan needs of patients */
    struct ym_cohort gone;                             /* who withdrew; freed with the job */
    int64_t min_patients;
    struct ym_limits limits;
    int64_t *update; /* TRAIN: [update dim], the owner's until the job is pushed and after it is taken */
    void *user;
    int64_t asked_ms, due_ms; /* of ym_clock_mono_ms; when it may be taken */
    /* answers */
    struct ym_cohort cohort; /* PREPARE, TRAIN, CHECK: whom the plan's table uses, the held out included */
    const char *reason;      /* NULL: well; else a word of say_declined; "memory" where that was what lacked */
    struct ym_buf report;    /* CHECK: for the site's own screen only */
    struct ym_status st;
    int64_t step_ms; /* CHECK: the slower of the two steps */
    size_t dim, update_dim;
};
void ym_job_free(struct ym_job **job);

/* The bytes of a study's last release, int64 [update dim], if the file holds what the ledger says was released: its
 * hash. False: none, or others; a round then goes without its correction (models/control.h). out is scratch then. */
bool ym_work_last_release(const char *path, const uint8_t want[YM_HASH_BYTES], const struct ym_model *m,
                          struct ym_buf *out);

struct ym_work;
enum ym_code ym_work_start(struct ym_work **out, struct ym_status *st);
void ym_work_stop(struct ym_work **w); /* waits for the job at hand; frees the rest */
int ym_work_fd(const struct ym_work *w);
/* Takes *job. YM_EXHAUSTED: the queue is full; it stays the caller's. */
bool ym_work_full(struct ym_work *w); /* for the one thread that pushes: the next push would fail */
enum ym_code ym_work_push(struct ym_work *w, struct ym_job **job, struct ym_status *st);
struct ym_job *ym_work_take(struct ym_work *w); /* a finished one that is due, or NULL */
int64_t ym_work_due_ms(struct ym_work *w);      /* when the next finished one is; INT64_MAX: none has finished */

#endif

#ifndef YM_WORKER_TRAINER_LOCAL_INTERNAL_H
#define YM_WORKER_TRAINER_LOCAL_INTERNAL_H

#include "base/pool.h"
#include "privacy/leaves.h"
#include "worker/trainer/local.h"

/* Noise is made in parts, each from a generator of its own: a function of the dimension, so that
 * threads change no bit. How many coordinates a part has. */
#define YM_LOCAL_NOISE_PARTS 16
#define YM_LOCAL_NOISE_LEAST 65536
static inline size_t ym_local_noise_part(size_t dim)
{
    size_t part = (dim + YM_LOCAL_NOISE_PARTS - 1) / YM_LOCAL_NOISE_PARTS;

    return part < YM_LOCAL_NOISE_LEAST ? YM_LOCAL_NOISE_LEAST : part;
}

/* sum [count]: coordinates first .. first + count of a release, noise included. Called once for every
 * coordinate, by any thread. */
typedef void (*ym_local_take_fn)(void *taker, size_t first, size_t count, const int64_t *sum);

/* What local.c, local_bounded.c and local_share.c share. Sums here carry no noise yet: nothing but
 * ym_local_noisy_sum may ask for them. */

struct ym_local_work {
    size_t dim, patients;
    struct ym_model_work *model;
    bool formed;     /* a patient's gradient was, here: else gradient, clipped and held were never touched */
    float *gradient; /* [dim] one patient's */
    float *rows;     /* one patient's, where they are made of bytes (ym_table_rows) */
    size_t rows_len;
    float *view, *view_y; /* one patient's augmented rows; NULL: the plan asks for none */
    size_t view_len, view_y_len;
    int32_t *clipped;              /* [dim + 1] */
    uint32_t *chosen;              /* [patients] */
    struct ym_batch *batch;        /* the bounded route's; NULL with the integer one */
    uint64_t *label;               /* [patients] likewise, and where the plan augments: the patient's draw */
    struct ym_leaf_member *member; /* [2 * patients] likewise: scratch */
    ym_local_take_fn
        take; /* is told of each block of the sum, which is 0 before the step and after; NULL: nobody asks */
    void *taker;
    int32_t *held; /* [dim + 1] sum of fewer than YM_CLIP_HELD patients, not in the step's yet */
    size_t held_count;
    struct ym_pool *pool;                          /* NULL: the step is too small to be shared */
    struct ym_local_work *other[YM_POOL_MOST - 1]; /* of the pool's other threads: without these three and chosen */
    int64_t *own;                                  /* [dim + 1] one's of these: its share of the sum */
};

/* One step before its noise; all borrowed. */
struct ym_local_step {
    const struct ym_model *m;
    const struct ym_table *data;
    const float *params;
    struct ym_local_work *w;
    int64_t *sum;       /* [dim], and the quantile's bits when bit_units > 0 */
    double clip_norm;   /* gradient units */
    uint32_t bit_units; /* 0: the clip is fixed */
    const struct ym_plan *plan;
};

/* sum += one patient's gradient, formed, clipped and truncated by itself; of its augmented views where the plan asks
 * for them, all in one gradient, by the patient's draw. */
void ym_local_add_patient(const struct ym_local_step *s, size_t patient, uint64_t draw);
/* What ym_local_add_patient holds back goes into the sum: once after the last. */
void ym_local_settle(const struct ym_local_step *s);

/* The same for all the chosen, shared among the pool's threads. Whole patients are
 * added in integers, so who took whom, and how many threads there are, change no bit. */
void ym_local_add_all(const struct ym_local_step *s, const uint32_t *chosen, size_t count);
/* How many threads a step of the plan is worth. */
size_t ym_local_threads(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data);
/* Threads and their scratch for w, if steps of the plan are large enough; false: no memory. */
bool ym_local_share(struct ym_local_work *w, const struct ym_plan *plan, const struct ym_model *m,
                    const struct ym_table *data);
/* Scratch of one thread: model, gradient, views, clipped, held; and a sum of its own if asked for. NULL: no memory. */
struct ym_local_work *ym_local_work_base(const struct ym_plan *plan, const struct ym_model *m,
                                         const struct ym_table *data, bool own);

/* sum += the chosen patients' clipped gradients, leaf by leaf (privacy/leaves.h); w->batch
 * is there. One patient moves it by at most 2^24 (privacy/bounded.h).
 *   label  [count] 64 random bits of each, drawn for this step; NULL: all are in one leaf */
void ym_local_add_batched(const struct ym_local_step *s, const uint32_t *who, const uint64_t *label, size_t count);
/* No more than a leaf may weigh: then nobody looks at a label, and none need be drawn. */
bool ym_local_one_leaf(const struct ym_local_step *s, const uint32_t *who, size_t count);

#endif

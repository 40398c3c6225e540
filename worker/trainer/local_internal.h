#ifndef YM_WORKER_TRAINER_LOCAL_INTERNAL_H
#define YM_WORKER_TRAINER_LOCAL_INTERNAL_H

#include "worker/trainer/local.h"

/* What local.c and local_bounded.c share. Sums here carry no noise yet: nothing but
 * ym_local_noisy_sum may ask for them. */

struct ym_local_work {
    size_t dim, patients;
    struct ym_model_work *model;
    float *gradient;        /* [dim] one patient's */
    int32_t *clipped;       /* [dim + 1] */
    uint32_t *chosen;       /* [patients] */
    struct ym_batch *batch; /* the bounded route's; NULL with the integer one */
    int64_t *fine;          /* [dim] likewise */
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
};

/* sum += one patient's gradient, formed, clipped and truncated by itself. */
void ym_local_add_patient(const struct ym_local_step *s, size_t patient);

/* sum += the chosen patients' clipped gradients in batches; w->batch is there. The
 * result is a function of the set of patients: their order and the size of the batch
 * change no bit. One patient moves it by at most 2^24 (privacy/bounded.h). */
void ym_local_add_batched(const struct ym_local_step *s, const uint32_t *chosen, size_t count);

#endif

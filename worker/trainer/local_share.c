#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "privacy/clip.h"
#include "worker/trainer/local_internal.h"

#define GRAIN 4                            /* patients taken at once */
#define WORTH 0x1p18                       /* parameters times patients of a step that other threads are woken for */
#define MOST_COORDINATES ((size_t)1 << 26) /* of all threads' scratch, 28 bytes each */

struct share {
    const struct ym_local_step *step;
    const uint32_t *chosen;
    size_t count;
    atomic_size_t next;
};

static void take_patients(void *ctx, size_t thread)
{
    struct share *share = ctx;
    struct ym_local_step s = *share->step;
    const uint64_t *label = s.w->label; /* the first thread's scratch alone has them */
    size_t from;

    if (thread > 0) {
        s.w = s.w->other[thread - 1];
        s.sum = s.w->own;
        memset(s.sum, 0, (s.w->dim + 1) * sizeof *s.sum);
    }
    while ((from = atomic_fetch_add_explicit(&share->next, GRAIN, memory_order_relaxed)) < share->count)
        for (size_t i = from; i < from + GRAIN && i < share->count; i++)
            ym_local_add_patient(&s, share->chosen[i], label ? label[i] : 0);
    ym_local_settle(&s);
}

void ym_local_add_all(const struct ym_local_step *s, const uint32_t *chosen, size_t count)
{
    struct share share = {.step = s, .chosen = chosen, .count = count};
    size_t threads = s->w->pool ? ym_pool_width(s->w->pool) : 1, dim = s->w->dim + (s->bit_units > 0);

    if (threads == 1)
        take_patients(&share, 0);
    else
        ym_pool_run(s->w->pool, take_patients, &share);
    for (size_t t = 0; t + 1 < threads; t++)
        for (size_t i = 0; i < dim; i++)
            s->sum[i] += s->w->other[t]->own[i];
}

size_t ym_local_threads(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data)
{
    double patients = ldexp((double)plan->sampling_k, -64) * (double)data->patients;
    size_t cores = ym_pool_cores(), room = MOST_COORDINATES / m->dim;

    if (patients * (double)m->dim < WORTH || room < 2)
        return 1;
    return cores < room ? cores : room;
}

/* Without threads, for the machine may grant none, the step is as it is, and slower. */
bool ym_local_share(struct ym_local_work *w, const struct ym_plan *plan, const struct ym_model *m,
                    const struct ym_table *data)
{
    size_t threads = ym_local_threads(plan, m, data);

    for (size_t i = 0; i + 1 < threads && plan->route == YM_ROUTE_INTEGER; i++) {
        w->other[i] = ym_local_work_base(plan, m, data, true);
        if (!w->other[i])
            return false;
    }
    if (threads > 1)
        w->pool = ym_pool_new(threads);
    return true;
}

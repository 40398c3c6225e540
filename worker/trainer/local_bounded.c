#include <math.h>

#include "models/batch.h"
#include "privacy/bounded.h"
#include "worker/trainer/local_internal.h"

#define CARRY_AT 0x1p61 /* |fine| stays below this and one batch more, 2^62 */

struct pass {
    const struct ym_local_step *s;
    double unit, clip, radius; /* fine units: of a gradient unit, the clip, what clipped patients keep within */
    double held;               /* bound on |fine| */
    uint32_t member[YM_BATCH_MOST_ROWS];
};

/* The batch's patients in as few products as their terms allow; how they are split changes nothing. */
static void add_scaled(struct pass *p, const double *reach, size_t count)
{
    struct ym_local_work *w = p->s->w;
    size_t first = 0;
    double together = 0;

    for (size_t i = 0; i < count; i++) {
        if (together + reach[i] > YM_BOUNDED_EXACT) {
            ym_batch_add(w->batch, first, i - first, w->fine);
            first = i;
            together = 0;
        }
        together += reach[i];
        p->held += reach[i];
    }
    ym_batch_add(w->batch, first, count - first, w->fine);
    if (p->held > CARRY_AT) {
        ym_bounded_carry(w->fine, p->s->sum, w->dim);
        p->held = 1 << YM_BOUNDED_FINE_BITS;
    }
}

/* Scales patient i and returns what it then reaches. One that does not suit goes by
 * itself: that, too, hangs on nobody else. */
static double clip_member(struct pass *p, size_t i)
{
    const struct ym_local_step *s = p->s;
    struct ym_ghost g;
    double factor;

    ym_batch_ghost(s->w->batch, i, p->unit, &g.norm, &g.reach, &g.spill);
    factor = ym_bounded_factor(&g, p->radius);
    if (!ym_bounded_suits(&g, p->radius)) {
        ym_local_add_patient(s, p->member[i]);
        factor = 0;
    } else if (s->bit_units > 0) {
        s->sum[s->w->dim] += isfinite(g.norm) && g.norm > p->clip ? -(int64_t)s->bit_units : (int64_t)s->bit_units;
    }
    ym_batch_scale(s->w->batch, i, p->unit, factor);
    return factor > 0 ? factor * g.reach : 0;
}

static void finish_batch(struct pass *p)
{
    struct ym_batch *b = p->s->w->batch;
    double reach[YM_BATCH_MOST_ROWS];
    size_t count = ym_batch_patients(b);

    ym_batch_pass(b);
    for (size_t i = 0; i < count; i++)
        reach[i] = clip_member(p, i);
    add_scaled(p, reach, count);
    ym_batch_clear(b);
}

static void take_patient(struct pass *p, uint32_t patient)
{
    const struct ym_table *d = p->s->data;
    struct ym_batch *b = p->s->w->batch;
    uint64_t first = d->first_row[patient], rows = d->first_row[patient + 1] - first;
    const float *x = d->x + first * d->columns, *y = d->y + first * ym_model_targets(p->s->m);

    if (rows > YM_BATCH_PATIENT_ROWS || rows > ym_batch_rows_for(p->s->m)) {
        ym_local_add_patient(p->s, patient);
        return;
    }
    if (!ym_batch_put(b, x, y, rows)) {
        finish_batch(p);
        YM_ASSERT(ym_batch_put(b, x, y, rows));
    }
    p->member[ym_batch_patients(b) - 1] = patient;
}

void ym_local_add_batched(const struct ym_local_step *s, const uint32_t *chosen, size_t count)
{
    uint32_t units = ym_clip_radius(s->bit_units);
    struct pass p = {.s = s, .clip = ldexp(units, YM_BOUNDED_FINE_BITS)};
    bool usable = ym_batch_weights(s->w->batch, s->params);

    p.radius = ym_bounded_radius(units, s->m->dim);
    p.unit = p.clip / s->clip_norm;
    for (size_t i = 0; i < count; i++) {
        if (usable)
            take_patient(&p, chosen[i]);
        else
            ym_local_add_patient(s, chosen[i]);
    }
    finish_batch(&p);
    ym_bounded_close(s->w->fine, s->sum, s->w->dim);
}

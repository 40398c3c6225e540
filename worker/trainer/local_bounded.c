#include <math.h>

#include "models/batch.h"
#include "privacy/bounded.h"
#include "privacy/leaves.h"
#include "tensor/rows.h"
#include "worker/trainer/local_internal.h"

_Static_assert(YM_ROWS_ROUNDINGS <= YM_BOUNDED_ROUNDINGS && YM_BATCH_MOST_ROWS <= YM_BOUNDED_LEAF &&
                   YM_BATCH_PATIENT_ROWS <= YM_BOUNDED_PATIENT,
               "the rounding that the radius makes room for");

struct pass {
    const struct ym_local_step *s;
    uint32_t clip;  /* lattice units */
    double unit;    /* lattice units of a gradient unit */
    double one_row; /* radius of patients of one row */
};

static void clip_member(const struct pass *p, size_t i)
{
    const struct ym_local_step *s = p->s;
    struct ym_ghost g = {.rows = ym_batch_rows(s->w->batch, i)};
    double radius;

    ym_batch_ghost(s->w->batch, i, &g.norm, &g.reach, &g.inputs);
    radius = g.rows == 1 ? p->one_row : ym_bounded_radius(p->clip, s->m->dim, g.rows);
    ym_batch_scale(s->w->batch, i, ym_bounded_factor(&g, p->unit, radius));
    if (s->bit_units > 0) {
        bool above = isfinite(g.norm) && g.norm > s->clip_norm;

        s->sum[s->w->dim] += above ? -(int64_t)s->bit_units : (int64_t)s->bit_units;
    }
}

static void add_leaf(void *ctx, const struct ym_leaf_member *who, size_t count)
{
    const struct pass *p = ctx;
    const struct ym_table *d = p->s->data;
    struct ym_batch *b = p->s->w->batch;

    for (size_t i = 0; i < count; i++) {
        uint64_t first = d->first_row[who[i].patient], rows = d->first_row[who[i].patient + 1] - first;

        YM_ASSERT(ym_batch_put(b, d->x + first * d->columns, d->y + first * ym_model_targets(p->s->m), rows));
    }
    ym_batch_pass(b);
    for (size_t i = 0; i < count; i++)
        clip_member(p, i);
    ym_batch_add(b, p->s->sum);
    ym_batch_clear(b);
}

/* Patients that weigh too much for a leaf go by themselves. */
static size_t those_in_leaves(const struct ym_local_step *s, const uint32_t *who, const uint64_t *label, size_t count,
                              size_t most)
{
    const struct ym_table *d = s->data;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t rows = d->first_row[who[i] + 1] - d->first_row[who[i]];

        if (rows > YM_BATCH_PATIENT_ROWS || ym_bounded_weight(rows) > most)
            ym_local_add_patient(s, who[i], 0);
        else
            s->w->member[kept++] = (struct ym_leaf_member){label ? label[i] : 0, who[i], ym_bounded_weight(rows)};
    }
    return kept;
}

bool ym_local_one_leaf(const struct ym_local_step *s, const uint32_t *who, size_t count)
{
    const struct ym_table *d = s->data;
    size_t most = ym_batch_room(s->w->batch);
    uint64_t weight = 0;

    if (d->rows == d->patients)
        return count <= most;
    for (size_t i = 0; i < count && weight <= most; i++) {
        uint64_t rows = d->first_row[who[i] + 1] - d->first_row[who[i]];

        weight += rows > YM_BATCH_PATIENT_ROWS ? 0 : ym_bounded_weight(rows);
    }
    return weight <= most;
}

void ym_local_add_batched(const struct ym_local_step *s, const uint32_t *who, const uint64_t *label, size_t count)
{
    uint32_t units = ym_clip_radius(s->bit_units);
    struct pass p = {.s = s, .clip = units, .unit = units / s->clip_norm};
    size_t most = ym_batch_room(s->w->batch);

    p.one_row = ym_bounded_radius(units, s->m->dim, 1);
    count = those_in_leaves(s, who, label, count, ym_batch_weights(s->w->batch, s->params) ? most : 0);
    ym_leaves(s->w->member, s->w->member + s->w->patients, count, most, add_leaf, &p);
}

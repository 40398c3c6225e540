#include "coordinator/aggregate/fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/aggregate/block.h"
#include "coordinator/aggregate/object.h"
#include "models/model.h"
#include "models/state.h"

struct accumulator {
    int64_t *sum;
    int64_t weight;
    size_t averaged;        /* coordinates behind are summed as they are */
    size_t metric_at, kept; /* from there on so many of each site are kept: at own */
    int64_t *own;
    uint32_t width_bits;
    bool in_range;
};

static void add_block(void *ctx, const int64_t *v, size_t first, size_t n)
{
    struct accumulator *a = ctx;

    a->in_range = a->in_range && ym_block_in_range(v, n, a->width_bits);
    if (!a->in_range)
        return; /* the plan's bound against wrapping holds for values in range only */
    for (size_t i = 0; i < n; i++)
        a->sum[first + i] += (first + i < a->averaged ? a->weight : 1) * v[i];
    for (size_t i = 0; a->kept > 0 && i < n; i++)
        if (first + i >= a->metric_at)
            a->own[first + i - a->metric_at] = v[i];
}

static enum ym_code add_site(const struct ym_fold *f, size_t site, size_t dim, struct accumulator *a,
                             struct ym_status *st)
{
    const struct ym_plan_site *p = &f->plan->site[site];
    struct ym_spool_key key = {f->spool_dir, f->plan->study, p->name, f->round, f->attempt};
    char path[4096];
    enum ym_code code = ym_spool_path(&key, path, sizeof path);

    if (code != YM_OK)
        return ym_status_set(st, YM_INTERNAL, "fold: bad spool path");
    a->weight = p->weight;
    code = ym_block_read(path, dim, add_block, a, st);
    if (code == YM_OK && !a->in_range)
        code = ym_status_set(st, YM_CORRUPT, "fold: the spool of '%s' changed after it was checked", p->name);
    return code;
}

static enum ym_code write_state(const struct ym_fold *f, const struct ym_round_sum *sum, uint8_t next[YM_HASH_BYTES],
                                bool *stops, struct ym_status *st)
{
    char from[YM_OBJECT_PATH], to[YM_OBJECT_PATH], name[80];
    enum ym_code code = ym_object_path(f->object_dir, f->state, from);

    snprintf(name, sizeof name, "next-%s", f->plan->study);
    if (code == YM_OK && (size_t)snprintf(to, sizeof to, "%s/%s", f->object_dir, name) >= sizeof to)
        code = YM_INVALID;
    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    code = ym_state_next_file(f->plan, from, sum, to, next, st);
    if (code == YM_OK)
        code = ym_state_stops_file(f->plan, to, stops, st);
    if (code == YM_OK)
        code = ym_object_adopt(f->object_dir, to, next, st);
    if (code != YM_OK)
        unlink(to);
    return code;
}

enum ym_code ym_fold_run(const struct ym_fold *f, uint8_t sum[YM_HASH_BYTES], uint8_t next[YM_HASH_BYTES], bool *stops,
                         struct ym_status *st)
{
    struct ym_model model;
    struct accumulator a = {.width_bits = f->plan->update_width_bits, .in_range = true};
    const char *survivor[YM_PLAN_MAX_SITES];
    uint8_t sum_hash[YM_HASH_BYTES], next_hash[YM_HASH_BYTES];
    enum ym_code code = ym_model_from_plan(f->plan, &model, st);

    size_t dim, numbers;
    bool ends = false;

    if (code != YM_OK)
        return code;
    dim = ym_model_update_dim(&model);
    a.averaged = model.averaged;
    a.metric_at = ym_model_metric_at(&model);
    a.kept = ym_plan_site_dim(f->plan, f->round);
    numbers = dim + f->site_count * a.kept;
    a.sum = calloc(numbers, sizeof *a.sum);
    if (!a.sum)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for a sum of %zu numbers", numbers);
    for (size_t i = 0; code == YM_OK && i < f->site_count; i++) {
        survivor[i] = f->plan->site[f->site[i]].name;
        a.own = a.sum + dim + i * a.kept;
        code = add_site(f, f->site[i], dim, &a, st);
    }
    if (code == YM_OK)
        code = ym_object_put(f->object_dir, (struct ym_bytes){(const uint8_t *)a.sum, numbers * sizeof *a.sum},
                             sum_hash, st);
    if (code == YM_OK)
        code = write_state(f, &(struct ym_round_sum){f->round, a.sum, survivor, f->site_count}, next_hash, &ends, st);
    if (code == YM_OK) {
        memcpy(sum, sum_hash, sizeof sum_hash);
        memcpy(next, next_hash, sizeof next_hash);
        *stops = ends;
    }
    free(a.sum);
    return code;
}

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/fs.h"
#include "gate/plan.h"
#include "models/model.h"

/* The updates that hospitals released, where the auditor has been given their bytes: each is
 * what its release says, and together they are the sum of the round. */

struct adding {
    struct ym_check *c;
    const struct ym_vresult *r;
    const struct ym_entry *e;
    const struct ym_plan *plan;
    const struct ym_model *model;
    int64_t *sum;
    size_t dim;
};

#define FIND(a, reason, ...) ym_check_find((a)->c, (a)->r->log, (int64_t)(a)->r->entry, YM_REASON_##reason, __VA_ARGS__)

/* By its own hash, or as a hospital keeps it: by its charge's. */
static bool read_named(const struct adding *a, const char *name, const char *end, struct ym_buf *out)
{
    char file[96], path[4096];

    snprintf(file, sizeof(file), "%.64s%s", name, end);
    return ym_fs_join(path, sizeof(path), a->c->updates, file) == YM_OK &&
           ym_fs_read(path, 8 * a->dim, out, NULL) == YM_OK;
}

static bool is_update(const struct adding *a, const struct ym_entry *release, const struct ym_buf *bytes)
{
    uint8_t raw[YM_VHASH];
    char hash[65];

    ym_vhash(bytes->data, bytes->len, raw);
    ym_vhex_text(raw, sizeof(raw), hash);
    return bytes->len == 8 * a->dim && strcmp(hash, ym_entry_text(release, "update")) == 0;
}

static int64_t value_at(const struct ym_buf *bytes, size_t i)
{
    uint64_t v = 0;

    for (int b = 7; b >= 0; b--)
        v = v << 8 | bytes->data[8 * i + (size_t)b];
    return (int64_t)v;
}

static uint32_t weight_of(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, name) == 0)
            return plan->site[i].weight;
    return 0;
}

/* False where a value has more than w bits: then the plan's bound against wrapping does not hold. */
static bool add(struct adding *a, const struct ym_entry *release, const struct ym_buf *bytes)
{
    int64_t limit = (int64_t)1 << (ym_entry_int(release, "width_bits") - 1), weight = weight_of(a->plan, release->by);

    for (size_t i = 0; i < a->dim; i++) {
        int64_t v = value_at(bytes, i);

        if (v < -limit || v >= limit)
            return false;
        a->sum[i] = (int64_t)((uint64_t)a->sum[i] + (uint64_t)((i < a->model->averaged ? weight : 1) * v));
    }
    return true;
}

/* One survivor's; false: not given, or not good. */
static bool add_survivor(struct adding *a, const char *name)
{
    struct ym_lookup release;
    struct ym_buf bytes = {0};
    uint64_t at;
    bool good = false;

    if (!ym_vmap_get(&a->c->log[a->r->log].seen, &at, "r|%s|%s|%" PRId64 "|%" PRId64, name,
                     ym_entry_text(a->e, "study"), ym_entry_int(a->e, "round"), ym_entry_int(a->e, "attempt")))
        return false; /* said by the hub's rules */
    if (ym_check_entry(a->c, a->r->log, at, &release) &&
        (read_named(a, ym_entry_text(release.e, "update"), "", &bytes) ||
         read_named(a, ym_entry_text(release.e, "charge"), ".update", &bytes))) {
        good = is_update(a, release.e, &bytes) && add(a, release.e, &bytes);
        a->c->v->log[a->r->log].updates += good;
        if (!good)
            FIND(a, UPDATE_DIFFERS, "the update of '%s' in round %" PRId64 " is not what its release says", name,
                 ym_entry_int(a->e, "round"));
    }
    ym_buf_release(&bytes);
    ym_check_entry_end(&release);
    return good;
}

void ym_check_updates(struct ym_check *c, const struct ym_vresult *r, const struct ym_entry *e,
                      const struct ym_plan *plan, const struct ym_model *model, const int64_t *sum)
{
    struct adding a = {c, r, e, plan, model, NULL, ym_model_update_dim(model)};
    const char *name;
    bool whole = true;

    a.sum = calloc(a.dim + 1, sizeof(*a.sum));
    c->no_memory |= !a.sum;
    for (size_t i = 0; a.sum && (name = ym_entry_nth(e, "survivors", i)); i++)
        whole = add_survivor(&a, name) && whole;
    if (a.sum && whole && memcmp(a.sum, sum, a.dim * sizeof(*sum)) != 0)
        FIND(&a, SUM_DIFFERS, "the updates of round %" PRId64 " do not add up to its sum", ym_entry_int(e, "round"));
    else if (a.sum && whole)
        c->v->log[r->log].sums++;
    free(a.sum);
}

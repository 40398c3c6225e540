#include "models/batch.h"
#include "worker/trainer/local_internal.h"

/* What OpenBLAS touches of a thread's buffer (40 MiB when it multiplies matrices of 3000 by 3000), its stack and arena.
 */
#define THREAD_BYTES (UINT64_C(42) << 20)

/* As ym_local_work_base allocates. */
static uint64_t base_bytes(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data, bool own)
{
    size_t most = ym_table_most_rows(data), views = plan->augment.views * most;
    uint64_t vectors = sizeof(float) + 2 * sizeof(int32_t) + (own ? sizeof(int64_t) : 0);

    return sizeof(struct ym_local_work) + (m->dim + 1) * vectors + ym_model_work_bytes(m, most) +
           (ym_table_scratch(data, most) + 1) * sizeof(float) + views * (data->columns + 1) * sizeof(float);
}

static uint64_t shared_bytes(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data)
{
    uint64_t chosen = (data->patients + 1) * (sizeof(uint32_t) + sizeof(uint64_t));

    if (plan->route != YM_ROUTE_BOUNDED)
        return chosen;
    return chosen + (2 * data->patients + 1) * sizeof(struct ym_leaf_member) + ym_batch_bytes(m, ym_batch_rows_for(m));
}

/* As ym_local_round and its optimizer allocate: iterate, its image, the sum, up to three moments; standardised rows. */
static uint64_t round_bytes(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data)
{
    uint64_t rows = ym_plan_scaled_columns(plan) ? data->rows * data->columns * sizeof(float) : 0;

    return (m->dim + 1) * (2 * sizeof(double) + sizeof(float) + 3 * sizeof(double)) + rows;
}

uint64_t ym_local_bytes(const struct ym_plan *plan, const struct ym_model *m, const struct ym_table *data)
{
    size_t threads = ym_local_threads(plan, m, data);
    uint64_t others = plan->route == YM_ROUTE_INTEGER ? base_bytes(plan, m, data, true) : 0;

    return base_bytes(plan, m, data, false) + shared_bytes(plan, m, data) + round_bytes(plan, m, data) +
           (threads - 1) * (others + THREAD_BYTES);
}

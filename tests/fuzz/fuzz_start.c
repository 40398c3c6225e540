#include "models/start.h"

#include <math.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/plan.h"

#define DIM (3 * 2 + 2 + 2 + 1)

/* Whatever the file: refused, or every parameter is a number. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ym_plan *plan;
    struct ym_model m;
    float params[DIM] = {0};

    if (!plan) {
        plan = plan_make(YM_FAMILY_MLP, 3, 1);
        plan->hidden_count = 1;
        plan->hidden[0] = 2;
    }
    YM_ASSERT(ym_model_from_plan(plan, &m, NULL) == YM_OK && m.dim == DIM);
    if (ym_start_params(plan, &m, (struct ym_bytes){data, size}, params, NULL) != YM_OK)
        return 0;
    for (size_t i = 0; i < DIM; i++)
        YM_ASSERT(isfinite(params[i]));
    return 0;
}

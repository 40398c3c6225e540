#include <string.h>

#include "gate/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes as a plan from the wire and as a plan somebody wrote. What is accepted
 * decodes again to its own bytes. */
static void check(struct ym_plan *plan)
{
    struct ym_plan *again = NULL;
    YM_ASSERT(ym_plan_decode(plan->canonical.data, plan->canonical.len, &again, NULL) == YM_OK);
    YM_ASSERT(again->canonical.len == plan->canonical.len);
    YM_ASSERT(!memcmp(again->canonical.data, plan->canonical.data, plan->canonical.len));
    ym_plan_free(again);
    ym_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_plan *plan = NULL;
    struct ym_doc *doc = NULL;
    struct ym_problems p = {0};
    if (ym_plan_decode(data, size, &plan, NULL) == YM_OK) {
        YM_ASSERT(plan->canonical.len == size && !memcmp(plan->canonical.data, data, size));
        check(plan);
    }
    plan = NULL;
    if (ym_doc_parse("plan.yaml", data, size, &doc, &p, NULL) == YM_OK && ym_plan_read(doc, &plan, &p, NULL) == YM_OK)
        check(plan);
    YM_ASSERT(plan || p.count);
    ym_problems_release(&p);
    ym_doc_free(doc);
    return 0;
}

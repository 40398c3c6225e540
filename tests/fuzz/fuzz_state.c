#include "models/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/plan.h"

static struct ym_plan *make_plan(void)
{
    static const uint32_t weight[] = {1, 3, 2};
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 5, 3);

    p->hidden_count = 1;
    p->hidden[0] = 4;
    p->server = YM_SERVER_FEDADAM;
    p->server_lr = 0.1;
    p->beta1 = 0.9;
    p->beta2 = 0.99;
    p->server_eps = 1e-3;
    plan_add_sites(p, 3, weight);
    return p;
}

/* What is taken as a state has the plan's whole parameter block behind its header,
 * and another round can be folded in unless a parameter leaves float32. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const survivor[] = {"h1", "h3"};
    static const int64_t sum[64] = {1, -2, 3};
    static struct ym_plan *plan;
    struct ym_bytes state = {data, size};
    struct ym_buf next = {0};
    const uint8_t *params;
    struct ym_status st;
    uint32_t round;
    enum ym_code code;

    plan = plan ? plan : make_plan();
    if (ym_state_params(plan, state, &round, &params, &st) != YM_OK) {
        YM_ASSERT(st.code == YM_CORRUPT);
        return 0;
    }
    YM_ASSERT(params >= data && (size_t)(data + size - params) == 39 * 20 && round <= plan->rounds);
    code = ym_state_next(plan, state, &(struct ym_round_sum){round + 1, sum, survivor, 2}, &next, &st);
    YM_ASSERT(code == YM_OK || code == YM_INVALID);
    YM_ASSERT(code != YM_OK ||
              ym_state_params(plan, (struct ym_bytes){next.data, next.len}, &round, &params, &st) == YM_OK);
    ym_buf_release(&next);
    return 0;
}

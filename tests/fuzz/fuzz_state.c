#include "models/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/plan.h"

/* One plan with nothing beside the parameters, one with all there is. */
static struct ym_plan *make_plan(bool extra)
{
    static const uint32_t weight[] = {1, 3, 2};
    struct ym_plan *p = extra ? plan_make(YM_FAMILY_LOGISTIC, 3, 1) : plan_make(YM_FAMILY_MLP, 5, 3);

    if (extra) {
        p->clip_bit_units = 1;
        p->scaling_sigma_units = 1;
        p->scaling_least = 0.1;
    } else {
        p->hidden_count = 1;
        p->hidden[0] = 4;
    }
    p->server = YM_SERVER_FEDADAM;
    p->server_lr = 0.1;
    p->beta1 = 0.9;
    p->beta2 = 0.99;
    p->server_eps = 1e-3;
    plan_add_sites(p, 3, weight);
    return p;
}

/* What is taken as a state has the plan's whole parameter block behind its header, and
 * another round can be folded in unless a parameter leaves float32 or an extra number
 * was out of range, which the trainer's reader says too. */
static void take(const struct ym_plan *plan, struct ym_bytes state, size_t bytes)
{
    static const char *const survivor[] = {"h1", "h3"};
    static const int64_t sum[64] = {1, -2, 3};
    double extra[YM_MODEL_MAX_EXTRA];
    struct ym_buf next = {0};
    const uint8_t *params;
    struct ym_status st;
    uint32_t round;
    enum ym_code code, usable;

    if (ym_state_params(plan, state, &round, &params, &st) != YM_OK) {
        YM_ASSERT(st.code == YM_CORRUPT);
        return;
    }
    YM_ASSERT(params >= state.data && (size_t)(state.data + state.len - params) == bytes && round <= plan->rounds);
    usable = ym_state_extra(plan, state, extra, &st);
    YM_ASSERT(usable == YM_OK || usable == YM_CORRUPT);
    code = ym_state_next(plan, state, &(struct ym_round_sum){round + 1, sum, survivor, 2}, &next, &st);
    YM_ASSERT(code == YM_OK || code == YM_INVALID || (code == YM_CORRUPT && usable == YM_CORRUPT));
    YM_ASSERT(code != YM_OK || ym_state_extra(plan, (struct ym_bytes){next.data, next.len}, extra, &st) == YM_OK);
    ym_buf_release(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ym_plan *plain, *extra;
    struct ym_bytes state = {data, size};

    plain = plain ? plain : make_plan(false);
    extra = extra ? extra : make_plan(true);
    take(plain, state, 39 * 20);
    take(extra, state, 4 * 20 + 7 * 8);
    return 0;
}

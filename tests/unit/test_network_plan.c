#include <math.h>

#include "gate_help.h"
#include "models/model.h"

/* Lines count from the plan's first: the layers begin in line 12. */
#define HEAD                                                                                                           \
    "yumen: plan/1\nstudy: s1\nsponsor: acme\ntitle: t\npurpose: p\nmodel:\n  family: network\n  inputs:\n"            \
    "    - {name: scan, channels: 1, height: 28, width: 28}\n"                                                         \
    "  outcome: {name: kind, levels: [a, b, c, d, e, f, g, h, i, j]}\n  layers:\n"
#define TAIL                                                                                                           \
    "training: {rounds: 15, local_steps: 4, sampling_probability: 0.25, nominal_patients: 100, learning_rate: 0.5}\n"  \
    "privacy:\n  noise_multiplier: 4.0\n  delta: 1e-5\n  epsilon: 3\n"                                                 \
    "federation:\n  hospitals: [{name: h1}]\n"
#define LAYERS                                                                                                         \
    "    - conv2d: {channels: 16, kernel: 8, stride: 2, padding: 3}\n"                                                 \
    "    - tanh\n"                                                                                                     \
    "    - max_pool: {size: 2, stride: 1}\n"                                                                           \
    "    - conv2d: {channels: 32, kernel: 4, stride: 2}\n"                                                             \
    "    - tanh\n"                                                                                                     \
    "    - max_pool: {size: 2, stride: 1}\n"                                                                           \
    "    - dense: {width: 32}\n"                                                                                       \
    "    - tanh\n"

static const char good[] = HEAD LAYERS TAIL;

static void layers_reach_the_plan_with_their_shapes(void **state)
{
    struct ym_plan *p = plan_must(good);
    struct ym_model m;

    (void)state;
    assert_int_equal(p->family, YM_FAMILY_NETWORK);
    assert_int_equal(p->input[0].kind, YM_VAR_IMAGE);
    assert_true(p->input[0].mean == 0.5 && p->input[0].scale == 0.5);
    assert_int_equal(ym_plan_columns(p), 784);
    assert_int_equal(p->network.count, 9);
    assert_int_equal(p->network.layer[0].out.height, 14);
    assert_int_equal(p->network.layer[2].out.width, 13);
    assert_int_equal(p->network.layer[3].out.height, 5);
    assert_int_equal(p->network.layer[5].out.channels, 32);
    assert_int_equal(p->network.layer[6].weights, 4 * 4 * 32 * 32);
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_int_equal(m.dim, 26010); /* Tramèr and Boneh 2021, table 10 */
    assert_int_equal(ym_model_outputs(&m), 10);
    ym_plan_free(p);
}

static void canonical_form_says_the_same(void **state)
{
    char *text = text_edit(good, "    - tanh\n",
                           "    - tanh\n    - residual: [tanh, conv2d: {channels: 16, kernel: 3, padding: 1}, "
                           "group_norm: {groups: 4}]\n    - avg_pool: {size: 1}\n    - relu\n");
    struct ym_plan *p = plan_must(text), *again = NULL;

    (void)state;
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &again, NULL), YM_OK);
    assert_memory_equal(&p->network, &again->network, sizeof p->network);
    assert_memory_equal(p->hash, again->hash, sizeof p->hash);
    assert_non_null(strstr((const char *)p->canonical.data, "\"mean\":\"0.5\""));
    ym_plan_free(p);
    ym_plan_free(again);
    free(text);
}

static const struct bad {
    const char *find, *replace;
    int line;
    const char *key, *part;
} bad_plans[] = {
    {"kernel: 8, stride: 2", "kernel: 8, stride: 20", 12, "model.layers[0].conv2d.stride", "1 to 16"},
    {"kernel: 8", "kernel: 16", 12, "model.layers[0].conv2d.kernel", "1 to 15"},
    {"padding: 3", "padding: 8", 12, "model.layers[0].conv2d", "less than the kernel"},
    {"channels: 16", "channels: 0", 12, "model.layers[0].conv2d.channels", "1 to 1024"},
    {"channels: 16", "chanels: 16", 12, "model.layers[0].conv2d.chanels", "\"channels\""},
    {"max_pool: {size: 2, stride: 1}", "max_pool: {size: 15}", 14, "model.layers[2].max_pool", "input is 14x14"},
    {"    - dense: {width: 32}\n", "    - max_pool: {size: 4}\n    - max_pool: {size: 3}\n", 19,
     "model.layers[7].max_pool", "input is 1x1"},
    {"    - tanh\n", "    - batch_norm\n", 13, "model.layers[1]", "group_norm"},
    {"    - tanh\n", "    - batch_norm: {momentum: 0.1}\n", 13, "model.layers[1]", "one patient would change"},
    {"    - tanh\n", "    - swish\n", 13, "model.layers[1]", "must be one of"},
    {"    - tanh\n", "    - {tanh: {}}\n", 13, "model.layers[1]", "must be one of"},
    {"    - tanh\n", "    - {dense: {width: 3}, conv2d: {channels: 3, kernel: 1}}\n", 13, "model.layers[1]",
     "must be one of"},
    {"    - tanh\n", "    - group_norm: {groups: 3}\n", 13, "model.layers[1].group_norm", "3 groups do not divide"},
    {"    - tanh\n", "    - residual: [conv2d: {channels: 16, kernel: 3}]\n", 13, "model.layers[1].residual",
     "12x12x16"},
    {"    - tanh\n", "    - residual: [residual: [tanh]]\n", 13, "model.layers[1].residual[0].residual", "already"},
    {"width: 32", "width: 65537", 18, "model.layers[6].dense.width", "1 to 65536"},
    {"    - tanh\n    - max_pool", "    - dense: {width: 65536}\n    - max_pool", 13, "model.layers[1].dense",
     "67108864"},
    {"height: 28", "height: 513", 9, "model.inputs[0].height", "1 to 512"},
    {"channels: 1,", "channels: 5,", 9, "model.inputs[0].channels", "1 to 4"},
    {"width: 28}", "width: 28, scale: 0}", 9, "model.inputs[0].scale", "0.001"},
    {"width: 28}", "width: 28, missing: drop}", 9, "model.inputs[0].missing", "unknown"},
    {"channels: 1, height: 28, width: 28", "low: 0, high: 1, unit: mm", 8, "model.inputs", "exactly one input"},
    {"family: network", "family: multinomial", 11, "model.layers", "network"},
    {"epsilon: 3", "epsilon: 3\n  route: bounded", 25, "privacy.route", "integer"},
};

static void what_cannot_be_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_plans / sizeof *bad_plans; i++) {
        const struct bad *b = &bad_plans[i];
        char *text = text_edit(good, b->find, b->replace);
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        bool found = false;

        assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
        for (size_t k = 0; k < p.count; k++)
            found |= p.item[k].line == b->line && strcmp(p.item[k].key, b->key) == 0 &&
                     strstr(p.item[k].message, b->part) != NULL;
        if (!found) {
            struct ym_buf why = {0};

            ym_problems_format(&p, &why);
            fail_msg("%zu: '%s': %s", i, b->replace, ym_buf_str(&why));
        }
        ym_problems_release(&p);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_reach_the_plan_with_their_shapes),
        cmocka_unit_test(canonical_form_says_the_same),
        cmocka_unit_test(what_cannot_be_is_refused_with_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

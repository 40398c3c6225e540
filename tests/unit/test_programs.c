/* Programs that a plan may ask for on top of the plain ones: their keys, and the study that ends before its last round.
 */
#include <math.h>

#include "gate_help.h"
#include "models/metric.h"
#include "models/model.h"
#include "models/state.h"
#include "models/stop.h"

#define MODEL(inputs, outcome) "model:\n" inputs "  outcome: " outcome "\n"
#define NUMBERS "  family: logistic\n  inputs: [{name: a, low: 0, high: 1}]\n"
#define PICTURE                                                                                                        \
    "  family: network\n  inputs: [{name: p, channels: 1, height: 8, width: 6}]\n  layers: [dense: {width: 2}]\n"
#define TWO "{name: y, levels: [\"no\", \"yes\"]}"
#define THREE "{name: y, levels: [a, b, c]}"
#define STUDY(model, training, metrics)                                                                                \
    "yumen: plan/1\nstudy: s\nsponsor: acme\ntitle: t\npurpose: p\n" model                                             \
    "training: {rounds: 9, local_steps: 4, sampling_probability: 0.25, nominal_patients: 100, learning_rate: "         \
    "0.5" training "}\nprivacy: {noise_multiplier: 8, delta: 1e-5, epsilon: 9}\n" metrics                              \
    "federation: {hospitals: [{name: h1, weight: 2}, {name: h2}]}\n"
#define METRICS(stop) "metrics: {every: 2, bins: 2, noise_multiplier: 4" stop "}\n"

static void keys_reach_the_plan_and_defaults_stay_away(void **state)
{
    static const char stop[] =
        STUDY(MODEL(NUMBERS, TWO), ", correction: scaffold", METRICS(", stop: {figure: auc, by: 0.01, after: 2}"));
    static const char views[] =
        STUDY(MODEL(PICTURE, TWO), ", augmentation: {flip: horizontal, shift: 2, views: 4}", "");
    static const char plain[] = STUDY(MODEL(NUMBERS, TWO), "", METRICS(""));
    static const char none[] = STUDY(MODEL(NUMBERS, TWO), ", correction: none", METRICS(""));
    struct ym_plan *p = plan_must(stop), *q = plan_must(views), *a = plan_must(plain), *b = plan_must(none), *again;

    (void)state;
    assert_true(p->scaffold && p->stop_figure == YM_STOP_AUC && p->stop_after == 2 && p->stop_by == 0.01);
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &again, NULL), YM_OK);
    assert_memory_equal(p->hash, again->hash, sizeof p->hash);
    assert_true(q->augment.views == 4 && q->augment.shift == 2 && q->augment.flip && !q->augment.black);
    assert_memory_equal(a->hash, b->hash, sizeof a->hash);
    assert_null(strstr((const char *)a->canonical.data, "correction"));
    assert_true(a->augment.views == 0 && a->stop_figure == YM_STOP_NEVER && !a->scaffold);
    ym_plan_free(p);
    ym_plan_free(q);
    ym_plan_free(a);
    ym_plan_free(b);
    ym_plan_free(again);
}

static const struct bad {
    const char *yaml, *key, *part;
} bad_plans[] = {
    {STUDY(MODEL(NUMBERS, TWO), ", correction: scafold", ""), "training.correction", "scaffold"},
    {STUDY(MODEL(NUMBERS, TWO), ", correction: scaffold, momentum: 0.9", ""), "training.correction", "plain sgd"},
    {STUDY(MODEL(NUMBERS, TWO), ", correction: scaffold, optimizer: adam", ""), "training.correction", "plain sgd"},
    {STUDY(MODEL(NUMBERS, TWO), ", correction: scaffold, prox: 1", ""), "training.correction", "plain sgd"},
    {STUDY(MODEL(NUMBERS, TWO), ", correction: scaffold, schedule: {shape: cosine}", ""), "training.correction",
     "constant rate"},
    {STUDY(MODEL(NUMBERS, TWO), ", augmentation: {flip: horizontal}", ""), "training.augmentation", "network"},
    {STUDY(MODEL(PICTURE, TWO), ", augmentation: {views: 3}", ""), "training.augmentation", "changes nothing"},
    {STUDY(MODEL(PICTURE, TWO), ", augmentation: {shift: 6}", ""), "training.augmentation.shift", "height and width"},
    {STUDY(MODEL(PICTURE, TWO), ", augmentation: {shift: 65}", ""), "training.augmentation.shift", "0 to 64"},
    {STUDY(MODEL(PICTURE, TWO), ", augmentation: {shift: 1, views: 17}", ""), "training.augmentation.views", "1 to 16"},
    {STUDY(MODEL(PICTURE, TWO), ", augmentation: {rotate: 1}", ""), "training.augmentation.rotate", ""},
    {STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: auc, after: 4}")), "metrics.stop.after",
     "4 metric rounds"},
    {STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: loss, after: 1}")), "metrics.stop.figure", "accuracy"},
    {STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: auc}")), "metrics.stop.after", ""},
    {STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: auc, after: 1, by: 2}")), "metrics.stop.by", ""},
    {STUDY(MODEL(PICTURE, THREE), "", "metrics: {every: 2, noise_multiplier: 4, stop: {figure: auc, after: 1}}\n"),
     "metrics.stop.figure", "accuracy for all classes"},
};

static void what_cannot_be_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_plans / sizeof *bad_plans; i++) {
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        bool found = false;

        assert_int_equal(plan_parse(bad_plans[i].yaml, &plan, &p), YM_INVALID);
        for (size_t k = 0; k < p.count; k++)
            found |= strcmp(p.item[k].key, bad_plans[i].key) == 0 && strstr(p.item[k].message, bad_plans[i].part);
        if (!found) {
            struct ym_buf why = {0};

            ym_problems_format(&p, &why);
            fail_msg("%zu: %s", i, ym_buf_str(&why));
        }
        ym_problems_release(&p);
    }
}

/* Two bins of 10 patients each: of every label `right` in the bin of its own. AUC of such counts is right / 10. */
static void counts(int right, int64_t cell[4])
{
    const int64_t in = 16 * right, out = 16 * (10 - right);

    cell[0] = cell[3] = in;
    cell[1] = cell[2] = out;
}

static void stop_counts_figures_that_are_not_better(void **state)
{
    static const struct {
        int right;
        double best, since;
    } rows[] = {{5, 0.5, 0}, {8, 0.8, 0}, {8, 0.8, 1}, {6, 0.8, 2}, {9, 0.8, 3}, {10, 1, 0}, {-1, 1, 1}};
    struct ym_plan *p =
        plan_must(STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: accuracy, by: 0.1, after: 3}")));
    double stop[2];
    int64_t cell[4] = {0};

    (void)state;
    ym_stop_initial(stop);
    ym_stop_take(p, cell, stop); /* nothing to divide by: no figure, and no best */
    assert_true(stop[1] == -1 && ym_stop_valid(p, stop));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(cell, 0, sizeof cell);
        if (rows[i].right >= 0)
            counts(rows[i].right, cell);
        ym_stop_take(p, cell, stop);
        if (!(fabs(stop[0] - rows[i].best) < 1e-12 && stop[1] == rows[i].since))
            fail_msg("%zu: %g %g", i, stop[0], stop[1]);
        assert_int_equal(ym_stop_reached(p, stop), rows[i].since >= 3);
    }
    p->stop_figure = YM_STOP_BRIER; /* less is better */
    ym_stop_initial(stop);
    counts(5, cell);
    ym_stop_take(p, cell, stop);
    counts(9, cell);
    ym_stop_take(p, cell, stop);
    assert_true(stop[1] == 0 && stop[0] < 0.2);
    counts(5, cell);
    ym_stop_take(p, cell, stop);
    assert_true(stop[1] == 1);
    ym_plan_free(p);
}

static struct ym_buf next(const struct ym_plan *p, const struct ym_buf *state, uint32_t round, int64_t *sum)
{
    static const char *const both[] = {"h1", "h2"};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf out = {0};

    if (ym_state_next(p, ym_buf_bytes(state), &(struct ym_round_sum){round, sum, both, 2}, &out, &st) != YM_OK)
        fail_msg("%s", st.message);
    return out;
}

/* The state decides: figures move it in metric rounds alone, and a state out of range is none. */
static void states_say_when_the_study_stops(void **state)
{
    struct ym_plan *p = plan_must(STUDY(MODEL(NUMBERS, TWO), "", METRICS(", stop: {figure: auc, after: 1}")));
    struct ym_model m;
    struct ym_buf now = {0};
    double extra[YM_MODEL_MAX_EXTRA], bad = 77;
    int64_t sum[6];

    (void)state;
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    assert_true(ym_model_update_dim(&m) == 6 && m.state_extra == 2);
    assert_int_equal(ym_state_initial(p, &now, NULL), YM_OK);
    for (uint32_t round = 1; round <= 4; round++) {
        struct ym_buf after;

        memset(sum, 0, sizeof sum);
        if (round % 2 == 0)
            counts(10 - (int)round, sum + ym_model_metric_at(&m));
        after = next(p, &now, round, sum);
        ym_buf_release(&now);
        now = after;
        assert_int_equal(ym_state_extra(p, ym_buf_bytes(&now), extra, NULL), YM_OK);
        assert_int_equal(ym_state_stops(p, &m, extra), round == 4);
        assert_true(extra[1] == (round < 2 ? -1 : round < 4 ? 0 : 1));
        assert_true(extra[0] == (round < 2 ? 0 : extra[0]) && (round < 2 || fabs(extra[0] - 0.8) < 1e-12));
    }
    memcpy(now.data + now.len - 8, &bad, sizeof bad);
    assert_int_equal(ym_state_extra(p, ym_buf_bytes(&now), extra, NULL), YM_CORRUPT);
    ym_buf_release(&now);
    ym_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_reach_the_plan_and_defaults_stay_away),
        cmocka_unit_test(what_cannot_be_is_refused_with_its_place),
        cmocka_unit_test(stop_counts_figures_that_are_not_better),
        cmocka_unit_test(states_say_when_the_study_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

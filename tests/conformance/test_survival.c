/* Survival and Poisson patients in the step: one patient is one example, whatever the number of its time bins. Tables
 * are built from a plan and a frozen set as at a hospital; sums are those before their noise (local_internal.h). */
#include <math.h>

#include "sim/score.h"
#include "tests/support/frozen.h"
#include "worker/trainer/local_internal.h"

#define PATIENTS 40
#define MOST_ROWS 4 /* three cuts */

static const char card_text[] =
    "yumen: card/1\nname: d1\ntitle: t\nfile: x.csv\npatient_column: id\nsize_class: \"<100\"\n"
    "tier: general\nvariables:\n"
    "  - {name: age, column: a, low: 0, high: 100}\n"
    "  - {name: days, column: t, low: 0, high: 1000}\n"
    "  - {name: falls, column: n, low: 0, high: 50}\n"
    "  - {name: dead, column: d, levels: [no, yes]}\n";

static const char *const models[] = {
    "  family: discrete_hazard\n  inputs: [{name: age, low: 0, high: 100}]\n"
    "  outcome: {name: dead, levels: [no, yes]}\n  time: {name: days, high: 1000}\n  cuts: [200, 400, 600]\n",
    "  family: piecewise_exponential\n  inputs: [{name: age, low: 0, high: 100}]\n"
    "  outcome: {name: dead, levels: [no, yes]}\n  time: {name: days, high: 1000}\n  cuts: [200, 400, 600]\n",
    "  family: poisson\n  inputs: [{name: age, low: 0, high: 100}, {name: days, low: 1, high: 1000}]\n"
    "  outcome: {name: falls, low: 0, high: 50}\n  formula: \"falls ~ age + offset(log(days))\"\n",
};
#define MODELS (sizeof models / sizeof *models)

struct cohort {
    struct ym_plan *plan;
    struct ym_frozen *f;
    struct ym_table *t;
    struct ym_model m;
    struct ym_local_work *w;
    float params[8];
};

/* Patient i of those below `patients`; its values hang on i alone. */
static struct ym_frozen *frozen_of(size_t patients)
{
    struct ym_card *card = card_must(card_text);
    struct ym_buf csv = {0};
    struct ym_frozen *out;

    ym_buf_puts(&csv, "id,a,t,n,d\n");
    for (size_t i = 0; i < patients; i++)
        ym_buf_printf(&csv, "p%zu,%zu,%zu,%zu,%s\n", i, i * 37 % 101, 210 + i * 97 % 900, i % 7, i % 3 ? "yes" : "no");
    out = frozen_must(card, ym_buf_bytes(&csv));
    ym_card_free(card);
    ym_buf_release(&csv);
    return out;
}

static void set_up(struct cohort *c, const char *model, enum ym_route route)
{
    struct ym_buf text = {0};

    memset(c, 0, sizeof *c);
    ym_buf_printf(&text,
                  "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n%s"
                  "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 40, "
                  "learning_rate: 1}\nprivacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, clip_norm: 0.7}\n"
                  "federation: {hospitals: [{name: h1}]}\n",
                  model);
    c->plan = plan_must(ym_buf_str(&text));
    c->plan->route = route;
    c->f = frozen_of(PATIENTS);
    assert_int_equal(ym_table_build(c->plan, c->f, NULL, &c->t, NULL, NULL), YM_OK);
    assert_int_equal(c->t->patients, PATIENTS);
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    assert_true(c->m.dim <= 8);
    assert_int_equal(c->m.summed, ym_plan_survival(c->plan)); /* bins add up to the patient's log-likelihood */
    for (size_t i = 0; i < c->m.dim; i++)
        c->params[i] = 0.3f - 0.2f * (float)i;
    c->w = ym_local_work_new(c->plan, &c->m, c->t);
    assert_non_null(c->w);
    ym_buf_release(&text);
}

static void tear_down(struct cohort *c)
{
    ym_local_work_free(c->w);
    ym_table_free(c->t);
    ym_frozen_free(c->f);
    ym_plan_free(c->plan);
}

static void sum_of(struct cohort *c, const uint32_t *who, size_t count, int64_t sum[8])
{
    struct ym_local_step step = {
        .m = &c->m, .data = c->t, .params = c->params, .w = c->w, .sum = sum, .clip_norm = c->plan->clip_norm};

    uint64_t label[PATIENTS];

    for (size_t i = 0; i < count; i++) /* the patient's own, whoever is beside it */
        label[i] = UINT64_C(0x9e3779b97f4a7c15) * (who[i] + 1);
    memset(sum, 0, 8 * sizeof *sum);
    if (c->plan->route == YM_ROUTE_BOUNDED)
        ym_local_add_batched(&step, who, label, count);
    else
        ym_local_add_all(&step, who, count);
    ym_local_settle(&step);
}

/* The sum with a patient less the sum without is what it adds alone, inside the ball: to the bit, or as near as the
 * floats of one leaf are (privacy.md, lemma 1b): 64 units a patient of weight 1, here at most 2 * MOST_ROWS each. */
static void a_patient_changes_its_own_contribution_only(void **state)
{
    (void)state;
    for (size_t k = 0; k < MODELS; k++)
        for (int route = YM_ROUTE_INTEGER; route <= YM_ROUTE_BOUNDED; route++) {
            struct cohort c;
            uint32_t all[PATIENTS], but[PATIENTS];
            int64_t with[8], without[8], alone[8];

            set_up(&c, models[k], (enum ym_route)route);
            for (uint32_t i = 0; i < PATIENTS; i++)
                all[i] = i;
            sum_of(&c, all, PATIENTS, with);
            for (uint32_t p = 0; p < PATIENTS; p++) {
                size_t n = 0;
                double norm = 0;

                for (uint32_t i = 0; i < PATIENTS; i++)
                    if (i != p)
                        but[n++] = i;
                sum_of(&c, but, n, without);
                sum_of(&c, &p, 1, alone);
                for (size_t j = 0; j < c.m.dim; j++) {
                    double d = (double)(with[j] - without[j]);

                    norm += d * d;
                    assert_true(llabs(with[j] - without[j] - alone[j]) <=
                                (route == YM_ROUTE_BOUNDED ? 2 * 65 * (PATIENTS + 1) * 2 * MOST_ROWS : 0));
                }
                assert_true(norm <= 0x1p48);
            }
            tear_down(&c);
        }
}

/* Both routes clip the same gradient: those of the bounded one are smaller by at most what its radius gives up. */
static void both_routes_agree(void **state)
{
    (void)state;
    for (size_t k = 0; k < MODELS; k++) {
        struct cohort a, b;

        set_up(&a, models[k], YM_ROUTE_INTEGER);
        set_up(&b, models[k], YM_ROUTE_BOUNDED);
        for (uint32_t p = 0; p < PATIENTS; p++) {
            int64_t x[8], y[8];

            sum_of(&a, &p, 1, x);
            sum_of(&b, &p, 1, y);
            for (size_t j = 0; j < a.m.dim; j++)
                assert_true(fabs((double)(x[j] - y[j])) <= 64 + 5e-3 * fabs((double)x[j]));
        }
        tear_down(&a);
        tear_down(&b);
    }
}

/* Expected events of a constant hazard, by hand: rate per 1000 days times days watched in all. */
static void scores_count_events_over_the_time_watched(void **state)
{
    struct cohort c;
    struct ym_score s;
    double days = 0, events = 0;

    (void)state;
    set_up(&c, models[1], YM_ROUTE_INTEGER);
    memset(c.params, 0, sizeof c.params);
    c.params[4] = logf(1.5f);
    assert_int_equal(ym_score_table(c.plan, &c.m, c.params, c.t, &s, NULL), YM_OK);
    for (size_t p = 0; p < c.t->patients; p++) {
        days += (double)c.t->time[p];
        events += c.t->event[p];
    }
    assert_true(events > 5 && events < PATIENTS); /* some times lie behind the range */
    assert_true(fabs(s.expected - 1.5 * days / 1000) < 1e-4);
    assert_true(s.observed == events);
    assert_true(s.concordance == 0.5 && isnan(s.auc) && isnan(s.accuracy)); /* all risks alike */
    tear_down(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_patient_changes_its_own_contribution_only),
        cmocka_unit_test(both_routes_agree),
        cmocka_unit_test(scores_count_events_over_the_time_watched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

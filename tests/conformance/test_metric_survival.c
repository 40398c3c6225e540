/* Released metrics of survival plans: what one patient can change, and what counts tell. Data and noises are fixed. */
#include <math.h>

#include "base/rng_internal.h"
#include "models/metric.h"
#include "privacy/clip.h"
#include "tests/support/frozen.h"
#include "worker/trainer/metric.h"

#define PATIENTS 240
#define CELLS (9 * 8) /* three cuts: four bins, nine exits; eight risks */
#define ONE 16        /* a patient, in sixteenths */

static const char card_text[] =
    "yumen: card/1\nname: d1\ntitle: t\nfile: x.csv\npatient_column: id\nsize_class: \"100-499\"\n"
    "tier: general\nvariables:\n"
    "  - {name: age, column: a, low: 0, high: 100}\n"
    "  - {name: days, column: t, low: 0, high: 1000}\n"
    "  - {name: dead, column: d, levels: [no, yes]}\n";
static const char *const families[] = {"discrete_hazard", "piecewise_exponential"};

struct patient {
    size_t age, days, dead;
};

static uint64_t mix(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9u;
    i = (i ^ (i >> 27)) * 0x94d049bb133111ebu;
    return i ^ (i >> 31);
}

/* The older the sooner; some past the end; all seen beyond the first cut or dead before, so that both families count
 * them. */
static struct patient patient_of(size_t i)
{
    size_t age = mix(i) % 101, dead = mix(i + 7000) % 3 > 0;
    double u = ((double)(mix(i + 3000) >> 11) + 0.5) * 0x1p-53;
    size_t days = (size_t)(-log(u) * 60000 / (double)(age + 30));

    days = days > 1300 ? 1300 : days;
    return (struct patient){age, days < 201 && !dead ? 201 + days : days + 1, dead};
}

struct cohort {
    struct ym_plan *plan;
    struct ym_frozen *f;
    struct ym_table *t;
    struct ym_model m;
    float params[8];
};

static struct ym_frozen *frozen_of(size_t without)
{
    struct ym_card *card = card_must(card_text);
    struct ym_buf csv = {0};
    struct ym_frozen *out;

    ym_buf_puts(&csv, "id,a,t,d\n");
    for (size_t i = 0; i < PATIENTS; i++) {
        struct patient p = patient_of(i);

        if (i != without)
            ym_buf_printf(&csv, "p%zu,%zu,%zu,%s\n", i, p.age, p.days, p.dead ? "yes" : "no");
    }
    out = frozen_must(card, ym_buf_bytes(&csv));
    ym_card_free(card);
    ym_buf_release(&csv);
    return out;
}

static void set_up(struct cohort *c, const char *family, size_t without)
{
    struct ym_buf text = {0};

    memset(c, 0, sizeof *c);
    ym_buf_printf(&text,
                  "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: %s\n"
                  "  inputs: [{name: age, low: 0, high: 100}]\n  outcome: {name: dead, levels: [no, yes]}\n"
                  "  time: {name: days, high: 1000}\n  cuts: [200, 400, 600]\n"
                  "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 240, "
                  "learning_rate: 1}\nprivacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 9}\n"
                  "metrics: {every: 1, noise_multiplier: 4}\nfederation: {hospitals: [{name: h1}]}\n",
                  family);
    c->plan = plan_must(ym_buf_str(&text));
    c->f = frozen_of(without);
    assert_int_equal(ym_table_build(c->plan, c->f, NULL, &c->t, NULL, NULL), YM_OK);
    assert_int_equal(c->t->patients, PATIENTS - (without < PATIENTS));
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    assert_int_equal(c->m.metric_dim, CELLS);
    assert_int_equal(ym_plan_metric_dim(c->plan), CELLS);
    c->params[0] = 0.9f; /* age, bins 2 to 4, intercept */
    c->params[1] = 0.1f, c->params[2] = -0.2f, c->params[3] = 0.3f;
    c->params[4] = strcmp(family, families[0]) == 0 ? -1.5f : 0.2f;
    ym_buf_release(&text);
}

static void tear_down(struct cohort *c)
{
    ym_table_free(c->t);
    ym_frozen_free(c->f);
    ym_plan_free(c->plan);
}

static enum ym_code open_keyed(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    static const uint8_t key[32] = {7};

    (void)ctx;
    return ym_rng_open_keyed(key, out, st);
}

static void release(const struct cohort *c, int64_t *out)
{
    assert_int_equal(ym_local_metrics(c->plan, &c->m, c->t, c->params, NULL, 1, open_keyed, NULL, out, NULL), YM_OK);
}

/* Worked out from docs/plan.md, in double. */
static size_t cell_of(const struct cohort *c, struct patient p)
{
    static const double ends[] = {200, 400, 600, 1000};
    double survival = 1, from = 0, x = 2 * (double)p.age / 100 - 1;
    size_t bin = 0, exit;

    for (size_t k = 0; k < 4; k++) {
        double z = (double)c->params[4] + (double)c->params[0] * x + (k ? (double)c->params[k] : 0);

        survival *= c->plan->family == YM_FAMILY_DISCRETE_HAZARD ? 1 - 1 / (1 + exp(-z))
                                                                 : exp(-exp(z) * (ends[k] - from) / 1000);
        from = ends[k];
    }
    while (bin < 3 && (double)p.days > ends[bin])
        bin++;
    exit = p.days > 1000 || (p.days == 1000 && !p.dead) ? 8 : p.dead ? bin : 4 + bin;
    return exit * 8 + (size_t)((1 - survival) * 8);
}

static void a_patient_more_moves_its_own_count_by_exactly_one(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        int64_t with[CELLS], without[CELLS];
        struct cohort all, fewer;

        set_up(&all, families[f], SIZE_MAX);
        release(&all, with);
        for (size_t i = 0; i < PATIENTS; i += 5) {
            set_up(&fewer, families[f], i);
            release(&fewer, without);
            for (size_t k = 0; k < CELLS; k++)
                assert_int_equal(with[k] - without[k], k == cell_of(&all, patient_of(i)) ? ONE : 0);
            tear_down(&fewer);
        }
        tear_down(&all);
    }
}

static void exact_counts(const struct cohort *c, int64_t out[CELLS])
{
    memset(out, 0, CELLS * sizeof *out);
    for (size_t i = 0; i < PATIENTS; i++)
        out[cell_of(c, patient_of(i))] += ONE;
}

static size_t bin_of_exit(size_t exit)
{
    return exit == 8 ? 4 : exit % 4;
}

/* Pair by pair, and the life table by its definition. */
static void figures_are_those_of_their_definition(void **state)
{
    struct cohort c;
    struct ym_metric m;
    int64_t cells[CELLS];
    double right = 0, pairs = 0, survival = 1, at_risk = PATIENTS, expected = 0;

    (void)state;
    set_up(&c, families[1], SIZE_MAX);
    exact_counts(&c, cells);
    ym_metric_read(c.plan, cells, 1, &m);
    for (size_t i = 0; i < PATIENTS; i++) {
        size_t a = cell_of(&c, patient_of(i));

        expected += ((double)(a % 8) + 0.5) / 8 / PATIENTS;
        for (size_t j = 0; j < PATIENTS; j++) {
            size_t b = cell_of(&c, patient_of(j));

            if (a / 8 >= 4 || bin_of_exit(b / 8) <= a / 8)
                continue;
            pairs++;
            right += a % 8 > b % 8 ? 1 : a % 8 == b % 8 ? 0.5 : 0;
        }
    }
    for (size_t k = 0; k < 4; k++) {
        double d = 0, gone = 0;

        for (size_t r = 0; r < 8; r++) {
            d += (double)cells[k * 8 + r] / ONE;
            gone += (double)cells[(4 + k) * 8 + r] / ONE;
        }
        survival *= 1 - d / (at_risk - gone / 2);
        at_risk -= d + gone;
    }
    assert_true(pairs > 5000 && fabs(m.concordance.value - right / pairs) < 1e-12);
    assert_true(m.concordance.value > 0.55 && m.concordance.value < 0.95);
    assert_true(fabs(m.observed.value - (1 - survival)) < 1e-12 && m.observed.value > 0.2);
    assert_true(fabs(m.expected.value - expected) < 1e-12);
    assert_true(fabs(m.patients.value - PATIENTS) < 1e-9);
    assert_true(isnan(m.auc.value) && isnan(m.accuracy.value) && isnan(m.brier.value));
    tear_down(&c);
}

static double normal(uint64_t i)
{
    double u = ((double)(mix(2 * i) >> 11) + 0.5) * 0x1p-53, v = ((double)(mix(2 * i + 1) >> 11) + 0.5) * 0x1p-53;

    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* Of 4000 noised releases: the spread of each figure is what it states, within 10 % (its own error is 1.1 %). */
static void stated_deviations_are_those_of_the_noise(void **state)
{
    enum { RELEASES = 4000 };
    struct cohort c;
    struct ym_metric exact, m;
    int64_t cells[CELLS], noised[CELLS];
    double squares[4] = {0};

    (void)state;
    set_up(&c, families[1], SIZE_MAX);
    c.plan->metric_sigma_units = YM_CLIP_UNITS; /* one patient */
    exact_counts(&c, cells);
    for (size_t k = 0; k < CELLS; k++)
        cells[k] *= 10; /* a cohort in which the first order rules */
    ym_metric_read(c.plan, cells, 1, &exact);
    for (uint64_t r = 0; r < RELEASES; r++) {
        for (size_t k = 0; k < CELLS; k++)
            noised[k] = cells[k] + (int64_t)lrint(normal(r * CELLS + k) * ONE);
        ym_metric_read(c.plan, noised, 1, &m);
        squares[0] += pow(m.concordance.value - exact.concordance.value, 2) / RELEASES;
        squares[1] += pow(m.observed.value - exact.observed.value, 2) / RELEASES;
        squares[2] += pow(m.expected.value - exact.expected.value, 2) / RELEASES;
        squares[3] += pow(m.patients.value - exact.patients.value, 2) / RELEASES;
    }
    assert_true(fabs(sqrt(squares[0]) / exact.concordance.sd - 1) < 0.1);
    assert_true(fabs(sqrt(squares[1]) / exact.observed.sd - 1) < 0.1);
    assert_true(fabs(sqrt(squares[2]) / exact.expected.sd - 1) < 0.1);
    assert_true(fabs(sqrt(squares[3]) / exact.patients.sd - 1) < 0.1);
    tear_down(&c);
}

/* Whatever the floats hold, a patient has one cell. */
static void hostile_values_stay_inside(void **state)
{
    static const float values[] = {NAN, INFINITY, -INFINITY, -1, 0, 1, 1e30f, 1000};
    struct cohort c;

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        set_up(&c, families[f], SIZE_MAX);
        for (size_t i = 0; i < 8; i++)
            for (size_t j = 0; j < 8; j++) {
                float hazard[4] = {values[i], values[j], 0.1f, values[i]};

                for (int event = 0; event < 2; event++)
                    assert_true(ym_metric_exit_cell(c.plan, hazard, values[j], event) < CELLS);
            }
        tear_down(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_patient_more_moves_its_own_count_by_exactly_one),
        cmocka_unit_test(figures_are_those_of_their_definition),
        cmocka_unit_test(stated_deviations_are_those_of_the_noise),
        cmocka_unit_test(hostile_values_stay_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

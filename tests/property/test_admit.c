/* Who lacks a consent is as if never frozen: tables, sampled steps, noise and counts of the set with them are those of
 * the set without their rows, to the bit. */

#include "models/model.h"
#include "sim/rng_seeded.h"
#include "tests/support/frozen.h"
#include "worker/data/admit.h"
#include "worker/trainer/local.h"
#include "worker/trainer/metric.h"

enum { PATIENTS = 90, CASES = 40 };

static const char card_text[] =
    "yumen: card/1\nname: d1\ntitle: t\nfile: x.csv\npatient_column: id\nsize_class: \"<100\"\ntier: general\n"
    "variables:\n"
    "  - {name: age, column: age, unit: year, low: 0, high: 100}\n"
    "  - {name: days, column: days, unit: day, low: 0, high: 100}\n"
    "  - {name: ill, column: ill, levels: [\"no\", \"yes\"]}\n"
    "border: {exporter: Hospital, declares: {sensitive_pi: \"no\", hgr: \"no\"}}\n"
    "consent:\n"
    "  given:\n"
    "    participation: {column: in, codes: [y]}\n"
    "    secondary_use: {column: again, codes: [y]}\n"
    "  nobody: [bundled, broad, vulnerable]\n"
    "  notice_column: notice\n"
    "  notices: [{code: N1, level: general, recipient: Us, contact: c, purpose: p, method: m, categories: k, rights: "
    "r}]\n";

static const struct {
    const char *text;
    int records; /* a survival family takes one a patient */
} models[] = {
    {"  family: logistic\n  inputs: [{name: age, unit: year, low: 0, high: 100}]\n"
     "  outcome: {name: ill, levels: [\"no\", \"yes\"]}\n",
     2},
    {"  family: discrete_hazard\n  inputs: [{name: age, unit: year, low: 0, high: 100}]\n"
     "  outcome: {name: ill, levels: [\"no\", \"yes\"]}\n"
     "  time: {name: days, unit: day, high: 100}\n  cuts: [30, 60]\n",
     1},
};

static struct ym_plan *plan_of(size_t k)
{
    struct ym_buf text = {0};
    ym_buf_printf(&text,
                  "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n%s"
                  "training: {rounds: 2, local_steps: 2, sampling_probability: 0.5, nominal_patients: 40, "
                  "learning_rate: 1, max_records_per_patient: %d}\n"
                  "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 2}\n"
                  "evaluation: {holdout: 0.25}\nmetrics: {every: 1, noise_multiplier: 10}\n"
                  "federation: {hospitals: [{name: h1}]}\n"
                  "border: {recipient: Us, contact: c, method: m, categories: k, rights: r, storage: s, "
                  "foreign_law: none, declares: {recipient: mainland, overseas_access: none}}\n",
                  models[k].text, models[k].records);
    struct ym_plan *plan = plan_must(ym_buf_str(&text));
    ym_buf_release(&text);
    return plan;
}

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

/* Two files: everybody; only those who agreed to all of it. Returns how many these are. */
static size_t write_files(uint64_t seed, struct ym_buf *all, struct ym_buf *left)
{
    size_t agreed = 0;
    ym_buf_puts(all, "id,age,days,ill,in,again,notice\n");
    ym_buf_puts(left, "id,age,days,ill,in,again,notice\n");
    for (int p = 0; p < PATIENTS; p++) {
        bool in = next(&seed) % 4, again = next(&seed) % 4, notice = next(&seed) % 4;
        size_t rows = 1 + next(&seed) % 3, torn = next(&seed) % 16;
        bool good = in && again && notice && (torn >= rows);
        agreed += good;
        for (size_t r = 0; r < rows; r++) {
            char line[128];
            snprintf(line, sizeof line, "p%d,%u,%u,%s,%s,%s,%s\n", p, (unsigned)(next(&seed) % 100),
                     1 + (unsigned)(next(&seed) % 99), next(&seed) % 2 ? "yes" : "no", in && r != torn ? "y" : "",
                     again ? "y" : "n", notice ? "N1" : "N0");
            ym_buf_puts(all, line);
            if (good)
                ym_buf_puts(left, line);
        }
    }
    return agreed;
}

static struct ym_table *table_of(const struct ym_plan *plan, const struct ym_consent_need *need,
                                 const struct ym_frozen *f, size_t left)
{
    struct ym_admission admission;
    struct ym_table *t = NULL;
    assert_int_equal(ym_admit(need, f->consent, NULL, f->patient_count, &admission, NULL), YM_OK);
    assert_int_equal(admission.left, left);
    assert_int_equal(ym_table_build(plan, f, admission.out, &t, NULL, NULL), YM_OK);
    ym_admission_release(&admission);
    return t;
}

static void same_table(const struct ym_plan *plan, const struct ym_table *a, const struct ym_table *b)
{
    assert_int_equal(a->patients, b->patients);
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(a->first_row, b->first_row, (a->patients + 1) * sizeof *a->first_row);
    assert_memory_equal(a->x, b->x, a->rows * a->columns * sizeof *a->x);
    assert_memory_equal(a->y, b->y, a->rows * ym_plan_targets(plan) * sizeof *a->y);
    assert_int_equal(!a->held, !b->held);
    if (a->held)
        same_table(plan, a->held, b->held);
}

/* A round as it is released: steps and metrics. */
static int64_t *round_of(const struct ym_plan *plan, const struct ym_table *t, size_t *dim)
{
    struct ym_seeds seeds;
    struct ym_model m;
    ym_seeds_init(&seeds, 77, "h1/1");
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    *dim = ym_model_update_dim(&m);
    int64_t *update = calloc(*dim, sizeof *update);
    float *params = calloc(m.dim, sizeof *params);
    assert_int_equal(ym_local_round(plan, &m, t, params, NULL, NULL, 1, ym_seeds_open, &seeds, update, NULL), YM_OK);
    assert_int_equal(
        ym_local_metrics(plan, &m, t, params, NULL, 1, ym_seeds_open, &seeds, update + ym_model_metric_at(&m), NULL),
        YM_OK);
    free(params);
    return update;
}

static void who_lacks_a_consent_leaves_no_trace_in_a_release(void **state)
{
    struct ym_card *card = card_must(card_text);
    (void)state;
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        struct ym_plan *plan = plan_of(k);
        struct ym_consent_need need;
        ym_consent_needed(plan, card, false, false, &need);
        for (uint64_t i = 0; i < CASES; i++) {
            struct ym_buf all = {0}, left = {0};
            size_t agreed = write_files(i * 7919 + 1, &all, &left), dim;
            struct ym_frozen *f = frozen_must(card, ym_buf_bytes(&all)), *g = frozen_must(card, ym_buf_bytes(&left));
            struct ym_table *a = table_of(plan, &need, f, agreed), *b = table_of(plan, &need, g, agreed);
            assert_true(agreed < f->patient_count && agreed == g->patient_count);
            same_table(plan, a, b);
            int64_t *x = round_of(plan, a, &dim), *y = round_of(plan, b, &dim);
            assert_memory_equal(x, y, dim * sizeof *x);
            free(x);
            free(y);
            ym_table_free(a);
            ym_table_free(b);
            ym_frozen_free(f);
            ym_frozen_free(g);
            ym_buf_release(&all);
            ym_buf_release(&left);
        }
        ym_plan_free(plan);
    }
    ym_card_free(card);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_lacks_a_consent_leaves_no_trace_in_a_release)};
    return cmocka_run_group_tests_name("cohort", tests, NULL, NULL);
}

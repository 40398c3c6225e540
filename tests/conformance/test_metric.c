/* Released metrics, seen from outside: what one patient can change, what noise the counts carry, and what the counts
 * tell. Statistical cases draw from the kernel; CHECKS of them at FALSE_ALARM / CHECKS each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng_internal.h"
#include "models/metric.h"
#include "models/score.h"
#include "privacy/clip.h"
#include "tests/support/plan.h"
#include "tests/support/stats.h"
#include "worker/trainer/metric.h"

#define CHECKS 8
#define ONE 16 /* a patient, in sixteenths */
#define BINS 32
#define CELLS (2 * BINS)
#define PATIENTS 300

static void passes(const char *what, double p)
{
    if (!(p >= FALSE_ALARM / CHECKS))
        fail_msg("%s: p = %.3g", what, p);
}

/* One column; parameters 1 and 0, so that a row's score is 1 / (1 + e^-x). Every third patient has three rows. */
struct cohort {
    struct ym_table table;
    struct ym_plan *plan;
    struct ym_model m;
    float params[2];
};

static float uniform(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i ^= i >> 31;
    i *= 0xbf58476d1ce4e5b9u;
    return (float)(i >> 40) * 0x1p-24f;
}

static void build(struct cohort *c, size_t patients)
{
    struct ym_table *t = &c->table;

    memset(c, 0, sizeof *c);
    c->plan = plan_make(YM_FAMILY_LOGISTIC, 1, 1);
    c->plan->metric_every = 1;
    c->plan->metric_bins = BINS;
    c->plan->metric_sigma_units = 5 * YM_CLIP_UNITS / 2;
    assert_int_equal(ym_model_from_plan(c->plan, &c->m, NULL), YM_OK);
    assert_int_equal(c->m.metric_dim, CELLS);
    assert_int_equal(ym_model_metric_at(&c->m), c->m.dim);
    c->params[0] = 1;
    *t = (struct ym_table){.columns = 1, .patients = patients};
    t->first_row = calloc(patients + 1, sizeof *t->first_row);
    for (size_t i = 0; i < patients; i++)
        t->first_row[i + 1] = t->first_row[i] + (i % 3 ? 1 : 3);
    t->rows = t->first_row[patients];
    t->x = calloc(t->rows + 1, sizeof *t->x);
    t->y = calloc(t->rows + 1, sizeof *t->y);
    for (size_t i = 0; i < patients; i++)
        for (size_t r = t->first_row[i]; r < t->first_row[i + 1]; r++) {
            t->x[r] = 6 * uniform(r) - 3;
            t->y[r] = uniform(i + 1000) < 1 / (1 + expf(-2 * t->x[t->first_row[i]]));
        }
}

static void drop(struct cohort *c)
{
    plan_drop(c->plan);
    free(c->table.first_row);
    free(c->table.x);
    free(c->table.y);
}

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    ++*(int *)ctx;
    return ym_rng_open(out, st);
}

/* The same noise every time. */
static enum ym_code open_keyed(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    static const uint8_t key[32] = {7};

    (void)ctx;
    return ym_rng_open_keyed(key, out, st);
}

static void release(const struct cohort *c, ym_open_rng_fn open_rng, void *ctx, int64_t *out)
{
    assert_int_equal(ym_local_metrics(c->plan, &c->m, &c->table, c->params, NULL, 1, open_rng, ctx, out, NULL), YM_OK);
}

/* Where some are held out, they alone are counted: the others may be anybody. */
static void only_those_held_out_are_counted(void **state)
{
    int64_t alone[CELLS], beside[CELLS];
    struct cohort held, others;

    (void)state;
    build(&held, PATIENTS);
    release(&held, open_keyed, NULL, alone);
    build(&others, PATIENTS / 2);
    others.table.held = &held.table;
    for (size_t i = 0; i < others.table.rows; i++)
        others.table.y[i] = 1 - others.table.y[i];
    release(&others, open_keyed, NULL, beside);
    assert_memory_equal(alone, beside, sizeof alone);
    drop(&held);
    drop(&others);
}

/* ---- sensitivity ---- */

/* With the same noise, each patient taken away lowers one count by exactly one patient, whatever its rows. */
static void a_patient_more_moves_one_count_by_exactly_one(void **state)
{
    int64_t before[CELLS], after[CELLS];
    struct cohort c;

    (void)state;
    build(&c, PATIENTS);
    for (size_t n = PATIENTS; n-- > 0;) {
        size_t moved = 0;

        release(&c, open_keyed, NULL, before);
        c.table.patients = n;
        c.table.rows = c.table.first_row[n];
        release(&c, open_keyed, NULL, after);
        for (size_t i = 0; i < CELLS; i++) {
            assert_true(before[i] == after[i] || before[i] == after[i] + ONE);
            moved += before[i] != after[i];
        }
        assert_int_equal(moved, 1);
    }
    drop(&c);
}

static void scores_that_are_no_numbers_count_like_any_other(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    int64_t with[CELLS], without[CELLS], all;
    struct cohort c;

    (void)state;
    build(&c, PATIENTS);
    c.table.patients = 0;
    release(&c, open_keyed, NULL, without);
    c.table.patients = PATIENTS;
    for (size_t k = 0; k < 4; k++) {
        c.params[0] = c.params[1] = bad[k];
        all = 0;
        release(&c, open_keyed, NULL, with);
        for (size_t i = 0; i < CELLS; i++)
            all += with[i] - without[i];
        assert_int_equal(all, PATIENTS * ONE);
    }
    drop(&c);
}

/* ---- noise ---- */

static void counts_carry_the_noise_and_nothing_else(void **state)
{
    enum { RELEASES = 3000 };
    int64_t out[CELLS], last[CELLS] = {0};
    double x = 0, lag = 0, side = 0, sum = 0, n = (double)RELEASES * CELLS, sigma = 2.5 * ONE;
    double variance = sigma * sigma + 1.0 / 12; /* of the noise and of rounding */
    struct cohort c;
    int opened = 0;

    (void)state;
    build(&c, 0);
    for (int r = 0; r < RELEASES; r++) {
        release(&c, open_kernel, &opened, out);
        for (size_t i = 0; i < CELLS; i++) {
            x += (double)(out[i] * out[i]) / variance;
            sum += (double)out[i];
            lag += (double)(out[i] * last[i]) / variance;
            side += i > 0 ? (double)(out[i] * out[i - 1]) / variance : 0;
        }
        memcpy(last, out, sizeof last);
    }
    assert_int_equal(opened, RELEASES); /* a generator of its own for each */
    passes("variance", stats_normal_two_sided((x - n) / sqrt(2 * n)));
    passes("mean", stats_normal_two_sided(sum / sqrt(n * variance)));
    passes("release to release", stats_normal_two_sided(lag / sqrt(n)));
    passes("count to count", stats_normal_two_sided(side / sqrt(n)));
    drop(&c);
}

static void other_rounds_release_nothing(void **state)
{
    int64_t out[CELLS];
    struct cohort c;
    int opened = 0;

    (void)state;
    build(&c, PATIENTS);
    c.plan->metric_every = 4; /* of ten rounds: 4, 8 and the last */
    for (uint32_t round = 1; round <= 10; round++) {
        struct ym_events e;
        int64_t most = 0;

        memset(out, 0x5a, sizeof out);
        assert_int_equal(
            ym_local_metrics(c.plan, &c.m, &c.table, c.params, NULL, round, open_kernel, &opened, out, NULL), YM_OK);
        for (size_t i = 0; i < CELLS; i++)
            most = llabs(out[i]) > most ? llabs(out[i]) : most;
        ym_plan_events(c.plan, round, round, &e);
        assert_int_equal(most > 0, round == 4 || round == 8 || round == 10);
        assert_int_equal(e.count, most > 0 ? 2 : 1); /* and only then it is charged */
    }
    assert_int_equal(opened, 3);
    drop(&c);
}

static enum ym_code open_fails(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    (void)out;
    return ym_status_set(st, YM_INTERNAL, "no generator");
}

static void no_generator_means_no_counts(void **state)
{
    int64_t out[CELLS];
    struct cohort c;

    (void)state;
    build(&c, PATIENTS);
    memset(out, 0x5a, sizeof out);
    assert_int_equal(ym_local_metrics(c.plan, &c.m, &c.table, c.params, NULL, 1, open_fails, NULL, out, NULL),
                     YM_INTERNAL);
    for (size_t i = 0; i < CELLS; i++)
        assert_int_equal(out[i], 0);
    drop(&c);
}

static void counts_are_clamped_to_the_width(void **state)
{
    int64_t out[CELLS];
    struct cohort c;
    int opened = 0;

    (void)state;
    build(&c, PATIENTS);
    c.plan->update_width_bits = 8;
    c.plan->metric_sigma_units = (uint64_t)YM_CLIP_UNITS << 12;
    release(&c, open_kernel, &opened, out);
    for (size_t i = 0; i < CELLS; i++)
        assert_true(out[i] >= -128 && out[i] <= 127);
    drop(&c);
}

/* ---- the rule for one patient ---- */

static void a_patient_is_its_mean_score_and_its_most_frequent_label(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LOGISTIC, 1, 1), *k = plan_make(YM_FAMILY_MULTINOMIAL, 1, 3);
    const float score[] = {0.125f, 0.25f, 0.875f}, one = 1, nan = NAN, zero = 0;
    const float yes[] = {1, 0, 1}, tie[] = {1, 0};
    const float classes[] = {0.2f, 0.5f, 0.3f, 0.6f, 0.2f, 0.2f, 0.1f, 0.3f, 0.6f}, label[] = {2, 2, 0};

    (void)state;
    p->metric_every = k->metric_every = 1;
    p->metric_bins = 10;
    assert_int_equal(ym_metric_cell(p, score, yes, 3), 10 + 4); /* mean 0.417 */
    assert_int_equal(ym_metric_cell(p, score, tie, 2), 0 + 1);  /* a tie: the lower level */
    assert_int_equal(ym_metric_cell(p, &one, &one, 1), 10 + 9);
    assert_int_equal(ym_metric_cell(p, &zero, &zero, 1), 0);
    assert_int_equal(ym_metric_cell(p, &nan, &one, 1), 10);
    assert_int_equal(ym_plan_metric_dim(k), 9);
    assert_int_equal(ym_metric_cell(k, classes, label, 3), 2 * 3 + 2); /* means 0.3, 0.33, 0.37 */
    assert_int_equal(ym_metric_cell(k, classes, label, 1), 2 * 3 + 1);
    plan_drop(p);
    plan_drop(k);
}

/* ---- what counts tell ---- */

/* The figures of all releases against those of the patients themselves: the mean over R releases within the exact
 * figure's bin error and 5.3 / sqrt(R) of the stated deviation, and the stated deviation itself within a chi-square. */
static void figures_are_those_of_the_patients_within_their_noise(void **state)
{
    enum { RELEASES = 2000, MANY = 3000 };
    struct cohort c;
    struct ym_metric m;
    float *score, *label;
    int64_t out[CELLS], exact[CELLS] = {0};
    double auc = 0, square = 0, sd = 0, true_auc, bin_error = 0, p = 0;
    int opened = 0;

    (void)state;
    build(&c, MANY);
    c.table.rows = MANY; /* one row each, so that rows are patients */
    for (size_t i = 0; i <= MANY; i++)
        c.table.first_row[i] = i;
    score = calloc(MANY, sizeof *score);
    label = calloc(MANY, sizeof *label);
    for (size_t i = 0; i < MANY; i++) {
        score[i] = 1 / (1 + expf(-c.table.x[i]));
        c.table.y[i] = label[i] = uniform(i + 50000) < score[i];
        exact[ym_metric_cell(c.plan, &score[i], &label[i], 1)] += ONE;
        p += label[i];
    }
    true_auc = ym_score_auc(score, label, MANY, NULL);
    for (size_t i = 0; i < BINS; i++)
        bin_error += (double)(exact[i] * exact[BINS + i]) / ONE / ONE / 2 / (p * (MANY - p));
    for (int r = 0; r < RELEASES; r++) {
        release(&c, open_kernel, &opened, out);
        ym_metric_read(c.plan, out, 1, &m);
        auc += m.auc.value / RELEASES;
        square += (m.auc.value - true_auc) * (m.auc.value - true_auc);
        sd = m.auc.sd;
        assert_true(fabs(m.patients.value - MANY) <= 7 * m.patients.sd);
        assert_true(fabs(m.accuracy.value - ym_score_accuracy(score, 1, label, MANY)) <= 7 * m.accuracy.sd);
    }
    ym_metric_read(c.plan, exact, 1, &m);
    assert_true(fabs(m.auc.value - true_auc) <= bin_error);
    assert_true(fabs(m.accuracy.value - ym_score_accuracy(score, 1, label, MANY)) < 1e-12);
    assert_true(fabs(m.observed.value - p / MANY) < 1e-12);
    if (!(fabs(auc - m.auc.value) <= 5.3 * sd / sqrt(RELEASES)))
        fail_msg("mean AUC %.6f, of the counts %.6f, deviation %.6f", auc, m.auc.value, sd);
    square -= RELEASES * (m.auc.value - true_auc) * (m.auc.value - true_auc);
    if (!(fabs(square / (sd * sd * RELEASES) - 1) <= 5.3 * sqrt(2.0 / RELEASES)))
        fail_msg("the AUC's deviation is %.6f, not the %.6f it says", sqrt(square / RELEASES), sd);
    free(score);
    free(label);
    drop(&c);
}

static void counts_below_the_noise_give_no_figure(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LOGISTIC, 1, 1);
    const int64_t cells[4] = {-5, 2, 1, -3};
    struct ym_metric m;

    (void)state;
    p->metric_every = 1;
    p->metric_bins = 2;
    p->metric_sigma_units = YM_CLIP_UNITS;
    ym_metric_read(p, cells, 3, &m);
    assert_true(isnan(m.auc.value) && isnan(m.accuracy.value) && isnan(m.brier.value));
    assert_true(fabs(m.count_sd - sqrt(3 * (1 + 1.0 / 12 / 256))) < 1e-12);
    plan_drop(p);
}

/* By hand: two bins, labels 0: (6, 2), 1: (1, 3). */
static void a_tiny_case_by_hand(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LOGISTIC, 1, 1);
    const int64_t cells[4] = {6 * ONE, 2 * ONE, 1 * ONE, 3 * ONE};
    struct ym_metric m;
    double s = 0;
    const double by_p[2] = {3.0 / 32 - 0.75 / 4, 7.0 / 32 - 0.75 / 4};
    const double by_n[2] = {3.5 / 32 - 0.75 / 8, 1.5 / 32 - 0.75 / 8};

    (void)state;
    p->metric_every = 1;
    p->metric_bins = 2;
    p->metric_sigma_units = YM_CLIP_UNITS;
    ym_metric_read(p, cells, 1, &m);
    /* pairs: 1 x 3 + 3 x (6 + 1) = 24 of 4 x 8 */
    assert_true(fabs(m.auc.value - 0.75) < 1e-15);
    for (int i = 0; i < 2; i++)
        s += by_p[i] * by_p[i] + by_n[i] * by_n[i];
    s = m.count_sd * m.count_sd * s + pow(m.count_sd, 4) * (1 + 0.5) / (32.0 * 32);
    assert_true(fabs(m.auc.sd - sqrt(s)) < 1e-15);
    assert_true(fabs(m.accuracy.value - 9.0 / 12) < 1e-15);
    assert_true(fabs(m.accuracy.sd - m.count_sd * sqrt(2 * 0.0625 + 2 * 0.5625) / 12) < 1e-15);
    assert_true(fabs(m.brier.value - (6 * 0.0625 + 2 * 0.5625 + 0.5625 + 3 * 0.0625) / 12) < 1e-15);
    assert_true(fabs(m.expected.value - (7 * 0.25 + 5 * 0.75) / 12) < 1e-15);
    assert_true(fabs(m.observed.value - 4.0 / 12) < 1e-15);
    plan_drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_held_out_are_counted),
        cmocka_unit_test(a_patient_more_moves_one_count_by_exactly_one),
        cmocka_unit_test(scores_that_are_no_numbers_count_like_any_other),
        cmocka_unit_test(counts_carry_the_noise_and_nothing_else),
        cmocka_unit_test(other_rounds_release_nothing),
        cmocka_unit_test(no_generator_means_no_counts),
        cmocka_unit_test(counts_are_clamped_to_the_width),
        cmocka_unit_test(a_patient_is_its_mean_score_and_its_most_frequent_label),
        cmocka_unit_test(figures_are_those_of_the_patients_within_their_noise),
        cmocka_unit_test(counts_below_the_noise_give_no_figure),
        cmocka_unit_test(a_tiny_case_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

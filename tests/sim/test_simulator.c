#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "models/model.h"
#include "models/state.h"
#include "privacy/accountant.h"
#include "sim/federation.h"
#include "sim/plain.h"
#include "sim/rng_seeded.h"
#include "sim/site.h"
#include "sim/spread.h"
#include "sim/sweep.h"

/* A study of two numbers; PLAN holds what the cases vary. */
#define PLAN(family, outcome, rounds, noise)                                                                           \
    "yumen: plan/1\nstudy: s\nsponsor: acme\ntitle: t\npurpose: p\n"                                                   \
    "model:\n  family: " family "\n  inputs:\n"                                                                        \
    "    - {name: a, low: -1, high: 1}\n    - {name: b, low: -1, high: 1}\n"                                           \
    "  outcome: " outcome "\n  seed: 1\n"                                                                              \
    "training: {rounds: " rounds                                                                                       \
    ", local_steps: 2, sampling_probability: 0.5, nominal_patients: 20, learning_rate: 0.5, "                          \
    "max_records_per_patient: 1}\n"                                                                                    \
    "privacy: {clip_norm: 1, noise_multiplier: " noise ", delta: 1e-5, epsilon: 50, min_patients: 1}\n"                \
    "server: {optimizer: fedavg, learning_rate: 1}\n"                                                                  \
    "federation:\n  hospitals: [{name: h1}, {name: h2, weight: 2}]\n  quorum: 2\n"

#define SICK "{name: sick, levels: [\"no\", \"yes\"]}"

static struct ym_plan *plan_of(const char *yaml)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;
    enum ym_code code = ym_doc_parse("plan.yaml", yaml, strlen(yaml), &doc, &problems, &st);

    if (code == YM_OK)
        code = ym_plan_read(doc, &plan, &problems, &st);
    ym_problems_format(&problems, &text);
    if (code != YM_OK)
        fail_msg("%s %s", st.message, ym_buf_str(&text));
    ym_buf_release(&text);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return plan;
}

/* n patients on a line through the origin: a > 0 is sick, b is idle. */
struct toy {
    struct ym_table table;
    float x[64][2], y[64];
    uint64_t first_row[65];
};

static void toy_fill(struct toy *t, size_t n, float shift)
{
    for (size_t i = 0; i < n; i++) {
        float a = (float)i / (float)(n - 1) * 1.6f - 0.8f;

        t->x[i][0] = a + (a > 0 ? 0.1f : -0.1f);
        t->x[i][1] = shift * (i % 2 == 0 ? 1.0f : -1.0f);
        t->y[i] = a > 0 ? 1.0f : 0.0f;
        t->first_row[i] = i;
    }
    t->first_row[n] = n;
    t->table = (struct ym_table){
        .columns = 2, .rows = n, .patients = n, .x = &t->x[0][0], .y = t->y, .first_row = t->first_row};
}

struct seen {
    struct ym_sim_round last;
    int64_t epsilon[64];
    uint32_t count;
};

static void keep_round(void *ctx, const struct ym_sim_round *r)
{
    struct seen *s = ctx;

    s->last = *r;
    s->epsilon[r->round] = r->epsilon_micro;
    s->count++;
}

static struct ym_buf run(const struct ym_plan *plan, const struct ym_sim_options *o, bool swapped)
{
    struct ym_status st = YM_STATUS_INIT;
    static struct toy h1, h2;
    struct ym_sim_site sites[2];
    struct ym_buf state = {0};

    toy_fill(&h1, 30, 0.1f);
    toy_fill(&h2, 20, 0.2f);
    sites[swapped] = (struct ym_sim_site){.name = "h1", .data = &h1.table};
    sites[!swapped] = (struct ym_sim_site){.name = "h2", .data = &h2.table};
    if (ym_sim_run(plan, sites, 2, o, &state, &st) != YM_OK)
        fail_msg("%s", st.message);
    return state;
}

static bool same(const struct ym_buf *a, const struct ym_buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void seeded_run_repeats_to_the_bit(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "4", "2"));
    struct ym_sim_options seven = {.seeded = true, .seed = 7}, eight = {.seeded = true, .seed = 8}, open = {0};
    struct ym_buf a = run(plan, &seven, false), b = run(plan, &seven, false), swapped = run(plan, &seven, true);
    struct ym_buf other = run(plan, &eight, false), c = run(plan, &open, false), d = run(plan, &open, false);

    (void)state;
    assert_true(same(&a, &b));
    assert_true(same(&a, &swapped));
    assert_false(same(&a, &other));
    assert_false(same(&c, &d)); /* without a seed the kernel draws */
    ym_buf_release(&a);
    ym_buf_release(&b);
    ym_buf_release(&swapped);
    ym_buf_release(&other);
    ym_buf_release(&c);
    ym_buf_release(&d);
    ym_plan_free(plan);
}

static void each_opened_generator_draws_its_own_stream(void **state)
{
    struct ym_seeds seeds, twin, other;
    struct ym_rng *rng[4] = {0};
    uint64_t draw[4];

    (void)state;
    ym_seeds_init(&seeds, 1, "h1/1");
    ym_seeds_init(&twin, 1, "h1/1");
    ym_seeds_init(&other, 1, "h1/2");
    assert_int_equal(ym_seeds_open(&seeds, &rng[0], NULL), YM_OK);
    assert_int_equal(ym_seeds_open(&seeds, &rng[1], NULL), YM_OK);
    assert_int_equal(ym_seeds_open(&twin, &rng[2], NULL), YM_OK);
    assert_int_equal(ym_seeds_open(&other, &rng[3], NULL), YM_OK);
    for (int i = 0; i < 4; i++) {
        draw[i] = ym_rng_u64(rng[i]);
        ym_rng_close(&rng[i]);
    }
    assert_int_not_equal(draw[0], draw[1]);
    assert_int_equal(draw[0], draw[2]);
    assert_int_not_equal(draw[0], draw[3]);
}

static void separable_sets_are_told_apart_without_privacy(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "40", "3"));
    struct seen seen = {0};
    struct ym_sim_options o = {.no_privacy = true, .on_round = keep_round, .ctx = &seen};
    struct ym_buf end = run(plan, &o, false);

    (void)state;
    assert_int_equal(seen.count, 41);
    assert_int_equal(seen.last.round, 40);
    assert_true(seen.last.pooled.auc == 1.0);
    assert_true(seen.last.pooled.accuracy > 0.95);
    assert_int_equal(seen.last.pooled.rows, 50);
    assert_int_equal(seen.last.epsilon_micro, -1); /* no figure without noise */
    ym_buf_release(&end);
    ym_plan_free(plan);
}

static void epsilon_is_the_accountants_figure(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "5", "2"));
    struct seen seen = {0};
    struct ym_sim_options o = {.on_round = keep_round, .ctx = &seen};
    struct ym_buf end = run(plan, &o, false);
    struct ym_rdp rdp;
    int64_t micro;

    (void)state;
    ym_rdp_clear(&rdp);
    assert_int_equal(seen.epsilon[0], 0);
    for (int r = 1; r <= 5; r++) {
        struct ym_event e = {.sigma_units = plan->sigma_units, .sampling_k = plan->sampling_k, .steps = 2};

        assert_int_equal(ym_rdp_add(&rdp, &e, NULL), YM_OK);
        assert_int_equal(seen.epsilon[r], ym_epsilon_micro(ym_rdp_epsilon(&rdp, 1e-5, NULL)));
        assert_true(seen.epsilon[r] > seen.epsilon[r - 1]);
    }
    assert_int_equal(ym_plan_epsilon(plan, 1, 5, &micro, NULL), YM_OK);
    assert_int_equal(micro, seen.epsilon[5]);
    ym_buf_release(&end);
    ym_plan_free(plan);
}

/* The second hospital has weight 2 in the plan: one round by hand. */
static void updates_are_weighed_by_the_plan(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));
    struct ym_sim_options o = {.no_privacy = true};
    struct ym_buf end = run(plan, &o, false), first = {0}, next = {0};
    static const char *const names[] = {"h1", "h2"};
    struct toy h1, h2;
    struct ym_model m;
    float params[3] = {0};
    int64_t a[3], b[3], sum[3];
    struct ym_round_sum round = {.round = 1, .sum = sum, .survivor = names, .survivor_count = 2};

    (void)state;
    toy_fill(&h1, 30, 0.1f);
    toy_fill(&h2, 20, 0.2f);
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    assert_int_equal(ym_plain_round(plan, &m, &h1.table, params, NULL, NULL, 1, a, NULL), YM_OK);
    assert_int_equal(ym_plain_round(plan, &m, &h2.table, params, NULL, NULL, 1, b, NULL), YM_OK);
    for (int j = 0; j < 3; j++)
        sum[j] = a[j] + 2 * b[j];
    assert_int_equal(ym_state_initial(plan, &first, NULL), YM_OK);
    assert_int_equal(ym_state_next(plan, (struct ym_bytes){first.data, first.len}, &round, &next, NULL), YM_OK);
    assert_true(same(&end, &next));
    ym_buf_release(&end);
    ym_buf_release(&first);
    ym_buf_release(&next);
    ym_plan_free(plan);
}

/* No accuracy is better by 1: the second figure ends the study, and what was not trained is not charged. */
static void a_plan_that_stops_ends_before_its_last_round(void **state)
{
    static const char yaml[] =
        PLAN("logistic", SICK, "9",
             "3") "metrics: {every: 2, bins: 2, noise_multiplier: 9, stop: {figure: accuracy, by: 1, after: 1}}\n";
    static const char whole[] = PLAN("logistic", SICK, "9", "3") "metrics: {every: 2, bins: 2, noise_multiplier: 9}\n";
    struct ym_plan *plan = plan_of(yaml), *other = plan_of(whole);
    struct seen seen = {0}, all = {0};
    struct ym_sim_options o = {.seeded = true, .seed = 3, .on_round = keep_round, .ctx = &seen};
    struct ym_buf a, b;

    (void)state;
    a = run(plan, &o, false);
    o.ctx = &all;
    b = run(other, &o, false);
    assert_true(seen.count == 5 && seen.last.round == 4 && seen.last.last);
    assert_true(all.count == 10 && all.last.round == 9 && all.last.last);
    assert_true(seen.last.epsilon_micro == all.epsilon[4] && all.epsilon[4] < all.epsilon[9]);
    o = (struct ym_sim_options){.no_privacy = true, .on_round = keep_round, .ctx = &seen};
    seen.count = 0;
    ym_buf_release(&a);
    a = run(plan, &o, false); /* no counts, no figure, no end */
    assert_int_equal(seen.count, 10);
    ym_buf_release(&a);
    ym_buf_release(&b);
    ym_plan_free(plan);
    ym_plan_free(other);
}

static void sites_that_do_not_fit_are_refused(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));
    struct toy t;
    struct ym_sim_site sites[2] = {{.name = "h1", .data = &t.table}, {.name = "h3", .data = &t.table}};
    struct ym_sim_options o = {0};
    struct ym_buf end = {0};

    (void)state;
    toy_fill(&t, 10, 0);
    assert_int_equal(ym_sim_run(plan, sites, 2, &o, &end, NULL), YM_INVALID); /* unknown hospital */
    sites[1].name = "h1";
    assert_int_equal(ym_sim_run(plan, sites, 2, &o, &end, NULL), YM_INVALID); /* given twice */
    assert_int_equal(ym_sim_run(plan, sites, 1, &o, &end, NULL), YM_DENIED);  /* below the quorum */
    assert_int_equal(end.len, 0);
    ym_plan_free(plan);
}

/* Linear model from zero, one patient x = (1, 0), y = 1. Loss (p - y)^2 / 2 or
 * (p - y)^2 differ by a factor; the direction and the second step do not. */
static void plain_step_is_gradient_descent_over_the_nominal_cohort(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("linear", "{name: y, low: -1, high: 1}", "1", "2"));
    struct ym_model m;
    float x[2] = {1, 0}, y[1] = {1}, params[3] = {0}, g[3];
    uint64_t first_row[2] = {0, 1};
    struct ym_table t = {.columns = 2, .rows = 1, .patients = 1, .x = x, .y = y, .first_row = first_row};
    struct ym_model_work *w;
    double theta[3] = {0};
    int64_t update[3];

    (void)state;
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    assert_int_equal(m.dim, 3);
    w = ym_model_work_new(&m, 1);
    assert_int_equal(ym_plain_round(plan, &m, &t, params, NULL, NULL, 1, update, NULL), YM_OK);
    for (int step = 0; step < 2; step++) {
        float at[3] = {(float)theta[0], (float)theta[1], (float)theta[2]};

        ym_model_patient_gradient(&m, at, x, y, 1, w, g);
        for (int j = 0; j < 3; j++)
            theta[j] -= 0.5 * (double)g[j] / 20;
    }
    assert_true(update[0] > 0);
    assert_int_equal(update[1], 0);
    for (int j = 0; j < 3; j++)
        assert_true(fabs(ldexp((double)update[j], -(int)plan->update_scale_bits) - theta[j]) < 1e-6);
    ym_model_work_free(w);
    ym_plan_free(plan);
}

/* ---- several seeds ---- */

struct ward { /* two hospitals with test rows of their own, of different size */
    struct toy h1, h2, t1, t2;
    struct ym_sim_site site[2];
};

static void ward_fill(struct ward *w)
{
    toy_fill(&w->h1, 30, 0.1f);
    toy_fill(&w->h2, 20, 0.2f);
    toy_fill(&w->t1, 10, 0.9f);
    toy_fill(&w->t2, 40, -0.9f);
    w->site[0] = (struct ym_sim_site){"h1", &w->h1.table, &w->t1.table};
    w->site[1] = (struct ym_sim_site){"h2", &w->h2.table, &w->t2.table};
}

static void count_runs(void *ctx, size_t done)
{
    size_t *seen = ctx;

    assert_int_equal(done, *seen + 1);
    *seen = done;
}

static void threads_change_no_figure_and_a_seed_is_the_run_with_that_seed(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "3", "2"));
    struct ym_score one[7][3], four[7][3];
    size_t runs = 0;
    struct ym_sim_seeds seeds = {.first = 5, .count = 7, .threads = 1};
    struct ym_sim_options o = {0};
    struct ward w;
    struct seen seen = {0};
    struct ym_buf end = {0};

    (void)state;
    ward_fill(&w);
    assert_int_equal(ym_sim_sweep(plan, w.site, 2, &o, &seeds, &one[0][0], NULL), YM_OK);
    seeds.threads = 4;
    seeds.on_run = count_runs;
    seeds.ctx = &runs;
    assert_int_equal(ym_sim_sweep(plan, w.site, 2, &o, &seeds, &four[0][0], NULL), YM_OK);
    assert_int_equal(runs, 7);
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 3; j++)
            assert_true(one[i][j].loss == four[i][j].loss && one[i][j].accuracy == four[i][j].accuracy);
        for (size_t k = 0; k < i; k++)
            assert_true(one[i][0].loss != one[k][0].loss);
    }
    o = (struct ym_sim_options){.seeded = true, .seed = 8, .on_round = keep_round, .ctx = &seen};
    assert_int_equal(ym_sim_run(plan, w.site, 2, &o, &end, NULL), YM_OK);
    assert_true(one[3][0].loss == seen.last.centres.loss);
    ym_buf_release(&end);
    ym_plan_free(plan);
}

/* Blocks of rows are shared; the figures are those of one thread, to the bit. */
static void threads_change_no_score(void **state)
{
    enum { ROWS = 20001 };
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));
    const float params[] = {0.5f, -0.25f, 0.125f};
    struct ym_table t = {.columns = 2, .rows = ROWS, .patients = ROWS};
    struct ym_score one, three;
    struct ym_model m;

    (void)state;
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    t.x = calloc(2 * ROWS, sizeof *t.x);
    t.y = calloc(ROWS, sizeof *t.y);
    t.first_row = calloc(ROWS + 1, sizeof *t.first_row);
    for (size_t i = 0; i < ROWS; i++) {
        t.x[2 * i] = (float)(i * 2654435761u % 1000) / 500 - 1;
        t.x[2 * i + 1] = (float)(i * 40503u % 1000) / 500 - 1;
        t.y[i] = (float)(i % 3 == 0);
        t.first_row[i + 1] = i + 1;
    }
    setenv("YUMEN_THREADS", "1", 1);
    assert_int_equal(ym_score_table(plan, &m, params, &t, &one, NULL), YM_OK);
    setenv("YUMEN_THREADS", "3", 1);
    assert_int_equal(ym_score_table(plan, &m, params, &t, &three, NULL), YM_OK);
    unsetenv("YUMEN_THREADS");
    assert_int_equal(one.rows, ROWS);
    assert_true(one.loss == three.loss && one.accuracy == three.accuracy && one.auc == three.auc);
    assert_true(one.brier == three.brier && one.slope == three.slope && one.loss > 0.1);
    free(t.x);
    free(t.y);
    free(t.first_row);
    ym_plan_free(plan);
}

static void each_hospital_counts_once_and_test_rows_are_not_trained_on(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "2", "2"));
    struct ym_score with[2][3], without[2][3];
    struct ym_sim_seeds seeds = {.first = 1, .count = 2, .threads = 1};
    struct ym_sim_options o = {0}, plain = {.seeded = true, .seed = 1}, last = {0};
    struct seen seen = {0};
    struct ym_buf a = {0}, b = {0};
    struct ward w;

    (void)state;
    ward_fill(&w);
    assert_int_equal(ym_sim_sweep(plan, w.site, 2, &o, &seeds, &with[0][0], NULL), YM_OK);
    assert_int_equal(with[0][0].rows, 50);
    assert_true(fabs(with[0][0].loss - (with[0][1].loss + with[0][2].loss) / 2) < 1e-12);
    assert_true(with[0][1].loss != with[0][2].loss);
    assert_int_equal(ym_sim_run(plan, w.site, 2, &plain, &a, NULL), YM_OK);
    w.site[0].test = w.site[1].test = NULL;
    assert_int_equal(ym_sim_run(plan, w.site, 2, &plain, &b, NULL), YM_OK);
    assert_true(same(&a, &b));
    assert_int_equal(ym_sim_sweep(plan, w.site, 2, &o, &seeds, &without[0][0], NULL), YM_OK);
    last = (struct ym_sim_options){
        .seeded = true, .seed = 1, .last_round_only = true, .on_round = keep_round, .ctx = &seen};
    ym_buf_clear(&a);
    assert_int_equal(ym_sim_run(plan, w.site, 2, &last, &a, NULL), YM_OK);
    assert_int_equal(seen.count, 1);
    assert_true(without[0][0].loss == seen.last.pooled.loss);
    ym_buf_release(&a);
    ym_buf_release(&b);
    ym_plan_free(plan);
}

static void a_run_that_fails_fails_the_sweep(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "2", "2"));
    struct ym_score out[3][3] = {{{.rows = 77}}};
    struct ym_sim_seeds seeds = {.first = 1, .count = 3, .threads = 2};
    struct ym_sim_options o = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct ward w;

    (void)state;
    ward_fill(&w);
    w.site[1].name = "h9";
    assert_int_equal(ym_sim_sweep(plan, w.site, 2, &o, &seeds, &out[0][0], &st), YM_INVALID);
    assert_non_null(strstr(st.message, "h9"));
    assert_int_equal(out[0][0].rows, 77);
    ym_plan_free(plan);
}

/* t's 97.5 % points from tables: 12.7062 (1), 2.7764 (4), 2.5706 (5), 2.2622 (9), 2.0930 (19), 1.9842 (99). */
static void interval_is_students(void **state)
{
    static const struct {
        size_t n;
        double t;
    } rows[] = {{2, 12.7062}, {5, 2.7764}, {6, 2.5706}, {10, 2.2622}, {20, 2.0930}, {100, 1.9842}};
    double value[100];

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct ym_spread s;
        double n = (double)rows[k].n;

        for (size_t i = 0; i < rows[k].n; i++)
            value[i] = 3 + (i % 2 == 0 ? 1.0 : -1.0);
        s = ym_spread_of(value, rows[k].n);
        assert_true(fabs(s.mean - 3) <= (rows[k].n % 2 == 0 ? 1e-12 : 1 / n + 1e-12));
        assert_true(fabs((s.high - s.low) / 2 / (s.sd / sqrt(n)) - rows[k].t) < 1e-3);
        if (rows[k].n % 2 == 0)
            assert_true(fabs(s.sd - sqrt(n / (n - 1))) < 1e-12);
    }
    value[1] = NAN;
    assert_true(isnan(ym_spread_of(value, 2).mean) && isnan(ym_spread_of(value, 2).high));
}

/* ---- files ---- */

static char home[] = "/tmp/yumen-sim-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", home, name);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)text, strlen(text)}, 0600, NULL), YM_OK);
}

static enum ym_code load_site(const struct ym_plan *plan, const char *name, struct ym_status *st)
{
    char path[256];
    struct ym_table *t = NULL;
    struct ym_buf report = {0};
    enum ym_code code;

    snprintf(path, sizeof path, "%s/%s", home, name);
    code = ym_sim_load_site(plan, path, &t, &report, st);
    ym_table_free(t);
    ym_buf_release(&report);
    return code;
}

#define CARD                                                                                                           \
    "yumen: card/1\nname: wards\ntitle: t\nfile: d.csv\nencoding: utf-8\nseparator: \",\"\npatient_column: id\n"       \
    "size_class: \"<100\"\ntier: general\nvariables:\n"                                                                \
    "  - {name: a, column: a, low: -1, high: 1}\n  - {name: b, column: b, low: -1, high: 1}\n"                         \
    "  - {name: sick, column: sick, map: {\"0\": \"no\", \"1\": \"yes\"}, levels: [\"no\", \"yes\"]}\n"

static int make_home(void **state)
{
    char path[256];

    (void)state;
    if (mkdtemp(home) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/site/data", home);
    if (ym_fs_mkdirs(path, 0700, NULL) != YM_OK)
        return -1;
    put("site/data/card.yaml", CARD);
    put("site/data/d.csv", "id,a,b,sick\np1,0.5,0.1,1\np2,-0.5,0.2,0\n");
    return 0;
}

static int remove_home(void **state)
{
    char command[256];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", home);
    return system(command);
}

static void folder_with_a_sites_keys_is_refused(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));
    struct ym_status st = YM_STATUS_INIT;
    static const char *const places[] = {"site/data/identity.key", "site/identity.key"};
    char path[256];

    (void)state;
    assert_int_equal(load_site(plan, "site/data", &st), YM_OK);
    assert_int_equal(load_site(plan, "site/data/card.yaml", &st), YM_OK);
    for (size_t i = 0; i < 2; i++) {
        put(places[i], "key");
        assert_int_equal(load_site(plan, "site/data", &st), YM_DENIED);
        assert_non_null(strstr(st.message, "identity.key"));
        assert_int_equal(load_site(plan, "site/data/card.yaml", &st), YM_DENIED);
        snprintf(path, sizeof path, "%s/%s", home, places[i]);
        unlink(path);
    }
    assert_int_equal(load_site(plan, "site/data", &st), YM_OK);
    ym_plan_free(plan);
}

static struct ym_table *load_test(const struct ym_plan *plan, const char *text, enum ym_code expected)
{
    char path[256];
    struct ym_table *t = NULL;
    struct ym_buf report = {0};

    put("test.csv", text);
    snprintf(path, sizeof path, "%s/test.csv", home);
    assert_int_equal(ym_sim_load_test(plan, path, &t, &report, NULL), expected);
    if (expected != YM_OK)
        assert_true(report.len > 0);
    ym_buf_release(&report);
    return t;
}

static void test_file_is_read_by_study_names(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));
    struct ym_table *t = load_test(
        plan, "\xef\xbb\xbfnote,b,sick,a\r\n\"two\nlines, one record\",0.25,yes,0.5\r\n\r\nx,-0.25,no,-1\r\n", YM_OK);

    (void)state;
    assert_int_equal(t->rows, 2);
    assert_int_equal(t->columns, 2);
    for (size_t i = 0; i < 2; i++) { /* the order of rows is the reader's */
        bool sick = t->y[i] == 1.0f;

        assert_true(t->x[2 * i] == (sick ? 0.5f : -1.0f));
        assert_true(t->x[2 * i + 1] == (sick ? 0.25f : -0.25f));
    }
    assert_true(t->y[0] + t->y[1] == 1.0f);
    ym_table_free(t);
    ym_plan_free(plan);
}

static void test_file_with_unknown_level_or_column_is_refused(void **state)
{
    struct ym_plan *plan = plan_of(PLAN("logistic", SICK, "1", "2"));

    (void)state;
    assert_null(load_test(plan, "a,b,sick\n0.1,0.2,perhaps\n", YM_INVALID));
    assert_null(load_test(plan, "a,sick\n0.1,yes\n", YM_INVALID));
    assert_null(load_test(plan, "a,b,sick\nnan,0.2,yes\n", YM_INVALID));
    ym_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeded_run_repeats_to_the_bit),
        cmocka_unit_test(each_opened_generator_draws_its_own_stream),
        cmocka_unit_test(separable_sets_are_told_apart_without_privacy),
        cmocka_unit_test(epsilon_is_the_accountants_figure),
        cmocka_unit_test(updates_are_weighed_by_the_plan),
        cmocka_unit_test(a_plan_that_stops_ends_before_its_last_round),
        cmocka_unit_test(sites_that_do_not_fit_are_refused),
        cmocka_unit_test(threads_change_no_figure_and_a_seed_is_the_run_with_that_seed),
        cmocka_unit_test(threads_change_no_score),
        cmocka_unit_test(each_hospital_counts_once_and_test_rows_are_not_trained_on),
        cmocka_unit_test(a_run_that_fails_fails_the_sweep),
        cmocka_unit_test(interval_is_students),
        cmocka_unit_test(plain_step_is_gradient_descent_over_the_nominal_cohort),
        cmocka_unit_test(folder_with_a_sites_keys_is_refused),
        cmocka_unit_test(test_file_is_read_by_study_names),
        cmocka_unit_test(test_file_with_unknown_level_or_column_is_refused),
    };

    return cmocka_run_group_tests(tests, make_home, remove_home);
}

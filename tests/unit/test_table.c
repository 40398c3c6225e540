#include <math.h>

#include "base/text.h"
#include "tests/support/frozen.h"
#include "tests/support/stats.h"

static const char card_text[] = "yumen: card/1\n"
                                "name: d1\n"
                                "title: t\n"
                                "file: x.csv\n"
                                "patient_column: id\n"
                                "size_class: \"<100\"\n"
                                "tier: general\n"
                                "variables:\n"
                                "  - {name: bmi, column: b, unit: kg/m2, low: 10, high: 60}\n"
                                "  - {name: stage, column: s, levels: [other, iii, ii, i]}\n"
                                "  - {name: ill, column: y, levels: [yes, no]}\n"
                                "  - {name: score, column: c, unit: \"1\", low: 0, high: 10}\n";

static const char csv_text[] = "id,b,s,y,c\n"
                               "p1,20,i,no,0\n"
                               "p1,30,ii,yes,10\n"
                               "p1,40,iii,no,5\n"
                               "p2,99,other,yes,2.5\n"
                               "p3,,i,yes,1\n"
                               "p4,25,i,,1\n";

static struct ym_frozen *frozen_of(const char *csv)
{
    struct ym_card *card = card_must(card_text);
    struct ym_frozen *out = frozen_must(card, (struct ym_bytes){(const uint8_t *)csv, strlen(csv)});

    ym_card_free(card);
    return out;
}

/* A plan with these inputs on the data above. */
static struct ym_plan *plan_make(const char *inputs, const char *family, const char *outcome, int records, int minimum)
{
    struct ym_buf text = {0};
    ym_buf_printf(
        &text,
        "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: %s\n  inputs: [%s]\n"
        "  outcome: {%s}\ntraining: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, "
        "learning_rate: 1, max_records_per_patient: %d}\n"
        "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: %d}\n"
        "federation: {hospitals: [{name: h1}]}\n",
        family, inputs, outcome, records, minimum);
    struct ym_plan *plan = plan_must(ym_buf_str(&text));
    ym_buf_release(&text);
    return plan;
}

struct built {
    enum ym_code code;
    struct ym_table *t;
    struct ym_buf report;
};

static struct built build_from(const char *csv, const char *inputs, const char *family, const char *outcome,
                               int records, int minimum)
{
    struct built b = {0};
    struct ym_frozen *f = frozen_of(csv);
    struct ym_plan *plan = plan_make(inputs, family, outcome, records, minimum);
    b.code = ym_table_build(plan, f, NULL, &b.t, &b.report, NULL);
    if (b.t)
        assert_int_equal(b.t->columns, ym_plan_columns(plan));
    ym_plan_free(plan);
    ym_frozen_free(f);
    return b;
}

static struct built build(const char *inputs, const char *family, const char *outcome, int records, int minimum)
{
    return build_from(csv_text, inputs, family, outcome, records, minimum);
}

static void built_release(struct built *b)
{
    ym_table_free(b->t);
    ym_buf_release(&b->report);
}

/* The row with this outcome and these columns is in the table, whatever the
 * order of patients. */
static size_t count_rows(const struct ym_table *t, float y, const float *x)
{
    size_t n = 0;
    for (size_t r = 0; r < t->rows; r++)
        n += t->y[r] == y && !memcmp(t->x + r * t->columns, x, t->columns * sizeof *x);
    return n;
}

#define ILL "name: ill, levels: [no, yes]"

static void rows_with_missing_values_or_unknown_levels_are_dropped(void **state)
{
    struct built b = build("{name: bmi, unit: kg/m2, low: 20, high: 40}, {name: stage, levels: [i, ii, iii]}",
                           "logistic", ILL, 9, 1);
    (void)state;
    assert_int_equal(b.code, YM_OK);
    /* p2's stage is unknown to the plan, p3's bmi and p4's outcome are missing: p1 is left */
    assert_int_equal(b.t->patients, 1);
    assert_int_equal(b.t->rows, 3);
    assert_int_equal(b.t->first_row[1], 3);
    static const float x[] = {-1, 0, 0, 0, 1, 0, 1, 0, 1}, y[] = {0, 1, 0};
    assert_memory_equal(b.t->x, x, sizeof x);
    assert_memory_equal(b.t->y, y, sizeof y);
    assert_non_null(strstr(ym_buf_str(&b.report), "1 of 6 rows are left out because \"stage\" is missing"));
    assert_non_null(strstr(ym_buf_str(&b.report), "1 of 6 rows are left out because \"ill\" is missing"));
    built_release(&b);
}

static void indicators_and_constants_keep_rows(void **state)
{
    struct built b = build("{name: bmi, unit: kg/m2, low: 20, high: 40, missing: indicator}, "
                           "{name: stage, levels: [i, ii, iii], missing: constant, constant: ii}",
                           "logistic", ILL, 9, 1);
    static const float p2[] = {1, 0, 1, 0}, p3[] = {0, 1, 0, 0}, first[] = {-1, 0, 0, 0};
    (void)state;
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(b.t->patients, 3);
    assert_int_equal(b.t->rows, 5);
    assert_int_equal(count_rows(b.t, 1, p2), 1); /* bmi 99 is cut to 40; stage other becomes ii */
    assert_int_equal(count_rows(b.t, 1, p3), 1); /* no bmi: 0 and the indicator */
    assert_int_equal(count_rows(b.t, 0, first), 1);
    assert_non_null(strstr(ym_buf_str(&b.report), "1 values of \"bmi\" lie outside the plan's range"));
    built_release(&b);
}

static void categories_can_have_an_indicator_and_numbers_a_constant(void **state)
{
    struct built b = build("{name: bmi, unit: kg/m2, low: 20, high: 40, missing: constant, constant: 25}, "
                           "{name: stage, levels: [i, ii, iii], missing: indicator}",
                           "logistic", ILL, 9, 1);
    static const float p2[] = {1, 0, 0, 1}, p3[] = {-0.5f, 0, 0, 0};
    (void)state;
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(count_rows(b.t, 1, p2), 1);
    assert_int_equal(count_rows(b.t, 1, p3), 1);
    built_release(&b);
}

static void records_past_the_bound_are_left_out_in_file_order(void **state)
{
    struct built b = build("{name: bmi, unit: kg/m2, low: 20, high: 40}", "logistic", ILL, 2, 1);
    static const float first[] = {-1}, second[] = {0}, third[] = {1};
    (void)state;
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(b.t->patients, 2); /* p1 and p2 */
    assert_int_equal(b.t->rows, 3);
    assert_int_equal(count_rows(b.t, 0, first), 1);
    assert_int_equal(count_rows(b.t, 1, second), 1);
    assert_int_equal(count_rows(b.t, 0, third), 0);
    assert_int_equal(count_rows(b.t, 1, third), 1); /* p2, cut */
    assert_non_null(strstr(ym_buf_str(&b.report), "1 rows are left out because their patient has more than 2"));
    built_release(&b);
}

/* Patient p's rows, numbered by bmi, among rows of others: before, between and after, as asked. */
static void many_rows(struct ym_buf *csv, int rows, int others)
{
    ym_buf_puts(csv, "id,b,s,y,c\n");
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < others; k++)
            ym_buf_printf(csv, "other%d,%d,i,yes,1\n", (7 * i + k) % (5 * others), 20 + k);
        ym_buf_printf(csv, "p,%.2f,i,no,1\n", 20 + 0.01 * i);
    }
}

/* Of a patient with many rows the first ones in file order are kept, whoever else is in the file. */
static void rows_that_are_kept_do_not_depend_on_other_patients(void **state)
{
    static const int bound[] = {1, 3, 1000};
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (int others = 0; others < 4; others += 3) {
            struct ym_buf csv = {0};
            struct built b;
            size_t mine = 0;
            many_rows(&csv, 1500, others);
            b = build_from(ym_buf_str(&csv), "{name: bmi, unit: kg/m2, low: 20, high: 40}", "logistic", ILL, bound[k],
                           1);
            assert_int_equal(b.code, YM_OK);
            assert_int_equal(b.t->patients, 1 + 5 * (size_t)others);
            for (size_t p = 0; p < b.t->patients; p++) {
                size_t first = (size_t)b.t->first_row[p], last = (size_t)b.t->first_row[p + 1];
                assert_in_range(last - first, 1, bound[k]);
                if (b.t->y[first] != 0)
                    continue;
                mine = last - first;
                for (size_t r = 0; r < mine; r++)
                    assert_float_equal(b.t->x[first + r], -1 + 0.001 * (double)r, 1e-5);
            }
            assert_int_equal(mine, bound[k]);
            built_release(&b);
            ym_buf_release(&csv);
        }
}

static void number_outcomes_are_scaled_by_the_plan(void **state)
{
    struct built b = build("{name: bmi, unit: kg/m2, low: 20, high: 40}", "linear",
                           "name: score, unit: \"1\", low: 0, high: 5", 9, 1);
    static const float first[] = {-1}, cut[] = {0};
    (void)state;
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(count_rows(b.t, -1, first), 1);
    assert_int_equal(count_rows(b.t, 1, cut), 1); /* 10 is cut to 5 */
    built_release(&b);
}

static void levels_follow_their_names_not_their_place(void **state)
{
    struct built b =
        build("{name: bmi, unit: kg/m2, low: 20, high: 40}", "multinomial", "name: stage, levels: [ii, i, iii]", 9, 1);
    static const float first[] = {-1}, second[] = {0}, third[] = {1};
    (void)state;
    assert_int_equal(b.code, YM_OK);
    assert_int_equal(count_rows(b.t, 1, first), 1);
    assert_int_equal(count_rows(b.t, 0, second), 1);
    assert_int_equal(count_rows(b.t, 2, third), 1);
    built_release(&b);
}

static void misfits_are_told_by_code_and_report(void **state)
{
    static const struct {
        const char *inputs;
        int minimum;
        enum ym_code code;
        const char *part;
    } cases[] = {
        {"{name: age, unit: year, low: 0, high: 99}", 1, YM_NOT_FOUND, "\"age\" is not in this data set"},
        {"{name: bmi, unit: lb/in2, low: 20, high: 40}", 1, YM_INVALID, "\"kg/m2\""},
        {"{name: bmi, unit: kg/m2, low: 2000, high: 4000}", 1, YM_INVALID, "range"},
        {"{name: bmi, levels: [a, b]}", 1, YM_INVALID, "number"},
        {"{name: stage, levels: [i, iv]}", 1, YM_INVALID, "\"iv\""},
        {"{name: bmi, unit: kg/m2, low: 20, high: 40}", 2, YM_OK, ""},
        {"{name: bmi, unit: kg/m2, low: 20, high: 40}", 3, YM_DENIED, "2 patients can take part, the plan asks for 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct built b = build(cases[i].inputs, "logistic", ILL, 9, cases[i].minimum);
        assert_int_equal(b.code, cases[i].code);
        if (!strstr(ym_buf_str(&b.report), cases[i].part))
            fail_msg("'%s' is not in '%s'", cases[i].part, ym_buf_str(&b.report));
        assert_true((b.t != NULL) == (b.code == YM_OK));
        built_release(&b);
    }
}

static void a_report_is_not_needed(void **state)
{
    struct ym_frozen *f = frozen_of(csv_text);
    struct ym_plan *plan = plan_make("{name: bmi, unit: kg/m2, low: 20, high: 40}", "logistic", ILL, 9, 1);
    struct ym_table *t = NULL;
    (void)state;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    ym_table_free(t);
    ym_plan_free(plan);
    ym_frozen_free(f);
}

/* ---- survival and counts ---- */

static struct ym_plan *plan_with(const char *family, const char *more)
{
    struct ym_buf text = {0};
    ym_buf_printf(
        &text,
        "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: %s\n"
        "  inputs: [{name: bmi, unit: kg/m2, low: 20, high: 40}]\n%s"
        "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, learning_rate: 1}\n"
        "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 1}\n"
        "federation: {hospitals: [{name: h1}]}\n",
        family, more);
    struct ym_plan *plan = plan_must(ym_buf_str(&text));
    ym_buf_release(&text);
    return plan;
}

#define SURVIVAL                                                                                                       \
    "  outcome: {name: ill, levels: [no, yes]}\n  time: {name: score, unit: \"1\", high: 8}\n  cuts: [2, 4]\n"

/* Times 3 (event), 5 (none), 9 (event, behind the range), 1 (none), 4 (event). */
static const char survival_csv[] = "id,b,s,y,c\n"
                                   "p1,20,i,yes,3\np2,25,i,no,5\np3,30,i,yes,9\np4,35,i,no,1\np5,40,i,yes,4\n";

struct watched {
    float bmi, row[3][4]; /* bin 2, bin 3, y, offset */
    size_t rows;
};

static void check_watched(const struct ym_table *t, const struct watched *w, size_t targets)
{
    for (size_t p = 0; p < t->patients; p++) {
        size_t first = (size_t)t->first_row[p];
        if (t->x[first * 3] != w->bmi)
            continue;
        assert_int_equal(t->first_row[p + 1] - first, w->rows);
        for (size_t i = 0; i < w->rows; i++) {
            const float *x = t->x + (first + i) * 3, *y = t->y + (first + i) * targets;
            assert_true(x[0] == w->bmi && x[1] == w->row[i][0] && x[2] == w->row[i][1] && y[0] == w->row[i][2]);
            if (targets == 2)
                assert_float_equal(y[1], w->row[i][3], 1e-6);
        }
        return;
    }
    assert_int_equal(w->rows, 0);
}

static void check_survival(const char *family, size_t patients, const struct watched *w, size_t count)
{
    struct ym_plan *plan = plan_with(family, SURVIVAL);
    struct ym_frozen *f = frozen_of(survival_csv);
    struct ym_table *t = NULL;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    assert_int_equal(t->patients, patients);
    for (size_t i = 0; i < count; i++)
        check_watched(t, &w[i], ym_plan_targets(plan));
    for (size_t p = 0; p < t->patients; p++)
        assert_true(t->time[p] <= 8 && (t->event[p] == (t->time[p] == 3 || t->time[p] == 4)));
    ym_table_free(t);
    ym_frozen_free(f);
    ym_plan_free(plan);
}

/* Bins (0,2], (2,4], (4,8]: one that ends without event counts when it was watched to its end. */
static void discrete_hazard_has_a_row_a_bin_watched(void **state)
{
    static const struct watched w[] = {{-1, {{0, 0, 0}, {1, 0, 1}}, 2},
                                       {-0.5f, {{0, 0, 0}, {1, 0, 0}}, 2},
                                       {0, {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}}, 3},
                                       {0.5f, {{0}}, 0},
                                       {1, {{0, 0, 0}, {1, 0, 1}}, 2}};
    (void)state;
    check_survival("discrete_hazard", 4, w, 5);
}

static void piecewise_exponential_has_a_row_a_piece_with_the_time_in_it(void **state)
{
    const float quarter = logf(0.25f), half = logf(0.5f), eighth = logf(0.125f);
    const struct watched w[] = {{-1, {{0, 0, 0, quarter}, {1, 0, 1, eighth}}, 2},
                                {-0.5f, {{0, 0, 0, quarter}, {1, 0, 0, quarter}, {0, 1, 0, eighth}}, 3},
                                {0, {{0, 0, 0, quarter}, {1, 0, 0, quarter}, {0, 1, 0, half}}, 3},
                                {0.5f, {{0, 0, 0, eighth}}, 1},
                                {1, {{0, 0, 0, quarter}, {1, 0, 1, quarter}}, 2}};
    (void)state;
    check_survival("piecewise_exponential", 5, w, 5);
}

static void poisson_has_counts_and_offsets(void **state)
{
    struct ym_plan *plan = plan_with("poisson", "  outcome: {name: score, unit: \"1\", low: 0, high: 6}\n"
                                                "  formula: \"score ~ log(bmi)\"\n");
    struct ym_frozen *f = frozen_of(csv_text);
    struct ym_table *t = NULL;
    (void)state;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    assert_int_equal(t->columns, 1);
    for (size_t i = 0; i < t->rows; i++)
        assert_true(t->y[2 * i] >= 0 && t->y[2 * i] <= 6 && t->y[2 * i + 1] == 0);
    ym_table_free(t);
    ym_plan_free(plan);
    plan = plan_with("poisson", "  outcome: {name: ill, unit: \"1\", low: 0, high: 6}\n");
    t = NULL;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_INVALID); /* no number here */
    ym_plan_free(plan);
    ym_frozen_free(f);
}

static void an_offset_is_the_logarithm_over_the_range(void **state)
{
    struct ym_buf text = {0};
    ym_buf_puts(&text, "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: poisson\n"
                       "  inputs: [{name: bmi, unit: kg/m2, low: 20, high: 40}, {name: stage, levels: [i, ii, iii]}]\n"
                       "  outcome: {name: score, unit: \"1\", low: 0, high: 10}\n"
                       "  formula: \"score ~ offset(log(bmi)) + stage\"\n"
                       "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, "
                       "learning_rate: 1}\nprivacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 1}\n"
                       "federation: {hospitals: [{name: h1}]}\n");
    struct ym_plan *plan = plan_must(ym_buf_str(&text));
    struct ym_frozen *f = frozen_of(csv_text);
    struct ym_table *t = NULL;
    (void)state;
    assert_non_null(strstr(ym_buf_str(&plan->canonical), "score ~ stage + offset(log(bmi))"));
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    assert_int_equal(t->columns, 2);
    assert_int_equal(t->patients, 2); /* p1, and p4; p2's stage is unknown */
    for (size_t i = 0; i < t->rows; i++)
        assert_float_equal(t->y[2 * i + 1], t->y[2 * i] == 0 ? log(20.0 / 40) : log(25.0 / 40), 1e-6);
    ym_table_free(t);
    ym_frozen_free(f);
    ym_plan_free(plan);
    ym_buf_release(&text);
}

/* ---- held out ---- */

#define CROWD 20000

/* Patients first, first + step, ...; bmi tells which (of 1000 values), two rows each. */
static struct ym_frozen *crowd(size_t first, size_t step, size_t count)
{
    struct ym_buf csv = {0};
    struct ym_frozen *f;
    ym_buf_puts(&csv, "id,b,s,y,c\n");
    for (size_t i = first; i < count; i += step)
        for (int row = 0; row < 2; row++)
            ym_buf_printf(&csv, "p%zu,%.2f,i,%s,1\n", i, 10 + (double)(i % 1000) / 20, i % 3 ? "yes" : "no");
    f = frozen_of(ym_buf_str(&csv));
    ym_buf_release(&csv);
    return f;
}

static struct ym_table *crowd_table(const struct ym_frozen *f, const char *holdout)
{
    struct ym_plan *plan = plan_make("{name: bmi, unit: kg/m2, low: 10, high: 60}", "logistic", ILL, 2, 1);
    struct ym_table *t = NULL;
    plan->holdout = (uint32_t)(atof(holdout) * YM_HOLDOUT_ONE);
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    ym_plan_free(plan);
    return t;
}

/* The draws of 20000 identifiers are even over 16 parts. The salt is fixed, so this cannot fail by chance. */
static void draws_of_a_crowd_are_even(void **state)
{
    struct ym_frozen *f = crowd(0, 1, CROWD);
    double expected[16], seen[16] = {0}, df = 0, x;
    (void)state;
    for (size_t i = 0; i < f->patient_count; i++)
        seen[f->draw[i] / (YM_HOLDOUT_ONE / 16)]++;
    for (size_t i = 0; i < 16; i++)
        expected[i] = CROWD / 16.0;
    x = stats_pearson(expected, seen, 16, &df);
    assert_true(stats_chi2_two_sided(x, df) > 1e-6);
    ym_frozen_free(f);
}

/* Trained on or held out, with all rows, and never both. */
static void each_patient_is_on_one_side_with_all_rows(void **state)
{
    struct ym_frozen *f = crowd(0, 1, 1000);
    struct ym_table *t = crowd_table(f, "0.25");
    unsigned char side[1000] = {0};
    (void)state;
    assert_int_equal(t->patients + t->held->patients, 1000);
    for (int held = 0; held < 2; held++) {
        const struct ym_table *part = held ? t->held : t;
        assert_int_equal(part->rows, 2 * part->patients);
        for (size_t r = 0; r < part->rows; r++)
            side[(size_t)lroundf((part->x[r] + 1) * 25 * 20)] |= (unsigned char)(1 + held);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_true(side[i] == 1 || side[i] == 2);
    assert_in_range(t->held->patients, 180, 320);
    ym_table_free(t);
    ym_frozen_free(f);
}

/* A patient's side in another freezing, among other patients. */
static void a_side_depends_on_the_patient_alone(void **state)
{
    struct ym_frozen *all = crowd(0, 1, 1000), *few = crowd(1, 7, 1000);
    struct ym_table *a = crowd_table(all, "0.3"), *b = crowd_table(few, "0.3");
    (void)state;
    assert_true(b->held->patients > 20);
    for (size_t r = 0; r < b->rows; r++)
        assert_int_equal(count_rows(a, b->y[r], &b->x[r]), 2);
    for (size_t r = 0; r < b->held->rows; r++)
        assert_int_equal(count_rows(a->held, b->held->y[r], &b->held->x[r]), 2);
    ym_table_free(a);
    ym_table_free(b);
    ym_frozen_free(all);
    ym_frozen_free(few);
}

static void whoever_is_held_out_stays_so_at_a_larger_share(void **state)
{
    struct ym_frozen *f = crowd(0, 1, 1000);
    struct ym_table *a = crowd_table(f, "0.1"), *b = crowd_table(f, "0.4");
    (void)state;
    assert_true(a->held->patients > 50);
    for (size_t r = 0; r < a->held->rows; r++)
        assert_int_equal(count_rows(b->held, a->held->y[r], &a->held->x[r]), 2);
    ym_table_free(a);
    ym_table_free(b);
    ym_frozen_free(f);
}

static void nobody_is_held_out_where_the_plan_does_not_ask(void **state)
{
    struct ym_frozen *f = crowd(0, 1, 50);
    struct ym_table *t = crowd_table(f, "0");
    (void)state;
    assert_int_equal(t->patients, 50);
    assert_null(t->held);
    ym_table_free(t);
    ym_frozen_free(f);
}

/* min_patients counts those who train; a part may be empty. */
static void the_smallest_cohort_is_of_those_who_train(void **state)
{
    struct ym_frozen *f = crowd(0, 1, 40);
    struct ym_plan *plan = plan_make("{name: bmi, unit: kg/m2, low: 10, high: 60}", "logistic", ILL, 2, 40);
    struct ym_table *t = NULL;
    (void)state;
    plan->holdout = YM_HOLDOUT_ONE / 2;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_DENIED);
    plan->holdout = 1;
    assert_int_equal(ym_table_build(plan, f, NULL, &t, NULL, NULL), YM_OK);
    assert_int_equal(t->held->patients, 0);
    ym_table_free(t);
    ym_plan_free(plan);
    ym_frozen_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discrete_hazard_has_a_row_a_bin_watched),
        cmocka_unit_test(piecewise_exponential_has_a_row_a_piece_with_the_time_in_it),
        cmocka_unit_test(poisson_has_counts_and_offsets),
        cmocka_unit_test(an_offset_is_the_logarithm_over_the_range),
        cmocka_unit_test(rows_with_missing_values_or_unknown_levels_are_dropped),
        cmocka_unit_test(indicators_and_constants_keep_rows),
        cmocka_unit_test(categories_can_have_an_indicator_and_numbers_a_constant),
        cmocka_unit_test(records_past_the_bound_are_left_out_in_file_order),
        cmocka_unit_test(rows_that_are_kept_do_not_depend_on_other_patients),
        cmocka_unit_test(number_outcomes_are_scaled_by_the_plan),
        cmocka_unit_test(levels_follow_their_names_not_their_place),
        cmocka_unit_test(misfits_are_told_by_code_and_report),
        cmocka_unit_test(a_report_is_not_needed),
        cmocka_unit_test(draws_of_a_crowd_are_even),
        cmocka_unit_test(each_patient_is_on_one_side_with_all_rows),
        cmocka_unit_test(a_side_depends_on_the_patient_alone),
        cmocka_unit_test(whoever_is_held_out_stays_so_at_a_larger_share),
        cmocka_unit_test(nobody_is_held_out_where_the_plan_does_not_ask),
        cmocka_unit_test(the_smallest_cohort_is_of_those_who_train),
    };
    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

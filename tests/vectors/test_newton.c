/* Newton fits against R: the reference_* files in $YUMEN_DATA (R survival and glm, eps 1e-13; README there), skipped
 * where it is unset; and against cases solved by hand and the partial likelihood written out from its definition,
 * which need no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/newton.h"
#include "tests/support/vectors.h"

#define MOST_ROWS 4000
#define MOST_TERMS 16
#define MOST_PARTS 32

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%.17g is not %.17g", got, want);
}

/* ---- cases solved by hand ---- */

static struct ym_newton_fit fit_of(enum ym_newton_kind kind, enum ym_ties ties, size_t columns,
                                   struct ym_newton_part part)
{
    struct ym_newton_problem q = {.kind = kind, .ties = ties, .columns = columns, .part = &part, .part_count = 1};
    struct ym_newton_fit fit = {0};
    struct ym_status st = YM_STATUS_INIT;

    if (ym_newton(&q, &fit, &st) != YM_OK)
        fail_msg("%s", st.message);
    return fit;
}

/* x = 1, 0, 1 with events at 1 and 2: the partial likelihood e/(2e+1) · 1/(1+e) is largest at e = exp(beta) = 1/sqrt 2.
 */
static void three_patients_have_the_coefficient_solved_by_hand(void **state)
{
    double x[] = {1, 0, 1}, y[] = {1, 2, 3}, e = sqrt(0.5);
    uint8_t event[] = {1, 1, 0};
    struct ym_newton_fit fit =
        fit_of(YM_NEWTON_COX, YM_TIES_EFRON, 1, (struct ym_newton_part){3, x, y, NULL, event, NULL});

    (void)state;
    assert_near(fit.beta[0], -log(2) / 2, 1e-13);
    assert_near(fit.loglik, log(e / (2 * e + 1)) - log(1 + e), 1e-13);
    assert_near(fit.se[0], 1 / sqrt(2 * e / pow(2 * e + 1, 2) + e / pow(1 + e, 2)), 1e-13);
    assert_near(fit.loglik_null, -log(6), 1e-13);
    assert_int_equal(fit.events, 2);
    ym_newton_release(&fit);
}

/* A table of 2 by 2: log odds ratio, variance the sum of reciprocals. */
static void logistic_of_one_yes_or_no_is_the_log_odds_ratio(void **state)
{
    double x[20], y[20];

    (void)state;
    for (size_t i = 0; i < 20; i++) { /* x = 0: 3 of 8; x = 1: 7 of 12 */
        x[i] = i >= 8;
        y[i] = i < 3 || (i >= 8 && i < 15);
    }
    struct ym_newton_fit fit = fit_of(YM_NEWTON_LOGISTIC, 0, 1, (struct ym_newton_part){20, x, y, NULL, NULL, NULL});

    assert_near(fit.beta[0], log(3.0 / 5), 1e-13);
    assert_near(fit.beta[1], log(7.0 / 5) - log(3.0 / 5), 1e-12);
    assert_near(fit.se[0], sqrt(1.0 / 3 + 1.0 / 5), 1e-12);
    assert_near(fit.se[1], sqrt(1.0 / 3 + 1.0 / 5 + 1.0 / 7 + 1.0 / 5), 1e-12);
    ym_newton_release(&fit);
}

/* Rates: events over time at risk in each group; variance of the log ratio 1/d0 + 1/d1. */
static void poisson_with_an_offset_is_the_log_rate_ratio(void **state)
{
    double x[] = {0, 0, 0, 1, 1}, y[] = {2, 0, 5, 4, 9}, time[] = {1.5, 2, 4, 0.5, 3}, offset[5];

    (void)state;
    for (size_t i = 0; i < 5; i++)
        offset[i] = log(time[i]);
    struct ym_newton_fit fit = fit_of(YM_NEWTON_POISSON, 0, 1, (struct ym_newton_part){5, x, y, offset, NULL, NULL});

    assert_near(fit.beta[0], log(7 / 7.5), 1e-12);
    assert_near(fit.beta[1], log(13 / 3.5) - log(7 / 7.5), 1e-12);
    assert_near(fit.se[1], sqrt(1.0 / 7 + 1.0 / 13), 1e-12);
    ym_newton_release(&fit);
}

/* y = 1, 2, 4 at x = 0, 1, 2: slope 3/2, residuals 1/6, -1/3, 1/6. */
static void linear_is_least_squares(void **state)
{
    double x[] = {0, 1, 2}, y[] = {1, 2, 4};
    struct ym_newton_fit fit = fit_of(YM_NEWTON_LINEAR, 0, 1, (struct ym_newton_part){3, x, y, NULL, NULL, NULL});

    (void)state;
    assert_near(fit.beta[0], 5.0 / 6, 1e-13);
    assert_near(fit.beta[1], 1.5, 1e-13);
    assert_near(fit.dispersion, 1.0 / 6, 1e-12);
    assert_near(fit.se[1], sqrt(1.0 / 12), 1e-12);
    assert_near(fit.loglik, -1.5 * (log(2 * M_PI / 18) + 1), 1e-12);
    ym_newton_release(&fit);
}

/* ---- the partial likelihood from its definition ---- */

#define DRAWN 60

struct drawn {
    double x[DRAWN * 2], y[DRAWN];
    uint8_t event[DRAWN];
    uint32_t stratum[DRAWN];
};

/* Few distinct times, so that most are tied. */
static void draw(struct drawn *d, uint64_t seed)
{
    for (size_t i = 0; i < DRAWN; i++) {
        uint64_t z = seed * 0x9e3779b97f4a7c15u + (i + 1) * 0xbf58476d1ce4e5b9u;

        z = (z ^ (z >> 30)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        d->x[2 * i] = (double)(z & 1023) / 100;
        d->x[2 * i + 1] = (double)(z >> 10 & 1);
        d->y[i] = 1 + (double)(z >> 11 & 7);
        d->event[i] = (z >> 14 & 3) != 0;
        d->stratum[i] = (uint32_t)(z >> 16 & 3);
    }
}

static double risk_of(const struct drawn *d, size_t i, const double *beta)
{
    return exp(d->x[2 * i] * beta[0] + d->x[2 * i + 1] * beta[1]);
}

/* Each death by itself: who else dies in its stratum at its time, how many of them stand before it in the file. */
static double defined_loglik(const struct drawn *d, enum ym_ties ties, const double *beta)
{
    double loglik = 0;

    for (size_t i = 0; i < DRAWN; i++) {
        double all = 0, dying = 0, deaths = 0, before = 0;

        if (!d->event[i])
            continue;
        for (size_t k = 0; k < DRAWN; k++) {
            if (d->stratum[k] != d->stratum[i] || d->y[k] < d->y[i])
                continue;
            all += risk_of(d, k, beta);
            if (d->y[k] > d->y[i] || !d->event[k])
                continue;
            dying += risk_of(d, k, beta);
            deaths++;
            before += k < i;
        }
        loglik += log(risk_of(d, i, beta)) - log(all - (ties == YM_TIES_EFRON ? before / deaths * dying : 0));
    }
    return loglik;
}

static double second(const struct drawn *d, enum ym_ties ties, const double *beta, size_t i, size_t j)
{
    const double h = 1e-3;
    double sum = 0;

    for (int a = -1; a <= 1; a += 2)
        for (int b = -1; b <= 1; b += 2) {
            double at[2] = {beta[0], beta[1]};

            at[i] += a * h;
            at[j] += b * h;
            sum += a * b * defined_loglik(d, ties, at);
        }
    return sum / (4 * h * h);
}

static void check_definition(enum ym_ties ties, uint64_t seed)
{
    struct drawn d;
    double a, b, c;

    draw(&d, seed);
    struct ym_newton_fit fit =
        fit_of(YM_NEWTON_COX, ties, 2, (struct ym_newton_part){DRAWN, d.x, d.y, NULL, d.event, d.stratum});
    assert_near(fit.loglik, defined_loglik(&d, ties, fit.beta), 1e-12);
    for (size_t j = 0; j < 2; j++)
        for (double h = -1e-4; h <= 1e-4; h += 2e-4) {
            double at[2] = {fit.beta[0], fit.beta[1]};

            at[j] += h;
            assert_true(defined_loglik(&d, ties, at) < fit.loglik);
        }
    a = -second(&d, ties, fit.beta, 0, 0);
    b = -second(&d, ties, fit.beta, 0, 1);
    c = -second(&d, ties, fit.beta, 1, 1);
    assert_near(fit.se[0], sqrt(c / (a * c - b * b)), 1e-4);
    assert_near(fit.se[1], sqrt(a / (a * c - b * b)), 1e-4);
    ym_newton_release(&fit);
}

static void cox_is_the_maximum_of_the_defined_likelihood(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        check_definition(YM_TIES_BRESLOW, seed);
        check_definition(YM_TIES_EFRON, seed);
    }
}

/* ---- what has no answer ---- */

static void assert_refused(enum ym_newton_kind kind, size_t columns, struct ym_newton_part part, const char *word)
{
    struct ym_newton_problem q = {
        .kind = kind, .ties = YM_TIES_EFRON, .columns = columns, .part = &part, .part_count = 1};
    struct ym_newton_fit fit = {0};
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_newton(&q, &fit, &st), YM_INVALID);
    if (!strstr(st.message, word))
        fail_msg("'%s' lacks '%s'", st.message, word);
    assert_null(fit.beta);
}

static void what_has_no_maximum_is_refused(void **state)
{
    double twice[] = {1, 2, 2, 4, 5, 10, 3, 6, 7, 14, 1, 2}, flat[] = {3, 3, 3, 3, 3, 3};
    double x[] = {1, 2, 3, 4, 5, 6}, split[] = {0, 0, 0, 1, 1, 1}, y[] = {0, 1, 1, 0, 1, 0},
           half[] = {0, .5, 1, 0, 1, 0};
    uint8_t none[6] = {0};

    (void)state;
    assert_refused(YM_NEWTON_LOGISTIC, 2, (struct ym_newton_part){6, twice, y, NULL, NULL, NULL}, "column 1");
    assert_refused(YM_NEWTON_LOGISTIC, 1, (struct ym_newton_part){6, flat, y, NULL, NULL, NULL}, "same in every row");
    assert_refused(YM_NEWTON_LOGISTIC, 1, (struct ym_newton_part){6, x, split, NULL, NULL, NULL}, "column 0");
    assert_refused(YM_NEWTON_LOGISTIC, 1, (struct ym_newton_part){6, x, half, NULL, NULL, NULL}, "outcome");
    assert_refused(YM_NEWTON_COX, 1, (struct ym_newton_part){6, x, x, NULL, none, NULL}, "column 0");
    assert_refused(YM_NEWTON_COX, 1, (struct ym_newton_part){1, x, x, NULL, none, NULL}, "too few");
}

/* ---- against R ---- */

struct design {
    const char *folder, *file, *set, *model, *baseline, *time, *event, *event_is, *term[MOST_TERMS];
};

/* Terms: a column; log:COLUMN; log1p:COLUMN; COLUMN=LEVEL; range:COLUMN. */
static double term_value(const struct vectors *t, const char *term)
{
    char name[64];
    const char *level = strchr(term, '='), *of = strchr(term, ':');

    if (of)
        return strncmp(term, "log1p", 5) == 0 ? log(vectors_number(t, of + 1) + 1) : log(vectors_number(t, of + 1));
    if (!level)
        return vectors_number(t, term);
    snprintf(name, sizeof name, "%.*s", (int)(level - term), term);
    return strcmp(vectors_text(t, name), level + 1) == 0;
}

struct loaded {
    size_t rows, columns, parts;
    double *x, *y;
    uint8_t *event;
    uint32_t *stratum;
    size_t first[MOST_PARTS + 1];
    char name[MOST_PARTS][32];
};

static size_t part_of(struct loaded *l, const char *name)
{
    size_t i = 0;

    while (i < l->parts && strcmp(l->name[i], name) != 0)
        i++;
    assert_true(i < MOST_PARTS);
    if (i == l->parts)
        snprintf(l->name[l->parts++], sizeof l->name[0], "%s", name);
    return i;
}

static bool is_event(const struct vectors *t, const struct design *d)
{
    double v = vectors_number(t, d->event);

    return strcmp(d->event_is, "not 0") == 0 ? v != 0 : v == strtod(d->event_is, NULL);
}

static void take_row(struct loaded *l, const struct vectors *t, const struct design *d, const char *strata)
{
    double *x = l->x + l->rows * MOST_TERMS, sum = 0;
    const char *baseline = strata ? vectors_text(t, strata) : "";

    l->columns = 0;
    for (const char *const *term = d->term; *term; term++)
        sum += x[l->columns++] = term_value(t, *term);
    l->y[l->rows] = d->time ? vectors_number(t, d->time) : is_event(t, d);
    l->event[l->rows] = is_event(t, d);
    if (isnan(sum + l->y[l->rows] + vectors_number(t, d->event)) || (strata && !*baseline))
        return;
    l->stratum[l->rows] = (uint32_t)part_of(l, baseline);
    l->rows++;
}

static void load(struct loaded *l, const struct design *d)
{
    const char *strata = strncmp(d->baseline, "strata:", 7) == 0 ? d->baseline + 7 : NULL;
    struct vectors t;
    char path[512];

    memset(l, 0, sizeof *l);
    l->x = calloc(MOST_ROWS * MOST_TERMS, sizeof *l->x);
    l->y = calloc(MOST_ROWS, sizeof *l->y);
    l->event = calloc(MOST_ROWS, 1);
    l->stratum = calloc(MOST_ROWS, sizeof *l->stratum);
    snprintf(path, sizeof path, "%s/%s/%s", getenv("YUMEN_DATA"), d->folder, d->file);
    vectors_open_path(&t, path);
    while (vectors_next(&t)) {
        assert_true(l->rows < MOST_ROWS);
        take_row(l, &t, d, strata);
    }
    for (size_t i = 0; i < l->rows; i++) /* close the gaps between rows */
        memmove(l->x + i * l->columns, l->x + i * MOST_TERMS, l->columns * sizeof *l->x);
}

static void unload(struct loaded *l)
{
    free(l->x);
    free(l->y);
    free(l->event);
    free(l->stratum);
}

static void check_table(const struct design *d, const char *ties, const struct ym_newton_fit *fit)
{
    struct vectors t;
    char path[512];
    size_t seen = 0;

    snprintf(path, sizeof path, "%s/%s/reference_%s_coef.csv", getenv("YUMEN_DATA"), d->folder, ties ? "cox" : "logit");
    vectors_open_path(&t, path);
    while (vectors_next(&t)) {
        if (strcmp(vectors_text(&t, "dataset"), d->set) || strcmp(vectors_text(&t, "model"), d->model))
            continue;
        if (ties && (strcmp(vectors_text(&t, "baseline"), d->baseline) || strcmp(vectors_text(&t, "ties"), ties)))
            continue;
        assert_true(seen < fit->count);
        assert_near(fit->beta[seen], vectors_number(&t, "coef"), 1e-8);
        assert_near(fit->se[seen], vectors_number(&t, "se"), 1e-8);
        seen++;
    }
    assert_int_equal(seen, fit->count);
    snprintf(path, sizeof path, "%s/%s/reference_%s_summary.csv", getenv("YUMEN_DATA"), d->folder,
             ties ? "cox" : "logit");
    vectors_open_path(&t, path);
    seen = 0;
    while (vectors_next(&t)) {
        if (strcmp(vectors_text(&t, "dataset"), d->set) || strcmp(vectors_text(&t, "model"), d->model))
            continue;
        if (ties && (strcmp(vectors_text(&t, "baseline"), d->baseline) || strcmp(vectors_text(&t, "ties"), ties)))
            continue;
        assert_near(fit->loglik, vectors_number(&t, "loglik"), 1e-8);
        if (ties)
            assert_near(fit->loglik_null, vectors_number(&t, "loglik_null"), 1e-8);
        assert_int_equal(fit->rows, (size_t)vectors_number(&t, "n"));
        seen++;
    }
    assert_int_equal(seen, 1);
}

/* Hospitals as parts: their rows apart, sums put together. */
static struct ym_newton_fit fit_parts(const struct loaded *l, enum ym_ties ties)
{
    struct ym_newton_part part[MOST_PARTS] = {0};
    double *x = calloc(l->rows * l->columns, sizeof *x), *y = calloc(l->rows, sizeof *y);
    uint8_t *event = calloc(l->rows, 1);
    size_t to = 0;
    struct ym_newton_problem q = {
        .kind = YM_NEWTON_COX, .ties = ties, .columns = l->columns, .part = part, .part_count = l->parts};
    struct ym_newton_fit fit = {0};

    for (size_t k = 0; k < l->parts; k++) {
        part[k] = (struct ym_newton_part){.x = x + to * l->columns, .y = y + to, .event = event + to};
        for (size_t i = 0; i < l->rows; i++) {
            if (l->stratum[i] != k)
                continue;
            memcpy(x + to * l->columns, l->x + i * l->columns, l->columns * sizeof *x);
            y[to] = l->y[i];
            event[to++] = l->event[i];
            part[k].rows++;
        }
    }
    assert_int_equal(ym_newton(&q, &fit, NULL), YM_OK);
    free(x);
    free(y);
    free(event);
    return fit;
}

#define ROTTERDAM                                                                                                      \
    "age", "meno", "size=20-50", "size=>50", "grade", "log1p:nodes", "log1p:pgr", "log1p:er", "hormon", "chemo"

static const struct design cox[] = {
    {"survival", "lung.csv", "lung", "age_sex_ecog", "pooled", "time", "status", "2", {"age", "sex", "ph.ecog"}},
    {"survival", "lung.csv", "lung", "age_sex_ecog", "strata:inst", "time", "status", "2", {"age", "sex", "ph.ecog"}},
    {"survival",
     "lung.csv",
     "lung",
     "age_sex_ecog_karno_wt",
     "strata:inst",
     "time",
     "status",
     "2",
     {"age", "sex", "ph.ecog", "ph.karno", "wt.loss"}},
    {"survival", "rotterdam.csv", "rotterdam", "death", "pooled", "dtime", "death", "1", {ROTTERDAM}},
    {"survival",
     "pbc3.csv",
     "pbc3",
     "failure_full",
     "pooled",
     "days",
     "status",
     "not 0",
     {"tment", "sex", "age", "alb", "log:bili", "gibleed"}},
    {"survival",
     "pbc3.csv",
     "pbc3",
     "failure_full",
     "strata:unit",
     "days",
     "status",
     "not 0",
     {"tment", "sex", "age", "alb", "log:bili", "gibleed"}},
    {"survival",
     "veteran.csv",
     "veteran",
     "by_celltype",
     "strata:celltype",
     "time",
     "status",
     "1",
     {"trt", "karno", "diagtime", "age", "prior"}},
};

static void need_data(void)
{
    if (!getenv("YUMEN_DATA"))
        skip();
}

static void cox_fits_agree_with_r(void **state)
{
    (void)state;
    need_data();
    for (size_t i = 0; i < sizeof cox / sizeof *cox; i++)
        for (int ties = YM_TIES_BRESLOW; ties <= YM_TIES_EFRON; ties++) {
            const char *word = ties == YM_TIES_EFRON ? "efron" : "breslow";
            struct loaded l;

            load(&l, &cox[i]);
            struct ym_newton_fit fit = fit_of(YM_NEWTON_COX, (enum ym_ties)ties, l.columns,
                                              (struct ym_newton_part){l.rows, l.x, l.y, NULL, l.event, l.stratum});
            check_table(&cox[i], word, &fit);
            ym_newton_release(&fit);
            fit = fit_parts(&l, (enum ym_ties)ties);
            check_table(&cox[i], word, &fit);
            ym_newton_release(&fit);
            unload(&l);
        }
}

/* R survival 3.5-3, eps 1e-14: the ten covariates as they are. */
static void rotterdam_of_ten_plain_covariates_agrees_with_r(void **state)
{
    static const struct design d = {
        "survival",
        "rotterdam.csv",
        "rotterdam",
        "plain",
        "pooled",
        "dtime",
        "death",
        "1",
        {"age", "meno", "size=20-50", "size=>50", "grade", "nodes", "pgr", "er", "hormon", "chemo"}};
    static const double efron[] = {0.014057635972, 0.070462129966,  0.442542688462,  0.822215304146,  0.315607750699,
                                   0.072950280673, -0.000367592837, -0.000055120480, -0.065526827872, 0.050317358512};
    struct loaded l;

    (void)state;
    need_data();
    load(&l, &d);
    struct ym_newton_fit fit =
        fit_of(YM_NEWTON_COX, YM_TIES_EFRON, l.columns, (struct ym_newton_part){l.rows, l.x, l.y, NULL, l.event, NULL});
    assert_int_equal(fit.events, 1272);
    for (size_t j = 0; j < 10; j++) /* told to 12 decimals */
        assert_true(fabs(fit.beta[j] - efron[j]) < 1e-12);
    assert_near(fit.loglik, -9265.0884923444, 1e-13);
    ym_newton_release(&fit);
    unload(&l);
}

static const struct design logit[] = {
    {"tabular",
     "wdbc.csv",
     "wdbc",
     "mle4",
     "",
     NULL,
     "benign",
     "0",
     {"mean_radius", "mean_texture", "mean_smoothness", "mean_symmetry"}},
    {"tabular",
     "wdbc.csv",
     "wdbc",
     "mle5",
     "",
     NULL,
     "benign",
     "0",
     {"mean_texture", "mean_area", "mean_smoothness", "mean_concave_points", "worst_texture"}},
};

static void logistic_fits_agree_with_r(void **state)
{
    (void)state;
    need_data();
    for (size_t i = 0; i < sizeof logit / sizeof *logit; i++) {
        struct loaded l;

        load(&l, &logit[i]);
        struct ym_newton_fit fit =
            fit_of(YM_NEWTON_LOGISTIC, 0, l.columns, (struct ym_newton_part){l.rows, l.x, l.y, NULL, NULL, NULL});
        check_table(&logit[i], NULL, &fit);
        ym_newton_release(&fit);
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_patients_have_the_coefficient_solved_by_hand),
        cmocka_unit_test(logistic_of_one_yes_or_no_is_the_log_odds_ratio),
        cmocka_unit_test(poisson_with_an_offset_is_the_log_rate_ratio),
        cmocka_unit_test(linear_is_least_squares),
        cmocka_unit_test(cox_is_the_maximum_of_the_defined_likelihood),
        cmocka_unit_test(what_has_no_maximum_is_refused),
        cmocka_unit_test(cox_fits_agree_with_r),
        cmocka_unit_test(rotterdam_of_ten_plain_covariates_agrees_with_r),
        cmocka_unit_test(logistic_fits_agree_with_r),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

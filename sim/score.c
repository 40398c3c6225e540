#include "sim/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/concordance.h"
#include "models/scaling.h"
#include "models/score.h"
#include "models/state.h"

/* Rows are predicted in blocks, so that scratch does not grow with the file. */
#define BLOCK_ROWS 1024

struct tally {
    float *score, *label; /* [rows][outputs], [rows] */
    float *block;         /* rows under way, where they are made of bytes */
    size_t rows;
    double loss;
    /* survival: by patient */
    double *risk, *time; /* [patients] */
    uint8_t *event;      /* [patients] */
    size_t patients;
    double expected, observed;
};

/* Behind ym_model_predict: score [rows], of this table's rows. Poisson's score is a rate, its mean has the offset. */
static void tally_survival(const struct ym_model *m, const struct ym_table *t, const float *score, struct tally *out)
{
    size_t targets = ym_model_targets(m);

    for (size_t row = 0; row < t->rows; row++) {
        const float *y = t->y + row * targets;

        out->expected += targets == 2 ? (double)score[row] * exp((double)y[1]) : (double)score[row];
        out->observed += (double)y[0];
    }
    for (size_t p = 0; p < t->patients; p++, out->patients++) {
        out->risk[out->patients] = (double)score[t->first_row[p]];
        out->time[out->patients] = (double)t->time[p];
        out->event[out->patients] = t->event[p];
    }
}

static void tally_table(const struct ym_model *m, const float *params, const struct ym_table *t,
                        struct ym_model_work *w, struct tally *out)
{
    size_t outputs = ym_model_outputs(m), targets = ym_model_targets(m), first = out->rows;

    for (size_t row = 0; row < t->rows; row += BLOCK_ROWS) {
        size_t n = t->rows - row < BLOCK_ROWS ? t->rows - row : BLOCK_ROWS;
        const float *x = ym_table_rows(t, row, n, out->block), *y = t->y + row * targets;

        ym_model_predict(m, params, x, n, w, out->score + out->rows * outputs);
        out->loss += ym_model_loss(m, params, x, y, n, w) * (double)n;
        for (size_t i = 0; i < n; i++)
            out->label[out->rows + i] = y[i * targets];
        out->rows += n;
    }
    if (t->time != NULL)
        tally_survival(m, t, out->score + first, out);
}

/* The score of level 1: the only output, or the second of two. */
static double auc_of(const struct ym_plan *plan, const struct tally *t, size_t outputs)
{
    if (plan->outcome.kind != YM_VAR_CATEGORY || plan->outcome.level_count != 2 || outputs > 2)
        return NAN;
    if (outputs == 1)
        return ym_score_auc(t->score, t->label, t->rows);
    for (size_t i = 0; i < t->rows; i++)
        t->score[i] = t->score[2 * i + 1];
    return ym_score_auc(t->score, t->label, t->rows);
}

static struct ym_score score_of(const struct ym_plan *plan, const struct tally *t, size_t outputs)
{
    struct ym_score s = {t->rows, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

    if (t->rows == 0)
        return s;
    s.loss = t->loss / (double)(ym_plan_survival(plan) ? t->patients : t->rows);
    if (ym_plan_survival(plan)) {
        s.concordance = ym_concordance_of(t->risk, t->time, t->event, NULL, t->patients).index;
        s.expected = t->expected;
        s.observed = t->observed;
        return s;
    }
    if (plan->outcome.kind == YM_VAR_CATEGORY) {
        s.accuracy = ym_score_accuracy(t->score, outputs, t->label, t->rows);
        s.brier = ym_score_brier(t->score, outputs, t->label, t->rows);
    }
    s.auc = auc_of(plan, t, outputs); /* it folds the scores in place */
    if (!isnan(s.auc))
        ym_score_calibration(t->score, t->label, t->rows, &s.intercept, &s.slope);
    return s;
}

enum ym_code ym_score_tables(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             const struct ym_table *const *t, size_t count, struct ym_score *out, struct ym_status *st)
{
    size_t rows = 0, block = 0, outputs = ym_model_outputs(m);
    struct ym_model_work *w = ym_model_work_new(m, BLOCK_ROWS);
    struct tally tally = {0};
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < count; i++) {
        rows += t[i]->rows;
        block = ym_table_scratch(t[i], BLOCK_ROWS);
    }
    tally.block = calloc(block + 1, sizeof *tally.block);
    tally.score = calloc(rows + 1, outputs * sizeof *tally.score);
    tally.label = calloc(rows + 1, sizeof *tally.label);
    tally.risk = calloc(rows + 1, sizeof *tally.risk);
    tally.time = calloc(rows + 1, sizeof *tally.time);
    tally.event = calloc(rows + 1, sizeof *tally.event);
    if (w == NULL || tally.block == NULL || tally.score == NULL || tally.label == NULL || !tally.risk || !tally.time ||
        !tally.event) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory to score %zu rows", rows);
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        tally_table(m, params, t[i], w, &tally);
    *out = score_of(plan, &tally, outputs);
out:
    ym_model_work_free(w);
    free(tally.score);
    free(tally.block);
    free(tally.label);
    free(tally.risk);
    free(tally.time);
    free(tally.event);
    return code;
}

enum ym_code ym_score_table(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *t, struct ym_score *out, struct ym_status *st)
{
    return ym_score_tables(plan, m, params, &t, 1, out, st);
}

struct ym_score ym_score_mean(const struct ym_score *score, size_t n)
{
    struct ym_score mean = {0};
    double counted = 0;

    for (size_t i = 0; i < n; i++) {
        if (score[i].rows == 0)
            continue;
        counted++;
        mean.rows += score[i].rows;
        mean.loss += score[i].loss;
        mean.accuracy += score[i].accuracy;
        mean.auc += score[i].auc;
        mean.brier += score[i].brier;
        mean.intercept += score[i].intercept;
        mean.slope += score[i].slope;
        mean.concordance += score[i].concordance;
        mean.expected += score[i].expected;
        mean.observed += score[i].observed;
    }
    mean.loss /= counted; /* 0 / 0: NaN, as said */
    mean.accuracy /= counted;
    mean.auc /= counted;
    mean.brier /= counted;
    mean.intercept /= counted;
    mean.slope /= counted;
    mean.concordance /= counted;
    mean.expected /= counted;
    mean.observed /= counted;
    return mean;
}

enum ym_code ym_score_params(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes state,
                             uint32_t *round, float **params, struct ym_status *st)
{
    const uint8_t *block;
    float *copy;
    double extra[YM_MODEL_MAX_EXTRA];
    enum ym_code code = ym_state_params(plan, state, round, &block, st);

    if (code == YM_OK)
        code = ym_state_extra(plan, state, extra, st);
    if (code != YM_OK)
        return code;
    copy = malloc((m->dim + 1) * sizeof *copy);
    if (copy == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", m->dim);
    memcpy(copy, block, m->dim * sizeof *copy);
    ym_scaling_fold(plan, m, extra, copy);
    *params = copy;
    return YM_OK;
}

#include "sim/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
};

static void tally_table(const struct ym_model *m, const float *params, const struct ym_table *t,
                        struct ym_model_work *w, struct tally *out)
{
    size_t outputs = ym_model_outputs(m);

    for (size_t row = 0; row < t->rows; row += BLOCK_ROWS) {
        size_t n = t->rows - row < BLOCK_ROWS ? t->rows - row : BLOCK_ROWS;
        const float *x = ym_table_rows(t, row, n, out->block), *y = t->y + row;

        ym_model_predict(m, params, x, n, w, out->score + out->rows * outputs);
        out->loss += ym_model_loss(m, params, x, y, n, w) * (double)n;
        memcpy(out->label + out->rows, y, n * sizeof *y);
        out->rows += n;
    }
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
    struct ym_score s = {.rows = t->rows, .loss = NAN, .accuracy = NAN, .auc = NAN};

    if (t->rows == 0)
        return s;
    s.loss = t->loss / (double)t->rows;
    if (plan->outcome.kind == YM_VAR_CATEGORY)
        s.accuracy = ym_score_accuracy(t->score, outputs, t->label, t->rows);
    s.auc = auc_of(plan, t, outputs); /* last: it folds the scores in place */
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
    if (w == NULL || tally.block == NULL || tally.score == NULL || tally.label == NULL) {
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
    }
    mean.loss /= counted; /* 0 / 0: NaN, as said */
    mean.accuracy /= counted;
    mean.auc /= counted;
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

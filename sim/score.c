#include "sim/score.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "models/concordance.h"
#include "models/scaling.h"
#include "models/score.h"
#include "models/state.h"

/* Rows are predicted in blocks, so that scratch does not grow with the file. */
#define BLOCK_ROWS 1024
#define MANY_ROWS 8192 /* that other threads are woken for */

/* ---- what the model says ---- */

/* score [rows] of this table. */
static void take_patients(const struct ym_table *t, const float *score, struct ym_scores *out)
{
    for (size_t p = 0; p < t->patients; p++, out->patients++) {
        out->risk[out->patients] = (double)score[t->first_row[p]];
        out->time[out->patients] = (double)t->time[p];
        out->event[out->patients] = t->event[p];
    }
}

/* A rate becomes a mean by its offset; the risks were taken before. */
static void apply_offsets(const struct ym_table *t, float *score)
{
    for (size_t row = 0; row < t->rows; row++)
        score[row] = (float)((double)score[row] * exp((double)t->y[2 * row + 1]));
}

static void sum_bins(const struct ym_table *t, const float *score, double *expected)
{
    for (size_t p = 0; p < t->patients; p++) {
        expected[p] = 0;
        for (uint64_t row = t->first_row[p]; row < t->first_row[p + 1]; row++)
            expected[p] += (double)score[row];
    }
}

/* Threads take blocks of a table; who took which changes nothing. */
struct pass {
    const struct ym_model *m;
    const float *params;
    const struct ym_table *t;
    float *score, *label; /* of this table's rows */
    double *loss;         /* of each block, summed over its rows */
    atomic_size_t next;
    struct ym_pool *pool;                  /* NULL: one thread */
    struct ym_model_work *w[YM_POOL_MOST]; /* one a thread, */
    float *block[YM_POOL_MOST];            /* likewise */
};

static void pass_blocks(void *ctx, size_t thread)
{
    struct pass *p = ctx;
    size_t targets = ym_model_targets(p->m), outputs = ym_model_outputs(p->m), row;

    while ((row = atomic_fetch_add_explicit(&p->next, BLOCK_ROWS, memory_order_relaxed)) < p->t->rows) {
        size_t n = p->t->rows - row < BLOCK_ROWS ? p->t->rows - row : BLOCK_ROWS;
        const float *y = p->t->y + row * targets;

        p->loss[row / BLOCK_ROWS] = ym_model_loss(p->m, p->params, ym_table_rows(p->t, row, n, p->block[thread]), y, n,
                                                  p->w[thread], p->score + row * outputs) *
                                    (double)n;
        for (size_t i = 0; i < n; i++)
            p->label[row + i] = y[i * targets];
    }
}

static void take_table(struct pass *p, const struct ym_table *t, struct ym_scores *out)
{
    size_t before = out->patients;

    p->t = t;
    p->score = out->score + out->rows * out->outputs;
    p->label = out->label + out->rows;
    atomic_store(&p->next, 0);
    if (p->pool)
        ym_pool_run(p->pool, pass_blocks, p);
    else
        pass_blocks(p, 0);
    for (size_t i = 0; i * BLOCK_ROWS < t->rows; i++)
        out->loss += p->loss[i];
    if (t->time != NULL)
        take_patients(t, p->score, out);
    if (ym_model_targets(p->m) == 2)
        apply_offsets(t, p->score);
    if (t->time != NULL)
        sum_bins(t, p->score, out->expected + before);
    out->rows += t->rows;
}

/* Without threads, for the machine may grant none, it only takes longer. */
static bool open_pass(struct pass *p, size_t rows, size_t scratch)
{
    size_t threads = rows > MANY_ROWS ? ym_pool_cores() : 1;

    p->pool = threads > 1 ? ym_pool_new(threads) : NULL;
    p->loss = calloc(rows / BLOCK_ROWS + 1, sizeof *p->loss);
    for (size_t i = 0; i < (p->pool ? threads : 1); i++) {
        p->w[i] = ym_model_work_new(p->m, BLOCK_ROWS);
        p->block[i] = calloc(scratch + 1, sizeof *p->block[i]);
        if (!p->w[i] || !p->block[i])
            return false;
    }
    return p->loss != NULL;
}

static void close_pass(struct pass *p)
{
    ym_pool_free(p->pool);
    for (size_t i = 0; i < YM_POOL_MOST; i++) {
        ym_model_work_free(p->w[i]);
        free(p->block[i]);
    }
    free(p->loss);
}

static enum ym_code make_room(size_t rows, struct ym_scores *s, struct ym_status *st)
{
    s->score = calloc(rows + 1, s->outputs * sizeof *s->score);
    s->label = calloc(rows + 1, sizeof *s->label);
    if (ym_plan_survival(s->plan)) {
        s->risk = calloc(rows + 1, sizeof *s->risk);
        s->time = calloc(rows + 1, sizeof *s->time);
        s->expected = calloc(rows + 1, sizeof *s->expected);
        s->event = calloc(rows + 1, sizeof *s->event);
        if (!s->risk || !s->time || !s->expected || !s->event)
            return ym_status_set(st, YM_EXHAUSTED, "no memory to score %zu rows", rows);
    }
    return s->score && s->label ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory to score %zu rows", rows);
}

enum ym_code ym_scores_open(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *const *t, size_t count, struct ym_scores *out, struct ym_status *st)
{
    struct ym_scores s = {.plan = plan, .outputs = ym_model_outputs(m)};
    struct pass pass = {.m = m, .params = params};
    size_t rows = 0, scratch = 0;
    enum ym_code code;

    for (size_t i = 0; i < count; i++) {
        rows += t[i]->rows;
        scratch = ym_table_scratch(t[i], BLOCK_ROWS) > scratch ? ym_table_scratch(t[i], BLOCK_ROWS) : scratch;
    }
    code = make_room(rows, &s, st);
    if (code == YM_OK && !open_pass(&pass, rows, scratch))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory to score %zu rows", rows);
    for (size_t i = 0; i < count && code == YM_OK; i++)
        take_table(&pass, t[i], &s);
    close_pass(&pass);
    if (code == YM_OK)
        *out = s;
    else
        ym_scores_release(&s);
    return code;
}

void ym_scores_release(struct ym_scores *s)
{
    free(s->score);
    free(s->label);
    free(s->risk);
    free(s->time);
    free(s->expected);
    free(s->event);
    *s = (struct ym_scores){0};
}

/* ---- figures ---- */

static bool two_levels(const struct ym_scores *s)
{
    const struct ym_variable *y = &s->plan->outcome;

    return y->kind == YM_VAR_CATEGORY && y->level_count == 2 && !ym_plan_survival(s->plan);
}

/* Of level 1: the only output, or the second of two. */
static float positive_of(const struct ym_scores *s, size_t row)
{
    return s->score[row * s->outputs + s->outputs - 1];
}

static void sum_survival(const struct ym_scores *s, struct ym_score *out)
{
    struct ym_concordance c = ym_concordance_of(s->risk, s->time, s->event, NULL, s->patients);

    out->loss = s->loss / (double)s->patients;
    out->concordance = c.index;
    out->concordance_se = c.se;
    out->expected = out->observed = 0;
    for (size_t p = 0; p < s->patients; p++) {
        out->expected += s->expected[p];
        out->observed += s->event[p];
    }
}

static void sum_two_levels(const struct ym_scores *s, struct ym_score *out)
{
    float *positive = calloc(s->rows, sizeof *positive);

    for (size_t i = 0; positive && i < s->rows; i++)
        positive[i] = positive_of(s, i);
    if (positive)
        out->auc = ym_score_auc(positive, s->label, s->rows, &out->auc_se);
    if (positive && !isnan(out->auc))
        ym_score_calibration(positive, s->label, s->rows, &out->intercept, &out->slope);
    free(positive);
}

static void sum_numbers(const struct ym_scores *s, struct ym_score *out)
{
    const struct ym_variable *y = &s->plan->outcome;
    double unit = s->plan->family == YM_FAMILY_POISSON ? 1 : (y->high - y->low) / 2, sum = 0;

    for (size_t i = 0; i < s->rows; i++) {
        double off = ((double)s->score[i] - (double)s->label[i]) * unit;

        sum += off * off;
    }
    out->rmse = sqrt(sum / (double)s->rows);
    if (s->plan->family != YM_FAMILY_POISSON)
        return;
    out->expected = out->observed = 0;
    for (size_t i = 0; i < s->rows; i++) {
        out->expected += (double)s->score[i];
        out->observed += (double)s->label[i];
    }
}

struct ym_score ym_scores_sum(const struct ym_scores *s)
{
    struct ym_score sum = {s->rows, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

    if (s->rows == 0)
        return sum;
    sum.loss = s->loss / (double)s->rows;
    if (ym_plan_survival(s->plan)) {
        sum_survival(s, &sum);
        return sum;
    }
    if (s->plan->outcome.kind == YM_VAR_NUMBER) {
        sum_numbers(s, &sum);
        return sum;
    }
    sum.accuracy = ym_score_accuracy(s->score, s->outputs, s->label, s->rows);
    sum.brier = ym_score_brier(s->score, s->outputs, s->label, s->rows);
    if (two_levels(s))
        sum_two_levels(s, &sum);
    return sum;
}

/* ---- reliability and confusion ---- */

static size_t drop_empty(struct ym_score_bin bin[YM_SCORE_BINS])
{
    size_t n = 0;

    for (size_t k = 0; k < YM_SCORE_BINS; k++)
        if (bin[k].count > 0)
            bin[n++] = bin[k];
    return n;
}

static void bin_scores(const struct ym_scores *s, struct ym_score_bin bin[YM_SCORE_BINS])
{
    for (size_t k = 0; k < YM_SCORE_BINS; k++)
        bin[k] = (struct ym_score_bin){(double)k / YM_SCORE_BINS, (double)(k + 1) / YM_SCORE_BINS, 0, 0, 0};
    for (size_t i = 0; i < s->rows; i++) {
        double score = (double)positive_of(s, i);
        size_t k = score > 0 ? (size_t)fmin(score * YM_SCORE_BINS, YM_SCORE_BINS - 1) : 0;

        bin[k].count++;
        bin[k].expected += score;
        bin[k].observed += (double)s->label[i];
    }
    for (size_t k = 0; k < YM_SCORE_BINS; k++) {
        bin[k].expected /= (double)bin[k].count;
        bin[k].observed /= (double)bin[k].count;
    }
}

struct ranked {
    double risk, expected, observed;
};

static int by_risk(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    return (a->risk > b->risk) - (a->risk < b->risk);
}

static void bin_patients(const struct ym_scores *s, struct ym_score_bin bin[YM_SCORE_BINS])
{
    struct ranked *all = calloc(s->patients + 1, sizeof *all);

    for (size_t i = 0; all && i < s->patients; i++)
        all[i] = (struct ranked){s->risk[i], s->expected[i], s->event[i]};
    if (all)
        qsort(all, s->patients, sizeof *all, by_risk);
    for (size_t k = 0; all && k < YM_SCORE_BINS; k++) {
        size_t first = s->patients * k / YM_SCORE_BINS, end = s->patients * (k + 1) / YM_SCORE_BINS;

        bin[k] = (struct ym_score_bin){.count = end - first};
        for (size_t i = first; i < end; i++) {
            bin[k].expected += all[i].expected;
            bin[k].observed += all[i].observed;
        }
        if (end > first) {
            bin[k].from = all[first].risk;
            bin[k].to = all[end - 1].risk;
        }
    }
    free(all);
}

size_t ym_scores_bins(const struct ym_scores *s, struct ym_score_bin bin[YM_SCORE_BINS])
{
    memset(bin, 0, YM_SCORE_BINS * sizeof *bin);
    if (ym_plan_survival(s->plan))
        bin_patients(s, bin);
    else if (two_levels(s))
        bin_scores(s, bin);
    return drop_empty(bin);
}

void ym_scores_confusion(const struct ym_scores *s, size_t *count)
{
    size_t levels = s->plan->outcome.level_count;

    memset(count, 0, levels * levels * sizeof *count);
    for (size_t i = 0; i < s->rows; i++)
        count[(size_t)s->label[i] * levels + ym_score_class(s->score + i * s->outputs, s->outputs)]++;
}

/* ---- sums of tables ---- */

enum ym_code ym_score_tables(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                             const struct ym_table *const *t, size_t count, struct ym_score *out, struct ym_status *st)
{
    struct ym_scores s = {0};
    enum ym_code code = ym_scores_open(plan, m, params, t, count, &s, st);

    if (code == YM_OK)
        *out = ym_scores_sum(&s);
    ym_scores_release(&s);
    return code;
}

enum ym_code ym_score_table(const struct ym_plan *plan, const struct ym_model *m, const float *params,
                            const struct ym_table *t, struct ym_score *out, struct ym_status *st)
{
    return ym_score_tables(plan, m, params, &t, 1, out, st);
}

struct ym_score ym_score_mean(const struct ym_score *score, size_t n)
{
    struct ym_score mean = {.auc_se = NAN, .concordance_se = NAN};
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
        mean.rmse += score[i].rmse;
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
    mean.rmse /= counted;
    mean.concordance /= counted;
    mean.expected /= counted;
    mean.observed /= counted;
    return mean;
}

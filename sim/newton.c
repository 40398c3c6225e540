#include "sim/newton.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/newton_internal.h"
#include "tensor/mat.h"

#define DONE 1e-11        /* gain of a step, in log-likelihood: the step after it errs by its square */
#define LEAST_PIVOT 1e-11 /* of a column's own information: below, the others explain it */
#define VANISHED 1e-7     /* information at the end over that at the start: the maximum lies at infinity */
#define MAX_HALVINGS 40

struct fitting {
    const struct ym_newton_problem *problem;
    struct ym_prepared *part;
    size_t count, rows, events, outputs, width; /* count = outputs * width */
    bool intercept;
    double *penalty;       /* [count][count] for the standardised columns; NULL: none */
    double *shift, *scale; /* [count] of the standardised columns; intercept 0, 1 */
    double *beta, *trial, *step, *factor, *start;
    struct ym_likelihood now, next;
    double loglik_null;
    unsigned steps;
};

struct word {
    char text[280];
};

static struct word column_word(const struct ym_newton_problem *q, size_t j)
{
    struct word w;

    if (q->name)
        snprintf(w.text, sizeof w.text, "'%s'", q->name[j]);
    else
        snprintf(w.text, sizeof w.text, "column %zu", j);
    return w;
}

/* Of coefficient j. */
static struct word term_word(const struct fitting *f, size_t j)
{
    j %= f->width;
    return column_word(f->problem, j >= f->intercept ? j - f->intercept : 0);
}

void ym_newton_gram(const double *x, size_t rows, size_t columns, const double *weight, double sign,
                    struct ym_prepared *p, double *information)
{
    struct ym_wide left = {p->weighted, rows, columns, columns}, right = {(double *)x, rows, columns, columns};

    if (rows == 0)
        return;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            p->weighted[i * columns + j] = (weight ? weight[i] : 1) * x[i * columns + j];
    ym_wide_mul(left, true, right, false, (struct ym_wide){p->product, columns, columns, columns});
    for (size_t i = 0; i < columns * columns; i++)
        information[i] += sign * p->product[i];
}

/* ---- preparation ---- */

static enum ym_code check_row(const struct ym_newton_problem *q, const struct ym_newton_part *part, size_t i,
                              struct ym_status *st)
{
    double y = part->y[i];
    bool good = isfinite(y) && (!part->offset || isfinite(part->offset[i]));

    if (q->kind == YM_NEWTON_LOGISTIC)
        good &= y == 0 || y == 1;
    if (q->kind == YM_NEWTON_POISSON || q->kind == YM_NEWTON_COX)
        good &= y >= 0;
    if (q->kind == YM_NEWTON_MULTINOMIAL)
        good &= y >= 0 && y <= (double)q->outputs && y == floor(y);
    if (!good)
        return ym_status_set(st, YM_INVALID, "an outcome is missing or out of its range");
    for (size_t j = 0; j < q->columns; j++)
        if (!isfinite(part->x[i * q->columns + j]))
            return ym_status_set(st, YM_INVALID, "%s has a value that is not finite", column_word(q, j).text);
    return YM_OK;
}

static enum ym_code check(const struct ym_newton_problem *q, struct ym_status *st)
{
    if (q->columns > YM_NEWTON_MAX_COLUMNS || (q->kind == YM_NEWTON_COX && q->columns == 0))
        return ym_status_set(st, YM_INVALID, "%zu columns; from %d to %d fit", q->columns, q->kind == YM_NEWTON_COX,
                             YM_NEWTON_MAX_COLUMNS);
    if (q->outputs > 1 && q->outputs * (q->columns + 1) > YM_NEWTON_MAX_COLUMNS)
        return ym_status_set(st, YM_INVALID, "%zu coefficients are more than %d", q->outputs * (q->columns + 1),
                             YM_NEWTON_MAX_COLUMNS);
    for (size_t k = 0; k < q->part_count; k++)
        for (size_t i = 0; i < q->part[k].rows; i++)
            if (check_row(q, &q->part[k], i, st) != YM_OK)
                return YM_INVALID;
    return YM_OK;
}

/* Mean and standard deviation of each column over all parts. */
static enum ym_code standardise(struct fitting *f, struct ym_status *st)
{
    const struct ym_newton_problem *q = f->problem;

    for (size_t j = 0; j < q->columns; j++) {
        size_t at = j + f->intercept;
        double sum = 0, squares = 0, n = (double)f->rows;

        for (size_t k = 0; k < q->part_count; k++)
            for (size_t i = 0; i < q->part[k].rows; i++)
                sum += q->part[k].x[i * q->columns + j];
        for (size_t k = 0; k < q->part_count; k++)
            for (size_t i = 0; i < q->part[k].rows; i++) {
                double d = q->part[k].x[i * q->columns + j] - sum / n;
                squares += d * d;
            }
        f->shift[at] = sum / n;
        f->scale[at] = sqrt(squares / n);
        if (!(f->scale[at] > 1e-13 * fabs(f->shift[at])))
            return ym_status_set(st, YM_INVALID, "%s is the same in every row", column_word(q, j).text);
    }
    if (f->intercept)
        f->scale[0] = 1;
    for (size_t j = f->width; j < f->count; j++) {
        f->shift[j] = f->shift[j - f->width];
        f->scale[j] = f->scale[j - f->width];
    }
    return YM_OK;
}

static size_t count_events(const struct ym_newton_part *part)
{
    size_t events = 0;

    for (size_t i = 0; part->event && i < part->rows; i++)
        events += part->event[i];
    return events;
}

static bool make_room(struct ym_prepared *p, size_t outputs)
{
    size_t cells = (p->rows > p->events ? p->rows : p->events) * p->columns + 1, n = p->rows + 1;

    p->x = calloc(cells, sizeof *p->x);
    p->weighted = calloc(cells + n, sizeof *p->weighted);
    p->mean = calloc(p->events * p->columns + 1, sizeof *p->mean);
    p->product = calloc(p->columns * p->columns + 2 * p->columns + 1, sizeof *p->product);
    p->y = calloc(n, sizeof *p->y);
    p->offset = calloc(n, sizeof *p->offset);
    p->eta = calloc(n * outputs, sizeof *p->eta);
    p->block = calloc(p->columns * p->columns + 1, sizeof *p->block);
    p->h = calloc(n, sizeof *p->h);
    p->event = calloc(n, sizeof *p->event);
    p->stratum = calloc(n, sizeof *p->stratum);
    return p->x && p->weighted && p->mean && p->product && p->block && p->y && p->offset && p->eta && p->h &&
           p->event && p->stratum;
}

static void copy_rows(const struct fitting *f, const struct ym_newton_part *from, struct ym_prepared *p)
{
    size_t columns = f->problem->columns;

    for (size_t i = 0; i < from->rows; i++) {
        double *x = p->x + i * p->columns;

        if (f->intercept)
            *x++ = 1;
        for (size_t j = 0; j < columns; j++)
            x[j] = (from->x[i * columns + j] - f->shift[j + f->intercept]) / f->scale[j + f->intercept];
        p->y[i] = from->y[i];
        p->offset[i] = from->offset ? from->offset[i] : 0;
        p->event[i] = from->event ? from->event[i] : 0;
        p->stratum[i] = from->stratum ? from->stratum[i] : 0;
    }
}

static enum ym_code prepare(struct fitting *f, struct ym_status *st)
{
    const struct ym_newton_problem *q = f->problem;
    enum ym_code code = YM_OK;

    for (size_t k = 0; k < q->part_count && code == YM_OK; k++) {
        struct ym_prepared *p = &f->part[k];

        p->rows = q->part[k].rows;
        p->columns = f->width;
        p->events = count_events(&q->part[k]);
        if (!make_room(p, f->outputs))
            return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu rows", p->rows);
        copy_rows(f, &q->part[k], p);
        if (q->kind == YM_NEWTON_COX)
            code = ym_cox_sort(p, st);
    }
    return code;
}

/* ---- algebra ---- */

/* a = l·l', lower triangle of l; the pivot of a column that others explain is refused. */
static enum ym_code factorise(const struct fitting *f, const double *a, double *l, struct ym_status *st)
{
    size_t n = f->count;

    for (size_t j = 0; j < n; j++) {
        double pivot = a[j * n + j];

        for (size_t k = 0; k < j; k++)
            pivot -= l[j * n + k] * l[j * n + k];
        if (!(pivot > LEAST_PIVOT * a[j * n + j]))
            return ym_status_set(st, YM_INVALID, "%s is a combination of those before it, or no event tells of it",
                                 term_word(f, j).text);
        l[j * n + j] = sqrt(pivot);
        for (size_t i = j + 1; i < n; i++) {
            double s = a[i * n + j];

            for (size_t k = 0; k < j; k++)
                s -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = s / l[j * n + j];
        }
    }
    return YM_OK;
}

static void solve(const double *l, size_t n, double *v)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            v[i] -= l[i * n + k] * v[k];
        v[i] /= l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            v[i] -= l[k * n + i] * v[k];
        v[i] /= l[i * n + i];
    }
}

/* ---- penalty ---- */

/* row . b, b the coefficients as told when standardised coefficient j is 1 and the others are 0. */
static double as_told(const struct fitting *f, size_t j, const double *row)
{
    size_t intercept = j - j % f->width;

    if (f->intercept && j == intercept)
        return row[j];
    return (row[j] - (f->intercept ? row[intercept] * f->shift[j] : 0)) / f->scale[j];
}

static enum ym_code turn_penalty(struct fitting *f, struct ym_status *st)
{
    size_t n = f->count;
    double *half = calloc(n * n, sizeof *half);

    f->penalty = calloc(n * n, sizeof *f->penalty);
    for (size_t j = 0; half && f->penalty && j < n; j++)
        for (size_t k = 0; k < n; k++)
            half[j * n + k] = as_told(f, j, f->problem->penalty + k * n);
    for (size_t j = 0; half && f->penalty && j < n; j++)
        for (size_t i = 0; i < n; i++)
            f->penalty[j * n + i] = as_told(f, i, half + j * n);
    free(half);
    return half && f->penalty ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a penalty");
}

/* beta' penalty beta / 2. */
static double penalty_of(const struct fitting *f, const double *beta)
{
    size_t n = f->count;
    double sum = 0;

    for (size_t i = 0; f->penalty && i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += beta[i] * f->penalty[i * n + j] * beta[j] / 2;
    return sum;
}

static void penalise(const struct fitting *f, const double *beta, struct ym_likelihood *sum)
{
    size_t n = f->count;

    sum->loglik -= penalty_of(f, beta);
    for (size_t i = 0; f->penalty && i < n; i++)
        for (size_t j = 0; j < n; j++) {
            sum->score[i] -= f->penalty[i * n + j] * beta[j];
            sum->information[i * n + j] += f->penalty[i * n + j];
        }
}

/* ---- steps ---- */

static void evaluate(struct fitting *f, const double *beta, struct ym_likelihood *sum)
{
    const struct ym_newton_problem *q = f->problem;

    sum->loglik = 0;
    memset(sum->score, 0, f->count * sizeof *sum->score);
    memset(sum->information, 0, f->count * f->count * sizeof *sum->information);
    for (size_t k = 0; k < q->part_count; k++) {
        if (q->kind == YM_NEWTON_COX)
            ym_cox_add(q->ties, &f->part[k], beta, sum);
        else if (q->kind == YM_NEWTON_MULTINOMIAL)
            ym_multinomial_add(f->outputs, &f->part[k], beta, sum);
        else
            ym_glm_add(q->kind, &f->part[k], beta, sum);
    }
    penalise(f, beta, sum);
}

/* beta + t·step for the largest t of 1, 1/2, 1/4 … that does not lose likelihood. */
static enum ym_code advance(struct fitting *f, struct ym_status *st)
{
    double t = 1, slack = 1e-12 * (1 + fabs(f->now.loglik));
    struct ym_likelihood old;

    for (int k = 0; k < MAX_HALVINGS; k++, t /= 2) {
        for (size_t j = 0; j < f->count; j++)
            f->trial[j] = f->beta[j] + t * f->step[j];
        evaluate(f, f->trial, &f->next);
        if (!(f->next.loglik >= f->now.loglik - slack))
            continue;
        memcpy(f->beta, f->trial, f->count * sizeof *f->beta);
        old = f->now;
        f->now = f->next;
        f->next = old;
        return YM_OK;
    }
    return ym_status_set(st, YM_INVALID, "the likelihood cannot be raised along Newton's step");
}

static enum ym_code check_maximum(const struct fitting *f, struct ym_status *st)
{
    size_t n = f->count;

    for (size_t j = 0; j < n; j++)
        if (f->now.information[j * n + j] < VANISHED * f->start[j])
            return ym_status_set(st, YM_INVALID,
                                 "%s: the likelihood has no maximum, its coefficient grows without end "
                                 "(values that separate the outcome?)",
                                 term_word(f, j).text);
    return YM_OK;
}

static enum ym_code climb(struct fitting *f, struct ym_status *st)
{
    bool last = false;
    enum ym_code code;

    evaluate(f, f->beta, &f->now);
    f->loglik_null = f->now.loglik;
    for (size_t j = 0; j < f->count; j++)
        f->start[j] = f->now.information[j * f->count + j];
    for (f->steps = 1; f->steps <= YM_NEWTON_MAX_STEPS; f->steps++) {
        double gain = 0;

        code = factorise(f, f->now.information, f->factor, st);
        if (code != YM_OK)
            return code;
        memcpy(f->step, f->now.score, f->count * sizeof *f->step);
        solve(f->factor, f->count, f->step);
        for (size_t j = 0; j < f->count; j++)
            gain += f->step[j] * f->now.score[j];
        last = gain < DONE;
        code = advance(f, st);
        if (code != YM_OK)
            return code;
        if (last)
            return check_maximum(f, st);
    }
    return ym_status_set(st, YM_INVALID, "no maximum of the likelihood within %d steps", YM_NEWTON_MAX_STEPS);
}

/* ---- answer ---- */

/* Back from standardised columns: beta_j / scale_j, and the intercept less what the shifts took. */
static void unscale(const struct fitting *f, double *v)
{
    for (size_t first = 0; first < f->count; first += f->width, v += f->width) {
        for (size_t j = f->intercept; j < f->width; j++)
            v[j] /= f->scale[j];
        for (size_t j = 1; f->intercept && j < f->width; j++)
            v[0] -= v[j] * f->shift[j];
    }
}

static enum ym_code invert(struct fitting *f, double *covariance, struct ym_status *st)
{
    size_t n = f->count;
    enum ym_code code = factorise(f, f->now.information, f->factor, st);

    if (code != YM_OK)
        return code;
    for (size_t j = 0; j < n; j++) {
        double *row = covariance + j * n;

        memset(row, 0, n * sizeof *row);
        row[j] = 1;
        solve(f->factor, n, row);
        unscale(f, row);
    }
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < n; i++)
            f->step[i] = covariance[i * n + j];
        unscale(f, f->step);
        for (size_t i = 0; i < n; i++)
            covariance[i * n + j] = f->step[i];
    }
    return YM_OK;
}

static void finish_linear(const struct fitting *f, struct ym_newton_fit *out)
{
    double residual = -2 * out->loglik, n = (double)f->rows;

    out->dispersion = residual / (n - (double)f->count);
    out->loglik = -n / 2 * (log(2 * M_PI * residual / n) + 1);
    for (size_t i = 0; i < f->count * f->count; i++)
        out->covariance[i] *= out->dispersion;
}

static enum ym_code finish(struct fitting *f, struct ym_newton_fit *out, struct ym_status *st)
{
    enum ym_code code = invert(f, out->covariance, st);

    if (code != YM_OK)
        return code;
    memcpy(out->beta, f->beta, f->count * sizeof *out->beta);
    unscale(f, out->beta);
    out->rows = f->rows;
    out->events = f->events;
    out->count = f->count;
    out->steps = f->steps;
    out->dispersion = 1;
    out->loglik = f->now.loglik + penalty_of(f, f->beta);
    out->loglik_null = f->problem->kind == YM_NEWTON_COX ? f->loglik_null : NAN;
    if (f->problem->kind == YM_NEWTON_LINEAR)
        finish_linear(f, out);
    for (size_t j = 0; j < f->count; j++)
        out->se[j] = sqrt(out->covariance[j * f->count + j]);
    return YM_OK;
}

static enum ym_code fitting_init(struct fitting *f, struct ym_newton_fit *out, struct ym_status *st)
{
    size_t n = f->count;
    double **vector[] = {&f->shift,     &f->scale,      &f->beta,  &f->trial,  &f->step,
                         &f->now.score, &f->next.score, &f->start, &out->beta, &out->se};
    double **square[] = {&f->factor, &f->now.information, &f->next.information, &out->covariance};
    bool full = true;

    f->now.count = f->next.count = n;
    f->part = calloc(f->problem->part_count + 1, sizeof *f->part);
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++)
        full &= (*vector[i] = calloc(n, sizeof(double))) != NULL;
    for (size_t i = 0; i < sizeof square / sizeof *square; i++)
        full &= (*square[i] = calloc(n * n, sizeof(double))) != NULL;
    return full && f->part ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for %zu coefficients", n);
}

static void fitting_release(struct fitting *f)
{
    double *all[] = {f->shift,
                     f->scale,
                     f->beta,
                     f->trial,
                     f->step,
                     f->now.score,
                     f->next.score,
                     f->start,
                     f->factor,
                     f->now.information,
                     f->next.information,
                     f->penalty};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    for (size_t k = 0; f->part && k < f->problem->part_count; k++) {
        struct ym_prepared *p = &f->part[k];
        void *block[] = {p->x,      p->weighted, p->mean, p->product, p->block,  p->y,
                         p->offset, p->eta,      p->h,    p->event,   p->stratum};

        for (size_t i = 0; i < sizeof block / sizeof *block; i++)
            free(block[i]);
    }
    free(f->part);
}

enum ym_code ym_newton(const struct ym_newton_problem *problem, struct ym_newton_fit *out, struct ym_status *st)
{
    struct fitting f = {.problem = problem, .intercept = problem->kind != YM_NEWTON_COX};
    struct ym_newton_fit fit = {0};
    enum ym_code code = check(problem, st);

    if (code != YM_OK)
        return code;
    f.outputs = problem->outputs ? problem->outputs : 1;
    f.width = problem->columns + f.intercept;
    f.count = f.outputs * f.width;
    for (size_t k = 0; k < problem->part_count; k++) {
        f.rows += problem->part[k].rows;
        f.events += count_events(&problem->part[k]);
    }
    if (f.rows <= f.count)
        return ym_status_set(st, YM_INVALID, "%zu rows are too few for %zu coefficients", f.rows, f.count);
    code = fitting_init(&f, &fit, st);
    if (code == YM_OK)
        code = standardise(&f, st);
    if (code == YM_OK && problem->penalty)
        code = turn_penalty(&f, st);
    if (code == YM_OK)
        code = prepare(&f, st);
    if (code == YM_OK)
        code = climb(&f, st);
    if (code == YM_OK)
        code = finish(&f, &fit, st);
    if (code == YM_OK)
        *out = fit;
    else
        ym_newton_release(&fit);
    fitting_release(&f);
    return code;
}

void ym_newton_release(struct ym_newton_fit *fit)
{
    free(fit->beta);
    free(fit->se);
    free(fit->covariance);
    *fit = (struct ym_newton_fit){0};
}

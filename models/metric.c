#include "models/metric.h"

#include <math.h>

/* ---- where a patient is counted ---- */

static double mean_of(const float *score, size_t n, size_t stride)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)score[i * stride];
    return sum / (double)n;
}

static size_t label_of(const float *y, size_t n, size_t levels)
{
    size_t best = 0, most = 0;

    for (size_t level = 0; level < levels; level++) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
            count += y[i] == (float)level;
        if (count > most) {
            most = count;
            best = level;
        }
    }
    return best;
}

static size_t bin_of(double score, size_t bins)
{
    double at = score * (double)bins;

    if (!(at > 0))
        return 0;
    return at >= (double)bins ? bins - 1 : (size_t)at;
}

static size_t class_of(const float *score, size_t n, size_t classes)
{
    size_t best = 0;

    for (size_t k = 1; k < classes; k++)
        if (mean_of(score + k, n, classes) > mean_of(score + best, n, classes))
            best = k;
    return best;
}

size_t ym_metric_cell(const struct ym_plan *plan, const float *score, const float *y, size_t n)
{
    size_t classes = ym_plan_outputs(plan);

    if (classes == 1)
        return label_of(y, n, 2) * plan->metric_bins + bin_of(mean_of(score, n, 1), plan->metric_bins);
    return label_of(y, n, classes) * classes + class_of(score, n, classes);
}

/* ---- what counts tell ---- */

static size_t columns_of(const struct ym_metric *m)
{
    return m->bins ? m->bins : m->classes;
}

double ym_metric_count(const struct ym_metric *m, size_t label, size_t column)
{
    return ldexp((double)m->cell[label * columns_of(m) + column], -YM_METRIC_SCALE_BITS);
}

static double middle(const struct ym_metric *m, size_t bin)
{
    return ((double)bin + 0.5) / (double)m->bins;
}

/* What a patient in a cell adds to a mean over patients. */
typedef double (*worth_fn)(const struct ym_metric *m, size_t label, size_t column);

static double right(const struct ym_metric *m, size_t label, size_t column)
{
    return (m->bins ? (size_t)(2 * column >= m->bins) : column) == label;
}

static double squared_error(const struct ym_metric *m, size_t label, size_t bin)
{
    double e = middle(m, bin) - (double)label;

    return e * e;
}

static double score(const struct ym_metric *m, size_t label, size_t bin)
{
    (void)label;
    return middle(m, bin);
}

static double positive(const struct ym_metric *m, size_t label, size_t bin)
{
    (void)m;
    (void)bin;
    return (double)label;
}

/* R = sum w n / sum n; dR/dn = (w - R) / sum n. */
static struct ym_metric_figure mean(const struct ym_metric *m, worth_fn worth)
{
    double total = m->patients.value, sum = 0, squares = 0, value;

    if (!(total > 0))
        return (struct ym_metric_figure){NAN, NAN};
    for (size_t label = 0; label < m->classes; label++)
        for (size_t k = 0; k < columns_of(m); k++)
            sum += worth(m, label, k) * ym_metric_count(m, label, k);
    value = sum / total;
    for (size_t label = 0; label < m->classes; label++)
        for (size_t k = 0; k < columns_of(m); k++) {
            double slope = (worth(m, label, k) - value) / total;

            squares += slope * slope;
        }
    return (struct ym_metric_figure){value, m->count_sd * sqrt(squares)};
}

static double total_of(const struct ym_metric *m, size_t label)
{
    double total = 0;

    for (size_t k = 0; k < columns_of(m); k++)
        total += ym_metric_count(m, label, k);
    return total;
}

/* A = sum_i p_i (N below i + n_i / 2) / (P N): ties within a bin count one half.
 * dA/dp_i = (N below i + n_i / 2) / (P N) - A / P, and likewise for n_j; pairs of
 * noises add v^2 (B (B - 1) / 2 + B / 4) / (P N)^2. */
static struct ym_metric_figure auc(const struct ym_metric *m)
{
    double p = total_of(m, 1), n = total_of(m, 0), pairs = 0, below = 0, above = p, squares = 0, b = (double)m->bins;
    double v = m->count_sd * m->count_sd, value;

    if (!(p > 0) || !(n > 0))
        return (struct ym_metric_figure){NAN, NAN};
    for (size_t i = 0; i < m->bins; i++) {
        double n_i = ym_metric_count(m, 0, i);

        pairs += ym_metric_count(m, 1, i) * (below + n_i / 2);
        below += n_i;
    }
    value = pairs / (p * n);
    below = 0;
    for (size_t i = 0; i < m->bins; i++) {
        double p_i = ym_metric_count(m, 1, i), n_i = ym_metric_count(m, 0, i);
        double by_p = (below + n_i / 2) / (p * n) - value / p, by_n = (above - p_i / 2) / (p * n) - value / n;

        squares += by_p * by_p + by_n * by_n;
        below += n_i;
        above -= p_i;
    }
    return (struct ym_metric_figure){value, sqrt(v * squares + v * v * (b * (b - 1) / 2 + b / 4) / (p * p * n * n))};
}

void ym_metric_read(const struct ym_plan *plan, const int64_t *cell, size_t sites, struct ym_metric *out)
{
    size_t outputs = ym_plan_outputs(plan), cells = ym_plan_metric_dim(plan);
    double z = ldexp((double)plan->metric_sigma_units, -24), step = ldexp(1, -YM_METRIC_SCALE_BITS);
    const struct ym_metric_figure none = {NAN, NAN};
    struct ym_metric m = {.bins = outputs == 1 ? plan->metric_bins : 0,
                          .classes = outputs == 1 ? 2 : outputs,
                          .cell = cell,
                          .count_sd = sqrt((double)sites * (z * z + step * step / 12)),
                          .auc = none,
                          .brier = none,
                          .expected = none,
                          .observed = none};

    for (size_t label = 0; label < m.classes; label++)
        m.patients.value += total_of(&m, label);
    m.patients.sd = m.count_sd * sqrt((double)cells);
    m.accuracy = mean(&m, right);
    if (m.bins) {
        m.auc = auc(&m);
        m.brier = mean(&m, squared_error);
        m.expected = mean(&m, score);
        m.observed = mean(&m, positive);
    }
    *out = m;
}

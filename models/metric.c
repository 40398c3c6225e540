#include "models/metric.h"

#include <math.h>
#include <string.h>

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

void ym_metric_bin_rows(const struct ym_plan *plan, const float *first, float *out)
{
    size_t columns = ym_plan_columns(plan), plain = columns - plan->cut_count;

    for (size_t k = 0; k < ym_plan_bins(plan); k++, out += columns) {
        memcpy(out, first, plain * sizeof *out);
        for (size_t j = 0; j < plan->cut_count; j++)
            out[plain + j] = j + 1 == k;
    }
}

/* Of the event before the end of the time. */
static double risk_of(const struct ym_plan *plan, const float *hazard)
{
    double survival = 1, from = 0, high = plan->input[plan->time_input].high;

    for (size_t k = 0; k < ym_plan_bins(plan); k++) {
        double to = k < plan->cut_count ? plan->cut[k] : high, h = (double)hazard[k];

        survival *= plan->family == YM_FAMILY_DISCRETE_HAZARD ? 1 - h : exp(-h * (to - from) / high);
        from = to;
    }
    return 1 - survival;
}

size_t ym_metric_exit_cell(const struct ym_plan *plan, const float *hazard, float time, bool event)
{
    size_t k = 0, bins = ym_plan_bins(plan), exit;

    while (k < plan->cut_count && !((double)time <= plan->cut[k]))
        k++;
    exit = event ? k : time >= (float)plan->input[plan->time_input].high ? 2 * bins : bins + k;
    return exit * plan->metric_bins + bin_of(risk_of(plan, hazard), plan->metric_bins);
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

/* ---- survival: exits are classes ---- */

static size_t time_bins(const struct ym_metric *m)
{
    return (m->classes - 1) / 2;
}

/* Time bin in which an exit falls; who was seen to the end left behind the last. */
static size_t bin_of_exit(const struct ym_metric *m, size_t exit)
{
    return exit < 2 * time_bins(m) ? exit % time_bins(m) : time_bins(m);
}

/* later: patients of a risk bin who left behind time bin k. */
static double later_than(const struct ym_metric *m, size_t k, size_t risk)
{
    double sum = 0;

    for (size_t exit = 0; exit < m->classes; exit++)
        if (bin_of_exit(m, exit) > k)
            sum += ym_metric_count(m, exit, risk);
    return sum;
}

/* Pairs of time bin k by risk bin: what one more event there would be rightly above (ties half), and what one more
 * who leaves later would be rightly below. */
struct pairs {
    double events, later, right, second;
    double above[256], below[256]; /* of an event in a risk bin; of a later one */
};

static void pairs_at(const struct ym_metric *m, size_t k, struct pairs *p)
{
    double passed = 0, left;

    *p = (struct pairs){0};
    for (size_t r = 0; r < m->bins; r++) {
        double later = later_than(m, k, r);

        p->above[r] = p->later + later / 2;
        p->right += ym_metric_count(m, k, r) * p->above[r];
        p->later += later;
        p->events += ym_metric_count(m, k, r);
    }
    left = p->events;
    for (size_t r = 0; r < m->bins; r++, left -= passed) {
        passed = ym_metric_count(m, k, r);
        p->below[r] = left - passed / 2;
    }
}

/* C = sum over k of right / sum over k of events * later. An event in k has dC = (above_k - C later_k) / pairs, and as
 * one who left later than each j < k (below_j - C events_j) / pairs; products of noises have (s - C)^2, s 0, 1/2, 1. */
static struct ym_metric_figure concordance(const struct ym_metric *m)
{
    size_t bins = m->bins, times = time_bins(m);
    double right = 0, pairs = 0, squares = 0, second = 0, c, v = m->count_sd * m->count_sd, late[256] = {0};
    struct pairs p;

    for (size_t k = 0; k < times; k++) {
        pairs_at(m, k, &p);
        right += p.right;
        pairs += p.events * p.later;
    }
    if (!(pairs > 0))
        return (struct ym_metric_figure){NAN, NAN};
    c = right / pairs;
    for (size_t k = 0; k <= times; k++) { /* late: of having left later than each bin before k */
        if (k < times)
            pairs_at(m, k, &p);
        for (size_t r = 0; r < bins; r++) {
            double event = k < times ? late[r] + p.above[r] - c * p.later : 0;

            squares += event * event + late[r] * late[r];
            if (k < times)
                late[r] += p.below[r] - c * p.events;
        }
        if (k < times)
            second += (2 * (double)(times - 1 - k) + 1) * (double)bins *
                      (((double)bins - 1) / 2 * (c * c + (1 - c) * (1 - c)) + (0.5 - c) * (0.5 - c));
    }
    return (struct ym_metric_figure){c, sqrt(v * squares + v * v * second) / pairs};
}

static double exits_at(const struct ym_metric *m, size_t exit)
{
    double sum = 0;

    for (size_t r = 0; r < m->bins; r++)
        sum += ym_metric_count(m, exit, r);
    return sum;
}

/* 1 - prod (1 - d_k / m_k), m_k those at risk. In log survival an event in k has -1 / (m_k - d_k), and every one at
 * risk in j d_j / (m_j (m_j - d_j)), half of it who is last seen in j. */
static struct ym_metric_figure life_table(const struct ym_metric *m)
{
    size_t times = time_bins(m);
    double at_risk = m->patients.value, log_survival = 0, slopes = 0, squares = 0;

    for (size_t k = 0; k < times; k++) {
        double d = exits_at(m, k), c = exits_at(m, times + k), risk = at_risk - c / 2, slope, event, censored;

        if (!(risk - d > 0))
            return (struct ym_metric_figure){NAN, NAN};
        log_survival += log((risk - d) / risk);
        slope = d / (risk * (risk - d));
        event = slopes + slope - 1 / (risk - d);
        censored = slopes + slope / 2;
        squares += event * event + censored * censored;
        slopes += slope;
        at_risk -= d + c;
    }
    squares += slopes * slopes;
    return (struct ym_metric_figure){-expm1(log_survival),
                                     exp(log_survival) * m->count_sd * sqrt((double)m->bins * squares)};
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

static void read_two_levels(struct ym_metric *m)
{
    m->accuracy = mean(m, right);
    m->auc = auc(m);
    m->brier = mean(m, squared_error);
    m->expected = mean(m, score);
    m->observed = mean(m, positive);
}

void ym_metric_read(const struct ym_plan *plan, const int64_t *cell, size_t sites, struct ym_metric *out)
{
    size_t outputs = ym_plan_outputs(plan), cells = ym_plan_metric_dim(plan);
    double z = ldexp((double)plan->metric_sigma_units, -24), step = ldexp(1, -YM_METRIC_SCALE_BITS);
    const struct ym_metric_figure none = {NAN, NAN};
    struct ym_metric m = {.bins = outputs == 1 ? plan->metric_bins : 0,
                          .classes = ym_plan_survival(plan) ? ym_plan_exits(plan)
                                     : outputs == 1         ? 2
                                                            : outputs,
                          .cell = cell,
                          .count_sd = sqrt((double)sites * (z * z + step * step / 12)),
                          .accuracy = none,
                          .auc = none,
                          .brier = none,
                          .expected = none,
                          .observed = none,
                          .concordance = none};

    for (size_t label = 0; label < m.classes; label++)
        m.patients.value += total_of(&m, label);
    m.patients.sd = m.count_sd * sqrt((double)cells);
    if (ym_plan_survival(plan)) {
        m.concordance = concordance(&m);
        m.expected = mean(&m, score);
        m.observed = life_table(&m);
    } else if (m.bins) {
        read_two_levels(&m);
    } else {
        m.accuracy = mean(&m, right);
    }
    *out = m;
}

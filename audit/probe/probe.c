#include "audit/probe/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/lower_bound.h"
#include "privacy/mechanisms.h"

#define LIMIT 5.6       /* standard errors, two sides: 2.2e-8; with 20 figures below 5e-7 */
#define PAIR_LIMIT 7.4  /* the largest of 19,900 pairs: 1.4e-13 each */
#define ROUND_LIMIT 6.2 /* the farthest of at most 100 rounds: 6e-10 each */
#define BLIND 0.27      /* of the claimed epsilon, Renyi; 0.3 of the exact one: below, the test sees nothing */
#define CONFIDENCE_P 0.05
enum { GUESSES_EACH = 250 };

static const struct {
    const char *name;
    char part;
} known[YM_PROBE_COUNT] = {
    [YM_PROBE_A_SPREAD] = {"idle_spread", 'A'},          [YM_PROBE_A_ROUNDS] = {"idle_spread_by_round", 'A'},
    [YM_PROBE_A_INTERCEPT] = {"intercept_spread", 'A'},  [YM_PROBE_B_ROUND] = {"lag_round", 'B'},
    [YM_PROBE_B_COORDINATE] = {"lag_coordinate", 'B'},   [YM_PROBE_B_HOSPITAL] = {"lag_hospital", 'B'},
    [YM_PROBE_B_ANY_TWO] = {"any_two_vectors", 'B'},     [YM_PROBE_C_MEAN] = {"canary_mean", 'C'},
    [YM_PROBE_C_SQUARE] = {"canary_square", 'C'},        [YM_PROBE_C_CROWD] = {"crowd_share", 'C'},
    [YM_PROBE_C_TWO_ROWS] = {"amplitude_two_rows", 'C'}, [YM_PROBE_C_THREE_ROWS] = {"amplitude_three_rows", 'C'},
    [YM_PROBE_D_BATCH] = {"batch_spread", 'D'},          [YM_PROBE_D_PATIENT] = {"participation_spread", 'D'},
    [YM_PROBE_E_CHARGES] = {"empty_charges", 'E'},       [YM_PROBE_E_SPREAD] = {"empty_spread", 'E'},
    [YM_PROBE_F_ONE_RUN] = {"epsilon_one_run", 'F'},     [YM_PROBE_F_GAUSSIAN] = {"epsilon_f_dp", 'F'},
    [YM_PROBE_G_EPSILON] = {"epsilon_recomputed", 'G'},  [YM_PROBE_G_LEDGERS] = {"ledger_findings", 'G'},
};

const char *ym_probe_name(enum ym_probe_id id)
{
    return known[id].name;
}

char ym_probe_part(enum ym_probe_id id)
{
    return known[id].part;
}

bool ym_probe_passed(const struct ym_probe *p)
{
    return p->done && p->measured >= p->low && p->measured <= p->high;
}

void ym_probe_set(struct ym_probes *out, enum ym_probe_id id, double measured, double low, double high)
{
    out->at[id] = (struct ym_probe){true, measured, low, high};
}

static void set_near(struct ym_probes *out, enum ym_probe_id id, double measured, double want, double error)
{
    ym_probe_set(out, id, measured, want - LIMIT * error, want + LIMIT * error);
}

/* Limits of chi-square / freedom (Wilson, Hilferty 1931). */
static double chi_limit(double freedom, double z)
{
    double x = 1 - 2 / (9 * freedom) + z * sqrt(2 / (9 * freedom));

    return x > 0 ? x * x * x : 0;
}

static void set_chi(struct ym_probes *out, enum ym_probe_id id, double sum, double freedom)
{
    ym_probe_set(out, id, sum / freedom, chi_limit(freedom, -LIMIT), chi_limit(freedom, LIMIT));
}

static void set_spread(struct ym_probes *out, enum ym_probe_id id, double sum, double freedom, double z)
{
    ym_probe_set(out, id, sqrt(sum / freedom), sqrt(chi_limit(freedom, -z)), sqrt(chi_limit(freedom, z)));
}

/* ---- A: idle coordinates ---- */

/* Columns that nobody touches, and canaries that stayed out. */
static bool is_idle(const struct ym_pseudo *p, size_t i)
{
    return i < YM_PSEUDO_CANARIES ? !p->in[i] : i >= YM_PSEUDO_CANARIES + YM_PSEUDO_CROWDS && i < YM_PSEUDO_COLUMNS;
}

static void look_at_noise(const struct ym_pseudo *const p[2], const struct ym_view v[2], struct ym_probes *out)
{
    double all = 0, n = 0, by_round = 0, intercept = 0;

    for (int h = 0; h < 2; h++) {
        for (size_t t = 0; t < v[h].rounds; t++) {
            const double *y = v[h].sum + t * v[h].dim;
            double x = 0, k = 0;

            for (size_t i = 0; i < YM_PSEUDO_COLUMNS; i++) {
                if (is_idle(p[h], i)) {
                    x += y[i] / v[h].sigma * (y[i] / v[h].sigma);
                    k++;
                }
            }
            by_round += (x - k) * (x - k) / (2 * k);
            intercept += y[v[h].dim - 1] / v[h].sigma * (y[v[h].dim - 1] / v[h].sigma);
            all += x;
            n += k;
        }
    }
    set_spread(out, YM_PROBE_A_SPREAD, all, n, LIMIT);
    set_chi(out, YM_PROBE_A_ROUNDS, by_round, (double)(v[0].rounds + v[1].rounds));
    set_spread(out, YM_PROBE_A_INTERCEPT, intercept, (double)(v[0].rounds + v[1].rounds), LIMIT);
}

/* ---- B: noise repeats itself nowhere ---- */

/* [vectors][IDLE] coordinates that are idle at both hospitals, in standard deviations. */
enum { IDLE_FROM = YM_PSEUDO_CANARIES + YM_PSEUDO_CROWDS, IDLE = YM_PSEUDO_COLUMNS - IDLE_FROM };
enum { PAIRED = 512 }; /* of them, for all pairs: the same vector twice is 22 standard errors */

static double product(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static float *idle_vectors(const struct ym_view v[2])
{
    float *x = malloc((v[0].rounds + v[1].rounds) * IDLE * sizeof *x), *to = x;

    for (int h = 0; x && h < 2; h++)
        for (size_t t = 0; t < v[h].rounds; t++)
            for (size_t i = 0; i < IDLE; i++)
                *to++ = (float)(v[h].sum[t * v[h].dim + IDLE_FROM + i] / v[h].sigma);
    return x;
}

static enum ym_code look_for_repeats(const struct ym_view v[2], struct ym_probes *out)
{
    size_t rounds = v[0].rounds, count = rounds + v[1].rounds;
    float *x = idle_vectors(v);
    double worst = 0, later = 0, beside = 0, other = 0;

    if (!x)
        return YM_EXHAUSTED;
    for (size_t a = 0; a < count; a++) {
        beside += product(x + a * IDLE, x + a * IDLE + 1, IDLE - 1);
        for (size_t b = 0; b < a; b++) {
            double z = product(x + a * IDLE, x + b * IDLE, PAIRED) / sqrt(PAIRED);

            worst = fabs(z) > fabs(worst) ? z : worst;
        }
        if (a > 0 && a != rounds)
            later += product(x + a * IDLE, x + (a - 1) * IDLE, IDLE);
        if (a >= rounds)
            other += product(x + a * IDLE, x + (a - rounds) * IDLE, IDLE);
    }
    free(x);
    ym_probe_set(out, YM_PROBE_B_ROUND, later / sqrt(((double)count - 2) * IDLE), -LIMIT, LIMIT);
    ym_probe_set(out, YM_PROBE_B_COORDINATE, beside / sqrt((double)count * (IDLE - 1)), -LIMIT, LIMIT);
    ym_probe_set(out, YM_PROBE_B_HOSPITAL, other / sqrt((double)v[1].rounds * IDLE), -LIMIT, LIMIT);
    ym_probe_set(out, YM_PROBE_B_ANY_TWO, worst, -PAIR_LIMIT, PAIR_LIMIT);
    return YM_OK;
}

/* ---- C: canaries that are in: N(0, sigma^2), and with probability q N(1, sigma^2) ---- */

static void look_at_canaries(const struct ym_pseudo *const p[2], const struct ym_view v[2], struct ym_probes *out)
{
    double sum = 0, square = 0, n = 0, q = v[0].q, s = v[0].sigma * v[0].sigma;

    for (int h = 0; h < 2; h++) {
        for (size_t t = 0; t < v[h].rounds; t++) {
            for (size_t j = 0; j < YM_PSEUDO_CANARIES; j++) {
                double y = ym_pseudo_sign(j) * v[h].sum[t * v[h].dim + j];

                if (!p[h]->in[j])
                    continue;
                sum += y;
                square += y * y;
                n++;
            }
        }
    }
    set_near(out, YM_PROBE_C_MEAN, sum / n, q, sqrt((s + q * (1 - q)) / n));
    /* E y^2 = s + q, E y^4 = 3 s^2 + 6 s q + q */
    set_near(out, YM_PROBE_C_SQUARE, square / n - s, q, sqrt((2 * s * s + 4 * s * q + q - q * q) / n));
}

/* C and D: a crowd's sum over all rounds is binomial and noise. */
static void look_at_crowds(const struct ym_view v[2], struct ym_probes *out)
{
    double total = 0, variance = 0, spread = 0, patients = 0;

    for (int h = 0; h < 2; h++) {
        double times = (double)v[h].rounds, mean = YM_PSEUDO_CROWD * times * v[h].q;
        double expected = mean * (1 - v[h].q) + times * v[h].sigma * v[h].sigma;

        for (size_t g = 0; g < YM_PSEUDO_CROWDS; g++) {
            double sum = 0;

            for (size_t t = 0; t < v[h].rounds; t++)
                sum += ym_pseudo_sign(g) * v[h].sum[t * v[h].dim + YM_PSEUDO_CANARIES + g];
            spread += (sum - mean) * (sum - mean) / expected;
            total += sum;
            variance += expected;
            patients += YM_PSEUDO_CROWD * times;
        }
    }
    set_near(out, YM_PROBE_C_CROWD, total / patients, v[0].q, sqrt(variance) / patients);
    set_chi(out, YM_PROBE_D_PATIENT, spread, 2 * YM_PSEUDO_CROWDS);
}

/* ---- F: an attacker guesses the coins ---- */

struct scored {
    double score;
    bool in;
};

static int by_score(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;

    return (x < y) - (x > y);
}

/* Log of the likelihood ratio of "in" to "out" (Neyman, Pearson). */
static double score_of(const struct ym_view *v, size_t j)
{
    double sum = 0;

    for (size_t t = 0; t < v->rounds; t++) {
        double y = ym_pseudo_sign(j) * v->sum[t * v->dim + j];

        sum += log(1 - v->q + v->q * exp((2 * y - 1) / (2 * v->sigma * v->sigma)));
    }
    return sum;
}

static enum ym_code guess(const struct ym_pseudo *const p[2], const struct ym_view v[2], double claimed, double delta,
                          struct ym_probes *out)
{
    size_t count = 2 * YM_PSEUDO_CANARIES;
    struct ym_guesses g = {count, 2 * GUESSES_EACH, 0};
    struct scored *all = malloc(count * sizeof *all);

    if (!all)
        return YM_EXHAUSTED;
    for (size_t k = 0; k < count; k++) {
        size_t j = k % YM_PSEUDO_CANARIES, h = k / YM_PSEUDO_CANARIES;

        all[k] = (struct scored){score_of(&v[h], j), p[h]->in[j]};
    }
    qsort(all, count, sizeof *all, by_score);
    for (size_t k = 0; k < GUESSES_EACH; k++)
        g.correct += all[k].in + !all[count - 1 - k].in;
    free(all);
    ym_probe_set(out, YM_PROBE_F_ONE_RUN, ym_one_run_epsilon(&g, delta, CONFIDENCE_P), 0, claimed);
    ym_probe_set(out, YM_PROBE_F_GAUSSIAN, ym_gaussian_epsilon(ym_one_run_mu(&g, CONFIDENCE_P), delta), BLIND * claimed,
                 claimed);
    return YM_OK;
}

enum ym_code ym_probe_apart(const struct ym_pseudo *const p[2], const struct ym_view v[2], double claimed, double delta,
                            struct ym_probes *out)
{
    enum ym_code code = look_for_repeats(v, out);

    if (code != YM_OK)
        return code;
    look_at_noise(p, v, out);
    look_at_canaries(p, v, out);
    look_at_crowds(v, out);
    return guess(p, v, claimed, delta, out);
}

/* ---- all patients of a kind in one column ---- */

/* Patients, each by what it keeps of the clip. */
static void count_kinds(const struct ym_pseudo *const p[2], double kind[2])
{
    kind[0] = kind[1] = 0;
    for (int h = 0; h < 2; h++) {
        size_t two, three;

        ym_pseudo_count(p[h], &two, &three);
        kind[0] += (double)two * p[h]->kept[0];
        kind[1] += (double)three * p[h]->kept[1];
    }
}

void ym_probe_batches(const struct ym_pseudo *const p[2], const struct ym_view *half, struct ym_probes *out)
{
    double kind[2], spread = 0;

    count_kinds(p, kind);
    for (size_t t = 0; t < half->rounds; t++) {
        double seen = half->sum[t * half->dim] - half->sum[t * half->dim + 1]; /* signs +1 and -1 */
        double patients = kind[0] + kind[1], q = half->q;
        double variance = patients * q * (1 - q) + 2 * half->sigma * half->sigma;

        spread += (seen - patients * q) * (seen - patients * q) / variance;
    }
    set_chi(out, YM_PROBE_D_BATCH, spread, (double)half->rounds);
}

void ym_probe_amplitude(const struct ym_pseudo *const p[2], const struct ym_view *whole, struct ym_probes *out)
{
    double kind[2], sum[2] = {0, 0};

    count_kinds(p, kind);
    for (size_t t = 0; t < whole->rounds; t++) {
        sum[0] += whole->sum[t * whole->dim];
        sum[1] -= whole->sum[t * whole->dim + 1];
    }
    for (int k = 0; k < 2; k++) {
        double n = kind[k] * (double)whole->rounds;

        set_near(out, k ? YM_PROBE_C_THREE_ROWS : YM_PROBE_C_TWO_ROWS, sum[k] / n, 1,
                 whole->sigma * sqrt((double)whole->rounds) / n);
    }
}

/* ---- E: where nearly every sample is empty ---- */

void ym_probe_empty(const struct ym_view *rare, size_t charges, struct ym_probes *out)
{
    double worst = 1, n = (double)rare->dim;

    for (size_t t = 0; t < rare->rounds; t++) {
        double x = 0;

        for (size_t i = 0; i < rare->dim; i++) {
            double y = rare->sum[t * rare->dim + i] / rare->sigma;

            x += y * y;
        }
        worst = fabs(sqrt(x / n) - 1) > fabs(worst - 1) ? sqrt(x / n) : worst;
    }
    ym_probe_set(out, YM_PROBE_E_CHARGES, (double)charges, (double)rare->rounds, (double)rare->rounds);
    ym_probe_set(out, YM_PROBE_E_SPREAD, worst, sqrt(chi_limit(n, -ROUND_LIMIT)), sqrt(chi_limit(n, ROUND_LIMIT)));
}

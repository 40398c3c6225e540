#include "models/score.h"

#include <math.h>
#include <stdlib.h>

#include "models/concordance.h"

/* Harrell's C where every positive has its event before any negative is last seen. */
double ym_score_auc(const float *score, const float *label01, size_t n, double *se)
{
    double *risk = calloc(2 * n + 1, sizeof *risk), *time = risk ? risk + n : NULL;
    uint8_t *event = calloc(n + 1, sizeof *event);
    struct ym_concordance c = {.index = NAN, .se = NAN};

    for (size_t i = 0; risk && event && i < n; i++) {
        risk[i] = (double)score[i];
        event[i] = label01[i] > 0.5f;
        time[i] = event[i] ? 1 : 2;
    }
    if (risk && event)
        c = ym_concordance_of(risk, time, event, NULL, n);
    free(risk);
    free(event);
    if (se)
        *se = c.se;
    return c.index;
}

size_t ym_score_class(const float *p, size_t outputs)
{
    size_t best = 0;

    if (outputs == 1)
        return p[0] >= 0.5f;
    for (size_t c = 1; c < outputs; c++)
        best = p[c] > p[best] ? c : best;
    return best;
}

double ym_score_accuracy(const float *scores, size_t outputs, const float *label, size_t n)
{
    size_t right = 0;

    for (size_t i = 0; i < n; i++)
        right += (float)ym_score_class(scores + i * outputs, outputs) == label[i];
    return n > 0 ? (double)right / (double)n : NAN;
}

double ym_score_brier(const float *scores, size_t outputs, const float *label, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < outputs; c++) {
            double truth = outputs == 1 ? (double)label[i] : label[i] == (float)c;
            double off = (double)scores[i * outputs + c] - truth;

            sum += off * off;
        }
    return n > 0 ? sum / (double)n : NAN;
}

static double logit_of(float score)
{
    double p = fmin(fmax((double)score, 1e-6), 1 - 1e-6);

    return log(p / (1 - p));
}

/* One Newton step; false when the information is singular, as it becomes where there is no maximum. */
static int calibration_step(const float *score, const float *label, size_t n, double *a, double *b, double *moved)
{
    double ga = 0, gb = 0, haa = 0, hab = 0, hbb = 0, det;

    for (size_t i = 0; i < n; i++) {
        double x = logit_of(score[i]), p = 1 / (1 + exp(-(*a + *b * x))), w = p * (1 - p);

        ga += (double)label[i] - p;
        gb += ((double)label[i] - p) * x;
        haa += w;
        hab += w * x;
        hbb += w * x * x;
    }
    det = haa * hbb - hab * hab;
    if (!(det > 1e-9 * haa * hbb) || !(haa > 1e-9))
        return 0;
    *a += (hbb * ga - hab * gb) / det;
    *b += (haa * gb - hab * ga) / det;
    *moved = fabs(hbb * ga - hab * gb) / det + fabs(haa * gb - hab * ga) / det;
    return 1;
}

void ym_score_calibration(const float *score, const float *label01, size_t n, double *intercept, double *slope)
{
    double a = 0, b = 1, moved = 1;

    *intercept = *slope = NAN;
    for (int step = 0; step < 50 && moved > 1e-10; step++)
        if (!calibration_step(score, label01, n, &a, &b, &moved) || fabs(b) > 1e3)
            return;
    if (!(moved <= 1e-10))
        return;
    *intercept = a;
    *slope = b;
}

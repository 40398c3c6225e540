#include "models/score.h"

#include <math.h>
#include <stdlib.h>

struct scored {
    float score;
    int positive;
};

static int by_score(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;

    return (x > y) - (x < y);
}

/* Mann-Whitney: pairs with the positive above, ties counted half. */
static double pairs_above(const struct scored *s, size_t n)
{
    double below = 0, pairs = 0;

    for (size_t start = 0, end; start < n; start = end) {
        double positive = 0, negative = 0;

        for (end = start; end < n && s[end].score == s[start].score; end++)
            *(s[end].positive ? &positive : &negative) += 1;
        pairs += positive * (below + negative / 2);
        below += negative;
    }
    return pairs;
}

double ym_score_auc(const float *score, const float *label01, size_t n)
{
    struct scored *s = n > 0 ? malloc(n * sizeof *s) : NULL;
    double positive = 0, auc = NAN;

    if (!s)
        return NAN;
    for (size_t i = 0; i < n; i++) {
        s[i] = (struct scored){score[i], label01[i] > 0.5f};
        positive += s[i].positive;
        if (isnan(score[i]))
            goto out;
    }
    if (positive == 0 || positive == (double)n)
        goto out;
    qsort(s, n, sizeof *s, by_score);
    auc = pairs_above(s, n) / (positive * ((double)n - positive));
out:
    free(s);
    return auc;
}

static size_t best_class(const float *p, size_t outputs)
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
        right += (float)best_class(scores + i * outputs, outputs) == label[i];
    return n > 0 ? (double)right / (double)n : NAN;
}

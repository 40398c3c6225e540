#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/accountant.h"

/* The estimate's own error: it is within 1e-8 of every reference, and stops at 1e-9 of log delta. */
#define ESTIMATE_OFF(x) (1e-6 * (x) + 1e-9)
#define LOOSE(x) (1e-3 * (x) + 1e-5) /* what the certified bound promises */

enum ym_code ym_figures_agree(const struct ym_figures *f, struct ym_status *st)
{
    double low = f->estimate - ESTIMATE_OFF(f->estimate);
    const char *what = NULL;

    if (!(isfinite(f->estimate) && isfinite(f->certified) && f->estimate >= 0))
        what = "no figure";
    else if (!(f->certified >= low))
        what = "the certified bound lies below the estimate";
    else if (!(f->certified <= f->estimate + LOOSE(f->estimate)))
        what = "the certified bound lies far above the estimate";
    else if (!(f->rdp >= low))
        what = "the renyi bound lies below the estimate";
    if (!what)
        return YM_OK;
    return ym_status_set(st, YM_INTERNAL,
                         "the accountants disagree, no figure may be used: %s (estimate %.12g, certified %.12g, "
                         "renyi %.12g); report this with the list of charges",
                         what, f->estimate, f->certified, f->rdp);
}

static int by_kind(const void *a, const void *b)
{
    const struct ym_event *x = a, *y = b;

    if (x->sigma_units != y->sigma_units)
        return x->sigma_units < y->sigma_units ? -1 : 1;
    return (x->sampling_k > y->sampling_k) - (x->sampling_k < y->sampling_k);
}

/* Charges of one kind are integrated once. */
static enum ym_code renyi(const struct ym_event *e, size_t count, double delta, double *epsilon, struct ym_status *st)
{
    struct ym_event *sorted = calloc(count + 1, sizeof *sorted);
    enum ym_code code = YM_OK;
    struct ym_rdp r;

    if (!sorted)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu charges", count);
    if (count)
        memcpy(sorted, e, count * sizeof *e);
    qsort(sorted, count, sizeof *sorted, by_kind);
    ym_rdp_clear(&r);
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        if (i + 1 < count && by_kind(&sorted[i], &sorted[i + 1]) == 0)
            sorted[i + 1].steps += sorted[i].steps;
        else
            code = ym_rdp_add(&r, &sorted[i], st);
    }
    free(sorted);
    if (code == YM_OK)
        *epsilon = ym_rdp_epsilon(&r, delta, NULL);
    return code;
}

enum ym_code ym_accountants_agree(const struct ym_event *e, size_t count, double delta, struct ym_figures *out,
                                  struct ym_status *st)
{
    struct ym_figures f = {0, 0, 0};
    enum ym_code code = ym_pld_epsilon(e, count, delta, &f.certified, st);

    if (code == YM_OK)
        code = ym_contour_epsilon(e, count, delta, &f.estimate, st);
    if (code == YM_OK)
        code = renyi(e, count, delta, &f.rdp, st);
    if (code == YM_OK)
        code = ym_figures_agree(&f, st);
    if (code == YM_OK)
        *out = f;
    return code;
}

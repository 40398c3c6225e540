#include <math.h>

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

enum ym_code ym_accountants_agree(const struct ym_event *e, size_t count, double delta, struct ym_figures *out,
                                  struct ym_status *st)
{
    struct ym_figures f = {0, 0, 0};
    struct ym_rdp r;
    enum ym_code code = ym_pld_epsilon(e, count, delta, &f.certified, st);

    if (code == YM_OK)
        code = ym_contour_epsilon(e, count, delta, &f.estimate, st);
    ym_rdp_clear(&r);
    for (size_t i = 0; code == YM_OK && i < count; i++)
        code = ym_rdp_add(&r, &e[i], st);
    if (code == YM_OK) {
        f.rdp = ym_rdp_epsilon(&r, delta, NULL);
        code = ym_figures_agree(&f, st);
    }
    if (code == YM_OK)
        *out = f;
    return code;
}

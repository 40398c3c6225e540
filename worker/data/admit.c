#include "worker/data/admit.h"

#include <stdlib.h>

#include "base/text.h"

void ym_admission_release(struct ym_admission *c)
{
    free(c->out);
    *c = (struct ym_admission){0};
}

enum ym_code ym_admit(const struct ym_consent_need *need, const uint64_t *consent, const uint8_t *gone, size_t patients,
                      struct ym_admission *out, struct ym_status *st)
{
    struct ym_admission c = {.patients = patients, .left = patients};
    c.out = calloc(patients + 1, 1);
    if (!c.out)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for an admission");
    for (size_t p = 0; p < patients; p++) {
        bool left = gone && gone[p];
        int lack = left ? 0 : ym_consent_lacks(need, consent[p]);
        if (lack < 0)
            continue;
        c.out[p] = 1;
        c.left--;
        if (left)
            c.withdrawn++;
        else
            c.lacks[lack]++;
    }
    *out = c;
    return YM_OK;
}

static const char *lack_name(size_t lack)
{
    return lack == YM_CONSENT_BITS ? "notice" : ym_consent_word((enum ym_consent)lack);
}

void ym_admission_report(const struct ym_admission *c, struct ym_buf *report)
{
    if (c->withdrawn) {
        ym_buf_printf(report, T(TABLE_WITHDREW), c->withdrawn);
        ym_buf_puts(report, "\n");
    }
    for (size_t i = 0; i <= YM_CONSENT_BITS; i++) {
        if (!c->lacks[i])
            continue;
        ym_buf_printf(report, i < YM_CONSENT_COUNT || i == YM_CONSENT_BITS ? T(TABLE_LACKS) : T(TABLE_CAVEAT),
                      c->lacks[i], lack_name(i));
        ym_buf_puts(report, "\n");
    }
}

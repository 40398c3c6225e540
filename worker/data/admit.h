#ifndef YM_WORKER_DATA_ADMIT_H
#define YM_WORKER_DATA_ADMIT_H

#include "gate/border/consent.h"
#include "worker/data/frozen.h"

/* Whom of a frozen set a plan may use at all: the one answer that the table,
 * the head-count and the gate go by. Held-out patients belong to it too. */
struct ym_admission {
    uint8_t *out; /* [patients] nonzero: in no batch, no metric and no count */
    size_t patients, left;
    size_t lacks[YM_CONSENT_BITS + 1]; /* patients out for want of each; the last: of the notice */
    size_t withdrawn;                  /* out because they withdrew */
};
void ym_admission_release(struct ym_admission *c);

/* consent [patients]; gone [patients], nonzero: withdrew; NULL: nobody. YM_EXHAUSTED. */
enum ym_code ym_admit(const struct ym_consent_need *need, const uint64_t *consent, const uint8_t *gone, size_t patients,
                      struct ym_admission *out, struct ym_status *st);
/* A line for each thing that patients lack. */
void ym_admission_report(const struct ym_admission *c, struct ym_buf *report);

#endif

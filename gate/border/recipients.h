#ifndef YM_GATE_BORDER_RECIPIENTS_H
#define YM_GATE_BORDER_RECIPIENTS_H

#include "base/recipient.h"

/* To whom a plan with model_release domestic_only seals its model: hospitals of the
 * plan, each with the certificate of its receiving key (docs/plan.md, "border"). That
 * the hospital signed the certificate is the hub's to check, which knows its key. */

struct ym_plan_recipient {
    char name[64];
    uint8_t der[YM_RECIPIENT_DER_MAX];
    size_t der_len;
};

struct ym_plan_recipients {
    struct ym_plan_recipient *item;
    size_t count;
};

struct ym_schema;
struct ym_at;
struct ym_plan;
/* border.recipients: required where the model is domestic_only, not taken elsewhere. Says of each whose certificate
 * names another hospital, or that is not in plan->site. */
void ym_recipients_read(struct ym_schema *s, const struct ym_at *border, bool domestic_only, const struct ym_plan *plan,
                        struct ym_plan_recipients *out);
void ym_recipients_release(struct ym_plan_recipients *r);
static inline struct ym_bytes ym_recipient_der(const struct ym_plan_recipient *r)
{
    return (struct ym_bytes){r->der, r->der_len};
}

#endif
